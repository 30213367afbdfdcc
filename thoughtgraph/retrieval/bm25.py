"""BM25 (Robertson and Zaragoza, 2009), with the statistics of what its reader may see, and of nothing else."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from thoughtgraph.errors import at_least
from thoughtgraph.retrieval.index import Array, arrays
from thoughtgraph.retrieval.postings import lists, terms
from thoughtgraph.retrieval.ranking import best
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.thought import Passage


@dataclass(frozen=True)
class BM25:
    """Passages that share words with the query, rare words first; none that shares none.

    `k1` >= 0 says how soon a repeated word stops to count, `b` (0 to 1) how far long passages are held back. Words are
    compared without endings, case and accents, as the file's index has them (FTS5: unicode61, porter), in a passage's
    text and in its headings. The number of passages, how many hold a word, and how long they are on average, are taken
    over what the reader sees: nothing that others add or delete changes a score by one bit.
    """

    reader: Reader
    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        at_least(0, k1=self.k1, b=self.b)
        if self.b > 1:
            raise ValueError(f"b is {self.b!r}: expected a number from 0 to 1")

    async def __call__(self, query: str, k: int) -> list[Passage]:
        """At most `k` passages, the best first, equal ones in the order in which they were added."""
        return await asyncio.to_thread(self._found, query, k)

    def scores(self, query: str) -> tuple[Visible, Array]:
        """What is visible, and the score of each of these passages (m,): 0 where it shares no word with the query.

        sum over words t of  n(t, query) idf(t) tf / (tf + k1 (1 - b + b length / average)),
        idf(t) = log(1 + (N - df + 1/2) / (df + 1/2)): Lucene's form, which is never negative and leaves out the
        constant factor k1 + 1.
        """
        visible = self.reader.visible()
        scores, length = arrays().zeros(len(visible)), visible.rows.length[visible.positions]
        average = int(length.sum()) / max(len(visible), 1) or 1.0
        posting = lists(self.reader, visible)
        for term, n in terms(query).items():
            at, tf = posting(term).within(visible)
            idf = math.log(1 + (len(visible) - len(at) + 0.5) / (len(at) + 0.5))
            scores[at] += n * idf * tf / (tf + self.k1 * (1 - self.b + self.b * length[at] / average))
        return visible, scores

    def _found(self, query: str, k: int) -> list[Passage]:
        visible, scores = self.scores(query)
        return self.reader.passages(visible.positions[best(scores, k, above=0)], visible.rows)
