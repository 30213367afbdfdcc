"""Reading replies: models wrap what was asked in thinking, fences, lists and bold, and here it comes off again.

Everything here takes text and gives text; what it means is for the parser that stands next to a prompt.
"""

from __future__ import annotations

import json
import re
from typing import Any

from thoughtgraph.errors import Unparsable

_THINKING = r"(?:think|thinking|thought|thoughts|reasoning)"
_BLOCK = re.compile(rf"\A\s*<({_THINKING})>.*?(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_CLOSED = re.compile(rf"^[ \t]*</{_THINKING}>", re.IGNORECASE | re.MULTILINE)
_BREAK = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[\w+#.-]*[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*```+[\w+#.-]*[ \t]*\n(.*?)^[ \t]*```+[ \t]*$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(
    r"\A(?:>[ \t]*)*(?:"
    r"(?:[-*+\u2022\u2023\u25e6\u25aa\u25cf\u00b7\u2013\u2014\u2043][ \t]+(?:\[[ xX]\][ \t]+)?)"  # bullets, boxes
    r"|#{1,6}[ \t]+"
    r"|\*{0,2}\(?\d{1,3}[.)]\*{0,2}(?:[ \t]+|\Z)"  # 1. 1) (1) **1.**
    r"|\(?[a-z]\)[ \t]+"  # a) (a)
    r"|\d{1,2}\ufe0f?\u20e3[ \t]*"  # keycap emoji
    r")"
)
_BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)(.{1,300}?)(?<=\S)\*\*(?![\w*])")


def spoken(text: str) -> str:
    """What a reply says when it has done thinking: no thinking block, no control characters, newlines as newlines.

    `Unparsable` where nothing is left, as in a reply that ends while it still thinks.
    """
    text = _UNSEEN.sub("", _BREAK.sub("\n", text))
    while block := _BLOCK.match(text):
        text = text[block.end() :]
    if closed := list(_CLOSED.finditer(text)):  # some templates leave the opening tag out
        text = text[closed[-1].end() :]
    if not (text := text.strip()):
        raise Unparsable("the reply says nothing beside its thinking")
    return text


def lines(text: str) -> list[str]:
    """The lines of a text that hold something, without the marks of fences; indentation stays."""
    return [line.rstrip() for line in _FENCE.sub("", text).split("\n") if line.strip()]


def item(line: str) -> str | None:
    """What stands behind a list mark; None where there is no such mark. "-4 + 1" and "3.5" have none."""
    found = _MARK.match(line := line.strip())
    return line[found.end() :].strip() if found else None


def plain(line: str) -> str:
    """One line without list marks and bold; "2**3" stays."""
    line = line.strip()
    while (rest := item(line)) is not None:
        line = rest
    return _BOLD.sub(r"\1", line).strip()


def as_data(text: str) -> Any:
    """The JSON that a reply is, alone or in its only fence; None where it is none.

    `Unparsable` where it begins as JSON does and breaks off.
    """
    fenced = _FENCED.findall(text)
    body = (fenced[0] if len(fenced) == 1 else text).strip()
    if not body.startswith(("{", "[")):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        if re.match(r'\[\s*["{]|\{\s*"', body):
            raise Unparsable("the reply begins as JSON and is none") from None
        return None


def shortened(text: str, most: int = 300) -> str:
    """A text on one line, cut between words to at most `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 2].rsplit(" ", 1)[0] + " …"
