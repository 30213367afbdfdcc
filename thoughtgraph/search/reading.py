"""How RATP (Pouplin et al., 2024) reads: passages and other thoughts are combined with a thought, and none in vain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

from thoughtgraph.search.tree import Edge, Node
from thoughtgraph.search.tree_search import TreeSearch, thoughts
from thoughtgraph.thought import Thought, as_passage
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Ways:
    """How thoughts are read on from: what `RATP` says by the same names."""

    passages: int
    together: bool
    partners: int
    retrieve: str
    combine: str


DOUBTFUL = 3
"""A thought of fewer visits that is found again is judged again."""


class Read(NamedTuple):
    """A passage that was read from a thought: the names that were known then, and whether nothing came of it."""

    passage: Thought
    at: str
    known: set[str]
    useless: bool


class Reading(TreeSearch):
    """One search's thoughts, what they are worth, and what was read from each."""

    def __init__(self, search: Search, simulations: int, c: float, how: Ways) -> None:
        super().__init__(search, simulations, c)
        self.how = how
        self.worth = dict[str, float]()
        self.joined = set[frozenset[str]]()
        self.reads = list[Read]()
        self.dry = set[str]()

    async def read(self, path: Sequence[Node]) -> list[Thought]:
        """Combine the thought with the next passages that it leads to."""
        thought, search, how = path[-1].thought, self.search, self.how
        failures, stale = search.failures(thought), self.stale(path)
        found = await search.expand(thought, *stale, action=how.retrieve, n=how.passages, path=thoughts(path))
        new = [passage for passage in found if not passage.done]
        if not found and (failures or not search.failures(thought)):
            self.dry.add(thought.id)
        if not how.together:
            return await self.combine(path, [[passage] for passage in new])
        return await self.combine(path, [[*self.before(path[-1]), *new]] if new else [])

    def met_before(self, leaf: Node, made: Sequence[Thought]) -> tuple[list[Edge], list[Thought]]:
        """The edges to what says the same as a new thought, and those new thoughts that say something else.

        What is found again is judged again, for as long as few judgements may be wrong.
        """
        if (key := self.search.task.key) is None:
            return [], list(made)
        known = {form: edge for edge in leaf.edges or () if (form := key(edge.child.thought.content)) is not None}
        forms = {thought: key(thought.content) for thought in made}
        met = dict.fromkeys(known[form] for form in forms.values() if form in known)
        doubtful = [edge for edge in met if edge.child.visits < DOUBTFUL]
        return doubtful, [thought for thought, form in forms.items() if form not in known]

    def before(self, node: Node) -> list[Thought]:
        """What was read first from a thought: once more, where nothing was made of it that is worth more than it is."""
        own, made = self.worth.get(node.thought.id, 0.0), [edge.child.thought.id for edge in node.edges or ()]
        if any(self.worth.get(id, 0.0) > own for id in made):
            return []
        here = dict.fromkeys(read.passage for read in self.reads if read.at == node.thought.id)
        return list(here)[: self.how.passages]

    async def join(self, path: Sequence[Node]) -> list[Thought]:
        """Combine the thought with the best of those that are not in it already."""
        here = path[-1].thought
        known = {id for node in path for id in (node.thought.id, *node.thought.parents)}
        others = [self.nodes[id].thought for id in self.worth if id not in known]
        new = [
            other
            for other in others
            if not other.done and here.id not in other.parents and frozenset((here.id, other.id)) not in self.joined
        ]
        best = nlargest(self.how.partners, new, key=lambda other: self.worth[other.id])
        self.joined |= {frozenset((here.id, other.id)) for other in best}
        return await self.combine(path, [[other] for other in best])

    async def combine(self, path: Sequence[Node], parts: Sequence[Sequence[Thought]]) -> list[Thought]:
        """The thoughts made of a thought and each of these parts, side by side."""
        made = await self.search.gather(*(self.combined(path, others) for others in parts))
        return list(dict.fromkeys(thought for each in made for thought in each))

    async def combined(self, path: Sequence[Node], others: Sequence[Thought]) -> list[Thought]:
        """The thoughts made of a thought and these others together."""
        thought, search, action = path[-1].thought, self.search, self.how.combine
        failures = search.failures(thought)
        made = await search.expand(thought, *others, action=action, n=len(others), path=thoughts(path))
        if made or search.failures(thought) == failures:
            known = told(thoughts(path))
            self.reads += [Read(one, thought.id, known, not made) for one in others if as_passage(one)]
        return made

    def used(self, path: Sequence[Node]) -> list[Thought]:
        """The passages that the thoughts of a path were made of."""
        above = (self.search.graph[id] for node in path for id in node.thought.parents[1:])
        return [passage for passage in above if as_passage(passage)]

    def stale(self, path: Sequence[Node]) -> list[Thought]:
        """The passages that were read on this path, or brought nothing to who knew no more, and name no news of it."""
        here, known = {node.thought.id for node in path}, told(thoughts(path))
        old = (read for read in self.reads if read.at in here or (read.useless and read.known <= known))
        return list(dict.fromkeys(one.passage for one in old if not (known - one.known) & names(one.passage.text)))


def told(path: Sequence[Thought]) -> set[str]:
    """The names in thoughts."""
    return {name for thought in path for name in names(thought.text)}


def names(text: str) -> set[str]:
    """The words of a text that may be names: those with a capital, and those of scripts that have none."""
    return {word.casefold() for word in re.findall(r"\w+", text) if not word.islower() and not word.isdigit()}
