"""What a newcomer is promised, checked from outside: attempts, secrets, bad input, event loops, money."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import messages
import pytest
from loopback import Loopback, Status
from messages import Messages
from pydantic import BaseModel
from typer.testing import CliRunner, Result

import thoughtgraph as tg
from thoughtgraph.cli import app

KEY = "sk-planted-0a1b2c3d4e5f6a7b8c9d"
PASSWORD = "hunter2-planted"
OURS = ("TG_MODEL", "TG_CACHE", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")

MODELS: dict[str, Callable[[str], Any]] = {
    "compatible": lambda url: tg.models.Compatible("x", url),
    "openai": lambda url: tg.models.OpenAI("x", base_url=url),
    "anthropic": lambda url: tg.models.Anthropic("x", base_url=url),
    "litellm openai": lambda url: tg.models.LiteLLM("openai/x", base_url=url),
    "litellm anthropic": lambda url: tg.models.LiteLLM("anthropic/x", base_url=url),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name.startswith("litellm")]
BACKENDS = ["compatible", "openai", "anthropic", *SLOW]
ONE = tg.Budget(calls=1)


class City(BaseModel):
    name: str
    people: int


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's models, proxies or runs, and keys that open nothing."""
    for name in (*OURS, *(name.lower() for name in OURS), *(f"{key}_FILE" for key in KEYS)):
        monkeypatch.delenv(name, raising=False)
    for key in KEYS:
        monkeypatch.setenv(key, KEY)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


def server(backend: str, status: int = 0, said: str = "scripted", **more: Any) -> Loopback | Messages:
    """One of the backend's shape; with a status it answers nothing else, and wants no wait."""
    claude = "anthropic" in backend
    kind = messages.Status if claude else Status
    faults = repeat(kind(status, said, {"Retry-After": "0"})) if status else ()
    return (Messages if claude else Loopback)(faults=faults, **more)


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def closed() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


# -- attempts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("status", "attempts", "requests"), [(500, 3, 3), (429, 3, 3), (401, 3, 1), (429, None, 6)])
def test_a_call_is_as_many_http_requests_as_was_said(backend: str, status: int, attempts: int | None, requests: int):
    retry = tg.Retry(attempts=attempts) if attempts else None
    with server(backend, status) as there, pytest.raises(tg.RunFailed) as caught:
        tg.solve("Q?", model=MODELS[backend](there.base_url), policy="direct", budget=ONE, retry=retry)
    assert there.requests == requests
    assert caught.value.result.usage.requests == requests
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("model", ["openai:x", "anthropic:x", pytest.param("litellm:openai/x", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("status", "requests"), [(500, 3), (401, 1)])
def test_attempts_on_the_command_line_are_http_requests(model: str, status: int, requests: int):
    with server(model, status) as there:
        how = ["--policy", "direct", "--budget-calls", "1", "--attempts", "3", "--no-store"]
        done = call("solve", "Q?", "--model", model, "--base-url", there.base_url, *how)
    assert (done.exit_code, there.requests) == (1, requests)


# -- secrets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Path]:
    """Everything that anybody logs, in a file."""
    path, root = tmp_path / "log.txt", logging.getLogger()
    writer, level = logging.FileHandler(path), root.level
    root.addHandler(writer)
    root.setLevel(logging.DEBUG)
    yield path
    root.setLevel(level)
    root.removeHandler(writer)
    writer.close()


def leaks(folder: Path, *texts: str) -> list[str]:
    """Where a secret stands: the names of files, and the beginnings of texts."""
    secrets = (KEY.encode(), PASSWORD.encode())
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "key"]
    found = [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]
    return found + [text[:200] for text in texts if any(secret in text.encode() for secret in secrets)]


def printed(thing: object) -> str:
    """A thing and what it holds, as a debugger shows it."""
    inner = [getattr(thing, name, None) for name in ("result", "graph", "ledger", "usage", "task", "model", "store")]
    return f"{thing!r} {thing} " + " ".join(map(repr, inner))


@pytest.mark.parametrize("held", ["variable", "file"])
@pytest.mark.parametrize("status", [0, 400, 401, 500])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_key_is_in_no_file_log_or_message(
    backend: str, status: int, held: str, tmp_path: Path, logged: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "key").write_text(f"{KEY}\n")
    for key in KEYS if held == "file" else ():
        monkeypatch.delenv(key)
        monkeypatch.setenv(f"{key}_FILE", str(tmp_path / "key"))
    seen: list[Any] = []
    with server(backend, status, f"no use for {KEY} or Bearer {KEY}") as there:
        model = MODELS[backend](there.base_url)
        files = {"store": tmp_path / "runs.db", "cache": tmp_path / "cache.db", "on_event": seen.append}
        try:
            seen.append(tg.solve("Q?", model=model, policy="direct", budget=ONE, retry=tg.Retry(attempts=2), **files))
        except tg.RunFailed as failed:
            seen.append(failed)
            seen.append("".join(traceback.format_exception(failed)))
    assert any(KEY in value for value in there.headers[0].values())
    assert leaks(tmp_path, *map(printed, [*seen, model])) == []


@pytest.mark.parametrize("status", [0, 401, 500])
@pytest.mark.parametrize("backend", ["compatible", "openai", "anthropic"])
def test_the_password_of_a_base_url_is_nowhere(backend: str, status: int, tmp_path: Path, logged: Path):
    with server(backend, status, f"no use for {PASSWORD}") as there:
        model = MODELS[backend](there.base_url.replace("://", f"://me:{PASSWORD}@"))
        files = {"store": tmp_path / "runs.db", "cache": tmp_path / "cache.db"}
        try:
            said = printed(
                tg.solve("Q?", model=model, policy="direct", budget=ONE, retry=tg.Retry(attempts=2), **files)
            )
        except tg.RunFailed as failed:
            said = printed(failed)
    assert there.headers[0]["Authorization"].startswith("Basic ")
    assert leaks(tmp_path, said, printed(model)) == []


@pytest.mark.parametrize("status", [0, 401, 500])
def test_no_command_writes_the_key_or_the_password(status: int, tmp_path: Path):
    with server("compatible", status, f"no use for {KEY}, {PASSWORD}") as there:
        url = there.base_url.replace("://", f"://me:{PASSWORD}@")
        store, asked = ["--store", str(tmp_path / "runs.db")], ["--model", "openai:x", "--base-url", url]
        paid = ["--policy", "direct", "--attempts", "1", "--cache", str(tmp_path / "cache.db")]
        solved = call("solve", "Q?", *asked, *paid, *store, "--budget-calls", "1", "--json")
        run = json.loads(solved.stdout)["run"]
        told = [
            solved,
            call("show", run, *store),
            call("show", run, "--json", *store),
            call("resume", run, *store, "--attempts", "1", "--base-url", url),
            call("estimate", "Q?", *asked, "--json"),
            call("doctor", *asked),
            call("doctor", *asked, "--json", "--probe"),
        ]
    assert leaks(tmp_path, *(done.output for done in told)) == []


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path):
    url = f"http://me:{PASSWORD}@127.0.0.1:{closed()}/v1"
    done = call("solve", "Q?", "--model", "openai:x", "--base-url", url, "--attempts", "1", "--policy", "direct")
    assert done.exit_code == 1
    assert "cannot connect" in done.stderr
    assert leaks(tmp_path, done.output) == []


# -- bad input -----------------------------------------------------------------------------------------------------

HERE = ["--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "opnai:gpt-5"], ["opnai:gpt-5", "did you mean openai:gpt-5"]),
        (["--model", "gpt-5"], ["gpt-5", "openai:NAME"]),
        (["--model", "openai:x", "--base-url", "localhost:8000/v1"], ["localhost:8000/v1", "http://localhost:8000/v1"]),
        ([*HERE, "--model-for", "vlaue=openai:x"], ["vlaue", "did you mean 'value'"]),
        ([*HERE, "--model-for", "value=opnai:x"], ["did you mean openai:x"]),
        ([*HERE, "--model-for", "value"], ["'value'", "ROLE=MODEL"]),
        ([*HERE, "--price", "cheap"], ["cheap", "0.25,2"]),
        ([*HERE, "--price", "1"], ["'1'", "0.25,2"]),
        ([*HERE, "--attempts", "0"], ["attempts is 0", "at least 1"]),
        ([*HERE, "--budget-usd", "1"], ["the price of openai:x is not known", "tg.Price("]),
        ([*HERE, "--budget-usd", "nan"], ["usd is nan"]),
        ([*HERE, "--cache", "none.txt"], ["none.txt is not a cache"]),
        ([*HERE, "--cache", "."], ["is a folder", "cache="]),
        ([*HERE, "--store", "none.txt"], ["none.txt is not a file of thoughtgraph's runs"]),
    ],
)
def test_what_cannot_work_is_one_sentence_and_status_2(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("none.txt").write_text("a shopping list\n")
    done = call("solve", "Q?", *arguments, "--policy", "direct")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert Path("none.txt").read_text() == "a shopping list\n"


@pytest.mark.parametrize("name", ["gpt5", " ", "openai:", ":x"])
def test_a_malformed_tg_model_is_a_usage_error(name: str):
    done = call("solve", "Q?", TG_MODEL=name)
    assert done.exit_code == 2
    assert "has no known backend" in done.stderr


@pytest.mark.parametrize(
    ("model", "key"), [("openai:gpt-5-mini", "OPENAI_API_KEY"), ("anthropic:claude-opus-4-5", "ANTHROPIC_API_KEY")]
)
def test_a_missing_key_names_its_variable(model: str, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(key)
    done = call("solve", "Q?", "--model", model, "--policy", "direct", "--no-store")
    assert done.exit_code == 1
    assert f"set {key} to the key, or {key}_FILE" in done.stderr


def test_a_budget_of_dollars_holds_with_the_price_that_was_asked_for():
    with Loopback(lambda prompt, draw: "word " * 40) as there:
        asked = ["--model", "openai:x", "--base-url", there.base_url, "--policy", "direct", "--json", "--no-store"]
        refused = call("solve", "Q?", *asked, "--budget-usd", "1")
        assert (refused.exit_code, there.requests) == (2, 0)
        paid = json.loads(call("solve", "Q?", *asked, "--budget-usd", "1", "--price", "1,2").stdout)
        poor = json.loads(call("solve", "Q?", *asked, "--budget-usd", "0.0001", "--price", "1,2").stdout)
    assert 0 < paid["usage"]["usd"] < 1
    assert (poor["reason"], poor["usage"]["usd"], there.requests) == ("budget", 0, 1)


@pytest.mark.parametrize("form", [int, dict, "City", list[int], {"name": "str"}])
def test_a_form_that_is_no_pydantic_model_is_refused_before_anything_is_sent(form: Any):
    with Loopback() as there, pytest.raises(tg.TaskError, match="expected a pydantic model"):
        tg.solve("Q?", model=MODELS["compatible"](there.base_url), returns=form, budget=ONE)
    assert there.requests == 0


@pytest.mark.parametrize("backend", ["compatible", "openai", "anthropic"])
def test_a_prompt_that_is_too_long_is_named_by_its_thought_and_its_length(backend: str):
    said = "prompt is too long: this model's maximum context length is 8 tokens"
    with server(backend, 400, said) as there, pytest.raises(tg.RunFailed) as caught:
        tg.solve("Q? " * 50, model=MODELS[backend](there.base_url), policy="direct", budget=ONE)
    for word in ("maximum context length", "root", "150 characters", "longer context"):
        assert word in str(caught.value)


@pytest.mark.parametrize("backend", ["compatible", "openai", "anthropic"])
def test_a_server_that_refuses_schemas_answers_by_the_prompt_with_a_note(backend: str):
    refuses = ["output_config" if backend == "anthropic" else "response_format"]
    with server(backend, reply=lambda prompt, draw: '{"name": "Paris", "people": 2}', refuses=refuses) as there:
        result = tg.solve("Q?", model=MODELS[backend](there.base_url), returns=City, policy="direct", budget=ONE)
    assert result.answer == City(name="Paris", people=2)
    assert there.requests == 2
    assert "the schema stands in the prompt" in next(note.text for note in result.notes if note.about == "schema")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (
            ["openai:x", "--base-url", "http://no-such-host.invalid/v1"],
            {},
            ["no-such-host.invalid", "correct base_url"],
        ),
        (["openai:x", "--base-url", "http://a.invalid/v1"], {"HTTP_PROXY": "PROXY"}, ["through the proxy PROXY"]),
        (["openai:gpt-5-mini"], {"HTTPS_PROXY": "PROXY"}, ["through the proxy PROXY", "correct HTTPS_PROXY"]),
        (["anthropic:claude-opus-4-5"], {"HTTPS_PROXY": "PROXY"}, ["through the proxy PROXY", "NO_PROXY"]),
    ],
)
def test_a_way_that_leads_nowhere_says_what_to_correct(
    arguments: list[str], environment: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
):
    proxy = f"http://127.0.0.1:{closed()}"
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("PROXY", proxy))
    done = call("solve", "Q?", "--model", *arguments, "--policy", "direct", "--attempts", "1", "--no-store")
    assert done.exit_code == 1
    for word in words:
        assert word.replace("the proxy PROXY", f"the proxy {proxy}") in done.stderr


# -- event loops ---------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
import thoughtgraph as tg

kind, url = sys.argv[1:]
made = {"compatible": tg.models.Compatible, "openai": tg.models.OpenAI, "anthropic": tg.models.Anthropic}[kind]
for _ in range(3):
    print(tg.solve("Q?", model=made("x", base_url=url), policy="direct").answer)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["compatible", "openai", "anthropic"])
def test_a_script_leaves_nothing_on_standard_error_but_the_budget(backend: str, tmp_path: Path):
    (tmp_path / "script.py").write_text(SCRIPT)
    with server(backend, reply=lambda prompt, draw: "42") as there:
        command = [sys.executable, "-W", "error", "-X", "dev", "script.py", backend, there.base_url]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=away()
        )
    # asyncio's debug mode tells of each step of over 0.1 s, as importing an SDK is
    told = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, done.stdout.split()) == (0, ["42"] * 3)
    assert told == ["thoughtgraph: no budget was named, so at most 16 calls are spent"] * 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_solve_works_in_a_running_event_loop_and_in_threads_with_loops_of_their_own(backend: str):
    with server(backend, reply=lambda prompt, draw: "42") as there:
        model = MODELS[backend](there.base_url)

        async def cell() -> Any:
            return tg.solve("Q?", model=model, policy="direct", budget=ONE).answer

        async def nested() -> list[Any]:
            return await asyncio.gather(*[asyncio.to_thread(lambda: asyncio.run(cell())) for _ in range(3)])

        answers = [asyncio.run(cell()), asyncio.run(cell()), *asyncio.run(nested())]
        with ThreadPoolExecutor(3) as threads:
            answers += threads.map(lambda _: asyncio.run(cell()), range(3))
    assert answers == ["42"] * 8


# -- money over runs and processes ---------------------------------------------------------------------------------


def away(**more: str) -> dict[str, str]:
    """The environment of another process, which imports this package."""
    return {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parents[1]), **more}


def named(there: Loopback) -> Counter[str]:
    """How many requests each model got."""
    return Counter(body["model"] for body in there.bodies)


def judged(prompt: str, draw: int) -> str:
    return "sure" if "impossible" in prompt else f"Step: {draw}. The answer is {draw}"


TREE = ["--policy", "tot(breadth=1, steps=1)", "--budget-calls", "30", "--model-for", "value=openai:strong"]


def test_a_critic_of_another_model_is_asked_and_resumed_at_the_same_server(tmp_path: Path):
    store = ["--store", str(tmp_path / "runs.db")]
    with Loopback(judged) as there:
        asked = ["--model", "openai:weak", "--base-url", there.base_url, "--price", "1,2"]
        first = json.loads(call("solve", "Q?", *asked, *TREE, *store, "--json").stdout)
        before = named(there)
        again = json.loads(call("resume", first["run"], *store, "--json").stdout)
        shown = json.loads(call("show", first["run"], *store, "--json").stdout)
    assert set(before) == {"weak", "strong"}
    assert named(there) == before
    assert again["answer"] == first["answer"]
    assert set(shown["ledger"]) == {"step", "value"}
    assert shown["ledger"]["value"]["requests"] == before["strong"]


def test_an_estimate_and_a_dry_run_send_nothing(tmp_path: Path):
    with Loopback(judged) as there:
        asked = ["--model", "openai:weak", "--base-url", there.base_url, *TREE, "--json"]
        told = [json.loads(call(*words, *asked).stdout) for words in (["estimate", "Q?"], ["solve", "Q?", "--dry-run"])]
    assert there.requests == 0
    assert told[0] == told[1]
    assert not (tmp_path / "data").exists()


def test_tg_cache_pays_once_over_runs_and_no_cache_pays_again(tmp_path: Path):
    counts: list[int] = []
    with Loopback() as there:
        asked = ["--model", "openai:x", "--base-url", there.base_url, "--policy", "direct", "--budget-calls", "1"]
        for more in ([], [], ["--no-cache"]):
            call("solve", "Q?", *asked, *more, TG_CACHE=str(tmp_path / "cache.db"))
            counts.append(there.requests)
    assert counts == [1, 1, 2]


@pytest.mark.slow
def test_two_processes_may_fill_one_cache_at_once(tmp_path: Path):
    with Loopback(lambda prompt, draw: f"The answer is {draw}", latency=0.1) as there:
        solve = ["solve", "Q?", "--model", "openai:x", "--base-url", there.base_url, "--no-store", "--json"]
        how = ["--policy", "self_consistency(n=8)", "--budget-calls", "8", "--cache", str(tmp_path / "cache.db")]
        command = [sys.executable, "-m", "thoughtgraph.cli", *solve, *how]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        both = [subprocess.Popen(command, **pipes, env=away()) for _ in range(2)]
        told = [one.communicate(timeout=60) for one in both]
        assert [one.returncode for one in both] == [0, 0], told
        paid = there.requests
        third = json.loads(call(*solve, *how).stdout)
    assert there.requests == paid
    assert third["usage"]["requests"] == 0


def test_a_run_with_a_form_a_price_and_a_cache_is_resumed_with_its_form(tmp_path: Path):
    with Loopback(lambda prompt, draw: '{"name": "Paris", "people": 2}') as there:
        paid = {"price": tg.Price(1, 2), "cache": tmp_path / "cache.db", "store": tmp_path / "runs.db"}
        dollar = tg.Budget(usd=1)
        how = {"model": "openai:x", "base_url": there.base_url, "policy": "direct", "budget": dollar, "returns": City}
        first = tg.solve("Q?", **how, **paid)
        with pytest.raises(tg.ReplayMismatch, match="returns=City"):
            tg.resume(first.run, store=tmp_path / "runs.db")
        again = tg.resume(first.run, store=tmp_path / "runs.db", returns=City)
        other = tg.solve("Q?", **how, **paid)
    assert first.answer == again.answer == other.answer == City(name="Paris", people=2)
    assert first.usage.usd == again.usage.usd
    assert (other.usage.usd, there.requests) == (0, 1)


def test_a_question_with_a_picture_is_sent_as_parts_and_resumed_with_its_task(tmp_path: Path):
    url = "data:image/png;base64,iVBORw0KGgo="
    task = tg.question("What is it?", images=[tg.Image(url)])
    with Loopback(lambda prompt, draw: "a cat") as there:
        model, store = "openai:x", tmp_path / "runs.db"
        first = tg.solve(task, model=model, base_url=there.base_url, policy="direct", budget=ONE, store=store)
        again = tg.resume(first.run, store=store, task=task)
    parts = there.bodies[0]["messages"][-1]["content"]
    assert {"type": "image_url", "image_url": {"url": url}} in parts
    assert (first.answer, again.answer, there.requests) == ("a cat", "a cat", 1)


KILLED = """
import sys
import thoughtgraph as tg

model = tg.models.Compatible("x", sys.argv[1])
how = {"policy": "self_consistency(n=30, wave=1)", "budget": tg.Budget(calls=40), "retry": tg.Retry(hedge=False)}
tg.solve("Q?", model=model, store="runs.db", **how)
"""


def test_a_run_that_is_killed_in_the_middle_pays_for_each_reply_once(tmp_path: Path):
    (tmp_path / "script.py").write_text(KILLED)
    with Loopback(lambda prompt, draw: f"The answer is {draw}", latency=0.05) as there:
        command, until = [sys.executable, "script.py", there.base_url], time.monotonic() + 30
        with subprocess.Popen(command, cwd=tmp_path, env=away()) as process:
            while there.requests < 12 and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        before = there.requests
        with closing(tg.SQLiteStore(tmp_path / "runs.db")) as store:
            run = store.runs()[0]
        result = tg.resume(run, store=tmp_path / "runs.db", model=MODELS["compatible"](there.base_url))
        total = there.requests
        again = tg.resume(run, store=tmp_path / "runs.db", model=MODELS["compatible"](there.base_url))
    assert 12 <= before < 30
    assert 30 <= total <= 31  # at most the one that was in flight is asked again
    assert total <= result.usage.requests <= total + 1  # written down, and killed on its way
    assert (there.requests, again.answer) == (total, result.answer)
