"""`Reranked`: a judge orders, and never loses, what was found."""

from __future__ import annotations

import asyncio
import threading
import warnings
from functools import partial

import pytest

from thoughtgraph.retrieval.rerank import Reranked
from thoughtgraph.thought import Passage


async def inner(query: str, k: int) -> list[Passage]:
    return [Passage(text) for text in "abcdef"][:k]


def by(scores: dict):
    return lambda query, texts: [scores.get(text) for text in texts]


async def order(judge, k: int = 9, depth: int = 50) -> str:
    return "".join(p.text for p in await Reranked(inner, judge, depth)("q", k))


async def test_the_judge_decides_and_equal_scores_keep_their_order():
    assert await order(lambda query, texts: [ord(text) for text in texts]) == "fedcba"
    assert await order(by(dict(zip("abcdef", [0, 2, 0, 2, 0, -1], strict=True)))) == "bdacef"
    assert await order(lambda query, texts: [ord(text) for text in texts], k=2) == "fe"
    assert await order(lambda query, texts: [1] * len(texts), k=0) == ""


async def test_it_reads_the_query_and_the_texts_of_the_first_few_and_the_others_follow():
    seen = []

    async def judge(query: str, texts: list[str]) -> list[float]:
        seen.append((query, list(texts)))
        return [1.0, 2.0, 3.0]

    assert await order(judge, depth=3) == "cbadef"
    assert seen == [("q", ["a", "b", "c"])]


async def test_what_it_does_not_judge_keeps_its_place():
    assert await order(by({"a": 1, "c": 3, "f": 2})) == "cbfdea"
    assert await order(by({"a": 1, "b": float("nan"), "c": 3})) == "cbadef"


async def failing(query, texts):
    raise ConnectionError("no judge here")


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (failing, "no judge here"),
        (lambda query, texts: [1.0], "1 scores came for 6 texts"),
        (lambda query, texts: None, "TypeError"),
        (lambda query, texts: ["good"] * 6, "ValueError"),
    ],
)
async def test_a_judge_that_fails_leaves_the_order_and_says_so(judge, said):
    with pytest.warns(RuntimeWarning, match=f"stay as they were found.*{said}"):
        assert await order(judge) == "abcdef"


async def test_a_judge_that_is_an_object_works_async_or_not_and_does_not_block():
    class Plain:
        def __call__(self, query, texts):
            self.where = threading.current_thread()
            return [ord(text) for text in texts]

    class Waiting:
        async def __call__(self, query, texts):
            await asyncio.sleep(0)
            return [ord(text) for text in texts]

    plain = Plain()
    assert await order(plain) == await order(Waiting()) == "fedcba"
    assert plain.where is not threading.current_thread()
    assert await order(partial(lambda judge, *asked: judge(*asked), Waiting())) == "fedcba"


async def test_nothing_found_is_not_judged():
    async def none(query, k):
        return []

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await Reranked(none, failing)("q", 3) == []


async def test_a_search_that_is_cancelled_is_not_a_judge_that_fails():
    async def slow(query, texts):
        await asyncio.sleep(60)

    task = asyncio.create_task(order(slow))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_depth_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="depth"):
        Reranked(inner, failing, 0)
