"""Intervals by the bootstrap over clusters (Efron, 1979; Davison & Hinkley, 1997, 3.8): how sure is a mean of runs?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum
from typing import Any, TypeAlias

DRAWS = 5_000
"""How often the puzzles are drawn anew."""

TAIL = 2.5
"""Per cent that a 95 % interval leaves out at each end."""

Grid: TypeAlias = Sequence[Sequence[float | None]]
"""A row for each puzzle and a number for each of its runs, one a seed; None where a run gave none."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the 95 % interval around it; a single puzzle says nothing of others, and its ends are None."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.low is None else f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def signed(self) -> str:
        """The same with its signs, for a difference."""
        return f"{self.mean:+.3f}" if self.low is None else f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

    def to_json(self) -> dict[str, float | None]:
        """As JSON data."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def interval(grid: Grid) -> Interval | None:
    """The mean over all numbers, and its interval where puzzles are drawn with replacement; None of an empty grid.

    A puzzle is drawn with all of its seeds: what is between seeds is in its mean already. Drawing its seeds as well
    would count their chance twice, and make the interval of three seeds up to a third too wide. The percentiles are
    right from some twenty puzzles on, and a little narrow below.
    """
    rows = [[value for value in row if value is not None] for row in grid]
    rows = sorted(row for row in rows if row)  # so that the order of the puzzles makes no difference
    sums, counts = [fsum(row) for row in rows], [len(row) for row in rows]
    if not sums:
        return None
    mean = fsum(sums) / sum(counts)
    if len(sums) == 1:
        return Interval(mean)
    import numpy

    np: Any = numpy  # its types are not known alike in all of its versions
    drawn = _drawn(len(sums))
    low, high = np.percentile((drawn @ np.array(sums)) / (drawn @ np.array(counts)), [TAIL, 100 - TAIL])
    return Interval(mean, round(float(low), 12), round(float(high), 12))  # what is 0 but for rounding is 0


@lru_cache(maxsize=4)
def _drawn(puzzles: int) -> Any:
    """How often each puzzle came in each draw: always the same draws, so that the same runs give the same interval."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.multinomial(puzzles, [1 / puzzles] * puzzles, size=DRAWS).astype(np.float64)


def difference(a: Grid, b: Grid) -> Interval | None:
    """The interval of a - b, paired: each run against the one of the same puzzle and seed."""
    return interval([[_less(x, y) for x, y in zip(s, t, strict=True)] for s, t in zip(a, b, strict=True)])


def average(grids: Sequence[Grid]) -> list[list[float | None]]:
    """The mean of several grids, place by place; None where one of them has nothing there."""
    rows = [zip(*same, strict=True) for same in zip(*grids, strict=True)]
    return [[_mean(values) for values in row] for row in rows]


def _less(x: float | None, y: float | None) -> float | None:
    return None if x is None or y is None else x - y


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fsum(known) / len(known) if known and len(known) == len(values) else None
