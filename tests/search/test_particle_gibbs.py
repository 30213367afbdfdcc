"""Particle Gibbs: the contract, a golden trace, and the path that is held on to."""

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.particle_filter import ParticleFilter
from thoughtgraph.search.particle_gibbs import ParticleGibbs
from thoughtgraph.testing import PolicyContract


class TestParticleGibbs(PolicyContract):
    policy = ParticleGibbs(n=4, sweeps=2, steps=6)


def test_its_trace_is_the_golden_one():
    same_as_golden("particle_gibbs", ParticleGibbs(n=4, sweeps=2))


def test_a_reference_is_never_resampled_away():
    """a and what follows is hopeless, and the one particle that is held to it stands at its end all the same."""
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": 0.0, "b": 1.0, "c": 0.0, "d": 1.0})
    found = []

    async def policy(search: tg.Search) -> None:
        a, _ = await search.expand(search.root)
        (c,) = await search.expand(a)
        found.extend(t.content for t in await ParticleFilter(n=4, tempered=False).sweep(search, [a, c]))

    tree.run(policy)
    assert found == ["d", "d", "d", "c"]


def test_a_reference_takes_part_in_the_draws():
    """The reference is the best: the other particles go on from it, to its other children too."""
    tree = Tree({"": "ab", "a": "ce", "b": "d"}, {"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.5, "e": 0.5})
    found = []

    async def policy(search: tg.Search) -> None:
        a, _ = await search.expand(search.root)
        c, _ = await search.expand(a)
        found.extend(search.graph.path(t)[1].content for t in await ParticleFilter(n=3).sweep(search, [a, c]))

    tree.run(policy)
    assert found == ["a", "a", "a"]


def test_every_sweep_draws_afresh_and_judges_only_what_is_new():
    drawn = []

    def step(state, n):
        drawn.append(state.content)
        return [tg.Draft(f"{state.content}{len(drawn)}", done=True)]

    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5) for _ in states]}, start="")
    result = tg.solve(task, policy=ParticleGibbs(n=2, sweeps=3), budget=tg.Budget())
    assert drawn == ["", "", ""]
    assert [end.content for end in result.graph.finals] == ["1", "2", "3"]
    assert result.usage.evaluations == 3


def test_a_sweep_that_finishes_nothing_is_followed_by_a_fresh_one():
    """The first sweep leads nowhere, as the proposals have it; the second one finds the goal."""
    sweeps = []

    def step(state, n):
        if state.content == "":
            sweeps.append(1)
        return [tg.Draft(state.content + "xa"[len(sweeps) > 1], done=len(state.content) == 1)]

    task = tg.Task(
        "x", {"step": step}, {"value": lambda states: [tg.Score(0.5) for _ in states]}, start="",
        goal=lambda path: path[-1].content == "aa",
    )  # fmt: skip
    assert tg.solve(task, policy=ParticleFilter(n=4), budget=tg.Budget()).answer is None
    sweeps.clear()
    assert tg.solve(task, policy=ParticleGibbs(n=4, sweeps=3), budget=tg.Budget()).answer == "aa"
    assert len(sweeps) == 2


def test_one_sweep_is_a_particle_filter():
    tree = Tree({"": "abcd", **dict(zip("abcd", "efgh", strict=True))}, dict.fromkeys("abcdefgh", 0.5))
    assert tree.expanded(ParticleGibbs(n=4, sweeps=1)) == tree.expanded(ParticleFilter(n=4))
    assert tree.scored(ParticleGibbs(n=4, sweeps=1)) == tree.scored(ParticleFilter(n=4))


@pytest.mark.parametrize("wrong", [{"n": 1}, {"sweeps": 0}, {"steps": 0}, {"branch": 0}, {"resampling": "best"}])
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ParticleGibbs(**wrong)
