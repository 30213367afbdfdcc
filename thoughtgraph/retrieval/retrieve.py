"""Retrieval as an action (RATP): a passage that is looked up is a thought like any other, to be judged and built on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from thoughtgraph.errors import TaskError, Unparsable, at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompter
from thoughtgraph.replies import lines, plain, spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Json, Passage, as_text


class Retriever(Protocol):
    """A source of passages: an index, a search engine, a data base. A plain async function will do."""

    def __call__(self, query: str, k: int) -> Awaitable[Sequence[Passage]]:
        """At most `k` passages, the most relevant first; none is a fair answer. An exception fails this expansion."""
        ...


Query: TypeAlias = Callable[[State], "str | Awaitable[str]"]
"""From where the search stands to what is looked for."""


@dataclass(frozen=True)
class Retrieve:
    """Look up to `k` passages up, one thought each: its content is that of `Passage.content`.

    Below such a thought the passage stands in `State.passages`, so every prompter quotes it as knowledge, as data, and
    not as a step of thinking. Passages that are known on this path already do not come again, and the next best ones
    take their places. `query` says what is looked for: by default the problem, with the newest thought. No model is
    asked, unless the query is written by one: it then stands with the passage, as "query".
    """

    knowledge: Retriever
    k: int = 3
    query: Query = field(default_factory=lambda: newest)

    def __post_init__(self) -> None:
        at_least(1, k=self.k)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts, the most relevant first; none where nothing new is found."""
        known = {passage.text.strip() for passage in state.passages}
        query, paid = await self._looked_for(state)
        with state.confiding():
            found = await self.knowledge(query, self.k + len(known))
        new = dict[str, Passage]()
        for passage in _checked(found):
            new.setdefault(passage.text.strip(), passage)
        fresh = [passage for text, passage in new.items() if text and text not in known]
        return [Draft({**p.content, **({"query": query} if paid else {})}) for p in fresh[: min(n, self.k)]]

    async def _looked_for(self, state: State) -> tuple[str, bool]:
        """The query, and whether a model wrote it: once for a thought, and further looks from there go by it too."""
        here: list[Json] = [t.content for t in state.thoughts[1:] if t.parents[:1] == (state.thought.id,)]
        held = [cast("dict[str, Json]", content) for content in here if isinstance(content, dict)]
        paid = [content["query"] for content in held if "query" in content]
        if paid:
            return as_text(paid[-1]), True
        query = self.query(state)
        return (query, False) if isinstance(query, str) else (await query, True)


# -- what is looked for ------------------------------------------------------------------------------------------


def newest(state: State) -> str:
    """The problem, and the newest thought if there is one."""
    return "\n".join([state.x, *(thought.text for thought in state.phi[-1:])])


def missing(state: State) -> str:
    """The words of the problem that no thought here holds yet, and what the newest one brought beside the problem.

    "Where was the head of Orion born?" with "Ada Byron is the head of Orion." is "Where born? Ada Byron": what is known
    already would find the passage that said it. No model is asked.
    """
    if not (thoughts := [thought.text for thought in state.phi]):
        return state.x
    asked, told = _words(state.x), _words("\n".join(thoughts))
    left = [word for form, word in asked.items() if form not in told]
    return " ".join([*left, *(word for form, word in _words(thoughts[-1]).items() if form not in asked)]) or state.x


@dataclass(frozen=True)
class Rewrite:
    """Let a model say what to look for next, in the light of what is known: one call.

    Where its reply cannot be used, the query is made of the words that are `missing`.
    """

    prompter: Prompter
    model: Model | None = None
    max_tokens: int | None = None

    async def __call__(self, state: State) -> str:
        """A query, on one line."""
        said = await state.ask(self.prompter, 1, one_line, model=self.model, max_tokens=self.max_tokens)
        return said[0] if said else missing(state)


def one_line(reply: str) -> str:
    """The last line of a reply, without its heading and quotes; `Unparsable` where it holds no word."""
    last = plain(lines(spoken(reply))[-1])
    query = re.sub(r"\A(?:search|query|search query|look up)\s*:\s*", "", last, flags=re.IGNORECASE).strip(" \"'`*")
    if not re.search(r"\w", query):
        raise Unparsable("the reply is no query: expected a few words on one line")
    return query[:400]


def _words(text: str) -> dict[str, str]:
    """The words of a text by their form without case, in the order in which they first stand there."""
    found: dict[str, str] = {}
    for word in re.findall(r"\w+(?:[.'\u2019-]\w+)*", text):
        found.setdefault(word.casefold(), word)
    return found


def _checked(found: object) -> list[Passage]:
    if not isinstance(found, Sequence) or not all(isinstance(passage, Passage) for passage in found):  # pyright: ignore[reportUnknownVariableType]
        raise TaskError(f"the knowledge returned {found!r:.80}: expected a list of Passage")
    return list(found)  # pyright: ignore[reportUnknownArgumentType]
