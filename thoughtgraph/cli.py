"""The command line: the library's own words. Answers on standard output, progress on standard error.

Exit status: 0 an answer, 1 none, 2 a usage error, 130 interrupted, 141 nobody read the output to its end.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from thoughtgraph import options
from thoughtgraph.api import Interrupted, Update, estimate, resume, solve
from thoughtgraph.cli_compare import described, problems
from thoughtgraph.cli_knowledge import knowing
from thoughtgraph.cli_learning import learning
from thoughtgraph.comparing import compare
from thoughtgraph.comparison import plottable
from thoughtgraph.errors import TaskError, ThoughtgraphError
from thoughtgraph.render import (
    Counted,
    Progress,
    answer_text,
    books,
    harmless,
    inert,
    noted,
    report,
    shown,
    tree,
    whole,
)
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.store import SQLiteStore
from thoughtgraph.task import Task
from thoughtgraph.tasks import NAMES, build
from thoughtgraph.terminal import aside, budget_of, heard, line, own_store, paying, refuse, show, where_of, write
from thoughtgraph.trace import Event, Forgotten, Noted, Record, Started, Stopped, graph_of, ledger_of, shown_to
from thoughtgraph.version import __version__

app = typer.Typer(
    help="Think in graphs: propose thoughts, score them, search among them, pay for each call once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("solve")
def solve_command(
    problem: Annotated[str, typer.Argument(help="the question or puzzle; - reads it from standard input")],
    task: Annotated[str, typer.Option("--task", help=f"one of {', '.join(NAMES)}")] = "question",
    policy: options.Policy = None,
    model: options.Model = None,
    model_for: options.ModelFor = None,
    base_url: options.Url = None,
    price: options.Price = None,
    attempts: options.Attempts = None,
    cache: options.Cache = None,
    no_cache: options.NoCache = False,
    budget_usd: options.Usd = None,
    budget_calls: options.Calls = None,
    budget_tokens: options.Tokens = None,
    budget_seconds: options.Seconds = None,
    budget_expansions: options.Expansions = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed and replies give the same run")] = 0,
    store: options.Store = None,
    no_store: options.NoStore = False,
    merge: Annotated[bool | None, typer.Option("--merge/--no-merge", help="merge equal thoughts")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="call nothing; say what it would cost")] = False,
    as_json: options.Json = False,
) -> None:
    """Solve a problem: a question in text with a model, or a task that ships with thoughtgraph."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, budget_expansions)
    where, paid = where_of(store, no_store or dry_run), paying(model_for, price, attempts, cache, no_cache)
    if dry_run:
        made = partial(_task, task, sys.stdin.read() if problem == "-" else problem, model)
        how = {"policy": policy, "model": model, "base_url": base_url, "budget": budget, "seed": seed, "merge": merge}
        _foresee(made, {**how, **paid}, as_json)
        return

    def run(watch: Callable[[Update], None]) -> Result:
        built = _task(task, sys.stdin.read() if problem == "-" else problem, model)
        return solve(
            built, policy=policy, model=model, base_url=base_url, budget=budget, seed=seed, store=where, merge=merge,
            on_event=watch, **paid,
        )  # fmt: skip

    _show_run(run, where, as_json)


@app.command("estimate")
def estimate_command(
    problem: Annotated[str, typer.Argument(help="the question or puzzle; - reads it from standard input")],
    task: Annotated[str, typer.Option("--task", help=f"one of {', '.join(NAMES)}")] = "question",
    policy: options.Policy = None,
    model: options.Model = None,
    model_for: options.ModelFor = None,
    base_url: options.Url = None,
    price: options.Price = None,
    budget_usd: options.Usd = None,
    budget_calls: options.Calls = None,
    budget_tokens: options.Tokens = None,
    budget_seconds: options.Seconds = None,
    budget_expansions: options.Expansions = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed gives the same estimate")] = 0,
    as_json: options.Json = False,
) -> None:
    """Say what a run would cost, at least, likely and at most. Nothing is called."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, budget_expansions)
    paid = paying(model_for, price, None, None, no_cache=True)
    made = partial(_task, task, sys.stdin.read() if problem == "-" else problem, model)
    how = {"policy": policy, "model": model, "base_url": base_url, "budget": budget, "seed": seed}
    _foresee(made, {**how, **paid}, as_json)


@app.command("compare")
def compare_command(
    problem: Annotated[list[str], typer.Argument(help="problems; @FILE has one a line, - is standard input")],
    task: Annotated[str, typer.Option("--task", help=f"one of {', '.join(NAMES)}")] = "question",
    policy: options.Policies = None,
    model: options.Models = None,
    draws: options.Draws = None,
    model_for: options.ModelFor = None,
    base_url: options.Url = None,
    price: options.Price = None,
    attempts: options.Attempts = None,
    cache: options.Cache = None,
    no_cache: options.NoCache = False,
    budget_usd: options.Usd = None,
    budget_calls: options.Calls = None,
    budget_tokens: options.Tokens = None,
    budget_seconds: options.Seconds = None,
    budget_expansions: options.Expansions = None,
    seeds: Annotated[int, typer.Option("--seeds", help="runs of each cell on each problem")] = 3,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="plain sampling beside")] = True,
    split: Annotated[float, typer.Option("--split", help="share of the problems to choose on")] = 0.5,
    workers: Annotated[int, typer.Option("--workers", help="runs side by side")] = 8,
    store: options.Store = None,
    no_store: options.NoStore = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="draw it to this .svg or .png")] = None,
    as_json: options.Json = False,
) -> None:
    """Compare policies, models and numbers of draws, each run within the same budget; once stopped, it can go on."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, budget_expansions)
    where, paid = where_of(store, no_store), paying(model_for, price, attempts, cache, no_cache)
    over = {name: named for name, named in (("policy", policy), ("model", model), ("L", draws)) if named}
    try:
        if plot is not None:
            plottable(plot)
        if budget is None:
            raise TaskError("no budget is named: every run gets the same, as in --budget-calls 40")
        tasks = [_task(task, one, model[0] if model else None) for one in problems(problem)]
        with Counted(aside, "runs") as counted:
            found = compare(
                tasks, over=over, budget=budget, seeds=seeds, baselines=baselines, split=split, workers=workers,
                store=where, base_url=base_url, on_run=lambda trial, done, of: counted(trial.place, done, of), **paid,
            )  # fmt: skip
        write(line(found.to_json()) if as_json else harmless(f"{found}\n"))
        if plot is not None:
            found.plot(plot)
        if not any(cell.runs for cell in found.cells):
            raise typer.Exit(1)
    except KeyboardInterrupt as stopped:
        aside.print(whole(str(stopped)), soft_wrap=True)
        raise typer.Exit(130) from None
    except (ThoughtgraphError, ValueError, OSError) as error:
        refuse(error)


@app.command("policies")
def policies_command(
    name: Annotated[str | None, typer.Argument(help="one policy; without it, all there are")] = None,
    as_json: options.Json = False,
) -> None:
    """Say which policies there are: their settings, their papers, and what a run costs."""
    try:
        found = described(name)
    except ValueError as error:
        refuse(error)
    if as_json:
        entries = [asdict(entry) for entry in found]
        write(line(entries[0] if name else entries))
    else:
        write("\n\n".join(f"{e.signature}\n  {e.says}\n  Cost: {e.cost or 'not said'}" for e in found) + "\n")


@app.command("resume")
def resume_command(
    run: Annotated[str, typer.Argument(help="the run's id")],
    policy: options.Policy = None,
    model: options.Model = None,
    model_for: options.ModelFor = None,
    base_url: options.Url = None,
    price: options.Price = None,
    attempts: options.Attempts = None,
    cache: options.Cache = None,
    no_cache: options.NoCache = False,
    budget_usd: options.Usd = None,
    budget_calls: options.Calls = None,
    budget_tokens: options.Tokens = None,
    budget_seconds: options.Seconds = None,
    budget_expansions: options.Expansions = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Go on with a run where it stopped; what is recorded is not paid again. A budget is the new total."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, budget_expansions)
    where, paid = where_of(store, no_store=False), paying(model_for, price, attempts, cache, no_cache)
    _show_run(
        lambda watch: resume(
            run, store=where or "", budget=budget, policy=policy, model=model, base_url=base_url, on_event=watch, **paid
        ),
        where,
        as_json,
    )


@app.command("show")
def show_command(
    run: Annotated[str | None, typer.Argument(help="the run's id; without it, the runs there are")] = None,
    store: options.Store = None,
    most: Annotated[int, typer.Option("--most", help="how many thoughts to show at most")] = 200,
    as_json: options.Json = False,
) -> None:
    """Show a recorded run: its tree, its answer, its books. Nothing is called."""
    try:
        with contextlib.closing(SQLiteStore(store or own_store(), read_only=True)) as kept:
            if run is None:
                _list([(name, kept.ends(name)) for name in kept.runs()], as_json)
            else:
                _show(run, kept.events(run), kept.records(run), most, as_json)
    except (ThoughtgraphError, ValueError) as error:
        refuse(error)


@app.command("demo")
def demo_command(as_json: options.Json = False) -> None:
    """Solve a few puzzles offline with three policies side by side, and show what each paid."""
    from thoughtgraph.demo import demo

    with heard():
        demo(Console(), as_json=as_json)


@app.command("doctor")
def doctor_command(
    model: options.Models = None,
    base_url: options.Url = None,
    probe: Annotated[bool, typer.Option("--probe", help="ask the servers what they really do: a few cents")] = False,
    as_json: options.Json = False,
) -> None:
    """Say which models are set up, what each can do, and what is done where it cannot."""
    from thoughtgraph.doctor import examine

    def tell(line: str) -> None:
        aside.print(whole(line), soft_wrap=True)

    try:
        told = examine(model or [], base_url, ask=probe, tell=tell)
    except (ThoughtgraphError, ValueError, KeyboardInterrupt) as error:
        refuse(error)
    write(line(told.to_json())) if as_json else show(*told.shown())
    raise typer.Exit(0 if told.well else 1)


app.add_typer(learning)
app.add_typer(knowing)


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="the version, and nothing else")] = False) -> None:
    """Think in graphs."""
    if version:
        write(f"{__version__}\n")
        raise typer.Exit


def main() -> None:
    """The console script."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before we began (`>&-`)
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    if isinstance(out := cast("object", sys.stdout), io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # an answer is paid for: no terminal's alphabet may lose it
    with heard():
        app()


# -- the commands' common parts ----------------------------------------------------------------------------------


def _show_run(run: Callable[[Callable[[Update], None]], Result], where: str | None, as_json: bool) -> None:
    """Run it with progress; print the answer, or why there is none."""
    status, failure = 0, ""
    try:
        with Progress(aside) as progress:
            result = run(progress)
    except Interrupted as stopped:
        result, status = stopped.result, 130
    except RunFailed as failed:
        result, failure = failed.result, str(failed)
    except (ThoughtgraphError, ValueError, KeyboardInterrupt) as error:
        refuse(error)
    _tell(result, where, as_json)
    if failure:  # after the result: nothing that happens to standard error may keep that back
        aside.print(whole(failure), style="red", soft_wrap=True)
    raise typer.Exit(status or (1 if result.answer is None else 0))


def _foresee(made: Callable[[], Task], how: Mapping[str, Any], as_json: bool) -> None:
    """Print an estimate."""
    try:
        found = estimate(made(), **how)
    except (ThoughtgraphError, ValueError) as error:
        refuse(error)
    write(line(found.to_json()) if as_json else f"{found}\n")


def _tell(result: Result, where: str | None, as_json: bool) -> None:
    if as_json:
        write(line(result.to_json()))
    elif result.answer is not None:
        answer = answer_text(result.answer)
        write((harmless(answer) if sys.stdout.isatty() else answer) + "\n")
    if not as_json or result.reason == "cancelled":
        report(aside, result, where)


def _task(name: str, problem: str, model: str | None) -> Task:
    """A shipped task uses its local generators unless a model is named here, whatever the environment says."""
    return build(name, problem, local=model is None)


# -- showing -----------------------------------------------------------------------------------------------------

OPEN = "in progress or interrupted"
"""What a run without an end is: from its file alone nobody can tell which."""


def _list(runs: list[tuple[str, tuple[Event, Event]]], as_json: bool) -> None:
    rows = [_row(run, *ends) for run, ends in runs]
    if as_json:
        write(line(rows))
        return
    table = Table("run", "task", "begun", "reason", "answer", box=None)
    for row in rows:
        begun, ended = str(row["created"] or "")[:19], row["reason"] or OPEN
        answer = "" if row["answer"] is None else answer_text(row["answer"])
        table.add_row(*map(whole, (row["run"], row["task"] or "", begun, ended)), inert(answer, 50))
    show(table)


def _row(run: str, first: Event, last: Event) -> dict[str, Any]:
    task, created = (first.task, first.created) if isinstance(first, Started) else (None, None)
    reason, answer = (last.reason, last.answer) if isinstance(last, Stopped) else (None, None)
    reason = "forgotten" if isinstance(last, Forgotten) else reason
    return {"run": run, "task": task, "created": created, "reason": reason, "answer": answer}


def _show(run: str, events: list[Event], records: list[Record], most: int, as_json: bool) -> None:
    graph, last, ledger, told = graph_of(events), events[-1], ledger_of(records), shown_to(records)
    notes = [event for event in events if isinstance(event, Noted)]
    if as_json:
        row = {**_row(run, events[0], last), "events": len(events), "notes": [note.text for note in notes]}
        spent = {role: book.to_json() for role, book in ledger.items()}
        went = {model: [passage.id or passage.document for passage in passages] for model, passages in told.items()}
        write(line({**row, "ledger": spent, "shown": went, "graph": graph.to_json()}))
        return
    gone = isinstance(last, Forgotten)
    stopped = next((event for event in reversed(events) if isinstance(event, Stopped)), None) if gone else last
    stopped = stopped if isinstance(stopped, Stopped) else None
    named = stopped.thought if stopped else None
    thought = graph[named] if named and named in graph else None
    reason = stopped.reason if stopped else f"{OPEN}: if nobody works on it, resume it"
    reason = "forgotten: what rested on a document was taken out of it" if gone else reason
    ended = whole(f"run {run}: {reason}, {len(graph)} thoughts, {len(events)} events")
    answer = [] if stopped is None or stopped.answer is None else [inert(answer_text(stopped.answer), 500)]
    said = [*shown(told), *map(noted, notes), *([books(ledger)] if ledger else [])]
    show(tree(graph, thought, most), ended, *said, *answer)


if __name__ == "__main__":
    main()
