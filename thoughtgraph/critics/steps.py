"""From the scores of steps to one of the solution (Lightman et al., 2023; Zhang et al., 2025, "Lessons").

Which of the ways is right depends on what the scores mean, and that on the labels they were trained on. A label from
rollouts is the chance to finish well *from here*: the last one says it for the whole, and the earlier ones are of the
past. A label of a judge says that *this step* is right: a solution is as good as its worst one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum, isfinite, log, prod
from typing import Literal, TypeAlias

from thoughtgraph.errors import TaskError

Aggregate: TypeAlias = Literal["last", "min", "product", "mean", "geometric", "log_odds"]
"""A way to make one number of many."""

Origin: TypeAlias = Literal["rollouts", "judged", "unknown"]
"""Where the labels of a reward model came from: Monte-Carlo rollouts, or people and models that read each step."""

BY_ORIGIN: Mapping[Origin, Aggregate] = {"rollouts": "last", "judged": "min", "unknown": "last"}
"""The way that fits each kind of label."""

EDGE = 1e-6
"""Log-odds are of probabilities this far from 0 and 1: a step that is surely wrong costs 13.8, and not all there is."""


def aggregated(scores: Sequence[float], how: Aggregate) -> float:
    """One number for a solution whose steps have these `scores`, in their order.

    `product` is lower for a longer solution of equally good steps (0.95 ten times is 0.60), and so is `log_odds` for
    steps under 1/2 (above, it is higher); `geometric` and `mean` do not mind the length. These three want
    probabilities. All but `log_odds` stay within the range of the scores.

    >>> aggregated([0.9, 0.4, 0.8], "min")
    0.4
    """
    if how not in WAYS:
        raise TaskError(f"the aggregate is {how!r}: expected one of {', '.join(WAYS)}")
    if not scores or not all(map(isfinite, scores)):
        raise TaskError(f"the scores of the steps are {list(scores)!r:.80}: expected one finite number or more")
    if how in PROBABILITIES and not all(0 <= score <= 1 for score in scores):
        raise TaskError(
            f"the scores of the steps are {list(scores)!r:.80}: {how!r} is for probabilities, from 0 to 1; "
            "choose last, min or mean"
        )
    return WAYS[how](scores)


def _mean(scores: Sequence[float]) -> float:
    return fsum(scores) / len(scores)


def _geometric(scores: Sequence[float]) -> float:
    return exp(_mean([log(score) for score in scores])) if all(scores) else 0.0


def _log_odds(scores: Sequence[float]) -> float:
    inside = [min(max(score, EDGE), 1 - EDGE) for score in scores]
    return fsum(log(p) - log(1 - p) for p in inside)


WAYS: Mapping[Aggregate, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1], "min": min, "product": prod,
    "mean": _mean, "geometric": _geometric, "log_odds": _log_odds,
}  # fmt: skip

PROBABILITIES = frozenset[Aggregate](("product", "geometric", "log_odds"))
"""The ways that want probabilities."""
