"""From the scores of steps to one of the solution."""

from __future__ import annotations

import math

import pytest

from thoughtgraph.critics.steps import BY_ORIGIN, WAYS, aggregated
from thoughtgraph.errors import TaskError


@pytest.mark.parametrize(
    ("how", "value"),
    [
        ("last", 0.8),
        ("min", 0.5),
        ("product", 0.36),
        ("mean", 2.2 / 3),
        ("geometric", 0.36 ** (1 / 3)),
        ("log_odds", math.log(9) + 0 + math.log(4)),
    ],
)
def test_each_way_by_hand(how, value: float):
    assert aggregated([0.9, 0.5, 0.8], how) == pytest.approx(value)


@pytest.mark.parametrize("how", WAYS)
def test_one_step_is_the_whole(how):
    assert aggregated([0.3], how) == pytest.approx(math.log(0.3 / 0.7) if how == "log_odds" else 0.3)


def test_a_long_chain_is_worth_less_by_the_product_and_as_much_by_the_geometric_mean():
    assert aggregated([0.95] * 10, "product") == pytest.approx(0.5987, abs=1e-4)
    assert aggregated([0.95] * 10, "geometric") == pytest.approx(0.95)


def test_a_step_that_is_surely_wrong_is_finite_in_every_way():
    values = {how: aggregated([0.0, 1.0], how) for how in WAYS}
    assert values == {
        "last": 1,
        "min": 0,
        "product": 0,
        "mean": 0.5,
        "geometric": 0,
        "log_odds": pytest.approx(0, abs=1e-6),
    }
    assert aggregated([0.0], "log_odds") == pytest.approx(-13.8, abs=0.1)


def test_the_way_goes_by_the_labels():
    assert BY_ORIGIN == {"rollouts": "last", "judged": "min", "unknown": "last"}


@pytest.mark.parametrize(
    ("scores", "how"),
    [([], "min"), ([float("nan")], "last"), ([1.5], "product"), ([-0.1, 0.5], "geometric"), ([2.0], "log_odds")],
)
def test_what_is_no_score_of_steps_is_refused(scores, how):
    with pytest.raises(TaskError, match=r"expected one finite|is for probabilities"):
        aggregated(scores, how)


def test_rewards_that_are_no_probabilities_have_a_least_and_a_last():
    assert (aggregated([-3.0, 2.0], "min"), aggregated([-3.0, 2.0], "last")) == (-3.0, 2.0)


def test_an_unknown_way_is_refused_by_name():
    with pytest.raises(TaskError, match="'median': expected one of last, min"):
        aggregated([0.5], "median")  # type: ignore[arg-type]
