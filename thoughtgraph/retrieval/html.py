"""HTML as text with sections: what a person would read of a page, and nothing that only a browser does."""

from __future__ import annotations

from dataclasses import replace

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.documents import Kind, normal
from thoughtgraph.retrieval.outline import Mark, Parsed, outlined, titled

UNSEEN = {"script", "style", "template", "noscript", "title", "svg", "object", "iframe", "select", "textarea"}
HEADINGS = {f"h{level}": level for level in range(1, 7)}
LAID = ["table", *HEADINGS]
CELLS = {"td", "th"}
KINDS: dict[str, Kind] = {"pre": "code", "table": "table", "ul": "list", "ol": "list", "dl": "list"}
APART = {
    *("address", "article", "aside", "blockquote", "body", "caption", "details", "div", "dl", "fieldset", "figure"),
    *("footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul", *HEADINGS),
}
"""Blocks with a blank line around them."""

BELOW = {"br", "dd", "dt", "figcaption", "legend", "li", "option", "summary", "tr"}
"""Blocks that begin a line."""


def read_html(text: str) -> Parsed:
    """A page's text: a section for each heading, a line for each row of a table, with "|" between its cells."""
    try:
        from bs4 import BeautifulSoup
        from bs4.element import NavigableString, Tag
    except ImportError:
        raise TaskError('HTML is read by beautifulsoup4: pip install "thoughtgraph[documents]"') from None
    soup, page, within = BeautifulSoup(text, "html.parser"), _Page(), list[Tag]()
    for node in soup.descendants:  # with no recursion: a page may nest deeper than Python does
        while within and node.parent is not within[-1]:
            page.leave(within.pop().name)
        if isinstance(node, Tag):
            page.enter(node.name, layout=node.name == "table" and node.find(LAID) is not None)
            within.append(node)
        elif type(node) is NavigableString:  # its subclasses are comments, scripts, declarations
            page.write(normal(str(node)))
    while within:
        page.leave(within.pop().name)
    return page.parsed(titled(normal(soup.title.get_text())) if soup.title else "")


class _Page:
    """The text as far as it is written, and what is open around it."""

    def __init__(self) -> None:
        self.parts, self.length, self.marks = list[str](), 0, list[Mark]()
        self.gap, self.space, self.prefix = 0, False, ""  # what is due before the next word
        self.kinds, self.marked = list[Kind](["prose"]), False
        self.unseen, self.rows, self.cells, self.within = 0, list[bool](), 0, 0
        self.level, self.head = 0, 0

    def enter(self, name: str, *, layout: bool) -> None:
        """An element begins. A table that is there for the layout, with headings in it, is none."""
        self._apart(name)
        self.unseen += name in UNSEEN
        if name in KINDS:
            self.kinds.append("prose" if layout else KINDS[name])
            self.marked = False
        if name == "table":
            self.rows.append(not layout)
        elif name == "tr":
            self.prefix, self.cells = "", 0
        elif name in CELLS and self.rows and self.rows[-1]:
            self.prefix += " | " if self.cells else ""
            self.cells, self.within = self.cells + 1, self.within + 1
        elif name == "li":
            self.prefix = "- "
        elif name in HEADINGS:
            self.level, self.head = HEADINGS[name], 0

    def leave(self, name: str) -> None:
        """An element ends."""
        self.unseen -= name in UNSEEN
        if name in KINDS:
            self.kinds.pop()
            self.marked = False
        if name == "table":
            self.rows.pop()
        elif name in CELLS and self.rows and self.rows[-1]:
            self.within -= 1
        elif name in HEADINGS:
            self._headed()
        self._apart(name)

    def write(self, text: str) -> None:
        """Words, with white space as a browser shows it."""
        if self.unseen or not text:
            return
        if self.kinds[-1] == "code":
            self._put(text)
            return
        words = " ".join(text.split())
        self.space |= text[0].isspace()
        if words:
            self._put(words)
        self.space |= text[-1].isspace()

    def parsed(self, title: str) -> Parsed:
        """All of it."""
        text = "".join(self.parts)
        first = next((mark.title for mark in self.marks if mark.level), "")
        return Parsed(text, outlined(self.marks, len(text)), title or first)

    def _apart(self, name: str) -> None:
        due = 2 if name in APART else 1 if name in BELOW else 0
        if self.within:
            self.space |= due > 0
        else:
            self.gap = max(self.gap, min(due, 1) if self.kinds[-1] == "list" else due)

    def _put(self, text: str) -> None:
        due = "\n" * self.gap if self.parts and self.gap else ""
        self._add(due or (" " if self.space and self.parts and not self.prefix else ""))
        if self.level and not self.head:
            self.marks.append(Mark(self.length, self.kinds[-1], self.level))
            self.head, self.marked = len(self.parts) + 1, False
        elif not (self.marked or self.level):
            self.marks.append(Mark(self.length, self.kinds[-1]))
            self.marked = True
        self._add(self.prefix)
        self._add(text)
        self.gap, self.space, self.prefix = 0, False, ""

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def _headed(self) -> None:
        if self.head:
            place = max(n for n, mark in enumerate(self.marks) if mark.level)
            self.marks[place] = replace(self.marks[place], title=titled("".join(self.parts[self.head - 1 :])))
        self.level, self.head = 0, 0
