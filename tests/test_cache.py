"""The cache of paid replies: what it keeps, what it shares, what it lets go, and what a file of it must survive."""

# pyright: reportPrivateUsage=false

import asyncio
import gc
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from thoughtgraph.cache import APPLICATION, Cache, as_cache, content_key
from thoughtgraph.errors import StoreError
from thoughtgraph.model import Reply

DAY = 24 * 3600.0


@pytest.fixture(params=["file", "memory"])
def cache(request: pytest.FixtureRequest, tmp_path: Path):
    with closing(Cache(tmp_path / "replies.db" if request.param == "file" else None)) as cache:
        yield cache


def said(*texts: str) -> dict[int, Reply]:
    """Replies to draws 0, 1, 2, ..."""
    return {draw: Reply(text) for draw, text in enumerate(texts)}


def texts(cache: Cache, key: str, *draws: int) -> dict[int, str]:
    return {draw: reply.text for draw, reply in cache.get(key, draws).items()}


def aged(cache: Cache, key: str, seconds: float) -> None:
    """Pretend that a key was last used so long ago."""
    cache.flush()
    cache._db.execute("UPDATE replies SET used = ? WHERE key = ?", (time.time() - seconds, key))


def used(cache: Cache, key: str) -> float:
    return cache._db.execute("SELECT min(used) FROM replies WHERE key = ?", (key,)).fetchone()[0]


# -- what it keeps ---------------------------------------------------------------------------------


def test_asking_for_five_after_having_three_leaves_two_to_ask_for(cache):
    cache.put("a", said("0", "1", "2"), "m")
    cache.flush()
    assert texts(cache, "a", 0, 1, 2, 3, 4) == {0: "0", 1: "1", 2: "2"}
    with cache.claim("a", range(5)) as claim:
        assert claim.mine == [3, 4]


def test_a_reply_is_there_before_it_is_flushed_and_after(cache):
    cache.put("a", said("yes"), "m")
    assert texts(cache, "a", 0) == {0: "yes"}
    cache.flush()
    assert texts(cache, "a", 0) == {0: "yes"}


def test_another_key_another_reply_and_no_draw_no_reply(cache):
    cache.put("a", said("yes"), "m")
    cache.flush()
    assert cache.get("b", [0]) == cache.get("a", [1]) == cache.get("a", []) == {}


def test_only_the_draws_that_are_wanted_come_however_they_lie(cache):
    cache.put("a", said("0", "1", "2", "3"), "m")
    cache.flush()
    assert texts(cache, "a", 3, 0, 9) == {3: "3", 0: "0"}


def test_the_first_reply_to_a_draw_is_never_replaced(cache):
    cache.put("a", said("first"), "m")
    cache.put("a", said("second"), "m")
    cache.flush()
    cache.put("a", said("third"), "m")
    assert texts(cache, "a", 0) == {0: "first"}
    cache.flush()
    assert texts(cache, "a", 0) == {0: "first"}
    assert len(cache) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(""),
        Reply("line\nline\x00\x1b[31m \N{SNOWMAN} \N{GRINNING FACE}", "length"),
        Reply("yes", "stop", (("y", -0.25), ("es", -1e-9), ("\N{SNOWMAN}", float("-inf")))),
        Reply("x" * 1_000_000),
    ],
    ids=["empty", "signs", "logprobs", "a megabyte"],
)
def test_a_reply_comes_back_as_it_was(cache, reply):
    cache.put("a", {7: reply}, "m")
    assert cache.get("a", [7]) == {7: reply}
    cache.flush()
    assert cache.get("a", [7]) == {7: reply}
    assert isinstance(cache.get("a", [7])[7].logprobs, tuple)


def test_half_a_character_pair_becomes_a_replacement_sign(cache):
    cache.put("a", {0: Reply("half \ud83d", "st\ud83dop", (("\ud83d", -1.0),))}, "mod\ud83del")
    cache.flush()
    assert cache.get("a", [0]) == {0: Reply("half ?", "st?op", (("?", -1.0),))}
    assert not cache.trouble


def test_an_empty_cache_is_a_cache_all_the_same(cache):
    assert len(cache) == 0
    assert cache


def test_what_was_flushed_is_there_for_the_next_one_and_its_closing_flushes(tmp_path):
    with closing(Cache(tmp_path / "replies.db")) as cache:
        cache.put("a", said("yes"), "m")
    with closing(Cache(tmp_path / "replies.db")) as cache:
        assert texts(cache, "a", 0) == {0: "yes"}
    assert [path.name for path in tmp_path.iterdir()] == ["replies.db"]


def test_a_key_stands_for_its_parts_whatever_the_order_of_names():
    one = content_key({"model": "m", "messages": [["user", "hello"]], "seed": 1})
    assert one == content_key({"seed": 1, "messages": [["user", "hello"]], "model": "m"})
    assert one == "5f522b8f37362fcfdb429f272add08b7"  # if this changes, every file of replies is paid for again
    others = [{"model": "m"}, ["m"], "m", [["m"]], ["m", ""], None, 0, 1, "\ud83d", "?"]
    assert len({one, *map(content_key, others)}) == 1 + len(others)


@pytest.mark.parametrize("parts", [float("nan"), {"x": object()}, b"bytes"])
def test_what_is_no_json_has_no_key(parts):
    with pytest.raises((TypeError, ValueError)):
        content_key(parts)


# -- what it lets go -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10, 1_500, 3_000, 20_000])
def test_the_bound_holds_after_every_flush_and_the_latest_stay(tmp_path, length):
    path = tmp_path / "replies.db"
    with closing(Cache(path, megabytes=0.5)) as cache:
        for number in range(1_000_000 // (length + 100)):
            cache.put(f"{number:032}", said("x" * length), "m")
            if number % 10 == 9:
                cache.flush()
                assert cache.size <= 500_000
        assert texts(cache, f"{number:032}", 0)
        assert not texts(cache, f"{0:032}", 0)
        assert cache.size > 300_000
    assert path.stat().st_size <= 500_000


def test_those_go_that_were_used_longest_ago(cache):
    cache._most = 500_000
    for number in range(10):
        cache.put(f"{number}", said("x" * 40_000), "m")
        aged(cache, f"{number}", DAY - number)
    assert texts(cache, "0", 0)  # the oldest is used again
    cache.put("more", said("x" * 100_000), "m")
    cache.flush()
    assert [key for key in "0123456789" if texts(cache, key, 0)] == ["0", "4", "5", "6", "7", "8", "9"]


def test_a_file_of_a_larger_bound_shrinks_to_a_smaller_one(tmp_path):
    path = tmp_path / "replies.db"
    with closing(Cache(path)) as cache:
        cache.put("a", {draw: Reply("x" * 1000) for draw in range(3000)}, "m")
    assert path.stat().st_size > 3_000_000
    with closing(Cache(path, megabytes=1)) as cache:
        cache.put("b", said("yes"), "m")
        cache.flush()
        assert texts(cache, "b", 0) == {0: "yes"}
    assert path.stat().st_size <= 1_000_000


def test_a_reply_larger_than_the_bound_is_no_trouble(cache):
    cache._most = 100_000
    cache.put("a", said("x" * 1_000_000), "m")
    cache.flush()
    assert (len(cache), cache.trouble) == (0, "")


@pytest.mark.parametrize("megabytes", [-1, float("nan"), "1"])
def test_a_bound_is_a_number(megabytes):
    with pytest.raises(ValueError, match=r"megabytes is .*: expected a number of at least 0"):
        Cache(megabytes=megabytes)


def test_no_bound_is_a_bound():
    with closing(Cache(megabytes=float("inf"))) as cache:
        cache.put("a", said("yes"), "m")
        assert len(cache) == 1


def test_a_use_is_written_down_once_an_hour(cache):
    cache.put("a", said("yes"), "m")
    for ago, written in ((1800.0, False), (7200.0, True)):
        aged(cache, "a", ago)
        before = used(cache, "a")
        cache.get("a", [0])
        cache.flush()
        assert (used(cache, "a") > before + 1000) is written


def test_clearing_takes_what_was_not_used_for_so_many_days_or_one_model_or_all(cache):
    cache.put("a", said("0", "1"), "old")
    cache.put("b", said("0"), "old")
    cache.put("c", said("0"), "new")
    aged(cache, "a", 3 * DAY)
    aged(cache, "c", 3 * DAY)
    assert cache.clear(days=2, model="new") == 1
    assert cache.clear(days=2) == 2
    assert cache.clear(model="elsewhere") == 0
    assert len(cache) == 1
    assert cache.clear() == 1
    assert len(cache) == 0


def test_what_is_cleared_is_in_no_file_any_more(tmp_path):
    with closing(Cache(tmp_path / "replies.db")) as cache:
        cache.put("a", {draw: Reply("a private matter " * 50) for draw in range(100)}, "m")
        cache.flush()
        assert cache.clear() == 100
        left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"private" not in left
        assert (tmp_path / "replies.db").stat().st_size < 60_000


# -- in flight -------------------------------------------------------------------------------------


class Asking:
    """Asks a cache, and what is not there of a model that takes its time; counts what the model was asked."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.asked, self.faults = cache, list[int](), 0
        self.go = asyncio.Event()

    async def __call__(self, *draws: int) -> dict[int, str]:
        found: dict[int, Reply] = {}
        while missing := [draw for draw in draws if draw not in found]:
            with self.cache.claim("key", missing) as claim:
                found |= claim.found
                if claim.mine:
                    replies = await self.model(claim.mine)
                    self.cache.put("key", replies, "m")
                    found |= replies
            await claim.landed()
        return {draw: reply.text for draw, reply in found.items()}

    async def model(self, draws: list[int]) -> dict[int, Reply]:
        self.asked += draws
        await self.go.wait()
        if self.faults:
            self.faults -= 1
            raise OSError("no answer")
        return {draw: Reply(f"said {draw}") for draw in draws}

    async def landing(self, *tasks: "asyncio.Task[dict[int, str]]") -> list[dict[int, str] | BaseException]:
        """Let the tasks begin, then the model answer."""
        for _ in range(5):
            await asyncio.sleep(0)
        self.go.set()
        async with asyncio.timeout(10):
            return await asyncio.gather(*tasks, return_exceptions=True)


async def test_equal_draws_in_flight_are_asked_once(cache):
    asking = Asking(cache)
    got = await asking.landing(*(asyncio.create_task(asking(0, 1, 2)) for _ in range(20)))
    assert got == [{0: "said 0", 1: "said 1", 2: "said 2"}] * 20
    assert asking.asked == [0, 1, 2]


async def test_who_asks_for_more_asks_only_for_what_nobody_asks_for(cache):
    asking = Asking(cache)
    cache.put("key", said("known"), "m")
    one, two = asyncio.create_task(asking(0, 1, 2)), asyncio.create_task(asking(1, 2, 3, 4))
    first, second = await asking.landing(one, two)
    assert first == {0: "known", 1: "said 1", 2: "said 2"}
    assert second == {1: "said 1", 2: "said 2", 3: "said 3", 4: "said 4"}
    assert sorted(asking.asked) == [1, 2, 3, 4]


async def test_two_who_need_each_others_draws_do_not_wait_for_ever(cache):
    asking = Asking(cache)
    with cache.claim("key", [1]) as other:
        task = asyncio.create_task(asking(0, 1))
        await asking.landing(asyncio.create_task(asking(0)))
        assert other.mine == [1]
        with cache.claim("key", [0, 1]) as claim:
            assert (list(claim.found), claim.mine, len(claim.flying)) == ([0], [], 1)
    assert await asyncio.wait_for(task, 10) == {0: "said 0", 1: "said 1"}


async def test_where_the_one_who_asked_fails_the_next_one_asks(cache):
    asking = Asking(cache)
    asking.faults = 2
    got = await asking.landing(*(asyncio.create_task(asking(0)) for _ in range(5)))
    assert sorted(map(str, got)) == ["no answer", "no answer", *["{0: 'said 0'}"] * 3]
    assert asking.asked == [0, 0, 0]


async def test_where_the_one_who_asked_is_cancelled_the_next_one_asks(cache):
    asking = Asking(cache)
    first, second, third = (asyncio.create_task(asking(0)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance((await asking.landing(first))[0], asyncio.CancelledError)
    assert await asking.landing(second, third) == [{0: "said 0"}] * 2
    assert asking.asked == [0, 0]


async def test_where_one_who_waits_is_cancelled_nobody_else_is_disturbed(cache):
    asking = Asking(cache)
    first, second, third = (asyncio.create_task(asking(0)) for _ in range(3))
    for _ in range(3):
        await asyncio.sleep(0)
    second.cancel()
    got = await asking.landing(first, second, third)
    assert isinstance(got[1], asyncio.CancelledError)
    assert (got[0], got[2], asking.asked) == ({0: "said 0"}, {0: "said 0"}, [0])


async def test_a_draw_lands_when_it_is_put_although_its_block_goes_on(cache):
    with cache.claim("key", [0, 1]):
        with cache.claim("key", [0]) as waiting:
            assert (waiting.mine, waiting.found) == ([], {})
        cache.put("key", said("early"), "m")
        await asyncio.wait_for(waiting.landed(), 10)
        assert texts(cache, "key", 0) == {0: "early"}


async def test_the_end_of_a_block_lands_no_draw_that_somebody_else_claimed_since(cache):
    with cache.claim("key", [0]):
        cache.put("key", said("gone soon"), "m")
        cache.clear()
        later = cache.claim("key", [0])
        assert later.__enter__().mine == [0]
    with cache.claim("key", [0]) as waiting:
        assert (waiting.mine, len(waiting.flying)) == ([], 1)
        assert not waiting.flying[0].done()
    later.__exit__(None, None, None)
    await asyncio.wait_for(waiting.landed(), 10)


def test_a_draw_that_is_named_twice_is_claimed_once(cache):
    with cache.claim("key", [0, 0, 1]) as claim:
        assert (claim.mine, claim.flying) == ([0, 1], [])


def test_event_loops_in_several_threads_ask_once_between_them(cache):
    asked, barrier = list[int](), threading.Barrier(4)
    got = list[dict[int, Reply]]()

    async def ask() -> None:
        barrier.wait(10)
        with cache.claim("key", [0, 1]) as claim:
            if claim.mine:
                asked.extend(claim.mine)
                await asyncio.sleep(0.1)
                cache.put("key", said("0", "1"), "m")
        await claim.landed()
        got.append(cache.get("key", [0, 1]))

    threads = [threading.Thread(target=lambda: asyncio.run(asyncio.wait_for(ask(), 30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert asked == [0, 1]
    assert got == [said("0", "1")] * 4


def test_an_event_loop_that_ended_while_it_waited_disturbs_nobody(cache):
    async def wait() -> None:
        with cache.claim("key", [0]) as claim:
            pass
        await asyncio.wait_for(claim.landed(), 0.01)

    with cache.claim("key", [0]) as claim:
        with pytest.raises(TimeoutError):
            asyncio.run(wait())
        cache.put("key", said("yes"), "m")
    assert claim.mine == [0]
    assert texts(cache, "key", 0) == {0: "yes"}


# -- several of them -------------------------------------------------------------------------------


def there() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_two_caches_on_one_file_see_what_the_other_flushed_and_the_first_reply_wins(tmp_path):
    path = tmp_path / "replies.db"
    with closing(Cache(path)) as one, closing(Cache(path)) as two:
        one.put("a", said("one's"), "m")
        two.put("a", said("two's", "two's"), "m")
        assert texts(two, "a", 0) == {0: "two's"}
        one.flush()
        assert texts(two, "a", 0) == {0: "one's"}
        two.flush()
        assert texts(one, "a", 0, 1) == texts(two, "a", 0, 1) == {0: "one's", 1: "two's"}


WRITER = """
import sys
from contextlib import closing
from thoughtgraph.cache import Cache
from thoughtgraph.model import Reply
path, name = sys.argv[1:]
for start in range(0, 150, 5):
    with closing(Cache(path)) as cache:
        for number in range(start, start + 5):
            cache.put(f"shared {number}", {0: Reply(name)}, "m")
            cache.put(f"{name} {number}", {0: Reply("own " * number)}, "m")
            cache.flush()
    assert not cache.trouble, cache.trouble
"""


def test_processes_make_and_fill_one_file_at_once(tmp_path):
    path, names = tmp_path / "replies.db", ["a", "b", "c"]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name], env=there()) for name in names]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    with closing(Cache(path)) as cache:
        assert len(cache) == 4 * 150
        for number in range(150):
            assert cache.get(f"shared {number}", [0])[0].text in names
            assert [texts(cache, f"{name} {number}", 0) for name in names] == [{0: "own " * number}] * 3


def test_a_file_that_another_process_is_making_at_this_moment_is_waited_for(tmp_path):
    path = tmp_path / "replies.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE soon (x)")
        other.execute("DROP TABLE soon")
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, other.execute, ["ROLLBACK"]).start()
        with closing(Cache(path)) as cache:
            assert not other.in_transaction
            assert not cache.trouble


KILLED = """
import itertools, sys
from thoughtgraph.cache import Cache
from thoughtgraph.model import Reply
cache = Cache(sys.argv[1], megabytes=2)
for number in itertools.count():
    cache.put(str(number), {0: Reply(f"{number} " * 300)}, "m")
    cache.flush()
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize("after", [1, 50, 1500])
def test_a_kill_at_any_moment_leaves_a_file_with_all_that_was_flushed(tmp_path, after):
    path = tmp_path / "replies.db"
    with subprocess.Popen([sys.executable, "-c", KILLED, path], env=there(), stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            if int(line) >= after:
                run.send_signal(signal.SIGKILL)
                break
        last = max(int(line) for line in [line, *(run.stdout or ())] if line.endswith("\n"))
    assert run.returncode == -signal.SIGKILL
    with closing(Cache(path, megabytes=2)) as cache:
        for number in range(max(0, last - 300), last + 1):
            assert texts(cache, str(number), 0) == {0: f"{number} " * 300}
        cache.put("after", said("yes"), "m")
        cache.flush()
        assert (texts(cache, "after", 0), cache.trouble) == ({0: "yes"}, "")


# -- trouble ---------------------------------------------------------------------------------------


def filled(path: Path, count: int = 200) -> Path:
    with closing(Cache(path)) as cache:
        cache.put("a", {draw: Reply(f"{draw} " * 200) for draw in range(count)}, "m")
    return path


def untouched(path: Path, match: str) -> None:
    """Opening `path` is a StoreError that names it, and no byte changes."""
    before = path.read_bytes()
    with pytest.raises(StoreError, match=match) as caught:
        Cache(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_truncated_file_is_an_error_that_says_what_to_do(tmp_path, share):
    path = filled(tmp_path / "replies.db")
    os.truncate(path, int(path.stat().st_size * share))
    untouched(path, "is damaged .*: delete it, since a cache can be spared, or name another file with cache=")


def test_a_file_with_a_page_of_rubbish_is_an_error(tmp_path):
    path = filled(tmp_path / "replies.db")
    body = bytearray(path.read_bytes())
    body[4 * 8192 : 5 * 8192] = b"\xff" * 8192
    path.write_bytes(body)
    untouched(path, "is damaged")


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "bank.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE money (x)")
    untouched(path, "is not a cache of thoughtgraph's: name another file")


def test_a_cache_of_another_version_is_left_alone(tmp_path):
    path = filled(tmp_path / "replies.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    untouched(path, "has version 99, and this thoughtgraph reads 1: delete it")


@pytest.mark.parametrize("body", [b"x", b"All happy families " * 1000, b"SQLite format 3\x00" + b"\x07" * 5000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, body):
    (path := tmp_path / "thesis.txt").write_bytes(body)
    untouched(path, "is damaged|is not a cache of thoughtgraph's")


def test_a_folder_is_no_cache(tmp_path):
    with pytest.raises(StoreError, match=r"cannot be used \(it is a folder\)"):
        Cache(tmp_path)


@pytest.mark.parametrize("name", ["nowhere/replies.db", "nul\x00"])
def test_a_place_where_no_file_can_be_is_an_error_that_says_what_to_do(tmp_path, name):
    with pytest.raises(StoreError, match=r"cannot be used .* go without with cache=False"):
        Cache(f"{tmp_path}/{name}")


def test_an_empty_file_becomes_a_cache_since_another_process_may_be_making_it(tmp_path):
    (path := tmp_path / "replies.db").touch()
    assert filled(path).stat().st_size > 0


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that all may read and none may write, and none of root's rights."""
    folder = Path(tempfile.mkdtemp()).resolve()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        filled(folder / "replies.db").chmod(0o444)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions are otherwise there")
def test_what_may_not_be_written_is_an_error_when_it_is_opened(nobody):
    untouched(nobody / "replies.db", "cannot be used .* permit writing there")
    with pytest.raises(StoreError, match=r"cannot be used .*ermission denied.* permit writing there"):
        Cache(nobody / "new.db")
    assert [path.name for path in nobody.iterdir()] == ["replies.db"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are otherwise there")
def test_nobody_else_may_read_the_replies(tmp_path):
    before = os.umask(0)
    try:
        with closing(Cache(tmp_path / "replies.db")) as cache:
            cache.put("a", said("private"), "m")
            cache.flush()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"replies.db": 0o600, "replies.db-wal": 0o600, "replies.db-shm": 0o600}


def test_a_full_disk_loses_no_reply_and_ends_nothing(tmp_path):
    path = filled(tmp_path / "replies.db")
    with closing(Cache(path)) as cache:
        cache._db.execute("PRAGMA max_page_count = 1")  # SQLite's own full disk: what it has, and not a page more
        cache.put("new", said("x" * 100_000, "paid"), "m")
        cache.flush()
        assert "replies.db cannot be used (database or disk is full): free space" in cache.trouble
        assert cache.trouble.endswith("meanwhile replies are kept in memory")
        assert texts(cache, "new", 1) == {1: "paid"}
        cache.put("newer", said("paid"), "m")
        cache.flush()
        assert texts(cache, "newer", 0) == {0: "paid"}
    with closing(Cache(path)) as cache:
        assert len(cache) == 200


def test_a_file_that_another_process_locks_for_too_long_is_done_without(tmp_path):
    path = filled(tmp_path / "replies.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(Cache(path)) as cache:
        cache._db.execute("PRAGMA busy_timeout = 20")  # else 30 s
        other.execute("BEGIN IMMEDIATE")
        cache.put("new", said("paid"), "m")
        cache.flush()
        assert "database is locked" in cache.trouble
        assert texts(cache, "new", 0) == {0: "paid"}


def test_a_file_that_breaks_while_it_is_open_is_done_without(tmp_path):
    path = filled(tmp_path / "replies.db")
    with closing(Cache(path)) as cache:
        os.truncate(path, 8192)
        cache.put("new", said("paid"), "m")
        assert texts(cache, "new", 0) == {0: "paid"}
        cache.flush()
        assert texts(cache, "new", 0) == {0: "paid"}
        assert "replies.db is damaged" in cache.trouble


@pytest.mark.parametrize(
    "body", ["no JSON", "[]", '[1, "stop", []]', '["a", 2, []]', '["text", "stop", [["y"]]]', "null", '["a", "b", 1]']
)
def test_a_reply_that_does_not_read_is_trouble_and_no_reply(tmp_path, body):
    path = filled(tmp_path / "replies.db")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE replies SET body = ? WHERE draw = 3", (body,))
    with closing(Cache(path)) as cache:
        assert texts(cache, "a", 3) == {}
        assert "is damaged (it holds a reply that does not read" in cache.trouble


# -- naming one ------------------------------------------------------------------------------------


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.delenv("TG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    return monkeypatch


def named(which) -> Path | None:
    cache = as_cache(which)
    assert cache
    cache.close()
    assert cache.closed
    return cache.path


@pytest.mark.parametrize("said", [None, "", "0"])
def test_without_a_name_there_is_no_cache(unset, said):
    if said is not None:
        unset.setenv("TG_CACHE", said)
    assert as_cache(None) is None


def test_the_environment_may_name_one_and_false_switches_it_off(unset, tmp_path):
    unset.setenv("TG_CACHE", str(tmp_path / "named.db"))
    assert named(None) == (tmp_path / "named.db").resolve()
    assert as_cache(False) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is elsewhere")
def test_true_is_the_users_own(unset, tmp_path):
    own = (tmp_path / "own" / "thoughtgraph" / "replies.db").resolve()
    assert named(True) == own
    assert own.exists()
    unset.setenv("TG_CACHE", "1")
    assert named(None) == own


def test_a_name_begins_at_home_where_it_says_so(unset, tmp_path):
    unset.setenv("HOME", str(tmp_path))
    unset.setenv("USERPROFILE", str(tmp_path))
    assert named("~/replies.db") == named(tmp_path / "replies.db") == (tmp_path / "replies.db").resolve()


def test_who_names_the_same_file_gets_the_same_cache_until_all_have_closed_it(tmp_path):
    one, two = as_cache(tmp_path / "replies.db"), as_cache(f"{tmp_path}/../{tmp_path.name}/replies.db")
    assert one
    assert one is two
    one.put("a", said("yes"), "m")
    one.close()
    assert texts(one, "a", 0) == {0: "yes"}
    one.close()
    assert one.closed
    three = as_cache(tmp_path / "replies.db")
    assert three
    assert three is not one
    assert texts(three, "a", 0) == {0: "yes"}
    three.close()


def test_a_cache_that_is_lent_stays_open_for_its_owner(tmp_path):
    with closing(Cache()) as mine:
        lent = as_cache(mine)
        assert lent is mine
        lent.close()
        assert not mine.closed
    assert mine.closed
    mine.close()
    with pytest.raises(StoreError, match="the cache in memory is closed: open another one"):
        as_cache(mine)


def test_a_cache_that_nobody_closed_leaves_no_warning(tmp_path):
    cache = Cache(tmp_path / "replies.db")
    cache.put("a", said("yes"), "m")
    cache.flush()
    del cache
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["replies.db"]


def test_the_file_says_whose_it_is_and_holds_no_prompt(tmp_path):
    path = filled(tmp_path / "replies.db")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert [row[1] for row in db.execute("PRAGMA table_info(replies)")] == [
            "key", "draw", "model", "used", "size", "body",
        ]  # fmt: skip
