"""Universal self-consistency (Chen et al., 2023): a model reads all answers and names the most consistent one."""

from __future__ import annotations

from dataclasses import dataclass

from thoughtgraph.answers import tally, weighted_majority
from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class USC:
    """Draw `n` chains side by side and let a comparative `critic` choose the one that agrees best with the others.

    Self-consistency for answers that no parser can make equal: a summary, a plan, a piece of code. All of them stand
    in one prompt, so `n` is small. Where answers can be compared and all are one, the critic is not asked, and its
    votes for equal answers are added up; where it says nothing, the plain majority is the answer. With a goal test,
    that decides. Choose `SelfConsistency` where answers are short: it needs no critic and stops early.

    Cost: n chains of at most `steps` expansions, and one judgement of the n as a set.
    """

    n: int = 8
    steps: int = 16
    action: str = "reason"
    critic: str = "agree"

    def __post_init__(self) -> None:
        at_least(1, n=self.n, steps=self.steps)

    async def __call__(self, search: Search) -> Thought | None:
        """Sample, compare, choose."""
        ends = await chains(search, self.n, self.action, self.steps)
        if search.task.goal is not None:
            return next((end for end in ends if search.solved(end)), None)
        claims = [end for end in ends if end.done and search.claim(end) is not None]
        equal = tally(search.task, search.graph, claims).values()
        if len(claims) > max(map(len, equal), default=1):
            await search.score(claims, self.critic)
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The answer with the most of the critic's votes, or of its own."""
        return weighted_majority(search.task, search.graph, search.finals)
