"""What is wrong with rows is said before anything is trained on them."""

from dataclasses import replace
from typing import ClassVar

import pytest
from planted import PLANTED, demonstrations, generated, outcomes, preferences, traces

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.embeddings import embedding
from thoughtgraph.learning.lessons import Lesson
from thoughtgraph.learning.outcomes import Outcomes
from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.learning.training import train_critic


class Untouched(Outcomes):
    """An objective that must never come to fitting."""

    name: ClassVar = "outcome"

    def fit(self, lesson: Lesson, X, *, learner, seed):
        pytest.fail("something was trained before the rows were checked")


def refused(rows, match: str, **settings) -> None:
    with pytest.raises(TaskError, match=match):
        train_critic(rows, objective=Untouched(), features=[PLANTED], **settings)


def test_no_rows_at_all():
    with pytest.raises(TaskError, match="there are no rows"):
        train_critic([])


def test_something_that_is_no_row():
    with pytest.raises(TaskError, match="expected Preference, Demonstration, Outcome or StepTrace"):
        train_critic([{"question": "q"}])  # pyright: ignore[reportArgumentType]


def test_rows_that_may_not_be_trained_on_are_left_out_and_counted():
    rows = [replace(row, train=i >= 40) for i, row in enumerate(outcomes(400))]
    training = train_critic(rows, features=[PLANTED])
    assert "40 of 400 rows may not be trained on (train=False): left out" in training.notes
    assert training.critic is not None
    assert training.critic.trained.rows == 360


def test_only_rows_that_may_not_be_trained_on():
    refused([replace(row, train=False) for row in outcomes(100)], "what is private is not learned from")


def test_held_out_rows_and_responses_of_the_generator_may_be_private_too():
    private = [replace(row, train=False) for row in generated(40)]
    with pytest.raises(TaskError, match="responses of the generator are marked train=False"):
        train_critic(demonstrations(40), negatives=private)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outcomes_of_a_single_class(value: float):
    refused([replace(row, value=value) for row in outcomes(100)], "nothing tells right from wrong")


def test_a_class_that_is_there_in_too_few_questions():
    rows = [replace(row, value=float(i < 8)) for i, row in enumerate(outcomes(100))]
    refused(rows, "labels above 0 occur in 2 of 25 questions")


def test_too_few_questions_however_many_responses():
    refused(outcomes(100, each=20), "5 different questions: expected at least 10")


def test_a_question_on_both_sides_of_a_split():
    rows = outcomes(100)
    refused(rows, "1 held-out questions are learned from as well", heldout=[*outcomes(20, of=100), rows[0]])


def test_a_question_on_both_sides_under_another_id_in_nearly_the_same_words():
    rows = outcomes(100)
    double = Outcome(question="  what is number 3 WORTH", id="other", response=Response(text="+1 +1 +1"), value=1)
    refused(rows, "'other'", heldout=[*outcomes(20, of=100), double])


def test_one_id_for_two_questions():
    rows = [replace(row, id=f"{i // 8}") for i, row in enumerate(outcomes(100))]
    refused(rows, "two questions go by the id '0'")


def test_questions_that_stand_under_two_ids_are_split_as_one_and_said():
    rows = outcomes(400)
    again = [replace(row, id=f"again {i // 4}") for i, row in enumerate(rows)]
    training = train_critic([*rows, *again], features=[PLANTED])
    assert "100 questions stand under two ids, in nearly equal words: split as one" in training.notes


def test_preferences_that_compare_responses_with_themselves():
    rows = [replace(row, rejected=row.chosen) for row in preferences(100)]
    with pytest.raises(TaskError, match="says which of two responses is better"):
        train_critic(rows, features=[PLANTED])


def test_contradictory_duplicates_are_said_and_softened():
    rows = preferences(200)
    back = [replace(row, chosen=row.rejected, rejected=row.chosen) for row in rows[:10]]
    training = train_critic([*rows, *back], features=[PLANTED])
    assert any("10 pairs were preferred both ways" in note for note in training.notes)


def test_steps_that_nobody_tried():
    with pytest.raises(TaskError, match="says how a step turned out"):
        train_critic([replace(row, counts=()) for row in traces(40)], features=[PLANTED])


def test_features_that_say_nothing():
    refused([replace(row, response=Response(text="+1 +1 +1")) for row in outcomes(100)], "no feature says anything")


def test_some_columns_that_say_nothing_are_named():
    half = replace(
        PLANTED, columns=("a", "b", "c", "d"), compute=lambda examples: [[*r, 1.0] for r in PLANTED.compute(examples)]
    )
    assert any("planted.d" in note for note in train_critic(outcomes(200), features=[half]).notes)


def test_signals_that_no_feature_reads_are_named():
    rows = [replace(row, response=replace(row.response, signals={"judge": 0.5})) for row in outcomes(200)]
    assert any(note.startswith("signal:judge came with") for note in train_critic(rows, features=[PLANTED]).notes)


def test_embeddings_of_another_model():
    """The feature was made for vectors of length 3; what embeds now gives 4."""
    other = embedding(lambda texts: [[1.0, 2.0, 3.0, 4.0] for _ in texts], "small float32", dimension=3)
    with pytest.raises(TaskError, match="those of the model that the critic was trained with"):
        train_critic(outcomes(100), objective=Untouched(), features=[other])


def test_numbers_that_are_not_finite():
    endless = replace(PLANTED, compute=lambda examples: [[float("inf"), 0.0, 0.0] for _ in examples])
    with pytest.raises(TaskError, match="infinite"):
        train_critic(outcomes(100), objective=Untouched(), features=[endless])


def test_a_feature_that_is_not_known():
    with pytest.raises(TaskError, match="did you mean 'length'"):
        train_critic(outcomes(100), objective=Untouched(), features=["lenght"])
