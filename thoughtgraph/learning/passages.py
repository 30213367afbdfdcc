"""Features of thoughts made with passages (RATP, Pouplin et al., 2024): how far notes have come, what a passage adds.

They go by words alone, so an estimator that is trained on one library serves another. A note that comes nearer to the
answer settles words of the question, names what the question and the notes before do not name, and goes on from what
they named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import log1p
from typing import Any, NamedTuple, cast

from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.thought import Json

Row = Sequence[float | None]

_WORD = re.compile(r"\w+")
ASKING = frozenset(
    _WORD.findall(
        "which what where when who whom whose why how does did was were are is the and for that with a an in on at of "
        "to by from as it he she they his her their"
    )
)
"""Words that ask or join, and that nothing is found by."""

_NUMBER = re.compile(r"\b(?:how (?:many|much|old|long|far)|when|what year|which year)\b", re.IGNORECASE)


class Words(NamedTuple):
    """What a text says: the beginnings of its words, its names and its numbers."""

    stems: frozenset[str]
    names: frozenset[str]
    digits: frozenset[str]


@lru_cache(maxsize=8192)
def words(text: str) -> Words:
    """The words of a text that carry something; a name is one with a capital that does not open a sentence.

    The first word of a sentence counts as a name where it is no word that asks or joins.
    """
    found = [word for word in _WORD.findall(text) if word.casefold() not in ASKING]
    names = frozenset(word.casefold() for word in found if word[:1].isupper())
    stems = frozenset(word.casefold()[:6] for word in found if len(word) > 3 or word.casefold() in names)
    return Words(stems, names, frozenset(word for word in found if word.isdigit()))


def progress(example: Example) -> Row:
    """How far the notes have come, and what the newest one did for it; nothing where there is no note."""
    steps = example.response.steps
    if not steps:
        return (None,) * len(PROGRESS.columns)
    asked, told, newest = words(example.question), [words(step) for step in steps], words(steps[-1])
    before = frozenset[str]().union(*(one.stems for one in told[:-1]))
    named = asked.names.union(*(one.names for one in told[:-1]))
    left, all_left = asked.stems - newest.stems, asked.stems - before - newest.stems
    least = min((len(asked.stems - one.stems) for one in told[:-1]), default=len(asked.stems))
    size = max(len(asked.stems), 1)
    return (
        float(len(left)), 1 - len(left) / size, 1 - len(all_left) / size, float(not left), float(least - len(left)),
        log1p(len(newest.names - named)), float(bool(newest.names & named)), _share(asked.names, newest.names),
        float(bool(newest.names - named or newest.digits - asked.digits)), _fits(example.question, newest),
    )  # fmt: skip


def effort(example: Example) -> Row:
    """How many notes there are, on how many passages they rest, and how long the newest one is."""
    steps = example.response.steps
    rests = {id for content in example.response.contents for id in _sources(content)}
    repeated = float(len(steps) - len({step.casefold() for step in steps}))
    return float(len(steps)), float(len(rests)), repeated, log1p(len(_WORD.findall(steps[-1]))) if steps else None


def relevance(example: Example) -> Row:
    """What a passage, the text of the response, holds of what is looked for, the question.

    Whether its names stand whole, one word behind the other; how many of its names and of its words are there; how
    many words of the query stand in a sentence that holds a whole name; and how much else the passage says.
    """
    asked, held = words(example.question), words(example.response.text)
    pairs = _pairs(example.question)
    near = [words(one) for one in re.split(r"[.!?]\s", example.response.text) if pairs & _pairs(one)]
    wanted = asked.stems - {name[:6] for name in asked.names}
    return (
        float(len(pairs & _pairs(example.response.text))), _share(asked.names, held.names),
        _share(asked.stems, held.stems), max((_share(wanted, one.stems) for one in near), default=0.0),
        log1p(len(held.names - asked.names)), log1p(len(held.stems)),
    )  # fmt: skip


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    """Names of more than a word, two words at a time."""
    found = _WORD.findall(text)
    return frozenset(
        (a.casefold(), b.casefold())
        for a, b in pairwise(found)
        if a.casefold() not in ASKING and not a.islower() and not b.islower()
    )


def _share(wanted: frozenset[str] | set[str], there: frozenset[str]) -> float:
    return len(wanted & there) / len(wanted) if wanted else 0.0


def _fits(question: str, newest: Words) -> float | None:
    """Whether a note holds a number where one is asked for; None for other questions."""
    return float(bool(newest.digits)) if _NUMBER.search(question) else None


def _sources(content: Json) -> list[str]:
    told: Any = cast("dict[str, Json]", content).get("sources") if isinstance(content, dict) else None
    return [id for id in cast("list[Any]", told) if isinstance(id, str)] if isinstance(told, list) else []


PROGRESS = Feature(
    "note_progress",
    ("left", "held", "held_by_all", "whole", "gain", "new_names", "follows", "names", "says_new", "fits"),
    Each(progress),
    "content",
)
EFFORT = Feature("note_effort", ("notes", "passages", "repeated", "length"), Each(effort), "search")
RELEVANCE = Feature(
    "passage_relevance",
    ("whole_names", "names", "words", "near", "other_names", "length"),
    Each(relevance),
    "content",
)
NOTES: Sequence[Feature] = (PROGRESS, EFFORT)
"""Of notes, for the estimator that takes the self-critic's place: `train_critic(rows, features=passages.NOTES)`."""

PASSAGES: Sequence[Feature] = (RELEVANCE,)
"""Of a passage and what is looked for, for an estimator that ranks passages before anybody pays for reading them."""
