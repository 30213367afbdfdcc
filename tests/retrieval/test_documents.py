"""Documents: the text as it is kept, sections that tile it, and a version that changes with either."""

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.documents import Document, Section, normal


def test_lines_end_with_newlines_and_what_is_no_character_is_replaced():
    assert normal("a\r\nb\rc\fd\x85e") == "a\nb\nc\nd\ne"
    assert normal("a\x00b\x1b[31m\x9bc\ud800") == "a\ufffdb\ufffd[31m\ufffdc\ufffd"


def test_what_is_normal_stays_as_it_is():
    text = "tab\tand é, 中, 👍🏽, \u202eright to left\u202c\n\n"
    assert normal(text) == text
    assert normal(normal("\r\x00\r\n")) == normal("\r\x00\r\n")


def test_a_document_keeps_its_text_normal():
    assert Document("a", "x\r\ny\0").text == "x\ny\ufffd"


def test_sections_must_tile_the_text():
    whole = Document("a", "abcd", sections=(Section(0, 1), Section(1, 4, ("A",), "code")))
    assert whole.sections[1].path == ("A",)
    for odd in ([(0, 3)], [(1, 4)], [(0, 2), (3, 4)], [(0, 3), (2, 4)], [(0, 4), (4, 4)]):
        with pytest.raises(TaskError, match="do not tile"):
            Document("a", "abcd", sections=tuple(Section(*one) for one in odd))


def test_sections_of_a_text_that_is_not_normal_are_refused_since_their_offsets_are_of_another():
    with pytest.raises(TaskError, match="normal"):
        Document("a", "a\r\nb", sections=(Section(0, 4),))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[2J", "a\r", None, b"a"])
def test_a_name_is_a_line_that_can_be_printed(name: object):
    with pytest.raises(TaskError, match=r"name|line"):
        Document(name, "text")  # pyright: ignore[reportArgumentType]


def test_a_text_must_be_text_and_meta_json():
    with pytest.raises(TaskError, match="decode"):
        Document("a", b"text")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TaskError, match="meta of 'a'"):
        Document("a", "text", meta={"when": object()})


def test_the_version_changes_with_the_text_and_with_how_it_is_divided_and_with_nothing_else():
    first = Document("a", "abcd")
    assert first.version == Document("b", "abcd", meta={"x": 1}).version
    others = [Document("a", "abce"), Document("a", "abcd", "code"), Document("a", "abcd", sections=(Section(0, 4),))]
    assert len({first.version, *(other.version for other in others)}) == 4
