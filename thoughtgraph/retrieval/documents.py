"""A document of the knowledge K: its text as it is kept, and what stands where in it.

Retrieval-augmented generation (Lewis et al., 2020) calls K a set of passages; people have documents. What a file's
reader makes of it, whatever it was written in, is one text with its sections, and all offsets count characters of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Literal, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.thought import Json, as_json

Kind: TypeAlias = Literal["prose", "code", "table", "list"]
"""What a section is made of: where prose may be cut, code may not."""


@dataclass(frozen=True, slots=True)
class Section:
    """Characters `start` to `end` of a document, under the headings of `path`, the outermost first."""

    start: int
    end: int
    path: tuple[str, ...] = ()
    kind: Kind = "prose"


@dataclass(frozen=True)
class Document:
    """A text by its name, with what is known of it.

    `kind` says what it was written in: text, markdown, html, pdf or code. The text is kept as `normal` makes it.
    `sections` tile it, from its first character to its last; where there are none, the text is one. `meta` is JSON
    data of your own, to filter by.
    """

    name: str
    text: str
    kind: str = "text"
    title: str = ""
    meta: Mapping[str, Json] = field(default_factory=dict[str, Json])
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        for what, given in (("name", self.name), ("text", self.text)):
            if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TaskError(f"a document's {what} is {given!r:.80}: expected text; decode what are bytes first")
        if not self.name.strip() or "\n" in self.name or normal(self.name) != self.name:
            raise TaskError(f"a document is named {self.name!r:.200}: expected one line with no control characters")
        text = normal(self.text)
        if self.sections and (text != self.text or not tiled(self.sections, len(text))):
            raise TaskError(
                f"the sections of {self.name!r:.200} do not tile its text: expected them to touch, from 0 to "
                f"{len(text)}, in a text as normal() makes it"
            )
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "meta", as_json(dict(self.meta), f"the meta of {self.name!r:.200}"))

    @property
    def version(self) -> str:
        """A digest of all that its passages are made of: the same text, cut the same way, has the same."""
        told = [self.kind, self.title, [astuple(section) for section in self.sections], self.text]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def tiled(sections: Sequence[Section], length: int) -> bool:
    """Whether they touch one another and fill a text of this length."""
    edges = [0, *(section.end for section in sections)]
    starts = [section.start for section in sections]
    return starts == edges[:-1] and edges[-1] == length and all(s.start < s.end for s in sections)


NEWLINES = re.compile("\r\n?|[\f\v\x1c-\x1e\x85\u2028\u2029]")
CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")


def normal(text: str) -> str:
    """The text as it is kept: every line ends with a newline, and what is no character of a text is a "\ufffd".

    That is control characters (but tabs) and halves of character pairs: a terminal, a database and a tokenizer each
    make something else of them. Nothing else is changed; what is normal stays as it is.
    """
    return CONTROLS.sub("\ufffd", NEWLINES.sub("\n", text))
