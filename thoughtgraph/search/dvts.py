"""Diverse verifier tree search (Beeching, Tunstall & Rush, 2024): narrow beams side by side, which never mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import Rule, check_beams, dead, grow, judge, leader, prefix, ranked
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class DVTS:
    """n/m subtrees; each goes on from the best of its m continuations, to its own end, whatever the others are worth.

    The first n steps are dealt out to the subtrees in turn, and equal thoughts of two subtrees stay two. The answer
    is the best finished thought by the rule that prunes (`aggregate` of the values of its steps); what a subtree has
    not finished within `steps` is no answer. Choose it over `Beam` with many samples, where one beam would end as n
    copies of one idea; with few, the beam uses them better.

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
        """Deal out the first steps, and let every subtree run to its end."""
        first = await grow(search, search.root, self.action, self.n, merge=False)
        hands = [first[i :: self.n // self.m] for i in range(self.n // self.m)]
        solved = list[Thought]()
        await search.gather(*(self._descend(search, hand, solved) for hand in hands))
        return solved[0] if solved else self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The best finished thought by the rule that prunes."""
        return leader(search, self.critic, self.aggregate)

    async def _descend(self, search: Search, children: Sequence[Thought], solved: list[Thought]) -> None:
        """Down from the best child to the best child; the first solved thought ends it for all subtrees."""
        while True:
            solved += filter(search.solved, children)
            alive = [thought for thought in children if not dead(search, thought)]
            if solved or not alive:
                return
            await judge(search, alive, self.critic)
            best = ranked(alive, [prefix(search, thought, self.critic, self.aggregate) for thought in alive])[0]
            if best.done or best.depth - search.root.depth >= self.steps:
                return
            children = await grow(search, best, self.action, self.m, merge=False)
