"""Features: what a learned critic sees, by name, the responses to a question all at once."""

from __future__ import annotations

from math import isnan, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.embeddings import embedding
from thoughtgraph.learning.equivalence import canonical
from thoughtgraph.learning.features import Example, Feature, table
from thoughtgraph.learning.registry import ALONE, DEFAULT, REGISTRY, SURFACE, feature_named, features_of
from thoughtgraph.learning.rows import Response
from thoughtgraph.learning.signals import held, signal
from thoughtgraph.marks import mark

DUCKS = "Janet's ducks lay 16 eggs. She eats three, and sells the rest for $2 each. How many dollars does she make?"
RIGHT = "She has 16 - 3 = 13 eggs left.\nSo she makes 13 x $2 = $26.\nThe answer is 26."
WRONG = "She has 16 - 3 = 12 eggs left.\nSo she makes 12 x $5 = $60.\nThe answer is 60."


def example(text: str = RIGHT, answer: object = 26, question: str = DUCKS, **more) -> Example:
    return Example(question, Response(text=text, answer=answer, **more))


def seen(name: str, *examples: Example) -> list[dict[str, float | None]]:
    """What a feature says of examples, by column; None for what is missing."""
    feature = feature_named(name)
    assert feature is not None
    rows = table([examples], [feature]).tolist()
    return [dict(zip(feature.columns, [None if isnan(x) else x for x in row], strict=True)) for row in rows]


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_example_and_a_gap_where_nothing_is_said():
    length = Feature("own", ("length", "gap"), lambda some: [(len(e.response.text), None) for e in some], "surface")
    sets = [[example("a"), example("bb")], [], [example("ccc")]]
    assert [[None if isnan(x) else x for x in row] for row in table(sets, [length]).tolist()] == [
        [1.0, None],
        [2.0, None],
        [3.0, None],
    ]
    assert table([], [length]).shape == (0, 2)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [([], "gave 0 rows for 1"), ([(1.0,)], "expected one row"), ([(1.0, float("inf"))], "infinite")],
)
def test_a_feature_that_breaks_its_contract_is_named(rows: list[tuple[float, ...]], fault: str):
    odd = Feature("odd", ("a", "b"), lambda _: rows, "content")
    with pytest.raises(TaskError, match=f"'odd'.*{fault}"):
        table([[example()]], [odd])


# -- the registry ----------------------------------------------------------------------------------------------------


def test_every_feature_of_the_package_is_found_by_its_name_and_costs_nothing():
    assert [feature_named(feature.name) for feature in DEFAULT] == list(DEFAULT)
    assert len(REGISTRY) == len(DEFAULT)
    assert {feature.cost for feature in DEFAULT} == {0.0}
    assert {feature.family for feature in SURFACE} == {"surface"}
    assert "agreement" not in {feature.family for feature in ALONE}


def test_a_name_that_is_not_known_is_refused_with_the_nearest_one():
    assert feature_named("no such") is None
    with pytest.raises(TaskError, match="did you mean 'equations'"):
        features_of(["equation"])
    assert [feature.name for feature in features_of(["votes", signal("judge")])] == ["votes", "signal:judge"]


def test_two_processes_would_mark_a_feature_alike():
    assert mark(signal("judge")) == mark(feature_named("signal:judge"))
    assert mark(signal("judge")) != mark(signal("prior"))


@given(st.text(max_size=400), st.text(max_size=100), st.none() | st.integers() | st.text(max_size=20) | st.booleans())
def test_whatever_is_written_every_feature_has_a_row_of_finite_numbers(text: str, question: str, answer: object):
    examples = [example(text, answer, question), example(answer=answer, question=question)]
    X = table([examples], DEFAULT)
    assert X.shape == (2, sum(len(feature.columns) for feature in DEFAULT))


@pytest.mark.parametrize("piece", ["a", ".5", "a.5", "word ", "\n", "?!", "1,", "- ", "**", "x = 1 + 1\n"])
def test_a_long_and_odd_text_costs_no_more_than_its_length(piece: str):
    long = piece * 20_000
    assert table([[example(long, question=long)]], DEFAULT).shape[0] == 1


# -- texts -----------------------------------------------------------------------------------------------------------


def test_length_counts_words_characters_and_lines():
    (row,) = seen("length", example("two words\nand three more"))
    assert row == {"words": log1p(5), "characters": log1p(24), "lines": log1p(1)}


def test_steps_are_the_responses_own_or_else_its_lines():
    (own,) = seen("steps", example("a b\nc", steps=("a b", "c", "d")))
    (lines,) = seen("steps", example("a b\n\nc"))
    assert (own["count"], lines["count"]) == (log1p(3), log1p(2))


def test_hedges_refusals_and_turns_are_counted():
    (row,) = seen("tone", example("Perhaps 3. Sorry, wait: I cannot say. So, is it 4?"))
    assert row == {"hedges": log1p(1), "refusals": log1p(2), "turns": log1p(1), "ends": log1p(1), "questions": log1p(1)}


def test_a_text_that_breaks_off_or_hands_back_the_question_is_told_from_one_that_ends():
    broken, asking, whole = seen(
        "ending", example("So it is"), example("Proceed to the next step!"), example("It is 4.")
    )
    assert (broken["whole"], whole["whole"]) == (0.0, 1.0)
    assert (asking["asks"], whole["asks"]) == (1.0, 0.0)


def test_what_the_question_asks_for_may_come_up_in_the_closing_words():
    money, eggs = seen("about", example("She makes 26 dollars."), example("She keeps her eggs."))
    assert (money["wish_closing"] or 0) > (eggs["wish_closing"] or 0)


# -- arithmetic ------------------------------------------------------------------------------------------------------


def test_wrong_equations_and_numbers_from_nowhere_are_found():
    right, wrong = seen("equations", example(RIGHT), example(WRONG))
    assert (right["right"], right["wrong"]) == (1.0, 0.0)
    assert (wrong["right"], wrong["wrong"]) == (0.5, log1p(1))
    right, wrong = seen("grounds", example(RIGHT), example(WRONG))
    assert (right["used"], right["nowhere"], right["results"]) == (1.0, 0.0, 0.25)
    assert (wrong["used"], wrong["nowhere"]) == (2 / 3, 0.25)


def test_an_answer_that_is_worked_out_is_told_from_one_that_is_not():
    out, made_up, none = seen("derived", example(answer="$26"), example(answer=27), example(answer=None))
    assert (out["result"], out["right"], out["last"], out["closing"]) == (1.0, 1.0, 1.0, 1.0)
    assert (made_up["result"], made_up["told"]) == (0.0, 0.0)
    assert set(none.values()) == {None}


def test_an_answer_is_looked_at_as_a_number_where_it_is_one():
    number, text, none = seen("answer", example(answer=-1.5), example(answer="Paris"), example(answer=None))
    assert (number["there"], number["number"], number["whole"], number["negative"]) == (1.0, 1.0, 0.0, 1.0)
    assert (text["there"], text["number"], text["whole"]) == (1.0, 0.0, None)
    assert none["there"] == 0.0


def test_a_result_that_nothing_is_made_of_is_loose():
    straight, loose = seen("loose", example("1 + 2 = 3\n3 + 4 = 7"), example("1 + 2 = 3\n1 + 4 = 5"))
    assert (straight["unused"], loose["unused"]) == (0.0, 0.5)


# -- agreement -------------------------------------------------------------------------------------------------------


def test_nobody_votes_for_themselves():
    rows = seen("votes", *(example(answer=answer) for answer in (26, "26.0", "$26", 60, None)))
    assert [row["share"] for row in rows] == [2 / 3, 2 / 3, 2 / 3, 0.0, None]
    assert [row["margin"] for row in rows] == [0.5, 0.5, 0.5, -0.5, None]
    assert [row["rank"] for row in rows] == [0.0, 0.0, 0.0, log1p(1), None]


def test_entropy_is_0_where_all_agree_and_1_where_none_do():
    assert seen("votes", example(answer=1), example(answer=1))[0]["entropy"] == 0.0
    assert seen("votes", example(answer=1), example(answer=2))[0]["entropy"] == pytest.approx(1.0)


def test_of_one_response_alone_agreement_says_nothing():
    assert set(seen("votes", example())[0].values()) == {None}
    assert set(seen("results", example())[0].values()) == {None}


def test_results_on_the_way_are_compared_too():
    right, again, wrong = seen("results", example(RIGHT), example(RIGHT), example(WRONG))
    assert (right["shared"], again["shared"], wrong["shared"]) == (0.5, 0.5, 0.0)


def test_answers_are_one_as_numbers_or_as_json():
    assert canonical("1,200") == canonical(1200.0) == canonical("$1,200 per day")
    assert canonical({"a": [1]}) == canonical({"a": [1]}) != canonical({"a": [2]})
    assert canonical("Paris") == canonical("paris ")
    assert canonical(None) is None
    assert canonical("2x") != canonical("2y")
    assert canonical("not 5") != canonical("5")
    assert canonical("1/2") == canonical("0.5") == canonical("50/100")
    assert canonical("x" * 101) is None


# -- where it was found ----------------------------------------------------------------------------------------------


def test_every_signal_can_be_a_feature_and_one_that_is_missing_is_a_gap():
    there, missing = seen("signal:judge", example(signals={"judge": -3.0}), example())
    assert there == {"value": -3.0, "log": -log1p(3)}
    assert set(missing.values()) == {None}
    assert (signal("judge", cost=1).family, signal("judge", cost=1).cost, signal("visits").family) == (
        "judge",
        1,
        "search",
    )


def test_numbers_that_a_content_holds_are_sorted_the_largest_first():
    content = {"left": ["6", "1/2", "13"], "text": "10 - 4 = 6"}
    (row,) = seen("held:left", example(steps=("10 - 4 = 6",), contents=(content,)))
    assert (row["sum"], row["least"], row["whole"]) == (19.5, 0.5, 2 / 3)
    assert [row[f"number{n}"] for n in (1, 2, 3, 4)] == [13.0, 6.0, 0.5, None]
    assert seen("held:left", example(steps=("a",), contents=("a",)))[0]["count"] == 0.0
    assert held("left").name == "held:left"


# -- embeddings ------------------------------------------------------------------------------------------------------

VECTORS = {"a": [1.0, 0.0], "north": [0.0, 2.0], "east": [3.0, 0.0]}


def test_two_embeddings_are_told_by_how_they_fit_each_other():
    feature = embedding(lambda texts: [VECTORS[text] for text in texts], "compass")
    assert feature.name == "embedding:compass:2"
    (row,) = table([[example("east", question="north")]], [feature]).tolist()
    assert row == [0.0, 0.0, 1.0, 1.0, 0.0]
    (row,) = table([[example("north", question="north")]], [feature]).tolist()
    assert row == [0.0, 1.0, 0.0, 0.0, 1.0]


def test_an_embedder_that_is_another_one_now_is_refused():
    wide = embedding(lambda texts: [[1.0, 2.0] for _ in texts], "wide", dimension=3)
    with pytest.raises(TaskError, match=r"'wide' gave \(2, 2\).*length 3"):
        table([[example("a", question="b")]], [wide])
    with pytest.raises(TaskError, match="finite"):
        table([[example()]], [embedding(lambda texts: [[float("nan")] for _ in texts], "sick", dimension=1)])
