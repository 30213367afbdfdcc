"""Arms: posteriors worked out by hand, draws that have their moments, and what is in flight."""

from math import inf, log, sqrt
from random import Random
from statistics import fmean, median

import pytest

from thoughtgraph.search.arms import Arm, Beta, Gaussian, ucb


def seen(arm, *rewards: float):
    for reward in rewards:
        arm.see(reward)
    return arm


def test_a_gaussian_arm_begins_with_its_prior():
    assert Gaussian().posterior == (0.0, 1.0, 1.0, pytest.approx(0.1))


def test_a_gaussian_posterior_is_the_one_worked_out_by_hand():
    # kappa = nu = 1 + 2; m = (.8 + .4) / 3; nu tau2 = .1 + (.04 + .04 around .6) + 1 * 2 / 3 * .6^2 = .1 + .08 + .24.
    m, kappa, nu, tau2 = seen(Gaussian(), 0.8, 0.4).posterior
    assert (kappa, nu) == (3.0, 3.0)
    assert m == pytest.approx(0.4)
    assert tau2 == pytest.approx(0.42 / 3)


def test_a_gaussian_draw_has_the_posteriors_median_and_spread():
    """The marginal of mu is Student's t with nu degrees at m, scaled by sqrt(tau2 / kappa); for nu=3 see the tables."""
    arm, rng = seen(Gaussian(), 0.8, 0.4), Random(0)
    draws = sorted(arm.draw(rng) for _ in range(20_000))
    assert median(draws) == pytest.approx(0.4, abs=0.01)
    assert draws[15_000] - 0.4 == pytest.approx(0.7649 * sqrt(0.14 / 3), rel=0.05)


def test_a_gaussian_arm_that_saw_one_reward_again_and_again_is_sure_of_it():
    arm, rng = seen(Gaussian(), *[0.5] * 99), Random(0)
    assert arm.posterior[0] == pytest.approx(0.495)
    assert all(abs(arm.draw(rng) - 0.495) < 0.05 for _ in range(200))


def test_a_beta_posterior_adds_rewards_to_one_side_and_what_they_lack_to_the_other():
    assert Beta().posterior == (0.5, 0.5)
    assert seen(Beta(), 0.8, 0.4).posterior == pytest.approx((1.7, 1.3))


def test_a_beta_draw_has_the_posteriors_mean():
    arm, rng = seen(Beta(), 0.8, 0.4), Random(0)
    assert fmean(arm.draw(rng) for _ in range(20_000)) == pytest.approx(1.7 / 3, abs=0.01)


def test_draws_in_flight_count_as_rewards_at_the_mean():
    """The posterior is the one of an arm that has seen its own mean three times more."""
    flying = seen(Gaussian(), 0.8, 0.4)
    flying.pending = 3
    m, kappa, nu, tau2 = flying.posterior
    assert (m, kappa, nu) == (pytest.approx(0.4), 6.0, 6.0)
    assert tau2 == pytest.approx(0.42 / 6)
    assert flying.posterior == pytest.approx(seen(Gaussian(), 0.8, 0.4, 0.4, 0.4, 0.4).posterior)
    chance = seen(Beta(), 0.8, 0.4)
    chance.pending = 3
    mean = 1.7 / 3
    assert chance.posterior == pytest.approx((1.7 + 3 * mean, 1.3 + 3 * (1 - mean)))


@pytest.mark.parametrize("kind", [Gaussian, Beta])
def test_what_is_in_flight_is_drawn_for_less_often_among_equals(kind: type[Gaussian | Beta]):
    rng = Random(0)
    arms = [seen(kind(), 0.5) for _ in range(4)]
    arms[0].pending = 8
    chosen = [max(range(4), key=lambda i: arms[i].draw(rng)) for _ in range(4000)]
    assert chosen.count(0) < 0.18 * 4000  # a quarter without anything in flight
    arms[0].pending = 0
    again = [max(range(4), key=lambda i: arms[i].draw(rng)) for _ in range(4000)]
    assert again.count(0) == pytest.approx(1000, rel=0.1)


def test_an_upper_confidence_bound_is_the_mean_and_a_bonus_for_the_rarely_tried():
    arms: list[Arm] = [seen(Gaussian(), 0.5, 0.7), seen(Gaussian(), 0.2), Gaussian()]
    assert ucb(arms[0], arms) == pytest.approx(0.6 + sqrt(2) * sqrt(log(3) / 2))
    assert ucb(arms[1], arms, c=1.0) == pytest.approx(0.2 + sqrt(log(3)))
    assert ucb(arms[2], arms) == inf


def test_a_batch_under_ucb_does_not_go_to_one_arm_alone():
    arms: list[Arm] = [seen(Beta(), 0.6), seen(Beta(), 0.5)]
    for _ in range(8):
        max(arms, key=lambda arm: ucb(arm, arms)).pending += 1
    assert [arm.pending for arm in arms] == [4, 4]
