"""Process labels by rollouts (Wang et al., 2024: Math-Shepherd): what comes of every prefix, tried again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.rollouts import places, rollouts
from thoughtgraph.search.steps import grow
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class MonteCarlo:
    """Walk `breadth` thoughts forward, step by step, and complete each of them `rollouts` times by another action.

    It looks for labels, not for answers: how many completions of a prefix are right is what the prefix is worth to
    whoever completes it. Nothing is judged on the way, so no answer is known to the search; `learning.labels` reads the
    counts afterwards. The walk goes on from thoughts drawn at random, never from the best, or its labels would be of
    nothing else.

    With `branch=1` it walks `breadth` chains, and labels what a policy that samples comes by; with more, each kept
    thought is expanded to `branch` children (all there are, if not said), of all of which `breadth` are kept: the
    thoughts that a tree search has to choose from. What an `action` writes at once is cut into places by the task's
    action "cut". Let `rollout` be another action than `action`: it is how trials are told from the walk, and from a
    whole answer that is cut. Choose `Omega` where only the first wrong step matters.

    Cost: breadth expansions a level, for `steps` levels, and `rollouts` completions of each thought kept.
    """

    breadth: int = 4
    rollouts: int = 8
    branch: int = ALL
    steps: int = 16
    action: str = "step"
    rollout: str = "reason"

    acts: ClassVar[tuple[str, ...]] = ("action", "rollout")
    judges: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        at_least(1, breadth=self.breadth, rollouts=self.rollouts, branch=self.branch, steps=self.steps)

    async def __call__(self, search: Search) -> Thought | None:
        """Level by level, the question first."""
        await self._complete(search, [search.root])
        kept = [search.root]
        for step in range(self.steps):
            grown = await search.gather(*(self._further(search, thought, step) for thought in kept))
            kept = self._drawn(search, [child for children in grown for child in children])
            await self._label(search, kept)
            kept = [thought for thought in kept if not thought.done]
            if not kept:
                break
        return search.answer()

    async def _further(self, search: Search, thought: Thought, step: int) -> list[Thought]:
        """The children of a thought; chains begin apart, and are not merged."""
        width = self.branch if step or self.branch > 1 else self.breadth
        return await grow(search, thought, self.action, width, merge=self.branch > 1)

    def _drawn(self, search: Search, thoughts: Sequence[Thought]) -> list[Thought]:
        """`breadth` of the different thoughts, at random, in their order."""
        different = list(dict.fromkeys(thoughts))
        chosen = search.rng.sample(range(len(different)), min(self.breadth, len(different)))
        return [different[i] for i in sorted(chosen)]

    async def _label(self, search: Search, kept: Sequence[Thought]) -> None:
        """Complete what is open, and the places in what is whole: what was finished with its very first thought."""
        whole = [t for t in kept if t.done and t.parents[0] == search.root.id]
        between = await search.gather(*(places(search, search.root, t) for t in whole))
        await self._complete(search, [*(t for t in kept if not t.done), *(place for way in between for place in way)])

    async def _complete(self, search: Search, thoughts: Sequence[Thought]) -> None:
        how = (self.rollouts, self.rollout, self.steps)
        await search.gather(*(rollouts(search, thought, *how) for thought in thoughts))
