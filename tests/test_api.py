"""The front door: text becomes objects, synchronous callers get answers everywhere, and what was given is closed."""

import asyncio
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from loopback import Loopback

import thoughtgraph as tg


def letters(state: tg.State, n: int) -> list[tg.Draft]:
    """One more letter, up to three."""
    so_far = state.content or ""
    return [tg.Draft(so_far + letter, done=len(so_far) == 2) for letter in "abc"][:n]


def cs(states: Sequence[tg.State]) -> list[tg.Score]:
    """Likes the letter c."""
    return [tg.Score(float(state.content.count("c"))) for state in states]


TASK = tg.Task("spell", actions={"step": letters}, critics={"value": cs})


def test_a_question_in_text_and_the_name_of_a_model_are_enough(monkeypatch: pytest.MonkeyPatch):
    with Loopback(lambda prompt, draw: "Counting.\nAnswer: 3") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("TG_MODEL", "openai:small")
        assert tg.solve("How many r's are in strawberry?").answer == "3"
        assert tg.solve("How many r's are in strawberry?", model="openai:other").answer == "3"
    assert [body["model"] for body in server.bodies][::4] == ["small", "small", "other", "other"][
        : len(server.bodies[::4])
    ]


def test_three_runs_in_a_row_share_one_loop():
    with Loopback(lambda prompt, draw: "Answer: 3") as server:
        model = tg.models.Compatible("small", server.base_url)
        assert [tg.solve("How many?", model=model, budget=tg.Budget(calls=4)).answer for _ in range(3)] == ["3"] * 3
        tg.solve(TASK, policy="dfs")


async def test_solve_works_inside_a_running_event_loop():
    """As in a notebook."""
    assert tg.solve(TASK, policy="tot(breadth=1)").answer == "ccc"


async def test_a_stream_ends_with_the_answer_and_every_update_has_the_best_so_far():
    answers = [update.answer async for update in tg.stream(TASK, policy="tot(breadth=1)")]
    assert answers[0] is None
    assert answers[-1] == "ccc"


async def test_leaving_a_stream_ends_the_run(tmp_path: Path):
    store = tmp_path / "runs.db"
    updates = tg.stream(TASK, policy="tot(breadth=1)", store=store)
    first = await anext(updates)
    await updates.aclose()
    assert tg.resume(first.event.run, store=store, task=TASK).answer == "ccc"


async def test_a_cancelled_run_is_recorded_and_goes_on(tmp_path: Path):
    async def slow(state: tg.State, n: int) -> list[tg.Draft]:
        await asyncio.sleep(0.05)
        return letters(state, n)

    task = tg.Task("spell", actions={"step": slow}, critics={"value": cs})
    work = asyncio.create_task(tg.asolve(task, policy="tot(breadth=1)", store=tmp_path / "runs.db"))
    await asyncio.sleep(0.08)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    kept = tg.SQLiteStore(tmp_path / "runs.db")
    (run,) = kept.runs()
    assert kept.events(run)[-1].reason == "cancelled"
    kept.close()
    assert (await tg.aresume(run, store=tmp_path / "runs.db", task=task)).answer == "ccc"


def test_a_run_of_a_shipped_task_is_resumed_by_its_id_alone(tmp_path: Path):
    store = tmp_path / "runs.db"
    first = tg.solve(tg.tasks.game24("3 3 8 8"), policy="mcts", budget=tg.Budget(expansions=3), store=store)
    assert first.reason == "budget"
    assert tg.resume(first.run, store=store, budget=tg.Budget(expansions=500)).reason == "answered"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "pass it again, as in resume(..., task=my_task)"),
        ({"task": TASK, "policy": "dfs"}, "recorded with another policy"),
        ({"task": tg.Task("spell", actions={"step": letters}, critics={"other": cs})}, "recorded with another critic"),
    ],
)
def test_a_run_is_not_resumed_with_something_else_and_its_file_stays_as_it_is(tmp_path: Path, given: dict, words: str):
    store = tmp_path / "runs.db"
    run = tg.solve(TASK, policy="mcts", budget=tg.Budget(expansions=2), store=store).run
    content = store.read_bytes()
    with pytest.raises(tg.ReplayMismatch) as error:
        tg.resume(run, store=store, **given)
    assert words in str(error.value)
    assert store.read_bytes() == content


def test_a_dollar_budget_needs_a_price():
    model = tg.models.Scripted(lambda prompt, draw: "Answer: 3")
    with pytest.raises(tg.TaskError, match=r"price of .* is not known.*tg.Price"):
        tg.solve("How many?", model=model, budget=tg.Budget(usd=1))
    priced = tg.models.Scripted(lambda prompt, draw: "Answer: 3", price=tg.Price(prompt=1, completion=2))
    result = tg.solve("How many?", model=priced, budget=tg.Budget(usd=1))
    assert result.usage.usd == pytest.approx((result.usage.prompt_tokens + 2 * result.usage.completion_tokens) / 1e6)


def test_an_unknown_price_is_unknown_and_not_nothing():
    result = tg.solve(
        "How many?", model=tg.models.Scripted(lambda prompt, draw: "Answer: 3"), budget=tg.Budget(calls=9)
    )
    assert result.usage.usd is None


def test_an_unreachable_server_says_which_and_what_to_do(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(tg.RunFailed) as error:
        tg.solve("How many?", model="openai:small", base_url="http://127.0.0.1:9/v1", policy="direct")
    assert "127.0.0.1:9" in str(error.value)
    assert error.value.result.reason == "failed"
    assert error.value.run in str(error.value)


def test_a_file_of_runs_cannot_send_the_key_to_a_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
    store, away = tmp_path / "runs.db", "https://elsewhere.invalid/v1"
    with pytest.raises(tg.RunFailed) as failed:
        tg.solve("How many?", model="openai:small", base_url=away, store=store, retry=tg.Retry(attempts=1))
    with pytest.raises(tg.ReplayMismatch, match="base_url=") as refused:
        tg.resume(failed.value.run, store=store)
    assert away in str(refused.value)
    with pytest.raises(tg.RunFailed):
        tg.resume(failed.value.run, store=store, base_url=away, retry=tg.Retry(attempts=1))


def test_a_file_of_runs_cannot_run_code_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.py").write_text("def answer(prompt):\n    return 'Answer: 3'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    store = tmp_path / "runs.db"
    run = tg.solve("How many?", model="local:mine:answer", store=store, budget=tg.Budget(calls=1)).run
    with pytest.raises(tg.ReplayMismatch, match="runs code in this process"):
        tg.resume(run, store=store)
    assert tg.resume(run, store=store, model="local:mine:answer", budget=tg.Budget(calls=16)).answer == "3"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_loop_of_its_own():
    tg.solve(TASK, policy="dfs")
    child = multiprocessing.get_context("fork").Process(target=tg.solve, args=(TASK,), kwargs={"policy": "dfs"})
    child.start()
    child.join(20)
    assert child.exitcode == 0


def test_a_planted_key_is_found_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
    store = tmp_path / "runs.db"
    with Loopback(lambda prompt, draw: "Answer: 3") as server:
        result = tg.solve("How many?", model="openai:small", base_url=server.base_url, store=store)
        assert server.headers[0]["Authorization"] == "Bearer sk-planted-secret"
    assert "planted" not in repr(result)
    assert all(b"planted" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


BLOCKED = """
import time
import thoughtgraph as tg

def step(state, n):
    if state.thought.depth:
        print("blocked", flush=True)
        time.sleep(60)
    return [tg.Draft("one")]

try:
    critics = {"value": lambda states: [tg.Score(1.0) for _ in states]}
    tg.solve(tg.Task("x", actions={"step": step}, critics=critics), policy="dfs")
except tg.Interrupted as stopped:
    print(stopped.result.reason, len(stopped.result.graph), stopped.result.run, flush=True)
    import os
    os._exit(0)
"""


@pytest.mark.slow
def test_ctrl_c_reaches_a_run_whose_generator_blocks():
    """The event loop cannot answer; where the run stands is told all the same, with its id."""
    work = subprocess.Popen([sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, text=True)
    assert work.stdout is not None
    assert work.stdout.readline() == "blocked\n"
    work.send_signal(signal.SIGINT)
    out, _ = work.communicate(timeout=30)
    assert out.split()[:2] == ["cancelled", "2"]
    assert work.returncode == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": 5}, "expected a tg.Budget"),
        ({"policy": 5}, "expected a policy object"),
        ({"task": 5}, "expected a question in text"),
    ],
)
def test_a_wrong_argument_is_named(given: dict, words: str):
    with pytest.raises(tg.TaskError, match=words):
        tg.solve(given.pop("task", TASK), **given)


def test_a_policy_returns_a_thought_and_asks_with_thoughts():
    async def word(search: tg.Search) -> str:
        return "x"

    async def strings(search: tg.Search) -> None:
        await search.score(["x"])

    async def none(search: tg.Search) -> None:
        await search.expand(search.root, n=0)

    for policy, words in ((word, "expected a thought"), (strings, "expected thoughts"), (none, "at least one each")):
        with pytest.raises(tg.TaskError, match=words):
            tg.solve(TASK, policy=policy)


async def test_an_argument_that_nobody_knows_is_no_default():
    with pytest.raises(TypeError, match="did you mean policy"):
        await tg.asolve(TASK, polcy="dfs")
    with pytest.raises(TypeError, match="did you mean budget"):
        await tg.aresume("r", store=tg.MemoryStore(), budgets=tg.Budget())
