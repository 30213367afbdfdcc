"""How far judges can be trusted, from their agreement (Dawid & Skene, 1979; Rubin & Thayer, 1982) or from gold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import atanh, fsum, isfinite, sqrt
from typing import Any

from thoughtgraph.errors import TaskError

ITEMS = 10
"""Of fewer items than these nothing can be told about a judge."""

CHANCE = 2.33
"""So many standard errors above 0 agreement is no chance: one of a hundred judges that know nothing gets there."""

NOISE = 0.05
"""At least this share of a judge's variance is noise: likelihood alone may take a judge for the truth itself."""

STEPS = 200
"""The most steps of expectation and maximisation: they end where nothing moves by more than 1e-5."""


@dataclass(frozen=True)
class Reliability:
    """How far each judge can be trusted: its weight in a jury, how right it is, and what there is to say of it.

    `weights` sum to 1, or are all 0 where no judge carries anything. `accuracy` is of verdicts (yes or no) the
    estimated share that is right, of numbers the estimated correlation with what is true; None where nothing can be
    told. `notes` name every judge of weight 0 with the reason, and what else makes the weights doubtful. `gold` says
    whether they were measured, and not inferred.
    """

    weights: Mapping[str, float]
    accuracy: Mapping[str, float | None]
    notes: tuple[str, ...] = ()
    gold: bool = False


def reliability(
    marks: Sequence[Sequence[float | None]],
    gold: Sequence[float | None] | None = None,
    names: Sequence[str] | None = None,
) -> Reliability:
    """Estimate how reliable judges are: from `gold` where it is given, else from how they agree.

    `marks` has a row for each item and a column for each judge, None where it gave no mark; `gold` has a number for
    each item, None where it is not known. Where all marks are one of two values, a judge has a rate of yes among the
    good and one of no among the bad, and its weight is the log-odds ratio of the two: a judge that always says yes has
    none, however often that is right. Else its mark of item j is mu + gamma s_j + noise of variance psi, with the true
    value s_j ~ N(0, 1), and its weight is gamma / psi, on the scale of its own marks.

    A judge whose marks go with the others' (or with the gold) no more than chance has the weight 0, and so has one
    that contradicts them. Without gold, agreement is all there is to go by: judges that share a prejudice look
    reliable. Copies of one judge, the plainest case, are pointed out.
    """
    import numpy

    np: Any = numpy  # its types are not known alike in all of its versions
    names = _checked(marks, gold, names)
    grid = np.array([[np.nan if mark is None else float(mark) for mark in row] for row in marks])
    truth = None if gold is None else np.array([np.nan if one is None else float(one) for one in gold])
    told = np.unique(grid[~np.isnan(grid)])
    model = partial(_verdicts, np, told=told) if len(told) == 2 else partial(_numbers, np)
    return _judged(np, names, grid, truth, model)


def names_of(number: int) -> list[str]:
    """The names of judges who were given none."""
    return [f"juror {place}" for place in range(1, number + 1)]


@dataclass(frozen=True)
class _Fit:
    """A model of the judges: weight and accuracy of each; and what each item is worth, nan where nobody marked it."""

    weights: Any
    accuracy: Any
    worth: Any


# -- numbers -------------------------------------------------------------------------------------------------------


def _numbers(np: Any, grid: Any, truth: Any) -> _Fit:
    """One factor, z_jk = mu_k + gamma_k s_j + noise of variance psi_k, for marks that are standardised by judge."""
    seen, scale = ~np.isnan(grid), _scales(np, grid)
    z = np.where(seen, (grid - _means(np, grid)) / scale, 0.0)
    rows = seen if truth is None else seen & ~np.isnan(truth)[:, None]
    k = grid.shape[1]
    mu, gamma, psi = np.zeros(k), np.full(k, 0.7), np.full(k, 0.5)
    for _ in range(STEPS):
        s, s2 = _truths(np, z, seen, mu, gamma, psi) if truth is None else _given(np, truth)
        before, (mu, gamma, psi) = gamma, _regressed(np, z, rows, s, s2)
        if np.abs(before - gamma).max() < 1e-5:
            break
    accuracy = np.where(rows.any(0), gamma / np.sqrt(gamma**2 + psi), np.nan)
    worth = np.where(seen.any(1), _truths(np, z, seen, mu, gamma, psi)[0], np.nan)
    return _Fit(gamma / psi / scale, accuracy, worth)


def _truths(np: Any, z: Any, seen: Any, mu: Any, gamma: Any, psi: Any) -> tuple[Any, Any]:
    """The expected s and s squared of each item, given the marks that were seen."""
    precision = 1 + seen @ (gamma**2 / psi)
    s = (seen * (z - mu)) @ (gamma / psi) / precision
    return s, s**2 + 1 / precision


def _regressed(np: Any, z: Any, rows: Any, s: Any, s2: Any) -> tuple[Any, Any, Any]:
    """Each judge's marks regressed on s: intercept, slope, and the variance that is left."""
    s, s2 = s[:, None] * rows, s2[:, None] * rows
    n = np.maximum(rows.sum(0), 1)
    covariance = (z * s).sum(0) - (z * rows).sum(0) * s.sum(0) / n
    gamma = covariance / np.maximum(s2.sum(0) - s.sum(0) ** 2 / n, 1e-9)
    mu = ((z * rows).sum(0) - gamma * s.sum(0)) / n
    left = (z - mu) ** 2 * rows - 2 * gamma * (z - mu) * s + gamma**2 * s2
    return mu, gamma, np.maximum(left.sum(0) / n, NOISE)


def _given(np: Any, truth: Any) -> tuple[Any, Any]:
    """The gold as s, 0 where it is not known: such rows are left out."""
    s = np.nan_to_num((truth - np.nanmean(truth)) / (np.nanstd(truth) or 1.0))
    return s, s**2


def _means(np: Any, grid: Any) -> Any:
    return np.nansum(grid, 0) / np.maximum((~np.isnan(grid)).sum(0), 1)


def _scales(np: Any, grid: Any) -> Any:
    """The standard deviation of each judge's marks; 1 where they are all the same."""
    scale = np.sqrt(_means(np, (grid - _means(np, grid)) ** 2))
    return np.where(scale > 1e-12, scale, 1.0)


# -- verdicts ------------------------------------------------------------------------------------------------------


def _verdicts(np: Any, grid: Any, truth: Any, *, told: Any) -> _Fit:
    """Yes and no: a rate of yes among the good items, and one of no among the bad; items are good with a probability.

    The majority is where it begins.
    """
    seen = ~np.isnan(grid)
    yes, no = seen & (grid == told[1]), seen & (grid == told[0])
    good = yes.sum(1) / np.maximum(seen.sum(1), 1) if truth is None else _right(np, truth)
    for _ in range(STEPS):
        share, hits, rejections = _rates(np, good, yes, no)
        by_yes, by_no = np.log(hits / (1 - rejections)), np.log((1 - hits) / rejections)
        before = good
        if truth is None:
            good = 1 / (1 + np.exp(-(np.log(share / (1 - share)) + yes @ by_yes + no @ by_no)))
        if np.abs(np.nan_to_num(before - good)).max() < 1e-5:
            break
    share, hits, rejections = _rates(np, good, yes, no)
    by_yes, by_no = np.log(hits / (1 - rejections)), np.log((1 - hits) / rejections)
    worth = np.where(seen.any(1), yes @ by_yes + no @ by_no, np.nan)
    accuracy = np.where(seen.any(0), share * hits + (1 - share) * rejections, np.nan)
    return _Fit((by_yes - by_no) / (told[1] - told[0]), accuracy, worth)


def _rates(np: Any, good: Any, yes: Any, no: Any) -> tuple[Any, Any, Any]:
    """The share of good items, and by judge the rates of yes among the good and of no among the bad.

    One pseudo-observation of each kind keeps all of them off 0 and 1.
    """
    known = ~np.isnan(good)
    g, b = np.where(known, good, 0.0), np.where(known, 1 - good, 0.0)
    hits, rejections = (g @ yes + 1) / (g @ (yes | no) + 2), (b @ no + 1) / (b @ (yes | no) + 2)
    return (g.sum() + 1) / (known.sum() + 2), hits, rejections


def _right(np: Any, truth: Any) -> Any:
    """Gold as good (1) or bad (0); `TaskError` where it has other than two values."""
    found = np.unique(truth[~np.isnan(truth)])
    if len(found) != 2:
        raise TaskError(f"the judges say yes or no, and the gold has {len(found)} different values: expected two")
    return np.where(np.isnan(truth), np.nan, (truth == found[1]).astype(float))


# -- what is made of it --------------------------------------------------------------------------------------------


def _judged(np: Any, names: Sequence[str], grid: Any, truth: Any, model: Callable[[Any, Any], _Fit]) -> Reliability:
    """Each judge against the gold, or against what the others make of the items without it: a weight, or 0 and why."""
    fit, whom = model(grid, truth), "the others" if truth is None else "the gold"
    weights, notes = dict.fromkeys(names, 0.0), list[str]()
    for k, name in enumerate(names):
        against = model(np.delete(grid, k, 1), None).worth if truth is None else truth
        if why := _useless(np, grid[:, k], against, whom):
            notes.append(f"{name} has the weight 0: {why}")
        else:
            weights[name] = max(0.0, float(fit.weights[k]))
    whole = fsum(weights.values())
    if not whole:
        notes.append("no judge carries anything")
    elif truth is None and sum(map(bool, weights.values())) < 3:
        notes.append("fewer than three judges agree: which of them is the better one cannot be told without gold")
    shares = {name: weight / whole if whole else 0.0 for name, weight in weights.items()}
    accuracy = {name: _finite(value) for name, value in zip(names, fit.accuracy, strict=True)}
    return Reliability(shares, accuracy, (*notes, *_copies(np, names, grid)), truth is not None)


def _useless(np: Any, mine: Any, against: Any, whom: str) -> str:
    """Why a judge carries nothing; "" for one that does."""
    both = ~(np.isnan(mine) | np.isnan(against))
    n, x, y = int(both.sum()), mine[both], against[both]
    if n < ITEMS:
        return f"it marked {n} items that can be compared, and of fewer than {ITEMS} nothing can be told"
    if x.std() < 1e-12:
        return "it gave all items the same mark"
    if y.std() < 1e-12:
        return f"{whom} say the same of all items"
    r = float(np.corrcoef(x, y)[0, 1])
    sure = atanh(max(-0.999999, min(0.999999, r))) * sqrt(n - 3)  # Fisher's z
    if sure > CHANCE:
        return ""
    how = "contradicts" if sure < -CHANCE else "agrees only by chance with"
    return f"it {how} {whom} (correlation {r:+.2f}, {n} items)"


def _copies(np: Any, names: Sequence[str], grid: Any) -> list[str]:
    """The judges that say the same of everything, of whom one would do."""
    found = list[str]()
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            both = ~np.isnan(grid[:, a] + grid[:, b])
            x, y = grid[both, a], grid[both, b]
            if len(x) >= ITEMS and min(x.std(), y.std()) > 1e-12 and np.corrcoef(x, y)[0, 1] > 0.999:
                found.append(f"{names[a]} and {names[b]} say the same of all items: leave one of them out")
    return found


def _finite(value: Any) -> float | None:
    return float(value) if isfinite(value) else None


def _checked(
    marks: Sequence[Sequence[float | None]], gold: Sequence[float | None] | None, names: Sequence[str] | None
) -> list[str]:
    """The judges' names; `TaskError` for marks that no judge can be told by."""
    widths = {len(row) for row in marks}
    if len(widths) != 1 or not max(widths):
        raise TaskError("the marks have no rows, or rows of different lengths: expected a mark or None of each judge")
    given = [mark for row in (*marks, tuple(gold or ())) for mark in row if mark is not None]
    if bad := [mark for mark in given if not isfinite(mark)]:
        raise TaskError(f"a mark is {bad[0]!r}: expected finite numbers, or None where there is none")
    if gold is not None and len(gold) != len(marks):
        raise TaskError(f"there are {len(marks)} rows of marks and {len(gold)} of gold: expected as many")
    known = len(marks) if gold is None else sum(one is not None for one in gold)
    if known < ITEMS:
        raise TaskError(f"there are {known} items to tell judges by: expected at least {ITEMS}")
    (width,) = widths
    if gold is None and width < 2:
        raise TaskError("there is one judge and no gold, so it agrees with nobody: give gold, or more judges")
    if names is not None and (len(names) != width or len(set(names)) != width):
        raise TaskError(f"the names are {list(names)!r:.80}: expected {width} different ones")
    return list(names) if names is not None else names_of(width)
