"""Retrieval as an action (RATP): a passage that is looked up is a thought like any other, to be judged and built on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Passage


class Retriever(Protocol):
    """A source of passages: an index, a search engine, a data base. A plain async function will do."""

    def __call__(self, query: str, k: int) -> Awaitable[Sequence[Passage]]:
        """At most `k` passages, the most relevant first; none is a fair answer. An exception fails this expansion."""
        ...


@dataclass(frozen=True)
class Retrieve:
    """Look up to `k` passages up, one thought each: its content is `{"passage": text, "source": source}`.

    Below such a thought the passage stands in `State.passages`, so every prompter quotes it as knowledge, as data, and
    not as a step of thinking. Passages that are known on this path already do not come again. `query` says what is
    looked for: by default the problem, with the newest thought. No model is asked.
    """

    knowledge: Retriever
    k: int = 3
    query: Callable[[State], str] = field(default_factory=lambda: newest)

    def __post_init__(self) -> None:
        at_least(1, k=self.k)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts, the most relevant first; none where nothing new is found."""
        known = {passage.text.strip() for passage in state.passages}
        found = await self.knowledge(self.query(state), self.k + len(known))
        new = dict[str, Passage]()
        for passage in _checked(found):
            new.setdefault(passage.text.strip(), passage)
        fresh = [passage for text, passage in new.items() if text and text not in known]
        return [Draft(p.content) for p in fresh[: min(n, self.k)]]


def newest(state: State) -> str:
    """The problem, and the newest thought if there is one."""
    return "\n".join([state.x, *(thought.text for thought in state.phi[-1:])])


def _checked(found: object) -> list[Passage]:
    if not isinstance(found, Sequence) or not all(isinstance(passage, Passage) for passage in found):  # pyright: ignore[reportUnknownVariableType]
        raise TaskError(f"the knowledge returned {found!r:.80}: expected a list of Passage")
    return list(found)  # pyright: ignore[reportUnknownArgumentType]
