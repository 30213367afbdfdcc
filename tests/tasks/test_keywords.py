"""Counting keywords in parts: the problem, its errors, those who slip, what a model says, and the evaluator outside."""

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
from thoughtgraph.search.operations import aggregate, generate, keep_best, score, validate_and_improve
from thoughtgraph.tasks.keywords import (
    Evaluator,
    check,
    counts,
    errors,
    keywords,
    mending,
    merging,
    read,
    sentences_of,
    solving,
)
from thoughtgraph.tasks.lists import LAWS, Ask, Slips
from thoughtgraph.testing import GeneratorContract

FOLDER = Path(__file__).parents[3] / "shared/data/graph-of-thoughts"
published = pytest.mark.skipif(not FOLDER.exists(), reason="the published texts are not here")

NORTH = """Norway, Sweden, South Korea, Korea
Norway borders Sweden. "So does Finland!" said Ann of Norway.
South Korea is far from Norway, and Norwegians know Korea."""
RIGHT = {"Korea": 1, "Norway": 3, "South Korea": 1, "Sweden": 1}
SURE = Slips(p=0, p_merge=0)


def content(named: list[str], first: int, last: int) -> dict[str, Any]:
    return {"text": "", "list": named, "span": [first, last]}


# -- the problem ---------------------------------------------------------------------------------------------------


def test_the_words_stand_on_the_first_line_and_the_text_is_cut_in_sentences():
    words, sentences = read(NORTH)
    assert words == ["Norway", "Sweden", "South Korea", "Korea"]
    assert sentences == [
        "Norway borders Sweden.",
        '"So does Finland!"',
        "said Ann of Norway.",
        "South Korea is far from Norway, and Norwegians know Korea.",
    ]


def test_a_problem_is_read_again_from_what_a_task_makes_of_it():
    task = keywords(NORTH)
    assert read(str(task.problem)) == read(NORTH)
    assert keywords(str(task.problem)).recipe == task.recipe == {"name": "keywords", "problem": task.x, "local": True}
    assert keywords(NORTH, slips=LAWS["constant"]).recipe is None


def test_no_cut_is_made_within_a_word_that_is_counted():
    assert sentences_of("I saw St. Lucia. It rained.", ["St. Lucia"]) == ["I saw St. Lucia.", "It rained."]
    assert sentences_of("I saw St. Lucia. It rained.", ["Lucia"]) == ["I saw St.", "Lucia.", "It rained."]


@pytest.mark.parametrize("text", ["", "Norway", "Norway\n", "\nNorway is far.", ", ,\nNorway is far."])
def test_what_has_no_words_or_no_text_is_refused_with_what_was_found(text: str):
    with pytest.raises(tg.TaskError) as error:
        keywords(text)
    assert repr(text)[:20] in str(error.value)
    assert "on the first line" in str(error.value)


# -- without a model -----------------------------------------------------------------------------------------------


def test_whole_words_are_counted_as_they_are_written_and_the_longest_where_one_begins_with_another():
    assert tg.solve(keywords(NORTH, slips=SURE), policy=Direct()).answer == RIGHT
    assert tg.solve(keywords("Niger\nNigeria, Niger and niger.", slips=SURE), policy=Direct()).answer == {"Niger": 1}


def test_passages_are_counted_and_their_counts_added_up():
    async def plan(search):
        parts = await generate(search, [search.root], "split", 2)
        assert [part.text for part in parts] == [
            'Norway borders Sweden. "So does Finland!"',
            "said Ann of Norway. South Korea is far from Norway, and Norwegians know Korea.",
        ]
        found = await generate(search, parts, "step", 1)
        assert [thought.text for thought in found] == [
            '{"Norway": 1, "Sweden": 1}',
            '{"Korea": 1, "Norway": 2, "South Korea": 1}',
        ]
        [whole] = await aggregate(search, found)
        assert search.graph.parents(whole) == found
        return whole

    assert tg.solve(keywords(NORTH, slips=SURE), policy=plan).answer == RIGHT


def test_the_papers_plan_with_validation_is_a_few_lines_of_code():
    """Count in eight passages, keep the best of each, add up, and validate each sum and improve it."""

    async def plan(search):
        level = await generate(search, [search.root], "split", 8)
        drawn = await search.gather(*(generate(search, [part], "step", 10) for part in level))
        level = [keep_best(search, await score(search, thoughts))[0] for thoughts in drawn]
        while len(level) > 1:
            sums = [await aggregate(search, level[i : i + 2], n=3) for i in range(0, len(level), 2)]
            best = [keep_best(search, await score(search, thoughts))[0] for thoughts in sums]
            level = await validate_and_improve(search, best)
        return level[0]

    task = keywords(NORTH + " Sweden? Norway! Sweden. Korea.", slips=Slips(p=0.3, grows=False))
    result = tg.solve(task, policy=plan, budget=tg.Budget())
    assert check(task.x, result.answer)
    assert Evaluator(task.x)(result.answer)


@published
def test_the_published_texts_are_counted_as_their_authors_did():
    with (FOLDER / "countries.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    named = [[word.strip() for word in row["Countries"].strip("[]").split(",")] for row in rows]
    countries = sorted({word for words in named for word in words})
    for row, words in zip(rows, named, strict=True):
        problem = f"{', '.join(countries)}\n{row['Text']}"
        assert errors(problem, {word: words.count(word) for word in words}) == 0, row["ID"]
    run = tg.solve(keywords(f"{', '.join(countries)}\n{rows[0]['Text']}"), policy=GoT(), seed=1)
    assert errors(f"{', '.join(countries)}\n{rows[0]['Text']}", run.answer) <= 1


# -- what a model says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        '{"Norway": 2, "Sweden": 1}',
        'Output: {"Sweden": 1, "Norway": 2, "Peru": 0}',
        'Here you are:\n```json\n{\n  "Norway": 2,\n  "Sweden": 1\n}\n```\nHope it helps!',
        '<think>{"Norway": 1}</think>The counts {"Norway": 1} were wrong. Output: {"Norway": 2, "Sweden": 1}',
        '[{"Norway": 2, " Sweden ": 1}]',
    ],
)
def test_the_counts_are_found_wherever_a_reply_says_them(reply: str):
    assert counts(reply) == ["Norway", "Norway", "Sweden"]


@pytest.mark.parametrize(
    "reply",
    [
        "", "Norway: 2", '["Norway"]', '{"Norway": "2"}', '{"Norway": 2', '{"Norway": -1}', '{"Norway": 1.5}',
        '{"Norway": true}', '{"Norway": null}', '{"Norway": 1000000000}', "{Norway: 2}", "{...}",
    ],
)  # fmt: skip
def test_what_holds_no_counts_is_unparsable(reply: str):
    with pytest.raises(tg.Unparsable):
        counts(reply)


PARTS: Any = keywords(NORTH).critics["value"].problem  # pyright: ignore[reportAttributeAccessIssue]


class TestSolving(GeneratorContract):
    problem = keywords(NORTH).x
    start = content(read(NORTH).sentences, 0, 4)
    generator = Ask(PARTS, solving, counts)
    reply = ('{"Norway": 2}', "{}")


class TestMerging(GeneratorContract):
    problem = keywords(NORTH).x
    start = content(read(NORTH).sentences, 0, 4)
    thoughts = (content(["Norway"], 0, 2), content(["Korea"], 2, 4))
    generator = Ask(PARTS, merging, counts)
    reply = ('{"Norway": 2}',)


class TestMending(GeneratorContract):
    problem = keywords(NORTH).x
    start = content(read(NORTH).sentences, 0, 4)
    thoughts = (content(["Norway"], 0, 4),)
    generator = Ask(PARTS, mending, counts)
    reply = ('{"Norway": 2}',)


def clerk(prompt: str, draw: int) -> str:
    """A model that takes every Korea for the southern one."""
    if "Merge the following" in prompt:
        added = [json.loads(found) for found in re.findall(r"^\d: (\{.*\})", prompt, re.MULTILINE)[-2:]]
        return json.dumps({word: sum(one.get(word, 0) for one in added) for word in {**added[0], **added[1]}})
    if "may be incorrect" in prompt:
        return json.dumps(RIGHT)
    text = prompt.rpartition("Text: ")[2]
    return json.dumps({word: text.count(word) for word in ("Norway", "Sweden")} | {"South Korea": text.count("Korea")})


def test_a_model_counts_adds_up_and_corrects_and_the_text_is_cut_without_it():
    model = Scripted(clerk)
    policy = GoT(parts=2, samples=2, merges=1, refinements=1)
    result = tg.solve(keywords(NORTH, local=False), policy=policy, model=model, budget=tg.Budget())
    asked = [request.messages[-1].content for request in model.seen]
    assert [prompt.splitlines()[-2] for prompt in asked[:2]] == [
        'Text: Norway borders Sweden. "So does Finland!"',
        "Text: said Ann of Norway. South Korea is far from Norway, and Norwegians know Korea.",
    ]
    assert "Words: Norway, Sweden, South Korea, Korea\n" in asked[0]
    assert '1: {"Norway": 1, "Sweden": 1}\n2: {"Norway": 2, "South Korea": 2}\nOutput:' in asked[2]
    assert 'Incorrect Counts: {"Norway": 3, "South Korea": 2, "Sweden": 1}\n' in asked[3]
    assert "What is wrong with it: Korea is missing once; South Korea stands there once too often." in asked[3]
    assert result.answer == RIGHT
    assert result.usage.calls == 2 * 2 + 1 + 1


def test_policies_without_a_plan_count_the_whole_text():
    model = Scripted(clerk)
    result = tg.solve(keywords(NORTH, local=False), policy=BestOfN(n=2), model=model, budget=tg.Budget(calls=2))
    assert errors(NORTH, result.answer) == 2


# -- the evaluator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [RIGHT, json.dumps(RIGHT), {**RIGHT, "Finland": 0}])
def test_the_evaluator_takes_counts_or_their_json_and_zeros(claimed: object):
    assert check(NORTH, claimed)


@pytest.mark.parametrize(
    ("claimed", "count"),
    [
        ({**RIGHT, "Norway": 1}, 2),
        ({**RIGHT, "Finland": 1}, 1),
        ({}, 6),
        (None, 6),
        ([], 6),
        ("Norway: 3", 6),
        ({"Norway": "3"}, 6),
        ({"Norway": float("nan")}, 6),
    ],
)
def test_errors_are_how_far_the_counts_are_off_and_no_counts_miss_them_all(claimed: object, count: int):
    assert errors(NORTH, claimed) == count
    assert Evaluator(NORTH)(claimed) is False
