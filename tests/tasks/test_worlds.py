"""Private worlds: what is true there, what the passages say of it, and what is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.tasks.templates import CLINIC, COMPANY, Kind, Relation, Template, question
from thoughtgraph.tasks.world_language import Language
from thoughtgraph.tasks.worlds import Evaluator, Mix, Record, World, world

ORCHARD = Template(
    name="orchard",
    kinds=(Kind("tree", "tree {n} of {a}"), Kind("grower", "{a} {b}"), Kind("village", "{a}", 0.2)),
    relations=(
        Relation("grafted", "tree", "grower", ("{o} grafted {s}", "{s} was grafted by {o}"), "the one who grafted {s}",
                 "Who grafted {s}?"),
        Relation("taught", "grower", "grower", ("{o} taught {s} to prune",), "the teacher of {s}", "Who taught {s}?"),
        Relation("born", "grower", "village", ("{s} was born in {o}",), "the village of {s}", "Where was {s} born?"),
        Relation("visits", "grower", "village", ("{s} often goes to {o}",), many=True),
    ),
    filler=("It rained", "The apples of {x} were sweet"),
)  # fmt: skip
"""A template that the package knows nothing of."""


@cache
def made(name: str, seed: int = 1) -> World:
    template = {"company": COMPANY, "clinic": CLINIC, "orchard": ORCHARD}[name]
    return world(seed, 600, template, questions=60)


ALL = pytest.mark.parametrize("name", ["company", "clinic", "orchard"])


def read(made: World) -> dict[tuple[str, str], list[tuple[Record, str]]]:
    """All that the passages say, as somebody knows it who reads every one of them."""
    language, found = Language(made.template), dict[tuple[str, str], list[tuple[Record, str]]]()
    for passage in made.passages:
        for one in language.stated(passage.text):
            found.setdefault(one.record[:2], []).append((one.record, passage.id))
    return found


def newest(told: list[tuple[Record, str]]) -> tuple[Record, str] | None:
    valid = [one for one in told if not one[0].void]
    return max(valid, key=lambda one: one[0].day or date.min, default=None)


# -- what is said ------------------------------------------------------------------------------------------------


@ALL
def test_whoever_reads_every_passage_comes_to_the_gold_answers_by_the_gold_passages(name: str) -> None:
    told = read(made(name))
    for asked in made(name).questions:
        at, passages = asked.chain[0], list[str]()
        for relation in asked.relations:
            if (found := newest(told.get((relation, at), []))) is None:
                break
            at = found[0].object
            passages.append(found[1])
        assert tuple(passages) == asked.passages
        assert asked.gold == (at if len(passages) == asked.hops else None)


@ALL
def test_a_question_names_where_it_begins_and_nothing_else_of_its_way(name: str) -> None:
    for asked in made(name).questions:
        assert asked.chain[0] in asked.text
        assert not any(later in asked.text for later in asked.chain[1:])
        assert asked.text == question([made(name).template.relation(each) for each in asked.relations], asked.chain[0])


@ALL
def test_steps_of_a_question_stand_in_passages_apart(name: str) -> None:
    apart = [len(set(asked.passages)) == len(asked.passages) for asked in made(name).questions]
    assert sum(apart) >= 0.95 * len(apart)  # a list may hold two of them, now and then


@ALL
def test_hops_take_turns_and_some_questions_have_no_answer(name: str) -> None:
    questions = made(name).questions
    assert [asked.hops for asked in questions[:6]] == [2, 3, 4, 2, 3, 4]
    assert 1 <= sum(asked.gold is None for asked in questions) <= 15
    assert all(len(asked.chain) <= asked.hops for asked in questions if asked.gold is None)
    assert len({asked.text for asked in questions}) == len(questions)


@ALL
def test_what_does_not_count_never_stands_beside_what_does(name: str) -> None:
    contrary = {key: told for key, told in read(made(name)).items() if len({one[0].object for one in told}) > 1}
    asked = {relation.name for relation in made(name).template.relations if not relation.many}
    disputed = {key: told for key, told in contrary.items() if key[0] in asked}
    assert disputed
    for told in disputed.values():
        assert len({passage for _, passage in told}) == len(told)
        assert all(record.day for record, _ in told)


def test_contested_questions_have_a_record_in_their_way_and_the_others_have_none() -> None:
    told = read(made("company"))
    for asked in made("company").questions:
        ways = zip(asked.relations, asked.chain, strict=False)
        records = [{(one.object, one.void) for one, _ in told.get(key, [])} for key in ways]
        # a missing fact of which a withdrawn record is left has that one alone
        assert asked.contested == any(len(each) > 1 or any(void for _, void in each) for each in records)


def test_without_contradictions_and_gaps_all_is_said_once_and_can_be_answered() -> None:
    plain = world(3, 300, COMPANY, questions=30, mix=Mix(0, 0, 0, unanswerable=0))
    assert all(asked.gold and not asked.contested for asked in plain.questions)
    single = {relation.name for relation in COMPANY.relations if not relation.many}
    assert all(len(told) == 1 for key, told in read(plain).items() if key[0] in single)


def test_names_are_of_one_thing_each_and_many_have_a_word_in_common() -> None:
    people = {record.object for told in read(made("company")).values() for record, _ in told if record[0] == "mentor"}
    first = [name.split()[0] for name in people]
    assert len(set(first)) < 0.7 * len(first)
    kinds = {relation.name: relation.object for relation in ORCHARD.relations}
    of = dict[str, str]()
    for (relation, _), told in read(made("orchard")).items():
        for record, _ in told:
            assert of.setdefault(record.object, kinds[relation]) == kinds[relation]


# -- how much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 101, 2_000])
def test_there_are_as_many_passages_as_were_asked_for(size: int) -> None:
    found = world(0, size, questions=9).passages
    assert len(found) == size
    assert len({passage.id for passage in found}) == size
    assert all(passage.id == passage.document and passage.end == len(passage.text) for passage in found)


@pytest.mark.slow
def test_a_hundred_thousand_passages_are_a_world_too() -> None:
    large = world(0, 100_000)
    assert len(large.passages) == 100_000
    assert len(large.questions) == 300


def test_a_passage_holds_up_to_four_facts_and_some_say_nothing() -> None:
    language = Language(COMPANY)
    sizes = [len(language.stated(passage.text)) for passage in made("company").passages]
    assert set(sizes) == {0, 1, 2, 3, 4}
    assert 0.02 < sizes.count(0) / len(sizes) < 0.25


PRINT = """
from hashlib import sha256
from thoughtgraph.tasks.worlds import world
w = world(7, 200, "clinic", questions=20)
print(sha256(repr((w.passages, w.questions)).encode()).hexdigest())
"""


def test_a_seed_gives_the_same_world_whatever_python_hashes_by() -> None:
    def told(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", PRINT], env=env, check=True, capture_output=True, text=True).stdout

    assert told("1") == told("2") != ""
    assert world(7, 200, "clinic", 20) == world(7, 200, "clinic", 20)
    assert world(7, 200, "clinic", 20).passages != world(8, 200, "clinic", 20).passages


def test_a_world_that_is_too_small_for_its_questions_says_so() -> None:
    with pytest.raises(TaskError, match=r"only \d+ different questions.*expected 5000"):
        world(0, 100, questions=5_000)
    with pytest.raises(ValueError, match="passages"):
        world(0, 50)
    with pytest.raises(TaskError, match="expected one of company, clinic"):
        world(0, 100, "compony")


def test_hops_may_be_other_than_two_to_four() -> None:
    found = world(0, 400, questions=10, hops=(1, 5)).questions
    assert {asked.hops for asked in found} == {1, 5}


# -- who is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "right"),
    [
        ("Malka Teris", True),
        ("malka teris.", True),
        ("**Malka Teris** [2]", True),
        ("The lead of Project X is Malka Teris [1][3].", True),
        ("Malka Terisson", False),
        ("Not Malka Teris but Malka Dorun", False),
        ("It is Ada Byron or\nMalka Teris", False),
        ("The lead is not Malka Teris", False),
        ("Not in the knowledge.", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_a_claim_is_right_where_it_is_the_name(claimed: object, right: bool) -> None:
    assert Evaluator("Malka Teris")(claimed) == right


def test_what_is_nowhere_is_said_to_be_nowhere() -> None:
    assert Evaluator(None)("Not in the knowledge.")
    assert Evaluator(None)("not in the knowledge")
    assert not Evaluator(None)(None)
    assert not Evaluator(None)("Malka Teris")
    unknown = next(asked for asked in made("company").questions if asked.gold is None)
    assert unknown.evaluator("Not in the knowledge.")


# -- templates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"relations": (replace(ORCHARD.relations[0], object="cat"),)}, "expected one of tree, grower, village"),
        ({"relations": ORCHARD.relations[:1]}, "no two relations that follow each other"),
        ({"relations": (*ORCHARD.relations, ORCHARD.relations[0])}, "of one name"),
        ({"filler": ()}, "no filler"),
        ({"filler": ("{y} is here",)}, "expected the places {x}"),
        ({"dated": ("{fact}",)}, "{date}"),
    ],
)
def test_a_template_that_does_not_fit_together_says_where(change: dict[str, object], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        replace(ORCHARD, **change)  # pyright: ignore[reportArgumentType]


def test_a_wording_without_its_places_is_refused() -> None:
    with pytest.raises(TaskError, match="expected the places"):
        Relation("led", "a", "b", ("{s} is led",), "the lead of {s}", "Who leads {s}?")
    with pytest.raises(TaskError, match="a tuple of clauses"):
        Relation("led", "a", "b", "{s} is led by {o}", "the lead of {s}", "Who leads {s}?")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TaskError, match="no full stop"):
        Kind("doctor", "Dr. {a}")
    with pytest.raises(TaskError, match="does not read"):
        Kind("doctor", "{a")
