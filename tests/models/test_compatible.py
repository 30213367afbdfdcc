"""`Compatible` against a server on this machine: what is sent, what comes back, and what each failure means."""

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
from email.utils import formatdate
from pathlib import Path

import pytest
from loopback import Loopback, Raw, Status

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Capabilities, Completion, Model, Price, Reply, Request
from thoughtgraph.models import Compatible
from thoughtgraph.models.chat import answered
from thoughtgraph.models.status import refused, retry_after
from thoughtgraph.prompt import Message
from thoughtgraph.testing import ModelContract

KEY = "sk-test-0123456789abcdef"
ASK = Request((Message("user", "two and two?"),), max_tokens=64, timeout=5)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


async def once(server: Loopback, request: Request = ASK, n: int = 1) -> Completion:
    model = Compatible("small", server.base_url)
    try:
        return await model(request, n)
    finally:
        await model.close()


async def fails(server: Loopback, request: Request = ASK) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await once(server, request)
    return caught.value


async def refuses(server: Loopback, kind: type[ModelError]) -> ModelError:
    """An error that is not worth another attempt."""
    with pytest.raises(kind) as caught:
        await once(server)
    assert not isinstance(caught.value, Unavailable)
    return caught.value


async def test_a_reply_has_its_text_ending_and_tokens():
    with Loopback(lambda prompt, draw: "four") as server:
        assert await once(server) == Completion((Reply("four", "stop"),), prompt_tokens=3, completion_tokens=1)


async def test_n_draws_are_one_request():
    with Loopback() as server:
        got = await once(server, n=3)
        assert [reply.text for reply in got.replies] == ["two and two? #0", "two and two? #1", "two and two? #2"]
        assert server.requests == 1


async def test_only_what_is_set_is_sent():
    """Servers and newer models answer 400 to settings that they do not know."""
    with Loopback() as server:
        await once(server)
        messages = [{"role": "user", "content": "two and two?"}]
        assert server.bodies == [{"model": "small", "messages": messages, "max_tokens": 64}]


async def test_what_is_set_is_sent():
    with Loopback() as server:
        await once(server, Request(ASK.messages, 9, temperature=0.0, stop=("\n",)), n=2)
        assert server.bodies[0] | {"n": 2, "temperature": 0.0, "stop": ["\n"], "max_tokens": 9} == server.bodies[0]


async def test_a_server_that_ignores_n_gives_fewer_draws():
    with Loopback(faults=["one"]) as server:
        assert len((await once(server, n=3)).replies) == 1


async def test_more_choices_than_asked_for_are_left_out():
    with Loopback(faults=["twice"]) as server:
        assert [reply.text for reply in (await once(server, n=1)).replies] == ["two and two? #0"]


async def test_absent_usage_is_unknown_and_not_zero():
    with Loopback(faults=["no usage"]) as server:
        got = await once(server)
        assert (got.prompt_tokens, got.completion_tokens) == (None, None)


async def test_no_content_is_an_empty_text():
    with Loopback(faults=["null"]) as server:
        assert (await once(server)).replies == (Reply("", "stop"),)


async def test_a_refusal_says_so():
    with Loopback(lambda prompt, draw: "I cannot", faults=["refuse"]) as server:
        assert (await once(server)).replies == (Reply("I cannot", "refusal"),)


async def test_a_reset_is_maybe_billed():
    with Loopback(faults=["reset"]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("reset", True)


async def test_a_connection_that_breaks_within_the_reply_is_maybe_billed():
    with Loopback(faults=["drop"]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("reset", True)


async def test_a_time_out_is_maybe_billed_and_punctual():
    with Loopback(faults=["hang"]) as server:
        began = time.monotonic()
        error = await fails(server, Request(ASK.messages, timeout=0.2))
        assert (error.cause, error.maybe_billed) == ("timeout", True)
        assert time.monotonic() - began < 2


async def test_a_cut_off_body_is_maybe_billed():
    with Loopback(faults=["truncate"]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("truncated body", True)


async def test_no_choices_are_maybe_billed():
    with Loopback(faults=["empty"]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("empty choices", True)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"error": {"message": "overloaded"}}',
        b'{"choices": null}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": ["a"]}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": -5}}',
        b"[]",
    ],
)
async def test_another_shape_is_an_error_that_shows_what_came(raw):
    """Negative tokens too: they would pay the budget back."""
    with Loopback(faults=[Raw(raw)]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("wrong shape", True)
        assert raw.decode() in str(error)


@pytest.mark.parametrize("raw", [b"", b"<html>busy</html>", b"\xff\xfe{}", b'{"choices": ['])
async def test_no_json_is_a_cut_off_body(raw):
    with Loopback(faults=[Raw(raw)]) as server:
        assert (await fails(server)).cause == "truncated body"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_statuses_that_pass_are_unavailable_and_not_billed(status):
    with Loopback(faults=[Status(status)]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed, error.retry_after) == (str(status), False, None)
        assert server.requests == 1


async def test_a_gateway_that_gave_up_waiting_is_maybe_billed():
    with Loopback(faults=[Status(504)]) as server:
        assert (await fails(server)).maybe_billed


async def test_the_wish_of_the_server_is_passed_on():
    with Loopback(faults=[Status(429, headers={"Retry-After": "7"})]) as server:
        assert (await fails(server)).retry_after == 7


def test_milliseconds_win_over_seconds():
    assert retry_after({"retry-after-ms": "250", "retry-after": "1"}) == 0.25


def test_a_date_is_a_wish_too():
    assert retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)}) == pytest.approx(30, abs=2)


@pytest.mark.parametrize(("text", "seconds"), [("-3", 0), ("soon", None), ("nan", None), ("inf", None), ("", None)])
def test_an_odd_wish_never_breaks_a_run(text, seconds):
    assert retry_after({"retry-after": text}) == seconds


async def test_an_unknown_key_names_the_variable_to_set():
    with Loopback(faults=[Status(401)]) as server:
        assert "OPENAI_API_KEY" in str(await refuses(server, Unauthorized))


async def test_an_unknown_model_names_the_model_and_the_server():
    with Loopback(faults=[Status(404, "no such model")]) as server:
        text = str(await refuses(server, Unauthorized))
        assert "'small'" in text
        assert server.base_url in text


async def test_spent_credit_is_not_tried_again():
    """It comes as 429, like a rate limit, but no wait will help."""
    with Loopback(faults=[Status(429, "You exceeded your current quota", code="insufficient_quota")]) as server:
        assert "credit" in str(await refuses(server, Unauthorized))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 250000 tokens > 200000 maximum",
    ],
)
async def test_too_long_a_prompt_has_its_own_cause(message):
    with Loopback(faults=[Status(400, message)]) as server:
        assert (await refuses(server, ModelError)).cause == "context too long"


async def test_any_other_refusal_is_rejected_for_good():
    with Loopback(faults=[Status(400, "messages: at least one is required")]) as server:
        error = await refuses(server, ModelError)
        assert error.cause == "rejected"
        assert "at least one is required" in str(error)


async def test_a_setting_that_the_model_does_not_take_is_named():
    """So the engine can ask again without it, and say so."""
    with Loopback(refuses={"seed"}) as server:
        with pytest.raises(Unsupported) as caught:
            await once(server, replace(ASK, seed=7))
        assert caught.value.parameter == "seed"
        assert (await once(server)).replies


async def test_a_server_that_wants_the_newer_name_of_the_bound_gets_it_from_then_on():
    with Loopback(refuses={"max_tokens"}) as server:
        model = Compatible("small", server.base_url)
        with pytest.raises(Unavailable) as caught:
            await model(ASK, 1)
        assert (caught.value.cause, caught.value.retry_after, caught.value.maybe_billed) == ("max_tokens", 0, False)
        for _ in range(2):
            assert (await model(ASK, 1)).replies
        await model.close()
        assert ["max_completion_tokens" in body for body in server.bodies] == [False, True, True]


async def test_the_newer_name_of_the_bound_can_be_said():
    with Loopback(refuses={"max_tokens"}) as server:
        model = Compatible("small", server.base_url, tokens_field="max_completion_tokens")
        await model(ASK, 1)
        await model.close()
        assert server.bodies[0]["max_completion_tokens"] == 64


async def test_a_filtered_prompt_is_a_refused_draw():
    with Loopback(faults=[Status(400, "filtered", code="content_filter")]) as server:
        assert (await once(server)).replies == (Reply("filtered", "content_filter"),)


async def test_logprobs_come_where_they_are_asked_for():
    with Loopback(lambda prompt, draw: "four") as server:
        assert (await once(server, replace(ASK, logprobs=True))).replies[0].logprobs == (("four", -0.693),)
        assert (await once(server)).replies[0].logprobs == ()


async def test_cached_and_reasoning_tokens_are_told():
    more = {"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1}}
    with Loopback(lambda prompt, draw: "four", usage=more) as server:
        got = await once(server)
        assert (got.cached_tokens, got.reasoning_tokens) == (2, 1)


async def test_a_reply_without_an_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("thoughtgraph.models.compatible._MOST", 10_000)
    with Loopback(lambda prompt, draw: "x" * 20_000, faults=[]) as server:
        error = await fails(server)
        assert (error.cause, error.maybe_billed) == ("reply too big", True)
        assert "10,000 bytes" in str(error)


async def test_after_a_reply_that_was_too_big_the_model_can_be_used(monkeypatch):
    monkeypatch.setattr("thoughtgraph.models.compatible._MOST", 1_000_000)
    with Loopback(lambda prompt, draw: "x" * (9_000_000 if draw == 0 else 9)) as server:
        model = Compatible("small", server.base_url)
        with pytest.raises(Unavailable):
            await model(ASK, 1)
        assert (await model(ASK, 1)).replies[0].text == "x" * 9
        await model.close()


async def test_a_redirect_is_not_followed():
    """It would carry the prompt, and perhaps the key, to a place that nobody named."""
    with Loopback() as other, Loopback(faults=[Status(307, headers={"Location": other.base_url})]) as server:
        assert (await refuses(server, ModelError)).cause == "rejected"
        assert other.requests == 0


async def test_no_server_names_the_url_and_what_to_do():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        model = Compatible("small", f"http://127.0.0.1:{held.getsockname()[1]}/v1")
        with pytest.raises(Unavailable) as caught:
            await model(ASK, 1)
        await model.close()
    assert (caught.value.cause, caught.value.maybe_billed) == ("connection", False)
    assert f"{model.base_url} " in str(caught.value)
    assert "start the server" in str(caught.value)


async def unreached(base_url: str) -> Unavailable:
    model = Compatible("small", base_url)
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
    text = str(await unreached("http://no-such-host.invalid/v1"))
    assert "no address is known for no-such-host.invalid" in text
    assert "base_url" in text
    assert "HTTPS_PROXY" in text


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_answer_is_named_without_its_password(monkeypatch, scheme):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://me:hush-hush@127.0.0.1:{port}")
        error = await unreached(f"{scheme}://models.invalid/v1")
    assert f"through the proxy http://127.0.0.1:{port} " in str(error)
    assert "hush-hush" not in "".join(traceback.format_exception(error))


@pytest.mark.usefixtures("no_proxy")
def test_a_proxy_without_a_scheme_is_shown_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "me:hush-hush@proxy:3128")
    assert Endpoint("small", "https://h/v1").shown_proxy == "http://proxy:3128"
    assert Endpoint("small", "http://h/v1").shown_proxy is None


@pytest.mark.usefixtures("no_proxy")
async def test_a_proxy_that_wants_a_password_shows_none(monkeypatch):
    """aiohttp's own error holds the proxy's URL."""

    async def no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with await asyncio.start_server(no, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush-hush@127.0.0.1:{port}")
        error = await unreached("https://models.invalid/v1")
    assert "407" in str(error)
    assert "hush-hush" not in "".join(traceback.format_exception(error))


@pytest.mark.usefixtures("no_proxy")
async def test_this_machine_is_reached_without_the_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with Loopback() as server:
        assert (await once(server)).replies


async def test_a_key_in_the_query_is_sent_and_never_shown():
    with Loopback(faults=[Status(400, "bad key hush-hush-hush")]) as server:
        model = Compatible("small", f"{server.base_url}?key=hush-hush-hush")
        with pytest.raises(ModelError) as caught:
            await model(ASK, 1)
        await model.close()
    for shown in (str(caught.value), repr(model), model.endpoint):
        assert "hush" not in shown


async def test_no_log_holds_the_key(monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG), Loopback(faults=[None, Status(500, KEY), "reset"]) as server:
        model = Compatible("small", server.base_url)
        await model(ASK, 1)
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await model(ASK, 1)
            assert KEY not in "".join(traceback.format_exception(caught.value))
        await model.close()
    assert KEY not in caplog.text


async def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Loopback(faults=[None, Status(401, f"Incorrect API key provided: {KEY}")]) as server:
        model = Compatible("small", server.base_url)
        await model(ASK, 1)
        monkeypatch.delenv("OPENAI_API_KEY")  # what was sent is a secret still
        with pytest.raises(Unauthorized) as caught:
            await model(ASK, 1)
        await model.close()
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        for shown in (str(caught.value), repr(caught.value), repr(model), model.name, str(model)):
            assert KEY not in shown


async def test_the_key_can_be_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    with Loopback() as server:
        await once(server)
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_the_key_can_be_in_a_variable_of_another_name(monkeypatch):
    monkeypatch.setenv("OTHER_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "not this one")
    with Loopback() as server:
        model = Compatible("small", server.base_url, key_env="OTHER_KEY")
        await model(ASK, 1)
        await model.close()
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_a_key_file_that_is_gone_is_told_by_its_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "gone"))
    with Loopback() as server:
        assert "OPENAI_API_KEY_FILE" in str(await refuses(server, Unauthorized))
        assert server.requests == 0


async def test_this_machine_needs_no_key():
    with Loopback() as server:
        await once(server)
        assert "Authorization" not in server.headers[0]


async def test_without_a_key_nothing_leaves_for_an_https_server():
    model = Compatible("small", "https://models.invalid/v1")
    with pytest.raises(Unauthorized, match="set OPENAI_API_KEY"):
        await model(ASK, 1)


async def test_user_and_password_of_the_url_are_sent_and_never_shown():
    with Loopback(faults=[Status(403, "no user pass%word")]) as server:
        model = Compatible("small", server.base_url.replace("//", "//me:pass%25word@"))
        with pytest.raises(Unauthorized) as caught:
            await model(ASK, 1)
        await model.close()
        assert server.headers[0]["Authorization"].startswith("Basic ")
        for shown in (str(caught.value), repr(model), model.name):
            assert "pass" not in shown


async def test_long_error_pages_are_cut_and_made_printable():
    """A terminal obeys escape sequences, wherever they come from."""
    with Loopback(faults=[Status(500, "\x1b[31m" + "x" * 9000)]) as server:
        text = str(await fails(server))
        assert "\x1b" not in text
        assert len(text) < 500


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a/v1", "", "http://"])
def test_a_base_url_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="expected something like http://"):
        Compatible("small", url)


@pytest.mark.parametrize(
    "url", ["http://h/v1", "http://h/v1/", "http://h/v1/chat/completions", "http://me:secret@h/v1?api-version=3"]
)
def test_the_url_of_the_chat_is_found(url):
    assert Endpoint("small", url).chat.partition("?")[0] == "http://h/v1/chat/completions"
    assert ("api-version=3" in Endpoint("small", url).chat) == ("?" in url)


def test_one_model_after_another_event_loop():
    """Each `asyncio.run` ends its loop; the connections of a loop that is gone are of no use, and close with it."""
    with Loopback() as server:
        model = Compatible("small", server.base_url)
        got = [asyncio.run(model(ASK, 1)).replies[0].text for _ in range(3)]
        assert got == ["two and two? #0", "two and two? #1", "two and two? #2"]


async def test_two_event_loops_at_once():
    with Loopback(latency=0.05) as server:
        model = Compatible("small", server.base_url)
        await asyncio.gather(model(ASK, 1), asyncio.to_thread(lambda: asyncio.run(model(ASK, 1))))
        await model.close()
        assert server.requests == 2


async def test_a_closed_model_can_be_used_again():
    with Loopback() as server:
        model = Compatible("small", server.base_url)
        await model(ASK, 1)
        await model.close()
        await model(ASK, 1)
        await model.close()
        await model.close()
        assert server.requests == 2


async def test_hundreds_of_requests_are_in_flight_at_once():
    with Loopback(latency=0.5) as server:
        model = Compatible("small", server.base_url)
        await asyncio.gather(*(model(ASK, 1) for _ in range(300)))
        await model.close()
        assert server.peak > 200


async def test_one_attempt_is_one_request():
    """The engine retries; a second loop below it would multiply."""
    with Loopback(faults=itertools.repeat(Status(503))) as server:
        await fails(server)
        assert server.requests == 1


async def test_a_cancelled_call_stops_at_once():
    with Loopback(faults=["hang"]) as server:
        model = Compatible("small", server.base_url)
        call = asyncio.ensure_future(model(ASK, 1))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await model.close()


async def test_every_text_can_be_sent():
    """Half of a surrogate pair comes from cutting other texts, and is no valid UTF-8."""
    with Loopback() as server:
        await once(server, Request((Message("user", "\ud83d é\0 24"),)))
        assert server.bodies[0]["messages"][0]["content"] == "? é\0 24"


async def test_a_reply_that_was_cut_within_a_character_is_kept():
    """Servers that count in UTF-16 cut emoji in two; asking again would give the same."""
    with Loopback(lambda prompt, draw: "nearly \ud83d") as server:
        assert (await once(server)).replies == (Reply("nearly ?", "stop"),)


def test_defaults_and_price_are_what_was_said():
    model = Compatible("small", "http://h/v1", price=Price(1, 2), max_tokens=7, timeout=3)
    assert (model.name, model.price) == ("openai:small", Price(1, 2))
    assert model.defaults == {"max_tokens": 7, "timeout": 3}
    assert Compatible("small", "http://h/v1", temperature=0.5).defaults["temperature"] == 0.5
    assert Compatible("small", "http://h/v1", seed=3).defaults["seed"] == 3


def test_what_it_can_do_is_assumed_or_said():
    assert Compatible("small", "http://h/v1").capabilities == Capabilities()
    can = Capabilities(n=False, source="said")
    assert Compatible("small", "http://h/v1", can=can).capabilities is can


def test_models_of_one_server_share_an_endpoint():
    assert (
        Compatible("a", "http://me:pass@h/v1?x=1").endpoint == Compatible("b", "http://h/v1").endpoint == "http://h/v1"
    )


def test_models_of_the_same_settings_are_equal():
    assert Compatible("small", "http://h/v1") == Compatible("small", "http://h/v1")
    assert Compatible("small", "http://h/v1") != Compatible("small", "http://other/v1")


def test_importing_the_room_loads_no_client():
    code = "import sys, thoughtgraph.models; print({'aiohttp', 'openai', 'pydantic'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")


@pytest.mark.parametrize("raw", [b"[[[", b'{"error": ["a"]}', b'{"detail": [1]}', b"null", b"3", b"[" * 100_000])
def test_any_error_body_is_survived(raw):
    error = refused(Endpoint("small", "http://h/v1"), 400, {}, raw)
    assert error.cause == "rejected"


def test_a_finish_that_is_missing_is_a_stop():
    got = answered(b'{"choices": [{"message": {"content": "a"}}]}', 1, Endpoint("small", "http://h/v1"))
    assert got.replies == (Reply("a", "stop"),)


class TestCompatible(ModelContract):
    """Against a server that answers at once."""

    secret = KEY

    @pytest.fixture(autouse=True)
    def serve(self, monkeypatch: pytest.MonkeyPatch, no_key: None) -> Iterator[None]:
        """A server for each test, and a key that must not show."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        with Loopback() as server:
            self.base_url = server.base_url
            yield

    def make(self) -> Model:
        """A model of that server."""
        return Compatible("small", self.base_url)
