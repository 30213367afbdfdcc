"""The mixed model of AB-MCTS-M, against posteriors got otherwise."""

from collections.abc import Sequence
from math import exp, log, pi, sqrt
from random import Random
from statistics import fmean

import pytest

from thoughtgraph.search.mixed import SIGMAS, Group, center, group, level, likelihood, predict, sigmas


def test_a_group_is_its_size_its_mean_and_its_squares():
    assert group([0.2, 0.4, 0.9]) == (3, pytest.approx(0.5), pytest.approx(0.09 + 0.01 + 0.16))
    assert group([0.2, 0.4], pending=2) == (4, pytest.approx(0.3), pytest.approx(0.02))


def test_the_sigmas_are_the_quantiles_of_their_half_normal_priors():
    a, y = sorted({a for a, _ in SIGMAS}), sorted({y for _, y in SIGMAS})
    assert len(a) == len(y) == 20
    assert (a[9] + a[10]) / 2 == pytest.approx(0.2 * 0.6745, rel=0.01)  # the median of |N(0, 1)| is 0.6745
    assert fmean(y) == pytest.approx(0.3 * sqrt(2 / pi), rel=0.03)


def test_given_the_sigmas_means_are_pulled_by_what_was_seen_as_worked_out_by_hand():
    # v = .3^2 + .4^2 / (1, 4) = .25, .13; 1 / .2^2 = 25; precision 25 + 4 + 7.6923.
    groups = [Group(1, 0.9, 0.0), Group(4, 0.3, 0.1)]
    m, sd = center(groups, 0.3, 0.4)
    assert sd == pytest.approx(1 / sqrt(36.6923), rel=1e-4)
    assert m == pytest.approx(0.5 + (4 * 0.4 + 7.6923 * -0.2) / 36.6923, rel=1e-4)
    # alpha of the second: precision 1 / .09 + 4 / .16 = 11.111 + 25.
    assert level(groups[1], 0.5, 0.3, 0.4) == pytest.approx((0.5 - 0.2 * 25 / 36.111, 1 / sqrt(36.111)), rel=1e-4)


def test_the_likelihood_of_two_rewards_is_the_one_of_the_normal_that_they_are_drawn_from():
    def density(pair: tuple[float, float], variance: float, shared: float) -> float:
        """Log density of two normal numbers around 1/2, but for a constant."""
        u, v = pair[0] - 0.5, pair[1] - 0.5
        det = variance**2 - shared**2
        return -log(det) / 2 - (variance * (u * u + v * v) - 2 * shared * u * v) / (2 * det)

    both, apart = [group([0.9, 0.4])], [group([0.9]), group([0.4])]
    for (a, y), (b, z) in [((0.1, 0.2), (0.3, 0.1)), ((0.2, 0.5), (0.05, 0.05))]:
        first, second = a * a + y * y + 0.04, b * b + z * z + 0.04
        together = density((0.9, 0.4), first, a * a + 0.04) - density((0.9, 0.4), second, b * b + 0.04)
        assert likelihood(both, a, y) - likelihood(both, b, z) == pytest.approx(together)
        alone = density((0.9, 0.4), first, 0.04) - density((0.9, 0.4), second, 0.04)
        assert likelihood(apart, a, y) - likelihood(apart, b, z) == pytest.approx(alone)


def weighed(rewards: Sequence[Sequence[float]], draws: int) -> list[float]:
    """The mean of each alpha and of a new one, by draws of the prior that the likelihood weighs: slow and plain."""
    rng, total, sums = Random(1), 0.0, [0.0] * (len(rewards) + 1)
    for _ in range(draws):
        mu, a, y = rng.gauss(0.5, 0.2), abs(rng.gauss(0, 0.2)), abs(rng.gauss(0, 0.3))
        alphas = [rng.gauss(mu, a) for _ in sums]
        errors = [(seen - alpha) / y for alpha, some in zip(alphas, rewards, strict=False) for seen in some]
        weight = exp(-sum(e * e for e in errors) / 2) / y ** len(errors)
        total += weight
        sums = [before + weight * alpha for before, alpha in zip(sums, alphas, strict=True)]
    return [one / total for one in sums]


@pytest.mark.parametrize("rewards", [[[0.9, 0.7], [0.2]], [[0.1], [0.2], [0.3]], [[0.9, 0.1, 0.8, 0.2]]])
def test_predictions_have_the_means_of_the_whole_posterior(rewards):
    groups, rng = [group(some) for some in rewards], Random(0)
    drawn = [predict(groups, 1, rng) for _ in range(800)]
    means = [fmean(column) for column in zip(*drawn, strict=True)]
    assert means == pytest.approx(weighed(rewards, 30_000), abs=0.04)


def test_with_nothing_seen_predictions_come_from_the_prior():
    rng = Random(0)
    drawn = [one for _ in range(2000) for one in predict([], 2, rng)]
    assert fmean(drawn) == pytest.approx(0.5, abs=0.03)
    assert fmean((one - 0.5) ** 2 for one in drawn) == pytest.approx(0.04 + 0.04 + 0.09, rel=0.15)


def test_equal_rewards_make_all_sigmas_small_and_different_groups_make_one_of_them_large():
    rng = Random(0)
    same = [sigmas([group([0.5] * 4)] * 6, rng) for _ in range(100)]
    assert fmean(y for _, y in same) < 0.03
    apart = [sigmas([group([0.1, 0.1]), group([0.9, 0.9]), group([0.5, 0.5])], rng) for _ in range(100)]
    assert fmean(a for a, _ in apart) > 0.2
    assert fmean(y for _, y in apart) < 0.1


def test_what_is_seen_on_one_branch_is_of_use_on_others():
    """Where refining made two answers much worse, a third one, not refined yet, is expected to be refined in vain."""

    def expected(groups: Sequence[Group]) -> float:
        rng = Random(0)
        return fmean(predict(groups, 0, rng)[-1] for _ in range(500))

    alone = expected([group([0.9])])
    among = expected([group([0.9, 0.1, 0.1]), group([0.8, 0.1, 0.1]), group([0.9])])
    assert among < alone - 0.1
