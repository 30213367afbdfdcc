"""Reading as somebody: what is forbidden does not exist, and what is filtered out is not looked at."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reader import Reader


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    with Knowledge(tmp_path / "notes.db") as knowledge:
        knowledge.add("The owner's gull.", name="owner", meta={"year": 2020})
        knowledge.add("Ada's gull.", name="ada", labels=Labels(("ada",)), meta={"year": 2021})
        knowledge.add("The ward's gull.", name="ward", labels=Labels(("ward", "doctors")), meta={"year": 2021})
        knowledge.add("Anybody's gull.", name="open", labels=Labels(("*",)), meta={"tags": ["a", "b"]})
        knowledge.add("Local gull.", name="local", labels=Labels(("*",), ("local:*",)))
        knowledge.add("Nobody's gull.", name="nobody", labels=Labels(()))
        yield knowledge


def seen(reader: Reader) -> list[str]:
    return [entry.name for entry in reader.documents()]


def texts(reader: Reader) -> list[str]:
    return [passage.text for passage in reader.passages(reader.visible().positions)]


@pytest.mark.parametrize(
    ("principal", "names"),
    [
        ("owner", ["owner", "open", "local"]),
        ("ada", ["ada", "open", "local"]),
        (("ada", "ward"), ["ada", "ward", "open", "local"]),
        (["doctors"], ["ward", "open", "local"]),
        ("stranger", ["open", "local"]),
        ("Ada", ["open", "local"]),
    ],
)
def test_a_principal_sees_what_names_it_or_one_of_its_groups(knowledge, principal, names):
    reader = knowledge.reader(principal)
    assert seen(reader) == names
    assert {p.document for p in reader.passages(reader.visible().positions)} == set(names)
    assert len(reader.visible()) == len(names) == reader.visible().mask.sum()


def test_what_one_of_the_runs_models_may_not_see_does_not_exist_in_the_run(knowledge):
    assert seen(knowledge.reader("ada", models="local:llama")) == ["ada", "open", "local"]
    assert seen(knowledge.reader("ada", models=("local:llama", "openai:gpt-5"))) == ["ada", "open"]


@pytest.mark.parametrize("principal", ["", (), "*", ("ada", "*"), 7, (7,)])
def test_a_principal_is_somebody(knowledge, principal):
    with pytest.raises((TaskError, TypeError)):
        knowledge.reader(principal)


def test_passages_that_are_asked_for_all_the_same_do_not_come(knowledge):
    rows = knowledge.index.rows()
    everything = range(len(rows))
    assert [p.document for p in knowledge.reader("ada").passages(everything, rows)] == ["ada", "open", "local"]


def test_who_may_see_a_passage_is_decided_when_it_is_fetched(knowledge):
    reader = knowledge.reader("ada")
    visible = reader.visible()
    knowledge.relabel("ada", Labels(("bob",)))
    knowledge.delete("open")
    assert [p.document for p in reader.passages(visible.positions, visible.rows)] == ["local"]


def test_passages_come_in_the_order_that_was_asked_for_with_their_labels(knowledge):
    reader = knowledge.reader("ada")
    found = reader.passages(reader.visible().positions[::-1])
    assert [p.document for p in found] == ["local", "open", "ada"]
    assert found[2].labels == Labels(("ada",))


def test_a_reader_sees_what_is_added_relabelled_and_deleted_later(knowledge):
    reader = knowledge.reader("bob")
    assert seen(reader) == ["open", "local"]
    knowledge.add("Bob's.", name="bob", labels=Labels(("bob",)))
    knowledge.relabel("nobody", Labels(("bob",)))
    knowledge.delete("open")
    assert seen(reader) == ["local", "nobody", "bob"]


def test_a_view_is_made_once_until_something_is_written(knowledge):
    assert knowledge.reader("ada").visible() is knowledge.reader(("ada", "ada")).visible()
    assert knowledge.reader("ada").visible() is not knowledge.reader("bob").visible()
    before = knowledge.reader("ada").visible()
    knowledge.add("New.", name="new")
    assert knowledge.reader("ada").visible() is not before


def test_nobody_can_write_to_a_view(knowledge):
    visible = knowledge.reader("ada").visible()
    for array in (visible.mask, visible.positions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_readers_of_one_view_are_equal_and_can_be_kept_in_sets(knowledge):
    assert knowledge.reader("ada") == knowledge.reader(["ada"])
    assert len({knowledge.reader("ada"), knowledge.reader(["ada"]), knowledge.reader("bob")}) == 2


def test_a_search_finds_what_its_principal_may_see(knowledge):
    found = asyncio.run(knowledge.reader("ada")("gull", 10))
    assert {p.document for p in found} == {"ada", "open", "local"}
    assert {p.document for p in asyncio.run(knowledge("gull", 10))} == {"owner", "open", "local"}


def test_scores_and_counts_are_those_of_a_file_without_what_is_forbidden(knowledge, tmp_path):
    with Knowledge(tmp_path / "alone.db") as alone:
        for entry in knowledge.reader("ada").documents():
            (passage,) = knowledge.passages(entry.name)
            alone.add(passage.text, name=entry.name, labels=entry.labels)
        for query in ("gull", "ada's gull", "nobody", "ward's"):
            one, other = (asyncio.run(k.reader("ada")(query, 10)) for k in (knowledge, alone))
            assert [p.id for p in one] == [p.id for p in other]


# -- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({"year": 2021}, ["ada"]),
        ({"year": 2021.0}, ["ada"]),
        ({"year": "2021"}, []),
        ({"year": [2020, 2021]}, ["ada"]),
        ({"year": True}, []),
        ({"tags": "a"}, ["open"]),
        ({"tags": ["b", "z"]}, ["open"]),
        ({"tags": []}, []),
        ({"nothing": None}, []),
        ({"document": "ada"}, ["ada"]),
        ({"document": ["ada", "ward", "open"]}, ["ada", "open"]),
        ({"kind": "text", "year": 2021}, ["ada"]),
        ({"kind": "html"}, []),
        ({}, ["ada", "open", "local"]),
        (None, ["ada", "open", "local"]),
    ],
)
def test_metadata_narrows_what_is_visible_and_never_widens_it(knowledge, where, names):
    assert seen(knowledge.reader("ada", where=where)) == names


def test_a_folder_of_documents_and_the_headings_they_stand_under(tmp_path):
    text = "Intro. Table. Other. "
    sections = (Section(0, 7, ("Results",)), Section(7, 14, ("Results", "Table 2")), Section(14, 21, ("Resultsets",)))
    with Knowledge(tmp_path / "notes.db") as knowledge:
        knowledge.add([Document(name, text, sections=sections) for name in ("a/b/one", "a/two", "ab/three")])
        assert seen(knowledge.reader(where={"document": "a/"})) == ["a/b/one", "a/two"]
        assert seen(knowledge.reader(where={"document": "a"})) == []
        one = {"document": "a/two"}
        assert texts(knowledge.reader(where={**one, "section": "Results"})) == ["Intro. ", "Table. "]
        assert texts(knowledge.reader(where={**one, "section": "Results / Table 2"})) == ["Table. "]
        assert texts(knowledge.reader(where={**one, "section": ["Resultsets", "No"]})) == ["Other. "]
        (entry,) = knowledge.reader(where={**one, "section": "Results"}).documents()
        assert entry.passages == 2


def test_a_filter_is_data_and_can_be_of_any_words(knowledge):
    assert seen(knowledge.reader("ada", where={"'; DROP TABLE documents; --": "\ud83d"})) == []
    with pytest.raises(TaskError, match="where is"):
        knowledge.reader("ada", where=["year"])
    with pytest.raises(TaskError, match="where"):
        knowledge.reader("ada", where={"year": object()})


def test_a_filter_is_not_changed_by_changing_what_it_was_made_of(knowledge):
    years = [2021]
    reader = knowledge.reader("ada", where={"year": years})
    years.append(2020)
    assert reader.where == {"year": [2021]}
