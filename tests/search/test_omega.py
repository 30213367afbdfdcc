"""OmegaPRM: the contract, a golden trace, and the search for the first wrong step by hand."""

# pyright: reportArgumentType=false, reportPrivateUsage=false

from collections import Counter
from math import ceil, log2

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.search.omega import Omega, State, _Pool
from thoughtgraph.testing import PolicyContract
from thoughtgraph.thought import Thought
from thoughtgraph.trace import Expanded
from thoughtgraph.verbs import Search


class TestOmega(PolicyContract):
    policy = Omega(rollouts=3, searches=4, steps=4)


class TestOmegaWithABarThatCanBeReached(PolicyContract):
    policy = Omega(rollouts=3, searches=3, steps=4, bar=0.7)


def test_its_trace_is_the_golden_one():
    same_as_golden("omega", Omega(rollouts=3, searches=3, steps=4, bar=0.7))


# -- words of sixteen letters: whoever has written an x writes nothing right any more -------------------------------

LONG = 16


class Words:
    """Answers are "o" and "x": half of those from a place without an "x" get one, at random. Right is without one."""

    def __init__(self, unlucky: str = "-", grade: bool = False) -> None:
        self.unlucky, self.asked, self.tried = unlucky, Counter[str](), Counter[tuple[str, str]]()
        goal = None if grade else (lambda path: "x" not in path[-1].content)
        critics = {"value": self.value} if grade else {}
        self.task = tg.Task("w", {"reason": self.reason, "cut": self.cut}, critics, start="", goal=goal)

    def reason(self, state: tg.State, n: int) -> list[tg.Draft]:
        """`n` words; those from the place `unlucky` are wrong the first time."""
        here = state.content
        self.asked[here] += 1
        self.tried[here, state.thought.id] += 1
        fail = here == self.unlucky and self.asked[here] == 1
        return [tg.Draft(self._word(state, here, fail or i % 2 == 0), done=True) for i in range(n)]

    def _word(self, state: tg.State, here: str, wrong: bool) -> str:
        rest = ["o"] * (LONG - len(here))
        if wrong and "x" not in here and rest:
            rest[state.rng.randrange(len(rest))] = "x"
        return here + "".join(rest)

    def cut(self, state: tg.State, n: int) -> list[tg.Draft]:
        start, word = (thought.content for thought in state.thoughts)
        return [tg.Draft(word[:end]) for end in range(len(start) + 1, len(word))][:n]

    def value(self, states: list[tg.State]) -> list[tg.Score]:
        return [tg.Score(float("x" not in state.content)) for state in states]

    def run(self, policy: Omega, seed: int = 0) -> tuple[tg.Result, list[Expanded]]:
        events = list[object]()
        budget = tg.Budget()
        result = tg.solve(self.task, policy=policy, budget=budget, seed=seed, on_event=lambda u: events.append(u.event))
        return result, [e for e in events if isinstance(e, Expanded)]


def located(result: tg.Result, expanded: list[Expanded]) -> list[tuple[str, str]]:
    """For each answer that was looked into: the answer, and the last place in it that was tried."""
    found = list[tuple[str, str]]()
    for e in expanded:
        if e.action == "cut":
            found.append((result.graph[e.parents[1]].content, ""))
        elif found and e.parents[0] != "root":
            found[-1] = (found[-1][0], result.graph[e.parents[0]].content)
    return found


def test_the_first_wrong_step_is_found_and_tried_twice():
    words = Words()
    result, expanded = words.run(Omega(rollouts=8, searches=12))
    for answer, last in located(result, expanded):
        error = answer.index("x") + 1  # the place behind the first x
        assert last == answer[:error] or error == LONG
    twice = [place for (place, _), times in words.tried.items() if times == 2]
    assert twice
    assert all(place.endswith("x") and place.count("x") == 1 for place in twice)


def test_it_tries_as_many_places_as_a_binary_search_does_and_one_again():
    words = Words()
    _, expanded = words.run(Omega(rollouts=8, searches=1))
    assert sum(e.action == "reason" for e in expanded) <= 1 + ceil(log2(LONG)) + 1


def test_no_rollout_is_looked_into_twice():
    """A public code puts the consumed rollout back, and takes it for ever."""
    _, expanded = Words().run(Omega(rollouts=4, searches=40))
    taken = Counter(e.parents[1] for e in expanded if e.action == "cut")
    assert len(taken) == 40
    assert set(taken.values()) == {1}


def test_a_place_that_was_tried_is_not_tried_again_but_for_the_boundary():
    """A public code asks for every Monte-Carlo value twice."""
    words = Words()
    words.run(Omega(rollouts=8, searches=6))
    assert all(times == 1 or (times == 2 and place.endswith("x")) for (place, _), times in words.tried.items())


def test_a_place_that_only_had_bad_luck_is_not_called_wrong():
    # Seed by seed the first wrong answer differs; the middle of it is where the binary search begins.
    for seed in range(8):
        plain, before = Words().run(Omega(rollouts=8, searches=1), seed)
        answer = located(plain, before)[0][0]
        middle = answer[: (LONG - 1 - 1) // 2 + 1]
        if "x" in middle or answer.index("x") + 1 == LONG:
            continue
        words = Words(unlucky=middle)
        result, expanded = words.run(Omega(rollouts=8, searches=1), seed)
        assert words.asked[middle] == 2
        assert located(result, expanded)[0][1] == answer[: answer.index("x") + 1]
        return
    pytest.fail("no seed had an answer whose first half is right")


def test_where_a_question_is_always_or_never_solved_there_is_nothing_to_look_into():
    words = Words()
    words.task = tg.Task("w", words.task.actions, start="x", goal=lambda path: "x" not in path[-1].content)
    _, expanded = words.run(Omega(rollouts=8))
    assert [e.action for e in expanded] == ["reason"]


def test_a_critic_that_is_no_environment_is_said_to_grade():
    result, _ = Words(grade=True).run(Omega(rollouts=4, searches=1, critic="value"))
    assert "is a proxy" in "".join(note.text for note in result.notes)
    assert result.ito == "proxy"


# -- the pool by hand ------------------------------------------------------------------------------------------------


def thought(id: str, text: str) -> Thought:
    return Thought(id, ("root",), "reason", text, done=True, depth=1)


def pool(*states: State) -> _Pool:
    made = _Pool(Omega(), Search(Words().task, tg.ThoughtGraph(Thought("root", (), "", ""))))
    made.states = {state.thought.id: state for state in states}
    return made


def test_q_and_u_are_those_of_the_paper():
    # Q = .5^(1 - .75) * .9^(2 / 500), U = .125 sqrt(9) / (1 + 2)
    one = State(thought("s", ""), right=3, tried=4, taken=2)
    worth = pool(one).worth(one, thought("r", "two words"), total=9)
    assert worth == pytest.approx(0.5**0.25 * 0.9 ** (2 / 500) + 0.125)


def test_the_likelier_state_and_the_shorter_rollout_come_first_and_leave_the_pool():
    short, long = thought("short", "a"), thought("long", "a " * 300)
    likely = State(thought("likely", ""), [long, short], right=7, tried=8)
    rare = State(thought("rare", ""), [thought("r", "a")], right=1, tried=8)
    states = pool(rare, likely)
    assert states.take() == (likely, short)
    assert (likely.wrong, likely.taken) == ([long], 1)


def test_states_that_were_always_or_never_solved_are_not_taken():
    always = State(thought("a", ""), [thought("r", "a")], right=8, tried=8)
    never = State(thought("n", ""), [thought("q", "a")], right=0, tried=8)
    assert pool(always, never).take() is None


@pytest.mark.parametrize(
    "wrong", [{"rollouts": 0}, {"searches": 0}, {"length": 0}, {"steps": 0}, {"c": -1}, {"alpha": -1}]
)
def test_settings_that_make_no_sense_are_errors(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Omega(**wrong)
