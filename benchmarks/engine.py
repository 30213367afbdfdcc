"""What the engine itself costs: CPU for each effect and each node, and memory for each node, from 1,000 nodes up.

    python benchmarks/engine.py [--most 100000] [--repeat 3]

A zero-latency generator makes five thoughts an expansion and a critic scores them; MCTS decides. Each cell runs in a
process of its own; the figure is the median of `--repeat` runs, in CPU time. "tree" is the part of a node that a bare
loop would pay too: its insert into the graph, UCT selection and backup, with the policy driven by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

BRANCH = 5


def main() -> None:
    """Print the table, or measure one cell of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--most", type=int, default=100_000)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--cell", nargs=2, metavar=("KIND", "NODES"), help=argparse.SUPPRESS)
    said = options.parse_args()
    if said.cell:
        sys.stdout.write(json.dumps(CELLS[said.cell[0]](int(said.cell[1]))))
        return
    print(f"{'nodes':>8} {'memory us/effect':>18} {'SQLite us/effect':>18} {'tree us/node':>14} {'bytes/node':>12}")
    for nodes in (n for n in (1_000, 10_000, 100_000) if n <= said.most):
        cells = [median(kind, nodes, said.repeat) for kind in ("memory", "sqlite", "tree", "bytes")]
        print(f"{nodes:>8} {cells[0]:>18.1f} {cells[1]:>18.1f} {cells[2]:>14.1f} {cells[3]:>12.0f}", flush=True)


def median(kind: str, nodes: int, repeat: int) -> float:
    """The median of several processes."""
    command = [sys.executable, __file__, "--cell", kind, str(nodes)]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeat)
    )


def step(state, n):
    """Five thoughts, whatever the state."""
    import thoughtgraph as tg

    return [tg.Draft(state.content * BRANCH + i + 1) for i in range(BRANCH)]


def value(states):
    """A number that looks random, and is not."""
    import thoughtgraph as tg

    return [tg.Score((state.content * 2654435761 % 1000) / 1000) for state in states]


def toy():
    """The task of every cell."""
    import thoughtgraph as tg

    return tg.Task("toy", actions={"step": step}, critics={"value": value}, start=0, claim=lambda path: None)


def effects(nodes: int, store: str | None) -> float:
    """Microseconds of CPU for each effect, everything included."""
    import thoughtgraph as tg

    policy = tg.search.MCTS(simulations=nodes // BRANCH)
    asyncio.run(tg.asolve(toy(), policy="mcts(simulations=20)", budget=tg.Budget()))  # what is imported lazily is here
    began = time.process_time()
    result = asyncio.run(tg.asolve(toy(), policy=policy, budget=tg.Budget(), store=store))
    spent = time.process_time() - began
    return spent / (2 * result.usage.expansions) * 1e6


def in_memory(nodes: int) -> float:
    """With the run in memory."""
    return effects(nodes, None)


def in_sqlite(nodes: int) -> float:
    """With the run in a SQLite store."""
    with tempfile.TemporaryDirectory() as folder:
        return effects(nodes, str(Path(folder) / "runs.db"))


def tree(nodes: int) -> float:
    """Microseconds of CPU for each node's insert, selection and backup, with a stepper and no engine."""
    import thoughtgraph as tg
    from thoughtgraph.thought import ROOT

    graph = tg.ThoughtGraph(tg.Thought(ROOT, (), "", 0))
    search = tg.Search(toy(), graph)
    began = time.process_time()
    stepper = tg.Stepper(tg.search.MCTS(simulations=nodes // BRANCH), search)
    while not stepper.done:
        for effect in stepper.ask():
            stepper.tell(effect, answer(graph, effect))
    return (time.process_time() - began) / len(graph) * 1e6


def answer(graph, effect) -> Sequence[object]:
    """What an engine would tell, with nothing around it."""
    import thoughtgraph as tg

    if effect.verb == "score":
        scores = [tg.Score((t.content * 2654435761 % 1000) / 1000, critic="value") for t in effect.thoughts]
        for thought, score in zip(effect.thoughts, scores, strict=True):
            graph.judge(thought.id, score)
        return scores
    parent = effect.thoughts[0]
    contents = [parent.content * BRANCH + i + 1 for i in range(BRANCH)]
    above = (parent.id,)
    made = [tg.Thought(f"{c:016x}", above, "step", c, depth=parent.depth + 1) for c in contents]
    for thought in made:
        graph.add(thought)
    return made


def bytes_a_node(nodes: int) -> float:
    """Resident bytes for each node of a run in memory, beyond what the process holds before it; no prompts here."""
    import thoughtgraph as tg

    asyncio.run(tg.asolve(toy(), policy="mcts(simulations=20)", budget=tg.Budget()))
    gc.collect()
    before = resident()
    result = asyncio.run(tg.asolve(toy(), policy=tg.search.MCTS(simulations=nodes // BRANCH), budget=tg.Budget()))
    gc.collect()
    return (resident() - before) / len(result.graph)


def resident() -> int:
    """Resident bytes now (Linux), or the most there ever were (elsewhere)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


CELLS = {"memory": in_memory, "sqlite": in_sqlite, "tree": tree, "bytes": bytes_a_node}

if __name__ == "__main__":
    main()
