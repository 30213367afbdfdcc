"""Best-of-n (Cobbe et al., 2021): sample n answers, let a critic judge them, take the best, or the best supported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thoughtgraph.answers import weighted_majority
from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class BestOfN:
    """Draw `n` chains side by side and answer with the one that `critic` values most.

    It pays where judging is easier than solving. Where the problem has a goal test, that decides, and
    no critic is asked. Chains that claim nothing are not judged. `choose="weighted"` sums the values of equal answers
    and takes the largest sum (Li et al., 2023): prefer it where answers can be compared and the critic is noisy, and
    values are not negative.

    Cost: n chains of at most `steps` expansions, and n judgements.
    """

    n: int = 8
    steps: int = 16
    action: str = "reason"
    critic: str = "value"
    choose: Literal["best", "weighted"] = "best"

    def __post_init__(self) -> None:
        at_least(1, n=self.n, steps=self.steps)
        if self.choose not in ("best", "weighted"):
            raise ValueError(f'choose is {self.choose!r}: expected "best" or "weighted"')

    async def __call__(self, search: Search) -> Thought | None:
        """Sample, score, choose."""
        ends = await chains(search, self.n, self.action, self.steps)
        if search.task.goal is not None:
            return next((end for end in ends if search.solved(end)), None)
        claims = [end for end in ends if end.done and search.claim(end) is not None]
        if len(claims) > 1:
            await search.score(claims, self.critic)
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The task's own choice, or that of the summed values."""
        if self.choose == "weighted":
            return weighted_majority(search.task, search.graph, search.finals)
        return search.answer()
