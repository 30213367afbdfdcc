"""The operations of Graph of Thoughts: what each makes, keeps and leaves, by hand."""

# pyright: reportArgumentType=false

import asyncio
from collections.abc import Mapping, Sequence

import pytest

import thoughtgraph as tg
from thoughtgraph.search.operations import (
    aggregate,
    generate,
    keep_best,
    keep_valid,
    refine,
    score,
    select,
    validate_and_improve,
)

VALUES: Mapping[str, float | None] = {"a": 0.2, "b": 0.9, "c": 0.9, "d": None, "e": 0.5, "f": None}


class Desk:
    """A task whose thoughts are words: "step" gives the letters a to f, "merge" joins, "refine" adds a "+"."""

    def __init__(self, values: Mapping[str, float | None] = VALUES, comparative: bool = False, done: str = "") -> None:
        self.values, self.comparative, self.done = values, comparative, done
        self.asked, self.judged = list[str](), list[str]()

    def step(self, state: tg.State, n: int) -> list[tg.Draft]:
        self.asked.append(state.content)
        return [tg.Draft(state.content + letter, done=letter in self.done) for letter in "abcdef"[:n]]

    def merge(self, state: tg.State, n: int) -> list[tg.Draft]:
        joined = "".join(thought.content for thought in state.thoughts)
        return [tg.Draft(joined + "'" * number) for number in range(min(n, 3))]

    def refine(self, state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(state.content + "+" * (number + 1), done=state.thought.done) for number in range(min(n, 3))]

    def __call__(self, states: Sequence[tg.State]) -> list[tg.Score]:
        """The critic."""
        self.judged.append(" ".join(state.content for state in states))
        compared = {"compared": [state.thought.id for state in states]} if self.comparative else None
        values = [self.values.get(state.content) for state in states]
        return [tg.Score(v, status="abstained" if v is None else "ok", details=compared) for v in values]

    @property
    def task(self) -> tg.Task:
        actions = {"step": self.step, "merge": self.merge, "refine": self.refine}
        return tg.Task("letters", actions, {"value": self}, start="")

    def play(self, plan, task: tg.Task | None = None) -> tg.Result:
        """Run a plan; what it finds it says through its own asserts and lists."""
        return tg.solve(task or self.task, policy=plan, budget=tg.Budget())


def words(thoughts) -> list[str]:
    return [thought.content for thought in thoughts]


def test_generate_makes_n_of_each_in_the_order_of_their_parents():
    async def plan(search):
        first = await generate(search, [search.root], n=3)
        assert words(first) == ["a", "b", "c"]
        assert words(await generate(search, [first[2], first[0]], n=2)) == ["ca", "cb", "aa", "ab"]

    Desk().play(plan)


def test_generate_goes_on_from_no_final_thought_and_from_none_twice():
    desk = Desk(done="ab")

    async def plan(search):
        first = await generate(search, [search.root], n=3)
        assert words(await generate(search, [*first, first[2]], n=1)) == ["ca"]

    desk.play(plan)
    assert desk.asked == ["", "c"]


def test_generating_again_draws_anew_where_a_cache_by_prompt_gives_the_same_thoughts_again():
    """The authors' code answers Generate(1, 10) after Generate(1, 1) with the one thought that it had."""

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        rng = state.rng
        return [tg.Draft(rng.random()) for _ in range(n)]

    async def plan(search):
        one = await generate(search, [search.root], n=1)
        ten = await generate(search, [search.root], n=10)
        assert len({thought.content for thought in one + ten}) == 11

    tg.solve(tg.Task("x", actions={"step": step}), policy=plan, budget=tg.Budget())


def test_what_is_given_nothing_yields_nothing_and_costs_nothing():
    async def plan(search):
        assert await generate(search, []) == await refine(search, []) == await aggregate(search, []) == []
        assert await score(search, []) == await validate_and_improve(search, []) == []
        assert keep_best(search, []) == keep_valid(search, []) == select([], list) == []

    usage = Desk().play(plan).usage
    assert (usage.expansions, usage.evaluations) == (0, 0)


def test_a_predecessor_that_yields_nothing_yields_nothing_further_down():
    async def plan(search):
        empty = await generate(search, await generate(search, [search.root], n=1), "barren")
        assert empty == []
        assert await score(search, await refine(search, empty)) == []

    desk = Desk()
    task = tg.Task("x", {**desk.task.actions, "barren": lambda state, n: []}, desk.task.critics, start="")
    desk.play(plan, task)


def test_an_aggregated_thought_keeps_every_one_of_its_parents():
    async def plan(search):
        a, b, c = await generate(search, [search.root], n=3)
        [joined] = await aggregate(search, [c, a, b])
        assert joined.content == "cab"
        assert joined.parents == (c.id, a.id, b.id)
        assert search.graph.parents(joined) == [c, a, b]
        assert joined.depth == 2
        [deeper] = await aggregate(search, [a, joined])
        assert (deeper.depth, search.graph.parents(deeper)) == (3, [a, joined])

    result = Desk().play(plan)
    assert result.graph.nx.number_of_edges() == 3 + 3 + 2


def test_aggregation_takes_its_parents_in_the_order_given_whatever_they_are_worth():
    """The authors' code merges their states in the order of their scores, and the last one overwrites the others."""

    async def plan(search):
        a, b, e = await score(search, select(await generate(search, [search.root]), lambda t: [t[0], t[1], t[4]]))
        assert words(await aggregate(search, [b, a, e], n=2)) == ["bae", "bae'"]

    Desk().play(plan)


def test_a_final_thought_is_refined_and_merged_only_by_an_action_that_the_task_names():
    async def named(search):
        ends = await generate(search, [search.root], n=2)
        assert words(await refine(search, ends, n=1)) == ["a+", "b+"]
        assert words(await aggregate(search, ends)) == ["ab"]

    async def unnamed(search):
        ends = await generate(search, [search.root], n=2)
        assert await refine(search, ends) == await aggregate(search, ends) == []

    desk = Desk(done="ab")
    desk.play(named)
    desk.play(unnamed, tg.Task("x", {"step": desk.step}, desk.task.critics, start=""))


def test_scoring_asks_about_each_thought_once_and_about_the_new_ones_as_one_set():
    desk = Desk()

    async def plan(search):
        a, b, d, *_ = select(await generate(search, [search.root]), lambda t: [t[0], t[1], t[3]])
        assert await score(search, [a, d]) == [a, d]
        assert await score(search, [b, a, d, b]) == [b, a, d]
        await score(search, [a])

    desk.play(plan)
    assert desk.judged == ["a d", "b"]


def test_a_comparative_critic_judges_the_old_with_the_new():
    desk = Desk(comparative=True)

    async def plan(search):
        a, b, *_, e, _ = await generate(search, [search.root])
        await score(search, [a, e])
        await score(search, [b])
        with pytest.raises(tg.TaskError, match="different sets"):
            keep_best(search, [a, b])
        assert keep_best(search, await score(search, [a, b, e])) == [b]

    desk.play(plan)
    assert desk.judged == ["a e", "b", "a b e"]


def test_the_best_are_kept_best_first_and_equals_in_their_order():
    async def plan(search):
        thoughts = await score(search, await generate(search, [search.root]))
        assert words(keep_best(search, thoughts)) == ["b"]
        assert words(keep_best(search, thoughts[::-1])) == ["c"]
        assert words(keep_best(search, thoughts, 3)) == ["b", "c", "e"]

    Desk().play(plan)


def test_what_nobody_could_judge_is_never_ranked_not_even_last():
    async def plan(search):
        thoughts = await score(search, await generate(search, [search.root]))
        assert words(keep_best(search, thoughts, 6)) == ["b", "c", "e", "a"]

    Desk().play(plan)


def test_where_nothing_could_be_judged_the_first_stay():
    async def plan(search):
        thoughts = await score(search, await generate(search, [search.root]))
        d, f = thoughts[3], thoughts[5]
        assert keep_best(search, [f, d]) == [f]
        assert keep_best(search, [f, d], 5) == [f, d]

    Desk().play(plan)


def test_keeping_none_is_an_error():
    async def plan(search):
        with pytest.raises(ValueError, match="n is 0"):
            keep_best(search, [search.root], 0)

    Desk().play(plan)


def test_with_the_old_best_in_the_running_a_bad_refinement_makes_nothing_worse():
    async def plan(search):
        old = keep_best(search, await score(search, await generate(search, [search.root])))
        worse = await refine(search, old, n=2)
        assert words(keep_best(search, await score(search, [*old, *worse]))) == ["b"]

    Desk({"b": 0.9, "b+": 0.1, "b++": 0.3}).play(plan)


def test_the_valid_are_kept_and_those_that_nobody_judged_unless_it_is_strict():
    async def plan(search):
        thoughts = await generate(search, [search.root], n=5)
        await score(search, thoughts[:4])
        assert words(keep_valid(search, thoughts, valid=0.9)) == ["b", "c", "d", "e"]
        assert words(keep_valid(search, thoughts, valid=0.9, strict=True)) == ["b", "c"]

    result = Desk().play(plan)
    assert result.outcomes["abstained"] == 1


def improving(values: Mapping[str, float | None], tries: int = 3) -> tuple[list[str], Desk, tg.Result]:
    """The last versions of "a" and "b", side by side."""
    desk, found = Desk(values), list[str]()

    async def plan(search):
        found.extend(words(await validate_and_improve(search, await generate(search, [search.root], n=2), tries=tries)))

    return found, desk, desk.play(plan)


def test_a_thought_is_improved_until_it_is_valid_and_the_last_version_comes_out():
    found, _, result = improving({"a": 0.1, "a+": 0.2, "a++": 1.0, "b": 1.0})
    assert found == ["a++", "b"]
    assert result.usage.expansions == 3
    [first] = [thought for thought in result.graph if thought.content == "a"]
    assert words(result.graph.children(first)) == ["a+"]  # the history stays in the graph


def test_after_the_last_try_the_last_version_comes_out_valid_or_not():
    found, _, result = improving({"a": 0.9, "a+": 0.8, "a++": 0.7, "a+++": 0.6, "b": 1.0}, tries=2)
    assert found == ["a++", "b"]
    assert result.graph.value(next(thought for thought in result.graph if thought.content == "a++")) == 0.7
    assert improving({"a": 0.0, "b": 0.0}, tries=0)[0] == ["a", "b"]


def test_what_the_validator_abstains_from_is_left_as_it_is():
    found, _, result = improving({"a": None, "b": 0.5, "b+": None})
    assert found == ["a", "b+"]
    assert result.usage.expansions == 2


def test_an_improvement_that_brings_nothing_leaves_the_version_there_was():
    async def plan(search):
        [thought] = await generate(search, [search.root], n=1)
        assert await validate_and_improve(search, [thought], "barren") == [thought]

    desk = Desk({"a": 0.0})
    desk.play(plan, tg.Task("x", {**desk.task.actions, "barren": lambda state, n: []}, desk.task.critics, start=""))


def test_a_selector_takes_any_subset_in_any_order_and_only_of_what_it_was_given():
    async def plan(search):
        thoughts = await generate(search, [search.root], n=3)
        assert words(select(thoughts, lambda given: given[::-2])) == ["c", "a"]
        with pytest.raises(tg.TaskError, match="some of the 3 thoughts"):
            select(thoughts, lambda given: [search.root])

    Desk().play(plan)


def test_an_expansion_that_failed_is_made_once_more_and_one_that_brought_nothing_is_not():
    asked = list[str]()

    def fails_once(state: tg.State, n: int) -> list[tg.Draft]:
        asked.append("fails")
        if len(asked) == 1:
            raise OSError("the line was bad")
        return [tg.Draft("a")]

    def barren(state: tg.State, n: int) -> list[tg.Draft]:
        asked.append("barren")
        return []

    async def plan(search):
        assert words(await generate(search, [search.root], "fails", 1)) == ["a"]
        assert await generate(search, [search.root], "barren", 1) == []

    tg.solve(tg.Task("x", {"fails": fails_once, "barren": barren}), policy=plan, budget=tg.Budget())
    assert asked == ["fails", "fails", "barren"]


def test_what_is_made_of_several_thoughts_is_made_side_by_side():
    working = most = 0

    async def slow(state: tg.State, n: int) -> list[tg.Draft]:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.01)
        working -= 1
        return [tg.Draft(f"{state.content}{number}") for number in range(n)]

    async def plan(search):
        await generate(search, await generate(search, [search.root], n=4), n=1)

    tg.solve(tg.Task("x", {"step": slow}, start=""), policy=plan, budget=tg.Budget())
    assert most == 4


def test_a_plan_can_react_to_what_it_finds():
    """Merge the two best; where they are worth no more than the better of them, refine that one instead."""

    async def plan(search):
        best = keep_best(search, await score(search, await generate(search, [search.root])), 2)
        merged = keep_best(search, await score(search, await aggregate(search, best)))
        if (search.value(merged[0]) or 0) <= (search.value(best[0]) or 0):
            merged = await refine(search, best[:1])
        assert words(merged) == ["b+"]

    Desk({**VALUES, "bc": 0.3}).play(plan)
