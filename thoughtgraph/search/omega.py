"""OmegaPRM (Luo et al., 2024): a binary search for the first wrong step, in the rollouts that can teach the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.rollouts import places, right, rollouts
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Omega:
    """Find where wrong answers go wrong, with k log M rollouts an answer of M steps instead of k M.

    A state s is a prefix that was completed by k `rollouts`; MC(s) is the share of them that were right. Of all wrong
    rollouts r from states with 0 < MC(s) < 1 the one of the highest Q(s, r) + U(s) is taken, once: Q(s, r) =
    alpha^(1 - MC(s)) beta^(words(r) / length) likes short wrong answers from states that are usually solved, and U(s) =
    c sqrt(sum N) / (1 + N(s)) states seldom taken. Between s, which was solved, and r, which is wrong, a binary search
    finds the first place from which no rollout succeeds, and every place that it tries becomes a state. That first
    place is tried once more with fresh rollouts: it may have been bad luck, and then the search goes on behind it.

    It must know at once whether a rollout is right: by the goal test, else by `critic` with a value of `bar` or more,
    which should be an environment (`learning.labels.graded`); `result.ito` says so then. `learning.labels` reads the
    counts. What an `action` writes at once is cut into places by the task's action "cut". Choose `MonteCarlo` to have
    every step's value.

    Cost: k rollouts of the question, then for each of at most `searches` answers of M steps about k (log2 M + 1).
    """

    rollouts: int = 8
    searches: int = 100
    alpha: float = 0.5
    beta: float = 0.9
    length: int = 500
    c: float = 0.125
    bar: float = 1.0
    steps: int = 40
    action: str = "reason"
    critic: str = "outcome"

    judges: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        at_least(1, rollouts=self.rollouts, searches=self.searches, length=self.length, steps=self.steps)
        at_least(0, alpha=self.alpha, beta=self.beta, c=self.c)

    async def __call__(self, search: Search) -> Thought | None:
        """Take the most promising wrong rollout, find its first error, and so on."""
        self._ask_who_grades(search)
        pool = _Pool(self, search)
        if (start := await pool.probe(search.root)).tried and not start.right:
            search.note("labels", "no rollout from the start was right: there is no first wrong step to look for")
        for _ in range(self.searches):
            if not (taken := pool.take()):
                break
            await pool.locate(*taken)
        return search.answer()

    def _ask_who_grades(self, search: Search) -> None:
        """A proxy may grade, and then the labels are its own: that is said."""
        task = search.task
        if task.goal is None and getattr(task.critics[task.critic(self.critic)], "ito", "proxy") != "environment":
            search.note("labels", f"critic {task.critic(self.critic)!r} is a proxy: it grades, and labels are its own")


@dataclass
class State:
    """A prefix and what came of it: `right` of `tried` completions, and how often it was taken, N(s)."""

    thought: Thought
    wrong: list[Thought] = field(default_factory=list[Thought])
    right: int = 0
    tried: int = 0
    taken: int = 0

    @property
    def mc(self) -> float:
        """MC(s), 0 where nothing came back."""
        return self.right / self.tried if self.tried else 0.0


class _Pool:
    """The states of one search, and the wrong rollouts that nobody has looked into."""

    def __init__(self, policy: Omega, search: Search) -> None:
        self.policy, self.search = policy, search
        self.states = dict[str, State]()

    async def probe(self, thought: Thought) -> State:
        """Complete a prefix k times more; what its rollouts came to is known from now on."""
        policy, state = self.policy, self.states.setdefault(thought.id, State(thought))
        ends = await rollouts(self.search, thought, policy.rollouts, policy.action, policy.steps)
        graded = await right(self.search, ends, policy.critic, policy.bar)
        state.right += graded.count(True)
        state.tried += graded.count(True) + graded.count(False)
        state.wrong += [end for end, good in zip(ends, graded, strict=True) if good is False]
        return state

    def take(self) -> tuple[State, Thought] | None:
        """The wrong rollout of the highest Q + U, which leaves the pool; its state has been taken once more."""
        pairs = [(state, r) for state in self.states.values() if 0 < state.mc < 1 for r in state.wrong]
        if not pairs:
            return None
        total = sum(state.taken for state in self.states.values())
        state, r = max(pairs, key=lambda pair: self.worth(*pair, total))
        state.taken += 1
        state.wrong.remove(r)
        return state, r

    def worth(self, s: State, r: Thought, total: int) -> float:
        """Q(s, r) + U(s)."""
        p, words = self.policy, len(r.text.split())
        return p.alpha ** (1 - s.mc) * p.beta ** (words / p.length) + p.c * sqrt(total) / (1 + s.taken)

    async def locate(self, state: State, r: Thought) -> None:
        """The first place between a state and its wrong rollout from which nobody succeeds, tried twice."""
        way = await places(self.search, state.thought, r)
        low, high = -1, len(way)  # somebody succeeded at low, nobody at high: the end is wrong
        failed = {high}
        while True:
            low, high = await self.bisect(way, low, high, failed)
            if high == len(way) or not (await self.probe(way[high])).right:
                return
            failed.discard(high)
            low, high = high, min(place for place in failed if place > high)

    async def bisect(self, way: Sequence[Thought], low: int, high: int, failed: set[int]) -> tuple[int, int]:
        """Neighbours low and high: the last place known to succeed, and the first without success behind it."""
        while high - low > 1:
            middle = (low + high) // 2
            state = self.states.get(way[middle].id) or await self.probe(way[middle])
            if state.right:
                low = middle
            else:
                high = middle
                failed.add(middle)
        return low, high
