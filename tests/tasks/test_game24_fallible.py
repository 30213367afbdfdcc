"""Game of 24 with a fallible thinker: what it proposes, what it writes, and the places on the way to an answer."""

import random
from fractions import Fraction
from typing import Any, ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.tasks.fallible import Fallible, proposals
from thoughtgraph.tasks.game24 import Play, check, claim, game24, goal, moves
from thoughtgraph.testing import GeneratorContract
from thoughtgraph.thought import Json, Thought
from thoughtgraph.verbs import Search

SURE = Fallible(skill=20, bias=0, slip=0)
SLIPPING = Fallible(slip=1)
TASK = game24("4 9 10 13", fallible=Fallible())


class _Thinking(GeneratorContract):
    problem = "4 9 10 13"
    start: ClassVar[Json] = TASK.start


class TestFallibleSteps(_Thinking):
    generator: ClassVar[Any] = TASK.actions["step"]


class TestFallibleAnswers(_Thinking):
    generator: ClassVar[Any] = TASK.actions["reason"]


def drawn(puzzle: str, noise: Fallible, action: str, n: int = 40) -> list[list[Thought]]:
    """The paths to what one expansion of the puzzle brings."""
    found = list[list[Thought]]()

    async def once(search: Search) -> None:
        made = await search.expand(search.root, action=action, n=n, merge=False)
        found.extend(search.graph.path(thought) for thought in made)

    tg.solve(game24(puzzle, fallible=noise), policy=once, budget=tg.Budget())  # pyright: ignore[reportArgumentType]
    return found


def test_a_step_is_a_legal_move():
    legal = {move.left for move in moves(("4", "9", "10", "13"))}
    found = drawn("4 9 10 13", Fallible(), "step")
    assert len({tuple(path[-1].content["left"]) for path in found}) > 1
    assert all(tuple(path[-1].content["left"]) in legal for path in found)


def test_a_slip_of_arithmetic_is_no_step():
    assert drawn("4 9 10 13", SLIPPING, "step") == []


def test_an_answer_that_slips_ends_there_and_is_wrong():
    found = drawn("4 9 10 13", SLIPPING, "reason", 8)
    assert len(found) == 8
    for path in found:
        (step,), content = path[-1].content["text"].splitlines(), path[-1].content
        a, op, b, _, result, *_ = step.replace("(", "").replace(")", "").split()
        right = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}[op]
        assert right(Fraction(a), Fraction(b)) != Fraction(result)
        assert (content["steps"], content["left"]) == ([], ["4", "9", "10", "13"])
        assert not goal(path)
        assert not check("4 9 10 13", claim(path))


def test_an_answer_without_slips_goes_to_the_end_and_is_checked_as_any_other():
    found = drawn("4 4 6 8", Fallible(slip=0), "reason", 60)
    assert all(len(path[-1].content["left"]) == 1 for path in found)
    assert 0 < sum(goal(path) for path in found) < 60
    assert all(check("4 4 6 8", claim(path)) == goal(path) for path in found)


def test_what_it_sees_is_how_numbers_look_and_nothing_further():
    """Of two numbers it knows which operation makes 24; of three it does not know which can."""
    last = {move.left: gain for move, gain in Play().moves(("4", "6"))}
    assert max(last, key=lambda left: last[left]) == ("24",)
    before = {move.left: gain for move, gain in Play().moves(("5", "7", "8"))}
    assert before["8", "12"] == 2.0  # 7 + 5 = 12 divides 24, as 8 does
    assert before["8", "35"] == 1.0  # two became one


def test_the_sure_thinker_takes_24_where_it_sees_it():
    first = proposals(Play(), SURE, ("4", "6"), random.Random(1))[0].move
    assert first.left == ("24",)


def test_another_seed_is_another_thinker_and_the_same_seed_the_same():
    say = lambda seed: [path[-1].text for path in drawn("4 9 10 13", Fallible(seed=seed), "reason", 5)]
    assert say(1) == say(1) != say(2)


def test_a_thinker_in_the_place_of_a_model_is_local():
    with pytest.raises(TaskError, match="local=True"):
        game24("4 9 10 13", local=False, fallible=Fallible())


def test_the_other_ways_to_think_of_it_are_as_they_were():
    assert list(game24("4 9 10 13").actions) == ["step", "reason", "answer", "refine"]
    assert game24("4 9 10 13").recipe == {"name": "game24", "problem": "4 9 10 13", "local": True}
    assert game24("4 9 10 13").critics == TASK.critics


# -- places ----------------------------------------------------------------------------------------------------------


def places(noise: Fallible) -> list[tuple[Thought, list[Thought]]]:
    """Answers, and the places that they were cut into, started from the second level."""
    found = list[tuple[Thought, list[Thought]]]()

    async def once(search: Search) -> None:
        (start,) = await search.expand(search.root, action="step", n=1)
        for answer in await search.expand(start, action="reason", n=12, merge=False):
            found.append((answer, await search.expand(start, answer, action="cut", merge=False)))

    tg.solve(game24("4 9 10 13", fallible=noise), policy=once, budget=tg.Budget())  # pyright: ignore[reportArgumentType]
    return found


def test_an_answer_is_cut_into_the_open_places_on_its_way():
    for answer, way in places(Fallible(slip=0)):
        assert [place.text for place in way] == answer.text.splitlines()[:1]
        assert [len(place.content["left"]) for place in way] == [2]
        assert not any(place.done for place in way)


def test_of_an_answer_that_slipped_every_legal_step_is_a_place():
    cut_short = [(answer, way) for answer, way in places(Fallible(slip=0.5)) if "answer" in answer.content]
    assert {len(way) for _, way in cut_short} == {0, 1}
    for answer, way in cut_short:
        assert [place.text for place in way] == answer.text.splitlines()[:-1]


def test_a_cut_of_one_thought_alone_is_refused():
    async def once(search: Search) -> None:
        await search.expand(search.root, action="cut")

    with pytest.raises(TaskError, match="expected a place, and an answer"):
        tg.solve(TASK, policy=once, budget=tg.Budget())  # pyright: ignore[reportArgumentType]
