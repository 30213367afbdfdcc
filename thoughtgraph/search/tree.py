"""What tree policies share: visits, values, bandit rules and backup, on a tree whose branches may meet again."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

from thoughtgraph.thought import Thought


class Node:
    """A thought's statistics. `visits` and `total` count the values backed up through it, `peak` is their maximum.

    A node that several parents share keeps one value for all of them, while each `Edge` counts its own visits:
    UCT2 of Childs, Brodeur & Kocsis (2008), right on a graph where a tree's sums would count twice. `draws` counts
    its expansions; once it is `spent` there are no more. `pending` says that a simulation works here just now,
    `judged` that a critic was asked about it, `closed` that nothing is left to do at or below it.
    """

    __slots__ = (
        "closed", "draws", "edges", "judged", "parents", "peak", "pending", "spent", "thought", "total", "visits",
    )  # fmt: skip

    def __init__(self, thought: Thought) -> None:
        self.thought = thought
        self.edges: list[Edge] | None = None
        self.parents: tuple[Node, ...] = ()
        self.visits, self.total, self.peak = 0, 0.0, float("-inf")
        self.draws, self.spent = 0, False
        self.closed, self.pending, self.judged = thought.done, False, False

    def take(self, n: int, total: float, peak: float) -> None:
        """Count `n` values that sum up to `total`, the greatest of them `peak`."""
        self.visits += n
        self.total += total
        self.peak = max(self.peak, peak)

    def value(self, backup: str) -> float:
        """Q: the mean of what was backed up, or its maximum."""
        return self.peak if backup == "max" else self.total / self.visits

    @property
    def exhausted(self) -> bool:
        """Whether every child is closed, as it is where there is none."""
        return self.edges is not None and all(edge.child.closed for edge in self.edges)


class Edge:
    """A step from one node to the next, with its own count of visits and the generator's prior."""

    __slots__ = ("child", "prior", "visits")

    def __init__(self, child: Node, prior: float) -> None:
        self.child, self.prior, self.visits = child, prior, 0


class Bounds:
    """The least and the greatest value seen: they scale Q to [0, 1], so that c means the same for every critic."""

    def __init__(self) -> None:
        self.low, self.high = float("inf"), float("-inf")

    def see(self, value: float) -> None:
        """Widen the bounds."""
        self.low, self.high = min(self.low, value), max(self.high, value)

    def scale(self, value: float) -> float:
        """Into [0, 1]; 0.5 while only one value is known."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5


def uct(q: float, n: int, parent: int, prior: float, c: float) -> float:
    """UCB1 applied to trees (Kocsis & Szepesvari, 2006): Q + c sqrt(ln N / n); what was never visited comes first."""
    return q + c * sqrt(log(max(parent, 1)) / n) if n else float("inf")


def puct(q: float, n: int, parent: int, prior: float, c: float) -> float:
    """PUCT (AlphaZero, Silver et al., 2018): Q + c(N) P sqrt(N) / (1 + n), with c(N) = c + ln((N + 19653) / 19652)."""
    return q + (c + log((parent + 19653) / 19652)) * prior * sqrt(parent) / (1 + n)


def backup(path: Sequence[Node], edges: Sequence[Edge], values: Sequence[float], gamma: float = 1.0) -> None:
    """Add `values` to every node of a path, and as many visits to every edge walked.

    The last node gets them whole; each step up multiplies them by `gamma`.
    """
    n, total, peak = len(values), sum(values), max(values, default=float("-inf"))
    for node in reversed(path):
        node.take(n, total, peak)
        total, peak = total * gamma, peak * gamma
    for edge in edges:
        edge.visits += n


def attach(leaf: Node, children: Sequence[Thought], nodes: dict[str, Node]) -> bool:
    """Hang `children` below a leaf, with `nodes` by their ids; whether one of them was not there before.

    A child that is in the tree already gets another parent. Priors are shared among the children of all draws.
    """
    edges = leaf.edges = leaf.edges or []
    known = {edge.child.thought.id for edge in edges}
    new = [child for child in children if child.id not in known]
    total, above = sum([edge.child.thought.prior for edge in edges] + [child.prior for child in new]), (leaf,)
    for edge in edges:
        edge.prior = edge.child.thought.prior / total
    for child in new:
        node = nodes.get(child.id) or nodes.setdefault(child.id, Node(child))
        node.parents = node.parents + above if node.parents else above
        edges.append(Edge(node, child.prior / total))
    return bool(new)


def close(node: Node) -> None:
    """Nothing is left below: mark it, and every parent of which the same is now true."""
    work = [node]
    while work:
        closing = work.pop()
        if not closing.closed:
            closing.closed = True
            work += [parent for parent in closing.parents if parent.spent and parent.exhausted]
