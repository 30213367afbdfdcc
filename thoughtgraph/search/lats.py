"""LATS, language agent tree search (Zhou et al., 2024): UCT over actions, rollouts, and reflections on failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.search.steps import dead, ranked
from thoughtgraph.search.tree import Edge, Node
from thoughtgraph.search.tree_search import TreeSearch, thoughts
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class LATS:
    """Follow the best of `n` next thoughts from a leaf to an end, back up what it is worth, and learn from failures.

    A thought is worth `lam` times the critic's value, in [0, 1], and for the rest the share of the `n` draws that came
    to the same; a finished one that fails the goal test, like a dead end, is worth the least. What a trajectory ends
    in is worth as much to all that led there. A finished thought that fails the goal test, or claims nothing, or is
    valued below `failing`, is reflected on: once for each different failure, `reflections` times at most. Every later
    expansion has the reflections among its parents, so that its prompt tells them. A task whose one action is used
    for all has none to reflect with, and is searched without.

    The search ends at a thought that passes the goal test or, without one, at a finished thought of value `enough`;
    no right answer is known here. `depth` counts the steps on the way walked. Choose it over MCTS where thoughts act,
    observations come back, and a failure tells what to do better.

    Cost: for each simulation at most depth expansions of n draws, and a judgement of each different draw; for the run
    at most `reflections` expansions more.
    """

    simulations: int = 30
    workers: int = 1
    n: int = 5
    depth: int = 7
    c: float = 1.0
    lam: float = 0.5
    reflections: int = 3
    enough: float = 1.0
    failing: float = 0.5
    action: str = "step"
    reflect: str = "reflect"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, workers=self.workers, n=self.n, depth=self.depth)
        at_least(0, c=self.c, lam=self.lam, reflections=self.reflections)
        at_least(float("-inf"), enough=self.enough, failing=self.failing)
        if self.lam > 1:
            raise ValueError(f"lam is {self.lam!r}: expected a share from 0 to 1")

    @property
    def acts(self) -> tuple[str, ...]:
        """The fields that name the actions it will ask for."""
        return ("action", "reflect") if self.reflections else ("action",)

    async def __call__(self, search: Search) -> Thought | None:
        """Let the workers grow one tree."""
        return await _Tree(self, search).grow(self.workers)


class _Tree(TreeSearch):
    """One search's tree, and what its failures taught."""

    def __init__(self, policy: LATS, search: Search) -> None:
        super().__init__(search, policy.simulations, policy.c)
        self.policy = policy
        self.reflections, self.failures = list[Thought](), set[Hashable]()
        apart = policy.reflections and search.task.action(policy.reflect) != search.task.action(policy.action)
        self.most = policy.reflections if apart else 0

    @property
    def least(self) -> float:
        """What a failure is worth."""
        return min(0.0, self.bounds.low)

    async def simulate(self, path: list[Node], edges: list[Edge]) -> None:
        """Roll out from a leaf, reflect if that failed, back up."""
        leaf = len(path) - 1
        worth = await self.roll_out(path, edges)
        if not self.solved:
            await self.reflect(path)
            self.learn(path[:-1], edges[:-1], [(edge, worth) for edge in edges[-1:]])
            self.release(path[leaf:])

    async def roll_out(self, path: list[Node], edges: list[Edge]) -> float | None:
        """Go on by the best new thoughts to an end: what that is worth, None where nobody can say."""
        policy, worth = self.policy, None
        while not path[-1].closed:
            path[-1].pending = True
            drawn = await self.draw(path, policy.action, policy.n, *self.reflections, merge=False)
            if drawn is None:
                return None
            children = await self.evaluate(path, drawn)
            if self.solved or not children:
                return self.least
            best, worth = ranked(children, [worth for _, worth in children])[0]
            edges.append(best)
            path.append(best.child)
        return worth

    async def evaluate(self, path: list[Node], drawn: Sequence[Thought]) -> list[tuple[Edge, float | None]]:
        """What the different ones of the draws are worth: the paper's V(s) = lam LM(s) + (1 - lam) SC(s)."""
        share, lam = self.shares(drawn), self.policy.lam
        new, _ = self.hang(path, [], list(share))
        judged = [edge.child.thought for edge in new if not self.solved]
        scores = await self.search.score(judged, self.policy.critic, path=thoughts(path))
        self.solved = self.solved or next(filter(self.enough, judged), None)
        pairs = zip(judged, scores, strict=True)
        worth = {t: None if s.value is None else lam * s.value + (1 - lam) * share[t] for t, s in pairs}
        children = [(edge, worth.get(edge.child.thought, self.least)) for edge in path[-1].edges or ()]
        self.learn((), (), children)
        for edge, _ in children:
            edge.child.closed |= len(path) >= self.policy.depth
        return children

    def shares(self, drawn: Sequence[Thought]) -> dict[Thought, float]:
        """The first of equal draws, and the share of all draws that came to the same: self-consistency."""
        form, same = self.search.graph.form, defaultdict[Hashable, list[Thought]](list)
        for thought in drawn:
            same[form(thought.content, thought.depth) or thought.text].append(thought)
        return {equals[0]: len(equals) / len(drawn) for equals in same.values()}

    def enough(self, thought: Thought) -> bool:
        """Whether a finished thought is good enough, where no goal test says so."""
        value = self.search.value(thought, self.policy.critic)
        finished = thought.done and not dead(self.search, thought)
        return finished and value is not None and value >= self.policy.enough

    async def reflect(self, path: Sequence[Node]) -> None:
        """Say what went wrong, if this failure is another than those before."""
        end, search = path[-1].thought, self.search
        value, claim = search.value(end, self.policy.critic), search.claim(end) if end.done else None
        same = None if claim is None else search.task.same(claim)
        form = end.text if same is None else same
        low = value is not None and value < self.policy.failing
        if not (dead(search, end) or (end.done and low)) or form in self.failures or len(self.failures) >= self.most:
            return
        self.failures.add(form)
        said = await search.expand(end, action=self.policy.reflect, n=1, path=thoughts(path))
        if any(thought.done for thought in said):
            raise TaskError(
                f"the action {self.policy.reflect!r} made a final thought, and a reflection is no answer: let its "
                "drafts be unfinished, as in Sample(done=lambda text: False)"
            )
        self.reflections += [thought for thought in said if thought not in self.reflections]
