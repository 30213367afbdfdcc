"""A small network as a reward, trained with torch where it is there, kept as plain numbers and scored with numpy."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import Array, Columns, arrays, floats
from thoughtgraph.learning.trees import wanted

Matrix: TypeAlias = tuple[tuple[float, ...], ...]

HIDDEN = 32
STEPS = 300


@dataclass(frozen=True)
class Network:
    """One hidden layer of tanh units over standardised columns: a logit, or a reward.

    `inner` is (hidden, width), `outer` and `inner_bias` are (hidden,).
    """

    columns: Columns
    inner: Matrix
    inner_bias: tuple[float, ...]
    outer: tuple[float, ...]
    bias: float = 0.0
    kind: Literal["network"] = "network"

    def __post_init__(self) -> None:
        if {len(row) for row in self.inner} - {self.columns.width}:
            raise TaskError(f"the network's layer does not fit: expected {self.columns.width} weights a unit")
        if not len(self.inner) == len(self.inner_bias) == len(self.outer):
            raise TaskError("the network's layers do not fit each other: expected as many units in each")

    @property
    def width(self) -> int:
        """How many columns a table must have."""
        return len(self.columns.low)

    def __call__(self, X: Array) -> Array:
        """The logit or reward of each row of X (n, d), with NaN where something is missing."""
        np = arrays()
        inner, inner_bias, outer = self._arrays
        return np.tanh(self.columns(X) @ inner.T + inner_bias) @ outer + self.bias

    @cached_property
    def _arrays(self) -> tuple[Array, Array, Array]:
        np = arrays()
        inner = np.array(self.inner).reshape(len(self.inner), self.columns.width)
        return inner, np.array(self.inner_bias), np.array(self.outer)


def classifying(X: Array, y: Array, w: Array, seed: int) -> Network:
    """Equation 9, by gradient descent."""
    torch = wanted("torch", "torch")
    columns = Columns.of(X)
    Z, t, weight = (torch.tensor(part) for part in (columns(X), y, w))

    def loss(reward: Callable[[Any], Any]) -> Any:
        z = reward(Z)
        return (weight * (torch.nn.functional.softplus(z) - t * z)).mean()

    return _descended(columns, loss, seed)


def comparing(better: Array, worse: Array, t: Array, w: Array, margin: Array, seed: int) -> Network:
    """Equation 4, by gradient descent; the mean reward of what was compared is made 0."""
    np = arrays()
    torch = wanted("torch", "torch")
    both = np.vstack([better, worse])
    columns = Columns.of(both)
    up, down, target, weight, m = (torch.tensor(part) for part in (columns(better), columns(worse), t, w, margin))

    def loss(reward: Callable[[Any], Any]) -> Any:
        z = reward(up) - reward(down) - m
        return (weight * (torch.nn.functional.softplus(z) - target * z)).mean()

    network = _descended(columns, loss, seed)
    return replace(network, bias=network.bias - float(network(both).mean()))


def _descended(columns: Columns, loss: Callable[[Callable[[Any], Any]], Any], seed: int) -> Network:
    """The network that the loss leads to: AdamW over all rows at once, in double precision, on one thread."""
    torch = wanted("torch", "torch")
    with _alone(torch, seed):
        inner: Any = torch.nn.Linear(columns.width, HIDDEN, dtype=torch.float64)
        outer: Any = torch.nn.Linear(HIDDEN, 1, dtype=torch.float64)
        descent: Any = torch.optim.AdamW([*inner.parameters(), *outer.parameters()], lr=0.01, weight_decay=0.1)
        for _ in range(STEPS):
            descent.zero_grad()
            loss(lambda Z: outer(torch.tanh(inner(Z)))[:, 0]).backward()
            descent.step()
        layers = [part.detach().numpy() for part in (inner.weight, inner.bias, outer.weight, outer.bias)]
    rows = tuple(floats(row) for row in layers[0])
    return Network(columns, rows, floats(layers[1]), floats(layers[2][0]), float(layers[3][0]))


@contextmanager
def _alone(torch: Any, seed: int) -> Generator[None]:
    """Random numbers of our own and one thread, so that the same seed gives the same network; all put back after."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
