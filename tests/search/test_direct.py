"""Direct prompting: the contract, a golden trace, and one call."""

from golden import same_as_golden
from trees import Tree

from thoughtgraph.search import Direct
from thoughtgraph.testing import PolicyContract


class TestDirect(PolicyContract):
    policy = Direct()


def test_its_trace_is_the_golden_one():
    same_as_golden("direct", Direct())


def test_it_asks_once_and_takes_what_comes():
    tree = Tree({"": "ab"})
    assert tree.expanded(Direct()) == "."
    assert tree.run(Direct())[0].answer == "a"
    assert len(tree.run(Direct())[0].graph) == 2
