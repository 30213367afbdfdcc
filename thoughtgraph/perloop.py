"""One client per event loop: a client breaks when a second loop uses it, and in a notebook loops come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Holds what `life` yields, once for each running loop.

    `life` is an async generator that closes its client when it ends. `asyncio.run` ends the generators of its loop,
    so a client that nobody closed is closed with its loop, without a warning.
    """

    def __init__(self, life: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._life = life
        self._held: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[T, None]]] = {}
        self._coming: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def get(self) -> T:
        """The client of the running loop, made on first use."""
        held = self._held.get(asyncio.get_running_loop())
        return held[0] if held else await self._begin()

    async def _begin(self) -> T:
        """Make the client, once, however many ask for the first one at the same time."""
        here = asyncio.get_running_loop()
        for loop in [loop for loop in (*list(self._held), *list(self._coming)) if loop.is_closed()]:
            self._held.pop(loop, None)
            self._coming.pop(loop, None)
        async with self._coming.setdefault(here, asyncio.Lock()):
            if here not in self._held:
                life = self._life()
                self._held[here] = await anext(life), life
        return self._held[here][0]

    async def close(self) -> None:
        """End every client: this loop's now, another running loop's by that loop."""
        here = asyncio.get_running_loop()
        while self._held:
            loop, (_, life) = self._held.popitem()
            if loop is here:
                await life.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(life.aclose(), loop)
