"""The one retry loop's rules: what is tried again, how often, and after which wait."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thoughtgraph.errors import Unavailable, at_least

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState


@dataclass(frozen=True)
class Retry:
    """How hard a run tries to get each reply.

    `attempts` at one request: at 20 % faults three leave 11 dead calls of 1,400, six leave 0.1. They end after
    `elapsed` seconds too, and where the budget ends. `patience` is the longest wait in seconds that a provider may ask
    for: beyond it the run ends, and is resumed later. `hedge` sends a request that is late a second time, and the
    first reply wins; `pace` slows all requests to an endpoint that answers 429.
    """

    attempts: int = 6
    patience: float = 120.0
    elapsed: float = 600.0
    hedge: bool = True
    pace: bool = True

    def __post_init__(self) -> None:
        at_least(1, attempts=self.attempts)
        at_least(0, patience=self.patience, elapsed=self.elapsed)

    def loop(self, *, heard: bool) -> AsyncRetrying:
        """The loop around an attempt. A server that was never `heard` and takes no connection is given up soon."""
        from tenacity import AsyncRetrying, retry_if_exception

        def enough(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            absent = not heard and isinstance(error, Unavailable) and error.cause == "connection"
            most = min(3, self.attempts) if absent else self.attempts
            return state.attempt_number >= most or (state.seconds_since_start or 0.0) >= self.elapsed

        return AsyncRetrying(stop=enough, retry=retry_if_exception(self._worth_another), wait=_wait, reraise=True)

    def _worth_another(self, error: BaseException) -> bool:
        return isinstance(error, Unavailable) and (error.retry_after or 0.0) <= self.patience


def _wait(state: RetryCallState) -> float:
    """The provider's own wish, if it said one; else full jitter, up to 0.05, 0.2, 0.8, 3.2, 12.8, 30 s.

    Most faults are over at once, so the first waits are short; an outage is not, so they grow fast.
    """
    error = state.outcome.exception() if state.outcome else None
    most = min(30.0, 0.05 * 4.0 ** (state.attempt_number - 1))
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return error.retry_after + random.uniform(0, min(most, 0.25 * error.retry_after + 0.05))
    return random.uniform(0, most)
