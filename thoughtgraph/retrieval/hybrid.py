"""Hybrid retrieval by reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): what several lists agree on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from thoughtgraph.errors import Forbidden, TaskError, at_least
from thoughtgraph.retrieval.ranking import called, distinct
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.thought import Passage


@dataclass(frozen=True)
class Hybrid:
    """The lists of several retrievers as one: words find names and numbers, vectors find what is said otherwise.

    Each is asked for `depth` passages, and a passage's score is the sum of weight / (`k` + rank), its rank 1 in a list
    that it leads, over those lists alone that have it. No score of one retriever is compared with another's. `weights`
    has one number of at least 0 for each retriever, 1 where none are given; one that weighs 0 is not asked.
    """

    retrievers: Sequence[Retriever]
    weights: Sequence[float] | None = None
    depth: int = 100
    k: int = 60

    def __post_init__(self) -> None:
        at_least(1, depth=self.depth)
        at_least(0, k=self.k)
        weights = self.weights
        if not self.retrievers:
            raise TaskError("there are no retrievers to fuse: expected one at least, as in Hybrid((BM25(r), Dense(r)))")
        if weights is None:
            return
        if (
            len(weights) != len(self.retrievers)
            or not all(math.isfinite(w) and w >= 0 for w in weights)
            or not any(weights)
        ):
            raise TaskError(
                f"the weights are {weights!r:.80}: expected {len(self.retrievers)} numbers of at least 0, one for each "
                "retriever, and not all 0"
            )

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, the highest sum first. A retriever that fails fails this search.

        One that may not see the query is left out, while there are others.
        """
        weights = self.weights or [1.0] * len(self.retrievers)
        asked = [(retriever, weight) for retriever, weight in zip(self.retrievers, weights, strict=True) if weight]
        lists = await asyncio.gather(*(_permitted(retriever, query, max(k, self.depth)) for retriever, _ in asked))
        found = [
            (kept, weight) for kept, (_, weight) in zip(lists, asked, strict=True) if not isinstance(kept, Forbidden)
        ]
        if not found:
            raise next(error for error in lists if isinstance(error, Forbidden))
        return fused([kept for kept, _ in found], [weight for _, weight in found], self.k)[: max(k, 0)]


async def _permitted(retriever: Retriever, query: str, k: int) -> Sequence[Passage] | Forbidden:
    """What a retriever finds; that the query is not for the model behind it, where it is not."""
    try:
        return await retriever(query, k)
    except Forbidden as error:
        return error


def fused(lists: Sequence[Sequence[Passage]], weights: Sequence[float], k: int = 60) -> list[Passage]:
    """Every passage of `lists` once, by falling sum of weight / (k + rank).

    Of equal sums comes first whose best rank is better, then what an earlier list has at that rank.
    """
    shares, first = dict[tuple[str, str], list[float]](), dict[tuple[str, str], tuple[int, int, Passage]]()
    for place, (found, weight) in enumerate(zip(lists, weights, strict=True)):
        for rank, passage in enumerate(distinct(found), 1):
            name = called(passage)
            shares.setdefault(name, []).append(weight / (k + rank))
            first[name] = min(first.get(name, (rank, place, passage)), (rank, place, passage), key=lambda at: at[:2])
    order = sorted(shares, key=lambda name: (-math.fsum(shares[name]), *first[name][:2]))
    return [first[name][2] for name in order]
