"""What real providers do when they are asked: for money, under five cents each, and only on request.

    python -m pytest -m live -s

Each is skipped without its key. TG_LIVE_OPENAI, TG_LIVE_ANTHROPIC and TG_LIVE_LITELLM name other models.
"""

import os
from dataclasses import replace

import pytest
from rich.console import Console

from thoughtgraph.api import as_model
from thoughtgraph.budget import Usage
from thoughtgraph.doctor import Report, checkup, probe, versions, worst
from thoughtgraph.models import tables

pytestmark = pytest.mark.live

MOST = 0.05
"""Dollars."""

CHEAP = {
    "openai": "openai:gpt-4.1-nano",
    "anthropic": "anthropic:claude-haiku-4-5",
    "litellm": "litellm:gemini/gemini-2.5-flash-lite",
}


@pytest.mark.parametrize("provider", CHEAP)
async def test_a_provider_does_what_it_is_asked_for_a_few_cents(provider: str, capsys: pytest.CaptureFixture[str]):
    model = as_model(os.environ.get(f"TG_LIVE_{provider.upper()}") or CHEAP[provider])
    assert model is not None
    known = checkup(model)
    if known.key != "found":
        pytest.skip(f"{model.name}: {known.missing or known.key}")
    most = worst(model)
    assert most.usd is not None, f"the price of {model.name} is not known: name another model"
    assert most.usd < MOST

    findings = await probe(model)

    with capsys.disabled():
        report = Report(versions(), len(tables.known("litellm")), (replace(known, findings=tuple(findings)),))
        Console().print("", *report.shown(), sep="\n")
    spent = sum((found.usage for found in findings), Usage())
    assert spent.usd is not None
    assert spent.usd <= most.usd
    told = {found.what: found for found in findings}
    assert told["answer"].ok, told["answer"].said
    assert told["usage"].ok, told["usage"].said
