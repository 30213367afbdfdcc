"""Sequential halving on shared items (Karnin, Koren & Somekh, 2013): find the best of many within a budget.

All arms meet the same items in the same order, so that none is lucky in what it was asked, and what was paid for once
counts in every later round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from math import isfinite
from random import Random
from typing import Generic, TypeAlias, TypeVar

from thoughtgraph.errors import TaskError, at_least

A = TypeVar("A")
I = TypeVar("I")
Pairs: TypeAlias = list[tuple[int, int]]
"""Places of arms and items to be scored next."""


@dataclass(frozen=True, slots=True)
class Halved(Generic[A]):
    """The arm that is left, its place among all, its mean over the items it was scored on, and what it cost.

    `rounds` says how many arms each round had, and on how many items each of them had been scored by its end. The mean
    is of a winner, and so a little too good: score it anew where the number matters.
    """

    arm: A
    place: int
    mean: float | None
    spent: int
    rounds: tuple[tuple[int, int], ...]


def halving(
    score: Callable[[A, I], float | None],
    arms: Sequence[A],
    items: Sequence[I],
    budget: int,
    seed: int = 0,
    stratum: Callable[[I], Hashable] | None = None,
) -> Halved[A]:
    """The arm with the highest mean score over the items, found with at most `budget` calls of `score`.

    Of r rounds each costs about budget / r: all arms on few items, the better half on more, until one is left. No
    pair of arm and item is scored twice. Where the budget pays for all pairs, the choice is exact; it must pay for
    one item for each arm.

    A score is any finite number, higher is better. What tells more than right or wrong saves items: the log-probability
    of the right answer, where there is one, does. None is an abstention: it is paid for, and left out of the mean; an
    arm of which nothing is known ranks last. Of equals the one listed first stays, so list first what you believe in.

    `stratum` names the kind of an item (its right label, its length); then every stretch of the items has all kinds in
    their proportions, which keeps an arm that is good at one kind only from winning by the draw.
    """
    race = _race(len(arms), order(items, seed, stratum), budget)
    try:
        wanted = next(race)
        while True:
            wanted = race.send([score(arms[arm], items[item]) for arm, item in wanted])
    except StopIteration as end:
        return _halved(arms, end.value)


async def halving_async(
    score: Callable[[A, I], Awaitable[float | None]],
    arms: Sequence[A],
    items: Sequence[I],
    budget: int,
    seed: int = 0,
    stratum: Callable[[I], Hashable] | None = None,
) -> Halved[A]:
    """`halving` with a score that is awaited; the pairs of a round are scored side by side, with the same result."""
    race = _race(len(arms), order(items, seed, stratum), budget)
    try:
        wanted = next(race)
        while True:
            wanted = race.send(await asyncio.gather(*(score(arms[arm], items[item]) for arm, item in wanted)))
    except StopIteration as end:
        return _halved(arms, end.value)


def plan(arms: int, items: int, budget: int) -> list[tuple[int, int]]:
    """How many arms each round has, and how many new items each of them meets in it.

    What rounding leaves over goes to later rounds; what can be known for all that are left is found out at once.
    """
    rounds = list[tuple[int, int]]()
    for left, size in zip(range(len(sizes := _sizes(arms)), 0, -1), sizes, strict=True):
        new = items if budget >= size * items else min(max(1, budget // (size * left)), budget // size)
        rounds.append((size, new))
        items, budget = items - new, budget - size * new
    return rounds


def order(items: Sequence[I], seed: int, stratum: Callable[[I], Hashable] | None = None) -> list[int]:
    """The places of the items in the order in which all arms meet them: drawn by `seed`, mixed evenly by stratum."""
    random = Random(f"halving {seed}")
    groups = dict[Hashable, list[int]]()
    for place, item in enumerate(items):
        groups.setdefault(stratum(item) if stratum else None, []).append(place)
    when = dict[int, float]()
    for group in groups.values():
        random.shuffle(group)
        offset = random.random()
        when |= {place: (i + offset) / len(group) for i, place in enumerate(group)}
    return sorted(when, key=lambda place: when[place])


def _sizes(arms: int) -> list[int]:
    """How many arms are left, round by round: halves, rounded up, as long as there are two."""
    return [-(-arms // 2**r) for r in range((arms - 1).bit_length())]


@dataclass(slots=True)
class _Arm:
    """What is known of one arm."""

    place: int
    total: float = 0.0
    known: int = 0

    @property
    def mean(self) -> float | None:
        return self.total / self.known if self.known else None

    def learn(self, value: float | None) -> None:
        if value is not None:
            self.total, self.known = self.total + _number(value), self.known + 1


End: TypeAlias = tuple[_Arm, int, tuple[tuple[int, int], ...]]


def _race(arms: int, line: Sequence[int], budget: int) -> Generator[Pairs, Sequence[float | None], End]:
    """Yields the pairs to be scored and is sent their scores, round by round; what is left at the end."""
    _check(arms, len(line), budget)
    left, done, spent, rounds = [_Arm(place) for place in range(arms)], 0, 0, list[tuple[int, int]]()
    for size, new in plan(arms, len(line), budget):
        left = sorted(sorted(left, key=_rank)[:size], key=lambda arm: arm.place)
        asked = [(arm, item) for arm in left for item in line[done : done + new]]
        for (arm, _), value in zip(asked, (yield [(arm.place, item) for arm, item in asked]), strict=True):
            arm.learn(value)
        done, spent = done + new, spent + len(asked)
        rounds.append((size, done))
    return min(left, key=_rank), spent, tuple(rounds)


def _rank(arm: _Arm) -> tuple[bool, float]:
    """Best first; an arm of which nothing is known comes last."""
    return (arm.mean is None, -(arm.mean or 0.0))


def _number(value: float) -> float:
    """A score as a float, or `TaskError`."""
    try:
        number = float("nan") if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise TaskError(f"a score is {value!r}: expected a finite number, or None for an abstention")
    return number


def _check(arms: int, items: int, budget: int) -> None:
    at_least(1, arms=arms, items=items, budget=budget)
    if budget < arms:
        raise TaskError(f"a budget of {budget} scores for {arms} arms: expected at least one for each; leave arms out")


def _halved(arms: Sequence[A], end: End) -> Halved[A]:
    arm, spent, rounds = end
    return Halved(arms[arm.place], arm.place, arm.mean, spent, rounds)
