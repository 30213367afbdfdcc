"""Zero-shot chain of thought (Kojima et al., 2022): let the model think step by step, once."""

from __future__ import annotations

from dataclasses import dataclass

from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class CoT:
    """One chain of thought, from the question to its answer.

    Choose it over `Direct` where a problem takes more than one thought, and over nothing else: `SelfConsistency` draws
    it several times.

    Cost: one expansion with an action that writes a whole solution; with one that writes a step, one for each step, at
    most `steps`.
    """

    steps: int = 16
    action: str = "reason"

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps)

    async def __call__(self, search: Search) -> Thought | None:
        """Follow one chain to its end."""
        await chains(search, 1, self.action, self.steps)
        return search.answer()
