"""Self-consistency: the contract, a golden trace, and when the vote is decided."""

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.search import SelfConsistency
from thoughtgraph.search.self_consistency import stays_ahead
from thoughtgraph.testing import PolicyContract


class TestSelfConsistency(PolicyContract):
    policy = SelfConsistency(n=8)


def test_its_trace_is_the_golden_one():
    same_as_golden("self_consistency", SelfConsistency(n=8))


@pytest.mark.parametrize(
    ("first", "second", "sure"),
    # 1 - I_1/2(a + 1, b + 1): with b = 0 it is 1 - 2^-(a+1); equal votes decide nothing.
    [(0, 0, 0.5), (1, 0, 0.75), (3, 0, 0.9375), (4, 0, 0.96875), (5, 5, 0.5), (2, 1, 0.6875), (5, 1, 0.9375)],
)
def test_the_chance_to_stay_ahead_is_the_one_worked_out_by_hand(first, second, sure):
    assert stays_ahead(first, second) == sure


def voting(answers, **more):
    """A task whose samples are `answers`, one after the other, and the sizes of the waves that were drawn."""
    left, waves = list(answers), []

    def sample(state, n):
        waves.append(n)
        drawn, left[:n] = left[:n], []
        return [tg.Draft(answer, done=True) for answer in drawn]

    return tg.Task("vote", {"reason": sample}, **more), waves


def solved(answers, policy=None, **more):
    task, waves = voting(answers, **more)
    return tg.solve(task, policy=policy or SelfConsistency(), budget=tg.Budget()), waves


def test_four_equal_answers_decide_it():
    result, waves = solved(["7"] * 16)
    assert (result.answer, waves) == ("7", [1, 3])


def test_a_split_vote_goes_on_until_somebody_is_sure_to_stay_ahead():
    # 1:0; 2:2 after four; 5:2 after seven = 0.855; 8:2 after ten = 0.967.
    result, waves = solved(["7", "8", "7", "8", *["7"] * 12])
    assert (result.answer, waves) == ("7", [1, 3, 3, 3])


def test_an_even_vote_draws_all_n_and_takes_the_first():
    result, waves = solved(["7", "8"] * 8)
    assert (result.answer, sum(waves)) == ("7", 16)


def test_an_answer_that_cannot_be_compared_is_one_call():
    poem = "Roses are red,\nviolets are blue"
    result, waves = solved([poem] * 16)
    assert (result.answer, waves) == (poem, [1])


def test_certainty_draws_all_of_them():
    _, waves = solved(["7"] * 16, SelfConsistency(n=8, sure=1))
    assert sum(waves) == 8


def test_answers_are_the_same_where_the_task_says_so():
    result, waves = solved(["7", " 7 ", "7.0", "07"] * 4, same=float)
    assert (float(result.answer), waves) == (7.0, [1, 3])


def test_only_valid_answers_are_answers_where_there_is_a_goal():
    result, _ = solved(["7", "7", "7", "8"] * 4, goal=lambda path: path[-1].content == "8")
    assert result.answer == "8"


def test_no_answers_at_all_are_an_honest_none():
    result, waves = solved([])
    assert (result.answer, result.reason, waves) == (None, "exhausted", [1])


@pytest.mark.parametrize("wrong", [{"n": 0}, {"wave": 0}, {"steps": 0}, {"sure": 0.4}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SelfConsistency(**wrong)
