"""The engine: performs what a policy asks, writes one event for each completion, and tells the policy in that order."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from thoughtgraph.account import Account
from thoughtgraph.budget import Budget, Purse, Usage
from thoughtgraph.cache import Cache
from thoughtgraph.calls import STREAK, Calls
from thoughtgraph.contracts import check_request, checked_drafts, checked_scores, marks_of
from thoughtgraph.errors import (
    BudgetExhausted,
    EffectError,
    InUse,
    ModelError,
    ReplayMismatch,
    StoreError,
    TaskError,
    Unsure,
)
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.marks import short
from thoughtgraph.model import Model
from thoughtgraph.outcomes import FAILURES
from thoughtgraph.replies import shortened
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.retry import Retry
from thoughtgraph.state import State
from thoughtgraph.stepper import Stepper
from thoughtgraph.store import Store
from thoughtgraph.task import Task
from thoughtgraph.thought import ROOT, Draft, Ito, Json, Score, Thought, as_json, clean
from thoughtgraph.trace import (
    Acted,
    Event,
    Expanded,
    Noted,
    Reason,
    Record,
    Resumed,
    Scored,
    Started,
    Stopped,
    fold,
    standing,
    unanswered,
)
from thoughtgraph.verbs import Effect, Policy, Search

DENIALS = 100
"""So often a policy may ask again after its budget is exhausted."""

GRACE = 0.1
"""Seconds that cancelled work gets to end."""


class Engine:
    """One run of one policy on one task."""

    def __init__(
        self,
        task: Task,
        policy: Policy,
        *,
        store: Store,
        run: str,
        model: Model | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        models: Mapping[str, Model] | None = None,
        retry: Retry | None = None,
        cache: Cache | None = None,
        recipe: Json = None,
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        self.task, self.policy, self.store, self.run, self.seed = task, policy, store, run, seed
        self.budget = budget or Budget()
        self.purse = Purse(self.budget)
        self.calls = Calls(
            store, run, self.purse, model, seed, self._abort, models=models, retry=retry, cache=cache, tell=self._record
        )
        self.books = self.calls.books
        self.model, self.models, self.recipe, self.listener = model, models or {}, recipe, listener
        self.root = Thought(ROOT, (), "", as_json(task.start, "the task's start"))
        self.graph = ThoughtGraph(self.root, task.key if task.merge else None)
        self.search = Search(task, self.graph, seed)
        self.outcomes: Counter[str] = Counter()
        self.notes = list[Noted]()
        self._used: dict[str, Ito] = {}
        self._judged = False
        self._worked = set[str]()
        self._broken: dict[str, EffectError] = {}
        self._streaks: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._arrived: deque[tuple[Effect, Account, asyncio.Task[Any]]] = deque()
        self._refused = list[tuple[Effect, str]]()
        self._cut = list[tuple[Effect, Account, list[Any], str]]()
        """Effects that the budget cut short. They are folded at the end: a replay, which performs them again, must
        find the graph that the policy saw without them."""
        self._wake: asyncio.Future[None] | None = None
        self._stop: tuple[Reason, BaseException | None] | None = None
        self._limit, self._denials = "", 0
        self._clocks = list[asyncio.TimerHandle]()
        self._pending: Resumed | None = None
        self._ended = False

    @property
    def known(self) -> list[Model]:
        """The models that the run was made with, each once."""
        return list({id(m): m for m in (self.model, *self.models.values()) if m is not None}.values())

    # -- a run ---------------------------------------------------------------------------------------------------

    async def start(self, created: str = "", version: str = "", *, named: bool = False) -> Result:
        """Run from the beginning. A `named` run may be there already: its name was not made up for it."""
        check_request(self.task, self.policy, self.model, self.budget, self.models)
        self.store.claim(self.run)
        try:
            if named and self.run in self.store.runs():
                raise InUse(f"run {self.run} was begun by somebody else meanwhile: resume it")
            started = Started(
                self.run, self.root, self.task.name, self.task.x, self.seed, self._marks(), self.budget, self.recipe,
                created, version,
            )  # fmt: skip
            self._record(started)
            self.store.flush()
            return await self._go([])
        finally:
            self._let_go()

    async def resume(self) -> Result:
        """Go on where the run stopped: what is recorded is told again, in its order, and costs nothing."""
        check_request(self.task, self.policy, self.model, self.budget, self.models)
        self.store.claim(self.run)
        try:
            recorded = standing(self.store.events(self.run))
            self._same(recorded)
            records = self.store.records(self.run)
            undone = unanswered(recorded, records)
            resumed = Resumed(self.budget, undone=undone)
            events = standing([*recorded, resumed])[:-1]
            done = {e.key for e in events if isinstance(e, Expanded | Scored) and not e.partial}
            self.books.replay(records, done)
            self.calls.acts.replay(records, done)
            self.purse.spent += _local(events, records)
            self.calls.noted = {(e.about, e.model, e.where) for e in events if isinstance(e, Noted)}
            self._pending = replace(resumed, at=self.books.clock())
            self._ended = isinstance(events[-1], Stopped) and not undone
            return await self._go(events)
        finally:
            self._let_go()

    def cancel(self) -> None:
        """End the run with its best answer so far."""
        self._halt("cancelled", None)

    async def _go(self, events: Sequence[Event]) -> Result:
        try:
            thought = await self._think(events)
        except asyncio.CancelledError:
            self._stop = ("cancelled", None)
            await self._drain()
            self._finish(None)
            raise
        except Exception as error:
            if isinstance(error, ReplayMismatch):
                raise
            self._stop = self._stop or (("budget", None) if isinstance(error, BudgetExhausted) else ("failed", error))
            await self._drain()
            return self._end(None)
        finally:
            for clock in self._clocks:
                clock.cancel()
        await self._drain()
        return self._end(thought)

    async def _think(self, events: Sequence[Event]) -> Thought | None:
        """The policy's own answer. However it ends, none of its parts is left hanging."""
        stepper = Stepper(self.policy, self.search)
        try:
            self._replay(stepper, events)
            self._watch(resumed=bool(events))
            await self._drive(stepper)
            self._hear()
            return _a_thought(stepper.result, self.policy)
        finally:
            with contextlib.suppress(StoreError):
                self._salvage(stepper)
            with contextlib.suppress(Exception):  # what a policy says to being withdrawn changes nothing any more
                stepper.close()

    def _watch(self, *, resumed: bool) -> None:
        """Set the alarm of a budget in seconds, by the run's own clock."""
        if resumed:
            self.books.begin()
        if self.budget.seconds is not None:
            self._later(max(0.0, self.budget.seconds - self.books.clock()), self._expire)

    async def _drive(self, stepper: Stepper) -> None:
        """Perform what is asked until the policy ends."""
        while not stepper.done and self._stop is None:
            self._hear()
            for effect in stepper.ask():
                self._launch(effect)
            self._cancel(stepper)
            if self._arrived:
                self._complete(stepper, *self._arrived.popleft())
            elif self._tasks:
                await self._idle()
            else:
                self._deny(stepper)

    def _hear(self) -> None:
        """Write down what the policy said of its choices, once."""
        while self.search.said:
            self.calls.note(*self.search.said.popleft())

    def _salvage(self, stepper: Stepper) -> None:
        """What came back before the run was stopped is recorded, so that it is neither lost nor done again."""
        while self._arrived:
            effect, account, task = self._arrived.popleft()
            if not task.cancelled() and task.exception() is None:
                self._written(effect, account, *task.result(), orphan=effect.key not in stepper.waiting)

    def _deny(self, stepper: Stepper) -> None:
        """Nothing is in flight and nothing more fits: tell the policy, once for each refused effect."""
        if not self._refused:
            stepper.close()
            raise TaskError("every part of the policy waits for the next completion, and nothing is in flight")
        refused, self._refused = self._refused, []
        self._limit, self._denials = refused[0][1], self._denials + 1
        if self._denials > DENIALS:
            raise TaskError("the policy goes on asking though its budget is exhausted: let BudgetExhausted end it")
        for effect, limit in refused:
            if effect.key in stepper.waiting and not stepper.done:
                stepper.fail(effect, BudgetExhausted(limit))

    async def _idle(self) -> None:
        self.store.flush()
        if self.calls.cache is not None:
            self.calls.cache.flush()
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake
        self._wake = None

    # -- effects -------------------------------------------------------------------------------------------------

    def _launch(self, effect: Effect) -> None:
        cost = Usage(expansions=1) if effect.verb == "expand" else Usage(evaluations=len(effect.thoughts))
        limit = self._limit or self.purse.spend(cost)
        if limit:
            self._refused.append((effect, limit))
            return
        account = Account(self.calls, effect.key, effect.name, effect.draws, self._where(effect), self._at(effect))
        work = self._expand if effect.verb == "expand" else self._score
        task = asyncio.get_running_loop().create_task(work(effect, account))
        self._tasks[effect.key] = task
        task.add_done_callback(lambda task: self._landed(effect, account, task))

    def _where(self, effect: Effect) -> Callable[[int], str]:
        """Which thought a part of an effect is about, in words: the way to it."""

        def where(part: int) -> str:
            path = self.graph.path(effect.thoughts[part if part < len(effect.thoughts) else 0])
            steps = " > ".join(shortened(thought.text, 40) or thought.id for thought in path)
            return f"{path[-1].id} ({steps})"

        return where

    def _at(self, effect: Effect) -> Callable[[], str]:
        """A short mark of what led to an effect: after an outage its key may come to stand for another one."""

        def at() -> str:
            paths = [[thought.content for thought in self.graph.path(one)] for one in effect.thoughts]
            return short(json.dumps([effect.verb, effect.name, paths]))

        return at

    def _landed(self, effect: Effect, account: Account, task: asyncio.Task[Any]) -> None:
        del self._tasks[effect.key]
        account.close()
        self._arrived.append((effect, account, task))
        self._nudge()

    def _nudge(self) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)

    async def _expand(self, effect: Effect, account: Account) -> tuple[list[Draft], str]:
        try:
            drafts = self.task.actions[effect.name](self._state(effect, account, effect.thoughts), effect.n)
            return checked_drafts(await drafts if inspect.isawaitable(drafts) else drafts, effect.name, effect.n), ""
        except BaseException as error:
            if not _of_the_effect(error):
                raise _carried(error) from error
            return [], _said(error)

    async def _score(self, effect: Effect, account: Account) -> tuple[list[Score], str]:
        try:
            states = [self._state(effect, account, (thought,), i) for i, thought in enumerate(effect.thoughts)]
            scores = self.task.critics[effect.name](states)
            return checked_scores(await scores if inspect.isawaitable(scores) else scores, effect.name, len(states)), ""
        except BaseException as error:
            if not _of_the_effect(error):
                raise _carried(error) from error
            return [Score(None, status="failed", critic=effect.name)] * len(effect.thoughts), _said(error)

    def _state(self, effect: Effect, account: Account, thoughts: tuple[Thought, ...], part: int = 0) -> State:
        task = self.task
        return State(task.problem, task.x, thoughts, tuple(task.passages), self.graph, effect.tick, account, part)

    def _complete(self, stepper: Stepper, effect: Effect, account: Account, task: asyncio.Task[Any]) -> None:
        """One completion: its event, its place in the graph, and only then the policy."""
        wanted = effect.key in stepper.waiting
        if task.cancelled():
            if wanted:
                self._refused.append((effect, self._limit or "seconds"))
            return
        event = self._written(effect, account, *task.result(), orphan=not wanted)
        if event is None:
            self._refused.append((effect, account.short))
        elif not event.orphan:
            stepper.tell(effect, self._told(event))

    def _written(
        self, effect: Effect, account: Account, result: list[Any], error: str, *, orphan: bool
    ) -> Expanded | Scored | None:
        """The event of a completion, recorded; None for one that the budget cut short, which waits for the end."""
        self._count(error, account)
        if account.short:
            self._cut.append((effect, account, result, error))
            return None
        event = self._event(effect, account, result, error, orphan=orphan)
        self._record(event)
        self.books.forget(effect.key)
        self.calls.acts.forget(effect.key)
        return event

    def _count(self, error: str, account: Account) -> None:
        self.outcomes["failed"] += bool(error)
        self._tally(account.role, error)
        if self._streaks[account.role] >= STREAK:
            self._abort(self._broken[account.role])

    def _tally(self, role: str, error: str) -> None:
        """An action or critic that fails again and again, without one success between, ends the run."""
        if error:
            self._broken[role] = EffectError(f"{role!r} failed: {error}")
            self._streaks[role] += 1
        else:
            self._worked.add(role)
            self._streaks[role] = 0

    def _event(
        self, effect: Effect, account: Account, result: list[Any], error: str, *, orphan: bool
    ) -> Expanded | Scored:
        common: dict[str, Any] = {
            "outcomes": dict(account.outcomes) or None, "prompters": tuple(account.prompters), "error": error,
            "partial": bool(account.short), "orphan": orphan, "at": self.books.clock(),
            "origins": tuple(account.origins),
        }  # fmt: skip
        ids = tuple(thought.id for thought in effect.thoughts)
        if effect.verb == "score":
            return Scored(effect.key, effect.name, ids, tuple(result), **common)
        made, thoughts = self._thoughts(effect, ids, result)
        return Expanded(effect.key, effect.name, ids, effect.n, made, thoughts, **common)

    def _thoughts(
        self, effect: Effect, ids: tuple[str, ...], drafts: list[Draft]
    ) -> tuple[tuple[str, ...], tuple[Thought, ...]]:
        """Drafts become thoughts, but for those that the task calls equal to one that is there."""
        depth = 1 + max(thought.depth for thought in effect.thoughts)
        made, new, fresh = dict[str, None](), list[Thought](), dict[Any, str]()
        for number, draft in enumerate(drafts):
            form = self.graph.form(draft.content, depth) if effect.merge else None
            id = self.graph.twin(form) or fresh.get(form) if form is not None else None
            if id is None:
                id = thought_id(effect.key, number)
                new.append(Thought(id, ids, effect.name, draft.content, draft.prior, draft.done, depth))
                fresh[form] = id
            made[id] = None
        return tuple(made), tuple(new)

    def _told(self, event: Expanded | Scored) -> list[Any]:
        return [self.graph[id] for id in event.made] if isinstance(event, Expanded) else list(event.scores)

    def _record(self, event: Event) -> None:
        if self._pending:
            pending, self._pending = self._pending, None
            self._record(pending)
        self.store.append(self.run, event)
        self._see(event)
        if self.listener:
            self.listener(event)

    def _see(self, event: Event) -> None:
        fold(self.graph, event)
        if isinstance(event, Noted):
            self.notes.append(event)
        if isinstance(event, Expanded | Scored):
            self.outcomes.update(event.outcomes or {})
        if isinstance(event, Expanded) and not event.made and (event.error or FAILURES & set(event.outcomes or ())):
            self.search.failed.update(event.parents)
        if isinstance(event, Scored):
            self.outcomes["abstained"] += sum(s.value is None and s.status != "failed" for s in event.scores)
            self._judged |= any(s.value is not None for s in event.scores)
            self._used[event.critic] = getattr(self.task.critics.get(event.critic), "ito", "proxy")

    # -- replay --------------------------------------------------------------------------------------------------

    def _replay(self, stepper: Stepper, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Noted):
                self.notes.append(event)
            if not isinstance(event, Expanded | Scored) or event.partial:
                continue
            effect = None if event.orphan else self._match(stepper, event)
            self._see(event)
            self.outcomes["failed"] += bool(event.error)
            self._tally(event.action if isinstance(event, Expanded) else event.critic, event.error)
            if effect:
                stepper.tell(effect, self._told(event))

    def _match(self, stepper: Stepper, event: Expanded | Scored) -> Effect:
        effect = stepper.waiting.get(event.key)
        recorded = (
            (event.kind, event.action, event.parents, event.n)
            if isinstance(event, Expanded)
            else (event.kind, event.critic, event.thoughts, 1)
        )
        verbs = {"expand": "expanded", "score": "scored"}
        asked = effect and (verbs[effect.verb], effect.name, tuple(t.id for t in effect.thoughts), effect.n)
        if effect is None or asked != recorded:
            raise ReplayMismatch(
                f"run {self.run} recorded {recorded} as effect {event.key}, and the policy now asks {asked}: a policy "
                "must do the same again, given the same results and search.rng; resume with what the run was made with"
            )
        return effect

    def _marks(self) -> dict[str, str]:
        return marks_of(self.task, self.policy, self.model, self.seed, self.models)

    def _same(self, events: Sequence[Event]) -> None:
        """Refuse to resume a run with anything that it was not recorded with."""
        started = events[0]
        if not isinstance(started, Started):
            raise StoreError(f"run {self.run} does not begin with its start: the store is damaged")
        then, now = dict(started.marks), self._marks()
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise ReplayMismatch(
                    f"run {self.run} was recorded with another {name}: {then.get(name, 'none'):.300} then, "
                    f"{now.get(name, 'none'):.300} now. Resume it with what it was made with, or start a new run"
                )

    # -- the end -------------------------------------------------------------------------------------------------

    def _abort(self, error: Exception) -> None:
        self._halt("failed", error)

    def _halt(self, reason: Reason, error: BaseException | None) -> None:
        if self._stop is None:
            self._stop = (reason, error)
        self._nudge()

    def _expire(self) -> None:
        """Time is up: what is in flight is cancelled and counts as unsettled."""
        self._limit = "seconds"
        for task in self._tasks.values():
            task.cancel()
        self._later(GRACE, lambda: self._halt("budget", None))

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._clocks.append(asyncio.get_running_loop().call_later(seconds, do))

    def _cancel(self, stepper: Stepper) -> None:
        while stepper.cancelled:
            if task := self._tasks.get(stepper.cancelled.pop().key):
                task.cancel()

    async def _drain(self) -> None:
        """Stop what is in flight, and give it a moment to end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=GRACE)
            for task in left:  # a model that would not be cancelled: what it holds may be billed
                task.add_done_callback(lambda task: task.cancelled() or task.exception())
            if left:
                self.purse.lost += self.purse.held
                self.purse.held = Usage()
        for _, _, task in self._arrived:
            if not task.cancelled():
                task.exception()

    def _end(self, thought: Thought | None) -> Result:
        result = self._finish(thought)
        error = self._stop[1] if self._stop else None
        if isinstance(error, Exception) and result.reason == "failed":
            if isinstance(error, ModelError | EffectError | StoreError):
                raise RunFailed(str(error), result) from error
            paid = "; what it paid for is recorded" if result.usage.requests else ""
            error.add_note(f"this ended run {self.run}{paid}")
            setattr(error, "run", self.run)  # noqa: B010  # whatever its type, it carries the run's id
            raise error
        return result

    def _fold_cut(self) -> None:
        """What cut-short effects brought is part of the answer so far, and was never told."""
        for effect, account, result, error in self._cut:
            if _any(result):
                self._record(_asked(self._event(effect, account, result, error, orphan=False)))
        self._cut.clear()

    def _warn(self) -> None:
        """What nobody should have to find out: acts of which nobody knows, and answers that nobody judged."""
        told = " ".join(note.text for note in self.notes)
        for name in self.calls.acts.unsure:
            if name not in told:
                self.calls.note("unsure", "", str(Unsure(name)), name)
        if self._used and not self._judged:
            asked = ", ".join(map(repr, self._used))
            self.calls.note("critic", "", f"no thought has a value: {asked} abstained or failed each time")

    def _finish(self, thought: Thought | None) -> Result:
        with contextlib.suppress(StoreError):
            self._fold_cut()
            self._warn()
        thought = thought if self._stop is None else self.best()
        if thought is not None and self.task.goal is not None and not self.task.solved(self.graph, thought):
            thought = None
        answer = self.task.answer(self.graph, thought)
        if self._stop is None and answer is None and (error := self._hopeless()):
            self._stop = ("failed", error)
        reason: Reason = self._stop[0] if self._stop else "exhausted" if answer is None else "answered"
        result = self._result(reason, thought if answer is not None else None, answer)
        with contextlib.suppress(StoreError):
            self._write_end(result)
        return result

    def standing(self, reason: Reason) -> Result:
        """Where the run stands now, as a result; it goes on all the same."""
        thought = self.best()
        return self._result(reason, thought, self.task.answer(self.graph, thought))

    @property
    def usage(self) -> Usage:
        """What the run has used so far; what was sent and never answered is counted in full."""
        return replace(self.purse.spent + self.purse.lost, seconds=self.books.clock())

    def _hopeless(self) -> Exception | None:
        """Why a run without an answer had no chance: no call was answered (any more), or a part of it never worked."""
        if self.calls.error and (self.calls.silent or not self.books.successes):
            return self.calls.error
        return next((error for role, error in self._broken.items() if role not in self._worked), None)

    def best(self) -> Thought | None:
        """The best answer so far: the policy's own word, else the task's rule."""
        answer: Callable[[Search], Thought | None] | None = getattr(self.policy, "answer", None)
        return self.search.answer() if answer is None else answer(self.search)

    def _result(self, reason: Reason, thought: Thought | None, answer: Json) -> Result:
        used = set(self._used.values())
        ito: Ito = "environment" if "environment" in used else "proxy" if used else "none"
        error = (self._stop[1] if self._stop else None) or (self._hopeless() if answer is None else None)
        outcomes = Counter({name: n for name, n in self.outcomes.items() if n})
        told = "" if error is None else _said(error)
        ledger, graph = dict(self.books.ledger), self.graph
        return Result(
            answer, reason, self.run, self.usage, outcomes, ledger, graph, thought, ito, self.budget, told,
            self.purse.lost, tuple(self.notes),
        )  # fmt: skip

    def _write_end(self, result: Result) -> None:
        """A resumed run that did nothing new leaves its file untouched."""
        if self._pending is None or not self._ended:
            thought = result.thought.id if result.thought else None
            books = {role: book.to_json() for role, book in result.ledger.items()}
            at = self.books.clock()
            self._record(Stopped(result.reason, thought, result.answer, result.usage, result.error, at, books))
            self.store.flush()

    def _let_go(self) -> None:
        with contextlib.suppress(StoreError):
            self.store.flush()
        self.store.release(self.run)
        self.calls.retire()


def thought_id(key: str, number: int) -> str:
    """A thought's id: a hash of the effect that made it and its number there, never of a counter or a clock."""
    return hashlib.blake2s(f"{key}:{number}".encode(), digest_size=8).hexdigest()


def _a_thought(result: object, policy: Policy) -> Thought | None:
    if result is not None and not isinstance(result, Thought):
        raise TaskError(f"the policy {policy!r:.80} returned {result!r:.80}: expected a thought of its search, or None")
    return result


def _asked(event: Expanded | Scored) -> Expanded | Scored:
    """A cut-short event without the thoughts that nobody was asked about: they did not abstain."""
    if isinstance(event, Expanded):
        return event
    pairs = [(id, s) for id, s in zip(event.thoughts, event.scores, strict=True) if s.value is not None]
    return replace(event, thoughts=tuple(id for id, _ in pairs), scores=tuple(s for _, s in pairs))


def _any(result: Sequence[Any]) -> bool:
    return any(not isinstance(item, Score) or item.value is not None for item in result)


def _of_the_effect(error: BaseException) -> bool:
    """Whether this is a failure of one effect, which is an event, and not the end of the run."""
    if isinstance(error, asyncio.CancelledError):  # its own, if nobody cancelled it from outside
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception) and not isinstance(error, TaskError | StoreError)


def _carried(error: BaseException) -> BaseException:
    """SystemExit and KeyboardInterrupt out of a generator or critic would end the event loop under everybody."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return TaskError(f"a generator or critic raised {type(error).__name__}: raise an ordinary exception instead")
    return error


def _said(error: BaseException) -> str:
    return clean(f"{type(error).__name__}: {error}")


def _local(events: Sequence[Event], records: Sequence[Record]) -> Usage:
    """What recorded effects count beside their calls, and the seconds that passed."""
    done = [event for event in events if isinstance(event, Expanded | Scored) and not event.partial]
    expansions = sum(isinstance(event, Expanded) for event in done)
    evaluations = sum(len(event.thoughts) for event in done if isinstance(event, Scored))
    seconds = max(item.at for item in (*events, *records))
    calls = sum(record.calls for record in records if isinstance(record, Acted))
    return Usage(calls, seconds=seconds, expansions=expansions, evaluations=evaluations)
