"""Policies within policies: one that starts at a thought of the graph, and answers from there."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import pytest
from trees import Tree

from thoughtgraph.expressions import NAMES, parse
from thoughtgraph.search import DVTS, MCTS, Beam, BestOfN, ParticleGibbs, SequentialHalving, ToT
from thoughtgraph.testing import RUN, PolicyContract
from thoughtgraph.trace import Scored

#          root
#     a           b          the values: all of b's are better
#   c   d       e   f
TREE = Tree({"": "ab", "a": "cd", "b": "ef"}, {"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.3, "e": 0.8, "f": 0.7})


async def halves(search):
    """A tree search in each half, and the best of both."""
    parts = await search.expand(search.root)
    found = await search.gather(*(ToT(breadth=1)(search.at(part)) for part in parts[:2]))
    return max((t for t in found if t), key=lambda t: search.value(t) or 0, default=search.answer())


class TestPoliciesTogether(PolicyContract):
    policy = staticmethod(halves)


@pytest.mark.parametrize("inner", [ToT(), MCTS(simulations=5), BestOfN(), BestOfN(choose="weighted")])
def test_a_policy_that_starts_at_a_thought_answers_from_below_it_whatever_is_better_elsewhere(inner):
    async def below_a(search):
        a, b = await search.expand(search.root)
        await search.expand(b)
        await search.score(search.graph.children(b))
        view = search.at(a)
        assert view.root is a
        assert view.answer() is None
        found = await inner(view)
        assert [end.content for end in view.finals] == [end.content for end in view.candidates()]
        return found

    result, _ = TREE.run(below_a)
    assert result.thought.content == "d"


def test_a_finished_thought_that_a_policy_starts_at_is_among_its_answers():
    async def at_c(search):
        a, _ = await search.expand(search.root)
        (c, _) = await search.expand(a)
        assert search.at(c).answer() is c
        assert search.answer() is c
        return await ToT()(search.at(c))

    assert TREE.run(at_c)[0].thought.content == "c"


def test_work_in_flight_below_a_part_counts_for_all_of_the_search():
    seen = []

    async def watched(search):
        a, _ = await search.expand(search.root)

        async def watch():
            seen.append(search.in_flight(a))

        async def work():
            await search.at(a).expand(a)

        await search.gather(work(), watch())
        return

    TREE.run(watched)
    assert seen == [1]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("got", "auto")])
def test_every_policy_can_start_at_a_thought(name):
    async def below_b(search):
        _, b = await search.expand(search.root)
        return await parse(name)(search.at(b))

    result, _ = TREE.run(below_b)
    assert result.thought is None or result.thought.content in "ef"


#     p - q - r - a - c
#               - b - d
DEEP = Tree(
    {"": "p", "p": "q", "q": "r", "r": "ab", "a": "c", "b": "d"}, dict.fromkeys("pqrab", 0.5) | {"c": 0.2, "d": 0.9}
)


async def three_below(search):
    """The thought r."""
    thought = search.root
    for _ in range(3):
        (thought,) = await search.expand(thought)
    return thought


@pytest.mark.parametrize(
    "inner",
    [
        BestOfN(n=2, steps=2), SequentialHalving(n=2, steps=2), DVTS(n=2, m=1, steps=2), Beam(n=2, m=1, steps=2),
        ToT(steps=2), ParticleGibbs(n=2, steps=2),
    ],
)  # fmt: skip
def test_steps_are_counted_from_where_a_policy_starts(inner):
    async def below_r(search):
        return await inner(search.at(await three_below(search)))

    assert DEEP.run(below_r)[0].answer == "d"


def test_a_path_that_is_held_on_to_begins_where_the_policy_starts():
    """Of the path to d, p and q are no steps of a filter that starts at r: its first step is b."""

    async def below_r(search):
        return await ParticleGibbs(n=2, sweeps=3)(search.at(await three_below(search)))

    _, engine = DEEP.run(below_r)
    judged = {engine.graph[id].content for e in engine.store.events(RUN) if isinstance(e, Scored) for id in e.thoughts}
    assert judged <= set("abcd")


def test_what_two_parts_share_is_below_both():
    """x was made below a, and found again below b."""
    tree = Tree({"": "ab", "a": "x", "b": "x", "x": "y"}, dict.fromkeys("abxy", 0.5), merge=True)

    async def one_after_the_other(search):
        a, b = await search.expand(search.root)
        await ToT()(search.at(a))
        assert not search.at(b).finals
        return await Beam(n=2, m=1)(search.at(b))

    assert tree.run(one_after_the_other)[0].answer == "y"
