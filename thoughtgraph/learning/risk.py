"""Stopping by risk: a threshold with a guarantee (Learn-then-Test: Angelopoulos et al., 2021; Bates et al., 2021).

An answer is accepted where its critic's score reaches a threshold; of all others the rule abstains. The threshold is
fitted on questions whose right answers are known, so that with confidence 1 - delta the risk is at most alpha. No
assumption is made about the critic: a bad one only means that little or nothing is accepted. What is assumed is
exchangeability: the next questions are drawn as these were, and are answered by the same generator and judged by the
same critic. A rule that is asked about another one refuses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, groupby
from math import ceil, exp, fsum, inf, isfinite, lgamma, log, log1p
from numbers import Real
from random import Random
from typing import Any, ClassVar, Literal, TypeAlias, cast, get_args

from thoughtgraph.errors import TaskError
from thoughtgraph.thought import Json, Score

SCHEMA = 1
"""The version of a rule's JSON."""

Kind: TypeAlias = Literal["joint", "selective"]
"""Which risk is bounded; see `fit`."""

STEPS = 100
"""So many thresholds are tried at most for the selective risk."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question of those that a rule is fitted on: the score of the one answer chosen for it, and if that is right.

    The answer must be the one that the rule will be asked about: where a search stops at the first answer that is
    accepted, that is the highest-scored of all that it would look at. `score` is None where the critic abstained.
    """

    question: str
    score: float | None
    right: bool

    def __post_init__(self) -> None:
        _value(self.score)
        if self.right not in (True, False):
            raise TaskError(f"{self.question!r:.80}: right is {self.right!r}: expected True or False")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When to accept: at a score of at least `threshold`, None where it cannot be done with this critic.

    `why` says why not. `n` counts the questions that it was tested on; as shares of them, `wrong` is how many answers
    were wrong, `accepted` how many the rule accepts, `mistaken` how many it accepts that are wrong. These describe, and
    alpha is what is guaranteed, in the long run and among the next `coming` questions. `generator`, `critic` and
    `features` are the marks of what it holds for.
    """

    threshold: float | None
    why: str = ""
    kind: Kind = "joint"
    alpha: float
    delta: float
    n: int
    coming: int
    wrong: float
    accepted: float
    mistaken: float
    generator: str
    critic: str
    features: str = ""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        _levels(self.kind, self.alpha, self.delta)
        _value(self.threshold)
        if not 0 <= self.mistaken <= self.accepted <= 1 or not self.mistaken <= self.wrong <= 1:
            raise TaskError("a rule's shares do not fit each other: expected 0 <= mistaken <= accepted, wrong <= 1")
        if (self.threshold is None) != bool(self.why):
            raise TaskError("a rule has either a threshold or a reason why there is none: expected one of them")

    @property
    def feasible(self) -> bool:
        """Can it be done with this critic?"""
        return self.threshold is not None

    @property
    def floor(self) -> float:
        """The share that even a perfect critic must abstain from, where so many answers are wrong."""
        return least_abstained(self.wrong, self.alpha, self.kind)

    def accepts(self, score: Score | float | None, *, generator: str, critic: str, features: str = "") -> bool:
        """May an answer with this score be accepted? Never without a score, and never where the rule is infeasible.

        `TaskError` where generator, critic or features are others than it was fitted for: it says nothing of them.
        """
        self._same("generator", self.generator, generator)
        self._same("critic", self.critic, critic)
        self._same("features", self.features, features)
        value = _value(score.value if isinstance(score, Score) else score)
        return value is not None and self.threshold is not None and value >= self.threshold

    def _same(self, what: str, fitted: str, asked: str) -> None:
        if fitted != asked:
            raise TaskError(
                f"the rule was fitted for {what} {fitted!r} and is asked about {asked!r}: its guarantee ends there, as "
                "the answers are no longer exchangeable with those it was fitted on; fit a rule on answers of this one"
            )

    def to_json(self) -> dict[str, Json]:
        """As JSON data, with the schema's version."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, told: Json) -> Rule:
        """From `to_json`'s data; `TaskError` says what is wrong with it."""
        from pydantic import TypeAdapter, ValidationError

        fields = dict(cast("dict[str, Json]", told)) if isinstance(told, dict) else {}
        if type(schema := fields.pop("schema", None)) is not int or schema != SCHEMA:
            raise TaskError(f"this is no rule of schema {SCHEMA}: expected what to_json of this version gives")
        try:
            return TypeAdapter(cls).validate_python(fields)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise TaskError(f"the rule's {'.'.join(map(str, fault['loc'])) or 'JSON'}: {fault['msg']}") from None


def fit(
    cases: Iterable[Case],
    *,
    generator: str,
    critic: str,
    features: str = "",
    alpha: float = 0.1,
    delta: float = 0.05,
    kind: Kind = "joint",
    coming: int | None = None,
    least: float = 0.05,
    seed: int = 0,
) -> Rule:
    """The rule that accepts the most, so that with confidence 1 - delta its risk on further questions is <= alpha.

    "joint" bounds P(accepted and wrong), the share of all questions that end with a wrong answer. All cases test it,
    and since the risk only falls as the threshold rises, every threshold is tested at no extra price. "selective"
    bounds P(wrong | accepted), which is stricter: the answers that are shown can be relied on one by one. It implies
    the joint one in the long run, and accepts less: a third of the cases (drawn by `seed`) goes into choosing what is
    tested, and n counts the others.

    The joint risk is at most alpha in the long run and, as counted, among the next `coming` questions too (None: as
    many as there are cases). That is stricter, since those are a sample as well: the fewer, the less is accepted; 0 is
    for the long run only. The selective risk is bounded in the long run, and what is accepted of a few questions may
    hold more mistakes. The confidence is over the draw of cases and questions: in delta of all fits the promise fails.

    Accepting nothing keeps every promise, so "infeasible" says that no threshold is of use: the cases are too few to
    show anything, or fewer than `least` of the questions would be accepted and right, or (joint) a coin in the critic's
    place would accept as much with as few mistakes. Then `threshold` is None, and `why` says which.

    Questions are the unit: one case each. Answers of several generators are exchangeable only with the same mix of
    them, so fit a rule for each, or give the mix a mark of its own. Scores of equal value stand or fall together.
    """
    _levels(kind, alpha, delta)
    _usable(kind, coming, least)
    given, ahead = _one_each(cases), 0 if kind == "selective" else coming
    if kind == "joint":
        trial, threshold = given, _joint(given, alpha, delta, ahead)
    else:
        trial, threshold = _selective(given, alpha, delta, seed)
    accepted = _above(trial, threshold)
    why = _why(trial, accepted, alpha, delta, kind, ahead, least)
    kept = [] if why else accepted
    return Rule(
        threshold=None if why else threshold, why=why, kind=kind, alpha=alpha, delta=delta,
        n=len(trial), coming=len(trial) if ahead is None else ahead,
        wrong=_share(_wrong(trial), trial), accepted=_share(len(kept), trial), mistaken=_share(_wrong(kept), trial),
        generator=generator, critic=critic, features=features,
    )  # fmt: skip


# -- what so few mistakes show ---------------------------------------------------------------------------------------


def p_value(wrong: int, n: int, alpha: float) -> float:
    """P(Bin(n, alpha) <= wrong): how likely so few mistakes are where the risk is above alpha (Clopper-Pearson)."""
    return min(1.0, fsum(exp(_chosen(n, k) + k * log(alpha) + (n - k) * log1p(-alpha)) for k in range(wrong + 1)))


def p_value_among(wrong: int, n: int, alpha: float, coming: int) -> float:
    """How likely so few mistakes among n are where the next `coming` questions hold more than alpha of them.

    P(at most `wrong` of them come among the n), of the fewest mistakes that would break the promise, drawn blindly from
    all n + coming questions. The more are coming, the nearer it is to the binomial p-value.
    """
    return _drawn(wrong, n, wrong + int(alpha * coming + 1e-9) + 1, n + coming)


def passes(wrong: int, n: int, alpha: float, delta: float, coming: int | None = None) -> bool:
    """Do so few mistakes among n show what is promised of the long run and of the next `coming` questions?

    None stands for as many as n, 0 for the long run only. What equals delta but for rounding passes.
    """
    ahead = n if coming is None else coming
    among = p_value_among(wrong, n, alpha, ahead) if ahead else 0.0
    return max(p_value(wrong, n, alpha), among) <= delta * (1 + 1e-9)


def fewest(alpha: float, delta: float, coming: int | None = None) -> int:
    """The smallest n that shows anything, if there is no mistake at all.

    For the long run it is log(delta) / log(1 - alpha), rounded up: 29 for 0.1 and 0.05. The next `coming` questions
    ask for a few more.
    """
    least = ceil(log(delta) / log1p(-alpha) - 1e-9)
    return next(n for n in count(least) if passes(0, n, alpha, delta, coming))


def least_abstained(wrong: float, alpha: float, kind: Kind = "joint") -> float:
    """The share that even a perfect critic must abstain from, where a share `wrong` of all answers is wrong.

    It abstains from wrong answers only: wrong - a <= alpha for the joint risk, so a >= wrong - alpha; and
    (wrong - a) / (1 - a) <= alpha for the selective one, so a >= (wrong - alpha) / (1 - alpha).
    """
    return max(0.0, (wrong - alpha) / (1 if kind == "joint" else 1 - alpha))


# -- the threshold ---------------------------------------------------------------------------------------------------


def _joint(cases: Sequence[Case], alpha: float, delta: float, coming: int | None) -> float | None:
    """The lowest score whose mistakes pass the test; they only grow on the way down, so the first failure ends it."""
    most = _most(len(cases), alpha, delta, coming)
    threshold, mistakes = None, 0
    for score, group in groupby(sorted(_scores(cases), reverse=True), key=lambda pair: pair[0]):
        mistakes += sum(not right for _, right in group)
        if mistakes > most:
            break
        threshold = float(score)
    return threshold


def _most(n: int, alpha: float, delta: float, coming: int | None) -> int:
    """The most mistakes among n that still pass the test; -1 where not even none does."""
    return bisect_left(range(n), 1, key=lambda wrong: not passes(wrong, n, alpha, delta, coming)) - 1


def _selective(cases: Sequence[Case], alpha: float, delta: float, seed: int) -> tuple[list[Case], float | None]:
    """Fixed-sequence testing: one part of the cases says what to test in which order, the other part tests it.

    The sequence begins where that first part is surest, and goes down for as long as each threshold passes.
    """
    first, trial = _parted(cases, seed)
    passed = None
    for threshold in _sequence(first, alpha):
        accepted = _above(trial, threshold)
        if not passes(_wrong(accepted), len(accepted), alpha, delta, coming=0):
            break
        passed = float(threshold)
    return trial, passed


def _sequence(cases: Sequence[Case], alpha: float) -> list[float]:
    """Thresholds to be tested, from the one that these cases support best downwards."""
    scores = sorted({score for score, _ in _scores(cases)}, reverse=True)
    grid = scores[:: ceil(len(scores) / STEPS)] if scores else []

    def doubt(threshold: float) -> float:
        accepted = _above(cases, threshold)
        return p_value(_wrong(accepted), len(accepted), alpha)

    return grid[min(range(len(grid)), key=lambda i: doubt(grid[i])) :] if grid else []


def _parted(cases: Sequence[Case], seed: int) -> tuple[list[Case], list[Case]]:
    """A third of the cases and the rest: always the same of the same questions, whatever their order."""
    drawn = sorted(cases, key=lambda case: case.question)
    Random(f"risk {seed}").shuffle(drawn)
    return drawn[: len(drawn) // 3], drawn[len(drawn) // 3 :]


# -- is it of use? ---------------------------------------------------------------------------------------------------


def _why(
    trial: Sequence[Case],
    accepted: Sequence[Case],
    alpha: float,
    delta: float,
    kind: Kind,
    coming: int | None,
    least: float,
) -> str:
    """Why no threshold is of use; "" where one is.

    That the threshold was chosen by its mistakes does no harm to Fisher's test: to accept at least so many before the
    next mistake comes is the same event.
    """
    n, wrong, mistakes = len(trial), _wrong(trial), _wrong(accepted)
    base, right = _share(wrong, trial), len(accepted) - mistakes
    told = (
        f"{base:.0%} of the answers are wrong, so even a perfect critic abstains from "
        f"{least_abstained(base, alpha, kind):.0%}"
    )
    if not passes(0, n, alpha, delta, coming):
        return f"{n} questions show nothing at this confidence: expected {fewest(alpha, delta, coming)} or more"
    if n - wrong < least * n:
        return f"{told}, and no critic can find {least:.0%} of right ones: a better generator is needed"
    if all(case.score is None for case in trial):
        return "the critic abstained from all of the answers: there is no score to put a threshold on"
    if not accepted:
        return f"even the answers with the highest scores are wrong too often for a risk of {alpha:g}: {told}"
    if right < least * n:
        return f"only {right / n:.1%} of the questions would be accepted and right, below {least:.0%}: {told}"
    if kind == "joint" and base > alpha and (chance := _drawn(mistakes, len(accepted), wrong, n)) > delta:
        return (
            f"a coin would do as well as the critic (p = {chance:.2g}): of what it accepts, {mistakes} of "
            f"{len(accepted)} are wrong, of all {base:.0%}: {told}"
        )
    return ""


# -- counts and checks -----------------------------------------------------------------------------------------------


def _scores(cases: Iterable[Case]) -> list[tuple[float, bool]]:
    """The scores that there are, each with whether its answer is right."""
    return [(case.score, case.right) for case in cases if case.score is not None]


def _above(cases: Iterable[Case], threshold: float | None) -> list[Case]:
    bar = inf if threshold is None else threshold
    return [case for case in cases if case.score is not None and case.score >= bar]


def _wrong(cases: Iterable[Case]) -> int:
    return sum(not case.right for case in cases)


def _share(part: int, cases: Sequence[Case]) -> float:
    return part / len(cases) if cases else 0.0


def _drawn(mistakes: int, accepted: int, wrong: int, n: int) -> float:
    """P(at most so many of `wrong` among `accepted`, drawn blindly from n): the hypergeometric tail, Fisher's test."""
    rest = _chosen(n, accepted)
    ways = range(max(0, accepted - (n - wrong)), min(mistakes, accepted, wrong) + 1)
    return min(1.0, fsum(exp(_chosen(wrong, k) + _chosen(n - wrong, accepted - k) - rest) for k in ways))


def _chosen(n: int, k: int) -> float:
    """Log of n choose k."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _one_each(cases: Iterable[Case]) -> list[Case]:
    """The cases, or `TaskError` where a question has two."""
    seen = dict[str, Case]()
    for case in cases:
        if case.question in seen:
            raise TaskError(
                f"the question {case.question!r:.80} has more than one case: expected the one answer that is chosen "
                "for it, since several answers of a question are not independent"
            )
        seen[case.question] = case
    return list(seen.values())


def _levels(kind: Kind, alpha: float, delta: float) -> None:
    if kind not in get_args(Kind):
        raise TaskError(f"the kind of risk is {kind!r}: expected one of {', '.join(get_args(Kind))}")
    for name, level in {"alpha": alpha, "delta": delta}.items():
        if not 0 < level < 1:
            raise TaskError(f"{name} is {level!r}: expected a share between 0 and 1, such as 0.1")


def _usable(kind: Kind, coming: int | None, least: float) -> None:
    if coming is not None and (type(coming) is not int or coming < 0 or (coming and kind == "selective")):
        raise TaskError(f"coming is {coming!r}: expected a number of questions, and 0 or None for the selective risk")
    if not 0 <= least < 1:
        raise TaskError(f"least is {least!r}: expected a share from 0 to below 1, such as 0.05")


def _value(score: float | None) -> float | None:
    number = isinstance(score, Real) and isfinite(score)
    if score is not None and not number:
        raise TaskError(f"a score is {score!r:.80}: expected a finite number, or None where the critic abstained")
    return score
