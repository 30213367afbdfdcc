"""Sorting in parts: the problem, its errors, those who slip, what a model says, and the evaluator outside."""

# pyright: reportOptionalMemberAccess=false

import csv
import importlib.util
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import thoughtgraph as tg
from thoughtgraph.models import Scripted
from thoughtgraph.search import BestOfN, CoT, Direct, SelfConsistency
from thoughtgraph.search.got import GoT
from thoughtgraph.search.operations import aggregate, generate, refine
from thoughtgraph.tasks.lists import (
    LAWS,
    Ask,
    Errors,
    Slips,
    Split,
    Splitting,
    faults,
    joined,
    lists_in,
    one_list,
    pieces,
    spoiled,
)
from thoughtgraph.tasks.sorting import Evaluator, check, errors, merging, read, solving, sorted_list, sorting
from thoughtgraph.testing import CriticContract, GeneratorContract

FOLDER = Path(__file__).parents[3] / "shared/data/graph-of-thoughts"
SERVER = Path(__file__).parents[3] / "shared/fakellm.py"
published = pytest.mark.skipif(not FOLDER.exists(), reason="the published lists are not here")

SURE = Slips(p=0, p_merge=0)
EIGHT = "3 7 0 2 8 1 2 2"
PARTS = sorting("3 1 2 1").critics["value"].problem  # pyright: ignore[reportAttributeAccessIssue]


def content(numbers: Sequence[int], first: int, last: int) -> dict[str, Any]:
    return {"text": json.dumps(numbers), "list": list(numbers), "span": [first, last]}


def thought(numbers: Sequence[int], first: int, last: int) -> tg.Thought:
    return tg.Thought(f"{first}-{last}", ("root",), "step", content(numbers, first, last), depth=1)


def play(task: tg.Task, plan, model: tg.Model | None = None) -> tg.Result:
    return tg.solve(task, policy=plan, model=model, budget=tg.Budget())


# -- the problem ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["3 1 2 1", "[3, 1, 2, 1]", " 3,1 , 2\n1 ", "[3 1 2 1]"])
def test_a_list_is_whole_numbers_however_they_are_set_apart(text: str):
    assert sorting(text).problem == "[3, 1, 2, 1]"


def test_numbers_may_be_negative_and_stand_there_more_than_once():
    assert read("-3 5 -3 0") == [-3, 5, -3, 0]


@pytest.mark.parametrize("text", ["", "3", "[]", "[3]", "3 x", "3 1.5", "3;1", "3,,1", "3 - 1", "3 ١", "9999999999 1"])
def test_what_is_no_list_is_refused_with_what_was_found_and_what_is_one(text: str):
    with pytest.raises(tg.TaskError) as error:
        sorting(text)
    assert repr(text) in str(error.value)
    assert "two or more whole numbers" in str(error.value)


def test_a_task_is_built_again_by_its_recipe_only_where_that_says_everything():
    assert sorting("3 1 2").recipe == {"name": "sorting", "problem": "[3, 1, 2]", "local": True}
    assert sorting("3 1 2", slips=LAWS["constant"]).recipe is None


# -- errors, from the statement alone ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "count", "said"),
    [
        ([1, 1, 2, 3], 0, ""),
        ([1, 2, 3], 1, "1 is missing once"),
        ([1, 1, 2, 2, 3, 3], 2, "2 stands there once too often; 3 stands there once too often"),
        ([3, 2, 1, 1], 2, "2 pairs of neighbours out of order"),
        ([2, 1, 1, 4], 3, "3 is missing once; 4 stands there once too often; 1 pair of neighbours out of order"),
        ([], 4, "1 is missing 2 times; 2 is missing once; 3 is missing once"),
    ],
)
def test_errors_are_neighbours_out_of_order_and_numbers_missing_or_too_many(found: list[int], count: int, said: str):
    wrong = faults(found, [1, 1, 2, 3])
    assert (wrong.errors, wrong.text) == (count, said)
    assert errors("3 1 2 1", found) == count


def test_the_critic_gives_one_for_no_error_less_for_each_and_says_what_is_wrong():
    task = sorting("3 1 2 1", local=False)
    model = Scripted(["[1, 1, 2, 3]", "[1, 2, 3, 3]", "[3, 3, 1, 1]"])
    result = play(task, BestOfN(n=3), model)
    scores = [result.graph.score(end) for end in result.graph.finals]
    assert [score.value for score in scores] == [1.0, pytest.approx(1 / 3), pytest.approx(1 / 4)]
    assert scores[1].feedback == "1 is missing once; 3 stands there once too often"
    assert scores[2].parts == {"disorder": 1.0, "missing": 1.0, "extra": 1.0}
    assert result.answer == [1, 1, 2, 3]


def test_a_part_is_judged_by_its_own_places():
    assert PARTS.faults(thought([1, 3], 0, 2)).errors == 0
    assert PARTS.faults(thought([1, 3], 2, 4)).errors == 2


class TestErrors(CriticContract):
    problem = "[3, 1, 2, 1]"
    start = content([3, 1, 2, 1], 0, 4)
    thoughts = (content([1, 1, 2, 3], 0, 4), content([2, 1], 2, 4))
    critic = Errors(PARTS)


# -- without a model -----------------------------------------------------------------------------------------------


def test_a_list_is_cut_in_neighbouring_parts_of_nearly_equal_size():
    async def plan(search):
        parts = await generate(search, [search.root], "split", 3)
        assert [part.content["list"] for part in parts] == [[3, 7], [0, 2, 8], [1, 2, 2]]
        assert [part.content["span"] for part in parts] == [[0, 2], [2, 5], [5, 8]]
        assert [part.text for part in await generate(search, parts[:1], "split")] == ["[3]", "[7]"]
        assert len(await generate(search, [search.root], "split", 100)) == 8
        assert await generate(search, [search.root], "split", 1) == []
        half, _ = await generate(search, [search.root], "split", 2)
        solved = await generate(search, [half], "step", 1)
        assert solved[0].content["list"] == [0, 2, 3, 7]
        assert await generate(search, solved, "split", 2) == []  # what was done would be lost

    play(sorting(EIGHT, slips=SURE), plan)


def test_one_who_never_slips_sorts_parts_merges_neighbours_and_is_done_with_the_whole():
    async def plan(search):
        a, b, c = await generate(search, [search.root], "split", 3)
        x, y, z = await generate(search, [a, b, c], "step", 1)
        assert [t.content["list"] for t in (x, y, z)] == [[3, 7], [0, 2, 8], [1, 2, 2]]
        [merged] = await aggregate(search, [y, x])
        assert merged.content == content([0, 2, 3, 7, 8], 0, 5)
        assert not merged.done
        assert await aggregate(search, [x, z]) == []  # no neighbours
        assert await aggregate(search, [x, x]) == []
        [whole] = await aggregate(search, [merged, z])
        assert search.graph.parents(whole) == [merged, z]
        assert (whole.done, search.claim(whole)) == (True, [0, 1, 2, 2, 2, 3, 7, 8])
        assert search.claim(merged) is None
        [refined] = await refine(search, [whole])
        assert refined.done
        return whole

    assert play(sorting(EIGHT, slips=SURE), plan).answer == [0, 1, 2, 2, 2, 3, 7, 8]


def test_what_is_wrong_with_a_part_stays_wrong_in_what_is_made_of_it():
    async def plan(search):
        a, b = await generate(search, [search.root], "split", 2)
        x, y = await generate(search, [a, b], "step", 1)
        [whole] = await aggregate(search, [x, y])
        wrong = sum(errors(part.text, solved.content["list"]) for part, solved in ((a, x), (b, y)))
        assert wrong > 0
        assert errors(search.root.text, whole.content["list"]) == wrong

    play(sorting("8 1 7 2 6 3 5 4", slips=Slips(p=1, p_merge=0)), plan)


def test_slips_lose_an_element_or_add_one_half_of_the_time_each():
    rng = random.Random(0)
    found = [spoiled(range(100), 0.2, rng) for _ in range(200)]
    lost = sum(100 - len({*numbers}) for numbers in found)
    added = sum(len(numbers) - len({*numbers}) for numbers in found)
    assert 1800 < lost < 2200  # of 20,000, with p = 0.1 each
    assert 1800 < added < 2200
    assert all(numbers == sorted(numbers) for numbers in found)
    assert spoiled([1, 2, 3], 0, rng) == [1, 2, 3]
    assert len(spoiled([1, 2, 3], 1, rng, strays=[9])) in (0, 2, 4, 6)


def test_the_laws_say_what_becomes_of_slips_with_the_length():
    assert [LAWS["growing"].solving(n) for n in (8, 16, 32, 1000)] == pytest.approx([0.05, 0.1, 0.2, 1.0])
    assert [LAWS["constant"].solving(n) for n in (8, 16, 32)] == [0.1, 0.1, 0.1]
    assert LAWS["merge_heavy"].p_merge > LAWS["growing"].p_merge
    with pytest.raises(ValueError, match="p_merge"):
        Slips(p_merge=-1)


@pytest.mark.parametrize(("law", "less"), [("growing", True), ("merge_heavy", False)])
def test_splitting_pays_where_errors_grow_with_the_length_and_not_where_merging_is_hard(law: str, less: bool):
    """The same 32 calls: four parts, or whole lists and refinements of the best of them."""
    slips = Slips(p=0.3, p_merge=LAWS[law].p_merge)
    numbers = random.Random(1)
    lists = [[numbers.randrange(10) for _ in range(32)] for _ in range(30)]

    def left(policy: tg.Policy) -> int:
        runs = [tg.solve(sorting(str(one), slips=slips), policy=policy, seed=i) for i, one in enumerate(lists)]
        return sum(errors(str(one), run.answer) for one, run in zip(lists, runs, strict=True))

    whole = left(GoT(parts=2, samples=1, merges=1, refinements=29))
    assert (left(GoT()) < whole / 2) is less


@published
def test_the_published_lists_are_sorted_by_the_default_plan_all_but_a_few():
    with (FOLDER / "sorting_032.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(check(row["Unsorted"], row["Sorted"]) for row in rows)
    runs = [tg.solve(sorting(row["Unsorted"]), policy=GoT(), seed=i) for i, row in enumerate(rows)]
    left = [errors(row["Unsorted"], run.answer) for row, run in zip(rows, runs, strict=True)]
    assert sum(left) <= 5  # of 3,200 numbers, half of them lost or doubled in twenty whole lists


@pytest.mark.parametrize("policy", [Direct(), CoT(), BestOfN(n=3), SelfConsistency(n=5), GoT(parts=2)])
def test_policies_of_all_kinds_sort(policy: tg.Policy):
    assert tg.solve(sorting(EIGHT, slips=SURE), policy=policy).answer == [0, 1, 2, 2, 2, 3, 7, 8]


def test_a_run_goes_on_where_its_budget_ended(tmp_path: Path):
    store, task = tmp_path / "runs.db", sorting(EIGHT, slips=LAWS["constant"])
    first = tg.solve(task, policy=GoT(), budget=tg.Budget(expansions=6), store=store)
    again = tg.resume(first.run, store=store, budget=tg.Budget(expansions=100), task=task, policy=GoT())
    assert (first.reason, first.answer, again.reason) == ("budget", None, "answered")
    assert again.answer == tg.solve(task, policy=GoT()).answer


# -- what a model says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        "[1, 1, 2, 3]",
        "Output: [1, 1, 2, 3]",
        "**Output:** [1,1,2,3]\n\nI hope this helps!",
        "Here is the sorted list:\n\n```json\n[1, 1, 2, 3]\n```",
        '{"Output": [1, 1, 2, 3]}',
        "<think>[3, 1, 2] ... no</think>\n[1, 1, 2, 3]",
        "The input [3, 1, 2, 1] sorted is [1, 1, 2, 3].",
        "Reason: 1 is missing.\nOutput: [1, 1, 2, 3]\nThe output has 4 numbers; I added [1].",
        "[\n  1,\n  1,\n  2,\n  3\n]",
        "[Note: sorted] [1, 1, 2, 3]",
    ],
)
def test_the_list_is_found_wherever_a_reply_says_it(reply: str):
    assert sorted_list(reply) == [1, 1, 2, 3]


@pytest.mark.parametrize(
    "reply",
    [
        "", "1, 1, 2, 3", "[]", "[1, 2, ..., 9]", "[1, 1, 2", "Output: [1, 1, 2, 3], that is [1, 1", "[1, x, 2]",
        "[1.5, 2]", '["1", "2"]', "[1, 2,]", "[1 2 3]", "[" + "1" * 5000 + "]", "I cannot sort lists.", "[١, ٢]",
        "[true, 1]",
    ],
)  # fmt: skip
def test_what_holds_no_list_of_whole_numbers_is_unparsable(reply: str):
    with pytest.raises(tg.Unparsable):
        sorted_list(reply)


@pytest.mark.parametrize(
    "reply",
    [
        '{"List 1": [3, 1], "List 2": [2, 1]}',
        "List 1: [3, 1]\nList 2: [2, 1]",
        "Input: [3, 1, 2, 1]\n```json\n[[3, 1], [2, 1]]\n```",
        "[3, 1] [2, 1] []",
    ],
)
def test_parts_are_read_if_they_are_the_list_in_its_order(reply: str):
    assert pieces(lists_in(reply), [3, 1, 2, 1], 2) == [[3, 1], [2, 1]]


@pytest.mark.parametrize(
    "reply", ["[3, 1] [1, 2]", "[3, 1] [2]", "[3, 1, 2, 1]", "[3] [1] [2, 1]", "[3, 1] [2, 1] [3]", "[3, 1", "none"]
)
def test_parts_that_lose_or_move_a_number_are_unparsable(reply: str):
    with pytest.raises(tg.Unparsable):
        pieces(lists_in(reply), [3, 1, 2, 1], 2)


class TestSolving(GeneratorContract):
    problem = "[3, 1, 2, 1]"
    start = content([3, 1, 2, 1], 0, 4)
    generator = Ask(PARTS, solving, sorted_list)
    reply = ("Output: [1, 1, 2, 3]", "[1, 2, 3]")


class TestMerging(GeneratorContract):
    problem = "[3, 1, 2, 1]"
    start = content([3, 1, 2, 1], 0, 4)
    thoughts = (content([1, 3], 0, 2), content([1, 2], 2, 4))
    generator = Ask(PARTS, merging, sorted_list)
    reply = ("[1, 1, 2, 3]",)


class TestSplitting(GeneratorContract):
    problem = "[3, 1, 2, 1]"
    start = content([3, 1, 2, 1], 0, 4)
    generator = Split(PARTS, Splitting)
    reply = ("[3, 1] [2, 1]",)

    def test_it_makes_something_of_good_replies(self):
        assert len(self.expand(2)[0].made) == 2

    def test_the_same_seed_asks_the_same(self):
        assert self.expand(2)[1].seen == self.expand(2)[1].seen


def test_a_model_is_asked_to_split_sort_merge_and_correct_and_each_sees_what_it_needs():
    model = Scripted(clerk)
    result = play(sorting(EIGHT, local=False), GoT(parts=2, samples=2, merges=1, refinements=1), model)
    prompts = [request.messages[-1].content for request in model.seen]
    assert [prompt.splitlines()[-2:] for prompt in prompts] == [
        ["Input: [3, 7, 0, 2, 8, 1, 2, 2]", "Output:"],
        ["Input: [3, 7, 0, 2]", "Output:"],
        ["Input: [8, 1, 2, 2]", "Output:"],
        ["2: [1, 2, 2, 8]", "Output:"],
        ["", "Output:"],
    ]
    assert "Split the following list of 8 numbers into 2 lists of 4 numbers each" in prompts[0]
    assert "Merge the following 2 sorted lists" in prompts[3]
    assert "1: [0, 2, 3, 7]\n2: [1, 2, 2, 8]" in prompts[3]
    assert "Input: [3, 7, 0, 2, 8, 1, 2, 2]\nIncorrectly Sorted: [0, 1, 2, 2, 3, 7, 8]\n" in prompts[4]
    assert "What is wrong with it: 2 is missing once." in prompts[4]
    assert result.answer == [0, 1, 2, 2, 2, 3, 7, 8]
    assert result.usage.calls == 1 + 2 * 2 + 1 + 1


def clerk(prompt: str, draw: int) -> str:
    """A model that sorts well, but forgets a number when it merges."""
    found = lists_in(prompt.partition("\n\n")[2])
    if "Split the following" in prompt:
        return json.dumps({"List 1": found[-1][:4], "List 2": found[-1][4:]})
    if "Merge the following" in prompt:
        merged = sorted(found[-2] + found[-1])
        return f"Output: {merged[:2] + merged[3:]}"
    return str(sorted(found[-2 if "Incorrectly Sorted" in prompt else -1]))


def test_a_model_that_loses_numbers_when_it_splits_is_asked_again_and_then_has_the_whole_to_sort():
    model = Scripted(lambda prompt, draw: "[3, 7] [0, 2]" if "Split" in prompt else clerk(prompt, draw))
    result = play(sorting(EIGHT, local=False), GoT(samples=1, refinements=0), model)
    assert result.answer == [0, 1, 2, 2, 2, 3, 7, 8]
    assert result.outcomes["unparsable"] >= 2


def test_a_split_into_one_is_not_asked_for():
    model = Scripted(clerk)

    async def plan(search):
        assert await generate(search, [search.root], "split", 1) == []

    play(sorting(EIGHT, local=False), plan, model)
    assert model.seen == []


def test_an_estimate_foresees_the_calls_of_the_whole_plan():
    found = tg.estimate(
        sorting(EIGHT, local=False), policy=GoT(parts=2), model=Scripted(clerk), budget=tg.Budget(calls=100)
    )
    assert found.expected.calls == 1 + 2 * 5 + 1 * 2 + 5


@pytest.mark.skipif(not SERVER.exists(), reason="the measuring server is not here")
def test_the_measuring_server_understands_every_prompt():
    known = importlib.util.spec_from_file_location("fakellm", SERVER)
    assert known
    fakellm: Any = importlib.util.module_from_spec(known)
    sys.modules["fakellm"] = fakellm
    known.loader.exec_module(fakellm)
    expert = fakellm.Expert(fakellm.Config(p_sort=0.0, p_merge=0.0))
    model = Scripted(lambda prompt, draw: expert.reply("", prompt, b"key", draw))
    result = play(sorting(f"{EIGHT} 5 4 6 9", local=False), GoT(), model)
    assert result.answer == [0, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9]
    assert not result.outcomes["unparsable"]
    assert result.usage.calls == 1 + 4 * 5 + 3 * 2 + 5


def test_neighbours_are_those_whose_places_meet():
    a, b, c = (thought([], *span) for span in ((0, 2), (2, 3), (3, 4)))
    assert joined([c, a, b]) == (0, 4)
    assert joined([a]) == (0, 2)
    assert joined([a, c]) is None
    assert joined([a, b, b]) is None


# -- the evaluator -------------------------------------------------------------------------------------------------


def test_the_evaluator_takes_a_list_or_its_json():
    assert Evaluator("3 1 2")([1, 2, 3])
    assert check("3 1 2", "[1, 2, 3]")
    assert not check("3 1 2", [1, 3, 2])


@pytest.mark.parametrize(
    "claimed", [None, 3, "", "1 2 3", "[1, 2", {}, ["1", "2", "3"], [1.0, 2, 3], [True, 2, 3], "[" * 9999]
)
def test_what_is_no_list_of_whole_numbers_has_an_error_for_each_number(claimed: object):
    assert errors("3 1 2", claimed) == 3
    assert Evaluator("3 1 2")(claimed) is False


def test_no_task_leads_to_the_evaluator():
    task = sorting(EIGHT, local=False)
    parts = [*task.actions.values(), *task.critics.values(), task.claim, task.goal, task.key, task.same, task.rule]
    assert not any(isinstance(part, Evaluator) for part in parts)


def test_one_list_prefers_what_stands_behind_the_last_output():
    assert one_list("Output: [9]\nOutput: [1, 2] [3]") == [1, 2]
    assert one_list("[9] and [1, 2]") == [1, 2]
