"""Reading knowledge as somebody (RATP; Pouplin et al., 2024): what a principal may not see does not exist for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thoughtgraph.labels import OWNER, names, principal
from thoughtgraph.retrieval.catalogue import Entry, some
from thoughtgraph.retrieval.embedders import Embedder, Identity
from thoughtgraph.retrieval.index import Array, Index, Rows, arrays
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.retrieval.where import Where, checked
from thoughtgraph.thought import Json, Passage


class Kept(Protocol):
    """The knowledge that a reader reads, as far as it has to know it."""

    @property
    def index(self) -> Index:
        """The file."""
        ...

    @property
    def embedder(self) -> Embedder | None:
        """What embeds queries, if it was given."""
        ...

    async def identity(self) -> Identity:
        """Who that is; `TaskError` if it is not whose vectors the file has."""
        ...

    def retriever(self, reader: Reader) -> Retriever:
        """What searches best there, as this reader."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """The part of `rows` that exists for a reader: `mask` (n,) bool, and the same as `positions` (m,), ascending."""

    rows: Rows
    mask: Array
    positions: Array

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Reader:
    """A view of knowledge: of the documents whose readers meet `principal` and whose labels allow all of `models`.

    Name the run's models, so that a search finds nothing which could not be shown to them. `where` narrows further, by
    metadata: {"year": 2024}, {"tag": ["a", "b"]} (one of these), and besides the words of `Where`.
    It holds nothing itself, and always sees the file as it is now: it can be made once for many searches.
    """

    knowledge: Kept
    principal: tuple[str, ...] = (OWNER,)
    models: tuple[str, ...] = ()
    where: Mapping[str, Json] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "principal", principal(self.principal))
        object.__setattr__(self, "models", names(self.models, "models"))
        object.__setattr__(self, "where", checked(self.where))

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """The `k` passages that fit best: by words, and by meaning too where the file has vectors."""
        return list(await self.knowledge.retriever(self)(query, k))

    @property
    def index(self) -> Index:
        """The file."""
        return self.knowledge.index

    def visible(self) -> Visible:
        """What exists for this reader now."""
        rows = self.index.rows()
        key = (rows.generation, self.principal, self.models, json.dumps(self.where, sort_keys=True))
        return self.index.remembered(key, lambda: self._seen(rows))

    def passages(self, positions: Sequence[int] | Array, rows: Rows | None = None) -> list[Passage]:
        """The passages at `positions` of `rows` (now, if not given), in that order; what is gone meanwhile is left out.

        Who may see them is looked up again, as of this moment.
        """
        rows = self.index.rows() if rows is None else rows
        ids = [int(id) for id in rows.ids[arrays().asarray(positions, dtype=int)]]
        found = self.index.passages(ids, self._permitted())
        return [found[id] for id in ids if id in found]

    def documents(self) -> list[Entry]:
        """The documents of which something is visible, in the order in which they came, with counts of what is."""
        visible = self.visible()
        found = arrays().unique(visible.rows.document[visible.positions], return_counts=True)
        return some(self.index, dict(zip(*(column.tolist() for column in found), strict=True)), self._permitted())

    def _permitted(self) -> list[int]:
        """The numbers of the labels that let this reader see a document."""
        every = self.index.labels().items()
        return [
            number
            for number, labels in every
            if labels.readable(self.principal) and all(map(labels.sendable, self.models))
        ]

    def _seen(self, rows: Rows) -> Visible:
        np = arrays()
        permitted = self._permitted()
        mask = np.isin(rows.label, np.asarray(permitted, dtype=np.int32))
        if self.where:
            mask &= np.isin(rows.ids, np.asarray(Where(self.where).ids(self.index, permitted), dtype=np.int64))
        mask.setflags(write=False)
        positions = np.flatnonzero(mask)
        positions.setflags(write=False)
        return Visible(rows, mask, positions)
