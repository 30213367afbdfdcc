"""Sources: the passages that a thought was made of, and the way from each of them to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.thought import Json, Passage, Thought, as_passage


@dataclass(frozen=True)
class Source:
    """A passage that went into a thought. `path` leads from the passage's own thought to it, both included."""

    passage: Passage
    path: tuple[Thought, ...]

    def to_json(self) -> dict[str, Json]:
        """The passage's place and text, and the ids of the thoughts on the way."""
        p = self.passage
        told = {"id": p.id, "document": p.document, "version": p.version, "section": p.section}
        where = {"start": p.start, "end": p.end} if p.end else {}
        return {"source": p.source, **_said(told), **where, "text": p.text, "path": [t.id for t in self.path]}


def sources(graph: ThoughtGraph, thought: Thought) -> list[Source]:
    """The passages among all that `thought` was made of, in the order in which they were found, each once.

    Edges to every parent are followed, and of several ways to the thought a shortest one is told. What a passage was
    found from is no part of what it says, and is not followed.
    """
    ways: dict[str, tuple[Thought, ...]] = {thought.id: (thought,)}
    for id in (todo := [thought.id]):  # grows as it is walked
        for parent in graph.parents(graph[id]) if as_passage(graph[id]) is None else ():
            if parent.id not in ways:
                ways[parent.id] = (parent, *ways[id])
                todo.append(parent.id)
    made = (ways[one.id] for one in graph if one.id in ways)
    found = {passage: way for way in made if (passage := as_passage(way[0]))}
    return [Source(passage, way) for passage, way in found.items()]


def _said(told: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in told.items() if value}
