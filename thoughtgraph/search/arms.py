"""Bandit arms: draws from a posterior, Gaussian or beta (Thompson, 1933), and UCB1 (Auer et al., 2002).

What is in flight behind an arm counts as draws at the arm's mean: its posterior narrows and stays where it is, so that
many workers spread over what is equally good before the first of them is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from random import Random
from typing import Protocol

from thoughtgraph.search.tree import uct

KAPPA, NU, TAU2 = 1.0, 1.0, 0.1
"""The normal-inverse-gamma prior, of mean 0: it weighs as much as one reward, and has seen the variance 0.1 once."""

JEFFREYS = 0.5
"""Both parameters of the beta prior."""


class Arm(Protocol):
    """What was seen of one choice: `count` rewards in [0, 1] that sum up to `total`, and `pending` ones in flight."""

    count: int
    total: float
    pending: int

    def see(self, reward: float) -> None:
        """Learn a reward."""
        ...

    def draw(self, rng: Random) -> float:
        """A mean reward that is plausible, drawn from its posterior."""
        ...


class Gaussian:
    """Rewards of unknown mean and variance, under a normal-inverse-gamma prior (Inoue et al., 2025: AB-MCTS-A)."""

    __slots__ = ("count", "pending", "squares", "total")

    def __init__(self) -> None:
        self.count, self.pending, self.total, self.squares = 0, 0, 0.0, 0.0

    def see(self, reward: float) -> None:
        """Learn a reward."""
        self.count += 1
        self.total += reward
        self.squares += reward * reward

    @property
    def posterior(self) -> tuple[float, float, float, float]:
        """The parameters m, kappa, nu and tau^2; a draw in flight, being at m, adds nothing to nu tau^2."""
        m = self.total / (KAPPA + self.count)
        squares = NU * TAU2 + self.squares - (KAPPA + self.count) * m * m
        kappa, nu = (prior + self.count + self.pending for prior in (KAPPA, NU))
        return m, kappa, nu, squares / nu

    def draw(self, rng: Random) -> float:
        """Draw sigma^2 from nu tau^2 / chi^2(nu), and then mu from N(m, sigma^2 / kappa)."""
        m, kappa, nu, tau2 = self.posterior
        variance = nu * tau2 / rng.gammavariate(nu / 2, 2)
        return rng.gauss(m, sqrt(variance / kappa))


class Beta:
    """Rewards as chances of success, under Jeffreys' prior Beta(1/2, 1/2): a += r and b += 1 - r."""

    __slots__ = ("count", "pending", "total")

    def __init__(self) -> None:
        self.count, self.pending, self.total = 0, 0, 0.0

    def see(self, reward: float) -> None:
        """Learn a reward."""
        self.count += 1
        self.total += reward

    @property
    def posterior(self) -> tuple[float, float]:
        """A and b; a draw in flight is shared out as they are."""
        a, b = JEFFREYS + self.total, JEFFREYS + self.count - self.total
        more = 1 + self.pending / (a + b)
        return a * more, b * more

    def draw(self, rng: Random) -> float:
        """A chance of success."""
        return rng.betavariate(*self.posterior)


def ucb(arm: Arm, arms: Iterable[Arm], c: float = sqrt(2)) -> float:
    """The upper confidence bound of `arm` among `arms`: mean + c sqrt(ln N / n); what nobody tried comes first."""
    n, tried = arm.count + arm.pending, sum(one.count + one.pending for one in arms)
    return uct(arm.total / arm.count if arm.count else 0.0, n, tried, 1.0, c)
