"""Budgets that hold, by the server's own count: every policy under every small budget.

    python benchmarks/budgets.py [--latency 20]

A row for each limit: how many runs there were, the most that the server counted, how many runs exceeded the limit,
how many gave an answer, how late `seconds` were, and whether a stopped run that is resumed with a larger budget goes
on without paying for anything again.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from fake import Fake, fake

import thoughtgraph as tg
from thoughtgraph.tasks.game24 import game24

POLICIES = (
    "direct", "cot", "best_of_n(n=8)", "self_consistency(n=8)", "tot(breadth=5)", "dfs", "best_first",
    "mcts(simulations=40)", "mcts(simulations=40, workers=8)",
)  # fmt: skip
LIMITS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("calls", (1, 2, 5, 17)),
    ("tokens", (500, 2_000, 10_000)),
    ("requests", (1, 5)),
    ("seconds", (1, 3)),
    ("expansions", (1, 5)),
    ("usd", (0.0005, 0.005)),
)
PRICE = tg.Price(prompt=1.0, completion=4.0)


def main() -> None:
    """Print a row for each limit."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--latency", type=float, default=20)
    said = options.parse_args()
    print(f"{'limit':<18} {'runs':>5} {'most':>9} {'over':>5} {'answers':>8} {'most late s':>12} {'reasons'}")
    with fake("--latency-ms", str(said.latency), "--samples", "fresh") as server:
        for name, values in LIMITS:
            for value in values:
                row(server, name, value, said.latency)


def row(server: Fake, name: str, value: float, latency: float) -> None:
    """One limit, every policy."""
    counted, late, reasons, answers = list[float](), list[float](), dict[str, int](), 0
    server.reset(latency_ms=700.0 if name == "seconds" else latency)
    for policy in POLICIES:
        server.reset()
        began = time.monotonic()
        result = run(server, policy, tg.Budget(**{name: int(value) if value >= 1 else value}))
        late.append(time.monotonic() - began - value if name == "seconds" else 0.0)
        counted.append(by_server(server, name, result))
        reasons[result.reason] = reasons.get(result.reason, 0) + 1
        answers += result.answer is not None
    over = sum(count > value for count in counted) if name != "seconds" else sum(seconds > 0.3 for seconds in late)
    shown = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    most = f"{max(counted):.5g}"
    print(
        f"{f'{name}={value:g}':<18} {len(POLICIES):>5} {most:>9} {over:>5} {answers:>8} {max(late):>12.3f} {shown}",
        flush=True,
    )


def run(server: Fake, policy: str, budget: tg.Budget) -> tg.Result:
    """One run on a puzzle that takes some thought."""
    task = game24("1 4 8 8", local=False)
    model = tg.models.Compatible("fake", server.base_url, price=PRICE)
    return tg.solve(task, policy=policy, model=model, budget=budget)


def by_server(server: Fake, name: str, result: tg.Result) -> float:
    """What the server counted of this limit; what it cannot count is the run's own figure."""
    stats: dict[str, Any] = server.stats()
    tokens = stats["prompt_tokens"], stats["completion_tokens"]
    counts = {
        "calls": stats["choices"],
        "requests": stats["requests"],
        "tokens": sum(tokens),
        "usd": PRICE.usd(*tokens),
    }
    return counts.get(name, getattr(result.usage, name))


if __name__ == "__main__":
    main()
