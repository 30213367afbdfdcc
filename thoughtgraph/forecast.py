"""What a policy will cost, before anything is spent: the real policy, on thoughts that are only imagined.

The policy, the actions and the critics run as they are; what they ask of a model is counted, and answered out of the
imagination. So what is asked is certain and what is replied is guessed: several times, on cheap courses for the
minimum, on likely ones for their mean, and on dear ones for the maximum. No model is called and nothing is written.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from inspect import isawaitable
from itertools import count
from typing import Any, Literal, NamedTuple, TypeVar, cast

from thoughtgraph.answers import best
from thoughtgraph.budget import Budget, Purse, Usage
from thoughtgraph.contracts import check_price, check_request, checked_drafts, checked_scores, no_model
from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.fit import fitted
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.model import Capabilities, Model, Price, Reply, Request, capabilities
from thoughtgraph.prompt import Prompt
from thoughtgraph.protocols import Generator
from thoughtgraph.replies import shortened
from thoughtgraph.state import State
from thoughtgraph.stepper import Stepper
from thoughtgraph.structured import schema_of
from thoughtgraph.task import Task
from thoughtgraph.thought import ROOT, Draft, Json, Score, Thought, as_json
from thoughtgraph.verbs import ALL, Effect, Policy, Search

T = TypeVar("T")

EFFECTS, PAGES, SECONDS = 2_500, 3_000, 1.0
"""So far a course is followed: in expansions and judgements, in pages of prompts, and in time."""

PAGE, DEEP = 4_000, 50
"""A prompt is a page, and one more for each so many characters, and for each so many thoughts above it."""

REPLY, VERDICT = 200, 50
"""Tokens of an action's reply and of a critic's, where nobody says better."""

PROPOSED, PROPOSED_AT_MOST = 5, 32
"""Thoughts that one reply brings, where the action has no `k`."""

CONCLUDES = 0.25
"""The chance that a step is the last one."""

AGREE = 0.7
"""The chance that an answer is the most frequent one."""

IMAGE = 1_000
"""The tokens that an image is likely to count as."""

MEND = 1_000
"""A bound for the tokens, beside the faulty reply, by which a request to mend it is longer."""

ANGLE = 100
"""The same for a request that is sent with an angle of its own, because the model refuses a temperature."""

STUFF, WEIGHT = "\ue000", 15
"""One character that stands for fifteen bytes of a reply, so that long replies are imagined at no cost."""

WORDS = ("sure", "likely", "impossible")
"""The verdicts of a critic that does not name its own, the best one first."""

COUNTS = ("calls", "requests", "prompt_tokens", "completion_tokens", "usd", "expansions", "evaluations")
"""What is estimated of a usage: all but the seconds."""


# -- what comes out ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """The least, the likely and the most that something costs; their `seconds` say nothing."""

    minimum: Usage
    expected: Usage
    maximum: Usage


@dataclass(frozen=True)
class Estimate:
    """What a policy will cost. `usd` is None where a price is not known, and `seconds` are not foreseen.

    Each number is a bound, or a mean, for itself: the dearest course may not be the one of the most requests. `roles`
    say the same of each action and critic. Bounds are those of the courses that were tried: no limit of the budget is
    exceeded, but where expansions or evaluations are scarce, a mixture of courses may reach a little further in what
    the budget does not limit. `capped` names the limit of the budget that the maximum runs into, "" where
    the policy ends by itself; `assumptions` are sentences.
    """

    minimum: Usage
    expected: Usage
    maximum: Usage
    roles: Mapping[str, Span]
    capped: str = ""
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = Span(self.minimum, self.expected, self.maximum)
        rows = [_row(name.replace("_", " "), name, whole) for name in COUNTS]
        rows += [_row(f"calls of {role}", "calls", span) for role, span in self.roles.items()]
        capped = [f"The maximum is all that the budget's {self.capped} allow."] if self.capped else []
        return "\n".join([_line("", "minimum", "expected", "maximum"), *rows, *capped, *self.assumptions])

    def to_json(self) -> dict[str, Json]:
        """The estimate as one JSON object: usages as in a result, without their seconds."""
        roles = {role: _told(span) for role, span in self.roles.items()}
        whole = _told(Span(self.minimum, self.expected, self.maximum))
        return {**whole, "roles": roles, "capped": self.capped, "assumptions": list(self.assumptions)}


def _told(span: Span) -> dict[str, Json]:
    named = {"minimum": span.minimum, "expected": span.expected, "maximum": span.maximum}
    return {name: {count: getattr(usage, count) for count in COUNTS} for name, usage in named.items()}


def _row(title: str, count: str, span: Span) -> str:
    numbers = (getattr(usage, count) for usage in (span.minimum, span.expected, span.maximum))
    return _line(title, *("unknown" if n is None else f"{n:.4g}" if count == "usd" else f"{n:,}" for n in numbers))


def _line(title: str, *cells: str) -> str:
    return f"{title:<24}" + "".join(f"{cell:>14}" for cell in cells)


# -- the estimate ------------------------------------------------------------------------------------------------


def estimate(
    task: Task,
    policy: Policy,
    *,
    model: Model | None,
    models: Mapping[str, Model] = {},
    budget: Budget,
    seed: int = 0,
    reply_tokens: int | None = None,
    simulations: int = 5,
) -> Estimate:
    """What `policy` will cost on `task` within `budget`, with the same `model` and `models` as the run.

    `reply_tokens` is how long a reply is likely to be, `simulations` how many likely courses are averaged. Actions and
    critics are really called, so those that ask no model do their work; only a critic that is an "environment" is left
    alone. `task.imagine`, where a task has it, maps the name of an action to a generator without a model, whose drafts
    stand in for those that a model would have made. Raises the `TaskError` that the run would.
    """
    at_least(1, simulations=simulations, reply_tokens=reply_tokens)
    check_request(task, policy, model, budget, models)
    plan = _Plan(task, policy, model, models, budget, seed, reply_tokens)
    with ThreadPoolExecutor(1) as thread:  # an event loop of its own, wherever the caller is
        walks = thread.submit(asyncio.run, _walked(plan, simulations)).result()
    return _summed(plan, walks)


@dataclass(frozen=True)
class _Plan:
    """What is to be estimated."""

    task: Task
    policy: Policy
    model: Model | None
    models: Mapping[str, Model]
    budget: Budget
    seed: int
    reply_tokens: int | None

    def stand_in(self, effect: Effect) -> Generator | None:
        """What makes drafts in a model's place, if the task has it."""
        imagine: Mapping[str, Generator] = getattr(self.task, "imagine", None) or {}
        return imagine.get(effect.name) if effect.verb == "expand" else None


@dataclass(frozen=True)
class _Course:
    """How an imagined search goes: how many draws of a question are `usable`, when replies conclude, and with what.

    On a `lean` one replies are short and propose one thing, perhaps the `same` again and again; on a `wild` one all
    this differs from question to question.
    """

    kind: Literal["cheap", "likely", "dear"]
    usable: int = ALL
    finish: Literal["now", "late", "never", "perhaps"] = "now"
    answer: str = ""
    lean: bool = False
    same: bool = False
    wild: bool = False
    seed: int = 0


CHEAP = (
    _Course("cheap", answer="Answer: 10", lean=True),
    _Course("cheap", answer="Answer:\na poem\nof two lines", lean=True),  # nobody votes on it
    _Course("cheap", answer="Answer: 10", lean=True, usable=1),
    _Course("cheap", lean=True, usable=0),
    _Course("cheap", lean=True, finish="never"),  # what never concludes may never be judged
)
DEAR = (
    _Course("dear", finish="late"),
    _Course("dear", finish="late", usable=1),  # policies may draw until they have enough
    _Course("dear", finish="late", usable=0),  # and try again
    _Course("dear", finish="late", lean=True),  # a budget in tokens lasts longer
    _Course("dear", finish="late", lean=True, same=True),  # what repeats itself is judged once
    _Course("dear"),
    *(_Course("dear", finish="late", wild=True, seed=seed) for seed in range(4)),
)


async def _walked(plan: _Plan, simulations: int) -> list[_Walk]:
    likely = [_Course("likely", finish="perhaps", seed=seed) for seed in range(simulations)]
    return [await _Walk(plan, course).run() for course in (*CHEAP, *likely, *DEAR)]


def _summed(plan: _Plan, walks: Sequence[_Walk]) -> Estimate:
    """Bounds over the courses, count by count, and the mean of the likely ones; none above the budget."""
    whole = _span([(walk.course.kind, walk.total) for walk in walks])
    roles = dict.fromkeys(role for walk in walks for role in walk.bills)
    spans = {role: _span([(walk.course.kind, walk.bills.get(role, NOTHING)) for walk in walks]) for role in roles}
    cut = {walk.cut for walk in walks if walk.course.kind == "dear"}
    if "open" in cut:
        whole = replace(whole, maximum=_all_of(whole.maximum, plan.budget))
    stopped = [walk.limit for walk in walks if walk.limit and walk.course.kind == "dear"]
    named = [name for name, _ in plan.budget.limits] if "open" in cut else []
    capped = Purse(plan.budget).fits(whole.maximum) or next(iter([*stopped, *named]), "")
    notes = dict.fromkeys(note for walk in walks for note in walk.notes)
    assumed = _assumed(plan, cut=cut, asked=bool(whole.maximum.calls))
    whole = _within(whole, plan.budget)
    within = {role: _within(span, plan.budget) for role, span in spans.items()}
    return Estimate(whole.minimum, whole.expected, whole.maximum, within, capped, (*assumed, *notes))


def _assumed(plan: _Plan, *, cut: set[str], asked: bool) -> Iterator[str]:
    """What the numbers rest on, in sentences."""
    if asked:
        said = f"{plan.reply_tokens} tokens" if plan.reply_tokens else f"{REPLY} tokens, a verdict {VERDICT}"
        yield f"Expected: a reply has {said}, a token four bytes, and nothing is drawn twice."
        yield "Maximum: every draw is drawn again, a reply is as long as it may be, and each byte of a prompt a token."
        yield "Retries of failed requests come on top of that, within the budget; what a cache holds comes off."
    if asked and any(one.price is None for one in (plan.model, *plan.models.values()) if one):
        yield "The price of a model is not known, so nothing is said about dollars."
    if plan.budget.seconds is not None:
        yield "How much fits into the budget's seconds is not foreseen."
    if "scaled" in cut:
        yield "A long search was followed for a part of its expansions, and taken to go on like that."
    if "open" in cut:
        yield "The policy goes on for longer than it was followed for: where nothing limits it, the maximum is more."


# -- arithmetic of usages ----------------------------------------------------------------------------------------


class _Bill(NamedTuple):
    """One thing that is paid for: the least, the likely and the most that it costs."""

    low: Usage
    likely: Usage
    high: Usage

    def plus(self, other: _Bill) -> _Bill:
        return _Bill(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> _Bill:
        return _Bill(*(_each(lambda n: _rounded(n[0], n[0] * factor), [usage]) for usage in self))


NOTHING = _Bill(Usage(), Usage(), Usage())


def _span(bills: Sequence[tuple[str, _Bill]]) -> Span:
    return Span(
        _each(min, [bill.low for kind, bill in bills if kind != "dear"]),
        _each(_mean, [bill.likely for kind, bill in bills if kind == "likely"]),
        _each(max, [bill.high for kind, bill in bills if kind != "cheap"]),
    )


def _each(choose: Callable[[list[Any]], Any], usages: Sequence[Usage]) -> Usage:
    """`choose` among the numbers of one count, for each count; unknown where one of them is."""
    columns: dict[str, list[Any]] = {name: [getattr(usage, name) for usage in usages] for name in COUNTS}
    chosen: dict[str, Any] = {name: None if None in found else choose(found) for name, found in columns.items()}
    return Usage(**chosen)


def _mean(numbers: list[float]) -> float:
    return _rounded(numbers[0], sum(numbers) / len(numbers))


def _rounded(like: float, number: float) -> float:
    """Counts stay whole, dollars are no counts."""
    return number if isinstance(like, float) else round(number)


def _within(span: Span, budget: Budget) -> Span:
    return Span(*(_clipped(usage, budget) for usage in (span.minimum, span.expected, span.maximum)))


def _clipped(usage: Usage, budget: Budget) -> Usage:
    """At most what the budget allows; of tokens that are too many, those of replies go first."""
    limits = dict(budget.limits)
    tokens = limits.pop("tokens", usage.tokens)
    least = {name: min(limit, n) for name, limit in limits.items() if (n := getattr(usage, name)) is not None}
    prompt = min(usage.prompt_tokens, int(tokens))
    reply = min(usage.completion_tokens, int(tokens) - prompt)
    return replace(usage, prompt_tokens=prompt, completion_tokens=reply, **least)


def _all_of(usage: Usage, budget: Budget) -> Usage:
    """At least what the budget allows: the maximum of a policy that nobody saw the end of."""
    limits = dict(budget.limits)
    tokens = limits.pop("tokens", 0)
    most = {name: max(limit, n) for name, limit in limits.items() if (n := getattr(usage, name)) is not None}
    reply = max(usage.completion_tokens, int(tokens) - usage.prompt_tokens)
    return replace(usage, completion_tokens=reply, **most)


# -- one course --------------------------------------------------------------------------------------------------


class _Over(BaseException):
    """The budget is spent. No generator or critic takes it for an error of its own."""


class _Unanswered(BaseException):
    """No reply that this parser takes comes to mind."""


class _Walk:
    """One imagined search: the policy on a graph of its own, and the bills of what it asks."""

    def __init__(self, plan: _Plan, course: _Course) -> None:
        self.plan, self.course = plan, course
        self.task = self._lenient(plan.task)
        root = Thought(ROOT, (), "", as_json(plan.task.start, "the task's start"))
        self.graph = ThoughtGraph(root, self.task.key if plan.task.merge else None)
        self.search = Search(self.task, self.graph, plan.seed + course.seed)
        self.rng = random.Random(f"{plan.seed}/{course.seed}/imagined")
        self.bills: dict[str, _Bill] = {}
        self.total = NOTHING
        self.notes: dict[str, None] = {}
        self.guessed = set[str]()
        """Thoughts whose contents nobody has made: no goal test can know anything of them."""
        self.limit, self.over = "", False
        self.cut: Literal["", "scaled", "open"] = ""
        self.wrong: TaskError | None = None
        self.replies, self.pages, self.began = 0, 0, time.monotonic()
        self._purse, self._sums = Purse(plan.budget), Purse(_sums_of(plan.budget))
        self._first: dict[str, tuple[_Bill, int]] = {}

    async def run(self) -> _Walk:
        """Follow the policy to its end, that of the budget, or that of patience."""
        stepper = Stepper(self.plan.policy, self.search)
        try:
            await self._drive(stepper)
        except Exception as error:
            early = isinstance(error, TaskError) and len(self.graph) == 1  # no imagined thought is to blame
            if early or error is self.wrong:
                raise
            self.note(f"The policy failed on imagined thoughts ({_said(error)}), and was followed no further.")
        finally:
            with suppress(Exception):
                stepper.close()
        return self

    async def _drive(self, stepper: Stepper) -> None:
        queue = deque[Effect]()
        for number in count():
            queue += [effect for effect in stepper.ask() if self._launched(effect)]
            if stepper.done or not queue:
                return
            if self._long(number):
                self._cut()
                return
            await self._step(stepper, queue.popleft())

    async def _step(self, stepper: Stepper, effect: Effect) -> None:
        wanted = effect.key in stepper.waiting
        if not wanted and self.course.kind == "cheap":
            return  # withdrawn before anybody was asked
        with suppress(_Over):
            result = await self._performed(effect)
            if wanted:
                stepper.tell(effect, result)

    def _long(self, effects: int) -> bool:
        return effects >= EFFECTS or self.pages >= PAGES or time.monotonic() - self.began > SECONDS

    def _cut(self) -> None:
        """The course is followed no further: its policy goes on in the same way, where it says for how long."""
        policy, done = self.plan.policy, max(self.total.likely.expansions, 1)
        most = _number(policy, "simulations") or _number(policy, "expansions") or 0
        self.cut = "scaled" if most > done else "open"
        if self.cut == "scaled" and self.course.kind != "cheap":
            self.bills = {role: bill.times(most / done) for role, bill in self.bills.items()}
            self.total = self.total.times(most / done)

    def _launched(self, effect: Effect) -> bool:
        """Whether it fits the budget beside what was launched before."""
        cost = Usage(expansions=1) if effect.verb == "expand" else Usage(evaluations=len(effect.thoughts))
        if limit := self._purse.fits(self._meter(self.total) + cost):
            self.limit = self.limit or limit
            return False
        self._add(effect.name, _Bill(cost, cost, cost))
        return True

    # -- paying ----------------------------------------------------------------------------------------------------

    def book(self, role: str, bill: _Bill) -> None:
        """Add a bill. A likely course ends where the budget does, a cheap one as soon as it may, a dear one at last."""
        refused = self.course.kind == "cheap" and self._sums.fits(self.total.high + bill.high)
        if self.over or refused:
            self.over = True
            raise _Over
        self._add(role, bill)
        if limit := self._purse.fits(self._meter(self.total)):
            self.limit, self.over = limit, True

    def _meter(self, total: _Bill) -> Usage:
        """What the budget is held against: a cheap course may cost more than it seems, a dear one less."""
        return {"cheap": total.high, "likely": total.likely, "dear": total.low}[self.course.kind]

    def _add(self, role: str, bill: _Bill) -> None:
        self.bills[role] = self.bills.get(role, NOTHING).plus(bill)
        self.total = self.total.plus(bill)

    # -- performing ------------------------------------------------------------------------------------------------

    async def _performed(self, effect: Effect) -> list[Any]:
        port = _Port(self, effect)
        try:
            result = await self._really(effect, port)
        except _Over:
            raise
        except BaseException as error:  # noqa: BLE001  # its own failure: what asked is imagined, the rest noted
            if self.wrong:
                raise self.wrong from None
            if self.over:
                raise _Over from None
            result = await self._instead(effect, port, error)
        if port.bill is not NOTHING:
            self._first.setdefault(effect.name, (port.bill, len(effect.thoughts)))
        return self._grown(effect, port, result) if effect.verb == "expand" else self._judged(effect, result)

    async def _really(self, effect: Effect, port: _Port) -> Sequence[Any]:
        """What the task's own action or critic makes of it."""
        if effect.verb == "expand":
            drafts = self.task.actions[effect.name](self._state(effect, port, effect.thoughts), effect.n)
            made = await drafts if isawaitable(drafts) else drafts
            return checked_drafts(list(made)[: effect.n], effect.name, effect.n)
        critic = self.task.critics[effect.name]
        if getattr(critic, "ito", "proxy") == "environment":
            self.note(f"{effect.name!r} touches an environment, and was not asked: its scores are imagined.")
            raise _Unanswered
        states = [self._state(effect, port, (thought,), i) for i, thought in enumerate(effect.thoughts)]
        scores = critic(states)
        return checked_scores(await scores if isawaitable(scores) else scores, effect.name, len(states))

    def _state(self, effect: Effect, port: _Port, thoughts: tuple[Thought, ...], part: int = 0) -> State:
        task = self.task
        return State(task.problem, task.x, thoughts, tuple(task.passages), self.graph, effect.tick, port, part)

    async def _instead(self, effect: Effect, port: _Port, error: BaseException) -> Sequence[Any]:
        """What is imagined where the action or critic did not come to its end."""
        if port.bill is NOTHING and not isinstance(error, _Unanswered):
            if isinstance(error, TaskError) and port.depth == 1:
                raise error  # nothing is imagined yet: the run would end so too
            if effect.name not in self._first:
                self.note(f"{effect.name!r} failed ({_said(error)}), and counts as having made nothing.")
                return [] if effect.verb == "expand" else [_score(effect, None)] * len(effect.thoughts)
            self._as_before(effect, port)
        elif port.bill is not NOTHING and not port.stand_in:
            self.note(f"No reply that {effect.name!r} reads came to mind: what it makes of one is imagined.")
            port.pay_the_rest()
        if effect.verb == "expand":
            return await self._drafts(effect, port)
        return [_score(effect, port.worth(part)) for part in range(len(effect.thoughts))]

    def _as_before(self, effect: Effect, port: _Port) -> None:
        """Bill what this role was first seen to ask: its prompter cannot read an imagined thought."""
        self.note(f"{effect.name!r} cannot read imagined thoughts: its prompts count as the first ones did.")
        bill, n = self._first[effect.name]
        for _ in range(0, len(effect.thoughts), n):
            port.pay(bill)

    async def _drafts(self, effect: Effect, port: _Port) -> list[Draft]:
        """Drafts out of nothing: those of a stand-in, else texts, or copies of what stands there already."""
        wanted = port.wanted()
        if port.stand_in and wanted:
            try:
                made = port.stand_in(self._state(effect, port, effect.thoughts), wanted)
                return checked_drafts(list(await made if isawaitable(made) else made)[:wanted], effect.name, wanted)
            except Exception as error:  # noqa: BLE001  # whatever it is, an estimate can do without
                self.note(f"What stands in for {effect.name!r} failed ({_said(error)}).")
        port.invented = True
        above: Json = effect.thoughts[0].content
        return [Draft(_like(above, port.text(port.most)), done=port.concludes()) for _ in range(wanted)]

    def _grown(self, effect: Effect, port: _Port, drafts: Sequence[Draft]) -> list[Thought]:
        made, parents = dict[str, None](), tuple(thought.id for thought in effect.thoughts)
        for number, draft in enumerate(drafts):
            form = self.graph.form(draft.content, port.depth) if effect.merge and not port.invented else None
            id = self.graph.twin(form) or f"{effect.key}:{number}"
            if id in self.graph:
                self.graph.link(parents, id)
            else:
                self.graph.add(Thought(id, parents, effect.name, draft.content, draft.prior, draft.done, port.depth))
            made[id] = None
        if port.bill is not NOTHING and not port.stand_in:
            self.guessed.update(made)
        if not made and port.bill is not NOTHING:
            self.search.failed.update(parents)
        return [self.graph[id] for id in made]

    def _judged(self, effect: Effect, scores: Sequence[Score]) -> list[Score]:
        for thought, score in zip(effect.thoughts, scores, strict=True):
            self.graph.judge(thought.id, score)
        return list(scores)

    def note(self, sentence: str) -> None:
        self.notes[sentence] = None

    # -- rules that bear imagined thoughts -------------------------------------------------------------------------

    def _lenient(self, task: Task) -> Task:
        def key(content: Json) -> Hashable:
            return _or(None, task.key, content)

        def rule(_: Task, graph: ThoughtGraph) -> Thought | None:
            return _or(None, task.rule or best, self.task, graph)

        def claim(path: Sequence[Thought]) -> Json | None:
            return _or("imagined" if self.course.kind == "cheap" else path[-1].id, task.claim, path)

        return replace(task, goal=task.goal and self._goal, claim=claim, key=task.key and key, rule=rule)

    def _goal(self, path: Sequence[Thought]) -> bool:
        """Reached at once on a cheap course, never on a dear one, and on a likely one by chance where nobody knows."""
        if self.course.kind != "likely":
            return self.course.kind == "cheap"
        id = path[-1].id
        guess = random.Random(f"{self.course.seed}/{id}").random() < CONCLUDES
        return guess if id in self.guessed else _or(False, self.plan.task.goal, path)


def _or(otherwise: Any, do: Any, *given: Any) -> Any:
    try:
        return do(*given)
    except Exception:  # noqa: BLE001  # imagined contents may lack what real ones have
        return otherwise


def _sums_of(budget: Budget) -> Budget:
    """The limits that a reservation may run into though less is spent in the end."""
    return Budget(usd=budget.usd, tokens=budget.tokens)


def _like(content: Json, text: str) -> Json:
    """A text where texts stand; else what stands there, in other words if it has any."""
    if isinstance(content, dict):
        return {**cast("dict[str, Json]", content), "text": text}
    return text if content is None or isinstance(content, str) else content


def _score(effect: Effect, value: float | None) -> Score:
    return Score(value, status="ok" if value is not None else "failed", critic=effect.name)


def _said(error: BaseException) -> str:
    return shortened(f"{type(error).__name__}: {error}", 120)


# -- imagined replies --------------------------------------------------------------------------------------------


class _Port:
    """What the states of an imagined effect ask through: what they ask is billed, and a reply comes to mind."""

    def __init__(self, walk: _Walk, effect: Effect) -> None:
        self.walk, self.effect, self.course = walk, effect, walk.course
        self.verb = walk.task.actions if effect.verb == "expand" else walk.task.critics
        self.depth = 1 + max(thought.depth for thought in effect.thoughts)
        self.bill, self.draws, self.most, self.parts = NOTHING, 0, REPLY, set[int]()
        self.stand_in = walk.plan.stand_in(effect)
        self.invented = False
        """Its drafts are copies of their parent, and equal ones are to be kept apart."""
        self._rng, self._rngs = walk.rng, dict[int, random.Random]()

    async def ask(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None,
        origins: object, **say: Any,
    ) -> list[T]:  # fmt: skip
        """Up to `n` imagined draws, parsed."""
        most, usable = await self._asked(part, prompt, n, model, say)
        if self.stand_in:
            raise _Unanswered
        if self.effect.verb == "score" and usable:  # draws of one opinion
            return [self._answered(part, parse, most)] * usable
        return [self._answered(part, parse, most) for _ in range(usable)]

    async def replies(
        self, part: int, prompt: Prompt, psi: object, n: int, model: Model | None, origins: object, **say: Any
    ) -> list[Reply]:
        """Up to `n` imagined draws."""
        most, usable = await self._asked(part, prompt, n, model, say)
        return [Reply(next(self._texts(part, most))) for _ in range(usable)]

    async def fill(
        self, part: int, prompt: Prompt, psi: object, n: int, form: type[T], model: Model | None,
        origins: object, **say: Any,
    ) -> list[T]:  # fmt: skip
        """Up to `n` imagined instances of a pydantic model."""
        schema = schema_of(cast("Any", form))
        most, usable = await self._asked(part, prompt, n, model, {**say, "schema": schema})
        if self.stand_in:
            raise _Unanswered
        read: Callable[[str], T] = cast("Any", form).model_validate_json
        made = (json.dumps(_example(schema.body, schema.body, self._word(most))) for _ in range(usable))
        try:
            return [read(body) for body in made]
        except Exception:  # noqa: BLE001  # whatever a validator wants that the schema does not say
            raise _Unanswered from None

    async def act(self, part: int, name: str, do: object, *, once: bool, imagined: Json, calls: int) -> Json:
        """Nothing is done outside for an estimate; what it would cost is billed."""
        self.walk.note(f"{self.effect.name!r} acts outside of the run, and was not asked: its thoughts are imagined.")
        if calls and not once:
            self.parts.add(part)
            self.draws += self.effect.verb == "expand"
            self.pay(_Bill(Usage(calls), Usage(calls), Usage(calls)))
        if imagined is None:
            raise _Unanswered
        return imagined

    def count(self, name: str, times: int) -> None:
        """An estimate counts calls."""

    def rng(self, part: int) -> random.Random:
        """Random numbers for one part of the effect."""
        if part not in self._rngs:
            self._rngs[part] = random.Random(f"{self.walk.plan.seed}/{self.course.seed}/{self.effect.key}/{part}")
        return self._rngs[part]

    # -- what it costs ---------------------------------------------------------------------------------------------

    async def _asked(
        self, part: int, prompt: Prompt, n: int, model: Model | None, say: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Bill `n` draws; how many tokens each may have, and how many can be used."""
        model, budget = self._model(model), self.walk.plan.budget
        try:
            check_price(model, budget)
            options = {**model.defaults, **{name: v for name, v in say.items() if v not in (None, (), False)}}
            wanted = Request(prompt.messages, **cast("Any", options))
            request, _ = fitted(wanted, capabilities(model))
        except TaskError as error:
            self.walk.wrong = error
            raise
        usable = self._rng.randint(0, n) if self.course.wild else min(n, self.course.usable)
        alone = not capabilities(model).n or (wanted.temperature is not None and request.temperature is None)
        self.draws, self.most = max(self.draws, n), request.max_tokens
        self.parts.add(part)
        self.walk.pages += 1 + self.depth // DEEP + sum(len(m.content) for m in request.messages) // PAGE
        if n > 0:
            tokens, mend = self._tokens(self.most), wanted.schema is not None
            self.pay(_priced(request, model, n, usable, tokens, alone=alone, mend=mend))
        await asyncio.sleep(0)  # its siblings ask before anybody is told that nothing comes to mind
        return self.most, usable

    def pay(self, bill: _Bill) -> None:
        """Book what was asked here."""
        self.walk.book(self.effect.name, bill)
        self.bill = self.bill.plus(bill)

    def pay_the_rest(self) -> None:
        """Where a critic gave up at the first thoughts, the others would have been asked about as well, one by one."""
        left = len(self.effect.thoughts) - len(self.parts) if self.effect.verb == "score" else 0
        if left > 0:
            more = self.bill.times(left / len(self.parts))
            self.pay(_Bill(Usage(usd=more.low.usd and 0.0), more.likely, more.high))

    def _model(self, model: Model | None) -> Model:
        plan = self.walk.plan
        model = model or plan.models.get(self.effect.name) or plan.model
        if model is None:
            self.walk.wrong = no_model(self.effect.name)
            raise self.walk.wrong
        return model

    def _tokens(self, most: int) -> int:
        """How long a reply is on this course, in tokens."""
        if self.course.kind == "dear":
            return most
        usual = REPLY if self.effect.verb == "expand" else VERDICT
        return min(self.walk.plan.reply_tokens or usual, most)

    # -- what is replied -------------------------------------------------------------------------------------------

    def _answered(self, part: int, parse: Callable[[str], T], most: int) -> T:
        """What the parser makes of the first reply that it takes."""
        for text in self._texts(part, most):
            with suppress(Exception):
                return parse(text)
        raise _Unanswered

    def _texts(self, part: int, most: int) -> Iterator[str]:
        """Replies that may fit, the one that this course wants first."""
        if self.effect.verb == "score":
            yield from self._verdicts(part, most)
        ends = self.concludes()
        yield self.text(most, concluded=ends)
        yield self.text(most, concluded=not ends)
        if self.effect.verb == "expand":
            yield from self._verdicts(part, most)

    def text(self, most: int, *, concluded: bool = False) -> str:
        """A list of steps, the first one the longest on a dear course; its last line is the answer where it ends."""
        self.walk.replies += 1
        answer, name = self.course.answer or self._conclusion(), f"imagined {self.walk.replies}"
        if self._lean():
            return answer if concluded else f"s{'' if self.course.same else self.walk.replies}"
        lines, stuff = self._lines(), f" {STUFF}" * (4 * self._tokens(most) // (WEIGHT + 1))
        share = stuff[: len(stuff) // 2 // lines * 2]
        long = [f"- {name}.0{stuff if self.course.kind == 'dear' else share}"]
        short = [f"- {name}.{i}{'' if self.course.kind == 'dear' else share}" for i in range(1, lines)]
        return "\n".join([*long, *short][: lines - concluded or 1] + [f"- {answer}"] * concluded)

    def _lean(self) -> bool:
        return self.course.lean or (self.course.wild and self._rng.random() < 0.5)

    def _lines(self) -> int:
        likely = self.course.kind == "likely"
        return _number(self._doer, "k") or (PROPOSED if likely else PROPOSED_AT_MOST)

    @property
    def _doer(self) -> Any:
        """The action or critic that asks."""
        return self.verb[self.effect.name]

    def concludes(self) -> bool:
        """Whether the next reply is the last one on its path."""
        steps = _number(self.walk.plan.policy, "steps")
        return {
            "now": True,
            "late": steps is not None and self.depth >= steps,
            "never": False,
            "perhaps": self._rng.random() < CONCLUDES,
        }[self.course.finish]

    def _conclusion(self) -> str:
        agreed = self.course.kind == "likely" and self._rng.random() < AGREE
        return "Answer: 10" if agreed else f"Answer: {self.walk.replies + 10}"

    def _word(self, most: int) -> str:
        """A field of a form: an answer that agrees with others now and then, else a text."""
        conclusion = self.course.answer or self._conclusion()
        return "10" if conclusion == "Answer: 10" else self.text(most)

    def _verdicts(self, part: int, most: int) -> Iterator[str]:
        """A choice, a word and numbers: whatever this critic reads."""
        worth = self.worth(part)
        words, (low, high) = self._labels(), getattr(self._doer, "scale", None) or (0, 10)
        yield f"The best choice is {1 + int((1 - worth) * (len(self.effect.thoughts) - 1))}"
        reason = "" if self._lean() else f"imagined{f' {STUFF}' * (self._tokens(most) // 4)}\n"
        yield f"{reason}{words[min(int((1 - worth) * len(words)), len(words) - 1)]}"
        numbers = (f"{low + (high - low) * worth:.3g}", f"{worth:.3g}")
        yield from (f"{before}{number}" for before in dict.fromkeys((reason, "")) for number in numbers)

    def _labels(self) -> Sequence[str]:
        labels: Mapping[str, float] = getattr(self._doer, "labels", None) or {}
        return sorted(labels, key=lambda name: -labels[name]) or WORDS

    def worth(self, part: int) -> float:
        """The value in [0, 1] of the thought judged. A cheap course likes all; a dear one the first, and goes deep."""
        if self.course.kind == "likely" or self.course.wild:
            return self._rng.random()
        return 1.0 if part == 0 or self.course.kind == "cheap" else 0.5

    def wanted(self) -> int:
        """How many drafts to imagine: what the action or its stand-in says of itself, else as many as were drawn."""
        drawn = self.draws if self.draws > 1 else None
        own = _number(self._doer, "k") or _number(self._doer, "width") or drawn
        usual = own or _number(self.stand_in, "k") or PROPOSED
        most = own or (ALL if self.stand_in else PROPOSED_AT_MOST)
        width = 1 if self.course.lean else usual if self.course.kind == "likely" else most
        wanted = min(self.effect.n, self.course.usable, width)
        return self._rng.randint(0, min(wanted, usual)) if self.course.wild else wanted


def _number(thing: object, name: str) -> int | None:
    """A setting that says how many, of a policy or an action that has it."""
    value = getattr(thing, name, None)
    return value if isinstance(value, int) and value > 0 else None


def _priced(request: Request, model: Model, n: int, usable: int, tokens: int, *, alone: bool, mend: bool) -> _Bill:
    """What `n` draws of a request cost, of which `usable` can be used and the others are drawn once more, or mended.

    Draws that are `alone` are a request each. They may be where nobody knows: many servers take no n.
    """
    can, most, drawn = capabilities(model), request.max_tokens, 2 * n - usable
    few = drawn if alone else 1 + (usable < n)
    many = 2 * n if alone or mend or can.source == "assumed" else 2
    size, bound = _size(request), _most(request.bound + (WEIGHT - 3) * _stuffed(request) + ANGLE * alone, can)
    mended = n * (4 * most + MEND) if mend else 0
    low = _usage(drawn, few, size // 6, drawn, _cheapest(model.price))
    likely = _usage(drawn, few, size // 4 + _seen(request), drawn * tokens, model.price)
    high = _usage(2 * n, many, bound, 2 * n * most, model.price and model.price.dearest, mended)
    return _Bill(low, likely, high)


def _usage(calls: int, requests: int, prompt: int, completion: int, price: Price | None, more: int = 0) -> Usage:
    prompts = requests * prompt + more
    return Usage(calls, requests, prompts, completion, None if price is None else price.usd(prompts, completion))


def _cheapest(price: Price | None) -> Price | None:
    """The price where all of the prompt is read from the provider's cache."""
    return price and replace(price, prompt=min(price.prompt, price.prompt if price.cached is None else price.cached))


def _most(bound: int, can: Capabilities) -> int:
    return bound if can.context is None else min(bound, can.context)


def _size(request: Request) -> int:
    """The bytes of the prompt's words, and of its schema."""
    seen = sum(image.tokens for message in request.messages for image in message.images)
    return request.bound - seen - 16 * len(request.messages) + (WEIGHT - 3) * _stuffed(request)


def _stuffed(request: Request) -> int:
    return sum(message.content.count(STUFF) for message in request.messages)


def _seen(request: Request) -> int:
    return sum(min(image.tokens, IMAGE) for message in request.messages for image in message.images)


def _example(schema: Json, whole: Json, text: str) -> Json:
    """An instance of a JSON Schema, as far as simple ones go."""
    if "$ref" in schema:
        return _example(whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole, text)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return _example(options[0], whole, text)
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    number = min(low, schema.get("maximum", low))
    return {
        "object": lambda: {name: _example(part, whole, text) for name, part in schema.get("properties", {}).items()},
        "array": lambda: [_example(schema.get("items", {}), whole, text)] * max(1, schema.get("minItems", 1)),
        "integer": lambda: int(number),
        "number": lambda: number,
        "boolean": lambda: True,
        "null": lambda: None,
    }.get(schema.get("type", "string"), lambda: text[: schema.get("maxLength")])()
