"""pick: judge what one already has."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import re

import pytest

import thoughtgraph as tg
from thoughtgraph.models.scripted import Scripted

NAMES = ["Rome", "Constantinople", "Bern"]


def longest(states):
    return [tg.Score(float(len(state.content))) for state in states]


def test_the_candidate_of_the_highest_value_is_the_answer():
    result = tg.pick("Which is longest?", NAMES, longest)
    assert result.answer == "Constantinople"
    assert [result.graph.value(thought) for thought in list(result.graph)[1:]] == [4.0, 14.0, 4.0]


def test_the_first_of_equals_is_the_answer():
    assert tg.pick("Which is longest?", ["Bern", "Rome"], longest).answer == "Bern"


def test_equal_candidates_stay_apart_and_a_single_one_is_judged_too():
    assert len(tg.pick("Which?", ["a", "a"], longest).graph) == 3
    assert tg.pick("Which?", ["a"], lambda states: [tg.Score(None)]).answer is None


def test_what_nobody_could_judge_is_never_the_answer_and_that_is_told():
    judge = lambda states: [tg.Score(None if state.content == "Constantinople" else 1.0) for state in states]
    result = tg.pick("Which is longest?", NAMES, judge)
    assert result.answer == "Rome"
    assert [note.text for note in result.notes] == ["1 of 3 candidates could not be judged"]


def test_a_budget_that_ends_before_anything_is_judged_leaves_no_answer():
    result = tg.pick("Which is longest?", NAMES, longest, budget=tg.Budget(evaluations=2))
    assert (result.answer, result.reason) == (None, "budget")


def test_a_budget_that_ends_in_between_leaves_the_best_of_those_judged():
    model = Scripted(lambda prompt, draw: "sure" if "Constantinople" in prompt else "impossible")
    result = tg.pick("Which?", NAMES, tg.critics.Value(samples=1), model=model, budget=tg.Budget(calls=2))
    assert (result.answer, result.reason) == ("Constantinople", "budget")


def test_a_critic_by_name_asks_the_model_and_every_candidate_is_judged_without_a_budget():
    model = Scripted(lambda prompt, draw: "Well.\nsure" if "Bern" in prompt else "No.\nimpossible")
    result = tg.pick("Which?", [*(f"town {i}" for i in range(30)), "Bern"], "value", model=model)
    assert result.answer == "Bern"
    assert result.usage.calls == 31 * 3


def test_a_vote_shows_them_all_at_once():
    choices = lambda prompt: re.findall(r"<choice \d>\n(.*)\n</choice", prompt)
    model = Scripted(lambda prompt, draw: f"The best choice is {1 + choices(prompt).index('Bern')}")
    assert tg.pick("Which?", NAMES, "vote", model=model).answer == "Bern"


def test_json_candidates_come_back_as_they_were():
    judge = lambda states: [tg.Score(float(state.content["n"])) for state in states]
    assert tg.pick("Which?", [{"n": 1}, {"n": 2}], judge).answer == {"n": 2}


async def test_apick_is_the_same_for_async_code():
    assert (await tg.apick("Which is longest?", NAMES, longest)).answer == "Constantinople"


@pytest.mark.parametrize(
    ("candidates", "critic", "said"),
    [
        ([], longest, "expected a list of at least one answer"),
        ("Rome", longest, "expected a list of at least one answer"),
        (NAMES, "valu", "did you mean 'value'"),
        (NAMES, 3, "expected a critic, or the name of one"),
        ([object()], longest, "a candidate is"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_spent(candidates, critic, said):
    with pytest.raises(tg.TaskError, match=said):
        tg.pick("Which?", candidates, critic)
