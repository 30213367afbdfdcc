"""Sorting whole numbers, repetitions and all: the first task of Graph of Thoughts (Besta et al., 2024)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.prompt import Prompt
from thoughtgraph.protocols import Generator
from thoughtgraph.task import Task
from thoughtgraph.tasks import lists
from thoughtgraph.tasks.lists import Ask, Errors, Parts, Slips, Split, Splitting
from thoughtgraph.thought import Json, Passage, Score, Thought

GROWING = lists.LAWS["growing"]

LARGEST = 10**9
"""Numbers are below this, above and under zero."""


def sorting(problem: str, local: bool = True, slips: Slips = GROWING) -> Task:
    """The list `problem`, as in "3 1 2" or "[3, 1, 2]", to be sorted with the smallest number first.

    Thoughts are lists of some neighbouring numbers of the input (see `lists`). "split" cuts the list, "step" sorts a
    part or the whole, "merge" makes one list of several, "refine" makes a better one, "reason" and "answer" sort the
    whole at once: with `slips`, or by a model if not `local`. The critic counts errors. There is no goal test: a list
    with one error is a better answer than one with two, and than none. `TaskError` for what is no list of numbers.
    """
    numbers = read(problem)
    x = json.dumps(numbers)
    parts = Parts(tuple(numbers), in_order)
    thinkers = lists.thinkers(parts, slips)
    return Task(
        problem=x,
        actions=thinkers if local else speakers(parts),
        critics={"value": Errors(parts)},
        x=x,
        start=parts.start,
        claim=lists.claim,
        same=str,
        key=lists.key,
        name="sorting",
        policy="got" if local else "got(parts=2, samples=3, merges=3, refinements=5)",
        recipe={"name": "sorting", "problem": x, "local": local} if slips == GROWING else None,
        imagine={} if local else thinkers,
    )


def read(problem: str) -> list[int]:
    """The numbers of a list, two at least; `TaskError` says why it is none."""
    found = re.fullmatch(r"\s*\[?([-0-9,\s]*)\]?\s*", str(problem))
    words = re.split(r"\s*,\s*|\s+", found[1].strip()) if found else []
    if len(words) < 2 or not all(re.fullmatch(r"-?[0-9]{1,9}", word) for word in words):
        raise TaskError(
            f"the list is {problem!r:.80}: expected two or more whole numbers under {LARGEST} with spaces or commas "
            'between them, as in "3 1 2"'
        )
    return [int(word) for word in words]


def in_order(numbers: Sequence[Json]) -> list[Json]:
    """The same numbers, the smallest first."""
    return sorted(numbers)


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim is the list, sorted. It stands outside of every task."""

    problem: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.problem, claimed)


def check(problem: str, claimed: object) -> bool:
    """Whether `claimed`, a list or its JSON, is the problem's list, sorted."""
    return errors(problem, claimed) == 0


def errors(problem: str, claimed: object) -> int:
    """The paper's error scope: neighbours out of order, and for each number how often it is missing or too many."""
    return lists.distance(lists.as_list(claimed, int), sorted(read(problem)))


# -- thinking with a model ---------------------------------------------------------------------------------------


def speakers(parts: Parts) -> dict[str, Generator]:
    """The actions that ask a model."""
    solve = Ask(parts, solving, sorted_list)
    return {
        "split": Split(parts, Splitting),
        "step": solve,
        "merge": Ask(parts, merging, sorted_list),
        "refine": Ask(parts, mending, sorted_list),
        "reason": solve,
        "answer": solve,
    }


def sorted_list(reply: str) -> list[int]:
    """The list in a reply, as it is written; `Unparsable` for an empty one, since something was there to sort."""
    if not (found := lists.one_list(reply)):
        raise Unparsable("the list is empty: expected the numbers that were given")
    return found


def unsorted(x: str, thoughts: Sequence[Thought]) -> str:
    """The numbers that the last thought was made of, as the problem gives them."""
    return json.dumps(read(x)[slice(*lists.span_of(thoughts[-1]))])


def solving(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """A part of the list, or all of it, at once."""
    return Prompt(
        task="Sort the following list of numbers in ascending order, each number as often as it stands there. Output "
        "only the sorted list, in square brackets.",
        problem=f"Input: {unsorted(x, thoughts)}\nOutput:",
    )


def merging(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Several sorted lists."""
    return Prompt(
        task=f"Merge the following {len(thoughts)} sorted lists into one sorted list, with every number of each. "
        "Output only the merged list.",
        problem=f"{lists.numbered(thoughts)}\nOutput:",
    )


def mending(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """A list that may be wrong, what it was made of, and what the critic says."""
    return Prompt(
        task="The second list is a sorted variant of the first, and may be incorrect. Correct it: the numbers of the "
        "input in ascending order, each as often as it stands there. Output only the correct list, in square "
        "brackets.",
        problem=f"Input: {unsorted(x, thoughts)}\nIncorrectly Sorted: {thoughts[-1].text}",
        complaint=lists.complaint(scores),
        ask="Output:",
    )
