"""RATP (Pouplin et al., 2024): Monte-Carlo tree search over a graph of thoughts that mixes passages and thoughts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import dead
from thoughtgraph.search.tree import Edge, Node
from thoughtgraph.search.tree_search import TreeSearch, thoughts
from thoughtgraph.thought import Thought, as_passage
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class RATP:
    """Select a thought by UCT, combine it with passages or with other thoughts, and let a critic stand for the rollout.

    With chance `share` a selected thought is given to `retrieve`, and combined with each of up to `passages` passages
    that it finds; else it is combined with the `partners` best other thoughts that it was not combined with before.
    Where the one brings nothing the other is tried. A passage is a thought, and a parent of what was made of it;
    those used on the way here are not found again. When a thought is worth `threshold` (None: never), or after
    `simulations`, the best one is given to `conclude`, which makes an answer of it (None: thoughts are answers
    themselves, when they are done). Choose it for questions over knowledge, private or not, that one retrieval does not
    answer, and where not every passage found helps.

    Cost: for each simulation at most 1 + passages + partners expansions and passages + partners judgements; one
    expansion for the answer.
    """

    simulations: int = 16
    workers: int = 1
    c: float = 1.0
    share: float = 0.5
    passages: int = 2
    partners: int = 1
    threshold: float | None = 1.0
    retrieve: str = "retrieve"
    combine: str = "combine"
    conclude: str | None = "answer"
    critic: str = "value"

    absolute: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ("retrieve", "combine", "conclude")

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, workers=self.workers, passages=self.passages)
        at_least(0, c=self.c, share=self.share, partners=self.partners)
        at_least(float("-inf"), threshold=self.threshold)
        if self.share > 1:
            raise ValueError(f"share is {self.share!r}: expected a share from 0 to 1")

    async def __call__(self, search: Search) -> Thought | None:
        """Grow the graph; then make the answer of its best thought."""
        graph = _Graph(self, search)
        found = await graph.grow(self.workers)
        best = graph.best
        if graph.solved or best.done or self.conclude is None:
            return found
        for end in await search.expand(best, action=self.conclude, n=1):
            if end.done and (search.solved(end) if search.task.goal else search.claim(end) is not None):
                return end
        return search.answer()


class _Graph(TreeSearch):
    """One search's thoughts. Each stands below the one that was selected to make it."""

    def __init__(self, policy: RATP, search: Search) -> None:
        super().__init__(search, policy.simulations, policy.c)
        self.policy = policy
        self.worth = dict[str, float]()
        self.joined = set[frozenset[str]]()

    @property
    def best(self) -> Thought:
        """The thought of the highest value, the newest one where none has a value; no end that cannot be an answer."""
        alive = {id: node.thought for id, node in self.nodes.items() if not dead(self.search, node.thought)}
        newest = next(reversed(alive), self.root.thought.id)
        best = max((id for id in self.worth if id in alive), key=self.worth.__getitem__, default=newest)
        return self.nodes[best].thought

    async def simulate(self, path: list[Node], edges: list[Edge]) -> None:
        """Expand a leaf one way or the other, judge what came, back up."""
        leaf, search, policy = path[-1], self.search, self.policy
        failures = search.failures(leaf.thought)
        first, then = (self.read, self.join) if search.rng.random() < policy.share else (self.join, self.read)
        made = await first(path) or await then(path)
        new, met = list[Edge](), False
        if made or failures or not search.failures(leaf.thought):
            new, met = self.hang(path, edges, made)
        if self.solved:
            return
        news = await self.judge(path, new, policy.critic)
        known = {edge.child.thought.id: value for edge, value in news if value is not None}
        self.worth |= known
        if policy.threshold is not None and any(value >= policy.threshold for value in known.values()):
            self.left = 0
        if new or not met:
            self.learn(path, edges, news)
        self.release([leaf])

    async def read(self, path: Sequence[Node]) -> list[Thought]:
        """Combine the thought with each of the passages that it leads to."""
        thought, search, policy = path[-1].thought, self.search, self.policy
        above = (search.graph[id] for node in path for id in node.thought.parents[1:])
        used = dict.fromkeys(passage for passage in above if as_passage(passage))
        found = await search.expand(thought, *used, action=policy.retrieve, n=policy.passages, path=thoughts(path))
        return await self.combine(path, [passage for passage in found if not passage.done])

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
        best = nlargest(self.policy.partners, new, key=lambda other: self.worth[other.id])
        self.joined |= {frozenset((here.id, other.id)) for other in best}
        return await self.combine(path, best)

    async def combine(self, path: Sequence[Node], others: Sequence[Thought]) -> list[Thought]:
        """The thoughts made of a thought and each of the others, side by side."""
        thought, walked, action = path[-1].thought, thoughts(path), self.policy.combine
        joined = (self.search.expand(thought, other, action=action, n=1, path=walked) for other in others)
        return list(dict.fromkeys(made for each in await self.search.gather(*joined) for made in each))
