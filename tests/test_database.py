"""One SQLite file of ours: who may open it, how it is made, and what is left untouched."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from thoughtgraph.database import Kind
from thoughtgraph.errors import StoreError

NOTES = Kind(
    name="notebook",
    ours="a notebook of thoughtgraph's",
    application=0x74686E62,
    version=3,
    schema="CREATE TABLE notes (text TEXT NOT NULL);\nCREATE INDEX sorted ON notes (text);\n",
    pragmas=("page_size = 4096", "journal_mode = WAL"),
    free="free space there",
    spare="restore it from a copy",
    other="name another file",
)


def filled(path: Path) -> Path:
    with closing(NOTES.opened(path)) as db:
        db.execute("BEGIN")
        db.executemany("INSERT INTO notes VALUES (?)", [(f"note {i} " * 50,) for i in range(200)])
        db.execute("COMMIT")
    return path


def refused(path: Path, saying: str) -> None:
    """Opening it is an error with these words, and changes no byte of it."""
    before = path.read_bytes()
    with pytest.raises(StoreError, match=saying):
        NOTES.opened(path)
    assert path.read_bytes() == before


def test_a_file_is_made_for_its_owners_eyes_only_with_what_sqlite_puts_beside_it(tmp_path):
    with closing(NOTES.opened(tmp_path / "notes.db")) as db:
        db.execute("INSERT INTO notes VALUES ('private')")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("notes.db", "notes.db-wal", "notes.db-shm"), 0o600)


def test_what_was_written_is_there_when_it_is_opened_again_and_the_tables_are_made_once(tmp_path):
    filled(tmp_path / "notes.db")
    with closing(NOTES.opened(tmp_path / "notes.db")) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (200,)
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        assert db.execute("PRAGMA application_id").fetchone() == (0x74686E62,)


def test_one_in_memory_has_the_same_tables_and_no_file():
    with closing(NOTES.memory()) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_connection_that_reads_cannot_write(tmp_path):
    with closing(NOTES.reader(filled(tmp_path / "notes.db"))) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("DELETE FROM notes")


def test_many_who_make_it_at_the_same_moment_all_get_it(tmp_path):
    opened, errors = list[sqlite3.Connection](), list[BaseException]()

    def open_it() -> None:
        try:
            opened.append(NOTES.opened(tmp_path / "notes.db"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for db in opened:
        db.close()
    assert (len(opened), errors) == (8, [])


def test_an_empty_file_is_taken_since_another_process_may_be_making_it(tmp_path):
    (tmp_path / "notes.db").touch()
    NOTES.opened(tmp_path / "notes.db").close()
    assert NOTES.look(tmp_path / "notes.db")


def test_looking_says_whether_there_is_a_file_and_makes_none(tmp_path):
    assert not NOTES.look(tmp_path / "notes.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rubbish", [b"x", b"no database " * 100, bytes(4096), b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, rubbish):
    (tmp_path / "notes.db").write_bytes(rubbish)
    refused(tmp_path / "notes.db", "name another file")


def test_another_programs_database_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "notes.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    refused(tmp_path / "notes.db", "is not a notebook of thoughtgraph's")


def test_a_file_of_a_newer_version_is_left_to_the_thoughtgraph_that_wrote_it(tmp_path):
    with closing(sqlite3.connect(filled(tmp_path / "notes.db"))) as db:
        db.execute("PRAGMA user_version = 4")
    refused(tmp_path / "notes.db", "has version 4, and this thoughtgraph reads 3: open it with the thoughtgraph")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_left_alone(tmp_path, share):
    path = filled(tmp_path / "notes.db")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, "damaged")


def test_a_page_of_rubbish_is_found_before_anything_is_written(tmp_path):
    path = filled(tmp_path / "notes.db")
    whole = path.read_bytes()
    path.write_bytes(whole[: 4 * 4096] + os.urandom(4096) + whole[5 * 4096 :])
    refused(path, r"damaged .*: restore it from a copy, or name another file")


def test_a_folder_and_a_pipe_are_no_files(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, saying in (("folder", "it is a folder"), ("pipe", "it is no plain file")):
        with pytest.raises(StoreError, match=saying):
            NOTES.opened(tmp_path / name)


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="free space there"):
        NOTES.opened(tmp_path / "nowhere" / "notes.db")


def test_errors_of_the_system_and_of_sqlite_are_said_in_words(tmp_path):
    for error in (OSError(28, "No space left on device"), sqlite3.OperationalError("database or disk is full")):
        with pytest.raises(StoreError, match=r"the notebook .* cannot be used \(.*\): free space there"):
            _raise(error, tmp_path / "notes.db")
    with pytest.raises(StoreError, match="is damaged"):
        _raise(sqlite3.DatabaseError("database disk image is malformed"), tmp_path / "notes.db")


def _raise(error: Exception, path: Path) -> None:
    with NOTES.speaking(path):
        raise error


def test_one_file_is_known_by_one_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to("notes.db")
    assert NOTES.real("~/link") == NOTES.real(tmp_path / "." / "notes.db") == NOTES.real(str(tmp_path / "notes.db"))
    with pytest.raises(StoreError, match=r"the notebook .* cannot be used"):
        NOTES.real("notes\0.db")


MAKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_database import NOTES
print("ready", flush=True)
sys.stdin.readline()
NOTES.opened(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_makers_that_are_killed_while_they_make_it_leave_a_file_that_the_next_one_takes(tmp_path):
    code = MAKER.format(tests=str(Path(__file__).parent))
    for attempt in range(5):
        path = tmp_path / f"{attempt}.db"
        makers = [
            subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for maker in makers:
            assert maker.stdout is not None
            maker.stdout.readline()
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write(b"\n")
            maker.stdin.flush()
        for delay, maker in enumerate(makers, attempt):
            with pytest.raises(subprocess.TimeoutExpired):
                maker.wait(0.0005 * delay)
            maker.send_signal(signal.SIGKILL)
            maker.communicate()
        with closing(NOTES.opened(path)) as db:
            assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)
