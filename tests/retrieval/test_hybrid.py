"""`Hybrid`: reciprocal rank fusion, its ranks from 1, over the lists alone that have a passage."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import thoughtgraph as tg
from thoughtgraph.errors import Forbidden, TaskError
from thoughtgraph.labels import Labels, resting_on
from thoughtgraph.retrieval import Dense, Knowledge, Retrieve, embedder
from thoughtgraph.retrieval.hybrid import Hybrid, fused
from thoughtgraph.thought import Passage


def passages(names: str) -> list[Passage]:
    return [Passage(f"text {name}", id=name, base="file") for name in names]


class Listed:
    """Always the same list, and what it was asked for."""

    def __init__(self, names: str) -> None:
        self.found, self.asked = passages(names), []

    async def __call__(self, query: str, k: int) -> list[Passage]:
        self.asked.append((query, k))
        await asyncio.sleep(0)
        return self.found[:k]


async def order(*lists: str, weights=None, k: int = 9, **how) -> str:
    return "".join(p.id for p in await Hybrid([Listed(names) for names in lists], weights, **how)("q", k))


async def test_the_sum_of_the_reciprocal_ranks_decides():
    # a 1/61, b 1/62 + 1/61, c 1/63 + 1/63, d 1/62
    assert await order("abc", "bdc") == "bcad"


async def test_who_is_missing_in_a_list_gets_nothing_from_it():
    # 1/62 + 1/65 and 1/63 + 1/64, before all that one list has alone
    assert await order("xab", "pqrba") == "abxpqr"
    # with k = 0: x and p 1, a 1/2 + 1/5 = 0.7, b 1/3 + 1/4 = 0.58, q 1/2, r 1/3
    lists = [passages("xab"), passages("pqrba")]
    assert "".join(p.id for p in fused(lists, [1, 1], k=0)) == "xpabqr"


async def test_weights_are_respected():
    assert await order("ab", "ba") == "ab"
    assert await order("ab", "ba", weights=(1, 1.1)) == "ba"
    assert await order("ab", "cd", weights=(1, 2)) == "cdab"


async def test_a_retriever_that_weighs_nothing_is_not_asked():
    one, none = Listed("ab"), Listed("cd")
    assert [p.id for p in await Hybrid((one, none), (1, 0))("q", 9)] == ["a", "b"]
    assert none.asked == []


async def test_of_equal_sums_the_better_rank_comes_first_and_then_the_earlier_list():
    assert await order("ab", "cd") == "acbd"
    assert await order("cd", "ab") == "cadb"


async def test_three_lists_in_any_order_give_equal_sums():
    weights = (0.1, 0.2, 0.3)
    lists = [passages(names) for names in ("abc", "bca", "cab")]
    assert len({tuple(p.id for p in fused(lists, (w, w, w))) for w in weights}) == 1
    assert [p.id for p in fused(lists, (0.1, 0.1, 0.1))] == ["a", "b", "c"]


async def test_a_passage_that_a_list_has_twice_counts_once_and_takes_no_rank():
    # b 1/61 + 1/62, c 1/62 + 1/61
    assert await order("bbc", "cb") == "bc"
    assert await order("aab", "b") == "ba"


async def test_passages_of_two_files_are_two_and_those_without_an_id_go_by_their_text():
    one, other = Passage("x", id="a", base="1"), Passage("x", id="a", base="2")
    own, same = Passage("words", "here"), Passage(" words\n", "there")
    assert fused([[one, own], [other, same]], (1, 1)) == [own, one, other]


async def test_each_list_is_asked_as_deep_as_it_takes():
    one = Listed("abc")
    hybrid = Hybrid((one,), depth=5)
    assert len(await hybrid("q", 2)) == 2
    await hybrid("q", 7)
    assert one.asked == [("q", 5), ("q", 7)]
    assert await hybrid("q", 0) == []


async def test_a_retriever_that_fails_fails_the_search():
    async def broken(query: str, k: int):
        raise ConnectionError("no library")

    with pytest.raises(ConnectionError):
        await Hybrid((Listed("a"), broken))("q", 3)


@pytest.mark.parametrize("weights", [(1,), (1, -1), (0, 0), (1, float("nan")), (1, float("inf"))])
def test_weights_that_do_not_fit_are_an_error(weights):
    with pytest.raises(TaskError, match="expected 2 numbers"):
        Hybrid((Listed("a"), Listed("b")), weights)


def test_nothing_to_fuse_is_an_error():
    with pytest.raises(TaskError, match="no retrievers"):
        Hybrid(())


# -- queries that are private -----------------------------------------------------------------------------------------


class Remote:
    """An embedder elsewhere, and what it was sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def __call__(self, texts, *, query=False):
        self.sent += texts
        return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]


HERE = Labels(models=("local:*",))


def looking(retriever) -> tg.Task:
    return tg.Task(
        "Zorblax?", actions={"retrieve": Retrieve(retriever, query=lambda state: state.thought.text or "Zorblax")}
    )


async def from_the_secret(search: tg.Search) -> tg.Thought:
    found = await search.expand(search.root, action="retrieve")
    secret = next(one for one in found if "patient" in one.text)
    return (await search.expand(secret, action="retrieve") or [secret])[0]


async def test_a_query_made_of_what_the_embedder_may_not_see_is_not_sent_and_words_still_find(tmp_path):
    remote = Remote()
    with Knowledge(tmp_path / "k.db", embedder(remote, name="openai:embed", dimension=4)) as knowledge:
        knowledge.add("The patient is Zorblax.", name="secret", labels=HERE)
        knowledge.add("Zorblax is a plant from Ely.", name="open")
        result = await tg.asolve(looking(knowledge), policy=from_the_secret)
        assert "plant" in result.thought.text
        assert "Zorblax" in remote.sent
        assert not any("patient" in text for text in remote.sent)
        with pytest.raises(Forbidden, match="openai:embed"), resting_on([HERE]):
            await Dense(knowledge.reader())("The patient is Zorblax.", 3)
