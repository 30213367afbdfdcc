"""Rows of runs over private knowledge: they bear its labels, and what may not be trained on never is."""

# pyright: reportArgumentType=false

from contextlib import closing

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.forgetting import Lost, forget_runs
from thoughtgraph.labels import Labels
from thoughtgraph.learning.export import FORMS, export
from thoughtgraph.learning.grown import grown
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.rows import AnyRow, Outcome, Response, read_rows, sendable, spelt, write_rows
from thoughtgraph.learning.training import train_critic
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.thought import Passage

PUBLIC = Labels(("*",), ("*",), train=True)
CLINIC = Labels(("clinic",), ("local:*",), train=False)


def passage(document: str, labels: Labels | None) -> Passage:
    return Passage(f"what {document} says", document, f"{document}#0-9", "k", document, "v", labels=labels)


def task(*found: Passage, known: tuple[Passage, ...] = ()) -> tg.Task:
    async def library(query: str, k: int) -> list[Passage]:
        return list(found)

    def reason(state: tg.State, n: int) -> list[tg.Draft]:
        above = state.thought.text if state.path[1:] else "nothing"
        return [tg.Draft(f"right by {above}", done=True), tg.Draft(f"wrong by {above}", done=True)]

    return tg.Task("Who?", {"retrieve": Retrieve(library, 5), "reason": reason}, passages=known)


async def search_all(search) -> None:
    found = await search.expand(search.root, action="retrieve")
    for thought in [search.root, *found]:
        await search.expand(thought, action="reason", n=2, merge=False)


def searched(store, asked: tg.Task) -> str:
    return tg.solve(asked, policy=search_all, store=store, budget=tg.Budget()).run


def right(asked: tg.Task):
    return lambda claim: float(str(claim).startswith("right"))


def rows(*found: Passage, known: tuple[Passage, ...] = ()) -> dict[str, AnyRow]:
    """Rows by the text of their first response, of every kind."""
    store, asked = MemoryStore(), task(*found, known=known)
    searched(store, asked)
    made = rows_of(store, asked, evaluate=right, rollout=None)
    return {f"{row.kind} {(row.chosen if row.kind == 'preference' else row.response).text}": row for row in made}


def test_a_row_bears_the_labels_of_what_went_into_it_and_is_trained_on_only_if_all_allow_it():
    told = rows(passage("garden", PUBLIC), passage("ward", CLINIC))
    free = told["outcome right by nothing"]
    assert (free.labels, free.train) == ((), True)
    garden = told["outcome right by what garden says"]
    assert (garden.labels, garden.train) == ((spelt(PUBLIC),), True)
    ward = told["outcome right by what ward says"]
    assert (ward.labels, ward.train) == ((spelt(CLINIC),), False)


@pytest.mark.parametrize("kind", ["outcome", "steps", "preference"])
def test_rows_of_every_kind_bear_them(kind):
    told = rows(passage("ward", CLINIC))
    by = [row for name, row in told.items() if name.startswith(kind) and "ward" in name]
    assert by
    assert all(row.labels == (spelt(CLINIC),) and not row.train for row in by)


def test_the_tasks_own_passages_go_into_all_its_rows():
    told = rows(passage("garden", PUBLIC), known=(passage("ward", CLINIC),))
    assert told["outcome right by what garden says"].labels == tuple(sorted([spelt(CLINIC), spelt(PUBLIC)]))
    assert not any(row.train for row in told.values())


def test_what_the_caller_put_together_by_hand_is_their_own():
    told = rows(Passage("what somebody says"), passage("unlabelled", None))
    assert all(row.train and not row.labels for row in told.values())


def test_a_row_says_which_models_may_be_shown_it_also_after_it_was_in_a_file(tmp_path):
    told = list(rows(passage("garden", PUBLIC), passage("ward", CLINIC)).values())
    write_rows(tmp_path / "rows.jsonl", told)
    again = read_rows(tmp_path / "rows.jsonl")
    assert again == told
    shown = [row for row in again if sendable(row, "openai:gpt-5")]
    assert len(shown) < len(again)
    assert all(sendable(row, "local:small") for row in again)
    assert not any("ward" in str(row) for row in shown)


def test_words_of_your_own_are_labels_too_and_forbid_nothing():
    row = Outcome(question="q", response=Response(text="a"), value=1, labels=("hr", '{"readers": 1}'))
    assert sendable(row, "openai:gpt-5")


@pytest.mark.parametrize(
    "damaged",
    [
        '{"models": ["*"], "readers": ["a"]}',
        '{"models": [3], "readers": ["a"], "train": true}',
        '{"models": ["*"], "rea',
    ],
)
def test_labels_that_do_not_read_any_more_allow_nothing(damaged: str):
    row = Outcome(question="q", response=Response(text="a"), value=1, labels=(damaged,))
    assert not sendable(row, "local:small")
    assert not row.train


def test_a_row_with_labels_that_forbid_it_is_not_trained_on_whatever_it_says_itself():
    made = [
        Outcome(question="q", response=Response(text="a"), value=1, labels=(spelt(one),)) for one in (CLINIC, PUBLIC)
    ]
    assert [row.train for row in made] == [False, True]


def test_a_problem_that_is_a_passage_goes_into_all_its_rows():
    store = MemoryStore()
    asked = tg.Task(passage("ward", CLINIC).content, task().actions)
    searched(store, asked)
    assert {row.labels for row in rows_of(store, asked, evaluate=right, rollout=None)} == {(spelt(CLINIC),)}


@pytest.mark.parametrize("form", FORMS)
def test_no_export_holds_a_row_that_may_not_be_trained_on(tmp_path, form):
    told = list(rows(passage("garden", PUBLIC), passage("ward", CLINIC)).values())
    if form == "sft":
        told = [row for row in told if row.kind == "outcome"]
    done = export(told, tmp_path / "out.jsonl", form)
    assert done.left_out["may not be trained on"] == sum(not row.train for row in told) > 0
    assert "ward" not in (tmp_path / "out.jsonl").read_text()


def test_an_export_of_nothing_else_is_refused(tmp_path):
    told = [row for row in rows(passage("ward", CLINIC)).values() if "ward" in str(row)]
    with pytest.raises(TaskError, match="may not be trained on"):
        export(told, tmp_path / "out.jsonl", "kto")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_critic_learns_from_nothing_that_may_not_be_trained_on():
    told = [row for row in rows(passage("ward", CLINIC)).values() if "ward" in str(row)]
    with pytest.raises(TaskError, match="what is private is not learned from"):
        train_critic(told)


def test_a_run_of_which_something_was_forgotten_gives_no_rows(tmp_path):
    with closing(SQLiteStore(tmp_path / "runs.db")) as store:
        first, second = task(passage("garden", PUBLIC)), task(passage("ward", PUBLIC))
        searched(store, first)
        run = searched(store, second)
        before = len(rows_of(store, first, evaluate=right))
        assert forget_runs(store, Lost("ward", "k"), "2026-01-01") == [run]
        assert len(rows_of(store, first, evaluate=right)) == before / 2
        with pytest.raises(TaskError, match=f"something that run {run} rests on was forgotten"):
            rows_of(store, second, runs=[run], evaluate=right)
        with pytest.raises(TaskError, match="was forgotten"):
            grown(store, run, second, right(second))
