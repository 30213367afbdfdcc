"""What documents there are: for their owner all of them, for a reader those that exist for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.index import KNOWLEDGE, Index, Row
from thoughtgraph.thought import Json, Passage, clean

ALL = "SELECT id, name, version, kind, title, meta, added, label FROM documents d"
COUNTS = "SELECT document, count(*) FROM passages GROUP BY document"
OF = "SELECT p.id FROM documents d JOIN passages p ON p.document = d.id WHERE d.name = ? ORDER BY p.place"


@dataclass(frozen=True, slots=True)
class Entry:
    """A document in the catalogue: `passages` are counted, `added` is when it came or was changed, in Unix seconds."""

    name: str
    version: str
    kind: str
    title: str
    meta: Mapping[str, Json]
    labels: Labels
    passages: int
    added: float


def everything(index: Index) -> list[Entry]:
    """All documents, in the order in which they came."""
    with index.reading() as db:
        counts, rows = dict[int, int](db.execute(COUNTS)), db.execute(f"{ALL} ORDER BY id").fetchall()
    return _entries(index, rows, counts)


def some(index: Index, counts: Mapping[int, int], labels: Sequence[int]) -> list[Entry]:
    """The documents with these rows, if they bear one of `labels` at this moment; `counts` says how many passages."""
    among = "id IN (SELECT value FROM json_each(?)) AND label IN (SELECT value FROM json_each(?))"
    rows = index.read(f"{ALL} WHERE {among} ORDER BY id", (json.dumps(list(counts)), json.dumps(list(labels))))
    return _entries(index, rows, counts)


def passages_of(index: Index, name: str) -> list[Passage]:
    """Every passage of a document, whoever may read it, in its order."""
    ids = [id for (id,) in index.read(OF, (clean(name),))]
    found = index.passages(ids, list(index.labels()))
    return [found[id] for id in ids if id in found]


def _entries(index: Index, rows: Iterable[Row], counts: Mapping[int, int]) -> list[Entry]:
    known = index.labels()
    with KNOWLEDGE.speaking(index.path):
        return [_entry(row, counts.get(row[0], 0), known[row[-1]]) for row in rows if row[-1] in known]


def _entry(row: Row, passages: int, labels: Labels) -> Entry:
    _, name, version, kind, title, meta, added, _ = row
    return Entry(name, version, kind, title, json.loads(meta), labels, passages, added)
