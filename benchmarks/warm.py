"""Tests by pytest itself, in forks of processes that have collected them already: some 10 ms for a small program.

A warm process (`serve`) has imported pytest; for each file of tests it forks one that has collected it (`collected`),
and that one forks for each version of the program (`forked`).

**This is no sandbox.** Limits of time, memory and file size, and a limit of lines run, keep the accidents of mutants
small (many of them loop), and nothing here stops malice: do not run a model's edits in this way.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import hashlib
import json
import os
import queue
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

SECONDS = 2
"""So long may a processor work on all tests of a mutant; five times that may pass."""

LINES = 20_000
"""So many lines may one test run: what loops ends the same on every machine."""

MEMORY = 1 << 30
"""So many bytes."""


# -- for whoever has a program to test ---------------------------------------------------------------------------


class Pool:
    """Warm processes that run tests; what was run before is remembered by the hash of source and tests."""

    def __init__(self, size: int = 2) -> None:
        self.size, self.runs = size, 0
        self._known: dict[str, dict[str, Any]] = {}
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._begun: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    async def run(self, source: str, tests: str) -> dict[str, Any]:
        """{"passed", "failed", "failures", "suspects"}: see `report`."""
        name = hashlib.blake2s(f"{source}\0{tests}".encode()).hexdigest()
        if name not in self._known:
            self._known[name] = await asyncio.to_thread(self._ask, {"source": source, "tests": tests})
        return self._known[name]

    def _ask(self, request: Mapping[str, str]) -> dict[str, Any]:
        with self._lock:
            self.runs += 1
            if self._free.empty() and len(self._begun) < self.size:
                self._free.put(self._process())
        process = self._free.get()
        assert process.stdin
        assert process.stdout
        try:
            return asked(request, process.stdin, process.stdout)
        except (OSError, ValueError) as error:  # it died: another one takes its place
            process.kill()
            process = self._process()
            from thoughtgraph.environment import Broken  # the warm processes do without it

            raise Broken("the process that runs the tests died") from error
        finally:
            self._free.put(process)

    def _process(self) -> subprocess.Popen[str]:
        there = {"PATH": os.defpath, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}
        words = [sys.executable, __file__]
        self._begun.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=there))
        return self._begun[-1]

    def close(self) -> None:
        """End them."""
        for process in self._begun:
            if process.stdin:
                with contextlib.suppress(OSError):  # it is dead already
                    process.stdin.close()
            process.wait()
        self._begun.clear()
        self._free = queue.SimpleQueue()


POOL = Pool()
"""The processes of this one; none begins before it is needed."""


def asked(request: Any, there: IO[str], back: IO[str]) -> Any:
    """One line of JSON there, and one back."""
    there.write(json.dumps(request) + "\n")
    there.flush()
    return json.loads(back.readline())


def report(told: Mapping[str, Any]) -> dict[str, Any]:
    """How many tests passed, what the first failures say, and how suspect each line is that a failing test ran.

    Suspicion is Ochiai's (Abreu et al., 2006): failing runs of the line / sqrt(failing tests x all runs of it).
    """
    tests: Sequence[tuple[str, str, list[int]]] = told.get("tests", ())
    bad = [(name, why, lines) for name, why, lines in tests if why]
    runs = {line: [bool(why) for _, why, lines in tests if line in lines] for _, _, ran in tests for line in ran}
    suspects = {line: round(sum(r) / (len(bad) * len(r)) ** 0.5, 3) for line, r in sorted(runs.items()) if any(r)}
    broken = [] if tests else [told.get("broken", "the tests did not end")]
    return {
        "passed": len(tests) - len(bad),
        "failed": len(bad) or len(broken),
        "failures": (broken + [f"{name}: {why}"[:200] for name, why, _ in bad])[:3],
        "suspects": {str(line): suspicion for line, suspicion in suspects.items()},
    }


# -- in the warm processes ---------------------------------------------------------------------------------------


def serve() -> None:
    """A warm process: a request a line. It forks for each file of tests, and passes requests on."""
    import pytest  # noqa: F401  # this is what is warm

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    known: dict[str, tuple[IO[str], IO[str]]] = {}
    with tempfile.TemporaryDirectory() as root:
        for line in sys.stdin:
            request = json.loads(line)
            if request["tests"] not in known:
                known[request["tests"]] = collected(request["tests"], Path(root) / str(len(known)))
            print(json.dumps(report(asked(request["source"], *known[request["tests"]]))), flush=True)


def collected(tests: str, folder: Path) -> tuple[IO[str], IO[str]]:
    """Fork a process that collects these tests and waits for programs: how to write to it, and to read from it."""
    folder.mkdir()
    (folder / "test_program.py").write_text(tests, encoding="utf-8")
    (there_out, there_in), (back_out, back_in) = os.pipe(), os.pipe()
    if os.fork():
        os.close(there_out)
        os.close(back_in)
        return os.fdopen(there_in, "w"), os.fdopen(back_out)
    try:
        os.close(there_in)
        os.chdir(folder)
        wait_for_programs(os.fdopen(there_out), os.fdopen(back_in, "w"))
    finally:
        os._exit(0)


QUIET = (
    "terminal", "cacheprovider", "debugging", "faulthandler", "doctest", "junitxml", "pastebin", "logging", "stepwise",
    "threadexception", "unraisableexception", "warnings", "recwarn", "capture", "setuponly", "setupplan",
)  # fmt: skip


def wait_for_programs(there: IO[str], back: IO[str]) -> None:
    """Collect the tests, and fork for each program that comes."""
    import pytest

    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    stub = sys.modules["program"] = Stub("program")
    off = [word for name in QUIET for word in ("-p", f"no:{name}")]
    where = ["-c", os.devnull, "--rootdir", ".", "--confcutdir", ".", "test_program.py"]
    pytest.main([*off, *where], plugins=[Waiting(stub, there, back)])


class Stub(ModuleType):
    """The program while nobody knows it: it has every name that the tests import."""

    def __getattr__(self, name: str) -> None:
        """None, for now."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.__dict__[name] = None


class Waiting:
    """A plugin of pytest: in the place of running what was collected, it does so in a fork for each program."""

    def __init__(self, stub: Stub, there: IO[str], back: IO[str]) -> None:
        self.stub, self.there, self.back = stub, there, back
        self.tests: list[tuple[str, str, list[int]]] = []
        self.lines, self.left = set[int](), 0

    def pytest_configure(self, config: Any) -> None:
        """Nobody reads the tracebacks."""
        config.option.tbstyle = "no"

    def pytest_runtestloop(self, session: Any) -> bool:
        """Serve."""
        gc.disable()  # a fork does not live long enough to collect, and what it does not touch it need not copy
        gc.freeze()
        for line in self.there:
            self.back.write(json.dumps(forked(lambda line=line: self.tested(json.loads(line), session))) + "\n")
            self.back.flush()
        return True

    def tested(self, source: str, session: Any) -> dict[str, Any]:
        """In the fork: each test's name with its failure ("" for none) and the lines of the program that it ran."""
        program = ModuleType("program")
        wanted = [name for name in vars(self.stub) if not name.startswith("__")]
        try:
            exec(compile(source, "program.py", "exec"), program.__dict__)  # that is what the fork is for
            for name in wanted:
                setattr(session.items[0].module, name, getattr(program, name))
        except Exception as error:  # noqa: BLE001
            return {"broken": f"{type(error).__name__}: {error}"}
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return {"tests": self.tests}

    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        """Watch the lines that one test runs."""
        self.lines, self.left = set(), LINES
        sys.settrace(self.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)

    setattr(pytest_pyfunc_call, "pytest_impl", {"wrapper": True})  # noqa: B010  # what pytest.hookimpl would do

    def trace(self, frame: Any, event: str, _: object) -> Any:
        """Keep the program's lines, and end what does not."""
        if frame.f_code.co_filename != "program.py":
            return None
        if event == "line":
            self.lines.add(frame.f_lineno)
            self.left -= 1
            if self.left < 0:
                raise Endless(f"more than {LINES} lines were run")
        return self.trace

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep what came of a test."""
        if report.when == "call":
            crash = getattr(report.longrepr, "reprcrash", None)
            why = "" if report.passed else (crash.message.splitlines() or ["failed"])[0] if crash else "failed"
            self.tests.append((report.nodeid.partition("::")[2], why, sorted(self.lines)))


class Endless(BaseException):
    """A test that would not end. No `except Exception` of a program holds it up."""


def forked(work: Any) -> dict[str, Any]:
    """What a fork comes to before it ends or is ended; nothing if it does not say."""
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            limited()
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    try:
        return json.loads(heard(read) or b"{}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)


def heard(read: int) -> bytes:
    """All that comes through a pipe in time; nothing if that is not all."""
    told, until = b"", time.monotonic() + 5 * SECONDS
    while select.select([read], [], [], max(0.0, until - time.monotonic()))[0]:
        if not (more := os.read(read, 1 << 16)):
            return told
        told += more
    return b""


def limited() -> None:
    """Make accidents small. This is no sandbox."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    serve()
