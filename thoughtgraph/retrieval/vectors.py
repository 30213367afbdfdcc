"""Dense retrieval (Karpukhin et al., 2020), exact: the query's vector against every vector that its reader may see.

The search comes after the filter, so its recall is 1 under any labels, and what is forbidden is never multiplied: it
is not even read into memory.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

from thoughtgraph.errors import Forbidden, TaskError
from thoughtgraph.labels import allowed
from thoughtgraph.retrieval.embedders import Embedder, Identity, unit
from thoughtgraph.retrieval.index import Array, Index, arrays
from thoughtgraph.retrieval.matrix import Seen, matrix
from thoughtgraph.retrieval.ranking import least
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.retrieval.vectoring import embedder_of
from thoughtgraph.thought import Passage, clean

ROUNDING = 1e-4
"""More than float32 can be wrong by in a product of unit vectors: all that is so near to the last is computed anew."""

BATCH = 4096
"""So many products are computed anew at a time."""


class Nearest(Protocol):
    """What finds the nearest of the visible vectors: `Exact`, `Lance`, or `Routed`, which chooses between two."""

    def nearest(self, query: Array, k: int, visible: Visible) -> tuple[Array, Array]:
        """Where the passages nearest to a vector (d,) stand in `visible.rows`, at most k, and their falling cosines.

        Only what is visible is compared with anything. Equally near ones come in the order in which they were added.
        """
        ...


@dataclass(frozen=True)
class Exact:
    """Every visible vector of one file, compared: about 1 ms of CPU for 10,000 of 384 numbers, 4 bytes a number."""

    index: Index

    def nearest(self, query: Array, k: int, visible: Visible) -> tuple[Array, Array]:
        """See `Nearest`. Cosines are computed in float64 and rounded, so that the order is the same everywhere."""
        np, (who, _) = arrays(), embedder_of(self.index)
        if who is None or k < 1:
            return np.empty(0, np.int64), np.empty(0)
        (wanted,) = unit([query], 1, who.dimension, "the query's embedder")
        seen = matrix(self.index, who).seen(self.index, visible)
        near = seen.cosines(wanted)
        maybe = np.flatnonzero(near >= least(near, k) - ROUNDING)
        cosines, positions = _anew(seen, maybe, wanted), seen.positions[maybe]
        order = np.lexsort((positions, -cosines))[:k]
        return positions[order], cosines[order]


@dataclass(frozen=True)
class Dense:
    """Passages that mean something near to the query, by the embedder of the knowledge.

    `vectors` says how the nearest are found: `Exact`, where none is given, is good for a few hundred thousand.
    Passages without a vector are not found: their labels keep them from the embedder, and words find them.
    """

    reader: Reader
    vectors: Nearest | None = None

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, the nearest first. `TaskError` if no embedder was given, or not that of the file.

        `Forbidden` for a query made of what the embedder may not see.
        """
        if not len(self.reader.visible()):
            return []
        embedder = await embedder_for(self.reader)
        if not allowed(embedder.name):
            raise Forbidden(
                f"the query rests on knowledge that {embedder.name}, which embeds it, may not see: use BM25"
            )
        (vector,) = await embedder([clean(query)], query=True)
        return await asyncio.to_thread(self._found, vector, k)

    def _found(self, vector: Array, k: int) -> list[Passage]:
        visible = self.reader.visible()
        positions, _ = (self.vectors or Exact(self.reader.index)).nearest(vector, k, visible)
        return self.reader.passages(positions, visible.rows)


class Embedding(Protocol):
    """Knowledge, as far as it embeds."""

    @property
    def embedder(self) -> Embedder | None:
        """What it embeds with."""
        ...

    async def identity(self) -> Identity:
        """Who that is; `TaskError` if it is not whom the file was made with."""
        ...


async def embedder_for(reader: Reader) -> Embedder:
    """The embedder of a reader's knowledge: the one that the file was made with, or `TaskError`."""
    knowledge = cast("Embedding", reader.knowledge)
    if knowledge.embedder is None:
        raise TaskError(f"{reader.index.path} is searched by meaning and was opened without an embedder: name it there")
    await knowledge.identity()
    return knowledge.embedder


def _anew(seen: Seen, which: Array, query: Array) -> Array:
    """Cosines in float64, each summed on its own and rounded: in the last bits BLAS minds where a row stands."""
    np = arrays()
    parts = [which[start : start + BATCH] for start in range(0, len(which), BATCH)]
    found = [(seen.rows(part) * query.astype(np.float64)).sum(axis=1).round(9) for part in parts]
    return np.concatenate([np.empty(0), *found])
