"""The stepper: a policy coroutine as an ask/tell machine, with no I/O and no event loop.

`ask()` lists the effects that the policy has come to wait for, `tell(effect, result)` answers one, `fail(effect,
error)` raises in the policy. A person, a queue or a test can drive it as well as the engine does.
"""

from __future__ import annotations

import sys
from asyncio import events
from collections import Counter, deque
from collections.abc import Coroutine
from contextlib import contextmanager
from inspect import iscoroutine
from typing import Any

from thoughtgraph.thought import Thought
from thoughtgraph.verbs import BLOCK, Effect, Gather, Next, Search

RULE = (
    "a policy may await only its search (expand, score, gather, next): put I/O, sleeping and other awaitables in a "
    "generator or a critic"
)

STUBBORN = (
    "a policy may not await while it is being withdrawn (in a finally, say): nobody is left to wait for the result; "
    "what must still be asked belongs after the gather"
)


class Strand:
    """One coroutine of a policy: the policy itself, or a part of a gather."""

    __slots__ = ("asked", "closed", "coroutine", "index", "key", "parent", "waiting")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], key: str, parent: Join | None, index: int) -> None:
        self.coroutine, self.key, self.parent, self.index = coroutine, key, parent, index
        self.asked, self.closed = 0, False
        self.waiting: Effect | Join | Next | None = None


class Join:
    """A gather that waits for its parts."""

    __slots__ = ("done", "first", "strand", "strands")

    def __init__(self, strand: Strand, gather: Gather, key: str) -> None:
        self.strand, self.first, self.done = strand, gather.first, dict[int, Any]()
        self.strands = [Strand(part, f"{key}/{i}", self, i) for i, part in enumerate(gather.parts)]


class Stepper:
    """Runs a policy from answer to answer. `done` and `result` say how it ended; its exceptions come out of `tell`."""

    def __init__(self, policy: Any, search: Search) -> None:
        self.search = search
        self.waiting: dict[str, Effect] = {}
        """Every effect asked and neither told nor withdrawn, by key."""
        self.cancelled = list[Effect]()
        """Effects that nobody needs any more, because enough parts of a gather were done: stop them."""
        self.done = False
        self.result: Thought | None = None
        self._asked = list[Effect]()
        self._strands: dict[str, Strand] = {}
        self._idle = list[Strand]()
        self._root = Strand(_coroutine(policy, search), "0", None, 0)
        self._run(deque([(self._root, None, None)]))

    def ask(self) -> list[Effect]:
        """The effects asked since the last look, in the order asked; those withdrawn meanwhile are left out."""
        asked, self._asked = self._asked, []
        return [effect for effect in asked if effect.key in self.waiting]

    def tell(self, effect: Effect, result: Any) -> None:
        """Answer an effect: a list of thoughts, or of scores. `KeyError` if it is not waited for."""
        self._resume(effect, result, None)

    def fail(self, effect: Effect, error: BaseException) -> None:
        """Raise `error` at the await of this effect."""
        self._resume(effect, None, error)

    @property
    def stuck(self) -> bool:
        """Whether every strand waits for the next completion and nothing is asked that could complete."""
        return bool(self._idle) and not self.waiting and not self.done

    def close(self) -> None:
        """Withdraw everything and close the policy."""
        self.done = True
        self._withdraw(self._root)

    def _resume(self, effect: Effect, value: Any, error: BaseException | None) -> None:
        strand = self._release(effect)
        idle, self._idle = self._idle, []
        self._run(deque([(strand, value, error), *((waiter, None, None) for waiter in idle)]))

    def _run(self, ready: deque[tuple[Strand, Any, BaseException | None]]) -> None:
        with _alone():
            while ready and not self.done:
                strand, value, error = ready.popleft()
                if not strand.closed:
                    self._try(strand, value, error, ready)

    def _try(self, strand: Strand, value: Any, error: BaseException | None, ready: deque[Any]) -> None:
        """One step; an error that comes out of it ends the whole policy."""
        try:
            self._step(strand, value, error, ready)
        except BaseException:
            if not self.done:
                self.close()
            raise

    def _step(self, strand: Strand, value: Any, error: BaseException | None, ready: deque[Any]) -> None:
        """Run a strand to its next await, its end, or its error."""
        strand.waiting = None
        try:
            asked = strand.coroutine.send(value) if error is None else strand.coroutine.throw(error)
        except StopIteration as end:
            self._ended(strand, end.value, ready)
        except BaseException as exception:  # noqa: BLE001  # it comes out of the gather, or of tell
            self._broke(strand, exception, ready)
        else:
            self._wait(strand, asked, ready)

    def _wait(self, strand: Strand, asked: object, ready: deque[Any]) -> None:
        key = f"{strand.key}.{strand.asked}"
        strand.asked += 1
        if type(asked) is Effect:
            strand.waiting = asked
            asked.key, asked.tick, asked.draws = key, self.search.graph.tick, _drawn(asked, self.search.drawn)
            self.waiting[key], self._strands[key] = asked, strand
            self.search.flying.update(asked.path)
            self._asked.append(asked)
        elif type(asked) is Gather:
            strand.waiting = join = Join(strand, asked, key)
            ready.extend((part, None, None) for part in join.strands)
            if not join.first:
                self._join(join, ready)
        elif type(asked) is Next:
            strand.waiting = asked
            self._idle.append(strand)
        else:
            strand.waiting = Next()
            ready.appendleft((strand, None, TypeError(f"{RULE} (it awaited {asked!r:.80})")))

    def _ended(self, strand: Strand, value: Any, ready: deque[Any]) -> None:
        strand.closed = True
        if strand.parent is None:
            self.done, self.result = True, value
            return
        join = strand.parent
        join.done[strand.index] = value
        if len(join.done) == join.first:
            self._join(join, ready)

    def _join(self, join: Join, ready: deque[Any]) -> None:
        """Enough parts are done: withdraw the rest and go on."""
        for part in join.strands:
            if part.index not in join.done:
                self._withdraw(part, self.cancelled)
        join.strands.clear()  # they point back to it, and would wait for the garbage collector together
        # before those who wait for any completion: what it asks now may be what they wait for
        ready.appendleft((join.strand, [join.done[index] for index in sorted(join.done)], None))

    def _broke(self, strand: Strand, error: BaseException, ready: deque[Any]) -> None:
        strand.closed = True
        if isinstance(error, RuntimeError) and "event loop" in str(error):
            error = TypeError(RULE).with_traceback(error.__traceback__)
        if strand.parent is None:
            self.close()
            raise error
        for part in strand.parent.strands:
            if part is not strand:
                self._withdraw(part)
        ready.appendleft((strand.parent.strand, None, error))

    def _release(self, effect: Effect) -> Strand:
        """Forget that an effect is in flight, along the very path that was counted when it was asked."""
        if self.waiting.pop(effect.key, None) is None:
            raise KeyError(f"effect {effect.key!r} is not waited for: it was told before, or withdrawn")
        flying = self.search.flying
        for id in effect.path:
            if flying[id] == 1:
                del flying[id]
            else:
                flying[id] -= 1
        return self._strands.pop(effect.key)

    def _withdraw(self, strand: Strand, cancelled: list[Effect] | None = None) -> None:
        """Close a strand and all below it, innermost first; what is in flight is dropped, or listed as `cancelled`.

        All are closed, whatever one of them does; the first error comes out at the end.
        """
        below, errors = [strand], list[Exception]()
        for one in below:  # grows as it is walked: gathers may nest deeper than Python recurses
            below += reversed(one.waiting.strands) if isinstance(one.waiting, Join) else ()
        for one in reversed(below):
            try:
                self._shut(one, cancelled)
            except Exception as error:  # noqa: BLE001
                errors.append(error)
        if errors:
            raise errors[0]

    def _shut(self, strand: Strand, cancelled: list[Effect] | None) -> None:
        waiting, strand.waiting = strand.waiting, None
        if isinstance(waiting, Effect) and waiting.key in self.waiting:
            self._release(waiting)
            if cancelled is not None:
                cancelled.append(waiting)
        elif isinstance(waiting, Next) and strand in self._idle:
            self._idle.remove(strand)
        if strand.closed:
            return
        strand.closed = True
        try:
            strand.coroutine.close()
        except RuntimeError as error:
            stubborn = "ignored GeneratorExit" in str(error)
            raise (TypeError(STUBBORN) if stubborn else error) from None


def _drawn(effect: Effect, drawn: Counter[tuple[str, ...]]) -> tuple[int, ...]:
    """The numbers of an effect's first draws: one for each judged thought, one for an expansion.

    They follow from what was asked, in its order, and so a replay finds them again.
    """
    ids = [thought.id for thought in effect.thoughts]
    places = [(effect.name, id) for id in ids] if effect.verb == "score" else [(effect.name, *ids)]
    first = tuple(drawn[place] for place in places)
    for place in places:
        drawn[place] += BLOCK
    return first


def _coroutine(policy: Any, search: Search) -> Coroutine[Any, Any, Any]:
    thinking = policy(search)
    if not iscoroutine(thinking):
        raise TypeError(f"the policy {policy!r:.200} gave {thinking!r:.80}: expected what an `async def` gives")
    return thinking


def _no_generators(_: Any) -> None:
    raise TypeError("a policy may not iterate an async generator: what it leaves behind has no event loop to end in")


@contextmanager
def _alone() -> Any:
    """No event loop is visible and no async generator begins while a policy thinks: stray tasks are caught."""
    loop, hooks = events._get_running_loop(), sys.get_asyncgen_hooks()
    events._set_running_loop(None)
    sys.set_asyncgen_hooks(firstiter=_no_generators, finalizer=None)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*hooks)
        events._set_running_loop(loop)
