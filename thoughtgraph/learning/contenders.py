"""What a learned critic must beat: the majority (Wang et al., 2023), length (Singhal et al., 2024), a single signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from thoughtgraph.learning.agreement import VOTES
from thoughtgraph.learning.columns import FAR, Columns
from thoughtgraph.learning.features import Feature
from thoughtgraph.learning.fitted import Model
from thoughtgraph.learning.lessons import Lesson
from thoughtgraph.learning.linear import Linear
from thoughtgraph.learning.registry import SURFACE
from thoughtgraph.learning.signals import signal
from thoughtgraph.learning.texts import LENGTH

Fit: TypeAlias = Callable[[Lesson, Any], Model]
"""From a lesson, and the table of its examples, to a model."""


@dataclass(frozen=True)
class Contender:
    """A way to judge: its features, the model of their columns, and what it gave examples that it had not seen."""

    name: str
    features: tuple[Feature, ...]
    model: Model = field(repr=False)
    rewards: Any = field(repr=False)

    @property
    def shallow(self) -> bool:
        """Whether it goes by nothing but the surface."""
        return bool(self.features) and all(feature.family == "surface" for feature in self.features)


def learned(
    name: str, lesson: Lesson, features: tuple[Feature, ...], X: Any, fit: Fit, folds: Sequence[set[str]]
) -> Contender:
    """What is fitted to all of the lesson; its rewards are those of models that were fitted to the other folds."""
    import numpy as np

    rewards = np.zeros(len(lesson.examples))
    for fold in folds:
        rest, kept = lesson.part(set(lesson.questions) - fold)
        _, out = lesson.part(fold)
        rewards[out] = fit(rest, X[kept])(X[out])
    return Contender(name, features, fit(lesson, X), rewards)


def baselines(lesson: Lesson) -> Iterator[Contender]:
    """Everybody who judges without having learned: nobody, the crowd, the rule of thumb, each signal of its own."""
    yield _given("random", lesson)
    if any(example.response.answer is not None for example in lesson.examples):
        yield _given("majority", lesson, VOTES, "share")
    yield _given("longest", lesson, LENGTH, "characters")
    yield _given("shortest", lesson, LENGTH, "characters", -1.0)
    for name in sorted({name for example in lesson.examples for name in example.response.signals}):
        yield _given(f"signal:{name}", lesson, signal(name), "value")


def surface(lesson: Lesson, fit: Fit, folds: Sequence[set[str]]) -> Contender:
    """What can be learned from what anybody could fake."""
    return learned("surface", lesson, SURFACE, lesson.table(SURFACE), fit, folds)


def _given(name: str, lesson: Lesson, feature: Feature | None = None, column: str = "", sign: float = 1.0) -> Contender:
    """The column itself is the reward, or its negative; without one, the same for all.

    A signal that is missing says nothing, and counts as their mean; who claims no answer has no vote.
    """
    features = () if feature is None else (feature,)
    X, columns = lesson.table(features), () if feature is None else feature.columns
    middle = Columns.of(X).middle if name.startswith("signal:") else (0.0,) * len(columns)
    unmoved = Columns((-FAR,) * len(columns), (FAR,) * len(columns), middle, (1.0,) * len(columns))
    model = Linear(unmoved, tuple(sign * (name == column) for name in columns))
    return Contender(name, features, model, model(X))
