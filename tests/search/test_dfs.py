"""Depth first: the contract, a golden trace, pruning and going back by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import pytest
from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import DFS
from thoughtgraph.testing import PolicyContract


class TestDFS(PolicyContract):
    policy = DFS()


class TestDFSThatPrunes(PolicyContract):
    policy = DFS(width=2, prune=0.05, branch=2)


def test_its_trace_is_the_golden_one():
    same_as_golden("dfs", DFS())


TREE = Tree(
    {"": "ab", "a": "cd", "b": "ef", "c": "", "d": "g", "e": "h", "f": "i"},
    {"a": 0.9, "b": 0.5, "c": 0.8, "d": 0.3, "e": 0.1, "f": 0.2},
    goal="h",
)


def test_it_follows_the_best_child_to_the_end_and_goes_back():
    assert TREE.expanded(DFS()) == ".acdbfe"
    assert TREE.run(DFS())[0].thought.content == "h"


def test_children_at_or_below_the_threshold_are_not_followed():
    assert TREE.expanded(DFS(prune=0.3)) == ".acb"
    assert TREE.run(DFS(prune=0.3))[0].answer is None
    assert TREE.expanded(DFS(prune=0.15)) == ".acdbf"


def test_at_most_width_children_are_followed():
    assert TREE.expanded(DFS(width=1)) == ".ac"


def test_at_most_so_many_thoughts_are_expanded():
    assert TREE.expanded(DFS(expansions=3)) == ".ac"


def test_without_a_goal_the_first_end_is_the_answer():
    tree = Tree({"": "ab", "a": "cd", "c": "e"}, {"a": 0.5, "c": 0.5})
    assert tree.run(DFS())[0].answer == "b"  # it is final, and came at once
    tree = Tree({"": "ab", "a": "cd", "b": "f", "c": "e", "d": ""}, {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.4})
    assert tree.run(DFS())[0].answer == "e"


def test_where_branches_meet_nothing_is_expanded_twice():
    tree = Tree({"": "ab", "a": "x", "b": "x", "x": ""}, dict.fromkeys("abx", 0.5), merge=True, goal="!")
    assert tree.expanded(DFS()) == ".axb"


def test_what_nobody_could_judge_comes_last_and_is_not_pruned():
    tree = Tree({"": "ab", "a": "c", "b": "d", "c": "", "d": ""}, {"b": 0.4}, goal="!")
    assert tree.expanded(DFS(prune=0.3)) == ".bdac"


def test_chains_may_be_deeper_than_python_recurses():
    import thoughtgraph as tg

    def onward(state, n):
        return [tg.Draft(state.content + 1, done=state.content == 1999)]

    task = tg.Task("chain", {"step": onward}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start=0)
    result = tg.solve(task, policy=DFS(expansions=5000), budget=tg.Budget())
    assert result.answer == "2000"
    assert result.thought.depth == 2000


@pytest.mark.parametrize("wrong", ["width", "expansions", "branch"])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=wrong):
        DFS(**{wrong: 0})
