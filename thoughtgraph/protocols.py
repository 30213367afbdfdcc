"""The seams: everything that can be swapped, each one callable. A frozen dataclass with one verb, or a function."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeAlias

from thoughtgraph.model import Completion, Model, Price, Reply, Request
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Score

__all__ = [
    "Completion", "Critic", "Drafts", "Generator", "Model", "Price", "Prompt", "Prompter", "Reply", "Request",
    "Scores",
]  # fmt: skip

Drafts: TypeAlias = Sequence[Draft]
Scores: TypeAlias = Sequence[Score]


class Generator(Protocol):
    """An action: from the thoughts of `state`, at most `n` drafts. None is a fair answer: nothing follows from here."""

    def __call__(self, state: State, n: int) -> Awaitable[Drafts] | Drafts:
        """Make drafts. An exception is recorded as a failure of this expansion, and the search goes on."""
        ...


class Critic(Protocol):
    """A reward: one `Score` for each of `states`, in their order. It judges a set, so that it may compare.

    An attribute `ito = "environment"` declares an external system whose feedback is the evaluator by contract; a
    critic that says nothing is a `"proxy"`.
    """

    def __call__(self, states: Sequence[State]) -> Awaitable[Scores] | Scores:
        """Judge. An exception is recorded as a failure, and every thought of the set gets a score without a value."""
        ...
