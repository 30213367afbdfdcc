"""thoughtgraph: think in graphs. Propose thoughts, score them, search among them, and pay for each call once.

>>> import thoughtgraph as tg
>>> result = tg.solve("How many r's are in strawberry?", model="openai:gpt-5-mini")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thoughtgraph.version import __version__

if TYPE_CHECKING:
    from thoughtgraph import answers, critics, generators, learning, models, recipes, retrieval, search, tasks
    from thoughtgraph.api import Interrupted, Update, aresume, asolve, estimate, resume, solve, stream
    from thoughtgraph.budget import Budget, Usage
    from thoughtgraph.cache import Cache
    from thoughtgraph.comparing import acompare, compare
    from thoughtgraph.comparison import Cell, Comparison, Trial
    from thoughtgraph.environment import Environment, Step, Tool
    from thoughtgraph.errors import (
        BudgetExhausted,
        EffectError,
        Forbidden,
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
    from thoughtgraph.labels import Labels
    from thoughtgraph.learning.export import export
    from thoughtgraph.learning.features import Example, Feature
    from thoughtgraph.learning.files import load_critic
    from thoughtgraph.learning.labels import rows_of
    from thoughtgraph.learning.learned import Learned
    from thoughtgraph.learning.rows import (
        Demonstration,
        Outcome,
        Preference,
        Response,
        StepTrace,
        read_rows,
        write_rows,
    )
    from thoughtgraph.learning.training import Training, train_critic
    from thoughtgraph.model import Capabilities, Completion, Model, Price, Reply, Request, Schema
    from thoughtgraph.picking import apick, pick
    from thoughtgraph.prompt import Image, Message, Prompt, Prompter, narrate, quote
    from thoughtgraph.protocols import Critic, Generator
    from thoughtgraph.recipes.asking import aask, ask
    from thoughtgraph.recipes.audit import aaudit, audit
    from thoughtgraph.recipes.audit_report import Report
    from thoughtgraph.recipes.finetune import finetune
    from thoughtgraph.recipes.forgetting import Forgetting, forget
    from thoughtgraph.recipes.improve import Improvement, aimprove, improve
    from thoughtgraph.recipes.judging import Tuned, atune_judge, tune_judge
    from thoughtgraph.result import Result, RunFailed
    from thoughtgraph.retrieval.indexing import aindex, index
    from thoughtgraph.retrieval.knowledge import Knowledge
    from thoughtgraph.retry import Retry
    from thoughtgraph.sources import Source
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
        "BudgetExhausted", "EffectError", "Forbidden", "ModelError", "ReplayMismatch", "StoreError", "TaskError",
        "ThoughtgraphError", "Unauthorized", "Unavailable", "Unparsable", "Unsupported", "Unsure",
    ),
    "graph": ("ThoughtGraph",),
    "labels": ("Labels",),
    "learning.export": ("export",),
    "learning.features": ("Example", "Feature"),
    "learning.labels": ("rows_of",),
    "learning.files": ("load_critic",),
    "learning.learned": ("Learned",),
    "learning.rows": (
        "Demonstration", "Outcome", "Preference", "Response", "StepTrace", "read_rows", "write_rows",
    ),
    "learning.training": ("Training", "train_critic"),
    "model": ("Capabilities", "Completion", "Model", "Price", "Reply", "Request", "Schema"),
    "picking": ("apick", "pick"),
    "prompt": ("Image", "Message", "Prompt", "Prompter", "narrate", "quote"),
    "protocols": ("Critic", "Generator"),
    "recipes.asking": ("aask", "ask"),
    "recipes.audit": ("aaudit", "audit"),
    "recipes.audit_report": ("Report",),
    "recipes.finetune": ("finetune",),
    "recipes.forgetting": ("Forgetting", "forget"),
    "recipes.improve": ("Improvement", "aimprove", "improve"),
    "recipes.judging": ("Tuned", "atune_judge", "tune_judge"),
    "result": ("Result", "RunFailed"),
    "retrieval.indexing": ("aindex", "index"),
    "retrieval.knowledge": ("Knowledge",),
    "retry": ("Retry",),
    "sources": ("Source",),
    "state": ("State",),
    "stepper": ("Stepper",),
    "store": ("MemoryStore", "SQLiteStore", "Store"),
    "task": ("Task",),
    "tasks.question": ("question",),
    "thought": ("Draft", "Passage", "Score", "Thought"),
    "verbs": ("ALL", "Policy", "Search"),
}  # fmt: skip
_ROOMS = ("answers", "critics", "generators", "learning", "models", "recipes", "retrieval", "search", "tasks")
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
    "Demonstration",
    "Draft",
    "EffectError",
    "Environment",
    "Example",
    "Feature",
    "Forbidden",
    "Forgetting",
    "Generator",
    "Image",
    "Improvement",
    "Interrupted",
    "Knowledge",
    "Labels",
    "Learned",
    "MemoryStore",
    "Message",
    "Model",
    "ModelError",
    "Outcome",
    "Passage",
    "Policy",
    "Preference",
    "Price",
    "Prompt",
    "Prompter",
    "ReplayMismatch",
    "Reply",
    "Report",
    "Request",
    "Response",
    "Result",
    "Retry",
    "RunFailed",
    "SQLiteStore",
    "Schema",
    "Score",
    "Search",
    "Source",
    "State",
    "Step",
    "StepTrace",
    "Stepper",
    "Store",
    "StoreError",
    "Task",
    "TaskError",
    "Thought",
    "ThoughtGraph",
    "ThoughtgraphError",
    "Tool",
    "Training",
    "Trial",
    "Tuned",
    "Unauthorized",
    "Unavailable",
    "Unparsable",
    "Unsupported",
    "Unsure",
    "Update",
    "Usage",
    "__version__",
    "aask",
    "aaudit",
    "acompare",
    "aimprove",
    "aindex",
    "answers",
    "apick",
    "aresume",
    "ask",
    "asolve",
    "atune_judge",
    "audit",
    "compare",
    "critics",
    "estimate",
    "export",
    "finetune",
    "forget",
    "generators",
    "improve",
    "index",
    "learning",
    "load_critic",
    "models",
    "narrate",
    "pick",
    "question",
    "quote",
    "read_rows",
    "recipes",
    "resume",
    "retrieval",
    "rows_of",
    "search",
    "solve",
    "stream",
    "tasks",
    "train_critic",
    "tune_judge",
    "write_rows",
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
