"""A language model from a folder on this machine, in this process, by torch and transformers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from thoughtgraph.errors import ModelError, TaskError, Unauthorized, Unavailable, at_least
from thoughtgraph.model import Capabilities, Completion, Price, Reply, Request
from thoughtgraph.models.lacking import refuse
from thoughtgraph.models.settings import defaults

NEEDS = ("torch", "transformers")
"""The packages that thoughtgraph does not bring along: they are large."""

TAKEN = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
"""The files of a model that are fetched where that is allowed: no code, and no weights that run code when loaded."""


@dataclass(frozen=True)
class Transformers:
    """The causal language model `model`: a folder, or ORG/NAME in the cache of the Hugging Face hub.

    Nothing is fetched unless `local_files_only=False`, no code of the model's is run, and only safetensors are read.
    It is loaded at the first call and stays in memory; generations run one at a time, in a thread, each for all n
    draws. Without a chat template the prompt is the messages' text. Temperature 0 is the likeliest text, None samples
    as the model's own settings say. The tokens of prompt and reply are counted and cost nothing.
    """

    model: str
    device: str = ""
    price: Price | None = Price(0.0, 0.0)  # noqa: RUF009, it is frozen
    max_tokens: int = 1024
    timeout: float = 120.0
    temperature: float | None = None
    local_files_only: bool = True
    _thread: ThreadPoolExecutor = field(init=False, repr=False, compare=False)
    _loaded: list[tuple[Any, Any]] = field(default_factory=list[tuple[Any, Any]], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, timeout=self.timeout)
        if missing := [package for package in NEEDS if find_spec(package) is None]:
            raise TaskError(f"{self.name} needs {' and '.join(missing)}: python -m pip install {' '.join(missing)}")
        object.__setattr__(self, "_thread", ThreadPoolExecutor(1, "thoughtgraph-transformers"))

    @property
    def name(self) -> str:
        """`local:hf/ORG/NAME`."""
        return f"local:hf/{self.model}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """What a request has that does not say otherwise."""
        return defaults(self.max_tokens, self.timeout, self.temperature)

    @property
    def capabilities(self) -> Capabilities:
        """Several draws, a temperature, a seed, stops; once it is loaded, its context too."""
        most = _context(self._loaded[0][1]) if self._loaded else None
        return Capabilities(logprobs=False, schema=False, images=False, context=most, source="transformers")

    async def __call__(self, request: Request, n: int) -> Completion:
        """`n` draws. A call that is given up, or whose time is up, stops at its next token."""
        refuse(request, self.capabilities, self.name)
        stopped = threading.Event()
        work = partial(self._drawn, request, n, stopped)
        try:
            async with asyncio.timeout(request.timeout):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            late = f"{self.name} gave no reply within {request.timeout:g} s"
            raise Unavailable(late, cause="timeout", maybe_billed=True) from None
        finally:
            stopped.set()

    def _drawn(self, request: Request, n: int, stopped: threading.Event) -> Completion:
        """In the thread. Whatever a package of this size raises is a `ModelError`."""
        try:
            if not self._loaded:
                self._loaded.append(_load(self.model, self.device, self.local_files_only))
            return _generate(*self._loaded[0], request, n, stopped)
        except ModelError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise ModelError(f"{self.name}: {type(error).__name__}: {said}", cause=type(error).__name__) from error

    async def close(self) -> None:
        """The model stays in memory, for the next run: it goes with this object."""


def _library(name: str) -> Any:
    """A package that has no types here, and that this file must not be taken for."""
    return import_module(name)


def _load(model: str, device: str, local_files_only: bool) -> tuple[Any, Any]:
    """The tokenizer and the model, from their folder: by a name, transformers may look for more on the network."""
    torch, transformers = _library("torch"), _library("transformers")
    folder = _folder(model, local_files_only)
    how = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **how)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype="auto", **how)
    return tokenizer, loaded.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def _folder(model: str, local_files_only: bool) -> str:
    if Path(model).expanduser().is_dir():
        return str(Path(model).expanduser())
    hub = _library("huggingface_hub")
    try:
        return hub.snapshot_download(model, local_files_only=local_files_only, allow_patterns=list(TAKEN))
    except (hub.errors.HFValidationError, hub.errors.LocalEntryNotFoundError) as error:
        raise Unauthorized(
            f"{model} is no folder here and not in the cache: name a folder that holds the model, fetch it with "
            f"`hf download {model}`, or allow it with Transformers({model!r}, local_files_only=False)"
        ) from error


def _generate(tokenizer: Any, model: Any, request: Request, n: int, stopped: threading.Event) -> Completion:
    torch = _library("torch")
    prompt = _tokens(tokenizer, request).to(model.device)
    asked = int(prompt["input_ids"].shape[1])
    most = _context(model)
    if most is not None and asked + request.max_tokens > most:
        raise ModelError(
            f"{asked} tokens of prompt and {request.max_tokens} of reply are more than the {most} of the context",
            cause="context too long",
        )
    kept: AbstractContextManager[object] = nullcontext() if request.seed is None else torch.random.fork_rng()
    with torch.inference_mode(), kept:
        if request.seed is not None:
            torch.manual_seed(request.seed)
        over = _over(tokenizer, asked, request.stop, stopped)
        made = model.generate(**prompt, **_settings(tokenizer, model, request, n), stopping_criteria=[over])
    rows = cast("list[list[int]]", made[:, asked:].tolist())
    drawn = [_reply(tokenizer, model, row, request) for row in rows]
    replies = [reply for reply, _ in drawn]
    alike = n if request.temperature == 0 else 1  # the likeliest text is the same in every draw
    return Completion(tuple(replies * alike), asked, sum(count for _, count in drawn))


def _tokens(tokenizer: Any, request: Request) -> Any:
    if not tokenizer.chat_template:
        return tokenizer("\n\n".join(message.content for message in request.messages), return_tensors="pt")
    said = [{"role": message.role, "content": message.content} for message in request.messages]
    return tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=True, return_tensors="pt")


def _settings(tokenizer: Any, model: Any, request: Request, n: int) -> dict[str, Any]:
    own = model.generation_config
    likeliest = request.temperature == 0
    settings: dict[str, Any] = {
        "max_new_tokens": request.max_tokens,
        "do_sample": not likeliest,
        "num_return_sequences": 1 if likeliest else n,
        "pad_token_id": next((i for i in (tokenizer.pad_token_id, *_ends(model)) if i is not None), 0),
    }
    if likeliest:
        settings |= {"temperature": None, "top_p": None, "top_k": None}
    elif request.temperature is not None:
        settings["temperature"] = float(request.temperature)
    return settings if own.max_length is None else {**settings, "max_length": None}


def _over(tokenizer: Any, asked: int, stop: tuple[str, ...], stopped: threading.Event) -> Callable[..., Any]:
    """Which draws are over after a token: those with a stop in their text, and all once nobody waits for them.

    By the text and not by transformers' own way, which cannot work out the stops of every tokenizer.
    """
    torch = _library("torch")

    def over(ids: Any, scores: Any, **_: Any) -> Any:
        rows = cast("list[list[int]]", ids[:, asked:].tolist())
        ended = [stopped.is_set() or _stop(_text(tokenizer, row), stop) is not None for row in rows]
        return torch.tensor(ended, device=ids.device, dtype=torch.bool)

    return over


def _reply(tokenizer: Any, model: Any, row: list[int], request: Request) -> tuple[Reply, int]:
    """One draw and its tokens: up to its end, of which the rest of the batch may have gone on."""
    end = next((place for place, token in enumerate(row) if token in _ends(model)), None)
    row, last = row[:end], end is not None
    text = _text(tokenizer, row)
    if (at := _stop(text, request.stop)) is not None:
        made = next(k for k in range(1, len(row) + 1) if _stop(_text(tokenizer, row[:k]), request.stop) is not None)
        return Reply(text[:at]), made
    return Reply(text, "stop" if last else "length"), len(row) + last


def _text(tokenizer: Any, row: list[int]) -> str:
    return tokenizer.decode(row, skip_special_tokens=True)


def _stop(text: str, stop: tuple[str, ...]) -> int | None:
    """Where the first of the stops begins."""
    return min((at for word in stop if word and (at := text.find(word)) >= 0), default=None)


def _ends(model: Any) -> list[int]:
    """The tokens that end a reply."""
    ends: Any = model.generation_config.eos_token_id
    return [] if ends is None else cast("list[int]", ends if isinstance(ends, list) else [ends])


def _context(model: Any) -> int | None:
    most = getattr(model.config, "max_position_embeddings", None)
    return most if isinstance(most, int) else None
