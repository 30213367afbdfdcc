"""How long a provider wants to be left alone: each says it in a place of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from thoughtgraph import posting
from thoughtgraph.posting import number

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+"
_WISH = re.compile(rf"(?:\"retryDelay\"\s*:\s*\"|(?:try again|retry) in )({_SPAN})", re.IGNORECASE)
_LIMITS = ("requests", "tokens")


def retry_after(headers: Mapping[str, str], *, rates: bool = False) -> float | None:
    """The wish in the headers, in seconds: `retry-after-ms`, else `Retry-After` as seconds or as a date.

    With `rates`, where there is neither, the time at which the exhausted rate limit (of requests, of tokens) is reset.
    """
    wait = posting.retry_after(headers)
    return _reset(headers) if wait is None and rates else wait


def wish(raw: bytes) -> float | None:
    """The wish in an error's body: Google's `"retryDelay": "13s"`, or "try again in 6m0s"."""
    found = _WISH.search(raw[:20_000].decode("utf-8", "replace"))
    return seconds(found[1]) if found else None


def seconds(span: str | None) -> float | None:
    """A span of time such as "1s", "6m0s", "20ms", "1h2m3.5s", or a plain number of seconds."""
    if span is None or not re.fullmatch(_SPAN, span):
        return number(span)
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd])", span))


def _reset(headers: Mapping[str, str]) -> float | None:
    """The longest wait among limits with nothing left; where none says so, the shortest."""
    spans = {limit: seconds(headers.get(f"x-ratelimit-reset-{limit}")) for limit in _LIMITS}
    waits = {limit: span for limit, span in spans.items() if span is not None}
    spent = [waits[limit] for limit in waits if headers.get(f"x-ratelimit-remaining-{limit}") == "0"]
    return max(spent) if spent else min(waits.values(), default=None)
