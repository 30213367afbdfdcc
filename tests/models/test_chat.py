"""The chat-completions format, both ways, and the strict form of a schema."""

from __future__ import annotations

import enum
import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.model import Reply, Request, Schema
from thoughtgraph.models.chat import answered, asked, sent
from thoughtgraph.models.strict import form
from thoughtgraph.prompt import Image, Message

HERE = Endpoint("small", "http://h/v1")
ASK = (Message("user", "why?"),)
VERDICT = {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}


def body(**settings: object) -> dict[str, object]:
    return asked(Request(ASK, **settings), 1, "small")  # pyright: ignore[reportArgumentType]


def reply(message: object, **choice: object) -> Reply:
    raw = json.dumps({"choices": [{"message": message, **choice}]}).encode()
    return answered(raw, 1, HERE).replies[0]


def test_a_plain_request_holds_nothing_that_was_not_said():
    assert body() == {"model": "small", "messages": [{"role": "user", "content": "why?"}], "max_tokens": 1024}


def test_seed_and_logprobs_are_sent_where_they_are_set():
    assert body(seed=0, logprobs=True).items() >= {"seed": 0, "logprobs": True}.items()


def test_a_schema_is_sent_with_its_name():
    said = body(schema=Schema("a verdict", VERDICT))["response_format"]
    strict = {**VERDICT, "additionalProperties": False}
    assert said == {"type": "json_schema", "json_schema": {"name": "a_verdict", "schema": strict, "strict": True}}


def test_pictures_stand_after_the_words_that_they_belong_to():
    message = Message("user", "what is it?", (Image("https://h/cat.png"), Image("data:image/png;base64,AA==")))
    (said,) = asked(Request((message,)), 1, "small")["messages"]
    assert said["content"] == [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "https://h/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


def test_a_conversation_keeps_its_roles():
    said = asked(Request((*ASK, Message("assistant", "{"), Message("user", "go on"))), 1, "small")["messages"]
    assert [one["role"] for one in said] == ["user", "assistant", "user"]


def test_the_bytes_of_a_request_are_utf_8_and_never_fail():
    """Half of a surrogate pair may stand in a schema too."""
    assert sent({"a": "é"}) == '{"a":"é"}'.encode()
    assert json.loads(sent({"enum": ["\ud83d é"]})) == {"enum": ["? é"]}


def test_content_in_parts_is_joined_and_thoughts_are_left_out():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "fo"}]
    assert reply({"content": [*parts, {"type": "text", "text": "ur"}]}) == Reply("four", "stop")


def test_logprobs_come_with_their_tokens():
    content = [{"token": "fo", "logprob": -0.5, "top_logprobs": []}, {"token": "ur", "logprob": 0}]
    assert reply({"content": "four"}, logprobs={"content": content}).logprobs == (("fo", -0.5), ("ur", 0.0))


@pytest.mark.parametrize(
    "odd", [{}, {"content": None}, {"content": [1]}, {"content": [{"token": "a"}]}, {"tokens": ["a"]}, 3, "no"]
)
def test_odd_logprobs_do_not_cost_the_reply(odd):
    """It was paid for."""
    assert reply({"content": "four"}, logprobs=odd) == Reply("four", "stop")


def test_an_impossible_token_has_a_finite_logprob():
    """A trace is JSON, and JSON knows no infinity."""
    raw = (
        b'{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"token": "a", "logprob": -Infinity}]}}]}'
    )
    assert answered(raw, 1, HERE).replies[0].logprobs == (("a", -9999.0),)


def used(**usage: object) -> tuple[int, int]:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, **usage}
    raw = json.dumps({"choices": [{"message": {"content": "a"}}], "usage": usage}).encode()
    got = answered(raw, 1, HERE)
    assert (got.prompt_tokens, got.completion_tokens) == (10, 5)
    return got.cached_tokens, got.reasoning_tokens


def test_cached_and_reasoning_tokens_are_read():
    assert used(
        prompt_tokens_details={"cached_tokens": 8, "audio_tokens": 0},
        completion_tokens_details={"reasoning_tokens": 4},
    ) == (8, 4)
    assert used(prompt_cache_hit_tokens=7) == (7, 0)


@pytest.mark.parametrize("odd", [None, {}, [], {"cached_tokens": None}, {"cached_tokens": -1}, {"cached_tokens": 11}])
def test_details_that_cannot_be_are_no_details(odd):
    """More cached tokens than there are would pay the budget back."""
    assert used(prompt_tokens_details=odd) == (0, 0)


# -- strict schemas --------------------------------------------------------------------------------------------------


class Mood(enum.Enum):
    """A set of values, which pydantic refers to."""

    GOOD = "good"
    BAD = "bad"


class Part(BaseModel):
    """An object within another one."""

    value: float = Field(ge=0, le=1)
    why: str = ""


class Whole(BaseModel):
    """What pydantic makes of many things."""

    name: str | None = None
    part: Part = Field(description="one part")
    more: list[Part]
    mood: Mood = Mood.GOOD
    kind: Literal["q"]


def objects(node: object) -> list[dict[str, Any]]:
    """Every schema of an object in a schema."""
    if isinstance(node, list):
        return [found for one in node for found in objects(one)]
    if not isinstance(node, dict):
        return []
    return [*([node] if "properties" in node else []), *(f for one in node.values() for f in objects(one))]


def test_a_pydantic_schema_is_closed_and_all_of_it_required():
    said = form(Schema("whole", Whole.model_json_schema()))
    assert said["strict"]
    assert len(objects(said["schema"])) == 2
    for node in objects(said["schema"]):
        assert (node["required"], node["additionalProperties"]) == ([*node["properties"]], False)
    assert said["schema"]["properties"]["part"] == {"$ref": "#/$defs/Part"}
    assert "default" not in json.dumps(said)


def test_what_fits_the_strict_form_fits_the_model():
    """Narrowed and never widened: the model still reads what was made by it."""
    text = '{"name": null, "part": {"value": 0.5, "why": ""}, "more": [], "mood": "bad", "kind": "q"}'
    assert Whole.model_validate_json(text).mood is Mood.BAD


def test_the_schema_that_was_given_is_not_changed():
    given = Whole.model_json_schema()
    form(Schema("whole", given))
    assert given == Whole.model_json_schema()


@pytest.mark.parametrize(
    "loose",
    [
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "integer"}}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "integer"}]}}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "array", "items": {"type": "integer"}},
        True,
    ],
)
def test_what_has_no_strict_form_is_sent_as_it_is(loose):
    assert form(Schema("loose", loose)) == {"name": "loose", "schema": loose, "strict": False}


def test_a_schema_that_refers_to_itself_may_be_strict():
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    assert form(Schema("list", node))["strict"]


@pytest.mark.parametrize(("name", "shown"), [("", "reply"), ("a b/c", "a_b_c"), ("x" * 99, "x" * 64), ("é", "_")])
def test_a_name_is_made_fit(name, shown):
    assert form(Schema(name, VERDICT))["name"] == shown
