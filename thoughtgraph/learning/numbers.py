r"""Numbers and equations in prose, read by a small grammar of our own (a calculator as verifier: Cobbe et al., 2021).

>>> [str(equation) for equation in equations("16 eggs/day - 3 eggs/day = 13 eggs/day, and 4 x $5 = $21.")]
['16 - 3 = 13 right', '4 * 5 = 21 wrong']
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from math import isclose, isfinite
from typing import Any, NamedTuple, TypeAlias

from thoughtgraph.thought import Json

LONGEST = 20_000
"""So many characters of a text are read for numbers: what comes after says little more, and costs time."""

FEW = 5
"""So many words may make an answer that is a number."""

MOST = 200
"""So many equations, and so many quantities, are looked at."""

WORDS = {
    "zero": 0.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0,
    "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "thirteen": 13.0, "fourteen": 14.0,
    "fifteen": 15.0, "sixteen": 16.0, "seventeen": 17.0, "eighteen": 18.0, "nineteen": 19.0, "twenty": 20.0,
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0, "ninety": 90.0,
    "hundred": 100.0, "thousand": 1000.0, "million": 1e6, "dozen": 12.0, "half": 0.5, "halves": 0.5, "twice": 2.0,
    "double": 2.0, "doubled": 2.0, "doubles": 2.0, "triple": 3.0, "tripled": 3.0, "triples": 3.0, "thrice": 3.0,
    "quarter": 0.25, "third": 1 / 3, "thirds": 1 / 3, "fourth": 0.25, "fifth": 0.2, "couple": 2.0, "pair": 2.0,
}  # fmt: skip
"""Numbers in words, each by itself: "twenty-one" is read as 20 and 1."""

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,15})(?:\.\d{1,10})?(?![\d])|\.\d{1,10}"
_NUMBER = re.compile(rf"(?<![\w.])[$€£]?\s?(?P<value>{_DIGITS})\s?(?P<percent>%)?")
_TOKEN = re.compile(
    rf"(?P<number>{_DIGITS})(?P<percent>\s?%)?"
    r"|(?P<per>/\s?[A-Za-z]+)"  # "/day" is a unit
    r"|(?P<op>(?<=\s)[-\u2212\u2013](?=[\s$€£(\d])|(?<=[\d)%])[-\u2212\u2013](?=[\d$(])|[+*\u00d7\u00b7\u22c5/\u00f7]"
    r"|(?<![A-Za-z])[xX](?![A-Za-z]))"
    r"|(?P<equals>[=\u2248])"
    r"|(?P<bracket>[()])"
    r"|(?P<word>[A-Za-z][A-Za-z'\u2019-]*)"
    r"|(?P<skip>[$€£\s\\]+)"
    r"|(?P<stop>.)"
)
_OPERATORS = {"\u2212": "-", "\u2013": "-", "\u00f7": "/", **dict.fromkeys("\u00d7\u00b7\u22c5xX", "*")}
_UNITS = 4
"""So many words may stand between a number and what follows it: its unit."""


class Token(NamedTuple):
    """A piece of a line: its kind ("number", "op", "equals", "bracket", "unit", "stop") and what it says."""

    kind: str
    text: str
    value: float = 0.0
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Equation:
    """`terms` worked out is `left`, and the text says that it is `right`; `operands` are the numbers in the terms.

    It is right where both sides agree to the decimals that are shown, or as percentages.
    """

    terms: tuple[str, ...]
    operands: tuple[float, ...]
    left: float
    right: float
    decimals: int = 0

    @property
    def holds(self) -> bool:
        """Whether it is right."""
        return any(self._near(self.left * scale) for scale in (1, 100, 0.01))

    def _near(self, value: float) -> bool:
        shown = 0.5 * 10.0**-self.decimals if self.decimals else 0.0
        return isclose(value, self.right, rel_tol=1e-6, abs_tol=max(1e-9, shown * 1.0001))

    def __str__(self) -> str:
        return f"{' '.join(self.terms)} = {self.right:g} {'right' if self.holds else 'wrong'}"


# -- numbers ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def numbers(text: str) -> tuple[float, ...]:
    """The numbers in a text that stand in digits, in their order; "1,200" is one, "$5" and "5%" are 5."""
    return tuple(_float(found["value"]) for found in _NUMBER.finditer(text[:LONGEST]))


@lru_cache(maxsize=4096)
def quantities(text: str) -> tuple[float, ...]:
    """The different numbers in a text, in digits or in words, in the order in which they first come."""
    found = re.finditer(rf"{_NUMBER.pattern}|(?P<word>[A-Za-z]+)", text[:LONGEST])
    values = (WORDS.get(one["word"].casefold()) if one["word"] else _float(one["value"]) for one in found)
    return tuple(dict.fromkeys(value for value in values if value is not None))[:MOST]


def number_of(answer: Json) -> float | None:
    """The number that an answer is: itself, or the only one among a few words ("$1,200 a day"); None for another."""
    if isinstance(answer, bool) or answer is None:
        return None
    if isinstance(answer, int | float):
        return float(answer) if abs(answer) < 1e300 else None
    if not isinstance(answer, str) or len(answer) > 100:
        return None
    found = list(_NUMBER.finditer(answer))
    if len(found) != 1 or len(answer.split()) > FEW:
        return None
    value, before = _float(found[0]["value"]), answer[: found[0].start()].rstrip()
    return -value if before.endswith(("-", "\u2212")) else value


def _float(digits: str) -> float:
    return float(digits.replace(",", ""))


# -- equations -------------------------------------------------------------------------------------------------------


def equations(text: str) -> list[Equation]:
    """What a text works out, line by line: each "terms = number", without units and currency signs; 200 at most."""
    told = (line for line in text[:LONGEST].splitlines() if "=" in line or "\u2248" in line)
    return list(islice((found for line in told for found in _in_line(line)), MOST))


def _in_line(line: str) -> Iterator[Equation]:
    """Each equals sign with the terms that end before it and those that begin after it; in a chain, with both."""
    parts: list[list[Token]] = [[]]
    for token in _tokens(line):
        if token.kind == "equals":
            parts.append([])
        else:
            parts[-1].append(token)
    for before, after in pairwise(parts):
        left, right = _ending(before), _beginning(after)
        a, b = _worked(left), _worked(right)
        if a is None or b is None or not any(token.kind == "op" for token in left):
            continue
        operands = tuple(token.value for token in left if token.kind == "number")
        decimals = right[0].decimals if len(right) == 1 else 6
        yield Equation(tuple(_shown(token) for token in left), operands, a, b, decimals)


def _tokens(line: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(line):
        kind, text = found.lastgroup or "", found[0]
        if kind in ("percent", "number"):
            digits = found["number"]
            value = _float(digits) / (100 if found["percent"] else 1)
            yield Token("number", text, value, len(digits.partition(".")[2]) + (2 if found["percent"] else 0))
        elif kind == "word" and text.casefold() == "of":
            yield Token("of", "*")
        elif kind in ("word", "per"):
            yield Token("unit", text)
        elif kind == "op":
            yield Token("op", _OPERATORS.get(text, text))
        elif kind != "skip":
            yield Token(kind, text)


def _ending(part: Sequence[Token]) -> list[Token]:
    """The longest run of terms that ends a part: back from the equals sign, over units, to what is none of it."""
    run, units, ahead = list[Token](), 0, "op"  # what stands ahead of the sign asks for a number, as an operator does
    for token in reversed(part):
        if token.kind == "unit":
            units += 1
            if units > _UNITS:
                break
            continue
        operates, ends = token.kind in ("op", "of"), token.kind == "number" or token.text == ")"
        if token.kind == "stop" or (ends and ahead not in ("op", ")")) or (operates and ahead == "op" and run):
            break
        run.append(Token("op", token.text) if operates else token)
        ahead, units = "op" if operates else token.text if token.kind == "bracket" else "number", 0
    return _balanced(run[::-1])


def _beginning(part: Sequence[Token]) -> list[Token]:
    """The run of terms that begins a part, up to a stop, a unit that goes on too long, or two numbers in a row."""
    run, units = list[Token](), 0
    for token in part:
        if token.kind in ("unit", "of"):
            units += 1
            if units > _UNITS or not run:
                break
            continue
        starts = token.kind == "number" or token.text == "("
        if token.kind == "stop" or (starts and run and (run[-1].kind == "number" or run[-1].text == ")")):
            break
        run.append(token)
        units = 0
    while run and run[-1].kind == "op":
        run.pop()
    return _balanced(run)


def _balanced(run: list[Token]) -> list[Token]:
    """The run without operators at its ends that have nothing to work on, and without brackets that do not match."""
    while run and run[0].kind == "op":
        run = run[1:]
    opened = sum(token.text == "(" for token in run)
    closed = sum(token.text == ")" for token in run)
    return run if opened == closed else [token for token in run if token.kind != "bracket"]


def _shown(token: Token) -> str:
    return f"{token.value:g}" if token.kind == "number" else token.text


# -- working out -----------------------------------------------------------------------------------------------------

Worked: TypeAlias = tuple[float, int] | None


def _worked(run: Sequence[Token]) -> float | None:
    """The value of terms, products before sums; None where they are no expression, or divide by nothing."""
    if len(run) > 60:
        return None
    found = _sum(run, 0)
    return found[0] if found and found[1] == len(run) and isfinite(found[0]) else None


def _sum(run: Sequence[Token], at: int) -> Worked:
    return _chain(run, at, "+-", _product)


def _product(run: Sequence[Token], at: int) -> Worked:
    return _chain(run, at, "*/", _operand)


def _chain(run: Sequence[Token], at: int, operators: str, part: Any) -> Worked:
    found: Worked = part(run, at)
    while found and found[1] < len(run) and run[found[1]].kind == "op" and run[found[1]].text in operators:
        value, place = found
        more: Worked = part(run, place + 1)
        found = _applied(run[place].text, value, more)
    return found


def _applied(operator: str, a: float, more: Worked) -> Worked:
    if more is None or (operator == "/" and not more[0]):
        return None
    b, at = more
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[operator], at


def _operand(run: Sequence[Token], at: int) -> Worked:
    if at >= len(run):
        return None
    if run[at].kind == "number":
        return run[at].value, at + 1
    if run[at].text != "(":
        return None
    inside = _sum(run, at + 1)
    closes = inside and inside[1] < len(run) and run[inside[1]].text == ")"
    return (inside[0], inside[1] + 1) if inside and closes else None
