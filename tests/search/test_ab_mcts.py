"""AB-MCTS-A: the contract, golden traces, what an arm learns by hand, and when it goes wide or deep."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import random
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import pytest
from golden import same_as_golden
from marked import Mend, Within, Write, answers, finished, grown, thought
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.search.ab_mcts import ABMCTS, _Thompson
from thoughtgraph.search.adaptive import Node, Step
from thoughtgraph.testing import Toy, picture


class TestABMCTS(Within):
    policy = ABMCTS(n=30, actions=("step",), refine=())


class TestABMCTSWithEightWorkersAndBetaArms(Within):
    policy = ABMCTS(n=30, workers=8, arms="beta", models="ucb", actions=("step",), refine=())


class TestABMCTSThatRefines(Within):
    """The toy's one action makes of final thoughts longer ones: here they are gone on from, which is the point."""

    policy = ABMCTS(n=20)

    def test_a_final_thought_is_never_expanded(self) -> None:
        """By `refine` it is."""
        result, _ = self.run(Toy("open", "ends at once"))
        assert any(result.graph.children(end) for end in result.graph.finals)

    def test_a_tree_that_ends_at_once_is_answered(self) -> None:
        """It ends at no answer, only at n."""
        toy = Toy("open", "ends at once")
        self.check(self.run(toy)[0], toy)


def test_its_trace_is_the_golden_one():
    same_as_golden("ab_mcts", ABMCTS(n=12, actions=("step",), refine=()))
    same_as_golden("ab_mcts_beta", ABMCTS(n=12, arms="beta"))


# -- answers that are numbers, by hand -----------------------------------------------------------------------------


def width(write: Write, mend: Mend, policy: ABMCTS) -> float:
    """The mean number of answers that are new, over seeds."""
    graphs = [grown(write, mend, policy, seed) for seed in range(10)]
    return fmean(len(graph.children(graph.root)) for graph in graphs)


@pytest.mark.parametrize("arms", ["gaussian", "beta"])
def test_it_goes_wide_where_refining_makes_worse_and_deep_where_it_makes_better(arms):
    policy = ABMCTS(n=40, arms=arms)
    wide = width(lambda rng: 0.5, lambda mended, rng: max(0.0, mended - 0.3), policy)
    deep = width(lambda rng: 0.5, lambda mended, rng: min(1.0, mended + 0.1), policy)
    assert wide > 30
    assert deep < 15


@pytest.mark.parametrize("arms", ["gaussian", "beta"])
def test_it_goes_deep_where_new_answers_are_always_the_same_one_and_wide_where_they_vary(arms):
    """Equal answers are one thought, judged once; to write it again earns nothing."""
    policy = ABMCTS(n=40, arms=arms)
    same = grown(lambda rng: 0.4, lambda mended, rng: mended + rng.random() / 100, policy, key=str)
    assert len(same.children(same.root)) == 1
    assert len(same.scores(same.children(same.root)[0])) == 1
    assert len(same) > 30
    vary = grown(lambda rng: rng.random(), lambda mended, rng: mended / 2, policy, key=str)
    assert len(vary.children(vary.root)) > 20


def test_the_best_answer_is_refined_most():
    refined = Counter[float]()
    for seed in range(10):
        graph = grown(lambda rng: rng.choice((0.1, 0.2, 0.9)), lambda mended, rng: mended, ABMCTS(n=60), seed)
        for first in graph.children(graph.root):
            refined[first.content] += len(graph.children(first))
    assert refined[0.9] > 3 * (refined[0.1] + refined[0.2])


def test_a_score_teaches_gen_where_it_was_made_and_cont_and_the_child_gone_to_above():
    guide = _Thompson(ABMCTS(), random.Random(0))
    root, a, b = Node(thought("root"), ["reason"]), Node(thought("a"), ["refine"]), Node(thought("b"), ["refine"])
    first, second = [Step(root, "reason")], [Step(root, "reason"), Step(a, "refine")]
    third = [*second, Step(b, "refine")]
    for path, child, reward in ((first, a, 0.8), (second, b, 0.4), (third, None, 0.6), (third, None, None)):
        guide.expect(path)
        guide.learn(path, child, reward)
    at_root, at_a, at_b = (guide.branch(*step) for step in third)
    assert [arms(branch) for branch in (at_root, at_a, at_b)] == [
        {"gen": (1, 0.8), "cont": (2, 1.0), "model": (3, 1.8)},
        {"gen": (1, 0.4), "cont": (1, 0.6), "model": (2, 1.0)},
        {"gen": (1, 0.6), "cont": (0, 0.0), "model": (1, 0.6)},
    ]
    assert [(guide.own[node].count, guide.own[node].total) for node in (a, b)] == [
        (3, pytest.approx(1.8)),  # its own .8, and .4 and .6 below it
        (2, pytest.approx(1.0)),
    ]
    # n = 3, y = .6: m = 1.8 / 4, and nu tau2 = .1 + (.04 + .04 + 0) + 3 / 4 * .36.
    assert guide.own[a].posterior == pytest.approx((0.45, 4.0, 4.0, (0.1 + 0.08 + 0.27) / 4))


def arms(branch):
    named = (("gen", branch.gen), ("cont", branch.cont), ("model", branch.model))
    assert not any(arm.pending for _, arm in named)
    return {name: (arm.count, pytest.approx(arm.total)) for name, arm in named}


def test_what_could_not_be_judged_or_failed_teaches_nothing_and_counts():
    task = answers(lambda rng: rng.choice((0.5, None)), lambda mended, rng: mended)
    asked = tg.solve(task, policy=ABMCTS(n=20), budget=Budget(), seed=1)
    assert asked.usage.expansions == 20
    assert asked.outcomes["failed"] > 3
    blind = tg.Task("x", task.actions, {"value": lambda states: [tg.Score(None)] * len(states)}, start=0.0)
    result = tg.solve(blind, policy=ABMCTS(n=20), budget=Budget(), seed=1)
    assert result.usage.expansions == 20
    assert result.usage.evaluations == len(result.graph) - 1


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_score_outside_of_zero_to_one_is_an_error_that_says_so(value):
    with pytest.raises(tg.TaskError, match=rf"'value' valued a thought at {value}.*\[0, 1\]"):
        grown(lambda rng: value, lambda mended, rng: mended, ABMCTS())


def test_what_has_nothing_to_add_is_not_asked_again_and_the_search_ends_when_all_is_known():
    tree = Tree({"": "a", "a": "b", "b": "c"}, dict.fromkeys("abc", 0.5), merge=True)
    nothing = Tree({})
    assert nothing.expanded(ABMCTS(actions=("step",), refine=())) == "."
    assert tree.run(ABMCTS(actions=("step",), refine=()))[0].answer == "c"


# -- defects of public code ----------------------------------------------------------------------------------------


def test_a_solved_thought_ends_the_search_and_is_not_refined():
    task = answers(lambda rng: rng.choice((0.2, 0.7)), lambda mended, rng: mended / 2, goal=0.7)
    result = tg.solve(task, policy=ABMCTS(n=200), budget=Budget())
    assert result.answer == 0.7
    assert result.usage.expansions < 20
    assert not result.graph.children(result.thought)


@pytest.mark.parametrize("models", ["stack", "thompson", "ucb"])
def test_every_answer_that_eight_workers_pay_for_is_in_the_tree(models):
    graph = grown(lambda rng: rng.random(), lambda mended, rng: mended, ABMCTS(n=24, workers=8, models=models))
    assert len(graph) == 1 + 24


def test_eight_workers_do_not_all_refine_one_of_two_equal_answers():
    """With everything in flight at once and nothing learned, a batch is spread over the answers that are there."""
    guide = _Thompson(ABMCTS(), random.Random(0))
    root, pair = Node(thought("root"), []), [Node(thought("a"), ["refine"]), Node(thought("b"), ["refine"])]
    for child in pair:
        root.children.append(("reason", child))
        guide.learn([Step(root, "reason")], child, 0.9)

    def batch() -> int:
        paths = list[Sequence[Step]]()
        for _ in range(8):
            _, child = finished(guide.choose(root))
            paths.append([Step(root, "reason"), Step(child, "refine")])
            guide.expect(paths[-1])
        for path in paths:
            guide.learn(path, None, None)
        return Counter(path[1].node.thought.id for path in paths).most_common(1)[0][1]

    assert fmean(batch() for _ in range(200)) < 6.2


def test_the_random_numbers_of_others_are_left_alone():
    pictures = set[str]()
    for seed in (1, 2):
        random.seed(seed)
        state = random.getstate()
        pictures.add(picture(grown(lambda rng: rng.random(), lambda mended, rng: mended, ABMCTS(n=20))))
        assert random.getstate() == state
    assert len(pictures) == 1


# -- several models ------------------------------------------------------------------------------------------------


def chosen(models: str, workers: int = 1, n: int = 60, **rewards: float) -> Counter[str]:
    """How often each action was taken, where each always earns the same."""

    def answering(reward: float):
        return lambda state, n: [tg.Draft(reward, done=True)]

    actions = {name: answering(reward) for name, reward in rewards.items()}
    task = tg.Task("models", actions, {"value": lambda states: [tg.Score(s.content) for s in states]}, start=0.0)
    policy = ABMCTS(n=n, workers=workers, models=models, actions=tuple(rewards), refine=tuple(rewards))
    graph = tg.solve(task, policy=policy, budget=Budget()).graph
    return Counter(t.action for t in graph if t.action)


@pytest.mark.parametrize("models", ["stack", "thompson", "ucb"])
def test_the_better_model_is_asked_more_often(models):
    asked = chosen(models, weak=0.1, strong=0.9)
    assert asked["strong"] > 2 * asked["weak"] > 0


def test_ucb_gives_no_whole_batch_to_one_model():
    assert chosen("ucb", workers=8, n=8, one=0.5, other=0.5) == {"one": 4, "other": 4}


@pytest.mark.parametrize("silent", ["fails", "is not judged"])
def test_ucb_gives_up_on_a_model_of_which_nothing_is_learned(silent):
    """It was taken for one that nobody had tried, and so came first each time."""

    def first(state: tg.State, n: int) -> list[tg.Draft]:
        if silent == "fails":
            raise OSError("the line was bad")
        return [tg.Draft(-1.0, done=True)]

    actions = {"first": first, "second": lambda state, n: [tg.Draft(0.8, done=True)]}
    value = lambda states: [tg.Score(s.content if s.content > 0 else None) for s in states]
    task = tg.Task("models", actions, {"value": value}, start=0.0)
    policy = ABMCTS(n=40, models="ucb", actions=("first", "second"), refine=())
    result = tg.solve(task, policy=policy, budget=Budget())
    assert len([t for t in result.graph if t.action == "second"]) > 30
    assert result.thought.content == 0.8


def test_final_thoughts_go_on_by_refine_and_others_by_the_actions():
    graph = grown(lambda rng: 0.5, lambda mended, rng: mended, ABMCTS(n=30))
    assert {t.action for t in graph.children(graph.root)} == {"reason"}
    assert {t.action for t in graph if t.depth > 1} == {"refine"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n": 0}, "n is 0"),
        ({"workers": 0}, "workers"),
        ({"actions": ()}, "actions"),
        ({"actions": "reason"}, "actions"),
        ({"refine": ("a", "a")}, "refine"),
        ({"arms": "gauss"}, "arms is 'gauss': expected one of 'gaussian', 'beta'"),
        ({"models": "greedy"}, "models"),
    ],
)
def test_settings_that_make_no_sense_are_errors(wrong, named):
    with pytest.raises(ValueError, match=named):
        ABMCTS(**wrong)
