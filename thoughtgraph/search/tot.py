"""Tree of Thoughts, breadth first (Yao et al., 2023): keep the best few thoughts of each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thoughtgraph.errors import at_least
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
            grown = await self._grow(search, beam)
            if solved := next((thought for thought in grown if search.solved(thought)), None):
                return solved
            alive = [thought for thought in grown if not (thought.done and search.task.goal)]
            beam = await self._select(search, alive)
            if all(thought.done for thought in beam):
                break
        return beam[0] if beam and beam[0].done else search.answer()

    async def _grow(self, search: Search, beam: Sequence[Thought]) -> list[Thought]:
        """The children of the open thoughts in the order of their parents; finished ones stay in the running."""

        async def children(thought: Thought) -> list[Thought]:
            return [thought] if thought.done else await search.expand(thought, action=self.action, n=self.branch)

        levels = await search.gather(*map(children, beam))
        return list({thought.id: thought for level in levels for thought in level}.values())

    async def _select(self, search: Search, candidates: Sequence[Thought]) -> list[Thought]:
        """The `breadth` best by value, in a stable order."""
        first = dict[tuple[str, ...], Thought]()
        for thought in candidates:
            first.setdefault(tuple(step.text for step in search.graph.path(thought)), thought)
        await search.score(self._unjudged(search, list(first.values())), self.critic)
        judged = {thought.id for thought in first.values()}
        values = {id: value for id in judged if (value := search.value(search.graph[id], self.critic)) is not None}
        repeated = min(0.0, *values.values(), 0.0)
        worth = [values.get(t.id, float("-inf")) if t.id in judged else repeated for t in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -worth[i])
        return [candidates[i] for i in order[: self.breadth]]

    def _unjudged(self, search: Search, thoughts: Sequence[Thought]) -> Sequence[Thought]:
        """Those without a value; all of them where a finished one was only compared with others, on another level."""
        compared = any(search.graph.compared(thought, search.task.critic(self.critic)) for thought in thoughts)
        return [t for t in thoughts if compared or search.value(t, self.critic) is None]
