"""Somebody's own program as a generator: an agent, a pipeline, a solver; what it answers is a thought."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from thoughtgraph.errors import BudgetExhausted, StoreError, TaskError, at_least
from thoughtgraph.prompt import Prompt, Prompter, narrate, quote
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Json, Passage, Score, Thought
from thoughtgraph.verbs import ALL

Program: TypeAlias = Callable[[str], Awaitable[Json] | Json]
"""From a text, what it is asked, to what it answers: a text, or JSON data."""


@dataclass(frozen=True)
class Call:
    """Run `program` as often as thoughts were asked for, side by side; each answer is one finished thought.

    It is given what `prompter` makes of the state: the problem, with the thoughts so far and what critics said of
    them, so that it can be asked to improve. A plain function runs in a thread. Every run of it counts as a call of the
    budget, whatever it spends by itself, and is written down as it ends: after a kill, none that ended runs again. A
    run that raises counts as "failed" in the outcomes; where all of them raise, the expansion fails.
    """

    program: Program
    width: int = 5
    prompter: Prompter = field(default_factory=lambda: task_and_thoughts)

    def __post_init__(self) -> None:
        at_least(1, width=self.width)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        wanted = self.width if n >= ALL else n
        asked = state.prompt(self.prompter).text
        runs = (state.act("call", partial(self._run, asked), calls=1) for _ in range(wanted))
        came = await asyncio.gather(*runs, return_exceptions=True)
        answers = [answer for answer in came if not isinstance(answer, BudgetExhausted)]
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        ends = [
            error for error in errors if isinstance(error, TaskError | StoreError) or not isinstance(error, Exception)
        ]
        if ends or (errors and len(errors) == len(answers)):
            raise [*ends, *errors][0]
        state.count("failed", len(errors))
        return [Draft(answer, done=True) for answer in answers if not isinstance(answer, BaseException)]

    async def _run(self, asked: str) -> Json:
        if inspect.iscoroutinefunction(self.program) or inspect.iscoroutinefunction(_called(self.program)):
            answer: Any = self.program(asked)
        else:
            answer = await asyncio.to_thread(self.program, asked)
        return await answer if inspect.isawaitable(answer) else answer


def call(program: Program, *, width: int = 5, prompter: Prompter | None = None) -> Call:
    """Any agent, `async def agent(task: str) -> str`, as a generator. See `Call`."""
    return Call(program, width) if prompter is None else Call(program, width, prompter)


def _called(program: Program) -> object:
    """What a call of an object runs."""
    return getattr(program, "__call__", None)  # noqa: B004  # it is looked at, not asked for


def task_and_thoughts(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The problem as it stands; with earlier thoughts and their rewards, where there are any."""
    ask = "Make it better, or do it in another way." if thoughts else ""
    return Prompt(passages=quote(passages), problem=x, thoughts=narrate(thoughts, scores), ask=ask)
