"""Labels by rollouts: the contract, a golden trace, and who is completed how often."""

# pyright: reportArgumentType=false

from collections import Counter

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.search.monte_carlo import MonteCarlo
from thoughtgraph.testing import PolicyContract
from thoughtgraph.trace import Expanded, Scored


class TestMonteCarlo(PolicyContract):
    policy = MonteCarlo(breadth=2, rollouts=2)


class TestMonteCarloOnChains(PolicyContract):
    policy = MonteCarlo(breadth=3, rollouts=2, branch=1)


def test_its_trace_is_the_golden_one():
    same_as_golden("monte_carlo", MonteCarlo(breadth=2, rollouts=2, steps=2))


# -- words of three letters, by letters or at once -----------------------------------------------------------------


def step(state: tg.State, n: int) -> list[tg.Draft]:
    """A letter more: a, b or c."""
    return [tg.Draft(state.content + letter, done=len(state.content) == 2) for letter in "abc"][:n]


def reason(state: tg.State, n: int) -> list[tg.Draft]:
    """A whole word that begins as it stands here."""
    said = ["".join(state.rng.choices("abc", k=3 - len(state.content))) for _ in range(n)]
    return [tg.Draft(state.content + rest, done=True) for rest in said]


def cut(state: tg.State, n: int) -> list[tg.Draft]:
    """The beginnings of a word."""
    start, word = (thought.content for thought in state.thoughts)
    return [tg.Draft(word[:end]) for end in range(len(start) + 1, len(word))][:n]


def words(**actions: tg.Generator) -> tg.Task:
    """A task that takes any word."""
    critics = {"value": lambda states: [tg.Score(0.5) for _ in states]}
    return tg.Task("a word", actions or {"step": step, "reason": reason}, critics, start="")


def solved(task: tg.Task, policy: MonteCarlo, seed: int = 0) -> tuple[tg.Result, list[Expanded], list[object]]:
    """A run with its expansions and its other events."""
    events = list[object]()
    result = tg.solve(task, policy=policy, budget=tg.Budget(), seed=seed, on_event=lambda u: events.append(u.event))
    return result, [e for e in events if isinstance(e, Expanded)], events


def test_every_thought_of_the_walk_is_completed_as_often_as_said_and_nothing_else_is():
    result, expanded, _ = solved(words(), MonteCarlo(breadth=2, rollouts=5))
    completed = Counter(e.parents[0] for e in expanded if e.action == "reason")
    walked = [e.parents[0] for e in expanded if e.action == "step"]
    assert set(completed.values()) == {1}
    assert list(completed) == walked  # the question, then two thoughts on each of two levels
    assert [result.graph[id].depth for id in walked] == [0, 1, 1, 2, 2]
    assert all(len(e.made) == 5 for e in expanded if e.action == "reason")


def test_nothing_is_judged_on_the_way_and_the_result_says_so():
    result, _, events = solved(words(), MonteCarlo(breadth=2, rollouts=2))
    assert not [event for event in events if isinstance(event, Scored)]
    assert result.ito == "none"


def test_the_walk_goes_on_from_thoughts_drawn_at_random():
    firsts = Counter[str]()
    for seed in range(30):
        result, expanded, _ = solved(words(), MonteCarlo(breadth=1, rollouts=1), seed)
        firsts.update(result.graph[e.parents[0]].content for e in expanded if e.action == "step")
    assert {"a", "b", "c"} <= firsts.keys()
    assert max(firsts[letter] for letter in "abc") < 20


def test_with_one_branch_it_walks_chains_that_begin_apart():
    result, expanded, _ = solved(words(), MonteCarlo(breadth=3, rollouts=1, branch=1))
    steps = [e for e in expanded if e.action == "step"]
    assert [e.n for e in steps] == [3] + [1] * 6
    assert sorted(t.content for t in result.graph if t.depth == 3 and t.action == "step") == ["aaa", "baa", "caa"]


def test_whole_answers_are_cut_and_completed_from_each_place():
    policy = MonteCarlo(breadth=2, rollouts=4, branch=1, action="answer")
    result, expanded, _ = solved(words(answer=reason, reason=reason, cut=cut), policy)
    places = [thought for thought in result.graph if thought.action == "cut"]
    assert sorted(len(place.content) for place in places) == [1, 1, 2, 2]
    assert {e.parents[0] for e in expanded if e.action == "reason"} == {"root", *(place.id for place in places)}


def test_who_goes_on_from_a_place_sees_nothing_of_the_rest_of_the_answer():
    seen = list[list[str]]()

    def watching(state: tg.State, n: int) -> list[tg.Draft]:
        seen.append([thought.content for thought in state.phi])
        return reason(state, n)

    task = words(answer=reason, reason=watching, cut=cut)
    solved(task, MonteCarlo(breadth=1, rollouts=1, branch=1, action="answer"))
    assert [len(words) for words in seen] == [0, 1, 1]
    assert [len(words[0]) for words in seen[1:]] == [1, 2]


def test_an_answer_that_nobody_can_cut_is_said():
    result, _, _ = solved(words(reason=reason), MonteCarlo(breadth=1, rollouts=1, branch=1, action="reason"))
    assert "no action 'cut'" in "".join(note.text for note in result.notes)


@pytest.mark.parametrize("wrong", ["breadth", "rollouts", "branch", "steps"])
def test_settings_below_one_are_errors(wrong: str):
    with pytest.raises(ValueError, match=wrong):
        MonteCarlo(**{wrong: 0})
