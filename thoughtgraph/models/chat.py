"""The chat-completions format: a request as JSON data, a reply's bytes as a `Completion`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from thoughtgraph.errors import Unavailable
from thoughtgraph.model import Completion, Reply, Request
from thoughtgraph.models.endpoint import Endpoint

_Tokens = Annotated[int, Field(ge=0)] | None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: _Tokens = None
    completion_tokens: _Tokens = None


class _Body(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


_BODY = TypeAdapter(_Body)


def asked(request: Request, n: int, model: str, limit: str = "max_tokens") -> dict[str, Any]:
    """The request's JSON: only what is set, because servers refuse settings that they do not know."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": _whole(m.content)} for m in request.messages],
        limit: request.max_tokens,
    }
    if n > 1:
        body["n"] = n
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.stop:
        body["stop"] = list(request.stop)
    return body


def answered(raw: bytes, n: int, endpoint: Endpoint) -> Completion:
    """The first `n` draws of a reply. What is cut off or of another shape was perhaps paid for, and may come whole."""
    try:
        body = _parsed(raw)
    except ValidationError as error:
        raise _unreadable(raw, error, endpoint) from None
    if not body.choices:
        raise Unavailable(f"{endpoint} answered with no choices", cause="empty choices", maybe_billed=True)
    usage = body.usage or _Usage()
    return Completion(tuple(map(_reply, body.choices[:n])), usage.prompt_tokens, usage.completion_tokens)


def _parsed(raw: bytes) -> _Body:
    """The body; where a cut left half a surrogate pair, which is no JSON to pydantic, with a mark in its place."""
    try:
        return _BODY.validate_json(raw)
    except ValidationError as error:
        if b"\\ud" not in raw.lower():
            raise
        try:
            text = json.dumps(json.loads(raw), ensure_ascii=False)
        except (ValueError, RecursionError):
            raise error from None
        return _BODY.validate_json(_whole(text))


def _whole(text: str) -> str:
    """The text with "?" for each half of a surrogate pair: they cannot be sent, nor stored."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _reply(choice: _Choice) -> Reply:
    message = choice.message
    if message.refusal:
        return Reply(message.refusal, "refusal")
    return Reply(message.content or "", choice.finish_reason or "stop")


def _unreadable(raw: bytes, error: ValidationError, endpoint: Endpoint) -> Unavailable:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    text = endpoint.scrub(raw.decode("utf-8", "replace"), 200)
    return Unavailable(
        f"{endpoint} answered 200 with a body that is no chat completion ({where + ': ' if where else ''}"
        f"{first['msg']}): {text or 'nothing'}",
        cause="truncated body" if first["type"] == "json_invalid" else "wrong shape",
        maybe_billed=True,
    )
