"""A pace that all callers of one endpoint share: a token bucket that learns the provider's own.

A provider's limit is a bucket: so many requests a second flow in, each request takes one out, and where it is empty
the answer is 429. Between two moments at which it was seen empty, the number of accepted requests divided by the time
is its rate: exactly, and whatever the latency. That is all that is learnt here; the rest is when to believe it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

Ticket = tuple[int, float]
"""The number of a request among all that left for this endpoint, and when it left."""

START = 64
"""So many requests leave at once for an endpoint that nothing is known of; each answer then lets two more in flight."""

LIMIT = 28, 100
"""So many refused, among so many sent in a row, are a limit. Where 10 % are refused at random, that never happens."""

FALLEN = 8, 12
"""So many refused, among so many, at a known pace: it is far too high."""

FOUND = 4, 6
"""So many refused, among so many, while the pace is searched for: it is above the limit."""

FEW, ENOUGH = 4, 32
"""Accepted requests that a first guess at a rate takes, and those that make it good to 3 %."""

STRAY = 0.06, 0.5
"""With between so many refused, three times running though the pace was cut each time, it is not about the pace."""

LONGEST = 60.0
"""The longest hold, in seconds: then one looks again, and the provider may say something else."""


class Limit:
    """What is known of a provider's limit, from which requests it refused. It knows no event loop.

    There is none (`on` is false), or it is searched for (`_known` is 0), or it is known. A known pace may be a bold
    guess, and `_sure` is false until it was measured.
    """

    def __init__(self) -> None:
        self.on = False
        self.waited = 0  # requests that stood in line since the pace was set: without them its growth proves nothing
        self._known = self._mean = self._since = self._hold = 0.0
        self._sure = False
        self._empty: Ticket = (0, 0.0)  # the latest request that found the bucket empty before the pace was set
        self._lost = 0  # refused since then
        self._last = 0  # the number of the last request that left before the pace was set
        self._stray = 0  # how many times running the pace was cut in vain
        self._refused = deque[Ticket](maxlen=LIMIT[0])

    def rate(self, now: float) -> float:
        """Requests a second that may leave: near a known limit it grows slowly, and then ever faster, as in CUBIC."""
        if self._known:
            steps = max(self.waited, now - self._since) / (120 if self._sure else 40)
            return self._known * (0.97 + steps**3)
        return 4 * 4 ** min(now - self._since, 9.0)

    def gone(self, now: float) -> bool:
        """Whether nothing was refused at a pace far above the limit."""
        return self.rate(now) > (8 * self._known or 4000)

    def refused(self, ticket: Ticket, last: int, now: float, wait: float) -> float:
        """A request was refused; `last` is the number of the last that has left. Seconds in which none should leave."""
        if ticket[0] <= self._last:  # it left at the pace before, and says no more than that the bucket was empty still
            self._empty = self._empty if self._lost else max(self._empty, ticket)
            return 0.0
        self._refused.append(ticket)
        self._lost += 1
        if not self.on:
            return self._begin(ticket, last, now, wait) if self._dense(LIMIT) else 0.0
        if self._dense(FALLEN if self._known else FOUND):
            return self._too_high(ticket, last, now, wait)
        return self._measure(ticket, last) if self._known and self.waited >= ENOUGH else 0.0

    def _dense(self, few_among: tuple[int, int]) -> bool:
        few, among = few_among
        return len(self._refused) >= few and self._refused[-1][0] - self._refused[-few][0] < among

    def _begin(self, ticket: Ticket, last: int, now: float, wait: float) -> float:
        """There is a limit. Where many got through, so many a second are allowed; else nothing is known."""
        self.on, self._sure, self._stray, self._hold = True, True, 0, wait / 2
        self._empty, self._lost = self._refused[0], len(self._refused) - 1
        accepted, seconds = self._accepted(ticket)
        if accepted >= ENOUGH:
            return self._set(ticket, last, accepted / seconds)
        self._empty, self._lost = ticket, 0
        return self._search(last, now, wait)

    def _search(self, last: int, now: float, wait: float) -> float:
        """It is empty: none leaves for as long as the provider says, or longer where that was too short before."""
        self._hold = min(LONGEST, max(wait, 2 * self._hold))
        self._known, self._since, self._last = 0.0, now + self._hold, last
        self._refused.clear()
        return self._hold

    def _too_high(self, ticket: Ticket, last: int, now: float, wait: float) -> float:
        """Many refusals at a known pace: the bucket was never full meanwhile, so the mean is the rate.

        In a search it may have been full for a while. The mean is too low then, and the pace itself is a bold guess.
        """
        accepted, seconds = self._accepted(ticket)
        bold = 0.0 if self._known else self.rate(ticket[1]) / 4
        if accepted >= FEW:
            self._mean = accepted / seconds
        elif self._sure or not self._known:
            return self._search(last, now, wait)
        self._sure, self._hold = not bold, 0.0
        return self._set(ticket, last, max(self._mean, bold))

    def _measure(self, ticket: Ticket, last: int) -> float:
        """One refusal: the bucket is empty again. Where the mean has risen it was full before, and has more to give."""
        accepted, seconds = self._accepted(ticket)
        few, many = STRAY
        self._stray = self._stray + 1 if few < self._lost / (accepted + self._lost) < many else 0
        self.on = self._stray < 3
        self._mean, bold = accepted / seconds, 0.9 * self.rate(ticket[1])
        self._sure = self._mean < 1.05 * self._known
        return self._set(ticket, last, self._mean if self._sure else bold)

    def _accepted(self, ticket: Ticket) -> tuple[int, float]:
        """How many were accepted since the bucket was seen empty, and in how many seconds."""
        return ticket[0] - self._empty[0] - self._lost, max(ticket[1] - self._empty[1], 1e-3)

    def _set(self, ticket: Ticket, last: int, rate: float) -> float:
        self._known, self._since = max(rate, 1 / LONGEST), ticket[1]
        self._empty, self._last = ticket, last
        self._lost = self.waited = 0
        self._refused.clear()
        return 2 / self._known  # a cushion: two requests in the bucket take up the jitter of the network


class Pace:
    """The callers of one endpoint, in one line: they leave no faster than it allows.

    Where the pace is not `free`, a caller waits for its `turn`. As its request leaves it says `went`, and later `ok`,
    or `limited` with the ticket that `went` gave. `clock` counts seconds, as `time.monotonic` does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.free = True
        """Whether nothing holds a request back: its caller need not wait for a turn then."""
        self._clock = clock
        self._limit = Limit()
        self._sent = self._let = self._answered = 0
        self._next = 0.0
        self._line = deque[asyncio.Future[None]]()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self) -> None:
        """Wait for one's place in the line: first come, first served. Who is cancelled leaves it."""
        if not self._line and self._gap() <= 0:
            self._step()
            return
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        self._arm()
        await place

    def went(self) -> Ticket:
        """A request leaves. Every one says so, whether it had to wait or not; a refusal is told with this ticket."""
        self._sent += 1
        if self.free:
            self._let += 1
            self.free = self._open()
        return self._sent, self._clock()

    def ok(self) -> None:
        """A request has ended, with anything but 429."""
        self._answered += 1
        if self._line and not self._limit.on:
            self._wake()

    def limited(self, ticket: Ticket, wait: float | None) -> None:
        """A request was answered with 429, and with the provider's Retry-After in seconds if it sent one."""
        now = self._clock()
        hold = self._limit.refused(ticket, self._sent, now, 1.0 if wait is None else max(0.1, wait))
        if hold:
            self._next = now + hold
        if self._limit.on:
            self.free, self._let = False, self._answered

    def _open(self) -> bool:
        return not self._limit.on and self._let < START + 3 * self._answered

    def _gap(self) -> float:
        """Seconds until the next one may leave."""
        return 0.0 if self._open() else self._next - self._clock()

    def _step(self) -> None:
        """One leaves. What a busy event loop missed in the last moment is made up for."""
        now = self._clock()
        self._let += 1
        due = max(self._next, now - 0.05)
        self._next = due + 1 / self._limit.rate(now) if self._limit.on else now + 1 / START
        self._limit.on = self._limit.on and (bool(self._line) or not self._limit.gone(now))
        self.free = not self._line and self._open()

    def _arm(self) -> None:
        """One timer for the whole line."""
        if self._line and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self._gap()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        """Let those go whose turn has come."""
        while self._line and self._gap() <= 0:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                self._limit.waited += 1
                self._step()
        self._arm()


_lock = threading.Lock()
_paces: dict[asyncio.AbstractEventLoop, dict[str, Pace]] = {}


def pace_of(endpoint: str) -> Pace:
    """The pace of an endpoint in the running event loop: one for all runs in it."""
    with _lock:
        for dead in [loop for loop in _paces if loop.is_closed()]:
            del _paces[dead]
        return _paces.setdefault(asyncio.get_running_loop(), {}).setdefault(endpoint, Pace())
