"""The books balance: against a provider that keeps its own, with every fault that costs or may cost."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thoughtgraph as tg
from thoughtgraph.budget import Usage
from thoughtgraph.deadline import Latency
from thoughtgraph.engine import Engine
from thoughtgraph.model import Completion, Price, Reply, Request
from thoughtgraph.retry import Retry

FAULTS = ("429", "500", "reset", "reset, billed", "hang", "hang, billed", "empty, billed", "few", "no usage")


@dataclass(eq=False)
class Provider:
    """A model with books of its own: it bills a request as it arrives, and what becomes of the reply is another matter.

    `faults` are their chances; `purse` lets it check, at each arrival, that nothing is overspent.
    """

    rng: random.Random
    price: Price | None
    faults: float
    kinds: tuple[str, ...] = FAULTS
    name: str = "sim:model"
    defaults: dict = field(default_factory=lambda: {"max_tokens": 40, "timeout": 0.02})
    requests: int = 0
    billed: Usage = field(default_factory=Usage)
    draws: int = 0
    check: Callable[[], None] = lambda: None
    dead: bool = False
    """Its caller was killed: what is still running of it in this process reaches nobody."""

    async def __call__(self, request: Request, n: int) -> Completion:
        if self.dead:
            await asyncio.sleep(60)
        self.requests += 1
        self.check()
        fault = self.rng.choice(self.kinds) if self.rng.random() < self.faults else ""
        if fault in ("429", "500"):
            raise tg.Unavailable("no", cause=fault, retry_after=0.0)
        if fault == "reset":
            raise tg.Unavailable("cut", cause="reset", maybe_billed=True)
        if fault == "hang":
            await asyncio.sleep(10)
        completion = self._bill(request, self.rng.randint(1, n) if fault == "few" else n)
        await asyncio.sleep(10 if fault == "hang, billed" else self.rng.choice((0, 0.001, 0.004)))
        if fault == "reset, billed":
            raise tg.Unavailable("cut", cause="reset", maybe_billed=True)
        if fault == "empty, billed":
            return Completion((), completion.prompt_tokens, completion.completion_tokens)
        return Completion(completion.replies) if fault == "no usage" else completion

    def _bill(self, request: Request, n: int) -> Completion:
        """The tokens of a request at random, within what it may have; dollars by a sum of this provider's own."""
        prompt = self.rng.randint(1, request.bound)
        cached = self.rng.randint(0, prompt)
        written = self.rng.randint(0, prompt - cached)
        made = self.rng.randint(n, n * request.max_tokens)
        usd = None
        if (p := self.price) is not None:
            read = p.prompt if p.cached is None else p.cached
            write = p.prompt if p.written is None else p.written
            usd = (p.prompt * (prompt - cached - written) + read * cached + write * written + p.completion * made) / 1e6
        self.billed += Usage(0, 0, prompt, made, usd)
        replies = tuple(Reply(f"reply {self.draws + i}") for i in range(n))
        self.draws += n
        return Completion(replies, prompt, made, cached, written)

    async def close(self) -> None:
        pass


def said(x, passages, thoughts, scores):
    return tg.Prompt(problem=f"{x} {' '.join(thought.text for thought in thoughts)}")


async def step(state: tg.State, n: int) -> list[tg.Draft]:
    return [tg.Draft(text) for text in await state.ask(said, n)]


async def value(states):
    asked = (state.ask(said, 2) for state in states)
    return [tg.Score.of([len(text) % 7 for text in texts]) for texts in await asyncio.gather(*asked)]


TASK = tg.Task("ask", actions={"step": step}, critics={"value": value}, merge=False)


@dataclass(frozen=True)
class Wide:
    """Levels of thoughts, judged side by side."""

    width: int = 3
    levels: int = 3

    async def __call__(self, search: tg.Search) -> tg.Thought | None:
        level = [search.root]
        for _ in range(self.levels):
            made = await search.gather(*(search.expand(thought, n=self.width) for thought in level))
            level = [thought for thoughts in made for thought in thoughts]
            await search.gather(search.score(level[::2]), search.score(level[1::2]))
        return level[0] if level else None


@st.composite
def worlds(draw: st.DrawFn) -> tuple[int, Price | None, float, tg.Budget, bool]:
    """A seed, a price, the chance of a fault, a budget, and whether the run is killed on the way."""
    rate = st.floats(0, 50, allow_nan=False)
    maybe = st.none() | st.floats(0, 100, allow_nan=False)
    price = draw(st.none() | st.builds(Price, rate, rate, maybe, maybe))
    usd = draw(st.none() | st.floats(0.00001, 0.05)) if price else None
    budget = tg.Budget(
        usd=usd, calls=draw(st.none() | st.integers(1, 150)), requests=draw(st.none() | st.integers(1, 150)),
        tokens=draw(st.none() | st.integers(50, 40_000)),
    )  # fmt: skip
    return draw(st.integers(0, 1 << 30)), price, draw(st.sampled_from((0.0, 0.1, 0.4))), budget, draw(st.booleans())


def over(usage: Usage, budget: tg.Budget) -> list[str]:
    """The limits that a usage exceeds."""
    return [name for name, limit in budget.limits if (getattr(usage, name) or 0) > limit * (1 + 1e-9) + 1e-12]


async def played(world: tuple[int, Price | None, float, tg.Budget, bool]) -> tuple[tg.Result, Provider]:
    """A run to its end, perhaps killed and resumed on the way."""
    seed, price, faults, budget, kill = world
    provider, store = Provider(random.Random(seed), price, faults), tg.MemoryStore()
    cache = tg.Cache() if seed % 2 else None
    made = {"model": provider, "budget": budget, "cache": cache, "retry": Retry(attempts=3)}
    engine = Engine(TASK, Wide(), store=store, run="r", **made)
    provider.check = lambda: checked(engine, budget)
    work = asyncio.ensure_future(engine.start())
    if kill:
        await asyncio.sleep(provider.rng.uniform(0.001, 0.03))
        left = tg.MemoryStore()  # what a kill leaves
        for event in store.events("r"):
            left.append("r", event)
        for record in store.records("r"):
            left.note("r", record)
        provider.dead = True
        work.cancel()
        await asyncio.wait([work])
        provider.dead = False
        again = Engine(TASK, Wide(), store=left, run="r", **made)
        provider.check = lambda: checked(again, budget)
        work = asyncio.ensure_future(again.resume())
    try:
        return await work, provider
    except tg.RunFailed as failed:
        return failed.result, provider


def checked(engine: Engine, budget: tg.Budget) -> None:
    """What is settled, lost and held fits the budget at every moment."""
    purse = engine.purse
    assert over(purse.spent + purse.lost + purse.held, budget) == []


def balanced(result: tg.Result, provider: Provider) -> None:
    """Settled <= billed <= settled + unsettled; exact where nothing is unsettled."""
    settled, billed = result.usage - result.unsettled, provider.billed
    for name in ("prompt_tokens", "completion_tokens", "usd"):
        low, counted, high = (getattr(usage, name) for usage in (settled, billed, result.usage))
        if None in (low, counted, high):
            assert name == "usd"
            assert provider.price is None or not provider.requests
            continue
        assert low <= counted * (1 + 1e-9) + 1e-12
        assert counted <= high * (1 + 1e-9) + 1e-12
    ledger = result.ledger.values()
    assert sum(book.requests for book in ledger) == result.usage.requests
    assert sum(book.calls for book in ledger) == result.usage.calls
    if not sum(book.lost + book.estimated for book in ledger):
        assert result.unsettled.tokens == 0
        assert result.usage.requests == provider.requests
        assert result.usage.prompt_tokens == billed.prompt_tokens


def balance(world: tuple[int, Price | None, float, tg.Budget, bool]) -> int:
    """Play one world; how many calls it made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Latency, "left", lambda self, waited: max(0.0, 0.003 - waited))
        patch.setattr(Latency, "hedge", lambda self: True)
        result, provider = asyncio.run(played(world))
    balanced(result, provider)
    assert over(result.usage, world[3]) == []
    return result.usage.calls


@settings(max_examples=40, deadline=None, derandomize=True)
@given(worlds())
def test_settled_is_at_most_what_was_billed_and_that_at_most_what_counts(world):
    balance(world)


@pytest.mark.slow
def test_ten_thousand_calls_balance():
    calls, seed = 0, 0
    while calls < 10_000:
        rng = random.Random(seed)
        price = Price(rng.uniform(0, 50), rng.uniform(0, 50), rng.choice((None, 0.1, 60.0)), rng.choice((None, 70.0)))
        budget = tg.Budget(usd=rng.choice((None, 0.01, 0.3)), calls=rng.choice((None, 400)))
        calls += balance((seed, price, rng.choice((0.0, 0.1, 0.4)), budget, rng.random() < 0.5))
        seed += 1


def test_without_faults_the_books_are_exact():
    world = (2, Price(1, 2, 0.5, 3), 0.0, tg.Budget(), False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Latency, "left", lambda self, waited: 60.0)
        result, provider = asyncio.run(played(world))
    assert result.unsettled == Usage()
    assert result.usage.usd == pytest.approx(provider.billed.usd)
    assert result.usage.tokens == provider.billed.tokens
    assert result.usage.requests == provider.requests
