"""Particle filter: the contract, a golden trace, and weights, draws and sharing by hand."""

from collections import Counter

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.particle_filter import ParticleFilter
from thoughtgraph.testing import PolicyContract


class TestParticleFilter(PolicyContract):
    policy = ParticleFilter(n=6, steps=6)


class TestParticleFilterOfThePaper(PolicyContract):
    policy = ParticleFilter(n=4, branch=None, resampling="multinomial", tempered=False)


def test_its_trace_is_the_golden_one():
    same_as_golden("particle_filter", ParticleFilter(n=6))


def stands(tree: Tree, policy: ParticleFilter, **how) -> dict[str, int]:
    """How many particles stand where at the end of a sweep, by name."""
    found = Counter[str]()

    async def sweep(search: tg.Search) -> None:
        found.update(particle.content for particle in await policy.sweep(search))

    tree.run(sweep, **how)
    return dict(found)


# -- moving ----------------------------------------------------------------------------------------


def test_particles_on_one_thought_share_one_expansion_and_each_moves_to_one_child():
    tree = Tree({"": "abcd"}, dict.fromkeys("abcd", 0.5))
    assert tree.expanded(ParticleFilter(n=8)) == "."
    assert tree.scored(ParticleFilter(n=8)) == ["abcd"]
    assert stands(tree, ParticleFilter(n=8)) == {"a": 2, "b": 2, "c": 2, "d": 2}


def test_fewer_particles_than_children_stand_on_different_ones_and_only_those_are_judged():
    tree = Tree({"": "abcdefgh"}, dict.fromkeys("abcdefgh", 0.5))
    (judged,) = tree.scored(ParticleFilter(n=4))
    assert len(set(judged)) == 4


def test_particles_move_by_the_priors_of_the_children():
    tree = Tree({"": "ab"}, {"a": 0.5, "b": 0.5}, priors={"a": 3.0, "b": 1.0})
    assert stands(tree, ParticleFilter(n=8)) == {"a": 6, "b": 2}


def test_with_no_branch_there_is_one_draw_for_each_particle():
    asked = list[tuple[str, int]]()

    def step(state, n):
        asked.append((state.content, n))
        return [tg.Draft(f"{state.content}{i}", done=len(state.content) == 1) for i in range(n)]

    def value(states):
        return [tg.Score(0.999999 if state.content.startswith("1") else 0.000001) for state in states]

    task = tg.Task("x", {"step": step}, {"value": value}, start="")
    tg.solve(task, policy=ParticleFilter(n=4, branch=None, tempered=False), budget=tg.Budget())
    assert asked == [("", 4), ("1", 4)]


@pytest.mark.parametrize("resampling", ["systematic", "multinomial"])
def test_with_no_branch_each_particle_goes_on_to_its_own_draw_whatever_is_equal_or_likely(resampling):
    """Six of eight draws are the same, and likely: priors and equality are in the draws already."""

    def step(state, n):
        return [tg.Draft(x, prior=3.0 if x == "a" else 1.0) for x in "aaabaaab"[:n]]

    async def sweep(search: tg.Search) -> None:
        policy = ParticleFilter(n=8, branch=None, steps=1, tempered=False, resampling=resampling)
        await policy.sweep(search)
        judged.extend(thought.content for thought in search.graph if search.value(thought) is not None)

    judged = list[str]()
    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start="", key=str)
    tg.solve(task, policy=sweep, budget=tg.Budget())
    assert "".join(judged) == "aaabaaab"


# -- weighing --------------------------------------------------------------------------------------


def test_particles_are_drawn_anew_by_the_odds_of_their_values():
    # Odds .75 : .25 = 3 and .5 : .5 = 1, one particle on each of the two: 3/4 and 1/4 of the 8.
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": 0.75, "b": 0.5, "c": 0.5, "d": 0.5})
    assert stands(tree, ParticleFilter(n=8)) == {"c": 6, "d": 2}


def test_what_is_sure_takes_all_unless_it_is_tempered():
    # Odds a million to one: b is gone. Four of the 8 particles stand on a, which is half, and no less.
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.5})
    assert stands(tree, ParticleFilter(n=8, tempered=False)) == {"c": 8}
    assert stands(tree, ParticleFilter(n=8)) == {"c": 8}
    # Two of 8 are too few. At the power 1/4 the odds are 31.6 : 1, and the effective size is 69.2^2 / 2006 = 2.4; at
    # 1/8 they are 5.62 : 1, and it is 17.2^2 / 69 = 4.3: a has 5.2 of 8, and the others .93 each.
    four = Tree({"": "abcd", **dict(zip("abcd", "efgh", strict=True))}, {"a": 1.0} | dict.fromkeys("bcdefgh", 0.5))
    assert stands(four, ParticleFilter(n=8, tempered=False)) == {"e": 8}
    kept = stands(four, ParticleFilter(n=8))
    assert kept["e"] in (5, 6)
    assert len(kept) >= 3


def test_tempering_ends_with_the_first_half_of_the_steps():
    four = Tree(
        {"": "abcd", **dict(zip("abcd", "efgh", strict=True))}, {"a": 1.0} | dict.fromkeys("bcd", 0.5), open="efgh"
    )
    assert len(stands(four, ParticleFilter(n=8, steps=1))) > 1
    deep = Tree({"": "x", "x": "abcd"}, {"a": 1.0} | dict.fromkeys("xbcd", 0.5), open="abcd")
    assert stands(deep, ParticleFilter(n=8, steps=2)) == {"a": 8}


def test_an_abstained_particle_is_not_killed_for_it():
    # Odds 3 and 1; the one that nobody could judge counts 2: 4, 8/3 and 4/3 of 8.
    values = {"a": 0.75, "b": None, "c": 0.5, **dict.fromkeys("def", 0.5)}
    tree = Tree({"": "abc", "a": "d", "b": "e", "c": "f"}, values)
    for seed in range(5):
        kept = stands(tree, ParticleFilter(n=12), seed=seed)
        assert kept["d"] in (5, 6, 7)
        assert kept["e"] in (3, 4, 5)
        assert kept["f"] in (1, 2, 3)


def test_a_dead_end_kills_its_particles_and_the_others_take_their_places():
    tree = Tree({"": "ab", "b": "c", "c": "d"}, dict.fromkeys("abcd", 0.5), open="a")
    assert stands(tree, ParticleFilter(n=4)) == {"d": 4}


def test_where_all_die_there_is_no_answer_and_no_division_by_zero():
    tree = Tree({"": "ab"}, dict.fromkeys("ab", 0.5), open="ab")
    result, _ = tree.run(ParticleFilter(n=4))
    assert (result.answer, result.reason) == (None, "exhausted")


def test_what_is_finished_keeps_its_weight_and_stays_in_the_draw():
    # a is done at once with odds 3; b .5 goes on to d: of 8 particles 6 stay on a.
    tree = Tree({"": "ab", "b": "c", "c": "d"}, {"a": 0.75, "b": 0.5, "c": 0.75, "d": 0.5})
    # Then 6 on a and 2 on c, of equal odds: 6 and 2 again; then d with odds 1 beside a with 3.
    assert stands(tree, ParticleFilter(n=8)) == {"a": 6, "d": 2}
    assert tree.scored(ParticleFilter(n=8)) == ["ab", "c", "d"]


# -- answering -------------------------------------------------------------------------------------


def test_the_answer_is_the_finished_thought_of_the_highest_weight_not_the_first():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.3, "b": 0.6, "c": 0.9})
    assert tree.run(ParticleFilter(n=8))[0].answer == "c"


def test_a_solved_child_ends_it_whether_a_particle_drew_it_or_not():
    tree = Tree({"": "abcdefgh"}, goal="h")
    result, _ = tree.run(ParticleFilter(n=1))
    assert result.answer == "h"
    assert tree.scored(ParticleFilter(n=1)) == []


def test_an_unfinished_particle_is_never_the_answer():
    tree = Tree({"": "a", "a": "b", "b": "c"}, dict.fromkeys("ab", 0.9))
    assert tree.run(ParticleFilter(n=4, steps=2))[0].answer is None


def test_equal_thoughts_of_two_parents_are_judged_once():
    tree = Tree({"": "ab", "a": "x", "b": "x"}, dict.fromkeys("abx", 0.5), merge=True)
    assert tree.scored(ParticleFilter(n=8)) == ["ab", "x"]
    assert stands(tree, ParticleFilter(n=8)) == {"x": 8}


def test_a_failed_expansion_kills_nobody():
    asked = []

    def step(state, n):
        asked.append(state.content)
        if asked.count(state.content) == 1 and state.content == "a":
            raise OSError("the line was bad")
        return [tg.Draft(state.content + "a", done=len(state.content) == 1)]

    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start="")
    assert tg.solve(task, policy=ParticleFilter(n=2), budget=tg.Budget()).answer == "aa"


@pytest.mark.parametrize("wrong", [{"n": 0}, {"steps": 0}, {"branch": 0}, {"resampling": "stratified"}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ParticleFilter(**wrong)
