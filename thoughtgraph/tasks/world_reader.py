"""A reader for private worlds: it knows how things are said there, and of what is so only what stands in the prompt.

It stands in for a language model where retrieval and search are what is measured (after Weston et al., 2016): it joins
what it knows with one more fact at a time, overlooks facts, is taken in by what looks like them, and judges its own
notes with mistakes. It reads prompts as they are, by their questions, passages, steps and last words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import NamedTuple

from thoughtgraph.errors import at_least
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.tasks.templates import TEMPLATES, Template
from thoughtgraph.tasks.world_language import Chain, Found, Language, Stated
from thoughtgraph.tasks.worlds import spelt

UNKNOWN, NOTHING, READY = "Not in the knowledge.", "Nothing new.", "Ready."
"""What it says where it finds nothing: what the prompts of `open_book` ask for."""


@dataclass(frozen=True)
class Lapses:
    """How a reader goes wrong, as chances from 0 to 1.

    A fact is overlooked with the chance `miss`. Where something looks like the fact that is looked for (the same said
    of a name that has a word in common, or a record that does not count), it is taken for it with the chance `misled`.
    Where a reader does not know, it guesses with the chance `guess`. A judgement is a guess with the chance
    `misjudge`. Of all these, the part `shared` belongs to the text and comes back whenever that is read; the rest is
    drawn anew for each prompt and draw. `joins` is how many facts it can join to what it knows within one prompt, where
    it is asked for an answer. `seed` makes another reader of the same kind.
    """

    miss: float = 0.05
    misled: float = 0.03
    guess: float = 0.05
    misjudge: float = 0.1
    shared: float = 0.5
    joins: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        chances = {name: getattr(self, name) for name in ("miss", "misled", "guess", "misjudge", "shared")}
        at_least(0, joins=self.joins, **chances)
        for name, chance in chances.items():
            if chance > 1:
                raise ValueError(f"{name} is {chance!r}: expected a chance, from 0 to 1")


def world_reader(template: Template | str, lapses: Lapses | None = None, model: str = "world-reader") -> Scripted:
    """A model that reads the language of `template`, and nothing else; with its own `lapses`.

    The same prompt and draw always give the same reply, whoever asks. A new one for each run counts its draws anew.
    """
    language = Language(TEMPLATES[template] if isinstance(template, str) else template)
    return Scripted(Reading(language, lapses or Lapses()), model=model)


@dataclass(frozen=True)
class Reading:
    """Replies: `reading(prompt, draw)`. What is asked for is known by the last words of the prompt."""

    language: Language
    lapses: Lapses

    def __call__(self, prompt: str, draw: int) -> str:
        """One reply."""
        luck = Luck(self.lapses, f"{sha256(prompt.encode(errors='replace')).hexdigest()}/{draw}")
        page = Page.of(prompt, self.language)
        if page.chain is None:
            return f"Answer: {UNKNOWN}" if "Answer" in page.ask else NOTHING
        return _Reader(self.language, luck, page, page.chain, self.lapses).reply()


class Luck(NamedTuple):
    """Chances that something goes wrong."""

    lapses: Lapses
    here: str

    def strikes(self, chance: float, *what: str) -> bool:
        """Whether it goes wrong this time, or with this text always."""
        common = chance * self.lapses.shared
        if self._drawn("always", *what).random() < common:
            return True
        return self.among(*what).random() < (chance - common) / (1 - common or 1)

    def among(self, *what: str) -> random.Random:
        """Random numbers for this prompt and draw."""
        return self._drawn(self.here, *what)

    def _drawn(self, *what: str) -> random.Random:
        return random.Random("/".join((str(self.lapses.seed), *what)))


# -- what stands in a prompt -------------------------------------------------------------------------------------

_PASSAGE = re.compile(r"<passage\b[^\n]*>\n(.*?)\n</passage>", re.DOTALL)
_STEP = re.compile(r"^Step \d+: (.*?)(?=^Step \d+: |^</thoughts>|\n\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A prompt as it is read: what is asked, the passages in their order, the steps so far, and what is to be done."""

    chain: Chain | None
    passages: tuple[str, ...]
    notes: tuple[str, ...]
    ask: str

    @classmethod
    def of(cls, prompt: str, language: Language) -> Page:
        """Passages are taken out first: what stands in them asks for nothing."""
        rest = _PASSAGE.sub("", prompt)
        pieces = [piece.strip() for piece in rest.split("\n\n") if piece.strip()]
        asked = (language.question(line.removeprefix("The question was: ")) for line in rest.split("\n"))
        notes = tuple(" ".join(found.split()) for found in _STEP.findall(rest))
        return cls(
            next(filter(None, asked), None), tuple(_PASSAGE.findall(prompt)), notes, pieces[-1] if pieces else ""
        )


class Known(NamedTuple):
    """A name that some hops of the question lead to, the day of the record, and the passages that it rests on."""

    name: str
    day: date | None = None
    numbers: tuple[int, ...] = ()


class Step(NamedTuple):
    """One hop more, the record that it goes by, and the passages that state it."""

    hop: int
    stated: Stated
    numbers: tuple[int, ...]

    @property
    def known(self) -> Known:
        """What is known then."""
        return Known(self.stated.record.object, self.stated.record.day, self.numbers)


class Text(NamedTuple):
    """Something to read: a passage with its number, or a note with those of its passages."""

    text: str
    numbers: tuple[int, ...]


# -- what is said ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """One prompt, read with understanding, and its reply."""

    language: Language
    luck: Luck
    page: Page
    chain: Chain
    lapses: Lapses

    def reply(self) -> str:
        """What is asked for in the last words; an answer, where they ask for nothing else that is known."""
        asks: Sequence[tuple[str, Callable[[], str]]] = (
            (r"\A(?:judge|rate)\b", self.judge),
            (r"\Ado the passages\b", self.entail),
            (r"\bquery\b", self.query),
            (r"\bnext (?:sentence|step)\b", self.reason),
            (r"\A(?:join|combine)\b", self.join),
            (r"\Anote\b", self.note),
            (r"\bfrom what you know\b", self.guess),
        )
        return next((do for mark, do in asks if re.search(mark, self.page.ask, re.IGNORECASE)), self.answer)()

    def query(self) -> str:
        """What is missing next, in words with the names that are known; now and then the question again."""
        hop, known = self.furthest
        if hop == self.hops or self.luck.strikes(self.lapses.misled, "query"):
            return self.language.worded(self.chain)
        return self.language.worded(Chain(known.name, (self.chain.path[hop],)))

    def note(self) -> str:
        """A line for each passage that adds something."""
        steps = [step for text in self.passages if (step := self.added([text]))]
        return "\n".join(map(self.told, steps)) or NOTHING

    def join(self) -> str:
        """What one note adds to another."""
        step = self.added(self.notes)
        return self.told(step) if step else NOTHING

    def reason(self) -> str:
        """The next sentence; that nothing is missing, where that is to be said."""
        step, ready = self.added(self.passages), READY if READY.rstrip(".") in self.page.ask else ""
        if step is None:
            return ready if ready and self.furthest[0] == self.hops else NOTHING
        return f"{self.told(step)}\n{ready}".strip() if step.hop + 1 == self.hops else self.told(step)

    def answer(self) -> str:
        """What the notes come to, with a fact or two of the passages; or that it is not there."""
        known = dict(self.known)
        for _ in range(self.lapses.joins + (len(known) == 1)):
            if step := self.added(self.passages, known):
                known[step.hop + 1] = step.known
        if self.hops not in known:
            return self.guess()
        numbers = sorted({number for one in known.values() for number in one.numbers})
        phrase, name = self.language.worded(self.chain), known[self.hops].name
        return f"{_raised(phrase)} is {name} {_brackets(numbers)}.\nAnswer: {name}"

    def guess(self) -> str:
        """That it does not know; or a name, of the right kind where one is in the prompt."""
        kind = self.language.template.relation(self.chain.path[-1]).object
        if not self.luck.strikes(self.lapses.guess, "guess", self.language.worded(self.chain)):
            return f"Answer: {UNKNOWN}"
        names = self.language.names("\n".join(self.page.passages), kind) or [self.chain.start]
        return f"Answer: {self.luck.among('guessed').choice(names)}"

    def judge(self) -> str:
        """How far the notes come, in whatever scale or words it is asked for; what does not follow is worth little."""
        hop = self.furthest[0]
        worth = 0.1 if self.flawed else hop / self.hops
        if self.luck.strikes(self.lapses.misjudge, "judge", *self.page.notes[-1:]):
            worth = self.luck.among("judged").random()
        lacking = self.language.worded(self.chain.until(hop + 1)) if hop < self.hops else "nothing"
        return f"What is missing: {lacking}.\n{_scaled(worth, self.page.ask)}"

    def entail(self) -> str:
        """Whether the names and numbers of a thought stand in the passages, or in the question."""
        there = set(re.findall(r"\w+", " ".join((*self.page.passages, self.language.worded(self.chain)))))
        said = set(re.findall(r"(?<=\s)[A-Z]\w+|\d+", re.sub(r"\[[\d, ]+\]", "", " ".join(self.page.notes))))
        stated = said <= there
        wrong = self.luck.strikes(self.lapses.misjudge, "entail", *self.page.notes)
        return "stated" if stated != wrong else "not stated"

    # -- thinking

    @property
    def hops(self) -> int:
        """How many the question has."""
        return len(self.chain.path)

    @property
    def passages(self) -> list[Text]:
        """What stands in the passages, by their numbers."""
        return [Text(text, (number,)) for number, text in enumerate(self.page.passages, 1)]

    @property
    def notes(self) -> list[Text]:
        """What stands in the steps so far."""
        return [Text(text, _numbers(text)) for text in self.page.notes]

    @property
    def known(self) -> dict[int, Known]:
        """What the notes say that the question's first hops lead to; the newest record counts, and the newest note."""
        known = {0: Known(self.chain.start)}
        for text in self.notes:
            for found in self.leading(text.text):
                hop = len(found.chain.path)
                if hop not in known or _time(found.day) >= _time(known[hop].day):
                    known[hop] = Known(found.name, found.day, text.numbers)
        return known

    @property
    def furthest(self) -> tuple[int, Known]:
        """The most hops that are known, and where they lead."""
        return max(self.known.items())

    def leading(self, text: str) -> list[Found]:
        """What a note says of the question's own chain."""
        found = self.language.found(text)
        return [one for one in found if one.chain.path and one.chain == self.chain.until(len(one.chain.path))]

    def added(self, texts: Sequence[Text], known: Mapping[int, Known] | None = None) -> Step | None:
        """The next hop, or a newer record for one that is known; None where the texts have neither."""
        known = self.known if known is None else known
        for hop in sorted(known, reverse=True):
            step = self.step(hop, known[hop].name, texts) if hop < self.hops else None
            if step and (hop + 1 not in known or _newer(step.known, known[hop + 1])):
                return step
        return None

    def step(self, hop: int, name: str, texts: Sequence[Text]) -> Step | None:
        """What the texts say of a name, as far as it is noticed; or what was taken for it."""
        relation = self.language.template.relation(self.chain.path[hop])
        about = [
            Step(hop, one, text.numbers)
            for text in texts
            for one in self.language.stated(text.text)
            if one.record.relation == relation.name and not self.luck.strikes(self.lapses.miss, "miss", one.sentence)
        ]
        right = [step for step in about if step.stated.record.subject == name and not step.stated.record.void]
        best = max(right, key=lambda step: _time(step.stated.record.day), default=None)
        words = self.words(name)
        alike = [step for step in about if step is not best and self.words(step.stated.record.subject) & words]
        if alike and self.luck.strikes(self.lapses.misled, "misled", name, alike[0].stated.sentence):
            return self.luck.among("led", name).choice(alike)
        return best

    def words(self, name: str) -> set[str]:
        """The made-up words of a name, by which it can be mistaken for another."""
        usual = " ".join(kind.pattern for kind in self.language.template.kinds)
        return {word for word in re.findall(r"[A-Z][a-z]+", name) if word not in usual}

    def told(self, step: Step) -> str:
        """A step in one sentence: what it comes to, with the day of the record where it has one."""
        record = step.stated.record
        fact = f"{self.language.worded(self.chain.until(step.hop + 1))} is {record.object}"
        dated = self.language.template.dated
        said = dated[0].format(date=spelt(record.day), fact=fact) if record.day and dated else fact
        return f"{_raised(said)} {_brackets(step.numbers)}."

    @property
    def flawed(self) -> bool:
        """Whether a note says what the passages do not, as far as they speak of it: the newest record there counts."""
        known = self.known
        return any(self.denied(hop, known[hop - 1].name, known[hop].name) for hop in known if hop - 1 in known)

    def denied(self, hop: int, subject: str, name: str) -> bool:
        """Whether what this hop leads to is another name, by all that the passages say; or a name out of the air."""
        there = [one.record for text in self.page.passages for one in self.language.stated(text)]
        about = [one for one in there if one[:2] == (self.chain.path[hop - 1], subject) and not one.void]
        newest = max(about, key=lambda one: _time(one.day), default=None)
        named = any(one.object == name for one in there)
        return newest.object != name if newest else named


def _time(day: date | None) -> date:
    return day or date.min


def _newer(one: Known, other: Known) -> bool:
    """Whether a record says otherwise than an older one."""
    return one.name != other.name and _time(one.day) > _time(other.day)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for group in re.findall(r"\[([\d, ]+)\]", text) for number in re.findall(r"\d+", group))


def _brackets(numbers: Iterable[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _raised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _scaled(worth: float, ask: str) -> str:
    """A worth from 0 to 1 as the ask wants it: a number on its scale, or one of its words, the best one first."""
    if found := re.search(r"\bfrom (\d+)\b.*?\bto (\d+)\b", ask, re.DOTALL):
        low, high = map(int, found.groups())
        return str(round(low + worth * (high - low)))
    if found := re.search(r"one of: ([^.]+)", ask):
        words = re.split(r",\s*(?:or )?|\s+or\s+", found[1].strip())
        return words[round((1 - worth) * (len(words) - 1))]
    return f"{worth:.1f}"
