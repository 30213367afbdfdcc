"""Reading files in a process of its own, which can be stopped: a broken one may loop for ever, or eat all memory.

Isolation is the old remedy (Provos et al., *Preventing privilege escalation*, 2003): what parses strangers' files holds
nothing but the file, and its end is nobody else's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import IO, Any, Self

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.retrieval.documents import Section
from thoughtgraph.retrieval.html import read_html
from thoughtgraph.retrieval.markdown import read_markdown
from thoughtgraph.retrieval.outline import Parsed, titled
from thoughtgraph.retrieval.pdf import read_pdf
from thoughtgraph.retrieval.python import read_python
from thoughtgraph.thought import Json

MEMORY = 4 << 30
"""Bytes that the process may hold, where the system can say so."""


SECRET = re.compile("key|token|secret|pass|auth|credential", re.IGNORECASE)
"""What variables of the environment are called that a reader of strangers' files has no use for."""


class Apart:
    """Reads HTML, PDF, Markdown and Python in another process, one after the other, each in at most `seconds`."""

    def __init__(self, seconds: float = 60.0) -> None:
        at_least(0, seconds=seconds)
        self.seconds = seconds
        self.child: subprocess.Popen[bytes] | None = None

    def __call__(self, kind: str, data: bytes) -> Parsed:
        """What the reader of this kind makes of `data`; `TaskError` where it cannot, or took too long."""
        reply, late = self._asked(kind, data)
        if reply is None and not late:  # it may have been dead before
            reply, late = self._asked(kind, data)
        if reply is None:
            took = f"took more than {self.seconds:g} seconds" if late else "broke its reader down"
            raise TaskError(f"to read it as {kind} {took}: it is broken, or too large; save it anew, or in parts")
        if "error" in reply:
            raise TaskError(reply["error"])
        sections = (Section(s["start"], s["end"], tuple(s["path"]), s["kind"]) for s in reply["sections"])
        return Parsed(reply["text"], tuple(sections), reply["title"])

    def close(self) -> None:
        """End the process."""
        child, self.child = self.child, None
        if child:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    assert pipe
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _asked(self, kind: str, data: bytes) -> tuple[Any, bool]:
        """The process's reply, None where it came to its end before; and whether it was stopped for being late."""
        child, late, reply = self._child(), threading.Event(), None
        timer = threading.Timer(self.seconds, lambda: (late.set(), child.kill()))
        timer.daemon = True
        timer.start()
        try:
            assert child.stdin
            assert child.stdout
            send(child.stdin, kind, data)
            found = receive(child.stdout)
            reply = json.loads(found[1]) if found else None
        except (OSError, ValueError):
            pass
        finally:  # an interrupt too leaves it in the middle of something
            timer.cancel()
            if reply is None or late.is_set():
                self.close()
        return reply, late.is_set()

    def _child(self) -> subprocess.Popen[bytes]:
        if self.child is None or self.child.poll() is not None:
            self.close()
            # -P: nothing is imported from the folder that one stands in, which may be the one that is read.
            command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({self.seconds!r})"]
            path = os.pathsep.join(folder for folder in sys.path if folder)
            kept = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
            env = {**kept, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
            pipe, mute = subprocess.PIPE, subprocess.DEVNULL
            self.child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=mute, env=env)
        return self.child


def send(file: IO[bytes], kind: str, data: bytes) -> None:
    """A message: a line that says its kind and length, and its bytes."""
    file.write(json.dumps([kind, len(data)]).encode() + b"\n" + data)
    file.flush()


def receive(file: IO[bytes]) -> tuple[str, bytes] | None:
    """The next message; None where there is none that is whole."""
    try:
        kind, length = json.loads(file.readline())
    except ValueError:
        return None
    data = file.read(length)
    return (kind, data) if len(data) == length else None


def serve(seconds: float) -> None:
    """The other process: reads what it is sent until nothing comes, or one file took so long that nobody waits."""
    inward, outward = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no reply
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while request := receive(inward):
        if hasattr(signal, "alarm"):  # should the one who waits be gone
            signal.alarm(int(seconds) + 2)
        send(outward, "read", json.dumps(read(*request)).encode())


def read(kind: str, data: bytes) -> dict[str, Json]:
    """What the reader of this kind makes of it, or its error, as JSON data."""
    try:
        return asdict(READERS[kind](data))
    except TaskError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"to read it as {kind} took more than {MEMORY >> 30} GB: save it in parts"}
    except Exception as error:  # noqa: BLE001  # a broken file breaks its reader in any way
        return {"error": f"it cannot be read as {kind} ({type(error).__name__}: {titled(str(error))}): save it anew"}


READERS: dict[str, Callable[[bytes], Parsed]] = {
    "pdf": read_pdf,
    "html": lambda data: read_html(data.decode()),
    "markdown": lambda data: read_markdown(data.decode()),
    "python": lambda data: read_python(data.decode()),
}
"""By kind; all but PDF is text in UTF-8."""
