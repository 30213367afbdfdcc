"""thoughtgraph: think in graphs. Propose thoughts, score them, search among them, and pay for each call once.

>>> import thoughtgraph as tg
>>> result = tg.solve("How many r's are in strawberry?", model="openai:gpt-5-mini")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thoughtgraph.version import __version__

if TYPE_CHECKING:
    from thoughtgraph import answers, critics, generators, models, retrieval, search, tasks
    from thoughtgraph.api import Interrupted, Update, aresume, asolve, estimate, resume, solve, stream
    from thoughtgraph.budget import Budget, Usage
    from thoughtgraph.cache import Cache
    from thoughtgraph.comparing import acompare, compare
    from thoughtgraph.comparison import Cell, Comparison, Trial
    from thoughtgraph.environment import Environment, Step, Tool
    from thoughtgraph.errors import (
        BudgetExhausted,
        EffectError,
        ModelError,
        ReplayMismatch,
        StoreError,
        TaskError,
        ThoughtgraphError,
        Unauthorized,
        Unavailable,
        Unparsable,
        Unsupported,
        Unsure,
    )
    from thoughtgraph.graph import ThoughtGraph
    from thoughtgraph.model import Capabilities, Completion, Model, Price, Reply, Request, Schema
    from thoughtgraph.picking import apick, pick
    from thoughtgraph.prompt import Image, Message, Prompt, Prompter, narrate, quote
    from thoughtgraph.protocols import Critic, Generator
    from thoughtgraph.result import Result, RunFailed
    from thoughtgraph.retry import Retry
    from thoughtgraph.state import State
    from thoughtgraph.stepper import Stepper
    from thoughtgraph.store import MemoryStore, SQLiteStore, Store
    from thoughtgraph.task import Task
    from thoughtgraph.tasks.question import question
    from thoughtgraph.thought import Draft, Passage, Score, Thought
    from thoughtgraph.verbs import ALL, Policy, Search

_HOMES = {
    "api": ("Interrupted", "Update", "aresume", "asolve", "estimate", "resume", "solve", "stream"),
    "budget": ("Budget", "Usage"),
    "cache": ("Cache",),
    "comparing": ("acompare", "compare"),
    "comparison": ("Cell", "Comparison", "Trial"),
    "environment": ("Environment", "Step", "Tool"),
    "errors": (
        "BudgetExhausted", "EffectError", "ModelError", "ReplayMismatch", "StoreError", "TaskError",
        "ThoughtgraphError", "Unauthorized", "Unavailable", "Unparsable", "Unsupported", "Unsure",
    ),
    "graph": ("ThoughtGraph",),
    "model": ("Capabilities", "Completion", "Model", "Price", "Reply", "Request", "Schema"),
    "picking": ("apick", "pick"),
    "prompt": ("Image", "Message", "Prompt", "Prompter", "narrate", "quote"),
    "protocols": ("Critic", "Generator"),
    "result": ("Result", "RunFailed"),
    "retry": ("Retry",),
    "state": ("State",),
    "stepper": ("Stepper",),
    "store": ("MemoryStore", "SQLiteStore", "Store"),
    "task": ("Task",),
    "tasks.question": ("question",),
    "thought": ("Draft", "Passage", "Score", "Thought"),
    "verbs": ("ALL", "Policy", "Search"),
}  # fmt: skip
_ROOMS = ("answers", "critics", "generators", "models", "retrieval", "search", "tasks")
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALL",
    "Budget",
    "BudgetExhausted",
    "Cache",
    "Capabilities",
    "Cell",
    "Comparison",
    "Completion",
    "Critic",
    "Draft",
    "EffectError",
    "Environment",
    "Generator",
    "Image",
    "Interrupted",
    "MemoryStore",
    "Message",
    "Model",
    "ModelError",
    "Passage",
    "Policy",
    "Price",
    "Prompt",
    "Prompter",
    "ReplayMismatch",
    "Reply",
    "Request",
    "Result",
    "Retry",
    "RunFailed",
    "SQLiteStore",
    "Schema",
    "Score",
    "Search",
    "State",
    "Step",
    "Stepper",
    "Store",
    "StoreError",
    "Task",
    "TaskError",
    "Thought",
    "ThoughtGraph",
    "ThoughtgraphError",
    "Tool",
    "Trial",
    "Unauthorized",
    "Unavailable",
    "Unparsable",
    "Unsupported",
    "Unsure",
    "Update",
    "Usage",
    "__version__",
    "acompare",
    "answers",
    "apick",
    "aresume",
    "asolve",
    "compare",
    "critics",
    "estimate",
    "generators",
    "models",
    "narrate",
    "pick",
    "question",
    "quote",
    "resume",
    "retrieval",
    "search",
    "solve",
    "stream",
    "tasks",
]


def __getattr__(name: str) -> Any:
    """Bring a name in when it is first used: importing thoughtgraph loads nothing heavy."""
    if name in _WHERE:
        thing = getattr(import_module(f"thoughtgraph.{_WHERE[name]}"), name)
    elif name in _ROOMS:
        thing = import_module(f"thoughtgraph.{name}")
    else:
        raise AttributeError(f"module 'thoughtgraph' has no attribute {name!r}")
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return sorted(__all__)
