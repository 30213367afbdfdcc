"""Commit: the inner policy's search, and afterwards its effects, once."""

from dataclasses import dataclass

import pytest
from golden import same_as_golden
from worlds import Outside, Plan

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.environment import enacted
from thoughtgraph.generators.act import Act, Enact
from thoughtgraph.search import DFS, MCTS, BestOfN, CoT, SelfConsistency, ToT
from thoughtgraph.search.commit import Commit
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, PolicyContract, finish, prefix
from thoughtgraph.trace import Expanded
from thoughtgraph.verbs import family, roles


class TestCommitOfMCTS(PolicyContract):
    policy = Commit(MCTS(simulations=10))


class TestCommitOfSelfConsistency(PolicyContract):
    policy = Commit(SelfConsistency(n=4))


def test_without_effects_it_is_the_policy_within():
    same_as_golden("tot", Commit(ToT(breadth=2)))


def acting(outside: Outside, *calls: str, **more) -> tg.Task:
    """The abacus from 3 on, whose answers are the texts of final thoughts."""
    actions = {"step": Act(outside, Plan(calls)), "commit": Enact(outside)}
    return tg.Task(3, actions, {"value": value}, name="abacus", **more)


def value(states) -> list[tg.Score]:
    """The more the better."""
    return [tg.Score(float(len(state.path)) + ("Ann" in state.thought.text) / 2) for state in states]


def run(task: tg.Task, policy: tg.Policy, store: MemoryStore | None = None, **how) -> tuple[tg.Result, list[Expanded]]:
    store = store or MemoryStore()
    engine = Engine(task, policy, store=store, run=RUN, **how)
    begun = RUN in store.runs()
    result = finish(engine.resume() if begun else engine.start())
    return result, [event for event in store.events(RUN) if isinstance(event, Expanded)]


def test_effects_happen_after_the_search_and_only_those_of_the_branch_that_was_chosen():
    outside = Outside()
    result, events = run(acting(outside, "pay Bob", "pay Ann", "add 1"), Commit(ToT(breadth=3, steps=3)))
    assert [event.action for event in events] == ["step"] * 3 + ["commit"]
    assert len([thought for thought in result.graph.finals if not enacted(thought)]) == 6, "so many could have happened"
    assert outside.paid == ["Ann 5"]
    assert result.answer.startswith('pay({"whom": "Ann"})\n(done)')
    assert result.reason == "answered"
    assert not result.notes


def test_a_policy_alone_leaves_them_pending_and_says_so():
    outside = Outside()
    result, _ = run(acting(outside, "pay Ann"), MCTS(simulations=3))
    assert outside.paid == []
    assert "not done yet: it happens if this branch is chosen" in result.answer


def test_a_branch_that_was_chosen_without_effects_is_answered_as_it_is():
    outside = Outside()
    result, events = run(acting(outside, "= 7"), Commit(CoT(action="step")))
    assert [event.action for event in events] == ["step"]
    assert result.graph.path(result.thought)[-1].content["answer"] == "7"  # pyright: ignore[reportArgumentType]


def test_a_policy_without_an_answer_commits_to_nothing():
    outside = Outside()
    result, events = run(acting(outside, "look"), Commit(CoT(action="step", steps=2)))
    assert (result.answer, outside.paid) == (None, [])
    assert {event.action for event in events} == {"step"}


def test_resumed_from_every_prefix_of_events_and_journal_an_effect_happens_at_most_once():
    """What an effect did is in the journal before its event is: such prefixes are what kills leave."""
    outside, store = Outside(), MemoryStore()
    task, policy = acting(outside, "pay Ann", "add 1"), Commit(ToT(breadth=2, steps=2))
    whole, _ = run(task, policy, store)
    assert outside.paid == ["Ann 4"]
    events, records = store.events(RUN), store.records(RUN)
    begun = next(place for place, record in enumerate(records) if record.kind == "begun")
    tried = 0
    for length in range(1, len(events) + 1):
        known = {event.key if event.action == "step" else "" for event in events[:length] if event.kind == "expanded"}
        least = max((place + 1 for place, r in enumerate(records) if getattr(r, "key", None) in known), default=0)
        for kept in range(least, len(records) + 1):
            outside.paid.clear()
            result, _ = run(task, policy, prefix(events[:length], records[:kept]))
            assert outside.paid == ([] if kept > begun else ["Ann 4"])
            assert bool(result.notes) == (kept == begun + 1)
            assert result.notes or result.answer == whole.answer
            tried += 1
    assert tried > 20


def test_an_effect_of_which_nobody_knows_is_told_by_a_note_and_by_the_answer():
    outside, store = Outside(), MemoryStore()
    task, policy = acting(outside, "pay Ann"), Commit(CoT(action="step"))
    run(task, policy, store)
    begun = next(place for place, record in enumerate(store.records(RUN)) if record.kind == "begun")
    left = prefix(store.events(RUN)[:2], store.records(RUN)[: begun + 1])
    result, _ = run(task, policy, left)
    (note,) = result.notes
    assert note.about == "pay unsure"
    assert "whether it happened is not known" in note.text
    assert "whether it happened is not known" in result.answer
    assert outside.paid == ["Ann 3"]


def test_an_effect_that_failed_is_told_by_a_note_and_by_the_answer():
    outside = Outside()
    result, _ = run(acting(outside, "pay nobody"), Commit(CoT(action="step")))
    assert [note.about for note in result.notes] == ["pay failed"]
    assert "(failed)" in result.answer
    assert outside.paid == ["nobody 3"]


class Flaky:
    """A world that breaks the first few times that somebody comes back to a state."""

    def __init__(self, outside: Outside, breaks: int) -> None:
        self.outside, self._left = outside, [breaks]

    def __call__(self):
        abacus = self.outside()
        restore = abacus.restore  # pyright: ignore[reportAttributeAccessIssue]

        async def broken(snapshot) -> None:
            if self._left[0] > 0:
                self._left[0] -= 1
                raise ConnectionError("no line to the abacus")
            await restore(snapshot)

        abacus.restore = broken  # pyright: ignore[reportAttributeAccessIssue]
        return abacus


@pytest.mark.parametrize(("breaks", "paid"), [(1, ["Ann 4"]), (2, [])])
def test_an_environment_that_breaks_before_the_effect_is_tried_once_more(breaks: int, paid: list[str]):
    outside = Outside()
    task = acting(outside, "add 1")
    adding, paying = Act(outside, Plan(("add 1",))), Act(outside, Plan(("pay Ann",)))
    step = lambda state, n: (adding if len(state.path) == 1 else paying)(state, n)
    task = tg.Task(3, {"step": step, "commit": Enact(Flaky(outside, breaks))}, {"value": value}, name="abacus")
    engine = Engine(task, Commit(CoT(action="step")), store=MemoryStore(), run=RUN)
    if paid:
        result = finish(engine.start())
        assert result.outcomes == {"failed": 1}
        assert "(done)" in result.answer
    else:  # what was chosen did not happen, so it is no answer
        with pytest.raises(tg.RunFailed, match="no line to the abacus"):
            finish(engine.start())
    assert outside.paid == paid


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_budget_that_ends_before_the_commit_leaves_the_effect_undone_and_says_so(most: int):
    outside, store = Outside(), MemoryStore()
    task, policy = acting(outside, "pay Ann", "add 1"), Commit(ToT(breadth=2, steps=3))
    result, _ = run(task, policy, store, budget=tg.Budget(expansions=most))
    assert result.reason == "budget"
    assert outside.paid == []
    assert "not done yet" in result.answer
    again, _ = run(task, policy, store)
    assert "(done)" in again.answer
    assert len(outside.paid) == 1


def test_once_it_happened_it_is_the_answer_whenever_somebody_asks():
    outside = Outside()
    task, policy = acting(outside, "pay Ann", "add 1"), Commit(ToT(breadth=2, steps=2))
    engine = Engine(task, policy, store=MemoryStore(), run=RUN)
    result = finish(engine.start())
    assert engine.best() == result.thought
    assert [effect["status"] for effect in enacted(result.thought)] == ["done"]  # pyright: ignore[reportArgumentType]


def test_an_action_that_enacts_nothing_is_an_error():
    task = tg.Task(3, {"step": Act(Outside(), Plan(("pay Ann",)))}, {"value": value})
    with pytest.raises(tg.TaskError, match=r"expected one such as generators.Enact\(world\)"):
        run(task, Commit(MCTS(simulations=1)))


def test_what_it_asks_for_is_known_before_anything_is_spent():
    asked = [roles(one) for one in family(Commit(BestOfN(action="step", critic="vote")))]
    assert asked == [(("commit",), ()), (("step",), ("vote",))]
    actions = {"step": lambda state, n: [], "reason": lambda state, n: []}
    with pytest.raises(tg.TaskError, match="no action 'commit'"):
        run(tg.Task(3, actions, {"value": value}), Commit(DFS()))


def test_a_policy_within_that_compares_values_of_different_sets_cannot_go_by_comparisons():
    compared = type("Compared", (), {"comparative": True, "__call__": lambda self, states: []})()
    task = tg.Task(3, acting(Outside()).actions, {"value": compared})  # pyright: ignore[reportArgumentType]
    with pytest.raises(tg.TaskError, match="only compares within one"):
        run(task, Commit(MCTS()))


@dataclass(frozen=True)
class Bare:
    """A policy of somebody's own, with an answer of its own."""

    async def __call__(self, search: tg.Search) -> tg.Thought | None:
        (thought,) = await search.expand(search.root)
        return thought

    def answer(self, search: tg.Search) -> tg.Thought | None:
        return list(search.graph)[-1]


def test_the_best_so_far_is_the_policys_own_word():
    search = tg.Search(tg.Task("x", {"step": lambda state, n: []}), tg.ThoughtGraph(tg.Thought("root", (), "", None)))
    assert Commit(Bare()).answer(search) is search.root
    assert Commit(CoT()).answer(search) is None


def test_what_was_committed_within_is_not_committed_again():
    outside = Outside()
    result, expansions = run(acting(outside, "pay Ann"), Commit(Commit(ToT(breadth=1, steps=1))))
    assert outside.paid == ["Ann 3"]
    assert result.thought is not None
    assert enacted(result.thought)
    assert [event.action for event in expansions] == ["step", "commit"]
