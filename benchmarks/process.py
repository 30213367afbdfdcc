"""A process critic from search, against the heuristic that needs no learning, on Game of 24 with a fallible thinker.

    python benchmarks/process.py [--train 500] [--test 300] [--seeds 3] [--policies "tot(breadth=2);mcts"]

`monte_carlo` walks the training puzzles and completes each position that it comes by, again and again; the runs lie in
a store (SQLite), and only when they are over are the completions graded, by the evaluator that stands apart. From the
counts a process critic is trained, on features of the numbers left that see no further than one operation, as far as
the heuristic looks ahead. Then each critic steers the same policies on puzzles that were not trained on, with the same
budget of expansions, the same thinker and the same seeds: the engine's heuristic, the learned one, one that draws its
values at random, and an oracle that works everything out and is no critic that anybody has.

Solved is what the evaluator says of the answer. The difference is paired by puzzle, with a 95 % interval from
resampling puzzles (a puzzle keeps all of its seeds), and p is McNemar's exact test on the runs. Two puzzles may lead to
the same numbers after a step or two, so some of what a search comes by in the held-out puzzles has been labelled in
training: `new` counts only positions that were not, and shows how well the learned critic and the heuristic rank those
that can still make 24 above those that cannot (area under the curve, with three and with two numbers left).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import comb
from pathlib import Path
from statistics import fmean

from fake import puzzles

import thoughtgraph as tg
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.rows import AnyRow, Response, StepTrace
from thoughtgraph.learning.training import train_critic
from thoughtgraph.search.monte_carlo import MonteCarlo
from thoughtgraph.state import State
from thoughtgraph.statistics import difference, interval
from thoughtgraph.store import SQLiteStore
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.game24 import check, game24, moves, promise
from thoughtgraph.tasks.game24_features import FEATURES

Left = tuple[str, ...]
Judge = Callable[[Sequence[State]], list[tg.Score]]


@cache
def solvable(left: Left) -> bool:
    """Whether numbers can make 24, worked out to the end: for the oracle and for the table alone."""
    return left == ("24",) if len(left) == 1 else any(solvable(move.left) for move in moves(left))


def oracle(states: Sequence[State]) -> list[tg.Score]:
    """What no critic knows."""
    return [tg.Score(float(solvable(tuple(state.content["left"])))) for state in states]


def luck(states: Sequence[State]) -> list[tg.Score]:
    """Values at random."""
    return [tg.Score(state.rng.random()) for state in states]


# -- labels and training -----------------------------------------------------------------------------------------------


def searched(which: Sequence[str], said: argparse.Namespace, seed: int) -> list[AnyRow]:
    """The step traces of the training puzzles: searched into a store, and graded from there."""
    thinker, policy = Fallible(width=said.width, seed=seed), MonteCarlo(breadth=said.breadth, rollouts=said.rollouts)
    tasks = [game24(puzzle, fallible=thinker) for puzzle in which]
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteStore(Path(folder) / "runs.db")
        for number, task in enumerate(tasks):
            tg.solve(task, policy=policy, store=store, budget=tg.Budget(), seed=1000 * seed + number)
        rows = rows_of(store, tasks, evaluate=tg.tasks.evaluator, labels=["steps"])
        store.close()
    return rows


def positions(rows: Iterable[AnyRow]) -> set[Left]:
    """The positions that were labelled."""
    told = [row for row in rows if isinstance(row, StepTrace)]
    return {tuple(c["left"]) for row in told for c, (_, n) in zip(row.response.contents, row.counts, strict=True) if n}


# -- what the critics are worth ----------------------------------------------------------------------------------------


def solved(which: Sequence[str], policy: str, judge: Judge, said: argparse.Namespace, seed: int) -> list[float]:
    """1 for each puzzle that the policy solves with this critic, 0 for the others."""
    thinker, found = Fallible(width=said.width, seed=seed), list[float]()
    for number, puzzle in enumerate(which):
        task = replace(game24(puzzle, fallible=thinker), critics={"value": judge})
        budget = tg.Budget(expansions=said.expansions)
        run = tg.solve(task, policy=policy, budget=budget, seed=10_000 * seed + number)
        found.append(float(check(puzzle, run.answer)))
    return found


def ranks(critic: Learned, which: Sequence[str], known: set[Left]) -> str:
    """How well the critic and the heuristic rank positions that were not labelled in training."""
    opened = {move.left for puzzle in which for move in moves(tuple(puzzle.split()))}
    parts = {3: opened, 2: {move.left for left in sorted(opened)[::20] for move in moves(left)}}
    return "; ".join(_ranks(critic, sorted(some - known), len(some), n) for n, some in parts.items())


def _ranks(critic: Learned, new: Sequence[Left], total: int, n: int) -> str:
    truth = [solvable(left) for left in new]
    contents = [{"left": list(left)} for left in new]
    answers = [Response(text="", steps=("",), contents=(content,)) for content in contents]
    learned = [score.value or 0.0 for score in critic.judge([Example("", answer) for answer in answers])]
    plain = [promised(left) for left in new]
    areas = f"AUC learned {area(learned, truth):.2f}, heuristic {area(plain, truth):.2f}"
    return f"{n} left: {len(new)} of {total} new, {areas}"


def promised(left: Left) -> float:
    """What the engine's heuristic says of a position."""
    from thoughtgraph.tasks.game24 import _promise  # pyright: ignore[reportPrivateUsage]

    return _promise(left)


def area(values: Sequence[float], truth: Sequence[bool]) -> float:
    """How often a true one is valued above a false one, ties half."""
    from scipy.stats import rankdata

    ranked = rankdata(values)
    right = [rank for rank, true in zip(ranked, truth, strict=True) if true]
    p, n = len(right), len(truth) - len(right)
    return (sum(right) - p * (p + 1) / 2) / (p * n)


def mcnemar(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The two-sided exact p of as uneven a split of the runs in which one of the two solved it alone."""
    won = sum(a > b for a, b in zip(ours, theirs, strict=True))
    lost = sum(a < b for a, b in zip(ours, theirs, strict=True))
    tail = sum(comb(won + lost, k) for k in range(min(won, lost) + 1)) / 2 ** (won + lost)
    return min(1.0, 2 * tail)


# -- the table ---------------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """What each policy with each critic solved: for each seed, a number for each puzzle."""

    said: argparse.Namespace
    test: Sequence[str]
    runs: dict[tuple[str, str], list[list[float]]]

    def play(self, name: str, judge: Judge, seed: int) -> None:
        """One critic, one seed, every policy."""
        for policy in self.said.policies.split(";"):
            self.runs.setdefault((policy, name), []).append(solved(self.test, policy, judge, self.said, seed))

    def row(self, policy: str, name: str) -> str:
        """One critic against the heuristic."""
        mine, other = self.runs[policy, name], self.runs[policy, "heuristic"]
        ours, theirs = list(zip(*mine, strict=True)), list(zip(*other, strict=True))
        each, gained = " ".join(f"{100 * fmean(run):5.1f}" for run in mine), difference(ours, theirs)
        p = mcnemar([x for run in mine for x in run], [x for run in other for x in run])
        against = "" if name == "heuristic" or gained is None else f"{gained.signed}   p = {p:.1e}"
        return f"{policy:<22} {name:<10} {interval(ours)!s:<22} {each:<20} {against}"


def main() -> None:
    """Label, train, compare, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train", type=int, default=500, help="puzzles to learn from")
    options.add_argument("--test", type=int, default=300, help="puzzles held out, the same for every seed")
    options.add_argument("--seeds", type=int, default=3, help="each with its own thinker, labels and critic")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--policies", default="tot(breadth=1);tot(breadth=2);best_first;mcts")
    options.add_argument("--expansions", type=int, default=5, help="for each puzzle")
    options.add_argument("--width", type=int, default=8, help="proposals in a list of the thinker's")
    options.add_argument("--breadth", type=int, default=8, help="positions labelled on each level")
    options.add_argument("--rollouts", type=int, default=8, help="completions of each")
    options.add_argument("--learner", default="auto")
    said = options.parse_args()
    known = puzzles(0, 1362)
    random.Random(f"puzzles {said.first}").shuffle(known)
    train, test = known[said.test :][: said.train], known[: said.test]
    assert not {tuple(sorted(p.split())) for p in train} & {tuple(sorted(p.split())) for p in test}
    bench = Bench(said, test, {})
    print(f"{len(train)} puzzles to learn from, {len(test)} held out; at most {said.expansions} expansions each")
    for seed in range(said.first, said.first + said.seeds):
        seeded(bench, train, seed)
    print(f"\n{'policy':<22} {'critic':<10} {'solved':<22} {'by seed':<20} against the heuristic")
    for policy, name in sorted(bench.runs, key=lambda key: said.policies.index(key[0])):
        print(bench.row(policy, name))


def seeded(bench: Bench, train: Sequence[str], seed: int) -> None:
    """Labels, a critic, and all critics on the held-out puzzles."""
    began = time.perf_counter()
    rows = searched(train, bench.said, seed)
    labelled = time.perf_counter()
    training = train_critic(rows, features=FEATURES, learner=bench.said.learner, seed=seed)
    trained = time.perf_counter()
    assert training.critic
    bench.play("random", luck, seed)
    bench.play("heuristic", promise, seed)
    bench.play("learned", training.critic, seed)
    bench.play("oracle", oracle, seed)
    known = positions(rows)
    times = (labelled - began, trained - labelled, time.perf_counter() - trained)
    took = "labels {:.0f} s, training {:.0f} s, runs {:.0f} s".format(*times)
    print(f"\nseed {seed}: {len(known)} positions labelled in {len(rows)} rows; {took}")
    print(
        f"  trained: {str(training).splitlines()[0]}\n  new positions: {ranks(training.critic, bench.test, known)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
