"""How well somebody judges: pairs in order, the worth of the best, by question (Lambert et al., 2024: RewardBench)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.lessons import Lesson, mean
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.thought import Json


@dataclass(frozen=True, slots=True)
class Figures:
    """How well somebody judges questions that they have not seen, by question; None where the rows cannot tell.

    `pairs` is the share of pairs in the right order, 0.5 by chance: pairs of responses to one question, or, where
    questions have a single response each, of different questions. `best` is the mean label of the response that is
    chosen out of each set.
    """

    pairs: Interval | None = None
    best: Interval | None = None

    def __str__(self) -> str:
        best = "" if self.best is None else f", best of each set {self.best}"
        return f"pairs {self.pairs}{best}"

    def to_json(self) -> Json:
        """As JSON data."""
        return {name: told and told.to_json() for name, told in (("pairs", self.pairs), ("best", self.best))}


def figures(lesson: Lesson, rewards: Any) -> Figures:
    """Both figures, of these rewards."""
    pairs, best = ordered(lesson, rewards), chosen(lesson, rewards)
    return Figures(_share(interval([[x] for x in pairs.values()])), interval([[x] for x in best.values()]))


def _share(told: Interval | None) -> Interval | None:
    """An interval of a share, which ends at 0 and 1."""
    if told is None or told.low is None or told.high is None:
        return told
    return Interval(told.mean, max(0.0, told.low), min(1.0, told.high))


def gain(lesson: Lesson, rewards: Any, others: Any) -> Interval | None:
    """How many more pairs are in the right order by `rewards` than by `others`, paired by question."""
    a, b = ordered(lesson, rewards), ordered(lesson, others)
    return difference([[x] for x in a.values()], [[b[question]] for question in a])


def ordered(lesson: Lesson, rewards: Any) -> dict[str, float]:
    """For each question the share of its pairs in the right order, or its part in that of all; ties are half right.

    A pair counts by how far its labels are apart, so that noise between like ones decides nothing.
    """
    np = arrays()

    if lesson.duels:
        return _won(lesson, rewards)
    y, r = np.asarray(lesson.labels), np.asarray(rewards)
    places = dict[str, list[int]]()
    for i, question in enumerate(lesson.questions):
        places.setdefault(question, []).append(i)
    within = {question: _won_of(y, r, at, at) for question, at in places.items()}
    found = {question: won / of for question, (won, of) in within.items() if of}
    return found if 2 * len(found) >= min(len(places), 20) else _across(y, r, places)


def _across(y: Any, r: Any, places: Mapping[str, list[int]]) -> dict[str, float]:
    """The share of all pairs, as one number a question: their mean is it, their spread its own (DeLong et al., 1988).

    A question stands in pairs with all others, on either side, so it moves the whole by twice what its own share is
    off: the shares themselves would make an interval of half the width, or less.
    """
    told = {question: _won_of(y, r, at, list(range(len(y)))) for question, at in places.items()}
    all_ = fsum(of for _, of in told.values())
    share = fsum(won for won, _ in told.values()) / all_ if all_ else 0.0
    by = 2 * len(places) / (all_ or 1.0)
    return {question: share + by * (won - share * of) for question, (won, of) in told.items() if all_}


def _won(lesson: Lesson, rewards: Any) -> dict[str, float]:
    """The share of each question's duels, ties left out, that went to the one with the higher reward."""
    shares = dict[str, list[float]]()
    for duel in lesson.duels:
        if duel.target != 0.5:
            apart = float(rewards[duel.better] - rewards[duel.worse])
            shares.setdefault(lesson.questions[duel.better], []).append((apart > 0) + (apart == 0) / 2)
    return {question: mean(won) for question, won in shares.items()}


def _won_of(y: Any, r: Any, some: list[int], others: list[int]) -> tuple[float, float]:
    """How much of the distance between labels is in the right order, and how much there is."""
    np = arrays()

    apart: Any = y[some][:, None] - y[others]
    right: Any = (1 + np.sign(apart) * np.sign(r[some][:, None] - r[others])) / 2
    return float((np.abs(apart) * right).sum()), float(np.abs(apart).sum())


def chosen(lesson: Lesson, rewards: Any) -> dict[str, float]:
    """For each set the label of its best, the mean of them where several are; empty where no set has a choice."""
    sets = {key: at for key, at in lesson.by_set().items() if len(at) > 1} if lesson.labels else {}
    if not any(len({lesson.labels[i] for i in at}) > 1 for at in sets.values()):
        return {}
    return {key: _label_of_best(lesson, rewards, at) for key, at in sets.items()}


def _label_of_best(lesson: Lesson, rewards: Any, at: Sequence[int]) -> float:
    top = max(float(rewards[i]) for i in at)
    return mean([lesson.labels[i] for i in at if float(rewards[i]) == top])


def auc(lesson: Lesson, rewards: Any) -> float:
    """How often a one gets a higher reward than a zero, over all pairs of them; 1/2 by chance."""
    np = arrays()

    y, r = np.asarray(lesson.labels), np.asarray(rewards)
    ones, zeros = np.sort(r[y > 0.5]), r[y <= 0.5]
    above: Any = len(ones) - (np.searchsorted(ones, zeros, "left") + np.searchsorted(ones, zeros, "right")) / 2
    return float(above.mean() / len(ones))
