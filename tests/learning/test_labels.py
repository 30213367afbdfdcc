"""Labels from search: counts, first errors and preferences by hand, from graphs as a store holds them."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# pyright: reportOptionalOperand=false

from collections.abc import Callable
from dataclasses import replace

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.equivalence import equivalent
from thoughtgraph.learning.grown import Grown, grown
from thoughtgraph.learning.labels import (
    counted,
    first_error,
    graded,
    hard,
    outcomes,
    rows_of,
    siblings,
    soft,
    steps,
    wilson,
)
from thoughtgraph.learning.rows import Outcome, StepTrace, read_rows, write_rows
from thoughtgraph.search.monte_carlo import MonteCarlo
from thoughtgraph.search.omega import Omega
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.verbs import Search

# -- when answers are one --------------------------------------------------------------------------------------------

SAME = [
    (18, 18.0), ("18", "$18"), ("18.", "18.0"), ("1/2", 0.5), (r"\frac{1}{2}", "0.5"), ("1 1/2", "1.5"),
    ("1,800", "1800"), ("-3", "\u22123"), ("$-3$", -3), (r"\boxed{42}", "42"), ("18 dollars", "$18"), ("50%", "50"),
    (r"50\%", "50 percent"), ("Paris.", "**paris**"), ([1, "2"], ["1", 2]), ({"a": 1}, {"a": "1.0"}), ("3e2", "300"),
    ("5 million", 5_000_000), ("$1.5 million dollars", "1,500,000"), ("2 dozen eggs", "24"), ("5 m", "5"),
    ("3 km/h", "3 km per h"), (0.1 + 0.2, "0.3"), ("yes", "Yes!"), (10**400, 10**400),
    ("a long text " * 50, "A long text " * 50),
]  # fmt: skip
OTHER = [
    ("1", "11"), ("11", "1"), ("1,80", "180"), ("18 km", "18 miles"), ("50%", "1/2"), (True, 1), (None, None), ("", ""),
    ("0.333", "1/3"), (10**20, 10**20 + 1), ("the answer is 4", "4"), ("12 and 13", "12"), ("a", "b"), (10**400, 1.5),
    ("5 million", "5"), ("2 dozen", 2), ("3x", "3"), ("2\u03c0", "2"), ("2 pi", 2), ("18 is wrong", "18"), ("5k", 5),
    ("18 or nineteen", "18"), ([1, 2], [1]), ({"a": 1}, {"b": 1}), ("1/0", "0"), (float("nan"), "nan"), (None, "None"),
    ("18", [18]),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SAME)
def test_answers_that_say_the_same_are_one(a: object, b: object):
    assert equivalent(a, b)
    assert equivalent(b, a)


@pytest.mark.parametrize(("a", "b"), OTHER)
def test_answers_that_do_not_are_two(a: object, b: object):
    assert not equivalent(a, b)
    assert not equivalent(b, a)


def test_a_tasks_own_form_makes_more_answers_one():
    assert not equivalent("4 + 8", "8 + 4")
    assert equivalent("4 + 8", "8 + 4", same=lambda answer: str(sorted(answer)))


# -- graphs by hand --------------------------------------------------------------------------------------------------

Script = Callable[[Search], object]


def task_of(children: dict[str, str], **how: object) -> tg.Task:
    """Letters by name, as `step` and as `reason` make them; a capital letter is finished, and claims itself.

    What has no children is a dead end.
    """

    def make(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(name, done=name.isupper()) for name in children.get(state.content, "")][:n]

    return tg.Task("x", {"step": make, "reason": make}, start="", **how)


def play(task: tg.Task, script: Script, grade: object = None, **how: object) -> Grown:
    """The tree that a policy by hand leaves in a store. Claims before M are right, if nobody says otherwise."""

    async def policy(search: Search) -> None:
        await script(search)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]

    store = MemoryStore()
    run = tg.solve(task, policy=policy, store=store, budget=tg.Budget()).run
    return grown(store, run, task, grade or (lambda claim: claim < "M"), **how)


def names(tree: Grown, counts: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {tree.graph[id].content: pair for id, pair in counts.items()}


#          root
#        a      b          steps
#      A Z Y   A Z         rollouts
async def two(search: Search) -> None:
    a, b = await search.expand(search.root, action="step")
    await search.expand(a, action="reason", merge=False)
    await search.expand(b, action="reason", merge=False)


TWO = {"": "ab", "a": "AZY", "b": "AZ"}


def test_successes_and_trials_of_each_thought_are_its_own_rollouts():
    tree = play(task_of(TWO), two)
    assert names(tree, counted(tree)) == {"a": (1, 3), "b": (1, 2)}


def test_what_is_selected_counts_only_where_it_is_asked_for():
    tree = play(task_of(TWO), two)
    assert names(tree, counted(tree, rollout=None)) == {"": (2, 5), "a": (1, 3), "b": (1, 2)}
    assert counted(tree, rollout="answer") == {}


def test_an_answer_that_branches_share_counts_once_for_each_of_them():
    #     root -> a, b -> c (a diamond) -> A
    async def diamond(search: Search) -> None:
        a, b = await search.expand(search.root, action="step")
        for above in (a, b):
            below = await search.expand(above, action="step")
        await search.expand(*below, action="step")

    tree = play(task_of({"": "ab", "a": "c", "b": "c", "c": "A"}, key=str), diamond)
    assert len(tree.graph) == 5
    assert names(tree, counted(tree, rollout=None)) == {"": (1, 1), "a": (1, 1), "b": (1, 1), "c": (1, 1)}


def test_an_answer_that_two_actions_bring_from_one_thought_counts_once():
    async def both(search: Search) -> None:
        (a,) = await search.expand(search.root, action="step", n=1)
        await search.expand(a, action="step", n=1)
        await search.expand(a, action="reason", n=1)

    tree = play(task_of({"": "a", "a": "A"}, key=str), both)
    assert names(tree, counted(tree, None)) == {"": (1, 1), "a": (1, 1)}


def test_a_step_that_meets_anothers_rollout_is_no_trial_of_its_own():
    async def meet(search: Search) -> None:
        a, b = await search.expand(search.root, action="step")
        await search.expand(a, action="reason", merge=False)
        await search.expand(b, action="step")

    tree = play(task_of({"": "ab", "a": "A", "b": "A"}, key=str), meet)
    assert len(tree.graph) == 4
    assert names(tree, counted(tree)) == {"a": (1, 1)}


def test_rollouts_of_many_steps_count_at_their_beginning_and_dead_ends_are_failures():
    async def deep(search: Search) -> None:
        (a,) = await search.expand(search.root, action="step")
        for thought in await search.expand(a, action="reason", merge=False):
            await search.expand(thought, action="reason", merge=False)

    tree = play(task_of({"": "a", "a": "bcd", "b": "A", "c": "Z"}), deep)
    assert names(tree, counted(tree)) == {"a": (1, 3), "b": (1, 1), "c": (0, 1), "d": (0, 1)}


def test_what_is_unfinished_or_failed_or_cannot_be_graded_is_no_trial():
    def make(state: tg.State, n: int) -> list[tg.Draft]:
        if state.content == "a":
            raise OSError("the line was bad")
        return [tg.Draft(name, done=name.isupper()) for name in "abA"]

    async def policy(search: Search) -> None:
        a, *_ = await search.expand(search.root, action="reason", merge=False)
        await search.expand(a, action="reason", merge=False)

    task = tg.Task("x", {"reason": make}, start="")
    assert counted(play(task, policy, lambda claim: None)) == {}
    assert set(counted(play(task, policy, lambda claim: 1.0)).values()) == {(1, 1)}


def test_a_finished_thought_that_claims_nothing_is_a_wrong_answer():
    tree = play(task_of(TWO, claim=lambda path: None), two, lambda claim: 1.0)
    assert {row.value for row in outcomes(tree)} == {0.0}


def test_a_grade_below_the_bar_is_no_success_and_keeps_its_value():
    tree = play(task_of(TWO), two, lambda claim: 0.5)
    assert names(tree, counted(tree))["a"] == (0, 3)
    assert {row.value for row in outcomes(tree)} == {0.5}
    assert names(tree, counted(replace(tree, bar=0.5)))["a"] == (3, 3)


def test_a_grade_that_is_no_share_is_refused():
    with pytest.raises(TaskError, match="graded 7"):
        outcomes(play(task_of(TWO), two, lambda claim: 7))


# -- step traces -----------------------------------------------------------------------------------------------------


def test_each_count_stands_in_one_row_alone():
    #   root - a - b, c: three prefixes, two ways
    async def fork(search: Search) -> None:
        (a,) = await search.expand(search.root, action="step")
        for thought in (a, *await search.expand(a, action="step", n=2)):
            await search.expand(thought, action="reason", merge=False)

    tree = play(task_of({"": "a", "a": "bcA", "b": "ZZ", "c": "AZ"}), fork)
    rows = steps(tree)
    assert [(row.response.steps, row.counts) for row in rows] == [
        (("a", "b"), ((1, 1), (0, 2))),
        (("a", "c"), ((0, 0), (1, 2))),
    ]
    assert [row.first_error for row in rows] == [1, 2]
    assert rows[0].response.contents == ("a", "b")


def test_a_finished_step_counts_as_its_own_grade():
    async def straight(search: Search) -> None:
        (a,) = await search.expand(search.root, action="step")
        await search.expand(a, action="step")

    rows = steps(play(task_of({"": "a", "a": "Z"}), straight))
    assert [row.counts for row in rows] == [((0, 0), (0, 1))]


def test_the_first_error_is_behind_the_last_success():
    assert first_error([(3, 8), (1, 8), (0, 8), (0, 8)]) == 2
    assert first_error([(3, 8), (0, 8), (1, 8), (0, 8)]) == 3  # a lucky recovery
    assert first_error([(3, 8), (1, 1)]) == 2
    assert first_error([(0, 8)]) == 0
    assert first_error([(3, 8), (0, 0), (0, 8)]) is None  # nobody tried the step between
    assert first_error([(0, 0), (3, 8), (0, 8)]) == 2  # a way led through it
    assert first_error([(3, 8), (0, 0)]) is None
    assert first_error([]) is None
    assert first_error([(0, 8), (0, 8)], start=(0, 8)) is None  # whose error, where nobody solves it?
    assert first_error([(0, 8), (0, 8)], start=(2, 8)) == 0


def test_soft_and_hard_labels_are_made_of_both_numbers():
    assert (soft((3, 8)), hard((3, 8))) == (3 / 8, True)
    assert (soft((0, 8)), hard((0, 8))) == (0, False)
    assert (soft((0, 0)), hard((0, 0))) == (None, None)


def test_rows_say_who_went_on_and_who_wrote_them():
    (row, _) = steps(play(task_of(TWO), two))
    assert "reason" in row.completer
    assert "policy" in row.completer
    assert "step" in row.response.generator
    assert row.run


# -- preferences -----------------------------------------------------------------------------------------------------


def preferred(rows: list[tg.Preference] | list[object]) -> set[tuple[str, str]]:
    return {(row.chosen.text, row.rejected.text) for row in rows}  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_one_of_two_against_none_of_two_is_no_preference():
    tree = play(task_of({"": "ab", "a": "AZ", "b": "ZY"}), two)
    assert ("a", "b") not in preferred(siblings(tree))
    assert ("a", "b") in preferred(siblings(tree, sure=0.0))


def test_eight_of_eight_against_none_of_eight_is_one():
    tree = play(task_of({"": "ab", "a": "ABCDEFGH", "b": "STUVWXYZ"}), two)
    (row,) = [row for row in siblings(tree) if row.chosen.text == "a"]
    assert (row.rejected.text, row.margin) == ("b", 1.0)
    assert not siblings(tree, least=1.1)


def test_of_finished_siblings_the_right_ones_are_preferred_for_certain():
    tree = play(task_of({"": "ab", "a": "AZ", "b": ""}), two)
    assert preferred(siblings(tree)) == {("a\nA", "a\nZ")}


def test_wilsons_interval_is_that_of_the_books():
    found = wilson((1, 8))
    assert (found.mean, found.low, found.high) == (
        1 / 8,
        pytest.approx(0.0224, abs=1e-3),
        pytest.approx(0.471, abs=1e-3),
    )
    assert wilson((0, 2)).low == 0
    assert wilson((2, 2)).high == 1


def judged(values: dict[str, tg.Score]) -> Grown:
    async def score(search: Search) -> None:
        await search.score(await search.expand(search.root, action="step"), "value")

    critics = {"value": lambda states: [values[state.content] for state in states]}
    return play(task_of({"": "".join(values)}, critics=critics), score)


def test_a_critics_scores_make_preferences_where_they_differ_beyond_their_spread():
    tree = judged({"a": tg.Score(0.9, spread=0.05, samples=4), "b": tg.Score(0.8, spread=0.05, samples=4)})
    assert siblings(tree, by="value") == []
    tree = judged({"a": tg.Score(0.9, spread=0.05, samples=4), "b": tg.Score(0.2, spread=0.05, samples=4)})
    assert preferred(siblings(tree, by="value")) == {("a", "b")}
    assert siblings(judged({"a": tg.Score(0.9), "b": tg.Score(None)}), by="value") == []


# -- the front door --------------------------------------------------------------------------------------------------


def coin(state: tg.State, n: int) -> list[tg.Draft]:
    """Whole words of "o" and "x" that go on from what is there."""
    rest = 6 - len(state.content)
    return [tg.Draft(state.content + "".join(state.rng.choices("oox", k=rest)), done=True) for _ in range(n)]


def cut(state: tg.State, n: int) -> list[tg.Draft]:
    start, word = (thought.content for thought in state.thoughts)
    return [tg.Draft(word[:end]) for end in range(len(start) + 1, len(word))][:n]


def coins(problem: str) -> tg.Task:
    critics = {"value": lambda states: [tg.Score(0.5) for _ in states]}
    return tg.Task(problem, {"reason": coin, "cut": cut}, critics, start="")


def clean(task: tg.Task) -> Callable[[object], bool]:
    """Words without an "x" are right."""
    return lambda claim: "x" not in str(claim)


def test_runs_in_a_file_become_rows_that_can_be_written_and_read(tmp_path):
    store, tasks = SQLiteStore(tmp_path / "runs.db"), [coins("one"), coins("two")]
    policy = MonteCarlo(breadth=3, rollouts=4, branch=1, action="reason")
    for task in tasks:
        tg.solve(task, policy=policy, store=store, budget=tg.Budget())
    rows = rows_of(store, tasks, evaluate=clean)
    store.close()
    assert {row.question for row in rows} == {"one", "two"}
    assert {row.kind for row in rows} >= {"outcome", "steps"}
    for row in rows:
        if isinstance(row, Outcome):
            assert row.value == float("x" not in row.response.answer)
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_a_whole_answer_that_was_cut_is_a_row_with_its_steps():
    store, task = MemoryStore(), coins("one")
    policy = MonteCarlo(breadth=1, rollouts=4, branch=1, action="reason")
    tg.solve(task, policy=policy, store=store, budget=tg.Budget())
    (row,) = [row for row in rows_of(store, [task], evaluate=clean) if isinstance(row, StepTrace)]
    assert len(row.response.steps) == 6
    assert "".join(row.response.steps) == row.response.answer
    assert row.response.contents == tuple(row.response.answer[: end + 1] for end in range(6))
    assert [n for _, n in row.counts] == [4, 4, 4, 4, 4, 1]


def test_omega_grades_by_an_environment_and_its_rows_do_not_tell():
    """What the environment said is no signal of a response: it would be the label itself."""
    store, task = MemoryStore(), graded(coins("one"), clean)
    result = tg.solve(task, policy=Omega(rollouts=8, searches=3), store=store, budget=tg.Budget())
    assert result.ito == "environment"
    rows = rows_of(store, [task], evaluate=clean, labels=["outcomes", "steps"])
    assert {name for row in rows for name in row.response.signals} == {"prior", "depth"}
    errors = [row for row in rows if isinstance(row, StepTrace) and row.first_error is not None]
    assert errors
    assert all("x" in "".join(row.response.steps[: row.first_error + 1]) for row in errors)


def test_what_grades_is_not_written_into_the_run():
    gold = "oxoxox"
    store, task = MemoryStore(), graded(coins("one"), lambda task: lambda claim: claim == gold)
    run = tg.solve(task, policy=Omega(rollouts=2, searches=1), store=store, budget=tg.Budget()).run
    assert gold not in str(store.events(run)[0])


def test_the_goal_grades_where_nobody_else_does():
    store, task = MemoryStore(), replace(coins("one"), goal=lambda path: "x" not in path[-1].content)
    tg.solve(task, policy=MonteCarlo(breadth=1, branch=1, action="reason"), store=store, budget=tg.Budget())
    rows = [row for row in rows_of(store, [task]) if isinstance(row, Outcome)]
    assert all(row.value == float("x" not in row.response.answer) for row in rows)
    assert {row.grader for row in rows} == {"goal"}


def test_what_nobody_can_grade_is_an_error_that_says_what_to_give():
    store = MemoryStore()
    tg.solve(coins("one"), policy="cot", store=store, budget=tg.Budget())
    with pytest.raises(TaskError, match="evaluate="):
        rows_of(store, [coins("one")])
    with pytest.raises(TaskError, match="nobody grades"):
        graded(coins("one"), lambda task: None)


def test_a_run_of_another_task_is_passed_over_unless_it_was_asked_for():
    store = MemoryStore()
    run = tg.solve(coins("one"), policy="cot", store=store, budget=tg.Budget()).run
    assert rows_of(store, [coins("two")], evaluate=clean) == []
    with pytest.raises(TaskError, match="none of the 1 tasks"):
        rows_of(store, [coins("two")], runs=[run], evaluate=clean)
    with pytest.raises(TaskError, match="expected some of outcomes"):
        rows_of(store, [coins("one")], evaluate=clean, labels=["guesses"])
