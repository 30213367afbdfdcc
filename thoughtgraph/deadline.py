"""When an answer is late, from how long the others took; and how many may be asked for once more.

A request that outlives its deadline is hedged: a second one is sent, and the first answer wins (Dean & Barroso, The
Tail at Scale, 2013). That is cheap where few are late, so a deadline lies above nearly all answers, and an allowance
bounds what it costs where many are.
"""

from __future__ import annotations

from collections import deque

COLD = 10.0
"""The deadline, in seconds, where no answer has been seen."""

WINDOW = 200
"""The latest answers count: thirty slow ones, and the deadline has followed."""

QUANTILE, FACTOR = 0.9, 1.45
"""Where latency is lognormal with sigma 0.5, 2 % are later than so many times this quantile. One in ten may hang."""

MARGIN = 0.1
"""A deadline is at least so many seconds above the quantile: it may be a busy event loop that is late."""

KNOWN = 8
"""From so many answers on, a deadline is what it will be."""

FREE, SHARE, MOST = 3.0, 0.1, 50.0
"""The allowance: three hedges and one for every ten requests, of which no more than fifty are saved up."""


class Latency:
    """How long one kind of request takes, for all that send it: of one model in one role, say.

    Requests that differ tenfold in length want a Latency each: the deadline of a mixture is that of the longest.
    """

    def __init__(self) -> None:
        self._seconds = deque[float](maxlen=WINDOW)
        self._seen = 0
        self._deadline = COLD
        self._allowance = FREE

    def saw(self, seconds: float) -> None:
        """A request was answered, so many seconds after it left itself: a hedge counts from its own start."""
        self._seconds.append(seconds)
        self._seen += 1
        if self._seen < 4 * KNOWN or not self._seen % KNOWN:  # sorting for each answer would cost more than it tells
            self._deadline = self._reckon()

    def _reckon(self) -> float:
        """Wide after one answer, and soon narrow."""
        ordered = sorted(self._seconds)
        typical = ordered[int(QUANTILE * (len(ordered) - 1))]
        return typical + max(MARGIN, typical * (FACTOR - 1 + 3 / len(ordered) ** 2))

    def deadline(self) -> float:
        """Seconds after which a request in flight is late."""
        return self._deadline

    def left(self, waited: float) -> float:
        """Seconds to wait on, for one that has waited so long; 0 where it is late. Then ask again: others teach."""
        left = self._deadline - waited
        if left < 0.001:  # a timer may fire a little early, and need not be set again for that
            return 0.0
        return left if self._seen >= KNOWN else min(left, max(0.25, waited))

    def went(self) -> None:
        """A request has left: there is a little more to hedge with. A hedge itself is none of these."""
        self._allowance = min(MOST, self._allowance + SHARE)

    def hedge(self) -> bool:
        """Whether a late request may be sent once more: takes one from the allowance."""
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


_latencies: dict[str, Latency] = {}


def latency_of(name: str) -> Latency:
    """The latency of one kind of request in this process: one for all runs."""
    if name not in _latencies:
        _latencies[name] = Latency()
    return _latencies[name]
