"""Process models from Monte-Carlo counts: the binomial likelihood of every prefix."""

from math import log

import numpy as np
import pytest
from planted import PLANTED, spearman, traces, unseen, worth

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.processes import Processes, beta
from thoughtgraph.learning.rows import Response, StepTrace


def trace(*counts: tuple[int, int], steps: tuple[str, ...] = ("a", "b", "c"), **told) -> StepTrace:
    return StepTrace(
        question="What is 2 + 2?", response=Response(text="\n".join(steps), steps=steps), counts=counts, **told
    )


def labelled(lesson) -> list[tuple[str, float, float]]:
    texts = (example.response.text for example in lesson.examples)
    return list(zip(texts, lesson.labels, lesson.weights, strict=True))


OTHER = trace((1, 4), steps=("z",))  # so that not all come out alike


# -- rows become prefixes --------------------------------------------------------------------------------------------


def test_every_prefix_is_an_example_with_as_much_weight_as_it_had_trials():
    lesson = Processes().lesson([trace((3, 4), (1, 2), (0, 8))])
    assert labelled(lesson) == [("a", 0.75, 4), ("a\nb", 0.5, 2), ("a\nb\nc", 0.0, 8)]


def test_a_prefix_claims_nothing_and_has_no_signals_of_its_end():
    response = Response(text="a\nb", steps=("a", "b"), answer=4, signals={"visits": 9.0})
    lesson = Processes().lesson([StepTrace(question="q", response=response, counts=((1, 2), (2, 2)))])
    assert all(e.response.answer is None and not e.response.signals for e in lesson.examples)


def test_steps_that_were_not_tried_say_nothing():
    lesson = Processes().lesson([trace((3, 4), (0, 0), (0, 8))])
    assert [text for text, _, _ in labelled(lesson)] == ["a", "a\nb\nc"]
    assert any("1 of 3 steps were not tried" in note for note in lesson.notes)


def test_responses_with_a_common_beginning_pool_its_trials():
    lesson = Processes().lesson([trace((3, 4), (1, 2), (0, 8)), trace((1, 4), (2, 2), steps=("a", "x"))])
    assert labelled(lesson)[0] == ("a", 0.5, 8)
    assert len(lesson.examples) == 4


def test_trials_of_different_completers_are_not_pooled_and_their_mixture_is_said():
    lesson = Processes().lesson(
        [trace((3, 4), steps=("a",), completer="big"), trace((1, 4), steps=("a",), completer="small")]
    )
    assert len(lesson.examples) == 2
    assert any("big, small" in note for note in lesson.notes)
    assert any("several completers are mixed" in note for note in lesson.notes)


def test_prefixes_of_equal_length_are_judged_together_as_siblings_are():
    lesson = Processes().lesson([trace((3, 4), (1, 2), (0, 8)), trace((1, 4), (2, 2), steps=("x", "y"))])
    assert [sorted(lesson.examples[i].response.text for i in at) for at in lesson.by_set().values()] == [
        ["a", "x"], ["a\nb", "x\ny"], ["a\nb\nc"],
    ]  # fmt: skip


def test_hard_labels_ask_only_whether_anybody_succeeded():
    lesson = Processes(hard=True).lesson([trace((3, 4), (1, 64), (0, 8))])
    assert labelled(lesson) == [("a", 1, 1), ("a\nb", 1, 1), ("a\nb\nc", 0, 1)]


def test_what_follows_the_first_prefix_without_success_can_be_left_out():
    lesson = Processes(until_error=True).lesson([trace((3, 4), (0, 8), (1, 8))])
    assert [text for text, _, _ in labelled(lesson)] == ["a", "a\nb"]


def test_a_known_first_error_says_where_to_stop():
    lesson = Processes(until_error=True).lesson([trace((3, 4), (0, 8), (1, 8), first_error=2)])
    assert len(lesson.examples) == 3
    lesson = Processes(until_error=True).lesson([trace((3, 4), (1, 8), (1, 8), first_error=0), OTHER])
    assert [text for text, _, _ in labelled(lesson)] == ["a", "z"]


def test_a_first_error_alone_labels_what_comes_before_it_right_and_itself_wrong():
    lesson = Processes().lesson([trace(first_error=1), trace(first_error=2, steps=("x", "y"))])
    assert labelled(lesson) == [("a", 1, 1), ("a\nb", 0, 1), ("x", 1, 1), ("x\ny", 1, 1)]


def test_traces_that_nobody_tried_are_refused():
    with pytest.raises(TaskError, match="none of 1 step traces says"):
        Processes().lesson([trace((0, 0), (0, 0), (0, 0))])


def test_traces_that_all_came_out_alike_are_refused():
    with pytest.raises(TaskError, match="nothing tells good from bad"):
        Processes().lesson([trace((0, 4), (0, 2), (0, 8))])


# -- the likelihood --------------------------------------------------------------------------------------------------


def test_the_loss_is_the_binomial_likelihood_of_the_counts():
    lesson = Processes().lesson([trace((3, 4), (0, 2), steps=("a", "b"))])
    p = 1 / (1 + np.exp(-1.0))
    assert Processes().loss(lesson, [1.0, 1.0]) == pytest.approx(-(3 * log(p) + 3 * log(1 - p)) / 6)


def test_the_loss_is_least_at_the_share_of_successes():
    lesson = Processes().lesson([trace((3, 4), steps=("a",)), OTHER])
    best = log(3)
    at = [Processes().loss(lesson, [z, log(1 / 3)]) for z in (best - 0.1, best, best + 0.1)]
    assert at[1] < min(at[0], at[2])


def test_many_trials_outweigh_few():
    rows = [
        trace((0, 2), steps=("+1 +0 +0",)),
        trace((60, 64), steps=("+1 +0 +0.0",)),
        trace((32, 64), steps=("+0 +0 +0",)),
    ]
    lesson = Processes().lesson(rows)
    model = Processes().fit(lesson, lesson.table([PLANTED]), learner="logistic", seed=0)
    assert model(np.array([[1.0, 0, 0]]))[0] > model(np.array([[0.0, 0, 0]]))[0]


def test_a_planted_reward_is_found_again_from_eight_trials_a_prefix():
    lesson = Processes().lesson(traces(200))
    model = Processes().fit(lesson, lesson.table([PLANTED]), learner="logistic", seed=0)
    examples = unseen(300)
    z = model(np.array(PLANTED.compute(examples)))
    assert spearman(z, [worth(e.response) for e in examples]) > 0.95
    assert z == pytest.approx([worth(e.response) for e in examples], abs=1.0)


# -- how sure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("c", "N"), [(0, 0), (0, 8), (3, 4), (8, 8), (500, 1000)])
def test_the_interval_is_that_of_the_beta_distribution(c: int, N: int):
    stats = pytest.importorskip("scipy.stats")
    found = beta(c, N)
    assert found.mean == pytest.approx((c + 0.5) / (N + 1))
    assert (found.low, found.high) == pytest.approx(stats.beta.ppf([0.025, 0.975], c + 0.5, N - c + 0.5), abs=2e-4)


def test_more_trials_make_it_surer():
    few, many = beta(1, 2), beta(32, 64)
    assert few.low < many.low < 0.5 < many.high < few.high
