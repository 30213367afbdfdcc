"""solve, asolve, stream, resume: text becomes objects, defaults are owned here, and the engine does the rest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar, Unpack, cast

from thoughtgraph.budget import Budget
from thoughtgraph.cache import Cache, as_cache
from thoughtgraph.engine import Engine
from thoughtgraph.errors import ReplayMismatch, StoreError, TaskError
from thoughtgraph.expressions import expression, parse
from thoughtgraph.model import Model, Price
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.retry import Retry
from thoughtgraph.store import MemoryStore, SQLiteStore, Store
from thoughtgraph.structured import schema_of
from thoughtgraph.task import Task
from thoughtgraph.thought import Json, Thought
from thoughtgraph.trace import Event, Forgotten, Resumed, Started
from thoughtgraph.verbs import Policy
from thoughtgraph.version import __version__

if TYPE_CHECKING:
    from pydantic import BaseModel

    from thoughtgraph.forecast import Estimate

T = TypeVar("T")

DEFAULT_BUDGET = Budget(calls=16)
"""What a run may spend when nobody said."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C reached a run: `result` is its best answer so far, and its id resumes it."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"run {result.run} was interrupted: resume it by its id")
        self.result = result


@dataclass(frozen=True)
class Update:
    """One event of a run in progress, and what stands behind it."""

    event: Event
    engine: Engine

    @property
    def thought(self) -> Thought | None:
        """The thought of the best answer so far, worked out when looked at."""
        return self.engine.best()

    @property
    def answer(self) -> Json:
        """The best answer so far; None while there is none."""
        return self.engine.task.answer(self.engine.graph, self.thought)


class How(TypedDict, total=False):
    """What `solve`, `asolve` and `stream` may be told beside the task; `solve` says what each means."""

    policy: Policy | str | None
    model: Model | str | None
    models: Mapping[str, Model | str] | None
    base_url: str | None
    price: Price | None
    returns: type[BaseModel] | None
    retry: Retry | None
    cache: Cache | str | os.PathLike[str] | bool | None
    budget: Budget | None
    seed: int
    store: Store | str | os.PathLike[str] | None
    merge: bool | None
    on_event: Callable[[Update], None] | None


class Again(TypedDict, total=False):
    """What `resume` and `aresume` may be told beside the run; `resume` says what each means."""

    store: Required[Store | str | os.PathLike[str]]
    budget: Budget | None
    task: Task | None
    policy: Policy | str | None
    model: Model | str | None
    models: Mapping[str, Model | str] | None
    base_url: str | None
    price: Price | None
    returns: type[BaseModel] | None
    retry: Retry | None
    cache: Cache | str | os.PathLike[str] | bool | None
    on_event: Callable[[Update], None] | None


def solve(
    task: Task | str,
    *,
    policy: Policy | str | None = None,
    model: Model | str | None = None,
    models: Mapping[str, Model | str] | None = None,
    base_url: str | None = None,
    price: Price | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    store: Store | str | os.PathLike[str] | None = None,
    cache: Cache | str | os.PathLike[str] | bool | None = None,
    retry: Retry | None = None,
    returns: type[BaseModel] | None = None,
    merge: bool | None = None,
    on_event: Callable[[Update], None] | None = None,
) -> Result:
    """Think about `task` and return the best answer within `budget`.

    A question in text is answered by `model` ("openai:gpt-5-mini", or a model on your own server with `base_url`);
    TG_MODEL names one for all runs. With no `policy`, answers are sampled until their vote is decided, and where they
    cannot be compared one call is made. With no `budget`, 16 calls. `store` names a SQLite file, so that the run
    survives anything and `resume` goes on from there; None keeps it in memory. `merge=False` keeps thoughts apart
    that the task calls equal. Works inside a running event loop too.

    `models` names other models for single actions and critics, as in {"value": "anthropic:claude-opus-4-5"}, all
    within the one budget. `price` is that of `model` where that is a text, and comes before what the tables say.
    `returns` is a pydantic model that the answer is to be an instance of. `cache` names a file of paid replies that
    runs share (True: your own, False: none, None: what TG_CACHE names). `retry` says how hard each reply is tried for.

    Raises `TaskError` for a request that cannot work, before anything is spent; `RunFailed` where the model's
    endpoint ends the run; `Interrupted` (a KeyboardInterrupt) on Ctrl-C. The last two carry the result.
    """
    return _blocking(
        begun(
            task, policy=policy, model=model, models=models, base_url=base_url, price=price, budget=budget, seed=seed,
            store=store, cache=cache, retry=retry, returns=returns, merge=merge, on_event=on_event,
        )
    )  # fmt: skip


async def asolve(task: Task | str, **how: Unpack[How]) -> Result:
    """`solve` for code that is async already. Cancelling the task ends the run, recorded and resumable."""
    return await begun(task, **how)()


async def stream(task: Task | str, **how: Unpack[How]) -> AsyncGenerator[Update, None]:
    """`asolve` as it happens: an `Update` for each event, the last one of a `Stopped`. Takes what `asolve` takes.

    Leaving the loop early cancels the run.
    """
    queue: asyncio.Queue[Update | None] = asyncio.Queue()
    also = how.get("on_event")

    def put(update: Update) -> None:
        queue.put_nowait(update)
        if also is not None:
            also(update)

    work = asyncio.ensure_future(asolve(task, **{**how, "on_event": put}))
    work.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (update := await queue.get()) is not None:
            yield update
        await work
    finally:
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


def resume(
    run: str,
    *,
    store: Store | str | os.PathLike[str],
    budget: Budget | None = None,
    task: Task | None = None,
    policy: Policy | str | None = None,
    model: Model | str | None = None,
    models: Mapping[str, Model | str] | None = None,
    base_url: str | None = None,
    price: Price | None = None,
    cache: Cache | str | os.PathLike[str] | bool | None = None,
    retry: Retry | None = None,
    returns: type[BaseModel] | None = None,
    on_event: Callable[[Update], None] | None = None,
) -> Result:
    """Go on with a run where it stopped, was killed, or ran out of budget; what is recorded is not paid again.

    `budget` names new totals; limits that it does not name stay as they were. Runs of tasks that ship with the
    package, with policies and models named by text, are rebuilt from the store; for others pass the same `task`,
    `policy`, `model` and `returns` again. `price`, `cache` and `retry` are as in `solve`.
    Raises `ReplayMismatch` if they are not the same, `StoreError` if the store or the run cannot be used; the file
    stays untouched.
    """
    return _blocking(
        again(
            run, store=store, budget=budget, task=task, policy=policy, model=model, models=models, base_url=base_url,
            price=price, cache=cache, retry=retry, returns=returns, on_event=on_event,
        )
    )  # fmt: skip


async def aresume(run: str, **how: Unpack[Again]) -> Result:
    """`resume` for code that is async already."""
    return await again(run, **how)()


def estimate(
    task: Task | str, *, reply_tokens: int | None = None, simulations: int = 5, **how: Unpack[How]
) -> Estimate:
    """What `solve` with the same arguments is likely to cost, at least and at most; no model is called.

    The policy runs on imagined replies, of `reply_tokens` tokens each where that is said, `simulations` times. The
    budget caps the maximum, as it caps a run.
    """
    from thoughtgraph.forecast import estimate as foreseen

    _named(how, How)
    url, budget = how.get("base_url"), how.get("budget")
    built = as_task(task, how.get("merge"), how.get("returns"))
    used = _used(built, how)
    return foreseen(
        built, as_policy(how.get("policy"), built), model=used,
        models=as_models(how.get("models"), used, url),
        budget=budget or _default(used), seed=how.get("seed", 0), reply_tokens=reply_tokens, simulations=simulations,
    )  # fmt: skip


# -- from text to objects ----------------------------------------------------------------------------------------


BACKENDS = ("openai", "anthropic", "litellm", "local")
"""Who a model's name may begin with."""


def as_model(model: Model | str | None, base_url: str | None = None, price: Price | None = None) -> Model | None:
    """A model by its name `backend:model`, else by TG_MODEL; `TaskError` names the backends for an unknown one."""
    if model is not None and not isinstance(model, str):
        if not callable(model) or not isinstance(getattr(model, "name", None), str):
            raise TaskError(f"the model is {model!r:.80}: expected its name, as in openai:gpt-5-mini, or a tg.Model")
        return model
    name = model or os.environ.get("TG_MODEL")
    if not name:
        return None
    backend, _, rest = name.partition(":")
    if backend not in BACKENDS or not rest:
        near = get_close_matches(backend, BACKENDS, 1)
        hint = f"did you mean {near[0]}:{rest or 'NAME'}? " if near else ""
        raise TaskError(
            f"the model {name!r} has no known backend: {hint}expected openai:NAME, anthropic:NAME, litellm:NAME or "
            "local:MODULE:FUNCTION, as in openai:gpt-5-mini"
        )
    return _made(backend, rest, base_url, price)


def _made(backend: str, name: str, base_url: str | None, price: Price | None) -> Model:
    """The backend's own class; a base URL makes it a server of your own."""
    from thoughtgraph import models

    url = base_url or (os.environ.get("OPENAI_BASE_URL") if backend == "openai" else None)
    said: dict[str, Any] = {"price": price} if price else {}
    if backend == "local":
        return models.load(name, **said)
    kind = {"openai": "Compatible" if url else "OpenAI", "anthropic": "Anthropic", "litellm": "LiteLLM"}[backend]
    return getattr(models, kind)(name, **said, **({"base_url": url} if url else {}))


def as_models(models: Mapping[str, Model | str] | None, main: Model | None, base_url: str | None) -> dict[str, Model]:
    """The models of single roles, by name or as they are; those of the main model's backend are at its base URL."""
    if models is not None and not isinstance(models, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"models= is {models!r:.80}: expected models by role, as in {{'value': 'openai:gpt-5-mini'}}")
    backend = main.name.partition(":")[0] if main else ""
    made = dict[str, Model]()
    for role, model in (models or {}).items():
        url = base_url if isinstance(model, str) and model.partition(":")[0] == backend else None
        if (one := as_model(model, url)) is not None:
            made[role] = one
    return made


def as_store(store: Store | str | os.PathLike[str] | None) -> Store:
    """A store by its file's name; None is memory."""
    if store is None:
        return MemoryStore()
    return SQLiteStore(store) if isinstance(store, str | os.PathLike) else store


@dataclass
class Run:
    """A run that is ready to go, and what to close after it, if it was opened here."""

    engine: Engine
    go: Callable[[], Coroutine[Any, Any, Result]]
    store: SQLiteStore | None
    cache: Cache | None
    returns: type[BaseModel] | None = None

    async def __call__(self) -> Result:
        """Run to the end."""
        async with speaking(self.engine.known):
            try:
                return _formed(await self.go(), self.returns)
            except RunFailed as failed:
                failed.result = _formed(failed.result, self.returns)
                raise
            finally:
                if self.store is not None:
                    self.store.close()
                if self.cache is not None:
                    self.cache.close()


_users: Counter[int] = Counter()


@contextlib.asynccontextmanager
async def speaking(models: Sequence[Model]) -> AsyncGenerator[None, None]:
    """Count a model's users: the last one lets go of its connections, and the next one opens new ones."""
    _users.update(map(id, models))
    try:
        yield
    finally:
        _users.subtract(map(id, models))
        for model in models:
            if not _users[id(model)]:
                del _users[id(model)]
                await model.close()


def _read(form: type[BaseModel], answer: Json) -> BaseModel:
    """An answer as a form; a text may be the form's JSON, or its value."""
    from pydantic import ValidationError

    try:
        return form.model_validate_json(json.dumps(answer))
    except ValidationError:
        if not isinstance(answer, str):
            raise
    return form.model_validate_json(answer)


def _formed(result: Result, form: type[BaseModel] | None) -> Result:
    """The answer as an instance of what was asked for; `TaskError` where the task's answers are of another form."""
    if form is None or result.answer is None:
        return result
    from pydantic import ValidationError

    try:
        return replace(result, answer=_read(form, result.answer))
    except ValidationError as error:
        raise TaskError(
            f"the answer {result.answer!r:.80} of run {result.run} is no {form.__name__} ({error.error_count()} "
            "faults): the task's own claims must fit what returns= names"
        ) from None


def _named(how: Mapping[str, object], kind: type) -> None:
    """A name that nobody knows is a mistake, and must not pass for a default; nor must a value of another kind."""
    for name, expected, example in (
        ("price", Price, "tg.Price(prompt=0.25, completion=2.0)"),
        ("retry", Retry, "tg.Retry(attempts=3)"),
    ):
        if (value := how.get(name)) is not None and not isinstance(value, expected):
            raise TaskError(f"{name}= is {value!r:.80}: expected a tg.{expected.__name__}, as in {example}")
    known = kind.__annotations__
    for name in how:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TypeError(f"there is no argument {name!r}: {hint}expected {', '.join(known)}")


def begun(
    task: Task | str,
    *,
    run: str = "",
    speakers: tuple[Model | None, Mapping[str, Model]] | None = None,
    **how: Unpack[How],
) -> Run:
    """A new run, ready to go: what `solve` does, before it does it.

    `run` is its id, where it is to have one of its own. `speakers` are its model and those of single roles, where they
    are made already from what `how` names: runs side by side share their connections.
    """
    _named(how, How)
    model, budget, merge, returns = how.get("model"), how.get("budget"), how.get("merge"), how.get("returns")
    task = as_task(task, merge, returns)
    if budget is not None and not isinstance(budget, Budget):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the budget is {budget!r:.80}: expected a tg.Budget, as in tg.Budget(calls=16)")
    price = how.get("price")
    used, others = speakers or _speakers(task, how)
    recipe: Json = {
        "task": task.recipe,
        "merge": merge,
        "policy": _text(how.get("policy")),
        "model": _text(used.name if model is None and used else model),
        "models": {role: _text(other) for role, other in (how.get("models") or {}).items()},
        "base_url": getattr(used, "shown", None),
        "price": asdict(price) if price else None,
        "returns": returns.__name__ if returns else None,
    }
    with _opened(how.get("store")) as kept:
        engine = Engine(
            task, as_policy(how.get("policy"), task), store=kept, run=run or new_run(), model=used, models=others,
            budget=budget or _default(used), seed=how.get("seed", 0), retry=how.get("retry"),
            cache=as_cache(how.get("cache")), recipe=recipe,
        )  # fmt: skip
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        return _ready(engine, lambda: engine.start(created, __version__, named=bool(run)), how)


def _speakers(task: Task, how: Mapping[str, Any]) -> tuple[Model | None, Mapping[str, Model]]:
    """The run's model, and those of single roles."""
    used = _used(task, how)
    return used, as_models(how.get("models"), used, how.get("base_url"))


def again(run: str, **how: Unpack[Again]) -> Run:
    """A recorded run, ready to go on: what `resume` does, before it does it."""
    _named(how, Again)
    policy, model = how.get("policy"), how.get("model")
    with _opened(existing(how["store"])) as kept:
        events = kept.events(run)
        started = events[0]
        if not isinstance(started, Started):
            raise StoreError(f"run {run} has no beginning: the store holds only a part of it")
        if isinstance(events[-1], Forgotten):
            raise StoreError(
                f"run {run} can be shown, and cannot be gone on with: a document that it rests on was forgotten"
            )
        recipe: dict[str, Json] = started.recipe or {}
        built = how.get("task") or _rebuilt(run, recipe, how.get("returns"))
        named, price = model or _model_text(run, recipe), how.get("price") or _price(recipe)
        url = how.get("base_url") or (_known_url(run, recipe) if isinstance(named, str) else None)
        used = as_model(named, url, price) if named else None
        last = next((e.budget for e in reversed(events) if isinstance(e, Started | Resumed)), started.budget)
        engine = Engine(
            built, as_policy(policy or _recorded(run, recipe, built), built), store=kept, run=run, model=used,
            models=as_models(how.get("models") or _others(run, recipe), used, url),
            budget=_total(how.get("budget"), last), seed=started.seed, retry=how.get("retry"),
            cache=as_cache(how.get("cache")), recipe=recipe,
        )  # fmt: skip
        return _ready(engine, engine.resume, how)


def _used(task: Task, how: Mapping[str, Any]) -> Model | None:
    """The model that is named; a task with local generators takes none from the environment."""
    model: Model | str | None = how.get("model")
    if model is None and thinks_alone(task):
        return None
    return as_model(model, how.get("base_url"), how.get("price"))


def _known_url(run: str, recipe: Mapping[str, Json]) -> str | None:
    """The base URL that a run was made with, if a key may go there: a file may come from anybody."""
    from thoughtgraph.endpoint import Endpoint

    url: str | None = recipe.get("base_url")
    own = (os.environ.get("OPENAI_BASE_URL"), os.environ.get("ANTHROPIC_BASE_URL"))
    known = {known.rstrip("/") for known in ("https://api.openai.com/v1", "https://api.anthropic.com", *own) if known}
    if url and str(url).rstrip("/") not in known and not Endpoint("", str(url)).loopback:
        raise ReplayMismatch(
            f"run {run} was made with the server {url!r:.200}, and your key would go there: say so again, as in "
            "resume(..., base_url=...) or --base-url"
        )
    return url


def _price(recipe: Mapping[str, Json]) -> Price | None:
    return Price(**recipe["price"]) if recipe.get("price") else None


def _others(run: str, recipe: Mapping[str, Json]) -> Mapping[str, str]:
    """The models of single roles that a run was made with."""
    models: Mapping[str, str] = recipe.get("models") or {}
    if "" in models.values():
        raise ReplayMismatch(f"run {run} was made with model objects: pass them again, as in resume(..., models=...)")
    for role, name in models.items():
        _foreign(run, name, f"models={{{role!r}: ...}}, ")
    return models


def _total(budget: Budget | None, last: Budget) -> Budget:
    """The limits that are named now; those that are not stay as they were."""
    if budget is None:
        return last
    named = {f.name: getattr(budget, f.name) for f in fields(budget)}
    return replace(last, **{name: limit for name, limit in named.items() if limit is not None})


@contextlib.contextmanager
def _opened(store: Store | str | os.PathLike[str] | None) -> Generator[Store, None, None]:
    """A store, closed again if what follows goes wrong and it was opened here."""
    kept = as_store(store)
    try:
        yield kept
    except BaseException:
        if isinstance(kept, SQLiteStore) and kept is not store:
            kept.close()
        raise


def _ready(engine: Engine, go: Callable[[], Coroutine[Any, Any, Result]], how: Mapping[str, Any]) -> Run:
    """Tell the caller of events as updates, and close the store and the cache if they were opened here."""
    tell: Callable[[Update], None] | None = how.get("on_event")
    if tell is not None:

        def listener(event: Event) -> None:
            tell(Update(event, engine))

        engine.listener = listener
    store, cache = engine.store, engine.calls.cache
    opened = store if isinstance(store, SQLiteStore) and store is not how.get("store") else None
    return Run(engine, go, opened, cache, how.get("returns"))


def as_task(task: Task | str, merge: bool | None = None, returns: type[BaseModel] | None = None) -> Task:
    """A question in text becomes a task, with answers of the form `returns`; `merge` overrides the task's own wish."""
    if returns is not None:
        schema_of(returns)
    if isinstance(task, str):
        from thoughtgraph.tasks.question import question

        task = question(task, returns=returns)
    if not isinstance(task, Task):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the task is {task!r:.80}: expected a question in text, or a tg.Task")
    return task if merge is None else replace(task, merge=merge)


def as_policy(policy: Policy | str | None, task: Task) -> Policy:
    """A policy by its text; the task's own where none is named."""
    if policy is None or isinstance(policy, str):
        return parse(policy or task.policy)
    if isinstance(policy, type):
        raise TaskError(f"the policy is the class {policy.__name__}: make one of it, as in {policy.__name__}()")
    if not callable(policy):
        raise TaskError(f"the policy is {policy!r:.80}: expected a policy object, or its text, as in 'mcts(workers=8)'")
    return policy


def existing(store: Store | str | os.PathLike[str]) -> Store | str | os.PathLike[str]:
    """The same store; `StoreError` if it is the name of a file that is not there."""
    if isinstance(store, str | os.PathLike) and not os.path.exists(store):  # noqa: PTH110  # Path's raises
        raise StoreError(f"there is no store {os.fspath(store)}: name the file that the run was recorded in")
    return store


def _rebuilt(run: str, recipe: dict[str, Json], returns: type[BaseModel] | None) -> Task:
    from thoughtgraph.tasks import build

    if (form := recipe.get("returns")) and returns is None:
        raise ReplayMismatch(f"run {run} was made to return a {form}: pass it again, as in resume(..., returns={form})")
    if not recipe.get("task"):
        raise ReplayMismatch(f"run {run} was made with a task object: pass it again, as in resume(..., task=my_task)")
    named: dict[str, Json] = recipe["task"]
    task = named["problem"] if returns and named["name"] == "question" else build(**named)
    return as_task(task, recipe.get("merge"), returns)


def _model_text(run: str, recipe: dict[str, Json]) -> str | None:
    if recipe.get("model") == "":
        raise ReplayMismatch(
            f"run {run} was made with a model object: pass it again, as in resume(..., model=my_model)"
        )
    return _foreign(run, recipe.get("model"), "model=")


def _foreign(run: str, name: str | None, how: str) -> str | None:
    """A name that a file holds, if nothing of this process is run by it: a file may come from anybody."""
    if name and name.startswith("local:") and name != os.environ.get("TG_MODEL"):
        raise ReplayMismatch(
            f"run {run} was made with {name}, which runs code in this process: say so again, as in "
            f"resume(..., {how}...)"
        )
    return name


def _recorded(run: str, recipe: dict[str, Json], task: Task) -> str:
    if recipe.get("policy") == "":
        raise ReplayMismatch(
            f"run {run} was made with a policy object: pass it again, as resume(..., policy=my_policy)"
        )
    return recipe.get("policy") or task.policy


def _text(thing: object) -> str | None:
    """How a recipe names a thing: None for the default, "" for an object that text cannot name."""
    if thing is None or isinstance(thing, str):
        return thing
    return expression(thing) or ""


def thinks_alone(task: Task) -> bool:
    """Whether a task that ships with the package has its local generators, and asks no model."""
    recipe: Json = task.recipe
    return isinstance(recipe, dict) and bool(cast("dict[str, Json]", recipe).get("local"))


def _default(model: Model | None) -> Budget:
    if model is not None:
        sys.stderr.write(f"thoughtgraph: no budget was named, so at most {DEFAULT_BUDGET} are spent\n")
    return DEFAULT_BUDGET


def new_run() -> str:
    """A run's id: the day and eight random hexadecimal digits."""
    return f"{datetime.now(UTC):%y%m%d}-{secrets.token_hex(4)}"


# -- one event loop for synchronous callers ----------------------------------------------------------------------


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The process's background event loop: clients that live in it serve every synchronous call."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="thoughtgraph", daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loop.cache_clear)  # threads do not survive a fork


def submitted(work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
    """`work`, begun in the background; `TaskError` inside a run, which would wait for itself."""
    loop = _loop()
    with contextlib.suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            raise TaskError("solve was called from inside a run: await asolve there")
    return asyncio.run_coroutine_threadsafe(work(), loop)


def _blocking(run: Run) -> Result:
    future = submitted(run)
    try:
        return future.result()
    except KeyboardInterrupt:
        _loop().call_soon_threadsafe(run.engine.cancel)
        raise Interrupted(_at_last(run.engine, future)) from None


def _at_last(engine: Engine, future: Future[Result]) -> Result:
    """The run's own end; or where it stands, while a generator or critic that blocks the event loop keeps it."""
    try:
        return future.result(timeout=5)
    except TimeoutError:
        return engine.standing("cancelled")
