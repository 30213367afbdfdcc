"""One attempt at a request, and its doubles: what is late is sent again, the first reply wins, all is booked.

Cf. Dean and Barroso, "The Tail at Scale" (2013), on hedged requests.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from thoughtgraph.budget import Usage, times
from thoughtgraph.errors import ModelError, StoreError, Unavailable
from thoughtgraph.model import Completion
from thoughtgraph.trace import Sent

if TYPE_CHECKING:
    from thoughtgraph.books import Books
    from thoughtgraph.errand import Errand
    from thoughtgraph.pace import Ticket

DOUBLES = 3
"""So often one request is doubled at most: a double can hang as well."""


class Attempt:
    """One request under way. Whatever happens to it and its doubles is booked when `answer` ends."""

    __slots__ = (
        "_began", "_clock", "_cut", "_doubles", "_loop", "_open", "_task", "_tickets", "_waiting", "books", "errand",
        "hedge", "latency", "line", "pace", "sent", "won",
    )  # fmt: skip

    def __init__(self, books: Books, errand: Errand, sent: Sent, *, hedge: bool, pace: bool) -> None:
        self.books, self.errand, self.sent, self.pace = books, errand, sent, pace
        self.line, self.latency = errand.question.line, errand.question.line.latency(errand.question.role)
        self.hedge = hedge
        self.won: tuple[Sent, Completion] | None = None
        self._open: dict[int, Sent] = {sent.id: sent}
        self._tickets: dict[int, Ticket] = {}
        self._doubles: tuple[asyncio.Task[None], ...] = ()
        self._loop = asyncio.get_running_loop()
        self._waiting = self._cut = False

    async def answer(self) -> tuple[Sent, Completion]:
        """The reply, and the record of the request that it came to: this one, or a double."""
        try:
            sent, completion = await self._first()
            del self._open[sent.id]
            return sent, completion
        except Unavailable as error:
            if not self._doubles:
                self._failed(self.sent, error)
                raise
            return await self._of_a_double(error)
        except ModelError as error:
            self._failed(self.sent, error)
            raise
        finally:
            self._stop()

    async def _first(self) -> tuple[Sent, Completion]:
        """The request's own reply; or that of a double which came first, for which it is cancelled like for a time-out.

        One timer serves both ends, where `asyncio.timeout` and another would cost as much as the rest of an attempt.
        """
        self._task, self._began = _running(), self._loop.time()
        cancelling = self._task.cancelling()
        self._watch(self._began)
        self.latency.went()
        try:
            self._waiting = True
            completion = await self._ask(self.sent)
        except TimeoutError:  # a model that keeps the time itself, and says so in Python's own word
            return self._over(cancelling)
        except BaseException as error:
            outside = isinstance(error, asyncio.CancelledError) and self._task.cancelling() > cancelling + self._cut
            if self._cut and not outside:
                return self._over(cancelling)
            if self._cut:
                self._task.uncancel()
            raise
        finally:
            self._waiting = False
            self._clock.cancel()
        if self._cut:  # the model would not be cancelled
            self._task.uncancel()
        self._arrived(self._loop.time() - self._began)
        return self.sent, completion

    def _over(self, cancelling: int) -> tuple[Sent, Completion]:
        """The request is not waited for any longer: what a double brought; `Unavailable` where the time is up."""
        if self._cut and self._task.cancelling() > cancelling:
            self._task.uncancel()
        if self.won is None:
            late = f"no reply from {self.line.model.name} in {self.errand.request.timeout:g} s"
            raise Unavailable(late, cause="timeout", maybe_billed=True) from None
        return self.won

    def _stop_waiting(self) -> None:
        if self._waiting and not self._cut:
            self._cut = True
            self._task.cancel()

    async def _ask(self, sent: Sent) -> Completion:
        if self.pace:
            self._tickets[sent.id] = self.line.pace.went()
        completion = await self.line.ask(self.errand.request, self.sent.n)
        if not completion.replies:
            name = self.line.model.name
            raise Unavailable(f"{name} sent no choices", cause="empty choices", maybe_billed=True)
        return completion

    def _arrived(self, seconds: float) -> None:
        self.latency.saw(seconds)
        if self.pace:
            self.line.pace.ok()

    def _failed(self, sent: Sent, error: ModelError) -> None:
        """Book an attempt that brought no reply."""
        if self._open.pop(sent.id, None) is None:
            return
        lost = isinstance(error, Unavailable) and error.maybe_billed
        self.books.failed(sent, error.cause, lost=lost)
        if (ticket := self._tickets.get(sent.id)) is None:
            return
        if error.cause == "429":
            self.line.pace.limited(ticket, error.retry_after if isinstance(error, Unavailable) else None)
        else:
            self.line.pace.ok()

    # -- doubles -------------------------------------------------------------------------------------------------

    def _watch(self, since: float) -> None:
        """Look again when what left at `since` is late, and at last when the request's time is up."""
        now = self._loop.time()
        left = self._began + self.errand.request.timeout - now
        if self.hedge and len(self._doubles) < DOUBLES:
            left = min(left, self.latency.left(now - since))
        self._clock = self._loop.call_later(left, self._late, since)

    def _late(self, since: float) -> None:
        """Time is up; or a deadline has passed: double the request, if allowance and budget have room."""
        now = self._loop.time()
        if self._cut or now - self._began >= self.errand.request.timeout:
            self._stop_waiting()
            return
        late = self.latency.left(now - since) <= 0  # if not, the answers that others got meanwhile have moved it
        if late and self._may_double() and (sent := self._hold()):
            self._doubles += (self._loop.create_task(self._double(sent)),)
        self._watch(now if late else since)

    def _may_double(self) -> bool:
        free = self.line.pace.free or not self.pace
        return free and self.books.purse.fits(self._worst) is None and self.latency.hedge()

    @property
    def _worst(self) -> Usage:
        """What a double may cost; its draws are calls already."""
        base, each = self.errand.worst
        return base + times(each, self.sent.n) - Usage(calls=self.sent.n)

    def _hold(self) -> Sent | None:
        """Reserve for a double and write it down; None where there is no room, or no writing any more."""
        s, held = self.sent, self._worst
        if not self.books.purse.hold(held):
            return None
        try:
            double = self.books.sent(
                s.key, s.part, s.draw, s.n, s.role, s.model, s.mark, self.errand.question.text, held,
                squeezed=s.squeezed, hedge=True, origins=s.origins,
            )  # fmt: skip
        except StoreError as error:
            self.books.purse.release(held)
            self.books.abort(error)
            return None
        self._open[double.id] = double
        return double

    async def _double(self, sent: Sent) -> None:
        began = self._loop.time()
        try:
            await self.books.flushed()
            async with asyncio.timeout(self._began + self.errand.request.timeout - self._loop.time()):
                completion = await self._ask(sent)
        except TimeoutError:
            self._failed(sent, Unavailable("late", cause="timeout", maybe_billed=True))
        except ModelError as error:
            self._failed(sent, error)
        except Exception as error:  # noqa: BLE001  # a broken model: the request itself will say so
            self._failed(sent, Unavailable(str(error), cause="broken", maybe_billed=True))
        else:
            self._arrived(self._loop.time() - began)
            if self.won is None:
                self.won = (sent, completion)
                self._stop_waiting()

    async def _of_a_double(self, error: Unavailable) -> tuple[Sent, Completion]:
        """What a double brings after the request itself has failed; the request's own error where none does.

        The calls stay held till then: the double's reply will be booked as them.
        """
        calls = Usage(calls=self.sent.n)
        self.books.purse.take(calls)
        try:
            self._failed(self.sent, error)
            while self.won is None and (left := [task for task in self._doubles if not task.done()]):
                await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.books.purse.release(calls)
        if self.won is None:
            raise error
        del self._open[self.won[0].id]
        return self.won

    def _stop(self) -> None:
        """What is still open has lost the race, or was cancelled with the run: it may be billed, and counts so."""
        for task in self._doubles:
            task.cancel()
        raced = self.won is not None or self.sent.id not in self._open
        for _ in self._tickets.keys() & self._open.keys():  # cancelled ones were not refused
            self.line.pace.ok()
        for sent in self._open.values():
            if raced:
                self.books.failed(sent, "hedged", lost=True)
            else:
                self.books.unsettled(sent)
        self._open.clear()


def _running() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
