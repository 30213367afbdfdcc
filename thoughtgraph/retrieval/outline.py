"""Sections from headings: what stands under what, as a table of contents has it (Document, in documents.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from thoughtgraph.retrieval.documents import Kind, Section

LONGEST = 200
"""Characters of a heading that a section is named by."""

DEEPEST = 8
"""Headings above one another that a section is named by."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader makes of a file: its text, its sections, its title if it says one."""

    text: str
    sections: tuple[Section, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something begins: a heading of this level (1 is the highest) and title, or, at level 0, a block."""

    start: int
    kind: Kind = "prose"
    level: int = 0
    title: str = ""


def outlined(marks: Sequence[Mark], length: int) -> tuple[Section, ...]:
    """The sections of a text of this length. A heading with only a lower heading below it belongs to that one."""
    found, path, start = list[Section](), list[Mark](), 0
    for mark, following in pairwise([Mark(0), *marks, Mark(length)]):
        if mark.level:
            path = [*(above for above in path if above.level < mark.level), mark]
        if start < following.start and not 0 < mark.level < following.level:
            found.append(Section(start, following.start, tuple(above.title for above in path[:DEEPEST]), mark.kind))
            start = following.start
    return tuple(_joined(found))


def titled(text: str) -> str:
    """A heading in one line, not too long to name a section by."""
    return " ".join(text[: 4 * LONGEST].split())[:LONGEST].strip()


def _joined(sections: Sequence[Section]) -> Iterator[Section]:
    for (path, kind), run in groupby(sections, key=lambda section: (section.path, section.kind)):
        held = list(run)
        yield Section(held[0].start, held[-1].end, path, kind)
