"""Reward models from demonstrations (Ziebart et al., 2008; Ho & Ermon, 2016; Sun & van der Schaar, 2024): eqs. 5-7."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, ClassVar

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.fitted import Model, fit
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.lessons import Kind, Lesson
from thoughtgraph.learning.outcomes import cross_entropy
from thoughtgraph.learning.rows import AnyRow, Demonstration, responses


@dataclass(frozen=True)
class Demonstrations:
    """Tell demonstrations from what the current generator writes; the reward is the discriminator's logit.

    With D = σ(z), log D - log(1 - D) = z: high where a response is more likely an expert's than the generator's. Both
    sides weigh the same however many there are of each, else z would carry log(demonstrations / responses). `limit`
    bounds |z|: labels are σ(limit) and σ(-limit), beyond which there is nothing to gain by being surer. `negatives`
    are rows of the generator's responses, of any kind, whose labels nobody looks at. The reward is right for that
    generator only: fit it again on fresh ones when the generator has changed (`Training.refit`).

    The trap: where demonstrations come of another hand, D learns the hand (style, length, layout). Training compares
    D with one that sees only the surface, and does not ship what that one does nearly as well.
    """

    negatives: tuple[AnyRow, ...] = ()
    limit: float = 10.0

    name: ClassVar[Objective] = "demonstration"
    kind: ClassVar[Kind] = "reward"

    def __post_init__(self) -> None:
        at_least(0, limit=self.limit)

    def lesson(self, rows: Sequence[AnyRow]) -> Lesson:
        """The demonstrations with label 1, the generator's responses with label 0.

        A demonstration is judged as one more response among the generator's, not among other demonstrations: those
        agree with each other as no responses of the generator do, and D would learn that.
        """
        shown = [row for row in rows if isinstance(row, Demonstration)]
        _refuse(shown, self.negatives)
        written = [(row.id, _example(row, response)) for row in self.negatives for response in responses(row)]
        told = [(row.id, _example(row, row.response), f"{row.id} {i}") for i, row in enumerate(shown)]
        beside = _by_question(written)
        company = {key: _others(example, beside.get(id, ())) for id, example, key in told}
        return Lesson(
            (*(example for _, example, _ in told), *(example for _, example in written)),
            (*(id for id, _, _ in told), *(id for id, _ in written)),
            (*(key for _, _, key in told), *(id for id, _ in written)),
            (1.0,) * len(told) + (0.0,) * len(written),
            (1.0,) * (len(told) + len(written)),
            company=company,
            notes=(f"{len(told)} demonstrations against {len(written)} responses of the generator, weighed the same",),
        )

    def fit(self, lesson: Lesson, X: Any, *, learner: str, seed: int) -> Model:
        """z, the logit of being a demonstration."""
        np = arrays()

        least = 1 / (1 + np.exp(self.limit))
        y = np.clip(lesson.labels, least, 1 - least)
        return fit(X, y, balanced(lesson.labels, lesson.weights), learner=learner, seed=seed)

    def loss(self, lesson: Lesson, rewards: Any) -> float:
        """The discriminator's cross-entropy, classes in balance: log 2 where the two cannot be told apart."""
        return cross_entropy(rewards, lesson.labels, balanced(lesson.labels, lesson.weights))


def balanced(labels: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Weights with which ones and zeros count the same, half of all each."""
    total = fsum(weights)
    ones = fsum(w * y for w, y in zip(weights, labels, strict=True))
    if not 0 < ones < total:
        raise TaskError("there are demonstrations alone, or none: expected some, and responses of the generator")
    return [w * total / 2 / (ones if y else total - ones) for w, y in zip(weights, labels, strict=True)]


def reward(D: Any) -> Any:
    """Equation 7: log D - log(1 - D), the logit of the discriminator."""
    np = arrays()

    return np.log(D) - np.log1p(-np.asarray(D, float))


def _example(row: AnyRow, response: Any) -> Example:
    return Example(row.question, response, row.problem)


def _by_question(pairs: Iterable[tuple[str, Example]]) -> dict[str, list[Example]]:
    """Examples by their question's id."""
    groups = dict[str, list[Example]]()
    for id, example in pairs:
        groups.setdefault(id, []).append(example)
    return groups


def _others(example: Example, others: Sequence[Example]) -> list[Example]:
    """What the generator wrote to the same question, less what is the demonstration itself, word for word, once."""
    same = next((i for i, other in enumerate(others) if other.response.text == example.response.text), None)
    return [other for i, other in enumerate(others) if i != same]


def _refuse(shown: Sequence[Demonstration], negatives: Sequence[AnyRow]) -> None:
    """Raise `TaskError` where there is nothing to tell the demonstrations from."""
    if not shown:
        raise TaskError(
            "there are no demonstrations among the rows: expected some, and the generator's responses beside"
        )
    if not negatives:
        raise TaskError(
            f"{len(shown)} demonstrations say what is good, and nothing says what the generator writes: give responses "
            "of the current generator to the same questions, as negatives=rows, or as a function that writes them"
        )
    known = {(row.id, row.response.text) for row in shown}
    if all((row.id, response.text) in known for row in negatives for response in responses(row)):
        raise TaskError(
            "all responses of the generator are demonstrations, word for word: there is nothing to tell apart; give "
            "what the generator writes by itself"
        )
