"""What faults cost: puzzles one after another by tot, against a server that fails in one way after the other.

    python benchmarks/faults.py [--puzzles 20] [--latency-ms 300] [--only hang] [--first 900]

Wall is over the fault-free run's. "counted" are the faults in the ledgers (retries by cause, doubles), "served" those
that the server counted. The last rows are 40 puzzles with malformed replies.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

from fake import Fake, fake, puzzles

import thoughtgraph as tg
from thoughtgraph.books import merged
from thoughtgraph.tasks.game24 import check

FAULTS: dict[str, dict[str, float]] = {
    "none": {},
    "10 % 500 and 10 % 429": {"p_http500": 0.1, "p_rate429": 0.1},
    "5 % hang": {"p_hang": 0.05},
    "5 % reset": {"p_reset": 0.05},
    "5 % empty": {"p_empty": 0.05},
    "5 % truncated": {"p_truncjson": 0.05},
    "5 % slow drip": {"p_slowdrip": 0.05},
    "all at 2 %": {
        f"p_{name}": 0.02
        for name in ("http500", "http503", "rate429", "reset", "hang", "truncjson", "malformed", "empty", "slowdrip")
    },
}
KINDS = ("http500", "http503", "rate429", "reset", "hang", "truncjson", "malformed", "empty", "dup", "slowdrip")
CLEAR = {f"p_{name}": 0.0 for name in KINDS}


def solved(base_url: str, names: list[str]) -> tuple[float, int, tg.models.Compatible, Counter[str], int, Counter[str]]:
    """Seconds, puzzles solved by any of the final beam, faults by the ledgers, requests, outcomes."""
    model = tg.models.Compatible("fake", base_url)
    right, faults, requests, outcomes = 0, Counter[str](), 0, Counter[str]()
    began = time.monotonic()
    for name in names:
        result = tg.solve(
            tg.tasks.game24(name, local=False), policy="tot(breadth=5)", model=model, budget=tg.Budget(calls=5000)
        )
        right += any(check(name, tg.tasks.game24(name).claim(result.graph.path(t))) for t in result.graph.finals)
        book = merged(result.ledger)
        faults += Counter(book.retries) + Counter(hedged=book.hedges)
        requests += book.requests
        outcomes += result.outcomes
    return time.monotonic() - began, right, model, faults, requests, outcomes


def row(server: Fake, title: str, knobs: dict[str, Any], names: list[str], plain: float) -> tuple[float, int]:
    """Measure one scenario, and print it."""
    server.reset(**{**CLEAR, **knobs})
    wall, right, _, faults, requests, outcomes = solved(server.base_url, names)
    served = {name: n for name, n in server.stats()["faults"].items() if n}
    bad = {name: n for name, n in outcomes.items() if name != "ok"}
    print(
        f"{title:22} {wall:7.1f} s {wall / (plain or wall):5.2f}x  solved {right:3}/{len(names)}  requests {requests:5}"
        f"  counted {dict(faults)}  served {served}  outcomes {bad}",
        flush=True,
    )
    return wall, right


def main() -> None:
    """Print a row for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puzzles", type=int, default=20)
    parser.add_argument("--first", type=int, default=900)
    parser.add_argument("--latency-ms", type=float, default=300)
    parser.add_argument("--fault-seed", type=int, default=1)
    parser.add_argument("--only", default="")
    said = parser.parse_args()
    knobs = ("--samples", "pure", "--retry-after-s", "0.1", "--fault-seed", str(said.fault_seed))
    names = puzzles(said.first, said.puzzles)
    with fake("--latency-ms", str(said.latency_ms), *knobs) as server:
        plain = 0.0
        for title, chances in FAULTS.items():
            if title == "none" or said.only in title:
                wall, _ = row(server, title, chances, names, plain)
                plain = plain or wall
    if said.only in "malformed":
        with fake("--latency-ms", "0", *knobs) as server:
            row(server, "clean, 40 puzzles", {}, puzzles(said.first, 40), 0.0)
            row(server, "5 % malformed", {"p_malformed": 0.05}, puzzles(said.first, 40), 0.0)


if __name__ == "__main__":
    main()
