"""Maximal marginal relevance (Carbonell and Goldstein, 1998): passages that say what was not said before them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from thoughtgraph.errors import at_least
from thoughtgraph.retrieval.index import Array, arrays
from thoughtgraph.retrieval.matrix import matrix
from thoughtgraph.retrieval.ranking import distinct, places, reader_of
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.retrieval.vectoring import embedder_of
from thoughtgraph.thought import Passage


@dataclass(frozen=True)
class Diverse:
    """Of the first `depth` passages of `inner`, one after the other, each relevant and unlike those chosen before.

    `balance` is the paper's lambda: 1 is the order of `inner`, 0 looks at the difference alone (after the first).
    Relevance is 1 / log2(1 + rank), the discount of Järvelin and Kekäläinen (2002), so that whatever ordered them is
    respected. How alike two passages are is the cosine of their vectors in the file of `reader` (the one that `inner`
    reads, where none is given), and the share of common words where one of them has none. What lies deeper comes after,
    as it was found.
    """

    inner: Retriever
    balance: float = 0.5
    depth: int = 50
    reader: Reader | None = None

    def __post_init__(self) -> None:
        at_least(0, balance=self.balance)
        at_least(1, depth=self.depth)
        if self.balance > 1:
            raise ValueError(f"balance is {self.balance!r}: expected a number from 0 to 1")

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, the most relevant one first."""
        found = distinct(await self.inner(query, max(k, self.depth)))
        head, rest = found[: self.depth], found[self.depth :]
        alike = await asyncio.to_thread(likeness, head, self.reader or reader_of(self.inner))
        return [*(head[place] for place in chosen(alike, k, self.balance)), *rest][: max(k, 0)]


def chosen(alike: Array, k: int, balance: float) -> list[int]:
    """Places of at most `k` of n things in rising rank, by how alike they are (n, n): the paper's formula, greedily."""
    np = arrays()
    relevance = np.array([1 / math.log2(2 + place) for place in range(len(alike))])
    left, taken, nearest = list(range(len(alike))), list[int](), np.zeros(len(alike))
    while left and len(taken) < k:
        gain = balance * relevance - (1 - balance) * nearest
        taken.append(max(left, key=lambda place: (gain[place], -place)))
        left.remove(taken[-1])
        nearest = np.maximum(nearest, alike[taken[-1]])
    return taken


def likeness(passages: Sequence[Passage], reader: Reader | None) -> Array:
    """How alike passages are (n, n), from 0 to 1: by the vectors of a file where both have one, else by words."""
    np = arrays()
    words = [frozenset(re.findall(r"\w+", passage.text.casefold())) for passage in passages]
    alike = np.array([[_overlap(a, b) for b in words] for a in words]).reshape(len(words), len(words))
    vectors = _vectors(passages, reader) if reader else np.full((len(words), 1), np.nan)
    cosines = np.einsum("id,jd->ij", vectors, vectors).round(6)
    return np.where(np.isnan(cosines), alike, cosines.clip(0, 1))


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


def _vectors(passages: Sequence[Passage], reader: Reader) -> Array:
    """The vectors (n, d) of passages, NaN where the reader's file has none for it to see."""
    np, (who, _) = arrays(), embedder_of(reader.index)
    visible = reader.visible()
    at = [-1 if place is None else place for place in places(reader, visible, passages)]
    found = np.full((len(passages), who.dimension if who else 1), np.nan)
    if who and (there := [place for place in at if place >= 0]):
        known = matrix(reader.index, who).vectors(reader.index, visible.rows, np.unique(there))
        found = np.array([known.get(place, found[0]) for place in at])
    return found
