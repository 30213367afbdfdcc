"""Comparison at equal cost: policies, models, prompters and numbers of draws, every run within the same budget."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Required, TypedDict, Unpack, cast

from thoughtgraph.api import again, as_store, as_task, begun, speaking, submitted
from thoughtgraph.budget import Budget
from thoughtgraph.cache import Cache
from thoughtgraph.comparison import Comparison, Trial
from thoughtgraph.contracts import marks_of
from thoughtgraph.errors import InUse, ReplayMismatch, StoreError, TaskError, Unauthorized, at_least
from thoughtgraph.findings import Layout, findings
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.lineup import Arm, Lineup, Over, Stage, known, lineup
from thoughtgraph.model import Model, Price
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.retry import Retry
from thoughtgraph.store import SQLiteStore, Store, digest
from thoughtgraph.task import Task
from thoughtgraph.thought import Json, Thought
from thoughtgraph.trace import Event, Resumed, Started, Stopped, graph_of
from thoughtgraph.verbs import Policy

Evaluate = Callable[[Task, Any], bool | float]
"""E: whether an answer to a task is right, or how far, in [0, 1]. It never enters a search."""

STREAK = 8
"""So many runs that failed in a row, without one that did not, end the comparison,"""

PUZZLES = 3
"""if they are of so many puzzles: a single one that no provider takes is no reason to give up the others."""

WAIT = 0.2
"""Seconds between two looks at a run that another process owns."""

PATIENCE = 5.0
"""Seconds that runs get to write down where they stand when Ctrl-C comes."""


class Terms(TypedDict, total=False):
    """What `acompare` may be told beside the tasks; `compare` says what each means."""

    over: Required[Over]
    budget: Required[Budget]
    seeds: int | Sequence[int]
    evaluate: Evaluate | None
    store: Store | str | os.PathLike[str] | None
    baselines: bool | Sequence[Policy | str]
    split: float
    workers: int
    models: Mapping[str, Model | str] | None
    base_url: str | None
    price: Price | Mapping[str, Price] | None
    cache: Cache | str | os.PathLike[str] | bool | None
    retry: Retry | None
    on_run: Callable[[Trial, int, int], None] | None


def compare(
    tasks: Sequence[Task | str],
    *,
    over: Over,
    budget: Budget,
    seeds: int | Sequence[int] = 3,
    evaluate: Evaluate | None = None,
    store: Store | str | os.PathLike[str] | None = None,
    baselines: bool | Sequence[Policy | str] = True,
    split: float = 0.5,
    workers: int = 8,
    models: Mapping[str, Model | str] | None = None,
    base_url: str | None = None,
    price: Price | Mapping[str, Price] | None = None,
    cache: Cache | str | os.PathLike[str] | bool | None = None,
    retry: Retry | None = None,
    on_run: Callable[[Trial, int, int], None] | None = None,
) -> Comparison:
    """Run every combination of what is named in `over` on every task with every seed, each within the same `budget`.

    `over` has up to four axes: "policy" and "model", texts or objects, "prompter", by name, each a `Prompter` for all
    generators of a task or a function that makes a task of a task, and "L", how many thoughts are drawn a round: the
    policy's `n`, else its `branch`, `breadth` or `width`. A mapping gives things names. Direct prompting, best-of-n
    and self-consistency stand beside every model and prompter, with as many draws as the budget has room for (as many
    as they have by default where it limits nothing but seconds); `baselines` names others, or none.

    `evaluate(task, answer)` is E, a bool or a number in [0, 1], and is found by itself for tasks that ship with the
    package; no answer is 0. Intervals come from a paired bootstrap over the tasks. The best level of each axis and the
    best cell are chosen on the share `split` of the tasks, and reported on the others.

    With a `store` every run is kept under an id of its own: a comparison that was stopped or killed goes on where it
    was, and one that is done is read, at no cost. `seeds` are so many from 0 on, or a list. `workers` runs go side by
    side, and `on_run(trial, done, of)` is told of each. The rest is as in `solve`; a `price` may be one for each model.

    Raises `TaskError` for what cannot work, before anything is spent; `ReplayMismatch` where the store holds runs of
    the same names that were made with something else; `RunFailed` where an endpoint refuses the key, or run after run
    fails, on puzzle after puzzle (a single one that fails is counted). Ctrl-C keeps what is there; but without a store
    whatever is raised takes all runs with it.
    """
    work = _work(
        tasks, over=over, budget=budget, seeds=seeds, evaluate=evaluate, store=store, baselines=baselines, split=split,
        workers=workers, models=models, base_url=base_url, price=price, cache=cache, retry=retry, on_run=on_run,
    )  # fmt: skip
    future = submitted(work)
    try:
        return future.result()
    except KeyboardInterrupt:
        work.stop()
        with contextlib.suppress(BaseException):
            future.result(timeout=PATIENCE)
        kept = "compare again with the same store to go on" if store is not None else "nothing is kept without a store"
        raise KeyboardInterrupt(f"{len(work.trials)} of {len(work.jobs)} runs are done: {kept}") from None


async def acompare(tasks: Sequence[Task | str], **terms: Unpack[Terms]) -> Comparison:
    """`compare` for code that is async already. Cancelling it stops the runs, recorded and resumable."""
    return await _work(tasks, **terms)()


# -- before anything is spent --------------------------------------------------------------------------------------


def _work(tasks: Sequence[Task | str], **terms: Unpack[Terms]) -> Work:
    if unknown := terms.keys() - Terms.__annotations__.keys():
        raise TypeError(f"there is no argument {min(unknown)!r}: expected {', '.join(Terms.__annotations__)}")
    if missing := {"over", "budget"} - terms.keys():
        raise TypeError(f"{min(missing)}= is missing: over= says what is compared, and budget= what a run may spend")
    budget, split = terms["budget"], terms.get("split", 0.5)
    at_least(1, workers=terms.get("workers", 8))
    at_least(0, split=split)
    if not isinstance(budget, Budget) or not (budget.limits or budget.seconds):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the budget is {budget}: expected one limit for every run, as in tg.Budget(calls=40)")
    if split >= 1:
        raise TaskError(f"split is {split!r}: expected the share of the tasks to choose on, as in 0.5")
    built = _tasks(tasks)
    _callable(terms.get("evaluate"))
    judges = tuple(_judge(task, terms.get("evaluate")) for task in built)
    stage = Stage(built, budget, terms.get("models"), terms.get("base_url"), terms.get("price"))
    found = lineup(stage, terms["over"], terms.get("baselines", True))
    return Work(built, judges, found, budget, _seeds(terms.get("seeds", 3)), split, terms)


def _tasks(tasks: Sequence[Task | str]) -> tuple[Task, ...]:
    if isinstance(tasks, str | Task):
        tasks = [tasks]
    built = tuple(map(as_task, tasks))
    names = [known(task) for task in built]
    if len(set(names)) < len(names):
        twice = next(task for task, name in zip(built, names, strict=True) if names.count(name) > 1)
        raise TaskError(f"the problem {twice.x!r:.80} stands twice among the tasks: it would count twice")
    if not built:
        raise TaskError("there are no tasks: expected at least one, and better twenty")
    return built


def _callable(evaluate: Evaluate | None) -> None:
    """An evaluator that takes something else would be found out only when runs are paid."""
    try:
        if evaluate is not None:
            inspect.signature(evaluate).bind(None, None)
    except TypeError as error:
        raise TaskError(
            f"evaluate is {evaluate!r:.80} ({error}): expected a function of a task and an answer"
        ) from None


def _judge(task: Task, evaluate: Evaluate | None) -> Callable[[Json], bool | float]:
    """E of one task."""
    if evaluate is not None:
        return lambda answer: evaluate(task, answer)
    from thoughtgraph.tasks.evaluation import CHECKS, evaluator

    if (found := evaluator(task)) is None:
        raise TaskError(
            f"nobody knows which answers to {task.x!r:.60} are right: give the evaluator, as in "
            "evaluate=lambda task, answer: answer == truth[task.x], or compare on a task that has one: "
            f"{', '.join(CHECKS)}"
        )
    return found


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    found = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds) if isinstance(seeds, Sequence) else ()  # pyright: ignore[reportUnnecessaryIsInstance]
    if not found or len(set(found)) < len(found) or not all(isinstance(seed, int) for seed in found):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the seeds are {seeds!r}: expected how many, at least 1, or a list of different ones")
    return found


# -- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One run to be made, or read: an arm on a task (by its number) with a seed.

    `chance` is the seed that the run gets: the same for all arms on a task, and another for every task, since draws
    that puzzles share would make them all lucky together, and no interval would show it.
    """

    arm: Arm
    task: int
    seed: int
    chance: int
    run: str


@dataclass
class Work:
    """A comparison that is ready to go: all its runs, a few at a time."""

    tasks: tuple[Task, ...]
    judges: tuple[Callable[[Json], bool | float], ...]
    lineup: Lineup
    budget: Budget
    seeds: tuple[int, ...]
    split: float
    terms: Terms
    trials: dict[str, Trial] = field(default_factory=dict[str, Trial])
    failing: list[Job] = field(default_factory=list["Job"])
    kept: frozenset[str] = frozenset()
    store: Store | None = None
    stop: Callable[[], object] = lambda: None

    @cached_property
    def jobs(self) -> list[Job]:
        """All runs: a run's id says its cell, its task, its seed and its budget, and nothing of when."""
        tasks = [known(task) for task in self.tasks]
        return [
            Job(arm, number, seed, int(digest(f"{seed}/{task}")[:8], 16), _id(arm, task, seed, self.budget))
            for number, task in enumerate(tasks)
            for seed in self.seeds
            for arm in self.lineup.arms
        ]

    async def __call__(self) -> Comparison:
        """Make every run, and look at them."""
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None
        self.stop = lambda: loop.call_soon_threadsafe(this.cancel)
        with self._opened():
            async with speaking(_speakers(self.lineup.arms)):
                await self._all()
        return findings(self._layout(), [self.trials[job.run] for job in self.jobs])

    @contextlib.contextmanager
    def _opened(self) -> Generator[None, None, None]:
        """The store, closed again if it was opened here; without one, each run has its own memory."""
        given = self.terms.get("store")
        self.store = None if given is None else as_store(given)
        try:
            self.kept = frozenset(self.store.runs()) if self.store else frozenset()
            yield
        finally:
            if isinstance(self.store, SQLiteStore) and self.store is not given:
                self.store.close()

    async def _all(self) -> None:
        """As many workers as are wanted, each taking the next job; the first error ends them all.

        One seed goes before the next, so that a comparison that was stopped has been to all puzzles.
        """
        left = iter(sorted(self.jobs, key=lambda job: self.seeds.index(job.seed)))
        workers = [asyncio.ensure_future(self._some(left)) for _ in range(self.terms.get("workers", 8))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _some(self, left: Iterator[Job]) -> None:
        tell = self.terms.get("on_run")
        for job in left:
            trial = self._read(job) or await self._made(job)
            self.trials[job.run] = trial
            if tell is not None:
                tell(trial, len(self.trials), len(self.jobs))
            await asyncio.sleep(0)  # what is read must not keep others waiting

    async def _made(self, job: Job) -> Trial:
        """Perform a run, or go on with it; what another process is at work on is waited for."""
        try:
            result = await self._run(job)()
        except InUse:
            await asyncio.sleep(WAIT)
            self.kept |= {run for run in (self.store.runs() if self.store else ()) if run == job.run}
            return self._read(job) or await self._made(job)
        except RunFailed as failed:
            self.failing.append(job)
            if isinstance(failed.__cause__, Unauthorized | StoreError) or self._hopeless:
                raise
            return self._trial(job, failed.result, str(failed))
        self.failing.clear()
        return self._trial(job, result)

    @property
    def _hopeless(self) -> bool:
        """Whether run after run fails, and not on one puzzle alone."""
        puzzles = {job.task for job in self.failing}
        return len(self.failing) >= STREAK and len(puzzles) >= min(PUZZLES, len(self.tasks))

    def _run(self, job: Job) -> Callable[[], Any]:
        arm, task = job.arm, job.arm.tasks[job.task]
        cache, retry = self.terms.get("cache"), self.terms.get("retry")
        if self.store is not None and job.run in self.kept:
            model, roles = arm.speakers
            return again(
                job.run, store=self.store, task=task, policy=arm.policy, model=model, models=roles, budget=self.budget,
                cache=cache, retry=retry,
            )  # fmt: skip
        return begun(
            task, run=job.run, speakers=arm.speakers, policy=arm.policy, model=arm.named, price=arm.price,
            models=self.terms.get("models"), seed=job.chance, budget=self.budget, store=self.store, cache=cache,
            retry=retry,
        )  # fmt: skip

    # -- what came of it ---------------------------------------------------------------------------------------------

    def _read(self, job: Job) -> Trial | None:
        """A run that is done, from the store; None for one that is to be made, or gone on with."""
        if self.store is None or job.run not in self.kept:
            return None
        events = self.store.events(job.run)
        self._same(job, events)
        last = events[-1]
        if not isinstance(last, Stopped) or last.reason in ("cancelled", "failed"):
            return None
        graph = graph_of(events)
        reward = _reward(graph, graph[last.thought] if last.thought else None)
        books = cast("Mapping[str, Mapping[str, int]]", last.ledger or {})
        hits = sum(book["hits"] for book in books.values())
        e = self._evaluated(job, last.answer)
        return Trial(job.arm.place, job.task, job.seed, job.run, e, reward, last.reason, last.usage, last.answer, hits)

    def _trial(self, job: Job, result: Result, error: str = "") -> Trial:
        """A run that was made just now."""
        e = None if error else self._evaluated(job, result.answer)
        hits = sum(book.hits for book in result.ledger.values())
        return Trial(
            job.arm.place, job.task, job.seed, job.run, e, _reward(result.graph, result.thought), result.reason,
            result.usage, result.answer, hits, error,
        )  # fmt: skip

    def _evaluated(self, job: Job, answer: Json) -> float:
        """E of an answer; none at all is 0."""
        if answer is None:
            return 0.0
        try:
            said = cast("object", self.judges[job.task](answer))
        except Exception as error:
            error.add_note(f"evaluate raised this of {answer!r:.80}, the answer of run {job.run} ({job.arm.place})")
            raise
        with contextlib.suppress(TypeError, ValueError):
            if not isinstance(said, str) and 0 <= (value := float(cast("float", said))) <= 1:
                return value
        raise TaskError(f"evaluate said {said!r:.80} of {answer!r:.80}: expected a bool, or a number from 0 to 1")

    def _same(self, job: Job, events: Sequence[Event]) -> None:
        """A run in the store counts only if it was made with exactly what is compared now."""
        started = events[0]
        if not isinstance(started, Started):
            raise StoreError(f"run {job.run} does not begin with its start: the store is damaged")
        budget = next(event.budget for event in reversed(events) if isinstance(event, Started | Resumed))
        then, now = dict[str, object](started.marks), dict[str, object](self._marks(job))
        for name in {"budget": None, **then, **now}:
            was, is_now = (budget, self.budget) if name == "budget" else (then.get(name), now.get(name))
            if was != is_now:
                raise ReplayMismatch(
                    f"the store holds run {job.run} ({job.arm.place}), made with another {name}: "
                    f"{was or 'none'!s:.200} then, {is_now or 'none'!s:.200} now. Compare with what it was made with, "
                    "or name another store"
                )

    def _marks(self, job: Job) -> dict[str, str]:
        model, roles = job.arm.speakers
        return marks_of(job.arm.tasks[job.task], job.arm.policy, model, job.chance, roles)

    def _layout(self) -> Layout:
        """What was compared, and which puzzles things are chosen on: by their hashes, whatever their order."""
        named = tuple(arm.place for arm in self.lineup.arms if arm.asked)
        beside = tuple(arm.place for arm in self.lineup.arms if arm.baseline)
        order = sorted(range(len(self.tasks)), key=lambda number: known(self.tasks[number]))
        cut = round(self.split * len(order))
        halves = (order[:cut], order[cut:]) if 0 < cut < len(order) else ((), ())
        choosing, reporting = (tuple(sorted(half)) for half in halves)
        return Layout(
            named, beside, self.lineup.axes, tuple(task.x for task in self.tasks),
            tuple(task.goal is not None for task in self.tasks), self.seeds, self.budget, choosing, reporting,
            self.lineup.left_out,
        )  # fmt: skip


def _id(arm: Arm, task: str, seed: int, budget: Budget) -> str:
    limits = ((limit.name, getattr(budget, limit.name)) for limit in fields(budget))
    within = [(name, float(most)) for name, most in limits if most is not None]
    return f"cmp-{digest(repr((tuple(arm.place), task, seed, within)))[:16]}"


def _speakers(every: Sequence[Arm]) -> list[Model]:
    """All models, each once."""
    found = [model for arm in every for model in (arm.speakers[0], *arm.speakers[1].values()) if model]
    return list({id(model): model for model in found}.values())


def _reward(graph: ThoughtGraph, thought: Thought | None) -> float | None:
    """What the critic says of the chosen thought; None of one that was only compared with others of its own run."""
    return None if thought is None or graph.compared(thought) else graph.value(thought)
