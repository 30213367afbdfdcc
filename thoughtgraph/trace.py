"""What is written down: typed events of the search, records of every paid call, and the fold from events to a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.model import Reply
from thoughtgraph.thought import Json, Passage, Score, Thought

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Reason = Literal["answered", "budget", "exhausted", "cancelled", "failed"]
"""Why a run ended."""


@dataclass(frozen=True, slots=True)
class Started:
    """A run begins. `marks` say exactly what it runs with; `recipe` is how to build that again from text, if it can."""

    run: str
    root: Thought
    task: str
    x: str
    seed: int
    marks: Mapping[str, str]
    budget: Budget
    recipe: Json = None
    created: str = ""
    version: str = ""
    at: float = 0.0
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Expanded:
    """An expansion came back: `made` are its thoughts in order, `thoughts` those of them that are new.

    `outcomes` count what its draws came to, `prompters` are the marks of those that wrote its prompts. A `partial`
    event was cut short by the budget and is performed again on resume; an `orphan` was folded, and never told.
    `origins` are the passages, without their text, that its prompts rest on.
    """

    key: str
    action: str
    parents: tuple[str, ...]
    n: int
    made: tuple[str, ...]
    thoughts: tuple[Thought, ...]
    outcomes: Mapping[str, int] | None = None
    prompters: tuple[str, ...] = ()
    error: str = ""
    partial: bool = False
    orphan: bool = False
    at: float = 0.0
    origins: tuple[Passage, ...] = ()
    kind: Literal["expanded"] = "expanded"


@dataclass(frozen=True, slots=True)
class Scored:
    """A judgement came back: one score for each of `thoughts`. The rest as in `Expanded`."""

    key: str
    critic: str
    thoughts: tuple[str, ...]
    scores: tuple[Score, ...]
    outcomes: Mapping[str, int] | None = None
    prompters: tuple[str, ...] = ()
    error: str = ""
    partial: bool = False
    orphan: bool = False
    at: float = 0.0
    origins: tuple[Passage, ...] = ()
    kind: Literal["scored"] = "scored"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on after a stop or a crash, with this budget as its new total.

    `undone` are the keys of effects that had come to nothing because no provider answered: they are performed again,
    as if they had never been told.
    """

    budget: Budget
    at: float = 0.0
    undone: tuple[str, ...] = ()
    kind: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ends, for now or for good. `ledger` has the books of each role (`Ledger.to_json`)."""

    reason: Reason
    thought: str | None
    answer: Json
    usage: Usage
    error: str = ""
    at: float = 0.0
    ledger: Json = None
    kind: Literal["stopped"] = "stopped"


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that the run does in another way than asked, or that somebody should know: said once a run.

    `about` is what it concerns ("temperature", "n", "context too long", ...), `text` what was asked and what is done
    instead, `where` the thought that it is about, if it is about one.
    """

    about: str
    model: str
    text: str
    where: str = ""
    at: float = 0.0
    kind: Literal["noted"] = "noted"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """All that rested on a document was taken out of the run, for good: it can be shown, and never gone on with.

    `document` is a digest, for a name may be private too (`forgetting.named`); `thoughts` are the ids of those whose
    content is gone; `created` is the date.
    """

    document: str
    thoughts: tuple[str, ...]
    created: str
    at: float = 0.0
    kind: Literal["forgotten"] = "forgotten"


Event: TypeAlias = Started | Expanded | Scored | Resumed | Noted | Stopped | Forgotten


@dataclass(frozen=True, slots=True)
class Sent:
    """A request is about to leave, for draws `draw` to `draw + n - 1` of (effect key, part); `held` is its worst case.

    It is durable before the request goes. Without a `Settled` of the same `id` it counts at `held`. `squeezed` says
    that the budget had fewer tokens left than the request would have had: a reply cut off there is paid for, and no
    word of the model's. `hedge` says that the same draws are in flight already, and late. `origins` are the passages,
    without their text, that the prompt rests on: what of the knowledge left for this model.
    """

    id: int
    key: str
    part: str
    draw: int
    n: int
    role: str
    model: str
    mark: str
    prompt: str
    held: Usage
    at: float = 0.0
    squeezed: bool = False
    hedge: bool = False
    origins: tuple[Passage, ...] = ()
    kind: Literal["sent"] = "sent"


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt ended: with `replies` and what they cost, or with a `cause` ("429", "timeout", ...).

    `lost` says that the provider may have billed an attempt whose reply never came: its usage is the reservation.
    `estimated` says the same of a reply that came without a usage. `cached`, `written` and `reasoning` are tokens, as
    in `Completion`.
    """

    id: int
    replies: tuple[Reply, ...]
    usage: Usage
    cause: str = ""
    lost: bool = False
    estimated: bool = False
    seconds: float = 0.0
    at: float = 0.0
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    kind: Literal["settled"] = "settled"


@dataclass(frozen=True, slots=True)
class Found:
    """Draws `draw` to `draw + len(replies) - 1` of (effect key, part) were found in the cache, and cost nothing."""

    key: str
    part: str
    draw: int
    role: str
    model: str
    replies: tuple[Reply, ...]
    at: float = 0.0
    origins: tuple[Passage, ...] = ()
    kind: Literal["found"] = "found"


@dataclass(frozen=True, slots=True)
class Begun:
    """An act outside of the run that must not be done twice is about to begin; durable before it does."""

    name: str
    at: float = 0.0
    kind: Literal["begun"] = "begun"


@dataclass(frozen=True, slots=True)
class Acted:
    """An act outside of the run ended with this `value`, or with this `error`: found again by (effect key, name).

    `key` is "" for an act that is done once a run. `seconds` is how long it took, `calls` what it counts as.
    """

    key: str
    name: str
    value: Json
    error: str = ""
    seconds: float = 0.0
    at: float = 0.0
    calls: int = 0
    kind: Literal["acted"] = "acted"


Record: TypeAlias = Sent | Settled | Found | Begun | Acted

GAVE_UP = "gave up"
"""The cause of a record that says that no attempt at a request brought its draws."""


def fold(graph: ThoughtGraph, event: Event) -> None:
    """Write one event into the graph: the only way in which a graph grows."""
    if isinstance(event, Expanded):
        new = {thought.id: thought for thought in event.thoughts}
        for id in event.made:
            if id in new:
                graph.add(new.pop(id), event.origins)
            else:
                graph.link(event.parents, id, event.origins)
    elif isinstance(event, Scored):
        judged = (origin for id in event.thoughts for origin in graph.origins(graph[id]))
        told = (*event.origins, *judged)  # a remark may tell of all that were judged together, whoever made it
        for id, score in zip(event.thoughts, event.scores, strict=True):
            graph.judge(id, score, told if score.feedback else ())


def standing(events: Iterable[Event]) -> list[Event]:
    """The events that hold: without those that a later resume has undone."""
    kept = list[Event]()
    for event in events:
        if isinstance(event, Resumed) and event.undone:
            gone = set(event.undone)
            kept = [e for e in kept if not (isinstance(e, Expanded | Scored) and e.key in gone)]
        kept.append(event)
    return kept


def unanswered(events: Sequence[Event], records: Sequence[Record] = ()) -> tuple[str, ...]:
    """The last effects of a failed run in which calls were given up, by key, the latest first.

    None from before an act was begun that is done once: what led to that has been acted on.
    """
    acted = max((record.at for record in records if isinstance(record, Begun)), default=-1.0)
    end, keys = events[-1], list[str]()
    if not isinstance(end, Stopped) or end.reason != "failed":
        return ()
    for event in reversed(events):
        if isinstance(event, Expanded | Scored) and not event.partial:
            if not (event.outcomes or {}).get("failed") or event.at <= acted:
                break
            keys.append(event.key)
    return tuple(keys)


def graph_of(events: Iterable[Event], key: Callable[[Json], Hashable] | None = None) -> ThoughtGraph:
    """The graph that recorded events add up to. Cut-short events count until another version of them follows."""
    events = standing(events)
    latest = {e.key: e for e in events if isinstance(e, Expanded | Scored)}
    graph: ThoughtGraph | None = None
    for event in events:
        if isinstance(event, Started):
            graph = ThoughtGraph(event.root, key)
        elif graph is not None and not (isinstance(event, Expanded | Scored) and latest[event.key] is not event):
            fold(graph, event)
    if graph is None:
        raise ValueError("no graph without its first event: expected a Started among the events")
    return graph


@dataclass
class Ledger:
    """The books of one role (an action's or a critic's name): what it asked, what that cost, how long it took.

    `calls` are draws that were asked of a model, `hits` those found in the cache instead. `requests` are HTTP attempts,
    `hedges` those of them that doubled a late one; `retries` counts failed attempts by cause, but for those that only
    lost to their double. `cached_tokens` and `written_tokens` (of the provider's prompt cache) are among the prompt's,
    `reasoning_tokens` among the completion's. `usd` is None where a price is not known. `lost` attempts may have been
    billed though no reply came, `estimated` ones came without a usage: both count at their reservation, in tokens and
    in dollars. `seconds` are the latencies of the answered requests.
    """

    calls: int = 0
    requests: int = 0
    hedges: int = 0
    hits: int = 0
    retries: dict[str, int] = field(default_factory=dict[str, int])
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    reasoning_tokens: int = 0
    usd: float | None = 0.0
    estimated: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list[float])

    def book(self, settled: Settled, *, hedge: bool = False) -> None:
        """Add one settled attempt."""
        usage = settled.usage
        self.calls += usage.calls
        self.requests += usage.requests
        self.hedges += usage.requests if hedge else 0
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cached_tokens += settled.cached
        self.written_tokens += settled.written
        self.reasoning_tokens += settled.reasoning
        self.usd = None if self.usd is None or usage.usd is None else self.usd + usage.usd
        self.estimated += settled.estimated
        self.lost += settled.lost
        if settled.cause == "hedged":
            return
        if settled.cause:
            self.retries[settled.cause] = self.retries.get(settled.cause, 0) + 1
        else:
            self.seconds.append(settled.seconds)

    def add(self, other: Ledger) -> None:
        """Add another role's books."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        self.retries = dict(Counter(self.retries) + Counter(other.retries))
        self.seconds += other.seconds

    def latency(self, q: float = 0.5) -> float | None:
        """The q-quantile of the answered requests' seconds; None before the first."""
        ordered = sorted(self.seconds)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None

    def to_json(self) -> dict[str, Json]:
        """The books as JSON data, the latencies as quantiles in seconds."""
        counts = {name: getattr(self, name) for name in COUNTS}
        latency = {f"p{round(100 * q)}": self.latency(q) for q in (0.5, 0.9, 0.99)}
        return {**counts, "usd": self.usd, "retries": dict(self.retries), "seconds": latency}


def made_anew(records: Iterable[Record]) -> set[int]:
    """The ids of requests that were given up and whose draws were asked for again later on: those calls count once."""
    sent = {record.id: record for record in records if isinstance(record, Sent) and not record.hedge}
    places = {id: [(s.key, s.part, draw) for draw in range(s.draw, s.draw + s.n)] for id, s in sent.items()}
    latest = {place: id for id in sorted(places) for place in places[id]}
    return {id for id, asked in places.items() if any(latest[place] > id for place in asked)}


def ledger_of(records: Iterable[Record]) -> dict[str, Ledger]:
    """The books that recorded calls add up to, by roles; what was sent and never settled counts at its reservation."""
    records = list(records)
    sent = {record.id: record for record in records if isinstance(record, Sent)}
    void = made_anew(records)
    settled = [record for record in records if isinstance(record, Settled) and record.id in sent]
    settled = [record for record in settled if not (record.cause == GAVE_UP and record.id in void)]
    open_ids = sent.keys() - {record.id for record in settled}
    settled += [Settled(id, (), sent[id].held, "unsettled", lost=True) for id in sorted(open_ids)]
    ledger = {record.role: Ledger() for record in records if isinstance(record, Sent | Found)}
    for record in settled:
        ledger[sent[record.id].role].book(record, hedge=sent[record.id].hedge)
    for record in records:
        if isinstance(record, Found):
            ledger[record.role].hits += len(record.replies)
    return ledger


def shown_to(records: Iterable[Record]) -> dict[str, list[Passage]]:
    """What of the knowledge went to which model, by the models' names: passages without their text, each once."""
    shown = dict[str, dict[Passage, None]]()
    for record in records:
        if isinstance(record, Sent) and record.origins:
            shown.setdefault(record.model, {}).update(dict.fromkeys(record.origins))
    return {model: list(passages) for model, passages in shown.items()}


COUNTS = (
    "calls", "requests", "hedges", "hits", "prompt_tokens", "completion_tokens", "cached_tokens", "written_tokens",
    "reasoning_tokens", "estimated", "lost",
)  # fmt: skip
"""The fields of a ledger that are plain sums."""


@cache
def adapter(kind: Literal["event", "record"]) -> TypeAdapter[Any]:
    """The pydantic adapter that writes and reads events or records; what a file holds is validated, never trusted."""
    from pydantic import Discriminator, TypeAdapter

    union: Any = Event if kind == "event" else Record
    return TypeAdapter(_annotated(union, Discriminator("kind")))


def _annotated(union: Any, by: Any) -> Any:
    from typing import Annotated

    return Annotated[union, by]
