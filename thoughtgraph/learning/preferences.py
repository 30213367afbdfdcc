"""Reward models from preferences (Bradley & Terry, 1952; Christiano et al., 2017): equation 4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import arrays
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.fitted import Model, fit_pairs
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.lessons import Duel, Kind, Lesson, mean
from thoughtgraph.learning.rows import AnyRow, Preference, Response


@dataclass(frozen=True)
class Preferences:
    """Fit rewards under which the chosen beat the rejected: P(a beats b) = σ(r_a - r_b - m), m the margin.

    A tie, a judgement that changed with the order, and judgements of one judge that contradict each other count as
    half a win for either side. The rewards are centred, known only up to a constant for each question, and no
    probabilities: choose `Outcomes` where a metric says what is right, for values that compare across questions.
    """

    margins: bool = True

    name: ClassVar[Objective] = "preference"
    kind: ClassVar[Kind] = "reward"

    def lesson(self, rows: Sequence[AnyRow]) -> Lesson:
        """A duel for each two responses that one judge compared; a response is seen among all to its question."""
        preferences = [row for row in rows if isinstance(row, Preference)]
        _refuse(preferences)
        place, examples = dict[tuple[str, ...], int](), list[tuple[str, Example]]()
        duels = dict[tuple[int, int, str], list[Preference]]()
        for row in preferences:
            pair = [_place(row, response, place, examples) for response in (row.chosen, row.rejected)]
            if pair[0] != pair[1]:
                duels.setdefault((min(pair), max(pair), row.judge), []).append(row)
        told = [_duel(a, b, same, place, self.margins) for (a, b, _), same in duels.items()]
        questions = tuple(question for question, _ in examples)
        return Lesson(tuple(e for _, e in examples), questions, questions, duels=tuple(told), notes=_notes(preferences))

    def fit(self, lesson: Lesson, X: Any, *, learner: str, seed: int) -> Model:
        """Centred rewards."""
        duels = lesson.duels
        return fit_pairs(
            X[[d.better for d in duels]], X[[d.worse for d in duels]], [d.weight for d in duels],
            [d.margin for d in duels], [d.target for d in duels], learner=learner, seed=seed,
        )  # fmt: skip

    def loss(self, lesson: Lesson, rewards: Any) -> float:
        """Equation 4, for each duel."""
        return bradley_terry(rewards, lesson.duels)


def bradley_terry(r: Any, duels: Iterable[Duel]) -> float:
    """-Σ w [t log σ(Δ) + (1 - t) log(1 - σ(Δ))] / Σ w with Δ = r⁺ - r⁻ - m; t is 1, and 1/2 for a tie."""
    np = arrays()

    table: Any = np.array([(d.better, d.worse, d.weight, d.margin, d.target) for d in duels])
    better, worse = table[:, :2].astype(int).T
    w, m, t = table[:, 2:].T
    gap: Any = np.asarray(r, float)[better] - np.asarray(r, float)[worse] - m
    return float(np.sum(w * (np.logaddexp(0, gap) - t * gap)) / np.sum(w))


# -- what is found in the rows ---------------------------------------------------------------------------------------


def same_response(row: Preference) -> bool:
    """Whether something is compared with itself."""
    return _key(row, row.chosen) == _key(row, row.rejected)


def contradictions(rows: Iterable[Preference]) -> int:
    """How many pairs the same judge has preferred both ways."""
    ways = dict[tuple[object, ...], set[object]]()
    for row in rows:
        chosen, rejected = _key(row, row.chosen), _key(row, row.rejected)
        if not row.tie:
            ways.setdefault((*sorted((chosen, rejected)), row.judge), set()).add(chosen)
    return sum(len(way) > 1 for way in ways.values())


def _key(row: Preference, response: Response) -> tuple[str, ...]:
    return (row.id, response.text, response.generator, response.thought)


def _place(row: Preference, response: Response, place: dict[tuple[str, ...], int], examples: list[Any]) -> int:
    """Where the response stands among the examples; it is put there if it is new."""
    if (key := _key(row, response)) not in place:
        place[key] = len(examples)
        examples.append((row.id, Example(row.question, response, row.problem)))
    return place[key]


def _duel(a: int, b: int, rows: Sequence[Preference], place: dict[tuple[str, ...], int], margins: bool) -> Duel:
    """All that one judge said of a and b: the share of the wins that are a's, one row one vote."""
    wins = [_share(row) if place[_key(row, row.chosen)] == a else 1 - _share(row) for row in rows]
    target = mean(wins)
    margin = mean([row.margin or 0.0 for row in rows]) if margins and target in (0, 1) else 0.0
    return Duel(a, b, len(rows), margin, target) if target >= 0.5 else Duel(b, a, len(rows), margin, 1 - target)


def _share(row: Preference) -> float:
    """The share of a win that is the chosen one's: a flip is half a win for either."""
    return 0.5 if row.tie else (1 + row.flips / 2) / (1 + row.flips)


def _notes(rows: Sequence[Preference]) -> tuple[str, ...]:
    found = Counter(
        {
            "compare a response with itself, and are left out": sum(map(same_response, rows)),
            "are ties, and count as half a win for either": sum(row.tie for row in rows),
            "changed with the order in which the two were shown": sum(row.flips > 0 for row in rows),
        }
    )
    notes = [f"{count} of {len(rows)} preferences {what}" for what, count in found.items() if count]
    if both := contradictions(rows):
        notes.append(f"{both} pairs were preferred both ways by the same judge: it counts by the share of wins")
    return tuple(notes)


def _refuse(rows: Sequence[Preference]) -> None:
    """Raise `TaskError` where nothing is preferred to anything, or by no finite margin."""
    if not any(not row.tie and not same_response(row) for row in rows):
        raise TaskError(
            f"none of {len(rows)} preferences says which of two responses is better: all are ties, or compare a "
            "response with itself; give pairs whose chosen and rejected differ"
        )
    if odd := [row.margin for row in rows if row.margin is not None and not 0 <= row.margin < float("inf")]:
        raise TaskError(f"a preference has the margin {odd[0]!r}: expected a finite number of at least 0, or None")
