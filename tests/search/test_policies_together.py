"""Policies within policies: one that starts at a thought of the graph, and answers from there."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import pytest
from trees import Tree

from thoughtgraph.expressions import NAMES, parse
from thoughtgraph.search import MCTS, BestOfN, ToT
from thoughtgraph.testing import PolicyContract

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
