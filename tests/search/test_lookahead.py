"""Lookahead: the contract, a golden trace, and that what was looked at is used, by hand."""

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.beam import Beam
from thoughtgraph.search.lookahead import Lookahead
from thoughtgraph.testing import PolicyContract


class TestLookahead(PolicyContract):
    policy = Lookahead(n=4, m=2)


class TestLookaheadFurtherThanTheTreeIsDeep(PolicyContract):
    policy = Lookahead(n=2, m=1, k=5)


def test_its_trace_is_the_golden_one():
    same_as_golden("lookahead", Lookahead(n=4, m=2))


#        root
#     a .9       b .1
#     c .2       d .8
#     e .3       f .4
TRAP = Tree(
    {"": "ab", "a": "cg", "b": "dh", "c": "e", "d": "f", "g": "i", "h": "j"},
    {"a": 0.9, "b": 0.1, "c": 0.2, "d": 0.8, "e": 0.3, "f": 0.4, "g": 0.1, "h": 0.1, "i": 0.1, "j": 0.1},
)


def test_a_step_has_the_value_of_where_it_leads():
    """Beam search falls for a .9; one step further it leads to c .2, and b .1 leads to d .8."""
    assert TRAP.expanded(Beam(n=2, m=2)) == ".ac"
    assert TRAP.scored(Lookahead(n=2, m=2, k=1))[0] == "cd"
    assert TRAP.run(Lookahead(n=2, m=2, k=1))[0].answer == "f"
    assert TRAP.run(Lookahead(n=2, m=2, k=2))[0].answer == "f"


def test_what_was_looked_ahead_is_a_continuation_and_is_not_paid_again():
    # The root; looks from a and b; m=1, so that their one continuation is there already; looks from d and c.
    assert TRAP.expanded(Lookahead(n=2, m=1, k=1)) == ".abdc"
    assert TRAP.expanded(Lookahead(n=2, m=2, k=1)).startswith(".abb")  # d, and one more
    one_chain = Tree({"": "a", "a": "b", "b": "c", "c": "d", "d": "e"}, dict.fromkeys("abcde", 0.5))
    for k in (0, 1, 2, 3, 9):
        assert one_chain.expanded(Lookahead(n=1, m=1, k=k)) == ".abcd"


def test_looking_ahead_by_nothing_is_beam_search():
    assert TRAP.expanded(Lookahead(n=2, m=1, k=0)) == TRAP.expanded(Beam(n=2, m=1))
    assert TRAP.scored(Lookahead(n=2, m=1, k=0)) == TRAP.scored(Beam(n=2, m=1))


def test_what_a_look_finishes_can_be_the_answer():
    tree = Tree({"": "ab", "a": "c", "b": "d", "d": "e"}, {"c": 0.9, "d": 0.95, "e": 0.1})
    result, _ = tree.run(Lookahead(n=2, m=2, k=1))
    assert result.answer == "c"


def test_a_look_that_solves_it_ends_it():
    tree = Tree({"": "ab", "a": "c", "b": "d", "c": "e"}, goal="e")
    assert tree.run(Lookahead(n=2, m=1, k=2))[0].answer == "e"
    assert tree.scored(Lookahead(n=2, m=1, k=2)) == []


def test_a_step_whose_look_ends_nowhere_is_worth_what_it_is_itself():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.6, "b": 0.1, "c": 0.4}, open="a")
    assert tree.scored(Lookahead(n=2, m=2, k=1)) == ["ac"]


def test_an_abstention_ranks_as_the_mean_of_the_others():
    tree = Tree({"": "abc", "a": "d", "b": "e", "c": "f"}, {"d": 0.1, "e": None, "f": 0.9}, open="def")
    assert tree.expanded(Lookahead(n=3, m=1, k=1, steps=1)) == ".abc"
    # c .9 and b .5 are kept; each has its known continuation and another, and a look from all four.
    assert tree.expanded(Lookahead(n=4, m=2, k=1, steps=2))[4:] == "cbffee"


def test_an_unfinished_thought_is_never_the_answer():
    tree = Tree({"": "ab", "a": "c", "b": "d", "c": "e", "d": "f"}, dict.fromkeys("abcd", 0.9))
    assert tree.run(Lookahead(n=2, m=1, k=0, steps=2))[0].answer is None


def test_a_failed_look_is_tried_once_more():
    asked = []

    def step(state, n):
        asked.append(state.content)
        if asked.count(state.content) == 1 and state.content == "a":
            raise OSError("the line was bad")
        return [tg.Draft(state.content + "a", done=len(state.content) == 1)]

    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start="")
    result = tg.solve(task, policy=Lookahead(n=1, m=1), budget=tg.Budget())
    assert (asked, result.answer) == (["", "a", "a"], "aa")


@pytest.mark.parametrize("wrong", [{"n": 0}, {"m": 0}, {"k": -1}, {"steps": 0}, {"n": 2, "m": 4}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        Lookahead(**wrong)
