"""Filling a form: drafts whose content is structured data, as a pydantic model says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thoughtgraph.errors import at_least
from thoughtgraph.generators.sample import attempt
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompter
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Json
from thoughtgraph.verbs import ALL

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Fill:
    """Draw replies that fit `form`; each is one finished thought, and one call.

    The server holds replies to the form's schema where it can, else the prompt asks for it; a reply that does not fit
    is mended once. With `reasoned` the model writes its reasoning first and the form after it, and the content of a
    thought is {"text": the reasoning, "answer": the form's data}; without, {"answer": ...}. `width` is how many an
    expansion draws that asks for all there are.
    """

    form: type[BaseModel]
    prompter: Prompter = field(default_factory=lambda: attempt)
    reasoned: bool = False
    width: int = 1
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        at_least(1, width=self.width)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        form = _reasoned(self.form) if self.reasoned else self.form
        filled = await state.fill(
            self.prompter, form, self.width if n >= ALL else n,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature,
        )  # fmt: skip
        return [Draft(self._content(_told(form, one)), done=True) for one in filled]

    def _content(self, told: Json) -> Json:
        return {"text": told["reasoning"], "answer": told["answer"]} if self.reasoned else {"answer": told}


def _told(form: type[BaseModel], one: BaseModel) -> Json:
    """The form's data, under the names by which it reads itself again: those of the JSON, or of the fields."""
    from pydantic import ValidationError

    said = one.model_dump(mode="json", by_alias=True, round_trip=True)
    try:
        form.model_validate_json(json.dumps(said))
    except ValidationError:
        return one.model_dump(mode="json", by_alias=False, round_trip=True)
    return said


def _reasoned(form: type[BaseModel]) -> type[BaseModel]:
    """The form behind a text of reasoning: a model writes in order, so it thinks before it answers."""
    from pydantic import create_model

    return create_model(f"Reasoned{form.__name__}", reasoning=(str, ...), answer=(form, ...))
