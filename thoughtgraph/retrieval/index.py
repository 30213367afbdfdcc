"""The file of private knowledge: documents, passages, labels, words and vectors, as numbers that a search can hold."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from thoughtgraph.database import PATIENCE, Kind
from thoughtgraph.errors import StoreError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.embedders import arrays
from thoughtgraph.retrieval.filing import FUNCTIONS
from thoughtgraph.thought import Json, Passage

Array: TypeAlias = Any
"""A numpy array."""

Row: TypeAlias = tuple[Json, ...]

T = TypeVar("T")

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT, readers TEXT NOT NULL, models TEXT NOT NULL, train INTEGER NOT NULL,
    UNIQUE (readers, models, train)
);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, version TEXT NOT NULL, kind TEXT NOT NULL,
    title TEXT NOT NULL, label INTEGER NOT NULL, meta TEXT NOT NULL, added REAL NOT NULL
);
CREATE INDEX labelled ON documents (label);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, place INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, length INTEGER NOT NULL DEFAULT 0, section TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX places ON passages (document, place, length);
CREATE VIRTUAL TABLE words USING fts5 (
    section, text, content = 'passages', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE words_instance USING fts5vocab (words, instance);
CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE ahead (text BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO about VALUES ('uid', lower(hex(randomblob(8)))), ('generation', 1), ('rewritten', 1)
"""

KNOWLEDGE = Kind(
    name="knowledge",
    ours="a file of thoughtgraph's knowledge",
    application=0x7468676B,  # "thgk"
    version=1,
    schema=SCHEMA,
    pragmas=(
        "page_size = 8192",  # several passages fit
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "secure_delete = ON",  # rows that are deleted are overwritten
        "wal_autocheckpoint = 0",  # it would run within a commit, and its failure would look like the commit's
    ),
    free="free space or permit writing there, or name another file",
    spare="restore it from a copy",
    other="name another file",
)

LARGE = 4_000_000
"""A WAL of more bytes is worked into the file after a commit."""

REMEMBERED = 16
"""So many principals' views are kept."""

ABOUT = "SELECT value FROM about WHERE name = ?"
STATE = "SELECT name, value FROM about WHERE name IN ('generation', 'rewritten')"
ROWS = """
SELECT group_concat(p.id, ' '), group_concat(d.label, ' '), group_concat(p.document, ' '), group_concat(p.place, ' '),
    group_concat(p.length, ' ') FROM passages p JOIN documents d ON d.id = p.document
"""
PASSAGES = """
SELECT p.id, d.name, d.version, p.section, p.start, p."end", p.text, d.label
FROM passages p JOIN documents d ON d.id = p.document
WHERE p.id IN (SELECT value FROM json_each(?)) AND d.label IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Every passage as one row of numbers, as of one `generation` of the file.

    Arrays of one length n that nobody can write to: `ids` (int64, ascending: the passages' row ids), and as int32
    their `label`, `document`, `place` in it (0, 1, ...) and `length` in words as FTS5 counts them.
    """

    generation: int
    ids: Array
    label: Array
    document: Array
    place: Array
    length: Array

    def __len__(self) -> int:
        return len(self.ids)


class Index:
    """One file of knowledge, open for reading by many threads and for writing by one at a time.

    What is read is as of one moment. Other processes may write meanwhile: each `rows()` sees what they committed.
    It knows labels but no principal: who reads on somebody's behalf goes through a `Reader`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = KNOWLEDGE.real(path)
        self._db = KNOWLEDGE.opened(self.path)
        for name, (arguments, function) in FUNCTIONS.items():
            self._db.create_function(name, arguments, function, deterministic=True)
        self._writing, self._refreshing = threading.RLock(), threading.RLock()
        self._idle = list[sqlite3.Connection]()
        self._end = weakref.finalize(self, _let_go, self._idle, self._db)
        self._labels = dict[int, Labels]()
        self._rows = _rows_of(0, [None] * 5)
        self._made = dict[tuple[Json, ...], Any]()
        self.uid = str(self.about("uid"))

    @property
    def closed(self) -> bool:
        """Whether the file was let go of."""
        return not self._end.alive

    def read(self, sql: str, args: Sequence[Json] | Mapping[str, Json] = ()) -> list[Row]:
        """What one query finds."""
        with self.reading() as db:
            return db.execute(sql, args).fetchall()

    def about(self, name: str) -> Json:
        """What the file says about itself under a name; None if nothing."""
        found = self.read(ABOUT, (name,))
        return found[0][0] if found else None

    @contextlib.contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """A connection that only reads: all within the block sees the file as of one moment."""
        if self.closed:
            raise StoreError(f"the knowledge {self.path} is closed: open it again")
        with KNOWLEDGE.speaking(self.path):
            db = self._idle.pop() if self._idle else KNOWLEDGE.reader(self.path)
            try:
                db.execute("BEGIN")
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.close()
                raise
        self._idle.append(db)
        if self.closed:
            _let_go(self._idle)

    @contextlib.contextmanager
    def alone(self) -> Generator[sqlite3.Connection, None, None]:
        """The connection that writes, in no transaction: the only one of this index, not of the file."""
        with self._writing, KNOWLEDGE.speaking(self.path):
            if self.closed:
                raise StoreError(f"the knowledge {self.path} is closed: open it again")
            yield self._db

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """A transaction: all that is done in the block is there afterwards, or nothing where it raises."""
        with self.alone() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._checkpoint()

    def rows(self) -> Rows:
        """All passages as numbers, as of now: only what is new is read, unless older rows changed or went."""
        with self.reading() as db:
            state = dict(db.execute(STATE).fetchall())
            generation, rewritten = (self._number(state.get(name)) for name in ("generation", "rewritten"))
            with self._refreshing:
                if self._rows.generation < generation:
                    self._rows = self._refreshed(db, generation, rewritten)
                return self._rows

    def labels(self) -> Mapping[int, Labels]:
        """The labels by their numbers, as `Rows.label` has them. A number always means the same labels."""
        known = self._labels
        if new := self.read("SELECT * FROM labels WHERE id > ?", (max(known, default=0),)):
            known = self._labels = known | {number: self._read_labels(*said) for number, *said in new}
        return MappingProxyType(known)

    def passages(self, ids: Sequence[int], labels: Sequence[int]) -> dict[int, Passage]:
        """Passages by their row ids: of `ids`, those that are still there and bear one of `labels` at this moment."""
        found = self.read(PASSAGES, (json.dumps(list(ids)), json.dumps(list(labels))))
        known = self.labels()
        return {row[0]: self._passage(row, known[row[-1]]) for row in found if row[-1] in known}

    def remembered(self, key: tuple[Json, ...], make: Callable[[], T]) -> T:
        """What `make` makes of the rows, made once for each key: `REMEMBERED` of them are kept, the latest used."""
        with self._refreshing:
            made = self._made[key] if key in self._made else make()
            self._made.pop(key, None)
            self._made[key] = made
            for old in list(self._made)[:-REMEMBERED]:
                del self._made[old]
            return made

    def close(self) -> None:
        """Let go of the file."""
        with self._writing:
            self._end()

    def _refreshed(self, db: sqlite3.Connection, generation: int, rewritten: int) -> Rows:
        old = self._rows
        if rewritten > old.generation or not len(old):
            return _rows_of(generation, db.execute(ROWS).fetchone())
        new = _rows_of(generation, db.execute(f"{ROWS} WHERE p.id > ?", (int(old.ids[-1]),)).fetchone())
        return _joined(old, new)

    def _number(self, told: Json) -> int:
        if not isinstance(told, int):
            raise KNOWLEDGE.damaged(self.path, f"its generation is {told!r:.40}")
        return told

    def _read_labels(self, readers: str, models: str, train: int) -> Labels:
        try:
            return Labels(json.loads(readers), json.loads(models), train == 1)
        except (ValueError, TypeError) as error:
            raise KNOWLEDGE.damaged(self.path, f"labels do not read: {error}") from error

    def _passage(self, row: Row, labels: Labels) -> Passage:
        _, document, version, section, start, end, text, _ = row
        source = f"{document} > {section}" if section else document
        id = f"{document}#{start}-{end}"
        return Passage(text, source, id, self.uid, document, version, section, start, end, labels)

    def _checkpoint(self) -> None:
        """Work a large WAL into the file, waiting for nobody. Where that fails nothing is lost: the WAL has it."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        with contextlib.suppress(OSError, sqlite3.DatabaseError):
            if wal.stat().st_size > LARGE:
                self._db.execute("PRAGMA busy_timeout = 0")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._db.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE:.0f}")


def _let_go(idle: list[sqlite3.Connection], *others: sqlite3.Connection) -> None:
    with contextlib.suppress(IndexError):  # another thread may take one at the same moment
        while idle:
            idle.pop().close()
    for db in others:
        db.close()


def _rows_of(generation: int, columns: Sequence[str | None]) -> Rows:
    np = arrays()
    ids, *others = (np.fromstring(column or "", dtype=np.int64, sep=" ") for column in columns)
    order = np.argsort(ids)
    return _frozen(generation, ids[order], *(column[order].astype(np.int32) for column in others))


def _joined(old: Rows, new: Rows) -> Rows:
    np = arrays()
    names = ("ids", "label", "document", "place", "length")
    return _frozen(new.generation, *(np.concatenate([getattr(old, name), getattr(new, name)]) for name in names))


def _frozen(generation: int, *columns: Array) -> Rows:
    for column in columns:
        column.setflags(write=False)
    return Rows(generation, *columns)
