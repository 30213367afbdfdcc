r"""When two answers are one (after the graders of Hendrycks et al., 2021): by what they say, never by a substring.

>>> equivalent("$18", 18.0), equivalent(r"\frac{1}{2}", "0.5"), equivalent("1", "11")
(True, True, False)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import NamedTuple, cast

from thoughtgraph.thought import Json

LONGEST = 200
"""A text of more characters is no number."""

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,60})(?:\.\d{0,60})?|\.\d{1,60}"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s?[$€£]?\s?(?:(?P<whole>\d{{1,9}}) (?=\d{{1,9}}/))?(?P<top>{_DIGITS})(?P<power>e[-+]?\d{{1,2}})?"
    rf"(?:\s?/\s?(?P<under>\d{{1,60}}))?\s?(?P<unit>%|[^\W\d_]{{1,20}}(?:[ /][^\W\d_]{{1,20}}){{0,2}})?"
)
_TIMES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words after a number that are part of it."""

_NO_UNIT = frozenset(
    ("pi", "sqrt", "or", "and", "not", "to", "is", "times", "plus", "minus", "over", "squared", "cubed")
)
"""Words that no unit holds: with them a text says more than its number."""

_LETTERS = frozenset("msghlvw")
"""Units of one letter; any other letter, as in 3x, is a variable."""

_LATEX = (
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\(?:boxed|text|mathrm|mathbf|textbf)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\\[,;! ]|\\(?:left|right)\b"), ""),
)
_AROUND = " \t\n\"'`*_\u201c\u201d\u2018\u2019"


class Quantity(NamedTuple):
    """A number, exactly, and its unit in words, "" for none."""

    value: Fraction
    unit: str = ""


def equivalent(a: Json, b: Json, same: Callable[[Json], Hashable | None] | None = None) -> bool:
    """Whether two answers say the same. None, which claims nothing, is the same as nothing, itself included.

    Numbers go by their value, however they are written: 18, 18.0, "$18", "18.", "1,800/100". A unit counts where both
    name one: "18 km" is "18", and is not "18 miles"; "50%" is "50", and is not one half. Other texts go by their words,
    without case, quotes, markdown and closing punctuation; lists and objects by their parts. True is not 1. `same` is
    a task's canonical form, by which more answers may be one.
    """
    if a is None or b is None:
        return False
    if same is not None and (form := same(a)) is not None and form == same(b):
        return True
    x, y = quantity(a), quantity(b)
    if x is not None and y is not None:
        return _close(a, b, x, y) and (x.unit == y.unit or not (x.unit and y.unit))
    if isinstance(a, str) and isinstance(b, str):
        return bool(_words(a)) and _words(a) == _words(b)
    return _parts(a, b, same)


def canonical(answer: Json) -> Hashable | None:
    """The form under which equivalent answers are one vote, None for one that compares with nothing.

    Quantities are one where their values are, to nine digits: some answers to a question name the unit that it asks
    for, and most name none. A text of over 100 characters compares with nothing.
    """
    if answer is None:
        return None
    if (found := quantity(answer)) is not None:
        return float(f"{float(found.value):.9g}") if abs(found.value) < 10**300 else found.value
    words = _words(answer) if isinstance(answer, str) else repr(answer)
    return None if not words or len(words) > 100 else words


def quantity(answer: Json) -> Quantity | None:
    """The number that an answer is, with nothing around it but a unit or a currency; None for all else."""
    if isinstance(answer, bool) or (isinstance(answer, float) and not isfinite(answer)):
        return None
    if isinstance(answer, int | float):
        return Quantity(Fraction(answer) if isinstance(answer, int) else Fraction(repr(answer)))
    text = _words(answer) if isinstance(answer, str) and len(answer) <= LONGEST else ""
    found = _NUMBER.fullmatch(text)
    return _quantity(found) if found else None


def _quantity(found: re.Match[str]) -> Quantity | None:
    under = int(found["under"] or 1)
    if not under:
        return None
    size = Fraction(found["top"].replace(",", "") + (found["power"] or "")) / under + int(found["whole"] or 0)
    words = (found["unit"] or "").replace("percent", "%").replace("/", " per ").split()
    while words and words[0] in _TIMES:
        size *= _TIMES[words.pop(0)]
    if any(word in _NO_UNIT or (len(word) == 1 and word.isalpha() and word not in _LETTERS) for word in words):
        return None
    return Quantity(-size if found["sign"] == "-" else size, " ".join(words))


def _close(a: Json, b: Json, x: Quantity, y: Quantity) -> bool:
    """Exactly, but where a float has been rounded by the machine."""
    rounded = isinstance(a, float) or isinstance(b, float)
    return abs(x.value - y.value) <= (max(abs(x.value), abs(y.value)) / 10**9 if rounded else 0)


def _words(text: str) -> str:
    """A text without what is no word of it: case, LaTeX, quotes, markdown, math signs, closing punctuation."""
    for pattern, instead in _LATEX:
        text = pattern.sub(instead, text)
    text = " ".join(text.casefold().replace("\u2212", "-").split()).strip(_AROUND)
    if len(text) > 2 and text.startswith("$") and text.endswith("$"):
        text = text[1:-1]
    return text.rstrip(".,;:!").strip(_AROUND)


def _parts(a: Json, b: Json, same: Callable[[Json], Hashable | None] | None) -> bool:
    """Lists item by item, objects name by name, all else as it stands."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        x, y = cast("Sequence[Json]", a), cast("Sequence[Json]", b)
        return len(x) == len(y) and all(equivalent(p, q, same) or p is q is None for p, q in zip(x, y, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        s, t = cast("Mapping[str, Json]", a), cast("Mapping[str, Json]", b)
        return s.keys() == t.keys() and all(equivalent(s[k], t[k], same) or s[k] is t[k] is None for k in s)
    return bool(type(cast("object", a)) is type(cast("object", b)) and a == b)
