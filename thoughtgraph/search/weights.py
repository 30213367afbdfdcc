"""Weights of particles: from values to odds, how many particles they amount to, and how they are drawn by them."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import exp, fsum, log
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")

EDGE = 1e-6
"""Values are taken to be at least so far from 0 and 1, where the logit is infinite."""


def logit(value: float) -> float:
    """ln(v / (1 - v)) of a value in [0, 1]; what lies outside counts as the nearest value inside."""
    value = min(max(value, EDGE), 1 - EDGE)
    return log(value / (1 - value))


def weigh(values: Sequence[float | None], beta: float = 1.0) -> list[float]:
    """Softmax of beta logit(v), which is v's odds to the power beta, scaled to the sum 1.

    A particle that nobody could judge weighs as much as the others do on average.
    """
    logits = [None if value is None else beta * logit(value) for value in values]
    top = max((x for x in logits if x is not None), default=0.0)
    known = [exp(x - top) for x in logits if x is not None]
    mean = fsum(known) / len(known) if known else 1.0
    weights = [mean if x is None else exp(x - top) for x in logits]
    total = fsum(weights)
    return [weight / total for weight in weights]


def temper(values: Sequence[float | None], share: float = 0.5) -> list[float]:
    """`weigh` at the first beta of 1, 1/2, 1/4 ... that leaves an effective sample size of `share` of the particles."""
    beta, weights = 1.0, weigh(values)
    while ess(weights) < share * len(weights):
        beta /= 2
        weights = weigh(values, beta)
    return weights


def ess(weights: Sequence[float]) -> float:
    """The effective sample size (Kong et al., 1994) of weights that sum up to 1: 1 / sum of w^2."""
    return 1 / fsum(weight**2 for weight in weights)


def systematic(items: Sequence[T], weights: Sequence[float], n: int, rng: random.Random) -> list[T]:
    """`n` of the items by one random number and a comb of n teeth: each n w times, rounded down or up."""
    heights = list(accumulate(weights))
    start = rng.random()
    return [items[min(bisect(heights, (start + i) / n * heights[-1]), len(items) - 1)] for i in range(n)]


def multinomial(items: Sequence[T], weights: Sequence[float], n: int, rng: random.Random) -> list[T]:
    """`n` of the items, drawn one by one with replacement."""
    return rng.choices(items, weights, k=n)


Resampling: TypeAlias = Literal["systematic", "multinomial"]

RESAMPLING: Mapping[str, Callable[..., list[Any]]] = {"systematic": systematic, "multinomial": multinomial}
"""The ways to draw by weight; the systematic one is the less noisy."""


def check_resampling(name: str) -> None:
    """`ValueError` for a way to draw that there is not."""
    if name not in RESAMPLING:
        raise ValueError(f"resampling is {name!r}: expected one of {', '.join(RESAMPLING)}")
