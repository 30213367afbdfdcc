"""Proposing (Tree of Thoughts; Yao et al., 2023): one prompt for several different next thoughts, one a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from thoughtgraph.errors import Unparsable, at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, narrate, quote
from thoughtgraph.replies import as_data, item, lines, plain, spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Passage, Score, Thought

CONFIDENCE: Mapping[str, float] = {"certain": 1.0, "high": 0.5, "medium": 0.2, "low": 0.1}
"""How likely a proposal is to be right, in the words and weights of Tree of Thoughts' crosswords."""


def unfinished(text: str) -> bool:
    """No proposal is final: something can follow each."""
    return False


@dataclass(frozen=True)
class Propose:
    """Ask once for up to `k` clearly different next steps; each line is a thought.

    One call gives them all, and the model sees what it has proposed already: this is where diversity comes from when
    the temperature cannot be set. Repetitions are dropped. At most `k` come, and at most as many as were asked for;
    `done` says of a line whether it is final. With `confident`, the model says how promising each one is, and that is
    the thought's prior, 0.2 where it says nothing: `mcts(rule="puct")` goes by it. A `prompter` of your own names its
    number itself. Choose it for short steps, and `Sample` where a thought is a paragraph.
    """

    prompter: Prompter | None = None
    k: int = 8
    confident: bool = False
    done: Callable[[str], bool] = unfinished
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: Sequence[str] = ()

    def __post_init__(self) -> None:
        at_least(1, k=self.k)
        if self.prompter is None:
            object.__setattr__(self, "prompter", different(self.k, self.confident))

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts, in the model's order."""
        assert self.prompter is not None
        replies = await state.ask(
            self.prompter, 1, proposals,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature, stop=self.stop,
        )  # fmt: skip
        said = (confidence(text) if self.confident else (text, 1.0) for reply in replies for text in reply)
        drafts = dict[str, Draft]()
        for text, prior in said:
            drafts.setdefault(_folded(text), Draft(text, prior, self.done(text)))
        drafts.pop("", None)
        return list(drafts.values())[: min(n, self.k)]


def proposals(reply: str) -> list[str]:
    r"""The different proposals in a reply: its list items, the items of its JSON, or its lines but for pleasantries.

    >>> proposals("Sure! Here are two:\n\n1. **Add** 4 and 9\n2) Add 4 and 9.\n3. Take 4 from 9")
    ['Add 4 and 9', 'Take 4 from 9']
    """
    said = spoken(reply)
    data = as_data(said)
    found = _items(lines(said)) if data is None else _texts(data)
    named = (_LABEL.sub("", plain(text)).strip().strip('"\u201c\u201d').strip() for text in found)
    distinct = dict[str, str]()
    for text in named:
        distinct.setdefault(_folded(text), text)
    distinct.pop("", None)
    if not distinct:
        raise Unparsable("the reply proposes nothing")
    return list(distinct.values())


def confidence(text: str) -> tuple[str, float]:
    """A proposal without the word on it that closes it, and what that word weighs.

    >>> confidence("Take 4 from 13 (high)")
    ('Take 4 from 13', 0.5)
    """
    found = _CONFIDENCE.search(text)
    return (text[: found.start()].rstrip(" ,;:.-"), CONFIDENCE[found[1].lower()]) if found else (text, 0.2)


def _items(said: Sequence[str]) -> list[str]:
    """List items with what is indented below them; where there is no list, every line that says something."""
    marked = [line for line in said if item(line) is not None]
    others = [line for line in said if item(line) is None and not _chatter(line, said)]
    if not marked or (len(marked) == 1 and len(others) > 1):
        return [line for line in said if not _chatter(line, said)]
    margin, found = min(map(_indent, marked)), list[str]()
    for line in said:
        if _indent(line) > margin + 1 and found:
            found[-1] += " " + plain(line)
        elif item(line) is not None:
            found.append(plain(line))
    return found


def _texts(data: Any) -> list[str]:
    """The texts of a JSON list; of a JSON object, those of its lists, else its texts."""
    if isinstance(data, str):
        return [" ".join(data.split())]
    if isinstance(data, dict):
        values: list[Any] = list(cast("dict[str, Any]", data).values())
        kind = next((kind for kind in (list, str) if any(isinstance(value, kind) for value in values)), dict)
        return [text for value in values if isinstance(value, kind) for text in _texts(value)]
    if isinstance(data, list):
        return [" ".join(_texts(entry)) for entry in cast("list[Any]", data)]
    return [] if data is None else [str(data)]


def _chatter(line: str, said: Sequence[str]) -> bool:
    """A line that speaks to the reader: a beginning that ends in a colon, an opening or a closing pleasantry."""
    if line is said[0] and len(said) > 1:
        return line.rstrip(" *_").endswith((":", "\uff1a")) or bool(_OPENING.match(line))
    return bool(_CLOSING.match(line))


_OPENING = re.compile(
    r"\W*(?:sure|certainly|of course|ok|okay|great|absolutely|here(?:['\u2019]s| are| is))\b", re.IGNORECASE
)
_CLOSING = re.compile(
    r"\W*(?:let me know|i hope|hope (?:this|that)|feel free|would you like|these are (?:all|the|some|only))\b",
    re.IGNORECASE,
)
_CONFIDENCE = re.compile(
    r"(?:[(\[]\W*|[-:\u2013\u2014,]\s*)(?:confidence\W+)?(certain|high|medium|low)\W*\Z", re.IGNORECASE
)
_LABEL = re.compile(
    r"\A(?:possible |next )*(?:step|option|idea|thought|proposal|candidate|choice|suggestion)"
    r"\s*#?\d+\s*[:.)\u2013\u2014-]\s+",
    re.IGNORECASE,
)


def _indent(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip())


def _folded(text: str) -> str:
    """What two proposals have in common that say the same; "" for one without a letter or a digit."""
    words = " ".join(text.casefold().split()).rstrip(" .;,!")
    return words if any(c.isalnum() for c in words) else ""


@cache
def different(k: int, confident: bool = False) -> Prompter:
    """The prompter that asks for up to `k` next steps, clearly different from each other, rated if `confident`."""
    *better, least = CONFIDENCE
    rated = (
        f" End each line with how promising it is, in brackets: {', '.join(better)} or {least}." if confident else ""
    )

    def propose(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        return Prompt(
            passages=quote(passages),
            problem=x,
            thoughts=narrate(thoughts, scores),
            ask=f"Propose up to {k} next steps towards a solution. They must differ clearly from each other: other "
            f"ideas, not other words. Write each on one line of its own, and nothing else.{rated}",
        )

    return propose
