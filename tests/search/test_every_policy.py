"""What must be true of every policy that text can name, and what is known to go wrong in public codes of them."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from dataclasses import fields
from math import nan

import pytest

import thoughtgraph as tg
from thoughtgraph.expressions import NAMES, catalogue, parse, signature

DEEP = 2000
"""More thoughts in a row than Python recurses."""

SHALLOW = {"ab_mcts", "ab_mcts_m", "direct", "got", "ircot", "rag", "ratp"}
"""Policies that follow a plan, grow as wide as deep, or make something of passages only: none walks down a chain."""

LONG = {
    "rollouts": 3,
    "steps": DEEP + 10,
    "depth": DEEP + 10,
    "simulations": DEEP + 10,
    "expansions": DEEP + 10,
    "n": 2,
}


def long_enough(name: str) -> tg.Policy:
    """The policy with room for a chain of DEEP thoughts."""
    inner = f"mcts(simulations={DEEP + 10})"
    around = {
        "auto": f"auto(overrule='tree', tree={inner})",
        "commit": f"commit(policy={inner})",
        "labelled": f"labelled(policy={inner}, thoughts=1, rollouts=1, steps={DEEP + 10})",
    }
    if name in around:
        return parse(around[name])
    known = {field.name for field in fields(parse(name))}
    settings = {field: most for field, most in LONG.items() if field in known}
    settings |= {"m": 1} if "m" in known else {}
    return parse(f"{name}({', '.join(f'{field}={value}' for field, value in settings.items())})")


def chain(deep: int) -> tg.Task:
    """One thought after the other, and an end that claims something."""

    def further(state, n):
        return [tg.Draft(state.content + 1, done=state.content + 1 == deep)] if state.content < deep else []

    return tg.Task("How far?", {"step": further}, {"value": flat}, start=0, claim=lambda path: path[-1].content or None)


def flat(states):
    return [tg.Score(0.5) for _ in states]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_chain_of_two_thousand_thoughts_is_no_recursion(name):
    result = tg.solve(chain(DEEP), policy=long_enough(name), budget=tg.Budget(expansions=4 * DEEP))
    assert result.answer == DEEP or name in SHALLOW


@pytest.mark.parametrize("name", NAMES)
def test_a_reward_that_is_no_number_is_said_and_never_ranked(name):
    lying = lambda states: [tg.Score(nan) for _ in states]
    task = tg.Task("How far?", chain(3).actions, {"value": lying}, start=0, claim=lambda path: path[-1].content or None)
    try:
        result = tg.solve(task, policy=name, budget=tg.Budget(expansions=200, evaluations=2000))
    except tg.TaskError as error:
        assert "returned the value nan: expected a finite number" in str(error)  # noqa: PT017
    else:
        assert not any(result.graph.scores(thought) for thought in result.graph)


@pytest.mark.parametrize("name", NAMES)
def test_an_unfinished_thought_is_never_the_answer(name):
    """Subtrees that run out of steps gave their last thought as an answer."""
    endless = lambda state, n: [tg.Draft([*state.content, i]) for i in range(3)][:n]
    task = tg.Task("?", {"step": endless}, {"value": flat}, start=[])
    result = tg.solve(task, policy=name, budget=tg.Budget(expansions=30, evaluations=300))
    assert result.answer is None
    assert result.thought is None


@pytest.mark.parametrize("name", NAMES)
def test_what_fails_the_goal_test_is_never_the_answer(name):
    ends = lambda state, n: [tg.Draft([*state.content, i], done=len(state.content) == 2) for i in range(3)][:n]
    high = lambda states: [tg.Score(1.0 if state.thought.done else 0.5) for state in states]
    task = tg.Task("?", {"step": ends}, {"value": high}, start=[], goal=lambda path: False)
    result = tg.solve(task, policy=name, budget=tg.Budget(expansions=100, evaluations=1000))
    assert result.answer is None


def test_each_has_a_sentence_a_signature_and_a_cost():
    for entry in catalogue():
        assert entry.says.endswith(".")
        assert entry.signature == signature(entry.name)
        assert entry.cost.endswith("."), entry.name
