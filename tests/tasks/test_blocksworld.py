"""Blocksworld: the simulator, the two ways to write a problem, the plans that are found, and the evaluator."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.search import DFS, MCTS, BestFirst, BestOfN, SelfConsistency, ToT
from thoughtgraph.tasks import build
from thoughtgraph.tasks.blocksworld import Evaluator, Play, after, blocksworld, check, described, legal, misplaced, read
from thoughtgraph.tasks.fallible import Fallible

PUBLISHED = Path(__file__).parents[3] / "shared/data/blocksworld/blocksworld_split_v1.json"
published = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published problems are not here")

SWAP = "B on A, C on table; goal: A on B, B on C"
PLAN = "(unstack B A)\n(stack B C)\n(pick-up A)\n(stack A B)"

PDDL = """
(define (problem BW-rand-3)  ; blocks on blocks
(:domain blocksworld-4ops)
(:objects a b c )
(:init (handempty) (ontable a) (on b a) (ontable C) (clear b) (clear c))
(:goal (and (on a b) (on b c)))
)
"""


def facts(text: str) -> frozenset[tuple[str, ...]]:
    """Facts by hand: "on b a, clear b, handempty"."""
    return frozenset(tuple(fact.split()) for fact in text.split(","))


# -- the simulator -------------------------------------------------------------------------------------------------

B_ON_A = "on B A, ontable A, clear B, handempty"
B_HELD = "holding B, clear A, ontable A"


@pytest.mark.parametrize(
    ("before", "move", "then"),
    [
        (B_ON_A, "unstack B A", B_HELD),
        (B_HELD, "stack B A", B_ON_A),
        (B_HELD, "put-down B", "ontable A, ontable B, clear A, clear B, handempty"),
        ("ontable A, ontable B, clear A, clear B, handempty", "pick-up B", B_HELD),
    ],
)
def test_each_operator_does_what_the_domain_says(before: str, move: str, then: str):
    assert after(facts(before), move.split()) == facts(then)


@pytest.mark.parametrize(
    ("before", "move"),
    [
        (B_ON_A, "pick-up A"), (B_ON_A, "pick-up B"), (B_ON_A, "unstack A B"), (B_ON_A, "put-down B"),
        (B_ON_A, "stack B A"), (B_HELD, "pick-up A"), (B_HELD, "stack A B"), (B_HELD, "stack B B"),
        (B_HELD, "put-down A"), (B_ON_A, "unstack B"), (B_ON_A, "move B A"), (B_ON_A, ""),
        (B_ON_A, "unstack B A table"),
    ],
)  # fmt: skip
def test_a_move_whose_preconditions_do_not_hold_is_none(before: str, move: str):
    assert after(facts(before), move.split()) is None


def test_with_an_empty_hand_every_clear_block_can_be_taken():
    assert legal(read(SWAP).start) == (("unstack", "B", "A"), ("pick-up", "C"))


def test_a_held_block_goes_down_or_on_any_clear_block():
    held = after(read(SWAP).start, ("unstack", "B", "A"))
    assert held is not None
    assert legal(held) == (("put-down", "B"), ("stack", "B", "A"), ("stack", "B", "C"))


@published
def test_every_published_reference_plan_is_valid_and_none_without_its_last_move():
    splits = json.loads(PUBLISHED.read_text(encoding="utf-8"))["splits"]
    items = [item for split in splits.values() for item in split]
    assert len(items) == 590
    for item in items:
        plan = item["reference_plan"]
        assert check(item["pddl"], plan), item["instance"]
        assert not check(item["pddl"], plan.rstrip().rpartition("\n")[0]), item["instance"]


# -- reading a problem ---------------------------------------------------------------------------------------------


def test_a_line_and_pddl_tell_the_same_problem():
    start, goal = read(SWAP)
    assert start == facts("on B A, ontable A, ontable C, clear B, clear C, handempty")
    assert goal == facts("on A B, on B C")
    assert read(PDDL).start == facts("on b a, ontable a, ontable c, clear b, clear c, handempty")
    assert read(PDDL).goal == facts("on a b, on b c")


@pytest.mark.parametrize(
    "text",
    [
        "B on A, C on the table; goal: A on B, B on C.",
        "start: B on A, C on table, A on table; goal A on B, B on C",
        "B on A, B is clear, C clear, the hand is empty;\n  Goal: A on B, B on C",
    ],
)
def test_a_line_may_be_said_in_other_words(text: str):
    assert read(text) == read(SWAP)


def test_a_goal_of_one_fact_and_typed_objects_are_pddl_too():
    start = "(:objects a b - block) (:init (on a b) (ontable b) (clear a) (handempty))"
    assert read(f"(define (problem p) {start} (:goal (clear b)))").goal == facts("clear b")


def test_facts_are_told_in_the_notation_that_is_read():
    world = read(SWAP)
    assert described(world.goal) == "A on B, B on C"
    assert read(f"{described(world.start)}; goal: {described(world.goal)}") == world


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "lacks a start or a goal"),
        ("A on B", "lacks a start or a goal"),
        ("; goal: A on B", "no problem in PDDL"),
        ("A over B; goal: B on A", "'A over B' is no fact"),
        ("A on B; goal: A on C", "the goal names C: expected the blocks of the start, A, B"),
        ("A on B; goal: A on B", "the goal holds at the start"),
        ("A on B, B on A, C on table; goal: A on C", "blocks stand in a ring"),
        ("A on B, B in hand; goal: B on A", "on a block in the hand"),
        ("A on B, C on B; goal: C on A", "two blocks in one"),
        ("A on B, A on C; goal: C on A", "a block is in two places"),
        ("A in hand, B in hand; goal: B on A", "two blocks in one"),
        ("A on B, B clear; goal: B on A", "does not follow"),
        ("table on A; goal: A on table", "a block is called table or hand"),
        ("(define (problem p) (:init (on a b)) (:goal (on b a)))", "b stands nowhere"),
        ("(define (problem p) (:init (ontable a)) (:goal (holding a)))", "does not follow"),
        (
            "(define (problem p) (:objects a b) (:init (ontable a) (clear a) (handempty)) (:goal (holding a)))",
            "names b",
        ),
        ("(define (problem p) (:init (red a)) (:goal (holding a)))", "['red', 'a'] is no fact"),
        ("(define (problem p) (:init (ontable a) (clear a) (handempty)) (:goal (not (clear a))))", "is no fact"),
        ("(define (problem p)", "brackets closed"),
        ("(unstack b a)", "no problem in PDDL"),
        ("((a) b)", "no problem in PDDL"),
        ("(define ((a) b) c)", "lacks a start or a goal"),
    ],
)
def test_what_is_no_problem_is_refused_and_the_error_says_why(text: str, wrong: str):
    with pytest.raises(tg.TaskError) as error:
        blocksworld(text)
    assert wrong in str(error.value)


def test_there_is_no_form_that_asks_a_model():
    with pytest.raises(tg.TaskError, match="local generators only"):
        build("blocksworld", SWAP, local=False)


# -- planning ------------------------------------------------------------------------------------------------------


def test_a_problem_is_solved_by_default_and_the_answer_is_the_plan():
    result = tg.solve(blocksworld(SWAP))
    assert result.answer == PLAN
    assert (result.usage.calls, result.outcomes["failed"]) == (0, 0)


def test_blocks_in_the_wrong_place_are_those_the_goal_moves_and_all_that_stand_above_them():
    goal = read(SWAP).goal
    assert misplaced(read(SWAP).start, goal) == 4  # B must go to C, A to B, two moves each
    assert misplaced(facts("holding B, ontable A, ontable C, clear A, clear C"), goal) == 3
    assert misplaced(facts("on B C, ontable A, ontable C, clear A, clear B, handempty"), goal) == 2
    assert misplaced(facts("on A B, on B C, ontable C, clear A, handempty"), goal) == 0


def test_a_block_is_in_the_way_where_the_goal_wants_another_or_none():
    stack = facts("on C B, on B A, ontable A, clear C, handempty")
    assert misplaced(stack, facts("clear B")) == 2
    assert misplaced(stack, facts("clear A")) == 4
    assert misplaced(stack, facts("on C A")) == 4


def test_the_critic_can_be_wrong_where_a_block_must_move_twice():
    # Both blocks must wait on the table for the other to get out of the way: two moves more for each.
    turned = "A on B, B on C; goal: B on A, A on C"
    assert misplaced(*read(turned)) == 4
    assert len(str(tg.solve(blocksworld(turned)).answer).splitlines()) == 8


def test_no_path_comes_back_to_where_it_was():
    result = tg.solve(blocksworld("A on table, B on table; goal: A on B"), policy=ToT(breadth=50, steps=30))
    assert result.answer == "(pick-up A)\n(stack A B)"
    for thought in result.graph:
        positions = [tuple(step.content["facts"]) for step in result.graph.path(thought)]
        assert len(set(positions)) == len(positions)


def test_what_cannot_be_reached_is_exhausted():
    result = tg.solve(blocksworld("A on table, B on table; goal: A on B, A on table"), policy=DFS())
    assert (result.answer, result.reason) == (None, "exhausted")


def test_a_run_resumes_by_its_id_alone(tmp_path: Path):
    store = tmp_path / "runs.db"
    first = tg.solve(blocksworld(SWAP), budget=tg.Budget(expansions=2), store=store)
    again = tg.resume(first.run, store=store, budget=tg.Budget(expansions=100))
    assert (first.reason, again.answer) == ("budget", PLAN)


@published
@pytest.mark.parametrize("policy", [BestFirst(), DFS(), MCTS(), ToT(steps=40)])
def test_of_the_published_problems_a_sample_is_solved(policy: tg.Policy):
    splits = json.loads(PUBLISHED.read_text(encoding="utf-8"))["splits"]
    items = [item for split in splits.values() for item in split[::10]]
    assert [item["instance"] for item in items if not solved(item["pddl"], policy)] == []


@published
@pytest.mark.slow
def test_best_first_solves_every_published_problem_with_a_plan_as_short_as_the_reference():
    splits = json.loads(PUBLISHED.read_text(encoding="utf-8"))["splits"]
    longer = [
        item["instance"]
        for split in splits.values()
        for item in split
        if len(solved(item["pddl"], BestFirst())) > item["reference_steps"]
    ]
    assert longer == []


def solved(problem: str, policy: tg.Policy) -> Sequence[str]:
    """The moves of a plan that the evaluator accepts; none where it does not."""
    result = tg.solve(blocksworld(problem), policy=policy)
    return str(result.answer).splitlines() if Evaluator(problem)(result.answer) else []


# -- thinking fallibly ---------------------------------------------------------------------------------------------

SURE = Fallible(skill=50, bias=0, slip=0, reliability=1)


def test_a_sure_thinker_writes_the_plan_at_once_and_step_by_step():
    assert tg.solve(blocksworld(SWAP, fallible=SURE), policy=BestOfN(n=1)).answer == PLAN
    assert tg.solve(blocksworld(SWAP, fallible=SURE), policy=BestOfN(n=1, action="step")).answer == PLAN
    assert tg.solve(blocksworld(SWAP, fallible=SURE), policy=ToT(breadth=1)).answer == PLAN


def test_a_thinker_that_only_slips_has_no_thoughts_and_its_plans_are_no_answers():
    slips = Fallible(slip=1)
    stepped = tg.solve(blocksworld(SWAP, fallible=slips), policy=ToT())
    assert (stepped.answer, len(stepped.graph), stepped.outcomes["failed"]) == (None, 1, 0)
    whole = tg.solve(blocksworld(SWAP, fallible=slips), policy=BestOfN(n=3))
    assert (whole.answer, len(whole.graph.finals)) == (None, 3)
    assert not any(check(SWAP, thought.text) for thought in whole.graph.finals)


def test_what_it_slips_into_is_never_legal_and_what_it_prefers_always_is():
    play = Play(read(SWAP).goal)
    start = (read(SWAP).start,)
    slips = [play.slip(start, random.Random(seed)) for seed in range(100)]
    assert all(move is not None and play.play(start, move) is None for move in slips)
    assert play.moves(start) == [(("unstack", "B", "A"), 1), (("pick-up", "C"), 0)]  # the estimate sees no harm


def test_moves_back_to_where_it_has_been_are_not_among_its_moves():
    play = Play(read(SWAP).goal)
    held = play.play((read(SWAP).start,), ("unstack", "B", "A"))
    assert held is not None
    assert play.moves(held) == [(("put-down", "B"), -1), (("stack", "B", "C"), 1)]


def test_what_it_claims_to_have_solved_is_solved_however_often_it_errs():
    erring = Fallible(skill=0.5, slip=0.4, reliability=0.3)
    for seed in range(10):
        for policy in (BestOfN(n=8), SelfConsistency(n=8, action="step"), ToT(), MCTS(simulations=40)):
            answer = tg.solve(blocksworld(SWAP, fallible=erring), policy=policy, seed=seed).answer
            assert answer is None or check(SWAP, answer)


def test_its_errors_are_the_same_in_every_run_of_a_seed_and_others_with_another():
    def finals(seed: int) -> list[str]:
        result = tg.solve(blocksworld(SWAP, fallible=Fallible(skill=0)), policy=BestOfN(n=8), seed=seed)
        return [thought.text for thought in result.graph.finals]

    assert finals(1) == finals(1)
    assert finals(1) != finals(2)


def test_a_run_with_a_thinker_of_ones_own_resumes_with_the_task(tmp_path: Path):
    store, task = tmp_path / "runs.db", blocksworld(SWAP, fallible=SURE)
    first = tg.solve(task, policy=ToT(breadth=1), budget=tg.Budget(expansions=2), store=store)
    with pytest.raises(tg.ReplayMismatch, match="pass it again"):
        tg.resume(first.run, store=store)
    assert tg.resume(first.run, store=store, task=task, budget=tg.Budget(expansions=9)).answer == PLAN


# -- the evaluator -------------------------------------------------------------------------------------------------


def test_the_evaluator_plays_a_plan_from_the_start():
    assert Evaluator(SWAP)(PLAN)
    assert Evaluator(SWAP)(f"\n  {PLAN}\n\n")


@pytest.mark.parametrize(
    "claimed",
    [
        "",
        PLAN.rpartition("\n")[0],
        f"{PLAN}\n(put-down A)",
        "(stack A B)",
        "no plan",
        "()",
        "(((",
        PLAN.lower(),
        None,
        3,
        [PLAN],
    ],
)
def test_the_evaluator_refuses_all_else_and_fails_at_nothing(claimed: object):
    assert Evaluator(SWAP)(claimed) is False
