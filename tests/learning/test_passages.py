"""What a learned critic sees of notes and passages: by hand, and that it learns from runs which notes lead on."""

import re
from collections.abc import Sequence

import pytest

import thoughtgraph as tg
from thoughtgraph.learning.features import Example, Feature
from thoughtgraph.learning.labels import rows_of
from thoughtgraph.learning.passages import EFFORT, NOTES, PASSAGES, PROGRESS, RELEVANCE
from thoughtgraph.learning.rows import Response
from thoughtgraph.learning.training import train_critic
from thoughtgraph.search.ratp import RATP
from thoughtgraph.store import MemoryStore
from thoughtgraph.tasks.open_book import open_book
from thoughtgraph.tasks.world_reader import world_reader
from thoughtgraph.tasks.worlds import world

QUESTION = "In which city was the head of Orion born?"
HEAD, BORN = "The head of Orion is Ada Byron.", "Ada Byron, the head of Orion, was born in the city of Ely."


def seen(feature: Feature, *steps: str, question: str = QUESTION, text: str = "") -> dict[str, float | None]:
    contents = tuple({"text": step, "sources": [f"p{n}"]} for n, step in enumerate(steps))
    (row,) = feature.compute([Example(question, Response(text=text, steps=steps, contents=contents))])
    return dict(zip(feature.columns, row, strict=True))


def test_a_note_that_settles_more_of_the_question_has_less_left():
    # The question's words: city, head, Orion, born.
    first, then = seen(PROGRESS, HEAD), seen(PROGRESS, HEAD, BORN)
    assert (first["left"], first["whole"], first["gain"]) == (2, 0, 2)
    assert (then["left"], then["whole"], then["gain"]) == (0, 1, 2)
    assert (first["held"], then["held"]) == (0.5, 1)


def test_a_note_that_goes_on_from_a_name_of_the_last_one_follows_it():
    assert seen(PROGRESS, HEAD, BORN)["follows"] == 1
    assert seen(PROGRESS, HEAD, "Some lake was deep.")["follows"] == 0
    assert seen(PROGRESS, HEAD)["says_new"] == 1
    assert seen(PROGRESS, "Orion has a head.")["says_new"] == 0


def test_where_a_number_is_asked_for_a_note_that_holds_one_fits():
    assert seen(PROGRESS, "It was 1815.", question="When was Ada born?")["fits"] == 1
    assert seen(PROGRESS, "It was long ago.", question="When was Ada born?")["fits"] == 0
    assert seen(PROGRESS, "It was 1815.")["fits"] is None


def test_without_a_note_there_is_nothing_to_say():
    assert set(seen(PROGRESS).values()) == {None}


def test_effort_counts_notes_passages_and_repetitions():
    found = seen(EFFORT, HEAD, BORN, HEAD)
    assert (found["notes"], found["passages"], found["repeated"]) == (3, 3, 1)


def test_a_passage_that_holds_the_whole_name_and_the_words_next_to_it_stands_out():
    query = "born Ada Byron"
    right = seen(RELEVANCE, question=query, text="The canteen opens at noon. Ada Byron was born in Ely.")
    alike = seen(RELEVANCE, question=query, text="Ada Lovell met Byron Hall. Someone was born in Ely.")
    assert (right["whole_names"], right["near"]) == (1, 1)
    assert (alike["whole_names"], alike["near"], alike["names"]) == (0, 0, 1)


def test_every_feature_gives_its_columns():
    for feature in (*NOTES, *PASSAGES):
        assert len(seen(feature, HEAD, text=BORN)) == len(feature.columns)


@pytest.mark.slow
def test_which_notes_lead_to_the_answer_is_learned_from_earlier_runs():
    place = world(3, 200, questions=40)
    bags = [(passage, set(re.findall(r"\w+", passage.text.casefold()))) for passage in place.passages]

    async def library(query: str, k: int) -> Sequence[tg.Passage]:
        wanted = set(re.findall(r"\w+", query.casefold()))
        return [p for p, held in sorted(bags, key=lambda bag: -len(wanted & bag[1]) / len(bag[1]) ** 0.5)][:k]

    store, gold = MemoryStore(), {one.text: one.evaluator for one in place.questions}
    tasks = [open_book(one.text, library) for one in place.questions]
    policy = RATP(simulations=8, threshold=None, accept="grounded")
    for task in tasks:
        tg.solve(task, policy=policy, model=world_reader(place.template), budget=tg.Budget(calls=60), store=store)
    rows = rows_of(store, tasks, evaluate=lambda task: gold[task.x], labels="steps", rollout=None)
    training = train_critic(rows, features=NOTES, learner="logistic", anyway=True)
    found = re.search(r"learned: pairs ([\d.]+)", str(training))
    assert found
    assert float(found[1]) > 0.6
