"""Self-consistency (Wang et al., 2023) that stops early (Adaptive-Consistency, Aggarwal et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from thoughtgraph.answers import candidates, majority, tally
from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class SelfConsistency:
    """Draw answers in waves, let them vote, and stop once the leader is `sure` to stay ahead of the second.

    At most `n` chains; the first is drawn alone, and if its answer is of a kind that cannot be compared (a poem),
    that one call is all. Four equal answers in a row end it at the default `sure`; `sure=1` draws all `n`. With a
    goal test, the first answer that passes it ends the search.

    With a `share` it stops by the adaptive rule in place of that: waves of 2, 4, 8 ..., until so much of all that was
    drawn is one answer (0.75 is usual). It has fewer rounds to wait for, and decides more rashly: two equal answers
    are enough.

    Cost: at most n chains of at most `steps` expansions; 4 chains where all agree.
    """

    n: int = 16
    wave: int = 3
    sure: float = 0.95
    steps: int = 16
    action: str = "reason"
    share: float | None = None

    def __post_init__(self) -> None:
        at_least(1, n=self.n, wave=self.wave, steps=self.steps)
        at_least(0.5, sure=self.sure, share=self.share)
        for name, value in (("sure", self.sure), ("share", self.share)):
            if value is not None and value > 1:
                raise ValueError(f"{name} is {value!r}: expected a share of at most 1")

    async def __call__(self, search: Search) -> Thought | None:
        """Sample and count until the vote is decided."""
        ends = list[Thought]()
        size = 1 if self.share is None else 2
        while len(ends) < self.n:
            drawn = await chains(search, min(size, self.n - len(ends)), self.action, self.steps)
            ends += drawn
            if not drawn or self._decided(search, ends):
                break
            size = self.wave if self.share is None else 2 * size
        return self._leader(search, ends)

    def answer(self, search: Search) -> Thought | None:
        """The leader of the votes so far."""
        return self._leader(search, search.finals)

    def _decided(self, search: Search, ends: Sequence[Thought]) -> bool:
        valid = candidates(search.task, search.graph, [end for end in ends if end.done])
        votes = sorted(map(len, tally(search.task, search.graph, valid).values()), reverse=True)
        if search.task.goal is not None or not votes:
            return bool(valid)
        first, second = votes[0], votes[1] if len(votes) > 1 else 0
        if self.share is not None:
            return first >= self.share * len(ends)
        return self.sure < 1 and stays_ahead(first, second) >= self.sure

    def _leader(self, search: Search, ends: Sequence[Thought]) -> Thought | None:
        return majority(search.task, search.graph, [end for end in ends if end.done])


def stays_ahead(first: int, second: int) -> float:
    """The chance that an answer with `first` votes is more likely than one with `second`: 1 - I_1/2(v1 + 1, v2 + 1).

    I is the regularised incomplete beta function, here a binomial sum; the prior over the pair is uniform.
    """
    n = first + second + 1
    return sum(comb(n, k) for k in range(first + 1)) / 2**n
