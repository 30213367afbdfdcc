"""Splits by question, and what leaks through them (Kapoor & Narayanan, 2023): no question stands on both sides.

>>> kin({"a": "How many bolts, in total?", "b": "how many bolts in total", "c": "How many bolts in all?"})
{'a': 'a', 'b': 'a', 'c': 'c'}
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from random import Random
from typing import Any, TypeAlias
from unicodedata import normalize

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.rows import R, Row

NEAR = 0.7
"""Texts are nearly equal where they share so much of what sets them apart from all others (Jaccard)."""

TEMPLATE = (5, 0.05)
"""What stands in more questions than this, the larger of a count and a share, is their template, and tells nothing."""

_LISTED = re.compile(r"\A\W*(?:(?:question|problem|task|q)\W{0,3})?\d{1,6}[.:)]\s+")

Words: TypeAlias = tuple[str, ...]
Shingle: TypeAlias = tuple[str, str, str]


def asked(row: Row) -> str:
    """All that a row asks: its question, and its problem where that says more."""
    return row.question if row.problem is None else f"{row.question}\n{json.dumps(row.problem, sort_keys=True)}"


def normal(text: str) -> Words:
    """A text's words, numbers and signs: without case, spacing, punctuation and its own number in a list.

    None of these changes a question: "12. How many?" and "Question 7: how many" are one.
    """
    told = _LISTED.sub("", normalize("NFKC", text).casefold())
    return tuple(re.findall(r"\w+|[^\w\s.,;:!?'\"“”‘’`]", told))


def kin(questions: Mapping[str, str]) -> dict[str, str]:
    """For each id of a question the first id that asks the same: in equal words, or nearly.

    Nearly equal are questions with the same numbers in the same order that share seven tenths of their runs of three
    words, those of a template that many questions have in common left aside: "4 9 10 13" and "4 9 10 12" are two
    puzzles, however long the words around them.
    """
    first = dict[Words, str]()
    equal = {id: first.setdefault(normal(text), id) for id, text in questions.items()}
    near = _nearly({id: words for words, id in first.items()})
    return {id: near[same] for id, same in equal.items()}


def _nearly(texts: Mapping[str, Words]) -> dict[str, str]:
    """For each text the first that is nearly equal to it, or to one that is, and so on.

    Pairs are found by the rarest of what they hold (prefix filtering: Chaudhuri et al., 2006).
    """
    first = {id: id for id in texts}
    order = {id: number for number, id in enumerate(texts)}
    own, place = _own(texts), dict[tuple[Words, Shingle], list[str]]()
    for id, shingles in own.items():
        numbers = tuple(word for word in texts[id] if word.isdigit())
        keys = [(numbers, shingle) for shingle in shingles[: len(shingles) - ceil(NEAR * len(shingles)) + 1]]
        for other in {other for key in keys for other in place.get(key, ())}:
            one, two = sorted((_first(first, id), _first(first, other)), key=order.__getitem__)
            if one != two and _jaccard(shingles, own[other]) >= NEAR:
                first[two] = one
        for key in keys:
            place.setdefault(key, []).append(id)
    return {id: _first(first, id) for id in texts}


def _own(texts: Mapping[str, Words]) -> dict[str, list[Shingle]]:
    """The runs of three words of each text, without those of a template, the rarest first."""
    held = {id: set(zip(words, words[1:], words[2:], strict=False)) for id, words in texts.items()}
    count = Counter(shingle for shingles in held.values() for shingle in shingles)
    most = max(TEMPLATE[0], TEMPLATE[1] * len(texts))
    told = {id: [shingle for shingle in shingles if count[shingle] <= most] for id, shingles in held.items()}
    return {id: sorted(shingles, key=lambda shingle: (count[shingle], shingle)) for id, shingles in told.items()}


def _first(first: dict[str, str], id: str) -> str:
    """The first of the group that a text is in; the way there is halved for whoever comes next."""
    while first[id] != id:
        first[id] = id = first[first[id]]
    return id


def _jaccard(a: Sequence[Shingle], b: Sequence[Shingle]) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b))


def groups(rows: Iterable[Row]) -> dict[str, str]:
    """The group of each question id in `rows`: ids that ask the same are split as one."""
    return kin({row.id: asked(row) for row in rows})


def folds(keys: Mapping[str, Any] | Iterable[str], k: int = 5, seed: int = 0) -> list[set[str]]:
    """The keys dealt into at most `k` parts of equal size, the same for the same seed on every machine.

    With a mapping, keys of one value are spread over all parts.
    """
    order = sorted(set(keys))
    Random(seed).shuffle(order)
    if isinstance(keys, Mapping):
        order.sort(key=keys.__getitem__)
    return [set(order[part::k]) for part in range(min(k, len(order)))]


def split(rows: Sequence[R], share: float = 0.2, seed: int = 0) -> tuple[list[R], list[R]]:
    """The rows in two parts, the second with `share` of the questions, at least one: to learn from, and to hold out."""
    if not 0 < share < 1:
        raise TaskError(f"the share is {share!r}: expected a part of the questions, above 0 and below 1, as in 0.2")
    group = groups(rows)
    order = sorted(set(group.values()))
    Random(seed).shuffle(order)
    out = set(order[: max(1, round(share * len(order)))])
    return [row for row in rows if group[row.id] not in out], [row for row in rows if group[row.id] in out]


def leaks(rows: Iterable[Row], heldout: Iterable[Row]) -> list[tuple[str, str]]:
    """The ids of questions that stand on both sides, one of each side: the same, or in equal words, or nearly."""
    here, there = ({row.id: asked(row) for row in side} for side in (rows, heldout))
    same = {id: id for id in there if id in here}
    group = kin({f"here {id}": text for id, text in here.items()} | {f"there {id}": text for id, text in there.items()})
    by_group = {group[f"here {id}"]: id for id in reversed(here)}
    same |= {id: by_group[group[f"there {id}"]] for id in there if id not in same and group[f"there {id}"] in by_group}
    return [(same[id], id) for id in there if id in same]
