"""What the commands of the command line share: where they write, how they refuse, what their options come to."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console, RenderableType

from thoughtgraph import options
from thoughtgraph.budget import Budget
from thoughtgraph.errors import ReplayMismatch, StoreError, TaskError
from thoughtgraph.model import Price
from thoughtgraph.render import whole
from thoughtgraph.retry import Retry

aside = Console(stderr=True)
"""Standard error, for progress and for what went wrong."""


@contextlib.contextmanager
def heard() -> Generator[None, None, None]:
    """Whoever reads the output may hang up early, as `head` does: then there is nothing more to say, and no error."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # what is still buffered would fail once more when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def write(text: str) -> None:
    """Text on standard output, as it stands."""
    with heard():
        sys.stdout.write(text)


def show(*things: RenderableType) -> None:
    """For people. Nothing from a run reaches this as a plain text, in which brackets would be markup."""
    console = Console()
    with console.capture() as caught:  # so that a reader's end meets `write`
        for thing in things:
            console.print(thing)
    write(caught.get())


def line(value: Any) -> str:
    """JSON on a line."""
    return json.dumps(value) + "\n"


def refuse(error: BaseException, status: int | None = None) -> NoReturn:
    """A usage error in one line of red; the status is 2, or 1 for what was no fault of the words, if none is given."""
    if isinstance(error, KeyboardInterrupt):
        raise typer.Exit(130)
    aside.print(whole(str(error)), style="red", soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        aside.print(whole(note), soft_wrap=True)
    known = isinstance(error, TaskError | StoreError | ReplayMismatch | ValueError)
    raise typer.Exit(status or (2 if known else 1)) from None


def budget_of(
    usd: float | None, calls: int | None, tokens: int | None, seconds: float | None, expansions: int | None
) -> Budget | None:
    """The budget that options name; None where they name none."""
    if usd is calls is tokens is seconds is expansions is None:
        return None
    try:
        return Budget(usd=usd, calls=calls, tokens=tokens, seconds=seconds, expansions=expansions)
    except ValueError as error:
        refuse(error)


def paying(
    model_for: Sequence[str] | None, price: str | None, attempts: int | None, cache: Path | None, no_cache: bool
) -> options.Paying:
    """What the options say about models and money."""
    try:
        return {
            "models": dict(map(_role, model_for or ())) or None,
            "price": None if price is None else _price(price),
            "retry": Retry(attempts) if attempts is not None else None,
            "cache": False if no_cache else cache,
        }
    except ValueError as error:
        refuse(error)


def _role(text: str) -> tuple[str, str]:
    role, _, model = text.partition("=")
    if not role or not model:
        raise TaskError(f"--model-for is {text!r}: expected ROLE=MODEL, as in value=openai:gpt-5-mini")
    return role, model


def _price(text: str) -> Price:
    try:
        rates = [float(number) for number in text.split(",")]
        if not 2 <= len(rates) <= 4:
            raise ValueError(len(rates))
        return Price(*rates)
    except ValueError:
        raise TaskError(
            f"--price is {text!r}: expected dollars per million tokens in and out (and of cached ones read and "
            "written), as in 0.25,2"
        ) from None


def elsewhere(out: Path, *inputs: Path) -> Path:
    """A file to write that is none of those that are read: `TaskError` before anything is lost."""
    if twice := next((one for one in inputs if out.exists() and one.exists() and out.samefile(one)), None):
        raise TaskError(f"{out} is read here, and would be written over: name another file than {twice}")
    if not out.parent.is_dir():
        raise TaskError(f"the folder {out.parent} is not there: make it first")
    return out


def where_of(store: Path | None, no_store: bool) -> str | None:
    """The file of runs: the one that is named, else your own, whose folder is made; None for memory."""
    if no_store:
        return None
    if store is not None:
        return str(store)
    own = own_store()
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(StoreError(f"{own.parent} cannot be made ({error}): name a file with --store, or use --no-store"))
    return str(own)


def own_store() -> Path:
    """The user's own file of runs."""
    from platformdirs import user_data_path

    return user_data_path("thoughtgraph", appauthor=False) / "runs.db"
