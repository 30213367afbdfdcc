"""The doctor: what models can do, what is done where they cannot, and what a server says when it is asked itself."""

import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path

import pytest
from loopback import Fault, Loopback, Raw, Status
from messages import Messages
from typer.testing import CliRunner, Result

from thoughtgraph.budget import Usage
from thoughtgraph.cli import app
from thoughtgraph.doctor import EXAMPLES, TRIALS, Checkup, Finding, checkup, configured, probe, worst
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request
from thoughtgraph.models import Compatible, Local, OpenAI, tables
from thoughtgraph.models.anthropic import Anthropic

KEY = "sk-test-0123456789abcdef"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "TG_MODEL", "GROQ_API_KEY")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's models or keys."""
    for name in (*KEYS, *(f"{key}_FILE" for key in KEYS)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def told(*arguments: str) -> dict:
    return json.loads(call(*arguments, "--json").stdout)


def willing(prompt: str, draw: int) -> str:
    """What a server replies that takes every setting and keeps to it."""
    if "Count" in prompt:
        return "1 2 3 4 "
    return '{"animal": "cat", "legs": 4}' if "cats" in prompt else "word"


def server(reply=willing, faults: Iterable[Fault] = (), refuses: Iterable[str] = (), cached: int = 9) -> Loopback:
    usage = {"prompt_tokens_details": {"cached_tokens": cached}}
    return Loopback(reply, faults, refuses=set(refuses), usage=usage)


async def asked(place: Loopback, **settings) -> dict[str, list[Finding]]:
    """The findings of a probe, by what they are about."""
    with place:
        findings = await probe(Compatible("small", place.base_url, **settings))
    return {what: [found for found in findings if found.what == what] for what in [found.what for found in findings]}


def verdicts(findings: dict[str, list[Finding]]) -> dict[str, bool | None]:
    return {what: found[-1].ok for what, found in findings.items()}


# -- the table -----------------------------------------------------------------------------------------------------


def test_without_a_model_it_says_how_to_set_one_up():
    done = call()
    assert done.exit_code == 1
    for word in ("OPENAI_API_KEY", "TG_MODEL=", "--base-url", "local:"):
        assert word in done.stdout
    assert told()["models"] == []


def test_each_key_in_the_environment_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert configured([]) == [EXAMPLES["OPENAI_API_KEY"]]
    monkeypatch.setenv("ANTHROPIC_API_KEY_FILE", str(tmp_path / "key"))
    assert configured([]) == list(EXAMPLES.values())


def test_a_named_model_goes_before_the_environments_and_that_before_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TG_MODEL", "openai:own")
    assert configured([]) == ["openai:own"]
    assert configured(["openai:a", "openai:b"]) == ["openai:a", "openai:b"]


def test_a_server_of_ones_own_is_a_row_whose_model_is_to_be_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert configured([]) == ["openai:default"]
    assert configured([], "http://localhost:8/v1") == ["openai:default"]


def test_the_models_that_stand_for_keys_are_in_the_tables():
    for name in EXAMPLES.values():
        backend, _, model = name.partition(":")
        assert tables.price(backend, model) is not None


def test_a_row_shows_the_place_the_key_the_price_and_the_abilities(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    done = call("--model", "openai:gpt-5-mini")
    assert done.exit_code == 0
    assert KEY not in done.stdout + done.stderr
    places, abilities = [line.split() for line in done.stdout.splitlines() if line.startswith("openai:gpt-5-mini")]
    assert places == ["openai:gpt-5-mini", "https://api.openai.com/v1", "found", "0.25,", "2", "400,000"]
    assert abilities == ["openai:gpt-5-mini", "yes", "no", "yes", "no", "yes", "no", "automatic", "yes"]


def test_what_is_missing_is_told_in_a_sentence_with_what_is_done_instead():
    said = call("--model", "local:string:capwords").stdout
    for line in (
        "n: one request a draw, side by side, each draw booked",
        "temperature: not sent; draws differ by the model's own sampling, and prompts ask for different ones",
        "schema: the prompt asks for JSON, which is checked, with one repair",
        "logprobs: none; a critic that reads them, as Expected, draws samples or refuses",
        "seed: not sent",
    ):
        assert f"\n{line}" in said
    assert "price: unknown" not in said
    assert "none needed" in said


def test_with_several_models_a_sentence_names_those_that_it_is_about():
    said = call("--model", "local:string:capwords", "--model", "openai:small", "--base-url", "http://localhost:9/v1")
    line = next(line for line in said.stdout.splitlines() if line.startswith("n: one request"))
    assert line.endswith("(local:string:capwords)")
    assert "price: unknown, so budgets in dollars are refused" in said.stdout


def test_a_key_that_is_missing_is_named_and_makes_the_status_1():
    done = call("--model", "openai:gpt-5-mini")
    assert done.exit_code == 1
    assert "missing: OPENAI_API_KEY" in done.stdout
    assert "set OPENAI_API_KEY to the key" in done.stdout


def test_a_password_in_the_url_is_not_shown():
    done = call("--model", "openai:small", "--base-url", "https://me:hidden-word@a.example/v1", "--json")
    assert done.exit_code == 0
    assert "hidden-word" not in done.stdout + done.stderr
    [model] = json.loads(done.stdout)["models"]
    assert (model["endpoint"], model["key"]) == ("https://a.example/v1", "found")


def test_a_server_on_this_machine_needs_no_key():
    [model] = told("--model", "openai:small", "--base-url", "http://localhost:9/v1")["models"]
    assert (model["key"], model["well"], model["price"]) == ("none needed", True, None)
    assert "--price IN,OUT" in model["instead"]["price"]


def test_litellm_may_know_of_a_key_that_we_do_not():
    [model] = told("--model", "litellm:groq/llama-3.1-8b-instant")["models"]
    assert model["key"].startswith("not in GROQ_API_KEY")


def test_json_is_alone_on_standard_output_and_whole():
    said = told("--model", "local:string:capwords")
    assert said["versions"]["python"].startswith("3.")
    assert {"thoughtgraph", "openai", "anthropic", "litellm", "aiohttp"} <= said["versions"].keys()
    assert said["listed"] > 100
    [model] = said["models"]
    assert model["can"]["n"] is False
    assert model["price"]["prompt"] == 0
    assert model["probe"] is None


@pytest.mark.parametrize("name", ["opnai:gpt-5", "openai", "local:nowhere_at_all:f"])
def test_a_name_that_no_model_has_is_a_usage_error(name: str):
    done = call("--model", name)
    assert done.exit_code == 2
    assert name.split(":")[1 if name.startswith("local") else 0] in done.stderr
    assert done.stdout == ""


def test_looking_imports_no_sdk_and_asks_nobody():
    code = (
        "import sys; from thoughtgraph.doctor import examine; "
        "examine(['openai:gpt-5-mini', 'anthropic:claude-haiku-4-5', 'litellm:groq/a'], None, ask=False, tell=print); "
        "print([name for name in ('openai', 'anthropic', 'litellm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_from_outside_steer_no_terminal():
    done = call("--model", "openai:\x1b[31mred", "--base-url", "http://localhost:9/v1")
    assert "\x1b" not in done.stdout


# -- the probe -----------------------------------------------------------------------------------------------------


async def test_a_server_that_does_it_all_is_found_to():
    found = await asked(server())
    assert verdicts(found) == dict.fromkeys(
        ("answer", "usage", "n", "temperature", "seed", "logprobs", "schema", "stop", "length", "caching"), True
    )


async def test_every_call_is_bounded_and_carries_one_setting():
    with server() as place:
        await probe(Compatible("small", place.base_url))
    assert len(place.bodies) == len(TRIALS) <= 12
    assert all(16 <= body["max_tokens"] <= 64 for body in place.bodies)
    known = {"model", "messages", "max_tokens"}
    assert [sorted(body.keys() - known) for body in place.bodies] == [
        [], ["n"], ["temperature"], ["temperature"], ["seed"], ["logprobs", "top_logprobs"], ["response_format"],
        ["stop"], [], [], [],
    ]  # fmt: skip


async def test_a_server_that_ignores_n_is_found_out():
    found = await asked(server(faults=[None, "one"]))
    assert (found["n"][0].ok, found["n"][0].said) == (False, "1 of 2 draws came in one request")


async def test_a_refused_setting_is_a_finding_with_the_servers_words():
    found = await asked(server(refuses={"temperature", "seed"}))
    assert [one.ok for one in found["temperature"]] == [False, False]
    assert "not supported with this model" in found["seed"][0].said
    assert found["seed"][0].usage.tokens == 0
    assert verdicts(found)["stop"] is True


async def test_what_is_taken_and_ignored_shows_in_the_reply():
    """No logprobs, a reply in prose, a count past the stop, no token from the cache."""
    bare = json.dumps({"choices": [{"message": {"content": "1 2 3 4 5 6"}}], "usage": {}}).encode()
    found = await asked(Loopback(faults=repeat(Raw(bare))))
    assert verdicts(found) == {
        "answer": True, "usage": False, "n": False, "temperature": True, "seed": True, "logprobs": False,
        "schema": False, "stop": False, "length": True, "caching": False,
    }  # fmt: skip


async def test_a_model_that_thinks_until_it_is_cut_off_leaves_the_question_open():
    silent = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "length"}], "usage": {}}).encode()
    found = verdicts(await asked(Loopback(faults=repeat(Raw(silent)))))
    assert (found["schema"], found["stop"]) == (None, None)


async def test_a_fault_of_the_moment_says_nothing_about_a_setting():
    found = await asked(server(faults=[None, "drop"]))
    assert found["n"][0].ok is None
    assert found["n"][0].usage == worst_of(1, seconds=found["n"][0].usage.seconds)


def worst_of(number: int, **settings) -> Usage:
    most = TRIALS[number].worst(None)
    return Usage(most.calls, most.requests, most.prompt_tokens, most.completion_tokens, most.usd, **settings)


async def test_a_busy_server_is_asked_once_more():
    busy = Status(503, headers={"Retry-After": "0"})
    with server(faults=[None, busy]) as place:
        assert verdicts(await asked_of(place))["n"] is True
    with server(faults=[None, busy, busy]) as place:
        found = await asked_of(place)
    assert found["n"][0].ok is None
    assert "503" in found["n"][0].said


async def asked_of(place: Loopback) -> dict[str, list[Finding]]:
    findings = await probe(Compatible("small", place.base_url))
    return {found.what: [found] for found in findings}


async def test_after_a_first_call_that_fails_no_other_is_made():
    with server(faults=repeat(Status(404, "no such model"))) as place:
        [found] = await probe(Compatible("small", place.base_url))
        assert place.requests == 1
    assert (found.what, found.ok) == ("answer", None)
    assert "no such model" in found.said


async def test_a_server_that_is_not_there_is_a_finding():
    [found] = await probe(Compatible("small", "http://127.0.0.1:9/v1"))
    assert found.ok is None
    assert "cannot connect" in found.said


async def test_whatever_a_model_raises_is_a_finding():
    class Broken:
        name, price, defaults = "own:broken", None, {}

        async def __call__(self, request: Request, n: int) -> Completion:
            raise KeyError("choices")

        async def close(self) -> None:
            pass

    [found] = await probe(Broken())
    assert (found.ok, found.said) == (None, "KeyError: 'choices'")


async def test_where_tokens_are_not_reported_a_probe_costs_what_was_said_before():
    price = Price(10, 20, cached=1, written=12.5)
    model = Local(lambda request, n: ["word"] * n, can=Capabilities(), price=price)
    most = worst(model)
    spent = sum((found.usage for found in await probe(model)), Usage())
    assert (spent.requests, spent.tokens) == (most.requests, most.tokens)
    assert spent.usd == pytest.approx(most.usd)
    assert most.usd == pytest.approx((12.5 * most.prompt_tokens + 20 * most.completion_tokens) / 1e6)


async def test_dollars_are_those_of_the_tokens_that_were_reported():
    def counted(request: Request, n: int) -> Completion:
        return Completion((Reply("word"),) * n, prompt_tokens=1000, completion_tokens=100, cached_tokens=500)

    model = Local(counted, can=Capabilities(), price=Price(10, 20, cached=1))
    [first, *_] = await probe(model)
    assert first.usage.usd == pytest.approx((500 * 10 + 500 * 1 + 100 * 20) / 1e6)


def test_a_probe_of_a_cheap_model_stays_under_five_cents():
    for name in ("gpt-5-mini", "gpt-4.1-nano"):
        assert worst(OpenAI(name, price=tables.price("openai", name))).usd < 0.05
    assert worst(Anthropic("claude-haiku-4-5")).usd < 0.05


async def test_anthropic_is_probed_by_the_same_calls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with Messages(willing, least=1024) as place:
        found = await probe(Anthropic("claude-haiku-4-5", base_url=place.base_url))
    told = {one.what: one.ok for one in found}
    assert told["answer"] is True
    assert told["n"] is False
    assert told["caching"] is True


async def test_what_a_model_cannot_send_is_not_asked_and_not_told():
    findings = {found.what: found for found in await probe(Local(lambda prompt: "word"))}
    assert findings["n"].ok is False
    assert (findings["seed"].ok, findings["seed"].usage.requests) == (None, 0)
    assert findings["seed"].said.startswith("not asked")


# -- what a probe changes in the report ----------------------------------------------------------------------------


def report(place: Loopback, *more: str) -> Result:
    return call("--model", "openai:small", "--base-url", place.base_url, "--probe", *more)


def test_the_bound_of_the_cost_is_said_before_and_the_cost_after():
    with server() as place:
        done = report(place)
    assert done.exit_code == 0
    assert "The probe makes 11 requests: at most" in done.stderr
    assert "dollars unknown" in done.stderr
    assert "openai:small was asked 11 times" in done.stdout


def test_what_was_probed_is_marked_and_what_differs_too():
    with server(faults=[None, "one"], refuses={"temperature"}) as place:
        done = report(place)
    row = [line for line in done.stdout.splitlines() if line.startswith("openai:small ")][1]
    assert row.count("no (probed), not yes") == 2
    assert "yes (probed), not none" in row
    assert row.count("yes (probed)") == 5
    assert "n: one request a draw" in done.stdout
    assert "temperature: not sent" in done.stdout


def test_the_findings_are_in_the_json_with_their_cost():
    with server(refuses={"seed"}) as place:
        [model] = json.loads(report(place, "--json").stdout)["models"]
    by_name = {found["what"]: found for found in model["probe"]["findings"]}
    assert by_name["seed"]["ok"] is False
    assert model["probe"]["usage"]["requests"] == 11
    assert model["instead"].keys() == {"seed", "price", "context"}


def test_a_model_that_does_not_answer_makes_the_status_1():
    with server(faults=chain([Status(401, f"bad key {KEY}")], repeat(None))) as place:
        done = report(place)
    assert done.exit_code == 1
    assert KEY not in done.stdout
    assert "answer: not told, Unauthorized" in done.stdout


def test_a_model_without_its_key_is_not_asked():
    done = call("--model", "openai:gpt-5-mini", "--probe")
    assert done.exit_code == 1
    assert "set OPENAI_API_KEY" in done.stdout


def test_what_a_server_says_steers_no_terminal():
    with server(lambda prompt, draw: "\x1b[31m[red]word[/red]") as place:
        said = report(place).stdout
    assert "\x1b" not in said
    assert "[red]" in said


def test_a_finding_that_tells_nothing_leaves_the_table_as_it_was():
    known = checkup(Local(str.upper))
    open_ = Checkup(known.model, "", "", Capabilities(), None, findings=(Finding("n", None, "busy"),))
    assert open_.found("n") is None
    assert not open_.differs("n")
    assert "n" not in set(open_.lacks())
