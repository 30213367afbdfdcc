"""Monte-Carlo tree search with UCT (Kocsis & Szepesvari, 2006) or PUCT (Silver et al., 2018), by many workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from thoughtgraph.errors import at_least
from thoughtgraph.search.tree import Bounds, Edge, Node, backup, close, puct, uct
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class MCTS:
    """Select a leaf by its bandit value, expand it, judge the children, back their values up along the path.

    A critic's value stands in for the rollout. Work in flight counts as visits without reward, so `workers` spread
    out; a leaf that is being expanded is not chosen again. Final thoughts are never expanded, and what is solved or
    dead is not visited again, so the search ends by itself when the tree is exhausted. `c` weighs exploration; values
    are scaled to [0, 1] by the extremes seen. `backup="max"` follows the best value below rather than the mean.
    Choose it where a critic is informative and noisy and depth varies; it revises what beam search has thrown away.
    """

    simulations: int = 1000
    workers: int = 1
    c: float = 1.0
    rule: Literal["uct", "puct"] = "uct"
    backup: Literal["mean", "max"] = "mean"
    branch: int = ALL
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, workers=self.workers, branch=self.branch)
        at_least(0, c=self.c)

    async def __call__(self, search: Search) -> Thought | None:
        """Let the workers grow one tree."""
        tree = _Tree(self, search)
        await search.gather(*(tree.work() for _ in range(self.workers)))
        return tree.solved or search.answer()


class _Tree:
    """One search's tree, shared by its workers."""

    def __init__(self, policy: MCTS, search: Search) -> None:
        self.policy, self.search, self.bounds = policy, search, Bounds()
        self.root = Node(search.root)
        self.nodes = {search.root.id: self.root}
        self.solved: Thought | None = None
        self.left = policy.simulations
        self.changes, self.barren = 0, -1
        self.rule = uct if policy.rule == "uct" else puct

    async def work(self) -> None:
        """Simulate until it is solved, exhausted, or enough."""
        while self.left > 0 and not self.solved and not self.root.closed:
            path, edges = self.select() if self.barren != self.changes else ([self.root], [])
            if path[-1].edges is not None or path[-1].pending:
                self.barren = self.changes  # nothing to choose until something changes, for nobody
                await self.search.next()
                continue
            self.left -= 1
            await self.grow(path, edges)

    def select(self) -> tuple[list[Node], list[Edge]]:
        """Walk down by the bandit rule to a leaf; around leaves that are being expanded, if there is a way around."""
        blocked = set[int]()
        while True:
            path, edges = [self.root], list[Edge]()
            while path[-1].edges is not None and not path[-1].pending and (edge := self.choose(path[-1], blocked)):
                path.append(edge.child)
                edges.append(edge)
            if (path[-1].edges is None and not path[-1].pending) or len(path) == 1:
                return path, edges
            blocked.add(id(path[-1]))

    def choose(self, node: Node, blocked: set[int]) -> Edge | None:
        """The open child of the highest bandit value; in-flight work counts as visits without reward."""
        flying, policy = self.search.flying, self.policy
        n = node.visits + flying.get(node.thought.id, 0)
        unknown = self.bounds.scale(node.value(policy.backup)) if node.visits else 0.5
        best, chosen = float("-inf"), None
        for edge in node.edges or ():
            child = edge.child
            if child.closed or child.pending or (blocked and id(child) in blocked):
                continue
            virtual = flying.get(child.thought.id, 0)
            q = self.bounds.scale(child.value(policy.backup)) if child.visits else unknown
            if virtual and child.visits:
                q *= child.visits / (child.visits + virtual)
            if (worth := self.rule(q, edge.visits + virtual, n, edge.prior, policy.c)) > best:
                best, chosen = worth, edge
        return chosen

    async def grow(self, path: list[Node], edges: list[Edge]) -> None:
        """Expand a leaf, judge what is new, back up."""
        leaf, search = path[-1], self.search
        walked = [node.thought for node in path]
        leaf.pending, self.changes = True, self.changes + 1
        children = await search.expand(leaf.thought, action=self.policy.action, n=self.policy.branch, path=walked)
        if not children and search.failures(leaf.thought) == 1:  # no dead end: it may be tried once more
            leaf.pending = False
            self.learn(path, edges, ())
            return
        self.attach(leaf, children)
        if self.solved:
            return
        met = [edge for edge in leaf.edges or () if edge.child.visits]
        self.recall(path, edges, met)
        fresh = (edge for edge in leaf.edges or () if not edge.child.visits)
        new = [edge for edge in fresh if not (edge.child.closed and search.task.goal)]
        scores = await search.score([edge.child.thought for edge in new], self.policy.critic, path=walked)
        leaf.pending = False
        if new or not met:
            self.learn(path, edges, [(edge, score.value) for edge, score in zip(new, scores, strict=True)])
        if all(edge.child.closed for edge in leaf.edges or ()):
            close(leaf)

    def attach(self, leaf: Node, children: Sequence[Thought]) -> None:
        """Hang the children below the leaf; a child that is there already gets another parent."""
        total, above = sum(child.prior for child in children), (leaf,)
        leaf.edges = []
        for child in children:
            node = self.nodes.get(child.id) or self.nodes.setdefault(child.id, Node(child))
            node.parents = node.parents + above if node.parents else above
            leaf.edges.append(Edge(node, child.prior / total))
            if self.solved is None and self.search.solved(child):
                self.solved = child

    def recall(self, path: list[Node], edges: list[Edge], met: Sequence[Edge]) -> None:
        """Branches that meet again: what is known of the common child is news to this path, once."""
        for edge in met:
            edge.visits = 1
            backup(path, edges, edge.child.value(self.policy.backup))

    def learn(self, path: list[Node], edges: list[Edge], values: Sequence[tuple[Edge, float | None]]) -> None:
        """Back up every new value along the path walked. Without one, the walk is a visit without reward.

        A child that nobody could judge counts as visited, and as good as its siblings: an abstention is no low score.
        """
        self.changes += 1
        known = [(edge, value) for edge, value in values if value is not None]
        for edge, value in known:
            self.bounds.see(value)
            backup([*path, edge.child], [*edges, edge], value)
        for edge in (edge for edge, value in values if value is None):
            edge.visits += 1
        for edge in edges if not known else ():
            edge.visits += 1
