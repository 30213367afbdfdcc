"""`Neighbours`: what was found with what stands around it, as one passage of the document."""

from __future__ import annotations

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.neighbours import Neighbours, spans
from thoughtgraph.thought import Passage

ADA = Labels(readers=("ada",))
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEXT = "\n\n".join(f"Part {number} is here with a few more words to fill it." for number in NUMBERS)


@pytest.fixture
def knowledge(tmp_path):
    with Knowledge(tmp_path / "notes.db", size=16) as made:
        made.add(TEXT, name="book", labels=ADA)
        assert len(made.passages("book")) == 10
        yield made


async def found(knowledge, query: str, n: int = 1, k: int = 5, **where) -> list[Passage]:
    return await Neighbours(BM25(knowledge.reader("ada", where=where or None)), n)(query, k)


def parts(knowledge, first: int, last: int) -> str:
    return "".join(passage.text for passage in knowledge.passages("book")[first : last + 1])


async def test_a_passage_comes_with_those_before_and_after_it(knowledge):
    for n, first, last in [(0, 4, 4), (1, 3, 5), (2, 2, 6), (99, 0, 9)]:
        (passage,) = await found(knowledge, "four", n)
        assert passage.text == parts(knowledge, first, last) == TEXT[passage.start : passage.end]
        assert passage.id == f"book#{passage.start}-{passage.end}"
        assert (passage.document, passage.labels, passage.base) == ("book", ADA, knowledge.uid)


async def test_at_its_ends_a_document_has_fewer(knowledge):
    (passage,) = await found(knowledge, "zero")
    assert passage.text == parts(knowledge, 0, 1)
    (passage,) = await found(knowledge, "nine")
    assert passage.text == parts(knowledge, 8, 9)


async def test_two_that_share_a_passage_become_one_in_the_place_of_the_better(knowledge):
    (passage,) = await found(knowledge, "two three")
    assert passage.text == parts(knowledge, 1, 4)
    (passage,) = await found(knowledge, "two four")
    assert passage.text == parts(knowledge, 1, 5)
    both = await found(knowledge, "two seven")
    assert [p.text for p in both] == [parts(knowledge, 1, 3), parts(knowledge, 6, 8)]


def test_a_third_may_join_two():
    hits = [Passage(name) for name in "abcd"]
    assert spans(hits, [{1, 2}, {9}, {4, 5}, {2, 3, 4}]) == [(hits[0], {1, 2, 3, 4, 5}), (hits[1], {9})]
    assert spans(hits[:2], [set(), set()]) == [(hits[0], set()), (hits[1], set())]


async def test_changed_documents_keep_their_order(knowledge):
    knowledge.add(TEXT.replace("Part four", "Part fourth"), name="book", labels=ADA)
    (passage,) = await found(knowledge, "fourth")
    assert [word for word in ("three", "fourth", "five") if f"Part {word}" in passage.text] == [
        "three",
        "fourth",
        "five",
    ]
    assert passage.text == parts(knowledge, 3, 5)


async def test_neighbours_are_of_the_same_document_alone(knowledge):
    knowledge.add("Part lonely.", name="note", labels=ADA)
    (passage,) = await found(knowledge, "lonely")
    assert passage.text == "Part lonely."


def tree(*sections: tuple[str, str]) -> Document:
    """A document of sections: their headings, and what they say."""
    text, marked = "", []
    for path, said in sections:
        marked.append(Section(len(text), len(text) + len(said), tuple(path.split(" / "))))
        text += said
    return Document("tree", text, sections=marked)


async def test_headings_are_those_that_all_stand_under(knowledge):
    document = tree(("A / B", "One apple is here.\n"), ("A / C / D", "One pear is here.\n"))
    knowledge.add(document, labels=ADA)
    assert [p.section for p in knowledge.passages("tree")] == ["A / B", "A / C / D"]
    (passage,) = await found(knowledge, "pear", n=9)
    assert (passage.section, passage.source) == ("A", "tree > A")
    assert passage.text == document.text
    knowledge.add(tree(("A / B", "One apple is here.\n"), ("C / B", "One pear is here.\n")), labels=ADA)
    (passage,) = await found(knowledge, "pear", n=9)
    assert (passage.section, passage.source) == ("", "tree")


async def test_what_a_filter_leaves_out_is_no_neighbour(knowledge):
    knowledge.add(tree(("A", "One apple is here.\n"), ("B", "One pear is here.\n")), labels=ADA)
    (passage,) = await found(knowledge, "pear", n=9, section="B")
    assert passage.text == "One pear is here.\n"


async def test_passages_from_elsewhere_stay_as_they_are(knowledge):
    own = [Passage("my own"), Passage("x", id="book#0-9", base="another file", document="book", end=9)]

    async def mixed(query, k):
        return own

    assert await Neighbours(mixed, reader=knowledge.reader("ada"))("q", 5) == own


async def test_nothing_is_looked_up_that_the_reader_may_not_see(knowledge):
    (hit,) = await BM25(knowledge.reader("ada"))("four", 1)

    async def leaked(query, k):
        return [hit]

    assert await Neighbours(leaked, reader=knowledge.reader("bob"))("q", 5) == [hit]


def test_without_a_reader_it_says_what_to_do():
    async def inner(query, k):
        return []

    with pytest.raises(TaskError, match="name the reader"):
        Neighbours(inner)
