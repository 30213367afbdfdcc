"""A reward model behind an OpenAI-compatible server, as vLLM (Kwon et al., 2023) serves them.

Classifiers are served by `vllm serve MODEL --runner pooling`, causal models (Math-Shepherd, RLHFlow) by `vllm serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from thoughtgraph.critics import reward_wire as wire
from thoughtgraph.critics.reward_formats import Row, Tokens, TooLong, Turn, Verdict, Vocabulary
from thoughtgraph.critics.reward_models import Family
from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import at_least
from thoughtgraph.posting import Post
from thoughtgraph.retry import Retry
from thoughtgraph.thought import Json


class Poster(Protocol):
    """A client: one request to a path behind the server's root, and the JSON of its reply."""

    def __call__(self, path: str, body: Mapping[str, Json]) -> Awaitable[Json]:
        """`ModelError` where there is no reply of JSON."""
        ...


HINT = "Classifiers are served by `vllm serve MODEL --runner pooling`, Math-Shepherd and RLHFlow by `vllm serve MODEL`"
"""What may be wrong where a server does not know an address."""


@dataclass(frozen=True)
class ServedReward:
    """The reward model `model` of the server at `base_url` (http://localhost:8000/v1).

    The key is read from the environment variable `key_env`, or the file that `{key_env}_FILE` names; an http server
    needs none. Text becomes ids by the server's own tokenizer (vLLM has an address for that), so nothing is installed
    here; for another server name a `tokenizer`: `LocalReward(folder)` is one. `bos` is the first token's id where the
    server's tokenizer puts none. `limit` is how many tokens the model reads, where that is less than the server says. A
    request that fails in a way that another may not is sent again, as `retry` says. `post` is a client to use in the
    place of thoughtgraph's own.
    """

    model: str
    base_url: str = field(default="http://localhost:8000/v1", repr=False)
    key_env: str = "OPENAI_API_KEY"
    tokenizer: Tokens | None = None
    bos: int | None = None
    limit: int | None = None
    timeout: float = field(default=120.0, repr=False)
    retry: Retry = field(default_factory=Retry, repr=False)
    post: Poster | None = field(default=None, repr=False)
    _known: list[Vocabulary] = field(default_factory=list[Vocabulary], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, limit=self.limit)
        at_least(0, timeout=self.timeout)
        if self.post is None:
            server = Endpoint(self.model, self.base_url, self.key_env).below("/v1")
            object.__setattr__(self, "post", Post(server, self.timeout, self.retry, HINT))

    async def __aenter__(self) -> Self:
        """Open connections."""
        if isinstance(self.post, Post):
            await self.post.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them, after the last one who judges."""
        if isinstance(self.post, Post):
            await self.post.__aexit__()

    @property
    def name(self) -> str:
        """`openai:model`, as labels allow models."""
        return f"openai:{self.model}"

    @property
    def tokens(self) -> Tokens:
        """The tokenizer that was named, else the server's."""
        return self.tokenizer or self

    @property
    def paid(self) -> bool:
        """Each solution is a call."""
        return True

    async def vocabulary(self) -> Vocabulary:
        """The first token and the limit, as the server has them. It does not say which its special tokens are."""
        if not self._known:
            bare, _ = await self._ids(wire.spelt(self.model, "+"))
            whole, most = await self._ids(wire.spelt(self.model, "+", special=True))
            before = whole[:1] if whole[:1] != bare[:1] else []  # some put a token behind, and none before
            limits = [limit for limit in (most, self.limit) if limit is not None]
            bos = before[0] if before and self.bos is None else self.bos
            self._known[:] = [Vocabulary(bos, limit=min(limits, default=None))]
        return self._known[0]

    async def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return (await self._ids(wire.spelt(self.model, text)))[0] if text else []

    async def chat(self, turns: Sequence[Turn], *, opened: bool) -> list[int]:
        """The ids of a chat by the model's template."""
        return (await self._ids(wire.said(self.model, turns, opened=opened)))[0]

    async def read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
        """One number a place: a request for each row, side by side."""
        return await asyncio.gather(*(self._read(family, row) for row in rows))

    async def _read(self, family: Family, row: Row) -> list[float]:
        if isinstance(family.reading, Verdict):
            return await self._heard(family.reading, row)
        path, ask, read = wire.WHOLE if family.whole else wire.EACH
        found = wire.understood(read, await self._sent(path, ask(self.model, row, family)), len(row.ids))
        return [wire.number(one, family) for one in wire.at_places(found, row)]

    async def _heard(self, reading: Verdict, row: Row) -> list[float]:
        """The verdicts: what is computed at place k is told of token k + 1."""
        ids = wire.followed(row)
        limit = (await self.tokens.vocabulary()).limit
        if limit is not None and len(ids) + 1 > limit:  # a server draws one token at least
            raise TooLong(len(ids) + 1, limit)
        reply = await self._sent(wire.NEXT, wire.verdicts(self.model, ids))
        listed = wire.understood(wire.read_listed, reply, len(ids))
        return [wire.share(listed[place + 1], row, reading) for place in row.places]

    async def _ids(self, body: Mapping[str, Json]) -> tuple[list[int], int | None]:
        return wire.understood(wire.read_ids, await self._sent(wire.TOKENS, body))

    async def _sent(self, path: str, body: Mapping[str, Json]) -> Json:
        assert self.post is not None
        return await self.post(path, body)
