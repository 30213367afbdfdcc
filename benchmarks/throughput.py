"""CPU a request, whole engine included, with many calls in flight; and 5,000 calls at once.

    python benchmarks/throughput.py [--latency-ms 50] [--repeat 3]

Puzzles are solved by tot and mcts over the OpenAI-compatible path, so many side by side at any time. CPU is this
process's alone (the server is another one), after one warm-up; the figure is the median of the repetitions. In flight
is the most that the server saw.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from fake import Fake, fake, puzzles

import thoughtgraph as tg

POLICIES = {"tot": "tot(breadth=5)", "mcts": "mcts(simulations=40, workers=8)"}


async def solved(
    side: int, policy: str, model: tg.Model, store: tg.Store | None, total: int | None = None
) -> tuple[int, int]:
    """Requests sent and puzzles lost, of `total` puzzles, `side` of them side by side."""
    left, requests, lost = iter(puzzles(0, total or side)), 0, 0

    async def worker() -> None:
        nonlocal requests, lost
        for puzzle in left:
            task = tg.tasks.game24(puzzle, local=False)
            result = await tg.asolve(task, policy=policy, model=model, store=store, budget=tg.Budget(calls=2000))
            requests += result.usage.requests
            lost += result.reason == "failed"

    await asyncio.gather(*(worker() for _ in range(side)))
    return requests, lost


async def measured(side: int, policy: str, model: tg.Model, folder: str | None) -> tuple[float, float, int]:
    """CPU milliseconds a request, wall seconds, requests."""
    store = tg.SQLiteStore(Path(folder) / f"{side}-{policy[:4]}-{time.monotonic_ns()}.db") if folder else None
    cpu, wall = time.process_time(), time.perf_counter()
    requests, lost = await solved(side, policy, model, store, max(24, 5 * side))
    assert not lost, f"{lost} runs lost"
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if store:
        store.close()
    return 1000 * cpu / requests, wall, requests


async def table(model: tg.Model, server: Fake, repeat: int) -> None:
    """One row for each policy, number of puzzles side by side, and place of the run."""
    print(f"{'policy':6} {'side':>4} {'store':>6} {'requests':>8} {'in flight':>9} {'ms CPU/req':>10} {'wall s':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, policy in POLICIES.items():
            await solved(4, policy, model, None)
            for side in (2, 8, 16, 24):
                for where in (None, folder):
                    runs = []
                    for _ in range(repeat):
                        server.reset()
                        runs.append(await measured(side, policy, model, where))
                    cpu, wall = (statistics.median(run[i] for run in runs) for i in (0, 1))
                    seen = server.stats()["max_in_flight"]
                    print(
                        f"{name:6} {side:4} {'sqlite' if where else 'memory':>6} {runs[0][2]:8} {seen:9} {cpu:10.3f} "
                        f"{wall:7.2f}",
                        flush=True,
                    )


async def rush(model: tg.Model, calls: int, width: int) -> None:
    """So many calls, `width` of them at any time, each an expansion of one draw."""
    left = iter(range(calls))

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        number = state.content
        replies = await state.ask(lambda *_: tg.Prompt(problem=f"Say something about {number}."), 1)
        return [tg.Draft(reply, done=True) for reply in replies]

    async def one(search: tg.Search) -> None:
        await search.expand(search.root)

    async def worker() -> int:
        failed = 0
        for number in left:
            task = tg.Task("x", actions={"step": step}, start=number)
            result = await tg.asolve(task, policy=one, model=model, budget=tg.Budget(calls=9))
            failed += result.reason == "failed"
        return failed

    cpu, wall = time.process_time(), time.perf_counter()
    failed = sum(await asyncio.gather(*(worker() for _ in range(width))))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    told = f"{wall:.2f} s wall, {1000 * cpu / calls:.3f} ms CPU a call, {failed} failed"
    print(f"{calls} runs of one call, {width} in flight: {told}")


async def wide(model: tg.Model, calls: int, width: int) -> None:
    """The same in one run: a policy whose parts expand the root again and again."""

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        number = state.rng.random()
        replies = await state.ask(lambda *_: tg.Prompt(problem=f"Say something about {number}."), 1)
        return [tg.Draft(reply, done=True) for reply in replies]

    async def policy(search: tg.Search) -> None:
        async def worker() -> None:
            for _ in range(calls // width):
                await search.expand(search.root)

        await search.gather(*(worker() for _ in range(width)))

    cpu, wall = time.process_time(), time.perf_counter()
    task = tg.Task("x", actions={"step": step})
    result = await tg.asolve(task, policy=policy, model=model, budget=tg.Budget(calls=calls))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    told = f"{wall:.2f} s wall, {1000 * cpu / calls:.3f} ms CPU a call, {dict(result.outcomes)}"
    print(f"{result.usage.calls} calls of one run, {width} in flight: {told}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("table", "rush", "wide"))
    said = parser.parse_args()

    async def all_of_it() -> None:
        with fake("--latency-ms", str(said.latency_ms), "--samples", "pure") as server:
            model = tg.models.Compatible("fake", server.base_url)
            if said.only in (None, "wide"):
                await wide(model, 500, 50)
                await wide(model, 5000, 500)
            if said.only in (None, "rush"):
                await rush(model, 500, 50)
                await rush(model, 5000, 500)
            if said.only in (None, "table"):
                await table(model, server, said.repeat)
            await model.close()

    asyncio.run(all_of_it())


if __name__ == "__main__":
    main()
