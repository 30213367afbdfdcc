"""Linear rewards: logistic regression (Cox, 1958) and Bradley-Terry, by Newton's method, with a fitted L2 penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import Array, Columns, arrays, floats

PENALTIES = (1000.0, 200.0, 40.0, 8.0, 1.0)
"""What is tried for lambda, in units of one standardised row, the simplest model first."""


@dataclass(frozen=True)
class Linear:
    """A weighted sum of standardised columns: a logit, or a reward."""

    columns: Columns
    weights: tuple[float, ...]
    bias: float = 0.0
    kind: Literal["linear"] = "linear"

    def __post_init__(self) -> None:
        if len(self.weights) != self.columns.width:
            raise TaskError(f"{len(self.weights)} weights for {self.columns.width} columns: expected one for each")

    @property
    def width(self) -> int:
        """How many columns a table must have."""
        return len(self.columns.low)

    def __call__(self, X: Array) -> Array:
        """The logit or reward of each row of X (n, d), with NaN where something is missing."""
        np = arrays()
        return self.columns(X) @ np.array(self.weights) + self.bias


def logistic(X: Array, y: Array, w: Array) -> Linear:
    """Equation 9: the weights that minimise -Σ w [y log σ(z) + (1 - y) log(1 - σ(z))]."""
    np = arrays()
    columns = Columns.of(X)
    Z = np.hstack([columns(X), np.ones((len(X), 1))])
    beta = penalised(Z, y, w, np.zeros(len(X)), free=1)
    return Linear(columns, floats(beta[:-1]), float(beta[-1]))


def bradley_terry(better: Array, worse: Array, t: Array, w: Array, margin: Array) -> Linear:
    """Equation 4: the weights that minimise -Σ w [t log σ(Δ) + (1 - t) log(1 - σ(Δ))], Δ = r⁺ - r⁻ - m.

    Rewards are known up to a constant: their mean over all that was compared is made 0.
    """
    np = arrays()
    columns = Columns.of(np.vstack([better, worse]))
    up, down = columns(better), columns(worse)
    beta = penalised(up - down, t, w, -margin, free=0)
    middle: Array = (up + down) @ beta / 2
    return Linear(columns, floats(beta), -float(middle.mean()))


def penalised(Z: Array, t: Array, w: Array, offset: Array, free: int) -> Array:
    """The weights β at the penalty that predicts best: the least -log likelihood + degrees of freedom (AIC).

    The degrees are effective ones, tr((H + lambda)^-1 H). The last `free` columns are not penalised.
    """
    np = arrays()
    beta, best = np.zeros(Z.shape[1]), (float("inf"), 0.0, np.zeros(Z.shape[1]))
    shape = np.array([1.0] * (Z.shape[1] - free) + [0.0] * free)
    for penalty in PENALTIES:
        beta, H = newton(Z, t, w, offset, beta, penalty * shape, near=1e-5)
        freedom = np.linalg.solve(H + np.diag(penalty * shape + 1e-9), H).trace()
        found = (loss(Z @ beta + offset, t, w) + float(freedom), penalty, beta)
        if found[0] > best[0]:  # from here on it only follows the noise more closely
            break
        best = found
    _, penalty, beta = best
    return newton(Z, t, w, offset, beta, penalty * shape)[0]


def newton(
    Z: Array, t: Array, w: Array, offset: Array, beta: Array, penalty: Array, near: float = 1e-10
) -> tuple[Array, Array]:
    """Newton's method with halved steps: β where no row gains `near` any more, and the Hessian of the loss there."""
    np = arrays()

    def total(beta: Array) -> float:
        return loss(Z @ beta + offset, t, w) + float(penalty @ beta**2) / 2

    now = total(beta)
    hessian: Array = np.zeros((len(beta), len(beta)))
    for _ in range(100):
        p: Array = sigmoid(Z @ beta + offset)
        A = Z * np.sqrt(w * p * (1 - p))[:, None]
        hessian = A.T @ A
        step: Array = np.linalg.solve(hessian + np.diag(penalty + 1e-9), Z.T @ (w * (t - p)) - penalty * beta)
        while total(beta + step) > now and np.abs(step).max() > 1e-12:
            step /= 2
        before, now = now, min(now, total(beta + step))
        if now < before:
            beta = beta + step
        if now >= before - near * len(Z):
            break
    return beta, hessian


def loss(z: Array, t: Array, w: Array) -> float:
    """-Σ w [t log σ(z) + (1 - t) log(1 - σ(z))]."""
    np = arrays()
    return float(np.sum(w * (np.logaddexp(0, z) - t * z)))


def sigmoid(z: Array) -> Array:
    """σ(z) = 1 / (1 + exp(-z)), without overflow."""
    np = arrays()
    return 0.5 * (1 + np.tanh(np.asarray(z, dtype=float) / 2))
