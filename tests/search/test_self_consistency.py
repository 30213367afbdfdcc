"""Self-consistency: the contract, a golden trace, and when the vote is decided."""

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.search import SelfConsistency
from thoughtgraph.search.self_consistency import stays_ahead
from thoughtgraph.testing import PolicyContract


class TestSelfConsistency(PolicyContract):
    policy = SelfConsistency(n=8)


class TestAdaptiveSelfConsistency(PolicyContract):
    policy = SelfConsistency(n=8, share=0.75)


def test_its_trace_is_the_golden_one():
    same_as_golden("self_consistency", SelfConsistency(n=8))


@pytest.mark.parametrize(
    ("first", "second", "sure"),
    # 1 - I_1/2(a + 1, b + 1): with b = 0 it is 1 - 2^-(a+1); equal votes decide nothing.
    [
        (0, 0, 0.5), (1, 0, 0.75), (3, 0, 0.9375), (4, 0, 0.96875), (5, 5, 0.5), (2, 1, 0.6875), (5, 1, 0.9375),
        (6, 1, 247 / 256), (7, 2, 968 / 1024), (8, 2, 1981 / 2048),
    ],
)  # fmt: skip
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


@pytest.mark.parametrize(
    ("votes", "drawn"),
    # The first point at which 1 - I_1/2(v1 + 1, v2 + 1) >= .95, one draw at a time: 4:0, 6:1 (.9648, and 5:1 is
    # .9375), 8:2 (.9673, and 7:2 is .9453).
    [("7777", 4), ("8777777", 7), ("8877777777", 10)],
)
def test_it_stops_at_the_published_threshold_and_not_before(votes, drawn):
    result, waves = solved([*votes, *"7" * 16], SelfConsistency(n=24, wave=1))
    assert (result.answer, sum(waves)) == ("7", drawn)


@pytest.mark.parametrize(
    ("answers", "waves"),
    [
        ("77", [2]),  # 2 of 2
        ("787777", [2, 4]),  # 1 of 2; 5 of 6
        ("78787787777777", [2, 4, 8]),  # 1 of 2; 3 of 6; 11 of 14 = .79
        ("78" * 8, [2, 4, 8, 2]),  # never: all n
    ],
)
def test_by_the_adaptive_rule_waves_double_until_three_quarters_agree(answers, waves):
    result, drawn = solved(answers, SelfConsistency(share=0.75))
    assert (result.answer, drawn) == ("7", waves)


def test_three_of_four_are_a_share_of_three_quarters():
    _, waves = solved(["7", "8", "7", "7", "7", "7", "7"], SelfConsistency(share=5 / 6))
    assert waves == [2, 4]


def test_what_claims_nothing_is_no_agreement():
    result, waves = solved(["7", "", "7", "7", "7", "7"], SelfConsistency(share=0.75))
    assert (result.answer, waves) == ("7", [2, 4])


@pytest.mark.parametrize("policy", [SelfConsistency(n=8, steps=2), SelfConsistency(n=8, steps=2, share=0.75)])
def test_what_is_not_finished_has_no_vote_and_is_never_the_answer(policy):
    """Three of four chains agree on where they were when their steps ran out."""
    drawn = iter(range(99))

    def step(state, n):
        return [tg.Draft("7", done=True) if next(drawn) % 4 == 3 else tg.Draft("8") for _ in range(n)]

    result = tg.solve(tg.Task("x", {"reason": step}, start=""), policy=policy, budget=tg.Budget())
    assert (result.answer, result.thought and result.thought.done) == ("7", True)
    endless = tg.Task("x", {"reason": lambda state, n: [tg.Draft("8")] * n}, start="")
    result = tg.solve(endless, policy=policy, budget=tg.Budget())
    assert (result.answer, result.reason) == (None, "exhausted")


@pytest.mark.parametrize("wrong", [{"share": 0.3}, {"n": 0}, {"wave": 0}, {"steps": 0}, {"sure": 0.4}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SelfConsistency(**wrong)
