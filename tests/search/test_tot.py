"""Tree of Thoughts: the contract, a golden trace, and the beam by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

from dataclasses import replace

import pytest
from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import ToT
from thoughtgraph.testing import PolicyContract


class TestToT(PolicyContract):
    policy = ToT()


class TestToTWithANarrowBeam(PolicyContract):
    policy = ToT(breadth=1, branch=2)


def test_its_trace_is_the_golden_one():
    same_as_golden("tot", ToT(breadth=2))


TREE = Tree(
    {"": "abc", "a": "de", "b": "fg", "c": "hi"},
    {"a": 0.1, "b": 0.5, "c": 0.5, "d": 1.0, "e": 1.0, "f": 0.2, "g": 0.8, "h": 0.8, "i": 0.3},
)


def test_the_best_of_each_level_are_expanded_in_order_of_their_value():
    assert TREE.expanded(ToT(breadth=2)) == ".bc"
    assert TREE.scored(ToT(breadth=2)) == ["abc", "fghi"]


def test_equal_values_keep_the_order_of_their_parents():
    assert TREE.expanded(ToT(breadth=1)) == ".b"
    result, _ = TREE.run(ToT(breadth=2))
    assert result.answer == "g"  # as good as h, and before it


def test_what_a_narrow_beam_throws_away_never_comes_back():
    assert TREE.run(ToT(breadth=1))[0].answer == "g"
    assert TREE.run(ToT(breadth=3))[0].answer == "d"


def test_an_exact_repetition_is_not_judged_again_and_is_worth_nothing():
    # Two drafts of the same text below one thought: the second values 0, and c at .1 goes before it.
    tree = Tree({"": "aac", "a": "d", "c": "e"}, {"a": 0.9, "c": 0.1, "d": 0.5, "e": 0.5})
    assert tree.scored(ToT(breadth=2))[0] == "ac"
    assert tree.expanded(ToT(breadth=2)) == ".ac"


def test_it_goes_no_deeper_than_its_steps():
    assert TREE.expanded(ToT(steps=1)) == "."
    assert TREE.run(ToT(steps=1))[0].answer is None


def test_the_first_solved_thought_ends_it_before_anything_of_its_level_is_judged():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("ab", 0.5), goal="f")
    assert tree.run(ToT())[0].thought.content == "f"
    assert tree.scored(ToT()) == ["ab"]


def test_a_finished_thought_stays_in_the_running_without_being_expanded():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.9, "b": 0.5, "c": 0.1})
    assert tree.expanded(ToT(breadth=2)) == ".b"
    assert tree.run(ToT(breadth=2))[0].answer == "a"


def test_thoughts_that_nobody_could_judge_come_last_and_are_not_lost():
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": None, "b": -5.0, "c": None, "d": None})
    assert tree.expanded(ToT(breadth=1)) == ".b"
    assert tree.expanded(ToT(breadth=2)) == ".ba"


def test_what_is_finished_and_claims_nothing_is_neither_judged_nor_kept():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.9, "b": 0.5, "c": 0.1})
    tree.task = replace(tree.task, claim=lambda path: path[-1].content.strip("a") or None)
    assert tree.run(ToT(breadth=1))[0].answer == "c"
    assert tree.scored(ToT(breadth=2)) == ["b", "c"]


def test_an_abstention_is_a_judgement_and_is_not_asked_for_again():
    tree = Tree({"": "ab", "b": "c"}, {"a": None, "b": 0.5, "c": 0.1})
    assert tree.scored(ToT(breadth=2)) == ["ab", "c"]


@pytest.mark.parametrize("wrong", ["breadth", "steps", "branch"])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=wrong):
        ToT(**{wrong: 0})
