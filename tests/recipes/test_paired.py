"""Paired: chances written out by hand, and a critic that is no better gets through as seldom as is said."""

from __future__ import annotations

from random import Random

import pytest

from thoughtgraph.recipes.paired import EXACT, LEVEL, chance


def wins(won: int, lost: int, same: int = 0) -> tuple[list[list[float]], list[list[float]]]:
    """Questions that only the new one answers, only the old one, and both."""
    return [[1.0]] * won + [[0.0]] * lost + [[1.0]] * same, [[0.0]] * won + [[1.0]] * lost + [[1.0]] * same


@pytest.mark.parametrize(
    ("grids", "expected"),
    [
        (wins(0, 0), 1.0),
        (wins(0, 0, 9), 1.0),
        (wins(5, 0, 3), 1 / 32),
        (wins(6, 0), 1 / 64),
        (wins(0, 6), 1.0),
        (wins(4, 1), 6 / 32),
        (wins(7, 1), 9 / 256),
        (([[0.3], [0.2]], [[0.1], [0.1]]), 1 / 4),
        (([[0.2], [0.2]], [[0.1], [0.3]]), 3 / 4),
        (([[None], [1.0]], [[0.0], [0.0]]), 1 / 2),
        (([[1.0, None]], [[0.0, 1.0]]), 1 / 2),
    ],
)
def test_the_chances_of_all_signs_are_counted(grids, expected):
    assert chance(*grids) == pytest.approx(expected)


def test_many_questions_are_tried_by_draws_and_say_the_same():
    assert EXACT < 20
    assert chance(*wins(15, 5)) == pytest.approx(0.0207, abs=0.004)  # P(Bin(20, 1/2) >= 15)
    assert chance(*wins(5, 15)) == pytest.approx(0.9941, abs=0.004)


def test_the_order_of_the_questions_makes_no_difference():
    random = Random(0)
    pairs = [(random.random(), random.random()) for _ in range(30)]
    again = random.sample(pairs, 30)
    one, other = ([[[new] for new, _ in told], [[old] for _, old in told]] for told in (pairs, again))
    assert chance(*one) == chance(*other)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_what_is_no_better_gets_through_in_one_of_forty_at_most(n):
    random, through = Random(n), 0
    for _ in range(400):
        new, old = ([[random.random()] for _ in range(n)] for _ in range(2))
        through += chance(new, old) <= LEVEL
    assert through / 400 <= LEVEL + 0.02  # two and a half standard errors
