"""The commands about critics, one after the other: runs, rows, a critic, its audit, an export; and what is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import thoughtgraph as tg
from thoughtgraph.cli import app
from thoughtgraph.learning.rows import Outcome, Response, StepTrace, read_rows, write_rows
from thoughtgraph.store import SQLiteStore


def call(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == status, (done.exit_code, done.output, done.stderr)
    return done.stdout if status == 0 or done.stdout else done.stderr


def graded(sum_: str, answer: int, right: bool) -> Outcome:
    """A sum that is worked out, and right or not: nothing on its surface tells."""
    response = Response(text=f"{sum_} = {answer}. The answer is {answer}.", answer=str(answer))
    return Outcome(question=f"What is {max(sum_.split())} and 1?", response=response, value=float(right))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty questions with a right answer each, and the same wrong one twice."""
    found = [
        row
        for n in range(100, 140)
        for row in (graded(f"{n} + 1", n + 1, True), graded(f"{n} + 1", n + 2, False), graded(f"1 + {n}", n + 2, False))
    ]
    write_rows(tmp_path / "rows.jsonl", found)
    return tmp_path / "rows.jsonl"


def test_runs_become_rows(tmp_path: Path):
    store = SQLiteStore(tmp_path / "runs.db")
    for puzzle in ("4 9 10 13", "1 2 3 4"):
        walk = tg.search.MonteCarlo(breadth=2, rollouts=3)
        tg.solve(tg.tasks.game24(puzzle), policy=walk, store=store, budget=tg.Budget(expansions=200))
    store.close()
    said = json.loads(
        call("label", tmp_path / "rows.jsonl", "--store", tmp_path / "runs.db", "--label", "steps", "--json")
    )
    found = read_rows(tmp_path / "rows.jsonl")
    assert said["rows"] == len(found) > 0
    assert {row.question for row in found} == {"4 9 10 13", "1 2 3 4"}
    assert all(isinstance(row, StepTrace) and row.counts for row in found)


def test_rows_become_a_critic_and_the_critic_is_audited(tmp_path: Path, rows: Path):
    half = len(lines := rows.read_text().splitlines()) // 2
    (tmp_path / "learn.jsonl").write_text("\n".join(lines[:half]))
    (tmp_path / "held.jsonl").write_text("\n".join(lines[half:]))
    trained = json.loads(call("train", tmp_path / "learn.jsonl", "--out", tmp_path / "critic.json", "--json"))
    assert (trained["objective"], trained["fallback"]) == ("outcome", "")
    critic, page = tmp_path / "critic.json", tmp_path / "report.html"
    said = json.loads(call("audit", critic, tmp_path / "held.jsonl", "--page", page, "--no-store", "--json"))
    assert said["verdict"] in ("ship", "advisory")
    assert "<html" in page.read_text()
    assert tg.load_critic(critic).objective == "outcome"


def test_a_critic_to_be_rejected_is_status_1(tmp_path: Path, rows: Path):
    always = [row for row in read_rows(rows) if isinstance(row, Outcome)]
    lies = [Outcome(question=r.question, response=r.response, value=1 - r.value) for r in always]
    write_rows(tmp_path / "lies.jsonl", lies)
    call("train", tmp_path / "lies.jsonl", "--out", tmp_path / "critic.json")
    assert "reject" in call("audit", tmp_path / "critic.json", rows, "--no-store", status=1)


def test_rows_are_exported_and_what_is_left_out_is_said(tmp_path: Path, rows: Path):
    said = call("export", rows, "--for", "sft", "--out", tmp_path / "sft.jsonl")
    assert said.startswith("40 lines for sft")
    assert "80 left out" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "nowhere.jsonl", "--out", "x.json"), "cannot be read"),
        (("audit", "nobody", "{rows}", "--no-store"), "there is no critic 'nobody'"),
        (("audit", "x" * 400, "{rows}", "--no-store"), "there is no critic"),
        (("audit", "value(**{{'samples': 2}})", "{rows}", "--no-store"), "is no critic"),
        (("audit", "value", "{rows}", "--no-store", "--page", "."), "is a folder"),
        (("label", "x.jsonl", "--task", "magic", "--store", "nowhere.db"), "there is no"),
        (("audit", "nowhere.json", "{rows}", "--no-store"), "cannot be read"),
        (("export", "{rows}", "--for", "ppo", "--out", "x"), "expected one of sft"),
        (("export", "{rows}", "--for", "dpo", "--out", "x"), "expected preferences"),
        (("finetune", "{rows}", "--for", "dpo", "--model", "m", "--out", "o"), "has no 'prompt'"),
        (("label", "x.jsonl", "--store", "nowhere.db"), "there is no store"),
        (("train", "{rows}", "--out", "x.json", "--objective", "magic"), "magic"),
        (("train", "{rows}", "--out", "x.json", "--feature", "magic"), "magic"),
        (("train", "{rows}", "--out", "x.json", "--learner", "magic"), "magic"),
    ],
)
def test_what_cannot_work_is_one_line_and_status_2(rows: Path, monkeypatch: pytest.MonkeyPatch, words, says):
    monkeypatch.chdir(rows.parent)
    said = call(*(str(word).format(rows=rows) for word in words), status=2)
    assert says in " ".join(said.split())
    assert "Traceback" not in said


def test_nothing_that_is_read_is_written_over(tmp_path: Path, rows: Path):
    before = rows.read_bytes()
    call("train", rows, "--out", tmp_path / "critic.json")
    for words in (
        ("train", rows, "--out", rows),
        ("export", rows, "--for", "sft", "--out", rows),
        ("audit", tmp_path / "critic.json", rows, "--page", rows, "--no-store"),
        ("audit", tmp_path / "critic.json", rows, "--page", tmp_path / "critic.json", "--no-store"),
    ):
        assert "would be written over" in " ".join(call(*words, status=2).split())
    assert rows.read_bytes() == before
    store = SQLiteStore(tmp_path / "runs.db")
    tg.solve(tg.tasks.game24("4 9 10 13"), policy="dfs", store=store, budget=tg.Budget(expansions=50))
    store.close()
    said = call("label", tmp_path / "runs.db", "--store", tmp_path / "runs.db", status=2)
    assert "would be written over" in " ".join(said.split())
    with contextlib.closing(SQLiteStore(tmp_path / "runs.db", read_only=True)) as whole:
        assert whole.runs()
