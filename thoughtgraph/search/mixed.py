"""The mixed model of AB-MCTS-M (Inoue et al., 2025): rewards come in groups, and groups differ.

    y = alpha_j + sigma_y e,   alpha_j = mu + sigma_a z_j,   mu ~ N(1/2, 0.2),   sigma_a ~ HN(0.2),   sigma_y ~ HN(0.3)

with e and z_j from N(0, 1). Given both sigmas all the rest is normal and worked out, so that only they need numbers: a
grid at the quantiles of their priors, weighted by the likelihood. No Markov chain has to converge, and it takes
milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, product
from math import exp, fsum, log, sqrt
from random import Random
from statistics import NormalDist
from typing import NamedTuple

MU, SPREAD = 0.5, 0.2
"""Mean and standard deviation of mu."""

GRID = 20
"""How many values each sigma can have."""


class Group(NamedTuple):
    """`n` rewards in a group: their mean, and the sum of their squared deviations from it."""

    n: int
    mean: float
    squares: float


def group(rewards: Sequence[float], pending: int = 0) -> Group:
    """A group of at least one reward; those in flight count as seen at the mean."""
    mean = fsum(rewards) / len(rewards)
    return Group(len(rewards) + pending, mean, fsum((y - mean) ** 2 for y in rewards))


def predict(groups: Sequence[Group], new: int, rng: Random) -> list[float]:
    """Posterior predictive draws: of one more reward in each group, and then of the first ones of `new` groups."""
    a, y = sigmas(groups, rng)
    mu = rng.gauss(*center(groups, a, y))
    alphas = [rng.gauss(*level(one, mu, a, y)) for one in groups]
    alphas += [rng.gauss(mu, a) for _ in range(new)]
    return [rng.gauss(alpha, y) for alpha in alphas]


def sigmas(groups: Sequence[Group], rng: Random) -> tuple[float, float]:
    """A draw of sigma_a and sigma_y."""
    fits = [likelihood(groups, a, y) for a, y in SIGMAS]
    most = max(fits)
    heaps = list(accumulate(exp(fit - most) for fit in fits))
    return rng.choices(SIGMAS, cum_weights=heaps)[0]


def likelihood(groups: Sequence[Group], a: float, y: float) -> float:
    """Log of the likelihood of all rewards given the sigmas, but for a constant.

    Within groups sum_j -(n_j - 1) ln sigma_y - S_j / 2 sigma_y^2; the means are normal around mu, with
    v_j = sigma_a^2 + sigma_y^2 / n_j, and mu is integrated out.
    """
    variances = [a * a + y * y / n for n, _, _ in groups]
    within = sum((1 - n) * log(y) - squares / (2 * y * y) for n, _, squares in groups)
    between = -sum(log(v) + (one.mean - MU) ** 2 / v for one, v in zip(groups, variances, strict=True)) / 2
    m, sd = center(groups, a, y)
    return within + between + log(sd) + ((m - MU) / sd) ** 2 / 2


def center(groups: Sequence[Group], a: float, y: float) -> tuple[float, float]:
    """Mean and standard deviation of mu given the sigmas."""
    weights = [1 / (a * a + y * y / n) for n, _, _ in groups]
    precision = 1 / SPREAD**2 + sum(weights)
    pull = sum(w * (one.mean - MU) for one, w in zip(groups, weights, strict=True))
    return MU + pull / precision, 1 / sqrt(precision)


def level(one: Group, mu: float, a: float, y: float) -> tuple[float, float]:
    """Mean and standard deviation of alpha_j given mu and the sigmas."""
    prior, seen = 1 / (a * a), one.n / (y * y)
    return (prior * mu + seen * one.mean) / (prior + seen), 1 / sqrt(prior + seen)


def half_normal(scale: float) -> list[float]:
    """The middles of GRID slices of equal probability."""
    return [scale * NormalDist().inv_cdf(0.5 + (i + 0.5) / (2 * GRID)) for i in range(GRID)]


SIGMAS = list(product(half_normal(0.2), half_normal(0.3)))
"""Every pair of sigma_a and sigma_y on the grid, equally likely before anything is seen."""
