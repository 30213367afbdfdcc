"""Kill -9 at random moments and resume: what was paid twice, and whether the run is still the same.

    python benchmarks/survival.py [--kills 20] [--policies "tot;mcts(simulations=30)"] [--latency 50]

For each policy: one uninterrupted run against the measuring server (pure samples), then one that is killed again and
again at random moments and resumed each time. The table shows the requests of both, the requests that were unanswered
at the kills, and whether the final graphs (ids, edges, scores) are equal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fake import Fake, fake

import thoughtgraph as tg
from thoughtgraph.trace import Sent, Settled

CLI = [sys.executable, "-m", "thoughtgraph.cli"]
POLICIES = "tot(breadth=5);best_of_n(n=24);dfs(expansions=12);mcts(simulations=25);mcts(simulations=25, workers=8)"


def main() -> None:
    """Print a row for each policy."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--policies", default=POLICIES)
    options.add_argument("--latency", type=float, default=50)
    options.add_argument("--puzzle", default="1 4 8 8")
    options.add_argument("--seed", type=int, default=0)
    said = options.parse_args()
    print(f"{'policy':<34} {'alone':>6} {'killed':>7} {'kills':>6} {'unanswered':>11} {'paid twice':>11} {'same':>5}")
    with fake("--latency-ms", str(said.latency), "--samples", "pure") as server:
        for policy in said.policies.split(";"):
            row(server, policy, said.puzzle, said.kills, random.Random(said.seed))


def row(server: Fake, policy: str, puzzle: str, kills: int, rng: random.Random) -> None:
    """One policy, alone and killed."""
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = Path(folder) / "alone.db", Path(folder) / "killed.db"
        server.reset()
        whole = finish(start(server, policy, puzzle, alone))
        lasted, requests = whole["usage"]["seconds"], server.stats()["requests"]
        server.reset()
        done, struck = torment(server, policy, puzzle, killed, kills, lasted, rng)
        sent = server.stats()["requests"]
        lost = unanswered(killed)
        same = graph(alone, whole["run"]) == graph(killed, done["run"])
    twice = max(0, sent - requests - lost)
    print(
        f"{policy:<34} {requests:>6} {sent:>7} {struck:>6} {lost:>11} {twice:>11} {'yes' if same else 'no':>5}",
        flush=True,
    )


def start(server: Fake, policy: str, puzzle: str, store: Path) -> list[str]:
    """The command that begins a run."""
    where = ["--store", str(store), "--json", "--budget-calls", "5000"]
    model = ["--model", "openai:fake", "--base-url", server.base_url]
    return [*CLI, "solve", "--task", "game24", puzzle, "--policy", policy, *model, *where]


def torment(
    server: Fake, policy: str, puzzle: str, store: Path, kills: int, lasted: float, rng: random.Random
) -> tuple[dict[str, Any], int]:
    """Kill it at random moments of its work, resume it each time, and let it end at last."""
    command, struck = start(server, policy, puzzle, store), 0
    for _ in range(kills):
        before = server.stats()["requests"]
        work = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while work.poll() is None and server.stats()["requests"] == before:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 2.5 * lasted / kills))
        if work.poll() is None:
            os.kill(work.pid, signal.SIGKILL)
            struck += 1
        work.communicate()
        if store.exists():
            with contextlib.closing(tg.SQLiteStore(store)) as kept:
                runs = kept.runs()
            command = [*CLI, "resume", runs[0], "--store", str(store), "--json"] if runs else command
    return finish(command), struck


def finish(command: list[str]) -> dict[str, Any]:
    """Run a command to its end, and read its JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def unanswered(store: Path) -> int:
    """Requests that the journal has as sent and not as settled."""
    with contextlib.closing(tg.SQLiteStore(store)) as kept:
        records = kept.records(kept.runs()[0])
    return len({r.id for r in records if isinstance(r, Sent)} - {r.id for r in records if isinstance(r, Settled)})


def graph(store: Path, run: str) -> Any:
    """Ids, edges and scores of a recorded run, in one order."""
    shown = finish([*CLI, "show", run, "--store", str(store), "--json"])["graph"]
    nodes = sorted((node["id"], json.dumps(node["content"]), json.dumps(node["scores"])) for node in shown["nodes"])
    return nodes, sorted((edge["source"], edge["target"]) for edge in shown["edges"])


if __name__ == "__main__":
    main()
