"""Public process and outcome reward models as critics (Lightman et al., 2023; Wang et al., 2024, Math-Shepherd).

A family says, in one value, how its models want a solution written, what they are read by, and what their labels were.
Where the model runs is a matter of its own: `LocalReward` (in this process) or `ServedReward` (behind a server).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from thoughtgraph.critics.reward_formats import (
    Appended,
    Class,
    Format,
    Marked,
    Reading,
    Row,
    Scalar,
    Tokens,
    Turns,
    Verdict,
    Whole,
    fitting,
)
from thoughtgraph.critics.steps import Origin
from thoughtgraph.errors import ModelError, TaskError


@dataclass(frozen=True)
class Family:
    """Models of one kind: how a solution is written, what is read at each place, where the labels came from.

    `dataclasses.replace` makes another one of it: `replace(QWEN_MATH, format=Appended("<extra_0>", system="..."))`.
    """

    name: str
    format: Format
    reading: Reading
    labels: Origin = "unknown"

    @property
    def whole(self) -> bool:
        """Whether there is one score for a solution, and not one a step."""
        return isinstance(self.format, Whole)

    async def row(self, tokens: Tokens, problem: str, steps: Sequence[str]) -> Row:
        """The ids of a solution and the places where it is read: one a step; `TooLong` where the model reads less."""
        if not steps:
            raise TaskError("the solution has no steps: expected one or more")
        row = await self.format(tokens, problem, steps, self.reading)
        assert len(row.places) == (1 if self.whole else len(steps))
        return fitting(row, (await tokens.vocabulary()).limit)


MATH_SHEPHERD = Family("math-shepherd", Marked(" ки"), Verdict("+", "-"), "rollouts")
"""peiyi9979/math-shepherd-mistral-7b-prm: a mark after each step, and at the mark "+" against "-"."""

RLHFLOW = Family("rlhflow", Turns(), Verdict("+", "-"), "rollouts")
"""RLHFlow/Llama3.1-8B-PRM-Deepseek-Data and its sister: a chat in which "+" follows each step."""

SKYWORK = Family("skywork-o1", Appended("\n", closing="\n", bos="must"), Scalar(squash=True))
"""Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B and its sister: a step a line, and a value head at the line's end."""

QWEN_MATH = Family(
    "qwen2.5-math",
    Appended("<extra_0>", system="Please reason step by step, and put your final answer within \\boxed{}."),
    Class(take=1),
    "judged",
)
"""Qwen/Qwen2.5-Math-PRM-7B and its sisters: a chat, `<extra_0>` after each step, and two classes there."""

TRL = Family("trl", Appended("\n", single=False), Class(take=1))
"""What TRL's PRM trainer made of a token classifier: the ids of its `step_separator` after each step.

`trl(separator, labels)` is it with another separator, and with the labels that it was trained on.
"""

OUTCOME = Family("outcome", Whole(), Scalar(squash=False))
"""Sequence classifiers that judge an answer as a whole: Skywork-Reward and its kin, Bradley-Terry rewards as logits."""

FAMILIES = {family.name: family for family in (MATH_SHEPHERD, RLHFLOW, SKYWORK, QWEN_MATH, TRL, OUTCOME)}
"""The families by name."""


def named(name: str) -> Family:
    """The family of that name; `TaskError` with the names there are."""
    if name not in FAMILIES:
        raise TaskError(f"there is no family of reward models {name!r}: expected one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def trl(separator: str = "\n", labels: Origin = "unknown") -> Family:
    """Token classifiers trained by TRL with this `step_separator`."""
    return Family("trl", Appended(separator, single=False), Class(take=1), labels)


# -- where it runs -------------------------------------------------------------------------------------------------


class Backend(Protocol):
    """A model of some family, wherever it runs. It is asked within `async with`, by several at once perhaps."""

    async def __aenter__(self) -> object:
        """Open what is needed."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close what nobody needs any more."""
        ...

    @property
    def tokens(self) -> Tokens:
        """Its tokenizer."""
        ...

    @property
    def paid(self) -> bool:
        """Whether a solution is a call of the budget, asked for by itself; else a set is read at once, for nothing."""
        ...

    async def read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
        """One number a place, for each row. What it raises is of the whole, and no number comes of it."""
        ...


async def rewards(
    family: Family, backend: Backend, problem: str, solutions: Sequence[Sequence[str]]
) -> list[list[float]]:
    """The scores of the steps of each solution (one score, for an outcome model), with no search around.

    `TooLong` where one has more tokens than the model reads.
    """
    async with backend:
        rows = [await family.row(backend.tokens, problem, steps) for steps in solutions]
        return await heard(family, backend, rows)


async def heard(family: Family, backend: Backend, rows: Sequence[Row]) -> list[list[float]]:
    """What the model says of each row: one number a place, and an error if it is not."""
    numbers = await backend.read(family, rows) if rows else []
    found, expected = [len(row) for row in numbers], [len(row.places) for row in rows]
    if found != expected:
        raise ModelError(f"the model gave {found} numbers for {expected} places: expected one each", cause="rejected")
    return numbers
