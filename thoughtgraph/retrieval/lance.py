"""LanceDB's index on the disk (HNSW: Malkov and Yashunin, 2018), for more vectors than memory holds: approximate."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.retrieval.embedders import Identity, unit
from thoughtgraph.retrieval.index import Array, Index, Rows, arrays
from thoughtgraph.retrieval.matrix import kept
from thoughtgraph.retrieval.reader import Visible
from thoughtgraph.retrieval.vectoring import embedder_of

BATCH = 10_000
"""So many vectors are copied at a time."""


@dataclass(frozen=True)
class Lance:
    """The nearest vectors by an index in `folder`, which is a copy of the file's vectors and follows it by itself.

    What a reader may see is pushed down into the search, as labels where these decide, else as documents or passages.
    On its way through its graph HNSW does compare the query with vectors that it may not return: where not even that
    may be, use `Exact`. `effort` candidates for each passage wanted (ef) are compared again exactly. With fewer than
    `few` vectors there is no index, and it looks through all of them. The first search makes it: a minute of CPU for
    100,000. `Knowledge.scrub` does not know of the folder: remove it too. Needs the extra `lance`.
    """

    index: Index
    folder: str | os.PathLike[str]
    effort: int = 10
    few: int = 20_000
    _held: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, effort=self.effort, few=self.few)
        if find_spec("lancedb") is None:
            raise TaskError('LanceDB is not installed: pip install "thoughtgraph[lance]"')

    def nearest(self, query: Array, k: int, visible: Visible) -> tuple[Array, Array]:
        """See `Nearest`; some of the nearest may be missing."""
        np, (who, _) = arrays(), embedder_of(self.index)
        if who is None or k < 1 or not len(visible):
            return np.empty(0, np.int64), np.empty(0)
        (wanted,) = unit([query], 1, who.dimension, "the query's embedder")
        found = (
            self._table(who, visible.rows).search(wanted).distance_type("cosine").select(["id", "vector", "_distance"])
        )
        found = found.where(only, prefilter=True) if (only := predicate(visible)) else found
        table = found.ef(max(200, self.effort * k)).limit(self.effort * k).to_arrow()
        return _anew(table, wanted, k, visible)

    def _table(self, who: Identity, rows: Rows) -> Any:
        """The copy, as of these rows."""
        with self._lock:
            if self._held.get("who") != who:
                self._held.update(who=who, table=_opened(self.folder, self.index.uid, who), generation=0)
            if self._held["generation"] < rows.generation:
                self._follow(self._held["table"], who, rows)
                self._held["generation"] = rows.generation
            return self._held["table"]

    def _follow(self, table: Any, who: Identity, rows: Rows) -> None:
        """Take out what is gone or has other labels, put in what is new."""
        np = arrays()
        here = [table.search().select(["id", "label"]).to_arrow()[name].to_numpy() for name in ("id", "label")]
        known: dict[int, int] = dict(zip(*(column.tolist() for column in here), strict=True))
        having = np.array([row for (row,) in self.index.read("SELECT passage FROM vectors")], np.int64)
        wanted = {int(rows.ids[p]): int(p) for p in np.flatnonzero(np.isin(rows.ids, having))}
        stale = [row for row, label in known.items() if row not in wanted or rows.label[wanted[row]] != label]
        gone = set(stale)
        new = [p for row, p in wanted.items() if row not in known or row in gone]
        for start in range(0, len(stale), BATCH):
            table.delete(f"id IN ({_listed(stale[start : start + BATCH])})")
        for start in range(0, len(new), BATCH):
            table.add(self._copied(who, rows, new[start : start + BATCH]))
        _indexed(table, self.few)

    def _copied(self, who: Identity, rows: Rows, positions: list[int]) -> Any:
        np, pyarrow = arrays(), _pyarrow()
        ids, vectors = kept(self.index, who, rows.ids[positions])
        at, numbers = np.searchsorted(rows.ids, ids), pyarrow.array(vectors.astype(np.float32).ravel())
        columns = {
            "id": rows.ids[at],
            "label": rows.label[at],
            "document": rows.document[at],
            "vector": pyarrow.FixedSizeListArray.from_arrays(numbers, who.dimension),
        }
        return pyarrow.table(columns, schema=_schema(who))


def predicate(visible: Visible) -> str:
    """What is visible as a condition on the copy's rows, by as few numbers as say it; "" where all is."""
    np, rows = arrays(), visible.rows
    if len(visible) == len(rows):
        return ""
    for name, column in (("label", rows.label), ("document", rows.document)):
        values = np.unique(column[visible.mask])
        if not np.isin(column[~visible.mask], values).any():
            return f"{name} IN ({_listed(values.tolist())})"
    return f"id IN ({_listed(rows.ids[visible.positions].tolist())})"


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


def _schema(who: Identity) -> Any:
    pyarrow = _pyarrow()
    numbers = {"id": pyarrow.int64(), "label": pyarrow.int32(), "document": pyarrow.int32()}
    return pyarrow.schema({**numbers, "vector": pyarrow.list_(pyarrow.float32(), who.dimension)})


def _opened(folder: str | os.PathLike[str], uid: str, who: Identity) -> Any:
    """The table of one file and one embedder; those of the file's earlier embedders go."""
    db: Any = import_module("lancedb").connect(os.fspath(folder))
    name = f"{uid}-{hashlib.sha256(json.dumps(who.to_json, sort_keys=True).encode()).hexdigest()[:16]}"
    tables = list(db.list_tables().tables)
    for other in tables:
        if other.startswith(f"{uid}-") and other != name:
            db.drop_table(other)
    return db.open_table(name) if name in tables else db.create_table(name, schema=_schema(who))


def _pyarrow() -> Any:
    return import_module("pyarrow")


def _indexed(table: Any, few: int) -> None:
    """Make the index where it pays, and take up in it what came since when that is a tenth."""
    count, made = table.count_rows(), list(table.list_indices())
    if not made and count >= few:
        kinds: Any = import_module("lancedb.index")
        table.create_index("vector", config=kinds.HnswSq(distance_type="cosine"))
        table.create_index("label", config=kinds.Bitmap())
    elif made and max(table.index_stats(index.name).num_unindexed_rows for index in made) > count / 10:
        table.optimize()


def _anew(table: Any, query: Array, k: int, visible: Visible) -> tuple[Array, Array]:
    """What was found, compared again exactly; what is not visible any more is left out."""
    np, rows = arrays(), visible.rows
    ids, vectors = table["id"].to_numpy(), table["vector"].combine_chunks().flatten().to_numpy()
    at = np.searchsorted(rows.ids, ids).clip(max=len(rows) - 1)
    there = (rows.ids[at] == ids) & visible.mask[at]
    exact = vectors.reshape(len(ids), -1)[there].astype(np.float64) * query
    positions, cosines = at[there], exact.sum(axis=1).round(9)
    order = np.lexsort((positions, -cosines))[:k]
    return positions[order], cosines[order]
