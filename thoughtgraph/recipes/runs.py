"""Many runs side by side in one store: each is read where it is done, gone on with where it stopped, or begun."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from thoughtgraph.api import again, as_models, begun, speaking, thinks_alone
from thoughtgraph.api import as_model as made
from thoughtgraph.budget import Budget
from thoughtgraph.contracts import marks_of
from thoughtgraph.model import Model
from thoughtgraph.store import Store, digest
from thoughtgraph.task import Task
from thoughtgraph.thought import Json
from thoughtgraph.trace import Stopped
from thoughtgraph.verbs import Policy

T = TypeVar("T")


class Done(NamedTuple):
    """A run that is over, and what it answered."""

    run: str
    answer: Json


@dataclass(frozen=True)
class Runs:
    """Where runs are kept and what they may spend; a run's id says all that it is made with, and nothing of when.

    So the same runs asked for again are read, and nothing of them is paid twice.
    """

    store: Store
    budget: Budget
    model: Model | str | None = None
    models: Mapping[str, Model | str] = field(default_factory=dict[str, "Model | str"])
    base_url: str | None = None
    workers: int = 8

    async def all(self, tasks: Sequence[Task], policy: Policy, seeds: Sequence[int]) -> list[list[Done]]:
        """A row for each task, and in it a run for each seed."""
        speakers = self._speakers(tasks)
        known = frozenset(self.store.runs())
        turn = asyncio.Semaphore(self.workers)

        async def one(task: Task, seed: int) -> Done:
            async with turn:
                return await self._one(task, policy, seed, speakers, known)

        async with speaking([model for model in (speakers[0], *speakers[1].values()) if model]):
            made = await _together(one(task, seed) for task in tasks for seed in seeds)
        return [made[at : at + len(seeds)] for at in range(0, len(made), len(seeds))]

    def _speakers(self, tasks: Sequence[Task]) -> tuple[Model | None, Mapping[str, Model]]:
        """The model and those of single roles, made once for all runs."""
        alone = self.model is None and all(map(thinks_alone, tasks))
        used = None if alone else made(self.model, self.base_url)
        return used, as_models(self.models, used, self.base_url)

    async def _one(
        self, task: Task, policy: Policy, seed: int, speakers: tuple[Model | None, Mapping[str, Model]],
        known: frozenset[str],
    ) -> Done:  # fmt: skip
        """Each task has its own chance: draws that tasks share would make them all lucky together."""
        chance = int(digest(f"{seed}/{task.name}/{task.x}")[:8], 16)
        marks = marks_of(task, policy, speakers[0], chance, speakers[1])
        run = f"run-{digest(repr((sorted(marks.items()), self.budget)))[:16]}"
        if run not in known:
            how: dict[str, Any] = {"budget": self.budget, "seed": chance, "store": self.store}
            return Done(run, (await begun(task, run=run, speakers=speakers, policy=policy, **how)()).answer)
        last = self.store.ends(run)[1]
        if isinstance(last, Stopped) and last.reason not in ("cancelled", "failed"):
            return Done(run, last.answer)
        model, roles = speakers
        went = again(run, store=self.store, task=task, policy=policy, model=model, models=roles, budget=self.budget)
        return Done(run, (await went()).answer)


async def _together(work: Iterable[Any]) -> list[Any]:
    """All of them, in order; the first error ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]
