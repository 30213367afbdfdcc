"""When not to search (Chen et al., 2024): tree search pays only with a critic that is right nine times out of ten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from thoughtgraph.errors import at_least
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.mcts import MCTS
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Policy, Search


@dataclass(frozen=True)
class Auto:
    """Vote, choose or search, by how reliable the critic was measured to be; the reason stands in `result.notes`.

    `reliability` is the share of pairs (a right and a wrong thought) in which the critic values the right one more:
    0.5 is a coin, None says that nobody measured. From `search_at` on the `tree` policy runs: a weaker critic leads a
    search astray, and costs ten times the calls. From `trust_at` on `n` answers are drawn and the best one is taken;
    below, equal answers are votes weighted by their values, which outvote a critic's single errors. `overrule` names
    the kind yourself. Measure on held-out questions of the same kind: a critic's reliability does not travel.

    Cost: that of `tree`, or `n` chains and one judgement of each.
    """

    reliability: float | None = None
    search_at: float = 0.9
    trust_at: float = 0.75
    n: int = 8
    tree: Any = field(default_factory=lambda: MCTS(simulations=40))
    action: str = "reason"
    critic: str = "value"
    overrule: Literal["", "tree", "best", "vote"] = ""

    def __post_init__(self) -> None:
        at_least(0, reliability=self.reliability, search_at=self.search_at, trust_at=self.trust_at)
        at_least(1, n=self.n)
        if self.reliability is not None and self.reliability > 1:
            raise ValueError(f"reliability is {self.reliability!r}: expected a share from 0 to 1, as measured on pairs")
        if not callable(self.tree):
            raise ValueError(  # noqa: TRY004  # settings raise one kind of error
                f"tree is {self.tree!r:.80}: expected a policy, as in tree=mcts(simulations=40)"
            )

    acts = judges = ()  # those of the policy that it comes to are checked

    @property
    def inner(self) -> tuple[Policy, ...]:
        """The one policy that it comes to."""
        return (self.chosen[1],)

    @property
    def chosen(self) -> tuple[str, Policy]:
        """Why, and what."""
        kinds = {"tree": self.tree, "best": self._sampled("best"), "vote": self._sampled("weighted")}
        if self.overrule:
            return f"{self.overrule}, because it was asked for", kinds[self.overrule]
        if self.reliability is None:
            return "vote: nobody measured the critic, so equal answers decide, weighted by their values", kinds["vote"]
        found = f"the critic's measured reliability is {self.reliability:g}"
        if self.reliability >= self.search_at:
            return f"tree: {found}, and search pays from {self.search_at:g} on (Chen et al., 2024)", kinds["tree"]
        if self.reliability >= self.trust_at:
            return f"best: {found}: enough to choose by, not to search by ({self.search_at:g})", kinds["best"]
        return f"vote: {found}, and below {self.trust_at:g} votes are surer than its choice", kinds["vote"]

    async def __call__(self, search: Search) -> Thought | None:
        """Say why, and do it."""
        why, policy = self.chosen
        search.note("policy", why)
        return await policy(search)

    def answer(self, search: Search) -> Thought | None:
        """The best so far of the policy that it comes to."""
        own: Callable[[Search], Thought | None] | None = getattr(self.chosen[1], "answer", None)
        return search.answer() if own is None else own(search)

    def _sampled(self, choose: Literal["best", "weighted"]) -> BestOfN:
        return BestOfN(self.n, action=self.action, critic=self.critic, choose=choose)
