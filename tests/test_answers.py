"""Final-answer rules, each on a small graph."""

import pytest

from thoughtgraph.answers import best, candidates, majority, most_visited, tally, weighted_majority
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.task import Task
from thoughtgraph.thought import ROOT, Score, Thought


def task(**more) -> Task:
    return Task("t", {"step": lambda state, n: []}, **more)


def ends(*said: tuple[str, float | None]) -> ThoughtGraph:
    """A graph of final thoughts with these texts and values."""
    graph = ThoughtGraph(Thought(ROOT, (), "", None))
    for number, (text, value) in enumerate(said):
        graph.add(Thought(f"t{number}", (ROOT,), "step", text, done=True, depth=1))
        if value is not None:
            graph.judge(f"t{number}", Score(value, critic="v"))
    return graph


def id_of(thought):
    return None if thought is None else thought.id


def test_only_what_is_done_and_claims_something_is_a_candidate():
    graph = ends(("7", None), ("", None))
    graph.add(Thought("open", (ROOT,), "step", "8", depth=1))
    assert [thought.id for thought in candidates(task(), graph)] == ["t0"]


def test_a_goal_leaves_only_what_passes_it():
    graph = ends(("7", 0.9), ("8", 0.1))
    with_goal = task(goal=lambda path: path[-1].content == "8")
    assert id_of(best(with_goal, graph)) == "t1"
    assert best(task(goal=lambda path: False), graph) is None


def test_best_is_the_highest_value_or_the_first_where_there_is_none():
    assert id_of(best(task(), ends(("7", 0.2), ("8", 0.9), ("9", 0.9)))) == "t1"
    assert id_of(best(task(), ends(("7", None), ("8", None)))) == "t0"
    assert id_of(best(task(), ends(("7", None), ("8", -5.0)))) == "t1"


def test_majority_counts_votes_and_weighted_majority_adds_values():
    graph = ends(("7", 0.9), ("8", 0.2), (" 8", 0.3), ("8 ", None))
    assert id_of(majority(task(), graph)) == "t1"
    assert id_of(weighted_majority(task(), graph)) == "t0"


def test_a_weighted_majority_without_values_is_a_majority():
    assert id_of(weighted_majority(task(), ends(("8", None), ("7", None), (" 7", None)))) == "t1"


def test_in_a_weighted_majority_an_answer_that_cannot_be_compared_stands_for_itself():
    assert id_of(weighted_majority(task(), ends(("7", 0.3), ("a\nb", 0.7), (" 7", 0.3)))) == "t1"
    assert id_of(weighted_majority(task(), ends(("7", 0.4), ("a\nb", 0.7), (" 7", 0.4)))) == "t0"


def test_equal_votes_go_to_the_answer_that_came_first():
    assert id_of(majority(task(), ends(("8", None), ("7", None), ("7", None), ("8", None)))) == "t0"


def test_answers_that_cannot_be_compared_do_not_vote_and_can_still_be_the_answer():
    poem = "a\nb"
    graph = ends((poem, None), ("7", None))
    assert {key: len(v) for key, v in tally(task(), graph, graph.finals).items()} == {"7": 1}
    assert id_of(majority(task(), graph)) == "t1"
    assert id_of(majority(task(), ends((poem, None)))) == "t0"


def test_most_visited_is_the_candidate_below_the_most_often_expanded_first_step():
    graph = ThoughtGraph(Thought(ROOT, (), "", None))
    for id, parent, depth, done in (
        ("a", ROOT, 1, False), ("b", ROOT, 1, False), ("a1", "a", 2, True), ("b1", "b", 2, True), ("b2", "b", 2, False),
    ):  # fmt: skip
        graph.add(Thought(id, (parent,), "step", id, done=done, depth=depth))
    assert id_of(most_visited(task(), graph)) == "b1"


@pytest.mark.parametrize("rule", [best, majority, weighted_majority, most_visited])
def test_no_candidates_are_no_answer(rule):
    assert rule(task(), ends()) is None
    assert rule(task(), ends(("", 1.0))) is None
