"""Bradley-Terry: against references of its own, by hand, and where there is no maximum."""

from __future__ import annotations

import random
from importlib.util import find_spec
from itertools import combinations
from math import exp, log

import pytest

from thoughtgraph.critics.bradley_terry import Verdict, fit, newman, sigma
from thoughtgraph.errors import TaskError

EVALICA = find_spec("evalica") is not None

STRENGTHS = [-1.5, -0.7, -0.2, 0.3, 0.6, 1.5]


def said(n: int, seed: int = 0, *, tie: float = 0.0, judges: dict[str, tuple[float, float]] | None = None):
    """`n` verdicts of judges of some (bias, reliability) on random pairs, with Davidson's ties."""
    rng, judges = random.Random(seed), judges or {"": (0.0, 1.0)}
    verdicts: list[Verdict] = []
    for _ in range(n):
        i, j = rng.sample(range(len(STRENGTHS)), 2)
        judge = rng.choice(sorted(judges))
        b, gamma = judges[judge]
        x = gamma * (STRENGTHS[i] - STRENGTHS[j]) + b
        [won] = rng.choices([1.0, 0.0, 0.5], [exp(x / 2), exp(-x / 2), tie])
        verdicts.append(Verdict(i, j, won, judge))
    return verdicts


def lost(verdicts: list[Verdict], ties: str, z: list[float]) -> float:
    """Minus the log-likelihood, written out once more: strengths, one bias, log nu or log theta."""
    *s, b, t = z
    total = 0.0
    for verdict in verdicts:
        x = s[verdict.first] - s[verdict.second] + b
        if ties == "half":
            total -= verdict.won * log(sigma(x)) + (1 - verdict.won) * log(sigma(-x))
            continue
        if ties == "davidson":
            first, second, tied = exp(x / 2), exp(-x / 2), exp(t)
        else:
            theta = exp(abs(t))
            first, second = exp(x) / (exp(x) + theta), 1 / (1 + theta * exp(x))
            tied = 1 - first - second
        total -= log({1.0: first, 0.0: second, 0.5: tied}[verdict.won] / (first + second + tied))
    return total


@pytest.mark.parametrize("ties", ["half", "davidson", "rao-kupper"])
def test_it_agrees_with_a_general_optimiser_on_the_likelihood(ties):
    from scipy.optimize import minimize

    verdicts = said(200, tie=0.6, judges={"": (0.5, 1.0)})
    found = fit(verdicts, 6, ties=ties, phantom=0)
    best = minimize(lambda z: lost(verdicts, ties, list(z)), [0.0] * 7 + [0.5], method="BFGS", options={"gtol": 1e-9})
    mean = sum(best.x[:6]) / 6
    assert found.strengths == pytest.approx([s - mean for s in best.x[:6]], abs=1e-6)
    assert found.bias[""] == pytest.approx(best.x[6], abs=1e-6)
    if found.tie is not None:
        t = best.x[7] if ties == "davidson" else abs(best.x[7])
        assert found.tie == pytest.approx(exp(t), abs=1e-6)


def test_the_spreads_are_those_of_the_numerical_curvature():
    import numpy as np

    verdicts = said(200, judges={"": (0.5, 1.0)})
    found = fit(verdicts, 6, phantom=0)
    at, step = np.array([*found.strengths, found.bias[""]]), 1e-4

    def value(*moves: int) -> float:
        z = at.copy()
        for move in moves:
            z[abs(move) - 1] += step if move > 0 else -step
        return lost(verdicts, "half", [*z, 0.0])

    curve = [
        [(value(a, b) - value(a, -b) - value(-a, b) + value(-a, -b)) / (4 * step**2) for b in range(1, 8)]
        for a in range(1, 8)
    ]
    spreads = np.sqrt(np.diag(np.linalg.pinv(np.array(curve), rcond=1e-6)))[:6]
    assert found.spreads == pytest.approx(list(spreads), rel=1e-3)
    assert found.interval(0) == pytest.approx(
        (found.strengths[0] - 1.96 * spreads[0], found.strengths[0] + 1.96 * spreads[0]), rel=1e-3
    )


@pytest.mark.parametrize("seed", range(3))
def test_newmans_iteration_and_newtons_steps_agree(seed):
    verdicts = said(150, seed)
    wins: dict[tuple[int, int], float] = {}
    for v in verdicts:
        pair = (v.first, v.second) if v.won else (v.second, v.first)
        wins[pair] = wins.get(pair, 0.0) + 1
    assert newman(wins, 6) == pytest.approx(fit(verdicts, 6, phantom=0, bias=False).strengths, abs=1e-8)


@pytest.mark.optional
@pytest.mark.skipif(not EVALICA, reason="evalica is not installed")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_it_agrees_with_evalica(ties, seed):
    import evalica

    verdicts = said(200, seed, tie=0.0 if ties == "half" else 0.6)
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    rank = evalica.bradley_terry if ties == "half" else evalica.newman
    theirs = rank(
        [v.first for v in verdicts], [v.second for v in verdicts], [winners[v.won] for v in verdicts],
        tolerance=1e-12, limit=100_000,
    )  # fmt: skip
    found = fit(verdicts, 6, ties=ties, phantom=0, bias=False)
    logs = [log(theirs.scores[i]) for i in range(6)]
    assert found.strengths == pytest.approx([s - sum(logs) / 6 for s in logs], abs=1e-6)
    if ties == "davidson":  # their ties go by 2 v sqrt(p_i p_j)
        assert found.tie == pytest.approx(2 * theirs.v, abs=1e-6)


# -- by hand -------------------------------------------------------------------------------------------------------


def test_three_wins_to_one_are_odds_of_three_to_one():
    found = fit([Verdict(0, 1, 1)] * 3 + [Verdict(0, 1, 0)], 2, phantom=0, bias=False)
    assert found.strengths == pytest.approx((log(3) / 2, -log(3) / 2))
    assert found.beats(0, 1) == pytest.approx(0.75)
    assert found.fields()[0][0] == pytest.approx(0.75)
    assert found.spreads[0] == pytest.approx((1 / (4 * 0.75 * 0.25)) ** 0.5 / 2)  # half of that of the difference


def test_the_chance_against_the_field_has_the_spread_of_the_delta_method():
    found = fit([Verdict(0, 1, 1)] * 3 + [Verdict(0, 1, 0)], 2, phantom=0, bias=False)
    assert found.fields()[0][1] == pytest.approx(0.75 * 0.25 * (1 / (4 * 0.75 * 0.25)) ** 0.5)


def test_without_verdicts_all_are_equal_and_nothing_is_known():
    found = fit([], 3)
    assert found.strengths == (0, 0, 0)
    assert found.fields() == [(0.5, pytest.approx(0.375**0.5))] * 3  # (4 + 4 / 2) / 16: 4 is what one tied game leaves
    assert found.components == ((0,), (1,), (2,))
    assert fit([], 1).fields() == [(1.0, 0.0)]


def test_the_order_of_the_verdicts_makes_no_difference():
    verdicts = [Verdict(v.first, v.second, v.won, v.judge, 0.1 * (n % 7)) for n, v in enumerate(said(60))]
    again = random.Random(1).sample(verdicts, len(verdicts))
    assert fit(verdicts, 6) == fit(again, 6)


def test_a_weight_of_two_is_two_verdicts_and_a_tie_two_halves():
    once = [Verdict(0, 1, 1, weight=2), Verdict(1, 2, 0.5, weight=2)]
    twice = [Verdict(0, 1, 1), Verdict(0, 1, 1), Verdict(1, 2, 1), Verdict(1, 2, 0)]
    assert fit(once, 3).strengths == pytest.approx(fit(twice, 3).strengths)


def test_unbeaten_and_disconnected_candidates_are_finite_with_a_phantom():
    found = fit([Verdict(0, 1, 1)] * 1000 + [Verdict(2, 3, 1), Verdict(3, 2, 1)], 5)
    assert all(abs(s) < 10 for s in found.strengths)
    assert found.strengths[0] > found.strengths[1]
    assert found.components == ((0, 1), (2, 3), (4,))


def test_a_tie_model_needs_no_ties_and_stands_nothing_but_ties():
    wins = [Verdict(0, 1, 1.0), Verdict(1, 0, 1.0), Verdict(0, 1, 0.0)]
    assert fit(wins, 2, ties="davidson", phantom=0, bias=False).tie == 0
    assert fit(wins, 2, ties="rao-kupper", phantom=0, bias=False).tie == 1
    for ties in ("davidson", "rao-kupper"):
        assert fit([Verdict(0, 1, 0.5)] * 5, 2, ties=ties).strengths == (0, 0)
        assert 0 < (fit(wins, 2, ties=ties).tie or 0) < (fit([Verdict(0, 1, 0.5)] * 5, 2, ties=ties).tie or 0) < 100


def test_majorities_that_go_round_are_reported_once():
    rock = [Verdict(0, 1, 1), Verdict(1, 2, 1), Verdict(2, 0, 1), Verdict(0, 3, 1), Verdict(3, 1, 0.5)]
    assert fit(rock, 4).cycles == ((0, 1, 2),)
    assert fit([Verdict(i, j, 1) for i, j in combinations(range(5), 2)], 5).cycles == ()


# -- judges --------------------------------------------------------------------------------------------------------


def test_a_judge_that_always_names_the_first_is_all_bias_and_promotes_nobody():
    found = fit([Verdict(i, j, 1) for i in range(5) for j in range(5) if i != j], 5)
    assert found.strengths == pytest.approx([0] * 5, abs=1e-9)
    assert found.bias[""] > 3


def test_a_planted_bias_is_found_and_taken_out():
    verdicts = said(4000, judges={"": (1.0, 1.0)})
    assert fit(verdicts, 6).bias[""] == pytest.approx(1.0, abs=0.15)
    assert fit(verdicts, 6).strengths == pytest.approx(STRENGTHS, abs=0.25)
    assert fit(verdicts, 6, bias=False).bias == {"": 0.0}


def test_a_jury_is_heard_by_the_reliability_of_its_judges():
    jury = {"sharp": (0.5, 1.6), "plain": (-1.0, 1.4), "random": (0.0, 0.0)}
    found = fit(said(3000, judges=jury), 6, reliability=True)
    assert found.reliability == pytest.approx({"sharp": 1.6, "plain": 1.4, "random": 0.0}, abs=0.2)
    assert found.bias == pytest.approx({"sharp": 0.5, "plain": -1.0, "random": 0.0}, abs=0.25)
    assert sum(found.reliability.values()) == pytest.approx(3)
    assert fit(said(100), 6, reliability=True).reliability == {"": 1.0}


# -- where there is none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "n", "told"),
    [
        ([Verdict(0, 1, 1)], 2, r"0 never lost to the others, and 1 never won"),
        ([Verdict(0, 1, 1), Verdict(1, 0, 1), Verdict(2, 0, 1)], 3, r"2 never lost to the others, and \[0, 1\] never"),
        ([Verdict(0, 1, 0.5), Verdict(2, 3, 0.5)], 4, r"\[0, 1\], \[2, 3\] never lost"),
        ([Verdict(0, 1, 1, "Ann"), Verdict(1, 0, 1, "Ann")], 2, r"'Ann' always names the first"),
        ([Verdict(0, 1, 1), Verdict(0, 1, 0)], 2, r"shown in both orders"),
        ([Verdict(0, 1, 1), Verdict(0, 1, 0), Verdict(1, 0, 1)], 2, r"shown in both orders"),
    ],
)
def test_where_plain_maximum_likelihood_has_no_maximum_it_says_who_is_to_blame(verdicts, n, told):
    with pytest.raises(TaskError, match=told):
        fit(verdicts, n, phantom=0)
    assert all(abs(s) < 5 for s in fit(verdicts, n).strengths)


def test_newman_says_the_same():
    with pytest.raises(TaskError, match="1 never lost to the others, and 0 never won"):
        newman({(1, 0): 2.0}, 2)
    with pytest.raises(TaskError, match="still moves after 2 sweeps"):
        newman({(1, 0): 2.0, (0, 1): 1.0, (1, 2): 1.0, (2, 1): 5.0}, 3, sweeps=2)


@pytest.mark.parametrize(
    ("verdict", "how", "told"),
    [
        (Verdict(0, 0, 1), {}, "a pair that is none"),
        (Verdict(0, 2, 1), {}, "from 0 to 1"),
        (Verdict(0, 1, 1.5), {}, "from 0 to 1"),
        (Verdict(0, 1, float("nan")), {}, "won=nan"),
        (Verdict(0, 1, 0.7), {"ties": "davidson"}, "0, 0.5 or 1"),
        (Verdict(0, 1, 1, weight=-1), {}, "at least 0"),
        (Verdict(0, 1, 1, weight=float("inf")), {}, "finite"),
        (Verdict(0, 1, 1), {"ties": "none"}, "expected 'half'"),
        (Verdict(0, 1, 1), {"phantom": -1}, "phantom is -1"),
        (Verdict(0, 1, 1), {"phantom": float("nan")}, "phantom is nan"),
        (Verdict(0, 1, 1), {"phantom": float("inf")}, "phantom is inf"),
    ],
)
def test_what_cannot_be_a_verdict_is_refused(verdict, how, told):
    with pytest.raises(ValueError, match=told):
        fit([verdict], 2, **how)
