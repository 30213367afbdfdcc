"""Columns: numbers as a model takes them, with gaps filled and marked, on one scale, and no further out than seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from thoughtgraph.errors import TaskError

FAR = 1e100
"""What lies further out counts as this: squares of such numbers, and sums of these, can still be told."""

Array: TypeAlias = Any
"""A numpy array; its types are not known alike in all of its versions."""


def arrays() -> Any:
    """numpy, which is loaded when it is used."""
    import numpy

    return numpy


@dataclass(frozen=True)
class Columns:
    """How a table of d columns becomes d + len(gaps) standardised ones, none of them missing.

    `low` and `high` are the least and the largest number seen in training: what lies beyond them counts as they do,
    since nothing is known out there. `middle` is the mean of what was there, and fills the gaps; `scale` is the
    standard deviation. `gaps` are the columns in which something was missing at times in training: each has an
    indicator behind the others, 1 where it is missing.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    middle: tuple[float, ...]
    scale: tuple[float, ...]
    gaps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len({len(self.low), len(self.high), len(self.middle), len(self.scale)}) != 1:
            raise TaskError("the columns have ranges, means and scales of different lengths: expected one of each")
        if not all(0 <= gap < len(self.low) for gap in self.gaps) or not all(scale > 0 for scale in self.scale):
            raise TaskError("the columns' gaps or scales are out of range: expected known columns, and scales over 0")

    def __call__(self, X: Array) -> Array:
        """From (n, d), NaN where something is missing, to (n, d + len(gaps))."""
        np = arrays()
        told = table_of(X, len(self.low))
        Z: Array = (np.clip(told, self.low, self.high) - np.array(self.middle)) / np.array(self.scale)
        return np.hstack([np.nan_to_num(Z), np.isnan(told[:, list(self.gaps)]).astype(float)])

    @property
    def width(self) -> int:
        """How many columns come out."""
        return len(self.low) + len(self.gaps)

    @classmethod
    def of(cls, X: Array) -> Columns:
        """The columns of a training table."""
        np = arrays()
        told: Array = np.clip(X, -FAR, FAR)
        known = ~np.isnan(told)
        count = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, told, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, told - middle, 0) ** 2).sum(axis=0) / count)
        low = np.where(known, told, np.inf).min(axis=0)
        low = np.where(np.isfinite(low), low, 0)
        high = np.maximum(np.where(known, told, -np.inf).max(axis=0), low)
        flat = spread <= 1e-9 * np.maximum(1, np.abs(middle))
        gaps = np.flatnonzero(known.any(axis=0) & ~known.all(axis=0))
        scale = np.where(flat, 1.0, spread)
        return cls(floats(low), floats(high), floats(middle), floats(scale), tuple(map(int, gaps)))


def floats(values: Array) -> tuple[float, ...]:
    """A vector as plain numbers."""
    return tuple(map(float, values))


def table_of(X: Array, d: int | None = None) -> Array:
    """A table of floats (n, d), NaN where something is missing; `TaskError` for anything else, and for infinities."""
    np = arrays()
    try:
        table: Array = np.asarray(X, dtype=float)
    except (TypeError, ValueError):
        raise TaskError("the table holds more than numbers: expected floats, NaN where one is missing") from None
    if table.ndim != 2 or (d is not None and table.shape[1] != d):
        raise TaskError(f"the table has the shape {table.shape}: expected (rows, {'columns' if d is None else d})")
    if np.isinf(table).any():
        raise TaskError("the table holds an infinite number: expected finite ones, NaN where one is missing")
    return table


def targets_of(y: Array, n: int, what: str = "targets") -> Array:
    """A vector of n numbers in [0, 1]; `TaskError` for anything else."""
    np = arrays()
    y = np.asarray(y, dtype=float)
    if y.shape != (n,):
        raise TaskError(f"{n} rows have {what} of the shape {y.shape}: expected one number for each row")
    if not ((y >= 0) & (y <= 1)).all():
        raise TaskError(f"the {what} are outside [0, 1]: expected 1 for what is right, 0 for what is wrong")
    return y


def weights_of(weight: Sequence[float] | Array | None, n: int) -> Array:
    """A vector of n weights of mean 1; `TaskError` where one is negative or none is above 0."""
    np = arrays()
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    if w.shape != (n,) or not (np.isfinite(w) & (w >= 0)).all() or not w.sum() > 0:
        raise TaskError(f"the weights of {n} rows are none: expected {n} finite numbers of at least 0, some above it")
    return w * (n / w.sum())
