"""Comparison at equal cost: what it refuses, what it runs, what it says of it, and that it never pays twice."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Loopback, Status

import thoughtgraph as tg
from thoughtgraph.api import begun
from thoughtgraph.comparing import acompare, compare
from thoughtgraph.comparison import Comparison, Place, Trial
from thoughtgraph.findings import Layout, findings
from thoughtgraph.statistics import average, difference, interval
from thoughtgraph.tasks.evaluation import evaluator
from thoughtgraph.trace import Sent, Settled

# -- a game with numbers -------------------------------------------------------------------------------------------


def number(state: tg.State, n: int) -> list[tg.Draft]:
    """Numbers below 100, whatever the problem."""
    return [tg.Draft(str(state.rng.randrange(100)), done=True) for _ in range(n if n < tg.ALL else 4)]


def largest(states: Sequence[tg.State]) -> list[tg.Score]:
    """Likes large numbers."""
    return [tg.Score(int(state.thought.text) / 100) for state in states]


def game(name: str, actions: Sequence[str] = ("answer", "reason", "step"), **more) -> tg.Task:
    return tg.Task(name, actions=dict.fromkeys(actions, number), critics={"value": largest}, **more)


GAMES = [game(f"game {number}") for number in range(24)]


def is_even(task: tg.Task, answer: str) -> bool:
    return int(answer) % 2 == 0


def is_large(task: tg.Task, answer: str) -> float:
    return int(answer) / 100


BUDGET = tg.Budget(evaluations=16)
NS = {"policy": ["best_of_n(n=2)", "best_of_n(n=16)"]}


def cell(found: Comparison, *place) -> tg.comparison.Cell:
    return next(cell for cell in found.cells if cell.place == Place(*place))


def said(found: Comparison, words: str) -> list[str]:
    return [warning for warning in found.warnings if words in warning]


# -- intervals -----------------------------------------------------------------------------------------------------


def by_hand(grid: Sequence[Sequence[float]], draws: int = 4000) -> tuple[float, float]:
    """The percentile bootstrap over puzzles, in plain Python."""
    rng = random.Random(5)
    means = []
    for _ in range(draws):
        values = [value for _ in grid for value in rng.choice(grid)]
        means.append(sum(values) / len(values))
    means.sort()
    return means[round(0.025 * draws)], means[round(0.975 * draws)]


@pytest.mark.parametrize(("puzzles", "seeds"), [(8, 3), (25, 3), (50, 1), (40, 5)])
def test_an_interval_is_that_of_a_bootstrap_written_out(puzzles: int, seeds: int):
    rng = random.Random(puzzles)
    hard = [rng.random() for _ in range(puzzles)]
    grid = [[float(rng.random() < p) for _ in range(seeds)] for p in hard]
    found, (low, high) = interval(grid), by_hand(grid)
    assert found.mean == pytest.approx(sum(map(sum, grid)) / (puzzles * seeds))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_of_a_hundred_intervals_ninety_five_hold_the_truth():
    """Puzzles of any difficulty, three seeds each. Were seeds drawn anew as well, it would be 98 and more."""
    rng, held = random.Random(1), 0
    for _ in range(1000):
        hard = [rng.random() for _ in range(40)]
        found = interval([[float(rng.random() < p) for _ in range(3)] for p in hard])
        held += found.low <= 0.5 <= found.high
    assert 0.93 < held / 1000 < 0.965


def test_a_difference_is_paired_run_by_run():
    """What both find hard says nothing about which is better: the one is better by 0.1 on each puzzle, for sure."""
    a = [[0.1 * i, 0.05 * i] for i in range(9)]
    b = [[value + 0.1 for value in row] for row in a]
    found = difference(b, a)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert interval(a).high - interval(a).low > 0.2


def test_many_seeds_make_no_more_puzzles():
    found = interval([[1.0] * 50, [0.0] * 50])
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_one_puzzle_has_a_mean_and_no_interval_and_none_has_nothing():
    assert (interval([[1.0, 0.0]]).mean, interval([[1.0, 0.0]]).low) == (0.5, None)
    assert interval([[None], []]) is None


def test_runs_that_are_missing_are_missing_in_their_pair_only():
    a, b = [[1.0, None], [0.0, 1.0]], [[0.0, 1.0], [0.0, None]]
    assert interval(a).mean == pytest.approx(2 / 3)
    assert difference(a, b).mean == 0.5
    assert average([a, b]) == [[0.5, None], [0.0, None]]


def test_equal_differences_of_both_signs_are_no_difference():
    found = difference([[0.3], [0.1]] * 20, [[0.1], [0.3]] * 20)
    assert found.low < 0 < found.high
    assert interval([[0.0]] * 30).low == 0


# -- what comes out, from runs written by hand ----------------------------------------------------------------------

A, B, PLAIN = Place("a"), Place("b"), Place("plain")


def trial(place: Place, task: int, e: float | None, calls: int = 10, reward: float | None = None) -> Trial:
    usage = tg.Usage(calls=calls, usd=None)
    return Trial(place, task, 0, f"{place}-{task}", e, reward, "answered", usage, answer="x")


def layout(n: int, named=(A, B), baselines=(PLAIN,), **more) -> Layout:
    half = n // 2
    known = {
        "named": named,
        "baselines": baselines,
        "axes": {"policy": tuple(place.policy for place in named)} if len(named) > 1 else {},
        "problems": tuple(f"p{i}" for i in range(n)),
        "goals": (False,) * n,
        "seeds": (0,),
        "budget": tg.Budget(calls=20),
        "choosing": tuple(range(half)),
        "reporting": tuple(range(half, n)),
    }
    return Layout(**{**known, **more})


def test_what_is_chosen_on_one_half_is_reported_on_the_other():
    """`a` shines on the half that is chosen on, by luck: what is reported is the other half's 0.25, not 1."""
    lucky = [trial(A, i, 1.0 if i < 4 else float(i == 4)) for i in range(8)]
    steady = [trial(B, i, 0.5) for i in range(8)]
    plain = [trial(PLAIN, i, 0.5 if i < 4 else 0.75) for i in range(8)]
    best = findings(layout(8), [*lucky, *steady, *plain]).best
    assert (best.place, best.chosen_by, best.evaluation.mean) == (A, 1.0, 0.25)
    assert (best.versus.baseline, best.versus.gap.mean) == (PLAIN, -0.5)


def test_an_axis_is_worth_what_its_best_level_gains_for_what_it_costs_more():
    """From a to b: E from 0.25 to 0.75 on the reporting half, calls from 10 to 14: 0.125 a call."""
    a = [trial(A, i, float(i % 4 == 0), calls=10) for i in range(8)]
    b = [trial(B, i, float(i % 4 != 0), calls=14) for i in range(8)]
    found = findings(layout(8, baselines=()), [*a, *b])
    (gain,) = found.gains
    assert (found.unit, gain.reference, gain.level, dict(gain.levels)) == ("calls", "a", "b", {"a": 0.25, "b": 0.75})
    assert (gain.gain.mean, gain.extra, gain.rate) == (0.5, 4.0, 0.125)


def test_a_gain_that_costs_no_more_has_no_rate_and_one_that_is_none_is_told_with_its_sign():
    a = [trial(A, i, 1.0, calls=14) for i in range(8)]
    b = [trial(B, i, 0.5, calls=10) for i in range(8)]
    (gain,) = findings(layout(8, baselines=()), [*a, *b]).gains
    assert (gain.level, gain.gain.mean, gain.extra, gain.rate) == ("b", -0.5, -4.0, None)


def test_a_level_of_an_axis_is_the_mean_over_all_cells_on_it():
    cells = [Place(policy, model) for policy in "ab" for model in ("m", "n")]
    e = dict(zip(cells, (0.0, 0.5, 0.5, 1.0), strict=True))
    trials = [trial(place, i, e[place]) for place in cells for i in range(4)]
    axes = {"policy": ("a", "b"), "model": ("m", "n")}
    gains = findings(layout(4, tuple(cells), (), axes=axes), trials).gains
    assert [(gain.axis, dict(gain.levels)) for gain in gains] == [
        ("policy", {"a": 0.25, "b": 0.75}),
        ("model", {"m": 0.25, "n": 0.75}),
    ]


def test_a_cell_is_set_against_the_baselines_of_its_own_model():
    cells = [Place("a", "m"), Place("a", "n")]
    plain = [Place("plain", "m"), Place("plain", "n")]
    trials = [trial(place, i, e) for place, e in zip(cells + plain, (1, 1, 0, 1), strict=True) for i in range(4)]
    found = findings(layout(4, tuple(cells), tuple(plain), axes={"model": ("m", "n")}), trials)
    versus = [[(d.baseline, d.gap.mean, d.verdict) for d in cell.versus] for cell in found.cells]
    assert versus == [[(plain[0], 1.0, "better")], [(plain[1], 0.0, "unclear")], [], []]


def test_a_best_cell_that_nothing_is_known_of_where_it_would_be_chosen_is_none():
    """The other half's figures would be those of a cell that nobody chose, and no JSON has a number below all."""
    found = findings(layout(4, (A,), ()), [trial(A, i, None if i < 2 else 1.0) for i in range(4)])
    assert found.best is None
    assert "Infinity" not in json.dumps(found.to_json())


def test_of_a_cell_whose_runs_all_failed_nothing_is_said_to_be_solved():
    found = findings(layout(4, (A,), ()), [trial(A, i, None) for i in range(4)])
    assert found.cells[0].solved is None
    assert "%  " not in str(found).splitlines()[3]


def test_a_critic_is_found_out_beside_a_policy_that_asks_none():
    """The voting one has no reward, at any L; that of the other rises with L, and its E falls."""
    vote, judge = ([Place(policy, L=L) for L in (1, 9)] for policy in ("vote", "judge"))
    trials = [trial(place, i, 0.5) for place in vote for i in range(8)]
    trials += [
        trial(place, i, e, reward=r + i / 100)
        for place, e, r in zip(judge, (1.0, 0.5), (0.2, 0.7), strict=True)
        for i in range(8)
    ]
    axes = {"policy": ("vote", "judge"), "L": ("1", "9")}
    found = findings(layout(8, (*vote, *judge), (), axes=axes), trials)
    assert "from judge, L=1 to judge, L=9: reward +0.500" in said(found, "reward rises and evaluation does not,")[0]


def test_an_evaluation_that_may_rise_with_the_reward_is_no_proof_against_the_critic():
    """E rises on one of eight puzzles: that may be chance, and so may be that it rises no further."""
    low = [trial(A, i, 0.0, reward=0.2) for i in range(8)]
    high = [trial(B, i, float(i == 0), reward=0.7) for i in range(8)]
    (warning,) = said(findings(layout(8, baselines=()), [*low, *high]), "reward rises")
    assert "does not for sure, from a to b" in warning
    assert "more puzzles would tell" in warning


def test_cells_that_leave_their_budget_unspent_are_told_in_one_line():
    trials = [trial(place, i, 0.0, calls=calls) for place, calls in ((A, 4), (B, 6)) for i in range(4)]
    assert len(said(findings(layout(4, baselines=()), trials), "a spent 20%; b spent 30%")) == 1


def test_runs_that_failed_count_for_nothing_and_are_told():
    trials = [trial(A, i, 1.0 if i else None) for i in range(4)]
    trials[0] = replace(trials[0], error="no answer from 127.0.0.1")
    found = findings(layout(4, (A,), ()), trials)
    assert (found.cells[0].runs, found.cells[0].failed, found.cells[0].evaluation.mean) == (3, 1, 1.0)
    assert "127.0.0.1" in said(found, "1 of 4 runs failed")[0]


def test_a_cell_that_leaves_its_budget_unspent_is_named_and_so_is_one_that_exceeds_it():
    trials = [trial(A, i, 0.0, calls=4) for i in range(4)] + [trial(B, i, 0.0, calls=21) for i in range(4)]
    found = findings(layout(4, baselines=()), trials)
    assert len(said(found, "budget not used: a spent 20%")) == 1
    assert said(found, "budget exceeded: by 4 runs")
    assert not said(findings(layout(4, (A,), (), goals=(True,) * 4), trials[:4]), "budget not used")  # it was solved


def test_puzzles_that_all_came_out_alike_are_no_certainty():
    found = findings(layout(30, (A,), ()), [trial(A, i, 1.0) for i in range(30)])
    assert found.cells[0].evaluation.low == 1.0
    assert "up to 10%" in said(found, "all 30 puzzles came out alike in a")[0]


def test_a_single_puzzle_is_no_reason_to_choose():
    found = findings(layout(1, choosing=(), reporting=()), [trial(place, 0, 1.0) for place in (A, B, PLAIN)])
    assert (found.best, found.gains) == (None, ())
    assert said(found, "nothing was chosen: 1 puzzles")
    assert found.cells[0].versus[0].verdict == "unclear"


# -- what is run ---------------------------------------------------------------------------------------------------


def test_every_cell_has_every_task_and_seed_within_the_same_budget():
    found = compare(GAMES[:6], over=NS, budget=BUDGET, seeds=2, evaluate=is_even)
    places = ["best_of_n(n=2)", "best_of_n(n=16)", "direct", "self_consistency(n=16)"]
    assert [c.place.policy for c in found.cells] == places
    assert [c.baseline for c in found.cells] == [False, True, True, True]  # the second is a baseline by itself
    assert [c.runs for c in found.cells] == [12] * 4
    assert {(t.task, t.seed) for t in found.trials} == {(task, seed) for task in range(6) for seed in range(2)}
    assert max(t.usage.evaluations for t in found.trials) == 16


def test_chance_is_the_same_for_all_cells_on_a_puzzle_and_not_for_all_puzzles():
    found = compare(GAMES[:8], over={"policy": {"mine": "direct"}}, budget=BUDGET, seeds=2, evaluate=is_even)
    answers = {(t.place.policy, t.task, t.seed): t.answer for t in found.trials}
    for task in range(8):
        for seed in range(2):
            assert answers["mine", task, seed] == answers["direct", task, seed]
    assert len(set(answers.values())) > 8


async def test_it_works_inside_a_running_event_loop():
    """As in a notebook."""
    assert compare(GAMES[:1], over=NS, budget=BUDGET, seeds=1, evaluate=is_even).cells[0].runs == 1


def test_baselines_have_as_many_draws_as_the_budget_has_room_for():
    """A call to draw and three to judge: 40 calls are 10 answers that are judged, or 40 that vote."""
    model = tg.models.Scripted(lambda prompt, draw: "Answer: 3\nsure")
    found = compare(
        ["How many?"], over={"policy": ["cot"], "model": [model]}, budget=tg.Budget(calls=40), seeds=1,
        evaluate=lambda task, answer: answer == "3",
    )  # fmt: skip
    assert [c.place.policy for c in found.cells] == ["cot", "direct", "best_of_n(n=10)", "self_consistency(n=40)"]
    assert next(t for t in found.trials if "best" in t.place.policy).usage.calls == 40


def test_baselines_may_be_named_and_left_away():
    terms = {"over": {"policy": ["best_of_n(n=4)"]}, "budget": BUDGET, "seeds": 1, "evaluate": is_even}
    assert [c.place.policy for c in compare(GAMES[:2], **terms, baselines=False).cells] == ["best_of_n(n=4)"]
    for named in (["best_of_n(n=3)"], "best_of_n(n=3)", [tg.search.BestOfN(n=3)]):
        found = compare(GAMES[:2], **terms, baselines=named)
        assert [c.place.policy for c in found.cells] == ["best_of_n(n=4)", "best_of_n(n=3)"]


def test_a_baseline_that_the_task_has_no_action_for_is_left_out_and_told():
    found = compare(
        [game("a", ("answer", "step"))], over={"policy": ["direct"]}, budget=BUDGET, seeds=1, evaluate=is_even
    )
    assert [c.place.policy for c in found.cells] == ["direct"]
    assert [line.partition(":")[0] for line in found.left_out] == ["best_of_n", "self_consistency"]
    assert "no action 'reason'" in found.left_out[0]
    assert "left out: best_of_n" in str(found)


def test_L_is_how_many_thoughts_a_round_draws():
    found = compare(
        GAMES[:2], over={"policy": ["best_of_n", "mcts(simulations=1, judge='children')"], "L": [1, 4]},
        budget=tg.Budget(expansions=9), seeds=1, evaluate=is_even, baselines=False,
    )  # fmt: skip
    drawn = {(t.place.policy, t.place.L): t.usage.evaluations for t in found.trials}
    assert drawn == {
        ("best_of_n", 1): 0,  # nothing to choose from
        ("best_of_n", 4): 4,
        ("mcts(simulations=1, judge='children')", 1): 1,
        ("mcts(simulations=1, judge='children')", 4): 4,
    }


def terse(x, passages, thoughts, scores) -> tg.Prompt:
    return tg.Prompt(ask=f"{x} Be terse.")


def rhymed(task: tg.Task) -> tg.Task:
    return replace(task, x=f"{task.x} In rhyme.")


def test_a_prompter_speaks_for_every_generator_or_makes_the_task_anew():
    """The evaluator sees the task as it was; each prompter reaches the model."""
    model = tg.models.Scripted(lambda prompt, draw: f"Answer: {'terse' if 'terse' in prompt else len(prompt)}")
    seen = []

    def evaluate(task: tg.Task, answer: str) -> bool:
        seen.append(task.x)
        return answer == "terse"

    over = {"policy": ["direct", "cot"], "model": [model], "prompter": {"own": None, "terse": terse, "rhyme": rhymed}}
    found = compare(["How?"], over=over, budget=tg.Budget(calls=4), seeds=1, evaluate=evaluate, baselines=False)
    right = {(c.place.policy, c.place.prompter): c.evaluation.mean for c in found.cells}
    assert right == {
        (policy, psi): float(psi == "terse") for policy in ("direct", "cot") for psi in ("own", "terse", "rhyme")
    }
    assert set(seen) == {"How?"}
    assert any("In rhyme." in request.messages[-1].content for request in model.seen)


def test_models_stand_side_by_side_each_with_its_baselines_and_its_price():
    dear = tg.models.Scripted(lambda prompt, draw: "Answer: 3", model="dear", price=tg.Price(10, 10))
    cheap = tg.models.Scripted(lambda prompt, draw: "Answer: 4", model="cheap", price=tg.Price(1, 1))
    found = compare(
        ["How many?", "How much?"], over={"policy": ["cot"], "model": {"dear": dear, "cheap": cheap}},
        budget=tg.Budget(calls=8), seeds=1, evaluate=lambda task, answer: answer == "3",
    )  # fmt: skip
    assert {(c.place.policy, c.place.model, c.evaluation.mean) for c in found.cells if c.place.policy != "cot"} >= {
        ("direct", "dear", 1.0),
        ("direct", "cheap", 0.0),
    }
    usd = {c.place.model: c.usage.usd for c in found.cells if c.place.policy == "cot"}
    assert (found.unit, usd["dear"]) == ("usd", pytest.approx(10 * usd["cheap"]))


def test_what_a_cache_gives_away_is_told(tmp_path: Path):
    model = tg.models.Scripted(lambda prompt, draw: "Answer: 3")
    over = {"policy": {"a": "direct", "b": "direct"}, "model": [model]}
    terms = {"over": over, "budget": tg.Budget(calls=8), "baselines": False}
    found = compare(["How?"], **terms, seeds=1, evaluate=lambda t, a: True, cache=tmp_path / "c.db", workers=1)
    assert said(found, "a cache gave 1 draws away")
    assert said(found, "the price of a model is not known")


def test_shipped_tasks_bring_their_evaluator():
    found = compare(
        [tg.tasks.game24("4 9 10 13"), tg.tasks.game24("1 1 1 1")], over={"policy": ["dfs"]},
        budget=tg.Budget(expansions=400), seeds=1, baselines=False,
    )  # fmt: skip
    assert [t.evaluation for t in found.trials] == [1.0, 0.0]
    blocks = tg.tasks.blocksworld("B on A, A on table; goal: A on B")
    judge = evaluator(blocks)
    assert judge("(unstack B A)\n(put-down B)\n(pick-up A)\n(stack A B)")
    assert not judge("(unstack B A)")
    assert evaluator(tg.question("Why?")) is None


def test_no_answer_is_worth_nothing_and_nobody_is_asked():
    def never(task: tg.Task, answer: object) -> bool:
        raise AssertionError

    found = compare(
        [tg.tasks.game24("1 1 1 1")], over={"policy": ["dfs"]}, budget=BUDGET, seeds=1, evaluate=never, baselines=False
    )
    assert found.trials[0].evaluation == 0.0


@pytest.mark.parametrize("wrong", [2, -0.5, "yes", None, float("nan")])
def test_an_evaluation_outside_of_0_to_1_is_refused(wrong: object):
    with pytest.raises(tg.TaskError, match="a bool, or a number from 0 to 1"):
        compare(GAMES[:1], over=NS, budget=BUDGET, seeds=1, evaluate=lambda task, answer: wrong)


def test_rewards_of_comparisons_within_a_run_are_not_set_side_by_side():
    model = tg.models.Scripted(lambda prompt, draw: f"Answer: {draw}" if "step by step" in prompt else "1")
    policy = tg.search.BestOfN(n=3, critic="vote")
    found = compare(
        ["How?"], over={"policy": [policy], "model": [model]}, budget=tg.Budget(calls=20), seeds=1,
        evaluate=lambda t, a: True, baselines=False,
    )  # fmt: skip
    assert found.trials[0].usage.calls > 3
    assert found.trials[0].reward is None


# -- warnings that come from runs -----------------------------------------------------------------------------------


def test_a_critic_that_is_flattered_is_told():
    """More draws bring larger numbers, which the critic likes, and no more even ones."""
    found = compare(GAMES, over=NS, budget=BUDGET, evaluate=is_even)
    few, many = (cell(found, policy) for policy in NS["policy"])
    assert many.reward.low > few.reward.high
    assert "from best_of_n(n=2) to best_of_n(n=16)" in said(found, "reward rises and evaluation does not")[0]


def test_a_critic_that_tells_the_truth_is_not_warned_of():
    found = compare(GAMES, over=NS, budget=BUDGET, evaluate=is_large)
    assert not said(found, "reward rises")
    assert cell(found, "best_of_n(n=16)").evaluation.low > cell(found, "best_of_n(n=2)").evaluation.high


def test_a_search_that_does_not_pay_is_told_and_one_that_does_is_not():
    search = {"policy": ["tot(breadth=2)"]}
    found = compare(GAMES, over=search, budget=BUDGET, evaluate=is_even)
    assert "for the same budget" in said(found, "search did not pay")[0]
    found = compare(GAMES, over=search, budget=BUDGET, evaluate=is_large, baselines=["direct"])
    assert not said(found, "search did not pay")
    assert found.best.versus.verdict == "better"


def test_few_puzzles_are_told():
    assert said(compare(GAMES[:8], over=NS, budget=BUDGET, evaluate=is_even), "too few puzzles: 4")


# -- what is refused, before anything is spent ----------------------------------------------------------------------


def counted() -> tuple[tg.Task, list[int]]:
    """A task that tells whether anything was done."""
    done = []

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        done.append(n)
        return number(state, 1)

    return tg.Task("counted", actions={"answer": step, "step": step}, critics={"value": largest}), done


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"over": {"policy": ["direct", "cot"]}}, "the cell cot cannot run, and nothing was spent.*'reason'"),
        ({"over": {"policies": ["direct"]}}, "did you mean 'policy'"),
        ({"over": {"policy": ["direct"], "L": [2]}}, "direct draws no number of thoughts that L could be"),
        ({"over": {"policy": ["tot"], "L": [0]}}, "L is 0: expected how many"),
        ({"over": {"policy": ["tot", "tot"]}}, "'tot' stands twice on the axis 'policy'"),
        ({"over": {"policy": []}}, "nothing is named on the axis 'policy'"),
        ({"over": {"policy": [None]}}, "None stands on the axis 'policy'"),
        ({"over": {"policy": ["mtcs"]}}, "did you mean mcts"),
        ({"over": {"model": ["opnai:m"]}}, "did you mean openai:m"),
        ({"over": {"prompter": [terse]}}, 'expected them by name, as in {"terse"'),
        ({"over": {"policy": ["tot"], "prompter": {"terse": terse}}}, "none of its actions has a prompter"),
        ({"over": {"policy": ["tot"], "prompter": {"odd": lambda task: None}}}, "'odd' made None of a task"),
        ({"over": {"policy": ["tot"], "prompter": {"odd": "Be terse."}}}, "expected a tg Prompter, or a function"),
        ({"over": {"model": ["openai:a", "openai:b"]}, "price": tg.Price(1, 1)}, "one price is given for 2 models"),
        ({"budget": None}, "the budget is None: expected one limit"),
        ({"budget": tg.Budget()}, "expected one limit for every run"),
        ({"evaluate": None}, "nobody knows which answers to 'counted' are right"),
        ({"seeds": 0}, "the seeds are 0"),
        ({"seeds": [1, 1]}, "a list of different ones"),
        ({"split": 1}, "split is 1"),
        ({"workers": 0}, "workers is 0: expected a number of at least 1"),
        ({"models": {"vlaue": "openai:m"}}, "did you mean 'value'"),
        ({"over": {"policy": {"direct": "tot"}}}, "'direct' is a baseline, and another policy has its name"),
        ({"baselines": ["direct", "direct"]}, "'direct' stands twice among the baselines"),
        ({"baselines": ["cot"]}, "the baseline cot cannot run, and nothing was spent.*'reason'"),
        ({"price": {"openai:m": tg.Price(1, 1)}}, r"a price is given for 'openai:m': .*over= names \(none\)"),
        ({"over": {"policy": ["tot(branch=3)"], "L": [2]}}, r"tot\(branch=3\) says its branch already"),
        (
            {"over": {"policy": ["mcts"], "L": [2], "model": ["openai:m"]}, "price": {"m": None}},
            r"names \('openai:m'\)",
        ),
        ({"over": {"policy": {"narrow": "beam(n=16, m=4)"}, "L": [2]}}, "the cell narrow, L=2 cannot run.*m is 4"),
        ({"seeds": "3"}, "the seeds are '3'"),
        ({"seeds": [0.5]}, r"the seeds are \[0.5\]"),
        ({"split": "0.5"}, "split is '0.5'"),
        ({"evaluate": "exact"}, "evaluate is 'exact'.*a function of a task and an answer"),
        ({"evaluate": lambda answer: True}, "too many positional arguments"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_spent(terms: dict, words: str):
    task, done = counted()
    usual = {"over": {"policy": ["tot"]}, "budget": BUDGET, "evaluate": is_even}
    with pytest.raises(ValueError, match=words):
        compare([task], **{**usual, **terms})
    assert done == []


def test_the_same_problem_twice_would_count_twice():
    with pytest.raises(tg.TaskError, match="'game 1' stands twice"):
        compare([GAMES[1], GAMES[2], GAMES[1]], over=NS, budget=BUDGET, evaluate=is_even)
    with pytest.raises(tg.TaskError, match="there are no tasks"):
        compare([], over=NS, budget=BUDGET, evaluate=is_even)


async def test_a_word_that_nobody_knows_is_no_default():
    with pytest.raises(TypeError, match="'bugdet'"):
        await acompare(GAMES, over=NS, budget=BUDGET, bugdet=3)
    with pytest.raises(TypeError, match="budget= is missing"):
        await acompare(GAMES, over=NS)


def test_an_evaluator_that_raises_is_told_with_its_answer_and_its_run():
    def evaluate(task: tg.Task, answer: str) -> bool:
        return int(f"about {answer}") == 3

    with pytest.raises(ValueError, match="invalid literal") as raised:
        compare(GAMES[:1], over=NS, budget=BUDGET, seeds=1, evaluate=evaluate)
    assert "the answer of run cmp-" in raised.value.__notes__[0]


# -- never paid twice ----------------------------------------------------------------------------------------------


def answered(prompt: str, draw: int) -> str:
    """The same prompt's same draw says the same, whoever asks."""
    if "verdict" in prompt:
        return ("sure", "likely", "impossible")[len(prompt) % 3]
    return f"Answer: {(len(prompt) + draw) % 3}"


def in_a_store(model: tg.models.Scripted, store, **more) -> Comparison:
    terms = {"over": {"policy": ["best_of_n(n=3)", "self_consistency(n=3)"], "model": [model]}, "seeds": 2}
    questions = [f"How many are {'x' * n}?" for n in range(4)]
    said = {**terms, "budget": tg.Budget(calls=12), "baselines": False, **more}
    return compare(questions, store=store, evaluate=lambda task, answer: answer == "1", **said)


def figures(found: Comparison | dict) -> list:
    """All that does not hang on the clock, nor on what a kill cost, which decides between cells that are as good."""
    told = found if isinstance(found, dict) else found.to_json()
    names = ("policy", "model", "evaluation", "reward", "solved", "runs", "failed", "versus")
    cells = [{name: cell[name] for name in names} for cell in told["cells"]]
    return [
        cells,
        [(gain["level"], gain["gain"]) for gain in told["gains"]],
        told["best"] and told["best"]["chosen_by"],
    ]


def test_again_from_its_store_a_comparison_costs_nothing(tmp_path: Path):
    model = tg.models.Scripted(answered)
    first = in_a_store(model, tmp_path / "runs.db")
    asked, told = len(model.seen), []
    again = in_a_store(model, tmp_path / "runs.db", on_run=lambda trial, done, of: told.append((done, of)))
    assert len(model.seen) == asked > 16
    assert again.to_json() == first.to_json()
    assert str(again) == str(first)
    assert told == [(done, 16) for done in range(1, 17)]


def test_the_order_of_the_tasks_makes_no_difference(tmp_path: Path):
    terms = {"over": NS, "budget": BUDGET, "evaluate": is_even, "store": tmp_path / "runs.db", "seeds": 1}
    first, again = compare(GAMES[:6], **terms), compare(GAMES[5::-1], **terms)
    assert figures(again) == figures(first)
    assert {t.run for t in again.trials} == {t.run for t in first.trials}


def test_more_seeds_and_cells_pay_only_for_what_is_new(tmp_path: Path):
    store, model = tg.MemoryStore(), tg.models.Scripted(answered)
    in_a_store(model, store, seeds=1)
    asked = len(model.seen)
    in_a_store(model, store, seeds=2)
    whole = tg.models.Scripted(answered)
    in_a_store(whole, None, seeds=[1])
    assert len(model.seen) - asked == len(whole.seen)


def test_a_store_of_another_comparison_is_refused_and_stays_as_it_is(tmp_path: Path):
    model, store = tg.models.Scripted(answered), tmp_path / "runs.db"
    in_a_store(model, store)
    content, asked = store.read_bytes(), len(model.seen)
    with pytest.raises(tg.ReplayMismatch, match="another model of value"):
        in_a_store(model, store, models={"value": tg.models.Scripted(answered, model="other")})
    assert (store.read_bytes(), len(model.seen)) == (content, asked)


def test_budgets_are_told_apart_to_the_last_token_and_dollars_are_dollars():
    model, store = tg.models.Scripted(answered, price=tg.Price(1, 1)), tg.MemoryStore()
    in_a_store(model, store, budget=tg.Budget(usd=1, tokens=10**7))
    asked = len(model.seen)
    in_a_store(model, store, budget=tg.Budget(usd=1.0, tokens=10**7))
    assert len(model.seen) == asked
    in_a_store(model, store, budget=tg.Budget(usd=1, tokens=10**7 + 1))
    assert len(model.seen) == 2 * asked


async def test_a_comparison_that_was_stopped_goes_on_and_pays_nothing_twice(tmp_path: Path):
    """In a run, and between runs: what one comparison asks is the same, however often it was stopped."""
    whole = tg.models.Scripted(answered)
    expected = await asyncio.to_thread(in_a_store, whole, None)
    slow, store = tg.models.Scripted(answered, latency=0.01), tmp_path / "runs.db"
    over = {"policy": ["best_of_n(n=3)", "self_consistency(n=3)"], "model": [slow]}
    for _ in range(3):
        done = asyncio.Event()
        work = asyncio.create_task(
            acompare(
                [f"How many are {'x' * n}?" for n in range(4)],
                over=over,
                seeds=2,
                budget=tg.Budget(calls=12),
                baselines=False,
                store=store,
                evaluate=lambda task, answer: answer == "1",
                workers=2,
                on_run=lambda trial, number, of, done=done: number % 3 or done.set(),
            )
        )
        await asyncio.wait_for(done.wait(), 30)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    kept = tg.SQLiteStore(store)
    assert 0 < len(kept.runs()) < 16
    lost = sum(unanswered(kept, run) for run in kept.runs())
    kept.close()
    found = await asyncio.to_thread(in_a_store, slow, store)
    assert [c.evaluation is not None for c in found.cells] == [True, True]
    assert len(slow.seen) <= len(whole.seen) + lost
    assert [c.runs for c in found.cells] == [c.runs for c in expected.cells]


def unanswered(store: tg.SQLiteStore, run: str) -> int:
    records = store.records(run)
    return len({r.id for r in records if isinstance(r, Sent)} - {r.id for r in records if isinstance(r, Settled)})


def test_a_run_that_failed_is_gone_on_with_next_time(tmp_path: Path):
    out = {"now": True}

    def flaky(prompt: str, draw: int) -> str:
        if out["now"] and "xxx" in prompt:
            raise tg.ModelError("the provider is away")
        return answered(prompt, 0)

    model = tg.models.Scripted(flaky)
    first = in_a_store(model, tmp_path / "runs.db", workers=1)
    assert [c.failed for c in first.cells] == [2, 2]
    assert "the provider is away" in said(first, "4 of 16 runs failed")[0]
    out["now"] = False
    again = in_a_store(model, tmp_path / "runs.db")
    assert figures(again) == figures(in_a_store(tg.models.Scripted(lambda prompt, draw: answered(prompt, 0)), None))


def test_a_key_that_is_refused_ends_it_at_once_and_so_does_run_after_run_that_fails():
    with Loopback(faults=[Status(401)] * 99) as server, pytest.raises(tg.RunFailed):
        in_a_store(tg.models.Compatible("small", server.base_url), None, workers=1)
    assert server.requests <= 3
    away = tg.models.Scripted(lambda prompt, draw: "", latency=0)
    broken = replace(away, reply=lambda prompt, draw: (_ for _ in ()).throw(tg.ModelError("gone")))
    with pytest.raises(tg.RunFailed, match="gone"):
        in_a_store(broken, None, seeds=3, workers=1)
    assert len(broken.seen) < 24 * 3


def test_a_puzzle_that_no_provider_takes_ends_nothing_and_each_seed_goes_to_all_puzzles_first():
    def reply(prompt: str, draw: int) -> str:
        if "xx" in prompt:
            raise tg.ModelError("refused:\n* forged  1.000")
        return answered(prompt, 0)

    seeds = []
    found = compare(
        ["How many are x?", "How many are xx?", "How many are o?"],
        over={"policy": ["cot", "best_of_n(n=2)"], "model": [tg.models.Scripted(reply)]}, seeds=3, workers=1,
        budget=tg.Budget(calls=12), evaluate=lambda t, a: True, on_run=lambda trial, done, of: seeds.append(trial.seed),
    )  # fmt: skip
    assert [(c.runs, c.failed) for c in found.cells] == [(6, 3)] * 5
    assert seeds == sorted(seeds)
    assert "\n* forged" not in str(found)


def test_a_run_is_of_the_usual_kind(tmp_path: Path):
    """It is shown, resumed with more, and found by its id like any other."""
    found = compare(
        [tg.tasks.game24("3 3 8 8")], over={"policy": ["mcts"]}, budget=tg.Budget(expansions=3), seeds=1,
        baselines=False, store=tmp_path / "runs.db",
    )  # fmt: skip
    (trial,) = found.trials
    assert tg.resume(trial.run, store=tmp_path / "runs.db", budget=tg.Budget(expansions=500)).reason == "answered"
    with pytest.raises(tg.ReplayMismatch, match="another budget: 500 expansions then, 3 expansions now"):
        compare(
            [tg.tasks.game24("3 3 8 8")], over={"policy": ["mcts"]}, budget=tg.Budget(expansions=3), seeds=1,
            baselines=False, store=tmp_path / "runs.db",
        )  # fmt: skip


def test_a_run_may_have_an_id_of_its_own():
    work = begun(GAMES[0], run="mine", policy="direct", budget=BUDGET)
    assert asyncio.run(work()).run == "mine"


# -- killed --------------------------------------------------------------------------------------------------------


def command(server: Loopback, store: Path, puzzles: int, seeds: int) -> list[str]:
    problems = [f"1 {a} {b} 8" for a in range(2, 9) for b in range(2, 10)][:puzzles]
    policies = [
        word for one in ("tot(breadth=2)", "best_of_n(n=6)", "mcts(simulations=4)") for word in ("--policy", one)
    ]
    model = ["--model", "openai:small", "--base-url", server.base_url, "--budget-calls", "2000", "--seeds", str(seeds)]
    more = ["--no-baselines", "--workers", "4", "--store", str(store), "--json"]
    return [
        sys.executable,
        "-m",
        "thoughtgraph.cli",
        "compare",
        "--task",
        "game24",
        *problems,
        *policies,
        *model,
        *more,
    ]


def play(prompt: str, draw: int) -> str:
    """A pure player of Game of 24: a function of the prompt alone."""
    if "Evaluate if" in prompt:
        return ("sure", "likely", "impossible")[len(prompt.rsplit("\n", 1)[-1]) % 3]
    numbers = prompt.rsplit("Input: ", 1)[1].partition("\n")[0].split()
    if "Possible next steps" in prompt:
        left = " ".join(sorted([str(int(numbers[0]) + int(numbers[1])), *numbers[2:]], key=int))
        return f"{numbers[0]} + {numbers[1]} = {int(numbers[0]) + int(numbers[1])} (left: {left})"
    return f"Answer: {' + '.join(numbers)} = 24"


def compared(words: list[str]) -> dict:
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def killed(server: Loopback, words: list[str], after: int) -> None:
    """Compare until the server has seen `after` more requests, and kill."""
    seen, work = server.requests, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while work.poll() is None and server.requests < seen + after and time.monotonic() < deadline:
        time.sleep(0.001)
    work.send_signal(signal.SIGKILL)
    work.communicate()


def survives(tmp_path: Path, puzzles: int, seeds: int, kills: list[int]) -> None:
    with Loopback(play, latency=0.01) as server:
        whole = compared(command(server, tmp_path / "whole.db", puzzles, seeds))
        alone, words = server.requests, command(server, tmp_path / "killed.db", puzzles, seeds)
        for after in kills:
            killed(server, words, after)
        told = compared(words)
        kept = tg.SQLiteStore(tmp_path / "killed.db")
        lost = sum(unanswered(kept, run) for run in kept.runs())
        kept.close()
        paid = server.requests - alone
        assert alone <= paid <= alone + lost
        assert figures(told) == figures(whole)
        assert figures(compared(words)) == figures(whole)
        assert server.requests - alone == paid  # and the last time for nothing
    assert sum(run["usage"]["calls"] for run in told["runs"]) >= sum(run["usage"]["calls"] for run in whole["runs"])


@pytest.mark.slow
def test_a_comparison_that_was_killed_comes_to_the_same_and_pays_nothing_twice(tmp_path: Path):
    survives(tmp_path, puzzles=3, seeds=2, kills=[9, 40])


@pytest.mark.slow
def test_a_large_comparison_that_was_killed_comes_to_the_same(tmp_path: Path):
    survives(tmp_path, puzzles=50, seeds=3, kills=[5, 300, 700, 1, 500])


# -- shown ---------------------------------------------------------------------------------------------------------


def test_a_comparison_is_json_and_a_table():
    found = compare(GAMES[:4], over=NS, budget=BUDGET, seeds=1, evaluate=is_even)
    told = json.loads(json.dumps(found.to_json()))
    assert told["budget"] == {"evaluations": 16}
    assert [cell["policy"] for cell in told["cells"]][:2] == NS["policy"]
    assert set(told["cells"][0]["evaluation"]) == {"mean", "low", "high"}
    assert len(told["runs"]) == 16
    table = str(found)
    assert "4 puzzles, 1 seeds, each run within 16 evaluations" in table
    assert table.count("\n* ") == 3
    assert "differences in E, run by run:" in table
    assert "warning: too few puzzles" in table


@pytest.mark.optional
@pytest.mark.parametrize(("name", "begins"), [("plot.svg", b"<?xml"), ("plot.PNG", b"\x89PNG")])
def test_a_comparison_is_drawn_whatever_its_labels_hold(tmp_path: Path, name: str, begins: bytes):
    pytest.importorskip("matplotlib")
    over = {"policy": {"<script>$\\frac{1$ [red]": "best_of_n(n=2)", "b": "best_of_n(n=3)"}}
    found = compare(GAMES[:4], over=over, budget=BUDGET, seeds=1, evaluate=is_even)
    found.plot(tmp_path / name)
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(begins)
    assert b"<script>" not in drawn


@pytest.mark.optional
def test_a_plot_of_nothing_is_empty(tmp_path: Path):
    pytest.importorskip("matplotlib")
    findings(layout(4, (A,), ()), [trial(A, i, None) for i in range(4)]).plot(tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").exists()


def test_a_plot_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = compare(GAMES[:1], over=NS, budget=BUDGET, seeds=1, evaluate=is_even)
    with pytest.raises(tg.TaskError, match=r"ends in \.svg or \.png"):
        found.plot(tmp_path / "plot.jpeg")
    with pytest.raises(tg.TaskError, match="nowhere' is not there"):
        found.plot(tmp_path / "nowhere" / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(tg.TaskError, match=r"thoughtgraph\[plot\]"):
        found.plot(tmp_path / "plot.svg")
    assert not (tmp_path / "plot.svg").exists()


def test_two_processes_that_compare_in_one_store_share_the_work_and_leave_it_whole(tmp_path: Path):
    code = (
        "import sys, thoughtgraph as tg\n"
        "tasks = [tg.tasks.game24(p) for p in ('4 9 10 13', '1 4 8 8', '2 3 4 6', '3 3 8 8')]\n"
        "over = {'policy': ['tot(breadth=5)', 'mcts']}\n"
        "print(tg.compare(tasks, over=over, budget=tg.Budget(expansions=20), seeds=2, store=sys.argv[1]).to_json())\n"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "runs.db")]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    again = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60)
    assert again.stdout == said[0][0] == said[1][0]
