"""Small environments written out by hand, that remember what was done in them and outside of them."""

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.environment import Broken, Environment, Step, Tool
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, finish

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("look", "Tells the sum.", "pure", {}),
        Tool("add", "Adds to the sum.", "idempotent", {"number": "a whole number"}),
        Tool("trip", "Adds 100, and stumbles.", "idempotent", {}),
        Tool("break", "Breaks the abacus.", "idempotent", {}),
        Tool("pay", "Pays the sum to somebody, for good.", "effect", {"whom": "a name", "note": "what for"}, ["note"]),
    )
}


@dataclass
class Outside:
    """What abaci leave behind: payments, and what was done in all of them together."""

    paid: list[str] = field(default_factory=list[str], repr=False)
    did: Counter[str] = field(default_factory=Counter[str], repr=False)
    restores: bool = True
    fickle: bool = False
    """Whether `add` answers otherwise each time."""

    def __call__(self) -> Environment:
        """Another abacus."""
        return Abacus(self) if self.restores else Forgetful(self)


class Forgetful:
    """An abacus without snapshots: a sum that starts at the problem, with a reward of minus its distance to 10."""

    tools = TOOLS
    counter = itertools.count()

    def __init__(self, outside: Outside) -> None:
        self.outside, self.sum = outside, None

    def reset(self, problem: int) -> str | None:
        self.outside.did["reset"] += 1
        self.sum = problem
        return f"The sum is {problem}." if problem else None

    async def step(self, tool: str, arguments: Mapping) -> Step:
        assert self.sum is not None, "nobody began"
        self.outside.did[tool] += 1
        match tool:
            case "look":
                return Step({"sum": self.sum})
            case "add":
                self.sum += int(arguments["number"])
            case "trip":
                self.sum += 100
                raise ValueError("stumbled")
            case "break":
                raise Broken("a bead is lost")
            case "pay":
                self.outside.paid.append(f"{arguments['whom']} {self.sum}")
                if arguments["whom"] == "nobody":
                    raise ConnectionError("there is nobody")
                return Step("paid", reward=1.0)
            case _:
                raise AssertionError(tool)
        told = next(self.counter) if self.outside.fickle else self.sum
        return Step(f"The sum is {told}.", reward=-abs(10 - self.sum), done=self.sum == 10)

    async def close(self) -> None:
        self.outside.did["close"] += 1
        self.sum = None


class Abacus(Forgetful):
    """An abacus that can be brought back to where it was."""

    def snapshot(self) -> dict:
        return {"sum": self.sum}

    async def restore(self, snapshot: Mapping) -> None:
        self.outside.did["restore"] += 1
        self.sum = snapshot["sum"]


@dataclass(frozen=True)
class Plan:
    """Proposes the same calls at each depth: a tool's name, or its name with a number or a whom."""

    calls: tuple[str, ...]

    def __call__(self, state: tg.State, n: int) -> list[tg.Draft]:
        return [drafted(call) for call in self.calls[:n]]


def drafted(call: str) -> tg.Draft:
    """`add 3`, `look`, `pay Ann`; `= 7` is an answer."""
    tool, _, rest = call.partition(" ")
    if tool == "=":
        return tg.Draft({"text": "It is clear.", "answer": rest}, done=True)
    arguments = {"add": {"number": rest}, "pay": {"whom": rest}}.get(tool, {"what": rest} if rest else {})
    return tg.Draft({"text": f"I will {tool}.", "tool": tool, "arguments": arguments})


def run(task: tg.Task, policy: tg.Policy, store: MemoryStore | None = None, **how: Any) -> tuple[tg.Result, Engine]:
    """One run in memory."""
    engine = Engine(task, policy, store=store or MemoryStore(), run=RUN, **how)
    return finish(engine.start()), engine
