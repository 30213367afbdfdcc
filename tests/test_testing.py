"""The contract suites themselves: good things pass them, and each kind of fault is caught."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import asyncio
import random
import time
from dataclasses import dataclass

import pytest

import thoughtgraph as tg
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.prompt import Prompt
from thoughtgraph.testing import CriticContract, GeneratorContract, ModelContract, PolicyContract


def ask_plainly(x, passages, thoughts, scores):
    return Prompt(ask=f"{x} {len(thoughts)}")


@dataclass(frozen=True)
class Saying:
    prompter: object = ask_plainly

    async def __call__(self, state, n):
        return [tg.Draft(text) for text in await state.ask(self.prompter, min(n, 3), numeral)]


@dataclass(frozen=True)
class Rating:
    prompter: object = ask_plainly

    async def __call__(self, states):
        asked = (state.ask(self.prompter, parse=numeral) for state in states)
        return [tg.Score.of([float(text) for text in texts]) for texts in await asyncio.gather(*asked)]


def numeral(text):
    if not text.strip().isdecimal():
        raise tg.Unparsable(text)
    return text.strip()


async def bare(search):
    grown = await search.expand(search.root)
    return next((thought for thought in grown if search.claim(thought) and thought.done), None) or search.answer()


class TestABareFunctionIsAPolicy(PolicyContract):
    policy = bare


class TestAGenerator(GeneratorContract):
    generator = Saying()


class TestAGeneratorThatAsksNobody(GeneratorContract):
    generator = lambda state, n: [tg.Draft(i) for i in range(n)]


class TestAGeneratorOfManyParents(GeneratorContract):
    generator = lambda state, n: [tg.Draft(" ".join(thought.text for thought in state.thoughts))]
    thoughts = ("a", "b")


class TestACritic(CriticContract):
    critic = Rating()


class TestACriticThatAsksNobody(CriticContract):
    critic = lambda states: [tg.Score(len(state.content)) for state in states]


class TestAScriptedModel(ModelContract):
    model = Scripted(lambda prompt, draw: "word", latency=0.005)


# -- faults that the suites catch ------------------------------------------------------------------


async def forgets_the_seed(search):
    grown = await search.expand(search.root, n=random.randint(1, 1 << 20))
    return search.answer() if grown else None


async def looks_at_the_clock(search):
    await search.expand(search.root, n=time.monotonic_ns())
    return search.answer()


async def expands_the_final(search):
    thought = search.root
    for _ in range(4):
        thought = ((await search.expand(thought)) or [thought])[0]
    return search.answer()


async def forgets_what_it_found(search):
    for thought in await search.expand(search.root):
        for further in await search.expand(thought):
            await search.expand(further)


def caught(policy, test: str):
    suite = type("Suite", (PolicyContract,), {"policy": staticmethod(policy)})()
    with pytest.raises(Exception, match=r"."):
        getattr(suite, test)()


@pytest.mark.parametrize(
    ("policy", "test"),
    [
        (forgets_the_seed, "test_it_resumes_from_every_prefix_of_its_trace"),
        (looks_at_the_clock, "test_it_resumes_from_every_prefix_of_its_trace"),
        (expands_the_final, "test_a_final_thought_is_never_expanded"),
        (forgets_what_it_found, "test_it_answers_or_says_honestly_that_it_has_none"),
    ],
)
def test_a_policy_that_breaks_the_contract_is_caught(policy, test):
    caught(policy, test)


def test_a_critic_that_calls_garbage_a_low_score_is_caught():
    @dataclass(frozen=True)
    class Harsh:
        async def __call__(self, states):
            said = [await state.ask(ask_plainly, parse=numeral) for state in states]
            return [tg.Score(float(texts[0]) if texts else 0.0) for texts in said]

    suite = type("Suite", (CriticContract,), {"critic": Harsh()})()
    suite.test_it_can_judge_with_good_replies()
    with pytest.raises(AssertionError):
        suite.test_it_abstains_where_the_model_says_nothing_usable()


def test_a_generator_that_breaks_on_garbage_is_caught():
    async def brittle(state, n):
        return [tg.Draft(int(text)) for text in await state.ask(ask_plainly, min(n, 2))]

    suite = type("Suite", (GeneratorContract,), {"generator": staticmethod(brittle)})()
    suite.test_it_makes_something_of_good_replies()
    with pytest.raises(Exception, match="int"):
        suite.test_garbage_makes_no_thought_and_no_error()


def test_a_prompter_that_is_ignored_is_caught():
    @dataclass(frozen=True)
    class Deaf:
        prompter: object = ask_plainly

        async def __call__(self, state, n):
            return [tg.Draft(text) for text in await state.ask(ask_plainly, min(n, 2))]

    suite = type("Suite", (GeneratorContract,), {"generator": Deaf()})()
    with pytest.raises(AssertionError):
        suite.test_it_asks_with_the_prompter_that_it_is_given()
