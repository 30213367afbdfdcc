"""AB-MCTS-M: the contract, a golden trace, and what it decides."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

from collections import Counter
from random import Random
from statistics import fmean

import pytest
from golden import same_as_golden
from marked import Within, finished, grown, thought

import thoughtgraph as tg
from thoughtgraph.search.ab_mcts_m import ABMCTSM, _Mixed
from thoughtgraph.search.adaptive import Node, Step


class TestABMCTSM(Within):
    policy = ABMCTSM(n=8, action="step", refine=None)


class TestABMCTSMWithEightWorkers(Within):
    policy = ABMCTSM(n=8, workers=8, action="step", refine=None)


def test_its_trace_is_the_golden_one():
    same_as_golden("ab_mcts_m", ABMCTSM(n=12, action="step", refine=None))


# -- what it decides -----------------------------------------------------------------------------------------------


def test_it_goes_deep_below_an_answer_that_stands_out_and_wide_where_none_does():
    """A new answer is expected to be like the others, so one that is much better is gone on from."""
    policy = ABMCTSM(n=30, stale=30)
    refined, widths = Counter[float](), list[int]()
    for seed in range(5):
        graph = grown(lambda rng: rng.choice((0.1, 0.1, 0.9)), lambda old, rng: old, policy, seed)
        for first in graph.children(graph.root):
            refined[first.content] += len(graph.children(first))
        widths.append(len(graph.children(graph.root)))
    assert refined[0.9] > 5 * refined[0.1]
    assert fmean(widths) < 10
    poor = [grown(lambda rng: rng.random() / 9, lambda old, rng: 0.0, policy, seed) for seed in range(5)]
    assert fmean(len(graph.children(graph.root)) for graph in poor) > fmean(widths)


def test_it_goes_deep_where_new_answers_are_always_the_same_one():
    """To write it again earns nothing, as in AB-MCTS-A."""
    policy = ABMCTSM(n=40)
    mend = lambda old, rng: old + rng.random() / 100
    graphs = [grown(lambda rng: 0.9, mend, policy, seed, key=str) for seed in range(5)]
    assert fmean(len(graph) for graph in graphs) > 30


def test_a_branch_whose_scores_hardly_differ_is_not_gone_on_from():
    graph = grown(lambda rng: rng.random() / 2, lambda old, rng: 0.5, ABMCTSM(n=40, stale=4, alike=0.75), key=None)

    def below(thought: tg.Thought) -> int:
        return 1 + sum(below(child) for child in graph.children(thought))

    assert max(below(first) for first in graph.children(graph.root)) <= 5


def test_scores_of_everything_below_belong_to_the_child_they_are_below():
    guide = _Mixed(ABMCTSM(), Random(0))
    root, a, b = Node(thought("root"), ["reason"]), Node(thought("a"), ["refine"]), Node(thought("b"), ["refine"])
    steps = [Step(root, "reason"), Step(a, "refine"), Step(b, "refine")]
    for path, child, reward in ((steps[:1], a, 0.8), (steps[:2], b, 0.4), (steps, None, 0.6), (steps, None, None)):
        guide.expect(path)
        guide.learn(path, child, reward)
    assert (guide.scores[a], guide.scores[b]) == ([0.8, 0.4, 0.6], [0.4, 0.6])
    assert not any(guide.pending.values())
    assert not any(guide.making.values())


def test_work_in_flight_counts_as_seen_at_the_mean_so_that_a_batch_spreads():
    """Two answers of .9 and a bad one: eight in a row go to both of the good ones, in any order."""
    guide = _Mixed(ABMCTSM(), Random(0))
    root = Node(thought("root"), [])
    for name, reward in (("a", 0.9), ("b", 0.9), ("c", 0.1)):
        child = Node(thought(name), ["refine"])
        root.children.append(("reason", child))
        guide.learn([Step(root, "reason")], child, reward)
    chosen = set[str]()
    for _ in range(8):
        _, child = finished(guide.choose(root))
        chosen.add(child.thought.id)
        guide.expect([Step(root, "reason"), Step(child, "refine")])
    assert chosen >= {"a", "b"}


def test_an_abstention_teaches_nothing_and_its_answer_may_still_be_refined():
    graph = grown(lambda rng: rng.choice((0.5, None)), lambda old, rng: old, ABMCTSM(n=20))
    assert len(graph) > 10


def test_a_solved_thought_ends_it():
    graph = grown(lambda rng: rng.choice((0.2, 0.7)), lambda old, rng: old / 2, ABMCTSM(n=200), goal=0.7)
    assert len(graph) < 30


@pytest.mark.parametrize("wrong", [{"n": 0}, {"workers": 0}, {"stale": 0}, {"alike": -1}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ABMCTSM(**wrong)
