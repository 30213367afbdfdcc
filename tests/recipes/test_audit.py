"""The audit of a critic: figures by hand, verdicts on planted critics, and judges that are asked through a search."""

# pyright: reportArgumentType=false, reportOptionalOperand=false, reportOperatorIssue=false

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest

import thoughtgraph as tg
from thoughtgraph.critics.pairwise import Pairwise
from thoughtgraph.critics.value import Value
from thoughtgraph.critics.vote import Vote
from thoughtgraph.errors import TaskError, Unauthorized
from thoughtgraph.labels import Labels
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.rows import Demonstration, Outcome, Preference, Response, StepTrace, spelt
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.recipes.audit import Report, audit, first_wrong
from thoughtgraph.recipes.audit_figures import BEST, MAJORITY, ORACLE, RANDOM, SINGLE, WEIGHTED
from thoughtgraph.result import RunFailed
from thoughtgraph.store import SQLiteStore
from thoughtgraph.thought import Score
from thoughtgraph.trace import Scored


@dataclass(frozen=True)
class Says:
    """A critic whose values are a function of the response."""

    value: Callable[[Example], float | None]
    kind: str = "prob"
    name: str = "says"

    def judge(self, examples: Sequence[Example]) -> list[Score]:
        return [Score(self.value(example)) for example in examples]


def recorded(questions: int = 60, each: int = 6, seed: int = 0) -> list[Outcome]:
    """Responses with a planted chance to be right, which `signals["p"]` tells; right ones share an answer.

    Their lengths say nothing, and every question has the same two generators.
    """
    rng, rows = random.Random(seed), []
    for number in range(questions):
        for place in range(each):
            p = rng.choice((0.1, 0.3, 0.5, 0.7, 0.9))
            right = rng.random() < p
            answer = "7" if right else str(rng.choice((1, 2, 3)))
            text = "word " * rng.randint(3, 30) + f"#{place} so it is {answer}"
            response = Response(text=text, answer=answer, signals={"p": p}, generator="ab"[place % 2])
            rows.append(Outcome(question=f"How many, number {number}?", response=response, value=float(right)))
    return rows


ROWS = recorded()
KNOWS = Says(lambda example: example.response.signals["p"])


@cache
def known() -> Report:
    """The audit of the critic that knows the chances."""
    return audit(KNOWS, ROWS)


@cache
def shipped() -> Report:
    """Its audit on so many questions that it ships."""
    return audit(KNOWS, recorded(200, 4, seed=4))


def names(report: Report) -> list[str]:
    return [alarm.name for alarm in report.alarms]


def small(*told: tuple[str, float, float | None]) -> tuple[list[Outcome], Says]:
    """Rows of (question, worth, value), and the critic that gives those values."""
    values = {f"text {place}": value for place, (_, _, value) in enumerate(told)}
    rows = [
        Outcome(question=question, response=Response(text=f"text {place}"), value=worth)
        for place, (question, worth, _) in enumerate(told)
    ]
    return rows, Says(lambda example: values[example.response.text])


# -- figures -----------------------------------------------------------------------------------------------------------


def test_pairs_are_of_one_question_and_ties_count_half():
    """In "a" the right one beats one wrong one and ties with the other; in "b" it loses; "c" has nothing to tell."""
    rows, critic = small(("a", 1, 0.8), ("a", 0, 0.2), ("a", 0, 0.8), ("b", 1, 0.1), ("b", 0, 0.9), ("c", 1, 0.5))
    report = audit(critic, rows)
    assert report.pairs is not None
    assert report.pairs.mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert report.within is not None
    assert report.within.mean == pytest.approx((0.75 + 0) / 2)
    assert report.counts["contested questions"] == 2


def test_the_area_over_all_questions_is_that_of_the_definition():
    report, right = known(), [row for row in ROWS if row.value]
    wrong = [row for row in ROWS if not row.value]
    p = [row.response.signals["p"] for row in right], [row.response.signals["p"] for row in wrong]
    wins = sum((a > b) + 0.5 * (a == b) for a in p[0] for b in p[1])
    assert report.auc is not None
    assert report.auc.mean == pytest.approx(wins / len(right) / len(wrong))


def test_what_is_chosen_by_each_way_is_worth_what_it_is():
    """The best is right in "a" and wrong in "b"; texts are equally long, so that longest and shortest are means."""
    rows, critic = small(("a", 1, 0.9), ("a", 0, 0.2), ("b", 1, 0.1), ("b", 0, 0.9), ("b", 0, 0.3), ("b", 0, 0.2))
    report = audit(critic, rows)
    told = {way: worth.mean for way, worth in report.ways.items()}
    expected = {BEST: 0.5, RANDOM: (1 / 2 + 1 / 4) / 2, ORACLE: 1.0, "longest": 3 / 8, "shortest": 3 / 8}
    assert told == pytest.approx(expected)
    assert report.questions[rows[0].id][BEST] == 1.0


def test_an_abstention_is_counted_and_is_no_low_score():
    """The right one of "a" has no value: no pair is lost by that, and the other one is chosen for want of it."""
    rows, critic = small(("a", 1, None), ("a", 0, 0.1), ("b", 1, 0.9), ("b", 0, 0.1))
    report = audit(critic, rows)
    assert report.pairs is not None
    assert report.pairs.mean == 1.0
    assert (report.counts["judged"], report.counts["responses"]) == (3, 4)
    assert dict(report.abstained) == {"ok": 1}
    assert report.ways[BEST].mean == 0.5


def test_votes_are_counted_by_equal_answers():
    """Two wrong answers are one number, written in two ways, and outvote the right one; the critic's weights do not."""
    told = [("18", 0, 0.1), ("18.0", 0, 0.2), ("20", 1, 0.9)]
    rows = [
        Outcome(question="q", response=Response(text=text, answer=text, signals={"v": v}), value=worth)
        for text, worth, v in told
    ]
    report = audit(Says(lambda example: example.response.signals["v"]), rows)
    assert report.ways[MAJORITY].mean == 0.0
    assert report.ways[WEIGHTED].mean == 1.0


def test_the_best_single_generator_is_chosen_on_other_questions():
    """Of two generators one is always right: chosen anywhere, it is right everywhere."""
    rows = [
        Outcome(question=f"q{n}", response=Response(text=by * 3, generator=by), value=float(by == "a"))
        for n in range(10)
        for by in "ab"
    ]
    assert audit(Says(lambda _: 0.5), rows).ways[SINGLE].mean == 1.0


def test_the_curve_begins_at_random_and_ends_at_what_is_chosen():
    report = known()
    assert report.curves is not None
    for way in (BEST, "longest", ORACLE):
        curve = report.curves.evaluation[way]
        assert curve[0].mean == pytest.approx(report.ways[RANDOM].mean)
        assert curve[-1].mean == pytest.approx(report.ways[way].mean)
    rewards = [one.mean for one in report.curves.reward if one]
    assert rewards == sorted(rewards)


def test_a_critic_that_overrates_its_favourites_turns_down():
    """It knows the chances but for one response in ten, wrong and valued most: the more there are, the surer a hit."""
    rng = random.Random(3)
    rows = [
        replace(row, value=0.0, response=replace(row.response, signals={"p": 0.99})) if rng.random() < 0.1 else row
        for row in recorded(150, 10)
    ]
    report = audit(KNOWS, rows)
    assert report.curves is not None
    assert report.curves.turn is not None
    assert report.curves.turn.down
    assert 2 <= report.curves.turn.peak <= 6


def test_probabilities_that_are_right_are_calibrated_and_squared_ones_are_not():
    rows = recorded(100, 6, seed=1)
    good, bad = (audit(Says(f), rows) for f in (KNOWS.value, lambda e: KNOWS.value(e) ** 3))
    assert good.reliability[0].ece.mean < 0.05
    assert bad.reliability[0].ece.mean > 0.15
    assert bad.reliability[1].name == "if calibrated here"
    assert bad.reliability[1].ece.mean < 0.08


def test_slices_tell_where_a_critic_overrates():
    report = audit(Says(lambda e: min(1.0, e.response.signals["p"] + 0.3 * (e.response.generator == "a"))), ROWS)
    gaps = {one.name: one.gap.mean for one in report.slices if one.by == "generator" and one.gap}
    assert gaps["a"] > gaps["b"] + 0.15


def test_a_slice_of_ones_own_is_told():
    report = audit(KNOWS, ROWS, slices={"place": lambda example: example.response.text.partition("#")[2][:1]})
    assert {one.name for one in report.slices if one.by == "place"} == set("012345")


def test_the_first_wrong_step_is_found_by_a_threshold_from_other_questions():
    """Steps before the first wrong one are valued high. Half of the traces are right throughout; "none" is 3."""
    rows = [
        StepTrace(question=f"q{n}", response=Response(text="", steps=("x", "y", "z")), first_error=n % 4)
        for n in range(24)
    ]
    place = {row.question: row.first_error for row in rows}
    report = audit(Says(lambda e: 0.1 if len(e.response.steps) > place[e.question] else 0.9), rows)
    assert report.steps is not None
    assert (report.steps.f1.mean, report.steps.erroneous, report.steps.correct) == (1.0, 1.0, 1.0)
    blind = audit(Says(lambda _: 0.9), rows)
    assert blind.steps is not None
    assert blind.steps.f1.mean == 0.0
    assert (report.verdict, blind.verdict) == ("advisory", "reject")  # no two steps are known to differ in worth


def test_counts_tell_the_first_error_where_nobody_named_it():
    steps = Response(text="", steps=("x", "y", "z"))
    assert first_wrong(StepTrace(question="q", response=steps, counts=((3, 4), (0, 4), (0, 4)))) == 1
    assert first_wrong(StepTrace(question="q", response=steps, counts=((3, 4), (0, 4), (1, 4)))) == 3
    assert first_wrong(StepTrace(question="q", response=steps, counts=((3, 4), (1, 4), (1, 4)))) == 3
    assert first_wrong(StepTrace(question="q", response=steps, counts=((3, 4), (0, 0), (0, 4)))) is None
    assert first_wrong(StepTrace(question="q", response=steps, counts=((0, 4), (0, 4), (0, 4)))) is None


def test_preferences_are_pairs_whose_ties_say_nothing():
    good, bad, other = (Response(text=text) for text in ("good", "bad", "other"))
    rows = [
        Preference(question="q", chosen=good, rejected=bad),
        Preference(question="q", chosen=other, rejected=bad),
        Preference(question="q", chosen=other, rejected=good, tie=True),
    ]
    worth = {"good": 0.9, "bad": 0.5, "other": 0.2}
    report = audit(Says(lambda e: worth[e.response.text], kind="reward"), rows)
    assert report.pairs is not None
    assert report.pairs.mean == 0.5
    assert report.counts["responses"] == 3


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_a_critic_that_knows_the_chances_ships():
    report = shipped()
    assert (report.verdict, names(report)) == ("ship", [])
    assert report.use == WEIGHTED
    assert report.reference == MAJORITY
    assert "ship" in str(report)


def test_a_critic_that_is_no_better_than_chance_is_rejected():
    rng = random.Random(0)
    report = audit(Says(lambda _: rng.random()), ROWS)
    assert report.verdict == "reject"
    assert "chance" in report.reasons[0]


def test_a_critic_that_prefers_wrong_answers_is_rejected():
    report = audit(Says(lambda e: 1 - e.response.signals["p"]), ROWS)
    assert report.verdict == "reject"
    assert any("worse than" in reason for reason in report.reasons)


def test_a_critic_that_overrates_everything_is_advisory_until_it_is_calibrated():
    report = audit(Says(lambda e: min(1.0, 1.6 * KNOWS.value(e))), ROWS)
    assert report.verdict == "advisory"
    assert any("off by" in reason for reason in report.reasons)


def test_what_length_alone_tells_as_well_raises_an_alarm():
    """Right responses are short: a critic of length does as well as any, and so does a model of the surface."""
    rng = random.Random(5)
    rows = [
        Outcome(question=f"q{n}", response=Response(text="w" * rng.randint(5, 50) * (1 if right else 4)), value=right)
        for n in range(40)
        for right in (1.0, 0.0, 0.0)
    ]
    report = audit(Says(lambda e: 1 / (1 + len(e.response.text) / 50)), rows)
    assert "surface" in names(report)
    assert report.verdict != "ship"


def test_a_liking_for_length_raises_an_alarm():
    report = audit(Says(lambda e: len(e.response.text), kind="reward"), ROWS)
    assert "length" in names(report)
    assert report.verdict == "reject"


def test_a_liking_for_the_first_place_raises_an_alarm():
    class First:
        comparative = True

        def judge(self, examples: Sequence[Example]) -> list[Score]:
            return [Score(float(place == 0)) for place in range(len(examples))]

    report = audit(First(), ROWS)
    assert "place" in names(report)
    assert report.verdict == "reject"


def test_questions_that_it_was_trained_on_raise_an_alarm():
    report = audit(KNOWS, ROWS, trained=recorded(3, 1))
    assert names(report) == ["leak"]
    assert report.verdict == "advisory"
    assert names(known()) == []


def test_few_questions_raise_an_alarm_and_one_of_them_ships_nothing():
    assert "few" in names(audit(KNOWS, recorded(12, 6)))
    rows, critic = small(("a", 1, 0.9), ("a", 0, 0.1))
    assert audit(critic, rows).verdict == "reject"


def test_a_critic_is_told_better_by_a_paired_test():
    worse = audit(Says(lambda e: e.response.signals["p"] if len(e.response.text) % 2 else 0.5), ROWS)
    gap = known().better(worse, "pairs")
    assert gap is not None
    assert gap.low is not None
    assert gap.low > 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "hold nothing to audit by"),
        ([Demonstration(question="q", response=Response(text="x"))], "hold nothing to audit by"),
        ([Outcome(question="q", response=Response(text=t), value=1.0) for t in "xy"], "all 2 outcomes are 1"),
    ],
)
def test_rows_that_cannot_tell_are_refused_before_anything_is_asked(rows, said):
    with pytest.raises(TaskError, match=said):
        audit(KNOWS, rows)


def test_the_same_seed_gives_the_same_report_and_json_is_json():
    told = [known().to_json(), audit(KNOWS, ROWS).to_json()]
    for one in told:
        del one["cost"]
    assert json.dumps(told[0], allow_nan=False) == json.dumps(told[1], allow_nan=False)
    assert told[0]["verdict"] == known().verdict


# -- judges that are models --------------------------------------------------------------------------------------------

JUDGED = recorded(30, 4, seed=2)


def scripted(reply: Callable[[str, int], str]) -> Scripted:
    return Scripted(reply)


def reads_the_answer(prompt: str, draw: int) -> str:
    return "The answer is 7, which is right.\nsure" if "so it is 7" in prompt else "It is wrong.\nimpossible"


def test_an_honest_judge_is_asked_about_each_response_and_paid_for():
    model = scripted(reads_the_answer)
    report = audit(Value(samples=1), JUDGED, model=model, budget=tg.Budget(calls=500))
    assert report.pairs is not None
    assert report.pairs.mean == 1.0
    assert report.cost.usage.calls == len(JUDGED) == len(model.seen)
    assert report.cost.to_json()["calls"] == pytest.approx(1000)
    assert report.critic == "Value"


def test_a_model_is_asked_nothing_without_a_budget():
    with pytest.raises(TaskError, match="no budget is named"):
        audit(Value(), JUDGED, model=scripted(reads_the_answer))


def test_a_comparing_judge_sees_the_whole_set_at_once():
    model = scripted(lambda prompt, draw: "The best choice is 1")
    audit(Vote(votes=1), JUDGED, model=model, budget=tg.Budget(calls=500))
    assert len(model.seen) == 30
    assert all(request.messages[0].content.count("</choice") == 4 for request in model.seen)


BAD: dict[str, tuple[object, Callable[[str, int], str]]] = {
    "always the first": (Vote(votes=1), lambda prompt, draw: "The best choice is 1"),
    "always the first of two": (Pairwise(), lambda prompt, draw: '{"reason": "It is.", "verdict": "first"}'),
    "the longer": (Value(samples=1, scale=(0, 1000)), lambda prompt, draw: str(min(prompt.count("word"), 1000))),
    "inconsistent": (
        Value(samples=1, scale=(0, 10)),
        lambda prompt, draw: str(random.Random(prompt + str(draw)).randint(0, 10)),
    ),
    "refuses": (Value(samples=1), lambda prompt, draw: "I'm sorry, but I can't judge that."),
    "garbage": (Value(samples=1), lambda prompt, draw: "}{ \x00 nan \N{DUCK}"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_judge_is_rejected(name: str):
    critic, reply = BAD[name]
    report = audit(critic, JUDGED, model=scripted(reply), budget=tg.Budget(calls=2000))
    assert report.verdict == "reject", str(report)
    if name in ("refuses", "garbage"):
        assert report.counts["judged"] == 0
        assert report.abstained == {"abstained": len(JUDGED)}


def test_an_always_first_judge_promotes_nothing():
    """`Vote` shuffles, so its first place is anybody's; `Pairwise` asks in both orders, so it values nothing."""
    critic, reply = BAD["always the first"]
    report = audit(critic, recorded(60, 4, seed=9), model=scripted(reply), budget=tg.Budget(calls=2000))
    assert abs(report.ways[BEST].mean - report.ways[RANDOM].mean) < 0.15
    critic, reply = BAD["always the first of two"]
    report = audit(critic, JUDGED[:24], model=scripted(reply), budget=tg.Budget(calls=2000))
    assert report.counts["judged"] == 0
    assert "place" in names(report)


def test_an_audit_in_a_store_is_not_paid_twice(tmp_path):
    store, model = tmp_path / "runs.db", scripted(reads_the_answer)
    told = [
        audit(Value(samples=1), JUDGED[:40], model=model, budget=tg.Budget(calls=500), store=store).to_json()
        for _ in range(2)
    ]
    assert len(model.seen) == 40
    assert told[0]["pairs"] == told[1]["pairs"]
    assert told[0]["cost"]["calls"] == told[1]["cost"]["calls"]


def test_a_budget_that_ends_is_said_kept_to_and_gone_on_with(tmp_path):
    """Ten sets of four: fifteen calls pay for three. What was cut short is no abstention, and not paid again."""
    store, model = tmp_path / "runs.db", scripted(reads_the_answer)

    def again(calls: int) -> Report:
        how = {"model": model, "budget": tg.Budget(calls=calls), "store": store, "workers": 3}
        return audit(Value(samples=1), JUDGED[:40], **how)

    first = again(15)
    assert len(model.seen) <= 15
    assert "unasked" in names(first)
    assert first.counts["not asked"] == 7
    assert dict(first.abstained) == {}
    last = again(40)
    assert len(model.seen) == 40
    assert "unasked" not in names(last)
    assert last.counts["judged"] == 40


def test_a_step_critic_sees_the_contents_that_were_recorded():
    """A critic of a task reads thoughts, not words: here the digits, whose sum it values."""
    steps = Response(text="1 2", steps=("one", "two"), contents=([1], [1, 2]))
    rows = [
        StepTrace(question="q", problem={"digits": 2}, response=steps, counts=((1, 4), (4, 4))),
        StepTrace(question="p", response=Response(text="x", steps=("x",)), first_error=1),
    ]
    seen = []

    def critic(states: Sequence[tg.State]) -> list[Score]:
        seen.append([(state.content, len(state.path), state.problem) for state in states])
        return [Score(float(sum(state.content)) if isinstance(state.content, list) else 0.0) for state in states]

    report = audit(critic, rows)
    told = next(one for one in seen if len(one) == 2)
    assert sorted(told, key=str) == [([1, 2], 3, {"digits": 2}), ([1], 2, {"digits": 2})]
    assert report.pairs is not None
    assert report.pairs.mean == 1.0


def test_what_is_no_critic_is_refused():
    with pytest.raises(TaskError, match="expected one with judge"):
        audit("value", JUDGED)


def test_async_code_awaits_it():
    import asyncio

    from thoughtgraph.recipes.audit import aaudit

    assert asyncio.run(aaudit(KNOWS, ROWS)).verdict == known().verdict


# -- what would be lost, or flatter ------------------------------------------------------------------------------------


def test_the_merit_of_probabilities_is_that_of_those_that_the_critic_gives():
    report = audit(Says(lambda e: 0.98 * e.response.signals["p"]), recorded(200, 4, seed=4))
    own, other = report.reliability
    assert (report.verdict, own.name) == ("ship", "as it says")
    assert f"{own.ece.mean:.3f}" != f"{other.ece.mean:.3f}"
    assert f"Its probabilities are off by {own.ece.mean:.3f} in the mean." in report.reasons


def test_preferences_say_nothing_of_how_likely_a_response_is_right():
    good, bad = Response(text="good"), Response(text="bad")
    rows = [Preference(question=f"q{n}", chosen=good, rejected=bad) for n in range(30)]
    report = audit(Says(lambda e: 0.7 if e.response.text == "good" else 0.6), rows)
    assert (report.reliability, report.auc, report.verdict) == ((), None, "advisory")
    assert "cannot be checked" in report.reasons[-1]


def test_a_response_preferred_to_itself_says_nothing():
    same, other = Response(text="same"), Response(text="other")
    rows = [Preference(question="q", chosen=same, rejected=one) for one in (same, other)]
    report = audit(Says(lambda e: float(e.response.text == "same")), rows)
    assert report.pairs is not None
    assert report.pairs.mean == 1.0
    with pytest.raises(TaskError, match="tell no response from another"):
        audit(KNOWS, rows[:1])


def test_values_whose_sums_are_no_numbers_are_refused():
    with pytest.raises(TaskError, match="at most 1e\\+100"):
        audit(Says(lambda e: 1e308, kind="reward"), ROWS)


@pytest.mark.parametrize("how", [{"slices": {"odd": lambda _: 1 // 0}}, {"same": lambda _: 1 // 0}])
def test_what_cannot_be_cut_or_compared_is_known_before_anything_is_paid(how):
    def asked(prompt: str, draw: int) -> str:
        raise AssertionError("asked")

    with pytest.raises(ZeroDivisionError):
        audit(Value(samples=1), ROWS, model=Scripted(asked), budget=tg.Budget(calls=100), **how)


class Slow(Scripted):
    """It refuses the second question at once, and answers the others later."""

    async def __call__(self, request, n):
        if "number 1?" in str(request.messages):
            raise Unauthorized("no key")
        await asyncio.sleep(0.2)
        return await super().__call__(request, n)


def test_what_is_in_flight_when_an_audit_fails_is_recorded_for_it_is_paid(tmp_path):
    rows, path = recorded(8, 2), tmp_path / "runs.db"
    with pytest.raises(RunFailed):
        audit(Value(samples=1), rows, model=Slow(lambda _, __: "sure"), budget=tg.Budget(calls=100), store=path)
    with contextlib.closing(SQLiteStore(path, read_only=True)) as kept:
        assert sum(any(isinstance(event, Scored) for event in kept.events(run)) for run in kept.runs()) == 7


def test_a_tight_budget_judges_what_it_pays_for_and_rejects_nobody():
    rows = recorded(40, 4)
    model = Scripted(lambda _, draw: "sure" if draw % 2 else "impossible")
    report = audit(Value(samples=3), rows, model=model, budget=tg.Budget(calls=100))
    assert report.counts["judged"] >= 4 * (100 // 12) - 4  # a set costs twelve calls
    assert report.cost.usage.calls <= 100
    assert report.verdict == "advisory"
    assert "paid for this audit" in str(report)


def test_where_nothing_was_asked_nothing_is_said_of_the_critic():
    model = Scripted(lambda _, __: "sure")
    with pytest.raises(TaskError, match=r"nothing could be judged \(the budget of .* is spent\)"):
        audit(Value(samples=3), recorded(8, 4), model=model, budget=tg.Budget(calls=5))


def test_what_a_judge_said_that_nobody_could_read_is_quoted():
    model = Scripted(lambda _, __: "gurgle")
    report = audit(Value(samples=1), recorded(20, 2), model=model, budget=tg.Budget(calls=500))
    assert "gurgle" in str(report)


# -- private rows ------------------------------------------------------------------------------------------------------


def private(models: tuple[str, ...], rows: Sequence[Outcome]) -> list[Outcome]:
    return [replace(row, labels=(spelt(Labels(models=models)),)) for row in rows]


class Remote(Scripted):
    """A model by a name from outside."""

    @property
    def name(self) -> str:
        return "openai:big"


MIXED = [*private(("local:*",), JUDGED[:40]), *JUDGED[40:]]


def test_rows_that_the_model_may_not_see_are_left_out_counted_and_said():
    model = Remote(reads_the_answer)
    report = audit(Value(samples=1), MIXED, model=model, budget=tg.Budget(calls=500))
    assert report.counts["withheld"] == 40
    assert report.counts["judged"] == len(model.seen) == 80
    assert (
        report.alarms[0].says
        == "40 of 120 rows rest on private knowledge that openai:big may not see: they are left out."
    )
    sent = {request.messages[-1].content for request in model.seen}
    assert not any(f"number {number}?" in text for text in sent for number in range(10))


def test_a_model_that_may_see_them_is_asked_about_all():
    model = scripted(reads_the_answer)
    report = audit(Value(samples=1), MIXED, model=model, budget=tg.Budget(calls=500))
    assert (report.counts["withheld"], len(model.seen)) == (0, 120)
    assert "unasked" not in names(report)


@pytest.mark.parametrize("how", ["model", "models", "own"])
def test_an_audit_of_which_every_row_is_withheld_is_refused_whoever_names_the_model(how: str):
    model, local = Remote(reads_the_answer), scripted(reads_the_answer)
    asked = {
        "model": {"model": model},
        "models": {"model": local, "models": {"critic": model}},
        "own": {"model": local},
    }
    critic = Value(samples=1, model=model if how == "own" else None)
    with pytest.raises(TaskError, match="120 of 120 rows rest on private knowledge that openai:big may not see"):
        audit(critic, private(("local:*",), JUDGED), budget=tg.Budget(calls=500), **asked[how])
    assert model.seen == []


def test_a_critic_that_hides_its_model_gets_no_word_to_it():
    model = Remote(reads_the_answer)

    async def sly(states):
        replies = await asyncio.gather(*(state.ask(Value().prompter, 1, model=model) for state in states))
        return [Score(float(len(reply))) for reply in replies]

    with pytest.raises(RunFailed, match="which openai:big may not see"):
        audit(sly, private(("local:*",), JUDGED), model=scripted(reads_the_answer), budget=tg.Budget(calls=500))
    assert model.seen == []


def test_what_judges_here_and_asks_no_model_sees_all_rows():
    report = audit(KNOWS, private((), ROWS))
    assert report.counts["withheld"] == 0
    assert report.counts["judged"] == len(ROWS)
