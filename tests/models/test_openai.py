"""`OpenAI`: the official SDK against a server on this machine, with the same errors as every other transport."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Loopback, Raw, Status

from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Capabilities, Completion, Model, Price, Reply, Request
from thoughtgraph.models import OpenAI, tables
from thoughtgraph.prompt import Message
from thoughtgraph.testing import ModelContract

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


async def test_a_setting_that_the_model_does_not_take_is_named():
    with Loopback(refuses={"temperature"}) as server:
        with pytest.raises(Unsupported) as caught:
            await once(server, replace(ASK, temperature=0.5))
        assert caught.value.parameter == "temperature"


async def test_logprobs_and_seed_are_asked_for():
    with Loopback(lambda prompt, draw: "four") as server:
        got = await once(server, replace(ASK, logprobs=True, seed=7))
        assert got.replies == (Reply("four", "stop", (("four", -0.693),)),)
        assert (server.bodies[0]["logprobs"], server.bodies[0]["seed"]) == (True, 7)


async def test_a_filtered_prompt_is_a_refused_draw():
    with Loopback(faults=[Status(400, "flagged", code="invalid_prompt")]) as server:
        assert (await once(server)).replies == (Reply("flagged", "content_filter"),)


def test_the_price_of_openais_own_models_is_known():
    assert OpenAI("gpt-4o-mini").price == tables.price("openai", "gpt-4o-mini")
    assert OpenAI("gpt-4o-mini").price is not None
    assert OpenAI("gpt-4o-mini", price=Price(1, 2)).price == Price(1, 2)


def test_another_server_has_prices_of_its_own():
    """Unknown is None, and never the price of a namesake."""
    assert OpenAI("gpt-4o-mini", base_url="https://gateway.invalid/v1").price is None
    assert OpenAI("no-such-model").price is None


def test_what_it_can_do_is_said_or_looked_up_or_assumed():
    can = Capabilities(n=False, source="said")
    assert OpenAI("gpt-4o-mini", can=can).capabilities == can
    assert OpenAI("gpt-4o-mini").capabilities.source == "table"
    assert OpenAI("gpt-4o-mini", base_url="https://gateway.invalid/v1").capabilities == Capabilities()


def test_a_model_that_chat_does_not_serve_is_asked_by_responses():
    name = next(name for name in tables.known("openai") if tables.responses_only(name))
    assert not OpenAI(name).capabilities.n
    assert OpenAI(name, api="chat", can=Capabilities()).capabilities.n


def test_a_name_that_openai_does_not_know_may_be_a_slip():
    """Only of its own models: who knows what a gateway calls its."""
    assert OpenAI("gpt-4o-minni")._meant(404) == "gpt-4o-mini"
    assert OpenAI("gpt-4o-minni")._meant(400) == OpenAI("gpt-4o-mini")._meant(404) == ""
    assert OpenAI("gpt-4o-minni", base_url="https://gateway.invalid/v1")._meant(404) == ""


def test_models_of_one_server_share_an_endpoint():
    assert OpenAI("a").endpoint == OpenAI("b").endpoint == "https://api.openai.com/v1"


async def test_user_and_password_of_the_url_are_sent_and_never_logged(caplog):
    """The SDK logs where it sends to, and so does its transport."""
    with caplog.at_level(logging.DEBUG), Loopback() as server:
        model = OpenAI("small", base_url=server.base_url.replace("//", "//me:hush-hush@"))
        await model(ASK, 1)
        await model.close()
        assert server.headers[0]["Authorization"].startswith("Basic ")
    assert "127.0.0.1" in caplog.text
    assert "hush-hush" not in caplog.text


async def test_no_log_holds_the_key(caplog):
    with caplog.at_level(logging.DEBUG), Loopback(faults=[None, Status(500, KEY), "reset"]) as server:
        model = OpenAI("small", base_url=server.base_url)
        await model(ASK, 1)
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await model(ASK, 1)
            assert KEY not in str(caught.value)
        await model.close()
    assert "two and two?" in caplog.text  # so the logs were on
    assert KEY not in caplog.text


async def unreached(base_url: str) -> Unavailable:
    model = OpenAI("small", base_url=base_url)
    with pytest.raises(Unavailable) as caught:
        await model(ASK, 1)
    await model.close()
    assert (caught.value.cause, caught.value.maybe_billed) == ("connection", False)
    return caught.value


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("no_proxy")
async def test_a_host_without_an_address_is_named_with_what_to_check():
    assert "no address is known for no-such-host.invalid" in str(await unreached("https://no-such-host.invalid/v1"))


@pytest.mark.usefixtures("no_proxy")
async def test_a_proxy_that_does_not_answer_is_named_without_its_password(monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush-hush@127.0.0.1:{port}")
        error = await unreached("https://models.invalid/v1")
    assert f"through the proxy http://127.0.0.1:{port} " in str(error)
    assert "hush-hush" not in "".join(traceback.format_exception(error))


@pytest.mark.usefixtures("no_proxy")
async def test_this_machine_is_reached_without_the_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with Loopback() as server:
        assert (await once(server)).replies


class TestOpenAI(ModelContract):
    """By chat completions."""

    secret = KEY

    @pytest.fixture(autouse=True)
    def serve(self) -> Iterator[None]:
        """A server for each test."""
        with Loopback() as server:
            self.base_url = server.base_url
            yield

    def make(self) -> Model:
        """A model of that server."""
        return OpenAI("small", base_url=self.base_url)


class TestOpenAIByResponses(TestOpenAI):
    """By the Responses call, which gives one draw a request."""

    def make(self) -> Model:
        """A model of that server."""
        return OpenAI("small", base_url=self.base_url, api="responses")


def test_naming_a_model_does_not_load_the_sdk():
    """The SDK takes half a second to import: it waits for the first call."""
    code = "import sys; from thoughtgraph.models import OpenAI; OpenAI('gpt-4o'); assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
