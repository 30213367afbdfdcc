"""Any provider that the litellm package reaches: Bedrock, Vertex, Gemini, Groq, Mistral and many more.

What litellm does besides is switched off: retries, callbacks, its cache, its logs, its look-ups of newer tables. For
OpenAI, Anthropic and servers of one's own take `OpenAI`, `Anthropic` and `Compatible`: litellm takes seconds to import.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable, at_least
from thoughtgraph.model import Capabilities, Completion, Price, Request
from thoughtgraph.models import status, tables
from thoughtgraph.models.chat import answered, asked, sent, share
from thoughtgraph.models.settings import defaults
from thoughtgraph.perloop import PerLoop

_Ask: TypeAlias = Callable[..., Any]

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",
}
"""What keeps litellm from dialling out: at import, at the first call of Claude, for pictures that are given by URL."""

_QUIET: Mapping[str, Any] = {
    "cache": None,
    "context_window_fallbacks": None,
    "default_fallbacks": None,
    "disable_hf_tokenizer_download": True,
    "drop_params": False,
    "fallbacks": None,
    "modify_params": False,
    "set_verbose": False,
    "suppress_debug_info": True,
    "telemetry": False,
    "turn_off_message_logging": True,
}
_CALLBACKS = ("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback")
_LOGS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

_KEYS = {
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
}
"""The variables of keys that are not called PROVIDER_API_KEY."""

_UNKNOWN = Capabilities(n=False, logprobs=False, schema=False)
"""What is taken of a model that no table lists. litellm itself refuses what its provider has no setting for."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")

# litellm's errors are told apart by the names of their causes' classes: httpx's, aiohttp's and the SDKs' own.
_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}) | {
    "ClientConnectorError",
    "ConnectionTimeoutError",
}
_BROKEN = frozenset({"TransportError", "ClientError", "ConnectionError"})
_ODD = frozenset({"KeyError", "IndexError", "TypeError", "AttributeError", "ValidationError"})
_NOT_CALLED = frozenset({"ValueError", "ImportError", "NoCredentialsError", "DefaultCredentialsError"})
_KEYLESS = re.compile(r"missing [\w ]*(credentials|api key)|locate credentials", re.IGNORECASE)

_BEGINNING = 1.0
"""Seconds that a cancelled call may take to begin: it does so in a thread, which cannot be cancelled."""

_open: Counter[asyncio.AbstractEventLoop] = Counter()
"""How many models use litellm in an event loop: its clients are shared by all of them."""


@dataclass(frozen=True, repr=False)
class LiteLLM:
    """The model that litellm calls `model`, with the provider in front: `gemini/gemini-2.5-pro`, `bedrock/...`.

    The key is read from `key_env` (or the file that `{key_env}_FILE` names); if that is None from the provider's own
    variable, and else litellm looks where it knows. `base_url` is for another address of the provider: its prices
    are not known then. Where there are none in litellm's tables either, say the `price`; `can` overrules what they say
    of the model.

    The first call imports litellm, which takes seconds, and sets it up for the whole process: whoever uses it besides
    finds its callbacks and its cache gone.
    """

    model: str
    price: Price | None = None
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    base_url: str | None = None
    key_env: str | None = None
    seed: int | None = None
    can: Capabilities | None = None
    _endpoint: _Provider = field(init=False, compare=False)
    _asks: PerLoop[_Ask] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        provider = tables.provider(self.model)
        key_env = self.key_env or _KEYS.get(provider) or f"{provider.upper().replace('-', '_')}_API_KEY"
        object.__setattr__(self, "_endpoint", _Provider(self.model, self.base_url or "", key_env))
        object.__setattr__(self, "_asks", PerLoop(self._ask))
        if self.base_url and self.base_url != self._endpoint.bare:
            raise ValueError(f"base_url {self.endpoint} holds a user: litellm takes only keys; take Compatible for it")
        if self.price is None and self.base_url is None:
            object.__setattr__(self, "price", tables.price("litellm", self.model))

    def __repr__(self) -> str:
        return f"LiteLLM({self.model!r}, at {self.endpoint})"

    @property
    def name(self) -> str:
        """`litellm:provider/model`."""
        return f"litellm:{self.model}"

    @property
    def endpoint(self) -> str:
        """The base URL without user and password, else the provider."""
        return self._endpoint.shown

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature, self.seed)

    @property
    def capabilities(self) -> Capabilities:
        """`can`, else what litellm's tables say, else little."""
        return self.can or tables.able("litellm", self.model) or _UNKNOWN

    async def __call__(self, request: Request, n: int) -> Completion:
        """One attempt at `n` draws; at one, where the provider has no n."""
        said = await self._said(request, n if self.capabilities.n else 1)
        # Raised here, outside of any `except`: litellm's error, which may quote a key, is in no traceback.
        if isinstance(said, TimeoutError):
            raise status.timed_out(self._endpoint, request.timeout)
        if isinstance(said, Exception):
            return _failed(self._endpoint, said, request.timeout)
        return _completion(said, n, self._endpoint)

    async def _said(self, request: Request, n: int) -> Any:
        """What litellm answered, or what it raised."""
        ask = await self._asks.get()
        try:
            async with asyncio.timeout(request.timeout):
                return await _ended(ask(**asked(request, n, self.model), timeout=request.timeout))
        except Exception as error:  # noqa: BLE001, a bug in litellm is a failed attempt too
            return error

    async def _ask(self) -> AsyncGenerator[_Ask, None]:
        """The call; its connections are closed when the last model of this event loop ends."""
        litellm, loop = _quiet(self.model), asyncio.get_running_loop()
        settings = {"api_base": self.base_url, "api_key": self._key(litellm)}
        _open[loop] += 1
        try:
            yield functools.partial(litellm.acompletion, **settings, num_retries=0, max_retries=0, drop_params=False)
        finally:
            _open[loop] -= 1
            if not _open[loop]:
                del _open[loop]
                await _shut(litellm, loop)

    def _key(self, litellm: Any) -> str | None:
        """The key; None where litellm finds credentials of its own. Without any nothing is sent."""
        if key := self._endpoint.key:
            return key
        if self._endpoint.loopback:
            return "none"
        missing = litellm.validate_environment(self.model)["missing_keys"]
        if self.key_env or (self._endpoint.key_env in missing and not self.model.startswith("azure")):
            raise self._endpoint.keyless()
        return None

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._asks.close()


class _Provider(Endpoint):
    """A model whose address, or whose credentials, only litellm knows."""

    __slots__ = ()

    def __post_init__(self) -> None:
        if self.base_url:
            super().__post_init__()

    @property
    def shown(self) -> str:
        return super().shown if self.base_url else tables.provider(self.model) or "litellm"

    def scrub(self, text: str, limit: int = 300) -> str:
        """Without any of the keys of the environment: who knows which of them litellm reads."""
        secrets = {value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 8}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return super().scrub(text, limit)


@functools.cache
def _quiet(model: str) -> Any:
    """The litellm package, imported and made quiet, with what it loads late for a model: nothing else imports it."""
    os.environ.update(_ENVIRONMENT)
    for name in _LOGS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        litellm: Any = importlib.import_module("litellm")
        for name, value in _QUIET.items():
            setattr(litellm, name, value)
        for name in _CALLBACKS:
            setattr(litellm, name, list[Any]())
        litellm.ModelResponse()
        litellm.get_supported_openai_params(model)
    return litellm


async def _ended(asking: Coroutine[Any, Any, Any]) -> Any:
    """What a call comes to. Where it is cancelled while it begins, in a thread, it is let begin, and then cancelled."""
    call = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(_BEGINNING):
                while _begins(call):  # noqa: ASYNC110, the thread is litellm's and says nothing
                    await asyncio.sleep(0.001)
        except TimeoutError:
            pass
        finally:
            call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        raise


def _begins(call: asyncio.Task[Any]) -> bool:
    """Whether `acompletion` still waits for its thread, which makes a coroutine that nobody else would await."""
    inner: Any = call.get_coro()
    while inspect.iscoroutine(inner.cr_await):
        inner = inner.cr_await
    return not call.done() and inner.cr_code.co_name == "acompletion"


async def _shut(litellm: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Close the clients that litellm keeps for an event loop, under names that end with the loop's id."""
    held = litellm.in_memory_llm_clients_cache.cache_dict
    for key in [key for key in held if key.endswith(f"-{id(loop)}")]:
        closing = held.pop(key).close()
        if inspect.isawaitable(closing):
            await closing


def _completion(said: Any, n: int, endpoint: Endpoint) -> Completion:
    """The first `n` draws of litellm's response, which is one of chat completions but for its refusals and counts."""
    body: dict[str, Any] = said.model_dump(warnings=False)
    for choice in body["choices"]:
        own: dict[str, Any] = choice["message"].get("provider_specific_fields") or {}
        choice["message"].setdefault("refusal", own.get("refusal"))
    usage: dict[str, Any] = body.get("usage") or {}
    if not usage.get("prompt_tokens") and not usage.get("completion_tokens"):
        body["usage"] = None  # litellm's zeros: the provider did not say
    completion = answered(sent(body), n, endpoint)
    return replace(completion, written_tokens=share(usage, "cache_creation_input_tokens", completion.prompt_tokens))


def _failed(endpoint: _Provider, error: Exception, seconds: float) -> Completion:
    """What an error of litellm's means, raised; a filtered prompt is a completion."""
    chain = list(_chain(error))
    names = {base.__name__ for one in chain for base in type(one).__mro__}
    code: int = getattr(error, "status_code", None) or 500
    if code == 500 and "JSONDecodeError" in names:
        raise _unreadable(endpoint, error, "truncated body")
    if headers := _headers(chain):
        return status.unanswered(endpoint, code, headers, _raw(error), tables.nearest("litellm", endpoint.model) or "")
    if names & _NOT_SENT:
        raise status.unreachable(endpoint, chain[-1])
    if "Timeout" in names:
        raise status.timed_out(endpoint, seconds)
    if names & _BROKEN:
        raise status.cut_off(endpoint, chain[-1])
    if names & _ODD or "provider returned" in str(error):
        raise _unreadable(endpoint, error, "wrong shape")
    raise _not_called(endpoint, error, code, names)


def _not_called(endpoint: _Provider, error: Exception, code: int, names: set[str]) -> ModelError:
    """The error for a request that litellm did not send; one of its status where that is not sure."""
    said = _text(error)
    if "LLM Provider NOT provided" in said:
        near = tables.nearest("litellm", endpoint.model)
        meant = f" (did you mean {near!r}?)" if near else ""
        return Unauthorized(
            f"litellm knows no provider of {endpoint.model!r}{meant}: expected provider/model, as in openai/gpt-4.1"
        )
    said = f"litellm cannot call {endpoint}: {endpoint.scrub(said)}"
    if code == 401 or _KEYLESS.search(said):
        return Unauthorized(said)
    if "UnsupportedParamsError" in names or (code >= 500 and not names & _NOT_CALLED):
        return status.refused(endpoint, code, {}, _raw(error))
    return ModelError(said)


def _unreadable(endpoint: Endpoint, error: Exception, cause: str) -> Unavailable:
    text = endpoint.scrub(_text(error), 200)
    return Unavailable(f"{endpoint} answered with what litellm cannot read ({text})", cause=cause, maybe_billed=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _headers(chain: list[BaseException]) -> Mapping[str, str] | None:
    """The headers of the provider's answer, which litellm leaves in one of two places; None if none came."""
    for error in chain:
        own = getattr(getattr(error, "response", None), "headers", None)
        if headers := getattr(error, "litellm_response_headers", None) or own:
            return headers
    return None


def _raw(error: Exception) -> bytes:
    """The body of the provider's answer, as far as litellm kept it."""
    body = getattr(error, "body", None)
    return sent({"error": cast("Any", body)}) if isinstance(body, dict) else _text(error).encode("utf-8", "replace")


def _text(error: Exception) -> str:
    """What an error says, without litellm's words around it."""
    text = str(getattr(error, "message", error)).partition("\nTraceback")[0]
    text = re.sub(r"^((litellm\.)?[A-Z]\w+( Error)?: |\w+(Exception|Error)( \w+)? - )+", "", text)
    return re.sub(r"\.? (Handle with `litellm|To drop ).*", "", text, flags=re.DOTALL)
