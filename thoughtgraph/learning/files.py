"""Critics as files: one JSON each, read with suspicion. A file is data: nothing in it is ever executed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ConfigDict, with_config

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.calibration import Calibration
from thoughtgraph.learning.features import Feature
from thoughtgraph.learning.fitted import fitted_of
from thoughtgraph.learning.learned import LARGEST, SCHEMA, Learned, Trained
from thoughtgraph.learning.registry import feature_named
from thoughtgraph.thought import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Named:
    """What a file says of a feature."""

    name: str
    version: int
    columns: tuple[str, ...]


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True)
class Body:
    """What stands in a file, beside its schema and the fitted model."""

    thoughtgraph: str
    name: str
    objective: str
    kind: str
    features: tuple[Named, ...]
    calibration: Calibration
    generators: tuple[str, ...]
    trained: Trained
    digest: str


def load_critic(path: str | os.PathLike[str], features: Iterable[Feature] = ()) -> Learned:
    """The critic in a file that `Learned.save` wrote; nothing in it is executed.

    `features` are those of your own that it was trained with (`tg.Feature`, `embedding`), which a file can only name.
    `TaskError` where the file is none of ours, too large, damaged or altered, of another schema, or where it asks for
    a feature that is not known, or known in another version.
    """
    return _loaded(Path(path), tuple(features))


def _loaded(path: Path, own: Sequence[Feature]) -> Learned:
    told = _told(path)
    schema = told.pop("schema", None)
    if type(schema) is not int or schema != SCHEMA:
        raise TaskError(f"{path} is no critic of schema {SCHEMA}: expected a file that a critic's save wrote")
    fitted = told.pop("fitted", None)
    body = _validated(told, path)
    features = tuple(_known(named, own, path) for named in body.features)
    try:
        critic = Learned(
            cast("Any", body.objective), features, fitted_of(fitted), body.calibration,
            cast("Any", body.kind), body.generators, body.trained, body.name,
        )  # fmt: skip
    except (TaskError, ValueError) as error:
        raise TaskError(f"{path}: {error}") from None
    if critic.digest != body.digest:
        raise TaskError(f"{path} was altered: its digest is {body.digest!r:.40}, that of what it holds differs")
    return critic


# -- reading ---------------------------------------------------------------------------------------------------------


def _told(path: Path) -> dict[str, Json]:
    """The JSON object in a file: not too large, not nested too deep, no name twice, no number that is none."""
    from pydantic_core import from_json

    try:
        with path.open("rb") as file:
            read = file.read(LARGEST + 1)
    except OSError as error:
        raise TaskError(f"{path} cannot be read ({error}): expected a critic's file") from None
    if len(read) > LARGEST:
        raise TaskError(f"{path} is larger than {LARGEST} bytes: no critic is, and it was not read")
    try:
        from_json(read, allow_inf_nan=False)  # says no to what is nested too deep, as json.loads does not everywhere
        told = json.loads(read, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        fault = f"{path} is no critic's file ({error!s:.200})"
        raise TaskError(f"{fault}: expected JSON that a critic's save wrote") from None
    return cast("dict[str, Json]", told) if isinstance(told, dict) else {}


def _once(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose names are all different: of two, readers would pick one."""
    found = dict[str, Json]()
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r:.40} stands there twice")
        found[name] = value
    return found


def _validated(told: dict[str, Json], path: Path) -> Body:
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(told, allow_nan=False), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise TaskError(f"{path}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}") from None
    except ValueError as error:
        raise TaskError(f"{path}: {error}") from None


@cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(Body)


def _known(named: Named, own: Sequence[Feature], path: Path) -> Feature:
    """The feature that a file names, one of the caller's own or of the package; `TaskError` for another version."""
    name = named.name
    feature = next((feature for feature in own if feature.name == name), None) or feature_named(name)
    if feature is None:
        raise TaskError(
            f"{path} asks for the feature {name!r:.80}, which is not known here: if it is your own, or an embedder's, "
            "pass it: load_critic(path, features=[...])"
        )
    if (feature.version, feature.columns) != (named.version, named.columns):
        raise TaskError(
            f"{path} was trained on version {named.version} of the feature {name!r:.80} "
            f"({len(named.columns)} columns), and here is version {feature.version} ({len(feature.columns)} columns): "
            "train it again"
        )
    return feature
