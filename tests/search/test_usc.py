"""Universal self-consistency: the contract, a golden trace, and who is asked what."""

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.critics.agreement import Agreement
from thoughtgraph.models import Scripted
from thoughtgraph.search.usc import USC
from thoughtgraph.testing import PolicyContract


class TestUSC(PolicyContract):
    policy = USC(n=4)


def test_its_trace_is_the_golden_one():
    same_as_golden("usc", USC(n=3))


def task(*said, critic=None, **more):
    """A task whose samples are these."""

    def sample(state, n):
        return [tg.Draft(text, done=True) for text in said[:n]]

    return tg.Task("Q", {"reason": sample}, {"agree": critic or Agreement()}, **more)


POEMS = ("Roses are red,\nviolets are blue", "The sea,\nthe sea", "Roses are red,\nskies are blue")


def test_answers_that_no_parser_compares_are_compared_by_the_critic_as_one_set():
    def reply(prompt, draw):
        assert all(poem in prompt for poem in POEMS)
        number = prompt.split("Roses are red,\nskies")[0].rsplit("<choice ", 1)[1][0]
        return f"Two are of roses. The best choice is {number}"

    result = tg.solve(task(*POEMS), policy=USC(n=3), model=Scripted(reply), budget=tg.Budget())
    assert (result.answer, result.usage.calls) == (POEMS[2], 1)


def test_where_all_agree_nobody_is_asked():
    result = tg.solve(task("7", " 7", "7 "), policy=USC(n=3), model=Scripted([]), budget=tg.Budget())
    assert (result.answer, result.usage.calls) == ("7", 0)
    assert tg.solve(task(POEMS[0]), policy=USC(n=3), model=Scripted([]), budget=tg.Budget()).usage.calls == 0


def shares(*values):
    """A critic that gives these shares of its votes, in the order of the candidates."""

    def critic(states):
        compared = {"compared": [state.thought.id for state in states]}
        return [tg.Score(value, details=compared) for value in values]

    return critic


def answer(said, values):
    return tg.solve(task(*said, critic=shares(*values)), policy=USC(n=len(said)), budget=tg.Budget()).answer


def test_votes_for_equal_answers_are_added_up():
    # 8 has the most votes of one candidate, .4, and 7 has .3 + .3.
    assert answer(["8", "7", "7 "], [0.4, 0.3, 0.3]) == "7"


def test_a_text_stands_against_short_answers_by_its_own_votes():
    assert answer([POEMS[0], "7", "7 "], [0.8, 0.1, 0.1]) == POEMS[0]
    assert answer([POEMS[0], "7", "7 "], [0.2, 0.4, 0.4]) == "7"


def test_a_critic_that_says_nothing_leaves_the_plain_majority():
    assert answer(["8", "7", "7 "], [None] * 3) == "7"
    assert answer(POEMS, [None] * 3) == POEMS[0]


def test_a_goal_test_decides_without_a_critic():
    tree = Tree({"": "abc"}, goal="b")
    assert tree.run(USC(n=3))[0].answer == "b"
    assert tree.scored(USC(n=3)) == []


def test_what_claims_nothing_is_not_compared():
    tree = Tree({"": "abc", "b": "d"}, {"a": 0.0, "c": 1.0}, open="d")
    assert tree.run(USC(n=3, steps=2))[0].answer == "c"
    assert tree.scored(USC(n=3, steps=2)) == ["ac"]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"steps": 0}])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        USC(**wrong)
