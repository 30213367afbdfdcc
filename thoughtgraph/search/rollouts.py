"""What policies that make labels share: rollouts from any thought, and the places on the way to an answer."""

from __future__ import annotations

from collections.abc import Sequence

from thoughtgraph.search.chains import chains
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

CUT = "cut"
"""The action that cuts a whole answer into the places on its way."""


async def rollouts(search: Search, thought: Thought, n: int, action: str, steps: int) -> list[Thought]:
    """The ends of at most `n` independent completions of `thought`, `steps` long at most; none of a finished one."""
    return [] if thought.done else await chains(search.at(thought), n, action, steps)


async def places(search: Search, start: Thought, end: Thought) -> list[Thought]:
    """The open thoughts on the way from `start` to `end`, in order.

    They are there where the way was taken step by step. A whole answer is cut into them by the task's action "cut",
    which is given both: the start, so that whoever goes on from a place sees nothing of the rest of the answer, and
    the answer. Where there is no such action a whole answer has no places, and a note says so.
    """
    path = search.graph.path(end)
    between = [thought for thought in path[path.index(start) + 1 :] if not thought.done]
    if between or not end.done:
        return between
    if CUT not in search.task.actions:
        search.note(CUT, f"whole answers are not looked into: the task has no action {CUT!r} that says how")
        return []
    return [place for place in await search.expand(start, end, action=CUT, merge=False) if not place.done]


async def right(search: Search, ends: Sequence[Thought], critic: str, bar: float) -> list[bool | None]:
    """Which finished thoughts are right: by the goal test, else by a critic that values them at `bar` or more.

    None for what is unfinished, or what the critic abstained on. Each is judged once.
    """
    if search.task.goal is not None:
        return [search.solved(end) if end.done else None for end in ends]
    done = [end for end in ends if end.done]
    scores = await search.score(done, critic)
    values = {end.id: score.value for end, score in zip(done, scores, strict=True)}
    return [None if (value := values.get(end.id)) is None else value >= bar for end in ends]
