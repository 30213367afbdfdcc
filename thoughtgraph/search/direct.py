"""Direct prompting: P(x) = x. The problem as it stands, one call, and the reply is the answer."""

from __future__ import annotations

from dataclasses import dataclass

from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


@dataclass(frozen=True)
class Direct:
    """Ask once, with nothing around the question. The baseline that every other policy must beat for its price.

    Cost: one expansion.
    """

    action: str = "answer"

    async def __call__(self, search: Search) -> Thought | None:
        """One expansion of the root."""
        await search.expand(search.root, action=self.action, n=1)
        return search.answer()
