"""`Diverse`: the paper's formula, over the file's vectors, or over words."""

from __future__ import annotations

import numpy as np
import pytest

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.diverse import Diverse, chosen, likeness
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.neighbours import Neighbours
from thoughtgraph.thought import Passage

TEXTS = [
    "the cat sat on the mat",
    "the cat sat on a mat",
    "a dog ran in the park",
    "the cat sat on the mat today",
    "fish",
]


async def inner(query: str, k: int) -> list[Passage]:
    return [Passage(text) for text in TEXTS][:k]


async def order(balance: float = 0.5, k: int = 9, depth: int = 50) -> list[int]:
    return [TEXTS.index(p.text) for p in await Diverse(inner, balance, depth)("q", k)]


def test_the_formula_by_hand():
    # rank 1, 2, 3 are worth 1, 0.63, 0.5; 0 and 1 are much alike, 2 is unlike both
    alike = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]])
    # after 0: thought 1 is 0.5 * 0.63 - 0.5 * 0.9 = -0.13, thought 2 is 0.5 * 0.5 - 0.5 * 0.1 = 0.2
    assert chosen(alike, 3, 0.5) == [0, 2, 1]
    assert chosen(alike, 2, 0.5) == [0, 2]
    assert chosen(alike, 3, 1.0) == [0, 1, 2]
    # 0.9 * 0.63 - 0.1 * 0.9 = 0.48, 0.9 * 0.5 - 0.1 * 0.1 = 0.44
    assert chosen(alike, 3, 0.9) == [0, 1, 2]
    assert chosen(alike, 0, 0.5) == []
    assert chosen(np.empty((0, 0)), 3, 0.5) == []


async def test_what_repeats_comes_last_and_the_first_stays_first():
    assert (await order())[:3] == [0, 2, 4]
    assert sorted(await order()) == [0, 1, 2, 3, 4]
    assert await order(1.0) == [0, 1, 2, 3, 4]
    assert (await order(0.0))[0] == 0
    assert await order(k=2) == [0, 2]


async def test_only_the_first_few_are_considered():
    assert sorted(await order(depth=2, k=2)) == [0, 1]
    assert await order(k=0) == []


async def test_what_lies_deeper_comes_after_as_it_was_found():
    assert await order(depth=3) == [0, 2, 1, 3, 4]


async def test_the_same_passage_twice_is_one():
    async def twice(query, k):
        return [Passage("a b"), Passage("a b"), Passage("c")]

    assert [p.text for p in await Diverse(twice)("q", 9)] == ["a b", "c"]


def test_passages_without_words_are_alike():
    assert likeness([Passage("?!"), Passage("..."), Passage("a")], None).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


POINTS = {"red": (1, 0), "scarlet": (0.99, 0.14), "green": (0, 1), "secret": (0.6, 0.8)}


def pointed(texts) -> list:
    return [next((point for word, point in POINTS.items() if word in text), (0.5, -0.5)) for text in texts]


@pytest.fixture
def knowledge(tmp_path):
    with Knowledge(tmp_path / "notes.db", embedder(pointed, name="local:points", dimension=2)) as made:
        made.add([Document(word, f"colour {word}") for word in ("red", "scarlet", "green")], labels=Labels(("ada",)))
        made.add("colour secret", name="secret", labels=Labels(("ada",), models=()))
        yield made


async def test_the_vectors_of_the_file_say_what_is_alike(knowledge):
    reader = knowledge.reader("ada")
    for found in (reader, BM25(reader), Hybrid([BM25(reader)]), Neighbours(BM25(reader))):
        assert [p.document for p in await Diverse(found)("colour", 3)][:2] == ["red", "green"]
    assert [p.document for p in await Diverse(BM25(reader), 1)("colour", 4)] == ["red", "scarlet", "green", "secret"]


async def test_a_passage_without_a_vector_is_compared_by_its_words(knowledge):
    reader = knowledge.reader("ada")
    found = await BM25(reader)("colour", 4)
    alike = likeness([*found, Passage("colour of mine")], reader).round(2).tolist()
    assert alike[0][:3] == [1, 0.99, 0]
    assert alike[3] == [0.33, 0.33, 0.33, 1, 0.25]


async def test_vectors_that_the_reader_may_not_see_are_not_compared(knowledge):
    found = await BM25(knowledge.reader("ada"))("colour", 3)
    assert likeness(found, knowledge.reader("bob"))[0].round(2).tolist() == [1, 0.33, 0.33]


@pytest.mark.parametrize("how", [{"balance": -0.1}, {"balance": 1.1}, {"depth": 0}])
def test_settings_out_of_range_are_errors(how):
    with pytest.raises(ValueError, match="expected a number"):
        Diverse(inner, **how)
