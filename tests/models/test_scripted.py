"""`Scripted`: a local function or a list of texts as a model."""

from __future__ import annotations

import pytest

from thoughtgraph.errors import ModelError, TaskError, Unavailable
from thoughtgraph.model import Capabilities, Completion, Model, Reply, Request, Schema, capabilities
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Message


def ask(text: str, **settings) -> Request:
    return Request((Message("user", text),), **settings)


async def texts(model: Model, request: Request, n: int = 1) -> list[str]:
    return [reply.text for reply in (await model(request, n)).replies]


async def test_a_function_gets_the_prompt_and_the_number_of_the_draw():
    model = Scripted(lambda prompt, draw: f"{prompt}{draw}")
    assert await texts(model, ask("a"), 2) == ["a0", "a1"]
    assert await texts(model, ask("b")) == ["b0"]
    assert await texts(model, ask("a")) == ["a2"]


async def test_all_messages_are_the_prompt():
    model = Scripted(lambda prompt, draw: prompt)
    assert await texts(model, Request((Message("system", "brief"), Message("user", "why?")))) == ["brief\n\nwhy?"]


async def test_a_list_is_played_in_order():
    model = Scripted(["a", "b", "c"])
    assert await texts(model, ask("x"), 2) == ["a", "b"]
    assert await texts(model, ask("y"), 2) == ["c"]


async def test_a_list_that_is_used_up_says_so():
    model = Scripted(["a"])
    await model(ask("x"), 1)
    with pytest.raises(ModelError, match=r"used up at request 2.*'what now'"):
        await model(ask("what now"), 1)


async def test_a_list_can_hold_errors():
    """The draws before an error are not lost: fewer come back, and the error waits for the next request."""
    model = Scripted(["a", Unavailable("busy", cause="503"), "b"])
    assert await texts(model, ask("x"), 2) == ["a"]
    with pytest.raises(Unavailable, match="busy"):
        await model(ask("x"), 1)
    assert await texts(model, ask("x")) == ["b"]


async def test_a_function_can_fail_at_first_and_fare_better_later():
    def reply(prompt: str, draw: int) -> str:
        if draw == 0:
            raise Unavailable("busy", cause="503")
        return "fine"

    model = Scripted(reply)
    with pytest.raises(Unavailable):
        await model(ask("x"), 1)
    assert await texts(model, ask("x")) == ["fine"]


async def test_every_request_is_seen():
    model = Scripted(lambda prompt, draw: "ok")
    await model(ask("a"), 3)
    await model(ask("b"), 1)
    assert model.seen == [ask("a"), ask("b")]


async def test_a_token_is_four_characters():
    model = Scripted(lambda prompt, draw: "12345")
    assert await model(ask("1234"), 2) == Completion((Reply("12345"), Reply("12345")), 1, 4)


async def test_a_reply_can_say_why_it_ended():
    assert (await Scripted([Reply("", "content_filter")])(ask("x"), 1)).replies == (Reply("", "content_filter"),)


async def test_the_bound_of_a_request_is_kept():
    """Otherwise a draw could cost more than was reserved for it."""
    got = await Scripted(["12345678901"])(ask("x", max_tokens=2), 1)
    assert got == Completion((Reply("12345678", "length"),), 1, 2)


async def test_a_stop_ends_a_reply():
    assert await texts(Scripted(["one\ntwo;three"]), ask("x", stop=(";", "\n"))) == ["one"]


async def test_a_reply_keeps_its_logprobs_unless_it_is_cut():
    """Those of the rest would be left over."""
    model = Scripted([Reply("ab;c", logprobs=(("ab;c", -1.0),))] * 2)
    assert (await model(ask("x"), 1)).replies[0].logprobs == (("ab;c", -1.0),)
    assert (await model(ask("x", stop=(";",)), 1)).replies == (Reply("ab"),)


async def test_it_takes_every_setting():
    model = Scripted(["ok"], seed=3)
    assert model.defaults["seed"] == 3
    assert capabilities(model) == Capabilities()
    request = ask("x", seed=1, logprobs=True, schema=Schema("s", {"type": "object"}), temperature=2.0)
    assert await texts(model, request) == ["ok"]


async def test_a_slow_model_meets_the_time_out():
    with pytest.raises(Unavailable) as caught:
        await Scripted(["late"], latency=9)(ask("x", timeout=0.01), 1)
    assert (caught.value.cause, caught.value.maybe_billed) == ("timeout", True)


def test_one_text_is_no_list_of_texts():
    """It would be played letter by letter."""
    with pytest.raises(TaskError, match="a list of texts"):
        Scripted("yes")


def test_a_scripted_model_is_local():
    assert Scripted([]).name == "local:scripted"
    assert len({Scripted(["a"]), Scripted(["b"])}) == 2
    assert Scripted([], model="critic", max_tokens=8).defaults == {"max_tokens": 8, "timeout": 120.0}
