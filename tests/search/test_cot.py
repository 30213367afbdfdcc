"""Chain of thought: the contract, a golden trace, and one chain by hand."""

import pytest
from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import CoT
from thoughtgraph.testing import PolicyContract


class TestCoT(PolicyContract):
    policy = CoT()


def test_its_trace_is_the_golden_one():
    same_as_golden("cot", CoT())


def test_it_follows_one_chain_to_its_end_and_judges_nothing():
    tree = Tree({"": "ab", "a": "cd", "c": "e"})
    assert tree.expanded(CoT()) == ".ac"
    assert tree.run(CoT())[0].answer == "e"
    assert tree.scored(CoT()) == []


def test_it_takes_at_most_so_many_steps():
    tree = Tree({"": "a", "a": "b", "b": "c"})
    assert tree.expanded(CoT(steps=2)) == ".a"
    with pytest.raises(ValueError, match="steps"):
        CoT(steps=0)
