"""Marks: what something is, in words that two processes agree on. A run is resumed only with what it was made with."""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias, cast

Seen: TypeAlias = dict[int, tuple[object, str]]
"""What was marked on the way, by identity. The object is held, so that no other one takes its id meanwhile."""

PLAIN = (str, bytes, int, float, complex, types.NoneType)
"""What is shown by its repr."""

CONSTANTS = (str, bytes, int, float, complex, tuple, frozenset)
"""What counts as a setting where a function names it in its module; a list or a dict there is a cache or a registry."""

CALLED = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial, type)
"""What counts as a setting, besides constants, dataclasses and models, where an object holds it."""

CACHED = type(functools.cache(len))
"""What `functools.cache` and `lru_cache` make of a function."""

BEGINNINGS = ("__init__", "__new__", "__post_init__", "__setstate__")
"""The methods that set settings. What any other method sets is state."""


def mark(thing: object) -> str:
    """A short, readable, reproducible description: settings by value, functions by name and a hash of their source.

    Settings are what is there from the beginning. A cache or a counter is none: a mutable container that an object or
    a closure holds, a private attribute, and whatever the code itself sets anew stay out, or no run could go on with
    the objects that it was begun with.

    >>> mark(("a", 1))
    "('a', 1)"
    """
    return _mark(thing, {})


def _mark(thing: object, seen: Seen) -> str:
    """The mark, worked out once for each object; where something holds itself, its name stands for it."""
    if isinstance(thing, PLAIN) and not isinstance(thing, enum.Enum):
        return repr(thing)
    if id(thing) not in seen:
        seen[id(thing)] = (thing, f"this {_name(thing if isinstance(thing, types.FunctionType) else type(thing))}")
        seen[id(thing)] = (thing, _called(thing, seen) or _value(thing, seen))
    return seen[id(thing)][1]


def _called(thing: object, seen: Seen) -> str:
    """The mark of something made to be called, "" for anything else."""
    if isinstance(thing, types.FunctionType):
        return f"{_name(thing)}#{_hash(thing, seen)}"
    if isinstance(thing, types.MethodType):
        body = f"#{_hash(thing.__func__, seen)}" if isinstance(thing.__func__, types.FunctionType) else ""
        return f"{_mark(thing.__self__, seen)}.{thing.__name__}{body}"
    if isinstance(thing, types.BuiltinMethodType) and not isinstance(thing.__self__, types.ModuleType | None):
        return f"{_mark(thing.__self__, seen)}.{thing.__name__}"
    if isinstance(thing, functools.partial):
        partial = cast("functools.partial[Any]", thing)
        told = ", ".join(_mark(part, seen) for part in (partial.func, partial.args, partial.keywords))
        return f"partial({told})"
    if isinstance(thing, type):
        form = f"#{short(repr(cast('Any', thing).model_json_schema()))}" if hasattr(thing, "model_json_schema") else ""
        return f"{thing.__module__}.{thing.__qualname__}{form}"
    return f"cached {_mark(inside, seen)}" if (inside := _wrapped(thing)) is not thing else ""


def _value(thing: object, seen: Seen) -> str:
    if is_dataclass(thing):
        shown = ", ".join(f"{f.name}={_mark(getattr(thing, f.name), seen)}" for f in fields(thing) if f.repr)
        return f"{_kind(thing)}({shown})"
    if isinstance(thing, Mapping):
        items = cast("Mapping[Any, Any]", thing).items()
        return "{" + ", ".join(f"{_mark(key, seen)}: {_mark(value, seen)}" for key, value in items) + "}"
    if isinstance(thing, list | tuple):
        inner = ", ".join(_mark(item, seen) for item in cast("Sequence[Any]", thing))
        return f"[{inner}]" if isinstance(thing, list) else f"({inner})"
    if isinstance(thing, set | frozenset):  # each item by itself: no mark may hang on which of them came first
        return "{" + ", ".join(sorted(_mark(item, dict(seen)) for item in cast("set[Any]", thing))) + "}"
    if isinstance(thing, enum.Enum):
        return f"{_kind(thing)}.{thing.name}"
    return _object(thing, seen)


# -- objects -----------------------------------------------------------------------------------------------------


def _object(thing: object, seen: Seen) -> str:
    """A model is its name, whoever wraps it; another object its type, with its name and its settings if it has them."""
    if _is_model(thing):
        return f"{_kind(thing)} {cast('Any', thing).name}"
    shown = ", ".join(f"{name}={_mark(value, seen)}" for name, value in _settings(thing))
    name = getattr(thing, "name", None)
    named = f" {name}" if isinstance(name, str) and "name" not in _attributes(thing) else ""
    return _kind(thing) + named + (f"({shown})" if shown else _repr(thing))


def _settings(thing: object) -> Iterator[tuple[str, object]]:
    """The public attributes that say how an object works, in the order of their names, and nothing that moves."""
    state = _state(type(thing))
    for name, value in sorted(_attributes(thing).items()):
        if _is_setting(value) and not name.startswith("_") and name not in state:
            yield name, value


def _is_setting(value: object) -> bool:
    return (
        isinstance(value, (*PLAIN, *CONSTANTS, *CALLED, CACHED, enum.Enum)) or is_dataclass(value) or _is_model(value)
    )


def _attributes(thing: object) -> dict[str, object]:
    """What stands in an object itself: its `__dict__` and its slots."""
    slots: list[str] = []
    for cls in type(thing).__mro__:
        named: str | Sequence[str] = vars(cls).get("__slots__", ())
        slots += [named] if isinstance(named, str) else named
    inside: dict[str, object] = dict(getattr(thing, "__dict__", {}))
    return inside | {name: getattr(thing, name) for name in slots if not name.startswith("_") and hasattr(thing, name)}


@functools.lru_cache(maxsize=256)
def _state(cls: type) -> frozenset[str]:
    """The attributes that a class's methods set later on."""
    methods = {name: _wrapped(method) for base in cls.__mro__ for name, method in vars(base).items()}
    bodies = [m for name, m in methods.items() if isinstance(m, types.FunctionType) and name not in BEGINNINGS]
    return frozenset(name for body in bodies for name in _named(body.__code__, ("STORE_ATTR", "DELETE_ATTR")))


def _is_model(thing: object) -> bool:
    return not isinstance(thing, type) and isinstance(getattr(thing, "name", None), str) and hasattr(thing, "defaults")


def _repr(thing: object) -> str:
    """The standard library's values (a path, a date, a pattern) say what they are; no other repr is trusted."""
    cls = type(thing)
    by_value = cls.__hash__ is not object.__hash__ and cast("object", cls.__hash__) is not None
    shown = repr(thing) if by_value and cls.__module__.partition(".")[0] in sys.stdlib_module_names else ""
    return f"({shown})" if shown and " at 0x" not in shown else ""


def _kind(thing: object) -> str:
    return _name(type(thing))


def _name(thing: type | types.FunctionType) -> str:
    """The full name, so that no two are taken for each other; thoughtgraph's own classes go by the short one."""
    own = isinstance(thing, type) and thing.__module__.partition(".")[0] == "thoughtgraph"
    return thing.__qualname__ if own else f"{thing.__module__}.{thing.__qualname__}"


# -- functions ---------------------------------------------------------------------------------------------------


def _hash(function: types.FunctionType, seen: Seen) -> str:
    """A hash of all that a function says: its own text and that of the helpers which it calls in its module."""
    return short(" ".join(_body(member, seen) for member in _family(function)))


def _family(function: types.FunctionType) -> list[types.FunctionType]:
    """The function, and those of its own module that it names, that these name, and so on."""
    members = [function]
    for member in members:  # grows while it is walked
        members += [helper for _, helper in _global(member, types.FunctionType) if helper not in members]
    return members


def _body(function: types.FunctionType, seen: Seen) -> str:
    code = function.__code__
    source = _source(code, code.co_filename)
    source += _place(code) if function.__name__ == "<lambda>" else ""
    constants = [f"{name}={_mark(value, seen)}" for name, value in _global(function, CONSTANTS)]
    defaults = f"{_mark(function.__defaults__, seen)} {_mark(function.__kwdefaults__, seen)}"
    return f"{source} {defaults} {_cells(function, seen)} {constants}"


def _global(function: types.FunctionType, kinds: type | tuple[type, ...]) -> list[tuple[str, Any]]:
    """What a function names in its module, of some kinds; a function only if the module is also its own."""
    known = function.__globals__
    found = [(name, _wrapped(known[name])) for name in _read(function.__code__) if name in known]
    return [
        (name, value)
        for name, value in found
        if isinstance(value, kinds)
        and (not isinstance(value, types.FunctionType) or value.__module__ == function.__module__)
    ]


@functools.lru_cache(maxsize=1024)
def _read(code: types.CodeType) -> tuple[str, ...]:
    """The globals that code reads and never sets, sorted; `__name__` and `__file__` tell where it runs, not how."""
    read = _named(code, ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
    moved = _named(code, ("STORE_GLOBAL", "DELETE_GLOBAL"))
    return tuple(sorted(name for name in read - moved if not name.startswith("__")))


@functools.lru_cache(maxsize=4096)
def _named(code: types.CodeType, operations: tuple[str, ...]) -> frozenset[str]:
    """The names that code and the code inside it use in these operations."""
    own = frozenset(str(step.argval) for step in dis.get_instructions(code) if step.opname in operations)
    return own.union(*(_named(const, operations) for const in code.co_consts if isinstance(const, types.CodeType)))


@functools.lru_cache(maxsize=1024)
def _source(code: types.CodeType, filename: str) -> str:
    """The text of a function, or what it was compiled to; equal code in two files is no reason to mix them up.

    What is called "<string>" has no text of its own: Python 3.13 has one there, that of `python -c`.
    """
    if filename == "<string>":
        return _compiled(code)
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return _compiled(code)


def _compiled(code: types.CodeType) -> str:
    consts = [_compiled(const) if isinstance(const, types.CodeType) else mark(const) for const in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def _place(code: types.CodeType) -> str:
    """Where a lambda ends in its lines: several may share them, and the source of each is the whole of it."""
    ends = [(end - code.co_firstlineno, column) for _, end, _, column in code.co_positions() if end and column]
    return f" {max(ends, default=())}"


def _cells(function: types.FunctionType, seen: Seen) -> list[str]:
    """What a function encloses, but for what it sets itself."""
    moved = _named(function.__code__, ("STORE_DEREF", "DELETE_DEREF"))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return ["state" if name in moved else _cell(cell, seen) for name, cell in cells]


def _cell(cell: types.CellType, seen: Seen) -> str:
    try:
        inside: object = cell.cell_contents
    except ValueError:
        return "empty"
    kind = type(inside)
    return kind.__name__ if kind in (list, dict, set) else _mark(inside, seen)  # a cache or a counter is no setting


def _wrapped(thing: object) -> object:
    """The function in a cache; anything else is itself."""
    return cast("Any", thing).__wrapped__ if isinstance(thing, CACHED) else thing


def short(text: str) -> str:
    """An eight-character hash."""
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
