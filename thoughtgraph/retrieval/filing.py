"""Filing documents: what of one is new, what stays, and how it gets into the file and out of it, within a transaction.

Every function here works on a connection in the midst of a transaction: what it did is there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.chunks import Chunk
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.thought import Json, clean

Outcome: TypeAlias = Literal["new", "changed", "unchanged"]

Kept: TypeAlias = tuple[int, int, int, int]
"""A passage that is in the file: its row, place, start and end."""

STANDING = """
SELECT d.id, d.version, d.meta, l.readers, l.models, l.train FROM documents d JOIN labels l ON l.id = d.label
WHERE d.name = ?
"""
CHUNKS = 'SELECT start, "end", section, text FROM passages WHERE document = ? ORDER BY place'
ROWS = 'SELECT section, text, id, place, start, "end" FROM passages WHERE document = ? ORDER BY place'
NEWEST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'passages'"
LABELLED = "INSERT INTO labels (readers, models, train) VALUES (?, ?, ?) RETURNING id"
LABEL = "SELECT id FROM labels WHERE readers = ? AND models = ? AND train = ?"
INSERT = 'INSERT INTO passages (document, place, start, "end", section, text) VALUES (?, ?, ?, ?, ?, ?)'
MOVE = 'UPDATE passages SET place = ?, start = ?, "end" = ? WHERE id = ?'
UNWORD = "INSERT INTO words (words, rowid, section, text) SELECT 'delete', id, section, text FROM passages WHERE id = ?"
WORDS = "INSERT INTO words (rowid, section, text) SELECT id, section, text FROM passages WHERE id > ? ORDER BY id"
LENGTHS = """
UPDATE passages SET length = (SELECT terms(sz) FROM words_docsize WHERE id = passages.id) WHERE id > ?
"""
RISE = "UPDATE about SET value = value + 1 WHERE name = 'generation'"
REWRITE = "UPDATE about SET value = (SELECT value FROM about WHERE name = 'generation') WHERE name = 'rewritten'"


@dataclass(frozen=True, slots=True)
class Standing:
    """A document as it stands in the file."""

    id: int
    version: str
    meta: str
    labels: Labels

    def same(self, document: Document, labels: Labels | None) -> bool:
        """Whether filing it again would change nothing; None leaves the labels as they are."""
        same = (self.version, self.meta) == (document.version, written(document.meta))
        return same and labels in (None, self.labels)


@dataclass(frozen=True, slots=True)
class Work:
    """A document to be filed, cut into passages; where `labels` is None those stay that it has at that moment."""

    document: Document
    chunks: Sequence[Chunk]
    labels: Labels | None


def written(value: Json) -> str:
    """JSON as it is kept: the same for the same data."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def known(text: str, section: str) -> bytes:
    """By what a passage's words are known before it has a row."""
    return hashlib.blake2b(f"{section}\0{text}".encode(), digest_size=16).digest()


def standing(db: sqlite3.Connection, name: str) -> Standing | None:
    """The document of that name, if there is one."""
    row = db.execute(STANDING, (clean(name),)).fetchone()
    if row is None:
        return None
    id, version, meta, readers, models, train = row
    return Standing(id, version, meta, Labels(json.loads(readers), json.loads(models), train == 1))


def chunks_of(db: sqlite3.Connection, document: int) -> list[Chunk]:
    """The passages that a document has."""
    return [Chunk(*row) for row in db.execute(CHUNKS, (document,))]


def put(db: sqlite3.Connection, work: Work) -> Outcome:
    """File a document: passages that it had stay as they are, with their vectors; `indexed` must follow."""
    old = standing(db, work.document.name)
    if old and old.same(work.document, work.labels):
        return "unchanged"
    labels = work.labels or (old.labels if old else Labels())
    document = _described(db, work.document, labelled(db, labels))
    gone, moved, fresh = _compared(db.execute(ROWS, (document,)), work.chunks)
    remove(db, gone)
    db.executemany(MOVE, moved)
    db.executemany(INSERT, [(document, place, c.start, c.end, c.section, c.text) for place, c in fresh])
    return "changed" if old else "new"


def newest(db: sqlite3.Connection) -> int:
    """The row id of the newest passage that there ever was."""
    return db.execute(NEWEST).fetchone()[0]


def indexed(db: sqlite3.Connection, after: int) -> None:
    """Index the words of all passages that are newer than row `after`, and count them."""
    db.execute(WORDS, (after,))
    db.execute(LENGTHS, (after,))


def drop(db: sqlite3.Connection, document: int) -> None:
    """Take a document out, with all that was made of it here."""
    remove(db, [id for (id,) in db.execute("SELECT id FROM passages WHERE document = ?", (document,))])
    db.execute("DELETE FROM documents WHERE id = ?", (document,))


def remove(db: sqlite3.Connection, passages: Iterable[int]) -> None:
    """Take passages out, their words and their vectors first."""
    ids = [(id,) for id in passages]
    for statement in (UNWORD, "DELETE FROM vectors WHERE passage = ?", "DELETE FROM passages WHERE id = ?"):
        db.executemany(statement, ids)


def labelled(db: sqlite3.Connection, labels: Labels) -> int:
    """The number of these labels, which they keep."""
    row = (written(labels.readers), written(labels.models), int(labels.train))
    found = db.execute(LABEL, row).fetchone() or db.execute(LABELLED, row).fetchone()
    return found[0]


def risen(db: sqlite3.Connection, *, rewritten: bool) -> None:
    """Say that something is new, and whether something older changed or went with it."""
    db.execute(RISE)
    if rewritten:
        db.execute(REWRITE)


def _described(db: sqlite3.Connection, document: Document, label: int) -> int:
    """The row of a document, which says what it is now."""
    what = (document.version, document.kind, clean(document.title), label, written(document.meta))
    row = (*what, time.time(), document.name)
    said = "UPDATE documents SET version = ?, kind = ?, title = ?, label = ?, meta = ?, added = ? WHERE name = ?"
    if not db.execute(said, row).rowcount:
        said = "INSERT INTO documents (version, kind, title, label, meta, added, name) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute(said, row)
    return db.execute("SELECT id FROM documents WHERE name = ?", (document.name,)).fetchone()[0]


def _compared(
    rows: Iterable[Sequence[Json]], chunks: Sequence[Chunk]
) -> tuple[list[int], list[Kept], list[tuple[int, Chunk]]]:
    """What of a document goes, what of it stands elsewhere now (place, start, end, row), and what is new."""
    have = dict[tuple[str, str], list[Kept]]()
    for section, text, *where in rows:
        have.setdefault((section, text), []).append((where[0], where[1], where[2], where[3]))
    moved, fresh = list[Kept](), list[tuple[int, Chunk]]()
    for place, chunk in enumerate(chunks):
        if same := have.get((chunk.section, chunk.text)):
            id, *was = same.pop(0)
            if was != [place, chunk.start, chunk.end]:
                moved.append((place, chunk.start, chunk.end, id))
        else:
            fresh.append((place, chunk))
    return [id for left in have.values() for id, *_ in left], moved, fresh


def _terms(sizes: bytes) -> int:
    """How many words a passage has: FTS5 keeps the count of each column as a varint."""
    total = count = 0
    for byte in sizes:
        count = count << 7 | byte & 127
        if byte < 128:
            total, count = total + count, 0
    return total


FUNCTIONS = {"terms": (1, _terms), "known": (2, known)}
"""What the statements call: a name, how many arguments, and the function."""
