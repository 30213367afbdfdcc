"""A cross-encoder (Nogueira and Cho, 2019): question and passage are read together, for how well they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from thoughtgraph.errors import ModelError, TaskError, at_least
from thoughtgraph.retrieval.embedders import Embedded, written
from thoughtgraph.retrieval.resident import Resident, lengths


@dataclass(frozen=True)
class CrossEncoder:
    """The cross-encoder `model`, a folder or ORG/NAME in the cache of the hub, as a judge for `Reranked`.

    It reads each passage with the question, which finds what vectors alone do not and costs one pass for each: rerank
    some dozens. Scores are its logits, of any size and higher for what fits better; they compare passages for one
    question, and are no probabilities. Nothing is fetched unless `local_files_only=False`, no code of a model's is run,
    and only safetensors are read. Pairs that are longer than it reads are cut, which is told once as a warning and
    counted in `usage`.
    """

    model: str
    device: str = field(default="cpu", repr=False)
    batch: int = field(default=32, repr=False)
    threads: int = field(default=1, repr=False)
    local_files_only: bool = field(default=True, repr=False)
    usage: Embedded = field(default_factory=Embedded, init=False, repr=False, compare=False)
    _resident: Resident = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, batch=self.batch)
        made = Resident(self.model, "CrossEncoder", self.device, self.threads, self.local_files_only)
        object.__setattr__(self, "_resident", made)

    @property
    def name(self) -> str:
        """`local:` and the model's name, as labels allow models."""
        return self._resident.name

    async def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score for each text, in their order."""
        pairs = [(query, text) for text in written(texts)]
        return await self._resident(lambda model: self._scores(model, pairs)) if pairs else []

    def _scores(self, model: Any, pairs: list[tuple[str, str]]) -> list[float]:
        if model.num_labels != 1:
            raise TaskError(
                f"{self.name} tells {model.num_labels} classes apart: a cross-encoder that ranks gives one number"
            )
        self.usage.note(pairs, lengths(model, pairs), model.max_seq_length, self.name)
        found = model.predict(inputs=pairs, batch_size=self.batch, show_progress_bar=False, activation_fn=_as_it_is)
        return _numbers(found.tolist(), self.name)


def _as_it_is(logits: Any) -> Any:
    """A sigmoid would make one number of all high ones."""
    return logits


def _numbers(found: list[float], name: str) -> list[float]:
    if not all(math.isfinite(score) for score in found):
        raise ModelError(f"{name} gave a score that is not finite: are its weights whole?")
    return found
