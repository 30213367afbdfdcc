"""Best of n: the contract, a golden trace, and the choice by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import pytest
from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import BestOfN
from thoughtgraph.testing import PolicyContract


class TestBestOfN(PolicyContract):
    policy = BestOfN(n=4)


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
