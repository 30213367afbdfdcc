"""A critic that a search teaches itself: rollouts are counted, a critic learns from the counts, and it finds more.

python examples/a_critic_from_search.py
"""

# slow

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import thoughtgraph as tg
from thoughtgraph.statistics import difference, interval
from thoughtgraph.tasks.game24_features import FEATURES

THINKER = tg.tasks.Fallible(width=8)  # stands for a model: it proposes some steps of many, and slips in arithmetic


def puzzles() -> list[tg.Task]:
    """Games of 24, in an order of chance."""
    hands = [" ".join(map(str, hand)) for hand in combinations(range(1, 14), 4)]
    return [tg.tasks.game24(hand, fallible=THINKER) for hand in Random(0).sample(hands, 210)]


def solved(tasks: Sequence[tg.Task], critic: tg.Learned | None = None) -> list[list[float]]:
    """1 for each puzzle that the same short search solves, with the task's own critic or with this one."""
    found = list[list[float]]()
    for number, task in enumerate(tasks):
        judged = replace(task, critics={"value": replace(critic, claim=task.claim)}) if critic else task
        result = tg.solve(judged, policy="tot(breadth=1)", budget=tg.Budget(expansions=5), seed=number)
        right = tg.tasks.evaluator(task)  # asked when the search is over: what is right never enters one
        assert right is not None
        found.append([float(result.answer is not None and right(result.answer))])
    return found


tasks = puzzles()
learned_from, held_out = tasks[:110], tasks[110:]

# 1. Search for labels, not for answers: from every position it comes by, the thinker plays on six times.
store = tg.MemoryStore()
for number, task in enumerate(learned_from):
    tg.solve(task, policy="monte_carlo(breadth=6, rollouts=6)", store=store, budget=tg.Budget(), seed=number)

# 2. Only now that the runs are over, their answers are graded, and successes and trials counted for each position.
rows = tg.rows_of(store, learned_from, evaluate=tg.tasks.evaluator, labels=["steps"])
shown = max((row for row in rows if isinstance(row, tg.StepTrace)), key=lambda row: sum(c for c, _ in row.counts))
print(f"{len(rows)} ways through {len(learned_from)} puzzles. The one that went best:")
for step, (successes, trials) in zip(shown.response.steps, shown.counts, strict=True):
    print(f"  {step:<36} {successes} of {trials} completions made 24")

# 3. Learn. What ships has beaten what needs no learning, on puzzles that it had not seen.
training = tg.train_critic(rows, features=FEATURES)
print(f"\n{training}\n")

# 4. Does the search find more with it? The same policy, budget and seeds, on puzzles that nobody learned from.
before, after = solved(held_out), solved(held_out, training.critic)
gain = difference(after, before)
print(f"{len(held_out)} held-out puzzles, five expansions each; intervals are 95 %, by puzzle")
print(f"  solved with the heuristic that ships  {interval(before)}")
print(f"  solved with the critic learned here   {interval(after)}")
print(f"  gain                                  {gain.signed if gain else 'unknown'}")
