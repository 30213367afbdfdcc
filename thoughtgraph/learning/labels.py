"""Labels from search (Wang et al., 2024: Math-Shepherd): any thought graph in a store becomes rows to learn from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import sqrt
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.grown import CUT, Grade, Grown, grown
from thoughtgraph.learning.rows import AnyRow, Outcome, Preference, StepTrace, spelt
from thoughtgraph.state import State
from thoughtgraph.store import SQLiteStore, Store
from thoughtgraph.task import Claim, Task
from thoughtgraph.thought import Ito, Score, Thought
from thoughtgraph.trace import Forgotten, Started

Counts: TypeAlias = tuple[int, int]
"""Successes and trials."""

Evaluate: TypeAlias = Callable[[Task], Grade | None]
"""From a task to what grades its answers, outside of every search: `tg.tasks.evaluator`, or one that knows the gold."""

Label: TypeAlias = Literal["outcomes", "steps", "siblings"]
LABELS: tuple[Label, ...] = get_args(Label)

SURE = 1.96
"""Standard errors to either side: 95 % intervals."""


def rows_of(
    store: Store | str | os.PathLike[str],
    tasks: Iterable[Task] | Task,
    *,
    runs: Iterable[str] | None = None,
    evaluate: Evaluate | None = None,
    labels: Sequence[Label] | Label = LABELS,
    rollout: str | None = "reason",
    bar: float = 1.0,
) -> list[AnyRow]:
    """Every run in a store that searched one of `tasks`, or those of them named in `runs`, as rows to learn from.

    `evaluate` makes of a task what grades its answers; where there is none the task's goal does. It was never in the
    search, and learns of its answers only here. `labels` are the kinds of rows wanted, `rollout` and `bar` as in
    `steps` and `grown`. A row has the labels of the private knowledge that went into it, and may be trained on only
    where all of them allow it. Runs of which something was forgotten give no rows. `TaskError` where a run in `runs` is
    such a one, or searched none of the tasks, or nobody can grade it.
    """
    if isinstance(store, str | os.PathLike):
        with closing(SQLiteStore(store, read_only=True)) as kept:
            return rows_of(kept, tasks, runs=runs, evaluate=evaluate, labels=labels, rollout=rollout, bar=bar)
    labels, tasks = [labels] if isinstance(labels, str) else labels, [tasks] if isinstance(tasks, Task) else list(tasks)
    if rollout not in (None, "reason") and not any(rollout in task.actions for task in tasks):
        known = sorted({name for task in tasks for name in task.actions})
        raise TaskError(f"no task has an action {rollout!r} that could have made trials: they have {', '.join(known)}")
    if odd := set(labels) - set(LABELS):
        raise TaskError(f"the labels are {', '.join(sorted(odd))}: expected some of {', '.join(LABELS)}")
    found = [_grown(store, run, task, evaluate, bar) for run, task in _searched(store, tasks, runs)]
    rows: list[AnyRow] = []
    for tree in found:
        rows += outcomes(tree) if "outcomes" in labels else []
        rows += steps(tree, rollout) if "steps" in labels else []
        rows += siblings(tree, rollout) if "siblings" in labels else []
    return rows


def _searched(store: Store, tasks: Iterable[Task], runs: Iterable[str] | None) -> Iterator[tuple[str, Task]]:
    known = {(task.name, task.x): task for task in tasks}
    for run in store.runs() if runs is None else runs:
        started, ended = store.ends(run)
        if runs is None and isinstance(ended, Forgotten):
            continue
        task = known.get((started.task, started.x)) if isinstance(started, Started) else None
        if task is not None:
            yield run, task
        elif runs is not None:
            raise TaskError(f"run {run} searched none of the {len(known)} tasks: give its task too")


def _grown(store: Store, run: str, task: Task, evaluate: Evaluate | None, bar: float) -> Grown:
    return grown(store, run, task, evaluate(task) if evaluate else None, bar=bar)


# -- outcomes --------------------------------------------------------------------------------------------------------


def outcomes(tree: Grown) -> list[Outcome]:
    """A row for each finished thought that could be graded: what it claims, and how right that is.

    They are what the search came to, not a sample of what its generator writes: a policy that prunes shows its best.
    """
    graded = [(thought, tree.value(thought)) for thought in tree.graph.finals]
    return [
        Outcome(**_row(tree, thought), response=tree.response(thought), value=value, grader=tree.grader)
        for thought, value in graded
        if value is not None
    ]


def _row(tree: Grown, *thoughts: Thought) -> dict[str, Any]:
    """What all rows of a run have in common, and what may be done with one of these thoughts."""
    labels = [origin.labels for origin in tree.origins(*thoughts) if origin.labels]
    allowed = {"labels": tuple(sorted(set(map(spelt, labels)))), "train": all(label.train for label in labels)}
    return {"question": tree.started.x, "problem": tree.task.problem, "run": tree.run, **allowed}


# -- process labels --------------------------------------------------------------------------------------------------


def counted(tree: Grown, rollout: str | None = "reason") -> dict[str, Counts]:
    """(successes, trials) below each open thought, by its id: over the distinct answers that followed from it.

    An answer that branches share counts once for each thought above it, however many ways lead there. A dead end is a
    trial that failed; what is unfinished, or could not be graded, is no trial.

    With `rollout`, a trial is what that action, and nothing else, made from the thought: independent draws of one
    completer, as `monte_carlo` and `omega` make them, and so an unbiased estimate of its chances. With None every
    descendant counts. That is more, and *biased*: a search that looks where values are high finishes more answers
    where it hoped for some, and does not draw them independently of each other.
    """
    counts = dict[str, Counts]()
    for end in tree.graph:
        if (right := tree.right(end)) is not None:
            for thought in _above(tree, end, rollout):
                c, n = counts.get(thought.id, (0, 0))
                counts[thought.id] = (c + right, n + 1)
    return counts


def _above(tree: Grown, end: Thought, rollout: str | None) -> list[Thought]:
    """The open thoughts that an end is a trial of, each once; a dead end, which is open, is one of its own."""
    walked, seen = [end], {end.id}
    for thought in walked:  # grows as it is walked
        above = {parent.id: parent for parent in tree.above(thought, rollout) if parent.id not in seen}
        seen.update(above)
        walked += above.values()
    return [thought for thought in walked if not thought.done] if len(walked) > 1 else []


def steps(tree: Grown, rollout: str | None = "reason") -> list[StepTrace]:
    """A row for each way through the tree, with the Monte-Carlo value of every step: `counted`, both numbers kept.

    Each thought's count stands in one row alone, (0, 0) in the others that pass it, so that nothing is learned twice.
    The count of a finished step is its own grade, one trial. With `rollout`, rollouts are trials and no ways of their
    own. `first_error` is told where the counts show it.
    """
    counts = _with_ends(tree, counted(tree, rollout))
    told, rows = set[str](), list[StepTrace]()
    for end in _ways(tree, counts, rollout):
        way = tree.stages(end)
        new = [(0, 0) if stage.id in told else counts.get(stage.id, (0, 0)) for stage in way]
        told.update(stage.id for stage in way)
        if any(n for _, n in new):
            error = first_error([counts.get(s.id, (0, 0)) for s in way], counts.get(tree.graph.root.id, (0, 0)))
            rows.append(_traced(tree, end, new, error, rollout))
    return rows


def _traced(tree: Grown, end: Thought, counts: Sequence[Counts], error: int | None, rollout: str | None) -> StepTrace:
    who = "whatever followed" if rollout is None else tree.who(rollout)
    policy = tree.started.marks.get("policy", "")
    response = tree.response(end)
    completer = f"{who} | {policy}"
    return StepTrace(**_row(tree, end), response=response, counts=tuple(counts), first_error=error, completer=completer)


def _with_ends(tree: Grown, counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """The counts, and one trial for each finished thought: its own grade."""
    ends = {end.id: (int(right), 1) for end in tree.graph.finals if (right := tree.right(end)) is not None}
    return {**counts, **ends}


def _ways(tree: Grown, counts: Mapping[str, Counts], rollout: str | None) -> list[Thought]:
    """The last labelled thoughts of the tree, in their order; rollouts only where they were cut into steps."""

    def way(thought: Thought) -> bool:
        if thought.id not in counts or thought.action == CUT or not thought.parents:
            return False
        return thought.action != rollout or bool(tree.places((thought.parents[0], thought.id)))

    return [t for t in tree.graph if way(t) and not any(map(way, tree.graph.children(t)))]


def first_error(counts: Sequence[Counts], start: Counts = (0, 0)) -> int | None:
    """The first step, from 0, after which nobody succeeds any more; len(counts) if somebody always does, else None.

    Where somebody succeeded from a later step, an earlier one cannot have been wrong, whatever its own trials say: a
    recovery was only rare. So the error is the first step without success behind the last one with some, if no untried
    step lies between. `start` is the count of the question itself: where nobody ever solved it, nothing is known.
    """
    if start[1] and not start[0]:
        return None
    good = max((i for i, (c, _) in enumerate(counts) if c), default=-1)
    bad = next((i for i, (c, n) in enumerate(counts) if i > good and n and not c), len(counts))
    return bad if bad == good + 1 and (counts or bad) else None


def soft(counts: Counts) -> float | None:
    """The Monte-Carlo value c / N; None where nothing was tried."""
    return counts[0] / counts[1] if counts[1] else None


def hard(counts: Counts) -> bool | None:
    """Whether anybody ever succeeded, c > 0; None where nothing was tried."""
    return counts[0] > 0 if counts[1] else None


# -- sibling preferences ---------------------------------------------------------------------------------------------


def siblings(
    tree: Grown, rollout: str | None = "reason", *, by: str = "", least: float = 0.0, sure: float = SURE
) -> list[Preference]:
    """Pairs of thoughts made from the same thought by the same action, of which one is better beyond doubt.

    Better by Monte-Carlo value (`counted`; a finished thought is right or wrong for certain), or by the scores of the
    critic `by`. The difference must be more than `least`, and the interval around it, `sure` standard errors wide, must
    leave out 0: 1 of 2 against 0 of 2 is no preference. Of a critic's score the interval is that of its `spread`, and
    values of a comparative critic are compared within one set. `margin` is the difference.
    """
    at_least(0, least=least, sure=sure)
    valued = _by_critic(tree, by, sure) if by else _by_counts(tree, rollout, sure)
    rows = list[Preference]()
    for a, b in _pairs(tree, valued):
        difference = valued[a.id].less(valued[b.id])
        better, worse = (a, b) if difference.mean > 0 else (b, a)
        if difference.mean and abs(difference.mean) >= least and not difference.low <= 0 <= difference.high:
            rows.append(_preferred(tree, better, worse, abs(difference.mean), by))
    return rows


def _preferred(tree: Grown, better: Thought, worse: Thought, margin: float, by: str) -> Preference:
    judge = f"critic {by}" if by else f"rollouts, {tree.grader}"
    chosen, rejected = tree.response(better), tree.response(worse)
    return Preference(**_row(tree, better, worse), chosen=chosen, rejected=rejected, margin=margin, judge=judge)


@dataclass(frozen=True)
class Valued:
    """A value with the interval that it is likely to lie in, and the set that it was compared in."""

    mean: float
    low: float
    high: float
    compared: tuple[str, ...] = ()

    def less(self, other: Valued) -> Valued:
        """The difference and its interval, from those of the two (Newcombe, 1998, method 10)."""
        mean = self.mean - other.mean
        down = sqrt((self.mean - self.low) ** 2 + (other.high - other.mean) ** 2)
        up = sqrt((self.high - self.mean) ** 2 + (other.mean - other.low) ** 2)
        return Valued(mean, mean - down, mean + up)


def wilson(counts: Counts, sure: float = SURE) -> Valued:
    """The share c / N and Wilson's (1927) score interval around it, right for few trials and for shares of 0 and 1."""
    c, n = counts
    p, z2 = c / n, sure * sure
    middle, half = (p + z2 / (2 * n)) / (1 + z2 / n), sure * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Valued(p, min(p, middle - half), max(p, middle + half))


def _by_counts(tree: Grown, rollout: str | None, sure: float) -> dict[str, Valued]:
    tried = {id: wilson(counts, sure) for id, counts in counted(tree, rollout).items()}
    ends = {end.id: value for end in tree.graph.finals if (value := tree.value(end)) is not None}
    return {**tried, **{id: Valued(value, value, value) for id, value in ends.items()}}


def _by_critic(tree: Grown, critic: str, sure: float) -> dict[str, Valued]:
    scored = [(thought, tree.graph.score(thought, critic)) for thought in tree.graph]
    return {
        thought.id: Valued(
            score.value,
            score.value - sure * (score.spread or 0.0),
            score.value + sure * (score.spread or 0.0),
            tree.graph.compared(thought, critic),
        )
        for thought, score in scored
        if score is not None and score.value is not None
    }


def _pairs(tree: Grown, valued: Mapping[str, Valued]) -> Iterator[tuple[Thought, Thought]]:
    """Pairs of siblings that can be compared, each once: two parents may share the same two children."""
    met = set[tuple[str, str]]()
    for parent in tree.graph:
        known = [child for child in tree.graph.children(parent) if child.id in valued and child.action != CUT]
        for a, b in combinations(known, 2):
            alike = a.action == b.action and a.done == b.done and a.content != b.content
            if alike and valued[a.id].compared == valued[b.id].compared and (a.id, b.id) not in met:
                met.add((a.id, b.id))
                yield a, b


# -- grading inside a search -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graded:
    """The evaluator as a critic, declared for what it is: an environment. It abstains on what is not finished.

    A run that asks it says `ito = "environment"`. It is for searches whose purpose is labels, as `omega`'s, which must
    know at once whether a rollout was right; what they reach says nothing of what is reached without it.
    """

    claim: Claim
    grade: Grade = field(repr=False)  # out of the run's marks: it may hold the gold answer

    ito: ClassVar[Ito] = "environment"

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """1 for a right answer, 0 for a wrong one or none."""
        return [self._judge(state) for state in states]

    def _judge(self, state: State) -> Score:
        claimed = self.claim(state.path) if state.thought.done else None
        value = self.grade(claimed) if claimed is not None else 0.0 if state.thought.done else None
        return Score(None, samples=0, status="abstained") if value is None else Score(float(value))


def graded(task: Task, evaluate: Evaluate, name: str = "outcome") -> Task:
    """The task with its evaluator as one more critic, an environment, for a search that makes labels."""
    grade = evaluate(task)
    if grade is None:
        raise TaskError(f"nobody grades answers of {task.name!r}: give an evaluate that knows how")
    return replace(task, critics={**task.critics, name: Graded(task.claim, grade)})
