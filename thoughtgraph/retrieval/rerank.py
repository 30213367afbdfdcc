"""Reranking (Nogueira and Cho, 2019): a judge that reads query and passage together orders what was found fast."""

from __future__ import annotations

import asyncio
import inspect
import math
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from thoughtgraph.errors import at_least
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.thought import Passage

Judge: TypeAlias = Callable[[str, Sequence[str]], Awaitable[Sequence[float | None]] | Sequence[float | None]]
"""From a query and texts to a score for each, higher is better; None, or NaN, where it cannot say."""


@dataclass(frozen=True)
class Reranked:
    """The first `depth` passages of `inner`, in the order of a judge: a cross-encoder, or any function like it.

    A judge that is not async is called in a thread. Nothing is dropped: what it does not judge keeps its place, what
    it judges alike its order, and what lies deeper comes after. Where it fails, all stays as `inner` had it, and a
    `RuntimeWarning` says why.
    """

    inner: Retriever
    judge: Judge
    depth: int = 50

    def __post_init__(self) -> None:
        at_least(1, depth=self.depth)

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, the best first."""
        found = list(await self.inner(query, max(k, self.depth)))
        head, rest = found[: self.depth], found[self.depth :]
        scores = await self._scores(query, [passage.text for passage in head])
        return [*ordered(head, scores), *rest][: max(k, 0)]

    async def _scores(self, query: str, texts: Sequence[str]) -> list[float | None]:
        try:
            return _checked(await _judged(self.judge, query, texts), len(texts)) if texts else []
        except Exception as error:  # noqa: BLE001 -- whatever it is, what was found stands
            said = f"{type(error).__name__}: {error}"
            warnings.warn(
                f"passages stay as they were found, the judge failed: {said:.300}", RuntimeWarning, stacklevel=2
            )
            return [None] * len(texts)


def ordered(passages: Sequence[Passage], scores: Sequence[float | None]) -> list[Passage]:
    """By falling score, equal ones in their order; each without a score (None) stays in its place."""
    judged = [(place, score) for place, score in enumerate(scores) if score is not None]
    best = iter(sorted(judged, key=lambda at: -at[1]))
    return [passages[next(best)[0]] if score is not None else passages[place] for place, score in enumerate(scores)]


async def _judged(judge: Judge, query: str, texts: Sequence[str]) -> Any:
    called = judge if inspect.iscoroutinefunction(judge) else getattr(judge, "__call__", judge)  # noqa: B004
    waits = inspect.iscoroutinefunction(called)
    found = judge(query, texts) if waits else await asyncio.to_thread(judge, query, texts)
    return await found if inspect.isawaitable(found) else found


def _checked(found: Any, n: int) -> list[float | None]:
    scores = [None if score is None else float(score) for score in found]
    if len(scores) != n:
        raise ValueError(f"{len(scores)} scores came for {n} texts")
    return [score if score is not None and not math.isnan(score) else None for score in scores]
