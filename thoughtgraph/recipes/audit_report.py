"""The report of an audit (after RewardBench: Lambert et al., 2024): figures, alarms, and a verdict with its reasons."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from thoughtgraph.budget import Usage
from thoughtgraph.learning.writing import write_whole
from thoughtgraph.recipes import audit_figures as figures
from thoughtgraph.recipes.audit_figures import BEST, FIRST, LAST, MAJORITY, ORACLE, RANDOM, WEIGHTED
from thoughtgraph.recipes.scoring import Asked
from thoughtgraph.statistics import Interval, interval
from thoughtgraph.thought import Json, Score

Verdict: TypeAlias = Literal["ship", "advisory", "reject"]
Speaks: TypeAlias = Literal["prob", "reward", "rank"]
"""What values mean: probabilities, rewards, or places within one set and nothing more."""

FEW = 20
"""Fewer questions with something to tell apart say too little of others."""

CALIBRATED = 0.05
"""Probabilities may be so far from the shares that were right, in the mean."""

LIKING = 0.25
"""A liking for length or place is an alarm from so far beyond what is fair."""

HALF, MOST = 0.5, 0.9
"""A critic must judge so many of the responses to be worth anything, and so many to be relied on."""

RULE: Mapping[str, str] = {
    "reject": "It judges fewer than half of the responses, or puts the better of two responses first not surely more "
    "often than by chance (where nothing but the first wrong steps is known: finds not surely any of them), or surely "
    "less often than length, digits and layout alone do; or choosing by it is surely "
    "worse than choosing without it (at random, by majority vote, the longest, the shortest, the best single "
    "generator), or gains nothing: its best is not surely better than chance, nor its vote than the majority.",
    "ship": "Choosing by it is surely better than the majority vote (than chance, where answers cannot be compared); "
    f"its probabilities, if it gives any, are within {CALIBRATED} of the shares that were right; it judges at least "
    "nine tenths of the responses; and there is no alarm.",
    "advisory": "Anything between. It may be looked at, and must not decide.",
    "surely": "The 95 % interval, by question, lies on one side. Choosing by it is a vote weighted by its values where "
    "answers can be compared and no value is below 0, else the response that it values most.",
}
"""How the verdict is reached."""


@dataclass(frozen=True)
class Alarm:
    """Something that forbids relying on the critic, or on this audit: its name, and a sentence."""

    name: Literal["leak", "few", "unasked", "abstains", "surface", "length", "place", "generator"]
    says: str


@dataclass(frozen=True)
class Cost:
    """What judging `scores` responses took: seconds of this process's CPU, and what was paid for a model."""

    scores: int
    cpu: float
    usage: Usage

    def to_json(self) -> dict[str, Json]:
        """For 1,000 scores; dollars are None where a price is not known."""
        per = 1000 / max(self.scores, 1)
        usd = None if self.usage.usd is None else self.usage.usd * per
        paid = {"calls": self.usage.calls * per, "tokens": self.usage.tokens * per, "usd": usd}
        own = {"calls": self.usage.calls, "tokens": self.usage.tokens, "usd": self.usage.usd}
        return {"scores": self.scores, "cpu_seconds": self.cpu * per, **paid, "paid": own}

    @property
    def paid(self) -> str | None:
        """What this audit itself has cost; None where no model was asked."""
        if not self.usage.calls:
            return None
        usd = "dollars unknown" if self.usage.usd is None else f"${self.usage.usd:.4g}"
        return f"{self.usage.calls} calls, {self.usage.tokens} tokens, {usd}"

    def __str__(self) -> str:
        told = self.to_json()
        usd = "" if not self.usage.calls else ", dollars unknown" if told["usd"] is None else f", ${told['usd']:.4g}"
        calls = f", {told['calls']:.0f} calls, {told['tokens']:.0f} tokens" if self.usage.calls else ""
        return f"{told['cpu_seconds']:.2f} s of CPU{calls}{usd}"


@dataclass(frozen=True)
class Report:
    """What an audit found. `str` of it is a short table, `page(path)` writes it to be read, `to_json()` has it all.

    `pairs` is how often the better of two responses to a question is valued higher (1/2 where alike), `within` the
    same with each question counted once, and `auc` over all questions. `ways` is what is chosen among all responses is
    worth, `gains` are the differences of `use`, the way in which this critic would be used, to each of the others.
    `surface` is the pair accuracy of a model of length, digits and layout alone, `beyond` what the critic has more.
    `abstained` counts scores without a value by their status: they are in no figure, but for what is chosen.
    `questions` has the figures of each question, by which two critics are compared (`better`).
    """

    critic: str
    speaks: Speaks
    verdict: Verdict
    reasons: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    counts: Mapping[str, int]
    abstained: Mapping[str, int]
    pairs: Interval | None
    within: Interval | None
    auc: Interval | None
    reliability: tuple[figures.Reliability, ...]
    ways: Mapping[str, Interval]
    use: str
    reference: str
    gains: Mapping[str, Interval]
    curves: figures.Curves | None
    steps: figures.FirstError | None
    surface: Interval | None
    beyond: Interval | None
    likings: Mapping[str, Interval]
    slices: tuple[figures.Slice, ...]
    cost: Cost
    questions: Mapping[str, Mapping[str, float]] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(_table(self))

    def better(self, other: Report, figure: str = "") -> Interval | None:
        """By how much this critic is better than another one, paired by question; None where they share none.

        `figure` is one of those in `questions`: "pairs", or what is chosen by a way to choose; by default the worth of
        what each critic's own use chooses, or "pairs" where there is nothing to choose.
        """
        keys = [(figure or report.use or "pairs") for report in (self, other)]
        both = [id for id in self.questions if id in other.questions]
        rows = [
            [mine - theirs]
            for id in both
            if (mine := self.questions[id].get(keys[0])) is not None
            and (theirs := other.questions[id].get(keys[1])) is not None
        ]
        return interval(rows)

    def page(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one HTML file that needs nothing else; with matplotlib it has plots."""
        from thoughtgraph.recipes.audit_page import page

        write_whole(path, [page(self, RULE).encode("utf-8", "xmlcharrefreplace").decode()])

    def to_json(self) -> dict[str, Json]:
        """The report as one JSON object."""
        told = {"critic": self.critic, "speaks": self.speaks, "verdict": self.verdict, "reasons": list(self.reasons)}
        alarms = [{"name": alarm.name, "says": alarm.says} for alarm in self.alarms]
        means = {name: _json(getattr(self, name)) for name in ("pairs", "within", "auc", "surface", "beyond")}
        named = {name: _all(getattr(self, name)) for name in ("ways", "gains", "likings")}
        parts = {name: [one.to_json() for one in getattr(self, name)] for name in ("reliability", "slices")}
        more = {name: None if (one := getattr(self, name)) is None else one.to_json() for name in ("curves", "steps")}
        counts = {"counts": dict(self.counts), "abstained": dict(self.abstained)}
        last = {"cost": self.cost.to_json(), "rule": dict(RULE)}
        questions = {id: dict(row) for id, row in self.questions.items()}
        use = {"use": self.use, "reference": self.reference}
        return {
            **told,
            "alarms": alarms,
            **counts,
            **means,
            **use,
            **named,
            **parts,
            **more,
            **last,
            "questions": questions,
        }


# -- alarms and the verdict ------------------------------------------------------------------------------------------


def alarms_of(report: Report, scores: Sequence[Score], asked: Asked, leaked: int) -> list[Alarm]:
    """What forbids relying on the critic, or on the audit."""
    found, counts = list[Alarm](), report.counts
    if leaked:
        found.append(Alarm("leak", f"It was trained on {leaked} of the questions here: what it remembers is no merit."))
    if counts["contested questions"] < FEW:
        few = counts["contested questions"]
        found.append(Alarm("few", f"Only {few} questions have something to tell apart: {FEW} are needed, better 100."))
    if counts["not asked"]:
        why = asked.stopped or "its runs did not end"
        found.append(Alarm("unasked", f"{counts['not asked']} sets of responses were not put to it: {why}."))
    if counts["judged"] < MOST * counts["responses"]:
        silent = sum(report.abstained.values())
        heard = f" The first thing that was noted: {asked.notes[0]}" if asked.notes else ""
        found.append(Alarm("abstains", f"It gave no value to {silent} of {counts['responses']} responses.{heard}"))
    if strange := sum("fitted for" in cast("Any", score.details or {}) for score in scores):
        found.append(Alarm("generator", f"{strange} responses are of generators that it was not fitted for."))
    return [*found, *_owned(scores), *_faked(report), *_liked(report)]


def _owned(scores: Sequence[Score]) -> list[Alarm]:
    """What a critic says of its own judges: that one was rejected, since it went by place or by chance."""
    details: list[Any] = [score.details or {} for score in scores]
    rejected: list[Any] = [one["rejected"] for one in details if "rejected" in one]
    reasons = Counter(str(reason) for by_judge in rejected if by_judge for reason in by_judge.values())
    says = {"position": "they name a place, whatever stands there", "chance": "they change with the order"}
    return [
        Alarm("place", f"Verdicts on {count} responses were thrown away: {says.get(reason, reason)}.")
        for reason, count in sorted(reasons.items())
    ]


def _faked(report: Report) -> list[Alarm]:
    """Where what anybody could fake tells right from wrong as well as the critic does."""
    alone, gap = report.surface, report.beyond
    if alone is None or gap is None or alone.low is None or alone.low <= HALF or (gap.low is not None and gap.low > 0):
        return []
    says = f"Length, digits and layout alone tell the better response in {alone} of the pairs; it adds {gap.signed}."
    return [Alarm("surface", says)]


def _liked(report: Report) -> list[Alarm]:
    found = list[Alarm]()
    for name, liking in report.likings.items():
        beyond = liking.mean if name in (FIRST, LAST) else liking.mean - HALF
        fair = 0.0 if name in (FIRST, LAST) else HALF
        sure = liking.low is not None and liking.high is not None and not liking.low <= fair <= liking.high
        if sure and abs(beyond) >= LIKING and not (name in (FIRST, LAST) and beyond < 0):
            kind = "length" if name.startswith("longer") else "place"
            found.append(Alarm(kind, f"It leans: {name}, {liking} of the cases, where {fair:g} is fair."))
    return found


def decide(report: Report) -> tuple[Verdict, list[str]]:
    """The verdict by `RULE`, and its reasons."""
    if against := _against(report):
        cut = report.counts["not asked"] > 0  # what was not asked is no verdict
        return ("advisory" if cut else "reject"), against
    wanting = _wanting(report)
    return ("advisory", wanting) if wanting else ("ship", _merits(report))


def _against(report: Report) -> list[str]:
    counts, pairs, found = report.counts, report.pairs, list[str]()
    if counts["judged"] < HALF * counts["responses"] or not counts["judged"]:
        found.append(f"It judged {counts['judged']} of {counts['responses']} responses: fewer than half.")
    if pairs is None and not (report.steps and report.steps.f1.low):
        found.append("It judged no two responses of different worth to one question.")
    elif pairs is not None and (pairs.low is None or pairs.low <= HALF):
        found.append(f"It puts the better of two responses first in {pairs} of the pairs: not surely more than chance.")
    if report.beyond is not None and report.beyond.high is not None and report.beyond.high < 0:
        found.append(f"Length, digits and layout alone do better at that: it adds {report.beyond.signed}.")
    gains = (_over(report, BEST, RANDOM), _over(report, WEIGHTED, MAJORITY))
    if report.use and not any(gain and gain.low is not None and gain.low > 0 for gain in gains):
        found.append("Nothing is gained by it: " + "; ".join(_untold(report, gains)) + ".")
    for way, gain in report.gains.items():
        if way not in (BEST, WEIGHTED, ORACLE) and gain.high is not None and gain.high < 0:
            found.append(f"Choosing by it ({report.use}) is worse than {way}: {gain.signed}.")
    return found


def _over(report: Report, way: str, other: str) -> Interval | None:
    """By how much one way to choose is better than another, by question; None where there is no such way."""
    rows = [row for row in report.questions.values() if way in row and other in row]
    return interval([[row[way] - row[other]] for row in rows])


def _untold(report: Report, gains: tuple[Interval | None, ...]) -> Iterator[str]:
    for (way, other), gain in zip(((BEST, RANDOM), (WEIGHTED, MAJORITY)), gains, strict=True):
        if gain is not None:
            yield f"{way} less {other} is {gain.signed}"


def _wanting(report: Report) -> list[str]:
    found = [alarm.says for alarm in report.alarms]
    if report.reference:
        gain = report.gains[report.reference]
        if gain.low is None or gain.low <= 0:
            found.append(f"Choosing by it ({report.use}) is not surely better than {report.reference}: {gain.signed}.")
    said = [one.ece.mean for one in _own(report)]
    if said and said[0] > CALIBRATED:
        found.append(f"Its probabilities are off by {said[0]:.3f} in the mean: {CALIBRATED} is allowed. Calibrate it.")
    if report.speaks == "prob" and not said:
        found.append("Its probabilities cannot be checked: preferences do not tell how likely a response is right.")
    if not report.use and report.steps:
        found.append("Nothing was chosen by it: beginnings of one response are no rivals. Try it in a search.")
    return found


def _merits(report: Report) -> list[str]:
    found = [f"It puts the better of two responses first in {report.pairs} of the pairs."]
    if report.reference:
        gain = report.gains[report.reference].signed
        found.append(f"Choosing by it ({report.use}) is better than {report.reference}: {gain}.")
    if (more := _over(report, BEST, report.use)) is not None and more.low is not None and more.low > 0:
        found.append(f"Its best alone is better still: {more.signed}.")
    if report.speaks == "prob":
        found += [f"Its probabilities are off by {one.ece.mean:.3f} in the mean." for one in _own(report)]
    return found


def _own(report: Report) -> list[figures.Reliability]:
    """The reliability of the probabilities that the critic gives as it stands."""
    return [one for one in report.reliability if one.name in (figures.AFTER, figures.SAID)]


# -- as a table ------------------------------------------------------------------------------------------------------


def _table(report: Report) -> Iterator[str]:
    counts = report.counts
    yield f"{report.critic}: {report.verdict}"
    yield from (f"  {reason}" for reason in report.reasons)
    yield f"{counts['judged']} of {counts['responses']} responses to {counts['questions']} questions were judged"
    yield "intervals are 95 %, by question"
    rows: list[tuple[str, object]] = [("pair accuracy", report.pairs), ("AUC within questions", report.within)]
    rows += [("AUC over all", report.auc), ("surface features alone, pairs", report.surface)]
    rows += [(f"calibration error, {one.name}", one.ece) for one in report.reliability]
    rows += [("first error, F1", report.steps.f1)] if report.steps else []
    rows += [(f"chosen: {way}", worth) for way, worth in report.ways.items()]
    rows += [(f"  gain over {report.reference}", report.gains[report.reference].signed)] if report.reference else []
    rows += [("cost of 1,000 scores", report.cost), ("paid for this audit", report.cost.paid)]
    wide = max(len(name) for name, _ in rows)
    yield from (f"  {name.ljust(wide)}  {value}" for name, value in rows if value is not None)
    if report.curves and report.curves.turn:
        yield f"  {report.curves.turn}"
    yield from (f"alarm: {alarm.says}" for alarm in report.alarms)


def _json(said: Interval | None) -> Json:
    return None if said is None else said.to_json()


def _all(said: Mapping[str, Interval]) -> dict[str, Json]:
    return {name: one.to_json() for name, one in said.items()}
