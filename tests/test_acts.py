"""Acts outside of a run: found again in the journal, and what must happen once is never begun twice."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.errors import EffectError, Unsure
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, finish, prefix
from thoughtgraph.trace import Acted, Begun


async def expand_once(search: tg.Search) -> tg.Thought | None:
    await search.expand(search.root)
    return search.answer()


def engine(step: Callable, store: tg.MemoryStore | None = None, policy: tg.Policy = expand_once) -> Engine:
    task = tg.Task("act", actions={"step": step})
    return Engine(task, policy, store=store or MemoryStore(), run=RUN)


def killed(store: MemoryStore, records: int, events: int = 1) -> MemoryStore:
    """What a kill leaves: the first events and records."""
    return prefix(store.events(RUN)[:events], store.records(RUN)[:records])


class World:
    """Something outside that remembers what was done to it."""

    def __init__(self) -> None:
        self.done = list[str]()

    def do(self, what: str) -> Callable[[], str]:
        def act() -> str:
            self.done.append(what)
            return f"{what} #{self.done.count(what)}"

        return act


# -- acts that may be done again -----------------------------------------------------------------------------------


def test_what_ended_before_a_kill_is_found_again_and_the_rest_is_done():
    world, store = World(), MemoryStore()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        told = [await state.act(name, world.do(name)) for name in "abc"]
        return [tg.Draft(" ".join(told), done=True)]

    assert finish(engine(step, store).start()).answer == "a #1 b #1 c #1"
    result = finish(engine(step, killed(store, 2)).resume())
    assert world.done == ["a", "b", "c", "c"]
    assert result.answer == "a #1 b #1 c #2"


def test_the_same_name_again_is_another_act_of_the_effect():
    world, store = World(), MemoryStore()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        told = await asyncio.gather(*(state.act("a", world.do("a")) for _ in range(3)))
        return [tg.Draft(" ".join(told), done=True)]

    assert finish(engine(step, store).start()).answer == "a #1 a #2 a #3"
    assert finish(engine(step, killed(store, 2)).resume()).answer == "a #1 a #2 a #4"


def test_two_effects_do_not_find_each_others_acts():
    world = World()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act("a", world.do("a")), done=True)]

    async def twice(search: tg.Search) -> tg.Thought | None:
        await search.expand(search.root)
        return (await search.expand(search.root))[0]

    assert finish(engine(step, policy=twice).start()).answer == "a #2"


def test_critics_act_in_parts_of_their_own():
    world, store = World(), MemoryStore()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft("x"), tg.Draft("y")]

    async def value(states: Sequence[tg.State]) -> list[tg.Score]:
        told = [await state.act("judge", world.do(state.content)) for state in states]
        return [tg.Score(1.0, feedback=said) for said in told]

    async def policy(search: tg.Search) -> tg.Thought | None:
        scores = await search.score(await search.expand(search.root))
        assert [score.feedback for score in scores] == ["x #1", "y #1"]
        return None

    task = tg.Task("act", actions={"step": step}, critics={"value": value})
    finish(Engine(task, policy, store=store, run=RUN).start())
    cut = prefix(store.events(RUN)[:2], store.records(RUN))
    finish(Engine(task, policy, store=cut, run=RUN).resume())
    assert world.done == ["x", "y"]


def test_an_act_that_fails_is_not_written_down_and_is_done_again():
    store, tries = MemoryStore(), list[int]()

    def act() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the line was bad")
        return "well"

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act("a", act), done=True)]

    async def twice(search: tg.Search) -> tg.Thought | None:
        for _ in range(2):
            await search.expand(search.root)
        return search.answer()

    result = finish(engine(step, store, twice).start())
    assert (result.answer, result.outcomes["failed"]) == ("well", 1)
    assert [record.value for record in store.records(RUN) if isinstance(record, Acted)] == ["well"]


@pytest.mark.parametrize("wrong", [{1, 2}, float("nan"), object()])
def test_what_is_no_json_is_an_error_that_names_the_act(wrong: object):
    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act("weigh", lambda: wrong))]

    with pytest.raises(tg.TaskError, match="expected JSON data"):
        finish(engine(step).start())


def test_how_long_an_act_took_is_written_down():
    store = MemoryStore()

    async def slow() -> int:
        await asyncio.sleep(0.05)
        return 7

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act("slow", slow), done=True)]

    assert finish(engine(step, store).start()).answer == "7"
    (acted,) = store.records(RUN)
    assert isinstance(acted, Acted)
    assert acted.at >= acted.seconds >= 0.05
    assert (acted.key, acted.value) == ("0.0", 7)
    assert re.fullmatch(r"0\.slow\.[0-9a-f]{8}\.1", acted.name)


# -- acts that must happen once ------------------------------------------------------------------------------------


def buying(world: World, name: str = "buy") -> Callable:
    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        try:
            told = await state.act(name, world.do("bought"), once=True)
        except Unsure as error:
            told = f"unsure: {error.name}"
        return [tg.Draft(told, done=True)]

    return step


def test_an_act_that_is_done_once_is_begun_on_record_before_it_is_done():
    world, store = World(), MemoryStore()

    def seen() -> str:
        assert [type(record) for record in store.records(RUN)] == [Begun]
        return world.do("bought")()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act("buy", seen, once=True), done=True)]

    assert finish(engine(step, store).start()).answer == "bought #1"
    assert [type(record) for record in store.records(RUN)] == [Begun, Acted]


def test_whatever_is_left_of_the_journal_it_is_begun_at_most_once():
    """No record: it was not begun, and is done now. Begun: nobody knows. Both: it is found."""
    told = ["bought #2", "unsure: buy", "bought #1"]
    for length, expected in enumerate(told):
        world, store = World(), MemoryStore()
        finish(engine(buying(world), store).start())
        result = finish(engine(buying(world), killed(store, length)).resume())
        assert result.answer == expected
        assert world.done == ["bought"] * (2 if length == 0 else 1)


def test_a_run_that_is_unsure_stays_so_and_never_tries_again():
    world, store = World(), MemoryStore()
    finish(engine(buying(world), store).start())
    cut = killed(store, 1)
    assert finish(engine(buying(world), cut).resume()).answer == "unsure: buy"
    assert finish(engine(buying(world), killed(cut, 9)).resume()).answer == "unsure: buy"
    assert world.done == ["bought"]


def test_two_effects_that_ask_for_one_act_get_the_same_result():
    world = World()

    async def both(search: tg.Search) -> tg.Thought | None:
        await search.gather(*(search.expand(search.root, merge=False) for _ in range(2)))
        return search.answer()

    result = finish(engine(buying(world), policy=both).start())
    assert world.done == ["bought"]
    assert [thought.text for thought in result.graph.finals] == ["bought #1"] * 2


def test_whoever_comes_while_it_is_being_done_waits_for_its_result():
    done = list[str]()

    async def act() -> str:
        await asyncio.sleep(0.02)
        done.append("bought")
        return "bought"

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        told = await asyncio.gather(*(state.act("buy", act, once=True) for _ in range(5)))
        return [tg.Draft(" ".join(told), done=True)]

    assert finish(engine(step).start()).answer == " ".join(["bought"] * 5)
    assert done == ["bought"]


def test_its_failure_is_its_result_for_good():
    tries, store = list[int](), MemoryStore()

    def act() -> str:
        tries.append(1)
        raise OSError("the line was cut in the middle")

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        told = list[str]()
        for _ in range(2):
            with pytest.raises(EffectError, match="'buy' failed, and is not tried again: OSError: the line was cut"):
                await state.act("buy", act, once=True)
            told.append("failed")
        return [tg.Draft(" ".join(told), done=True)]

    assert finish(engine(step, store).start()).answer == "failed failed"
    assert finish(engine(step, killed(store, 2)).resume()).answer == "failed failed"
    assert tries == [1]


def test_a_result_that_is_no_json_does_not_make_it_happen_again():
    world = World()

    def act() -> object:
        world.do("bought")()
        return {1, 2}

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        told = list[str]()
        for _ in range(2):
            with pytest.raises(EffectError, match="expected JSON data"):
                await state.act("buy", act, once=True)
            told.append("failed")
        return [tg.Draft(" ".join(told), done=True)]

    assert finish(engine(step).start()).answer == "failed failed"
    assert world.done == ["bought"]


def test_an_act_that_is_cut_off_in_the_middle_is_not_begun_again():
    """Time is up while it is on its way; the run goes on with more, and does not know."""
    begun, store = list[int](), MemoryStore()

    async def act() -> str:
        begun.append(1)
        await asyncio.sleep(30)
        return "bought"

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        try:
            return [tg.Draft(await state.act("buy", act, once=True), done=True)]
        except Unsure:
            return [tg.Draft("who knows", done=True)]

    task = tg.Task("act", actions={"step": step})
    short = Engine(task, expand_once, store=store, run=RUN, budget=tg.Budget(seconds=0.1))
    assert finish(short.start()).reason == "budget"
    result = finish(Engine(task, expand_once, store=store, run=RUN, budget=tg.Budget(seconds=60)).resume())
    assert (result.answer, begun) == ("who knows", [1])


def test_whoever_waited_for_an_act_that_was_cut_off_is_told_that_nobody_knows():
    told = list[str]()

    async def act() -> str:
        await asyncio.sleep(30)
        return "bought"

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        first = asyncio.create_task(state.act("buy", act, once=True))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(state.act("buy", act, once=True))
        await asyncio.sleep(0.01)
        first.cancel()
        (error,) = await asyncio.gather(second, return_exceptions=True)
        told.append(type(error).__name__)
        return [tg.Draft("x", done=True)]

    finish(engine(step).start())
    assert told == ["Unsure"]


# -- real kills ----------------------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from pathlib import Path

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.errors import Unsure
from thoughtgraph.store import SQLiteStore
from thoughtgraph.testing import RUN, finish

store, ledger, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]


def killed(at):
    if moment == [at]:
        os.kill(os.getpid(), signal.SIGKILL)


def buy():
    with ledger.open("a") as file:
        file.write("bought\\n")
    killed("during")
    return "bought"


async def step(state, n):
    killed("before")
    try:
        told = await state.act("buy", buy, once=True)
    except Unsure:
        told = "nobody knows"
    killed("after")
    return [tg.Draft(told, done=True)]


async def policy(search):
    await search.expand(search.root)
    return search.answer()


begun = store.exists()
engine = Engine(tg.Task("act", actions={"step": step}), policy, store=SQLiteStore(store), run=RUN)
print(finish(engine.resume() if begun else engine.start()).answer)
"""


@pytest.mark.parametrize(("moment", "answer"), [("before", "bought"), ("during", "nobody knows"), ("after", "bought")])
def test_a_process_that_is_killed_leaves_what_it_takes_to_know(moment: str, answer: str, tmp_path: Path):
    script, store, ledger = tmp_path / "script.py", tmp_path / "runs.db", tmp_path / "ledger"
    script.write_text(SCRIPT, encoding="utf-8")
    words = [sys.executable, str(script), str(store), str(ledger)]
    assert subprocess.run([*words, moment], check=False, timeout=60).returncode == -signal.SIGKILL
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == answer
    assert ledger.read_text(encoding="utf-8").splitlines() == ["bought"]


def test_an_estimate_bills_what_is_paid_for_elsewhere():
    async def asking(state, n):
        await state.act("ask", lambda: 1, calls=3)
        return [tg.Draft("x", done=True)]

    task = tg.Task("q", {"step": asking})
    found = tg.estimate(task, policy="direct", budget=tg.Budget(calls=9))
    assert (found.minimum.calls, found.expected.calls, found.maximum.calls) == (3, 3, 3)
    assert tg.solve(task, policy="direct", budget=tg.Budget(calls=9)).usage.calls == 3
