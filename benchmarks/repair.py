"""Programs with planted bugs as an environment: read, replace a line, run the tests, submit.

`programs()` are twenty small modules of `repair.toml`, one to three lines of each planted faulty, with pytest tests.
`task(program)` is one of them to be repaired, `Mutate` a proposer without a model: it draws edits from mutation
operators, most of all on the lines that failing tests run and passing ones do not, and knows nothing of the right
program. The tests are run by pytest itself (`warm.py`, which is no sandbox).

    python benchmarks/repair.py        the programs, how fast their tests are, and what the proposer can reach
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import keyword
import random
import subprocess
import sys
import time
import tokenize
import tomllib
import urllib.request
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from warm import POOL, limited

import thoughtgraph as tg
from thoughtgraph.environment import Step, Tool, held, observations, pending, snapshot
from thoughtgraph.tasks.acting import acting, same_world

# -- the programs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """A program, its tests, and the same with bugs. `right` and `probes` are the evaluator's: no search sees them."""

    name: str
    right: str
    tests: str
    faults: tuple[tuple[str, str], ...]
    probes: tuple[str, ...]

    @property
    def faulty(self) -> str:
        """The program as a search finds it."""
        source = self.right
        for right, wrong in self.faults:
            source = source.replace(f"{right}\n", f"{wrong}\n")
        return source


@cache
def programs() -> tuple[Program, ...]:
    """All of them."""
    told = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["program"]
    return tuple(
        Program(
            one["name"], one["source"].lstrip("\n"), one["tests"].lstrip("\n"),
            tuple((right, wrong) for right, wrong in one["faults"]), tuple(one["probes"]),
        )
        for one in told
    )  # fmt: skip


def repaired(program: Program, source: str) -> bool:
    """The evaluator: whether a program does on the probes what the right one does. It ran its tests already."""
    return values(source, program.probes) == values(program.right, program.probes)


def values(source: str, probes: Sequence[str]) -> Any:
    """What the probes come to, in a process of their own; None where it does not end or breaks."""
    code = f"{source}\nimport json\nprint(json.dumps([{', '.join(probes)}]))"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=10, check=False,
            preexec_fn=limited,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


# -- the environment ---------------------------------------------------------------------------------------------

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("read", "The program, its lines numbered.", "pure", {}),
        Tool("run_tests", "Runs the tests.", "pure", {}),
        Tool("replace", "Puts a text in the place of a line, and runs the tests.", "idempotent", {
            "line": "its number, from 1", "text": "the new line, indented as it must be",
        }),
        Tool("submit", "Hands the program in, for good.", "effect", {}),
    )
}  # fmt: skip


class Workshop:
    """A program on the bench: its tests are known, how many edits an episode has, and where it is handed in."""

    tools = TOOLS

    def __init__(self, tests: str, edits: int = 4, url: str = "") -> None:
        self.tests, self.left, self.url, self.source = tests, edits, url, ""

    async def reset(self, problem: str) -> dict[str, Any]:
        """Begin with the faulty program: what its tests say."""
        self.source = problem
        return await POOL.run(self.source, self.tests)

    async def step(self, tool: str, arguments: dict[str, Any]) -> Step:
        """Read, edit, test, submit. The reward is the share of tests that pass; without edits left it is over."""
        if tool == "read":
            return Step("\n".join(f"{i:3} {line}" for i, line in enumerate(self.source.splitlines(), 1)))
        if tool == "submit":
            return Step(await asyncio.to_thread(self._submit))
        if tool == "replace":
            self._replace(**arguments)
        told = await POOL.run(self.source, self.tests)
        return Step(told, reward(told), done=not self.left and told["failed"] > 0)

    def _replace(self, line: int, text: str) -> None:
        lines = self.source.splitlines()
        if not 1 <= line <= len(lines):
            raise IndexError(f"the program has {len(lines)} lines")
        self.source = "\n".join([*lines[: line - 1], text, *lines[line:]]) + "\n"
        self.left -= 1

    def _submit(self) -> str:
        request = urllib.request.Request(self.url, self.source.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read().decode()

    def snapshot(self) -> dict[str, Any]:
        """The program, and the edits that are left."""
        return {"source": self.source, "left": self.left}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on with another version."""
        self.source, self.left = snapshot["source"], snapshot["left"]


def reward(told: Mapping[str, Any]) -> float:
    """The share of tests that pass."""
    return told["passed"] / (told["passed"] + told["failed"])


def task(program: Program, *, width: int = 8, edits: int = 4, url: str = "", **more: Any) -> tg.Task:
    """The program to be repaired in episodes of `edits`; equal versions of it at equal depth are one thought."""
    world = partial(Workshop, program.tests, edits, url)
    return acting(
        program.faulty, world, Mutate(width), goal=passes, key=same_world, reflect=reflect,
        name=f"repair {program.name}", **more,
    )  # fmt: skip


def passes(path: Sequence[tg.Thought]) -> bool:
    """The goal: all tests pass, and it is handed in."""
    return pending(path[-1]) and observations(path)[-1]["failed"] == 0


# -- proposing without a model -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutate:
    """Draw edits of suspect lines; submit where all tests pass.

    Lines are drawn by the square of their suspicion in the latest run of the tests, then a kind of mutation, then one
    of it. Of what lessons beside the path say, edits to "keep" come first, and those to "avoid" are not drawn.
    """

    width: int = 8

    def __call__(self, state: tg.State, n: int) -> list[tg.Draft]:
        """At most `n` different edits."""
        told = observations(state.path)[-1]
        if told["failed"] == 0:
            return [tg.Draft({"tool": "submit", "arguments": {}})]
        lines, most = source_at(state).splitlines(), min(n, self.width)
        edits = dict.fromkeys(edit for edit in lessons(state, "keep") if lines[edit[0] - 1] != edit[1])
        avoided, names = lessons(state, "avoid"), names_in(source_at(state))
        suspects = {int(line): suspicion**2 for line, suspicion in told["suspects"].items() if int(line) <= len(lines)}
        for _ in range(20 * most if suspects else 0):
            line = state.rng.choices(list(suspects), list(suspects.values()))[0]
            text = mutant(lines[line - 1], names, state.rng)
            if text is not None and (line, text) not in avoided and whole([*lines[: line - 1], text, *lines[line:]]):
                edits[line, text] = None
            if len(edits) >= most:
                break
        drawn = [{"line": line, "text": text} for line, text in list(edits)[:most]]
        return [tg.Draft({"tool": "replace", "arguments": arguments}) for arguments in drawn]


def source_at(state: tg.State) -> str:
    """The program as it is here."""
    kept = snapshot(state.path)
    return state.problem if kept is None else kept["source"]


def lessons(state: tg.State, name: str) -> list[tuple[int, str]]:
    """The edits that lessons beside the path name."""
    return [tuple(edit) for thought in state.thoughts for edit in held(thought).get(name, ())]


def reflect(state: tg.State, n: int) -> list[tg.Draft]:
    """What a failed episode teaches: edits after which more tests passed, and those after which no more did."""
    taught: dict[str, list[Any]] = {"keep": [], "avoid": []}
    before = 0.0
    for thought in state.path[1:]:
        call = held(thought)
        before = reward(call["opening"]) if "opening" in call else before
        if call.get("tool") == "replace" and (now := call.get("reward")) is not None:
            taught["keep" if now > before else "avoid"].append(list(call["arguments"].values()))
            before = now
    words = [f"{name} {line}: {text.strip()}" for name, edits in taught.items() for line, text in edits]
    return [tg.Draft({"text": "; ".join(words), **taught})]


def whole(lines: Sequence[str]) -> bool:
    """Whether the lines are Python at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Python reads "1in x", and frowns
        try:
            ast.parse("\n".join(lines))
        except (SyntaxError, SyntaxWarning):
            return False
    return True


@cache
def names_in(source: str) -> tuple[str, ...]:
    """The names that the program gives to things."""
    found = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    found |= {node.arg for node in ast.walk(ast.parse(source)) if isinstance(node, ast.arg)}
    return tuple(sorted(found))


def mutant(line: str, names: tuple[str, ...], rng: random.Random) -> str | None:
    """The line with one small change: a kind of mutation by its weight, then one of that kind."""
    kinds = mutants(line, names)
    if not kinds:
        return None
    kind = rng.choices(list(kinds), [WEIGHTS[kind] for kind in kinds])[0]
    return rng.choice(kinds[kind])


WEIGHTS = {"operator": 12.0, "word": 12.0, "number": 6.0, "off by one": 3.0, "sign": 1.0, "order": 1.0, "name": 0.5}
"""How often people's mistakes are of a kind, as one might guess."""

OTHERS = {
    "<": ("<=", ">", ">="), "<=": ("<", ">=", "=="), ">": (">=", "<", "<="), ">=": (">", "<=", "=="),
    "==": ("!=", ">=", "<="), "!=": ("==",), "+": ("-", "*"), "-": ("+", "//", "*"), "*": ("+", "/", "**"),
    "/": ("//", "*"), "//": ("/", "%", "*"), "%": ("//", "/"), "+=": ("-=", "*=", "="), "-=": ("+=",),
    "and": ("or",), "or": ("and",), "min": ("max",), "max": ("min",), "True": ("False",), "False": ("True",),
    "any": ("all",), "all": ("any",), "break": ("continue",), "continue": ("break",), "in": ("not in",),
    "is": ("is not",), "append": ("extend",), "extend": ("append",), "pop": ("append",),
}  # fmt: skip


@cache
def mutants(line: str, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Every line that one small change makes of this one, by kind."""
    tokens = [token for token in tokens_of(line.strip()) if token.string.strip()]
    shift, found = len(line) - len(line.lstrip()), dict[str, list[str]]()
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        start, end = shift + token.start[1], shift + token.end[1]
        for kind, text in changed(token, said(before), said(after), names):
            found.setdefault(kind, []).append(line[:start] + text + line[end:])
        if before and token.string in "+-" and isinstance(after, tokenize.TokenInfo) and after.string == "1":
            found.setdefault("off by one", []).append(line[:start].rstrip() + line[shift + after.end[1] :])
    if swapped := orders(line, tokens, shift):
        found["order"] = swapped
    return found


def said(token: tokenize.TokenInfo | str) -> str:
    """The text of a token, or of none."""
    return token if isinstance(token, str) else token.string


def changed(token: tokenize.TokenInfo, before: str, after: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """What may stand in the place of one token, with the kind of each change."""
    text = token.string
    if text in OTHERS:
        return [("operator" if token.type == tokenize.OP else "word", other) for other in OTHERS[text]]
    if token.type == tokenize.NUMBER and text.isdigit():
        near = {str(int(text) + 1), str(abs(int(text) - 1)), "0"} - {text}
        return [("number", other) for other in sorted(near)]
    if token.type == tokenize.NAME and not keyword.iskeyword(text):
        minus = [("sign", f"-{text}")] if before in ("(", ",", "[", "=", ":", "return") else []
        negated = [("sign", f"not {text}")] if before in ("if", "while", "and", "or") else []
        return minus + negated + [("name", other) for other in names if other != text and text in names]
    if text == ")" and after in (")", "]", ":", ","):
        return [("off by one", ") + 1"), ("off by one", ") - 1")]
    return []


def orders(line: str, tokens: Sequence[tokenize.TokenInfo], shift: int) -> list[str]:
    """The line with two neighbours on both sides of a comma swapped."""
    found = list[str]()
    for place, token in enumerate(tokens):
        if token.string == ",":
            left, right = edge(tokens, place, -1), edge(tokens, place, 1)
            a, b = shift + tokens[left].start[1], shift + tokens[right].end[1]
            one, two = line[a : shift + token.start[1]], line[shift + token.end[1] : b].strip()
            found.append(f"{line[:a]}{two}, {one}{line[b:]}")
    return [other for other in dict.fromkeys(found) if other != line]


def edge(tokens: Sequence[tokenize.TokenInfo], comma: int, way: int) -> int:
    """How far what stands beside a comma goes, to the left (-1) or to the right (1)."""
    deep, place = 0, comma + way
    opens, closes = ("([{", ")]}") if way > 0 else (")]}", "([{")
    while 0 <= place < len(tokens):
        text = tokens[place].string
        if not deep and (text in closes or text in (",", "=", ":", "for", "in", "return", "if", "else")):
            break
        deep += (text in opens) - (text in closes)
        place += way
    return place - way


def tokens_of(text: str) -> list[tokenize.TokenInfo]:
    """The tokens of a line, as far as they go."""
    found = list[tokenize.TokenInfo]()
    with contextlib.suppress(tokenize.TokenError, IndentationError):
        found.extend(tokenize.generate_tokens(io.StringIO(text).readline))
    return found


def main() -> None:
    """A row for each program."""
    print(
        f"{'program':<26} {'lines':>5} {'faults':>6} {'tests':>5} {'fail':>4} {'ms':>5} {'mutants':>7} {'reachable':>9}"
    )
    for program in programs():
        asyncio.run(POOL.run(program.right, program.tests))
        began = time.perf_counter()
        told = asyncio.run(POOL.run(program.faulty, program.tests))
        ms = 1000 * (time.perf_counter() - began)
        names, lines = names_in(program.faulty), program.faulty.splitlines()
        suspects = [lines[int(line) - 1] for line in told["suspects"]]
        many = len({text for line in suspects for texts in mutants(line, names).values() for text in texts})
        ways = [[right in texts for texts in mutants(wrong, names).values()] for right, wrong in program.faults]
        tests = told["passed"] + told["failed"]
        print(
            f"{program.name:<26} {len(lines):>5} {len(ways):>6} {tests:>5} {told['failed']:>4} {ms:>5.0f} {many:>7} "
            f"{'yes' if all(map(any, ways)) else 'no':>9}"
        )


if __name__ == "__main__":
    main()
