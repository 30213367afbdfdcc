"""On real text: 16 answers of LLaMA-2 to each GSM8K question, right and wrong; some learned from, others held out."""

import gzip
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from thoughtgraph.learning.rows import Demonstration, Outcome, Preference, Response, by_question
from thoughtgraph.learning.splits import split
from thoughtgraph.learning.training import Training, train_critic

RECORD = Path(__file__).parents[3] / "shared/data/llama2-gsm8k/answers.jsonl.gz"
pytestmark = [
    pytest.mark.skipif(not RECORD.exists(), reason="the recorded answers are not here"),
    pytest.mark.slow,
]

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@cache
def outcomes() -> tuple[list[Outcome], list[Outcome]]:
    """The answers to the first 500 questions, by their last number: those of 300 to learn from, of 200 held out."""
    with gzip.open(RECORD, "rt", encoding="utf-8") as file:
        told = [json.loads(line) for _, line in zip(range(500), file, strict=False)]
    rows = [graded(item, text) for item in told for text in item["answers"].values()]
    return split(rows, 0.4)


def graded(item: dict, text: str) -> Outcome:
    found = NUMBER.findall(text)
    answer = float(found[-1].replace(",", "")) if found else None
    right = answer == float(item["gold"].replace(",", ""))
    response = Response(text=text.strip(), answer=answer, generator="llama-2-7b")
    return Outcome(question=item["question"], response=response, value=float(right), grader="last number")


@cache
def pairs(flipped: float) -> list[Preference]:
    """2,000 pairs of a right and a wrong answer to the same question; a share of them is turned round."""
    rng, rows = Random(0), list[Preference]()
    for of in by_question(outcomes()[0]).values():
        right, wrong = ([row for row in of if row.value == value] for value in (1, 0))
        rows += [Preference(question=a.question, chosen=a.response, rejected=b.response) for a in right for b in wrong]
    rng.shuffle(rows)
    turned = (replace(row, chosen=row.rejected, rejected=row.chosen) for row in rows)
    return [back if rng.random() < flipped else row for row, back in zip(rows, turned, strict=True)][:2000]


def beats(training: Training, *names: str) -> None:
    """On held-out questions: more pairs in order, and a better best of 16, than each of these."""
    told = training.heldout
    for name in names:
        baseline = training.baselines[name]
        for mine, theirs in ((told.pairs, baseline.pairs), (told.best, baseline.best)):
            assert mine is not None
            assert theirs is not None
            assert mine.mean > theirs.mean + 0.05


@pytest.mark.parametrize("flipped", [0.0, 0.2])
def test_bradley_terry_on_right_and_wrong_answers(flipped: float):
    training = train_critic(pairs(flipped), heldout=outcomes()[1])
    assert training.objective == "preference"
    assert training.fallback == ""
    beats(training, "random", "longest", "shortest", "surface")


@pytest.mark.parametrize("negatives", ["any", "wrong"])
@pytest.mark.parametrize("flipped", [0.0, 0.2])
def test_right_answers_as_demonstrations(negatives: str, flipped: float):
    """A flip makes a right answer one of the generator's, and as many wrong ones demonstrations."""
    rows, held = outcomes()
    rng = Random(1)
    taken = [rng.random() < flipped for _ in rows]
    right = [row for row, turned in zip(rows, taken, strict=True) if row.value and not turned]
    wrong = [row for row, turned in zip(rows, taken, strict=True) if not row.value or turned]
    mistaken = rng.sample([row for row in rows if not row.value], round(flipped * len(right)))
    shown = [Demonstration(question=row.question, response=row.response) for row in [*right, *mistaken]]
    training = train_critic(shown, negatives=rows if negatives == "any" else wrong, heldout=held)
    assert training.objective == "demonstration"
    assert training.fallback == ""
    assert training.alarms == ()
    beats(training, "random", "longest", "shortest", "surface")


def test_an_outcome_model_beats_the_majority_pair_by_pair():
    rows, held = outcomes()
    training = train_critic(rows, heldout=held)
    assert training.fallback == ""
    beats(training, "random", "longest", "shortest", "surface")
    assert training.gain is not None
    assert training.gain.low is not None
    assert training.gain.low > 0
