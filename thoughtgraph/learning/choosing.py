"""Which objective the rows support, and why (Sun & van der Schaar, 2024, section 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.checks import FEWEST, allowed
from thoughtgraph.learning.demonstrations import Demonstrations
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.lessons import Trainer
from thoughtgraph.learning.outcomes import Outcomes
from thoughtgraph.learning.preferences import Preferences
from thoughtgraph.learning.processes import Processes
from thoughtgraph.learning.rows import AnyRow, Demonstration, Outcome, Preference, StepTrace, by_question, responses

Negatives: TypeAlias = "Sequence[AnyRow] | Callable[[Sequence[Demonstration]], Sequence[AnyRow]]"
"""Responses of the current generator, as rows of any kind whose labels nobody looks at; or who writes them anew.

What is called gets the demonstrations, whose questions it may answer.
"""

TRAINERS: Mapping[str, Callable[[], Trainer]] = {
    "process": Processes,
    "outcome": Outcomes,
    "preference": Preferences,
    "demonstration": Demonstrations,
}
"""The objectives by name, the one that learns from the most telling rows first."""

LEARNS_FROM: Mapping[str, type[Any]] = {
    "process": StepTrace,
    "outcome": Outcome,
    "preference": Preference,
    "demonstration": Demonstration,
}

CALLED = {
    StepTrace: "step traces",
    Outcome: "outcomes",
    Preference: "preferences",
    Demonstration: "demonstrations",
}

WHY = {
    "process": "step traces say how often each prefix of a response led to success: a process model",
    "outcome": "a golden metric says what each response is worth: an outcome model (equations 8 and 9)",
    "preference": "preferences say which of two responses is better, and nothing says more: Bradley-Terry (equation 4)",
    "demonstration": "demonstrations say what is good, and no metric does: the logit of a discriminator between them "
    "and what the generator writes (equations 5 to 7)",
}

ENVIRONMENT = "the environment is the evaluator: a learned critic would stand in for it, and only add its own error"


class Choice(NamedTuple):
    """What is learned, why, from which rows, and what is left out."""

    trainer: Trainer
    why: str
    rows: list[AnyRow]
    notes: list[str]

    @property
    def beside(self) -> Sequence[AnyRow]:
        """Rows that it is learned against: the generator's responses."""
        return self.trainer.negatives if isinstance(self.trainer, Demonstrations) else ()


def choose(
    rows: Sequence[AnyRow],
    objective: Objective | Trainer | None = None,
    negatives: Negatives | None = None,
    generator: str | None = None,
) -> Choice:
    """The objective for these rows: the one asked for, else that of the most telling rows of which there are enough."""
    if isinstance(objective, str) and objective not in TRAINERS:
        raise TaskError(f"the objective is {objective!r}: expected {', '.join(TRAINERS)}, or a trainer")
    name = objective if isinstance(objective, str) else _best(rows) if objective is None else objective.name
    trainer = TRAINERS[name]() if objective is None or isinstance(objective, str) else objective
    why = WHY[name] if objective is None else f"{name}, as asked for"
    kept = [row for row in rows if isinstance(row, LEARNS_FROM[name])]
    if not kept:
        raise TaskError(
            f"there are no {CALLED[LEARNS_FROM[name]]} among the rows ({_counted(rows)}): {name!r} needs them"
        )
    others = [row for row in rows if not isinstance(row, LEARNS_FROM[name])]
    if isinstance(trainer, Demonstrations):
        trainer, notes = _against(trainer, kept, others, negatives, generator)
        return Choice(trainer, why, kept, notes)
    if negatives is not None:
        raise TaskError(f"negatives are for demonstrations, and the objective is {name!r}: leave one of the two out")
    left = [f"left out: {_counted(others)}, which say less (objective= chooses another)"] if others else []
    strange = sum(generator is not None and any(r.generator != generator for r in responses(row)) for row in kept)
    if strange:
        left.append(f"{strange} of {len(kept)} rows hold responses that are not by {generator!r}: learned from as well")
    return Choice(trainer, why, kept, left)


def _best(rows: Sequence[AnyRow]) -> str:
    """The first objective with rows of enough questions; of too few of everything, the first with any."""
    there = [name for name, kind in LEARNS_FROM.items() if any(isinstance(row, kind) for row in rows)]
    enough = (name for name in there if len(by_question(r for r in rows if isinstance(r, LEARNS_FROM[name]))) >= FEWEST)
    return next(enough, there[0])


def _against(
    trainer: Demonstrations,
    shown: Sequence[AnyRow],
    others: Sequence[AnyRow],
    negatives: Negatives | None,
    generator: str | None,
) -> tuple[Demonstrations, list[str]]:
    """The trainer with the generator's responses: those given, else all other rows that came along."""
    demonstrations = [row for row in shown if isinstance(row, Demonstration)]
    given = negatives(demonstrations) if callable(negatives) else negatives
    written, notes = list(trainer.negatives or others) if given is None else list(given), list[str]()
    if written:
        written, notes = allowed(written, "responses of the generator")
    theirs = [row for row in written if generator is None or all(r.generator == generator for r in responses(row))]
    if len(theirs) < len(written):
        notes.append(f"{len(written) - len(theirs)} of {len(written)} responses are not by {generator!r}: left out")
    return replace(trainer, negatives=tuple(theirs)), notes


def _counted(rows: Sequence[AnyRow]) -> str:
    counts = Counter(CALLED[type(row)] for row in rows)
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
