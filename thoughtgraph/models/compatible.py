"""Any OpenAI-compatible server by its base URL: vLLM, SGLang, llama.cpp, Ollama, LM Studio, a gateway.

Plain aiohttp, because a search keeps hundreds of requests in flight and an SDK takes ten times the CPU for each.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from thoughtgraph.errors import at_least
from thoughtgraph.model import Completion, Price, Request
from thoughtgraph.models import status
from thoughtgraph.models.chat import answered, asked
from thoughtgraph.models.endpoint import Endpoint
from thoughtgraph.models.perloop import PerLoop
from thoughtgraph.models.settings import defaults

_KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: under the 5 s after which common servers close it, perhaps mid-request."""

_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


@dataclass(frozen=True, repr=False)
class Compatible:
    """The model `model` of the server at `base_url` (http://localhost:8000/v1).

    The key is read from the environment variable `key_env`, or from the file that `{key_env}_FILE` names; an http
    server needs none. Servers that ignore `n` return one draw, and the engine asks for the rest.
    """

    model: str
    base_url: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    key_env: str = "OPENAI_API_KEY"
    _endpoint: Endpoint = field(init=False, compare=False)
    _sessions: PerLoop[aiohttp.ClientSession] = field(init=False, compare=False)
    _url: URL = field(init=False, compare=False)

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
        return defaults(self.max_tokens, self.timeout, self.temperature)

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at `n` draws."""
        try:
            code, headers, raw = await self._post(request, n)
        except _NOT_SENT as error:
            raise status.unreachable(self._endpoint, error) from error
        except TimeoutError:
            raise status.timed_out(self._endpoint, request.timeout) from None
        except (aiohttp.ClientError, OSError) as error:
            raise status.cut_off(self._endpoint, error) from error
        if code != 200:
            raise status.refused(self._endpoint, code, headers, raw)
        return answered(raw, n, self._endpoint)

    async def _post(self, request: Request, n: int) -> tuple[int, Mapping[str, str], bytes]:
        session = await self._sessions.get()
        body = json.dumps(asked(request, n, self.model), ensure_ascii=False).encode()
        limit = aiohttp.ClientTimeout(total=request.timeout, ceil_threshold=math.inf)
        async with session.post(self._url, data=body, timeout=limit, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    async def _session(self) -> AsyncGenerator[aiohttp.ClientSession, None]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if authorization := self._endpoint.authorization():
            headers["Authorization"] = authorization
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
        jar = aiohttp.DummyCookieJar()
        proxy = None if self._endpoint.loopback else _proxy(self._endpoint.chat)
        async with aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=jar, proxy=proxy) as session:
            yield session

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._sessions.close()


def _proxy(url: str) -> str | None:
    """The environment's proxy, looked up once a session: aiohttp's own look-up takes a thread for each request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
