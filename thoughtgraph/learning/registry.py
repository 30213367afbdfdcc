"""The features that come with the package, by name: what a critic's file can ask for without bringing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.agreement import RESULTS, VOTES
from thoughtgraph.learning.arithmetic import ANSWER, DERIVED, EQUATIONS, GROUNDS, LOOSE
from thoughtgraph.learning.features import Feature
from thoughtgraph.learning.signals import held, signal
from thoughtgraph.learning.texts import ABOUT, CIRCLES, ENDING, LAYOUT, LENGTH, QUESTION, STEPS, TONE

SURFACE = (LENGTH, LAYOUT)
"""What anybody could fake."""

AGREEMENT = (VOTES, RESULTS)
"""What compares a response with the others to its question."""

ALONE = (LENGTH, LAYOUT, STEPS, TONE, ENDING, ABOUT, CIRCLES, QUESTION, EQUATIONS, GROUNDS, LOOSE, ANSWER, DERIVED)
"""What looks at a response by itself, and its question."""

DEFAULT = (*ALONE, *AGREEMENT)
"""All of them: what a critic is trained on where nobody names features. None costs a call."""

REGISTRY: Mapping[str, Feature] = {feature.name: feature for feature in DEFAULT}

MADE: Mapping[str, Callable[[str], Feature]] = {"signal": signal, "held": held}
"""Families of features with a name of their own behind a colon, as in "signal:judge"."""


def feature_named(name: str) -> Feature | None:
    """The package's feature of this name, None where there is none."""
    family, _, rest = name.partition(":")
    return MADE[family](rest) if rest and family in MADE else REGISTRY.get(name)


def features_of(wanted: Sequence[Feature | str]) -> tuple[Feature, ...]:
    """Features, also by name; `TaskError` for a name that is not known."""
    return tuple(one if isinstance(one, Feature) else _expected(one) for one in wanted)


def _expected(name: str) -> Feature:
    if (feature := feature_named(name)) is None:
        near = get_close_matches(name, REGISTRY, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        there = ", ".join(REGISTRY)
        raise TaskError(f"there is no feature {name!r}: there are {there}, signal:NAME and held:KEY{hint}")
    return feature
