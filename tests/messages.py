"""A small server of Anthropic's Messages API on this machine, for tests, with a prompt cache that works by its marks.

with Messages(lambda prompt, draw: "24", faults=[Status(529), "reset"]) as server:
    model = Anthropic("claude", base_url=server.base_url)
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

from aiohttp import web

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The API's words for its statuses; all others are an `api_error`."""

MARKS = 4
"""As many marks as a request may have."""


@dataclass(frozen=True)
class Status:
    """Answer this status, with an error in the API's shape."""

    status: int
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Raw:
    """Answer 200 with exactly these bytes."""

    body: bytes


Kind: TypeAlias = Literal[
    "reset",  # cut the connection before the reply
    "drop",  # cut the connection in the middle of the reply's body
    "hang",  # answer nothing until the server stops
    "drip",  # a reply that comes byte by byte and never ends
    "truncate",  # a whole reply whose JSON is cut off
    "empty",  # no content, and no reason for it
    "silent",  # no content, and the turn has ended
    "no usage",  # no usage
    "length",  # the tokens were used up
    "refuse",  # a refusal
    "think",  # a block of thinking before the text, which comes in two blocks
]
Fault: TypeAlias = Status | Raw | Kind | None


def echo(prompt: str, draw: int) -> str:
    """The default reply."""
    return f"{prompt} #{draw}"


class Messages:
    """The server, in a thread of its own, on a free port of 127.0.0.1, while the `with` lasts.

    `reply(prompt, draw)` gets the text of all blocks and how often this prompt was drawn before. `faults` are used up
    one a message, and then all is well. `refuses` are settings of the body ("temperature", "output_config") that the
    model does not take: it answers 400 to them, as the API does. `counts=False` has no endpoint that counts tokens.

    The cache is the API's: a block with `cache_control` is read where all up to its end was written before, and is
    written else. It can be read when the reply that wrote it began, which is after `latency` seconds, and holds no
    beginning of fewer than `least` tokens. `usages` are what the replies said, in order; `bodies` and `headers` are
    what the requests held, and `counted` the bodies whose tokens were asked for.
    """

    def __init__(
        self,
        reply: Callable[[str, int], str] = echo,
        faults: Iterable[Fault] = (),
        refuses: Iterable[str] = (),
        latency: float = 0.0,
        least: int = 0,
        *,
        counts: bool = True,
    ) -> None:
        self.reply, self.refuses, self.latency, self.least, self.counts = reply, set(refuses), latency, least, counts
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.counted: list[dict[str, Any]] = []
        self.usages: list[dict[str, int]] = []
        self.base_url = ""
        self._faults = iter(faults)
        self._drawn: Counter[str] = Counter()
        self._written: set[str] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the loopback server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def requests(self) -> int:
        """How many messages were asked for."""
        return len(self.bodies)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/messages", self._answer)
        if self.counts:
            app.router.add_post("/v1/messages/count_tokens", self._count)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _count(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.counted.append(body)
        if wrong := _wrong(body, needs=("model", "messages")):
            return _error(Status(400, wrong))
        return web.json_response({"input_tokens": sum(tokens(block) for _, block in blocks(body))})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.headers.append(request.headers.copy())
        match next(self._faults, None):
            case Status() as said:
                return _error(said)
            case Raw(raw):
                return web.Response(body=raw, content_type="application/json")
            case "hang":
                await self._stop.wait()
                return web.Response()
            case "drip":
                return await self._drip(request)
            case "reset":
                return _cut(request, web.Response())
            case kind:
                return await self._message(request, body, kind)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not self._stop.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    async def _message(self, request: web.Request, body: dict[str, Any], kind: str | None) -> web.StreamResponse:
        if wrong := self._unknown(body) or _wrong(body, needs=("model", "messages", "max_tokens")):
            return _error(Status(400, wrong))
        read, written, ends = self._looked_up(body)
        await asyncio.sleep(self.latency)
        self._written |= ends
        raw = json.dumps(self._whole(body, kind, read, written)).encode()
        if kind == "drop":
            return await _drop(request, raw)
        return web.Response(body=raw[:-40] if kind == "truncate" else raw, content_type="application/json")

    def _unknown(self, body: dict[str, Any]) -> str:
        said = {"output_config": "output_config: Extra inputs are not permitted"}
        refused = next((name for name in body if name in self.refuses), None)
        return said.get(refused, f"`{refused}` is deprecated for this model.") if refused else ""

    def _looked_up(self, body: dict[str, Any]) -> tuple[int, int, set[str]]:
        """The tokens that are read, those that are written, and the beginnings that this message writes."""
        read = upto = total = 0
        ends = set[str]()
        before = json.dumps([body.get(name) for name in ("tools", "output_config", "thinking")])
        for role, block in blocks(body):
            total += tokens(block)
            before += json.dumps([role, {name: said for name, said in block.items() if name != "cache_control"}])
            if "cache_control" in block and total >= self.least:
                upto = total
                read = total if before in self._written else read
                ends.add(before)
        return read, upto - read, ends

    def _whole(self, body: dict[str, Any], kind: str | None, read: int, written: int) -> dict[str, Any]:
        content, reason = self._content(body, kind)
        total = sum(tokens(block) for _, block in blocks(body))
        usage = {
            "input_tokens": total - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": sum(map(tokens, content)),
        }
        self.usages.append(usage)
        named = {"id": "msg_1", "model": body.get("model"), "type": "message", "role": "assistant"}
        message = {**named, "content": content, "stop_reason": reason}
        thought = {"output_tokens_details": {"thinking_tokens": tokens(content[0])}} if kind == "think" else {}
        return message if kind == "no usage" else {**message, "usage": {**usage, **thought}}

    def _content(self, body: dict[str, Any], kind: str | None) -> tuple[list[dict[str, Any]], str | None]:
        if kind in ("empty", "silent"):
            return [], "end_turn" if kind == "silent" else None
        prompt = "".join(block.get("text", "") for _, block in blocks(body))
        self._drawn[prompt] += 1
        text = self.reply(prompt, self._drawn[prompt] - 1)
        if kind == "think":
            thought = {"type": "thinking", "thinking": "thinking aloud", "signature": "x"}
            return [thought, *({"type": "text", "text": half} for half in (text[:2], text[2:]))], "end_turn"
        if tools := body.get("tools"):
            return [{"type": "tool_use", "id": "t", "name": tools[0]["name"], "input": json.loads(text)}], "tool_use"
        ended = next((stop for stop in body.get("stop_sequences", ()) if stop in text), None)
        block = {"type": "text", "text": text.split(ended)[0] if ended else text}
        return [block], {"length": "max_tokens", "refuse": "refusal"}.get(kind or "") or (
            "stop_sequence" if ended else "end_turn"
        )


def blocks(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The blocks of a request with their roles, in the order that the cache goes by."""
    yield from (("system", block) for block in body.get("system", ()))
    yield from ((message["role"], block) for message in body["messages"] for block in message["content"])


def tokens(block: dict[str, Any]) -> int:
    """A token is four characters, a picture a thousand tokens."""
    said = block.get("text") or block.get("thinking") or json.dumps(block.get("input", ""))
    return 1000 if block["type"] == "image" else (len(said) + 3) // 4


def marks(body: dict[str, Any]) -> list[int]:
    """Which blocks of a request are marked, by their places."""
    return [at for at, (_, block) in enumerate(blocks(body)) if "cache_control" in block]


def _wrong(body: dict[str, Any], needs: tuple[str, ...]) -> str:
    """What the API would say against a body; "" for nothing."""
    if missing := [name for name in needs if name not in body]:
        return f"{missing[0]}: Field required"
    if any(message["role"] not in ("user", "assistant") for message in body["messages"]):
        return "messages: Unexpected role"
    if any(block["type"] == "text" and not block["text"].strip() for _, block in blocks(body)):
        return "messages: text content blocks must contain non-whitespace text"
    if len(marks(body)) > MARKS:
        return f"A maximum of {MARKS} blocks with cache_control may be provided. Found {len(marks(body))}."
    if any(not stop.strip() for stop in body.get("stop_sequences", ())):
        return "stop_sequences: each stop sequence must contain non-whitespace"
    thinking = body.get("thinking", {})
    if "max_tokens" in body and not 0 <= thinking.get("budget_tokens", 0) < body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`"
    if thinking and "tool_choice" in body:
        return "Thinking may not be enabled when tool_choice forces tool use."
    return "`temperature` may only be set to 1 when thinking is enabled" if thinking and "temperature" in body else ""


def _error(said: Status) -> web.StreamResponse:
    error = {"type": KINDS.get(said.status, "api_error"), "message": said.message}
    return web.json_response(
        {"type": "error", "error": error, "request_id": "req_1"}, status=said.status, headers=said.headers
    )


async def _drop(request: web.Request, raw: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(raw))})
    await response.prepare(request)
    await response.write(raw[:20])
    await asyncio.sleep(0.02)  # let the client see the reply begin
    return _cut(request, response)


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return response
