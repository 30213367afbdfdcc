"""IRCoT: the contract, and chains in which each sentence is the next query."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

import thoughtgraph as tg
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.search.ircot import IRCoT
from thoughtgraph.testing import PolicyContract


class TestIRCoT(PolicyContract):
    policy = IRCoT(rounds=3)


class TestIRCoTWithChains(PolicyContract):
    policy = IRCoT(rounds=2, passages=2, chains=3)


class Chain:
    """Pages of one word lead from one to the next; a sentence is the newest page that goes on from what was said."""

    def __init__(self, pages: Sequence[str], says: Callable[[tg.State], str | None], ready: str = "") -> None:
        self.pages, self.says, self.ready = pages, says, ready
        self.queries, self.shown, self.ends = list[str](), list[list[str]](), list[list[str]]()

    async def library(self, query: str, k: int) -> Sequence[tg.Passage]:
        self.queries.append(query.rsplit("\n", maxsplit=1)[-1])
        return [tg.Passage(page) for page in self.pages][:k]

    def reason(self, state: tg.State, n: int) -> list[tg.Draft]:
        self.shown.append([passage.text for passage in state.passages])
        said = self.says(state)
        return [] if said is None else [tg.Draft(said, done=said == self.ready)]

    def answer(self, state: tg.State, n: int) -> list[tg.Draft]:
        self.ends.append([passage.text for passage in state.passages])
        return [tg.Draft({"text": " ".join(thought.text for thought in state.phi)}, done=True)]

    def run(self, policy: IRCoT) -> tg.Result:
        actions = {"retrieve": Retrieve(self.library, k=5), "reason": self.reason, "answer": self.answer}
        task = tg.Task("What?", actions, claim=lambda path: path[-1].text if path[-1].action == "answer" else None)
        return tg.solve(task, policy=policy, budget=tg.Budget())


def newest(state: tg.State) -> str:
    return f"so {state.passages[-1].text}"


def test_each_sentence_is_the_next_query_and_all_that_was_found_stays_shown():
    chain = Chain(["a", "b", "c"], newest)
    result = chain.run(IRCoT(rounds=3, passages=1))
    assert chain.queries == ["What?", "so a", "so b"]
    assert chain.shown == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert chain.ends == [["a", "b", "c"]]
    assert result.answer == "so a so b so c"


def test_it_ends_as_soon_as_nothing_is_missing():
    chain = Chain(["a", "b", "c"], newest, ready="so b")
    assert chain.run(IRCoT(rounds=9, passages=1)).answer == "so a so b"
    assert len(chain.shown) == 2


def test_where_a_round_brings_no_sentence_the_next_passages_are_looked_up():
    chain = Chain(["a", "b", "c"], lambda state: "so c" if "c" in [p.text for p in state.passages] else None, "so c")
    assert chain.run(IRCoT(rounds=9, passages=1)).answer == "so c"
    assert chain.queries == ["What?"] * 3


def test_two_rounds_that_bring_nothing_end_it():
    chain = Chain(["a"], lambda state: None)
    chain.run(IRCoT(rounds=9, passages=1))
    assert (len(chain.queries), chain.ends) == (3, [["a"]])
    nothing = Chain([], newest)
    nothing.run(IRCoT(rounds=9))
    assert (nothing.shown, nothing.ends) == ([], [[]])


def test_chains_are_independent_and_their_answers_vote():
    said = iter(["x", "y", "y"])
    chain = Chain(["a"], lambda state: next(said))
    result = chain.run(IRCoT(rounds=1, chains=3))
    assert (result.answer, len(result.graph.finals)) == ("y", 3)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"passages": 0}, {"chains": 0}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IRCoT(**wrong)
