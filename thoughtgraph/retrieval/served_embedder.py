"""Embeddings from a server that speaks OpenAI's format (Neelakantan et al., 2022): vLLM, TEI, Ollama, a provider."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self, cast

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, TaskError, at_least
from thoughtgraph.posting import Post
from thoughtgraph.retrieval.embedders import Array, Embedded, Precision, arrays, marked, unit, waited, written
from thoughtgraph.retry import Retry
from thoughtgraph.thought import Json

BLANK = "."
"""What is embedded in the place of a blank text, which servers refuse."""


@dataclass(frozen=True)
class ServedEmbedder:
    """The embedding model `model` of the server at `base_url`.

    What is embedded is sent there: labels allow it by the embedder's name. The key is read from the environment
    variable `key_env`, or the file that `{key_env}_FILE` names. `dimensions` asks for shorter vectors, where the model
    can; the prefixes stand before each question and each passage, for models that want them ("query: ").
    `batch` texts go in a request, `at_once` requests side by side; what may pass is tried again, as `retry` says.

    A text is paid for once: what was embedded is remembered (the last `remembered` texts), the batches before one that
    failed too. `usage` counts the tokens, `cost` is in dollars where `price` says those for a million tokens. Within
    `async with` connections are kept.
    """

    model: str
    base_url: str = field(default="https://api.openai.com/v1", repr=False)
    key_env: str = field(default="OPENAI_API_KEY", repr=False)
    dimensions: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""
    precision: Precision = "float32"
    price: float | None = field(default=None, repr=False)
    batch: int = field(default=64, repr=False)
    at_once: int = field(default=4, repr=False)
    remembered: int = field(default=10_000, repr=False)
    timeout: float = field(default=60.0, repr=False)
    retry: Retry = field(default_factory=Retry, repr=False)
    usage: Embedded = field(default_factory=Embedded, init=False, repr=False, compare=False)
    _post: Post = field(init=False, repr=False, compare=False)
    _kept: OrderedDict[bytes, Array] = field(
        default_factory=OrderedDict[bytes, "Array"], init=False, repr=False, compare=False
    )
    _known: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, dimensions=self.dimensions, batch=self.batch, at_once=self.at_once)
        at_least(0, price=self.price, remembered=self.remembered)
        if self.precision not in ("float32", "float16"):
            raise TaskError(f"the precision is {self.precision!r}: expected 'float32' or 'float16'")
        server = Endpoint(self.model, self.base_url, self.key_env).below("/embeddings")
        object.__setattr__(self, "_post", Post(server, self.timeout, self.retry))

    async def __aenter__(self) -> Self:
        """Open connections."""
        await self._post.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them, after the last one who embeds."""
        await self._post.__aexit__()

    @property
    def name(self) -> str:
        """`openai:model`, as labels allow models."""
        return f"openai:{self.model}"

    @property
    def dimension(self) -> int:
        """The length of its vectors. The server is asked once to see it."""
        return self._seen("dimension")

    @property
    def mark(self) -> str:
        """What it makes of one text. The server is asked once to see it."""
        return self._seen("mark")

    @property
    def cost(self) -> float | None:
        """What was spent, in dollars; None without a price, or where the server did not say the tokens."""
        return None if self.price is None or self.usage.untold else self.usage.tokens * self.price / 1e6

    async def __call__(self, texts: Sequence[str], *, query: bool = False) -> Array:
        """The vectors of the texts, of which those that were embedded lately are not asked for again."""
        prefix = self.query_prefix if query else self.passage_prefix
        asked = [prefix + (text if text.strip() else BLANK) for text in written(texts)]
        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in asked]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, asked, strict=True) if key not in found}
        found |= await self._paid(missing)
        return _stacked([found[key] for key in keys], self._known.get("dimension", 0))

    async def _paid(self, missing: Mapping[bytes, str]) -> dict[bytes, Array]:
        """The vectors of texts that are not known, from `at_once` requests side by side."""
        found, rest = dict[bytes, Array](), batches(missing, self.batch)

        async def work() -> None:
            for batch in rest:  # one iterator for all: each batch goes once
                found.update(await self._embedded(batch))

        async with self._post:
            ends = await asyncio.gather(*(work() for _ in range(self.at_once)), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return found

    async def _embedded(self, batch: Mapping[bytes, str]) -> dict[bytes, Array]:
        """One request. What it brought is remembered at once: a later failure does not cost it again."""
        shape = {"dimensions": self.dimensions} if self.dimensions else {}
        reply = await self._post("/embeddings", {"model": self.model, "input": list(batch.values()), **shape})
        self._count(reply, len(batch))
        try:
            dimension = self._known.get("dimension", self.dimensions)
            vectors = unit(_ordered(reply, len(batch), self.name), len(batch), dimension, self.name)
        except TaskError as odd:  # a server's doing, and no contract's that is ours
            raise ModelError(str(odd), cause="unreadable") from None
        self._known.setdefault("dimension", vectors.shape[1])
        found = dict(zip(batch, vectors, strict=True))
        self._remember(found)
        return found

    def _remember(self, found: Mapping[bytes, Array]) -> None:
        self._kept.update(found)
        while len(self._kept) > self.remembered:
            self._kept.popitem(last=False)

    def _count(self, reply: Json, texts: int) -> None:
        tokens = _tokens(reply)
        self.usage.requests += 1
        self.usage.texts += texts
        self.usage.tokens += tokens or 0
        self.usage.untold += tokens is None

    def _seen(self, what: str) -> Any:
        if what not in self._known:
            self._known["mark"] = waited(marked(self))
        return self._known[what]


def batches(texts: Mapping[bytes, str], most: int, characters: int = 200_000) -> Iterator[dict[bytes, str]]:
    """At most `most` texts, and so many characters, at a time: servers limit the tokens of a request as well."""
    batch, size = dict[bytes, str](), 0
    for key, text in texts.items():
        if batch and (len(batch) == most or size + len(text) > characters):
            yield batch
            batch, size = {}, 0
        batch[key] = text
        size += len(text)
    if batch:
        yield batch


def _ordered(reply: Json, n: int, name: str) -> list[Any]:
    """The embeddings in the order of their texts, which a server says by `index`."""
    try:
        found = {int(one["index"]): one["embedding"] for one in reply["data"]}
        complete = sorted(found) == list(range(n)) and len(reply["data"]) == n
    except (KeyError, TypeError, ValueError, OverflowError):  # the last is an index of Infinity
        found, complete = {}, False
    if not complete:
        raise TaskError(f"{name} answered {reply!r:.120}: expected an embedding with its index for each of {n} texts")
    return [found[k] for k in range(n)]


def _tokens(reply: Json) -> int | None:
    """The tokens that a server counted, if it says so."""
    usage: Any = cast("dict[str, Any]", reply).get("usage") if isinstance(reply, dict) else None
    told: Any = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    count = told.get("prompt_tokens", told.get("total_tokens"))
    return count if isinstance(count, int) and count >= 0 else None


def _stacked(vectors: Sequence[Array], dimension: int) -> Array:
    np = arrays()
    return np.stack(vectors) if vectors else np.zeros((0, dimension), np.float32)
