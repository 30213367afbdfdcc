"""Rows as the JSONL that TRL's trainers read: SFT, DPO, KTO, Reward and GRPO, and process labels as chat turns."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.rows import AnyRow, Demonstration, Outcome, Preference, Response, Row, StepTrace
from thoughtgraph.learning.writing import write_whole
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.thought import Json, Passage, Score, Thought

Form: TypeAlias = Literal["sft", "dpo", "reward", "kto", "grpo", "process"]
"""Which trainer reads it."""

FORMS: tuple[Form, ...] = get_args(Form)

NEEDS: Mapping[Form, str] = {
    "sft": "demonstrations, or outcomes of right responses",
    "dpo": "preferences",
    "reward": "preferences",
    "kto": "outcomes",
    "grpo": "rows of any kind",
    "process": "step traces with counts or a first error",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to: how many lines stand in the file, and what was left out, by reason."""

    path: Path
    form: Form
    lines: int
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        left = "".join(f"; {count} left out: {why}" for why, count in self.left_out.items())
        return f"{self.lines} lines for {self.form} in {self.path}{left}"


class LeftOut(Exception):
    """Why a row gives no line."""


def export(
    rows: Iterable[AnyRow],
    path: str | os.PathLike[str],
    form: Form,
    *,
    prompter: Prompter | None = None,
    good: float = 1.0,
) -> Exported:
    """Write rows as the JSONL that TRL's trainer for `form` reads, and say what was left out.

    "sft" holds `prompt` and `completion`, of demonstrations and of responses whose value is at least `good`. "dpo" and
    "reward" hold `prompt`, `chosen`, `rejected` and, where any is known, `margin`, 0 where it is not. "kto" holds
    `prompt`, `completion` and `label`. "grpo" holds each question's `prompt` once, with its `id`. "process" holds
    `messages`: each step is what the user says, and the assistant answers "+" or "-" (train with
    `assistant_only_loss`), up to the first error. Prompts are what `prompter` makes of the question, the one that the
    model is asked with later; plain, the question itself. Rows that may not be trained on are left out. `TaskError`
    where nothing is left to write.
    """
    if form not in FORMS:
        raise TaskError(f"the form is {form!r}: expected one of {', '.join(FORMS)}")
    if not 0 < good <= 1:
        raise TaskError(f"good is {good!r}: expected the least value of a right response, above 0 and at most 1")
    left, lines = Counter[str](), list[str]()
    for line in _alike(list(_lines(rows, _Writer(prompter or plainly, good), form, left))):
        lines.append(json.dumps(line, ensure_ascii=False, allow_nan=False))
    if not lines:
        found = "; ".join(f"{count}: {why}" for why, count in left.items()) or "no rows at all"
        raise TaskError(f"nothing can be exported for {form} ({found}): expected {NEEDS[form]}")
    write_whole(path, lines)
    return Exported(Path(path), form, len(lines), dict(left))


def _lines(rows: Iterable[AnyRow], writer: _Writer, form: Form, left: Counter[str]) -> Iterator[dict[str, Json]]:
    write, seen = writer.of(form), set[str]()
    for row in rows:
        try:
            if not row.train:
                raise LeftOut("may not be trained on")
            line = write(row)
        except LeftOut as why:
            left[str(why)] += 1
            continue
        told = json.dumps(line, sort_keys=True)
        if told in seen:
            left["stands there already"] += 1
            continue
        seen.add(told)
        yield line


def _alike(lines: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """With a margin in all lines or in none: TRL takes no column that has gaps, and 0 is what no margin means."""
    if not any("margin" in line for line in lines):
        return lines
    return [{"margin": 0.0, **line} if "margin" not in line else line for line in lines]


def plainly(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The question as it stands."""
    return Prompt(problem=x)


@dataclass(frozen=True, slots=True)
class _Writer:
    """How rows become lines."""

    prompter: Prompter
    good: float

    def of(self, form: Form) -> Callable[[AnyRow], dict[str, Json]]:
        pairs = {"dpo": self.pair, "reward": self.pair}
        return {"sft": self.sft, "kto": self.kto, "grpo": self.grpo, "process": self.process, **pairs}[form]

    def asked(self, row: Row) -> list[Json]:
        """The prompt as chat messages."""
        prompt = self.prompter(row.question, (), (), ())
        return [{"role": message.role, "content": message.content} for message in prompt.messages]

    def sft(self, row: AnyRow) -> dict[str, Json]:
        if isinstance(row, Outcome) and row.value < self.good:
            raise LeftOut(f"the response is not right (its value is below {self.good:g})")
        if not isinstance(row, Outcome | Demonstration):
            raise _other(row)
        return {"prompt": self.asked(row), "completion": _said(row.response)}

    def pair(self, row: AnyRow) -> dict[str, Json]:
        if not isinstance(row, Preference):
            raise _other(row)
        if row.tie:
            raise LeftOut("a tie")
        if row.chosen.text == row.rejected.text:
            raise LeftOut("both say the same")
        both = {"chosen": _said(row.chosen), "rejected": _said(row.rejected)}
        return {"prompt": self.asked(row), **both, **({} if row.margin is None else {"margin": row.margin})}

    def kto(self, row: AnyRow) -> dict[str, Json]:
        if not isinstance(row, Outcome):
            raise _other(row)
        return {"prompt": self.asked(row), "completion": _said(row.response), "label": row.value >= self.good}

    def grpo(self, row: AnyRow) -> dict[str, Json]:
        return {"prompt": self.asked(row), "id": row.id}

    def process(self, row: AnyRow) -> dict[str, Json]:
        if not isinstance(row, StepTrace):
            raise _other(row)
        signs = signs_of(row)
        if not signs:
            raise LeftOut("no step of it has a label")
        said = [row.response.steps[0], *row.response.steps[1 : len(signs)]]
        said[0] = f"{self.prompter(row.question, (), (), ()).text}\n\n{said[0]}"
        turns = [
            ({"role": "user", "content": s}, {"role": "assistant", "content": c})
            for s, c in zip(said, signs, strict=True)
        ]
        return {"messages": [message for turn in turns for message in turn]}


def signs_of(row: StepTrace) -> list[str]:
    """Signs, "+" or "-", for each step up to the first wrong one, or the first that nobody labelled.

    A step is wrong where nobody who went on from it succeeded; the threshold 0 is the best cut (Zhang et al., "The
    lessons of developing process reward models", 2025). A first error that is known comes before the counts.
    """
    steps, signs = len(row.response.steps), list[str]()
    if row.first_error is not None:
        return ["+"] * row.first_error + ["-"] * (row.first_error < steps)
    for successes, trials in row.counts:
        if not trials:
            break
        signs.append("+" if successes else "-")
        if not successes:
            break
    return signs


def _said(response: Response) -> list[Json]:
    return [{"role": "assistant", "content": response.text}]


def _other(row: Row) -> LeftOut:
    return LeftOut(f"{type(row).__name__.lower()} rows are not what this trainer reads")
