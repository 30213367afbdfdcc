"""Tools that act: a rota is written in six ways side by side, and only the one that is chosen sends the mail.

python examples/a_tool_user.py
"""

from functools import partial

import thoughtgraph as tg
from thoughtgraph.environment import Step, Tool, observations, pending
from thoughtgraph.search import BestOfN
from thoughtgraph.search.commit import Commit
from thoughtgraph.tasks.acting import acting

DUTIES = ("early", "late", "night")
NEVER = {("Ann", "night"), ("Ben", "early")}


TOOLS = {
    "assign": Tool("assign", "Gives a duty to somebody.", "idempotent", {"duty": "which", "name": "to whom"}),
    "send": Tool("send", "Mails the rota to everybody.", "effect", {}),
}


class Office:
    """A rota that is written at a desk, and a mail that goes out into the world."""

    tools = TOOLS

    def __init__(self, sent: list) -> None:
        self.rota, self.sent = {}, sent

    def reset(self, problem: list) -> dict:
        """Begin with an empty rota."""
        self.rota = dict.fromkeys(DUTIES, "")
        return {"faults": self.faults()}

    def step(self, tool: str, arguments: dict) -> Step:
        """Assign, or send. The reward says how much is right."""
        if tool == "send":
            self.sent.append(dict(self.rota))
            return Step("sent")
        if arguments["duty"] not in self.rota:
            raise KeyError(arguments["duty"])  # an observation for whoever proposed it, and no crash
        self.rota[arguments["duty"]] = arguments["name"]
        return Step({"faults": self.faults()}, reward=-self.faults())

    def faults(self) -> int:
        """How many duties are nobody's, somebody's who never takes it, or somebody's who has another."""
        taken = list(self.rota.values())
        return sum(not name or (name, duty) in NEVER or taken.count(name) > 1 for duty, name in self.rota.items())

    def snapshot(self) -> dict:
        """All there is to know, so that any branch goes on from here at once."""
        return dict(self.rota)

    def restore(self, snapshot: dict) -> None:
        """Be as at the snapshot."""
        self.rota = dict(snapshot)


def propose(state: tg.State, n: int) -> list[tg.Draft]:
    """In the place of a model: send a rota without faults, else try any duty for anybody."""
    if observations(state.path)[-1]["faults"] == 0:
        return [tg.Draft({"tool": "send", "arguments": {}})]
    pairs = [{"duty": duty, "name": name} for duty in DUTIES for name in state.problem]
    return [tg.Draft({"tool": "assign", "arguments": pair}) for pair in state.rng.sample(pairs, min(n, 6))]


sent = []
task = acting(["Ann", "Ben", "Cem"], partial(Office, sent), propose)
result = tg.solve(task, policy=Commit(BestOfN(n=6, steps=30)), budget=tg.Budget(expansions=200))
tried = sum(pending(thought) for thought in result.graph)
print(f"{len(result.graph)} thoughts, of which {tried} would send a mail; sent: {sent}")
for thought in result.graph.path(result.thought)[1:-1] if result.thought else []:
    print("  ", thought.text.splitlines()[0])
print(result.answer)
