"""Kill -9 at any moment: real processes, a real server that counts, and nothing paid twice."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import Loopback, Status

import thoughtgraph as tg
from thoughtgraph.trace import Sent, Settled

QUESTION = "Which of the ten doors is it?"


def reply(prompt: str, draw: int) -> str:
    """The same prompt's same draw says the same, whoever asks: what a provider's cache would do."""
    if "verdict" in prompt:
        return "It may be.\n" + ("sure", "likely", "impossible")[len(prompt) % 3]
    return f"Door {len(prompt) % 7} was opened.\n" + ("Answer: 7" if prompt.count("Step") > 2 else "Go on.")


def command(server: Loopback, policy: str, store: Path) -> list[str]:
    model = ["--model", "openai:small", "--base-url", server.base_url, "--budget-calls", "2000"]
    words = ["solve", QUESTION, "--policy", policy, *model, "--store", str(store), "--json"]
    return [sys.executable, "-m", "thoughtgraph.cli", *words]


def again(run: str, store: Path) -> list[str]:
    return [sys.executable, "-m", "thoughtgraph.cli", "resume", run, "--store", str(store), "--json"]


def finish(words: list[str]) -> dict:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def killed(server: Loopback, words: list[str], after: int) -> None:
    """Run `words` until the server has seen `after` more requests, and kill."""
    seen, work = server.requests, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while work.poll() is None and server.requests < seen + after and time.monotonic() < deadline:
        time.sleep(0.001)
    work.send_signal(signal.SIGKILL)
    work.communicate()


def graph(store: Path, run: str) -> tuple:
    kept = tg.SQLiteStore(store)
    whole = tg.trace.graph_of(kept.events(run))
    kept.close()
    nodes = sorted((t.id, str(t.content), str([(s.value, s.feedback) for s in whole.scores(t)])) for t in whole)
    return nodes, sorted(whole.edges)


def unanswered(store: Path, run: str) -> int:
    kept = tg.SQLiteStore(store)
    records = kept.records(run)
    kept.close()
    return len({r.id for r in records if isinstance(r, Sent)} - {r.id for r in records if isinstance(r, Settled)})


@pytest.mark.parametrize("policy", ["tot(breadth=2, steps=3)", "mcts(simulations=4)"])
@pytest.mark.slow
def test_a_killed_run_pays_again_only_for_what_was_unanswered(policy: str, tmp_path: Path):
    """Also inside effects of many calls: a level of thoughts is judged by one effect of many."""
    rng = random.Random(7)
    with Loopback(reply, latency=0.03) as server:
        whole = finish(command(server, policy, tmp_path / "whole.db"))
        alone, store = server.requests, tmp_path / "killed.db"
        killed(server, command(server, policy, store), 1 + rng.randrange(3))
        kept = tg.SQLiteStore(store)
        run = kept.runs()[0]
        kept.close()
        for _ in range(4):
            killed(server, again(run, store), 1 + rng.randrange(4))
        told = finish(again(run, store))
        lost = unanswered(store, run)
        assert server.requests - 2 * alone <= lost
    assert lost > 0
    assert told["answer"] == whole["answer"]
    assert graph(store, run) == graph(tmp_path / "whole.db", whole["run"])
    assert told["usage"]["requests"] == alone + lost


@pytest.mark.parametrize("faults", [(), ("reset", "truncate", Status(500), "empty", "no usage", Status(429))])
@pytest.mark.slow
def test_the_books_of_a_killed_run_bound_what_the_server_billed(faults: tuple, tmp_path: Path):
    """Settled <= billed <= settled + unsettled, in tokens and dollars; without a kill or a fault, they are equal."""
    store, rng = tmp_path / "runs.db", random.Random(3)
    spoilt = itertools.chain(*(((None,) * 5 + (fault,)) for fault in faults), itertools.repeat(None))
    with Loopback(reply, faults=spoilt, latency=0.03) as server:
        words = [*command(server, "tot(breadth=2, steps=3)", store), "--price", "1000,2000", "--budget-usd", "1000"]
        killed(server, words, 3)
        kept = tg.SQLiteStore(store)
        run = kept.runs()[0]
        kept.close()
        for _ in range(3):
            killed(server, again(run, store), 1 + rng.randrange(4))
        told = finish(again(run, store))
        time.sleep(0.1)
        prompt, made = (sum(pair[i] for pair in server.billed) for i in (0, 1))
    billed = {"prompt_tokens": prompt, "completion_tokens": made, "usd": (1000 * prompt + 2000 * made) / 1e6}
    for name, counted in billed.items():
        high = told["usage"][name]
        assert high - told["unsettled"][name] <= counted + 1e-9 <= high + 2e-9, name
    assert told["unsettled"]["requests"] > 0


def test_without_kills_the_books_are_the_servers(tmp_path: Path):
    with Loopback(reply) as server:
        words = [*command(server, "tot(breadth=2, steps=3)", tmp_path / "runs.db"), "--price", "1000,2000"]
        told = finish(words)
        prompt, made = (sum(pair[i] for pair in server.billed) for i in (0, 1))
    assert told["unsettled"]["prompt_tokens"] == told["unsettled"]["completion_tokens"] == 0
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (prompt, made)
    assert told["usage"]["usd"] == pytest.approx((1000 * prompt + 2000 * made) / 1e6)
    assert told["usage"]["requests"] == server.requests


def test_a_finished_run_is_resumed_without_a_call_and_its_file_is_untouched(tmp_path: Path):
    store = tmp_path / "runs.db"
    with Loopback(reply) as server:
        told = finish(command(server, "best_of_n(n=4)", store))
        before, content = server.requests, store.read_bytes()
        again_told = finish(again(told["run"], store))
        assert server.requests == before
    assert again_told["answer"] == told["answer"]
    assert store.read_bytes() == content
