"""Game of 24 with three policies, offline: what each finds, and what it pays.

python examples/game_of_24.py
"""

import thoughtgraph as tg

for policy in ("tot(breadth=5)", "dfs", "mcts(workers=8)"):
    task = tg.tasks.game24("4 9 10 13")
    result = tg.solve(task, policy=policy, budget=tg.Budget(expansions=400))
    print(f"{policy:<18} {result.answer}  ({result.usage.expansions} expansions, {result.reason})")
