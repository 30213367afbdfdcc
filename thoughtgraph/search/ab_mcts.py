"""AB-MCTS-A, adaptive branching Monte-Carlo tree search (Inoue et al., 2025): go wider or deeper, as the scores say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import ClassVar, Literal

from thoughtgraph.errors import at_least
from thoughtgraph.search.adaptive import Growth, Node, Step
from thoughtgraph.search.arms import Arm, Beta, Gaussian, ucb
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

ARMS = {"gaussian": Gaussian, "beta": Beta}
"""What a setting calls each kind of arm."""

MODELS = ("stack", "thompson", "ucb")
"""How the next model is chosen."""


@dataclass(frozen=True)
class ABMCTS:
    """At each thought a Thompson draw decides: make another child (GEN), or go down to one that is there (CONT).

    It is made for whole answers: `actions` write them, `refine` improves one, and every answer is judged in [0, 1].
    Where new answers score better than refined ones it goes wider, else deeper. Several `actions` are several models
    or prompters; which of them is next is drawn at each thought from the rewards there ("stack"), or from all rewards
    of the tree by "thompson" or "ucb". Final thoughts go on by `refine` alone: without one they are leaves, and the
    actions grow a tree of steps. What could not be judged teaches nothing and counts; a repetition, where the task
    merges equal thoughts, is not judged and earns 0. Work in flight counts as draws at the mean, so that `workers`
    spread out. Choose it over best-of-n where an answer can be improved, and over MCTS where an action can write any
    number of different children. Cost: n expansions of one thought each and at most n judgements.
    """

    n: int = 64
    workers: int = 1
    arms: Literal["gaussian", "beta"] = "gaussian"
    models: Literal["stack", "thompson", "ucb"] = "stack"
    actions: tuple[str, ...] = ("reason",)
    refine: tuple[str, ...] = ("refine",)
    critic: str = "value"

    absolute: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ("actions", "refine")

    def __post_init__(self) -> None:
        at_least(1, n=self.n, workers=self.workers)
        for name, value in (("actions", self.actions), ("refine", self.refine)):
            if isinstance(value, str) or len(set(value)) < len(value) or not (value or name == "refine"):
                raise ValueError(f'{name} is {value!r}: expected names of actions, each once, as in ("reason",)')
        for name, found, known in (("arms", self.arms, ARMS), ("models", self.models, MODELS)):
            if found not in known:
                raise ValueError(f"{name} is {found!r}: expected one of {', '.join(map(repr, known))}")

    async def __call__(self, search: Search) -> Thought | None:
        """Let the workers grow one tree."""
        tree = Growth(search, _Thompson(self, search.rng), self.n, self.actions, self.refine, self.critic)
        await search.gather(*(tree.work() for _ in range(self.workers)))
        return tree.solved or search.answer()


class _Branch:
    """The arms of a node: its model's, that of making another child (GEN) and that of going on from one (CONT)."""

    def __init__(self, arm: type[Gaussian | Beta]) -> None:
        self.model, self.gen, self.cont = arm(), arm(), arm()


class _Thompson:
    """Draws that decide. A node has one branch for each of its models, or one for all where the tree chooses those."""

    def __init__(self, policy: ABMCTS, rng: Random) -> None:
        arm = ARMS[policy.arms]
        self.rule, self.rng = policy.models, rng
        self.own: defaultdict[Node, Arm] = defaultdict(arm)
        self.models: defaultdict[str, Arm] = defaultdict(arm)
        self.branches: defaultdict[tuple[Node, str | None], _Branch] = defaultdict(lambda: _Branch(arm))

    async def choose(self, node: Node) -> tuple[str, Node | None]:
        """First the model, then GEN or CONT, then which child."""
        action = self.model(node)
        arms, below = self.branch(node, action), node.below(self.shared(action))
        if action in node.actions and (not below or arms.gen.draw(self.rng) >= arms.cont.draw(self.rng)):
            return action, None
        return action, max(below, key=lambda child: self.own[child].draw(self.rng))

    def model(self, node: Node) -> str:
        """The action that is next at a node, among those of which something can come."""
        able = list(dict.fromkeys([*node.actions, *(by for by, child in node.children if not child.closed)]))
        known = {action: self.rewards(node, action) for action in able}
        if self.rule == "ucb":
            return max(able, key=lambda action: ucb(known[action], known.values()))
        return max(able, key=lambda action: known[action].draw(self.rng)) if len(able) > 1 else able[0]

    def shared(self, action: str) -> str | None:
        """The action that a branch is for; None for one that is for all."""
        return action if self.rule == "stack" else None

    def branch(self, node: Node, action: str) -> _Branch:
        """The arms that decide at a node once the model is chosen."""
        return self.branches[node, self.shared(action)]

    def rewards(self, node: Node, action: str) -> Arm:
        """What a model is known by: its rewards at and below this node, or in the whole tree."""
        return self.branch(node, action).model if self.rule == "stack" else self.models[action]

    def arms(self, path: Sequence[Step]) -> list[Arm]:
        """The arms that a child at the end of `path` teaches: GEN there, and CONT and the child gone to above."""
        above = [(self.branch(node, by), self.own[child]) for (node, by), (child, _) in pairwise(path)]
        arms = [arm for branch, own in above for arm in (branch.model, branch.cont, own)]
        return [*arms, self.rewards(*path[-1]), self.branch(*path[-1]).gen]

    def expect(self, path: Sequence[Step]) -> None:
        """Count it as a draw at the mean, until it is there."""
        for arm in self.arms(path):
            arm.pending += 1

    def learn(self, path: Sequence[Step], child: Node | None, reward: float | None) -> None:
        """A child that nobody could judge teaches nothing, but that its model was tried."""
        arms = self.arms(path)
        for arm in arms:
            arm.pending -= 1
        if reward is not None:
            for arm in (*arms, self.own[child]) if child else arms:
                arm.see(reward)
        elif self.rule == "ucb":
            self.rewards(*path[-1]).pending += 1  # a draw at the mean: what is never tried comes first, again and again
