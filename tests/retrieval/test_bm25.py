"""`BM25`: the formula, over what the reader sees alone, from a view's own index and from the file's lists alike."""

from __future__ import annotations

import asyncio
import math
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from thoughtgraph.labels import Labels
from thoughtgraph.retrieval import postings
from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.retrieval.postings import terms

ADA = Labels(readers=("ada",))
WORDS = [f"word{n}" for n in range(40)]


@pytest.fixture
def knowledge(tmp_path):
    with Knowledge(tmp_path / "notes.db") as made:
        yield made


@pytest.fixture(params=["own", "shared"])
def way(request, monkeypatch):
    """Small views have an index of their own, large ones share the file's: both must say the same."""
    if request.param == "shared":
        monkeypatch.setattr(postings, "OWN", 3)
    return request.param


def texts(n: int, seed: int = 0) -> list[str]:
    """Words of falling frequency, and some texts twice."""
    rng = random.Random(seed)
    made = [" ".join(WORDS[min(int(rng.paretovariate(0.7)), 39)] for _ in range(rng.randint(1, 30))) for _ in range(n)]
    return [*made, *made[:5]]


def put(knowledge: Knowledge, found: list[str], labels: Labels | None = None, kind: str = "note") -> None:
    knowledge.add([Document(f"{kind}-{n}", text) for n, text in enumerate(found)], labels=labels)


def by_hand(found: list[str], query: str, k1: float = 1.2, b: float = 0.75) -> list[float]:
    """BM25 as it is written, one text after the other."""
    split = [text.lower().split() for text in found]
    average = sum(map(len, split)) / len(split)
    scores = [0.0] * len(split)
    for word in query.split():
        df = sum(word in words for words in split)
        idf = math.log(1 + (len(split) - df + 0.5) / (df + 0.5))
        for n, words in enumerate(split):
            tf = words.count(word)
            scores[n] += idf * tf / (tf + k1 * (1 - b + b * len(words) / average)) if tf else 0
    return scores


async def found(knowledge: Knowledge, query: str, k: int = 10, who: str = "ada", **where) -> list[str]:
    return [p.document for p in await BM25(knowledge.reader(who, where=where or None))(query, k)]


# -- the formula ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["word1", "word1 word2 word3", "word30 word1 word30", "word2 nowhere"])
@pytest.mark.parametrize("how", [{}, {"k1": 0.4, "b": 0.2}, {"k1": 0}, {"b": 1.0}])
def test_the_scores_are_those_of_the_formula_over_what_is_visible(knowledge, way, query, how):
    put(knowledge, texts(50, seed=1), Labels(), "hers")
    put(knowledge, texts(40), ADA)
    put(knowledge, texts(60, seed=2), Labels(), "more")
    visible, scores = BM25(knowledge.reader("ada"), **how).scores(query)
    assert len(visible) == 45
    assert scores.tolist() == pytest.approx(by_hand(texts(40), query, **how), abs=1e-12)


async def test_the_best_come_first_and_equal_ones_in_the_order_of_their_adding(knowledge, way):
    put(knowledge, texts(40), ADA)
    query = "word1 word2 word5"
    scores = [round(score, 9) for score in by_hand(texts(40), query)]
    order = sorted((n for n in range(45) if scores[n]), key=lambda n: (-scores[n], n))
    for k in (0, 1, 3, len(order), 99):
        assert await found(knowledge, query, k) == [f"note-{n}" for n in order[:k]]


async def test_what_shares_no_word_is_not_found(knowledge, way):
    put(knowledge, ["a cat", "a dog", "two birds", "three fish"], ADA)
    assert await found(knowledge, "cat") == ["note-0"]
    assert await found(knowledge, "horse") == []
    assert await found(knowledge, "") == []
    assert await found(knowledge, "cat", k=-1) == []


async def test_nothing_at_all_is_visible(knowledge, way):
    assert await found(knowledge, "cat") == []
    put(knowledge, ["a cat"], Labels())
    assert await found(knowledge, "cat") == []


async def test_endings_case_and_accents_do_not_matter(knowledge, way):
    put(knowledge, ["The naïve cell divides.", "Two tablets.", "Stones.", "Birds."], ADA)
    assert terms("Naive CELLS dividing cells") == {"cell": 2, "divid": 1, "naiv": 1}
    assert await found(knowledge, "NAIVE dividing") == ["note-0"]


async def test_headings_are_searched_and_count_as_words(knowledge, way):
    said = "Two tablets.\nStones."
    knowledge.add(Document("report", said, sections=[Section(0, 13, ("Dosage",)), Section(13, 20)]), labels=ADA)
    put(knowledge, ["tablet", "bird"], ADA)
    assert await found(knowledge, "dosages") == ["report"]
    flat = ["dosage two tablet", "stone", "tablet", "bird"]
    scores = BM25(knowledge.reader("ada")).scores("dosage tablet")[1]
    assert scores.tolist() == pytest.approx(by_hand(flat, "dosage tablet"), abs=1e-12)


@pytest.mark.parametrize(
    "query", ['cat" OR dog', "cat AND NOT (dog*", "section:cat ^near", "cat\0dog", "cat \ud800", "-cat"]
)
async def test_a_query_is_words_and_never_a_language(knowledge, way, query):
    put(knowledge, ["a cat", "a bird", "fish", "stone"], ADA)
    assert await found(knowledge, query) == ["note-0"]


@pytest.mark.parametrize("how", [{"k1": -1}, {"b": -0.1}, {"b": 1.5}])
def test_settings_out_of_range_are_errors(knowledge, how):
    with pytest.raises(ValueError, match="expected a number"):
        BM25(knowledge.reader(), **how)


# -- what may not be seen ------------------------------------------------------------------------------------------


def bits(knowledge: Knowledge, query: str = "word1 word2 word7 secret") -> bytes:
    return BM25(knowledge.reader("ada")).scores(query)[1].tobytes()


def test_what_others_add_change_and_delete_changes_no_bit(knowledge, way):
    put(knowledge, texts(40), ADA)
    before = bits(knowledge)
    put(knowledge, texts(30, seed=5), Labels(), "hers")
    assert bits(knowledge) == before
    put(knowledge, ["word1 secret " * 50] * 30, Labels(), "hers")
    assert bits(knowledge) == before
    for n in range(0, 30, 2):
        knowledge.delete(f"hers-{n}")
    assert bits(knowledge) == before
    knowledge.relabel("hers-1", ADA)
    assert bits(knowledge) != before
    knowledge.relabel("hers-1", Labels())
    assert bits(knowledge) == before


def test_both_ways_give_the_same_bits(knowledge, monkeypatch):
    put(knowledge, texts(40), ADA)
    put(knowledge, texts(40, seed=3), Labels(), "hers")
    own = bits(knowledge)
    monkeypatch.setattr(postings, "OWN", 0)
    assert bits(knowledge) == own


def test_a_small_view_never_reads_what_it_may_not_see(knowledge, monkeypatch):
    put(knowledge, ["a cat", "a dog"], ADA)
    put(knowledge, ["a secret cat"], Labels(), "hers")
    asked = []
    read = knowledge.index.read
    monkeypatch.setattr(knowledge.index, "read", lambda sql, args=(): asked.append((sql, args)) or read(sql, args))
    assert BM25(knowledge.reader("ada")).scores("cat")[1].tolist()[1] == 0
    assert not any("words_instance" in sql for sql, _ in asked)
    assert [args for sql, args in asked if "text" in sql] == [("[1, 2]",)]


# -- while it changes ----------------------------------------------------------------------------------------------


async def test_what_is_added_is_found_at_once_and_what_is_deleted_never(knowledge, way):
    put(knowledge, ["a cat", "a dog", "cat cat", "birds", "fish"], ADA)
    assert await found(knowledge, "cat") == ["note-2", "note-0"]
    knowledge.add("the third cat", name="later", labels=ADA)
    assert set(await found(knowledge, "cat")) == {"note-0", "note-2", "later"}
    knowledge.add("cat cat cat", name="later", labels=ADA)
    assert (await found(knowledge, "cat"))[0] == "later"
    knowledge.delete("note-2")
    assert set(await found(knowledge, "cat")) == {"note-0", "later"}
    knowledge.relabel("later", Labels())
    assert await found(knowledge, "cat") == ["note-0"]


@pytest.mark.parametrize("own", [0, 4, 1000])
def test_after_many_changes_the_scores_are_those_of_a_new_file(knowledge, tmp_path, monkeypatch, own):
    monkeypatch.setattr(postings, "OWN", own)
    rng = random.Random(4)
    for n, text in enumerate(texts(60)):
        knowledge.add(text, name=f"note-{n}", labels=ADA if n % 3 else Labels())
        if n % 7 == 3:
            knowledge.delete(f"note-{rng.randrange(n)}")
        bits(knowledge)
    kept = [d.name for d in knowledge.documents()]
    with Knowledge(tmp_path / "new.db") as new:
        for name in kept:
            new.add(knowledge.passages(name)[0].text, name=name, labels=knowledge.passages(name)[0].labels)
        assert bits(new) == bits(knowledge)


def test_few_lists_are_kept_and_the_scores_stay(knowledge, monkeypatch):
    monkeypatch.setattr(postings, "OWN", 0)
    put(knowledge, texts(40), ADA)
    before = bits(knowledge)
    monkeypatch.setattr(postings, "KEPT", 10)
    assert [bits(knowledge) for _ in range(3)] == [before] * 3


def test_few_views_are_kept_and_the_scores_stay(knowledge, monkeypatch):
    monkeypatch.setattr(postings, "HELD", 250)
    for name in ("ada", "bob", "cy"):
        put(knowledge, texts(30, seed=len(name)), Labels(readers=(name,)), name)
    before = bits(knowledge)
    for name in ("bob", "cy", "bob"):
        BM25(knowledge.reader(name)).scores("word1")
    assert len(postings._OURS[knowledge.index]._own) == 1
    assert bits(knowledge) == before


def test_many_may_search_while_others_add(knowledge, way):
    put(knowledge, texts(40), ADA)
    before = bits(knowledge)
    with ThreadPoolExecutor(6) as pool:
        adding = pool.submit(lambda: [put(knowledge, texts(3, seed=n), Labels(), f"hers-{n}") for n in range(8)])
        assert {search.result() for search in [pool.submit(bits, knowledge) for _ in range(60)]} == {before}
        adding.result()


def test_it_does_not_keep_the_loop_waiting(knowledge):
    put(knowledge, texts(40), ADA)

    async def both() -> list[list[str]]:
        return await asyncio.gather(*(found(knowledge, f"word{n}") for n in range(8)))

    assert asyncio.run(both()) == [asyncio.run(found(knowledge, f"word{n}")) for n in range(8)]


# -- filters -------------------------------------------------------------------------------------------------------


async def test_the_statistics_are_of_what_a_filter_leaves(knowledge, way):
    for n, text in enumerate(texts(40)):
        knowledge.add(text, name=f"note-{n}", labels=ADA, meta={"even": n % 2 == 0})
    put(knowledge, texts(9, seed=8), Labels(), "hers")
    reader = knowledge.reader("ada", where={"even": True})
    assert BM25(reader).scores("word1 word3")[1].tolist() == pytest.approx(
        by_hand(texts(40)[::2], "word1 word3"), abs=1e-12
    )
