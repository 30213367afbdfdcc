"""Outcome models (equations 8 and 9): the sign that is right, soft grades, and a planted reward found again."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from planted import PLANTED, outcomes, spearman, unseen, worth

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.outcomes import Outcomes, cross_entropy
from thoughtgraph.learning.rows import Outcome, Response


def fitted(rows, learner="logistic"):
    lesson = Outcomes().lesson(rows)
    return Outcomes().fit(lesson, lesson.table([PLANTED]), learner=learner, seed=0)


def logits(model, examples):
    return model(np.array(PLANTED.compute(examples)))


def outcome(text: str, value: float, grader: str = "") -> Outcome:
    return Outcome(question="What is 2 + 2?", response=Response(text=text), value=value, grader=grader)


def test_the_loss_is_the_cross_entropy():
    assert cross_entropy([0.0], [1.0], [1.0]) == pytest.approx(log(2))
    assert cross_entropy([log(3)], [1.0], [1.0]) == pytest.approx(-log(3 / 4))
    assert cross_entropy([log(3), log(3)], [1.0, 0.0], [3.0, 1.0]) == pytest.approx(-(3 * log(3 / 4) + log(1 / 4)) / 4)


def test_the_gradient_lowers_a_wrong_answer_and_raises_a_right_one():
    step = 1e-6

    def slope(y: float) -> float:
        return (cross_entropy([0.4 + step], [y], [1]) - cross_entropy([0.4 - step], [y], [1])) / (2 * step)

    r = 1 / (1 + np.exp(-0.4))
    assert slope(0.0) == pytest.approx(r, rel=1e-4)  # descending it lowers R
    assert slope(1.0) == pytest.approx(r - 1, rel=1e-4)  # descending it raises R


def test_with_the_sign_as_printed_a_wrong_answer_would_be_raised():
    def printed(z: float) -> float:
        return float(np.log(1 - 1 / (1 + np.exp(-z))))  # + E[log(1 - R) | wrong]

    assert printed(0.5) < printed(0.4)
    assert cross_entropy([0.5], [0.0], [1]) > cross_entropy([0.4], [0.0], [1])


def test_an_answer_found_wrong_is_worth_less_after_training_than_if_it_was_found_right():
    rows = outcomes(200)
    right = fitted([replace(rows[0], value=1.0), *rows[1:]])
    wrong = fitted([replace(rows[0], value=0.0), *rows[1:]])
    at = np.array([[float(x) for x in rows[0].response.text.split()]])
    assert wrong(at)[0] < right(at)[0]


def test_a_planted_reward_is_found_again():
    model = fitted(outcomes(1500))
    examples = unseen(300)
    z = logits(model, examples)
    assert spearman(z, [worth(e.response) for e in examples]) > 0.95
    assert z == pytest.approx([worth(e.response) for e in examples], abs=1.0)  # and its scale: logits, not only ranks


def test_a_response_graded_both_ways_counts_by_its_share_and_is_said():
    lesson = Outcomes().lesson([outcome("4", 1), outcome("4", 0), outcome("5", 0)])
    assert lesson.labels == (0.5, 0.5, 0.0)
    assert any("graded both right and wrong" in note for note in lesson.notes)


def test_two_graders_may_differ_and_partial_grades_are_no_contradiction():
    lesson = Outcomes().lesson([outcome("4", 1, "a"), outcome("4", 0, "b"), outcome("5", 0.4, "a")])
    assert lesson.labels == (1.0, 0.0, 0.4)
    assert lesson.notes == ()


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_outcomes_that_are_all_alike_are_refused(value: float):
    with pytest.raises(TaskError, match="nothing tells right from wrong"):
        Outcomes().lesson([outcome("4", value), outcome("5", value)])
