"""Outcome reward models (Cobbe et al., 2021; Uesato et al., 2022): equations 8 and 9, with the sign put right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.fitted import Model, fit
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.lessons import Kind, Lesson, mean
from thoughtgraph.learning.rows import AnyRow, Outcome


@dataclass(frozen=True)
class Outcomes:
    """The probability that a golden metric will find a response right, learned from responses that it has graded.

    Equation 8 is printed as -E[log R | right] + E[log(1 - R) | wrong], and to lessen that would *raise* the reward of
    wrong answers: what is meant, and done here, is the cross-entropy, with a minus before both.
    """

    name: ClassVar[Objective] = "outcome"
    kind: ClassVar[Kind] = "prob"

    def lesson(self, rows: Sequence[AnyRow]) -> Lesson:
        """An example for each outcome; a response that was graded both ways counts as right by the share of them."""
        told = [row for row in rows if isinstance(row, Outcome)]
        _refuse(told)
        graded = _grades(told)
        questions = tuple(row.id for row in told)
        return Lesson(
            tuple(Example(row.question, row.response, row.problem) for row in told),
            questions,
            questions,
            tuple(mean(graded[_key(row)]) for row in told),
            (1.0,) * len(told),
            notes=_notes(graded.values()),
        )

    def fit(self, lesson: Lesson, X: Any, *, learner: str, seed: int) -> Model:
        """The logit of being right."""
        return fit(X, lesson.labels, lesson.weights, learner=learner, seed=seed)

    def loss(self, lesson: Lesson, rewards: Any) -> float:
        """Equation 9's, for each example."""
        return cross_entropy(rewards, lesson.labels, lesson.weights)


def cross_entropy(z: Any, y: Sequence[float], weight: Sequence[float]) -> float:
    """-Σ w [y log R + (1 - y) log(1 - R)] / Σ w with R = σ(z): the reward of a wrong answer is pushed down."""
    np = arrays()

    z, labels, w = (np.asarray(values, float) for values in (z, y, weight))
    return float(np.sum(w * (np.logaddexp(0, z) - labels * z)) / np.sum(w))


def _refuse(rows: Sequence[Outcome]) -> None:
    """Raise `TaskError` where all responses came out alike."""
    values = {row.value for row in rows}
    if len(values) < 2:
        raise TaskError(
            f"all {len(rows)} outcomes are {', '.join(f'{value:g}' for value in values) or 'missing'}: nothing tells "
            "right from wrong responses; give outcomes of both kinds"
        )


def _key(row: Outcome) -> tuple[str, str, str]:
    return (row.id, row.response.text, row.grader)


def _grades(rows: Iterable[Outcome]) -> dict[tuple[str, str, str], list[float]]:
    grades = dict[tuple[str, str, str], list[float]]()
    for row in rows:
        grades.setdefault(_key(row), []).append(row.value)
    return grades


def _notes(grades: Iterable[Sequence[float]]) -> tuple[str, ...]:
    odd = sum(max(values) - min(values) > 0.5 for values in grades)
    return (f"{odd} responses were graded both right and wrong: such a one counts by the share of it",) if odd else ()
