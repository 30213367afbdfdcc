"""Three policies, 50 puzzles, three seeds at equal cost: what comparing adds to the runs, and what a rerun costs.

    python benchmarks/compare.py [--puzzles 50] [--seeds 3] [--calls 150] [--workers 8] [--plot out.svg]

The runs go to the measuring server, first as they are, as many side by side, then as a comparison in a store, and the
same comparison again from its store, which must send nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fake import Fake, fake, puzzles

import thoughtgraph as tg
from thoughtgraph.comparing import compare

T = TypeVar("T")

POLICIES = ("tot(breadth=2)", "best_of_n(n=50)", "mcts(simulations=40)")


def main() -> None:
    """Print a line for each way, and the comparison itself."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--puzzles", type=int, default=50)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--calls", type=int, default=150)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--latency", type=float, default=20)
    options.add_argument("--plot")
    said = options.parse_args()
    tasks = [tg.tasks.game24(puzzle, local=False) for puzzle in puzzles(900, said.puzzles)]
    with fake("--latency-ms", str(said.latency)) as server, tempfile.TemporaryDirectory() as folder:
        terms = {
            "over": {"policy": POLICIES, "model": ["openai:fake"]}, "budget": tg.Budget(calls=said.calls),
            "seeds": said.seeds, "workers": said.workers, "base_url": server.base_url,
            "store": Path(folder) / "runs.db", "baselines": False,
        }  # fmt: skip
        print(f"{'':<22} {'seconds':>8} {'CPU':>7} {'requests':>9}")
        timed(server, "the runs alone", lambda: asyncio.run(alone(server, tasks, said)))
        found = timed(server, "compared", lambda: compare(tasks, **terms))
        again = timed(server, "again, from its store", lambda: compare(tasks, **terms))
        print(f"the same table: {'yes' if str(again) == str(found) else 'no'}\n")
        print(timed(server, "with its baselines", lambda: compare(tasks, **{**terms, "baselines": True})))
        if said.plot:
            found.plot(said.plot)


def timed(server: Fake, what: str, do: Callable[[], T]) -> T:
    """Do it, and print what it took."""
    server.reset()
    began, worked = time.perf_counter(), time.process_time()
    found = do()
    took, cpu = time.perf_counter() - began, time.process_time() - worked
    print(f"{what:<22} {took:>8.1f} {cpu:>7.1f} {server.stats()['requests']:>9}", flush=True)
    return found


async def alone(server: Fake, tasks: list[tg.Task], said: argparse.Namespace) -> None:
    """The same runs with nothing around them, in one store, as many side by side."""
    left = iter([(task, policy, seed) for task in tasks for seed in range(said.seeds) for policy in POLICIES])
    model = tg.models.Compatible("fake", server.base_url)
    with tempfile.TemporaryDirectory() as folder:
        store = tg.SQLiteStore(Path(folder) / "runs.db")

        async def work() -> None:
            for task, policy, seed in left:
                budget = tg.Budget(calls=said.calls)
                await tg.asolve(task, policy=policy, model=model, budget=budget, seed=seed, store=store)

        await asyncio.gather(*(work() for _ in range(said.workers)))
        store.close()


if __name__ == "__main__":
    main()
