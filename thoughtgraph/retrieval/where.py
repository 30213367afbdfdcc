"""Metadata filters, answered before anything is scored: what is filtered afterwards loses most of what it looks for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.index import KNOWLEDGE, Index, Row
from thoughtgraph.thought import Json, as_json

DOCUMENTS = """
SELECT id, name, kind, meta FROM documents WHERE label IN (SELECT value FROM json_each(?)) ORDER BY id
"""
PASSAGES = """
SELECT p.id, p.section FROM json_each(?) d CROSS JOIN passages p ON p.document = d.value
"""


@dataclass(frozen=True, slots=True)
class Where:
    """All of these must hold: for each name a value, or a list of which one is enough.

    "document" is the document's name, or a folder of them that ends in "/"; "kind" its kind; "section" the headings
    that a passage stands under, the outermost first ("Results" or "Results / Table 2"). Any other name is looked up
    in the document's metadata, where a list has a value that it holds. What has no such name does not fit.
    """

    wanted: Mapping[str, Json]

    def ids(self, index: Index, labels: Sequence[int]) -> list[int]:
        """The row ids of the passages that fit, in documents that bear one of `labels`: no others are looked at."""
        rows = index.read(DOCUMENTS, (json.dumps(list(labels)),))
        with KNOWLEDGE.speaking(index.path):
            fitting = [row[0] for row in rows if self._fits(row)]
        passages = index.read(PASSAGES, (json.dumps(fitting),))
        return [id for id, section in passages if self._stands(section)]

    def _fits(self, row: Row) -> bool:
        _, document, kind, meta = row
        known = {**json.loads(meta), "document": document, "kind": kind}
        asked = {name: value for name, value in self.wanted.items() if name != "section"}
        return all(name in known and _meets(name, known[name], value) for name, value in asked.items())

    def _stands(self, section: str) -> bool:
        if "section" not in self.wanted:
            return True
        return any(f"{section} / ".startswith(f"{path} / ") for path in _each(self.wanted["section"]))


def checked(where: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """A filter that can be used, as plain JSON data; None for none. `TaskError` says what is wrong with it."""
    if where is None:
        return None
    if not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"where is {where!r:.80}: expected names with values, as in {{'year': 2024}}")
    return cast("dict[str, Json]", as_json(dict(where), "where")) or None


def _meets(name: str, found: Json, wanted: Json) -> bool:
    if name == "document":
        return any(found == one or (str(one).endswith("/") and found.startswith(one)) for one in _each(wanted))
    return any(_same(one, other) for one in _each(found) for other in _each(wanted))


def _same(one: Json, other: Json) -> bool:
    """Equal as JSON: 1 is 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _each(value: Json) -> Iterator[Json]:
    yield from cast("list[Json]", value) if isinstance(value, list) else [value]
