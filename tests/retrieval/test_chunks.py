"""Passages: they tile their document, none is too long, and they are cut where the text is."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.chunks import chunks, count
from thoughtgraph.retrieval.documents import Document, Section, normal

PIECES = [
    "word ",
    "A sentence. ",
    "\n",
    "\n\n",
    "    indented\n",
    "x" * 90,
    "中文字",
    "。",
    " ",
    "\t",
    "- item\n",
    "👍🏽",
    "0" * 7,
    "\x00",
]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = normal("".join(draw(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=60))))
    cuts = sorted({*draw(st.lists(st.integers(0, len(text)), max_size=5)), 0, len(text)})
    kinds = st.sampled_from(["prose", "code", "table", "list"])
    paths = st.lists(st.sampled_from("AB"), max_size=2).map(tuple)
    return Document("a", text, sections=tuple(Section(s, e, draw(paths), draw(kinds)) for s, e in pairwise(cuts)))


@settings(deadline=None, max_examples=150)
@given(documents(), st.integers(1, 30))
def test_passages_tile_their_document_and_none_is_too_long(document: Document, size: int):
    found = chunks(document, size)
    assert "".join(chunk.text for chunk in found) == document.text
    assert all(chunk.text == document.text[chunk.start : chunk.end] and chunk.text for chunk in found)
    assert [c.end for c in found[:-1]] == [c.start for c in found[1:]]
    assert max((count(chunk.text) for chunk in found), default=0) <= size


@settings(deadline=None, max_examples=60)
@given(documents(), st.integers(3, 30))
def test_sizes_hold_in_anybodys_tokens(document: Document, size: int):
    def tokens(text: str) -> int:
        """As a model's tokenizer may: two signs around the text, and pairs of letters that join over any cut."""
        return 2 + len(re.findall(r"..?", text, re.DOTALL)) if text else 2

    found = chunks(document, size, tokens)
    assert "".join(chunk.text for chunk in found) == document.text
    assert all(tokens(chunk.text) <= size or len(chunk.text) == 1 for chunk in found)


@settings(deadline=None, max_examples=60)
@given(documents(), st.integers(1, 30))
def test_a_passage_stands_under_one_path_of_headings(document: Document, size: int):
    for chunk in chunks(document, size):
        over = [s for s in document.sections if s.start < chunk.end and s.end > chunk.start]
        assert {" / ".join(section.path) for section in over} == {chunk.section}


def test_tokens_are_words_marks_and_signs():
    assert count("Ada's engine, 1843!") == 7
    assert count("中文字。") == 4
    assert count("ひらがな") == 4
    assert count("") == count("   ") == 0


def test_a_blob_of_letters_or_of_white_space_is_no_single_token():
    assert count("x" * 160) == 10
    assert count(" " * 640) == 10


def test_what_fits_is_one_passage():
    assert [chunk.text for chunk in chunks(Document("a", "One.\n\nTwo.\n"), 10)] == ["One.\n\nTwo.\n"]


def test_it_is_cut_between_paragraphs_before_sentences_and_between_sentences_before_words():
    paragraphs = "One two three four. Five six seven.\n\nEight nine ten. Eleven twelve thirteen."
    assert [c.text for c in chunks(Document("a", paragraphs), 12)] == [paragraphs[:37], paragraphs[37:]]
    sentences = "One two three four. Five six seven. Eight nine ten."
    assert [c.text for c in chunks(Document("a", sentences), 10)] == [sentences[:20], sentences[20:]]
    assert [c.text for c in chunks(Document("a", "one two three four"), 2)] == ["one two ", "three four"]


def test_code_is_cut_at_blank_lines_and_not_at_full_stops():
    code = "a = b. c\nd = 1\n\ne = f\ng = 2\n"
    assert [c.text for c in chunks(Document("a", code, "code"), 10)] == [code[:16], code[16:]]


def test_a_table_is_cut_between_rows():
    rows = "".join(f"| {n} | x. Y |\n" for n in range(6))
    found = chunks(Document("a", rows, sections=(Section(0, len(rows), (), "table"),)), 16)
    assert len(found) == 3
    assert all(chunk.text.startswith("| ") and chunk.text.endswith("|\n") for chunk in found)


def test_it_is_cut_where_prose_ends_and_code_begins():
    prose, code = "Some words about it here. More words.\n", "x = 1\ny = 2\nz = 3\n"
    sections = (Section(0, len(prose), ("A",)), Section(len(prose), len(prose + code), ("A",), "code"))
    assert [c.text for c in chunks(Document("a", prose + code, sections=sections), 12)] == [prose, code]


def test_no_passage_is_a_scrap_at_the_end():
    found = chunks(Document("a", "word " * 21), 20)
    assert [count(chunk.text) for chunk in found] == [10, 11]


def test_what_is_added_at_the_end_leaves_the_passages_before_as_they_were():
    text = "".join(f"This is sentence {n} of it. " for n in range(200))
    before, after = chunks(Document("a", text), 50), chunks(Document("a", text + "And more. " * 10), 50)
    assert len(before) > 20
    assert after[: len(before) - 2] == before[:-2]


@pytest.mark.parametrize("blob", ["A" * 50_000, " " * 50_000, "\n" * 50_000, "。" * 5_000, "a.b" * 10_000, "é́" * 5_000])
def test_what_cannot_be_cut_well_is_cut_hard(blob: str):
    found = chunks(Document("a", f"x{blob}x"), 100)
    assert "".join(chunk.text for chunk in found) == f"x{blob}x"
    assert max(count(chunk.text) for chunk in found) <= 100
    assert min(count(chunk.text) for chunk in found) >= 30


def test_a_character_that_is_too_long_stands_alone():
    assert [c.text for c in chunks(Document("a", "ab"), 1, lambda text: 5 * len(text))] == ["a", "b"]


def test_nothing_has_no_passages():
    assert chunks(Document("a", "")) == []


def test_a_size_must_be_a_number_of_tokens_and_a_count_too():
    with pytest.raises(ValueError, match="size"):
        chunks(Document("a", "x"), 0)
    with pytest.raises(TaskError, match="tokens counted"):
        chunks(Document("a", "x"), 5, lambda text: "many")  # pyright: ignore[reportArgumentType]
