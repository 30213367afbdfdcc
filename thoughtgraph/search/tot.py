"""Tree of Thoughts, breadth first (Yao et al., 2023): keep the best few thoughts of each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import level
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class ToT:
    """Expand every kept thought, judge all that came, keep the `breadth` best, at most `steps` times.

    As in the authors' code: candidates stand in the order of their parents, equal values keep that order, and an
    exact repetition of a text is not judged again but values 0. The whole level runs side by side. Choose it where
    solutions have a known, small depth and partial ones can be judged; it never goes back.

    Cost: at most breadth expansions a level, for `steps` levels, and a judgement of each different thought they make.
    """

    breadth: int = 5
    steps: int = 16
    branch: int = ALL
    action: str = "step"
    critic: str = "value"

    def __post_init__(self) -> None:
        at_least(1, breadth=self.breadth, steps=self.steps, branch=self.branch)

    async def __call__(self, search: Search) -> Thought | None:
        """Level by level."""
        beam = [search.root]
        for _ in range(self.steps):
            grown = await level(search, beam, partial(search.expand, action=self.action, n=self.branch))
            if solved := next(filter(search.solved, grown), None):
                return solved
            beam = await self._select(search, grown)
            if all(thought.done for thought in beam):
                break
        return beam[0] if beam and beam[0].done else search.answer()

    async def _select(self, search: Search, candidates: Sequence[Thought]) -> list[Thought]:
        """The `breadth` best by value, in a stable order."""
        first = dict[tuple[str, ...], Thought]()
        for thought in candidates:
            first.setdefault(tuple(step.text for step in search.graph.path(thought)), thought)
        await search.score(self._unjudged(search, list(first.values())), self.critic)
        judged = {thought.id for thought in first.values()}
        values = {id: value for id in judged if (value := search.value(search.graph[id], self.critic)) is not None}
        repeated = min([0.0, *values.values()])
        worth = [values.get(t.id, float("-inf")) if t.id in judged else repeated for t in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -worth[i])
        return [candidates[i] for i in order[: self.breadth]]

    def _unjudged(self, search: Search, thoughts: Sequence[Thought]) -> Sequence[Thought]:
        """Those not judged yet; all of them where a finished one was only compared with others, on another level."""
        name = search.task.critic(self.critic)
        compared = any(search.graph.compared(thought, name) for thought in thoughts)
        return [t for t in thoughts if compared or search.graph.score(t, name) is None]
