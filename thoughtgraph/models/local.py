"""A Python callable of your own as a model: a program, a model that you run in this process, a service of yours."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from thoughtgraph.errors import ModelError, TaskError, Unavailable, at_least
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request
from thoughtgraph.models.lacking import refuse
from thoughtgraph.models.settings import defaults

if TYPE_CHECKING:
    from thoughtgraph.models.transformers import Transformers

FREE = Price(0.0, 0.0)
"""What is computed here costs no dollars."""

BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

OF_PROMPTS = Capabilities(
    n=False, temperature=False, seed=False, stop=False, logprobs=False, schema=False, images=False,
    source="a function of prompts",
)  # fmt: skip
"""What a function that gets only the prompt can do."""

OF_REQUESTS = Capabilities(logprobs=False, schema=False, images=False, source="a function of requests")
"""What is taken of a function that gets the request, until it says more in `can`."""


@dataclass(frozen=True)
class Local:
    """The callable `reply` as a model. What it is given goes by the parameters that it must be given:

    - `reply(prompt)` gets the messages' text and gives one text, or one `Reply`: the engine calls it once a draw.
    - `reply(request, n)` gets all that is asked, and gives a text, a `Reply`, a list of up to n of them, or a
      `Completion` with token counts. What else it can do (a schema, logprobs, images) is said in `can`.

    It may be async; if not, it runs in a thread, `workers` of them at most, and one whose time is up is left to end by
    itself. What it raises is a `ModelError` and is not tried again, except `Unavailable`. Its tokens cost nothing, so
    that a budget in dollars can hold; where it does not count them, budgets in tokens book the most that they can be.
    For tests, where replies are played from a list, cut at `max_tokens` and counted, take `Scripted`.
    """

    reply: Callable[..., Any]
    model: str = ""
    price: Price | None = FREE
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    can: Capabilities | None = None
    workers: int = 8
    _given: int = field(init=False, repr=False, compare=False)
    _threads: ThreadPoolExecutor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens, workers=self.workers)
        at_least(0, timeout=self.timeout)
        if not callable(self.reply):
            raise TaskError(
                f"local:{self.model} is {self.reply!r:.80}: expected a function of a prompt that gives a text"
            )
        object.__setattr__(self, "model", self.model or _name(self.reply))
        object.__setattr__(self, "_given", _needs(self.reply, self.model))
        object.__setattr__(self, "_threads", ThreadPoolExecutor(self.workers, "thoughtgraph-local"))

    @property
    def name(self) -> str:
        """`local:module:function`, by which the command line finds it again, or as `model` has it."""
        return f"local:{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature)

    @property
    def capabilities(self) -> Capabilities:
        """What the callable can do: `can`, else what goes with its parameters."""
        return self.can or (OF_PROMPTS if self._given == 1 else OF_REQUESTS)

    async def __call__(self, request: Request, n: int) -> Completion:
        """Up to `n` draws; one, where the callable gets the prompt."""
        refuse(request, self.capabilities, self.name)
        limit = asyncio.timeout(request.timeout)
        try:
            async with limit:
                said = await self._said(request, n)
        except ModelError:
            raise
        except Exception as error:
            if limit.expired():
                late = f"{self.name} gave no reply within {request.timeout:g} s"
                raise Unavailable(late, cause="timeout", maybe_billed=True) from None
            raise ModelError(f"{self.name} raised {_told(error)}", cause=type(error).__name__) from error
        return _completion(said, n, self.name)

    async def _said(self, request: Request, n: int) -> object:
        given = (_prompt(request),) if self._given == 1 else (request, n)
        if _is_async(self.reply):
            return await self.reply(*given)
        call = partial(contextvars.copy_context().run, self.reply, *given)
        said = await asyncio.get_running_loop().run_in_executor(self._threads, _unstopped, call)
        return await said if inspect.isawaitable(said) else said

    async def close(self) -> None:
        """Nothing is held open: idle threads end with the model."""


def load(name: str, price: Price | None = None) -> Local | Transformers:
    """The model behind `local:name`: `package.module:function` of your own, or `hf/ORG/NAME` for transformers.

    The module is imported, as your own code and no one else's: take the name from no file. It may also hold a `Local`
    that is ready. `price` is for those whose tokens cost something after all. `TaskError` says what is not there.
    """
    if name.startswith("hf/"):
        from thoughtgraph.models.transformers import Transformers

        return Transformers(name.removeprefix("hf/"), price=price or FREE)
    place, _, attribute = name.partition(":")
    if not place or not attribute:
        raise TaskError(f"the model 'local:{name}' names no function: expected local:package.module:function")
    found = _attribute(_module(place), attribute)
    if isinstance(found, Local):
        return replace(found, price=price) if price else found
    return Local(cast("Callable[..., Any]", found), name, price or FREE)


# -- calling -----------------------------------------------------------------------------------------------------


def _needs(reply: Callable[..., Any], name: str) -> int:
    """How many arguments a callable must be given, 1 or 2; one whose signature is not known takes the prompt."""
    try:
        signature = inspect.signature(reply)
    except ValueError:
        return 1
    given = max(1, sum(p.kind in BY_PLACE and p.default is p.empty for p in signature.parameters.values()))
    with contextlib.suppress(TypeError):
        signature.bind(*range(given))
        if given <= 2:
            return given
    raise TaskError(f"{name} takes {signature}: expected (prompt), or (request, n)")


def _is_async(reply: object) -> bool:
    called = vars(type(reply)).get("__call__")
    return inspect.iscoroutinefunction(reply) or inspect.iscoroutinefunction(called)


def _unstopped(call: Callable[[], object]) -> object:
    """What a call gives. A StopIteration cannot leave a future: as it is, whoever waits would wait for ever."""
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("StopIteration, from an iterator that is used up") from error


def _prompt(request: Request) -> str:
    return "\n\n".join(message.content for message in request.messages)


def _completion(said: object, n: int, name: str) -> Completion:
    """What a callable gave, in the form of all models; `ModelError` for another shape."""
    if isinstance(said, Completion):
        return replace(said, replies=said.replies[:n])
    items = list(cast("Sequence[object]", said)) if isinstance(said, list | tuple) else [said]
    if not items or not all(isinstance(item, str | Reply) for item in items):
        raise ModelError(
            f"{name} returned {said!r:.80}: expected a text, a Reply, a list of them, or a Completion",
            cause="wrong shape",
        )
    replies = (item if isinstance(item, Reply) else Reply(cast("str", item)) for item in items[:n])
    return Completion(tuple(replies))


def _told(error: Exception) -> str:
    """An error in one line fit to print."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _name(reply: object) -> str:
    """`module:function`; of an object that is called, its class."""
    inner: Any = getattr(reply, "func", reply)
    named: Any = inner if hasattr(inner, "__qualname__") else cast("Any", type(inner))
    return f"{getattr(named, '__module__', None) or 'builtins'}:{named.__qualname__}"


# -- finding -----------------------------------------------------------------------------------------------------


def _module(place: str) -> ModuleType:
    """The module; the folder that one stands in is looked at last, as a console script does not look there."""
    if os.getcwd() not in sys.path:  # noqa: PTH109, a text is what stands in sys.path
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            where = "installed here, or a file in this folder"
            raise TaskError(
                f"there is no module {error.name!r} for local:{place}: expected one that is {where}"
            ) from None
        raise TaskError(f"the module {place!r} cannot be imported ({_told(error)}): correct it") from error
    except Exception as error:
        raise TaskError(f"the module {place!r} cannot be imported ({_told(error)}): correct it") from error


def _attribute(module: ModuleType, path: str) -> object:
    found: object = module
    for part in path.split("."):
        if not hasattr(found, part):
            callables = [name for name, thing in vars(found).items() if callable(thing)]
            near = get_close_matches(part, callables, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(callables[:8]) or 'no functions'}"
            raise TaskError(f"the module {module.__name__!r} has no {path!r}: {hint}")
        found = getattr(found, part)
    return found
