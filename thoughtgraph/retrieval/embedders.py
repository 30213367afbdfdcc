"""Embedders (Reimers and Gurevych, 2019): texts become unit vectors, and near vectors mean much the same.

A vector means something only beside vectors of the same embedder, so each has an identity, and an index remembers it.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.thought import Json

T = TypeVar("T")
Array: TypeAlias = Any
"""A numpy array: its types differ between the versions that are allowed."""

Precision: TypeAlias = Literal["float32", "float16"]
"""How an index keeps the vectors; they are computed and returned in float32."""

Embed: TypeAlias = Callable[[Sequence[str]], Any]
"""From texts to vectors, one each, all of one length; it may be async."""


class Embedder(Protocol):
    """Whatever turns texts into vectors.

    `name` is that of a model, as labels allow models: "local:..." for one in this process, "openai:..." for a served
    one. `mark` tells apart two models of one name, see `marked`. The first look at `dimension` or `mark` may load the
    model or ask the server: `identity` does so in a thread.
    """

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def dimension(self) -> int:
        """The length of its vectors."""
        ...

    @property
    def precision(self) -> Precision:
        """How an index keeps them."""
        ...

    @property
    def mark(self) -> str:
        """A sketch of what it makes of one fixed text."""
        ...

    def __call__(self, texts: Sequence[str], *, query: bool = False) -> Awaitable[Array]:
        """The vectors (n, dimension), float32, each of length 1, in the order of the texts."""
        ...


# -- who embedded --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """Which embedder made the vectors of an index."""

    name: str
    dimension: int
    precision: str
    mark: str

    @property
    def to_json(self) -> dict[str, Json]:
        """What an index keeps; `Identity(**kept)` reads it."""
        return asdict(self)

    def check(self, other: Identity) -> None:
        """`TaskError` where `other`, an embedder that comes later, does not make vectors of the same kind."""
        for what in ("name", "dimension", "precision"):
            if (kept := getattr(self, what)) != (found := getattr(other, what)):
                raise TaskError(_another(f"{what} {kept!r}", f"this embedder has {found!r}"))
        if not alike(self.mark, other.mark):
            raise TaskError(_another(f"a model called {self.name!r}", "this one of that name embeds otherwise"))


async def identity(embedder: Embedder) -> Identity:
    """Who an embedder is. It is asked in a thread, because it may have to load a model or to ask a server first."""
    return await asyncio.to_thread(lambda: identified(embedder))


def identified(embedder: Embedder) -> Identity:
    """The same where no event loop is to be kept going."""
    return Identity(embedder.name, embedder.dimension, embedder.precision, embedder.mark)


def _another(kept: str, found: str) -> str:
    return (
        f"the vectors of this index are of {kept}, and {found}: open it with the embedder that it was made with, or "
        "make a new index"
    )


# -- a mark --------------------------------------------------------------------------------------------------------

TEXT = "The ship's cat slept in the engine room, and 24 gulls waited for the fish of Thursday."
"""What every embedder is asked to embed once, so that it can be told from others."""

SKETCHED = 64
"""So many components of a vector stand in its sketch."""

ALIKE = 0.999
"""The least cosine of two sketches of one model: other hardware moves a vector by less, another model by far more."""


async def marked(embedder: Callable[..., Awaitable[Array]]) -> str:
    """A sketch of what an embedder makes of one text, as a passage and as a query: some components, in one byte each.

    No digest, because the last digits differ from machine to machine; `alike` compares two of them.
    """
    passage, query = await embedder([TEXT]), await embedder([TEXT], query=True)
    return f"{_sketch(passage[0])}.{_sketch(query[0])}"


def alike(mark: str, other: str) -> bool:
    """Whether two marks are of one embedder."""
    mine, its = mark.split("."), other.split(".")
    return mark == other or (len(mine) == len(its) and all(map(_near, mine, its)))


def _sketch(vector: Array) -> str:
    np = arrays()
    some = vector[:: max(1, len(vector) // SKETCHED)][:SKETCHED]
    small = np.rint(127 * some / max(float(np.abs(some).max()), 1e-12)).astype(np.int8)
    return b64encode(small.tobytes()).decode()


def _near(sketch: str, other: str) -> bool:
    np = arrays()
    try:
        a, b = (np.frombuffer(b64decode(one, validate=True), np.int8).astype(float) for one in (sketch, other))
    except ValueError:  # no sketch at all
        return False
    return len(a) == len(b) and float(a @ b) >= ALIKE * float(np.linalg.norm(a) * np.linalg.norm(b)) > 0


def waited(work: Coroutine[Any, Any, T]) -> T:
    """The result of async work where nothing can be awaited: in a thread and an event loop of its own."""
    with ThreadPoolExecutor(1, "thoughtgraph-embedder") as thread:
        return thread.submit(lambda: asyncio.run(work)).result()


# -- what came back ------------------------------------------------------------------------------------------------


def unit(found: Any, n: int, dimension: int | None, name: str) -> Array:
    """Vectors (n, dimension), each of length 1; `TaskError` for other shapes, and for vectors without a direction."""
    np = arrays()
    try:
        vectors = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # ragged, or no numbers
        raise TaskError(f"{name} gave {found!r:.80}: expected {_shape(n, dimension)}") from None
    vectors = vectors.reshape(0, dimension or 0) if not n and not vectors.size else vectors
    if vectors.ndim != 2 or len(vectors) != n or (dimension not in (None, vectors.shape[1])):
        raise TaskError(f"{name} gave an array of shape {vectors.shape}: expected {_shape(n, dimension)}")
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    if not np.isfinite(largest).all() or not (largest > 0).all():
        raise TaskError(f"{name} gave a vector that is zero or not finite: it has no direction, and is not kept")
    vectors = vectors / largest  # what is squared then is neither too large nor too small
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _shape(n: int, dimension: int | None) -> str:
    return f"{n} vectors of one length" if dimension is None else f"{n} vectors of {dimension} numbers"


def written(texts: Sequence[str]) -> list[str]:
    """The texts as they were given; `TaskError` for one text, which would be embedded letter by letter."""
    given = cast("object", texts)
    if isinstance(given, str) or not all(isinstance(text, str) for text in cast("Sequence[object]", given)):
        raise TaskError(f"the texts to embed are {texts!r:.80}: expected a list of texts")
    return list(texts)


def arrays() -> Any:
    """numpy, which is loaded when it is used."""
    import numpy

    return numpy


# -- a plain function ----------------------------------------------------------------------------------------------


def embedder(
    function: Embed, *, name: str, dimension: int, query: Embed | None = None, precision: Precision = "float32"
) -> Embedder:
    """An embedder from a function of texts, called in a thread unless it is async; `query` embeds questions otherwise.

    The vectors need not be of length 1, but must have a direction.
    """
    return Function(function, name, dimension, query, precision)


@dataclass(frozen=True)
class Function:
    """A function as an embedder, see `embedder`."""

    function: Embed = field(repr=False)
    name: str
    dimension: int
    query: Embed | None = field(default=None, repr=False)
    precision: Precision = "float32"
    _marks: list[str] = field(default_factory=list[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, dimension=self.dimension)
        if not self.name or self.precision not in ("float32", "float16"):
            raise TaskError(f"{self!r}: expected a name, and float32 or float16")

    @property
    def mark(self) -> str:
        """What it makes of one text."""
        if not self._marks:
            self._marks.append(waited(marked(self)))
        return self._marks[0]

    async def __call__(self, texts: Sequence[str], *, query: bool = False) -> Array:
        """The function's vectors, checked and made of length 1."""
        texts = written(texts)
        asked = self.query if query and self.query else self.function
        found: Any = await _called(asked, texts) if texts else []
        return unit(found, len(texts), self.dimension, self.name)


async def _called(function: Embed, texts: Sequence[str]) -> Any:
    found = await asyncio.to_thread(function, texts)  # what is async only begins there
    return await found if inspect.isawaitable(found) else found


@dataclass
class Embedded:
    """What an embedder has done so far: texts, their tokens, requests, and how many texts were longer than it reads.

    `untold` are the requests whose tokens the server did not say.
    """

    texts: int = 0
    tokens: int = 0
    requests: int = 0
    untold: int = 0
    cut: int = 0

    def note(self, texts: Sequence[object], counts: Sequence[int], most: int | None, name: str) -> None:
        """Count texts of so many tokens each, read by a model in this process. The first that it cut are a warning."""
        self.texts += len(texts)
        self.tokens += sum(counts)
        if (cut := sum(most is not None and count > most for count in counts)) and not self.cut:
            what = f"{cut} of {len(texts)} texts are longer than the {most} tokens that {name} reads"
            warnings.warn(f"{what}, and were cut: index smaller chunks", stacklevel=2)
        self.cut += cut


def read(kept: Mapping[str, Json]) -> Identity:
    """The identity that an index keeps, see `Identity.to_json`; `TaskError` where it is none."""
    try:
        return Identity(str(kept["name"]), int(kept["dimension"]), str(kept["precision"]), str(kept["mark"]))
    except (KeyError, TypeError, ValueError):
        raise TaskError(f"{dict(kept)!r:.120} is no embedder's identity: the index is damaged") from None
