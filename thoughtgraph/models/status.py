"""What an HTTP status, a cut connection or a silence means: one mapping for every transport."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Completion, Reply
from thoughtgraph.models.waits import retry_after, wish

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|(maximum|available|exceeds? the|exceeds? max\w*) context"
    r"|context[ _](length|window|size|limit|the overflows)|(prompt|input|request) is too long|maximum prompt length"
    r"|maximum model length|too many (input |prompt )?tokens|exceeds the (maximum|limit)[\w ]* of (input )?tokens"
    r"|input token count|reduce the length of the|`inputs` (tokens|must have)|(prompt|request|input) (is )?too large",
    re.IGNORECASE,
)
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
"""The transport's errors before a request left, by name: they are httpx's or httpx2's, as the SDK's version has it."""
_GATEWAY_GAVE_UP = (504, 524)
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_FILTERED = ("content_filter", "content_policy_violation", "invalid_prompt")

_SETTINGS = {
    "schema": r"response[_ ]?format|(response|json|output)[_ ]?schema|json mode|output_(format|config)|text\.format"
    r"|structured[_ ]outputs?|guided[_ ]\w+|grammar",
    "temperature": r"temperature",
    "logprobs": r"(top_|response_?)?logprobs|log probabilities",
    "seed": r"(random_)?seed",
    "stop": r"['\"`]stop['\"`]|stop[_ ]?sequences?|(parameter|argument|supplied|model):? stop",
    "n": r"['\"`]n['\"`]|(parameter|argument|supplied):? n|n(?= (>|<=|must|is|has))|(candidate|choice)_?count"
    r"|multiple (candidates|completions|choices)|(?<=only )one (completion|choice|candidate)",
}
"""The settings of a `Request`, in servers' words for them."""

_NO = (
    r"not (yet )?(support|enabled|allow|permitted|available|implemented)|n[o']t (support|allow)|unsupported|unavailable"
    r"|deprecated|unrecogni[sz]ed|unknown|extra inputs|must be (one|at most|1)\b|(greater|larger) than (the )?max"
    r"|is enabled only|only(?= one)|invalid(?= (json )?schema)|(invalid|parse|compil\w+)(?= (\w+ )?grammar)"
    r"|(?<=grammar )error"
)
_REFUSALS = {
    setting: re.compile(rf"{word}[^.;\n]{{0,80}}?({_NO})|({_NO})[^.;\n]{{0,60}}?{word}", re.IGNORECASE)
    for setting, word in ((setting, rf"(?<![\w-])({name})(?![\w-])") for setting, name in _SETTINGS.items())
}
_UNSUPPORTED = ("unsupported_parameter", "unsupported_value", "unknown_parameter", "invalid_json_schema")
_MAY_REFUSE = (400, 403, 422, 500, 501)
_NO_HOST = re.compile(
    r"name (or service|resolution)|nodename|getaddrinfo|no address associated|name does not resolve", re.IGNORECASE
)


class _Said(NamedTuple):
    """An error body: its message, its code in lower case, the parameter that it names."""

    text: str
    code: str = ""
    param: str = ""


def unanswered(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, near: str = "") -> Completion:
    """What a reply that is not 200 comes to: a refused draw where the prompt was filtered, else an error.

    A filtered prompt is as a reply that was filtered: one thought's words were to blame, and no other one's. It is
    billed perhaps (by Azure it is), so its tokens are not known.
    """
    said = _read(raw)
    if status in (400, 403, 422) and said.code in _FILTERED:
        return Completion((Reply(endpoint.scrub(said.text), "content_filter"),), None, 0)
    raise refused(endpoint, status, headers, raw, near)


def refused(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, near: str = "") -> ModelError:
    """The error for a reply that is not 200. `headers` must find names in any case; `near` is a model's name."""
    answer = _read(raw)
    said = f"{endpoint} answered {status}: {endpoint.scrub(answer.text) or 'nothing'}"
    if status in _MAY_REFUSE and (parameter := _setting(answer)):
        return Unsupported(f"{said}; the model takes no {parameter}: leave it out", parameter=parameter)
    if status in (401, 402, 403, 404) or answer.code in _NO_CREDIT or "credit balance is too low" in answer.text:
        return Unauthorized(f"{said}; {_remedy(endpoint, status, near)}")
    if status in (408, 409, 429) or status >= 500:
        wait = retry_after(headers, rates=status == 429)
        wait = wish(raw) if wait is None else wait
        return Unavailable(said, cause=str(status), retry_after=wait, maybe_billed=status in _GATEWAY_GAVE_UP)
    if status == 407:
        return ModelError(
            f"{said}; the proxy {endpoint.shown_proxy} wants a user and a password: put them into its URL"
        )
    if 300 <= status < 400:
        return ModelError(f"{said}; it points elsewhere and keys are not sent on: correct base_url")
    too_long = answer.code == "context_length_exceeded" or _TOO_LONG.search(answer.text)
    return ModelError(said, cause="context too long" if too_long else "rejected")


def other_limit(raw: bytes, limit: str) -> bool:
    """Whether an error says that the reply's bound is not to be called `limit`, but "max_completion_tokens"."""
    said = _read(raw)
    named = limit in (said.param or said.text)
    return named and limit != "max_completion_tokens" and "max_completion_tokens" in said.text


def timed_out(endpoint: Endpoint, seconds: float) -> Unavailable:
    """No whole reply in time. The provider may be at work all the same."""
    return Unavailable(f"{endpoint} gave no reply within {seconds:g} s", cause="timeout", maybe_billed=True)


def unreachable(endpoint: Endpoint, error: BaseException) -> Unavailable:
    """No connection came about, so nothing was asked."""
    why = endpoint.scrub(str(error)) or type(error).__name__
    if proxy := endpoint.shown_proxy:
        remedy = f"through the proxy {proxy} ({why}): correct HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY"
    elif _no_host(error):
        remedy = (
            f"(no address is known for {endpoint.host}): correct base_url, or set HTTPS_PROXY if a proxy leads there"
        )
    else:
        remedy = f"({why}): start the server there, or correct base_url"
    return Unavailable(f"cannot connect to {endpoint.shown} {remedy}", cause="connection")


def cut_off(endpoint: Endpoint, error: BaseException) -> Unavailable:
    """The connection broke after the request was on its way."""
    why = endpoint.scrub(str(error)) or type(error).__name__
    return Unavailable(f"{endpoint} broke the connection ({why})", cause="reset", maybe_billed=True)


def too_big(endpoint: Endpoint, most: int) -> Unavailable:
    """A reply without an end in sight."""
    return Unavailable(
        f"{endpoint} sent more than {most:,} bytes for one request, where a reply of text was expected: is it a "
        "language model's server?",
        cause="reply too big",
        maybe_billed=True,
    )


def _no_host(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, socket.gaierror) or _NO_HOST.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _setting(said: _Said) -> str | None:
    """The setting that a server does not take; None if it is something else that it minds, its value for example."""
    text = said.text[:4000]
    if named := next((name for name in _SETTINGS if _names(said.param, name)), None):
        return named if said.code in _UNSUPPORTED or re.search(_NO, text, re.IGNORECASE) else None
    return next((name for name, refusal in _REFUSALS.items() if refusal.search(text)), None)


def _names(param: str, setting: str) -> bool:
    """Whether a server's name of a parameter, or of a place within one, is that of a setting."""
    words = rf"({setting}|{_SETTINGS[setting]})([.\[].*)?"
    return re.fullmatch(words, param, re.IGNORECASE) is not None


def _read(raw: bytes) -> _Said:
    """The message, code and parameter of an error body; the text itself where it is no JSON of a known shape."""
    text = raw.decode("utf-8", "replace")
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _Said(text)
    error: Any = _inner(body)
    if not isinstance(error, dict):
        return _Said(error if isinstance(error, str) else text)
    error = cast("dict[str, Any]", error)
    said = str(error.get("message") or _detail(error.get("detail")) or text)
    return _Said(said, str(error.get("code") or error.get("type") or "").lower(), str(error.get("param") or ""))


def _inner(body: Any) -> Any:
    one: Any = next(iter(cast("list[Any]", body)), None) if isinstance(body, list) else body  # a list is Google's way
    return cast("dict[str, Any]", one).get("error", cast("Any", one)) if isinstance(one, dict) else one


def _detail(detail: Any) -> str:
    """FastAPI's list of what is wrong with a request, without the request itself, which it holds too."""
    if not isinstance(detail, list):
        return str(detail or "")
    wrong = [
        cast("dict[str, Any]", one) if isinstance(one, dict) else {"msg": one} for one in cast("list[Any]", detail)
    ]
    return "; ".join(f"{_place(one.get('loc'))} {one.get('msg', '')}".strip() for one in wrong)


def _place(loc: Any) -> str:
    return repr(str(cast("list[Any]", loc)[-1])) if isinstance(loc, list) and loc else ""


def _remedy(endpoint: Endpoint, status: int, near: str) -> str:
    if status == 404:
        meant = f" (did you mean {near!r}?)" if near else ""
        return f"check the model's name {endpoint.model!r}{meant} and the base_url {endpoint.shown}"
    if status in (401, 403):
        return f"check the key in {endpoint.key_env} (or {endpoint.key_env}_FILE) and what it may use"
    return "the account has no credit left: add some, or use another model"


def broken(endpoint: Endpoint, error: Exception, seconds: float) -> ModelError:
    """What an SDK's connection error means, by what stands behind it: never sent, late, or cut off."""
    cause = error.__cause__ or error
    if type(cause).__name__ in _NOT_SENT:
        return unreachable(endpoint, cause)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return timed_out(endpoint, seconds)
    return cut_off(endpoint, cause)
