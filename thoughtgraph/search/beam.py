"""Beam search with a process reward (Snell et al., 2024): score prefixes, keep n/m, continue each m times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import Rule, check_beams, grow, judge, leader, level, prefix, ranked
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Beam:
    """Draw `n` first steps; at each step judge what is new, keep the n/m best prefixes, continue each of them m times.

    A prefix is worth what `aggregate` makes of the values of its steps, and the same rule prunes and names the
    answer. Finished thoughts keep their place among the n/m only while nothing better comes, and what was finished
    once can still be the answer. Choose it over `BestOfN` where steps can be judged; over `ToT` where each step is a
    sample, so that a thought is continued in m ways of its own; `DVTS` where the beam soon looks all alike.

    Cost: n continuations and n judgements a step, at most `steps` times.
    """

    n: int = 16
    m: int = 4
    steps: int = 40
    aggregate: Rule = "last"
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n, m=self.m, steps=self.steps)
        check_beams(self.n, self.m, self.aggregate)

    async def __call__(self, search: Search) -> Thought | None:
        """Grow, judge, prune."""
        beam = [search.root]
        for step in range(self.steps):
            width = self.m if step else self.n
            grown = await level(search, beam, partial(grow, search, action=self.action, n=width))
            if solved := next(filter(search.solved, grown), None):
                return solved
            await judge(search, grown, self.critic)
            values = [prefix(search, thought, self.critic, self.aggregate) for thought in grown]
            beam = ranked(grown, values)[: self.n // self.m]
            if all(thought.done for thought in beam):
                break
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The best finished thought by the rule that prunes."""
        return leader(search, self.critic, self.aggregate)
