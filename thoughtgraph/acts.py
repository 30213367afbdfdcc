"""Acts outside of the run (a tool, a simulator, somebody's own program), and what came of them, written down."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import TypeAlias

from thoughtgraph.books import Books
from thoughtgraph.budget import Usage
from thoughtgraph.errors import BudgetExhausted, EffectError, Unsure
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
        self._ended: dict[str, dict[str, Acted]] = {}
        self._begun = set[str]()
        self._doing: dict[str, asyncio.Future[None]] = {}

    def replay(self, records: Sequence[Record], done: Container[str] = ()) -> None:
        """Take over what was written down before; the acts of effects that are `done`, by key, are not needed again."""
        for record in records:
            if isinstance(record, Begun):
                self._begun.add(record.name)
            elif isinstance(record, Acted) and record.key not in done:
                self._keep(record)

    def forget(self, key: str) -> None:
        """An effect is done: nobody will ask for its acts again."""
        self._ended.pop(key, None)

    @property
    def unsure(self) -> list[str]:
        """What was begun, and of which nobody knows whether it happened."""
        return sorted(self._begun - self._ended.get("", {}).keys())

    async def do(self, key: str, name: str, act: Act, calls: int = 0) -> Json:
        """Do it unless the journal has it. An act that fails is not written down, and is done again.

        It counts as so many `calls`, before it begins; `BudgetExhausted` where they do not fit.
        """
        if (ended := self._found(key, name)) is None:
            if calls and (limit := self.books.purse.spend(Usage(calls))):
                raise BudgetExhausted(limit)
            at = self.books.clock()
            ended = self._write(Acted(key, name, await _done(act, name), "", *self._times(at), calls))
        return ended.value

    async def once(self, name: str, act: Act) -> Json:
        """Do it unless it was ever begun; its failure is its result, for good."""
        if name in self._doing:
            await asyncio.shield(self._doing[name])
        if self._found("", name) is None and name not in self._begun:
            await self._first(name, act)
        if (ended := self._found("", name)) is None:
            raise Unsure(name)
        if ended.error:
            raise EffectError(f"{name!r} failed, and is not tried again: {ended.error}")
        return ended.value

    async def _first(self, name: str, act: Act) -> None:
        over = self._doing[name] = asyncio.get_running_loop().create_future()
        self._begun.add(name)
        try:
            self.books.note(Begun(name, self.books.clock()))
            await self.books.flushed()
            await self._outcome(name, act)
            with contextlib.suppress(asyncio.CancelledError):  # it is done: only its record is still on the way
                await self.books.flushed()
        finally:
            del self._doing[name]
            over.set_result(None)

    async def _outcome(self, name: str, act: Act) -> None:
        at = self.books.clock()
        try:
            value, error = await _done(act, name), ""
        except Exception as failure:  # noqa: BLE001  # what it did before it failed is done
            value, error = None, clean(f"{type(failure).__name__}: {failure}")
        self._write(Acted("", name, value, error, *self._times(at)))

    def _times(self, begun: float) -> tuple[float, float]:
        """How long it took, and when it was."""
        now = self.books.clock()
        return now - begun, now

    def _write(self, acted: Acted) -> Acted:
        self._keep(acted)
        self.books.note(acted)
        self.books.commit()
        return acted

    def _keep(self, acted: Acted) -> None:
        self._ended.setdefault(acted.key, {})[acted.name] = acted

    def _found(self, key: str, name: str) -> Acted | None:
        return self._ended.get(key, {}).get(name)


async def _done(act: Act, name: str) -> Json:
    value = act()
    return as_json(await value if inspect.isawaitable(value) else value, f"what the act {name!r} returned")
