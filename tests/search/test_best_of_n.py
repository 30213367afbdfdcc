"""Best of n: the contract, a golden trace, and the choice by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.models import Scripted
from thoughtgraph.search import BestOfN
from thoughtgraph.testing import PolicyContract


class TestBestOfN(PolicyContract):
    policy = BestOfN(n=4)


class TestWeightedBestOfN(PolicyContract):
    policy = BestOfN(n=4, choose="weighted")


def test_its_trace_is_the_golden_one():
    same_as_golden("best_of_n", BestOfN(n=2))


def test_the_best_of_n_answers_is_taken_and_all_are_judged_as_one_set():
    tree = Tree({"": "abcd"}, {"a": 0.2, "b": 0.7, "c": 0.1, "d": 0.9})
    assert tree.run(BestOfN(n=4))[0].answer == "d"
    assert tree.run(BestOfN(n=3))[0].answer == "b"
    assert tree.scored(BestOfN(n=3)) == ["abc"]


def test_chains_are_followed_to_their_ends_and_only_ends_are_judged():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, {"c": 0.1, "e": 0.2})
    assert tree.expanded(BestOfN(n=2)) == ".ab"
    assert tree.scored(BestOfN(n=2)) == ["ce"]


def test_one_answer_needs_no_critic():
    tree = Tree({"": "a"})
    assert tree.run(BestOfN(n=4))[0].answer == "a"
    assert tree.scored(BestOfN(n=4)) == []


def test_an_answer_that_passes_the_goal_test_needs_no_critic():
    tree = Tree({"": "abc"}, goal="b")
    assert tree.run(BestOfN(n=3))[0].thought.content == "b"
    assert tree.scored(BestOfN(n=3)) == []


def test_chains_stop_at_their_number_of_steps():
    tree = Tree({"": "a", "a": "b", "b": "c"})
    assert tree.expanded(BestOfN(n=1, steps=2)) == ".a"
    assert tree.run(BestOfN(n=1, steps=2))[0].answer is None


@pytest.mark.parametrize("wrong", ["n", "steps"])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=wrong):
        BestOfN(**{wrong: 0})


# -- weighted --------------------------------------------------------------------------------------


def sampled(*said: tuple[str, float | None], **more) -> tg.Task:
    """A task whose samples have these texts and values."""
    values = dict(said)

    def sample(state, n):
        return [tg.Draft(text, done=True) for text, _ in said[:n]]

    def value(states):
        return [tg.Score(values[state.content]) for state in states]

    return tg.Task("Q", {"reason": sample}, {"value": value}, **more)


def answer(task: tg.Task, choose: str = "weighted") -> str:
    return tg.solve(task, policy=BestOfN(n=8, choose=choose), budget=tg.Budget()).answer


def test_the_values_of_equal_answers_are_added_up_after_they_are_brought_to_one_form():
    # 8 has .9 once; 7 has .4, .3 and .3, in three spellings.
    task = sampled(("8", 0.9), ("7", 0.4), ("7.0", 0.3), (" 07", 0.3), same=float)
    assert answer(task) == "7"
    assert answer(task, "best") == "8"
    assert answer(sampled(("8", 0.9), ("7", 0.4), ("7.0", 0.3), (" 07", 0.1), same=float)) == "8"


def test_a_value_that_is_missing_adds_nothing_and_takes_nothing_away():
    assert answer(sampled(("8", 0.5), ("7", 0.3), ("7.0", None), ("7.", 0.3), same=float)) == "7"
    assert answer(sampled(("8", 0.5), ("7", 0.3), ("7.0", None), same=float)) == "8"


def test_without_any_value_votes_are_counted():
    assert answer(sampled(("8", None), ("7", None), ("7.0", None), same=float)) == "7"


def test_an_answer_that_cannot_be_compared_has_its_own_value_alone():
    poem = "Roses are red,\nviolets are blue"
    assert answer(sampled(("7", 0.3), (poem, 0.7), (" 7", 0.3))) == poem
    assert answer(sampled(("7", 0.4), (poem, 0.7), (" 7", 0.4))) == "7"


def test_a_way_to_choose_that_there_is_not_is_an_error():
    with pytest.raises(ValueError, match="choose is 'worst'"):
        BestOfN(choose="worst")


def test_equal_prompts_have_draws_of_their_own_also_from_a_cache():
    """One draw is kept; four need three more, and are not one reply four times."""

    def ask(x, passages, thoughts, scores):
        return tg.Prompt(ask=x)

    async def reason(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=True) for text in await state.ask(ask, n)]

    task = tg.Task("Q", {"reason": reason}, {"value": lambda states: [tg.Score(0.5)] * len(states)})
    cache, model = tg.Cache(), Scripted(lambda prompt, draw: f"reply {draw}")
    calls = list[int]()
    for n in (1, 4):
        result = tg.solve(task, policy=BestOfN(n=n), model=model, cache=cache, budget=tg.Budget(calls=9))
        assert sorted(end.content for end in result.graph.finals) == [f"reply {i}" for i in range(n)]
        calls.append(result.usage.requests)
    assert sum(calls) <= 4
