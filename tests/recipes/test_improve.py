"""Improve: a better critic is kept, a worse one never; nothing is paid twice; questions stay on their sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import combinations_with_replacement

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.training import train_critic
from thoughtgraph.recipes.improve import Improvement, Round, improve, parted
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.search.tot import ToT
from thoughtgraph.state import State
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.tasks.game24 import game24, moves, promise
from thoughtgraph.tasks.game24_features import FEATURES
from thoughtgraph.thought import Json

POLICY = ToT(breadth=1, steps=3)
WALKS = Labelled(POLICY, thoughts=4, rollouts=4)
BUDGET = tg.Budget(expansions=40)


def some(n: int) -> list[tg.Task]:
    """Puzzles that can be solved, one in seven of all there are."""
    every = [p for p in list(combinations_with_replacement(range(1, 14), 4))[::7] if able(tuple(map(str, p)))]
    return [game24(" ".join(map(str, puzzle))) for puzzle in every[:n]]


@cache
def able(left: tuple[str, ...]) -> bool:
    return left == ("24",) if len(left) == 1 else any(able(move.left) for move in moves(left))


@dataclass(frozen=True)
class Told:
    """A critic that knows it all, or says the opposite."""

    honest: bool = True

    def __call__(self, states: Sequence[State]) -> list[tg.Score]:
        return [tg.Score(float(able(tuple(state.content["left"])) == self.honest)) for state in states]


def loop(train, tasks=40, **how):
    settings = {"policy": POLICY, "labeller": WALKS, "budget": BUDGET, "train": train, "rounds": 2, **how}
    return improve(some(tasks) if isinstance(tasks, int) else tasks, **settings)


def figures(found: Improvement) -> Json:
    """All that was found, but for the processor's seconds."""
    told = found.to_json()
    for one in told["rounds"]:
        one["audit"]["cost"]["cpu_seconds"] = None
    return told


def test_a_better_critic_is_kept_and_its_gain_is_that_on_other_questions():
    found = loop(lambda rows: Told())
    first, second = found.rounds
    assert first.accepted
    assert not second.accepted  # the same again is no better
    assert found.critic == Told()
    assert found.last.mean == 1.0  # who knows it all solves everything
    assert found.gain.low > 0
    assert found.gain.mean == pytest.approx(found.last.mean - found.first.mean)
    assert found.split == (20, 10, 10)


def test_a_sabotaged_critic_is_rejected_in_every_round():
    found = loop(lambda rows: Told(honest=False), rounds=3)
    assert [one.accepted for one in found.rounds] == [False] * 3
    assert found.critic is promise
    assert (found.first, found.last, found.gain) == (None, None, None)
    assert "nothing kept" in str(found)


def test_a_critic_that_is_no_better_for_sure_is_rejected():
    found = loop(lambda rows: promise)
    assert [one.gap.mean for one in found.rounds] == [0.0, 0.0]
    assert not any(one.accepted for one in found.rounds)


def test_each_round_learns_from_all_rows_so_far_and_hears_of_questions_of_its_own():
    seen = []

    def train(rows):
        seen.append(rows)
        return promise

    found = loop(train)
    shares = parted(some(40), (0.5, 0.25), 2)
    assert [len(rows) for rows in seen] == [one.rows for one in found.rounds]
    assert seen[1][: len(seen[0])] == seen[0]
    assert {row.question for row in seen[0]} <= {task.x for task in shares[0]}
    assert {row.question for row in seen[1][len(seen[0]) :]} <= {task.x for task in shares[1]}


def test_verified_answers_are_given_whatever_becomes_of_the_critic():
    found = loop(lambda rows: Told(honest=False))
    learned_from = {task.x for share in parted(some(40), (0.5, 0.25), 2)[:2] for task in share}
    assert found.paths
    assert all(row.value == 1 and row.question in learned_from for row in found.paths)
    assert all(tg.tasks.evaluator(game24(row.question))(row.response.answer) for row in found.paths)


def test_what_is_in_the_store_is_read_and_not_made_again(tmp_path):
    first = loop(partial(train_critic, features=FEATURES), store=tmp_path / "runs.db")
    store = SQLiteStore(tmp_path / "runs.db")
    before = {run: len(store.events(run)) for run in store.runs()}
    store.close()
    second = loop(partial(train_critic, features=FEATURES), store=tmp_path / "runs.db")
    store = SQLiteStore(tmp_path / "runs.db")
    assert {run: len(store.events(run)) for run in store.runs()} == before
    store.close()
    assert figures(second) == figures(first)


def test_a_loop_that_was_stopped_goes_on_where_it_was():
    class Stop(Exception): ...

    def stop(round_: Round):
        raise Stop

    store, asked = MemoryStore(), []

    def train(rows):
        asked.append(len(store.runs()))
        return Told()

    with pytest.raises(Stop):
        loop(train, store=store, on_round=stop)
    after_one = len(store.runs())
    found = loop(train, store=store)
    assert asked[1] == after_one  # nothing of the first round was run again
    assert figures(found) == figures(loop(train))


def test_data_that_cannot_be_learned_from_ends_a_round_and_not_the_loop():
    def train(rows):
        raise TaskError("of one class")

    found = loop(train)
    assert [str(one) for one in found.rounds] == [
        f"round {n}: rejected, nothing could be trained: of one class" for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"tasks": [*some(40), some(1)[0]]}, "stand there twice"),
        ({"tasks": 5}, "too few for 2 rounds"),
        ({"split": (0.5, 0.5)}, "below 1 in all"),
        ({"split": (0, 0.5)}, "below 1 in all"),
        ({"evaluate": lambda task: None}, "nobody knows which answers"),
        (
            {"critic": "nobody", "tasks": [replace(t, critics={"a": promise, "b": promise}) for t in some(40)]},
            "no critic",
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_run(how, says):
    with pytest.raises(TaskError, match=says):
        loop(lambda rows: promise, store=(store := MemoryStore()), **how)
    assert not store.runs()


def test_an_argument_that_nobody_knows_is_refused():
    with pytest.raises(TypeError, match="colour"):
        loop(lambda rows: promise, colour="red")
