"""Best-first search: always go on from the open thought of the highest value, wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class BestFirst:
    """Expand the best open thought, judge its children, repeat, at most `expansions` times.

    It jumps freely between branches, so it needs values that are comparable across depths. It ends with the first
    solved thought, or where there is no goal test with the first final thought that comes to the top.

    Cost: at most `expansions`, and a judgement of every thought they make.
    """

    expansions: int = 1000
    branch: int = ALL
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, expansions=self.expansions, branch=self.branch)

    async def __call__(self, search: Search) -> Thought | None:
        """A heap of open thoughts; the ticket keeps equals in the order in which they came."""
        ticket, frontier, seen = count(1), [(0.0, 0, search.root)], {search.root.id}
        expanded = 0
        while frontier and expanded < self.expansions:
            _, _, thought = heappop(frontier)
            if thought.done and search.claim(thought) is not None:
                return thought
            expanded += 1
            children = await search.expand(thought, action=self.action, n=self.branch)
            new = [child for child in children if child.id not in seen]
            seen.update(child.id for child in new)
            if solved := next((child for child in new if search.solved(child)), None):
                return solved
            open_ = [child for child in new if not (child.done and search.task.goal)]
            for child, score in zip(open_, await search.score(open_, self.critic), strict=True):
                value = float("-inf") if score.value is None else score.value
                heappush(frontier, (-value, next(ticket), child))
        return search.answer()
