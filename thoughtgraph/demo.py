"""The demo: puzzles solved offline by three policies side by side, with what each paid. No key, no network."""

from __future__ import annotations

import json
import sys
import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thoughtgraph.api import solve
from thoughtgraph.budget import Budget
from thoughtgraph.render import inert, tree
from thoughtgraph.result import Result
from thoughtgraph.tasks import build

PUZZLES = ("4 9 10 13", "1 3 4 6", "2 5 8 11", "5 5 5 9", "3 3 8 8", "1 1 1 1")
"""Five that can be solved, two of them hard, and one that cannot."""

POLICIES = ("tot(breadth=5)", "dfs", "mcts(workers=4)")
"""A beam, which never goes back; backtracking; and a tree search that revises itself."""


def demo(console: Console, *, as_json: bool = False) -> None:
    """Solve `PUZZLES` with `POLICIES` and print what came out and what it took."""
    began = time.perf_counter()
    runs = {(puzzle, policy): _run(puzzle, policy) for puzzle in PUZZLES for policy in POLICIES}
    if as_json:
        rows = [{"puzzle": puzzle, "policy": policy, **run.to_json()} for (puzzle, policy), run in runs.items()]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    console.print("Game of 24: use four numbers once each, with + - * /, to make 24.\n")
    console.print(_table(runs))
    console.print("\nHow the beam got there for", PUZZLES[0], "(value in blue, the answer's path in green):")
    shown = runs[PUZZLES[0], POLICIES[0]]
    console.print(tree(shown.graph, shown.thought, 12))
    console.print(f"\n{len(runs)} runs in {time.perf_counter() - began:.1f} s, with no model and no network.")
    console.print('Next: thoughtgraph solve --task game24 "4 9 10 13"; to name a model: thoughtgraph solve --help')


def _run(puzzle: str, policy: str) -> Result:
    return solve(build("game24", puzzle), policy=policy, budget=Budget(expansions=500))


def _table(runs: dict[tuple[str, str], Result]) -> Table:
    table = Table("puzzle", *POLICIES)
    for puzzle in PUZZLES:
        table.add_row(puzzle, *(_cell(runs[puzzle, policy]) for policy in POLICIES))
    solved = (sum(runs[puzzle, policy].answer is not None for puzzle in PUZZLES) for policy in POLICIES)
    table.add_section()
    paid = (_paid(*(runs[puzzle, policy] for puzzle in PUZZLES)) for policy in POLICIES)
    table.add_row("all", *(f"{n} solved\n{price}" for n, price in zip(solved, paid, strict=True)))
    return table


def _cell(run: Result) -> Text:
    answer = "no answer" if run.answer is None else str(inert(str(run.answer), 40))
    return Text(f"{answer}\n{_paid(run)}")


def _paid(*runs: Result) -> str:
    thoughts, judged = sum(len(run.graph) - 1 for run in runs), sum(run.usage.evaluations for run in runs)
    return f"{thoughts} thoughts, {judged} judged"
