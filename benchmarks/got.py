"""Graph of Thoughts against its neighbours at equal cost: errors left in lists of 32, for calls and tokens paid.

    python benchmarks/got.py [--lists 100] [--seeds 3] [--sort 0.2] [--intersect 0.3] [--tasks "sorting;intersection"]
                             [--compare]

With --compare, `tg.compare` runs "tot" and "got" within 40 calls a list, beside its own baselines, and says who won.

Sorting and set intersection, on the published lists. "plain" keeps the best of 40 whole answers. "tot" is what the
authors of GoT compare with: 20 whole answers, the best one refined 20 times, the best of all. "got" is the policy with
its defaults, and "got, paper" the plan that the authors use for 32 elements. All pick by the same critic, which counts
errors from the input alone, and none stops before its plan ends. What is shown is counted by the evaluator, which
stands apart from the search. Tokens are prompt and completion together, four characters each; draws of one prompt are
one request. The defaults were chosen on seeds 0 and 1, for the growing law; what is shown are the seeds from 10 on.

The law says how often the model slips at an element: it loses it, or adds one. "growing": in proportion to the length,
with --sort or --intersect at 16 elements, and half as often when it refines; merging is easy (0.005). "constant": the
same at any length. "merge-heavy": growing, and merging is hard too (0.2). The measuring server knows the growing laws
of sorting, so those rows are asked of it over HTTP ("server"). It has no law that is constant, and cannot intersect:
there the same prompts are answered within this process, by the arithmetic of the tasks' own local thinkers ("here").
The noise is such that ToT has errors left: with half of it, both its median and that of "got" are 0.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import random
import re
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from fake import FAKE, fake

import thoughtgraph as tg
from thoughtgraph.models import Scripted
from thoughtgraph.search import BestOfN
from thoughtgraph.search.got import GoT
from thoughtgraph.search.operations import generate, keep_best, refine, score
from thoughtgraph.tasks.lists import Slips, spoiled

FOLDER = FAKE.parent / "data" / "graph-of-thoughts"


async def tot(search: tg.Search) -> tg.Thought | None:
    """20 wide, two rounds, one kept."""
    best = keep_best(search, await score(search, await generate(search, [search.root], "reason", 20)))
    refined = await refine(search, best, "refine", 20)
    return next(iter(keep_best(search, await score(search, [*best, *refined]))), None)


METHODS = {
    "plain": BestOfN(n=40),
    "tot": tot,
    "got": GoT(),
    "got, paper": GoT(parts=2, samples=5, merges=10, refinements=10),
}


# -- who is asked ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expert:
    """Reads the tasks' prompts, knows the right lists, and slips."""

    slips: Slips
    seed: int

    def __call__(self, prompt: str, draw: int) -> str:
        """A list, or for a split the lists as JSON."""
        rng = random.Random(f"{self.seed}/{prompt}/{draw}")
        given = [json.loads(found) for found in re.findall(r"\[[-\d\s,]*\]", prompt)]
        if split := re.search(r"Split the following list of \d+ numbers into (\d+)", prompt):
            size = -(-len(given[-1]) // int(split[1]))
            return json.dumps([given[-1][at : at + size] for at in range(0, len(given[-1]), size)])
        if merge := re.search(r"Merge the following (\d+)", prompt):
            return str(spoiled(sorted(chain(*given[-int(merge[1]) :])), self.slips.p_merge, rng))
        if mending := "may be incorrect" in prompt:
            given.pop()
        right, others = self.solved(given[-2:] if "Set 1" in prompt else given[-1:])
        share = 0.5 if mending else 1.0
        return str(spoiled(right, share * self.slips.solving(len(given[-1])), rng, others))

    def solved(self, given: list[list[int]]) -> tuple[list[int], list[int]]:
        """One list sorted, or what two sets have in common; and what may slip in."""
        if len(given) == 1:
            return sorted(given[0]), []
        first, second = given
        return sorted({*first} & {*second}), sorted({*second} - {*first})


@contextmanager
def asked(task: str, law: str, p: float, seed: int) -> Iterator[tuple[str, Any]]:
    """Where the model is, and the model."""
    slips = Slips(p, 0.2 if law == "merge-heavy" else 0.005, grows=law != "constant")
    if task == "sorting" and slips.grows:
        with fake("--seed", str(seed), "--p-sort", str(p), "--p-merge", str(slips.p_merge)) as server:
            yield "server", tg.models.Compatible("fake", server.base_url)
    else:
        yield "here", Scripted(Expert(slips, seed))


# -- measuring ---------------------------------------------------------------------------------------------------


def problems(task: str, count: int) -> list[str]:
    """The published lists, as this package takes them."""
    name, columns = {
        "sorting": ("sorting_032.csv", ["Unsorted"]),
        "intersection": ("set_intersection_032.csv", ["SET1", "SET2"]),
    }[task]
    if not (FOLDER / name).exists():
        sys.exit(f"this benchmark needs {name}, which is not here")
    with (FOLDER / name).open(encoding="utf-8") as file:
        return [" ".join(row[column] for column in columns) for row in csv.DictReader(file)][:count]


@dataclass
class Row:
    """What one method came to, list by list and seed by seed."""

    errors: list[list[int]]
    usages: list[tg.Usage]
    where: str = ""

    @property
    def all(self) -> list[int]:
        """The errors of every run."""
        return [*chain(*self.errors)]

    @property
    def median(self) -> float:
        """Over all runs."""
        return statistics.median(self.all)

    def mean(self, of: str) -> float:
        """What a list cost."""
        return statistics.mean(getattr(usage, of) for usage in self.usages)


def measured(task: str, law: str, p: float, count: int, seeds: int) -> dict[str, Row]:
    """Every method on every list, for each seed."""
    module = importlib.import_module(f"thoughtgraph.tasks.{task}")
    make, rows = getattr(module, task), {name: Row([], []) for name in METHODS}
    for seed in range(10, 10 + seeds):
        with asked(task, law, p, seed) as (where, model):
            for name, policy in METHODS.items():
                rows[name].where = where
                rows[name].errors.append([])
                for problem in problems(task, count):
                    run = tg.solve(make(problem, local=False), policy=policy, model=model, budget=tg.Budget())
                    rows[name].errors[-1].append(module.errors(problem, run.answer))
                    rows[name].usages.append(run.usage)
    return rows


def verdict(tot: Row, got: Row) -> str:
    """Who left fewer errors, list by list: a mean difference within two standard errors is none."""
    apart = [a - b for a, b in zip(tot.all, got.all, strict=True)]
    mean, error = statistics.mean(apart), statistics.stdev(apart) / len(apart) ** 0.5
    who = "neither wins" if abs(mean) <= 2 * error else "got wins" if mean > 0 else "tot wins"
    dearer = [of for of in ("calls", "tokens") if got.mean(of) > tot.mean(of)]
    return f"{who} ({mean:+.2f} errors a list, +- {2 * error:.2f})" + (f", for more {dearer}" if dearer else "")


def compared(task: str, law: str, p: float, count: int, seeds: int) -> tg.Comparison:
    """The same, by `tg.compare`: 40 calls a list for everybody, and E is 1 / (1 + errors)."""
    make = getattr(tg.tasks, task)
    with asked(task, law, p, 10) as (_, model):
        return tg.compare(
            [make(problem, local=False) for problem in problems(task, count)],
            over={"policy": {"tot": tot, "got": GoT()}, "model": {"expert": model}},
            budget=tg.Budget(calls=40),
            seeds=seeds,
        )


def main() -> None:
    """Print a block for each task and law."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sort", type=float, default=0.2)
    parser.add_argument("--intersect", type=float, default=0.3)
    parser.add_argument("--tasks", default="sorting;intersection")
    parser.add_argument("--laws", default="growing;constant;merge-heavy")
    parser.add_argument("--compare", action="store_true")
    said = parser.parse_args()
    if said.compare:
        for task in said.tasks.split(";"):
            for law in said.laws.split(";"):
                p = said.sort if task == "sorting" else said.intersect
                print(f"{task}, {law}\n\n{compared(task, law, p, said.lists, said.seeds)}\n", flush=True)
        return
    head = f"{'task':<13} {'law':<12} {'asked':<7} {'method':<11} {'median':>6} {'by seed':>9} {'mean':>6} {'right':>6}"
    print(f"{head} {'calls':>6} {'tokens':>7}")
    for task in said.tasks.split(";"):
        for law in said.laws.split(";"):
            rows = measured(task, law, said.sort if task == "sorting" else said.intersect, said.lists, said.seeds)
            for name, row in rows.items():
                print(line(task, law, name, row), flush=True)
            for name in ("got", "got, paper"):
                print(f"  tot and {name}: {verdict(rows['tot'], rows[name])}")
            print()


def line(task: str, law: str, name: str, row: Row) -> str:
    """One method."""
    by_seed = " ".join(f"{statistics.median(errors):g}" for errors in row.errors)
    mean, right = statistics.mean(row.all), sum(errors == 0 for errors in row.all) / len(row.all)
    said = f"{task:<13} {law:<12} {row.where:<7} {name:<11} {row.median:>6g} {by_seed:>9} {mean:>6.2f} {right:>6.0%}"
    return f"{said} {row.mean('calls'):>6.1f} {row.mean('tokens'):>7.0f}"


if __name__ == "__main__":
    main()
