"""RATP (Pouplin et al., 2024): Monte-Carlo tree search over a graph of thoughts that mixes passages and thoughts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.reading import Reading, Ways
from thoughtgraph.search.steps import dead
from thoughtgraph.search.tree import Edge, Node, backup, uct
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class RATP:
    """Select a thought by UCT, combine it with passages or with other thoughts, and let a critic stand for the rollout.

    With chance `share` a selected thought is given to `retrieve`, and combined with up to `passages` passages that it
    finds, `together` or each by itself; else it is combined with each of the `partners` best other thoughts that it
    was not combined with before. Where the one brings nothing the other is tried. A passage is a thought, and a parent
    of what was made of it. One that was read on this way, or brought nothing where no more was known, is not read
    again, unless a thought names something in it that was not known then.

    To read on from a thought, with the next passages, is an arm of its own beside what was made of it: it is worth what
    the thought is, and less with each look that brings nothing. A simulation that brings nothing is worth nothing, so
    the search backs up from where the knowledge does not lead on.

    A thought that most of up to `confirm` judgements value at `threshold` (None: never) is given to `conclude`, which
    makes an answer of it and of its passages (None: thoughts are answers themselves, when they are done). With
    `accept`, a critic, an answer ends the search only where it is worth `support`; one that is not, or that nobody can
    judge (the knowledge holds none), is kept, and the search goes on. After `simulations` the best thoughts are
    concluded from, at most `ends` of them until an answer is accepted. Choose it for questions over knowledge, private
    or not, that one retrieval does not answer, and where not every passage found helps.

    Cost: for each simulation one search, an expansion (without `together` one for each passage; with a partner one
    more) and a judgement of each thought that it brings; confirm - 1 judgements and one expansion for each answer.
    """

    simulations: int = 16
    workers: int = 1
    c: float = 0.3
    share: float = 0.8
    passages: int = 8
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


class _Graph(Reading):
    """One search's thoughts. Each stands below the one that was selected to make it."""

    def __init__(self, policy: RATP, search: Search) -> None:
        how = Ways(policy.passages, policy.together, policy.partners, policy.retrieve, policy.combine)
        super().__init__(search, policy.simulations, policy.c, how)
        self.policy, self.widening, self.spare = policy, True, 0
        self.earned = defaultdict[str, list[float]](list)
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
        self.worth.update((id, self.search.value(self.nodes[id].thought, policy.critic) or 0.0) for id in known)
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
