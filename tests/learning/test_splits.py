"""Splits by question: what asks the same stands on one side, whatever its id."""

from random import Random
from time import process_time

from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.learning.splits import folds, groups, kin, leaks, split

LONG = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did "
    "Natalia sell altogether in April and May, if she gave none of them away to anybody else in her family?"
)


def outcome(question: str, id: str = "", problem: object = None) -> Outcome:
    return Outcome(question=question, id=id, problem=problem, response=Response(text="42"), value=1)


def test_case_spacing_and_punctuation_make_no_other_question():
    assert kin({"a": "What is 2 + 2?", "b": "  what is 2 + 2 "}) == {"a": "a", "b": "a"}


def test_another_sign_or_number_makes_another_question():
    asked = {"a": "What is 2 + 2?", "b": "What is 2 - 2?", "c": "What is 2 + 3?"}
    assert kin(asked) == {"a": "a", "b": "b", "c": "c"}


def test_a_long_question_with_a_word_changed_is_the_same():
    assert kin({"a": LONG, "b": LONG.replace("altogether", "overall")})["b"] == "a"


def test_a_long_question_with_a_number_changed_is_another():
    assert kin({"a": LONG, "b": LONG.replace("48", "84")})["b"] == "b"


def test_what_many_questions_have_in_common_is_their_template_and_makes_none_of_them_alike():
    words = ["cat", "dog", "sun", "sea", "fog", "oak", "elm", "ash", "yew", "bee", "ant", "owl", "jay", "eel", "cod"]
    asked = {
        word: f"{LONG} Tell me in which of the books that are listed here one reads of the {word}." for word in words
    }
    assert kin(asked) == {word: word for word in words}


def test_questions_with_another_problem_are_not_the_same_in_the_same_words():
    rows = [
        outcome("Make 24.", "a", "4 9 10 13"),
        outcome("Make 24.", "b", "1 2 4 7"),
        outcome("make 24", "c", "4 9 10 13"),
    ]
    assert groups(rows) == {"a": "a", "b": "b", "c": "a"}


def test_kinship_goes_on_through_a_third():
    words = LONG.split()
    second = " ".join([*words[:10], "also", *words[11:]])
    third = " ".join([*second.split()[:25], "too", *second.split()[26:]])
    assert set(kin({"a": LONG, "b": second, "c": third}).values()) == {"a"}


def test_folds_hold_every_key_once_and_are_the_same_for_the_same_seed():
    keys = [f"q{i}" for i in range(23)]
    parts = folds(keys, 5, seed=1)
    assert sorted(key for part in parts for key in part) == sorted(keys)
    assert {len(part) for part in parts} == {4, 5}
    assert parts == folds(reversed(keys), 5, seed=1)
    assert parts != folds(keys, 5, seed=2)


def test_folds_spread_what_is_rare():
    keys = {f"q{i}": i < 5 for i in range(50)}
    assert [sum(keys[key] for key in part) for part in folds(keys, 5)] == [1, 1, 1, 1, 1]


def test_a_split_parts_no_question_and_not_its_double():
    rows = [outcome(f"What is {i} + 1?", f"{i}") for i in range(20)] + [
        outcome(f"what is {i} + 1", f"again {i}") for i in range(20)
    ]
    rest, out = split(rows, 0.25)
    assert len(out) == 10
    assert leaks(rest, out) == []


def test_a_leak_is_found_by_id_by_words_and_by_nearly_the_same_words():
    here = [outcome("What is 1 + 1?", "1"), outcome("What is 2 + 2?", "2"), outcome(LONG, "3")]
    there = [
        outcome("What is 1 + 1?", "1"),
        outcome("WHAT IS 2 + 2", "x"),
        outcome(LONG.replace("altogether", "overall"), "y"),
    ]
    assert leaks(here, there) == [("1", "1"), ("2", "x"), ("3", "y")]
    assert leaks(here, [outcome("What is 3 + 3?", "z")]) == []


def test_an_id_on_one_side_cannot_be_mistaken_for_one_on_the_other():
    assert leaks([outcome("What is 1 + 1?", "there 1")], [outcome("What is 9 + 1?", "1")]) == []


def test_a_number_in_a_list_makes_no_other_question():
    asked = {"a": LONG, "b": f"12. {LONG}", "c": f"Question 7: {LONG}", "d": f"Q3) {LONG}"}
    assert set(kin(asked).values()) == {"a"}


def test_a_slip_of_the_pen_or_two_makes_no_other_question():
    assert kin({"a": LONG, "b": LONG.replace("altogether", "overall").replace("friends", "frends")})["b"] == "a"


def test_many_questions_that_are_nearly_one_take_no_more_than_a_moment():
    """Two thousand in clusters of eighty: nobody goes through all of them for each pair."""
    rng = Random(0)
    asked = [[f"word{rng.randrange(400)}" for _ in range(40)] for _ in range(25)]
    told = {str(i): " ".join([*asked[i % 25][:20], f"other{i}", *asked[i % 25][21:]]) for i in range(2000)}
    begun = process_time()
    assert len(set(kin(told).values())) == 25
    assert process_time() - begun < 1.5
