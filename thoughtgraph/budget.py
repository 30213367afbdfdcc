"""Budgets that hold: what was spent, what is reserved, and whether the next thing fits."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, fields

from thoughtgraph.errors import at_least
from thoughtgraph.model import Price


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run used.

    `calls` are logical model calls (each draw and each redraw is one), `requests` HTTP attempts, `usd` dollars (None
    where a price is not known), `seconds` wall time over all resumes, `expansions` thoughts expanded, `evaluations`
    thoughts given to a critic.
    """

    calls: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0
    expansions: int = 0
    evaluations: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
            self.seconds + other.seconds,
            self.expansions + other.expansions,
            self.evaluations + other.evaluations,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.calls - other.calls,
            self.requests - other.requests,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            None if self.usd is None or other.usd is None else self.usd - other.usd,
            self.seconds - other.seconds,
            self.expansions - other.expansions,
            self.evaluations - other.evaluations,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limits of a run's `Usage`; None is no limit. A limit is a guarantee: the worst case is reserved first.

    `usd` in dollars, `tokens` prompt and completion together, `seconds` of wall time. On resume a budget is the new
    total, not an addition.
    """

    usd: float | None = None
    calls: int | None = None
    requests: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    expansions: int | None = None
    evaluations: int | None = None

    def __post_init__(self) -> None:
        at_least(0, **{field.name: getattr(self, field.name) for field in fields(self)})
        for name in ("calls", "requests", "tokens", "expansions", "evaluations"):
            if isinstance(limit := getattr(self, name), float) and not limit.is_integer():
                raise ValueError(f"{name} is {limit!r}: expected a whole number")

    def __str__(self) -> str:
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return ", ".join(f"{value:g} {name}" for name, value in said.items() if value is not None) or "no limit"

    @property
    def limits(self) -> list[tuple[str, float]]:
        """The limits that are set, by name; seconds are the clock's business, not the purse's."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self) if f.name != "seconds")
        return [(name, limit) for name, limit in named if limit is not None]


class Purse:
    """A run's money: `spent` is settled, `lost` was sent and never answered (counted in full), `held` is reserved.

    Whoever finds no room waits in line while others' reservations may still settle for less, and is refused only
    when nothing is held.
    """

    def __init__(self, budget: Budget, spent: Usage | None = None, lost: Usage | None = None) -> None:
        self.budget = budget
        self.spent = spent or Usage()
        self.lost = lost or Usage()
        self.held = Usage()
        self.holders = 0
        self._limits = budget.limits
        self._line: deque[asyncio.Future[None]] = deque()

    def fits(self, cost: Usage) -> str | None:
        """None if `cost` fits now beside what is spent, lost and held; else the limit that it exceeds."""
        for name, limit in self._limits:
            spent, lost, held, more = (getattr(usage, name) for usage in (self.spent, self.lost, self.held, cost))
            if None in (spent, lost, held, more) or spent + lost + held + more > limit + 1e-12:
                return name
        return None

    def tokens_left(self, base: Usage, price: Price | None) -> int:
        """How many completion tokens one draw beside `base` may have; 0 where a limit that is not theirs is reached."""
        if self.fits(base + Usage(calls=1)):
            return 0
        counted = self.spent + self.lost + self.held + base
        left = [math.inf if self.budget.tokens is None else self.budget.tokens - counted.tokens]
        if self.budget.usd is not None and price is not None and price.completion > 0 and counted.usd is not None:
            left.append((self.budget.usd - counted.usd) * 1e6 / price.completion)
        return 0 if math.isinf(min(left)) else int(min(left))

    def spend(self, cost: Usage) -> str | None:
        """Book a cost that is known beforehand; the limit that it exceeds if it does not fit."""
        if limit := self.fits(cost):
            return limit
        self.spent += cost
        return None

    async def reserve(self, base: Usage, each: Usage, n: int) -> tuple[int, str | None]:
        """Hold `base` and as many times `each` as fit, at most `n`: how many, and the limit that stopped the rest.

        Waits while it does not fit whole and others hold reservations. 0 is a refusal.
        """
        waited = bool(self._line)
        if waited:
            await self._wait(first=False)  # those who want little do not overtake for ever those who want much
        while limit := self.fits(base + times(each, n)):
            if not self.holders:
                n = next((m for m in range(n - 1, 0, -1) if not self.fits(base + times(each, m))), 0)
                break
            await self._wait(first=waited)
            waited = True
        if n:
            self.held += base + times(each, n)
            self.holders += 1
        self._wake()
        return n, limit

    def hold(self, cost: Usage) -> bool:
        """Reserve `cost` at once, if it fits and nobody waits in line; whether it was."""
        if self._line or self.fits(cost):
            return False
        self.held += cost
        self.holders += 1
        return True

    def take(self, cost: Usage) -> None:
        """Hold `cost` whether it fits or not: for whoever gives back as much in the same moment."""
        self.held += cost
        self.holders += 1

    def settle(self, held: Usage, spent: Usage) -> None:
        """Exchange a reservation for what it came to."""
        self.spent += spent
        self.release(held)

    def lose(self, held: Usage) -> None:
        """Book a reservation whose answer never came: it counts in full."""
        self.lost += held
        self.release(held)

    async def _wait(self, first: bool) -> None:
        waiter = asyncio.get_running_loop().create_future()
        (self._line.appendleft if first else self._line.append)(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._line:
                self._line.remove(waiter)
            self._wake()
            raise

    def release(self, held: Usage) -> None:
        """Give a reservation back: who booked what it came to did so before, or nothing is spent."""
        self.held -= held
        self.holders -= 1
        if not self.holders:
            self.held = Usage()
        self._wake()

    def _wake(self) -> None:
        """One at a time, in order: whoever got its share, or was refused, wakes the next."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def times(usage: Usage, n: int) -> Usage:
    """`n` times a usage."""
    u = usage
    usd = None if u.usd is None else u.usd * n
    return Usage(
        u.calls * n, u.requests * n, u.prompt_tokens * n, u.completion_tokens * n, usd, u.seconds * n,
        u.expansions * n, u.evaluations * n,
    )  # fmt: skip
