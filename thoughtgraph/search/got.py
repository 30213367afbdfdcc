"""Graph of Thoughts (Besta et al., 2024): split the problem, solve the parts, merge them, refine the whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from thoughtgraph.errors import at_least
from thoughtgraph.search.operations import aggregate, generate, keep_best, refine, score
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

Operation: TypeAlias = Callable[[Search, Sequence[Thought], str, int], Awaitable[list[Thought]]]
"""`generate` or `aggregate`: what makes up to n thoughts of a group, by an action."""


@dataclass(frozen=True)
class GoT:
    """Split into `parts`, draw `samples` solutions of each and keep the best, merge, refine, keep the best of all.

    Neighbours are merged pair by pair, level by level, `merges` times each, and of each the best is kept; the whole is
    refined `refinements` times and stays in the running itself. However many parts the split brings, they are solved;
    where it brings none, the problem is solved as a whole. The plan ends early where a part comes to nothing, where
    the goal test accepts a thought, and before the refinements where the whole has the value `perfect`. Choose it
    where parts can be judged, errors grow with the size of what is solved at once, and merging is easy; where a part
    is as hard as the whole, or merging is, choosing among whole answers and refining the best one leaves fewer errors.
    The paper sorts 32 numbers with 2 parts, 5 samples, 10 merges and 10 refinements.

    Cost: with k parts 2 k + 1 expansions and k samples + (k - 1) merges + refinements judgements; where each draw is a
    call, one call more than judgements.
    """

    parts: int = 4
    samples: int = 5
    merges: int = 2
    refinements: int = 5
    perfect: float | None = None
    split: str = "split"
    action: str = "step"
    merge: str = "merge"
    refine: str = "refine"
    critic: str = "value"

    def __post_init__(self) -> None:
        at_least(2, parts=self.parts)
        at_least(1, samples=self.samples, merges=self.merges)
        at_least(0, refinements=self.refinements)

    @property
    def acts(self) -> tuple[str, ...]:
        """The fields that name actions that it will ask for."""
        return ("split", "action", "merge", "refine") if self.refinements else ("split", "action", "merge")

    async def __call__(self, search: Search) -> Thought | None:
        """The paper's plan for sorting, for any number of parts."""
        parts = await generate(search, [search.root], self.split, self.parts) or [search.root]
        thoughts = await self._each(search, [[part] for part in parts], generate, self.action, self.samples)
        while len(thoughts) > 1:
            pairs = list(zip(thoughts[::2], thoughts[1::2], strict=False))
            merged = await self._each(search, pairs, aggregate, self.merge, self.merges)
            thoughts = [*merged, *thoughts[2 * len(pairs) :]] if merged else []
        best = await self._refined(search, thoughts)
        answers = search.candidates()
        return next((thought for thought in best if thought in answers), None) or search.answer()

    async def _each(
        self, search: Search, groups: Sequence[Sequence[Thought]], make: Operation, action: str, n: int
    ) -> list[Thought]:
        """The best thought made of each group; none where a group came to nothing, or the problem is solved."""

        async def best(group: Sequence[Thought]) -> list[Thought]:
            made = await score(search, await make(search, group, action, n), self.critic)
            return keep_best(search, made, 1, self.critic)

        kept = await search.gather(*map(best, groups))
        solved = search.task.goal is not None and search.answer() is not None
        return [] if solved or not all(kept) else [thought for [thought] in kept]

    async def _refined(self, search: Search, thoughts: Sequence[Thought]) -> Sequence[Thought]:
        """The best of the whole and its refinements."""
        values = (search.value(thought, self.critic) for thought in thoughts)
        perfect = self.perfect is not None and any(value is not None and value >= self.perfect for value in values)
        if not thoughts or not self.refinements or perfect:
            return thoughts
        refined = await refine(search, thoughts, self.refine, self.refinements)
        return keep_best(search, await score(search, [*thoughts, *refined], self.critic), 1, self.critic)
