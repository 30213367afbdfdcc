"""`Dense` and `Exact`: all that is visible is compared, and nothing else, however it got into memory."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from thoughtgraph.errors import StoreError, TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval import matrix as matrices
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.matrix import matrix
from thoughtgraph.retrieval.vectoring import embedder_of
from thoughtgraph.retrieval.vectors import Dense, Exact

ADA, WIDE = Labels(readers=("ada",)), 16


def drawn(texts) -> list:
    """A direction for each last word, the same every time."""
    seeds = [zlib.crc32(text.split()[-1].encode()) for text in texts]
    return [np.random.default_rng(seed).standard_normal(WIDE) for seed in seeds]


def opened(path, precision="float32") -> Knowledge:
    return Knowledge(path / "notes.db", embedder(drawn, name="local:drawn", dimension=WIDE, precision=precision))


@pytest.fixture
def knowledge(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(params=[(8192, 8), (4, 8), (4, 1), (8192, 10**9)], ids=["large", "small", "runs", "copies"])
def way(request, monkeypatch):
    """Blocks of few vectors; what is visible in them multiplied where it lies, or copied."""
    block, run = request.param
    monkeypatch.setattr(matrices, "BLOCK", block)
    monkeypatch.setattr(matrices, "RUN", run)


def put(knowledge, numbers, labels=None) -> None:
    knowledge.add([Document(f"n-{n}", f"number {n}") for n in numbers], labels=labels)


def by_hand(numbers, query: int, k: int) -> list[str]:
    """The nearest by a product with each, in double precision."""
    unit = {n: v / np.linalg.norm(v) for n, v in ((n, drawn([f"{n}"])[0]) for n in [*numbers, query])}
    return [f"n-{n}" for n in sorted(numbers, key=lambda n: -(unit[n] @ unit[query]))[:k]]


async def found(knowledge, query: int, k: int = 5, who: str = "ada", **where) -> list[str]:
    return [p.document for p in await Dense(knowledge.reader(who, where=where or None))(f"number {query}", k)]


# -- exact ---------------------------------------------------------------------------------------------------------


async def test_the_nearest_are_found_under_any_labels(knowledge, way):
    rng = np.random.default_rng(0)
    hers = {n for n in range(60) if rng.random() < 0.2}
    for n in range(60):
        put(knowledge, [n], ADA if n in hers else Labels())
    for query in (3, 100, 101, 102):
        assert await found(knowledge, query) == by_hand(hers, query, 5)
        assert await found(knowledge, query, who="owner") == by_hand(set(range(60)) - hers, query, 5)
        assert await found(knowledge, query, k=99) == by_hand(hers, query, 99)
        assert await found(knowledge, query, k=0) == []


def test_the_cosines_fall_and_equal_vectors_come_in_the_order_of_their_adding(knowledge, way):
    knowledge.add([Document(f"d-{i}", f"{word} {i % 2}") for i, word in enumerate("abcdefghij")], labels=ADA)
    visible = knowledge.reader("ada").visible()
    positions, cosines = Exact(knowledge.index).nearest(drawn(["x 1"])[0], 7, visible)
    assert positions.tolist() == [1, 3, 5, 7, 9, 0, 2]
    assert cosines[:5].tolist() == pytest.approx([1.0] * 5, abs=1e-6)
    assert len(set(cosines[:5].tolist())) == 1
    assert len(set(cosines[5:].tolist())) == 1


async def test_half_precision_finds_the_same(tmp_path):
    with opened(tmp_path, "float16") as knowledge:
        put(knowledge, range(30), ADA)
        assert await found(knowledge, 77) == by_hand(range(30), 77, 5)


async def test_a_filter_leaves_the_nearest_of_the_rest(knowledge, way):
    knowledge.add([Document(f"n-{n}", f"number {n}", meta={"third": n % 3}) for n in range(40)], labels=ADA)
    assert await found(knowledge, 50, third=1) == by_hand(range(1, 40, 3), 50, 5)
    assert await found(knowledge, 50, third=9) == []


# -- what may not be seen ------------------------------------------------------------------------------------------


def spoil(knowledge, who: str, blob: bytes) -> None:
    """Put something else in the place of what somebody may not see."""
    visible = knowledge.reader(who).visible()
    forbidden = visible.rows.ids[~visible.mask].tolist()
    with knowledge.index.writing() as db:
        db.executemany("UPDATE vectors SET vector = ? WHERE passage = ?", [(blob, id) for id in forbidden])
        db.execute("UPDATE about SET value = value + 1 WHERE name = 'generation'")


async def test_a_forbidden_vector_is_not_even_read(tmp_path):
    with opened(tmp_path) as knowledge:
        put(knowledge, range(0, 40, 2), ADA)
        put(knowledge, range(1, 40, 2))
        spoil(knowledge, "ada", b"short")
    with opened(tmp_path) as again:
        assert await found(again, 77) == by_hand(range(0, 40, 2), 77, 5)
        with pytest.raises(StoreError, match="16 numbers"):
            await found(again, 77, who="owner")


async def test_a_forbidden_vector_in_memory_is_never_multiplied(tmp_path, way):
    with opened(tmp_path) as knowledge:
        for n in range(40):
            put(knowledge, [n], ADA if n % 4 == 1 else Labels())
        spoil(knowledge, "ada", np.full(WIDE, np.nan, "<f4").tobytes())
    with opened(tmp_path) as again:
        everybody = again.reader(("owner", "ada")).visible()
        Exact(again.index).nearest(drawn(["x 77"])[0], 5, everybody)
        visible = again.reader("ada").visible()
        seen = matrix(again.index, embedder_of(again.index)[0]).seen(again.index, visible)
        near = seen.cosines(np.ones(WIDE, np.float32))
        assert len(near) == 10
        assert np.isfinite(near).all()
        assert await found(again, 77) == by_hand(range(1, 40, 4), 77, 5)


def test_what_others_add_and_delete_changes_no_bit(knowledge, way):
    put(knowledge, range(0, 40, 2), ADA)

    def bits() -> list[bytes]:
        visible, query = knowledge.reader("ada").visible(), drawn(["x 5"])[0]
        return [Exact(knowledge.index).nearest(query, 9, visible)[1].tobytes()]

    before = bits()
    put(knowledge, range(1, 40, 2))
    Exact(knowledge.index).nearest(drawn(["x 5"])[0], 9, knowledge.reader().visible())
    assert bits() == before
    for n in range(1, 40, 4):
        knowledge.delete(f"n-{n}")
    assert bits() == before


# -- while it changes ----------------------------------------------------------------------------------------------


async def test_what_is_added_is_found_and_what_is_deleted_or_relabelled_is_not(knowledge, way):
    put(knowledge, range(20), ADA)
    assert await found(knowledge, 50) == by_hand(range(20), 50, 5)
    put(knowledge, range(20, 50), ADA)
    assert await found(knowledge, 50) == by_hand(range(50), 50, 5)
    for n in range(10, 45):
        knowledge.delete(f"n-{n}")
    left = {*range(10), *range(45, 50)}
    assert await found(knowledge, 50) == by_hand(left, 50, 5)
    knowledge.relabel("n-3", Labels())
    assert await found(knowledge, 50, k=20) == by_hand(left - {3}, 50, 20)


async def test_memory_does_not_grow_with_what_went(knowledge, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK", 8)
    for n in range(60):
        put(knowledge, [n], ADA)
        await found(knowledge, 50)
        if n >= 5:
            knowledge.delete(f"n-{n - 5}")
    assert await found(knowledge, 50) == by_hand(range(55, 60), 50, 5)
    assert len(matrix(knowledge.index, embedder_of(knowledge.index)[0])._blocks) <= 4


async def test_a_passage_without_a_vector_is_not_found_until_it_has_one(tmp_path):
    with Knowledge(tmp_path / "notes.db") as bare:
        put(bare, range(10), ADA)
    with opened(tmp_path) as knowledge:
        assert Exact(knowledge.index).nearest(np.ones(WIDE), 5, knowledge.reader("ada").visible())[0].tolist() == []
        await knowledge.aembed()
        assert await found(knowledge, 50) == by_hand(range(10), 50, 5)


async def test_a_passage_that_its_labels_keep_from_the_embedder_is_not_found_by_meaning(knowledge):
    put(knowledge, [1, 2], ADA)
    put(knowledge, [3], Labels(readers=("ada",), models=()))
    assert sorted(await found(knowledge, 3)) == ["n-1", "n-2"]


def test_many_may_search_while_others_add(knowledge, way):
    put(knowledge, range(30), ADA)
    right = by_hand(range(30), 99, 5)
    with ThreadPoolExecutor(6) as pool:
        adding = pool.submit(lambda: [put(knowledge, range(30 + 3 * n, 33 + 3 * n)) for n in range(6)])
        searches = [pool.submit(lambda: asyncio.run(found(knowledge, 99))) for _ in range(40)]
        everything = [pool.submit(lambda: asyncio.run(found(knowledge, 99, who="owner"))) for _ in range(10)]
        assert [search.result() for search in searches] == [right] * 40
        assert [len(search.result()) <= 5 for search in everything] == [True] * 10
        adding.result()


# -- what goes wrong -----------------------------------------------------------------------------------------------


async def test_half_a_character_pair_in_a_query_is_no_reason_to_fail(tmp_path):
    def bytewise(texts) -> list:
        return [[1.0, float(len(text.encode()))] for text in texts]

    with Knowledge(tmp_path / "k.db", embedder(bytewise, name="local:bytes", dimension=2)) as k:
        k.add("text", name="a")
        assert [p.text for p in await Dense(k.reader())("\ud800?", 1)] == ["text"]


async def test_without_an_embedder_it_says_so(tmp_path):
    with opened(tmp_path) as knowledge:
        put(knowledge, [1], ADA)
    with Knowledge(tmp_path / "notes.db") as knowledge, pytest.raises(TaskError, match="opened without an embedder"):
        await found(knowledge, 1)


@pytest.mark.parametrize("query", [np.ones(WIDE + 1), np.zeros(WIDE), np.full(WIDE, np.nan)])
def test_a_query_without_a_direction_is_an_error(knowledge, query):
    put(knowledge, [1], ADA)
    with pytest.raises(TaskError):
        Exact(knowledge.index).nearest(query, 5, knowledge.reader("ada").visible())
