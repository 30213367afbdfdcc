"""Boosted trees (Friedman, 2001), grown by scikit-learn or LightGBM, kept as plain numbers and scored with numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Literal

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import Array, Columns, arrays, floats

CELLS = 600_000
"""In so many places, rows times trees, are rows at once while they are scored."""

DEEPEST = 64
"""So many steps a row may take down a tree: those grown here take 14 at most, and a file could hold a longer way."""

EXACT = 1e-9
"""So close must our scores be to those of the library that grew the trees."""


@dataclass(frozen=True)
class Tree:
    """One tree, its nodes in an order in which children come after their parent; node 0 is the root.

    At an inner node, a row goes to `left` where its `column` is at most `threshold`, else to `right`. At a leaf
    `column` is -1, and `value` is what it adds.
    """

    column: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        nodes = len(self.column)
        if not nodes or {len(part) for part in (self.threshold, self.left, self.right, self.value)} != {nodes}:
            raise TaskError("a tree's nodes are incomplete: expected a column, threshold, children and value for each")
        depth = [0] * nodes
        for node, (column, left, right) in enumerate(zip(self.column, self.left, self.right, strict=True)):
            if column < 0:
                continue
            if not (node < left < nodes and node < right < nodes):
                raise TaskError(f"node {node} of {nodes} has the children {left} and {right}: expected later nodes")
            depth[left] = depth[right] = depth[node] + 1
        if max(depth) > DEEPEST:
            raise TaskError(f"a tree is {max(depth)} steps deep: expected at most {DEEPEST}")


@dataclass(frozen=True)
class Trees:
    """The sum of trees over standardised columns: a logit. `single` says that they compare in single precision."""

    columns: Columns
    trees: tuple[Tree, ...]
    base: float = 0.0
    single: bool = False
    kind: Literal["trees"] = "trees"

    def __post_init__(self) -> None:
        if any(column < -1 or column >= self.columns.width for tree in self.trees for column in tree.column):
            raise TaskError(f"a tree asks for a column that is not there: expected 0 to {self.columns.width - 1}")

    @property
    def width(self) -> int:
        """How many columns a table must have."""
        return len(self.columns.low)

    def __call__(self, X: Array) -> Array:
        """The logit of each row of X (n, d), with NaN where something is missing."""
        np = arrays()
        Z = self.columns(X).astype(np.float32 if self.single else np.float64)
        some = max(1, CELLS // max(1, len(self.trees)))
        parts = [self._sum(Z[start : start + some]) for start in range(0, len(Z), some)]
        return np.concatenate([np.zeros(0), *parts])

    def _sum(self, Z: Array) -> Array:
        """Every row walks down every tree at once; a leaf is its own child."""
        np = arrays()
        column, threshold, left, right, value, roots = self._forest
        node: Array = np.tile(roots, (len(Z), 1))
        rows = np.arange(len(Z))[:, None]
        while (column[node] >= 0).any():
            node = np.where(Z[rows, np.maximum(column[node], 0)] <= threshold[node], left[node], right[node])
        return self.base + value[node].sum(axis=1)

    @cached_property
    def _forest(self) -> tuple[Array, ...]:
        """All nodes of all trees in a row, with where each tree begins."""
        np = arrays()
        starts = [0, *accumulate(len(tree.column) for tree in self.trees)]
        own = [np.arange(start, end) for start, end in pairwise(starts)]
        leaf = [np.array(tree.column) < 0 for tree in self.trees]

        def child(side: str) -> list[Array]:
            told = [np.array(getattr(tree, side)) + start for tree, start in zip(self.trees, starts, strict=False)]
            return [np.where(end, here, to) for end, here, to in zip(leaf, own, told, strict=True)]

        plain = [[np.array(getattr(tree, name)) for tree in self.trees] for name in ("column", "threshold", "value")]
        column, threshold, value = (np.concatenate([np.zeros(0, int), *part]) for part in plain)
        left, right = (np.concatenate([np.zeros(0, int), *child(side)]) for side in ("left", "right"))
        return column.astype(int), threshold, left, right, value, np.array(starts[:-1], dtype=int)


def boosted(X: Array, y: Array, w: Array, seed: int) -> Trees:
    """scikit-learn's gradient boosting: small trees, each on half of the rows and some of the columns."""
    np = arrays()
    model: Any = wanted("sklearn.ensemble", "scikit-learn").GradientBoostingClassifier(
        n_estimators=150, learning_rate=0.08, max_depth=3, subsample=0.5, max_features="sqrt",
        min_samples_leaf=fewest(len(X)), random_state=seed,
    )  # fmt: skip
    columns = Columns.of(X)
    Z, label, weight = hard(columns(X).astype(np.float32), y, w)
    model.fit(Z, label, sample_weight=weight)
    share = float(model.init_.class_prior_[1])
    grown = tuple(_sklearn(stage[0].tree_, model.learning_rate) for stage in model.estimators_)
    trees = Trees(columns, grown, float(np.log(share / (1 - share))), single=True)
    return same(trees, X, model.decision_function(columns(X).astype(np.float32)))


def lightgbm(X: Array, y: Array, w: Array, seed: int) -> Trees:
    """LightGBM (Ke et al., 2017), on one thread, so that the same seed grows the same trees."""
    lgb = wanted("lightgbm", "lightgbm")
    columns = Columns.of(X)
    Z, label, weight = hard(columns(X), y, w)
    settings = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": fewest(len(X)),
        "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 1.0, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    model = lgb.train(settings, lgb.Dataset(Z, label, weight=weight), num_boost_round=150)
    grown = tuple(_lightgbm(told["tree_structure"]) for told in model.dump_model()["tree_info"])
    return same(Trees(columns, grown), X, model.predict(columns(X), raw_score=True))


def wanted(module: str, package: str) -> Any:
    """A module of an extra; `TaskError` says how to get it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        extra = "train" if package == "torch" else "learn"
        how = f'pip install "thoughtgraph[{extra}]", or learner="logistic"'
        raise TaskError(f"{package} is not installed: {how}") from None


def fewest(rows: int) -> int:
    """So many rows a leaf must hold: one in two hundred, and no fewer than five."""
    return max(5, rows // 200)


def hard(Z: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """Soft targets as weighted labels: each row counts as y right ones and 1 - y wrong ones."""
    np = arrays()
    yes, no = w * y > 0, w * (1 - y) > 0
    label = np.concatenate([np.ones(yes.sum()), np.zeros(no.sum())])
    return np.vstack([Z[yes], Z[no]]), label, np.concatenate([(w * y)[yes], (w * (1 - y))[no]])


def same(trees: Trees, X: Array, told: Array) -> Trees:
    """The trees, if they say what the library that grew them says; `TaskError` if not: nothing is silently wrong."""
    np = arrays()
    off = float(np.abs(trees(X) - told).max(initial=0))
    if not off <= EXACT * max(1.0, float(np.abs(told).max(initial=0))):
        raise TaskError(f'our scores differ from the library\'s by {off:.3g}: use learner="logistic", and report it')
    return trees


def _sklearn(tree: Any, rate: float) -> Tree:
    """A tree by the public arrays of scikit-learn's `tree_`: children that are -1 mark a leaf."""
    inner = tree.children_left >= 0
    columns = (int(c) if i else -1 for c, i in zip(tree.feature, inner, strict=True))
    thresholds = (float(t) if i else 0.0 for t, i in zip(tree.threshold, inner, strict=True))
    values = (0.0 if i else rate * float(v) for v, i in zip(tree.value[:, 0, 0], inner, strict=True))
    left, right = (tuple(map(int, side)) for side in (tree.children_left, tree.children_right))
    return Tree(tuple(columns), tuple(thresholds), left, right, tuple(values))


def _lightgbm(root: Mapping[str, Any]) -> Tree:
    """A tree by LightGBM's `dump_model`, its nodes numbered in the order in which they are come upon."""
    nodes = [root]
    left, right = list[int](), list[int]()
    for node in nodes:  # grows while it is walked
        inner = "split_index" in node
        if inner and node["decision_type"] != "<=":
            raise TaskError(f"LightGBM decides by {node['decision_type']!r}: expected numbers, compared by <=")
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        nodes += [node["left_child"], node["right_child"]] if inner else []
    column = tuple(int(node.get("split_feature", -1)) for node in nodes)
    return Tree(column, _told(nodes, "threshold"), tuple(left), tuple(right), _told(nodes, "leaf_value"))


def _told(nodes: Sequence[Mapping[str, Any]], name: str) -> tuple[float, ...]:
    values: Iterable[Any] = (node.get(name, 0.0) for node in nodes)
    return floats(list(values))
