"""Strengths from verdicts on pairs (Bradley & Terry, 1952), by Newman's (2023) iteration; ties, places and judges too.

The model is P(first wins) = sigma(gamma_k (s_i - s_j) + b_k): candidate i is shown first and j second, s are their
strengths, b_k is how much judge k likes the first place, gamma_k how well it tells candidates apart. Newman's
iteration brings the strengths near, and Newton's steps find all parameters together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, isfinite, log, sqrt
from typing import Any, TypeAlias

from thoughtgraph.critics.likelihood import Likelihood, Tally, Ties, numpy
from thoughtgraph.errors import TaskError, at_least

Wins: TypeAlias = Mapping[tuple[int, int], float]
"""How much was won: `wins[i, j]` is the weight of i's wins over j, a tie half a win for each."""

Cycle: TypeAlias = tuple[int, int, int]
"""Three that beat each other in a round: the first the second, the second the third, the third the first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of a pair: `won` is 1 where the candidate shown first won, 0 where the second did, 0.5 for a tie.

    With ties as half-wins `won` may be any probability in [0, 1]. A verdict of weight 2 counts as two.
    """

    first: int
    second: int
    won: float
    judge: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Fit:
    """What the verdicts came to.

    `strengths` are log-odds and sum to 0. `covariance` is theirs, from the inverse of the Hessian at the maximum, the
    phantom's share included: what is not known of the other parameters is in it, and that two verdicts of one judge may
    be one opinion is not.
    `bias` is b_k in log-odds (above 0: the first place is liked), `reliability` is gamma_k, whose mean is 1. `tie` is
    Rao and Kupper's theta (1 where nothing ties), Davidson's nu (0 where nothing ties), or None for half-wins.
    `cycles` are all triples whose majorities go round, `components` the sets within which candidates were compared,
    directly or through others: across two of them only the phantom speaks.
    """

    strengths: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    bias: Mapping[str, float]
    reliability: Mapping[str, float]
    tie: float | None
    cycles: tuple[Cycle, ...]
    components: tuple[tuple[int, ...], ...]

    @property
    def spreads(self) -> tuple[float, ...]:
        """The standard error of each strength."""
        return tuple(sqrt(max(row[i], 0.0)) for i, row in enumerate(self.covariance))

    def interval(self, i: int, z: float = 1.96) -> tuple[float, float]:
        """The strength of i, less and plus `z` standard errors: 95 % by default."""
        s, spread = self.strengths[i], self.spreads[i]
        return s - z * spread, s + z * spread

    def beats(self, i: int, j: int) -> float:
        """The probability that i wins against j where place means nothing, and a tie counts half if ties are halves."""
        return sigma(self.strengths[i] - self.strengths[j])

    def fields(self) -> list[tuple[float, float]]:
        """The mean chance of each against all the others, in (0, 1), and its standard error; [(1, 0)] of one alone."""
        n = len(self.strengths)
        if n < 2:
            return [(1.0, 0.0)] * n
        np = numpy()
        chances = np.array([[self.beats(i, j) for j in range(n)] for i in range(n)])
        means = (chances.sum(axis=1) - 0.5) / (n - 1)
        slopes = -chances * (1 - chances) / (n - 1)
        slopes -= np.diag(slopes.sum(axis=1))
        variances = ((slopes @ np.array(self.covariance)) * slopes).sum(axis=1)
        return [
            (_round(mean), _round(sqrt(max(variance, 0.0)))) for mean, variance in zip(means, variances, strict=True)
        ]


def fit(
    verdicts: Sequence[Verdict],
    n: int,
    *,
    ties: Ties = "half",
    phantom: float = 1.0,
    bias: bool = True,
    reliability: bool = False,
) -> Fit:
    """The strengths of `n` candidates, numbered from 0; the order of the verdicts makes no difference.

    Each candidate has `phantom` tied games with a phantom of strength 0, so that unbeaten candidates and those that
    nobody compared are finite. The same prior holds a judge's bias (a pair of equals, once for each place), the tie
    parameter (one verdict on equals, half a tie) and gamma (a normal of variance 1 / phantom). A phantom of 0 is plain
    maximum likelihood, and `TaskError` names who has none: candidates that never lost or never won, a judge that
    always goes by the place. With `bias`, show each pair in both orders, or place and strength are hard to tell apart.
    """
    if not (isfinite(phantom) and phantom >= 0):
        raise TaskError(f"phantom is {phantom!r}: expected a finite number of games, at least 0")
    tally = _tallied(verdicts, n, ties)
    wins = _wins(tally)
    if not phantom:
        _exists(wins, n, tally, ties, bias=bias)
    model = Likelihood(tally, n, phantom, ties, bias=bias, reliability=reliability)
    z = model.highest(_near(wins, n, phantom))
    strengths, covariance = model.strengths(z)
    return Fit(
        tuple(map(_round, strengths)), tuple(tuple(map(_round, row)) for row in covariance),
        {judge: _round(b) for judge, b in model.biases(z).items()},
        {judge: _round(gamma) for judge, gamma in model.reliabilities(z).items()},
        model.tie(z), tuple(_cycles(wins)), tuple(_components(wins, n)),
    )  # fmt: skip


def newman(wins: Wins, n: int, *, tolerance: float = 1e-10, sweeps: int = 100_000) -> list[float]:
    """The strengths (log-odds that sum to 0) by Newman's equation 10, one candidate after the other until none moves.

    It is plain maximum likelihood; `TaskError` where there is none, or where `sweeps` do not suffice.
    """
    _connected(wins, n)
    strengths, moved = _swept(wins, n, tolerance, sweeps)
    if moved < tolerance:
        return strengths
    raise TaskError(
        f"Newman's iteration still moves after {sweeps} sweeps: give it more, or use fit(), which is faster"
    )


def _swept(wins: Wins, n: int, tolerance: float, sweeps: int) -> tuple[list[float], float]:
    """The strengths after at most so many sweeps, and how far the last one moved them."""
    won: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    lost: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for (i, j), w in sorted(wins.items()):
        won[i].append((j, w))
        lost[j].append((i, w))
    p, moved = [1.0] * n, 0.0
    for _ in range(sweeps):
        before = list(p)
        for i in range(n if n > 1 else 0):
            p[i] = sum(w * p[j] / (p[i] + p[j]) for j, w in won[i]) / sum(w / (p[i] + p[j]) for j, w in lost[i])
        scale = exp(fsum(map(log, p)) / n)
        p = [min(max(one / scale, 1e-250), 1e250) for one in p]
        moved = max(abs(log(one / old)) for one, old in zip(p, before, strict=True))
        if moved < tolerance:
            break
    return [log(one) for one in p], moved


def sigma(x: float) -> float:
    """The logistic function, for any x."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def _round(value: float) -> float:
    """Twelve digits behind the point: what lies beyond differs from machine to machine."""
    return round(float(value), 12) + 0.0  # and no -0.0


# -- what was said -------------------------------------------------------------------------------------------------


def _tallied(verdicts: Sequence[Verdict], n: int, ties: Ties) -> Tally:
    at_least(1, n=n)
    if ties not in ("half", "rao-kupper", "davidson"):
        raise TaskError(f"ties is {ties!r}: expected 'half', 'rao-kupper' or 'davidson'")
    weights: dict[tuple[int, int, float, str], list[float]] = {}
    for verdict in verdicts:
        _check(verdict, n, ties)
        key = (verdict.first, verdict.second, float(verdict.won), verdict.judge)
        weights.setdefault(key, []).append(verdict.weight)
    summed = ((key, fsum(weights[key])) for key in sorted(weights))
    return {key: weight for key, weight in summed if weight > 0}


def _check(verdict: Verdict, n: int, ties: Ties) -> None:
    if not (0 <= verdict.first < n and 0 <= verdict.second < n and verdict.first != verdict.second):
        raise TaskError(f"{verdict} is on a pair that is none: expected two different numbers from 0 to {n - 1}")
    if not (0 <= verdict.won <= 1 and (ties == "half" or verdict.won in (0, 0.5, 1))):
        wanted = "a number from 0 to 1" if ties == "half" else f"0, 0.5 or 1, for {ties} ties are an outcome"
        raise TaskError(f"{verdict} has won={verdict.won!r}: expected {wanted}")
    if not (isfinite(verdict.weight) and verdict.weight >= 0):
        raise TaskError(f"{verdict} has the weight {verdict.weight!r}: expected a finite number of at least 0")


def _wins(tally: Tally) -> dict[tuple[int, int], float]:
    """Who won how much against whom, wherever they stood and whoever judged."""
    parts: dict[tuple[int, int], list[float]] = {}
    for (i, j, won, _), weight in tally.items():
        for pair, share in (((i, j), won), ((j, i), 1 - won)):
            if share > 0:
                parts.setdefault(pair, []).append(weight * share)
    return {pair: fsum(parts[pair]) for pair in sorted(parts)}


def _near(wins: Wins, n: int, phantom: float) -> list[float]:
    """Where to begin: some sweeps of Newman's iteration, without places and judges; the phantom is number n."""
    half = {pair: phantom / 2 for i in range(n) for pair in ((i, n), (n, i))} if phantom else {}
    strengths, _ = _swept({**wins, **half}, n + 1 if phantom else n, 1e-3, 100)
    return [s - (strengths[n] if phantom else 0.0) for s in strengths[:n]]


def _components(wins: Wins, n: int) -> list[tuple[int, ...]]:
    import networkx

    compared: Any = networkx.Graph(list(wins))
    compared.add_nodes_from(range(n))
    return sorted(tuple(sorted(part)) for part in networkx.connected_components(compared))


def _cycles(wins: Wins) -> Iterator[Cycle]:
    """Majorities that go round, each once, from the lowest number on."""
    beaten: dict[int, set[int]] = {}
    for (i, j), weight in wins.items():
        if weight > wins.get((j, i), 0.0):
            beaten.setdefault(i, set()).add(j)
    for i in sorted(beaten):
        for j in sorted(j for j in beaten[i] if j > i):
            yield from ((i, j, k) for k in sorted(beaten.get(j, ())) if k > i and i in beaten.get(k, ()))


# -- whether there is a maximum ------------------------------------------------------------------------------------


def _exists(wins: Wins, n: int, tally: Tally, ties: Ties, *, bias: bool) -> None:
    """`TaskError` where plain maximum likelihood runs away (Ford, 1957): who is to blame, and what to do."""
    _connected(wins, n)
    if ties != "half" and tally and all(won == 0.5 for _, _, won, _ in tally):
        raise TaskError(f"all verdicts are ties, and {ties} has no maximum: use phantom > 0, or ties='half'")
    for judge in sorted({judge for *_, judge in tally}) if bias else ():
        said = {won for _, _, won, who in tally if who == judge}
        if len(said) == 1 and said <= {0.0, 1.0}:
            place = "first" if said == {1.0} else "second"
            raise TaskError(f"the judge {judge!r} always names the {place}: its bias has no end; use phantom > 0")


def _connected(wins: Wins, n: int) -> None:
    import networkx

    graph: Any = networkx.DiGraph(list(wins))
    graph.add_nodes_from(range(n))
    parts = sorted(sorted(part) for part in networkx.strongly_connected_components(graph))
    if len(parts) < 2:
        return
    never_lost = [p for p in parts if not any(a not in p for i in p for a in graph.predecessors(i))]
    never_won = [p for p in parts if not any(b not in p for i in p for b in graph.successors(i))]
    raise TaskError(
        f"there are no finite strengths: {_named(never_lost)} never lost to the others, and {_named(never_won)} never "
        "won against them (or were not compared with them): use phantom > 0, or collect more verdicts"
    )


def _named(groups: Sequence[Sequence[int]]) -> str:
    told = [str(group[0]) if len(group) == 1 else str(list(group)) for group in groups]
    return ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "")
