"""A public reward model as a critic: process supervision at inference time (Lightman et al., 2023)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, TypeAlias, cast

from thoughtgraph.critics.reward_formats import Row, Scalar, TooLong
from thoughtgraph.critics.reward_models import Backend, Family, heard, named
from thoughtgraph.critics.steps import BY_ORIGIN, PROBABILITIES, WAYS, Aggregate, aggregated
from thoughtgraph.errors import Forbidden, ModelError, TaskError, at_least
from thoughtgraph.labels import allowed
from thoughtgraph.state import State
from thoughtgraph.thought import Ito, Score, as_passage

Judged: TypeAlias = dict[str, Any]
"""What came of a solution, as it is written down: its "scores", or the "error" that stands in their place."""

Asked: TypeAlias = tuple[State, Sequence[str]]
"""A state, and the steps that lead to it."""

NOTHING = "there is no step to judge"


def by_thought(state: State) -> list[str]:
    """The texts from the root to here, one a step. The root is the problem, and passages are knowledge: no steps."""
    return [step.text for step in state.path[1:] if as_passage(step) is None]


def by_paragraph(state: State) -> list[str]:
    """The same, cut at blank lines: for thoughts that are whole solutions."""
    return [part.strip() for text in by_thought(state) for part in text.split("\n\n") if part.strip()]


@dataclass(frozen=True)
class RewardModel:
    """Judge each thought by a public reward model: the problem is x, and the steps are those that lead to the thought.

    The value is `aggregate` of the scores of the steps, by default the way that fits the labels of the family (from
    rollouts: the last; judged: the least). The parts are "step 1", "step 2"...; `steps` says what the steps are.
    A thought that cannot be judged (too long for the model, refused by the server) is abstained from and says why in
    `details`; where that goes for all of a set, it is an error. The root has nothing to judge. A local model reads a
    set in batches, for no call; on a server each thought is a call of the budget, `at_once` of them at a time, and what
    was paid is not paid again when a run is resumed.
    """

    family: Family | str
    backend: Backend
    aggregate: Aggregate | None = None
    steps: Callable[[State], Sequence[str]] = by_thought
    at_once: int = field(default=32, repr=False)

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        at_least(1, at_once=self.at_once)
        family = named(self.family) if isinstance(self.family, str) else self.family
        aggregate = self.aggregate or BY_ORIGIN[family.labels]
        if aggregate not in WAYS:
            raise TaskError(f"the aggregate is {aggregate!r}: expected one of {', '.join(WAYS)}")
        if aggregate in PROBABILITIES and isinstance(family.reading, Scalar) and not family.reading.squash:
            raise TaskError(
                f"{aggregate!r} is for probabilities, and {family.name} gives rewards: choose last, min or mean, or a "
                "family that reads Scalar(squash=True)"
            )
        object.__setattr__(self, "family", family)
        object.__setattr__(self, "aggregate", aggregate)

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        name = getattr(self.backend, "name", "local:reward")
        for state in states:
            with state.confiding():
                if not allowed(name):
                    raise Forbidden(f"what is to be judged rests on knowledge that {name} may not see, by its labels")
        asked = [(state, _listed(self.steps(state))) for state in states]
        told = [one for one in asked if one[1]]
        async with self.backend:
            found = iter(await (self._each(told) if self.backend.paid else self._together(told)))
        judged = [next(found) if steps else {"error": NOTHING} for _, steps in asked]
        if told and not any("scores" in one for one in judged):
            raise ModelError(next(one["error"] for one in judged if one["error"] != NOTHING))
        return [self._score(one) for one in judged]

    async def _together(self, asked: Sequence[Asked]) -> list[Judged]:
        """All in one act, so that they are read in batches."""
        return await asked[0][0].act("reward", partial(self._read, asked)) if asked else []

    async def _each(self, asked: Sequence[Asked]) -> list[Judged]:
        """Each in an act of its own, so that one that fails leaves the others as they are, and none is paid twice."""
        room = asyncio.Semaphore(self.at_once)

        async def one(asked: Asked) -> Judged:
            async with room:
                (judged,) = await asked[0].act("reward", partial(self._read, [asked]), calls=1)
                return judged

        # All are waited for, though one has failed: what is on its way is paid for, and is written down.
        found = await asyncio.gather(*map(one, asked), return_exceptions=True)
        errors = [one for one in found if isinstance(one, ModelError)]
        if errors and len(errors) == len(found):
            raise errors[0]
        return [_or_error(one) for one in found]

    async def _read(self, asked: Sequence[Asked]) -> list[Judged]:
        """What the model says of the solutions that it can read as a whole."""
        rows = [await self._row(state.x, steps) for state, steps in asked]
        numbers = await heard(self._family, self.backend, [row for row in rows if isinstance(row, Row)])
        scores = iter(numbers)
        return [{"scores": next(scores)} if isinstance(row, Row) else {"error": str(row)} for row in rows]

    async def _row(self, problem: str, steps: Sequence[str]) -> Row | TooLong:
        try:
            return await self._family.row(self.backend.tokens, problem, steps)
        except TooLong as error:
            return error

    @property
    def _family(self) -> Family:
        return cast("Family", self.family)

    def _score(self, judged: Judged) -> Score:
        how = cast("Aggregate", self.aggregate)
        if (scores := judged.get("scores")) is None:
            return Score(None, samples=0, status="abstained", details=judged)
        parts = {"whole" if self._family.whole else f"step {k}": score for k, score in enumerate(scores, 1)}
        return Score(aggregated(scores, how), parts=parts, details={"model": self._family.name, "aggregate": how})


def _listed(steps: Sequence[str]) -> list[str]:
    if isinstance(steps, str):
        raise TaskError(f"the steps are one text, {steps!r:.60}: expected a list of texts, each of them a step")
    return list(steps)


def _or_error(found: Judged | BaseException) -> Judged:
    """A judgement; a model's error becomes one without scores, and what else went wrong is raised."""
    if isinstance(found, ModelError):
        return {"error": str(found)}
    if isinstance(found, BaseException):
        raise found
    return found
