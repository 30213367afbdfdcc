"""Problems that ship with the package; `build` makes one from text, for the command line and for resuming."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from thoughtgraph.errors import TaskError
from thoughtgraph.task import Task

NAMES = ("question", "game24", "blocksworld")
"""The tasks that text can name; each is a module of this room with a function of its own name."""


def build(name: str, problem: str, local: bool = True) -> Task:
    """The task `name` for `problem`, with its local generators, or speaking to a model if not `local`."""
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise TaskError(f"there is no task {name!r}: {hint}expected one of {', '.join(NAMES)}")
    made: Task = getattr(import_module(f"thoughtgraph.tasks.{name}"), name)(problem, local=local)
    return made
