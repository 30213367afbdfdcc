"""Choosing one of 100 recorded prompts (OPT-2.7B on SST-2): without labels, and with a budget of labelled scores.

    python benchmarks/prompt_choice.py [--seeds 200] [--folder ../shared/data/sst2-opt27b]

The first table chooses by what prompts make of unlabelled sentences; labels are read only to print the accuracy. The
second table is the mean accuracy, over all 872 sentences, of the prompt that each method chose, over the seeds. There
`listed` keeps the prompts in the file's order and `shuffled` draws an order for each seed: good prompts happen to stand
early in the file, so a method that settles ties by the order (right-or-wrong scores are full of ties) gains by it what
no user's list promises. `log p` scores a prompt by the log-probability of the right label instead of right or wrong,
and `strata` mixes sentences of both labels evenly.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from thoughtgraph.learning.halving import halving, order
from thoughtgraph.learning.prompt_choice import CRITERIA, Predictions

BUDGETS = (500, 1000, 4000)


@dataclass(frozen=True)
class Recorded:
    """The recorded prompts: probabilities, right labels, and what two ways of scoring give for (prompt, sentence)."""

    predictions: Predictions
    target: Any
    right: list[list[float]]
    told: list[list[float]]

    @classmethod
    def read(cls, folder: Path) -> Recorded:
        """From the two arrays of a folder of recordings."""
        with np.load(folder / "label_logprobs.npz") as kept:
            predictions, target = Predictions.of_log_probs(kept["log_prob"]), kept["target"].astype(int)
        p = predictions.p
        told = np.log(np.take_along_axis(p, target[None, :, None], 2)[..., 0])
        return cls(predictions, target, (p.argmax(-1) == target).astype(float).tolist(), told.tolist())

    def accuracy(self, prompt: int, *, calibrate: bool = False) -> float:
        """The share of all sentences that a prompt answers rightly."""
        return float((np.array(self.predictions.answers(prompt, calibrate=calibrate)) == self.target).mean())


Choose = Callable[[list[list[float]], Sequence[int], int, int], int]
"""From scores, prompts in an order, a budget and a seed: the chosen prompt."""


def main() -> None:
    """Print both tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--folder", type=Path, default=Path(__file__).parents[2] / "shared/data/sst2-opt27b")
    said = options.parse_args()
    began, recorded = time.monotonic(), Recorded.read(said.folder)
    without_labels(recorded)
    with_labels(recorded, said.seeds)
    print(f"\n{time.monotonic() - began:.0f} s")


def without_labels(recorded: Recorded) -> None:
    """A row for each criterion."""
    print("without labels                 accuracy of the chosen prompt")
    print(f"{'criterion':<20} {'prompt':>8} {'as it is':>10} {'calibrated (CBM)':>18}")
    for calibrate in (False, True):
        for by in CRITERIA:
            prompt = recorded.predictions.choose(by, calibrate=calibrate).prompt
            plain, better = (recorded.accuracy(prompt, calibrate=how) for how in (False, True))
            print(f"{by + (' of CBM' if calibrate else ''):<20} {prompt:>8} {plain:>10.4f} {better:>18.4f}")
    all_of_them = [[recorded.accuracy(t, calibrate=how) for t in range(100)] for how in (False, True)]
    for name, of in (("mean of all", np.mean), ("best of all", np.max)):
        print(f"{name:<20} {'':>8} {of(all_of_them[0]):>10.4f} {of(all_of_them[1]):>18.4f}")


def with_labels(recorded: Recorded, seeds: int) -> None:
    """A row for each method, a pair of columns for each budget."""
    print(f"\nwith a budget of scores: mean of seeds 0 to {seeds - 1}, listed / shuffled (standard error at most)")
    print(f"{'method':<34}" + "".join(f"{budget:>18}" for budget in BUDGETS))
    methods: dict[str, tuple[Choose, list[list[float]]]] = {
        "as many shared items for each": (shared, recorded.right),
        "UCB, c = 1": (ucb, recorded.right),
        "halving": (halved(), recorded.right),
        "halving, strata": (halved(recorded.target), recorded.right),
        "halving, log p": (halved(), recorded.told),
        "halving, log p, strata": (halved(recorded.target), recorded.told),
    }
    full = [recorded.accuracy(t) for t in range(100)]
    for name, (choose, scores) in methods.items():
        cells = [cell(choose, scores, full, budget, seeds) for budget in BUDGETS]
        print(f"{name:<34}" + "".join(f"{told:>18}" for told, _ in cells) + f"   ({max(e for _, e in cells):.4f})")


def cell(
    choose: Choose, scores: list[list[float]], full: Sequence[float], budget: int, seeds: int
) -> tuple[str, float]:
    """The mean accuracy with the prompts as listed and shuffled, and the larger of the standard errors."""
    listed = [full[choose(scores, range(100), budget, seed)] for seed in range(seeds)]
    shuffled = [full[choose(scores, Random(seed).sample(range(100), 100), budget, seed)] for seed in range(seeds)]
    error = max(float(np.std(found)) / sqrt(seeds) for found in (listed, shuffled))
    return f"{np.mean(listed):.3f} / {np.mean(shuffled):.3f}", error


def halved(target: Any = None) -> Choose:
    """The product's own; with `target`, sentences are mixed by label."""

    def choose(scores: list[list[float]], prompts: Sequence[int], budget: int, seed: int) -> int:
        stratum = None if target is None else lambda item: int(target[item])
        found = halving(lambda t, x: scores[t][x], prompts, range(len(scores[0])), budget, seed, stratum)
        assert found.spent <= budget
        return found.arm

    return choose


def shared(scores: list[list[float]], prompts: Sequence[int], budget: int, seed: int) -> int:
    """The best on the first budget / 100 sentences, the same for all."""
    line = order(range(len(scores[0])), seed)[: budget // len(prompts)]
    return max(prompts, key=lambda t: sum(scores[t][x] for x in line))


def ucb(scores: list[list[float]], prompts: Sequence[int], budget: int, seed: int) -> int:
    """UCB1 (Auer et al., 2002) with c = 1, a fresh sentence each time; the one with the highest mean in the end."""
    random, total, times = Random(seed), dict.fromkeys(prompts, 0.0), dict.fromkeys(prompts, 0)
    for spent in range(budget):
        bonus = log(max(spent, 1))
        unseen = [t for t in prompts if not times[t]]
        t = unseen[0] if unseen else max(prompts, key=lambda t: total[t] / times[t] + sqrt(bonus / times[t]))
        total[t], times[t] = total[t] + scores[t][random.randrange(len(scores[t]))], times[t] + 1
    return max(prompts, key=lambda t: total[t] / times[t])


if __name__ == "__main__":
    main()
