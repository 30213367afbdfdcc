"""What the documents say is run: every block of Python, and every example as it stands, with no key."""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from loopback import Loopback

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
KEYS = (
    "OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE",
    "ANTHROPIC_BASE_URL", "TG_MODEL", "TG_CACHE",
)  # fmt: skip
TEST_COMMAND = 'python -m pip install -e ".[dev]" && python -m pytest'

# A fence may be indented, under a bullet. Its words after `python` say how it is treated: `no-run` is only compiled.
FENCE = re.compile(
    r"^(?P<indent> *)```python(?P<words>[^\n]*)\n(?P<code>.*?)^(?P=indent)``` *$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    line: int
    """Of the block's first line of code, counted from 1."""
    code: str
    run: bool


def blocks(text: str) -> list[Block]:
    return [
        Block(
            line=text.count("\n", 0, match.start("code")) + 1,
            code=textwrap.dedent(match["code"]),
            run="no-run" not in match["words"].split(),
        )
        for match in FENCE.finditer(text)
    ]


def run(page: list[Block], path: Path, module: ModuleType) -> None:
    """The blocks of one page, one after the other, in one module. They may await, as in a notebook."""
    with asyncio.Runner() as loop:
        for block in page:
            source = "\n" * (block.line - 1) + block.code  # a traceback names the page's own line
            code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if not block.run:
                continue
            left = eval(code, module.__dict__)
            if code.co_flags & inspect.CO_COROUTINE:
                loop.run(left)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, nobody's keys or runs in sight, and a server that stands in for the paid one."""
    monkeypatch.chdir(tmp_path)
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with Loopback(lambda prompt, draw: "It has r at 3, 8 and 9.\nAnswer: 3") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield tmp_path


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page_names() -> list[str]:
    return [name(path) for path in PAGES if blocks(path.read_text(encoding="utf-8"))]


def example_names() -> list[object]:
    """An example that takes seconds says `# slow` on a line of its own, and runs with the slow tests."""
    slow = {path for path in EXAMPLES if "# slow" in path.read_text(encoding="utf-8").splitlines()}
    return [pytest.param(name(path), marks=[pytest.mark.slow] if path in slow else []) for path in EXAMPLES]


@pytest.mark.parametrize("page", page_names())
@pytest.mark.usefixtures("elsewhere")
def test_the_python_in_a_page_runs(page: str, monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    run(blocks((ROOT / page).read_text(encoding="utf-8")), ROOT / page, module)


@pytest.mark.parametrize("example", example_names())
def test_an_example_runs_as_it_is_with_no_key(example: str, elsewhere: Path):
    done = subprocess.run(
        [sys.executable, str(ROOT / example)],
        cwd=elsewhere,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readmes_test_command_is_the_one_that_ci_runs():
    assert TEST_COMMAND in (ROOT / "README.md").read_text(encoding="utf-8")
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


PAGE = """\
Words.

```python
import asyncio
a = 1
```

```sh
not python
```

- under a bullet

  ```python
  a += await asyncio.sleep(0, result=1)
  ```

```python no-run
a = call_a_model_that_costs()
```
"""


def test_a_pages_blocks_are_found_with_their_lines():
    assert blocks(PAGE) == [
        Block(4, "import asyncio\na = 1\n", run=True),
        Block(15, "a += await asyncio.sleep(0, result=1)\n", run=True),
        Block(19, "a = call_a_model_that_costs()\n", run=False),
    ]


def test_a_pages_blocks_share_their_names_and_may_await():
    module = ModuleType("page")
    run(blocks(PAGE), Path("page.md"), module)
    assert module.a == 2


def test_a_block_that_is_not_run_must_still_be_python():
    with pytest.raises(SyntaxError):
        run(blocks("```python no-run\na = = 1\n```\n"), Path("page.md"), ModuleType("page"))
