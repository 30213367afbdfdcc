"""Structured replies: a pydantic model as the form of an answer, read strictly, mended once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.model import Reply, Request, Schema
from thoughtgraph.prompt import Message
from thoughtgraph.replies import as_data, spoken

if TYPE_CHECKING:
    from pydantic import BaseModel

Form = TypeVar("Form", bound="BaseModel")


def schema_of(form: type[BaseModel]) -> Schema:
    """The JSON Schema of a pydantic model; `TaskError` for what is none, or has none."""
    from pydantic import BaseModel
    from pydantic.errors import PydanticInvalidForJsonSchema

    if not (isinstance(form, type) and issubclass(form, BaseModel)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"returns= is {form!r:.80}: expected a pydantic model, a class derived from BaseModel")
    try:
        return Schema(form.__name__, form.model_json_schema())
    except PydanticInvalidForJsonSchema as error:
        raise TaskError(
            f"{form.__name__} has no JSON Schema ({error.message}): use fields that JSON can hold"
        ) from None


def reader(form: type[Form]) -> Callable[[str], Form]:
    """The parser of replies of this form: JSON, alone or in a fence; `Unparsable` says what is wrong."""
    from pydantic import ValidationError

    def read(text: str) -> Form:
        said = spoken(text)
        data = as_data(said)
        try:
            return form.model_validate_json(said if data is None else json.dumps(data))
        except ValidationError as error:
            raise Unparsable(_faults(error.errors(include_url=False, include_input=False))) from None

    return read


def _faults(errors: Sequence[object]) -> str:
    """What is wrong with a reply, in a line a fault."""
    told = [cast("dict[str, object]", error) for error in errors[:5]]
    return "\n".join(f"{'.'.join(map(str, cast('tuple[object]', e['loc']))) or 'reply'}: {e['msg']}" for e in told)


def repair(request: Request, reply: Reply, fault: str) -> Request:
    """The same request, going on from a reply that does not fit: what is wrong with it, and the wish for another."""
    from dataclasses import replace

    wish = f"That does not fit the schema:\n{fault}\n\nAnswer again with one JSON object that does, and nothing else."
    more = (Message("assistant", reply.text or "(nothing)"), Message("user", wish))
    return replace(request, messages=(*request.messages, *more))
