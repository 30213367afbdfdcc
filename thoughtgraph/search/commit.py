"""Commit at the end, as a transaction does (Gray, 1981): search first, then let the chosen branch's effects happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from thoughtgraph.environment import enacted, pending
from thoughtgraph.errors import TaskError
from thoughtgraph.search.mcts import MCTS
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Commit:
    """Run `policy` to its answer, and expand that by `action` if an effect on its path is pending.

    So an effect never runs in a branch that is only tried, and never again on resume. An effect that failed, or of
    which nobody knows whether it happened, is told by the answer and by a note. Where the environment breaks before
    the effect begins it is tried once more; after that there is no answer, for what was chosen did not happen. Choose
    it around any policy where tools change the world outside; without pending effects it is that policy.

    Cost: that of `policy`, and one expansion; two where the environment breaks.
    """

    policy: Any = field(default_factory=MCTS)
    action: str = "commit"

    def __post_init__(self) -> None:
        if not callable(self.policy):
            raise ValueError(  # noqa: TRY004  # settings raise one kind of error
                f"policy is {self.policy!r:.80}: expected a policy, as in policy=mcts(simulations=40)"
            )

    acts: ClassVar[tuple[str, ...]] = ("action",)
    judges: ClassVar[tuple[str, ...]] = ()

    @property
    def inner(self) -> tuple[Any, ...]:
        """The policy that it runs."""
        return (self.policy,)

    async def __call__(self, search: Search) -> Thought | None:
        """Search, then act."""
        chosen: Thought | None = await self.policy(search)
        if chosen is None or enacted(chosen) or not any(map(pending, search.graph.path(chosen))):
            return chosen
        for _ in range(2):
            if made := await search.expand(chosen, action=self.action, n=1, merge=False):
                return self._told(search, made[0])
        return None

    def answer(self, search: Search) -> Thought | None:
        """What happened, else the best so far of the policy."""
        happened = next((thought for thought in search.graph.finals if enacted(thought)), None)
        own: Callable[[Search], Thought | None] | None = getattr(self.policy, "answer", None)
        return happened or (search.answer() if own is None else own(search))

    def _told(self, search: Search, thought: Thought) -> Thought:
        """What is not as it should be is said aloud."""
        if not enacted(thought):
            raise TaskError(f"action {self.action!r} enacted nothing: expected one such as generators.Enact(world)")
        for effect in enacted(thought):
            if effect["status"] != "done":
                search.note(f"{effect['tool']} {effect['status']}", str(effect["observation"]))
        return thought
