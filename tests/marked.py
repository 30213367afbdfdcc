"""Answers that are their own scores, in [0, 1]: for policies that learn from scores."""

# pyright: reportArgumentType=false

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.engine import Engine
from thoughtgraph.store import MemoryStore, Store
from thoughtgraph.testing import RUN, PolicyContract, Toy

Write = Callable[[random.Random], float | None]
Mend = Callable[[float, random.Random], float | None]


def answers(write: Write, mend: Mend, goal: float | None = None, **more) -> tg.Task:
    """A task whose answers are their own scores: "reason" writes one and "refine" mends one; None is a failure."""

    def made(value: float | None) -> list[tg.Draft]:
        if value is None:
            raise OSError("the line was bad")
        return [tg.Draft(value, done=True)]

    actions = {
        "reason": lambda state, n: made(write(state.rng)),
        "refine": lambda state, n: made(mend(state.content, state.rng)),
    }
    test = None if goal is None else (lambda path: path[-1].content == goal)
    critics = {"value": lambda states: [tg.Score(state.content) for state in states]}
    return tg.Task("numbers", actions, critics, start=0.0, claim=lambda path: path[-1].content, goal=test, **more)


def grown(write: Write, mend: Mend, policy: Any, seed: int = 0, **more) -> tg.ThoughtGraph:
    return tg.solve(answers(write, mend, **more), policy=policy, budget=Budget(), seed=seed).graph


def thought(id: str) -> tg.Thought:
    return tg.Thought(id, (), "", id)


def finished(work):
    """What a coroutine that awaits nothing returns."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it awaits something")


class Within(PolicyContract):
    """The toy's critic says up to 1.25; here it keeps to [0, 1], as AB-MCTS demands."""

    def engine(self, toy: Toy, store: Store | None = None, budget: Budget | None = None, **how) -> Engine:
        """A run of the policy on a toy whose scores are scaled."""
        task = replace(toy.task, critics={"value": scaled(toy)})
        kept = MemoryStore() if store is None else store
        return Engine(task, self.policy, store=kept, run=RUN, model=toy.model, budget=budget, **how)


def scaled(toy: Toy):
    async def value(states: Sequence[tg.State]) -> list[tg.Score]:
        scores = await toy.value(states)
        return [replace(score, value=None if score.value is None else score.value / 1.25) for score in scores]

    return value
