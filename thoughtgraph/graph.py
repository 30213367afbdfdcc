"""The thought graph: append-only, multi-parent, acyclic, over a live `networkx.DiGraph`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from thoughtgraph.errors import TaskError
from thoughtgraph.prompt import visible
from thoughtgraph.thought import Json, Passage, Score, Thought, as_passage

if TYPE_CHECKING:
    import networkx as nx

    Nx = nx.DiGraph[str]


XML = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that XML can hold."""


class ThoughtGraph:
    """Every thought of a run, the edges between them and their scores. Only the engine adds; everybody reads.

    `key` gives the canonical key of a content: thoughts of equal key at equal depth are one thought, and since a
    merge never crosses depths the graph stays acyclic for nothing. Without `key` nothing is merged.
    """

    def __init__(self, root: Thought, key: Callable[[Json], Hashable] | None = None) -> None:
        import networkx

        self._graph: Nx = networkx.DiGraph()
        inside: Any = self._graph  # its dicts: its views and add_node cost a microsecond each
        self._attributes: dict[str, dict[str, Any]] = inside._node
        self._succ: dict[str, dict[str, Any]] = inside._succ
        self._pred: dict[str, dict[str, Any]] = inside._pred
        self._scores: dict[str, tuple[Any, ...]] = {}  # tick, score, tick, score: one object a thought, and small
        self._origins: dict[str, dict[Passage, None]] = {}  # of the thoughts that rest on knowledge, and no others
        self._key, self._known = key, dict[Hashable, str]()
        self._finals = list[Thought]()
        self._nodes = dict[str, Thought]()
        self._viewed = False
        self.tick = 0
        """How many changes were made: a score given at tick t is seen by whoever asked at t or later."""
        self.root = root
        self._insert(root)

    # -- reading -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, thought: Thought | str) -> bool:
        return (thought if isinstance(thought, str) else thought.id) in self._nodes

    def __iter__(self) -> Iterator[Thought]:
        """Every thought, in the order in which they came."""
        return iter(self._nodes.values())

    def __getitem__(self, id: str) -> Thought:
        """The thought with this id; `KeyError` if there is none."""
        return self._nodes[id]

    @property
    def nx(self) -> Nx:
        """A read-only live view as a `networkx.DiGraph`: nodes are ids with an attribute `thought`."""
        import networkx

        if not self._viewed:  # not before somebody looks: an attribute for each node is slow and large
            self._viewed = True
            for id, attributes in self._attributes.items():
                attributes["thought"] = self._nodes[id]
        return networkx.subgraph_view(self._graph)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Every (parent id, child id)."""
        return [(parent, child) for parent, children in self._succ.items() for child in children]

    def children(self, thought: Thought) -> list[Thought]:
        """The thoughts made from this one, in the order in which they came."""
        return [self._nodes[id] for id in self._succ[thought.id]]

    def parents(self, thought: Thought) -> list[Thought]:
        """Every thought that this one was made from, its first parents first; after a merge, more than those."""
        return [self._nodes[id] for id in self._pred[thought.id]]

    def path(self, thought: Thought) -> list[Thought]:
        """From the root to `thought` along first parents, both included."""
        path = [thought]
        while path[-1].parents:
            path.append(self._nodes[path[-1].parents[0]])
        return path[::-1]

    def origins(self, thought: Thought) -> tuple[Passage, ...]:
        """The knowledge that went into a thought, as passages without their text, the earliest first.

        They are its own, its parents' (all of them), and those that stood in the prompts it was made and judged by. A
        passage that the caller put together by hand, without a document or labels, is nobody's secret and not listed.
        """
        return tuple(self._origins.get(thought.id, ()))

    def leaves(self) -> list[Thought]:
        """The thoughts that nothing was made from."""
        return [self._nodes[id] for id, children in self._succ.items() if not children]

    @property
    def finals(self) -> Sequence[Thought]:
        """The thoughts that are done, in the order in which they came."""
        return self._finals

    def scores(self, thought: Thought, critic: str | None = None, at: int | None = None) -> list[Score]:
        """What critics said of a thought, oldest first; of one critic, or as it stood at tick `at`."""
        entries = self._scores.get(thought.id, ())
        return [
            score
            for tick, score in zip(entries[::2], entries[1::2], strict=True)
            if (critic is None or score.critic == critic) and (at is None or tick <= at)
        ]

    def score(self, thought: Thought, critic: str | None = None, at: int | None = None) -> Score | None:
        """One critic's scores of a thought as one: the mean over samples, its standard error, the newest feedback.

        With no critic named, the last one that spoke. Of a comparative critic, what it said of the last set that
        it valued this thought in. None where nobody spoke.
        """
        scores = self.scores(thought, critic, at)
        if len(scores) > 1:
            scores = [score for score in scores if score.critic == scores[-1].critic]
            newest = next((score for score in reversed(scores) if score.value is not None), scores[-1])
            scores = [score for score in scores if _compared(score) == _compared(newest)]
        return _pooled(scores) if len(scores) > 1 else scores[0] if scores else None

    def value(self, thought: Thought, critic: str | None = None) -> float | None:
        """The value of `score(thought, critic)`: None where nobody scored it or every score abstained."""
        score = self.score(thought, critic)
        return None if score is None else score.value

    def compared(self, thought: Thought, critic: str | None = None) -> tuple[str, ...]:
        """The ids of the set in which a comparative critic valued this thought; () for a value that stands alone."""
        score = self.score(thought, critic)
        return () if score is None else _compared(score)

    def best(self, critic: str | None = None, among: Sequence[Thought] | None = None) -> Thought | None:
        """The thought of the highest value (the first of equals); None where none has a value.

        Raises `TaskError` where a comparative critic valued them in different sets: such values say nothing about
        each other.
        """
        thoughts = self if among is None else among
        ranked = [(value, thought) for thought in thoughts if (value := self.value(thought, critic)) is not None]
        if len({self.compared(thought, critic) for _, thought in ranked}) > 1:
            raise TaskError(
                "these thoughts were compared in different sets, and such values say nothing about each other: "
                "rank within one set, as in best(critic, among=...), or fit them first"
            )
        return max(ranked, key=lambda pair: pair[0])[1] if ranked else None

    # -- writing: the engine's alone -----------------------------------------------------------------------------

    def form(self, content: Json, depth: int) -> Hashable | None:
        """What thoughts have in common that the task calls equal, at this depth; None for one that is never merged."""
        if self._key is None:
            return None
        try:
            key = self._key(content)
        except Exception as error:
            raise TaskError(f"the task's key failed on the content {content!r:.80}: {error!r}") from error
        return None if key is None else (depth, key)

    def twin(self, form: Hashable | None) -> str | None:
        """The id of the thought of this form, if there is one."""
        return None if form is None else self._known.get(form)

    def add(self, thought: Thought, origins: Iterable[Passage] = ()) -> None:
        """Add a thought with the edges from its first parents, made by prompts that held `origins`."""
        self.tick += 1
        self._insert(thought)
        self._rest(thought.id, origins)

    def link(self, parents: Sequence[str], child: str, origins: Iterable[Passage] = ()) -> None:
        """Add edges to a thought that a merge found again."""
        self.tick += 1
        for parent in parents:
            self._graph.add_edge(parent, child)
            self._rest(child, self._origins.get(parent, ()))
        self._rest(child, origins)

    def judge(self, thought: str, score: Score, origins: Iterable[Passage] = ()) -> None:
        """Append a score. Whoever reads its feedback learns of `origins`, which its prompts held."""
        self.tick += 1
        self._scores[thought] = (*self._scores.get(thought, ()), self.tick, score)
        self._rest(thought, origins)

    def _rest(self, thought: str, origins: Iterable[Passage]) -> None:
        """A thought rests on `origins`, and so does all that was made of it."""
        todo = [thought] if (new := dict.fromkeys(origins)) else []
        for id in todo:  # grows as it is walked
            known = self._origins.setdefault(id, {})
            if new.keys() - known.keys():
                known |= new
                todo += self._succ[id]

    def _insert(self, thought: Thought) -> None:
        id = thought.id
        above: dict[str, Any] = {}
        attributes: dict[str, Any] = {"thought": thought} if self._viewed else {}
        self._nodes[id], self._attributes[id], self._succ[id], self._pred[id] = thought, attributes, {}, above
        for parent in thought.parents:
            edge: dict[str, Any] = {}
            above[parent] = self._succ[parent][id] = edge
            self._rest(id, self._origins.get(parent, ()))
        if (passage := as_passage(thought)) and (origin := passage.origin):
            self._rest(id, (origin,))
        if self._key is not None and thought.parents:
            self._known.setdefault(self.form(thought.content, thought.depth), id)
        if thought.done:
            self._finals.append(thought)

    # -- exports -------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Json]:
        """Node-link JSON, with contents and every score; `networkx.node_link_graph(..., edges="edges")` reads it."""
        nodes = [{**self._flat(thought), "content": thought.content} for thought in self]
        edges = [{"source": parent, "target": child} for parent, child in self.edges]
        return {"directed": True, "multigraph": False, "graph": {}, "nodes": nodes, "edges": edges}

    def to_graphml(self) -> str:
        """GraphML, for Gephi, yEd and Cytoscape; contents as text."""
        import networkx

        flat: Nx = networkx.DiGraph()
        for thought in self:
            said = self._flat(thought).items()
            flat.add_node(thought.id, **{k: _xml(v) for k, v in said if v is not None and k not in ("id", "scores")})
        flat.add_edges_from(self.edges)
        tool: Any = networkx
        return "\n".join(tool.generate_graphml(flat))

    def to_dot(self) -> str:
        """Graphviz DOT."""
        quoted = [f"  {_dot(t.id)} [label={_dot(self._label(t))}{', style=bold' if t.done else ''}];" for t in self]
        arrows = [f"  {_dot(parent)} -> {_dot(child)};" for parent, child in self.edges]
        return "\n".join(["digraph thoughts {", *quoted, *arrows, "}"])

    def to_mermaid(self) -> str:
        """A Mermaid flow chart."""
        names = {thought.id: f"t{number}" for number, thought in enumerate(self)}
        boxes = [f'  {names[t.id]}["{_mermaid(self._label(t))}"]' for t in self]
        arrows = [f"  {names[parent]} --> {names[child]}" for parent, child in self.edges]
        return "\n".join(["flowchart TD", *boxes, *arrows])

    def _flat(self, thought: Thought) -> dict[str, Json]:
        scores = [{"critic": s.critic, "value": s.value, "feedback": s.feedback} for s in self.scores(thought)]
        return {
            "id": thought.id,
            "action": thought.action,
            "text": thought.text,
            "depth": thought.depth,
            "prior": thought.prior,
            "done": thought.done,
            "value": self.value(thought),
            "scores": scores,
        }

    def _label(self, thought: Thought) -> str:
        value = self.value(thought)
        words = " ".join(visible(thought.text[:2000]).split())[:60] or thought.id
        return words if value is None else f"{words} ({value:.3g})"


def _compared(score: Score) -> tuple[str, ...]:
    details: Json = score.details
    return tuple(cast("dict[str, Json]", details).get("compared") or ()) if isinstance(details, dict) else ()


def _pooled(scores: Sequence[Score]) -> Score:
    valued = [score for score in scores if score.value is not None]
    if not valued:
        return scores[-1]
    samples = sum(score.samples for score in valued)
    mean = math.fsum((score.value or 0.0) * score.samples for score in valued) / max(samples, 1)
    last = scores[-1]
    return Score(
        mean, last.feedback, last.parts, _spread(valued, mean, samples), samples, valued[-1].status,
        last.cost, last.details, last.critic,
    )  # fmt: skip


def _spread(scores: Sequence[Score], mean: float, samples: int) -> float | None:
    """The standard error of the pooled mean: within each score (its own spread) and between the scores."""
    if samples < 2:
        return None
    within = sum((s.spread or 0.0) ** 2 * s.samples * (s.samples - 1) for s in scores)
    between = sum(s.samples * ((s.value or 0.0) - mean) ** 2 for s in scores)
    return math.sqrt((within + between) / (samples - 1) / samples)


def _xml(value: Json) -> Json:
    """Text without the control characters that XML cannot hold."""
    return "".join(c for c in value if XML.match(c)) if isinstance(value, str) else value


def _dot(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _mermaid(text: str) -> str:
    """Text as Mermaid entities, so that no character of a thought is markup."""
    return "".join(c if c.isalnum() or c in " .,:+-*/=" else f"#{ord(c)};" for c in text)
