"""Anthropic's models by the Messages API, through the official SDK with its retries off: the engine has its own.

A search sends the beginning of a prompt again and again, and this API keeps only what is marked: see `Beginnings`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, TypeAdapter

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unavailable, Unsupported, at_least
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request, Schema
from thoughtgraph.models import status, tables
from thoughtgraph.models.chat import Tokens, parsed, whole
from thoughtgraph.models.lacking import refuse
from thoughtgraph.models.settings import defaults
from thoughtgraph.models.strict import form
from thoughtgraph.perloop import PerLoop
from thoughtgraph.prompt import Image, Message

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_HOME = "https://api.anthropic.com"

_LEAST_THOUGHT = 1024
"""The fewest tokens that the API takes for thinking."""

_NAMED = ("model", "messages", "max_tokens")
"""What the SDK's methods must be given by name. The rest goes as it is: they no longer know a temperature, for one."""

_REFUSED: Mapping[str, re.Pattern[str]] = {
    "temperature": re.compile(r"\btemperature\b|\btop_[pk]\b|sampling param", re.IGNORECASE),
    "stop": re.compile(r"\bstop_sequences\b|\bstop sequence", re.IGNORECASE),
    "schema": re.compile(
        r"\boutput_(config|format|schema)\b|structured output|json_schema|\btools\.|\btool_choice\b|input_schema"
        r"|schema is too (complex|large)|compiled grammar",
        re.IGNORECASE,
    ),
}
"""What a 400 says of the settings that the engine can do without, in this API's own words."""

_BLOCKED = re.compile(rb"blocked by content filter", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class Anthropic:
    """The model `model` at api.anthropic.com, by the Messages API.

    The key is read from the environment variable `key_env`, or from the file that `{key_env}_FILE` names. `base_url`
    is for a gateway that speaks the same; where it is not given, ANTHROPIC_BASE_URL is looked up once. `price` and
    `can` (what the model can do) go before what the tables say; what a gateway charges, they do not say.

    `thinking` is "adaptive" (the model decides how much; the newer models know only this), or the most tokens that
    may be thought, at least 1024. Thinking shares `max_tokens` with the reply, so that a budget holds: the reply keeps
    what `max_tokens` is over `thinking`, and a request whose `max_tokens` leave less than 1024 for thinking is
    answered without. While it thinks, a model takes no temperature.

    One request is one draw: the API has no `n`, and the engine asks for the rest.
    """

    model: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    thinking: int | Literal["adaptive"] | None = None
    can: Capabilities | None = None
    key_env: str = "ANTHROPIC_API_KEY"
    base_url: str = ""
    _endpoint: Endpoint = field(init=False, compare=False)
    _clients: PerLoop[AsyncAnthropic] = field(init=False, compare=False)
    _beginnings: Beginnings = field(init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        if isinstance(self.thinking, int) and not _LEAST_THOUGHT <= self.thinking < self.max_tokens:
            raise ValueError(
                f"thinking is {self.thinking} and max_tokens is {self.max_tokens}, which both share: expected thinking "
                f"of at least {_LEAST_THOUGHT} tokens, and max_tokens with room for the reply above it"
            )
        url = self.base_url or os.environ.get("ANTHROPIC_BASE_URL", "").strip() or _HOME
        object.__setattr__(self, "_endpoint", Endpoint(self.model, url, self.key_env))
        if self.price is None and self._official:
            object.__setattr__(self, "price", tables.price("anthropic", self.model))
        object.__setattr__(self, "_clients", PerLoop(self._client))
        object.__setattr__(self, "_beginnings", Beginnings())

    def __repr__(self) -> str:
        return f"Anthropic({self.model!r}, base_url={self.endpoint!r})"

    @property
    def name(self) -> str:
        """`anthropic:model`."""
        return f"anthropic:{self.model}"

    @property
    def endpoint(self) -> str:
        """The server's URL without user, password and query: safe to print and to record."""
        return self._endpoint.shown

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature)

    @cached_property
    def capabilities(self) -> Capabilities:
        """`can`, or what the tables say, less what the API has not and what a thinking model refuses.

        A model that cannot be held to a schema is made to call a tool of that form, unless it thinks.
        """
        if self.can is not None:
            return self.can
        known, quiet = self._known, self.thinking is None
        can = replace(known, n=False, seed=False, logprobs=False, stop=True, caching="marked")
        return replace(
            can,
            temperature=known.temperature and quiet,
            schema=known.schema or quiet,
            reasoning=known.reasoning or not quiet,
        )

    @cached_property
    def _known(self) -> Capabilities:
        return self.can or tables.able("anthropic", self.model) or Capabilities()

    @property
    def _official(self) -> bool:
        return self._endpoint.host == "api.anthropic.com"

    @property
    def settings(self) -> dict[str, object]:
        """What else shapes its replies: how long it thinks."""
        return {"thinking": self.thinking}

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at one draw, whatever `n` is."""
        refuse(request, self.capabilities, self.name)
        client = await self._clients.get()
        body = self._body(request)
        with self._beginnings.marked(body):
            code, headers, raw = await self._post(client.messages.with_raw_response.create, body, request.timeout)
            if code == 200:
                return _answered(raw, request, self._endpoint)
            if code == 400 and _BLOCKED.search(raw):  # the words of one thought were to blame, and no other one's
                return Completion((Reply("", "content_filter"),))
            raise self._refused(request, code, headers, raw)

    async def count(self, request: Request) -> int | None:
        """The exact tokens of the prompt, by one request that costs nothing; None where the server does not tell."""
        try:
            client = await self._clients.get()
            body = {name: said for name, said in self._body(request).items() if name in _COUNTED}
            code, _, raw = await self._post(client.messages.with_raw_response.count_tokens, body, request.timeout)
            return parsed(_COUNT, raw, self._endpoint).input_tokens if code == 200 else None
        except ModelError:
            return None

    async def _post(self, method: Any, body: dict[str, Any], seconds: float) -> tuple[int, Mapping[str, str], bytes]:
        """What came back, unparsed: the SDK takes any shape, we do not."""
        import anthropic

        named = {name: body[name] for name in _NAMED if name in body}
        rest = {name: said for name, said in body.items() if name not in named}
        try:
            async with asyncio.timeout(seconds):
                answer = (await method(**named, extra_body=rest, timeout=seconds)).http_response
        except (TimeoutError, anthropic.APIConnectionError) as error:
            raise status.broken(self._endpoint, error, seconds) from None  # a transport's own error may quote a header
        except anthropic.APIStatusError as error:
            return error.response.status_code, error.response.headers, error.response.content
        return answer.status_code, answer.headers, answer.content

    # -- what is asked -------------------------------------------------------------------------------------------

    def _body(self, request: Request) -> dict[str, Any]:
        """The request's JSON: only what is set, because the API refuses what a model does not know."""
        system = [block for m in request.messages if m.role == "system" for block in _blocks(m)]
        said = [{"role": m.role, "content": _blocks(m)} for m in request.messages if m.role != "system"]
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "messages": [message for message in said if message["content"]],
        }
        if system:
            body["system"] = system
        if stops := [stop for stop in request.stop if stop.strip()]:
            body["stop_sequences"] = stops
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return body | self._thought(request.max_tokens) | self._formed(request.schema)

    def _thought(self, most: int) -> dict[str, Any]:
        if self.thinking is None or self.thinking == "adaptive":
            return {"thinking": {"type": "adaptive"}} if self.thinking else {}
        room = min(self.thinking, most - (self.max_tokens - self.thinking))
        return {"thinking": {"type": "enabled", "budget_tokens": room}} if room >= _LEAST_THOUGHT else {}

    def _formed(self, schema: Schema | None) -> dict[str, Any]:
        """The schema, kept to the letter where it has a strict form; else as a tool that must be called."""
        if schema is None:
            return {}
        strict = form(schema)
        if strict["strict"] and self._known.schema:
            return {"output_config": {"format": {"type": "json_schema", "schema": _plain(strict["schema"])}}}
        root: Any = schema.body
        kind = cast("dict[str, Any]", root).get("type") if isinstance(root, dict) else None
        if self.thinking is not None or kind != "object":
            why = "it has no strict form, and a tool must have an object for it and a model that does not think"
            raise Unsupported(f"{self.name} cannot be held to the schema {schema.name!r}: {why}", parameter="schema")
        tool: dict[str, Any] = {"name": strict["name"], "description": "Give your reply.", "input_schema": root}
        choice = {"type": "tool", "name": strict["name"], "disable_parallel_tool_use": True}
        return {"tools": [tool], "tool_choice": choice}

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def _refused(self, request: Request, code: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        near = tables.nearest("anthropic", self.model) if code == 404 and self._official else ""
        error = status.refused(self._endpoint, code, headers, raw, near or "")
        if code != 400 or error.cause != "rejected":
            return error
        text = raw.decode("utf-8", "replace")
        was_set = (name for name in _REFUSED if getattr(request, name) not in (None, ()))
        refused = next((name for name in was_set if _REFUSED[name].search(text)), None)
        return Unsupported(str(error), parameter=refused) if refused else error

    # -- connections ---------------------------------------------------------------------------------------------

    async def _client(self) -> AsyncGenerator[AsyncAnthropic, None]:
        said, key = self._endpoint.authorization() or "", self._endpoint.key or "none"
        await asyncio.to_thread(import_module, "anthropic")  # takes a second, in which others go on
        from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

        near = {f"{scheme}://": None for scheme in ("http", "https", "all")} if self._endpoint.loopback else {}
        web = DefaultAsyncHttpxClient(follow_redirects=False, mounts=near)  # no proxy on the way to this machine
        async with AsyncAnthropic(
            api_key=key,
            base_url=self.endpoint.rstrip("/").removesuffix("/v1"),  # without a password, which would be logged
            default_headers={"Authorization": said} if said.startswith("Basic ") else {},
            max_retries=0,
            http_client=web,
        ) as client:
            yield client

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._clients.close()


# -- a request's content ------------------------------------------------------------------------------------------


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A message as blocks: its pictures, which the API likes best in front, then each of its parts."""
    texts = _parts(whole(message.content), message.cuts)
    return [*map(_picture, message.images), *({"type": "text", "text": text} for text in texts)]


def _parts(text: str, cuts: Sequence[int]) -> list[str]:
    """The text in parts that end at `cuts`; blanks, which the API refuses alone, go with the part before."""
    edges = [0, *(cut for cut in sorted(set(cuts)) if 0 < cut < len(text)), len(text)]
    parts = list[str]()
    for start, end in pairwise(edges):
        if parts and not (parts[-1].strip() and text[start:end].strip()):
            parts[-1] += text[start:end]
        else:
            parts.append(text[start:end])
    return [part for part in parts if part.strip()]


def _picture(image: Image) -> dict[str, Any]:
    if not image.url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": whole(image.url)}}
    kind, _, pixels = image.url.removeprefix("data:").partition(";base64,")
    if not pixels:
        raise ModelError(f"the image is {image.url!r:.60}: expected data:image/png;base64,... or an https URL")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": pixels}}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the API's part of JSON Schema: limits that it cannot hold a reply to are told in words."""
    from anthropic import transform_schema

    try:
        return transform_schema(schema)
    except (ValueError, TypeError, AssertionError):  # it does not know, say, a list of types: the server may
        return schema


# -- the prompt cache ----------------------------------------------------------------------------------------------


class Beginnings:
    """Which beginnings of prompts to mark for the provider's cache: those that were sent before.

    Writing costs a quarter more than plain tokens and reading a tenth of them, so a mark pays from the third sending
    on. The first marks nothing, for most are the last. The second writes, but one request at a time: what is written
    cannot be read before the reply begins, and everyone else at once would pay for the same. From then on all read.
    A beginning that ends in a failure was not seen, and one that was not read for five minutes is written anew.
    The latest few thousand beginnings are remembered, as hashes.
    """

    MARKS = 4
    """As many as the API takes in one request."""

    KEPT = 285.0
    """Seconds that the provider keeps what is not read, less the time that a request takes to get there."""

    REMEMBERED = 4096

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        """When the cache was last known to hold each; long ago, where it never did."""
        self._writing: set[bytes] = set()

    @contextmanager
    def marked(self, body: dict[str, Any]) -> Generator[None]:
        """Mark the blocks of a request, and learn from how it fares."""
        placed = list(_ends(body))
        keys = [key for key, _ in placed]
        chosen = self._chosen(keys)
        writing = {keys[at] for at in chosen if not self._held(keys[at])}
        new = self._note(keys)
        for at in chosen:
            placed[at][1]["cache_control"] = {"type": "ephemeral"}
        self._writing |= writing
        try:
            yield
            self._seen.update((keys[at], time.monotonic()) for at in chosen)
        except BaseException:
            for key in new:
                self._seen.pop(key, None)
            raise
        finally:
            self._writing -= writing

    def _chosen(self, keys: Sequence[bytes]) -> list[int]:
        """At most four: the longest that can be read, the shortest, which most prompts share, and the longest."""
        known = [at for at, key in enumerate(keys) if key in self._seen and key not in self._writing]
        held = [at for at in known if self._held(keys[at])]
        return sorted([*dict.fromkeys([*held[-1:], *known[:1], *reversed(known)])][: self.MARKS])

    def _held(self, key: bytes) -> bool:
        return time.monotonic() - self._seen[key] < self.KEPT

    def _note(self, keys: Sequence[bytes]) -> list[bytes]:
        """Remember these; which of them are new."""
        new = [key for key in keys if key not in self._seen]
        for key in keys:
            self._seen.setdefault(key, -math.inf)
            self._seen.move_to_end(key)
        while len(self._seen) > self.REMEMBERED:
            self._seen.popitem(last=False)
        return new


def _ends(body: dict[str, Any]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each block of a request, with a hash of all that the provider sees up to its end."""
    before = [body.get(name) for name in ("tools", "tool_choice", "output_config", "thinking")]
    told = hashlib.blake2s(json.dumps(before).encode(), digest_size=16)
    said = [("system", block) for block in body.get("system", ())]
    said += [(message["role"], block) for message in body["messages"] for block in message["content"]]
    for role, block in said:
        told.update(json.dumps([role, block]).encode())
        yield told.digest(), block


# -- a reply -------------------------------------------------------------------------------------------------------


class _Block(BaseModel):
    type: str
    text: str | None = None
    input: Any = None


class _Details(BaseModel):
    thinking_tokens: Tokens = None


class _Usage(BaseModel):
    input_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    output_tokens: Tokens = None
    output_tokens_details: _Details | None = None


class _Body(BaseModel):
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Count(BaseModel):
    input_tokens: Tokens


_BODY, _COUNT = TypeAdapter(_Body), TypeAdapter(_Count)

_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
"""What tokens are counted of, in the API's words."""

_ENDINGS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",  # the one tool is the reply's form
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}


def _answered(raw: bytes, request: Request, endpoint: Endpoint) -> Completion:
    """The reply without its thinking. No content at all is an empty draw, if the reply says how it ended."""
    body = parsed(_BODY, raw, endpoint)
    if not body.content and not body.stop_reason:
        raise Unavailable(f"{endpoint} answered with no content", cause="empty choices", maybe_billed=True)
    text = "".join(_text(block) for block in body.content)
    finish = _ENDINGS.get(body.stop_reason or "end_turn", body.stop_reason or "")
    said = min((text.split(stop)[0] for stop in request.stop if stop and not stop.strip()), key=len, default=text)
    return _counted(Reply(said, finish if said == text else "stop"), body.usage or _Usage())


def _text(block: _Block) -> str:
    if block.type == "tool_use":
        return json.dumps(block.input, ensure_ascii=False)
    return block.text or "" if block.type == "text" else ""


def _counted(reply: Reply, usage: _Usage) -> Completion:
    """The API's `input_tokens` are only those that the cache had no part in."""
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    plain, made, details = usage.input_tokens, usage.output_tokens, usage.output_tokens_details
    if plain is None:
        return Completion((reply,), None, made)
    thought = (details and details.thinking_tokens) or 0
    return Completion((reply,), plain + read + written, made, read, written, min(thought, made or 0))
