"""The options that commands of the command line share, each under one name with one meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from thoughtgraph.model import Price as ModelPrice
from thoughtgraph.retry import Retry

Policy = Annotated[str | None, typer.Option("--policy", help="such as 'mcts(simulations=40, workers=8)'")]
Model = Annotated[str | None, typer.Option("--model", help="backend:model, such as openai:gpt-5-mini")]
Url = Annotated[str | None, typer.Option("--base-url", help="an OpenAI-compatible server of your own")]
ModelFor = Annotated[
    list[str] | None, typer.Option("--model-for", help="another model for one action or critic: value=openai:gpt-5")
]
Price = Annotated[str | None, typer.Option("--price", help="dollars per million tokens: IN,OUT as in 0.25,2")]
Attempts = Annotated[int | None, typer.Option("--attempts", help="HTTP attempts at each request (6)")]
Cache = Annotated[Path | None, typer.Option("--cache", help="a file of paid replies that runs share")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="pay anew, whatever TG_CACHE says")]
Usd = Annotated[float | None, typer.Option("--budget-usd", help="dollars")]
Calls = Annotated[int | None, typer.Option("--budget-calls", help="model calls, each draw one")]
Tokens = Annotated[int | None, typer.Option("--budget-tokens", help="prompt and completion tokens")]
Seconds = Annotated[float | None, typer.Option("--budget-seconds", help="seconds of wall time")]
Expansions = Annotated[int | None, typer.Option("--budget-expansions", help="thoughts expanded")]
Store = Annotated[Path | None, typer.Option("--store", help="the SQLite file of runs (by default your own)")]
NoStore = Annotated[bool, typer.Option("--no-store", help="keep the run in memory only")]
Json = Annotated[bool, typer.Option("--json", help="one line of JSON on standard output, and nothing else")]
Policies = Annotated[list[str] | None, typer.Option("--policy", help="'tot(breadth=5)'; again for more")]
Models = Annotated[list[str] | None, typer.Option("--model", help="backend:model; again for another")]
Draws = Annotated[list[int] | None, typer.Option("--L", help="thoughts drawn a round; again for another")]


class Paying(TypedDict):
    """What `solve` and `resume` share about models and money."""

    models: Mapping[str, str] | None
    price: ModelPrice | None
    retry: Retry | None
    cache: Path | bool | None
