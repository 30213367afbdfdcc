"""MCTSr, Monte-Carlo tree self-refine (Zhang et al., 2024): a tree of answers, each of which mends its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, log, sqrt
from statistics import fmean
from typing import ClassVar, Literal

from thoughtgraph.answers import tally
from thoughtgraph.errors import at_least
from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

RULES = ("best", "vote")
"""What names the answer."""


@dataclass(frozen=True)
class MCTSr:
    """Write `weak` answers; then again and again judge the most promising one anew, and have it refined.

    Judges flatter, so Q is (min + mean) / 2 of an answer's rewards, and a reward of at least `cap` is cut to `cut`
    (the paper's 95 and 50 of -100 to 100); a parent's Q is then the mean of its own and its best child's. An answer
    is refined until it has `width` children and one that is better. `refine` sees the answer with its scores and their
    feedback; with `critique`, an action of its own writes a criticism first, which `refine` sees too; a task whose one
    action is used for all has none. No reference answer is looked at; a goal test ends the search. The answer is the
    one of the highest Q, or that of the most "vote"s. Choose it where a model can criticise better than it can begin;
    AB-MCTS where more beginnings may help.

    Cost: weak chains of at most `steps` expansions, then rollouts times one expansion (two with `critique`), and
    weak + 2 rollouts judgements.
    """

    rollouts: int = 8
    weak: int = 1
    workers: int = 1
    c: float = 1.4
    width: int = 3
    cap: float = 0.975
    cut: float = 0.75
    rule: Literal["best", "vote"] = "best"
    steps: int = 16
    action: str = "reason"
    refine: str = "refine"
    critique: str | None = None
    critic: str = "value"

    absolute: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ("action", "refine", "critique")

    def __post_init__(self) -> None:
        at_least(1, rollouts=self.rollouts, weak=self.weak, workers=self.workers, width=self.width, steps=self.steps)
        at_least(0, c=self.c)
        at_least(-inf, cap=self.cap, cut=self.cut)
        if self.rule not in RULES:
            raise ValueError(f"rule is {self.rule!r}: expected one of {', '.join(map(repr, RULES))}")

    async def __call__(self, search: Search) -> Thought | None:
        """The first answers, and then the rollouts that the workers share."""
        first = await chains(search, self.weak, self.action, self.steps)
        if not any(map(search.solved, first)):
            await search.score([end for end in first if end.done], self.critic)
            turns = iter(range(self.rollouts))
            await search.gather(*(self._improve(search, turns) for _ in range(self.workers)))
        return self.answer(search)

    async def _improve(self, search: Search, turns: Iterator[int]) -> None:
        """Select, judge again, criticise, rewrite, judge."""
        for _ in turns:
            answer = self._select(search)
            if answer is None or any(map(search.solved, search.finals)):
                return
            await search.score([answer], self.critic)
            critique = self._critique(search)
            said = await search.expand(answer, action=critique, n=1, merge=False) if critique else []
            mended = await search.expand(answer, *said, action=self.refine, n=1, merge=False)
            await search.score([end for end in mended if end.done and not search.solved(end)], self.critic)

    def _critique(self, search: Search) -> str | None:
        """The task's action that criticises; None where it is the one that refines."""
        name = search.task.action(self.critique) if self.critique else None
        return None if name == search.task.action(self.refine) else name

    def _select(self, search: Search) -> Thought | None:
        """The answer of the highest UCB among those that may be refined; one without a Q is as good as the mean."""
        q, answers = self._values(search), self._answers(search)
        mean = fmean(q.values()) if q else 0.0
        n = {answer.id: self._judged(search, answer) for answer in answers}
        first = sum(n[answer.id] for answer in answers if answer.parents[0] not in n)

        def ucb(answer: Thought) -> float:
            above = n.get(answer.parents[0], first)
            return q.get(answer.id, mean) + self.c * sqrt(log(above + 1) / (n[answer.id] + 1e-5))

        return max((answer for answer in answers if self._open(search, answer, q)), key=ucb, default=None)

    def _open(self, search: Search, answer: Thought, q: Mapping[str, float]) -> bool:
        """Whether it may be refined: it has room for children, or none of them is better."""
        below, own = self._below(search, answer), q.get(answer.id, inf)
        return len(below) < self.width or not any(q.get(child.id, -inf) > own for child in below)

    def _values(self, search: Search) -> dict[str, float]:
        """Q of every answer that was judged, the latest first: children come after their parents."""
        q, critic = dict[str, float](), search.task.critic(self.critic)
        for answer in reversed(self._answers(search)):
            values = [score.value for score in search.graph.scores(answer, critic) if score.value is not None]
            rewards = [self.cut if value >= self.cap else value for value in values]
            own = [(min(rewards) + fmean(rewards)) / 2] if rewards else []
            below = [q[child.id] for child in self._below(search, answer) if child.id in q]
            if parts := [*own, *([max(below)] if below else [])]:
                q[answer.id] = fmean(parts)
        return q

    def _judged(self, search: Search, answer: Thought) -> int:
        """N: how often it was judged, abstentions too; work in flight counts as judgements."""
        return len(search.graph.scores(answer, search.task.critic(self.critic))) + search.in_flight(answer)

    def _answers(self, search: Search) -> list[Thought]:
        """What is finished and no criticism."""
        critique = self._critique(search)
        return [thought for thought in search.finals if thought.action != critique]

    def _below(self, search: Search, answer: Thought) -> list[Thought]:
        """The refined answers that were made of an answer."""
        critique = self._critique(search)
        return [child for child in search.graph.children(answer) if child.done and child.action != critique]

    def answer(self, search: Search) -> Thought | None:
        """The best answer so far by its Q, or by vote; the first where nothing was judged."""
        critique = self._critique(search)
        among = [thought for thought in search.candidates() if thought.action != critique]
        if self.rule == "vote" and (votes := tally(search.task, search.graph, among)):
            return max(votes.values(), key=len)[0]
        q = self._values(search)
        return max(among, key=lambda thought: q.get(thought.id, -inf), default=None)
