"""Contract suites for people who write policies, generators, critics, models and stores: subclass one in a test file.

>>> from thoughtgraph.search import MCTS
>>> class TestMCTS(PolicyContract):
...     policy = MCTS(simulations=20)

pytest finds `TestMCTS` and runs what every policy must keep. Nothing here imports pytest: any runner will do that
makes an instance and calls its `test_` methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import inspect
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

from thoughtgraph.answers import candidates
from thoughtgraph.budget import Budget, Usage
from thoughtgraph.engine import Engine
from thoughtgraph.errors import ModelError, StoreError, Unparsable
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.model import Model, Price, Reply, Request
from thoughtgraph.models.scripted import Line, Scripted
from thoughtgraph.prompt import Message, Prompt
from thoughtgraph.protocols import Critic, Generator
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.state import State
from thoughtgraph.store import MemoryStore, Store
from thoughtgraph.task import Task
from thoughtgraph.thought import ROOT, Draft, Json, Passage, Score, Thought
from thoughtgraph.trace import Acted, Begun, Event, Expanded, Forgotten, Record, Scored, Sent, Settled, Started, Stopped
from thoughtgraph.verbs import ALL, Policy, Search

T = TypeVar("T")

LIMIT = 60.0
"""Seconds after which a run counts as hanging."""

RUN = "contract"

GARBAGE = (
    "",
    " \n\t ",
    "I'm sorry, but I can't help with that.",
    "As a duck, I find this delightful.",
    "\x00\x01\x02",
    "nan",
    "{",
    "```json\n```",
    "\N{DUCK}" * 1000,
)
"""Replies that hold nothing usable."""


# -- the toys that policies play with --------------------------------------------------------------------------------

Kind = Literal["goal", "open", "merging", "spoken"]
Trouble = Literal["", "nothing", "raises", "abstains", "critic raises", "ends at once"]


@dataclass
class Toy:
    """A tree of digits, three deep and three wide, whose answers come back in a scrambled order; it counts its work.

    "goal": digits that sum up to 5, where a goal test says so. "open": no goal, every end is an answer. "merging":
    the order of the digits does not matter, so branches meet. "spoken": the same, and a model is asked.
    """

    kind: Kind = "open"
    trouble: Trouble = ""
    scramble: int = field(default=0, repr=False)
    performed: list[float] = field(default_factory=list[float], repr=False, compare=False)
    """What was performed, each effect known by the first of its random numbers."""
    model: Scripted | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.model = Scripted(said_digits) if self.kind == "spoken" else None

    @property
    def task(self) -> Task:
        """The task; a policy that asks for another action or critic by name gets these all the same."""
        goal = sums_to_five if self.kind == "goal" else None
        key = sorted_digits if self.kind in ("merging", "spoken") else None
        return Task(
            "digits", {"step": self.step}, {"value": self.value}, start=[], claim=digits, goal=goal, key=key, name="toy"
        )

    async def step(self, state: State, n: int) -> list[Draft]:
        """Add a digit: 0, 1 or 2, in an order of its own."""
        await self._perform(state)
        if self.trouble == "nothing":
            return []
        if self.trouble == "raises":
            raise RuntimeError("this action always breaks")
        moves = await self._moves(state)
        done = self.trouble == "ends at once" or len(state.content) == 2
        return [Draft([*state.content, move], prior=1.0 + move, done=done) for move in moves][:n]

    async def value(self, states: Sequence[State]) -> list[Score]:
        """The mean digit, shaken a little: a critic that is right on average."""
        if states:
            await self._perform(states[0])
        if self.trouble == "abstains":
            return [Score(None, status="abstained")] * len(states)
        if self.trouble == "critic raises":
            raise RuntimeError("this critic always breaks")
        if self.kind == "spoken":
            said = await asyncio.gather(*(state.ask(ask_for_a_value, parse=read_digits) for state in states))
            return [Score.of([digit / 2 for digits in replies for digit in digits]) for replies in said]
        return [Score(sum(state.content) / 6 + state.rng.random() / 4) for state in states]

    async def _moves(self, state: State) -> list[int]:
        if self.kind == "spoken":
            said = await state.ask(ask_for_moves, n=2, parse=read_digits)
            return list(dict.fromkeys(digit for digits in said for digit in digits))
        return state.rng.sample(range(3), 3)

    async def _perform(self, state: State) -> None:
        """Be counted, and let others go first for a few turns of the event loop."""
        self.performed.append(state.rng.random())
        for _ in range(random.Random(f"{self.scramble}/{state.rng.random()}").randrange(7)):
            await asyncio.sleep(0)


def sums_to_five(path: Sequence[Thought]) -> bool:
    """The goal of the toy: 2 + 2 + 1."""
    return sum(path[-1].content) == 5


def sorted_digits(content: Json) -> tuple[int, ...]:
    """The canonical key of the merging toy."""
    return tuple(sorted(content))


def digits(path: Sequence[Thought]) -> str | None:
    """What a path of the toy claims."""
    return "".join(map(str, path[-1].content)) or None


def ask_for_moves(x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Any) -> Prompt:
    """The prompter of the spoken toy."""
    return Prompt(ask="Which digits may follow " + " ".join(thought.text for thought in thoughts) + "?")


def ask_for_a_value(x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Any) -> Prompt:
    """The prompter of the spoken toy's critic."""
    return Prompt(ask="What is this worth? " + " ".join(thought.text for thought in thoughts))


def said_digits(prompt: str, draw: int) -> str:
    """The model of the spoken toy: two digits, and now and then a reply of no use."""
    rng = random.Random(f"{prompt}/{draw}")
    return "hm" if rng.random() < 0.2 else " ".join(map(str, rng.sample(range(3), 2)))


def read_digits(text: str) -> list[int]:
    """The parser of the spoken toy."""
    if not all(word.isdigit() for word in text.split()):
        raise Unparsable(text)
    return [int(word) for word in text.split()]


def fingerprint(key: str, seed: int = 0) -> float:
    """The first random number of an effect, by which a toy knows it: seeded by the run's seed and the effect's key."""
    return random.Random(f"{seed}/{key}/0").random()


# -- running -------------------------------------------------------------------------------------------------------


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own; one that hangs is an error."""

    async def bounded() -> T:
        async with asyncio.timeout(LIMIT):
            return await work

    return asyncio.run(bounded())


def prefix(events: Sequence[Event], records: Sequence[Record] = (), texts: Sequence[str] = ()) -> MemoryStore:
    """A store that holds these events and records, and nothing else: the state after a kill."""
    store = MemoryStore()
    for event in events:
        store.append(RUN, event)
    for record in records:
        store.note(RUN, record)
    for text in texts:
        store.keep(text)
    return store


def effects(events: Sequence[Event]) -> list[Expanded | Scored]:
    """The events that carry an effect's whole result."""
    return [event for event in events if isinstance(event, Expanded | Scored) and not event.partial]


def picture(graph: ThoughtGraph) -> str:
    """All of a graph as text: two graphs are the same where these are."""
    return json.dumps(graph.to_json(), sort_keys=True)


def stripped(event: Event) -> Event:
    """An event without its time."""
    return replace(event, at=0.0)


class PolicyContract:
    """What the engine and its users rely on in every policy. Set `policy`; set `toys` where others suit it better."""

    policy: ClassVar[Any]
    toys: ClassVar[Sequence[Kind]] = ("goal", "open", "merging", "spoken")

    # -- what the tests are made of ------------------------------------------------------------------------------

    def thinker(self) -> Policy:
        """The policy under test, also where it is a bare function."""
        found = inspect.getattr_static(type(self), "policy")
        return found.__func__ if isinstance(found, staticmethod) else cast("Policy", found)

    def engine(self, toy: Toy, store: Store | None = None, budget: Budget | None = None, **how: Any) -> Engine:
        """A run of the policy on a toy."""
        store = MemoryStore() if store is None else store
        return Engine(toy.task, self.thinker(), store=store, run=RUN, model=toy.model, budget=budget, **how)

    def run(self, toy: Toy, budget: Budget | None = None, **how: Any) -> tuple[Result, list[Event]]:
        """One run from the beginning: what it came to and what it recorded."""
        engine = self.engine(toy, budget=budget, **how)
        result = finish(engine.start())
        return result, engine.store.events(RUN)

    def pictures(self) -> dict[str, Json]:
        """What every toy comes to, and the marks that a resume compares: the same in every process."""
        found: dict[str, Json] = {}
        for kind in self.toys:
            result, events = self.run(Toy(kind))
            assert isinstance(events[0], Started)
            found[kind] = [picture(result.graph), result.answer, dict(events[0].marks)]
        return found

    def check(self, result: Result, toy: Toy) -> None:
        """An answer that stands in the graph and that the goal accepts, or an honest none."""
        task, graph = toy.task, result.graph
        if result.answer is None:
            assert result.thought is None
            assert result.reason != "answered"
            assert not candidates(task, graph), "the graph holds an answer, and the run came to none"
            return
        assert result.thought is not None
        assert result.thought in graph
        assert result.answer == task.answer(graph, result.thought)
        assert task.goal is None or task.solved(graph, result.thought)

    # -- the contract --------------------------------------------------------------------------------------------

    def test_it_answers_or_says_honestly_that_it_has_none(self) -> None:
        """On every toy, with the results in whatever order."""
        for kind in self.toys:
            for scramble in range(3):
                toy = Toy(kind, scramble=scramble)
                result, _ = self.run(toy)
                self.check(result, toy)
                assert result.reason in ("answered", "exhausted")

    def test_the_same_seed_and_replies_give_the_same_graph(self) -> None:
        """Twice in one process."""
        assert self.pictures() == self.pictures()

    def test_another_process_with_another_hash_seed_gives_the_same_graph(self) -> None:
        """No choice hangs on the order of a set, on an address, or on a clock."""
        code = "import json, sys, thoughtgraph.testing as t; print(json.dumps(t.suite(*sys.argv[1:]).pictures()))"
        cls = type(self)
        seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        there = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        call = [sys.executable, "-c", code, inspect.getfile(cls), cls.__module__, cls.__qualname__]
        done = subprocess.run(call, env=there, capture_output=True, text=True, check=False, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == json.loads(json.dumps(self.pictures()))

    def test_it_resumes_from_every_prefix_of_its_trace(self) -> None:
        """The prefix stays as it is, nothing recorded is performed or paid again, and the answer is valid."""
        for kind in self.toys:
            toy = Toy(kind)
            engine = self.engine(toy)
            whole = finish(engine.start())
            events = engine.store.events(RUN)
            assert {fingerprint(event.key) for event in effects(events)} <= set(toy.performed)
            for length in range(1, len(events) + 1):
                self.resumed(toy, engine, whole, events[:length])

    def resumed(self, toy: Toy, first: Engine, whole: Result, recorded: list[Event]) -> None:
        """Resume from `recorded` and compare with the run that went through."""
        again = Toy(toy.kind)
        store = prefix(recorded, first.store.records(RUN))
        result = finish(self.engine(again, store).resume())
        events = store.events(RUN)
        assert events[: len(recorded)] == recorded
        assert not {fingerprint(event.key) for event in effects(recorded)} & set(again.performed)
        keys = Counter(event.key for event in effects(events))
        assert not keys or max(keys.values()) == 1, "an effect was recorded twice"
        self.check(result, again)
        if one_at_a_time(first.store.events(RUN)):
            assert picture(result.graph) == picture(whole.graph)
            assert result.answer == whole.answer
            assert again.model is None or not again.model.seen, "a call that was journalled is paid again"

    def test_a_small_budget_holds_and_the_best_so_far_is_the_answer(self) -> None:
        """Calls, expansions and evaluations, from none at all."""
        for limit in ("calls", "expansions", "evaluations"):
            for most in (0, 1, 2, 5, 17):
                for kind in self.toys:
                    toy = Toy(kind)
                    result, events = self.run(toy, Budget(**{limit: most}))
                    assert getattr(result.usage, limit) <= most
                    assert result.reason in ("answered", "exhausted", "budget")
                    self.check(result, toy)
                    assert isinstance(events[-1], Stopped)

    def test_a_run_that_a_budget_stopped_goes_on_with_more(self) -> None:
        """As if the budget had always been the larger one, where one thing is done at a time."""
        for kind in self.toys:
            whole, events = self.run(Toy(kind))
            for most in (0, 1, 3, 6, 10):
                for limit in ("expansions", "evaluations", "calls"):
                    toy, store = Toy(kind), MemoryStore()
                    finish(self.engine(toy, store, Budget(**{limit: most})).start())
                    result = finish(self.engine(toy, store).resume())
                    self.check(result, toy)
                    assert result.reason in ("answered", "exhausted")
                    assert not one_at_a_time(events) or picture(result.graph) == picture(whole.graph)

    def test_nothing_comes_of_an_action_that_returns_nothing(self) -> None:
        """The search ends by itself."""
        self.fruitless("nothing")

    def test_an_action_that_raises_is_recorded_and_survived(self) -> None:
        """The search ends by itself, and says what broke."""
        toy = Toy("open", "raises")
        events = list[Event]()
        engine = self.engine(toy, listener=events.append)
        try:
            result = finish(engine.start())
        except Exception as error:  # noqa: BLE001
            assert "this action always breaks" in str(error)  # noqa: PT017
        else:
            assert result.answer is None
        assert all("always breaks" in event.error for event in events if isinstance(event, Expanded))

    def test_a_critic_that_abstains_is_survived(self) -> None:
        """Thoughts without a value are still thoughts."""
        self.blind("abstains")

    def test_a_critic_that_raises_is_survived(self) -> None:
        """Its failure is recorded and is no low score."""
        self.blind("critic raises")

    def test_a_tree_that_ends_at_once_is_answered(self) -> None:
        """Every child of the root is final, and none is expanded."""
        for kind in self.toys:
            toy = Toy(kind, "ends at once")
            result, events = self.run(toy)
            self.check(result, toy)
            assert all(event.parents == (ROOT,) for event in events if isinstance(event, Expanded))

    def test_a_final_thought_is_never_expanded(self) -> None:
        """What is done is done."""
        for kind in self.toys:
            result, events = self.run(Toy(kind))
            grown = {parent for event in events if isinstance(event, Expanded) for parent in event.parents}
            assert not [id for id in grown if result.graph[id].done], "a final thought was expanded"

    def test_a_cancelled_run_gives_its_best_so_far_and_goes_on_later(self) -> None:
        """Cancelled after 1, 2, 4, 8 and 16 events."""
        for kind in self.toys:
            whole, events = self.run(Toy(kind))
            for after in (1, 2, 4, 8, 16):
                toy, store = Toy(kind), MemoryStore()
                engine = self.engine(toy, store)
                engine.listener = _after(after, engine.cancel)
                stopped = finish(engine.start())
                assert stopped.reason in ("cancelled", "answered", "exhausted")
                self.check(stopped, toy)
                result = finish(self.engine(toy, store).resume())
                self.check(result, toy)
                assert not one_at_a_time(events) or picture(result.graph) == picture(whole.graph)

    def fruitless(self, trouble: Trouble) -> None:
        """Run where nothing can come of it."""
        result, _ = self.run(Toy("open", trouble))
        assert (result.answer, result.thought, result.reason) == (None, None, "exhausted")
        assert len(result.graph) == 1

    def blind(self, trouble: Trouble) -> None:
        """Run where no thought gets a value."""
        for kind in self.toys:
            toy = Toy(kind, trouble)
            engine = self.engine(toy)
            try:
                result = finish(engine.start())
            except Exception as error:  # noqa: BLE001
                assert "this critic always breaks" in str(error)  # noqa: PT017  # so often that the run ended
            else:
                self.check(result, toy)
            assert all(engine.graph.value(thought) is None for thought in engine.graph)


def one_at_a_time(events: Sequence[Event]) -> bool:
    """Whether a run never had two things in flight: no gather had a second part."""
    return not any("/1" in event.key for event in events if isinstance(event, Expanded | Scored))


def suite(file: str, module: str, name: str) -> Any:
    """An instance of a suite by its place, in another process."""
    known = importlib.util.spec_from_file_location(module, file)
    assert known
    assert known.loader
    loaded: Any = importlib.util.module_from_spec(known)
    sys.modules.setdefault(module, loaded)
    known.loader.exec_module(loaded)
    for part in name.split("."):
        loaded = getattr(loaded, part)
    return loaded()


def _after(count: int, do: Callable[[], None]) -> Callable[[Event], None]:
    seen = list[Event]()

    def listen(event: Event) -> None:
        seen.append(event)
        if len(seen) == count:
            do()

    return listen


# -- generators and critics ------------------------------------------------------------------------------------------


class _Speaking:
    """What generators and critics have in common: a problem, thoughts to go on from, and a scripted model."""

    problem: ClassVar[Json] = "What is 2 + 2?"
    start: ClassVar[Json] = None
    passages: ClassVar[Sequence[Passage]] = ()
    thoughts: ClassVar[Sequence[Json]] = ()
    """Contents of thoughts below the root: an action goes on from all of them (from the root if there are none)."""
    reply: ClassVar[Any] = ("4",)
    """Good replies: a function of prompt and draw, or texts that are repeated in turn."""

    def model(self, replies: Any = None) -> Scripted:
        """The scripted model, giving its good replies or `replies`."""
        script = inspect.getattr_static(type(self), "reply") if replies is None else replies
        script = script.__func__ if isinstance(script, staticmethod) else script
        if callable(script):
            return Scripted(cast("Any", script))
        lines = cast("Sequence[Line]", script)
        return Scripted([lines[i % len(lines)] for i in range(2000)])

    def play(self, task: Task, policy: Any, model: Model) -> tuple[Engine, list[Event]]:
        """Run `policy` in memory."""
        engine = Engine(task, policy, store=MemoryStore(), run=RUN, model=model)
        with contextlib.suppress(RunFailed):  # where nothing worked at all; the events say what happened
            finish(engine.start())
        return engine, engine.store.events(RUN)

    def given(self, state: State, n: int) -> list[Draft]:
        """The action that lays out `thoughts`."""
        return [Draft(content) for content in self.thoughts]


class GeneratorContract(_Speaking):
    """What the engine relies on in every generator. Set `generator`, and `reply` to what its parser can read."""

    generator: ClassVar[Any]

    def action(self) -> Generator:
        """The generator under test, also where it is a bare function."""
        found = inspect.getattr_static(type(self), "generator")
        return found.__func__ if isinstance(found, staticmethod) else cast("Generator", found)

    def expand(self, n: int, replies: Any = None, action: Generator | None = None) -> tuple[Expanded, Scripted]:
        """What one expansion came to, and the model that it asked."""
        model = self.model(replies)
        actions = {"it": action or self.action(), "given": self.given}
        task = Task(self.problem, actions, start=self.start, passages=self.passages)

        async def once(search: Search) -> Thought | None:
            parents = await search.expand(search.root, action="given") if self.thoughts else [search.root]
            await search.expand(*parents, action="it", n=n)
            return None

        _, events = self.play(task, once, model)
        return next(event for event in reversed(events) if isinstance(event, Expanded)), model

    def test_it_returns_at_most_as_many_drafts_as_were_asked_for(self) -> None:
        """More than n is an error that ends the run, so this would raise."""
        for n in (1, 2, 5):
            event, _ = self.expand(n)
            assert not event.error
            assert len(event.made) <= n

    def test_it_makes_something_of_good_replies(self) -> None:
        """The replies of this suite are ones that it can use."""
        assert self.expand(3)[0].made

    def test_garbage_makes_no_thought_and_no_error(self) -> None:
        """A reply that is empty, refused or unreadable is a counted outcome, and the search goes on."""
        for junk in GARBAGE:
            event, _ = self.expand(2, [junk])
            assert not event.error, f"{junk!r:.40}: {event.error}"
            assert len(event.made) <= 2

    def test_a_model_that_always_fails_gives_no_thoughts_and_no_error(self) -> None:
        """What the endpoint refuses is counted by the engine, and none of the generator's business."""
        event, _ = self.expand(2, _refusing)
        assert not event.error
        assert not event.made or not event.outcomes

    def test_the_same_seed_asks_the_same(self) -> None:
        """Every random number comes from state.rng."""
        assert self.expand(3)[1].seen == self.expand(3)[1].seen

    def test_it_asks_with_the_prompter_that_it_is_given(self) -> None:
        """A prompter is swapped without a subclass; generators without the field ask nobody."""
        asked = _marked(self.action())
        if asked is not None:
            requests = self.expand(2, action=asked)[1].seen
            assert requests
            assert any(MARK in message.content for request in requests for message in request.messages)


class CriticContract(_Speaking):
    """What the engine relies on in every critic. Set `critic`, `thoughts` to judge, and `reply` to what it can read."""

    critic: ClassVar[Any]
    thoughts: ClassVar[Sequence[Json]] = ("4", "5", "twenty-two")

    def judge(self) -> Critic:
        """The critic under test, also where it is a bare function."""
        found = inspect.getattr_static(type(self), "critic")
        return found.__func__ if isinstance(found, staticmethod) else cast("Critic", found)

    def score(self, replies: Any = None, critic: Critic | None = None) -> tuple[Scored, Scripted]:
        """What judging all `thoughts` as one set came to, and the model that was asked."""
        model = self.model(replies)
        critics = {"it": critic or self.judge()}
        task = Task(self.problem, {"given": self.given}, critics, start=self.start, passages=self.passages)

        async def once(search: Search) -> Thought | None:
            await search.score(await search.expand(search.root), "it")
            return None

        _, events = self.play(task, once, model)
        return next(event for event in events if isinstance(event, Scored)), model

    def test_it_gives_each_thought_one_score_in_their_order(self) -> None:
        """Finite, or none at all; another number of scores ends the run, so that would raise."""
        event, _ = self.score()
        assert not event.error
        assert len(event.scores) == len(self.thoughts)
        assert all(score.value is None or math.isfinite(score.value) for score in event.scores)

    def test_it_can_judge_with_good_replies(self) -> None:
        """The replies of this suite are ones that it can use."""
        assert any(score.value is not None for score in self.score()[0].scores)

    def test_it_has_nothing_to_say_of_an_empty_set(self) -> None:
        """No thoughts, no scores, no call."""

        async def empty() -> Sequence[Score]:
            scores = self.judge()([])
            return await scores if inspect.isawaitable(scores) else scores

        assert list(finish(empty())) == []

    def test_it_abstains_where_the_model_says_nothing_usable(self) -> None:
        """Never a low score, never an exception. A critic that asks no model has nothing to abstain from."""
        for junk in GARBAGE:
            event, model = self.score([junk])
            assert not event.error, f"{junk!r:.40}: {event.error}"
            assert not model.seen or all(score.value is None for score in event.scores), f"{junk!r:.40}: {event.scores}"

    def test_the_same_seed_asks_the_same(self) -> None:
        """Every random number comes from the states' rng."""
        assert self.score()[1].seen == self.score()[1].seen

    def test_it_asks_with_the_prompter_that_it_is_given(self) -> None:
        """A prompter is swapped without a subclass; critics without the field ask nobody."""
        asked = _marked(self.judge())
        if asked is not None:
            requests = self.score(critic=asked)[1].seen
            assert requests
            assert any(MARK in message.content for request in requests for message in request.messages)

    def test_it_says_what_it_goes_by_in_a_known_word(self) -> None:
        """An environment is the evaluator by contract; whoever says nothing is a proxy."""
        assert getattr(self.judge(), "ito", "proxy") in ("proxy", "environment")


MARK = "the mark of another prompter"


def _marked(thing: Any) -> Any:
    """The same thing with a prompter that writes a mark; None where it has no field of that name."""
    if not (is_dataclass(thing) and any(f.name == "prompter" for f in fields(thing))):
        return None
    own = cast("Any", thing).prompter

    def marked(*told: Any, **named: Any) -> Prompt:
        return cast("Prompt", own(*told, **named)).but(mark=MARK)

    return replace(cast("Any", thing), prompter=marked)


def _refusing(prompt: str, draw: int) -> str:
    raise ModelError("the endpoint says no")


# -- models ----------------------------------------------------------------------------------------------------------


class ModelContract:
    """What the engine relies on in every model. Set `model`, or override `make` where one needs a server first."""

    model: ClassVar[Any]
    secret: ClassVar[str] = ""
    """A key that the model was given, which must not show."""
    slow: ClassVar[bool] = True
    """Whether a call takes a moment, so that it can be cancelled in the middle."""

    def make(self) -> Model:
        """The model under test."""
        return cast("Model", inspect.getattr_static(type(self), "model"))

    def request(self) -> Request:
        """What is asked."""
        return Request((Message("user", "Say one word."),), max_tokens=16, timeout=10)

    def talk(self, use: Callable[[Model], Coroutine[Any, Any, T]]) -> T:
        """Use the model in an event loop of its own, and close it there."""
        model = self.make()

        async def closing() -> T:
            try:
                return await use(model)
            finally:
                await model.close()

        return finish(closing())

    def test_it_gives_at_least_one_reply_and_at_most_n(self) -> None:
        """Fewer than n is fair: the engine asks for the rest."""
        for n in (1, 3):
            completion = self.talk(lambda model, n=n: model(self.request(), n))
            assert 1 <= len(completion.replies) <= n
            assert all(isinstance(cast("Any", reply), Reply) for reply in completion.replies)

    def test_it_says_what_it_used_or_that_it_does_not_know(self) -> None:
        """Tokens are counts, or None."""
        completion = self.talk(lambda model: model(self.request(), 1))
        for tokens in (completion.prompt_tokens, completion.completion_tokens):
            assert tokens is None or (isinstance(cast("Any", tokens), int) and tokens >= 0)

    def test_its_name_is_backend_and_model_and_shows_no_key(self) -> None:
        """The name stands in every ledger."""
        model = self.make()
        assert all(model.name.partition(":")), f"{model.name!r}: expected backend:model"
        if self.secret:
            assert self.secret not in f"{model.name} {model!r} {model}"

    def test_it_says_its_price_or_that_nobody_knows(self) -> None:
        """Unknown is None, and never 0."""
        price = self.make().price
        assert price is None or isinstance(cast("Any", price), Price)

    def test_its_defaults_bound_every_request(self) -> None:
        """A limit of tokens and one of time, whatever the provider's own are."""
        defaults = self.make().defaults
        assert defaults["max_tokens"] >= 1
        assert 0 < defaults["timeout"] <= 3600

    def test_it_can_be_used_again_after_it_was_closed(self) -> None:
        """In the same event loop, and in another one."""

        async def twice(model: Model) -> None:
            await model(self.request(), 1)
            await model.close()
            await model(self.request(), 1)

        self.talk(twice)
        self.talk(twice)

    def test_many_can_ask_at_once(self) -> None:
        """Side by side, in one event loop."""

        async def many(model: Model) -> None:
            await asyncio.gather(*(model(self.request(), 1) for _ in range(8)))

        self.talk(many)

    def test_a_cancelled_call_leaves_it_usable(self) -> None:
        """Ctrl-C and time limits cancel calls at any moment."""

        async def interrupted(model: Model) -> None:
            for delay in (0.0, 0.001, 0.01):
                call = asyncio.ensure_future(model(self.request(), 1))
                await asyncio.sleep(delay)
                call.cancel()
                await asyncio.wait([call])
            assert (await model(self.request(), 1)).replies

        self.talk(interrupted)


# -- stores ----------------------------------------------------------------------------------------------------------

NASTY = (
    "",
    "\x00 a zero byte",
    "\N{DUCK} \N{PILE OF POO} \U0010ffff",
    "'; DROP TABLE events; --",
    "line\r\nline\u2028line\u2029line\x85",
    '"quoted" \\ \\u0000 </script>',
    "x" * 1_000_000,
)
"""Texts that a store must give back as they were."""

ODD: tuple[Json, ...] = (
    None,
    True,
    0,
    -0.5,
    1e308,
    2**70,
    [],
    {},
    [None, [1, [2.5, {"": ""}]]],
    {"text": "x" * 500},
    {"$text": "a name that a store may use itself"},
    {"$text": "x" * 500, "more": 1},
)
"""Contents that a store must give back as they were."""


class StoreContract:
    """What the engine relies on in every store. Override `store`, and `reopen` where runs outlive the object."""

    def store(self, tmp_path: Path) -> Store:
        """An empty store."""
        raise NotImplementedError("return an empty store that keeps its runs below tmp_path")

    def reopen(self, store: Store, tmp_path: Path) -> Store | None:
        """Close the store and open it again; None for one that forgets."""
        return None

    def opened(self, tmp_path: Path, fill: Callable[[Store], None]) -> Iterator[Store]:
        """A store after `fill` and a flush, as it is and then as it is opened again."""
        store = self.store(tmp_path)
        try:
            fill(store)
            store.flush()
            yield store
            again = self.reopen(store, tmp_path)
            if again is not None:
                store = again
                yield store
        finally:
            shut(store)

    def test_events_come_back_as_they_were_and_in_order(self, tmp_path: Path) -> None:
        """Every kind of event, with all its fields."""

        def fill(store: Store) -> None:
            for event in _events():
                store.append("a", event)

        for store in self.opened(tmp_path, fill):
            assert store.events("a") == _events()

    def test_the_ends_of_a_run_are_its_first_and_its_last_event(self, tmp_path: Path) -> None:
        """Of a run of one event they are the same."""

        def fill(store: Store) -> None:
            store.append("b", _started("b"))
            for event in _events():
                store.append("a", event)

        for store in self.opened(tmp_path, fill):
            assert store.ends("a") == (_events()[0], _events()[-1])
            assert store.ends("b") == (_started("b"), _started("b"))

    def test_records_come_back_as_they_were_and_in_order(self, tmp_path: Path) -> None:
        """Every kind of record, with all its fields."""

        def fill(store: Store) -> None:
            store.append("a", _started("a"))
            for record in _records():
                store.note("a", record)

        for store in self.opened(tmp_path, fill):
            assert store.records("a") == _records()

    def test_every_content_comes_back_as_it_was(self, tmp_path: Path) -> None:
        """Zero bytes, emoji, a megabyte in a line, numbers and nests."""
        thoughts = tuple(Thought(str(i), (ROOT,), "a", content, depth=1) for i, content in enumerate((*NASTY, *ODD)))
        made = Expanded("0.0", "a", (ROOT,), ALL, tuple(thought.id for thought in thoughts), thoughts)
        started = replace(_started("a"), root=Thought(ROOT, (), "", NASTY[-1]))

        def fill(store: Store) -> None:
            store.append("a", started)
            store.append("a", made)

        for store in self.opened(tmp_path, fill):
            assert store.events("a") == [started, made]

    def test_every_reply_comes_back_as_it_was(self, tmp_path: Path) -> None:
        """With its ending."""
        endings = ("stop", "length", "", "a b  c")
        replies = tuple(Reply(text, end) for text in NASTY for end in endings)

        def fill(store: Store) -> None:
            store.append("a", _started("a"))
            store.note("a", Settled(0, replies, Usage()))

        for store in self.opened(tmp_path, fill):
            assert store.records("a") == [Settled(0, replies, Usage())]

    def test_texts_are_kept_by_hash_and_once(self, tmp_path: Path) -> None:
        """The same text has the same hash, today and after a restart."""
        hashes = dict[str, str]()

        def fill(store: Store) -> None:
            hashes.update({text: store.keep(text) for text in NASTY})

        for store in self.opened(tmp_path, fill):
            assert {text: store.keep(text) for text in NASTY} == hashes
            assert all(store.text(hash) == text for text, hash in hashes.items())
            assert len(set(hashes.values())) == len(NASTY)

    def test_half_a_character_pair_does_not_break_it(self, tmp_path: Path) -> None:
        """Text that no encoding knows may be replaced, and must not be an error."""

        def fill(store: Store) -> None:
            store.text(store.keep("half \ud83e pair"))

        for _ in self.opened(tmp_path, fill):
            pass

    def test_runs_do_not_mix(self, tmp_path: Path) -> None:
        """Many runs in one store, written in turn, listed from the oldest."""

        def fill(store: Store) -> None:
            for day, run in enumerate("bac"):
                store.append(run, replace(_started(run), created=f"2026-01-0{day + 1}"))
            for number in range(5):
                for run in "abc":
                    store.append(run, Expanded(f"{run}.{number}", "step", (ROOT,), 1, (), ()))

        for store in self.opened(tmp_path, fill):
            assert store.runs() == ["b", "a", "c"]
            for run in "abc":
                keys = [event.key for event in store.events(run) if isinstance(event, Expanded)]
                assert keys == [f"{run}.{number}" for number in range(5)]

    def test_a_run_goes_on_where_it_stood(self, tmp_path: Path) -> None:
        """Events added after a restart follow those that were there."""
        store = self.store(tmp_path)
        store.append("a", _started("a"))
        store.flush()
        store = self.reopen(store, tmp_path) or store
        store.append("a", _events()[-1])
        store.flush()
        assert [event.kind for event in store.events("a")] == ["started", "forgotten"]
        shut(store)

    def test_a_run_that_is_not_there_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        """And a text that is not there is a KeyError."""
        store = self.store(tmp_path)
        _raises(StoreError, "nowhere", lambda: store.events("nowhere"))
        _raises(StoreError, "nowhere", lambda: store.ends("nowhere"))
        _raises(KeyError, "", lambda: store.text("0" * 32))
        assert list(store.runs()) == []
        shut(store)

    def test_a_run_has_one_owner_at_a_time(self, tmp_path: Path) -> None:
        """Others' runs are free, and so is one that was given up."""
        store = self.store(tmp_path)
        store.claim("a")
        _raises(StoreError, "a", lambda: store.claim("a"))
        store.claim("b")
        store.release("a")
        store.claim("a")
        store.release("a")
        store.release("b")
        store.release("never claimed")
        shut(store)


def shut(store: Store) -> None:
    """Close a store that can be closed."""
    close = getattr(store, "close", None)
    if callable(close):
        close()


def _raises(kind: type[Exception], word: str, do: Callable[[], object]) -> None:
    try:
        do()
    except kind as error:
        assert word in str(error)  # noqa: PT017
    else:
        raise AssertionError(f"no {kind.__name__} was raised")


def _started(run: str) -> Started:
    root = Thought(ROOT, (), "", "the problem")
    budget = Budget(calls=3, usd=0.5)
    return Started(run, root, "toy", "x", 7, {"policy": "p()"}, budget, {"a": [1]}, "2026", "0.1", 0.25)


def _events() -> list[Event]:
    thought = Thought("t", (ROOT,), "step", {"n": [1, 2.5]}, 0.25, done=True, depth=1)
    twin = Thought("u", (ROOT, "t"), "join", "long " * 100, depth=2)
    usage = Usage(1, 2, 3, 4, None, 5.5, 6, 7)
    score = Score(0.5, "why", {"a": 1.0}, 0.1, 3, "ok", 0.2, {"set": ["t"]}, "value")
    return [
        _started("a"),
        Expanded("0.0", "step", (ROOT,), ALL, ("t", "u"), (thought, twin), {"ok": 2}, ("p",), at=0.5),
        Expanded("0.1", "step", ("t",), 2, (), (), error="RuntimeError: no", partial=True, orphan=True, at=0.75),
        Scored("0.2", "value", ("t", "u"), (score, Score(None, status="abstained")), {"empty": 1}, ("q",), at=1.0),
        Stopped("answered", "t", {"answer": [1, None]}, usage, "no", 2.0),
        Forgotten("digest", ("t",), "2026-01-01", 3.0),
    ]


def _records() -> list[Record]:
    held = Usage(1, 1, 100, 200, 0.125)
    return [
        Sent(0, "0.0", "0", 0, 2, "step", "local:scripted", "mark", "hash", held, 0.5),
        Settled(0, (Reply("short"), Reply("long " * 100, "length")), Usage(2, 1, 3, 4, 0.001), seconds=0.1),
        Begun("mail", 0.5),
        Acted("", "mail", {"sent": "long " * 100}, "", 0.25, 0.75),
        Sent(1, "0.0", "1.2", 2, 1, "step", "local:scripted", "mark", "hash", held, 0.5),
        Settled(1, (), held, "timeout", lost=True, estimated=True, seconds=9.0),
    ]
