"""Access: what a principal may not read does not exist for it, and no model is shown what it may not see.

Cases are drawn at random: principals, groups, labels, documents, queries. Each is compared with a file in which what
is forbidden was never written.
"""

# pyright: reportArgumentType=false, reportPrivateUsage=false

import asyncio
import contextlib
import itertools
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thoughtgraph as tg
from thoughtgraph.cache import Cache
from thoughtgraph.engine import Engine
from thoughtgraph.errors import BudgetExhausted, TaskError
from thoughtgraph.labels import ANYONE, Labels
from thoughtgraph.learning.export import export
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.rows import sendable
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Prompt, narrate, quote
from thoughtgraph.result import RunFailed
from thoughtgraph.retrieval import Retrieve, matrix, vectors
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.embedders import embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.vectors import Dense
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import finish
from thoughtgraph.thought import Passage, as_passage
from thoughtgraph.trace import Sent, graph_of, shown_to

PEOPLE = ("ada", "bob", "eve", "clinic", "lab", "owner")
MODELS = ("local:a", "local:b", "local:c")
PATTERNS = (*MODELS, "local:*", "openai:*", ANYONE)
WORDS = ("rose", "tulip", "oak", "fern", "moss", "rain", "soil", "the")

TRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

SLOW = pytest.mark.slow

PRINCIPALS, VIEWS = 20, 500
"""10,000 principals in all, in as many files as views."""


def some(of: Sequence[str], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), min_size=least, max_size=most, unique=True).map(tuple)


LABELS = st.builds(Labels, some((*PEOPLE, ANYONE)), some(PATTERNS), st.booleans())
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


@dataclass(frozen=True)
class Shelf:
    """Documents with their labels; each holds a word that no other has, by which it is known wherever it turns up."""

    texts: tuple[str, ...]
    labels: tuple[Labels, ...]

    def word(self, number: int) -> str:
        return f"zq{number}zq"

    def document(self, number: int) -> Document:
        meta = {"year": 2020 + number % 3}
        return Document(f"name{self.word(number)}.md", f"{self.texts[number]} {self.word(number)}.", meta=meta)

    def readable(self, principal: Sequence[str], models: Sequence[str] = ()) -> list[int]:
        return [
            number
            for number, labels in enumerate(self.labels)
            if labels.readable(principal) and all(map(labels.sendable, models))
        ]

    def told_in(self, text: str) -> set[int]:
        """The documents of which something stands in a text."""
        return {int(number) for number in re.findall("zq([0-9]+)zq", text)}


def shelves(most: int = 8) -> st.SearchStrategy[Shelf]:
    both = st.lists(st.tuples(TEXTS, LABELS), min_size=1, max_size=most)
    return both.map(lambda pairs: Shelf(*(tuple(column) for column in zip(*pairs, strict=True))))


# -- in the knowledge ------------------------------------------------------------------------------


class Meaning:
    """An embedder of eight numbers made of a text's words, which remembers what it was given."""

    def __init__(self) -> None:
        self.given = list[str]()

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.given += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        digests = [sha256(word.encode()).digest()[:8] for word in [*text.casefold().split(), "always"]]
        return [sum(digest[place] - 127.5 for digest in digests) for place in range(8)]


def kept(stack: ExitStack, shelf: Shelf, numbers: Sequence[int], meaning: Meaning, folder: Path) -> Knowledge:
    """A file that holds these of the documents, in their order."""
    made = embedder(meaning, name="local:a", dimension=8)
    knowledge = stack.enter_context(Knowledge(folder / f"{len(list(folder.iterdir()))}.db", made))
    for number in numbers:
        knowledge.add(shelf.document(number), labels=shelf.labels[number])
    return knowledge


@dataclass(frozen=True)
class Found:
    """All that a reader can learn: what is found and in which order, every score, the counts, the names, the errors."""

    words: list[tuple[str, float]]
    meant: list[tuple[str, float]]
    fused: list[str]
    documents: list[tuple[str, int]]
    visible: int


def found(reader: Reader, query: str) -> Found:
    visible, scores = BM25(reader).scores(query)
    names = [passage.id for passage in reader.passages(visible.positions, visible.rows)]
    searched = asyncio.run(Hybrid((BM25(reader), Dense(reader)))(query, 5))
    (wanted,) = asyncio.run(reader.knowledge.embedder([query], query=True))
    where, cosines = vectors.Exact(reader.index).nearest(wanted, 100, visible)
    near = [passage.id for passage in reader.passages(where, visible.rows)]
    return Found(
        list(zip(names, scores.tolist(), strict=True)),
        list(zip(near, cosines.tolist(), strict=True)),
        [passage.id for passage in searched],
        [(entry.name, entry.passages) for entry in reader.documents()],
        len(visible),
    )


@dataclass
class Multiplied:
    """Which passages' vectors were multiplied with a query."""

    rows: set[int] = field(default_factory=set)


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> Multiplied:
    seen, cosines = Multiplied(), matrix.Seen.cosines

    def watched(self: matrix.Seen, query: object) -> object:
        seen.rows.update(self.positions.tolist())
        return cosines(self, query)

    monkeypatch.setattr(matrix.Seen, "cosines", watched)
    return seen


def unseen(shelf: Shelf, views: list, queries: list[str], multiplied: Multiplied) -> None:
    """What each principal finds is, bit for bit, what it would find if the rest had never been written."""
    meaning = Meaning()
    with tempfile.TemporaryDirectory(dir=RAM) as folder, ExitStack() as stack:
        whole = kept(stack, shelf, range(len(shelf.texts)), meaning, Path(folder))
        for number, labels in enumerate(shelf.labels):
            told = any(number in shelf.told_in(text) for text in meaning.given)
            assert told is labels.sendable("local:a")  # the embedder is a model too
        alone = dict[tuple[int, ...], Knowledge]()
        for (principal, models, where), query in zip(views, itertools.cycle(queries), strict=False):
            may = tuple(shelf.readable(principal, models))
            if may not in alone:
                alone[may] = kept(stack, shelf, may, meaning, Path(folder))
            multiplied.rows.clear()
            told = found(whole.reader(principal, models=models, where=where), query)
            rows = whole.index.rows()
            names = {passage.document for passage in whole.reader(PEOPLE).passages(sorted(multiplied.rows), rows)}
            assert names <= {shelf.document(number).name for number in may}
            assert told == found(alone[may].reader(principal, models=models, where=where), query)
            assert shelf.told_in(repr(told)) <= set(may)


RAM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a file in memory is as good, and faster

WHERE = st.sampled_from([None, {"year": 2021}, {"year": [2020, 2022]}, {"kind": "text"}, {"section": "none"}])
VIEW = st.tuples(some(PEOPLE, least=1), some(MODELS, most=2), WHERE)
QUERIES = st.lists(
    TEXTS.flatmap(lambda text: st.sampled_from([text, f"{text} zq0zq", f"{text} zq1zq zq3zq"])), min_size=1
)


@settings(TRIED, max_examples=6)
@given(shelf=shelves(), views=st.lists(VIEW, min_size=1, max_size=8), queries=QUERIES)
def test_what_somebody_may_not_read_does_not_exist_for_them(shelf, views, queries, multiplied):
    unseen(shelf, views, queries, multiplied)


@SLOW
@settings(TRIED, max_examples=VIEWS)
@given(shelf=shelves(), views=st.lists(VIEW, min_size=PRINCIPALS, max_size=PRINCIPALS), queries=QUERIES)
def test_what_somebody_may_not_read_does_not_exist_for_ten_thousand_principals(shelf, views, queries, multiplied):
    unseen(shelf, views, queries, multiplied)


def test_labels_hold_from_the_next_search_on(tmp_path, multiplied):
    shelf = Shelf(("rose oak", "rose fern"), (Labels(("ada",)), Labels(("ada", "bob"))))
    with ExitStack() as stack:
        knowledge = kept(stack, shelf, (0, 1), Meaning(), tmp_path)
        bob = knowledge.reader("bob")
        assert [id[:8] for id, _ in found(bob, "rose").words] == ["namezq1z"]
        knowledge.relabel("namezq0zq.md", Labels(("bob",)))
        knowledge.relabel("namezq1zq.md", Labels(("ada",)))
        assert [id[:8] for id, _ in found(bob, "rose").words] == ["namezq0z"]


def test_a_position_that_somebody_makes_up_gives_no_forbidden_passage(tmp_path):
    shelf = Shelf(("rose", "oak"), (Labels(("ada",)), Labels(("bob",))))
    with ExitStack() as stack:
        reader = kept(stack, shelf, (0, 1), Meaning(), tmp_path).reader("bob")
        assert [passage.document for passage in reader.passages([0, 1])] == ["namezq1zq.md"]


@pytest.mark.parametrize("query", ["rose zq0zq", '"zq0zq" OR *', "name:zq0zq NEAR(a b)", "\x00zq0zq", "zq0zq" * 2000])
def test_no_error_and_no_odd_query_tells_of_what_is_forbidden(tmp_path, query):
    shelf = Shelf(("rose oak", "rose fern"), (Labels(("ada",)), Labels(("bob",))))
    with ExitStack() as stack:
        reader = kept(stack, shelf, (0, 1), Meaning(), tmp_path).reader("bob")
        try:
            told = repr(found(reader, query))
        except TaskError as error:
            told = str(error)
        assert shelf.told_in(told.replace(query, "")) <= {1}


# -- in a run --------------------------------------------------------------------------------------


def copied(prompt: str, draw: int) -> str:
    """A reply that says again all that was shown, draw by draw in another order."""
    words = prompt.split()
    random.Random(draw).shuffle(words)
    return " ".join(words)


def told(x: str, passages: Sequence, thoughts: Sequence, scores: Sequence) -> Prompt:
    return Prompt(passages=quote(passages), problem=x, thoughts=narrate(thoughts, scores), ask="Go on.")


@dataclass(frozen=True)
class Ask:
    """Ask a model for thoughts: the run's for this role, or one of its own; with demonstrations, if there are any."""

    model: Scripted | None = None
    shots: tuple[Passage, ...] = ()
    done: bool = False

    async def __call__(self, state: tg.State, n: int) -> list[tg.Draft]:
        said = await state.knowing(*self.shots).ask(told, 1, model=self.model)
        return [tg.Draft(text, done=self.done) for text in said]


@dataclass(frozen=True)
class Judge:
    """Judge thoughts, and say of each what was shown of it."""

    model: Scripted | None = None

    async def __call__(self, states: Sequence[tg.State]) -> list[tg.Score]:
        said = [await state.ask(told, 1, model=self.model) for state in states]
        return [tg.Score(0.5, *texts[:1]) for texts in said]


def aloud(states: Sequence[tg.State]) -> list[tg.Score]:
    """A critic without a model, which compares: it says of each thought what all the others hold."""
    whole = " ".join(state.thought.text for state in states)
    return [tg.Score(0.5, whole) for _ in states]


@dataclass(frozen=True)
class Wander:
    """Any action and any critic on any thoughts, by chance."""

    seed: int
    steps: int = 12

    async def __call__(self, search) -> tg.Thought:
        rng = random.Random(self.seed)
        await search.expand(search.root, action="retrieve", n=3)
        for _ in range(self.steps):
            known = list(search.graph)
            some = rng.sample(known, min(len(known), rng.choice((1, 1, 2, 3))))
            try:
                if rng.random() < 0.3:
                    await search.score(some, rng.choice(("judge", "foreign", "aloud")))
                else:
                    action = rng.choice(("retrieve", "note", "answer", "foreign", "taught"))
                    await search.expand(*some, action=action, n=rng.choice((1, 2)))
            except BudgetExhausted:
                break
        return rng.choice(list(search.graph))


@dataclass
class Hall:
    """Three models, in the roles of a run over a shelf, which remember every prompt that they were shown."""

    shelf: Shelf
    seed: int
    models: dict[str, Scripted] = field(init=False)

    def __post_init__(self) -> None:
        self.models = {name: Scripted(copied, model=name[6:], max_tokens=1_000_000) for name in MODELS}

    def task(self, reader: Reader) -> tg.Task:
        _, b, c = self.models.values()
        shots = asyncio.run(BM25(reader)("rose tulip oak", 1))
        return tg.Task(
            "Which of rose, oak and fern?",
            {
                "retrieve": Retrieve(BM25(reader), k=3),
                "note": Ask(),
                "answer": Ask(done=True),
                "foreign": Ask(c),
                "taught": Ask(b, tuple(shots)),
            },
            {"judge": Judge(), "foreign": Judge(b), "aloud": aloud},
            goal=lambda path: len(path[-1].text) % 2 == 0,
        )

    def engine(self, task: tg.Task, store: MemoryStore, run: str, cache: Cache | None) -> Engine:
        a, b, _ = self.models.values()
        how = {"model": a, "models": {"answer": b}, "budget": tg.Budget(calls=60), "cache": cache}
        return Engine(task, Wander(self.seed), store=store, run=run, seed=self.seed, **how)

    def check(self, principal: Sequence[str]) -> None:
        """No model was shown what it may not see, nor what the principal may not read."""
        for name, model in self.models.items():
            for request in model.seen:
                for number in self.shelf.told_in(" ".join(m.content for m in request.messages)):
                    assert self.shelf.labels[number].sendable(name), f"{name} was shown {number}"
                    assert self.shelf.labels[number].readable(principal)


def everything(store: MemoryStore, run: str) -> str:
    records = store.records(run)
    texts = [store.text(record.prompt) for record in records if isinstance(record, Sent)]
    return repr((store.events(run), records, texts))


def walked(shelf: Shelf, principals: list[tuple[str, ...]], seed: int, cut: float, *, narrow: bool) -> None:
    """Runs of several principals over one file, with one cache; each is cut somewhere and gone on with."""
    with tempfile.TemporaryDirectory(dir=RAM) as folder, ExitStack() as stack:
        knowledge = stack.enter_context(Knowledge(Path(folder) / "k.db"))
        for number, labels in enumerate(shelf.labels):
            knowledge.add(shelf.document(number), labels=labels)
        cache, store = Cache(), MemoryStore()
        stack.callback(cache.close)
        for at, principal in enumerate(principals):
            hall, run = Hall(shelf, seed), f"{at}"
            task = hall.task(knowledge.reader(principal, models=MODELS if narrow else ()))
            ended(hall.engine(task, store, run, cache).start())
            hall.check(principal)
            _complete(shelf, store, run)
            assert shelf.told_in(everything(store, run)) <= set(shelf.readable(principal))
            again = prefix_of(store, run, cut)
            ended(hall.engine(task, again, run, cache if at % 2 else None).resume())
            hall.check(principal)
            _complete(shelf, again, run)
            assert shelf.told_in(everything(again, run)) <= set(shelf.readable(principal))
            _exported(shelf, store, task, run, Path(folder))


def ended(work: Coroutine) -> None:
    """To the end of a run; one in which nothing was allowed again and again has failed, and is a run all the same."""
    with contextlib.suppress(RunFailed):
        finish(work)


def prefix_of(store: MemoryStore, run: str, cut: float) -> MemoryStore:
    """What a kill somewhere in the middle leaves."""
    events, left = store.events(run), MemoryStore()
    last = 1 + int(cut * (len(events) - 2))
    for event in events[:last]:
        left.append(run, event)
    for record in store.records(run):
        if record.at <= events[last - 1].at:
            left.note(run, record)
            if isinstance(record, Sent):
                left.keep(store.text(record.prompt))
    return left


def _complete(shelf: Shelf, store: MemoryStore, run: str) -> None:
    """The trace tells of each prompt what it rests on, and of each thought; and what went to whom adds up to it."""
    for record in store.records(run):
        if isinstance(record, Sent):
            assert shelf.told_in(store.text(record.prompt)) <= named(shelf, record.origins)
    graph = graph_of(store.events(run))
    for thought in graph:
        assert shelf.told_in(json.dumps(thought.content)) <= named(shelf, graph.origins(thought))
    for model, passages in shown_to(store.records(run)).items():
        assert all(passage.labels and passage.labels.sendable(model) for passage in passages)


def named(shelf: Shelf, origins: Sequence[Passage]) -> set[int]:
    return {number for origin in origins for number in shelf.told_in(origin.document)}


def _exported(shelf: Shelf, store: MemoryStore, task: tg.Task, run: str, folder: Path) -> None:
    """No row that may be trained on, or shown to a model, holds what may not be; and no export holds any other."""
    rows = rows_of(store, task, runs=[run], rollout=None)
    for row in rows:
        held = shelf.told_in(repr(row))
        assert not row.train or all(shelf.labels[number].train for number in held)
        for model in MODELS:
            assert not sendable(row, model) or all(shelf.labels[number].sendable(model) for number in held)
    if any(row.train for row in rows):
        export(rows, folder / "rows.jsonl", "grpo")
    with_answers = [row for row in rows if row.kind == "outcome"]
    if any(row.train for row in with_answers):
        export(with_answers, folder / "rows.jsonl", "kto")
        told_of = shelf.told_in((folder / "rows.jsonl").read_text())
        assert all(shelf.labels[number].train for number in told_of)


RUNS = {
    "shelf": shelves(6),
    "principals": st.lists(some(PEOPLE, least=1), min_size=1, max_size=2),
    "seed": st.integers(0, 10_000),
    "cut": st.floats(0, 1),
    "narrow": st.booleans(),
}


@settings(TRIED, max_examples=12)
@given(**RUNS)
def test_no_model_is_shown_and_no_trace_holds_what_may_not_be(shelf, principals, seed, cut, narrow):
    walked(shelf, principals, seed, cut, narrow=narrow)


@SLOW
@settings(TRIED, max_examples=2000)
@given(**RUNS)
def test_no_model_is_shown_and_no_trace_holds_what_may_not_be_in_thousands_of_runs(
    shelf, principals, seed, cut, narrow
):
    walked(shelf, principals, seed, cut, narrow=narrow)


def test_these_runs_do_show_what_may_be_shown():
    """The checks above can fail: models are shown passages, and copy them into notes, feedback and answers."""
    shelf = Shelf(("rose oak", "rose fern"), (Labels((ANYONE,), (ANYONE,), train=True),) * 2)
    with tempfile.TemporaryDirectory() as folder, Knowledge(Path(folder) / "k.db") as knowledge:
        for number in (0, 1):
            knowledge.add(shelf.document(number), labels=shelf.labels[number])
        shown, copies = Counter[str](), Counter[str]()
        for seed in range(8):
            hall, store = Hall(shelf, seed), MemoryStore()
            finish(hall.engine(hall.task(knowledge.reader("ada")), store, "a", None).start())
            for name, model in hall.models.items():
                prompts = (" ".join(m.content for m in request.messages) for request in model.seen)
                shown[name] += sum(bool(shelf.told_in(prompt)) for prompt in prompts)
            graph = graph_of(store.events("a"))
            copies["thoughts"] += sum(as_passage(t) is None and bool(shelf.told_in(t.text)) for t in graph)
            copies["feedback"] += sum(bool(shelf.told_in(s.feedback)) for t in graph for s in graph.scores(t))
    assert all(shown[name] > 3 for name in MODELS), shown
    assert all(copies[kind] > 3 for kind in ("thoughts", "feedback")), copies
