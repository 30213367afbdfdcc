"""Intersecting two sets of whole numbers, the second one in parts, as in Graph of Thoughts (Besta et al., 2024)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thoughtgraph.errors import TaskError
from thoughtgraph.prompt import Prompt
from thoughtgraph.protocols import Generator
from thoughtgraph.task import Task
from thoughtgraph.tasks import lists
from thoughtgraph.tasks.lists import Ask, Errors, Parts, Slips, Split, Splitting
from thoughtgraph.thought import Json, Passage, Score, Thought

GROWING = lists.LAWS["growing"]


def intersection(problem: str, local: bool = True, slips: Slips = GROWING) -> Task:
    """The numbers that stand in both sets of `problem`, as in "1 2 3; 2 3 4" or "[1, 2, 3] [2, 3, 4]".

    Thoughts are what some neighbouring numbers of the second set have in common with the first (see `lists`). "split"
    cuts the second set, "step" intersects a part of it or the whole, "merge" makes one list of several, "refine" a
    better one, "reason" and "answer" intersect at once: with `slips`, or by a model if not `local`. Lists are kept
    sorted, for their order means nothing. The critic counts errors, and there is no goal test: a list with one error
    is a better answer than none. `TaskError` for what is no pair of sets.
    """
    pair = read(problem)
    x = f"{json.dumps(pair.first)}\n{json.dumps(pair.second)}"
    strays = tuple(number for number in pair.second if number not in pair.first)
    parts = Parts(tuple(pair.second), Common(tuple(pair.first)), strays=strays)
    thinkers = lists.thinkers(parts, slips)
    return Task(
        problem=x,
        actions=thinkers if local else speakers(parts),
        critics={"value": Errors(parts)},
        x=x,
        start={**parts.start, "text": x},
        claim=lists.claim,
        same=str,
        key=lists.key,
        name="intersection",
        policy="got" if local else "got(parts=2, samples=3, merges=3, refinements=5)",
        recipe={"name": "intersection", "problem": x, "local": local} if slips == GROWING else None,
        imagine={} if local else thinkers,
    )


class Pair(NamedTuple):
    """Two sets, in the order in which they are told."""

    first: list[int]
    second: list[int]


def read(problem: str) -> Pair:
    """The two sets of a problem; `TaskError` says why it is none."""
    text = str(problem)
    told = re.findall(r"\[([^\[\]]*)\]", text) if "[" in text else re.split(r"[;\n]", text.strip())
    around = re.sub(r"\[[^\[\]]*\]", "", text) if "[" in text else ""
    sets = [re.split(r"\s*,\s*|\s+", written.strip()) for written in told]
    legal = all(re.fullmatch(r"-?[0-9]{1,9}", word) for words in sets for word in words)
    if len(sets) != 2 or not legal or not re.fullmatch(r"[\s,;\[\]]*", around):
        raise TaskError(
            f"the problem is {problem!r:.80}: expected two sets of whole numbers with a semicolon between them, or "
            'each in square brackets, as in "1 2 3; 2 3 4"'
        )
    pair = Pair(*([int(word) for word in words] for words in sets))
    if twice := [number for one in pair for number in set(one) if one.count(number) > 1]:
        raise TaskError(f"{min(twice)} stands twice in a set of {problem!r:.80}: expected each number once")
    return pair


@dataclass(frozen=True)
class Common:
    """What some numbers of the second set have in common with the first."""

    first: tuple[int, ...]

    def __call__(self, part: Sequence[Json]) -> list[Json]:
        """Sorted."""
        return sorted(set(part).intersection(self.first))


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim is the intersection. It stands outside of every task."""

    problem: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.problem, claimed)


def check(problem: str, claimed: object) -> bool:
    """Whether `claimed`, a list or its JSON, holds the numbers of both sets, each once, in whatever order."""
    return errors(problem, claimed) == 0


def errors(problem: str, claimed: object) -> int:
    """How many numbers are missing, or too many."""
    pair, found = read(problem), lists.as_list(claimed, int)
    return lists.distance(None if found is None else sorted(found), sorted(set(pair.first) & set(pair.second)))


# -- thinking with a model ---------------------------------------------------------------------------------------


def speakers(parts: Parts) -> dict[str, Generator]:
    """The actions that ask a model."""
    solve = Ask(parts, solving, common)
    return {
        "split": Split(parts, Splitting),
        "step": solve,
        "merge": Ask(parts, merging, common),
        "refine": Ask(parts, mending, common),
        "reason": solve,
        "answer": solve,
    }


def common(reply: str) -> list[int]:
    """The list in a reply, sorted. It may be empty."""
    return sorted(lists.one_list(reply))


def two_sets(x: str, thoughts: Sequence[Thought]) -> str:
    """The first set, and the part of the second that the last thought was made of."""
    first, second = read(x)
    return f"Set 1: {json.dumps(first)}\nSet 2: {json.dumps(second[slice(*lists.span_of(thoughts[-1]))])}"


def solving(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The first set with a part of the second, or with all of it."""
    return Prompt(
        task="Find the intersection of two sets of numbers. Output only a list in square brackets, [] if it is empty.",
        problem=f"{two_sets(x, thoughts)}\nOutput:",
    )


def merging(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Several lists."""
    return Prompt(
        task=f"Merge the following {len(thoughts)} lists into one, with every number of each. Output only the merged "
        "list.",
        problem=f"{lists.numbered(thoughts)}\nOutput:",
    )


def mending(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """A list that may be wrong, the sets it was made of, and what the critic says."""
    return Prompt(
        task="The list was meant to be the intersection of two sets of numbers, and may be incorrect. Correct it: the "
        "numbers that stand in both sets, each once. Output only the correct list, in square brackets.",
        problem=f"{two_sets(x, thoughts)}\nIncorrect Intersection: {thoughts[-1].text}",
        complaint=lists.complaint(scores),
        ask="Output:",
    )
