"""What money buys: forms, other models for roles, doubles of late requests, replies from the cache, and open books."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, RootModel

import thoughtgraph as tg
from thoughtgraph.deadline import Latency
from thoughtgraph.engine import Engine
from thoughtgraph.errors import Unsupported
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request
from thoughtgraph.retry import Retry
from thoughtgraph.trace import Noted, Sent, Settled

PRICE, ALL = Price(prompt=1, completion=1), Capabilities()


class Person(BaseModel):
    """A form."""

    name: str
    age: int


@dataclass(frozen=True, eq=False)
class Wire:
    """A model whose every request is answered by a function of its number."""

    answer: Callable[[int, Request, int], object]
    price: Price | None = PRICE
    name: str = "wire"
    capabilities: Capabilities = ALL
    defaults: dict = field(default_factory=lambda: {"max_tokens": 10, "timeout": 5.0})
    seen: list[tuple[Request, int]] = field(default_factory=list)

    async def __call__(self, request: Request, n: int) -> Completion:
        number = len(self.seen)
        self.seen.append((request, n))
        told = self.answer(number, request, n)
        if asyncio.iscoroutine(told):
            told = await told
        if isinstance(told, Exception):
            raise told
        if isinstance(told, Completion):
            return told
        texts = [told] * n if isinstance(told, str) else list(told)
        return Completion(tuple(Reply(text) for text in texts), 3, 2 * len(texts))

    async def close(self) -> None:
        pass

    @property
    def words(self) -> list[str]:
        """The last message of each request."""
        return [request.messages[-1].content for request, _ in self.seen]


def said(x, passages, thoughts, scores):
    return tg.Prompt(problem=x)


def asking(n: int, **say) -> tg.Task:
    async def step(state: tg.State, _: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=True) for text in await state.ask(said, n, **say)]

    return tg.Task("ask", actions={"step": step})


async def one(search: tg.Search) -> tg.Thought | None:
    await search.expand(search.root)
    return search.answer()


async def run(task: tg.Task, model: Wire, policy=one, store: tg.MemoryStore | None = None, **how) -> tg.Result:
    how.setdefault("budget", tg.Budget(calls=50))
    return await Engine(task, policy, store=store or tg.MemoryStore(), run="r", model=model, **how).start()


async def late(seconds: float, told: object) -> object:
    await asyncio.sleep(seconds)
    return told


# -- forms -----------------------------------------------------------------------------------------------------------

ADA = '{"name": "Ada", "age": 36}'


def test_an_answer_is_an_instance_of_the_form_that_was_asked_for():
    model = Wire(lambda number, request, n: f"```json\n{ADA}\n```")
    result = tg.solve("Who?", model=model, policy="direct", returns=Person, budget=tg.Budget(calls=4))
    assert result.answer == Person(name="Ada", age=36)
    assert result.to_json()["answer"] == {"name": "Ada", "age": 36}
    request, _ = model.seen[0]
    assert request.schema is not None
    assert (request.schema.name, request.schema.body["required"]) == ("Person", ["name", "age"])


def test_a_vote_over_forms_counts_equal_data_and_lets_the_model_think_first():
    model = Wire(lambda number, request, n: [f'{{"reasoning": "So {number}.", "answer": {ADA}}}'] * n)
    result = tg.solve("Who?", model=model, returns=Person, budget=tg.Budget(calls=16))
    assert result.answer == Person(name="Ada", age=36)
    assert result.thought is not None
    assert result.thought.content["text"].startswith("So ")
    assert result.usage.calls == 4


def test_a_reply_that_does_not_fit_is_mended_once_by_telling_what_is_wrong():
    model = Wire(lambda number, request, n: ['{"name": "Ada"}', ADA][number])
    result = tg.solve("Who?", model=model, policy="direct", returns=Person, budget=tg.Budget(calls=4))
    assert result.answer == Person(name="Ada", age=36)
    mending, _ = model.seen[1]
    assert [message.role for message in mending.messages] == ["user", "assistant", "user"]
    assert "age: Field required" in mending.messages[-1].content
    assert result.outcomes == {"ok": 1, "unparsable": 1}


def test_a_reply_that_is_not_mended_is_no_answer_and_is_counted():
    model = Wire(lambda number, request, n: "I would rather not say.")
    result = tg.solve("Who?", model=model, policy="direct", returns=Person, budget=tg.Budget(calls=9))
    assert (result.answer, len(model.seen), sum(result.outcomes.values())) == (None, 2, 2)


def test_where_the_server_holds_no_schema_the_prompt_asks_for_it_and_the_run_says_so():
    model = Wire(lambda number, request, n: ADA, capabilities=Capabilities(schema=False))
    result = tg.solve("Who?", model=model, policy="direct", returns=Person, budget=tg.Budget(calls=4))
    assert result.answer == Person(name="Ada", age=36)
    request, _ = model.seen[0]
    assert request.schema is None
    assert '"required": ["name", "age"]' in request.messages[-1].content
    assert [(note.about, note.model) for note in result.notes] == [("schema", "wire")]


def test_a_run_with_a_form_is_resumed_with_the_form_again(tmp_path: Path):
    store, model = tmp_path / "runs.db", Wire(lambda number, request, n: ADA)
    first = tg.solve("Who?", model=model, policy="direct", returns=Person, budget=tg.Budget(calls=4), store=store)
    with pytest.raises(tg.ReplayMismatch, match="returns=Person"):
        tg.resume(first.run, store=store, model=model)
    again = tg.resume(first.run, store=store, model=model, returns=Person)
    assert again.answer == first.answer
    assert len(model.seen) == 1


class Aliased(BaseModel):
    """A form whose names in JSON are others."""

    full_name: str = Field(alias="name")


class Otherwise(BaseModel):
    """A form that is written under another name than it is read by."""

    name: str = Field(serialization_alias="full_name")


FORMS = [
    (Aliased, '{"name": "Ada"}'), (Otherwise, '{"name": "Ada"}'), (RootModel[str], '"Ada"'),
    (RootModel[list[int]], "[1, 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "reply"), FORMS)
def test_whatever_pydantic_can_read_is_an_answer(form: type[BaseModel], reply: str):
    model = Wire(lambda number, request, n: reply)
    result = tg.solve("Who?", model=model, policy="direct", returns=form, budget=tg.Budget(calls=4))
    assert result.answer == form.model_validate_json(reply)


def test_what_is_no_form_is_refused_before_anything_is_spent():
    with pytest.raises(tg.TaskError, match="expected a pydantic model"):
        tg.solve("Who?", model=Wire(lambda *_: ""), returns=dict)  # type: ignore[arg-type]


# -- what a model cannot do ------------------------------------------------------------------------------------------


async def test_a_temperature_is_never_sent_to_a_model_that_refuses_it_and_draws_take_other_ways():
    model = Wire(lambda number, request, n: f"{number}", capabilities=Capabilities(temperature=False))
    result = await run(asking(3, temperature=0.7), model)
    assert [request.temperature for request, _ in model.seen] == [None] * 3
    assert len(set(model.words)) == 3
    assert model.words[0] == "ask"
    (note,) = result.notes
    assert note.about == "temperature"
    assert "0.7 is not sent" in note.text
    assert "another" in note.text


async def test_a_setting_that_the_server_refuses_is_left_out_and_the_run_says_so():
    def answer(number: int, request: Request, n: int) -> object:
        if request.temperature is not None:
            return Unsupported("'temperature' is not supported here", parameter="temperature")
        return "fine"

    store, model = tg.MemoryStore(), Wire(answer)
    result = await run(asking(1, temperature=0.0), model, store=store)
    assert result.answer == "fine"
    assert [request.temperature for request, _ in model.seen] == [0.0, None]
    assert [event.about for event in store.events("r") if isinstance(event, Noted)] == ["temperature"]
    assert result.ledger["step"].retries == {"no temperature": 1}
    assert (result.usage.calls, result.usage.requests) == (1, 2)


async def test_a_refusal_of_what_was_never_sent_is_not_tried_for_ever():
    model = Wire(lambda number, request, n: Unsupported("no seed, please", parameter="seed"))
    with pytest.raises(tg.RunFailed, match="no seed"):
        await run(asking(1), model)
    assert len(model.seen) == 1


async def test_a_model_that_gives_one_draw_a_request_is_asked_side_by_side():
    model = Wire(lambda number, request, n: f"{number}", capabilities=Capabilities(n=False))
    result = await run(asking(3), model)
    assert [n for _, n in model.seen] == [1, 1, 1]
    assert result.usage.calls == 3
    assert [note.about for note in result.notes] == ["n"]


async def test_where_the_server_cannot_stop_replies_are_cut_off_here():
    model = Wire(lambda number, request, n: "one END two", capabilities=Capabilities(stop=False))
    result = await run(asking(1, stop=("END",)), model)
    assert (result.answer, model.seen[0][0].stop) == ("one", ())


async def test_notes_are_said_once_a_run_and_not_again_on_resume():
    model = Wire(lambda number, request, n: f"{number}", capabilities=Capabilities(temperature=False))
    store = tg.MemoryStore()

    async def twice(search: tg.Search) -> tg.Thought | None:
        for _ in range(2):
            await search.expand(search.root)
        return search.answer()

    task = asking(1, temperature=0.5)
    await run(task, model, twice, store, budget=tg.Budget(calls=1))
    again = await Engine(task, twice, store=store, run="r", model=model, budget=tg.Budget(calls=2)).resume()
    assert len(again.notes) == 1 == len([event for event in store.events("r") if isinstance(event, Noted)])


async def test_logprobs_come_with_replies_where_they_are_offered():
    logprobs = (("24", -0.1), ("!", -2.0))

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        (reply,) = await state.replies(said, 1, logprobs=True)
        return [tg.Draft(list(map(list, reply.logprobs)), done=True)]

    model = Wire(lambda number, request, n: Completion((Reply("24!", "stop", logprobs),), 3, 2))
    result = await run(tg.Task("ask", actions={"step": step}), model)
    assert model.seen[0][0].logprobs is True
    assert result.thought is not None
    assert result.thought.content == [["24", -0.1], ["!", -2.0]]


async def test_a_prompt_that_is_too_long_names_the_thought_and_the_length():
    error = tg.ModelError("the context is 8 tokens", cause="context too long")
    store = tg.MemoryStore()
    with pytest.raises(tg.RunFailed) as failed:
        await run(asking(1), Wire(lambda *_: error), store=store)
    assert "the prompt of 'step' for the thought root (root) has 3 characters" in str(failed.value)
    assert [event.about for event in store.events("r") if isinstance(event, Noted)] == ["context too long"]


# -- several models --------------------------------------------------------------------------------------------------


def judged(states):
    async def judge():
        asked = (state.ask(said, 1, float) for state in states)
        return [tg.Score(values[0]) for values in await asyncio.gather(*asked)]

    return judge()


async def test_a_cheap_model_proposes_and_a_strong_one_judges_with_one_budget():
    cheap = Wire(lambda number, request, n: f"{number}", name="cheap", price=Price(1, 1))
    strong = Wire(lambda number, request, n: "0.5", name="strong", price=Price(100, 100))
    task = tg.Task("ask", actions=asking(2).actions, critics={"value": judged})

    async def policy(search: tg.Search) -> tg.Thought | None:
        await search.score(await search.expand(search.root))
        return search.answer()

    result = await run(task, cheap, policy, models={"value": strong})
    assert (len(cheap.seen), len(strong.seen)) == (1, 2)
    assert result.ledger["step"].usd == pytest.approx((3 + 4) / 1e6)
    assert result.ledger["value"].usd == pytest.approx(2 * 100 * (3 + 2) / 1e6)
    assert result.usage.usd == pytest.approx(507e-6 + 500e-6)
    tight = tg.Budget(usd=0.001)
    assert (await run(task, cheap, policy, models={"value": strong}, budget=tight)).usage.usd <= 0.001


async def test_a_model_for_a_role_that_the_task_has_not_is_refused():
    with pytest.raises(tg.TaskError, match="did you mean 'step'"):
        await run(asking(1), Wire(lambda *_: "x"), models={"stepp": Wire(lambda *_: "x")})


async def test_the_price_of_every_model_must_be_known_for_a_budget_in_dollars():
    dear = Wire(lambda *_: "x", name="dear", price=None)
    with pytest.raises(tg.TaskError, match="price of dear is not known"):
        await run(asking(1), Wire(lambda *_: "x"), models={"step": dear}, budget=tg.Budget(usd=1))


# -- prices ----------------------------------------------------------------------------------------------------------


async def test_cached_and_written_tokens_have_their_own_price_and_stand_in_the_books():
    price = Price(prompt=3, completion=15, cached=0.3, written=3.75)
    reply = Completion((Reply("x"),), 1000, 100, cached_tokens=600, written_tokens=300, reasoning_tokens=40)
    result = await run(asking(1), Wire(lambda *_: reply, price=price))
    assert result.usage.usd == pytest.approx((100 * 3 + 600 * 0.3 + 300 * 3.75 + 100 * 15) / 1e6)
    book = result.ledger["step"]
    assert (book.cached_tokens, book.written_tokens, book.reasoning_tokens) == (600, 300, 40)


async def test_what_is_held_counts_every_token_of_the_prompt_at_its_dearest():
    store = tg.MemoryStore()
    await run(asking(1), Wire(lambda *_: "x", price=Price(prompt=1, completion=2, written=4)), store=store)
    (sent,) = (record for record in store.records("r") if isinstance(record, Sent))
    assert sent.held.usd == pytest.approx((4 * sent.held.prompt_tokens + 2 * 10) / 1e6)


async def test_tokens_are_counted_where_their_bound_does_not_fit_the_budget():
    @dataclass(frozen=True, eq=False)
    class Counting(Wire):
        async def count(self, request: Request) -> int | None:
            return 1

    task = tg.Task("ask", actions=asking(1).actions, x="é" * 100)
    assert (await run(task, Wire(lambda *_: "x"), budget=tg.Budget(tokens=30))).answer is None
    assert (await run(task, Counting(lambda *_: "x"), budget=tg.Budget(tokens=30))).answer == "x"


# -- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempts", "cause"), [(1, "500"), (3, "429"), (6, "reset")])
async def test_a_request_is_attempted_as_often_as_was_said(attempts: int, cause: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)
    model = Wire(lambda *_: tg.Unavailable("no", cause=cause))
    with pytest.raises(tg.RunFailed):
        await run(asking(1), model, retry=Retry(attempts=attempts))
    assert len(model.seen) == attempts


async def test_retries_end_after_the_time_that_they_have(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)
    model = Wire(lambda *_: late(0.06, tg.Unavailable("no", cause="500")))
    with pytest.raises(tg.RunFailed):
        await run(asking(1), model, retry=Retry(attempts=100, elapsed=0.1))
    assert 2 <= len(model.seen) <= 4


# -- outages ---------------------------------------------------------------------------------------------------------


async def level(search: tg.Search) -> tg.Thought | None:
    """Two levels: a thought, and what follows it."""
    for first in await search.expand(search.root):
        await search.expand(first)
    return next((t for t in search.graph if t.depth == 2), None)


@pytest.mark.parametrize("good", [0, 1])
async def test_a_run_that_an_outage_ended_goes_on_where_the_provider_fell_silent(
    good: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)

    async def step(state: tg.State, _: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=len(state.path) == 2) for text in await state.ask(said, 1)]

    task, store = tg.Task("ask", actions={"step": step}), tg.MemoryStore()
    down = Wire(lambda number, request, n: "first" if number < good else tg.Unavailable("down", cause="503"))
    with pytest.raises(tg.RunFailed, match="down") as failed:
        await run(task, down, level, store, budget=tg.Budget(calls=2))
    assert failed.value.result.reason == "failed"
    up = Wire(lambda number, request, n: f"{number}")
    again = await Engine(task, level, store=store, run="r", model=up, budget=tg.Budget(calls=2)).resume()
    assert (again.reason, again.answer, len(up.seen)) == ("answered", str(1 - good), 2 - good)
    assert again.usage.calls == 2
    whole = tg.trace.graph_of(store.events("r"))
    assert sorted(t.id for t in whole) == sorted(t.id for t in again.graph)
    third = await Engine(task, level, store=store, run="r", model=up, budget=tg.Budget(calls=2)).resume()
    assert (third.answer, len(up.seen)) == (again.answer, 2 - good)


async def test_an_honest_end_is_no_failure_though_its_last_call_was_refused():
    def answer(number: int, request: Request, n: int) -> object:
        return tg.ModelError("too long", cause="context too long") if number else "first"

    result = await run(tg.Task("ask", actions=asking(1).actions, claim=lambda path: None), Wire(answer), level)
    assert (result.reason, result.outcomes) == ("exhausted", {"ok": 1, "failed": 1})


async def test_the_books_of_an_outage_are_the_same_however_often_it_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)
    store, budget, task = tg.MemoryStore(), tg.Budget(calls=5), asking(2)
    down = Wire(lambda number, request, n: tg.Unavailable("down", cause="503"))
    with pytest.raises(tg.RunFailed):
        await run(task, down, store=store, budget=budget, retry=Retry(attempts=1))
    for _ in range(2):
        with pytest.raises(tg.RunFailed):
            await Engine(task, one, store=store, run="r", model=down, budget=budget, retry=Retry(attempts=1)).resume()
    up = Wire(lambda number, request, n: f"{number}")
    seen = [await Engine(task, one, store=store, run="r", model=up, budget=budget).resume() for _ in range(3)]
    assert [result.usage.calls for result in seen] == [2, 2, 2]
    assert tg.trace.ledger_of(store.records("r"))["step"].calls == 2


async def test_a_model_that_wraps_another_is_called_by_its_own_call():
    class Quiet(tg.models.Compatible):
        async def __call__(self, request: Request, n: int) -> Completion:
            return Completion((Reply("wrapped"),), 1, 1)

    assert (await run(asking(1), Quiet("m", "http://127.0.0.1:9/v1"))).answer == "wrapped"


async def test_a_key_that_was_refused_costs_no_call_once_it_is_right():
    store = tg.MemoryStore()
    with pytest.raises(tg.RunFailed, match="wrong key"):
        await run(asking(1), Wire(lambda *_: tg.Unauthorized("wrong key")), store=store, budget=tg.Budget(calls=1))
    model = Wire(lambda *_: "fine")
    again = await Engine(asking(1), one, store=store, run="r", model=model, budget=tg.Budget(calls=1)).resume()
    assert (again.answer, again.usage.calls) == ("fine", 1)


# -- doubles ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is late after 30 ms."""
    monkeypatch.setattr(Latency, "left", lambda self, waited: max(0.0, 0.03 - waited))
    monkeypatch.setattr(Latency, "hedge", lambda self: True)


@pytest.mark.usefixtures("soon")
async def test_a_late_request_is_sent_again_the_first_reply_wins_and_both_are_booked():
    model = Wire(lambda number, request, n: late(5, "slow") if number == 0 else "quick")
    store = tg.MemoryStore()
    result = await run(asking(1), model, store=store)
    assert result.answer == "quick"
    book = result.ledger["step"]
    assert (book.calls, book.requests, book.hedges, book.lost) == (1, 2, 1, 1)
    settled = {r.id: r for r in store.records("r") if isinstance(r, Settled)}
    assert [(settled[i].cause, settled[i].lost) for i in (0, 1)] == [("hedged", True), ("", False)]
    assert result.unsettled.requests == 1
    assert result.usage.requests == 2


@pytest.mark.usefixtures("soon")
async def test_where_the_first_comes_after_all_its_double_has_lost():
    model = Wire(lambda number, request, n: late(0.06 if number == 0 else 5, f"{number}"))
    result = await run(asking(1), model)
    assert result.answer == "0"
    book = result.ledger["step"]
    assert (book.calls, book.hedges, book.requests) == (1, book.lost, 1 + book.lost)
    assert book.lost >= 1


@pytest.mark.usefixtures("soon")
async def test_a_double_saves_a_request_that_fails_late():
    cut = tg.Unavailable("cut", cause="reset", maybe_billed=True)
    model = Wire(lambda number, request, n: late(0.06, cut) if number == 0 else late(0.1, "saved"))
    result = await run(asking(1), model, retry=Retry(attempts=1))
    assert result.answer == "saved"
    assert result.ledger["step"].retries == {"reset": 1}


@pytest.mark.usefixtures("soon")
async def test_a_double_that_hangs_is_doubled_too_but_not_for_ever():
    model = Wire(lambda number, request, n: late(5, "slow") if number < 3 else "quick")
    result = await run(asking(1), model)
    assert (result.answer, len(model.seen)) == ("quick", 4)
    assert result.ledger["step"].lost == 3


@pytest.mark.usefixtures("soon")
async def test_nothing_is_doubled_beyond_the_budget_or_where_doubling_is_off():
    model = Wire(lambda number, request, n: late(0.1, "only"))
    result = await run(asking(1), model, budget=tg.Budget(requests=1))
    assert (result.answer, len(model.seen), result.usage.requests) == ("only", 1, 1)
    await run(asking(1), model, retry=Retry(hedge=False))
    assert len(model.seen) == 2


@pytest.mark.usefixtures("soon")
async def test_a_run_that_is_cancelled_books_doubles_as_unsettled():
    model = Wire(lambda number, request, n: late(5, "never"))
    result = await run(asking(1), model, budget=tg.Budget(seconds=0.1))
    book = result.ledger["step"]
    assert (result.reason, result.answer) == ("budget", None)
    assert book.requests == len(model.seen) == book.lost >= 2
    assert result.unsettled.requests == len(model.seen)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("ending", ["wins", "fails"])
async def test_the_calls_of_a_request_stay_held_till_its_double_has_ended(ending: str):
    """One call is all there is: another effect must not take it while the double may still bring it in."""

    def answer(number: int, request: Request, n: int) -> object:
        if number == 0:
            return late(0.06, tg.Unavailable("cut", cause="reset"))
        return late(0.1, "two" if ending == "wins" else tg.Unavailable("cut", cause="reset"))

    async def both(search: tg.Search) -> None:
        await search.gather(*(search.expand(search.root) for _ in range(2)))

    result = await run(asking(1), Wire(answer), both, budget=tg.Budget(calls=1), retry=Retry(attempts=1))
    assert result.usage.calls == 1


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("word", [RuntimeError("session closed"), tg.Unavailable("cut", cause="reset"), TimeoutError()])
async def test_a_loser_that_answers_its_cancelling_with_another_word_changes_nothing(word: Exception):
    async def stubborn() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            raise word from None
        return "never"

    counts: list[int] = []

    async def step(state: tg.State, _: int) -> list[tg.Draft]:
        texts = await state.ask(said, 1)
        counts.append(asyncio.current_task().cancelling())
        return [tg.Draft(text, done=True) for text in texts]

    model = Wire(lambda number, request, n: stubborn() if number == 0 else "quick")
    result = await run(tg.Task("ask", actions={"step": step}), model)
    assert (result.answer, counts) == ("quick", [0])


async def test_a_cut_off_reply_of_a_retried_squeezed_request_is_drawn_again_on_resume():
    answers = [tg.Unavailable("no", cause="500"), Completion((Reply("so fa", "length"),), 3, 2)]
    store, task = tg.MemoryStore(), asking(1, max_tokens=400)
    result = await run(task, Wire(lambda number, request, n: answers[number]), store=store, budget=tg.Budget(tokens=80))
    assert result.reason == "budget"
    more = tg.Budget(tokens=2000)
    again = await Engine(task, one, store=store, run="r", model=Wire(lambda *_: "so far"), budget=more).resume()
    assert again.answer == "so far"


async def test_what_the_server_refused_before_a_stop_is_known_after_it():
    """Draws that took other ways are found again, and no angle is lost."""

    def answer(number: int, request: Request, n: int) -> object:
        refused = request.temperature is not None
        return Unsupported("no temperature here", parameter="temperature") if refused else f"{number}"

    store, task, model = tg.MemoryStore(), asking(4, temperature=0.7), Wire(answer)

    async def twice(search: tg.Search) -> tg.Thought | None:
        for _ in range(2):
            await search.expand(search.root, merge=False)
        return search.answer()

    await run(task, model, twice, store, budget=tg.Budget(calls=6))
    seen = len(model.seen)
    again = await Engine(task, twice, store=store, run="r", model=model, budget=tg.Budget(calls=9)).resume()
    assert len(model.seen) - seen == 2
    assert again.usage.calls == 8


async def test_draws_that_were_asked_for_before_the_refusal_are_found_again():
    """Four draws of one question, asked for with a temperature; the server refuses it, and gives them one by one."""

    def answer(number: int, request: Request, n: int) -> object:
        if request.temperature is not None:
            return Unsupported("no temperature here", parameter="temperature")
        return [f"{number}"] if number < 4 else late(5, "never")

    store, task, model = tg.MemoryStore(), asking(4, temperature=0.7), Wire(answer)
    work = asyncio.ensure_future(run(task, model, store=store, budget=tg.Budget(calls=9), retry=Retry(hedge=False)))
    await asyncio.sleep(0.1)
    work.cancel()
    await asyncio.wait([work])
    paid = sum(len(r.replies) for r in store.records("r") if isinstance(r, Settled))
    up = Wire(lambda number, request, n: [f"new {number}"] * n)
    again = await Engine(task, one, store=store, run="r", model=up, budget=tg.Budget(calls=99)).resume()
    assert paid >= 2
    assert sum(n for _, n in up.seen) == 4 - paid
    assert len(again.graph.children(again.graph.root)) == 4


async def test_odd_endings_and_endless_logprobs_can_be_stored(tmp_path: Path):
    odd = Reply("x" * 300, "\ud83d", (("\ud83d", float("-inf")), ("b", -0.5)))
    store = tg.SQLiteStore(tmp_path / "runs.db")

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        (reply,) = await state.replies(said, 1, logprobs=True)
        return [tg.Draft(reply.text, done=True)]

    await run(tg.Task("x", actions={"step": step}), Wire(lambda *_: Completion((odd,), 3, 2)), store=store)
    (settled,) = (record for record in store.records("r") if isinstance(record, Settled))
    assert [value for _, value in settled.replies[0].logprobs] == [-1e9, -0.5]
    store.close()


# -- the cache -------------------------------------------------------------------------------------------------------


async def test_asking_for_five_after_having_three_pays_for_two(tmp_path: Path):
    model = Wire(lambda number, request, n: [f"{number}.{i}" for i in range(n)])
    cache = tg.Cache(tmp_path / "cache.db")
    first = await run(asking(3), model, cache=cache)
    second = await run(asking(5), model, cache=cache)
    assert [n for _, n in model.seen] == [3, 2]
    assert (first.usage.calls, second.usage.calls) == (3, 2)
    assert (first.ledger["step"].hits, second.ledger["step"].hits) == (0, 3)
    texts = [thought.text for thought in second.graph.children(second.graph.root)]
    assert texts == ["0.0", "0.1", "0.2", "1.0", "1.1"]
    cache.close()


async def test_asking_again_of_the_same_thought_brings_new_draws_and_the_next_run_finds_all_of_them():
    model = Wire(lambda number, request, n: f"{number}")
    cache = tg.Cache()

    async def thrice(search: tg.Search) -> None:
        await search.gather(*(search.expand(search.root, n=1, merge=False) for _ in range(3)))

    first = await run(asking(1), model, thrice, cache=cache)
    again = await run(asking(1), model, thrice, cache=cache)
    assert len(model.seen) == 3
    for result in (first, again):
        assert sorted(t.text for t in result.graph.children(result.graph.root)) == ["0", "1", "2"]
    assert again.usage.calls == 0


async def test_a_generator_that_draws_more_than_it_returns_keeps_to_its_own_draws():
    """Three draws of which the best is kept, twice: six draws, and no redraw is the very reply that was bad."""

    async def best_of_three(state: tg.State, n: int) -> list[tg.Draft]:
        texts = await state.ask(said, 3, unless_bad)
        return [tg.Draft(" ".join(texts))]

    async def twice(search: tg.Search) -> None:
        for _ in range(2):
            await search.expand(search.root, n=1, merge=False)

    replies = iter(["bad", "a", "b", "c", "d", "bad", "e", "f"])
    model = Wire(lambda number, request, n: [next(replies) for _ in range(n)])
    result = await run(tg.Task("ask", actions={"step": best_of_three}), model, twice, cache=tg.Cache())
    assert [t.text for t in result.graph.children(result.graph.root)] == ["a b c", "d e f"]


async def test_two_critics_with_one_prompt_have_two_opinions():
    model, cache = Wire(lambda number, request, n: f"0.{number}"), tg.Cache()
    task = tg.Task("ask", actions=asking(1).actions, critics={"one": judged, "two": judged})

    async def both(search: tg.Search) -> None:
        await search.score([search.root], "one")
        await search.score([search.root], "two")

    result = await run(task, model, both, cache=cache)
    assert [result.graph.value(result.graph.root, critic) for critic in ("one", "two")] == [0.0, 0.1]


async def test_another_seed_wants_other_samples_but_not_where_there_is_nothing_to_sample():
    model, cache = Wire(lambda number, request, n: f"{number}"), tg.Cache()
    for seed in (0, 1):
        await run(asking(1), model, cache=cache, seed=seed)
    assert len(model.seen) == 2
    for seed in (0, 1):
        await run(asking(1, temperature=0.0), model, cache=cache, seed=seed)
    assert len(model.seen) == 3


async def test_equal_calls_in_flight_are_asked_once():
    model, cache = Wire(lambda number, request, n: late(0.03, f"{number}")), tg.Cache()
    runs = [run(asking(1), model, cache=cache) for _ in range(5)]
    results = await asyncio.gather(*runs)
    assert len(model.seen) == 1
    assert [result.answer for result in results] == ["0"] * 5
    assert sum(result.usage.calls for result in results) == 1


async def test_whoever_waits_for_a_call_that_fails_asks_for_itself():
    answers = [late(0.03, tg.ModelError("no")), "mine"]
    model, cache = Wire(lambda number, request, n: answers[number]), tg.Cache()
    first, second = await asyncio.gather(
        run(asking(1), model, cache=cache), run(asking(1), model, cache=cache), return_exceptions=True
    )
    assert isinstance(first, tg.RunFailed)
    assert isinstance(second, tg.Result)
    assert second.answer == "mine"


async def test_found_replies_are_in_the_journal_and_need_no_cache_on_resume():
    model, cache, store = Wire(lambda number, request, n: f"{number}"), tg.Cache(), tg.MemoryStore()
    await run(asking(1), model, cache=cache)
    await run(asking(1), model, store=store, cache=cache)
    left = tg.MemoryStore()
    left.append("r", store.events("r")[0])
    for record in store.records("r"):
        left.note("r", record)
    result = await Engine(asking(1), one, store=left, run="r", model=model).resume()
    assert (result.answer, len(model.seen)) == ("0", 1)


async def test_models_servers_and_settings_do_not_share_replies():
    cache = tg.Cache()
    models = [Wire(lambda number, request, n: "x", name=name) for name in ("a", "b")]
    for model in models:
        await run(asking(1), model, cache=cache)
        await run(asking(1, max_tokens=5), model, cache=cache)
    assert [len(model.seen) for model in models] == [2, 2]


async def test_thinking_a_query_and_the_seed_of_nothing_keep_requests_apart():
    def key(model: tg.Model, **said) -> str:
        from thoughtgraph.cache import content_key

        request = Request((tg.Message("user", "x"),), **said)
        return content_key([model.name, getattr(model, "settings", None), request.content])

    there, claude = "http://127.0.0.1:1/v1", tg.models.Anthropic("claude-opus-4-5", max_tokens=9000)
    assert key(tg.models.Compatible("m", f"{there}?a=1")) != key(tg.models.Compatible("m", f"{there}?a=2"))
    assert key(claude) != key(tg.models.Anthropic("claude-opus-4-5", max_tokens=9000, thinking=2000))
    assert key(claude, seed=0) != key(claude)


def unless_bad(text: str) -> str:
    if text == "bad":
        raise tg.Unparsable("bad")
    return text


def test_the_cache_is_named_by_a_file_and_switched_off_by_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TG_CACHE", str(tmp_path / "cache.db"))
    model = tg.models.Scripted(lambda prompt, draw: f"Answer: {draw}")
    for hits, cache in ((0, None), (1, None), (0, False), (1, tmp_path / "cache.db")):
        result = tg.solve("How many?", model=model, policy="direct", cache=cache, budget=tg.Budget(calls=1))
        assert result.ledger["answer"].hits == hits
