"""Forgetting everywhere: files of knowledge, runs and replies, read byte by byte, and killed at every statement."""

# pyright: reportArgumentType=false, reportPrivateUsage=false

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.cache import Cache
from thoughtgraph.errors import InUse, StoreError, TaskError
from thoughtgraph.generators import Sample
from thoughtgraph.labels import Labels
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.learning.training import train_critic
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Prompt, narrate, quote
from thoughtgraph.recipes.forgetting import Forgetting, forget
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.store import SQLiteStore
from thoughtgraph.trace import Forgotten

SECRET = 'Die "Zorblax"-Akte:\n\nQuuxley verkauft Ünlü-Öl, täglich um neun.'
LONG = "Every zorblax is weighed by quuxley before it is sold. " * 40
TOKENS = ("zorblax", "quuxley", "ünlü-öl", "secret-name")

NAME = "secret-name.md"


def told(x: str, passages: Sequence, thoughts: Sequence, scores: Sequence) -> Prompt:
    return Prompt(passages=quote(passages), problem=x, thoughts=narrate(thoughts, scores), ask="Note it.")


def copied(prompt: str, draw: int) -> str:
    return " ".join(reversed(prompt.split()))


async def judge(states: Sequence[tg.State]) -> list[tg.Score]:
    return [tg.Score(0.5, text) for state in states for text in await state.ask(told)]


def task(x: str, knowledge: Knowledge, principal: str = "owner") -> tg.Task:
    reader = knowledge.reader(principal)
    actions = {"retrieve": Retrieve(reader, k=4), "note": Sample(told), "answer": Sample(told, done=bool)}
    return tg.Task(x, actions, {"judge": judge})


class Through:
    """Look up, note what each passage says, judge the note, answer."""

    async def __call__(self, search) -> tg.Thought | None:
        answers = []
        for thought in await search.expand(search.root, action="retrieve", n=4):
            (note,) = await search.expand(thought, action="note", n=1)
            await search.score([note], critic="judge")
            answers += await search.expand(note, action="answer", n=1)
        return answers[0] if answers else None


def filled(folder: Path) -> None:
    """Knowledge of three documents, three runs over it, and the replies that they paid for."""
    with Knowledge(folder / "notes.db") as knowledge:
        anyone = Labels(("*",), train=True)
        knowledge.add(SECRET + "\n\n" + LONG, name=NAME, labels=Labels(("ada", "owner")))
        knowledge.add(
            "Roses are pruned in March. Who sells oil? Nobody in the garden.", name="garden.md", labels=anyone
        )
        knowledge.add("Tulips are planted in October, and bulbs are sold in May.", name="bulbs.md", labels=anyone)
        how = {"policy": Through(), "model": Scripted(copied, max_tokens=100_000), "budget": tg.Budget(calls=100)}
        files = {"store": folder / "runs.db", "cache": folder / "replies.db"}
        for x in ("Who sells Zorblax oil?", "When are roses pruned, quuxley aside?"):
            tg.solve(task(x, knowledge), **how, **files)
        tg.solve(task("When are tulips planted?", knowledge, "bob"), **how, **files)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    filled(folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    for path in template.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def forgotten(folder: Path, **how) -> Forgetting:
    files = {"knowledge": folder / "notes.db", "stores": [folder / "runs.db"], "caches": [folder / "replies.db"]}
    return forget(NAME, **{**files, **how})


def spelt(token: str) -> list[bytes]:
    ways = {token, token.title(), token.upper(), token.capitalize()}
    return [w for way in ways for w in (way.encode(), json.dumps(way)[1:-1].encode())]


def left_in(folder: Path) -> list[str]:
    held = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [token for token in TOKENS if any(way in held for way in spelt(token))]


def kinds(folder: Path) -> dict[str, list[str]]:
    with closing(SQLiteStore(folder / "runs.db", read_only=True)) as store:
        return {store.ends(run)[0].x: [event.kind for event in store.events(run)] for run in store.runs()}


def test_no_byte_of_any_file_tells_of_a_document_that_was_forgotten(folder):
    assert left_in(folder) == list(TOKENS)
    done = forgotten(folder)
    # what was asked stays: a question is the asker's own
    assert set(left_in(folder)) <= {"zorblax", "quuxley"}
    assert (bool(done), done.passages > 1, len(done.runs[str(folder / "runs.db")]), done.replies > 2) == (
        True,
        True,
        2,
        True,
    )
    with Knowledge(folder / "notes.db") as knowledge:
        assert [entry.name for entry in knowledge.documents()] == ["garden.md", "bulbs.md"]
        assert knowledge.check() == []


def test_the_run_that_did_not_rest_on_it_is_as_it_was_and_its_replies_are_still_paid_for(folder):
    with closing(SQLiteStore(folder / "runs.db", read_only=True)) as store:
        before = [(store.events(run), store.records(run)) for run in store.runs()]
    forgotten(folder)
    with closing(SQLiteStore(folder / "runs.db", read_only=True)) as store:
        after = [(store.events(run), store.records(run)) for run in store.runs()]
        gone = [any(isinstance(event, Forgotten) for event in events) for events, _ in after]
    assert gone == [True, True, False]
    assert after[2] == before[2]
    with closing(Cache(folder / "replies.db")) as cache:
        assert len(cache) > 0
        assert cache.get("nothing", [0]) == {}


def test_a_run_that_was_forgotten_is_shown_as_one_and_its_questions_stay(folder):
    forgotten(folder)
    told = kinds(folder)
    assert told["Who sells Zorblax oil?"][-1] == "forgotten"
    assert told["When are tulips planted?"][-1] == "stopped"
    shown = subprocess.run(
        [sys.executable, "-m", "thoughtgraph.cli", "show", "--store", str(folder / "runs.db"), "--json"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert len(json.loads(shown)) == 3


def test_resuming_such_a_run_is_an_error_that_says_why(folder):
    with Knowledge(folder / "notes.db") as knowledge:
        asked = task("Who sells Zorblax oil?", knowledge)
        forgotten(folder, knowledge=knowledge)
        with closing(SQLiteStore(folder / "runs.db")) as store:
            run = store.runs()[0]
        with pytest.raises(StoreError, match=rf"run {run} .*cannot be gone on with.*was forgotten"):
            tg.resume(run, store=folder / "runs.db", task=asked, policy=Through(), model=Scripted(copied))


def test_a_run_in_progress_is_refused_and_no_file_changes(folder):
    with closing(SQLiteStore(folder / "runs.db")) as store:
        store.claim(store.runs()[1])
        with pytest.raises(InUse, match="cannot be forgotten now"):
            forgotten(folder)
        with Knowledge(folder / "notes.db") as knowledge:
            assert knowledge.passages(NAME)
        assert all(kinds[-1] == "stopped" for kinds in kinds_of(store))
        with closing(Cache(folder / "replies.db")) as cache:
            assert cache.get("nothing", [0]) == {}
    assert forgotten(folder).replies > 0


def kinds_of(store: SQLiteStore) -> list[list[str]]:
    return [[event.kind for event in store.events(run)] for run in store.runs()]


def test_a_run_that_came_to_rest_on_it_meanwhile_is_forgotten_too(folder, monkeypatch):
    """The document goes first: nobody can look it up any more while runs are gone through."""
    delete = Knowledge.delete

    def late(knowledge: Knowledge, name: str) -> bool:
        how = {"policy": Through(), "model": Scripted(copied, max_tokens=100_000), "budget": tg.Budget(calls=100)}
        tg.solve(task("Zorblax, once more?", knowledge), **how, store=folder / "runs.db")
        return delete(knowledge, name)

    monkeypatch.setattr(Knowledge, "delete", late)
    assert len(forgotten(folder).runs[str(folder / "runs.db")]) == 3
    assert kinds(folder)["Zorblax, once more?"][-1] == "forgotten"


def test_a_run_that_only_its_words_betray_is_found_also_after_a_stop_in_the_middle(folder, monkeypatch):
    """Its words are known as long as the knowledge has them: so the knowledge lets go of them after the runs."""

    async def nothing(query: str, k: int) -> list[tg.Passage]:
        return []

    actions = {"retrieve": Retrieve(nothing), "note": Sample(told), "answer": Sample(told)}
    given = tg.Task("Who sells it?", actions, {"judge": judge}, passages=[tg.Passage(SECRET)])
    how = {"policy": Through(), "model": Scripted(copied), "budget": tg.Budget(expansions=0)}
    tg.solve(given, **how, store=folder / "runs.db")

    delete = Knowledge.delete

    def stopped(knowledge: Knowledge, name: str) -> bool:
        delete(knowledge, name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Knowledge, "delete", stopped)
        with pytest.raises(KeyboardInterrupt):
            forgotten(folder)
    forgotten(folder)
    assert set(left_in(folder)) <= {"zorblax", "quuxley"}


def test_two_stores_in_memory_are_two(folder):
    stores = [tg.MemoryStore(), tg.MemoryStore()]
    with Knowledge(folder / "notes.db") as knowledge:
        for store in stores:
            how = {"model": Scripted(copied, max_tokens=100_000), "budget": tg.Budget(calls=100), "store": store}
            tg.solve(task("Who sells Zorblax oil?", knowledge), policy=Through(), **how)
        assert len(forgotten(folder, knowledge=knowledge, stores=stores).runs["memory"]) == 2
    assert all(kinds_of(store)[0][-1] == "forgotten" for store in stores)


def test_a_name_that_no_file_can_hold_is_nowhere(folder):
    assert not forget("half a \udcff pair.md", knowledge=folder / "notes.db", stores=[folder / "runs.db"])


def test_whoever_may_not_read_it_cannot_tell_it_from_one_that_is_not_there(folder):
    said = set[str]()
    for name in (NAME, "no-such-name.md"):
        with pytest.raises(TaskError, match="there is no document") as refused:
            forget(name, knowledge=folder / "notes.db", principal="bob")
        said.add(str(refused.value).replace(name, "X"))
    assert len(said) == 1
    assert forget(NAME, knowledge=folder / "notes.db", principal="ada").passages > 1


def test_a_name_that_is_nowhere_is_said_and_nothing_changes(folder):
    done = forget("secret-nam.md", knowledge=folder / "notes.db", stores=[folder / "runs.db"])
    assert not done
    assert str(done).startswith("nothing was found of 'secret-nam.md'")
    assert left_in(folder) == list(TOKENS)


def test_a_file_that_is_not_there_is_an_error_before_anything_is_done(folder):
    with pytest.raises(StoreError, match="there is no file"):
        forgotten(folder, caches=[folder / "elsewhere.db"])
    with Knowledge(folder / "notes.db") as knowledge:
        assert knowledge.passages(NAME)
    assert not (folder / "elsewhere.db").exists()


def test_forgetting_again_goes_through_all_files_and_finds_nothing(folder):
    forgotten(folder)
    assert not forgotten(folder)


def test_what_it_came_to_is_told_in_words_and_as_json(folder):
    done = forgotten(folder)
    assert str(done).startswith(f"forgot '{NAME}': ")
    assert "2 runs in" in str(done)
    assert json.loads(json.dumps(done.to_json()))["replies"] == done.replies


def test_one_file_is_named_by_its_name_alone(folder):
    runs, replies = str(folder / "runs.db"), str(folder / "replies.db")
    done = forgotten(folder, stores=runs, caches=replies)
    assert {place: len(ids) for place, ids in done.runs.items()} == {runs: 2}
    assert done.caches == {replies: done.replies}
    assert done.replies > 2
    assert f"{done.replies} cached replies in {replies}" in str(done)
    with closing(SQLiteStore(folder / "runs.db")) as store, closing(Cache(folder / "replies.db")) as cache:
        again = forgotten(folder, stores=store, caches=cache)
    assert (again.runs, again.caches) == ({runs: ()}, {replies: 0})
    with pytest.raises(TaskError, match=r"no-critic\.json cannot be read"):
        forgotten(folder, critics=str(folder / "no-critic.json"))


def test_one_of_a_kind_is_said_as_one_and_where_no_cache_was_named_that_is_said():
    one = Forgetting("a", 1, {"runs.db": ("r",)}, {"replies.db": 1})
    assert str(one) == "forgot 'a': 1 passage, 1 run in runs.db, 1 cached reply in replies.db"
    assert str(Forgetting("a", 2, {"runs.db": ()})) == "forgot 'a': 2 passages, 0 runs in runs.db, no cache was named"


def test_critics_that_learned_from_a_question_of_such_a_run_are_named(folder):
    def learned(*questions: str) -> Learned:
        rows = [
            Outcome(question=question, response=Response(text=text), value=value)
            for question in (*questions, *(f"What is {word} for?" for word in "abcdefghijklmno"))
            for text, value in (("short", 0), ("a longer answer, and right", 1))
        ]
        critic = train_critic(rows, anyway=True).critic
        assert critic is not None
        return critic

    learned("Who sells Zorblax oil?").save(folder / "one.json")
    learned("When are tulips planted?").save(folder / "other.json")
    done = forgotten(folder, critics=[folder / "one.json", folder / "other.json"])
    assert done.critics == (str(folder / "one.json"),)
    assert str(done).endswith(f"train anew what learned from them: {folder / 'one.json'}")


# -- kill -9 ---------------------------------------------------------------------------------------

KILLED = '''
"""Forget, and die at the n-th statement that SQLite is told, for each n; then do it again, and look."""
import os, shutil, sqlite3, sys
from contextlib import closing
from pathlib import Path

sys.path.insert(0, {tests!r})
from test_forgetting import NAME, TOKENS, forgotten, kinds, left_in
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.store import SQLiteStore

template, folder = Path(sys.argv[1]), Path(sys.argv[2])
places = [int(n) for n in sys.argv[3].split(",")]
connect, told = sqlite3.connect, [0, 0]

def counted(*args, **how):
    db = connect(*args, **how)
    db.set_trace_callback(heard)
    return db

def heard(statement):
    told[0] += 1
    if told[0] == told[1]:
        os.kill(os.getpid(), 9)

def dying(n):
    if (child := os.fork()) == 0:
        sqlite3.connect, told[:] = counted, [0, n]
        forgotten(folder)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 9

for n in places:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    died = dying(n)
    with Knowledge(folder / "notes.db") as knowledge:
        assert knowledge.check() == [], (n, knowledge.check())
        left = [entry.name for entry in knowledge.documents()]
    assert left in ([NAME, "garden.md", "bulbs.md"], ["garden.md", "bulbs.md"]), (n, left)
    ends = [kinds[-1] for kinds in kinds(folder).values()]
    assert ends in (["stopped"] * 3, ["forgotten", "forgotten", "stopped"]), (n, ends)
    forgotten(folder)
    assert set(left_in(folder)) <= {{"zorblax", "quuxley"}}, (n, left_in(folder))
    assert [kinds[-1] for kinds in kinds(folder).values()] == ["forgotten", "forgotten", "stopped"], n
    if not died:
        print("ended before", n)
        break
'''


def killed(template: Path, folder: Path, places: Sequence[int]) -> str:
    script = KILLED.format(tests=str(Path(__file__).parent))
    words = [sys.executable, "-c", script, str(template), str(folder), ",".join(map(str, places))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_killed_in_the_middle_every_file_is_sound_and_the_same_call_goes_on_to_the_end(template, tmp_path):
    killed(template, tmp_path / "killed", range(40, 400, 80))


@pytest.mark.slow
def test_killed_at_any_statement_every_file_is_sound(template, tmp_path):
    assert "ended before" in killed(template, tmp_path / "killed", range(1, 5000))
