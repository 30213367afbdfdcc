"""The seam to language models: one request, one transport attempt, a completion or a typed error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from thoughtgraph.errors import at_least
from thoughtgraph.prompt import Message
from thoughtgraph.thought import Json

Outcome = Literal["ok", "empty", "refused", "truncated", "unparsable", "failed", "abstained"]
"""What a draw came to."""

DEAREST = 1e12
"""No token costs a million dollars."""

Logprobs: TypeAlias = tuple[tuple[str, float], ...]
"""The tokens of a draw with their natural-log probabilities, in order."""

ALTERNATIVES = 20
"""So many likely tokens are asked for in each place: the most that providers give."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The form that a reply must have: a JSON Schema (draft 2020-12) with a name for it."""

    name: str
    body: Json

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked. `max_tokens` bounds each draw, `timeout` is in seconds; both are always set.

    The rest is sent only where it is set: `temperature`, `stop`, the `seed` of the provider's sampling, the `schema`
    that replies must fit, and whether the `logprobs` of the tokens are wanted.
    """

    messages: tuple[Message, ...]
    max_tokens: int = 1024
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    timeout: float = 120.0
    seed: int | None = None
    schema: Schema | None = None
    logprobs: bool = False

    @property
    def bound(self) -> int:
        """An upper bound of the prompt's tokens: no tokenizer makes more tokens than bytes, plus 16 a message.

        An image counts at the bound that it carries, a schema at the bytes of its JSON.
        """
        said = sum(len(m.content.encode("utf-8", "replace")) + 16 for m in self.messages)
        seen = sum(image.tokens for m in self.messages for image in m.images)
        return said + seen + (len(json.dumps(self.schema.body)) + 64 if self.schema else 0)

    @property
    def content(self) -> list[Json]:
        """All that shapes the reply, as JSON data."""
        said = [[m.role, m.content, *(image.url for image in m.images)] for m in self.messages]
        rare = [self.seed, self.schema and self.schema.body, self.logprobs]
        asked = [said, self.max_tokens, self.temperature, self.stop]
        return asked if rare == [None, None, False] else [*asked, *rare]

    def mark(self, model: str) -> str:
        """A short hash of all that shapes the reply: how a journalled call is known again."""
        return hashlib.blake2s(json.dumps([model, *self.content]).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """One draw: its text and why it ended, in the provider's words ("stop", "length", "content_filter", ...).

    `logprobs` are there where they were asked for and the provider gave them; so is `top`, for each of those tokens
    the likeliest ones in its place, itself among them or not: at most `ALTERNATIVES`, as many as the provider gives.
    """

    text: str
    finish: str = "stop"
    logprobs: Logprobs = ()
    top: tuple[Logprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back: up to n draws and what they cost. `None` tokens mean that the provider did not say.

    `prompt_tokens` are all of the prompt's, among them `cached_tokens`, which were read from the provider's cache, and
    `written_tokens`, which were written to it. `completion_tokens` are all that was made, `reasoning_tokens` among
    them.
    """

    replies: tuple[Reply, ...]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    written_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. `cached` and `written` are those of the provider's prompt cache.

    Where `cached` or `written` is not known they count as `prompt`.
    """

    prompt: float
    completion: float
    cached: float | None = None
    written: float | None = None

    def __post_init__(self) -> None:
        at_least(0, prompt=self.prompt, completion=self.completion, cached=self.cached, written=self.written)
        for name in ("prompt", "completion", "cached", "written"):
            if (rate := getattr(self, name)) is not None and not (rate < DEAREST):  # nor is nan
                raise ValueError(f"{name} is {rate!r:.40}: expected dollars per million tokens")

    def usd(self, prompt_tokens: int, completion_tokens: int, cached: int = 0, written: int = 0) -> float:
        """Dollars for this many tokens; `cached` and `written` are among the prompt's."""
        plain = self.prompt * (prompt_tokens - cached - written) + self.completion * completion_tokens
        read = (self.prompt if self.cached is None else self.cached) * cached
        return (plain + read + (self.prompt if self.written is None else self.written) * written) / 1e6

    @property
    def dearest(self) -> Price:
        """The price that a reservation goes by: every token of the prompt at the most that it can cost."""
        most = max(self.prompt, self.cached or 0.0, self.written or 0.0)
        return self if most == self.prompt else Price(most, self.completion)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do with a request. `source` says how that is known.

    `n`: several draws a request. `schema`: replies held to a JSON Schema by the server. `caching` of prompts: "marked"
    needs marks in the request, "automatic" does not. `context` and `most` are tokens: of prompt and reply together,
    and of a reply. What nobody knows is taken to work, and None.
    """

    n: bool = True
    temperature: bool = True
    seed: bool = True
    stop: bool = True
    logprobs: bool = True
    schema: bool = True
    images: bool = True
    reasoning: bool = False
    caching: Literal["none", "automatic", "marked"] = "none"
    context: int | None = None
    most: int | None = None
    source: str = "assumed"


class Model(Protocol):
    """A language model: one transport attempt a call.

    It neither retries nor counts: the engine does both, once, for every model. It may return fewer than `n` replies
    (the engine asks for the rest), and raises `Unavailable` where another attempt may fare better, `ModelError`
    where it cannot.

    A model may say more of itself, and where it does not, something is assumed: `capabilities` (all is possible),
    `endpoint`, which names the server whose rate limit and cache its calls share (by default its name), `settings`,
    JSON data on what else shapes its replies (thinking, say; by default nothing), `untimed`, the same call without a
    time-out of its own, for the engine keeps the time (by default the call itself), and
    `async count(request) -> int | None`, the exact number of the prompt's tokens (by default their bound is used).
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
        """`max_tokens`, `timeout`, `temperature` and `seed` of a request that does not say."""
        ...

    async def __call__(self, request: Request, n: int) -> Completion:
        """Up to `n` draws."""
        ...

    async def close(self) -> None:
        """Let go of connections; the model can be used again all the same."""
        ...


def capabilities(model: Model) -> Capabilities:
    """What a model says that it can do; all there is, where it says nothing."""
    return getattr(model, "capabilities", None) or Capabilities()


def endpoint(model: Model) -> str:
    """The server behind a model, in words that are safe to print; its name where it says nothing."""
    return getattr(model, "endpoint", None) or model.name
