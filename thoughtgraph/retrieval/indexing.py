"""Files and folders into knowledge: what is new or changed is filed, what is as it was costs nothing.

The way of Unix's make (Feldman, 1979) and of git's index: a file whose size and times are those that were noted is as
it was; of any other the content decides. What cannot be read is told, and the rest goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeAlias

from thoughtgraph.errors import at_least
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.apart import Apart
from thoughtgraph.retrieval.catalogue import Entry
from thoughtgraph.retrieval.documents import Document, normal
from thoughtgraph.retrieval.knowledge import Added, Knowledge
from thoughtgraph.retrieval.reading import LARGEST, Unreadable, bytes_of, document, known_encoding, read_as, why
from thoughtgraph.retrieval.vectoring import embedder_of
from thoughtgraph.retrieval.walking import Found, walked
from thoughtgraph.thought import Json

Outcome: TypeAlias = Literal["added", "changed", "unchanged", "removed", "skipped", "failed"]

READINGS = 1
"""Rises when the readers make another text of the same file, which is then read anew."""

FRESH = 2_000_000_000
"""Nanoseconds in which a file may change without its times telling (FAT has steps of two seconds)."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder, and what became of it. `name` is its document's; `reason` says why nothing did."""

    name: str
    path: str
    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.outcome} {self.name}" + (f": {' '.join(self.reason.split())}" if self.reason else "")


@dataclass(frozen=True)
class Summary:
    """What became of each item, in order, and how many passages were written."""

    items: tuple[Item, ...]
    passages: int = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many items had each outcome."""
        return Counter(item.outcome for item in self.items)

    @property
    def failed(self) -> list[Item]:
        """Those that could not be read."""
        return [item for item in self.items if item.outcome == "failed"]

    def to_json(self) -> dict[str, Json]:
        """Counts, and all items of which there is something to say."""
        told = [item for item in self.items if item.outcome not in ("added", "unchanged")]
        items = [{"name": i.name, "path": i.path, "outcome": i.outcome, "reason": i.reason} for i in told]
        return {**{outcome: self.counts[outcome] for outcome in OUTCOMES}, "passages": self.passages, "items": items}

    def __str__(self) -> str:
        counted = ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in OUTCOMES)
        passages = "1 passage" if self.passages == 1 else f"{self.passages} passages"
        told = [f"  {item}" for item in self.items if item.reason]
        return "\n".join([f"{counted}; {passages} written", *told])


OUTCOMES: tuple[Outcome, ...] = ("added", "changed", "unchanged", "removed", "skipped", "failed")

Relabel: TypeAlias = Callable[[Labels], Labels]

Progress: TypeAlias = Callable[[Item, int, int], object]
"""Called with each item when it is read, how many are done, and how many there are."""


def index(
    knowledge: Knowledge,
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: Labels | Relabel | None = None,
    encoding: str = "",
    largest: int = LARGEST,
    seconds: float = 60.0,
    remove_missing: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """File documents of `paths`, files and folders, in `knowledge`; a file's name is its path from the folder on.

    `labels` hold for all of them, or are made of those that a document has (a new one has `Labels()`); without, it
    keeps what it has. `encoding` is that of files which do not say it themselves (UTF-8), `largest` the most bytes and
    `seconds` the longest time that one may take. With `remove_missing` documents of these folders go whose files are
    gone; those of a folder in which there is no file at all stay, and it is an item that failed: a disk may not be
    mounted. What raises is the knowledge's own failure (a full disk, an embedder that does not answer): what was filed
    before stays, and the same call goes on from there.
    """
    at_least(1, largest=largest)
    if encoding:
        known_encoding(encoding)
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = [one for path in given for one in walked(path)]
    added = Added()
    _embedded(knowledge)
    with Apart(seconds) as apart:
        work = _Indexing(knowledge, labels, partial(document, encoding=encoding, apart=apart), encoding, largest)
        for told, group in groupby(work.documents(found, progress), key=lambda pair: pair[1]):
            added += knowledge.add((document for document, _ in group), labels=told)
    tops = [Path(os.path.realpath(path)) for path in given] if remove_missing else []
    return Summary((*work.items, *_missing(knowledge, tops, work.items)), added.passages)


def _embedded(knowledge: Knowledge) -> None:
    """What was filed without an embedder, or before one came to its end, gets its vectors first."""
    who, whole = embedder_of(knowledge.index)
    if knowledge.embedder and not (who and whole) and knowledge.documents():
        knowledge.embed()


async def aindex(
    knowledge: Knowledge,
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: Labels | Relabel | None = None,
    encoding: str = "",
    largest: int = LARGEST,
    seconds: float = 60.0,
    remove_missing: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """The same, without keeping the event loop waiting: it is done, and `progress` is called, in another thread."""
    return await asyncio.to_thread(
        index, knowledge, paths, labels=labels, encoding=encoding, largest=largest, seconds=seconds,
        remove_missing=remove_missing, progress=progress,
    )  # fmt: skip


class _Indexing:
    """The files one after the other, with what is known of them from before."""

    def __init__(
        self,
        knowledge: Knowledge,
        labels: Labels | Relabel | None,
        read: Callable[[str, bytes], Document],
        encoding: str,
        largest: int,
    ) -> None:
        self.labels, self.read, self.encoding, self.largest = labels, read, encoding, largest
        self.own = knowledge.path
        self.entries = {entry.name: entry for entry in knowledge.documents()}
        self.names = {path: name for name, entry in self.entries.items() if (path := path_of(entry))}
        self.taken, self.seen = dict[str, str](), set[str]()
        self.items = list[Item]()

    def documents(self, found: Sequence[Found], progress: Progress | None) -> Iterator[tuple[Document, Labels | None]]:
        """Those that are new or changed, with the labels they get; the items grow with it."""
        for one in found:
            item, new = self._tried(one)
            self.items.append(item)
            if progress:
                progress(item, len(self.items), len(found))
            if new:
                yield new, self._labels(self.entries.get(new.name))

    def _labels(self, old: Entry | None) -> Labels | None:
        return self.labels(old.labels if old else Labels()) if callable(self.labels) else self.labels

    def _tried(self, one: Found) -> tuple[Item, Document | None]:
        path = written(one.path)
        name = self.names.get(path, one.name)  # a file that is known keeps its document's name
        try:
            if one.failed:
                raise Unreadable(name, one.failed)
            if reason := one.skipped or self._spared(one.path):
                return Item(name, path, "skipped", reason), None
            self._claim(name, path)
            outcome, new = self._compared(name, one.path)
            return Item(name, path, outcome), new
        except Unreadable as error:
            kept = "; its earlier version stays" if name in self.entries and path in self.names else ""
            return Item(name, path, "failed", error.reason + kept), None

    def _spared(self, path: Path) -> str:
        if path.parent == self.own.parent and f"{path.name}-".startswith(f"{self.own.name}-"):
            return "it is the knowledge itself"
        return "it was given twice" if written(path) in self.seen else ""

    def _claim(self, name: str, path: str) -> None:
        """A name is one file's, and an earlier file's as long as that is there."""
        entry = self.entries.get(name)
        other = self.taken.get(name) or (entry and path_of(entry))
        if entry and not other:
            raise Unreadable(name, "a document of that name came from no file: forget that, or rename the file")
        if other and other != path and (name in self.taken or not gone(other)):
            raise Unreadable(name, f"{other} has that name already: index a folder that both are in, or rename one")
        self.taken[name] = path
        self.seen.add(path)

    def _compared(self, name: str, path: Path) -> tuple[Outcome, Document | None]:
        """The document, if it is another than before: its times, then its bytes, then its text decide."""
        old = self.entries.get(name)
        same = old if old and self._labels(old) in (None, old.labels) else None
        stamp = stamped(path)
        if same and stamp and same.meta.get("stamp") == stamp:
            return "unchanged", None
        data = bytes_of(path, self.largest)
        digest = digested(name, self.encoding, data)
        if same and same.meta.get("digest") == digest:
            return "unchanged", None
        new = replace(self.read(name, data), meta={"path": written(path), "stamp": stamp, "digest": digest})
        if not old:
            return "added", new
        return ("unchanged" if same and old.version == new.version else "changed"), new


def stamped(path: Path) -> list[int] | None:
    """By what a file is known to be as it was without reading it; None where it changed a moment ago, and may again."""
    try:
        found = path.stat()
    except OSError as error:
        raise Unreadable(path, why(error)) from None
    recent = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < FRESH
    return None if recent else [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def digested(name: str, encoding: str, data: bytes) -> str:
    """A digest of a file's bytes and of how they are read."""
    how = repr((READINGS, read_as(name), encoding)).encode()
    return hashlib.blake2b(data, digest_size=16, person=hashlib.blake2b(how, digest_size=16).digest()).hexdigest()


def written(path: Path) -> str:
    """A path as it is kept: names on a disk may hold bytes that are no text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def path_of(entry: Entry) -> str:
    """The file that a document came from; "" for what came otherwise."""
    path = entry.meta.get("path")
    return path if isinstance(path, str) and "digest" in entry.meta else ""


def gone(path: str) -> bool:
    """Whether there is no such file, a folder in its place at most. Where that cannot be known, it is there."""
    try:
        return stat.S_ISDIR(Path(path).lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False


def _missing(knowledge: Knowledge, tops: Sequence[Path], seen: Sequence[Item]) -> Iterator[Item]:
    """Documents of files in these folders that are there no more, each deleted. A folder that is gone tells nothing."""
    found = {item.path for item in seen}
    folders = [Path(written(top)) for top in tops if top.is_dir()]
    empty = [top for top in folders if not any(map(_within([top]), found))]
    inside, unsure = _within(folders), _within(empty)
    entries = [(entry, path) for entry in knowledge.documents() if (path := path_of(entry)) and inside(path)]
    for top in empty:
        if stay := sum(map(_within([top]), (path for _, path in entries))):
            reason = f"there is no file in it, so that none of its documents is removed ({stay}): is it mounted?"
            yield Item(normal(top.name), str(top), "failed", reason)
    for entry, path in entries:
        if not unsure(path) and path not in found and gone(path) and knowledge.delete(entry.name):
            yield Item(entry.name, path, "removed", "its file is gone")


def _within(folders: Sequence[Path]) -> Callable[[str], bool]:
    """Whether a path is in one of these."""
    return lambda path: any(Path(path).is_relative_to(top) for top in folders)
