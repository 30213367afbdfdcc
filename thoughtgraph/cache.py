"""Paid replies, kept by what was asked and by the number of the draw: asking for 5 after having 3 pays for 2."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from thoughtgraph.database import Kind
from thoughtgraph.errors import StoreError, at_least
from thoughtgraph.model import Logprobs, Reply
from thoughtgraph.thought import Json, Passage, clean

Place: TypeAlias = tuple[str, int]
"""Where a reply is kept: the key of what was asked, and the number of the draw."""

Row: TypeAlias = tuple[str, int, str, float, int, str]

APPLICATION = 0x74686763
"""The file's `application_id`: "thgc"."""

HOUR = 3600.0
"""A use is written down only where the last one is longer ago than this, in seconds: reading stays cheap."""

SPARE = 4e6
"""So many bytes more go than must, or a tenth of the bound if that is less: not a little with each reply."""

# Rows with a rowid: they are packed, also where a reply fills half a page, and are added at the end. The body comes
# last, so that nothing else needs its overflow pages.
SCHEMA = """
CREATE TABLE replies (
    key TEXT NOT NULL, draw INTEGER NOT NULL, model TEXT NOT NULL, used REAL NOT NULL, size INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (key, draw)
);
CREATE INDEX least ON replies (used)
"""

RESTS = "CREATE TABLE IF NOT EXISTS rests (key TEXT, document TEXT, PRIMARY KEY (key, document)) WITHOUT ROWID"
"""Which documents stood in the prompt of a key, by their digests. Files that are older have no such table."""

REPLIES = Kind(
    name="cache",
    ours="a cache of thoughtgraph's",
    application=APPLICATION,
    version=1,
    schema=SCHEMA,
    pragmas=(
        "page_size = 8192",  # several replies fit, and little is left over
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "secure_delete = ON",  # rows that are deleted are overwritten: replies are private
        "journal_size_limit = 16000000",
    ),
    free=(
        "free space or permit writing there, name another file with cache= or TG_CACHE, or go without with cache=False"
    ),
    spare="delete it, since a cache can be spared",
    other="name another file with cache= or TG_CACHE",
    old="delete it, since a cache can be spared",
    later=(RESTS,),
)

FIND = "SELECT draw, used, body FROM replies WHERE key = ? AND draw BETWEEN ? AND ?"
KEEP = "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?)"
USED = "UPDATE replies SET used = ? WHERE key = ? AND draw = ?"
LEAST = "SELECT rowid, size FROM replies ORDER BY used, rowid"
ON = "SELECT document FROM rests WHERE key = ?"
ORPHANS = "DELETE FROM rests WHERE NOT EXISTS (SELECT 1 FROM replies WHERE replies.key = rests.key)"
FORGET = "DELETE FROM replies WHERE key IN (SELECT key FROM rests WHERE document = ?)"
PAGES = "SELECT * FROM pragma_page_size, pragma_page_count, pragma_freelist_count"
CLEAR = "DELETE FROM replies WHERE (:before IS NULL OR used < :before) AND (:model IS NULL OR model = :model)"


@dataclass(frozen=True, slots=True)
class Claim:
    """How it stands with some draws: `found` are there, `mine` nobody else is asking for, the rest is `flying`."""

    found: dict[int, Reply]
    mine: list[int]
    flying: list[Future[None]]

    async def landed(self) -> None:
        """Wait until the draws that others ask for have come, or will not; then claim again.

        Wait after the `with`, not in it, and holding nothing that the others may need: two who wait for each other's
        draws with their own in hand would wait for ever.
        """
        await asyncio.gather(*map(asyncio.wrap_future, self.flying))


class Cache:
    """Replies by (key, draw) in one SQLite file that runs and processes share, or in memory where `path` is None.

    `megabytes` (of a million bytes) bound the file; beyond it those go that were used longest ago. Prompts are not in
    it, replies are: the file is made for its owner's eyes only. A file that cannot be used is a `StoreError` when it
    is opened, and stays as it is. Later on a cache ends no run: when the disk is full, say, it goes on in memory, and
    `trouble` says why.

    Threads and event loops may share one, and what they ask for at the same time is asked once:

    ```python no-run
    found = {}
    while missing := [draw for draw in draws if draw not in found]:
        with cache.claim(key, missing) as claim:
            found |= claim.found
            if claim.mine:
                found |= (replies := await ask(claim.mine))  # raises where they do not come
                cache.put(key, replies, model)
        await claim.landed()
    ```
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, megabytes: float = 512) -> None:
        at_least(0, megabytes=megabytes)
        self.path = None if path is None else REPLIES.real(path)
        self.trouble = ""
        self._most = megabytes * 1e6
        self._lock = threading.RLock()
        self._fresh = dict[Place, Row]()
        self._touched = dict[Place, float]()
        self._resting = set[tuple[str, str]]()
        self._flying = dict[Place, Future[None]]()
        self._holders = 1
        self._take(REPLIES.memory() if self.path is None else REPLIES.opened(self.path))

    def __bool__(self) -> bool:
        """A cache is there even while it is empty."""
        return True

    def __len__(self) -> int:
        """How many draws it holds."""
        with self._lock:
            self.flush()
            return self._rows("SELECT count(*) FROM replies")[0][0]

    @property
    def size(self) -> int:
        """The bytes that are taken up in the file."""
        with self._lock:
            self.flush()
            ((page, pages, free),) = self._rows(PAGES)
            return (pages - free) * page

    def get(self, key: str, draws: Sequence[int]) -> dict[int, Reply]:
        """Those of `draws` that are there; they count as used."""
        if not draws:
            return {}
        old = time.time() - HOUR
        with self._lock:
            bodies = {draw: self._fresh[key, draw][-1] for draw in draws if (key, draw) in self._fresh}
            for draw, used, body in self._rows(FIND, (key, min(draws), max(draws))):
                bodies[draw] = body
                if used < old:
                    self._touched[key, draw] = old + HOUR
            try:
                return {draw: _reply(bodies[draw]) for draw in draws if draw in bodies}
            except (ValueError, TypeError) as error:
                self._fall_back(sqlite3.DatabaseError(f"it holds a reply that does not read: {error}"))
                return self.get(key, draws)

    def put(self, key: str, replies: Mapping[int, Reply], model: str) -> None:
        """Keep replies by their draws, from the next `flush` on in the file. A draw that is there is never replaced."""
        now, name = time.time(), clean(model)
        with self._lock:
            for draw, reply in replies.items():
                body = _body(reply)
                self._fresh.setdefault((key, draw), (key, draw, name, now, len(body.encode()), body))
                self._land(self._flying.pop((key, draw), None))

    def flush(self) -> None:
        """Commit what was put and used since the last time. It never fails, see `trouble`."""
        with self._lock:
            if self._fresh or self._touched or self._resting:
                try:
                    self._write()
                except sqlite3.DatabaseError as error:
                    self._fall_back(error)
                    self._write()
                self._fresh.clear()
                self._touched.clear()
                flying = {key for key, _ in self._flying}  # what a reply rests on is written again beside it: until
                self._resting = {rest for rest in self._resting if rest[0] in flying}  # then it may go as an orphan

    def clear(self, *, days: float | None = None, model: str | None = None) -> int:
        """Forget the replies that were not used for so many `days`, those of one `model`, or all: how many went.

        What is forgotten is overwritten in the file, and its place given back. `StoreError` if that cannot be.
        """
        with self._lock, REPLIES.speaking(self.path):
            self.flush()
            before = None if days is None else time.time() - days * 24 * HOUR
            gone = self._db.execute(CLEAR, {"before": before, "model": model}).rowcount
            self._db.execute(ORPHANS)
            self._db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
            return gone

    def forget(self, documents: Iterable[str]) -> int:
        """Delete every reply to a prompt in which one of these `documents` stood, by `named`: how many went.

        No byte of them is left in the file, or beside it. `StoreError` if that cannot be.
        """
        with self._lock, REPLIES.speaking(self.path):
            self.flush()
            if self.trouble:
                raise StoreError(self.trouble)
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                gone = sum(self._db.execute(FORGET, (document,)).rowcount for document in documents)
                self._db.execute(ORPHANS)
            REPLIES.erase(self._db, self.path)
            return gone

    def hold(self) -> Cache:
        """Share the cache: it closes when all who hold it have closed it. `StoreError` if they have."""
        with self._lock:
            if self.closed:
                raise StoreError(f"the cache {self.path or 'in memory'} is closed: open another one")
            self._holders += 1
        return self

    def close(self) -> None:
        """Flush; where nobody else holds the cache, let go of the file."""
        with self._lock:
            self.flush()
            self._holders -= 1
            if self._holders <= 0:
                self._end()

    @property
    def closed(self) -> bool:
        """Whether everybody has closed it."""
        return not self._end.alive

    # -- in flight -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def claim(self, key: str, draws: Sequence[int], origins: Iterable[Passage] = ()) -> Generator[Claim, None, None]:
        """Become the one who asks for those of `draws` that are neither there nor asked for by somebody else.

        `origins` are the passages that stand in the prompt: the replies are forgotten with their documents.

        A draw lands when it is put, and all that were claimed do when the block ends, in whatever way: whoever waited
        for one that did not come may claim it then.
        """
        with self._lock:
            found = self.get(key, draws)
            missing = [(key, draw) for draw in dict.fromkeys(draws) if draw not in found]
            flying = [self._flying[place] for place in missing if place in self._flying]
            mine = {place: _flight() for place in missing if place not in self._flying}
            self._flying |= mine
            self._rest(key, origins, asked=bool(mine))
        try:
            yield Claim(found, [draw for _, draw in mine], flying)
        finally:
            self._release(mine)

    def _rest(self, key: str, origins: Iterable[Passage], *, asked: bool) -> None:
        """Remember what stands in a prompt: where nothing is asked, only what the file does not know yet."""
        documents = {named(origin.base, origin.document) for origin in origins if origin.document}
        known = {one for (one,) in self._rows(ON, (key,))} if documents and not asked else set[Json]()
        self._resting |= {(key, one) for one in documents - known}

    def _release(self, mine: Mapping[Place, Future[None]]) -> None:
        with self._lock:
            for place, flight in mine.items():
                if self._flying.get(place) is flight:  # else it has landed, and somebody may have claimed it again
                    self._land(self._flying.pop(place))

    def _land(self, flight: Future[None] | None) -> None:
        if flight:
            flight.set_result(None)

    # -- the file ------------------------------------------------------------------------------------------------

    def _take(self, db: sqlite3.Connection) -> None:
        self._db, self._end = db, weakref.finalize(self, db.close)

    def _fall_back(self, error: sqlite3.DatabaseError) -> None:
        """Go on in memory."""
        if self.path is None or self.trouble or self.closed:
            raise error
        self.trouble = f"{REPLIES.wrong(self.path, error)}; meanwhile replies are kept in memory"
        self._end()
        self._take(REPLIES.memory())

    def _rows(self, query: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            self._fall_back(error)
            return self._db.execute(query, values).fetchall()

    def _write(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.executemany(KEEP, self._fresh.values())
            self._db.executemany("INSERT OR IGNORE INTO rests VALUES (?, ?)", self._resting)
            self._db.executemany(USED, [(now, *place) for place, now in self._touched.items()])
            self._shrink()
        page, pages, free = self._pages()
        if free and pages * page > self._most:  # `execute` would give back one page only
            self._db.executescript(f"PRAGMA incremental_vacuum({pages - int(self._most // page)})")

    def _pages(self) -> tuple[int, int, int]:
        """The bytes of a page, how many pages the file has, and how many of them are free."""
        return self._db.execute(PAGES).fetchone()

    def _shrink(self) -> None:
        """Keep to the bound, with some room to spare."""
        page, pages, free = self._pages()
        while (over := (pages - free) * page - self._most) > 0 and self._evict(over + min(SPARE, 0.1 * self._most)):
            page, pages, free = self._pages()

    def _evict(self, over: float) -> int:
        """Delete the least recently used of `over` bytes together; how many they are."""
        rows = list[tuple[int]]()
        for row, size in self._db.execute(LEAST):
            rows.append((row,))
            over -= size
            if over <= 0:
                break
        self._db.executemany("DELETE FROM replies WHERE rowid = ?", rows)
        self._db.execute(ORPHANS)
        return len(rows)


def content_key(parts: Json) -> str:
    """How a request is known: 128 bits of BLAKE2 of its JSON, in hex. The order of a dict's keys makes no difference.

    `ValueError` or `TypeError` where `parts` is not JSON.
    """
    said = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def named(base: str, document: str) -> str:
    """How what was forgotten is known, and what a cache remembers: a digest of a document's name in the file `base`."""
    return content_key([base, document])


# -- naming a cache ------------------------------------------------------------------------------------------------

_shared = weakref.WeakValueDictionary[Path, Cache]()
_sharing = threading.Lock()


def as_cache(cache: Cache | str | os.PathLike[str] | bool | None) -> Cache | None:
    """The cache that is meant: itself, the file of a name, the user's own for True, and none for False.

    None leaves it to the environment: `TG_CACHE` names a file, is 1 for the user's own, or empty or 0 for none. All
    in this process who name the same file share one cache. Whoever gets a cache here closes it.
    """
    if cache is None:
        said = os.environ.get("TG_CACHE", "")
        cache = {"": False, "0": False, "1": True}.get(said, said)
    if cache is False:
        return None
    return cache.hold() if isinstance(cache, Cache) else _of(_own() if cache is True else REPLIES.real(cache))


def _of(path: Path) -> Cache:
    with _sharing:
        try:
            return _shared[path].hold()
        except (KeyError, StoreError):  # nobody has opened it, or all have closed it
            _shared[path] = cache = Cache(path)
            return cache


def _own() -> Path:
    """The file in the user's cache folder."""
    from platformdirs import user_cache_path

    folder = user_cache_path("thoughtgraph", appauthor=False)
    with REPLIES.speaking(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return REPLIES.real(folder / "replies.db")


# -- replies as JSON -----------------------------------------------------------------------------------------------


def _body(reply: Reply) -> str:
    told = [reply.text, reply.finish, reply.logprobs, *([reply.top] if reply.top else [])]
    return clean(json.dumps(told, ensure_ascii=False))


def _reply(body: str) -> Reply:
    text, finish, logprobs, *more = json.loads(body)
    if not isinstance(text, str) or not isinstance(finish, str):
        raise TypeError(f"expected [text, finish, logprobs], found {body:.40}")
    return Reply(text, finish, _pairs(logprobs), tuple(map(_pairs, more[0])) if more else ())


def _pairs(said: list[tuple[object, float]]) -> Logprobs:
    return tuple((str(token), float(logprob)) for token, logprob in said)


def _flight() -> Future[None]:
    """Under way, so that nobody who waits for it can cancel it."""
    flight = Future[None]()
    flight.set_running_or_notify_cancel()
    return flight
