"""Policies as text, `mcts(simulations=40, workers=8)`: read without evaluating anything, written back the same."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from importlib import import_module
from math import isfinite
from typing import Any, cast

from thoughtgraph.verbs import ALL, Policy

NAMES: Mapping[str, str] = {
    "direct": "Direct",
    "cot": "CoT",
    "best_of_n": "BestOfN",
    "self_consistency": "SelfConsistency",
    "tot": "ToT",
    "dfs": "DFS",
    "best_first": "BestFirst",
    "mcts": "MCTS",
}
"""What a policy is called in text, and its class in `thoughtgraph.search`."""


def parse(text: str) -> Policy:
    """The policy that `text` names, with the settings it gives; `ValueError` tells what there is instead."""
    name, settings = _read(text)
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no policy {name!r}: {hint}expected one of {', '.join(NAMES)}")
    return _make(name, settings)


def expression(policy: object) -> str | None:
    """The text that `parse` makes this very policy from; None for a policy that text cannot name."""
    name = next((name for name, cls in NAMES.items() if type(policy).__name__ == cls), None)
    if name is None or not type(policy).__module__.startswith("thoughtgraph.search."):
        return None
    known = [(f.name, f.default, getattr(policy, f.name)) for f in fields(cast("Any", policy))]
    said = ", ".join(f"{field}={value!r}" for field, default, value in known if value != default)
    return f"{name}({said})" if said else name


def signature(name: str) -> str:
    """The fields of a policy with their defaults, as text."""
    known = [(f.name, f.default) for f in fields(_cls(name)) if f.default is not MISSING]
    shown = (f"{field}={'all' if default == ALL else repr(default)}" for field, default in known)
    return f"{name}({', '.join(shown)})"


def _cls(name: str) -> Any:
    return getattr(import_module("thoughtgraph.search"), NAMES[name])


def _read(text: str) -> tuple[str, dict[str, Any]]:
    wrong = ValueError(f"{text!r:.200} is no policy: expected a name, or one with settings, as in mcts(simulations=40)")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise wrong from None
    if isinstance(node, ast.Name):
        return node.id, {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise wrong
    settings: dict[str, Any] = {}
    for word in node.keywords:
        if word.arg is None or word.arg in settings:
            raise ValueError(f"{text!r:.200}: expected settings as name=value, each name once")
        settings[word.arg] = _literal(word.value, text)
    return node.func.id, settings


def _literal(node: ast.expr, text: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{text!r:.200}: expected each setting to be a number, a text or None") from None
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
        return TypeAdapter(_cls(name)).validate_python(settings, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        found = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}: {where}{found}; it is {signature(name)}") from None
