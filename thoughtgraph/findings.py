"""From runs to findings: what each cell reached, what each axis is worth, which cell is best, and what to distrust."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from operator import add

from thoughtgraph.budget import Budget, Usage
from thoughtgraph.comparison import Best, Cell, Comparison, Difference, Gain, Place, Trial, Unit, cost, verdict
from thoughtgraph.statistics import Grid, Interval, average, difference, interval

FEW = 20
"""From so many puzzles on, an interval of 95 % holds what it says (93 % were found at 20, 84 % at 5)."""

HALF = 0.5
"""A cell that leaves more than this of its budget unspent was not compared at equal cost."""


@dataclass(frozen=True)
class Layout:
    """What was compared, before anything came of it.

    `named` are the cells that were asked for, `baselines` those that stand beside; a cell may be both. `goals` says of
    each puzzle whether it has a goal test, so that a run may end before its budget does. Things are chosen on the
    puzzles in `choosing` and reported on those in `reporting`; both are empty where there are too few to part.
    """

    named: tuple[Place, ...]
    baselines: tuple[Place, ...]
    axes: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]
    goals: tuple[bool, ...]
    seeds: tuple[int, ...]
    budget: Budget
    choosing: tuple[int, ...]
    reporting: tuple[int, ...]
    left_out: tuple[str, ...] = ()

    @property
    def places(self) -> list[Place]:
        """All cells, each once: those that were asked for first."""
        return list(dict.fromkeys((*self.named, *self.baselines)))

    def beside(self, place: Place) -> list[Place]:
        """The baselines of the same model and prompter."""
        own = (place.model, place.prompter)
        return [other for other in self.baselines if other != place and (other.model, other.prompter) == own]


Measure = Callable[[Trial], float | None]
"""What is looked at in a run."""


def evaluation(trial: Trial) -> float | None:
    """E."""
    return trial.evaluation


def reward(trial: Trial) -> float | None:
    """R, of a run that counts."""
    return None if trial.evaluation is None else trial.reward


def paid(unit: Unit) -> Measure:
    """What a run that counts costs."""
    return lambda trial: None if trial.evaluation is None else cost(trial.usage, unit)


class Table:
    """All runs by place, puzzle and seed."""

    def __init__(self, layout: Layout, trials: Sequence[Trial]) -> None:
        self.layout = layout
        self.trials = {(t.place, t.task, t.seed): t for t in trials}
        self.all = tuple(range(len(layout.problems)))

    def of(self, place: Place) -> list[Trial]:
        """The runs of a cell."""
        return [self.trials[place, task, seed] for task in self.all for seed in self.layout.seeds]

    def grid(self, measure: Measure, place: Place, tasks: Sequence[int]) -> Grid:
        """A row for each of `tasks`, a column for each seed."""
        return [[measure(self.trials[place, task, seed]) for seed in self.layout.seeds] for task in tasks]

    def level(self, measure: Measure, axis: str, level: str, tasks: Sequence[int]) -> Grid:
        """The mean over the cells at one level of an axis."""
        cells = [place for place in self.layout.named if str(getattr(place, axis)) == level]
        return average([self.grid(measure, place, tasks) for place in cells])

    def mean(self, measure: Measure, place: Place, tasks: Sequence[int]) -> float:
        """The mean over a cell's runs; the lowest there is where none counts."""
        found = interval(self.grid(measure, place, tasks))
        return float("-inf") if found is None else found.mean


def findings(layout: Layout, trials: Sequence[Trial]) -> Comparison:
    """All that the runs say."""
    table, unit = Table(layout, trials), _unit(trials, layout.budget)
    cells = tuple(_cell(table, place) for place in layout.places)
    gains = tuple(gain for axis in layout.axes if (gain := _gain(table, axis, unit)))
    best = _best(table, unit)
    warnings = tuple(said for about in WARNINGS for said in about(table, cells, best))
    halves = (len(layout.choosing), len(layout.reporting))
    return Comparison(
        cells, gains, best, warnings, layout.left_out, layout.budget, layout.problems, layout.seeds, halves, unit,
        tuple(trials),
    )  # fmt: skip


def _unit(trials: Sequence[Trial], budget: Budget) -> Unit:
    """Dollars where all of them are known, else tokens, else calls; what no model does, in what the budget limits."""
    used: Usage = reduce(add, (trial.usage for trial in trials), Usage())
    local: Unit = "evaluations" if budget.evaluations is not None and budget.expansions is None else "expansions"
    known: list[tuple[Unit, float]] = [
        ("usd", used.usd or 0.0), ("1,000 tokens", used.tokens), ("calls", used.calls), (local, 1),
    ]  # fmt: skip
    return next(unit for unit, n in known if n)


# -- cells ---------------------------------------------------------------------------------------------------------


def _cell(table: Table, place: Place) -> Cell:
    trials = [trial for trial in table.of(place) if trial.evaluation is not None]
    solved = sum(trial.evaluation == 1 for trial in trials) / len(trials) if trials else None
    e, r = (interval(table.grid(measure, place, table.all)) for measure in (evaluation, reward))
    usage: Usage = reduce(add, (trial.usage for trial in trials), Usage())
    versus = tuple(filter(None, (_versus(table, place, other, table.all) for other in table.layout.beside(place))))
    failed = len(table.of(place)) - len(trials)
    return Cell(place, place in table.layout.baselines, len(trials), failed, e, r, solved, usage, versus)


def _versus(table: Table, place: Place, baseline: Place, tasks: Sequence[int]) -> Difference | None:
    gap = difference(table.grid(evaluation, place, tasks), table.grid(evaluation, baseline, tasks))
    return None if gap is None else Difference(baseline, gap, verdict(gap))


# -- what is chosen on one half and reported on the other ----------------------------------------------------------


def _gain(table: Table, axis: str, unit: Unit) -> Gain | None:
    """From the first level of an axis to the best of the others."""
    first, *others = table.layout.axes[axis]
    choosing, reporting = table.layout.choosing, table.layout.reporting
    found = {level: interval(table.level(evaluation, axis, level, choosing)) for level in others}
    known = [(said.mean, level) for level, said in found.items() if said]
    if not known:
        return None
    level = max(known, key=lambda pair: pair[0])[1]
    new, old = (partial(table.level, axis=axis, level=one, tasks=reporting) for one in (level, first))
    gain, extra = (difference(new(measure), old(measure)) for measure in (evaluation, paid(unit)))
    if gain is None or extra is None:
        return None
    means = {one: interval(table.level(evaluation, axis, one, reporting)) for one in (first, *others)}
    levels = {one: said.mean for one, said in means.items() if said}
    rate = gain.mean / extra.mean if extra.mean > 0 else None
    return Gain(axis, first, level, gain, extra.mean, rate, levels)


def _best(table: Table, unit: Unit) -> Best | None:
    """The cell, and the baseline beside it, of the highest E; of equals the cheapest."""
    choosing, reporting = table.layout.choosing, table.layout.reporting

    def worth(place: Place) -> tuple[float, float]:
        return table.mean(evaluation, place, choosing), -table.mean(paid(unit), place, choosing)

    named, baselines = table.layout.named, table.layout.baselines
    place = max([place for place in named if place not in baselines] or named, key=worth)
    chosen, found = (interval(table.grid(evaluation, place, half)) for half in (choosing, reporting))
    if chosen is None or found is None:
        return None
    beside = max(table.layout.beside(place), key=worth, default=None)
    versus = _versus(table, place, beside, reporting) if beside else None
    spent = table.mean(paid(unit), place, reporting)
    return Best(place, chosen.mean, found, spent, versus)


# -- warnings ------------------------------------------------------------------------------------------------------


def _too_few(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    puzzles, reported = len(table.layout.problems), len(table.layout.reporting)
    if not reported:
        yield f"nothing was chosen: {puzzles} puzzles were not parted into some to choose on and some to report on"
    elif reported < FEW:
        yield f"too few puzzles: {reported} are reported on, and intervals are too narrow below {FEW}"


def _alike(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    """The bootstrap knows only what it has seen; three in n is what n of a kind leave open (the rule of three)."""
    found = [cell.place for cell in cells if _flat(cell.evaluation)]
    last = [best.place] if best and best.place not in found and _flat(best.evaluation) else []
    for n, places in ((len(table.layout.problems), found), (len(table.layout.reporting), last)):
        if places:
            yield (
                f"all {n} puzzles came out alike in {'; '.join(map(str, places))}: an interval without a width is no "
                f"certainty, since up to {min(3 / n, 1):.0%} of other puzzles may differ"
            )


def _flat(found: Interval | None) -> bool:
    return found is not None and found.low == found.high is not None


def _does_not_pay(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    """The best there is, against the best baseline."""
    if best is None or best.versus is None or best.versus.verdict == "better":
        return
    fault = "is worse than" if best.versus.verdict == "worse" else "is not shown to be better than"
    against = best.versus.baseline.policy
    yield f"search did not pay: {best.place} {fault} {against} for the same budget ({best.versus.gap.signed})"


def _flattered(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    """Where the reward rises along an axis and the evaluation does not, the critic is being flattered."""
    pairs = list(product(table.layout.places, table.layout.named))
    for axis in Place._fields:
        rises = [_rise(table, old, new) for old, new in pairs if _apart(old, new) == [axis]]
        if most := max(rises, default=(0.0, ""))[1]:
            yield most


def _apart(old: Place, new: Place) -> list[str]:
    """The axes along which two cells differ; a baseline has no L."""
    both = {axis: (getattr(old, axis), getattr(new, axis)) for axis in Place._fields}
    return [axis for axis, (a, b) in both.items() if a != b and not (axis == "L" and None in (a, b))]


def _rise(table: Table, old: Place, new: Place) -> tuple[float, str]:
    """By how much the reward rises for sure while the evaluation does not, and that in words; 0 and "" else."""

    def gap(measure: Measure) -> Interval | None:
        return difference(table.grid(measure, new, table.all), table.grid(measure, old, table.all))

    r, e = gap(reward), gap(evaluation)
    if r is None or e is None or verdict(r) != "better" or verdict(e) == "better":
        return 0.0, ""
    sure, doubt = ("", "") if e.mean <= 0 else (" for sure", "more puzzles would tell whether ")
    return r.mean, (
        f"reward rises and evaluation does not{sure}, from {old} to {new}: reward {r.signed}, E {e.signed}; {doubt}the "
        "critic values something else than being right"
    )


def _budgets(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    """Cells that did not cost the same."""
    limits = table.layout.budget.limits
    over = [t for t in table.trials.values() if any(_used(t, name) > most + 1e-9 for name, most in limits)]
    if over:
        yield f"budget exceeded: by {len(over)} runs, the first of them {over[0].run}"
    shares = {place: _share(table, place) for place in table.layout.named} if limits else {}
    if unused := [f"{place} spent {share:.0%}" for place, share in shares.items() if share < HALF]:
        yield (
            f"budget not used: {'; '.join(unused)} of it where the puzzle was not solved: give more to do, or compare "
            "within a smaller budget"
        )


def _share(table: Table, place: Place) -> float:
    """How much of the budget the runs of a cell spent in the mean, but for those that ended at a goal."""
    limits = table.layout.budget.limits
    trials = [trial for trial in table.of(place) if trial.evaluation is not None and not _ended(table, trial)]
    used = [max(_spent(trial, name, most) for name, most in limits) for trial in trials]
    return sum(used) / len(used) if used else 1.0


def _ended(table: Table, trial: Trial) -> bool:
    """Whether a run stopped because its puzzle was solved."""
    return table.layout.goals[trial.task] and trial.answer is not None


def _spent(trial: Trial, name: str, most: float) -> float:
    return _used(trial, name) / most if most else 1.0


def _used(trial: Trial, name: str) -> float:
    return getattr(trial.usage, name) or 0.0  # an unknown price is no spending that could be compared


def _unsure(table: Table, cells: Sequence[Cell], best: Best | None) -> Iterator[str]:
    """What the costs leave out, and what the means do."""
    trials = list(table.trials.values())
    if any(trial.usage.usd is None for trial in trials):
        yield "the price of a model is not known: costs are told without dollars"
    if hits := sum(trial.hits for trial in trials):
        yield f"a cache gave {hits} draws away: those cells cost less than they would have, and got further for it"
    if failed := [trial for trial in trials if trial.evaluation is None]:
        yield (
            f"{len(failed)} of {len(trials)} runs failed and count for nothing; where there is a store, comparing "
            f"again goes on with them. The first, {failed[0].run}: {' '.join(failed[0].error.split())}"
        )


WARNINGS = (_too_few, _alike, _does_not_pay, _flattered, _budgets, _unsure)
