"""Learned critics (Ouyang et al., 2022; Lightman et al., 2023): features, a fitted model, and its calibration."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, Literal, TypeAlias, cast, get_args

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.calibration import Calibration
from thoughtgraph.learning.columns import Array, arrays
from thoughtgraph.learning.features import Example, Feature, table
from thoughtgraph.learning.fitted import Ensemble, Model, json_of
from thoughtgraph.learning.rows import AnyRow, Response, by_question, line_of
from thoughtgraph.learning.writing import write_whole
from thoughtgraph.state import State
from thoughtgraph.task import Claim
from thoughtgraph.thought import Ito, Json, Score, Thought, as_passage
from thoughtgraph.version import __version__

SCHEMA = 1
"""The version of a critic's file. A file of another one is refused, never guessed at."""

LARGEST = 16 * 2**20
"""So many bytes a file may have: ten times what a large critic takes."""

Objective: TypeAlias = Literal["preference", "demonstration", "outcome", "process"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
"""What a critic was trained for: section 4 of the paper."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a critic was trained on: a digest of its rows, how many there were, the labels of what went into them.

    `asked` are digests of its questions' ids, so that an audit knows a question that was learned from.
    """

    digest: str = ""
    rows: int = 0
    questions: int = 0
    labels: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @classmethod
    def on(cls, rows: Sequence[AnyRow]) -> Trained:
        """The note on these rows, in whatever order they come."""
        lines = sorted(map(line_of, rows))
        labels = tuple(sorted({label for row in rows for label in row.labels}))
        questions = by_question(rows)
        asked = tuple(sorted(sha256(id.encode()).hexdigest()[:16] for id in questions))
        return cls(digest_of("\n".join(lines)), len(rows), len(questions), labels, asked)


@dataclass(frozen=True)
class Learned:
    """A critic that was fitted to rows. Its score is a calibrated probability ("prob"), or a centred reward ("reward").

    Rewards are known up to a constant for each question, so they rank responses to one question and say nothing of
    others. `spread` is the standard deviation between the members of an ensemble, None for a model alone. Where no
    feature has anything to say of a response, or the model's numbers overflow, the critic abstains.

    `generators` are those whose responses it was fitted to. A critic still judges those of another one, and then says
    so in the score's `details`, because probabilities that were calibrated on one generator are too high for a weaker
    one. A response that names no generator, as a thought in a search, is not held against it.

    Features of agreement compare the responses that are judged together. A search that scores thoughts one by one
    gives them nothing to compare, and they are missing: score all finished thoughts at once, or leave them out.

    `claim` reads the answer off a path of thoughts, like a task's, and is not saved; where there is none, the answer
    is the "answer" of a finished thought's content, or its text.
    """

    objective: Objective
    features: tuple[Feature, ...] = field(repr=False)
    fitted: Model = field(repr=False)
    calibration: Calibration = field(default_factory=Calibration, repr=False)
    kind: Literal["prob", "reward"] = "prob"
    generators: tuple[str, ...] = ()
    trained: Trained = Trained()
    name: str = "learned"
    claim: Claim | None = None
    digest: str = field(init=False)
    """Of all that decides its scores: by it a run knows the critic that it was begun with."""

    ito: ClassVar[Ito] = "proxy"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES or self.kind not in ("prob", "reward"):
            raise TaskError(
                f"the objective is {self.objective!r:.40} and the kind {self.kind!r:.40}: expected one of "
                f'{", ".join(OBJECTIVES)}, and "prob" or "reward"'
            )
        names, columns = [feature.name for feature in self.features], self.columns
        if odd := [name for name in (self.name, *names) if not name.isprintable()]:
            raise TaskError(f"the critic or a feature has the name {odd[0]!r:.80}: expected one that can be printed")
        if len(set(names)) != len(names):
            raise TaskError(f"the features are {', '.join(names):.400}: expected each once")
        if self.fitted.width != len(columns):
            raise TaskError(f"the model takes {self.fitted.width} columns, its features give {len(columns)}")
        object.__setattr__(self, "digest", digest_of(body_of(self)))

    @property
    def columns(self) -> list[str]:
        """The names of all columns that the model sees, in their order."""
        return [f"{feature.name}.{column}" for feature in self.features for column in feature.columns]

    @property
    def cost(self) -> float:
        """Calls of a model for each response."""
        return sum(feature.cost for feature in self.features)

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, all judged as one set: they are thoughts about one question."""
        return self.judge([self.example(state) for state in states])

    def judge(self, examples: Sequence[Example]) -> list[Score]:
        """One score for each response to one question, in their order."""
        np = arrays()
        if not examples:
            return []
        X = table([examples], self.features)
        values, spreads = self.values(X)
        known = ~np.isnan(X).all(axis=1) & np.isfinite(values)
        return [
            self._score(float(value), spread, example) if seen else Score(None, samples=0, status="abstained")
            for value, spread, example, seen in zip(values, spreads, examples, known, strict=True)
        ]

    def values(self, X: Array) -> tuple[Array, list[float | None]]:
        """What the model makes of a table of features: values (n,), and their spreads."""
        np = arrays()
        with np.errstate(over="ignore", invalid="ignore"):  # the numbers of a file may be as large as they like
            values = self._read(self.fitted(X))
            if not isinstance(self.fitted, Ensemble) or len(self.fitted.members) < 2:
                return values, [None] * len(values)
            spread = np.std(self._read(self.fitted.each(X)), axis=0, ddof=1)
        return values, [float(s) if np.isfinite(s) else None for s in spread]

    def example(self, state: State) -> Example:
        """A state as it is judged: its path in words, with "prior", "depth" and earlier scores as signals."""
        said = {score.critic: score.value for score in state.scores() if score.critic and score.value is not None}
        signals = {**said, "prior": state.thought.prior, "depth": float(state.thought.depth)}
        return Example(state.x, response_of(state.path, self.claim, signals), state.problem)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the critic as one JSON file, whole or not at all; `load_critic` reads it."""
        told = {"schema": SCHEMA, "thoughtgraph": __version__, **body_of(self), "digest": self.digest}
        text = json.dumps(told, ensure_ascii=False, allow_nan=False)
        if len(text.encode()) > LARGEST:
            raise TaskError(
                f"the critic takes more than {LARGEST} bytes, and would not be read again: use fewer features"
            )
        write_whole(path, [text])

    def _read(self, z: Array) -> Array:
        return self.calibration(z) if self.kind == "prob" else z

    def _score(self, value: float, spread: float | None, example: Example) -> Score:
        generator = example.response.generator
        known = not generator or not self.generators or generator in self.generators
        note = None if known else {"fitted for": list(self.generators), "judges": generator}
        return Score(value, spread=spread, details=note)


def response_of(
    path: Sequence[Thought], claim: Claim | None = None, signals: dict[str, float] | None = None
) -> Response:
    """A path of thoughts, root first, as a response: its steps are the thoughts after the root that are no passages."""
    steps = [thought for thought in path[1:] if as_passage(thought) is None]
    texts, last = tuple(thought.text for thought in steps), path[-1]
    return Response(
        text="\n".join(texts),
        steps=texts,
        contents=tuple(thought.content for thought in steps),
        answer=(claim or carried)(path) if last.done else None,
        signals=signals or {},
        thought=last.id,
    )


def carried(path: Sequence[Thought]) -> Json | None:
    """The answer that the last thought carries: its content's "answer", or else its text."""
    content: Json = path[-1].content
    said = cast("dict[str, Json]", content) if isinstance(content, dict) else {}
    return said.get("answer", path[-1].text or None)


def digest_of(told: Json) -> str:
    """Sixteen characters that stand for JSON data."""
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def body_of(critic: Learned) -> dict[str, Any]:
    """What decides a critic's scores, as JSON."""
    from dataclasses import asdict

    return {
        "objective": critic.objective,
        "kind": critic.kind,
        "features": [{"name": f.name, "version": f.version, "columns": list(f.columns)} for f in critic.features],
        "fitted": json_of(critic.fitted),
        "calibration": asdict(critic.calibration),
        "generators": list(critic.generators),
        "trained": asdict(critic.trained),
        "name": critic.name,
    }
