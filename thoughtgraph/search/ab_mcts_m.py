"""AB-MCTS-M (Inoue et al., 2025): wider or deeper by a mixed model of all scores at and below a thought."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.adaptive import Growth, Node, Step
from thoughtgraph.search.mixed import Group, group, predict
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class ABMCTSM:
    """AB-MCTS whose branches share what they know: each child with all below it is one group of a mixed model.

    At each thought the model predicts one more score in every group, and the first one of a new group; the highest
    draw decides to go down to that child, or to make another one. A branch of at least `stale` scores of which
    `alike` (a share) are the same is not gone on from. As in AB-MCTS-A, `action` writes whole answers and `refine`
    improves them (None: final thoughts are leaves), scores lie in [0, 1], and work in flight counts as seen at the
    mean. Choose it over AB-MCTS-A where judgements are few and dear: what is seen on one branch is of use on others.
    Cost: n expansions of one thought each and at most n judgements; a decision takes milliseconds.
    """

    n: int = 64
    workers: int = 1
    stale: int = 4
    alike: float = 0.75
    action: str = "reason"
    refine: str | None = "refine"
    critic: str = "value"

    absolute: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ("action", "refine")

    def __post_init__(self) -> None:
        at_least(1, n=self.n, workers=self.workers, stale=self.stale)
        at_least(0, alike=self.alike)

    async def __call__(self, search: Search) -> Thought | None:
        """Let the workers grow one tree."""
        refine = (self.refine,) if self.refine else ()
        tree = Growth(search, _Mixed(self, search.rng), self.n, (self.action,), refine, self.critic)
        await search.gather(*(tree.work() for _ in range(self.workers)))
        return tree.solved or search.answer()


class _Mixed:
    """The scores at and below each node, and what is in flight there; of new children, at the node that gets them."""

    def __init__(self, policy: ABMCTSM, rng: Random) -> None:
        self.policy, self.rng = policy, rng
        self.scores: defaultdict[Node, list[float]] = defaultdict(list)
        self.pending, self.making, self.again = Counter[Node](), Counter[Node](), Counter[Node]()

    async def choose(self, node: Node) -> tuple[str, Node | None]:
        """The highest prediction decides, among what is not stale."""
        below = [child for child in node.below() if not self.stale(child)] or ([] if node.actions else node.below())
        if not below:
            return node.actions[0], None
        *drawn, new = self.predictions(node, below)
        best = below[max(range(len(below)), key=drawn.__getitem__)]
        if node.actions and new >= max(drawn):
            return node.actions[0], None
        return next(by for by, child in node.children if child is best), best

    def predictions(self, node: Node, below: Sequence[Node]) -> list[float]:
        """One for each of `below` (what nobody could judge may be as good as a new child), and one for a new child.

        A child that was made before is a group of its own, of reward 0: where draws do not vary, go deeper.
        """
        judged = [child for _, child in node.children if self.scores[child]]
        groups = [group(self.scores[child], self.pending[child]) for child in judged]
        groups += [Group(1, 0.0, 0.0)] * self.again[node]
        hoped = [Group(1, fmean(one.mean for one in groups), 0.0)] * self.making[node] if groups else []
        drawn = predict([*groups, *hoped], 1 + len(below), self.rng)
        known, new = dict(zip(judged, drawn, strict=False)), iter(drawn[len(groups) + len(hoped) :])
        return [known[child] if child in known else next(new) for child in below] + [next(new)]

    def stale(self, child: Node) -> bool:
        """Whether its scores hardly differ any more."""
        scores = self.scores[child]
        same = max(Counter(scores).values(), default=0)
        return len(scores) >= self.policy.stale and same >= self.policy.alike * len(scores)

    def expect(self, path: Sequence[Step]) -> None:
        """Count it where it will be."""
        self.pending.update(step.node for step in path)
        self.making[path[-1].node] += 1

    def learn(self, path: Sequence[Step], child: Node | None, reward: float | None) -> None:
        """A child that nobody could judge teaches nothing."""
        nodes = [step.node for step in path]
        self.pending.subtract(nodes)
        self.making[nodes[-1]] -= 1
        if reward is not None:
            self.again[nodes[-1]] += child is None
            for node in [*nodes, child] if child else nodes:
                self.scores[node].append(reward)
