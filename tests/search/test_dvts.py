"""Diverse verifier tree search: the contract, a golden trace, and subtrees that never mix."""

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.dvts import DVTS
from thoughtgraph.testing import RUN, PolicyContract
from thoughtgraph.trace import Expanded


class TestDVTS(PolicyContract):
    policy = DVTS(n=4, m=2)


class TestDVTSByTheLeastStep(PolicyContract):
    policy = DVTS(n=2, m=1, aggregate="min")


def test_its_trace_is_the_golden_one():
    same_as_golden("dvts", DVTS(n=4, m=2))


def test_first_steps_are_dealt_out_and_each_subtree_goes_on_from_its_best():
    # Subtree 1 gets a and c, subtree 2 gets b and d: it goes on from d .3, though a .9 and c .8 are both better.
    tree = Tree({"": "abcd", "a": "e", "b": "f", "c": "g", "d": "h"}, {"a": 0.9, "b": 0.2, "c": 0.8, "d": 0.3})
    assert sorted(tree.expanded(DVTS(n=4, m=2))) == [".", "a", "d"]
    assert sorted(tree.scored(DVTS(n=4, m=2)))[:2] == ["ac", "bd"]


def test_a_beam_would_end_in_one_subtree_and_this_does_not():
    children = {"": "abcd", "a": "ef", "c": "gh", "b": "ij", "d": "kl"}
    values = dict.fromkeys("acefgh", 0.9) | dict.fromkeys("bdijkl", 0.1)
    _, engine = Tree(children, values).run(DVTS(n=4, m=2))
    ends = {engine.graph.path(end)[1].content for end in engine.graph.finals}
    assert ends == {"a", "b"}


def test_subtrees_never_mix_even_where_their_thoughts_are_equal():
    """Every thought expanded below the root has one parent, and its ancestors belong to one subtree's hand."""
    tree = Tree({"": "abcd", **dict.fromkeys("abcd", "xy"), **dict.fromkeys("xy", "zw")}, merge=True)
    _, engine = tree.run(DVTS(n=4, m=2))
    graph = engine.graph
    assert all(len(graph.parents(thought)) == 1 for thought in graph if thought.depth > 0)
    first = graph.children(graph.root)
    hand = {thought.id: number % 2 for number, thought in enumerate(first)}
    expanded = [
        graph[e.parents[0]] for e in engine.store.events(RUN) if isinstance(e, Expanded) if e.parents[0] != "root"
    ]
    below = [(hand[graph.path(thought)[1].id], thought.depth) for thought in expanded]
    assert sorted(below) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert len(graph.finals) == 4
    assert len({end.content for end in graph.finals}) == 2


def test_only_what_is_finished_is_an_answer():
    """The subtree of a promises most and is not done within its steps; that of b is."""
    tree = Tree({"": "ab", "a": "c", "c": "e", "b": "d"}, {"a": 0.9, "c": 0.99, "b": 0.2, "d": 0.3})
    assert tree.run(DVTS(n=2, m=1, steps=2))[0].answer == "d"
    nothing = Tree({"": "ab", "a": "c", "b": "d", "c": "e", "d": "f"}, dict.fromkeys("abcd", 0.9))
    result, _ = nothing.run(DVTS(n=2, m=1, steps=2))
    assert (result.answer, result.reason) == (None, "exhausted")


def test_the_best_of_the_subtrees_ends_is_the_answer_by_the_rule_that_prunes():
    # Least steps: a .5 c .6 has .5, b .9 d .3 has .3; the last ones are .6 and .3; by the product .3 and .27.
    values = {"a": 0.5, "b": 0.9, "c": 0.6, "d": 0.3, "e": 0.55}
    tree = Tree({"": "ab", "a": "c", "b": "de"}, values)
    assert tree.run(DVTS(n=2, m=1))[0].answer == "c"
    # With m=2 there is one subtree, which goes on from b: d .3, e .55.
    assert tree.run(DVTS(n=2, m=2))[0].answer == "e"
    # b .9 e .55: the product is .495, that of a .5 c .6 is .3.
    two = Tree({"": "ab", "a": "c", "b": "e"}, values)
    assert two.run(DVTS(n=2, m=1, aggregate="prod"))[0].answer == "e"
    assert two.run(DVTS(n=2, m=1, aggregate="last"))[0].answer == "c"


def test_a_subtree_whose_thoughts_are_all_dead_ends_and_the_others_go_on():
    tree = Tree({"": "ab", "b": "c", "c": "d"}, {"b": 0.5, "c": 0.5}, goal="d")
    assert tree.run(DVTS(n=2, m=1))[0].answer == "d"
    assert tree.expanded(DVTS(n=2, m=1)) == ".bc"


def test_the_first_solved_thought_ends_every_subtree():
    tree = Tree({"": "ab", "a": "c", "b": "d", "d": "e", "e": "f", "f": "g"}, dict.fromkeys("abdef", 0.5), goal="c")
    assert tree.run(DVTS(n=2, m=1))[0].answer == "c"
    assert len(tree.expanded(DVTS(n=2, m=1))) <= 4


def test_fewer_first_steps_than_subtrees_are_fewer_subtrees():
    tree = Tree({"": "a", "a": "b"}, {"a": 0.5, "b": 0.5})
    assert tree.expanded(DVTS(n=16, m=4)) == ".a"
    assert tree.run(DVTS(n=16, m=4))[0].answer == "b"


def test_a_failed_expansion_does_not_end_a_subtree():
    asked = []

    def step(state, n):
        asked.append(state.content)
        if asked.count(state.content) == 1 and state.content == "a":
            raise OSError("the line was bad")
        return [tg.Draft(state.content + "a", done=len(state.content) == 1)]

    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start="")
    result = tg.solve(task, policy=DVTS(n=1, m=1), budget=tg.Budget())
    assert (asked, result.answer) == (["", "a", "a"], "aa")


@pytest.mark.parametrize("wrong", [{"n": 0}, {"m": 0}, {"steps": 0}, {"n": 2, "m": 4}, {"aggregate": "max"}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        DVTS(**wrong)
