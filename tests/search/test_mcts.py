"""Monte-Carlo tree search: the contract, a golden trace, and UCT, PUCT and backup by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.search import MCTS
from thoughtgraph.search.mcts import _Tree
from thoughtgraph.testing import PolicyContract
from thoughtgraph.verbs import Search


def UCT(**settings) -> MCTS:
    """The textbook's search: UCT, with every child judged at once."""
    return MCTS(**{"rule": "uct", "judge": "children", "c": 1.0, **settings})


class TestMCTS(PolicyContract):
    policy = MCTS(simulations=20)


class TestMCTSByTheTextbook(PolicyContract):
    policy = UCT(simulations=20)


class TestMCTSWithPriorsAndMaxima(PolicyContract):
    policy = UCT(simulations=20, rule="puct", backup="max", branch=2)


class TestMCTSWithEightWorkers(PolicyContract):
    policy = UCT(simulations=40, workers=8)


class TestMCTSThatJudgesOneLeafAndWidens(PolicyContract):
    policy = UCT(simulations=20, rule="puct", judge="leaf", widen=1.0, c=0.5)


class TestMCTSWithRollouts(PolicyContract):
    policy = UCT(simulations=12, workers=3, rollout=2, follow="random", backup="discounted", widen=0.5)


def test_its_trace_is_the_golden_one():
    same_as_golden("mcts", UCT(simulations=12))
    same_as_golden("mcts_leaf", UCT(simulations=20, rule="puct", judge="leaf", widen=1.0, c=0.5, branch=2))
    same_as_golden("mcts_default", MCTS(simulations=12))
    same_as_golden("mcts_rollout", UCT(simulations=6, rollout=2, follow="random", backup="discounted"))


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
        return await kept["tree"].grow(policy.workers)

    tree.run(watched, **how)
    nodes = (node for node in kept["tree"].nodes.values() if node.visits)
    return {node.thought.content: (node.visits, round(node.total / node.visits, 6), node.peak) for node in nodes}


def test_visits_and_values_after_three_simulations_are_those_worked_out_by_hand():
    # 1. expand the root: a gets .5, b gets .9; the root has 2 visits.
    # 2. bounds .5..: Q(a)=0, Q(b)=1, equal bonuses: expand b: e .1, f .3.
    # 3. bounds .1 to .9: Q(b)=(1.3/3-.1)/.8=.417, bonus sqrt(ln 4/3)=.680; a: .5+sqrt(ln 4/1)=1.677: expand a.
    after = grown(SMALL, UCT(simulations=3))
    assert after["b"] == (3, pytest.approx(1.3 / 3, abs=1e-6), 0.9)
    assert after["a"] == (3, pytest.approx(1.1 / 3, abs=1e-6), 0.5)
    assert after[""] == (6, pytest.approx(2.4 / 6, abs=1e-6), 0.9)
    assert SMALL.expanded(UCT(simulations=3)) == ".ba"


def test_without_exploration_the_mean_turns_away_from_b_and_the_maximum_stays():
    # After b: its mean is 1.3/3 = .433 < .5 = a, while its maximum is .9 > .5.
    assert SMALL.expanded(UCT(simulations=3, c=0)) == ".ba"
    assert SMALL.expanded(UCT(simulations=3, c=0, backup="max"))[:3] in (".be", ".bf")


def test_puct_begins_where_the_prior_is_large():
    # With equal values: U(a) ~ 0.1 and U(b) ~ 0.9 of the same.
    tree = Tree({"": "ab"}, {"a": 0.5, "b": 0.5}, priors={"a": 1.0, "b": 9.0}, open="ab")
    assert tree.expanded(UCT(simulations=2, rule="puct")) == ".b"
    tree = Tree({"": "ab"}, {"a": 0.5, "b": 0.5}, priors={"a": 9.0, "b": 1.0}, open="ab")
    assert tree.expanded(UCT(simulations=2, rule="puct")) == ".a"


def test_final_thoughts_are_never_expanded_and_the_search_ends_when_all_is_known():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("abcdef", 0.5))
    assert sorted(tree.expanded(UCT(simulations=1000))) == [".", "a", "b"]


def test_a_closed_subtree_is_not_visited_again_however_good_it_was():
    tree = Tree({"": "ab", "a": "c", "b": "d", "d": "e", "e": "f"}, {"a": 1.0, "c": 1.0, "b": 0.1, "d": 0.1, "e": 0.1})
    assert tree.expanded(UCT(simulations=1000, c=0)) == ".abde"


def test_a_leaf_that_gives_nothing_costs_a_visit_and_is_closed():
    tree = Tree({"": "ab", "a": "c"}, {"a": 0.1, "b": 0.9, "c": 0.5}, open="b")
    assert tree.expanded(UCT(simulations=1000)) == ".ba"


def test_it_stops_at_the_first_solved_thought():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("ab", 0.5), goal="d")
    result, engine = tree.run(UCT(simulations=1000))
    assert result.thought.content == "d"
    assert tree.expanded(UCT(simulations=1000)) == ".a"
    assert engine.purse.spent.evaluations == 2


def test_where_branches_meet_the_common_child_is_judged_once_and_known_to_both():
    #     root -> a, b -> x (a diamond)
    tree = Tree({"": "ab", "a": "x", "b": "x"}, {"a": 0.6, "b": 0.4, "x": 0.1}, open="x", merge=True)
    policy = UCT(simulations=3)
    assert tree.expanded(policy) == ".ab"
    assert tree.scored(policy) == ["ab", "x"]
    after = grown(tree, policy)
    assert after["x"] == (1, 0.1, 0.1)
    assert after["a"] == (2, 0.35, 0.6)
    assert after["b"] == (2, 0.25, 0.4)
    assert after[""] == (4, 0.3, 0.6)  # .6 and .4, .1 through a, and .1 recalled through b


@pytest.mark.parametrize("x", [0.1, None])
def test_where_branches_meet_while_the_common_child_is_being_judged_it_is_judged_once(x):
    tree = Tree({"": "ab", "a": "x", "b": "x"}, {"a": 0.6, "b": 0.4, "x": x}, open="x", merge=True)
    for policy in (UCT(simulations=3, workers=2), UCT(simulations=3, workers=2, rule="puct")):
        assert tree.expanded(policy) == ".ab"
        assert tree.scored(policy) == ["ab", "x"]


@pytest.mark.parametrize("judge", ["children", "leaf"])
def test_a_common_child_that_nobody_can_judge_is_not_asked_about_again_from_another_branch(judge):
    tree = Tree({"": "abc", "a": "x", "b": "x", "x": "y"}, {"a": 0.6, "b": 0.5, "c": 0.0, "y": 0.1}, merge=True)
    scored = "".join(tree.scored(UCT(simulations=50, judge=judge)))
    assert sorted(scored) == list("abcxy")


def test_eight_workers_never_expand_a_thought_twice_and_spread_out():
    tree = Tree({"": "abcdefgh"}, dict.fromkeys("abcdefgh", 0.5), open="abcdefgh")
    order = tree.expanded(UCT(simulations=9, workers=8))
    assert order[0] == "."
    assert sorted(order[1:]) == list("abcdefgh")


def test_workers_that_find_nothing_to_do_wait_for_the_others():
    tree = Tree({"": "a", "a": "b", "b": "c"}, dict.fromkeys("abc", 0.5))
    assert tree.expanded(UCT(simulations=1000, workers=8)) == ".ab"


def test_nothing_is_left_in_flight_at_the_end():
    _, engine = SMALL.run(UCT(simulations=6, workers=4), budget=Budget(expansions=50))
    assert engine.search.flying == {}


WRONG = [
    {"simulations": 0}, {"workers": 0}, {"c": -1}, {"branch": 0}, {"c": float("nan")}, {"rule": "ucb"}, {"widen": -1},
    {"backup": "median"}, {"gamma": -0.5}, {"judge": "leaves"}, {"rollout": -1}, {"follow": "best"}, {"alpha": -1},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        UCT(**wrong)


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
    result = tg.solve(task, policy=UCT(), budget=tg.Budget())
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
    result = tg.solve(task, policy=UCT(simulations=60), budget=tg.Budget())
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
    await tg.asolve(task, policy=UCT(simulations=60, workers=8), budget=tg.Budget())
    assert len(expanded) == len(set(expanded)) == 60


def test_work_in_flight_is_a_visit_without_reward():
    """Q of a child with one visit of value 1 and one expansion below it in flight is 1/2."""
    tree = _Tree(UCT(c=0.0), Search(tg.Task("x", actions={"s": lambda state, n: []}), tg.ThoughtGraph(thought("r"))))
    tree.bounds.see(0.0)
    edges, _ = tree.hang([tree.root], [], [thought("a", "r"), thought("b", "r")])
    tree.learn([tree.root], [], list(zip(edges, (1.0, 0.6), strict=True)))
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
        tree = Counting(UCT(simulations=30, workers=300), search)
        await search.gather(*(tree.work() for _ in range(300)))
        return None

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(state.content + letter) for letter in "ab"]

    critics = {"value": lambda states: [tg.Score(0.5) for _ in states]}
    tg.solve(tg.Task("x", actions={"step": step}, critics=critics, start=""), policy=policy, budget=tg.Budget())
    assert looks < 300


# -- one leaf at a time ----------------------------------------------------------------------------


def test_one_leaf_is_judged_in_each_simulation_and_uct_visits_every_child_first():
    # a .5; b has no visits: .9; then Q(a)=0, Q(b)=1, equal bonuses: expand b, judge e.
    policy = UCT(simulations=3, judge="leaf")
    assert SMALL.expanded(policy) == ".b"
    assert SMALL.scored(policy) == ["a", "b", "e"]
    after = grown(SMALL, policy)
    assert after["b"] == (2, 0.5, 0.9)
    assert after[""] == (3, 0.5, 0.9)


def test_puct_takes_an_unjudged_child_to_be_as_good_as_its_parent():
    # Priors .9 and .1. Judged: a, .9, the only value, so Q = .5 everywhere: a .5 + .9/2 = .95, b .5 + .1 = .6.
    tree = Tree({"": "ab", "a": "cd"}, {"a": 0.9, "c": 0.8}, priors={"a": 9.0, "b": 1.0}, open="bcd")
    policy = UCT(simulations=2, judge="leaf", rule="puct")
    assert tree.expanded(policy) == ".a"
    assert tree.scored(policy) == ["a", "c"]


def test_puct_by_hand_where_one_leaf_is_judged_at_a_time():
    # 1. a .5.  2. a .5 + .5/2 = .75, b .5 + .5 = 1: b .9.  3. Q(a) = 0, Q(b) = 1, bonuses equal: expand b, e .1.
    # 4. bounds .1 to .9: a .5 + .5 sqrt(3)/2 = .933, b mean .5: .5 + .5 sqrt(3)/3 = .789: expand a, c .2.
    policy = UCT(simulations=4, judge="leaf", rule="puct")
    assert SMALL.expanded(policy) == ".ba"
    assert SMALL.scored(policy) == ["a", "b", "e", "c"]


def test_where_one_leaf_is_judged_final_thoughts_are_judged_too_and_the_best_is_the_answer():
    tree = Tree({"": "abc"}, {"a": 0.2, "b": 0.7, "c": 0.4})
    policy = UCT(simulations=100, judge="leaf")
    assert tree.scored(policy) == ["a", "b", "c"]
    assert tree.run(policy)[0].answer == "b"


def test_a_leaf_that_nobody_can_judge_is_gone_on_from_and_not_judged_again():
    tree = Tree({"": "a", "a": "b"}, {"a": None, "b": 0.5}, open="b")
    policy = UCT(simulations=3, judge="leaf")
    assert tree.scored(policy) == ["a", "b"]
    assert tree.expanded(policy) == ".ab"


def test_values_that_lie_between_0_and_1_may_stay_as_they_are():
    # Scaled, Q(a) = 0 and Q(b) = 1. As they are, .45 and .5: with priors .9 and .1 the bonus decides.
    tree = Tree({"": "ab"}, {"a": 0.45, "b": 0.5}, priors={"a": 9.0, "b": 1.0}, open="ab")
    assert tree.expanded(UCT(simulations=2, rule="puct")) == ".b"
    assert tree.expanded(UCT(simulations=2, rule="puct", scaled=False)) == ".a"


def test_a_discounted_value_says_less_the_farther_away_it_is():
    # b .9; at gamma 1/2 the root has .45 of it. Then e .8: b has .9 and .4, the root .45 and .2.
    tree = Tree({"": "b", "b": "e"}, {"b": 0.9, "e": 0.8}, open="e")
    after = grown(tree, UCT(simulations=2, backup="discounted", gamma=0.5))
    assert after["b"] == (2, 0.65, 0.9)
    assert after[""] == (2, 0.325, 0.45)
    assert grown(tree, UCT(simulations=2))[""] == (2, 0.85, 0.9)


# -- rollouts --------------------------------------------------------------------------------------

#            root
#        a          b
#      c   d      e   f
#      g   h      i   j
DEEP = Tree(
    {"": "ab", "a": "cd", "b": "ef", "c": "g", "d": "h", "e": "i", "f": "j"},
    {"c": 0.2, "e": 0.1, "g": 0.2, "h": 0.6, "i": 0.1},
    open="ghij",
)


def test_a_rollout_judges_its_end_and_what_it_came_by_stays_in_the_tree():
    # 1. root, a, c: .2.  2. b was never visited: b, e: .1.  3. Q(a) = 1; below it d was never visited: d, h: .6.
    policy = UCT(simulations=3, rollout=1)
    assert DEEP.expanded(policy) == ".abd"  # public codes throw the steps away, and draw a's children again
    assert DEEP.scored(policy) == ["c", "e", "h"]
    after = grown(DEEP, policy)
    assert after["a"] == (2, 0.4, 0.6)
    assert after["d"] == after["h"] == (1, 0.6, 0.6)
    assert after[""] == (3, 0.3, 0.6)


def test_a_rollout_follows_the_greatest_prior_or_the_dice_of_the_search():
    tree = Tree({"": "abcdefgh"}, dict.fromkeys("abcdefgh", 0.5), priors={"c": 2.0})
    assert tree.scored(UCT(simulations=1, rollout=1)) == ["c"]
    at_random = UCT(simulations=1, rollout=1, follow="random")
    found = [tree.scored(at_random, seed=seed) for seed in range(20)]
    assert len({tuple(names) for names in found}) > 3
    assert found == [tree.scored(at_random, seed=seed) for seed in range(20)]


def test_a_rollout_stops_at_a_final_thought():
    tree = Tree({"": "a", "a": "b"}, {"b": 0.5})
    assert tree.scored(UCT(simulations=9, rollout=7)) == ["b"]
    assert tree.expanded(UCT(simulations=9, rollout=7)) == ".a"


def test_a_rollout_that_comes_to_what_another_branch_expanded_judges_that_and_draws_it_no_second_time():
    # 1. a, x, and y, which nobody can judge.  2. b was never visited; below it x is found again.
    tree = Tree({"": "ab", "a": "x", "b": "x", "x": "y"}, {"x": 0.7, "y": None}, open="y", merge=True)
    policy = UCT(simulations=2, rollout=2)
    assert tree.expanded(policy) == ".axb"
    assert tree.scored(policy) == ["y", "x"]


def test_a_rollout_that_solves_it_ends_the_search():
    tree = Tree({"": "a", "a": "b", "b": "c"}, goal="c")
    assert tree.run(UCT(simulations=1, rollout=5))[0].thought.content == "c"
    assert tree.scored(UCT(simulations=1, rollout=5)) == []


# -- widening --------------------------------------------------------------------------------------


def drawing(*draws: str, open: bool = True) -> tuple[tg.Task, list[str]]:
    """A task whose every draw of a thought brings the next of `draws`, or else another number; and who was asked."""
    asked = list[str]()

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        asked.append(state.content)
        turn = asked.count(state.content) - 1
        names = draws[turn] if turn < len(draws) else str(turn)
        return [tg.Draft(state.content + name, done=not open) for name in names]

    def value(states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(0.5) for _ in states]

    goal = None if open else (lambda path: path[-1].content == "z")
    return tg.Task("draw", {"step": step}, {"value": value}, start="", goal=goal, key=str), asked


def test_a_node_is_drawn_from_again_when_its_visits_allow():
    # One child a draw, one value a simulation. The root is drawn from again when draws < sqrt(visits):
    # 1 < sqrt(2) at its 3rd visit, 2 < sqrt(5) at its 6th, 3 < sqrt(10) at its 11th.
    task, asked = drawing()
    tg.solve(task, policy=UCT(simulations=12, widen=1.0, alpha=0.5, branch=1), budget=tg.Budget())
    assert [turn for turn, content in enumerate(asked) if content == ""] == [0, 2, 5, 10]
    task, asked = drawing()
    tg.solve(task, policy=UCT(simulations=12, branch=1), budget=tg.Budget())
    assert asked.count("") == 1


def test_without_widening_no_thought_is_drawn_from_twice_and_with_it_every_draw_adds():
    for widen, most in ((0.0, 1), (1.0, 6)):  # six: at simulations 1, 3, 6, 11, 18 and 27
        task, asked = drawing()
        result = tg.solve(task, policy=UCT(simulations=30, widen=widen, branch=1), budget=tg.Budget())
        assert max(Counter(asked).values()) == most
        assert len(result.graph.children(result.graph.root)) == most


def test_where_all_below_is_dead_another_draw_is_due():
    task, asked = drawing("ab", "bc", "z", open=False)
    assert tg.solve(task, policy=UCT(), budget=tg.Budget()).answer is None
    task, asked = drawing("ab", "bc", "z", open=False)
    assert tg.solve(task, policy=UCT(widen=0.1), budget=tg.Budget()).answer == "z"
    assert asked == ["", "", ""]


def test_a_draw_that_brings_nothing_new_is_the_last_one():
    task, asked = drawing("ab", "ba", "z", open=False)
    assert tg.solve(task, policy=UCT(widen=0.1), budget=tg.Budget()).answer is None
    assert asked == ["", ""]


def test_a_search_that_widens_ends_by_itself_where_the_moves_are_known():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, dict.fromkeys("abcdef", 0.5), merge=True)
    for policy in (UCT(widen=1.0), UCT(widen=1.0, judge="leaf", rule="puct", workers=4)):
        order = tree.expanded(policy)
        assert sorted(order) == [".", ".", "a", "a", "b", "b"]


def test_the_robust_child_is_an_answer_rule_that_names_a_final_thought():
    """A public code documents "max_visit" and returns None."""
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, {"a": 0.9, "b": 0.1, "c": 0.9, "d": 0.8, "e": 0.2, "f": 0.1})
    tree.task = replace(tree.task, rule=tg.answers.most_visited)
    assert tree.run(UCT(simulations=10))[0].answer in ("c", "d")
