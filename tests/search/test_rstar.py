"""rStar: the contract, a golden trace, its grammar of actions, its rewards, and mutual consistency by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.models import Scripted
from thoughtgraph.prompt import Prompt
from thoughtgraph.search.rstar import FOLLOWS, RStar
from thoughtgraph.testing import PolicyContract


class TestRStar(PolicyContract):
    policy = RStar(rollouts=6, complete=None)


class TestRStarThatCompletes(PolicyContract):
    policy = RStar(rollouts=3, branch=2)


def test_its_trace_is_the_golden_one():
    same_as_golden("rstar", RStar(rollouts=4, branch=2))


# -- the grammar ---------------------------------------------------------------------------------------------------

NAMES = {"step": "step", "finish": "reason", "ask": "subquestion", "again": "reanswer", "rephrase": "rephrase"}


def talk(*lacking: str, ends: Sequence[str] = ("42",), complete: Callable[[str], str] = lambda text: "42") -> tg.Task:
    """A task of words: a path's content spells its actions, as in "step step reason:42"; answers come in turn."""
    drawn = Counter[str]()

    def thinking(name: str):
        def think(state: tg.State, n: int) -> list[tg.Draft]:
            said = f"{state.content} {name}".strip()
            if name != "reason":
                return [tg.Draft(said) for _ in range(n)]
            drawn["ends"] += n
            answers = [ends[(drawn["ends"] - n + i) % len(ends)] for i in range(n)]
            return [tg.Draft(f"{said}:{answer}", done=True) for answer in answers]

        return think

    def completing(state: tg.State, n: int) -> list[tg.Draft]:
        drawn["completions"] += n
        return [tg.Draft(f"{state.content} complete:{complete(state.content)}", done=True) for _ in range(n)]

    actions = {name: thinking(name) for name in NAMES.values() if name not in lacking}
    return tg.Task("talk", {**actions, "complete": completing}, start="", claim=said_last)


def said_last(path: Sequence[tg.Thought]) -> str | None:
    return path[-1].content.rpartition(":")[2] if ":" in path[-1].content else None


def solve(task: tg.Task, policy: RStar, seed: int = 0) -> tg.Result:
    return tg.solve(task, policy=policy, budget=Budget(), seed=seed)


def test_every_action_follows_where_the_paper_lets_it_and_nowhere_else():
    graph = solve(talk(), RStar(rollouts=60, branch=1, complete=None)).graph
    followed = {(thought.action, child.action) for thought in graph for child in graph.children(thought)}
    allowed = {(NAMES.get(before, ""), NAMES[after]) for before, kinds in FOLLOWS.items() for after in kinds}
    assert followed == allowed
    assert ("step", "subquestion") not in followed
    assert max(thought.depth for thought in graph) == 5


def test_kinds_that_the_task_lacks_are_left_out():
    graph = solve(talk("subquestion", "reanswer", "rephrase"), RStar(rollouts=20, complete=None)).graph
    assert {thought.action for thought in graph} == {"", "step", "reason"}


def test_a_fresh_thought_grows_by_all_that_may_follow_and_a_rollout_goes_on_to_an_end():
    graph = solve(talk("reason"), RStar(rollouts=1, branch=2, depth=3, complete=None)).graph
    assert [child.action for child in graph.children(graph.root)] == ["step"] * 2 + ["subquestion"] * 2 + [
        "rephrase"
    ] * 2
    assert max(thought.depth for thought in graph) == 3


# -- rewards -------------------------------------------------------------------------------------------------------


def test_the_reward_of_an_end_is_the_share_of_its_answer_and_of_anything_else_nothing():
    kept = list[tg.Search]()
    policy = RStar(rollouts=1, branch=4, depth=1, complete=None)

    async def watched(search: tg.Search) -> tg.Thought | None:
        kept.append(search)
        return await policy(search)

    result = solve(talk("step", "subquestion", "rephrase", ends=("7", "8", "7", "7")), watched)
    rewards = [policy._reward(kept[0], end) for end in result.graph.finals]
    assert rewards == [0.75, 0.25, 0.75, 0.75]
    assert policy._reward(kept[0], result.graph.root) == 0.0
    assert result.answer == "7"


def test_it_goes_back_to_where_answers_agree():
    """Finishing at once says something else each time; after a rephrasing it is always 7."""
    drawn = Counter[str]()

    def reason(state: tg.State, n: int) -> list[tg.Draft]:
        drawn[state.content] += n
        answers = ["7"] * n if state.content else [str(100 + drawn[""] + i) for i in range(n)]
        return [tg.Draft(f"{state.content}:{answer}", done=True) for answer in answers]

    actions = {"reason": reason, "rephrase": lambda state, n: [tg.Draft("again")]}
    graph = solve(tg.Task("x", actions, start="", claim=said_last), RStar(rollouts=60, complete=None, c=0.3)).graph
    assert drawn == {"": 3, "again": 3}
    assert len(graph) == 1 + 3 + 1 + 3


# -- mutual consistency --------------------------------------------------------------------------------------------


def test_an_answer_that_a_second_model_does_not_come_to_is_dropped_however_many_gave_it():
    # Whole answers: 8, 8, 8 and 7. The second model, from the bare question, says 7.
    task = talk("step", "subquestion", "rephrase", ends=("8", "8", "8", "7"), complete=lambda text: "7")
    result = solve(task, RStar(rollouts=1, branch=4))
    assert result.answer == "7"
    assert result.thought.action == "reason"
    assert solve(task, RStar(rollouts=1, branch=4, complete=None)).answer == "8"


def test_the_majority_answers_where_no_path_survives():
    task = talk("step", "subquestion", "rephrase", ends=("8", "8", "8", "7"), complete=lambda text: "99")
    assert solve(task, RStar(rollouts=1, branch=4)).answer == "8"


def test_paths_are_cut_after_20_to_50_percent_and_those_that_begin_alike_share_their_completions():
    # Two steps, then the end: 0.2 and 0.3 of three thoughts leave none, 0.4 and 0.5 leave the first.
    policy, kept = RStar(rollouts=12, branch=1, depth=3), list[tg.Search]()

    async def watched(search: tg.Search) -> tg.Thought | None:
        kept.append(search)
        return await policy(search)

    result = solve(talk("subquestion", "rephrase", ends=("7", "8")), watched)
    end = next(end for end in result.graph.finals if end.content.startswith("step step reason"))
    cuts = policy._prefixes(kept[0], end)
    assert {thought.content: count for thought, count in cuts.items()} == {"": 2, "step": 2}
    completed = [thought for thought in result.graph if thought.action == "complete"]
    assert sorted(thought.content for thought in completed) == [" complete:42"] * 4 + ["step complete:42"] * 2


def test_completions_are_no_votes_though_the_action_that_finishes_makes_them():
    # Three paths: 8, 8 and 7; the completions of the bare question say 7, 9, 7 and 9, and nothing survives.
    ends = ("8", "8", "7", "7", "9", "7", "9")
    task = talk("step", "subquestion", "rephrase", ends=ends)
    assert solve(task, RStar(rollouts=1, branch=3, complete="reason", agree=0.9)).answer == "8"


def test_a_search_that_starts_at_a_thought_completes_nothing_above_it():
    policy = RStar(rollouts=4, branch=2)

    async def further(search: tg.Search) -> tg.Thought | None:
        thought = search.root
        for _ in range(4):
            [thought] = await search.expand(thought, action="step", n=1)
        return await policy(search.at(thought))

    result = solve(talk(ends=("7", "8")), further)
    completed = [thought for thought in result.graph if thought.action == "complete"]
    assert completed
    assert all(thought.content.startswith("step step step step") for thought in completed)


@pytest.mark.parametrize(("agree", "answer"), [(0.5, "7"), (0.6, "8")])
def test_a_path_survives_if_half_of_its_completions_agree(agree, answer):
    turns = iter("7979" * 9)
    task = talk("step", "subquestion", "rephrase", ends=("8", "8", "7"), complete=lambda text: next(turns))
    assert solve(task, RStar(rollouts=1, branch=3, agree=agree)).answer == answer


def test_the_score_of_an_answer_is_its_share_of_the_rewards_and_of_its_paths_that_survive():
    """Half of what comes out says 8, so that all paths survive: 8 scores 9 / 10 + 3 / 3, and 7 scores 1 / 10 + 1."""
    turns = iter("7878" * 9)
    task = talk("step", "subquestion", "rephrase", ends=("7", "8", "8", "8"), complete=lambda text: next(turns))
    assert solve(task, RStar(rollouts=1, branch=4)).answer == "8"


def test_nothing_is_completed_where_all_paths_agree():
    result = solve(talk(ends=("7",)), RStar(rollouts=4))
    assert result.answer == "7"
    assert not [thought for thought in result.graph if thought.action == "complete"]


def test_a_second_model_completes():
    def say(x, passages, thoughts, scores) -> Prompt:
        return Prompt(ask=x)

    async def asked(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(f":{text}", done=True) for text in await state.ask(say, n)]

    task = tg.Task("x", {"reason": asked, "complete": asked}, start="", claim=said_last)
    first, second = Scripted(["8", "8", "7"]), Scripted(["7"] * 4)
    result = tg.solve(task, policy=RStar(rollouts=1), model=first, models={"complete": second}, budget=Budget(calls=9))
    assert (result.answer, result.usage.calls) == ("7", 3 + 4)
    assert (len(first.seen), len(second.seen)) == (1, 1)  # requests for 3 and for 4 replies


def test_a_goal_test_ends_it_at_once_and_only_its_answers_count():
    def reason(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(f"{state.content}:{answer}", done=True) for answer in ("8", "8", "7")]

    actions = {"reason": reason, "complete": reason}
    task = tg.Task("x", actions, start="", claim=said_last, goal=lambda path: path[-1].content == ":7")
    result = solve(task, RStar())
    assert (result.answer, result.usage.expansions) == ("7", 1)


@pytest.mark.parametrize(
    "wrong", [{"rollouts": 0}, {"depth": 0}, {"branch": 0}, {"c": -1}, {"agree": -1}, {"masks": ()}, {"masks": (1.0,)}]
)
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RStar(**wrong)
