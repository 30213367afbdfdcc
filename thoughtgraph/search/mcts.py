"""Monte-Carlo tree search with UCT (Kocsis & Szepesvari, 2006) or PUCT (Silver et al., 2018), by many workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from thoughtgraph.errors import at_least
from thoughtgraph.search.tree import Edge, Node, puct, uct
from thoughtgraph.search.tree_search import TreeSearch
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search

CHOICES = {
    "rule": ("uct", "puct"),
    "backup": ("mean", "max", "discounted"),
    "judge": ("children", "leaf"),
    "follow": ("prior", "random"),
}
"""The words that settings may be."""


@dataclass(frozen=True)
class MCTS:
    """Select a leaf by its bandit value, expand it, judge what is new, back the values up along the path.

    Work in flight counts as visits without reward, so `workers` spread out; a leaf that is being expanded is not
    chosen again. Final thoughts are never expanded, and what is solved or dead is not visited again, so the search
    ends by itself when the tree is exhausted. Choose it where a critic is informative and noisy and depth varies; it
    revises what beam search has thrown away.

    `c` weighs exploration, by the rule "puct", which goes by the generator's priors, or by "uct". Values are `scaled`
    to [0, 1] by the extremes seen; without it they have to lie there already. Q is the mean of the values below, their
    "max", or their mean "discounted" by `gamma` a step. A child is judged when it is first visited (`judge="leaf"`),
    since judging is what costs, or at once with all its siblings ("children"), which "uct" wants. `rollout=k` judges
    not the child, but what up to k further steps from it lead to, by the greatest prior or at "random"; they stay in
    the tree. A node that was expanded e times is expanded again when e < `widen` visits^`alpha`, and when all below it
    is done, until a draw brings nothing new: `widen=0.75` pays well where a model proposes, since what it forgot comes
    with another draw, and the task knows equal thoughts by their key. Textbook UCT is `rule="uct", judge="children",
    c=1`.

    Cost: for each simulation at most 1 + rollout expansions and one judgement; with judge="children" one expansion and
    a judgement of each new child.
    """

    simulations: int = 1000
    workers: int = 1
    c: float = 0.5
    rule: Literal["uct", "puct"] = "puct"
    scaled: bool = True
    backup: Literal["mean", "max", "discounted"] = "mean"
    gamma: float = 0.95
    judge: Literal["children", "leaf"] = "leaf"
    rollout: int = 0
    follow: Literal["prior", "random"] = "prior"
    widen: float = 0.0
    alpha: float = 0.5
    branch: int = ALL
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, workers=self.workers, branch=self.branch)
        at_least(0, c=self.c, gamma=self.gamma, rollout=self.rollout, widen=self.widen, alpha=self.alpha)
        for name, known in CHOICES.items():
            if (found := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {found!r}: expected one of {', '.join(map(repr, known))}")

    async def __call__(self, search: Search) -> Thought | None:
        """Let the workers grow one tree."""
        return await _Tree(self, search).grow(self.workers)


class _Tree(TreeSearch):
    """One search's tree."""

    def __init__(self, policy: MCTS, search: Search) -> None:
        rule, gamma = uct if policy.rule == "uct" else puct, policy.gamma if policy.backup == "discounted" else 1.0
        super().__init__(search, policy.simulations, policy.c, rule, policy.backup, gamma, scaled=policy.scaled)
        self.policy, self.widening = policy, policy.widen > 0
        self.lazy = policy.judge == "leaf" or policy.rollout > 0

    def ripe(self, node: Node) -> bool:
        """Progressive widening: the visits allow another draw, or all below is done."""
        if not self.widening or node.spent:
            return False
        return node.draws < self.policy.widen * node.visits**self.policy.alpha or node.exhausted

    async def simulate(self, path: list[Node], edges: list[Edge]) -> None:
        """Expand a leaf, judge what is new, back up."""
        leaf = len(path) - 1
        new, met = await (self.walk if self.lazy else self.expand)(path, edges)
        if self.solved:
            return
        held = path[leaf:]
        if self.lazy and new:
            path, edges = path[:-1], edges[:-1]
        news = await self.judge(path, new, self.policy.critic)
        if new or not met:
            self.learn(path, edges, news)
        self.release(held)

    async def expand(self, path: list[Node], edges: list[Edge]) -> tuple[list[Edge], bool]:
        """Expand the end of a path: the edges to what nobody has judged, and whether known thoughts were met again."""
        drawn = await self.draw(path, self.policy.action, self.policy.branch)
        return ([], False) if drawn is None else self.hang(path, edges, drawn)

    async def walk(self, path: list[Node], edges: list[Edge]) -> tuple[list[Edge], bool]:
        """Go on from a leaf to a thought that nobody has judged, and `rollout` steps further: to its last edge."""
        leaf, met = path[-1], False
        known = not edges or leaf.judged or leaf.visits > 0 or edges[-1].visits > 0
        for _ in range(self.policy.rollout + known):
            if path[-1].thought.done or (path[-1] is not leaf and path[-1].edges is not None):
                break  # final, or expanded already from another branch
            new, again = await self.expand(path, edges)
            met = met or again
            if self.solved or not (free := [edge for edge in new if not edge.child.pending]):
                return [], met
            edges.append(self.pick(free))
            path.append(edges[-1].child)
            path[-1].pending = True
        return edges[-1:], met

    def pick(self, edges: Sequence[Edge]) -> Edge:
        """The rollout's choice. A final thought that no goal has judged stays open until the critic has."""
        for edge in edges:
            edge.child.closed = False
        by_prior = self.policy.follow == "prior"
        return max(edges, key=lambda edge: edge.prior) if by_prior else self.search.rng.choice(edges)
