"""Posting lists (Zobel and Moffat, 2006): which passages hold a term, and how often. SQLite's FTS5 keeps them.

The file has one index for all, and a list of it is as long as the term is frequent among passages that a reader may
not see. So what exists for a principal gets an index of its own, in memory, up to `OWN` passages: then not even the
time that a search takes tells of others. Beyond, the file's lists are read, and what is not visible is taken out of
them before anything is counted.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from weakref import WeakKeyDictionary, finalize

from thoughtgraph.retrieval.index import Array, Index, Row, Rows, arrays
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.thought import Json, clean

OWN = 20_000
"""Views of at most so many passages get an index of their own: it takes about 0.01 ms of CPU a passage, once."""

HELD = 200_000
"""So many passages are at most in all the views' own indexes; the one used longest ago goes first."""

ALONE = 200
"""What an index without any passage counts there: it is 50 kB of memory."""

KEPT = 4_000_000
"""So many entries of the file's lists are at most kept in memory: about 100 MB."""

MEMORY = """
CREATE VIRTUAL TABLE words USING fts5 (section, text, content = '', tokenize = 'porter unicode61');
CREATE VIRTUAL TABLE words_instance USING fts5vocab (words, instance);
"""
INSERT = "INSERT INTO words (rowid, section, text) VALUES (?, ?, ?)"
TERMS = "SELECT term, count(*) FROM words_instance GROUP BY term ORDER BY term"
LIST = "SELECT group_concat(doc, ' ') FROM words_instance WHERE term = ?"
TEXTS = "SELECT id, section, text FROM passages WHERE id IN (SELECT value FROM json_each(?))"


def terms(text: str) -> dict[str, int]:
    """The terms of a text as the file's index has them, in alphabetical order, and how many times each stands there."""
    return _tokenizer().terms(text)


def lists(reader: Reader, visible: Visible) -> Callable[[str], Posting]:
    """What gives the posting list of a term: at least for all passages that are `visible` to the reader."""
    index = reader.index
    with _LOCK:
        ours = _OURS.get(index) or _OURS.setdefault(index, Lists())
    allowed = replace(reader, where=None).visible() if reader.where else visible
    if len(allowed) < len(allowed.rows) and len(allowed) <= OWN:
        return ours.own(index, (reader.principal, reader.models), allowed).posting
    return partial(ours.shared(index, visible.rows), index)


class Posting:
    """One term's list: the row ids (d,) of the passages that hold it, ascending, and how many `times` each does."""

    def __init__(self, ids: Array, times: Array) -> None:
        self.ids, self.times = ids, times
        self._placed: tuple[Rows, Array, Array] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def within(self, visible: Visible) -> tuple[Array, Array]:
        """Which of the visible passages hold the term (0 is the first visible one), and how many times each does."""
        at, times = self._at(visible.rows)
        if len(visible) == len(visible.rows):
            return at, times
        seen = visible.mask[at]
        return arrays().searchsorted(visible.positions, at[seen]), times[seen]

    def upto(self, last: int) -> Posting:
        """The part that ends with the row id `last`."""
        end = arrays().searchsorted(self.ids, last, side="right")
        return Posting(self.ids[:end], self.times[:end])

    def joined(self, other: Posting, after: int) -> Posting:
        """With what another one has after the row id `after`, where this one ends."""
        np = arrays()
        new = np.searchsorted(other.ids, after, side="right")
        return Posting(*map(np.concatenate, ((self.ids, other.ids[new:]), (self.times, other.times[new:]))))

    def _at(self, rows: Rows) -> tuple[Array, Array]:
        if (placed := self._placed) is None or placed[0] is not rows:
            at = arrays().searchsorted(rows.ids, self.ids)
            there = at < len(rows)
            there[there] = rows.ids[at[there]] == self.ids[there]
            placed = self._placed = (rows, at[there], self.times if there.all() else self.times[there])
        return placed[1:]


class Words:
    """A full-text index in memory, of the passages that it was given alone."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(MEMORY)
        finalize(self, self._db.close)
        self._lock = threading.Lock()
        self.ids: Array = arrays().empty(0, arrays().int64)
        self.rows: Rows | None = None

    def take(self, index: Index, visible: Visible) -> bool:
        """Read those of the visible passages that it has not; whether it had to look."""
        np = arrays()
        with self._lock:
            if self.rows is visible.rows:
                return False
            self._add(index, np.setdiff1d(visible.rows.ids[visible.positions], self.ids, assume_unique=True))
            self.rows = visible.rows
            return True

    def only(self, visible: Visible) -> bool:
        """Whether all of its passages are visible (still)."""
        ids = visible.rows.ids[visible.positions]
        return self.rows is visible.rows or bool(arrays().isin(self.ids, ids, assume_unique=True).all())

    def posting(self, term: str) -> Posting:
        """The list of one term."""
        with self._lock:
            return _posting(self._db.execute(LIST, (term,)).fetchall())

    def terms(self, text: str) -> dict[str, int]:
        """The terms of a text, which is not kept, and how many times each stands there."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.execute(INSERT, (1, "", clean(text)))
                return dict(self._db.execute(TERMS).fetchall())
            finally:
                self._db.execute("ROLLBACK")

    def _add(self, index: Index, ids: Array) -> None:
        rows = index.read(TEXTS, (json.dumps(ids.tolist()),)) if len(ids) else []
        self._db.execute("BEGIN")
        self._db.executemany(INSERT, rows)
        self._db.execute("COMMIT")
        self.ids = arrays().sort(arrays().concatenate([self.ids, ids]))


class Lists:
    """All that is kept of one file's lists.

    Those of the file itself stay good when passages are added: what comes later is read into an index of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = OrderedDict[tuple[Json, ...], Words]()
        self._begin(-1)

    def own(self, index: Index, key: tuple[Json, ...], visible: Visible) -> Words:
        """The index of what one principal sees."""
        with self._lock:
            words = self._own.pop(key, None)
            if words is None or not words.only(visible):
                words = Words()
            self._own[key] = words
        if words.take(index, visible):
            self._trim()
        return words

    def shared(self, index: Index, rows: Rows) -> Callable[[Index, str], Posting]:
        """The file's lists, with what came since they were read."""
        np = arrays()
        with self._lock:
            new = int(np.searchsorted(rows.ids, self._mark, side="right"))
            if self._mark < 0 or len(rows) - new > OWN:
                self._begin(int(rows.ids[-1]) if len(rows) else 0)
            elif new < len(rows):
                mask = np.arange(len(rows)) >= new
                self._later.take(index, Visible(rows, mask, np.flatnonzero(mask)))
        return self._posting

    def _trim(self) -> None:
        with self._lock:
            held = sum(len(words.ids) + ALONE for words in self._own.values())
            while held > HELD and len(self._own) > 1:
                held -= len(self._own.popitem(last=False)[1].ids) + ALONE

    def _begin(self, mark: int) -> None:
        """Keep nothing; what is read now is kept as far as the row id `mark`, which does not change."""
        self._mark, self._later, self._entries = mark, Words(), 0
        self._kept = OrderedDict[str, tuple[int, Posting]]()

    def _posting(self, index: Index, term: str) -> Posting:
        with self._lock:
            if term in self._kept:
                upto, found = self._kept.pop(term)
                self._entries -= len(found)
            else:
                upto, found = self._mark, _posting(index.read(LIST, (term,))).upto(self._mark)
            last = int(self._later.ids[-1]) if len(self._later.ids) else self._mark
            if upto < last:
                found = found.joined(self._later.posting(term), upto)
            self._kept[term], self._entries = (last, found), self._entries + len(found)
            while self._entries > KEPT and len(self._kept) > 1:
                self._entries -= len(self._kept.popitem(last=False)[1][1])
            return found


_OURS: WeakKeyDictionary[Index, Lists] = WeakKeyDictionary()
_LOCK = threading.Lock()


@cache
def _tokenizer() -> Words:
    return Words()


def _posting(found: Sequence[Row]) -> Posting:
    """A list from the row ids of every place where the term stands, in ascending order."""
    np = arrays()
    each = np.fromstring(found[0][0] or "", dtype=np.int64, sep=" ")
    first = np.flatnonzero(np.concatenate([[True], each[1:] != each[:-1]])) if len(each) else each
    return Posting(each[first], np.diff(np.append(first, len(each))).astype(np.int32))
