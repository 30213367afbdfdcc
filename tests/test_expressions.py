"""Policies as text: read without evaluating anything, written back the same."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import time

import pytest

from thoughtgraph.expressions import NAMES, expression, parse, signature
from thoughtgraph.search import DFS, MCTS, CoT, SelfConsistency, ToT


@pytest.mark.parametrize("name", NAMES)
def test_every_name_makes_its_policy_and_reads_back(name):
    policy = parse(name)
    assert type(policy).__name__ == NAMES[name]
    assert expression(policy) == name
    assert signature(name).startswith(f"{name}(")


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("mcts(simulations=40, workers=8)", MCTS(simulations=40, workers=8)),
        ("  tot( breadth = 1 , )  ", ToT(breadth=1)),
        ("cot()", CoT()),
        ("dfs(prune=-0.5)", DFS(prune=-0.5)),
        ("dfs(prune=None)", DFS(prune=None)),
        ("self_consistency(sure=1)", SelfConsistency(sure=1)),
        ("tot(branch=all)", ToT()),
        ('mcts(rule="puct", backup="max", action="move")', MCTS(rule="puct", backup="max", action="move")),
    ],
)
def test_settings_are_read_and_written_back(text, policy):
    assert parse(text) == policy
    assert parse(expression(policy)) == policy


def test_a_policy_that_text_cannot_name_has_no_expression():
    class MCTS:
        pass

    async def mine(search):
        return None

    assert expression(MCTS()) is None
    assert expression(mine) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch /tmp/pwned')",
        "mcts(simulations=__import__('os').getpid())",
        "mcts(action=open('/etc/passwd').read())",
        "mcts(**{'c': 1})",
        "mcts(*[1])",
        "mcts(40)",
        "mcts.simulations",
        "tg.search.MCTS()",
        "[mcts]",
        "mcts()()",
        "mcts(c=1)(2)",
        "lambda: 0",
        "mcts; import os",
        "mcts\nimport os",
        "(x for x in y)",
        "mcts(c=1, c=2)",
        "mcts(c=" + "(" * 5000 + "1" + ")" * 5000 + ")",
        "mcts(c=" + "-" * 5000 + "1)",
        "(" * 10_000,
        "mcts(c=[1])",
        "mcts(c=1+1j)",
        "mcts(c=b'x')",
        "mcts(simulations=" + "9" * 5000 + ")",
        "mcts(c=1e999)",
        "mcts(c=0x1p3)",
        "\x00",
        "",
        "   ",
        "\ud800",
        "é(c=1)",
        "None",
        "all",
        "all(n=1)",
    ],
)
def test_hostile_and_broken_text_is_an_error_and_nothing_is_run(text):
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"."):
        parse(text)
    assert time.monotonic() - began < 2


def test_a_name_that_is_nearly_right_is_suggested():
    with pytest.raises(ValueError, match=r"no policy 'mtcs': did you mean mcts\? expected one of direct, cot"):
        parse("mtcs")
    with pytest.raises(ValueError, match=r"mcts has no setting 'simulation': did you mean simulations\? it is mcts\("):
        parse("mcts(simulation=4)")


@pytest.mark.parametrize(
    "text", ["mcts(simulations=0)", "mcts(simulations=1.5)", "mcts(rule='best')", "mcts(c='many')", "tot(breadth=None)"]
)
def test_a_value_that_makes_no_sense_is_an_error_with_the_signature(text):
    with pytest.raises(ValueError, match=r"it is (mcts|tot)\("):
        parse(text)
