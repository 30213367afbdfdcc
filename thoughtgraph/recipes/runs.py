"""Many runs side by side in one store: each is read where it is done, gone on with where it stopped, or begun."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

from thoughtgraph.api import again, as_models, begun, speaking, submitted, thinks_alone
from thoughtgraph.api import as_model as made
from thoughtgraph.budget import Budget
from thoughtgraph.comparing import PATIENCE, PUZZLES, STREAK, WAIT
from thoughtgraph.contracts import marks_of
from thoughtgraph.errors import InUse, StoreError, Unauthorized
from thoughtgraph.model import Model
from thoughtgraph.result import RunFailed
from thoughtgraph.store import Store, digest
from thoughtgraph.task import Task
from thoughtgraph.thought import Json
from thoughtgraph.trace import Stopped
from thoughtgraph.verbs import Policy

T = TypeVar("T")

Speakers: TypeAlias = tuple[Model | None, Mapping[str, Model]]
"""The model, and those of single roles."""


class Done(NamedTuple):
    """A run that is over, and what it answered; `error` says why it failed, if it did."""

    run: str
    answer: Json
    error: str = ""


@dataclass(frozen=True)
class Job:
    """One run that is wanted. Its id says all that it is made with, and nothing of when."""

    task: Task
    policy: Policy
    chance: int
    run: str


@dataclass(frozen=True)
class Runs:
    """Where runs are kept and what they may spend. The same runs asked for again are read, and none is paid twice."""

    store: Store
    budget: Budget
    model: Model | str | None = None
    models: Mapping[str, Model | str] = field(default_factory=dict[str, "Model | str"])
    base_url: str | None = None
    workers: int = 8

    async def all(self, tasks: Sequence[Task], policy: Policy, seeds: Sequence[int], of: str = "") -> list[list[Done]]:
        """A row for each task, and in it a run for each seed; one that failed says so, and is tried again next time.

        `of` goes into the ids: it tells runs apart that are made with things of the same name and settings. Raises
        `RunFailed` where an endpoint refuses the key, or run after run fails on task after task.
        """
        speakers = self._speakers(tasks)
        jobs = [self._job(task, policy, seed, speakers, of) for task in tasks for seed in seeds]
        work = Work(self, speakers, set(self.store.runs()), min(PUZZLES, len(tasks)))
        async with speaking([model for model in (speakers[0], *speakers[1].values()) if model]):
            await _together([work.some(left) for left in [iter(jobs)] * self.workers])
        done = [work.done[job.run] for job in jobs]
        return [done[at : at + len(seeds)] for at in range(0, len(done), len(seeds))]

    def _speakers(self, tasks: Sequence[Task]) -> Speakers:
        """The model and those of single roles, made once for all runs."""
        alone = self.model is None and all(map(thinks_alone, tasks))
        used = None if alone else made(self.model, self.base_url)
        return used, as_models(self.models, used, self.base_url)

    def _job(self, task: Task, policy: Policy, seed: int, speakers: Speakers, of: str) -> Job:
        """Each task has its own chance: draws that tasks share would make them all lucky together."""
        chance = int(digest(f"{seed}/{task.name}/{task.x}")[:8], 16)
        marks = sorted(marks_of(task, policy, speakers[0], chance, speakers[1]).items())
        told = (marks, self.budget, of) if of else (marks, self.budget)
        return Job(task, policy, chance, f"run-{digest(repr(told))[:16]}")


@dataclass
class Work:
    """Runs on their way: those that are known to the store, those that are over, and the tasks that failed in a row."""

    runs: Runs
    speakers: Speakers
    kept: set[str]
    puzzles: int
    done: dict[str, Done] = field(default_factory=dict[str, Done])
    failing: list[Task] = field(default_factory=list[Task])

    async def some(self, left: Iterator[Job]) -> None:
        """One worker's part of what is left; what another process is at work on is waited for."""
        for job in left:
            while (done := self._read(job) or await self._made(job)) is None:
                await asyncio.sleep(WAIT)
                self.kept |= {run for run in self.runs.store.runs() if run == job.run}
            self.done[job.run] = done
            await asyncio.sleep(0)  # what is read must not keep others waiting

    def _read(self, job: Job) -> Done | None:
        """A run that is done, from the store; None for one that is to be made, or gone on with."""
        last = self.runs.store.ends(job.run)[1] if job.run in self.kept else None
        over = isinstance(last, Stopped) and last.reason not in ("cancelled", "failed")
        return Done(job.run, last.answer) if isinstance(last, Stopped) and over else None

    async def _made(self, job: Job) -> Done | None:
        """Begin a run, or go on with it; None where another process is at work on it."""
        try:
            answer = (await self._run(job)()).answer
        except InUse:
            return None
        except RunFailed as failed:
            self.failing.append(job.task)
            if isinstance(failed.__cause__, Unauthorized | StoreError) or self._hopeless:
                raise
            return Done(job.run, None, str(failed))
        self.failing.clear()
        return Done(job.run, answer)

    def _run(self, job: Job) -> Callable[[], Coroutine[Any, Any, Any]]:
        how: dict[str, Any] = {"policy": job.policy, "budget": self.runs.budget, "store": self.runs.store}
        if job.run in self.kept:
            model, roles = self.speakers
            return again(job.run, task=job.task, model=model, models=roles, **how)
        return begun(job.task, run=job.run, speakers=self.speakers, seed=job.chance, **how)

    @property
    def _hopeless(self) -> bool:
        """Whether run after run fails, and not on one task alone."""
        return len(self.failing) >= STREAK and len({task.x for task in self.failing}) >= self.puzzles


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of them; the first error stops the others, and comes out when they have written down where they stand."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def patiently(work: Callable[[], Coroutine[Any, Any, T]], kept: str) -> T:
    """`work`, done in the background; at Ctrl-C its runs get time to be written down, and `kept` says what is left."""
    stop = list[Callable[[], object]]()

    async def stoppable() -> T:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None
        stop.append(lambda: loop.call_soon_threadsafe(this.cancel))
        return await work()

    future = submitted(stoppable)
    try:
        return future.result()
    except KeyboardInterrupt:
        for cancel in stop:
            cancel()
        with contextlib.suppress(BaseException):
            future.result(timeout=PATIENCE)
        raise KeyboardInterrupt(kept) from None
