"""Exact or approximate (after filtered search in Wang et al., 2023): by how much is left after the filter."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from thoughtgraph.errors import at_least
from thoughtgraph.retrieval.index import Array, arrays
from thoughtgraph.retrieval.reader import Visible
from thoughtgraph.retrieval.vectors import Nearest

ENOUGH = 20
"""So many searches are watched before anything is said."""


@dataclass(frozen=True)
class Routed:
    """The `exact` search where at most `few` passages are visible, or at most `share` of all; else the `approximate`.

    An index loses most under narrow filters, where comparing with all that is left is cheap. What the approximate one
    finds is compared with an exact search of a `sample` of what is visible: `recall` is what that comes to, over the
    last 200 such searches, and a `RuntimeWarning` says when it falls under `least`.
    """

    exact: Nearest
    approximate: Nearest
    few: int = 20_000
    share: float = 0.2
    sample: int = 20_000
    least: float = 0.9
    _shares: deque[float] = field(
        default_factory=lambda: deque[float](maxlen=200), init=False, repr=False, compare=False
    )
    _kept: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(0, few=self.few, share=self.share, least=self.least)
        at_least(1, sample=self.sample)

    @property
    def recall(self) -> float | None:
        """The share of the nearest that the approximate search finds, as far as the samples tell; None before any."""
        shares = list(self._shares)
        return fmean(shares) if shares else None

    def nearest(self, query: Array, k: int, visible: Visible) -> tuple[Array, Array]:
        """See `Nearest`."""
        if len(visible) <= max(self.few, self.share * len(visible.rows)):
            return self.exact.nearest(query, k, visible)
        found = self.approximate.nearest(query, k, visible)
        self._watch(query, k, visible, found)
        return found

    def _watch(self, query: Array, k: int, visible: Visible, found: tuple[Array, Array]) -> None:
        sample = self._sampled(visible)
        self._shares.append(found_share(found, self.exact.nearest(query, k, sample), k, len(visible) / len(sample)))
        low = len(self._shares) >= ENOUGH and fmean(self._shares) < self.least
        if low and not self._kept.get("said"):
            warnings.warn(
                f"the approximate search finds about {self.recall:.2f} of the nearest passages (expected "
                f"{self.least}): give it more effort, make its index anew, or search exactly",
                RuntimeWarning,
                stacklevel=2,
            )
        self._kept["said"] = low

    def _sampled(self, visible: Visible) -> Visible:
        """The same part of a view for all of its searches, so that its vectors are read once."""
        if self._kept.get("of") is not visible:
            np = arrays()
            some = np.random.default_rng(0).permutation(len(visible))[: self.sample]
            positions = visible.positions[np.sort(some)]
            mask = np.zeros_like(visible.mask)
            mask[positions] = True
            self._kept.update(of=visible, part=Visible(visible.rows, mask, positions))
        return self._kept["part"]


def found_share(found: tuple[Array, Array], near: tuple[Array, Array], k: int, weight: float) -> float:
    """The share of the k nearest that was `found`, told from those `near` in a sample, each of which counts `weight`.

    A passage of the sample that is nearer than one that was found, and was not, moves that one down by `weight` ranks.
    """
    np = arrays()
    missed = np.sort(near[1][~np.isin(near[0], found[0])])
    nearer = len(missed) - np.searchsorted(missed, found[1], side="right")
    ranks = np.arange(1, len(found[1]) + 1) + weight * nearer
    wanted = k if len(near[0]) >= k else max(len(found[0]), len(near[0]), 1)
    return float((ranks <= wanted).sum() / wanted)
