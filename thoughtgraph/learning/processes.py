"""Process reward models from Monte-Carlo counts (Wang et al., 2024; Zhang et al., 2025): can it still succeed?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, ClassVar

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.fitted import Model, fit
from thoughtgraph.learning.learned import Objective
from thoughtgraph.learning.lessons import Kind, Lesson
from thoughtgraph.learning.outcomes import cross_entropy
from thoughtgraph.learning.rows import AnyRow, StepTrace
from thoughtgraph.statistics import Interval


@dataclass(frozen=True)
class Processes:
    """The probability that whoever goes on from a prefix succeeds: a value of its completer, no proof of correctness.

    Every prefix of a response is an example: c successes in N trials count as c ones and N - c zeros (the binomial
    likelihood), so that 0 of 2 says less than 0 of 64. With `hard`, a prefix counts once, as 1 where anybody ever
    succeeded (Zhang et al., 2025, found that better once the labels are clean). `until_error` leaves out what follows
    the first wrong step: the `first_error` of the trace, else the first prefix from which no trial succeeded. Where
    only the first error is known, prefixes before it count as one success in one trial.
    """

    hard: bool = False
    until_error: bool = False

    name: ClassVar[Objective] = "process"
    kind: ClassVar[Kind] = "prob"

    def lesson(self, rows: Sequence[AnyRow]) -> Lesson:
        """An example for each prefix; prefixes of equal length are judged together, as siblings are in a search."""
        traces = [row for row in rows if isinstance(row, StepTrace)]
        pooled = dict[tuple[str, str, str], tuple[str, Example, int, int]]()
        for row in traces:
            for step, (c, N) in self.counts(row):
                prefix = row.response.until(step)
                key = (row.id, "\n\n".join(prefix.steps), row.completer)
                _, _, c_before, N_before = pooled.get(key, ("", None, 0, 0))
                example = Example(row.question, prefix, row.problem)
                pooled[key] = (f"{row.id} {step}", example, c + c_before, N + N_before)
        told = list(pooled.values())
        _refuse(traces, [(c, N) for _, _, c, N in told])
        return Lesson(
            tuple(example for _, example, _, _ in told),
            tuple(question for question, _, _ in pooled),
            tuple(depth for depth, _, _, _ in told),
            tuple(float(c > 0) if self.hard else c / N for _, _, c, N in told),
            tuple(1.0 if self.hard else float(N) for _, _, _, N in told),
            notes=_notes(traces),
        )

    def counts(self, row: StepTrace) -> Iterator[tuple[int, tuple[int, int]]]:
        """The steps of a trace that are learned from, from 1, each with its (successes, trials)."""
        wrong = row.first_error
        judged = [(1, 1)] * (wrong or 0) + [(0, 1)] * (len(row.response.steps) - (wrong or 0))
        counts = row.counts or (judged if wrong is not None else [])
        for step, (c, N) in enumerate(counts, 1):
            if N:
                yield step, (c, N)
            if (self.until_error or not row.counts) and (step > wrong if wrong is not None else N and not c):
                return

    def fit(self, lesson: Lesson, X: Any, *, learner: str, seed: int) -> Model:
        """The logit of succeeding."""
        return fit(X, lesson.labels, lesson.weights, learner=learner, seed=seed)

    def loss(self, lesson: Lesson, rewards: Any) -> float:
        """-log likelihood of the counts, for each trial."""
        return cross_entropy(rewards, lesson.labels, lesson.weights)


def beta(c: float, N: float, level: float = 0.95) -> Interval:
    """How likely success is after `c` of `N`: the mean and the equal-tailed interval of Beta(c + 1/2, N - c + 1/2).

    With p = sin² θ the density is sin(θ)^2c cos(θ)^2(N - c), smooth even where p is near 0 or 1.
    """
    import numpy

    np: Any = numpy  # its types are not known alike in all of its versions
    theta = np.linspace(0, np.pi / 2, 20_001)[1:-1]
    logs = 2 * c * np.log(np.sin(theta)) + 2 * (N - c) * np.log(np.cos(theta))
    mass = np.cumsum(np.exp(logs - logs.max()))
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], mass / mass[-1], np.sin(theta) ** 2)
    return Interval((c + 0.5) / (N + 1), float(low), float(high))


def _refuse(rows: Sequence[StepTrace], counts: Sequence[tuple[int, int]]) -> None:
    """Raise `TaskError` where no step was tried, or all came out alike."""
    if not counts:
        raise TaskError(
            f"none of {len(rows)} step traces says how a step turned out: expected counts with trials, or a first error"
        )
    shares = {c / N for c, N in counts}
    if len(shares) < 2:
        raise TaskError(
            f"all {len(counts)} prefixes succeed {min(shares):.0%} of the time: nothing tells good from bad ones; give "
            "traces that fail and traces that succeed"
        )


def _notes(rows: Sequence[StepTrace]) -> tuple[str, ...]:
    completers = sorted({row.completer or "nobody named" for row in rows})
    trials = [N for row in rows for _, N in row.counts]
    notes = [f"the values are those of whoever went on: {', '.join(completers)}"]
    if len(completers) > 1:
        notes.append("traces of several completers are mixed: a prefix is worth what its completer makes of it")
    if untried := sum(N == 0 for N in trials):
        notes.append(f"{untried} of {len(trials)} steps were not tried (0 of 0), and are left out")
    if tried := [N for N in trials if N]:
        notes.append(f"{fsum(tried) / len(tried):.1f} trials for each step that was tried")
    return tuple(notes)
