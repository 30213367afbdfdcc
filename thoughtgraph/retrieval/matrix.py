"""The vectors of one file in memory: those that somebody was allowed to search, and which of them are whose.

They stand in fixed blocks, so that growing copies nothing, and those of the same labels next to each other, so that
what a principal sees is a few long runs: these are multiplied where they lie.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from thoughtgraph.retrieval.embedders import Identity
from thoughtgraph.retrieval.index import KNOWLEDGE, Array, Index, Rows, arrays
from thoughtgraph.retrieval.reader import Visible
from thoughtgraph.retrieval.vectoring import TYPES

BLOCK = 8192
"""So many vectors are in one piece of memory."""

RUN = 8
"""Runs of so many vectors on average are multiplied one by one; shorter ones are copied together before."""

BATCH = 4096
"""So many vectors are read from the file at a time."""

PLANS = 16
"""For so many views it is remembered where their vectors are."""

UNREAD, NONE = -1, -2

READ = "SELECT v.passage, v.vector FROM json_each(?) e CROSS JOIN vectors v ON v.passage = e.value"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The vectors of one view: where they are in `blocks`, `slots` (v,) ascending, and whose, `positions` (v,)."""

    blocks: list[Array]
    slots: Array
    positions: Array

    def cosines(self, query: Array) -> Array:
        """The products (v,) with a unit vector (d,), in float32. No other vector is touched."""
        np, near = arrays(), arrays().empty(len(self.slots), arrays().float32)
        edges = np.searchsorted(self.slots, np.arange(len(self.blocks) + 1) * BLOCK)
        for number, block in enumerate(self.blocks):
            here = slice(edges[number], edges[number + 1])
            _multiply(block, self.slots[here] - number * BLOCK, query, near[here])
        return near

    def rows(self, which: Array) -> Array:
        """The vectors (w, d) at places of `slots`."""
        np, slots = arrays(), self.slots[which]
        found = np.empty((len(slots), self.blocks[0].shape[1] if self.blocks else 0), np.float32)
        for number in np.unique(slots // BLOCK):
            here = slots // BLOCK == number
            found[here] = self.blocks[number][slots[here] % BLOCK]
        return found


class Matrix:
    """The vectors that one embedder made for one file, read when they are first searched."""

    def __init__(self, who: Identity) -> None:
        self.who = who
        self._lock, self._generation = threading.Lock(), 0
        self._begin()

    def seen(self, index: Index, visible: Visible) -> Seen:
        """Where the vectors of a view are; those that nobody was allowed to search so far are read now."""
        with self._lock:
            if visible not in self._plans:
                self._plans[visible] = self._found(index, visible.rows, visible.positions)
            self._plans.move_to_end(visible)
            while len(self._plans) > PLANS:
                self._plans.popitem(last=False)
            return self._plans[visible]

    def vectors(self, index: Index, rows: Rows, positions: Array) -> dict[int, Array]:
        """The vectors (d,) of the passages at `positions`, ascending, as far as they have one."""
        with self._lock:
            found = self._found(index, rows, positions)
        every = arrays().arange(len(found.slots))
        return dict(zip(found.positions.tolist(), found.rows(every), strict=True))

    def _begin(self) -> None:
        self._blocks, self._used, self._slots = list[Array](), 0, arrays().empty(0, arrays().int32)
        self._plans = OrderedDict[Visible, Seen]()

    def _follow(self, rows: Rows) -> None:
        """Another generation may have vectors where there were none, and more passages; what is gone leaves gaps."""
        np, size = arrays(), int(rows.ids[-1]) + 1 if len(rows) else 0
        if self._generation != rows.generation:
            self._generation = rows.generation
            self._slots[self._slots == NONE] = UNREAD
            if self._used > BLOCK + 2 * (self._slots[rows.ids[rows.ids < len(self._slots)]] >= 0).sum():
                self._begin()
        if size > len(self._slots):
            self._slots = np.concatenate([self._slots, np.full(size - len(self._slots), UNREAD, np.int32)])

    def _found(self, index: Index, rows: Rows, positions: Array) -> Seen:
        self._follow(rows)
        self._read(index, rows, positions)
        slots = self._slots[rows.ids[positions]]
        there = arrays().flatnonzero(slots >= 0)
        there = there[arrays().argsort(slots[there], kind="stable")]
        return Seen(self._blocks, slots[there], positions[there])

    def _read(self, index: Index, rows: Rows, positions: Array) -> None:
        np = arrays()
        new = positions[self._slots[rows.ids[positions]] == UNREAD]
        ids = rows.ids[new[np.lexsort((rows.ids[new], rows.label[new]))]]
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            found, vectors = kept(index, self.who, batch)
            self._slots[batch] = NONE
            self._append(found, vectors)

    def _append(self, ids: Array, vectors: Array) -> None:
        np = arrays()
        self._slots[ids] = np.arange(self._used, self._used + len(ids))
        while len(vectors):
            at = self._used % BLOCK
            if not at:
                self._blocks.append(np.empty((BLOCK, self.who.dimension), np.float32))
            part = vectors[: BLOCK - at]
            self._blocks[-1][at : at + len(part)] = part
            self._used, vectors = self._used + len(part), vectors[len(part) :]


_MATRICES: WeakKeyDictionary[Index, Matrix] = WeakKeyDictionary()
_LOCK = threading.Lock()


def matrix(index: Index, who: Identity) -> Matrix:
    """The vectors of this file that are in memory: the same for all who search it."""
    with _LOCK:
        if (ours := _MATRICES.get(index)) is None or ours.who != who:
            ours = _MATRICES[index] = Matrix(who)
        return ours


def kept(index: Index, who: Identity, ids: Array) -> tuple[Array, Array]:
    """Those of the passages that have a vector, by their row ids and in their order, and the vectors (n, d)."""
    np, kind = arrays(), arrays().dtype(TYPES[who.precision])
    found = index.read(READ, (json.dumps(ids.tolist()),))
    if any(len(vector) != who.dimension * kind.itemsize for _, vector in found):
        raise KNOWLEDGE.damaged(index.path, f"a vector has not the {who.dimension} numbers of its embedder")
    vectors = np.frombuffer(b"".join(vector for _, vector in found), kind)
    return np.array([row for row, _ in found], np.int64), vectors.reshape(len(found), who.dimension)


def _multiply(block: Array, rows: Array, query: Array, near: Array) -> None:
    """The products of some rows of a block. Not by BLAS: its threads spin, which costs more than they do."""
    np = arrays()
    ends = np.flatnonzero(np.diff(rows) != 1) + 1
    if RUN * len(ends) > len(rows):
        np.einsum("ij,j->i", block[rows], query, out=near)
        return
    for start, end in zip([0, *ends], [*ends, len(rows)], strict=True) if len(rows) else ():
        np.einsum("ij,j->i", block[rows[start] : rows[end - 1] + 1], query, out=near[start:end])
