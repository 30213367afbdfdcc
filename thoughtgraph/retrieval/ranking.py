"""What all retrievers do alike: the best of many scores, a passage's one name, and the view it was found through."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from thoughtgraph.retrieval.index import Array, arrays
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.thought import Passage

FOUND = """
SELECT d.name, p.start, p."end", p.id FROM passages p JOIN documents d ON d.id = p.document
WHERE d.name IN (SELECT value FROM json_each(?)) AND p.start IN (SELECT value FROM json_each(?))
"""


def least(scores: Array, k: int) -> float:
    """The k-th highest of `scores`, or the lowest where there are fewer. NaN is no score."""
    np = arrays()
    fair = np.where(np.isnan(scores), -np.inf, scores)
    return float(np.partition(fair, -k)[-k] if k < len(fair) else fair.min(initial=np.inf))


def best(scores: Array, k: int, above: float = -float("inf")) -> Array:
    """Where the `k` highest of `scores` stand, the highest first, equal ones in their order; none at or under `above`.

    NaN is no score.
    """
    np = arrays()
    if k < 1:
        return np.empty(0, np.int64)
    found = np.flatnonzero((scores >= least(scores, k)) & (scores > above))
    return found[np.lexsort((found, -scores[found]))][:k]


def called(passage: Passage) -> tuple[str, str]:
    """The one name of a passage, by which lists are compared: its id in its file, else its text."""
    return (passage.base, passage.id) if passage.id else ("", passage.text.strip())


def distinct(passages: Iterable[Passage]) -> list[Passage]:
    """Each passage once, where it came first."""
    found = dict[tuple[str, str], Passage]()
    for passage in passages:
        found.setdefault(called(passage), passage)
    return list(found.values())


def reader_of(retriever: object) -> Reader | None:
    """The view that a retriever reads, through those that wrap one or more; None where it has none."""
    if isinstance(retriever, Reader):
        return retriever
    within = [getattr(retriever, "reader", None), getattr(retriever, "inner", None)]
    within += getattr(retriever, "retrievers", ())
    return next((found for inner in within if inner is not None and (found := reader_of(inner))), None)


def places(reader: Reader, visible: Visible, passages: Sequence[Passage]) -> list[int | None]:
    """The positions of passages; None for one that is not of the reader's file, or not (any more) there for it."""
    np, ours = arrays(), [passage for passage in passages if passage.base == reader.index.uid]
    wanted = (json.dumps(sorted({p.document for p in ours})), json.dumps(sorted({p.start for p in ours})))
    found = {(name, start, end): id for name, start, end, id in reader.index.read(FOUND, wanted)}
    ids = [found.get((p.document, p.start, p.end), -1) if p.base == reader.index.uid else -1 for p in passages]
    at = np.searchsorted(visible.rows.ids, ids)
    seen = [place < len(visible.rows) and visible.rows.ids[place] == id for place, id in zip(at, ids, strict=True)]
    return [int(p) if there and visible.mask[p] else None for p, there in zip(at, seen, strict=True)]
