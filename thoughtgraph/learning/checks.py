"""What is wrong with rows, said before anything is trained on them (Kapoor & Narayanan, 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.features import Example, Feature
from thoughtgraph.learning.lessons import Lesson, strata
from thoughtgraph.learning.rows import AnyRow, Row
from thoughtgraph.learning.splits import asked, kin, leaks

FEWEST = 10
"""So many questions are needed: with fewer, what is held out says nothing of others."""

RAREST = 3
"""In so many questions either class must occur, so that both are seen on either side of a split."""


def allowed(rows: Iterable[AnyRow], what: str = "rows") -> tuple[list[AnyRow], list[str]]:
    """The rows that may be trained on, and a note of how many may not; `TaskError` where none is left."""
    told = list(rows)
    if odd := [row for row in told if not isinstance(row, Row)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(
            f"among the {what} is {odd[0]!r:.80}: expected Preference, Demonstration, Outcome or StepTrace, as "
            "read_rows gives them"
        )
    free = [row for row in told if row.train]
    if not told:
        raise TaskError(f"there are no {what}: give preferences, demonstrations, outcomes or step traces")
    if not free:
        raise TaskError(f"all {len(told)} {what} are marked train=False: what is private is not learned from")
    left = len(told) - len(free)
    return free, [f"{left} of {len(told)} {what} may not be trained on (train=False): left out"] if left else []


def one_text_each(rows: Iterable[Row]) -> None:
    """Raise `TaskError` where two questions go by one id: they would be judged together as one."""
    known = dict[str, str]()
    for row in rows:
        if known.setdefault(row.id, asked(row)) != asked(row):
            raise TaskError(
                f"two questions go by the id {row.id!r}: {known[row.id]!r:.60} and {asked(row)!r:.60}; give each its "
                "own, or none, and it is made from the question"
            )


def grouped(lesson: Lesson, rows: Iterable[Row]) -> tuple[Lesson, list[str]]:
    """The lesson with questions that ask the same as one, so that no split parts them, and a note of these."""
    from dataclasses import replace

    group = kin({row.id: asked(row) for row in rows})
    again = sum(id != first for id, first in group.items())
    notes = [f"{again} questions stand under two ids, in nearly equal words: split as one"] if again else []
    return replace(lesson, questions=tuple(group[id] for id in lesson.questions)), notes


def enough(lesson: Lesson, fewest: int = FEWEST, rarest: int = RAREST) -> None:
    """Raise `TaskError` where there are too few different questions, or too few in which a class occurs."""
    if (count := len(set(lesson.units))) < fewest:
        raise TaskError(
            f"the rows are of {count} different questions: expected at least {fewest}, since a critic is tried on "
            "questions that it has not seen; more responses to the same ones do not help"
        )
    for side, found in enumerate(zip(*strata(lesson).values(), strict=True)) if lesson.labels else ():
        if sum(found) < rarest:
            raise TaskError(
                f"labels {('above 0', 'below 1')[side]} occur in {sum(found)} of {count} questions: expected them in "
                f"at least {rarest}, to learn from some and to try the critic on others"
            )


def apart(rows: Iterable[Row], heldout: Iterable[Row]) -> None:
    """Raise `TaskError` where a question stands on both sides, under the same id or another, in nearly equal words."""
    there = list(heldout)
    if found := leaks(rows, there):
        here, id = found[0]
        question = next(row.question for row in there if row.id == id)
        raise TaskError(
            f"{len(found)} held-out questions are learned from as well: {id!r}, {question!r:.80}, stands there as "
            f"{here!r}; split by question, as splits.split does, or what is measured is memory"
        )


def telling(X: Any, columns: Sequence[str]) -> list[str]:
    """A note of the columns that say nothing of these rows; `TaskError` where none says anything."""
    np = arrays()

    known: Any = ~np.isnan(X)
    differ: Any = np.where(known, X, -np.inf).max(0) > np.where(known, X, np.inf).min(0)
    mute = [name for name, says in zip(columns, differ | (known.any(0) & ~known.all(0)), strict=True) if not says]
    if len(mute) == len(columns):
        raise TaskError(
            f"no feature says anything of these rows ({', '.join(mute) or 'there are none'}): choose others"
        )
    return [f"{len(mute)} of {len(columns)} columns say nothing of these rows: {', '.join(mute[:5])}"] if mute else []


def unheard(examples: Iterable[Example], features: Iterable[Feature]) -> list[str]:
    """A note of signals that came with the responses, and that no feature reads."""
    there = {f"signal:{name}" for example in examples for name in example.response.signals}
    left = sorted(there - {feature.name for feature in features})
    return [f"{', '.join(left)} came with the responses, and no feature reads it"] if left else []
