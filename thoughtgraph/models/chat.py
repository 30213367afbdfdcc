"""The chat-completions format: a request as JSON, a reply's bytes as a `Completion`."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import Unavailable
from thoughtgraph.model import ALTERNATIVES, Completion, Logprobs, Reply, Request
from thoughtgraph.models.strict import form
from thoughtgraph.prompt import Message

Tokens = Annotated[int, Field(ge=0)] | None
"""A count of tokens. One below 0 is no count: it would pay the budget back."""


class _Part(BaseModel):
    type: str = "text"
    text: str | None = None


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Usage(BaseModel):
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    prompt_cache_hit_tokens: Any = None  # DeepSeek's word for cached_tokens
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None


class _Body(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


_BODY = TypeAdapter(_Body)
T = TypeVar("T")


def asked(request: Request, n: int, model: str, limit: str = "max_tokens") -> dict[str, Any]:
    """The request's JSON: only what is set, because servers refuse settings that they do not know."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": m.role, "content": _content(m) if m.images else whole(m.content)} for m in request.messages
        ],
        limit: request.max_tokens,
    }
    if n > 1:
        body["n"] = n
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed
    if request.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = ALTERNATIVES
    if request.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": form(request.schema)}
    return body


def sent(body: dict[str, Any]) -> bytes:
    """The bytes of a request's JSON; "?" for each half of a surrogate pair, which cannot be sent."""
    try:
        return to_json(body)
    except ValueError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def answered(raw: bytes, n: int, endpoint: Endpoint) -> Completion:
    """The first `n` draws of a reply. What is cut off or of another shape was perhaps paid for, and may come whole."""
    body = parsed(_BODY, raw, endpoint)
    if not body.choices:
        raise Unavailable(f"{endpoint} answered with no choices", cause="empty choices", maybe_billed=True)
    replies = tuple([_reply(choice) for choice in body.choices[:n]])
    usage = body.usage
    if usage is None:
        return Completion(replies)
    asked, made = usage.prompt_tokens, usage.completion_tokens
    read = share(usage.prompt_tokens_details, "cached_tokens", asked)
    return Completion(
        replies,
        asked,
        made,
        cached_tokens=read or share({"hit": usage.prompt_cache_hit_tokens}, "hit", asked),
        reasoning_tokens=share(usage.completion_tokens_details, "reasoning_tokens", made),
    )


def share(details: Any, name: str, whole: int | None) -> int:
    """The tokens of `name` among a `whole`; 0 where the details do not say, or say more than there are."""
    count: Any = cast("dict[str, Any]", details).get(name) if isinstance(details, dict) else None
    return count if isinstance(count, int) and 0 < count <= (whole or 0) else 0


def parsed(shape: TypeAdapter[T], raw: bytes, endpoint: Endpoint) -> T:
    """A reply's bytes in a `shape`; where a cut left half a surrogate pair, which is no JSON, with "?" in its place."""
    try:
        return shape.validate_json(raw)
    except ValidationError as error:
        try:
            return shape.validate_json(_mended(raw))
        except (ValueError, RecursionError):
            raise _unreadable(raw, error, endpoint) from None


def logprobs(said: Any) -> Logprobs:
    """Tokens with their log-probabilities from a list of `{"token": ..., "logprob": ...}`.

    None of them where one is of another shape: the text was paid for, and is worth something without them.
    """
    try:
        return tuple((str(one["token"]), max(-9999.0, float(one["logprob"]))) for one in said)
    except (TypeError, KeyError, ValueError):
        return ()


def alternatives(said: Any) -> tuple[Logprobs, ...]:
    """For each token of such a list what else was likely there, from its "top_logprobs"; () where none has any."""
    try:
        found = tuple(logprobs(one.get("top_logprobs") or ()) for one in said)
    except (TypeError, AttributeError):
        return ()
    return found if any(found) else ()


def whole(text: str) -> str:
    """The text with "?" for each half of a surrogate pair: they cannot be sent, nor stored."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _content(message: Message) -> list[dict[str, Any]]:
    pictures = [{"type": "image_url", "image_url": {"url": whole(image.url)}} for image in message.images]
    return [{"type": "text", "text": whole(message.content)}, *pictures] if message.content else [*pictures]


def _reply(choice: _Choice) -> Reply:
    message, content = choice.message, choice.message.content
    if message.refusal:
        return Reply(message.refusal, "refusal")
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content if part.type == "text")
    listed = _listed(choice.logprobs) or ()
    said = logprobs(listed)
    return Reply(content or "", choice.finish_reason or "stop", said, alternatives(listed) if said else ())


def _listed(said: Any) -> Any:
    return cast("dict[str, Any]", said).get("content") if isinstance(said, dict) else None


def _mended(raw: bytes) -> str:
    if b"\\ud" not in raw.lower():
        raise ValueError(raw)
    return whole(json.dumps(json.loads(raw), ensure_ascii=False))


def _unreadable(raw: bytes, error: ValidationError, endpoint: Endpoint) -> Unavailable:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    text = endpoint.scrub(raw[:2000].decode("utf-8", "replace"), 200)
    return Unavailable(
        f"{endpoint} answered 200 with a body that is no completion ({where + ': ' if where else ''}"
        f"{first['msg']}): {text or 'nothing'}",
        cause="truncated body" if first["type"] == "json_invalid" else "wrong shape",
        maybe_billed=True,
    )
