"""`Local`: a callable of one's own as a model, what it is given, and what its mistakes mean."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import ModelError, TaskError, Unavailable, Unsupported
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request, Schema
from thoughtgraph.models import Local
from thoughtgraph.models.local import load
from thoughtgraph.prompt import Image, Message
from thoughtgraph.testing import ModelContract

ASK = Request((Message("system", "be brief"), Message("user", "two and two?")), max_tokens=16, timeout=5)


def shout(prompt: str) -> str:
    return prompt.upper()


def draws(request: Request, n: int) -> list[str]:
    return [f"{request.messages[-1].content} #{draw} at {request.temperature}" for draw in range(n)]


class Counter:
    """A callable with a state of its own."""

    def __init__(self) -> None:
        self.called = 0

    def __call__(self, prompt: str) -> str:
        self.called += 1
        return str(self.called)


class TestAFunctionOfPrompts(ModelContract):
    model = Local(shout)


class TestAFunctionOfRequests(ModelContract):
    model = Local(draws)


class TestACoroutineFunction(ModelContract):
    def make(self) -> Local:
        async def slow(prompt: str) -> str:
            await asyncio.sleep(0.002)
            return prompt

        return Local(slow)


async def once(reply, request: Request = ASK, n: int = 1, **settings) -> Completion:
    return await Local(reply, **settings)(request, n)


async def fails(reply, request: Request = ASK) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await once(reply, request)
    return caught.value


# -- what it is given, and what it may give ------------------------------------------------------------------------


async def test_a_function_of_one_parameter_gets_the_prompt_and_gives_one_draw():
    assert await once(shout, n=3) == Completion((Reply("BE BRIEF\n\nTWO AND TWO?"),))


async def test_a_function_of_two_gets_the_request_and_gives_n_draws():
    request = Request(ASK.messages, temperature=0.5)
    got = await once(draws, request, 2)
    assert [reply.text for reply in got.replies] == ["two and two? #0 at 0.5", "two and two? #1 at 0.5"]


async def test_what_has_a_default_need_not_be_given():
    async def reply(prompt: str, style: str = "plain", *, loud: bool = False) -> str:
        return style

    assert (await once(reply)).replies == (Reply("plain"),)


async def test_objects_partials_methods_and_builtins_are_called_too():
    assert (await once(Counter())).replies == (Reply("1"),)
    assert (await once(functools.partial("{} {}".format, "hear"))).replies == (Reply("hear be brief\n\ntwo and two?"),)
    assert (await once("<{}>".format)).replies == (Reply("<be brief\n\ntwo and two?>"),)
    assert (await once(str)).replies == (Reply("be brief\n\ntwo and two?"),)


async def test_it_may_give_replies_lists_and_completions():
    assert (await once(lambda prompt: Reply("no", "refusal"))).replies == (Reply("no", "refusal"),)
    assert (await once(lambda request, n: ["a", Reply("b", "length")], n=2)).replies == (
        Reply("a"),
        Reply("b", "length"),
    )
    counted = Completion((Reply("a"),), prompt_tokens=7, completion_tokens=1)
    assert await once(lambda request, n: counted) == counted


async def test_more_draws_than_asked_for_are_left_out():
    assert len((await once(lambda request, n: ["a", "b", "c"], n=2)).replies) == 2


async def test_another_model_can_stand_behind_it():
    inner = Local(shout)
    assert (await once(inner)).replies == (await inner(ASK, 1)).replies


@pytest.mark.parametrize("given", [None, 7, {"text": "a"}, [], ["a", None], b"a"])
async def test_another_shape_is_an_error_that_shows_what_came(given):
    error = await fails(lambda prompt: given)
    assert error.cause == "wrong shape"
    assert repr(given) in str(error)
    assert not isinstance(error, Unavailable)


@pytest.mark.parametrize("reply", [lambda: "a", lambda a, b, c: "a", lambda *, prompt: "a"])
def test_a_function_that_cannot_be_called_so_is_refused_at_once(reply):
    with pytest.raises(TaskError, match=r"expected \(prompt\), or \(request, n\)"):
        Local(reply)


def test_what_cannot_be_called_is_refused_at_once():
    with pytest.raises(TaskError, match=r"'shout'.*expected a function"):
        Local("shout")  # pyright: ignore[reportArgumentType]


# -- what it says of itself ----------------------------------------------------------------------------------------


def test_its_name_is_where_the_callable_stands():
    assert Local(shout).name == f"local:{__name__}:shout"
    assert Local(Counter()).name == f"local:{__name__}:Counter"
    assert Local(functools.partial(draws)).name == f"local:{__name__}:draws"
    assert Local(str.upper).name == "local:builtins:str.upper"
    assert Local(shout, model="loud").name == "local:loud"


def test_its_tokens_cost_nothing_until_one_says_otherwise():
    assert Local(shout).price == Price(0, 0)
    assert Local(shout, price=Price(1, 2)).price == Price(1, 2)


def test_what_it_can_do_goes_by_what_it_is_given():
    of_prompts, of_requests = Local(shout).capabilities, Local(draws).capabilities
    assert not any((of_prompts.n, of_prompts.temperature, of_prompts.seed, of_prompts.stop, of_prompts.schema))
    assert of_requests.n
    assert of_requests.temperature
    assert of_requests.seed
    assert not any((of_requests.schema, of_requests.logprobs, of_requests.images))


def test_what_it_can_do_may_be_said():
    can = Capabilities(schema=True, context=4096)
    assert Local(draws, can=can).capabilities == can


@pytest.mark.parametrize(
    ("request_", "parameter"),
    [
        (Request(ASK.messages, temperature=1.0), "temperature"),
        (Request(ASK.messages, seed=1), "seed"),
        (Request(ASK.messages, stop=("\n",)), "stop"),
        (Request(ASK.messages, logprobs=True), "logprobs"),
        (Request(ASK.messages, schema=Schema("a", {"type": "object"})), "schema"),
        (Request((Message("user", "what is this?", (Image("https://a.example/b.png"),)),)), "images"),
    ],
)
async def test_no_setting_is_left_out_in_silence(request_, parameter):
    with pytest.raises(Unsupported) as caught:
        await once(shout, request_)
    assert caught.value.parameter == parameter


# -- mistakes ------------------------------------------------------------------------------------------------------


async def test_what_it_raises_is_an_error_that_is_not_tried_again():
    def broken(prompt: str) -> str:
        raise ZeroDivisionError("by\nzero")

    error = await fails(broken)
    assert not isinstance(error, Unavailable)
    assert error.cause == "ZeroDivisionError"
    assert str(error).endswith("raised ZeroDivisionError: by zero")
    assert isinstance(error.__cause__, ZeroDivisionError)


async def test_unavailable_passes_as_it_is():
    async def busy(prompt: str) -> str:
        raise Unavailable("busy", cause="503", retry_after=2)

    error = await fails(busy)
    assert isinstance(error, Unavailable)
    assert (error.cause, error.retry_after) == ("503", 2)


async def test_a_time_out_of_its_own_is_no_time_out_of_the_request():
    def inner(prompt: str) -> str:
        raise TimeoutError("the database")

    assert (await fails(inner)).cause == "TimeoutError"


async def test_an_iterator_that_is_used_up_is_an_error_and_no_silence():
    lines = iter(["one"])
    model = Local(lambda prompt: next(lines))
    await model(ASK, 1)
    with pytest.raises(ModelError, match="used up"):
        await model(ASK, 1)


async def test_a_late_reply_is_a_time_out_and_the_model_goes_on():
    late = threading.Event()
    model = Local(lambda prompt: str(late.wait(10)))
    with pytest.raises(Unavailable) as caught:
        await model(Request(ASK.messages, timeout=0.05), 1)
    assert (caught.value.cause, caught.value.maybe_billed) == ("timeout", True)
    late.set()
    assert (await model(ASK, 1)).replies == (Reply("True"),)


async def test_no_more_run_side_by_side_than_workers():
    running, most = itertools.count(), list[int]()
    lock, inside = threading.Lock(), [0]

    def busy(prompt: str) -> str:
        with lock:
            inside[0] += 1
            most.append(inside[0])
        threading.Event().wait(0.01)
        with lock:
            inside[0] -= 1
        return str(next(running))

    model = Local(busy, workers=2)
    await asyncio.gather(*(model(ASK, 1) for _ in range(6)))
    assert max(most) == 2


# -- in the engine -------------------------------------------------------------------------------------------------


def test_a_budget_in_dollars_holds_for_it():
    result = tg.solve("two and two?", model=Local(lambda prompt: "four"), policy="direct", budget=tg.Budget(usd=0.01))
    assert (result.answer, result.usage.usd) == ("four", 0.0)


# -- by its name ---------------------------------------------------------------------------------------------------

OWN = """
from thoughtgraph.models import Local

size = 3

def answer(prompt):
    return prompt[::-1]

class Deep:
    @staticmethod
    def answer(prompt):
        return "deep"

ready = Local(answer, model="ready", max_tokens=8)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of one's own, in the folder that one stands in."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN, encoding="utf-8")
    (tmp_path / f"{name}_broken.py").write_text("import nowhere_at_all", encoding="utf-8")
    (tmp_path / f"{name}_wrong.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return name


async def test_a_function_is_found_by_its_module_and_name(here: str):
    model = load(f"{here}:answer")
    assert model.name == f"local:{here}:answer"
    assert (await model(Request((Message("user", "ab"),)), 1)).replies == (Reply("ba"),)
    assert load(f"{here}:Deep.answer").name == f"local:{here}:Deep.answer"


def test_a_model_that_is_ready_is_taken_as_it_is(here: str):
    assert load(f"{here}:ready").defaults["max_tokens"] == 8


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{}", ["names no function", "local:package.module:function"]),
        (":answer", ["names no function"]),
        ("{}_gone:answer", ["there is no module", "_gone"]),
        ("{}.deeper:answer", ["there is no module", "deeper"]),
        ("{}_broken:answer", ["cannot be imported", "nowhere_at_all"]),
        ("{}_wrong:answer", ["cannot be imported", "ZeroDivisionError"]),
        ("{}:anwser", ["did you mean answer?"]),
        ("{}:zzz", ["it has", "answer"]),
        ("{}:size", ["is 3", "expected a function"]),
    ],
)
def test_a_name_that_leads_nowhere_says_what_is_not_there(here: str, name: str, words: list[str]):
    with pytest.raises(TaskError) as caught:
        load(name.format(here))
    for word in words:
        assert word in str(caught.value)
