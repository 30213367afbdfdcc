"""Paid calls under strain: side by side, refused, failing, half answered, and told to a run that was killed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.model import Completion, Price, Reply, Request
from thoughtgraph.trace import Sent, Settled

PRICE = Price(prompt=1, completion=1)


@dataclass(frozen=True, eq=False)
class Wire:
    """A model whose every request is answered by a function of its number; it may sleep, fail, or give fewer draws."""

    answer: Callable[[int, Request, int], object]
    price: Price | None = PRICE
    name: str = "wire"
    defaults: dict = field(default_factory=lambda: {"max_tokens": 10, "timeout": 5.0})
    seen: list[Request] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)

    async def __call__(self, request: Request, n: int) -> Completion:
        number = len(self.seen)
        self.seen.append(request)
        told = self.answer(number, request, n)
        if asyncio.iscoroutine(told):
            told = await told
        self.finished.append(number)
        if isinstance(told, Exception):
            raise told
        texts = [told] * n if isinstance(told, str) else list(told)
        return Completion(tuple(Reply(text) for text in texts), 3, 2 * len(texts))

    async def close(self) -> None:
        pass


def said(x, passages, thoughts, scores):
    return tg.Prompt(problem=x)


def asking(n: int) -> tg.Task:
    async def step(state: tg.State, _: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=True) for text in await state.ask(said, n)]

    return tg.Task("ask", actions={"step": step})


async def one(search: tg.Search) -> tg.Thought | None:
    await search.expand(search.root)
    return search.answer()


async def run(task: tg.Task, model: Wire, store: tg.MemoryStore | None = None, **budget: float) -> tg.Result:
    return await Engine(
        task, one, store=store or tg.MemoryStore(), run="r", model=model, budget=tg.Budget(**budget)
    ).start()


def killed(store: tg.MemoryStore, events: int, records: list) -> tg.MemoryStore:
    """What a kill leaves: the first `events`, and these records."""
    left = tg.MemoryStore()
    for event in store.events("r")[:events]:
        left.append("r", event)
    for record in records:
        left.note("r", record)
    return left


def books(result: tg.Result) -> tuple[int, int, int]:
    ledger = result.ledger.values()
    return sum(b.calls for b in ledger), sum(b.requests for b in ledger), sum(b.prompt_tokens for b in ledger)


async def late(seconds: float, told: object) -> object:
    await asyncio.sleep(seconds)
    return told


async def test_a_failure_beside_others_in_flight_settles_its_own_request_and_no_other():
    """The server gives one draw of three; of the two that follow side by side one is rejected at once."""
    answers = [["a"], tg.ModelError("no"), late(0.05, "c")]
    store = tg.MemoryStore()
    result = await run(asking(3), Wire(lambda number, request, n: answers[number]), store)
    records = store.records("r")
    sent = {r.id: r for r in records if isinstance(r, Sent)}
    gave_up = [r.id for r in records if isinstance(r, Settled) and r.cause == "gave up"]
    assert [sent[id].draw for id in gave_up] == [1]
    assert result.outcomes == {"ok": 2, "failed": 1}
    assert books(result) == (3, 3, 6) == (result.usage.calls, result.usage.requests, result.usage.prompt_tokens)


async def test_only_what_was_sent_is_booked_as_failed():
    result = await run(asking(5), Wire(lambda number, request, n: tg.ModelError("no")), calls=2)
    assert (result.usage.calls, result.usage.requests) == (2, 1)


async def test_an_error_that_ends_an_effect_stops_the_calls_it_left_behind():
    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        async def bad() -> None:
            await asyncio.sleep(0.01)
            raise KeyError("a bug")

        other = tg.Prompt(problem="slow")
        await asyncio.gather(bad(), state.ask(lambda *_: other, 1))
        return []

    model = Wire(lambda number, request, n: late(0.1, "late"))
    with pytest.raises(tg.RunFailed, match="a bug"):
        await run(tg.Task("x", actions={"step": step}), model)
    await asyncio.sleep(0.2)
    assert (len(model.seen), model.finished) == (1, [])


async def test_chains_of_asks_side_by_side_find_their_replies_again_in_any_order():
    """Two chains of two asks in one effect; the second time the replies come in another order."""

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        async def chain(name: str) -> str:
            (first,) = await state.ask(lambda *_: tg.Prompt(problem=name), 1)
            (second,) = await state.ask(lambda *_: tg.Prompt(problem=f"{name} {first}"), 1)
            return second

        return [tg.Draft("".join(await asyncio.gather(chain("a"), chain("b"))), done=True)]

    def answer(slow: str) -> Callable[[int, Request, int], object]:
        return lambda number, request, n: late(0.03 if request.messages[0].content == slow else 0.0, "x")

    task, store = tg.Task("two", actions={"step": step}), tg.MemoryStore()
    await run(task, Wire(answer("a")), store)
    cut = killed(store, 1, [r for r in store.records("r") if r.id < 3])
    again = Wire(answer("b"))
    result = await Engine(task, one, store=cut, run="r", model=again).resume()
    assert result.answer == "xx"
    assert len(again.seen) == 1


async def test_seconds_of_calls_whose_effect_never_ended_count_on_resume():
    task, store = asking(1), tg.MemoryStore()
    await run(task, Wire(lambda number, request, n: late(0.2, "x")), store)
    cut = killed(store, 1, store.records("r"))
    result = await Engine(task, one, store=cut, run="r", model=Wire(lambda *_: "y")).resume()
    assert result.answer == "x"
    assert result.usage.seconds >= 0.2


async def test_what_was_cancelled_stands_in_the_ledger_as_in_the_usage():
    model = Wire(lambda number, request, n: late(5, "x"))
    result = await run(asking(2), model, seconds=0.1)
    assert (result.reason, result.usage.calls, result.usage.completion_tokens) == ("budget", 2, 20)
    assert books(result) == (2, 1, result.usage.prompt_tokens)
    assert result.ledger["step"].lost == 1


async def test_a_time_out_may_have_been_billed_and_counts_in_full(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)
    answers = [tg.Unavailable("late", cause="timeout", maybe_billed=True), "x"]
    result = await run(asking(1), Wire(lambda number, request, n: answers[number]))
    assert (result.usage.calls, result.usage.requests) == (1, 2)
    assert result.usage.completion_tokens == 10 + 2
    assert result.ledger["step"].retries == {"timeout": 1}


async def test_a_server_that_failed_without_billing_costs_a_request_and_no_tokens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thoughtgraph.retry._wait", lambda state: 0.0)
    answers = [tg.Unavailable("busy", cause="503"), "x"]
    result = await run(asking(1), Wire(lambda number, request, n: answers[number]))
    assert (result.usage.calls, result.usage.requests, result.usage.completion_tokens) == (1, 2, 2)


async def test_a_success_between_failures_breaks_their_streak():
    """Seven failures, a success, seven failures: no run is ended by that."""
    asked = [tg.ModelError("no")] * 7 + ["x"] + [tg.ModelError("no")] * 7 + ["y"]

    async def many(search: tg.Search) -> tg.Thought | None:
        for _ in range(16):
            await search.expand(search.root)
        return search.answer()

    model = Wire(lambda number, request, n: asked[number])
    engine = Engine(asking(1), many, store=tg.MemoryStore(), run="r", model=model)
    assert (await engine.start()).outcomes == {"failed": 14, "ok": 2}


async def test_local_work_does_not_hide_a_model_that_never_answers():
    """A local action succeeds now and then; the model is dead all the same."""

    async def both(search: tg.Search) -> tg.Thought | None:
        for _ in range(9):
            (local,) = await search.expand(search.root, action="local")
            await search.expand(local, action="step")
        return search.answer()

    task = asking(1)
    actions = {**task.actions, "local": lambda state, n: [tg.Draft("x")]}
    model = Wire(lambda number, request, n: tg.ModelError("dead"))
    with pytest.raises(tg.RunFailed, match="dead"):
        await Engine(tg.Task("x", actions=actions), both, store=tg.MemoryStore(), run="r", model=model).start()
    assert len(model.seen) == 8


async def test_a_wait_that_is_too_long_ends_the_run_and_says_so():
    model = Wire(lambda number, request, n: tg.Unavailable("429", cause="429", retry_after=3600))
    with pytest.raises(tg.RunFailed, match="wait 3600 s: resume"):
        await run(asking(1), model)
    assert len(model.seen) == 1


async def test_the_last_tokens_of_a_budget_are_asked_for_if_they_can_say_something():
    bound = Request(tg.Prompt(problem="ask").messages).bound
    model = Wire(lambda number, request, n: "x", defaults={"max_tokens": 100, "timeout": 5.0})
    assert (await run(asking(1), model, tokens=bound + 50)).answer == "x"
    assert model.seen[0].max_tokens == 50
    none = Wire(lambda number, request, n: "x", defaults={"max_tokens": 100, "timeout": 5.0})
    assert (await run(asking(1), none, tokens=bound + 20)).reason == "budget"
    assert none.seen == []


async def test_a_model_of_a_generators_own_needs_a_price_too():
    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(text) for text in await state.ask(said, 1, model=Wire(lambda *_: "x", price=None))]

    with pytest.raises(tg.TaskError, match="price of wire is not known"):
        await run(tg.Task("x", actions={"step": step}), Wire(lambda *_: "x"), usd=1)


async def test_a_kill_between_the_last_event_and_the_end_is_mended_on_resume():
    task, store = asking(1), tg.MemoryStore()
    await run(task, Wire(lambda *_: "x"), store)
    cut = killed(store, 2, store.records("r"))
    await Engine(task, one, store=cut, run="r", model=Wire(lambda *_: "y")).resume()
    assert cut.events("r")[-1].kind == "stopped"
    length = len(cut.events("r"))
    await Engine(task, one, store=cut, run="r", model=Wire(lambda *_: "y")).resume()
    assert len(cut.events("r")) == length


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_out_of_a_critic_ends_the_run_and_not_the_process(error: BaseException):
    def value(states):
        raise error

    task = tg.Task("x", actions={"step": lambda state, n: [tg.Draft("a")]}, critics={"value": value})
    with pytest.raises(tg.TaskError, match="raise an ordinary exception"):
        tg.solve(task, policy="tot(breadth=1)")
    assert tg.solve(asking(1), policy=one, model=Wire(lambda *_: "x")).answer == "x"


async def test_a_critic_that_never_worked_is_named_when_the_budget_ends():
    task = tg.Task("x", actions={"step": lambda state, n: [tg.Draft("a")]}, critics={"value": lambda states: 1 / 0})
    result = await tg.asolve(task, policy="tot(breadth=1)", budget=tg.Budget(expansions=3))
    assert result.reason == "budget"
    assert "division by zero" in result.error


async def test_votes_are_draws_also_where_the_task_merges_equal_thoughts():
    """B once, then A four times: seven chains, and A leads though each of its thoughts is equal to the first."""
    replies = ["Answer: B"] + ["Answer: A"] * 6
    question = tg.question("A or B?")
    task = tg.Task(
        "A or B?", actions=question.actions, claim=question.claim, same=question.same, key=lambda content: content
    )
    model = Wire(lambda number, request, n: [replies.pop(0) for _ in range(n)])
    result = await tg.asolve(task, policy="self_consistency(n=7)", model=model)
    assert result.answer == "A"
    assert result.usage.calls == 7


def test_a_password_in_a_base_url_is_written_nowhere(tmp_path):
    from loopback import Loopback

    store = tmp_path / "runs.db"
    with Loopback(lambda prompt, draw: "Answer: 3") as server:
        url = server.base_url.replace("http://", "http://user:s3cretpw@")
        result = tg.solve("How many?", model="openai:small", base_url=url + "?token=t0psecret", store=store)
    assert "s3cretpw" not in repr(result)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or (b"s3cretpw" not in path.read_bytes() and b"t0psecret" not in path.read_bytes())


@dataclass(frozen=True, eq=False)
class Wordy(Wire):
    """A model that needs 300 tokens to answer, and is cut off where it may not have them."""

    async def __call__(self, request: Request, n: int) -> Completion:
        self.seen.append(request)
        used = min(300, request.max_tokens)
        reply = Reply("x", "stop") if used == 300 else Reply("x...", "length")
        return Completion((reply,) * n, 3, used * n)


async def test_a_reply_that_the_budget_cut_off_is_drawn_again_when_there_is_more():
    """No number of small extensions makes the model's answer unparsable, or uses up its redraw."""
    task, store = asking(1), tg.MemoryStore()
    model = Wordy(lambda *_: "", defaults={"max_tokens": 1024, "timeout": 5.0})
    bound = Request(tg.Prompt(problem="ask").messages).bound
    result = await run(task, model, store, tokens=bound + 200)
    assert (result.reason, result.answer) == ("budget", None)
    for total in (bound + 450, bound + 700, bound + 1100):
        again = Engine(task, one, store=store, run="r", model=model, budget=tg.Budget(tokens=total))
        result = await again.resume()
        assert result.usage.tokens <= total
    assert (result.reason, result.answer) == ("answered", "x")
    assert result.outcomes == {"ok": 1}


async def test_what_nobody_was_asked_about_did_not_abstain():
    async def value(states):
        async def one_by_one(state):
            return tg.Score.of([1.0 for _ in await state.ask(said, 1, thoughts=[state.thought])])

        return [await one_by_one(state) for state in states]

    actions = {"step": lambda state, n: [tg.Draft(letter) for letter in "abc"]}
    task = tg.Task("x", actions=actions, critics={"value": value})
    model = Wire(lambda *_: "good")
    result = await tg.asolve(task, policy="tot(breadth=1)", model=model, budget=tg.Budget(calls=2))
    assert result.outcomes == {"ok": 2}
    assert [result.graph.value(thought) for thought in result.graph.leaves()] == [1.0, 1.0, None]
    assert len([score for thought in result.graph for score in result.graph.scores(thought)]) == 2


async def test_reading_ones_own_record_is_no_search_time():
    """A run of many events is resumed with a tenth of a second more: it gets that tenth, not what replay took."""
    slow = tg.Task("x", actions={"step": lambda state, n: [tg.Draft(0)]})

    async def many(search: tg.Search) -> None:
        for _ in range(3000):
            await search.expand(search.root)

    store = tg.MemoryStore()
    await Engine(slow, many, store=store, run="r", budget=tg.Budget(expansions=1500)).start()
    spent = max(event.at for event in store.events("r"))
    again = Engine(slow, many, store=store, run="r", budget=tg.Budget(seconds=spent + 5, expansions=1501))
    result = await again.resume()
    assert result.usage.expansions == 1501
    assert result.usage.seconds < spent + 0.1


def test_a_key_that_fails_is_named():
    task = tg.Task("x", actions={"step": lambda state, n: [tg.Draft("text")]}, key=lambda content: content["left"])
    with pytest.raises(tg.TaskError, match="the task's key failed on the content 'text'"):
        tg.solve(task, policy=one, budget=tg.Budget())
