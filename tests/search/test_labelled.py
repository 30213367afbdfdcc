"""Labelled: the answer is the inner policy's; afterwards what it judged is completed by draws that it did not steer."""

import pytest

import thoughtgraph as tg
from thoughtgraph.learning.grown import grown
from thoughtgraph.learning.labels import counted
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.search.tot import ToT
from thoughtgraph.store import MemoryStore
from thoughtgraph.tasks.evaluation import evaluator
from thoughtgraph.tasks.game24 import game24
from thoughtgraph.testing import PolicyContract

INNER = ToT(breadth=2, steps=3)


class TestLabelled(PolicyContract):
    policy = Labelled(ToT(breadth=1, steps=2), thoughts=3, rollouts=2, steps=3)


def searched(policy) -> tuple[tg.Result, MemoryStore]:
    store = MemoryStore()
    return tg.solve(game24("4 9 10 13"), policy=policy, store=store, budget=tg.Budget(), seed=3), store


def test_the_answer_is_that_of_the_policy_itself():
    assert searched(Labelled(INNER))[0].answer == searched(INNER)[0].answer


def test_as_many_thoughts_are_completed_as_are_wanted_each_so_many_times():
    result, store = searched(Labelled(INNER, thoughts=5, rollouts=4))
    task = game24("4 9 10 13")
    counts = counted(grown(store, result.run, task, evaluator(task)))
    assert sorted(trials for _, trials in counts.values()) == [4] * 5


def test_only_what_was_judged_and_is_open_is_completed():
    result, _ = searched(Labelled(INNER, thoughts=10_000, rollouts=1))
    trials = [thought for thought in result.graph if thought.action == "reason"]
    parents = [result.graph[thought.parents[0]] for thought in trials]
    assert len(trials) == 50
    assert all(result.graph.scores(parent) and not parent.done for parent in parents)


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError, match="expected a policy"):
        Labelled("tot")
