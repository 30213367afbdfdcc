"""Export: each trainer's shape, line by line; what may not be trained on stays here; what is left out is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.export import export, signs_of
from thoughtgraph.learning.rows import Demonstration, Outcome, Preference, Response, StepTrace
from thoughtgraph.prompt import Prompt

ASKED = [{"role": "user", "content": "2 + 2?"}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def outcome(text: str, value: float, **more) -> Outcome:
    return Outcome(question="2 + 2?", response=Response(text=text), value=value, **more)


def preference(**more) -> Preference:
    return Preference(question="2 + 2?", chosen=Response(text="4"), rejected=Response(text="5"), **more)


def trace(counts=(), first_error=None, steps=("2 is two", "so 5")) -> StepTrace:
    response = Response(text=" ".join(steps), steps=steps)
    return StepTrace(question="2 + 2?", response=response, counts=counts, first_error=first_error)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exported(tmp_path: Path, rows, form, **how) -> list[dict]:
    export(rows, tmp_path / "out.jsonl", form, **how)
    return lines(tmp_path / "out.jsonl")


def test_sft_takes_demonstrations_and_right_responses_only(tmp_path):
    shown = Demonstration(question="2 + 2?", response=Response(text="It is 4."), source="a teacher")
    found = exported(tmp_path, [outcome("4", 1), outcome("5", 0), shown], "sft")
    assert found == [
        {"prompt": ASKED, "completion": said("4")},
        {"prompt": ASKED, "completion": said("It is 4.")},
    ]


def test_a_lower_bar_lets_partly_right_responses_in(tmp_path):
    rows = [outcome("4", 1), outcome("about 4", 0.5), outcome("5", 0)]
    assert len(exported(tmp_path, rows, "sft", good=0.5)) == 2


@pytest.mark.parametrize("form", ["dpo", "reward"])
def test_pairs_have_a_margin_where_any_is_known_and_ties_are_left_out(tmp_path, form):
    rows = [preference(margin=2.5), preference(), preference(tie=True)]
    pair = {"prompt": ASKED, "chosen": said("4"), "rejected": said("5")}
    assert exported(tmp_path, rows, form) == [{**pair, "margin": 2.5}, {**pair, "margin": 0.0}]


def test_pairs_without_any_margin_have_none_and_equal_texts_are_no_pair(tmp_path):
    same = Preference(question="2 + 2?", chosen=Response(text="4"), rejected=Response(text="4"))
    done = export([preference(), same], tmp_path / "out.jsonl", "dpo")
    assert [sorted(line) for line in lines(tmp_path / "out.jsonl")] == [["chosen", "prompt", "rejected"]]
    assert done.left_out == {"both say the same": 1}


def test_kto_has_a_label_for_each_response(tmp_path):
    found = exported(tmp_path, [outcome("4", 1), outcome("5", 0)], "kto")
    assert [(line["completion"], line["label"]) for line in found] == [(said("4"), True), (said("5"), False)]


def test_grpo_has_each_question_once(tmp_path):
    found = exported(tmp_path, [outcome("4", 1), outcome("5", 0), preference()], "grpo")
    assert found == [{"prompt": ASKED, "id": outcome("4", 1).id}]


def test_process_labels_are_turns_up_to_the_first_wrong_step(tmp_path):
    row = trace(counts=((3, 8), (0, 8), (1, 8)), steps=("a", "b", "c"))
    (line,) = exported(tmp_path, [row], "process")
    assert line == {
        "messages": [
            {"role": "user", "content": "2 + 2?\n\na"},
            {"role": "assistant", "content": "+"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "-"},
        ]
    }


@pytest.mark.parametrize(
    ("row", "signs"),
    [
        (trace(counts=((1, 8), (2, 8))), ["+", "+"]),
        (trace(counts=((1, 8), (0, 0))), ["+"]),
        (trace(counts=((0, 0), (1, 8))), []),
        (trace(counts=((8, 8), (8, 8)), first_error=1), ["+", "-"]),
        (trace(first_error=0), ["-"]),
        (trace(first_error=2), ["+", "+"]),
        (trace(), []),
    ],
)
def test_signs_follow_the_first_error_and_then_the_counts(row, signs):
    assert signs_of(row) == signs


def test_prompts_are_those_that_the_model_is_asked_with(tmp_path):
    def strict(x, passages, thoughts, scores) -> Prompt:
        return Prompt(system="Be brief.", problem=x)

    (line,) = exported(tmp_path, [outcome("4", 1)], "sft", prompter=strict)
    assert line["prompt"] == [{"role": "system", "content": "Be brief."}, *ASKED]


def test_rows_that_may_not_be_trained_on_are_never_written(tmp_path):
    rows = [outcome("the patient's name", 1, train=False), outcome("4", 1)]
    done = export(rows, tmp_path / "out.jsonl", "sft")
    assert (done.lines, done.left_out) == (1, {"may not be trained on": 1})
    assert "patient" not in (tmp_path / "out.jsonl").read_text()
    assert str(done).endswith("out.jsonl; 1 left out: may not be trained on")


def test_a_line_stands_there_once(tmp_path):
    done = export([outcome("4", 1), outcome("4", 1)], tmp_path / "out.jsonl", "sft")
    assert (done.lines, done.left_out) == (1, {"stands there already": 1})


def test_an_export_of_nothing_says_what_was_expected_and_leaves_the_old_file(tmp_path):
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(TaskError, match=r"2: outcome rows are not what this trainer reads.*expected preferences"):
        export([outcome("4", 1), outcome("5", 0)], tmp_path / "out.jsonl", "dpo")
    assert (tmp_path / "out.jsonl").read_text() == "old"


def test_a_form_that_nobody_reads_is_refused(tmp_path):
    with pytest.raises(TaskError, match="expected one of sft, dpo"):
        export([preference()], tmp_path / "out.jsonl", "ppo")  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TaskError, match="cannot be written"):
        export([preference()], tmp_path / "nowhere" / "out.jsonl", "dpo")


@pytest.mark.parametrize("good", [float("nan"), -1, 0, 2])
def test_a_bar_that_lets_wrong_answers_in_is_refused(tmp_path, good):
    with pytest.raises(TaskError, match="above 0 and at most 1"):
        export([outcome("4", 1)], tmp_path / "out.jsonl", "sft", good=good)
