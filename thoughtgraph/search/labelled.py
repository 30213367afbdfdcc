"""Labels where a search has been (Wang et al., 2024): search by another policy, then complete what it came by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.rollouts import rollouts
from thoughtgraph.search.tot import ToT
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Labelled:
    """Run `policy` to its answer, then complete `thoughts` of the open thoughts that it judged, `rollouts` times each.

    So a critic is taught on what the search that it steers comes by, and not on what a random walk does
    (`MonteCarlo`): where a search goes wrong is where its critic was wrong. The thoughts are drawn at random, each
    once. The answer is the policy's own, or what rollouts came by where it has none. Let `rollout` be an action that
    the policy does not use: by it `learning.labels` tells trials from the search.

    Cost: that of `policy`, and at most `thoughts` expansions for rollouts of a single step, times `steps` for others.
    """

    policy: Any = field(default_factory=ToT)
    thoughts: int = 16
    rollouts: int = 8
    steps: int = 16
    rollout: str = "reason"

    acts: ClassVar[tuple[str, ...]] = ("rollout",)
    judges: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        at_least(1, thoughts=self.thoughts, rollouts=self.rollouts, steps=self.steps)
        if not callable(self.policy):
            raise ValueError(  # noqa: TRY004  # settings raise one kind of error
                f"policy is {self.policy!r:.80}: expected a policy, as in policy=tot(breadth=5)"
            )

    @property
    def inner(self) -> tuple[Any, ...]:
        """The policy that it runs."""
        return (self.policy,)

    async def __call__(self, search: Search) -> Thought | None:
        """Search, then complete."""
        chosen: Thought | None = await self.policy(search)
        judged = [t for t in search.graph if not t.done and t.parents and search.graph.scores(t)]
        drawn = search.rng.sample(judged, min(self.thoughts, len(judged)))
        how = (self.rollouts, self.rollout, self.steps)
        await search.gather(*(rollouts(search, thought, *how) for thought in drawn))
        return chosen or search.answer()

    def answer(self, search: Search) -> Thought | None:
        """The best so far of the policy."""
        own: Callable[[Search], Thought | None] | None = getattr(self.policy, "answer", None)
        return (None if own is None else own(search)) or search.answer()
