"""pick, apick: judge what one already has. Answers from anywhere, and a critic that chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypedDict, Unpack

from thoughtgraph.answers import comparable
from thoughtgraph.api import as_task, asolve, solve
from thoughtgraph.budget import Budget
from thoughtgraph.cache import Cache
from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.model import Model, Price
from thoughtgraph.protocols import Critic
from thoughtgraph.result import Result
from thoughtgraph.retry import Retry
from thoughtgraph.state import State
from thoughtgraph.store import Store
from thoughtgraph.task import Task
from thoughtgraph.thought import Draft, Json, Thought, as_json
from thoughtgraph.verbs import Search


class Judged(TypedDict, total=False):
    """What `pick` and `apick` may be told beside the question, the candidates and the critic; `solve` explains them."""

    model: Model | str | None
    base_url: str | None
    price: Price | None
    budget: Budget | None
    seed: int
    store: Store | str | None
    cache: Cache | str | bool | None
    retry: Retry | None


def pick(
    question: str | Task, candidates: Sequence[Json], critic: Critic | str = "value", **how: Unpack[Judged]
) -> Result:
    """The one of `candidates` (texts, or JSON data) that `critic` values most as an answer to `question`.

    A critic by name is one of the question's own: "value" judges each alone, "vote" shows all at once. The graph
    holds every candidate with its scores, and `result.ledger` what judging cost. With no `budget`, all are judged
    once. The answer is None where the critic valued none of them. Raises `TaskError` for no candidates, or a critic
    that is not there.
    """
    return solve(_task(question, candidates, critic), policy=best_of_all, **_said(how, candidates))


async def apick(
    question: str | Task, candidates: Sequence[Json], critic: Critic | str = "value", **how: Unpack[Judged]
) -> Result:
    """`pick` for code that is async already."""
    return await asolve(_task(question, candidates, critic), policy=best_of_all, **_said(how, candidates))


async def best_of_all(search: Search) -> Thought | None:
    """Judge all candidates as one set; what nobody judged is never chosen."""
    given = await search.expand(search.root, action="given", merge=False)
    scores = await search.score(given, "critic")
    valued = [(score.value, -place) for place, score in enumerate(scores) if score.value is not None]
    if len(valued) < len(given):
        search.note("critic", f"{len(given) - len(valued)} of {len(given)} candidates could not be judged")
    return given[-max(valued)[1]] if valued else None


@dataclass(frozen=True)
class Given:
    """The generator whose drafts were there before."""

    candidates: tuple[Json, ...]

    def __call__(self, state: State, n: int) -> list[Draft]:
        """All of them, as finished thoughts."""
        return [Draft(candidate, done=True) for candidate in self.candidates[:n]]


def _task(question: str | Task, candidates: Sequence[Json], critic: Critic | str) -> Task:
    if isinstance(candidates, str) or not candidates:
        raise TaskError(f"the candidates are {candidates!r:.80}: expected a list of at least one answer")
    asked = as_task(question)
    given = Given(tuple(as_json(candidate, "a candidate") for candidate in candidates))
    judge = _critic(asked, critic) if isinstance(critic, str) else critic
    if not callable(judge):
        raise TaskError(f"the critic is {judge!r:.80}: expected a critic, or the name of one, as in critic='vote'")
    return replace(
        asked, actions={"given": given}, critics={"critic": judge}, claim=_as_given, goal=None, key=None,
        rule=_most_valued, recipe=None, imagine={}, policy="best_of_n",
    )  # fmt: skip


def _most_valued(task: Task, graph: ThoughtGraph) -> Thought | None:
    """The best so far where a budget ends the run: unlike `answers.best`, none of what nobody judged."""
    return graph.best(among=comparable(graph, graph.finals))


def _critic(asked: Task, name: str) -> Critic:
    if name not in asked.critics:
        near = get_close_matches(name, asked.critics, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise TaskError(f"there is no critic {name!r}: {hint}expected one of {', '.join(map(repr, asked.critics))}")
    return asked.critics[name]


def _as_given(path: Sequence[Thought]) -> Json | None:
    return path[-1].content if len(path) > 1 else None


def _said(how: Judged, candidates: Sequence[Json]) -> Judged:
    """Where no budget is named, one judgement of each: nothing else is ever asked."""
    return how if how.get("budget") else {**how, "budget": Budget(evaluations=len(candidates))}
