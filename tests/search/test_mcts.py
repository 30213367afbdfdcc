"""Monte-Carlo tree search: the contract, a golden trace, and UCT, PUCT and backup by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import asyncio
from collections.abc import Sequence
from math import inf, log, sqrt

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.search import MCTS
from thoughtgraph.search.mcts import _Tree
from thoughtgraph.search.tree import Bounds, puct, uct
from thoughtgraph.testing import PolicyContract
from thoughtgraph.verbs import Search


class TestMCTS(PolicyContract):
    policy = MCTS(simulations=20)


class TestMCTSWithPriorsAndMaxima(PolicyContract):
    policy = MCTS(simulations=20, rule="puct", backup="max", branch=2)


class TestMCTSWithEightWorkers(PolicyContract):
    policy = MCTS(simulations=40, workers=8)


def test_its_trace_is_the_golden_one():
    same_as_golden("mcts", MCTS(simulations=12))


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


# -- a small tree by hand --------------------------------------------------------------------------

#        root
#      a(.5)   b(.9)          the values
#    c(.2) d(.4)  e(.1) f(.3)
SMALL = Tree(
    {"": "ab", "a": "cd", "b": "ef"},
    {"a": 0.5, "b": 0.9, "c": 0.2, "d": 0.4, "e": 0.1, "f": 0.3},
    open="cdef",
)


def grown(tree: Tree, policy: MCTS, **how) -> dict[str, tuple[int, float, float]]:
    """(visits, mean, peak) of each node when the search is over."""
    kept = {}

    async def watched(search: Search):
        kept["tree"] = _Tree(policy, search)
        await search.gather(*(kept["tree"].work() for _ in range(policy.workers)))
        return kept["tree"].solved

    tree.run(watched, **how)
    nodes = (node for node in kept["tree"].nodes.values() if node.visits)
    return {node.thought.content: (node.visits, round(node.total / node.visits, 6), node.peak) for node in nodes}


def test_visits_and_values_after_three_simulations_are_those_worked_out_by_hand():
    # 1. expand the root: a gets .5, b gets .9; the root has 2 visits.
    # 2. bounds .5..: Q(a)=0, Q(b)=1, equal bonuses: expand b: e .1, f .3.
    # 3. bounds .1 to .9: Q(b)=(1.3/3-.1)/.8=.417, bonus sqrt(ln 4/3)=.680; a: .5+sqrt(ln 4/1)=1.677: expand a.
    after = grown(SMALL, MCTS(simulations=3))
    assert after["b"] == (3, pytest.approx(1.3 / 3, abs=1e-6), 0.9)
    assert after["a"] == (3, pytest.approx(1.1 / 3, abs=1e-6), 0.5)
    assert after[""] == (6, pytest.approx(2.4 / 6, abs=1e-6), 0.9)
    assert SMALL.expanded(MCTS(simulations=3)) == ".ba"


def test_without_exploration_the_mean_turns_away_from_b_and_the_maximum_stays():
    # After b: its mean is 1.3/3 = .433 < .5 = a, while its maximum is .9 > .5.
    assert SMALL.expanded(MCTS(simulations=3, c=0)) == ".ba"
    assert SMALL.expanded(MCTS(simulations=3, c=0, backup="max"))[:3] in (".be", ".bf")


def test_puct_begins_where_the_prior_is_large():
    # With equal values: U(a) ~ 0.1 and U(b) ~ 0.9 of the same.
    tree = Tree({"": "ab"}, {"a": 0.5, "b": 0.5}, priors={"a": 1.0, "b": 9.0}, open="ab")
    assert tree.expanded(MCTS(simulations=2, rule="puct")) == ".b"
    tree = Tree({"": "ab"}, {"a": 0.5, "b": 0.5}, priors={"a": 9.0, "b": 1.0}, open="ab")
    assert tree.expanded(MCTS(simulations=2, rule="puct")) == ".a"


def test_final_thoughts_are_never_expanded_and_the_search_ends_when_all_is_known():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("abcdef", 0.5))
    assert sorted(tree.expanded(MCTS(simulations=1000))) == [".", "a", "b"]


def test_a_closed_subtree_is_not_visited_again_however_good_it_was():
    tree = Tree({"": "ab", "a": "c", "b": "d", "d": "e", "e": "f"}, {"a": 1.0, "c": 1.0, "b": 0.1, "d": 0.1, "e": 0.1})
    assert tree.expanded(MCTS(simulations=1000, c=0)) == ".abde"


def test_a_leaf_that_gives_nothing_costs_a_visit_and_is_closed():
    tree = Tree({"": "ab", "a": "c"}, {"a": 0.1, "b": 0.9, "c": 0.5}, open="b")
    assert tree.expanded(MCTS(simulations=1000)) == ".ba"


def test_it_stops_at_the_first_solved_thought():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("ab", 0.5), goal="d")
    result, engine = tree.run(MCTS(simulations=1000))
    assert result.thought.content == "d"
    assert tree.expanded(MCTS(simulations=1000)) == ".a"
    assert engine.purse.spent.evaluations == 2


def test_where_branches_meet_the_common_child_is_judged_once_and_known_to_both():
    #     root -> a, b -> x (a diamond)
    tree = Tree({"": "ab", "a": "x", "b": "x"}, {"a": 0.6, "b": 0.4, "x": 0.1}, open="x", merge=True)
    policy = MCTS(simulations=3)
    assert tree.expanded(policy) == ".ab"
    assert tree.scored(policy) == ["ab", "x"]
    after = grown(tree, policy)
    assert after["x"] == (1, 0.1, 0.1)
    assert after["a"] == (2, 0.35, 0.6)
    assert after["b"] == (2, 0.25, 0.4)
    assert after[""] == (4, 0.3, 0.6)  # .6 and .4, .1 through a, and .1 recalled through b


def test_eight_workers_never_expand_a_thought_twice_and_spread_out():
    tree = Tree({"": "abcdefgh"}, dict.fromkeys("abcdefgh", 0.5), open="abcdefgh")
    order = tree.expanded(MCTS(simulations=9, workers=8))
    assert order[0] == "."
    assert sorted(order[1:]) == list("abcdefgh")


def test_workers_that_find_nothing_to_do_wait_for_the_others():
    tree = Tree({"": "a", "a": "b", "b": "c"}, dict.fromkeys("abc", 0.5))
    assert tree.expanded(MCTS(simulations=1000, workers=8)) == ".ab"


def test_nothing_is_left_in_flight_at_the_end():
    _, engine = SMALL.run(MCTS(simulations=6, workers=4), budget=Budget(expansions=50))
    assert engine.search.flying == {}


@pytest.mark.parametrize("wrong", [{"simulations": 0}, {"workers": 0}, {"c": -1}, {"branch": 0}, {"c": float("nan")}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MCTS(**wrong)


def test_a_failed_expansion_is_no_dead_end_and_is_tried_once_more():
    asked = list[str]()

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        asked.append(state.content)
        if asked.count(state.content) == 1 and state.content == "a":
            raise OSError("the line was bad")
        return [tg.Draft(state.content + letter, done=len(state.content) == 1) for letter in "ab"]

    def value(states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(1.0 if state.content.startswith("a") else 0.0) for state in states]

    task = tg.Task("ab", actions={"step": step}, critics={"value": value}, start="")
    result = tg.solve(task, policy=MCTS(), budget=tg.Budget())
    assert asked.count("a") == 2
    assert result.answer == "aa"
    assert result.outcomes["failed"] == 1


def test_an_abstention_is_no_low_score_and_no_invitation():
    """Nobody can judge what lies below "b"; its thoughts are as good as what is known there, and no better."""

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(state.content + letter) for letter in "abc"] if len(state.content) < 6 else []

    def value(states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(None if "b" in s.content else -50.0 + s.content.count("a")) for s in states]

    task = tg.Task("abc", actions={"step": step}, critics={"value": value}, start="")
    result = tg.solve(task, policy=MCTS(simulations=60), budget=tg.Budget())
    below = [thought for thought in result.graph if "b" in thought.content and thought.depth > 1]
    assert 0 < len([thought for thought in below if result.graph.children(thought)]) < 30


async def test_no_worker_goes_below_thoughts_that_are_being_judged():
    """While the critic thinks about the root's children, seven of eight workers wait."""
    judged, expanded = set[str](), list[str]()

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        expanded.append(state.content)
        assert state.content == "" or state.content in judged
        return [tg.Draft(state.content + letter) for letter in "abcdefgh"]

    async def value(states: Sequence[tg.State]) -> list[tg.Score]:
        await asyncio.sleep(0.002)
        judged.update(state.content for state in states)
        return [tg.Score(len(state.content) / 10) for state in states]

    task = tg.Task("x", actions={"step": step}, critics={"value": value}, start="")
    await tg.asolve(task, policy=MCTS(simulations=60, workers=8), budget=tg.Budget())
    assert len(expanded) == len(set(expanded)) == 60


def test_work_in_flight_is_a_visit_without_reward():
    """Q of a child with one visit of value 1 and one expansion below it in flight is 1/2."""
    tree = _Tree(MCTS(c=0.0), Search(tg.Task("x", actions={"s": lambda state, n: []}), tg.ThoughtGraph(thought("r"))))
    tree.bounds.see(0.0)
    tree.attach(tree.root, [thought("a", "r"), thought("b", "r")])
    for edge, value in zip(tree.root.edges or (), (1.0, 0.6), strict=True):
        tree.learn([tree.root], [], [(edge, value)])
    assert tree.choose(tree.root, set()).child.thought.id == "a"
    tree.search.flying.update(["a"])
    assert tree.choose(tree.root, set()).child.thought.id == "b"


def thought(id: str, *parents: str) -> tg.Thought:
    return tg.Thought(id, parents, "s", id, depth=len(parents))


def test_a_thousand_idle_workers_do_not_look_again_until_something_changes():
    """Each wakes, sees that nothing changed, and waits: the tree is walked once for each change."""
    looks = 0

    class Counting(_Tree):
        def select(self):
            nonlocal looks
            looks += 1
            return super().select()

    async def policy(search: Search) -> tg.Thought | None:
        tree = Counting(MCTS(simulations=30, workers=300), search)
        await search.gather(*(tree.work() for _ in range(300)))
        return None

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(state.content + letter) for letter in "ab"]

    critics = {"value": lambda states: [tg.Score(0.5) for _ in states]}
    tg.solve(tg.Task("x", actions={"step": step}, critics=critics, start=""), policy=policy, budget=tg.Budget())
    assert looks < 300
