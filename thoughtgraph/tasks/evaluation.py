"""E of the tasks that ship with the package: whether an answer is right, worked out outside of every search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from thoughtgraph.task import Task
from thoughtgraph.tasks.blocksworld import check as blocksworld
from thoughtgraph.tasks.game24 import check as game24
from thoughtgraph.tasks.intersection import errors as intersection
from thoughtgraph.tasks.keywords import errors as keywords
from thoughtgraph.tasks.prontoqa import check as prontoqa
from thoughtgraph.tasks.sorting import errors as sorting
from thoughtgraph.thought import Json

Check: TypeAlias = Callable[[str, object], bool | float]
"""From a problem and what is claimed to solve it: whether it does, or how far, in [0, 1]."""


def nearness(errors: Callable[[str, object], int], problem: str, claimed: object) -> float:
    """1 where nothing is wrong, 1/2 for one error, 1/3 for two."""
    return 1 / (1 + errors(problem, claimed))


CHECKS: Mapping[str, Check] = {
    "game24": game24,
    "blocksworld": blocksworld,
    "prontoqa": prontoqa,
    "sorting": partial(nearness, sorting),
    "intersection": partial(nearness, intersection),
    "keywords": partial(nearness, keywords),
}
"""Who checks the answers of which task, by its name; a question in text has no check of its own."""


def evaluator(task: Task) -> Callable[[Json], bool | float] | None:
    """What tells a right answer of this very task from a wrong one; None where nobody knows, as for a question."""
    check = CHECKS.get(task.name)
    return partial(check, task.problem) if check and isinstance(task.problem, str) else None
