"""What step-by-step policies share: the value of a prefix, ranks without values, and the best finished thought."""

import asyncio
from dataclasses import replace

import pytest
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.steps import dead, grow, judge, leader, level, prefix, ranked


def test_best_first_and_equals_as_they_stood():
    assert ranked("abcd", [0.1, 0.9, 0.5, 0.9]) == ["b", "d", "c", "a"]


def test_what_nobody_could_judge_stands_at_the_mean_and_behind_its_equals():
    assert ranked("abc", [0.1, None, 0.9]) == ["c", "b", "a"]
    assert ranked("ab", [None, 0.9]) == ["b", "a"]
    assert ranked("ab", [None, None]) == ["a", "b"]
    assert ranked([], []) == []


#   a .9 - b .5 - c .6
CHAIN = Tree({"": "a", "a": "b", "b": "c"}, {"a": 0.9, "b": 0.5, "c": 0.6})


def valued(tree: Tree, rule) -> float | None:
    found = []

    async def policy(search: tg.Search) -> None:
        thought = search.root
        while children := await search.expand(thought):
            (thought,) = children
            await search.score([thought])
        found.append(prefix(search, thought, "value", rule))

    tree.run(policy)
    return found[0]


@pytest.mark.parametrize(("rule", "value"), [("last", 0.6), ("min", 0.5), ("prod", 0.27), ("mean", 2 / 3)])
def test_a_prefix_is_worth_what_the_rule_makes_of_its_steps(rule, value):
    assert valued(CHAIN, rule) == pytest.approx(value)


@pytest.mark.parametrize(("rule", "value"), [("last", None), ("min", 0.5), ("prod", 0.45), ("mean", 0.7)])
def test_a_step_that_nobody_could_judge_is_left_out(rule, value):
    tree = Tree({"": "a", "a": "b", "b": "c"}, {"a": 0.9, "b": 0.5, "c": None})
    assert valued(tree, rule) == (None if value is None else pytest.approx(value))


def test_no_values_at_all_are_no_value_and_no_division_by_zero():
    tree = Tree({"": "a", "a": "b"})
    assert [valued(tree, rule) for rule in ("last", "min", "prod", "mean")] == [None] * 4


def test_nobody_is_judged_twice_and_an_abstention_is_a_judgement():
    async def policy(search: tg.Search) -> None:
        thoughts = await search.expand(search.root)
        await judge(search, [*thoughts[:2], thoughts[0]], "value")
        await judge(search, thoughts, "value")
        await judge(search, thoughts, "value")

    assert Tree({"": "abc"}, {"a": 0.1, "b": None}).scored(policy) == ["ab", "c"]


def test_a_failed_expansion_is_asked_for_once_more_and_a_dead_end_is_not():
    asked = []

    def step(state, n):
        asked.append(state.content)
        if state.content == "" and len(asked) < 3:
            raise OSError("the line was bad")
        return [tg.Draft("a")] if state.content == "" else []

    async def policy(search: tg.Search) -> None:
        assert await grow(search, search.root, "step", 4) == []
        (a,) = await grow(search, search.root, "step", 4)
        assert await grow(search, a, "step", 4) == []

    tg.solve(tg.Task("x", {"step": step}, start=""), policy=policy, budget=tg.Budget())
    assert asked == ["", "", "", "a"]


def test_a_failure_of_long_ago_says_nothing_of_this_expansion():
    """The second of two expansions fails, after one of the first did; and a dead end stays one."""
    asked = []

    def step(state, n):
        asked.append(state.content)
        if len(asked) in (1, 3):
            raise OSError("the line was bad")
        return [tg.Draft("a", done=True)] if len(asked) < 5 else []

    async def policy(search: tg.Search) -> None:
        assert await grow(search, search.root, "step", 4)
        assert await grow(search, search.root, "step", 4)
        assert await grow(search, search.root, "step", 4) == []

    tg.solve(tg.Task("x", {"step": step}, start=""), policy=policy, budget=tg.Budget())
    assert len(asked) == 5


def test_a_level_stands_in_the_order_of_its_parents_whoever_comes_first():
    def children(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(state.content + letter, done=state.content == "b") for letter in "ab"]

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        await asyncio.sleep(0.01 if state.content == "a" else 0)
        return children(state, n)

    async def policy(search: tg.Search) -> None:
        def after(thought: tg.Thought):
            return grow(search, thought, "step", 2)

        first = await level(search, [search.root], after)
        second = await level(search, first, after)
        assert [thought.content for thought in second] == ["aa", "ab", "ba", "bb"]
        third = await level(search, second[1:], after)
        assert [thought.content for thought in third] == ["aba", "abb", "ba", "bb"]

    tg.solve(tg.Task("x", {"step": step}, start=""), policy=policy, budget=tg.Budget())


def test_dead_is_what_is_done_and_no_answer():
    async def kinds(search: tg.Search) -> None:
        found.append("".join(t.content for t in await search.expand(search.root) if dead(search, t)))

    found = list[str]()
    Tree({"": "abc", "c": "d"}, goal="b").run(kinds)
    silent = Tree({"": "abc", "c": "d"})
    silent.task = replace(silent.task, claim=lambda path: path[-1].content.strip("a") or None)
    silent.run(kinds)
    assert found == ["a", "a"]


def test_the_leader_is_the_best_finished_thought_then_the_first_one_then_none():
    async def policy(search: tg.Search) -> tg.Thought | None:
        await search.score(await search.expand(search.root), "value")
        return leader(search, "value", "last")

    assert Tree({"": "abc", "b": "d"}, {"a": 0.1, "b": 0.9, "c": 0.4}).run(policy)[0].answer == "c"
    assert Tree({"": "abc", "a": "d"}).run(policy)[0].answer == "b"
    assert Tree({"": "a", "a": "b"}).run(policy)[0].answer is None


def test_the_tasks_own_rule_goes_first():
    async def policy(search: tg.Search) -> tg.Thought | None:
        await search.score(await search.expand(search.root), "value")
        return leader(search, "value", "last")

    tree = Tree({"": "ab"}, {"a": 0.1, "b": 0.9})
    tree.task = replace(tree.task, rule=lambda task, graph: graph.finals[0])
    assert tree.run(policy)[0].answer == "a"
