"""Duels between candidates, each fought in both orders, and a Swiss tournament of about n log n of them.

A judge that is shown a pair twice, once in each order (Zheng et al., 2023), says with every duel something of itself:
where the place decides and not the candidate, its two verdicts name the same place.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum, log2
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
"""Two candidates by their numbers, from 0."""

Share: TypeAlias = float | None
"""What the first of a pair won: 1, 0, or between for ties and flips; None where nobody could say."""


@dataclass(frozen=True, slots=True)
class Duel:
    """What one judge said of candidates i and j: `there` is how much i won when shown first, `back` when shown second.

    None is an abstention. A duel counts when both orders were judged: one alone may be the place and nothing else.
    """

    judge: str
    i: int
    j: int
    there: Share
    back: Share

    @property
    def share(self) -> Share:
        """How much i won over both orders: agreement is a win, disagreement a tie; None without both verdicts."""
        return None if self.there is None or self.back is None else (self.there + self.back) / 2

    @property
    def flip(self) -> int:
        """+1 where the judge named the first place twice, -1 for the second place twice, 0 for all else."""
        decided = {self.there, self.back} == {0.0, 1.0}
        return (1 if self.there == 1 else -1) if decided else 0


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a judge behaved over its duels; counts are of duels.

    `judged` had both verdicts, of which `agreed` name one candidate twice; `firsts` and `seconds` name one place twice.
    """

    judged: int
    abstained: int
    agreed: int
    firsts: int
    seconds: int

    @property
    def flips(self) -> int:
        """Duels whose two verdicts name one place, and so two candidates."""
        return self.firsts + self.seconds

    @property
    def consistency(self) -> float | None:
        """Agreement beyond place and chance, as in Scott's pi (1955): 1 always agrees, 0 is what they alone give.

        A judge that names the first place with probability q, whatever stands there, agrees with itself in 2 q (1 - q)
        of its duels. None where no duel was decided twice.
        """
        decided = self.agreed + self.flips
        if not decided:
            return None
        q = (2 * self.firsts + self.agreed) / (2 * decided)
        chance = 2 * q * (1 - q)
        return (self.agreed / decided - chance) / (1 - chance)

    def fault(self, least: float) -> str:
        """What explains the verdicts if the consistency is under `least`: "position" or "chance"; "" if it is not.

        It is the position where all flips name one place, or one place significantly more often (McNemar, 1947).
        """
        if self.consistency is None or not self.flips or self.consistency >= least:
            return ""
        lean = (self.firsts - self.seconds) ** 2 >= 3.84 * self.flips
        return "position" if lean or not min(self.firsts, self.seconds) else "chance"


def conduct(duels: Sequence[Duel]) -> Conduct:
    """The conduct of the judge whose duels these are."""
    shares, flips = [duel.share for duel in duels], [duel.flip for duel in duels]
    judged = [share for share in shares if share is not None]
    agreed = sum(share in (0, 1) for share in judged)
    return Conduct(len(judged), len(shares) - len(judged), agreed, flips.count(1), flips.count(-1))


def longer(duels: Sequence[Duel], lengths: Sequence[int]) -> float | None:
    """The share of wins that went to the longer candidate, flips and ties as halves; None where no length differs."""
    shares = [
        duel.share if lengths[duel.i] > lengths[duel.j] else 1 - duel.share
        for duel in duels
        if duel.share is not None and lengths[duel.i] != lengths[duel.j]
    ]
    return fsum(shares) / len(shares) if shares else None


# -- the tournament ------------------------------------------------------------------------------------------------


async def tournament(
    n: int,
    hold: Callable[[Sequence[Pair]], Awaitable[Sequence[Share]]],
    rng: random.Random,
    *,
    full: int = 6,
    rounds: int | None = None,
) -> None:
    """Have `hold` judge pairs of `n` candidates, a round at a time, each pair at most once.

    Up to `full` candidates it is one round of all n (n - 1) / 2 pairs, which up to 6 are no more than n log2 n. Beyond,
    a Swiss system of R = `rounds` rounds, floor(2 log2 n) unless said otherwise, of at most n // 2 pairs each: no more
    than n log2 n either. In a round those
    meet who lost equally often and have not met, the best first: with a judge that makes no mistake only the best is
    unbeaten after ceil(log2 n) of them, and in the rest it meets its nearest rivals.
    """
    if n <= full:
        await hold(list(combinations(range(n), 2)))
        return
    table = _Table(rng.sample(range(n), n))
    for _ in range(int(2 * log2(n)) if rounds is None else rounds):
        pairs = table.pairs()
        table.enter(pairs, await hold(pairs))


class _Table:
    """Who lost and won how much so far, and who has met whom; the seeds decide between equals."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds, self.met = seeds, set[Pair]()
        self.lost, self.won = dict.fromkeys(seeds, 0.0), dict.fromkeys(seeds, 0.0)

    def pairs(self) -> list[Pair]:
        """The next round: from the top of the table, each with the next one that it has not met."""
        waiting = sorted(self.seeds, key=lambda i: (self.lost[i], -self.won[i]))
        pairs: list[Pair] = []
        while waiting:
            i = waiting.pop(0)
            if (j := next((j for j in waiting if (i, j) not in self.met), None)) is not None:
                waiting.remove(j)
                pairs.append((i, j))
        return pairs

    def enter(self, pairs: Sequence[Pair], shares: Sequence[Share]) -> None:
        """Write down how a round ended; where nobody could say, they have met all the same."""
        for (i, j), share in zip(pairs, shares, strict=True):
            self.met |= {(i, j), (j, i)}
            if share is not None:
                for who, won in ((i, share), (j, 1 - share)):
                    self.won[who] += won
                    self.lost[who] += 1 - won
