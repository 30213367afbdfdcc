"""The file as numbers: rows that keep up with what is written, here and by other processes, and cheaply."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from thoughtgraph.errors import StoreError
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.index import Index, Rows
from thoughtgraph.retrieval.knowledge import Knowledge


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    with Knowledge(tmp_path / "notes.db", size=4) as knowledge:
        yield knowledge


def columns(rows: Rows) -> dict[str, list[int]]:
    names = ("ids", "label", "document", "place", "length")
    return {name: getattr(rows, name).tolist() for name in names}


def anew(knowledge: Knowledge) -> dict[str, list[int]]:
    """The rows as somebody sees them who opens the file now."""
    index = Index(knowledge.path)
    try:
        return columns(index.rows())
    finally:
        index.close()


def test_each_passage_is_a_row_of_numbers(knowledge):
    knowledge.add("One two three. Four five. ", name="a")
    knowledge.add("Six!", name="b", labels=Labels(("ada",)))
    assert columns(knowledge.index.rows()) == {
        "ids": [1, 2, 3],
        "label": [1, 1, 2],
        "document": [1, 1, 2],
        "place": [0, 1, 0],
        "length": [3, 2, 1],
    }


def test_the_length_counts_words_as_the_index_has_them_with_those_of_the_headings(knowledge):
    from thoughtgraph.retrieval.documents import Section

    text = "Ten's 3.14 naïve\n"
    knowledge.add(Document("a", text, sections=(Section(0, len(text), ("One", "Two three")),)))
    count = knowledge.index.read("SELECT count(*) FROM words_instance")[0][0]
    assert count > 6
    assert sum(knowledge.index.rows().length.tolist()) == count


def test_no_rows_are_no_passages(knowledge):
    assert columns(knowledge.index.rows()) == {"ids": [], "label": [], "document": [], "place": [], "length": []}


def test_nobody_can_write_to_the_rows(knowledge):
    knowledge.add("One.", name="a")
    with pytest.raises(ValueError, match="read-only"):
        knowledge.index.rows().label[0] = 7


def test_the_same_rows_come_again_until_something_is_written(knowledge):
    knowledge.add("One.", name="a")
    rows = knowledge.index.rows()
    assert knowledge.index.rows() is rows
    knowledge.add("One.", name="a")
    assert knowledge.index.rows() is rows
    knowledge.add("Two.", name="b")
    assert knowledge.index.rows() is not rows


def test_rows_that_keep_up_are_those_of_the_file_whatever_was_done_to_it(knowledge):
    def step(change: object, n: int) -> None:
        assert change is not None
        rows = knowledge.index.rows()
        assert columns(rows) == anew(knowledge)
        assert len(rows) == n

    step(knowledge.add([Document(f"n{i}", "One two three. Four five six.") for i in range(5)]), 10)
    step(knowledge.add("Seven.", name="more"), 11)
    step(knowledge.add("Seven. Eight nine ten.", name="more"), 12)
    step(knowledge.delete("n3"), 10)
    step(knowledge.relabel("n1", Labels(("ada",))), 10)
    step(knowledge.add("Eleven.", name="last"), 11)
    step(knowledge.delete("last"), 10)
    step(knowledge.add("Twelve.", name="last"), 11)
    step(knowledge.scrub() or True, 11)


def test_what_another_process_writes_is_seen_at_the_next_look(knowledge):
    with Knowledge(knowledge.path) as other:
        assert len(knowledge.index.rows()) == 0
        other.add("One.", name="a")
        assert len(knowledge.index.rows()) == 1
        other.delete("a")
        assert len(knowledge.index.rows()) == 0


def test_only_what_is_new_is_read_when_documents_are_added(knowledge):
    knowledge.add([Document(f"n{i}", "One two three.") for i in range(5)])
    before = knowledge.index.rows()
    with knowledge.index.writing() as db:  # were the old rows read again, this would show
        db.execute("UPDATE passages SET length = 99 WHERE id = 1")
    knowledge.add("Four.", name="four")
    after = knowledge.index.rows()
    assert after.length.tolist() == [*before.length.tolist(), 1]


def test_a_reading_sees_one_moment_whatever_others_do_meanwhile(knowledge):
    knowledge.add("One.", name="a")
    with knowledge.index.reading() as db:
        count = "SELECT count(*) FROM documents"
        before = db.execute(count).fetchone()
        knowledge.add("Two.", name="b")
        assert db.execute(count).fetchone() == before == (1,)
    assert knowledge.index.read(count) == [(2,)]


def test_nobody_who_reads_can_write(knowledge):
    with pytest.raises(StoreError, match="readonly"):
        knowledge.index.read("DELETE FROM documents")
    assert knowledge.index.read("SELECT count(*) FROM documents") == [(0,)]


def test_a_transaction_that_raises_leaves_nothing(knowledge):
    def fail() -> None:
        with knowledge.index.writing() as db:
            db.execute("INSERT INTO about VALUES ('half', 1)")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert knowledge.index.about("half") is None
    knowledge.add("One.", name="a")  # and the next one begins as if nothing had been


def test_passages_come_only_under_the_labels_that_are_asked_for(knowledge):
    knowledge.add("One.", name="a")
    knowledge.add("Two.", name="b", labels=Labels(("ada",)))
    found = knowledge.index.passages([1, 2, 3], [2])
    assert {row: passage.text for row, passage in found.items()} == {2: "Two."}


def test_the_same_labels_have_one_number_in_whatever_order_they_are_named(knowledge):
    knowledge.add("One.", name="a", labels=Labels(("ada", "bob"), ("x", "y"), train=True))
    knowledge.add("Two.", name="b", labels=Labels(("bob", "ada"), ("y", "x"), train=True))
    knowledge.add("Three.", name="c", labels=Labels(("ada", "bob"), ("x", "y")))
    assert knowledge.index.rows().label.tolist() == [1, 1, 2]
    assert knowledge.index.labels() == {
        1: Labels(("ada", "bob"), ("x", "y"), train=True),
        2: Labels(("ada", "bob"), ("x", "y")),
    }


def test_a_number_of_labels_is_never_given_to_others(knowledge):
    knowledge.add("One.", name="a", labels=Labels(("ada",)))
    knowledge.relabel("a", Labels(("bob",)))
    knowledge.scrub()
    knowledge.delete("a")
    knowledge.scrub()
    knowledge.add("Two.", name="b", labels=Labels(("eve",)))
    assert knowledge.index.rows().label.tolist() == [3]


def test_labels_that_do_not_read_are_damage_and_let_nobody_in(knowledge):
    knowledge.add("One.", name="a")
    with knowledge.index.writing() as db:
        db.execute("UPDATE labels SET readers = '[1]'")
    with Knowledge(knowledge.path) as other, pytest.raises(StoreError, match="labels do not read"):
        other.reader().visible()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE documents SET meta = '{\"year'",
        "UPDATE documents SET meta = CAST(x'7bff' AS TEXT)",
        "DELETE FROM about WHERE name = 'generation'",
        "UPDATE about SET value = 'many' WHERE name = 'rewritten'",
        "UPDATE passages SET text = CAST(x'61ff' AS TEXT)",
    ],
)
def test_what_does_not_read_is_damage_and_no_error_of_python(knowledge, harm):
    knowledge.add("One.", name="a", meta={"year": 1})
    with knowledge.index.writing() as db:
        db.execute(harm)
    with Knowledge(knowledge.path) as other, pytest.raises(StoreError, match=r"is damaged .*restore it from a copy"):
        other.reader(where={"year": 1}).documents()
        other.passages("a")


def test_many_threads_read_at_once(knowledge):
    knowledge.add([Document(f"n{i}", "One two three.") for i in range(20)])
    found = list[int]()

    def read() -> None:
        for _ in range(20):
            found.append(len(knowledge.index.passages(range(1, 21), [1])))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 160


def test_a_file_that_nobody_closed_is_let_go_of_with_its_index(tmp_path):
    index = Index(tmp_path / "notes.db")
    index.rows()
    del index  # a connection left open would be a warning, and warnings are errors
    assert not (tmp_path / "notes.db-wal").exists()


@pytest.mark.parametrize(
    "harm", ["DROP TABLE words", "DROP TABLE passages", "DROP TABLE about", "DROP TABLE labels", "DROP TABLE vectors"]
)
def test_a_file_that_lacks_a_table_is_an_error_that_names_the_file(tmp_path, harm):
    path = tmp_path / "notes.db"
    with Knowledge(path) as knowledge:
        knowledge.add("One.", name="a")
        with knowledge.index.alone() as db:
            db.execute(harm)

    def use() -> None:
        with Knowledge(path) as knowledge:
            knowledge.add("Two.", name="a")
            knowledge.reader().visible()
            assert knowledge.check() == []
            knowledge.delete("a")

    with pytest.raises(StoreError, match=str(path)):
        use()


def test_a_check_finds_what_does_not_hang_together(knowledge):
    knowledge.add([Document("a", "One."), Document("b", "Two.")])
    assert knowledge.check() == []
    with knowledge.index.writing() as db:
        db.execute("DELETE FROM documents WHERE name = 'a'")
        db.execute("INSERT INTO vectors VALUES (77, x'00')")
        db.execute("UPDATE passages SET text = 'Three.' WHERE id = 2")
    said = knowledge.check()
    assert said[:2] == ["1 passages of no document", "1 vectors of no passage"]
    assert said[2].startswith("the words do not fit the texts")
