"""Figures of somebody who judges: what they are by hand, and whether their intervals hold what they should."""

from math import erf

import numpy as np
import pytest

from thoughtgraph.learning.features import Example
from thoughtgraph.learning.figures import auc, figures, gain, ordered
from thoughtgraph.learning.lessons import Lesson
from thoughtgraph.learning.rows import Response

NOBODY = Example("q", Response(text="x"))


def alone(labels) -> Lesson:
    """A single response to each question."""
    names = tuple(map(str, range(len(labels))))
    return Lesson((NOBODY,) * len(labels), names, names, tuple(labels), (1.0,) * len(labels))


def drawn(seed: int, n: int, rare: float):
    """Labels, and two judges who know as much of them as each other."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rare).astype(float)
    return alone(y), y + rng.normal(size=n), y + rng.normal(size=n)


def test_across_questions_the_share_is_that_of_all_pairs():
    lesson, rewards = alone([1.0, 1.0, 0.0, 0.0]), np.array([3.0, 1.0, 2.0, 0.0])
    assert auc(lesson, rewards) == 0.75
    told = ordered(lesson, rewards)
    assert sum(told.values()) / 4 == pytest.approx(0.75)
    assert told == pytest.approx({"0": 1.25, "1": 0.25, "2": 0.25, "3": 1.25})  # 0.75 and twice what each is off


def test_who_is_always_right_is_surely_so():
    told = figures(alone([1.0, 0.0] * 10), np.array([1.0, 0.0] * 10)).pairs
    assert told is not None
    assert (told.mean, told.low, told.high) == (1.0, 1.0, 1.0)


def test_an_interval_across_questions_ends_at_one():
    lesson = alone([1.0, 0.0] * 10)
    told = figures(lesson, np.array([1.0, 0.0] * 9 + [0.0, 0.5])).pairs
    assert told is not None
    assert told.high == 1.0


@pytest.mark.parametrize("rare", [0.5, 0.15])
def test_the_spread_across_questions_is_that_of_the_share_itself(rare: float):
    """The shares of the single questions would be spread by half of it where labels are even, and less where not."""
    told = [np.array(list(ordered(*drawn(seed, 60, rare)[:2]).values())) for seed in range(80)]
    expected = np.mean([values.std() / len(values) ** 0.5 for values in told])
    assert expected / np.std([values.mean() for values in told]) == pytest.approx(1, abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("rare", [0.5, 0.15])
def test_intervals_across_questions_hold_the_truth_as_often_as_they_say(rare: float):
    truth, held, gains = (1 + erf(0.5)) / 2, 0, 0
    for seed in range(200):
        lesson, mine, theirs = drawn(seed, 200, rare)
        told, more = figures(lesson, mine).pairs, gain(lesson, mine, theirs)
        assert told is not None
        assert told.low is not None
        assert told.high is not None
        assert more is not None
        assert more.low is not None
        held += told.low <= truth <= told.high
        gains += more.low > 0
    assert held > 0.88 * 200
    assert gains < 0.07 * 200
