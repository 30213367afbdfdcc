"""Rag: the contract, and one look that one prompt answers from."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from __future__ import annotations

from collections.abc import Sequence

import pytest

import thoughtgraph as tg
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.search.rag import Rag
from thoughtgraph.testing import PolicyContract


class TestRag(PolicyContract):
    policy = Rag()


class TestRagWithAVote(PolicyContract):
    policy = Rag(passages=2, n=3)


def looked(policy: Rag, pages: Sequence[str], answers: Sequence[str] = ("so",), fails: int = 0):
    """A result, with what each answer was made from."""
    seen, asked, said = list[list[str]](), list[int](), iter(answers)

    async def library(query: str, k: int) -> Sequence[tg.Passage]:
        asked.append(k)
        if len(asked) <= fails:
            raise ConnectionError("the line was bad")
        return [tg.Passage(page) for page in pages][:k]

    def answer(state: tg.State, n: int) -> list[tg.Draft]:
        seen.append([passage.text for passage in state.passages])
        return [tg.Draft(next(said), done=True) for _ in range(n)]

    task = tg.Task("What?", {"retrieve": Retrieve(library, k=5), "answer": answer})
    return tg.solve(task, policy=policy, budget=tg.Budget()), seen, asked


def test_the_answer_is_made_from_all_passages_of_one_look():
    result, seen, asked = looked(Rag(passages=2), ["one", "two", "three"])
    assert (result.answer, seen, len(asked)) == ("so", [["one", "two"]], 1)
    parents = [parent.text for parent in result.graph.parents(result.thought)]
    assert parents == ["", "one", "two"]


def test_of_several_answers_the_most_frequent_is_taken():
    result, seen, _ = looked(Rag(n=3), ["one"], ["a", "b", "b"])
    assert (result.answer, len(seen)) == ("b", 1)


def test_where_nothing_is_found_it_answers_all_the_same():
    result, seen, _ = looked(Rag(), [])
    assert (result.answer, seen) == ("so", [[]])


def test_a_look_that_fails_is_tried_once_more():
    result, seen, asked = looked(Rag(), ["one"], fails=1)
    assert (result.answer, seen, len(asked)) == ("so", [["one"]], 2)


@pytest.mark.parametrize("wrong", [{"passages": 0}, {"n": 0}, {"n": 1.5}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rag(**wrong)
