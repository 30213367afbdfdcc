"""The tables of prices and capabilities: a small table of our own, and then litellm's as it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from thoughtgraph.model import Price
from thoughtgraph.models import tables

CHAT = {"mode": "chat", "litellm_provider": "openai"}
COSTS = {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}

TABLE = {
    "sample_spec": {"mode": "one of: chat, embedding", "input_cost_per_token": 0.0},
    "plain": {**CHAT, **COSTS, "cache_read_input_token_cost": 5e-07, "cache_creation_input_token_cost": 2.5e-06},
    "plain-2026-08-06": {**CHAT, "input_cost_per_token": 3e-06, "output_cost_per_token": 8e-06},
    "ft:plain-2026-08-06": {**CHAT, "input_cost_per_token": 6e-06, "output_cost_per_token": 1e-05},
    "vectors": {"mode": "embedding", "litellm_provider": "openai", **COSTS},
    "half": {**CHAT, "input_cost_per_token": 2e-06},
    "nothing": {**CHAT, "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "router": {**CHAT, "input_cost_per_token": 1e-07, "output_cost_per_token": 0.0},
    "plain-search": {**CHAT, **COSTS, "search_context_cost_per_query": {"search_context_size_low": 0.01}},
    "gpt-7": {**CHAT, **COSTS, "supports_reasoning": True, "max_input_tokens": 272000, "max_output_tokens": 128000},
    "gpt-7-calm": {**CHAT, **COSTS, "supports_reasoning": True, "default_reasoning_effort": "none"},
    "gpt-7-pro": {**COSTS, "mode": "responses", "litellm_provider": "openai", "supports_reasoning": True},
    "computer": {**CHAT, "supported_endpoints": ["/v1/responses"]},
    "claude-old": {**CHAT, "litellm_provider": "anthropic", **COSTS, "supports_prompt_caching": True},
    "claude-new": {**CHAT, "litellm_provider": "anthropic", **COSTS, "supports_sampling_params": False},
    "far.claude-old": {**CHAT, "litellm_provider": "bedrock_converse", "input_cost_per_token": 3e-06},
    "gemini/long": {
        **CHAT,
        **COSTS,
        "litellm_provider": "gemini",
        "max_input_tokens": 1000000,
        "max_output_tokens": 60000,
        "input_cost_per_token_above_200k_tokens": 4e-06,
        "input_cost_per_token_above_200k_tokens_priority": 9e-06,
        "output_cost_per_token_above_200k_tokens": 1.2e-05,
        "output_cost_per_token_batches": 4e-06,
        "output_cost_per_reasoning_token": 1.6e-05,
        "supports_vision": True,
        "supports_response_schema": True,
    },
    "gemini/short": {
        **CHAT,
        **COSTS,
        "litellm_provider": "gemini",
        "max_input_tokens": 200000,
        "input_cost_per_token_above_200k_tokens": 4e-06,
    },
    "tiers/steps": {
        **CHAT,
        "litellm_provider": "tiers",
        "tiered_pricing": [
            {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "range": [0, 1000]},
            {"input_cost_per_token": 3e-06, "output_cost_per_token": 5e-06, "range": [1000, 9000]},
        ],
    },
    "vertex_ai/regional": {
        **CHAT,
        **COSTS,
        "litellm_provider": "vertex_ai-language-models",
        "regional_endpoint_uplift_multiplier": 1.1,
    },
    "ollama/mine": {**CHAT, "litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A litellm package that holds nothing but the small table."""
    (tmp_path / "litellm").mkdir()
    (tmp_path / "litellm" / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "litellm" / "model_prices_and_context_window_backup.json").write_text(json.dumps(TABLE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    yield from fresh()


@pytest.fixture
def absent(monkeypatch):
    """As if litellm were not installed."""
    monkeypatch.setitem(sys.modules, "litellm", None)
    yield from fresh()


def fresh():
    tables._table.cache_clear()
    yield
    tables._table.cache_clear()


# -- prices ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_a_price_is_for_a_million_tokens_with_those_of_the_cache():
    assert tables.price("openai", "plain") == Price(2.0, 8.0, cached=0.5, written=2.5)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("model", ["half", "nothing", "router", "vectors", "plain-search", "computer", "sample_spec"])
def test_a_price_that_is_not_wholly_stated_is_unknown_and_never_0(model):
    assert tables.price("openai", model) is None


@pytest.mark.usefixtures("small")
def test_a_server_of_ones_own_costs_nothing():
    assert tables.price("litellm", "ollama/mine") == Price(0.0, 0.0)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gemini/long", Price(4.0, 16.0)),
        ("gemini/short", Price(2.0, 8.0)),  # its prompts never come to the tier
        ("tiers/steps", Price(3.0, 5.0)),
        ("vertex_ai/regional", Price(2.2, 8.8)),
    ],
)
def test_of_a_price_in_tiers_the_dearest_that_can_be_billed_counts(model, price):
    assert tables.price("litellm", model) == price


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("backend", "model", "prompt"),
    [
        ("openai", "plain-2026-08-06", 3.0),
        ("openai", "ft:plain-2026-08-06:acme::x1", 6.0),
        ("litellm", "plain", 2.0),
        ("litellm", "openai/plain", 2.0),
        ("litellm", "openai/ft:plain-2026-08-06:acme::x1", 6.0),
        ("litellm", "anthropic/claude-old", 2.0),
        ("anthropic", "claude-old", 2.0),
    ],
)
def test_a_name_is_found_whole_without_its_provider_or_without_its_tuning(backend, model, prompt):
    price = tables.price(backend, model)
    assert price
    assert price.prompt == prompt


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("openai", "claude-old"),
        ("anthropic", "plain"),
        ("litellm", "groq/plain"),
        ("litellm", "openrouter/claude-old"),
        ("litellm", "open/plain"),
        ("openai", "openai/plain"),
        ("openai", "ft:plain:acme::x1"),
    ],
)
def test_the_name_of_another_provider_has_another_price(backend, model):
    assert tables.price(backend, model) is None
    assert tables.able(backend, model) is None


# -- capabilities ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_the_table_says_what_it_knows():
    can = tables.able("litellm", "gemini/long")
    assert can
    assert (can.schema, can.images, can.reasoning, can.most, can.source) == (True, True, False, 60000, "table")
    assert can.context == 1060000


def lacks(backend, model):
    can = tables.able(backend, model)
    assert can
    return {name for name in ("n", "temperature", "seed", "stop", "logprobs") if not getattr(can, name)}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("backend", "model", "lacking"),
    [
        ("openai", "plain", set()),
        ("openai", "gpt-7", {"temperature", "stop", "logprobs"}),
        ("openai", "gpt-7-calm", set()),
        ("openai", "gpt-7-pro", {"n", "temperature", "seed", "stop", "logprobs"}),
        ("openai", "plain-search", {"n", "temperature", "seed", "stop", "logprobs"}),
        ("anthropic", "claude-old", {"n", "seed", "logprobs"}),
        ("anthropic", "claude-new", {"n", "seed", "logprobs", "temperature"}),
        ("litellm", "bedrock/far.claude-old", {"n", "seed", "logprobs"}),
        ("litellm", "ollama/mine", {"n", "logprobs"}),
    ],
)
def test_what_a_family_refuses_is_known(backend, model, lacking):
    assert lacks(backend, model) == lacking


@pytest.mark.usefixtures("small")
def test_the_cache_of_claude_needs_marks():
    can = tables.able("anthropic", "claude-old")
    assert can
    assert can.caching == "marked"


@pytest.mark.usefixtures("small")
def test_some_models_answer_the_responses_call_alone():
    assert tables.responses_only("gpt-7-pro")
    assert tables.responses_only("computer")
    assert not tables.responses_only("gpt-7")
    assert not tables.responses_only("never heard of")


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_the_names_are_those_of_models_for_text():
    assert tables.known("anthropic") == ["claude-old", "claude-new"]
    assert "vectors" not in tables.known("openai")
    assert "gemini/long" in tables.known("litellm")


@pytest.mark.usefixtures("small")
def test_a_misspelt_name_has_a_nearest_one():
    assert tables.nearest("anthropic", "claude-odl") == "claude-old"
    assert tables.nearest("litellm", "gemini/lnog") == "gemini/long"
    assert tables.nearest("openai", "qwertz") is None


@pytest.mark.usefixtures("small")
def test_a_name_that_is_right_has_none():
    assert tables.nearest("anthropic", "claude-old") is None


@pytest.mark.usefixtures("small")
def test_the_provider_is_in_front_of_a_name_or_in_the_table():
    names = ("gemini/anything", "claude-old", "never heard of")
    assert [tables.provider(name) for name in names] == ["gemini", "anthropic", ""]


@pytest.mark.usefixtures("absent")
def test_without_litellm_nothing_is_known():
    assert tables.price("openai", "gpt-4o") is None
    assert tables.able("openai", "gpt-4o") is None
    assert list(tables.known("litellm")) == []
    assert tables.nearest("openai", "gpt-4o") is None
    assert not tables.responses_only("gpt-5-pro")


# -- litellm's own ---------------------------------------------------------------------------------


def test_every_entry_that_is_installed_can_be_read():
    """Their fields are of many shapes; a price of 0 is only that of a server of one's own."""
    assert len(tables.known("litellm")) > 1000
    for model in tables.known("litellm"):
        price, can = tables.price("litellm", model), tables.able("litellm", model)
        assert price is None or min(price.prompt, price.completion) > 0 or price == Price(0.0, 0.0)
        assert price is None or price.dearest.prompt >= price.prompt
        assert can
        assert can.source == "table"


def test_the_models_that_everybody_names_are_there():
    assert tables.price("openai", "gpt-4o") == Price(2.5, 10.0, cached=1.25)
    assert lacks("openai", "o3") == {"temperature", "stop", "logprobs"}
    assert lacks("anthropic", "claude-opus-4-7") == {"n", "seed", "logprobs", "temperature"}
    assert lacks("anthropic", "claude-sonnet-4-5") == {"n", "seed", "logprobs"}
    assert tables.responses_only("gpt-5-pro")
    assert not tables.responses_only("gpt-5")
    assert tables.nearest("openai", "gpt4o") == "gpt-4o"


def test_reading_the_tables_does_not_import_litellm():
    code = (
        "import sys; from thoughtgraph.models import tables;"
        "assert tables.price('openai', 'gpt-4o'); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
