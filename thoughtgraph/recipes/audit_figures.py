"""The figures of an audit (Lambert et al., 2024; Zheng et al., 2025), each from verdicts and outcomes, by question."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.calibration import Bin, brier, calibrate, reliability
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.curves import Turn, band, best_of, draws, turning, vote_curve, voted
from thoughtgraph.learning.features import Example, table
from thoughtgraph.learning.fitted import fit
from thoughtgraph.learning.registry import SURFACE
from thoughtgraph.learning.splits import folds
from thoughtgraph.statistics import TAIL, Interval, interval
from thoughtgraph.thought import Json

DRAWS = 1_000
"""How often questions are drawn anew for a figure that is no mean."""

FOLDS = 5
"""Into so many parts, by question, rows are dealt for what must be fitted: a baseline, a threshold, a calibration."""

SLICES = 20
"""At most so many slices of a kind are told, the largest."""

FIRST, LAST = "shown first and valued most, beyond its share", "shown last and valued most, beyond its share"
"""Where the response valued most stood, against 1 / n."""

BEFORE, AFTER, SAID = "before its calibration", "after its calibration", "as it says"
"""Which probabilities of a critic a reliability is of: the last two are those that it gives as it stands."""

Kind: TypeAlias = Literal["outcomes", "preferences", "steps"]
Value: TypeAlias = float | None


@dataclass(frozen=True)
class Judged:
    """A set of responses with what the critic said of each (None: it abstained) and what each is worth, in [0, 1].

    `id` is the question's. `places` say in which order they were shown, `forms` are their answers as they are
    compared. Of preferences, `duels` are (better, worse), and a response is worth the share that it won; of steps, the
    examples are the beginnings of one response, and `first_error` is the step that is known to be the first wrong one.
    """

    id: str
    examples: tuple[Example, ...]
    values: tuple[Value, ...]
    worth: tuple[Value, ...]
    places: tuple[int, ...]
    forms: tuple[Hashable | None, ...] = ()
    duels: tuple[tuple[int, int], ...] = ()
    first_error: int | None = None
    kind: Kind = "outcomes"
    raw: tuple[Value, ...] = ()

    @property
    def lengths(self) -> list[float]:
        """Characters of each response."""
        return [float(len(example.response.text)) for example in self.examples]

    @property
    def generators(self) -> list[str]:
        """Who wrote each."""
        return [example.response.generator for example in self.examples]


# -- means over questions, and what is none ------------------------------------------------------------------------


def resampled(statistic: Callable[[Any], float], groups: Sequence[str]) -> Interval:
    """A figure of weighted rows that is no mean, and its interval where questions are drawn with replacement.

    `statistic` takes a weight for each row. The interval is moved by the bias that the draws show: what measures
    distances grows with noise, and noise drawn anew is noise twice.
    """
    import numpy

    np: Any = numpy
    known = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    group = np.array([known[name] for name in groups])
    told = statistic(np.ones(len(group)))
    if len(known) < 2:
        return Interval(told)
    found = np.array([statistic(weights[group].astype(float)) for weights in draws(len(known))[:DRAWS]])
    found = found[np.isfinite(found)]
    if not len(found):
        return Interval(told)
    low, high = np.percentile(found - (found.mean() - told), [TAIL, 100 - TAIL])
    return Interval(told, round(min(float(low), told), 12), round(max(float(high), told), 12))


def above(values: Sequence[Value], pairs: Any) -> list[float]:
    """For each (i, j) that `pairs` marks, 1 where i is valued above j, 0 where below, 1/2 where equal."""
    import numpy

    np: Any = numpy
    v = np.array([np.nan if value is None else value for value in values], float)
    gap = v[:, None] - v[None, :]
    gap = gap[pairs & ~np.isnan(gap)]
    return ((gap > 0) + 0.5 * (gap == 0)).tolist()


def contested(judged: Judged) -> Any:
    """The pairs (better, worse): as they were preferred, or as their worth differs. A square of truth values."""
    import numpy

    np: Any = numpy
    if judged.kind == "preferences":
        pairs = np.zeros((len(judged.examples),) * 2, bool)
        for better, worse in judged.duels:
            pairs[better, worse] = True
        return pairs
    worth = np.array([np.nan if w is None else w for w in judged.worth], float)
    return worth[:, None] > worth[None, :]


def pair_rows(told: Sequence[Judged], values: Sequence[Sequence[Value]] | None = None) -> list[list[float]]:
    """A row of pairs for each set: 1 where the better one was valued higher, 1/2 where alike, 0 where lower."""
    said = [judged.values for judged in told] if values is None else values
    return [above(v, contested(judged)) for v, judged in zip(said, told, strict=True)]


def liking_rows(told: Sequence[Judged], which: Literal["length", "place"]) -> list[list[float]]:
    """Of two responses of equal worth, whether the longer (or the one shown earlier) was valued higher: 1/2 is fair."""
    import numpy

    np: Any = numpy
    rows = list[list[float]]()
    for judged in told:
        key = np.array(judged.lengths if which == "length" else [-place for place in judged.places], float)
        worth = np.array([np.nan if w is None else w for w in judged.worth], float)
        rows.append(above(judged.values, (worth[:, None] == worth[None, :]) & (key[:, None] > key[None, :])))
    return rows


def end_rows(told: Sequence[Judged], *, first: bool) -> list[list[float]]:
    """Whether the response shown first (or last) of a set is valued most, less its fair share of 1 / n; ties share."""
    rows = list[list[float]]()
    for judged in told:
        known = [(value, place) for value, place in zip(judged.values, judged.places, strict=True) if value is not None]
        if len(known) < 2:
            continue
        top = max(value for value, _ in known)
        places = [place for value, place in known if value == top]
        end = (min if first else max)(place for _, place in known)
        rows.append([(end in places) / len(places) - 1 / len(known)])
    return rows


@dataclass(frozen=True)
class Flat:
    """All judged responses side by side: values, worth and question of each."""

    values: Any
    worth: Any
    groups: list[str]


def flat(told: Sequence[Judged], values: Sequence[Sequence[Value]] | None = None) -> Flat:
    """Those responses that were judged and whose worth is known."""
    import numpy as np

    said = [judged.values for judged in told] if values is None else values
    rows = [
        (v, w, judged.id)
        for judged, own in zip(told, said, strict=True)
        for v, w in zip(own, judged.worth, strict=True)
        if v is not None and w is not None
    ]
    v, w = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    return Flat(v, w, [row[2] for row in rows])


def auc(rows: Flat) -> Interval | None:
    """The chance that a right response is valued above a wrong one, whatever their questions; None of one class.

    A worth between counts as so much right and so much wrong.
    """
    import numpy

    np: Any = numpy
    if not 0 < rows.worth.sum() < len(rows.worth):
        return None
    _, rank = np.unique(rows.values, return_inverse=True)

    def area(weight: Any) -> float:
        right = np.bincount(rank, weight * rows.worth)
        wrong = np.bincount(rank, weight * (1 - rows.worth))
        all_ = right.sum() * wrong.sum()
        return float(right @ (np.cumsum(wrong) - wrong / 2) / all_) if all_ else float("nan")

    return resampled(area, rows.groups)


# -- calibration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reliability:
    """How far the probabilities that a critic gives are from the shares that were right; `name` says which ones."""

    name: str
    ece: Interval
    brier: Interval
    table: tuple[Bin, ...]

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        bins = [row._asdict() for row in self.table]
        return {"name": self.name, "ece": self.ece.to_json(), "brier": self.brier.to_json(), "table": bins}


def reliable(name: str, rows: Flat) -> Reliability | None:
    """The reliability of values in [0, 1], in ten bins of equal mass; None where there are none."""
    import numpy

    np: Any = numpy
    if not len(rows.values):
        return None
    bins = reliability(rows.values, rows.worth)
    place = np.minimum(np.searchsorted([b.high for b in bins], rows.values), len(bins) - 1)
    gap = rows.values - rows.worth

    def error(weight: Any) -> float:
        return float(np.abs(np.bincount(place, weight * gap)).sum() / weight.sum())

    squares = by_group(rows.groups, (gap**2).tolist())
    mean_square = interval(squares) or Interval(brier(rows.values, rows.worth))
    return Reliability(name, _above_zero(resampled(error, rows.groups)), mean_square, tuple(bins))


def _above_zero(error: Interval) -> Interval:
    """The interval of an error, which is never below 0, however the resampling is corrected for its bias."""
    return error if error.low is None else Interval(error.mean, max(0.0, error.low), error.high)


def by_group(groups: Sequence[str], numbers: Sequence[float]) -> list[list[float]]:
    """Numbers as a row for each question."""
    rows = dict[str, list[float]]()
    for group, number in zip(groups, numbers, strict=True):
        rows.setdefault(group, []).append(number)
    return list(rows.values())


def calibrated(rows: Flat, seed: int) -> Flat:
    """The same values as probabilities, by a curve (Platt, 1999) that was fitted to other questions."""
    import numpy

    np: Any = numpy
    unit = len(rows.values) and rows.values.min() >= 0 and rows.values.max() <= 1
    p = np.clip(rows.values, 1e-4, 1 - 1e-4)
    z = np.log(p / (1 - p)) if unit else rows.values
    groups, said = np.array(rows.groups), np.zeros(len(z))
    for part in folds(rows.groups, FOLDS, seed):
        out = np.isin(groups, sorted(part))
        if out.all():
            return Flat(np.full(len(z), rows.worth.mean()), rows.worth, rows.groups)
        fitted = calibrate(z[~out], rows.worth[~out], groups[~out].tolist(), methods=("platt",))
        said[out] = fitted(z[out])
    return Flat(said, rows.worth, rows.groups)


# -- what is chosen --------------------------------------------------------------------------------------------------

BEST = "the critic's best"
WEIGHTED = "vote weighted by the critic"
RANDOM, MAJORITY, LONGEST, SHORTEST, SINGLE, ORACLE = (
    "random", "majority vote", "longest", "shortest", "best single generator", "oracle",
)  # fmt: skip


def ways(told: Sequence[Judged], seed: int, *, weigh: bool, vote: bool) -> dict[str, list[float]]:
    """What is chosen among all responses to each question is worth, by each way to choose.

    `vote` says that answers can be compared, `weigh` that the critic's values can weigh votes. The best single
    generator is chosen on other questions than those it stands for.
    """
    found = {
        RANDOM: [_mean(_worth(judged)) for judged in told],
        BEST: [_best(judged, judged.values) for judged in told],
    }
    if vote and weigh:
        found[WEIGHTED] = [voted(j.forms, weights(j), _worth(j)) for j in told]
    if vote:
        found[MAJORITY] = [voted(j.forms, [1.0] * len(j.forms), _worth(j)) for j in told]
    found[LONGEST] = [_best(judged, judged.lengths) for judged in told]
    found[SHORTEST] = [_best(judged, [-length for length in judged.lengths]) for judged in told]
    if len(names := {name for judged in told for name in judged.generators}) > 1:
        found[SINGLE] = _single(told, sorted(names), seed)
    return {**found, ORACLE: [max(_worth(judged)) for judged in told]}


def weights(judged: Judged) -> list[float]:
    """The critic's values as votes: one without a value weighs as the others do in the mean, and all alike if none has.

    An abstention is no low grade: what the critic could not judge keeps its vote.
    """
    known = [value for value in judged.values if value is not None]
    usual = sum(known) / len(known) if any(known) else 1.0
    return [usual if value is None or not any(known) else value for value in judged.values]


def _worth(judged: Judged) -> list[float]:
    return [w for w in judged.worth if w is not None]


def _best(judged: Judged, keys: Sequence[Value]) -> float:
    return best_of(keys, judged.worth)[-1] or 0.0


def _single(told: Sequence[Judged], names: Sequence[str], seed: int) -> list[float]:
    """What one generator reaches that was chosen on other questions; the mean of a question where it is missing."""
    own = [{name: _mean(_of(judged, name)) for name in names if _of(judged, name)} for judged in told]
    found = dict[str, float]()
    for part in folds([judged.id for judged in told], FOLDS, seed):
        seen = [means for judged, means in zip(told, own, strict=True) if judged.id not in part]
        best = max(names, key=lambda name: _mean([means[name] for means in seen if name in means] or [0.0]))
        for judged, means in zip(told, own, strict=True):
            if judged.id in part:
                found[judged.id] = means.get(best, _mean(_worth(judged)))
    return [found[judged.id] for judged in told]


def _of(judged: Judged, name: str) -> list[float]:
    return [w for w, by in zip(_worth(judged), judged.generators, strict=True) if by == name]


@dataclass(frozen=True)
class Curves:
    """Reward and evaluation of what is chosen among L = 1..N responses, as means over `questions` questions.

    `reward` is None where the critic gave no value. `turn` says where the evaluation of the critic's best turns down.
    """

    questions: int
    reward: tuple[Interval | None, ...]
    evaluation: Mapping[str, tuple[Interval, ...]]
    turn: Turn | None

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        told = {name: [one.to_json() for one in curve] for name, curve in self.evaluation.items()}
        reward = [None if one is None else one.to_json() for one in self.reward]
        turn = None if self.turn is None else self.turn.to_json()
        return {"questions": self.questions, "reward": reward, "evaluation": told, "turn": turn}


def curves(told: Sequence[Judged], seed: int, *, weigh: bool, vote: bool) -> Curves | None:
    """Reward and evaluation over L (equation 3), up to as many responses as half of the questions have."""
    sizes = sorted(len(judged.examples) for judged in told)
    if not sizes or (N := sizes[len(sizes) // 2]) < 2:
        return None
    long = [judged for judged in told if len(judged.examples) >= N]
    found = dict[str, list[list[float]]]()
    found[BEST] = [_curve(j, j.values, N) for j in long]
    if vote and weigh:
        found[WEIGHTED] = [vote_curve(j.forms, weights(j), _worth(j), f"{seed}/{j.id}")[:N] for j in long]
    if vote:
        found[MAJORITY] = [vote_curve(j.forms, [1.0] * len(j.forms), _worth(j), f"{seed}/{j.id}")[:N] for j in long]
    found[LONGEST] = [_curve(j, j.lengths, N) for j in long]
    found[SHORTEST] = [_curve(j, [-length for length in j.lengths], N) for j in long]
    found[RANDOM] = [[_mean(_worth(j))] * N for j in long]
    found[ORACLE] = [_curve(j, j.worth, N) for j in long]
    reward = [best_of(j.values, j.values)[:N] for j in long]
    means = {name: tuple(band(rows)) for name, rows in found.items()}
    return Curves(
        len(long), tuple(interval([[v] for v in c]) for c in zip(*reward, strict=True)), means, turning(found[BEST])
    )


def _curve(judged: Judged, keys: Sequence[Value], N: int) -> list[float]:
    return [value or 0.0 for value in best_of(keys, judged.worth)[:N]]


# -- what anybody could fake -----------------------------------------------------------------------------------------


def surface(told: Sequence[Judged], seed: int) -> list[list[Value]]:
    """What a model of surface features alone (length, digits, layout) says, fitted on other questions."""
    import numpy

    np: Any = numpy
    X = table([judged.examples for judged in told], SURFACE)
    y = np.array([np.nan if w is None else w for judged in told for w in judged.worth], float)
    groups = np.array([judged.id for judged in told for _ in judged.examples])
    said = np.zeros(len(y))
    for part in folds(groups.tolist(), FOLDS, seed):
        out = np.isin(groups, sorted(part))
        seen = ~out & ~np.isnan(y)
        if seen.any():
            said[out] = _fitted(X[seen], y[seen], X[out])
    left = iter(said.tolist())
    return [[next(left) for _ in judged.examples] for judged in told]


def _fitted(X: Any, y: Any, new: Any) -> Any:
    try:
        return fit(X, y, learner="logistic")(new)
    except TaskError:  # one class alone: nothing to learn, and nothing said
        return 0.0


# -- slices ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slice:
    """A part of the responses: how well it is told apart, and what the critic says of it against what is right.

    `gap` is the mean value less the mean worth: above 0 where the critic overrates, None where values are no
    probabilities.
    """

    by: str
    name: str
    responses: int
    auc: Interval | None
    said: float
    right: float
    gap: Interval | None

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        told = {"by": self.by, "name": self.name, "responses": self.responses, "said": self.said, "right": self.right}
        return {**told, "auc": _json(self.auc), "gap": _json(self.gap)}


def slices(told: Sequence[Judged], by: str, of: Callable[[Example], str], *, probable: bool) -> list[Slice]:
    """The slices of one kind, the largest first."""
    parts = dict[str, list[tuple[float, float, str]]]()
    for judged in told:
        for example, value, worth in zip(judged.examples, judged.values, judged.worth, strict=True):
            if value is not None and worth is not None:
                parts.setdefault(str(of(example)), []).append((value, worth, judged.id))
    largest = sorted(parts.items(), key=lambda part: (-len(part[1]), part[0]))[:SLICES]
    return [_slice(by, name, rows, probable=probable) for name, rows in largest]


def _slice(by: str, name: str, rows: Sequence[tuple[float, float, str]], *, probable: bool) -> Slice:
    import numpy as np

    said, right, groups = (list(column) for column in zip(*rows, strict=True))
    found = Flat(np.array(said, float), np.array(right, float), groups)
    gap = interval(by_group(groups, (found.values - found.worth).tolist())) if probable else None
    return Slice(by, name, len(rows), auc(found), _mean(said), _mean(right), gap)


def thirds(told: Sequence[Judged]) -> Callable[[Example], str]:
    """Short, middling or long, by thirds of all responses."""
    lengths = sorted(length for judged in told for length in judged.lengths)
    low, high = lengths[len(lengths) // 3], lengths[2 * len(lengths) // 3]

    def third(example: Example) -> str:
        length = len(example.response.text)
        if length < low:
            return f"under {low:g} characters"
        return f"{low:g} to {high:g} characters" if length <= high else f"over {high:g} characters"

    return third


# -- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FirstError:
    """How well the first wrong step is found (ProcessBench: Zheng et al., 2025).

    `erroneous` is the share of responses with a wrong step whose first one was named exactly, `correct` the share of
    responses without any in which none was named, and `f1` their harmonic mean. The step named is the first that is
    valued under a threshold, which was chosen on other questions.
    """

    f1: Interval
    erroneous: float
    correct: float
    traces: int

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        return {"f1": _json(self.f1), "erroneous": self.erroneous, "correct": self.correct, "traces": self.traces}


def first_error(told: Sequence[Judged], seed: int) -> FirstError | None:
    """The figure of all traces whose first error is known; None where they are not of both kinds."""
    import numpy

    np: Any = numpy
    known = [judged for judged in told if judged.first_error is not None]
    wrong = np.array([judged.first_error != len(judged.examples) for judged in known], bool)
    if not len(wrong) or wrong.all() or not wrong.any():
        return None
    cuts = _cuts(known)
    hits = np.array([[_named(judged, cut) == judged.first_error for cut in cuts] for judged in known], float)
    groups = np.array([judged.id for judged in known])
    own = np.zeros(len(known))
    for part in folds(groups.tolist(), FOLDS, seed):
        out = np.isin(groups, sorted(part))
        seen = ~out if (~out).any() else out
        best = int(np.argmax([_harmonic(hits[seen, c], wrong[seen], np.ones(seen.sum())) for c in range(len(cuts))]))
        own[out] = hits[out, best]
    f1 = resampled(lambda weight: _harmonic(own, wrong, weight), groups.tolist())
    return FirstError(f1, float(own[wrong].mean()), float(own[~wrong].mean()), len(known))


def _cuts(known: Sequence[Judged]) -> list[float]:
    """Thresholds to choose from: between the values that were given, at most fifty."""
    np = arrays()

    values = sorted({value for judged in known for value in judged.values if value is not None})
    middles = [(a + b) / 2 for a, b in pairwise(values)] or [0.5]
    return [float(cut) for cut in np.quantile(middles, np.linspace(0, 1, min(50, len(middles))), method="nearest")]


def _named(judged: Judged, cut: float) -> int:
    """The first step valued under the threshold; a step that was not judged is passed over."""
    low = (step for step, value in enumerate(judged.values) if value is not None and value < cut)
    return next(low, len(judged.values))


def _harmonic(hits: Any, wrong: Any, weight: Any) -> float:
    erroneous, correct = weight[wrong], weight[~wrong]
    if not erroneous.sum() or not correct.sum():
        return float("nan")
    a, b = float(hits[wrong] @ erroneous / erroneous.sum()), float(hits[~wrong] @ correct / correct.sum())
    return 2 * a * b / (a + b) if a + b else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _json(said: Interval | None) -> Json:
    return None if said is None else said.to_json()
