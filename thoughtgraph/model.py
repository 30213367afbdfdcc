"""The seam to language models: one request, one transport attempt, a completion or a typed error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from thoughtgraph.prompt import Message

Outcome = Literal["ok", "empty", "refused", "truncated", "unparsable", "failed", "abstained"]
"""What a draw came to."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked. `max_tokens` bounds each draw, `timeout` is in seconds; both are always set."""

    messages: tuple[Message, ...]
    max_tokens: int = 1024
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    timeout: float = 120.0

    @property
    def bound(self) -> int:
        """An upper bound of the prompt's tokens: no tokenizer makes more tokens than bytes, plus 16 a message."""
        return sum(len(m.content.encode("utf-8", "replace")) + 16 for m in self.messages)

    def mark(self, model: str) -> str:
        """A short hash of all that shapes the reply: how a journalled call is known again."""
        body = [model, [[m.role, m.content] for m in self.messages], self.max_tokens, self.temperature, self.stop]
        return hashlib.blake2s(json.dumps(body).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """One draw: its text and why it ended, in the provider's words ("stop", "length", "content_filter", ...)."""

    text: str
    finish: str = "stop"


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back: up to n draws and what they cost. `None` tokens mean that the provider did not say."""

    replies: tuple[Reply, ...]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    completion: float

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for this many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


class Model(Protocol):
    """A language model: one transport attempt a call.

    It neither retries nor counts: the engine does both, once, for every model. It may return fewer than `n` replies
    (the engine asks for the rest), and raises `Unavailable` where another attempt may fare better, `ModelError`
    where it cannot.
    """

    @property
    def name(self) -> str:
        """`backend:model`, as in the ledger; never a key."""
        ...

    @property
    def price(self) -> Price | None:
        """What a token costs; None where nobody knows, which is not the same as nothing."""
        ...

    @property
    def defaults(self) -> Mapping[str, float]:
        """`max_tokens`, `timeout` and `temperature` of a request that does not say."""
        ...

    async def __call__(self, request: Request, n: int) -> Completion:
        """Up to `n` draws."""
        ...

    async def close(self) -> None:
        """Let go of connections; the model can be used again all the same."""
        ...
