"""The fallible thinker: how it proposes, where it slips, and how it is mistaken again and again about the same."""

import random
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Any, ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.state import State
from thoughtgraph.tasks.fallible import Doubtful, Fallible, Steps, Whole, proposals
from thoughtgraph.testing import CriticContract, GeneratorContract
from thoughtgraph.thought import Draft, Score, Thought
from thoughtgraph.verbs import ALL, Search


class Letters:
    """A game by hand: "a" leads a move nearer to the goal, "b" and "c" do not; "!" is wrong, and cannot be played."""

    def __init__(self, legal: str = "abc", playable: str = "abc") -> None:
        self.legal, self.playable = legal, playable

    def position(self, state: State) -> str:
        return str(state.content)

    def name(self, position: str) -> str:
        return position

    def moves(self, position: str) -> list[tuple[str, float]]:
        return [(letter, float(letter == "a")) for letter in self.legal] if len(position) < 4 else []

    def slip(self, position: str, rng: random.Random) -> str | None:
        return "!"

    def play(self, position: str, move: str) -> str | None:
        return position + move if move in self.playable else None

    def draft(self, position: str, moves: Sequence[str], whole: bool) -> Draft:
        return Draft("".join(moves) if whole else position, done=whole)


SURE = Fallible(skill=50, bias=0, slip=0, reliability=1)
BLIND = Fallible(skill=0, bias=0, slip=0)


def firsts(noise: Fallible, position: str = "", times: int = 3000) -> Counter[str]:
    """What is proposed first, so often."""
    rng = random.Random(1)
    return Counter(proposals(Letters(), noise, position, rng)[0].move for _ in range(times))


def drawn(action: tg.Generator, n: int = ALL) -> list[Thought]:
    """What one expansion of the empty text brings."""
    found = list[Thought]()

    async def once(search: Search) -> Thought | None:
        found.extend(await search.expand(search.root, n=n, merge=False))
        return None

    tg.solve(tg.Task("letters", {"step": action}, start=""), policy=once)
    return found


# -- proposing -----------------------------------------------------------------------------------------------------


def test_a_gain_counts_as_much_as_the_skill_says():
    # exp(log 2 * gain): "a" has the weight 2, "b" and "c" 1 each.
    twice = Fallible(skill=log(2), bias=0, slip=0)
    said = proposals(Letters(), twice, "", random.Random(0))
    assert {p.move: p.chance for p in said} == pytest.approx({"a": 0.5, "b": 0.25, "c": 0.25})
    first = firsts(twice)
    assert first["a"] / 3000 == pytest.approx(0.5, abs=0.04)
    assert first["b"] / 3000 == pytest.approx(0.25, abs=0.04)


def test_without_skill_every_move_is_as_likely_as_the_others():
    assert all(count / 3000 == pytest.approx(1 / 3, abs=0.04) for count in firsts(BLIND).values())


def test_a_list_has_so_many_moves_and_none_twice():
    for seed in range(50):
        said = [p.move for p in proposals(Letters(), Fallible(width=2, slip=0), "", random.Random(seed))]
        assert len(said) == len(set(said)) == 2


def test_a_bias_belongs_to_the_position_and_to_the_thinker():
    stubborn = Fallible(skill=0, bias=30, slip=0)
    favourite, *others = firsts(stubborn, "x", 200).most_common()
    assert (favourite[1], others) == (200, [])
    named = {firsts(Fallible(skill=0, bias=30, slip=0, seed=seed), "x", 20).most_common(1)[0][0] for seed in range(20)}
    assert named == {"a", "b", "c"}


def test_a_slip_takes_a_place_in_the_list_and_the_chance_of_the_move_it_comes_before():
    said = proposals(Letters(), Fallible(skill=50, bias=0, slip=1), "", random.Random(0))
    assert [p.move for p in said] == ["!", "!", "!"]
    assert [p.chance for p in said] == pytest.approx([1, 1, 1])
    half = Fallible(bias=0, slip=0.5, width=2)
    slips = sum(p.move == "!" for seed in range(2000) for p in proposals(Letters(), half, "", random.Random(seed)))
    assert slips / 4000 == pytest.approx(0.5, abs=0.04)


def test_nothing_is_proposed_where_nothing_follows():
    assert proposals(Letters(), Fallible(slip=1), "aaaa", random.Random(0)) == []


# -- thoughts ------------------------------------------------------------------------------------------------------


def test_asked_for_all_there_is_it_writes_one_list_and_what_cannot_be_played_is_no_thought():
    assert sorted(t.text for t in drawn(Steps(Letters(), BLIND))) == ["a", "b", "c"]
    assert sorted(t.text for t in drawn(Steps(Letters(playable="ab"), BLIND))) == ["a", "b"]
    assert drawn(Steps(Letters(), Fallible(slip=1))) == []


def test_asked_for_n_it_gives_the_first_that_can_be_played_of_n_lists():
    assert [t.text for t in drawn(Steps(Letters(), SURE), 5)] == ["a"] * 5
    assert {t.text for t in drawn(Steps(Letters(playable="b"), SURE), 5)} == {"b"}
    assert len({t.text for t in drawn(Steps(Letters(), BLIND), 30)}) == 3


def test_the_prior_is_the_chance_of_the_move():
    thoughts = drawn(Steps(Letters("ab"), Fallible(skill=log(3), bias=0, slip=0)))
    assert {t.text: t.prior for t in thoughts} == pytest.approx({"a": 0.75, "b": 0.25})


def test_a_whole_solution_goes_on_until_nothing_follows_or_it_is_long_enough():
    assert [t.text for t in drawn(Whole(Letters(), SURE), 2)] == ["aaaa", "aaaa"]
    assert [t.text for t in drawn(Whole(Letters(), Fallible(50, 0, 0, length=3)))] == ["aaa"] * 3
    assert all(t.done for t in drawn(Whole(Letters(), SURE)))


def test_a_whole_solution_ends_with_the_move_that_cannot_be_played():
    assert [t.text for t in drawn(Whole(Letters(), Fallible(slip=1)), 1)] == ["!"]


# -- judging -------------------------------------------------------------------------------------------------------


def right(states: Sequence[State]) -> list[Score]:
    """A value that no guess ever has."""
    return [Score(2.0) for _ in states]


def judged(noise: Fallible, texts: Sequence[str], times: int = 1) -> list[list[float | None]]:
    """What the critic says of each text, so often."""
    values = list[list[float | None]]()

    def given(state: State, n: int) -> list[Draft]:
        return [Draft(text) for text in texts]

    async def once(search: Search) -> Thought | None:
        thoughts = await search.expand(search.root)
        rounds = [await search.score(thoughts) for _ in range(times)]
        values.extend([said[i].value for said in rounds] for i in range(len(thoughts)))
        return None

    critic = Doubtful(right, Letters(), noise, 4)
    tg.solve(tg.Task("letters", {"step": given}, {"value": critic}, start=""), policy=once)
    return values


TEXTS = [f"position {i}" for i in range(1500)]


def test_a_reliable_critic_is_always_right_and_one_without_reliability_never():
    assert judged(Fallible(reliability=1), TEXTS[:50]) == [[2.0]] * 50
    guesses = {value for (value,) in judged(Fallible(reliability=0), TEXTS[:50])}
    assert guesses == {1 / 2, 1 / 3, 1 / 4, 1 / 5}


@pytest.mark.parametrize("shared", [0, 0.5, 1])
def test_it_is_right_as_often_as_its_reliability_says(shared: float):
    said = judged(Fallible(reliability=0.6, shared=shared), TEXTS)
    assert sum(value == 2.0 for (value,) in said) / 1500 == pytest.approx(0.6, abs=0.05)


def test_the_shared_part_of_its_errors_comes_back_when_it_is_asked_again():
    # Wrong 0.4: common 0.2, else 0.25 of the rest. Wrong twice: 0.2 + 0.8 * 0.25 ** 2 = 0.25, not 0.16.
    said = judged(Fallible(reliability=0.6, shared=0.5), TEXTS, times=2)
    assert sum(2.0 not in pair for pair in said) / 1500 == pytest.approx(0.25, abs=0.04)


def test_an_error_that_is_all_shared_is_the_same_one_whenever_it_is_asked():
    assert all(len(set(said)) == 1 for said in judged(Fallible(reliability=0.3, shared=1), TEXTS[:100], times=4))


@pytest.mark.parametrize(
    ("knob", "value"),
    [("slip", 1.5), ("slip", -0.1), ("reliability", 2), ("shared", 1.1), ("width", 0), ("length", 0), ("bias", -1)],
)
def test_knobs_out_of_range_are_refused_by_name(knob: str, value: Any):
    with pytest.raises(ValueError, match=knob):
        Fallible(**{knob: value})


class TestSteps(GeneratorContract):
    """What the engine relies on."""

    generator = Steps(Letters(), Fallible())
    start = ""
    thoughts: ClassVar[Sequence[str]] = ()


class TestWhole(GeneratorContract):
    """What the engine relies on."""

    generator = Whole(Letters(), Fallible())
    start = ""
    thoughts: ClassVar[Sequence[str]] = ()


class TestDoubtful(CriticContract):
    """What the engine relies on."""

    critic = Doubtful(right, Letters(), Fallible(), 4)
