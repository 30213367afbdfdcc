"""Beam search: the contract, a golden trace, and which prefixes are kept, by hand."""

import math

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.search.beam import Beam
from thoughtgraph.testing import RUN, PolicyContract
from thoughtgraph.trace import Scored


class TestBeam(PolicyContract):
    policy = Beam(n=4, m=2)


class TestBeamByProducts(PolicyContract):
    policy = Beam(n=2, m=1, aggregate="prod")


def test_its_trace_is_the_golden_one():
    same_as_golden("beam", Beam(n=4, m=2))


#            root
#     a .9        b .2
#   c .5  e .45   d .6  g .1
LEVELS = Tree(
    {"": "ab", "a": "ce", "b": "dg", "c": "h", "e": "i", "d": "j", "g": "k"},
    {"a": 0.9, "b": 0.2, "c": 0.5, "e": 0.45, "d": 0.6, "g": 0.1, "h": 0.3, "i": 0.7, "j": 0.2, "k": 0.9},
)


def test_n_over_m_prefixes_are_kept_and_each_level_is_judged_as_one_set():
    assert LEVELS.expanded(Beam(n=4, m=2)) == ".abdc"
    assert LEVELS.scored(Beam(n=4, m=2)) == ["ab", "cedg", "jh"]


def test_the_first_level_has_n_thoughts_and_the_later_ones_m_of_each():
    tree = Tree({"": "abcdef", "a": "ghi", "b": "jkl"}, {"a": 0.9, "b": 0.8, "c": 0.1, "d": 0.1})
    assert tree.scored(Beam(n=4, m=2)) == ["abcd", "ghjk"]


def test_the_rule_that_prunes_is_the_rule_that_chooses():
    # By the last value d .6 and c .5 go on. By the least one, c has .5 and e .45, and d only the .2 of b.
    assert LEVELS.expanded(Beam(n=4, m=2, aggregate="min")) == ".abce"
    # Of their ends, h has min .3 and i has min .45; by the last value it is h .3 against j .2.
    assert LEVELS.run(Beam(n=4, m=2, aggregate="min"))[0].answer == "i"
    assert LEVELS.run(Beam(n=4, m=2))[0].answer == "h"


@pytest.mark.parametrize(("rule", "answer"), [("last", "f"), ("min", "e"), ("prod", "d"), ("mean", "d")])
def test_each_rule_has_its_own_answer(rule, answer):
    #            last  min   prod  mean
    # a .9 d .5   .5   .5    .45   .7
    # b .6 e .55  .55  .55   .33   .575
    # c .1 f .9   .9   .1    .09   .5
    values = {"a": 0.9, "b": 0.6, "c": 0.1, "d": 0.5, "e": 0.55, "f": 0.9}
    tree = Tree({"": "abc", "a": "d", "b": "e", "c": "f"}, values)
    assert tree.run(Beam(n=3, m=1, aggregate=rule))[0].answer == answer


def test_what_is_finished_first_does_not_win_by_being_first():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.2, "b": 0.9, "c": 0.95})
    assert tree.run(Beam(n=2, m=1))[0].answer == "c"


def test_what_was_finished_and_fell_out_of_the_beam_can_still_be_the_answer():
    tree = Tree({"": "ab", "b": "c"}, {"a": 0.8, "b": 0.9, "c": 0.1})
    assert tree.expanded(Beam(n=2, m=2)) == ".b"
    assert tree.run(Beam(n=2, m=2))[0].answer == "a"


def test_an_unfinished_prefix_is_never_the_answer():
    tree = Tree({"": "ab", "a": "c", "b": "d", "c": "e", "d": "f"}, dict.fromkeys("abcd", 0.9))
    result, _ = tree.run(Beam(n=2, m=1, steps=2))
    assert (result.answer, result.thought, result.reason) == (None, None, "exhausted")


def test_an_abstention_ranks_as_the_mean_of_the_others():
    tree = Tree({"": "abc", "a": "d", "b": "e", "c": "f"}, {"a": 0.1, "b": None, "c": 0.9})
    assert tree.expanded(Beam(n=3, m=2)) == ".c"
    assert tree.expanded(Beam(n=4, m=2)) == ".cb"


def test_a_solved_thought_ends_it_and_a_failed_end_is_neither_judged_nor_answered():
    tree = Tree({"": "abx", "a": "cd", "b": "ef"}, dict.fromkeys("ab", 0.5), goal="e")
    result, _ = tree.run(Beam(n=4, m=2))
    assert result.answer == "e"
    assert tree.scored(Beam(n=4, m=2)) == ["ab"]
    assert Tree({"": "ab"}, goal="c").run(Beam())[0].answer is None


def test_equal_thoughts_are_one_and_are_judged_once():
    tree = Tree({"": "ab", "a": "x", "b": "x"}, {"a": 0.6, "b": 0.4, "x": 0.1}, merge=True)
    assert tree.scored(Beam(n=4, m=2)) == ["ab", "x"]


def test_a_critic_that_fails_is_an_error_event_and_the_search_goes_on():
    asked = []

    def value(states):
        asked.append(states)
        if len(asked) == 1:
            raise OSError("the critic is out")
        return [tg.Score(0.9 if s.content == "d" else 0.1) for s in states]

    tree = Tree({"": "ab", "a": "c", "b": "d"})
    tree.task = tg.Task("x", {"step": tree.step}, {"value": value}, start="")
    result, engine = tree.run(Beam(n=2, m=1))
    errors = [event.error for event in engine.store.events(RUN) if isinstance(event, Scored)]
    assert (len(errors), "the critic is out" in errors[0], errors[1]) == (2, True, "")
    assert result.answer == "d"


def test_a_reward_that_is_no_number_is_never_ranked_but_named():
    tree = Tree({"": "ab"}, {"a": math.nan, "b": 0.5})
    with pytest.raises(tg.TaskError, match="returned the value nan"):
        tree.run(Beam(n=2, m=1))


def test_chains_may_be_two_thousand_thoughts_long():
    def step(state, n):
        return [tg.Draft(state.content + 1, done=state.content == 1999)]

    task = tg.Task("x", {"step": step}, {"value": lambda states: [tg.Score(0.5)] * len(states)}, start=0)
    result = tg.solve(task, policy=Beam(n=1, m=1, steps=2000), budget=tg.Budget())
    assert result.thought is not None
    assert (result.thought.content, result.thought.depth) == (2000, 2000)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"n": 0}, "n is 0"), ({"m": 0}, "m is 0"), ({"steps": 0}, "steps"), ({"n": 2, "m": 4}, "at most n, which is 2"),
     ({"aggregate": "max"}, "last, min, prod, mean")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_errors(wrong, word):
    with pytest.raises(ValueError, match=word):
        Beam(**wrong)


def test_a_comparative_critic_is_refused_before_anything_is_spent():
    tree = Tree({"": "ab"})
    tree.task = tg.Task("x", {"step": tree.step}, {"vote": tg.critics.Vote()}, start="")
    with pytest.raises(tg.TaskError, match="only compares within one"):
        tree.run(Beam(critic="vote"))
