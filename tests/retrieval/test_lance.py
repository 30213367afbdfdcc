"""`Lance`: LanceDB behind the same protocol as the exact search, its filter pushed down."""

from __future__ import annotations

import zlib
from importlib.util import find_spec

import numpy as np
import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.lance import Lance, predicate
from thoughtgraph.retrieval.vectors import Dense, Exact

HERE = find_spec("lancedb") is not None
ADA, WIDE = Labels(readers=("ada",)), 16

needed = [pytest.mark.optional, pytest.mark.skipif(not HERE, reason="lancedb is not installed")]


def drawn(texts) -> list:
    seeds = [zlib.crc32(text.split()[-1].encode()) for text in texts]
    return [np.random.default_rng(seed).standard_normal(WIDE) for seed in seeds]


@pytest.fixture
def knowledge(tmp_path):
    with Knowledge(tmp_path / "notes.db", embedder(drawn, name="local:drawn", dimension=WIDE)) as made:
        yield made


def put(knowledge, numbers, labels=None) -> None:
    knowledge.add([Document(f"n-{n}", f"number {n}", meta={"n": n}) for n in numbers], labels=labels)


def same(knowledge, lance, reader, queries=range(500, 520)) -> float:
    """The share of the exact search's ten that this one finds."""
    visible, shares = reader.visible(), []
    for query in drawn([f"x {n}" for n in queries]):
        exact, found = (by.nearest(query, 10, visible) for by in (Exact(knowledge.index), lance))
        assert visible.mask[found[0]].all()
        assert np.diff(found[1]).max(initial=-1) <= 0
        shares.append(np.isin(exact[0], found[0]).mean())
    return float(np.mean(shares))


@pytest.mark.skipif(HERE, reason="lancedb is installed")
def test_without_its_package_it_says_what_to_install(knowledge, tmp_path):
    with pytest.raises(TaskError, match=r"pip install \"thoughtgraph\[lance\]\""):
        Lance(knowledge.index, tmp_path / "lance")


def test_the_filter_is_said_by_as_few_numbers_as_say_it(knowledge):
    put(knowledge, range(6), ADA)
    put(knowledge, range(6, 9))
    put(knowledge, range(9, 12), Labels(readers=("ada", "bob")))
    assert predicate(knowledge.reader(("ada", "owner")).visible()) == ""
    assert predicate(knowledge.reader("ada").visible()) == "label IN (1, 3)"
    assert predicate(knowledge.reader("bob").visible()) == "label IN (3)"
    assert predicate(knowledge.reader("ada", where={"n": [2, 4]}).visible()) == "document IN (3, 5)"
    assert predicate(knowledge.reader("nobody").visible()) == "label IN ()"


class TestLanceDB:
    pytestmark = needed

    @pytest.mark.parametrize("few", [50, 10_000], ids=["index", "flat"])
    def test_it_finds_what_the_exact_search_finds(self, knowledge, tmp_path, few):
        for n in range(0, 300, 10):
            put(knowledge, range(n, n + 10), ADA if n % 50 == 0 else None)
        lance = Lance(knowledge.index, tmp_path / "lance", few=few)
        for principal, where in [
            ("ada", None),
            ("owner", None),
            (("ada", "owner"), None),
            ("ada", {"n": [1, 2, 3, 51]}),
        ]:
            assert same(knowledge, lance, knowledge.reader(principal, where=where)) >= 0.95

    def test_it_follows_the_file(self, knowledge, tmp_path):
        lance = Lance(knowledge.index, tmp_path / "lance", few=50)
        reader = knowledge.reader("ada")
        assert lance.nearest(np.ones(WIDE), 5, reader.visible())[0].tolist() == []
        put(knowledge, range(80), ADA)
        assert same(knowledge, lance, reader) >= 0.95
        put(knowledge, range(80, 100), ADA)
        for n in range(0, 40, 2):
            knowledge.delete(f"n-{n}")
        knowledge.relabel("n-1", Labels())
        assert same(knowledge, lance, reader) >= 0.95
        assert same(knowledge, Lance(knowledge.index, tmp_path / "lance", few=50), knowledge.reader()) == 1.0

    async def test_a_dense_retriever_takes_it(self, knowledge, tmp_path):
        put(knowledge, range(30), ADA)
        put(knowledge, range(30, 60))
        lance = Lance(knowledge.index, tmp_path / "lance")
        found = await Dense(knowledge.reader("ada"), lance)("number 7", 3)
        assert found == await Dense(knowledge.reader("ada"))("number 7", 3)
        assert found[0].document == "n-7"
        assert await Dense(knowledge.reader("bob"), lance)("number 7", 3) == []

    def test_equal_vectors_come_in_the_order_of_their_adding(self, knowledge, tmp_path):
        knowledge.add([Document(f"d-{i}", f"{word} 1") for i, word in enumerate("abcdefghij")], labels=ADA)
        lance = Lance(knowledge.index, tmp_path / "lance")
        positions, _ = lance.nearest(drawn(["x 1"])[0], 4, knowledge.reader("ada").visible())
        assert positions.tolist() == [0, 1, 2, 3]
