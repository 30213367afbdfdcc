"""The loop on Game of 24: three rounds of search, label, train, audit; then the same with a critic that is sabotaged.

    python benchmarks/improve.py [--puzzles 900] [--rounds 3] [--seed 0] [--store runs.db]

The thinker is fallible and the policy the same throughout; what changes is its critic, which begins as the engine's
heuristic. Half of the puzzles are learned from, a quarter decides on each candidate by a paired 95 % interval, and the
gain from first to last is measured on the last quarter, which decides nothing. A sabotaged critic, which says the
opposite of what was learned, must be rejected in every round. With a store, a second call reads what is there.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fake import puzzles

import thoughtgraph as tg
from thoughtgraph.expressions import parse
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.rows import AnyRow
from thoughtgraph.learning.training import train_critic
from thoughtgraph.recipes.improve import Improvement, improve
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.state import State
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.game24 import game24
from thoughtgraph.tasks.game24_features import FEATURES


@dataclass(frozen=True)
class Opposite:
    """A saboteur: what a critic likes is called bad."""

    critic: Learned

    def __call__(self, states: Sequence[State]) -> list[tg.Score]:
        """The values, reversed."""
        return [replace(s, value=None if s.value is None else 1 - s.value) for s in self.critic(states)]


def main() -> None:
    """Both loops."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("puzzles", 900), ("rounds", 3), ("seed", 0), ("expansions", 60), ("thoughts", 16)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--policy", default="tot(breadth=1,steps=3)")
    options.add_argument("--store")
    said = options.parse_args()
    known = puzzles(0, 1362)
    random.Random(said.seed).shuffle(known)
    thinker = Fallible(width=8, seed=said.seed)
    tasks = [game24(puzzle, fallible=thinker) for puzzle in known[: said.puzzles]]

    def learn(rows: Sequence[AnyRow]) -> object:
        return train_critic(rows, features=FEATURES, seed=said.seed)

    def spoil(rows: Sequence[AnyRow]) -> Opposite:
        critic = train_critic(rows, features=FEATURES, seed=said.seed).critic
        assert critic is not None
        return Opposite(critic)

    told(looped(tasks, said, learn), "learned")
    told(looped(tasks, said, spoil), "sabotaged")


def looped(tasks: Sequence[tg.Task], said: argparse.Namespace, train: object) -> tuple[Improvement, float]:
    """One loop, and its seconds."""
    began = time.perf_counter()
    walks = Labelled(parse(said.policy), thoughts=said.thoughts)
    budget = tg.Budget(expansions=said.expansions)
    found = improve(
        tasks, policy=said.policy, budget=budget, labeller=walks, train=train, rounds=said.rounds, seed=said.seed,
        store=said.store,
    )  # fmt: skip
    return found, time.perf_counter() - began


def told(found: tuple[Improvement, float], name: str) -> None:
    """What it came to."""
    print(f"{name}, {found[1]:.0f} s:\n{found[0]}\n", flush=True)


if __name__ == "__main__":
    main()
