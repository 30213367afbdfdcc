"""A plan and a tree search on one graph: Graph of Thoughts splits and merges, and a tree search solves each part.

The problem is five Games of 24, all to be solved. Three ways, judging equally many thoughts: a tree over the whole, a
plan that draws whole games for each part, and the same plan with a tree search in each part. Runs offline.
"""

# slow

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import thoughtgraph as tg
from thoughtgraph.search.operations import aggregate, generate, keep_best, score
from thoughtgraph.tasks.game24 import moves


@dataclass(frozen=True)
class Parts:
    """Split; in each part run a tree policy, or draw `samples` games and keep the best; merge what they come to."""

    tree: tg.Policy | None = None
    samples: int = 200

    async def __call__(self, search: tg.Search) -> tg.Thought | None:
        """The plan."""
        parts = await generate(search, [search.root], "split")
        ends = await search.gather(*(self._solved(search, part) for part in parts))
        found = [end for end in ends if end is not None]
        merged = await aggregate(search, found, "merge") if len(found) == len(parts) else []
        return next(iter(merged), None)

    async def _solved(self, search: tg.Search, part: tg.Thought) -> tg.Thought | None:
        if self.tree is not None:
            return await self.tree(search.at(part))
        played = await score(search, await generate(search, [part], "play", self.samples))
        return next(filter(search.solved, keep_best(search, played)), None)


# -- the problem: hands of numbers, and the moves that were made in each -------------------------------------------


@dataclass(frozen=True)
class Hand:
    """One puzzle: the numbers left, and the moves that led there."""

    left: tuple[str, ...]
    made: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """Played to its end, and not 24."""
        return len(self.left) == 1 and self.left != ("24",)

    @property
    def worth(self) -> float:
        """1 for a 24; else how many of the numbers left divide it, as a share, halved for each that stands beside."""
        dividing = sum(number in {"1", "2", "3", "4", "6", "8", "12", "24"} for number in self.left)
        return 1.0 if self.left == ("24",) else 0.0 if self.lost else dividing / len(self.left) / 2

    def further(self) -> list[Hand]:
        """One move on."""
        return [Hand(m.left, (*self.made, f"{m.a} {m.op} {m.b} = {m.result}")) for m in moves(self.left)]


def thought(hands: Sequence[Hand]) -> tg.Draft:
    """It is done where every hand is won, or one is lost."""
    text = "\n".join("; ".join(hand.made) or " ".join(hand.left) for hand in hands)
    content = {"text": text, "hands": [[list(hand.left), list(hand.made)] for hand in hands]}
    return tg.Draft(content, done=any(hand.lost for hand in hands) or all(hand.worth == 1 for hand in hands))


def hands_of(thought: tg.Thought) -> list[Hand]:
    return [Hand(tuple(left), tuple(made)) for left, made in thought.content["hands"]]


def step(state, n):
    """Every move in the first hand that is still to be played."""
    hands = hands_of(state.thought)
    at = next(i for i, hand in enumerate(hands) if hand.worth < 1)
    return [thought([*hands[:at], hand, *hands[at + 1 :]]) for hand in hands[at].further()][:n]


def play(state, n):
    """Whole games, drawn at random."""
    drawn = [hands_of(state.thought)[0]] * n
    for _ in range(3):
        drawn = [state.rng.choice(hand.further()) for hand in drawn]
    return [thought([hand]) for hand in drawn]


def split(state, n):
    """A part for each puzzle."""
    return [thought([hand]) for hand in hands_of(state.thought)][:n]


def merge(state, n):
    """The parts as one."""
    return [thought([hand for part in state.thoughts for hand in hands_of(part)])]


def value(states):
    """How near it looks, as a mean over the hands."""
    each = [[hand.worth for hand in hands_of(state.thought)] for state in states]
    return [tg.Score(sum(worths) / len(worths)) for worths in each]


def won(path) -> bool:
    """Every hand is won."""
    return all(hand.worth == 1 for hand in hands_of(path[-1]))


def puzzles(numbers: str) -> tg.Task:
    """Several puzzles as one problem, as in "4 9 10 13, 1 4 8 8, 2 3 4 6"."""
    start = thought([Hand(tuple(puzzle.split())) for puzzle in numbers.split(",")]).content
    actions = {"step": step, "play": play, "split": split, "merge": merge}
    whole = len(start["hands"])
    claim = lambda path: path[-1].text if len(hands_of(path[-1])) == whole else None  # noqa: E731
    return tg.Task(numbers, actions, {"value": value}, start=start, claim=claim, goal=won)


HANDS = """4 9 10 13, 1 4 8 8, 2 3 4 6, 5 5 9 11, 2 4 7 12, 3 5 6 13, 1 3 9 10, 6 6 7 12, 2 8 8 9, 1 2 7 7, 3 4 9 12
2 5 8 11, 4 4 7 13, 1 6 6 8, 2 2 6 9, 3 3 7 13, 1 5 9 10, 4 5 6 10, 2 3 5 12, 5 6 6 9, 1 1 4 6, 6 8 8 9, 3 7 9 13
1 2 4 7, 2 9 10 11, 4 6 7 7, 1 8 10 11, 3 6 6 11, 2 7 8 9, 1 3 4 6, 5 7 7 11, 2 4 10 10, 3 8 8 9, 1 4 5 6, 6 7 8 10
2 2 10 11"""


def compared() -> tg.Comparison:
    """Who solves how many of ten such problems."""
    tree = tg.search.MCTS(simulations=1000)
    ways = {"a tree": tree, "a plan": Parts(), "a plan with trees": Parts(tree)}
    hands = [hand.strip() for hand in HANDS.replace("\n", ",").split(",")]
    tasks = [puzzles(", ".join(hands[(i + 7 * k) % len(hands)] for k in range(5))) for i in range(10)]
    right = lambda task, answer: answer is not None  # noqa: E731  # the goal test is exact
    budget = tg.Budget(evaluations=1000)
    return tg.compare(tasks, over={"policy": ways}, budget=budget, evaluate=right, seeds=1, split=0, baselines=False)


if __name__ == "__main__":
    print(compared())
