"""What a policy will cost: the real one lies between the bounds, nothing is asked of a model, no limit is exceeded."""

import importlib.util
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import thoughtgraph as tg
from thoughtgraph.expressions import parse
from thoughtgraph.forecast import COUNTS, STUFF, Estimate, estimate
from thoughtgraph.models import Scripted
from thoughtgraph.tasks.game24 import game24

PRICE = tg.Price(prompt=0.25, completion=2.0)
QUESTION = "How many r's are in strawberry?"


def silent(**said) -> Scripted:
    """A model that must not be asked."""
    return Scripted(["never said"], **{"price": PRICE, **said})


def of(policy, task=None, budget=None, **said) -> Estimate:
    """The estimate for a question, without a limit, where nothing else is said."""
    task = tg.question(QUESTION) if task is None else task
    thinking = parse(policy) if isinstance(policy, str) else policy
    return estimate(task, thinking, **{"model": silent(), "budget": budget or tg.Budget(), **said})


def calls(found: Estimate) -> tuple[int, int, int]:
    return found.minimum.calls, found.expected.calls, found.maximum.calls


def outside(found: Estimate, real: tg.Usage, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The counts of `real` that are not between the bounds."""
    counted = {name: tuple(getattr(u, name) for u in (found.minimum, real, found.maximum)) for name in names}
    return {name: (low, n, high) for name, (low, n, high) in counted.items() if not low <= n <= high + 1e-12}


def puzzle(numbers: str = "4 9 10 13") -> tg.Task:
    return game24(numbers, local=False)


# -- numbers worked out by hand ----------------------------------------------------------------------------------


def test_one_call_is_at_least_one_and_at_most_two_since_what_comes_to_nothing_is_drawn_again():
    found = of("direct")
    assert calls(found) == (1, 1, 2)
    assert (found.minimum.expansions, found.expected.expansions, found.maximum.expansions) == (1, 1, 1)
    assert found.capped == ""


def test_tokens_are_counted_by_the_bytes_of_the_prompt_and_the_length_of_the_reply():
    found = of("direct", tg.question("x" * 600), model=silent(max_tokens=500), reply_tokens=120)
    assert (found.minimum.prompt_tokens, found.minimum.completion_tokens) == (100, 1)
    assert (found.expected.prompt_tokens, found.expected.completion_tokens) == (150, 120)
    assert (found.maximum.prompt_tokens, found.maximum.completion_tokens) == (2 * (600 + 16), 2 * 500)
    assert found.expected.usd == pytest.approx((150 * 0.25 + 120 * 2.0) / 1e6)
    assert found.maximum.usd == pytest.approx((1232 * 0.25 + 1000 * 2.0) / 1e6)


def test_the_maximum_goes_by_the_dearest_price_of_a_prompt_and_the_minimum_by_the_cheapest():
    price = tg.Price(prompt=1.0, completion=0.0, cached=0.1, written=1.25)
    found = of("direct", tg.question("x" * 600), model=silent(price=price))
    assert found.minimum.usd == pytest.approx(100 * 0.1 / 1e6)
    assert found.expected.usd == pytest.approx(150 * 1.0 / 1e6)
    assert found.maximum.usd == pytest.approx(1232 * 1.25 / 1e6)


def test_best_of_n_is_n_draws_with_a_verdict_of_three_on_each():
    found = of("best_of_n(n=8)")
    assert found.expected.calls == 8 + 8 * 3
    assert found.maximum.calls == 2 * (8 + 8 * 3)
    assert found.minimum.calls == 8 + 7  # one claims something, seven are drawn again, and one is not compared
    assert {role: span.expected.calls for role, span in found.roles.items()} == {"reason": 8, "value": 24}
    assert found.roles["value"].expected.evaluations == 8


def test_self_consistency_ends_with_one_call_for_a_poem_and_may_need_all_its_draws():
    low, likely, high = calls(of("self_consistency(n=16)"))
    assert low == 1
    assert 4 <= likely <= 16
    assert high >= 2 * 16


def test_breadth_first_search_is_followed_to_its_last_level():
    found = of("tot(breadth=5, steps=3)")
    expanded, judged = 1 + 5 + 5, 5 + 25 + 25  # the third level of "step" has 3 children, not 5
    assert found.maximum.expansions == 9 <= expanded
    assert found.maximum.evaluations == 3 + 9 + 15 <= judged
    assert found.maximum.calls == 2 * (9 * 3 + 27 * 3)
    assert found.minimum.calls == 6  # three steps, drawn twice, and nothing usable


def test_draws_are_one_request_where_the_model_takes_n_and_one_each_where_it_does_not():
    able, unable = silent(), silent()
    object.__setattr__(able, "capabilities", tg.Capabilities(source="the provider"))
    object.__setattr__(unable, "capabilities", tg.Capabilities(n=False, source="the provider"))
    together, alone, unknown = (of("best_of_n(n=8)", model=model) for model in (able, unable, silent()))
    assert together.roles["reason"].expected.requests == 1
    assert together.roles["reason"].maximum.requests == 2
    assert alone.roles["reason"].expected.requests == 8
    assert alone.roles["reason"].maximum.requests == 16
    assert unknown.roles["reason"].expected.requests == 1
    assert unknown.roles["reason"].maximum.requests == 16


def test_a_role_with_a_model_of_its_own_pays_its_price():
    dear = silent(price=tg.Price(prompt=250.0, completion=2000.0), model="dear")
    found, cheap = of("best_of_n(n=2)", models={"value": dear}), of("best_of_n(n=2)")
    assert found.roles["value"].expected.usd == pytest.approx(1000 * (cheap.roles["value"].expected.usd or 0))
    assert found.roles["reason"] == cheap.roles["reason"]


# -- budgets -----------------------------------------------------------------------------------------------------

POLICIES = (
    "direct", "cot", "cot(action='step', steps=5)", "best_of_n(n=3)", "best_of_n(n=3, critic='vote')",
    "self_consistency(n=6)", "tot(breadth=2, steps=3)", "tot(breadth=2, steps=3, action='propose')",
    "tot(breadth=2, steps=2, critic='vote')", "dfs(expansions=4)", "dfs(expansions=4, prune=0.01, width=2)",
    "best_first(expansions=4)", "mcts(simulations=6)", "mcts(simulations=6, workers=3, action='propose')",
)  # fmt: skip


@pytest.mark.parametrize("policy", [*POLICIES, "dfs", "best_first", "mcts(simulations=1000)", "tot"])
@pytest.mark.parametrize(
    "limits", [{"calls": 16}, {"tokens": 3000}, {"usd": 0.002}, {"expansions": 3}, {"requests": 4}, {"evaluations": 4}]
)
def test_no_figure_exceeds_a_limit_of_the_budget(policy: str, limits: dict[str, float]):
    found = of(policy, budget=tg.Budget(**limits), simulations=2)
    ((name, limit),) = limits.items()
    usages = (found.minimum, found.expected, found.maximum)
    roles = [usage for span in found.roles.values() for usage in (span.minimum, span.expected, span.maximum)]
    assert max(getattr(usage, name) for usage in (*usages, *roles)) <= limit
    for count in COUNTS:
        low, likely, high = (getattr(usage, count) for usage in usages)
        assert low <= likely <= high or name == "tokens"


def test_the_limit_that_caps_the_maximum_is_named():
    assert of("tot", budget=tg.Budget(calls=16, usd=1000.0)).capped == "calls"
    assert of("tot", budget=tg.Budget(expansions=2)).capped == "expansions"
    assert of("direct", budget=tg.Budget(calls=16)).capped == ""


async def endless(search: tg.Search) -> None:
    thought = search.root
    while True:
        thought = (await search.expand(thought, action="step", n=1))[0]


@pytest.mark.slow
def test_a_policy_without_an_end_ends_with_the_budget():
    assert of(endless, budget=tg.Budget(calls=16)).maximum.calls == 16
    found = of(endless, budget=tg.Budget(calls=100_000), simulations=1)
    assert found.maximum.calls == 100_000
    assert found.capped == "calls"
    assert any("goes on for longer" in said for said in found.assumptions)


@pytest.mark.slow
def test_a_long_search_is_followed_for_a_while_and_taken_to_go_on_like_that():
    found = of("dfs(expansions=1000)")
    assert found.maximum.expansions == 1000
    assert 20_000 < found.maximum.calls <= 24_000
    assert any("go on like that" in said for said in found.assumptions)


# -- tasks of all kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["direct", "cot", "tot", "dfs", "best_first", "mcts(simulations=40)"])
def test_without_a_model_nothing_is_paid_and_expansions_are_counted_as_they_are(policy: str):
    task = game24("4 9 10 13")
    found, real = of(policy, task, model=None), tg.solve(task, policy=policy).usage
    assert (found.maximum.calls, found.maximum.tokens, found.maximum.usd) == (0, 0, 0.0)
    assert outside(found, real, ("expansions", "evaluations")) == {}
    assert found.assumptions == ()


def test_a_local_search_that_leaves_nothing_to_chance_is_estimated_exactly():
    task = game24("4 9 10 13")
    real = tg.solve(task, policy="tot(breadth=5, steps=3)").usage
    assert of("tot(breadth=5, steps=3)", task, model=None).expected.expansions == real.expansions == 11


def ask(x, passages, thoughts, scores) -> tg.Prompt:
    return tg.Prompt(problem=x, thoughts=tg.narrate(thoughts, scores))


async def three_lines(state: tg.State, n: int) -> list[tg.Draft]:
    (text,) = await state.ask(ask) or [""]
    return [tg.Draft(line) for line in text.splitlines()[: min(n, 3)]]


async def number_of(states: Sequence[tg.State]) -> list[tg.Score]:
    return [tg.Score.of(await state.ask(ask, 2, float)) for state in states]


def test_bare_functions_are_followed_as_they_are():
    task = tg.Task("Go.", actions={"step": three_lines}, critics={"value": number_of})
    found = of("tot(breadth=2, steps=2)", task)
    assert found.expected.expansions == 3
    assert found.expected.evaluations == 3 + 6
    assert found.expected.calls == 3 * 1 + 9 * 2
    assert found.maximum.calls == 2 * found.expected.calls


async def riddle(states: Sequence[tg.State]) -> list[tg.Score]:
    """One thought after the other, by replies that nobody can guess."""
    return [tg.Score.of(await state.ask(ask, 2, lambda text: float(text.split("#")[1]))) for state in states]


def test_where_a_critic_gives_up_at_the_first_thought_the_others_are_counted_as_well():
    task = tg.Task("Go.", actions={"step": three_lines}, critics={"value": riddle})
    found = of("tot(breadth=2, steps=2)", task)
    assert found.expected.calls == 3 * 1 + 9 * 2
    assert any("No reply that 'value' reads came to mind" in said for said in found.assumptions)


async def picky(state: tg.State, n: int) -> list[tg.Draft]:
    pairs = await state.ask(ask, 2, lambda text: {"left": int(text.split("#")[1])})
    return [tg.Draft({**state.content, **pair}) for pair in pairs]


def test_where_no_reply_comes_to_mind_drafts_are_copies_that_the_task_can_read():
    task = tg.Task("Go.", actions={"step": picky}, start={"left": 3}, key=lambda content: content["left"])
    found = of("self_consistency(n=2, wave=2, steps=2)", task)
    assert found.maximum.expansions == 4  # the root once alone and once more, and below each draw once
    assert found.maximum.calls == 2 * 2 * 4
    assert not any("cannot read" in said for said in found.assumptions)


def strict(x, passages, thoughts, scores) -> tg.Prompt:
    return tg.Prompt(problem=x + "".join({"one": "1", "two": "2"}[thought.text] for thought in thoughts))


async def words(state: tg.State, n: int) -> list[tg.Draft]:
    return [tg.Draft(text) for text in await state.ask(strict, 1)]


def test_where_a_prompter_cannot_read_what_is_imagined_the_first_prompts_count_again():
    task = tg.Task("Go on and on.", actions={"step": words})
    found = of("cot(steps=4)", task)
    assert found.maximum.calls == 2 * 4
    assert found.maximum.prompt_tokens == 8 * (len("Go on and on.") + 16)
    assert any("'step' cannot read imagined thoughts" in said for said in found.assumptions)


def test_a_stand_in_makes_the_drafts_that_a_model_would_have_made():
    found = of("tot(breadth=5, steps=3)", puzzle())
    bare = of("tot(breadth=5, steps=3)", replace(puzzle(), imagine={}))
    assert found.expected.expansions == 11
    assert 100 < found.expected.calls <= 1 + 5 + 5 + (8 + 40) * 3
    assert bare.maximum.calls > found.maximum.calls  # the task knows how many moves there are


async def answer_in_a_form(state: tg.State, n: int) -> list[tg.Draft]:
    return [tg.Draft(one.verdict, done=True) for one in await state.fill(ask, Sum, 1)]


class Term(BaseModel):
    sign: str = "+"
    number: float


class Sum(BaseModel):
    verdict: str
    terms: list[Term]
    right: bool | None


def test_forms_are_filled_and_a_faulty_one_is_mended_in_a_longer_prompt():
    found = of("cot", tg.Task("Add up.", actions={"reason": answer_in_a_form}))
    assert calls(found) == (1, 1, 2)
    assert found.expected.expansions == 1
    assert found.maximum.prompt_tokens > 4 * 1024  # the faulty reply is in the prompt
    assert not any("came to mind" in said for said in found.assumptions)


@dataclass
class Bench:
    """An environment that must not be tried out."""

    ito: str = "environment"

    def __call__(self, states: Sequence[tg.State]) -> list[tg.Score]:
        raise AssertionError("the bench was used")


def test_an_environment_is_left_alone_and_that_is_said():
    task = tg.Task("Go.", actions={"step": three_lines}, critics={"value": Bench()})
    found = of("tot(breadth=2, steps=2)", task)
    assert found.expected.evaluations == 9
    assert any("'value' touches an environment" in said for said in found.assumptions)


def test_an_action_that_fails_is_said_to_have_made_nothing():
    task = tg.Task("Go.", actions={"step": lambda state, n: [tg.Draft(1 / 0)]})
    found = of("cot", task, model=None)
    assert found.maximum.expansions == 1
    assert found.assumptions == (
        "'step' failed (ZeroDivisionError: division by zero), and counts as having made nothing.",
    )


# -- promises ----------------------------------------------------------------------------------------------------


def test_no_model_is_ever_called():
    model, other = silent(), silent(model="other")
    of("mcts(simulations=10)", model=model, models={"value": other})
    assert (model.seen, other.seen) == ([], [])


def test_the_same_seed_gives_the_same_estimate():
    assert of("mcts(simulations=10)", seed=7) == of("mcts(simulations=10)", seed=7)


async def test_it_works_inside_a_running_event_loop():
    assert calls(of("direct")) == (1, 1, 2)


def test_what_a_run_would_refuse_is_refused():
    with pytest.raises(tg.TaskError, match="no action 'fly'"):
        of("dfs(action='fly')")
    with pytest.raises(tg.TaskError, match="asks a model and the run has none"):
        of("cot", model=None)
    with pytest.raises(tg.TaskError, match="asks a model and the run has none"):
        of("cot", tg.Task("Go.", actions={"step": three_lines}), model=None)
    with pytest.raises(tg.TaskError, match=r"price .* is not known"):
        of("cot", model=silent(price=None), budget=tg.Budget(usd=1.0))
    with pytest.raises(ValueError, match="simulations is 0"):
        of("cot", simulations=0)


def test_an_unknown_price_is_unknown_and_not_nothing():
    found = of("cot", model=silent(price=None))
    assert (found.minimum.usd, found.expected.usd, found.maximum.usd) == (None, None, None)
    assert "unknown" in str(found)
    assert any("price of a model is not known" in said for said in found.assumptions)


def test_an_estimate_prints_as_a_table_and_as_json():
    found = of("best_of_n(n=8)", budget=tg.Budget(calls=16))
    lines = str(found).splitlines()
    assert lines[0].split() == ["minimum", "expected", "maximum"]
    assert next(line.split() for line in lines if line.startswith("calls ")) == ["calls", "11", "16", "16"]
    assert any(line.startswith("calls of reason") for line in lines)
    assert "The maximum is all that the budget's calls allow." in lines
    assert STUFF not in str(found)
    told = found.to_json()
    assert told["maximum"]["calls"] == 16
    assert told["roles"]["reason"]["minimum"]["expansions"] == 1
    assert told["capped"] == "calls"
    assert "seconds" not in told["expected"]


# -- against reality ---------------------------------------------------------------------------------------------

REPLIES: tuple[str | tg.Reply, ...] = (
    "So 3 + 4 = 7.", "Answer: 42", "Answer: 17", "Answer: a\nlong poem\nof three lines",
    "- go left\n- go right\n- Answer: 8", "1. one\n2. two\n3. three\n4. four\n5. five\n6. six", "It is fine.\nsure",
    "likely", "No.\nimpossible", "The best choice is 2", "The best choice is 1", "x " * 300,
    "4 + 9 = 13 (left: 10 13 13)\n10 - 4 = 6 (left: 6 9 13)\n13 - 9 = 4 (left: 4 4 10)",
    "6 * 4 = 24 (left: 24)\n10 - 4 = 6 (left: 4 6)", "13 - 9 = 4 (left: 4 6)", "Answer: (10 - 4) * (13 - 9) = 24",
    "?", "I'm sorry, but I can't help with that.", tg.Reply("cut off", "length"),
)  # fmt: skip
BUDGETS = ({}, {"calls": 16}, {"calls": 5}, {"tokens": 6000}, {"usd": 0.01})


def scripted(pool: Sequence[str | tg.Reply], seed: int) -> Callable[[str, int], str | tg.Reply]:
    return lambda prompt, draw: random.Random(f"{seed}{prompt}{draw}").choice(pool)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(POLICIES),
    st.booleans(),
    st.sampled_from(BUDGETS),
    st.lists(st.sampled_from(REPLIES), min_size=1, max_size=6),
    st.integers(0, 99),
)
@pytest.mark.slow
def test_what_a_search_really_costs_is_between_the_bounds(policy, game, limits, pool, seed):
    """Garbage included, which is drawn again."""
    on_words = "vote" in policy or "propose" in policy
    task = puzzle() if game and not on_words else tg.question(QUESTION)
    model, budget = Scripted(scripted(pool, seed), price=PRICE), tg.Budget(**limits)
    found = estimate(task, parse(policy), model=model, budget=budget, simulations=1)
    assert model.seen == []
    real = tg.solve(task, policy=policy, model=model, budget=budget, seed=seed).usage
    assert outside(found, real, ("calls", "tokens", "usd", "requests") if limits else COUNTS) == {}


def fakes() -> ModuleType:
    """The measuring server of the benchmarks."""
    path = Path(__file__).parent.parent / "benchmarks" / "fake.py"
    spec = importlib.util.spec_from_file_location("fake", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_expected_calls_of_a_real_search_are_right_within_a_factor_of_two():
    fake = fakes()
    if not fake.FAKE.exists():
        pytest.skip(f"needs {fake.FAKE.name}")
    real, expected = list[int](), list[int]()
    with fake.fake() as server:
        model = tg.models.Compatible("oracle", server.base_url, price=PRICE)
        for numbers in fake.puzzles(900, 5):
            found = of("tot(breadth=5, steps=3)", puzzle(numbers), model=model)
            used = tg.solve(puzzle(numbers), policy="tot(breadth=5, steps=3)", model=model, budget=tg.Budget()).usage
            assert outside(found, used, COUNTS) == {}
            real.append(used.calls)
            expected.append(found.expected.calls)
    assert sum(real) / 2 < sum(expected) < sum(real) * 2
