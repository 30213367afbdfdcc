"""rStar (Qi et al., 2024): tree search over human-like actions, and answers that a second model arrives at as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from thoughtgraph.answers import tally
from thoughtgraph.errors import at_least
from thoughtgraph.search.tree import Edge, Node, backup, uct
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

FOLLOWS: Mapping[str, Sequence[str]] = {
    "": ("step", "finish", "ask", "rephrase"),
    "step": ("step", "finish"),
    "ask": ("step", "finish", "ask", "again"),
    "again": ("step", "finish", "ask"),
    "rephrase": ("step", "finish", "ask"),
}
"""Which kind of action may follow which: A1 one step, A2 finish, A3 sub-question, A4 answer it again, A5 rephrase."""


@dataclass(frozen=True)
class RStar:
    """Sample reasoning paths by UCT over five kinds of actions; then keep those that another model completes alike.

    A fresh thought grows `branch` children by every action that may follow its own; kinds whose action the task lacks
    are left out. A rollout ends at a final thought, whose reward is the share of its answer among all so far, or at
    `depth`, where it is 0. No critic is asked. In the end `complete`, best given to a second model
    (models={"complete": ...}), finishes the first 20 to 50 % of each path (`masks`, rounded down to whole thoughts): a
    path survives if at least `agree` of what comes out gives its answer. An answer counts the rewards of its surviving
    paths, as a share of all rewards, and the share of its paths that survive; where none does, and without `complete`,
    the majority answers. Choose it for small models, whose own judgement is worth little. Cost: at most rollouts times
    depth fresh thoughts with an expansion for each action that may follow, and for each path len(masks) completions;
    paths that begin alike share theirs.
    """

    rollouts: int = 16
    depth: int = 5
    branch: int = 3
    c: float = 2.0
    masks: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5)
    agree: float = 0.5
    step: str = "step"
    finish: str = "reason"
    ask: str = "subquestion"
    again: str = "reanswer"
    rephrase: str = "rephrase"
    complete: str | None = "complete"

    acts: ClassVar[tuple[str, ...]] = ("complete",)
    judges: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        at_least(1, rollouts=self.rollouts, depth=self.depth, branch=self.branch)
        at_least(0, c=self.c, agree=self.agree)
        if not self.masks or not all(0 <= mask < 1 for mask in self.masks):
            raise ValueError(f"masks is {self.masks!r}: expected shares of a path, each from 0 to below 1")

    async def __call__(self, search: Search) -> Thought | None:
        """Generate, and discriminate."""
        root = Node(search.root)
        for _ in range(self.rollouts):
            await self._rollout(search, root)
            if search.task.goal is not None and (solved := self.answer(search)):
                return solved
        votes = self._votes(search)
        return await self._consistent(search, votes) if len(votes) > 1 and self.complete else self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The first path of the answer that most paths give so far."""
        paths = self._paths(search)
        return max(self._votes(search).values(), key=len, default=paths)[0] if paths else None

    # -- the generator ---------------------------------------------------------------------------------------------

    async def _rollout(self, search: Search, root: Node) -> None:
        """Walk down by UCT, growing what is fresh, until an answer, a dead end, or `depth`; reward the whole way."""
        path, edges = [root], list[Edge]()
        while not path[-1].thought.done and len(edges) < self.depth:
            node = path[-1]
            if node.edges is None:
                node.edges = await self._grow(search, node.thought)
            if not node.edges:
                break
            edges.append(max(node.edges, key=lambda edge: (self._uct(edge, node), search.rng.random())))
            path.append(edges[-1].child)
        backup(path, edges, [self._reward(search, path[-1].thought)])

    def _uct(self, edge: Edge, node: Node) -> float:
        q = edge.child.value("mean") if edge.child.visits else 0.0
        return uct(q, edge.visits, node.visits, 1.0, self.c)

    async def _grow(self, search: Search, thought: Thought) -> list[Edge] | None:
        """The children by every action that may follow, side by side; None where they failed: no dead end."""
        names = self._names(search)
        kind = next((kind for kind, name in names.items() if name == thought.action), "")
        following, failed = [names[k] for k in FOLLOWS.get(kind, ()) if k in names], search.failures(thought)
        grown = (search.expand(thought, action=name, n=self.branch, merge=False) for name in following)
        children = [Edge(Node(child), 1.0) for child in chain(*await search.gather(*grown))]
        return children or (None if search.failures(thought) > failed else [])

    def _names(self, search: Search) -> dict[str, str]:
        """The task's action for each kind; its only one, whatever it is called, makes single steps."""
        named = {kind: str(getattr(self, kind)) for kind in ("step", "finish", "ask", "again", "rephrase")}
        there = {kind: name for kind, name in named.items() if name in search.task.actions}
        return there or {"step": search.task.action(self.step)}

    def _reward(self, search: Search, end: Thought) -> float:
        """The share of its answer among all paths; 0 for no answer, and where a goal test has turned it down."""
        votes, paths = self._votes(search), self._paths(search)
        return next((len(ends) / len(paths) for ends in votes.values() if end in ends), 0.0)

    def _paths(self, search: Search) -> list[Thought]:
        """The ends of the paths that claim an answer; completions are no paths."""
        own = self._names(search).values()
        return [end for end in search.candidates() if end.action in own]

    def _votes(self, search: Search) -> dict[Hashable, list[Thought]]:
        return tally(search.task, search.graph, self._paths(search))

    # -- the discriminator -----------------------------------------------------------------------------------------

    async def _consistent(self, search: Search, votes: Mapping[Hashable, Sequence[Thought]]) -> Thought | None:
        """The first surviving path of the answer with the highest score; the majority's where none survives."""
        said = await self._completed(search, [end for ends in votes.values() for end in ends])
        all_ = sum(len(ends) ** 2 for ends in votes.values())
        scores = dict[Thought, float]()
        for answer, ends in votes.items():
            if alive := [end for end in ends if self._survives(search, end, answer, said)]:
                scores[alive[0]] = len(ends) * len(alive) / all_ + len(alive) / len(ends)
        return max(scores, key=scores.__getitem__) if scores else max(votes.values(), key=len)[0]

    def _prefixes(self, search: Search, end: Thought) -> Counter[Thought]:
        """Where the path to `end` is cut off, and how often: never above where the search began."""
        path = [thought for thought in search.graph.path(end) if thought.depth >= search.root.depth]
        return Counter(path[int(mask * (len(path) - 1))] for mask in self.masks)

    async def _completed(self, search: Search, ends: Sequence[Thought]) -> dict[Thought, list[Hashable]]:
        """What the completions of every prefix claim, those that claim nothing left out."""
        wanted = dict[Thought, int]()
        for prefix, n in chain(*(self._prefixes(search, end).items() for end in ends)):
            wanted[prefix] = max(n, wanted.get(prefix, 0))
        drawn = (search.expand(t, action=self.complete, n=n, merge=False) for t, n in wanted.items())
        forms = [[self._form(search, end) for end in made] for made in await search.gather(*drawn)]
        return {t: [form for form in these if form is not None] for t, these in zip(wanted, forms, strict=True)}

    def _form(self, search: Search, end: Thought) -> Hashable | None:
        claimed = search.claim(end) if end.done else None
        return None if claimed is None else search.task.same(claimed)

    def _survives(
        self, search: Search, end: Thought, answer: Hashable, said: Mapping[Thought, Sequence[Hashable]]
    ) -> bool:
        """Whether enough of the completions of its prefixes give its answer."""
        prefixes = self._prefixes(search, end).items()
        forms = [form for prefix, n in prefixes for form in said[prefix][:n]]
        return bool(forms) and forms.count(answer) / len(forms) >= self.agree
