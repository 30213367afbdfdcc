"""JSON over HTTP (Fielding et al., 2022) to a model's server: one request, tried again where that may help."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Self

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, at_least
from thoughtgraph.retry import Retry
from thoughtgraph.thought import Json

MOST = 64 << 20
"""The most bytes of a reply that are read: memory is finite."""

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: under the 5 s after which common servers close it, perhaps mid-request."""


@dataclass
class _Held:
    """The connections of one event loop, and how many need them."""

    users: int = 0
    session: Any = None


@dataclass(frozen=True)
class Post:
    """Requests to the server of `endpoint`, each tried again as `retry` says; `timeout` seconds for an attempt.

    The key is read for each request, by its environment variable or its file. Nothing that is printed or returned holds
    it. Without a key nothing is sent to an https server that is not this machine. `hint` is what an error for a missing
    address adds. Connections are kept within `async with`, by event loop, and else for one request: none is left open.
    """

    endpoint: Endpoint
    timeout: float = 120.0
    retry: Retry = field(default_factory=Retry, repr=False)
    hint: str = field(default="", repr=False)
    most: int = field(default=MOST, repr=False)
    _held: dict[asyncio.AbstractEventLoop, _Held] = field(
        default_factory=dict["asyncio.AbstractEventLoop", "_Held"], init=False, repr=False, compare=False
    )
    _heard: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(0, timeout=self.timeout)
        at_least(1, most=self.most)

    async def __call__(self, path: str, body: Mapping[str, Json]) -> Json:
        """The JSON of the reply to one request, to `path` below the base URL; it may take several attempts."""
        sent = json.dumps(body).encode()
        return await self.retry.loop(heard=bool(self._heard))(self._attempt, path, sent)

    async def __aenter__(self) -> Self:
        """Open the connections of this event loop, unless somebody else has."""
        held = self._held.setdefault(asyncio.get_running_loop(), _Held())
        held.users += 1
        held.session = held.session or self._session()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them after the last one who needs them."""
        held = self._held[here := asyncio.get_running_loop()]
        held.users -= 1
        if not held.users:
            del self._held[here]
            await held.session.close()

    async def _attempt(self, path: str, body: bytes) -> Json:
        import aiohttp

        where = self.endpoint.shown_at(path)
        try:
            async with asyncio.timeout(self.timeout):
                status, headers, raw = await self._answer(path, body)
        except TimeoutError:
            late = f"{where} gave no reply within {self.timeout:g} s"
            raise Unavailable(late, cause="timeout", maybe_billed=True) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise self._unreachable(error) from None  # it shows the proxy's password
        except (aiohttp.ClientError, OSError) as error:
            broke = f"{where} broke the connection ({type(error).__name__})"
            raise Unavailable(broke, cause="reset", maybe_billed=True) from None
        self._heard.add(where)
        if status == 200:
            return _read(raw, where)
        raise self._refused(f"{where} answered {status}: {self._said(raw) or 'nothing'}", status, headers)

    async def _answer(self, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if authorization := self.endpoint.authorization():
            headers["Authorization"] = authorization
        async with self:
            post = self._held[asyncio.get_running_loop()].session.post
            async with post(self.endpoint.at(path), data=body, headers=headers, allow_redirects=False) as response:
                raw = await self._whole(response.content, path)
        return response.status, response.headers, self.endpoint.masked(raw)

    async def _whole(self, content: Any, path: str) -> bytes:
        read = bytearray()
        while block := await content.readany():
            read += block
            if len(read) > self.most:
                where = self.endpoint.shown_at(path)
                raise ModelError(f"{where} sent more than {self.most:,} bytes: is it the server that you mean?")
        return bytes(read)

    def _unreachable(self, error: Exception) -> Unavailable:
        """No connection came about, so nothing was asked."""
        why = self.endpoint.scrub(str(error)) or type(error).__name__
        remedy = "start the server there, or correct base_url"
        if proxy := self.endpoint.shown_proxy:
            remedy = f"it goes through the proxy {proxy}: correct HTTPS_PROXY or HTTP_PROXY, or set NO_PROXY"
        return Unavailable(f"cannot connect to {self.endpoint.shown} ({why}): {remedy}", cause="connection")

    def _refused(self, said: str, status: int, headers: Mapping[str, str]) -> ModelError:
        """The error for a reply that is not 200."""
        if status in (401, 402, 403):
            key = self.endpoint.key_env
            return Unauthorized(f"{said}; check the key in {key} (or {key}_FILE), and what it may use")
        if status in (404, 405, 501):
            return Unauthorized(f"{said}; check the model's name and base_url{self.hint and f'. {self.hint}'}")
        if status in (408, 409, 429) or status >= 500:
            return Unavailable(said, cause=str(status), retry_after=retry_after(headers))
        if 300 <= status < 400:
            return ModelError(f"{said}; it points elsewhere and keys are not sent on: correct base_url")
        return ModelError(said)

    def _said(self, raw: bytes) -> str:
        return self.endpoint.scrub(raw[:4000].decode("utf-8", "replace"))

    def _session(self) -> Any:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            proxy=self.endpoint.proxy,  # looked up here: aiohttp's own look-up takes a thread for each request
        )


def _read(raw: bytes, where: str) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Unavailable(f"{where} answered with no JSON: {raw[:80]!r}", cause="no JSON", maybe_billed=True) from None


# -- how long to wait ----------------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The server's wish in its headers, in seconds: `retry-after-ms`, else `Retry-After` as seconds or as a date."""
    if (wait := number(headers.get("retry-after-ms"))) is not None:
        return wait / 1000
    text = headers.get("retry-after")
    wait = number(text)
    return _until(text) if wait is None else wait


def number(text: str | None) -> float | None:
    """A finite number of seconds, at least 0; None where the text is none."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return max(0.0, found) if math.isfinite(found) else None


def _until(text: str | None) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text or "").timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
