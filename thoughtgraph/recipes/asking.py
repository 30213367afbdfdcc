"""Ask private knowledge (RATP; Pouplin et al., 2024): a question, a file of documents, and whom the answer is for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, TypedDict, Unpack, cast

from thoughtgraph.api import Again, How, Update, aresume, as_model, as_models, asolve, resume, solve
from thoughtgraph.budget import Budget
from thoughtgraph.cache import Cache
from thoughtgraph.errors import Forbidden, TaskError
from thoughtgraph.labels import OWNER
from thoughtgraph.model import Model, Price
from thoughtgraph.protocols import Critic
from thoughtgraph.result import Result
from thoughtgraph.retrieval.embedders import Embedder
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.retrieve import Query, Retriever
from thoughtgraph.retry import Retry
from thoughtgraph.store import SQLiteStore, Store
from thoughtgraph.task import Task
from thoughtgraph.tasks.open_book import Wording, open_book
from thoughtgraph.thought import Json, as_passage
from thoughtgraph.trace import Expanded
from thoughtgraph.verbs import Policy

Source: TypeAlias = "Knowledge | Reader | Retriever | str | os.PathLike[str]"
"""Where passages come from: a knowledge or the name of its file, a view of one, or any retriever of your own."""

BUDGET = Budget(calls=40)
"""What a question may spend when nobody said: several looks, notes and judgements, and the answer."""


class Asking(TypedDict, total=False):
    """What `ask` and `aask` may be told beside the question and the knowledge; `ask` says what each means."""

    principal: str | Iterable[str]
    where: Mapping[str, Json] | None
    embedder: Embedder | None
    k: int
    query: Wording | Query
    value: Critic | None
    grounded: Critic | None
    run: str
    policy: Policy | str | None
    model: Model | str | None
    models: Mapping[str, Model | str] | None
    base_url: str | None
    price: Price | None
    budget: Budget | None
    seed: int
    store: Store | str | os.PathLike[str] | None
    cache: Cache | str | os.PathLike[str] | bool | None
    retry: Retry | None
    on_event: Callable[[Update], None] | None


TASK = ("k", "query", "value", "grounded")
"""What the task is told."""

VIEW = ("principal", "where")
"""What the view of the knowledge is made with."""


def ask(question: str, *, knowledge: Source, **how: Unpack[Asking]) -> Result:
    """Answer `question` from `knowledge`, with the passages that the answer rests on: `result.sources`.

    The search sees what `principal` (a name, and groups; by default the file's owner) may read, narrowed by `where`
    (metadata, as in {"year": 2024}), and only what every model of the run may be shown. Where the knowledge holds no
    answer, the answer says so: `tg.tasks.UNKNOWN`. `k` passages are looked up at a time, by a `query` that is made of
    the words still missing ("missing"), or written by the model for one call each ("rewrite"). The default policy is
    RATP; `rag` and `ircot` are cheaper. `value` judges notes in place of the model, a learned critic for example, and
    `grounded` the answer in place of `Grounded`. `embedder` is that of the file's vectors, where it has any.

    With `run`, the id of a run in `store`, that run is gone on with: name the same question, knowledge and settings.
    All else is as in `solve`, but that the budget is 40 calls where none is named. `TaskError` for a request that
    cannot work, `StoreError` for a file that cannot be used, before anything is spent.
    """
    with _task(question, knowledge, how) as task:
        run, rest = _rest(how)
        return resume(run, **cast("Again", {**rest, "task": task})) if run else solve(task, **cast("How", rest))


async def aask(question: str, *, knowledge: Source, **how: Unpack[Asking]) -> Result:
    """`ask` for code that is async already."""
    with _task(question, knowledge, how) as task:
        run, rest = _rest(how)
        work = aresume(run, **cast("Again", {**rest, "task": task})) if run else asolve(task, **cast("How", rest))
        return await work


@contextlib.contextmanager
def _task(question: str, knowledge: Source, how: Asking) -> Generator[Task, None, None]:
    """The question as a task over what may be seen; a file that is opened here is closed after it."""
    if unknown := how.keys() - Asking.__annotations__.keys():
        raise TypeError(f"ask has no argument {min(unknown)!r}: expected {', '.join(Asking.__annotations__)}")
    told: dict[str, Any] = {name: value for name in TASK if (value := how.get(name)) is not None}
    with contextlib.ExitStack() as stack:
        if isinstance(knowledge, str | os.PathLike):
            knowledge = stack.enter_context(Knowledge(_there(knowledge), how.get("embedder")))
        elif how.get("embedder") is not None:
            raise TaskError("embedder= goes with the name of a file: give it to tg.Knowledge(path, embedder) itself")
        seen = _seen(knowledge, how)
        if isinstance(seen, Reader):
            _narrowed(seen)
            _still_seen(seen, how)
        recipe = {"name": "open_book", "problem": question, "local": False}
        yield open_book(question, seen, recipe=recipe, **told)


def _seen(knowledge: Knowledge | Reader | Retriever, how: Asking) -> Retriever:
    """The knowledge as the principal and every model of the run may see it."""
    given = {name: value for name in VIEW if (value := how.get(name)) is not None}
    models = _models(how)
    if isinstance(knowledge, Knowledge):
        return knowledge.reader(how.get("principal", OWNER), models=models, where=how.get("where"))
    if given:
        raise TaskError(f"{min(given)}= goes with a knowledge: make the reader with it, or give the knowledge itself")
    if isinstance(knowledge, Reader):
        return Reader(knowledge.knowledge, knowledge.principal, (*knowledge.models, *models), knowledge.where)
    return knowledge


def _narrowed(reader: Reader) -> None:
    """Say on standard error what the models keep from the search, where the principal may read more."""
    if not reader.models:
        return
    here, readable = len(reader.documents()), len(replace(reader, models=()).documents())
    if here < readable:
        named = ", ".join(reader.models)
        sys.stderr.write(
            f"thoughtgraph: {readable - here} of {readable} documents that {reader.principal[0]} may read may not be "
            f"shown to {named}, by their labels, and are not searched\n"
        )


def _still_seen(reader: Reader, how: Asking) -> None:
    """`Forbidden` where a run that is to be gone on with rests on what may not be seen any more."""
    store, run = how.get("store"), how.get("run")
    if not store or not run:
        return
    with contextlib.ExitStack() as stack:
        if isinstance(store, str | os.PathLike):
            store = stack.enter_context(contextlib.closing(SQLiteStore(store, read_only=True)))
        thoughts = [thought for event in store.events(run) if isinstance(event, Expanded) for thought in event.thoughts]
    found = {p.document for thought in thoughts if (p := as_passage(thought)) and p.base == reader.index.uid}
    if not found <= {entry.name for entry in reader.documents()}:
        raise Forbidden(
            f"run {run} rests on a document that is gone, or that {', '.join(reader.principal)} or a model of the run "
            "may not see any more: ask the question anew"
        )


def _models(how: Asking) -> list[str]:
    """The names of all models that the run may ask."""
    main = as_model(how.get("model"), how.get("base_url"), how.get("price"))
    others = as_models(how.get("models"), main, how.get("base_url"))
    return [model.name for model in (main, *others.values()) if model is not None]


def _there(path: str | os.PathLike[str]) -> str:
    """A file that is there: a misspelt name must not make an empty one."""
    if not os.path.exists(path):  # noqa: PTH110 -- a name that no file can have is not there either
        raise TaskError(f"there is no knowledge {os.fspath(path)}: make it first, as in thoughtgraph index PATH")
    return os.fspath(path)


def _rest(how: Asking) -> tuple[str, dict[str, Any]]:
    """The run to go on with, if one is named, and what the engine is told."""
    rest = {name: value for name, value in how.items() if name not in (*TASK, *VIEW, "embedder", "run")}
    if run := how.get("run", ""):
        rest.pop("seed", None)  # it stands in the run
        if not rest.get("store"):
            raise TaskError(f"run {run} is to be gone on with, and no store is named: name its file with store=")
    elif how.get("budget") is None:
        sys.stderr.write(f"thoughtgraph: no budget was named, so at most {BUDGET} are spent\n")
        rest["budget"] = BUDGET
    return run, rest
