"""OpenAI's own models through the official SDK, with its retries off: the engine's are the only ones.

For every other server, and for hundreds of requests in flight, take `Compatible`: the SDK costs ten times its CPU.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thoughtgraph.errors import ModelError, at_least
from thoughtgraph.model import Completion, Price, Request
from thoughtgraph.models import status
from thoughtgraph.models.chat import answered, asked
from thoughtgraph.models.endpoint import Endpoint
from thoughtgraph.models.perloop import PerLoop
from thoughtgraph.models.settings import defaults

if TYPE_CHECKING:
    from openai import APIConnectionError, AsyncOpenAI

_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
"""The transport's errors before a request left, by name: they are httpx's or httpx2's, as the SDK's version has it."""


@dataclass(frozen=True, repr=False)
class OpenAI:
    """The model `model` at api.openai.com, by chat completions.

    The key is read from the environment variable `key_env`, or from the file that `{key_env}_FILE` names.
    `base_url` is for a gateway that wants the SDK's own requests.
    """

    model: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    key_env: str = "OPENAI_API_KEY"
    base_url: str = "https://api.openai.com/v1"
    _endpoint: Endpoint = field(init=False, compare=False)
    _clients: PerLoop[AsyncOpenAI] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        object.__setattr__(self, "_endpoint", Endpoint(self.model, self.base_url, self.key_env))
        object.__setattr__(self, "_clients", PerLoop(self._client))

    def __repr__(self) -> str:
        return f"OpenAI({self.model!r}, base_url={self._endpoint.shown!r})"

    @property
    def name(self) -> str:
        """`openai:model`."""
        return f"openai:{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature)

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at `n` draws."""
        client = await self._clients.get()
        import openai

        try:
            async with asyncio.timeout(request.timeout):
                raw = await self._post(client, request, n)
        except (TimeoutError, openai.APIConnectionError) as error:
            raise self._broken(error, request.timeout) from error
        except openai.APIStatusError as error:
            said = error.response
            raise status.refused(self._endpoint, said.status_code, said.headers, said.content) from error
        return answered(raw, n, self._endpoint)

    async def _post(self, client: AsyncOpenAI, request: Request, n: int) -> bytes:
        """The reply's bytes, unparsed: the SDK takes any shape, `answered` does not."""
        body = asked(request, n, self.model, limit="max_completion_tokens")
        create: Any = client.chat.completions.with_raw_response.create
        reply = await create(**body, timeout=request.timeout)
        return reply.content

    def _broken(self, error: TimeoutError | APIConnectionError, seconds: float) -> ModelError:
        cause = error.__cause__ or error
        if type(cause).__name__ in _NOT_SENT:
            return status.unreachable(self._endpoint, cause)
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return status.timed_out(self._endpoint, seconds)
        return status.cut_off(self._endpoint, cause)

    async def _client(self) -> AsyncGenerator[AsyncOpenAI, None]:
        if not (key := self._endpoint.key) and not self._endpoint.loopback:
            raise self._endpoint.keyless()
        from openai import AsyncOpenAI

        async with AsyncOpenAI(api_key=key or "none", base_url=self.base_url, max_retries=0) as client:
            yield client

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._clients.close()
