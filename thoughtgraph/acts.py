"""Acts outside of the run (a tool, a simulator, somebody's own program), and what came of them, written down."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from thoughtgraph.books import Books
from thoughtgraph.errors import EffectError, Unsure
from thoughtgraph.thought import Json, as_json, clean
from thoughtgraph.trace import Acted, Begun, Record

Act: TypeAlias = Callable[[], Awaitable[Json] | Json]
"""What is to be done: a function of nothing, whose value is JSON."""


class Acts:
    """The journal of a run's acts. A place is (effect key, name), or ("", name) for an act that is done once a run.

    What ended is found again by an effect that is performed anew. What must be done once is written down before it
    begins, and durable; where the run was killed before it ended, nobody knows whether it happened: it is not done
    again, and `Unsure` says so.
    """

    def __init__(self, books: Books) -> None:
        self.books = books
        self._ended: dict[tuple[str, str], Acted] = {}
        self._begun = set[tuple[str, str]]()
        self._doing: dict[tuple[str, str], asyncio.Future[None]] = {}

    def replay(self, records: Sequence[Record]) -> None:
        """Take over what was written down before."""
        for record in records:
            if isinstance(record, Begun):
                self._begun.add(("", record.name))
            elif isinstance(record, Acted):
                self._ended[record.key, record.name] = record

    async def do(self, key: str, name: str, act: Act) -> Json:
        """Do it unless the journal has it. An act that fails is not written down, and is done again."""
        if (ended := self._ended.get((key, name))) is None:
            at = self.books.clock()
            ended = self._write(Acted(key, name, await _done(act, name), "", *self._times(at)))
        return ended.value

    async def once(self, name: str, act: Act) -> Json:
        """Do it unless it was ever begun; its failure is its result, for good."""
        place = ("", name)
        if place in self._doing:
            await asyncio.shield(self._doing[place])
        if place not in self._ended:
            if place in self._begun:
                raise Unsure(name)
            await self._first(place, act)
        ended = self._ended[place]
        if ended.error:
            raise EffectError(f"{name!r} failed, and is not tried again: {ended.error}")
        return ended.value

    async def _first(self, place: tuple[str, str], act: Act) -> None:
        over = self._doing[place] = asyncio.get_running_loop().create_future()
        self._begun.add(place)
        try:
            self.books.note(Begun(place[1], self.books.clock()))
            await self.books.flushed()
            self._ended[place] = await self._outcome(place, act)
            with contextlib.suppress(asyncio.CancelledError):  # it is done: only its record is still on the way
                await self.books.flushed()
        finally:
            del self._doing[place]
            over.set_result(None)

    async def _outcome(self, place: tuple[str, str], act: Act) -> Acted:
        at = self.books.clock()
        try:
            value, error = await _done(act, place[1]), ""
        except Exception as failure:  # noqa: BLE001  # what it did before it failed is done
            value, error = None, clean(f"{type(failure).__name__}: {failure}")
        return self._write(Acted(*place, value, error, *self._times(at)))

    def _times(self, begun: float) -> tuple[float, float]:
        """How long it took, and when it was."""
        now = self.books.clock()
        return now - begun, now

    def _write(self, acted: Acted) -> Acted:
        self.books.note(acted)
        self.books.commit()
        return acted


async def _done(act: Act, name: str) -> Json:
    value = act()
    return as_json(await value if inspect.isawaitable(value) else value, f"what the act {name!r} returned")
