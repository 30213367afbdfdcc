"""Rows: what critics learn from. Preferences, demonstrations, outcomes and step traces, as frozen, validated JSONL."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels
from thoughtgraph.learning.writing import write_whole
from thoughtgraph.thought import Json, as_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
"""The version of the rows' form, in every line. A line of another version is refused, never guessed at."""

LONGEST = 16 * 2**20
"""So many bytes a line may have."""


def _texts(one: object, *names: str) -> None:
    """Raise `TaskError` where something is no text: a chat that refuses may say None."""
    for name in names:
        if not isinstance(found := getattr(one, name), str):
            raise TaskError(f"{name} is {found!r:.80}: expected a text")


def _listed(one: object, name: str) -> None:
    """Texts as a tuple; `TaskError` for a single text, whose letters would be taken for them."""
    found: Any = getattr(one, name)
    if isinstance(found, str) or not all(isinstance(item, str) for item in found):
        raise TaskError(f"{name} is {found!r:.80}: expected texts in a tuple, as in ({'a'!r}, {'b'!r})")
    object.__setattr__(one, name, tuple(found))


def _number(found: object) -> bool:
    return isinstance(found, int | float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What somebody wrote towards an answer, and what was known of it without knowing whether it is right.

    `text` is all of it in words; `steps` its steps, where it has them, and `contents` the thoughts' contents that the
    steps stand for, one each. `answer` is what it claims, as JSON, None where it claims nothing. `signals` are numbers
    from where it was found ("visits", "judge", "prior", ...). `generator` names who wrote it, `thought` the thought.
    """

    text: str
    steps: tuple[str, ...] = ()
    contents: tuple[Json, ...] = ()
    answer: Json = None
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    generator: str = ""
    thought: str = ""

    def __post_init__(self) -> None:
        _texts(self, "text", "generator", "thought")
        _listed(self, "steps")
        object.__setattr__(self, "contents", tuple(as_json(list(self.contents), "the contents")))
        object.__setattr__(self, "answer", as_json(self.answer, "the answer"))
        if self.contents and len(self.contents) != len(self.steps):
            raise TaskError(f"{len(self.contents)} contents for {len(self.steps)} steps: expected one for each")
        if odd := [name for name, value in self.signals.items() if not (_number(value) and isfinite(value))]:
            raise TaskError(f"the signal {odd[0]!r} is {self.signals[odd[0]]!r}: expected a finite number")

    def until(self, step: int) -> Response:
        """The response as it stood after its first `step` steps: they are its text, and it claims nothing yet."""
        from dataclasses import replace

        steps = self.steps[:step]
        return replace(self, text="\n".join(steps), steps=steps, contents=self.contents[:step], answer=None, signals={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row carries: its question, where it was found, and who may see it.

    `id` is the key that splits go by, the question's own digest if nobody gives another: rows of one question never
    stand on both sides of a split. `problem` is the task's problem as JSON, where it says more than `question`.
    `run` is the run that the responses' thoughts belong to. `labels` are those of the private knowledge that went into
    it, as `spelt` writes them, or words of your own; a row with `train=False` may be shown to whoever they allow
    (`sendable`), and never trained on or exported. Where one of the labels does not allow training, it is one.
    """

    question: str
    id: str = ""
    problem: Json = None
    run: str = ""
    labels: tuple[str, ...] = ()
    train: bool = True

    def __post_init__(self) -> None:
        _texts(self, "question", "id", "run")
        _listed(self, "labels")
        for held in ("response", "chosen", "rejected"):
            if not isinstance(found := getattr(self, held, None), Response | None):
                raise TaskError(f"{held} is {found!r:.80}: expected a tg.Response, as in tg.Response(text='4')")
        object.__setattr__(self, "train", self.train and all(labels.train for labels in labels_of(self)))
        if not self.id:
            object.__setattr__(self, "id", sha256(self.question.encode(errors="surrogatepass")).hexdigest()[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(Row):
    """One response was preferred to another, by `judge`; with `tie`, neither was. `margin` says by how much, if known.

    `flips` counts judgements that changed with the order in which the two were shown.
    """

    chosen: Response
    rejected: Response
    margin: float | None = None
    tie: bool = False
    judge: str = ""
    flips: int = 0
    kind: Literal["preference"] = "preference"

    def __post_init__(self) -> None:
        super(Preference, self).__post_init__()
        if self.flips < 0:
            raise TaskError(f"the preference has {self.flips} flips: expected a count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration(Row):
    """A response of somebody who knows how: an expert's, a reference. `source` names them."""

    response: Response
    source: str = ""
    kind: Literal["demonstration"] = "demonstration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Row):
    """What the golden metric says of a response: `value` in [0, 1], 1 where it is right. `grader` names the metric."""

    response: Response
    value: float
    grader: str = ""
    kind: Literal["outcome"] = "outcome"

    def __post_init__(self) -> None:
        super(Outcome, self).__post_init__()
        if not _number(self.value) or not 0 <= self.value <= 1:
            raise TaskError(f"the outcome's value is {self.value!r}: expected a number from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrace(Row):
    """How the steps of a response turned out: `counts[i]` are successes and trials of going on after step i + 1.

    They are values of the `completer` who went on (Math-Shepherd: Wang et al., 2024), not proofs of correctness, and
    both numbers are kept, since 0 of 2 says less than 0 of 64; (0, 0) says nothing. `first_error` is the first wrong
    step, from 0, len(steps) where no step is wrong, None where nobody knows.
    """

    response: Response
    counts: tuple[tuple[int, int], ...] = ()
    first_error: int | None = None
    completer: str = ""
    kind: Literal["steps"] = "steps"

    def __post_init__(self) -> None:
        super(StepTrace, self).__post_init__()
        steps = len(self.response.steps)
        if self.counts and len(self.counts) != steps:
            raise TaskError(f"{len(self.counts)} counts for {steps} steps: expected (successes, trials) for each")
        if odd := [pair for pair in self.counts if not 0 <= pair[0] <= pair[1]]:
            raise TaskError(f"the counts are {odd[0]!r}: expected successes and trials, the trials no fewer")
        if self.first_error is not None and not 0 <= self.first_error <= steps:
            raise TaskError(f"the first error is at step {self.first_error}: expected 0 to {steps}, {steps} for none")


AnyRow: TypeAlias = Preference | Demonstration | Outcome | StepTrace
R = TypeVar("R", bound=Row)


# -- files -----------------------------------------------------------------------------------------------------------


def write_rows(path: str | os.PathLike[str], rows: Iterable[AnyRow]) -> int:
    """Write rows as JSONL, a line each with the schema's version, in place of what was there; how many there were.

    The file appears whole or not at all.
    """
    return write_whole(path, map(line_of, rows))


def line_of(row: AnyRow) -> str:
    """A row as one line of JSON; what stands at its default is left out."""
    told = _adapter().dump_python(row, mode="json", exclude_defaults=True)
    return json.dumps({"schema": SCHEMA, "kind": row.kind, **told, "id": row.id}, ensure_ascii=False, allow_nan=False)


def read_rows(path: str | os.PathLike[str]) -> list[AnyRow]:
    """The rows of a JSONL file; `TaskError` names the first line that is none, and what is wrong with it."""
    return list(_lines(Path(path)))


def _lines(path: Path) -> Iterator[AnyRow]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
                if line.strip():
                    yield row_of(line, f"{path}, line {number}")
    except OSError as error:
        raise TaskError(f"{path} cannot be read ({error}): expected a JSONL file of rows") from None


def row_of(line: str | bytes, where: str = "the row") -> AnyRow:
    """One line as a row; `TaskError` says what is wrong with it."""
    from pydantic import ValidationError
    from pydantic_core import from_json

    if len(line) > LONGEST:
        raise TaskError(f"{where} is longer than {LONGEST} bytes: expected one row of JSON a line")
    try:
        told: Any = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise TaskError(f"{where} is no JSON ({error}): expected one row a line") from None
    if not isinstance(told, dict) or told.pop("schema", None) != SCHEMA:  # pyright: ignore[reportUnknownMemberType]
        raise TaskError(f"{where} has no row of schema {SCHEMA}: write it with write_rows of this version")
    try:
        return _adapter().validate_python(told)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise TaskError(f"{where}: {'.'.join(map(str, fault['loc'])) or 'row'}: {fault['msg']}") from None


@cache
def _adapter() -> TypeAdapter[Any]:
    """What reads and writes rows: unknown fields are refused, so that a misspelt one is not lost."""
    from typing import Annotated

    from pydantic import ConfigDict, Discriminator, TypeAdapter

    union: Any = Annotated[AnyRow, Discriminator("kind")]
    return TypeAdapter(union, config=ConfigDict(extra="forbid"))


# -- what rows have in common ----------------------------------------------------------------------------------------


def spelt(labels: Labels) -> str:
    """Labels of private knowledge as a text, the same for the same."""
    return json.dumps(asdict(labels), ensure_ascii=False, sort_keys=True)


def sendable(row: Row, model: str) -> bool:
    """Whether the model of this name may be shown a row, by the labels of all that went into it."""
    return all(labels.sendable(model) for labels in labels_of(row))


def labels_of(*rows: Row) -> tuple[Labels, ...]:
    """The labels of the private knowledge that went into rows, each once; somebody's own words are none."""
    found = (_labels(text) for row in rows for text in row.labels)
    return tuple(dict.fromkeys(labels for labels in found if labels))


@lru_cache(maxsize=1024)
def _labels(text: str) -> Labels | None:
    """Labels that were spelt, None for somebody's own words; labels that do not read any more allow nothing."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        told = {"models": None} if text.startswith('{"models"') else None
    if not isinstance(told, dict) or "models" not in told:
        return None
    try:
        return Labels(told["readers"], told["models"], told["train"] is True)  # pyright: ignore[reportUnknownArgumentType]
    except (TypeError, KeyError, TaskError):
        return Labels((), (), train=False)


def by_question(rows: Iterable[R]) -> dict[str, list[R]]:
    """Rows by their question's id, in the order in which they came."""
    groups = dict[str, list[R]]()
    for row in rows:
        groups.setdefault(row.id, []).append(row)
    return groups


def responses(row: AnyRow) -> Sequence[Response]:
    """The responses that a row holds."""
    return (row.chosen, row.rejected) if isinstance(row, Preference) else (row.response,)
