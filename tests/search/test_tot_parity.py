"""The breadth-first policy against the published record: GPT-4's own proposals and values, replayed."""

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.search import ToT

RECORD = (
    Path(__file__).parents[3]
    / "shared/data/tree-of-thought-llm/gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json"
)
pytestmark = pytest.mark.skipif(not RECORD.exists(), reason="the published record is not here")


class Watched(ToT):
    """The policy that users get; it only remembers what was kept."""

    kept: ClassVar[list[list[str]]] = []

    async def _select(self, search: tg.Search, candidates: Sequence[tg.Thought]) -> list[tg.Thought]:
        beam = await super()._select(search, candidates)
        self.kept.append([thought.content for thought in beam])
        return beam


def replay(puzzle: dict) -> tg.Task:
    """A task whose generator proposes and whose critic values what GPT-4 did."""
    proposals: dict[str, deque[list[str]]] = defaultdict(deque)
    values: dict[str, float] = {}
    for step in puzzle["steps"]:
        left = deque(step["new_ys"])
        for parent in step["ys"]:
            own = list[str]()
            while left and left[0].startswith(parent):
                own.append(left.popleft())
            proposals[parent].append(own)
        for text, value in zip(step["new_ys"], step["values"], strict=True):
            values.setdefault(text, value)

    def propose(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=state.thought.depth == 3) for text in proposals[state.content].popleft()]

    def value(states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(values[state.content]) for state in states]

    return tg.Task(puzzle["steps"][0]["x"], actions={"step": propose}, critics={"value": value}, start="", merge=False)


def test_every_selection_of_the_published_run_is_reproduced():
    """400 of 400 selections; 69 of 100 puzzles by any of the final five, 62 by the first."""
    agreed = any_of_five = first = 0
    for puzzle in json.loads(RECORD.read_text()):
        Watched.kept = []
        result = tg.solve(replay(puzzle), policy=Watched(breadth=5, steps=4), budget=tg.Budget())
        recorded = [step["select_new_ys"] for step in puzzle["steps"]]
        agreed += sum(ours == theirs for ours, theirs in zip(Watched.kept, recorded, strict=True))
        right = {text for text, info in zip(recorded[-1], puzzle["infos"], strict=True) if info["r"]}
        any_of_five += bool(right & set(Watched.kept[-1]))
        first += result.answer.strip() in {text.strip() for text in right}
    assert (agreed, any_of_five, first) == (400, 69, 62)
