"""A policy that knows when not to search: the contract, a golden trace, and its choice by what was measured."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.expressions import expression, parse
from thoughtgraph.search.auto import Auto
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.mcts import MCTS
from thoughtgraph.search.tot import ToT
from thoughtgraph.testing import PolicyContract, Toy


class TestAutoThatVotes(PolicyContract):
    policy = Auto(n=4)


class TestAutoThatSearches(PolicyContract):
    policy = Auto(reliability=0.95, tree=MCTS(simulations=12))


def test_its_trace_is_the_golden_one():
    same_as_golden("auto", Auto(reliability=0.8, n=4))


@pytest.mark.parametrize(
    ("reliability", "kind"),
    [
        (None, BestOfN(8, choose="weighted")),
        (0.5, BestOfN(8, choose="weighted")),
        (0.74, BestOfN(8, choose="weighted")),
        (0.75, BestOfN(8)),
        (0.89, BestOfN(8)),
        (0.9, MCTS(simulations=40)),
        (1.0, MCTS(simulations=40)),
    ],
)
def test_the_measured_reliability_decides_and_the_published_threshold_is_nine_in_ten(reliability, kind):
    assert Auto(reliability=reliability).chosen[1] == kind


def test_it_can_be_overruled_and_the_thresholds_are_yours():
    assert Auto(reliability=0.6, overrule="tree", tree=ToT()).chosen[1] == ToT()
    assert Auto(reliability=0.99, overrule="vote").chosen[1] == BestOfN(8, choose="weighted")
    assert Auto(reliability=0.8, search_at=0.8, tree=ToT()).chosen[1] == ToT()


def test_it_says_why():
    result = tg.solve(Toy("open").task, policy=Auto(reliability=0.82))
    assert [(note.about, note.text) for note in result.notes] == [
        (
            "policy",
            "best: the critic's measured reliability is 0.82: enough to choose by, not to search by (0.9)",
        )
    ]
    assert "nobody measured" in tg.solve(Toy("open").task, policy=Auto()).notes[0].text


def test_only_the_policy_that_it_comes_to_must_fit_the_task():
    nothing = lambda states: [tg.Score(0.5)] * len(states)
    task = tg.Task(
        "?", dict.fromkeys(("reason", "answer"), lambda state, n: [tg.Draft("x", done=True)]), {"v": nothing}
    )
    assert tg.solve(task, policy=Auto(reliability=0.8)).answer == "x"
    with pytest.raises(tg.TaskError, match="no action 'step'"):
        tg.solve(task, policy=Auto(reliability=0.95))


def test_where_the_budget_ends_it_answers_as_the_policy_does_that_it_comes_to():
    def said(state, n):
        return [tg.Draft(text, done=True) for text in ("8", "7", "7")]

    task = tg.Task("?", {"reason": said}, {"value": lambda states: [tg.Score(0.5)] * len(states)})
    result = tg.solve(task, policy=Auto(n=3), budget=tg.Budget(evaluations=0))
    assert (result.answer, result.reason) == ("7", "budget")


def test_text_names_it_with_a_policy_inside():
    policy = parse("auto(reliability=0.95, tree=tot(breadth=2))")
    assert policy == Auto(reliability=0.95, tree=ToT(breadth=2))
    assert expression(policy) == "auto(reliability=0.95, tree=tot(breadth=2))"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auto(reliability=91)", "expected a share from 0 to 1"),
        ("auto(tree=3)", "expected a policy"),
        ("auto(tree=mtcs)", "did you mean mcts"),
        ("auto(overrule='search')", "overrule"),
        ("auto(tree=" * 400 + "dfs" + ")" * 400, "is no policy"),
    ],
)
def test_a_mistake_is_told(text, said):
    with pytest.raises(ValueError, match=said):
        parse(text)
