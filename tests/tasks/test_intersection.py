"""Intersecting sets in parts: the problem, its errors, those who slip, what a model says, and the evaluator outside."""

# pyright: reportOptionalMemberAccess=false

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

import thoughtgraph as tg
from thoughtgraph.models import Scripted
from thoughtgraph.search import BestOfN, Direct
from thoughtgraph.search.got import GoT
from thoughtgraph.search.operations import aggregate, generate
from thoughtgraph.tasks.intersection import (
    Evaluator,
    check,
    common,
    errors,
    intersection,
    mending,
    merging,
    read,
    solving,
)
from thoughtgraph.tasks.lists import LAWS, Ask, Slips
from thoughtgraph.testing import GeneratorContract

FOLDER = Path(__file__).parents[3] / "shared/data/graph-of-thoughts"
published = pytest.mark.skipif(not FOLDER.exists(), reason="the published sets are not here")

SETS = "13 16 30 6 21 7 31; 25 21 10 6 5 26 7"
X = "[13, 16, 30, 6, 21, 7, 31]\n[25, 21, 10, 6, 5, 26, 7]"
SURE = Slips(p=0, p_merge=0)


def content(found: list[int], first: int, last: int) -> dict[str, Any]:
    return {"text": json.dumps(found), "list": found, "span": [first, last]}


# -- the problem ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        SETS,
        X,
        "[13, 16, 30, 6, 21, 7, 31][25, 21, 10, 6, 5, 26, 7]",
        "[[13, 16, 30, 6, 21, 7, 31], [25, 21, 10, 6, 5, 26, 7]]",
        "13, 16, 30, 6, 21, 7, 31\n25, 21, 10, 6, 5, 26, 7\n",
    ],
)
def test_two_sets_are_read_however_they_are_set_apart(text: str):
    assert intersection(text).problem == X


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "1; 2; 3", "1 2; x", "1 2;", "[1] and [2]", "[1, 2] []", "1 2; 1.5", "[1 [2"]
)
def test_what_is_no_pair_of_sets_is_refused_with_what_was_found(text: str):
    with pytest.raises(tg.TaskError) as error:
        intersection(text)
    assert repr(text) in str(error.value)
    assert "two sets of whole numbers" in str(error.value)


def test_a_set_holds_each_number_once():
    with pytest.raises(tg.TaskError, match="3 stands twice"):
        read("1 2; 3 4 3")


def test_a_task_is_built_again_by_its_recipe_only_where_that_says_everything():
    assert intersection(SETS).recipe == {"name": "intersection", "problem": X, "local": True}
    assert intersection(SETS, slips=LAWS["constant"]).recipe is None


# -- without a model -----------------------------------------------------------------------------------------------


def test_the_second_set_is_split_and_the_parts_come_together():
    async def plan(search):
        parts = await generate(search, [search.root], "split", 2)
        assert [part.content["list"] for part in parts] == [[25, 21, 10], [6, 5, 26, 7]]
        found = await generate(search, parts, "step", 1)
        assert [thought.content["list"] for thought in found] == [[21], [6, 7]]
        [whole] = await aggregate(search, found)
        assert search.graph.parents(whole) == found
        return whole

    assert tg.solve(intersection(SETS, slips=SURE), policy=plan).answer == [6, 7, 21]


def test_sets_that_share_nothing_have_an_empty_answer_and_an_answer_all_the_same():
    result = tg.solve(intersection("1 2; 3 4", slips=SURE), policy=GoT(parts=2))
    assert (result.answer, result.reason) == ([], "answered")


def test_a_slip_loses_a_common_number_or_adds_one_of_the_second_set_alone():
    task = intersection(SETS, slips=Slips(p=1, grows=False))
    result = tg.solve(task, policy=BestOfN(n=40))
    found = [task.claim([end]) or [] for end in result.graph.finals]
    assert {number for numbers in found for number in numbers} == {6, 7, 21, 25, 10, 5, 26}
    assert {errors(SETS, numbers) for numbers in found} == {3}  # one for each of 6, 7 and 21


@published
def test_the_published_sets_are_intersected_by_the_default_plan_all_but_a_few():
    with (FOLDER / "set_intersection_032.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    problems = [f"{row['SET1']} {row['SET2']}" for row in rows]
    assert all(check(problem, row["INTERSECTION"]) for problem, row in zip(problems, rows, strict=True))
    runs = [tg.solve(intersection(problem), policy=GoT(), seed=i) for i, problem in enumerate(problems)]
    assert sum(errors(problem, run.answer) for problem, run in zip(problems, runs, strict=True)) <= 5


@pytest.mark.parametrize("policy", [Direct(), BestOfN(n=3), GoT()])
def test_policies_of_all_kinds_intersect(policy: tg.Policy):
    assert tg.solve(intersection(SETS, slips=SURE), policy=policy).answer == [6, 7, 21]


# -- what a model says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("[21, 6, 7]", [6, 7, 21]),
        ("Output: []", []),
        ("Set 1: [1, 2]\nSet 2: [2, 3]\n**Output:** [2]", [2]),
        ('{"intersection": [7, 6]}', [6, 7]),
        ("Both sets hold 6 and 7, so the answer is [6, 7].", [6, 7]),
    ],
)
def test_the_list_of_a_reply_is_kept_sorted_and_may_be_empty(reply: str, found: list[int]):
    assert common(reply) == found


@pytest.mark.parametrize("reply", ["", "They have nothing in common.", "{6, 7}", "6, 7, 21", "[6, 7", "[6, 7, ...]"])
def test_what_holds_no_list_is_unparsable(reply: str):
    with pytest.raises(tg.Unparsable):
        common(reply)


PARTS: Any = intersection(SETS).critics["value"].problem  # pyright: ignore[reportAttributeAccessIssue]


class TestSolving(GeneratorContract):
    problem = X
    start = content([25, 21, 10, 6, 5, 26, 7], 0, 7)
    generator = Ask(PARTS, solving, common)
    reply = ("[6, 7, 21]", "Output: [6]")


class TestMending(GeneratorContract):
    problem = X
    start = content([25, 21, 10, 6, 5, 26, 7], 0, 7)
    thoughts = (content([6, 21], 0, 7),)
    generator = Ask(PARTS, mending, common)
    reply = ("[6, 7, 21]",)


class TestMerging(GeneratorContract):
    problem = X
    start = content([25, 21, 10, 6, 5, 26, 7], 0, 7)
    thoughts = (content([21], 0, 3), content([6, 7], 3, 7))
    generator = Ask(PARTS, merging, common)
    reply = ("[6, 7, 21]",)


WHOLE = "Set 1: [13, 16, 30, 6, 21, 7, 31]\nSet 2: [25, 21, 10, 6, 5, 26, 7]"
COMPLAINT = "What is wrong with it: 7 is missing once."


def clerk(prompt: str, draw: int) -> str:
    """A model that finds what is common, but for the 7."""
    found = [json.loads(one) for one in re.findall(r"\[[\d, ]*\]", prompt)]
    if "Split the following" in prompt:
        return json.dumps({"List 1": found[-1][:4], "List 2": found[-1][4:]})
    if "Merge the following" in prompt:
        return f"Output: {found[-2] + found[-1]}"
    if "may be incorrect" in prompt:
        return f"The 7 was left out.\nOutput: {[*found[-1], 7]}"
    return str([number for number in found[-1] if number in found[-2] and number != 7])


def test_a_model_is_asked_to_split_intersect_merge_and_correct_and_each_sees_what_it_needs():
    model = Scripted(clerk)
    policy = GoT(parts=2, samples=2, merges=1, refinements=1)
    result = tg.solve(intersection(SETS, local=False), policy=policy, model=model, budget=tg.Budget())
    asked = [request.messages[-1].content.partition("\n\n")[2] for request in model.seen]
    assert asked == [
        "Input: [25, 21, 10, 6, 5, 26, 7]\nOutput:",
        "Set 1: [13, 16, 30, 6, 21, 7, 31]\nSet 2: [25, 21, 10, 6]\nOutput:",
        "Set 1: [13, 16, 30, 6, 21, 7, 31]\nSet 2: [5, 26, 7]\nOutput:",
        "1: [6, 21]\n2: []\nOutput:",
        f"{WHOLE}\nIncorrect Intersection: [6, 21]\n\n{COMPLAINT}\n\nOutput:",
    ]
    assert result.answer == [6, 7, 21]
    assert result.usage.calls == 1 + 2 * 2 + 1 + 1


# -- the evaluator -------------------------------------------------------------------------------------------------


def test_the_evaluator_does_not_mind_the_order():
    assert Evaluator(SETS)([21, 6, 7])
    assert check(SETS, "[7, 21, 6]")


@pytest.mark.parametrize(
    ("claimed", "count"),
    [([6, 7], 1), ([6, 7, 21, 21], 1), ([6, 7, 25], 2), ([], 3), (None, 3), ("6 7 21", 3), (["6", "7"], 3), ({}, 3)],
)
def test_errors_are_numbers_that_are_missing_or_too_many(claimed: object, count: int):
    assert errors(SETS, claimed) == count
    assert Evaluator(SETS)(claimed) is False


def test_no_claim_is_wrong_even_where_nothing_is_common():
    assert errors("1 2; 3 4", None) == 1
    assert errors("1 2; 3 4", []) == 0
