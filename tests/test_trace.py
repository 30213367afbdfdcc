"""Events and records as text, and the fold from events to a graph."""

import pytest

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.model import Reply
from thoughtgraph.testing import _events, _records
from thoughtgraph.thought import ROOT, Score, Thought
from thoughtgraph.trace import Expanded, Ledger, Resumed, Scored, Settled, Started, adapter, graph_of


def through_text(kind, thing):
    return adapter(kind).validate_json(adapter(kind).dump_json(thing))


def test_every_event_and_record_comes_back_from_its_text():
    for event in [*_events(), Resumed(Budget(usd=0.5), 1.5)]:
        assert through_text("event", event) == event
    for record in _records():
        assert through_text("record", record) == record


@pytest.mark.parametrize("text", ["", "\x00", "\N{DUCK} é \u2028", '"\\', "x" * 100_000])
def test_any_text_comes_back_from_its_text(text):
    event = Expanded("0.0", text, (ROOT,), 1, ("t",), (Thought("t", (ROOT,), text, {text: [text]}),), error=text)
    assert through_text("event", event) == event
    assert through_text("record", Settled(0, (Reply(text, text),), Usage(usd=None))) == Settled(
        0, (Reply(text, text),), Usage(usd=None)
    )


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "unknown"}', '{"kind": "scored"}', "[1]", '{"kind": "started"'])
def test_what_is_no_event_is_refused(text):
    with pytest.raises(ValueError, match="validation error"):
        adapter("event").validate_json(text)


START = Started("a", Thought(ROOT, (), "", None), "toy", "x", 0, {}, Budget())


def made(key, *ids, parents=(ROOT,), new=None, **more):
    thoughts = tuple(Thought(id, parents, "step", id, depth=1) for id in (ids if new is None else new))
    return Expanded(key, "step", parents, 9, ids, thoughts, **more)


def ids(events, key=None):
    return [thought.id for thought in graph_of(events, key)]


def test_what_was_found_again_becomes_an_edge():
    graph = graph_of(
        [START, made("0", "a", "b"), made("1", "c", parents=("a",)), made("2", "c", parents=("b",), new=())]
    )
    assert graph.edges == [(ROOT, "a"), (ROOT, "b"), ("a", "c"), ("b", "c")]


def test_what_was_cut_short_counts_until_another_version_follows():
    part = made("0", "a", partial=True)
    assert ids([START, part]) == [ROOT, "a"]
    assert ids([START, part, Resumed(Budget()), made("0", "a", "b")]) == [ROOT, "a", "b"]
    assert ids([START, part, Resumed(Budget()), made("0", "a", "b", partial=True)]) == [ROOT, "a", "b"]


def test_scores_that_were_cut_short_are_not_counted_twice():
    part = Scored("1", "v", ("a", "b"), (Score(1.0, critic="v"), Score(None, critic="v")), partial=True)
    whole = Scored("1", "v", ("a", "b"), (Score(1.0, critic="v"), Score(2.0, critic="v")))
    graph = graph_of([START, made("0", "a", "b"), part, Resumed(Budget()), whole])
    assert [score.value for score in graph.scores(graph["a"])] == [1.0]
    assert graph.value(graph["b"]) == 2.0


def test_orphans_count_like_everybody():
    assert ids([START, made("0", "a", orphan=True)]) == [ROOT, "a"]


def test_no_events_are_no_graph():
    with pytest.raises(ValueError, match="expected a Started"):
        graph_of([made("0", "a")])


def test_the_books_of_a_role_add_up():
    ledger = Ledger()
    ledger.book(Settled(0, (Reply("a"),), Usage(1, 1, 10, 20, 0.5), seconds=3.0))
    ledger.book(Settled(1, (), Usage(0, 1, 10, 100, 0.25), "timeout", lost=True, seconds=9.0))
    ledger.book(Settled(2, (Reply("b"),), Usage(1, 1, 1, 2, None), estimated=True, seconds=1.0))
    assert (ledger.calls, ledger.requests, ledger.prompt_tokens, ledger.completion_tokens) == (2, 3, 21, 122)
    assert ledger.usd is None
    assert (ledger.retries, ledger.lost, ledger.estimated) == ({"timeout": 1}, 1, 1)
    assert (ledger.latency(0.0), ledger.latency(1.0), Ledger().latency()) == (1.0, 3.0, None)
