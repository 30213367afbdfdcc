"""Features of texts: what anybody could fake (length, digits, layout), how they are built, and what words betray."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log1p

from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.learning.numbers import LONGEST, WORDS, quantities

Row = Sequence[float | None]

_WORD = re.compile(r"[A-Za-z][A-Za-z'\u2019]*")
_MARKDOWN = re.compile(r"^[ \t]*(?:[-*+\u2022]\s|#{1,6}\s|\d{1,3}[.)]\s|>|\|)|\*\*|__|`", re.MULTILINE)
_DIGIT, _CAPITAL = re.compile(r"[0-9]"), re.compile(r"[A-Z]")
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\d))+[.!?]?")


# -- surface -----------------------------------------------------------------------------------------------------


def _length(example: Example) -> Row:
    text = example.response.text
    return log1p(len(words(text))), log1p(len(text)), log1p(text.count("\n"))


def _layout(example: Example) -> Row:
    text = example.response.text[:LONGEST]
    size = max(len(text), 1)
    odd = len(text) - len(text.encode("ascii", "ignore"))
    digits, capitals = len(_DIGIT.findall(text)), len(_CAPITAL.findall(text))
    return log1p(len(_MARKDOWN.findall(text))), digits / size, capitals / size, odd / size


# -- structure ---------------------------------------------------------------------------------------------------


def _steps(example: Example) -> Row:
    steps = example.response.steps or tuple(filter(None, map(str.strip, example.response.text.splitlines())))
    sizes = [len(words(step)) for step in steps]
    if not steps:
        return 0.0, None, None
    return log1p(len(steps)), log1p(sum(sizes) / len(sizes)), log1p(sizes[-1])


# -- content -----------------------------------------------------------------------------------------------------

HEDGES = (
    r"\bassum\w*|\bperhaps\b|\bmaybe\b|\bmight\b|\bprobabl[ey]\b|\bunclear\b|\bnot sure\b|\bestimat\w*|"
    r"\bapproximate\w*|\babout\b|\broughly\b|\bseems?\b|\bappears?\b"
)
REFUSALS = (
    r"\bsorry\b|\bapologi[sz]e\b|\bcannot\b|\bcan't\b|\bunable\b|\bnot possible\b|\bimpossible\b|\bnot enough\b|"
    r"\bnot provided\b|\bneed more\b|\bmore information\b"
)
TURNS = (
    r"\bwait\b|\bactually\b|\bhowever\b|\bbut\b|\bmistake\b|\bwrong\b|\bincorrect\b|\bcorrect(?:ed|ion)\b|\bhold on\b|"
    r"\boops\b|\bdouble-?check\b|\bre-?calculat\w*|\binstead\b"
)
ENDS = r"\btherefore\b|\bso,|\bthus\b|\bhence\b|\bin total\b|\bthe answer\b|\bfinal answer\b|\bin conclusion\b"
_SAID = tuple(re.compile(pattern) for pattern in (HEDGES, REFUSALS, TURNS, ENDS))


def _tone(example: Example) -> Row:
    text = example.response.text[:LONGEST].casefold()
    return *(log1p(len(pattern.findall(text))) for pattern in _SAID), log1p(text.count("?"))


def _ending(example: Example) -> Row:
    text = example.response.text.rstrip()
    last = sentences(text)[-1] if sentences(text) else ""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    repeated = 1 - len(set(said)) / len(said) if said else 0.0
    whole = bool(re.search(r"[.!?)\]}\"'\u201d*$%\d]\Z", text))
    asks = bool(re.search(r"\?\W*\Z|\blet (?:me|us) know\b|\bnext step\b", text[-200:], re.IGNORECASE))
    return float(whole), float(asks), repeated, log1p(len(words(last))), float(any(c.isdigit() for c in last))


def _about(example: Example) -> Row:
    """How much of the question's words come up again; of those of its last sentence, which says what is asked."""
    asked, said = content_words(example.question), content_words(example.response.text)
    wish = content_words(asking(example.question))
    closing = content_words(" ".join(sentences(example.response.text)[-2:]))
    return _share(asked, said), _share(said, asked), _share(wish, closing), _share(wish, said)


def _question(example: Example) -> Row:
    """What makes a question hard: the same for all responses to it, so it moves probabilities and no ranking in it."""
    text = example.question
    found = quantities(text)
    largest = max(map(abs, found), default=0.0)
    parts = len(re.findall(r"%|\bpercent|\bhalf\b|\bthird\b|\bquarter\b|\d/\d|\btwice\b|\btimes\b", text.casefold()))
    return log1p(len(words(text))), log1p(len(found)), log1p(largest), log1p(parts), log1p(len(sentences(text)))


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in small letters."""
    return tuple(_WORD.findall(text[:LONGEST].casefold()))


@lru_cache(maxsize=4096)
def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning, roughly: of four letters or more, without number words, a plural's s cut off."""
    return frozenset(word.rstrip("s") for word in words(text) if len(word) > 3 and word not in WORDS)


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text; a line's end is one, and a decimal point is none."""
    return tuple(found[0].strip() for found in _SENTENCE.finditer(text[:LONGEST]) if found[0].strip())


def asking(question: str) -> str:
    """The last sentence of a question that asks, or its last one."""
    told = sentences(question)
    return next((one for one in reversed(told) if one.endswith("?")), told[-1] if told else "")


def _share(of: frozenset[str], among: frozenset[str]) -> float | None:
    return len(of & among) / len(of) if of else None


def repeats(text: str) -> float:
    """The share of three-word runs that came before: a text that goes round in circles."""
    said = words(text)
    runs = Counter(zip(said, said[1:], said[2:], strict=False))
    return 1 - len(runs) / max(sum(runs.values()), 1)


def _circles(example: Example) -> Row:
    return (repeats(example.response.text),)


LENGTH = Feature("length", ("words", "characters", "lines"), Each(_length), "surface")
LAYOUT = Feature("layout", ("markdown", "digits", "capitals", "not_ascii"), Each(_layout), "surface")
STEPS = Feature("steps", ("count", "words", "last_words"), Each(_steps), "structure")
TONE = Feature("tone", ("hedges", "refusals", "turns", "ends", "questions"), Each(_tone), "content")
ENDING = Feature("ending", ("whole", "asks", "repeated", "words", "digits"), Each(_ending), "content")
ABOUT = Feature("about", ("recalled", "on_topic", "wish_closing", "wish"), Each(_about), "content")
CIRCLES = Feature("circles", ("repeats",), Each(_circles), "content")
QUESTION = Feature("question", ("words", "numbers", "largest", "parts", "sentences"), Each(_question), "content")
