"""What a comparison comes to: cells with what they reached and cost, gains of each axis, the best cell, warnings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.errors import TaskError
from thoughtgraph.statistics import Interval
from thoughtgraph.thought import Json
from thoughtgraph.trace import Reason

Verdict: TypeAlias = Literal["better", "worse", "unclear"]
"""What an interval of a difference says: all of it above 0, all of it below, or neither."""

Unit: TypeAlias = Literal["usd", "1,000 tokens", "calls", "expansions", "evaluations"]
"""What costs are told in: dollars where they are known, else the next thing that was used."""


ONE: Mapping[Unit, str] = {
    "usd": "dollar", "1,000 tokens": "1,000 tokens", "calls": "call", "expansions": "expansion",
    "evaluations": "evaluation",
}  # fmt: skip
"""What one of a unit is called."""


class Place(NamedTuple):
    """Where a cell stands on the four axes; "" and None on one that is not compared."""

    policy: str
    model: str = ""
    prompter: str = ""
    L: int | None = None

    def __str__(self) -> str:
        said = [self.policy, self.model, self.prompter, "" if self.L is None else f"L={self.L}"]
        return ", ".join(filter(None, said))


@dataclass(frozen=True)
class Trial:
    """One run: a cell on one puzzle with one seed.

    `evaluation` is E of its answer, 0 where it has none, and None of a run that failed: such a run counts for
    nothing. `reward` is what the critic says of the chosen thought, where it said anything that stands by itself.
    `hits` are draws that a cache gave away.
    """

    place: Place
    task: int
    seed: int
    run: str
    evaluation: float | None
    reward: float | None
    reason: Reason
    usage: Usage
    answer: Json = field(default=None, repr=False)
    hits: int = 0
    error: str = ""

    def to_json(self) -> dict[str, Json]:
        """The run as JSON data, but for its answer, which stands in the store."""
        told = {"run": self.run, "task": self.task, "seed": self.seed, "evaluation": self.evaluation}
        more = {"reward": self.reward, "reason": self.reason, "usage": asdict(self.usage), "hits": self.hits}
        return {**self.place._asdict(), **told, **more, "error": self.error}


@dataclass(frozen=True)
class Difference:
    """By how much E of a cell is above that of a baseline, run by run."""

    baseline: Place
    gap: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Cell:
    """What one place came to, over all puzzles and seeds.

    `solved` is the share of runs whose E is 1; None, as other means, where no run counts. `usage` is the sum over the
    `runs` that count, `failed` says how many do not. `versus` has the difference to each baseline of the same model
    and prompter.
    """

    place: Place
    baseline: bool
    runs: int
    failed: int
    evaluation: Interval | None
    reward: Interval | None
    solved: float | None
    usage: Usage
    versus: tuple[Difference, ...] = ()

    def cost(self, unit: Unit) -> float:
        """What a run costs, in the mean."""
        return cost(self.usage, unit) / max(self.runs, 1)

    def to_json(self) -> dict[str, Json]:
        """The cell as JSON data; `usage` is that of a run, in the mean."""
        counts = {name: _share(getattr(self.usage, name), self.runs) for name in Usage.__dataclass_fields__}
        counts["tokens"] = _share(self.usage.tokens, self.runs)
        means = {"evaluation": _told(self.evaluation), "reward": _told(self.reward), "solved": self.solved}
        versus = [{**d.baseline._asdict(), **d.gap.to_json(), "verdict": d.verdict} for d in self.versus]
        runs = {"baseline": self.baseline, "runs": self.runs, "failed": self.failed}
        return {**self.place._asdict(), **runs, **means, "usage": counts, "versus": versus}


@dataclass(frozen=True)
class Gain:
    """What moving along one axis is worth: from its first level to the best of the others, all else averaged.

    That level was chosen on one half of the puzzles, and everything here is of the other half. `extra` is by how much
    a run costs more, and `rate` the gain in E for a unit of that; None where it costs no more. `levels` has E of each.
    """

    axis: str
    reference: str
    level: str
    gain: Interval
    extra: float
    rate: float | None
    levels: Mapping[str, float]

    def told(self, unit: Unit) -> str:
        """The gain in a sentence."""
        paid = f"{'+' if self.extra > 0 else ''}{amount(self.extra, unit)} a run"
        rate = "" if self.rate is None else f", {self.rate:+.3g} for each {ONE[unit]}"
        return f"{self.axis}: {self.reference} -> {self.level}: {self.gain.signed}, {paid}{rate}"

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        return {**asdict(self), "gain": self.gain.to_json(), "levels": dict(self.levels)}


@dataclass(frozen=True)
class Best:
    """The best cell and the best baseline beside it, chosen on one half of the puzzles, with figures of the other.

    `chosen_by` is the E that it was chosen by, which is too good to be true; `evaluation` is the one to believe.
    """

    place: Place
    chosen_by: float
    evaluation: Interval
    cost: float
    versus: Difference | None

    def told(self, unit: Unit) -> str:
        """The best cell in a sentence."""
        beside = f"; {_against(self.versus)}" if self.versus else ""
        return f"{self.place}: {self.evaluation} for {amount(self.cost, unit)} a run{beside}"

    def to_json(self) -> dict[str, Json]:
        """As JSON data."""
        v = self.versus
        versus = None if v is None else {**v.baseline._asdict(), **v.gap.to_json(), "verdict": v.verdict}
        figures = {"chosen_by": self.chosen_by, "evaluation": self.evaluation.to_json(), "cost": self.cost}
        return {**self.place._asdict(), **figures, "versus": versus}


@dataclass(frozen=True)
class Comparison:
    """Policies, models, prompters and numbers of draws at equal cost, side by side.

    `str` of it is a table. `halves` are how many puzzles things were chosen on, and how many they are reported on.
    `left_out` says which baselines the tasks have no action or critic for. `trials` are all runs, in order.
    """

    cells: tuple[Cell, ...]
    gains: tuple[Gain, ...]
    best: Best | None
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]
    budget: Budget
    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    halves: tuple[int, int]
    unit: Unit
    trials: tuple[Trial, ...] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(_written(self))

    def to_json(self) -> dict[str, Json]:
        """The comparison as one JSON object, every run in it."""
        limits = {name: limit for name, limit in asdict(self.budget).items() if limit is not None}
        said = {"budget": limits, "problems": list(self.problems), "seeds": list(self.seeds), "unit": self.unit}
        found = {"halves": list(self.halves), "best": self.best.to_json() if self.best else None}
        told = {"warnings": list(self.warnings), "left_out": list(self.left_out)}
        parts = {"cells": self.cells, "gains": self.gains, "runs": self.trials}
        return {**said, **found, **told, **{name: [one.to_json() for one in many] for name, many in parts.items()}}

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw E over the cost of a run, a point for each cell, its interval as an error bar; SVG or PNG by the suffix.

        Needs matplotlib: pip install "thoughtgraph[plot]".
        """
        figure = plottable(path)(figsize=(9, 5 + 0.2 * len(self.cells)), layout="constrained")
        _draw(self, figure)
        figure.savefig(path, metadata={"Date": None} if Path(path).suffix.lower() == ".svg" else {})


def cost(usage: Usage, unit: Unit) -> float:
    """A usage as one number."""
    if unit == "1,000 tokens":
        return usage.tokens / 1000
    return float(getattr(usage, unit) or 0.0)


def amount(paid: float, unit: Unit) -> str:
    """A cost in words."""
    return f"{1000 * paid:.0f} tokens" if unit == "1,000 tokens" else f"{paid:.4g} {unit}"


def verdict(gap: Interval) -> Verdict:
    """What a difference says for sure."""
    if gap.low is None or gap.high is None:
        return "unclear"
    return "better" if gap.low > 0 else "worse" if gap.high < 0 else "unclear"


# -- as a table ----------------------------------------------------------------------------------------------------


def _written(found: Comparison) -> Iterator[str]:
    tasks, seeds = len(found.problems), len(found.seeds)
    yield f"{tasks} puzzles, {seeds} seeds, each run within {found.budget}; intervals are 95 %"
    yield ""
    yield from _aligned([_heads(found), *(_row(found, cell) for cell in found.cells)])
    searches = [cell for cell in found.cells if not cell.baseline]
    if versus := [[f"  {cell.place}", *_parts(difference)] for cell in searches for difference in cell.versus]:
        yield from ("", "differences in E, run by run:", *_aligned(versus))
    half = f"chosen on {found.halves[0]} of the puzzles, reported on the other {found.halves[1]}"
    if found.gains:
        yield from ("", f"gain in E along each axis, {half}:", *(f"  {gain.told(found.unit)}" for gain in found.gains))
    if found.best:
        yield from ("", f"the best cell, {half}:", f"  {found.best.told(found.unit)}")
    lines = [*(f"left out: {said}" for said in found.left_out), *(f"warning: {said}" for said in found.warnings)]
    yield from ("", *lines) if lines else ()


def _against(d: Difference) -> str:
    return "{} {}, {}".format(*_parts(d))


def _parts(d: Difference) -> list[str]:
    return [d.gap.signed, f"against {d.baseline.policy}", d.verdict]


COUNTS = {
    "calls": ".1f", "expansions": ".1f", "evaluations": ".1f", "tokens": ".0f", "usd": ".5f", "seconds": ".2f",
}  # fmt: skip
"""What a table shows of a usage, where there is any, and how; evaluations only where they are what costs."""


def _heads(found: Comparison) -> list[str]:
    return [*_axes(found), "E", "reward", "solved", *_used(found)]


def _used(found: Comparison) -> list[str]:
    told = [name for name in COUNTS if name != "evaluations" or found.unit == name]
    return [name for name in told if any(getattr(cell.usage, name) != 0 for cell in found.cells)]


def _axes(found: Comparison) -> list[str]:
    return [axis for axis in Place._fields if axis == "policy" or any(getattr(c.place, axis) for c in found.cells)]


def _row(found: Comparison, cell: Cell) -> list[str]:
    """A cell's means; a baseline is marked by a star."""
    labels = [str(getattr(cell.place, axis) or "-") for axis in _axes(found)]
    labels[0] = f"* {labels[0]}" if cell.baseline else f"  {labels[0]}"
    shown = ["-" if said is None else str(said) for said in (cell.evaluation, cell.reward)]
    means = {name: _share(getattr(cell.usage, name), cell.runs) for name in _used(found)}
    costs = ["unknown" if mean is None else format(mean, COUNTS[name]) for name, mean in means.items()]
    return [*labels, *shown, "-" if cell.solved is None else f"{cell.solved:.0%}", *costs]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _share(total: float | None, runs: int) -> float | None:
    return None if total is None else total / max(runs, 1)


def _told(said: Interval | None) -> Json:
    return None if said is None else said.to_json()


# -- as a picture --------------------------------------------------------------------------------------------------


def plottable(path: str | os.PathLike[str]) -> Any:
    """The class of figures, with no window and no global state; `TaskError` where nothing could be drawn to `path`."""
    if Path(path).suffix.lower() not in (".svg", ".png"):
        raise TaskError(f"the plot's file is {os.fspath(path)!r:.200}: expected a name that ends in .svg or .png")
    if not Path(path).parent.is_dir():
        raise TaskError(f"the plot's folder {os.fspath(Path(path).parent)!r:.200} is not there: make it first")
    try:
        return import_module("matplotlib.figure").Figure
    except ModuleNotFoundError:
        raise TaskError('a plot needs matplotlib: pip install "thoughtgraph[plot]"') from None


def _draw(found: Comparison, figure: Any) -> None:
    """A point for each cell, squares for baselines; no label is read as a formula."""
    axes = figure.add_subplot()
    for number, cell in enumerate(found.cells):
        if (e := cell.evaluation) is None:
            continue
        bars = None if e.low is None or e.high is None else [[max(e.mean - e.low, 0)], [max(e.high - e.mean, 0)]]
        form = "s" if cell.baseline else "oDv^"[number // 10 % 4]  # colours begin again after ten
        axes.errorbar([cell.cost(found.unit)], [e.mean], yerr=bars, fmt=form, capsize=3, label=f" {cell.place}")
    axes.set_xlabel(f"{found.unit} a run")
    axes.set_ylabel("E, mean over runs")
    axes.set_title(f"{len(found.problems)} puzzles, {len(found.seeds)} seeds, within {found.budget}")
    if axes.containers:
        for text in figure.legend(loc="outside lower center", fontsize="small").get_texts():
            text.set_parse_math(False)
