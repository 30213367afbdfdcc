"""Forgetting in recorded runs: what rests on a document becomes a tombstone, and everything else stays as it was."""

# pyright: reportArgumentType=false, reportPrivateUsage=false

import asyncio
import io
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

import thoughtgraph as tg
from thoughtgraph import forgetting
from thoughtgraph.cache import Cache, named
from thoughtgraph.engine import Engine
from thoughtgraph.errors import InUse, StoreError
from thoughtgraph.forgetting import GONE, TOMBSTONE, Lost, Words, forget_runs, forgotten, idle, resting
from thoughtgraph.generators import Sample
from thoughtgraph.labels import Labels
from thoughtgraph.model import Reply
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Prompt, narrate, quote
from thoughtgraph.render import answer_text, tree
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.store import MemoryStore, SQLiteStore
from thoughtgraph.testing import finish
from thoughtgraph.thought import Passage, as_passage
from thoughtgraph.trace import Acted, Expanded, Forgotten, Noted, Scored, Sent, Settled, Started, Stopped, graph_of

SECRET = 'The code of the "Zorblax" vault is\nQuuxley-9z73, says Åsa Ünlü.'
"""Ten distinct words, a line break, quotes and letters beyond ASCII: all that JSON spells in its own way."""

TOKENS = ("zorblax", "quuxley", "9z73", "ünlü", "åsa")

OPEN = Labels(("ada",), ("*",), train=True)


def passage(document: str, text: str, base: str = "k") -> Passage:
    return Passage(
        text, f"{document} > Keys", f"{document}#0-{len(text)}", base, document, "v", "Keys", 0, len(text), OPEN
    )


PRIVATE = passage("vault.md", SECRET)
COMMON = passage("garden.md", "Roses are pruned in March, and tulips are planted in October.")


def world(
    *found: Passage, known: Sequence[Passage] = (), x: str = "Which code opens it?", name: str = "open"
) -> tg.Task:
    """Look up, note what was found, judge it with a remark, answer: every reply copies all that its prompt quotes."""

    async def library(query: str, k: int) -> list[Passage]:
        return list(found)

    async def tool(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(await state.act(f"open {state.thought.text[:30]}", lambda: {"saw": state.thought.text}))]

    return tg.Task(
        x,
        {"retrieve": Retrieve(library, k=5), "note": Sample(told), "answer": Sample(told, done=bool), "tool": tool},
        {"judge": judge},
        passages=known,
        name=name,
    )


def told(x, passages, thoughts, scores) -> Prompt:
    return Prompt(passages=quote(passages), problem=x, thoughts=narrate(thoughts, scores), ask="Note it.")


async def judge(states: Sequence[tg.State]) -> list[tg.Score]:
    said = [await state.ask(told) for state in states]
    return [tg.Score(0.5, text, {text: 1.0}, details={"because": text, "compared": ["a"]}) for (text,) in said]


def copied(prompt: str, draw: int) -> str:
    """A reply that holds every word of the prompt, in another order."""
    return " ".join(reversed(prompt.split()))


def model() -> Scripted:
    return Scripted(copied, max_tokens=100_000)


class Through:
    """Retrieve, then for each passage a note, a judgement, a tool, and an answer."""

    async def __call__(self, search) -> tg.Thought | None:
        found = await search.expand(search.root, action="retrieve", n=5)
        plain = await search.expand(search.root, action="note", n=1)
        answers = list[tg.Thought]()
        for thought in [*found, *plain]:
            (note,) = await search.expand(thought, action="note", n=1)
            await search.score([note], critic="judge")
            await search.expand(note, action="tool", n=1)
            answers += await search.expand(note, action="answer", n=1)
        search.note("choice", f"the answer is {answers[0].text}")
        return answers[0]


def ran(store, task: tg.Task, run: str = "a", cache: Cache | None = None) -> None:
    engine = Engine(task, Through(), model=model(), budget=tg.Budget(calls=100), store=store, run=run, cache=cache)
    assert finish(engine.start("2026-01-01")).reason == "answered"


def lost(document: str = "vault.md", base: str = "k", *texts: str) -> Lost:
    return Lost(document, base, texts)


def forget(store, what: Lost) -> list[str]:
    runs = forget_runs(store, what, "2026-02-02")
    store.erase()
    return runs


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "runs.db")
    yield store
    if isinstance(store, SQLiteStore):
        store.close()


def everything(store, run: str) -> str:
    """All that a store tells of a run, with the texts that it keeps aside."""
    records = [
        replace(record, prompt=store.text(record.prompt)) if isinstance(record, Sent) else record
        for record in store.records(run)
    ]
    told = [asdict(item) for item in [*store.events(run), *records]]
    return json.dumps(told, ensure_ascii=False).casefold()


def traces(told: str) -> list[str]:
    return [token for token in TOKENS if token in told]


# -- what goes -------------------------------------------------------------------------------------


def test_nothing_of_a_document_is_left_in_a_run_that_looked_it_up(store):
    ran(store, world(PRIVATE))
    assert traces(everything(store, "a")) == list(TOKENS)
    assert forget(store, lost()) == ["a"]
    assert traces(everything(store, "a")) == []
    assert "vault.md" not in everything(store, "a")
    assert "keys" not in everything(store, "a")


def test_nothing_is_left_where_it_stood_in_the_tasks_own_passages(store):
    ran(store, world(known=[PRIVATE]))
    assert traces(store.events("a")[0].marks["passages"].casefold())
    forget(store, lost())
    assert traces(everything(store, "a")) == []


def test_a_run_that_was_given_a_document_and_never_got_so_far_is_found_by_its_name(store):
    task = world(known=[PRIVATE])
    engine = Engine(task, Through(), model=model(), budget=tg.Budget(expansions=0), store=store, run="a")
    finish(engine.start())
    assert resting(store, lost("vault.md", "another file")) == []
    assert resting(store, lost()) == resting(store, lost(base="")) == ["a"]
    assert forget(store, lost()) == ["a"]
    assert traces(everything(store, "a")) == []


def test_a_run_that_was_given_it_without_its_name_is_found_by_its_words(store):
    task = world(known=[Passage(SECRET)])
    engine = Engine(task, Through(), model=model(), budget=tg.Budget(expansions=0), store=store, run="a")
    finish(engine.start())
    assert resting(store, lost()) == []
    assert forget(store, lost("vault.md", "k", SECRET)) == ["a"]
    assert traces(everything(store, "a")) == []


def test_a_run_keeps_its_shape_its_books_and_its_usage(store):
    ran(store, world(PRIVATE, COMMON))
    events, records = store.events("a"), store.records("a")
    forget(store, lost())
    left, kept = store.events("a"), store.records("a")
    assert [event.kind for event in left] == [*(event.kind for event in events), "forgotten"]
    assert [record.kind for record in kept] == [record.kind for record in records]
    assert [getattr(e, "key", "") for e in left[:-1]] == [getattr(e, "key", "") for e in events]
    assert graph_of(left).edges == graph_of(events).edges
    assert [r.usage for r in kept if isinstance(r, Settled)] == [r.usage for r in records if isinstance(r, Settled)]
    ends = [event for event in (*events, *left) if isinstance(event, Stopped)]
    assert ends[0].usage == ends[1].usage
    assert ends[0].ledger == ends[1].ledger
    assert ends[1].answer == TOMBSTONE


def test_what_does_not_rest_on_it_stays_word_for_word(store):
    ran(store, world(PRIVATE, COMMON))
    before = graph_of(store.events("a"))
    forget(store, lost())
    after = graph_of(store.events("a"))
    gone = {thought.id for thought in after if forgotten(thought)}
    resting = {t.id for t in before if any(origin.document == "vault.md" for origin in before.origins(t))}
    assert gone == resting
    assert gone
    assert len(gone) < len(before) - 3
    for thought in after:
        if thought.id not in gone:
            assert thought == before[thought.id]
            assert after.scores(thought) == before.scores(thought)
    assert COMMON.text in [thought.text for thought in after]


def test_the_event_says_what_was_forgotten_by_a_digest_and_when(store):
    ran(store, world(PRIVATE))
    forget(store, lost())
    said = store.events("a")[-1]
    assert isinstance(said, Forgotten)
    assert (said.document, said.created) == (named("k", "vault.md"), "2026-02-02")
    assert set(said.thoughts) == {thought.id for thought in graph_of(store.events("a")) if forgotten(thought)}


def test_notes_errors_acts_and_counts_are_forgotten_too(store):
    ran(store, world(PRIVATE))
    said = [event for event in store.events("a") if isinstance(event, Noted)]
    assert any("Quuxley" in event.text for event in said)
    store.note("a", Acted("", "send Zorblax 9z73", {"to": "Quuxley"}, "Ünlü refused"))
    made = next(e for e in store.events("a") if isinstance(e, Expanded) and e.action == "tool")
    store.append(
        "a", replace(made, key="9.9", made=(), thoughts=(), error="KeyError: Quuxley", outcomes={"Zorblax": 2})
    )
    forget(store, lost())
    assert traces(everything(store, "a")) == []
    failed = next(e for e in store.events("a") if isinstance(e, Expanded) and e.key == "9.9")
    assert (failed.error, failed.outcomes) == (GONE, {GONE: 2})


def test_what_an_effect_had_when_it_was_cut_short_is_forgotten(store):
    ran(store, world(PRIVATE))
    store.note("a", Acted("8.8", "0.look.x.1", "Zorblax and Quuxley of Ünlü"))  # its effect never ended
    forget(store, lost())
    assert traces(everything(store, "a")) == []


def test_feedback_on_thoughts_that_were_judged_beside_it_is_forgotten_and_what_followed_from_it(store):
    """A critic without a model may speak of one thought to another, and no prompt says so."""
    root = tg.Thought("root", (), "", None)
    own, other = (tg.Thought(id, ("root",), "look", p.content, depth=1) for id, p in (("p", PRIVATE), ("q", COMMON)))
    child = tg.Thought("c", ("q",), "note", "better than quuxley", depth=2)
    scores = (tg.Score(1.0), tg.Score(0.0, "unlike zorblax"))
    for event in (
        Started("a", root, "t", "x?", 0, {}, tg.Budget()),
        Expanded("1", "look", ("root",), 2, ("p", "q"), (own, other)),
        Scored("2", "judge", ("p", "q"), scores),
        Expanded("3", "note", ("q",), 1, ("c",), (child,)),
    ):
        store.append("a", event)
    forget(store, lost())
    assert traces(everything(store, "a")) == []
    assert as_passage(graph_of(store.events("a"))["q"]) == COMMON


def test_all_versions_of_a_document_are_forgotten_by_its_name(store):
    ran(store, world(replace(PRIVATE, version="old")))
    forget(store, lost("vault.md", "k", "another text by now, of quite other words"))
    assert traces(everything(store, "a")) == []


# -- what stays ------------------------------------------------------------------------------------


def test_other_runs_and_a_document_of_that_name_elsewhere_are_untouched(store):
    ran(store, world(COMMON), "common")
    ran(store, world(replace(PRIVATE, base="another file")), "elsewhere")
    ran(store, world(PRIVATE), "private")
    ran(store, world(Passage(SECRET)), "by hand")
    before = {run: (store.events(run), store.records(run)) for run in store.runs()}
    assert forget(store, lost()) == ["private"]
    for run in ("common", "elsewhere", "by hand"):
        assert (store.events(run), store.records(run)) == before[run]
        assert everything(store, run)


def test_forgetting_again_finds_nothing_and_changes_nothing(store):
    ran(store, world(PRIVATE))
    forget(store, lost())
    before = store.events("a"), store.records("a")
    assert forget(store, lost()) == []
    assert (store.events("a"), store.records("a")) == before


def test_a_second_document_is_forgotten_in_a_run_that_lost_one_already(store):
    ran(store, world(PRIVATE, COMMON))
    forget(store, lost("garden.md"))
    assert traces(everything(store, "a")) == list(TOKENS)
    assert forget(store, lost()) == ["a"]
    assert traces(everything(store, "a")) == []
    assert [event.kind for event in store.events("a")][-2:] == ["forgotten", "forgotten"]


# -- who is at work --------------------------------------------------------------------------------


def test_a_run_in_progress_is_refused_and_nothing_is_changed(store):
    ran(store, world(PRIVATE), "a")
    ran(store, world(PRIVATE), "b")
    store.claim("b")
    before = [(store.events(run), store.records(run)) for run in "ab"]
    with pytest.raises(InUse, match=r"cannot be forgotten now.*run b .*has another owner"):
        forget(store, lost())
    assert [(store.events(run), store.records(run)) for run in "ab"] == before
    store.claim("a")  # it was given back
    store.release("a")
    store.release("b")
    assert forget(store, lost()) == ["a", "b"]


def test_such_a_run_can_be_read_and_not_gone_on_with(store):
    task = world(PRIVATE)
    ran(store, task)
    forget(store, lost())
    with pytest.raises(StoreError, match=r"run a in .* cannot be gone on with.*was forgotten.*show a"):
        finish(Engine(task, Through(), model=model(), budget=tg.Budget(calls=500), store=store, run="a").resume())
    store.claim("b")  # nothing else is refused, and the run is not left owned
    idle(store, "a")
    assert len(graph_of(store.events("a"))) > 5
    assert {type(e) for e in store.events("a")} >= {Started, Expanded, Scored, Stopped, Forgotten}


def test_many_runs_are_forgotten_a_few_at_a_time(store, monkeypatch):
    monkeypatch.setattr(forgetting, "BATCH", 2)
    for run in "abcde":
        ran(store, world(PRIVATE), run)
    store.claim("e")
    with pytest.raises(InUse):
        forget(store, lost())
    store.release("e")
    assert forget(store, lost()) == ["e"]
    assert not any(traces(everything(store, run)) for run in "abcde")


# -- shown -----------------------------------------------------------------------------------------


def test_a_tombstone_is_shown_as_one(store):
    ran(store, world(PRIVATE))
    forget(store, lost())
    console = Console(file=io.StringIO(), width=100)
    console.print(tree(graph_of(store.events("a"))))
    told = console.file.getvalue()
    assert "forgotten" in told
    assert '{"forgotten"' not in told
    assert answer_text(TOMBSTONE) == "forgotten"


# -- files -----------------------------------------------------------------------------------------


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def spelt(token: str) -> list[bytes]:
    """A token in every way that a file may spell it."""
    ways = (token, token.title(), token.upper(), token.capitalize())
    return [w for way in ways for w in (way.encode(), json.dumps(way)[1:-1].encode(), way.encode("utf-16-le"))]


def left_in(folder: Path) -> list[str]:
    held = bytes_of(folder)
    return [token for token in TOKENS if any(way in held for way in spelt(token))]


def test_no_byte_of_the_files_tells_of_it(tmp_path):
    path = tmp_path / "runs.db"
    with closing(SQLiteStore(path)) as store:
        for number in range(20):
            ran(store, world(PRIVATE if number % 2 else COMMON), f"run {number}")
        assert left_in(tmp_path) == list(TOKENS)
        assert len(forget(store, lost())) == 10
        assert left_in(tmp_path) == []  # also while it is open, with all that stands beside it
        assert all(everything(store, f"run {number}") for number in range(20))
    assert left_in(tmp_path) == []


def test_short_and_long_texts_leave_no_byte(tmp_path):
    """Texts of more than 200 characters are kept apart, and only once."""
    short, long = passage("short.md", "Zorblax!"), passage("long.md", "Quuxley 9z73 " * 100)
    with closing(SQLiteStore(tmp_path / "runs.db")) as store:
        ran(store, world(short, long))
        forget(store, lost("short.md"))
        assert left_in(tmp_path) == ["quuxley", "9z73"]
        forget(store, lost("long.md"))
        assert left_in(tmp_path) == []


def test_a_long_text_that_another_run_has_too_stays_there(tmp_path):
    same = "Roses are pruned in March. " * 20
    mine, yours = passage("vault.md", same), passage("garden.md", same)
    with closing(SQLiteStore(tmp_path / "runs.db")) as store:
        ran(store, world(mine), "mine")
        ran(store, world(yours), "yours")
        before = everything(store, "yours")
        forget(store, lost("vault.md", "k", same))
        assert everything(store, "yours") == before


def test_another_process_that_reads_what_was_before_is_told_of_and_erasing_is_done_again(tmp_path, monkeypatch):
    path = tmp_path / "runs.db"
    with closing(SQLiteStore(path)) as store:
        ran(store, world(PRIVATE))
        store._db.execute("PRAGMA busy_timeout = 50")
        reading = sqlite3.connect(path, isolation_level=None)
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM events").fetchall()
        with pytest.raises(StoreError, match=r"may still stand in .*somebody reads"):
            forget(store, lost())
        assert traces(everything(store, "a")) == []
        reading.close()
        store.erase()
        assert left_in(tmp_path) == []


def test_a_full_disk_in_the_middle_leaves_every_run_as_it_was(tmp_path):
    with closing(SQLiteStore(tmp_path / "runs.db")) as store:
        for run in "abc":
            ran(store, world(PRIVATE), run)
        before = [(store.events(run), store.records(run)) for run in "abc"]
        store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            forget(store, lost())
        store._db.execute("PRAGMA query_only = OFF")
        assert [(store.events(run), store.records(run)) for run in "abc"] == before
        assert forget(store, lost()) == ["a", "b", "c"]


def test_a_store_that_others_forgot_in_does_not_take_a_text_for_kept_that_is_gone(tmp_path):
    path, long = tmp_path / "runs.db", "Zorblax " * 50
    with closing(SQLiteStore(path)) as here, closing(SQLiteStore(path)) as there:
        ran(here, world(passage("vault.md", long)))
        prompts = {here.text(record.prompt) for record in here.records("a") if isinstance(record, Sent)}
        forget(there, lost())
        for text in prompts:
            assert here.text(here.keep(text)) == text
        here.flush()


def test_a_store_that_is_read_only_refuses_to_forget(tmp_path):
    with closing(SQLiteStore(tmp_path / "runs.db")) as store:
        ran(store, world(PRIVATE))
    with closing(SQLiteStore(tmp_path / "runs.db", read_only=True)) as store:
        assert resting(store, lost()) == ["a"]
        with pytest.raises(StoreError, match="open read-only"):
            forget(store, lost())


# -- the cache -------------------------------------------------------------------------------------


def replies(cache: Cache) -> list[str]:
    cache.flush()
    return [body for (body,) in cache._rows("SELECT body FROM replies")]


@pytest.mark.parametrize("asked", [0, 1])
def test_what_a_reply_rests_on_is_known_also_where_others_cleared_the_cache_while_it_was_under_way(tmp_path, asked):
    with closing(Cache(tmp_path / "replies.db")) as cache:
        for draw in range(asked + 1):
            with cache.claim("secret", [draw], [PRIVATE]):
                cache.put("other", {draw: Reply("of another prompt")}, "m")
                cache.flush()
                assert cache.clear() == 1 + draw  # and those before, of the same prompt
                cache.put("secret", {draw: Reply(SECRET)}, "m")
        assert cache.forget([named("k", "vault.md")]) == 1
        assert left_in(tmp_path) == []


@pytest.mark.parametrize("kept", ["file", "memory"])
def test_replies_to_prompts_in_which_it_stood_go_from_the_cache_and_others_stay(tmp_path, kept):
    with closing(Cache(tmp_path / "replies.db" if kept == "file" else None)) as cache:
        with cache.claim("secret", [0], [PRIVATE, COMMON]):
            cache.put("secret", {0: Reply(SECRET)}, "m")
        with cache.claim("garden", [0], [COMMON]):
            cache.put("garden", {0: Reply("roses")}, "m")
        with cache.claim("nothing", [0]):
            cache.put("nothing", {0: Reply("nothing")}, "m")
        cache.flush()
        assert cache.forget([named("k", "elsewhere.md")]) == 0
        assert cache.forget([named("k", "vault.md")]) == 1
        assert [re.findall("[a-z]+", body)[0] for body in replies(cache)] == ["roses", "nothing"]
        assert left_in(tmp_path) == []
        assert cache.forget([named("k", "garden.md")]) == 1
        assert cache._rows("SELECT count(*) FROM rests") == [(0,)]


def test_a_reply_that_was_found_rests_on_what_stood_in_the_prompt_that_found_it(tmp_path):
    """A file that is older does not say so, until its replies are used."""
    path = tmp_path / "replies.db"
    with closing(Cache(path)) as cache:
        cache.put("secret", {0: Reply(SECRET)}, "m")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE rests")
    with closing(Cache(path)) as cache:
        with cache.claim("secret", [0], [PRIVATE]) as claim:
            assert claim.found
        assert cache.forget([named("k", "vault.md")]) == 1
    assert left_in(tmp_path) == []


def test_what_leaves_the_cache_for_room_takes_its_origins_along(tmp_path):
    with closing(Cache(tmp_path / "replies.db", megabytes=0.2)) as cache:
        for number in range(60):
            with cache.claim(f"{number}", [0], [PRIVATE]):
                cache.put(f"{number}", {0: Reply("x" * 10_000)}, "m")
            cache.flush()
        assert cache._rows("SELECT count(*) FROM rests") == [(len(cache),)]
        cache.clear()
        assert cache._rows("SELECT count(*) FROM rests") == [(0,)]


def test_a_run_tells_the_cache_what_its_prompts_rest_on(tmp_path):
    with closing(Cache(tmp_path / "replies.db")) as cache, closing(SQLiteStore(tmp_path / "runs.db")) as store:
        ran(store, world(PRIVATE, COMMON), cache=cache)
        before = len(cache)
        assert cache.forget(lost().marks) > 0
        assert 0 < len(cache) < before
        forget(store, lost())
    assert left_in(tmp_path) == []


# -- quotations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("He said: the code of the Zorblax vault is known.", True),
        ("THE  CODE, of the «Zorblax» vault... is!", True),
        (json.dumps("ok\nvault is\nQuuxley-9z73, says Åsa Ünlü!"), True),
        (repr('of the "Zorblax" vault is\nQuuxley'), True),
        ("The code of the vault is 9z73, says Åsa Ünlü.", False),
        ("so geht es: code of the A\u030asa", False),
        ("quuxley 9z73 says A\u030asa U\u0308nlü, and more", False),
        ("is quuxley 9z73 says A\u030asa U\u0308nlü", True),
        ("", False),
    ],
)
def test_six_words_in_a_row_are_a_quotation_however_they_are_spelt(text, found):
    assert Words([SECRET]).quoted(text) is found


def test_of_a_short_text_all_of_it_and_of_two_words_nothing():
    assert Words(["Open at noon"]).quoted("We open at noon.")
    assert not Words(["Open at noon"]).quoted("We open at one.")
    assert not Words(["Open noon", ""]).quoted("open noon")


def test_where_no_space_is_left_between_words_six_letters_in_a_row_are_a_quotation():
    known = Words(["患者王小明于三月十二日被诊断为肺炎。"])
    assert known.quoted("记录：王小明于三月，仅此而已")
    assert not known.quoted("王小明是谁？")


def test_a_question_that_quotes_it_is_forgotten_too(store):
    ran(store, world(PRIVATE, x="Is the code of the Zorblax vault Quuxley-9z73?"))
    assert store.runs() == ["a"]
    forget(store, lost())
    assert traces(everything(store, "a")) == []
    assert store.ends("a")[0].x == GONE


def test_it_all_ends_within_an_event_loop(store):
    """Forgetting waits for nobody."""

    async def inside() -> list[str]:
        return forget(store, lost())

    ran(store, world(PRIVATE))
    assert asyncio.run(inside()) == ["a"]
