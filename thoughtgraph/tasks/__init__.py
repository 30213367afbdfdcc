"""Problems that ship with the package; `build` makes one from text, for the command line and for resuming."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from thoughtgraph.errors import TaskError
from thoughtgraph.task import Task
from thoughtgraph.tasks.acting import acting
from thoughtgraph.tasks.blocksworld import blocksworld
from thoughtgraph.tasks.evaluation import evaluator
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.game24 import game24
from thoughtgraph.tasks.intersection import intersection
from thoughtgraph.tasks.keywords import keywords
from thoughtgraph.tasks.open_book import UNKNOWN, citations, open_book
from thoughtgraph.tasks.prontoqa import prontoqa
from thoughtgraph.tasks.question import question
from thoughtgraph.tasks.sorting import sorting
from thoughtgraph.tasks.templates import Kind, Relation, Template
from thoughtgraph.tasks.world_reader import Lapses, world_reader
from thoughtgraph.tasks.worlds import Mix, World, world

__all__ = [
    "NAMES", "UNKNOWN", "Fallible", "Kind", "Lapses", "Mix", "Relation", "Template", "World", "acting", "blocksworld",
    "build", "citations", "evaluator", "game24", "intersection", "keywords", "open_book", "prontoqa", "question",
    "sorting", "world", "world_reader",
]  # fmt: skip

_MAKERS: Mapping[str, Callable[..., Task]] = {
    "question": question,
    "game24": game24,
    "blocksworld": blocksworld,
    "prontoqa": prontoqa,
    "sorting": sorting,
    "intersection": intersection,
    "keywords": keywords,
}
NAMES = tuple(_MAKERS)
"""The tasks that text can name."""


def build(name: str, problem: str, local: bool = True) -> Task:
    """The task `name` for `problem`, with its local generators, or speaking to a model if not `local`."""
    if name == "open_book":  # a run's file may come from anybody, and must not name the knowledge that is read
        raise TaskError(
            "a question over knowledge is gone on with by asking it again: thoughtgraph ask QUESTION --knowledge FILE "
            "--resume RUN, or tg.ask(question, knowledge=..., store=..., run=...)"
        )
    if name not in _MAKERS:
        near = get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise TaskError(f"there is no task {name!r}: {hint}expected one of {', '.join(NAMES)}")
    return _MAKERS[name](problem, local=local)
