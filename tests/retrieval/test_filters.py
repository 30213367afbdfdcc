"""A reader's filter and labels hold in every retriever, however they are put together."""

from __future__ import annotations

import pytest

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.diverse import Diverse
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.neighbours import Neighbours
from thoughtgraph.retrieval.rerank import Reranked
from thoughtgraph.retrieval.vectors import Dense

WAYS = {
    "bm25": BM25,
    "dense": Dense,
    "hybrid": lambda reader: Hybrid((BM25(reader), Dense(reader))),
    "reranked": lambda reader: Reranked(BM25(reader), lambda query, texts: [len(text) for text in texts]),
    "diverse": lambda reader: Diverse(Hybrid((BM25(reader), Dense(reader)))),
    "neighbours": lambda reader: Neighbours(Dense(reader), 3),
    "reader": lambda reader: reader,
}


def lettered(texts) -> list:
    return [[1 + text.count(letter) for letter in "aeiou"] for text in texts]


@pytest.fixture
def knowledge(tmp_path):
    with Knowledge(tmp_path / "notes.db", embedder(lettered, name="local:letters", dimension=5)) as made:
        for n in range(12):
            text = f"A cat of the year {2000 + n % 3}.\nA dog of number {n}."
            half = text.index("\n") + 1
            sections = [Section(0, half, ("Cats",)), Section(half, len(text), ("Dogs", "Big"))]
            labels = Labels(readers=("ada",) if n % 2 else ("bob",))
            meta = {"year": 2000 + n % 3, "tags": ["old", f"n{n}"]}
            made.add(Document(f"folder{n % 4}/{n}", text, sections=sections, meta=meta), labels=labels)
        yield made


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("where", "documents", "passages"),
    [
        (None, {1, 3, 5, 7, 9, 11}, 12),
        ({"year": 2001}, {1, 7}, 4),
        ({"year": [2000, 2001]}, {1, 3, 7, 9}, 8),
        ({"tags": "n5"}, {5}, 2),
        ({"document": "folder1/"}, {1, 5, 9}, 6),
        ({"section": "Dogs"}, {1, 3, 5, 7, 9, 11}, 6),
        ({"section": "Cats", "year": 2001}, {1, 7}, 2),
        ({"tags": "n4"}, set(), 0),
    ],
)
async def test_only_what_fits_and_may_be_seen_is_found(knowledge, way, where, documents, passages):
    found = await WAYS[way](knowledge.reader("ada", where=where))("a cat and a dog of the year", 99)
    assert {int(p.document.partition("/")[2]) for p in found} == documents
    joined = way == "neighbours" and (where is None or "section" not in where)
    assert len(found) == (passages // 2 if joined else passages)
    assert all(p.labels == Labels(readers=("ada",)) for p in found)
    assert all(not where or p.section.startswith(where.get("section", "")) for p in found)
