"""What adaptive branching shares: a tree that grows by one child at a time, wider or deeper, as its guide says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from thoughtgraph.errors import TaskError
from thoughtgraph.thought import Score, Thought
from thoughtgraph.verbs import Search

ROUNDING = 1e-9
"""So far outside of [0, 1] a value may be that was worked out by floating-point numbers."""


class Node:
    """A thought, the `actions` that can still make a child of it, and its children, each with the action it is from."""

    __slots__ = ("actions", "children", "closed", "thought")

    def __init__(self, thought: Thought, actions: Sequence[str]) -> None:
        self.thought, self.actions, self.closed = thought, list(actions), False
        self.children = list[tuple[str, Node]]()

    def below(self, action: str | None = None) -> list[Node]:
        """The children at or below which something can still come: all, or those by one action."""
        return [child for by, child in self.children if not child.closed and action in (None, by)]


class Step(NamedTuple):
    """A node on the way down, and the action by which it is left: the last node of a way gets another child by it."""

    node: Node
    action: str


class Guide(Protocol):
    """What decides, and learns."""

    async def choose(self, node: Node) -> tuple[str, Node | None]:
        """The action that makes another child here; or that of a child to go down to, and this child."""
        ...

    def expect(self, path: Sequence[Step]) -> None:
        """A child is being made at the end of `path`."""
        ...

    def learn(self, path: Sequence[Step], child: Node | None, reward: float | None) -> None:
        """It was made: its node if it is new, and its score in [0, 1] if it has one."""
        ...


class Growth:
    """One search's tree, shared by its workers: at most `n` children are made.

    A final thought goes on by `refine` alone, any other one by `actions`. What has nothing to add is not asked again.
    """

    def __init__(
        self, search: Search, guide: Guide, n: int, actions: Sequence[str], refine: Sequence[str], critic: str
    ) -> None:
        self.search, self.guide, self.left, self.critic = search, guide, n, critic
        self.actions, self.refine = actions, refine
        self.nodes = dict[str, Node]()
        self.root = self.node(search.root)
        self.solved: Thought | None = None

    def node(self, thought: Thought) -> Node:
        """The node of a thought that has none yet."""
        return self.nodes.setdefault(thought.id, Node(thought, self.refine if thought.done else self.actions))

    async def work(self) -> None:
        """Make one child after the other until it is solved, exhausted, or enough."""
        while self.left > 0 and not self.solved and (path := await self.select()):
            self.left -= 1
            self.guide.expect(path)
            child, reward = await self.grow(path)
            self.guide.learn(path, child, reward)

    async def select(self) -> list[Step]:
        """Walk down to the node that gets another child; no steps where nothing is open."""
        path, node = list[Step](), self.root
        while True:
            if node.actions or node.below():
                action, child = await self.guide.choose(node)
                path.append(Step(node, action))
                if child is None:
                    return path
                node = child
            else:
                node.closed = True
                if not path:
                    return []
                node = path.pop().node

    async def grow(self, path: Sequence[Step]) -> tuple[Node | None, float | None]:
        """Make one child: its node if it is new, and its score if it has one."""
        (node, action), walked = path[-1], [step.node.thought for step in path]
        failed = self.search.failures(node.thought)
        made = await self.search.expand(node.thought, action=action, n=1, path=walked)
        if made:
            return await self.judge(made[0], path, walked)
        if action in node.actions and self.search.failures(node.thought) == failed:
            node.actions.remove(action)  # it did not fail: it has nothing to add
        return None, None

    async def judge(
        self, thought: Thought, path: Sequence[Step], walked: Sequence[Thought]
    ) -> tuple[Node | None, float | None]:
        """Score what is new. An equal thought that was made before earns 0: where draws do not vary, go deeper."""
        if known := self.nodes.get(thought.id):
            self.attach(known, path)
            return None, 0.0
        if self.search.solved(thought):
            self.solved = self.solved or thought
            return None, None
        child = self.node(thought)
        [score] = await self.search.score([thought], self.critic, path=walked)
        self.attach(child, path)
        return child, _in_range(score, self.critic)

    def attach(self, child: Node, path: Sequence[Step]) -> None:
        """Hang a child below the node that made it; the way to it is open again."""
        node, action = path[-1]
        if all(child is not other for _, other in node.children):
            node.children.append((action, child))
        for step in path:
            step.node.closed = False


def _in_range(score: Score, critic: str) -> float | None:
    if score.value is not None and not -ROUNDING <= score.value <= 1 + ROUNDING:
        raise TaskError(
            f"critic {critic!r} valued a thought at {score.value:g}: AB-MCTS learns rewards in [0, 1], so let the "
            "critic scale its values, as Value(scale=(0, 10)) does"
        )
    return score.value
