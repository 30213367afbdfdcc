"""Rows: what critics learn from, as JSONL that is read as it was written, or refused with the line's number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughtgraph.errors import TaskError
from thoughtgraph.learning import rows
from thoughtgraph.learning.rows import (
    AnyRow,
    Demonstration,
    Outcome,
    Preference,
    Response,
    StepTrace,
    by_question,
    line_of,
    read_rows,
    responses,
    row_of,
    write_rows,
)

STEPPED = Response(
    text="3 + 5 = 8\n8 x 3 = 24", steps=("3 + 5 = 8", "8 x 3 = 24"), contents=({"left": [8, 3]}, {"left": [24]}),
    answer=["24", {"whole": True}], signals={"judge": 0.25, "visits": 3}, generator="small/step", thought="t7",
)  # fmt: skip
A, B = Response(text="a"), Response(text="b", answer=0)
ALL: list[AnyRow] = [
    Preference(question="q", chosen=A, rejected=B, margin=0.5, judge="me", flips=1),
    Preference(question="q", chosen=A, rejected=B, tie=True),
    Demonstration(question="q", response=A, source="an expert"),
    Outcome(question="q", response=STEPPED, value=1, grader="exact", labels=("hr",), train=False, run="r1"),
    StepTrace(question="24?", id="own", problem={"numbers": [3, 5, 3]}, response=STEPPED, counts=((0, 2), (8, 8))),
    StepTrace(question="24?", response=STEPPED, first_error=1, completer="small"),
]

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RESPONSE = st.builds(
    Response, text=TEXT, answer=JSON, generator=TEXT, thought=TEXT,
    signals=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    steps=st.lists(TEXT, max_size=3).map(tuple),
)  # fmt: skip
ROW = {
    "question": TEXT,
    "id": TEXT,
    "problem": JSON,
    "labels": st.lists(TEXT, max_size=2).map(tuple),
    "train": st.booleans(),
}
ANY = (
    st.builds(Outcome, response=RESPONSE, value=st.floats(0, 1), **ROW)
    | st.builds(Preference, chosen=RESPONSE, rejected=RESPONSE, margin=st.none() | st.floats(0, 9), **ROW)
    | st.builds(Demonstration, response=RESPONSE, source=TEXT, **ROW)
)


# -- there and back --------------------------------------------------------------------------------------------------


def test_rows_are_read_as_they_were_written(tmp_path: Path):
    assert write_rows(tmp_path / "rows.jsonl", ALL) == len(ALL)
    assert read_rows(tmp_path / "rows.jsonl") == ALL
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


@given(ANY)
def test_whatever_can_be_said_survives_a_line(row: AnyRow):
    line = line_of(row)
    assert "\n" not in line
    assert row_of(line) == row
    assert row_of(line.encode()) == row


def test_a_line_says_its_schema_kind_and_question_and_leaves_defaults_out():
    assert json.loads(line_of(Outcome(question="q", response=A, value=0))) == {
        "schema": 1,
        "kind": "outcome",
        "question": "q",
        "id": "8e35c2cd3bf6641b",
        "response": {"text": "a"},
        "value": 0.0,
    }


def test_empty_lines_are_nothing(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text(f"\n{line_of(ALL[0])}\n  \n")
    assert read_rows(tmp_path / "rows.jsonl") == ALL[:1]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path):
    write_rows(tmp_path / "rows.jsonl", ALL[:1])

    def broken():
        yield ALL[1]
        raise RuntimeError("the source dried up")

    with pytest.raises(RuntimeError, match="dried up"):
        write_rows(tmp_path / "rows.jsonl", broken())
    assert read_rows(tmp_path / "rows.jsonl") == ALL[:1]
    assert len(list(tmp_path.iterdir())) == 1


# -- what is refused -------------------------------------------------------------------------------------------------


def line(**changes: object) -> str:
    told = {**json.loads(line_of(Outcome(question="q", response=A, value=1))), **changes}
    return json.dumps({name: value for name, value in told.items() if value is not ...})


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"schema": 1, "a":' * 300 + "1" + "}" * 300, "no JSON"),
        ("[1]", "no row of schema 1"),
        (line(schema=...), "no row of schema 1"),
        (line(schema=2), "no row of schema 1"),
        (line(kind=...), "kind"),
        (line(kind="guess"), "guess"),
        (line(gold="42"), "gold"),
        (line(response={"text": "a", "correct": True}), "correct"),
        (line(response=...), "response"),
        (line(value=1.5), "expected a number from 0 to 1"),
        (line(value="high"), "value"),
        ('{"schema": 1, "kind": "outcome", "question": "q", "response": {"text": "a"}, "value": NaN}', "no JSON"),
        (line(response={"text": "a", "signals": {"judge": None}}), "signals"),
        (line(response={"text": "a", "steps": ["a"], "contents": [1, 2]}), "2 contents for 1 steps"),
    ],
)
def test_a_line_that_is_no_row_is_refused_with_a_reason(told: str, fault: str):
    with pytest.raises(TaskError, match=fault):
        row_of(told)


def test_the_file_and_the_line_are_named(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text(f"{line_of(ALL[0])}\n\n{line(value=2)}\n")
    with pytest.raises(TaskError, match=r"rows\.jsonl, line 3: .*from 0 to 1"):
        read_rows(tmp_path / "rows.jsonl")
    with pytest.raises(TaskError, match="cannot be read"):
        read_rows(tmp_path / "none.jsonl")


def test_a_giant_line_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "LONGEST", 1000)
    (tmp_path / "rows.jsonl").write_text(line_of(Outcome(question="q" * 2000, response=A, value=1)))
    with pytest.raises(TaskError, match="line 1 is longer than 1000 bytes"):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Outcome(question="q", response=A, value=-0.1), "from 0 to 1"),
        (lambda: Outcome(question="q", response=A, value=float("nan")), "from 0 to 1"),
        (lambda: Response(text="a", signals={"judge": float("inf")}), "'judge' is inf"),
        (lambda: Response(text="a", steps=("a",), contents=(1, 2)), "one for each"),
        (lambda: StepTrace(question="q", response=STEPPED, counts=((1, 2),)), "1 counts for 2 steps"),
        (lambda: StepTrace(question="q", response=STEPPED, counts=((1, 2), (3, 2))), "trials no fewer"),
        (lambda: StepTrace(question="q", response=STEPPED, counts=((1, 2), (-1, 2))), "trials no fewer"),
        (lambda: StepTrace(question="q", response=STEPPED, first_error=3), "0 to 2"),
    ],
)
def test_a_row_that_cannot_be_is_not_made(make, fault: str):
    with pytest.raises(TaskError, match=fault):
        make()


# -- what rows have in common ----------------------------------------------------------------------------------------


def test_rows_are_grouped_by_their_questions_id():
    groups = by_question(ALL)
    assert [len(group) for group in groups.values()] == [4, 1, 1]
    assert list(groups)[1] == "own"
    assert ALL[0].id == Outcome(question="q", response=A, value=0).id != ALL[5].id


def test_the_responses_of_a_row_are_those_that_it_holds():
    assert responses(ALL[0]) == (A, B)
    assert responses(ALL[2]) == (A,)


def test_a_response_as_it_stood_claims_nothing_and_knows_no_signals():
    early = STEPPED.until(1)
    assert (early.text, early.steps, early.contents) == ("3 + 5 = 8", ("3 + 5 = 8",), ({"left": [8, 3]},))
    assert (early.answer, early.signals, early.generator) == (None, {}, "small/step")
    assert STEPPED.until(0).text == ""


def test_half_a_character_is_told_where_it_cannot_be_written(tmp_path):
    """Models answer with lone surrogates at times: they have an id and can be learned from, and are no UTF-8."""
    row = Outcome(question="\ud800", response=Response(text="a"), value=1)
    assert len(row.id) == 16
    with pytest.raises(TaskError, match="cannot be written"):
        write_rows(tmp_path / "rows.jsonl", [row])
    assert list(tmp_path.iterdir()) == []


def test_flips_are_counted():
    with pytest.raises(TaskError, match="-1 flips"):
        Preference(question="q", chosen=Response(text="a"), rejected=Response(text="b"), flips=-1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Response(text=None),
        lambda: Response(text="a", steps="abc"),
        lambda: Response(text="a", answer=float("inf")),
        lambda: Response(text="a", answer=object()),
        lambda: Response(text="a", signals={"a": "b"}),
        lambda: Outcome(question="q", response="text", value=1),
        lambda: Outcome(question="q", response=Response(text="a"), value="1"),
        lambda: Outcome(question=None, response=Response(text="a"), value=1),
        lambda: Outcome(question="q", response=Response(text="a"), value=1, labels="secret"),
    ],
)
def test_what_could_not_be_read_again_is_refused_when_it_is_made(make):
    with pytest.raises(TaskError):
        make()
