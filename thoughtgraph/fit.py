"""Fitting a request to what a model can take: nothing is dropped in silence, each change is put in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.model import Capabilities, Reply, Request, Schema
from thoughtgraph.prompt import Message

Note: TypeAlias = tuple[str, str]
"""What is done in another way, by the name of the setting, and in words."""


def fitted(request: Request, can: Capabilities) -> tuple[Request, list[Note]]:
    """The request as this model can take it, and what was changed. `TaskError` where images cannot be."""
    if not can.images and any(message.images for message in request.messages):
        raise TaskError("the prompt has an image, and this model reads none: name one that does, or leave it out")
    changes = list(_changes(request, can))
    for name, _, value in changes:
        request = _told(request) if name == "schema" else replace(request, **{name: value})
    return request, [(name, text) for name, text, _ in changes]


def _changes(request: Request, can: Capabilities) -> Iterator[tuple[str, str, object]]:
    if request.temperature is not None and not can.temperature:
        yield "temperature", f"temperature={request.temperature:g} is not sent, because {DIVERSITY}", None
    if request.seed is not None and not can.seed:
        yield "seed", f"seed={request.seed} is not sent: it has none, so replies differ from run to run", None
    if request.stop and not can.stop:
        yield "stop", f"stop={list(request.stop)} is not sent: replies are cut off here instead", ()
    if request.logprobs and not can.logprobs:
        yield "logprobs", "logprobs are not asked for: it gives none, and replies come without them", False
    if request.schema is not None and not can.schema:
        yield "schema", "the schema stands in the prompt: replies are checked here, and mended once", None
    if can.most is not None and request.max_tokens > can.most:
        yield "max_tokens", f"max_tokens={request.max_tokens} is lowered to the {can.most} that it can write", can.most


DIVERSITY = (
    "it refuses one: draws differ by its own sampling, and several draws of one prompt are each asked to take another "
    "way"
)


def _told(request: Request) -> Request:
    """The schema in words, at the end of the last message."""
    assert request.schema is not None
    *before, last = request.messages
    said = f"{last.content}\n\n{in_words(request.schema)}"
    return replace(request, messages=(*before, Message(last.role, said, last.images, last.cuts)), schema=None)


def in_words(schema: Schema) -> str:
    """What a prompt says where the server cannot hold a reply to its schema."""
    body = json.dumps(schema.body, ensure_ascii=False)
    return f"Answer with one JSON object that fits this JSON Schema, and nothing else:\n{body}"


def cut_at(reply: Reply, stop: tuple[str, ...]) -> Reply:
    """The reply up to the first of `stop`, for servers that cannot stop there."""
    ends = [at for word in stop if word and (at := reply.text.find(word)) >= 0]
    return replace(reply, text=reply.text[: min(ends)], finish="stop") if ends else reply
