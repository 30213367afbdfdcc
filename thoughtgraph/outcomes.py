"""What a draw came to: usable, or empty, refused, truncated, unparsable. Never a score of 0, never an exception."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from thoughtgraph.errors import Unparsable
from thoughtgraph.model import Outcome, Reply
from thoughtgraph.replies import spoken

T = TypeVar("T")

FAILURES = frozenset({"empty", "refused", "truncated", "unparsable", "failed"})
"""What a draw can come to that brings nothing."""

_OPENING = (
    r"\W*(?:(?:i['\u2019]?m (?:really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately)?[,.]?\W*(?:but )?)"
    r"(?:i|we) (?:must decline"
    r"|(?:can(?:no|['\u2019])?t|am (?:not able|unable) to|will not|won['\u2019]?t(?: be able to)?) "
    r"(?:\w+ly )?(?:help|assist|comply|fulfil|discuss|engage|participate|accommodate|support|do|provide|create|generate"
    r"|write|answer|continue|share|produce))"
)
_DECLINES = re.compile(_OPENING, re.IGNORECASE)
_NOTHING_ELSE = re.compile(
    _OPENING + r"(?: you)?(?: (?:with|in|to))?(?: (?:that|this|it|such|your|the request)\b[^.!,;:\n]{0,80})?[.!]?"
    r"(?:\s+(?:is there|let me know|please|feel free|if you|but feel)\b[^\n]{0,100})?\W*",
    re.IGNORECASE,
)


def judge(reply: Reply, parse: Callable[[str], T]) -> tuple[Outcome, T | None]:
    """What a draw came to, and what the parser made of it where that is "ok"."""
    if reply.finish in ("content_filter", "refusal"):
        return "refused", None
    if cut(reply):
        return "truncated", None
    if not reply.text.strip():
        return "empty", None
    try:
        value = parse(reply.text)
    except Unparsable:
        return ("refused" if declines(reply.text) else "unparsable"), None
    told = type(value) in (str, list)  # words, and no verdict
    return ("refused", None) if told and declines(reply.text, wholly=True) else ("ok", value)


def cut(reply: Reply) -> bool:
    """Whether a reply ends where its tokens did."""
    return reply.finish in ("length", "max_tokens")


def declines(text: str, *, wholly: bool = False) -> bool:
    """Whether a short reply begins by declining to answer; `wholly`: and says nothing else.

    "We can't reach 24. impossible" is a judgement, "I can't help but notice" a figure of speech, and neither declines.
    """
    try:
        said = spoken(text)
    except Unparsable:
        return False
    return len(said) < 200 and bool(_NOTHING_ELSE.fullmatch(said) if wholly else _DECLINES.match(said))
