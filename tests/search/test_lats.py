"""LATS: the contract, golden traces, values and rollouts by hand, and reflections that reach the next prompt."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from collections.abc import Sequence
from dataclasses import replace

import pytest
from golden import same_as_golden
from trees import Tree

import thoughtgraph as tg
from thoughtgraph.budget import Budget
from thoughtgraph.engine import Engine
from thoughtgraph.generators import Sample
from thoughtgraph.models import Scripted
from thoughtgraph.search.lats import LATS, _Tree
from thoughtgraph.store import MemoryStore, Store
from thoughtgraph.testing import RUN, PolicyContract, Toy
from thoughtgraph.trace import Expanded
from thoughtgraph.verbs import Search


class TestLATS(PolicyContract):
    policy = LATS(simulations=8, n=3, depth=4)


class TestLATSWithFourWorkers(PolicyContract):
    policy = LATS(simulations=10, n=2, depth=4, workers=4)


class TestLATSThatReflects(PolicyContract):
    """The toy with an action that says what went wrong: final thoughts are reflected on, and never gone on from."""

    policy = LATS(simulations=6, n=2, depth=4, enough=9.0, failing=9.0)

    def engine(self, toy: Toy, store: Store | None = None, budget: Budget | None = None, **how) -> Engine:
        """A run on the toy with that action."""
        task = replace(toy.task, actions={**toy.task.actions, "reflect": reflecting(toy)})
        kept = MemoryStore() if store is None else store
        return Engine(task, self.policy, store=kept, run=RUN, model=toy.model, budget=budget, **how)

    def test_a_final_thought_is_never_expanded(self) -> None:
        """By another action than `reflect`."""
        for kind in self.toys:
            result, events = self.run(Toy(kind))
            steps = [event for event in events if isinstance(event, Expanded) and event.action == "step"]
            assert not [id for event in steps for id in event.parents if result.graph[id].done]

    def test_a_tree_that_ends_at_once_is_answered(self) -> None:
        """And its ends are reflected on."""
        for kind in self.toys:
            toy = Toy(kind, "ends at once")
            result, _ = self.run(toy)
            self.check(result, toy)


def reflecting(toy: Toy):
    """What went wrong, in digits: the toy reads nothing else."""

    async def reflect(state: tg.State, n: int) -> list[tg.Draft]:
        await toy._perform(state)
        return [tg.Draft([9, *state.content])]

    return reflect


def test_its_trace_is_the_golden_one():
    same_as_golden("lats", LATS(simulations=4, n=3, depth=4))


# -- values and rollouts by hand -------------------------------------------------------------------

#        root
#      a(.5)   b(.9)          the values; all leaves are final
#    c(.2) d(.4)  e(.1) f(.3)
VALUES = {"a": 0.5, "b": 0.9, "c": 0.2, "d": 0.4, "e": 0.1, "f": 0.3}
SMALL = Tree({"": "ab", "a": "cd", "b": "ef"}, VALUES)


def grown(tree: Tree, policy: LATS) -> dict[str, tuple[int, float]]:
    """(visits, mean) of each node when the search is over."""
    kept = {}

    async def watched(search: Search):
        kept["tree"] = _Tree(policy, search)
        return await kept["tree"].grow(policy.workers)

    tree.run(watched)
    nodes = (node for node in kept["tree"].nodes.values() if node.visits)
    return {node.thought.content: (node.visits, round(node.total / node.visits, 6)) for node in nodes}


def test_a_rollout_goes_to_an_end_by_the_best_values_and_backs_up_what_the_end_is_worth():
    # 1. a .5, b .9: by b; e .1, f .3: by f, an end: .3 for f, b and the root.  2. b is done: by a, and d: .4.
    policy = LATS(simulations=2, lam=1.0, failing=0.0)
    assert SMALL.expanded(policy) == ".ba"
    assert SMALL.scored(policy) == ["ab", "ef", "cd"]
    after = grown(SMALL, policy)
    assert after["b"] == (2, 0.6)  # (.9 + .3) / 2, and not divided by its visits once more
    assert after["a"] == (2, 0.45)
    assert after[""] == (2, 0.35)
    assert after["e"] == (1, 0.1)
    assert SMALL.run(policy)[0].answer == "d"


def test_what_was_drawn_in_a_rollout_is_in_the_tree_and_not_drawn_again():
    assert sorted(SMALL.expanded(LATS(simulations=50))) == [".", "a", "b"]


def test_the_value_is_mixed_with_the_share_of_the_draws_that_came_to_the_same():
    # a three times of four, valued .2: .5 x .2 + .5 x .75 = .475; b once, valued .6: .3 + .125 = .425.
    tree = Tree({"": "aaab", "a": "c", "b": "d"}, {"a": 0.2, "b": 0.6, "c": 0.5, "d": 0.5})
    assert tree.expanded(LATS(simulations=1, n=4, lam=0.5)) == ".a"
    assert tree.expanded(LATS(simulations=1, n=4, lam=1.0)) == ".b"
    assert tree.scored(LATS(simulations=1, n=4))[0] == "ab"
    shallow = grown(tree, LATS(simulations=1, n=4, lam=0.5, depth=1))
    assert (shallow["b"], shallow[""]) == ((1, 0.425), (1, 0.475))


def test_values_stay_with_their_thoughts_where_some_are_final():
    """The authors' code gave a final child's place in the list to the next one."""
    tree = Tree({"": "xab", "a": "c", "b": "d", "c": "e", "d": "f"}, {"a": 0.1, "b": 0.9}, goal="z")
    assert tree.expanded(LATS(simulations=1, lam=1.0, depth=2)) == ".b"
    after = grown(tree, LATS(simulations=1, lam=1.0, depth=1))
    assert (after["x"], after["a"], after["b"]) == ((1, 0.0), (1, 0.1), (2, 0.9))


def test_a_final_thought_that_fails_the_goal_test_is_worth_the_least_and_costs_no_judgement():
    # b .9 looks best; its only child fails, and so b has (.9 + 0)/2 = .45 and the root 0.
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": 0.5, "b": 0.9}, goal="z")
    after = grown(tree, LATS(simulations=1, lam=1.0))
    assert tree.scored(LATS(simulations=1)) == ["ab"]
    assert (after["b"], after[""], after["d"]) == ((2, 0.45), (1, 0.0), (2, 0.0))


def test_a_thought_that_nobody_can_judge_is_as_good_as_its_siblings():
    tree = Tree({"": "abc", "a": "d", "b": "e", "c": "f"}, {"a": 0.1, "b": None, "c": 0.4}, open="def")
    # b stands at the mean .25: behind c, before a.
    assert tree.expanded(LATS(simulations=1, lam=1.0, depth=2)) == ".c"
    tree = Tree({"": "ab", "a": "c", "b": "d"}, {"a": -0.5, "b": None}, open="cd")
    assert tree.expanded(LATS(simulations=1, lam=1.0, depth=2)) == ".a"


def test_no_way_is_longer_than_its_depth():
    endless = Tree({"": "a", "a": "b", "b": "c", "c": "d"}, dict.fromkeys("abcd", 0.5), open="d")
    assert endless.expanded(LATS(simulations=50, depth=3)) == ".ab"


def test_workers_spread_over_the_leaves_and_draw_none_twice():
    tree = Tree({"": "abcd", **{name: f"{name}{name}".upper() for name in "abcd"}}, dict.fromkeys("abcdABCD", 0.5))
    order = tree.expanded(LATS(simulations=5, workers=4, n=4, depth=2))
    assert sorted(order) == [".", "a", "b", "c", "d"]


# -- when it ends ----------------------------------------------------------------------------------


def test_a_thought_that_passes_the_goal_test_ends_it():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, VALUES, goal="c")
    assert tree.run(LATS())[0].thought.content == "c"
    assert tree.expanded(LATS()) == ".ba"


def test_without_a_goal_test_a_finished_thought_that_the_critic_finds_good_enough_ends_it():
    tree = Tree({"": "ab", "a": "cd", "b": "ef"}, {**VALUES, "e": 0.8})
    assert tree.run(LATS(enough=0.8))[0].answer == "e"
    assert tree.expanded(LATS(enough=0.8)) == ".b"  # b is worth more, and not finished
    assert tree.expanded(LATS(enough=0.85)) == ".ba"


# -- reflections -----------------------------------------------------------------------------------


def question(
    *, plans: Sequence[str] = ("Plan A", "Plan B"), goal: bool = True, stubborn: bool = False
) -> tuple[tg.Task, Scripted]:
    """Two plans, each followed by an answer: 5, unless a reflection in the prompt warns of it."""
    opened = iter(plans)

    def reply(prompt: str, draw: int) -> str:
        if "What went wrong?" in prompt:
            return "Do not guess: count."
        if "Step 1" not in prompt:
            return next(opened)
        return "Answer: 4" if "Do not guess" in prompt and not stubborn else "Answer: 5"

    def wrong(x, passages, thoughts, scores) -> tg.Prompt:
        return tg.Prompt(problem=x, thoughts=tg.narrate(thoughts, scores), ask="What went wrong?")

    step = Sample(done=lambda text: text.startswith("Answer"))
    reflect = Sample(prompter=wrong, done=lambda text: False)
    value = lambda states: [tg.Score(0.1 if state.thought.done else 0.5) for state in states]
    passes = (lambda path: path[-1].text == "Answer: 4") if goal else None
    return tg.Task("How many?", {"step": step, "reflect": reflect}, {"value": value}, goal=passes), Scripted(reply)


def solve(policy: LATS, **how) -> tuple[tg.Result, Scripted]:
    task, model = question(**how)
    return tg.solve(task, policy=policy, model=model, budget=tg.Budget(calls=50)), model


def asked(model: Scripted, words: str) -> list[str]:
    return [text for request in model.seen if words in (text := request.messages[-1].content)]


def reflections(result: tg.Result) -> list[tg.Thought]:
    return [thought for thought in result.graph if thought.action == "reflect"]


def test_a_failure_is_reflected_on_and_the_next_prompt_tells_it():
    result, model = solve(LATS(n=2))
    assert result.answer == "Answer: 4"
    (about,) = asked(model, "What went wrong?")
    assert "Step 1: Plan A" in about
    assert "Step 2: Answer: 5" in about
    plain, warned = (prompts[0] for prompts in (asked(model, "Plan A"), asked(model, "Plan B")))
    assert "Do not guess" not in plain
    assert "Step 1: Plan B" in warned
    assert "Step 2: Do not guess: count." in warned
    (reflection,) = reflections(result)
    assert result.graph[reflection.parents[0]].text == "Answer: 5"
    assert result.thought.parents[1:] == (reflection.id,)
    assert [thought.text for thought in result.graph.path(result.thought)] == ["", "Plan B", "Answer: 4"]


def test_equal_failures_are_reflected_on_once():
    result, model = solve(LATS(n=3), plans=("Plan A", "Plan B", "Plan C"), stubborn=True)
    assert len([thought for thought in result.graph if thought.text == "Answer: 5"]) == 9
    assert len(reflections(result)) == len(asked(model, "What went wrong?")) == 1


def test_failures_that_claim_zero_are_equal_too():
    """A form of 0 was taken for none."""
    task, _ = words("ab", 2)
    task = replace(task, claim=lambda path: path[-1].content, same=lambda answer: 0)
    assert len(reflections(tg.solve(task, policy=LATS(), budget=tg.Budget()))) == 1


def test_without_a_goal_test_a_failure_is_what_the_critic_values_low():
    assert len(reflections(solve(LATS(n=2), goal=False)[0])) == 2  # the answers 5 and 4, at .1
    assert not reflections(solve(LATS(n=2, failing=0.05), goal=False)[0])


def words(alphabet: str, length: int) -> tuple[tg.Task, list[int]]:
    """Words of some letters, none of which is right; and how many thoughts each step was asked with."""
    told = list[int]()

    def step(state: tg.State, n: int) -> list[tg.Draft]:
        told.append(len(state.thoughts) - 1)
        return [tg.Draft(w := state.content + letter, done=len(w) == length) for letter in alphabet]

    value = lambda states: [tg.Score(0.5) for _ in states]
    actions = {"step": step, "reflect": lambda state, n: [tg.Draft(f"not {state.content}")]}
    return tg.Task("Which word?", actions, {"value": value}, start="", goal=lambda path: False), told


def test_only_so_many_reflections_are_kept():
    task, told = words("ab", 3)
    result = tg.solve(task, policy=LATS(reflections=2), budget=tg.Budget())
    assert result.answer is None
    assert [thought.content for thought in reflections(result)] == ["not aaa", "not baa"]
    assert told[:5] == [0, 0, 0, 1, 1]  # after aaa, b is worth more than a
    assert set(told[5:]) == {2}


def test_depth_is_counted_on_the_way_walked_though_reflections_lie_deeper():
    task, _ = words("ab", 4)
    result = tg.solve(task, policy=LATS(depth=4, reflections=2), budget=tg.Budget())
    assert max(thought.depth for thought in result.graph) > 5
    assert len([thought for thought in result.graph if thought.done]) == 2**4


def test_a_task_without_the_action_reflect_is_refused_before_anything_is_spent():
    task, told = words("ab", 3)
    task = replace(task, actions={"step": task.actions["step"], "guess": task.actions["step"]})
    with pytest.raises(tg.TaskError, match="no action 'reflect'"):
        tg.solve(task, policy=LATS(), budget=tg.Budget())
    assert told == []
    assert tg.solve(task, policy=LATS(reflections=0), budget=tg.Budget()).answer is None


def test_a_task_of_one_action_has_none_to_reflect_with():
    task, told = words("ab", 2)
    task = replace(task, actions={"step": task.actions["step"]})
    assert len(tg.solve(task, policy=LATS(), budget=tg.Budget()).graph) == 1 + 2 + 4
    assert set(told) == {0}


def test_a_reflection_that_is_final_is_told_as_a_mistake():
    task, _ = words("ab", 2)
    task = replace(task, actions={**task.actions, "reflect": lambda state, n: [tg.Draft("no", done=True)]})
    with pytest.raises(tg.TaskError, match="a reflection is no answer"):
        tg.solve(task, policy=LATS(), budget=tg.Budget())


@pytest.mark.parametrize(
    "wrong",
    [{"simulations": 0}, {"workers": 0}, {"n": 0}, {"depth": 0}, {"c": -1}, {"lam": 1.5}, {"lam": -0.5},
     {"reflections": -1}, {"enough": float("nan")}, {"failing": "low"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LATS(**wrong)
