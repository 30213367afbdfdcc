"""A task: a problem with its actions, its critics, its goal and the rule that names the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.protocols import Critic, Generator
from thoughtgraph.thought import Json, Passage, Thought, as_json, as_text, clean

Claim = Callable[[Sequence[Thought]], Json | None]
"""What a path of thoughts (root first) claims to be the answer; None if it claims nothing."""

AnswerRule = Callable[["Task", ThoughtGraph], Thought | None]
"""Names the thought that carries the answer, from the graph alone."""


def last_text(path: Sequence[Thought]) -> Json | None:
    """The claim of a task that says nothing else: the text of the last thought, None for an empty one."""
    return path[-1].text or None


def same_json(answer: Json) -> Hashable | None:
    """Answers are the same where their JSON is; a long text (over 100 characters or one line) compares with nothing."""
    text = as_text(answer).strip().casefold() if isinstance(answer, str) else repr(answer)
    return None if not text or len(text) > 100 or "\n" in text else text


@dataclass(frozen=True)
class Task:
    """A problem, ready to be searched. Nothing here knows the right answer: that belongs to whoever evaluates.

    `problem` is JSON data, `x` says it in words (the x of equation 1), `start` is the content of the root thought.
    `actions` and `critics` are named; a policy asks for "step" or "reason" by name, and a task with a single action
    or critic uses it whatever it was asked for. `claim` reads the answer off a path, `same` gives the canonical form
    under which answers are counted as votes (None: an answer that cannot be compared). `goal` is the goal test that
    is part of the problem's statement ("legal, and equals 24"), over a path. `key` is the canonical key of a
    thought's content: where it is given, and `merge` is on, equal thoughts at equal depth become one (a key of
    None is equal to nothing).
    `policy` is what searches it where nobody says, as an expression. `recipe` is how a task that ships with the
    package is built again, so that its runs resume by their id alone. `imagine` names, for an action that asks a
    model, a generator without one, whose drafts an estimate of the cost takes in its place.
    """

    problem: Json
    actions: Mapping[str, Generator]
    critics: Mapping[str, Critic] = field(default_factory=dict[str, Critic])
    x: str = ""
    start: Json = None
    claim: Claim = last_text
    same: Callable[[Json], Hashable | None] = same_json
    goal: Callable[[Sequence[Thought]], bool] | None = None
    key: Callable[[Json], Hashable] | None = None
    merge: bool = True
    rule: AnswerRule | None = None
    passages: Sequence[Passage] = ()
    name: str = "task"
    policy: str = "self_consistency"
    recipe: Json = None
    imagine: Mapping[str, Generator] = field(default_factory=dict[str, Generator])

    def __post_init__(self) -> None:
        as_json(self.problem, "the problem")
        as_json(self.start, "the task's start")
        if not self.actions:
            raise TaskError('the task has no action: expected at least one, as in actions={"step": my_generator}')
        for kind, named in (("action", self.actions), ("critic", self.critics)):
            for name, thing in named.items():
                if not callable(thing):
                    raise TaskError(f"{kind} {name!r} is {thing!r:.80}: expected something that can be called")
        object.__setattr__(self, "x", clean(self.x or as_text(self.problem)))

    def action(self, name: str | None) -> str:
        """The action that a policy means by `name`; `TaskError` with the names there are."""
        return _pick(self.actions, name, "action")

    def critic(self, name: str | None) -> str:
        """The critic that a policy means by `name`; `TaskError` with the names there are."""
        return _pick(self.critics, name, "critic")

    def solved(self, graph: ThoughtGraph, thought: Thought) -> bool:
        """Whether the problem's own goal test accepts the path to this thought."""
        return self.goal is not None and thought.done and self.goal(graph.path(thought))

    def answer(self, graph: ThoughtGraph, thought: Thought | None) -> Json | None:
        """What the path to `thought` claims."""
        return None if thought is None else self.claim(graph.path(thought))


def _pick(named: Mapping[str, object], name: str | None, kind: str) -> str:
    if name is not None and name in named:
        return name
    if len(named) == 1:
        return next(iter(named))
    if not named:
        raise TaskError(f"the policy needs a {kind} and the task has none: give it one, as in {kind}s={{'value': ...}}")
    near = get_close_matches(name or "", named, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise TaskError(f"the task has no {kind} {name!r}: it has {', '.join(map(repr, named))}{hint}")
