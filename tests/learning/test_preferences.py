"""Bradley-Terry (equation 4): margins, ties, contradictions, and a planted reward found again."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from planted import PLANTED, preferences, spearman, unseen, worth

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.lessons import Duel
from thoughtgraph.learning.preferences import Preferences, bradley_terry, contradictions
from thoughtgraph.learning.rows import Preference, Response

GOOD, BAD, OTHER = (Response(text=text) for text in ("4 is right", "5 is right", "6 is right"))


def prefer(chosen: Response, rejected: Response, **told) -> Preference:
    return Preference(question="What is 2 + 2?", chosen=chosen, rejected=rejected, **told)


def fitted(rows, **settings):
    trainer = Preferences(**settings)
    lesson = trainer.lesson(rows)
    return lesson, trainer.fit(lesson, lesson.table([PLANTED]), learner="logistic", seed=0)


def rewards(model, examples):
    return model(np.array(PLANTED.compute(examples)))


# -- the equation ----------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_equation_4():
    assert bradley_terry([1.0, 0.0], [Duel(0, 1)]) == pytest.approx(log(1 + np.exp(-1)))
    assert bradley_terry([1.0, 0.0], [Duel(0, 1, margin=1.0)]) == pytest.approx(log(2))
    assert bradley_terry([1.0, 0.0], [Duel(0, 1, 3.0), Duel(1, 0)]) == pytest.approx(
        (3 * log(1 + np.exp(-1)) + log(1 + np.exp(1))) / 4
    )


def test_a_tie_costs_least_where_both_rewards_are_equal():
    at = [bradley_terry([lead, 0.0], [Duel(0, 1, target=0.5)]) for lead in (-1.0, 0.0, 1.0)]
    assert at[1] == pytest.approx(log(2))
    assert at[0] == at[2] > at[1]


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_a_constant_for_all_changes_nothing(shift: float):
    assert bradley_terry([1 + shift, shift], [Duel(0, 1)]) == pytest.approx(bradley_terry([1.0, 0.0], [Duel(0, 1)]))


def test_the_gradient_raises_the_chosen_and_lowers_the_rejected():
    duels, step = [Duel(0, 1)], 1e-6
    now = bradley_terry([0.3, -0.2], duels)
    assert bradley_terry([0.3 + step, -0.2], duels) < now
    assert bradley_terry([0.3, -0.2 + step], duels) > now


def test_turning_a_preference_round_lowers_what_it_preferred():
    rows = preferences(200)
    _, before = fitted(rows)
    turned = [replace(rows[0], chosen=rows[0].rejected, rejected=rows[0].chosen)] * 20 + rows[1:]
    lesson, after = fitted(turned)
    pair = [e for e in lesson.examples if e.response in (rows[0].chosen, rows[0].rejected)]
    lead = {e.response.text: (b, a) for e, b, a in zip(pair, rewards(before, pair), rewards(after, pair), strict=True)}
    (was, now), (was_other, now_other) = lead[rows[0].chosen.text], lead[rows[0].rejected.text]
    assert now - now_other < was - was_other


# -- rows become duels -----------------------------------------------------------------------------------------------


def test_each_response_is_an_example_once_and_a_duel_points_to_both():
    lesson = Preferences().lesson([prefer(GOOD, BAD), prefer(GOOD, OTHER, margin=2.0)])
    assert [e.response for e in lesson.examples] == [GOOD, BAD, OTHER]
    assert lesson.duels == (Duel(0, 1), Duel(0, 2, margin=2.0))


def test_the_same_words_of_different_thoughts_are_different_responses():
    twin = replace(GOOD, thought="t2")
    assert len(Preferences().lesson([prefer(GOOD, BAD), prefer(twin, BAD)]).examples) == 3


def test_ties_and_flips_count_as_half_wins():
    lesson = Preferences().lesson([prefer(GOOD, BAD, tie=True, judge="a"), prefer(GOOD, BAD, flips=1, judge="b")])
    assert [duel.target for duel in lesson.duels] == [0.5, 0.75]
    assert any("1 of 2 preferences are ties" in note for note in lesson.notes)


def test_what_one_judge_says_both_ways_is_said_and_counts_by_its_share():
    rows = [prefer(GOOD, BAD), prefer(BAD, GOOD), prefer(BAD, GOOD), prefer(GOOD, OTHER)]
    lesson = Preferences().lesson(rows)
    assert contradictions(rows) == 1
    assert lesson.duels == (Duel(1, 0, weight=3, target=pytest.approx(2 / 3)), Duel(0, 2))
    assert any("1 pairs were preferred both ways" in note for note in lesson.notes)


def test_judges_who_disagree_with_each_other_contradict_nobody():
    rows = [prefer(GOOD, BAD, judge="a"), prefer(BAD, GOOD, judge="b")]
    assert contradictions(rows) == 0
    assert len(Preferences().lesson(rows).duels) == 2


def test_a_response_against_itself_is_left_out_and_said():
    lesson = Preferences().lesson([prefer(GOOD, GOOD), prefer(GOOD, BAD)])
    assert len(lesson.duels) == 1
    assert any("compare a response with itself" in note for note in lesson.notes)


@pytest.mark.parametrize("rows", [[prefer(GOOD, GOOD)], [prefer(GOOD, BAD, tie=True)]])
def test_preferences_that_prefer_nothing_are_refused(rows):
    with pytest.raises(TaskError, match="says which of two responses is better"):
        Preferences().lesson(rows)


@pytest.mark.parametrize("margin", [-1.0, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float):
    with pytest.raises(TaskError, match="margin"):
        Preferences().lesson([prefer(GOOD, BAD, margin=margin)])


# -- a planted reward ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flipped", [0.0, 0.2])
def test_a_planted_reward_is_found_again_from_noisy_pairs_also_with_a_fifth_turned_round(flipped: float):
    _, model = fitted(preferences(1000, flipped=flipped))
    examples = unseen(300)
    assert spearman(rewards(model, examples), [worth(e.response) for e in examples]) > 0.95


def test_rewards_are_centred():
    rows = preferences(200)
    lesson, model = fitted(rows)
    compared = [lesson.examples[i] for duel in lesson.duels for i in (duel.better, duel.worse)]
    assert rewards(model, compared).mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_trees_find_it_too():
    rows = preferences(1500)
    lesson = Preferences().lesson(rows)
    model = Preferences().fit(lesson, lesson.table([PLANTED]), learner="boosted", seed=0)
    examples = unseen(300)
    assert spearman(rewards(model, examples), [worth(e.response) for e in examples]) > 0.9


def test_a_margin_pushes_rewards_apart():
    rows = preferences(200)
    _, plain = fitted(rows)
    _, wide = fitted([replace(row, margin=2.0) for row in rows])
    _, ignored = fitted([replace(row, margin=2.0) for row in rows], margins=False)
    examples = unseen(100)
    assert rewards(wide, examples).std() > 1.1 * rewards(plain, examples).std()
    assert rewards(ignored, examples) == pytest.approx(rewards(plain, examples))
