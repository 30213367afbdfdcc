"""Labels of private knowledge: who may read it, which models may see it, whether it may be trained on."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase

from thoughtgraph.errors import TaskError

OWNER = "owner"
"""Who reads where nobody is named: the one whose file it is."""

ANYONE = "*"
"""A reader that stands for everybody, and a pattern that every model's name fits."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What may be done with a document, and with all that is made of it. What nobody allowed is forbidden.

    `readers` name persons and groups; a principal reads it who is one of them, or in one of them ("*": everybody).
    `models` are patterns of the names of models that may be shown it, as in ("local:*", "openai:gpt-5*"); none may
    where there are none. Only where `train` is said may it become training data.
    """

    readers: tuple[str, ...] = (OWNER,)
    models: tuple[str, ...] = (ANYONE,)
    train: bool = False

    def __post_init__(self) -> None:
        for name in ("readers", "models"):
            object.__setattr__(self, name, names(getattr(self, name), name))
        if self.train not in (True, False):
            raise TaskError(f"train is {self.train!r:.80}: expected True or False")

    def readable(self, principal: Iterable[str]) -> bool:
        """Whether somebody who is all of `principal` (a name, groups) may read it."""
        return ANYONE in self.readers or not set(principal).isdisjoint(self.readers)

    def sendable(self, model: str) -> bool:
        """Whether the model of this name may be shown it."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)


_resting: ContextVar[tuple[Labels, ...]] = ContextVar("resting", default=())


@contextmanager
def resting_on(labels: Iterable[Labels]) -> Generator[None, None, None]:
    """Within the block, what is asked of others rests on knowledge of these labels: a query made of private notes."""
    token = _resting.set((*_resting.get(), *labels))
    try:
        yield
    finally:
        _resting.reset(token)


def allowed(model: str) -> bool:
    """Whether a model may be sent what the running code makes of the knowledge that it rests on."""
    return all(labels.sendable(model) for labels in _resting.get())


def names(given: str | Iterable[str], what: str = "principal") -> tuple[str, ...]:
    """Names in order, each once; a single text is one name. `TaskError` for anything else, or an empty name."""
    listed: Sequence[object] = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)  # pyright: ignore[reportUnnecessaryIsInstance]
    if odd := [name for name in listed if not isinstance(name, str) or not name.strip()]:
        raise TaskError(f"{what} holds {odd[0]!r:.80}: expected names, as in ('ada', 'cardiology')")
    return tuple(sorted({str(name).strip() for name in listed}))


def principal(given: str | Iterable[str]) -> tuple[str, ...]:
    """Whom a search runs for: a name, and the groups that they are in. "*" is nobody's name."""
    found = names(given)
    if not found or ANYONE in found:
        raise TaskError(
            f"the principal is {given!r:.80}: expected a name, and groups if any, as in ('ada', 'cardiology')"
        )
    return found
