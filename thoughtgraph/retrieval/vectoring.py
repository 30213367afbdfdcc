"""Whose vectors a file holds, and how passages come by theirs: what was paid for is kept before anything else is done.

Vectors are kept little-endian, in the embedder's precision. They are written `ahead` of their passages, a lot at a time
as they come, and taken over when the document is filed: a process that is killed between the two pays nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.embedders import Embedder, Identity, identity, read, unit
from thoughtgraph.retrieval.filing import Work, known, risen, standing
from thoughtgraph.retrieval.index import ABOUT, KNOWLEDGE, Index

LOT = 256
"""So many passages are embedded, and their vectors committed, at a time."""

SHARE = 64
"""So many passages are embedded, and their vectors committed, before their documents are filed: a request's worth."""

TYPES = {"float32": "<f4", "float16": "<f2"}
"""How numpy calls the precisions."""

IDENTITY = "INSERT OR REPLACE INTO about VALUES ('embedder', ?)"
PARTIAL = "INSERT OR REPLACE INTO about VALUES ('partial', 1)"
WHOLE = "DELETE FROM about WHERE name = 'partial'"
WITHOUT = """
SELECT p.id, p.text, p.section FROM passages p CROSS JOIN documents d ON d.id = p.document
WHERE p.id > ? AND p.id NOT IN (SELECT passage FROM vectors) AND d.label IN (SELECT value FROM json_each(?))
ORDER BY p.id LIMIT ?
"""
BARE = """
SELECT p.text, p.section FROM documents d JOIN passages p ON p.document = d.id
WHERE d.name = ? AND p.id NOT IN (SELECT passage FROM vectors)
"""
TAKE = """
INSERT INTO vectors SELECT p.id, a.vector FROM documents d JOIN passages p ON p.document = d.id
    CROSS JOIN ahead a ON a.text = known(p.text, p.section)
WHERE d.name = ? AND p.id NOT IN (SELECT passage FROM vectors)
"""
GIVE = "INSERT OR REPLACE INTO vectors SELECT id, ? FROM passages WHERE id = ?"


class Bare(Exception):
    """Passages (text, section) that should have vectors, and have none."""

    def __init__(self, passages: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.passages = passages


class Vectoring:
    """The vectors in a file, and the embedder that is there to make more, if there is one."""

    def __init__(self, index: Index, embedder: Embedder | None) -> None:
        self._index, self._embedder = index, embedder
        self._who: Identity | None = None
        kept, whole = embedder_of(index)
        if embedder and kept and whole:  # the rest of an identity may have to be asked for, see `who`
            kept.check(replace(kept, name=embedder.name, precision=embedder.precision))

    @property
    def searchable(self) -> bool:
        """Whether passages can be searched by their vectors: they have them, and what embeds queries is here."""
        return self._embedder is not None and embedder_of(self._index)[1]

    async def who(self) -> Identity:
        """Who the embedder is; `TaskError` without one, or where the file's vectors are another's."""
        who = await self._me()
        kept, whole = embedder_of(self._index)
        if kept and whole:
            kept.check(who)
        return who

    async def asked(self) -> Identity:
        """The same, to search with; `TaskError` also where passages that should have vectors have none yet."""
        who = await self.who()
        if not embedder_of(self._index)[1] and self._index.read("SELECT 1 FROM passages LIMIT 1"):
            raise TaskError(f"not all passages of {self._index.path} have vectors: call embed() of the knowledge first")
        return who

    async def _me(self) -> Identity:
        if not self._embedder:
            raise TaskError("there is no embedder: open the knowledge with one, as in Knowledge(path, embedder)")
        self._who = self._who or await identity(self._embedder)
        return self._who

    # -- with documents --------------------------------------------------------------------------------------------

    async def ahead(self, passages: Iterable[tuple[str, str]]) -> None:
        """Pay for the vectors of passages (text, section) which are not filed yet, and keep each lot at once."""
        asked, who = list(dict.fromkeys(passages)), await self.who()
        rest = iter([asked[i : i + SHARE] for i in range(0, len(asked), SHARE)])

        async def work() -> None:
            for share in rest:  # one iterator for all: each share goes once, and is kept whatever becomes of the others
                found = await self._made(share)
                kept = {known(*passage): vector for passage, vector in zip(share, found, strict=True)}
                await asyncio.to_thread(self._keep, who, kept)

        lanes: int = getattr(self._embedder, "at_once", 1)  # a server's; a function may not be called twice at a time
        ends = await asyncio.gather(*(work() for _ in range(lanes)), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def take(self, db: sqlite3.Connection, works: Sequence[Work], who: Identity) -> None:
        """Give documents that were filed their vectors; `Bare` where some are not there."""
        seen = [work for work in works if _sendable(db, work.document.name, who)]
        db.executemany(TAKE, [(work.document.name,) for work in seen])
        if bare := [row for work in seen for row in db.execute(BARE, (work.document.name,))]:
            raise Bare(bare)
        keys = [(known(chunk.text, chunk.section),) for work in seen for chunk in work.chunks]
        db.executemany("DELETE FROM ahead WHERE text = ?", keys)

    def _keep(self, who: Identity, vectors: Mapping[bytes, bytes]) -> None:
        with self._index.writing() as db:
            agreed(db, who)
            db.executemany("INSERT OR REPLACE INTO ahead VALUES (?, ?)", vectors.items())

    # -- without ---------------------------------------------------------------------------------------------------

    async def fill(self) -> int:
        """Give vectors to all passages that have none and may: how many. It goes on where it was stopped."""
        who, count, last = await self._me(), 0, 0
        await asyncio.to_thread(self._begin, who)
        while rows := await asyncio.to_thread(self._without, who, last):
            found = await self._made([(text, section) for _, text, section in rows])
            await asyncio.to_thread(self._give, [(vector, row[0]) for vector, row in zip(found, rows, strict=True)])
            count, last = count + len(rows), rows[-1][0]
        return count

    def _begin(self, who: Identity) -> None:
        """Make ready. What another embedder had begun, and not ended, is thrown away."""
        with self._index.writing() as db:
            kept, partial = _said(db, "embedder"), _said(db, "partial")
            try:
                read(json.loads(kept or "{}")).check(who)
            except TaskError:
                if kept and not partial:
                    raise
                db.execute("DELETE FROM vectors")
                db.execute("DELETE FROM ahead")
                db.execute(IDENTITY, (json.dumps(who.to_json),))
                db.execute(PARTIAL)

    def _without(self, who: Identity, after: int) -> list[tuple[int, str, str]]:
        """The next passages (row, text, section) to be embedded; where there is none, the file has become whole."""
        with self._index.writing() as db:
            permitted = [number for number, labels in self._index.labels().items() if labels.sendable(who.name)]
            rows = db.execute(WITHOUT, (after, json.dumps(permitted), LOT)).fetchall()
            if not rows:
                db.execute(WHOLE)
        return rows

    def _give(self, vectors: Sequence[tuple[bytes, int]]) -> None:
        with self._index.writing() as db:
            db.executemany(GIVE, vectors)  # what is gone meanwhile needs none
            risen(db, rewritten=False)

    async def _made(self, passages: Sequence[tuple[str, str]]) -> list[bytes]:
        """A vector of each passage, as it is kept: it is made of the headings and the text."""
        assert self._embedder
        assert self._who
        texts = [f"{section}\n{text}" if section else text for text, section in passages]
        found = unit(await self._embedder(texts), len(texts), self._who.dimension, self._who.name)
        return [vector.tobytes() for vector in found.astype(TYPES[self._who.precision])]


def embedder_of(index: Index) -> tuple[Identity | None, bool]:
    """Who made the vectors in a file, None where it has none; and whether all passages that may have one do, by it."""
    kept = index.about("embedder")
    with KNOWLEDGE.speaking(index.path):
        return (read(json.loads(kept)), index.about("partial") is None) if kept else (None, False)


def agreed(db: sqlite3.Connection, who: Identity | None) -> None:
    """See that passages may be added with this embedder, or with none; a file without any passages takes its first.

    `TaskError` where the file has another, or was made without.
    """
    kept = _said(db, "embedder")
    if who and kept:
        read(json.loads(kept)).check(who)
    elif kept:
        raise TaskError(
            f"the passages of this knowledge have vectors of {json.loads(kept)['name']!r}, and no embedder is given: "
            "open it with that one, as in Knowledge(path, embedder), to add to it"
        )
    elif who and db.execute("SELECT 1 FROM passages LIMIT 1").fetchone():
        raise TaskError(
            f"this knowledge was made without an embedder, and {who.name!r} is given: call its embed() first, which "
            "gives vectors to what is there, or open it without an embedder"
        )
    elif who:
        db.execute(IDENTITY, (json.dumps(who.to_json),))


def _sendable(db: sqlite3.Connection, document: str, who: Identity) -> bool:
    found = standing(db, document)
    return found is not None and found.labels.sendable(who.name)


def _said(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute(ABOUT, (name,)).fetchone()
    return str(row[0]) if row else None
