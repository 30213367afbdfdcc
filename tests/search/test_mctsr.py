"""MCTSr: the contract, a golden trace, its Q and UCB by hand, and where the published code goes wrong."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

from collections.abc import Mapping, Sequence
from math import log, sqrt

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.search.mctsr import MCTSr
from thoughtgraph.testing import PolicyContract, Toy


class TestMCTSr(PolicyContract):
    """The toy's one action makes of final thoughts longer ones: here they are gone on from, which is the point."""

    policy = MCTSr(rollouts=5, weak=2)

    def test_a_final_thought_is_never_expanded(self) -> None:
        """By `refine` it is."""
        result, _ = self.run(Toy("open"))
        assert any(result.graph.children(end) for end in result.graph.finals)

    def test_a_tree_that_ends_at_once_is_answered(self) -> None:
        """It ends at no answer, only after its rollouts."""
        toy = Toy("open", "ends at once")
        self.check(self.run(toy)[0], toy)


class TestMCTSrWithFourWorkersThatVotes(TestMCTSr):
    policy = MCTSr(rollouts=5, weak=2, workers=4, rule="vote")


def test_its_trace_is_the_golden_one():
    same_as_golden("mctsr", MCTSr(rollouts=4, weak=2))


class Notebook:
    """Answers by name: what is written first, what each is refined to in turn, and what each judgement of it says."""

    def __init__(
        self, first: str, refined: Mapping[str, str], scores: Mapping[str, Sequence[float | None]], **more
    ) -> None:
        self.left = {"": list(first), **{name: list(after) for name, after in refined.items()}}
        self.scores, self.asked, self.seen = scores, dict.fromkeys(scores, 0), list[str]()
        actions = {"reason": self.write, "refine": self.write, "critique": self.criticise}
        self.task = tg.Task("notes", actions, {"value": self.judge}, start="", **more)

    def write(self, state: tg.State, n: int) -> list[tg.Draft]:
        self.seen.append("".join(str(thought.content) for thought in state.thoughts))
        drawn = [self.left.get(state.content, []).pop(0) for _ in range(min(n, len(self.left.get(state.content, []))))]
        return [tg.Draft(name, done=True) for name in drawn]

    def criticise(self, state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(f"!{state.content}", done=True)]

    def judge(self, states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(self.said(state.content), f"{state.content} is short") for state in states]

    def said(self, name: str) -> float | None:
        self.asked[name] += 1
        values = self.scores[name]
        return values[min(self.asked[name], len(values)) - 1]

    def run(self, policy: MCTSr) -> tuple[tg.Result, dict[str, float]]:
        """The result, and Q by name as it is at the end."""
        kept = list[tg.Search]()

        async def watched(search: tg.Search) -> tg.Thought | None:
            kept.append(search)
            return await policy(search)

        result = tg.solve(self.task, policy=watched, budget=Budget())
        return result, {kept[0].graph[id].content: q for id, q in policy._values(kept[0]).items()}


def test_q_is_the_mean_of_the_least_and_the_mean_reward_and_then_of_that_and_the_best_child():
    notes = Notebook("a", {"a": "b", "b": "c"}, {"a": [0.8, 0.6], "b": [0.9, 0.5], "c": [0.2]})
    result, q = notes.run(MCTSr(rollouts=2))
    # a: judged .8, then .6 before it was refined; b .9, then .5; c .2 once.
    own_a, own_b, own_c = (0.6 + 0.7) / 2, (0.5 + 0.7) / 2, 0.2
    assert q == pytest.approx({"c": own_c, "b": (own_b + own_c) / 2, "a": (own_a + (own_b + own_c) / 2) / 2})
    assert result.answer == "a"


def test_a_reward_that_is_too_good_is_cut():
    _, q = Notebook("a", {"a": "b"}, {"a": [1.0], "b": [0.97]}).run(MCTSr(rollouts=1))
    assert q == pytest.approx({"a": (0.75 + 0.97) / 2, "b": 0.97})
    _, q = Notebook("a", {}, {"a": [1.0]}).run(MCTSr(rollouts=1, cap=2.0))
    assert q == {"a": 1.0}


def test_the_answer_of_the_highest_upper_bound_is_refined():
    # Two answers, each judged once: UCB = Q + c sqrt(ln(2 + 1) / 1), so a (.8) is refined, to c (.1).
    # Then a was judged twice and c once: a .45 + 1.4 sqrt(ln 4 / 2) = 1.62, b .7 + 1.4 sqrt(ln 4 / 1) = 2.35.
    assert (0.8 + 0.1) / 2 + 1.4 * sqrt(log(4) / 2) < 0.7 + 1.4 * sqrt(log(4))
    notes = Notebook("ab", {"a": "c", "b": "d"}, {"a": [0.8], "b": [0.7], "c": [0.1], "d": [0.1]})
    notes.run(MCTSr(rollouts=2, weak=2))
    assert notes.seen == ["", "a", "b"]
    # Without exploration a is refined again, if its child is worth .7: (.8 + .7) / 2 is more than the .7 of b.
    greedy = Notebook("ab", {"a": "cd"}, {"a": [0.8], "b": [0.7], "c": [0.7], "d": [0.1]})
    greedy.run(MCTSr(rollouts=2, weak=2, c=0))
    assert greedy.seen == ["", "a", "a"]


def test_an_answer_with_all_its_children_and_a_better_one_is_not_refined_again():
    scores = {"a": [0.5], "b": [0.9], "c": [0.1], "d": [0.9]}
    notes = Notebook("a", {"a": "cbc", "b": "dd"}, scores)
    notes.run(MCTSr(rollouts=5, c=0, width=2))
    assert notes.seen[:3] == ["", "a", "a"]
    assert set(notes.seen[3:]) == {"b"}
    worse = Notebook("a", {"a": "cccc"}, scores)  # no child is better: it stays open however many there are
    worse.run(MCTSr(rollouts=4, c=0, width=2))
    assert worse.seen == ["", "a", "a", "a", "a"]


def test_a_criticism_is_seen_by_refine_and_is_no_answer():
    notes = Notebook("a", {"a": "b"}, {"a": [0.5], "b": [0.6]})
    result, _ = notes.run(MCTSr(rollouts=1, critique="critique"))
    assert notes.seen == ["", "a!a"]
    assert [thought.content for thought in result.graph.parents(result.thought)] == ["a", "!a"]
    assert result.answer == "b"


def test_a_task_of_one_action_has_none_to_criticise_with():
    """What it wrote as a criticism was an answer like any other."""
    asked = list[int]()

    def write(state: tg.State, n: int) -> list[tg.Draft]:
        asked.append(len(state.thoughts))
        return [tg.Draft(f"{len(asked)}", done=True)]

    task = tg.Task("x", {"write": write}, {"value": lambda states: [tg.Score(0.5)] * len(states)})
    result = tg.solve(task, policy=MCTSr(rollouts=2, critique="critique"), budget=Budget())
    assert len(result.graph) == 1 + 1 + 2
    assert len(asked) == 3


def test_the_judges_feedback_is_there_when_an_answer_is_refined():
    told = list[str]()

    def refine(state: tg.State, n: int) -> list[tg.Draft]:
        told.extend(score.feedback for score in state.scores())
        return []

    critics = {"value": lambda states: [tg.Score(0.5, "too short")] * len(states)}
    actions = {"reason": lambda state, n: [tg.Draft("a", done=True)], "refine": refine}
    tg.solve(tg.Task("x", actions, critics), policy=MCTSr(rollouts=1), budget=Budget())
    assert told == ["too short"]


def test_an_answer_that_nobody_can_judge_is_no_bad_one_and_does_not_take_every_turn():
    notes = Notebook("ab", {"a": "cccc", "b": "cccc"}, {"a": [None], "b": [0.4], "c": [0.3]})
    result, q = notes.run(MCTSr(rollouts=6, weak=2))
    assert {"a", "b"} <= set(notes.seen[1:])
    assert q["a"] == pytest.approx(0.3)  # known by its children alone
    assert result.answer == "b"


def test_a_vote_takes_the_answer_that_was_given_most_often():
    scores = {"a": [0.9], "b": [0.5], "c": [0.4]}
    notes = Notebook("a", {"a": "bb"}, scores)
    assert notes.run(MCTSr(rollouts=2, c=0, rule="vote"))[0].answer == "b"
    assert Notebook("a", {"a": "bb"}, scores).run(MCTSr(rollouts=2, c=0))[0].answer == "a"


# -- defects of the published code ---------------------------------------------------------------------------------


def test_the_same_text_twice_is_two_answers_with_histories_of_their_own():
    notes = Notebook("a", {"a": "aa"}, {"a": [0.5, 0.5, 0.9, 0.5, 0.1]})
    result, _ = notes.run(MCTSr(rollouts=2))
    assert [thought.content for thought in result.graph] == ["", "a", "a", "a"]


def test_it_ends_by_the_problems_own_goal_test_and_by_no_reference():
    notes = Notebook("a", {"a": "bc"}, {"a": [0.5], "c": [0.1]}, goal=lambda path: path[-1].content == "b")
    result, _ = notes.run(MCTSr(rollouts=9))
    assert result.answer == "b"
    assert "b" not in notes.asked


@pytest.mark.parametrize(
    "wrong", [{"rollouts": 0}, {"weak": 0}, {"workers": 0}, {"width": 0}, {"steps": 0}, {"c": -1}, {"rule": "votes"}]
)
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MCTSr(**wrong)
