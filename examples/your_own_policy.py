"""A policy of one's own: a beam that widens while it finds nothing. It holds not a line of budgets or recording.

python examples/your_own_policy.py
"""

from dataclasses import dataclass

import thoughtgraph as tg


@dataclass(frozen=True)
class WideningBeam:
    """Beam search again and again, each time twice as wide."""

    steps: int = 3

    async def __call__(self, search: tg.Search) -> tg.Thought | None:
        """Try widths 1, 2, 4, 8, 16."""
        for breadth in (1, 2, 4, 8, 16):
            beam = [search.root]
            for _ in range(self.steps):
                levels = await search.gather(*(search.expand(thought, action="step") for thought in beam))
                grown = list({child.id: child for level in levels for child in level}.values())
                if solved := next((child for child in grown if search.solved(child)), None):
                    return solved
                scores = await search.score(grown, "value")
                ranked = sorted(zip(scores, grown, strict=True), key=lambda pair: -(pair[0].value or 0.0))
                beam = [child for _, child in ranked[:breadth]]
        return search.answer()


result = tg.solve(tg.tasks.game24("4 9 10 13"), policy=WideningBeam(), budget=tg.Budget(expansions=300))
print(result.answer, result.usage.expansions)
print(result.graph.to_mermaid().splitlines()[0], "...", len(result.graph), "thoughts")
