"""A reward model from a folder on this machine, in this process: by torch and transformers (Wolf et al., 2020)."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from thoughtgraph.critics.reward_formats import Row, Turn, Verdict, Vocabulary, fitting, markers
from thoughtgraph.critics.reward_models import Family
from thoughtgraph.errors import ModelError, TaskError, Unauthorized, at_least

T = TypeVar("T")

NEEDS = ("safetensors", "torch", "transformers")
"""The packages that the extra `train` brings: they are large."""

ENDLESS = 10**9
"""A tokenizer that knows no limit gives a number beyond this one."""


@dataclass(frozen=True)
class LocalReward:
    """The reward model in `folder`, or ORG/NAME in the cache of the Hugging Face hub.

    Nothing is fetched, no code of the model's is run, and only safetensors are read: published heads that come with
    code of their own (Skywork's value head, Qwen's two layers) are rebuilt from the names of their weights. It is
    loaded when first used and stays in memory; it computes in float32 and in a thread, in batches of at most `room`
    tokens with their padding, one batch at a time. `limit` lowers the number of tokens that it reads. Weights that a
    folder lacks are an error, where transformers would draw them at random.
    """

    folder: str
    device: str = field(default="", repr=False)
    room: int = field(default=4096, repr=False)
    limit: int | None = None
    _thread: ThreadPoolExecutor = field(init=False, repr=False, compare=False)
    _loaded: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, room=self.room, limit=self.limit)
        if missing := [package for package in NEEDS if find_spec(package) is None]:
            raise TaskError(f'a local reward model needs {", ".join(missing)}: pip install "thoughtgraph[train]"')
        object.__setattr__(self, "_thread", ThreadPoolExecutor(1, "thoughtgraph-reward"))

    async def __aenter__(self) -> Self:
        """It stays in memory from its first use on."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """And goes with this object."""

    @property
    def tokens(self) -> LocalReward:
        """Its tokenizer is a part of it."""
        return self

    @property
    def paid(self) -> bool:
        """It costs no call: a set is read at once."""
        return False

    async def vocabulary(self) -> Vocabulary:
        """What its tokenizer has besides words, and how much it reads."""
        return await self._apart(self._vocabulary)

    async def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return await self._apart(lambda: _encoded(self._tokenizer(), text))

    async def chat(self, turns: Sequence[Turn], *, opened: bool) -> list[int]:
        """The ids of a chat; `TaskError` where the tokenizer has no chat template."""
        return await self._apart(lambda: _chat(self._tokenizer(), turns, opened))

    async def read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
        """One number a place: rows of about one length are read together, none of them more than `room` tokens."""
        return await self._apart(partial(self._read, family, rows))

    def _read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
        limit = self._vocabulary().limit
        for row in rows:
            fitting(row, limit)
        model = self._once(f"{type(family.reading).__name__} {family.whole}", lambda: self._model(family))
        found: dict[int, list[float]] = {}
        for batch in batches([len(row.ids) for row in rows], self.room):
            logits = model([rows[k] for k in batch])
            found |= {k: [family.reading.number(one) for one in row] for k, row in zip(batch, logits, strict=True)}
        return [found[k] for k in range(len(rows))]

    async def _apart(self, work: Callable[[], T]) -> T:
        """In the thread. Whatever packages of this size raise is a `ModelError`, but for what this one said itself."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (ModelError, TaskError):
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise ModelError(f"{self.folder}: {type(error).__name__}: {said}", cause=type(error).__name__) from error

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    def _tokenizer(self) -> Any:
        return self._once("tokenizer", lambda: _tokenizer(self._place()))

    def _place(self) -> Path:
        return self._once("place", lambda: _folder(self.folder))

    def _vocabulary(self) -> Vocabulary:
        return self._once("vocabulary", lambda: _vocabulary(self._tokenizer(), self._place(), self.limit))

    def _model(self, family: Family) -> Model:
        return _loaded(self._place(), family, self.device)


Model = Callable[[Sequence[Row]], list[list[list[float]]]]
"""The logits of each place of each row: those of the family's labels, or what its head gives."""

HEADS = ("v_head.", "score.", "classifier.")
"""How the weights of a head begin that gives no words."""

OFFLINE = {"local_files_only": True, "trust_remote_code": False}


def batches(lengths: Sequence[int], room: int) -> Iterator[list[int]]:
    """The rows in groups of about one length: the longest times their number is at most `room`, but for one alone."""
    batch = list[int]()
    for k in sorted(range(len(lengths)), key=lambda k: (-lengths[k], k)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > room:
            yield batch
            batch = []
        batch.append(k)
    if batch:
        yield batch


def _library(name: str) -> Any:
    """A package that has no types here."""
    return import_module(name)


def _folder(named: str) -> Path:
    if (place := Path(named).expanduser()).is_dir():
        return place
    hub = _library("huggingface_hub")
    try:
        return Path(hub.snapshot_download(named, local_files_only=True))
    except (hub.errors.HFValidationError, hub.errors.LocalEntryNotFoundError) as error:
        raise Unauthorized(
            f"{named} is no folder here and not in the cache: name a folder that holds the model, or fetch it with "
            f"`hf download {named}`"
        ) from error


# -- the tokenizer -------------------------------------------------------------------------------------------------


def _tokenizer(place: Path) -> Any:
    """As its file says. By the model's name alone, transformers 5 may put another one together for it."""
    kind = "PreTrainedTokenizerFast" if (place / "tokenizer.json").is_file() else "AutoTokenizer"
    return getattr(_library("transformers"), kind).from_pretrained(place, **OFFLINE)


def _encoded(tokenizer: Any, text: str) -> list[int]:
    return cast("list[int]", tokenizer.encode(text, add_special_tokens=False))


def _chat(tokenizer: Any, turns: Sequence[Turn], opened: bool) -> list[int]:
    if not tokenizer.chat_template:
        raise TaskError(
            "the family is a chat, and the tokenizer has no chat template: is it the model's own? An outcome model "
            'without one takes plain text, as in Family("mine", Whole(between="\\n"), Scalar())'
        )
    said = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=opened)
    return _encoded(tokenizer, text)


def _vocabulary(tokenizer: Any, place: Path, limit: int | None) -> Vocabulary:
    shape = _library("transformers").AutoConfig.from_pretrained(place, **OFFLINE)
    most = (getattr(shape, "max_position_embeddings", None), tokenizer.model_max_length, limit)
    known = [one for one in most if isinstance(one, int) and 0 < one < ENDLESS]
    added, template = tokenizer.added_tokens_decoder.values(), str(tokenizer.chat_template or "")
    special = {token.content for token in added if token.special or token.content in template} | markers(template)
    first = tokenizer.cls_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id  # an encoder's
    return Vocabulary(first, tokenizer.unk_token_id, min(known, default=None), tuple(sorted(special)))


# -- the model -----------------------------------------------------------------------------------------------------


def _loaded(place: Path, family: Family, device: str) -> Model:
    """The model of a folder, by what its weights are called and by what the family reads."""
    if not any(place.glob("*.safetensors")):
        raise ModelError(f"{place} has no *.safetensors: other files of weights can run code when read, and are not")
    if isinstance(family.reading, Verdict):
        return partial(_next, _weights("AutoModelForCausalLM", place, device))
    if names := _own_head(place):
        body = _weights("AutoModel", place, device)
        return partial(_headed, body, _layers(place, names, body.device))
    if family.whole:
        return partial(_sequence, _weights("AutoModelForSequenceClassification", place, device))
    return partial(_classified, _weights("AutoModelForTokenClassification", place, device))


def _weights(kind: str, place: Path, device: str) -> Any:
    torch, transformers = _library("torch"), _library("transformers")
    how = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True, **OFFLINE}
    model, told = getattr(transformers, kind).from_pretrained(place, config=_shape(place), **how)
    if missing := sorted(told["missing_keys"]) or sorted(map(str, told["mismatched_keys"])):
        raise ModelError(
            f"{place} lacks the weights {', '.join(missing)[:200]} of a {type(model).__name__}: it holds a model of "
            "another family, and they are not drawn at random"
        )
    left = sorted(name for name in told["unexpected_keys"] if name.startswith(HEADS))
    if left and kind != "AutoModel":
        raise ModelError(f"{place} has a head that the family does not read, {', '.join(left)[:200]}: name its family")
    model.config.use_cache = False
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def _shape(place: Path) -> Any:
    """What the model is; without its wish to be computed by kernels, which would be fetched and run."""
    if (place / "adapter_config.json").is_file():
        raise ModelError(f"{place} has adapter_config.json: merge the adapter into its model, and name that folder")
    shape = _library("transformers").AutoConfig.from_pretrained(place, **OFFLINE)
    if getattr(shape, "quantization_config", None):
        raise ModelError(f"{place} holds quantised weights: expected plain ones, which are computed with in float32")
    shape._attn_implementation = shape._experts_implementation = None
    return shape


def _own_head(place: Path) -> list[str]:
    """The names of the weights of a head that comes with code of its own: a value head, or several layers."""
    return [name for name in _files(place) if name.startswith(("v_head.", "score.0.", "score.1.", "score.2."))]


def _files(place: Path) -> Mapping[str, Path]:
    """The file of each weight."""
    index = place / "model.safetensors.index.json"
    if index.is_file():
        files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {name: place / Path(file).name for name, file in sorted(files.items())}
    found: dict[str, Path] = {}
    for file in sorted(place.glob("*.safetensors")):
        with _library("safetensors").safe_open(file, "pt") as opened:
            found |= dict.fromkeys(opened.keys(), file)
    return found


def _layers(place: Path, names: Sequence[str], device: Any) -> list[tuple[Any, Any]]:
    """Weight and bias of each layer of the head, the first one first."""
    files, made = _files(place), dict[str, Any]()
    for name in names:
        with _library("safetensors").safe_open(files[name], "pt") as opened:
            made[name] = opened.get_tensor(name).float().to(device)
    layers = sorted({name.rpartition(".")[0] for name in names})
    return [(made[f"{layer}.weight"], made.get(f"{layer}.bias")) for layer in layers]


# -- reading it ----------------------------------------------------------------------------------------------------


def _padded(model: Any, rows: Sequence[Row]) -> dict[str, Any]:
    """The batch, padded on the right: so every id has the position that it has alone, and no place moves."""
    torch = _library("torch")
    known, highest = model.get_input_embeddings().num_embeddings, max(max(row.ids) for row in rows)
    if highest >= known:
        raise TaskError(f"the tokenizer gives the id {highest} and the model knows {known} ids: it is of another model")
    longest = max(len(row.ids) for row in rows)
    fill = pad if isinstance(pad := getattr(model.config, "pad_token_id", None), int) and 0 <= pad < known else 0
    ids = [[*row.ids, *[fill] * (longest - len(row.ids))] for row in rows]
    seen = [[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows]
    at = {"device": model.device, "dtype": torch.long}
    return {"input_ids": torch.tensor(ids, **at), "attention_mask": torch.tensor(seen, **at)}


def _next(model: Any, rows: Sequence[Row]) -> list[list[list[float]]]:
    """The logits of the labels as the next token, worked out at the places alone where the model can do that."""
    torch = _library("torch")
    places = sorted({place for row in rows for place in row.places})
    sparing = "logits_to_keep" in inspect.signature(model.forward).parameters
    kept = {"logits_to_keep": torch.tensor(places, device=model.device)} if sparing else {}
    with torch.inference_mode():
        logits = model(**_padded(model, rows), **kept).logits
    where = {place: k if sparing else place for k, place in enumerate(places)}
    return [logits[b, [where[p] for p in row.places]][:, list(row.labels)].tolist() for b, row in enumerate(rows)]


def _headed(model: Any, layers: Sequence[tuple[Any, Any]], rows: Sequence[Row]) -> list[list[list[float]]]:
    """What the layers of the head make of the last hidden states, with a ReLU between two of them."""
    torch = _library("torch")
    with torch.inference_mode():
        hidden = model(**_padded(model, rows)).last_hidden_state
        found = [hidden[b, list(row.places)] for b, row in enumerate(rows)]
        for k, (weight, bias) in enumerate(layers):
            found = [torch.nn.functional.linear(h.relu() if k else h, weight, bias) for h in found]
    return [one.tolist() for one in found]


def _classified(model: Any, rows: Sequence[Row]) -> list[list[list[float]]]:
    """The logits of the classes of the tokens at the places."""
    torch = _library("torch")
    with torch.inference_mode():
        logits = model(**_padded(model, rows)).logits
    return [logits[b, list(row.places)].tolist() for b, row in enumerate(rows)]


def _sequence(model: Any, rows: Sequence[Row]) -> list[list[list[float]]]:
    """The logits of the whole. A decoder's are read at the last id, which is known here and guessed by its own code.

    That goes by the last token that is no padding, and takes an end that is spelt like it for padding.
    """
    torch = _library("torch")
    with torch.inference_mode():
        if hasattr(model, "score"):
            hidden = model.base_model(**_padded(model, rows)).last_hidden_state
            return [model.score(hidden[b, list(row.places)]).tolist() for b, row in enumerate(rows)]
        return [[one] for one in model(**_padded(model, rows)).logits.tolist()]
