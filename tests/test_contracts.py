"""What a policy asks of a task is checked before anything is spent; and what it says of its choices is kept."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from dataclasses import dataclass
from typing import ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import Toy
from thoughtgraph.verbs import family, roles


@dataclass(frozen=True)
class Reflecting:
    """A policy that names more than one action."""

    action: str = "step"
    reflect: str = "reflect"
    others: tuple[str, ...] = ("cheap", "strong")
    critic: str = "value"
    second: str | None = None

    acts: ClassVar = ("action", "reflect", "others")
    judges: ClassVar = ("critic", "second")
    absolute: ClassVar = True

    async def __call__(self, search):
        return None


@dataclass(frozen=True)
class Around:
    """A policy that runs another one."""

    inner: tuple = (Reflecting(),)
    acts: ClassVar = ()
    judges: ClassVar = ()

    async def __call__(self, search):
        return None


def task(*actions, critic=None) -> tg.Task:
    nothing = lambda states: [tg.Score(None)] * len(states)
    return tg.Task("?", dict.fromkeys(actions, lambda state, n: []), {"value": critic or nothing, "other": nothing})


def test_the_fields_that_a_policy_lists_name_its_actions_and_critics():
    assert roles(Reflecting()) == (("step", "reflect", "cheap", "strong"), ("value",))
    assert roles(tg.search.MCTS()) == (("step",), ("value",))
    assert [type(one).__name__ for one in family(Around())] == ["Around", "Reflecting"]


@pytest.mark.parametrize("policy", [Reflecting(), Around()])
def test_an_action_that_the_task_lacks_is_said_at_once(policy):
    with pytest.raises(tg.TaskError, match=r"no action 'reflect'.*'step', 'refect'.*did you mean 'refect'"):
        tg.solve(task("step", "refect"), policy=policy)
    with pytest.raises(tg.TaskError, match="no action 'strong'"):
        tg.solve(task("step", "reflect", "cheap"), policy=policy)
    assert tg.solve(task("step", "reflect", "cheap", "strong"), policy=policy).reason == "exhausted"


@pytest.mark.parametrize("policy", [Reflecting(), Around()])
def test_a_policy_within_a_policy_may_not_rank_what_was_only_compared_either(policy):
    compared = tg.critics.Vote(model=Scripted(["1"]))
    with pytest.raises(tg.TaskError, match="'value' only compares"):
        tg.solve(task("step", "reflect", "cheap", "strong", critic=compared), policy=policy)


def test_a_critic_that_reads_log_probabilities_needs_a_model_that_has_them():
    class Sure:
        logprobs = True
        model = None

        def __call__(self, states):
            return [tg.Score(1.0)] * len(states)

    class Silent(Scripted):
        capabilities = tg.Capabilities(logprobs=False)

    silent = Silent(["x"])
    with pytest.raises(tg.TaskError, match="'value' reads log-probabilities and local:scripted gives none"):
        tg.solve(task("step", critic=Sure()), policy="tot", model=silent)
    assert tg.solve(task("step", critic=Sure()), policy="tot", model=Scripted(["x"])).answer is None


async def noting(search):
    """Says why, twice, and goes on."""
    search.note("policy", "because")
    search.note("policy", "because")
    children = await search.expand(search.root)
    search.note("choice", f"{len(children)} to choose from")
    return


def test_what_a_policy_says_of_its_choices_stands_in_the_notes_once_and_a_resumed_run_says_it_no_second_time():
    toy, store = Toy("open"), MemoryStore()
    first = tg.solve(toy.task, policy=noting, store=store, budget=tg.Budget(expansions=0))
    assert [(note.about, note.text) for note in first.notes] == [("policy", "because")]
    again = tg.resume(first.run, store=store, task=toy.task, policy=noting, budget=tg.Budget(expansions=5))
    assert [note.text for note in again.notes] == ["because", "3 to choose from"]


def test_a_note_is_kept_where_the_policy_ends_right_after_it():
    async def last(search):
        search.note("policy", "enough")

    assert tg.solve(Toy("open").task, policy=last).notes[0].text == "enough"


# -- what is no policy, action or critic ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tg.Task("?", {"reason": 5}), "action 'reason' is 5: expected something that can be called"),
        (lambda: tg.Task("?", {"step": print}, {"value": "good"}), "critic 'value' is 'good'"),
        (lambda: tg.solve(task("step"), policy=tg.search.MCTS), r"the class MCTS: make one of it, as in MCTS\(\)"),
        (lambda: tg.solve(task("step"), policy=tg.search.ToT(action=5)), "action is 5: expected the name of an action"),
        (lambda: tg.search.Commit(policy=5), "policy is 5: expected a policy"),
        (lambda: tg.search.BestOfN(n=2.5), "n is 2.5: expected a whole number"),
        (lambda: tg.search.SelfConsistency(share=3), "share is 3: expected a share of at most 1"),
    ],
)
def test_a_thing_of_the_wrong_kind_is_said_at_once(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_an_answer_that_nobody_could_judge_is_told_as_such():
    say = lambda state, n: [tg.Draft(word, done=True) for word in ("a", "b")][:n]
    silent = lambda states: [tg.Score(None)] * len(states)
    result = tg.solve(tg.Task("?", {"reason": say}, {"value": silent}), policy="best_of_n(n=2)")
    assert result.answer == "a"
    assert result.outcomes["abstained"] == 2
    assert [note.text for note in result.notes] == ["no thought has a value: 'value' abstained or failed each time"]
