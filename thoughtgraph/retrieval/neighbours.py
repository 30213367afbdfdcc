"""A passage with its neighbours (windows: Callan, 1994): small pieces are found best, and read best in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.retrieval.index import arrays
from thoughtgraph.retrieval.ranking import places, reader_of
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.thought import Passage


@dataclass(frozen=True)
class Neighbours:
    """What `inner` finds, each with the `n` passages before it and after it in its document, as one passage.

    It may be shown to those who may see the document, and its offsets, id and headings say what it spans. Where two
    would share a passage they become one, in the place of the better, so no text comes twice and fewer may come than
    were asked for. What a `where` of the reader leaves out is no neighbour. Passages from elsewhere stay as they are.
    `reader` is the one that `inner` reads, where none is given.
    """

    inner: Retriever
    n: int = 1
    reader: Reader | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        at_least(0, n=self.n)
        if (self.reader or reader_of(self.inner)) is None:
            raise TaskError(
                "nothing says where neighbours are looked up: name the reader, as in Neighbours(x, reader=r)"
            )

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, in the order in which `inner` found the best of each."""
        found = await self.inner(query, k)
        return await asyncio.to_thread(self._widened, found)

    def _widened(self, found: Sequence[Passage]) -> list[Passage]:
        reader = self.reader or reader_of(self.inner)
        assert reader is not None
        visible = reader.visible()
        at = places(reader, visible, found)
        windows = [set[int]() if place is None else window(visible, place, self.n) for place in at]
        return [joined(_read(reader, visible, span)) or hit for hit, span in spans(found, windows)]


def window(visible: Visible, position: int, n: int) -> set[int]:
    """The positions of a passage and of the up to `n` on either side of it that are visible without a gap between."""
    rows, near = visible.rows, arrays().flatnonzero(visible.rows.document == visible.rows.document[position])
    at = {int(rows.place[p]): int(p) for p in near if visible.mask[p]}
    found = {position}
    for step in (-1, 1):
        place = int(rows.place[position])
        for _ in range(n):
            place += step
            if place not in at:
                break
            found.add(at[place])
    return found


def spans(hits: Sequence[Passage], windows: Sequence[set[int]]) -> list[tuple[Passage, set[int]]]:
    """Hits with their windows: those that share something are one, in the place of the first."""
    found = list[tuple[Passage, set[int]]]()
    for hit, here in zip(hits, windows, strict=True):
        shared = [old for old in found if old[1] & here]
        if not shared:
            found.append((hit, set(here)))
            continue
        shared[0][1].update(here, *(old[1] for old in shared[1:]))
        found = [old for old in found if not any(old is other for other in shared[1:])]
    return found


def joined(parts: Sequence[Passage]) -> Passage | None:
    """Passages that follow each other in a document as one; None if they do not, or there are none."""
    if not parts or any(a.end != b.start or a.version != b.version for a, b in pairwise(parts)):
        return None
    first, last, section = parts[0], parts[-1], _common([part.section for part in parts])
    return replace(
        first,
        text="".join(part.text for part in parts),
        source=f"{first.document} > {section}" if section else first.document,
        id=f"{first.document}#{first.start}-{last.end}",
        section=section,
        end=last.end,
    )


def _read(reader: Reader, visible: Visible, span: set[int]) -> list[Passage]:
    parts = reader.passages(sorted(span, key=lambda p: int(visible.rows.place[p])), visible.rows)
    return parts if len(parts) == len(span) else []


def _common(sections: Sequence[str]) -> str:
    """The headings that all stand under."""
    levels = zip(*(section.split(" / ") for section in sections), strict=False)
    return " / ".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))
