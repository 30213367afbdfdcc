"""Fitted models: planted rewards found again, our scorers equal to the libraries', and JSON that cannot harm."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.stats import spearmanr

from thoughtgraph.errors import TaskError
from thoughtgraph.learning import trees
from thoughtgraph.learning.columns import Columns
from thoughtgraph.learning.fitted import Ensemble, bootstrapped, fit, fit_pairs, fitted_of, json_of
from thoughtgraph.learning.linear import Linear, loss, newton, sigmoid
from thoughtgraph.learning.network import Network
from thoughtgraph.learning.trees import Tree, Trees

TORCH = find_spec("torch") is not None
GBM = find_spec("lightgbm") is not None
LEARNERS = [
    "logistic",
    "boosted",
    pytest.param("lightgbm", marks=[pytest.mark.optional, pytest.mark.skipif(not GBM, reason="no lightgbm")]),
    pytest.param("network", marks=[pytest.mark.optional, pytest.mark.skipif(not TORCH, reason="no torch")]),
]
RNG = np.random.default_rng(5)
X = RNG.normal(size=(1600, 4))
REWARD = X @ np.array([1.5, -1.0, 0.5, 0.0])
Y = (RNG.random(1600) < sigmoid(REWARD)).astype(float)
FRESH = np.random.default_rng(6).normal(size=(300, 4))
PLANTED = FRESH @ np.array([1.5, -1.0, 0.5, 0.0])


def rank(a: object, b: object) -> float:
    return float(spearmanr(a, b).statistic)


# -- planted rewards -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_planted_probability_is_found_again(learner: str):
    fitted = fit(X, Y, learner=learner)
    assert rank(fitted(FRESH), PLANTED) > 0.9
    assert abs(sigmoid(fitted(X)).mean() - Y.mean()) < 0.03


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_planted_reward_is_found_again_from_pairs_alone(learner: str):
    a, b = X[:800], X[800:]
    won = np.random.default_rng(7).random(800) < sigmoid(REWARD[:800] - REWARD[800:])
    fitted = fit_pairs(np.where(won[:, None], a, b), np.where(won[:, None], b, a), learner=learner)
    assert rank(fitted(FRESH), PLANTED) > 0.9
    assert abs(np.concatenate([fitted(a), fitted(b)]).mean()) < 1e-9  # centred


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_seed_gives_the_same_model_and_json_gives_it_back(learner: str):
    fitted = fit(X, Y, learner=learner, seed=3)
    assert fit(X, Y, learner=learner, seed=3) == fitted
    again = fitted_of(json.loads(json.dumps(json_of(fitted))))
    assert again == fitted
    assert (again(FRESH) == fitted(FRESH)).all()


@pytest.mark.optional
@pytest.mark.skipif(not TORCH, reason="no torch")
def test_training_a_network_leaves_torch_as_it_was():
    import torch

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    assert isinstance(fit(X[:50], Y[:50], learner="network"), Network)
    assert torch.get_num_threads() == threads
    assert bool((torch.random.get_rng_state() == state).all())


# -- what is fitted --------------------------------------------------------------------------------------------------


def test_a_wrong_answer_that_is_seen_lowers_its_score():
    before, more = fit(X, Y), fit(np.vstack([X, [X[0]] * 50]), np.append(Y, [0.0] * 50))
    assert more(X[:1]) < before(X[:1])


def test_soft_labels_count_as_shares_of_right_and_wrong():
    soft = fit(np.array([[0.0], [1.0]]), [0.2, 0.6], [10, 10])
    hard = fit(np.array([[0.0]] * 2 + [[1.0]] * 2), [1, 0, 1, 0], [2, 8, 6, 4])
    assert soft(np.array([[0.0], [1.0]])) == pytest.approx(hard(np.array([[0.0], [1.0]])), abs=0.2)


def test_with_little_to_go_by_the_penalty_is_large_and_with_much_it_is_small():
    noise = np.random.default_rng(0).normal(size=(40, 20))
    flat = fit(noise, [0, 1] * 20, learner="logistic")
    assert np.abs(flat(noise)).max() < 1.5
    sharp = fit(X, (X[:, 0] > 0).astype(float), learner="logistic")
    assert np.abs(sharp(X)).mean() > 2


def test_newton_finds_where_the_gradient_is_0():
    beta, _ = newton(X, Y, np.ones(len(X)), np.zeros(len(X)), np.zeros(4), np.full(4, 2.0))
    gradient = X.T @ (sigmoid(X @ beta) - Y) + 2.0 * beta
    assert np.abs(gradient).max() < 1e-6
    assert loss(X @ beta, Y, np.ones(len(X))) < loss(np.zeros(len(X)), Y, np.ones(len(X)))


def test_a_gap_is_filled_and_marked_since_it_may_say_something():
    told = np.array([[1.0], [2.0], [np.nan], [np.nan]] * 50)
    right = [0.0, 0.0, 1.0, 1.0] * 50
    fitted = fit(told, right, learner="logistic")
    assert (fitted(np.array([[1.5], [np.nan]])) > 0).tolist() == [False, True]


def test_what_lies_beyond_anything_seen_counts_as_the_furthest_that_was():
    fitted = fit(X, Y, learner="logistic")
    top = np.array([[X[:, 0].max(), 0.0, 0.0, 0.0]])
    assert fitted(top * [1e12, 1, 1, 1]) == fitted(top)


def test_a_column_that_says_nothing_changes_nothing():
    padded = np.hstack([X, np.full((len(X), 1), 7.0), np.full((len(X), 1), np.nan)])
    assert fit(padded, Y, learner="logistic")(padded) == pytest.approx(fit(X, Y, learner="logistic")(X), abs=1e-6)


def test_ties_pull_rewards_together_and_margins_apart():
    a, b = np.array([[1.0]] * 20), np.array([[0.0]] * 20)

    def apart(**told: object) -> float:
        fitted = fit_pairs(a, b, **told)
        return float(fitted(a[:1])[0] - fitted(b[:1])[0])

    assert apart(target=[0.5] * 20) == pytest.approx(0.0, abs=1e-9)
    assert apart(margin=[1.0] * 20) > apart() > 0
    assert apart(target=[1.0] * 15 + [0.0] * 5) < apart()


def test_trees_take_no_margins_and_say_so():
    with pytest.raises(TaskError, match="takes no margins"):
        fit_pairs(X[:9], X[9:18], margin=[1.0] * 9, learner="boosted")


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "labels", "weight", "fault"),
    [
        ([[1.0], [2.0]], [1, 1], None, "none of 2 rows is wrong"),
        ([[1.0], [2.0]], [0, 0], None, "none of 2 rows is right"),
        ([[1.0], [2.0]], [0, 1], [1, 0], "is right"),
        ([[1.0], [2.0]], [0, 2], None, "outside"),
        ([[1.0], [2.0]], [0, float("nan")], None, "outside"),
        ([[1.0], [2.0]], [0], None, "one number for each row"),
        ([[1.0], [2.0]], [0, 1], [1, -1], "weights"),
        ([[1.0], [float("inf")]], [0, 1], None, "infinite"),
        ([1.0, 2.0], [0, 1], None, "shape"),
        ([["a"], ["b"]], [0, 1], None, "more than numbers"),
        (np.zeros((2, 0)), [0, 1], None, "one column"),
    ],
)
def test_rows_that_nothing_can_be_learned_from_are_refused(rows, labels, weight, fault: str):
    with pytest.raises(TaskError, match=fault):
        fit(rows, labels, weight)


def test_a_learner_that_is_not_known_or_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TaskError, match="expected one of auto, logistic"):
        fit(X, Y, learner="forest")
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(TaskError, match=r"pip install \"thoughtgraph\[learn\]\""):
        fit(X, Y, learner="lightgbm")


def test_a_table_of_another_width_is_refused():
    with pytest.raises(TaskError, match=r"shape \(300, 3\): expected \(rows, 4\)"):
        fit(X, Y)(FRESH[:, :3])


def test_a_scorer_that_differs_from_the_library_is_an_error():
    grown = fit(X, Y, learner="boosted")
    assert isinstance(grown, Trees)
    assert trees.same(grown, X, grown(X)) is grown
    with pytest.raises(TaskError, match=r"differ from the library's by 0\.01"):
        trees.same(grown, X, grown(X) + 0.01)


# -- ensembles -------------------------------------------------------------------------------------------------------

ONE = Columns((-9.0,), (9.0,), (0.0,), (1.0,))
TWO = (Linear(ONE, (1.0,)), Linear(ONE, (3.0,)))


def test_pessimism_takes_the_least_or_the_mean_less_the_variance():
    x = np.array([[1.0], [-1.0]])
    assert Ensemble(TWO)(x).tolist() == [2.0, -2.0]
    assert Ensemble(TWO, "min")(x).tolist() == [1.0, -3.0]
    assert Ensemble(TWO, "uwo", 0.5)(x).tolist() == [1.5, -2.5]
    assert Ensemble(TWO).each(x).tolist() == [[1.0, -1.0], [3.0, -3.0]]


def test_the_bootstrap_draws_whole_questions():
    drawn = list[list[int]]()

    def train(rows, seed: int) -> Linear:
        drawn.append(sorted(map(int, rows)))
        return TWO[0]

    ensemble = bootstrapped(train, ["a", "a", "b", "b", "c", "c"], members=4, seed=1)
    assert len(ensemble.members) == len(drawn) == 4
    assert all(rows.count(k) == rows.count(k + 1) for rows in drawn for k in (0, 2, 4))
    assert all(len(rows) == 6 for rows in drawn)


def test_a_draw_of_one_class_alone_is_drawn_again():
    ensemble = bootstrapped(lambda rows, seed: fit(X[rows], rows % 2), [str(k) for k in range(4)], members=3)
    assert len(ensemble.members) == 3
    with pytest.raises(TaskError, match="none of 2 rows is wrong"):
        bootstrapped(lambda rows, seed: fit(X[:2], [1, 1]), ["a", "b"], members=1)


# -- JSON ------------------------------------------------------------------------------------------------------------

LEAF = Tree((-1,), (0.0,), (-1,), (-1,), (1.0,))
GOOD = json_of(Ensemble((Trees(ONE, (LEAF,)), *TWO)))
LOOP = {**GOOD["members"][0]["trees"][0], "column": [0], "left": [0], "right": [0]}


def test_a_tree_walks_left_where_the_column_is_at_most_the_threshold():
    tree = Tree((0, -1, 0, -1, -1), (0.0, 0.0, 2.0, 0.0, 0.0), (1, -1, 3, -1, -1), (2, -1, 4, -1, -1), (0, 1, 0, 2, 4))
    assert Trees(ONE, (tree, LEAF), base=10.0)(np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]])).tolist() == [
        12.0,
        12.0,
        13.0,
        13.0,
        15.0,
    ]
    assert Trees(ONE, ())(np.array([[1.0]])).tolist() == [0.0]


def changed(place: tuple[str | int, ...], value: object) -> object:
    told = json.loads(json.dumps(GOOD))
    inner = told
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return told


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (None, "object"),
        ([], "object"),
        ({"kind": "pickle"}, "kind"),
        (changed(("more",), 1), "more"),
        (changed(("members", 1, "more"), 1), "more"),
        (changed(("members", 1, "columns", "more"), 1), "more"),
        (changed(("members",), []), "members"),
        (changed(("members", 1, "weights"), [1.0, 2.0]), "2 weights for 1 columns"),
        (changed(("members", 1, "weights"), ["1.0"]), "weights"),
        (changed(("members", 1, "weights"), [True]), "weights"),
        (changed(("members", 1, "weights"), [1e999]), "no JSON"),
        (changed(("members", 1, "columns", "scale"), [0.0]), "scales"),
        (changed(("members", 1, "columns", "gaps"), [1]), "gaps"),
        (changed(("members", 1, "columns", "low"), []), "lengths"),
        (changed(("members", 0, "trees", 0, "column"), [1]), "children"),
        (changed(("members", 0, "trees", 0), LOOP), "later nodes"),
        (changed(("members", 0, "trees", 0, "value"), []), "incomplete"),
        (changed(("penalty",), -1.0), "penalty"),
        (changed(("pessimism",), "max"), "pessimism"),
    ],
)  # fmt: skip
def test_json_that_is_no_model_is_refused(told: object, fault: str):
    with pytest.raises(TaskError, match=fault):
        fitted_of(told)


def test_a_model_within_a_model_within_a_model_is_refused():
    with pytest.raises(TaskError):
        fitted_of({"kind": "ensemble", "members": [GOOD]})


def test_a_tree_that_is_a_long_way_down_is_refused():
    n = 65
    with pytest.raises(TaskError, match="65 steps deep"):
        Tree((0,) * n + (-1,), (0.0,) * (n + 1), (n,) * (n + 1), (*range(1, n + 1), 0), (0.0,) * (n + 1))


def test_many_trees_take_no_more_room_than_few(monkeypatch: pytest.MonkeyPatch):
    leaf = Tree((-1,), (0.0,), (0,), (0,), (0.5,))
    forest = Trees(Columns((0.0,), (1.0,), (0.0,), (1.0,)), (leaf,) * 10)
    monkeypatch.setattr(trees, "CELLS", 25)
    assert forest(np.zeros((7, 1))).tolist() == [5.0] * 7
