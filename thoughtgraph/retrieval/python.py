"""Python as sections: each class and function under its name, with the comments and decorators above it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

from thoughtgraph.retrieval.documents import Section
from thoughtgraph.retrieval.outline import Parsed, titled

Line: TypeAlias = tuple[int, tuple[str, ...]]
"""A line, counted from 0, where a section begins, and its path."""

NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_python(text: str) -> Parsed:
    """The text as it is. What Python cannot parse is one section, and cut at blank lines."""
    try:
        with warnings.catch_warnings():  # of escapes in other people's strings
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Parsed(text, (Section(0, len(text), (), "code"),) if text else ())
    lines = text.split("\n")
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]
    starts = [(min(offsets[line], len(text)), path) for line, path in _parts(tree.body, lines, (), 0)]
    edges = [(0, ()), *starts, (len(text), ())]
    sections = [Section(start, end, path, "code") for (start, path), (end, _) in pairwise(edges) if start < end]
    return Parsed(text, tuple(sections), titled(ast.get_docstring(tree) or ""))


def _parts(body: Sequence[ast.stmt], lines: Sequence[str], path: tuple[str, ...], after: int) -> Iterator[Line]:
    """Where each class and function of `body` begins, and what follows it; a class has parts of its own."""
    for node in body:
        if isinstance(node, NAMED):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            yield _top(first, lines, after), (*path, node.name)
            if isinstance(node, ast.ClassDef):
                yield from _parts(node.body, lines, (*path, node.name), node.lineno)
            yield _below(node.end_lineno or node.lineno, lines), path
        after = node.end_lineno or after


def _top(line: int, lines: Sequence[str], after: int) -> int:
    """The first line of the comments that stand right above a line."""
    while line > after and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _below(line: int, lines: Sequence[str]) -> int:
    """The first line after the blank ones."""
    while line < len(lines) and not lines[line].strip():
        line += 1
    return line
