"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from thoughtgraph.errors import TaskError


def write_whole(path: str | os.PathLike[str], lines: Iterable[str]) -> int:
    """Write lines in place of what was there; how many there were. `TaskError` where nothing can be written.

    What was there stays until all of it is written: an error or a kill on the way leaves the old file as it was.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            count = sum(1 for line in lines if file.write(line + "\n"))
        aside.replace(target)
    except (OSError, UnicodeError) as error:
        raise TaskError(f"{target} cannot be written ({error})") from None
    finally:
        aside.unlink(missing_ok=True)
    return count
