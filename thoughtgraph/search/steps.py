"""What step-by-step policies share: growing a level, one rule for the value of a prefix, the best finished thought."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from math import fsum, prod
from statistics import fmean
from typing import Any, Literal, TypeAlias, TypeVar

from thoughtgraph.thought import Thought
from thoughtgraph.verbs import Search

T = TypeVar("T")

Rule: TypeAlias = Literal["last", "min", "prod", "mean"]
"""How the values of the steps make the value of a prefix (Lightman et al., 2023): one rule to prune and to choose."""

RULES: Mapping[Rule, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "min": min,
    "prod": prod,
    "mean": fmean,
}


async def grow(search: Search, thought: Thought, action: str, n: int, *, merge: bool = True) -> list[Thought]:
    """The children of a thought; asked for once more where that failed, since a failure is no dead end."""
    failures = search.failures(thought)
    children = await search.expand(thought, action=action, n=n, merge=merge)
    if not children and search.failures(thought) > failures:
        children = await search.expand(thought, action=action, n=n, merge=merge)
    return children


async def level(
    search: Search, beam: Sequence[Thought], after: Callable[[Thought], Coroutine[Any, Any, list[Thought]]]
) -> list[Thought]:
    """What comes `after` the thoughts of a beam, side by side and in its order, each once and without dead ends.

    Finished thoughts stay in the running.
    """

    async def further(thought: Thought) -> list[Thought]:
        return [thought] if thought.done else await after(thought)

    grown = await search.gather(*map(further, beam))
    return [t for t in dict.fromkeys(t for children in grown for t in children) if not dead(search, t)]


def dead(search: Search, thought: Thought) -> bool:
    """Whether nothing comes of it: a final thought that fails the goal test or, without one, claims nothing."""
    if not thought.done:
        return False
    return not search.solved(thought) if search.task.goal is not None else search.claim(thought) is None


async def judge(search: Search, thoughts: Sequence[Thought], critic: str) -> None:
    """Have those judged, as one set, that this critic was never asked about: an abstention is an answer too."""
    name = search.task.critic(critic)
    await search.score([t for t in dict.fromkeys(thoughts) if search.graph.score(t, name) is None], critic)


def prefix(search: Search, thought: Thought, critic: str, rule: Rule) -> float | None:
    """The value of the path to `thought` by `rule` over its judged steps; None where no step has a value."""
    steps = [thought] if rule == "last" else search.graph.path(thought)[1:]
    values = [value for step in steps if (value := search.value(step, critic)) is not None]
    return RULES[rule](values) if values else None


def ranked(thoughts: Sequence[T], values: Sequence[float | None]) -> list[T]:
    """Best first, equals as they stood; what nobody could judge stands at the mean of the others, behind its equals."""
    known = [value for value in values if value is not None]
    mean = fsum(known) / len(known) if known else 0.0
    order = sorted(range(len(thoughts)), key=lambda i: (-mean, True) if (v := values[i]) is None else (-v, False))
    return [thoughts[i] for i in order]


def leader(search: Search, critic: str, rule: Rule) -> Thought | None:
    """The finished thought of the highest value by `rule`, the first where none has one; the task's own rule if any."""
    if search.task.rule is not None:
        return search.answer()
    finished = search.candidates()
    valued = [(value, end) for end in finished if (value := prefix(search, end, critic, rule)) is not None]
    return max(valued, key=lambda pair: pair[0])[1] if valued else next(iter(finished), None)


def check_beams(n: int, m: int, aggregate: str = "last") -> None:
    """n/m beams of m continuations each, valued by a rule that there is; `ValueError` says what is wrong."""
    if m > n:
        raise ValueError(f"m is {m!r}: expected at most n, which is {n}, since n/m thoughts are kept")
    if aggregate not in RULES:
        raise ValueError(f"aggregate is {aggregate!r}: expected one of {', '.join(RULES)}")
