"""The law of imports, as a table; a light front door; and a docstring for everything that is public."""

import ast
import graphlib
import inspect
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

import thoughtgraph
from thoughtgraph.expressions import NAMES

PACKAGE = Path(__file__).parent.parent / "thoughtgraph"

# -- the law -------------------------------------------------------------------------------------------------------

# Lowest first: a file imports those before it.
CORE = (
    "version", "errors", "statistics", "marks", "replies", "labels", "thought", "environment", "prompt", "graph",
    "sources", "model", "retry", "endpoint", "perloop", "posting", "pace", "deadline", "fit", "structured",
    "database", "cache", "outcomes", "state", "protocols", "task", "answers", "budget", "verbs", "contracts", "trace",
    "result", "store", "forgetting", "stepper", "errand", "books", "acts", "attempt", "calls", "account", "engine",
    "expressions", "forecast", "api", "picking", "comparison", "findings", "lineup", "comparing",
)  # fmt: skip
BELOW_ENGINE = CORE[: CORE.index("engine")]
ROOMS = ("search", "critics", "learning", "generators", "retrieval", "models")
ASSEMBLIES = ("tasks", "recipes")
DOORS = (
    "__init__",
    "__main__",
    "cli",
    "cli_audit",
    "cli_compare",
    "cli_knowledge",
    "cli_learning",
    "demo",
    "doctor",
    "options",
    "render",
    "terminal",
    "testing",
)

# Who may import what. A name is a file of the package or a room with all its files; a room may import itself.
LAW: dict[str, set[str]] = {
    **{file: set(CORE[:place]) for place, file in enumerate(CORE)},
    "answers": {"thought", "graph", "task"},
    "expressions": {*BELOW_ENGINE, "search"},
    "api": {*CORE, *ROOMS, "tasks"},  # rooms and tasks only inside functions, see LAZY
    "comparing": {*CORE, "tasks"},
    **{room: {*BELOW_ENGINE, room} for room in ROOMS},
    "tasks": {*BELOW_ENGINE, *ROOMS, "tasks"},
    "recipes": {*CORE, *ROOMS, "tasks", "recipes"},
    **{door: {*CORE, *ROOMS, *ASSEMBLIES, *DOORS} for door in DOORS},
}

# Who may import rooms, tasks and recipes only when they are used.
LAZY = {"api", "comparing", "expressions", "__init__"}

# What `import thoughtgraph` must not load.
HEAVY = {
    "aiohttp", "anthropic", "datasets", "lightgbm", "litellm", "matplotlib", "networkx", "numpy", "openai", "rich",
    "scipy", "sentence_transformers", "sklearn", "tenacity", "torch", "transformers", "trl", "typer",
}  # fmt: skip


# -- reading the imports -------------------------------------------------------------------------------------------


class Import(NamedTuple):
    """One import of one of the package's modules by another."""

    importer: str
    imported: str
    line: int
    lazy: bool
    """It happens when a function runs, or for types only."""

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}, imports {self.imported}"


def name_of(path: Path) -> str:
    """`search.mcts` for thoughtgraph/search/mcts.py, `search` for its __init__.py, `__init__` for the package's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def place(module: str) -> str:
    """The entry of the table that a module falls under: its room, or itself."""
    return module.partition(".")[0]


def module_named(dotted: str) -> str | None:
    """The package's module that holds `dotted`, an absolute name of a module or of something in one."""
    if dotted == "thoughtgraph":
        return "__init__"
    if not dotted.startswith("thoughtgraph."):
        return None
    name = dotted.removeprefix("thoughtgraph.")
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name or "__init__"


def names_in(node: ast.AST, importer: str) -> list[str]:
    """The absolute names that one node imports: statements, and `import_module("...")`."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=0):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            is_package = FILES[importer].name == "__init__.py"
            here = [] if importer == "__init__" else importer.split(".")
            base = ["thoughtgraph", *here[: len(here) - level + (1 if is_package and here else 0)]]
            return [".".join([*base, *filter(None, [module]), alias.name]) for alias in names]
        case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
            return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        case _:
            return []


def nodes(tree: ast.AST, *, lazy: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below `tree`, and whether it runs only in a function or stands only for types."""
    for node in ast.iter_child_nodes(tree):
        yield node, lazy
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from nodes(node, lazy=lazy or later or types)


def imports_of(importer: str, source: str) -> list[Import]:
    found = [
        Import(importer, module, getattr(node, "lineno", 0), lazy)
        for node, lazy in nodes(ast.parse(source))
        for dotted in names_in(node, importer)
        if (module := module_named(dotted)) is not None and module != importer
    ]
    return sorted(set(found))


IMPORTS = [found for name, path in FILES.items() for found in imports_of(name, path.read_text(encoding="utf-8"))]


def against_the_law(found: list[Import]) -> list[str]:
    return [str(one) for one in found if place(one.imported) not in LAW[place(one.importer)]]


# -- the tests -----------------------------------------------------------------------------------------------------


def test_every_file_of_the_package_has_a_place_in_the_law():
    assert sorted({place(name) for name in FILES} - LAW.keys()) == []


def test_the_law_names_no_core_file_that_is_gone():
    assert sorted({*CORE} - FILES.keys()) == []


def test_nobody_imports_what_the_law_does_not_allow():
    broken = against_the_law(IMPORTS)
    assert not broken, "\n".join(broken)


def test_the_front_imports_rooms_only_when_they_are_used():
    rooms = {*ROOMS, *ASSEMBLIES}
    of_the_front = [one for one in IMPORTS if place(one.importer) in LAZY and place(one.imported) in rooms]
    eager = [str(one) for one in of_the_front if not one.lazy]
    assert not eager, "\n".join(eager)


def test_the_modules_import_each_other_in_no_circle():
    below: dict[str, set[str]] = {}
    for one in IMPORTS:
        below.setdefault(one.importer, set()).add(one.imported)
    try:
        graphlib.TopologicalSorter(below).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]), pytrace=False)


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("search", "import thoughtgraph.critics"),
        ("search", "from thoughtgraph import engine"),
        ("search", "from thoughtgraph.engine import Engine"),
        ("search", "from ..critics import value"),
        ("search", "def lazily():\n    from thoughtgraph.models import openai"),
        ("search", "if TYPE_CHECKING:\n    from thoughtgraph.api import Result"),
        ("search", "importlib.import_module('thoughtgraph.tasks')"),
        ("search", "import thoughtgraph as tg"),
        ("thought", "from .graph import ThoughtGraph"),
        ("answers", "from thoughtgraph.budget import Usage"),
        ("tasks", "from thoughtgraph.recipes import eureka"),
    ],
)
def test_the_law_sees_an_import_however_it_is_written(importer: str, line: str, monkeypatch: pytest.MonkeyPatch):
    everything = {f"{name}": PACKAGE / f"{name}.py" for name in CORE} | {
        f"{room}": PACKAGE / room / "__init__.py" for room in (*ROOMS, *ASSEMBLIES)
    }
    monkeypatch.setattr(sys.modules[__name__], "FILES", everything)
    assert against_the_law(imports_of(importer, line)) != []


def test_import_thoughtgraph_loads_nothing_heavy(tmp_path: Path):
    code = "import json, sys, thoughtgraph; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(loaded.stdout)) == set()


def test_the_version_is_the_same_in_the_package_and_in_its_metadata():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert thoughtgraph.__version__ == project["version"]


def test_every_public_name_has_a_docstring():
    public = {name: getattr(thoughtgraph, name) for name in thoughtgraph.__all__}
    explained = {name: value for name, value in public.items() if callable(value) or inspect.ismodule(value)}
    assert [name for name, value in explained.items() if not says_something(name, value.__doc__)] == []


def test_every_public_class_and_function_has_a_docstring():
    assert [name for path in FILES.values() for name in without_docstring(path)] == []


def says_something(name: str, doc: str | None) -> bool:
    """A dataclass without a docstring gets its signature for one."""
    return bool(doc and doc.strip() and not doc.startswith(f"{name}("))


def without_docstring(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    public = [node for node in named if not node.name.startswith("_")]
    bare = [f"{name_of(path)}.{node.name}" for node in public if not ast.get_docstring(node)]
    return bare if ast.get_docstring(tree) or not tree.body else [name_of(path), *bare]


# -- small policies ------------------------------------------------------------------------------------------------


def lines_of_code(source: str) -> int:
    """Lines that are neither blank, nor a comment, nor within a docstring."""
    tree, prose = ast.parse(source), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") and n not in prose for n, line in lines)


def test_policies_are_small():
    files = {name: path for name, path in FILES.items() if name.startswith("search.")}
    sizes = {name: lines_of_code(path.read_text(encoding="utf-8")) for name, path in files.items()}
    assert {name: size for name, size in sizes.items() if size > 120} == {}
    homes = (getattr(thoughtgraph.search, cls).__module__ for cls in NAMES.values())
    assert median(sizes[home.removeprefix("thoughtgraph.")] for home in homes) < 50
