"""Paid calls: reserved before they leave, journalled as they end, retried in one loop, never paid twice.

Every draw of a model is one call. A call is known by (effect key, part, draw), where a part is a prompt of one state:
an effect that is performed again after a crash takes what was answered from the journal and pays only for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

from thoughtgraph.acts import Acts
from thoughtgraph.attempt import Attempt
from thoughtgraph.books import Books, Place
from thoughtgraph.budget import Purse, times
from thoughtgraph.cache import Cache
from thoughtgraph.contracts import no_model
from thoughtgraph.errand import Errand, Line, Question
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.fit import cut_at, fitted
from thoughtgraph.marks import mark, short
from thoughtgraph.model import Completion, Logprobs, Model, Reply
from thoughtgraph.outcomes import cut
from thoughtgraph.retry import Retry
from thoughtgraph.store import Store
from thoughtgraph.thought import clean
from thoughtgraph.trace import Found, Noted, Sent

FEW = 32
"""The fewest tokens that a reply is asked for with, where the budget has no more; an eighth of what it may have."""

LEAST = -1e9
"""What a log-probability of minus infinity is kept as: JSON knows no infinity."""

MARKED = 1000
"""So many prompters are remembered by their marks."""

ALONE = "it gives one draw a request: several draws are as many requests, side by side"

STREAK = 8
"""So many failures in a row, without one success between them, end the run."""


class Calls:
    """The calls of one run: whom they go to, how hard they are tried, and the books that they are in."""

    def __init__(
        self,
        store: Store,
        run: str,
        purse: Purse,
        model: Model | None,
        seed: int,
        abort: Callable[[Exception], None],
        *,
        models: Mapping[str, Model] | None = None,
        retry: Retry | None = None,
        cache: Cache | None = None,
        tell: Callable[[Noted], None] | None = None,
    ) -> None:
        self.books = Books(store, run, purse, abort)
        self.acts = Acts(self.books)
        self.purse, self.model, self.models, self.seed, self.abort = purse, model, models or {}, seed, abort
        self.retry, self.cache, self._tell = retry or Retry(), cache, tell
        self.error: Exception | None = None
        self.noted = set[tuple[str, str, str]]()
        self._streak = 0
        self._lines: dict[int, Line] = {}
        self._marks: dict[int, tuple[object, str]] = {}

    def line(self, role: str, model: Model | None) -> Line:
        """The line to the model that a role speaks to: its own, the one named for it, or the run's."""
        model = model or self.models.get(role) or self.model
        if model is None:
            raise no_model(role)
        if id(model) not in self._lines:
            line = self._lines[id(model)] = Line.to(model)
            for about, name, _ in self.noted:  # what the server refused before the run was resumed
                if name == model.name:
                    line.lacks(about)
        return self._lines[id(model)]

    def known(self, psi: object) -> str:
        """The mark of a prompter, worked out once."""
        if id(psi) not in self._marks:
            if len(self._marks) >= MARKED:  # somebody writes a new prompter for each prompt
                self._marks.clear()
            self._marks[id(psi)] = (psi, short(mark(psi)))
        return self._marks[id(psi)][1]

    def note(self, about: str, model: str, text: str, where: str = "") -> None:
        """Say once what is done in another way than asked."""
        if (about, model, where) not in self.noted and self._tell is not None:
            self.noted.add((about, model, where))
            self._tell(Noted(about, model, text, where, self.books.clock()))

    def retire(self) -> None:
        """The run is over: nobody is told any more, so that it can go at once and need not wait for the collector."""
        self.abort = self.books.abort = _nobody
        self._tell = None

    @property
    def silent(self) -> bool:
        """Whether the last that was heard of a provider is that it did not answer."""
        return self._streak > 0 and isinstance(self.error, Unavailable | Unauthorized)

    # -- drawing -------------------------------------------------------------------------------------------------

    async def draw(self, question: Question, start: int, n: int) -> list[Reply]:
        """Draws `start` to `start + n - 1`: from the journal, else from the model. Fewer where the budget ends."""
        answered = self.books.answered(question.key)
        missing = _missing(answered, question.part, start, n)
        if missing and self.cache is not None:
            await self._shared(self.cache, question, missing)
        elif missing:
            await self._fetch(question, missing)
        return _present(answered, question.part, start, n)

    async def _shared(self, cache: Cache, question: Question, missing: list[int]) -> None:
        """From the cache what it holds; what somebody asks for at this moment is waited for, the rest is fetched."""
        while missing:
            place = {question.index(draw): draw for draw in missing}
            with cache.claim(question.cache_key, list(place), question.origins) as claim:
                self._found(question, {place[index]: reply for index, reply in claim.found.items()})
                if claim.mine:
                    await self._fetch(question, [place[index] for index in claim.mine])
            settled = {*claim.found, *claim.mine}  # what we asked for and did not get, nobody asks for again here
            missing = [draw for index, draw in place.items() if index not in settled]
            await claim.landed()

    def _found(self, question: Question, replies: Mapping[int, Reply]) -> None:
        name, at = question.line.model.name, self.books.clock()
        for draw, reply in replies.items():
            self.books.found(
                Found(question.key, question.part, draw, question.role, name, (reply,), at, question.origins)
            )

    async def _fetch(self, question: Question, missing: list[int]) -> None:
        if not question.line.alone:
            missing = await self._send(question, missing)
        if missing:
            await side_by_side(*(self._send(question, [draw]) for draw in missing))

    async def _send(self, question: Question, draws: list[int]) -> list[int]:
        """One request for the first consecutive ones of `draws`; those that another request may still bring."""
        errand = Errand(question, draws[0], _run_length(draws), question.request)
        try:
            got = await self._brought(errand)
        except ModelError as error:
            self._gave_up(errand, error)
            return draws[errand.tried :]
        if got < errand.tried:
            question.line.alone = True
            self.note("n", question.line.model.name, f"{errand.tried} draws were asked for and {got} came: {ALONE}")
        return draws[got : errand.tried] + draws[errand.n :]

    async def _brought(self, errand: Errand) -> int:
        """How many draws came. The first attempt is made outside of the retry loop, which costs as much as it does.

        Settings that the server refuses are left out, and the request is sent again.
        """
        while True:
            try:
                return await self._attempt(errand)
            except Unavailable as error:
                failed = error
            except Unsupported as error:
                if not self._does_without(errand, error):
                    raise
                continue
            try:
                return await self._again(errand, failed)
            except Unsupported as error:
                if not self._does_without(errand, error):
                    raise

    def _does_without(self, errand: Errand, error: Unsupported) -> bool:
        """Leave out what the server refuses, and say so; False where the request does not change by that."""
        question, line, before = errand.question, errand.question.line, (errand.request, errand.n)
        line.lacks(error.parameter)
        question.request, notes = fitted(question.wanted, line.can)
        errand.request, errand.n = question.request, 1 if line.alone else errand.n
        errand.bound = errand.request.bound
        if line.alone:
            notes.append(("n", ALONE))
        for about, text in notes:
            said = f" (the server said: {error})" if about == error.parameter else ""
            self.note(about, line.model.name, text + said)
        return before != (errand.request, errand.n)

    async def _again(self, errand: Errand, error: Unavailable) -> int:
        """The further attempts at a request, after a first one that failed."""
        failed = [error]

        async def attempt() -> int:
            if failed:
                raise failed.pop()
            return await self._attempt(errand)

        got: int = await self.retry.loop(heard=bool(self.books.successes))(attempt)
        return got

    def _gave_up(self, errand: Errand, error: ModelError) -> None:
        question = errand.question
        question.failed += errand.tried
        if errand.sent:
            self.books.gave_up(errand.sent, errand.tried)
        self.error, self._streak = _placed(error, question), self._streak + 1
        if error.cause == "context too long":
            self.note(error.cause, question.line.model.name, str(self.error), question.thought)
        wait = error.retry_after if isinstance(error, Unavailable) else None
        if wait is not None and wait > self.retry.patience:
            self.abort(ModelError(f"{error}; it asks to wait {wait:g} s: resume the run after that", cause=error.cause))
        elif self._streak >= STREAK or isinstance(error, Unauthorized):
            self.abort(self.error)

    async def _attempt(self, errand: Errand) -> int:
        """Reserve, write down, send, settle: one transport attempt. How many draws came; 0 where the budget refused."""
        pace = errand.question.line.pace
        if self.retry.pace and not pace.free:
            await pace.turn()
        sent = await self._reserved(errand)
        if sent is None:
            return 0
        try:
            await self.books.flushed()
        except BaseException:
            self.books.unsettled(sent)
            raise
        attempt = Attempt(self.books, errand, sent, hedge=self.retry.hedge, pace=self.retry.pace)
        return self._paid(errand, *await attempt.answer())

    async def _reserved(self, errand: Errand) -> Sent | None:
        """Hold the worst case and write down what is about to leave; None where the budget has no room for one draw."""
        question = errand.question
        n, limit = await self.purse.reserve(*errand.worst, errand.n)
        if not n and limit in ("tokens", "usd"):
            n = await self._squeezed(errand)
        errand.limit, errand.tried = limit or errand.limit, n
        if n < errand.n:
            question.short = limit or question.short
        return self._sent(errand, n) if n else None

    async def _squeezed(self, errand: Errand) -> int:
        """Where not one draw fits: count the prompt exactly, if the model can; then ask for as many tokens as are left.

        None is asked for where they could not say anything.
        """
        line = errand.question.line
        if (count := getattr(line.model, "count", None)) and (exact := await count(errand.request)) is not None:
            errand.bound = min(errand.bound, exact + exact // 50 + 16)  # providers call their counts estimates
            n, _ = await self.purse.reserve(*errand.worst, errand.n)
            if n:
                return n
        left = self.purse.tokens_left(errand.worst[0], line.price and line.price.dearest)
        if not max(FEW, errand.request.max_tokens // 8) <= left < errand.request.max_tokens:
            return 0
        errand.request = replace(errand.request, max_tokens=left)
        n, _ = await self.purse.reserve(*errand.worst, 1)
        return n

    def _sent(self, errand: Errand, n: int) -> Sent:
        base, each = errand.worst
        q = errand.question
        errand.sent = self.books.sent(
            q.key, q.part, errand.draw, n, q.role, q.line.model.name, q.mark, q.text, base + times(each, n),
            squeezed=errand.squeezed, origins=q.origins,
        )  # fmt: skip
        return errand.sent

    def _paid(self, errand: Errand, sent: Sent, completion: Completion) -> int:
        question = errand.question
        replies = tuple(_kept(reply, question) for reply in completion.replies[: sent.n])
        self._streak = 0
        self.books.paid(sent, replies, completion, question.line.price)
        if errand.squeezed and any(cut(reply) for reply in replies):
            question.short = errand.limit
        elif self.cache is not None:
            indexed = {question.index(draw): reply for draw, reply in enumerate(replies, sent.draw)}
            self.cache.put(question.cache_key, indexed, sent.model)
        return len(replies)


# Comprehensions over locals stand in functions of their own: in a coroutine they would cost each call in flight a cell
# for every local that they name, and the garbage collector feels hundreds of those.


def _missing(answered: Mapping[Place, Reply], part: str, start: int, n: int) -> list[int]:
    """The draws that are still to be made."""
    return [draw for draw in range(start, start + n) if (part, draw) not in answered]


def _present(answered: Mapping[Place, Reply], part: str, start: int, n: int) -> list[Reply]:
    """The draws that were made, in order."""
    return [answered[part, draw] for draw in range(start, start + n) if (part, draw) in answered]


def _kept(reply: Reply, question: Question) -> Reply:
    """A reply as it is kept: fit to be stored, and cut off here where the server could not."""
    stop = () if question.request.stop else question.wanted.stop
    text = clean(reply.text)
    if text is not reply.text or not reply.finish.isascii() or reply.logprobs:
        reply = Reply(text, clean(reply.finish), _likely(reply.logprobs), tuple(map(_likely, reply.top)))
    return cut_at(reply, stop) if stop else reply


def _likely(said: Logprobs) -> Logprobs:
    """Log-probabilities that can be stored; one that is no number is no certainty either."""
    return tuple((clean(token), LEAST if isnan(value) else max(LEAST, min(0.0, value))) for token, value in said)


def _placed(error: ModelError, question: Question) -> ModelError:
    """The same error with the thought whose prompt was too long, and how long that is."""
    if error.cause != "context too long":
        return error
    long = sum(len(message.content) for message in question.request.messages)
    told = (
        f"{error}; the prompt of {question.role!r} for the thought {question.thought} has {long} characters: shorten "
        "what leads there (its thoughts, the passages), or name a model with a longer context"
    )
    return ModelError(told, cause=error.cause)


def _nobody(error: Exception) -> None:
    """Whom a run's errors concern when it is over."""


async def side_by_side(*sends: Any) -> None:
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


def _run_length(draws: Sequence[int]) -> int:
    """How many of `draws` follow each other without a gap."""
    return next((i for i, draw in enumerate(draws) if draw != draws[0] + i), len(draws))
