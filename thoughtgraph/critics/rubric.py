"""Rubrics (Kim et al., 2023, Prometheus): a model marks each thought by named criteria, the reason before the mark."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import fsum, inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, enclosed, quote
from thoughtgraph.replies import shortened
from thoughtgraph.state import State
from thoughtgraph.thought import Ito, Passage, Score, Thought

if TYPE_CHECKING:
    from pydantic import BaseModel

Mark: TypeAlias = tuple[float | None, str]
"""One mark in [0, 1], or None where the criterion does not apply; and the reason that was written before it."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a thought is marked for: its name, what is asked about it in words, and how much it counts."""

    name: str
    asks: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (self.name.strip() and self.asks.strip()):
            raise TaskError(f"a criterion is {self!r}: expected a name, and in words what a thought is marked for")
        if not 0 <= self.weight < inf:
            raise TaskError(f"criterion {self.name!r} has the weight {self.weight!r}: expected a finite number from 0")


@dataclass(frozen=True)
class Rubric:
    """Mark each thought by every criterion, `samples` times; the value is the weighted mean of the marks, in [0, 1].

    `criteria` are what is asked by name, as in {"sound": "Does each step follow from the one before?"}, or `Criterion`
    objects; `weights` by name override theirs (1 each). All are marked in one structured reply, on `scale`: the lowest
    mark is 0, the highest 1. A mark outside of it makes the reply unreadable, never a 0 or a 1; such a reply is mended
    once, then left out. A criterion may not apply (null): it is left out of that reply's mean, and counted in
    `details["does not apply"]`. Where no reply marks anything, it abstains.

    `parts` are the mean marks by criterion, in [0, 1]; `spread` is the standard error of the value over the replies;
    the feedback is the reason for the lowest mark of the weakest criterion, the one that a next prompt should mend.
    Choose it over `Value` where what is good has several sides, or where it should be said which of them is missing.
    """

    criteria: Mapping[str, str] | Sequence[Criterion]
    scale: tuple[float, float] = (1, 5)
    samples: int = 3
    weights: Mapping[str, float] | None = None
    prompter: Prompter | None = None
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        if not (isfinite(self.scale[0]) and self.scale[0] < self.scale[1] < inf):
            raise TaskError(f"the scale is {self.scale!r}: expected two finite numbers, the lower one first, as (1, 5)")
        object.__setattr__(self, "criteria", _weighed(_listed(self.criteria), self.weights or {}))
        if self.prompter is None:
            object.__setattr__(self, "prompter", marked(self._criteria, *self.scale))

    @property
    def _criteria(self) -> tuple[Criterion, ...]:
        return cast("tuple[Criterion, ...]", self.criteria)

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        return await asyncio.gather(*map(self._judge, states))

    async def _judge(self, state: State) -> Score:
        assert self.prompter is not None
        form = form_of(self._criteria, *self.scale)
        forms = await state.fill(
            self.prompter, form, self.samples,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature,
        )  # fmt: skip
        return self._score([self._marks(filled) for filled in forms])

    def _marks(self, filled: BaseModel) -> list[Mark]:
        """What one reply says of each criterion, in their order."""
        low, high = self.scale
        said = [getattr(filled, field) for field in fields_of(self._criteria)]
        return [(None if one.mark is None else (one.mark - low) / (high - low), one.reason) for one in said]

    def _score(self, replies: Sequence[Sequence[Mark]]) -> Score:
        """The mean over replies of the weighted mean over criteria."""
        names = [criterion.name for criterion in self._criteria]
        values = [value for marks in replies if (value := self._value(marks)) is not None]
        columns = {name: [marks[place] for marks in replies] for place, name in enumerate(names)}
        parts = {name: mean for name, marks in columns.items() if (mean := _mean(marks)) is not None}
        absent = Counter(name for name, marks in columns.items() for mark, _ in marks if mark is None)
        score = Score.of(values, self._weakest(columns, parts))
        return replace(score, parts=parts or None, details={"does not apply": dict(absent)} if absent else None)

    def _value(self, marks: Sequence[Mark]) -> float | None:
        """The weighted mean of the criteria that apply; None where none does."""
        pairs = ((c.weight, mark) for c, (mark, _) in zip(self._criteria, marks, strict=True) if mark is not None)
        counted = [(weight, mark) for weight, mark in pairs if weight > 0]
        whole = fsum(weight for weight, _ in counted)
        return fsum(weight * mark for weight, mark in counted) / whole if counted else None

    def _weakest(self, columns: Mapping[str, Sequence[Mark]], parts: Mapping[str, float]) -> str:
        """The reason for the lowest mark of the criterion with the lowest mean, among those that count."""
        counted = [c.name for c in self._criteria if c.weight > 0 and c.name in parts]
        if not counted:
            return ""
        marks = columns[min(counted, key=lambda name: parts[name])]
        return shortened(min(((mark, why) for mark, why in marks if mark is not None), key=lambda pair: pair[0])[1])


def _mean(marks: Sequence[Mark]) -> float | None:
    given = [mark for mark, _ in marks if mark is not None]
    return fsum(given) / len(given) if given else None


def _listed(criteria: object) -> tuple[Criterion, ...]:
    """The criteria as objects, with names that differ; `TaskError` for anything else."""
    if isinstance(criteria, Mapping):
        named = cast("Mapping[str, str]", criteria)
        listed = tuple(Criterion(str(name), str(asks)) for name, asks in named.items())
    else:
        listed = tuple(cast("Sequence[Criterion]", criteria)) if isinstance(criteria, Sequence) else ()
    names = {one.name for one in listed if isinstance(cast("Any", one), Criterion)}
    if not listed or len(names) < len(listed):
        raise TaskError(
            f"the criteria are {criteria!r:.80}: expected at least one, each with a name of its own, "
            "as in {'sound': 'Does each step follow from the one before?'}"
        )
    return listed


def _weighed(criteria: Sequence[Criterion], weights: Mapping[str, float]) -> tuple[Criterion, ...]:
    names = [criterion.name for criterion in criteria]
    if unknown := [name for name in weights if name not in names]:
        raise TaskError(f"{unknown[0]!r} has a weight and is no criterion: expected one of {', '.join(names)}")
    weighed = tuple(replace(c, weight=weights.get(c.name, c.weight)) for c in criteria)
    if not any(criterion.weight for criterion in weighed):
        raise TaskError("all criteria have the weight 0, so no mark counts: give at least one of them more")
    return weighed


# -- the form ------------------------------------------------------------------------------------------------------


@cache
def fields_of(criteria: tuple[Criterion, ...]) -> tuple[str, ...]:
    """The names of the form's fields, one for each criterion: its own in plain letters, or its number where none serve.

    >>> fields_of((Criterion("Is it true?", "..."), Criterion("is-it-true", "..."), Criterion("json", "...")))
    ('is_it_true', 'criterion_2', 'criterion_3')
    """
    found: list[str] = []
    for number, criterion in enumerate(criteria, 1):
        plain = re.sub(r"[^a-z0-9]+", "_", criterion.name.casefold()).strip("_")[:40]
        found.append(plain if _serves(plain) and plain not in found else f"criterion_{number}")
    return tuple(found)


def _serves(name: str) -> bool:
    """Whether a field may have this name: pydantic's models have some of their own, and the numbered ones are ours."""
    from pydantic import BaseModel

    return name[:1].isalpha() and not name.startswith(("model_", "criterion_")) and not hasattr(BaseModel, name)


@cache
def form_of(criteria: tuple[Criterion, ...], low: float, high: float) -> type[BaseModel]:
    """The pydantic model of a reply: for each criterion a `reason` and then a `mark` from `low` to `high`, or null."""
    from pydantic import BeforeValidator, Field, create_model

    # A class of the library's own would stand in a module that `import thoughtgraph` loads, and pydantic with it.
    number = Field(ge=low, le=high, allow_inf_nan=False)
    mark: Any = _annotated(_annotated(float, number) | None, BeforeValidator(_no_switch))
    marking: Any = create_model("Marking", reason=(str, ...), mark=(mark, ...))
    fields: Any = {
        field: (marking, Field(description=criterion.asks))
        for field, criterion in zip(fields_of(criteria), criteria, strict=True)
    }
    made: type[BaseModel] = create_model("Rubric", **fields)
    return made


def _annotated(kind: Any, by: Any) -> Any:
    from typing import Annotated

    return Annotated[kind, by]


def _no_switch(mark: object) -> object:
    """True is no mark, though pydantic would take it for a 1."""
    if isinstance(mark, bool):
        raise ValueError("a mark is a number, or null where the criterion does not apply")  # noqa: TRY004  # pydantic's
    return mark


# -- the prompt ----------------------------------------------------------------------------------------------------


@cache
def marked(criteria: tuple[Criterion, ...], low: float, high: float) -> Prompter:
    """The prompter that asks for a reason and a mark from `low` to `high` for each of `criteria`."""
    named = zip(fields_of(criteria), criteria, strict=True)
    asked = "\n".join(f"- {field}: {criterion.asks}" for field, criterion in named)
    wish = (
        "Judge these thoughts, and do not go on with them. Mark them by each of these criteria:\n"
        f"{asked}\n\n"
        "For each criterion say first, in one or two sentences, what is right or wrong with the thoughts in that "
        f"respect (reason); only then give a mark from {low:g} (not at all) to {high:g} (wholly), or null if the "
        "criterion does not apply to them."
    )

    def judge(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        return Prompt(passages=quote(passages), problem=x, thoughts=enclosed(thoughts), ask=wish)

    return judge
