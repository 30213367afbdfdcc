"""RATP (Pouplin et al., 2024): Monte-Carlo tree search over a graph of thoughts that mixes passages and thoughts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import ClassVar, NamedTuple

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import dead
from thoughtgraph.search.tree import Edge, Node, backup, uct
from thoughtgraph.search.tree_search import TreeSearch, thoughts
from thoughtgraph.thought import Thought, as_passage
from thoughtgraph.verbs import Search

DOUBTFUL = 3
"""A thought of fewer visits that is found again is judged again."""


@dataclass(frozen=True)
class RATP:
    """Select a thought by UCT, combine it with passages or with other thoughts, and let a critic stand for the rollout.

    With chance `share` a selected thought is given to `retrieve`, and combined with up to `passages` passages that it
    finds, `together` of them at a time; else it is combined with each of the `partners` best other thoughts that it
    was not combined with before. Where the one brings nothing the other is tried. A passage is a thought, and a parent
    of what was made of it. One that was read is not read again on any branch, unless a thought names something in it
    that was not known then. A thought competes with what was made of it: to read on from there, with the next
    passages, is an arm of its own, worth what the thought itself is. A simulation that brings nothing is worth the
    least that any was, so that the search backs up from where the knowledge holds nothing more.

    When a thought is worth `threshold` (None: never) it is given to `conclude`, which makes an answer of it (None:
    thoughts are answers themselves, when they are done). With `accept`, a critic, an answer ends the search only if it
    is worth `support`; one that is not, or that nobody can judge (the knowledge holds none), is kept, and the search
    goes on. After `simulations` the best thought is concluded from. Choose it for questions over knowledge, private or
    not, that one retrieval does not answer, and where not every passage found helps.

    Cost: for each simulation one search, at most passages / together + partners expansions and a judgement of each
    thought that they bring; one expansion for the answer, and one more for each that was not accepted.
    """

    simulations: int = 16
    workers: int = 1
    c: float = 0.3
    share: float = 0.8
    passages: int = 6
    together: bool = True
    partners: int = 1
    threshold: float | None = 0.9
    confirm: int = 3
    accept: str | None = None
    support: float = 0.5
    ends: int = 3
    retrieve: str = "retrieve"
    combine: str = "combine"
    conclude: str | None = "answer"
    critic: str = "value"

    absolute: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ("retrieve", "combine", "conclude")
    judges: ClassVar[tuple[str, ...]] = ("critic", "accept")

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, workers=self.workers, passages=self.passages)
        at_least(1, confirm=self.confirm, ends=self.ends)
        at_least(0, c=self.c, share=self.share, partners=self.partners)
        at_least(float("-inf"), threshold=self.threshold, support=self.support)
        if self.share > 1:
            raise ValueError(f"share is {self.share!r}: expected a share from 0 to 1")

    async def __call__(self, search: Search) -> Thought | None:
        """Grow the graph until a thought is good enough, and make an answer of it; go on where that is none."""
        graph, tried = _Graph(self, search), 0
        while True:
            found = await graph.grow(self.workers)
            best = graph.best
            if graph.solved or best.done or self.conclude is None:
                return found
            if best in graph.concluded:
                return search.answer()
            if end := await graph.end(best, self.conclude):
                return end
            graph.left, graph.spare = graph.spare, 0
            if not graph.left and (tried := tried + 1) == self.ends:
                return search.answer()


class _Read(NamedTuple):
    """A passage that was read from a thought: what was known then or noted of it, and whether nothing was noted."""

    passage: Thought
    at: str
    known: set[str]
    useless: bool


class _Graph(TreeSearch):
    """One search's thoughts. Each stands below the one that was selected to make it."""

    def __init__(self, policy: RATP, search: Search) -> None:
        super().__init__(search, policy.simulations, policy.c)
        self.policy, self.widening, self.spare = policy, True, 0
        self.worth = dict[str, float]()
        self.joined = set[frozenset[str]]()
        self.reads = list[_Read]()
        self.earned = defaultdict[str, list[float]](list)
        self.dry = set[str]()
        self.concluded = set[Thought]()
        self.bounds.see(0.0)  # what brings nothing is worth nothing

    @property
    def best(self) -> Thought:
        """The thought of the highest value, the newest one where none has a value; no end that cannot be an answer.

        One that an answer was made of already gives way to those that it was not.
        """
        alive = {id: node.thought for id, node in self.nodes.items() if not dead(self.search, node.thought)}
        fresh = {id: thought for id, thought in alive.items() if thought not in self.concluded} or alive
        newest = next(reversed(fresh), self.root.thought.id)
        best = max((id for id in self.worth if id in fresh), key=self.worth.__getitem__, default=newest)
        return self.nodes[best].thought

    def ripe(self, node: Node) -> bool:
        """Whether to read on from a thought is worth more than all that was made of it: an arm of its own."""
        if node.spent or node.edges is None:
            return False
        open, flying = [edge for edge in node.edges if not edge.child.closed], self.search.flying
        visits = [edge.visits + flying.get(edge.child.thought.id, 0) for edge in open]
        values = [self.scale(edge.child.value(self.backup)) if edge.child.visits else 0.5 for edge in open]
        n = node.draws + sum(visits)
        others = [uct(q, times, n, 1.0, self.c) for q, times in zip(values, visits, strict=True)]
        return uct(self.scale(self.own(node)), node.draws, n, 1.0, self.c) > max(others, default=float("-inf"))

    def own(self, node: Node) -> float:
        """What reading from a thought brought so far, on the mean, beginning with what it is worth itself."""
        id = node.thought.id
        seen = [self.worth.get(id, self.bounds.low), *self.earned.get(id, ())]
        return sum(seen) / len(seen)

    async def simulate(self, path: list[Node], edges: list[Edge]) -> None:
        """Expand a leaf one way or the other, judge what came, back up."""
        leaf, policy = path[-1], self.policy
        first, then = (self.read, self.join) if self.search.rng.random() < policy.share else (self.join, self.read)
        made = await first(path) or await then(path)
        again, others = self.met_before(leaf, made)
        new, met = self.hang(path, edges, others)
        leaf.spent = not new and not met and leaf.thought.id in self.dry
        if self.solved:
            return
        news = await self.judge(path, [*new, *again], policy.critic)
        known = {edge.child.thought.id: value for edge, value in news if value is not None}
        for id, value in known.items():
            if policy.threshold is not None and value >= policy.threshold and await self.sure(self.nodes[id]):
                self.left, self.spare = 0, self.left or self.spare
        self.worth |= {id: self.search.value(self.nodes[id].thought, policy.critic) or 0.0 for id in known}
        if new or again or not met:
            self.learn(path, edges, news)
        self.earned[leaf.thought.id].append(max(known.values(), default=self.bounds.low))
        backup(path, [], [] if made else [self.bounds.low])
        self.release([leaf])

    async def sure(self, node: Node) -> bool:
        """Whether a thought is good enough by most of its judgements: of many thoughts, one is over-rated by chance."""
        search, policy, bar = self.search, self.policy, self.policy.threshold or 0.0
        while True:
            said = search.graph.scores(node.thought, search.task.critic(policy.critic))
            good = sum(score.value is not None and score.value >= bar for score in said)
            if 2 * good > policy.confirm or 2 * (len(said) - good) > policy.confirm:
                return 2 * good > policy.confirm
            await search.score([node.thought], policy.critic)

    def met_before(self, leaf: Node, made: Sequence[Thought]) -> tuple[list[Edge], list[Thought]]:
        """The edges to what says the same as a new thought, and those new thoughts that say something else.

        What is found again is judged again, for as long as few judgements may be wrong.
        """
        key = self.search.task.key or (lambda content: None)
        known = {form: edge for edge in leaf.edges or () if (form := key(edge.child.thought.content)) is not None}
        forms = {thought: key(thought.content) for thought in made}
        met = dict.fromkeys(known[form] for form in forms.values() if form in known)
        doubtful = [edge for edge in met if edge.child.visits < DOUBTFUL]
        return doubtful, [thought for thought, form in forms.items() if form not in known]

    async def end(self, best: Thought, action: str) -> Thought | None:
        """The answer that is made of a thought and of what it was made of, if it is accepted."""
        self.concluded.add(best)
        search, accept = self.search, self.policy.accept
        rests = dict.fromkeys(self.used([self.nodes[t.id] for t in search.graph.path(best) if t.id in self.nodes]))
        for end in await search.expand(best, *rests, action=action, n=1):
            if not end.done or not (search.solved(end) if search.task.goal else search.claim(end) is not None):
                continue
            value = None if accept is None else (await search.score([end], accept))[0].value
            if accept is None or (value is not None and value >= self.policy.support):
                return end
        backup([self.nodes[t.id] for t in search.graph.path(best) if t.id in self.nodes], [], [self.bounds.low])
        return None

    async def read(self, path: Sequence[Node]) -> list[Thought]:
        """Combine the thought with the next passages that it leads to."""
        thought, search, policy = path[-1].thought, self.search, self.policy
        failures, stale = search.failures(thought), self.stale(path)
        found = await search.expand(thought, *stale, action=policy.retrieve, n=policy.passages, path=thoughts(path))
        new = [passage for passage in found if not passage.done]
        if not found and (failures or not search.failures(thought)):
            self.dry.add(thought.id)
        if not policy.together:
            return await self.combine(path, [[passage] for passage in new])
        return await self.combine(path, [[*self.before(path[-1]), *new]] if new else [])

    def before(self, node: Node) -> list[Thought]:
        """What was read first from a thought: once more, where nothing was made of it that is worth more than it is."""
        own, made = self.worth.get(node.thought.id, 0.0), [edge.child.thought.id for edge in node.edges or ()]
        if any(self.worth.get(id, 0.0) > own for id in made):
            return []
        here = dict.fromkeys(read.passage for read in self.reads if read.at == node.thought.id)
        return list(here)[: self.policy.passages]

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
        return await self.combine(path, [[other] for other in best])

    async def combine(self, path: Sequence[Node], parts: Sequence[Sequence[Thought]]) -> list[Thought]:
        """The thoughts made of a thought and each of these parts, side by side."""
        made = await self.search.gather(*(self.combined(path, others) for others in parts))
        return list(dict.fromkeys(thought for each in made for thought in each))

    async def combined(self, path: Sequence[Node], others: Sequence[Thought]) -> list[Thought]:
        """The thoughts made of a thought and these others together."""
        thought, search, action = path[-1].thought, self.search, self.policy.combine
        failures = search.failures(thought)
        made = await search.expand(thought, *others, action=action, n=len(others), path=thoughts(path))
        if made or search.failures(thought) == failures:
            known = told([*thoughts(path), *made])
            self.reads += [_Read(one, thought.id, known, not made) for one in others if as_passage(one)]
        return made

    def used(self, path: Sequence[Node]) -> list[Thought]:
        """The passages that the thoughts of a path were made of."""
        above = (self.search.graph[id] for node in path for id in node.thought.parents[1:])
        return [passage for passage in above if as_passage(passage)]

    def stale(self, path: Sequence[Node]) -> list[Thought]:
        """The passages that were read on this path, or brought nothing, and hold no name that is news on this path."""
        here, known = {node.thought.id for node in path}, told(thoughts(path))
        old = (read for read in self.reads if read.useless or read.at in here)
        return list(dict.fromkeys(one.passage for one in old if not (known - one.known) & names(one.passage.text)))


def told(path: Sequence[Thought]) -> set[str]:
    """The names in thoughts."""
    return {name for thought in path for name in names(thought.text)}


def names(text: str) -> set[str]:
    """The words of a text that may be names: those with a capital, and those of scripts that have none."""
    return {word.casefold() for word in re.findall(r"\w+", text) if not word.islower() and not word.isdigit()}
