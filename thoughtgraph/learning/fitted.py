"""Fitted models: from a table of features to logits or rewards, scored with numpy alone, and no more than JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias, get_args

from pydantic import Discriminator

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning import linear, network, trees
from thoughtgraph.learning.columns import Array, arrays, table_of, targets_of, weights_of
from thoughtgraph.learning.linear import Linear
from thoughtgraph.learning.network import Network
from thoughtgraph.learning.trees import Trees
from thoughtgraph.thought import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Learner: TypeAlias = Literal["auto", "logistic", "boosted", "lightgbm", "network"]
LEARNERS: tuple[str, ...] = get_args(Learner)

MANY = 2000
"""From so many rows on, "auto" takes trees."""


class Fitted(Protocol):
    """A frozen value that scores: `width` columns in, one logit (or reward) a row out, higher is better."""

    @property
    def width(self) -> int:
        """How many columns a table must have."""
        ...

    def __call__(self, X: Array) -> Array:
        """From (n, width), NaN where something is missing, to (n,)."""
        ...


# -- fitting ---------------------------------------------------------------------------------------------------------


def fit(
    X: Array, y: Array, weight: Sequence[float] | Array | None = None, *, learner: str = "auto", seed: int = 0
) -> Linear | Trees | Network:
    """The model of P(right | row) that fits best: its logit comes out.

    X is (n, d) of finite numbers, NaN where one is missing: gaps are filled with the mean, and marked. y is in [0, 1];
    each row counts as y right ones and 1 - y wrong ones. "logistic" needs numpy alone; "boosted" is scikit-learn's
    gradient boosting, "lightgbm" LightGBM's, "network" a small one of torch's. "auto" is logistic below 2,000 rows or
    where neither library of trees is there. `TaskError` where all rows are of one class.
    """
    table = table_of(X)
    n = len(table)
    if not table.size:
        raise TaskError(f"the table has the shape {table.shape}: expected at least one row and one column")
    y, w = targets_of(y, n), weights_of(weight, n)
    for side, share in (("right", w @ y), ("wrong", w @ (1 - y))):
        if not share > 0:
            raise TaskError(f"none of {n} rows is {side}: expected some right and some wrong ones")
    match _chosen(learner, n):
        case "boosted":
            return trees.boosted(table, y, w, seed)
        case "lightgbm":
            return trees.lightgbm(table, y, w, seed)
        case "network":
            return network.classifying(table, y, w, seed)
        case _:
            return linear.logistic(table, y, w)


def fit_pairs(
    better: Array,
    worse: Array,
    weight: Sequence[float] | Array | None = None,
    margin: Sequence[float] | Array | None = None,
    target: Sequence[float] | Array | None = None,
    *,
    learner: str = "auto",
    seed: int = 0,
) -> Linear | Trees | Network:
    """Bradley-Terry (equation 4): the rewards under which `better[i]` beats `worse[i]` with probability σ(r⁺ - r⁻ - m).

    `target` is 1 where nobody says, 0.5 for a tie. Rewards are known up to a constant: their mean over what was
    compared is made 0. Trees cannot be fitted to differences: they classify what won against what lost, and their
    logit is the reward (Sun, Shen and Ton, 2025), which takes no margins. "auto" is "logistic": a linear reward.
    """
    np = arrays()
    better, worse = table_of(better), table_of(worse)
    n = len(better)
    if better.shape != worse.shape or not better.size:
        raise TaskError(f"the pairs are {better.shape} against {worse.shape}: expected tables of one shape, not empty")
    w, t = weights_of(weight, n), np.ones(n) if target is None else targets_of(target, n)
    m = np.zeros(n) if margin is None else np.asarray(margin, dtype=float)
    if m.shape != (n,) or not np.isfinite(m).all():
        raise TaskError(f"the margins have the shape {m.shape}: expected a finite number for each of {n} pairs")
    match _chosen("logistic" if learner == "auto" else learner, n):
        case "logistic":
            return linear.bradley_terry(better, worse, t, w, m)
        case "network":
            return network.comparing(better, worse, t, w, m, seed)
        case grown:
            return _winners(better, worse, w, m, t, grown, seed)


def _winners(better: Array, worse: Array, w: Array, m: Array, t: Array, learner: str, seed: int) -> Trees:
    """Every winner is labelled 1 and every loser 0, and a classifier's centred logit is the reward."""
    np = arrays()
    if m.any():
        raise TaskError(f'learner={learner!r} takes no margins: leave them out, or use learner="logistic"')
    both, y = np.vstack([better, worse]), np.concatenate([t, 1 - t])
    fitted = fit(both, y, np.concatenate([w, w]), learner=learner, seed=seed)
    assert isinstance(fitted, Trees)
    return replace(fitted, base=fitted.base - float(fitted(both).mean()))


def _chosen(learner: str, rows: int) -> str:
    """What a learner's name means for so many rows."""
    if learner not in LEARNERS:
        raise TaskError(f"the learner is {learner!r}: expected one of {', '.join(LEARNERS)}")
    if learner != "auto":
        return learner
    grown = [name for name, module in (("lightgbm", "lightgbm"), ("boosted", "sklearn")) if find_spec(module)]
    return grown[0] if grown and rows >= MANY else "logistic"


# -- ensembles -------------------------------------------------------------------------------------------------------

Single: TypeAlias = Annotated[Linear | Trees | Network, Discriminator("kind")]
"""A model that is none of several."""


@dataclass(frozen=True)
class Ensemble:
    """Several models as one: their mean, or something more careful, because a search seeks out what is overrated.

    "min" is worst-case optimisation, "uwo" the mean less `penalty` times the variance (Coste et al., 2024).
    """

    members: tuple[Single, ...]
    pessimism: Literal["mean", "min", "uwo"] = "mean"
    penalty: float = 1.0
    kind: Literal["ensemble"] = "ensemble"

    def __post_init__(self) -> None:
        at_least(0, penalty=self.penalty)
        if self.pessimism not in ("mean", "min", "uwo"):
            raise TaskError(f'the pessimism is {self.pessimism!r}: expected "mean", "min" or "uwo"')
        if not self.members or len({member.width for member in self.members}) != 1:
            raise TaskError("the ensemble's members are of different widths, or there are none: expected one width")

    @property
    def width(self) -> int:
        """How many columns a table must have."""
        return self.members[0].width

    def each(self, X: Array) -> Array:
        """What each member says, (members, n)."""
        np = arrays()
        return np.stack([member(X) for member in self.members])

    def __call__(self, X: Array) -> Array:
        """What they say as one, (n,)."""
        said = self.each(X)
        match self.pessimism:
            case "min":
                return said.min(axis=0)
            case "uwo":
                return said.mean(axis=0) - self.penalty * said.var(axis=0)
            case _:
                return said.mean(axis=0)


def bootstrapped(
    train: Callable[[Array, int], Single],
    groups: Sequence[str],
    *,
    members: int = 5,
    pessimism: Literal["mean", "min", "uwo"] = "mean",
    penalty: float = 1.0,
    seed: int = 0,
) -> Ensemble:
    """An ensemble by the bootstrap over questions: `train` gets the places of the rows drawn, and a seed.

    `groups` names the question of each row: questions are drawn with all their rows, since these hang together. A draw
    that cannot be trained on (`TaskError`: all of one class) is drawn once more, a few times.
    """
    np = arrays()
    at_least(1, members=members)
    rng = np.random.default_rng(seed)
    places = dict[str, list[int]]()
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    known = [np.array(rows) for rows in places.values()]

    def one(number: int, tries: int = 10) -> Single:
        drawn: Array = rng.integers(len(known), size=len(known))
        try:
            return train(np.concatenate([known[k] for k in drawn]), seed + number)
        except TaskError:
            if tries < 2:
                raise
            return one(number, tries - 1)

    return Ensemble(tuple(one(number) for number in range(members)), pessimism, penalty)


# -- JSON ------------------------------------------------------------------------------------------------------------

Model: TypeAlias = Linear | Trees | Network | Ensemble
"""The models that can be saved."""


def json_of(fitted: Model) -> Json:
    """A fitted model as JSON data."""
    return _adapter().dump_python(fitted, mode="json")


def fitted_of(told: Json) -> Model:
    """The model that JSON data stands for; `TaskError` says what is wrong with it. Nothing is executed."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(told, allow_nan=False), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "all of it"
        raise TaskError(f"the fitted model: {where}: {fault['msg']}") from None
    except (TypeError, ValueError) as error:
        raise TaskError(f"the fitted model is no JSON ({error}): expected what json_of gave") from None


@cache
def _adapter() -> TypeAdapter[Any]:
    """What reads and writes models: unknown fields, other types and infinite numbers are refused."""
    from pydantic import ConfigDict, TypeAdapter

    union: Any = Annotated[Model, Discriminator("kind")]
    return TypeAdapter(union, config=ConfigDict(extra="forbid", allow_inf_nan=False))
