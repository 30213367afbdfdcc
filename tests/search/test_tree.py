"""What tree policies share: the bandit rules, backup, branches that meet, and closing, worked out by hand."""

# pyright: reportArgumentType=false

from math import inf, log, sqrt

import pytest

import thoughtgraph as tg
from thoughtgraph.search.tree import Bounds, Edge, Node, attach, backup, close, puct, uct
from thoughtgraph.search.tree_search import TreeSearch
from thoughtgraph.verbs import Search


def node(id: str, prior: float = 1.0, *, done: bool = False) -> Node:
    return Node(tg.Thought(id, ("root",), "step", id, prior, done, 1))


def tree(**how) -> TreeSearch:
    """A tree of nothing but its root, r."""
    task = tg.Task("x", actions={"step": lambda state, n: []})
    return TreeSearch(Search(task, tg.ThoughtGraph(tg.Thought("r", (), "", "r"))), simulations=9, c=1.0, **how)


# -- the rules -------------------------------------------------------------------------------------


def test_uct_is_the_value_and_a_bonus_for_the_rarely_visited():
    assert uct(0.5, n=2, parent=8, prior=1, c=1) == 0.5 + sqrt(log(8) / 2)
    assert uct(0.5, n=2, parent=8, prior=1, c=0) == 0.5
    assert uct(0.0, n=0, parent=8, prior=1, c=1) == inf


def test_puct_weighs_its_bonus_by_the_prior():
    c = 1 + log((9 + 19653) / 19652)
    assert puct(0.25, n=2, parent=9, prior=0.5, c=1) == 0.25 + c * 0.5 * 3 / 3
    assert puct(0.0, n=0, parent=4, prior=0.25, c=0) == pytest.approx(0.25 * 2 * log(19657 / 19652))


def test_values_are_scaled_by_the_extremes_seen():
    bounds = Bounds()
    bounds.see(4.0)
    assert bounds.scale(4.0) == 0.5
    bounds.see(-4.0)
    assert [bounds.scale(value) for value in (-4.0, 0.0, 4.0)] == [0.0, 0.5, 1.0]


# -- backup ----------------------------------------------------------------------------------------


def test_a_mean_is_divided_by_the_visits_once():
    """Public codes keep a running mean, and divide it by the visits again: 0.25 where 0.5 is right."""
    one = node("a")
    backup([one], [], [0.25])
    backup([one], [], [0.75])
    assert (one.visits, one.value("mean"), one.value("max")) == (2, 0.5, 0.75)


def test_a_discounted_value_loses_a_factor_for_each_step_up():
    top, middle, end = node("a"), node("b"), node("c")
    edges = [Edge(middle, 1.0), Edge(end, 1.0)]
    backup([top, middle, end], edges, [0.8], gamma=0.5)
    assert [n.value("discounted") for n in (top, middle, end)] == [0.2, 0.4, 0.8]
    backup([top, middle, end], edges, [0.4, 0.0], gamma=0.5)
    assert [(n.visits, n.total, n.peak) for n in (top, middle)] == [
        (3, pytest.approx(0.3), 0.2),
        (3, pytest.approx(0.6), 0.4),
    ]
    assert [edge.visits for edge in edges] == [3, 3]


def test_learning_discounts_a_childs_value_for_its_parent():
    """0.8 of a child is 0.4 for the parent at gamma 1/2; what nobody could judge is a visit and no value."""
    one = tree(gamma=0.5)
    edges, _ = one.hang([one.root], [], [node("a").thought, node("b").thought])
    one.learn([one.root], [], list(zip(edges, (0.8, None), strict=True)))
    assert (one.root.visits, one.root.total) == (1, 0.4)
    assert [(edge.visits, edge.child.visits, edge.child.total) for edge in edges] == [(1, 1, 0.8), (1, 0, 0.0)]


def test_a_walk_that_brought_nothing_is_a_visit_without_reward():
    one = tree()
    edges, _ = one.hang([one.root], [], [node("a").thought])
    one.learn([one.root, edges[0].child], edges, [])
    assert (edges[0].visits, edges[0].child.visits, one.root.visits) == (1, 0, 0)


# -- branches that meet ----------------------------------------------------------------------------


def test_a_diamond_keeps_one_value_for_the_common_child_and_counts_each_way_by_itself():
    #  r -> a, b;  a -> x;  b -> x
    one, x = tree(), node("x").thought
    (to_a, to_b), _ = one.hang([one.root], [], [node("a").thought, node("b").thought])
    one.learn([one.root], [], [(to_a, 0.6), (to_b, 0.4)])
    (first,), met = one.hang([one.root, to_a.child], [to_a], [x])
    assert not met
    one.learn([one.root, to_a.child], [to_a], [(first, 0.2)])
    new, met = one.hang([one.root, to_b.child], [to_b], [x])
    assert (new, met) == ([], True)
    (second,) = to_b.child.edges or []
    assert second.child is first.child
    assert (first.child.visits, first.child.total) == (1, 0.2)
    assert (first.visits, second.visits) == (1, 1)
    assert (to_b.child.visits, to_b.child.total) == (2, pytest.approx(0.6))
    assert (one.root.visits, one.root.total) == (4, pytest.approx(0.6 + 0.4 + 0.2 + 0.2))


def test_news_of_a_known_child_are_discounted_too():
    one, x = tree(gamma=0.5), node("x").thought
    (to_a, to_b), _ = one.hang([one.root], [], [node("a").thought, node("b").thought])
    (to_x,), _ = one.hang([one.root, to_a.child], [to_a], [x])
    one.learn([one.root, to_a.child], [to_a], [(to_x, 0.8)])
    one.hang([one.root, to_b.child], [to_b], [x])
    assert (to_b.child.total, one.root.total) == (0.4, pytest.approx(0.2 + 0.2))


def test_priors_are_shared_among_the_children_of_all_draws():
    leaf, nodes = node("leaf"), dict[str, Node]()
    assert attach(leaf, [node("a", 1.0).thought, node("b", 3.0).thought], nodes)
    assert [edge.prior for edge in leaf.edges or ()] == [0.25, 0.75]
    assert attach(leaf, [node("b", 3.0).thought, node("c", 4.0).thought], nodes)
    assert [edge.prior for edge in leaf.edges or ()] == [0.125, 0.375, 0.5]
    assert not attach(leaf, [node("a", 1.0).thought], nodes)
    assert list(nodes) == ["a", "b", "c"]


# -- closing ---------------------------------------------------------------------------------------


def test_a_node_is_closed_when_all_below_is_and_no_draw_is_due():
    top, nodes = node("top"), dict[str, Node]()
    attach(top, [node("a").thought, node("b").thought], nodes)
    top.spent = True
    close(nodes["a"])
    assert not top.closed
    top.spent = False
    close(nodes["b"])
    assert not top.closed
    top.spent = True
    nodes["b"].closed = False
    close(nodes["b"])
    assert top.closed


def test_closing_a_chain_of_a_hundred_thousand_is_no_recursion():
    nodes = dict[str, Node]()
    first = last = node("0")
    for i in range(1, 100_000):
        attach(last, [node(str(i)).thought], nodes)
        last.spent = True
        last = nodes[str(i)]
    close(last)
    assert first.closed
