"""Features from where a response was found: what a search counted, what judges said, what its content holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log1p
from typing import cast

from thoughtgraph.learning.features import Example, Family, Feature
from thoughtgraph.learning.numbers import number_of
from thoughtgraph.thought import Json

SEARCH = frozenset(("prior", "visits", "value", "depth", "siblings"))
"""The signals that come from the search; any other one is taken for a judge's."""

SHOWN = 4
"""So many of a content's numbers have a column of their own."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A number that came with the response, as it is, and on a logarithmic scale that keeps its sign."""

    name: str

    def __call__(self, examples: Sequence[Example]) -> list[Sequence[float | None]]:
        """A row of two for each example; None where the signal is missing."""
        values = [example.response.signals.get(self.name) for example in examples]
        return [(None, None) if v is None else (v, log1p(abs(v)) * (1 if v >= 0 else -1)) for v in values]


def signal(name: str, cost: float = 0.0) -> Feature:
    """The signal of this name as a feature: `signal("judge")`, `signal("visits")`.

    `cost` is what it takes to get it, in calls of a model a response: 1 for a judge that is asked once.
    """
    family: Family = "search" if name in SEARCH else "judge"
    return Feature(f"signal:{name}", ("value", "log"), Signal(name), family, cost=cost)


@dataclass(frozen=True, slots=True)
class Held:
    """The numbers that the last step's content holds under a key, the largest first."""

    key: str

    def __call__(self, examples: Sequence[Example]) -> list[Sequence[float | None]]:
        """Their count, sum, least, greatest, how many are whole, and the first four in columns of their own."""
        return [self._row(example) for example in examples]

    def _row(self, example: Example) -> Sequence[float | None]:
        last: Json = example.response.contents[-1] if example.response.contents else None
        told: Json = cast("dict[str, Json]", last).get(self.key) if isinstance(last, dict) else None
        found = sorted(_numbers(told), reverse=True)
        if not found:
            return (0.0, *(None,) * (4 + SHOWN))
        whole = sum(value == int(value) for value in found)
        shown = (*found[:SHOWN], *(None,) * (SHOWN - len(found)))
        return log1p(len(found)), sum(found), found[-1], found[0], whole / len(found), *shown


def held(key: str) -> Feature:
    """The numbers that stand under `key` in a thought's content, as a feature: `held("left")` for Game of 24."""
    columns = ("count", "sum", "least", "greatest", "whole", *(f"number{n + 1}" for n in range(SHOWN)))
    return Feature(f"held:{key}", columns, Held(key), "content")


def _numbers(told: Json) -> Iterator[float]:
    """Numbers, alone or in a list, also in words' clothes: "3", "2/3"."""
    for item in cast("list[Json]", told)[:100] if isinstance(told, list) else [told]:
        above, _, below = item.partition("/") if isinstance(item, str) else (item, "", "")
        a, b = number_of(above), number_of(below) if below else 1.0
        if a is not None and b:
            yield a / b
