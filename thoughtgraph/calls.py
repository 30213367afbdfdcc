"""Paid calls: reserved before they leave, journalled as they end, retried in one loop, never paid twice.

Every draw of a model is one call. A call is known by (effect key, part, draw), where a part is a prompt of one state:
an effect that is performed again after a crash takes what was answered from the journal and pays only for the rest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from thoughtgraph.budget import Purse, Usage, times
from thoughtgraph.contracts import check_price, no_model
from thoughtgraph.errors import ModelError, StoreError, Unauthorized, Unavailable
from thoughtgraph.marks import mark, short
from thoughtgraph.model import Completion, Model, Price, Reply, Request
from thoughtgraph.outcomes import cut, judge
from thoughtgraph.prompt import Prompt
from thoughtgraph.store import Store
from thoughtgraph.thought import clean
from thoughtgraph.trace import Ledger, Record, Sent, Settled

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

T = TypeVar("T")

ATTEMPTS = 6
"""Transport attempts for one request: at 20 % faults, three leave 11 dead calls of 1,400, six leave 0.1."""

PATIENCE = 120.0
"""The longest wait, in seconds, that a provider may ask for: beyond it the run ends, and is resumed later."""

FEW = 32
"""The fewest tokens that a reply is asked for with, where the budget has no more; an eighth of what it may have."""

STREAK = 8
"""So many failures in a row, without one success between them, end the run."""


class Calls:
    """The calls of one run: its purse, its journal and its books."""

    def __init__(
        self, store: Store, run: str, purse: Purse, model: Model | None, seed: int, abort: Callable[[Exception], None]
    ) -> None:
        self.store, self.run, self.purse, self.model, self.seed, self.abort = store, run, purse, model, seed, abort
        self.ledger: dict[str, Ledger] = {}
        self.started = time.monotonic()
        self.error: Exception | None = None
        self.successes = 0
        self._streak = 0
        self._answered: dict[str, dict[tuple[str, int], Reply]] = {}
        self._marks: dict[int, tuple[object, str]] = {}
        self._id = 0
        self._alone = set[str]()
        self._durable: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """The clock starts now: reading one's own record is no search."""
        self.started = time.monotonic()

    def clock(self) -> float:
        """Seconds since the run began, over all resumes."""
        return round(self.purse.spent.seconds + time.monotonic() - self.started, 6)

    # -- what was paid before ------------------------------------------------------------------------------------

    def replay(self, records: Sequence[Record], done: Container[str]) -> None:
        """Take over the journal: what settled is spent, what was sent and never settled counts at its reservation.

        Replies to effects that are `done`, by their keys, are not needed again.
        """
        sent = {record.id: record for record in records if isinstance(record, Sent)}
        for record in records:
            if isinstance(record, Settled):
                self._book(sent[record.id], record, keep=sent[record.id].key not in done)
        for id in sent.keys() - {record.id for record in records if isinstance(record, Settled)}:
            self.purse.lost += sent[id].held
            self._note_lost(sent[id])
        self._id = max(sent, default=-1) + 1

    def forget(self, key: str) -> None:
        """An effect is done: nobody will ask for its replies again."""
        self._answered.pop(key, None)

    def _book(self, sent: Sent, settled: Settled, *, keep: bool = True) -> None:
        self.purse.spent += settled.usage
        self.ledger.setdefault(sent.role, Ledger()).book(settled)
        self.successes += bool(settled.replies)
        if keep:
            answered = self._answered.setdefault(sent.key, {})
            said = ((draw, reply) for draw, reply in enumerate(settled.replies, sent.draw))
            answered.update({(sent.part, draw): reply for draw, reply in said if not (sent.squeezed and cut(reply))})

    def _note_lost(self, sent: Sent) -> None:
        unsettled = Settled(sent.id, (), sent.held, "unsettled", lost=True)
        self.ledger.setdefault(sent.role, Ledger()).book(unsettled)

    # -- drawing -------------------------------------------------------------------------------------------------

    async def draw(self, question: Question, start: int, n: int) -> list[Reply]:
        """Draws `start` to `start + n - 1`: from the journal, else from the model. Fewer where the budget ends."""
        answered = self._answered.setdefault(question.account.key, {})
        places = [(question.part, draw) for draw in range(start, start + n)]
        missing = [draw for part, draw in places if (part, draw) not in answered]
        if missing and question.model.name not in self._alone:
            missing = await self._send(question, missing)
        await _side_by_side(*(self._send(question, [draw]) for draw in missing))
        return [answered[place] for place in places if place in answered]

    async def _send(self, question: Question, draws: list[int]) -> list[int]:
        """One request for the first consecutive ones of `draws`; those that another request may still bring."""
        errand = Errand(question, draws[0], _run_length(draws), question.request)
        try:
            got: int = await self._retrying()(self._attempt, errand)
        except ModelError as error:
            self._gave_up(errand, error)
            return draws[errand.tried :]
        if got < errand.tried:
            self._alone.add(question.model.name)
        return draws[got : errand.tried] + draws[errand.n :]

    def _gave_up(self, errand: Errand, error: ModelError) -> None:
        errand.question.account.outcomes["failed"] += errand.tried
        if errand.sent:
            self._settle(errand.sent, (), Usage(calls=errand.tried), "gave up")
        self.error, self._streak = error, self._streak + 1
        wait = error.retry_after if isinstance(error, Unavailable) else None
        if wait is not None and wait > PATIENCE:
            self.abort(ModelError(f"{error}; it asks to wait {wait:g} s: resume the run after that", cause=error.cause))
        elif self._streak >= STREAK or isinstance(error, Unauthorized):
            self.abort(error)

    def _retrying(self) -> AsyncRetrying:
        from tenacity import AsyncRetrying, retry_if_exception

        return AsyncRetrying(stop=self._enough, retry=retry_if_exception(_worth_another), wait=_wait, reraise=True)

    def _enough(self, state: RetryCallState) -> bool:
        """A server that has never answered and refuses the connection is not there: that is said soon."""
        error = state.outcome.exception() if state.outcome else None
        absent = isinstance(error, Unavailable) and error.cause == "connection" and not self.successes
        return state.attempt_number >= (min(3, ATTEMPTS) if absent else ATTEMPTS)

    async def _attempt(self, errand: Errand) -> int:
        """Reserve, write down, send, settle: one transport attempt. How many draws came; 0 where the budget refused."""
        sent = await self._reserved(errand)
        if sent is None:
            return 0
        began = time.monotonic()
        try:
            await self._flushed()
            completion = await self._reply(errand, sent.n)
        except ModelError as error:
            lost = isinstance(error, Unavailable) and error.maybe_billed
            usage = sent.held - Usage(calls=sent.held.calls) if lost else Usage(requests=1)
            self._release(sent)
            self._settle(sent, (), usage, error.cause, lost=lost, began=began)
            raise
        except BaseException:
            self.purse.lose(sent.held)
            self._note_lost(sent)
            raise
        return self._paid(errand, sent, completion, began)

    async def _reserved(self, errand: Errand) -> Sent | None:
        """Hold the worst case and write down what is about to leave; None where the budget has no room for one draw.

        Where not one fits, one with the tokens that are left is asked for, if they can say something.
        """
        n, limit = await self.purse.reserve(*errand.worst, errand.n)
        if not n and limit in ("tokens", "usd"):
            left = self.purse.tokens_left(errand.worst[0], errand.question.model.price)
            if max(FEW, errand.request.max_tokens // 8) <= left < errand.request.max_tokens:
                errand.request = replace(errand.request, max_tokens=left)
                n, _ = await self.purse.reserve(*errand.worst, 1)
        errand.limit = limit or ""
        if n < errand.n:
            errand.question.account.short = limit or errand.question.account.short
        errand.tried = n
        return self._sent(errand, n) if n else None

    def _sent(self, errand: Errand, n: int) -> Sent:
        base, each = errand.worst
        question, account = errand.question, errand.question.account
        prompt, held = self.store.keep(question.text), base + times(each, n)
        errand.sent = Sent(
            self._id, account.key, question.part, errand.draw, n, account.role, question.model.name, question.mark,
            prompt, held, self.clock(), errand.squeezed,
        )  # fmt: skip
        self._id += 1
        self.store.note(self.run, errand.sent)
        return errand.sent

    async def _reply(self, errand: Errand, n: int) -> Completion:
        model, seconds = errand.question.model, errand.request.timeout
        try:
            async with asyncio.timeout(seconds):
                completion = await model(errand.request, n)
        except TimeoutError:
            late = f"no reply from {model.name} in {seconds:g} s"
            raise Unavailable(late, cause="timeout", maybe_billed=True) from None
        if not completion.replies:
            raise Unavailable(f"{model.name} sent no choices", cause="empty choices", maybe_billed=True)
        return completion

    def _paid(self, errand: Errand, sent: Sent, completion: Completion, began: float) -> int:
        replies = tuple(Reply(clean(reply.text), reply.finish) for reply in completion.replies[: sent.n])
        estimated = completion.prompt_tokens is None or completion.completion_tokens is None
        self._streak = 0
        self._release(sent)
        usage = _usage(errand.question.model.price, sent.held, completion, len(replies))
        self._settle(sent, replies, usage, estimated=estimated, began=began)
        if errand.squeezed and any(cut(reply) for reply in replies):
            errand.question.account.short = errand.limit
        return len(replies)

    def _release(self, sent: Sent) -> None:
        self.purse.settle(sent.held, Usage())

    def _settle(
        self, sent: Sent, replies: tuple[Reply, ...], usage: Usage, cause: str = "", *, began: float | None = None,
        lost: bool = False, estimated: bool = False,
    ) -> None:  # fmt: skip
        took = 0.0 if began is None else time.monotonic() - began
        settled = Settled(sent.id, replies, usage, cause, lost, estimated, took, self.clock())
        self._book(sent, settled)
        self.store.note(self.run, settled)
        self._schedule()

    # -- durability ----------------------------------------------------------------------------------------------

    def _schedule(self) -> asyncio.Future[None]:
        """One commit for all that happens in one turn of the event loop."""
        if self._durable is None:
            loop = asyncio.get_running_loop()
            self._durable = loop.create_future()
            loop.call_soon(self._commit)
        return self._durable

    def _commit(self) -> None:
        durable, self._durable = self._durable, None
        try:
            self.store.flush()
        except StoreError as error:  # a full disk: nothing more may leave
            self.abort(error)
            if durable and not durable.done():
                durable.cancel()
        else:
            if durable and not durable.done():
                durable.set_result(None)

    async def _flushed(self) -> None:
        await asyncio.shield(self._schedule())

    def known(self, psi: object) -> str:
        """The mark of a prompter, worked out once."""
        if id(psi) not in self._marks:
            self._marks[id(psi)] = (psi, short(mark(psi)))
        return self._marks[id(psi)][1]


@dataclass
class Account:
    """The calls of one effect, and what came of them: the port that its states ask through."""

    calls: Calls
    key: str
    role: str
    outcomes: Counter[str] = field(default_factory=Counter[str])
    prompters: dict[str, None] = field(default_factory=dict[str, None])
    short: str = ""
    """The limit that cut this effect short; "" if none did."""
    _asked: Counter[str] = field(default_factory=Counter[str])
    _asking: set[asyncio.Task[Any]] = field(default_factory=set["asyncio.Task[Any]"])
    _rngs: dict[int, random.Random] = field(default_factory=dict[int, random.Random])

    async def ask(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None, **say: Any
    ) -> list[T]:
        """Up to `n` usable draws: one that came to nothing is drawn once more."""
        question = self._question(part, prompt, psi, model, say)
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            drawn = [self._judge(reply, parse) for reply in await self.calls.draw(question, 0, n)]
            if again := sum(not ok for ok, _ in drawn):
                drawn += [self._judge(reply, parse) for reply in await self.calls.draw(question, n, again)]
        finally:
            self._asking.discard(task)
        return [cast("T", value) for ok, value in drawn if ok]

    def close(self) -> None:
        """The effect has ended: what it left asking in tasks of its own is cancelled, and nothing is spent after it."""
        for task in self._asking:
            task.cancel()

    def rng(self, part: int) -> random.Random:
        """The random numbers of one part of this effect."""
        if part not in self._rngs:
            self._rngs[part] = random.Random(f"{self.calls.seed}/{self.key}/{part}")
        return self._rngs[part]

    def _question(self, part: int, prompt: Prompt, psi: object, model: Model | None, say: dict[str, Any]) -> Question:
        model = model or self.calls.model
        if model is None:
            raise no_model(self.role)
        check_price(model, self.calls.purse.budget)
        self.prompters[self.calls.known(psi)] = None
        said = {key: value for key, value in say.items() if value not in (None, ())}
        options: dict[str, Any] = {**model.defaults, **said}
        request = Request(prompt.messages, **options)
        name = f"{part}.{request.mark(model.name)}"
        self._asked[name] += 1
        return Question(self, f"{name}.{self._asked[name]}", model, request)

    def _judge(self, reply: Reply, parse: Callable[[str], T]) -> tuple[bool, T | None]:
        outcome, value = judge(reply, parse)
        self.outcomes[outcome] += 1
        return outcome == "ok", value


@dataclass(frozen=True, eq=False)
class Question:
    """What one state of an effect asks a model: however many draws, and however often a draw is tried."""

    account: Account
    part: str
    model: Model
    request: Request

    @property
    def mark(self) -> str:
        """The hash of what is asked."""
        return self.part.split(".")[1]

    @property
    def text(self) -> str:
        """The prompt in words, for the store."""
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self.request.messages)


@dataclass(eq=False)
class Errand:
    """One request for `n` consecutive draws of a question, through all its attempts."""

    question: Question
    draw: int
    n: int
    request: Request
    tried: int = 0
    limit: str = ""
    sent: Sent | None = None

    @property
    def squeezed(self) -> bool:
        """Whether the budget has fewer tokens left than the question may have."""
        return self.request.max_tokens < self.question.request.max_tokens

    @property
    def worst(self) -> tuple[Usage, Usage]:
        """The worst case of the request, and of each of its draws."""
        price, bound, most = self.question.model.price, self.request.bound, self.request.max_tokens
        return (
            Usage(requests=1, prompt_tokens=bound, usd=_usd(price, bound, 0)),
            Usage(calls=1, completion_tokens=most, usd=_usd(price, 0, most)),
        )


async def _side_by_side(*sends: Any) -> None:
    """All of them; where one breaks, the others are stopped before its error comes out."""
    if len(sends) < 2:
        for send in sends:
            await send
        return
    try:
        async with asyncio.TaskGroup() as group:
            for send in sends:
                group.create_task(send)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _usage(price: Price | None, held: Usage, completion: Completion, n: int) -> Usage:
    """What a reply cost by the provider's count, or by its reservation where the provider did not say."""
    prompt = held.prompt_tokens if completion.prompt_tokens is None else completion.prompt_tokens
    written = held.completion_tokens if completion.completion_tokens is None else completion.completion_tokens
    return Usage(n, 1, prompt, written, _usd(price, prompt, written))


def _usd(price: Price | None, prompt: int, completion: int) -> float | None:
    return None if price is None else price.usd(prompt, completion)


def _run_length(draws: Sequence[int]) -> int:
    """How many of `draws` follow each other without a gap."""
    return next((i for i, draw in enumerate(draws) if draw != draws[0] + i), len(draws))


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and (error.retry_after or 0.0) <= PATIENCE


def _wait(state: RetryCallState) -> float:
    """The provider's own wish, if it said one; else full jitter under an exponential: up to 0.5, 1, 2, ... 30 s."""
    error = state.outcome.exception() if state.outcome else None
    most = min(30.0, 0.5 * 2 ** (state.attempt_number - 1))
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return error.retry_after + random.uniform(0, min(most, 0.25 * error.retry_after + 0.05))
    return random.uniform(0, most)
