"""Features of worked arithmetic: are its equations right, made of what was given, and does the answer come of them?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isclose, log1p

from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.learning.numbers import Equation, equations, number_of, numbers, quantities
from thoughtgraph.learning.texts import sentences

Row = Sequence[float | None]

EVERYWHERE = (0.0, 1.0, 2.0, 4.0, 7.0, 10.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0, 1000.0)
"""Numbers that may come from nowhere: days of a week, minutes of an hour, the whole in percent."""


@dataclass(frozen=True)
class Work:
    """The equations of a text, and for each operand whether it was given, is an earlier result, or is neither."""

    found: tuple[Equation, ...]
    given: tuple[float, ...]
    origins: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=4096)
def worked(text: str, question: str) -> Work:
    """The work that a text shows on a question."""
    found, given = tuple(equations(text)), quantities(question)
    results, origins = list[float](), list[tuple[str, ...]]()
    for equation in found:
        origins.append(tuple(_origin(operand, given, results) for operand in equation.operands))
        results.append(equation.right)
    return Work(found, given, tuple(origins))


def _origin(operand: float, given: Sequence[float], results: Sequence[float]) -> str:
    if among(operand, given) or among(operand * 100, given) or among(1 - operand, [g / 100 for g in given]):
        return "given"
    if among(operand, results):
        return "result"
    return "known" if operand in EVERYWHERE else "nowhere"


def among(value: float, values: Iterable[float]) -> bool:
    """Whether a number is one of `values`, but for rounding."""
    return any(isclose(value, other, rel_tol=1e-6, abs_tol=1e-9) for other in values)


def _equations(example: Example) -> Row:
    """How many equations there are, the share that is right, how many are wrong, and whether the last one is."""
    found = worked(example.response.text, example.question).found
    if not found:
        return 0.0, None, 0.0, None
    holds = [equation.holds for equation in found]
    return log1p(len(found)), sum(holds) / len(found), log1p(len(found) - sum(holds)), float(holds[-1])


def _grounds(example: Example) -> Row:
    """Where the operands come from: a number from nowhere is often made up, and one never used was often forgotten."""
    work = worked(example.response.text, example.question)
    origins = [origin for told in work.origins for origin in told]
    operands = [operand for equation in work.found for operand in equation.operands]
    shown = numbers(example.response.text)
    used = [g for g in work.given if among(g, operands) or among(g / 100, operands)]
    said = [g for g in work.given if among(g, shown) or among(g, operands)]
    if not work.given:
        return None, None, None, None, None
    count = max(len(origins), 1)
    return (
        len(used) / len(work.given),
        len(said) / len(work.given),
        log1p(len(work.given) - len(used)),
        origins.count("nowhere") / count if origins else None,
        origins.count("result") / count if origins else None,
    )


def _loose(example: Example) -> Row:
    """Results that nothing was made of: all but the last one of a straight line of reasoning are used again."""
    found = worked(example.response.text, example.question).found
    if not found:
        return None, None
    later = [[operand for other in found[place + 1 :] for operand in other.operands] for place in range(len(found))]
    loose = sum(not among(one.right, rest) for one, rest in zip(found[:-1], later, strict=False))
    results = [equation.right for equation in found]
    return loose / len(found), 1 - len(set(results)) / len(results)


def _answer(example: Example) -> Row:
    """What kind of number the answer is, by itself and against those of the question."""
    answer = number_of(example.response.answer)
    given = quantities(example.question)
    if answer is None:
        return float(example.response.answer is not None), 0.0, None, None, None, None, None, None
    largest = max(map(abs, given), default=0.0)
    size = log1p(abs(answer))
    return (
        1.0,
        1.0,
        float(answer == int(answer)),
        float(answer < 0),
        float(answer == 0),
        size,
        size - log1p(largest),
        float(among(answer, given)),
    )


def _derived(example: Example) -> Row:
    """Whether the answer is worked out: by an equation, a right one, the last one; and how often it is told."""
    answer = number_of(example.response.answer)
    if answer is None:
        return (None,) * 6
    work = worked(example.response.text, example.question)
    results = [equation.right for equation in work.found]
    right = [equation.right for equation in work.found if equation.holds]
    told = numbers(example.response.text)
    closing = numbers(" ".join(sentences(example.response.text)[-1:]))
    return (
        float(among(answer, results)),
        float(among(answer, right)),
        float(among(answer, results[-1:])),
        log1p(sum(among(answer, [number]) for number in told)),
        float(among(answer, closing)),
        log1p(len(set(closing))),
    )


EQUATIONS = Feature("equations", ("count", "right", "wrong", "last"), Each(_equations), "verifier")
GROUNDS = Feature("grounds", ("used", "said", "unused", "nowhere", "results"), Each(_grounds), "verifier")
LOOSE = Feature("loose", ("unused", "repeated"), Each(_loose), "verifier")
ANSWER = Feature(
    "answer", ("there", "number", "whole", "negative", "zero", "size", "relative", "given"), Each(_answer), "content"
)
DERIVED = Feature(
    "derived", ("result", "right", "last", "told", "closing", "closing_numbers"), Each(_derived), "verifier"
)
