"""Folders into knowledge: what is new is filed, what is unchanged costs nothing, what cannot be read is told."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.indexing import Item, Summary, aindex, index
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.vectoring import embedder_of

LONG_AGO = time.time() - 1000


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with three files that can be read, long there."""
    folder = tmp_path / "notes"
    (folder / "2024").mkdir(parents=True)
    (folder / "a.md").write_text("# Ada\n\nShe wrote a program.\n")
    (folder / "b.txt").write_text("Babbage built an engine.\n")
    (folder / "2024" / "c.py").write_text("def c():\n    return 1\n")
    for file in folder.rglob("*.*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    with Knowledge(tmp_path / "k.db") as known:
        yield known


def said(found: Summary) -> dict[str, str]:
    return {item.name: item.outcome for item in found.items}


def reasons(found: Summary) -> dict[str, str]:
    return {item.name: item.reason for item in found.items if item.reason}


def names(knowledge: Knowledge) -> list[str]:
    return sorted(entry.name for entry in knowledge.documents())


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written in this test count as old."""
    monkeypatch.setattr("thoughtgraph.retrieval.indexing.FRESH", -(10**18))


def test_a_folder_is_filed_by_names_from_it_on_in_their_order(notes: Path, knowledge: Knowledge):
    found = index(knowledge, notes)
    assert [item.name for item in found.items] == ["notes/2024/c.py", "notes/a.md", "notes/b.txt"]
    assert {item.outcome for item in found.items} == {"added"}
    assert found.passages == 3
    assert knowledge.passages("notes/a.md")[0].section == "Ada"


def test_a_file_is_named_by_itself(notes: Path, knowledge: Knowledge):
    assert said(index(knowledge, [notes / "a.md"])) == {"a.md": "added"}
    assert said(index(knowledge, [notes])) == {"notes/2024/c.py": "added", "a.md": "unchanged", "notes/b.txt": "added"}


def test_what_is_unchanged_is_not_even_opened(notes: Path, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch):
    settled(monkeypatch)
    index(knowledge, notes)
    monkeypatch.setattr("thoughtgraph.retrieval.indexing.bytes_of", None)
    assert set(said(index(knowledge, notes)).values()) == {"unchanged"}


def test_a_change_that_keeps_size_and_date_is_seen(notes: Path, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch):
    settled(monkeypatch)
    index(knowledge, notes)
    (notes / "b.txt").write_text("Babbage built an organ.!\n")
    os.utime(notes / "b.txt", (LONG_AGO, LONG_AGO))
    assert said(index(knowledge, notes))["notes/b.txt"] == "changed"
    assert "organ" in knowledge.passages("notes/b.txt")[0].text


def test_a_file_that_was_touched_is_unchanged(notes: Path, knowledge: Knowledge):
    index(knowledge, notes)
    os.utime(notes / "b.txt")
    assert said(index(knowledge, notes))["notes/b.txt"] == "unchanged"


def test_what_was_written_a_moment_ago_is_looked_at_again(notes: Path, knowledge: Knowledge):
    (notes / "b.txt").write_text("one")
    index(knowledge, notes)
    assert {entry.name: entry.meta["stamp"] for entry in knowledge.documents()}["notes/b.txt"] is None


def test_unchanged_files_cost_no_embedding(notes: Path, tmp_path: Path):
    seen = list[str]()

    def vectors(texts: Sequence[str]) -> list[list[float]]:
        seen.extend(texts)
        return [[1.0, float(len(text))] for text in texts]

    with Knowledge(tmp_path / "v.db", embedder(vectors, name="local:length", dimension=2)) as known:
        index(known, notes)
        asked = len(seen)
        assert asked >= 3
        assert set(said(index(known, notes)).values()) == {"unchanged"}
        assert len(seen) == asked


def test_a_file_of_knowledge_without_vectors_gets_them_when_there_is_an_embedder(notes: Path, tmp_path: Path):
    with Knowledge(tmp_path / "v.db") as known:
        index(known, notes)
    made = embedder(lambda texts: [[1.0, float(len(text))] for text in texts], name="local:length", dimension=2)
    with Knowledge(tmp_path / "v.db", made) as known:
        (notes / "d.txt").write_text("new")
        assert said(index(known, notes))["notes/d.txt"] == "added"
        assert embedder_of(known.index) == (asyncio.run(known.identity()), True)


# -- labels ----------------------------------------------------------------------------------------------------------


def labels_of(knowledge: Knowledge) -> set[Labels]:
    return {entry.labels for entry in knowledge.documents()}


def test_labels_hold_for_all_and_stay_where_none_are_given(notes: Path, knowledge: Knowledge):
    ada = Labels(("ada",), ("local:*",))
    index(knowledge, notes, labels=ada)
    (notes / "b.txt").write_text("changed")
    index(knowledge, notes)
    assert labels_of(knowledge) == {ada}


def test_new_labels_reach_files_that_are_unchanged(notes: Path, knowledge: Knowledge):
    index(knowledge, notes)
    found = index(knowledge, notes, labels=Labels(("ada",)))
    assert set(said(found).values()) == {"changed"}
    assert found.passages == 0
    assert labels_of(knowledge) == {Labels(("ada",))}


def test_labels_can_be_made_of_those_that_a_document_has(notes: Path, knowledge: Knowledge):
    index(knowledge, notes / "a.md", labels=Labels(("ada",), ("local:*",)))
    index(knowledge, [notes / "a.md", notes / "b.txt"], labels=lambda had: Labels(had.readers, had.models, train=True))
    assert labels_of(knowledge) == {Labels(("ada",), ("local:*",), train=True), Labels(train=True)}


# -- what cannot be read ---------------------------------------------------------------------------------------------


def test_what_cannot_be_read_says_why_and_the_rest_goes_on(notes: Path, knowledge: Knowledge):
    (notes / "binary").write_bytes(bytes(range(256)))
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (notes / "empty.md").touch()
    (notes / "latin.txt").write_bytes(b"caf\xe9")
    with (notes / "huge.txt").open("wb") as file:
        file.truncate(2 << 30)
    found = index(knowledge, [notes, notes / "none"])
    assert found.counts == {"added": 3, "failed": 6}
    why = {item.name: item.reason for item in found.failed}
    for name, word in {
        "notes/binary": "binary", "notes/broken.pdf": "broken PDF", "notes/empty.md": "empty",
        "notes/latin.txt": "byte 0xe9 at 3", "notes/huge.txt": "too large", "none": "not there",
    }.items():  # fmt: skip
        assert word in why[name]
    assert names(knowledge) == ["notes/2024/c.py", "notes/a.md", "notes/b.txt"]
    assert "failed notes/empty.md: it is empty" in str(found)
    assert found.to_json()["failed"] == 6


def test_what_is_broken_now_keeps_its_earlier_version(notes: Path, knowledge: Knowledge):
    index(knowledge, notes)
    (notes / "b.txt").write_bytes(b"\xff\xfe\x00")
    found = index(knowledge, notes)
    assert found.failed[0].reason.endswith("its earlier version stays")
    assert knowledge.passages("notes/b.txt")[0].text == "Babbage built an engine.\n"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(notes: Path, knowledge: Knowledge):
    (notes / "a.md").chmod(0)
    (notes / "2024").chmod(0)
    found = index(knowledge, notes)
    (notes / "2024").chmod(0o700)
    assert [item.name for item in found.failed] == ["notes/2024", "notes/a.md"]
    assert "may not be read" in found.failed[0].reason


def test_a_file_that_vanishes_meanwhile_is_told(notes: Path, knowledge: Knowledge):
    def steal(item: Item, done: int, of: int) -> None:
        (notes / "b.txt").unlink(missing_ok=True)

    found = index(knowledge, notes, progress=steal)
    assert [(item.name, item.outcome) for item in found.items][-1] == ("notes/b.txt", "failed")
    assert "vanished" in found.failed[0].reason


def test_links_in_circles_end_and_links_that_lead_outside_are_not_followed(
    notes: Path, knowledge: Knowledge, tmp_path: Path
):
    (tmp_path / "secret.txt").write_text("secret")
    for name, target in {
        "2024/up": "..", "self": "self", "to": "fro", "fro": "to", "out": "../secret.txt", "nothing": "gone",
        "twin": "a.md", "others": str(tmp_path),
    }.items():  # fmt: skip
        (notes / name).symlink_to(target)
    found = index(knowledge, notes)
    assert found.counts == {"added": 3, "skipped": 8}
    why = reasons(found)
    assert "circle" in why["notes/2024/up"]
    assert "circle" in why["notes/self"]
    assert "circle" in why["notes/others"]
    assert "outside" in why["notes/out"]
    assert "link to nothing" in why["notes/nothing"]
    assert why["notes/twin"] == "it is a link to notes/a.md, which stands for itself"


def test_a_link_that_is_given_is_followed(notes: Path, knowledge: Knowledge, tmp_path: Path):
    (tmp_path / "link").symlink_to("notes")
    assert "notes/a.md" in said(index(knowledge, tmp_path / "link"))


def test_what_is_hidden_or_a_programs_own_is_left_alone_and_told(notes: Path):
    for name in (".git/HEAD", "2024/.env", "CVS/Root", "node_modules/x.js"):
        (notes / name).parent.mkdir(exist_ok=True)
        (notes / name).write_text("secret")
    with Knowledge(notes / "k.db") as known:
        found = index(known, notes)
        skipped = {item.name for item in found.items if item.outcome == "skipped"}
        assert skipped >= {"notes/.git", "notes/2024/.env", "notes/CVS", "notes/node_modules", "notes/k.db"}
        assert found.counts["failed"] == 0
        assert len(names(known)) == 3


def test_names_that_are_no_text_are_told_and_kept_harmless(notes: Path, knowledge: Knowledge):
    odd = os.fsencode(notes) + b"/\x1b[2J\xff\nx.txt"
    try:
        Path(os.fsdecode(odd)).write_text("odd name")
    except OSError:
        pytest.skip("this disk allows no such name")
    assert index(knowledge, notes).counts == {"added": 4}
    assert "notes/\ufffd[2J\ufffd\ufffdx.txt" in names(knowledge)
    assert index(knowledge, notes, remove_missing=True).counts == {"unchanged": 4}


def test_two_files_of_one_name_do_not_overwrite_each_other(notes: Path, knowledge: Knowledge, tmp_path: Path):
    other = tmp_path / "elsewhere" / "notes"
    shutil.copytree(notes, other)
    (other / "a.md").write_text("another")
    found = index(knowledge, [notes, other])
    assert found.counts == {"added": 3, "failed": 3}
    again = index(knowledge, other)
    assert again.counts == {"failed": 3}
    assert "has that name already" in again.failed[0].reason
    assert "program" in knowledge.passages("notes/a.md")[0].text


def test_a_folder_that_was_moved_keeps_its_documents(notes: Path, knowledge: Knowledge, tmp_path: Path):
    index(knowledge, notes)
    (tmp_path / "new").mkdir()
    notes.rename(tmp_path / "new" / "notes")
    assert index(knowledge, tmp_path / "new" / "notes").counts == {"unchanged": 3}


def test_a_document_that_came_from_no_file_is_not_overwritten_by_one(notes: Path, knowledge: Knowledge):
    knowledge.add("by hand", name="notes/a.md")
    found = index(knowledge, notes)
    assert "came from no file" in reasons(found)["notes/a.md"]
    assert knowledge.passages("notes/a.md")[0].text == "by hand"


def test_a_file_that_is_given_twice_is_read_once(notes: Path, knowledge: Knowledge):
    assert index(knowledge, [notes, notes / "a.md", notes]).counts == {"added": 3, "skipped": 4}


# -- what is gone ----------------------------------------------------------------------------------------------------


def test_documents_whose_files_are_gone_go_only_when_asked_and_only_from_there(
    notes: Path, knowledge: Knowledge, tmp_path: Path
):
    (tmp_path / "other.txt").write_text("other")
    knowledge.add("by hand", name="notes/by-hand")
    index(knowledge, [notes, tmp_path / "other.txt"])
    shutil.rmtree(notes / "2024")
    (tmp_path / "other.txt").unlink()
    assert index(knowledge, notes).counts == {"unchanged": 2}
    found = index(knowledge, notes, remove_missing=True)
    assert said(found) == {"notes/a.md": "unchanged", "notes/b.txt": "unchanged", "notes/2024/c.py": "removed"}
    assert names(knowledge) == ["notes/a.md", "notes/b.txt", "notes/by-hand", "other.txt"]


def test_a_file_that_became_a_folder_is_gone(notes: Path, knowledge: Knowledge):
    index(knowledge, notes)
    (notes / "b.txt").unlink()
    (notes / "b.txt").mkdir()
    assert said(index(knowledge, notes, remove_missing=True))["notes/b.txt"] == "removed"


def test_a_folder_that_is_not_there_at_all_removes_nothing(notes: Path, knowledge: Knowledge):
    index(knowledge, notes)
    shutil.rmtree(notes)
    assert index(knowledge, notes, remove_missing=True).counts == {"failed": 1}
    assert len(names(knowledge)) == 3


def test_a_folder_that_holds_no_file_any_more_removes_nothing_and_says_so(
    notes: Path, knowledge: Knowledge, tmp_path: Path
):
    index(knowledge, notes)
    shutil.rmtree(notes)
    (notes / "2024").mkdir(parents=True)
    for given in (notes, [notes, tmp_path]):
        found = index(knowledge, given, remove_missing=True)
        (failed,) = found.failed
        assert (failed.name, failed.path) == ("notes", str(notes.resolve()))
        assert "none of its documents is removed (3): is it mounted?" in failed.reason
        assert found.counts["removed"] == 0
        assert len(names(knowledge)) == 3
    (notes / "b.txt").write_text("B, again.")
    assert index(knowledge, notes, remove_missing=True).counts["removed"] == 2


def test_an_empty_folder_of_which_nothing_is_known_is_no_failure(notes: Path, knowledge: Knowledge, tmp_path: Path):
    index(knowledge, notes)
    (tmp_path / "empty").mkdir()
    assert index(knowledge, tmp_path / "empty", remove_missing=True).counts == {}


def test_one_passage_is_one(knowledge: Knowledge, tmp_path: Path):
    (tmp_path / "one.txt").write_text("One.")
    assert str(index(knowledge, tmp_path / "one.txt")).endswith("; 1 passage written")


# -- and the rest ----------------------------------------------------------------------------------------------------


def test_progress_tells_each_item_and_how_many_there_are(notes: Path, knowledge: Knowledge):
    told = list[tuple[str, int, int]]()
    index(knowledge, notes, progress=lambda item, done, of: told.append((item.name, done, of)))
    assert told == [("notes/2024/c.py", 1, 3), ("notes/a.md", 2, 3), ("notes/b.txt", 3, 3)]


def test_settings_that_cannot_be_are_refused_before_anything_is_read(notes: Path, knowledge: Knowledge):
    with pytest.raises(TaskError, match="no encoding 'klingon'"):
        index(knowledge, notes, encoding="klingon")
    with pytest.raises(ValueError, match="largest"):
        index(knowledge, notes, largest=0)
    assert names(knowledge) == []


def test_another_encoding_reads_the_files_anew(notes: Path, knowledge: Knowledge):
    (notes / "latin.txt").write_bytes(b"caf\xe9")
    assert index(knowledge, notes, encoding="latin-1").counts == {"added": 4}
    assert knowledge.passages("notes/latin.txt")[0].text == "café"


async def test_it_can_be_awaited(notes: Path, knowledge: Knowledge):
    assert (await aindex(knowledge, notes)).counts == {"added": 3}
