"""The command line: answers on standard output, everything else on standard error, and an exit status that means it."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import repeat
from pathlib import Path

import pytest
from loopback import Loopback, Status
from rich.console import Console
from typer.testing import CliRunner, Result

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.cli import app
from thoughtgraph.render import books, harmless
from thoughtgraph.store import SQLiteStore
from thoughtgraph.tasks.game24 import check
from thoughtgraph.thought import ROOT, Thought
from thoughtgraph.trace import Event, Expanded, Ledger, Resumed, Started, Stopped


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's models, keys or runs."""
    for name in ("TG_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def solve(*arguments: str) -> tuple[int, dict]:
    done = call("solve", *arguments, "--json")
    return done.exit_code, json.loads(done.stdout)


def test_a_puzzle_is_solved_with_nothing_but_json_on_standard_output():
    status, told = solve("--task", "game24", "4 9 10 13")
    assert status == 0
    assert check("4 9 10 13", told["answer"])
    assert told["reason"] == "answered"
    assert set(told["usage"]) >= {"calls", "requests", "prompt_tokens", "completion_tokens", "usd", "seconds"}
    assert told["usage"]["calls"] == 0


def test_a_puzzle_without_a_solution_ends_with_status_1_and_no_guess():
    status, told = solve("--task", "game24", "1 1 1 1")
    assert (status, told["answer"], told["reason"]) == (1, None, "exhausted")


def test_an_answer_without_json_is_alone_on_standard_output():
    done = call("solve", "--task", "game24", "4 9 10 13")
    assert done.exit_code == 0
    assert check("4 9 10 13", done.stdout.strip())
    assert "expansions" in done.stderr


def test_the_problem_may_come_from_standard_input():
    done = call("solve", "--task", "game24", "-", "--json", stdin="4 9 10 13\n")
    assert check("4 9 10 13", json.loads(done.stdout)["answer"])


def test_a_second_task_runs_through_the_same_command():
    status, told = solve("--task", "blocksworld", "B on A, A on table, C on table; goal: A on B, B on C")
    assert status == 0
    assert "unstack" in told["answer"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["What is 2 + 2?"], ["model", "TG_MODEL", "--model"]),
        (["What is 2 + 2?", "--model", "opnai:gpt-5"], ["opnai:gpt-5", "openai:"]),
        (["--task", "game24", "4 9 10"], ["4 9 10", "four"]),
        (["--task", "game24", "four nine ten"], ["four"]),
        (["--task", "game25", "4 9 10 13"], ["game25", "did you mean game24"]),
        (["--task", "game24", "4 9 10 13", "--policy", "mtcs"], ["mtcs", "did you mean mcts"]),
        (["--task", "game24", "4 9 10 13", "--policy", "mcts(simulation=3)"], ["did you mean simulations"]),
        (["--task", "game24", "4 9 10 13", "--policy", "mcts(simulations=0)"], ["simulations", "at least 1"]),
        (["--task", "game24", "4 9 10 13", "--policy", "__import__('os')"], ["policy"]),
        (["--task", "game24", "4 9 10 13", "--budget-calls", "-1"], ["calls", "-1", "at least 0"]),
        (["--task", "game24", "4 9 10 13", "--store", "/dev/null/runs.db"], ["/dev/null/runs.db", "--no-store"]),
        (["", "--model", "openai:m"], ["question"]),
    ],
)
def test_a_usage_error_says_what_was_found_and_what_to_do(arguments: list[str], words: list[str]):
    done = call("solve", *arguments, "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_a_run_that_its_budget_stops_goes_on_with_a_larger_one(tmp_path: Path):
    store = ["--store", str(tmp_path / "runs.db")]
    status, first = solve("--task", "game24", "3 3 8 8", "--policy", "mcts", "--budget-expansions", "5", *store)
    assert (status, first["reason"], first["usage"]["expansions"]) == (1, "budget", 5)
    done = call("resume", first["run"], "--budget-expansions", "500", "--json", *store)
    assert done.exit_code == 0
    assert check("3 3 8 8", json.loads(done.stdout)["answer"])


def test_show_lists_runs_and_shows_one(tmp_path: Path):
    store = ["--store", str(tmp_path / "runs.db")]
    _, told = solve("--task", "game24", "4 9 10 13", *store)
    assert told["run"] in call("show", *store).stdout
    shown = call("show", told["run"], *store)
    assert shown.exit_code == 0
    assert "answered" in shown.stdout
    graph = json.loads(call("show", told["run"], "--json", *store).stdout)["graph"]
    assert graph["nodes"][0]["id"] == "root"


BAD = "[/bad] [red]x[/red] \x1b[31m"
"""A text that is markup to rich and a command to a terminal."""


def recorded(path: Path, *more: Event, text: str = BAD) -> SQLiteStore:
    """A store with one run, named and filled with `text`, and open."""
    store = SQLiteStore(path)
    store.append(text, Started(text, Thought(ROOT, (), "", text), text, text, 0, {}, Budget(), created="2026"))
    thought = Thought("t", (ROOT,), text, text, depth=1)
    store.append(text, Expanded("0.0", text, (ROOT,), 1, ("t",), (thought,)))
    for event in more:
        store.append(text, event)
    store.flush()
    return store


def test_names_texts_and_answers_from_a_store_are_shown_as_they_are(tmp_path: Path):
    store = ["--store", str(tmp_path / "[runs].db")]
    recorded(tmp_path / "[runs].db", Stopped("answered", "t", BAD, Usage())).close()
    for words in ([], [BAD]):
        shown = call("show", *words, *store)
        assert shown.exit_code == 0, shown.stderr
        assert "[/bad]" in shown.stdout
        assert "[red]x[/red]" in shown.stdout
        assert "\x1b" not in shown.stdout
    missing = call("show", "[/worse]", *store)
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "[/worse]" in missing.stderr
    assert "[/bad]" in missing.stderr
    assert "\x1b" not in missing.stderr


def test_roles_and_causes_in_the_books_are_shown_as_they_are():
    console = Console(width=200)
    with console.capture() as caught:
        console.print(books({"[/bad]": Ledger(retries={"[/worse] \x1b": 2})}))
    assert "[/bad]" in caught.get()
    assert "[/worse] ·: 2" in caught.get()


@pytest.mark.parametrize("more", [(), (Stopped("budget", "t", "old", Usage()), Resumed(Budget()))])
def test_a_run_without_an_end_is_shown_while_its_owner_works_on_it(tmp_path: Path, more: tuple):
    store = recorded(tmp_path / "runs.db", *more, text="mine")
    store.claim("mine")
    store.append("mine", Expanded("0.1", "step", (ROOT,), 1, (), ()))  # a transaction is open
    for words in ([], ["mine"]):
        shown = call("show", *words, "--store", str(tmp_path / "runs.db"))
        assert shown.exit_code == 0, shown.stderr
        assert "in progress or interrupted" in " ".join(shown.stdout.split())
        assert "old" not in shown.stdout
    (row,) = json.loads(call("show", "--json", "--store", str(tmp_path / "runs.db")).stdout)
    assert (row["run"], row["reason"], row["answer"]) == ("mine", None, None)
    store.close()


def test_showing_writes_nothing(tmp_path: Path):
    recorded(tmp_path / "runs.db", text="mine").close()
    before = (tmp_path / "runs.db").read_bytes()
    call("show", "mine", "--store", str(tmp_path / "runs.db"))
    assert (tmp_path / "runs.db").read_bytes() == before
    assert not (tmp_path / "runs.db.locks").exists()
    assert call("show").exit_code == 2  # nor does it make a folder for runs that are not there
    assert not (tmp_path / "data").exists()
    (tmp_path / "empty.db").touch()
    assert call("show", "--store", str(tmp_path / "empty.db")).exit_code == 2
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_the_list_of_runs_reads_their_ends_alone(tmp_path: Path):
    recorded(tmp_path / "runs.db", Stopped("answered", "t", "42", Usage()), text="mine").close()
    with sqlite3.connect(tmp_path / "runs.db") as db:
        db.execute("UPDATE events SET body = 'broken' WHERE seq = 1")
    db.close()
    shown = call("show", "--store", str(tmp_path / "runs.db"))
    assert shown.exit_code == 0, shown.stderr
    assert "42" in shown.stdout


def unheard(*arguments: str) -> tuple[int, str]:
    """The exit status and standard error of a real process whose standard output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "thoughtgraph.cli", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_a_reader_that_hangs_up_early_ends_it_quietly(tmp_path: Path):
    store = ["--store", str(tmp_path / "runs.db")]
    recorded(tmp_path / "runs.db", text="mine").close()
    for words in (["show"], ["show", "mine"], ["show", "--json"], ["demo", "--json"], ["--version"]):
        assert unheard(*words, *(store if words[0] == "show" else [])) == (141, "")
    status, err = unheard("solve", "--task", "game24", "4 9 10 13", *store, "--json")
    assert (status, err) == (141, "")
    status, err = unheard("--help")
    assert status != 0
    assert err == ""


def test_an_output_that_is_closed_from_the_beginning_is_no_error(tmp_path: Path):
    words = [sys.executable, "-m", "thoughtgraph.cli", "solve", "--task", "game24", "4 9 10 13"]
    for closed in (">&-", ">&- 2>&-"):
        line = f'"$@" --store {tmp_path}/runs.db {closed}'
        done = subprocess.run(["sh", "-c", line, "sh", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_an_alphabet_that_lacks_a_letter_loses_no_answer(tmp_path: Path):
    recorded(tmp_path / "runs.db", Stopped("answered", "t", "π ≈ 3", Usage()), text="mine").close()
    words = [sys.executable, "-m", "thoughtgraph.cli", "show", "mine", "--store", str(tmp_path / "runs.db")]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert r"\u03c0 \u2248 3" in done.stdout


def test_a_failed_run_prints_one_json_object_even_where_nobody_reads_standard_error():
    reader, writer = os.pipe()
    os.close(reader)
    with Loopback(faults=repeat(Status(401, "no such key"))) as server:
        words = ["solve", "How many?", "--model", "openai:small", "--base-url", server.base_url, "--json"]
        command = [sys.executable, "-m", "thoughtgraph.cli", *words, "--no-store", "--budget-calls", "3"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True, check=False, timeout=60)
    os.close(writer)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["reason"] == "failed"


def test_a_mistyped_option_prints_nothing_on_standard_output():
    for words in (["solve"], ["solve", "x", "--seed", "many"], ["show", "--most"], ["sovle"], ["show", "--nothing"]):
        done = call(*words, "--json")
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr


def test_a_run_or_store_that_is_not_there_is_a_usage_error(tmp_path: Path):
    assert call("show", "--store", str(tmp_path / "none.db")).exit_code == 2
    solve("--task", "game24", "4 9 10 13", "--store", str(tmp_path / "runs.db"))
    done = call("resume", "nothing", "--store", str(tmp_path / "runs.db"))
    assert done.exit_code == 2
    assert "there is no run 'nothing'" in done.stderr


def test_runs_go_to_the_users_data_folder_unless_told_otherwise(tmp_path: Path):
    solve("--task", "game24", "4 9 10 13", "--no-store")
    assert not list(tmp_path.rglob("runs.db"))
    solve("--task", "game24", "4 9 10 13")
    assert list(tmp_path.rglob("runs.db"))


def test_a_shipped_task_ignores_a_model_that_only_the_environment_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TG_MODEL", "openai:expensive")
    status, told = solve("--task", "game24", "4 9 10 13")
    assert (status, told["usage"]["calls"]) == (0, 0)


def test_a_question_goes_to_the_named_model():
    with Loopback(lambda prompt, draw: "Step by step.\nAnswer: 3") as server:
        status, told = solve("How many r's?", "--model", "openai:small", "--base-url", server.base_url)
    assert (status, told["answer"], told["usage"]["calls"]) == (0, "3", 4)
    assert server.bodies[0]["model"] == "small"


def test_the_default_budget_is_said():
    with Loopback(lambda prompt, draw: "Answer: 3") as server:
        done = call("solve", "How many?", "--model", "openai:small", "--base-url", server.base_url)
    assert "16 calls" in done.stderr


def test_a_wrong_key_is_not_tried_again_and_ends_with_status_1():
    with Loopback(faults=repeat(Status(401, "no such key"))) as server:
        done = call("solve", "How many?", "--model", "openai:small", "--base-url", server.base_url, "--json")
    assert server.requests == 1
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["reason"], told["answer"]) == ("failed", None)
    assert "OPENAI_API_KEY" in done.stderr


def test_the_demo_runs_offline_and_shows_what_each_policy_paid():
    done = call("demo")
    assert done.exit_code == 0
    assert re.search(r"\d+ thoughts, \d+", done.stdout)
    assert "judged" in done.stdout
    rows = json.loads(call("demo", "--json").stdout)
    assert len({row["policy"] for row in rows}) == 3
    assert all(row["usage"]["calls"] == 0 for row in rows)


def test_ctrl_c_ends_in_a_valid_result_and_the_line_that_goes_on(tmp_path: Path):
    """A real process and a real signal."""
    store = tmp_path / "runs.db"
    with Loopback(lambda prompt, draw: "Answer: 3", latency=30) as server:
        command = [sys.executable, "-m", "thoughtgraph.cli", "solve", "How many?", "--model", "openai:small"]
        where = ["--base-url", server.base_url, "--store", str(store), "--json"]
        work = subprocess.Popen(
            [*command, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        deadline = time.monotonic() + 20
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        work.send_signal(signal.SIGINT)
        out, err = work.communicate(timeout=20)
    assert work.returncode == 130
    told = json.loads(out)
    assert (told["reason"], told["answer"]) == ("cancelled", None)
    assert f"thoughtgraph resume {told['run']} --store {store}" in err


def test_an_answer_on_a_terminal_cannot_steer_it():
    assert harmless("4\x1b[2J2\u202e\tand\nmore") == "4·[2J2·\tand\nmore"


# -- compare and policies ------------------------------------------------------------------------------------------

GAMES = ["--task", "game24", "4 9 10 13", "1 3 4 6", "1 1 1 1"]


def test_policies_are_compared_with_nothing_but_json_on_standard_output(tmp_path: Path):
    store = ["--store", str(tmp_path / "runs.db"), "--seeds", "2", "--budget-expansions", "200", "--json"]
    done = call("compare", *GAMES, "--policy", "dfs", "--policy", "mcts(workers=2)", *store)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(c["policy"], round(c["solved"], 3)) for c in told["cells"][:2]] == [
        ("dfs", 0.667),
        ("mcts(workers=2)", 0.667),
    ]
    assert [c["policy"] for c in told["cells"][2:]] == ["direct", "best_of_n(n=200)", "self_consistency(n=200)"]
    assert json.loads(call("compare", *GAMES, "--policy", "dfs", "--policy", "mcts(workers=2)", *store).stdout) == told


def test_a_comparison_is_a_table_for_people_and_its_problems_may_stand_in_a_file(tmp_path: Path):
    (tmp_path / "games.txt").write_text("4 9 10 13\n\n  1 3 4 6\n")
    words = ["--task", "game24", f"@{tmp_path / 'games.txt'}", "-", "--policy", "tot", "--L", "2", "--L", "4"]
    done = call("compare", *words, "--budget-expansions", "20", "--seeds", "1", "--no-store", stdin="5 5 5 9\n")
    assert done.exit_code == 0, done.stderr
    assert "3 puzzles, 1 seeds, each run within 20 expansions" in done.stdout
    assert re.search(r"tot +4 +0\.|tot +4 +1\.", done.stdout)
    assert "warning: too few puzzles" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*GAMES, "--policy", "dfs"], ["no budget is named", "--budget-calls 40"]),
        ([*GAMES, "--policy", "mtcs", "--budget-calls", "9"], ["did you mean mcts"]),
        ([*GAMES, "--policy", "direct", "--L", "2", "--budget-calls", "9"], ["direct", "L could be"]),
        ([*GAMES, "1 1 1 1", "--budget-calls", "9"], ["1 1 1 1", "stands twice"]),
        (["--task", "game24", "@nowhere.txt", "--budget-calls", "9"], ["nowhere.txt", "problem on each line"]),
        (["Why?", "--model", "openai:m", "--budget-calls", "9"], ["which answers to 'Why?' are right", "game24"]),
        ([*GAMES, "--plot", "plot.gif", "--budget-calls", "9"], ["plot.gif", ".svg or .png"]),
        ([*GAMES, "--plot", "nowhere/plot.svg", "--budget-calls", "9"], ["nowhere", "make it first"]),
        (
            [*GAMES, "--model", "openai:a", "--model", "openai:b", "--price", "1,2", "--budget-calls", "9"],
            ["one price"],
        ),
        ([*GAMES, "--budget-calls", "-9"], ["at least 0"]),
        ([*GAMES, "--split", "2", "--budget-calls", "9"], ["split is 2.0"]),
    ],
)
def test_a_comparison_that_cannot_be_made_says_what_to_do(arguments: list[str], words: list[str]):
    done = call("compare", *arguments, "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    for word in words:
        assert word in " ".join(done.stderr.split())


def test_one_store_holds_comparisons_within_several_budgets(tmp_path: Path):
    words = [
        "compare",
        *GAMES,
        "--policy",
        "dfs",
        "--seeds",
        "1",
        "--no-baselines",
        "--store",
        str(tmp_path / "runs.db"),
    ]
    assert call(*words, "--budget-expansions", "20").exit_code == 0
    assert call(*words, "--budget-expansions", "30").exit_code == 0
    with closing(SQLiteStore(tmp_path / "runs.db", read_only=True)) as store:
        assert len(store.runs()) == 2 * 3


def test_ctrl_c_keeps_what_is_there_and_the_same_command_goes_on(tmp_path: Path):
    steps = "Possible next steps:\n4 + 9 = 13 (left: 10 13 13)"
    with Loopback(lambda prompt, draw: steps if "Input" in prompt else "likely", latency=0.05) as server:
        model = ["--model", "openai:small", "--base-url", server.base_url, "--budget-calls", "30", "--seeds", "4"]
        more = ["--policy", "tot(breadth=1)", "--no-baselines", "--workers", "2", "--store", str(tmp_path / "runs.db")]
        words = ["compare", "--task", "game24", "4 9 10 13", *model, *more, "--json"]
        work = subprocess.Popen(
            [sys.executable, "-m", "thoughtgraph.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while server.requests < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        work.send_signal(signal.SIGINT)
        out, err = work.communicate(timeout=30)
        assert (work.returncode, out) == (130, "")
        assert "of 4 runs are done: compare again with the same store to go on" in " ".join(err.split())
        done = call(*words)
        assert done.exit_code == 0, done.stderr
        seen = server.requests
        assert json.loads(call(*words).stdout) == json.loads(done.stdout)
        assert server.requests == seen


def test_a_comparison_in_which_every_run_failed_is_no_success(monkeypatch: pytest.MonkeyPatch):
    key = "sk-not-to-be-shown"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with Loopback(faults=[Status(400, f"{key}\n* forged [red]x[/red]\x1b[2J")] * 9) as server:
        model = ["--model", "openai:small", "--base-url", server.base_url, "--budget-calls", "9", "--seeds", "1"]
        words = ["--task", "game24", "4 9 10 13", *model, "--policy", "tot", "--no-baselines", "--no-store"]
        done = call("compare", *words)
    assert done.exit_code == 1
    assert "1 of 1 runs failed" in done.stdout
    assert "[red]x[/red]" in done.stdout
    assert not any(word in done.stdout + done.stderr for word in (key, "\n* forged", "\x1b"))


def test_labels_in_a_comparison_are_shown_as_they_are(tmp_path: Path):
    done = call("compare", "--task", "game24", "4 9 10 13", "--policy", "[red]x[/red]", "--budget-calls", "9")
    assert done.exit_code == 2
    assert "[red]x[/red]" in done.stderr


def test_every_policy_that_text_can_name_is_told_with_its_settings_and_its_paper():
    told = json.loads(call("policies", "--json").stdout)
    assert [entry["name"] for entry in told][:2] == ["direct", "cot"]
    mcts = next(entry for entry in told if entry["name"] == "mcts")
    assert mcts["signature"].startswith("mcts(simulations=1000, workers=1, c=0.5")
    assert "Kocsis & Szepesvari, 2006" in mcts["says"]
    assert set(mcts) == {"name", "signature", "says", "cost"}
    assert json.loads(call("policies", "mcts", "--json").stdout) == mcts
    listed = call("policies").stdout
    assert all(entry["signature"] in listed and entry["says"] in listed for entry in told)


def test_a_policy_that_is_not_there_is_a_usage_error():
    done = call("policies", "mtcs")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean mcts" in done.stderr
