"""Independent chains of thought from the root: what every sampling policy draws."""

from __future__ import annotations

from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search


async def chains(search: Search, n: int, action: str, steps: int) -> list[Thought]:
    """The ends of at most `n` chains from the root, each followed until it is done or `steps` long.

    Equal draws are not merged: each is a vote of its own.
    """
    drawn = await search.expand(search.root, action=action, n=n, merge=False)
    return await search.gather(*(follow(search, thought, action, steps) for thought in drawn))


async def follow(search: Search, thought: Thought, action: str, steps: int) -> Thought:
    """Go on from `thought`, one at a time, to its end, a dead end, or `steps` below the root."""
    while not thought.done and thought.depth - search.root.depth < steps:
        further = await search.expand(thought, action=action, n=1, merge=False)
        if not further:
            break
        thought = further[0]
    return thought
