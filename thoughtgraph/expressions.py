"""Policies as text, `mcts(simulations=40, workers=8)`: read without evaluating anything, written back the same."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from importlib import import_module
from math import isfinite
from typing import Any, cast

from thoughtgraph.verbs import ALL, Policy

NAMES: Mapping[str, str] = {
    "direct": "Direct",
    "cot": "CoT",
    "best_of_n": "BestOfN",
    "sequential_halving": "SequentialHalving",
    "self_consistency": "SelfConsistency",
    "usc": "USC",
    "beam": "Beam",
    "lookahead": "Lookahead",
    "dvts": "DVTS",
    "particle_filter": "ParticleFilter",
    "particle_gibbs": "ParticleGibbs",
    "tot": "ToT",
    "dfs": "DFS",
    "best_first": "BestFirst",
    "mcts": "MCTS",
    "lats": "LATS",
    "ab_mcts": "ABMCTS",
    "ab_mcts_m": "ABMCTSM",
    "mctsr": "MCTSr",
    "rstar": "RStar",
    "got": "GoT",
    "rag": "Rag",
    "ircot": "IRCoT",
    "ratp": "RATP",
    "commit": "Commit",
    "auto": "Auto",
    "monte_carlo": "MonteCarlo",
    "omega": "Omega",
    "labelled": "Labelled",
}
"""What a policy is called in text, and its class in `thoughtgraph.search`."""


def parse(text: str) -> Policy:
    """The policy that `text` names, with the settings it gives; `ValueError` tells what there is instead."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _no_policy(text) from None
    try:
        return _policy(node, text)
    except RecursionError:  # policies in policies in policies
        raise _no_policy(text) from None


def expression(policy: object) -> str | None:
    """The text that `parse` makes this very policy from; None for a policy that text cannot name."""
    name = next((name for name, cls in NAMES.items() if type(policy).__name__ == cls), None)
    if name is None or not type(policy).__module__.startswith("thoughtgraph.search."):
        return None
    known = [(f.name, _default(f), getattr(policy, f.name)) for f in fields(cast("Any", policy))]
    written = [(field, _written(value)) for field, default, value in known if value != default]
    if any(text is None for _, text in written):
        return None
    said = ", ".join(f"{field}={text}" for field, text in written)
    return f"{name}({said})" if said else name


def signature(name: str) -> str:
    """The fields of a policy with their defaults, as text."""
    known = [(f.name, _default(f)) for f in fields(_cls(name))]
    shown = (f"{field}={'all' if default == ALL else _written(default)}" for field, default in known)
    return f"{name}({', '.join(shown)})"


@dataclass(frozen=True)
class Entry:
    """A policy that text can name: its fields with their defaults, what it does and its paper, what a run costs."""

    name: str
    signature: str
    says: str
    cost: str


def catalogue() -> list[Entry]:
    """Every policy that text can name, the simplest first."""
    return [Entry(name, signature(name), _says(name), _cost(name)) for name in NAMES]


def _says(name: str) -> str:
    """The first line of the policy's file."""
    found = inspect.getdoc(import_module(_cls(name).__module__)) or ""
    return found.partition("\n")[0]


def _cost(name: str) -> str:
    """What the docstring says behind "Cost:"."""
    found = re.search(r"\bCost: (.*?)(?:\n\n|\Z)", inspect.getdoc(_cls(name)) or "", re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _cls(name: str) -> Any:
    return getattr(import_module("thoughtgraph.search"), NAMES[name])


def _default(field: Any) -> Any:
    return field.default_factory() if field.default is MISSING else field.default


def _written(value: object) -> str | None:
    """A setting as text; None for what text cannot say."""
    several = isinstance(value, tuple)
    items: tuple[object, ...] = cast("Any", value) if several else (value,)
    plain = all(item is None or isinstance(item, int | float | str) for item in items)
    return repr(value) if plain else expression(value)


def _no_policy(text: str) -> ValueError:
    return ValueError(f"{text!r:.200} is no policy: expected a name, or one with settings, as in mcts(simulations=40)")


def _policy(node: ast.expr, text: str) -> Policy:
    name, settings = _read(node, text)
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no policy {name!r}: {hint}expected one of {', '.join(NAMES)}")
    return _make(name, settings)


def _read(node: ast.expr, text: str) -> tuple[str, dict[str, Any]]:
    if isinstance(node, ast.Name):
        return node.id, {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise _no_policy(text)
    settings: dict[str, Any] = {}
    for word in node.keywords:
        if word.arg is None or word.arg in settings:
            raise ValueError(f"{text!r:.200}: expected settings as name=value, each name once")
        settings[word.arg] = _setting(word.value, text)
    return node.func.id, settings


def _setting(node: ast.expr, text: str) -> Any:
    """A number, a text, None, several of them, `all` (as signatures write it), or another policy."""
    if isinstance(node, ast.Name) and node.id == "all":
        return ALL
    if isinstance(node, ast.Call | ast.Name):
        return _policy(node, text)
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_literal(item, text) for item in node.elts)
    return _literal(node, text)


def _literal(node: ast.expr, text: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(
            f"{text!r:.200}: expected each setting to be a number, a text, None, or several in brackets"
        ) from None
    if not isinstance(value, int | float | str | None) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError(f"{text!r:.200}: {value!r:.80} is no number, text or None")  # one kind of error
    return value


def _make(name: str, settings: dict[str, Any]) -> Policy:
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(_cls(name))]
    for setting in settings:
        if setting not in known:
            near = get_close_matches(setting, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{name} has no setting {setting!r}: {hint}it is {signature(name)}")
    try:
        return TypeAdapter(_cls(name), config=None).validate_python(settings, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        found = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}: {where}{found}; it is {signature(name)}") from None
