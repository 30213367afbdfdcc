"""The loop (Sun & van der Schaar, 2024; Zelikman et al., 2022): search, label, train, audit, keep what is better."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias, TypedDict, Unpack

from thoughtgraph.api import as_policy, as_store
from thoughtgraph.budget import Budget
from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.checks import allowed
from thoughtgraph.learning.labels import LABELS, Evaluate, rows_of
from thoughtgraph.learning.learned import Learned, Trained
from thoughtgraph.learning.rows import AnyRow, Outcome, Row
from thoughtgraph.learning.splits import groups
from thoughtgraph.learning.training import Training, train_critic
from thoughtgraph.marks import mark
from thoughtgraph.model import Model
from thoughtgraph.protocols import Critic
from thoughtgraph.recipes.audit import aaudit
from thoughtgraph.recipes.audit_report import Report
from thoughtgraph.recipes.paired import LEVEL, chance
from thoughtgraph.recipes.runs import Done, Runs, patiently
from thoughtgraph.result import RunFailed
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.store import SQLiteStore, Store
from thoughtgraph.task import Task
from thoughtgraph.tasks.evaluation import evaluator
from thoughtgraph.thought import Json
from thoughtgraph.verbs import Policy, family, roles

Train: TypeAlias = Callable[[Sequence[AnyRow]], Training | Critic]
"""From rows to a critic."""

NOTHING = "no question was answered, and graded, with both critics"
"""Why nothing was decided."""


@dataclass(frozen=True)
class Round:
    """One round: what was learned from, what came of it, and whether it was kept.

    `current` and `candidate` are E with either critic on the questions that decide, `gap` their difference run by run,
    and `chance` how likely such a gap is where the candidate is no better (`paired.chance`). `audit` is what the
    candidate is worth on rows from those questions. `paths` are the answers of this round that the evaluator verified:
    rows to teach the generator with, whatever became of the critic. What may not be trained on is in neither.
    """

    number: int
    rows: int
    accepted: bool
    why: str
    critic: Critic | None = field(repr=False)
    training: Training | None = field(default=None, repr=False)
    current: Interval | None = None
    candidate: Interval | None = None
    gap: Interval | None = None
    chance: float | None = None
    audit: Report | None = field(default=None, repr=False)
    paths: tuple[Outcome, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"round {self.number}: {'accepted' if self.accepted else 'rejected'}, {self.why}"

    def to_json(self) -> Json:
        """As JSON data, without the critic and the paths."""
        means = {name: _json(getattr(self, name)) for name in ("current", "candidate", "gap")}
        told = {"number": self.number, "rows": self.rows, "accepted": self.accepted, "why": self.why, **means}
        told |= {"chance": self.chance}
        training = self.training.to_json() if self.training else None
        audit = self.audit.to_json() if self.audit else None
        return {**told, "paths": len(self.paths), "training": training, "audit": audit}


@dataclass(frozen=True)
class Improvement:
    """What the loop came to: the last critic that was kept, and what it is worth on questions that decided nothing.

    `first` and `last` are E with the first and the last critic there, `gain` their difference; all None where no round
    was accepted. `split` says how many questions were learned from, decided, and reported on.
    """

    critic: Critic = field(repr=False)
    rounds: tuple[Round, ...]
    split: tuple[int, int, int]
    first: Interval | None = None
    last: Interval | None = None
    gain: Interval | None = None

    @property
    def paths(self) -> list[Outcome]:
        """The verified answers of all rounds, each once."""
        found = {(row.id, row.response.text): row for one in self.rounds for row in one.paths}
        return list(found.values())

    def __str__(self) -> str:
        learned, deciding, reported = self.split
        head = f"{learned} questions learned from, {deciding} decide, {reported} reported on; intervals are 95 %"
        gained = f"from first to last {self.first} -> {self.last}, {self.gain.signed}" if self.gain else "nothing kept"
        return "\n".join([head, *map(str, self.rounds), gained, f"{len(self.paths)} verified answers to teach with"])

    def to_json(self) -> Json:
        """As JSON data, without the critic and the paths."""
        means = {name: _json(getattr(self, name)) for name in ("first", "last", "gain")}
        rounds = [one.to_json() for one in self.rounds]
        return {"split": list(self.split), **means, "rounds": rounds, "paths": len(self.paths)}


class Loop(TypedDict, total=False):
    """What `aimprove` may be told beside the tasks, the policy and the budget; `improve` says what each means."""

    critic: str
    rounds: int
    train: Train | None
    labeller: Policy | str | None
    labels: Sequence[Any]
    evaluate: Evaluate | None
    split: tuple[float, float]
    seeds: int
    seed: int
    store: Store | str | os.PathLike[str] | None
    model: Model | str | None
    models: Mapping[str, Model | str] | None
    base_url: str | None
    workers: int
    on_round: Callable[[Round], None] | None


def improve(tasks: Sequence[Task], *, policy: Policy | str, budget: Budget, **how: Unpack[Loop]) -> Improvement:
    """Use a search to make its own critic better: search, label, train, audit, and keep only what is better for sure.

    Each of the `rounds` (3) searches its share of the questions to learn from by `labeller`, by default `Labelled`:
    the `policy` with the critic of the day, and then rollouts from what it came by. `labels` ("steps") says which rows
    are made of these searches, when they are over, by `evaluate`, which tells right answers from wrong ones and never
    enters a search. `train` makes a critic of all rows so far, by default `train_critic`. The candidate takes the place
    of the task's critic named `critic` ("value") where the policy, with the same seeds and within the same `budget`
    for a run, answers the deciding questions better: where the 95 % interval of the paired difference lies above 0,
    and an exact test (`paired.chance`) agrees. One that is no better is kept by luck in 2.5 % of the rounds at most;
    over several rounds that adds up, so what was kept is worth its `gain`, on questions that decided nothing.

    `split` gives the shares of the questions that are learned from and that decide, (0.5, 0.25); the others are only
    reported on, at the end. No two shares hold the same question, nor nearly the same, and which question is where
    depends on the questions alone. `seeds` (1) runs a question each. With a `store` everything is kept there: called
    again, the loop goes on where it was stopped, and pays nothing twice. A single run that fails is left out, and
    tried again next time; with a later critic it counts as no answer, so that nothing is gained by failing. `model`,
    `models` and `base_url` are as in `solve`; `on_round` hears of rounds.

    Raises `TaskError` where the questions are too few, stand there twice, or nobody can evaluate them, and `RunFailed`
    where run after run fails.
    """
    kept = "nothing is kept without a store" if how.get("store") is None else "improve again with the same store"
    return patiently(lambda: aimprove(tasks, policy=policy, budget=budget, **how), kept)


async def aimprove(tasks: Sequence[Task], *, policy: Policy | str, budget: Budget, **how: Unpack[Loop]) -> Improvement:
    """`improve` for code that is async already. Cancelling it stops the runs, recorded and resumable."""
    if unknown := how.keys() - Loop.__annotations__.keys():
        raise TypeError(f"there is no argument {min(unknown)!r}: expected {', '.join(Loop.__annotations__)}")
    given = how.get("store")
    store = as_store(given)
    try:
        return await _work(list(tasks), policy, budget, store, how)()
    finally:
        if isinstance(store, SQLiteStore) and store is not given:
            store.close()


# -- before anything is spent ------------------------------------------------------------------------------------------


def _work(tasks: list[Task], policy: Policy | str, budget: Budget, store: Store, how: Loop) -> Work:
    rounds, seeds, seed = how.get("rounds", 3), how.get("seeds", 1), how.get("seed", 0)
    at_least(1, rounds=rounds, seeds=seeds, workers=how.get("workers", 8))
    parts = parted(tasks, how.get("split", (0.5, 0.25)), rounds)
    name, evaluate = tasks[0].critic(how.get("critic", "value")), how.get("evaluate") or evaluator
    _gradable(tasks, evaluate)
    chosen, labeller = as_policy(policy, tasks[0]), how.get("labeller")
    told = _sound(tasks[0], chosen, name, budget, how.get("labels", ("steps",)))
    walks = Labelled(chosen) if labeller is None else as_policy(labeller, tasks[0])
    runs = Runs(store, budget, how.get("model"), how.get("models") or {}, how.get("base_url"), how.get("workers", 8))
    train: Train = how.get("train") or partial(train_critic, seed=seed)
    span = range(seed, seed + seeds)
    return Work(parts, chosen, walks, name, evaluate, runs, train, told, span, how.get("on_round"))


def _sound(task: Task, policy: Policy, name: str, budget: Budget, labels: Sequence[Any]) -> tuple[Any, ...]:
    """The labels, where these and the rest can work."""
    if not isinstance(budget, Budget) or not (budget.limits or budget.seconds):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the budget is {budget}: expected one limit for every run, as in tg.Budget(calls=40)")
    if isinstance(labels, str) or not labels or set(labels) - set(LABELS):
        raise TaskError(f"the labels are {labels!r}: expected some of {', '.join(LABELS)}, as in labels=('steps',)")
    asked = {task.critic(critic) for one in family(policy) for critic in roles(one)[1]}
    if asked and name not in asked:
        raise TaskError(
            f"the policy asks {', '.join(sorted(asked))} and never {name!r}, so no candidate could change anything: "
            "name the critic that it asks, as in critic=..."
        )
    return tuple(labels)


def parted(tasks: Sequence[Task], split: tuple[float, float], rounds: int) -> tuple[tuple[Task, ...], ...]:
    """The questions of each round, those that decide, and those reported on, in the order of their digests.

    Questions that are the same but for a few words stand together, where the first of them belongs.
    """
    known = {(task.name, task.x) for task in tasks}
    if len(known) < len(tasks):
        raise TaskError(
            f"{len(tasks) - len(known)} questions stand there twice: they would be on both sides of a split"
        )
    learned, deciding = _shares(split)
    order = sorted(tasks, key=lambda task: sha256(f"{task.name}/{task.x}".encode()).hexdigest())
    kin = groups(Row(question=task.x, id=str(number), problem=task.problem) for number, task in enumerate(order))
    first = [int(kin[str(number)]) for number in range(len(order))]
    cuts = (round(learned * len(order)), round((learned + deciding) * len(order)))
    learn, decide, report = (
        tuple(task for task, at in zip(order, first, strict=True) if low <= at < high)
        for low, high in zip((0, *cuts), (*cuts, len(order)), strict=True)
    )
    if len(learn) < rounds or min(len(decide), len(report)) < 2:
        raise TaskError(f"{len(tasks)} questions are too few for {rounds} rounds and a split of {split}: give more")
    return (*(learn[number::rounds] for number in range(rounds)), decide, report)


def _shares(split: Sequence[float]) -> tuple[float, float]:
    with contextlib.suppress(TypeError, ValueError):
        learned, deciding = split
        if learned > 0 and deciding > 0 and learned + deciding < 1:
            return learned, deciding
    raise TaskError(f"split is {split!r}: expected the shares to learn from and to decide on, below 1 in all")


def _gradable(tasks: Sequence[Task], evaluate: Evaluate) -> None:
    lost = next((task for task in tasks if evaluate(task) is None), None)
    if lost is not None:
        raise TaskError(
            f"nobody knows which answers to {lost.x!r:.60} are right: give the evaluator, as in "
            "evaluate=lambda task: lambda answer: answer == truth[task.x]"
        )


# -- the rounds --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seat:
    """Who has the critic's place: one that was trained, or (None) each task's own.

    `of` says what it was made of, where its mark may not: two critics that look alike must not share their runs.
    """

    critic: Critic | None = None
    of: str = ""


@dataclass
class Work:
    """A loop that is ready to go."""

    parts: tuple[tuple[Task, ...], ...]
    policy: Policy
    labeller: Policy
    name: str
    evaluate: Evaluate
    runs: Runs
    train: Train
    labels: tuple[Any, ...]
    seeds: range
    listen: Callable[[Round], None] | None
    rows: list[AnyRow] = field(default_factory=list[AnyRow])

    async def __call__(self) -> Improvement:
        """All rounds, and then what they were worth."""
        *shares, deciding, reported = self.parts
        current = first = Seat()
        held, done = await self._labelled(deciding, first), list[Round]()
        for number, share in enumerate(shares, 1):
            made, candidate = await self._round(number, share, current, deciding, held)
            current = candidate if made.accepted else current
            done.append(made)
            if self.listen:
                self.listen(made)
        split = (sum(map(len, shares)), len(deciding), len(reported))
        if current.critic is None:
            return Improvement(shares[0][0].critics[self.name], tuple(done), split)
        before, after = await self._solved(reported, first), await self._solved(reported, current)
        gain = difference(after, before)
        return Improvement(current.critic, tuple(done), split, interval(before), interval(after), gain)

    async def _round(
        self, number: int, share: Sequence[Task], current: Seat, deciding: Sequence[Task], held: Sequence[AnyRow]
    ) -> tuple[Round, Seat]:
        """Search, label, train, audit, decide; the round, and the candidate."""
        found = await self._labelled(share, current)
        self.rows += [row for row in found if row.kind in _kinds(self.labels)]
        paths = tuple(row for row in found if isinstance(row, Outcome) and row.value == 1 and row.train)
        try:
            learned = await asyncio.to_thread(self.train, allowed(self.rows)[0])
        except TaskError as error:
            why = f"nothing could be trained: {error}"
            return Round(number, len(self.rows), False, why, None, paths=paths), current
        critic, training = (learned.critic, learned) if isinstance(learned, Training) else (learned, None)
        made = Round(number, len(self.rows), False, "training gave no critic", critic, training, paths=paths)
        candidate = self._seat(critic)
        return (made if critic is None else await self._decided(made, candidate, current, deciding, held)), candidate

    def _seat(self, critic: Critic | None) -> Seat:
        """A learned critic says by its digest what it is; of any other nobody knows what its mark leaves out."""
        told = isinstance(critic, Learned | None)
        return Seat(critic, "" if told else f"{mark(self.train)} {Trained.on(self.rows).digest}")

    async def _decided(
        self, made: Round, candidate: Seat, current: Seat, deciding: Sequence[Task], held: Sequence[AnyRow]
    ) -> Round:
        """Keep the candidate where the policy answers more of the deciding questions with it, beyond doubt."""
        before, after = await self._solved(deciding, current), await self._solved(deciding, candidate)
        gap, luck = difference(after, before), chance(after, before)
        accepted = gap is not None and gap.low is not None and gap.low > 0 and luck <= LEVEL
        why = f"E {interval(before)} -> {interval(after)}, {gap.signed} (p = {luck:.2g})" if gap else NOTHING
        return replace(
            made, accepted=accepted, why=why, current=interval(before),
            candidate=interval(after), gap=gap, chance=luck, audit=await self._audited(made.critic, held),
        )  # fmt: skip

    async def _audited(self, critic: object, held: Sequence[AnyRow]) -> Report | None:
        """What the critic is worth on rows of the deciding questions; None where they can tell nothing."""
        with contextlib.suppress(TaskError, RunFailed):
            return await aaudit(critic, [row for row in held if row.kind in _kinds(self.labels)], trained=self.rows)
        return None

    async def _labelled(self, tasks: Sequence[Task], seat: Seat) -> list[AnyRow]:
        """Search, and only then grade: rows of the kinds that are wanted, and the outcomes beside them."""
        dressed = self._with(tasks, seat)
        done = await self.runs.all(dressed, self.labeller, self.seeds, seat.of)
        wanted = tuple(dict.fromkeys((*self.labels, "outcomes")))
        rollout = getattr(self.labeller, "rollout", None)
        return await asyncio.to_thread(
            rows_of, self.runs.store, dressed, runs=[one.run for row in done for one in row], evaluate=self.evaluate,
            labels=wanted, rollout=rollout,
        )  # fmt: skip

    async def _solved(self, tasks: Sequence[Task], seat: Seat) -> list[list[float | None]]:
        """E of the policy with this critic: a row for each question, a number for each seed.

        A run that failed is unknown with the first critic, and no answer with a later one: else a critic would gain
        by breaking down where a question is hard.
        """
        dressed = self._with(tasks, seat)
        done = await self.runs.all(dressed, self.policy, self.seeds, seat.of)
        failed = None if seat.critic is None else 0.0
        return [
            [failed if one.error else self._grade(task, one) for one in row]
            for task, row in zip(dressed, done, strict=True)
        ]

    def _grade(self, task: Task, one: Done) -> float | None:
        """E of an answer, 0 of none at all; None where the evaluator cannot tell."""
        grade = self.evaluate(task)
        assert grade is not None
        said = 0.0 if one.answer is None else grade(one.answer)
        if said is not None and not 0 <= said <= 1:
            raise TaskError(f"{one.answer!r:.80} was graded {said!r}: expected a number from 0 to 1, or None")
        return None if said is None else float(said)

    def _with(self, tasks: Sequence[Task], seat: Seat) -> list[Task]:
        """The tasks with this critic; a learned one reads answers as the task does, and as it was taught."""
        if seat.critic is None:
            return list(tasks)
        return [replace(task, critics={**task.critics, self.name: reading(seat.critic, task)}) for task in tasks]


def reading(critic: Critic, task: Task) -> Critic:
    """The critic, with the task's own way to read an answer off a path where it needs one."""
    return replace(critic, claim=task.claim) if isinstance(critic, Learned) and critic.claim is None else critic


def _kinds(labels: Sequence[str]) -> set[str]:
    """The rows that labels are made into."""
    return {{"outcomes": "outcome", "steps": "steps", "siblings": "preference"}[label] for label in labels}


def _json(said: Interval | None) -> Json:
    return None if said is None else said.to_json()
