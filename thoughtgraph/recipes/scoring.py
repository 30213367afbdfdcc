"""Asking any critic about recorded responses: one that judges rows at once, any other in a search that replays them."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypedDict, cast

from thoughtgraph.api import Run, again, as_model, as_models, as_store, begun, speaking
from thoughtgraph.budget import Budget, Usage
from thoughtgraph.cache import Cache
from thoughtgraph.contracts import checked_scores
from thoughtgraph.environment import settled
from thoughtgraph.errors import StoreError, TaskError, Unauthorized, at_least
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.labels import Labels
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.rows import AnyRow, sendable
from thoughtgraph.marks import mark
from thoughtgraph.model import Model, Price
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.retry import Retry
from thoughtgraph.state import State
from thoughtgraph.store import SQLiteStore, Store, digest
from thoughtgraph.task import Task
from thoughtgraph.thought import Draft, Ito, Json, Passage, Score, Thought
from thoughtgraph.verbs import Search

STREAK = 3
"""So many questions whose runs failed in a row, without one that did not, end the asking."""


class Asking(TypedDict, total=False):
    """What a critic that speaks to a model is asked with; as in `solve`, but that `budget` is for all questions."""

    model: Model | str | None
    models: Mapping[str, Model | str] | None
    base_url: str | None
    price: Price | None
    budget: Budget | None
    store: Store | str | os.PathLike[str] | None
    cache: Cache | str | os.PathLike[str] | bool | None
    retry: Retry | None
    seed: int
    workers: int


@dataclass(frozen=True)
class Put:
    """What is put to a critic as one set: the responses to one question, or the beginnings of one response.

    `whole` says that they are whole responses; `labels` are those of the private knowledge that went into them.
    """

    id: str
    examples: tuple[Example, ...]
    whole: bool = True
    labels: tuple[Labels, ...] = ()

    def order(self, seed: int) -> list[int]:
        """In which order they are shown: by chance, so that a liking for a place is a liking for nothing else."""
        return random.Random(f"{seed}/{self.id}").sample(range(len(self.examples)), len(self.examples))


@dataclass(frozen=True)
class Asked:
    """What a critic said: a score for each example of each set, or None for a set that it could not be asked about.

    `cpu` is in seconds of this process, `usage` what was paid by all runs, also earlier ones that were read from the
    store. `stopped` says why sets are missing, if any are, and `notes` what the runs had to say.
    """

    scores: tuple[tuple[Score, ...] | None, ...]
    cpu: float = 0.0
    usage: Usage = field(default_factory=Usage)
    stopped: str = ""
    notes: tuple[str, ...] = ()


async def ask(critic: object, puts: Sequence[Put], **how: Any) -> Asked:
    """The critic's scores of each set, in the order of its examples; `how` is `Asking`.

    A critic with `judge(examples)` is asked directly. Any other is a critic as searches have it, and judges thoughts:
    a run for each set, whose only actions replay the recorded responses. With a store, runs are kept under ids of
    their own, and none is paid twice.
    """
    if unknown := how.keys() - Asking.__annotations__.keys():
        raise TypeError(f"there is no argument {min(unknown)!r}: expected {', '.join(Asking.__annotations__)}")
    began = time.process_time()
    asked = (
        _judged(critic, puts, how.get("seed", 0)) if hasattr(critic, "judge") else await _replayed(critic, puts, how)
    )
    return replace(asked, cpu=time.process_time() - began)


def _judged(critic: Any, puts: Sequence[Put], seed: int) -> Asked:
    found = list[tuple[Score, ...]]()
    for put in puts:
        order = put.order(seed)
        scores = checked_scores(critic.judge([put.examples[i] for i in order]), "critic", len(order))
        found.append(_unshuffled(order, scores))
    return Asked(tuple(found))


def _unshuffled(order: Sequence[int], scores: Sequence[Score]) -> tuple[Score, ...]:
    by_place = dict(zip(order, scores, strict=True))
    return tuple(by_place[i] for i in range(len(order)))


# -- in a search that replays ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replay:
    """The action that says again what was recorded: the next of `contents` below those that are there already."""

    contents: tuple[Json, ...]
    whole: bool = True

    def __call__(self, state: State, n: int) -> list[Draft]:
        """The one draft that follows."""
        at = len(state.path) - 1
        return [Draft(self.contents[at], done=self.whole and at + 1 == len(self.contents))]


@dataclass(frozen=True)
class Guarded:
    """A critic of responses that private knowledge went into: what it asks goes to no model that the labels forbid."""

    critic: Any
    labels: tuple[Labels, ...]

    @property
    def ito(self) -> Ito:
        """The critic's own word."""
        return getattr(self.critic, "ito", "proxy")

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """What the critic says."""
        origins = [Passage("", "what the rows were made from", labels=labels) for labels in self.labels]
        return await settled(self.critic([state.knowing(*origins) for state in states]))


@dataclass(frozen=True)
class Recital:
    """The policy that has every response replayed to its end, and all of them judged as one set."""

    depths: tuple[int, ...]
    acts: tuple[str, ...] = ()
    critic: str = "critic"

    async def __call__(self, search: Search) -> Thought | None:
        """Replay, score; there is nothing to choose."""
        ends = await search.gather(*(self._end(search, number) for number in range(len(self.depths))))
        await search.score(ends, self.critic)
        return None

    async def _end(self, search: Search, number: int) -> Thought:
        thought = search.root
        for _ in range(self.depths[number]):
            (thought,) = await search.expand(thought, action=str(number), n=1, merge=False)
        return thought


def ends(graph: ThoughtGraph, run: Recital) -> list[Thought]:
    """The last thought of each replayed response, in the order in which they were shown."""
    last = dict[str, Thought]()
    for thought in graph:
        if thought.parents:
            last[thought.action] = max(last.get(thought.action, thought), thought, key=lambda t: t.depth)
    return [last[str(number)] for number in range(len(run.depths))]


@dataclass(frozen=True)
class Job:
    """One set, ready to be asked about: its task, its policy, and an id that says all that it is made with.

    `chance` is the seed that its run gets, another for every set: what sets share by chance, no interval shows.
    """

    put: Put
    order: tuple[int, ...]
    task: Task
    recital: Recital
    chance: int
    run: str


def _job(critic: Any, put: Put, seed: int, speakers: tuple[Model | None, Mapping[str, Model]]) -> Job:
    order = put.order(seed)
    told = [_contents(put.examples[i]) for i in order]
    first = put.examples[0]
    task = Task(
        first.question if first.problem is None else first.problem,
        actions={str(number): Replay(contents, put.whole) for number, contents in enumerate(told)},
        critics={"critic": Guarded(critic, put.labels) if put.labels else critic}, x=first.question, merge=False,
        name="audit",
    )  # fmt: skip
    names = [speakers[0].name if speakers[0] else "", *(f"{role}={model.name}" for role, model in speakers[1].items())]
    private = [mark(put.labels)] if put.labels else []
    made = repr(
        (mark(critic), put.id, first.question, mark(first.problem), mark(told), put.whole, seed, names, *private)
    )
    recital, chance = Recital(tuple(map(len, told))), int(digest(f"{seed}/{put.id}")[:8], 16)
    return Job(put, tuple(order), task, recital, chance, f"audit-{digest(made)[:16]}")


def _contents(example: Example) -> tuple[Json, ...]:
    """What a response's thoughts hold: the contents that were recorded, else its text as one thought."""
    return example.response.contents or (example.response.text,)


async def _replayed(critic: Any, puts: Sequence[Put], how: Mapping[str, Any]) -> Asked:
    if not callable(critic):
        raise TaskError(f"the critic is {critic!r:.80}: expected one with judge(examples), or one of a task's critics")
    at_least(1, workers=how.get("workers", 8))
    main = as_model(how.get("model"), how.get("base_url"), how.get("price"))
    speakers = (main, as_models(how.get("models"), main, how.get("base_url")))
    jobs = [_job(critic, put, how.get("seed", 0), speakers) for put in puts]
    given = how.get("store")
    kept = as_store(given)
    own = [model for model in (main, *speakers[1].values(), *_own(critic)) if model]
    work = Work(jobs, kept, frozenset(kept.runs()), speakers, _limit(how, own), how)
    try:
        async with speaking(list({id(model): model for model in own}.values())):
            return await work()
    finally:
        if isinstance(kept, SQLiteStore) and kept is not given:
            kept.close()


def shown(rows: Sequence[AnyRow], models: Iterable[Model | None]) -> tuple[list[AnyRow], str]:
    """The rows that all these models may be shown, and how many others there are, in words; "" where there are none.

    `TaskError` where none is left.
    """
    names = list(dict.fromkeys(model.name for model in models if model))
    free = [row for row in rows if all(sendable(row, name) for name in names)]
    if len(free) == len(rows):
        return free, ""
    why = f"{len(rows) - len(free)} of {len(rows)} rows rest on private knowledge that {', '.join(names)} may not see"
    if not free:
        raise TaskError(f"{why}: name a model that their labels allow")
    return free, f"{why}: they are left out"


def models_of(critic: object, main: Model | None) -> Iterator[Model | None]:
    """The models that a critic speaks to, `main` where it brings none; a jury's are its jurors'."""
    jurors: object = getattr(critic, "jurors", None)
    if isinstance(jurors, Mapping):
        for juror in cast("Mapping[str, object]", jurors).values():
            yield from models_of(juror, main)
    elif many := cast("Sequence[Model]", getattr(critic, "models", ())):
        yield from many
    elif not hasattr(critic, "judge"):
        yield getattr(critic, "model", None) or main


def _own(critic: object) -> list[Model]:
    """The models that a critic brings, each once."""
    return list({id(model): model for model in models_of(critic, None) if model is not None}.values())


def _limit(how: Mapping[str, Any], models: Sequence[Model]) -> Budget:
    budget = how.get("budget")
    if budget is None and models:
        raise TaskError(
            f"the critic is asked with {models[0].name} and no budget is named: say what the whole audit may spend, as "
            "in budget=tg.Budget(calls=500) (--budget-calls 500)"
        )
    if budget is not None and not isinstance(budget, Budget):
        raise TaskError(f"the budget is {budget!r:.80}: expected a tg.Budget, as in tg.Budget(calls=500)")
    return budget or Budget()


@dataclass
class Work:
    """All sets of an audit, a few at a time, within one budget."""

    jobs: Sequence[Job]
    store: Store
    kept: frozenset[str]
    speakers: tuple[Model | None, Mapping[str, Model]]
    budget: Budget
    how: Mapping[str, Any]
    results: dict[str, Result] = field(default_factory=dict[str, Result])
    failures: list[str] = field(default_factory=list[str])
    began: float = field(default_factory=time.monotonic)

    async def __call__(self) -> Asked:
        """Read what the store has, then ask about as many sets at a time as there are workers.

        Each has an equal share of what is left of the budget, and goes on by itself, with all that is left, where its
        share was too small.
        """
        for job in self.jobs:
            if job.run in self.kept:
                await self._run(job, self._left(0))
        todo = [job for job in self.jobs if self._open(job)]
        while todo:
            wave, todo = todo[: self._wide], todo[self._wide :]
            share = self._left(1 / len(wave))
            await self._wave(wave, share)
            for job in filter(self._open, wave):
                await self._run(job, self._left(1))
        notes = dict.fromkeys(note.text for result in self.results.values() for note in result.notes)
        return Asked(tuple(map(self._scores, self.jobs)), usage=self.spent, stopped=self._why, notes=tuple(notes))

    async def _wave(self, wave: Sequence[Job], share: Budget) -> None:
        """All of them to their ends, for what is in flight is paid; only then what went wrong is raised."""
        ended = await asyncio.gather(*(self._run(job, share) for job in wave), return_exceptions=True)
        if wrong := next((one for one in ended if one is not None), None):
            raise wrong

    @property
    def _wide(self) -> int:
        """How many sets to ask about at a time: one, to see what a set costs, then as many as can surely be paid."""
        most, spent = self.how.get("workers", 8), self.spent
        ended = [result.usage for result in self.results.values() if result.reason != "budget"]
        if not ended or not self.budget.limits:
            return 1 if self.budget.limits else most
        left = ((limit, full - (getattr(spent, limit) or 0)) for limit, full in self.budget.limits)
        dear = {limit: max(getattr(usage, limit) or 0 for usage in ended) for limit, _ in self.budget.limits}
        room = (int(rest // dear[limit]) for limit, rest in left if dear[limit])
        return max(1, min(most, *room, most))

    def _open(self, job: Job) -> bool:
        """Whether more budget would bring this set further."""
        return job.run not in self.results or self.results[job.run].reason in ("budget", "cancelled")

    @property
    def spent(self) -> Usage:
        """What all sets have cost so far."""
        return sum((result.usage for result in self.results.values()), Usage())

    def _left(self, share: float) -> Budget:
        """A share of what is left of the budget; counts are rounded down, and time runs for all alike."""
        spent, left = self.spent, dict[str, Any]()
        for limit, most in self.budget.limits:
            rest = max(most - (getattr(spent, limit) or 0), 0) * share
            left[limit] = rest if limit == "usd" else int(rest)
        if self.budget.seconds is not None:
            left["seconds"] = max(self.budget.seconds - (time.monotonic() - self.began), 0) * (share > 0)
        return Budget(**left)

    async def _run(self, job: Job, more: Budget) -> None:
        """Begin a run, or go on with it, with so much more to spend; without, only read it."""
        known = job.run in self.kept or job.run in self.results
        if not known and any(limit == 0 for limit in (getattr(more, name) for name in _LIMITS)):
            return
        work = self._again(job, more) if known else self._begun(job, more)
        try:
            self.results[job.run] = await work()
            self.failures.clear()
        except RunFailed as failed:
            self.results[job.run] = failed.result
            self.failures.append(str(failed))
            if isinstance(failed.__cause__, Unauthorized | StoreError) or len(self.failures) >= STREAK:
                raise

    def _begun(self, job: Job, budget: Budget) -> Run:
        return begun(
            job.task, run=job.run, speakers=self.speakers, policy=job.recital, seed=job.chance, budget=budget,
            store=self.store, cache=self.how.get("cache"), retry=self.how.get("retry"),
        )  # fmt: skip

    def _again(self, job: Job, more: Budget) -> Run:
        """A budget of a run that goes on is its new total."""
        used = self.results[job.run].usage if job.run in self.results else Usage()
        named = {name: getattr(more, name) for name in _LIMITS}
        total = {name: limit + (getattr(used, name) or 0) for name, limit in named.items() if limit is not None}
        model, models = self.speakers
        return again(
            job.run, store=self.store, task=job.task, policy=job.recital, model=model, models=models,
            budget=Budget(**total), cache=self.how.get("cache"), retry=self.how.get("retry"),
        )  # fmt: skip

    def _scores(self, job: Job) -> tuple[Score, ...] | None:
        """What was said of a set; None where the run did not come to its end, for then silence is nobody's verdict."""
        result = self.results.get(job.run)
        if result is None or result.reason in ("budget", "cancelled", "failed"):
            return None
        said = [result.graph.score(thought, "critic") for thought in ends(result.graph, job.recital)]
        return _unshuffled(job.order, [score or Score(None, status="failed", samples=0) for score in said])

    @property
    def _why(self) -> str:
        errors = [result.error for result in self.results.values() if result.error]
        if errors:
            return f"runs failed: {errors[0]:.200}"
        return f"the budget of {self.budget} is spent" if any(map(self._open, self.jobs)) else ""


_LIMITS = tuple(limit.name for limit in fields(Budget))
