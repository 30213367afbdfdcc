"""`OpenAI`: the official SDK against a server on this machine, with the same errors as every other transport."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import Loopback, Raw, Status

from thoughtgraph.errors import ModelError, Unauthorized, Unavailable
from thoughtgraph.model import Completion, Price, Reply, Request
from thoughtgraph.models import OpenAI
from thoughtgraph.prompt import Message

KEY = "sk-test-0123456789abcdef"
ASK = Request((Message("system", "be brief"), Message("user", "two and two?")), max_tokens=64, timeout=5)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


async def once(server: Loopback, request: Request = ASK, n: int = 1) -> Completion:
    model = OpenAI("small", base_url=server.base_url)
    try:
        return await model(request, n)
    finally:
        await model.close()


async def fails(server: Loopback, request: Request = ASK) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await once(server, request)
    assert KEY not in str(caught.value)
    return caught.value


async def refuses(server: Loopback, kind: type[ModelError]) -> ModelError:
    """An error that is not worth another attempt."""
    with pytest.raises(kind) as caught:
        await once(server)
    assert KEY not in str(caught.value)
    assert not isinstance(caught.value, Unavailable)
    return caught.value


async def test_a_reply_has_its_text_ending_and_tokens():
    with Loopback(lambda prompt, draw: "four") as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=6, completion_tokens=1)


async def test_the_bound_is_sent_in_the_words_of_newer_models():
    """Reasoning models answer 400 to `max_tokens`."""
    with Loopback() as server:
        await once(server, n=2)
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two and two?"}]
        assert server.bodies == [{"model": "small", "messages": messages, "max_completion_tokens": 64, "n": 2}]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_one_attempt_is_one_request():
    """The SDK's own retries are off: the engine's would multiply with them."""
    with Loopback(faults=itertools.repeat(Status(500))) as server:
        await fails(server)
        assert server.requests == 1


@pytest.mark.parametrize(
    ("fault", "cause", "billed"),
    [
        ("reset", "reset", True),
        ("drop", "reset", True),
        ("truncate", "truncated body", True),
        ("empty", "empty choices", True),
        (Raw(b'{"choices": null}'), "wrong shape", True),
        (Status(429), "429", False),
        (Status(409), "409", False),
        (Status(503), "503", False),
    ],
)
async def test_failures_that_pass_have_the_causes_of_every_transport(fault, cause, billed):
    with Loopback(faults=[fault]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == (cause, billed)


async def test_a_time_out_is_of_the_whole_request():
    """The SDK's is of each phase: a reply that drips would never end."""
    with Loopback(faults=["hang"]) as server:
        began = time.monotonic()
        error = await fails(server, Request(ASK.messages, timeout=0.3))
        assert (error.cause, error.maybe_billed) == ("timeout", True)
        assert time.monotonic() - began < 3


async def test_the_wish_of_the_server_is_passed_on():
    with Loopback(faults=[Status(429, headers={"retry-after-ms": "1500"})]) as server:
        assert (await fails(server)).retry_after == 1.5


@pytest.mark.parametrize(("status", "word"), [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "'small'")])
async def test_a_refused_key_or_model_says_what_to_check(status, word):
    with Loopback(faults=[Status(status, f"no {KEY}")]) as server:
        assert word in str(await refuses(server, Unauthorized))


async def test_too_long_a_prompt_has_its_own_cause():
    with Loopback(faults=[Status(400, "too many", code="context_length_exceeded")]) as server:
        assert (await refuses(server, ModelError)).cause == "context too long"


async def test_no_server_is_a_connection_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        model = OpenAI("small", base_url=f"http://127.0.0.1:{held.getsockname()[1]}/v1")
        with pytest.raises(Unavailable) as caught:
            await model(ASK, 1)
        await model.close()
    assert (caught.value.cause, caught.value.maybe_billed) == ("connection", False)


async def test_without_a_key_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(Unauthorized, match="set OPENAI_API_KEY"):
        await OpenAI("small")(ASK, 1)


async def test_a_refusal_says_so():
    with Loopback(lambda prompt, draw: "I cannot", faults=["refuse"]) as server:
        assert (await once(server)).replies == (Reply("I cannot", "refusal"),)


async def test_every_text_can_be_sent():
    """The SDK itself breaks on half of a surrogate pair."""
    with Loopback(lambda prompt, draw: "nearly \ud83d") as server:
        assert (await once(server, Request((Message("user", "\ud83d é"),)))).replies == (Reply("nearly ?", "stop"),)
        assert server.bodies[0]["messages"][0]["content"] == "? é"


def test_one_model_after_another_event_loop():
    with Loopback() as server:
        model = OpenAI("small", base_url=server.base_url)
        for _ in range(3):
            assert len(asyncio.run(model(ASK, 1)).replies) == 1


async def test_a_closed_model_can_be_used_again():
    with Loopback() as server:
        model = OpenAI("small", base_url=server.base_url)
        for _ in range(2):
            await model(ASK, 1)
            await model.close()
        assert server.requests == 2


def test_a_model_shows_its_name_and_no_key():
    model = OpenAI("small", price=Price(1, 2), max_tokens=9)
    assert (model.name, model.price, model.defaults["max_tokens"]) == ("openai:small", Price(1, 2), 9)
    assert repr(model) == "OpenAI('small', base_url='https://api.openai.com/v1')"


def test_naming_a_model_does_not_load_the_sdk():
    """The SDK takes half a second to import: it waits for the first call."""
    code = "import sys; from thoughtgraph.models import OpenAI; OpenAI('small'); assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
