"""CPU a query over 100,000 passages, under labels that leave all of them, a tenth, and a hundredth.

    python benchmarks/retrieval.py [--passages 100000] [--queries 200] [--seed 0] [--folder DIR] [--lance]

The passages have about 60 words each: made-up words that are as frequent as Zipf says, each document with a subject
that favours some of them. Their vectors have 384 numbers: sums of a fixed vector for each word. Every row asks
queries of its own, which were not asked before: "new" is the first time, with words that may be new too, "again" the
same ones once more. Queries are embedded beforehand. CPU is this process's, all threads together.
With `--folder` the file is made there once, and grows by 1,000 passages with each run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval import postings
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import Embedder, embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.retrieval.vectors import Dense, Exact

WIDE, WORDS, VOCABULARY, SUBJECTS, EACH, SIZE = 384, 60, 60_000, 200, 20, 80
READERS = {0: ("owner", "tenth", "hundredth"), **dict.fromkeys(range(10, 100, 10), ("owner", "tenth"))}
"""Who reads a document, by its number modulo 100; its owner alone reads the others."""


ZIPF = np.cumsum(1 / (np.arange(VOCABULARY) + 2.7))
ZIPF /= ZIPF[-1]
"""How often each word comes, and those before it (Zipf, with Mandelbrot's shift)."""


# -- the passages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A language with subjects: what is written about one favours some of its words."""

    seed: int

    @cached_property
    def words(self) -> Any:
        """Words of one to four syllables, the short ones first, as in languages."""
        rng = np.random.default_rng([self.seed, 1])
        syllables = np.array([a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("", "n", "r", "l", "k")])
        drawn = syllables[rng.integers(len(syllables), size=(2 * VOCABULARY, 4))]
        lengths = np.minimum(4, 1 + np.arange(len(drawn)) // 200)
        words = dict.fromkeys("".join(parts[:n]) for parts, n in zip(drawn, lengths, strict=True))
        return np.array(list(words)[:VOCABULARY])

    def documents(self, first: int, passages: int) -> Iterator[Document]:
        """Documents of `EACH` paragraphs, numbered from `first`."""
        for number in range(first, first + passages // EACH):
            drawn = self.words[self.drawn(np.random.default_rng([self.seed, 2, number]), (EACH, WORDS))]
            text = "\n\n".join(" ".join(paragraph).capitalize() + "." for paragraph in drawn)
            yield Document(f"document-{number:06}", text, meta={"number": number})

    def queries(self, what: int, n: int) -> list[str]:
        """Seven words of one subject, frequent ones among them. Each `what` has queries of its own."""
        rng = np.random.default_rng([self.seed, 3, what])
        return [" ".join(self.words[self.drawn(rng, (7,))]) for _ in range(n)]

    def drawn(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Numbers of words: half of them from all, half of them from those of a subject that is drawn first."""
        subject, own = int(rng.integers(SUBJECTS)), len(ZIPF) // SUBJECTS
        common = np.searchsorted(ZIPF, rng.random(shape))
        special = np.searchsorted(ZIPF[:own], rng.random(shape) * ZIPF[own - 1]) * SUBJECTS + subject
        return np.where(rng.random(shape) < 0.5, common, special)


def embedding(seed: int) -> Embedder:
    """Texts to sums of their words' vectors; a text that was embedded before costs a look into a table."""
    table = np.random.default_rng([seed, 4]).standard_normal((8192, WIDE), dtype=np.float32)
    known = dict[str, Any]()

    def vector(text: str) -> Any:
        return table[[zlib.crc32(word.strip(".").lower().encode()) % len(table) for word in text.split()]].sum(axis=0)

    def embed(texts: Sequence[str]) -> list[Any]:
        return [vector(text) for text in texts]

    def ask(texts: Sequence[str]) -> list[Any]:
        return [known[text] if text in known else known.setdefault(text, vector(text)) for text in texts]

    return embedder(embed, name="local:words", dimension=WIDE, query=ask)


def fill(knowledge: Knowledge, world: World, first: int, passages: int) -> None:
    """Add documents under their labels."""
    parts = dict[tuple[str, ...], list[Document]]()
    for document in world.documents(first, passages):
        readers = READERS.get(document.meta["number"] % 100, ("owner",))
        parts.setdefault(readers, []).append(document)
        if len(parts[readers]) == 100:
            knowledge.add(parts.pop(readers), labels=Labels(readers=readers))
    for readers, rest in parts.items():
        knowledge.add(rest, labels=Labels(readers=readers))


# -- what is measured ----------------------------------------------------------------------------------------------


async def timed(retriever: Retriever, queries: Sequence[str], k: int = 10) -> list[float]:
    """CPU milliseconds of each query."""
    found = list[float]()
    for query in queries:
        began = time.process_time()
        await retriever(query, k)
        found.append(1000 * (time.process_time() - began))
    return found


async def row(name: str, retriever: Retriever, queries: Sequence[str], most: float | None) -> None:
    """A line: the first time, the second time, and what is promised."""
    new, again = await timed(retriever, queries), await timed(retriever, queries)
    tail = np.percentile(new, 95)
    limit = "" if most is None else f"{most:5.0f}  {'yes' if statistics.median(new) <= most else 'NO'}"
    print(f"{name:34} {statistics.median(new):7.2f} {tail:7.2f} {new[0]:9.1f} {statistics.median(again):7.2f}  {limit}")


async def recall(reader: Reader, ask: Embedder, queries: Sequence[str], k: int = 10) -> float:
    """The share of the nearest passages, by a product with all that the reader may see, that the search finds."""
    visible, found = reader.visible(), list[float]()
    every = dict(reader.index.read("SELECT passage, vector FROM vectors"))
    vectors = np.array([np.frombuffer(every[int(id)], "<f4") for id in visible.rows.ids[visible.positions]])
    for query in queries:
        (vector,) = await ask([query], query=True)
        nearest = set(visible.positions[np.argsort(-(vectors @ vector), kind="stable")[:k]].tolist())
        positions, _ = Exact(reader.index).nearest(vector, k, visible)
        found.append(len(nearest & set(positions.tolist())) / k)
    return statistics.mean(found)


async def table(knowledge: Knowledge, world: World, n: int, ask: Embedder) -> None:
    """All rows, each with queries of its own."""
    print(f"\n{'CPU ms a query, k = 10':34} {'new':>7} {'95 %':>7} {'the first':>9} {'again':>7}  {'most':>5}")
    shares, number = {"owner": "all", "tenth": "10 %", "hundredth": "1 %"}, iter(range(1000))
    limits = {"words": (20, None, 5), "vectors": (None, None, 10), "both": (35, None, None)}
    for what, most in limits.items():
        for (principal, share), limit in zip(shares.items(), most, strict=True):
            queries = world.queries(next(number), n)
            await ask(queries, query=True)
            await row(f"{what}, {share} of the passages", ways(knowledge.reader(principal))[what], queries, limit)
    kept, postings.KEPT = postings.KEPT, 0
    await row("words, all, every list read anew", BM25(knowledge.reader()), world.queries(next(number), n), 20)
    postings.KEPT = kept
    found = await recall(knowledge.reader("hundredth"), ask, world.queries(next(number), n))
    print(f"\nrecall@10 of the vectors under 1 %: {found:.4f}")


def ways(reader: Reader) -> dict[str, Retriever]:
    """The retrievers that are measured."""
    return {"words": BM25(reader), "vectors": Dense(reader), "both": Hybrid((BM25(reader), Dense(reader)))}


async def first(file: Path, world: World, ask: Embedder) -> None:
    """What a process waits for that has just begun: each first search on a file opened for it."""
    for what in ("words", "vectors", "both"):
        for principal in ("owner", "hundredth"):
            (query,) = world.queries(zlib.crc32(f"{what} {principal}".encode()), 1)
            await ask([query], query=True)
            cpu, wall = time.process_time(), time.perf_counter()
            with Knowledge(file, ask, size=SIZE) as knowledge:
                await ways(knowledge.reader(principal))[what](query, 10)
            cpu, wall = 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)
            print(f"opening the file and the first search by {what} as {principal}: {cpu:.0f} ms of CPU, {wall:.0f} ms")


async def grow(knowledge: Knowledge, world: World, first: int, ask: Embedder) -> None:
    """Add 1,000 passages, and find one of them at once."""
    reader = knowledge.reader()
    await ways(reader)["both"](world.queries(2000, 1)[0], 10)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.to_thread(fill, knowledge, world, first, 1000)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    last = knowledge.passages(f"document-{first + 1000 // EACH - 1:06}")[-1]
    asked = " ".join(last.text.split()[:12])
    await ask([asked], query=True)
    for name, retriever in ways(reader).items():
        (spent,), found = await timed(retriever, [asked]), await retriever(asked, 10)
        print(f"added 1,000 passages: found by {name}: {last.id in [p.id for p in found]}, first query {spent:.1f} ms")
    print(f"adding 1,000 passages: {cpu:.2f} s of CPU, {wall:.2f} s (at most 2)")


# -- beyond --------------------------------------------------------------------------------------------------------


async def beyond(knowledge: Knowledge, world: World, n: int, ask: Embedder, folder: Path) -> None:
    """The same by LanceDB's index, which lies on the disk."""
    from thoughtgraph.retrieval.lance import Lance

    lance = Lance(knowledge.index, folder)
    for principal in ("owner", "tenth", "hundredth"):
        reader = knowledge.reader(principal)
        queries = world.queries({"owner": 3000, "tenth": 3001, "hundredth": 3002}[principal], n)
        await ask(queries, query=True)
        await row(f"LanceDB, {principal}", Dense(reader, lance), queries, None)
        shares, visible = list[float](), reader.visible()
        for query in queries:
            (vector,) = await ask([query], query=True)
            both = [set(by.nearest(vector, 10, visible)[0].tolist()) for by in (lance, Exact(knowledge.index))]
            shares.append(len(both[0] & both[1]) / 10)
        print(f"{'':34} recall@10 {statistics.mean(shares):.3f}")


def main() -> None:
    """Make the file, ask, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--passages", type=int, default=100_000)
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path, help="where the file is made, or found again")
    options.add_argument("--lance", action="store_true", help="LanceDB too, which takes a minute")
    said = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = (said.folder or Path(scratch)) / f"{said.passages}-{said.seed}.db"
        world, ask = World(said.seed), embedding(said.seed)
        if not file.exists():
            began, cpu = time.perf_counter(), time.process_time()
            with Knowledge(file, ask, size=SIZE) as knowledge:
                fill(knowledge, world, 0, said.passages)
            print(f"made in {time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU")
        print(f"{file.stat().st_size / 1e6:.0f} MB on disk", end=", ")
        asyncio.run(measured(said, file, world, ask))


async def measured(said: argparse.Namespace, file: Path, world: World, ask: Embedder) -> None:
    """One file."""
    with Knowledge(file, ask, size=SIZE) as knowledge:
        rows = knowledge.reader().visible().rows
        print(f"{len(rows):,} passages of {rows.length.mean():.0f} words")
        await first(file, world, ask)
        await table(knowledge, world, said.queries, ask)
        print()
        if said.lance:
            await beyond(knowledge, world, said.queries, ask, file.with_suffix(".lance"))
        await grow(knowledge, world, said.passages // EACH + len(rows), ask)


if __name__ == "__main__":
    main()
