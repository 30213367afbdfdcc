"""Juries (Verga et al., 2024): several judges of one set of thoughts, and one value of what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from inspect import isawaitable
from itertools import combinations
from math import fsum, inf, sqrt
from random import Random
from statistics import median
from typing import Any, Literal, TypeAlias, cast

from thoughtgraph.contracts import checked_scores
from thoughtgraph.critics.trust import names_of
from thoughtgraph.errors import BudgetExhausted, StoreError, TaskError, at_least
from thoughtgraph.protocols import Critic
from thoughtgraph.replies import shortened
from thoughtgraph.state import Port, State
from thoughtgraph.thought import Ito, Json, Score

Combination: TypeAlias = Literal["mean", "median", "min", "weighted"]
"""How several values become one."""

COMBINATIONS: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "mean": lambda values, weights: fsum(values) / len(values),
    "median": lambda values, weights: median(values),
    "min": lambda values, weights: min(values),
    "weighted": lambda values, weights: fsum(w * v for v, w in zip(values, weights, strict=True)) / fsum(weights),
}
"""The combinations, of values and their weights."""


@dataclass(frozen=True)
class Jury:
    """Ask several critics side by side, and combine what they say of each thought.

    `critics` are jurors by name, or a list of them, who are then "juror 1", "juror 2" and so on; they differ in their
    models or their prompters, and should speak on one scale. `combine` is "mean"; "median", which one juror gone wild
    does not move; "min", the pessimist's choice (worst-case optimisation), against searching for what only one juror
    likes; or "weighted", by `weights` as `reliability` finds them. `pessimism` takes so many variances between the
    jurors off a mean (uncertainty-weighted optimisation; both: Coste et al., 2024).

    A juror that fails or abstains is left out of that thought's value: `details` say how many judged and how many were
    left out, and who it was. Where nobody is left whose word has weight, the jury abstains; where all fail, it fails.
    `parts` are the jurors' values, those of weight 0 among them, the feedback is that of the least pleased juror, and
    the spread is the standard error of the mean over jurors. With a juror who only compares, the jury only compares.
    """

    critics: Mapping[str, Critic] | Sequence[Critic]
    combine: Combination = "mean"
    weights: Mapping[str, float] | None = None
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, pessimism=self.pessimism)
        if self.pessimism == inf:
            raise TaskError("pessimism is inf: expected a finite number, or combine='min', which goes by the worst")
        object.__setattr__(self, "critics", _named(self.critics))
        if self.combine not in COMBINATIONS:
            raise TaskError(f"combine is {self.combine!r}: expected one of {', '.join(map(repr, COMBINATIONS))}")
        if self.pessimism and self.combine not in ("mean", "weighted"):
            raise TaskError(f"pessimism takes off from a mean, and combine is {self.combine!r}: leave one of them out")
        if (self.weights is not None) != (self.combine == "weighted"):
            raise TaskError("weights and combine='weighted' belong together: found only one of them")
        if self.weights is not None:
            _check(self.weights, self.jurors)

    @property
    def jurors(self) -> Mapping[str, Critic]:
        """The critics by name."""
        return cast("Mapping[str, Critic]", self.critics)

    @property
    def ito(self) -> Ito:
        """An environment only if every juror is one."""
        return "environment" if all(_ito(juror) == "environment" for juror in self.jurors.values()) else "proxy"

    @property
    def comparative(self) -> bool:
        """Whether values say something within their set only, for one juror's do."""
        return any(map(_compares, self.jurors.values()))

    @property
    def model(self) -> None:
        """None where a juror speaks to the run's model, as of any critic that does; else there is no such attribute."""
        if not any(getattr(juror, "model", self) is None for juror in self.jurors.values()):
            raise AttributeError("no juror speaks to the run's model")

    @property
    def logprobs(self) -> bool:
        """Whether a juror that speaks to the run's model needs its log-probabilities."""
        open_ones = [juror for juror in self.jurors.values() if getattr(juror, "model", self) is None]
        return any(getattr(juror, "logprobs", False) is True for juror in open_ones)

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        if not states:
            return []
        heard = await asyncio.gather(*(_heard(name, juror, states) for name, juror in self.jurors.items()))
        errors = [scores for scores in heard if isinstance(scores, Exception)]
        ends = [error for error in errors if isinstance(error, BudgetExhausted)]  # no juror's fault
        if ends or len(errors) == len(heard):
            raise (ends or errors)[0]
        states[0].count("juror failed", len(errors))
        columns = [_absent(scores, len(states)) if isinstance(scores, Exception) else scores for scores in heard]
        rows = [dict(zip(self.jurors, row, strict=True)) for row in zip(*columns, strict=True)]
        return [self._verdict(row, self._set(row, states)) for row in rows]

    def _set(self, row: Mapping[str, Score], states: Sequence[State]) -> list[str]:
        """Whom a thought was compared with, by all jurors who compare: what their sets have in common."""
        common = {state.thought.id for state in states} if self.comparative else set[str]()
        for name, score in row.items():
            if _compares(self.jurors[name]) and score.value is not None:
                common &= set(_details(score).get("compared") or common)
        return sorted(common)

    def _verdict(self, row: Mapping[str, Score], compared: Sequence[str]) -> Score:
        valued = {name: score for name, score in row.items() if score.value is not None}
        counted = {name: score for name, score in valued.items() if self._weight(name) > 0}
        odd = {name: score.status for name, score in row.items() if score.value is None or score.status != "ok"}
        details: dict[str, Json] = {"judged": len(counted), "left out": len(row) - len(valued)}
        details |= {"said": odd} if odd else {}
        details |= {"compared": list(compared)} if self.comparative else {}
        parts = {name: score.value for name, score in valued.items() if score.value is not None}
        score = self._combined(counted) if counted else Score(None, samples=0, status="abstained")
        return replace(score, parts=parts or None, details=details)

    def _combined(self, said: Mapping[str, Score]) -> Score:
        """One value for those of the jurors, who all have one."""
        ranked = sorted(said.values(), key=lambda score: score.value or 0.0)
        values = [score.value or 0.0 for score in said.values()]
        most = max(map(self._weight, said))
        weights = [self._weight(name) / most for name in said]
        value, variance = COMBINATIONS[self.combine](values, weights), _variance(values, weights)
        spread = sqrt(variance / _number(weights)) if variance is not None else ranked[0].spread
        feedback = next((score.feedback for score in ranked if score.feedback), "")
        return Score(value - self.pessimism * (variance or 0.0), feedback, spread=spread, samples=len(values))

    def _weight(self, name: str) -> float:
        return 1.0 if self.weights is None else self.weights.get(name, 0.0)


def _absent(error: Exception, n: int) -> list[Score]:
    """What a juror that failed says of each of `n` thoughts: nothing, and why."""
    return [Score(None, samples=0, status=shortened(f"{type(error).__name__}: {error}"))] * n


def _number(weights: Sequence[float]) -> float:
    """How many jurors of equal weight these are worth (Kish, 1965)."""
    return fsum(weights) ** 2 / fsum(w * w for w in weights)


def _variance(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """The unbiased variance between jurors, half the mean square of what two of them differ by; None of a single one.

    Taken by pairs it divides by nothing that rounding makes 0, however little some of the weights are.
    """
    pairs = combinations(zip(values, weights, strict=True), 2)
    halves = [(w * u, (a - b) ** 2 / 2) for (a, w), (b, u) in pairs]
    whole = fsum(weight for weight, _ in halves)
    return fsum(weight * half for weight, half in halves) / whole if whole else None


def _details(score: Score) -> Mapping[str, Any]:
    details: Json = score.details
    return cast("Mapping[str, Any]", details) if isinstance(details, dict) else {}


def _compares(juror: Critic) -> bool:
    return bool(getattr(juror, "comparative", False))


def _ito(juror: Critic) -> str:
    return getattr(juror, "ito", "proxy")


def _named(critics: object) -> dict[str, Critic]:
    if isinstance(critics, Mapping):
        named = dict(cast("Mapping[str, Critic]", critics))
    else:
        listed = list(cast("Sequence[Critic]", critics)) if isinstance(critics, Sequence) else []
        named = dict(zip(names_of(len(listed)), listed, strict=True))
    if not named or not all(map(callable, named.values())):
        raise TaskError(
            f"the jury is {critics!r:.80}: expected critics, as in {{'strict': Value(...), 'kind': Vote()}}"
        )
    return named


def _check(weights: Mapping[str, float], jurors: Mapping[str, Critic]) -> None:
    if weights.keys() != jurors.keys():
        raise TaskError(f"the weights are for {', '.join(weights)}: expected one for each of {', '.join(jurors)}")
    if not all(0 <= weight < inf for weight in weights.values()):
        raise TaskError(f"the weights are {dict(weights)}: expected finite numbers from 0")
    if not any(weights.values()):
        raise TaskError("all weights are 0, so no juror's word counts: find judges who agree with each other, or gold")


# -- several critics in one effect -----------------------------------------------------------------------------------


class _Seat:
    """The port of one juror: what would hang on who of several comes first is the juror's own.

    Calls need nothing: the journal knows them by their content. Random numbers are drawn from one source for each
    part of an effect, and acts outside are numbered by their names, so these are told apart by the juror's name.
    """

    def __init__(self, port: Port, juror: str) -> None:
        self._port, self._juror = port, juror
        self._rngs: dict[int, Random] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def rng(self, part: int) -> Random:
        """The juror's own random numbers: as many jurors, as many sources, whoever draws first."""
        if part not in self._rngs:
            self._rngs[part] = Random(f"{self._juror}/{copy(self._port.rng(part)).random()}")
        return self._rngs[part]

    async def act(self, part: int, name: str, do: Any, *, once: bool, imagined: Json, calls: int) -> Json:
        """An act under the juror's name; one that is done once in a run keeps its own."""
        named = name if once else f"{self._juror}: {name}"
        return await self._port.act(part, named, do, once=once, imagined=imagined, calls=calls)


async def _heard(name: str, juror: Critic, states: Sequence[State]) -> list[Score] | Exception:
    """A juror's scores, or how it failed. What is wrong with plumbing or store is not its alone, and ends all at once.

    Where the budget ends, what the other jurors have asked for is waited for: it is paid.
    """
    seats: dict[int, _Seat] = {}
    for state in states:
        port = state._port  # pyright: ignore[reportPrivateUsage]
        seats.setdefault(id(port), _Seat(port, name))
    seated = [replace(state, _port=seats[id(state._port)]) for state in states]  # pyright: ignore[reportPrivateUsage]
    try:
        scores = juror(seated)
        return checked_scores(await scores if isawaitable(scores) else scores, name, len(states))
    except (StoreError, TaskError):
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the others can still judge
        return error
