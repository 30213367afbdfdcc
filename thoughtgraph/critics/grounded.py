r"""Groundedness (ALCE, Gao et al., 2023; RAGAS, Es et al., 2024): what share of an answer its passages bear out.

>>> [(s.text, s.numbers) for s in sentences("She was born in Ely [2]. It was 1815. [1][3]")]
[('She was born in Ely [2].', (2,)), ('It was 1815. [1][3]', (1, 3))]
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Literal, TypeAlias, cast

from thoughtgraph.critics.value import label
from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, enclosed, quote
from thoughtgraph.sources import sources
from thoughtgraph.state import State
from thoughtgraph.thought import Ito, Json, Passage, Score, Thought, as_passage, as_text

Ask: TypeAlias = Literal["never", "doubtful", "always"]

STATED = {"stated": 1.0, "not stated": 0.0}
"""What a model may say of a sentence."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: where it stands there (characters), and the numbers of the passages that it names."""

    text: str
    start: int
    end: int
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Grounded:
    """The share of an answer's sentences that the passages bear out: those it cites, else all that it was made of.

    By words, which costs nothing: a sentence is borne out where every number and name in it, and at least `bar` of its
    other words of content, stand in the passages; what the question says itself is given. It sees invented names,
    places and figures, and does not see "not" or who did what to whom. With `ask` a model reads the sentence beside
    its passages: the "doubtful" ones, which words do not bear out (a paraphrase may be right), or "always"; one call
    a sentence. `details` list the sentences that nothing bears out. An answer without a sentence, such as one that
    says that the knowledge holds none, is abstained from; one that no passage went into is worth 0.
    """

    bar: float = 0.6
    ask: Ask = "never"
    prompter: Prompter = field(default_factory=lambda: entailed)
    model: Model | None = None

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        if not 0 <= self.bar <= 1:
            raise TaskError(f"bar is {self.bar!r}: expected a share from 0 to 1")
        if self.ask not in ("never", "doubtful", "always"):
            raise TaskError(f'ask is {self.ask!r}: expected "never", "doubtful" or "always"')

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        return await asyncio.gather(*map(self._judge, states))

    async def _judge(self, state: State) -> Score:
        graph = state._graph  # pyright: ignore[reportPrivateUsage]
        said, passages = sentences(stated(state.content)), shown(graph, state.thought, state.passages)
        verdicts = [await self._borne_out(state, one, cited(one, passages)) for one in said]
        known = [verdict for verdict in verdicts if verdict is not None]
        if not known:
            return Score(None, status="abstained", samples=0)
        loose = [asdict(one) for one, verdict in zip(said, verdicts, strict=True) if verdict is False]
        feedback = f"No passage bears out: {loose[0]['text']}" if loose else ""
        return Score(sum(known) / len(known), feedback, details={"sentences": len(said), "unsupported": loose})

    async def _borne_out(self, state: State, sentence: Sentence, passages: Sequence[Passage]) -> bool | None:
        """Whether the passages bear a sentence out; None where the model was to say it, and could not."""
        if not passages:
            return False
        found = supported(sentence.text, [passage.text for passage in passages], state.x, self.bar)
        if self.ask == "never" or (self.ask == "doubtful" and found):
            return found
        alone = Thought(state.thought.id, state.thought.parents, state.thought.action, bare(sentence.text))
        asked = state.knowing(*passages)
        verdicts = await asked.ask(self.prompter, 1, _verdict, thoughts=[alone], model=self.model)
        return verdicts[0] if verdicts else None


def _verdict(reply: str) -> bool:
    return label(reply, STATED)[0] == 1.0


# -- reading an answer -------------------------------------------------------------------------------------------

_ENDS = re.compile(r"(?:[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s|\[|\Z)|[\u3002\uff01\uff1f])(?:[ \t]*\[[\d, ]+\])*|\n+")
_SHORT = re.compile(r"(?:\b(?:[A-Z]|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]o|vs|etc|e\.g|i\.e|ca?|approx))\.\Z")
_NUMBERS = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_WORD = re.compile(r"\w+(?:[.,:'\u2019-]\w+)*")

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about after all also an and any are as at be been before being both but by can could did do does for from "
        "had has have he her here hers him his how if in into is it its just may more most no nor not of on one only "
        "or other our out over she so some such than that the their them then there these they this those to too under "
        "until up was we were what when where which while who whom whose why will with would yes you your",
    )
)
"""Words that carry no content, in English; in other languages all words count."""


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text with the passages that they name, as in [1], [1, 3] or [1][3]."""
    found, start = list[Sentence](), 0
    for end in (*(match.end() for match in _ENDS.finditer(text) if not _abbreviated(text, match)), len(text)):
        piece = text[start:end]
        if re.search(r"\w", bare(piece)):
            at = start + len(piece) - len(piece.lstrip())
            found.append(Sentence(piece.strip(), at, at + len(piece.strip()), numbers(piece)))
        start = end
    return found


def _abbreviated(text: str, end: re.Match[str]) -> bool:
    return end[0] == "." and bool(_SHORT.search(text[max(0, end.start() - 8) : end.end()]))


def numbers(text: str) -> tuple[int, ...]:
    """The numbers that stand in brackets, each once, in their order."""
    said = (int(number) for group in _NUMBERS.findall(text) for number in group.split(","))
    return tuple(dict.fromkeys(said))


def bare(text: str) -> str:
    """A text without the numbers of passages."""
    return re.sub(r"[ \t]*" + _NUMBERS.pattern, "", text).strip()


def stated(content: Json) -> str:
    """What an answer states: its text; "" where its content says that it is "unknown", so that nothing is stated."""
    told = cast("dict[str, Json]", content) if isinstance(content, dict) else {}
    return "" if told.get("unknown") else as_text(content)


def shown(graph: ThoughtGraph, thought: Thought, known: Sequence[Passage] = ()) -> dict[int, Passage]:
    """The passages that a thought was made of, by the numbers that it names them by.

    Its content says under "sources" which passage thoughts these are, in the order of their numbers; where it does
    not, they are numbered as they were found, behind those that were `known`.
    """
    content: Json = thought.content
    told = cast("dict[str, Json]", content).get("sources") if isinstance(content, dict) else None
    if isinstance(told, list):
        ids = enumerate(cast("list[Json]", told), 1)
        return {n: p for n, id in ids if isinstance(id, str) and id in graph and (p := as_passage(graph[id]))}
    found = (source.passage for source in sources(graph, thought))
    return dict(enumerate(dict.fromkeys((*known, *found)), 1))


def unsupported(graph: ThoughtGraph, answer: Thought, question: str = "", bar: float = 0.6) -> list[Sentence]:
    """The sentences of an answer that no passage bears out by its words: what to look at before it is believed."""
    passages, said = shown(graph, answer), sentences(stated(answer.content))
    texts = {one: [passage.text for passage in cited(one, passages)] for one in said}
    return [one for one in said if not (texts[one] and supported(one.text, texts[one], question, bar))]


def cited(sentence: Sentence, passages: Mapping[int, Passage]) -> list[Passage]:
    """The passages that a sentence names; all of them where it names none."""
    named = [passages[number] for number in sentence.numbers if number in passages]
    return named if sentence.numbers else list(passages.values())


# -- by words ----------------------------------------------------------------------------------------------------


def supported(sentence: str, passages: Iterable[str], question: str = "", bar: float = 0.6) -> bool:
    """Whether every number and name of a sentence, and a share `bar` of its other words, stand in the passages.

    The words of the question are given; a sentence that has no others is held to all of its own.

    >>> supported("Ada was born in Ely in 1816.", ["Ada Byron, born at Ely (1815)."])
    False
    """
    said, given = _words(bare(sentence)), _forms(question)
    there = _forms("\n".join(passages))
    rest = {word: sharp for word, sharp in said.items() if _form(word) not in given} or said
    found = {word: _form(word) in there or (not sharp and _stem(word) in there) for word, sharp in rest.items()}
    return all(found[word] for word, sharp in rest.items() if sharp) and sum(found.values()) >= bar * len(found)


def _words(text: str) -> dict[str, bool]:
    """The words of content, and whether each is a number or a name, which must stand there as it is."""
    tokens = [piece for word in _WORD.findall(text) for piece in _pieces(word)]
    sharp = {
        word: any(map(str.isdigit, word)) or (place > 0 and word[0].isupper()) for place, word in enumerate(tokens)
    }
    return {word: is_sharp for word, is_sharp in sharp.items() if word.casefold() not in _COMMON}


def _pieces(word: str) -> list[str]:
    """A word; of a script that puts none apart, each two characters."""
    return [word[i : i + 2] for i in range(max(1, len(word) - 1))] if "\u2e80" <= word[0] <= "\uffdc" else [word]


def _forms(text: str) -> set[str]:
    """The words of a text as they are compared, and their stems."""
    words = [piece for word in _WORD.findall(text) for piece in _pieces(word)]
    return {form for word in words for form in (_form(word), _stem(word))}


def _form(word: str) -> str:
    """A word without case, possessive and thousands marks."""
    plain = word.casefold().replace("\u2019", "'").removesuffix("'s")
    return plain.replace(",", "") if plain[:1].isdigit() else plain


def _stem(word: str) -> str:
    """What remains of a word without its ending: rough, and the same for "manages" and "manager"."""
    plain = _form(word)
    return plain if plain[:1].isdigit() else f"{plain[: max(4, len(plain) - 3)]}~"


# -- by a model --------------------------------------------------------------------------------------------------


def entailed(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Read a sentence beside its passages, and say whether they state it."""
    return Prompt(
        passages=quote(passages),
        problem=f"The question was: {x}",
        thoughts=enclosed(thoughts),
        ask="Do the passages state what this thought says, all of it, in whatever words? What is only likely is not "
        'stated. Write your verdict, alone on the last line, as one of: "stated" or "not stated".',
    )
