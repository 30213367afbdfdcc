"""Wall-clock time over the critical path: breadth-first search of one puzzle, with a SQLite store.

    python benchmarks/wall.py [--repeat 5] [--puzzles 3]

The critical path is 8 calls in a row (four rounds of propose, then value) times the latency; where the search ends
sooner, the rounds that it really made. Start-up (imports, opening the store) is outside.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from fake import Fake, fake, puzzles

import thoughtgraph as tg
from thoughtgraph.tasks.game24 import game24


def main() -> None:
    """Print a row for each latency."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--puzzles", type=int, default=3)
    said = options.parse_args()
    print(
        f"{'latency ms':>10} {'wall ms':>8} {'rounds':>7} {'wall/rounds':>12} {'wall/8 calls':>13} {'CPU ms/req':>11}"
    )
    for latency in (50, 300):
        with fake("--latency-ms", str(latency), "--samples", "pure") as server:
            row(server, latency, said.repeat, said.puzzles)


def row(server: Fake, latency: int, repeat: int, count: int) -> None:
    """One latency: medians over puzzles and repetitions."""
    one(server, "1 1 4 6")
    cells = [one(server, puzzle) for _ in range(repeat) for puzzle in puzzles(900, count)]
    wall = statistics.median(cell[0] for cell in cells)
    rounds = statistics.median(cell[1] for cell in cells)
    made = statistics.median(cell[0] / (cell[1] * latency / 1e3) for cell in cells)
    cpu = statistics.median(cell[2] for cell in cells)
    path = wall * 125 / latency
    print(f"{latency:>10} {wall * 1e3:>8.0f} {rounds:>7.0f} {made:>12.2f} {path:>13.2f} {cpu * 1e3:>11.2f}")


def one(server: Fake, puzzle: str) -> tuple[float, int, float]:
    """Seconds, rounds of calls in a row, and CPU seconds for each request of one run."""
    task = game24(puzzle, local=False)
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.monotonic(), time.process_time()
        result = tg.solve(
            task, policy="tot(breadth=5)", model="openai:fake", base_url=server.base_url,
            budget=tg.Budget(calls=5000), store=Path(folder) / "runs.db",
        )  # fmt: skip
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
    depth = max(thought.depth for thought in result.graph)
    judged = max(thought.depth for thought in result.graph if result.graph.scores(thought))
    return wall, depth + judged, cpu / max(result.usage.requests, 1)


if __name__ == "__main__":
    main()
