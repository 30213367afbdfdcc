"""What a learned critic sees of Game of 24: by hand, from strangers, and no further than one operation."""

import csv
import random
from dataclasses import replace
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.learning.features import Example, table
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.rows import Response
from thoughtgraph.learning.training import train_critic
from thoughtgraph.search.monte_carlo import MonteCarlo
from thoughtgraph.store import MemoryStore
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.game24 import game24
from thoughtgraph.tasks.game24_features import FEATURES, HITS, NEAREST, NUMBERS, PAIRS, left_in
from thoughtgraph.thought import Json

FILE = Path(__file__).parents[3] / "shared/data/tree-of-thought-llm/24.csv"


def example(content: Json) -> Example:
    return Example("x", Response(text="", steps=("",), contents=(content,)))


def seen(feature: tg.Feature | object, *left: str) -> dict[str, float | None]:
    """The columns of a feature for some numbers left."""
    (row,) = feature.compute([example({"left": list(left)})])  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
    return dict(zip(feature.columns, row, strict=True))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]


def test_numbers_are_told_by_size_and_kind():
    found = seen(NUMBERS, "4/3", "3", "10")
    assert (found["count"], found["least"], found["middle"], found["greatest"]) == (3, pytest.approx(4 / 3), 3, 10)
    assert (found["whole"], found["divisors"], found["distance"]) == (2, 1, 14)
    assert (found["shares_least"], found["shares_middle"], found["shares_greatest"]) == (0, 3, 2)


def test_one_operation_between_two_of_them_is_looked_at():
    found = seen(NEAREST, "5", "7")  # 12, 2, 35, 1.4, .71
    assert (found["to_12"], found["to_24"], found["to_1"]) == (0, 11, pytest.approx(2 / 7))
    assert seen(HITS, "5", "7")["makes_12"] == 1
    assert seen(HITS, "4", "6")["makes_24"] == 1
    assert seen(PAIRS, "5", "7")["product_low"] == 35
    assert seen(PAIRS, "2", "5", "7")["difference_outer"] == 5


def test_a_division_by_zero_is_no_result():
    assert seen(PAIRS, "0", "7")["ratio_low"] is None
    assert seen(HITS, "0", "0")["whole"] == 3


def test_with_one_number_left_nothing_can_be_made_of_it():
    assert set(seen(NEAREST, "24").values()) == {None}
    assert seen(NUMBERS, "24")["targets"] == 1


def test_nothing_is_seen_beyond_one_operation():
    """3 * 8 is one operation, and is seen; (5 - 1 / 5) * 5 is more than one, and is not."""
    seen_in = lambda *left: 24.0 in table([[example({"left": list(left)})]], FEATURES)[0]
    assert seen_in("3", "8", "8")
    assert not seen_in("1", "5", "5")


@pytest.mark.parametrize(
    "content",
    [
        None, "text", [], {}, {"left": "4 6"}, {"left": [4, 6]}, {"left": ["1/0"]}, {"left": ["1e999999999"]},
        {"left": ["9" * 50]}, {"left": ["4"] * 9}, {"left": [["4"]]}, {"left": ["٣"]}, {"left": ["nan"]},
    ],
)  # fmt: skip
def test_contents_of_strangers_say_nothing_and_break_nothing(content: Json):
    assert left_in(example(content)) == ()
    assert all(value is None for feature in FEATURES for value in feature.compute([example(content)])[0])


def test_a_response_without_contents_says_nothing():
    assert left_in(Example("x", Response(text="4 6"))) == ()


@pytest.mark.slow
@pytest.mark.skipif(not FILE.exists(), reason="the published puzzles are not here")
def test_a_critic_that_learns_from_rollouts_solves_more_than_the_heuristic():
    with FILE.open(encoding="utf-8") as file:
        puzzles = [row["Puzzles"] for row in csv.DictReader(file)]
    random.Random(1).shuffle(puzzles)
    thinker, store = Fallible(width=8), MemoryStore()
    tasks = [game24(puzzle, fallible=thinker) for puzzle in puzzles[:150]]
    for task in tasks:
        tg.solve(task, policy=MonteCarlo(breadth=8), store=store, budget=tg.Budget())
    rows = rows_of(store, tasks, evaluate=tg.tasks.evaluator, labels=["steps"])
    critic = train_critic(rows, features=FEATURES).critic
    assert critic is not None
    solved = {"heuristic": 0, "learned": 0}
    for puzzle in puzzles[-150:]:
        task = game24(puzzle, fallible=thinker)
        for name, it in (("heuristic", task), ("learned", replace(task, critics={"value": critic}))):
            solved[name] += tg.solve(it, policy="tot(breadth=1)", budget=tg.Budget(expansions=3)).answer is not None
    assert solved["learned"] > 1.2 * solved["heuristic"]
