"""PrOntoQA: the English it is written in, what follows from what, proofs right and wrong, what a model says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import Unparsable
from thoughtgraph.models import Scripted
from thoughtgraph.search import MCTS, BestFirst, BestOfN, SelfConsistency, ToT
from thoughtgraph.tasks.fallible import Fallible
from thoughtgraph.tasks.prontoqa import (
    Chain,
    Deductions,
    Evaluator,
    Fact,
    Propose,
    answered,
    at_length,
    check,
    distance,
    fact_of,
    prontoqa,
    proposed,
    proves,
    read,
    rule_of,
    singular,
    step_of,
    truth,
)
from thoughtgraph.testing import GeneratorContract

PUBLISHED = Path(__file__).parents[3] / "shared/data/llm-reasoners/prontoqa_345hop_random_true.json"
published = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published items are not here")

CATS = (
    "Each tabby is a cat. Cats are felines. Every feline is not bony. Whales are bony. Tabbies are small. "
    "Fae is a tabby. True or false: Fae is bony."
)
PROOF = [
    "Each tabby is a cat. Fae is a cat.",
    "Cats are felines. Fae is a feline.",
    "Every feline is not bony. Fae is not bony.",
]
TEMPTING = ["Whales are bony. Fae is bony."]


def items() -> list[dict[str, Any]]:
    """Every published item: the ones to solve, and the ones shown as examples."""
    return [item for group in json.loads(PUBLISHED.read_text(encoding="utf-8")).values() for item in group.values()]


# -- the English ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "of", "what", "noun", "true"),
    [
        ("Each painted lady is a butterfly.", "painted lady", "butterfly", True, True),
        ("Every insect is an arthropod", "insect", "arthropod", True, True),
        ("Painted ladies are butterflies.", "painted lady", "butterfly", True, True),
        ("Mersenne primes are prime numbers.", "mersenne prime", "prime number", True, True),
        ("Prime numbers are prime.", "prime number", "prime", False, True),
        ("Arthropods are not bony.", "arthropod", "bony", False, False),
        ("Carnivores are herbivorous.", "carnivore", "herbivorous", False, True),
        ("Each snake is not a sheep.", "snake", "sheep", True, False),
        ("All cats are felines.", "cat", "feline", True, True),
        ("Jompuses are yumpuses.", "jompus", "yumpus", True, True),
    ],
)
def test_a_rule_may_be_said_of_each_or_of_all(sentence: str, of: str, what: str, noun: bool, true: bool):
    rule = rule_of(sentence)
    assert rule is not None
    assert rule[:4] == (of, what, noun, true)


def test_a_fact_is_said_of_somebody_by_name():
    assert fact_of("31 is a Mersenne prime.") == Fact("31", "Mersenne prime", True, True)
    assert fact_of("Fae is not six-legged") == Fact("Fae", "six-legged", False, False)
    assert str(Fact("Fae", "insect", True, False)) == "Fae is not an insect."
    assert fact_of("Cats are felines.") is None


def test_a_plural_that_is_spelled_as_the_singular_is_a_kind_where_rules_are_about_it():
    told = "Fae is a lamb. True or false: Fae is white."
    assert truth(f"Lambs are sheep. Sheep are white. {told}") == "True"
    assert truth(f"Lambs are sheep. All sheep are white. {told}") == "True"
    assert truth(f"Lambs are real. Reals are white. Each real is white. {told}") is None


@pytest.mark.parametrize(
    ("words", "one"),
    [
        ("ladies", "lady"), ("cats", "cat"), ("sheep", "sheep"), ("carnivorous", "carnivorous"), ("bass", "bass"),
        ("wumpuses", "wumpus"), ("walruses", "walrus"), ("foxes", "fox"), ("finches", "finch"), ("horses", "horse"),
        ("mouses", "mouse"), ("bosses", "boss"),
    ],
)  # fmt: skip
def test_plurals_are_known_by_their_ends(words: str, one: str):
    assert singular(words) == one


def test_a_world_of_wumpuses_is_understood():
    rules = "Jompuses are not shy. Jompuses are yumpuses. Each yumpus is a dumpus. Dumpuses are not wooden."
    world = f"{rules} Max is a jompus."
    assert truth(f"{world} True or false: Max is wooden.") == "False"
    assert tg.solve(prontoqa(f"{world} True or false: Max is not wooden.")).answer == "True"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "lacks a rule, a fact or a query"),
        ("Each cat is a feline. Fae is a cat.", "lacks"),
        ("Fae is a cat. True or false: Fae is bony.", "lacks"),
        ("Each cat is a feline. True or false: Fae is bony.", "lacks"),
        ("Each cat is a feline. Fae is a cat. True or false: why?", "lacks"),
        ("Each cat purrs. Fae is a cat. True or false: Fae is bony.", "'Each cat purrs' is neither a rule nor a fact"),
    ],
)
def test_what_is_no_problem_is_refused_and_the_error_says_why(text: str, wrong: str):
    with pytest.raises(tg.TaskError, match="expected") as error:
        prontoqa(text)
    assert wrong in str(error.value)


# -- what follows --------------------------------------------------------------------------------------------------


@published
def test_every_published_proof_is_sound_and_its_answer_is_what_follows():
    assert len(items()) == 4500
    for item in items():
        problem, said = f"{item['question']} {item['query']}", item["chain_of_thought"]
        proof = [f"{rule} {fact}" for rule, fact in zip(said[1::2], said[2::2], strict=True)]
        assert proves(problem, proof), problem
        assert not proves(problem, proof[1:]), problem
        assert check(problem, item["answer"]), problem
        assert not check(problem, {"True": "False", "False": "True"}[item["answer"]]), problem


def test_what_follows_is_found_however_far_away():
    assert truth(CATS) == "False"
    assert truth(CATS.replace("is bony.", "is not bony.")) == "True"
    assert distance(read(CATS), read(CATS).facts) == 3


def test_what_stays_open_or_contradicts_itself_has_no_answer():
    assert truth(CATS.replace("Every feline is not bony. ", "")) is None
    assert truth(CATS.replace("Whales are bony.", "Felines are bony.")) is None
    assert distance(read(CATS.replace("Every feline is not bony. ", "")), read(CATS).facts) is None


@pytest.mark.parametrize(
    "proof",
    [
        TEMPTING,  # the rule does not apply
        PROOF[:2],  # has not come to the query
        [PROOF[0], PROOF[2]],  # leaves a step out
        [PROOF[0], "Cats are felines. Fae is not a feline.", PROOF[2]],  # turns a conclusion round
        [*PROOF[:2], "Every feline is not bony. Sam is not bony."],  # speaks of another
        [*PROOF[:2], "Every feline is bony. Fae is bony."],  # a rule that nobody stated
        [*PROOF[:2], 3],
        [],
        None,
        "\n".join(PROOF),
    ],
)
def test_a_proof_with_a_wrong_step_proves_nothing(proof: object):
    assert proves(CATS, PROOF)
    assert not proves(CATS, proof)


@pytest.mark.parametrize("claimed", ["True", "false", None, False, "", "False."])
def test_the_evaluator_accepts_the_right_answer_alone(claimed: object):
    assert Evaluator(CATS)("False")
    assert not Evaluator(CATS)(claimed)


def test_the_evaluator_accepts_nothing_where_nothing_follows():
    assert not check(CATS.replace("Every feline is not bony. ", ""), None)


# -- thinking without a model --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [None, ToT(), MCTS(simulations=30), BestFirst()])
def test_exact_steps_find_the_answer_with_its_proof(policy: tg.Policy | None):
    result = tg.solve(prontoqa(CATS), policy=policy)
    assert result.thought is not None
    assert (result.answer, result.thought.content["proof"]) == ("False", PROOF)


def test_steps_in_another_order_come_to_the_same_thought():
    result = tg.solve(prontoqa(CATS.replace("Fae is bony.", "Fae is huge.")), policy=ToT(breadth=99))
    level = [sorted(t.content["proof"]) for t in result.graph if t.depth == 2]
    assert level == [sorted([PROOF[0], PROOF[1]]), sorted([PROOF[0], "Tabbies are small. Fae is small."])]
    assert (result.answer, result.reason) == (None, "exhausted")


def test_a_run_resumes_by_its_id_alone_but_for_a_fallible_thinker():
    assert prontoqa(CATS).recipe == {"name": "prontoqa", "problem": CATS, "local": True}
    assert prontoqa(CATS, fallible=Fallible()).recipe is None


@published
def test_of_the_published_items_a_sample_is_answered_rightly():
    for item in items()[::90]:
        problem = f"{item['question']} {item['query']}"
        assert tg.solve(prontoqa(problem)).answer == item["answer"]


# -- thinking fallibly ---------------------------------------------------------------------------------------------

SURE = Fallible(skill=50, bias=0, slip=0, reliability=1)


def test_a_sure_thinker_takes_the_shortest_way():
    for policy in (BestOfN(n=1), BestOfN(n=1, action="step"), ToT(breadth=1)):
        result = tg.solve(prontoqa(CATS, fallible=SURE), policy=policy)
        assert result.thought is not None
        assert (result.answer, result.thought.content["proof"]) == ("False", PROOF)


def test_wrong_steps_are_thoughts_like_others_and_only_the_evaluator_knows():
    result = tg.solve(prontoqa(CATS, fallible=Fallible(slip=1)), policy=SelfConsistency(n=30, sure=1))
    ends = [thought.content for thought in result.graph.finals]
    assert len(ends) == 30
    assert not any(proves(CATS, end["proof"]) for end in ends)
    assert {end["answer"] for end in ends if "answer" in end} == {"True", "False"}  # half of all guesses are right


def test_a_reliable_critic_prefers_the_sound_proof():
    wary = Fallible(skill=0.5, slip=0.3, reliability=1)
    for seed in range(5):
        result = tg.solve(prontoqa(CATS, fallible=wary), policy=BestOfN(n=30), seed=seed)
        assert result.thought is not None
        assert proves(CATS, result.thought.content["proof"])


def test_the_critic_values_how_near_a_sound_proof_is_and_a_wrong_step_at_nothing():
    values = dict[str, float | None]()

    def given(state: tg.State, n: int) -> list[tg.Draft]:
        proofs = ([PROOF[0]], PROOF[:2], PROOF, TEMPTING, ["Tabbies are small. Fae is small."])
        return [tg.Draft({"text": proof[-1], "proof": proof}) for proof in proofs]

    async def once(search: tg.Search) -> tg.Thought | None:
        thoughts = await search.expand(search.root)
        scores = await search.score(thoughts)
        values.update({t.text: s.value for t, s in zip(thoughts, scores, strict=True)})
        return None

    task = prontoqa(CATS)
    tg.solve(tg.Task(CATS, {"step": given}, task.critics, start=task.start), policy=once)
    assert list(values.values()) == [1 / 3, 1 / 2, 1, 0, 1 / 4]


def test_a_fallible_thinker_and_a_model_exclude_each_other():
    with pytest.raises(tg.TaskError, match="takes the place of a model"):
        prontoqa(CATS, local=False, fallible=Fallible())


# -- what a model says ---------------------------------------------------------------------------------------------

WORLD = read(CATS)


@pytest.mark.parametrize(
    "reply",
    [
        "Each tabby is a cat. Fae is a cat.",
        "1. each tabby is a cat.  So Fae is a cat.",
        "- **Each tabby is a cat. Fae is a cat.**",
        "Sure! Here is a step:\n\nStep 1: Each tabby is a cat -> Fae is a cat",
        "<think>Hm.</think>\n```\nEach tabby is a cat. Therefore, Fae is a cat.\n```",
        '"Each tabby is a cat; Fae is a cat."',
        "Each tabby is a cat, so Fae is a cat.",
        "Each tabby is a cat. Fae is a cat.\nEach tabby is a cat. Fae is a cat.",
        "Each cat is a king. Fae is a king.\nEach tabby is a cat. Fae is a cat.",
    ],
)
def test_a_step_is_read_however_it_is_dressed(reply: str):
    assert [str(step) for step in proposed(reply, WORLD)] == [PROOF[0]]


def test_steps_that_do_not_follow_are_read_too():
    assert [str(step) for step in proposed(TEMPTING[0], WORLD)] == TEMPTING
    assert step_of("Whales are bony. Sam is not a whale.", WORLD) is not None


@pytest.mark.parametrize(
    "reply",
    [
        "Fae is a cat.",
        "Each tabby is a cat.",
        "Each cat is a king. Fae is a king.",
        "Each tabby is a cat. Cats are felines.",
        "Each tabby is a cat. Fae is a cat and a feline of the house, is she not?",
        "I cannot tell.",
    ],
)
def test_what_is_no_statement_with_a_conclusion_is_unparsable(reply: str):
    with pytest.raises(Unparsable):
        proposed(reply, WORLD)


def test_a_whole_reply_gives_its_answer_and_the_steps_in_it():
    draft = answered("Let us see.\n" + "\n".join(PROOF) + "\n\n**Answer:** false.", WORLD)
    assert draft.done
    assert (draft.content["answer"], draft.content["proof"]) == ("False", PROOF)


@pytest.mark.parametrize("reply", ["False", "Answer: maybe", "Answer: True or False", "Answer:", "The answer is true."])
def test_an_answer_is_true_or_false_behind_its_mark_and_nothing_else(reply: str):
    with pytest.raises(Unparsable):
        answered(reply, WORLD)


def says(prompt: str, draw: int) -> str:
    """A model that knows the next step of the proof, and falls for the tempting one as well."""
    if "Judge these thoughts" in prompt:
        return "impossible" if TEMPTING[0] in prompt.partition("So far:")[2] else "sure"
    if "Propose up to" in prompt:
        done = sum(step in prompt.partition("So far:")[2] for step in PROOF)
        return f"{TEMPTING[0]}\n{PROOF[done]}"
    return "\n".join([*PROOF, "Answer: False"])


def test_a_model_is_led_to_the_proof_by_its_own_judgement():
    result = tg.solve(prontoqa(CATS, local=False), model=Scripted(says), budget=tg.Budget(calls=60))
    assert result.thought is not None
    assert (result.answer, result.thought.content["proof"]) == ("False", PROOF)
    assert result.outcomes["unparsable"] == 0


@pytest.mark.parametrize("action", ["reason", "answer"])
def test_a_model_answers_at_length_or_at_once(action: str):
    result = tg.solve(prontoqa(CATS, local=False), policy=SelfConsistency(n=3, action=action), model=Scripted(says))
    assert result.answer == "False"


class TestPropose(GeneratorContract):
    """What the engine relies on."""

    generator = Propose(WORLD)
    problem = CATS
    start: ClassVar[Any] = {"text": "Fae is a tabby.", "proof": []}
    thoughts: ClassVar[Sequence[Any]] = ()
    reply = ("\n".join([PROOF[0], TEMPTING[0]]),)


class TestChain(GeneratorContract):
    """What the engine relies on."""

    generator = Chain(WORLD, at_length)
    problem = CATS
    start: ClassVar[Any] = {"text": "Fae is a tabby.", "proof": []}
    thoughts: ClassVar[Sequence[Any]] = ()
    reply = ("\n".join([*PROOF, "Answer: False"]),)


class TestDeductions(GeneratorContract):
    """What the engine relies on."""

    generator = Deductions(WORLD, most=1)
    problem = CATS
    start: ClassVar[Any] = {"text": "Fae is a tabby.", "proof": []}
    thoughts: ClassVar[Sequence[Any]] = ()
