"""Best-of-n (Cobbe et al., 2021): sample n answers, let a critic judge them, take the best."""

from __future__ import annotations

from dataclasses import dataclass

from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class BestOfN:
    """Draw `n` chains side by side and answer with the one that `critic` values most.

    It pays where judging is easier than solving. Where the problem has a goal test, that decides, and
    no critic is asked. Chains that claim nothing are not judged.
    """

    n: int = 8
    steps: int = 16
    action: str = "reason"
    critic: str = "value"

    def __post_init__(self) -> None:
        at_least(1, n=self.n, steps=self.steps)

    async def __call__(self, search: Search) -> Thought | None:
        """Sample, score, choose."""
        ends = await chains(search, self.n, self.action, self.steps)
        if search.task.goal is not None:
            return next((end for end in ends if search.solved(end)), None)
        claims = [end for end in ends if end.done and search.claim(end) is not None]
        if len(claims) > 1:
            await search.score(claims, self.critic)
        return search.answer()
