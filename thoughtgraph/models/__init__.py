"""Language models. Each is one transport attempt a call: the engine retries, counts and records, once, for all of them.

Names are loaded on first use, so that importing this room loads neither aiohttp nor an SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thoughtgraph.models.anthropic import Anthropic
    from thoughtgraph.models.cassette import Cassette
    from thoughtgraph.models.compatible import Compatible
    from thoughtgraph.models.litellm import LiteLLM
    from thoughtgraph.models.local import Local, load
    from thoughtgraph.models.openai import OpenAI
    from thoughtgraph.models.scripted import Scripted
    from thoughtgraph.models.transformers import Transformers

__all__ = ["Anthropic", "Cassette", "Compatible", "LiteLLM", "Local", "OpenAI", "Scripted", "Transformers", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: expected one of {', '.join(__all__)}")
    home = "local" if name == "load" else name.lower()
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
