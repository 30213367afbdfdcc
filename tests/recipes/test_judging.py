"""Tuning a judge: what is better takes the place of what is in use, at equal cost, and nothing else does."""

# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import thoughtgraph as tg
from thoughtgraph.critics import Value, Vote
from thoughtgraph.errors import TaskError, Unauthorized
from thoughtgraph.labels import Labels
from thoughtgraph.learning.rows import Outcome, Preference, Response, spelt
from thoughtgraph.models import Scripted
from thoughtgraph.recipes.audit import audit
from thoughtgraph.recipes.judging import FEWEST, Tuned, items, parted, tune_judge, variants
from thoughtgraph.result import RunFailed

# -- a small world: sums, and judges who err by chance -------------------------------------------------------------


def sums(questions: int = 40, seed: int = 0) -> list[Outcome]:
    """Two right and two wrong answers to each sum."""
    rng, rows = random.Random(seed), list[Outcome]()
    for _ in range(questions):
        a, b = rng.randint(100, 999), rng.randint(100, 999)
        said = [a + b, a + b, a + b + rng.choice((-10, 10)), a + b + rng.choice((-1, 1))]
        for way, answer in zip("ABCD", said, strict=True):
            response = Response(text=f"By way {way} it is {answer}.", answer=answer)
            rows.append(Outcome(question=f"What is {a} + {b}?", response=response, value=float(answer == a + b)))
    return rows


def chance(*told: object) -> float:
    """A number in [0, 1) that hangs on nothing but what is told."""
    return int(sha256(repr(told).encode()).hexdigest()[:8], 16) / 2**32


def right(prompt: str) -> bool:
    a, b, said = map(int, re.search(r"(\d+) \+ (\d+)\?.*it is (\d+)", prompt, re.DOTALL).groups())
    return a + b == said


def judging(**accuracy: float):
    """A model that judges rightly with the probability that belongs to the first of these words in its prompt."""

    def reply(prompt: str, draw: int) -> str:
        sure = next(p for word, p in {**accuracy, "": accuracy["plain"]}.items() if word in prompt)
        return ("sure", "impossible")[right(prompt) == (chance(prompt, draw) >= sure)]

    return reply


def asks(wish: str):
    """A prompter that shows a response and asks for a verdict in these words."""

    def prompter(x, passages, thoughts, scores):
        return tg.Prompt(problem=x, thoughts=thoughts[-1].text, ask=wish)

    return prompter


PLAIN, CHECK = asks("plain: is it right?"), asks("check the arithmetic: is it right?")
IN_USE = Value(PLAIN, samples=1)
LARGE = tg.Budget(calls=10_000)


def tuned(judges, model, rows=None, **how) -> Tuned:
    asked: dict[str, Any] = {"budget": LARGE, **how}
    return tune_judge(judges, sums() if rows is None else rows, model=model, **asked)


# -- what helps ----------------------------------------------------------------------------------------------------


def test_a_prompter_that_helps_takes_the_place_of_the_one_in_use():
    found = tuned(variants(IN_USE, prompters={"check": CHECK}), Scripted(judging(check=0.95, plain=0.6)))
    assert (found.chosen, found.better, found.first, found.best) == ("check", True, "in use", "check")
    assert found.critic == replace(IN_USE, prompter=CHECK)
    assert found.before.mean == pytest.approx(0.6, abs=0.1)
    assert found.after.mean == pytest.approx(0.95, abs=0.05)
    assert found.gap.mean == pytest.approx(found.after.mean - found.before.mean)
    assert found.gap.low > 0
    assert found.costs == {"in use": 1.0, "check": 1.0}
    assert (found.questions, len(found.held_out)) == ((20, 20), 20)


def test_it_can_be_read_and_written():
    found = tuned(variants(IN_USE, prompters={"check": CHECK}, samples=(3,)), Scripted(judging(check=1, plain=0.5)))
    told = json.loads(json.dumps(found.to_json()))
    assert (told["chosen"], told["better"], told["after"]["mean"], told["costs"]["check"]) == ("check", True, 1, 1)
    text = str(found)
    assert text.startswith("use 'check': better than 'in use' by +")
    assert "the best of many: too good" in text
    assert "left out: '3 samples', it costs 3 calls a judged response, where 1 are allowed" in text


def test_samples_that_cost_more_calls_are_left_out_and_said_so_unless_they_are_allowed():
    judges = {"once": IN_USE, "five times": Value(PLAIN, samples=5)}
    model = Scripted(judging(plain=0.75))
    short = tuned(judges, model)
    assert (short.chosen, short.better, list(short.left_out)) == ("once", False, ["five times"])
    allowed = tuned(judges, model, at_most=5)
    assert (allowed.chosen, allowed.better, allowed.left_out) == ("five times", True, {})
    assert (allowed.costs, allowed.at_most) == ({"once": 1.0, "five times": 5.0}, 5)


def test_five_samples_of_a_cheap_model_beat_one_of_a_dear_one_at_equal_cost_in_dollars():
    dear = Scripted(judging(plain=0.75), model="dear", price=tg.Price(prompt=10, completion=10))
    cheap = Scripted(judging(plain=0.75), model="cheap", price=tg.Price(prompt=1, completion=1))
    judges = {
        "dear": replace(IN_USE, model=dear),
        "cheap": replace(IN_USE, model=cheap),
        "cheap, 5 samples": replace(IN_USE, model=cheap, samples=5),
    }
    found = tuned(judges, None)
    assert (found.chosen, found.better, found.unit) == ("cheap, 5 samples", True, "usd")
    assert found.costs["cheap"] < found.costs["cheap, 5 samples"] < found.costs["dear"] == found.at_most


def test_models_whose_prices_are_not_known_are_not_compared_unless_calls_are_asked_for():
    judges = {name: replace(IN_USE, model=Scripted(judging(plain=1), model=name)) for name in ("a", "b")}
    with pytest.raises(TaskError, match="the price of local:a is not known"):
        tuned(judges, None)
    with pytest.raises(TaskError, match="the price of local:a is not known"):
        tuned(judges, None, unit="usd")
    assert tuned(judges, None, unit="calls").unit == "calls"


def test_the_judge_in_use_can_be_any_of_them():
    judges = {"check": Value(CHECK, samples=1), "plain": IN_USE}
    found = tuned(judges, Scripted(judging(check=1, plain=0.5)), before="plain")
    assert (found.first, found.chosen) == ("plain", "check")


def test_judges_that_only_compare_are_tuned_as_well():
    def reply(prompt: str, draw: int) -> str:
        a, b = map(int, re.search(r"(\d+) \+ (\d+)", prompt).groups())
        said = [int(n) for n in re.findall(r"it is (\d+)", prompt)]
        return f"The best choice is {said.index(a + b) + 1 if 'carefully' in prompt else 1}."

    def careful(x, passages, thoughts, scores):
        return tg.Prompt(problem=x, thoughts="\n".join(t.text for t in thoughts), ask="Choose carefully.")

    judges = variants(Vote(votes=1), prompters={"careful": careful})
    found = tuned(judges, Scripted(reply), sums(40))
    assert (found.chosen, found.after.mean) == ("careful", 0.75)  # a right one has 1, the other right one 0
    assert found.costs["careful"] == 0.25


def test_preferences_tell_judges_apart_too():
    rows = sums()
    pairs = [
        Preference(question=good.question, chosen=good.response, rejected=bad.response)
        for good, bad in zip(rows[::4], rows[2::4], strict=True)
    ]
    found = tuned(variants(IN_USE, prompters={"check": CHECK}), Scripted(judging(check=0.95, plain=0.5)), pairs)
    assert found.chosen == "check"


# -- what does not help --------------------------------------------------------------------------------------------


def test_where_nothing_helps_the_judge_in_use_stays_and_the_winner_was_merely_lucky():
    prompters = {f"way {n}": asks(f"plain, in way {n}: is it right?") for n in range(5)}
    judges, rows = variants(IN_USE, prompters=prompters), sums(30)
    found = [tuned(judges, Scripted(judging(plain=0.7)), rows, seed=seed) for seed in range(4)]
    assert [(one.chosen, one.better) for one in found] == [("in use", False)] * 4
    assert all(one.critic is IN_USE for one in found)
    lucky = [one.tuning[one.best].mean - one.after.mean for one in found]
    assert sum(lucky) > 0


def test_a_judge_that_is_better_to_choose_by_and_not_held_out_is_not_better_for_sure():
    rows = sums()
    _, held = parted(items(rows), 0.5, 0)
    out = {put.examples[0].question for item in held for put in item.puts}

    def reply(prompt: str, draw: int) -> str:
        learned = "check" in prompt and not any(question in prompt for question in out)
        return ("sure", "impossible")[not right(prompt)] if learned or chance(prompt, draw) < 0.4 else "sure"

    found = tuned(variants(IN_USE, prompters={"check": CHECK}), Scripted(reply), rows)
    assert (found.best, found.chosen, found.tuning["check"].mean) == ("check", "in use", 1.0)
    assert "'check' is not better for sure" in found.why


def test_silence_is_no_merit():
    def reply(prompt: str, draw: int) -> str:
        return "42 is the answer" if "silent" in prompt else judging(plain=0.7)(prompt, draw)

    judges = {"in use": IN_USE, "silent": Value(asks("silent"), samples=1)}
    left = tuned(judges, Scripted(reply))
    assert left.left_out == {"silent": "it costs 2 calls a judged response, where 1 are allowed"}  # all drawn twice
    found = tuned(judges, Scripted(reply), at_most=2)
    assert (found.chosen, found.tuning["silent"].mean, found.abstained) == ("in use", 0.5, {"in use": 0, "silent": 1})


def test_a_judge_that_says_yes_to_everything_is_worth_a_coin():
    def reply(prompt: str, draw: int) -> str:
        return "sure" if "kind" in prompt else judging(plain=0.7)(prompt, draw)

    found = tuned({"in use": IN_USE, "kind": Value(asks("kind"), samples=1)}, Scripted(reply))
    assert (found.chosen, found.tuning["kind"].mean) == ("in use", 0.5)


def test_nobody_is_promoted_for_being_no_better_than_chance():
    def reply(prompt: str, draw: int) -> str:
        return "sure" if "kind" in prompt else judging(plain=0.3)(prompt, draw)

    found = tuned({"in use": IN_USE, "kind": Value(asks("kind"), samples=1)}, Scripted(reply))
    assert (found.best, found.chosen) == ("kind", "in use")
    assert found.gap.low > 0
    assert "but not than chance" in found.why


def test_one_who_cannot_be_asked_is_left_out_and_the_others_go_on():
    def refuses(prompt: str, draw: int) -> str:
        raise Unauthorized("no such model")

    gone = Scripted(refuses, model="gone")
    judges = {"in use": IN_USE, "check": Value(CHECK, samples=1), "gone": replace(IN_USE, model=gone)}
    found = tuned(judges, Scripted(judging(check=1, plain=0.5)), unit="calls")
    assert found.chosen == "check"
    assert "no such model" in found.left_out["gone"]
    with pytest.raises(RunFailed, match="no such model"):
        tuned(judges, Scripted(judging(check=1, plain=0.5)), unit="calls", before="gone")


# -- what it costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [0, 10, 60, 200, 300, 500])
def test_the_budget_holds_and_without_held_out_figures_the_judge_in_use_stays(calls: int):
    model = Scripted(judging(check=1, plain=0.5))
    judges = variants(IN_USE, prompters={"check": CHECK, **{f"{n}": asks(f"plain {n}") for n in range(6)}})
    found = tuned(judges, model, budget=tg.Budget(calls=calls))
    assert len(model.seen) <= calls
    assert found.usage.calls == len(model.seen)
    assert (found.chosen, found.better) == (("check", True) if calls >= 300 else ("in use", False))
    assert found.better or f"the budget of {calls} calls is" in found.why


def test_of_many_candidates_the_better_half_goes_on_to_more_questions():
    judges = variants(IN_USE, prompters={"check": CHECK, **{f"{n}": asks(f"plain {n}") for n in range(7)}})
    found = tuned(judges, Scripted(judging(check=1, plain=0.5)), budget=tg.Budget(calls=400))
    arms, reached = zip(*found.rounds, strict=True)
    assert (arms[0], arms[-1]) == (9, 2)
    assert list(arms) == sorted(arms, reverse=True)
    assert list(reached) == sorted(set(reached))
    assert found.chosen == "check"


def test_a_repeated_call_pays_nothing_and_says_the_same(tmp_path: Path):
    model, store = Scripted(judging(check=0.9, plain=0.6)), tmp_path / "runs.db"
    judges = variants(IN_USE, prompters={"check": CHECK})
    first = tuned(judges, model, sums(20), store=store)
    paid = len(model.seen)
    again = tuned(judges, model, sums(20), store=store)
    assert (len(model.seen), again.usage.calls) == (paid, first.usage.calls)
    assert str(again) == str(first)


def test_with_more_budget_it_goes_on_where_it_was_stopped_and_pays_no_verdict_twice(tmp_path: Path):
    model, store = Scripted(judging(check=0.9, plain=0.6)), tmp_path / "runs.db"
    judges = variants(IN_USE, prompters={"check": CHECK})
    stopped = tuned(judges, model, sums(20), store=store, budget=tg.Budget(calls=30))
    assert (stopped.better, 0 < len(model.seen) <= 30) == (False, True)
    found = tuned(judges, model, sums(20), store=store)
    assert found.better
    assert len(model.seen) == found.usage.calls == 2 * 20 * 4


def test_an_audit_of_the_chosen_judge_reads_what_was_paid_already(tmp_path: Path):
    model, store, rows = Scripted(judging(check=0.9, plain=0.6)), tmp_path / "runs.db", sums(20)
    found = tuned(variants(IN_USE, prompters={"check": CHECK}), model, rows, store=store)
    paid = len(model.seen)
    held = [row for row in rows if row.id in found.held_out]
    report = audit(found.critic, held, model=model, budget=LARGE, store=store)
    assert len(model.seen) == paid
    assert report.within.mean == pytest.approx(found.after.mean)


def test_the_same_call_gives_the_same_whatever_the_order_of_the_rows():
    judges, rows = variants(IN_USE, prompters={"check": CHECK}), sums(30)
    groups = [rows[at : at + 4] for at in range(0, len(rows), 4)]
    turned = [row for group in reversed(groups) for row in group]
    one, other = (tuned(judges, Scripted(judging(check=1, plain=0.5)), told) for told in (rows, turned))
    assert one.held_out == other.held_out
    assert one.gap == other.gap


# -- both sides ----------------------------------------------------------------------------------------------------


def test_no_question_stands_on_both_sides_not_even_in_other_words():
    rows = sums(20)
    shouted = [replace(row, question=row.question.upper(), id="") for row in rows]
    tuning, held = parted(items([*rows, *shouted]), 0.5, 0)
    told = [{put.examples[0].question.lower() for item in side for put in item.puts} for side in (tuning, held)]
    assert (len(told[0]), len(told[1]), told[0] & told[1]) == (10, 10, set())


# -- candidates and bad input --------------------------------------------------------------------------------------


def test_variants_are_named_by_what_differs():
    model = Scripted(["sure"], model="other")
    made = variants(Value(samples=3), prompters={"strict": CHECK}, samples=(1, 3), models=[model])
    assert list(made) == [
        "in use", "local:other", "1 sample", "1 sample, local:other", "strict", "strict, local:other",
        "strict, 1 sample", "strict, 1 sample, local:other",
    ]  # fmt: skip
    assert made["strict, 1 sample"] == Value(CHECK, samples=1)
    assert made["local:other"].model is model  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
    assert list(variants(Vote(), samples=(1,))) == ["in use", "1 vote"]


def test_a_judge_without_the_setting_has_no_such_variants():
    with pytest.raises(TaskError, match="function has no setting 'prompter'"):
        variants(lambda states: [], prompters={"strict": CHECK})
    with pytest.raises(TaskError, match="Jury has no setting 'samples'"):
        variants(tg.critics.Jury([IN_USE]), samples=(5,))


def outcomes(questions: int, values: tuple[float, float]) -> list[Outcome]:
    rows = sums(questions)
    return [replace(row, value=values[place % 2]) for place, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("judges", "rows", "how", "match"),
    [
        ({}, None, {}, "there are no candidates"),
        ([("a", IN_USE), ("a", Vote())], None, {}, "the name 'a' stands there twice"),
        ({"a": IN_USE, "b": Value(PLAIN, samples=1)}, None, {}, "'a' and 'b' are the same judge"),
        ({"a": 7}, None, {}, "the judge 'a' is 7: expected a critic"),
        ({"a": IN_USE}, None, {"before": "b"}, "before is 'b': expected one of 'a'"),
        ({"a": IN_USE}, [], {}, "0 questions have responses of different worth"),
        ({"a": IN_USE}, outcomes(40, (1, 1)), {}, "0 questions have responses of different worth"),
        ({"a": IN_USE}, outcomes(2 * FEWEST - 1, (1, 0)), {}, "at least 10 on either side"),
        ({"a": IN_USE}, None, {"held_out": 1}, "held_out is 1: expected a share"),
        ({"a": IN_USE}, None, {"budget": None}, "no budget is named"),
        ({"a": IN_USE}, None, {"cache": True}, "a cache makes judges look cheaper"),
        ({"a": IN_USE}, None, {"at_most": -1}, "at_most is -1"),
        ({"a": IN_USE}, None, {"unit": "pounds"}, "unit is 'pounds': expected"),
        ({"a": IN_USE}, None, {"workers": 0}, "workers is 0"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_paid(judges, rows, how, match: str):
    model = Scripted(judging(plain=1))
    with pytest.raises(ValueError, match=match):
        tuned(judges, model, rows, **how)
    assert model.seen == []


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="there is no argument 'bugdet'"):
        tuned({"a": IN_USE}, Scripted(["sure"]), bugdet=1)


def test_few_questions_are_noted():
    assert "10 questions are held out" in tuned({"a": IN_USE}, Scripted(judging(plain=1)), sums(20)).notes[0]


# -- private rows ------------------------------------------------------------------------------------------------------


def test_rows_that_a_judges_model_may_not_see_are_left_out_for_all_and_noted():
    private = (spelt(Labels(models=("openai:*",))),)
    rows = [replace(row, labels=private if number % 8 < 4 else ()) for number, row in enumerate(sums(80))]
    secret = {row.question for row in rows if row.labels}
    model = Scripted(judging(plain=0.7, check=0.95))
    found = tuned({"in use": Value(PLAIN), "check": Value(CHECK)}, model, rows)
    assert found.notes[0].startswith("160 of 320 rows rest on private knowledge that local:scripted may not see")
    assert sum(found.questions) == 40
    assert not any(question in message.content for one in model.seen for message in one.messages for question in secret)


def test_a_tuning_of_which_every_row_is_withheld_is_refused():
    rows = [replace(row, labels=(spelt(Labels(models=())),)) for row in sums()]
    model = Scripted(judging(plain=0.7, check=0.95))
    with pytest.raises(TaskError, match="name a model that their labels allow"):
        tuned({"in use": Value(PLAIN), "check": Value(CHECK)}, model, rows)
    assert model.seen == []
