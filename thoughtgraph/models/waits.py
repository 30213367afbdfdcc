"""How long a provider wants to be left alone: each says it in a place of its own."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+"
_WISH = re.compile(rf"(?:\"retryDelay\"\s*:\s*\"|(?:try again|retry) in )({_SPAN})", re.IGNORECASE)
_LIMITS = ("requests", "tokens")


def retry_after(headers: Mapping[str, str], *, rates: bool = False) -> float | None:
    """The wish in the headers, in seconds: `retry-after-ms`, else `Retry-After` as seconds or as a date.

    With `rates`, where there is neither, the time at which the exhausted rate limit (of requests, of tokens) is reset.
    """
    if (wait := _number(headers.get("retry-after-ms"))) is not None:
        return wait / 1000
    text = headers.get("retry-after")
    wait = _number(text)
    wait = _until(text) if wait is None else wait
    return _reset(headers) if wait is None and rates else wait


def wish(raw: bytes) -> float | None:
    """The wish in an error's body: Google's `"retryDelay": "13s"`, or "try again in 6m0s"."""
    found = _WISH.search(raw[:20_000].decode("utf-8", "replace"))
    return seconds(found[1]) if found else None


def seconds(span: str | None) -> float | None:
    """A span of time such as "1s", "6m0s", "20ms", "1h2m3.5s", or a plain number of seconds."""
    if span is None or not re.fullmatch(_SPAN, span):
        return _number(span)
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd])", span))


def _reset(headers: Mapping[str, str]) -> float | None:
    """The longest wait among limits with nothing left; where none says so, the shortest."""
    spans = {limit: seconds(headers.get(f"x-ratelimit-reset-{limit}")) for limit in _LIMITS}
    waits = {limit: span for limit, span in spans.items() if span is not None}
    spent = [waits[limit] for limit in waits if headers.get(f"x-ratelimit-remaining-{limit}") == "0"]
    return max(spent) if spent else min(waits.values(), default=None)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _until(text: str | None) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text or "").timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
