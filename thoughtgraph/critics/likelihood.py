"""The likelihood of verdicts on pairs, climbed by Newton's steps: half-wins, Rao & Kupper (1967), Davidson (1970).

x = gamma_k (s_i - s_j) + b_k says how far a verdict of judge k leans to the candidate i that is shown first; the three
functions say what a win, a loss and a tie are worth at x, and `Likelihood` finds all parameters at once. Nothing here
is for a critic's user: `bradley_terry.fit` is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp
from typing import Any, Literal, TypeAlias

from thoughtgraph.errors import TaskError

Ties: TypeAlias = Literal["half", "rao-kupper", "davidson"]
"""What a tie is: half a win for each, or an outcome of its own with a fitted parameter."""

Tally: TypeAlias = Mapping[tuple[int, int, float, str], float]
"""The weight of each (first, second, won, judge), sorted."""

Slopes: TypeAlias = tuple[Any, Any, Any, Any, Any, Any]
"""Of each row: the log-likelihood, its slopes in x and in the tie parameter t, and minus its curvatures xx, xt, tt."""


def _half(x: Any, won: Any, t: float) -> Slopes:
    """A tie is half a win: won log sigma(x) + (1 - won) log sigma(-x)."""
    np = numpy()
    p, q, none = _sigmas(x), _sigmas(-x), np.zeros_like(x)
    return -won * np.logaddexp(0, -x) - (1 - won) * np.logaddexp(0, x), won * q - (1 - won) * p, none, p * q, none, none


def _davidson(x: Any, won: Any, t: float) -> Slopes:
    """Davidson (1970): first : second : tie = e^(x/2) : e^(-x/2) : nu, with nu = e^t."""
    np = numpy()
    whole = np.logaddexp(np.logaddexp(x / 2, -x / 2), t)
    p1, p2, p0, tied = np.exp(x / 2 - whole), np.exp(-x / 2 - whole), np.exp(t - whole), won == 0.5
    gx, gt = won * (p2 + p0 / 2) - (1 - won) * (p1 + p0 / 2), tied * (p1 + p2) - (1 - tied) * p0
    hxx, hxt, htt = p1 * p2 + p0 * (p1 + p2) / 4, (p2 - p1) * p0 / 2, p0 * (p1 + p2)
    return (won - 0.5) * x + tied * t - whole, gx, gt, hxx, hxt, htt


def _rao_kupper(x: Any, won: Any, t: float) -> Slopes:
    """Rao & Kupper (1967): the first wins with sigma(x - t), the second with sigma(-x - t), theta = e^t >= 1."""
    np = numpy()
    if t <= 0:
        return (np.full_like(x, -np.inf), *[np.zeros_like(x)] * 5)
    tied, rest = won == 0.5, exp(-2 * t)  # sigma(t + x) sigma(t - x) (1 - e^(-2t)): what the other two leave
    one, two = 1.0 * (won > 0), 1.0 * (won < 1)
    u, v = np.where(tied, t + x, x - t), np.where(tied, t - x, -x - t)
    p, q, not_p, not_q = _sigmas(u), _sigmas(v), _sigmas(-u), _sigmas(-v)
    sign = np.where(tied, 1.0, -1.0)
    value = -one * np.logaddexp(0, -u) - two * np.logaddexp(0, -v) + tied * np.log1p(-rest)
    gx, gt = one * not_p - two * not_q, sign * (one * not_p + two * not_q) + tied * 2 * rest / (1 - rest)
    a, b = one * p * not_p, two * q * not_q
    return value, gx, gt, a + b, sign * (a - b), a + b + tied * 4 * rest / (1 - rest) ** 2


def _sigmas(x: Any) -> Any:
    np = numpy()
    return np.exp(-np.logaddexp(0, -x))


LIKELIHOODS: Mapping[Ties, Callable[[Any, Any, float], Slopes]] = {
    "half": _half, "rao-kupper": _rao_kupper, "davidson": _davidson,
}  # fmt: skip


class Likelihood:
    """The penalised log-likelihood of z = (s, b, u, t) and the way to its maximum.

    gamma = 1 + Q u, where the columns of Q are orthogonal to 1: the mean reliability is 1, which says what the
    strengths are measured in.
    """

    def __init__(self, tally: Tally, n: int, phantom: float, ties: Ties, *, bias: bool, reliability: bool) -> None:
        np = numpy()
        self.np: Any = np
        self.n, self.phantom = n, phantom
        self.judges = sorted({judge for *_, judge in tally})
        fitted = ties != "half" and (phantom > 0 or any(won == 0.5 for _, _, won, _ in tally))
        self.asked: Ties = ties
        self.ties: Ties = ties if fitted else "half"
        self.bias = bias and bool(self.judges)
        self.Q = _contrasts(len(self.judges) if reliability else 0)
        rows = [(i, j, self.judges.index(judge), won, w) for (i, j, won, judge), w in tally.items()]
        self.i, self.j, self.k = (np.array([row[at] for row in rows], int) for at in range(3))
        self.won, self.w = (np.array([row[at] for row in rows], float) for at in (3, 4))
        self.b = n
        self.u = n + len(self.judges) * self.bias
        self.t = self.u + self.Q.shape[1]
        self.size = self.t + (self.ties != "half")

    # -- reading z -------------------------------------------------------------------------------------------------

    def gamma(self, z: Any) -> Any:
        """The reliability of each judge; 1 where none is fitted."""
        return 1 + self.Q @ z[self.u : self.t] if self.Q.shape[1] else self.np.ones(max(len(self.judges), 1))

    def strengths(self, z: Any) -> tuple[list[float], list[list[float]]]:
        """The centred strengths and their covariance."""
        _, _, *curvature = self.at(z)
        whole = self.np.linalg.inv(self._known(*curvature))[: self.n, : self.n]
        s = z[: self.n] - z[: self.n].mean()
        rows = whole - whole.mean(axis=0)
        return s.tolist(), (rows - rows.mean(axis=1, keepdims=True)).tolist()

    def biases(self, z: Any) -> dict[str, float]:
        """The bias of each judge; 0 where none is fitted."""
        b = z[self.b : self.u].tolist() if self.bias else [0.0] * len(self.judges)
        return dict(zip(self.judges, b, strict=True))

    def reliabilities(self, z: Any) -> dict[str, float]:
        """The reliability of each judge, by name."""
        return dict(zip(self.judges, self.gamma(z).tolist(), strict=False))

    def tie(self, z: Any) -> float | None:
        """Theta or nu, at its end where no tie was seen and no phantom plays; None for half-wins."""
        if self.asked == "half":
            return None
        return exp(float(z[self.t])) if self.ties != "half" else 1.0 if self.asked == "rao-kupper" else 0.0

    # -- climbing --------------------------------------------------------------------------------------------------

    def highest(self, s: Sequence[float]) -> Any:
        """Newton's steps from Newman's strengths, until one moves nothing or gains nothing."""
        z, left = self.np.zeros(self.size), float("inf")
        z[: self.n], z[self.t :] = s, 0.5
        for _ in range(200):
            value, gradient, *curvature = self.at(z)
            step = self._uphill(z, value, self.np.linalg.solve(self._known(*curvature), gradient))
            z, left = z + step, abs(gradient @ step) / (1 + abs(value))
            if abs(step).max() < 1e-10 or abs(gradient @ step) < 1e-15 * min(1, abs(value)):
                return z
        if left < 1e-7:  # rounding leaves no more of a top this flat
            return z
        raise TaskError("the likelihood has no maximum that could be found: use phantom > 0, or collect more verdicts")

    def _uphill(self, z: Any, value: float, step: Any) -> Any:
        """The step, no longer than can be computed with, and halved until it goes up."""
        step = step / max(1.0, abs(step).max() / 100)
        while abs(step).max() > 1e-13 and not self.at(z + step)[0] >= value - 1e-12 * (1 + abs(value)):
            step = step / 2
        return step

    def _known(self, information: Any, twist: Any) -> Any:
        """Minus the Hessian where it is a bowl, else without its twist; without a phantom the sum of s is held."""
        np = self.np
        held = np.zeros_like(information)
        held[: self.n, : self.n] = 0.0 if self.phantom else 1 / self.n
        for known in (information - twist + held, information + held):
            if _is_bowl(known):
                return known
        if self.phantom:  # the prior is lost in rounding
            return information + 1e-12 * abs(information).max() * np.eye(self.size)
        raise TaskError(
            "the verdicts leave a parameter without end, or do not tell two apart (a place from a strength, say, "
            "where pairs were not shown in both orders): use phantom > 0 or bias=False, or collect more verdicts"
        )

    def at(self, z: Any) -> tuple[float, Any, Any, Any]:
        """The value and its gradient at z; minus its curvature where x counts as linear in z, and what that leaves."""
        np, t = self.np, float(z[self.t]) if self.ties != "half" else 0.0
        x, columns = self._rows(z)
        value, gx, gt, hxx, hxt, htt = (self.w * part for part in LIKELIHOODS[self.ties](x, self.won, t))
        total, gradient, information = float(value.sum()), np.zeros(self.size), np.zeros((self.size, self.size))
        for a, slope in columns:
            np.add.at(gradient, a, gx * slope)
            for b, other in columns:
                np.add.at(information, (a, b), hxx * slope * other)
            if self.ties != "half":
                np.add.at(information, (a, self.t), hxt * slope)
                np.add.at(information, (self.t, a), hxt * slope)
        if self.ties != "half":
            gradient[self.t] += gt.sum()
            information[self.t, self.t] += htt.sum()
        total += self._prior(z, t, gradient, information)
        return total, gradient, information, self._twist(gx)

    def _rows(self, z: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Each row's x, and dx/dz as (where, how much): gamma on i, -gamma on j, 1 on b, (s_i - s_j) Q on u."""
        gamma = self.gamma(z)[self.k]
        d = z[self.i] - z[self.j]
        columns = [(self.i, gamma), (self.j, -gamma)]
        columns += [(self.b + self.k, self.np.ones_like(d))] if self.bias else []
        columns += [(self.np.full_like(self.k, self.u + c), d * self.Q[self.k, c]) for c in range(self.Q.shape[1])]
        return gamma * d + (z[self.b + self.k] if self.bias else 0.0), columns

    def _twist(self, gx: Any) -> Any:
        """What is curved in x itself, a product of s and gamma: zero where no reliability is fitted."""
        twist = self.np.zeros((self.size, self.size))
        for c in range(self.Q.shape[1]):
            bent = gx * self.Q[self.k, c]
            for place, sign in ((self.i, 1), (self.j, -1)):
                self.np.add.at(twist, (place, self.u + c), sign * bent)
                self.np.add.at(twist, (self.u + c, place), sign * bent)
        return twist

    def _prior(self, z: Any, t: float, gradient: Any, information: Any) -> float:
        """The phantom's games, the pairs of equals, the normal on u and the verdict on equals that is half a tie."""
        if not self.phantom:
            return 0.0
        np, w, at = self.np, self.phantom, self.np.arange(self.u)
        value, g, _, h, _, _ = _half(z[: self.u], 0.5, 0.0)
        gradient[at] += w * g
        information[at, at] += w * h
        u = np.arange(self.u, self.t)
        gradient[u] -= w * z[u]
        information[u, u] += w
        total = w * float(value.sum()) - w / 2 * float((z[u] ** 2).sum())
        if self.ties != "half":
            equals = LIKELIHOODS[self.ties](np.zeros(3), np.array([1.0, 0.0, 0.5]), t)
            value, _, gt, _, _, htt = (float(w * part @ np.array([0.25, 0.25, 0.5])) for part in equals)
            gradient[self.t] += gt
            information[self.t, self.t] += htt
            total += value
        return total


def _is_bowl(matrix: Any) -> bool:
    """Whether a matrix is positive definite, by more than rounding."""
    np = numpy()
    try:
        roots = np.linalg.cholesky(matrix).diagonal()
    except np.linalg.LinAlgError:
        return False
    return bool((roots.min() / roots.max()) ** 2 > 1e-12)


def _contrasts(judges: int) -> Any:
    """Helmert's contrasts: `judges` rows, one column less, orthonormal and orthogonal to 1."""
    np = numpy()
    Q = np.zeros((judges, max(judges - 1, 0)))
    for c in range(judges - 1):
        Q[: c + 1, c], Q[c + 1, c] = 1, -(c + 1)
        Q[:, c] /= np.sqrt((c + 1) * (c + 2))
    return Q


def numpy() -> Any:
    """The package, imported when it is used; its types are not known alike in all of its versions."""
    import numpy

    return numpy
