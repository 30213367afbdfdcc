"""Jury: several critics of one set, and how far each of them can be trusted."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

import thoughtgraph as tg
from thoughtgraph.critics import Value, Vote
from thoughtgraph.critics.expected import Expected
from thoughtgraph.critics.jury import Jury
from thoughtgraph.critics.rubric import Rubric
from thoughtgraph.critics.trust import reliability
from thoughtgraph.engine import Engine
from thoughtgraph.errors import TaskError
from thoughtgraph.model import Completion, Request
from thoughtgraph.models import Scripted
from thoughtgraph.testing import RUN, CriticContract, finish, picture, prefix

SCALE = (0, 10)


def saying(*values: float | None, ito: str = "proxy"):
    """A juror who asks nobody, and says the same of each thought in turn."""

    def juror(states: Sequence[tg.State]) -> list[tg.Score]:
        return [
            tg.Score(None, status="abstained") if value is None else tg.Score(value, f"said {value}")
            for value in (values * len(states))[: len(states)]
        ]

    juror.ito = ito
    return juror


def breaking(states: Sequence[tg.State]) -> list[tg.Score]:
    raise RuntimeError("out of order")


async def judge(search: tg.Search) -> None:
    await search.score(await search.expand(search.root))


def task(jury: Jury, *thoughts: str) -> tg.Task:
    drafts = [tg.Draft(text) for text in thoughts or ("add",)]
    return tg.Task("4 9 10 13", actions={"step": lambda state, n: drafts}, critics={"jury": jury})


def run(jury: Jury, *thoughts: str, model: Scripted | None = None) -> tg.Result:
    return tg.solve(task(jury, *thoughts), policy=judge, model=model, budget=tg.Budget(calls=50))


def scores(result: tg.Result) -> list[tg.Score]:
    return [score for thought in result.graph for score in result.graph.scores(thought)]


def one(jury: Jury, model: Scripted | None = None) -> tg.Score:
    (score,) = scores(run(jury, model=model))
    return score


def asks(word: str):
    """A prompter of its own."""
    return lambda x, passages, thoughts, scores: tg.Prompt(ask=f"{word}: {thoughts[-1].text}?")


class TestTheContract(CriticContract):
    critic = Jury({"strict": Value(asks("strict"), samples=1), "kind": Value(asks("kind"), samples=1)})
    reply = ("so\nlikely", "fine\nsure")


class TestTheContractOfAJuryThatCompares(CriticContract):
    critic = Jury([Value(samples=1), Vote(votes=1)])
    reply = ("sure",)


# -- one value of several ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "value"),
    [
        ({}, 0.5),
        ({"combine": "median"}, 0.6),
        ({"combine": "min"}, 0.1),
        ({"combine": "weighted", "weights": {"a": 3, "b": 1, "c": 0}}, (3 * 0.1 + 0.6) / 4),
        ({"pessimism": 2.0}, 0.5 - 2 * 0.13),
    ],
)
def test_the_values_of_the_jurors_become_one(how, value):
    score = one(Jury({"a": saying(0.1), "b": saying(0.6), "c": saying(0.8)}, **how))
    assert score.value == pytest.approx(value)
    assert score.parts == {"a": 0.1, "b": 0.6, "c": 0.8}
    assert score.feedback == "said 0.1"


def test_the_spread_is_the_standard_error_over_jurors():
    score = one(Jury([saying(0.1), saying(0.6), saying(0.8)]))
    assert (score.spread, score.samples) == (pytest.approx((0.13 / 3) ** 0.5), 3)
    assert list(score.parts) == ["juror 1", "juror 2", "juror 3"]
    equal = one(Jury({"a": saying(0.1), "b": saying(0.6)}, "weighted", weights={"a": 2, "b": 2}))
    assert equal.spread == pytest.approx(one(Jury({"a": saying(0.1), "b": saying(0.6)})).spread)


@pytest.mark.parametrize("weights", [(1, 1e-17), (1e300, 1e300), (1e-300, 1e-300), (1e300, 1e-300), (5e-324, 5e-324)])
def test_weights_of_any_size_have_a_mean_and_a_spread(weights: tuple[float, float]):
    a, b = weights
    score = one(Jury({"a": saying(0.2), "b": saying(0.6)}, "weighted", {"a": a, "b": b}, pessimism=0.1))
    mean, variance = (0.4, 0.08) if a == b else (0.2, 0.08 if a == 1 else 0)
    assert score.value == pytest.approx(mean - 0.1 * variance)
    assert (score.spread or 0) ** 2 == pytest.approx(variance / (2 if a == b else 1))


def test_a_juror_that_abstains_is_left_out_of_that_thought_alone():
    first, second = scores(run(Jury({"a": saying(0.2, 0.2), "b": saying(None, 0.8)}), "add", "take"))
    assert (first.value, first.parts) == (0.2, {"a": 0.2})
    assert first.details == {"judged": 1, "left out": 1, "said": {"b": "abstained"}}
    assert (second.value, second.details) == (0.5, {"judged": 2, "left out": 0})


def test_a_juror_that_fails_is_left_out_and_counted():
    result = run(Jury({"a": saying(0.2), "b": breaking}))
    (score,) = scores(result)
    assert (score.value, score.status) == (0.2, "ok")
    assert score.details["said"] == {"b": "RuntimeError: out of order"}
    assert result.outcomes["juror failed"] == 1


def test_where_all_abstain_it_abstains():
    score = one(Jury([saying(None), saying(None)], "min"))
    assert (score.value, score.status, score.samples, score.details["left out"]) == (None, "abstained", 0, 2)


def test_where_all_fail_it_fails_and_is_no_score():
    engine = Engine(task(Jury([breaking, breaking])), judge, store=tg.MemoryStore(), run=RUN)
    with pytest.raises(tg.RunFailed, match="out of order"):
        finish(engine.start())


def test_a_juror_without_weight_is_heard_and_decides_nothing():
    jury = Jury({"a": saying(None, 0.4), "b": saying(0.9)}, "weighted", weights={"a": 1, "b": 0})
    first, second = scores(run(jury, "add", "take"))
    assert (first.value, first.status, first.parts) == (None, "abstained", {"b": 0.9})
    assert (second.value, second.feedback) == (0.4, "said 0.4")


def test_a_juror_that_breaks_its_contract_is_wrong_plumbing():
    with pytest.raises(TaskError, match="'b' returned 0 scores for 1 thoughts"):
        one(Jury({"a": saying(0.2), "b": lambda states: []}))


def test_it_is_an_environment_only_if_every_juror_is():
    world, stand_in = saying(1, ito="environment"), saying(1)
    assert Jury([world, world]).ito == "environment"
    assert Jury([world, stand_in]).ito == Jury([saying(1)]).ito == "proxy"
    assert run(Jury([world, stand_in])).ito == "proxy"


def test_jurors_with_models_of_their_own_speak_to_them():
    kind, strict = Scripted(["fine\n9"], model="kind"), Scripted(["vague\n1"], model="strict")
    score = one(Jury({name: Value(scale=SCALE, samples=1, model=m) for name, m in [("k", kind), ("s", strict)]}))
    assert (score.parts, score.value, score.feedback) == ({"k": 0.9, "s": 0.1}, 0.5, "vague")


def test_a_run_knows_before_it_begins_what_the_jurors_need():
    @dataclass(frozen=True)
    class Judging:
        critic: str = "jury"
        action: str = "step"

        async def __call__(self, search: tg.Search) -> None:
            await search.score(await search.expand(search.root), self.critic)

    with pytest.raises(TaskError, match="the run has none"):
        tg.solve(task(Jury([saying(1), Value()])), policy=Judging(), budget=tg.Budget(calls=5))
    assert not hasattr(Jury([saying(1), Value(model=Scripted(["sure"]))]), "model")
    assert Jury([saying(1), Expected()]).logprobs
    assert not Jury([Value(), Expected(without="samples")]).logprobs
    tg.solve(task(Jury([saying(1)])), policy=Judging())


# -- comparing -----------------------------------------------------------------------------------------------------


def comparing(*sets: Sequence[int], value: float | None = 0.5):
    """A juror who compares the thoughts in these sets of their places."""

    def juror(states: Sequence[tg.State]) -> list[tg.Score]:
        ids = [state.thought.id for state in states]
        mine = [next(s for s in sets if place in s) for place in range(len(ids))]
        return [tg.Score(value, details={"compared": sorted(ids[place] for place in one)}) for one in mine]

    juror.comparative = True
    return juror


def test_a_jury_with_a_juror_who_compares_only_compares():
    result = run(Jury([saying(0.5), comparing((0, 1, 2))]), "a", "b", "c")
    _, a, b, c = result.graph
    assert Jury([saying(0.5), comparing((0,))]).comparative
    assert not Jury([saying(0.5)]).comparative
    assert result.graph.compared(a) == tuple(sorted((a.id, b.id, c.id)))


def test_values_are_compared_within_what_the_sets_of_all_jurors_have_in_common():
    result = run(Jury([comparing((0, 1), (2, 3)), comparing((0,), (1, 2, 3))]), "a", "b", "c", "d")
    _, a, b, c, d = result.graph
    assert [result.graph.compared(thought) for thought in (a, b)] == [(a.id,), (b.id,)]
    assert result.graph.compared(c) == result.graph.compared(d) == tuple(sorted((c.id, d.id)))
    with pytest.raises(TaskError, match="different sets"):
        result.graph.best("jury")


def test_where_the_one_who_compares_abstains_the_set_is_what_was_judged():
    result = run(Jury([saying(0.5), comparing((0,), (1,), value=None)]), "a", "b")
    _, a, b = result.graph
    assert result.graph.compared(a) == tuple(sorted((a.id, b.id)))


def test_a_jury_may_sit_in_a_jury():
    inner = Jury({"x": saying(0.2), "vote": comparing((0,))})
    score = one(Jury({"inner": inner, "y": saying(0.7)}))
    assert (score.parts, len(score.details["compared"])) == ({"inner": 0.35, "y": 0.7}, 1)


# -- several in one effect -----------------------------------------------------------------------------------------


def by_prompt(prompt: str, draw: int) -> str:
    """Replies by the prompt alone, of which some are of no use."""
    rng = random.Random(prompt)
    if "criteria" in prompt:
        fits = "does not fit" in prompt or rng.random() < 0.5
        return f'{{"sound": {{"reason": "so", "mark": {rng.randint(1, 5) if fits else 9}}}}}'
    if "<choice" in prompt:
        return f"The best choice is {rng.randint(1, 3)}"
    return "who knows" if rng.random() < 0.3 else f"so\n{rng.randint(0, 10)}"


def several() -> Jury:
    return Jury({
        "strict": Value(asks("strict"), scale=SCALE, samples=2),
        "kind": Value(asks("kind"), scale=SCALE, samples=1),
        "rubric": Rubric({"sound": "Is it?"}, samples=2),
        "twin": Rubric({"sound": "Is it?"}, samples=2),
        "vote": Vote(votes=2),
        "other vote": Vote(votes=2),
    })  # fmt: skip


async def two_sets(search: tg.Search) -> tg.Thought | None:
    await search.score(await search.expand(search.root))
    return None


def engine(store: tg.MemoryStore, model: Scripted, seed: int = 3) -> Engine:
    return Engine(task(several(), "a", "b", "c"), two_sets, store=store, run=RUN, model=model, seed=seed)


def test_jurors_share_an_effect_and_resume_from_every_prefix_of_its_journal():
    whole = engine(tg.MemoryStore(), Scripted(by_prompt))
    result = finish(whole.start())
    assert all(len(score.parts or {}) >= 4 for score in scores(result))
    events, records = whole.store.events(RUN), whole.store.records(RUN)
    places = Counter((r.key, r.part, r.draw + i) for r in records if r.kind == "sent" for i in range(r.n))
    assert max(places.values()) == 1, "two jurors share a place in the journal"
    for length in range(len(records) + 1):
        model = Scripted(by_prompt)
        store = prefix(events[:2], records[:length])
        again = finish(engine(store, model).resume())
        assert picture(again.graph) == picture(result.graph)
        settled = sum(len(record.replies) for record in records[:length] if record.kind == "settled")
        drawn = sum(r.n for r in store.records(RUN)[length:] if r.kind == "sent")
        assert drawn == sum(places.values()) - settled, "a call that was journalled is paid again, or one is missing"


def test_two_jurors_with_one_prompt_and_one_model_have_two_opinions():
    score = one(Jury([Value(samples=1), Value(samples=1)]), Scripted(["so\nsure", "so\nimpossible"]))
    assert list((score.parts or {}).values()) == [1.0, 0.00005]


@dataclass(frozen=True)
class Looking:
    """A juror who looks twice at something outside, and shakes its mark a little."""

    first: int
    pauses: dict[int, float] = field(repr=False)

    async def __call__(self, states: Sequence[tg.State]) -> list[tg.Score]:
        return [await self.look(state) for state in states]

    async def look(self, state: tg.State) -> tg.Score:
        one = await state.act("look", lambda: self.first)
        for _ in range(int(self.pauses[self.first])):
            await asyncio.sleep(0)
        two = await state.act("look", lambda: self.first + 1)
        return tg.Score(10 * one + two + state.rng.random() / 2)


def looked(store: tg.MemoryStore, *pauses: int, resume: bool = False) -> tg.Result:
    jury = Jury({"a": Looking(1, dict(zip((1, 3), pauses, strict=True))), "b": Looking(3, {3: pauses[1]})})
    made = Engine(task(jury), judge, store=store, run=RUN, seed=1)
    return finish(made.resume() if resume else made.start())


def test_jurors_who_act_under_one_name_keep_their_own_whoever_is_first():
    store = tg.MemoryStore()
    slow_first = scores(looked(store, 20, 0))[0].parts or {}
    assert {name: int(value) for name, value in slow_first.items()} == {"a": 12, "b": 34}
    events, records = store.events(RUN), store.records(RUN)
    for length in range(len(records) + 1):
        again = looked(prefix(events[:2], records[:length]), 0, 20, resume=True)
        assert scores(again)[0].parts == slow_first


@dataclass(frozen=True, eq=False)
class Slow(Scripted):
    """A model that answers after the others."""

    async def __call__(self, request: Request, n: int) -> Completion:
        for _ in range(50):
            await asyncio.sleep(0)
        return await super().__call__(request, n)


def test_where_the_budget_ends_for_one_juror_what_the_others_asked_for_is_waited_for():
    async def dear(states: Sequence[tg.State]) -> list[tg.Score]:
        await asyncio.sleep(0)
        await states[0].act("look", lambda: 1, calls=9)
        return [tg.Score(1.0)]

    model = Slow(["so\nsure"])
    store = tg.MemoryStore()
    made = Engine(
        task(Jury([dear, Value(samples=1)])), judge, store=store, run=RUN, model=model, budget=tg.Budget(calls=5)
    )
    assert finish(made.start()).reason == "budget"
    assert [len(record.replies) for record in store.records(RUN) if record.kind == "settled"] == [1]


@pytest.mark.parametrize(
    "settings",
    [
        {"critics": []},
        {"critics": {}},
        {"critics": ["value"]},
        {"critics": "value"},
        {"critics": [saying(1)], "combine": "mode"},
        {"critics": [saying(1)], "combine": "weighted"},
        {"critics": [saying(1)], "weights": {"juror 1": 1}},
        {"critics": [saying(1)], "combine": "weighted", "weights": {"a": 1}},
        {"critics": [saying(1)], "combine": "weighted", "weights": {"juror 1": 0}},
        {"critics": [saying(1)], "combine": "weighted", "weights": {"juror 1": float("nan")}},
        {"critics": [saying(1)], "pessimism": -1},
        {"critics": [saying(1)], "pessimism": float("inf")},
        {"critics": [saying(1)], "combine": "min", "pessimism": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValueError, match=r"expected|leave one|belong together|no juror"):
        Jury(**settings)


# -- how far can each be trusted? ----------------------------------------------------------------------------------


def planted(seed: int, gammas: Sequence[float], noises: Sequence[float], items: int = 400):
    """Marks z_jk = gamma_k s_j + noise, with the s that they were made of."""
    rng = random.Random(seed)
    truth = [rng.gauss(0, 1) for _ in range(items)]
    judges = list(zip(gammas, noises, strict=True))
    return [[gamma * s + noise * rng.gauss(0, 1) for gamma, noise in judges] for s in truth], truth


def correlation(x: Sequence[float], y: Sequence[float]) -> float:
    import numpy as np

    return float(np.corrcoef(x, y)[0, 1])


@pytest.mark.parametrize("seed", range(3))
def test_planted_reliabilities_are_found_from_agreement_alone(seed: int):
    marks, truth = planted(seed, (1, 0.6, 0.4, 0), (0.5, 1, 1, 1), items=1500)
    found = reliability(marks, names=("a", "b", "c", "d"))
    for name, right in [("a", 0.894), ("b", 0.514), ("c", 0.371)]:
        assert found.accuracy[name] == pytest.approx(right, abs=0.12)
    assert found.weights["a"] > found.weights["b"] > found.weights["c"] > found.weights["d"] == 0
    assert sum(found.weights.values()) == pytest.approx(1)
    assert any(note.startswith("d has the weight 0: it agrees only by chance") for note in found.notes)
    weighted = [sum(w * z for w, z in zip(found.weights.values(), row, strict=True)) for row in marks]
    assert correlation(weighted, truth) > correlation([sum(row) for row in marks], truth) + 0.03


def test_gold_measures_what_agreement_infers():
    marks, truth = planted(5, (1, 0.6, 0.4), (0.5, 1, 1))
    inferred, measured = reliability(marks), reliability(marks, gold=truth)
    assert (inferred.gold, measured.gold) == (False, True)
    for name in inferred.weights:
        assert inferred.weights[name] == pytest.approx(measured.weights[name], abs=0.1)
    some = reliability(marks, gold=[s if j % 2 else None for j, s in enumerate(truth)])
    assert some.weights["juror 1"] == pytest.approx(measured.weights["juror 1"], abs=0.1)


def test_gold_finds_the_good_judge_among_those_who_share_a_prejudice():
    rng = random.Random(0)
    truth, prejudice = [[rng.gauss(0, 1) for _ in range(300)] for _ in range(2)]
    marks = [[s + rng.gauss(0, 0.5), *(p + rng.gauss(0, 0.5) for _ in range(3))] for s, p in zip(truth, prejudice)]  # noqa: B905
    assert reliability(marks).weights["juror 1"] == 0
    assert reliability(marks, gold=truth).weights["juror 1"] == 1


def test_marks_that_are_missing_cost_no_judge_its_weight():
    marks, _ = planted(1, (1, 0.6, 0.4), (0.5, 1, 1), items=1000)
    rng = random.Random(2)
    gaps = [[None if rng.random() < 0.4 else mark for mark in row] for row in marks]
    whole, holey = reliability(marks), reliability(gaps)
    for name in whole.weights:
        assert holey.weights[name] == pytest.approx(whole.weights[name], abs=0.1)


def test_verdicts_are_weighed_by_their_log_odds_and_a_yes_man_has_none():
    rng = random.Random(4)
    truth = [rng.random() < 0.7 for _ in range(600)]
    right = (0.9, 0.75, 0.7, 0.5)
    marks = [[float(yes == (rng.random() < share)) for share in right] + [1.0] for yes in truth]
    found = reliability(marks, names=("a", "b", "c", "coin", "yes"))
    for name, share in zip("abc", right, strict=False):
        assert found.accuracy[name] == pytest.approx(share, abs=0.08)
    assert found.weights["a"] > found.weights["b"] > 0
    assert found.weights["coin"] == found.weights["yes"] == 0
    assert "yes has the weight 0: it gave all items the same mark" in found.notes
    measured = reliability(marks, gold=[float(one) for one in truth])
    odds = 2 * 2.197  # log(.9 / .1) among the good and among the bad
    assert measured.weights["juror 1"] / measured.weights["juror 2"] == pytest.approx(odds / (2 * 1.099), rel=0.25)


def test_a_judge_who_contradicts_the_others_is_not_listened_to():
    marks, _ = planted(0, (1, 1, 1, -1), (0.7, 0.7, 0.7, 0.7))
    found = reliability(marks)
    assert found.weights["juror 4"] == 0
    assert any("juror 4 has the weight 0: it contradicts the others" in note for note in found.notes)


def test_judges_who_know_nothing_have_no_weight_and_make_no_jury():
    marks, _ = planted(3, (0, 0, 0), (1, 1, 1))
    found = reliability(marks)
    assert found.weights == {"juror 1": 0, "juror 2": 0, "juror 3": 0}
    assert "no judge carries anything" in found.notes
    with pytest.raises(TaskError, match="all weights are 0"):
        Jury([saying(1)] * 3, "weighted", weights=found.weights)


def test_copies_of_one_judge_are_pointed_out():
    marks, _ = planted(0, (1, 1), (0.7, 0.7))
    found = reliability([[a, a, b] for a, b in marks])
    assert "juror 1 and juror 2 say the same of all items: leave one of them out" in found.notes


def test_two_judges_are_equal_and_it_is_said_that_nobody_can_tell():
    marks, _ = planted(0, (1, 1), (0.2, 0.9))
    found = reliability(marks)
    assert found.weights["juror 1"] / found.weights["juror 2"] == pytest.approx(1, abs=0.5)
    assert any(note.startswith("fewer than three judges agree") for note in found.notes)


def test_the_scale_of_a_judge_makes_no_difference_to_what_its_word_is_worth():
    marks, _ = planted(0, (1, 0.6, 0.6), (0.5, 1, 1))
    wide = reliability([[a, 100 * b + 7, c] for a, b, c in marks])
    assert wide.accuracy["juror 2"] == pytest.approx(reliability(marks).accuracy["juror 2"], abs=1e-6)
    assert 100 * wide.weights["juror 2"] == pytest.approx(wide.weights["juror 3"], rel=0.5)


@pytest.mark.parametrize(
    ("marks", "how", "words"),
    [
        ([], {}, "no rows"),
        ([[]] * 20, {}, "no rows"),
        ([[1, 2]] * 19 + [[1]], {}, "different lengths"),
        ([[1, 2]] * 9, {}, "9 items"),
        ([[1]] * 20, {}, "one judge"),
        ([[1, float("nan")]] * 20, {}, "nan"),
        ([[1, 2]] * 20, {"gold": [1.0]}, "1 of gold"),
        ([[1, 2]] * 20, {"gold": [None] * 15 + [1.0] * 5}, "5 items"),
        ([[0, 1]] * 20, {"gold": [1.0] * 20}, "1 different values"),
        ([[1, 2]] * 20, {"names": ["a", "a"]}, "2 different ones"),
    ],
)
def test_marks_that_tell_nothing_are_refused(marks, how, words):
    with pytest.raises(TaskError, match=words):
        reliability(marks, **how)


def test_judges_who_marked_nothing_together_cannot_be_told():
    found = reliability([[1.0 * j, None, None] if j % 2 else [None, 2.0 * j, None] for j in range(30)])
    assert set(found.weights.values()) == {0}
    assert found.accuracy["juror 3"] is None
