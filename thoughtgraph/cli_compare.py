"""What the commands `compare` and `policies` need: problems by the line, progress, and the policies there are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from thoughtgraph.errors import TaskError
from thoughtgraph.expressions import Entry, catalogue


def problems(words: Sequence[str]) -> list[str]:
    """Problems as they are named: `@FILE` stands for the lines of a file, `-` for those of standard input."""
    return [problem for word in words for problem in (_lines(word) if word[:1] == "@" or word == "-" else [word])]


def _lines(word: str) -> list[str]:
    try:
        text = sys.stdin.read() if word == "-" else Path(word[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{word[1:]} cannot be read ({error}): expected a file with a problem on each line") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise TaskError(f"{word} holds no problem: expected one on each line")
    return found


def described(name: str | None) -> list[Entry]:
    """The policies there are, or the one of this name; `ValueError` with the nearest where there is none."""
    entries = catalogue()
    if name is None:
        return entries
    names = [entry.name for entry in entries]
    if name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no policy {name!r:.80}: {hint}expected one of {', '.join(names)}")
    return [entry for entry in entries if entry.name == name]
