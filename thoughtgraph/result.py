"""What a run comes to: an answer with its thought, why it ended, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.errors import ThoughtgraphError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.sources import Source, sources
from thoughtgraph.thought import Ito, Json, Thought
from thoughtgraph.trace import Ledger, Noted, Reason


@dataclass(frozen=True)
class Result:
    """The end of a run, or where it stands.

    `answer` is None where there is none. `outcomes` count what all draws came to. `ledger` has the books of each
    role. `ito` says what the search went by: `"proxy"` is a stand-in for the evaluator, `"environment"` the evaluator
    by contract. `run` is the id for `resume`. `usage` is what counts against the budget; of that, `unsettled` is what
    a provider may have billed though no reply or no count came, at its reservation. `notes` say what was done in
    another way than asked.
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
    unsettled: Usage = field(default_factory=Usage)
    notes: tuple[Noted, ...] = ()

    @property
    def sources(self) -> list[Source]:
        """The passages that the answer was made of, with the way from each to it; none where none went into it."""
        return [] if self.thought is None else sources(self.graph, self.thought)

    def to_json(self) -> dict[str, Json]:
        """The result as one JSON object, as `thoughtgraph solve --json` prints it."""
        form: Any = self.answer
        answer = form.model_dump(mode="json") if hasattr(form, "model_dump") else form
        said = {"answer": answer, "reason": self.reason, "run": self.run}
        used = {"usage": _counts(self.usage), "unsettled": _counts(self.unsettled), "outcomes": dict(self.outcomes)}
        ledger = {role: book.to_json() for role, book in self.ledger.items()}
        notes = [f"{note.model or note.about}: {note.text}" for note in self.notes]
        told = {"error": self.error} if self.error else {}
        rests = {"sources": [source.to_json() for source in found]} if (found := self.sources) else {}
        return {**said, **used, **rests, "ledger": ledger, "notes": notes, "ito": self.ito, **told}


def _counts(usage: Usage) -> dict[str, Json]:
    return {name: getattr(usage, name) for name in Usage.__dataclass_fields__}


class RunFailed(ThoughtgraphError):
    """A run ended with reason "failed". `run` is its id, `result` holds what was reached, `__cause__` what broke."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(f"{message} [run {result.run}]")
        self.run = result.run
        self.result = result
