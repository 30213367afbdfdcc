"""Features of agreement (self-consistency: Wang et al., 2023): how many others say the same, midway and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import log, log1p

from thoughtgraph.learning.arithmetic import worked
from thoughtgraph.learning.equivalence import canonical
from thoughtgraph.learning.features import Example, Feature

Row = Sequence[float | None]


def votes(examples: Sequence[Example]) -> list[Row]:
    """How an answer stands among those of the set.

    `share` is that of the *other* responses that claim the same, so that nobody votes for themselves; `margin` what it
    has over the most frequent other answer; `rank` 0 for the answer claimed most; `entropy` that of all answers, 0
    where all agree and 1 where none do. None where there is nothing to compare: no answer, or no other one.
    """
    forms = [canonical(example.response.answer) for example in examples]
    counts = Counter(form for form in forms if form is not None)
    claims = sum(counts.values())
    if claims < 2:
        return [(None,) * 4 for _ in forms]
    spread = -sum(n / claims * log(n / claims) for n in counts.values()) / log(claims)
    return [_vote(form, counts, claims, spread) for form in forms]


def _vote(form: Hashable | None, counts: Counter[Hashable], claims: int, spread: float) -> Row:
    if form is None:
        return None, None, None, spread
    own = counts[form]
    others = [count for other, count in counts.items() if other != form]
    return (
        (own - 1) / (claims - 1),
        (own - max(others, default=0)) / claims,
        log1p(sum(count > own for count in others)),
        spread,
    )


def results(examples: Sequence[Example]) -> list[Row]:
    """The share of a response's results on the way that others come to as well, at the mean, and that of its last."""
    found = [{e.right for e in worked(x.response.text, x.question).found} for x in examples]
    counts = Counter(result for one in found for result in one)
    rest = len(examples) - 1
    return [_shared(one, counts, rest) for one in found]


def _shared(own: set[float], counts: Counter[float], rest: int) -> Row:
    if not own or not rest:
        return (None, None)
    shares = sorted((counts[result] - 1) / rest for result in own)
    return sum(shares) / len(shares), shares[0]


VOTES = Feature("votes", ("share", "margin", "rank", "entropy"), votes, "agreement")
RESULTS = Feature("results", ("shared", "least_shared"), results, "agreement")
