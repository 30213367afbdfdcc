"""Markdown (CommonMark, with tables) as sections: the text stays as it was written, its headings say what is where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Any

from thoughtgraph.retrieval.documents import Kind
from thoughtgraph.retrieval.outline import Mark, Parsed, outlined, titled

KINDS: dict[str, Kind] = {
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
}

FRONT = re.compile(r"---[ \t]*\n(?:[^\n]*\n){0,200}?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
"""What stands before the text for programs that publish it; to CommonMark it would be a heading."""

NAMED = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)


MARKUP = re.compile(r"[*_`<&\[\\]")


def read_markdown(text: str) -> Parsed:
    """The text as it is, with a section for each heading, and its code, tables and lists known as such."""
    front = found.end() if text.startswith("---") and (found := FRONT.match(text)) else 0
    lines = [front, *accumulate((len(line) + 1 for line in text[front:].split("\n")), initial=front)][1:]
    marks = [mark for mark in _marks(_blocks(text[front:]), lines) if mark.start < len(text)]
    named = NAMED.search(text, 0, front)
    first = next((mark.title for mark in marks if mark.level), "")
    title = titled(named[1].strip().strip("\"'")) if named else first
    return Parsed(text, outlined(marks, len(text)), title)


def _blocks(text: str) -> list[Any]:
    """The blocks alone: what is within a paragraph changes no section, and costs the most."""
    return _parser("inline").parse(text)


def _marks(tokens: list[Any], lines: list[int]) -> Iterator[Mark]:
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.map is None or token.level or token.nesting < 0:
            continue
        first: int = token.map[0]
        start = lines[first]
        if token.type == "heading_open" and following is not None:
            yield Mark(start, level=int(token.tag[1:]), title=_plain(following.content))
        elif token.type != "inline":
            yield Mark(start, KINDS.get(token.type, "prose"))


@cache
def _parser(*without: str) -> Any:
    """Costs as much to make as a page to parse."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable(without)


def _plain(heading: str) -> str:
    """A heading without its stars, backticks and links."""
    written = titled(heading)
    if not MARKUP.search(written):
        return written
    (line,) = _parser().parseInline(written)
    read = "".join(part.content for part in line.children or () if part.type in ("text", "code_inline"))
    return titled(read) or written
