"""`OpenAI` by the Responses call, against a server on this machine."""

from __future__ import annotations

import json

import pytest
from loopback import Loopback, Raw

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import Unavailable, Unsupported
from thoughtgraph.model import Completion, Reply, Request, Schema
from thoughtgraph.models import OpenAI
from thoughtgraph.models.responses import answered
from thoughtgraph.prompt import Image, Message

HERE = Endpoint("pro", "http://h/v1")
ASK = Request((Message("system", "be brief"), Message("user", "two and two?")), max_tokens=64, timeout=5)
VERDICT = {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")


async def once(server: Loopback, request: Request = ASK, n: int = 1) -> Completion:
    model = OpenAI("pro", base_url=server.base_url, api="responses")
    try:
        return await model(request, n)
    finally:
        await model.close()


def said(*output: object, **more: object) -> bytes:
    return json.dumps({"output": output, **more}).encode()


def message(*parts: object) -> dict[str, object]:
    return {"type": "message", "content": parts}


async def test_a_reply_has_its_text_and_tokens_and_no_thoughts():
    with Loopback(lambda prompt, draw: "four") as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=6, completion_tokens=1)


async def test_nothing_is_stored_and_the_system_message_is_an_instruction():
    with Loopback() as server:
        await once(server, n=3)
        assert server.bodies == [
            {
                "model": "pro",
                "instructions": "be brief",
                "input": [{"role": "user", "content": "two and two?"}],
                "max_output_tokens": 64,
                "store": False,
            }
        ]


async def test_a_schema_and_a_temperature_and_logprobs_have_their_places():
    with Loopback(lambda prompt, draw: "a b") as server:
        request = Request(ASK.messages, temperature=0.5, schema=Schema("verdict", VERDICT), logprobs=True)
        assert (await once(server, request)).replies == (Reply("a b", "stop", (("a", -0.693), ("b", -0.693))),)
        body = server.bodies[0]
        assert body["temperature"] == 0.5
        assert (body["text"]["format"]["type"], body["text"]["format"]["name"]) == ("json_schema", "verdict")
        assert body["text"]["format"]["strict"]
        assert body["include"] == ["message.output_text.logprobs"]


async def test_pictures_are_sent():
    with Loopback() as server:
        await once(server, Request((Message("user", "what?", (Image("https://h/cat.png"),)),)))
        assert server.bodies[0]["input"][0]["content"] == [
            {"type": "input_text", "text": "what?"},
            {"type": "input_image", "image_url": "https://h/cat.png"},
        ]


@pytest.mark.parametrize(("setting", "name"), [({"seed": 1}, "seed"), ({"stop": (";",)}, "stop")])
async def test_a_setting_that_has_no_place_is_refused_and_not_dropped(setting, name):
    with Loopback() as server:
        with pytest.raises(Unsupported) as caught:
            await once(server, Request(ASK.messages, **setting))
        assert caught.value.parameter == name
        assert server.requests == 0


async def test_a_refusal_says_so():
    with Loopback(lambda prompt, draw: "I cannot", faults=["refuse"]) as server:
        assert (await once(server)).replies == (Reply("I cannot", "refusal"),)


async def test_details_of_the_usage_are_read():
    more = {"input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 1}}
    with Loopback(lambda prompt, draw: "four", usage=more) as server:
        got = await once(server)
        assert (got.cached_tokens, got.reasoning_tokens) == (4, 1)


async def test_a_setting_that_the_server_refuses_is_named():
    with Loopback(refuses={"temperature"}) as server:
        with pytest.raises(Unsupported) as caught:
            await once(server, Request(ASK.messages, temperature=0.5))
        assert caught.value.parameter == "temperature"


def test_what_it_cannot_do_is_known_beforehand():
    can = OpenAI("pro", base_url="http://h/v1", api="responses").capabilities
    assert (can.n, can.seed, can.stop, can.temperature) == (False, False, False, True)


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "incomplete")]
)
def test_what_cut_a_reply_short_is_told_in_the_words_of_every_transport(reason, finish):
    part = message({"type": "output_text", "text": "nearly"})
    raw = said(part, status="incomplete", incomplete_details={"reason": reason})
    assert answered(raw, HERE).replies == (Reply("nearly", finish),)


def test_thoughts_alone_are_an_empty_reply_that_was_cut():
    """All tokens went into reasoning."""
    raw = said({"type": "reasoning"}, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert answered(raw, HERE).replies == (Reply("", "length"),)


def test_a_response_that_failed_is_maybe_billed():
    raw = said(status="failed", error={"code": "server_error", "message": "sorry"})
    with pytest.raises(Unavailable, match="sorry") as caught:
        answered(raw, HERE)
    assert (caught.value.cause, caught.value.maybe_billed) == ("server_error", True)


@pytest.mark.parametrize(
    ("raw", "cause"), [(b'{"output": 3}', "wrong shape"), (b"[]", "wrong shape"), (b'{"outp', "truncated body")]
)
async def test_another_shape_is_an_error_that_shows_what_came(raw, cause):
    with Loopback(faults=[Raw(raw)]) as server:
        with pytest.raises(Unavailable) as caught:
            await once(server)
        assert (caught.value.cause, caught.value.maybe_billed) == (cause, True)
        assert raw.decode() in str(caught.value)
