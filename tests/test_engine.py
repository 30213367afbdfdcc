"""The engine: performing, recording, resuming, budgets, cancelling, and what it refuses."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import asyncio
import gc
import hashlib
import json
from dataclasses import dataclass, replace

import pytest

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.errors import BudgetExhausted, ReplayMismatch, StoreError, TaskError, Unauthorized, Unparsable
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.prompt import Prompt
from thoughtgraph.result import RunFailed
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.testing import RUN, Toy, finish, picture, prefix
from thoughtgraph.trace import Expanded, Resumed, Scored, Sent, Settled, Started, Stopped, graph_of


def letters(state, n):
    return [tg.Draft(state.content + letter, done=len(state.content) == 2) for letter in "abc"][:n]


def alphabet(states):
    return [tg.Score(sum(map(ord, state.content)) / 1000) for state in states]


def last(path):
    return path[-1].content


def words(action=letters, critic=alphabet, **more) -> tg.Task:
    return tg.Task("words", {"step": action}, {"value": critic}, start="", claim=last, **more)


async def two_levels(search):
    """Expand the root, judge, expand the best child, and answer with its first child."""
    children = await search.expand(search.root)
    await search.score(children)
    best = search.graph.best(among=children) or children[0]
    grown = await search.expand(best)
    return grown[0] if grown else None


def engine(task=None, policy=two_levels, store=None, **how) -> Engine:
    return Engine(task or words(), policy, store=MemoryStore() if store is None else store, run=RUN, **how)


def run(task=None, policy=two_levels, **how):
    made = engine(task, policy, **how)
    return finish(made.start()), made.store.events(RUN)


# -- what is recorded ------------------------------------------------------------------------------


def test_each_completion_is_one_event_and_the_result_says_what_happened():
    result, events = run()
    assert [event.kind for event in events] == ["started", "expanded", "scored", "expanded", "stopped"]
    assert (result.answer, result.reason, result.run, result.ito) == ("ca", "answered", RUN, "proxy")
    assert result.usage.expansions == 2
    assert result.usage.evaluations == 3
    assert [thought.content for thought in result.graph] == ["", "a", "b", "c", "ca", "cb", "cc"]
    assert isinstance(events[-1], Stopped)
    assert (events[-1].answer, events[-1].reason) == ("ca", "answered")


def test_the_trace_folds_to_the_graph_of_the_run():
    result, events = run()
    assert picture(graph_of(events)) == picture(result.graph)


def test_ids_say_which_effect_made_a_thought_and_are_the_same_for_ever():
    result, _ = run()
    first = hashlib.blake2s(b"0.0:0", digest_size=8).hexdigest()
    second = hashlib.blake2s(b"0.0:1", digest_size=8).hexdigest()
    assert [thought.id for thought in result.graph][:3] == ["root", first, second]


def test_arrival_order_is_recorded_order():
    async def slow_first(state, n):
        await asyncio.sleep(0.02 if state.content == "a" else 0)
        return letters(state, 1)

    async def both(search):
        a, b = (await search.expand(search.root, action="open"))[:2]
        await search.gather(search.expand(a, action="slow"), search.expand(b, action="slow"))

    task = tg.Task("words", {"open": letters, "slow": slow_first}, start="", claim=last)
    result, events = run(task, both)
    assert [event.key for event in events if isinstance(event, Expanded)] == ["0.0", "0.1/1.0", "0.1/0.0"]
    assert picture(finish(engine(task, both, prefix(events)).resume()).graph) == picture(result.graph)


def test_work_that_nobody_waits_for_any_more_is_an_orphan_that_replay_accepts():
    async def slow(state, n):
        await asyncio.sleep(0.01)
        return letters(state, 1)

    def breaks(state, n):
        return []

    async def policy(search):
        async def breaking():
            await search.expand(search.root, action="breaks")
            raise LookupError

        try:
            await search.gather(search.expand(search.root, action="slow"), breaking())
        except LookupError:
            return (await search.expand(search.root, action="slow"))[0]

    task = tg.Task("words", {"slow": slow, "breaks": breaks}, start="", claim=lambda p: p[-1].content)
    result, events = run(task, policy)
    expanded = [(event.key, event.orphan) for event in events if isinstance(event, Expanded)]
    assert expanded == [("0.0/1.0", False), ("0.0/0.0", True), ("0.1", False)]
    assert len(result.graph) == 3
    store = prefix(events)
    again = finish(engine(task, policy, store).resume())
    assert picture(again.graph) == picture(result.graph)
    assert store.events(RUN) == events


def test_racing_cancels_the_losers():
    ended = []

    async def racer(state, n):
        try:
            await asyncio.sleep(10 if n == 1 else 0)
        except asyncio.CancelledError:
            ended.append(n)
            raise
        return letters(state, n)

    async def policy(search):
        (winner,) = await search.gather(search.expand(search.root, n=1), search.expand(search.root, n=2), first=1)
        return winner[0]

    result, _ = run(words(racer), policy)
    assert result.answer == "a"
    assert len(result.graph) == 3
    assert ended == [1]


def test_a_generator_that_fails_is_an_event_with_its_error_and_the_search_goes_on():
    def broken(state, n):
        if state.content == "c":
            raise ValueError("no way on from c")
        return letters(state, n)

    result, events = run(words(broken))
    errors = [event.error for event in events if isinstance(event, Expanded)]
    assert errors == ["", "ValueError: no way on from c"]
    assert result.answer is None
    assert result.outcomes["failed"] == 1


def test_a_critic_that_fails_is_an_event_and_no_low_score():
    def broken(states):
        raise ZeroDivisionError("cannot judge")

    result, events = run(words(critic=broken))
    (scored,) = [event for event in events if isinstance(event, Scored)]
    assert scored.error == "ZeroDivisionError: cannot judge"
    assert [(score.value, score.status) for score in scored.scores] == [(None, "failed")] * 3
    assert result.answer == "aa"
    assert result.graph.best() is None


def test_the_result_says_what_the_search_went_by():
    def judge(states):
        return alphabet(states)

    assert run()[0].ito == "proxy"
    judge.ito = "environment"
    assert run(words(critic=judge))[0].ito == "environment"

    async def unjudged(search):
        return (await search.expand(search.root))[0]

    assert run(policy=unjudged)[0].ito == "none"


# -- contracts that are checked --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([tg.Draft("a")] * 4, "returned 4 drafts: expected at most the n=3"),
        ("abc", "expected a list of Draft"),
        (None, "expected a list of Draft"),
        ([tg.Draft({1, 2})], "expected JSON data"),
        ([tg.Draft([float("nan")])], "expected JSON data"),
        ([tg.Draft({1: 2})], "expected JSON data"),
        ([tg.Draft("a", prior=0)], "the prior 0: expected a finite number above 0"),
        ([tg.Draft("a", prior=float("inf"))], "expected a finite number above 0"),
    ],
)
def test_drafts_that_break_the_contract_end_the_run_with_an_error_that_says_how(made, message):
    async def policy(search):
        await search.expand(search.root, n=3)

    with pytest.raises(TaskError, match=message) as caught:
        run(words(lambda state, n: made), policy)
    assert "this ended run contract" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([tg.Score(0.5)] * 2, "returned 2 scores for 3 thoughts"),
        ([0.5] * 3, "expected a list of Score"),
        ([tg.Score(float("nan"))] * 3, "expected a finite number, or None where it cannot judge"),
        ([tg.Score(float("inf"))] * 3, "expected a finite number, or None where it cannot judge"),
        ([tg.Score(0.5, parts={"a": float("nan")})] * 3, "expected finite numbers"),
        ([tg.Score(0.5, spread=float("inf"))] * 3, "expected finite numbers"),
        ([tg.Score(0.5, details=object())] * 3, "expected JSON data"),
        ([tg.Score(0.5, samples=0)] * 3, "a value of 0 samples"),
    ],
)
def test_scores_that_break_the_contract_end_the_run_with_an_error_that_says_how(given, message):
    with pytest.raises(TaskError, match=message):
        run(words(critic=lambda states: given))


def test_contents_become_plain_json_whatever_they_are_stored_in(tmp_path):
    odd = {"tuple": (1, (2,)), "half \ud83e": "pair \ud83e", "zero": "\x00"}

    async def policy(search):
        return (await search.expand(search.root))[0]

    for store in (MemoryStore(), SQLiteStore(tmp_path / "runs.db")):
        task = tg.Task("half \ud83e", {"step": lambda state, n: [tg.Draft(odd, done=True)]}, claim=last)
        result, events = run(task, policy, store=store)
        assert result.answer == {"tuple": [1, [2]], "half ?": "pair ?", "zero": "\x00"}
        assert events[1].thoughts[0].content == result.answer
        again = finish(engine(task, policy, store).resume())
        assert again.answer == result.answer
    store.close()


def test_a_policy_that_awaits_something_else_ends_the_run_with_the_rule():
    async def sleepy(search):
        await search.expand(search.root)
        await asyncio.sleep(1)

    with pytest.raises(TypeError, match="may await only its search"):
        run(policy=sleepy)


def test_a_policy_that_waits_for_nothing_ends_the_run_with_an_error():
    async def stuck(search):
        await search.next()

    with pytest.raises(TaskError, match="nothing is in flight"):
        run(policy=stuck)


def test_an_error_of_the_policy_itself_comes_out_and_what_it_paid_for_is_recorded():
    async def broken(search):
        await search.expand(search.root)
        raise ZeroDivisionError("mine")

    store = MemoryStore()
    with pytest.raises(ZeroDivisionError, match="mine"):
        run(policy=broken, store=store)
    assert [event.kind for event in store.events(RUN)] == ["started", "expanded", "stopped"]
    store.claim(RUN)


def test_a_task_that_lacks_what_the_policy_names_is_an_error_before_anything_is_recorded():
    @dataclass(frozen=True)
    class Named:
        action: str = "stpe"
        critic: str = "value"

        async def __call__(self, search):
            raise AssertionError("must not begin")

    task = replace(words(), actions={"step": letters, "other": letters})
    store = MemoryStore()
    with pytest.raises(TaskError, match="no action 'stpe': it has 'step', 'other'; did you mean 'step'"):
        run(task, Named(), store=store)
    assert store.runs() == []


def test_what_is_in_flight_when_a_policy_ends_leaves_nothing_behind():
    async def slow(state, n):
        await asyncio.sleep(10)
        return []

    async def policy(search):
        async def quick():
            return None

        await search.gather(search.expand(search.root), quick(), first=1)

    result, _ = run(words(slow), policy)
    assert result.reason == "exhausted"
    gc.collect()


def test_a_run_that_stops_early_closes_its_policy():
    ended = []

    async def policy(search):
        async def part():
            try:
                await search.expand(search.root)
            finally:
                ended.append("part")

        try:
            await search.gather(part(), part())
        finally:
            ended.append("policy")

    made = engine(policy=policy)
    made.listener = lambda event: made.cancel()
    finish(made.start())
    assert ended == ["part", "part", "policy"]


# -- resuming --------------------------------------------------------------------------------------


def test_a_finished_run_resumes_to_the_same_result_and_writes_nothing():
    result, events = run()
    store = prefix(events)
    again = finish(engine(store=store).resume())
    assert store.events(RUN) == events
    assert (again.answer, again.reason, picture(again.graph)) == (result.answer, result.reason, picture(result.graph))
    assert again.usage.expansions == result.usage.expansions


def test_a_stopped_run_goes_on_with_a_larger_budget_and_says_so_in_its_trace():
    store = MemoryStore()
    stopped = finish(engine(store=store, budget=tg.Budget(expansions=1)).start())
    assert (stopped.answer, stopped.reason, stopped.usage.expansions) == (None, "budget", 1)
    result = finish(engine(store=store, budget=tg.Budget(expansions=2)).resume())
    assert (result.answer, result.reason, result.usage.expansions) == ("ca", "answered", 2)
    kinds = [event.kind for event in store.events(RUN)]
    assert kinds == ["started", "expanded", "scored", "stopped", "resumed", "expanded", "stopped"]
    assert next(e for e in store.events(RUN) if isinstance(e, Resumed)).budget == tg.Budget(expansions=2)


def test_a_refusal_is_no_event_and_resuming_with_the_same_budget_changes_nothing():
    store = MemoryStore()
    finish(engine(store=store, budget=tg.Budget(expansions=1)).start())
    before = store.events(RUN)
    again = finish(engine(store=store, budget=tg.Budget(expansions=1)).resume())
    assert again.reason == "budget"
    assert store.events(RUN) == before


async def greedy(search):
    grown = await search.expand(search.root)
    return grown[-1] if grown else None


def other_prompter(x, passages, thoughts, scores):
    return Prompt(ask="other")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"policy": greedy}, "policy"),
        ({"seed": 1}, "seed"),
        ({"task": words(lambda state, n: [])}, "action step"),
        ({"task": words(critic=lambda states: [])}, "critic value"),
        ({"task": words(name="other")}, "task"),
        ({"task": words(x="other words")}, "x"),
        ({"task": words(passages=[tg.Passage("new")])}, "passages"),
        ({"task": words(goal=lambda path: True)}, "goal"),
        ({"task": words(key=str)}, "key"),
        ({"task": replace(words(), problem="other")}, "problem"),
        ({"task": replace(words(), start="a")}, "start"),
        ({"task": replace(words(), claim=str)}, "claim"),
        ({"model": Scripted(["a"])}, "model"),
    ],
)
def test_a_run_is_not_resumed_with_anything_else_and_its_events_stay_as_they_were(change, named):
    _, events = run()
    store = prefix(events)
    with pytest.raises(ReplayMismatch, match=f"was recorded with another {named}"):
        finish(engine(store=store, **change).resume())
    assert store.events(RUN) == events
    store.claim(RUN)


def test_a_store_file_is_untouched_by_a_resume_that_does_not_match(tmp_path):
    path = tmp_path / "runs.db"
    store = SQLiteStore(path)
    finish(engine(store=store).start())
    store.close()
    before = path.read_bytes()
    store = SQLiteStore(path)
    with pytest.raises(ReplayMismatch):
        finish(engine(store=store, policy=greedy).resume())
    store.close()
    assert path.read_bytes() == before


def test_a_generator_with_another_prompter_is_another_generator():
    @dataclass(frozen=True)
    class Asking:
        prompter: object

        async def __call__(self, state, n):
            return [tg.Draft(text) for text in await state.ask(self.prompter, min(n, 2))]

    def plain_prompter(x, passages, thoughts, scores):
        return Prompt(ask="plain")

    model = Scripted(lambda prompt, draw: prompt)
    _, events = run(words(Asking(plain_prompter)), greedy, model=model)
    with pytest.raises(ReplayMismatch, match="another action step"):
        finish(engine(words(Asking(other_prompter)), greedy, prefix(events), model=model).resume())
    (expanded,) = [event for event in events if isinstance(event, Expanded)]
    assert len(expanded.prompters) == 1


WHIMS = iter(range(1, 100))


def test_a_policy_that_does_not_do_the_same_again_is_refused():
    async def whimsical(search):
        return (await search.expand(search.root, n=next(WHIMS)))[0]

    _, events = run(policy=whimsical)
    store = prefix(events)
    with pytest.raises(ReplayMismatch, match="must do the same again"):
        finish(engine(policy=whimsical, store=store).resume())
    assert store.events(RUN) == events


def test_a_policy_that_goes_on_from_another_thought_is_refused():
    async def whimsical(search):
        children = await search.expand(search.root)
        return (await search.expand(children[next(WHIMS) % 2]))[0]

    _, events = run(policy=whimsical)
    store = prefix(events)
    with pytest.raises(ReplayMismatch, match="must do the same again"):
        finish(engine(policy=whimsical, store=store).resume())
    assert store.events(RUN) == events


def test_a_run_has_one_owner_at_a_time(tmp_path):
    path = tmp_path / "runs.db"
    one, two = SQLiteStore(path), SQLiteStore(path)

    def meanwhile(event):
        if isinstance(event, Scored):
            with pytest.raises(StoreError, match="has another owner"):
                two.claim(RUN)

    result = finish(engine(store=one, listener=meanwhile).start())
    assert result.answer == "ca"
    two.claim(RUN)
    one.close()
    two.close()


# -- merging ---------------------------------------------------------------------------------------


def sorted_letters(content):
    return "".join(sorted(content))


async def three_levels(search):
    level = [search.root]
    for _ in range(2):
        grown = await search.gather(*(search.expand(thought) for thought in level))
        level = list({thought.id: thought for found in grown for thought in found}.values())
    return level[0]


def test_equal_thoughts_at_equal_depth_become_one_with_many_parents():
    result, events = run(words(key=sorted_letters), three_levels)
    assert [t.content for t in result.graph] == ["", "a", "b", "c", "aa", "ab", "ac", "bb", "bc", "cc"]
    (ab,) = [thought for thought in result.graph if thought.content == "ab"]
    assert [parent.content for parent in result.graph.parents(ab)] == ["a", "b"]
    assert list(ab.parents) == [result.graph.parents(ab)[0].id]
    assert picture(graph_of(events, sorted_letters)) == picture(result.graph)


def test_a_run_may_keep_equal_thoughts_apart():
    result, _ = run(words(key=sorted_letters, merge=False), three_levels)
    assert len(result.graph) == 1 + 3 + 9


def test_twins_within_one_expansion_come_back_once():
    def twins(state, n):
        return [tg.Draft(text) for text in ("ab", "ba", "c", "ab")]

    async def policy(search):
        assert [thought.content for thought in await search.expand(search.root)] == ["ab", "c"]
        again = await search.expand(search.root)
        assert [thought.content for thought in again] == ["ab", "c"]

    result, events = run(words(twins, key=sorted_letters), policy)
    assert len(result.graph) == 3
    assert [len(event.thoughts) for event in events if isinstance(event, Expanded)] == [2, 0]


# -- calls -----------------------------------------------------------------------------------------


def plain(x, passages, thoughts, scores):
    return Prompt(ask=f"{x}: {'/'.join(thought.text for thought in thoughts)}")


async def say(state, n):
    return [tg.Draft(state.content + text) for text in await state.ask(plain, min(n, 3), str.strip)]


async def judge_each(states):
    async def one(state):
        return tg.Score.of([float(number) for number in await state.ask(plain, 2, str.__len__)])

    return await asyncio.gather(*(one(state) for state in states))


def talker() -> Scripted:
    return Scripted(lambda prompt, draw: "abcdef"[draw % 6])


def test_a_generator_that_hands_on_all_to_a_model_is_told_to_choose_a_width():
    async def unbounded(state, n):
        return [tg.Draft(text) for text in await state.ask(plain, n)]

    with pytest.raises(TaskError, match="needs a width of its own"):
        run(words(unbounded), greedy, model=talker())


def test_calls_are_logical_and_every_one_is_in_the_books():
    model = talker()
    result, _ = run(words(say, judge_each), model=model)
    assert result.usage.calls == 3 + 3 * 2 + 3
    assert result.usage.requests == len(model.seen)
    assert result.outcomes == {"ok": 12}
    assert result.ledger["step"].calls == 6
    assert result.ledger["value"].calls == 6


def test_a_draw_that_comes_to_nothing_is_drawn_once_more_and_counted():
    replies = iter(["", "a", "b", "c"])
    result, _ = run(words(say), greedy, model=Scripted(lambda prompt, draw: next(replies)))
    assert result.outcomes == {"ok": 3, "empty": 1}
    assert result.usage.calls == 4


@pytest.mark.parametrize("kept", range(2, 30))
def test_half_done_effects_take_their_finished_calls_from_the_journal(kept):
    whole = engine(words(say, judge_each), model=talker())
    result = finish(whole.start())
    records = whole.store.records(RUN)
    events = whole.store.events(RUN)
    if kept > len(records):
        return
    model = talker()
    store = prefix(events[:2], records[:kept])
    again = finish(engine(words(say, judge_each), store=store, model=model).resume())
    answered = sum(len(record.replies) for record in records[:kept] if isinstance(record, Settled))
    paid = sum(len(record.replies) for record in store.records(RUN)[kept:] if isinstance(record, Settled))
    assert answered + paid == result.usage.calls
    unsettled = len({r.id for r in records[:kept] if isinstance(r, Sent)}) - sum(
        isinstance(r, Settled) for r in records[:kept]
    )
    assert again.usage.requests == result.usage.requests + unsettled
    assert sorted(t.id for t in again.graph) == sorted(t.id for t in result.graph)


def test_what_was_sent_and_never_settled_counts_at_its_reservation():
    whole = engine(words(say), greedy, model=talker())
    finish(whole.start())
    sent = whole.store.records(RUN)[0]
    assert isinstance(sent, Sent)
    model = talker()
    again = finish(engine(words(say), greedy, prefix(whole.store.events(RUN)[:1], [sent]), model=model).resume())
    assert again.usage.calls == 6  # 3 that may have been paid, and 3 that were
    assert again.usage.prompt_tokens > sent.held.prompt_tokens


def test_a_budget_of_calls_cuts_an_effect_short_and_what_came_is_in_the_answer():
    store = MemoryStore()
    stopped = finish(engine(words(say), greedy, store, model=talker(), budget=tg.Budget(calls=2)).start())
    assert (stopped.reason, stopped.usage.calls) == ("budget", 2)
    assert [thought.content for thought in stopped.graph] == ["", "a", "b"]
    events = store.events(RUN)
    assert [event.partial for event in events if isinstance(event, Expanded)] == [True]
    assert picture(graph_of(events)) == picture(stopped.graph)
    model = talker()
    result = finish(engine(words(say), greedy, store, model=model, budget=tg.Budget(calls=3)).resume())
    assert result.usage.calls == 3
    assert [thought.content for thought in result.graph] == ["", "a", "b", "a"]  # the second model begins anew
    assert len(model.seen) == 1
    assert picture(graph_of(store.events(RUN))) == picture(result.graph)


def test_what_was_cut_short_is_not_merged_into_by_what_comes_after_it():
    async def slow(state, n):
        await asyncio.sleep(0.02)
        return [tg.Draft("a")]

    async def both(search):
        await search.gather(search.expand(search.root, action="say"), search.expand(search.root, action="slow"))
        return search.graph.children(search.root)[0]

    task = tg.Task("words", {"say": say, "slow": slow}, start="", claim=last, key=str)
    store = MemoryStore()
    finish(engine(task, both, store, model=talker(), budget=tg.Budget(calls=2)).start())
    result = finish(engine(task, both, store, model=talker(), budget=tg.Budget(calls=3)).resume())
    assert result.reason == "answered"
    assert sorted(picture(graph_of(store.events(RUN), str))) == sorted(picture(result.graph))


def test_a_refused_key_ends_the_run_as_failed_with_its_id_and_its_result():
    def no(prompt, draw):
        raise Unauthorized("the key is wrong")

    store = MemoryStore()
    with pytest.raises(RunFailed, match=rf"the key is wrong.*\[run {RUN}\]") as caught:
        run(words(say), model=Scripted(no), store=store)
    assert caught.value.run == RUN
    assert caught.value.result.reason == "failed"
    assert isinstance(store.events(RUN)[-1], Stopped)


def test_an_action_that_always_fails_ends_the_run():
    def broken(state, n):
        raise OSError("no such program")

    async def stubborn(search):
        while True:
            await search.expand(search.root)

    with pytest.raises(RunFailed, match="no such program"):
        run(words(broken), stubborn)


# -- budgets, time and cancelling ------------------------------------------------------------------


async def endless(search):
    while True:
        await search.expand(search.root, n=1)


def test_the_policy_may_catch_the_end_of_the_budget_and_answer():
    async def careful(search):
        best = None
        try:
            while True:
                best = (await search.expand(search.root, n=1))[0]
        except BudgetExhausted as end:
            assert end.limit == "expansions"  # noqa: PT017
            return best

    result, _ = run(policy=careful, budget=tg.Budget(expansions=3))
    assert (result.answer, result.reason, result.usage.expansions) == ("a", "answered", 3)


def test_seconds_end_a_run_that_waits_and_one_that_works():
    async def slow(state, n):
        await asyncio.sleep(30)
        return []

    for action in (slow, letters):
        result, _ = run(words(action), endless, budget=tg.Budget(seconds=0.1))
        assert result.reason == "budget"
        assert 0.1 <= result.usage.seconds < 2


def test_no_seconds_at_all_is_a_budget_too():
    result, _ = run(policy=endless, budget=tg.Budget(seconds=0))
    assert result.reason == "budget"


def test_seconds_add_up_over_resumes():
    store = MemoryStore()
    finish(engine(policy=endless, store=store, budget=tg.Budget(seconds=0.05)).start())
    again = finish(engine(policy=endless, store=store, budget=tg.Budget(seconds=0.1)).resume())
    assert again.reason == "budget"
    assert 0.1 <= again.usage.seconds < 2


def test_cancelling_gives_the_best_so_far():
    async def policy(search):
        level = [search.root]
        while True:
            level = await search.expand(level[0])
            await search.score(level)

    made = engine(policy=policy)
    made.listener = lambda event: made.cancel() if isinstance(event, Scored) and len(made.graph) == 10 else None
    result = finish(made.start())
    assert (result.reason, result.answer) == ("cancelled", "aac")


def test_a_cancelled_task_is_recorded_and_goes_on_later():
    async def slow(state, n):
        await asyncio.sleep(0.05 if state.content else 0)
        return letters(state, n)

    store = MemoryStore()

    async def interrupted():
        task = asyncio.ensure_future(engine(words(slow), store=store).start())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    finish(interrupted())
    assert [event.kind for event in store.events(RUN)] == ["started", "expanded", "scored", "stopped"]
    assert store.events(RUN)[-1].reason == "cancelled"
    result = finish(engine(words(slow), store=store).resume())
    assert result.answer == "ca"


def test_a_generator_that_cancels_itself_is_a_failure_and_no_budget():
    async def cancelling(state, n):
        raise asyncio.CancelledError

    with pytest.raises(RunFailed, match="CancelledError") as caught:
        run(words(cancelling), greedy)
    assert caught.value.result.outcomes == {"failed": 1}


def test_a_generator_that_does_not_end_when_it_is_cancelled_does_not_hold_up_the_run():
    async def deaf(state, n):
        for _ in range(3):
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                continue
        return []

    result, _ = run(words(deaf), endless, budget=tg.Budget(seconds=0.05))
    assert result.reason == "budget"
    assert result.usage.seconds < 1


def test_a_solved_task_of_the_toy_is_the_same_with_every_seed_twice():
    pictures = {}
    for seed in (0, 1):
        for _ in range(2):
            toy = Toy("open")
            made = Engine(toy.task, tg.search.MCTS(simulations=5), store=MemoryStore(), run=RUN, seed=seed)
            pictures.setdefault(seed, set()).add(picture(finish(made.start()).graph))
    assert [len(found) for found in pictures.values()] == [1, 1]
    assert pictures[0] != pictures[1]


def test_the_result_is_one_json_object():
    said = json.loads(json.dumps(run()[0].to_json()))
    assert said["answer"] == "ca"
    assert said["usage"]["expansions"] == 2


def test_unparsable_is_an_outcome_and_no_failure():
    async def picky(state, n):
        def parse(text):
            raise Unparsable("not that")

        return [tg.Draft(text) for text in await state.ask(plain, 2, parse)]

    result, _ = run(words(picky), greedy, model=talker())
    assert result.outcomes == {"unparsable": 4}
    assert result.reason == "exhausted"


def test_events_begin_with_the_marks_of_all_that_matters():
    _, events = run()
    assert isinstance(events[0], Started)
    assert {"policy", "task", "problem", "seed", "action step", "critic value", "model", "goal"} <= set(events[0].marks)


async def test_what_came_back_before_a_stop_is_recorded_and_not_done_again():
    """Three expansions land in one turn of the loop, and the first of their events ends the run."""
    done = list[str]()

    async def step(state: tg.State, n: int) -> list[tg.Draft]:
        done.append("step")
        return [tg.Draft(f"{state.content}{len(done)}", done=True)]

    async def three(search: tg.Search) -> tg.Thought | None:
        parts = await search.gather(*(search.expand(search.root) for _ in range(3)))
        return parts[0][0]

    store = tg.MemoryStore()
    task = tg.Task("three", actions={"step": step}, start="")
    engine = Engine(task, three, store=store, run="r")
    engine.listener = lambda event: engine.cancel() if event.kind == "expanded" else None
    assert (await engine.start()).reason == "cancelled"
    assert sum(event.kind == "expanded" for event in store.events("r")) == 3
    assert (await Engine(task, three, store=store, run="r").resume()).reason == "answered"
    assert len(done) == 3


async def test_a_policy_that_will_not_stop_asking_is_stopped():
    async def stubborn(search: tg.Search) -> tg.Thought | None:
        while True:
            try:
                await search.expand(search.root)
            except tg.BudgetExhausted:
                continue

    task = tg.Task("more", actions={"step": lambda state, n: [tg.Draft("x")]})
    with pytest.raises(tg.TaskError, match="let BudgetExhausted end it"):
        await tg.asolve(task, policy=stubborn, budget=tg.Budget(expansions=1))


async def test_a_disk_that_fills_in_the_middle_ends_the_run_with_what_it_had(tmp_path):
    """The run's answer so far and its id are told; what was written before is whole, and goes on elsewhere."""
    store = SQLiteStore(tmp_path / "runs.db")
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 6}")
    puzzle = tg.tasks.game24("3 3 8 8")
    with pytest.raises(RunFailed, match=r"full.*free space") as caught:
        await tg.asolve(puzzle, policy="mcts", budget=tg.Budget(expansions=500), store=store)
    assert caught.value.result.reason == "failed"
    assert len(caught.value.result.graph) > 1
    store._db.execute("PRAGMA max_page_count = 100000")
    whole = await tg.aresume(caught.value.run, store=store)
    assert whole.answer is not None
    store.close()
