"""Tree policies against best-of-n on problems with exact simulators and fallible thinkers, at equal expansions.

    python benchmarks/planning.py [--items 30 | --all] [--seeds 1] [--policies "mcts;dfs(width=2)"]

Blocksworld by plan length and PrOntoQA by hops, thought about by `thoughtgraph.tasks.fallible` (its knobs are
options). One expansion is one list of `--width` proposed moves, asked of the thinker once: what one reply of a model
would be. A chain takes the first move of each list that can be played, a tree policy all of them, so chains that are
drawn step by step spend the same unit, and n draws at once are n lists. Every policy has the same number of lists for
an item: when they are written, nothing follows from anywhere. What it left unspent is its own affair, and `lists` says
how many it asked for. Judgements are not limited, and counted: with a model they are calls as well.

Best-of-n has the n that solves most of these very items, so that the others have its best to beat. One more row, and
the last difference, give it `--width` times the lists: as many moves to look at as the others have to choose from, and
more than most of them ask for in lists and judgements together. PUCT alone sees the priors, which are the thinker's own
chances and not always to be had of a model.

In Blocksworld the goal test of the problem ends a search, and best-of-n needs no critic: any chain that arrives counts.
In PrOntoQA nothing is checked during the search, the critic decides between answers, and a right answer may stand on a
wrong proof (half of all guesses are right): solved is who has a sound one, and `right` says what was answered. Every
answer is judged by the evaluator, apart from the search.

The difference to best-of-n is in points of a hundred, paired by item, with a 95 % interval from resampling items. It
takes the name of the winner only where the interval leaves 0 out; with a dozen policies one such in twenty is luck.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import thoughtgraph as tg
from thoughtgraph.expressions import NAMES, parse
from thoughtgraph.state import State
from thoughtgraph.tasks.blocksworld import blocksworld
from thoughtgraph.tasks.blocksworld import check as reaches_goal
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.prontoqa import check, prontoqa, proves
from thoughtgraph.verbs import ALL

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BLOCKS = DATA / "blocksworld" / "blocksworld_split_v1.json"
PRONTO = DATA / "llm-reasoners" / "prontoqa_345hop_random_true.json"

BASE = "best_of_n"
CHAINS = (2, 3, 4, 6, 8)
"""The n that best-of-n may choose from."""

SETTINGS: Mapping[str, str] = {
    "best_of_n": "best_of_n(n={chains}, steps={steps}, action='step')",
    "self_consistency": "self_consistency(n=1000, wave=1, sure=1, steps={steps}, action='step')",
    "cot": "cot(steps={steps}, action='step')",
    "sequential_halving": "sequential_halving(n=4, steps={steps}, action='step')",
    "tot": "tot(breadth={wide}, steps={steps})",
    "dfs": "dfs",
    "best_first": "best_first",
    "beam": "beam(n=4, m=2, steps={steps})",
    "dvts": "dvts(n=4, m=2, steps={steps})",
    "lookahead": "lookahead(n=2, m=2, k=1, steps={steps})",
    "particle_filter": "particle_filter(n=8, steps={steps})",
    "particle_gibbs": "particle_gibbs(n=4, sweeps=3, steps={steps})",
    "mcts": "mcts",
    "mcts uct": "mcts(rule='uct', judge='children')",
    "mcts max": "mcts(backup='max')",
    "lats": f"lats(n={tg.ALL}, depth={{steps}}, reflections=0)",  # a whole list of proposals at once, as the others
}
"""How each row's policy is set, its name first, with `n` lists to spend; what is not named here runs as it comes."""

UNFIT = frozenset({"direct", "auto", "commit", "got", "usc", "ab_mcts", "ab_mcts_m", "mctsr", "rstar", "ratp"})
"""Policies that do not search by steps, ask for what these tasks do not have, or are one of the others."""


# -- items -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A problem, the group that it is shown in, and how to make and check it."""

    group: str
    problem: str
    make: Callable[..., tg.Task]
    right: Callable[[str, object], bool]


def blocks() -> list[Item]:
    """The published problems of Blocksworld by plan length; none where the file is not here."""
    splits = json.loads(BLOCKS.read_text(encoding="utf-8"))["splits"] if BLOCKS.exists() else {}
    return [Item(n, item["pddl"], blocksworld, reaches_goal) for n in splits for item in splits[n]]


def pronto() -> list[Item]:
    """The published items of PrOntoQA by hops; none where the file is not here."""
    items = json.loads(PRONTO.read_text(encoding="utf-8")) if PRONTO.exists() else {}
    tests: list[dict[str, Any]] = [item["test_example"] for item in items.values()]
    return sorted(
        (Item(f"{len(t['chain_of_thought']) // 2}", f"{t['question']} {t['query']}", prontoqa, check) for t in tests),
        key=lambda item: item.group,
    )


def sampled(items: Sequence[Item], each: int | None) -> list[Item]:
    """`each` of every group, at random and the same every time; all where it is None."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    draw = random.Random("items").sample
    return [i for group in groups.values() for i in (group if each is None else draw(group, min(each, len(group))))]


@dataclass(frozen=True)
class Bench:
    """The problems of one task and what each may spend: `n` lists, for chains of at most `steps` moves."""

    title: str
    items: Sequence[Item]
    n: int
    steps: int

    def text(self, row: str, chains: int = 0) -> str:
        """The policy of a row, written out."""
        wide = max(1, self.n // self.steps)
        return SETTINGS.get(row, row).format(n=self.n, steps=self.steps, wide=wide, chains=chains)


# -- runs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What came of one run."""

    right: bool
    solved: bool
    lists: int
    judged: int


@dataclass
class Counted:
    """A generator that counts the lists of proposals it writes, and writes no more than `most`."""

    inner: Callable[[State, int], list[tg.Draft]]
    most: int
    lists: int = 0

    def __call__(self, state: State, n: int) -> list[tg.Draft]:
        """One list for all there is, and one for each independent draw."""
        wanted = min(1 if n == ALL else n, self.most - self.lists)
        self.lists += wanted
        return self.inner(state, ALL if n == ALL else wanted) if wanted else []


@dataclass
class Judged:
    """A critic that counts its judgements."""

    inner: Callable[[Sequence[State]], list[tg.Score]]
    count: int = 0
    ito: str = field(default="proxy")

    def __call__(self, states: Sequence[State]) -> list[tg.Score]:
        """One score each."""
        self.count += len(states)
        return self.inner(states)


def run(item: Item, policy: tg.Policy, thinker: Fallible, expansions: int) -> Run:
    """One policy on one problem. The run's seed is of this problem too: else all problems would share their luck."""
    task = item.make(item.problem, fallible=thinker)
    step: Any = task.actions["step"]
    value: Any = task.critics["value"]
    counted, judged = Counted(step, expansions), Judged(value)
    task = replace(task, actions={"step": counted}, critics={"value": judged})
    seed = random.Random(f"{thinker.seed}/{item.problem}").getrandbits(32)
    result = tg.solve(task, policy=policy, budget=tg.Budget(expansions=expansions), seed=seed)
    right = item.right(item.problem, result.answer)
    said: Any = result.thought.content if result.thought else {}
    solved = right and (item.make is blocksworld or proves(item.problem, said.get("proof")))
    return Run(right, solved, counted.lists, judged.count)


Runs: TypeAlias = Sequence[Sequence[Run]]
"""Of each item, a run for each seed."""


def measured(bench: Bench, policy: tg.Policy, said: argparse.Namespace, expansions: int) -> Runs:
    """Every item, by every seed of the thinker."""
    knobs = {name: getattr(said, name) for name in ("skill", "bias", "slip", "width", "reliability", "shared")}
    thinkers = [Fallible(**knobs, length=bench.steps, seed=seed) for seed in range(said.seeds)]
    return [[run(item, policy, thinker, expansions) for thinker in thinkers] for item in bench.items]


# -- the table ---------------------------------------------------------------------------------------------------


def difference(ours: Sequence[float], theirs: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """The mean paired difference and its 95 % interval, by a bootstrap over items (percentiles)."""
    pairs = [a - b for a, b in zip(ours, theirs, strict=True)]
    rng = random.Random("bootstrap")
    means = sorted(fmean(rng.choices(pairs, k=len(pairs))) for _ in range(draws))
    return fmean(pairs), means[int(0.025 * draws)], means[int(0.975 * draws) - 1]


def shares(runs: Runs, what: str = "solved") -> list[float]:
    """Of each item, the share of its runs of which it is true."""
    return [fmean(getattr(run, what) for run in each) for each in runs]


def row(name: str, items: Sequence[Item], runs: Runs, bases: Sequence[Runs], took: float) -> str:
    """One line of the table."""
    groups = list(dict.fromkeys(item.group for item in items))
    solved = shares(runs)
    each = [fmean(r for r, item in zip(solved, items, strict=True) if item.group == group) for group in groups]
    cells = " ".join(f"{100 * share:>5.0f}" for share in [*each, fmean(solved), fmean(shares(runs, "right"))])
    points = [difference(solved, shares(base)) for base in bases]
    said = [f"{100 * mean:>+6.1f} [{100 * low:>+6.1f}, {100 * high:>+6.1f}]" for mean, low, high in points]
    won = [name.split(" n=", maxsplit=1)[0] if low > 0 else BASE if high < 0 else "-" for _, low, high in points[:1]]
    spent = f"{fmean(shares(runs, 'lists')):>6.1f} {fmean(shares(runs, 'judged')):>6.1f}"
    versus = f"{' '.join(said[:1]):<24} {' '.join(won):<18.18} {' '.join(said[1:]):<24}"
    return f"{name:<22.22} {cells}  {versus} {spent} {took:>6.1f}"


def table(bench: Bench, rows: Sequence[str], said: argparse.Namespace) -> None:
    """Best-of-n at its best, with more lists, and then all other rows."""
    groups = list(dict.fromkeys(item.group for item in bench.items))
    print(f"\n{bench.title}: {len(bench.items)} items, {said.seeds} seed(s), {bench.n} expansions each", flush=True)
    heads = " ".join(f"{head:>5}" for head in [*groups, "all", "right"])
    versus = f"{f'points to {BASE}':<24} {'who won':<18} {f'points to it with x{said.width}':<24}"
    print(f"{'policy':<22} {heads}  {versus} {'lists':>6} {'judged':>6} {'s':>6}")
    base = chains(bench, said, 1, [])
    more = chains(bench, said, said.width, [base])
    for name in rows:
        began = time.perf_counter()
        try:
            runs = measured(bench, parse(bench.text(name)), said, bench.n)
        except (tg.TaskError, ValueError) as error:
            print(f"{name:<22} does not fit: {error}")
            continue
        print(row(name, bench.items, runs, [base, more], time.perf_counter() - began), flush=True)


def chains(bench: Bench, said: argparse.Namespace, times: int, bases: Sequence[Runs]) -> Runs:
    """Best-of-n by the n that solves most, with so many times the lists; and its row."""
    began = time.perf_counter()
    tried = [n * times for n in CHAINS]
    played = {n: measured(bench, parse(bench.text(BASE, n)), said, bench.n * times) for n in tried}
    n = max(played, key=lambda n: fmean(shares(played[n])))
    name = f"{BASE} n={n}{f' (x{times})' if times > 1 else ''}"
    print(row(name, bench.items, played[n], bases, time.perf_counter() - began), flush=True)
    return played[n]


def rows(said: argparse.Namespace) -> list[str]:
    """What is played besides best-of-n: the table's rows, and every other policy that has a name."""
    if said.policies:
        return [text.strip() for text in said.policies.split(";")]
    known = [name for name in SETTINGS if name.split()[0] in NAMES and name != BASE]
    return known + [name for name in NAMES if name not in UNFIT | {row.split()[0] for row in SETTINGS}]


HELP = {"blocksworld": "expansions for each item; 0 leaves it out", "prontoqa": "the same"}


def main() -> None:
    """Print a table for Blocksworld and one for PrOntoQA."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--items", type=int, default=30, help="of each group")
    options.add_argument("--all", action="store_true", help="every published item")
    options.add_argument("--policies", default="", help="expressions, instead of the table in this file")
    for name, default in (("seeds", 1), ("blocksworld", 48), ("prontoqa", 16), ("width", Fallible().width)):
        options.add_argument(f"--{name}", type=int, default=default, help=HELP.get(name))
    for name in ("skill", "bias", "slip", "reliability", "shared"):
        options.add_argument(f"--{name}", type=float, default=getattr(Fallible(), name))
    said = options.parse_args()
    each = None if said.all else said.items
    for bench in (
        Bench("blocksworld", sampled(blocks(), each), said.blocksworld, 16),
        Bench("prontoqa", sampled(pronto(), each), said.prontoqa, 8),
    ):
        if bench.items and bench.n:
            table(bench, rows(said), said)
        else:
            print(f"\n{bench.title}: left out, or the published items are not here")


if __name__ == "__main__":
    main()
