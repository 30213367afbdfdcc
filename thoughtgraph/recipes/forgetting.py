"""Forgetting a document everywhere (GDPR, 2016, article 17): in the knowledge, in recorded runs and in the cache.

>>> tg.forget("letters/1843.md", knowledge="notes.db", stores=["runs.db"], caches=["replies.db"])  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from thoughtgraph.cache import Cache, as_cache
from thoughtgraph.errors import StoreError, TaskError
from thoughtgraph.forgetting import Forgetful, Lost, forget_runs, idle, resting
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.learned import Learned
from thoughtgraph.learning.rows import Row
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.store import SQLiteStore, Store
from thoughtgraph.thought import Json, clean
from thoughtgraph.trace import Started

if TYPE_CHECKING:
    from collections.abc import Generator

Named: TypeAlias = "str | os.PathLike[str]"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting a document came to.

    `passages` are those that stood in the knowledge, `runs` the ids of the runs that rested on it, by their stores,
    `caches` how many replies went from each cache, and `replies` from all of them. `critics` are the files of learned
    critics, of those that were named, which learned from a question of one of these runs: numbers do not forget, so
    train them anew.
    """

    document: str
    passages: int
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    caches: Mapping[str, int] = field(default_factory=dict[str, int])
    critics: tuple[str, ...] = ()

    @property
    def replies(self) -> int:
        """How many went from all caches."""
        return sum(self.caches.values())

    def __bool__(self) -> bool:
        """Whether anything of it was found."""
        return bool(self.passages or self.replies or any(self.runs.values()))

    def __str__(self) -> str:
        if not self:
            return f"nothing was found of {self.document!r}: look at the names in the knowledge, and name the stores"
        ran = [f"{_many(len(runs), 'run')} in {store}" for store, runs in self.runs.items()]
        paid = [f"{_many(n, 'cached reply', 'cached replies')} in {cache}" for cache, n in self.caches.items()]
        told = ", ".join([_many(self.passages, "passage"), *ran, *(paid or ["no cache was named"])])
        again = f"; train anew what learned from them: {', '.join(self.critics)}" if self.critics else ""
        return f"forgot {self.document!r}: {told}{again}"

    def to_json(self) -> Json:
        """As JSON data."""
        runs = {store: list(ids) for store, ids in self.runs.items()}
        counts = {"passages": self.passages, "replies": self.replies, "caches": dict(self.caches)}
        return {"document": self.document, **counts, "runs": runs, "critics": list(self.critics)}


def _many(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def forget(
    document: str,
    *,
    knowledge: Knowledge | Named,
    stores: Store | Named | Iterable[Store | Named] = (),
    caches: Cache | Named | Iterable[Cache | Named] = (),
    critics: Learned | Named | Iterable[Learned | Named] = (),
    principal: str | Iterable[str] | None = None,
) -> Forgetting:
    """Take a document out of the knowledge, and all that rests on it out of these stores and caches, to the last byte.

    In a run that rests on it, passages of it and what was made of them become tombstones, with the prompts, replies and
    judgements on the way: such a run can be shown, and neither gone on with, exported nor learned from. With a
    `principal` only what it may read can be forgotten; without, the file's owner asks. `critics` are files of learned
    critics, of which it is said whether they learned from such a run. A cache remembers which documents stood in its
    prompts since it was written by this version; clear one that is older. Where one file is meant, its name will do.

    `InUse` where somebody is at work on a run that rests on the document, and nothing was changed. Where this is killed
    in the middle, every file is sound, and the same call goes on to the end (the owner's, where the document is gone
    already: for a `principal` there is none any more). What is not named is not touched: other stores, rows and exports
    that were written, copies of the files.
    """
    document = clean(document)
    with ExitStack() as held:
        known = held.enter_context(_knowledge(knowledge))
        kept = [(_place(store), held.enter_context(_store(store))) for store in _each(stores)]
        replies = [(_place(cache), held.enter_context(_cache(cache))) for cache in _each(caches)]
        _permit(known, document, principal)
        passages = known.passages(document)
        lost = Lost(document, known.uid, tuple(passage.text for passage in passages))
        runs = [(store, run) for _, store in kept for run in resting(store, lost)]
        for store, run in runs:
            idle(store, run)
        taught = _taught(_each(critics), runs)
        done = _gone(kept, lost)  # first: whoever is killed on the way still finds by its text what rests on it
        known.delete(document)
        late = _gone(kept, lost)  # what came to rest on it meanwhile
        done = {place: (*runs, *late[place]) for place, runs in done.items()}
        gone = dict[str, int]()
        for place, cache in replies:
            gone[place] = gone.get(place, 0) + cache.forget(lost.marks)
        _erase(known, [store for _, store in kept])
        return Forgetting(document, len(passages), done, gone, taught)


def _gone(stores: Iterable[tuple[str, Forgetful]], lost: Lost) -> dict[str, tuple[str, ...]]:
    """Take the document out of every run that rests on it now: their ids, by their stores."""
    done, now = dict[str, tuple[str, ...]](), datetime.now(UTC).isoformat(timespec="seconds")
    for place, store in stores:
        done[place] = (*done.get(place, ()), *forget_runs(store, lost, now))
    return done


def _erase(knowledge: Knowledge, stores: Iterable[Forgetful]) -> None:
    """Also where nothing was found: a call that was killed may have come so far."""
    for store in stores:
        store.erase()
    knowledge.scrub()


def _permit(knowledge: Knowledge, document: str, principal: str | Iterable[str] | None) -> None:
    """What somebody may not read does not exist for them."""
    if principal is not None:
        seen = {entry.name for entry in knowledge.reader(principal).documents()}
        if document not in seen:
            raise TaskError(f"there is no document {document!r:.200} in {knowledge.path}: look at the names there are")


def _taught(critics: Iterable[Learned | Named], runs: Iterable[tuple[Forgetful, str]]) -> tuple[str, ...]:
    """The critics that learned from a question of these runs."""
    begun = (store.ends(run)[0] for store, run in runs)
    asked = {sha256(Row(question=one.x).id.encode()).hexdigest()[:16] for one in begun if isinstance(one, Started)}
    told = {_critic(one): one if isinstance(one, Learned) else load_critic(one) for one in critics}
    return tuple(name for name, critic in told.items() if asked & set(critic.trained.asked))


def _critic(named: Learned | Named) -> str:
    return named.name if isinstance(named, Learned) else os.fspath(named)


# -- what is named ---------------------------------------------------------------------------------------------------


@contextmanager
def _knowledge(named: Knowledge | Named) -> Generator[Knowledge, None, None]:
    if isinstance(named, Knowledge):
        yield named
        return
    with Knowledge(_there(named)) as knowledge:
        yield knowledge


@contextmanager
def _store(named: Store | Named) -> Generator[Forgetful, None, None]:
    if not isinstance(named, str | os.PathLike):
        if not hasattr(named, "rewrite"):
            raise TaskError(f"{named!r:.80} only ever grows: expected a store that has naming, rewrite and erase")
        yield cast("Forgetful", named)
        return
    with closing(SQLiteStore(_there(named))) as store:
        yield store


@contextmanager
def _cache(named: Cache | Named) -> Generator[Cache, None, None]:
    cache = as_cache(named if isinstance(named, Cache) else _there(named))
    assert cache is not None
    with closing(cache):
        yield cache


def _each(given: T | Named | Iterable[T | Named]) -> Iterable[T | Named]:
    """What is named, also where it is one: the letters of a file's name are no files."""
    if isinstance(given, str | os.PathLike) or not isinstance(given, Iterable):
        return [cast("T | Named", given)]
    return cast("Iterable[T | Named]", given)


def _there(named: Named) -> Path:
    """A file that is to be opened, and not to be made."""
    path = Path(named).expanduser()
    if not path.exists():
        raise StoreError(f"there is no file {path}: name those in which something is to be forgotten")
    return path


def _place(kept: Store | Cache | Named) -> str:
    return os.fspath(kept) if isinstance(kept, str | os.PathLike) else str(getattr(kept, "path", None) or "memory")
