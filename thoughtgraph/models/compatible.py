"""Any OpenAI-compatible server by its base URL: vLLM, SGLang, llama.cpp, Ollama, LM Studio, a gateway.

Plain aiohttp, because a search keeps hundreds of requests in flight and an SDK takes ten times the CPU for each.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import aiohttp
from yarl import URL

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import Unavailable, at_least
from thoughtgraph.model import Capabilities, Completion, Price, Request
from thoughtgraph.models import status
from thoughtgraph.models.chat import answered, asked, sent
from thoughtgraph.models.settings import defaults
from thoughtgraph.perloop import PerLoop

Limit: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
"""What a server calls the bound of a reply."""

_KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: under the 5 s after which common servers close it, perhaps mid-request."""

_MOST = 64 << 20
"""The most bytes of a reply that are read: hundreds of draws are one of them, and memory is finite."""

_NO_LIMIT = aiohttp.ClientTimeout()
"""aiohttp's own time-out watches each step of a request; one of ours around them all costs half as much."""

_ASSUMED = Capabilities()

_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


@dataclass(frozen=True, repr=False)
class Compatible:
    """The model `model` of the server at `base_url` (http://localhost:8000/v1).

    The key is read from the environment variable `key_env`, or from the file that `{key_env}_FILE` names; an http
    server needs none. Servers that ignore `n` return one draw, and the engine asks for the rest. `can` says what the
    model can do, where you know it. `tokens_field` is the server's name for the bound of a reply; a server that wants
    the newer one says so, and is asked again by that.
    """

    model: str
    base_url: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    key_env: str = "OPENAI_API_KEY"
    seed: int | None = None
    can: Capabilities | None = None
    tokens_field: Limit = "max_tokens"
    _endpoint: Endpoint = field(init=False, compare=False)
    _sessions: PerLoop[aiohttp.ClientSession] = field(init=False, compare=False)
    _url: URL = field(init=False, compare=False)
    _learned: list[Limit] = field(default_factory=list[Limit], init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        endpoint = Endpoint(self.model, self.base_url, self.key_env)
        object.__setattr__(self, "_endpoint", endpoint)
        object.__setattr__(self, "_sessions", PerLoop(self._session))
        object.__setattr__(self, "_url", URL(endpoint.chat))

    @property
    def shown(self) -> str:
        """The server's URL without user, password and query: safe to print and to record."""
        return self._endpoint.shown

    def __repr__(self) -> str:
        return f"Compatible({self.model!r}, {self._endpoint.shown!r})"

    @property
    def name(self) -> str:
        """`openai:model`. The address is not in it: a run may go on after the server moved to another port."""
        return f"openai:{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature, self.seed)

    @property
    def capabilities(self) -> Capabilities:
        """What was said that the model can do; else all of it is assumed."""
        return self.can or _ASSUMED

    @property
    def endpoint(self) -> str:
        """The server: its rate limits and its cache are of all the models that it serves."""
        return self._endpoint.shown

    @property
    def settings(self) -> str:
        """What else shapes its replies: what the base URL asks for behind its path, which is not shown."""
        return hashlib.blake2s(self._url.query_string.encode(), digest_size=8).hexdigest()

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at `n` draws."""
        try:
            async with asyncio.timeout(request.timeout):
                return await self.untimed(request, n)
        except TimeoutError:
            raise status.timed_out(self._endpoint, request.timeout) from None

    async def untimed(self, request: Request, n: int) -> Completion:
        """The same for a caller who keeps the request's time."""
        limit = self._learned[0] if self._learned else self.tokens_field
        try:
            code, headers, raw = await self._post(sent(asked(request, n, self.model, limit)))
        except _NOT_SENT as error:
            raise status.unreachable(self._endpoint, error) from None  # it shows the proxy's password
        except TimeoutError:
            raise status.timed_out(self._endpoint, request.timeout) from None
        except (aiohttp.ClientError, OSError) as error:
            raise status.cut_off(self._endpoint, error) from error
        if code == 200:
            return answered(raw, n, self._endpoint)
        if code in (400, 422) and status.other_limit(raw, limit):
            raise self._corrected(code)
        return status.unanswered(self._endpoint, code, headers, raw)

    async def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        session = await self._sessions.get()
        async with session.post(self._url, data=body, allow_redirects=False) as response:
            return response.status, response.headers, await self._whole(response.content)

    async def _whole(self, content: aiohttp.StreamReader) -> bytes:
        blocks, size = list[bytes](), 0
        while block := await content.readany():
            blocks.append(block)
            size += len(block)
            if size > _MOST:
                raise status.too_big(self._endpoint, _MOST)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _corrected(self, code: int) -> Unavailable:
        """The server wants the other name for the bound of a reply: the next attempt has it."""
        self._learned[:] = ["max_completion_tokens"]
        said = f"{self._endpoint} answered {code}: it wants max_completion_tokens in place of max_tokens"
        return Unavailable(f"{said}, and is asked so from now on", cause="max_tokens", retry_after=0.0)

    async def _session(self) -> AsyncGenerator[aiohttp.ClientSession, None]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if authorization := self._endpoint.authorization():
            headers["Authorization"] = authorization
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
        jar = aiohttp.DummyCookieJar()
        # The proxy is looked up once a session: aiohttp's own look-up takes a thread for each request.
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=jar, proxy=self._endpoint.proxy, timeout=_NO_LIMIT
        ) as session:
            yield session

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._sessions.close()
