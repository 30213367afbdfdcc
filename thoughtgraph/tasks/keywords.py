"""Counting keywords in a text, passage by passage, as in Graph of Thoughts (Besta et al., 2024)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.prompt import Prompt
from thoughtgraph.protocols import Generator
from thoughtgraph.replies import spoken
from thoughtgraph.task import Task
from thoughtgraph.tasks import lists
from thoughtgraph.tasks.lists import Ask, Cut, Errors, Parts, Slips
from thoughtgraph.thought import Json, Passage, Score, Thought

GROWING = lists.LAWS["growing"]

MOST = 10_000
"""More words than this are counted in no text."""


def keywords(problem: str, local: bool = True, slips: Slips = GROWING) -> Task:
    r"""How often a text names each of some words, as in "Norway, Sweden\nNorway borders Sweden. So does Finland."

    The words stand on the first line, with commas between them; the rest is the text. Thoughts are what some of its
    neighbouring sentences name: {"text": '{"Norway": 1}', "list": ["Norway"], "span": [0, 1]} (see `lists`). "split"
    cuts the text between sentences and needs no model; "step" counts in a part or in the whole, "merge" adds counts
    up, "refine" corrects them, "reason" and "answer" count at once: with `slips`, or by a model if not `local`. The
    claim is the counts above 0. The critic counts errors, and there is no goal test: counts with one error are a better
    answer than none. `TaskError` for what has no words or no text.
    """
    words, sentences = read(problem)
    x = f"{', '.join(words)}\n{' '.join(sentences)}"
    parts = Parts(tuple(sentences), Named(tuple(words)), shown=" ".join, told=counted)
    thinkers = lists.thinkers(parts, slips)
    return Task(
        problem=x,
        actions=thinkers if local else speakers(parts),
        critics={"value": Errors(parts)},
        x=x,
        start=parts.start,
        claim=claim,
        same=str,
        key=lists.key,
        name="keywords",
        policy="got" if local else "got(parts=2, samples=3, merges=3, refinements=5)",
        recipe={"name": "keywords", "problem": x, "local": local} if slips == GROWING else None,
        imagine={} if local else thinkers,
    )


class Text(NamedTuple):
    """The words to look for, and the sentences to look in."""

    words: list[str]
    sentences: list[str]


def read(problem: str) -> Text:
    """The words on the first line, the sentences behind it; `TaskError` says what is missing."""
    line, _, rest = str(problem).strip().partition("\n")
    words = list(dict.fromkeys(" ".join(word.split()) for word in line.split(",") if word.strip()))
    text = " ".join(rest.split())
    if not words or not text:
        raise TaskError(
            f"the problem is {problem!r:.80}: expected the words to count on the first line, with commas between them, "
            'and the text on the next, as in "Norway, Sweden\\nNorway borders Sweden."'
        )
    return Text(words, sentences_of(text, words))


def sentences_of(text: str, words: Sequence[str]) -> list[str]:
    """A text cut behind full stops, and never within a word that is counted ("St. Lucia")."""
    within = [(found.start(), found.end()) for found in naming(words).finditer(text)]
    ends = [found.end() for found in re.finditer(r"[.!?][\"'\u2019\u201d)]*\s", text)]
    ends = [end for end in ends if not any(first < end < last for first, last in within)]
    return [text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True) if text[a:b].strip()]


def naming(words: Sequence[str]) -> re.Pattern[str]:
    """What finds each word, as it is written, and the longest where one begins with another."""
    longest = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


@dataclass(frozen=True)
class Named:
    """The words that some sentences name, each as often as it is named, sorted."""

    words: tuple[str, ...]

    def __call__(self, sentences: Sequence[Json]) -> list[Json]:
        """Found by looking."""
        return sorted(naming(self.words).findall(" ".join(sentences)))


def counted(named: Sequence[Json]) -> str:
    """Words as their counts, in JSON."""
    return json.dumps(tally(named), ensure_ascii=False)


def tally(named: Sequence[str]) -> dict[str, int]:
    """Each word with its count, in the order of the alphabet."""
    return dict(sorted(Counter(named).items()))


def claim(path: Sequence[Thought]) -> Json | None:
    """The counts of a thought that covers the whole text."""
    named = lists.claim(path)
    return None if named is None else tally(named)


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim has the right counts. It stands outside of every task."""

    problem: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.problem, claimed)


def check(problem: str, claimed: object) -> bool:
    """Whether `claimed`, a dict or its JSON, says how often each word is named; those that are not may be left out."""
    return errors(problem, claimed) == 0


def errors(problem: str, claimed: object) -> int:
    """By how much the counts are wrong, together."""
    words, sentences = read(problem)
    try:
        claimed = json.loads(claimed) if isinstance(claimed, str) else claimed
        found = spelt_out(claimed)
    except (ValueError, RecursionError):
        found = None
    return lists.distance(found, Named(tuple(words))(sentences))


# -- thinking with a model ---------------------------------------------------------------------------------------


def speakers(parts: Parts) -> dict[str, Generator]:
    """The actions that ask a model; a text is cut without one."""
    solve = Ask(parts, solving, counts)
    return {
        "split": Cut(parts),
        "step": solve,
        "merge": Ask(parts, merging, counts),
        "refine": Ask(parts, mending, counts),
        "reason": solve,
        "answer": solve,
    }


def counts(reply: str) -> list[str]:
    r"""The words of the last JSON object in a reply, each as often as it says; `Unparsable` without one.

    >>> counts('Here you are:\n```json\n{"Sweden": 1, "Norway": 2, "Peru": 0}\n```')
    ['Norway', 'Norway', 'Sweden']
    """
    objects = re.findall(r"\{[^{}]*\}", spoken(reply))
    if not objects:
        raise Unparsable("the reply holds no JSON object")
    try:
        return spelt_out(json.loads(objects[-1]))
    except ValueError as error:
        raise Unparsable(f"{objects[-1]!r:.80} holds no counts: {error}") from None


def spelt_out(counts: object) -> list[str]:
    """Words, each as often as `counts` says, sorted; `Unparsable` for what is no mapping of words to whole numbers."""
    said = cast("dict[Any, Any]", counts if isinstance(counts, dict) else {None: None})
    whole = all(type(word) is str and type(count) is int and count >= 0 for word, count in said.items())
    if not whole or sum(said.values()) > MOST:
        raise Unparsable(f"expected words, each with a whole number, and at most {MOST} in all")
    return sorted(word.strip() for word, count in said.items() for _ in range(count))


def passage(x: str, thoughts: Sequence[Thought]) -> str:
    """The sentences that the last thought was made of."""
    return " ".join(read(x).sentences[slice(*lists.span_of(thoughts[-1]))])


def solving(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The words, and a part of the text, or all of it."""
    return Prompt(
        task="Count how often the text names each of these words. Output only JSON with the words that it names, each "
        "with its count, and no additional text.",
        example="Words: Canada, Mexico, Peru\nText: Canada and Peru trade; Canada sells wheat.\n"
        'Output: {"Canada": 2, "Peru": 1}',
        problem=f"Words: {', '.join(read(x).words)}\nText: {passage(x, thoughts)}\nOutput:",
    )


def merging(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Several counts."""
    return Prompt(
        task=f"Merge the following {len(thoughts)} JSON objects of counts into one, by adding up what they say of each "
        "word. Output only the merged JSON, with no additional text.",
        example='1: {"Canada": 2, "Peru": 1}\n2: {"Canada": 1, "Mexico": 1}\n'
        'Output: {"Canada": 3, "Mexico": 1, "Peru": 1}',
        problem=f"{lists.numbered(thoughts)}\nOutput:",
    )


def mending(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Counts that may be wrong, the text they were made of, and what the critic says."""
    return Prompt(
        task="The counts were meant to say how often the text names each of these words, and may be incorrect. Correct "
        "them. Output only JSON with the words that it names, each with its count, and no additional text.",
        problem=f"Words: {', '.join(read(x).words)}\nText: {passage(x, thoughts)}\n"
        f"Incorrect Counts: {thoughts[-1].text}",
        complaint=lists.complaint(scores),
        ask="Output:",
    )
