"""What an HTTP status, a cut connection or a silence means: one mapping for every transport."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

from thoughtgraph.errors import ModelError, Unauthorized, Unavailable
from thoughtgraph.models.endpoint import Endpoint

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|(maximum|available) context|context (length|window|size)"
    r"|prompt is too long|input is too long|too many (input )?tokens",
    re.IGNORECASE,
)
_GATEWAY_GAVE_UP = (504, 524)
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


def refused(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
    """The error for a reply that is not 200. `headers` must find names in any case."""
    text, code = _said(raw)
    said = f"{endpoint} answered {status}: {endpoint.scrub(text) or 'nothing'}"
    if status in (401, 402, 403, 404) or code in _NO_CREDIT:
        return Unauthorized(f"{said}; {_remedy(endpoint, status)}")
    if status in (408, 409, 429) or status >= 500:
        return Unavailable(
            said, cause=str(status), retry_after=retry_after(headers), maybe_billed=status in _GATEWAY_GAVE_UP
        )
    if 300 <= status < 400:
        return ModelError(f"{said}; it points elsewhere and keys are not sent on: correct base_url")
    too_long = code == "context_length_exceeded" or _TOO_LONG.search(text)
    return ModelError(said, cause="context too long" if too_long else "rejected")


def timed_out(endpoint: Endpoint, seconds: float) -> Unavailable:
    """No whole reply in time. The provider may be at work all the same."""
    return Unavailable(f"{endpoint} gave no reply within {seconds:g} s", cause="timeout", maybe_billed=True)


def unreachable(endpoint: Endpoint, error: BaseException) -> Unavailable:
    """No connection came about, so nothing was asked."""
    why = endpoint.scrub(str(error)) or type(error).__name__
    return Unavailable(
        f"cannot connect to {endpoint.shown} ({why}): start the server there, or correct base_url", cause="connection"
    )


def cut_off(endpoint: Endpoint, error: BaseException) -> Unavailable:
    """The connection broke after the request was on its way."""
    why = endpoint.scrub(str(error)) or type(error).__name__
    return Unavailable(f"{endpoint} broke the connection ({why})", cause="reset", maybe_billed=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The provider's wish in seconds: `retry-after-ms`, else `Retry-After` as seconds or as a date."""
    if (wait := _number(headers.get("retry-after-ms"))) is not None:
        return wait / 1000
    text = headers.get("retry-after")
    return _number(text) if _number(text) is not None else _until(text)


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


def _said(raw: bytes) -> tuple[str, str]:
    """The message and the code of an error body; the text itself where it is no JSON of a known shape."""
    text = raw.decode("utf-8", "replace")
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    error = cast("dict[str, Any]", body).get("error", cast("Any", body)) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return error if isinstance(error, str) else text, ""
    error = cast("dict[str, Any]", error)
    return str(error.get("message") or error.get("detail") or text), str(error.get("code") or error.get("type") or "")


def _remedy(endpoint: Endpoint, status: int) -> str:
    if status == 404:
        return f"check the model's name {endpoint.model!r} and the base_url {endpoint.shown}"
    if status in (401, 403):
        return f"check the key in {endpoint.key_env} (or {endpoint.key_env}_FILE) and what it may use"
    return "the account has no credit left: add some, or use another model"
