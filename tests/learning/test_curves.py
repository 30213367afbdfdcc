"""Choosing among n of N: against every subset, by hand, and where a planted curve turns down."""

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughtgraph.learning.curves import band, best_of, divergence, turning, vote_curve, voted
from thoughtgraph.statistics import interval


def by_hand(keys, worth, n):
    """The mean over all subsets of n, those of equal keys averaged."""
    chosen = []
    for subset in combinations(range(len(keys)), n):
        top = max(-np.inf if keys[i] is None else keys[i] for i in subset)
        ties = [worth[i] for i in subset if (-np.inf if keys[i] is None else keys[i]) == top]
        chosen.append(sum(ties) / len(ties))
    return sum(chosen) / len(chosen)


def test_the_best_of_two_is_the_mean_over_the_pairs():
    assert best_of([0.1, 0.9, 0.5], [0, 1, 0]) == pytest.approx([1 / 3, 2 / 3, 1.0])


responses = st.lists(st.tuples(st.sampled_from([None, 0.0, 0.25, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1)


@given(responses.filter(lambda told: len(told) < 8))
def test_the_formula_is_the_mean_over_all_subsets(told):
    keys, worth = [key for key, _ in told], [value for _, value in told]
    expected = [by_hand(keys, worth, n) for n in range(1, len(told) + 1)]
    assert best_of(keys, worth) == pytest.approx(expected)


def test_equal_keys_make_a_flat_curve():
    assert best_of([2.0] * 4, [1, 0, 0, 0]) == pytest.approx([0.25] * 4)


def test_the_oracle_is_pass_at_k():
    worth = [1.0] * 3 + [0.0] * 13
    expected = [1 - comb(13, k) / comb(16, k) for k in range(1, 17)]
    assert best_of(worth, worth) == pytest.approx(expected)


def test_the_reward_is_the_mean_over_choices_that_have_one():
    """Of two, one abstained: the best of one is it in half of the cases, in which there is no reward to tell."""
    keys = [None, 0.8]
    assert best_of(keys, keys) == pytest.approx([0.8, 0.8])
    assert best_of([None, None], [None, None]) == [None, None]


def test_what_is_never_ranked_is_chosen_only_where_nothing_else_is():
    assert best_of([None, 0.0], [1.0, 0.0]) == pytest.approx([0.5, 0.0])


def test_a_thousand_responses_are_no_trouble():
    curve = best_of(list(range(1000)), [float(i) for i in range(1000)])
    assert curve[0] == pytest.approx(499.5)
    assert curve[-1] == 999.0


def test_most_votes_win_and_weights_turn_the_vote():
    forms, worth = ["7", "7", "9"], [0.0, 0.0, 1.0]
    assert voted(forms, [1, 1, 1], worth) == 0.0
    assert voted(forms, [0.1, 0.2, 0.9], worth) == 1.0


def test_answers_that_tie_are_averaged_and_nobody_votes_for_nothing():
    assert voted(["7", "9", None, None, None], [1] * 5, [1.0, 0.0, 0.0, 0.0, 0.0]) == 0.5
    assert voted([None, None], [1, 1], [1.0, 0.0]) == 0.5


def test_the_scale_of_weights_makes_no_difference():
    assert voted(["a", "b"], [1e-13, 5e-14], [1.0, 0.0]) == 1.0
    assert vote_curve(["a", "b"], [1e-13, 5e-14], [1.0, 0.0])[-1] == 1.0


def test_the_curve_of_a_vote_begins_at_random_and_ends_at_the_vote():
    curve = vote_curve(["7", "7", "9"], [1, 1, 1], [1.0, 1.0, 0.0], "a")
    assert curve[0] == pytest.approx(2 / 3, abs=0.2)
    assert curve[-1] == 1.0
    assert curve == vote_curve(["7", "7", "9"], [1, 1, 1], [1.0, 1.0, 0.0], "a")


def test_the_curve_of_a_vote_is_near_the_mean_over_all_subsets():
    forms, weights, worth = (
        ["7", "9", "7", None, "8", "9"],
        [0.2, 0.9, 0.4, 0.7, 0.5, 0.1],
        [1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    )
    curve = [sum(vote_curve(forms, weights, worth, str(seed))[n] for seed in range(40)) / 40 for n in range(6)]
    for n in range(1, 7):
        subsets = list(combinations(range(6), n))
        exact = [voted([forms[i] for i in s], [weights[i] for i in s], [worth[i] for i in s]) for s in subsets]
        assert curve[n - 1] == pytest.approx(sum(exact) / len(exact), abs=0.03)


def test_one_draw_does_not_move_the_generator():
    assert divergence(1) == 0
    assert divergence(16) == pytest.approx(log(16) - 15 / 16)


def curves(mean, questions=400, seed=0):
    """Questions whose right-or-wrong outcomes have this mean at each L."""
    rng = np.random.default_rng(seed)
    return (rng.random((questions, 1)) < np.array(mean)).astype(float).tolist()


def test_a_band_holds_what_the_bootstrap_of_each_column_says():
    told = curves([0.3, 0.5])
    for at, found in enumerate(band(told)):
        alone = interval([[row[at]] for row in told])
        assert alone is not None
        assert found.mean == pytest.approx(alone.mean)
        assert found.low == pytest.approx(alone.low, abs=0.01)
        assert found.high == pytest.approx(alone.high, abs=0.01)
    assert band([[0.5, 1.0]])[1].low is None


def test_a_planted_turn_is_found_where_it_is():
    turn = turning(curves([0.3, 0.5, 0.7, 0.6, 0.4]))
    assert turn is not None
    assert turn.down
    assert (turn.peak, turn.low, turn.high) == (3, 3, 3)
    assert turn.drop.mean == pytest.approx(0.3, abs=0.07)
    assert "turns down after L = 3" in str(turn)


def test_a_curve_that_grows_does_not_turn():
    turn = turning(curves([0.3, 0.4, 0.5, 0.55]))
    assert turn is not None
    assert not turn.down
    assert turn.peak == 4
    assert turn.drop.mean == 0


def test_noise_turns_down_in_one_audit_of_twenty_at_most():
    """Each L has noise of its own about the same mean; the highest of ten is looked for in each of 40 audits."""
    rng = np.random.default_rng(1)
    found = [turning((rng.random((100, 10)) < 0.5).astype(float).tolist()) for _ in range(40)]
    assert sum(turn is not None and turn.down for turn in found) <= 4


def test_one_question_says_nothing_of_a_turn():
    assert turning([[0.0, 1.0]]) is None
