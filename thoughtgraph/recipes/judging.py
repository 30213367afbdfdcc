"""Tuning a judge (Sun & van der Schaar, 2024): its prompter, its samples and its model, chosen by recorded outcomes.

A judge is a use of a model like any other, so what is known of inference-time optimisation goes for it too: many
candidates, a golden metric, and questions held out, for the best of many looks better than it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from hashlib import sha256
from itertools import product
from math import fsum, sqrt
from typing import Any, Literal, TypeAlias, TypeVar, Unpack, cast, get_args

from thoughtgraph.api import as_model, as_models, as_store, speaking
from thoughtgraph.budget import Budget, Usage
from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.halving import order, plan
from thoughtgraph.learning.rows import AnyRow
from thoughtgraph.learning.splits import groups
from thoughtgraph.marks import mark
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompter
from thoughtgraph.protocols import Critic
from thoughtgraph.recipes.audit import sets_of
from thoughtgraph.recipes.audit_figures import Judged, above, contested
from thoughtgraph.recipes.runs import patiently
from thoughtgraph.recipes.scoring import Asking, Put, ask, models_of, shown
from thoughtgraph.result import RunFailed
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.store import SQLiteStore
from thoughtgraph.thought import Json, Score

T = TypeVar("T")
Unit: TypeAlias = Literal["calls", "tokens", "usd"]
"""What a judgement's cost is counted in."""

Change: TypeAlias = tuple[str, dict[str, Any]]
"""What is changed about a judge, by the name of it."""

IN_USE = "in use"
"""What `variants` calls the judge that it was given."""

FEWEST, FEW = 10, 20
"""Questions without which nothing is decided on either side; and those below which intervals are a little narrow."""

CHANCE = 0.5
"""The pair accuracy of a coin, and of who says nothing."""

PILOT = 2
"""On so many questions it is seen what each judge costs, before any is chosen."""

SLACK = 0.1
"""So much more a judge may cost and still pass for one of equal cost: replies that are drawn again cost too."""

FAILED = "runs failed"
"""How a reason begins that is the judge's own fault, and not the budget's."""

SPARE = 1.1
"""So many times what the held-out questions are expected to cost is kept back for them."""


# -- what comes out ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tuned:
    """The judge to use from now on, and how it came to be chosen.

    `chosen` is `best`, the best judge on the tuning questions, where it is `better` than `first`, the one in use, on
    the held-out questions beyond doubt; else it is `first`, and `why` says what was wanting. All figures are pair
    accuracies, each question counted once. `before` and `after` are those of `first` and `best` on the held-out
    questions, and `gap` is their paired difference: these are to be believed. `tuning` holds the figures that judges
    were chosen by, on the number of questions that each of them `reached`: the best of many is the luckiest too.

    `costs` are per judged response, in `unit`, redraws among them, and `at_most` is what was allowed. `left_out` says
    why somebody was not in the race. `rounds` are how many judges there were, and on how many questions each of them
    had been asked by then. `abstained` are shares of the responses. `held_out` are the ids of the held-out questions:
    whatever else is tried on them later tells less and less.
    """

    chosen: str
    critic: Critic = field(repr=False)
    better: bool
    why: str
    first: str
    best: str
    before: Interval | None
    after: Interval | None
    gap: Interval | None
    tuning: Mapping[str, Interval]
    reached: Mapping[str, int]
    costs: Mapping[str, float]
    unit: Unit
    at_most: float
    abstained: Mapping[str, float]
    left_out: Mapping[str, str]
    rounds: tuple[tuple[int, int], ...]
    questions: tuple[int, int]
    held_out: tuple[str, ...] = field(repr=False)
    usage: Usage
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(_table(self))

    def to_json(self) -> dict[str, Json]:
        """As JSON data, without the critic."""
        means = {name: _json(getattr(self, name)) for name in ("before", "after", "gap")}
        plain = ("chosen", "better", "why", "first", "best", "unit", "at_most")
        named = {name: dict(getattr(self, name)) for name in ("reached", "costs", "abstained", "left_out")}
        usage = {one.name: getattr(self.usage, one.name) for one in fields(self.usage)}
        return {
            **{name: getattr(self, name) for name in plain}, **means, **named,
            "tuning": {name: said.to_json() for name, said in self.tuning.items()},
            "rounds": [list(one) for one in self.rounds], "questions": list(self.questions),
            "held_out": list(self.held_out), "usage": usage, "notes": list(self.notes),
        }  # fmt: skip


def _table(tuned: Tuned) -> Iterator[str]:
    seen, held = tuned.questions
    yield f"use {tuned.chosen!r}: {tuned.why}"
    yield f"pair accuracy with 95 % intervals, on {seen} questions to choose by and {held} held out"
    final = {tuned.first: tuned.before, tuned.best: tuned.after}
    cells = [("", "chosen by (the best of many: too good)", "held out", f"{tuned.unit} a response")]
    for name, said in tuned.tuning.items():
        own = (f"{said} on {tuned.reached[name]}", str(final.get(name) or ""), f"{tuned.costs[name]:.3g}")
        cells.append((name, *own))
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield from ("  " + "  ".join(c.ljust(w) for c, w in zip(row, wide, strict=True)).rstrip() for row in cells)
    if tuned.gap:
        yield f"gain of {tuned.best!r} over {tuned.first!r}, held out: {tuned.gap.signed}"
    yield from (f"left out: {name!r}, {why}" for name, why in tuned.left_out.items())
    yield from (f"note: {note}" for note in tuned.notes)


def _json(said: Interval | None) -> Json:
    return None if said is None else said.to_json()


# -- the candidates ----------------------------------------------------------------------------------------------------


def variants(
    judge: Critic,
    *,
    prompters: Mapping[str, Prompter] | None = None,
    samples: Sequence[int] = (),
    models: Mapping[str, Model | str] | Sequence[Model | str] = (),
) -> dict[str, Critic]:
    """The judge as it is, as "in use", and beside it all that it becomes with other prompters, samples and models.

    Each is named by what differs: "strict", "5 samples", "strict, 5 samples, openai:gpt-5-mini". `samples` are a
    vote's `votes`. `TaskError` where the judge has no such setting, or two would have one name.

    >>> from thoughtgraph.critics import Value
    >>> list(variants(Value(samples=1), samples=(1, 5), prompters={"strict": lambda *told: Prompt(ask="...")}))
    ['in use', '5 samples', 'strict', 'strict, 5 samples']
    """
    draws = "votes" if hasattr(judge, "votes") else "samples"
    other = (n for n in samples if n != getattr(judge, draws, None))
    named = models if isinstance(models, Mapping) else {_called(model): model for model in models}
    ways: list[list[Change]] = [
        [("", {}), *((name, {"prompter": prompter}) for name, prompter in (prompters or {}).items())],
        [("", {}), *((f"{n} {draws if n > 1 else draws[:-1]}", {draws: n}) for n in other)],
        [("", {}), *((name, {"model": as_model(model)}) for name, model in named.items())],
    ]
    _settable(judge, [next(iter(way[1][1])) for way in ways if len(way) > 1])
    made = [(", ".join(filter(None, (name for name, _ in way))), _merged(way)) for way in product(*ways)]
    return _named((name or IN_USE, replace(cast("Any", judge), **change) if change else judge) for name, change in made)


def _called(model: Model | str) -> str:
    return model if isinstance(model, str) else model.name


def _merged(way: Iterable[Change]) -> dict[str, Any]:
    return {name: value for _, change in way for name, value in change.items()}


def _settable(judge: Any, wanted: Sequence[str]) -> None:
    known = [one.name for one in fields(judge)] if is_dataclass(judge) else []
    if missing := [name for name in wanted if name not in known]:
        has = f"it has {', '.join(known)}" if known else "it is no dataclass"
        raise TaskError(
            f"{type(judge).__name__} has no setting {missing[0]!r} ({has}): leave it out, or make the candidates "
            "yourself and name them in a dict"
        )


def _named(judges: Mapping[str, Critic] | Iterable[tuple[str, Critic]]) -> dict[str, Critic]:
    """Judges by name; `TaskError` for none, for a name that stands there twice, and for what is no critic."""
    told = list(cast("Mapping[str, Critic]", judges).items() if isinstance(judges, Mapping) else judges)
    if odd := [one for one in told if not (isinstance(one, tuple) and len(one) == 2)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"a candidate is {odd[0]!r:.80}: expected judges by name, as in {{'in use': Value(), ...}}")
    found = dict(told)
    if not found:
        raise TaskError("there are no candidates: expected judges by name, the one in use first, as variants makes")
    if len(found) < len(told):
        twice = next(name for place, (name, _) in enumerate(told) if name in dict(told[:place]))
        raise TaskError(f"the name {twice!r} stands there twice: expected another one for each judge")
    if odd := [name for name, judge in told if not callable(judge) and not hasattr(judge, "judge")]:
        raise TaskError(f"the judge {odd[0]!r} is {found[odd[0]]!r:.80}: expected a critic, as Value(...)")
    return found


# -- tuning ------------------------------------------------------------------------------------------------------------


def tune_judge(
    judges: Mapping[str, Critic] | Iterable[tuple[str, Critic]],
    rows: Iterable[AnyRow],
    *,
    before: str = "",
    held_out: float = 0.5,
    at_most: float | None = None,
    unit: Unit | None = None,
    **how: Unpack[Asking],
) -> Tuned:
    """Choose among judges by rows of known outcome, and say on held-out questions what the choice is worth.

    `judges` are the candidates by name, as `variants` makes them; the one in use is the first, or `before`. A share
    `held_out` of the questions only tells what the change is worth. On the others candidates are compared by
    successive halving: all on a few questions, the better half on more. What they are compared by is the audit's main
    figure, how often the better of two responses to a question is valued higher, since it holds on every scale and
    also for judges that only compare (an AUC over questions does not). Alike is half right, and so is a pair with a
    response that nobody valued: silence is no merit. Each question counts once.

    Cost is equal: a candidate that costs more for a judged response than the judge in use is left out, and named.
    `at_most` allows another cost. `unit` says what is counted: by default "calls", and dollars where judges speak to
    different models.

    `model`, `models`, `base_url`, `price`, `retry`, `workers` and `seed` are as in `audit`. `budget` is for all of it,
    with what an earlier call has paid: with a `store`, a call that is repeated goes on where it was stopped, pays
    nothing twice, and its runs are those that an `audit` of the same judge and seed reads. Where the budget ends
    before the held-out questions, the judge in use stays.

    Rows with labels of private knowledge that one of the judges' models may not see are left out for all, and noted.

    Raises `TaskError` where there are no candidates, two are the same, or the rows cannot tell them apart.
    """
    kept = "tune again with the same store to go on" if how.get("store") else "nothing is kept without a store"
    return patiently(
        lambda: atune_judge(judges, rows, before=before, held_out=held_out, at_most=at_most, unit=unit, **how),
        f"stopped: {kept}",
    )


async def atune_judge(
    judges: Mapping[str, Critic] | Iterable[tuple[str, Critic]],
    rows: Iterable[AnyRow],
    *,
    before: str = "",
    held_out: float = 0.5,
    at_most: float | None = None,
    unit: Unit | None = None,
    **how: Unpack[Asking],
) -> Tuned:
    """`tune_judge` for code that is async already."""
    at_least(0, at_most=at_most)
    named = _first(_named(judges), before)
    _distinct(named)
    seed, given = how.get("seed", 0), how.get("store")
    asking = _asking(how)
    own = [one for judge in named.values() for one in models_of(judge, _main(asking)) if one]
    free, withheld = shown(list(rows), own)
    tuning, held = parted(items(free), held_out, seed)
    counted = _unit(unit, own)
    store = as_store(given)
    try:
        async with speaking(list({id(one): one for one in own}.values())):
            line = [tuning[place] for place in order(tuning, seed)]
            work = _Work(named, line, held, {**asking, "store": store}, how.get("budget"), at_most, counted, withheld)
            return await work()
    finally:
        if isinstance(store, SQLiteStore) and store is not given:
            store.close()


# -- before anything is spent ------------------------------------------------------------------------------------------


def _first(judges: dict[str, Critic], before: str) -> dict[str, Critic]:
    """The same judges, the one in use first."""
    if before and before not in judges:
        raise TaskError(f"before is {before!r}: expected one of {', '.join(map(repr, judges))}")
    return {before: judges[before], **judges} if before else judges


def _distinct(judges: Mapping[str, Critic]) -> None:
    """Raise `TaskError` for two judges whose runs could not be told apart."""
    seen = dict[str, str]()
    for name, judge in judges.items():
        if hasattr(judge, "judge"):
            continue
        if (other := seen.setdefault(mark(judge), name)) != name:
            raise TaskError(
                f"{other!r} and {name!r} are the same judge, by the source and the settings of all that they are made "
                "of: leave one out, or give what differs a name or a setting of its own"
            )


def _asking(how: Asking) -> dict[str, Any]:
    """How judges are asked, with the models made once; `TaskError` for a cache."""
    if unknown := how.keys() - Asking.__annotations__.keys():
        raise TypeError(f"there is no argument {min(unknown)!r}: expected {', '.join(Asking.__annotations__)}")
    if how.get("cache"):
        raise TaskError("a cache makes judges look cheaper than they are: leave it out, and name a store to pay once")
    main = as_model(how.get("model"), how.get("base_url"), how.get("price"))
    roles = as_models(how.get("models"), main, how.get("base_url"))
    workers = how.get("workers", 8)
    at_least(1, workers=workers)
    return {
        "model": main, "models": roles, "workers": workers, "seed": how.get("seed", 0), "retry": how.get("retry"),
    }  # fmt: skip


def _main(asking: Mapping[str, Any]) -> Model | None:
    return asking["models"].get("critic", asking["model"])


def _unit(given: Unit | None, models: Sequence[Model]) -> Unit:
    """As it is given; else calls, as long as all go to one model, and dollars where they do not."""
    if given not in (None, *get_args(Unit)):
        raise TaskError(f"unit is {given!r}: expected one of {', '.join(map(repr, get_args(Unit)))}")
    prices = {model.name: model.price for model in models}
    unit: Unit = given or ("usd" if len(prices) > 1 else "calls")
    if unit == "usd" and (lost := [name for name, price in prices.items() if price is None]):
        raise TaskError(
            f"judges speak to {', '.join(prices)}, and the price of {lost[0]} is not known, so that their costs cannot "
            "be compared in dollars: give it to the model, or say unit='calls' to count the calls of all models alike"
        )
    return unit


@dataclass(frozen=True)
class Item:
    """One question with something to tell apart: what is put to a judge, and what is known of it."""

    id: str
    sets: tuple[tuple[Put, Judged], ...]

    @property
    def puts(self) -> list[Put]:
        """What is put to a judge."""
        return [put for put, _ in self.sets]

    @property
    def responses(self) -> int:
        """How many responses there are to judge."""
        return sum(len(put.examples) for put in self.puts)

    def right(self, said: Sequence[Sequence[Score]]) -> float:
        """The share of pairs in which the better response was valued higher; 1/2 where alike, or not valued."""
        pairs = [hit for (_, known), scores in zip(self.sets, said, strict=True) for hit in _hits(known, scores)]
        return fsum(pairs) / len(pairs)


def _hits(known: Judged, scores: Sequence[Score]) -> list[float]:
    pairs = contested(known)
    told = above([score.value for score in scores], pairs)
    return told + [CHANCE] * (int(pairs.sum()) - len(told))


def items(rows: Iterable[AnyRow]) -> list[Item]:
    """The questions that can tell judges apart; questions that ask the same are one."""
    told = list(rows)
    same, found = groups(told), dict[str, list[tuple[Put, Judged]]]()
    for put, known in sets_of(told):
        if contested(known).any():
            found.setdefault(same[known.id], []).append((put, known))
    return [Item(id, tuple(sets)) for id, sets in found.items()]


def parted(questions: Sequence[Item], held_out: float, seed: int) -> tuple[list[Item], list[Item]]:
    """The questions to choose by, and those held out, by their digests: which is where depends on no order of rows."""
    if not 0 < held_out < 1:
        raise TaskError(f"held_out is {held_out!r}: expected a share of the questions between 0 and 1, such as 0.5")
    dealt = sorted(questions, key=lambda item: sha256(f"{seed}/{item.id}".encode()).hexdigest())
    cut = round(held_out * len(dealt))
    if min(cut, len(dealt) - cut) < FEWEST:
        raise TaskError(
            f"{len(dealt)} questions have responses of different worth, and held_out={held_out:g} leaves "
            f"{len(dealt) - cut} of them to choose by and {cut} held out: expected at least {FEWEST} on either side"
        )
    return dealt[cut:], dealt[:cut]


# -- the race ----------------------------------------------------------------------------------------------------------


class _Stopped(Exception):
    """The race ends before its time."""


@dataclass
class _Work:
    """A tuning that is under way. The first of `judges` is in use, and `line` is the order of the tuning questions."""

    judges: Mapping[str, Critic]
    line: Sequence[Item]
    held: Sequence[Item]
    asking: Mapping[str, Any]
    budget: Budget | None
    at_most: float | None
    unit: Unit
    withheld: str
    rights: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    silent: dict[str, int] = field(default_factory=dict[str, int])
    asked: dict[str, int] = field(default_factory=dict[str, int])
    paid: dict[tuple[str, str], Usage] = field(default_factory=dict[tuple[str, str], Usage])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    rounds: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    began: float = field(default_factory=time.monotonic)

    async def __call__(self) -> Tuned:
        """Race, then try the winner and the judge in use on the held-out questions."""
        best = self.first
        try:
            best = await self._race(await self._pilot())
            await self._ask_all(list(dict.fromkeys((self.first, best))), self.held)
        except _Stopped as stopped:
            return self._tuned(best, str(stopped))
        return self._tuned(best)

    @property
    def first(self) -> str:
        """The judge in use."""
        return next(iter(self.judges))

    async def _pilot(self) -> list[str]:
        """All judges on the first questions: who can be asked, and at no more than the cost that is allowed."""
        short = await self._ask(list(self.judges), self.line[:PILOT])
        if (why := short.get(self.first, "")).startswith(FAILED):
            raise TaskError(f"the judge in use, {self.first!r}, could not be asked: {why}")
        _complete({name: why for name, why in short.items() if not why.startswith(FAILED)})
        self.left_out |= short
        self.rounds.append((len(self.judges), PILOT))
        return self._fair(name for name in self.judges if name not in short)

    async def _race(self, names: list[str]) -> str:
        """Sequential halving: all that are left on some questions more, the better half of them on yet more."""
        done = PILOT
        for size, new in plan(len(names), len(self.line) - done, self._pairs(names)):
            names = self._ranked(names)[:size]
            if len(names) > 1 and new:
                await self._ask_all(names, self.line[done : done + new])
                done += new
                self.rounds.append((len(names), done))
                names = self._fair(names)
        return self._ranked(names)[0]

    def _ranked(self, names: Sequence[str]) -> list[str]:
        """Best first; of equals the one listed first."""
        means = {name: _mean(self._rights(name, self.line)) for name in self.judges if name in names}
        return sorted(means, key=lambda name: -means[name])

    def _rights(self, name: str, questions: Sequence[Item]) -> list[float]:
        """What is known of a judge on these questions."""
        return [self.rights[name, item.id] for item in questions if (name, item.id) in self.rights]

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _ask(self, names: Sequence[str], batch: Sequence[Item]) -> dict[str, str]:
        """Put questions to judges side by side; why, of those who were not asked about all of them.

        Each has an equal share of what is left of the budget, and then, one after the other, all that is left.
        """
        share, workers = self._left(1 / len(names)), max(1, self.asking["workers"] // len(names))
        told = await _together([self._one(name, batch, share, workers) for name in names])
        short = {name: why for name, why in zip(names, told, strict=True) if why}
        for name in [name for name, why in short.items() if not why.startswith(FAILED)]:
            rest = self._left(1, (name, batch[0].id))
            short[name] = await self._one(name, batch, rest, self.asking["workers"])
        return {name: why for name, why in short.items() if why}

    async def _one(self, name: str, batch: Sequence[Item], budget: Budget | None, workers: int) -> str:
        """Put questions to one judge, and note what it said; "" or why it was not asked about all of them."""
        puts, how = [put for item in batch for put in item.puts], {**self.asking, "workers": workers}
        try:
            asked = await ask(self.judges[name], puts, budget=budget, **how)
        except (RunFailed, TaskError) as error:
            if name == self.first:
                raise
            if isinstance(error, RunFailed):
                self.paid[name, batch[0].id] = error.result.usage
            return f"{FAILED}: {error}"
        self.paid[name, batch[0].id] = asked.usage
        said = [scores for scores in asked.scores if scores is not None]
        if len(said) < len(puts):
            spent = asked.stopped and not asked.stopped.startswith(FAILED)  # it names a share of the budget
            return f"the budget of {self.budget} is spent" if spent else asked.stopped or "its runs did not end"
        self._learn(name, batch, iter(said))
        return ""

    def _learn(self, name: str, batch: Sequence[Item], said: Iterator[Sequence[Score]]) -> None:
        for item in batch:
            scores = [next(said) for _ in item.sets]
            self.rights[name, item.id] = item.right(scores)
            self.asked[name] = self.asked.get(name, 0) + item.responses
            silent = sum(score.value is None for group in scores for score in group)
            self.silent[name] = self.silent.get(name, 0) + silent

    async def _ask_all(self, names: Sequence[str], batch: Sequence[Item]) -> None:
        """The same, where nobody may be missing."""
        _complete(await self._ask(names, batch))

    # -- what it costs ---------------------------------------------------------------------------------------------

    def _usage(self, name: str = "") -> Usage:
        """What one judge has cost so far, or all of them."""
        return sum((usage for (of, _), usage in self.paid.items() if name in ("", of)), Usage())

    def _cost(self, name: str, of: str = "") -> float:
        """What a judged response costs, in the unit or in another count."""
        return float(getattr(self._usage(name), of or self.unit) or 0) / self.asked[name]

    @property
    def _limit(self) -> float:
        return self._cost(self.first) if self.at_most is None else self.at_most

    def _fair(self, names: Iterable[str]) -> list[str]:
        """Those who cost no more than is allowed; the others are left out.

        Whose replies are drawn again now and then is not blamed for it on little evidence: 1 / sqrt(responses) is two
        standard errors where one reply in four is drawn again.
        """
        fair = list[str]()
        for name in names:
            if name == self.first or self._cost(name) <= self._limit * (1 + SLACK + 1 / sqrt(self.asked[name])):
                fair.append(name)
            else:
                cost = f"{self._cost(name):.3g} {self.unit} a judged response"
                self.left_out[name] = f"it costs {cost}, where {self._limit:.3g} are allowed"
        return fair

    def _left(self, share: float, again: tuple[str, str] | None = None) -> Budget | None:
        """A share of what is left of the budget, beside what was paid for the same questions before."""
        if self.budget is None:
            return None
        spent, own, left = self._usage(), self.paid.get(again, Usage()) if again else Usage(), dict[str, Any]()
        for limit, most in self.budget.limits:
            rest = max(most - (getattr(spent, limit) or 0), 0) * share + (getattr(own, limit) or 0)
            left[limit] = rest if limit == "usd" else int(rest)
        if self.budget.seconds is not None:
            left["seconds"] = max(self.budget.seconds - (time.monotonic() - self.began), 0)
        return Budget(**left)

    def _pairs(self, names: Sequence[str]) -> int:
        """How often a judge can be asked about a question to choose by, with enough kept back for those held out."""
        others = [name for name in names if name != self.first]
        most, spent = len(names) * len(self.line), self._usage()
        for limit, whole in self.budget.limits if self.budget and others else ():
            dearest = max(self._cost(name, limit) for name in names)
            rest = whole - (getattr(spent, limit) or 0)
            final = max(self._cost(name, limit) for name in others) + self._cost(self.first, limit)
            kept = SPARE * final * sum(item.responses for item in self.held)
            if rest < kept:
                raise _Stopped(
                    f"the budget of {self.budget} is too small: {rest:.4g} {limit} are left, and those held out "
                    f"need about {kept:.4g}; name a larger one, or hold fewer out"
                )
            each = dearest * _mean([item.responses for item in self.line])
            most = min(most, int((rest - kept) / each)) if each else most
        return most

    # -- the end ---------------------------------------------------------------------------------------------------

    def _tuned(self, best: str, stopped: str = "") -> Tuned:
        """Keep what is better beyond doubt, and say how it all came out."""
        before, after = ([[right] for right in self._rights(name, self.held)] for name in (self.first, best))
        gap = difference(after, before) if best != self.first and len(before) == len(after) else None
        why, better = (stopped, False) if stopped else self._verdict(best, gap, interval(after))
        chosen = best if better else self.first
        heard = [name for name in self.judges if self.asked.get(name)]
        seen = {name: self._rights(name, self.line) for name in heard}
        few = f"{len(self.held)} questions are held out: intervals of fewer than {FEW} are a little narrow"
        return Tuned(
            chosen=chosen, critic=self.judges[chosen], better=better, why=why, first=self.first, best=best,
            before=interval(before), after=interval(after), gap=gap,
            tuning={name: _figure(rights) for name, rights in seen.items()},
            reached={name: len(rights) for name, rights in seen.items()},
            costs={name: self._cost(name) for name in heard}, unit=self.unit,
            at_most=self._limit if self.first in heard else 0.0,
            abstained={name: self.silent[name] / self.asked[name] for name in heard},
            left_out=dict(self.left_out), rounds=tuple(self.rounds), questions=(len(self.line), len(self.held)),
            held_out=tuple(sorted({known.id for item in self.held for _, known in item.sets})), usage=self._usage(),
            notes=(*filter(None, [self.withheld]), *((few,) if len(self.held) < FEW else ())),
        )  # fmt: skip

    def _verdict(self, best: str, gap: Interval | None, after: Interval | None) -> tuple[str, bool]:
        """Why, and whether the best one takes the place of the judge in use."""
        if best == self.first:
            return "no other judge was better on the questions to choose by", False
        if not self._fair([best]):
            return f"{best!r} is not of equal cost: {self.left_out[best]}", False
        if not _above(gap, 0):
            return (
                f"{best!r} is not better for sure, by {gap.signed if gap else 'nothing'} on held-out questions",
                False,
            )
        if not _above(after, CHANCE):
            return f"{best!r} is better than {self.first!r}, but not than chance: {after}", False
        costs = f"{self._cost(best):.3g} {self.unit} a response against {self._cost(self.first):.3g}"
        return f"better than {self.first!r} by {gap.signed if gap else ''} on held-out questions, at {costs}", True


def _complete(short: Mapping[str, str]) -> None:
    if short:
        name, why = next(iter(short.items()))
        raise _Stopped(f"{name!r} was not asked about all questions: {why}")


def _above(said: Interval | None, bar: float) -> bool:
    """Whether all of an interval lies above a bar."""
    return said is not None and said.low is not None and said.low > bar


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _figure(rights: Sequence[float]) -> Interval:
    """A mean, with its interval where there are enough questions for one."""
    found = interval([[right] for right in rights]) if len(rights) >= FEWEST else None
    return found or Interval(_mean(rights))


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them, in order; the first error ends the others."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
