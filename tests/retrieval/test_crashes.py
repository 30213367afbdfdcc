"""What a file of knowledge must survive: a kill at any moment, two who write at once, and a disk that is full."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.knowledge import Knowledge

WORDS = ["gull", "tern", "auk", "port", "ship", "cat", "fish", "wind", "wave", "rope", "sail", "tide"]


def document(i: int, paragraphs: int = 40) -> Document:
    """The same text for the same number, some passages long."""
    draw = random.Random(i)
    lines = (" ".join(draw.choices(WORDS, k=12)) + f" {i} {p}." for p in range(paragraphs))
    return Document(f"n{i}", "\n\n".join(lines))


BUSY = """
import asyncio, sys
from itertools import count
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_crashes import document
from thoughtgraph.retrieval.knowledge import Knowledge

first = int(sys.argv[2])
with Knowledge(sys.argv[1], size=20) as knowledge:
    for i in count(first):
        knowledge.add(document(i)); print("+", i, flush=True)
        asyncio.run(knowledge("gull and tern", 5)); print("?", flush=True)
        if i % 2:
            print("-?", i - 1, flush=True); knowledge.delete(f"n{{i - 1}}"); print("-", i - 1, flush=True)
        if i % 5 == 4:
            knowledge.scrub()
"""

PAYING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_crashes import LONG, paying
from thoughtgraph.retrieval.knowledge import Knowledge

print("ready", flush=True)
with Knowledge(sys.argv[1], paying(Path(sys.argv[2])), size=20) as knowledge:
    knowledge.add(LONG)
"""

WRITING = """
import sys
sys.path.insert(0, {tests!r})
from test_crashes import document
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.knowledge import Knowledge

with Knowledge(sys.argv[1], size=20) as knowledge:
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(int(sys.argv[2]), int(sys.argv[2]) + 40):
        knowledge.add(document(i, 3))
        knowledge.add(Document("shared", document(i).text))
        if i % 4 == 0:
            knowledge.delete(f"n{{i}}")
"""

FULL = """
import os, resource, sys
sys.path.insert(0, {tests!r})
from test_crashes import document
from thoughtgraph.errors import StoreError
from thoughtgraph.retrieval.knowledge import Knowledge

path = sys.argv[1]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with Knowledge(path, size=20) as knowledge:
    knowledge.add(document(0))
    knowledge.add(document(1))
    before = sorted(os.path.getsize(path + end) for end in ("", "-wal"))[-1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 30_000, hard))
    for change in (lambda: knowledge.add([document(i) for i in range(2, 20)]), lambda: knowledge.add(document(1, 400))):
        try:
            change()
        except StoreError as error:
            print(error)
        else:
            print("it fitted")
    assert [entry.name for entry in knowledge.documents()] == ["n0", "n1"]
    assert "".join(passage.text for passage in knowledge.passages("n1")) == document(1).text
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert knowledge.check() == []
    knowledge.add([document(i) for i in range(2, 5)])
"""

LONG = document(7, 2000)


def paying(book: Path) -> object:
    """An embedder that writes down what it is paid for."""

    def embed(texts: Sequence[str]) -> list[list[float]]:
        time.sleep(0.02)
        with book.open("a") as lines:
            lines.writelines(f"{text!r}\n" for text in texts if "ship's cat" not in text)
        return [[1.0, float(len(text)), float(text.count("a"))] for text in texts]

    return embedder(embed, name="local:paid", dimension=3)


def started(script: str, *args: object) -> subprocess.Popen[str]:
    code = script.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def killed(process: subprocess.Popen[str], after: float) -> Iterator[str]:
    """What it says until it is killed, so many seconds after its first words."""
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    time.sleep(after)
    process.kill()
    said, _ = process.communicate()
    yield from said.splitlines()


def whole(knowledge: Knowledge, paragraphs: int = 40) -> set[int]:
    """The documents that are there, each of which says all that it should."""
    found = {int(entry.name[1:]) for entry in knowledge.documents() if entry.name != "shared"}
    for i in found:
        said = "".join(passage.text for passage in knowledge.passages(f"n{i}"))
        assert said == document(i, paragraphs).text
    return found


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_a_kill_while_it_adds_searches_deletes_or_scrubs_leaves_whole_documents(tmp_path, kills):
    path, there, first, draw = tmp_path / "notes.db", set[int](), 0, random.Random(kills)
    for _ in range(kills):
        said = list(killed(started(BUSY, path, first), draw.random() * 0.7))
        there |= {int(line[2:]) for line in said if line.startswith("+")}
        begun = {int(line[3:]) for line in said if line.startswith("-?")}
        done = {int(line[2:]) for line in said if line.startswith("- ")}
        there -= done
        first = max(there | done | {first}) + 2
        with Knowledge(path, size=20) as knowledge:
            found = whole(knowledge)
            assert found - there <= {first - 1}  # the one that it was adding
            assert there - found <= begun - done  # the one that it was deleting
            assert knowledge.check() == []
            assert len(knowledge.reader().visible()) == sum(entry.passages for entry in knowledge.documents())
            there = found


@pytest.mark.slow
def test_what_was_paid_for_is_not_paid_for_again_but_for_one_lot_a_kill(tmp_path):
    path, book, kills, draw = tmp_path / "notes.db", tmp_path / "paid.txt", 6, random.Random(3)
    for _ in range(kills):
        list(killed(started(PAYING, path, book), 0.1 + 0.2 * draw.random()))
    with Knowledge(path, paying(book), size=20) as knowledge:  # type: ignore[arg-type]
        knowledge.add(LONG)
        texts = [passage.text for passage in knowledge.passages(LONG.name)]
        assert "".join(texts) == LONG.text
        paid = book.read_text().splitlines()
        assert len(texts) == len(set(paid)) <= len(paid) <= len(texts) + kills * 256
        assert knowledge.index.read("SELECT count(*) FROM vectors") == [(len(texts),)]
        assert knowledge.check() == []


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "notes.db"
    writers = [started(WRITING, path, first) for first in (0, 100)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [(writer.communicate(), writer.returncode)[1] for writer in writers] == [0, 0]
    with Knowledge(path, size=20) as knowledge:
        assert whole(knowledge, 3) == {first + i for first in (0, 100) for i in range(40) if (first + i) % 4}
        assert "".join(p.text for p in knowledge.passages("shared")) in (document(39).text, document(139).text)
        assert knowledge.check() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file sizes cannot be limited here")
def test_a_full_disk_is_a_clear_error_and_the_file_is_as_it_was(tmp_path):
    said, _ = (process := started(FULL, tmp_path / "notes.db")).communicate()
    assert process.returncode == 0
    assert len(said.splitlines()) == 2
    for line in said.splitlines():
        assert line.startswith(f"the knowledge {tmp_path / 'notes.db'} cannot be used (")
        assert line.endswith("free space or permit writing there, or name another file")
    with Knowledge(tmp_path / "notes.db", size=20) as knowledge:
        assert whole(knowledge) == {0, 1, 2, 3, 4}


def test_a_file_that_is_full_by_its_own_bound_is_a_clear_error_and_as_it_was(tmp_path):
    from thoughtgraph.errors import StoreError

    with Knowledge(tmp_path / "notes.db", size=20) as knowledge:
        knowledge.add(document(0))
        with knowledge.index.alone() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + 2}")
        for change in (lambda: knowledge.add(document(0, 400)), lambda: knowledge.add(document(1, 400))):
            with pytest.raises(StoreError, match=r"cannot be used \(database or disk is full\): free space"):
                change()
        assert whole(knowledge) == {0}
        assert knowledge.check() == []
        assert knowledge.delete("n0")
