"""Paid calls: reserved before they leave, journalled as they end, retried in one loop, never paid twice.

Every draw of a model is one call. A call is known by (effect key, part, draw): an effect that is performed again
after a crash takes what was answered from the journal and pays only for the rest.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from thoughtgraph.budget import Purse, Usage
from thoughtgraph.errors import ModelError, StoreError, TaskError, Unauthorized, Unavailable, Unparsable
from thoughtgraph.marks import mark, short
from thoughtgraph.model import Completion, Model, Outcome, Price, Reply, Request
from thoughtgraph.prompt import Prompt
from thoughtgraph.replies import spoken
from thoughtgraph.store import Store
from thoughtgraph.thought import clean
from thoughtgraph.trace import Ledger, Record, Sent, Settled

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

T = TypeVar("T")

ATTEMPTS = 6
"""Transport attempts for one request: at 20 % faults, three leave 11 dead calls of 1,400, six leave 0.1."""

FEW = 32
"""The fewest tokens that a reply is asked for with."""

STREAK = 8
"""So many calls or effects that fail in a row, without one success between them, end the run."""


class Calls:
    """The calls of one run: its purse, its journal and its books."""

    def __init__(
        self, store: Store, run: str, purse: Purse, model: Model | None, seed: int, abort: Callable[[Exception], None]
    ) -> None:
        self.store, self.run, self.purse, self.model, self.seed, self.abort = store, run, purse, model, seed, abort
        self.ledger: dict[str, Ledger] = {}
        self.started = time.monotonic()
        self.models: dict[str, Model] = {}
        self.error: Exception | None = None
        self.successes = 0
        self._streak = 0
        self._answered: dict[tuple[str, str], dict[int, tuple[str, Reply]]] = {}
        self._marks: dict[int, tuple[object, str]] = {}
        self._id = 0
        self._alone = set[str]()
        self._durable: asyncio.Future[None] | None = None

    # -- what was paid before ------------------------------------------------------------------------------------

    def replay(self, records: Sequence[Record]) -> None:
        """Take over the journal: what settled is spent, what was sent and never settled counts at its reservation."""
        sent = {record.id: record for record in records if isinstance(record, Sent)}
        settled = [record for record in records if isinstance(record, Settled)]
        for record in settled:
            self._book(sent[record.id], record)
        for id in sent.keys() - {record.id for record in settled}:
            self.purse.lost += sent[id].held
        self._id = max(sent, default=-1) + 1

    def _book(self, sent: Sent, settled: Settled) -> None:
        self.purse.spent += settled.usage
        self.ledger.setdefault(sent.role, Ledger()).book(settled)
        answered = self._answered.setdefault((sent.key, sent.part), {})
        for draw, reply in enumerate(settled.replies, sent.draw):
            answered[draw] = (sent.mark, reply)

    # -- drawing -------------------------------------------------------------------------------------------------

    async def draw(self, job: Job, start: int, n: int) -> list[Reply]:
        """Draws `start` to `start + n - 1`: from the journal, else from the model. Fewer where the budget ends."""
        answered = self._answered.setdefault((job.account.key, job.part), {})
        known = {draw for draw, (mark, _) in answered.items() if mark == job.mark}
        missing = [draw for draw in range(start, start + n) if draw not in known]
        if missing and job.model.name not in self._alone:
            missing = await self._send(job, missing)
        await asyncio.gather(*(self._send(job, [draw]) for draw in missing))
        drawn = (answered.get(draw, ("", None)) for draw in range(start, start + n))
        return [reply for mark, reply in drawn if reply is not None and mark == job.mark]

    async def _send(self, job: Job, draws: list[int]) -> list[int]:
        """One request for consecutive `draws`; those that the server left out, and that another request may bring."""
        try:
            got: int = await self._retrying()(self._attempt, job, draws[0], _run_length(draws))
        except Unavailable as error:
            self._failed(job, error, len(draws))
            return []
        except ModelError as error:
            if isinstance(error, Unauthorized):
                self.abort(error)
            self._failed(job, error, len(draws))
            return []
        if got == 0:
            return []
        self._streak, self.successes = 0, self.successes + 1
        if got < len(draws):
            self._alone.add(job.model.name)
        return draws[got:]

    def _failed(self, job: Job, error: ModelError, n: int) -> None:
        job.account.outcomes["failed"] += n
        if job.sent:
            self._settle(job.sent, Settled(job.sent.id, (), Usage(calls=n), "gave up"))
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count a failure; too many in a row end the run."""
        self.error, self._streak = error, self._streak + 1
        if self._streak >= STREAK:
            self.abort(error)

    def worked(self) -> None:
        """Count a success of something that is not a call: the streak of failures is broken."""
        self._streak, self.successes = 0, self.successes + 1

    def known(self, psi: object) -> str:
        """The mark of a prompter, worked out once."""
        if id(psi) not in self._marks:
            self._marks[id(psi)] = (psi, short(mark(psi)))
        return self._marks[id(psi)][1]

    def _retrying(self) -> AsyncRetrying:
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        return AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS), retry=retry_if_exception_type(Unavailable), wait=_wait, reraise=True
        )

    async def _attempt(self, job: Job, draw: int, n: int) -> int:
        """Reserve, write down, send, settle: one transport attempt. How many draws came; 0 where the budget refused."""
        n, limit = await self._reserved(job, n)
        if limit:
            job.account.short = limit
        if not n:
            return 0
        sent = self._sent(job, draw, n)
        held, began = sent.held, time.monotonic()
        try:
            await self._flushed()
            async with asyncio.timeout(job.request.timeout):
                completion = await job.model(job.request, n)
        except TimeoutError:
            self._lost(sent, held, began, "timeout")
            raise Unavailable(
                f"no reply from {job.model.name} in {job.request.timeout:g} s", cause="timeout", maybe_billed=True
            ) from None
        except ModelError as error:
            maybe_billed = isinstance(error, Unavailable) and error.maybe_billed
            (self._lost if maybe_billed else self._unpaid)(sent, held, began, error.cause)
            raise
        except BaseException:
            self.purse.lose(held)
            raise
        return self._paid(job, sent, completion, time.monotonic() - began)

    async def _reserved(self, job: Job, n: int) -> tuple[int, str | None]:
        """How many of `n` draws fit; where none does, one with the tokens that are left, if they can say something."""
        granted, limit = await self.purse.reserve(*job.worst, n)
        if not granted and limit in ("tokens", "usd"):
            left = self.purse.tokens_left(job.worst[0], job.model.price)
            if FEW <= left < job.request.max_tokens:
                job.squeeze(left)
                granted, _ = await self.purse.reserve(*job.worst, 1)
        return granted, limit if granted < n else None

    def _sent(self, job: Job, draw: int, n: int) -> Sent:
        base, each = job.worst
        held = base
        for _ in range(n):
            held += each
        account, prompt = job.account, self.store.keep(job.prompt)
        sent = Sent(
            self._id, account.key, job.part, draw, n, account.role, job.model.name, job.mark, prompt, held, self.clock()
        )
        self._id, job.sent = self._id + 1, sent
        self.store.note(self.run, sent)
        return sent

    def _paid(self, job: Job, sent: Sent, completion: Completion, seconds: float) -> int:
        replies = tuple(Reply(clean(reply.text), reply.finish) for reply in completion.replies[: sent.n])
        if not replies:
            self._lost(sent, sent.held, time.monotonic() - seconds, "empty choices")
            raise Unavailable(f"{job.model.name} sent no choices", cause="empty choices", maybe_billed=True)
        estimated = completion.prompt_tokens is None or completion.completion_tokens is None
        usage = _usage(job, sent, completion, len(replies))
        self.purse.settle(sent.held, Usage())
        self._settle(sent, Settled(sent.id, replies, usage, estimated=estimated, seconds=seconds))
        return len(replies)

    def _unpaid(self, sent: Sent, held: Usage, began: float, cause: str) -> None:
        self.purse.settle(held, Usage())
        self._settle(sent, Settled(sent.id, (), Usage(requests=1), cause, seconds=time.monotonic() - began))

    def _lost(self, sent: Sent, held: Usage, began: float, cause: str) -> None:
        """The provider may have billed it: it counts at its reservation, but for the calls, which were not answered."""
        self.purse.settle(held, Usage())
        usage = held - Usage(calls=held.calls)
        self._settle(sent, Settled(sent.id, (), usage, cause, lost=True, seconds=time.monotonic() - began))

    def _settle(self, sent: Sent, settled: Settled) -> None:
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

    def clock(self) -> float:
        """Seconds since the run began, over all resumes."""
        return round(self.purse.spent.seconds + time.monotonic() - self.started, 6)


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
    _asked: Counter[int] = field(default_factory=Counter[int])

    @property
    def calls_made(self) -> bool:
        """Whether this effect asked a model at all."""
        return bool(self._asked)

    async def ask(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None, **say: Any
    ) -> list[T]:
        """Up to `n` usable draws: one that came to nothing is drawn once more."""
        job = self._job(part, prompt, psi, model, say)
        first = [self._judge(reply, parse) for reply in await self.calls.draw(job, 0, n)]
        again = sum(outcome != "ok" for outcome, _ in first)
        if again:
            first += [self._judge(reply, parse) for reply in await self.calls.draw(job, n, again)]
        return [cast("T", value) for outcome, value in first if outcome == "ok"]

    def rng(self, part: int) -> random.Random:
        """Random numbers of one part of this effect."""
        return random.Random(f"{self.calls.seed}/{self.key}/{part}")

    def _job(self, part: int, prompt: Prompt, psi: object, model: Model | None, say: dict[str, Any]) -> Job:
        model = model or self.calls.model
        if model is None:
            raise TaskError(
                f"{self.role!r} asks a model and the run has none: name one in one of three ways, "
                'model="openai:gpt-5-mini" in Python, TG_MODEL=openai:gpt-5-mini in the environment, '
                "or --model openai:gpt-5-mini on the command line"
            )
        self.prompters[self.calls.known(psi)] = None
        name = f"{part}.{self._asked[part]}" if self._asked[part] else str(part)
        self._asked[part] += 1
        said = {key: value for key, value in say.items() if value not in (None, ())}
        options: dict[str, Any] = {**model.defaults, **said}
        return Job(self, name, model, Request(prompt.messages, **options))

    def _judge(self, reply: Reply, parse: Callable[[str], T]) -> tuple[Outcome, T | None]:
        outcome, value = judge(reply, parse)
        self.outcomes[outcome] += 1
        return outcome, value


class Job:
    """One request on behalf of one part of an effect."""

    def __init__(self, account: Account, part: str, model: Model, request: Request) -> None:
        self.account, self.part, self.model, self.request = account, part, model, request
        self.sent: Sent | None = None
        self.mark = request.mark(model.name)
        self.prompt = "\n\n".join(f"[{message.role}]\n{message.content}" for message in request.messages)
        self.worst = self._worst()

    def squeeze(self, most: int) -> None:
        """Ask for `most` tokens: all that the budget has left. The mark stays, so that the journal knows the call."""
        self.request = replace(self.request, max_tokens=most)
        self.worst = self._worst()

    def _worst(self) -> tuple[Usage, Usage]:
        """The worst case of the request, and of each of its draws."""
        price, bound, most = self.model.price, self.request.bound, self.request.max_tokens
        return (
            Usage(requests=1, prompt_tokens=bound, usd=_usd(price, bound, 0)),
            Usage(calls=1, completion_tokens=most, usd=_usd(price, 0, most)),
        )


REFUSAL = re.compile(
    r"\W*(?:(?:i['\u2019]?m (?:really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately)?[,.]?\W*(?:but )?)"
    r"(?:i|we) (?:must decline"
    r"|(?:can(?:no|['\u2019])?t|am (?:not able|unable) to|won['\u2019]?t(?: be able to)?|will not) (?:\w+ly )?"
    r"(?:(?:help|assist|comply|fulfil|discuss|engage|participate|accommodate|support|do (?:that|this))"
    r"|(?:provide|create|generate|write|answer|continue|share|produce)\b[^\n]*\Z))",
    re.IGNORECASE,
)
"""How a short reply begins that declines to answer. "We can't reach 24. impossible" is a judgement, and no refusal."""


def judge(reply: Reply, parse: Callable[[str], T]) -> tuple[Outcome, T | None]:
    """What a draw came to, and what the parser made of it where that is "ok"."""
    if reply.finish in ("content_filter", "refusal"):
        return "refused", None
    if not reply.text.strip():
        return "truncated" if reply.finish in ("length", "max_tokens") else "empty", None
    if reply.finish in ("length", "max_tokens"):
        return "truncated", None
    if _declines(reply.text):
        return "refused", None
    try:
        return "ok", parse(reply.text)
    except Unparsable:
        return "unparsable", None


def _declines(text: str) -> bool:
    try:
        said = spoken(text)
    except Unparsable:
        return False
    return len(said) < 200 and REFUSAL.match(said) is not None


def _usage(job: Job, sent: Sent, completion: Completion, n: int) -> Usage:
    """What a reply cost by the provider's count, or by its reservation where the provider did not say."""
    prompt = sent.held.prompt_tokens if completion.prompt_tokens is None else completion.prompt_tokens
    written = sent.held.completion_tokens if completion.completion_tokens is None else completion.completion_tokens
    return Usage(n, 1, prompt, written, _usd(job.model.price, prompt, written))


def _usd(price: Price | None, prompt: int, completion: int) -> float | None:
    return None if price is None else price.usd(prompt, completion)


def _run_length(draws: Sequence[int]) -> int:
    """How many of `draws` follow each other without a gap."""
    return next((i for i, draw in enumerate(draws) if draw != draws[0] + i), len(draws))


def _wait(state: RetryCallState) -> float:
    """The provider's own wish, if it said one; else full jitter under an exponential: up to 0.5, 1, 2, ... 30 s."""
    error = state.outcome.exception() if state.outcome else None
    most = min(30.0, 0.5 * 2 ** (state.attempt_number - 1))
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return error.retry_after + random.uniform(0, min(most, 0.25 * error.retry_after + 0.05))
    return random.uniform(0, most)
