"""Thoughts, drafts, scores and JSON contents."""

import dataclasses
import json

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.thought import Draft, Score, Thought, as_json, as_passage, as_text, clean


def test_data_is_frozen():
    for thing in (Thought("a", (), "", None), Draft("a"), Score(1.0)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, dataclasses.fields(thing)[0].name, "new")


def test_a_thought_with_a_nested_content_can_stand_in_a_set():
    assert len({Thought("a", (), "", {"n": [1]}), Thought("a", (), "", {"n": [1]}), Thought("b", (), "", [])}) == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [("as it is", "as it is"), ({"text": "words", "n": 1}, "words"), (None, ""), ([1, "é"], '[1, "é"]'),
     ({"text": 5}, '{"text": 5}'), (0, "0"), (False, "false"), ("", "")],
)  # fmt: skip
def test_a_content_in_words(content, text):
    assert as_text(content) == text


def test_the_mean_of_judgements_has_its_standard_error():
    # 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 3 = 14/3, standard error sqrt(14/12)
    score = Score.of([1, 2, 3, 6], "why")
    assert (score.value, score.samples, score.feedback, score.status) == (3.0, 4, "why", "ok")
    assert score.spread == pytest.approx((14 / 12) ** 0.5)


def test_one_judgement_has_no_spread_and_none_is_an_abstention():
    assert Score.of([2.5]) == Score(2.5, samples=1)
    assert Score.of([]) == Score(None, samples=0, status="abstained")


@pytest.mark.parametrize("value", [None, True, 0, 2**70, -0.5, "text", [], {}, [1, [None, {"a": "b"}]]])
def test_json_stays_as_it_is(value):
    assert as_json(value, "it") == value


def test_tuples_become_lists():
    assert as_json((1, ("a", ())), "it") == [1, ["a", []]]


@pytest.mark.parametrize(
    "value", [{1, 2}, b"bytes", object(), float("nan"), float("inf"), {1: 2}, [{"a": {3}}], 1j, lambda: 0]
)
def test_what_is_not_json_is_an_error_that_says_what_to_do(value):
    with pytest.raises(TaskError, match=r"the thing is .*expected JSON .*convert it in the generator"):
        as_json(value, "the thing")


def test_half_a_character_pair_becomes_a_sign_that_can_be_stored():
    assert clean("half \ud83e pair \N{DUCK}") == "half ? pair \N{DUCK}"
    assert as_json({"\udfff": ["\ud800"]}, "it") == {"?": ["?"]}


def test_what_is_nested_too_deep_to_be_stored_is_refused():
    nest = lambda deep: json.loads("[" * deep + "1" + "]" * deep)
    assert as_json(nest(100), "it") == nest(100)
    with pytest.raises(TaskError, match="it is nested more than 100 deep"):
        as_json(nest(101), "it")


@pytest.mark.parametrize("odd", ["local:*", 3, [3], None])
def test_labels_that_do_not_read_allow_nothing(odd):
    content = {"passage": "text", "labels": {"readers": ["owner"], "models": odd, "train": True}}
    passage = as_passage(Thought("a", (), "", content))
    assert passage.labels == Labels((), (), train=False)
