"""The stores: the contract, and what a SQLite file must survive."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.errors import InUse, StoreError
from thoughtgraph.model import Reply
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.testing import StoreContract
from thoughtgraph.thought import ROOT, Thought
from thoughtgraph.trace import Expanded, Settled, Started


class TestMemoryStore(StoreContract):
    def store(self, tmp_path):
        return MemoryStore()


class TestSQLiteStore(StoreContract):
    def store(self, tmp_path):
        return SQLiteStore(tmp_path / "runs.db")

    def reopen(self, store, tmp_path):
        store.close()
        return SQLiteStore(tmp_path / "runs.db")


class TestSQLiteStoreWithFullSync(TestSQLiteStore):
    def store(self, tmp_path):
        return SQLiteStore(tmp_path / "runs.db", synchronous="FULL")


def begin(store, run="a"):
    store.append(run, Started(run, Thought(ROOT, (), "", None), "toy", "x", 0, {}, Budget(), created="2026"))


def step(number: int, size: int = 10) -> Expanded:
    thought = Thought(f"t{number}", (ROOT,), "step", f"{number} " * size, depth=1)
    return Expanded(f"0.{number}", "step", (ROOT,), 1, (thought.id,), (thought,))


def filled(path: Path, count: int = 50) -> SQLiteStore:
    store = SQLiteStore(path)
    begin(store)
    for number in range(count):
        store.append("a", step(number, size=200))
        store.note("a", Settled(number, (Reply("word " * 100),), Usage(calls=1)))
        store.flush()
    return store


def numbers(store) -> list[str]:
    return [event.key for event in store.events("a") if isinstance(event, Expanded)]


# -- owners and processes --------------------------------------------------------------------------


def test_two_stores_on_one_file_cannot_own_the_same_run(tmp_path):
    one, two = SQLiteStore(tmp_path / "runs.db"), SQLiteStore(tmp_path / "runs.db")
    one.claim("a")
    with pytest.raises(StoreError, match=r"run a .* has another owner .* wait for it to end"):
        two.claim("a")
    two.claim("b")
    one.release("a")
    two.claim("a")
    one.close()
    two.close()


def test_closing_gives_up_every_run_whatever_its_name_and_writes_nowhere_else(tmp_path):
    path = tmp_path / "runs.db"
    for _ in range(2):
        store = SQLiteStore(path)
        store.claim("a")
        store.claim("../b/\x00c")
        store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.db", "runs.db.locks"]


def test_a_lock_file_outlives_its_lock_so_that_all_lock_the_same_file(tmp_path):
    """Who opened the file before a release, and locks it after, must keep out those who open it later."""
    store = SQLiteStore(tmp_path / "runs.db")
    store.claim("a")
    (file,) = (tmp_path / "runs.db.locks").iterdir()
    opened = file.stat().st_ino
    store.release("a")
    store.claim("a")
    assert file.stat().st_ino == opened
    store.close()
    assert file.exists()


def test_a_run_that_another_store_went_on_with_goes_on_after_its_last_event(tmp_path):
    one, two = SQLiteStore(tmp_path / "runs.db"), SQLiteStore(tmp_path / "runs.db")
    begin(one)
    for number, store in enumerate((one, two, one)):
        store.claim("a")
        store.append("a", step(number))
        store.note("a", Settled(number, (), Usage()))
        store.flush()
        store.release("a")
    assert numbers(one) == numbers(two) == ["0.0", "0.1", "0.2"]
    assert [record.id for record in one.records("a")] == [0, 1, 2]
    one.close()
    two.close()


def test_a_killed_owner_owns_nothing(tmp_path):
    path = tmp_path / "runs.db"
    code = (
        "import os, sys, signal; from thoughtgraph.store import SQLiteStore; s = SQLiteStore(sys.argv[1]); "
        "s.claim('a'); print('claimed', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False, env=there())
    assert (done.stdout, done.returncode) == ("claimed\n", -9)
    store = SQLiteStore(path)
    store.claim("a")
    store.close()


WRITER = """
import sys
from thoughtgraph.budget import Budget
from thoughtgraph.store import SQLiteStore
from thoughtgraph.thought import ROOT, Thought
from thoughtgraph.trace import Expanded, Started
path, run = sys.argv[1:]
store = SQLiteStore(path)
store.claim(run)
store.append(run, Started(run, Thought(ROOT, (), "", None), "toy", "x", 0, {}, Budget()))
for number in range(200):
    store.keep(f"{number} is a text that both keep")
    store.append(run, Expanded(f"0.{number}", "step", (ROOT,), 1, (), ()))
    if number % 3 == 0:
        store.flush()
store.close()
"""


def there() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_processes_write_to_one_file_at_once(tmp_path):
    path, runs = tmp_path / "runs.db", ["a", "b", "c"]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, run], env=there()) for run in runs]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    store = SQLiteStore(path)
    assert sorted(store.runs()) == runs
    for run in runs:
        assert [e.key for e in store.events(run)[1:]] == [f"0.{n}" for n in range(200)]
    store.close()


# -- damage ----------------------------------------------------------------------------------------


def test_what_was_flushed_survives_a_copy_of_the_files_and_what_was_not_is_gone(tmp_path):
    store = filled(tmp_path / "runs.db", 5)
    store.append("a", step(5))  # not flushed
    copied(tmp_path, tmp_path / "copy")
    store.close()
    again = SQLiteStore(tmp_path / "copy" / "runs.db")
    assert numbers(again) == [f"0.{n}" for n in range(5)]
    again.close()


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    for name in ("runs.db", "runs.db-wal"):
        shutil.copy(source / name, target / name)
    return target


def test_a_wal_cut_anywhere_opens_with_a_prefix_of_the_run(tmp_path):
    store = filled(tmp_path / "runs.db")
    whole = [f"0.{n}" for n in range(50)]
    size = (tmp_path / "runs.db-wal").stat().st_size
    assert size > 50_000
    rng, lengths = random.Random(0), []
    for number in range(25):
        folder = copied(tmp_path, tmp_path / str(number))
        os.truncate(folder / "runs.db-wal", rng.randrange(size))
        again = SQLiteStore(folder / "runs.db")
        found = numbers(again) if again.runs() else []
        assert found == whole[: len(found)]
        lengths.append(len(found))
        begin(again, "b")
        again.close()
    assert len(set(lengths)) > 10
    store.close()


def untouched(path: Path, match: str, **how: bool) -> None:
    """Opening `path` is a StoreError, and no byte changes (SQLite may lay its own working files beside it)."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with pytest.raises(StoreError, match=match):
        SQLiteStore(path, **how)
    after = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    assert after.items() >= before.items()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_an_error_and_stays_as_it_is(tmp_path, share):
    path = tmp_path / "runs.db"
    filled(path).close()
    os.truncate(path, int(path.stat().st_size * share))
    untouched(path, "is damaged .* restore it from a copy")


def test_a_file_with_a_page_of_rubbish_is_an_error_and_stays_as_it_is(tmp_path):
    path = tmp_path / "runs.db"
    filled(path).close()
    body = bytearray(path.read_bytes())
    body[8192:12288] = b"\xff" * 4096
    path.write_bytes(body)
    untouched(path, "is damaged")


def test_a_file_of_another_schema_is_an_error_that_says_which(tmp_path):
    path = tmp_path / "runs.db"
    filled(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    untouched(path, "has version 99, and this thoughtgraph reads 1: open it with")


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "bank.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE money (x)")
    db.close()
    untouched(path, "not a file of thoughtgraph's runs")


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "thesis.txt"
    path.write_text("All happy families are alike. " * 1000)
    untouched(path, "damaged|not a file of thoughtgraph")


@pytest.mark.parametrize("size", [1, 99, 100, 4096, 50_000])
@pytest.mark.parametrize("head", [b"", b"SQLite format 3\x00"])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_rubbish_is_left_alone(tmp_path, size, head, read_only):
    path = tmp_path / "noise.bin"
    path.write_bytes((head + random.Random(size).randbytes(size))[:size])
    untouched(path, "damaged|cannot be used|not a file of thoughtgraph", read_only=read_only)


@pytest.mark.skipif(os.name != "posix", reason="permissions are otherwise there")
def test_a_store_is_made_for_its_owners_eyes_only(tmp_path):
    store = filled(tmp_path / "runs.db")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("runs.db*") if path.is_file()} == {0o600}
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_run_has_one_owner_by_whatever_name_its_file_is_called(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.db").symlink_to(tmp_path / "runs.db")
    first, second = filled(tmp_path / "runs.db"), SQLiteStore(tmp_path / "elsewhere" / "link.db")
    first.claim("a")
    with pytest.raises(InUse):
        second.claim("a")
    first.close()
    second.close()


def test_an_empty_file_holds_no_runs_to_look_at_and_is_left_alone(tmp_path):
    path = tmp_path / "runs.db"
    path.touch()
    untouched(path, r"runs\.db is empty: name the file that the run was recorded in", read_only=True)
    assert path.stat().st_size == 0


def test_an_empty_file_becomes_a_store_since_another_process_may_be_making_it(tmp_path):
    path = tmp_path / "runs.db"
    path.touch()
    store = SQLiteStore(path)
    assert store.runs() == []
    store.close()


def test_a_row_that_does_not_read_is_an_error_that_names_the_run(tmp_path):
    path = tmp_path / "runs.db"
    filled(path, 3).close()
    with sqlite3.connect(path) as db:
        db.execute("""UPDATE events SET body = '{"kind": "expanded"}' WHERE seq = 2""")
    db.close()
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=r"damaged .*run a holds a row that does not read"):
        store.events("a")
    store.close()


def test_a_text_that_is_gone_is_an_error_that_names_the_run(tmp_path):
    path = tmp_path / "runs.db"
    filled(path, 3).close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM texts")
    db.close()
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=r"damaged .*run a names a text that is gone"):
        store.events("a")
    store.close()


# -- looking without touching ----------------------------------------------------------------------


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder that all may read and none may write, and none of root's rights."""
    folder = Path(tempfile.mkdtemp())
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        filled(folder / "runs.db", 3).close()
        (folder / "runs.db").chmod(0o644)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_store_that_is_open_read_only_shows_its_runs_and_takes_nothing(tmp_path):
    path = tmp_path / "runs.db"
    filled(path, 3).close()
    before = path.read_bytes()
    store = SQLiteStore(path, read_only=True)
    assert store.runs() == ["a"]
    assert numbers(store) == ["0.0", "0.1", "0.2"]
    assert len(store.records("a")) == 3
    attempts = (
        lambda: store.append("a", step(3)),
        lambda: store.note("a", Settled(9, (), Usage())),
        lambda: store.keep("text"),
        lambda: store.claim("a"),
    )
    for attempt in attempts:
        with pytest.raises(StoreError, match="is open read-only: open it without read_only"):
            attempt()
    store.release("a")
    store.flush()
    store.close()
    assert path.read_bytes() == before
    assert not (tmp_path / "runs.db.locks").exists()


def test_a_run_is_seen_read_only_while_its_owner_goes_on(tmp_path):
    store = filled(tmp_path / "runs.db", 2)
    store.claim("a")
    looking = SQLiteStore(tmp_path / "runs.db", read_only=True)
    assert numbers(looking) == ["0.0", "0.1"]
    store.append("a", step(2))  # not flushed: a transaction is open
    assert numbers(looking) == ["0.0", "0.1"]
    store.flush()
    assert numbers(looking) == ["0.0", "0.1", "0.2"]
    assert looking.ends("a")[1] == step(2)
    looking.close()
    store.close()


def test_nothing_is_made_where_there_is_nothing_to_look_at(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store .*: name the file that the run was recorded in"):
        SQLiteStore(tmp_path / "runs.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are otherwise there")
def test_a_store_on_a_disk_that_nobody_may_write_can_be_looked_at(nobody):
    store = SQLiteStore(nobody / "runs.db", read_only=True)
    assert numbers(store) == ["0.0", "0.1", "0.2"]
    store.close()
    assert [path.name for path in nobody.iterdir()] == ["runs.db"]
    with pytest.raises(StoreError, match="cannot be used"):
        SQLiteStore(nobody / "runs.db")


@pytest.mark.skipif(os.name != "posix", reason="permissions are otherwise there")
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_what_may_not_be_read_is_an_error_that_says_what_to_do(nobody, closed, read_only):
    path = nobody / "runs.db"
    euid = os.geteuid()
    os.seteuid(os.getuid())
    (path if closed == "file" else nobody).chmod(0)
    os.seteuid(euid)
    with pytest.raises(StoreError, match=r"cannot be used .*ermi"):
        SQLiteStore(path, read_only=read_only)


def test_the_first_and_the_last_event_are_read_without_the_rest(tmp_path):
    path = tmp_path / "runs.db"
    store = filled(path, 3)
    begin(store, "b")
    assert [event.kind for event in store.ends("b")] == ["started", "started"]
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET body = 'broken' WHERE run = 'a' AND seq = 1")
    db.close()
    store = SQLiteStore(path, read_only=True)
    first, last = store.ends("a")
    assert (first.kind, last) == ("started", step(2, size=200))
    store.close()


# -- replies that look like ours -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["short", "long " * 100])
@pytest.mark.parametrize("finish", ["$text ", "$text a", "$text a b", "$text a b c", "$text", "stop"])
@pytest.mark.parametrize("other", [(), (Reply("long " * 200),)])
def test_a_reply_whose_ending_looks_like_ours_comes_back_as_it_was(tmp_path, text, finish, other):
    store = SQLiteStore(tmp_path / "runs.db")
    begin(store)
    record = Settled(0, (Reply(text, finish), *other), Usage())
    store.note("a", record)
    assert store.records("a") == [record]
    store.close()


# -- places that cannot be written -----------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_in_place_of_the_file_is_an_error_that_says_what_to_do(tmp_path, read_only):
    with pytest.raises(StoreError, match=r"cannot be used \(it is a folder\): .* name another file with store="):
        SQLiteStore(tmp_path, read_only=read_only)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_place_of_the_file_is_an_error_and_waits_for_nobody(tmp_path):
    os.mkfifo(tmp_path / "runs.db")
    with pytest.raises(StoreError, match=r"it is no plain file"):
        SQLiteStore(tmp_path / "runs.db")


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="cannot be used"):
        SQLiteStore(tmp_path / "nowhere" / "runs.db")


def test_a_place_that_refuses_files_is_an_error_that_says_what_to_do():
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    with pytest.raises(StoreError, match="cannot be used"):
        SQLiteStore("/proc/runs.db")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_an_error_that_says_what_to_do(tmp_path):
    path = tmp_path / "runs.db"
    filled(path, 3).close()
    path.chmod(0o400)
    with pytest.raises(StoreError, match="cannot be used"):
        SQLiteStore(path)


def test_a_full_disk_is_an_error_and_what_was_flushed_before_is_whole(tmp_path):
    path = tmp_path / "runs.db"
    store = filled(path, 5)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 4}")

    def much():
        for number in range(5, 500):
            store.append("a", step(number, size=500))
            store.flush()

    with pytest.raises(StoreError, match=r"full.*free space"):
        much()
    store._db.execute("PRAGMA max_page_count = 1000000")
    held = numbers(store)
    assert held == [f"0.{n}" for n in range(len(held))]
    assert len(held) >= 5
    store.append("a", step(len(held)))  # space was made: the run goes on without a gap
    store.flush()
    assert numbers(store) == [f"0.{n}" for n in range(len(held) + 1)]
    texts = {event.thoughts[0].content for event in store.events("a")[1:]}
    assert len(texts) == len(held) + 1
    store.close()
    again = SQLiteStore(path)
    assert len(numbers(again)) == len(held) + 1
    again.close()


def test_an_unknown_word_for_synchronous_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='expected "NORMAL" or "FULL"'):
        SQLiteStore(tmp_path / "runs.db", synchronous="OFF")


def test_a_long_text_is_stored_once_however_often_it_is_used(tmp_path):
    store = SQLiteStore(tmp_path / "runs.db")
    begin(store)
    text = "x" * 100_000
    for number in range(50):
        thought = Thought(f"t{number}", (ROOT,), "step", text, depth=1)
        store.append("a", Expanded(f"0.{number}", "step", (ROOT,), 1, (thought.id,), (thought,)))
    store.close()
    assert (tmp_path / "runs.db").stat().st_size < 300_000
