"""OpenAI's Responses format, for models that chat completions do not serve: one draw a request, nothing stored."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import Unavailable
from thoughtgraph.model import ALTERNATIVES, Completion, Reply, Request
from thoughtgraph.models.chat import Tokens, alternatives, logprobs, parsed, share, whole
from thoughtgraph.models.strict import form
from thoughtgraph.prompt import Message


class _Part(BaseModel):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: Any = None


class _Item(BaseModel):
    type: str = ""
    content: list[_Part] | None = None


class _Usage(BaseModel):
    input_tokens: Tokens = None
    output_tokens: Tokens = None
    input_tokens_details: Any = None
    output_tokens_details: Any = None


class _Why(BaseModel):
    reason: str | None = None


class _Error(BaseModel):
    code: str | None = None
    message: str | None = None


class _Body(BaseModel):
    output: list[_Item]
    status: str = "completed"
    incomplete_details: _Why | None = None
    error: _Error | None = None
    usage: _Usage | None = None


_BODY = TypeAdapter(_Body)
_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


def asked(request: Request, model: str) -> dict[str, Any]:
    """The request's JSON. There is no place in it for `n`, `stop` and `seed`: see the model's capabilities."""
    body: dict[str, Any] = {
        "model": model,
        "input": [_said(m) for m in request.messages if m.role != "system"],
        "max_output_tokens": request.max_tokens,
        "store": False,
    }
    if system := [whole(m.content) for m in request.messages if m.role == "system"]:
        body["instructions"] = "\n\n".join(system)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.schema:
        body["text"] = {"format": {"type": "json_schema", **form(request.schema)}}
    if request.logprobs:
        body["include"] = ["message.output_text.logprobs"]
        body["top_logprobs"] = ALTERNATIVES
    return body


def answered(raw: bytes, endpoint: Endpoint) -> Completion:
    """The one draw of a reply; the thoughts that come before it are not part of it."""
    body = parsed(_BODY, raw, endpoint)
    if body.status not in ("completed", "incomplete"):
        raise _failed(body, endpoint)
    usage = body.usage or _Usage()
    prompt, made = usage.input_tokens, usage.output_tokens
    return Completion(
        (_reply(body),),
        prompt,
        made,
        cached_tokens=share(usage.input_tokens_details, "cached_tokens", prompt),
        reasoning_tokens=share(usage.output_tokens_details, "reasoning_tokens", made),
    )


def _said(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": whole(message.content)}
    pictures = [{"type": "input_image", "image_url": whole(image.url)} for image in message.images]
    words = [{"type": "input_text", "text": whole(message.content)}] if message.content else []
    return {"role": message.role, "content": [*words, *pictures]}


def _reply(body: _Body) -> Reply:
    parts = [part for item in body.output if item.type == "message" for part in item.content or ()]
    if refusal := "".join(part.refusal or "" for part in parts):
        return Reply(refusal, "refusal")
    text = "".join(part.text or "" for part in parts)
    listed = [one for part in parts if hasattr(part.logprobs, "__iter__") for one in part.logprobs]
    why = body.incomplete_details and body.incomplete_details.reason
    finish = _FINISH.get(why or "", why or body.status) if body.status == "incomplete" else "stop"
    return Reply(text, finish, logprobs(listed), alternatives(listed))


def _failed(body: _Body, endpoint: Endpoint) -> Unavailable:
    """The work was begun, so it was paid for perhaps."""
    error = body.error or _Error()
    why = endpoint.scrub(error.message or "no reason given")
    cause = error.code or body.status
    return Unavailable(f"{endpoint} ended a response as {body.status!r}: {why}", cause=cause, maybe_billed=True)
