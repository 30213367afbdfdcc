"""Calibration: probabilities that mean what they say, by the method that does best on questions held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.calibration import (
    CALIBRATE,
    METHODS,
    Bin,
    Calibration,
    brier,
    calibrate,
    ece,
    isotonic,
    platt,
    reliability,
    temperature,
)
from thoughtgraph.learning.linear import sigmoid

RNG = np.random.default_rng(2)
TRUE = RNG.normal(size=3000)
Y = (RNG.random(3000) < sigmoid(TRUE)).astype(float)
GROUPS = [str(k // 5) for k in range(3000)]
ONES = np.ones(3000)


@pytest.mark.parametrize(
    ("told", "method"),
    [
        (TRUE, "none"),
        (4 * TRUE, "temperature"),
        (4 * TRUE + 3, "platt"),
        (np.where(TRUE > 0, TRUE * 8, TRUE / 8), "isotonic"),
    ],
)
def test_the_simplest_method_that_mends_a_distortion_is_chosen(told: object, method: str):
    chosen = calibrate(told, Y, GROUPS)
    assert chosen.method == method
    assert ece(chosen(told), Y) < 0.03


def test_the_slope_and_shift_of_a_distortion_are_undone():
    assert temperature(4 * TRUE, Y, ONES).slope == pytest.approx(0.25, rel=0.1)
    found = platt(4 * TRUE + 3, Y, ONES)
    assert (found.slope, found.shift) == (pytest.approx(0.25, rel=0.1), pytest.approx(-0.75, abs=0.1))


def test_pooled_neighbours_share_a_block():
    found = isotonic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4))
    assert found.at == (1.0, 2.0, 3.0, 4.0)
    assert found.gives == pytest.approx((1 / 6, 0.5, 0.5, 5 / 6))  # the ends are one observation short of certain
    assert found(np.array([-9.0, 1.5, 2.5, 9.0])) == pytest.approx([1 / 6, 1 / 3, 0.5, 5 / 6])
    rows = np.array([1.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0]), np.ones(3)
    assert isotonic(*rows).gives == pytest.approx((0.5, 0.8))  # rows of one logit are one, whatever their order


def test_a_score_that_points_the_wrong_way_says_nothing_at_all():
    found = platt(-TRUE, Y, ONES)
    assert found.slope == 0
    assert found(np.array([-5.0, 5.0])) == pytest.approx([Y.mean()] * 2, abs=0.01)


def test_with_few_questions_a_curve_is_not_chosen():
    rows = slice(0, 20)
    assert calibrate(TRUE[rows], Y[rows], GROUPS[:20]).method in ("none", "temperature")
    assert calibrate(TRUE[rows], Y[rows], ["one"] * 20) == Calibration()
    assert calibrate(TRUE[rows], np.ones(20), GROUPS[:20]) == Calibration()


def test_rows_of_one_question_are_never_on_both_sides():
    """Each question has a right answer or none, and its own score: who saw its rows would know."""
    z = np.repeat(np.random.default_rng(0).normal(size=100), 20)
    y = np.repeat(np.random.default_rng(1).integers(0, 2, size=100).astype(float), 20)
    groups = [str(k // 20) for k in range(2000)]
    assert calibrate(z, y, groups).method != "isotonic"
    assert brier(isotonic(z, y, np.ones(2000))(z), y) < 0.25  # which to somebody who looks at all rows seems good


def test_a_row_of_no_weight_does_not_count():
    weight = np.where(np.arange(3000) < 1500, 1.0, 0.0)
    spoilt = np.where(np.arange(3000) < 1500, Y, 1 - Y)
    for method in METHODS:
        half = CALIBRATE[method](TRUE, spoilt, weight * 2)
        assert ece(half(TRUE[:1500]), Y[:1500]) < 0.05


@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=40))
def test_every_calibration_rises_and_stays_within_0_and_1(rows: list[tuple[float, bool]]):
    z, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    for method in METHODS:
        p = CALIBRATE[method](z, y, np.ones(len(z)))(np.linspace(-60, 60, 50))
        assert ((p >= 0) & (p <= 1)).all()
        assert (np.diff(p) >= -1e-12).all()


# -- how well calibrated ---------------------------------------------------------------------------------------------


def test_the_reliability_table_has_bins_of_equal_numbers():
    p, y = [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 0]
    assert reliability(p, y, bins=2) == [
        Bin(0.1, 0.2, pytest.approx(0.15), 0.0, 2),
        Bin(0.8, 0.9, pytest.approx(0.85), 0.5, 2),
    ]
    assert ece(p, y, bins=2) == pytest.approx((0.15 + 0.35) / 2)


def test_rows_of_one_probability_stay_in_one_bin_whatever_their_order():
    p, y = [0.5] * 100, [0.0] * 50 + [1.0] * 50
    assert ece(p, y) == 0.0
    assert len(reliability(p, y)) == 1


def test_the_brier_score_is_the_mean_squared_error():
    assert brier([1.0, 0.0, 0.5], [1, 1, 1]) == pytest.approx((0 + 1 + 0.25) / 3)


def test_of_nothing_there_is_no_error():
    assert reliability([], []) == []
    assert ece([], []) == 0.0


@pytest.mark.parametrize(
    "told",
    [
        {"slope": -1.0},
        {"slope": float("nan")},
        {"at": (0.0, 1.0), "gives": (0.5,)},
        {"at": (1.0, 0.0), "gives": (0.1, 0.5)},
        {"at": (0.0, 1.0), "gives": (0.5, 0.1)},
        {"at": (0.0,), "gives": (1.5,)},
    ],
)
def test_a_calibration_that_does_not_rise_is_refused(told: dict[str, object]):
    with pytest.raises(TaskError, match="calibration"):
        Calibration("platt", **told)
