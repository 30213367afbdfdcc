"""A critic trained on real recordings: LLaMA-2's answers to grade-school problems, five folds by question.

    python benchmarks/critic.py [--rows FILE ...] [--folds 5] [--seed 0 ...] [--page audit.html] [--json audit.json]

700 questions with 16 recorded answers each, graded by their last number, and the model's own judgement of each answer.
What is printed of a question comes from a critic that was trained on the other folds, and every choice (of the single
prompt, of the calibration) is made there too. `--rows` names files of the same form, pooled; `--seed` again for other
folds: the page, the JSON and the intervals are those of the first seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from thoughtgraph.learning.features import Compute, Example
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.registry import ALONE, DEFAULT
from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.learning.splits import folds, groups
from thoughtgraph.learning.training import train_critic
from thoughtgraph.recipes.audit import audit, uncalibrated
from thoughtgraph.recipes.audit_figures import BEST, MAJORITY, SINGLE, WEIGHTED
from thoughtgraph.recipes.audit_report import Report
from thoughtgraph.statistics import Interval, interval
from thoughtgraph.thought import Score

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "llama2-gsm8k" / "answers.jsonl.gz"


def main() -> None:
    """Train, audit, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=Path, nargs="+", default=[RECORDED], help="files of the same form, pooled")
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--seed", type=int, nargs="+", default=[0])
    options.add_argument("--page", type=Path)
    options.add_argument("--json", type=Path)
    said = options.parse_args()
    if missing := [path for path in said.rows if not path.exists()]:
        sys.exit(f"this benchmark needs {missing[0].name}, which is not here")
    rows = [row for file in said.rows for row in read(file)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy comes in: two processes share the machine
    began = time.perf_counter()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for seed in said.seed:
            show(rows, said.folds, seed, pool, said if seed == said.seed[0] else None)
    print(f"\n{time.perf_counter() - began:.0f} s")


# -- the recordings --------------------------------------------------------------------------------------------------


def read(path: Path) -> Iterator[Outcome]:
    """A row for each answer; what the model said of it is a signal, which no critic here is trained on."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            told = json.loads(line)
            gold = last_number(told["gold"])
            for prompt, text in told["answers"].items():
                answer, own = last_number(text), self_judged(told.get("self_critic", {}).get(prompt, ""))
                signals = {} if own is None else {"self": own}
                response = Response(text=text, answer=answer, generator=prompt, signals=signals)
                right = answer is not None and gold is not None and abs(answer - gold) < 1e-6
                yield Outcome(question=told["question"], response=response, value=float(right), grader="last number")


_NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")


def last_number(text: str) -> float | None:
    """What an answer is graded by.

    >>> last_number("So she makes $1,234.50 in all, or 12% more.")
    12.0
    """
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


_PROBABILITY = re.compile(
    r"prob\w*[^.\d]{0,40}(\d+(?:\.\d+)?|\.\d+)\s*(%?)|#+\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*#*", re.IGNORECASE
)
_WORD = re.compile(r"\b(true|false)\b", re.IGNORECASE)


def self_judged(text: str) -> float | None:
    """The probability that the model gives its own answer: that of its verdict, or 1 less that of "false".

    >>> self_judged("True, with a probability of ###0.8###."), self_judged("### False ###, probability 0.9")
    (0.8, 0.1)
    """
    word, number = _WORD.search(text), next(_PROBABILITY.finditer(text), None)
    p = None
    if number:
        p = float(number[1] or number[3]) / (100 if number[2] or number[4] else 1)
    if p is None or not 0 <= p <= 1:
        return None if word is None else float(word[1].lower() == "true")
    return round(1 - p, 9) if word and word[1].lower() == "false" else p


# -- critics -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Folded:
    """Several critics as one: each question is judged by the one that was not trained on it."""

    critics: tuple[Learned, ...]
    place: dict[str, int]
    name: str
    kind: str = "prob"

    def judge(self, examples: Sequence[Example]) -> list[Score]:
        """What the critic of this question's fold says."""
        return self.critics[self.place[examples[0].question]].judge(examples)

    @property
    def uncalibrated(self) -> Folded:
        """The same without calibration."""
        bare: Any = tuple(uncalibrated(critic) or critic for critic in self.critics)
        return Folded(bare, self.place, self.name)


@dataclass(frozen=True)
class Own:
    """The model's own judgement, as it was recorded."""

    name: str = "self-critique"
    kind: str = "prob"

    def judge(self, examples: Sequence[Example]) -> list[Score]:
        """Its probability; an abstention where it gave neither one nor a verdict."""
        said = (example.response.signals.get("self") for example in examples)
        return [Score(None, status="abstained", samples=0) if p is None else Score(p) for p in said]


@dataclass(frozen=True)
class Remembered:
    """A feature's numbers, worked out once for each set of answers, whoever asks: it is the same set in every fold."""

    compute: Compute
    known: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict[tuple[str, ...], dict[str, Any]])

    def __call__(self, examples: Sequence[Example]) -> list[Any]:
        """The rows of the set, in whatever order it comes."""
        texts = [example.response.text for example in examples]
        key = (examples[0].question, *sorted(texts))
        if key not in self.known:
            self.known[key] = dict(zip(texts, self.compute(examples), strict=True))
        return [self.known[key][text] for text in texts]


KEPT = tuple(replace(feature, compute=Remembered(feature.compute)) for feature in DEFAULT)

CRITICS = {
    "outcome critic": tuple(feature.name for feature in DEFAULT),
    "without agreement features": tuple(feature.name for feature in ALONE),
    "vote share and length alone": ("votes", "length"),
}
"""The critics that are trained, and the features that they see."""


@dataclass(frozen=True)
class Dealt:
    """All answers, and the fold of each question; questions that ask the same are in the same one."""

    rows: tuple[Outcome, ...]
    place: dict[str, int]

    @classmethod
    def of(cls, rows: Sequence[Outcome], k: int, seed: int) -> Dealt:
        """The questions dealt into `k` folds."""
        group = groups(rows)
        parts = folds(group.values(), k, seed)
        place = {row.question: next(n for n, part in enumerate(parts) if group[row.id] in part) for row in rows}
        return cls(tuple(rows), place)

    def train(self, name: str, fold: int, seed: int, path: Path) -> None:
        """A critic that has seen nothing of this fold, as a file."""
        seen = [row for row in self.rows if self.place[row.question] != fold]
        features = [feature for feature in KEPT if feature.name in CRITICS[name]]
        found = train_critic(seen, objective="outcome", features=features, anyway=True, name=name, seed=seed)
        assert found.critic is not None
        found.critic.save(path)

    def critics(self, k: int, seed: int, pool: Executor) -> list[Folded]:
        """All critics, trained side by side."""
        with tempfile.TemporaryDirectory() as folder:
            paths = {(name, fold): Path(folder) / f"{len(name)}-{fold}.json" for name in CRITICS for fold in range(k)}
            work = [pool.submit(train_one, self, name, fold, seed, path) for (name, fold), path in paths.items()]
            for one in work:
                one.result()
            return [
                Folded(tuple(quick(load_critic(paths[name, fold])) for fold in range(k)), self.place, name)
                for name in CRITICS
            ]


def train_one(dealt: Dealt, name: str, fold: int, seed: int, path: Path) -> None:
    """In a process of its own."""
    dealt.train(name, fold, seed, path)


def quick(critic: Learned) -> Learned:
    """The same critic, with features that remember."""
    kept = {feature.name: feature for feature in KEPT}
    return replace(critic, features=tuple(kept[feature.name] for feature in critic.features))


def show(rows: Sequence[Outcome], k: int, seed: int, pool: Executor, said: argparse.Namespace | None) -> None:
    """All figures for one way to deal the folds."""
    print(f"\n{len({row.id for row in rows})} questions, {len(rows)} answers, {k} folds by question, seed {seed}")
    critics = Dealt.of(rows, k, seed).critics(k, seed, pool)
    own, full, alone, plain = (audit(critic, rows, seed=seed) for critic in (Own(), *critics))
    line("best single prompt, in hindsight", hindsight(rows))
    line(f"{SINGLE}, chosen on other folds", full.ways[SINGLE])
    line(f"{MAJORITY}", full.ways[MAJORITY])
    line("the self-critique's pick", own.ways[BEST])
    line("  less the best single prompt", own_gap(own), signed=True)
    for report in (full, alone, plain):
        line(f"{report.critic}: weighted vote", report.ways[WEIGHTED])
        line("  less the majority", report.gains[MAJORITY], signed=True)
        line("  its best of all", report.ways[BEST])
        line("  AUC", report.auc)
        for one in report.reliability:
            line(f"  calibration error, {one.name}", one.ece)
    line("outcome critic less vote share and length", full.better(plain), signed=True)
    line("without agreement less vote share and length", alone.better(plain), signed=True)
    if said and said.page:
        full.page(said.page)
    if said and said.json:
        said.json.write_text(json.dumps(full.to_json()), encoding="utf-8")
    if said:
        print(f"\n{full}\n\n{own}", flush=True)


def hindsight(rows: Sequence[Outcome]) -> Interval | None:
    """The prompt that is right most often on these very questions: better than anybody could have chosen."""
    by_prompt: dict[str, list[list[float]]] = {}
    for row in rows:
        by_prompt.setdefault(row.response.generator, []).append([row.value])
    return max(filter(None, map(interval, by_prompt.values())), key=lambda found: found.mean)


def own_gap(report: Report) -> Interval | None:
    """The self-critique's pick less the best single prompt, question by question."""
    return interval([[row[BEST] - row[SINGLE]] for row in report.questions.values()])


def line(name: str, said: Interval | None, *, signed: bool = False) -> None:
    """A figure."""
    print(f"{name:<46} {'' if said is None else said.signed if signed else said}", flush=True)


if __name__ == "__main__":
    main()
