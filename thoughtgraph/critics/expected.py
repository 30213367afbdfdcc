"""G-Eval (Liu et al., 2023): the expected verdict, over the probabilities that a model gave to each label it has."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp, fsum, isfinite, sqrt
from typing import Any, ClassVar, Literal

from thoughtgraph.critics.value import judging, label, number
from thoughtgraph.errors import TaskError, Unparsable, Unsupported, at_least
from thoughtgraph.model import Logprobs, Model, Reply, capabilities
from thoughtgraph.prompt import Prompter
from thoughtgraph.state import State
from thoughtgraph.thought import Ito, Json, Score


@dataclass(frozen=True)
class Expected:
    """Ask for one of `labels`, and take the mean of their values, weighted by the probability of each label's token.

    With E = sum s p(s) / sum p(s) over the labels, a judge that wavers between 3 and 4 says 3.5, for one call instead
    of many. The labels are `labels` with their values, or the whole numbers of `scale`, scaled so that low is 0 and
    high is 1. What is looked at is the token in which the verdict was last named; "8" and " 8" are one label, other
    tokens none, and one that may be the beginning of another label ("1" where "10" is never seen whole) counts for
    neither. The probability that the labels have together is the `mass`: a reply that gives them less than that, or
    that spells its verdict in several tokens, is left out and counted. Where none is left, the critic abstains.

    `parts` are the probabilities of the labels, `details` hold the mass and the standard deviation of a verdict. Of
    `samples` replies the mean is taken; what is known of one place is pooled over those that are the same up to there
    (of a model that names no alternatives, only the tokens that it wrote are known). A reason before the verdict makes
    it better and surer of itself: `prompter=at_once(...)` asks for a bare verdict, whose probabilities say more.

    Few models give log-probabilities. `without="raise"`: a run with one that does not is refused before it is paid
    for, where its capabilities tell, else the judgement fails (`Unsupported`). `without="samples"`: the score is the
    mean verdict of `draws` replies, and says so: its status is "sampled", and `details["by"]` is "samples".
    """

    labels: Mapping[str, float] | None = None
    scale: tuple[int, int] = (1, 5)
    samples: int = 1
    mass: float = 0.8
    without: Literal["raise", "samples"] = "raise"
    draws: int = 10
    prompter: Prompter | None = None
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, draws=self.draws)
        if not 0 < self.mass <= 1:
            raise TaskError(f"mass is {self.mass!r}: expected a probability above 0, at most 1")
        if self.without not in ("raise", "samples"):
            raise TaskError(f"without is {self.without!r}: expected 'raise' or 'samples'")
        _check(self.labels, self.scale)
        if self.logprobs and self.model is not None and not capabilities(self.model).logprobs:
            raise TaskError(f"{self.model.name} {LACKING}")
        if self.prompter is None:
            object.__setattr__(self, "prompter", reasoned(*self.values))

    @property
    def logprobs(self) -> bool:
        """Whether it is of no use without log-probabilities: a run asks before it begins."""
        return self.without == "raise"

    @property
    def values(self) -> dict[str, float]:
        """What each label is worth."""
        low, high = self.scale
        numbers = {str(mark): (mark - low) / (high - low) for mark in range(low, high + 1)}
        return numbers if self.labels is None else dict(self.labels)

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        return await asyncio.gather(*map(self._judge, states))

    async def _judge(self, state: State) -> Score:
        said = await self._said(state, self.samples)
        if not said or any(one.tokens for one in said):
            return self._weighed(said)
        if self.without == "raise":
            raise Unsupported(f"the model {LACKING}", parameter="logprobs")
        return self._counted([*said, *await self._said(state, self.draws - len(said))])

    async def _said(self, state: State, n: int) -> list[Verdict]:
        """Up to `n` replies with a verdict; one without is drawn once more."""
        said = await self._drawn(state, n)
        bad = said.count(None)
        state.count("unparsable", bad)
        again = await self._drawn(state, bad)
        return [one for one in (*said, *again) if one is not None]

    async def _drawn(self, state: State, n: int) -> list[Verdict | None]:
        assert self.prompter is not None
        if n < 1:
            return []
        replies = await state.replies(
            self.prompter, n,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature, logprobs=True,
        )  # fmt: skip
        return [self._read(reply) for reply in replies]

    def _read(self, reply: Reply) -> Verdict | None:
        """What a reply says; None where it names no label, and what it says is no verdict."""
        try:
            named, reason = self._named(reply.text)
        except Unparsable:
            return None
        alternatives: Sequence[Logprobs] = getattr(reply, "top", ())
        return Verdict(named, reason, reply.logprobs, tuple(alternatives))

    def _named(self, text: str) -> tuple[str, str]:
        """The label that a reply names, and the reason before it."""
        if self.labels is not None:
            names = list(self.labels)
            place, reason = label(text, {name: float(i) for i, name in enumerate(names)})
            return names[int(place)], reason
        low, high = self.scale
        share, reason = number(text, low, high)
        mark = low + share * (high - low)
        if abs(mark - round(mark)) > 1e-9:
            raise Unparsable(f"the verdict is {mark:g}: expected a whole number from {low} to {high}")
        return str(round(mark)), reason

    def _weighed(self, said: Sequence[Verdict]) -> Score:
        """The mean of the expected verdicts of those replies whose labels have the mass."""
        values = self.values
        known = pooled(said)
        beliefs = [believed(known[one.before], values) if one.place is not None else {} for one in said]
        masses = [min(1.0, fsum(belief.values())) for belief in beliefs]
        kept = [i for i, mass in enumerate(masses) if mass > 0 and mass >= self.mass - 1e-9]
        expected = [expectation(beliefs[i], values) for i in kept]
        weakest = min(zip(expected, kept, strict=True), default=None)
        score = Score.of(expected, said[weakest[1]].reason if weakest else "")
        shares = _mean([_shares(beliefs[i]) for i in kept], values)
        lost = Counter(_why(one) for i, one in enumerate(said) if i not in kept)
        details: dict[str, Json] = {"by": "log-probabilities"}
        if said:
            details["mass"] = _average([masses[i] for i in kept] or masses)
        if kept:
            details["deviation"] = _deviation(shares, values)
        return replace(score, parts=shares or None, details=details | ({"left out": dict(lost)} if lost else {}))

    def _counted(self, said: Sequence[Verdict]) -> Score:
        """The mean of the verdicts themselves, and in its status the word that it is no more than that."""
        values = self.values
        ranked = sorted(said, key=lambda one: values[one.label])
        score = Score.of([values[one.label] for one in said], ranked[0].reason)
        counts = Counter(one.label for one in said)
        details = {"by": "samples", "why": "the model gave no log-probabilities"}
        return replace(
            score, status="sampled", parts={name: counts[name] / len(said) for name in values}, details=details
        )


LACKING = (
    "gives no log-probabilities, which an expected verdict is made of: name a model that does, or say "
    "without='samples' for the mean of several verdicts, or choose Value"
)

WRAPPED = " \t\r\n\u2581\"'`*_()[]{}<>:=.,;!"
"""What may stand around a label within its token: white space (as some tokenizers write it), quotes, punctuation."""


def bare(token: str) -> str:
    """The label that a token may be: without what stands around it, and without case."""
    return token.strip(WRAPPED).casefold()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label that a reply named, the reason before it, and its tokens: those written, and what else was likely.

    `top[i]` are the likeliest tokens in the place of token i, each with its natural-log probability: as many as the
    model gave, none where it gives none.
    """

    label: str
    reason: str
    tokens: Logprobs = ()
    top: tuple[Logprobs, ...] = ()

    @property
    def place(self) -> int | None:
        """The token that is the label, where it stands last.

        None where several tokens spell it, or none does; or where it stands in several places and more is said after
        the last of them ("8, because of step 8"), so that nobody knows which of them is the verdict.
        """
        text = "".join(token for token, _ in self.tokens)
        found = list(re.finditer(rf"(?<![\w.,/-])(?<!\bof ){re.escape(self.label)}(?!\w|[.,]\d)", text, re.IGNORECASE))
        if not found or (len(found) > 1 and _goes_on(text[found[-1].end() :])):
            return None
        inside = _inside(self.tokens, *found[-1].span())
        return inside[0] if len(inside) == 1 and bare(self.tokens[inside[0]][0]) == self.label.casefold() else None

    @property
    def before(self) -> str:
        """What was written before the label: replies that share it speak of one distribution."""
        return "".join(token for token, _ in self.tokens[: self.place or 0])

    @property
    def likely(self) -> dict[str, float]:
        """The probabilities of the tokens that are known in the label's place."""
        place = self.place
        if place is None:
            return {}
        others = self.top[place] if place < len(self.top) else ()
        return {token: exp(min(0.0, logprob)) for token, logprob in (*others, self.tokens[place])}

    @property
    def seen(self) -> set[str]:
        """All that was seen to be one token, written or likely."""
        return {bare(token) for row in (self.tokens, *self.top) for token, _ in row}


def _goes_on(rest: str) -> bool:
    """Whether words follow a label, beside what it is out of ("8 out of 10")."""
    return bool(re.search(r"\w", re.sub(r"\A\s*(?:/|out\s+of|of)\s*\d+", "", rest)))


def _inside(tokens: Logprobs, begin: int, end: int) -> list[int]:
    """The tokens that the characters from `begin` to `end` of the reply stand in."""
    at, inside = 0, list[int]()
    for place, (token, _) in enumerate(tokens):
        if at < end and at + len(token) > begin:
            inside.append(place)
        at += len(token)
    return inside


@dataclass(frozen=True, slots=True)
class Known:
    """What several replies tell of one place: the probabilities of tokens there, and what is one token anywhere."""

    likely: dict[str, float]
    seen: set[str]


def pooled(said: Iterable[Verdict]) -> dict[str, Known]:
    """What is known of the place of the verdict, by what was written before it."""
    known: dict[str, Known] = {}
    for one in said:
        if one.place is not None:
            there = known.setdefault(one.before, Known({}, set()))
            there.likely.update(one.likely)
            there.seen.update(one.seen)
    return known


def believed(known: Known, labels: Mapping[str, float]) -> dict[str, float]:
    """The probability of each label, summed over the tokens that are it.

    A token that begins a longer label counts for neither, unless the longer one was seen to be one token, too.

    >>> believed(Known({"8": 0.5, " 8": 0.2, " 7": 0.2, "1": 0.05, "seven": 0.05}, {"8", "7", "1"}), {"7": 0.0, "8": 1})
    {'7': 0.2, '8': 0.7}
    """
    names = {name.casefold(): name for name in labels}
    split = [name for name in names if name not in known.seen]
    sums = dict.fromkeys(labels, 0.0)
    for token, p in known.likely.items():
        word = bare(token)
        if word in names and not any(name != word and name.startswith(word) for name in split):
            sums[names[word]] += p
    return sums


def expectation(belief: Mapping[str, float], labels: Mapping[str, float]) -> float:
    """E = sum s p(s) / sum p(s), over the labels alone."""
    return fsum(labels[s] * p for s, p in belief.items()) / fsum(belief.values())


def _why(one: Verdict) -> str:
    """Why a reply was left out."""
    if not one.tokens:
        return "no log-probabilities"
    return "mass" if one.place is not None else "no single token"


def _shares(belief: Mapping[str, float]) -> dict[str, float]:
    whole = fsum(belief.values())
    return {name: p / whole for name, p in belief.items()}


def _mean(shares: Sequence[Mapping[str, float]], labels: Iterable[str]) -> dict[str, float]:
    return {name: _average([share[name] for share in shares]) for name in labels} if shares else {}


def _average(numbers: Sequence[float]) -> float:
    return fsum(numbers) / len(numbers)


def _deviation(shares: Mapping[str, float], labels: Mapping[str, float]) -> float:
    mean = expectation(shares, labels)
    return sqrt(fsum(p * (labels[s] - mean) ** 2 for s, p in shares.items()))


def _check(labels: Mapping[str, float] | None, scale: tuple[Any, Any]) -> None:
    """Labels that can be told apart, or a scale of whole numbers; `TaskError` for others."""
    if labels is not None:
        words = {bare(name) for name in labels}
        if len(labels) < 2 or "" in words or len(words) < len(labels) or not all(map(isfinite, labels.values())):
            raise TaskError(f"the labels are {labels!r:.80}: expected at least two different words with finite values")
        if crooked := [name for name in labels if bare(name) != name.casefold()]:
            raise TaskError(f"the label {crooked[0]!r} has marks around it that no token is told by: expected a word")
    elif not all(type(end) is int for end in scale) or not scale[0] < scale[1] <= scale[0] + 100:
        raise TaskError(f"the scale is {scale!r}: expected two whole numbers, the lower one first, as in (1, 5)")


# -- the prompts ---------------------------------------------------------------------------------------------------


@cache
def reasoned(*labels: str) -> Prompter:
    """The prompter that asks for a reason, and then for one of `labels`."""
    return judging(
        "are they right, and do they lead to the right answer (or give it)? Say in one or two sentences what is right "
        f"or wrong with them. Then write your verdict, alone on the last line, as one of: {_either(labels)}."
    )


@cache
def at_once(*labels: str) -> Prompter:
    """The prompter that asks for one of `labels` and nothing else: no reason steers the verdict to one side."""
    return judging(
        "are they right, and do they lead to the right answer (or give it)? Answer with your verdict and nothing else, "
        f"as one of: {_either(labels)}."
    )


def _either(labels: Sequence[str]) -> str:
    """The labels in words; of a run of whole numbers, what its ends mean."""
    numbers = all(name.lstrip("-").isdecimal() for name in labels)
    listed = f"{', '.join(labels[:-1])} or {labels[-1]}"
    return f"{listed} ({labels[0]} for certainly not, {labels[-1]} for certainly)" if numbers else listed
