"""Small trees written out by hand, for checks of a policy's own idea."""

from collections.abc import Mapping

import thoughtgraph as tg
from thoughtgraph.engine import Engine
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, finish
from thoughtgraph.trace import Expanded, Scored


class Tree:
    """`Tree({"": "ab", "a": "cd"}, {"a": 0.5})`: children by name, and values; what has no children is final.

    Names are single letters and each stands once, but for merging trees, where equal letters at equal depth are one.
    """

    def __init__(
        self,
        children: Mapping[str, str],
        values: Mapping[str, float | None] | None = None,
        priors: Mapping[str, float] | None = None,
        goal: str | None = None,
        open: str = "",
        merge: bool = False,
    ) -> None:
        self.children, self.values, self.priors = children, values or {}, priors or {}
        self.open = open
        self.task = tg.Task(
            "tree",
            {"step": self.step},
            {"value": self.value},
            start="",
            goal=None if goal is None else (lambda path: path[-1].content in goal),
            key=str if merge else None,
        )

    def step(self, state, n):
        names = self.children.get(state.content, "")
        done = lambda name: name not in self.children and name not in self.open
        return [tg.Draft(name, self.priors.get(name, 1.0), done(name)) for name in names][:n]

    def value(self, states):
        return [tg.Score(self.values.get(state.content)) for state in states]

    def run(self, policy, **how):
        engine = Engine(self.task, policy, store=MemoryStore(), run=RUN, **how)
        return finish(engine.start()), engine

    def expanded(self, policy, **how) -> str:
        """The names in the order in which they were expanded; "." is the root."""
        _, engine = self.run(policy, **how)
        events = [e for e in engine.store.events(RUN) if isinstance(e, Expanded)]
        return "".join(engine.graph[event.parents[0]].content or "." for event in events)

    def scored(self, policy, **how) -> list[str]:
        """The sets that were scored, as names."""
        _, engine = self.run(policy, **how)
        events = [e for e in engine.store.events(RUN) if isinstance(e, Scored)]
        return ["".join(engine.graph[id].content for id in event.thoughts) for event in events]
