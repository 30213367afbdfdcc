"""Final-answer rules: which thought carries the answer, from the graph alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.task import Task
from thoughtgraph.thought import Thought


def candidates(task: Task, graph: ThoughtGraph, among: Sequence[Thought] | None = None) -> list[Thought]:
    """The thoughts that may carry an answer: done, claiming something, and passing the goal test if there is one.

    `among` are the finished thoughts to look at; all of them, if not said.
    """
    finals = graph.finals if among is None else among
    done = (thought for thought in finals if task.goal is None or task.solved(graph, thought))
    return [thought for thought in done if task.answer(graph, thought) is not None]


def best(task: Task, graph: ThoughtGraph, among: Sequence[Thought] | None = None) -> Thought | None:
    """The candidate of the highest value; the first candidate where none has a value.

    Values of a comparative critic are ranked within the set that it compared, the one of the most candidates.
    """
    among = candidates(task, graph, among)
    return (graph.best(among=comparable(graph, among)) or among[0]) if among else None


def majority(task: Task, graph: ThoughtGraph, among: Sequence[Thought] | None = None) -> Thought | None:
    """Self-consistency (Wang et al., 2023): the first thought of the answer that most candidates claim."""
    among = candidates(task, graph, among)
    votes = tally(task, graph, among)
    return max(votes.values(), key=len)[0] if votes else among[0] if among else None


def weighted_majority(task: Task, graph: ThoughtGraph, among: Sequence[Thought] | None = None) -> Thought | None:
    """Weighted best-of-n (Li et al., 2023): values summed over equal answers; one without a value adds nothing.

    An answer that cannot be compared stands for itself. Where nothing has a value, it is a plain majority. Values are
    meant to be 0 or more: a negative one speaks against all the answers that are equal to its own.
    """
    among = candidates(task, graph, among)
    worth = {thought.id: graph.value(thought) or 0.0 for thought in comparable(graph, among)}
    if not worth:
        return majority(task, graph, among)
    votes = list(tally(task, graph, among).values())
    counted = {thought.id for equal in votes for thought in equal}
    votes += [[thought] for thought in among if thought.id not in counted]
    return max(votes, key=lambda equal: sum(worth.get(thought.id, 0.0) for thought in equal))[0]


def most_visited(task: Task, graph: ThoughtGraph) -> Thought | None:
    """The candidate below the most often expanded first step: the robust child of Monte-Carlo tree search."""
    among = candidates(task, graph)
    below: dict[str, int] = defaultdict(int)
    for thought in graph:
        path = graph.path(thought)
        below[path[1].id if len(path) > 1 else path[0].id] += 1
    return max(among, key=lambda t: below[graph.path(t)[min(1, t.depth)].id]) if among else None


def comparable(graph: ThoughtGraph, thoughts: Sequence[Thought]) -> list[Thought]:
    """Those of `thoughts` whose values may be ranked together: the most that were valued in one set.

    Values that stand by themselves are one such set. Empty where nothing has a value.
    """
    sets: dict[tuple[str, ...], list[Thought]] = {}
    for thought in thoughts:
        if graph.value(thought) is not None:
            sets.setdefault(graph.compared(thought), []).append(thought)
    return max(sets.values(), key=len, default=list[Thought]())


def tally(task: Task, graph: ThoughtGraph, thoughts: Sequence[Thought]) -> dict[Hashable, list[Thought]]:
    """Thoughts by the answer they claim, in the order of first claims; answers that cannot be compared are left out."""
    votes: dict[Hashable, list[Thought]] = {}
    for thought in thoughts:
        answer = task.answer(graph, thought)
        form = None if answer is None else task.same(answer)
        if form is not None:
            votes.setdefault(form, []).append(thought)
    return votes
