"""The audit of a critic (Gao et al., 2023; Lambert et al., 2024): what it is worth, on responses of known outcome.

A critic stands in for an evaluator that is not there when it is needed, and search seeks out its faults. So it is
tried on recorded responses, and beside everything that chooses without it: chance, votes, length.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias, Unpack, cast

from thoughtgraph.api import as_model, as_models
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.equivalence import canonical
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.labels import first_error
from thoughtgraph.learning.learned import Trained
from thoughtgraph.learning.rows import (
    AnyRow,
    Outcome,
    Preference,
    Response,
    Row,
    StepTrace,
    by_question,
    labels_of,
)
from thoughtgraph.learning.splits import leaks
from thoughtgraph.model import Model
from thoughtgraph.recipes import audit_figures as figures
from thoughtgraph.recipes.audit_figures import BEST, FIRST, LAST, MAJORITY, RANDOM, WEIGHTED, Judged
from thoughtgraph.recipes.audit_report import Alarm, Cost, Report, Speaks, alarms_of, decide
from thoughtgraph.recipes.runs import patiently
from thoughtgraph.recipes.scoring import Asked, Asking, Put, ask, models_of, shown
from thoughtgraph.statistics import Interval, difference, interval
from thoughtgraph.thought import Json, Score

Same: TypeAlias = Callable[[Json], Hashable | None]
"""The form under which answers are compared, None where one cannot be."""

HUGE = 1e100
"""No value may be larger: means and squares of larger ones are no numbers any more."""


def audit(
    critic: object,
    rows: Iterable[AnyRow],
    *,
    trained: Iterable[AnyRow] = (),
    slices: Mapping[str, Callable[[Example], str]] | None = None,
    same: Same = canonical,
    name: str = "",
    **how: Unpack[Asking],
) -> Report:
    """Try a critic on rows of known outcome: what its verdicts are worth, what they cost, and whether to use it.

    `rows` are outcomes (several responses to a question), preferences, or step traces; what was recorded without an
    outcome is of no use here. A critic with `judge(examples)` is asked directly; any other one, as an LLM judge, is
    asked in runs that replay the responses, with `model`, `models`, `base_url`, `price`, `cache` and `retry` as in
    `solve`, and within one `budget` for the whole audit, which must be named where a model is asked. With a `store` it
    goes on where it was stopped, and is read at no cost when it is done. Responses are shown in an order of chance,
    drawn from `seed`.

    `trained` are rows that the critic was trained on, where it does not say so itself. `slices` are more ways to cut
    the responses, by name: from an example to the name of its slice. `same` gives the form under which answers are
    compared. For the verdict, see `RULE`.

    Rows with labels of private knowledge go only to models that all of them allow: the others are left out, counted as
    "withheld", and raise an alarm.

    Raises `TaskError` where the rows cannot tell anything: none, none with an outcome, or all of one class; and where
    its models may see none of them.
    """
    kept = "audit again with the same store to go on" if how.get("store") else "nothing is kept without a store"
    return patiently(
        lambda: aaudit(critic, rows, trained=trained, slices=slices, same=same, name=name, **how), f"stopped: {kept}"
    )


async def aaudit(
    critic: object,
    rows: Iterable[AnyRow],
    *,
    trained: Iterable[AnyRow] = (),
    slices: Mapping[str, Callable[[Example], str]] | None = None,
    same: Same = canonical,
    name: str = "",
    **how: Unpack[Asking],
) -> Report:
    """`audit` for code that is async already."""
    given = list(rows)
    told, withheld = shown(given, _models(critic, how))
    sets, seed = [(put, _formed(known, same)) for put, known in sets_of(told)], how.get("seed", 0)
    _tellable(told, [known for _, known in sets])
    _cuttable([known for _, known in sets], slices or {})
    puts = [put for put, _ in sets]
    asked = await ask(critic, puts, **how)
    bare = uncalibrated(critic) if hasattr(critic, "judge") else None  # nothing is paid for a second time
    raw = None if bare is None else (await ask(bare, puts, **how)).scores
    if not any(asked.scores):
        raise TaskError(
            f"nothing could be judged ({asked.stopped or 'no run came to its end'}): name a larger budget; with a "
            "store, what was paid is there"
        )
    judged = [
        _judged(put, blank, scores, raw[i] if raw else None, seed)
        for i, ((put, blank), scores) in enumerate(zip(sets, asked.scores, strict=True))
        if scores is not None
    ]
    alarms = [Alarm("unasked", f"{withheld}.")] if withheld else []
    return await asyncio.to_thread(
        _report, critic, told, judged, asked, _leaks(critic, told, list(trained)), slices or {}, name, seed,
        len(given) - len(told), alarms,
    )  # fmt: skip


def _models(critic: object, how: Mapping[str, Any]) -> list[Model]:
    """The models that a critic is asked with."""
    if hasattr(critic, "judge"):
        return []
    main = as_model(how.get("model"), how.get("base_url"), how.get("price"))
    roles = as_models(how.get("models"), main, how.get("base_url"))
    return [model for model in models_of(critic, roles.get("critic", main)) if model]


# -- from rows to what is asked --------------------------------------------------------------------------------------


def sets_of(rows: Sequence[AnyRow]) -> list[tuple[Put, Judged]]:
    """What is put to the critic, and beside it what is known of it."""
    outcomes = by_question(row for row in rows if isinstance(row, Outcome))
    preferred = by_question(row for row in rows if isinstance(row, Preference) and not row.tie)
    traces = [row for row in rows if isinstance(row, StepTrace) and row.response.steps]
    return [
        *(_outcomes(group) for group in outcomes.values()),
        *(_preferences(group) for group in preferred.values()),
        *(_steps(row, number) for number, row in enumerate(traces)),
    ]


def _outcomes(rows: Sequence[Outcome]) -> tuple[Put, Judged]:
    examples = tuple(_example(row, row.response) for row in rows)
    known = Judged(rows[0].id, examples, (), tuple(row.value for row in rows), ())
    return Put(f"{rows[0].id}/outcomes", examples, labels=labels_of(*rows)), known


def _preferences(rows: Sequence[Preference]) -> tuple[Put, Judged]:
    """All responses that were compared, each once."""
    found = list[Response]()
    for row in rows:
        found += [response for response in (row.chosen, row.rejected) if response not in found]
    duels = tuple((found.index(row.chosen), found.index(row.rejected)) for row in rows if row.chosen != row.rejected)
    examples = tuple(_example(rows[0], response) for response in found)
    won, lost = Counter(better for better, _ in duels), Counter(worse for _, worse in duels)
    worth = tuple(won[i] / n if (n := won[i] + lost[i]) else None for i in range(len(found)))
    return Put(f"{rows[0].id}/preferences", examples, labels=labels_of(*rows)), Judged(
        rows[0].id, examples, (), worth, (), duels=duels, kind="preferences"
    )


def _steps(row: StepTrace, number: int) -> tuple[Put, Judged]:
    """The beginnings of one response: each is worth the share of completions that went well from there."""
    examples = tuple(_example(row, row.response.until(step)) for step in range(1, len(row.response.steps) + 1))
    worth = tuple(c / n if n else None for c, n in row.counts) or (None,) * len(examples)
    known = Judged(row.id, examples, (), worth, (), first_error=first_wrong(row), kind="steps")
    return Put(f"{row.id}/steps/{number}", examples, whole=False, labels=labels_of(row)), known


def first_wrong(row: StepTrace) -> int | None:
    """The first wrong step as somebody named it, else as the counts show it (`learning.labels.first_error`).

    Where no completion ever went well the question may be too hard for whoever went on, and nothing is known.
    """
    if row.first_error is not None or not any(c for c, _ in row.counts):
        return row.first_error
    return first_error(row.counts)


def _example(row: Row, response: Response) -> Example:
    return Example(row.question, response, row.problem)


def _tellable(rows: Sequence[AnyRow], sets: Sequence[Judged]) -> None:
    """Raise `TaskError`, before anything is spent, where no figure could be worked out."""
    kinds = (Outcome, Preference, StepTrace)
    if not any(isinstance(row, kinds) for row in rows):
        raise TaskError(
            f"{len(rows)} rows hold nothing to audit by: expected outcomes, preferences or step traces, several "
            "responses to each of at least twenty questions"
        )
    values = [row.value for row in rows if isinstance(row, Outcome)]
    if len(values) == len(rows) and len(set(values)) == 1:
        raise TaskError(
            f"all {len(rows)} outcomes are {values[0]:g}: expected right and wrong responses, or nothing can be told "
            "apart; record harder or easier questions, or sample more responses"
        )
    worths = {worth for known in sets for worth in known.worth if worth is not None}
    if len(worths) < 2 and not any(known.duels or known.first_error is not None for known in sets):
        raise TaskError(
            f"{len(rows)} rows tell no response from another: expected outcomes or counts that differ, preferences "
            "that are no ties, or steps of which the first wrong one is known"
        )


def _formed(known: Judged, same: Same) -> Judged:
    """With the forms of the answers, each of which can be looked up: worked out before anything is spent."""
    answers = [example.response.answer for example in known.examples]
    forms = tuple(None if answer is None else same(answer) for answer in answers)
    hash(forms)
    return replace(known, forms=forms)


def _cuttable(sets: Sequence[Judged], cuts: Mapping[str, Callable[[Example], str]]) -> None:
    """Cut once before anything is spent, so that what cannot be cut is known by then."""
    for of in cuts.values():
        for known in sets:
            for example in known.examples:
                of(example)


def _judged(put: Put, known: Judged, scores: Sequence[Score], raw: Sequence[Score] | None, seed: int) -> Judged:
    place = {example: shown for shown, example in enumerate(put.order(seed))}
    if huge := [score.value for score in scores if score.value is not None and abs(score.value) > HUGE]:
        raise TaskError(
            f"the critic gave the value {huge[0]:g}: expected at most {HUGE:g}, whose sums are still numbers"
        )
    return replace(
        known,
        values=tuple(score.value for score in scores),
        raw=tuple(score.value for score in raw or ()),
        places=tuple(place[i] for i in range(len(put.examples))),
    )


def uncalibrated(critic: object) -> object | None:
    """The same critic without its calibration, where it has one: its own word for it, or a copy."""
    if (bare := getattr(critic, "uncalibrated", None)) is not None:
        return cast("object", bare)
    calibration: Any = getattr(critic, "calibration", None)
    if getattr(calibration, "method", "none") == "none" or getattr(critic, "kind", "") != "prob":
        return None
    return replace(cast("Any", critic), calibration=type(calibration)())


def _leaks(critic: object, rows: Sequence[AnyRow], trained: Sequence[AnyRow]) -> int:
    """How many of the audit's questions the critic was trained on, as far as it or its user says."""
    note: Any = getattr(critic, "trained", None)
    ids = {row.id for row in rows}
    if isinstance(note, Trained) and note.digest and note.digest == Trained.on(rows).digest:
        return len(ids)
    known = set(cast("Iterable[str]", getattr(note, "asked", ())))
    seen = {id for id in ids if sha256(id.encode()).hexdigest()[:16] in known}
    return len(seen | {there for _, there in leaks(trained, rows)} if trained else seen)


# -- from verdicts to a report ---------------------------------------------------------------------------------------


def _report(
    critic: object, rows: Sequence[AnyRow], told: Sequence[Judged], asked: Asked, leaked: int,
    cuts: Mapping[str, Callable[[Example], str]], name: str, seed: int, withheld: int, alarms: Sequence[Alarm],
) -> Report:  # fmt: skip
    speaks, outcomes = _speaks(critic, told), [judged for judged in told if judged.kind == "outcomes"]
    everything = [value for judged in told for value in judged.values]
    values = [value for value in everything if value is not None]
    weigh, vote = bool(values) and min(values) >= 0, sum(_comparable(j) for j in outcomes) > len(outcomes) / 2
    chosen = figures.ways(outcomes, seed, weigh=weigh, vote=vote) if outcomes else {}
    use = "" if not outcomes else WEIGHTED if WEIGHTED in chosen else BEST
    rows_of_pairs = figures.pair_rows(told)
    flat, scores = figures.flat(_graded(told)), [score for group in asked.scores if group for score in group]
    report = Report(
        critic=name or named(critic), speaks=speaks, verdict="reject", reasons=(), alarms=(),
        counts={
            "questions": len({row.id for row in rows}), "judged questions": len({judged.id for judged in told}),
            "responses": len(everything), "judged": len(values), "not asked": sum(g is None for g in asked.scores),
            "withheld": withheld,
            "contested questions": len({j.id for j, row in zip(told, rows_of_pairs, strict=True) if row}),
        },
        abstained=dict(sorted(Counter(s.status for s in scores if s.value is None).items())),
        pairs=interval(rows_of_pairs), within=interval([[sum(row) / len(row)] for row in rows_of_pairs if row]),
        auc=None if speaks != "prob" or not values else figures.auc(flat),
        reliability=_reliability(_graded(told), speaks, seed) if values else (),
        ways={way: interval([[w] for w in worth]) or Interval(0.0) for way, worth in chosen.items()},
        use=use, reference=MAJORITY if MAJORITY in chosen else RANDOM if chosen else "",
        gains={way: _gap(chosen[use], worth) for way, worth in chosen.items() if way != use},
        curves=figures.curves(outcomes, seed, weigh=weigh, vote=vote) if outcomes else None,
        steps=figures.first_error(told, seed), surface=None, beyond=None,
        likings=_likings(outcomes, told), slices=_slices(outcomes, cuts, speaks) if outcomes and values else (),
        cost=Cost(len(everything), asked.cpu, asked.usage),
        questions=_by_question(told, rows_of_pairs, outcomes, chosen),
    )  # fmt: skip
    plain = figures.pair_rows(told, figures.surface(told, seed)) if told else []
    report = replace(report, surface=interval(plain), beyond=_beyond(rows_of_pairs, plain))
    report = replace(report, alarms=(*alarms, *alarms_of(report, scores, asked, leaked)))
    verdict, reasons = decide(report)
    return replace(report, verdict=verdict, reasons=tuple(reasons))


def named(critic: object) -> str:
    """What a critic is called in its report: its name, else its type's or its own as a function."""
    name: object = getattr(critic, "name", None)
    own = critic if isinstance(critic, type) or hasattr(critic, "__qualname__") else type(critic)
    return name if isinstance(name, str) and name else str(getattr(own, "__qualname__", own)).rpartition(".")[2]


def _speaks(critic: object, told: Sequence[Judged]) -> Speaks:
    """What its values mean, by its own word; values within [0, 1] that stand by themselves pass for probabilities."""
    if getattr(critic, "comparative", False):
        return "rank"
    if (kind := getattr(critic, "kind", None)) in ("prob", "reward"):
        return cast("Speaks", kind)
    values = [value for judged in told for value in judged.values if value is not None]
    return "prob" if all(0 <= value <= 1 for value in values) else "reward"


def _graded(told: Sequence[Judged]) -> list[Judged]:
    """Those whose worth is a chance to be right. Preferences tell only the better one: both may be right, or wrong."""
    return [judged for judged in told if judged.kind != "preferences"]


def _comparable(judged: Judged) -> bool:
    return any(form is not None for form in judged.forms)


def _gap(a: Sequence[float], b: Sequence[float]) -> Interval:
    return difference([[x] for x in a], [[y] for y in b]) or Interval(0.0)


def _reliability(told: Sequence[Judged], speaks: Speaks, seed: int) -> tuple[figures.Reliability, ...]:
    """Before and after its own calibration, or as it says; and if it were calibrated here, on other questions."""
    flat, found = figures.flat(told), list[figures.Reliability | None]()
    own = any(judged.raw for judged in told)
    if own:
        found.append(figures.reliable(figures.BEFORE, figures.flat(told, [judged.raw for judged in told])))
    if speaks == "prob":
        found.append(figures.reliable(figures.AFTER if own else figures.SAID, flat))
    if not own and speaks != "rank" and len(flat.worth):
        found.append(figures.reliable("if calibrated here", figures.calibrated(flat, seed)))
    return tuple(one for one in found if one is not None)


def _beyond(own: Sequence[Sequence[float]], plain: Sequence[Sequence[float]]) -> Interval | None:
    """What the critic adds to the surface, pair by pair, where it judged all pairs of a question."""
    both = (pair for pair in zip(own, plain, strict=True) if len(pair[0]) == len(pair[1]))
    return interval([[x - y for x, y in zip(a, b, strict=True)] for a, b in both])


def _likings(outcomes: Sequence[Judged], told: Sequence[Judged]) -> dict[str, Interval]:
    """How the critic's choice leans to what says nothing of worth."""
    whole = [judged for judged in told if judged.kind != "steps"]
    rows = {
        "longer above shorter, of equal worth": figures.liking_rows(outcomes, "length"),
        "shown earlier above later, of equal worth": figures.liking_rows(outcomes, "place"),
        FIRST: figures.end_rows(whole, first=True),
        LAST: figures.end_rows(whole, first=False),
    }
    return {name: found for name, grid in rows.items() if (found := interval(grid)) is not None}


def _slices(
    outcomes: Sequence[Judged], cuts: Mapping[str, Callable[[Example], str]], speaks: Speaks
) -> tuple[figures.Slice, ...]:
    kinds: dict[str, Callable[[Example], str]] = {"length": figures.thirds(outcomes)}
    if len({name for judged in outcomes for name in judged.generators}) > 1:
        kinds = {"generator": lambda example: example.response.generator, **kinds}
    told = ((by, of) for by, of in {**kinds, **cuts}.items())
    return tuple(one for by, of in told for one in figures.slices(outcomes, by, of, probable=speaks == "prob"))


def _by_question(
    told: Sequence[Judged], pairs: Sequence[Sequence[float]], outcomes: Sequence[Judged],
    chosen: Mapping[str, Sequence[float]],
) -> dict[str, dict[str, float]]:  # fmt: skip
    found = dict[str, list[float]]()
    for judged, row in zip(told, pairs, strict=True):
        found.setdefault(judged.id, []).extend(row)
    means = {id: {"pairs": sum(row) / len(row)} if row else {} for id, row in found.items()}
    for place, judged in enumerate(outcomes):
        means[judged.id].update({way: worth[place] for way, worth in chosen.items()})
    return means
