"""Lookahead search (Snell et al., 2024): beam search that values a step by where k further steps lead from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import check_beams, grow, judge, leader, level, ranked
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Lookahead:
    """A beam as in `Beam`, where every candidate is followed `k` steps, one draw each, and has the value of that end.

    Nothing that was paid for is lost: where a candidate is kept, the step that was looked ahead is one of its m
    continuations and its own look goes on from there, and what a look finishes can be the answer. Choose it over
    `Beam` where the critic sees mistakes only some steps later and the action samples likely steps: of an action that
    proposes different ones, a look sees the first alone. At the same price a wider beam is often better.

    Cost: n (k + 1) continuations and n judgements at the first step, later at most n + n/m (m - 1) k; at most `steps`
    times.
    """

    n: int = 16
    m: int = 4
    k: int = 1
    steps: int = 40
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n, m=self.m, steps=self.steps)
        at_least(0, k=self.k)
        check_beams(self.n, self.m)

    async def __call__(self, search: Search) -> Thought | None:
        """Grow, look ahead, judge the ends, prune."""
        beam, ahead = [search.root], dict[Thought, Thought]()
        for step in range(self.steps):
            grown = await level(search, beam, partial(self._grow, search, ahead, self.m if step else self.n))
            ends = await search.gather(*(self._look(search, ahead, thought) for thought in grown))
            if solved := next(filter(search.solved, [*grown, *ends]), None):
                return solved
            await judge(search, ends, self.critic)
            beam = ranked(grown, [search.value(end, self.critic) for end in ends])[: self.n // self.m]
            if all(thought.done for thought in beam):
                break
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The best finished thought."""
        return leader(search, self.critic, "last")

    async def _grow(
        self, search: Search, ahead: Mapping[Thought, Thought], width: int, thought: Thought
    ) -> list[Thought]:
        """`width` continuations, of which the step that was looked ahead is one."""
        known = [ahead[thought]] if thought in ahead else []
        wanted = width - len(known)
        return known + (await grow(search, thought, self.action, wanted) if wanted else [])

    async def _look(self, search: Search, ahead: dict[Thought, Thought], thought: Thought) -> Thought:
        """Where `k` steps lead, one draw each; those that were looked ahead before are walked for nothing."""
        for _ in range(self.k):
            if thought not in ahead and not thought.done:
                ahead.update((thought, child) for child in await grow(search, thought, self.action, 1))
            thought = ahead.get(thought, thought)
        return thought
