"""Private worlds: passages that nobody has read before, and questions of several hops (MuSiQue; Trivedi et al., 2022).

A world is made up from a seed: people, projects, sites and what they have to do with each other, in sentences. No model
has seen it, so what is answered was found in the passages, or guessed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import NamedTuple, TypeVar

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.tasks.templates import COMPANY, TEMPLATES, Kind, Relation, Template, question
from thoughtgraph.thought import Passage

T = TypeVar("T")

ABSENT = "Not in the knowledge."
"""The honest answer to what the passages do not say."""

FIRST = date(2015, 1, 1)
"""No record is older."""

DAYS = 3_000
"""None is newer than so many days after that."""


@dataclass(frozen=True)
class Mix:
    """What a world is like, in shares from 0 to 1.

    Of the facts that can be asked for, `missing` are nowhere, `contested` are contradicted by an older record, and for
    `withdrawn` there is a record, newer as often as not, that does not count. `dated` are the others that have a date.
    `listed` facts stand in a list of things of one kind, and not with what else is known of their subject. `idle`
    passages say nothing. `unanswerable` is the share of questions whose answer is missing.
    """

    missing: float = 0.06
    contested: float = 0.15
    withdrawn: float = 0.05
    dated: float = 0.3
    listed: float = 0.3
    idle: float = 0.1
    unanswerable: float = 0.1

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            at_least(0, **{name: share})
            if share > 1:
                raise ValueError(f"{name} is {share!r}: expected a share from 0 to 1")


class Record(NamedTuple):
    """One thing that a passage says. Of those that contradict each other, the newest that is not `void` counts."""

    relation: str
    subject: str
    object: str
    day: date | None = None
    void: bool = False


@dataclass(frozen=True)
class Question:
    """A question with all that is known of its answer, none of which a search may see but `text`.

    `gold` is the answer, None where the knowledge does not have it. `chain` are the names from the one in the question
    to the answer, or to where it breaks off. `passages` are the ids of those that hold the steps, in their order.
    `contested` says that a record which does not count stands in the way of one of them.
    """

    id: str
    text: str
    hops: int
    gold: str | None
    chain: tuple[str, ...]
    relations: tuple[str, ...]
    passages: tuple[str, ...]
    contested: bool = False

    @property
    def evaluator(self) -> Evaluator:
        """What tells the right answer from others; it stands outside of every search."""
        return Evaluator(self.gold)


@dataclass(frozen=True)
class World:
    """Passages, each a small document of its own (`Passage.document`), and questions about them."""

    template: Template
    seed: int
    passages: tuple[Passage, ...] = field(repr=False)
    questions: tuple[Question, ...] = field(repr=False)


def world(
    seed: int,
    passages: int = 10_000,
    template: Template | str = COMPANY,
    questions: int = 300,
    hops: Sequence[int] = (2, 3, 4),
    mix: Mix | None = None,
) -> World:
    """The world of a seed: the same on every machine.

    There are exactly so many `passages` (100 or more), and `questions`, whose numbers of hops take turns. `TaskError`
    for a template that is not known, and where so small a world has not so many different questions.
    """
    at_least(100, passages=passages)
    at_least(0, questions=questions)
    at_least(1, **{"the number of hops": min(hops, default=0)})
    language, kept = _template(template), mix or Mix()
    rng = random.Random(f"{language.name}/{seed}/{passages}")  # a text: it is hashed the same way everywhere
    truth = _fitting(language, kept, passages, rng)
    idle: list[list[Record]] = [[] for _ in range(passages - len(truth.pages))]
    pages = _shuffled([*truth.pages, *idle], rng)
    told = [_passage(language, truth.names, name, page, rng) for name, page in _named(language, pages)]
    where = {record: name for name, page in _named(language, pages) for record in page}
    asked = _questions(language, kept, truth, where, questions, hops, rng)
    return World(language, seed, tuple(told), tuple(asked))


def _template(template: Template | str) -> Template:
    if isinstance(template, Template):
        return template
    if template not in TEMPLATES:
        raise TaskError(f"there is no template {template!r}: expected one of {', '.join(TEMPLATES)}, or a Template")
    return TEMPLATES[template]


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim is the gold answer, or says that the knowledge has none where that is so."""

    gold: str | None

    def __call__(self, claimed: object) -> bool:
        """True for the name alone, or a sentence that ends in "is", "in" ... and the name; citations do not count."""
        said = bare(claimed) if isinstance(claimed, str) else ""
        if self.gold is None:
            return said.startswith(bare(ABSENT))
        gold = bare(self.gold)
        return said == gold or bool(re.fullmatch(rf"[^.;,]* (?:is|was|by|in|at|on) (?:the )?{re.escape(gold)}", said))


def bare(text: str) -> str:
    """A text without case, citations in brackets, markdown, and what stands at its ends."""
    text = re.sub(r"\s*[\[(][^\[\]()]*[\])]", "", text)
    return " ".join(re.sub(r"[*_`\"]", "", text).casefold().split()).strip(" .!,;:'")


# -- what is true ------------------------------------------------------------------------------------------------

_SIZES, _OFTEN = (1, 2, 3, 4), (3, 3, 2, 1)
"""How many facts a passage holds, and how often."""


class _Truth(NamedTuple):
    """The things of a world by their kinds, what counts of them, and which records stand together."""

    names: Mapping[str, Sequence[str]]
    counts: Mapping[tuple[str, str], Record]
    pages: Sequence[list[Record]]

    @property
    def disputed(self) -> set[tuple[str, str]]:
        """What some record says otherwise than it is."""
        return {record[:2] for page in self.pages for record in page if self.counts.get(record[:2]) != record}


def _fitting(template: Template, mix: Mix, passages: int, rng: random.Random) -> _Truth:
    """The largest world, or nearly, that goes into so many passages."""
    tried = 500.0
    scale = (1 - mix.idle) * passages * tried / len(_truth(template, mix, tried, rng).pages)
    while len((truth := _truth(template, mix, scale, rng)).pages) > passages:
        if (scale := scale * 0.95) < 0.01:
            raise TaskError(f"a world of {template.name!r} takes {len(truth.pages)} passages at least: ask for more")
    return truth


def _truth(template: Template, mix: Mix, scale: float, rng: random.Random) -> _Truth:
    names = _names(template, scale, rng)
    counts, records = dict[tuple[str, str], Record](), list[Record]()
    for relation in template.relations:
        for subject in names[relation.subject]:
            if relation.many:
                records += [_record(relation, subject, names, rng) for _ in range(rng.randint(0, 2))]
            else:
                records += _told(_record(relation, subject, names, rng), relation, names, mix, counts, rng)
    return _Truth(names, counts, _pages(records, counts, mix, rng))


def _record(relation: Relation, subject: str, names: Mapping[str, Sequence[str]], rng: random.Random) -> Record:
    return Record(relation.name, subject, _other(names[relation.object], rng, subject))


def _told(
    record: Record,
    relation: Relation,
    names: Mapping[str, Sequence[str]],
    mix: Mix,
    counts: dict[tuple[str, str], Record],
    rng: random.Random,
) -> Iterator[Record]:
    """The record that counts, unless it is missing, and those that do not count beside it."""
    missing, contested, void = (rng.random() < share for share in (mix.missing, mix.contested, mix.withdrawn))
    when, others = FIRST + timedelta(rng.randint(DAYS // 3, DAYS)), names[relation.object]
    if not missing:
        dated = contested or void or rng.random() < mix.dated
        counts[record[:2]] = record._replace(day=when if dated else None)
        yield counts[record[:2]]
    if contested and not missing:
        older = when - timedelta(rng.randint(30, DAYS // 3))
        yield record._replace(object=_other(others, rng, record.subject, record.object), day=older)
    if void:
        near = when + timedelta(rng.randint(-DAYS // 4, DAYS // 4))
        yield record._replace(object=_other(others, rng, record.subject, record.object), day=near, void=True)


def _other(names: Sequence[str], rng: random.Random, *but: str) -> str:
    """A name that is none of these."""
    while (found := rng.choice(names)) in but:
        pass
    return found


def _pages(
    records: Sequence[Record], counts: Mapping[tuple[str, str], Record], mix: Mix, rng: random.Random
) -> list[list[Record]]:
    """The records of each passage: about one thing, or a list about things of one kind.

    A record that does not count stands by itself, far from the one that does.
    """
    piles = dict[tuple[str, ...], list[Record]]()
    for record in records:
        contrary = counts.get(record[:2], record) != record or record.void
        by_relation = rng.random() < mix.listed
        pile = (record.relation,) if by_relation else (record.subject, "")
        piles.setdefault(tuple(map(str, record)) if contrary else pile, []).append(record)
    return [page for pile in piles.values() for page in _cut(_shuffled(pile, rng), rng)]


def _cut(records: Sequence[Record], rng: random.Random) -> Iterator[list[Record]]:
    at = 0
    while at < len(records):
        size = rng.choices(_SIZES, _OFTEN)[0]
        yield list(records[at : at + size])
        at += size


def _shuffled(items: Sequence[T], rng: random.Random) -> list[T]:
    return rng.sample(items, len(items))


# -- names -------------------------------------------------------------------------------------------------------

_ONSETS = (*"bdfghjklmnprstvz", "br", "dr", "fr", "gr", "kl", "kr", "pl", "sk", "st", "tr")
_VOWELS = (*"aaeeiioou", "ai", "ei", "ou")
_CODAS = ("", "", "", "l", "m", "n", "r", "s", "th", "x")


def _names(template: Template, scale: float, rng: random.Random) -> dict[str, list[str]]:
    """The names of each kind, four at least; some words are in names of several kinds."""
    counts = {kind: max(4, round(kind.share * scale)) for kind in template.kinds}
    words = _words(sum(_needed(kind, count) for kind, count in counts.items()), _vocabulary(template), rng)
    names, taken = dict[str, list[str]](), set[str]()
    for kind, count in counts.items():
        names[kind.name] = _called(kind, count, words, taken, rng)
        taken.update(names[kind.name])
    return names


def _needed(kind: Kind, count: int) -> int:
    """How many words the names of a kind are made of: few enough that a word is in some eight names, if it can be."""
    places = set(re.findall(r"\{\w\}", kind.pattern))
    return ceil(count * (0.25 if {"{a}", "{b}"} <= places else 0.125 if "{n}" in places else 1.5)) + 8


def _words(count: int, used: set[str], rng: random.Random) -> list[str]:
    """Different words that mean nothing, none of which the template uses."""
    made = dict[str, None]()
    while len(made) < count:
        syllables = 2 if rng.random() < 0.7 else 3
        word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)) + rng.choice(_CODAS)
        if word not in used:
            made[word.capitalize()] = None
    return list(made)


def _called(kind: Kind, count: int, words: Sequence[str], taken: set[str], rng: random.Random) -> list[str]:
    """Names that nothing else has, made of few words; of one more for each name that was taken."""
    few, names = rng.sample(words, _needed(kind, count)), dict[str, None]()
    while len(names) < count:
        first, second = rng.sample(few, 2)
        name = kind.pattern.format(a=first, b=second, n=rng.randint(11, 989))
        if name in taken or name in names:
            few.append(rng.choice(words))
        else:
            names[name] = None
    return list(names)


def _vocabulary(template: Template) -> set[str]:
    """The words that its sentences are made of."""
    clauses = [clause for relation in template.relations for clause in (*relation.said, relation.named, relation.asked)]
    frames = [*template.dated, *template.withdrawn, *template.filler, *(kind.pattern for kind in template.kinds)]
    return set(re.findall(r"[a-z]+", " ".join([*clauses, *frames]).casefold()))


# -- how it reads ------------------------------------------------------------------------------------------------


def _named(template: Template, pages: Sequence[list[Record]]) -> Iterator[tuple[str, list[Record]]]:
    width = len(str(len(pages) - 1))
    return ((f"{template.name}/{number:0{width}}", page) for number, page in enumerate(pages))


def _passage(
    template: Template, names: Mapping[str, Sequence[str]], name: str, page: Sequence[Record], rng: random.Random
) -> Passage:
    """Facts in some order, and up to three sentences that say nothing."""
    most = min(3, len(template.filler))
    idle = rng.sample(template.filler, rng.randint(0 if page else 1, most))
    kinds = [rng.choice(template.kinds).name for _ in idle]
    filler = [text.format(x=rng.choice(names[kind])) for text, kind in zip(idle, kinds, strict=True)]
    told = _shuffled([*(sentence(template, record, rng) for record in page), *filler], rng)
    text = " ".join(f"{one[0].upper()}{one[1:]}." for one in told)
    return Passage(text, name, id=name, document=name, end=len(text))


def sentence(template: Template, record: Record, rng: random.Random) -> str:
    """One way to say a record, without a capital and a full stop."""
    said = rng.choice(template.relation(record.relation).said).format(s=record.subject, o=record.object)
    if record.day is None:
        return said
    frame = rng.choice(template.withdrawn if record.void else template.dated)
    return frame.format(date=spelt(record.day), fact=said)


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def spelt(day: date) -> str:
    """A day in words, whatever language the machine speaks."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


# -- what is asked -----------------------------------------------------------------------------------------------

_TRIES = 3_000
"""So many walks running may end where nobody wants them to, or where one did before."""


def _questions(
    template: Template,
    mix: Mix,
    truth: _Truth,
    where: Mapping[Record, str],
    count: int,
    hops: Sequence[int],
    rng: random.Random,
) -> list[Question]:
    """Different questions; each `unanswerable` one breaks off somewhere on its way."""
    paths = {number: template.paths(number) for number in hops}
    disputed, asked, missing = truth.disputed, dict[str, Question](), rng.random() < mix.unanswerable
    idle = 0
    while len(asked) < count and idle < _TRIES and paths[number := hops[len(asked) % len(hops)]]:
        idle += 1
        path = rng.choice(paths[number])
        start = rng.choice(truth.names[path[0].subject])
        walked = _walk(path, start, truth.counts)
        text, chain = question(path, start), (start, *(record.object for record in walked))
        if (len(walked) < number) == missing and len(set(chain)) == len(chain) and text not in asked:
            keys = {(relation.name, name) for relation, name in zip(path, chain, strict=False)}
            asked[text] = Question(
                id=f"{template.name}/{len(asked)}",
                text=text,
                hops=number,
                gold=None if missing else chain[-1],
                chain=chain,
                relations=tuple(relation.name for relation in path),
                passages=tuple(where[record] for record in walked),
                contested=bool(keys & disputed),
            )
            missing, idle = rng.random() < mix.unanswerable, 0
    if len(asked) < count:
        raise TaskError(
            f"only {len(asked)} different questions of {', '.join(map(str, hops))} hops were found in this world, "
            f"expected {count}: ask for fewer, or for more passages"
        )
    return list(asked.values())


def _walk(path: Sequence[Relation], start: str, counts: Mapping[tuple[str, str], Record]) -> list[Record]:
    """The records that lead from a name along a path, as far as they go."""
    found, at = list[Record](), start
    for relation in path:
        if (record := counts.get((relation.name, at))) is None:
            break
        found.append(record)
        at = record.object
    return found
