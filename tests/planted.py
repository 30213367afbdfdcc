"""Rows with a planted reward: a response's three numbers stand in its text, and its worth is a weighted sum of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from random import Random

from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.learning.rows import Demonstration, Outcome, Preference, Response, StepTrace

TRUTH = (2.0, -1.0, 0.5)

PLANTED = Feature("planted", ("a", "b", "c"), Each(lambda example: seen(example.response)), "content")


def seen(response: Response) -> list[float]:
    """The numbers of the last line."""
    return [float(number) for number in response.text.splitlines()[-1].split()]


def worth(response: Response) -> float:
    """The planted reward."""
    return sum(w * x for w, x in zip(TRUTH, seen(response), strict=True))


def chance(z: float) -> float:
    return 1 / (1 + exp(-z))


def written(rng: Random, shift: float = 0.0, generator: str = "") -> Response:
    """A response with random numbers, `shift` standard deviations better than nothing."""
    numbers = [rng.gauss(shift * w, 1) for w in TRUTH]
    return Response(text=" ".join(f"{x:+.3f}" for x in numbers), generator=generator)


def question(i: int) -> str:
    return f"What is number {i} worth?"


def preferences(n: int, seed: int = 0, flipped: float = 0.0) -> list[Preference]:
    """n pairs of n / 4 questions; the better wins with probability σ(its lead), then some are turned round."""
    rng = Random(seed)
    rows = list[Preference]()
    for i in range(n):
        a, b = written(rng), written(rng)
        wins = (rng.random() < chance(worth(a) - worth(b))) != (rng.random() < flipped)
        rows.append(Preference(question=question(i // 4), chosen=a if wins else b, rejected=b if wins else a))
    return rows


def outcomes(n: int, seed: int = 0, each: int = 4, of: int = 0) -> list[Outcome]:
    """n responses, right with probability σ(worth); questions are numbered from `of`."""
    rng = Random(seed)
    told = [(question(of + i // each), written(rng)) for i in range(n)]
    return [Outcome(question=q, response=r, value=float(rng.random() < chance(worth(r)))) for q, r in told]


def demonstrations(n: int, seed: int = 0, source: str = "", shift: float = 0.5) -> list[Demonstration]:
    """n responses of somebody whose numbers lie `shift` times the truth higher than the generator's: one a question."""
    rng = Random(seed)
    return [Demonstration(question=question(i), response=written(rng, shift), source=source) for i in range(n)]


def generated(n: int, seed: int = 1, generator: str = "small") -> list[Outcome]:
    """n responses of the generator to as many questions; their outcomes are nobody's business."""
    rng = Random(seed)
    return [Outcome(question=question(i), response=written(rng, 0.0, generator), value=0.0) for i in range(n)]


def traces(n: int, seed: int = 0, trials: int = 8, steps: int = 3) -> list[StepTrace]:
    """n responses of several steps; after each, σ(worth of the step) of the trials succeed, on average."""
    rng = Random(seed)
    rows = list[StepTrace]()
    for i in range(n):
        parts = [written(rng) for _ in range(steps)]
        counts = [(sum(rng.random() < chance(worth(p)) for _ in range(trials)), trials) for p in parts]
        lines = tuple(p.text for p in parts)
        response = Response(text="\n".join(lines), steps=lines)
        rows.append(StepTrace(question=question(i // 2), response=response, counts=tuple(counts), completer="small"))
    return rows


def unseen(n: int, seed: int = 99) -> list[Example]:
    """n responses to a question that nobody has trained on."""
    rng = Random(seed)
    return [Example("What is this worth?", written(rng)) for _ in range(n)]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The rank correlation."""
    import numpy as np

    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])
