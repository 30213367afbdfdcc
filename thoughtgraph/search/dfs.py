"""Tree of Thoughts, depth first (Yao et al., 2023): go on from the best child, prune, backtrack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thoughtgraph.errors import at_least
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class DFS:
    """Follow the most promising child to the end before its siblings, and never expand a thought twice.

    Children valued at `prune` or below are not followed (None follows all, in their order of value: with a critic
    that can be wrong only that is complete). At most `width` children of a thought and `expansions` in all. Without
    a goal test it ends with its first final thought. Choose it for constraint problems with cheap dead ends.

    Cost: at most `expansions`, and a judgement of every thought they make.
    """

    width: int = ALL
    prune: float | None = None
    expansions: int = 1000
    branch: int = ALL
    action: str = "step"
    critic: str = "value"

    def __post_init__(self) -> None:
        at_least(1, width=self.width, expansions=self.expansions, branch=self.branch)

    async def __call__(self, search: Search) -> Thought | None:
        """A stack rather than recursion: chains may be thousands of thoughts deep."""
        stack, seen = [search.root], {search.root.id}
        for _ in range(self.expansions):
            if not stack:
                break
            children = await search.expand(stack.pop(), action=self.action, n=self.branch)
            new = [child for child in children if child.id not in seen]
            seen.update(child.id for child in new)
            if end := next((child for child in new if self._ends(search, child)), None):
                return end
            stack += reversed(await self._promising(search, [child for child in new if not child.done]))
        return search.answer()

    def _ends(self, search: Search, thought: Thought) -> bool:
        if search.task.goal is not None:
            return search.solved(thought)
        return thought.done and search.claim(thought) is not None

    async def _promising(self, search: Search, thoughts: Sequence[Thought]) -> list[Thought]:
        """Best first; what nobody could judge comes last."""
        scores = await search.score(thoughts, self.critic)
        pairs = [(float("-inf") if s.value is None else s.value, t) for s, t in zip(scores, thoughts, strict=True)]
        kept = [(v, t) for v, t in pairs if self.prune is None or v > self.prune or v == float("-inf")]
        return [thought for _, thought in sorted(kept, key=lambda pair: -pair[0])][: self.width]
