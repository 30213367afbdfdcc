"""Sequential halving: the contract, a golden trace, and its rounds and counts by hand."""

from collections import Counter
from math import log2

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.models import Scripted
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.halving import SequentialHalving
from thoughtgraph.testing import RUN, PolicyContract
from thoughtgraph.trace import Scored


class TestSequentialHalving(PolicyContract):
    policy = SequentialHalving(n=4)


def test_its_trace_is_the_golden_one():
    same_as_golden("halving", SequentialHalving(n=4))


EIGHT = Tree({"": "abcdefgh"}, dict(zip("abcdefgh", (0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.5), strict=True)))


def test_every_round_keeps_the_better_half_and_judges_it_twice_as_often():
    # 8 once, 4 twice, 2 four times: 8 judgements a round.
    assert EIGHT.scored(SequentialHalving(n=8)) == ["abcdefgh", "bdfh", "bdfh", "bd", "bd", "bd", "bd"]
    assert EIGHT.run(SequentialHalving(n=8))[0].answer == "b"


def test_an_odd_number_keeps_its_larger_half():
    assert EIGHT.scored(SequentialHalving(n=5)) == ["abcde", "bde", "bde", "bd", "bd", "bd", "bd"]


@pytest.mark.parametrize(("n", "judgements"), [(3, 3 + 4), (5, 5 + 6 + 8), (9, 9 + 10 + 12 + 16), (8, 24)])
def test_its_price_stays_under_what_it_says(n, judgements):
    tree = Tree({"": "abcdefghi"}, dict.fromkeys("abcdefghi", 0.5))
    assert sum(map(len, tree.scored(SequentialHalving(n=n)))) == judgements
    assert judgements <= n * (log2(n) + 3)


def noisy(values):
    """A critic that says the next of these values each time it is asked for a thought."""
    asked = Counter[str]()

    def value(states):
        said = []
        for state in states:
            said.append(tg.Score(values[state.content][asked[state.content]]))
            asked[state.content] += 1
        return said

    return value, asked


def test_judgements_are_drawn_afresh_and_pooled_over_the_rounds():
    # a is lucky once: .9, then (.9 + .2 + .1) / 3 = .4; b has (.5 + .5 + .5) / 3 = .5.
    value, asked = noisy({"a": [0.9, 0.2, 0.1], "b": [0.5] * 3, "c": [0.1], "d": [0.2]})
    tree = Tree({"": "abcd"})
    tree.task = tg.Task("x", {"step": tree.step}, {"value": value}, start="")
    result, engine = tree.run(SequentialHalving(n=4))
    assert result.answer == "b"
    assert asked == {"a": 3, "b": 3, "c": 1, "d": 1}
    assert [engine.graph.value(thought) for thought in engine.graph.finals] == pytest.approx([0.4, 0.5, 0.1, 0.2])
    lucky, _ = noisy({"a": [0.9], "b": [0.5], "c": [0.1], "d": [0.2]})
    tree.task = tg.Task("x", {"step": tree.step}, {"value": lucky}, start="")
    assert tree.run(BestOfN(n=4))[0].answer == "a"


def test_equal_requests_of_later_rounds_get_draws_of_their_own_also_from_a_cache():
    """A critic that asks a model: what was said once is kept, and never said again as if it were new."""

    def ask(x, passages, thoughts, scores):
        return tg.Prompt(ask=f"How good is {thoughts[-1].text}?")

    async def value(states):
        return [tg.Score.of(await state.ask(ask, 1, float)) for state in states]

    tree, cache, model = Tree({"": "abcd"}), tg.Cache(), Scripted(lambda prompt, draw: str(draw / 10))
    tree.task = tg.Task("x", {"step": tree.step}, {"value": value}, start="")
    tree.run(SequentialHalving(n=2), model=model, cache=cache)
    assert len(model.seen) == 2
    _, engine = tree.run(SequentialHalving(n=4), model=model, cache=cache)
    # The first draws of a and b are there: c, d, and two more of a and b. a was said to be 0, .1 and .2.
    assert len(model.seen) == 2 + 2 + 4
    assert engine.graph.value(engine.graph.finals[0]) == pytest.approx(0.1)


def test_an_abstention_ranks_as_the_mean_of_the_others_and_never_wins_over_a_value():
    tree = Tree({"": "abcd"}, {"a": 0.1, "b": None, "c": 0.9, "d": 0.1})
    assert tree.scored(SequentialHalving(n=4))[1] == "cb"
    assert tree.run(SequentialHalving(n=4))[0].answer == "c"
    assert Tree({"": "ab"}, {"a": None, "b": 0.1}).run(SequentialHalving(n=2))[0].answer == "b"


def test_one_candidate_needs_no_critic_and_none_is_an_honest_none():
    tree = Tree({"": "a"})
    assert tree.run(SequentialHalving(n=4))[0].answer == "a"
    assert tree.scored(SequentialHalving(n=4)) == []
    assert Tree({}, open="").run(SequentialHalving(n=4))[0].answer is None


def test_a_goal_test_decides_without_a_critic():
    tree = Tree({"": "abc"}, goal="b")
    assert tree.run(SequentialHalving(n=3))[0].answer == "b"
    assert tree.scored(SequentialHalving(n=3)) == []


def test_a_budget_that_ends_between_rounds_leaves_the_best_of_those_judged_most():
    # After 4 + 2 evaluations a has (.9 + .2) / 2 and b has (.85 + .5) / 2; the .8 of d is of one judgement.
    value, _ = noisy({"a": [0.9, 0.2], "b": [0.85, 0.5], "c": [0.4], "d": [0.8]})
    tree = Tree({"": "abcd"})
    tree.task = tg.Task("x", {"step": tree.step}, {"value": value}, start="")
    result, engine = tree.run(SequentialHalving(n=4), budget=tg.Budget(evaluations=7))
    events = [e for e in engine.store.events(RUN) if isinstance(e, Scored)]
    assert [len(event.thoughts) for event in events] == [4, 2]
    assert (result.reason, result.answer) == ("budget", "b")


@pytest.mark.parametrize("wrong", [{"n": 0}, {"steps": 0}])
def test_settings_below_one_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SequentialHalving(**wrong)
