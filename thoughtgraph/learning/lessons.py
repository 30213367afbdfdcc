"""A lesson: rows made ready to learn from, whatever the objective. Examples with labels, or with who beat whom."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from thoughtgraph.learning.features import Each, Example, Feature, table
from thoughtgraph.learning.fitted import Model
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.rows import AnyRow

Kind: TypeAlias = Literal["prob", "reward"]
"""What a critic's values mean: a probability, or a reward that compares responses to one question and no more."""


@dataclass(frozen=True, slots=True)
class Duel:
    """Example `better` beat example `worse`: a share `target` of `weight` times, by `margin`."""

    better: int
    worse: int
    weight: float = 1.0
    margin: float = 0.0
    target: float = 1.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Examples, and for each its question (which is never split), the set that it is judged in, and its label.

    `labels` are in [0, 1] and count as `weights` times so many ones and so many zeros; a lesson of `duels` has none.
    `company` are examples that nothing is learned from, and that are judged with a set all the same.
    """

    examples: tuple[Example, ...]
    questions: tuple[str, ...]
    sets: tuple[str, ...]
    labels: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    duels: tuple[Duel, ...] = ()
    company: Mapping[str, Sequence[Example]] = field(default_factory=dict[str, Sequence[Example]])
    notes: tuple[str, ...] = ()

    def part(self, questions: Container[str]) -> tuple[Lesson, list[int]]:
        """The lesson of these questions alone, and the places of its examples in this one."""
        kept = [i for i, question in enumerate(self.questions) if question in questions]
        place = {old: new for new, old in enumerate(kept)}
        duels = (replace(d, better=place[d.better], worse=place[d.worse]) for d in self.duels if d.better in place)
        lesson = Lesson(
            tuple(self.examples[i] for i in kept),
            tuple(self.questions[i] for i in kept),
            tuple(self.sets[i] for i in kept),
            tuple(self.labels[i] for i in kept if self.labels),
            tuple(self.weights[i] for i in kept if self.weights),
            tuple(duels),
        )
        return lesson, kept

    @property
    def units(self) -> list[str]:
        """The question of everything that is learned from: of each duel, or of each example."""
        return [self.questions[duel.better] for duel in self.duels] or list(self.questions)

    def times(self, counts: Sequence[int]) -> Lesson:
        """The same with each of its units counted so many times."""
        if self.duels:
            told = zip(self.duels, counts, strict=True)
            return replace(self, duels=tuple(replace(d, weight=d.weight * n) for d, n in told if n))
        return replace(self, weights=tuple(w * n for w, n in zip(self.weights, counts, strict=True)))

    def by_set(self) -> dict[str, list[int]]:
        """The places of the examples that are judged together."""
        places = dict[str, list[int]]()
        for i, key in enumerate(self.sets):
            places.setdefault(key, []).append(i)
        return places

    def table(self, features: Sequence[Feature]) -> Any:
        """The numbers of all examples, a row each in their order: each set is judged by itself, with its company."""
        import numpy as np

        places = self.by_set()
        alone = all(isinstance(feature.compute, Each) for feature in features)
        beside = dict[str, Sequence[Example]]() if alone else self.company
        sets = [[*(self.examples[i] for i in at), *beside.get(key, ())] for key, at in places.items()]
        told = table(sets, features)
        X, start = np.empty((len(self.examples), told.shape[1])), 0
        for at, examples in zip(places.values(), sets, strict=True):
            X[at] = told[start : start + len(at)]
            start += len(examples)
        return X


class Trainer(Protocol):
    """An objective: how rows become a lesson, how a model is fitted to it, and what fitting makes less."""

    name: ClassVar[Objective]
    """In a word, as `train_critic(objective=...)` takes it."""
    kind: ClassVar[Kind]
    """What the values mean."""

    def lesson(self, rows: Sequence[AnyRow]) -> Lesson:
        """The rows as a lesson; `TaskError` where they say nothing to learn."""
        ...

    def fit(self, lesson: Lesson, X: Any, *, learner: str, seed: int) -> Model:
        """A model of the lesson, from the table `X` with a row for each example."""
        ...

    def loss(self, lesson: Lesson, rewards: Any) -> float:
        """The mean of what fitting makes less, at these rewards, one for each example."""
        ...


def strata(lesson: Lesson) -> dict[str, tuple[bool, bool]]:
    """For each question whether it has labels over 0, and labels under 1."""
    told = dict[str, tuple[bool, bool]]()
    for question, y in zip(lesson.questions, lesson.labels or (1.0,) * len(lesson.questions), strict=True):
        high, low = told.get(question, (False, False))
        told[question] = (high or y > 0, low or y < 1)
    return told


def mean(values: Sequence[float]) -> float:
    """The mean, of at least one."""
    return fsum(values) / len(values)
