"""All puzzles of the Game-of-24 file with local generators: who solves how many, for how many expansions.

    python benchmarks/puzzles.py [--every 1] [--policies "dfs;mcts"]

Every claimed answer is checked by the evaluator, which stands apart from the search.
"""

from __future__ import annotations

import argparse
import time

from fake import puzzles

import thoughtgraph as tg
from thoughtgraph.tasks.game24 import check


def main() -> None:
    """Print a row for each policy."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1)
    options.add_argument("--policies", default="dfs;mcts;mcts(workers=8);best_first")
    said = options.parse_args()
    print(f"{'policy':<18} {'solved':>11} {'right':>6} {'expansions: mean':>17} {'most':>5} {'seconds':>8}")
    for policy in said.policies.split(";"):
        row(policy, puzzles(0, 1362)[:: said.every])


def row(policy: str, which: list[str]) -> None:
    """One policy on every puzzle."""
    began = time.perf_counter()
    runs = [tg.solve(tg.tasks.game24(p), policy=policy, budget=tg.Budget(expansions=420)) for p in which]
    paid = [run.usage.expansions for run in runs]
    solved = sum(run.answer is not None for run in runs)
    right = sum(check(puzzle, run.answer) for puzzle, run in zip(which, runs, strict=True) if run.answer is not None)
    took, mean = time.perf_counter() - began, sum(paid) / len(paid)
    print(
        f"{policy:<18} {f'{solved} of {len(runs)}':>11} {right:>6} {mean:>17.1f} {max(paid):>5} {took:>8.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
