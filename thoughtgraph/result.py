"""What a run comes to: an answer with its thought, why it ended, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.errors import ThoughtgraphError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.thought import Ito, Json, Thought
from thoughtgraph.trace import Ledger, Reason


@dataclass(frozen=True)
class Result:
    """The end of a run, or where it stands.

    `answer` is None where there is none. `outcomes` count what all draws came to. `ledger` has the books of each
    role. `ito` says what the search went by: `"proxy"` is a stand-in for the evaluator, `"environment"` the evaluator
    by contract. `run` is the id for `resume`.
    """

    answer: Json
    reason: Reason
    run: str
    usage: Usage
    outcomes: Counter[str]
    ledger: Mapping[str, Ledger]
    graph: ThoughtGraph = field(repr=False)
    thought: Thought | None = field(repr=False)
    ito: Ito = "none"
    budget: Budget = field(default_factory=Budget)
    error: str = ""

    def to_json(self) -> dict[str, Json]:
        """The result as one JSON object, as `thoughtgraph solve --json` prints it."""
        usage = {name: getattr(self.usage, name) for name in Usage.__dataclass_fields__}
        found = {"answer": self.answer, "reason": self.reason, "run": self.run}
        told = {"error": self.error} if self.error else {}
        return {**found, "usage": usage, "outcomes": dict(self.outcomes), "ito": self.ito, **told}


class RunFailed(ThoughtgraphError):
    """A run ended with reason "failed". `run` is its id, `result` holds what was reached, `__cause__` what broke."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(f"{message} [run {result.run}]")
        self.run = result.run
        self.result = result
