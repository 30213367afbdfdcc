"""Puzzles solved for requests sent: a policy on the noisy Game of 24, with a cache that all puzzles share.

    python benchmarks/quality.py [--policy "tot(breadth=5)"] [--seeds 5] [--knobs "--q-value .8"]

Rows 900-999 of the Game-of-24 file; solved by the answer, or by any final thought of the run (`any`), as the separate
evaluator has it. "again" are the requests whose very prompt had been sent before, by the server's count.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from fake import fake, puzzles

import thoughtgraph as tg
from thoughtgraph.tasks.game24 import check


def solved(name: str, policy: str, model: tg.Model, cache: tg.Cache | None) -> tuple[bool, bool]:
    """Whether the answer, and whether any final thought, solves the puzzle."""
    task = tg.tasks.game24(name, local=False)
    result = tg.solve(task, policy=policy, model=model, cache=cache, budget=tg.Budget(calls=5000))
    claims = (task.claim(result.graph.path(thought)) for thought in result.graph.finals)
    return check(name, result.answer), any(check(name, claim) for claim in claims)


def main() -> None:
    """Print a row for each seed of the server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="tot(breadth=5)")
    parser.add_argument("--knobs", default="", help="options of the measuring server")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", default="auto")
    parser.add_argument("--first", type=int, default=900)
    parser.add_argument("--puzzles", type=int, default=100)
    parser.add_argument("--no-cache", action="store_true")
    said = parser.parse_args()
    print(f"{'seed':>4} {'solved':>7} {'any':>4} {'requests a puzzle':>18} {'samples a puzzle':>17} {'again':>6}")
    names = puzzles(said.first, said.puzzles)
    for seed in range(said.seeds):
        knobs = ("--seed", str(seed), "--samples", said.samples, *said.knobs.split())
        with fake(*knobs) as server, tempfile.TemporaryDirectory() as folder:
            model = tg.models.Compatible("fake", server.base_url)
            cache = None if said.no_cache else tg.Cache(Path(folder) / "cache.db")
            ends = [solved(name, said.policy, model, cache) for name in names]
            right, found = sum(answered for answered, _ in ends), sum(seen for _, seen in ends)
            seen = server.stats()
            again = seen["requests"] - seen["unique_prompts"]
            a_puzzle = f"{seen['requests'] / len(names):>18.1f} {seen['choices'] / len(names):>17.1f}"
            print(f"{seed:>4} {right:>7} {found:>4} {a_puzzle} {again:>6}", flush=True)
            if cache:
                cache.close()


if __name__ == "__main__":
    main()
