"""Where runs are kept: in memory, or in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from thoughtgraph.database import Kind
from thoughtgraph.errors import InUse, StoreError
from thoughtgraph.model import Reply
from thoughtgraph.thought import Thought, clean
from thoughtgraph.trace import Event, Expanded, Forgotten, Record, Sent, Settled, Started, adapter

if TYPE_CHECKING:
    from filelock import BaseFileLock

Held: TypeAlias = "dict[str, BaseFileLock]"

Rewritten: TypeAlias = Mapping[str, tuple[Sequence[Event], Sequence[Record]]]
"""What runs are to hold from now on, by their ids."""

HASH = re.compile("[0-9a-f]{32}")
"""What stands for a text that is kept aside."""

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
        "DELETE FROM events WHERE run = ?",
    ),
    "calls": (
        "SELECT coalesce(max(seq) + 1, 0) FROM calls WHERE run = ?",
        "INSERT INTO calls VALUES (?, ?, ?)",
        "SELECT body FROM calls WHERE run = ? ORDER BY seq",
        "DELETE FROM calls WHERE run = ?",
    ),
}
"""How to find the next place in a table, to add a row, to read a run's rows, to delete them."""

NAMING = "SELECT run FROM events WHERE instr(body, :text) UNION SELECT run FROM calls WHERE instr(body, :text)"
BODIES = "SELECT body FROM events UNION ALL SELECT body FROM calls"

SCHEMA = """
CREATE TABLE events (run TEXT, seq INTEGER, body TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE calls (run TEXT, seq INTEGER, body TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE texts (hash TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
"""

RUNS = Kind(
    name="store",
    ours="a file of thoughtgraph's runs",
    application=0x74686774,  # "thgt"
    version=1,
    schema=SCHEMA,
    pragmas=("journal_mode = WAL", "secure_delete = ON"),  # only forgetting deletes
    free=(
        "free space or permit writing there, name another file with store= (--store), or keep runs in memory with "
        "store=None (--no-store)"
    ),
    spare="restore it from a copy",
    other="name another file with store=",
)


class Store(Protocol):
    """Append-only runs. What was flushed is there after a kill; one owner a run, many runs and processes a store."""

    def claim(self, run: str) -> None:
        """Become the run's one owner; `StoreError` if somebody else is, or if something of it was forgotten."""
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

    def claim(self, run: str, *, forgotten: bool = False) -> None:
        """Become the run's one owner; with `forgotten`, of one too that cannot be gone on with."""
        if run in self._owned:
            raise InUse(_owned(run, "memory"))
        if not forgotten and isinstance(self._events.get(run, [None])[-1], Forgotten):
            raise StoreError(_lost(run, "memory"))
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

    def naming(self, text: str) -> list[str]:
        """The runs that may hold a text somewhere: here, all."""
        return self.runs()

    def rewrite(self, changed: Rewritten) -> None:
        """Put other events and records in the place of what these runs have; prompts of theirs alone go."""
        gone = {sent.prompt for run in changed for sent in self.records(run) if isinstance(sent, Sent)}
        for run, (events, records) in changed.items():
            self._events[run], self._records[run] = list(events), list(records)
        left = {sent.prompt for records in self._records.values() for sent in records if isinstance(sent, Sent)}
        for hash in gone - left:
            self._texts.pop(hash, None)

    def erase(self) -> None:
        """Nothing to do: what is gone from memory is gone."""


class SQLiteStore:
    """Runs in one SQLite file in WAL mode.

    The default `synchronous="NORMAL"` survives a kill of the process; "FULL" also a power cut, at the price of a
    sync to disk for each commit. A file is looked at read-only before it is written; `StoreError` says what is
    wrong with it, and it stays as it is. With `read_only=True` nothing is ever written and no run can be claimed:
    to look at runs, also while other processes work on them or where nobody may write. (SQLite may leave its empty
    `-wal` and `-shm` beside the file; the next who opens it to write takes them away.)
    """

    def __init__(self, path: str | os.PathLike[str], synchronous: str = "NORMAL", *, read_only: bool = False) -> None:
        if synchronous not in ("NORMAL", "FULL"):
            raise ValueError(f'synchronous is {synchronous!r}: expected "NORMAL" or "FULL"')
        self.path, self.read_only = RUNS.real(path), read_only
        self._locks: Held = {}
        self._last = dict[tuple[str, str], int]()
        self._kept, self._version = set[str](), -1
        with RUNS.speaking(self.path):
            self._db = self._look() if read_only else RUNS.opened(self.path)
            self._db.execute(f"PRAGMA synchronous = {synchronous}")

    def close(self) -> None:
        """Flush, and let go of the file and of every run."""
        for run in list(self._locks):
            self.release(run)
        with RUNS.speaking(self.path):
            self.flush()
            self._db.close()

    def claim(self, run: str, *, forgotten: bool = False) -> None:
        """Become the run's one owner, by a lock on a file beside the store that a kill releases.

        With `forgotten`, of one too that cannot be gone on with, because something of it was forgotten.
        """
        from filelock import FileLock, Timeout

        self._writable()
        folder = self.path.with_name(self.path.name + ".locks")
        lock = FileLock(folder / f"{digest(run)}.lock", blocking=False, is_singleton=False, thread_local=False)
        with RUNS.speaking(self.path):
            folder.mkdir(exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise InUse(_owned(run, str(self.path))) from None
        self._locks[run] = lock
        for table in WHERE:  # somebody else may have gone on with it since
            self._last.pop((table, run), None)
        if not forgotten:
            self._whole_still(run)

    def _whole_still(self, run: str) -> None:
        """Give up a run that something was forgotten of."""
        try:
            if any(isinstance(end, Forgotten) for end in self._read("events", run, ENDS, {"run": run})):
                raise StoreError(_lost(run, str(self.path)))
        except StoreError:
            self.release(run)
            raise

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
        with RUNS.speaking(self.path):
            self._begin()
            if hash not in self._kept:
                self._db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (hash, clean(text)))
        self._kept.add(hash)
        return hash

    def text(self, hash: str) -> str:
        """A text by its hash."""
        with RUNS.speaking(self.path):
            row = self._db.execute("SELECT body FROM texts WHERE hash = ?", (hash,)).fetchone()
        if row is None:
            raise KeyError(hash)
        return row[0]

    def flush(self) -> None:
        """Commit."""
        if self._db.in_transaction:
            with RUNS.speaking(self.path):
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
        with RUNS.speaking(self.path):
            rows = self._db.execute("SELECT run, body FROM events WHERE seq = 0").fetchall()
        return [run for _, run in sorted((json.loads(body).get("created", ""), run) for run, body in rows)]

    # -- forgetting ----------------------------------------------------------------------------------------------

    def naming(self, text: str) -> list[str]:
        """The runs of which a row holds a text, as JSON spells it."""
        with RUNS.speaking(self.path):
            found = self._db.execute(NAMING, {"text": json.dumps(text, ensure_ascii=False)[1:-1]}).fetchall()
        named = {run for (run,) in found}
        return [run for run in self.runs() if run in named]

    def rewrite(self, changed: Rewritten) -> None:
        """Put other events and records in the place of what these runs have; texts of theirs alone go. All or nothing.

        What was there may still stand in the file's free pages, until `erase`.
        """
        self._writable()
        self.flush()
        with RUNS.speaking(self.path):
            self._begin()
            try:
                gone = [self._replace(run, events, records) for run, (events, records) in changed.items()]
                self._drop(set[str]().union(*gone))
                self._db.commit()
            except BaseException:
                self._db.rollback()
                raise
            finally:
                self._kept.clear()
                self._last.clear()

    def erase(self) -> None:
        """Leave nothing of what was deleted in any byte of the file, or beside it.

        `StoreError` where another process keeps reading: then it is to be done again.
        """
        self._writable()
        self.flush()
        with RUNS.speaking(self.path):
            RUNS.erase(self._db, self.path)

    def _replace(self, run: str, events: Sequence[Event], records: Sequence[Record]) -> set[str]:
        """Put these in the place of a run's rows; what may be the hashes of texts that they named."""
        gone = set[str]()
        for table, items in (("events", events), ("calls", records)):
            _, _, read, delete = WHERE[table]
            for (body,) in self._db.execute(read, (run,)):
                gone.update(HASH.findall(body))
            self._db.execute(delete, (run,))
            self._last[table, run] = -1
            for item in items:
                (self.append if table == "events" else self.note)(run, cast("Any", item))
        return gone

    def _drop(self, texts: set[str]) -> None:
        """Delete those of these texts that no row refers to."""
        for (body,) in self._db.execute(BODIES) if texts else ():
            texts.difference_update(HASH.findall(body))
        self._db.executemany("DELETE FROM texts WHERE hash = ?", [(hash,) for hash in texts])

    # -- the file ------------------------------------------------------------------------------------------------

    def _look(self) -> sqlite3.Connection:
        """A connection that only reads, to a file that holds runs."""
        if not RUNS.look(self.path):
            found = f"{self.path} is empty" if self.path.exists() else f"there is no store {self.path}"
            raise StoreError(f"{found}: name the file that the run was recorded in")
        return RUNS.reader(self.path)

    def _writable(self) -> None:
        if self.read_only:
            raise StoreError(f"the store {self.path} is open read-only: open it without read_only to run or record")

    # -- rows ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """A transaction. Where somebody else wrote since the last one, texts that were kept may be gone."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                self._kept.clear()

    def _add(self, table: str, run: str, body: str) -> None:
        self._writable()
        place, add, *_ = WHERE[table]
        seq = self._last.get((table, run), -2) + 1
        with RUNS.speaking(self.path):
            self._begin()
            if seq < 0:
                seq = self._db.execute(place, (run,)).fetchone()[0]
            self._db.execute(add, (run, seq, body))
        self._last[table, run] = seq

    def _rows(self, table: str, run: str) -> list[Any]:
        return self._read(table, run, WHERE[table][2], (run,))

    def _read(self, table: str, run: str, query: str, named: Any) -> list[Any]:
        from pydantic import ValidationError

        with RUNS.speaking(self.path):
            rows = self._db.execute(query, named).fetchall()
        read = adapter("event" if table == "events" else "record").validate_json
        try:
            return [self._lengthen(read(body)) for (body,) in rows]
        except ValidationError as error:
            found = f"run {run} holds a row that does not read: {error.errors()[0]['msg']}"
            raise RUNS.damaged(self.path, found) from error
        except KeyError as error:
            raise RUNS.damaged(self.path, f"run {run} names a text that is gone: {error.args[0]}") from error

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


def _lost(run: str, where: str) -> str:
    return (
        f"run {run} in {where} cannot be gone on with, for something that it rests on was forgotten: look at it with "
        f"`thoughtgraph show {run}`, or begin another run"
    )


def _unknown(run: str, where: str, runs: Sequence[str]) -> str:
    known = ", ".join(runs[-3:]) or "none"
    return f"there is no run {run!r} in {where}: its latest are {known}"
