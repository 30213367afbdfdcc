"""What a policy holds: the two verbs, and ways to do many at once. Awaiting one hands an `Effect` to the stepper."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Coroutine, Generator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast

from thoughtgraph.answers import best, candidates
from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.task import Task
from thoughtgraph.thought import Json, Score, Thought

T = TypeVar("T")

BLOCK = 1 << 30
"""How many numbers of draws each effect has to itself: more than any generator or critic asks for."""

ALL = 1 << 30
"""The `n` of an expansion that takes all the action has to offer: its legal moves, its proposals, its own width."""


@dataclass(eq=False, slots=True)
class Effect:
    """One thing that costs: an expansion of `thoughts` by an action, or a judgement of them by a critic.

    `key` says where in the policy's run it was asked (strand and number), `tick` what the graph was then, `path`
    which thoughts count as having work in flight below them, fixed when asked. `draws` are the numbers of its first
    draws: what is asked again of the same thoughts wants draws that nobody had before.
    """

    verb: Literal["expand", "score"]
    name: str
    thoughts: tuple[Thought, ...]
    n: int
    path: tuple[str, ...]
    merge: bool = True
    key: str = ""
    tick: int = 0
    draws: tuple[int, ...] = (0,)

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


@dataclass(eq=False, slots=True)
class Gather:
    """Parts that run side by side until all of them, or the first `first`, are done."""

    parts: tuple[Coroutine[Any, Any, Any], ...]
    first: int

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


@dataclass(eq=False, slots=True)
class Next:
    """Nothing to choose now: wait until anything comes back."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


class Search:
    """The policy's whole world. It may await `expand`, `score`, `gather` and `next`, and nothing else.

    `rng` is the policy's source of randomness: the same seed and the same replies in the same order make the same
    choices.
    """

    def __init__(self, task: Task, graph: ThoughtGraph, seed: int = 0) -> None:
        self.task = task
        self.graph = graph
        self.rng = random.Random(f"{seed}/policy")
        self.flying: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.drawn: Counter[tuple[str, ...]] = Counter()
        self.said = deque[tuple[str, str, str]]()
        self._from: Thought | None = None

    @property
    def root(self) -> Thought:
        """The thought that everything starts from."""
        return self._from or self.graph.root

    def at(self, thought: Thought) -> Search:
        """The same search, begun at `thought`: a policy that is given it starts there, and answers with it or below it.

        So policies are put together: `await MCTS(simulations=20)(search.at(part))` within a policy of your own.
        """
        view = copy(self)
        view._from = thought
        return view

    async def expand(
        self,
        *parents: Thought,
        action: str | None = None,
        n: int = ALL,
        path: Sequence[Thought] | None = None,
        merge: bool = True,
    ) -> list[Thought]:
        """Make up to `n` new thoughts (as many as the action has to offer, if not said) from `parents` by an action.

        None come back where the action has nothing to add or its generator failed. Where the task merges equal
        thoughts, an earlier twin comes back in place of a new thought, once; `merge=False` keeps draws apart that
        are to be counted. `path` is what the policy walked to get here, where that is not the path of first parents:
        in-flight work is counted along it.
        """
        if not parents or n < 1:
            raise TaskError(
                f"expand was asked for n={n} thoughts from {len(parents)} parents: expected at least one each"
            )
        _only_thoughts(parents, "expand")
        name = self.task.action(action)
        walked = self.graph.path(parents[0]) if path is None else path
        return await Effect("expand", name, parents, n, tuple(t.id for t in walked), merge)

    async def score(
        self, thoughts: Sequence[Thought], critic: str | None = None, *, path: Sequence[Thought] | None = None
    ) -> list[Score]:
        """Judge `thoughts` as one set: one `Score` each, in their order; `value` is None where the critic abstained."""
        if not thoughts:
            return []
        _only_thoughts(thoughts, "score")
        name = self.task.critic(critic)
        walked = self.graph.path(thoughts[0]) if path is None else path
        return await Effect("score", name, tuple(thoughts), 1, tuple(t.id for t in walked))

    async def gather(self, *parts: Coroutine[Any, Any, T], first: int | None = None) -> list[T]:
        """Run `parts` side by side and return their results in the order given.

        With `first=k`, return as soon as k of them are done, with the results of those; the rest is withdrawn and
        what is in flight is cancelled. An error in one part withdraws the others and comes out here.
        """
        return await Gather(parts, len(parts) if first is None else max(0, min(first, len(parts)))) if parts else []

    async def next(self) -> None:
        """Wait for any completion: for a worker that has nothing to choose while others' work is in flight."""
        await Next()

    def note(self, about: str, text: str) -> None:
        """Say why the policy does what it does: it stands in `result.notes`, each thing once a run."""
        self.said.append((about, "", text))

    def in_flight(self, thought: Thought) -> int:
        """How many effects asked and not yet told stand on a path through this thought: visits without reward."""
        return self.flying.get(thought.id, 0)

    def failures(self, thought: Thought) -> int:
        """How many expansions of this thought came to nothing because they failed: no word of a dead end."""
        return self.failed.get(thought.id, 0)

    def value(self, thought: Thought, critic: str | None = None) -> float | None:
        """What `critic` values this thought at; None where it did not speak, abstained or failed."""
        return self.graph.value(thought, None if critic is None else self.task.critic(critic))

    def claim(self, thought: Thought) -> Json | None:
        """What the path to this thought claims to be the answer; None if it claims nothing."""
        return self.task.answer(self.graph, thought)

    @property
    def finals(self) -> Sequence[Thought]:
        """The finished thoughts, in the order in which they came: `root` if it is one, and those below it."""
        if self._from is None:
            return self.graph.finals
        below, walked = {self._from.id}, [self._from]
        for thought in walked:  # grows as it is walked
            fresh = [child for child in self.graph.children(thought) if child.id not in below]
            below.update(child.id for child in fresh)
            walked += fresh
        return [end for end in self.graph.finals if end.id in below]

    def candidates(self) -> list[Thought]:
        """Those of `finals` that may carry an answer: they claim something, and pass the goal test if there is one."""
        return candidates(self.task, self.graph, self.finals)

    def answer(self) -> Thought | None:
        """The best answer so far by the task's rule; None if there is none. Below a part of the graph, the best one."""
        if self._from is not None:
            return best(self.task, self.graph, self.finals)
        return (self.task.rule or best)(self.task, self.graph)

    def solved(self, thought: Thought) -> bool:
        """Whether the problem's own goal test accepts this thought; False where the problem has none."""
        return self.task.solved(self.graph, thought)


def _only_thoughts(things: Sequence[object], verb: str) -> None:
    for thing in things:
        if not isinstance(thing, Thought):
            raise TaskError(f"{verb} was given {thing!r:.80}: expected thoughts of this search")


def roles(policy: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the actions and of the critics that a policy will ask for, as far as its fields tell."""
    acts: tuple[str, ...] = getattr(policy, "acts", ("action",))
    judges: tuple[str, ...] = getattr(policy, "judges", ("critic",))
    actions, critics = (tuple(name for field in fields for name in _names(policy, field)) for fields in (acts, judges))
    return actions, critics


def family(policy: object) -> list[object]:
    """A policy, and the policies that it runs itself."""
    found = [policy]
    for one in found:  # grows as it is walked
        found += getattr(one, "inner", ())
    return found


def _names(policy: object, field: str) -> tuple[str, ...]:
    value: object = getattr(policy, field, None)
    names = (value,) if isinstance(value, str) else () if value is None else value
    if not isinstance(names, tuple | list) or not all(
        isinstance(name, str) for name in cast("Sequence[object]", names)
    ):
        raise TaskError(f"{field} is {value!r:.80}: expected the name of an action or critic of the task")
    return tuple(cast("Sequence[str]", names))


class Policy(Protocol):
    """A search strategy: a coroutine that awaits only its search, and returns the thought it answers with.

    A frozen dataclass whose fields are the hyper-parameters, or a bare `async def`. The fields `action` and `critic`,
    and those that `acts` and `judges` name in their place, hold names of actions and critics (or tuples of such), and
    are checked against the task before anything is spent. `absolute = True` says that values of different sets are
    compared, which a critic that says `comparative = True` cannot give. `inner` are policies that it runs itself. A
    method `answer(search)`, where there is one, names the best answer so far at any time.
    """

    def __call__(self, search: Search) -> Coroutine[Any, Any, Thought | None]:
        """Search."""
        ...
