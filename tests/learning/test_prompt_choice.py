"""Choosing a prompt: without labels, by mutual information; with some, by halving on shared items."""

from __future__ import annotations

from collections import Counter
from math import log
from pathlib import Path
from random import Random

import numpy as np
import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.halving import Halved, halving, halving_async, order, plan
from thoughtgraph.learning.prompt_choice import (
    CRITERIA,
    Predictions,
    calibrated,
    global_entropy,
    local_entropy,
    mutual_information,
    tally,
)

RECORDED = Path(__file__).parents[3] / "shared/data/sst2-opt27b/label_logprobs.npz"

SURE = [[1.0, 0.0], [0.0, 1.0]]  # tells the two inputs apart
CONSTANT = [[1.0, 0.0], [1.0, 0.0]]
UNSURE = [[0.5, 0.5], [0.5, 0.5]]
LEANING = [[0.9, 0.1], [0.6, 0.4]]  # tells them apart, and leans to the first label
P = [SURE, CONSTANT, UNSURE, LEANING]

# -- the quantities, by hand ----------------------------------------------------------------------------------------


def h(*p: float) -> float:
    return -sum(x * log(x) for x in p if x)


def test_mutual_information_is_what_the_answer_tells_of_the_input():
    leaning = h(0.75, 0.25) - (h(0.9, 0.1) + h(0.6, 0.4)) / 2
    assert mutual_information(P).tolist() == pytest.approx([log(2), 0, 0, leaning])


def test_the_global_entropy_counts_answers_and_the_local_one_doubts():
    assert global_entropy(P).tolist() == pytest.approx([log(2), 0, 0, 0])
    assert local_entropy(P).tolist() == pytest.approx([0, 0, log(2), (h(0.9, 0.1) + h(0.6, 0.4)) / 2])


def test_calibration_takes_away_what_a_prompt_says_of_any_input():
    first, second = calibrated([LEANING])[0].tolist()
    assert first == pytest.approx([1.2 / 1.6, 0.4 / 1.6])  # 0.9 / 0.75 and 0.1 / 0.25
    assert second == pytest.approx([0.8 / 2.4, 1.6 / 2.4])


def test_a_label_that_is_never_given_keeps_its_zero():
    assert calibrated([CONSTANT])[0].tolist() == CONSTANT


def test_the_chosen_prompt_tells_the_inputs_apart():
    assert Predictions(P).choose().prompt == 0
    assert Predictions(P[1:]).choose().prompt == 2
    assert Predictions(P[1:]).choose("mdl").prompt == 0
    assert Predictions(P[1:]).choose("le").prompt == 1


def test_of_equal_prompts_the_first_is_chosen():
    assert Predictions([UNSURE, SURE, SURE]).choose().prompt == 1


def test_answers_are_calibrated_unless_told_not():
    leaning = Predictions([LEANING])
    assert leaning.answers(0) == [0, 1]
    assert leaning.answers(0, calibrate=False) == [0, 0]


def test_log_probabilities_are_made_to_sum_to_one_over_the_labels():
    p = Predictions.of_log_probs([[[log(0.02), log(0.06)], [-900.0, float("-inf")]]]).p
    assert p[0].tolist() == [pytest.approx([0.25, 0.75]), [1, 0]]


def test_half_floats_will_do():
    p = Predictions.of_log_probs(np.log(np.array([LEANING])).astype(np.float16)).p
    assert p[0] == pytest.approx(np.array(LEANING), abs=1e-3)


# -- from samples ---------------------------------------------------------------------------------------------------


def test_counts_stand_in_for_probabilities_and_say_so():
    counted = Predictions.of_counts([[[4, 0], [1, 3]], [[2, 2], [1, 2]]])
    assert counted.p[0].tolist() == [[1, 0], [0.25, 0.75]]
    assert counted.choose().source == "frequencies of 3 or more samples"
    assert Predictions(P).choose().source == "the model's probabilities"


def test_few_samples_make_no_prompt_look_surer_than_it_is():
    # MI = H(5/8, 3/8) - (0 + H(1/4, 3/4) + 1/8) / 2: two labels seen in four samples are (2 - 1) / (2 * 4) too sure.
    value = Predictions.of_counts([[[4, 0], [1, 3]]]).choose().values[0]
    assert value == pytest.approx(h(5 / 8, 3 / 8) - (h(1 / 4, 3 / 4) + 1 / 8) / 2)


def test_many_samples_choose_as_the_probabilities_do():
    drawn = np.random.default_rng(0).multinomial(4_000, np.array(P))
    assert Predictions.of_counts(drawn).choose().values == pytest.approx(mutual_information(P).tolist(), abs=0.02)


def test_drawn_labels_are_tallied_and_unreadable_ones_are_not():
    counts = tally([[["yes", "no", "yes", None], ["no"]]], ["yes", "no"])
    assert counts.tolist() == [[[2, 1], [0, 1]]]


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (SURE, r"shape \(2, 2\): expected \(prompts, inputs, labels\)"),
        (np.zeros((0, 3, 2)), "none of them 0"),
        ([[[1.0], [1.0]]], "2 inputs and 1 labels: expected two or more"),
        ([[[0.5, 0.5]]], "1 inputs and 2 labels: expected two or more"),
        ([[[0.5, 0.5], [0.5, float("nan")]]], "input 1 of prompt 0 has NaN"),
        ([[[0.5, 0.5], [0.5, 0.4]]], r"sum to 0\.9 for an input: expected 1"),
        ([[[0.5, 0.5], [-0.5, 1.5]]], r"a probability is -0\.5"),
        ([[[0.5, 0.5], [0.5]]], "no table of numbers"),
        ("words", "no table of numbers"),
    ],
)
def test_what_are_no_probabilities_are_refused(p, said: str):
    for use in (mutual_information, calibrated, Predictions):
        with pytest.raises(TaskError, match=said):
            use(p)


@pytest.mark.parametrize(
    ("log_prob", "said"),
    [
        ([[[0.7, 1.2], [0.3, 2.0]]], "is it the loss"),
        ([[[-1.0, -2.0], [float("-inf"), float("-inf")]]], "input 1 of prompt 0 gives none of the labels"),
        ([[[-1.0, float("nan")], [-1.0, -2.0]]], "input 0 of prompt 0 has NaN"),
    ],
)
def test_what_are_no_log_probabilities_are_refused(log_prob, said: str):
    with pytest.raises(TaskError, match=said):
        Predictions.of_log_probs(log_prob)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([[[1, 2], [0, 0]]], "input 1 of prompt 0 has no readable sample"),
        ([[[1, 2], [0.5, 0.5]]], "no whole number"),
        ([[[1, 2], [-1, 2]]], "no whole number"),
        ([[[1, 2], [float("inf"), 2]]], "infinite counts"),
    ],
)
def test_what_are_no_counts_are_refused(counts, said: str):
    with pytest.raises(TaskError, match=said):
        Predictions.of_counts(counts)


def test_unknown_labels_prompts_and_criteria_are_refused():
    with pytest.raises(TaskError, match="a sample is 'maybe': expected one of 'yes', 'no'"):
        tally([[["maybe"], ["no"]]], ["yes", "no"])
    with pytest.raises(TaskError, match="prompt 1 has 1 inputs, another 2"):
        tally([[["no"], ["no"]], [["no"]]], ["yes", "no"])
    with pytest.raises(TaskError, match="the prompt is 4: expected 0 to 3"):
        Predictions(P).answers(4)
    with pytest.raises(TaskError, match="expected one of mi, mi_g, ge, le, mdl"):
        Predictions(P).choose("accuracy")  # type: ignore[arg-type]


# -- halving --------------------------------------------------------------------------------------------------------


def test_each_round_costs_about_the_same_and_no_more_than_is_left():
    assert plan(8, 100, 96) == [(8, 4), (4, 8), (2, 16)]
    assert plan(5, 100, 25) == [(5, 1), (3, 3), (2, 5)]
    assert plan(100, 872, 500) == [(100, 1), (50, 1), (25, 2), (13, 5), (7, 11), (4, 19), (2, 41)]


def test_what_can_be_known_for_all_that_are_left_is_found_out_at_once():
    assert plan(4, 10, 40) == [(4, 10), (2, 0)]
    assert plan(4, 10, 39) == [(4, 4), (2, 6)]


def test_a_budget_of_one_score_for_each_arm_is_enough_and_less_is_refused():
    assert plan(4, 10, 4) == [(4, 1), (2, 0)]
    with pytest.raises(TaskError, match="a budget of 3 scores for 4 arms"):
        halving(lambda arm, item: 0, range(4), range(10), 3)


@pytest.mark.parametrize(("arms", "items", "budget"), [(1, 5, 5), (2, 3, 2), (7, 40, 60), (33, 10, 90), (20, 5, 1000)])
def test_the_budget_is_kept_and_no_pair_is_scored_twice(arms: int, items: int, budget: int):
    asked = Counter[tuple[int, int]]()

    def score(arm: int, item: int) -> float:
        asked[arm, item] += 1
        return Random(f"{arm} {item}").random()

    halved = halving(score, range(arms), range(items), budget)
    assert asked.total() == halved.spent <= budget
    assert set(asked.values()) <= {1}


def test_all_arms_of_a_round_meet_the_same_items():
    met = dict[int, list[int]]()

    def score(arm: int, item: int) -> float:
        met.setdefault(arm, []).append(item)
        return arm

    assert halving(score, range(8), range(100), 96).arm == 7
    longest = max(met.values(), key=len)
    assert len(longest) == 28
    assert all(items == longest[: len(items)] for items in met.values())


def test_a_budget_for_all_pairs_finds_the_best_for_certain():
    table = np.random.default_rng(1).random((30, 20))
    halved = halving(lambda arm, item: table[arm, item], range(30), range(20), 600)
    assert halved.place == table.mean(1).argmax()
    assert halved.mean == pytest.approx(table.mean(1).max())


def test_the_seed_draws_the_items_and_nothing_else_does():
    def chosen(seed: int) -> list[int]:
        return [halving(lambda arm, item: Random(f"{arm} {item}").random(), range(20), range(50), 60, seed).place]

    assert chosen(3) == chosen(3)
    assert len({tuple(order(range(50), seed)) for seed in range(5)}) == 5


def test_of_equals_the_one_listed_first_stays():
    assert halving(lambda arm, item: 1, ["a", "b", "c"], range(9), 20) == Halved("a", 0, 1, 19, ((3, 3), (2, 8)))


def test_an_abstention_is_paid_for_and_left_out_of_the_mean():
    def score(arm: str, item: int) -> float | None:
        return {"always": 0.5, "never": None, "sometimes": 0.6 if item % 2 else None}[arm]

    halved = halving(score, ["never", "always", "sometimes"], range(10), 30)
    assert (halved.arm, halved.mean, halved.spent) == ("sometimes", pytest.approx(0.6), 30)
    assert halving(lambda arm, item: None, ["never", "ever"], range(3), 6).mean is None


def test_strata_come_in_their_proportions_in_every_stretch():
    items = "aaaaaabbb"
    for seed in range(20):
        line = "".join(items[place] for place in order(items, seed, stratum=str))
        assert [line[:3].count("b"), line[:6].count("b"), line.count("b")] == [1, 2, 3]


async def test_scores_that_are_awaited_give_the_same():
    async def later(arm: int, item: int) -> float:
        return Random(f"{arm} {item}").random()

    now = halving(lambda arm, item: Random(f"{arm} {item}").random(), range(20), range(50), 200, 4)
    assert await halving_async(later, range(20), range(50), 200, 4) == now


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "0.5", [1]])
def test_a_score_that_is_no_number_is_refused(score):
    with pytest.raises(TaskError, match="expected a finite number, or None"):
        halving(lambda arm, item: score, range(2), range(2), 4)


@pytest.mark.parametrize(("arms", "items", "budget"), [(0, 2, 4), (2, 0, 4), (2, 2, 0), (2, 2, 2.5)])
def test_nothing_to_choose_from_is_refused(arms: int, items: int, budget):
    with pytest.raises(ValueError, match="expected"):
        halving(lambda arm, item: 0, range(arms), range(items), budget)


def test_the_best_arm_is_found_far_more_often_than_by_as_many_items_for_each():
    def right(seed: int, *, halve: bool) -> bool:
        table = np.random.default_rng(seed).random((32, 400)) < np.array([0.8] + [0.5] * 31)[:, None]
        shuffled = list(np.random.default_rng(seed).permutation(32))
        if halve:
            return halving(lambda arm, item: table[arm, item], shuffled, range(400), 320, seed).arm == 0
        return max(shuffled, key=lambda arm: table[arm, :10].mean()) == 0

    found = {halve: sum(right(seed, halve=halve) for seed in range(60)) for halve in (True, False)}
    assert found[True] > found[False] + 8


# -- on recorded probabilities --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded() -> tuple[Predictions, np.ndarray]:
    """OPT-2.7B's on SST-2 with a hundred prompts, and the right labels, which nothing chooses by."""
    if not RECORDED.exists():
        pytest.skip("the recordings are not here")
    with np.load(RECORDED) as kept:
        return Predictions.of_log_probs(kept["log_prob"]), kept["target"]


def accuracy(predictions: Predictions, target: np.ndarray, prompt: int, *, calibrate: bool) -> float:
    return round(float((np.array(predictions.answers(prompt, calibrate=calibrate)) == target).mean()), 4)


def test_mutual_information_and_calibration_do_what_was_published(recorded):
    predictions, target = recorded
    chosen = predictions.choose("mi").prompt
    assert accuracy(predictions, target, chosen, calibrate=False) == 0.5906
    assert accuracy(predictions, target, chosen, calibrate=True) == 0.9186
    assert accuracy(predictions, target, predictions.choose("mi_g").prompt, calibrate=False) == 0.8658


def test_a_calibrated_choice_is_another_switch(recorded):
    predictions, target = recorded
    for by in ("mi", "mi_g"):
        chosen = predictions.choose(by, calibrate=True).prompt
        assert accuracy(predictions, target, chosen, calibrate=True) == 0.9186
    assert set(CRITERIA) == {"mi", "mi_g", "ge", "le", "mdl"}


def test_eight_samples_choose_nearly_as_well_as_probabilities(recorded):
    predictions, target = recorded
    counts = np.random.default_rng(0).multinomial(8, predictions.p)
    chosen = Predictions.of_counts(counts).choose().prompt
    assert accuracy(predictions, target, chosen, calibrate=True) > 0.9


def test_halving_at_five_hundred_scores_finds_a_good_prompt(recorded):
    predictions, target = recorded
    told = np.log(np.take_along_axis(predictions.p, target[None, :, None].astype(int), 2)[..., 0]).tolist()
    full = (predictions.p.argmax(-1) == target).mean(1)
    found = list[float]()
    for seed in range(60):
        prompts = np.random.default_rng(seed).permutation(100).tolist()
        halved = halving(lambda t, x: told[t][x], prompts, range(872), 500, seed, stratum=target.__getitem__)
        found.append(full[halved.arm])
    assert np.mean(found) >= 0.83
