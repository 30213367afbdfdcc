"""The English of a private world (Weston et al., 2016): what its sentences, phrases and questions say, read by rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from string import Formatter
from typing import NamedTuple

from thoughtgraph.tasks.templates import Kind, Relation, Template
from thoughtgraph.tasks.worlds import MONTHS, Record

_PIECES = {"a": "[A-Z][a-z]+", "b": "[A-Z][a-z]+", "n": r"\d+"}
_DATE = r"\d{1,2} [A-Z][a-z]+ \d{4}"


class Chain(NamedTuple):
    """What a phrase means: the relations to follow, by their names, from the name it begins with."""

    start: str
    path: tuple[str, ...] = ()

    def until(self, hop: int) -> Chain:
        """Its first so many relations."""
        return Chain(self.start, self.path[:hop])


class Stated(NamedTuple):
    """A record, and the sentence that states it."""

    record: Record
    sentence: str


class Found(NamedTuple):
    """What a note says that a phrase comes to, and the day of the record that it goes by."""

    chain: Chain
    name: str
    day: date | None = None


@dataclass(frozen=True)
class Language:
    """A reader's grammar of a template: it knows how things are said, and nothing of what is so."""

    template: Template
    _read: dict[str, list[Stated]] = field(default_factory=dict[str, list[Stated]], repr=False, compare=False)

    def stated(self, text: str) -> list[Stated]:
        """The records that the sentences of a text state, in their order."""
        return [one for sentence in _sentences(text) for one in self._stated(sentence)]

    def _stated(self, sentence: str) -> list[Stated]:
        if sentence not in self._read:
            day, void, clause = _unframed(sentence, self.template)
            found = (_record(clause, relation, self.template) for relation in self.template.relations)
            self._read[sentence] = [
                Stated(record._replace(day=day, void=void), sentence) for record in found if record is not None
            ]
        return self._read[sentence]

    def question(self, text: str) -> Chain | None:
        """The chain that a question asks for; None for what is no question of this language."""
        for relation in self._known:
            if (match := _pattern(relation.asked).fullmatch(" ".join(text.split()))) and (
                chain := self.phrase(match["s"], relation.subject)
            ):
                return Chain(chain.start, (*chain.path, relation.name))
        return None

    def phrase(self, text: str, kind: str) -> Chain | None:
        """What a phrase for a thing of this kind means: a name, or what leads there from one."""
        if name := named(text, self.template.kind(kind)):
            return Chain(name)
        for relation in self._known:
            match = _pattern(relation.named).fullmatch(text) if relation.object == kind else None
            if match and (chain := self.phrase(match["s"], relation.subject)):
                return Chain(chain.start, (*chain.path, relation.name))
        return None

    def found(self, text: str) -> list[Found]:
        """What a note says: what phrases come to ("As of 3 May 2021, the team of the lead of X is Y."), and records.

        Of a sentence that gives its reason ("..., so the team of the lead of X is Y."), it is what follows "so".
        """
        return [one for sentence in _sentences(text) for one in self._found(sentence.rpartition(", so ")[2])]

    def _found(self, sentence: str) -> list[Found]:
        day, void, clause = _unframed(sentence, self.template)
        if void:
            return []
        if said := self._equal(clause):
            return [said._replace(day=day)]
        told = [one.record for one in self._stated(sentence)]
        return [Found(Chain(record.subject, (record.relation,)), record.object, day) for record in told]

    def _equal(self, clause: str) -> Found | None:
        """What "the site of the team of X is Y" says, wherever an "is" parts it."""
        for place in re.finditer(r"\sis\s", clause):
            left, right = clause[: place.start()], clause[place.end() :].strip(" .")
            for relation in self._known:
                name = named(right, self.template.kind(relation.object))
                chain = self.phrase(_lowered(left), relation.object) if name else None
                if name and chain and chain.path and chain.path[-1] == relation.name:
                    return Found(chain, name)
        return None

    def worded(self, chain: Chain) -> str:
        """The phrase for what a chain leads to."""
        phrase = chain.start
        for name in chain.path:
            phrase = self.template.relation(name).named.format(s=phrase)
        return phrase

    def names(self, text: str, kind: str) -> list[str]:
        """The names in a text that look like those of a kind, each once."""
        return list(dict.fromkeys(_canonical(found, self.template.kind(kind)) for found in _names(text, kind, self)))

    @property
    def _known(self) -> Sequence[Relation]:
        return [relation for relation in self.template.relations if not relation.many]


def _names(text: str, kind: str, language: Language) -> list[str]:
    return [match[0] for match in re.finditer(_like(language.template.kind(kind)), text)]


def named(text: str, kind: Kind) -> str | None:
    """The name that a text is, as names of this kind are written; None where it looks like none."""
    return _canonical(text, kind) if re.fullmatch(_like(kind), text) else None


@lru_cache(maxsize=256)
def _like(kind: Kind) -> str:
    """What names of a kind look like; the first letter may be a capital, as at the beginning of a sentence."""
    parts = Formatter().parse(kind.pattern)
    return "".join(
        _any_case(text, not at) + _PIECES.get(place or "", "") for at, (text, place, _, _) in enumerate(parts)
    )


def _canonical(text: str, kind: Kind) -> str:
    """A name without the capital that only its place in a sentence gave it."""
    return _lowered(text) if kind.pattern[0].islower() else text


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _any_case(text: str, first: bool) -> str:
    if first and text[:1].isalpha():
        return f"[{text[0].upper()}{text[0].lower()}]{re.escape(text[1:])}"
    return re.escape(text)


def _record(clause: str, relation: Relation, template: Template) -> Record | None:
    for said in relation.said:
        match = _clause(said, template.kind(relation.subject), template.kind(relation.object)).fullmatch(clause)
        if match:
            subject = _canonical(match["s"], template.kind(relation.subject))
            return Record(relation.name, subject, _canonical(match["o"], template.kind(relation.object)))
    return None


@lru_cache(maxsize=4096)
def _clause(said: str, of: Kind, what: Kind) -> re.Pattern[str]:
    return re.compile(_filled(said, {"s": _like(of), "o": _like(what)}))


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(_filled(text, {"s": ".+", "date": _DATE, "fact": ".+"}))


def _filled(text: str, places: dict[str, str]) -> str:
    """A wording as a regular expression, with a group for each of its places."""
    made, seen = "", set[str]()
    for at, (literal, place, _, _) in enumerate(Formatter().parse(text)):
        made += _any_case(literal, not at)
        if place:
            made += f"(?P={place})" if place in seen else f"(?P<{place}>{places[place]})"
            seen.add(place)
    return made


def _unframed(sentence: str, template: Template) -> tuple[date | None, bool, str]:
    """The day of a record, whether it was withdrawn, and what it says."""
    for void, frames in ((True, template.withdrawn), (False, template.dated)):
        for frame in frames:
            if (match := _pattern(frame).fullmatch(sentence)) and (day := day_of(match["date"])):
                return day, void, match["fact"]
    return None, False, sentence


def day_of(text: str) -> date | None:
    """The day that "3 March 2021" names; None where there is no such day."""
    day, _, rest = text.partition(" ")
    month, _, year = rest.partition(" ")
    try:
        return date(int(year), MONTHS.index(month) + 1, int(day))
    except ValueError:
        return None


def _sentences(text: str) -> list[str]:
    """Sentences without their full stops, and without the numbers in brackets behind them."""
    plain = re.sub(r"\s*\[[\d, ]+\]", "", text)
    return [piece.strip() for piece in re.split(r"[.!?]+(?:\s+|\Z)|\n+", plain) if piece.strip()]
