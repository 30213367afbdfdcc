"""Sequential halving (Karnin, Koren & Somekh, 2013): judge all, keep the better half, judge it twice as often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.search.steps import ranked
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class SequentialHalving:
    """Draw `n` chains side by side and find the best one with a noisy critic: most judgements go to close rivals.

    In round r = 0, 1, 2 ... every candidate left is judged 2^r times more, as fresh draws that are pooled with the
    earlier ones, and the better half stays (the larger half of an odd number). So each round costs about the same,
    and the last two are judged about n times each. Choose it over `BestOfN` where one judgement says little and costs
    little beside a chain; a critic that always says the same gains nothing by it. With a goal test, that decides.

    Cost: n chains of at most `steps` expansions, and n judgements in each of log2(n) rounds; where n is no power of
    two, halves are rounded up, and it is at most n (log2(n) + 3) judgements.
    """

    n: int = 8
    steps: int = 16
    action: str = "reason"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n, steps=self.steps)

    async def __call__(self, search: Search) -> Thought | None:
        """Round by round, until one is left."""
        ends = await chains(search, self.n, self.action, self.steps)
        if search.task.goal is not None:
            return next((end for end in ends if search.solved(end)), None)
        left, times = [end for end in ends if end.done and search.claim(end) is not None], 1
        while len(left) > 1:
            await search.gather(*(search.score(left, self.critic) for _ in range(times)))
            better = ranked(left, [search.value(end, self.critic) for end in left])
            left, times = better[: (len(left) + 1) // 2], 2 * times
        return left[0] if left else None

    def answer(self, search: Search) -> Thought | None:
        """The best of the candidates that were judged most often: a value of few samples is often too good."""
        name = search.task.critic(self.critic)
        scores = ((search.graph.score(end, name), end) for end in search.candidates())
        judged = [(score.samples, score.value, end) for score, end in scores if score and score.value is not None]
        return max(judged, key=lambda one: one[:2])[2] if judged else search.answer()
