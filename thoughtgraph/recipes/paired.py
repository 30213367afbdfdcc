"""An exact paired test (Fisher, 1935): how likely is such a gap where what is new is no better?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import fsum
from typing import Any

from thoughtgraph.statistics import Grid

LEVEL = 0.025
"""Below this chance a gap is no accident: one side of a 95 % interval."""

EXACT = 12
"""With at most so many questions that differ, every way for the signs to fall is tried; else `DRAWS` of them."""

DRAWS = 20_000
"""How often the signs are drawn."""


def chance(new: Grid, old: Grid) -> float:
    """P(the sum of the questions' gaps is at least this, if each had either sign with equal chances), one-sided.

    The unit is the question: its gap is the mean over its seeds, of the pairs in which both are known. For answers that
    are right or wrong it is McNemar's exact test. Fewer than six questions with a gap are never below `LEVEL`.
    """
    import numpy

    np: Any = numpy  # its types are not known alike in all of its versions
    gaps = sorted(gap for s, t in zip(new, old, strict=True) if (gap := _gap(s, t)))  # whatever the questions' order
    if len(gaps) <= EXACT:
        signs = np.array(list(product((-1, 1), repeat=len(gaps))), dtype=float)
        return float((signs @ np.array(gaps) >= fsum(gaps) - 1e-9).mean())
    signs = np.random.default_rng(0).choice((-1, 1), size=(DRAWS, len(gaps)))
    return float(1 + (signs @ np.array(gaps) >= fsum(gaps) - 1e-9).sum()) / (1 + DRAWS)


def _gap(new: Sequence[float | None], old: Sequence[float | None]) -> float:
    """The mean gap of one question; 0 where no pair is known."""
    known = [x - y for x, y in zip(new, old, strict=True) if x is not None and y is not None]
    return fsum(known) / len(known) if known else 0.0
