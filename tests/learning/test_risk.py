"""Stopping by risk: a threshold that keeps accepted-and-wrong under a rate, or says that it cannot be done."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import comb
from random import Random

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning import risk
from thoughtgraph.learning.risk import Case, Rule, fewest, fit, least_abstained, p_value, p_value_among

MARKS = {"generator": "small model", "critic": "judge"}


def cases(*pairs: tuple[float | None, bool]) -> list[Case]:
    return [Case(f"q{i}", score, right) for i, (score, right) in enumerate(pairs)]


def fitted(*pairs: tuple[float | None, bool], **how) -> Rule:
    return fit(cases(*pairs), **MARKS, **how)


GOOD = [(0.9, True)] * 60 + [(0.1, False)] * 40


# -- the tests by hand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "n", "alpha"), [(0, 22, 0.1), (3, 50, 0.1), (7, 20, 0.5), (20, 20, 0.3)])
def test_the_p_value_is_the_binomial_tail(wrong: int, n: int, alpha: float):
    tail = sum(comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(wrong + 1))
    assert p_value(wrong, n, alpha) == pytest.approx(tail, rel=1e-9)


def test_the_p_value_of_many_questions_neither_overflows_nor_vanishes():
    assert p_value(10_000, 100_000, 0.1) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("alpha", "delta", "coming", "n"),
    [(0.1, 0.1, 0, 22), (0.1, 0.05, 0, 29), (0.5, 0.25, 0, 2), (0.01, 0.05, 0, 299), (0.1, 0.05, None, 40)],
)
def test_so_many_questions_without_a_mistake_are_the_fewest_that_pass(alpha, delta, coming, n: int):
    how = {"alpha": alpha, "delta": delta, "coming": coming}
    assert fewest(**how) == n
    assert fitted(*[(0.5, True)] * n, **how).threshold == 0.5
    rule = fitted(*[(0.5, True)] * (n - 1), **how)
    assert not rule.feasible
    assert f"expected {n} or more" in rule.why


def test_the_p_value_among_the_next_questions_is_a_fair_draw():
    # Two mistakes break the promise of ten at 0.1; that both come among the ten: C(10, 2) / C(20, 2) of ten and ten.
    assert p_value_among(0, 10, 0.1, 10) == pytest.approx(45 / 190)
    # With one among the first ten, three in all: all are among the next, or one is not.
    assert p_value_among(1, 10, 0.1, 10) == pytest.approx((120 + 45 * 10) / 1140)


def test_of_very_many_coming_questions_it_is_the_binomial_one():
    assert p_value_among(3, 50, 0.1, 10**7) == pytest.approx(p_value(3, 50, 0.1), rel=1e-4)


def test_the_threshold_is_the_lowest_score_whose_mistakes_pass():
    # Of 50 with alpha = delta = 0.1, at most one mistake passes: P(Bin <= 1) = 0.034, P(Bin <= 2) = 0.112.
    pairs = [(0.9, True)] * 30 + [(0.8, False), (0.7, True), (0.6, False)] + [(0.5, False)] * 17
    rule = fitted(*pairs, delta=0.1)
    assert (rule.threshold, rule.n, rule.accepted, rule.mistaken, rule.wrong) == (0.7, 50, 32 / 50, 1 / 50, 19 / 50)


def test_equal_scores_stand_or_fall_together():
    pairs = [(0.9, True)] * 30 + [(0.8, False), (0.8, True), (0.8, False)] + [(0.5, False)] * 17
    assert fitted(*pairs, delta=0.1).threshold == 0.9


def test_abstained_answers_count_as_questions_and_are_never_accepted():
    rule = fitted(*[(0.9, True)] * 30, *[(None, False)] * 30)
    assert (rule.threshold, rule.n, rule.accepted) == (0.9, 60, 0.5)
    assert not rule.accepts(None, **MARKS)
    assert not rule.accepts(tg.Score(None), **MARKS)


def test_a_score_at_the_threshold_is_accepted_and_one_below_is_not():
    rule = fitted(*GOOD)
    assert [rule.accepts(score, **MARKS) for score in (1.0, 0.9, 0.8999)] == [True, True, False]
    assert rule.accepts(tg.Score(0.95), **MARKS)


def test_the_order_of_the_questions_makes_no_difference():
    drawn = sample(0, 120, lambda s: 0.9 * (1 - s))
    for kind in ("joint", "selective"):
        assert fit(drawn, **MARKS, kind=kind, alpha=0.3) == fit(drawn[::-1], **MARKS, kind=kind, alpha=0.3)


def test_where_hardly_any_answer_is_wrong_even_a_critic_that_knows_nothing_may_accept_all():
    rule = fitted(*[(0.5, True)] * 196, *[(0.5, False)] * 4)
    assert (rule.threshold, rule.accepted) == (0.5, 1)


# -- the guarantee, simulated ---------------------------------------------------------------------------------------
# Scores are uniform on [0, 1] and an answer with score s is wrong with probability m (1 - s)^k, so that
# P(accepted and wrong) = m (1 - threshold)^(k + 1) / (k + 1): each rule's risk is known, and not estimated again.

SPLITS, ALPHA, DELTA = 200, 0.1, 0.05
ALLOWED = 20  # violations: 10 are expected at most, and 21 or more of 200 come with probability 0.001


def sample(seed: int, n: int, wrong: Callable[[float], float], levels: int = 0) -> list[Case]:
    random = Random(seed)
    drawn = list[Case]()
    for i in range(n):
        s, right = random.random(), random.random()
        drawn.append(Case(f"q{i}", int(s * levels) / levels if levels else s, right >= wrong(s)))
    return drawn


def risk_of(threshold: float | None, m: float, k: int, kind: str) -> float:
    above = 0 if threshold is None else 1 - max(0, threshold)
    return m * above ** (k + 1 if kind == "joint" else k) / (k + 1) if above else 0


@pytest.mark.parametrize("kind", ["joint", "selective"])
@pytest.mark.parametrize(
    ("n", "m", "k", "levels"),
    [
        (150, 0.9, 1, 0),  # an able critic: 45 % of the answers are wrong
        (150, 0.9, 1, 5),  # the same with five grades only
        (100, 0.9, 1, 2),  # with two
        (40, 0.9, 1, 0),  # few questions
        (100, 0.4, 0, 0),  # a critic that knows nothing
        (200, 0.12, 0, 0),  # the same just above alpha, where accepting all is a little too much
        (80, 1.0, 3, 10),
    ],
)
def test_accepted_and_wrong_stays_under_alpha_with_the_stated_confidence(kind, n: int, m: float, k: int, levels: int):
    rules = [
        fit(sample(seed, n, lambda s: m * (1 - s) ** k, levels), **MARKS, alpha=ALPHA, delta=DELTA, kind=kind, least=0)
        for seed in range(SPLITS)
    ]
    assert sum(risk_of(rule.threshold, m, k, kind) > ALPHA + 1e-12 for rule in rules) <= ALLOWED


def test_the_mistakes_among_the_next_questions_stay_under_alpha_too():
    def mistakes(seed: int, coming: int) -> int:
        rule = fit(sample(seed, 120, lambda s: 0.9 * (1 - s)), **MARKS, alpha=ALPHA, delta=DELTA, coming=coming)
        later = sample(seed + 10_000, 60, lambda s: 0.9 * (1 - s))
        return sum(rule.accepts(case.score, **MARKS) and not case.right for case in later)

    def broken(coming: int) -> int:
        return sum(mistakes(seed, coming) > ALPHA * 60 for seed in range(SPLITS))

    assert broken(coming=60) <= DELTA * SPLITS < broken(coming=0)


def test_a_threshold_without_a_test_breaks_the_promise_in_these_simulations():
    def naive(drawn: list[Case]) -> float:
        thresholds = sorted((case.score or 0 for case in drawn), reverse=True)
        mistakes = [sum(not c.right and (c.score or 0) >= t for c in drawn) / len(drawn) for t in thresholds]
        return [t for t, share in zip(thresholds, mistakes, strict=True) if share <= ALPHA][-1]

    thresholds = [naive(sample(seed, 150, lambda s: 0.9 * (1 - s))) for seed in range(SPLITS)]
    assert sum(risk_of(threshold, 0.9, 1, "joint") > ALPHA for threshold in thresholds) > 2 * ALLOWED


def test_an_able_critic_accepts_most_of_what_can_be_accepted():
    rules = [fit(sample(seed, 500, lambda s: 0.9 * (1 - s)), **MARKS, alpha=ALPHA) for seed in range(20)]
    possible = 1 - 0.529  # 0.45 (1 - t)^2 = 0.1
    assert all(rule.feasible for rule in rules)
    assert sum(rule.accepted for rule in rules) / 20 > 0.8 * possible


def test_the_selective_rule_accepts_less_and_is_right_more_often():
    drawn = sample(1, 900, lambda s: (1 - s) ** 3)
    joint, selective = (fit(drawn, **MARKS, alpha=ALPHA, kind=kind) for kind in ("joint", "selective"))
    assert 0.3 < selective.accepted < joint.accepted
    assert selective.mistaken / selective.accepted < ALPHA < joint.mistaken / joint.accepted


# -- what cannot be done --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["joint", "selective"])
def test_where_right_answers_are_too_rare_it_cannot_be_done_even_by_a_perfect_critic(kind):
    rule = fitted(*[(0.9, True)] * 6, *[(0.1, False)] * 294, kind=kind)
    assert (rule.threshold, rule.accepted) == (None, 0)
    assert "a better generator is needed" in rule.why
    assert not rule.accepts(1.0, **MARKS)


def test_a_critic_that_knows_nothing_cannot_do_it_where_many_answers_are_wrong():
    for kind in ("joint", "selective"):
        rules = [fit(sample(seed, 200, lambda s: 0.6), **MARKS, kind=kind) for seed in range(100)]
        assert sum(rule.feasible for rule in rules) <= 12  # 5 are expected at most


def test_a_critic_that_is_worse_than_a_coin_cannot_do_it():
    rule = fit(sample(0, 400, lambda s: s), **MARKS)
    assert not rule.feasible
    assert "abstains from 4" in rule.why  # 49 % are wrong: 39 % and more


def test_a_critic_that_gives_everything_the_same_score_cannot_do_it():
    rule = fitted(*[(0.5, True)] * 50, *[(0.5, False)] * 50)
    assert rule.why.startswith("even the answers with the highest scores are wrong too often for a risk of 0.1: 50%")


def test_a_critic_that_always_abstains_cannot_do_it():
    for kind in ("joint", "selective"):
        assert not fitted(*[(None, True)] * 100, kind=kind).feasible


def test_nothing_at_all_is_too_few():
    for kind in ("joint", "selective"):
        assert "0 questions show nothing" in fitted(kind=kind).why


def test_a_useless_share_is_infeasible_and_can_be_asked_for():
    pairs = [(0.9, True)] * 9 + [(0.5, False)] * 60 + [(0.4, True)] * 131
    assert "4.5% of the questions would be accepted and right, below 5%" in fitted(*pairs, alpha=0.05).why
    assert fitted(*pairs, alpha=0.05, least=0.03).threshold == 0.9


@pytest.mark.parametrize(
    ("wrong", "kind", "share"), [(0.55, "joint", 0.45), (0.55, "selective", 0.5), (0.05, "joint", 0), (1, "joint", 0.9)]
)
def test_the_floor_is_what_a_perfect_critic_abstains_from(wrong: float, kind, share: float):
    assert least_abstained(wrong, 0.1, kind) == pytest.approx(share)


def test_the_coin_is_fishers_exact_test():
    # 3 of 10 accepted, 4 of 10 wrong: P(no mistake) = C(6, 3) / C(10, 3), P(one) = 4 C(6, 2) / C(10, 3).
    assert risk._drawn(0, 3, 4, 10) == pytest.approx(20 / 120)
    assert risk._drawn(1, 3, 4, 10) == pytest.approx(80 / 120)
    assert risk._drawn(8, 9, 9, 10) == pytest.approx(9 / 10)


# -- what it holds for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["generator", "critic", "features"])
def test_another_generator_critic_or_version_of_features_ends_the_guarantee(other: str):
    rule = fit(cases(*GOOD), **MARKS, features="length 1")
    same = {**MARKS, "features": "length 1"}
    assert rule.accepts(0.9, **same)
    with pytest.raises(TaskError, match=rf"fitted for {other} {same[other]!r} and is asked about 'new'.*exchangeable"):
        rule.accepts(0.9, **{**same, other: "new"})


def test_features_cannot_be_left_out_where_the_critic_had_some():
    with pytest.raises(TaskError, match="features 'length 1' and is asked about ''"):
        fit(cases(*GOOD), **MARKS, features="length 1").accepts(0.9, **MARKS)


def test_an_infeasible_rule_refuses_other_generators_too():
    with pytest.raises(TaskError, match="exchangeable"):
        fitted().accepts(0.9, generator="another", critic="judge")


# -- as JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [GOOD, []])
def test_a_rule_goes_to_json_and_back(pairs):
    rule = fitted(*pairs)
    assert Rule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "no rule of schema 1"),
        ({"schema": True}, "no rule of schema 1"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"threshold": None}, "a reason why"),
        ({"alpha": 1.5}, "alpha"),
        ({"delta": 0}, "delta"),
        ({"n": 1.5}, "n: "),
        ({"kind": "other"}, "kind"),
        ({"accepted": 0.0, "mistaken": 0.5}, "do not fit"),
        ({"generator": None}, "generator"),
        ({"coming": 0.5}, "coming"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_changed_file_is_refused(change: dict[str, object], said: str):
    with pytest.raises(TaskError, match=said):
        Rule.from_json({**fitted(*GOOD).to_json(), **change})


@pytest.mark.parametrize("told", [None, [], "rule", {}, 1])
def test_what_is_no_rule_is_refused(told):
    with pytest.raises(TaskError, match="no rule of schema 1"):
        Rule.from_json(told)


# -- wrong input ----------------------------------------------------------------------------------------------------


def test_two_answers_of_a_question_are_refused():
    with pytest.raises(TaskError, match="'q' has more than one case"):
        fit([Case("q", 0.5, True), Case("q", 0.6, True)], **MARKS)


@pytest.mark.parametrize(
    "how",
    [
        {"alpha": 0},
        {"alpha": 1},
        {"delta": 0},
        {"kind": "both"},
        {"least": 1.5},
        {"coming": -1},
        {"kind": "selective", "coming": 9},
    ],
)
def test_levels_that_cannot_be_are_refused(how):
    with pytest.raises(TaskError, match="expected"):
        fitted(*GOOD, **how)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "0.5"])
def test_a_score_that_is_no_finite_number_is_refused(score):
    with pytest.raises(TaskError, match="finite number"):
        Case("q", score, right=True)
    with pytest.raises(TaskError, match="finite number"):
        fitted(*GOOD).accepts(score, **MARKS)


def test_an_answer_that_is_half_right_is_refused():
    with pytest.raises(TaskError, match=r"right is 0\.5"):
        Case("q", 0.5, 0.5)
