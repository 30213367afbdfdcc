"""How a public reward model wants a solution to be written, and what it says there (Wang et al., 2024, and others).

A format makes token ids of a problem and its steps, step by step, and keeps the place of each: nothing is looked for
in the ids afterwards, so a mark in somebody's own text cannot be taken for one of ours, and there is one score a step.
A reading makes a number of what the model computes at such a place.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from typing import ClassVar, Literal, Protocol, TypeAlias

from thoughtgraph.errors import ModelError, TaskError

Turn: TypeAlias = tuple[Literal["system", "user", "assistant"], str]
"""One message of a chat: who says it, and what."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a tokenizer and its model have besides words.

    The ids of the first token and of the unknown one, how many tokens the model reads, and the spellings that stand
    for special tokens or for the parts of a chat. None where there is none, or where it is not told.
    """

    bos: int | None = None
    unknown: int | None = None
    limit: int | None = None
    specials: tuple[str, ...] | None = None


class Tokens(Protocol):
    """A tokenizer: in this process, or a server's."""

    def vocabulary(self) -> Awaitable[Vocabulary]:
        """What it has besides words."""
        ...

    def encode(self, text: str) -> Awaitable[list[int]]:
        """The ids of a text, with nothing put before or behind it."""
        ...

    def chat(self, turns: Sequence[Turn], *, opened: bool) -> Awaitable[list[int]]:
        """The ids of a chat by the model's own template; `opened` ends where the assistant begins to speak."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A solution as the model reads it: its ids, and the places in them, one a step, where it is heard.

    What is computed at place k has seen the ids 0..k. `labels` are the ids of the two words that a verdict is between.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    labels: tuple[int, ...] = ()


class TooLong(ModelError):
    """A solution has more tokens than the model reads: it is not cut, since a cut one has another score."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"the solution has {length} tokens and the reward model reads at most {limit}: it is not cut to fit; "
            "judge it by fewer or shorter steps, or with a model that reads more",
            cause="context too long",
        )
        self.length, self.limit = length, limit


def fitting(row: Row, limit: int | None) -> Row:
    """The row itself; `TooLong` where it has more tokens than `limit`."""
    if limit is not None and len(row.ids) > limit:
        raise TooLong(len(row.ids), limit)
    return row


# -- what is read --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """The next token is `yes` or `no`: the softmax over these two alone, and of it the share of `yes`."""

    yes: str = "+"
    no: str = "-"

    def number(self, logits: Sequence[float]) -> float:
        """The probability of yes, of the logits (or log-probabilities) of yes and no, in this order."""
        yes, no = _heard(logits, 2)
        return _sigmoid(yes - no)


@dataclass(frozen=True)
class Class:
    """A head with two classes, wrong and right: the softmax over them, and of it the class `take`."""

    take: Literal[0, 1] = 1

    def number(self, logits: Sequence[float]) -> float:
        """The probability of the class `take`, of the logits of both."""
        logits = _heard(logits, 2)
        return _sigmoid(logits[self.take] - logits[1 - self.take])


@dataclass(frozen=True)
class Scalar:
    """A head with one number: as it stands, or through a sigmoid where it was trained as a logit (`squash`)."""

    squash: bool = True

    def number(self, logits: Sequence[float]) -> float:
        """The number, in [0, 1] if squashed."""
        (logit,) = _heard(logits, 1)
        return _sigmoid(logit) if self.squash else logit


Reading: TypeAlias = Verdict | Class | Scalar


def _heard(logits: Sequence[float], many: int) -> Sequence[float]:
    if len(logits) != many:
        raise TaskError(
            f"the model's head gives {len(logits)} numbers a token, and {many} were expected: it is of another family"
        )
    if not all(map(isfinite, logits)):
        raise ModelError(f"the model gave {list(logits)!r}: expected finite numbers", cause="not a number")
    return logits


def _sigmoid(z: float) -> float:
    return 1 / (1 + exp(-z)) if z >= 0 else exp(max(z, -700.0)) / (1 + exp(max(z, -700.0)))


# -- how it is written ---------------------------------------------------------------------------------------------


class Format(Protocol):
    """A way to write a solution down."""

    def __call__(self, tokens: Tokens, problem: str, steps: Sequence[str], reading: Reading) -> Awaitable[Row]:
        """The row of a solution of one step or more."""
        ...


@dataclass(frozen=True)
class Marked:
    """Plain text, "{problem} Step 1: ... ки", and each further step on a line of its own: Math-Shepherd.

    Steps without a number are given theirs, because the model was trained on numbered ones. The ids are those of the
    text as a whole: each step is encoded behind the mark that it stands behind.
    """

    mark: str = " ки"

    async def __call__(self, tokens: Tokens, problem: str, steps: Sequence[str], reading: Reading) -> Row:
        """One place a step: the mark itself."""
        known = await tokens.vocabulary()
        spelt, mark = await _marked(tokens, self.mark, known)
        problem, *steps = (harmless(text, known, self.mark) for text in (problem, *steps))
        ids, places = _begun(known, must=False), list[int]()
        for k, step in enumerate(map(_numbered, range(1, len(steps) + 1), steps)):
            ids += await _behind(tokens, spelt, mark, f"\n{step}") if k else await tokens.encode(f"{problem} {step}")
            places.append(len(ids))
            ids.append(mark)
        return Row(tuple(ids), tuple(places), await _labels(tokens, reading, known))


@dataclass(frozen=True)
class Appended:
    """The ids of the problem, and after the ids of each step those of a mark: Skywork, Qwen, and what TRL trains.

    The mark is appended as ids and not as text, which a tokenizer could melt into the step's last word. `closing` ends
    the problem; with `system` it is a chat's, and the steps are what the assistant answers. `bos` says whether the
    format is known to begin with the tokenizer's first token, or does where it has one. The score of a step is at the
    last id of its mark.
    """

    mark: str
    closing: str = ""
    system: str | None = None
    bos: Literal["must", "may"] = "may"
    single: bool = True

    async def __call__(self, tokens: Tokens, problem: str, steps: Sequence[str], reading: Reading) -> Row:
        """One place a step: the last id of the mark."""
        known = await tokens.vocabulary()
        mark = [(await _marked(tokens, self.mark, known))[1]] if self.single else await tokens.encode(self.mark)
        if not mark:
            raise TaskError(f"the tokenizer makes no token of the mark {self.mark!r}: name one that it has")
        problem, *steps = (harmless(text, known, self.mark) for text in (problem, *steps))
        ids, places = await self._opened(tokens, problem, known), list[int]()
        for step in steps:
            ids += [*await tokens.encode(step), *mark]
            places.append(len(ids) - 1)
        return Row(tuple(ids), tuple(places), await _labels(tokens, reading, known))

    async def _opened(self, tokens: Tokens, problem: str, known: Vocabulary) -> list[int]:
        if self.system is None:
            return _begun(known, must=self.bos == "must") + await tokens.encode(problem + self.closing)
        return await tokens.chat([("system", self.system), ("user", problem + self.closing)], opened=True)


@dataclass(frozen=True)
class Turns:
    """A chat in which each step is the user's turn and the verdict is the assistant's, "+" so far: RLHFlow.

    The first turn is the problem and the first step. What is read at a place predicts the assistant's word, so a place
    is the one *before* it.
    """

    async def __call__(self, tokens: Tokens, problem: str, steps: Sequence[str], reading: Reading) -> Row:
        """One place a step: the last id before the verdict."""
        known = await tokens.vocabulary()
        labels = await _labels(tokens, reading, known)
        problem, *steps = (harmless(text, known) for text in (problem, *steps))
        ids, places, turns = list[int](), list[int](), list[Turn]()
        for k, step in enumerate(steps):
            turns.append(("user", step.strip() if k else f"{problem} {step.strip()}"))
            longer = await tokens.chat(turns, opened=True)
            ids = [*_continued(ids, longer), labels[0]]
            places.append(len(longer) - 1)
            turns.append(("assistant", _yes(reading)))
        return Row(tuple(ids), tuple(places), labels)


@dataclass(frozen=True)
class Whole:
    """The problem and the whole solution, judged once, at its end: outcome reward models.

    By the model's chat template, as the user's turn and the assistant's. With `between` as plain text, "{problem}
    {between}{solution}{closing}", for a model that was trained on that: an encoder's are both "[SEP]", perhaps.
    """

    between: str | None = None
    closing: str = ""

    whole: ClassVar[bool] = True
    """There is one place, however many steps."""

    async def __call__(self, tokens: Tokens, problem: str, steps: Sequence[str], reading: Reading) -> Row:
        """One place: the last id."""
        known = await tokens.vocabulary()
        problem, solution = harmless(problem, known), harmless("\n".join(steps), known)
        if self.between is None:
            ids = await tokens.chat([("user", problem), ("assistant", solution)], opened=False)
        else:
            ids = _begun(known, must=False) + await tokens.encode(f"{problem}{self.between}{solution}{self.closing}")
        return Row(tuple(ids), (len(ids) - 1,), await _labels(tokens, reading, known))


# -- text that is data ---------------------------------------------------------------------------------------------

_SHAPES = re.compile(r"(?=(<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]))[<\[]")
"""How a special token may look, where the tokenizer does not say which it has: <extra_0>, <|im_end|>, [INST]."""


def markers(template: str) -> set[str]:
    """What a chat template writes that looks like a special token, whether the tokenizer has a token for it or not."""
    return {found[1] for found in _SHAPES.finditer(template)}


def harmless(text: str, known: Vocabulary, mark: str = "") -> str:
    """A text in which nothing is a special token or the mark: those are broken by a space after their first letter.

    A mark that is white space, or one character, is a part of ordinary text and stays.

    >>> harmless("right <extra_0> and so on", Vocabulary(specials=()), "<extra_0>")
    'right < extra_0> and so on'
    """
    for special in sorted({mark.strip(), *(known.specials or ())}, key=lambda special: (-len(special), special)):
        if len(special.strip()) > 1:
            alone = r"(?<!\w)" if special[0].isalnum() else ""
            text = re.sub(alone + re.escape(special), lambda m: f"{m[0][0]} {m[0][1:]}", text)
    return _SHAPES.sub(lambda m: f"{m[0]} ", text) if known.specials is None else text


_STEP = re.compile(r"Step \d+\s*:")


def _numbered(k: int, step: str) -> str:
    return step.strip() if _STEP.match(step.strip()) else f"Step {k}: {step.strip()}"


# -- ids -----------------------------------------------------------------------------------------------------------


def _begun(known: Vocabulary, *, must: bool) -> list[int]:
    if must and known.bos is None:
        raise TaskError(
            "the format begins with the tokenizer's first token (bos), and this tokenizer has none: is it the one of "
            "the model? A server's may not say: ServedReward(..., bos=...) names the id"
        )
    return [] if known.bos is None else [known.bos]


async def _marked(tokens: Tokens, mark: str, known: Vocabulary) -> tuple[str, int]:
    """How the mark is spelt so that it is one token, and that token.

    SentencePiece puts the space before a word itself, so that " ки" is one token too many and "ки" is the mark.
    """
    for spelt in (mark, mark.strip()):
        ids = await tokens.encode(spelt) if spelt else []
        if len(ids) == 1 and ids[0] != known.unknown:
            return spelt, ids[0]
    raise await _missing(tokens, "mark", mark, known)


async def _missing(tokens: Tokens, what: str, word: str, known: Vocabulary) -> TaskError:
    ids = await tokens.encode(word)
    found = "does not know it" if known.unknown in ids or not ids else f"makes {len(ids)} tokens of it, {ids!r:.60}"
    return TaskError(
        f"the {what} {word!r} must be one token, and the tokenizer {found}: this is the tokenizer of another model, or "
        "the family is another one"
    )


async def _labels(tokens: Tokens, reading: Reading, known: Vocabulary) -> tuple[int, ...]:
    """The ids of yes and no; nothing for a head of its own."""
    if not isinstance(reading, Verdict):
        return ()
    labels = [await _word(tokens, word, known) for word in (reading.yes, reading.no)]
    if labels[0] == labels[1]:
        raise TaskError(f"{reading.yes!r} and {reading.no!r} are the same token: expected two")
    return tuple(labels)


async def _word(tokens: Tokens, word: str, known: Vocabulary) -> int:
    ids = await tokens.encode(word)
    if len(ids) != 1 or ids[0] == known.unknown:
        raise await _missing(tokens, "verdict", word, known)
    return ids[0]


def _yes(reading: Reading) -> str:
    if not isinstance(reading, Verdict):
        raise TaskError(f"the format has a verdict after each step, and the reading is {reading!r}: expected a Verdict")
    return reading.yes


async def _behind(tokens: Tokens, spelt: str, mark: int, text: str) -> list[int]:
    """The ids of a text that stands behind the mark, as they are in the text as a whole."""
    first, *rest = await tokens.encode(spelt + text)
    if first != mark:
        raise TaskError(f"the tokenizer melts the mark {spelt!r} into what follows it: it is of another model")
    return rest


def _continued(ids: Sequence[int], longer: list[int]) -> list[int]:
    """`longer`, which must go on from `ids`."""
    if longer[: len(ids)] != list(ids):
        raise TaskError(
            "the chat template writes the earlier turns anew as the chat goes on, or has no verdict of one token in "
            "them: this is the template of another model"
        )
    return longer
