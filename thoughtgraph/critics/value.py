"""The value critic of Tree of Thoughts (Yao et al., 2023): a model judges each thought alone, in a word or a number."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any, ClassVar, TypeAlias, cast

from thoughtgraph.errors import TaskError, Unparsable, at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, enclosed, quote
from thoughtgraph.replies import as_data, lines, plain, shortened, spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Ito, Passage, Score, Thought

LABELS: Mapping[str, float] = {"sure": 1.0, "likely": 0.05, "impossible": 0.00005}
"""The paper's 20 : 1 : 0.001, scaled to [0, 1]."""

Verdict: TypeAlias = tuple[float, str]
"""One judgement: its value, and the reason given for it."""


@dataclass(frozen=True)
class Value:
    """Ask `samples` times for a verdict on the thoughts so far; the value is the mean, in [0, 1] by default.

    A verdict is one of `labels`, or with `scale=(low, high)` a number, scaled so that low is 0 and high is 1: a reply
    outside the scale is unparsable, never a 0. The feedback is the reason given with the lowest verdict, since that is
    what a next prompt can mend. A thought that no reply judges is abstained from. The judge is not told earlier
    scores, which would bias it. All thoughts of a set are judged side by side, for `samples` calls each: choose `Vote`
    where thoughts are easier to compare than to value.
    """

    prompter: Prompter | None = None
    samples: int = 3
    labels: Mapping[str, float] = field(default_factory=lambda: LABELS)
    scale: tuple[float, float] | None = None
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: Sequence[str] = ()

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        if self.scale is not None and not (isfinite(self.scale[0]) and self.scale[0] < self.scale[1] < float("inf")):
            raise TaskError(
                f"the scale is {self.scale!r}: expected two finite numbers, the lower one first, as in (0, 10)"
            )
        if self.scale is None and not (self.labels and all(map(isfinite, self.labels.values()))):
            raise TaskError(f"the labels are {self.labels!r}: expected words and their finite values")
        if self.prompter is None:
            object.__setattr__(self, "prompter", rated(*self.scale) if self.scale else labelled(*self.labels))

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        return await asyncio.gather(*map(self._judge, states))

    async def _judge(self, state: State) -> Score:
        assert self.prompter is not None
        verdicts = await state.ask(
            self.prompter, self.samples, self._read,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature, stop=self.stop,
        )  # fmt: skip
        reasons = (reason for _, reason in sorted(verdicts, key=lambda verdict: verdict[0]) if reason)
        return Score.of([value for value, _ in verdicts], next(reasons, ""))

    def _read(self, reply: str) -> Verdict:
        return label(reply, self.labels) if self.scale is None else number(reply, *self.scale)


def label(reply: str, labels: Mapping[str, float]) -> Verdict:
    r"""The value of the last line that is a label and no more, and the text before it; `Unparsable` without one.

    A label within a sentence does not count ("not sure", "this is sure to fail"), but for a last line that ends in it
    ("The verdict is: likely."). An opening "Sure!" is no verdict.

    >>> label("3 + 5 is 8, which is a third of 24.\n\n**Verdict:** Likely", {"sure": 1.0, "likely": 0.05})
    (0.05, '3 + 5 is 8, which is a third of 24.')
    """
    known = _known(tuple(labels.items()))
    said = spoken(reply)
    if isinstance(data := as_data(said), dict):
        return _only([(known[_words(v)], _rest(data, v)) for v in _values(data) if _words(v) in known])
    text = lines(said)
    for at in reversed(range(len(text))):
        if (found := _label_on(text, at, known)) is not None:
            return known[found], _reason(text[:at])
    raise Unparsable(f"no line of the reply is a verdict: expected one of {', '.join(labels)}")


@cache
def _known(labels: tuple[tuple[str, float], ...]) -> Mapping[str, float]:
    """The labels as they are compared, by their words alone."""
    return {_words(name): value for name, value in labels}


def _label_on(text: Sequence[str], at: int, known: Mapping[str, float]) -> str | None:
    """The label that a line is, alone or behind a heading; or that the last line ends in."""
    line = plain(text[at])
    line = _BRACKETED.sub("", line) or line
    word, last = _words(line), at == len(text) - 1
    if last and word in known and not line.endswith("?"):
        return word
    headed = _HEADED.match(line)
    if line.endswith("?") or (word in _OPENINGS and at == 0 and not last):
        return None
    if headed and (tail := _words(headed[2])) in known:
        return tail
    ends = (name for name in known if re.search(rf"\b(?:is|as) {re.escape(name)}\Z", word))
    return word if word in known else max(ends, key=len, default=None) if last else None


def number(reply: str, low: float, high: float) -> Verdict:
    r"""The number that a reply gives, scaled to [0, 1], and the text before it.

    "8", "Score: 8", "8/10", "8 out of 10", "80%" are 0.8 on a scale from 0 to 10; so is 8/10 on every other scale that
    begins at 0. `Unparsable` where no line gives one, where it is outside the scale, or not a number.

    >>> number("The last step repeats the first.\nScore: **3/10**", 0, 10)
    (0.3, 'The last step repeats the first.')
    """
    said = spoken(reply)
    if isinstance(data := as_data(said), dict):
        found = ((_NUMBER.fullmatch(_stripped(str(v))), v) for v in _values(data) if not isinstance(v, bool))
        return _only([(_scaled(m, low, high), _rest(data, v)) for m, v in found if m])
    text = lines(said)
    for at in reversed(range(len(text))):
        if found := _number_on(text, at):
            return _scaled(found, low, high), _reason(text[:at])
    fractions = [_scaled(found, low, high) for found in _FRACTION.finditer(said) if float(found["of"]) == high]
    if len(set(fractions)) != 1:
        raise Unparsable(f"no line of the reply is a verdict: expected a number from {low:g} to {high:g}")
    return fractions[0], shortened(said)


def _number_on(text: Sequence[str], at: int) -> re.Match[str] | None:
    """A number alone, or behind a heading, or at the end of the last line ("I rate it as 8")."""
    line, last = _stripped(text[at]), at == len(text) - 1
    if (found := _NUMBER.fullmatch(line)) and (last or at == 0 or found["of"]):
        return found
    headed, named = _HEADED.match(line), _NAMED.search(line)
    if headed and (found := _NUMBER.fullmatch(_stripped(headed[2]))) and (named or found["of"]):
        return found
    return _ENDING.search(line) if last and named else None


def _scaled(found: re.Match[str], low: float, high: float) -> float:
    value = float(found["value"].replace(",", ".").replace("\u2212", "-"))
    of = 100.0 if found["percent"] else float(found["of"].replace(",", ".")) if found["of"] else high
    if of != high:
        value = value / of * high if of > 0 and low == 0 else float("nan")
    if not low <= value <= high:
        raise Unparsable(f"the verdict {found[0]!r:.40} is outside the scale from {low:g} to {high:g}")
    return (value - low) / (high - low)


_VALUE = r"(?P<value>[-+\u2212]?(?:\d+(?:\.\d+|,\d{1,2}(?!\d))?|\.\d+)|nan|[-+]?inf(?:inity)?)"
_SHARE = r"(?:\s*(?:/|out\s+of|of)\s*(?P<of>\d+(?:[.,]\d+)?)|\s*(?P<percent>%)|\s*(?:points?|stars?))?"
_NUMBER = re.compile(_VALUE + _SHARE, re.IGNORECASE)
_FRACTION = re.compile(
    r"(?<![\w./,])" + _VALUE + r"(?P<percent>(?!))?\s*(?:/|out\s+of)\s*(?P<of>\d+)(?![\w/]|[.,]\d)", re.IGNORECASE
)
_ENDING = re.compile(r"\b(?:is|as|a|an|at|it)\s+" + _VALUE + _SHARE + r"$", re.IGNORECASE)
_HEADED = re.compile(r"([^:=\uff1a]{1,60})[:=\uff1a](.*)", re.DOTALL)
_NAMED = re.compile(
    r"scor|rat(?:e|ing)|value|grade|verdict|overall|evaluat|judg|mark|confidence|probab|assess|answer|give",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\W*\Z")
_ANNOUNCED = re.compile(r"\A\W*(?:reason(?:ing)?|evaluation|explanation|analysis)\W*:\W*", re.IGNORECASE)
_OPENINGS = frozenset(("sure", "certainly", "absolutely", "yes", "ok", "okay"))


def _stripped(line: str) -> str:
    """A line without bullets, bold and closing punctuation: what could be a number stands bare."""
    line = re.sub(r"\A(?:[-*+\u2022\u2013\u2014>]\s+|#+\s+)+", "", line.strip())
    return re.sub(r"\A[^\w.+\u2212-]+|[^\w%]+\Z", "", line.replace("**", "").replace("__", ""))


def _words(text: object) -> str:
    """The words of a line, without case, markdown and what else stands around them."""
    return " ".join(re.sub(r"\A[\W_]+|[\W_]+\Z", "", str(text)).casefold().split())


def _values(data: Any) -> list[Any]:
    return list(cast("dict[str, Any]", data).values())


def _rest(data: Any, verdict: object) -> str:
    """The other texts of a JSON object: the reason."""
    return shortened(" ".join(value for value in _values(data) if isinstance(value, str) and value is not verdict))


def _only(verdicts: Iterable[Verdict]) -> Verdict:
    found = list(verdicts)
    if len({value for value, _ in found}) != 1:
        raise Unparsable(f"the reply's JSON holds {len(found)} verdicts: expected one")
    return found[0]


def _reason(text: Sequence[str]) -> str:
    """What stands before the verdict, on one line, without a heading that announces it."""
    return shortened(_ANNOUNCED.sub("", " ".join(plain(line) for line in text)))


@cache
def labelled(*labels: str) -> Prompter:
    """The prompter that asks for a reason and one of `labels`, the best one first."""
    *others, last = labels
    listed = f"{', '.join(others)} or {last}" if others else last
    return judging(
        "how likely is it that they are right, and that they lead to the right answer (or give it)? Say in one or two "
        "sentences what is right or wrong with them. Then write your verdict, alone on the last line, as one of: "
        f"{listed}."
    )


@cache
def rated(low: float, high: float) -> Prompter:
    """The prompter that asks for a reason and a number from `low` to `high`."""
    return judging(
        "are they right, and do they lead to the right answer (or give it)? Say in one or two sentences what is right "
        f"or wrong with them. Then write a number, alone on the last line, from {low:g} (certainly not) to {high:g} "
        "(certainly)."
    )


def judging(ask: str) -> Prompter:
    """The prompter that shows thoughts, to be judged and not gone on with, and asks `ask` of them."""

    def judge(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        wish = f"Judge these thoughts, and do not go on with them: {ask}"
        return Prompt(passages=quote(passages), problem=x, thoughts=enclosed(thoughts), ask=wish)

    return judge
