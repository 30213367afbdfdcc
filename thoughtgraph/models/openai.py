"""OpenAI's own models through the official SDK, with its retries off: the engine's are the only ones.

For every other server, and for hundreds of requests in flight, take `Compatible`: the SDK costs ten times its CPU.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import at_least
from thoughtgraph.model import Capabilities, Completion, Price, Request
from thoughtgraph.models import chat, responses, status
from thoughtgraph.models.lacking import refuse
from thoughtgraph.models.settings import defaults
from thoughtgraph.perloop import PerLoop

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, repr=False)
class OpenAI:
    """The model `model` at api.openai.com, by chat completions or, where a model has only that, by the Responses call.

    The key is read from the environment variable `key_env`, or from the file that `{key_env}_FILE` names.
    `base_url` is for a gateway that wants the SDK's own requests. `price` and `can` (what the model can do) are looked
    up for OpenAI's own models where they are not said. Models that reason spend `max_tokens` on that too: they want
    thousands.
    """

    model: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    key_env: str = "OPENAI_API_KEY"
    base_url: str = "https://api.openai.com/v1"
    seed: int | None = None
    can: Capabilities | None = None
    api: Literal["chat", "responses"] | None = None
    _endpoint: Endpoint = field(init=False, compare=False)
    _clients: PerLoop[AsyncOpenAI] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        object.__setattr__(self, "_endpoint", Endpoint(self.model, self.base_url, self.key_env))
        object.__setattr__(self, "_clients", PerLoop(self._client))
        if self.price is None and self._official:
            from thoughtgraph.models import tables

            object.__setattr__(self, "price", tables.price("openai", self.model))

    def __repr__(self) -> str:
        return f"OpenAI({self.model!r}, base_url={self._endpoint.shown!r})"

    @property
    def name(self) -> str:
        """`openai:model`."""
        return f"openai:{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature, self.seed)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What was said that the model can do, else what the table says, else all; less what Responses have not."""
        from thoughtgraph.models import tables

        known = tables.able("openai", self.model) if self._official else None
        can = self.can or known or Capabilities()
        return replace(can, n=False, seed=False, stop=False) if self._responses else can

    @property
    def endpoint(self) -> str:
        """The server: its rate limits and its cache are of all the models that it serves."""
        return self._endpoint.shown

    @property
    def _official(self) -> bool:
        return self._endpoint.host == "api.openai.com"

    @cached_property
    def _responses(self) -> bool:
        """Whether the model is asked by the Responses call."""
        from thoughtgraph.models import tables

        return self.api == "responses" or (self.api is None and self._official and tables.responses_only(self.model))

    @property
    def settings(self) -> dict[str, bool]:
        """What else shapes its replies: which of the two calls they come by."""
        return {"responses": self._responses}

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at `n` draws; by the Responses call, at one."""
        client = await self._clients.get()
        import openai

        try:
            async with asyncio.timeout(request.timeout):
                raw = await self._post(client, request, n)
        except (TimeoutError, openai.APIConnectionError) as error:
            raise status.broken(
                self._endpoint, error, request.timeout
            ) from None  # the SDK's own words may quote the key
        except openai.APIStatusError as error:
            said = error.response
        else:
            return self._read(raw, n)
        # Outside of the `except`: the SDK's own error quotes the server, who may quote the key.
        near = self._meant(said.status_code)
        return status.unanswered(self._endpoint, said.status_code, said.headers, said.content, near)

    def _read(self, raw: bytes, n: int) -> Completion:
        return responses.answered(raw, self._endpoint) if self._responses else chat.answered(raw, n, self._endpoint)

    async def _post(self, client: AsyncOpenAI, request: Request, n: int) -> bytes:
        """The reply's bytes, unparsed: the SDK takes any shape, `answered` does not."""
        create: Any
        if self._responses:
            refuse(request, self.capabilities, self.name)  # there is no place for a seed in it
            create, body = client.responses.with_raw_response.create, responses.asked(request, self.model)
        else:
            create = client.chat.completions.with_raw_response.create
            body = chat.asked(request, n, self.model, limit="max_completion_tokens")
        return (await create(**body, timeout=request.timeout)).content

    def _meant(self, code: int) -> str:
        """The model that was meant perhaps, where none has this name."""
        if code != 404 or not self._official:
            return ""
        from thoughtgraph.models import tables

        near = tables.nearest("openai", self.model)
        return near if near and near != self.model else ""

    async def _client(self) -> AsyncGenerator[AsyncOpenAI, None]:
        said = self._endpoint.authorization()
        if not said and not self._endpoint.loopback:
            raise self._endpoint.keyless()
        openai = await asyncio.to_thread(import_module, "openai")  # takes a second, in which others go on

        web = openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=not self._endpoint.loopback)
        async with openai.AsyncOpenAI(
            api_key=self._endpoint.key or "none",
            base_url=self._endpoint.bare,  # without a password, because the SDK and its transport log it
            default_headers={"Authorization": said} if said else None,
            max_retries=0,
            http_client=web,
        ) as client:
            yield client

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._clients.close()
