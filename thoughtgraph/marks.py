"""Marks: what something is, in words that two processes agree on. A run is resumed only with what it was made with."""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast


def mark(thing: object) -> str:
    """A short, readable, reproducible description: settings by value, functions by name and a hash of their source.

    >>> mark(("a", 1))
    "('a', 1)"
    """
    if isinstance(thing, types.FunctionType):
        return _function(thing)
    if isinstance(thing, types.MethodType):
        return f"{mark(thing.__self__)}.{thing.__name__}"
    if isinstance(thing, functools.partial):
        partial = cast("functools.partial[Any]", thing)
        return f"partial({mark(partial.func)}, {mark(partial.args)}, {mark(partial.keywords)})"
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    return _value(thing)


def _value(thing: object) -> str:
    if is_dataclass(thing):
        shown = ", ".join(f"{f.name}={mark(getattr(thing, f.name))}" for f in fields(thing) if f.repr)
        return f"{type(thing).__name__}({shown})"
    if isinstance(thing, Mapping):
        items = cast("Mapping[Any, Any]", thing).items()
        return "{" + ", ".join(f"{key!r}: {mark(value)}" for key, value in items) + "}"
    if isinstance(thing, list | tuple):
        inner = ", ".join(mark(item) for item in cast("list[Any]", thing))
        return f"[{inner}]" if isinstance(thing, list) else f"({inner})"
    if thing is None or isinstance(thing, str | bytes | int | float | complex):
        return repr(thing)
    if isinstance(thing, set | frozenset):
        return "{" + ", ".join(sorted(mark(item) for item in cast("set[Any]", thing))) + "}"
    return _object(thing)


def _object(thing: object) -> str:
    """An object is its `name` if it has one (a model), else its type and what its repr says, if that has no address."""
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return f"{type(thing).__name__} {name}"
    shown = repr(thing)
    return shown if " at 0x" not in shown else f"{type(thing).__module__}.{type(thing).__qualname__}"


def _function(function: types.FunctionType) -> str:
    source = _source(function.__code__)
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    source += _place(function.__code__) if function.__name__ == "<lambda>" else ""
    body = f"{source} {mark(function.__defaults__)} {mark(function.__kwdefaults__)} {cells}"
    return f"{function.__module__}.{function.__qualname__}#{short(body)}"


@functools.lru_cache(maxsize=1024)
def _source(code: types.CodeType) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return f"{code.co_code.hex()} {code.co_names}"


def _place(code: types.CodeType) -> str:
    """Where a lambda ends in its lines: several may share them, and the source of each is the whole of it."""
    ends = [(end - code.co_firstlineno, column) for _, end, _, column in code.co_positions() if end and column]
    return f" {max(ends, default=())}"


def _cell(cell: types.CellType) -> str:
    try:
        inside: object = cell.cell_contents
    except ValueError:
        return "empty"
    if isinstance(inside, types.FunctionType) and inside.__closure__:
        return "itself"
    kind = type(inside)
    return kind.__name__ if kind in (list, dict, set) else mark(inside)  # a cache or a counter is no setting


def short(text: str) -> str:
    """An eight-character hash."""
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
