"""The files of a folder, in the order of their names, and what of it is left alone, with the reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thoughtgraph.retrieval.documents import normal
from thoughtgraph.retrieval.reading import why

LEFT = {"CVS", "_darcs", "__pycache__", "node_modules"}
"""Folders that hold what programs keep there, besides those whose names begin with a dot."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be read, or what is not: `skipped` or `failed` says why. `name` is the document's to be."""

    path: Path
    name: str
    skipped: str = ""
    failed: str = ""


def walked(given: str | os.PathLike[str]) -> Iterator[Found]:
    """A file, or all files of a folder and the folders in it, named from the folder on, as in notes/2024/may.md.

    What is hidden is left alone, and no link is followed, but for the one that is given: what a link within the
    folder leads to is found under its own name, what leads outside was not meant, and circles have no end.
    """
    top = Path(os.path.realpath(given))
    if not os.path.lexists(top):
        yield Found(top, _named(top, top), failed="it is not there: expected a file or a folder")
    elif not top.is_dir():
        yield Found(top, _named(top, top))
    else:
        yield from _folder(top)


def _folder(top: Path) -> Iterator[Found]:
    todo = [top]
    while todo:
        path = todo.pop()
        name = _named(path, top)
        try:
            mode = path.lstat().st_mode
            if path != top and (reason := _left(path, top, mode)):
                yield Found(path, name, skipped=reason)
            elif stat.S_ISDIR(mode):
                todo += sorted(path.iterdir(), key=lambda one: one.name, reverse=True)
            else:
                yield Found(path, name)
        except OSError as error:
            yield Found(path, name, failed=why(error))


def _left(path: Path, top: Path, mode: int) -> str:
    if path.name.startswith("."):
        return "it is hidden"
    if stat.S_ISDIR(mode) and path.name in LEFT:
        return "programs keep their own files there"
    if stat.S_ISLNK(mode):
        return _leads(path, top)
    return ""


def _leads(link: Path, top: Path) -> str:
    """Where a link leads, which is why it is not followed."""
    there = Path(os.path.realpath(link))
    if there in (top, link) or there in link.parents:
        return "it is a link in a circle"
    if not there.exists():
        return "it is a link to nothing"
    if there.is_relative_to(top):
        return f"it is a link to {_named(there, top)}, which stands for itself"
    return f"it is a link to {normal(str(there))!r}, outside of the folder: index that by its own name"


def _named(path: Path, top: Path) -> str:
    return normal(path.relative_to(top.parent).as_posix()).replace("\n", "\ufffd")
