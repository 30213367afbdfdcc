"""The doctor: which models are set up, what each can do, and what the engine does where it cannot.

A probe asks the server itself: a dozen tiny calls through the same seam that the engine uses, counted and bounded.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeAlias

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from thoughtgraph.api import as_model
from thoughtgraph.budget import Usage
from thoughtgraph.endpoint import Endpoint
from thoughtgraph.errors import ModelError, Unauthorized, Unavailable
from thoughtgraph.model import Capabilities, Completion, Model, Price, Request, Schema, capabilities, endpoint
from thoughtgraph.models import tables
from thoughtgraph.models.lacking import Lacking
from thoughtgraph.prompt import Prompt
from thoughtgraph.render import whole
from thoughtgraph.version import __version__

PACKAGES = ("openai", "anthropic", "litellm", "aiohttp")

EXAMPLES = {"OPENAI_API_KEY": "openai:gpt-5-mini", "ANTHROPIC_API_KEY": "anthropic:claude-haiku-4-5"}
"""The model that is looked at for a key in the environment, where none is named."""

ABILITIES = ("n", "logprobs", "schema", "temperature", "seed", "stop", "caching", "images")

INSTEAD: Mapping[str, str] = {
    "n": "one request a draw, side by side, each draw booked",
    "logprobs": "none; a critic that reads them, as Expected, draws samples or refuses",
    "schema": "the prompt asks for JSON, which is checked, with one repair",
    "temperature": "not sent; draws differ by the model's own sampling, and prompts ask for different ones",
    "seed": "not sent; replies differ from run to run",
    "stop": "not sent; replies are cut off here",
    "caching": "none; every token of a prompt is paid in full",
    "images": "none; a prompt with a picture is refused before anything is sent",
    "price": "unknown, so budgets in dollars are refused: give it with --price IN,OUT or price=tg.Price(...)",
    "context": "unknown; a prompt that is too long is refused by the server",
}
"""What the engine does where something is missing."""

UNSET = (
    "No model is set up. Set OPENAI_API_KEY or ANTHROPIC_API_KEY and name a model: TG_MODEL=openai:gpt-5-mini in the "
    "environment, or --model openai:gpt-5-mini. For a server of your own: --model openai:NAME --base-url "
    "http://localhost:8000/v1. For a function of your own: --model local:package.module:function"
)


# -- what is asked of a server -----------------------------------------------------------------------------------

Verdict: TypeAlias = tuple[bool | None, str]
"""Whether a server does something (None: it could not be told), and what was seen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: `what` was asked about, and whether the server does it (None where nobody could tell).

    `usage` is what the asking cost, its seconds the latency. Findings of one call carry it once.
    """

    what: str
    ok: bool | None
    said: str
    usage: Usage = Usage()  # noqa: RUF009, it is frozen


@dataclass(frozen=True)
class Trial:
    """One call of a probe, and what is read from its reply."""

    request: Request
    reads: Mapping[str, Callable[[Completion], Verdict]]
    n: int = 1

    def worst(self, price: Price | None) -> Usage:
        """The most that it can cost."""
        prompt, completion = self.request.bound, self.n * self.request.max_tokens
        return Usage(self.n, 1, prompt, completion, price and price.dearest.usd(prompt, completion))


def _ask(text: str, **settings: Any) -> Request:
    return replace(Request(Prompt(ask=text).messages, max_tokens=64, timeout=60.0), **settings)


def _replied(completion: Completion) -> Verdict:
    return True, f"replied {completion.replies[0].text[:40]!r}"


def _counted(completion: Completion) -> Verdict:
    prompt, written = completion.prompt_tokens, completion.completion_tokens
    if prompt is None or written is None:
        return False, "the tokens are not reported: calls are booked at the most that they can be"
    return True, f"{prompt} tokens in, {written} out"


def _choices(completion: Completion) -> Verdict:
    return len(completion.replies) > 1, f"{len(completion.replies)} of 2 draws came in one request"


def _taken(completion: Completion) -> Verdict:
    return True, "was taken; whether it has an effect, one call cannot tell"


def _probable(completion: Completion) -> Verdict:
    told = len(completion.replies[0].logprobs)
    return told > 0, f"{told} tokens came with a log-probability"


def _formed(completion: Completion) -> Verdict:
    """The prompt says nothing of JSON, so that a reply in this form is the schema's doing."""
    text = completion.replies[0].text
    try:
        said: Any = json.loads(text)
    except ValueError:
        said = None
    fits = isinstance(said, dict) and set[Any](said) == {"animal", "legs"}  # pyright: ignore[reportUnknownArgumentType]
    return fits or _silent(completion), f"the reply is {text[:60]!r}"


def _stopped(completion: Completion) -> Verdict:
    text = completion.replies[0].text
    if "1" not in text:
        return None, f"it did not count: {text[:40]!r}"
    return "5" not in text, f"asked to count to 9 with stop='5', it wrote {text[:40]!r}"


def _read(completion: Completion) -> Verdict:
    return True, f"a prompt of {len(_LONG[0].content)} characters was taken, as {completion.prompt_tokens} tokens"


def _again(completion: Completion) -> Verdict:
    """Some models mark a beginning for the cache only when it comes again, so that not even this is the last word."""
    cached, said = _cached(completion)
    return cached or None, said


def _cached(completion: Completion) -> Verdict:
    cached, all_ = completion.cached_tokens, completion.prompt_tokens
    return cached > 0, f"the same prompt again: {cached} of {all_ or 'its'} tokens came from the cache"


def _silent(completion: Completion) -> bool | None:
    """None where a model had no tokens left for a word, as those do that think first; else False."""
    reply = completion.replies[0]
    return None if reply.finish == "length" and not reply.text.strip() else False


_CAT = Schema(
    "cat",
    {
        "type": "object",
        "properties": {"animal": {"type": "string"}, "legs": {"type": "integer"}},
        "required": ["animal", "legs"],
        "additionalProperties": False,
    },
)

_LONG = Prompt(
    rules="Letters, to be forgotten: " + " ".join("bcdfghjkmn"[number * number % 10] for number in range(4400)),
    ask="Say one word.",
).messages
"""Few bytes and many tokens: caches take no prompt under 1,024 to 4,096 tokens, and a bound counts bytes."""

_COUNT = "Count from 1 to 9, with a space between the numbers, and write nothing else."

TRIALS = (
    Trial(_ask("Say one word."), {"answer": _replied, "usage": _counted}),
    Trial(_ask("Name a colour, in one word."), {"n": _choices}, n=2),
    Trial(_ask("Name a fruit, in one word.", temperature=0.0), {"temperature": _taken}),
    Trial(_ask("Name a fruit, in one word.", temperature=1.0), {"temperature": _taken}),
    Trial(_ask("Name a river, in one word.", seed=7), {"seed": _taken}),
    Trial(_ask("Say one word.", logprobs=True, max_tokens=16), {"logprobs": _probable}),
    Trial(_ask("Tell me about cats.", schema=_CAT), {"schema": _formed}),
    Trial(_ask(_COUNT, stop=("5",)), {"stop": _stopped}),
    Trial(Request(_LONG, max_tokens=16, timeout=60.0), {"length": _read}),
    Trial(Request(_LONG, max_tokens=16, timeout=60.0), {"caching": _again}),
    Trial(Request(_LONG, max_tokens=16, timeout=60.0), {"caching": _cached}),
)


def worst(model: Model) -> Usage:
    """The most that a probe of a model can cost; dollars are None where its price is not known."""
    return sum((trial.worst(model.price) for trial in TRIALS), Usage())


async def probe(model: Model) -> list[Finding]:
    """Ask a model's server what it really does. Errors are findings; after a first call that fails no other is made."""
    findings: list[Finding] = []
    try:
        for trial in TRIALS:
            findings += await _tried(model, trial)
            if not findings[0].ok:
                break
    finally:
        await model.close()
    return findings


async def _tried(model: Model, trial: Trial) -> list[Finding]:
    began = time.monotonic()
    try:
        completion = await _patiently(model, trial)
        verdicts = [(what, read(completion)) for what, read in trial.reads.items()]
        usage = _paid(completion, trial, model.price)
    except Exception as error:  # noqa: BLE001, whatever a model raises is a finding
        verdicts = [(next(iter(trial.reads)), (_refusal(error), _told(model, error)))]
        lost = not isinstance(error, ModelError) or (isinstance(error, Unavailable) and error.maybe_billed)
        usage = trial.worst(model.price) if lost else Usage(requests=0 if isinstance(error, Lacking) else 1)
    spent = [replace(usage, seconds=time.monotonic() - began), *[Usage()] * (len(verdicts) - 1)]
    return [Finding(what, *verdict, cost) for (what, verdict), cost in zip(verdicts, spent, strict=True)]


async def _patiently(model: Model, trial: Trial) -> Completion:
    """One call, and one more where the server was busy and did nothing."""
    for attempt in range(2):
        try:
            async with asyncio.timeout(trial.request.timeout + 5):
                completion = await model(trial.request, trial.n)
                if not completion.replies:
                    raise Unavailable("no choices came", cause="empty choices", maybe_billed=True)
                return completion
        except Unavailable as error:
            if attempt or error.maybe_billed or (error.retry_after or 0.0) > 20:
                raise
            await asyncio.sleep(0.5 if error.retry_after is None else error.retry_after)
    raise AssertionError("unreachable")


def _told(model: Model, error: Exception) -> str:
    place, said = getattr(model, "_endpoint", None), f"{type(error).__name__}: {error}"
    if isinstance(error, Lacking):
        return f"not asked, {error}"
    return place.scrub(said, 400) if isinstance(place, Endpoint) else said[:400]


def _refusal(error: Exception) -> bool | None:
    """False where the server said no to what was asked; None where it said nothing about that."""
    if not isinstance(error, ModelError) or isinstance(error, Unavailable | Unauthorized | Lacking):
        return None
    return None if error.cause == "context too long" else False


def _paid(completion: Completion, trial: Trial, price: Price | None) -> Usage:
    most, prompt, written = trial.worst(price), completion.prompt_tokens, completion.completion_tokens
    if prompt is None or written is None:
        return most
    usd = price and price.usd(prompt, written, completion.cached_tokens, completion.written_tokens)
    return Usage(len(completion.replies), 1, prompt, written, usd)


# -- what is known of a model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkup:
    """One model: where it is, whether its key is there, what it can do, what a probe found."""

    model: str
    endpoint: str
    key: str
    can: Capabilities
    price: Price | None
    missing: str = ""
    """Why there is no key; "" where there is one, or none is needed."""
    findings: tuple[Finding, ...] = ()

    @property
    def well(self) -> bool:
        """Whether it can be used, as far as is known."""
        return not self.missing and all(found.ok is True for found in self.findings if found.what == "answer")

    @property
    def usage(self) -> Usage:
        """What the probe cost."""
        return sum((found.usage for found in self.findings), Usage())

    def declared(self, ability: str) -> str:
        """What is said of an ability before anybody asks: yes, no, or the kind of caching."""
        value: bool | str = getattr(self.can, ability)
        return value if isinstance(value, str) else ("yes" if value else "no")

    def found(self, ability: str) -> bool | None:
        """Whether the server has an ability, by the probe; None where it was not asked or could not tell."""
        told = [found.ok for found in self.findings if found.what == ability and found.ok is not None]
        return all(told) if told else None

    def differs(self, ability: str) -> bool:
        """Whether the probe found other than what was said."""
        found = self.found(ability)
        return found is not None and found != (self.declared(ability) not in ("no", "none"))

    def lacks(self) -> Iterator[str]:
        """What it cannot do, or nobody knows, by the probe where there was one."""
        for ability in ABILITIES:
            found = self.found(ability)
            if found is False or (found is None and self.declared(ability) in ("no", "none")):
                yield ability
        yield from (name for name, known in (("price", self.price), ("context", self.can.context)) if known is None)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        known = {"model": self.model, "endpoint": self.endpoint, "key": self.key, "well": self.well}
        instead = {name: INSTEAD[name] for name in self.lacks()} | ({"key": self.missing} if self.missing else {})
        probed = {"findings": [asdict(found) for found in self.findings], "usage": asdict(self.usage)}
        can, price = asdict(self.can), asdict(self.price) if self.price else None
        return {**known, "can": can, "price": price, "instead": instead, "probe": probed if self.findings else None}


def checkup(model: Model) -> Checkup:
    """What is known of a model without asking its server."""
    key, missing = _key(model)
    return Checkup(model.name, endpoint(model), key, capabilities(model), model.price, missing)


def _key(model: Model) -> tuple[str, str]:
    """Whether a model has its key, in words that show nothing of it; and why not."""
    place = getattr(model, "_endpoint", None)
    if not isinstance(place, Endpoint):
        return "none needed", ""
    try:
        if place.key or place.authorization():
            return "found", ""
    except Unauthorized as error:
        return f"missing: {place.key_env}", str(error)
    return ("none needed" if place.base_url else f"not in {place.key_env}, litellm may know another"), ""


# -- the report --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """All that the doctor says."""

    versions: Mapping[str, str]
    listed: int
    """How many models litellm's tables tell of; 0 where they were not found."""
    checkups: tuple[Checkup, ...]

    @property
    def well(self) -> bool:
        """Whether there is a model, and each can be used."""
        return bool(self.checkups) and all(one.well for one in self.checkups)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        models = [one.to_json() for one in self.checkups]
        return {"versions": dict(self.versions), "listed": self.listed, "models": models, "well": self.well}

    def shown(self) -> Iterator[RenderableType]:
        """For a terminal."""
        if self.checkups:
            yield _places(self.checkups)
            yield Text()
            yield _abilities(self.checkups)
            yield Text()
            yield from _sentences(self.checkups)
        else:
            yield Text(UNSET, "yellow")
        for one in self.checkups:
            yield from _probed(one)
        yield Text()
        yield Text(", ".join(f"{package} {number}" for package, number in self.versions.items()), "dim")
        yield Text(f"litellm's tables of prices and abilities: {self._listed}", "dim")

    @property
    def _listed(self) -> str:
        return f"{self.listed} models" if self.listed else "not found, so prices are unknown until you give them"


def examine(names: Sequence[str], base_url: str | None, *, ask: bool, tell: Callable[[str], None]) -> Report:
    """Look at the models that are named or configured; with `ask`, `tell` the bound of the cost and probe them.

    `TaskError` for a name that no model has.
    """
    models = [model for name in configured(names, base_url) if (model := as_model(name, base_url)) is not None]
    checkups = [checkup(model) for model in models]
    if ask and models:
        tell(_bound(models))
        found = asyncio.run(_all(models, checkups))
        checkups = [replace(one, findings=tuple(its)) for one, its in zip(checkups, found, strict=True)]
    return Report(versions(), len(tables.known("litellm")), tuple(checkups))


def configured(names: Sequence[str], base_url: str | None = None) -> list[str]:
    """The models to look at: those named, else TG_MODEL, else one for each key in the environment."""
    own = os.environ.get("TG_MODEL", "").strip()
    if names or own:
        return list(names) or [own]
    keyed = [name for key, name in EXAMPLES.items() if os.environ.get(key) or os.environ.get(f"{key}_FILE")]
    if base_url or os.environ.get("OPENAI_BASE_URL"):  # its own models' names are not known
        return ["openai:default", *(name for name in keyed if not name.startswith("openai:"))]
    return keyed


async def _all(models: Sequence[Model], checkups: Sequence[Checkup]) -> list[list[Finding]]:
    """The probes, side by side; a model without its key is not asked."""

    async def one(model: Model, known: Checkup) -> list[Finding]:
        return [Finding("answer", None, known.missing)] if known.missing else await probe(model)

    return await asyncio.gather(*map(one, models, checkups))


def _bound(models: Sequence[Model]) -> str:
    most = sum((worst(model) for model in models), Usage())
    return f"The probe makes {most.requests} requests: at most {_spent(most)}"


def _spent(usage: Usage) -> str:
    dollars = "dollars unknown, as the price is" if usage.usd is None else f"${usage.usd:.4f}"
    return f"{usage.prompt_tokens} tokens in and {usage.completion_tokens} out, {dollars}"


def versions() -> dict[str, str]:
    """What is installed, without importing it."""
    found = {"python": platform.python_version(), "thoughtgraph": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _places(checkups: Sequence[Checkup]) -> Table:
    table = _table("model", "endpoint", "key", "$ per M in, out", "context")
    for one in checkups:
        context = "unknown" if one.can.context is None else f"{one.can.context:,}"
        cells = (one.model, one.endpoint, one.key, _price(one.price), context)
        table.add_row(*(whole(cell) for cell in cells))
    return table


def _table(*titles: str) -> Table:
    """Nothing is left out where it is narrow: long words go on in the next line."""
    columns = (Column(title, overflow="fold") for title in titles)
    return Table(*columns, box=None, collapse_padding=True, pad_edge=False)


def _price(price: Price | None) -> str:
    """Dollars for a million tokens."""
    if price is None:
        return "unknown"
    return f"{price.prompt:g}, {price.completion:g}" if price.prompt or price.completion else "nothing"


def _abilities(checkups: Sequence[Checkup]) -> Table:
    table = _table("model", *ABILITIES)
    for one in checkups:
        table.add_row(whole(one.model), *(_cell(one, ability) for ability in ABILITIES))
    return table


def _cell(one: Checkup, ability: str) -> Text:
    declared, found = one.declared(ability), one.found(ability)
    if found is None:
        return Text(declared)
    if one.differs(ability):
        return Text(f"{'yes' if found else 'no'} (probed), not {declared}", "yellow")
    return Text(f"{declared} (probed)")


def _sentences(checkups: Sequence[Checkup]) -> Iterator[Text]:
    """What the engine does instead, each once, with the models that it is about where there are several."""
    for name, said in INSTEAD.items():
        about = [one.model for one in checkups if name in one.lacks()]
        if about:
            yield whole(f"{name}: {said}" + (f" ({', '.join(about)})" if len(checkups) > 1 else ""))
    for one in checkups:
        if one.missing:
            yield whole(f"key: {one.missing}")


def _probed(one: Checkup) -> Iterator[Text]:
    if not one.findings:
        return
    yield Text()
    times = "once" if one.usage.requests == 1 else f"{one.usage.requests} times"
    yield whole(f"{one.model} was asked {times}, {_spent(one.usage)}:")
    marks = {True: "yes", False: "no", None: "not told"}
    for found in one.findings:
        took = f" ({found.usage.seconds:.2f} s)" if found.usage.requests else ""
        yield Text("  ") + whole(f"{found.what}: {marks[found.ok]}, {found.said}{took}")
