"""What the command `audit` needs: critics by their text or file, rows by their files."""

# pyright: reportArgumentType=false

from pathlib import Path

import pytest

from thoughtgraph.budget import Budget
from thoughtgraph.cli_audit import audited, critic_named, critics
from thoughtgraph.critics.value import Value
from thoughtgraph.critics.vote import Vote
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.rows import Outcome, Response, write_rows
from thoughtgraph.learning.training import train_critic
from thoughtgraph.models.scripted import Scripted

ROWS = [
    Outcome(question=f"q{n}", response=Response(text=text, answer=text, generator="g"), value=float("right" in text))
    for n in range(24)
    for text in (f"right {n} = {n}", f"it is wrong {n} 1 + 1 = 3", f"not so, {n} wrong")
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    return path


def test_a_critic_is_named_with_its_settings():
    assert critic_named("value(samples=2)") == Value(samples=2)
    assert critic_named("value(scale=(0, 10))") == Value(scale=(0, 10))
    assert critic_named("vote") == Vote()
    assert {"value", "vote", "agreement"} <= set(critics())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("valeu", "did you mean value"),
        ("value(sample=2)", "did you mean samples"),
        ("value(samples=0)", "at least 1"),
        ("value(model='x')", "no setting 'model' in text"),
        ("__import__('os').system('true')", "is no critic"),
        ("value(samples=open('x'))", "is no critic"),
    ],
)
def test_a_critic_that_is_none_is_refused_in_words(text: str, said: str):
    with pytest.raises(ValueError, match=said):
        critic_named(text)


def test_a_learned_critic_is_audited_from_its_file_and_its_leak_is_seen(tmp_path: Path, rows: Path):
    training = train_critic(ROWS, objective="outcome", features=["length"], anyway=True)
    assert training.critic is not None
    training.critic.save(tmp_path / "critic.json")
    report = audited(str(tmp_path / "critic.json"), [rows], page=tmp_path / "page.html")
    assert "leak" in [alarm.name for alarm in report.alarms]
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_judge_is_audited_within_the_budget(rows: Path):
    model = Scripted(lambda prompt, draw: "sure" if "right" in prompt.split("So far:")[1] else "impossible")
    report = audited("value(samples=1)", [rows], model=model, budget=Budget(calls=100))
    assert report.critic == "value(samples=1)"
    assert report.cost.usage.calls == len(ROWS)


def test_a_page_that_cannot_be_written_is_known_before_anything_is_asked(tmp_path: Path, rows: Path):
    with pytest.raises(TaskError, match="make it first"):
        audited("value", [rows], page=tmp_path / "none" / "page.html", budget=Budget(calls=1))
