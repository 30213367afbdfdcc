"""Graph of Thoughts: the contract, a golden trace, and the plan by hand."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from collections import Counter
from collections.abc import Sequence

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.search.got import GoT
from thoughtgraph.testing import PolicyContract

SMALL = {"samples": 2, "merges": 2, "refinements": 2}


class TestGoT(PolicyContract):
    policy = GoT(parts=2, **SMALL)


class TestGoTWithThreePartsAndNoRefinements(PolicyContract):
    policy = GoT(parts=3, samples=3, merges=1, refinements=0)


def test_its_trace_is_the_golden_one():
    same_as_golden("got", GoT(parts=2, **SMALL))


class Words:
    """Words in parts: "split" gives letters of `word`, "step" writes them large, "merge" joins, "refine" adds "!".

    Of several draws the later ones are worth less, but refinements, of which each "!" is worth as much as `mends`.
    """

    def __init__(self, word: str = "abcd", mends: float = 0.1, barren: str = "-", goal: str | None = None) -> None:
        self.word, self.mends, self.barren, self.goal = word, mends, barren, goal
        self.done = list[str]()

    def split(self, state: tg.State, n: int) -> list[tg.Draft]:
        return self._drafts("split", "", list(self.word[:n]))

    def step(self, state: tg.State, n: int) -> list[tg.Draft]:
        text = (state.content or self.word).upper()
        return self._drafts("step", text, [text + "'" * number for number in range(n)])

    def merge(self, state: tg.State, n: int) -> list[tg.Draft]:
        text = "".join(thought.content for thought in state.thoughts)
        return self._drafts("merge", text, [text + "'" * number for number in range(n)])

    def refine(self, state: tg.State, n: int) -> list[tg.Draft]:
        return self._drafts("refine", state.content, [state.content + "!" * (number + 1) for number in range(n)])

    def value(self, states: Sequence[tg.State]) -> list[tg.Score]:
        slips, mended = ([state.content.count(mark) for state in states] for mark in "'!")
        return [tg.Score(0.5 - a / 9 + b * self.mends) for a, b in zip(slips, mended, strict=True)]

    def _drafts(self, action: str, text: str, drafts: list[str]) -> list[tg.Draft]:
        self.done.append(f"{action} {text}".strip())
        whole = {draft: draft.strip("'!").lower() == self.word for draft in drafts}
        return [] if self.barren in (action, text) else [tg.Draft(draft, done=whole[draft]) for draft in drafts]

    @property
    def task(self) -> tg.Task:
        actions = {"split": self.split, "step": self.step, "merge": self.merge, "refine": self.refine}
        goal = None if self.goal is None else (lambda path: path[-1].content == self.goal)
        return tg.Task("word", actions, {"value": self.value}, start="", goal=goal)

    def run(self, policy: GoT) -> tg.Result:
        return tg.solve(self.task, policy=policy, budget=tg.Budget())


def test_four_parts_are_split_solved_merged_in_two_levels_and_refined():
    words = Words()
    result = words.run(GoT(samples=3, merges=2, refinements=2))
    assert words.done == [
        "split", "step A", "step B", "step C", "step D", "merge AB", "merge CD", "merge ABCD", "refine ABCD",
    ]  # fmt: skip
    assert result.answer == "ABCD!!"
    assert Counter(thought.action for thought in result.graph) == {
        "": 1, "split": 4, "step": 12, "merge": 6, "refine": 2,
    }  # fmt: skip


@pytest.mark.parametrize("parts", [2, 3, 4, 5, 7, 8])
def test_any_number_of_parts_is_merged_to_one_whole(parts: int):
    word = "abcdefgh"[:parts]
    result = Words(word).run(GoT(parts=parts, **SMALL))
    assert result.answer == word.upper() + "!!"
    assert result.usage.expansions == 2 * parts + 1
    assert result.usage.evaluations == parts * 2 + (parts - 1) * 2 + 2


def test_the_number_of_parts_is_that_which_the_split_brings():
    assert Words("abc").run(GoT(parts=8, **SMALL)).answer == "ABC!!"


def test_an_odd_part_waits_for_the_next_level():
    words = Words("abcde")
    words.run(GoT(parts=5, **SMALL))
    assert [done for done in words.done if "merge" in done] == ["merge AB", "merge CD", "merge ABCD", "merge ABCDE"]


def test_the_whole_descends_from_every_part():
    result = Words().run(GoT(**SMALL))
    above, work = set[str](), [result.thought]
    while work:
        found = result.graph.parents(work.pop())
        above.update(thought.content for thought in found)
        work += found
    assert above == {"", "a", "b", "c", "d", "A", "B", "C", "D", "AB", "CD", "ABCD"}


def test_a_whole_that_no_refinement_betters_stays_the_answer():
    assert Words(mends=-0.1).run(GoT(**SMALL)).answer == "ABCD"
    assert Words(mends=0.0).run(GoT(**SMALL)).answer == "ABCD"


def test_a_whole_that_is_perfect_is_not_refined():
    words = Words()
    assert words.run(GoT(**SMALL, perfect=0.5)).answer == "ABCD"
    assert "refine ABCD" not in words.done
    assert words.run(GoT(**SMALL, perfect=0.6)).answer == "ABCD!!"


def test_a_problem_that_cannot_be_split_is_solved_as_a_whole():
    words = Words(barren="split")
    assert words.run(GoT(**SMALL)).answer == "ABCD!!"
    assert words.done == ["split", "step ABCD", "refine ABCD"]


def test_without_one_of_its_parts_nothing_is_merged():
    words = Words(barren="B")
    result = words.run(GoT(**SMALL))
    assert (result.answer, result.reason) == (None, "exhausted")
    assert not [done for done in words.done if "merge" in done]


def test_a_merge_that_comes_to_nothing_ends_it():
    assert Words(barren="CD").run(GoT(**SMALL)).answer is None


def test_whole_answers_that_a_budget_cuts_off_from_refinement_are_answers():
    result = tg.solve(Words().task, policy=GoT(**SMALL), budget=tg.Budget(expansions=8))
    assert (result.answer, result.reason) == ("ABCD", "budget")


def test_the_first_solved_thought_ends_the_plan():
    words = Words(goal="ABCD'")
    assert words.run(GoT(**SMALL)).answer == "ABCD'"
    assert "refine ABCD" not in words.done
    assert Words(goal="ABCD!!").run(GoT(**SMALL)).answer == "ABCD!!"
    assert Words(goal="nothing").run(GoT(**SMALL)).answer is None


def test_an_action_that_the_task_lacks_is_an_error_before_anything_is_spent():
    words = Words()
    for field, name in (("split", "cut"), ("merge", "join"), ("refine", "mend")):
        with pytest.raises(tg.TaskError, match=name):
            words.run(GoT(**{field: name}))
    assert words.done == []
    assert words.run(GoT(**{**SMALL, "refinements": 0}, refine="mend")).answer == "ABCD"


@pytest.mark.parametrize(
    "wrong", [{"parts": 1}, {"samples": 0}, {"merges": 0}, {"refinements": -1}, {"parts": float("nan")}]
)
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GoT(**wrong)
