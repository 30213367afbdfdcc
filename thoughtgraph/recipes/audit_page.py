"""The report of an audit as one page of HTML: no script, no network, nothing in it but figures and text.

Names of critics, generators and slices come from files and models: each is escaped, with no character in it that is not
seen or turns the text round, and a policy in the page forbids whatever could be run or fetched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from importlib import import_module
from typing import Any, TypeAlias

from thoughtgraph.prompt import visible
from thoughtgraph.recipes.audit_figures import (
    BEST,
    FIRST,
    LAST,
    MAJORITY,
    ORACLE,
    RANDOM,
    WEIGHTED,
    Curves,
    Reliability,
    Slice,
)
from thoughtgraph.statistics import Interval

Report: TypeAlias = Any
"""An `audit_report.Report`, which writes its page with this."""

INK = "#010203"
"""The colour of lines and letters in a plot: it stands for the page's own, light or dark."""

COLOURS: Mapping[str, str] = {
    BEST: "#2f6fde", WEIGHTED: "#8a4fd0", MAJORITY: "#2a9d6f", RANDOM: "#8a8f98", "longest": "#c08a2d",
    "shortest": "#7d8b3a", ORACLE: "#b0b4bb",
}  # fmt: skip
"""A line's colour: readable on light and dark ground."""

REWARD = "#d9534f"


def page(report: Report, rule: Mapping[str, str]) -> str:
    """The report as HTML, with the rule of its verdict."""
    parts = [
        _head(report), _summary(report), _curves(report), _choices(report), _calibration(report), _leanings(report),
        _slices(report), _rule(rule),
    ]  # fmt: skip
    body = "\n".join(part for part in parts if part)
    told = {"{title}": _text(report.critic), "{body}": body}
    return re.sub(r"\{(?:title|body)\}", lambda place: told[place[0]], _PAGE)  # at once: names may hold braces too


def _head(report: Report) -> str:
    counts = report.counts
    said = (
        f"{counts['judged']:,} of {counts['responses']:,} responses to {counts['questions']:,} questions were judged. "
        "Intervals are 95 %, by question."
    )
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in report.reasons)
    return (
        f"<header><p class='kind'>Audit of a critic</p><h1>{_text(report.critic)}</h1>"
        f"<p><span class='verdict {report.verdict}'>{report.verdict}</span></p><ul>{reasons}</ul>"
        f"<p class='small'>{said}</p></header>{_alarms(report)}"
    )


def _alarms(report: Report) -> str:
    told = "".join(f"<li><b>{_text(alarm.name)}</b> {_text(alarm.says)}</li>" for alarm in report.alarms)
    return f"<section class='alarms'><h2>Alarms</h2><ul>{told}</ul></section>" if told else ""


def _summary(report: Report) -> str:
    rows: list[tuple[str, object, str]] = [
        ("Pair accuracy", report.pairs, "of two responses to a question, how often the better one is valued higher"),
        ("AUC within questions", report.within, "the same, each question counted once"),
        ("AUC over all", report.auc, "a right response against a wrong one, whatever their questions"),
        ("Surface features alone", report.surface, "pair accuracy of a model of length, digits and layout"),
    ]
    rows += [(f"Calibration error, {one.name}", one.ece, f"Brier score {one.brier}") for one in report.reliability]
    if report.steps:
        steps = report.steps
        note = f"{steps.erroneous:.0%} of wrong responses exactly, {steps.correct:.0%} of right ones let pass"
        rows.append(("First wrong step, F1", steps.f1, f"{note}, in {steps.traces} responses"))
    silent = ", ".join(f"{count} {status}" for status, count in report.abstained.items())
    rows += [("Scores without a value", silent, "in no figure as a low score")] if silent else []
    rows.append(("Cost of 1,000 scores", report.cost, ""))
    told = [(name, str(value), note) for name, value, note in rows if value is not None]
    return f"<section class='notes'><h2>Figures</h2>{_table(('', '', ''), told)}</section>"


def _curves(report: Report) -> str:
    if (curves := report.curves) is None:
        return ""
    N = len(curves.reward)
    said = str(curves.turn or "")
    turn = f"<p>{_text(said[0].upper() + said[1:])}.</p>" if said else ""
    shown = [L for L in range(1, N + 1) if L & (L - 1) == 0 or L == N]
    head = ("chosen among L", *map(str, shown))
    rows = [("reward, the critic's best", *(_short(curves.reward[L - 1]) for L in shown))]
    rows += [(name, *(_short(curve[L - 1]) for L in shown)) for name, curve in curves.evaluation.items()]
    note = (
        "The reward is what the critic says of the response that it chooses among L, the evaluation what that response "
        "is worth (equation 3). Where the reward grows and the evaluation does not, the search exploits the critic. "
        f"Means over {curves.questions} questions, over all subsets of L responses."
    )
    plot = _plot(partial(_draw_curves, curves, one_scale=report.speaks == "prob"), (7.6, 4.4))
    return f"<section><h2>Reward and evaluation</h2><p>{note}</p>{plot}{turn}{_table(head, rows)}</section>"


def _choices(report: Report) -> str:
    if not report.ways:
        return ""
    top = max(worth.mean for worth in report.ways.values()) or 1.0
    rows = [
        f"<tr><th>{_text(way)}{' (its use)' if way == report.use else ''}</th><td>{worth}</td>"
        f"<td><span class='bar' style='width:{max(worth.mean, 0) / top * 100:.1f}%'></span></td>"
        f"<td>{report.gains[way].signed if way in report.gains else ''}</td></tr>"
        for way, worth in report.ways.items()
    ]
    names = ("chosen among all responses by", "is worth", "", "its use gains over it")
    head = f"<tr class=head>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    return f"<section><h2>What is chosen</h2><table class='wide'>{head}{''.join(rows)}</table></section>"


def _calibration(report: Report) -> str:
    if not report.reliability:
        return ""
    plot = _plot(partial(_draw_reliability, report.reliability), (4.8, 4.4))
    tables = "".join(
        f"<h3>{_text(one.name.capitalize())}</h3><p>Calibration error {one.ece}, Brier score {one.brier}.</p>"
        + _table(
            ("from", "to", "said", "right", "responses"),
            [(f"{b.low:.3f}", f"{b.high:.3f}", f"{b.predicted:.3f}", f"{b.observed:.3f}", b.n) for b in one.table],
        )
        for one in report.reliability
    )
    return f"<section><h2>Calibration</h2>{plot}<details><summary>The tables</summary>{tables}</details></section>"


def _leanings(report: Report) -> str:
    rows = [(name, str(it), "0" if name in (FIRST, LAST) else "0.5") for name, it in report.likings.items()]
    head = ("", "of the cases", "fair is")
    return f"<section><h2>Leanings</h2>{_table(head, rows)}</section>" if rows else ""


def _slices(report: Report) -> str:
    rows = [(*_slice(one), one.gap.signed if one.gap else "") for one in report.slices]
    head = ("by", "slice", "responses", "AUC", "right", "valued", "overrated by")
    return f"<section><h2>Slices</h2>{_table(head, rows)}</section>" if rows else ""


def _slice(one: Slice) -> tuple[object, ...]:
    return one.by, one.name, one.responses, one.auc or "", f"{one.right:.3f}", f"{one.said:.3f}"


def _rule(rule: Mapping[str, str]) -> str:
    told = "".join(f"<dt>{_text(name)}</dt><dd>{_text(says)}</dd>" for name, says in rule.items())
    return f"<section><h2>How the verdict is reached</h2><dl>{told}</dl></section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{_text(name)}</th>" for name in head) if any(head) else ""
    lines = "".join(
        f"<tr><th>{_text(first)}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f"<table>{f'<tr class=head>{top}</tr>' if top else ''}{lines}</table>"


def _text(value: object) -> str:
    return escape(visible(str(value)))


def _short(said: Interval | None) -> str:
    return "" if said is None else f"{said.mean:.3f}"


# -- plots -----------------------------------------------------------------------------------------------------------


def _plot(draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    """A drawing as SVG within the page, in the page's own ink; without matplotlib, a line that says what is missing."""
    try:
        matplotlib: Any = import_module("matplotlib")
        figure: Any = import_module("matplotlib.figure").Figure(figsize=size, layout="constrained")
    except ModuleNotFoundError:
        return (
            '<p class="small">The plot needs matplotlib: pip install "thoughtgraph[plot]". The figures are below.</p>'
        )
    ink = {f"{part}.color": INK for part in ("text", "xtick", "ytick")} | {
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
    }
    plain = {"svg.fonttype": "none", "svg.hashsalt": f"audit {size}", "font.size": 10, "axes.facecolor": "none"}
    with matplotlib.rc_context({**ink, **plain, "font.family": "sans-serif", "text.parse_math": False}):
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    return f"<div class='plot'>{svg.replace(INK, 'currentColor')}</div>"


def _draw_curves(curves: Curves, figure: Any, *, one_scale: bool) -> None:
    """Evaluations as lines with the critic's own interval shaded; the reward dashed, on its own scale if it has one."""
    axes, L = figure.add_subplot(), list(range(1, len(curves.reward) + 1))
    for name, curve in curves.evaluation.items():
        own = name in (BEST, WEIGHTED)
        axes.plot(L, [one.mean for one in curve], color=COLOURS[name], lw=2.2 if own else 1.2, label=f"worth: {name}")
    best = curves.evaluation[BEST]
    ends = [
        (one.low if one.low is not None else one.mean, one.high if one.high is not None else one.mean) for one in best
    ]
    axes.fill_between(L, [low for low, _ in ends], [high for _, high in ends], color=COLOURS[BEST], alpha=0.18, lw=0)
    beside = axes if one_scale else axes.twinx()
    said = [(n, one.mean) for n, one in zip(L, curves.reward, strict=True) if one is not None]
    label = "reward: the critic's best"
    beside.plot([n for n, _ in said], [value for _, value in said], color=REWARD, ls="--", lw=2, label=label)
    if curves.turn and curves.turn.down:
        axes.axvline(curves.turn.peak, color=INK, lw=1, ls=":")
        axes.text(curves.turn.peak, axes.get_ylim()[1], " turns down", va="top", fontsize="small")
    axes.set(xlabel="L, responses to choose among", ylabel="mean worth of what is chosen")
    if beside is not axes:
        beside.set_ylabel("mean reward of what is chosen")
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")


def _draw_reliability(told: Sequence[Reliability], figure: Any) -> None:
    """What was right over what was said."""
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    for one, colour in zip(told, (REWARD, COLOURS[BEST], COLOURS[MAJORITY]), strict=False):
        said, right = [b.predicted for b in one.table], [b.observed for b in one.table]
        axes.plot(said, right, "o-", color=colour, lw=1.6, ms=4, label=one.name)
    axes.set(xlabel="probability that was said", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize="small")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Audit: {title}</title>
<style>
:root { --ink: #1c2330; --ground: #ffffff; --quiet: #667085; --line: #e2e6ec; --box: #f6f8fa; --accent: #2f6fde; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --ground: #14181f; --quiet: #98a2b3; --line: #2b323d; --box: #1b212a; --accent: #6ea0ff; }
}
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
h3 { margin: 1.2rem 0 .3rem; font-size: 1rem; }
.kind, .small { color: var(--quiet); font-size: .9rem; margin: .2rem 0; }
.verdict { display: inline-block; padding: .2rem .9rem; border-radius: 1rem; color: #fff; font-weight: 600;
  font-size: 1.1rem; }
.ship { background: #1f7a4d; } .advisory { background: #96690a; } .reject { background: #b3261e; }
.alarms { border-left: 4px solid #d9534f; background: var(--box); padding: .1rem 1rem .4rem; margin-top: 1.4rem; }
.alarms h2 { margin: .7rem 0 .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; display: block;
  overflow-x: auto; }
.wide { display: table; width: 100%; } .wide td:nth-child(3) { width: 35%; }
th, td { text-align: left; padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line); font-weight: 400;
  vertical-align: top; overflow-wrap: anywhere; }
.head th { color: var(--quiet); }
td { white-space: nowrap; } .notes td:last-child { white-space: normal; }
.bar { display: block; height: .8rem; margin-top: .3rem; background: var(--accent); border-radius: 2px; }
.plot svg { max-width: 100%; height: auto; color: var(--ink); }
dt { font-weight: 600; } dd { margin: 0 0 .6rem; }
summary { cursor: pointer; color: var(--accent); }
</style>
</head>
<body>
{body}
</body>
</html>
"""
