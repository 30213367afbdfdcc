"""The books of a run: what is written down before a request leaves and after it ended, and what that adds up to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Mapping, Sequence

from thoughtgraph.budget import Purse, Usage
from thoughtgraph.errors import StoreError
from thoughtgraph.model import Completion, Price, Reply
from thoughtgraph.outcomes import cut
from thoughtgraph.store import Store
from thoughtgraph.thought import Passage
from thoughtgraph.trace import GAVE_UP, Found, Ledger, Record, Sent, Settled, made_anew

Place = tuple[str, int]
"""Where a reply belongs within its effect: a part, and a draw of it."""


class Books:
    """The journal of one run, durable before money is spent; its ledger by roles; the replies that effects still need.

    What a provider said it cost is spent. What it may have billed without a word (lost, unsettled, without a usage)
    counts at its reservation, and stands apart: the purse's `lost`.
    """

    def __init__(self, store: Store, run: str, purse: Purse, abort: Callable[[Exception], None]) -> None:
        self.store, self.run, self.purse, self.abort = store, run, purse, abort
        self.ledger: dict[str, Ledger] = {}
        self.successes = 0
        self.started = time.monotonic()
        self._answered: dict[str, dict[Place, Reply]] = {}
        self._id = 0
        self._durable: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """The clock starts now: reading one's own record is no search."""
        self.started = time.monotonic()

    def clock(self) -> float:
        """Seconds since the run began, over all resumes."""
        return round(self.purse.spent.seconds + time.monotonic() - self.started, 6)

    def answered(self, key: str) -> dict[Place, Reply]:
        """The replies that an effect has so far."""
        return self._answered.setdefault(key, {})

    def forget(self, key: str) -> None:
        """An effect is done: nobody will ask for its replies again."""
        self._answered.pop(key, None)

    # -- what was written before ---------------------------------------------------------------------------------

    def replay(self, records: Sequence[Record], done: Container[str]) -> None:
        """Take over the journal: what settled is spent, what was sent and never settled counts at its reservation.

        Replies to effects that are `done`, by their keys, are not needed again. Calls that came to nothing in others
        are made anew, and do not count.
        """
        sent, void = {record.id: record for record in records if isinstance(record, Sent)}, made_anew(records)
        for record in records:
            if isinstance(record, Found):
                self._take(record, keep=record.key not in done)
            elif isinstance(record, Settled):
                if record.id not in sent:
                    raise StoreError(f"run {self.run} holds a reply to a request that it never sent: it is damaged")
                needed = sent[record.id].key not in done
                if record.cause != GAVE_UP or not (needed or record.id in void):
                    self._book(sent[record.id], record, keep=needed)
        for id in sent.keys() - {record.id for record in records if isinstance(record, Settled)}:
            self.purse.lost += sent[id].held
            self._note_lost(sent[id])
        self._id = max(sent, default=-1) + 1

    # -- one attempt ---------------------------------------------------------------------------------------------

    def sent(
        self, key: str, part: str, draw: int, n: int, role: str, model: str, mark: str, prompt: str, held: Usage,
        *, squeezed: bool = False, hedge: bool = False, origins: tuple[Passage, ...] = (),
    ) -> Sent:  # fmt: skip
        """Write down what is about to leave, and what is held for it."""
        at, kept = self.clock(), self.store.keep(prompt)
        sent = Sent(self._id, key, part, draw, n, role, model, mark, kept, held, at, squeezed, hedge, origins)
        self._id += 1
        self.store.note(self.run, sent)
        return sent

    def paid(self, sent: Sent, replies: tuple[Reply, ...], completion: Completion, price: Price | None) -> None:
        """A reply came: it is worth what the provider counted, or its reservation where the provider did not say."""
        prompt, written = completion.prompt_tokens, completion.completion_tokens
        estimated = prompt is None or written is None
        prompt = sent.held.prompt_tokens if prompt is None else prompt
        written = sent.held.completion_tokens if written is None else written
        cached, stored = completion.cached_tokens, completion.written_tokens
        usd = None if price is None else sent.held.usd if estimated else price.usd(prompt, written, cached, stored)
        usage = Usage(len(replies), 1, prompt, written, usd)
        tokens = (cached, stored, completion.reasoning_tokens)
        self._settle(sent, Settled(sent.id, replies, usage, "", False, estimated, 0.0, 0.0, *tokens))

    def failed(self, sent: Sent, cause: str, *, lost: bool) -> None:
        """An attempt ended without a reply; `lost` if the provider may have billed it all the same."""
        held = sent.held
        usage = Usage(0, 1, held.prompt_tokens, held.completion_tokens, held.usd) if lost else Usage(requests=1)
        self._settle(sent, Settled(sent.id, (), usage, cause, lost))

    def gave_up(self, sent: Sent, calls: int) -> None:
        """The last attempt at a request failed: its draws were calls, and came to nothing."""
        self._write(sent, Settled(sent.id, (), Usage(calls=calls), GAVE_UP, at=self.clock()))

    def unsettled(self, sent: Sent) -> None:
        """Cancelled in flight: the reservation counts in full, and the journal says so by its silence."""
        self.purse.lose(sent.held)
        self._note_lost(sent)

    def found(self, found: Found) -> None:
        """Replies came from the cache."""
        self._take(found, keep=True)
        self.store.note(self.run, found)

    def note(self, record: Record) -> None:
        """Write down what is no attempt at a call."""
        self.store.note(self.run, record)

    def _settle(self, sent: Sent, settled: Settled) -> None:
        at = self.clock()
        try:
            self._write(sent, _timed(settled, at - sent.at, at))
        finally:
            self.purse.release(sent.held)

    def _write(self, sent: Sent, settled: Settled) -> None:
        self._book(sent, settled)
        self.store.note(self.run, settled)
        self.commit()

    # -- what it adds up to --------------------------------------------------------------------------------------

    def _book(self, sent: Sent, settled: Settled, *, keep: bool = True) -> None:
        spent, lost = _shares(settled)
        self.purse.spent += spent
        if lost is not None:
            self.purse.lost += lost
        self._ledger(sent.role).book(settled, hedge=sent.hedge)
        self.successes += bool(settled.replies)
        if keep and settled.replies:
            said = enumerate(settled.replies, sent.draw)
            kept = ((draw, reply) for draw, reply in said if not (sent.squeezed and cut(reply)))
            self.answered(sent.key).update({(sent.part, draw): reply for draw, reply in kept})

    def _take(self, found: Found, *, keep: bool) -> None:
        self._ledger(found.role).hits += len(found.replies)
        self.successes += 1
        if keep:
            said = enumerate(found.replies, found.draw)
            self.answered(found.key).update({(found.part, draw): reply for draw, reply in said})

    def _note_lost(self, sent: Sent) -> None:
        unsettled = Settled(sent.id, (), sent.held, "unsettled", lost=True)
        self._ledger(sent.role).book(unsettled, hedge=sent.hedge)

    def _ledger(self, role: str) -> Ledger:
        if role not in self.ledger:
            self.ledger[role] = Ledger()
        return self.ledger[role]

    # -- durability ----------------------------------------------------------------------------------------------

    def commit(self) -> asyncio.Future[None] | None:
        """One commit for all that happens in one turn of the event loop; None where memory is as durable as it gets."""
        if not getattr(self.store, "durable", True):
            return None
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

    async def flushed(self) -> None:
        """Wait until all that was written is durable."""
        if (durable := self.commit()) is not None:
            await asyncio.shield(durable)


def merged(ledger: Mapping[str, Ledger]) -> Ledger:
    """The books of all roles together."""
    whole = Ledger()
    for book in ledger.values():
        whole.add(book)
    return whole


def _timed(settled: Settled, seconds: float, at: float) -> Settled:
    """The record with its times; spelled out, because `replace` takes three times as long."""
    s = settled
    return Settled(
        s.id, s.replies, s.usage, s.cause, s.lost, s.estimated, seconds, at, s.cached, s.written, s.reasoning
    )  # fmt: skip


def _shares(settled: Settled) -> tuple[Usage, Usage | None]:
    """What of a usage is settled, and what counts only because it may have been billed."""
    usage = settled.usage
    if settled.lost:
        return Usage(), usage
    if settled.estimated:
        counted = Usage(usage.calls, usage.requests, usd=None if usage.usd is None else 0.0)
        return counted, usage - counted
    return usage, None
