"""Learning from demonstrations (equations 5 to 7): the discriminator's logit, against what the generator writes now."""

from math import log

import numpy as np
import pytest
from planted import PLANTED, demonstrations, generated, spearman, unseen, worth

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.demonstrations import Demonstrations, balanced, reward
from thoughtgraph.learning.features import Feature
from thoughtgraph.learning.rows import Demonstration, Outcome, Preference, Response


def fitted(shown, negatives, limit: float = 10.0):
    trainer = Demonstrations(tuple(negatives), limit)
    lesson = trainer.lesson(shown)
    return trainer, lesson, trainer.fit(lesson, lesson.table([PLANTED]), learner="logistic", seed=0)


def rewards(model, examples):
    return model(np.array(PLANTED.compute(examples)))


def shown(text: str, question: str = "What is 2 + 2?") -> Demonstration:
    return Demonstration(question=question, response=Response(text=text))


def wrote(text: str, question: str = "What is 2 + 2?") -> Outcome:
    return Outcome(question=question, response=Response(text=text), value=0)


def test_the_reward_is_the_logit_of_the_discriminator():
    z = np.array([-3.0, 0.0, 2.0])
    assert reward(1 / (1 + np.exp(-z))) == pytest.approx(z)
    assert reward(0.75) == pytest.approx(log(3))


def test_ones_and_zeros_weigh_the_same_however_many_there_are():
    weights = balanced([1, 0, 0, 0], [1, 1, 1, 1])
    assert weights == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert sum(balanced([1, 1, 0], [3.0, 1.0, 5.0])) == pytest.approx(9)


def test_a_planted_reward_is_found_again():
    _, _, model = fitted(demonstrations(800), generated(800))
    examples = unseen(300)
    assert spearman(rewards(model, examples), [worth(e.response) for e in examples]) > 0.95


@pytest.mark.parametrize("times", [1, 8])
def test_the_reward_does_not_carry_how_many_of_each_there_are(times: int):
    """Half-way between the two, which are Gaussians of one width, the logit is 0."""
    _, _, model = fitted(demonstrations(400), generated(400 * times))
    half = np.array([[0.25 * w for w in (2.0, -1.0, 0.5)]])
    assert model(half)[0] == pytest.approx(0, abs=0.35)


def test_no_logit_is_worth_more_than_the_limit():
    expert = demonstrations(200, shift=5.0)
    wild, tame = (fitted(expert, generated(200), limit)[2] for limit in (10.0, 1.0))
    examples = unseen(200)
    assert np.abs(rewards(tame, examples)).max() < np.abs(rewards(wild, examples)).max()
    lesson = Demonstrations(tuple(generated(200))).lesson(expert)
    assert np.abs(tame(lesson.table([PLANTED]))).max() < 2


def test_what_cannot_be_told_apart_costs_log_2():
    trainer, lesson, model = fitted(demonstrations(800, shift=0.0), generated(800))
    assert trainer.loss(lesson, model(lesson.table([PLANTED]))) == pytest.approx(log(2), abs=0.01)


def test_the_gradient_lowers_what_the_generator_writes():
    trainer = Demonstrations((wrote("5"),))
    lesson = trainer.lesson([shown("4")])
    now = trainer.loss(lesson, [0.2, 0.2])
    assert trainer.loss(lesson, [0.2, 0.2 + 1e-6]) > now > trainer.loss(lesson, [0.2 + 1e-6, 0.2])


def test_both_responses_of_a_preference_are_the_generators():
    row = Preference(question="What is 2 + 2?", chosen=Response(text="5"), rejected=Response(text="6"))
    lesson = Demonstrations((row,)).lesson([shown("4")])
    assert [(e.response.text, y) for e, y in zip(lesson.examples, lesson.labels, strict=True)] == [
        ("4", 1),
        ("5", 0),
        ("6", 0),
    ]


def test_a_demonstration_is_judged_among_the_generators_responses_and_not_among_demonstrations():
    company = Feature("company", ("size",), lambda examples: [[float(len(examples))] for _ in examples], "agreement")
    lesson = Demonstrations((wrote("5"), wrote("6"), wrote("4"))).lesson([shown("4"), shown("four")])
    assert lesson.table([company])[:, 0].tolist() == [3, 4, 3, 3, 3]  # "4" is one of the three; "four" is a fourth


def test_demonstrations_without_responses_of_the_generator_are_refused():
    with pytest.raises(TaskError, match="nothing says what the generator writes"):
        Demonstrations().lesson([shown("4")])


def test_a_generator_that_only_repeats_the_demonstrations_is_refused():
    with pytest.raises(TaskError, match="word for word"):
        Demonstrations((wrote("4"),)).lesson([shown("4")])


def test_responses_without_demonstrations_are_refused():
    with pytest.raises(TaskError, match="no demonstrations"):
        Demonstrations((wrote("4"),)).lesson([])


def test_a_draw_without_demonstrations_is_refused_and_drawn_again():
    for weights in ([0.0, 0.0, 1.0], [1.0, 2.0, 0.0]):
        with pytest.raises(TaskError, match="demonstrations alone, or none"):
            balanced([1.0, 1.0, 0.0], weights)
