"""The stepper: a policy driven by hand, with no event loop."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import asyncio
import gc

import pytest

import thoughtgraph as tg
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.stepper import Stepper
from thoughtgraph.task import Task
from thoughtgraph.thought import ROOT, Score, Thought
from thoughtgraph.verbs import ALL, Search

TASK = Task("a problem", {"step": lambda state, n: []}, {"value": lambda states: []})


def step_through(policy) -> Stepper:
    graph = ThoughtGraph(Thought(ROOT, (), "", None))
    return Stepper(policy, Search(TASK, graph))


def child(name: str, parent: str = ROOT, depth: int = 1) -> Thought:
    return Thought(name, (parent,), "step", name, depth=depth)


def grow(stepper: Stepper, *names: str) -> list[Thought]:
    thoughts = [child(name) for name in names]
    for thought in thoughts:
        stepper.search.graph.add(thought)
    return thoughts


# -- ask and tell ----------------------------------------------------------------------------------


async def expand_then_score(search):
    thoughts = await search.expand(search.root, n=2)
    scores = await search.score(thoughts)
    return thoughts[scores.index(max(scores, key=lambda score: score.value))]


def test_a_policy_is_driven_by_ask_and_tell_with_no_event_loop():
    stepper = step_through(expand_then_score)
    (expansion,) = stepper.ask()
    assert (expansion.verb, expansion.name, expansion.thoughts, expansion.n) == (
        "expand",
        "step",
        (stepper.search.root,),
        2,
    )
    assert expansion.key == "0.0"
    a, b = grow(stepper, "a", "b")
    stepper.tell(expansion, [a, b])
    (judgement,) = stepper.ask()
    assert (judgement.verb, judgement.name, judgement.thoughts, judgement.key) == ("score", "value", (a, b), "0.1")
    assert not stepper.done
    stepper.tell(judgement, [Score(0.25), Score(0.75)])
    assert stepper.done
    assert stepper.result is b


def test_what_was_asked_is_listed_once_and_waited_for_until_it_is_told():
    stepper = step_through(expand_then_score)
    (effect,) = stepper.ask()
    assert stepper.ask() == []
    assert list(stepper.waiting.values()) == [effect]
    stepper.tell(effect, grow(stepper, "a"))
    assert effect.key not in stepper.waiting


def test_an_effect_remembers_what_the_graph_was_when_it_was_asked():
    stepper = step_through(expand_then_score)
    (effect,) = stepper.ask()
    assert effect.tick == 0
    stepper.tell(effect, grow(stepper, "a", "b"))
    assert stepper.ask()[0].tick == 2


def test_what_was_told_cannot_be_told_again():
    stepper = step_through(expand_then_score)
    (effect,) = stepper.ask()
    stepper.tell(effect, grow(stepper, "a"))
    with pytest.raises(KeyError, match="told before, or withdrawn"):
        stepper.tell(effect, [])


def test_scoring_no_thoughts_asks_nothing():
    async def nothing(search):
        assert await search.score([]) == []
        assert await search.gather() == []

    stepper = step_through(nothing)
    assert stepper.done
    assert stepper.ask() == []


def test_a_failure_is_raised_where_the_policy_waits():
    async def careful(search):
        try:
            await search.expand(search.root)
        except LookupError as error:
            return child(str(error))

    stepper = step_through(careful)
    stepper.fail(stepper.ask()[0], LookupError("why"))
    assert stepper.done
    assert stepper.result == child("why")


def test_an_error_of_the_policy_comes_out_of_tell_and_ends_it():
    async def broken(search):
        await search.expand(search.root)
        raise ZeroDivisionError("mine")

    stepper = step_through(broken)
    (effect,) = stepper.ask()
    with pytest.raises(ZeroDivisionError, match="mine"):
        stepper.tell(effect, [])
    assert stepper.done
    assert stepper.waiting == {}
    assert stepper.search.flying == {}


# -- gather ----------------------------------------------------------------------------------------


def parts(count: int, first: int | None = None):
    """A policy that expands the root by `count` parts and returns how many thoughts each part got."""

    async def one(search, number):
        return [number, len(await search.expand(search.root, n=number + 1))]

    async def policy(search):
        return await search.gather(*(one(search, i) for i in range(count)), first=first)

    return policy


def test_gather_asks_for_all_parts_at_once_and_returns_them_in_the_order_given():
    stepper = step_through(parts(3))
    effects = stepper.ask()
    assert [(effect.key, effect.n) for effect in effects] == [("0.0/0.0", 1), ("0.0/1.0", 2), ("0.0/2.0", 3)]
    for effect in reversed(effects):
        assert not stepper.done
        stepper.tell(effect, grow(stepper, *(f"{effect.key}{i}" for i in range(effect.n))))
    assert stepper.result == [[0, 1], [1, 2], [2, 3]]


def test_gather_of_the_first_k_returns_with_them_and_lists_the_rest_as_cancelled():
    stepper = step_through(parts(4, first=2))
    effects = stepper.ask()
    stepper.tell(effects[3], [])
    stepper.tell(effects[1], [])
    assert stepper.result == [[1, 0], [3, 0]]
    assert stepper.cancelled == [effects[0], effects[2]]
    assert stepper.waiting == {}
    assert stepper.search.flying == {}


def test_gather_of_more_than_there_are_waits_for_all():
    stepper = step_through(parts(2, first=5))
    for effect in stepper.ask():
        stepper.tell(effect, [])
    assert stepper.result == [[0, 0], [1, 0]]


@pytest.mark.parametrize("first", [0, -1])
def test_gather_of_the_first_none_asks_nothing_and_returns_at_once(first):
    stepper = step_through(parts(2, first=first))
    assert stepper.done
    assert stepper.result == []
    assert stepper.ask() == []


def test_an_error_in_one_part_withdraws_its_siblings_and_comes_out_of_the_gather():
    ended = []

    async def breaking(search):
        await search.expand(search.root, n=1)
        raise LookupError("one part")

    async def waiting(search):
        try:
            await search.expand(search.root, n=2)
        finally:
            ended.append("waiting")

    async def policy(search):
        try:
            await search.gather(waiting(search), breaking(search), search.gather(waiting(search), waiting(search)))
        except LookupError:
            return await search.expand(search.root, n=9)

    stepper = step_through(policy)
    a, b, c, d = stepper.ask()
    stepper.tell(b, [])
    assert ended == ["waiting"] * 3
    assert list(stepper.waiting) == ["0.1"]
    assert stepper.ask()[0].n == 9
    assert stepper.cancelled == []  # what is in flight ends by itself, and is recorded as an orphan
    for effect in (a, c, d):
        with pytest.raises(KeyError):
            stepper.tell(effect, [])


def test_parts_that_had_not_begun_are_withdrawn_without_a_warning():
    async def breaking(search):
        raise LookupError

    async def never(search):
        raise AssertionError("must not begin")

    async def policy(search):
        with pytest.raises(LookupError):
            await search.gather(breaking(search), never(search), never(search))

    assert step_through(policy).done
    gc.collect()


def test_two_parts_can_end_at_once_and_the_first_k_are_still_k():
    async def at_once(number):
        return number

    async def policy(search):
        return await search.gather(*(at_once(i) for i in range(4)), first=2)

    assert step_through(policy).result == [0, 1]


def test_gathers_nest_and_their_keys_say_where_they_stand():
    async def leaf(search):
        return await search.expand(search.root)

    async def inner(search):
        return await search.gather(leaf(search), leaf(search))

    async def policy(search):
        await search.expand(search.root)
        return await search.gather(inner(search), leaf(search))

    stepper = step_through(policy)
    stepper.tell(stepper.ask()[0], [])
    assert sorted(effect.key for effect in stepper.ask()) == ["0.1/0.0/0.0", "0.1/0.0/1.0", "0.1/1.0"]


# -- next ------------------------------------------------------------------------------------------


def test_next_waits_for_any_completion():
    seen = []

    async def idler(search):
        for _ in range(2):
            await search.next()
            seen.append(len(search.graph))

    async def worker(search):
        for _ in range(2):
            await search.expand(search.root)

    async def policy(search):
        await search.gather(idler(search), worker(search))

    stepper = step_through(policy)
    stepper.tell(stepper.ask()[0], grow(stepper, "a"))
    assert seen == [2]
    stepper.tell(stepper.ask()[0], grow(stepper, "b"))
    assert seen == [2, 3]
    assert stepper.done


def test_a_policy_that_waits_for_nothing_is_stuck():
    async def policy(search):
        await search.next()

    stepper = step_through(policy)
    assert stepper.stuck
    stepper.close()
    assert not stepper.stuck


# -- what a policy may not await -------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 0.1])
def test_sleeping_in_a_policy_is_a_type_error_that_tells_the_rule(seconds):
    async def sleepy(search):
        await asyncio.sleep(seconds)

    with pytest.raises(TypeError, match=r"may await only its search .* in a generator or a critic"):
        step_through(sleepy)


async def test_sleeping_is_caught_inside_a_running_event_loop_too():
    async def sleepy(search):
        await asyncio.sleep(0.01)

    with pytest.raises(TypeError, match="may await only its search"):
        step_through(sleepy)
    assert asyncio.get_running_loop()


async def test_awaiting_a_future_is_a_type_error():
    future = asyncio.get_running_loop().create_future()

    async def waiting(search):
        await future

    with pytest.raises(TypeError, match="may await only its search"):
        step_through(waiting)


async def test_a_task_cannot_be_made_in_a_policy():
    async def stray():
        raise AssertionError("must not run")

    async def policy(search):
        work = stray()
        try:
            asyncio.create_task(work)  # noqa: RUF006
        finally:
            work.close()

    with pytest.raises(TypeError, match="may await only its search"):
        step_through(policy)


def test_an_async_generator_in_a_policy_is_a_type_error():
    async def numbers():
        yield 1

    async def policy(search):
        async for _ in numbers():
            pass

    with pytest.raises(TypeError, match="async generator"):
        step_through(policy)


def test_a_wrong_await_in_a_part_comes_out_of_the_gather():
    async def sleepy():
        await asyncio.sleep(1)

    async def policy(search):
        with pytest.raises(TypeError, match="may await only its search"):
            await search.gather(sleepy())

    assert step_through(policy).done


def test_a_policy_that_is_no_coroutine_function_is_told_so():
    def plain(search):
        return search.root

    with pytest.raises(TypeError, match="expected what an `async def` gives"):
        step_through(plain)


# -- work in flight --------------------------------------------------------------------------------


def test_work_in_flight_counts_along_the_path_that_was_walked_and_is_released_along_the_same():
    async def policy(search):
        a, b = await search.expand(search.root)
        return await search.gather(search.expand(a), search.expand(b, path=[search.root, a, b]), search.score([a]))

    stepper = step_through(policy)
    search, root = stepper.search, stepper.search.root
    assert search.in_flight(root) == 1
    a, b = grow(stepper, "a", "b")
    stepper.tell(stepper.ask()[0], [a, b])
    one, two, three = stepper.ask()
    assert [search.in_flight(thought) for thought in (root, a, b)] == [3, 3, 1]
    search.graph.link(["b"], "a")  # a later merge does not change what was counted
    stepper.tell(one, [])
    assert [search.in_flight(thought) for thought in (root, a, b)] == [2, 2, 1]
    stepper.tell(two, [])
    assert [search.in_flight(thought) for thought in (root, a, b)] == [1, 1, 0]
    stepper.tell(three, [Score(1.0)])
    assert search.flying == {}


def test_looking_at_work_in_flight_leaves_no_trace():
    stepper = step_through(expand_then_score)
    stepper.search.in_flight(child("elsewhere"))
    assert dict(stepper.search.flying) == {ROOT: 1}


# -- long and deep ---------------------------------------------------------------------------------


def test_a_chain_of_five_thousand_thoughts_is_no_deeper_for_the_stepper():
    async def chain(search):
        thought = search.root
        for _ in range(5000):
            (thought,) = await search.expand(thought, path=[thought])
        return thought

    stepper = step_through(chain)
    for number in range(5000):
        stepper.tell(stepper.ask()[0], [child(str(number), depth=number + 1)])
    assert stepper.result.depth == 5000


def test_gathers_nested_two_thousand_deep_run_and_are_withdrawn():
    async def nest(search, depth):
        await (search.gather(nest(search, depth - 1)) if depth else search.expand(search.root))

    def policy(search):
        return nest(search, 2000)

    stepper = step_through(policy)
    stepper.tell(stepper.ask()[0], [])
    assert stepper.done
    stepper = step_through(policy)
    stepper.close()
    assert stepper.done
    assert stepper.waiting == {}


def test_ten_thousand_parts_side_by_side():
    stepper = step_through(parts(10_000))
    for effect in stepper.ask():
        stepper.tell(effect, [])
    assert len(stepper.result) == 10_000


# -- endings ---------------------------------------------------------------------------------------


def test_closing_runs_the_finally_of_every_part_innermost_first():
    ended = []

    async def part(search, name):
        try:
            await search.expand(search.root)
        finally:
            ended.append(name)

    async def policy(search):
        try:
            await search.gather(part(search, "a"), part(search, "b"))
        finally:
            ended.append("policy")

    stepper = step_through(policy)
    stepper.close()
    assert ended == ["a", "b", "policy"]
    assert stepper.done
    assert stepper.search.flying == {}


def test_a_finally_that_asks_again_when_an_error_comes_is_served():
    async def policy(search):
        try:
            await search.expand(search.root, n=1)
        finally:
            await search.expand(search.root, n=2)

    stepper = step_through(policy)
    stepper.fail(stepper.ask()[0], LookupError("why"))
    (last,) = stepper.ask()
    assert last.n == 2
    with pytest.raises(LookupError, match="why"):
        stepper.tell(last, [])


def test_a_withdrawn_part_that_awaits_in_its_finally_is_a_type_error_that_tells_the_rule():
    async def stubborn(search):
        try:
            await search.expand(search.root)
        finally:
            await search.expand(search.root)

    async def quick(search):
        await search.expand(search.root)

    async def policy(search):
        await search.gather(stubborn(search), quick(search), first=1)

    stepper = step_through(policy)
    _, quick_effect = stepper.ask()
    with pytest.raises(TypeError, match="while it is being withdrawn"):
        stepper.tell(quick_effect, [])
    assert stepper.done


def test_the_unlimited_expansion_is_what_is_asked_when_nobody_says():
    async def policy(search):
        await search.expand(search.root)

    assert step_through(policy).ask()[0].n == ALL


def test_who_waits_for_any_completion_hears_of_what_a_finished_gather_goes_on_to_ask():
    """A strand whose gather has just ended runs before those who only wait: they would have waited for ever."""

    async def asks_twice(search):
        await search.gather(search.expand(search.root))
        await search.gather(search.expand(search.root))

    async def waits(search, done):
        while not done:
            await search.next()

    async def policy(search):
        done = []

        async def first():
            await asks_twice(search)
            done.append(True)

        await search.gather(first(), waits(search, done))
        return

    task = tg.Task("?", {"step": lambda state, n: [tg.Draft("x")]})
    assert tg.solve(task, policy=policy).reason == "exhausted"
