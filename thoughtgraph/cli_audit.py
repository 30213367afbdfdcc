"""What the command `audit` needs: critics as text, rows by file, and where the page goes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Unpack

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.rows import AnyRow, read_rows
from thoughtgraph.recipes.audit import audit
from thoughtgraph.recipes.audit_report import Report
from thoughtgraph.recipes.scoring import Asking

TOLD = {"criteria"}
"""Settings that have no default, and that text can name."""

OBJECTS = ("prompter", "model", "models", "labels")
"""Settings that no text of this kind can name."""


def audited(
    critic: str, files: Sequence[Path], *, page: Path | None = None, seen: Sequence[Path] = (), **how: Unpack[Asking]
) -> Report:
    """The audit of `critic`, a critic's file or a critic as text, on the rows of `files`, written to `page` if named.

    `seen` are files of rows that it was trained on. Everything that can be known to fail does so before it is asked.
    """
    if page is not None and (page.is_dir() or not page.parent.is_dir()):
        what = "is a folder: name a file in it" if page.is_dir() else "has no folder to stand in: make it first"
        raise TaskError(f"the page {str(page)!r:.200} {what}")
    judge = critic_named(critic)
    report = audit(judge, _rows(files), trained=_rows(seen), name="" if _is_file(critic) else critic, **how)
    if page is not None:
        report.page(page)
    return report


def _rows(files: Sequence[Path]) -> list[AnyRow]:
    return [row for file in files for row in read_rows(file)]


def critic_named(text: str) -> object:
    """The critic in a file, or one of the package's by its text, as in `value(samples=3)`; nothing is evaluated.

    `ValueError` tells what there is instead.
    """
    if _is_file(text):
        return load_critic(text)
    name, settings = _read(text)
    known = critics()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"there is no critic {text!r:.200}: {hint}expected a critic's file, or one of {', '.join(known)}"
        )
    return _made(name, known[name], settings)


def critics() -> Mapping[str, Any]:
    """The critics that text can name: those of the package that can be made without an object of one's own."""
    from thoughtgraph import critics as room

    named = ((name, getattr(room, name)) for name in room.__all__)
    return {
        _snake(name): kind
        for name, kind in named
        if isinstance(kind, type) and is_dataclass(kind) and hasattr(kind, "ito") and _told(kind) <= TOLD
    }


def _told(kind: Any) -> set[str]:
    """The settings that must be told."""
    return {one.name for one in fields(kind) if one.init and one.default is MISSING and one.default_factory is MISSING}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and place else c.lower() for place, c in enumerate(name))


def _is_file(text: str) -> bool:
    try:
        return text.endswith(".json") or Path(text).is_file()
    except OSError:  # too long for a file's name
        return False


def _read(text: str) -> tuple[str, dict[str, Any]]:
    """A name with settings that are literals."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
            return node.func.id, {str(word.arg): ast.literal_eval(word.value) for word in _named(node)}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise ValueError(f"{text!r:.200} is no critic: expected its file, or a name with settings, as in value(samples=3)")


def _named(call: ast.Call) -> list[ast.keyword]:
    if any(word.arg is None for word in call.keywords):
        raise ValueError("settings by ** have no names")
    return call.keywords


def _made(name: str, kind: Any, settings: Mapping[str, Any]) -> object:
    known = [one.name for one in fields(kind) if one.init and one.name not in OBJECTS]
    for setting in settings:
        if setting not in known:
            near = get_close_matches(setting, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{name} has no setting {setting!r} in text: {hint}it has {', '.join(known)}")
    if lacking := _told(kind) - settings.keys():
        raise ValueError(
            f"{name} needs {min(lacking)}, as in {name}({min(lacking)}={{'sound': 'Is each step right?'}})"
        )
    try:
        return kind(**settings)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
