"""What models cost and what they can do, by name: the tables of the litellm package, read without importing it.

litellm takes seconds to import and dials out for newer prices; its tables are one JSON file, read in a tenth of one.
Where litellm is not installed, nothing is known.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from thoughtgraph.model import Capabilities, Price

_Entry: TypeAlias = Mapping[str, Any]

_FILE = "model_prices_and_context_window_backup.json"

_TIER = re.compile(r"(.+?)(?:_above_(\d+)k_tokens)?")
"""A field of the table; some providers charge more for the tokens of a long prompt."""

_FREE = ("ollama", "lemonade", "llamafile", "lm_studio")
"""Servers of one's own. Elsewhere a price of 0 means that the table does not know, or that the trial ends some day."""

_LACKS: Mapping[str, str] = {
    "anthropic": "n seed logprobs",
    "baseten": "n logprobs",
    "bedrock": "n seed logprobs",
    "cerebras": "n logprobs",
    "codestral": "n logprobs",
    "cohere": "logprobs",
    "databricks": "seed logprobs",
    "deepinfra": "seed logprobs",
    "deepseek": "n",
    "gigachat": "n seed logprobs",
    "gradient_ai": "n seed logprobs",
    "groq": "n",
    "inception": "n seed logprobs",
    "mistral": "n logprobs",
    "ollama": "n logprobs",
    "perplexity": "n seed stop logprobs",
    "replicate": "n logprobs",
    "sail": "seed stop logprobs",
    "sambanova": "n seed logprobs",
    "snowflake": "n seed stop logprobs",
    "xai": "stop",
    "zai": "n seed logprobs",
}
"""What providers do not offer, or litellm does not pass on to them; a name stands for all that begin with it."""

_RESPONSES = "n seed stop logprobs"
"""What OpenAI's Responses call has no setting for."""

_REASONING = "temperature stop logprobs"
"""What OpenAI's models refuse while they reason."""

_THINKS = re.compile(r"\b(o[1-9]|gpt-[5-9])")
"""OpenAI's reasoning models, on whoever's servers."""

_APART = re.compile(r"\bgpt-[5-9]|gemini")
"""Models whose limit of the prompt may leave out the reply; for all others it is that of both together."""


def price(backend: str, model: str) -> Price | None:
    """US dollars for a million tokens; None where nobody knows.

    A budget is a promise, so this is the most that a token costs: of a price in tiers the dearest, which for short
    prompts is up to twice the bill. Not in it: a chosen service tier ("priority"), batches, a surcharge for OpenAI's
    regional addresses. Where a request costs something besides its tokens, as with models that search the web, there
    is no price.
    """
    entry = _entry(backend, model)
    if entry is None or _billed_by_request(model, entry):
        return None
    prompt = _dearest(entry, "input_cost_per_token")
    completion = _dearest(entry, "output_cost_per_token", "output_cost_per_reasoning_token")
    if entry["litellm_provider"] in _FREE and prompt == completion == 0:
        return Price(0.0, 0.0)
    if not prompt or not completion:
        return None
    cached = _dearest(entry, "cache_read_input_token_cost", "input_cost_per_token_cache_hit")
    written = _dearest(entry, "cache_creation_input_token_cost")
    return Price(prompt, completion, cached or None, written if written and written > prompt else None)


def able(backend: str, model: str) -> Capabilities | None:
    """What the tables say that a model can do, together with what its family is known to refuse; None if not listed."""
    entry = _entry(backend, model)
    if entry is None:
        return None
    lacks = _lacks(model, entry)
    return Capabilities(
        n="n" not in lacks,
        temperature="temperature" not in lacks,
        seed="seed" not in lacks,
        stop="stop" not in lacks,
        logprobs="logprobs" not in lacks,
        schema=bool(entry.get("supports_response_schema")) or entry["litellm_provider"] == "ollama",
        images=bool(entry.get("supports_vision")) or "image" in entry.get("supported_modalities", ()),
        reasoning=bool(entry.get("supports_reasoning")),
        caching=_caching(model, entry),
        context=_context(model, entry),
        most=_count(entry, "max_output_tokens"),
        source="table",
    )


def responses_only(model: str) -> bool:
    """Whether OpenAI serves a model by its Responses call alone, and not by chat completions."""
    entry = _entry("openai", model)
    return entry is not None and _responses(entry)


def provider(model: str) -> str:
    """Whom litellm asks for a model: "gemini" for "gemini/gemini-2.5-pro", "openai" for "gpt-4o"; "" if not known."""
    prefix, slash, _ = model.partition("/")
    return prefix if slash else (_entry("litellm", model) or {"litellm_provider": ""})["litellm_provider"]


def known(backend: str) -> Sequence[str]:
    """The names of the models for text that the tables list, for "openai", "anthropic" or "litellm"."""
    return [name for name, entry in _table().items() if backend in ("litellm", entry["litellm_provider"])]


def nearest(backend: str, model: str) -> str | None:
    """The listed name that is most like `model`: what was meant perhaps. None where `model` is listed itself."""
    if _entry(backend, model):
        return None
    return next(iter(difflib.get_close_matches(model, known(backend), 1, 0.75)), None)


@functools.cache
def _table() -> Mapping[str, _Entry]:
    """The entries of models for text, by name."""
    spec = importlib.util.find_spec("litellm")
    path = Path(spec.origin).with_name(_FILE) if spec and spec.origin else None
    entries: Mapping[str, _Entry] = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return {name: entry for name, entry in entries.items() if entry.get("mode") in ("chat", "responses")}


def _entry(backend: str, model: str) -> _Entry | None:
    return next((entry for name, entry in _candidates(backend, model) if _serves(backend, model, name, entry)), None)


def _candidates(backend: str, model: str) -> Iterator[tuple[str, _Entry]]:
    """The entries that a name may mean: by the whole of it, without its provider, without its fine-tuning."""
    names = [model, *([model.partition("/")[2]] if backend == "litellm" else [])]
    tuned = [":".join(name.split(":")[:2]) for name in names if name.startswith("ft:")]
    return ((name, _table()[name]) for name in (*names, *tuned) if name in _table())


def _serves(backend: str, model: str, name: str, entry: _Entry) -> bool:
    """Whether an entry is of the provider that was asked for: the same name costs differently elsewhere."""
    provider: str = entry["litellm_provider"]
    if backend != "litellm":
        return provider == backend
    asked = model.partition("/")[0]
    return name == model or "/" not in model or re.fullmatch(rf"{re.escape(asked)}([-_].+)?", provider) is not None


def _dearest(entry: _Entry, *fields: str) -> float | None:
    """The most that is stated for a field in any tier, in dollars for a million; None where nothing is."""
    tiers: Sequence[_Entry] = [entry, *entry.get("tiered_pricing", ())]
    longest = _count(entry, "max_input_tokens") or math.inf
    stated = [cost for tier in tiers for field, cost in tier.items() if _reached(field, fields, longest)]
    surcharge = entry.get("regional_endpoint_uplift_multiplier", 1.0)
    return round(max(stated) * surcharge * 1e6, 6) if stated else None


def _reached(field: str, fields: Sequence[str], longest: float) -> bool:
    """Whether a field is one of `fields`, in a tier that a prompt of at most `longest` tokens can come to."""
    tier = _TIER.fullmatch(field)
    return tier is not None and tier[1] in fields and int(tier[2] or 0) * 1000 < longest


def _billed_by_request(model: str, entry: _Entry) -> bool:
    searches = "search" in model or entry["litellm_provider"] == "perplexity"
    return "input_cost_per_request" in entry or (searches and "search_context_cost_per_query" in entry)


def _lacks(model: str, entry: _Entry) -> frozenset[str]:
    provider = "anthropic" if "claude" in model else entry["litellm_provider"]
    lacks = {
        setting for start, settings in _LACKS.items() if provider.startswith(start) for setting in settings.split()
    }
    if entry.get("supports_sampling_params") is False:
        lacks.add("temperature")
    if _responses(entry):
        lacks.update(_RESPONSES.split())
    if _reasons(model, entry):
        lacks.update(_REASONING.split())
    if "search" in model and provider == "openai":
        lacks.update(_RESPONSES.split(), _REASONING.split())
    return frozenset(lacks)


def _reasons(model: str, entry: _Entry) -> bool:
    """Whether an OpenAI model thinks unless it is told not to."""
    openai = entry["litellm_provider"] in ("openai", "azure") or _THINKS.search(model) is not None
    return openai and bool(entry.get("supports_reasoning")) and entry.get("default_reasoning_effort") != "none"


def _responses(entry: _Entry) -> bool:
    chat = "/v1/chat/completions"
    return entry["mode"] == "responses" or chat not in entry.get("supported_endpoints", (chat,))


def _caching(model: str, entry: _Entry) -> Literal["none", "automatic", "marked"]:
    if not entry.get("supports_prompt_caching"):
        return "none"
    return "marked" if "claude" in model or "nova" in model else "automatic"


def _context(model: str, entry: _Entry) -> int | None:
    prompt, reply = _count(entry, "max_input_tokens"), _count(entry, "max_output_tokens")
    return prompt + (reply or 0) if prompt and _APART.search(model) else prompt


def _count(entry: _Entry, field: str) -> int | None:
    """A number of tokens; older entries state some as a text or a fraction."""
    try:
        return int(entry[field]) or None
    except (KeyError, TypeError, ValueError):
        return None
