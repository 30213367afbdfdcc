"""Features: what a learned critic sees of a response, each with a name, a version and a cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Literal, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import Array, arrays
from thoughtgraph.learning.rows import Response
from thoughtgraph.thought import Json

Family: TypeAlias = Literal["surface", "structure", "content", "embedding", "agreement", "search", "verifier", "judge"]
"""What a feature goes by. "surface" is what anybody could fake: length, digits, layout."""


@dataclass(frozen=True, slots=True)
class Example:
    """One response to be judged, and the question that it answers; `problem` is the task's, where it says more."""

    question: str
    response: Response
    problem: Json = None


Compute: TypeAlias = Callable[[Sequence[Example]], Sequence[Sequence[float | None]]]
"""From the responses to one question, judged together, to a row of numbers each; None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A named column or several. A critic is bound to the `version` of each of its features.

    `compute` sees all responses to a question at once, so that they can be compared with each other, and knows
    nothing of which of them are right. `cost` is in calls of a model a response, 0 for what is worked out here.
    """

    name: str
    columns: tuple[str, ...]
    compute: Compute
    family: Family
    version: int = 1
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Each:
    """A `Compute` that looks at each response by itself, through `row`."""

    row: Callable[[Example], Sequence[float | None]]

    def __call__(self, examples: Sequence[Example]) -> list[Sequence[float | None]]:
        """A row of numbers for each example."""
        return [self.row(example) for example in examples]


def table(sets: Sequence[Sequence[Example]], features: Sequence[Feature]) -> Array:
    """The numbers of all examples, a row each in their order, NaN where a feature had nothing to say.

    `sets` holds one set for each question: what is compared is compared within it. The columns are those of
    `features`, in their order. `TaskError` names a feature that gives the wrong number of rows or columns, or a number
    that is not finite.
    """
    np = arrays()
    rows = [_together([_computed(feature, examples) for feature in features]) for examples in sets]
    told = np.array([row for group in rows for row in group], dtype=float)
    return told.reshape(sum(map(len, sets)), sum(len(feature.columns) for feature in features))


def _computed(feature: Feature, examples: Sequence[Example]) -> list[list[float]]:
    rows = [[float("nan") if value is None else float(value) for value in row] for row in feature.compute(examples)]
    if len(rows) != len(examples) or any(len(row) != len(feature.columns) for row in rows):
        raise TaskError(
            f"the feature {feature.name!r} gave {len(rows)} rows for {len(examples)} examples, or other than "
            f"{len(feature.columns)} columns: expected one row each, with a number or None for each column"
        )
    if any(isinf(value) for row in rows for value in row):
        raise TaskError(f"the feature {feature.name!r} gave an infinite number: expected finite ones, or None")
    return rows


def _together(parts: Sequence[list[list[float]]]) -> list[list[float]]:
    """The columns of all features, side by side."""
    return [[value for part in row for value in part] for row in zip(*parts, strict=True)]
