"""Training a critic (Sun & van der Schaar, 2024, section 4): chosen by what the rows are, kept if it is better.

>>> training = train_critic(read_rows("rows.jsonl"))  # doctest: +SKIP
>>> print(training)                                   # doctest: +SKIP
>>> training.critic.save("critic.json")               # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.calibration import Calibration, calibrate
from thoughtgraph.learning.checks import allowed, apart, enough, grouped, one_text_each, telling, unheard
from thoughtgraph.learning.choosing import ENVIRONMENT, LEARNS_FROM, Choice, Negatives, choose
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.contenders import Contender, baselines, learned, surface
from thoughtgraph.learning.demonstrations import Demonstrations
from thoughtgraph.learning.features import Feature
from thoughtgraph.learning.figures import Figures, auc, figures, gain
from thoughtgraph.learning.fitted import Model, bootstrapped
from thoughtgraph.learning.learned import Learned, Objective, Trained
from thoughtgraph.learning.lessons import Lesson, Trainer, strata
from thoughtgraph.learning.registry import ALONE, DEFAULT, features_of
from thoughtgraph.learning.rows import AnyRow, Demonstration, responses
from thoughtgraph.learning.splits import folds
from thoughtgraph.protocols import Critic
from thoughtgraph.statistics import Interval
from thoughtgraph.thought import Json

FOLDS = 5

STYLE = (0.6, 0.8)
"""Style tells demonstrations: the surface's AUC is over the first, and over this share of what is told apart at all."""


@dataclass(frozen=True)
class Training:
    """What training came to: the critic, why it is of its kind, what was found in the rows, and how good it is.

    `learned` are the figures of what was learned, on questions that it had not seen, and `baselines` those of what
    needs no learning. Where `gain`, the share of pairs that the former has more in order than the best of the latter,
    does not lie above 0 with its whole interval, `critic` *is* that baseline, and `fallback` names it. `alarms` are
    reasons for caution: "surface" (surface features alone do as well) and "heterogeneous" (demonstrations of another
    hand). `loss` is the objective's own, held out. With an environment there is no critic: it is None.
    """

    critic: Learned | None
    objective: Objective | Literal["none"]
    why: str
    notes: tuple[str, ...] = ()
    learned: Figures = field(default_factory=Figures)
    baselines: Mapping[str, Figures] = field(default_factory=dict[str, Figures])
    gain: Interval | None = None
    fallback: str = ""
    alarms: tuple[str, ...] = ()
    loss: float | None = None
    round: int = 1
    again: Callable[[Negatives | None], Training] | None = field(default=None, repr=False, compare=False)

    @property
    def heldout(self) -> Figures:
        """The figures of `critic`, whichever it is."""
        return self.baselines[self.fallback] if self.fallback else self.learned

    def refit(self, negatives: Negatives | None = None) -> Training:
        """The next round of learning from demonstrations: against what the generator writes now, and nothing older.

        Without `negatives`, the function that wrote those of this round is called once more.
        """
        if self.again is None:
            raise TaskError(f"the objective is {self.objective!r}: only what learns from demonstrations has rounds")
        return replace(self.again(negatives), round=self.round + 1)

    def __str__(self) -> str:
        ships = f"falls back to {self.fallback!r}" if self.fallback else "ships" if self.critic else "nothing to learn"
        gained = f", {self.gain.signed} of the pairs against the best baseline" if self.gain else ""
        told = {"learned": self.learned, **self.baselines} if self.critic else {}
        figured = (f"  {name}: {figure}" for name, figure in told.items())
        return "\n".join([f"{self.objective}: {ships}{gained}", self.why, *self.notes, *figured])

    def to_json(self) -> Json:
        """As JSON data, without the critic: `critic.save` writes that."""
        return {
            "objective": self.objective,
            "why": self.why,
            "notes": list(self.notes),
            "learned": self.learned.to_json(),
            "baselines": {name: figure.to_json() for name, figure in self.baselines.items()},
            "gain": self.gain and self.gain.to_json(),
            "fallback": self.fallback,
            "alarms": list(self.alarms),
            "loss": self.loss,
            "round": self.round,
        }


def train_critic(
    rows: Sequence[AnyRow],
    *,
    objective: Objective | Trainer | None = None,
    features: Sequence[Feature | str] | None = None,
    learner: str = "auto",
    members: int = 1,
    pessimism: Literal["mean", "min", "uwo"] = "mean",
    generator: str | None = None,
    negatives: Negatives | None = None,
    heldout: Sequence[AnyRow] = (),
    environment: Critic | None = None,
    anyway: bool = False,
    name: str = "",
    seed: int = 0,
) -> Training:
    """Learn a critic from rows, try it on questions that it has not seen, and give it back if it is worth having.

    Which objective, if nobody says, is decided by what there is, the most telling first: with an `environment` none,
    for it *is* the evaluator; from step traces a process model; from outcomes of a golden metric an outcome model; from
    preferences Bradley-Terry; from demonstrations the discriminator against `negatives`, responses of the current
    generator (of it alone, where `generator` names it). `objective` may also be `Preferences()`, `Demonstrations()`,
    `Outcomes()` or `Processes()` with settings of their own.

    Everything is held out by question: in five folds, or on `heldout` rows where they are given. What was learned is
    compared with what needs no learning (random, the majority, the longest, the shortest, each signal that came with
    the responses) and with what sees only the surface; where it is not better, the best of them is what comes back,
    unless you want what was learned `anyway`. `features` are names or `Feature`s, by default all of the registry;
    from demonstrations those that look at a response by itself, since demonstrations and the generator's responses were
    not drawn together, and how they agree with each other says nothing of how they will. `learner` is that of `fit`;
    with several `members`, an ensemble by the bootstrap over questions, as pessimistic as you say.

    `TaskError` where the rows cannot support it: there are none, or none that may be trained on; they are of one class
    or of too few questions; a held-out question is learned from.
    """
    if environment is not None:
        return _none(environment)
    at_least(1, members=members)
    if pessimism != "mean" and members == 1:
        raise TaskError(f"pessimism={pessimism!r} is for several members, who may differ: expected members=5, say")
    known, notes = allowed(rows)
    choice = choose(known, objective, negatives, generator)
    held, unsaid = allowed(heldout, "held-out rows") if heldout else ([], [])
    lesson, trial, found = _lessons(choice, held)
    fit = Fitting(choice.trainer, learner, members, pessimism, seed)
    with one_thread():
        contest = _contest(fit, lesson, trial, _seen(choice.trainer) if features is None else features_of(features))
        training = _verdict(contest, choice, anyway, name)
    training = replace(training, notes=(*notes, *unsaid, *choice.notes, *found, *training.notes))
    if not isinstance(choice.trainer, Demonstrations):
        return training

    def again(fresh: Negatives | None) -> Training:
        return train_critic(
            rows, objective=objective, features=features, learner=learner, members=members, pessimism=pessimism,
            generator=generator, negatives=negatives if fresh is None else fresh, heldout=heldout, anyway=anyway,
            name=name, seed=seed,
        )  # fmt: skip

    return replace(training, again=again)


def _none(environment: Critic) -> Training:
    if getattr(environment, "ito", "proxy") != "environment":
        raise TaskError(
            f"{environment!r:.80} is a proxy and no environment: expected a critic that declares ito = 'environment', "
            "an external system whose feedback is the evaluator"
        )
    return Training(None, "none", ENVIRONMENT)


def _seen(trainer: Trainer) -> tuple[Feature, ...]:
    """The features where nobody names any."""
    return ALONE if isinstance(trainer, Demonstrations) else DEFAULT


# -- what is learned from, and what it is tried on -------------------------------------------------------------------


def _lessons(choice: Choice, held: Sequence[AnyRow]) -> tuple[Lesson, Lesson, list[str]]:
    """The lesson, the one to try it on (the same, where nothing is held out), and what was found in the rows."""
    rows = [*choice.rows, *choice.beside]
    one_text_each([*rows, *held])
    lesson, notes = grouped(choice.trainer.lesson(choice.rows), rows)
    enough(lesson)
    if not held:
        return lesson, lesson, [*lesson.notes, *notes]
    apart(rows, held)
    try:
        other = _judging(choice, held)
        trial, more = grouped(other.trainer.lesson(other.rows), [*other.rows, *other.beside])
    except TaskError as error:
        raise TaskError(f"the held-out rows: {error}") from None
    return lesson, trial, [*lesson.notes, *notes, *more]


def _judging(choice: Choice, held: Sequence[AnyRow]) -> Choice:
    """What the held-out rows can be judged by: the same objective, or else what they are rows of."""
    trainer = choice.trainer
    if not any(isinstance(row, LEARNS_FROM[trainer.name]) for row in held):
        return choose(held)
    return choose(held, replace(trainer, negatives=()) if isinstance(trainer, Demonstrations) else trainer)


# -- who judges, and how well ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitting:
    """How models are fitted: by which objective and learner, and how many of them."""

    trainer: Trainer
    learner: str
    members: int
    pessimism: Literal["mean", "min", "uwo"]
    seed: int

    def __call__(self, lesson: Lesson, X: Any) -> Model:
        """A model of the lesson, or an ensemble of models of its bootstraps."""
        if self.members == 1:
            return self.trainer.fit(lesson, X, learner=self.learner, seed=self.seed)
        import numpy as np

        def one(places: Any, seed: int) -> Any:
            counts = np.bincount(places, minlength=len(lesson.units))
            return self.trainer.fit(lesson.times(counts.tolist()), X, learner=self.learner, seed=seed)

        return bootstrapped(one, lesson.units, members=self.members, pessimism=self.pessimism, seed=self.seed)


@contextmanager
def one_thread() -> Generator[None, None, None]:
    """Linear algebra on one thread, where scikit-learn's threadpoolctl is there.

    On tables as small as these, threads wait for each other five times longer than they work, and their number would
    show in the last digits of a critic.
    """
    arrays()  # only a library that is loaded can be told so
    try:
        import threadpoolctl  # pyright: ignore[reportMissingTypeStubs, reportMissingImports]
    except ImportError:
        yield
        return
    limited: Any = threadpoolctl.threadpool_limits  # pyright: ignore[reportUnknownMemberType]
    with limited(limits=1, user_api="blas"):
        yield


@dataclass(frozen=True)
class Contest:
    """Who took part: what was learned, the baselines, and what each gave the examples of the trial."""

    lesson: Lesson
    trial: Lesson
    learned: Contender
    baselines: tuple[Contender, ...]
    notes: tuple[str, ...] = ()

    def rewards(self, contender: Contender) -> Any:
        """What the contender gives to examples that it has not seen."""
        if self.trial is self.lesson:
            return contender.rewards
        return contender.model(self.trial.table(contender.features))


def _contest(fit: Fitting, lesson: Lesson, trial: Lesson, features: tuple[Feature, ...]) -> Contest:
    X = lesson.table(features)
    notes = telling(X, [f"{feature.name}.{column}" for feature in features for column in feature.columns])
    notes += unheard(lesson.examples, features)
    parts = folds(strata(lesson), FOLDS, fit.seed)
    critic = learned("learned", lesson, features, X, fit, parts)
    others = [*baselines(lesson), *([] if critic.shallow else [surface(lesson, fit, parts)])]
    return Contest(lesson, trial, critic, tuple(others), tuple(notes))


def _verdict(contest: Contest, choice: Choice, anyway: bool, name: str) -> Training:
    """Keep what was learned where it has more pairs in order than the best of the others, else take that one."""
    rewards = {one.name: contest.rewards(one) for one in (contest.learned, *contest.baselines)}
    told = {name: figures(contest.trial, given) for name, given in rewards.items()}
    best = _best(contest.baselines, told)
    gained = gain(contest.trial, rewards["learned"], rewards[best.name])
    styled, alarms = _style(contest, choice), _foreign(choice)
    if "surface" in rewards and not _sure(gain(contest.trial, rewards["learned"], rewards["surface"])):
        alarms["surface"] = "what sees only length and layout judges no worse"
    if styled:
        alarms["heterogeneous"] = styled
        best = _best([one for one in contest.baselines if not one.shallow], told)
    ships = anyway or (_sure(gained) and not styled)
    return Training(
        _critic(contest.learned if ships else best, contest.lesson, choice, name),
        choice.trainer.name,
        choice.why,
        (*contest.notes, *(f"{alarm}: {said}" for alarm, said in alarms.items())),
        told.pop("learned"),
        told,
        gained,
        "" if ships else best.name,
        tuple(alarms),
        choice.trainer.loss(contest.lesson, contest.learned.rewards),
    )


def _best(contenders: Sequence[Contender], told: Mapping[str, Figures]) -> Contender:
    """The one with the most pairs in order, of equals the first."""

    def share(one: Contender) -> float:
        pairs = told[one.name].pairs
        return 0.0 if pairs is None else pairs.mean

    return max(contenders, key=share)


def _sure(gained: Interval | None) -> bool:
    """Whether the whole interval lies above 0."""
    return gained is not None and gained.low is not None and gained.low > 0


def _critic(taken: Contender, lesson: Lesson, choice: Choice, name: str) -> Learned:
    """The contender as a critic; probabilities are calibrated on questions that it had not seen."""
    trainer, calibration = choice.trainer, Calibration()
    if trainer.kind == "prob":
        calibration = calibrate(taken.rewards, lesson.labels, lesson.questions, lesson.weights)
    rows = [*choice.rows, *choice.beside]
    written = sorted({response.generator for row in rows for response in responses(row)} - {""})
    name = name or (trainer.name if taken.name == "learned" else taken.name)
    return Learned(
        trainer.name, taken.features, taken.model, calibration, trainer.kind, tuple(written), Trained.on(rows), name
    )


# -- reasons for caution ---------------------------------------------------------------------------------------------


def _style(contest: Contest, choice: Choice) -> str:
    """What is to be said where demonstrations are told by their style, "" where they are not.

    A discriminator that sees only the surface tells nearly as much as the one that sees all (Inverse-RLignment: Sun
    and van der Schaar, 2024).
    """
    if not isinstance(choice.trainer, Demonstrations):
        return ""
    full, flat = (auc(contest.lesson, one.rewards) for one in (contest.learned, _shallow(contest)))
    least, share = STYLE
    if flat < least or flat - 0.5 < share * (full - 0.5):
        return ""
    return (
        f"demonstrations are told by length and layout (AUC {flat:.2f}, with all features {full:.2f}), so the reward "
        "would be for a style; give demonstrations of the generator's own hand, written with good examples before it"
    )


def _shallow(contest: Contest) -> Contender:
    return next((one for one in contest.baselines if one.name == "surface"), contest.learned)


def _foreign(choice: Choice) -> dict[str, str]:
    """The alarm that demonstrations and responses are known to be written by different hands."""
    if not isinstance(choice.trainer, Demonstrations):
        return {}
    shown = [row for row in choice.rows if isinstance(row, Demonstration)]
    experts = {row.response.generator or row.source for row in shown} - {""}
    others = {response.generator for row in choice.beside for response in responses(row)} - {""}
    if not experts or not others or experts & others:
        return {}
    return {
        "heterogeneous": f"the demonstrations are by {', '.join(sorted(experts)[:3])}, the responses by "
        f"{', '.join(sorted(others)[:3])}: what sets them apart may be the hand, and not the quality"
    }
