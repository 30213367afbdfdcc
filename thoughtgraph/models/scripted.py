"""A model that is a local function or a list of texts: for tests, demonstrations and whatever runs in the process."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from thoughtgraph.errors import ModelError, TaskError, Unavailable, at_least
from thoughtgraph.model import Completion, Price, Reply, Request
from thoughtgraph.models.settings import defaults

Line: TypeAlias = str | Reply | Exception
"""What a script holds: a text, a reply with its own ending, or an error to raise."""


@dataclass(frozen=True)
class Scripted:
    """Replies by `reply(prompt, draw)`, or by playing the items of `reply` in order.

    `prompt` is the messages' text, and `draw` counts this prompt's draws from 0 over all calls, so a redraw can
    differ. An exception, raised or played, fails the whole attempt. Like a real model it keeps `max_tokens` (of four
    characters), `stop` and the time-out, and takes every other setting; a `Reply` keeps its logprobs unless it is cut.
    `seen` holds every request, one for each call. A token is four characters.
    """

    reply: Callable[[str, int], str | Reply] | Sequence[Line] = field(hash=False)
    latency: float = 0.0
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    model: str = "scripted"
    seed: int | None = None
    seen: list[Request] = field(default_factory=list[Request], init=False, repr=False, compare=False)
    _drawn: Counter[str] = field(default_factory=Counter[str], init=False, repr=False, compare=False)
    _left: deque[Line] = field(default_factory=deque[Line], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.reply, str):
            raise TaskError(f"Scripted got one text, {self.reply!r:.40}: expected a function or a list of texts")
        at_least(0, latency=self.latency)
        if not callable(self.reply):
            self._left.extend(self.reply)

    @property
    def name(self) -> str:
        """`local:scripted`, or as `model` has it."""
        return f"local:{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature, self.seed)

    async def __call__(self, request: Request, n: int) -> Completion:
        """Up to `n` draws: fewer where the script ends or the next item is an error."""
        self.seen.append(request)
        await asyncio.sleep(min(self.latency, request.timeout))
        if self.latency > request.timeout:
            raise Unavailable(f"{self.name} gave no reply in time", cause="timeout", maybe_billed=True)
        prompt = "\n\n".join(m.content for m in request.messages)
        lines = self._called(prompt, n) if callable(self.reply) else self._played(prompt, n)
        replies = tuple(_bounded(line, request) for line in lines)
        return Completion(replies, _tokens(prompt), sum(_tokens(reply.text) for reply in replies))

    def _called(self, prompt: str, n: int) -> list[str | Reply]:
        assert callable(self.reply)
        lines: list[str | Reply] = []
        for _ in range(n):
            self._drawn[prompt] += 1
            lines.append(self.reply(prompt, self._drawn[prompt] - 1))
        return lines

    def _played(self, prompt: str, n: int) -> list[str | Reply]:
        lines: list[str | Reply] = []
        while len(lines) < n and self._left and not isinstance(line := self._left[0], Exception):
            lines.append(line)
            self._left.popleft()
        return lines or self._ended(prompt)

    def _ended(self, prompt: str) -> list[str | Reply]:
        if self._left and isinstance(error := self._left.popleft(), Exception):
            raise error
        raise ModelError(
            f"the script is used up at request {len(self.seen)}: give Scripted more texts, or a function; "
            f"the prompt was {prompt[:200]!r}",
            cause="script used up",
        )

    async def close(self) -> None:
        """Nothing is held open."""


def _bounded(line: str | Reply, request: Request) -> Reply:
    reply = line if isinstance(line, Reply) else Reply(line)
    text = min((reply.text.split(stop)[0] for stop in request.stop if stop), key=len, default=reply.text)
    most = 4 * request.max_tokens
    if len(text) > most:
        return Reply(text[:most], "length")
    return reply if text == reply.text else Reply(text, reply.finish)


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4
