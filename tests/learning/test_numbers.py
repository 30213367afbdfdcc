"""Numbers and equations in prose: read by a grammar of our own, never evaluated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughtgraph.learning.numbers import equations, number_of, numbers, quantities


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("16 - 3 = 13", ["16 - 3 = 13 right"]),
        ("4 x $5 = $21", ["4 * 5 = 21 wrong"]),
        ("16 eggs/day - 3 eggs/day = 13 eggs/day", ["16 - 3 = 13 right"]),
        ("13 eggs/day x $2/egg = $26/day.", ["13 * 2 = 26 right"]),
        ("She has 4 muffins with 4 eggs each, so 4 x 4 = 16 eggs", ["4 * 4 = 16 right"]),
        ("(3 + 4) * 2 = 14", ["( 3 + 4 ) * 2 = 14 right"]),
        ("2 + 3 * 4 = 14", ["2 + 3 * 4 = 14 right"]),
        ("2 + 3 * 4 = 20", ["2 + 3 * 4 = 20 wrong"]),
        ("10 - 4 - 3 = 3", ["10 - 4 - 3 = 3 right"]),
        ("1,200 / 4 = 300", ["1200 / 4 = 300 right"]),
        ("10 / 3 = 3.33", ["10 / 3 = 3.33 right"]),
        ("10 / 3 = 3.34", ["10 / 3 = 3.34 wrong"]),
        ("10 / 3 = 3", ["10 / 3 = 3 wrong"]),
        ("20% of 50 = 10", ["0.2 * 50 = 10 right"]),
        ("5 / 20 = 25%", ["5 / 20 = 0.25 right"]),
        ("5 ÷ 20 × 8 = 2", ["5 / 20 * 8 = 2 right"]),
        ("7 − 2 = 5", ["7 - 2 = 5 right"]),
        ("3 + 4 = 7 = 2 + 5", ["3 + 4 = 7 right"]),
        ("3 + 4 = 2 + 5 = 7", ["3 + 4 = 7 right", "2 + 5 = 7 right"]),
        ("3 + 4 = 7\n7 * 2 = 15", ["3 + 4 = 7 right", "7 * 2 = 15 wrong"]),
        # nothing that could be taken for an equation by mistake
        ("x = 5", []),
        ("2x = 10", []),
        ("1 / 0 = 5", []),
        ("3 + = 7", []),
        ("It is 2024-05-06 today.", []),
        ("((((1 + 1", []),
        ("__import__('os').system('x') = 1 + 1", []),
        ("", []),
    ],
)
def test_equations_are_read_off_prose_and_worked_out(text: str, told: list[str]):
    assert [str(equation) for equation in equations(text)] == told


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (18, 18.0), (18.5, 18.5), ("18", 18.0), ("$1,200 a day", 1200.0), ("-5", -5.0), ("25%", 25.0),
        (True, None), (None, None), ("three", None), ("3 or 4", None), ([3], None), ("", None), (10**400, None),
        ("the one who came in 4 hours after the others", None),
    ],
)  # fmt: skip
def test_an_answer_is_a_number_only_where_it_is_one(answer: object, number: float | None):
    assert number_of(answer) == number


def test_numbers_in_words_count_as_quantities_of_a_question():
    assert quantities("She eats three, sells twice as many, and has 16. Half of 16 are 8.") == (
        3.0,
        2.0,
        16.0,
        0.5,
        8.0,
    )
    assert numbers("v2 has 3 parts, 4.5 each: 1,200.") == (3.0, 4.5, 1200.0)


@given(st.text(alphabet="0123456789+-*/x=()$% ,.ab\n", max_size=300))
def test_whatever_stands_there_the_reading_ends_and_is_finite(text: str):
    for equation in equations(text):
        assert abs(equation.left) < float("inf")
        assert abs(equation.right) < float("inf")


@pytest.mark.parametrize("piece", ["(", "1", "1,111", "1 + ", "a ", "=", "1=", ". ", "1.", "$ ", "1 + 1 = 2 "])
def test_long_and_odd_texts_cost_no_more_than_their_length(piece: str):
    assert len(equations(piece * 20_000)) <= 200
    assert len(quantities(piece * 20_000)) <= 200


@given(st.integers(0, 999), st.integers(0, 999), st.sampled_from("+-*"))
def test_a_sum_written_down_is_right_and_one_off_by_one_is_wrong(a: int, b: int, operator: str):
    value = {"+": a + b, "-": a - b, "*": a * b}[operator]
    if value < 0:
        return
    assert [equation.holds for equation in equations(f"{a} {operator} {b} = {value}")] == [True]
    off = value + 1
    (wrong,) = equations(f"{a} {operator} {b} = {off}")
    assert wrong.holds is (off in (100 * value, value / 100))
