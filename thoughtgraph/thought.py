"""Thoughts, drafts and scores: the frozen data that a search is made of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, cast

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels

Json: TypeAlias = Any
"""JSON data: None, bool, int, finite float, str, list, and dict with str keys."""

ROOT = "root"
"""The id of the thought that every search starts from: the problem, before anybody thought."""

Ito: TypeAlias = Literal["none", "proxy", "environment"]
"""What inference-time optimisation went by: nothing, a stand-in for the evaluator, or the evaluator by contract."""


@dataclass(frozen=True, slots=True)
class Thought:
    """One node of the graph.

    `content` is JSON data (a step in words, the numbers left, a program). `parents` are the thoughts it was first
    made from; edges added by later merges stand in the graph. `prior` is the generator's own probability or weight
    (> 0), `done` says that it is whole: no step follows, though an action that takes whole thoughts (refine, merge) may
    go on from it. `depth` counts the steps from the root, which has depth 0.
    """

    id: str
    parents: tuple[str, ...]
    action: str
    content: Json
    prior: float = 1.0
    done: bool = False
    depth: int = 0

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def text(self) -> str:
        """The content in words: itself if it is text, its "text" if it has one, else its JSON."""
        return as_text(self.content)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a generator returns: a thought before the engine gave it an id and a place."""

    content: Json
    prior: float = 1.0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A critic's judgement of one thought.

    `value` is finite, higher is better, or None where the critic abstained or failed: such a score is never ranked
    and always counted. `feedback` is text that the next prompt can use, `parts` are named components, `spread` is
    the standard error of the value, `samples` how many judgements it is the mean of. `cost` is in seconds or in the
    unit the critic names in `details`, which is JSON. `critic` is filled in by the engine.
    """

    value: float | None
    feedback: str = ""
    parts: Mapping[str, float] | None = None
    spread: float | None = None
    samples: int = 1
    status: str = "ok"
    cost: float | None = None
    details: Json = None
    critic: str = ""

    @classmethod
    def of(cls, values: Sequence[float], feedback: str = "") -> Score:
        """The mean of `values` with its standard error; an abstention if there are none."""
        if not values:
            return cls(None, feedback, samples=0, status="abstained")
        n, mean = len(values), math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0
        return cls(mean, feedback, spread=math.sqrt(variance / n) if n > 1 else None, samples=n)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of knowledge K: its text and where it stands. Text from outside is data, never instructions.

    `source` is where it stands in words, for people and prompts. What comes from a knowledge file says more: its `id`
    there, the file's own id (`base`), the `document` with the digest of its `version`, the `section` (headings, a "/"
    between them), and where in the document's text it stands: characters `start` to `end`. `labels` say what may be
    done with it and with all that is made of it; a passage without is the caller's own, and may be shown to any model.
    """

    text: str
    source: str = ""
    id: str = ""
    base: str = ""
    document: str = ""
    version: str = ""
    section: str = ""
    start: int = 0
    end: int = 0
    labels: Labels | None = None

    @property
    def origin(self) -> Passage | None:
        """The same without its text, which is how what was made of it remembers it; None for the caller's own."""
        return replace(self, text="") if self.document or self.labels else None

    @property
    def content(self) -> dict[str, Json]:
        """The content of a thought that is this passage; `as_passage` reads it again."""
        words = ("id", "base", "document", "version", "section", "start", "end")
        told = {name: value for name in words if (value := getattr(self, name))}
        labels = {"labels": asdict(self.labels)} if self.labels else {}
        return {"passage": self.text, "source": self.source, **told, **labels}


PLAIN = (str, int, bool, type(None))


def as_text(content: Json) -> str:
    """JSON content in words, for prompts and pages: a text, a dict's "text" or "passage", else the JSON itself."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        said = cast("dict[str, Json]", content)
        if isinstance(text := said.get("text", said.get("passage")), str):
            return text
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def as_passage(thought: Thought) -> Passage | None:
    """The passage that a thought holds: its content is a dict with a text under "passage"; None for other thoughts.

    Labels that do not read allow nothing.
    """
    content: Json = thought.content
    held = cast("dict[str, Json]", content) if isinstance(content, dict) else {}
    if not isinstance(text := held.get("passage"), str):
        return None
    words = {name: as_text(held.get(name)) for name in ("source", "id", "base", "document", "version", "section")}
    start, end = (value if isinstance(value := held.get(name), int) else 0 for name in ("start", "end"))
    return Passage(text, **words, start=start, end=end, labels=_labels(held.get("labels")))


def _labels(told: Json) -> Labels | None:
    if told is None:
        return None
    try:
        if isinstance(told["readers"], str) or isinstance(told["models"], str):  # its letters are no names
            return Labels((), (), train=False)
        return Labels(tuple(told["readers"]), tuple(told["models"]), told["train"] is True)
    except (TypeError, KeyError, TaskError):
        return Labels((), (), train=False)


def clean(text: str) -> str:
    """Text that can be stored: half a character pair becomes a replacement sign."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


DEEPEST = 100
"""So many lists and dicts within each other are stored and read again; some readers of JSON stop at 200."""


def as_json(value: Json, what: str, deep: int = DEEPEST) -> Json:
    """`value` as plain JSON data, tuples as lists; `TaskError` naming `what` where it is none, or nested too deep."""
    if type(value) in PLAIN:
        return clean(value) if type(value) is str else value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if not deep:
        raise TaskError(f"{what} is nested more than {DEEPEST} deep: expected JSON data that can be stored")
    if isinstance(value, list | tuple):
        return [as_json(item, what, deep - 1) for item in cast("list[Json]", value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[Json, Json]", value)):
        return {clean(key): as_json(item, what, deep - 1) for key, item in cast("dict[str, Json]", value).items()}
    found = cast("object", value)
    raise TaskError(
        f"{what} is {found!r:.80} ({type(found).__name__}): expected JSON data (None, bool, int, finite float, str, "
        "list, dict with str keys); convert it in the generator, or keep a name of it in the thought"
    )
