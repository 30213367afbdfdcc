"""`Anthropic`: the official SDK against a server on this machine; what is marked for the cache, and what that saves."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
from messages import Messages, Raw, Status, marks

import thoughtgraph as tg
from thoughtgraph.critics import Value
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.generators import Sample
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request, Schema
from thoughtgraph.models.anthropic import Anthropic, Beginnings
from thoughtgraph.prompt import Image, Message, Prompt
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.tot import ToT
from thoughtgraph.testing import ModelContract

KEY = "sk-ant-test-0123456789abcdef"
ASK = Request((Message("system", "be brief"), Message("user", "two and two?")), max_tokens=64, timeout=5)
PRICE = Price(prompt=3, completion=15, cached=0.3, written=3.75)
FORM = Schema("sum", {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)


async def once(server: Messages, request: Request = ASK, **how) -> Completion:
    model = Anthropic("claude-haiku-4-5", base_url=server.base_url, **how)
    try:
        return await model(request, 1)
    finally:
        await model.close()


async def fails(server: Messages, request: Request = ASK, kind: type[ModelError] = ModelError, **how) -> ModelError:
    """The error, whose whole traceback shows no key."""
    with pytest.raises(kind) as caught:
        await once(server, request, **how)
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return caught.value


def asked(*parts: str, **say) -> Request:
    """A request of one message in these parts."""
    named = {f"part{number}": part for number, part in enumerate(parts)}
    return Request(Prompt(**named).messages, **{"timeout": 5, **say})


# -- a reply -----------------------------------------------------------------------------------------------------------


async def test_a_reply_has_its_text_ending_and_tokens():
    with Messages(lambda prompt, draw: "four") as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=5, completion_tokens=1)


async def test_thinking_is_left_out_of_the_text_and_counted():
    with Messages(lambda prompt, draw: "four", faults=["think"]) as server:
        got = await once(server)
        assert got.replies == (Reply("four", "stop"),)
        assert (got.completion_tokens, got.reasoning_tokens) == (6, 4)


@pytest.mark.parametrize(("fault", "finish"), [("length", "length"), ("refuse", "refusal"), (None, "stop")])
async def test_endings_are_put_in_the_words_of_every_transport(fault, finish):
    with Messages(lambda prompt, draw: "no", faults=[fault]) as server:
        assert (await once(server)).replies == (Reply("no", finish),)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop_sequence", "stop"), ("model_context_window_exceeded", "length"), ("pause_turn", "pause_turn")],
)
async def test_rarer_endings_too(reason, finish):
    body = {"content": [{"type": "text", "text": "a"}], "stop_reason": reason}
    with Messages(faults=[Raw(json.dumps(body).encode())]) as server:
        assert (await once(server)).replies == (Reply("a", finish),)


async def test_no_content_is_an_empty_text_where_the_turn_has_ended():
    """The model had nothing to add: an outcome of this draw, with its price, and no failure."""
    with Messages(faults=["silent"]) as server:
        assert await once(server) == Completion((Reply("", "stop"),), 5, 0)


async def test_absent_usage_is_unknown_and_not_zero():
    with Messages(faults=["no usage"]) as server:
        got = await once(server)
        assert (got.prompt_tokens, got.completion_tokens) == (None, None)


async def test_several_draws_are_several_requests_of_the_engine():
    with Messages() as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        assert len((await model(ASK, 3)).replies) == 1
        await model.close()
        assert server.requests == 1


# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_only_what_is_set_is_sent():
    with Messages() as server:
        await once(server)
        assert server.bodies == [
            {
                "model": "claude-haiku-4-5",
                "max_tokens": 64,
                "system": [{"type": "text", "text": "be brief"}],
                "messages": [{"role": "user", "content": [{"type": "text", "text": "two and two?"}]}],
            }
        ]
        sent = server.headers[0]
        assert KEY in (sent.get("X-Api-Key"), sent.get("Authorization", "").removeprefix("Bearer "))


async def test_what_is_set_is_sent():
    with Messages() as server:
        await once(server, Request(ASK.messages, 9, temperature=0.0, stop=("END",)))
        body = server.bodies[0]
        assert (body["temperature"], body["stop_sequences"], body["max_tokens"]) == (0.0, ["END"], 9)


async def test_a_conversation_keeps_its_turns():
    talk = (Message("user", "2 + 2?"), Message("assistant", "5"), Message("user", ""), Message("user", "Sure?"))
    with Messages() as server:
        await once(server, Request(talk, timeout=5))
        said = [(message["role"], message["content"][0]["text"]) for message in server.bodies[0]["messages"]]
        assert said == [("user", "2 + 2?"), ("assistant", "5"), ("user", "Sure?")]


async def test_pictures_go_as_bytes_or_by_their_address():
    images = (Image("data:image/png;base64,AAAA"), Image("https://example.org/a.jpg"))
    with Messages() as server:
        await once(server, Request((Message("user", "What is this?", images),), timeout=5))
        inside, address, text = server.bodies[0]["messages"][0]["content"]
        assert inside["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}
        assert address["source"] == {"type": "url", "url": "https://example.org/a.jpg"}
        assert text["text"] == "What is this?"


async def test_a_picture_that_is_not_base64_is_refused_in_words():
    request = Request((Message("user", "What?", (Image("data:image/svg+xml,<svg/>"),)),), timeout=5)
    with Messages() as server:
        assert "base64" in str(await fails(server, request))
        assert server.requests == 0


async def test_the_parts_of_a_prompt_are_blocks_and_none_is_blank():
    """The API refuses blocks of nothing but blanks."""
    with Messages() as server:
        content = "  rules\n\n   \n\nproblem\n\nask\n\n "
        await once(server, Request((Message("user", content, cuts=(9, 14, 23, 28)),), timeout=5))
        texts = [block["text"] for block in server.bodies[0]["messages"][0]["content"]]
        assert texts == ["  rules\n\n   \n\n", "problem\n\n", "ask\n\n "]


async def test_a_blank_stop_is_kept_here_because_the_api_refuses_it():
    with Messages(lambda prompt, draw: "one\ntwo") as server:
        got = await once(server, Request(ASK.messages, stop=("\n", "END"), timeout=5))
        assert got.replies == (Reply("one", "stop"),)
        assert server.bodies[0]["stop_sequences"] == ["END"]


async def test_every_text_can_be_sent():
    with Messages() as server:
        await once(server, Request((Message("user", "\ud83d é\0 24"),), timeout=5))
        assert server.bodies[0]["messages"][0]["content"][0]["text"] == "? é\0 24"


# -- thinking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "thought"),
    [
        (6000, {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (9000, {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (3000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (2000, {}),
    ],
)
async def test_thinking_shares_the_tokens_with_the_reply_so_that_a_budget_holds(most, thought):
    """`max_tokens` is sent as it was asked for: what is reserved is the most that can come."""
    with Messages() as server:
        await once(server, Request(ASK.messages, most, timeout=5), max_tokens=6000, thinking=5000)
        body = server.bodies[0]
        assert {name: said for name, said in body.items() if name == "thinking"} == thought
        assert body["max_tokens"] == most


async def test_the_model_may_decide_how_much_it_thinks():
    with Messages() as server:
        await once(server, thinking="adaptive")
        assert server.bodies[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(("thinking", "most"), [(1023, 4000), (4000, 4000), (2048, 1024)])
def test_thinking_that_leaves_no_room_is_refused_at_once(thinking, most):
    with pytest.raises(ValueError, match="room for the reply"):
        Anthropic("claude", thinking=thinking, max_tokens=most)


async def test_while_it_thinks_it_takes_no_temperature():
    with Messages() as server:
        error = await fails(server, Request(ASK.messages, temperature=0.5), Unsupported, thinking="adaptive")
        assert isinstance(error, Unsupported)
        assert (error.parameter, server.requests) == ("temperature", 0)


# -- what it can do ----------------------------------------------------------------------------------------------------


def test_what_it_can_do_is_known_from_the_tables_and_the_api():
    can = Anthropic("claude-haiku-4-5").capabilities
    assert (can.n, can.seed, can.logprobs, can.stop, can.caching) == (False, False, False, True, "marked")
    assert (can.temperature, can.schema, can.images, can.context) == (True, True, True, 200_000)
    assert not Anthropic("claude-opus-4-8").capabilities.temperature
    assert not Anthropic("claude-haiku-4-5", thinking="adaptive").capabilities.temperature


def test_of_a_model_that_nobody_lists_all_is_assumed_but_what_the_api_has_not():
    model = Anthropic("claude-nobody-knows")
    assert (model.price, model.capabilities.temperature, model.capabilities.n) == (None, True, False)
    assert model.capabilities.source == "assumed"


def test_what_the_user_says_of_price_and_abilities_goes_first():
    can = Capabilities(temperature=False, source="me")
    model = Anthropic("claude-haiku-4-5", price=PRICE, can=can)
    assert (model.price, model.capabilities) == (PRICE, can)


def test_the_price_is_that_of_the_tables_and_of_a_gateway_nobody_knows():
    assert Anthropic("claude-haiku-4-5").price == Price(1.0, 5.0, 0.1, 1.25)
    assert Anthropic("claude-haiku-4-5", base_url="https://gateway.invalid").price is None


def test_a_model_shows_its_name_and_no_key():
    model = Anthropic("claude-haiku-4-5", max_tokens=9)
    assert (model.name, model.endpoint, model.defaults["max_tokens"]) == (
        "anthropic:claude-haiku-4-5", "https://api.anthropic.com", 9,
    )  # fmt: skip
    assert repr(model) == "Anthropic('claude-haiku-4-5', base_url='https://api.anthropic.com')"


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
async def test_the_server_can_be_named_in_the_environment(monkeypatch, tail):
    with Messages() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url + tail)
        model = Anthropic("claude-haiku-4-5")
        await model(ASK, 1)
        await model.close()
        assert server.requests == 1


# -- a form to keep to -------------------------------------------------------------------------------------------------


async def test_a_reply_is_held_to_a_schema_by_the_server():
    with Messages(lambda prompt, draw: '{"sum": 4}') as server:
        got = await once(server, Request(ASK.messages, schema=FORM, timeout=5))
        assert got.replies == (Reply('{"sum": 4}', "stop"),)
        closed = {**FORM.body, "additionalProperties": False}
        assert server.bodies[0]["output_config"] == {"format": {"type": "json_schema", "schema": closed}}


async def test_limits_that_the_server_cannot_hold_to_are_told_in_words():
    body = {"type": "object", "properties": {"sum": {"type": "integer", "minimum": 3}}, "required": ["sum"]}
    with Messages() as server:
        await once(server, Request(ASK.messages, schema=Schema("sum", body), timeout=5))
        said = server.bodies[0]["output_config"]["format"]["schema"]["properties"]["sum"]
        assert said == {"type": "integer", "description": "{minimum: 3}"}


async def test_types_that_the_sdk_does_not_know_are_sent_as_they_are():
    body = {"type": "object", "properties": {"sum": {"type": ["integer", "null"]}}, "required": ["sum"]}
    with Messages() as server:
        await once(server, Request(ASK.messages, schema=Schema("sum", body), timeout=5))
        said = server.bodies[0]["output_config"]["format"]["schema"]
        assert said["properties"]["sum"] == {"type": ["integer", "null"]}


async def test_a_schema_with_no_strict_form_is_a_tool_that_must_be_called():
    """An object with names of its own choice; closed, it could only ever be empty."""
    with Messages(lambda prompt, draw: '{"a": "é"}') as server:
        got = await once(server, Request(ASK.messages, schema=Schema("any thing", {"type": "object"}), timeout=5))
        assert got.replies == (Reply('{"a": "é"}', "stop"),)
        body = server.bodies[0]
        assert "output_config" not in body
        assert (body["tools"][0]["name"], body["tools"][0]["input_schema"]) == ("any_thing", {"type": "object"})
        assert (body["tool_choice"]["type"], body["tool_choice"]["name"]) == ("tool", "any_thing")


@pytest.mark.parametrize(("schema", "how"), [({"type": "object"}, {"thinking": "adaptive"}), ({"type": "array"}, {})])
async def test_a_schema_that_neither_way_can_hold_to_is_unsupported(schema, how):
    with Messages() as server:
        error = await fails(server, Request(ASK.messages, schema=Schema("any", schema)), Unsupported, **how)
        assert isinstance(error, Unsupported)
        assert (error.parameter, server.requests) == ("schema", 0)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "cause", "billed"),
    [
        ("reset", "reset", True),
        ("drop", "reset", True),
        ("truncate", "truncated body", True),
        ("empty", "empty choices", True),
        (Raw(b""), "truncated body", True),
        (Raw(b"<html>busy</html>"), "truncated body", True),
        (Raw(b"[]"), "wrong shape", True),
        (Raw(b'{"content": null}'), "wrong shape", True),
        (Raw(b'{"content": ["a"]}'), "wrong shape", True),
        (Raw(b'{"content": [{"type": "text", "text": 4}]}'), "wrong shape", True),
        (Raw(b'{"content": [], "usage": {"input_tokens": -5}}'), "wrong shape", True),
        (Raw(b'{"type": "error", "error": {"message": "overloaded"}}'), "wrong shape", True),
        (Status(408), "408", False),
        (Status(409), "409", False),
        (Status(429), "429", False),
        (Status(500), "500", False),
        (Status(504), "504", True),
        (Status(529), "529", False),
    ],
)
async def test_failures_that_pass_have_the_causes_of_every_transport(fault, cause, billed):
    with Messages(faults=[fault]) as server:
        error = await fails(server, kind=Unavailable)
        assert isinstance(error, Unavailable)
        assert (error.cause, error.maybe_billed) == (cause, billed)


@pytest.mark.parametrize("status", [500, 429, 529, 401])
async def test_one_attempt_is_one_request(status):
    """The SDK's own retries are off: the engine's would multiply with them."""
    with Messages(faults=itertools.repeat(Status(status, headers={"x-should-retry": "true"}))) as server:
        await fails(server)
        assert server.requests == 1


async def test_the_wish_of_the_server_is_passed_on():
    with Messages(faults=[Status(429, headers={"retry-after": "7"})]) as server:
        error = await fails(server, kind=Unavailable)
        assert isinstance(error, Unavailable)
        assert error.retry_after == 7


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_a_time_out_is_of_the_whole_request(fault):
    """The SDK's is of each phase: a reply that drips would never end."""
    with Messages(faults=[fault]) as server:
        began = time.monotonic()
        error = await fails(server, Request(ASK.messages, timeout=0.3), Unavailable)
        assert isinstance(error, Unavailable)
        assert (error.cause, error.maybe_billed) == ("timeout", True)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("status", "word"), [(401, "ANTHROPIC_API_KEY"), (403, "ANTHROPIC_API_KEY"), (404, "claude-haiku-4-5")]
)
async def test_a_refused_key_or_model_says_what_to_check(status, word):
    with Messages(faults=[Status(status, f"no {KEY}")]) as server:
        assert word in str(await fails(server, kind=Unauthorized))


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 250000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
    ],
)
async def test_too_long_a_prompt_has_its_own_cause(message):
    with Messages(faults=[Status(400, message)]) as server:
        assert (await fails(server)).cause == "context too long"


@pytest.mark.parametrize(
    ("message", "parameter", "say"),
    [
        ("`temperature` is deprecated for this model.", "temperature", {"temperature": 0.5}),
        ("`top_p` may not be set", "temperature", {"temperature": 0.5}),
        ("stop_sequences: too many", "stop", {"stop": ("END",)}),
        ("output_config: Extra inputs are not permitted", "schema", {"schema": FORM}),
        ("output_config.format.schema: Schema is too complex", "schema", {"schema": FORM}),
    ],
)
async def test_a_setting_that_is_refused_is_named_as_the_request_has_it(message, parameter, say):
    with Messages(faults=[Status(400, message)]) as server:
        error = await fails(server, Request(ASK.messages, timeout=5, **say), Unsupported)
        assert isinstance(error, Unsupported)
        assert error.parameter == parameter


async def test_another_refusal_is_told_as_it_came():
    with Messages(faults=[Status(400, "thinking.type: adaptive is not what this model knows")]) as server:
        error = await fails(server)
        assert (type(error), error.cause) == (ModelError, "rejected")
        assert "adaptive is not what this model knows" in str(error)


async def test_a_reply_that_was_filtered_is_a_refused_draw():
    """One thought's words were to blame: the search goes on with the others."""
    with Messages(faults=[Status(400, "Output blocked by content filtering policy")]) as server:
        assert await once(server) == Completion((Reply("", "content_filter"),))


async def test_a_server_that_points_elsewhere_is_not_followed():
    with Messages() as other, Messages(faults=[Status(307, headers={"Location": other.base_url})]) as server:
        assert (await fails(server)).cause == "rejected"
        assert other.requests == 0


async def test_this_machine_is_reached_without_the_proxy_of_the_environment(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Messages() as server:
        await once(server)
        assert server.requests == 1


async def test_no_server_is_a_connection_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        model = Anthropic("claude", base_url=f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(Unavailable) as caught:
            await model(ASK, 1)
        await model.close()
    assert (caught.value.cause, caught.value.maybe_billed) == ("connection", False)


async def test_without_a_key_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(Unauthorized, match="set ANTHROPIC_API_KEY"):
        await Anthropic("claude")(ASK, 1)


async def test_the_key_can_be_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_API_KEY_FILE", str(tmp_path / "key"))
    with Messages() as server:
        await once(server)
        assert KEY in str(server.headers[0])


@pytest.mark.parametrize("odd", [f"{KEY}\nX-Evil: 1", f"{KEY}é", f"{KEY}\x01"])
async def test_a_key_that_no_header_can_carry_is_not_quoted(monkeypatch, caplog, odd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ANTHROPIC_API_KEY", odd)
    with Messages() as server:
        await fails(server, kind=Unauthorized)
        assert KEY not in caplog.text
        assert server.requests == 0


async def test_the_key_is_in_no_log_however_much_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    faults = [None, Status(401, f"no {KEY}"), Status(400, f"bad {KEY}"), "reset", "drop", "hang", Raw(KEY.encode())]
    with Messages(faults=faults) as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url.replace("//", "//me:pass%25word@"))
        for _ in faults:
            with contextlib.suppress(ModelError):
                await model(Request(ASK.messages, timeout=0.3), 1)
        await model.close()
        assert (server.requests, server.headers[0]["Authorization"][:6]) == (len(faults), "Basic ")
    assert "/v1/messages" in caplog.text
    assert KEY not in caplog.text
    assert "pass%" not in caplog.text + repr(model)


# -- counting ----------------------------------------------------------------------------------------------------------


async def test_the_tokens_of_a_prompt_are_counted_by_the_server():
    with Messages() as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        assert await model.count(Request(ASK.messages, temperature=0.5, stop=("END",), schema=FORM)) == 5
        await model.close()
        assert server.requests == 0
        assert sorted(server.counted[0]) == ["messages", "model", "output_config", "system"]


async def test_a_server_that_does_not_count_says_nothing():
    with Messages(counts=False) as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        assert await model.count(ASK) is None
        await model.close()


async def test_without_a_key_nothing_is_counted(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert await Anthropic("claude").count(ASK) is None


# -- the cache ---------------------------------------------------------------------------------------------------------


async def told(server: Messages, *requests: Request, **how) -> list[tuple[int, int]]:
    """What was read from the cache and written to it, for one request after another."""
    model = Anthropic("claude-haiku-4-5", base_url=server.base_url, **how)
    try:
        got = [await model(request, 1) for request in requests]
    finally:
        await model.close()
    return [(completion.cached_tokens, completion.written_tokens) for completion in got]


async def test_what_is_shared_is_written_at_the_second_sending_and_read_from_the_third_on():
    with Messages() as server:
        requests = [asked("x" * 398, f"question {number}") for number in range(4)]
        assert await told(server, *requests) == [(0, 0), (0, 100), (100, 0), (100, 0)]
        assert list(map(marks, server.bodies)) == [[], [0], [0], [0]]


async def test_a_prompt_that_comes_once_is_never_marked():
    with Messages() as server:
        assert await told(server, *(asked(f"{number} first", "then") for number in range(3))) == [(0, 0)] * 3


async def test_the_usage_of_a_reply_is_all_of_the_prompt():
    """Anthropic's `input_tokens` are only those that the cache had no part in."""
    with Messages(lambda prompt, draw: "four") as server:
        model = Anthropic("claude-haiku-4-5", price=PRICE, base_url=server.base_url)
        got = [await model(asked("x" * 398, f"question {number}"), 1) for number in range(3)]
        await model.close()
    assert got[2] == Completion((Reply("four"),), 103, 1, cached_tokens=100, written_tokens=0)
    dollars = [PRICE.usd(c.prompt_tokens or 0, 1, c.cached_tokens, c.written_tokens) for c in got]
    assert dollars == pytest.approx([324e-6, (9 + 375 + 15) * 1e-6, (9 + 30 + 15) * 1e-6])


async def test_the_whole_prompt_is_a_beginning_too():
    """Best-of-n draws one prompt again and again."""
    with Messages() as server:
        assert await told(server, *[asked("x" * 400)] * 3) == [(0, 0), (0, 100), (100, 0)]


async def test_a_longer_beginning_is_written_on_top_of_a_shorter_one():
    with Messages() as server:
        first = [asked("x" * 398, f"path {number}", "ask") for number in range(3)]
        path = [asked("x" * 398, "y" * 198, f"ask {number}") for number in range(3)]
        assert await told(server, *first, *path) == [(0, 0), (0, 100), (100, 0), (100, 0), (100, 50), (150, 0)]


async def test_the_turns_of_a_conversation_are_beginnings():
    turns = (Message("system", "s" * 40), Message("user", "u" * 40), Message("assistant", "a" * 40))
    with Messages() as server:
        requests = [Request((*turns, Message("user", f"go on {number}")), timeout=5) for number in range(3)]
        assert await told(server, *requests) == [(0, 0), (0, 30), (30, 0)]
        assert marks(server.bodies[2]) == [0, 1, 2]


async def test_there_are_at_most_four_marks_on_the_shortest_and_the_longest_beginnings():
    with Messages() as server:
        parts = [f"part {number}" for number in range(9)]
        await told(server, *(asked(*parts, f"ask {number}") for number in range(3)))
        assert list(map(marks, server.bodies)) == [[], [0, 6, 7, 8], [0, 6, 7, 8]]


async def test_a_schema_or_other_thinking_is_another_beginning():
    """The provider puts them before all else."""
    with Messages(lambda prompt, draw: '{"sum": 4}') as server:
        plain = asked("x" * 400)
        formed = Request(plain.messages, schema=FORM, timeout=5)
        assert await told(server, plain, formed, formed) == [(0, 0), (0, 0), (0, 100)]


async def test_of_many_at_once_only_one_writes():
    """What is written cannot be read before the reply began: the others would pay a quarter more, for nothing."""
    with Messages(latency=0.3) as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        got = await asyncio.gather(*(model(asked("x" * 398, f"ask {number}"), 1) for number in range(12)))
        later = await asyncio.gather(*(model(asked("x" * 398, f"more {number}"), 1) for number in range(12)))
        await model.close()
    assert sorted(completion.written_tokens for completion in got) == [0] * 11 + [100]
    assert [completion.cached_tokens for completion in later] == [100] * 12


async def test_what_failed_was_not_seen():
    """A request that is tried again is no second one."""
    with Messages(faults=[Status(529)]) as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        with pytest.raises(Unavailable):
            await model(asked("x" * 400), 1)
        await model(asked("x" * 400), 1)
        await model(asked("x" * 400), 1)
        await model.close()
        assert list(map(marks, server.bodies)) == [[], [], [0]]


async def test_a_write_that_failed_is_tried_by_the_next():
    with Messages(faults=[None, "reset"]) as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        await model(asked("x" * 400), 1)
        with pytest.raises(Unavailable):
            await model(asked("x" * 400), 1)
        got = [await model(asked("x" * 400), 1) for _ in range(2)]
        await model.close()
    assert [(c.cached_tokens, c.written_tokens) for c in got] == [(0, 100), (100, 0)]


def test_beginnings_are_remembered_up_to_a_bound():
    beginnings = Beginnings()
    for number in range(5000):
        with beginnings.marked({"messages": [{"role": "user", "content": [{"type": "text", "text": str(number)}]}]}):
            pass
    assert len(beginnings._seen) == Beginnings.REMEMBERED


def test_what_was_not_read_for_five_minutes_has_one_writer_again(monkeypatch):
    monkeypatch.setattr(Beginnings, "KEPT", 0.0)
    beginnings = Beginnings()
    bodies = [{"messages": [{"role": "user", "content": [{"type": "text", "text": "shared"}]}]} for _ in range(4)]
    for body in bodies[:2]:
        with beginnings.marked(body):
            pass
    with beginnings.marked(bodies[2]), beginnings.marked(bodies[3]):
        pass
    assert list(map(marks, bodies)) == [[], [0], [0], []]


# -- through the engine ------------------------------------------------------------------------------------------------

RULES = "Rule: think of something new. " * 200
"""The part that all prompts of a search share: 1,500 tokens."""


def next_word(x, passages, thoughts, scores):
    said = " ".join(thought.text for thought in thoughts)
    return Prompt(system="You make sentences. " * 20, rules=RULES, problem=x, thoughts=said, ask="The next word?")


def worth(x, passages, thoughts, scores):
    said = " ".join(thought.text for thought in thoughts)
    return Prompt(system="You make sentences. " * 20, rules=RULES, problem=x, thoughts=said, ask="From 0 to 10?")


def sentence(prompt: str, draw: int) -> str:
    return str((len(prompt) * 7 + draw) % 11) if "From 0" in prompt else f"word{(len(prompt) + draw * 3) % 17}"


@pytest.mark.parametrize("policy", [ToT(breadth=2, steps=4, branch=3), BestOfN(n=8, steps=3, action="step")])
def test_a_search_sends_what_its_prompts_share_once_and_reads_it_from_then_on(policy):
    task = tg.Task(
        "A sentence.",
        actions={"step": Sample(next_word, width=3, done=lambda text: False)},
        critics={"value": Value(worth, samples=1, scale=(0, 10))},
        claim=lambda path: " ".join(thought.text for thought in path) or None,
    )
    with Messages(sentence, latency=0.02) as server:
        model = Anthropic("claude-haiku-4-5", price=PRICE, base_url=server.base_url)
        result = tg.solve(task, policy=policy, model=model, budget=tg.Budget(calls=40))
    assert 20 <= result.usage.calls <= 40
    assert server.requests == result.usage.requests
    read = [usage["cache_read_input_tokens"] for usage in server.usages]
    assert sum(tokens >= 1500 for tokens in read) > 0.5 * len(read)
    assert sum(usage["cache_creation_input_tokens"] for usage in server.usages) < 2 * 1700
    dollars = sum(_paid(usage) for usage in server.usages)
    assert result.usage.usd == pytest.approx(dollars)
    assert sum(book.cached_tokens for book in result.ledger.values()) == sum(read)
    unmarked = sum((usage_total(usage) * 3 + usage["output_tokens"] * 15) / 1e6 for usage in server.usages)
    assert dollars < 0.6 * unmarked


def usage_total(usage: dict[str, int]) -> int:
    return usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]


def _paid(usage: dict[str, int]) -> float:
    """By hand: plain tokens at 3, written at 3.75, read at 0.3, made at 15 dollars a million."""
    prompt = 3 * usage["input_tokens"] + 3.75 * usage["cache_creation_input_tokens"]
    return (prompt + 0.3 * usage["cache_read_input_tokens"] + 15 * usage["output_tokens"]) / 1e6


# -- what every model must keep ----------------------------------------------------------------------------------------


class TestAnthropic(ModelContract):
    secret = KEY

    @pytest.fixture(autouse=True)
    def loopback(self):
        with Messages(latency=0.005) as self.server:
            yield

    def make(self):
        return Anthropic("claude-haiku-4-5", base_url=self.server.base_url)


def test_one_model_after_another_event_loop():
    with Messages() as server:
        model = Anthropic("claude-haiku-4-5", base_url=server.base_url)
        for _ in range(3):
            assert len(asyncio.run(model(ASK, 1)).replies) == 1


def test_naming_a_model_does_not_load_the_sdk():
    code = (
        "import sys; from thoughtgraph.models.anthropic import Anthropic; Anthropic('claude-haiku-4-5').capabilities;"
        "assert not {'anthropic', 'litellm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
