"""Retrieve, then read (RAG, Lewis et al., 2020): one look into the knowledge, and an answer from what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.answers import majority
from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import grow
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Rag:
    """Look up at most `passages` passages for the question as it stands, and answer it from all of them at once.

    With `n` answers the most frequent one is taken. Choose it where one passage holds the answer, and words of the
    question find that passage: it is the cheapest way to knowledge. `IRCoT` and `RATP` look again in the light of what
    was found.

    Cost: one search and n answers.
    """

    passages: int = 8
    n: int = 1
    retrieve: str = "retrieve"
    conclude: str = "answer"

    acts: ClassVar[tuple[str, ...]] = ("retrieve", "conclude")

    def __post_init__(self) -> None:
        at_least(1, passages=self.passages, n=self.n)

    async def __call__(self, search: Search) -> Thought | None:
        """Retrieve, then read."""
        found = await grow(search, search.root, self.retrieve, self.passages)
        passages = [passage for passage in found if not passage.done]
        if passages or not found:
            await search.expand(search.root, *passages, action=self.conclude, n=self.n, merge=False)
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The answer of most draws so far."""
        return majority(search.task, search.graph, search.finals)
