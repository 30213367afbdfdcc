"""Questions of two to four hops about a private world: what each way to use the knowledge answers, and at what price.

    python benchmarks/knowledge.py [--template company] [--seed 0] [--passages 10000] [--questions 300] [--calls 40]

One reader (`world_reader`), one retriever (BM25), one limit of calls a question. Closed book, one look (RAG), chains of
looks (IRCoT), and RATP with a self-critic, with estimators trained on other questions about another world, and with an
oracle, which knows the way to the answer and shows what a better critic could bring. IRCoT also runs with as
many chains as it takes to have RATP's calls, and its tokens. There are two estimators, and neither costs a call: of
notes, in place of the self-critic, and of passages, before anybody pays for reading them. "thrifty" has fewer
simulations; "notes learned" lacks the estimator of passages, and "passages ranked" lends that to IRCoT.

A question that the knowledge does not answer is answered right by saying so. "path" is the share of right answers to
the others that have every passage on the way to them among their sources. Intervals are 95 %, over questions;
differences are paired.

The reader and the world are made up, so this says how retrieval and search compare where nothing else differs, and not
how any of them fares with a language model and a library.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from itertools import pairwise, product
from math import floor, fsum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, cast

import thoughtgraph as tg
from thoughtgraph.labels import Labels
from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.grown import Grown, grown
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.rows import AnyRow, Outcome, Response, StepTrace
from thoughtgraph.learning.training import train_critic
from thoughtgraph.protocols import Critic
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.documents import Document
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.rerank import Reranked
from thoughtgraph.retrieval.retrieve import missing
from thoughtgraph.search.direct import Direct
from thoughtgraph.search.ircot import IRCoT
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.search.rag import Rag
from thoughtgraph.search.ratp import RATP
from thoughtgraph.state import State
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.store import SQLiteStore
from thoughtgraph.tasks.open_book import open_book
from thoughtgraph.tasks.templates import TEMPLATES
from thoughtgraph.tasks.world_language import Language
from thoughtgraph.tasks.world_reader import Lapses, world_reader
from thoughtgraph.tasks.worlds import Evaluator, Question, World, world
from thoughtgraph.thought import Ito, Score, as_passage
from thoughtgraph.trace import Started


def main() -> None:
    """Make the worlds, train, ask, print."""
    said = options().parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy comes in: two processes share the machine
    began, lapses = time.perf_counter(), Lapses(**{name: getattr(said, name) for name in LAPSES})
    ratp = RATP(simulations=said.simulations, passages=said.k, accept="grounded")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(said.workers, SPAWN) as pool:
        place = Place(said.template, said.seed, said.passages, said.questions, folder, said.k, said.calls, lapses)
        school = replace(place, seed=said.seed + 1_000, questions=said.lessons)
        for one in (place, school):
            filed(one)
        print(f"{place.template}, seed {place.seed}: {place.passages} passages, {place.questions} questions\n{lapses}")
        ends = measured(place, ratp, said.thrifty, school, pool)
        report(ends, place.world.questions)
    if said.json:
        told = {name: [asdict(end) for end in found] for name, found in ends.items()}
        said.json.write_text(json.dumps(told), encoding="utf-8")
    print(f"\n{time.perf_counter() - began:.0f} s")


LAPSES = ("miss", "misled", "guess", "misjudge", "shared")
SPAWN = multiprocessing.get_context("spawn")


def options() -> argparse.ArgumentParser:
    """What can be changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", default="company", choices=sorted(TEMPLATES))
    numbers = (("seed", 0), ("passages", 10_000), ("questions", 300), ("calls", 40), ("k", 6), ("lessons", 300))
    for name, default in (*numbers, ("simulations", 16), ("thrifty", 9), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name in LAPSES:
        parser.add_argument(f"--{name}", type=float, default=getattr(Lapses(), name), help="of the reader")
    parser.add_argument("--json", type=Path)
    return parser


# -- who answers -------------------------------------------------------------------------------------------------------

CLOSED, LOOK, CHAIN = "closed book", "one look (RAG)", "iterative (IRCoT)"
RANKED, SELF, VALUES = "IRCoT, passages ranked", "RATP, self-critic", "RATP, notes learned"
LEARNED, THRIFTY, ORACLE = "RATP, learned", "RATP, learned, thrifty", "RATP, oracle (ablation)"
CALLS, TOKENS = "IRCoT at RATP's calls", "IRCoT at RATP's tokens"


@dataclass(frozen=True)
class Way:
    """A way to use the knowledge: a policy, who judges notes for it, and whether passages are ranked by an estimator.

    `chains` of IRCoT need not be whole: with 2.5 every other question has a third one.
    """

    policy: tg.Policy
    critic: str = "self"
    ranked: bool = False
    chains: float = 0.0

    def at(self, number: int) -> tg.Policy:
        """The policy for one question."""
        if not self.chains or not isinstance(self.policy, IRCoT):
            return self.policy
        return replace(self.policy, chains=max(1, floor(self.chains * (number + 1)) - floor(self.chains * number)))


@dataclass(frozen=True)
class End:
    """What came of a question."""

    right: bool
    calls: int
    prompt: int
    completion: int
    path: bool
    """Whether every passage on the way to the answer is among its sources."""

    @property
    def tokens(self) -> int:
        """Of prompts and replies."""
        return self.prompt + self.completion


@dataclass(frozen=True)
class Place:
    """A world, its knowledge on disk, and who reads it: all that a process needs to ask a question there."""

    template: str
    seed: int
    passages: int
    questions: int
    folder: str
    k: int
    calls: int
    lapses: Lapses

    @property
    def world(self) -> World:
        """The world, the same in every process."""
        return made(self.seed, self.passages, self.template, self.questions)

    @property
    def file(self) -> Path:
        """Where its knowledge stands."""
        return Path(self.folder) / f"{self.template}-{self.seed}.db"

    def task(self, asked: Question, value: Critic | None = None, ranker: Learned | None = None) -> tg.Task:
        """The question over its knowledge."""
        plain = BM25(opened(self.file).reader())
        return open_book(asked.text, Reranked(plain, Ranker(ranker)) if ranker else plain, k=self.k, value=value)

    def solve(self, number: int, way: Way, store: Path | None = None) -> End:
        """One question, answered one way."""
        asked = self.world.questions[number]
        judge = Oracle(asked, Language(self.world.template)) if way.critic == "oracle" else None
        judge = loaded(self.folder, "notes") if way.critic == "learned" else judge
        result = tg.solve(
            self.task(asked, judge, loaded(self.folder, "passages") if way.ranked else None),
            policy=way.at(number),
            model=world_reader(self.template, self.lapses),
            budget=tg.Budget(calls=self.calls),
            seed=number,
            store=store,
        )
        found = {source.passage.document for source in result.sources}
        used, right = result.usage, asked.evaluator(result.answer)
        whole = asked.gold is not None and found.issuperset(asked.passages)
        return End(right, used.calls, used.prompt_tokens or 0, used.completion_tokens or 0, whole)


@cache
def made(seed: int, passages: int, template: str, questions: int) -> World:
    """A world, once in each process."""
    return world(seed, passages, template, questions)


@cache
def opened(file: Path) -> Knowledge:
    """A knowledge, once in each process."""
    return Knowledge(file)


@cache
def loaded(folder: str, name: str) -> Learned:
    """An estimator, once in each process."""
    return load_critic(Path(folder) / f"{name}.json", FEATURES)


def filed(place: Place) -> None:
    """Put a world's passages into its file, which may be learned from."""
    told = (Document(passage.document, passage.text) for passage in place.world.passages)
    opened(place.file).add(told, labels=Labels(train=True))


def some(place: Place, numbers: Sequence[int], way: Way, store: Path | None) -> list[End]:
    """Some questions, in a process of its own."""
    return [place.solve(number, way, store) for number in numbers]


def everything(place: Place, way: Way, pool: Executor, stores: str = "") -> list[End]:
    """All questions, side by side; with `stores`, the runs are kept in files of that name."""
    parts = [range(at, min(at + 10, place.questions)) for at in range(0, place.questions, 10)]
    files = [Path(f"{stores}-{part.start}.db") if stores else None for part in parts]
    work = [pool.submit(some, place, part, way, file) for part, file in zip(parts, files, strict=True)]
    return [end for one in work for end in one.result()]


# -- judges ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Oracle:
    """Knows the way to the answer, and how much of it the notes have gone: for ablation, no critic to use."""

    asked: Question
    language: Language

    ito: ClassVar[Ito] = "environment"

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """The share of hops that are right; 0 for a note that leads astray."""
        return [Score(self.worth([thought.text for thought in state.phi][-1:])) for state in states]

    def worth(self, notes: Sequence[str]) -> float:
        """Of the newest note."""
        asked, worth = self.asked, 0.0
        for found in (one for note in notes for one in self.language.found(note)):
            hop = len(found.chain.path)
            if found.chain[:2] == (asked.chain[0], asked.relations[:hop]):
                worth = max(worth, hop / asked.hops) if asked.chain[hop : hop + 1] == (found.name,) else 0.0
        return worth


# -- estimators --------------------------------------------------------------------------------------------------------


def content(text: str) -> Counter[str]:
    """Words that say something, by their beginnings and how often they stand there: longer ones, names and numbers."""
    words = [word for word in re.findall(r"\w+", text) if word.casefold() not in ASKING]
    return Counter(w.casefold()[:6] for n, w in enumerate(words) if len(w) > 3 or (n and not w.islower()))


ASKING = frozenset(["which", "what", "where", "when", "who", "whom", "whose", "why", "how", "does", "did"])
"""Words that ask, and that no answer repeats."""


def overlap(example: Example) -> list[float]:
    """How a note stands to its question and to the notes before it: what it leaves open, and what it settles."""
    asked, steps = content(example.question), [content(step) for step in example.response.steps] or [Counter[str]()]
    left, before = ((asked - steps[-1]).total(), min(((asked - step).total() for step in steps[:-1]), default=None))
    gain = (asked.total() if before is None else before) - left
    return [float(left), float(left == 0), 1 - left / (asked.total() or 1), float(gain), float(gain > 0)]


PAIRS = 256
"""Columns for pairs of words."""


def relevance(example: Example) -> list[float]:
    """How a passage stands to what is looked for: how much of its names it holds, and what it says of them.

    A pair of words, one of the query and one of a sentence that holds two words of a name, counts in one of many
    columns, by its digest: so it can be learned what "mentor" has to do with "trained".
    """
    asked, columns = re.findall(r"\w+", example.question), [0.0] * PAIRS
    names = {(a, b) for a, b in pairwise(asked) if not (a.islower() or b.islower())}
    wanted = {word for word in asked if word.islower()}
    sentences = [re.findall(r"\w+", one) for one in re.split(r"[.!?]", example.response.text)]
    near = [words for words in sentences if names.intersection(pairwise(words))]
    for words in near:
        for one, other in product(sorted(wanted), sorted({word for word in words if word.islower()})):
            columns[column(one, other)] += 1.0
    whole = len(names.intersection(pair for words in sentences for pair in pairwise(words)))
    there = {word for words in sentences for word in words}
    common = max((len(wanted.intersection(words)) for words in near), default=0)
    loose = sum(word in there for word in set(asked) - wanted)
    return [float(whole), float(loose), float(common), float(len(wanted & there)), *columns]


@cache
def column(one: str, other: str) -> int:
    """The column of a pair, the same on every machine."""
    return int.from_bytes(sha256(f"{one} {other}".encode()).digest()[:4], "big") % PAIRS


FEATURES = (
    Feature("overlap", ("left", "whole", "share", "gain", "nearer"), Each(overlap), "content"),
    Feature(
        "relevance",
        ("whole", "loose", "near", "words", *(f"pair{n}" for n in range(PAIRS))),
        Each(relevance),
        "content",
    ),
)
"""What the estimators see of notes, and of passages: words alone, and nothing of the template."""


@dataclass(frozen=True)
class Ranker:
    """A learned estimator as the judge of passages, before anybody pays for reading them."""

    estimator: Learned

    def __call__(self, query: str, texts: Sequence[str]) -> list[float | None]:
        """A score for each."""
        shown = [Example(query, Response(text=text)) for text in texts]
        return [score.value for score in self.estimator.judge(shown)]


class Lessons(NamedTuple):
    """Rows from runs: what share of all that followed from a note was right, answers made at once, and passages."""

    notes: list[AnyRow]
    answers: list[AnyRow]
    passages: list[AnyRow]


def lessons(school: Place, way: Way, pool: Executor) -> Lessons:
    """What a search with a self-critic did with the school's questions; of eight of its notes answers are tried."""
    stores = f"{school.folder}/lessons"
    everything(school, Way(Labelled(way.policy, thoughts=8, rollouts=1, rollout="answer", steps=1)), pool, stores)
    gold = {one.text: one.evaluator for one in school.world.questions}
    tasks, told = {one.text: school.task(one) for one in school.world.questions}, Lessons([], [], [])

    def evaluate(task: tg.Task) -> Evaluator:
        return gold[task.x]

    for file in sorted(Path(school.folder).glob("lessons-*.db")):
        with closing(SQLiteStore(file, read_only=True)) as store:
            for rows, rollout in ((told.notes, None), (told.answers, "answer")):
                rows.extend(rows_of(store, tasks.values(), evaluate=evaluate, labels="steps", rollout=rollout))
            for run in store.runs():
                asked = next(event.x for event in store.events(run) if isinstance(event, Started))
                told.passages.extend(passages_of(grown(store, run, tasks[asked], gold[asked])))
    return told


def passages_of(tree: Grown) -> list[Outcome]:
    """A row for each passage that was looked up from a thought: 1 where a note was made of it there, else 0."""
    graph, rows = tree.graph, list[Outcome]()
    used = {(note.content["after"], id) for note in graph if note.action == "combine" for id in note.content["sources"]}
    for passage in (thought for thought in graph if as_passage(thought)):
        for parent in {parent.id: parent for parent in graph.parents(passage) if not as_passage(parent)}.values():
            notes = [thought for thought in graph.path(parent) if thought.action == "combine"]
            query: str = missing(cast("Any", SimpleNamespace(x=tree.started.x, phi=notes)))
            made = Response(text=passage.text)
            rows.append(Outcome(question=query, response=made, value=float((parent.id, passage.id) in used)))
    return rows


def taught(school: Place, way: Way, pool: Executor) -> float:
    """Train both estimators, of notes and of passages; the value from which on it pays to answer."""
    told = lessons(school, way, pool)
    for name, rows, seen in (("notes", told.notes, FEATURES[:1]), ("passages", told.passages, FEATURES[1:])):
        training = train_critic(rows, features=seen, learner="logistic", anyway=True, name=name, seed=school.seed)
        if training.critic is None:
            sys.exit(f"nothing could be learned of {name} from these runs")
        training.critic.save(Path(school.folder) / f"{name}.json")
        print(f"estimator of {name}, {len(rows)} rows:\n{training}\n", flush=True)
    return bar(loaded(school.folder, "notes"), told.answers)


def bar(estimator: Learned, rows: Sequence[AnyRow]) -> float:
    """The value that parts best (Youden, 1950) the notes whose answers were right at once from those whose were not."""
    tried = [
        (estimator.judge([Example(row.question, row.response.until(step))])[0].value or 0.0, right / trials)
        for row in rows
        if isinstance(row, StepTrace)
        for step, (right, trials) in enumerate(row.counts, 1)
        if trials
    ]
    good, bad = fsum(right for _, right in tried), fsum(1 - right for _, right in tried)

    def parted(least: float) -> float:
        above = [right for value, right in tried if value >= least]
        return fsum(above) / good - fsum(1 - right for right in above) / bad

    return max({value for value, _ in tried}, key=lambda least: (parted(least), least))


# -- the table ---------------------------------------------------------------------------------------------------------


def measured(place: Place, ratp: RATP, thrifty: int, school: Place, pool: Executor) -> dict[str, list[End]]:
    """Every way to answer every question."""
    began = time.perf_counter()
    guided = replace(ratp, threshold=taught(school, Way(ratp), pool))
    print(
        f"trained in {time.perf_counter() - began:.0f} s on {school.questions} other questions; {guided.threshold=:.3f}"
    )
    chain, ends = IRCoT(rounds=8, passages=place.k), dict[str, list[End]]()
    ways = {
        CLOSED: Way(Direct("closed")),
        LOOK: Way(Rag(passages=place.k)),
        CHAIN: Way(chain),
        RANKED: Way(chain, ranked=True),
        SELF: Way(ratp),
        VALUES: Way(guided, "learned"),
        LEARNED: Way(guided, "learned", ranked=True),
        THRIFTY: Way(replace(guided, simulations=thrifty), "learned", ranked=True),
        ORACLE: Way(ratp, "oracle"),
    }
    for name, way in ways.items():
        ends[name] = everything(place, way, pool)
    for name, spent in ((CALLS, "calls"), (TOKENS, "tokens")):
        chains = max(1.0, total(ends[SELF], spent) / total(ends[CHAIN], spent))
        ends[name] = everything(place, Way(chain, chains=chains), pool)
    return ends


def total(ends: Sequence[End], what: str) -> float:
    """All calls, or all tokens."""
    return sum(getattr(end, what) for end in ends)


def report(ends: dict[str, list[End]], questions: Sequence[Question]) -> None:
    """The table, and what is claimed of it."""
    print(f"{'':<26}{'accuracy':<24}{'calls':<20}{'prompt':>9}{'reply':>7}{'path':>6}{heads(questions)}")
    for name in (CLOSED, LOOK, CHAIN, CALLS, TOKENS, SELF, LEARNED, THRIFTY, VALUES, RANKED, ORACLE):
        said = ends[name]
        prompt, reply = (total(said, what) / len(said) for what in ("prompt", "completion"))
        right = mean([float(end.right) for end in said])
        known = [end for end, one in zip(said, questions, strict=True) if end.right and one.gold]
        path = sum(end.path for end in known) / (len(known) or 1)
        calls = mean([float(end.calls) for end in said], digits=1)
        print(f"{name:<26}{right:<24}{calls:<20}{prompt:>9.0f}{reply:>7.0f}{path:>6.2f}{shares(said, questions)}")
    print()
    for name, one, other, what in CLAIMS:
        found = gap(ends[one], ends[other], what)
        print(f"{name:<66} {found.signed if found else ''}")
    for name in (LEARNED, THRIFTY):
        ratio = total(ends[name], "calls") / total(ends[SELF], "calls")
        print(f"{f'{name}: its calls for one of the self-critic':<66} {ratio:.2f}")


CLAIMS = (
    ("RATP (self-critic) less one look", SELF, LOOK, "right"),
    ("RATP (self-critic) less IRCoT at its calls", SELF, CALLS, "right"),
    ("  calls, less those of IRCoT", SELF, CALLS, "calls"),
    ("RATP (self-critic) less IRCoT at its tokens", SELF, TOKENS, "right"),
    ("  tokens, less those of IRCoT", SELF, TOKENS, "tokens"),
    ("RATP (learned) less IRCoT, one chain", LEARNED, CHAIN, "right"),
    ("RATP (learned) less IRCoT, passages ranked too", LEARNED, RANKED, "right"),
    ("learned estimator less self-critic", LEARNED, SELF, "right"),
    ("  calls, less those of the self-critic", LEARNED, SELF, "calls"),
    ("learned estimator, thrifty, less self-critic", THRIFTY, SELF, "right"),
    ("  calls, less those of the self-critic", THRIFTY, SELF, "calls"),
    ("oracle less self-critic", ORACLE, SELF, "right"),
)
"""What is compared: the name of it, who, with whom, in what."""


def gap(one: Sequence[End], other: Sequence[End], what: str) -> Interval | None:
    """The paired difference, question by question."""
    grids = ([[float(getattr(end, what))] for end in ends] for ends in (one, other))
    return difference(*grids)


def mean(values: Sequence[float], digits: int = 3) -> str:
    """A mean with its interval."""
    found = interval([[value] for value in values])
    if found is None or found.low is None or found.high is None:
        return f"{found.mean:.{digits}f}" if found else ""
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def kind(asked: Question) -> str:
    """How many hops, or that the answer is missing."""
    return f"{asked.hops} hops" if asked.gold else "missing"


def shares(ends: Sequence[End], questions: Sequence[Question]) -> str:
    """Accuracy by kind of question."""
    told = ""
    for one in sorted({kind(asked) for asked in questions}):
        right = [end.right for end, asked in zip(ends, questions, strict=True) if kind(asked) == one]
        told += f"{sum(right) / len(right):>9.2f}"
    return told


def heads(questions: Sequence[Question]) -> str:
    """The names of these kinds."""
    return "".join(f"{one:>9}" for one in sorted({kind(asked) for asked in questions}))


if __name__ == "__main__":
    main()
