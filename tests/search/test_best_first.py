"""Best first: the contract, a golden trace, and the order by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import pytest
from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import BestFirst
from thoughtgraph.testing import PolicyContract


class TestBestFirst(PolicyContract):
    policy = BestFirst()


def test_its_trace_is_the_golden_one():
    same_as_golden("best_first", BestFirst())


TREE = Tree(
    {"": "abc", "a": "de", "b": "f", "c": "g", "d": "", "e": "", "f": "", "g": ""},
    {"a": 0.5, "b": 0.8, "c": 0.5, "d": 0.1, "e": 0.9, "f": 0.4, "g": 0.3},
    goal="!",
)


def test_the_open_thought_of_the_highest_value_is_next_wherever_it_stands():
    # b .8; then a .5 before c .5, which came later; e .9; c .5; f .4; g .3; d .1
    assert TREE.expanded(BestFirst()) == ".baecfgd"


def test_at_most_so_many_thoughts_are_expanded():
    assert TREE.expanded(BestFirst(expansions=3)) == ".ba"


def test_without_a_goal_the_first_final_thought_that_comes_to_the_top_is_the_answer():
    tree = Tree({"": "ab", "a": "cd"}, {"a": 0.9, "b": 0.6, "c": 0.7, "d": 0.5})
    assert tree.run(BestFirst())[0].answer == "c"
    assert tree.expanded(BestFirst()) == ".a"


def test_with_a_goal_the_first_solved_child_ends_it_unjudged():
    tree = Tree({"": "ab", "a": "cd"}, {"a": 0.9, "b": 0.6}, goal="d")
    assert tree.run(BestFirst())[0].thought.content == "d"
    assert tree.scored(BestFirst()) == ["a"] or tree.scored(BestFirst()) == ["ab"]


def test_what_nobody_could_judge_comes_last():
    tree = Tree({"": "ab", "a": "", "b": ""}, {"b": -100.0}, goal="!")
    assert tree.expanded(BestFirst()) == ".ba"


@pytest.mark.parametrize("wrong", ["expansions", "branch"])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=wrong):
        BestFirst(**{wrong: 0})
