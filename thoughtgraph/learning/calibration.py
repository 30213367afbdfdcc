"""Calibration (Platt, 1999; Guo et al., 2017): from logits to probabilities that mean what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal, NamedTuple, TypeAlias, get_args

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.columns import Array, arrays, targets_of, weights_of
from thoughtgraph.learning.linear import newton, sigmoid

Method: TypeAlias = Literal["none", "temperature", "platt", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
"""The simplest first: where two do equally well, the simpler one is taken."""

FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """How a logit z becomes a probability: σ(slope z + shift), or a monotone curve through the points (at, gives).

    With no points it is the former: slope 1 and shift 0 leave σ(z) as it is. Between points the curve is straight,
    and beyond them flat.
    """

    method: Method = "none"
    slope: float = 1.0
    shift: float = 0.0
    at: tuple[float, ...] = ()
    gives: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (isfinite(self.slope) and isfinite(self.shift) and self.slope >= 0):
            raise TaskError(f"the calibration's slope is {self.slope}: expected a finite number of at least 0")
        rising = all(a <= b for points in (self.at, self.gives) for a, b in pairwise(points))
        if len(self.at) != len(self.gives) or not rising or not all(0 <= p <= 1 for p in self.gives):
            raise TaskError("the calibration's curve does not rise within [0, 1]: expected as many points of each")

    def __call__(self, z: Array) -> Array:
        """The probability for each logit, in [0, 1]."""
        np = arrays()
        z = np.asarray(z, dtype=float)
        return np.interp(z, self.at, self.gives) if self.at else sigmoid(self.slope * z + self.shift)


def calibrate(
    z: Array,
    y: Array,
    groups: Sequence[str],
    weight: Sequence[float] | Array | None = None,
    *,
    methods: Sequence[Method] = METHODS,
) -> Calibration:
    """The calibration of the least Brier score on held-out questions, fitted to all rows.

    `z` are logits of rows that the model was not trained on (out of fold), `y` in [0, 1], `groups` the question of
    each row. A method must beat a simpler one by more than the standard error of their difference, taken by question:
    a curve with many points does harm where there is little to learn from. With fewer than two questions, or rows of
    one class alone, there is nothing to choose by: the first of `methods`.
    """
    np = arrays()
    z = np.asarray(z, dtype=float)
    y, w = targets_of(y, len(z)), weights_of(weight, len(z))
    known = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    group = np.array([known[name] for name in groups])
    if len(known) < 2 or not 0 < w @ y < w.sum():
        return CALIBRATE[methods[0]](z, y, w)
    held = {method: _held_out(CALIBRATE[method], z, y, w, group) for method in methods}
    best = methods[0]
    for method in methods[1:]:
        if _better(held[best] - held[method], w, group):
            best = method
    return CALIBRATE[best](z, y, w)


def _held_out(fitted: Callable[..., Calibration], z: Array, y: Array, w: Array, group: Array) -> Array:
    """The squared error of each row's probability, from a calibration that did not see its question."""
    np = arrays()
    error = np.zeros(len(z))
    for fold in range(FOLDS):
        out = group % FOLDS == fold
        if out.any() and (~out).any():
            error[out] = (fitted(z[~out], y[~out], w[~out])(z[out]) - y[out]) ** 2
    return error


def _better(gain: Array, w: Array, group: Array) -> bool:
    """Whether the mean gain is more than its standard error, the questions being what varies."""
    np = arrays()
    total = np.bincount(group, weights=w * gain)
    return float(total.sum()) > float(np.sqrt(np.sum((total - total.mean()) ** 2)))


def uncalibrated(z: Array, y: Array, w: Array) -> Calibration:
    """σ(z) as it stands."""
    return Calibration()


def temperature(z: Array, y: Array, w: Array) -> Calibration:
    """σ(z / T): less sure, or surer, and as often right as wrong at z = 0."""
    return Calibration("temperature", _slope(_sigmoid_fit(z, y, w, shifted=False)[0]))


def platt(z: Array, y: Array, w: Array) -> Calibration:
    """σ(a z + b), with Platt's targets: as if there were one more of each class, so that nothing is quite certain."""
    right, wrong = float(w @ y), float(w @ (1 - y))
    softened = y * (right + 1) / (right + 2) + (1 - y) / (wrong + 2)
    slope, shift = _sigmoid_fit(z, softened, w, shifted=True)
    return Calibration("platt", _slope(slope), float(shift))


def isotonic(z: Array, y: Array, w: Array) -> Calibration:
    """The rising steps nearest to the labels (pool adjacent violators; Zadrozny and Elkan, 2002), straight in between.

    The lowest and the highest stay one observation short of certainty.
    """
    np = arrays()
    known, place = np.unique(z[w > 0], return_inverse=True)
    weights, rights = (np.bincount(place, weights=v[w > 0]) for v in (w, w * y))
    blocks = list[_Block]()
    for logit, weight, right in zip(known, weights, rights, strict=True):
        block = _Block(float(logit), float(logit), float(weight), float(right))
        while blocks and blocks[-1].share >= block.share:
            block = blocks.pop().joined(block)
        blocks.append(block)
    edge = 1 / (len(z) + 2)
    steps = [(at, min(max(block.share, edge), 1 - edge)) for block in blocks for at in dict.fromkeys(block[:2])]
    return Calibration("isotonic", at=tuple(at for at, _ in steps), gives=tuple(share for _, share in steps))


class _Block(NamedTuple):
    """Neighbours of one probability: the range of their logits, their weight, and that of those that are right."""

    first: float
    last: float
    weight: float
    right: float

    @property
    def share(self) -> float:
        return self.right / self.weight

    def joined(self, other: _Block) -> _Block:
        return _Block(self.first, other.last, self.weight + other.weight, self.right + other.right)


CALIBRATE: dict[Method, Callable[[Array, Array, Array], Calibration]] = {
    "none": uncalibrated,
    "temperature": temperature,
    "platt": platt,
    "isotonic": isotonic,
}


def _sigmoid_fit(z: Array, y: Array, w: Array, *, shifted: bool) -> Array:
    np = arrays()
    scale = max(float(np.abs(z).max(initial=0)), 1e-9)
    Z = np.stack([z / scale, np.ones(len(z))], axis=1)[:, : 1 + shifted]
    beta, _ = newton(Z, y, w, np.zeros(len(z)), np.zeros(Z.shape[1]), np.full(Z.shape[1], 1e-6))
    return beta / np.array([scale, 1.0])[: 1 + shifted]


def _slope(slope: float) -> float:
    """A slope below 0 would turn the ranking round: then the scores say nothing, and everybody gets the base rate."""
    return max(0.0, float(slope))


# -- how well a probability is calibrated ----------------------------------------------------------------------------


class Bin(NamedTuple):
    """Rows of like probability: its range and mean, the share that was right, and how many there are."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int


def reliability(p: Array, y: Array, bins: int = 10) -> list[Bin]:
    """The reliability table, in bins of as equal numbers as ties allow: rows of one probability stay together."""
    np = arrays()
    at_least(1, bins=bins)
    p = np.asarray(p, dtype=float)
    y = targets_of(y, len(p))
    if not len(p):
        return []
    p = targets_of(p, len(p), "probabilities")
    ordered: Array = np.sort(p)
    rank: Array = np.searchsorted(ordered, p, side="left") + np.searchsorted(ordered, p, side="right") - 1
    place: Array = np.minimum(rank * bins // (2 * len(p)), bins - 1)
    groups = [place == k for k in range(bins)]
    return [
        Bin(float(p[g].min()), float(p[g].max()), float(p[g].mean()), float(y[g].mean()), int(g.sum()))
        for g in groups
        if g.any()
    ]


def ece(p: Array, y: Array, bins: int = 10) -> float:
    """The expected calibration error: how far probabilities are from the share that was right; bins of equal mass."""
    told = reliability(p, y, bins)
    return sum(b.n * abs(b.predicted - b.observed) for b in told) / max(sum(b.n for b in told), 1)


def brier(p: Array, y: Array) -> float:
    """The mean squared error of probabilities (Brier, 1950): 0 is perfect, 0.25 is what saying 0.5 comes to."""
    np = arrays()
    p = np.asarray(p, dtype=float)
    return float(np.mean((p - targets_of(y, len(p))) ** 2))
