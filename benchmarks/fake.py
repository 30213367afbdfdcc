"""The measuring server of the folder beside the project, in a process of its own: its knobs, its counts."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FAKE = Path(__file__).resolve().parents[2] / "shared" / "fakellm.py"
PUZZLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "tree-of-thought-llm" / "24.csv"


class Fake:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def stats(self) -> dict[str, Any]:
        """What reached it since the last reset."""
        return self._get("/stats")

    def reset(self, **knobs: Any) -> None:
        """Forget the counts; set knobs."""
        self._get("/reset", json.dumps(knobs).encode())

    def _get(self, path: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=10) as reply:
            return json.loads(reply.read())


@contextlib.contextmanager
def fake(*options: str) -> Iterator[Fake]:
    """The server with these command-line options, on a free port, until the `with` ends."""
    if not FAKE.exists():
        sys.exit(f"this benchmark needs {FAKE.name}, which is not here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(FAKE), "--port", str(port), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield _ready(Fake(port))
    finally:
        server.kill()
        server.wait()


def _ready(server: Fake) -> Fake:
    for _ in range(200):
        with contextlib.suppress(OSError):
            server.stats()
            return server
        time.sleep(0.05)
    sys.exit("the measuring server did not start")


def puzzles(first: int, count: int) -> list[str]:
    """Rows of the Game-of-24 file, counted from 0."""
    rows = PUZZLES.read_text().splitlines()[1:]
    return [row.split(",")[1] for row in rows[first : first + count]]
