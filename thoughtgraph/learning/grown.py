"""A search that is over, read back as data: who made which thought, what followed from it, and what was right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.learning.rows import Response
from thoughtgraph.marks import mark
from thoughtgraph.store import Store
from thoughtgraph.task import Task
from thoughtgraph.thought import Json, Passage, Thought, as_passage
from thoughtgraph.trace import Expanded, Forgotten, Started, graph_of, standing

Grade: TypeAlias = Callable[[Json], bool | float | None]
"""From what an answer claims to how right it is, in [0, 1]; None where nobody can tell."""

CUT = "cut"
"""The action whose thoughts are the places on the way to a whole answer (`search.rollouts.places`)."""


@dataclass(frozen=True)
class Grown:
    """A run's graph with the task that it searched, and what tells its right answers from its wrong ones.

    `grade` judges claims, and never was in the search; without it the task's own goal does. `bar` is the grade from
    which an answer counts as right: 1 for a metric that can be missed by a little.
    """

    started: Started
    task: Task
    graph: ThoughtGraph = field(repr=False)
    makers: dict[str, Expanded] = field(repr=False)
    """The expansion that first made each thought, by its id."""
    ways: dict[str, tuple[tuple[str, str], ...]] = field(repr=False)
    """The (parent, action) pairs that led to each thought, by its id: after a merge, more than one."""
    barren: frozenset[str] = field(repr=False)
    """The ids of thoughts from which an expansion that did not fail brought nothing."""
    grade: Grade | None = None
    bar: float = 1.0

    @property
    def run(self) -> str:
        """The run's id."""
        return self.started.run

    @property
    def grader(self) -> str:
        """Who tells right from wrong."""
        return "goal" if self.grade is None else mark(self.grade)[:200]

    def value(self, thought: Thought) -> float | None:
        """How right a thought is: its grade if it is done, 0 where it claims nothing, None if open or not judged."""
        return self._values.get(thought.id)

    @cached_property
    def _values(self) -> dict[str, float]:
        graded = {thought.id: self._judge(thought) for thought in self.graph.finals}
        return {id: value for id, value in graded.items() if value is not None}

    def _judge(self, thought: Thought) -> float | None:
        if self.grade is None:
            return float(self.task.solved(self.graph, thought))
        claim = self.task.answer(self.graph, thought)
        said = 0.0 if claim is None else self.grade(claim)
        if said is not None and not 0 <= said <= 1:
            raise TaskError(f"an answer was graded {said!r}: expected a number from 0 to 1, or None")
        return None if said is None else float(said)

    def right(self, thought: Thought) -> bool | None:
        """Whether a finished thought is right; False for a dead end, None where nobody knows."""
        value = self.value(thought)
        if value is None:
            return False if thought.id in self.barren and not self.graph.children(thought) else None
        return value >= self.bar

    def above(self, thought: Thought, action: str | None = None) -> list[Thought]:
        """The thoughts that this one was made from; with `action`, by that."""
        return [self.graph[parent] for parent, by in self.ways.get(thought.id, ()) if action in (None, by)]

    def stages(self, thought: Thought) -> list[Thought]:
        """The thoughts on the way to this one, without the root and passages, a whole answer in the steps it was cut
        into.
        """
        made, at = list[Thought](), thought
        while at.parents:
            made += self._pieces(at)[::-1]
            at = self.graph[at.parents[0]]
        return [stage for stage in made[::-1] if as_passage(stage) is None]

    def _pieces(self, thought: Thought) -> list[Thought]:
        """A place with the places before it, or an answer with the places that it was cut into; else the thought."""
        if thought.action == CUT:
            way = self.places(thought.parents)
            return way[: way.index(thought) + 1]
        return [*self.places((thought.parents[0], thought.id)), thought]

    def places(self, parents: Sequence[str]) -> list[Thought]:
        """Where the answer that is the second of `parents` was cut, on its way from the first; in order."""
        return self._cuts.get(tuple(parents), [])

    @cached_property
    def _cuts(self) -> dict[tuple[str, ...], list[Thought]]:
        found = dict[tuple[str, ...], list[Thought]]()
        for thought in self.graph:
            if thought.action == CUT:
                found.setdefault(thought.parents, []).append(thought)
        return found

    def response(self, thought: Thought) -> Response:
        """The way to a thought as a response, with what critics said of it: proxies alone, since others know more."""
        stages = self.stages(thought)
        pieces = [_beyond(before, stage) for before, stage in zip([None, *stages], stages, strict=False)]
        return Response(
            text="\n".join(pieces),
            steps=tuple(pieces),
            contents=tuple(stage.content for stage in stages),
            answer=self.task.answer(self.graph, thought) if thought.done else None,
            signals=self._signals(thought),
            generator=self.maker(thought),
            thought=thought.id,
        )

    def _signals(self, thought: Thought) -> dict[str, float]:
        proxies = [name for name, critic in self.task.critics.items() if getattr(critic, "ito", "proxy") == "proxy"]
        said = {name: self.graph.value(thought, name) for name in proxies}
        known = {name: value for name, value in said.items() if value is not None}
        return {**known, "prior": thought.prior, "depth": float(thought.depth)}

    def origins(self, *thoughts: Thought) -> tuple[Passage, ...]:
        """The knowledge that went into thoughts, as passages without their text: the task's own, and the graph's."""
        asked = as_passage(Thought("", (), "", self.task.problem))
        known = (*self.task.passages, asked) if asked else self.task.passages
        given = [origin for passage in known if (origin := passage.origin)]
        return tuple(dict.fromkeys([*given, *(one for thought in thoughts for one in self.graph.origins(thought))]))

    def maker(self, thought: Thought) -> str:
        """Who made a thought, as the run recorded it; of a place in an answer, who wrote the answer."""
        if thought.action == CUT and len(thought.parents) > 1:
            return self.maker(self.graph[thought.parents[1]])
        event = self.makers.get(thought.id)
        return self.who(thought.action, event.prompters if event else ())

    def who(self, action: str, prompters: Iterable[str] = ()) -> str:
        """An action with its model, its settings and its prompters."""
        marks = self.started.marks
        model = marks.get(f"model of {action}", marks.get("model", "none"))
        return " | ".join(filter(None, [model, action, marks.get(f"action {action}", ""), *prompters]))


def grown(store: Store, run: str, task: Task, grade: Grade | None = None, *, bar: float = 1.0) -> Grown:
    """A run of `task` as it stands in a store; `TaskError` where it is another's, forgotten, or nobody can grade it."""
    events = standing(store.events(run))
    if any(isinstance(event, Forgotten) for event in events):
        raise TaskError(f"something that run {run} rests on was forgotten: nothing is learned from what is left of it")
    started = next((event for event in events if isinstance(event, Started)), None)
    if started is None or started.x != task.x or started.root.content != task.start:
        raise TaskError(
            f"run {run} searched {started.x if started else 'nothing'!r:.80}, and the task is {task.x!r:.80}"
        )
    if grade is None and task.goal is None:
        raise TaskError(
            f"nobody can tell a right answer of {task.x!r:.80} from a wrong one: the task has no goal test, so give "
            "what grades it, as in evaluate=tg.tasks.evaluator or evaluate=lambda task: lambda answer: ..."
        )
    expanded = [event for event in events if isinstance(event, Expanded)]
    makers = {thought.id: event for event in reversed(expanded) for thought in event.thoughts}
    return Grown(started, task, graph_of(events), makers, _ways(expanded), _barren(expanded), grade, bar)


def _ways(events: Sequence[Expanded]) -> dict[str, tuple[tuple[str, str], ...]]:
    ways = dict[str, dict[tuple[str, str], None]]()
    for event in events:
        for id in event.made:
            ways.setdefault(id, {}).update(dict.fromkeys((parent, event.action) for parent in event.parents))
    return {id: tuple(pairs) for id, pairs in ways.items()}


def _barren(events: Sequence[Expanded]) -> frozenset[str]:
    """What brought nothing, though nothing failed."""

    def empty(event: Expanded) -> bool:
        fell: Any = (event.outcomes or {}).keys() - {"ok"}
        return not (event.made or event.error or event.partial or fell)

    return frozenset(event.parents[0] for event in events if len(event.parents) == 1 and empty(event))


def _beyond(before: Thought | None, stage: Thought) -> str:
    """What a stage says beyond the one before it, where both are parts of one answer."""
    same = before is not None and before.action == CUT
    return stage.text.removeprefix(before.text).lstrip("\n") if before and same else stage.text
