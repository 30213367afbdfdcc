"""Knowledge: documents go in, change and go out again, and what has not changed is not paid for twice."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from thoughtgraph.errors import StoreError, TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.embedders import Embedder, embedder
from thoughtgraph.retrieval.index import Index
from thoughtgraph.retrieval.knowledge import Added, Knowledge

GULLS = "Gulls sleep in the port.\n\nThey wake at four.\n\nThen they shout."


class Counted:
    """Embeds by counting letters, and remembers what it was asked for."""

    def __init__(self, fail_after: int = 10**9) -> None:
        self.texts, self.fail_after = list[str](), fail_after

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        if len(self.texts) + len(texts) > self.fail_after:
            raise ConnectionError("the line is dead")
        self.texts += texts
        return [[1.0 + text.count("e"), float(text.count("a")), float(len(text))] for text in texts]

    def embedder(self, name: str = "local:letters", **settings: object) -> Embedder:
        return embedder(self, name=name, **{"dimension": 3, **settings})  # type: ignore[arg-type]

    @property
    def passages(self) -> list[str]:
        """What was embedded of documents: not the text by which embedders are told apart."""
        return [text for text in self.texts if "ship's cat" not in text]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    with Knowledge(tmp_path / "notes.db", size=6) as knowledge:
        yield knowledge


def sectioned(name: str, *parts: tuple[str, str], **known: object) -> Document:
    """A document of sections, each with a heading."""
    text, sections = "", list[Section]()
    for heading, part in parts:
        sections.append(Section(len(text), len(text) + len(part), (heading,)))
        text += part
    return Document(name, text, sections=tuple(sections), **known)  # type: ignore[arg-type]


def texts(knowledge: Knowledge, name: str) -> list[str]:
    return [passage.text for passage in knowledge.passages(name)]


def rows(knowledge: Knowledge, query: str) -> list[tuple[object, ...]]:
    return knowledge.index.read(query)


def generation(knowledge: Knowledge) -> int:
    return knowledge.index.rows().generation


# -- adding --------------------------------------------------------------------------------------------------------


def test_a_text_becomes_passages_that_say_where_they_stand(knowledge):
    assert knowledge.add(GULLS, name="gulls") == Added(new=1, passages=3)
    first, second, third = knowledge.passages("gulls")
    assert first.text + second.text + third.text == GULLS
    assert (second.start, second.end) == (len(first.text), len(first.text) + len(second.text))
    assert second.id == f"gulls#{second.start}-{second.end}"
    assert (second.base, second.document, second.source) == (knowledge.uid, "gulls", "gulls")
    assert second.labels == Labels()
    assert second.version == Document("gulls", GULLS).version


def test_a_passage_names_the_headings_that_it_stands_under(knowledge):
    knowledge.add(sectioned("birds", ("Gulls", "They shout."), ("Terns", "They dive.")))
    assert [(p.section, p.source) for p in knowledge.passages("birds")] == [
        ("Gulls", "birds > Gulls"),
        ("Terns", "birds > Terns"),
    ]


def test_the_catalogue_says_what_there_is(knowledge):
    knowledge.add(GULLS, name="gulls", meta={"year": 1999})
    knowledge.add(Document("terns", "Terns dive.", kind="markdown", title="Of terns"), labels=Labels(("ada",)))
    gulls, terns = knowledge.documents()
    assert (gulls.name, gulls.kind, gulls.meta, gulls.passages) == ("gulls", "text", {"year": 1999}, 3)
    assert (terns.kind, terns.title, terns.labels, terns.passages) == ("markdown", "Of terns", Labels(("ada",)), 1)


def test_adding_the_same_again_writes_nothing(knowledge):
    documents = [Document(f"n{i}", f"Note {i}. {GULLS}", meta={"i": i}) for i in range(5)]
    knowledge.add(documents)
    before, was = generation(knowledge), rows(knowledge, "SELECT * FROM documents")
    wal = knowledge.path.with_name("notes.db-wal").read_bytes()
    assert knowledge.add(documents) == Added(unchanged=5)
    assert knowledge.path.with_name("notes.db-wal").read_bytes() == wal
    assert (generation(knowledge), rows(knowledge, "SELECT * FROM documents")) == (before, was)


def test_a_changed_document_keeps_the_rows_of_the_passages_that_have_not_changed(knowledge):
    knowledge.add(GULLS, name="gulls")
    old = {text: id for id, text in rows(knowledge, "SELECT id, text FROM passages")}
    changed = GULLS.replace("at four", "at five")
    assert knowledge.add(changed, name="gulls") == Added(changed=1, passages=1)
    new = {text: id for id, text in rows(knowledge, "SELECT id, text FROM passages")}
    assert "".join(texts(knowledge, "gulls")) == changed
    assert [new[text] == old.get(text) for text in texts(knowledge, "gulls")] == [True, False, True]
    assert knowledge.check() == []


def test_passages_that_only_moved_keep_their_rows_and_say_where_they_stand_now(knowledge):
    parts = [("Gulls", "They shout. "), ("Terns", "They dive. "), ("Auks", "They stand. ")]
    knowledge.add(sectioned("birds", *parts))
    moved = sectioned("birds", ("Listen", "To this! "), *parts)
    assert knowledge.add(moved).passages == 1
    assert "".join(texts(knowledge, "birds")) == moved.text
    for passage in knowledge.passages("birds"):
        assert moved.text[passage.start : passage.end] == passage.text
    assert knowledge.index.rows().place.tolist() == [1, 2, 3, 0]


def test_passages_that_say_the_same_are_told_apart_by_their_place(knowledge):
    thrice = sectioned("echo", *[("Echo", "Hello there. "), ("Pause", "...")] * 3)
    knowledge.add(thrice)
    twice = sectioned("echo", *[("Echo", "Hello there. "), ("Pause", "...")] * 2)
    assert knowledge.add(twice) == Added(changed=1)
    assert texts(knowledge, "echo") == ["Hello there. ", "..."] * 2
    assert knowledge.add(thrice) == Added(changed=1, passages=2)
    assert knowledge.check() == []


def test_other_metadata_or_labels_change_a_document_and_leave_its_passages(knowledge):
    knowledge.add(GULLS, name="gulls", meta={"year": 1999}, labels=Labels(("ada",)))
    assert knowledge.add(GULLS, name="gulls", meta={"year": 2000}) == Added(changed=1)
    (entry,) = knowledge.documents()
    assert (entry.meta, entry.labels) == ({"year": 2000}, Labels(("ada",)))
    assert knowledge.add(GULLS, name="gulls", meta={"year": 2000}, labels=Labels(("bob",))) == Added(changed=1)
    assert knowledge.documents()[0].labels == Labels(("bob",))


def test_metadata_that_is_given_goes_over_a_documents_own(knowledge):
    knowledge.add(Document("gulls", GULLS, meta={"year": 1999, "tag": "bird"}), meta={"year": 2000})
    assert knowledge.documents()[0].meta == {"year": 2000, "tag": "bird"}


def test_an_empty_text_is_a_document_without_passages(knowledge):
    assert knowledge.add("", name="empty") == Added(new=1)
    assert (knowledge.passages("empty"), knowledge.documents()[0].passages) == ([], 0)
    assert knowledge.check() == []


@pytest.mark.parametrize(
    "text", ["\x00\x1b[31m", "half \ud83d pair", "'; DROP TABLE passages; --", "\u202eright to left", "\N{SNOWMAN}" * 9]
)
def test_any_text_is_kept_as_the_document_has_it(knowledge, text):
    knowledge.add(text, name="odd", meta={text: text})
    assert "".join(texts(knowledge, "odd")) == Document("odd", text).text
    assert knowledge.check() == []


def test_odd_names_and_headings_are_data(knowledge):
    name = "'; DELETE FROM documents; --"
    knowledge.add(sectioned(name, ("half \ud83d", "Text."), title="\ud83d"))
    assert knowledge.add(sectioned(name, ("half \ud83d", "Text."), title="\ud83d")) == Added(unchanged=1)
    assert not knowledge.delete("\ud83d")
    assert knowledge.passages("\ud83d") == []
    assert knowledge.delete(name)


def test_what_cannot_be_added_is_an_error_that_names_it(knowledge):
    with pytest.raises(TaskError, match=r"give it one, as in add\(text, name=.*tg.index"):
        knowledge.add("a text without a name")
    with pytest.raises(TaskError, match="expected one line"):
        knowledge.add("a text", name="a name\nof two lines")
    for wrong in (b"bytes", 5, Path("a.md"), None):
        with pytest.raises(TaskError, match=r"expected a Document, .*tg.index"):
            knowledge.add(wrong)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="expected a Document"):
        knowledge.add([Document("a", "A."), "a text in a list"])  # type: ignore[list-item]
    with pytest.raises(TaskError, match="which have their own"):
        knowledge.add([Document("a", "A.")], name="b")


def test_documents_before_the_one_that_raises_are_in_the_file(knowledge):
    def documents() -> Iterator[Document]:
        yield from (Document(f"n{i}", "One two three. " * 700) for i in range(2))
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="the folder is gone"):
        knowledge.add(documents())
    assert [entry.name for entry in knowledge.documents()] == ["n0", "n1"]


def test_knowledge_can_be_added_where_an_event_loop_is_running(knowledge, counted, tmp_path):
    async def notebook() -> None:
        knowledge.add("Gulls.", name="sync")
        await knowledge.aadd("Terns.", name="async")
        with Knowledge(tmp_path / "other.db", counted.embedder()) as other:
            other.add("Gulls.", name="sync")
            await other.aadd("Terns.", name="async")
            assert counted.passages == ["Gulls.", "Terns."]

    asyncio.run(notebook())
    assert [entry.name for entry in knowledge.documents()] == ["sync", "async"]


# -- deleting and relabelling --------------------------------------------------------------------------------------


def test_a_deleted_document_leaves_no_row_no_word_and_no_vector(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder(), size=6) as knowledge:
        knowledge.add([Document("gulls", GULLS), Document("terns", "Terns dive.")])
        assert knowledge.delete("gulls")
        assert not knowledge.delete("gulls")
        assert [entry.name for entry in knowledge.documents()] == ["terns"]
        assert rows(knowledge, "SELECT text FROM passages") == [("Terns dive.",)]
        assert rows(knowledge, "SELECT DISTINCT term FROM words_instance ORDER BY term") == [("dive",), ("tern",)]
        assert rows(knowledge, "SELECT count(*) FROM vectors") == [(1,)]
        assert knowledge.check() == []


def test_a_row_is_never_given_again(knowledge):
    knowledge.add("Gulls.", name="gulls")
    knowledge.delete("gulls")
    knowledge.add("Terns.", name="terns")
    assert knowledge.index.rows().ids.tolist() == [2]


def test_relabelling_holds_at_once_and_cuts_nothing_anew(knowledge):
    knowledge.add(GULLS, name="gulls")
    ids = knowledge.index.rows().ids.tolist()
    assert knowledge.relabel("gulls", Labels(("ada",), train=True))
    assert not knowledge.relabel("nobody", Labels(("ada",)))
    assert knowledge.documents()[0].labels == Labels(("ada",), train=True)
    assert knowledge.index.rows().ids.tolist() == ids
    assert (len(knowledge.reader().visible()), len(knowledge.reader("ada").visible())) == (0, 3)


def test_relabelling_with_the_same_labels_writes_nothing(knowledge):
    knowledge.add(GULLS, name="gulls")
    before = generation(knowledge)
    assert knowledge.relabel("gulls", Labels())
    assert generation(knowledge) == before


def test_a_document_that_is_relabelled_while_it_is_added_again_keeps_its_new_labels(tmp_path):
    with Knowledge(tmp_path / "notes.db") as knowledge, Knowledge(tmp_path / "notes.db") as other:
        knowledge.add("Gulls.", name="gulls")

        def documents() -> Iterator[Document]:
            yield Document("gulls", "Gulls and terns.")
            other.relabel("gulls", Labels(("ada",)))  # after the first was looked at, and before it is written

        knowledge.add(documents())
        assert knowledge.documents()[0].labels == Labels(("ada",))


# -- scrubbing -----------------------------------------------------------------------------------------------------


def left(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_what_was_deleted_is_nowhere_in_any_file_after_a_scrub(tmp_path, counted):
    secret = "The zweibrueckenkoenigin paid quintessentially 918273645 for xylophonists."
    words = [b"zweibrueckenkoenigin", b"rueckenk", b"quintessenti", b"918273645", b"xylophonist", b"ylophon"]
    with Knowledge(tmp_path / "notes.db", counted.embedder(), size=30) as knowledge:
        knowledge.add([Document(f"n{i}", f"Zebra {i} and xylem {i}. {GULLS}") for i in range(50)])
        document = sectioned("secret-name", ("Xenoheading", secret))
        knowledge.add(document, meta={"k": "metadatum-9"}, labels=Labels(("x-ray",)))
        knowledge.add([Document(f"m{i}", f"Zwei {i} and xylem {i}. {GULLS}") for i in range(50)])
        paid = "SELECT vector FROM vectors JOIN passages ON id = passage WHERE text LIKE '% paid %'"
        ((vector,),) = rows(knowledge, paid)
        assert isinstance(vector, bytes)
        told = [b"zweibrueckenkoenigin paid quint", b"secret-name", b"Xenoheading", b"metadatum-9", b"x-ray", vector]
        assert [trace for trace in told if trace not in left(tmp_path)] == []
        gone = [*told, *words, b"enohead", b"eohead"]
        assert knowledge.delete("secret-name")
        knowledge.scrub()
        assert [trace for trace in gone if trace in left(tmp_path)] == []
        assert (len(knowledge.documents()), knowledge.check()) == (100, [])
    assert [trace for trace in gone if trace in left(tmp_path)] == []


def test_the_old_text_of_a_changed_document_goes_with_a_scrub_too(knowledge):
    knowledge.add(f"Gulls. {'x' * 20} kleptoparasites.", name="gulls")
    knowledge.add("Gulls are lovely.", name="gulls")
    knowledge.scrub()
    assert b"kleptoparasite" not in left(knowledge.path.parent)


def test_a_scrub_that_somebodys_reading_hinders_is_an_error_that_says_so(knowledge, monkeypatch):
    knowledge.add(GULLS, name="gulls")
    with closing(sqlite3.connect(knowledge.path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM passages").fetchone()
        knowledge.delete("gulls")
        monkeypatch.setattr(sys.modules[Index.__module__], "PATIENCE", 0.05)
        with pytest.raises(StoreError, match="wait for that to end, and do this again"):
            knowledge.scrub()
    knowledge.scrub()
    assert b"shout" not in left(knowledge.path.parent)


# -- vectors -------------------------------------------------------------------------------------------------------


def test_passages_are_embedded_with_their_headings_and_kept_in_the_embedders_precision(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder(precision="float16")) as knowledge:
        knowledge.add([sectioned("birds", ("Gulls", "They shout.")), Document("plain", "Plain.")])
        assert counted.passages == ["Gulls\nThey shout.", "Plain."]
        assert rows(knowledge, "SELECT passage, length(vector) FROM vectors") == [(1, 6), (2, 6)]


def test_nothing_is_embedded_twice(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder(), size=6) as knowledge:
        knowledge.add(GULLS, name="gulls")
        assert len(counted.passages) == 3
    asked = len(counted.texts)
    with Knowledge(tmp_path / "notes.db", counted.embedder(), size=6) as knowledge:
        knowledge.add(GULLS, name="gulls")
        knowledge.relabel("gulls", Labels(("ada",)))
        knowledge.add(GULLS, name="gulls", meta={"year": 1999})
        assert len(counted.texts) - asked <= 2  # who it is, perhaps, and no passage
        knowledge.add(GULLS.replace("at four", "at five"), name="gulls")
        assert counted.passages[3:] == ["They wake at five.\n\n"]


def test_passages_of_one_text_are_embedded_once_and_each_has_its_vector(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder()) as knowledge:
        knowledge.add([Document(f"n{i}", "All the same.") for i in range(5)])
        assert counted.passages == ["All the same."]
        assert rows(knowledge, "SELECT count(*), count(DISTINCT vector) FROM vectors") == [(5, 1)]
        assert rows(knowledge, "SELECT count(*) FROM ahead") == [(0,)]


def test_what_was_paid_for_before_the_line_went_dead_is_not_paid_for_again(tmp_path):
    long = Document("long", "\n\n".join(f"Paragraph {i} of many." for i in range(600)))
    dying = Counted(fail_after=520)
    with Knowledge(tmp_path / "notes.db", dying.embedder(), size=6) as knowledge:
        with pytest.raises(ConnectionError):
            knowledge.add(long)
        assert knowledge.documents() == []
    living = Counted()
    with Knowledge(tmp_path / "notes.db", living.embedder(), size=6) as knowledge:
        assert knowledge.add(long) == Added(new=1, passages=600)
        assert len(dying.passages) + len(living.passages) == 600
        assert rows(knowledge, "SELECT count(*) FROM vectors") == [(600,)]


@pytest.mark.parametrize("other", [{"name": "local:other"}, {"dimension": 2}, {"precision": "float16"}])
def test_another_embedder_is_an_error_before_anything_is_added_or_found(tmp_path, counted, other):
    with Knowledge(tmp_path / "notes.db", counted.embedder()) as knowledge:
        knowledge.add(GULLS, name="gulls")

    def vectors(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] * other.get("dimension", 3) for _ in texts]

    def use(how: str) -> None:
        settings = {"name": "local:letters", "dimension": 3, **other}
        with Knowledge(tmp_path / "notes.db", embedder(vectors, **settings)) as knowledge:
            knowledge.add("Terns.", name="terns") if how == "add" else asyncio.run(knowledge("gulls", 3))

    for how in ("add", "search"):
        with pytest.raises(TaskError, match="open it with the embedder that it was made with"):
            use(how)
    with Knowledge(tmp_path / "notes.db") as knowledge:
        assert [entry.name for entry in knowledge.documents()] == ["gulls"]


def test_another_model_of_the_same_name_is_told_by_what_it_makes_of_a_text(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder()) as knowledge:
        knowledge.add(GULLS, name="gulls")
    swapped = embedder(lambda texts: [[0.1, 5.0, -1.0] for _ in texts], name="local:letters", dimension=3)
    with Knowledge(tmp_path / "notes.db", swapped) as knowledge, pytest.raises(TaskError, match="embeds otherwise"):
        knowledge.add("Terns.", name="terns")


def test_a_file_with_vectors_takes_nothing_without_an_embedder_but_can_be_read(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", counted.embedder()) as knowledge:
        knowledge.add(GULLS, name="gulls")
    with Knowledge(tmp_path / "notes.db") as knowledge:
        with pytest.raises(TaskError, match="have vectors of 'local:letters', and no embedder is given"):
            knowledge.add("Terns.", name="terns")
        assert knowledge.add(GULLS, name="gulls") == Added(unchanged=1)
        assert [entry.name for entry in knowledge.documents()] == ["gulls"]
        assert knowledge.delete("gulls")


def test_a_file_made_without_vectors_gets_them_when_asked_and_no_sooner(tmp_path, counted):
    with Knowledge(tmp_path / "notes.db", size=6) as knowledge:
        knowledge.add(GULLS, name="gulls")
        with pytest.raises(TaskError, match="there is no embedder"):
            knowledge.embed()
    with Knowledge(tmp_path / "notes.db", counted.embedder(), size=6) as knowledge:
        with pytest.raises(TaskError, match=r"call its embed\(\) first"):
            knowledge.add("Terns.", name="terns")
        assert (knowledge.embed(), knowledge.embed()) == (3, 0)
        knowledge.add("Terns.", name="terns")
        assert len(counted.passages) == 4
        assert rows(knowledge, "SELECT passage FROM vectors ORDER BY passage") == [(1,), (2,), (3,), (4,)]


def test_giving_vectors_goes_on_where_it_was_stopped_and_until_then_words_are_searched(tmp_path):
    with Knowledge(tmp_path / "notes.db", size=6) as knowledge:
        knowledge.add("\n\n".join(f"Paragraph {i} of many." for i in range(600)), name="long")
    dying, living = Counted(fail_after=520), Counted()
    with Knowledge(tmp_path / "notes.db", dying.embedder(), size=6) as knowledge:
        with pytest.raises(ConnectionError):
            knowledge.embed()
        found = asyncio.run(knowledge("paragraph", 1))
        assert len(found) == 1
        with pytest.raises(TaskError, match="have vectors: call embed"):
            asyncio.run(knowledge.identity())
    with Knowledge(tmp_path / "notes.db", living.embedder(), size=6) as knowledge:
        assert knowledge.embed() + len(dying.passages) == 600
        assert len(living.passages) + len(dying.passages) == 600


def test_what_another_embedder_began_and_did_not_end_is_thrown_away(tmp_path):
    with Knowledge(tmp_path / "notes.db", size=6) as knowledge:
        knowledge.add("\n\n".join(f"Paragraph {i} of many." for i in range(300)), name="long")
    with Knowledge(tmp_path / "notes.db", Counted(fail_after=280).embedder()) as knowledge:
        with pytest.raises(ConnectionError):
            knowledge.embed()
        assert rows(knowledge, "SELECT count(*) FROM vectors") == [(256,)]
    wide = embedder(lambda texts: [[1.0, 2.0] for _ in texts], name="local:wide", dimension=2)
    with Knowledge(tmp_path / "notes.db", wide) as knowledge:
        assert knowledge.embed() == 300
        assert rows(knowledge, "SELECT DISTINCT length(vector) FROM vectors") == [(8,)]


def test_a_passage_is_never_sent_to_an_embedder_that_its_labels_forbid(tmp_path, counted):
    mine = Labels(models=("local:*",))
    with Knowledge(tmp_path / "notes.db", counted.embedder("openai:letters")) as knowledge:
        knowledge.add("Private gulls.", name="private", labels=mine)
        knowledge.add("Public terns.", name="public")
        assert counted.passages == ["Public terns."]
        knowledge.add("Private gulls, and more.", name="private")
        assert (knowledge.embed(), counted.passages) == (0, ["Public terns."])
        knowledge.relabel("private", Labels())
        assert knowledge.embed() == 1
        assert counted.passages[1:] == ["Private gulls, and more."]


def test_vectors_that_are_no_vectors_are_an_error_and_nothing_is_filed(tmp_path):
    broken = embedder(lambda texts: [[float("nan")] * 3 for _ in texts], name="local:broken", dimension=3)
    with Knowledge(tmp_path / "notes.db", broken) as knowledge:
        with pytest.raises(TaskError):
            knowledge.add(GULLS, name="gulls")
        assert knowledge.documents() == []


# -- many at once --------------------------------------------------------------------------------------------------


def test_threads_that_add_delete_and_search_at_once_lose_nothing(knowledge):
    errors = list[BaseException]()

    def work(mine: int) -> None:
        try:
            for i in range(10):
                knowledge.add(f"Gull {i} of {mine}. {GULLS}", name=f"{mine}-{i}")
                assert len(knowledge.reader().visible()) >= 4
                if i % 3 == 0:
                    assert knowledge.delete(f"{mine}-{i}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {entry.name for entry in knowledge.documents()} == {f"{m}-{i}" for m in range(4) for i in range(10) if i % 3}
    assert knowledge.check() == []


def test_one_document_changed_by_two_at_once_is_one_of_their_texts_as_a_whole(tmp_path):
    with Knowledge(tmp_path / "notes.db", size=6) as one, Knowledge(tmp_path / "notes.db", size=6) as two:

        def change(knowledge: Knowledge, word: str) -> None:
            for i in range(20):
                knowledge.add("\n\n".join(f"{word} {i} says {j}." for j in range(5)), name="shared")

        threads = [threading.Thread(target=change, args=pair) for pair in ((one, "Ada"), (two, "Bob"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = "".join(texts(one, "shared"))
        assert whole in ["\n\n".join(f"{word} 19 says {j}." for j in range(5)) for word in ("Ada", "Bob")]
        assert one.check() == []


def test_a_closed_knowledge_says_so(tmp_path):
    knowledge = Knowledge(tmp_path / "notes.db")
    knowledge.close()
    knowledge.close()
    for use in (knowledge.documents, lambda: knowledge.delete("x"), lambda: knowledge.add("x", name="x")):
        with pytest.raises(StoreError, match="is closed: open it again"):
            use()


def test_a_size_is_a_whole_number(tmp_path):
    with pytest.raises(ValueError, match="size is 0"):
        Knowledge(tmp_path / "notes.db", size=0)
    assert not (tmp_path / "notes.db").exists()
