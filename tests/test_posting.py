"""`Post`: one request of JSON to a server on this machine, and what becomes of all that can go wrong with it."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from listener import Listener, Says

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable
from thoughtgraph.posting import Post, retry_after
from thoughtgraph.retry import Retry

KEY = "secret-key-1"


def echo(path: str, body: Any) -> Any:
    return {"path": path, "body": body}


def post(url: str, **how: Any) -> Post:
    return Post(Endpoint("m", url, "POST_KEY"), **{"retry": Retry(attempts=3), **how})


def first(*faults: Says):
    """These answers, and then an echo."""
    rest = iter(faults)
    return lambda path, body: next(rest, None) or echo(path, body)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POST_KEY", KEY)


async def test_json_goes_out_and_comes_back_with_the_key():
    with Listener(echo) as server:
        assert await post(server.base_url)("/embed", {"a": ["é"]}) == {"path": "/v1/embed", "body": {"a": ["é"]}}
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_what_the_base_url_asks_for_stays_behind_the_path():
    with Listener(echo) as server:
        assert (await post(f"{server.base_url}/?api-version=7")("/embed", {}))["path"] == "/v1/embed?api-version=7"


async def test_a_user_in_the_address_is_sent_and_never_shown():
    with Listener(lambda *_: Says(400, b"no, Basic bWU6cGFzc3dvcmQ= of me:password")) as server:
        url = server.base_url.replace("//", "//me:password@")
        with pytest.raises(ModelError, match="answered 400") as caught:
            await post(url)("/embed", {})
    assert server.headers[0]["Authorization"] == "Basic bWU6cGFzc3dvcmQ="
    assert not [secret for secret in ("password", "bWU6") if secret in str(caught.value) + repr(post(url))]


async def test_the_key_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("POST_KEY")
    monkeypatch.setenv("POST_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "key").write_text("from-a-file\n")
    with Listener(echo) as server:
        await post(server.base_url)("/embed", {})
    assert server.headers[0]["Authorization"] == "Bearer from-a-file"


@pytest.mark.parametrize(
    "fault", [Says(503), Says(429, headers={"Retry-After": "0"}), Says(408), Says(cut=True), Says(body=b"{oh")]
)
async def test_what_may_pass_is_tried_again(fault: Says):
    with Listener(first(fault, fault)) as server:
        assert (await post(server.base_url)("/embed", {}))["body"] == {}
        assert len(server.seen) == 3


async def test_after_its_last_attempt_the_error_is_said():
    with Listener(lambda *_: Says(503, b"busy")) as server, pytest.raises(Unavailable, match="answered 503: busy"):
        await post(server.base_url)("/embed", {})
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, Unauthorized, r"check the key in POST_KEY \(or POST_KEY_FILE\)"),
        (402, Unauthorized, "what it may use"),
        (404, Unauthorized, "check the model's name and base_url. Serve it"),
        (400, ModelError, "answered 400"),
        (413, ModelError, "answered 413"),
        (307, ModelError, "keys are not sent on"),
    ],
)
async def test_what_will_not_pass_is_said_once_without_the_key(status: int, error: type[Exception], says: str):
    answer = Says(status, f"you said {KEY}".encode(), {"Location": "http://elsewhere.example"})
    with Listener(lambda *_: answer) as server, pytest.raises(error, match=says) as caught:
        await post(server.base_url, hint="Serve it")("/embed", {})
    assert len(server.seen) == 1
    assert KEY not in str(caught.value)


async def test_a_reply_that_says_the_key_again_is_returned_without_it():
    with Listener(lambda *_: {"you": f"Bearer {KEY}"}) as server:
        assert await post(server.base_url)("/embed", {}) == {"you": "Bearer ***"}


async def test_a_reply_without_an_end_is_not_read_to_it():
    with Listener(lambda *_: Says(body=b"[" + b"0," * 5000 + b"0]")) as server:
        with pytest.raises(ModelError, match="more than 5,000 bytes"):
            await post(server.base_url, most=5000)("/embed", {})
        assert len(server.seen) == 1


async def test_a_server_that_says_nothing_is_given_up():
    with (
        Listener(lambda *_: Says(late=5)) as server,
        pytest.raises(Unavailable, match=r"no reply within 0\.05 s") as caught,
    ):
        await post(server.base_url, timeout=0.05, retry=Retry(attempts=1))("/embed", {})
    assert caught.value.maybe_billed


async def test_a_server_that_is_not_there_is_said():
    with pytest.raises(Unavailable, match="start the server there"):
        await post("http://127.0.0.1:9/v1", retry=Retry(attempts=1))("/embed", {})


async def test_no_key_means_nothing_is_sent_to_a_server_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("POST_KEY")
    with pytest.raises(Unauthorized, match="set POST_KEY"):
        await post("https://models.example.com/v1")("/embed", {})


async def test_a_proxy_is_gone_through_and_its_password_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://me:hidden-word@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(Unavailable, match=r"through the proxy http://127\.0\.0\.1:9: correct") as caught:
        await post("http://models.example.com/v1", retry=Retry(attempts=1))("/embed", {})
    assert "hidden-word" not in str(caught.value)


async def test_connections_are_kept_within_with_and_shared():
    with Listener(echo) as server:
        ask = post(server.base_url)
        async with ask, ask:
            for _ in range(3):
                await ask("/embed", {})
        assert len(server.peers) == 1
        await ask("/embed", {})
        assert len(server.peers) == 2


def test_event_loops_come_and_go():
    with Listener(echo) as server:
        ask = post(server.base_url)
        assert [asyncio.run(ask("/embed", {"n": n}))["body"]["n"] for n in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5), ({}, None),
     ({"retry-after": "soon"}, None), ({"retry-after": "nan"}, None), ({"retry-after": "-1"}, 0.0)],
)  # fmt: skip
def test_how_long_a_server_wants_to_be_left_alone(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


def test_a_wish_may_be_a_date():
    wait = retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert wait == pytest.approx(100, abs=3)
