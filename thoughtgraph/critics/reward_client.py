"""A small client of plain aiohttp for the servers of reward models: one request, tried again where that may help."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from thoughtgraph.errors import ModelError, Unauthorized, Unavailable
from thoughtgraph.retry import Retry
from thoughtgraph.thought import Json

MOST = 64 << 20
"""The most bytes of a reply that are read."""

SHORT = 6
"""A key of fewer characters is a word that any server takes, and may stand anywhere."""


def address(base_url: str) -> str:
    """The server's root, without /v1; `ValueError` for what is no address, or holds a password."""
    try:
        parts = urlsplit(base_url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        parts, sound = SplitResult("", "", "", "", ""), False
    if not sound or parts.username is not None or parts.query or parts.fragment:
        shown = base_url.rpartition("@")[2].split("?")[0]
        raise ValueError(
            f"base_url is {shown!r}: expected something like http://localhost:8000/v1, and the key in an environment "
            "variable (key_env)"
        )
    return parts._replace(path=parts.path.rstrip("/").removesuffix("/v1")).geturl()


@dataclass
class _Held:
    """The connections of one event loop, and how many need them."""

    users: int = 0
    session: Any = None


@dataclass(frozen=True)
class Client:
    """Requests to the server at `root`, each tried again as `retry` says.

    Connections are kept within `async with`, by event loop, and else for one request. What is printed holds no key.
    Without one, nothing is sent to an https server that is not this machine.
    """

    root: str
    key_env: str
    timeout: float
    retry: Retry
    _held: dict[asyncio.AbstractEventLoop, _Held] = field(
        default_factory=dict["asyncio.AbstractEventLoop", "_Held"], init=False, repr=False, compare=False
    )
    _heard: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    async def __call__(self, path: str, body: Mapping[str, Json]) -> Json:
        """The JSON of the reply to one request, which may take several attempts."""
        return await self.retry.loop(heard=bool(self._heard))(self._attempt, path, json.dumps(body).encode())

    async def __aenter__(self) -> Self:
        """Open the connections of this event loop, unless somebody else has."""
        held = self._held.setdefault(asyncio.get_running_loop(), _Held())
        held.users += 1
        held.session = held.session or _session()
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

        where = f"{self.root}{path}"
        try:
            async with asyncio.timeout(self.timeout):
                status, wait, raw = await self._answer(where, body)
        except TimeoutError:
            late = f"{where} gave no reply within {self.timeout:g} s"
            raise Unavailable(late, cause="timeout", maybe_billed=True) from None
        except aiohttp.ClientConnectorError as error:
            absent = f"cannot connect to {self.root} ({error}): start the server there, or correct base_url"
            raise Unavailable(absent, cause="connection") from None
        except (aiohttp.ClientError, OSError) as error:
            broke = f"{where} broke the connection ({type(error).__name__})"
            raise Unavailable(broke, cause="reset", maybe_billed=True) from None
        self._heard.add(self.root)
        return _read(raw, where) if status == 200 else self._refuse(where, status, wait, raw)

    async def _answer(self, where: str, body: bytes) -> tuple[int, str, bytes]:
        async with self:
            post = self._held[asyncio.get_running_loop()].session.post
            async with post(where, data=body, headers=self._headers(), allow_redirects=False) as response:
                wait = response.headers.get("Retry-After", "")
                return response.status, wait, self._masked(await self._whole(response.content, where))

    async def _whole(self, content: Any, where: str) -> bytes:
        read = bytearray()
        while block := await content.readany():
            read += block
            if len(read) > MOST:
                raise ModelError(f"{where} sent more than {MOST:,} bytes: is it a reward model's server?")
        return bytes(read)

    def _headers(self) -> dict[str, str]:
        if key := self._key():
            return {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        if self.root.startswith("https:") and not _here(urlsplit(self.root).hostname or ""):
            raise Unauthorized(f"no key for {self.root}: set {self.key_env} to the key")
        return {"Content-Type": "application/json"}

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "").strip()
        if not (key.isascii() and (key.isprintable() or not key)):
            raise Unauthorized(f"the key in {self.key_env} is not plain text on one line: set it to the key alone")
        return key

    def _refuse(self, where: str, status: int, wait: str, raw: bytes) -> Json:
        """The error for a reply that is not 200."""
        said = f"{where} answered {status}: {_shown(raw) or 'nothing'}"
        if status in (401, 403):
            raise Unauthorized(f"{said}; check the key in {self.key_env}")
        if status in (404, 405, 501):
            raise Unauthorized(
                f"{said}; check the model's name and base_url. Classifiers are served by `vllm serve MODEL --runner "
                "pooling`, Math-Shepherd and RLHFlow by `vllm serve MODEL`"
            )
        if status in (408, 409, 429) or status >= 500:
            seconds = float(wait) if wait.strip().isdecimal() else None
            raise Unavailable(said, cause=str(status), retry_after=seconds)
        raise ModelError(said)

    def _masked(self, raw: bytes) -> bytes:
        """A reply without the key, whatever becomes of it: a server may say again what it was told."""
        key = self._key().encode()
        return raw.replace(key, b"***") if len(key) >= SHORT else raw


def _shown(raw: bytes) -> str:
    """What a server said, in one line."""
    return "".join(c if c.isprintable() else " " for c in raw[:4000].decode("utf-8", "replace"))[:300].strip()


def _session() -> Any:
    import aiohttp

    jar, unlimited = aiohttp.DummyCookieJar(), aiohttp.ClientTimeout()
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=jar, timeout=unlimited)


def _here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _read(raw: bytes, where: str) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Unavailable(f"{where} answered with no JSON: {raw[:80]!r}", cause="no JSON", maybe_billed=True) from None
