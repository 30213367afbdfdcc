"""Interleaved retrieval and reasoning (IRCoT, Trivedi et al., 2023): each sentence of a chain is the next query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.answers import majority
from thoughtgraph.errors import at_least
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class IRCoT:
    """Look up passages with the newest sentence, write the next sentence from all that was found, and so on.

    A chain ends after `rounds`, when it says that nothing is missing, or when two rounds running bring neither a
    passage nor a sentence; then the question is answered from its passages and sentences. Where a round brings no
    sentence the next best passages are looked up. `chains` run side by side, independent of each other, and the answer
    of most of them is taken. Choose it where each sentence finds the passage of the next one; a chain that took a wrong
    turn does not turn back, as `RATP` does.

    Cost: for each chain at most `rounds` searches, as many sentences, and one answer.
    """

    rounds: int = 8
    passages: int = 6
    chains: int = 1
    retrieve: str = "retrieve"
    reason: str = "reason"
    conclude: str = "answer"

    acts: ClassVar[tuple[str, ...]] = ("retrieve", "reason", "conclude")

    def __post_init__(self) -> None:
        at_least(1, rounds=self.rounds, passages=self.passages, chains=self.chains)

    async def __call__(self, search: Search) -> Thought | None:
        """Follow the chains, and let their answers vote."""
        await search.gather(*(self.chain(search) for _ in range(self.chains)))
        return self.answer(search)

    async def chain(self, search: Search) -> None:
        """One chain, from the question to its answer."""
        thought, found, idle = search.root, dict[Thought, None](), 0
        for _ in range(self.rounds):
            new = await search.expand(thought, *found, action=self.retrieve, n=self.passages)
            found |= dict.fromkeys(passage for passage in new if not passage.done)
            said = await search.expand(thought, *found, action=self.reason, n=1, merge=False) if found else []
            thought, idle = (said[0], 0) if said else (thought, 0 if new else idle + 1)
            if thought.done or idle > 1:
                break
        if not thought.done or search.claim(thought) is None:  # else it is an answer itself
            await search.expand(thought, *found, action=self.conclude, n=1, merge=False)

    def answer(self, search: Search) -> Thought | None:
        """The answer of most chains so far."""
        return majority(search.task, search.graph, search.finals)
