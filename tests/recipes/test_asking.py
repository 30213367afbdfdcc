"""Asking private knowledge: an answer with its passages, for whom it is for, by models that may see them."""

import re
from contextlib import closing

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import StoreError, TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.recipes.asking import BUDGET, aask, ask
from thoughtgraph.retrieval import BM25, Knowledge
from thoughtgraph.tasks.open_book import UNKNOWN

QUESTION = "In which town was the head of Orion born?"


def reads(prompt: str, draw: int = 0) -> str:
    """A reader that looks for two facts, and says what it finds."""
    head = re.search(r"Ada Byron is the head of Orion", prompt)
    born = re.search(r"Ada Byron was born in (\w+)", prompt)
    if "from 0 (they do not help" in prompt:
        return "10" if head and born else "4" if head or born else "0"
    if "must be looked up next" in prompt:
        return "Ada Byron born" if head else "head of Orion"
    if "Answer the question" in prompt:
        return f"She was born in {born[1]} [1].\nAnswer: {born[1]}" if head and born else f"Answer: {UNKNOWN}"
    notes = prompt.rsplit("So far:", maxsplit=1)[-1] if "So far:" in prompt else ""
    if born and born[0] not in notes:
        return f"{born[0]} [1]."
    return "Ada Byron is the head of Orion [1]." if head and "head of Orion" not in notes else "Nothing new."


@pytest.fixture
def path(tmp_path):
    with Knowledge(tmp_path / "notes.db") as knowledge:
        knowledge.add("Ada Byron is the head of Orion.", name="orion.md")
        knowledge.add("Ada Byron was born in Ely.", name="people.md", labels=Labels(("owner", "ada")))
        knowledge.add("The canteen of Orion opens at noon.", name="canteen.md", labels=Labels(("owner", "ada")))
    return tmp_path / "notes.db"


def test_a_question_is_answered_with_its_passages(path):
    result = ask(QUESTION, knowledge=path, model=Scripted(reads))
    assert result.answer == "Ely"
    assert {source.passage.document for source in result.sources} >= {"orion.md", "people.md"}
    assert all(source.path[-1] == result.thought for source in result.sources)


def test_what_the_principal_may_not_read_is_not_in_the_knowledge(path):
    model = Scripted(reads)
    result = ask(QUESTION, knowledge=path, model=model, principal="ada")
    assert result.answer == UNKNOWN
    assert not any("head of Orion." in request.messages[-1].content for request in model.seen)


def test_what_a_model_of_the_run_may_not_see_is_not_looked_up(path):
    with Knowledge(path) as knowledge:
        knowledge.relabel("people.md", Labels(models=("openai:*",)))
    model = Scripted(reads)
    result = ask(QUESTION, knowledge=path, model=model)
    assert result.answer == UNKNOWN
    assert not any("born in Ely" in request.messages[-1].content for request in model.seen)
    assert result.outcomes["failed"] == 0


def test_metadata_narrows_the_search(path):
    assert ask(QUESTION, knowledge=path, model=Scripted(reads), where={"document": "people.md"}).answer == UNKNOWN


async def test_the_same_in_code_that_is_async_already(path):
    assert (await aask(QUESTION, knowledge=path, model=Scripted(reads))).answer == "Ely"


@pytest.mark.parametrize("made", [lambda k: k, lambda k: k.reader(), lambda k: BM25(k.reader())])
def test_the_knowledge_may_be_open_already_or_any_retriever(path, made):
    with Knowledge(path) as knowledge:
        assert ask(QUESTION, knowledge=made(knowledge), model=Scripted(reads)).answer == "Ely"
        assert knowledge.documents()  # and stays open


@pytest.mark.parametrize("policy", ["rag(passages=6)", "ircot"])
def test_other_policies_ask_as_well(path, policy):
    assert ask(QUESTION, knowledge=path, model=Scripted(reads), policy=policy).answer in ("Ely", UNKNOWN)


def test_the_default_budget_is_told(path, capsys):
    assert ask(QUESTION, knowledge=path, model=Scripted(reads)).budget == BUDGET
    assert "at most 40 calls" in capsys.readouterr().err


def test_a_run_that_was_cut_short_goes_on_and_pays_nothing_twice(path, tmp_path):
    with closing(tg.SQLiteStore(tmp_path / "runs.db")) as store:
        model = Scripted(reads)
        first = ask(QUESTION, knowledge=path, model=model, store=store, budget=tg.Budget(calls=2))
        assert first.reason == "budget"
        with pytest.raises(TaskError, match="--resume"):
            tg.resume(first.run, store=store, model=model)
        again = ask(QUESTION, knowledge=path, model=model, store=store, run=first.run, budget=tg.Budget(calls=40))
        assert again.answer == "Ely"
        assert again.run == first.run
        assert len(model.seen) == again.usage.requests


@pytest.mark.parametrize("now", [Labels(models=("openai:*",)), Labels(("surgery",)), None])
def test_a_run_does_not_go_on_with_what_may_not_be_seen_any_more(path, tmp_path, now):
    with closing(tg.SQLiteStore(tmp_path / "runs.db")) as store:
        model = Scripted(reads)
        first = ask(QUESTION, knowledge=path, model=model, store=store, budget=tg.Budget(calls=2))
        before = len(model.seen)
        with Knowledge(path) as knowledge:
            knowledge.relabel("orion.md", now) if now else knowledge.delete("orion.md")
        with pytest.raises(tg.Forbidden, match="may not see any more: ask the question anew"):
            ask(QUESTION, knowledge=path, model=model, store=store, run=first.run, budget=tg.Budget(calls=40))
        assert len(model.seen) == before


def test_what_the_models_keep_from_the_search_is_told_to_who_may_read_it(path, capsys):
    with Knowledge(path) as knowledge:
        knowledge.relabel("people.md", Labels(models=("openai:*",)))
    ask(QUESTION, knowledge=path, model=Scripted(reads))
    assert "1 of 3 documents that owner may read may not be shown to local:scripted" in capsys.readouterr().err
    ask(QUESTION, knowledge=path, model=Scripted(reads), principal="ada")
    assert "may not be shown" not in capsys.readouterr().err


def test_going_on_needs_the_same_view(path, tmp_path):
    with closing(tg.SQLiteStore(tmp_path / "runs.db")) as store:
        first = ask(QUESTION, knowledge=path, model=Scripted(reads), store=store, budget=tg.Budget(calls=2))
        with pytest.raises(tg.ReplayMismatch):
            ask(QUESTION, knowledge=path, model=Scripted(reads), store=store, run=first.run, principal=("ada", "owner"))


def test_what_cannot_work_is_an_error_before_anything_is_spent(path, tmp_path):
    model = Scripted(reads)
    with pytest.raises(TaskError, match=r"there is no knowledge .*thoughtgraph index"):
        ask(QUESTION, knowledge=tmp_path / "nowhere.db", model=model)
    with pytest.raises(TaskError, match="principal= goes with a knowledge"), Knowledge(path) as knowledge:
        ask(QUESTION, knowledge=knowledge.reader(), principal="ada", model=model)
    with pytest.raises(TaskError, match="no store is named"):
        ask(QUESTION, knowledge=path, model=model, run="1")
    with pytest.raises(TypeError, match="ask has no argument 'polcy'"):
        ask(QUESTION, knowledge=path, model=model, polcy="rag")  # pyright: ignore[reportCallIssue]
    with pytest.raises(TaskError, match="the question is"):
        ask(" ", knowledge=path, model=model)
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(StoreError):
        ask(QUESTION, knowledge=tmp_path / "text.db", model=model)
    assert model.seen == []
    assert not (tmp_path / "nowhere.db").exists()
