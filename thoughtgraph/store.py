"""Where runs are kept: in memory, or in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from thoughtgraph.errors import InUse, StoreError
from thoughtgraph.model import Reply
from thoughtgraph.thought import Thought, clean
from thoughtgraph.trace import Event, Expanded, Record, Settled, Started, adapter

if TYPE_CHECKING:
    from filelock import BaseFileLock

Held: TypeAlias = "dict[str, BaseFileLock]"

VERSION = 1
"""The schema's version, in the file's `user_version`. A file of another version is refused, never guessed at."""

APPLICATION = 0x74686774
"""The file's `application_id`: "thgt"."""

PATIENCE = 30.0
"""Seconds to wait for others who are writing."""

LONG = 200
"""Texts of more characters than this are stored once, by hash."""

ENDS = """
SELECT body FROM events WHERE run = :run AND seq IN (
    (SELECT min(seq) FROM events WHERE run = :run), (SELECT max(seq) FROM events WHERE run = :run)
) ORDER BY seq
"""
"""A run's first and last event, or its only one."""

WHERE = {
    "events": (
        "SELECT coalesce(max(seq) + 1, 0) FROM events WHERE run = ?",
        "INSERT INTO events VALUES (?, ?, ?)",
        "SELECT body FROM events WHERE run = ? ORDER BY seq",
    ),
    "calls": (
        "SELECT coalesce(max(seq) + 1, 0) FROM calls WHERE run = ?",
        "INSERT INTO calls VALUES (?, ?, ?)",
        "SELECT body FROM calls WHERE run = ? ORDER BY seq",
    ),
}
"""How to find the next place in a table, to add a row, to read a run's rows."""

SCHEMA = """
CREATE TABLE events (run TEXT, seq INTEGER, body TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE calls (run TEXT, seq INTEGER, body TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE texts (hash TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""


class Store(Protocol):
    """Append-only runs. What was flushed is there after a kill; one owner a run, many runs and processes a store."""

    def claim(self, run: str) -> None:
        """Become the run's one owner; `StoreError` if somebody else is."""
        ...

    def release(self, run: str) -> None:
        """Give the run up."""
        ...

    def append(self, run: str, event: Event) -> None:
        """Add an event after the run's last."""
        ...

    def note(self, run: str, record: Record) -> None:
        """Add a record of a call after the run's last."""
        ...

    def keep(self, text: str) -> str:
        """Store a text once; its hash."""
        ...

    def text(self, hash: str) -> str:
        """A text by its hash; `KeyError` if there is none."""
        ...

    def flush(self) -> None:
        """Make all that was added durable."""
        ...

    def events(self, run: str) -> list[Event]:
        """Every event of a run, oldest first; `StoreError` if there is no such run."""
        ...

    def ends(self, run: str) -> tuple[Event, Event]:
        """The first and the last event of a run, whatever lies between; `StoreError` if there is no such run."""
        ...

    def records(self, run: str) -> list[Record]:
        """Every record of the run's calls, oldest first."""
        ...

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first."""
        ...


class MemoryStore:
    """Runs kept in this process, and gone with it."""

    durable = False
    """Whether a flush makes anything outlast the process."""

    def __init__(self) -> None:
        self._events = dict[str, list[Event]]()
        self._records = dict[str, list[Record]]()
        self._texts = dict[str, str]()
        self._owned = set[str]()

    def claim(self, run: str) -> None:
        """Become the run's one owner."""
        if run in self._owned:
            raise InUse(_owned(run, "memory"))
        self._owned.add(run)

    def release(self, run: str) -> None:
        """Give the run up."""
        self._owned.discard(run)

    def append(self, run: str, event: Event) -> None:
        """Add an event."""
        self._events.setdefault(run, []).append(event)

    def note(self, run: str, record: Record) -> None:
        """Add a record."""
        self._records.setdefault(run, []).append(record)

    def keep(self, text: str) -> str:
        """Store a text once."""
        self._texts.setdefault(hash := digest(text), text)
        return hash

    def text(self, hash: str) -> str:
        """A text by its hash."""
        return self._texts[hash]

    def flush(self) -> None:
        """Nothing to do: memory is as durable as it gets."""

    def events(self, run: str) -> list[Event]:
        """Every event of a run."""
        if run not in self._events:
            raise StoreError(_unknown(run, "memory", self.runs()))
        return list(self._events[run])

    def ends(self, run: str) -> tuple[Event, Event]:
        """The first and the last event of a run."""
        events = self.events(run)
        return events[0], events[-1]

    def records(self, run: str) -> list[Record]:
        """Every record of the run's calls."""
        return list(self._records.get(run, ()))

    def runs(self) -> list[str]:
        """The ids of all runs."""
        return list(self._events)


class SQLiteStore:
    """Runs in one SQLite file in WAL mode.

    The default `synchronous="NORMAL"` survives a kill of the process; "FULL" also a power cut, at the price of a
    sync to disk for each commit. A file is looked at read-only before it is written; `StoreError` says what is
    wrong with it, and it stays as it is. With `read_only=True` nothing is ever written and no run can be claimed:
    to look at runs, also while other processes work on them or where nobody may write. (SQLite may leave its empty
    `-wal` and `-shm` beside the file; the next who opens it to write takes them away.)
    """

    def __init__(self, path: str | os.PathLike[str], synchronous: str = "NORMAL", *, read_only: bool = False) -> None:
        self.path, self.read_only = Path(path), read_only
        if synchronous not in ("NORMAL", "FULL"):
            raise ValueError(f'synchronous is {synchronous!r}: expected "NORMAL" or "FULL"')
        if self._size() or read_only:
            self._look()
        self._locks: Held = {}
        self._last = dict[tuple[str, str], int]()
        self._kept = set[str]()
        with self._speaking():
            self._db = self._reader() if read_only else self._open(synchronous)

    def close(self) -> None:
        """Flush, and let go of the file and of every run."""
        for run in list(self._locks):
            self.release(run)
        with self._speaking():
            self.flush()
            self._db.close()

    def claim(self, run: str) -> None:
        """Become the run's one owner, by a lock on a file beside the store that a kill releases."""
        from filelock import FileLock, Timeout

        self._writable()
        folder = self.path.with_name(self.path.name + ".locks")
        lock = FileLock(folder / f"{digest(run)}.lock", blocking=False, is_singleton=False, thread_local=False)
        try:
            folder.mkdir(exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InUse(_owned(run, str(self.path))) from None
        except OSError as error:
            raise StoreError(self._cannot(error)) from error
        self._locks[run] = lock
        for table in WHERE:  # somebody else may have gone on with it since
            self._last.pop((table, run), None)

    def release(self, run: str) -> None:
        """Give the run up."""
        # The lock file stays, and its folder with it. A lock is on a file and not on its name: were the file unlinked,
        # one process could hold the lock of a file that has no name any more, and the next one that of a new file.
        if lock := self._locks.pop(run, None):
            lock.release()

    def append(self, run: str, event: Event) -> None:
        """Add an event."""
        self._add("events", run, adapter("event").dump_json(self._shorten(event)).decode())

    def note(self, run: str, record: Record) -> None:
        """Add a record."""
        self._add("calls", run, adapter("record").dump_json(self._shorten(record)).decode())

    def keep(self, text: str) -> str:
        """Store a text once."""
        self._writable()
        hash = digest(text)
        if hash not in self._kept:
            with self._speaking():
                self._begin()
                self._db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (hash, clean(text)))
            self._kept.add(hash)
        return hash

    def text(self, hash: str) -> str:
        """A text by its hash."""
        with self._speaking():
            row = self._db.execute("SELECT body FROM texts WHERE hash = ?", (hash,)).fetchone()
        if row is None:
            raise KeyError(hash)
        return row[0]

    def flush(self) -> None:
        """Commit."""
        if self._db.in_transaction:
            with self._speaking():
                self._db.commit()

    def events(self, run: str) -> list[Event]:
        """Every event of a run."""
        events = self._rows("events", run)
        if not events:
            raise StoreError(_unknown(run, str(self.path), self.runs()))
        return events

    def ends(self, run: str) -> tuple[Event, Event]:
        """The first and the last event of a run."""
        events = self._read("events", run, ENDS, {"run": run})
        if not events:
            raise StoreError(_unknown(run, str(self.path), self.runs()))
        return events[0], events[-1]

    def records(self, run: str) -> list[Record]:
        """Every record of the run's calls."""
        return self._rows("calls", run)

    def runs(self) -> list[str]:
        """The ids of all runs."""
        with self._speaking():
            rows = self._db.execute("SELECT run, body FROM events WHERE seq = 0").fetchall()
        return [run for _, run in sorted((json.loads(body).get("created", ""), run) for run, body in rows)]

    # -- the file ------------------------------------------------------------------------------------------------

    def _size(self) -> int:
        """The file's size, 0 where there is none yet; `StoreError` if it cannot be a store."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self.read_only:
                raise StoreError(f"there is no store {self.path}: name the file that the run was recorded in") from None
            return 0
        except (OSError, ValueError) as error:
            raise StoreError(self._cannot(error)) from error
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(self._cannot("it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no plain file"))
        if 0 < found.st_size < 512:  # SQLite's smallest page: it would take less for an empty file, and write there
            raise StoreError(self._foreign())
        return found.st_size

    def _look(self) -> None:
        """Refuse a file that is damaged or not ours, from a read-only connection."""
        with self._speaking(), contextlib.closing(self._reader()) as db:
            db.execute("BEGIN")  # one view of the file, whatever others do to it meanwhile
            application = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            empty = application == version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if empty and not self.read_only:
                return  # another process is making it at this moment, or was killed while it did
            if application == APPLICATION and version == VERSION:
                self._sound(db)
        if empty:
            raise StoreError(f"{self.path} is empty: name the file that the run was recorded in")
        if application != APPLICATION:
            raise StoreError(self._foreign())
        if version != VERSION:
            raise StoreError(
                f"{self.path} has schema version {version}, and this thoughtgraph reads version {VERSION}: "
                "open it with the thoughtgraph that wrote it, or name another file with store="
            )

    def _sound(self, db: sqlite3.Connection) -> None:
        """Whether every page is there and hangs together; the time is that of reading the file once."""
        pages, size = db.execute("PRAGMA page_count").fetchone()[0], db.execute("PRAGMA page_size").fetchone()[0]
        missing = self.path.stat().st_size < pages * size and not self._wal()
        found = "pages are missing at its end" if missing else db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(self._damaged(found))

    def _reader(self) -> sqlite3.Connection:
        """A connection that only reads.

        Even that needs a working file beside a WAL database. Where none can be made (a disk that is read-only) and
        nobody has left a WAL, all there is stands in the file itself, and nobody can change it: it is read as it is.
        """
        db = self._connect("mode=ro")
        try:
            db.execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or self._wal():
                raise
            return self._connect("mode=ro&immutable=1")
        return db

    def _wal(self) -> bool:
        """Whether there is a WAL that holds something."""
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.exists() and wal.stat().st_size > 0

    def _connect(self, how: str) -> sqlite3.Connection:
        name = self.path.absolute().as_uri()
        return sqlite3.connect(
            f"{name}?{how}", uri=True, timeout=PATIENCE, check_same_thread=False, isolation_level=None
        )

    def _open(self, synchronous: str) -> sqlite3.Connection:
        """A connection that writes. Where two make the file at once, SQLite refuses one in place of letting it wait."""
        latest = time.monotonic() + PATIENCE
        while True:
            db = self._connect("mode=rwc")
            try:
                self._prepare(db, synchronous)
            except BaseException as error:
                db.close()
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code != sqlite3.SQLITE_BUSY or time.monotonic() > latest:
                    raise
                time.sleep(0.01)
            else:
                return db

    def _prepare(self, db: sqlite3.Connection, synchronous: str) -> None:
        """WAL mode, and the tables where the file is new."""
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StoreError(f"{self.path} lies where SQLite cannot keep a WAL: name a file on a local disk")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    @contextlib.contextmanager
    def _speaking(self) -> Generator[None, None, None]:
        """SQLite's errors in words that say what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            damaged = "malformed" in str(error) or "not a database" in str(error)
            raise StoreError(self._damaged(error) if damaged else self._cannot(error)) from error

    def _damaged(self, found: object) -> str:
        return f"{self.path} is damaged ({found}): restore it from a copy, or name another file with store="

    def _writable(self) -> None:
        if self.read_only:
            raise StoreError(f"the store {self.path} is open read-only: open it without read_only to run or record")

    def _foreign(self) -> str:
        return f"{self.path} is not a file of thoughtgraph's runs: name another file with store="

    def _cannot(self, error: object) -> str:
        return (
            f"the store {self.path} cannot be used ({error}): free space or permit writing there, "
            "name another file with store= (--store), or keep runs in memory with store=None (--no-store)"
        )

    # -- rows ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _add(self, table: str, run: str, body: str) -> None:
        self._writable()
        place, add, _ = WHERE[table]
        seq = self._last.get((table, run), -2) + 1
        with self._speaking():
            self._begin()
            if seq < 0:
                seq = self._db.execute(place, (run,)).fetchone()[0]
            self._db.execute(add, (run, seq, body))
        self._last[table, run] = seq

    def _rows(self, table: str, run: str) -> list[Any]:
        return self._read(table, run, WHERE[table][2], (run,))

    def _read(self, table: str, run: str, query: str, named: Any) -> list[Any]:
        from pydantic import ValidationError

        with self._speaking():
            rows = self._db.execute(query, named).fetchall()
        read = adapter("event" if table == "events" else "record").validate_json
        try:
            return [self._lengthen(read(body)) for (body,) in rows]
        except ValidationError as error:
            found = f"run {run} holds a row that does not read: {error.errors()[0]['msg']}"
            raise StoreError(self._damaged(found)) from error
        except KeyError as error:
            raise StoreError(self._damaged(f"run {run} names a text that is gone: {error.args[0]}")) from error

    def _shorten(self, item: Any) -> Any:
        """The same item with its long texts kept aside, by hash."""
        if isinstance(item, Expanded) and any(_long(t.content) or _kept(t.content) for t in item.thoughts):
            return replace(item, thoughts=tuple(replace(t, content=self._aside(t.content)) for t in item.thoughts))
        if isinstance(item, Started):
            return replace(item, root=replace(item.root, content=self._aside(item.root.content)))
        if isinstance(item, Settled) and any(map(_lengthy, item.replies)):
            return replace(item, replies=tuple(self._reply(reply) for reply in item.replies))
        return item

    def _aside(self, content: Any) -> Any:
        if _kept(content):  # somebody's own content looks like ours
            return {"$as_is": content}
        return {"$text": self.keep(content)} if _long(content) else content

    def _reply(self, reply: Reply) -> Reply:
        kept = f"$text {self.keep(reply.text)} {reply.finish}" if _lengthy(reply) else ""
        return replace(reply, text="", finish=kept) if kept else reply

    def _lengthen(self, item: Any) -> Any:
        if isinstance(item, Expanded):
            return replace(item, thoughts=tuple(self._whole(thought) for thought in item.thoughts))
        if isinstance(item, Started):
            return replace(item, root=self._whole(item.root))
        if isinstance(item, Settled) and any(reply.finish.startswith("$text ") for reply in item.replies):
            return replace(item, replies=tuple(self._spoken(reply) for reply in item.replies))
        return item

    def _whole(self, thought: Thought) -> Thought:
        if not _kept(thought.content):
            return thought
        ((how, inside),) = thought.content.items()
        return replace(thought, content=self.text(inside) if how == "$text" else inside)

    def _spoken(self, reply: Reply) -> Reply:
        if not reply.finish.startswith("$text "):
            return reply
        _, hash, finish = reply.finish.split(" ", 2)
        return replace(reply, text=self.text(hash), finish=finish)


def _kept(content: Any) -> bool:
    """Whether a content stands for another: a text that is kept aside, or one that would look so."""
    return isinstance(content, dict) and list(cast("dict[str, Any]", content)) in (["$text"], ["$as_is"])


def _lengthy(reply: Reply) -> bool:
    """Whether a reply is kept aside: it is long, or its ending looks as if it were."""
    return len(reply.text) > LONG or reply.finish.startswith("$text ")


def _long(content: Any) -> bool:
    return isinstance(content, str) and len(content) > LONG


def digest(text: str) -> str:
    """How a text is known: 128 bits of BLAKE2."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _owned(run: str, where: str) -> str:
    return f"run {run} in {where} has another owner at this moment: wait for it to end, or stop that process"


def _unknown(run: str, where: str, runs: Sequence[str]) -> str:
    known = ", ".join(runs[-3:]) or "none"
    return f"there is no run {run!r} in {where}: its latest are {known}"
