"""Choosing among n of N recorded responses, worked out exactly (Chen et al., 2021; Gao et al., 2023): equation 3.

A critic chooses the response of the highest reward, R(c), and what counts is its evaluation, E(c). Both are means over
all subsets of n responses, so they follow from the ranks alone, without drawing subsets.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import log
from typing import Any

from thoughtgraph.learning.columns import arrays
from thoughtgraph.statistics import TAIL, Interval, interval
from thoughtgraph.thought import Json

Keys = Sequence[float | None]
"""What responses are ranked by, higher is better; None is never ranked."""

ORDERS = 64
"""So many orders of a question's responses stand for all of them, where a vote's curve has no closed form."""

CELLS = 2_000_000
"""So many numbers are held at a time for it."""

ALIKE = 1 - 1e-12
"""Sums of votes tie from this share of the largest on: the same weights added in another order are not less."""

DRAWS = 2_000
"""How often the questions are drawn anew."""


def best_of(keys: Keys, worth: Keys) -> list[float | None]:
    """E[worth of the best of n] for n = 1..N, over all subsets of n of the N responses; ties are averaged.

    With ascending ranks i it is sum_i C(i-1, n-1) / C(N, n) worth_(i). A response without a key is chosen only where
    none of the n has one. Where `worth` holds None, it is the mean over the choices whose worth is known.
    """
    import numpy

    np: Any = numpy
    key = np.array([-np.inf if k is None else k for k in keys], float)
    _, group, sizes = np.unique(key, return_inverse=True, return_counts=True)
    told = np.array([np.nan if w is None else w for w in worth], float)
    known = np.bincount(group, ~np.isnan(told), len(sizes))
    sums = np.bincount(group, np.nan_to_num(told), len(sizes))
    within = _within(len(key))[:, np.concatenate([[0], np.cumsum(sizes)])]  # all n drawn from the lowest groups
    chance = np.diff(within, axis=1) * known / sizes
    means = np.divide(sums, known, out=np.zeros(len(sizes)), where=known > 0)
    total = chance.sum(axis=1)
    return [float(row @ means / all_) if all_ > 0 else None for row, all_ in zip(chance, total, strict=True)]


@lru_cache(maxsize=64)
def _within(N: int) -> Any:
    """C(c, n) / C(N, n) for n = 1..N (rows) and c = 0..N: the chance that all n are among given c of the N."""
    np = arrays()

    c = np.arange(N + 1.0)
    factors = [np.clip(c - i, 0, None) / (N - i) for i in range(N)]
    return np.cumprod(np.stack(factors), axis=0)


def voted(forms: Sequence[Hashable | None], weights: Sequence[float], worth: Sequence[float]) -> float:
    """The worth of the answer with the largest summed weight: a majority where all weights are 1. Ties are averaged.

    `forms` are the answers as they are compared; None does not vote. Where nobody votes, the mean of all.
    """
    totals, values = dict[Hashable, float](), dict[Hashable, list[float]]()
    for form, weight, value in zip(forms, weights, worth, strict=True):
        if form is not None:
            totals[form] = totals.get(form, 0.0) + weight
            values.setdefault(form, []).append(value)
    most = max(totals.values(), default=0.0)
    won = [_mean(values[form]) for form, total in totals.items() if total >= most * ALIKE]
    return _mean(won or worth)


def vote_curve(
    forms: Sequence[Hashable | None], weights: Sequence[float], worth: Sequence[float], seed: str = ""
) -> list[float]:
    """E[worth of the answer voted for] by n of the N responses, n = 1..N: the mean over `ORDERS` seeded orders.

    At n = N it is exact. Drawing is needed because which answers tie hangs on the whole subset.
    """
    import numpy

    np: Any = numpy
    N, known = len(worth), list(dict.fromkeys(form for form in forms if form is not None))
    rng = np.random.default_rng(int.from_bytes(sha256(seed.encode()).digest()[:8], "big"))
    orders = rng.permuted(np.tile(np.arange(N), (ORDERS, 1)), axis=1)
    casts = np.array([[form == answer for answer in known] for form in forms], float).reshape(N, len(known))
    gold, weight = np.array(worth, float), np.array(weights, float)
    some = max(1, CELLS // max(1, N * len(known)))  # so many orders fit into memory at a time
    parts = [_voted(orders[at : at + some], casts, weight, gold) for at in range(0, ORDERS, some)]
    sums = np.sum(parts, axis=0)
    return [*(sums[:-1] / ORDERS).tolist(), voted(forms, weights, worth)]


def _voted(orders: Any, casts: Any, weight: Any, gold: Any) -> Any:
    """The worth of what is voted for after each vote, summed over the orders: as `voted`, (N,)."""
    import numpy

    np: Any = numpy
    cast = casts[orders]  # (orders, N, answers): who votes for what, in turn
    totals, counts = (cast * weight[orders][..., None]).cumsum(axis=1), cast.cumsum(axis=1)
    means = (cast * gold[orders][..., None]).cumsum(axis=1) / np.maximum(counts, 1)
    won = (counts > 0) & (totals >= totals.max(axis=2, keepdims=True, initial=0) * ALIKE)
    chosen = (won * means).sum(axis=2) / np.maximum(won.sum(axis=2), 1)
    nobody = gold[orders].cumsum(axis=1) / np.arange(1, len(gold) + 1)
    return np.where(won.any(axis=2), chosen, nobody).sum(axis=0)


def divergence(n: int) -> float:
    """How far best-of-n moves from the generator at most, in nats: log n - (n - 1) / n (Beirami et al., 2024)."""
    return log(n) - (n - 1) / n


@lru_cache(maxsize=8)
def draws(questions: int) -> Any:
    """How often each question comes in each of `DRAWS` draws of as many with replacement: always the same draws."""
    np = arrays()

    rng = np.random.default_rng(0)
    return rng.multinomial(questions, [1 / questions] * questions, size=DRAWS).astype(np.int32)


def band(curves: Sequence[Sequence[float]]) -> list[Interval]:
    """The mean of the questions' curves (a row each) at each L, with its interval, all from the same draws."""
    import numpy

    np: Any = numpy
    told = np.array(curves, float)
    means = told.mean(axis=0)
    if len(told) < 2:
        return [Interval(float(mean)) for mean in means]
    ends = np.percentile(draws(len(told)) @ told / len(told), [TAIL, 100 - TAIL], axis=0).round(12)
    return [Interval(*map(float, column)) for column in zip(means, *ends, strict=True)]


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the evaluation of the chosen response stops to grow with L: the critic is optimised too far beyond it.

    `peak` is the L of the highest mean, and lies in `low` to `high` in 95 % of the draws of the questions. `drop` is
    E at the peak minus E at the last L. `down` says that it is surely above 0, the peak having been looked for.
    """

    peak: int
    low: int
    high: int
    drop: Interval
    down: bool

    def __str__(self) -> str:
        at = f"L = {self.peak} ({self.low} to {self.high})"
        if self.down:
            return f"the evaluation turns down after {at}: {self.drop.signed} is lost from there on"
        return f"the evaluation does not surely turn down: it is highest at {at}, {self.drop.signed} above the last L"

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        return {
            "peak": self.peak, "low": self.low, "high": self.high, "drop": self.drop.to_json(), "down": self.down,
        }  # fmt: skip


def turning(curves: Sequence[Sequence[float]]) -> Turn | None:
    """Where the mean of the questions' evaluation curves (a row each, L = 1..N) turns down; None of a single question.

    The peak is the highest of N noisy means, so a plain interval of its height would find a turn where there is none:
    `down` compares the drop with the largest that such a look finds in noise (the bootstrap of the largest t value).
    """
    import numpy

    np: Any = numpy
    told = np.array(curves, float)
    if len(told) < 2 or told.shape[1] < 2:
        return None
    drawn = draws(len(told)) / len(told)
    means, peak = drawn @ told, int(told.mean(axis=0).argmax())
    low, high = np.percentile(means.argmax(axis=1) + 1, [TAIL, 100 - TAIL], method="nearest")
    above = told[:, :-1] - told[:, -1:]
    noise, spread = drawn @ above - above.mean(axis=0), above.std(axis=0) / len(told) ** 0.5
    t = np.divide(noise, spread, out=np.zeros_like(noise), where=spread > 0)
    drop = interval([[float(row[peak] - row[-1])] for row in told])
    assert drop is not None
    sure = peak < len(spread) and drop.mean > np.percentile(t.max(axis=1), 100 - TAIL) * spread[peak] > 0
    return Turn(peak + 1, int(low), int(high), drop, bool(sure))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
