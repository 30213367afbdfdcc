"""The operations of Graph of Thoughts (Besta et al., 2024) as functions: a plan is ordinary code that awaits them.

The paper fixes a Graph of Operations before the run; here a plan can look at what came and go on accordingly. An
operation that is given nothing yields nothing. What costs is awaited; what only chooses is a plain function. Final
thoughts are not gone on from, but for `refine` and `aggregate` where the task names that very action: it was made for
whole answers, and there only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


async def generate(search: Search, thoughts: Sequence[Thought], action: str = "step", n: int = ALL) -> list[Thought]:
    """Up to `n` new thoughts from each of `thoughts`, side by side, in the order of their parents.

    Asked again it draws anew: what came before is neither repeated nor handed out again, but for equal thoughts that
    the task merges.
    """
    return await _from_each(search, [thought for thought in thoughts if not thought.done], action, n)


async def refine(search: Search, thoughts: Sequence[Thought], action: str = "refine", n: int = 1) -> list[Thought]:
    """Up to `n` better versions of each of `thoughts`. Rank them with the old ones, so that nothing gets worse."""
    return await _from_each(search, [thought for thought in thoughts if _open(search, thought, action)], action, n)


async def aggregate(search: Search, thoughts: Sequence[Thought], action: str = "merge", n: int = 1) -> list[Thought]:
    """Up to `n` thoughts made of all of `thoughts` together; each keeps every one of them as a parent, in their order.

    Where one of them is final and the action is not made for that, nothing comes: without it they are not all.
    """
    together = all(_open(search, thought, action) for thought in thoughts)
    return await _expanded(search, thoughts, action, n) if thoughts and together else []


async def score(search: Search, thoughts: Sequence[Thought], critic: str = "value") -> list[Thought]:
    """Have `critic` judge, as one set, those of `thoughts` that it has not judged yet; they come back, each once.

    A comparative critic judges all of them together again: its values mean something within one set only. A thought
    that it abstained from is not asked about again.
    """
    name, distinct = search.task.critic(critic), _distinct(thoughts)
    compares = getattr(search.task.critics[name], "comparative", False)
    await search.score([t for t in distinct if compares or not search.graph.scores(t, name)], name)
    return distinct


def keep_best(search: Search, thoughts: Sequence[Thought], n: int = 1, critic: str = "value") -> list[Thought]:
    """The `n` of the highest value, best first; equals keep their order.

    A thought without a value is never ranked, so that fewer than `n` may be left. Where none has one, nobody could
    say which is better, and the first `n` stay: what was paid for is not thrown away. Raises `TaskError` where the
    values come from different comparisons.
    """
    at_least(1, n=n)
    name = search.task.critic(critic)
    values = {thought.id: value for thought in thoughts if (value := search.value(thought, name)) is not None}
    ranked = [thought for thought in _distinct(thoughts) if thought.id in values]
    if len({search.graph.compared(thought, name) for thought in ranked}) > 1:
        raise TaskError(f"{name!r} compared these thoughts in different sets: score them together before keep_best")
    return sorted(ranked, key=lambda thought: -values[thought.id])[:n] or _distinct(thoughts)[:n]


def keep_valid(
    search: Search, thoughts: Sequence[Thought], critic: str = "value", valid: float = 1.0, *, strict: bool = False
) -> list[Thought]:
    """Those that `critic` values at `valid` or more, in their order.

    One that nobody judged, or that the critic abstained from, was not found invalid and stays, as in the authors'
    code; the result's outcomes count the abstentions. `strict` keeps only what was found valid.
    """
    name = search.task.critic(critic)
    values = [(thought, search.value(thought, name)) for thought in thoughts]
    return [thought for thought, value in values if (not strict if value is None else value >= valid)]


async def validate_and_improve(
    search: Search,
    thoughts: Sequence[Thought],
    action: str = "refine",
    critic: str = "value",
    tries: int = 3,
    valid: float = 1.0,
) -> list[Thought]:
    """The last version of each thought: validated, and while it is not valid improved and validated again.

    At most `tries` improvements of each, side by side. Every version stays in the graph. It ends with the version
    that is valid, that the critic abstained from, or that nothing came of.
    """
    at_least(0, tries=tries)
    versions = (_improved(search, thought, action, critic, tries, valid) for thought in _distinct(thoughts))
    return _distinct(await search.gather(*versions))


async def _improved(search: Search, thought: Thought, action: str, critic: str, tries: int, valid: float) -> Thought:
    await score(search, [thought], critic)
    for _ in range(tries):
        value = search.value(thought, critic)
        improved = await refine(search, [thought], action) if value is not None and value < valid else []
        if not improved:
            break
        [thought] = await score(search, improved, critic)
    return thought


def select(thoughts: Sequence[Thought], choose: Callable[[list[Thought]], Sequence[Thought]]) -> list[Thought]:
    """Any subset that `choose` takes, in its order: the paper's Selector, by which a plan also fans out."""
    chosen = list(choose(list(thoughts)))
    if strange := [thought for thought in chosen if thought not in thoughts]:
        raise TaskError(f"select got {strange[0]!r:.80}: expected some of the {len(thoughts)} thoughts it was given")
    return chosen


async def _from_each(search: Search, thoughts: Sequence[Thought], action: str, n: int) -> list[Thought]:
    made = await search.gather(*(_expanded(search, [thought], action, n) for thought in _distinct(thoughts)))
    return _distinct([thought for children in made for thought in children])


async def _expanded(search: Search, parents: Sequence[Thought], action: str, n: int) -> list[Thought]:
    """One expansion; a second one where the first failed, which is no word of a dead end."""
    failures = search.failures(parents[0])
    made = await search.expand(*parents, action=action, n=n)
    if not made and search.failures(parents[0]) > failures:
        made = await search.expand(*parents, action=action, n=n)
    return made


def _open(search: Search, thought: Thought, action: str) -> bool:
    """Whether `action` may go on from a thought: from a final one only if the task has an action of that very name."""
    return not thought.done or action in search.task.actions


def _distinct(thoughts: Sequence[Thought]) -> list[Thought]:
    return list({thought.id: thought for thought in thoughts}.values())
