"""Embedding features (Reimers and Gurevych, 2019): how question and response fit each other, not where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import Array, arrays
from thoughtgraph.learning.features import Example, Feature

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""From texts to vectors, one each, all of one length."""

PREFIX = "embedding:"
"""How the names of these features begin: what follows is the embedder's name and the length of its vectors."""


def embedding(embed: Embed, name: str, dimension: int | None = None, cost: float = 0.0) -> Feature:
    """Product, absolute difference and cosine of the embeddings of question and response: 2 d + 1 columns.

    The two vectors side by side would tell a linear model nothing of how they fit, so they are not among the columns.
    `name` says which model embeds, with its precision ("minilm-l6-v2 float32"): a critic is bound to it, and to the
    length of its vectors, and a file of it is not loaded with another. Without `dimension` one text is embedded to
    see it.
    """
    d = len(embed(["a"])[0]) if dimension is None else dimension
    if d < 1 or not name:
        raise TaskError(f"the embedder {name!r} gives vectors of length {d}: expected a name, and at least 1")
    columns = (*(f"product{i}" for i in range(d)), *(f"difference{i}" for i in range(d)), "cosine")
    return Feature(f"{PREFIX}{name}:{d}", columns, Together(embed, name, d), "embedding", cost=cost)


@dataclass(frozen=True, slots=True)
class Together:
    """What two embeddings make of each other."""

    embed: Embed
    name: str
    d: int

    def __call__(self, examples: Sequence[Example]) -> list[list[float]]:
        """A row of 2 d + 1 numbers for each example; questions that are the same are embedded once."""
        np = arrays()
        texts = list(dict.fromkeys(text for example in examples for text in (example.question, example.response.text)))
        found = dict(zip(texts, self._unit(texts), strict=True))
        rows = ((found[example.question], found[example.response.text]) for example in examples)
        return [[*(q * t).tolist(), *np.abs(q - t).tolist(), float(q @ t)] for q, t in rows]

    def _unit(self, texts: Sequence[str]) -> Array:
        """The vectors, each of length 1; `TaskError` where they are not what this feature was made for."""
        np = arrays()
        vectors = np.asarray(self.embed(texts), dtype=float)
        if vectors.shape != (len(texts), self.d) or not np.isfinite(vectors).all():
            raise TaskError(
                f"the embedder {self.name!r} gave {vectors.shape} for {len(texts)} texts: expected finite vectors of "
                f"length {self.d}, those of the model that the critic was trained with"
            )
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
