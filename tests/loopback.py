"""A small OpenAI-compatible server on this machine, for tests: its replies are a function, its faults a list.

with Loopback(lambda prompt, draw: "24", faults=[Status(503), "reset"]) as server:
    model = Compatible("small", server.base_url)
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

from aiohttp import web


@dataclass(frozen=True)
class Status:
    """Answer this status instead of a completion."""

    status: int
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    code: str = ""
    param: str | None = None


@dataclass(frozen=True)
class Raw:
    """Answer 200 with exactly these bytes."""

    body: bytes


Kind: TypeAlias = Literal[
    "reset",  # cut the connection before the reply
    "drop",  # cut the connection in the middle of the reply's body
    "hang",  # answer nothing until the server stops
    "truncate",  # a whole reply whose JSON is cut off
    "empty",  # no choices
    "one",  # one choice, whatever n is
    "twice",  # each choice twice
    "no usage",  # no usage
    "null",  # content is null
    "refuse",  # a refusal in its own field
]
Fault: TypeAlias = Status | Raw | Kind | None


def echo(prompt: str, draw: int) -> str:
    """The default reply."""
    return f"{prompt} #{draw}"


class Loopback:
    """The server, in a thread of its own, on a free port of 127.0.0.1, while the `with` lasts.

    `reply(prompt, draw)` gets the messages' text and how often this prompt was drawn before. `faults` are used up
    one a request (None is none), and then all is well; `itertools.repeat` makes one last. `bodies` and `headers` are
    what the requests held, in order; `peak` is the most requests that were in flight at once. `refuses` are settings
    that it answers 400 to, in OpenAI's words, and `usage` is what the usage of every reply holds besides its tokens.
    `billed` are the tokens of every chat completion that was made, whoever is left to read it.
    It speaks chat completions and, one draw a request, the Responses format.
    """

    def __init__(
        self,
        reply: Callable[[str, int], str] = echo,
        faults: Iterable[Fault] = (),
        latency: float = 0.0,
        *,
        refuses: Container[str] = (),
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        self.reply = reply
        self.latency = latency
        self.refuses = refuses
        self.usage = usage or {}
        self.billed = list[tuple[int, int]]()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.base_url = ""
        self.peak = 0
        self.connections = 0
        self._faults = iter(faults)
        self._drawn: Counter[str] = Counter()
        self._in_flight = 0
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
        """How many requests came."""
        return len(self.bodies)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/responses", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.headers.append(request.headers.copy())
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        try:
            await asyncio.sleep(self.latency)
            return await self._respond(request, body, next(self._faults, None))
        finally:
            self._in_flight -= 1

    async def _respond(self, request: web.Request, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        if fault is None and (refused := [name for name in body if name in self.refuses]):
            fault = unsupported(refused[0])
        match fault:
            case Status(status, message, headers, code, param):
                error = {"error": {"message": message, "code": code, "param": param}}
                return web.json_response(error, status=status, headers=headers)
            case Raw(raw):
                return web.Response(body=raw, content_type="application/json")
            case "hang":
                await self._stop.wait()
            case "reset":
                return _cut(request, web.Response())
            case _:
                pass
        completion = self._response if request.path.endswith("/responses") else self._completion
        raw = json.dumps(completion(body, fault)).encode()
        if fault == "drop":
            return await _drop(request, raw)
        return web.Response(body=raw[:-40] if fault == "truncate" else raw, content_type="application/json")

    def _completion(self, body: dict[str, Any], fault: Fault) -> dict[str, Any]:
        prompt = "\n\n".join(_words(message["content"]) for message in body["messages"])
        n = 1 if fault == "one" else body.get("n", 1)
        texts = [self._draw(prompt) for _ in range(0 if fault == "empty" else n)]
        if fault == "twice":
            texts = [text for text in texts for _ in (0, 1)]
        choices = [_choice(index, text, fault, body.get("logprobs", False)) for index, text in enumerate(texts)]
        usage = {"prompt_tokens": tokens(prompt), "completion_tokens": sum(map(tokens, texts)), **self.usage}
        self.billed.append((usage["prompt_tokens"], usage["completion_tokens"]))
        completion = {"object": "chat.completion", "model": body["model"], "choices": choices}
        return completion if fault == "no usage" else {**completion, "usage": usage}

    def _response(self, body: dict[str, Any], fault: Fault) -> dict[str, Any]:
        asked = [body.get("instructions", ""), *(_words(message["content"]) for message in body["input"])]
        prompt = "\n\n".join(filter(None, asked))
        text = self._draw(prompt)
        part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
        if "message.output_text.logprobs" in body.get("include", ()):
            part["logprobs"] = likely(text)
        if fault == "refuse":
            part = {"type": "refusal", "refusal": text}
        thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
        output = [thought, {"type": "message", "role": "assistant", "content": [part]}]
        usage = {"input_tokens": tokens(prompt), "output_tokens": tokens(text), **self.usage}
        return {"object": "response", "status": "completed", "output": output, "usage": usage}

    def _draw(self, prompt: str) -> str:
        self._drawn[prompt] += 1
        return self.reply(prompt, self._drawn[prompt] - 1)


def tokens(text: str) -> int:
    """A token is four characters."""
    return (len(text) + 3) // 4


def likely(text: str) -> list[dict[str, Any]]:
    """Each word is a token, with the log-probability of a coin's side."""
    return [{"token": word, "logprob": -0.693, "bytes": None, "top_logprobs": []} for word in text.split()]


def unsupported(name: str) -> Status:
    """What OpenAI answers to a setting that a model does not take."""
    use = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    said = f"Unsupported parameter: '{name}' is not supported with this model.{use}"
    return Status(400, said, code="unsupported_parameter", param=name)


def _words(content: Any) -> str:
    """The text of a message, which may stand in parts between pictures."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _choice(index: int, text: str, fault: Fault, logprobs: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "reasoning": "thinking aloud"}
    if fault == "null":
        message["content"] = None
    if fault == "refuse":
        message = {"role": "assistant", "content": None, "refusal": text}
    said = {"content": likely(text)} if logprobs else None
    return {"index": index, "message": message, "finish_reason": "stop", "logprobs": said}


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
