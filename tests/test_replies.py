"""Reading replies: what models wrap around an answer, and that nothing else comes off."""

from __future__ import annotations

import pytest

from thoughtgraph.errors import Unparsable
from thoughtgraph.model import Reply
from thoughtgraph.outcomes import judge
from thoughtgraph.replies import as_data, item, lines, plain, shortened, spoken


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("  four \n", "four"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("<think>2 + 2, so\n\n4?</think>\n\nfour", "four"),
        ("<THINKING>hm</THINKING>four", "four"),
        ("<think>one</think><think>two</think>four", "four"),
        ("it was 2 + 2\n</think>\nfour", "four"),
        ("The <think> tag opens a block.", "The <think> tag opens a block."),
        ("Write `</think>` at the end.", "Write `</think>` at the end."),
        ("\ufefffo\x00u\x07r\u200b", "four"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469",
        ),
    ],
)
def test_what_is_said_is_what_remains_without_the_thinking(reply: str, said: str):
    assert spoken(reply) == said


@pytest.mark.parametrize("reply", ["", " \n", "<think>2 + 2, well", "<think>4</think>", "\x00\u200b"])
def test_a_reply_that_only_thinks_is_unparsable(reply: str):
    with pytest.raises(Unparsable):
        spoken(reply)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("- add", "add"),
        ("* add", "add"),
        ("+ add", "add"),
        ("• add", "add"),
        ("– add", "add"),
        ("— add", "add"),
        ("1. add", "add"),
        ("12) add", "add"),
        ("(3) add", "add"),
        ("a) add", "add"),
        ("(b) add", "add"),
        ("**1.** add", "add"),
        ("## add", "add"),
        ("- [ ] add", "add"),
        ("> 1. add", "add"),
        ("1️⃣ add", "add"),
        ("3.", ""),
    ],
)
def test_list_marks_come_off(line: str, text: str):
    assert item(line) == text


@pytest.mark.parametrize(
    "line", ["-4 + 1", "3.5 + 2", "4 + 9 = 13", "*args", "1984 was a year", "(4 + 9) * 2", "A. Einstein", "#tag"]
)
def test_what_only_looks_like_a_list_mark_stays(line: str):
    assert item(line) is None
    assert plain(line) == line


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("**Add** 4", "Add 4"),
        ("- **Add:** 4", "Add: 4"),
        ("2**3 + 2**4", "2**3 + 2**4"),
        ("__init__.py", "__init__.py"),
        ("1. - x", "x"),
    ],
)
def test_bold_comes_off_and_powers_stay(line: str, text: str):
    assert plain(line) == text


def test_lines_are_what_holds_something():
    assert lines("```text\nadd\n\n   \n  take\n```\n~~~\n") == ["add", "  take"]


def test_json_is_found_alone_or_in_its_only_fence():
    assert as_data('{"a": 1}') == {"a": 1}
    assert as_data('Here you are:\n```json\n["a"]\n```\nBye') == ["a"]
    assert as_data("add 4") is None
    assert as_data("[4, 9] leaves 13") is None


def test_json_that_breaks_off_is_unparsable():
    with pytest.raises(Unparsable):
        as_data('["add", "ta')


def test_a_long_text_is_cut_between_words():
    assert shortened("one\ntwo   three", 12) == "one two …"
    assert shortened("one\ntwo", 12) == "one two"
    assert len(shortened("x" * 1000)) <= 300


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I’m really sorry, but I can’t assist with that request.",
        "I cannot comply.",
        "Sorry, I am unable to discuss this.",
        "I can't help with that.\n\nIs there anything else?",
        "Unfortunately, I cannot provide that.",
        "I must decline.",
        "<think>No.</think>\nI'm sorry, I can't help with that.",
    ],
)
def test_a_short_reply_that_declines_is_a_refusal(reply: str):
    assert judge(Reply(reply), str) == ("refused", None)


@pytest.mark.parametrize(
    "reply",
    [
        "I cannot see any mistake.\nsure",
        "We can't reach 24 from 1 and 2.\nimpossible",
        "We can't continue with 7.\n\nVerdict: impossible",
        "I can't provide a proof.\nAnswer: 5",
        "We can't have half an apple, so it is 5.",
        "Sorry is a song by Justin Bieber.",
    ],
)
def test_a_judgement_that_says_cannot_is_no_refusal(reply: str):
    assert judge(Reply(reply), str) == ("ok", reply)
