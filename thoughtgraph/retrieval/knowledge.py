"""Knowledge K (Lewis et al., 2020): private documents in one file, added, changed and deleted while it is searched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.labels import OWNER, Labels
from thoughtgraph.retrieval import catalogue, filing, upkeep
from thoughtgraph.retrieval.catalogue import Entry
from thoughtgraph.retrieval.chunks import chunks
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import Embedder, Identity, waited
from thoughtgraph.retrieval.filing import Work
from thoughtgraph.retrieval.index import Index
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.retrieval.vectoring import Bare, Vectoring, agreed
from thoughtgraph.thought import Json, Passage, clean

T = TypeVar("T")

BATCH = 256
"""Documents are committed together until they have so many passages."""

FILES = "files and folders are read by tg.index(knowledge, path)"


@dataclass(frozen=True, slots=True)
class Added:
    """How many documents were new, changed, and as they stood; `passages` are those that were written."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    passages: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(
            self.new + other.new,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.passages + other.passages,
        )


class Knowledge:
    """Documents in one SQLite file, cut into passages of at most `size` tokens, with labels, words and vectors.

    The file is made for its owner's eyes only. Threads may share a knowledge, and processes the file: everybody sees
    what was committed, and each document is there as a whole or not at all, whatever is killed. A file that cannot be
    used is a `StoreError` when it is opened, and stays as it is.

    With an `embedder` passages get vectors, but for those whose labels forbid them to its name: these are found by
    their words alone. The embedder belongs to the file from then on: with another one, or none, nothing is added.

    What a search may see depends on who asks: `knowledge.reader("ada")` is a retriever for `Retrieve`, and the
    knowledge itself one for its owner. All other methods are the owner's, and see every document.
    """

    def __init__(self, path: str | os.PathLike[str], embedder: Embedder | None = None, *, size: int = 200) -> None:
        at_least(1, size=size)
        self.index, self.embedder, self.size = Index(path), embedder, size
        try:
            self._vectoring = Vectoring(self.index, embedder)
        except TaskError:
            self.index.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self.index.path

    @property
    def uid(self) -> str:
        """The file's own id: `Passage.base` of all that stands in it."""
        return self.index.uid

    def reader(
        self,
        principal: str | Iterable[str] = OWNER,
        *,
        models: str | Iterable[str] = (),
        where: Mapping[str, Json] | None = None,
    ) -> Reader:
        """The knowledge as `principal` (a name, groups) may see it in a run with these `models`, see `Reader`."""
        return Reader(self, principal, models, where)  # pyright: ignore[reportArgumentType] -- it makes tuples of them

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """The `k` passages that fit best, of those that the owner may see."""
        return await self.reader()(query, k)

    def retriever(self, reader: Reader) -> Retriever:
        """By words and by meaning, or by words alone where the file has no vectors or no embedder was given."""
        from thoughtgraph.retrieval.bm25 import BM25
        from thoughtgraph.retrieval.hybrid import Hybrid
        from thoughtgraph.retrieval.vectors import Dense

        if not self._vectoring.searchable:
            return BM25(reader)
        # Meaning counts twice: chosen on one half of the questions of benchmarks/paraphrases.py, told for the other.
        return Hybrid((BM25(reader), Dense(reader)), weights=(1, 2), k=20)

    # -- what is in it ---------------------------------------------------------------------------------------------

    def documents(self) -> list[Entry]:
        """Every document, in the order in which they came."""
        return catalogue.everything(self.index)

    def passages(self, name: str) -> list[Passage]:
        """Every passage of a document, in its order; none if there is no such document."""
        return catalogue.passages_of(self.index, name)

    # -- adding and changing ---------------------------------------------------------------------------------------

    def add(
        self,
        documents: Document | str | Iterable[Document],
        *,
        name: str = "",
        labels: Labels | None = None,
        meta: Mapping[str, Json] | None = None,
    ) -> Added:
        """Add documents, or a text under a `name`; a document of a name that is there is changed into the new one.

        What is unchanged costs nothing, in a changed document too: its passages keep their rows and their vectors.
        `labels` hold for all of them; without, a document keeps what it has, and a new one is for its owner alone.
        `meta` is added to that of each document. Documents are committed a few at a time, each as a whole: where it
        raises, those before are in the file.
        """
        return _settled(self.aadd(documents, name=name, labels=labels, meta=meta))

    async def aadd(
        self,
        documents: Document | str | Iterable[Document],
        *,
        name: str = "",
        labels: Labels | None = None,
        meta: Mapping[str, Json] | None = None,
    ) -> Added:
        """The same, without keeping the event loop waiting."""
        told, works, waiting = Added(), list[Work](), 0
        for document in _given(documents, name, meta):
            work = await asyncio.to_thread(self._work, document, labels)
            if work is None:
                told += Added(unchanged=1)
                continue
            works.append(work)
            waiting += len(work.chunks) + 1
            if waiting >= BATCH:
                told += await self._file(works)
                works, waiting = [], 0
        return told + await self._file(works)

    def delete(self, name: str) -> bool:
        """Take a document out, with its passages, words and vectors; False if there is none of that name.

        What it said may still stand in the file in places that nothing points to, until `scrub`.
        """
        with self.index.writing() as db:
            found = filing.standing(db, name)
            if found:
                filing.drop(db, found.id)
                filing.risen(db, rewritten=True)
        return found is not None

    def relabel(self, name: str, labels: Labels) -> bool:
        """Say anew what may be done with a document; False if there is none of that name.

        It holds from the next search on. Where the embedder may see now what it could not before, `embed` follows.
        """
        with self.index.writing() as db:
            found = filing.standing(db, name)
            if found and found.labels != labels:
                label = filing.labelled(db, labels)
                db.execute("UPDATE documents SET label = ? WHERE id = ?", (label, found.id))
                filing.risen(db, rewritten=True)
        return found is not None

    def embed(self) -> int:
        """Give vectors to all passages that have none and whose labels let the embedder see them: how many.

        A file that was made without an embedder is searched by words alone until this has come to its end; where it
        was stopped, it goes on from there.
        """
        return _settled(self.aembed())

    async def aembed(self) -> int:
        """The same, without keeping the event loop waiting."""
        return await self._vectoring.fill()

    async def identity(self) -> Identity:
        """Who embeds queries; `TaskError` if no embedder was given, or not the one whose vectors all passages have."""
        return await self._vectoring.asked()

    def scrub(self) -> None:
        """Leave no byte of what was deleted in the file, nor in SQLite's files beside it: all of it is written anew.

        `StoreError` where another process is in the middle of reading what was before: let it end, and scrub again.
        """
        upkeep.scrub(self.index)

    def check(self) -> list[str]:
        """What is wrong with the file, all of it read: nothing, if all is well."""
        return upkeep.check(self.index)

    def close(self) -> None:
        """Let go of the file."""
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- within ----------------------------------------------------------------------------------------------------

    def _work(self, document: Document, labels: Labels | None) -> Work | None:
        """What is to be done for a document; None if nothing. One whose text is the same is not cut anew."""
        with self.index.reading() as db:
            old = filing.standing(db, document.name)
            if old and old.same(document, labels):
                return None
            same = old and old.version == document.version
            cut = filing.chunks_of(db, old.id) if old and same else chunks(document, self.size)
        return Work(document, [replace(chunk, section=clean(chunk.section)) for chunk in cut], labels)

    async def _file(self, works: Sequence[Work]) -> Added:
        """Commit documents together. Where passages lack vectors nothing is, until these have been paid for."""
        who = await self._vectoring.who() if works and self.embedder else None
        while works:
            try:
                return await asyncio.to_thread(self._commit, works, who)
            except Bare as lacking:
                await self._vectoring.ahead(lacking.passages)
        return Added()

    def _commit(self, works: Sequence[Work], who: Identity | None) -> Added:
        with self.index.writing() as db:
            agreed(db, who)
            before = filing.newest(db)
            outcomes = [filing.put(db, work) for work in works]
            if who:
                self._vectoring.take(db, works, who)
            filing.indexed(db, before)
            if set(outcomes) != {"unchanged"}:
                filing.risen(db, rewritten="changed" in outcomes)
            written = filing.newest(db) - before
        return Added(outcomes.count("new"), outcomes.count("changed"), outcomes.count("unchanged"), written)


def _given(
    documents: Document | str | Iterable[Document], name: str, meta: Mapping[str, Json] | None
) -> Iterator[Document]:
    """The documents that are meant, one after the other."""
    if isinstance(documents, str):
        if not name:
            raise TaskError(f"the text {documents!r:.80} has no name: give it one, as in add(text, name=...); {FILES}")
        documents = Document(name, documents)
    elif isinstance(documents, bytes) or not isinstance(documents, Iterable | Document):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"{documents!r:.80} was to be added: expected a Document, many, or a text with name=; {FILES}")
    elif name:
        raise TaskError(f"the name {name!r:.80} was given with documents, which have their own: it names a text")
    for document in [documents] if isinstance(documents, Document) else documents:
        if not isinstance(document, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TaskError(f"{document!r:.80} was to be added: expected a Document, or a text with name=; {FILES}")
        yield replace(document, meta={**document.meta, **meta}) if meta else document


def _settled(work: Coroutine[Any, Any, T]) -> T:
    """The result of async work: here, or in a thread where an event loop is running already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return waited(work)
