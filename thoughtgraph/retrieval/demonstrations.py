"""Demonstrations as knowledge: which worked examples stand before a question (Liu et al., 2022; Ye et al., 2023).

>>> pair(demonstration("2 + 2?", "4").text)
('2 + 2?', '4')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Literal, TypeAlias, cast, get_args

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.labels import Labels
from thoughtgraph.retrieval.diverse import chosen, likeness
from thoughtgraph.retrieval.documents import Document, normal
from thoughtgraph.retrieval.index import arrays
from thoughtgraph.retrieval.knowledge import Added, Knowledge
from thoughtgraph.retrieval.ranking import called, places, reader_of
from thoughtgraph.retrieval.reader import Reader, Visible
from thoughtgraph.retrieval.retrieve import Retriever
from thoughtgraph.thought import Json, Passage

Choice: TypeAlias = Literal["nearest", "diverse", "random"]
"""Which examples: those most like the query, those that are like it and unlike each other, or any."""

Order: TypeAlias = Literal["nearest last", "nearest first", "given"]
"""How the chosen ones stand: a model goes most by what it read last (Zhao et al., 2021); "given" is as chosen."""


@dataclass(frozen=True)
class Demonstrations:
    """Up to `m` worked examples of D_demo for a query, through any retriever: BM25, dense, hybrid, or a `Reader`.

    Each is a passage, whole ("Question: ...", "Answer: ..."), with the labels of its document: put it together from the
    passages that a long one was cut into. What is no example (`pair`) is passed over, so D_demo may stand in one file
    with other knowledge; `demonstration` and `demonstrate` write examples.

    "nearest" takes the best that were found, and fewer than `m` where no more were; "diverse" weighs being near against
    being like what was chosen already, by `balance` (maximal marginal relevance). Both look at the `depth` best.
    "random" draws from all that the reader may see, or from the `depth` best where the retriever reads no knowledge of
    ours: it is what a better choice has to be compared with.

    An example that asks the query itself is left out, because it tells the answer; `itself` lets it in.
    """

    retriever: Retriever
    m: int = 4
    choice: Choice = "nearest"
    order: Order = "nearest last"
    balance: float = 0.5
    depth: int = 50
    itself: bool = False

    def __post_init__(self) -> None:
        at_least(1, m=self.m, depth=self.depth)
        for name, kinds in (("choice", Choice), ("order", Order)):
            if (given := getattr(self, name)) not in get_args(kinds):
                raise TaskError(f"{name} is {given!r:.80}: expected one of {', '.join(get_args(kinds))}")

    async def __call__(self, query: str, rng: Random) -> list[Passage]:
        """The examples, in the order in which they are to be shown."""
        ranked = self._examples(await self.retriever(query, max(self.depth, self.m)), query)
        picked = self._picked(query, ranked, rng)
        if self.order == "given":
            return picked
        rank = {called(passage): place for place, passage in enumerate(ranked)}
        nearest_first = sorted(picked, key=lambda passage: rank.get(called(passage), len(ranked)))
        return nearest_first if self.order == "nearest first" else nearest_first[::-1]

    def _picked(self, query: str, ranked: list[Passage], rng: Random) -> list[Passage]:
        if self.choice == "random":
            return self._drawn(query, ranked, rng)
        if self.choice == "nearest":
            return ranked[: self.m]
        near = ranked[: self.depth]
        return [near[place] for place in chosen(likeness(near, reader_of(self.retriever)), self.m, self.balance)]

    def _drawn(self, query: str, ranked: list[Passage], rng: Random) -> list[Passage]:
        """`m` of all examples, each as likely; of those that were found where nothing else can be listed."""
        if (reader := reader_of(self.retriever)) is None:
            return rng.sample(ranked, min(self.m, len(ranked)))
        visible = reader.visible()
        _, firsts = arrays().unique(visible.rows.document[visible.positions], return_index=True)
        order = [int(visible.positions[place]) for place in rng.sample(firsts.tolist(), len(firsts))]
        found = list[Passage]()
        while len(found) < self.m and order:
            some, order = order[: 2 * self.m], order[2 * self.m :]
            found += self._examples(reader.passages(some, visible.rows), query)
        return found[: self.m]

    def _examples(self, passages: Sequence[Passage], query: str) -> list[Passage]:
        """The examples among what was found, whole, each once."""
        reader = reader_of(self.retriever)
        whole = passages if reader is None else _whole(reader, passages)
        pairs = [(passage, pair(passage.text)) for passage in whole]
        return [p for p, read in pairs if read and (self.itself or _asked(read[0]) != _asked(query))]


def _whole(reader: Reader, passages: Sequence[Passage]) -> list[Passage]:
    """The documents that passages are of, each as one passage, in the order of their first ones; the rest as it is."""
    visible = reader.visible()
    whole = dict[tuple[str, str], Passage]()
    for passage, place in zip(passages, places(reader, visible, passages), strict=True):
        name = (passage.base, passage.document) if place is not None else called(passage)
        if name in whole:
            continue
        whole[name] = passage if place is None else _joined(reader, visible, place) or passage
    return list(whole.values())


def _joined(reader: Reader, visible: Visible, place: int) -> Passage | None:
    """The passages of one document as one: they tile it. None for one that is gone meanwhile."""
    documents = visible.rows.document
    own = visible.positions[documents[visible.positions] == documents[place]]
    parts = sorted(reader.passages(own, visible.rows), key=lambda part: part.start)
    if len(parts) < 2:
        return parts[0] if parts else None
    text, end = "".join(part.text for part in parts), parts[-1].end
    return replace(parts[0], text=text, end=end, id=f"{parts[0].document}#{parts[0].start}-{end}")


# -- writing D_demo ----------------------------------------------------------------------------------------------


def demonstration(question: str, answer: str, *, name: str = "", meta: Mapping[str, Json] | None = None) -> Document:
    """A worked example as a document: in its text and in its meta ("question", "answer").

    The name is a digest of both where none is given, so that adding it once more costs nothing.
    """
    asked, said = (normal(text).strip() for text in (question, answer))
    if not asked or not said:
        raise TaskError(f"the pair is {(question, answer)!r:.120}: expected a question with its answer")
    name = name or f"demonstration/{sha256(f'{len(asked)} {asked}{said}'.encode()).hexdigest()[:16]}"
    text = f"Question: {_ANSWER.sub(' Answer:', asked)}\nAnswer: {said}"
    return Document(name, text, meta={**(meta or {}), "question": asked, "answer": said})


def pair(text: str) -> tuple[str, str] | None:
    """The question and the answer of an example's text; None where it is none."""
    question, answer = _ANSWER.split(text, maxsplit=1) if _ANSWER.search(text) else ("", "")
    if not question.startswith("Question:") or not answer.strip():
        return None
    return question.removeprefix("Question:").strip(), answer.strip()


def demonstrate(knowledge: Knowledge, pairs: Iterable[tuple[str, str]], *, labels: Labels | None = None) -> Added:
    """Add (question, answer) pairs to a knowledge as examples.

    Of rows: `demonstrate(knowledge, ((row.question, row.response.text) for row in rows if not row.labels))`. Those that
    bear labels of private knowledge are to be added with labels that allow no more.
    """
    return knowledge.add((_of(given) for given in pairs), labels=labels)


def _of(given: object) -> Document:
    if not isinstance(given, tuple) or len(cast("tuple[object, ...]", given)) != 2:
        raise TaskError(f"a demonstration is {given!r:.80}: expected a pair of texts, (question, answer)")
    question, answer = cast("tuple[object, object]", given)
    if not isinstance(question, str) or not isinstance(answer, str):
        raise TaskError(f"a demonstration is {given!r:.80}: expected a pair of texts, (question, answer)")
    return demonstration(question, answer)


_ANSWER = re.compile(r"(?m:^)Answer:")
"""Where the answer begins: a line of a question that begins so is indented by one space."""


def _asked(question: str) -> str:
    """A question as it is compared with the query: its words."""
    return " ".join(re.findall(r"\w+", question.casefold()))
