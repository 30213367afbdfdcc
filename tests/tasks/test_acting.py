"""Acting tasks: one call a thought, episodes by chains, rewards of the environment, and effects at the end."""

import json
from typing import Any

import pytest
from worlds import TOOLS, Outside, Plan, drafted

import thoughtgraph as tg
from thoughtgraph.environment import held
from thoughtgraph.expressions import parse
from thoughtgraph.models import Scripted
from thoughtgraph.search import MCTS, BestOfN, CoT, SelfConsistency, ToT
from thoughtgraph.search.commit import Commit
from thoughtgraph.tasks.acting import Reward, acting, same_call, same_world


def solve(task: tg.Task, policy: tg.Policy, **how: Any) -> tg.Result:
    return tg.solve(task, policy=policy, budget=tg.Budget(expansions=200, calls=200), **how)


def reached(path: list[tg.Thought]) -> bool:
    """The sum is 10."""
    return any(held(thought).get("snapshot") == {"sum": 10} for thought in path)


POLICIES = [
    MCTS(simulations=60, workers=1),
    MCTS(simulations=60, workers=4),
    ToT(breadth=3, steps=6),
    BestOfN(n=6, steps=8),
    SelfConsistency(n=6, steps=8),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_any_policy_acts_until_the_goal_is_reached(policy: tg.Policy):
    """From 3 to 10 by steps of 1 and 2."""
    outside = Outside()
    task = acting(3, outside, adding, goal=lambda path: path[-1].done and reached(list(path)))
    result = solve(task, policy)
    assert result.reason == "answered"
    assert "The sum is 10." in result.answer
    assert result.ito == ("environment" if "MCTS" in repr(policy) or "ToT" in repr(policy) else "none")
    assert outside.did["reset"] + outside.did["restore"] == outside.did["close"]


def adding(state: tg.State, n: int) -> list[tg.Draft]:
    """One or two, in an order of its own."""
    return [drafted(f"add {number}") for number in state.rng.sample((1, 2), 2)][:n]


def test_an_episode_is_followed_call_by_call_and_its_reward_is_the_critics_word():
    result = solve(acting(3, Outside(), Plan(("add 3",))), BestOfN(n=2, steps=3))
    chains = [result.graph.path(leaf) for leaf in result.graph.leaves()]
    assert [[held(thought).get("reward") for thought in chain] for chain in chains] == [[None, -4, -1, -2]]


def test_the_reward_is_the_latest_on_the_path_and_before_there_is_one_nobody_judges():
    async def policy(search: tg.Search) -> tg.Thought | None:
        looked, added = await search.expand(search.root, action="step")
        (further,) = [t for t in await search.expand(added, action="step") if held(t)["tool"] == "look"]
        scores = await search.score([looked, added, further])
        assert [(score.value, score.status) for score in scores] == [(None, "abstained"), (-6.0, "ok"), (-6.0, "ok")]
        return None

    result = solve(acting(3, Outside(), Plan(("look", "add 1"))), policy)
    assert result.ito == "environment"
    assert Reward().ito == "environment"


def test_another_critic_takes_its_place():
    def value(states: Any) -> list[tg.Score]:
        return [tg.Score(0.5, "a word") for _ in states]

    result = solve(acting(3, Outside(), adding, critic=value), MCTS(simulations=2))
    assert result.ito == "proxy"


def test_the_goal_looks_at_what_was_chosen_and_not_at_the_report_of_it():
    seen = list[str]()

    def goal(path: Any) -> bool:
        seen.append(path[-1].content["tool"])
        return path[-1].content["tool"] == "pay"

    outside = Outside()
    result = solve(acting(3, outside, Plan(("pay Ann",)), goal=goal), Commit(CoT()))
    assert outside.paid == ["Ann 3"]
    assert (result.reason, set(seen)) == ("answered", {"pay"})
    assert result.answer.startswith("pay(")
    assert "(done)" in result.answer


def test_an_answer_in_words_is_the_claim():
    task = acting(3, Outside(), Plan(("= 7",)))
    assert solve(task, CoT()).answer == "7"
    assert solve(acting(3, Outside(), Plan(("look",))), CoT(steps=2)).answer is None


def test_a_claim_of_ones_own_takes_its_place():
    task = acting(3, Outside(), Plan(("add 7",)), claim=lambda path: path[-1].content.get("snapshot"))
    assert solve(task, CoT()).answer == {"sum": 10}


def test_equal_calls_from_one_thought_are_one_thought_and_chains_keep_theirs_apart():
    task = acting(3, Outside(), Plan(("add 1", "add 1", "add 2")))
    assert len(solve(task, ToT(breadth=1, steps=1)).graph) == 1 + 2
    assert len(solve(task, BestOfN(n=3, steps=1)).graph) == 1 + 3


def test_branches_meet_where_equal_snapshots_are_equal_states():
    """3 + 1 + 2 = 3 + 2 + 1."""
    plan = Plan(("add 1", "add 2"))
    assert len(solve(acting(3, Outside(), plan), ToT(breadth=9, steps=2)).graph) == 1 + 2 + 4
    assert len(solve(acting(3, Outside(), plan, key=same_world), ToT(breadth=9, steps=2)).graph) == 1 + 2 + 3


def test_keys_do_not_hang_on_the_order_of_names():
    one = {"after": "x", "tool": "f", "arguments": {"a": 1, "b": 2}, "snapshot": {"a": 1, "b": 2}}
    two = {"after": "x", "tool": "f", "arguments": {"b": 2, "a": 1}, "snapshot": {"b": 2, "a": 1}}
    assert same_call(one) == same_call(two)
    assert same_world(one) == same_world(two)
    assert same_call({"text": "words"}) is same_call("words") is same_world("words") is None
    assert same_world({**one, "snapshot": None}) == same_call(one)


def test_it_reflects_where_somebody_says_how():
    def reflect(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft({"text": "Smaller steps would do."})]

    assert "reflect" not in acting(3, Outside(), adding).actions
    task = acting(3, Outside(), adding, reflect=reflect)

    async def policy(search: tg.Search) -> tg.Thought | None:
        (first, *_) = await search.expand(search.root, action="step")
        (lesson,) = await search.expand(first, action="reflect")
        further = await search.expand(search.root, lesson, action="step")
        assert {held(thought)["observation"] for thought in further} == {"The sum is 4.", "The sum is 5."}
        return None

    solve(task, policy)


def test_a_model_decides_where_nobody_proposes():
    calls = [
        {"text": "First.", "tool": "add", "arguments": {"number": 4}},
        {"text": "Then.", "tool": "ad", "arguments": {"number": 3}},
        {"text": "Again.", "tool": "add", "arguments": {"number": 3}},
    ]
    model = Scripted([json.dumps(call) for call in calls])
    result = solve(acting(3, Outside(), x="Make it 10."), CoT(), model=model)
    assert "The sum is 10." in result.answer
    last = model.seen[-1].messages[-1].content
    assert last.startswith("Make it 10.\n\nAt first:\n<observation>")
    assert "there is no tool 'ad': expected one of look, add, trip, break, pay" in last
    assert "(value: " not in last


def test_nothing_is_spent_and_nothing_touched_where_there_is_no_model():
    outside = Outside()
    with pytest.raises(tg.TaskError, match="asks a model and the run has none"):
        solve(acting(3, outside), MCTS())
    assert outside.did == {}


def test_the_policy_that_searches_it_where_nobody_says_commits():
    assert parse(acting(3, Outside(), adding).policy) == Commit(MCTS(simulations=40))


def test_the_tools_are_asked_of_a_world_that_was_not_begun():
    assert acting(3, Outside()).actions["step"].propose.tools == TOOLS  # pyright: ignore[reportAttributeAccessIssue]


def test_an_estimate_acts_nowhere_and_counts_what_deciding_costs():
    outside = Outside()
    found = tg.estimate(acting(3, outside), policy="cot(steps=2)", model=Scripted(["never asked"]))
    assert found.expected.calls >= 1
    assert not outside.did
