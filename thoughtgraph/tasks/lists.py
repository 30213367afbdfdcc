"""Problems in parts: what sorting, intersecting and counting share, as in Graph of Thoughts (Besta et al., 2024).

The input is a row of places: numbers, elements, sentences. A thought is a list that was made of some neighbouring
places, {"text": "[1, 2]", "list": [1, 2], "span": [0, 2]}: of places 0 and 1. It is done when it covers all of them;
it may still be refined. Nothing here is the truth that an answer is measured by: how many errors a list has follows
from the problem's statement, without knowing anything more.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple, cast

from thoughtgraph.errors import Unparsable, at_least
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.protocols import Generator
from thoughtgraph.replies import spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Json, Passage, Score, Thought
from thoughtgraph.verbs import ALL

WIDTH = 5
"""How many lists an action draws where nobody says how many: the paper's number of samples."""


@dataclass(frozen=True)
class Parts:
    """A problem that can be done in parts.

    `wanted` gives the right list for some of the `places`, sorted; the right list for all of them is what those of the
    parts come to together. `shown` says places in words, `told` a list. `strays` are elements that may slip in.
    """

    places: tuple[Json, ...]
    wanted: Callable[[Sequence[Json]], list[Json]]
    shown: Callable[[Sequence[Json]], str] = json.dumps
    told: Callable[[Sequence[Json]], str] = json.dumps
    strays: tuple[Json, ...] = ()

    @property
    def start(self) -> Json:
        """The content of the root: all places."""
        return self.part(0, len(self.places)).content

    def at(self, span: tuple[int, int]) -> list[Json]:
        """What stands at the places of `span`."""
        return list(self.places[slice(*span)])

    def part(self, first: int, last: int) -> Draft:
        """Places `first` to `last - 1`, nothing done with them yet."""
        places = self.at((first, last))
        return Draft({"text": self.shown(places), "list": places, "span": [first, last]})

    def untouched(self, thought: Thought) -> bool:
        """Whether nothing was done yet with the places of a thought: then they can be split."""
        return thought.content["list"] == self.at(span_of(thought))

    def made(self, found: Sequence[Json], span: tuple[int, int]) -> Draft:
        """The list that was made of the places in `span`."""
        content = {"text": self.told(found), "list": list(found), "span": list(span)}
        return Draft(content, done=span == (0, len(self.places)))

    def faults(self, thought: Thought) -> Faults:
        """What is wrong with the list of a thought, as an answer for its own places."""
        return faults(thought.content["list"], self.wanted(self.at(span_of(thought))))


def span_of(thought: Thought) -> tuple[int, int]:
    """The places that a thought was made of: the first, and the one after the last."""
    first, last = thought.content["span"]
    return first, last


def joined(thoughts: Sequence[Thought]) -> tuple[int, int] | None:
    """The places of all `thoughts` together; None where these are no neighbours, each there once."""
    spans = sorted(map(span_of, thoughts))
    met = all(before[1] == after[0] for before, after in pairwise(spans))
    return (spans[0][0], spans[-1][1]) if met else None


def claim(path: Sequence[Thought]) -> Json | None:
    """The list of a thought that covers the whole problem."""
    return path[-1].content["list"] if path[-1].done else None


def key(content: Json) -> tuple[int, int, str]:
    """Lists are equal where they are made of the same places and hold the same in the same order."""
    first, last = content["span"]
    return first, last, content["text"]


# -- errors, from the statement alone ----------------------------------------------------------------------------


class Faults(NamedTuple):
    """What is wrong with a list: neighbours in the wrong order, and elements that are missing, or too many."""

    disorder: int
    missing: Mapping[Json, int]
    extra: Mapping[Json, int]

    @property
    def errors(self) -> int:
        """The paper's error scope: the three counts together."""
        return self.disorder + sum(self.missing.values()) + sum(self.extra.values())

    @property
    def text(self) -> str:
        """In words that a next prompt can use; "" where nothing is wrong."""
        said = [f"{element} is missing {_times(n)}" for element, n in self.missing.items()]
        said += [f"{element} stands there {_times(n)} too often" for element, n in self.extra.items()]
        if self.disorder:
            said.append(f"{self.disorder} {'pair' if self.disorder == 1 else 'pairs'} of neighbours out of order")
        return "; ".join(said)


def faults(found: Sequence[Json], wanted: Sequence[Json]) -> Faults:
    """Compare a list with the right one, counting equal elements."""
    have, want = Counter(found), Counter(wanted)
    return Faults(sum(a > b for a, b in pairwise(found)), want - have, have - want)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


@dataclass(frozen=True)
class Errors:
    """The critic: 1 / (1 + errors), in (0, 1], and what is wrong in words. It needs the input and nothing else."""

    problem: Parts

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each, for the places that each was made of."""
        return [self._score(self.problem.faults(state.thought)) for state in states]

    def _score(self, found: Faults) -> Score:
        parts = {
            "disorder": float(found.disorder),
            "missing": float(sum(found.missing.values())),
            "extra": float(sum(found.extra.values())),
        }
        return Score(1 / (1 + found.errors), found.text, parts)


# -- thinking without a model: one who slips ---------------------------------------------------------------------


@dataclass(frozen=True)
class Slips:
    """How often a local thinker errs: the probability that an element is lost, or that one too many comes.

    `p` is that of solving 16 places at once; where it `grows`, half as much for 8 and twice as much for 32. `p_merge`
    is that of merging. Half the slips lose an element, the other half add one.
    """

    p: float = 0.1
    p_merge: float = 0.005
    grows: bool = True

    def __post_init__(self) -> None:
        at_least(0, p=self.p, p_merge=self.p_merge)

    def solving(self, places: int) -> float:
        """The probability of a slip at each element, when so many places are solved at once."""
        return min(1.0, self.p * places / 16) if self.grows else min(1.0, self.p)


LAWS: Mapping[str, Slips] = {
    "growing": Slips(),
    "constant": Slips(grows=False),
    "merge_heavy": Slips(p_merge=0.2),
}
"""What splitting makes of errors depends on their law: it helps where they grow with the length, and where merging is
easy."""


def spoiled(right: Sequence[Json], p: float, rng: random.Random, strays: Sequence[Json] = ()) -> list[Json]:
    """A right list, sorted, after a slip at each element with probability `p`: it is gone, or another stands by it."""
    found = list[Json]()
    for element in right:
        luck = rng.random()
        found += [] if luck < p / 2 else [element]
        found += [rng.choice(strays) if strays else element] if luck > 1 - p / 2 else []
    return sorted(found)


@dataclass(frozen=True)
class Cut:
    """Split: neighbouring places in `n` parts of nearly equal size, two where nobody says how many; no model."""

    problem: Parts

    def __call__(self, state: State, n: int) -> list[Draft]:
        """At most as many parts as there are places; none where one is all there would be, or the list is made."""
        first, last = span_of(state.thought)
        n = min(2 if n == ALL else n, last - first)
        able = n > 1 and self.problem.untouched(state.thought)
        ends = [first + (last - first) * i // n for i in range(n + 1)] if able else []
        return [self.problem.part(a, b) for a, b in pairwise(ends)]


@dataclass(frozen=True)
class Solve:
    """Solve the places of a thought at once, with slips; `share` of the usual ones."""

    problem: Parts
    slips: Slips
    share: float = 1.0

    def __call__(self, state: State, n: int) -> list[Draft]:
        """`n` lists, each with slips of its own."""
        first, last = span = span_of(state.thought)
        right, p, rng = (
            self.problem.wanted(self.problem.places[first:last]),
            self.slips.solving(last - first),
            state.rng,
        )
        lists = (spoiled(right, self.share * p, rng, self.problem.strays) for _ in range(drawn(n)))
        return [self.problem.made(found, span) for found in lists]


@dataclass(frozen=True)
class Merge:
    """Put the lists of neighbouring thoughts together, with slips; what was wrong with them stays wrong."""

    problem: Parts
    slips: Slips

    def __call__(self, state: State, n: int) -> list[Draft]:
        """`n` lists; none where the thoughts are no neighbours."""
        span, rng = joined(state.thoughts), state.rng
        if span is None:
            return []
        together = sorted(chain.from_iterable(thought.content["list"] for thought in state.thoughts))
        lists = (spoiled(together, self.slips.p_merge, rng, self.problem.strays) for _ in range(drawn(n)))
        return [self.problem.made(found, span) for found in lists]


def drawn(n: int) -> int:
    """How many are drawn."""
    return WIDTH if n == ALL else n


def thinkers(problem: Parts, slips: Slips) -> dict[str, Generator]:
    """The actions of one who needs no model: refining is solving with half the slips."""
    solve = Solve(problem, slips)
    return {
        "split": Cut(problem),
        "step": solve,
        "merge": Merge(problem, slips),
        "refine": Solve(problem, slips, share=0.5),
        "reason": solve,
        "answer": solve,
    }


# -- thinking with a model ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """A model solves, merges or refines: `prompter` sees the thoughts to go on from and no others; one call a list."""

    problem: Parts
    prompter: Prompter
    read: Callable[[str], list[Json]]

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` lists; none, and no call, where the thoughts are no neighbours."""
        span = joined(state.thoughts)
        if span is None:
            return []
        lists = await state.ask(self.prompter, drawn(n), self.read, thoughts=state.thoughts)
        return [self.problem.made(found, span) for found in lists]


@dataclass(frozen=True)
class Split:
    """A model splits a list of numbers; `asking(k)` is the prompter that asks for k parts. One call."""

    problem: Parts
    asking: Callable[[int], Prompter]

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` parts, two where nobody says how many; together they must be the list, in its order."""
        first, last = span = span_of(state.thought)
        k, whole = min(2 if n == ALL else n, last - first), self.problem.at(span)
        if k < 2 or not self.problem.untouched(state.thought):
            return []
        replies = await state.ask(
            self.asking(k), 1, lambda text: pieces(lists_in(text), whole, k), thoughts=state.thoughts
        )
        ends = [first]
        for part in chain.from_iterable(replies):
            ends.append(ends[-1] + len(part))
        return [self.problem.part(a, b) for a, b in pairwise(ends)]


def pieces(lists: Sequence[list[int]], whole: Sequence[int], k: int) -> list[list[int]]:
    """The lists at the end of a reply that are `whole` cut into 2 to `k` parts; `Unparsable` where there are none."""
    parts = [found for found in lists if found]
    for size in range(2, min(k, len(parts)) + 1):
        if list(chain.from_iterable(parts[-size:])) == list(whole):
            return parts[-size:]
    raise Unparsable(f"the reply does not end in at most {k} lists that are the given one, cut into parts")


LABEL = re.compile(r"(?:output|answer|result)[\s*_\"'`]*[:=]", re.IGNORECASE)
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
NUMBER = re.compile(r"-?[0-9]{1,15}")


def one_list(reply: str) -> list[int]:
    r"""The list that a reply gives: the first behind the last "Output:", else the last; `Unparsable` without one.

    >>> one_list("The list has four numbers: [3, 1, 2, 1].\n\n**Output:** [1, 1, 2, 3]\nHope this helps!")
    [1, 1, 2, 3]
    """
    said = spoken(reply)
    for tail in reversed(LABEL.split(said)[1:]):
        if found := lists_in(tail):
            return found[0]
    if not (found := lists_in(said)):
        raise Unparsable("the reply holds no list of whole numbers in square brackets")
    return found[-1]


def lists_in(text: str) -> list[list[int]]:
    """Every list of whole numbers in square brackets; `Unparsable` where one holds something else, or breaks off."""
    text = spoken(text) if text.strip() else ""
    if re.search(r"\[[^\[\]]*\Z", text):
        raise Unparsable("the reply breaks off within a list")
    inside = (found[1] for found in BRACKETS.finditer(text))
    return [_numbers(written) for written in inside if not written.strip() or re.search(r"\d", written)]


def _numbers(written: str) -> list[int]:
    words = [word.strip() for word in written.split(",")] if written.strip() else []
    if strange := next((word for word in words if not NUMBER.fullmatch(word)), None):
        raise Unparsable(f"{strange!r:.40} in a list is no whole number")
    if "" in words:
        raise Unparsable("a list has a comma too many")
    return [int(word) for word in words]


# -- what the evaluators share -----------------------------------------------------------------------------------


def as_list(claimed: object, kind: type) -> list[Json] | None:
    """What is claimed, as a list of elements of one kind: a list, or its JSON; None for all else."""
    if isinstance(claimed, str) and len(claimed) < 1_000_000:
        try:
            claimed = json.loads(claimed)
        except (ValueError, RecursionError):
            return None
    if not isinstance(claimed, list):
        return None
    found = cast("list[Json]", claimed)
    return found if all(type(element) is kind for element in found) else None


def distance(found: Sequence[Json] | None, wanted: Sequence[Json]) -> int:
    """The errors of a claim; what is no list has as many as there are elements, and at least one."""
    return max(1, len(wanted)) if found is None else faults(found, wanted).errors


# -- prompts that several tasks share ----------------------------------------------------------------------------


def complaint(scores: Sequence[Sequence[Score]]) -> str:
    """What the critics found wrong with the last thought, in words."""
    feedback = dict.fromkeys(score.feedback for score in (scores[-1] if scores else ()) if score.feedback)
    return f"What is wrong with it: {'; '.join(feedback)}." if feedback else ""


@dataclass(frozen=True)
class Splitting:
    """Cut a list of numbers into `k`, keeping its order."""

    k: int

    def __call__(
        self, x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        """The numbers and the parts are counted for the model."""
        numbers = thoughts[-1].content["list"]
        return Prompt(
            task=f"Split the following list of {len(numbers)} numbers into {self.k} lists of "
            f"{-(-len(numbers) // self.k)} numbers each, in the order given. Output only JSON, as in "
            '{"List 1": [...], "List 2": [...]}.',
            problem=f"Input: {json.dumps(numbers)}\nOutput:",
        )


def numbered(thoughts: Iterable[Thought]) -> str:
    """The texts of thoughts, a numbered line each."""
    return "\n".join(f"{number}: {thought.text}" for number, thought in enumerate(thoughts, 1))
