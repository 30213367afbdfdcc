"""How tree policies grow their tree: workers that walk down to a leaf by a bandit rule, and back up what they learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thoughtgraph.search.tree import Bounds, Edge, Node, attach, backup, close, uct
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search

Rule = Callable[[float, int, int, float, float], float]
"""A bandit rule: what a child is worth by its Q, its visits, its parent's visits, its prior, and c."""


class TreeSearch:
    """One search's tree, shared by its workers. Each policy says in a class of its own what a simulation does.

    Work in flight counts as visits without reward, so workers spread out, and nobody goes below a node that is
    pending. What is closed is not visited again, and so the search ends by itself when the tree is exhausted.
    """

    def __init__(
        self,
        search: Search,
        simulations: int,
        c: float,
        rule: Rule = uct,
        backup: str = "mean",
        gamma: float = 1.0,
        *,
        scaled: bool = True,
    ) -> None:
        self.search, self.left, self.c, self.rule, self.backup, self.gamma = search, simulations, c, rule, backup, gamma
        self.bounds = Bounds()
        self.scale = self.bounds.scale if scaled else float
        self.root = Node(search.root)
        self.nodes = {search.root.id: self.root}
        self.solved: Thought | None = None
        self.changes: int = 0
        self.barren, self.widening = -1, False

    async def grow(self, workers: int) -> Thought | None:
        """Let the workers simulate; the thought that solved it, else the best answer by the task's rule."""
        await self.search.gather(*(self.work() for _ in range(workers)))
        return self.solved or self.search.answer()

    async def work(self) -> None:
        """Simulate until it is solved, exhausted, or enough."""
        while self.left > 0 and not self.solved and not self.root.closed:
            path, edges = self.select() if self.barren != self.changes else ([self.root], [])
            if not self.ready(path[-1]):
                self.barren = self.changes  # nothing to choose until something changes, for nobody
                await self.search.next()
                continue
            self.left -= 1
            self.changes += 1
            path[-1].pending = True
            await self.simulate(path, edges)

    async def simulate(self, path: list[Node], edges: list[Edge]) -> None:
        """What is done at the leaf that `path` leads to: it ends in `learn` and `release`, unless it is solved."""
        raise NotImplementedError

    def ready(self, node: Node) -> bool:
        """Whether a simulation may begin here."""
        return not node.pending and (node.edges is None or self.ripe(node))

    def ripe(self, node: Node) -> bool:
        """Whether a node that was expanded is to be expanded again."""
        return False

    def select(self) -> tuple[list[Node], list[Edge]]:
        """Walk down by the bandit rule to a leaf; around leaves that are being expanded, if there is a way around."""
        blocked = set[int]()
        while True:
            path, edges = [self.root], list[Edge]()
            while edge := self.choose(path[-1], blocked):
                path.append(edge.child)
                edges.append(edge)
            if len(path) == 1 or self.ready(path[-1]):
                return path, edges
            blocked.add(id(path[-1]))

    def choose(self, node: Node, blocked: set[int]) -> Edge | None:
        """The open child of the highest bandit value; None at a leaf, and where every way on is taken."""
        if node.pending or node.edges is None or self.ripe(node):
            return None
        flying, c, rule, scale, backup = self.search.flying, self.c, self.rule, self.scale, self.backup
        n = node.visits + flying.get(node.thought.id, 0)
        unknown = scale(node.value(backup)) if node.visits else 0.5
        best, chosen = float("-inf"), None
        for edge in node.edges:
            child = edge.child
            if child.closed or child.pending or (blocked and id(child) in blocked):
                continue
            virtual = flying.get(child.thought.id, 0)
            q = scale(child.value(backup)) if child.visits else unknown
            if virtual and child.visits:
                q *= child.visits / (child.visits + virtual)
            if (worth := rule(q, edge.visits + virtual, n, edge.prior, c)) > best:
                best, chosen = worth, edge
        return chosen

    async def draw(
        self, path: Sequence[Node], action: str, n: int = ALL, *others: Thought, merge: bool = True
    ) -> list[Thought] | None:
        """Expand the end of a path, together with `others`.

        None where that failed for the first time: it is no dead end, and may be tried once more.
        """
        leaf, search = path[-1].thought, self.search
        failures = search.failures(leaf)
        drawn = await search.expand(leaf, *others, action=action, n=n, path=thoughts(path), merge=merge)
        return None if not drawn and not failures and search.failures(leaf) else drawn

    def hang(self, path: list[Node], edges: list[Edge], children: Sequence[Thought]) -> tuple[list[Edge], bool]:
        """Hang children below the end of a path: the edges to what nobody has judged, and whether branches met.

        Where they meet, what is known of the common child is news to this path, once. What the goal has judged, that
        in which a search has come to nothing, and what the critic was asked about already, needs no judgement.
        """
        leaf, goal = path[-1], self.search.task.goal
        leaf.draws += 1
        leaf.spent = not (attach(leaf, children, self.nodes) and self.widening)
        self.solved = self.solved or next((child for child in children if self.search.solved(child)), None)
        fresh = [edge for edge in leaf.edges or () if not edge.visits]
        met = [edge for edge in fresh if edge.child.visits]
        for edge in met:
            edge.visits = 1
            backup(path, edges, [self.gamma * edge.child.value(self.backup)], self.gamma)
        open = [e for e in fresh if not (e.child.closed and (goal or e.child.edges is not None))]
        return [edge for edge in open if not edge.visits and not edge.child.judged], bool(met)

    async def judge(self, path: Sequence[Node], edges: Sequence[Edge], critic: str) -> list[tuple[Edge, float | None]]:
        """The values of the children at `edges`, judged as one set, and each once wherever branches meet."""
        for edge in edges:
            edge.child.judged = True
        scores = await self.search.score([edge.child.thought for edge in edges], critic, path=thoughts(path))
        return [(edge, score.value) for edge, score in zip(edges, scores, strict=True)]

    def learn(self, path: Sequence[Node], edges: Sequence[Edge], news: Sequence[tuple[Edge, float | None]]) -> None:
        """Back up the values of children along the path walked. Without one, the walk is a visit without reward.

        A child that nobody could judge counts as visited, and as good as its siblings: an abstention is no low score.
        """
        self.changes += 1
        values = list[float]()
        for edge, value in news:
            edge.visits += 1
            if value is not None:
                self.bounds.see(value)
                edge.child.take(1, value, value)
                values.append(value * self.gamma)
        backup(path, edges, values, self.gamma)
        for edge in edges if not values else ():
            edge.visits += 1

    def release(self, nodes: Sequence[Node]) -> None:
        """The simulation is over: what it worked on, from the top down, is free again, or closed."""
        self.changes += 1
        for node in reversed(nodes):
            node.pending = False
            if node.thought.done or (node.spent and node.exhausted):
                close(node)


def thoughts(path: Sequence[Node]) -> list[Thought]:
    """The thoughts of a path."""
    return [node.thought for node in path]
