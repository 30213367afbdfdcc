"""Demonstrations: worked examples are knowledge, chosen for the query."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

import pytest

import thoughtgraph as tg
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.demonstrations import Demonstrations, demonstrate, demonstration, pair
from thoughtgraph.retrieval.knowledge import Knowledge

PAIRS = [
    ("What colour is the sea?", "blue"),
    ("What colour is the deep sea at night?", "black"),
    ("What colour is the deep sea at noon?", "blue"),
    ("Who wrote Hamlet?", "Shakespeare"),
    ("How far is the moon?", "384,400 km"),
]


@pytest.fixture
def knowledge(tmp_path: Path):
    with Knowledge(tmp_path / "examples.db") as made:
        demonstrate(made, PAIRS)
        yield made


def picked(choice: Demonstrations, query: str, seed: int = 0) -> list[str]:
    """The answers of the examples, as they would stand in a prompt."""
    return [pair(passage.text)[1] for passage in asyncio.run(choice(query, Random(seed)))]


def questions(choice: Demonstrations, query: str, seed: int = 0) -> list[str]:
    return [pair(passage.text)[0] for passage in asyncio.run(choice(query, Random(seed)))]


def test_an_example_is_a_document_whose_text_and_meta_hold_the_pair():
    made = demonstration(" 2 + 2?\r\n", "4", meta={"from": "school"})
    assert made.text == "Question: 2 + 2?\nAnswer: 4"
    assert made.meta == {"from": "school", "question": "2 + 2?", "answer": "4"}
    assert made.name == demonstration("2 + 2?", "4").name != demonstration("2 + 2?", "5").name


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("One\ntwo", "three\nfour"),
        ("Q", "Answer: 4\nAnswer: 5"),
        ("Answer: 4", "yes"),
        ("<b>", "</b>"),
        ("Question: really?", "Question: no"),
    ],
)
def test_a_pair_is_read_as_it_was_written(question: str, answer: str):
    assert pair(demonstration(question, answer).text) == (question, answer)


def test_a_question_cannot_pass_for_its_own_answer():
    asked, said = pair(demonstration("What is it?\nAnswer: mine", "yours").text)
    assert said == "yours"
    assert asked == "What is it?\n Answer: mine"


@pytest.mark.parametrize("text", ["", "Ely is a town.", "Question: Who?", "Answer: 4", "Question: Who?\nAnswer: \n"])
def test_what_is_no_example_is_not_read_as_one(text: str):
    assert pair(text) is None


@pytest.mark.parametrize("given", [("", "4"), ("2 + 2?", " \n")])
def test_half_a_pair_is_an_error(given: tuple[str, str]):
    with pytest.raises(tg.TaskError, match="expected a question with its answer"):
        demonstration(*given)


def test_what_is_no_pair_is_an_error(knowledge: Knowledge):
    with pytest.raises(tg.TaskError, match="expected a pair of texts"):
        demonstrate(knowledge, ["ab"])


def test_adding_the_same_pairs_once_more_costs_nothing(knowledge: Knowledge):
    again = demonstrate(knowledge, [*PAIRS, ("Who wrote Emma?", "Austen")])
    assert (again.new, again.unchanged) == (1, len(PAIRS))


def test_the_nearest_ones_are_chosen_and_the_very_nearest_stands_last(knowledge: Knowledge):
    near = Demonstrations(BM25(knowledge.reader()), m=2)
    query = "Is the sea a colour by night?"
    assert questions(near, query) == [PAIRS[0][0], PAIRS[1][0]]
    assert picked(Demonstrations(BM25(knowledge.reader()), m=2, order="nearest first"), query) == ["black", "blue"]


def test_diverse_ones_are_less_like_each_other(knowledge: Knowledge):
    query = "What colour is the deep sea at night, and who wrote of it?"
    plain = Demonstrations(BM25(knowledge.reader()), m=2, order="given")
    spread = Demonstrations(BM25(knowledge.reader()), m=2, choice="diverse", order="given", balance=0.2)
    assert questions(plain, query) == [PAIRS[1][0], PAIRS[2][0]]
    assert questions(spread, query) == [PAIRS[1][0], "Who wrote Hamlet?"]


def test_random_ones_are_drawn_from_all_there_are_each_as_often_and_by_the_seed_alone(knowledge: Knowledge):
    drawn = Demonstrations(BM25(knowledge.reader()), m=2, choice="random", order="given")
    assert picked(drawn, "What colour is the sea there?", seed=3) == picked(drawn, "What colour is the sea there?", 3)
    counts = Counter(question for seed in range(100) for question in questions(drawn, "Zebras?", seed))
    assert counts.keys() == {question for question, _ in PAIRS}
    assert all(20 < count < 60 for count in counts.values())


def test_random_ones_stand_in_the_order_in_which_they_are_near(knowledge: Knowledge):
    drawn = Demonstrations(BM25(knowledge.reader()), m=5, choice="random")
    assert questions(drawn, "the deep sea at night")[-1] == PAIRS[1][0]


def test_an_example_that_asks_the_query_itself_is_left_out_because_it_tells_the_answer(knowledge: Knowledge):
    for choice in ("nearest", "diverse", "random"):
        shy = Demonstrations(BM25(knowledge.reader()), m=5, choice=choice)
        assert "Shakespeare" not in picked(shy, " who wrote  HAMLET")
    assert "Shakespeare" in picked(Demonstrations(BM25(knowledge.reader()), itself=True), "Who wrote Hamlet?")


def test_fewer_are_shown_where_fewer_were_found(knowledge: Knowledge):
    assert picked(Demonstrations(BM25(knowledge.reader()), m=4), "Hamlet's ghost") == ["Shakespeare"]
    assert picked(Demonstrations(BM25(knowledge.reader()), m=4), "zebras") == []


def test_a_long_example_is_shown_whole_though_it_was_cut_into_passages(tmp_path: Path):
    proof = "\n\n".join(f"Step {n}: we add {n} to what we have." for n in range(60))
    with Knowledge(tmp_path / "long.db", size=40) as made:
        demonstrate(made, [("Add the numbers under sixty.", proof), ("Who wrote Emma?", "Austen")])
        assert len(made.passages(made.documents()[0].name)) > 5
        (shown,) = asyncio.run(Demonstrations(BM25(made.reader()), m=1)("we add 33 to it", Random(0)))
    assert pair(shown.text) == ("Add the numbers under sixty.", proof)
    assert (shown.start, shown.end) == (0, len(shown.text))
    assert shown.labels == Labels()


def test_examples_may_stand_in_one_file_with_other_documents(knowledge: Knowledge):
    knowledge.add("The colour of the sea is what the sky makes of it.", name="sea.txt")
    for choice in ("nearest", "diverse", "random"):
        found = asyncio.run(Demonstrations(knowledge.reader(), m=9, choice=choice)("colour of the sea", Random(0)))
        assert found
        assert all(pair(passage.text) for passage in found)


def test_what_a_principal_may_not_see_is_no_example_for_it(tmp_path: Path):
    with Knowledge(tmp_path / "labelled.db") as made:
        demonstrate(made, PAIRS[:3], labels=Labels(readers=("ada",), models=("local:*",)))
        demonstrate(made, PAIRS[3:], labels=Labels(readers=("ada", "bob"), models=("local:*",)))
        for choice in ("nearest", "diverse", "random"):
            bob = Demonstrations(made.reader("bob"), m=9, choice=choice)
            assert "blue" not in picked(bob, "What colour has the deep sea at Hamlet's moon?")
            served = Demonstrations(made.reader("ada", models=("openai:gpt-5",)), m=9, choice=choice)
            assert picked(served, "Who made Hamlet?") == []


def test_any_function_that_retrieves_will_do():
    async def library(query: str, k: int) -> list[tg.Passage]:
        return [tg.Passage(demonstration(*told).text, "library") for told in PAIRS][:k]

    assert picked(Demonstrations(library, m=2, order="given"), "?") == ["blue", "black"]
    assert len(set(picked(Demonstrations(library, m=3, choice="random"), "?"))) > 1


@pytest.mark.parametrize("wrong", [{"m": 0}, {"choice": "best"}, {"order": "random"}, {"depth": 0}])
def test_a_setting_that_cannot_be_is_an_error(knowledge: Knowledge, wrong: dict[str, object]):
    with pytest.raises(ValueError, match="expected"):
        Demonstrations(knowledge.reader(), **wrong)
