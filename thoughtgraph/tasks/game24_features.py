"""What a learned critic may see of Game of 24 (Yao et al., 2023): the numbers left, and one operation between two.

Nothing here knows which numbers can make 24: no operation is followed by another, which is also as far as the heuristic
critic of the task looks ahead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import gcd, log1p, prod
from typing import Any, TypeAlias, cast

from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.thought import Json

Row: TypeAlias = tuple[float | None, ...]

DIVISORS = (1, 2, 3, 4, 6, 8, 12, 24)
MARKS = (0, *DIVISORS, 48)
"""Numbers that are worth being near."""

EACH = ("sum", "difference", "product", "ratio", "distance", "divisors", "whole")
"""What is told of each two numbers."""

MOST = 4
"""So many numbers are looked at: a puzzle has no more."""

_NUMBER = re.compile(r"(-?[0-9]{1,12})(?:/([0-9]{1,12}))?")


def left_in(example: Example) -> tuple[float, ...]:
    """The numbers that the last step leaves, from the smallest; none where the response tells none."""
    contents = example.response.contents
    content: Json = contents[-1] if contents else None
    said: Any = content.get("left") if isinstance(content, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    written = cast("list[object]", said)[: MOST + 1] if isinstance(said, list) else []
    read = [_number(text) for text in written]
    known = [number for number in read if number is not None]
    return tuple(sorted(known)) if len(known) == len(written) <= MOST else ()


def _number(text: object) -> float | None:
    found = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    under = int(found[2] or 1) if found else 0
    return int(found[1]) / under if found and under else None


@lru_cache(maxsize=8192)
def numbers(left: tuple[float, ...]) -> Row:
    """How many are left, the least, the greatest and the mean of the others, and what kind of numbers they are."""
    if not left:
        return (None,) * len(NUMBERS.columns)
    inner = left[1:-1]
    middle = sum(inner) / len(inner) if inner else None
    return (
        len(left), left[0], middle, left[-1], sum(left), _size(prod(left)), sum(map(_whole, left)),
        sum(x in DIVISORS for x in left), len(set(left)), sum(x == 0 for x in left), sum(x == 1 for x in left),
        sum(x == 24 for x in left), min(abs(x - 24) for x in left), _shared(left[0]),
        None if middle is None else _shared(middle), _shared(left[-1]),
    )  # fmt: skip


@lru_cache(maxsize=8192)
def nearest(left: tuple[float, ...]) -> Row:
    """How near the results of one operation come to 24, to its divisors, to its double and to 0."""
    made = [x for pair in combinations(left, 2) for x in _results(*pair)]
    return tuple(min(abs(x - mark) for x in made) if made else None for mark in MARKS)


@lru_cache(maxsize=8192)
def hits(left: tuple[float, ...]) -> Row:
    """How many results of one operation are each of the divisors of 24, any of them, whole, or different."""
    made = [x for pair in combinations(left, 2) for x in _results(*pair)]
    each = [sum(abs(x - divisor) < 1e-9 for x in made) for divisor in DIVISORS]
    different = len({round(x, 6) for x in made})
    return (*each, sum(each), sum(map(_whole, made)), different) if left else (None,) * len(HITS.columns)


@lru_cache(maxsize=8192)
def pairs(left: tuple[float, ...]) -> Row:
    """What each two of at most three numbers come to, the least two first."""
    if len(left) > 3:
        return (None,) * len(PAIRS.columns)
    found = [value for a, b in combinations(left, 2) for value in _pair(a, b)]
    return (*found, *[None] * (len(PAIRS.columns) - len(found)))


def _pair(a: float, b: float) -> Row:
    """Sum, difference, product and quotient, how near they come to 24, how many divide it and how many are whole."""
    made = _results(a, b)
    near, divide = min(abs(x - 24) for x in made), sum(x in DIVISORS for x in made)
    return (b + a, b - a, b * a, b / a if a else None, near, divide, sum(map(_whole, made)))


def _results(a: float, b: float) -> tuple[float, ...]:
    """What two numbers, the smaller first, come to: b + a, b - a, b * a, and b / a and a / b where they can be."""
    return (b + a, b - a, b * a, *([b / a] if a else []), *([a / b] if b else []))


def _whole(number: float) -> bool:
    return number == int(number)


def _shared(number: float) -> int:
    """The greatest whole number that divides both it and 24; 0 for a fraction."""
    return gcd(int(number), 24) if _whole(number) else 0


def _size(number: float) -> float:
    """The size of a number on a scale on which large ones differ little."""
    return log1p(abs(number))


def _each(row: Any) -> Each:
    return Each(lambda example: row(left_in(example)))


NUMBERS = Feature(
    "game24_numbers",
    (
        "count", "least", "middle", "greatest", "sum", "product", "whole", "divisors", "different", "zeros", "ones",
        "targets", "distance", "shares_least", "shares_middle", "shares_greatest",
    ),
    _each(numbers),
    "content",
)  # fmt: skip
NEAREST = Feature("game24_nearest", tuple(f"to_{mark}" for mark in MARKS), _each(nearest), "content")
HITS = Feature("game24_hits", (*(f"makes_{d}" for d in DIVISORS), "any", "whole", "different"), _each(hits), "content")
PAIRS = Feature(
    "game24_pairs",
    tuple(f"{name}_{pair}" for pair in ("low", "outer", "high") for name in EACH),
    _each(pairs),
    "content",
)
FEATURES: Sequence[Feature] = (NUMBERS, NEAREST, HITS, PAIRS)
"""All of them, for `train_critic(rows, features=FEATURES)`."""
