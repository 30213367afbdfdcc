"""Search against best-of-n on the same steps: planted bugs that are repaired, of twenty, and who won.

    python benchmarks/agents.py [--steps 192] [--seeds 3] [--policies lats,mcts]

A step is one tool call that is proposed and performed, or a reflection: what a model would be asked for. Every policy
has as many for each bug, and stops where all tests pass. The proposer is local and fallible (`repair.py`), the reward
is the share of tests that pass, in real runs of pytest. "repaired" is what the search goes by: all tests pass. "right"
is the evaluator's word, by probes that no search has seen. The difference in repaired bugs is paired, by bug and
seed; its interval is a bootstrap over bugs (95 %). Settings were chosen on seeds 100 to 102, also those of best-of-n:
many short episodes, where two edits and the submission are a chain, repaired more there than fewer long ones.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from repair import Program, programs, repaired, task
from warm import POOL

import thoughtgraph as tg
from thoughtgraph.environment import snapshot
from thoughtgraph.search import MCTS, BestFirst, BestOfN, ToT
from thoughtgraph.search.lats import LATS

MANY = 1_000_000
"""So many simulations that the budget ends them."""


class Way(NamedTuple):
    """A policy, and how many edits one of its expansions draws."""

    policy: tg.Policy
    width: int


def ways(steps: int) -> dict[str, Way]:
    """The policies on so many steps."""
    return {
        "best_of_n": Way(BestOfN(n=steps // 3, steps=3), 1),
        "tot": Way(ToT(breadth=2, steps=99, branch=32), 32),
        "best_first": Way(BestFirst(branch=32), 32),
        "mcts": Way(MCTS(simulations=MANY, branch=32, rule="uct", judge="children", c=0.1, backup="max"), 32),
        "lats": Way(LATS(simulations=MANY, n=32, depth=5, lam=1.0, reflections=8), 32),
    }


class Outcome(NamedTuple):
    """What came of one bug; the steps are the most that its expansions can have had."""

    repaired: bool
    right: bool
    steps: int


def outcome(program: Program, way: Way, steps: int, seed: int) -> Outcome:
    """One bug, searched for at most so many steps."""
    chains = way.width == 1
    problem = task(program, width=steps if chains else way.width)
    budget = tg.Budget() if chains else tg.Budget(expansions=steps // way.width)
    result = tg.solve(problem, policy=way.policy, budget=budget, seed=seed)
    used = len(result.graph) - 1 if chains else result.usage.expansions * way.width
    if result.thought is None:
        return Outcome(repaired=False, right=False, steps=used)
    source = snapshot(result.graph.path(result.thought))["source"]
    return Outcome(repaired=True, right=repaired(program, source), steps=used)


Table = Sequence[Sequence[Outcome]]
"""What came of each bug, a row for each seed."""


def bugs(table: Table, what: str) -> float:
    """How many bugs, on average over seeds."""
    return sum(getattr(one, what) for row in table for one in row) / len(table)


def difference(table: Table, other: Table, draws: int = 10_000) -> tuple[float, float, float]:
    """How many bugs more of all, and the interval: bugs are drawn anew, each with all its seeds."""
    gains = [
        sum(a.repaired - b.repaired for a, b in zip(ours, theirs, strict=True)) / len(table)
        for ours, theirs in zip(zip(*table, strict=True), zip(*other, strict=True), strict=True)
    ]
    rng = random.Random(0)
    drawn = sorted(sum(rng.choices(gains, k=len(gains))) for _ in range(draws))
    return sum(gains), drawn[round(0.025 * draws)], drawn[round(0.975 * draws)]


def main() -> None:
    """Print a row for each policy, and who won."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=192)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--policies", default="", help="those to compare with best-of-n: tot,best_first,mcts,lats")
    told = options.parse_args()
    known = ways(told.steps)
    wanted = {n: w for n, w in known.items() if n in ("best_of_n", *(told.policies or ",".join(known)).split(","))}
    print(f"{told.steps} steps for each of {len(programs())} bugs, {told.seeds} seeds")
    print(f"{'policy':<20} {'repaired':>8} {'right':>6} {'steps':>6} {'seconds':>8}")
    tables = dict[str, Table]()
    for name, way in wanted.items():
        began = time.perf_counter()
        table = [[outcome(p, way, told.steps, seed) for p in programs()] for seed in range(told.seeds)]
        tables[name] = table
        steps, seconds = bugs(table, "steps") / len(programs()), time.perf_counter() - began
        row = f"{bugs(table, 'repaired'):>8.1f} {bugs(table, 'right'):>6.1f} {steps:>6.0f} {seconds:>8.1f}"
        print(f"{name:<20} {row}", flush=True)
    base = tables.pop("best_of_n")
    print(f"\n{'against best_of_n':<20} {'more bugs':>9} {'95 %':>15}")
    for name, table in tables.items():
        more, low, high = difference(table, base)
        said = "won" if low > 0 else "lost" if high < 0 else "no difference to tell"
        print(f"{name:<20} {more:>+9.1f} {f'[{low:+.1f}, {high:+.1f}]':>15}  {said}")
    print(f"\n{POOL.runs} runs of the tests")


if __name__ == "__main__":
    main()
