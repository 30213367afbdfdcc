"""A server of JSON on this machine, for tests: what it answers is a function of what it is asked.

with Listener(lambda path, body: {"said": body}) as server:
    post = Post(Endpoint("m", server.base_url))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Says:
    """An answer with a status, headers and bytes of its own; `cut` breaks the connection instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    late: float = 0.0


class Listener:
    """The server, in a thread of its own, on a free port of 127.0.0.1, while the `with` lasts.

    `answer(path, body)` gives JSON data or `Says`. `seen` are the paths and bodies of the requests, `headers` what came
    with each, `connections` how many were opened.
    """

    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        self.answer = answer
        self.seen: list[tuple[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.peers = set[tuple[str, int]]()
        self.base_url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def root(self) -> str:
        """The address without /v1."""
        return self.base_url.removesuffix("/v1")

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/{path:.*}", self._answered)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append((request.path_qs, body))
        self.headers.append(request.headers.copy())
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        said = self.answer(request.path_qs, body)
        if not isinstance(said, Says):
            return web.json_response(said)
        await asyncio.sleep(said.late)
        if said.cut:
            request.transport.abort()
        return web.Response(status=said.status, body=said.body, headers=said.headers)
