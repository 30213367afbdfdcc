"""A run that its budget stops, and that goes on where it was: nothing is done twice.

python examples/stop_and_go_on.py
"""

import tempfile
from pathlib import Path

import thoughtgraph as tg

with tempfile.TemporaryDirectory() as folder:
    store = Path(folder) / "runs.db"
    puzzle = tg.tasks.game24("3 3 8 8")
    first = tg.solve(puzzle, policy="mcts", budget=tg.Budget(expansions=10), store=store)
    print(f"{first.reason}: {first.answer} after {first.usage.expansions} expansions")

    whole = tg.resume(first.run, store=store, budget=tg.Budget(expansions=500))  # the new total, not an addition
    print(f"{whole.reason}: {whole.answer} after {whole.usage.expansions} expansions in all")
    for thought in whole.graph.path(whole.thought) if whole.thought else []:
        print("  ", thought.text)
