"""Forgetting a document in recorded runs (GDPR, 2016, article 17: erasure): what rests on it becomes a tombstone.

A run keeps its shape, its books and its usage. What stood in it and came from the document goes: the passages, the
thoughts that were made of them, the prompts, replies and judgements on the way. Such a run can be shown, and neither
gone on with nor learned from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast, get_args
from unicodedata import normalize

from thoughtgraph.cache import named
from thoughtgraph.errors import InUse
from thoughtgraph.labels import Labels
from thoughtgraph.model import Outcome, Reply
from thoughtgraph.store import Rewritten, Store
from thoughtgraph.thought import Json, Passage, Score, Thought, as_json, as_passage
from thoughtgraph.trace import (
    Acted,
    Begun,
    Event,
    Expanded,
    Forgotten,
    Found,
    Noted,
    Record,
    Scored,
    Sent,
    Settled,
    Started,
    Stopped,
)

TOMBSTONE: Json = {"forgotten": True}
"""What stands where a thought's content was."""

GONE = "forgotten"
"""What stands where a text was."""

SHOWN = ("policy", "task", "model", "seed")
"""The marks of a run that stay: the others may quote what it was given."""

BATCH = 100
"""So many runs are owned and changed at a time: each holds a file open."""

RUN = 6
"""So many words in a row are a quotation; of a shorter text, all of it."""

TOGETHER = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Letters of scripts that leave no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

FEWEST = 3
"""A text of fewer words is found by where it stands, and not by its words, which stand everywhere."""

WORD = re.compile(f"[{TOGETHER}]|[^\\W{TOGETHER}]+")
"""A word, as it is compared; where none are written apart, a letter."""

ESCAPED = re.compile(r'\\u([0-9a-fA-F]{4})|\\([nrtbf"/\\])')
"""What JSON and Python make of characters."""

E = TypeVar("E", Expanded, Scored, Sent, Found)


class Forgetful(Store, Protocol):
    """A store that can let go of what it has."""

    def claim(self, run: str, *, forgotten: bool = False) -> None:
        """Become the run's one owner; with `forgotten`, of one too that cannot be gone on with."""
        ...

    def naming(self, text: str) -> list[str]:
        """The runs that may hold a text somewhere."""
        ...

    def rewrite(self, changed: Rewritten) -> None:
        """Put other events and records in the place of what runs have, and drop their texts. All or nothing."""
        ...

    def erase(self) -> None:
        """Leave nothing of what was deleted in any byte."""
        ...


@dataclass(frozen=True)
class Lost:
    """A document that is to be forgotten: its name in the knowledge known as `base` (in any, if that is "").

    `texts` are what is known of its text. They find it also where nobody said that it stood there.
    """

    document: str
    base: str = ""
    texts: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, str]:
        """The digests that it is remembered by, first its own, then that of its name in no known file."""
        return named(self.base, self.document), named("", self.document)

    def has(self, passage: Passage | None) -> bool:
        """Whether a passage is one of its own."""
        return (
            passage is not None
            and passage.document == self.document
            and (not self.base or passage.base in ("", self.base))
        )

    def marked(self, mark: str) -> bool:
        """Whether a mark, as `marks.mark` writes it, is of a passage of its own."""
        document = f"document={self.document!r}"
        return any(f"base={base!r}, {document}" in mark for base in ("", self.base)) if self.base else document in mark

    def within(self, content: Json) -> bool:
        """Whether JSON holds a passage of its own, however deep."""
        if isinstance(content, dict):
            told = cast("dict[str, Json]", content)
            return self.has(as_passage(Thought("", (), "", told))) or any(map(self.within, told.values()))
        return isinstance(content, list) and any(map(self.within, cast("list[Json]", content)))

    def among(self, origins: Iterable[Passage]) -> bool:
        """Whether one of these passages is its own."""
        return any(map(self.has, origins))

    def without(self, origins: Sequence[Passage]) -> tuple[Passage, ...]:
        """Origins with its own made nameless, allowed to nobody and for nothing."""
        ghost = Passage("", document=f"{GONE} {self.marks[0]}", labels=Labels((), (), train=False))
        return tuple(dict.fromkeys(ghost if self.has(origin) else origin for origin in origins))


def resting(store: Forgetful, lost: Lost) -> list[str]:
    """The runs in which something rests on the document."""
    told, words = set(store.naming(lost.document)), Words(lost.texts)
    return [
        run
        for run in store.runs()
        if (run in told and Trail(store, run, lost).begins) or _given(store, run, lost, words)
    ]


def _given(store: Store, run: str, lost: Lost, words: Words) -> bool:
    """Whether the passages that a run was given name the document or quote its words, however far it got."""
    started = store.ends(run)[0]
    told = started.marks.get("passages", "") if isinstance(started, Started) else ""
    return lost.marked(told) or words.quoted(told)


def idle(store: Forgetful, run: str) -> None:
    """Raise `InUse` if somebody is at work on a run."""
    with _owned(store, [run]):
        pass


def forget_runs(store: Forgetful, lost: Lost, created: str) -> list[str]:
    """Take what rests on the document out of every run, `BATCH` of them at a time; their ids.

    `InUse` where somebody is at work on one: those before are done, and the same call goes on. What was there may still
    stand in the store's file, until `store.erase()`.
    """
    runs = resting(store, lost)
    for start in range(0, len(runs), BATCH):
        with _owned(store, batch := runs[start : start + BATCH]):
            tomb = store.keep(GONE)
            store.rewrite({run: Trail(store, run, lost).followed().buried(tomb, created) for run in batch})
    return runs


@contextmanager
def _owned(store: Forgetful, runs: Sequence[str]) -> Generator[None, None, None]:
    with ExitStack() as held:
        for run in runs:
            try:
                store.claim(run, forgotten=True)
            except InUse as error:
                raise InUse(f"the document cannot be forgotten now, for a run rests on it: {error}") from None
            held.callback(store.release, run)
        yield


def forgotten(thought: Thought) -> bool:
    """Whether a thought's content is gone."""
    return thought.content == TOMBSTONE


# -- what rests on it ------------------------------------------------------------------------------------------------


class Words:
    """What texts say, in runs of words: what quotes them is known by one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.runs: dict[int, set[tuple[str, ...]]] = {}
        for words in map(_words, texts):
            if len(words) >= FEWEST:
                size = min(RUN, len(words))
                self.runs.setdefault(size, set()).update(_runs(words, size))

    def quoted(self, *texts: str) -> bool:
        """Whether one of these texts quotes them, also as JSON or Python spell it."""
        return bool(self.runs) and any(self._in(_words(spelt)) for text in texts for spelt in _spellings(text))

    def _in(self, words: Sequence[str]) -> bool:
        return any(not known.isdisjoint(_runs(words, size)) for size, known in self.runs.items())


@dataclass(frozen=True)
class Trail:
    """What of a run rests on a document: the effects that it went into, the thoughts that it came to.

    Beyond what the trace says of its origins, it is known by its words; what a run was cut short at counts as resting
    on it, since nobody knows. A passage of another document stays what it is, whatever it was looked up for.
    """

    store: Store
    run: str
    lost: Lost

    @cached_property
    def events(self) -> list[Event]:
        """What the run has."""
        return self.store.events(self.run)

    @cached_property
    def records(self) -> list[Record]:
        """Its calls and acts."""
        return self.store.records(self.run)

    @cached_property
    def begins(self) -> bool:
        """Whether anything in the run is a passage of the document, or was made with one."""
        told = [*self.events, *self.records]
        return (
            any(self.lost.among(item.origins) for item in told if isinstance(item, Expanded | Scored | Sent | Found))
            or any(self.lost.has(as_passage(thought)) for thought in _thoughts(self.events))
            or any(self.lost.within(item.value) for item in told if isinstance(item, Acted))
        )

    @cached_property
    def effects(self) -> set[str]:
        """The keys of the effects that it went into, as far as `followed` has come."""
        return set(self._keys())

    @cached_property
    def reached(self) -> set[str]:
        """The ids of the thoughts that it came to, in content or in what was said of them."""
        return set()

    def followed(self) -> Trail:
        """The same, to its end."""
        while self._spread():
            pass
        return self

    @cached_property
    def words(self) -> Words:
        """What the document says, now and in the versions that the run saw."""
        seen = filter(self.lost.has, map(as_passage, _thoughts(self.events)))
        return Words([*self.lost.texts, *(passage.text for passage in seen if passage)])

    def _keys(self) -> Iterator[str]:
        """The effects whose prompts, replies, acts or results hold something of it; those that never ended too."""
        told = {event.key: event for event in self.events if isinstance(event, Expanded | Scored)}
        sent = {record.id: record.key for record in self.records if isinstance(record, Sent)}
        for record in self.records:
            key = sent.get(record.id) if isinstance(record, Settled) else getattr(record, "key", None)
            if key and (key not in told or self._holds(record)):
                yield key
        yield from (event.key for event in self.events if isinstance(event, Expanded | Scored) and self._tells(event))

    def _holds(self, record: Record) -> bool:
        match record:
            case Sent():
                return self.lost.among(record.origins) or self.words.quoted(self.store.text(record.prompt))
            case Settled():
                return self.words.quoted(*(reply.text for reply in record.replies))
            case Found():
                said = (reply.text for reply in record.replies)
                return self.lost.among(record.origins) or self.words.quoted(*said)
            case Acted():
                return self.lost.within(record.value) or self.words.quoted(record.name, *_texts(record.value))
            case Begun():
                return False

    def _tells(self, event: Expanded | Scored) -> bool:
        if isinstance(event, Expanded):
            own = (thought.content for thought in event.thoughts if not _verbatim(thought))
            said = [event.error, *(text for content in own for text in _texts(content))]
        else:
            said = [event.error, *(t for s in event.scores for t in (s.feedback, *_texts([s.details, s.parts])))]
        return self.lost.among(event.origins) or self.words.quoted(*said)

    def _spread(self) -> bool:
        """Follow it one round further: from thoughts to what was made of them and said of them; False at the end."""
        known = len(self.effects) + len(self.reached)
        for event in self.events:
            if isinstance(event, Started) and self.lost.has(as_passage(event.root)):
                self.reached.add(event.root.id)
            elif isinstance(event, Expanded):
                self._made(event)
            elif isinstance(event, Scored):
                self._judged(event)
        return len(self.effects) + len(self.reached) > known

    def _made(self, event: Expanded) -> None:
        after = not self.reached.isdisjoint(event.parents)
        if after:
            self.effects.add(event.key)
        new = {thought.id: thought for thought in event.thoughts}
        for id in event.made:
            other = id in new and _verbatim(new[id]) and not self.lost.has(as_passage(new[id]))
            own = id in new and self.lost.has(as_passage(new[id]))
            if after or own or (event.key in self.effects and not other):
                self.reached.add(id)

    def _judged(self, event: Scored) -> None:
        """Thoughts that were judged together may be spoken of in each other's feedback."""
        if not self.reached.isdisjoint(event.thoughts):
            self.effects.add(event.key)
        if event.key in self.effects:
            judged = zip(event.thoughts, event.scores, strict=True)
            self.reached.update(id for id, score in judged if score.feedback)

    # -- what is left of it ------------------------------------------------------------------------------------------

    def buried(self, tomb: str, created: str) -> tuple[list[Event], list[Record]]:
        """The run without it; `tomb` is the hash of the text that stands for prompts."""
        events = [self._event(event) for event in self.events]
        dead = tuple(thought.id for thought in _thoughts(events) if forgotten(thought))
        at = getattr(self.events[-1], "at", 0.0)
        sent = {record.id: record.key for record in self.records if isinstance(record, Sent)}
        acts = {act.name: f"{GONE} {n}" for n, act in enumerate(self.records) if isinstance(act, Acted | Begun)}
        records = [self._record(record, tomb, sent, acts) for record in self.records]
        return [*events, Forgotten(self.lost.marks[0], dead, created, at)], records

    def _event(self, event: Event) -> Event:
        match event:
            case Started():
                return self._started(event)
            case Expanded():
                return self._expanded(event)
            case Scored() if event.key in self.effects:
                scores = tuple(map(_number, event.scores))
                return self._nameless(replace(event, scores=scores, error=_gone(event.error), outcomes=_counts(event)))
            case Noted():
                return replace(event, text=GONE, where="", about=self._plain(event.about))
            case Stopped():
                whole = event.thought is not None and event.thought not in self.reached
                kept = whole and not self.words.quoted(*_texts(event.answer))
                answer = event.answer if kept or event.answer is None else TOMBSTONE
                return replace(event, answer=answer, error=_gone(event.error))
            case _:
                return event

    def _started(self, event: Started) -> Started:
        kept = {name for name in event.marks if name in SHOWN or name.startswith("model of ")}
        marks = {name: self._plain(text) if name in kept else GONE for name, text in event.marks.items()}
        own = event.root.id in self.reached and self.lost.has(as_passage(event.root))
        quoted = own or self.words.quoted(*_texts(event.root.content))
        root = replace(event.root, content=TOMBSTONE) if quoted else event.root
        return replace(event, root=root, x=self._plain(event.x), marks=marks, recipe=None)

    def _expanded(self, event: Expanded) -> Expanded:
        resting = event.key in self.effects
        thoughts = tuple(self._thought(thought, resting=resting) for thought in event.thoughts)
        if not resting:
            return replace(event, thoughts=thoughts)
        told = replace(event, thoughts=thoughts, error=_gone(event.error), outcomes=_counts(event))
        return self._nameless(told)

    def _thought(self, thought: Thought, *, resting: bool) -> Thought:
        passage = as_passage(thought)
        other = _verbatim(thought) and not self.lost.has(passage)
        return replace(thought, content=TOMBSTONE) if self.lost.has(passage) or (resting and not other) else thought

    def _record(self, record: Record, tomb: str, sent: Mapping[int, str], acts: Mapping[str, str]) -> Record:
        match record:
            case Sent() if record.key in self.effects:
                return self._nameless(replace(record, prompt=tomb))
            case Settled() if sent.get(record.id) in self.effects:
                return replace(record, replies=tuple(map(_silent, record.replies)))
            case Found() if record.key in self.effects:
                return self._nameless(replace(record, replies=tuple(map(_silent, record.replies))))
            case Begun():
                return replace(record, name=acts[record.name])
            case Acted() if not record.key or record.key in self.effects:
                return replace(record, name=acts[record.name], value=TOMBSTONE, error=_gone(record.error))
            case _:
                return record

    def _nameless(self, item: E) -> E:
        return replace(item, origins=self.lost.without(item.origins))

    def _plain(self, text: str) -> str:
        return GONE if self.words.quoted(text) else text


def _thoughts(events: Iterable[Event]) -> Iterator[Thought]:
    for event in events:
        if isinstance(event, Started):
            yield event.root
        elif isinstance(event, Expanded):
            yield from event.thoughts


def _verbatim(thought: Thought) -> bool:
    """Whether a thought is a passage of knowledge, and nothing besides."""
    passage = as_passage(thought)
    if passage is None or not passage.document:
        return False
    return as_json(passage.content, "the passage") == as_json(thought.content, "the thought")


def _number(score: Score) -> Score:
    """A score without its words. Whom a thought was compared with stays: ids tell nothing."""
    details: Json = score.details
    compared = cast("dict[str, Json]", details).get("compared") if isinstance(details, dict) else None
    status = score.status if score.status in ("ok", *get_args(Outcome)) else GONE
    left = {"compared": compared} if compared else None
    return replace(score, feedback=_gone(score.feedback), parts=None, details=left, status=status)


def _counts(event: Expanded | Scored) -> Mapping[str, int] | None:
    """Outcomes by the names that draws have; what was counted under names of its own, together."""
    counted = Counter[str]()
    for name, times in (event.outcomes or {}).items():
        counted[name if name in get_args(Outcome) else GONE] += times
    return dict(counted) or None


def _silent(reply: Reply) -> Reply:
    return Reply(GONE, reply.finish if reply.finish.isidentifier() else GONE)


def _gone(text: str) -> str:
    return GONE if text else ""


def _texts(content: Json) -> Iterator[str]:
    """Every text in JSON, names too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for name, value in cast("dict[str, Json]", content).items():
            yield name
            yield from _texts(value)
    elif isinstance(content, list | tuple):
        for item in cast("Sequence[Any]", content):
            yield from _texts(item)


def _words(text: str) -> list[str]:
    return WORD.findall(normalize("NFKC", text).casefold())


def _runs(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))


def _spellings(text: str) -> Iterator[str]:
    yield text
    if "\\" in text:
        yield ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
