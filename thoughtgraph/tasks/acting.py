"""A problem to act on: an environment with tools, a way to propose calls, and what the environment says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.environment import World, enacted, held, named, rewarded
from thoughtgraph.generators.act import Act, Decide, Enact
from thoughtgraph.protocols import Critic, Generator
from thoughtgraph.state import State
from thoughtgraph.task import Claim, Task
from thoughtgraph.thought import Ito, Json, Score, Thought, as_text


def acting(
    problem: Json,
    world: World,
    propose: Generator | None = None,
    *,
    critic: Critic | None = None,
    reflect: Generator | None = None,
    goal: Callable[[Sequence[Thought]], bool] | None = None,
    claim: Claim | None = None,
    key: Callable[[Json], Hashable] | None = None,
    x: str = "",
    policy: str = "commit(policy=mcts(simulations=40))",
    most: int = 2000,
    name: str = "acting",
) -> Task:
    """`problem`, acted on in environments that `world` makes, as a task.

    A thought is one tool call with what was observed, as `generators.Act` makes it. "step" proposes calls and performs
    them, and "reason" is the same, by which chain policies (best-of-n, self-consistency) follow an episode call by
    call. "commit" performs the chosen branch's pending effects, for the policy `Commit`; "reflect" is there for LATS
    where one is given. `propose` drafts the calls; by default a model decides (`generators.Decide`). The critic
    "value" is the environment's own reward unless another is given. `goal` is the problem's own goal test over a path,
    and is asked about paths to pending effects as if they had happened. The answer is what the last thought says,
    its "answer" if it has one.

    Equal calls from the same thought are one thought. Where equal snapshots are equal states, whatever led there,
    `key=same_world` lets branches meet.
    """
    act = Act(world, Decide(world().tools) if propose is None else propose, most)
    further = {} if reflect is None else {"reflect": reflect}
    return Task(
        problem,
        actions={"step": act, "reason": act, "commit": Enact(world, most), **further},
        critics={"value": Reward() if critic is None else critic},
        x=x or as_text(problem),
        claim=told if claim is None else claim,
        goal=None if goal is None else Before(goal),
        key=same_call if key is None else key,
        policy=policy,
        name=name,
    )


@dataclass(frozen=True)
class Reward:
    """The environment's reward as a value: the latest one on the path. It abstains before there is any."""

    ito: ClassVar[Ito] = "environment"

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each, at no cost."""
        rewards = [rewarded(state.path) for state in states]
        return [Score(reward, status="abstained" if reward is None else "ok") for reward in rewards]


@dataclass(frozen=True)
class Before:
    """A goal test that looks at what was chosen: a report of what then happened does not move it."""

    goal: Callable[[Sequence[Thought]], bool]

    def __call__(self, path: Sequence[Thought]) -> bool:
        """Judge the path as it was chosen."""
        return self.goal([thought for thought in path if not enacted(thought)])


def told(path: Sequence[Thought]) -> Json | None:
    """The answer of a finished path: what its last thought gives as one, or else says."""
    last = path[-1]
    return held(last).get("answer", last.text or None) if last.done else None


def same_call(content: Json) -> Hashable | None:
    """Calls are equal that are made from the same thought, with the same arguments; nothing else is."""
    call = named(content)
    return json.dumps([call["after"], call["tool"], call["arguments"]], sort_keys=True) if "after" in call else None


def same_world(content: Json) -> Hashable | None:
    """Thoughts are equal whose snapshots are; without one, as in `same_call`."""
    kept = named(content).get("snapshot")
    return same_call(content) if kept is None else json.dumps(kept, sort_keys=True)
