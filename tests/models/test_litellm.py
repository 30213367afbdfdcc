"""`LiteLLM`: the litellm package against servers on this machine, with the same errors as every other transport."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import messages
import pytest
from loopback import Loopback, Raw, Status

from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request, Schema
from thoughtgraph.models import LiteLLM, tables
from thoughtgraph.prompt import Image, Message
from thoughtgraph.testing import ModelContract

ROOT = Path(__file__).parents[2]
KEY = "planted-0123456789abcdef"
ASK = Request((Message("system", "be brief"), Message("user", "two and two?")), max_tokens=64, timeout=10)


class Messages(messages.Messages):
    """Anthropic's messages name their model, and litellm looks there."""

    def _whole(self, body, kind, read, written):
        return {"id": "msg_1", "model": body["model"], **super()._whole(body, kind, read, written)}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, KEY)


async def once(server: Loopback | messages.Messages, request: Request = ASK, n: int = 1) -> Completion:
    model = LiteLLM("openai/small" if isinstance(server, Loopback) else "anthropic/claude", base_url=server.base_url)
    try:
        return await model(request, n)
    finally:
        await model.close()


async def fails(server: Loopback | messages.Messages, kind: type[ModelError] = Unavailable) -> ModelError:
    with pytest.raises(kind) as caught:
        await once(server)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert server.requests == 1, "litellm tried again"
    return caught.value


# -- through OpenAI's shape ------------------------------------------------------------------------


async def test_a_reply_has_its_text_ending_and_tokens():
    with Loopback(lambda prompt, draw: "four") as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=6, completion_tokens=1)


async def test_only_what_is_set_is_sent():
    with Loopback() as server:
        await once(server)
        said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two and two?"}]
        assert server.bodies == [{"model": "small", "messages": said, "max_tokens": 64}]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_all_that_is_set_is_sent():
    schema = Schema("sum", {"type": "object", "properties": {}, "required": [], "additionalProperties": False})
    request = Request(ASK.messages, temperature=0.5, stop=("END",), seed=7, schema=schema, logprobs=True, timeout=10)
    with Loopback() as server:
        model = LiteLLM("openai/small", base_url=server.base_url, can=Capabilities())
        assert len((await model(request, 3)).replies) == 3
        await model.close()
        (body,) = server.bodies
    assert [body[name] for name in ("n", "temperature", "stop", "seed", "logprobs")] == [3, 0.5, ["END"], 7, True]
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"]["type"] == "object"


async def test_pictures_are_sent_with_their_message():
    seen = Message("user", "what is it?", (Image("data:image/png;base64,AAAA"),))
    with Loopback(faults=[Raw(b'{"choices": [{"message": {"content": "a duck"}}]}')]) as server:
        assert (await once(server, Request((seen,), timeout=10))).replies == (Reply("a duck"),)
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        assert server.bodies[0]["messages"][0]["content"] == [{"type": "text", "text": "what is it?"}, picture]


async def test_a_picture_is_fetched_from_nowhere():
    """litellm would fetch it, and send it on to a provider that takes no addresses."""
    seen = Message("user", "what is it?", (Image("http://127.0.0.1:9/duck.png"),))
    with Loopback() as server:
        model = LiteLLM("gemini/gemini-2.5-pro", base_url=server.base_url)
        with pytest.raises(ModelError, match="download is disabled"):
            await model(Request((seen,), timeout=10), 1)
        await model.close()


async def test_the_parts_of_the_usage_and_the_logprobs_are_kept():
    raw = b"""{"choices": [{"message": {"content": "four"}, "finish_reason": "length",
        "logprobs": {"content": [{"token": "four", "logprob": -0.5, "bytes": null, "top_logprobs": []}]}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}}"""
    with Loopback(faults=[Raw(raw)]) as server:
        said = await once(server)
    assert said == Completion((Reply("four", "length", (("four", -0.5),)),), 9, 5, cached_tokens=4, reasoning_tokens=3)


async def test_tokens_that_nobody_counted_are_not_0():
    with Loopback(lambda prompt, draw: "four", faults=["no usage"]) as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=None, completion_tokens=None)


async def test_a_refusal_says_so():
    with Loopback(lambda prompt, draw: "I cannot", faults=["refuse"]) as server:
        assert (await once(server)).replies == (Reply("I cannot", "refusal"),)


async def test_no_content_is_an_empty_reply():
    with Loopback(faults=["null"]) as server:
        assert (await once(server)).replies == (Reply("", "stop"),)


async def test_never_more_than_n_replies_and_one_where_the_provider_has_no_n():
    with Loopback(faults=["twice"]) as server:
        assert len((await once(server, n=1)).replies) == 1
        assert len((await once(server, n=2)).replies) == 1
        assert all("n" not in body for body in server.bodies)


# -- failures --------------------------------------------------------------------------------------


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
        (Status(500), "500", False),
        (Status(503), "503", False),
        (Status(504), "504", True),
    ],
)
async def test_failures_that_pass_have_the_causes_of_every_transport(fault, cause, billed):
    with Loopback(faults=itertools.repeat(fault)) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == (cause, billed)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Status(401, f"no {KEY}"), Unauthorized, "OPENAI_API_KEY"),
        (Status(403, f"no {KEY}"), Unauthorized, "OPENAI_API_KEY"),
        (Status(404, "no such model"), Unauthorized, "'openai/small'"),
        (Status(429, "pay first", code="insufficient_quota"), Unauthorized, "credit"),
        (Status(400, "what is that?"), ModelError, "answered 400: what is that?"),
    ],
)
async def test_a_refusal_that_stays_says_what_to_check(fault, kind, words):
    with Loopback(faults=itertools.repeat(fault)) as server:
        error = await fails(server, kind)
        assert words in str(error)
        assert not isinstance(error, Unavailable)


async def test_too_long_a_prompt_has_its_own_cause():
    with Loopback(faults=[Status(400, "too many", code="context_length_exceeded")]) as server:
        assert (await fails(server, ModelError)).cause == "context too long"


async def test_a_setting_that_the_server_refuses_is_named():
    with Loopback(faults=[Status(400, "Unsupported value: 'temperature' does not support 0.5")]) as server:
        error = await fails(server, Unsupported)
        assert error.parameter == "temperature"


@pytest.mark.parametrize(
    ("model", "parameter", "request_"),
    [
        ("anthropic/claude-sonnet-4-5", "seed", Request(ASK.messages, seed=7)),
        ("anthropic/claude-sonnet-4-5", "logprobs", Request(ASK.messages, logprobs=True)),
        ("anthropic/claude-opus-4-7", "temperature", Request(ASK.messages, temperature=0.5)),
        ("openai/o3", "temperature", Request(ASK.messages, temperature=0.5)),
        ("openai/gpt-5", "stop", Request(ASK.messages, stop=("END",))),
    ],
)
async def test_a_setting_that_litellm_has_no_word_for_is_named_before_anything_is_sent(model, parameter, request_):
    """It would drop it in silence if `drop_params` were on."""
    with Loopback() as server:
        asking = LiteLLM(model, base_url=server.base_url)
        with pytest.raises(Unsupported) as caught:
            await asking(request_, 1)
        await asking.close()
        assert (caught.value.parameter, server.requests) == (parameter, 0)


async def test_a_time_out_is_of_the_whole_request():
    with Loopback(faults=["hang"]) as server:
        with pytest.raises(Unavailable) as caught:
            await once(server, Request(ASK.messages, timeout=0.3))
        assert (caught.value.cause, caught.value.maybe_billed) == ("timeout", True)


@pytest.mark.parametrize("model", ["openai/small", "anthropic/claude", "gemini/gemini-2.5-pro", "mistral/small"])
async def test_no_server_is_a_connection_error(model):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        asking = LiteLLM(model, base_url=f"http://127.0.0.1:{held.getsockname()[1]}/v1")
        with pytest.raises(Unavailable) as caught:
            await asking(ASK, 1)
        await asking.close()
    assert (caught.value.cause, caught.value.maybe_billed) == ("connection", False)


async def test_a_cancelled_call_ends_at_once():
    with Loopback(faults=["hang"]) as server:
        model = LiteLLM("openai/small", base_url=server.base_url)
        call = asyncio.ensure_future(model(ASK, 1))
        while not server.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 2)
        assert (await model(ASK, 1)).replies
        await model.close()


# -- through Anthropic's shape ---------------------------------------------------------------------


async def test_claude_is_asked_in_its_own_shape():
    with Messages(lambda prompt, draw: "four") as server:
        said = await once(server)
        assert said == Completion((Reply("four", "stop"),), said.prompt_tokens, completion_tokens=1)
        assert server.headers[0]["x-api-key"] == KEY
        assert (server.bodies[0]["max_tokens"], "n" in server.bodies[0]) == (64, False)


async def test_the_tokens_of_the_cache_are_among_the_prompts():
    raw = b"""{"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "max_tokens",
        "content": [{"type": "text", "text": "four"}], "stop_sequence": null, "usage": {"input_tokens": 5,
        "output_tokens": 2, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3}}"""
    with Messages(faults=[messages.Raw(raw)]) as server:
        said = await once(server)
    assert said == Completion((Reply("four", "length"),), 15, 2, cached_tokens=7, written_tokens=3)


@pytest.mark.parametrize(
    ("fault", "cause", "billed"),
    [
        ("reset", "reset", True),
        ("drop", "reset", True),
        ("truncate", "truncated body", True),
        ("no usage", "wrong shape", True),
        (messages.Status(429), "429", False),
        (messages.Status(500), "500", False),
        (messages.Status(529), "500", False),
    ],
)
async def test_claudes_failures_that_pass_have_the_same_causes(fault, cause, billed):
    with Messages(faults=itertools.repeat(fault)) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == (cause, billed)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (messages.Status(401, f"no {KEY}"), Unauthorized, "ANTHROPIC_API_KEY"),
        (messages.Status(404, "no such model"), Unauthorized, "'anthropic/claude'"),
        (messages.Status(400, "what is that?"), ModelError, "answered 400: what is that?"),
    ],
)
async def test_claudes_refusals_say_what_to_check(fault, kind, words):
    with Messages(faults=itertools.repeat(fault)) as server:
        assert words in str(await fails(server, kind))


@pytest.mark.parametrize(
    ("server", "wait"),
    [
        (Loopback(faults=[Status(429, headers={"retry-after-ms": "1500"})]), 1.5),
        (Loopback(faults=[Status(503, headers={"Retry-After": "7"})]), 7.0),
        (Messages(faults=[messages.Status(429, headers={"Retry-After": "3"})]), 3.0),
    ],
)
async def test_the_wish_of_the_server_is_passed_on(server, wait):
    """litellm leaves it in another place for each of its providers."""
    with server:
        assert (await fails(server)).retry_after == wait


# -- names, keys and prices ------------------------------------------------------------------------


async def test_without_a_key_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(Unauthorized, match="set ANTHROPIC_API_KEY"):
        await LiteLLM("anthropic/claude-sonnet-4-5", base_url="https://gateway.example")(ASK, 1)


async def test_without_a_key_of_ones_own_name_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("TEAM_KEY", raising=False)
    with pytest.raises(Unauthorized, match="set TEAM_KEY"):
        await LiteLLM("openai/gpt-4.1", key_env="TEAM_KEY")(ASK, 1)


async def test_the_key_may_have_a_name_of_ones_own_or_be_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("TEAM_KEY_FILE", str(tmp_path / "key"))
    with Loopback() as server:
        model = LiteLLM("openai/small", base_url=server.base_url, key_env="TEAM_KEY")
        await model(ASK, 1)
        await model.close()
        assert server.headers[0]["Authorization"] == "Bearer from-a-file"


@pytest.mark.parametrize(
    ("model", "meant"), [("nonsense", "provider/model"), ("cluade-sonnet-4-5", "claude-sonnet-4-5")]
)
async def test_a_provider_that_litellm_does_not_know_says_what_was_expected(model, meant):
    asking = LiteLLM(model)
    with pytest.raises(Unauthorized, match=meant):
        await asking(ASK, 1)
    await asking.close()


def test_a_model_shows_its_name_and_its_server_and_no_key():
    model = LiteLLM("gemini/gemini-2.5-pro", max_tokens=9, seed=7)
    assert (model.name, model.endpoint) == ("litellm:gemini/gemini-2.5-pro", "gemini")
    assert (model.defaults["max_tokens"], model.defaults["seed"]) == (9, 7)
    assert repr(model) == "LiteLLM('gemini/gemini-2.5-pro', at gemini)"
    assert LiteLLM("openai/x", base_url="http://127.0.0.1:1/v1?api_key=hidden").endpoint == "http://127.0.0.1:1/v1"


def test_a_user_in_the_address_is_not_dropped_in_silence():
    with pytest.raises(ValueError, match="Compatible") as caught:
        LiteLLM("openai/small", base_url="http://me:hidden@127.0.0.1:1/v1")
    assert "hidden" not in str(caught.value)


def test_the_tables_say_the_price_and_what_the_model_can_do():
    model = LiteLLM("anthropic/claude-opus-4-7")
    assert model.price == tables.price("anthropic", "claude-opus-4-7") is not None
    assert not model.capabilities.temperature
    assert LiteLLM("foo/bar").capabilities == Capabilities(n=False, logprobs=False, schema=False)
    assert LiteLLM("foo/bar", can=Capabilities()).capabilities == Capabilities()


def test_the_price_at_another_address_is_not_known():
    assert LiteLLM("openai/gpt-4o", base_url="http://127.0.0.1:1/v1").price is None
    assert LiteLLM("openai/gpt-4o", base_url="http://127.0.0.1:1/v1", price=Price(1, 2)).price == Price(1, 2)


# -- event loops, logs, processes ------------------------------------------------------------------


def test_one_model_after_another_event_loop():
    with Loopback() as server:
        model = LiteLLM("openai/small", base_url=server.base_url)
        for _ in range(3):
            assert len(asyncio.run(model(ASK, 1)).replies) == 1


async def test_closing_one_model_does_not_end_the_calls_of_another():
    """litellm shares its clients among all that use it."""
    with Loopback(latency=0.2) as server:
        one, other = (LiteLLM("openai/small", base_url=server.base_url) for _ in range(2))
        await one(ASK, 1)
        call = asyncio.ensure_future(other(ASK, 1))
        await asyncio.sleep(0.05)
        await one.close()
        assert len((await call).replies) == 1
        await other.close()


async def test_a_key_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    for server in (Loopback(faults=[Status(401, f"no {KEY}")]), Messages(faults=[messages.Status(401, f"no {KEY}")])):
        with server:
            await fails(server, Unauthorized)
            await once(server)
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("LiteLLM")]


SCRIPT = """
import logging, socket, sys
import thoughtgraph as tg
from thoughtgraph.models import LiteLLM

dialled = set()

def noting(host, *rest, look_up=socket.getaddrinfo, **more):
    dialled.add(host)
    return look_up(host, *rest, **more)

socket.getaddrinfo = noting
{prelude}
model = LiteLLM("{model}", base_url=sys.argv[1], price=tg.Price(1, 2))
for _ in range(3):
    assert tg.solve("two and two?", model=model, budget=tg.Budget(calls=2)).answer
print(*sorted(map(str, dialled - {{None}})))
"""


WITH_SCHEMA = """
import asyncio
from thoughtgraph.model import Request, Schema
from thoughtgraph.prompt import Message

asked = Request((Message("user", "two and two?"),), schema=Schema("sum", {"type": "object", "properties": {}}))
asyncio.run(LiteLLM("anthropic/claude-sonnet-4-5", base_url=sys.argv[1])(asked, 1))
"""


@pytest.mark.parametrize(
    ("model", "prelude"),
    [
        ("anthropic/claude", WITH_SCHEMA),
        pytest.param("openai/small", "", marks=pytest.mark.slow),
        pytest.param("openai/small", "logging.basicConfig(level=logging.WARNING)", marks=pytest.mark.slow),
    ],
)
def test_a_script_dials_nothing_but_the_server_and_ends_without_a_word_of_litellms(model, prelude):
    """litellm looks for newer prices when it is imported, and for newer headers when Claude is given a schema."""
    served = (Loopback if "openai" in model else Messages)(lambda prompt, draw: "So it is.\nAnswer: 4")
    with served as server:
        code = SCRIPT.format(model=model, prelude=prelude)
        command = [sys.executable, "-W", "error", "-c", code, server.base_url.replace("127.0.0.1", "localhost")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ)
    assert (ended.returncode, ended.stdout) == (0, "localhost\n"), ended.stderr
    assert all(line.startswith("thoughtgraph") for line in ended.stderr.splitlines()), ended.stderr


def test_naming_a_model_does_not_load_litellm():
    """It takes seconds to import: it waits for the first call."""
    code = (
        "import sys; from thoughtgraph.models import LiteLLM;"
        "assert LiteLLM('openai/gpt-4o').price; assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


class TestLiteLLM(ModelContract):
    """Through OpenAI's shape."""

    secret = KEY

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with Loopback(latency=0.005) as self.server:
            yield

    def make(self) -> LiteLLM:
        """A model of the loopback server."""
        return LiteLLM("openai/small", base_url=self.server.base_url)


class TestClaudeByLiteLLM(ModelContract):
    """Through Anthropic's, which has no n."""

    secret = KEY

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with Messages(latency=0.005) as self.server:
            yield

    def make(self) -> LiteLLM:
        """A model of the loopback server."""
        return LiteLLM("anthropic/claude", base_url=self.server.base_url)
