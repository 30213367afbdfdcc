"""Anybody's program as a generator: how often it runs, what it is told, what a failure and a kill leave."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import asyncio
import threading

import pytest

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.generators import call
from thoughtgraph.search import BestOfN, SelfConsistency
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, finish, prefix
from thoughtgraph.trace import Acted


def task(program, **how) -> tg.Task:
    longest = lambda states: [tg.Score(float(len(state.content))) for state in states]
    return tg.Task("Name a word.", {"reason": call(program, **how)}, {"value": longest})


def test_an_async_program_answers_and_a_policy_chooses():
    words = iter(["ox", "giraffe", "cat"])

    async def program(asked: str) -> str:
        return next(words)

    result = tg.solve(task(program), policy=BestOfN(n=3))
    assert result.answer == "giraffe"
    assert len(result.graph) == 1 + 3


def test_runs_are_side_by_side():
    together = asyncio.Event
    waiting, enough = [], together()

    async def program(asked: str) -> str:
        waiting.append(asked)
        if len(waiting) == 4:
            enough.set()
        await asyncio.wait_for(enough.wait(), 5)
        return "done"

    assert tg.solve(task(program), policy=BestOfN(n=4)).answer == "done"


def test_a_plain_function_runs_in_a_thread_and_leaves_the_loop_alone():
    threads = []

    def program(asked: str) -> str:
        threads.append(threading.current_thread())
        return "word"

    assert tg.solve(task(program), policy="cot").answer == "word"
    assert threads[0].name != "thoughtgraph"


def test_a_program_that_is_an_object_with_an_async_call_is_awaited():
    class Program:
        async def __call__(self, asked: str) -> str:
            return "word"

    assert tg.solve(task(Program()), policy="cot").answer == "word"


def test_it_is_told_the_problem_and_below_a_thought_what_was_thought_and_how_it_was_judged():
    seen = []

    async def program(asked: str) -> str:
        seen.append(asked)
        return "word"

    async def twice(search):
        (first,) = await search.expand(search.root, n=1)
        await search.score([first])
        return (await search.expand(first, n=1, merge=False))[0]

    tg.solve(task(program), policy=twice)
    assert seen[0] == "Name a word."
    assert seen[1].startswith("Name a word.\n\nSo far:\nStep 1: word\n  (value: 4)")
    assert "Make it better" in seen[1]


def test_one_run_that_raises_is_counted_and_the_others_are_thoughts():
    numbers = iter(range(3))

    async def program(asked: str) -> str:
        if next(numbers) == 1:
            raise RuntimeError("tool lost")
        return "word"

    result = tg.solve(task(program), policy=SelfConsistency(n=4, sure=1))
    assert result.outcomes["failed"] >= 1
    assert result.answer == "word"


def test_where_all_raise_the_expansion_fails_and_the_run_says_why():
    async def program(asked: str) -> str:
        raise RuntimeError("tool lost")

    async def once(search):
        await search.expand(search.root, n=2)

    engine = Engine(task(program), once, store=MemoryStore(), run=RUN)
    with pytest.raises(tg.RunFailed, match="'reason' failed: RuntimeError: tool lost"):
        finish(engine.start())


def test_an_answer_that_is_no_json_is_an_error_of_the_program_and_no_lost_draw():
    numbers = iter(range(3))

    async def program(asked: str) -> object:
        return object() if next(numbers) == 1 else "word"

    async def thrice(search):
        await search.expand(search.root, n=3)

    with pytest.raises(tg.TaskError, match="expected JSON data"):
        tg.solve(task(program), policy=thrice)


def test_json_answers_are_contents():
    async def program(asked: str) -> dict:
        return {"text": "three", "number": 3}

    result = tg.solve(task(program), policy="cot")
    assert result.thought.content == {"text": "three", "number": 3}


def test_after_a_kill_runs_that_ended_are_taken_from_the_journal_and_only_the_others_run_again():
    ran = []

    async def program(asked: str) -> str:
        ran.append(asked)
        return f"word {len(ran)}"

    async def once(search):
        await search.expand(search.root, n=3)

    first = Engine(task(program), once, store=MemoryStore(), run=RUN)
    finish(first.start())
    records = first.store.records(RUN)
    assert [type(record) for record in records] == [Acted] * 3
    killed = prefix(first.store.events(RUN)[:1], records[:2])
    again = Engine(task(program), once, store=killed, run=RUN)
    result = finish(again.resume())
    assert [thought.content for thought in result.graph][1:] == ["word 1", "word 2", "word 4"]
    assert len(ran) == 3 + 1


@pytest.mark.parametrize(("budget", "most"), [(tg.Budget(calls=2), 2), (tg.Budget(), 5), (tg.Budget(calls=0), 0)])
def test_each_run_is_a_call_of_the_budget_and_none_begins_that_does_not_fit(budget, most):
    ran = []

    async def program(asked: str) -> str:
        ran.append(asked)
        return "word"

    result = tg.solve(task(program), policy=BestOfN(n=5), budget=budget)
    assert len(ran) == result.usage.calls == most
    assert result.answer == ("word" if most else None)
    assert result.reason == ("answered" if most == 5 else "budget")


def test_runs_that_a_budget_cut_off_are_made_on_resume_and_the_others_are_not_paid_again():
    ran = []

    async def program(asked: str) -> str:
        ran.append(asked)
        return f"word {len(ran)}"

    store = MemoryStore()
    first = tg.solve(task(program), policy=BestOfN(n=5), budget=tg.Budget(calls=2), store=store)
    again = tg.resume(first.run, store=store, task=task(program), policy=BestOfN(n=5), budget=tg.Budget(calls=9))
    assert (len(ran), again.usage.calls, again.reason) == (5, 5, "answered")
