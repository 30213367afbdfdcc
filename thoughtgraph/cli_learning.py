"""The commands about critics: rows from runs, a critic from rows, its audit, and what larger models are trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from thoughtgraph import options
from thoughtgraph.cli_audit import audited
from thoughtgraph.errors import TaskError, ThoughtgraphError
from thoughtgraph.learning.export import FORMS, Form, export
from thoughtgraph.learning.labels import LABELS, Label, rows_of
from thoughtgraph.learning.rows import read_rows, write_rows
from thoughtgraph.learning.training import train_critic
from thoughtgraph.recipes.finetune import finetune
from thoughtgraph.render import harmless, whole
from thoughtgraph.store import SQLiteStore
from thoughtgraph.tasks import NAMES, build, evaluator
from thoughtgraph.terminal import aside, budget_of, elsewhere, line, own_store, paying, refuse, where_of, write
from thoughtgraph.trace import Started

learning = typer.Typer()

Rows = Annotated[list[Path], typer.Argument(help="files of rows, JSONL")]


@contextlib.contextmanager
def _refusing() -> Generator[None, None, None]:
    """What went wrong in one line, and no traceback; status 2, since 1 is an audit's verdict."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        aside.print(whole(str(stopped) or "stopped; with a store, the same command goes on"), soft_wrap=True)
        raise typer.Exit(130) from None
    except (ThoughtgraphError, ValueError, OSError) as error:
        refuse(error, 2)


def _say(told: object, found: Any, as_json: bool) -> None:
    write(line(found) if as_json else harmless(f"{told}\n"))


@learning.command("label")
def label_command(
    out: Annotated[Path, typer.Argument(help="the file of rows to write, JSONL")],
    run: Annotated[list[str] | None, typer.Option("--run", help="only this run; again for more")] = None,
    task: Annotated[str, typer.Option("--task", help=f"whose runs: one of {', '.join(NAMES)}")] = "game24",
    label: Annotated[list[str] | None, typer.Option("--label", help=f"of {', '.join(LABELS)}; again for more")] = None,
    rollout: Annotated[str, typer.Option("--rollout", help="the action that made the trials")] = "reason",
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Make rows to learn from of runs in the store: outcomes, Monte-Carlo values of steps, sibling preferences."""
    with _refusing(), contextlib.closing(SQLiteStore(store or own_store(), read_only=True)) as kept:
        if task not in NAMES:
            raise TaskError(f"there is no task {task!r:.80}: expected one of {', '.join(NAMES)}")
        elsewhere(out, kept.path)
        starts = (kept.ends(one)[0] for one in kept.runs())
        problems = {s.x for s in starts if isinstance(s, Started) and s.task == task}
        tasks = [build(task, problem) for problem in sorted(problems)]
        wanted = cast("list[Label]", label or list(LABELS))
        rows = rows_of(kept, tasks, runs=run, evaluate=evaluator, labels=wanted, rollout=rollout)
        if not rows:
            raise TaskError(f"no run of {task} in {kept.path} gives a row: search some first, as with monte_carlo")
        count = write_rows(out, rows)
        _say(f"{count} rows in {out}", {"rows": count, "path": str(out)}, as_json)


@learning.command("train")
def train_command(
    rows: Rows,
    out: Annotated[Path, typer.Option("--out", help="the critic's file, JSON")],
    objective: Annotated[str | None, typer.Option("--objective", help="preference, demonstration, ...")] = None,
    feature: Annotated[list[str] | None, typer.Option("--feature", help="a feature's name; again for more")] = None,
    learner: Annotated[str, typer.Option("--learner", help="logistic, boosted, lightgbm, network, auto")] = "auto",
    anyway: Annotated[bool, typer.Option("--anyway", help="keep it where a baseline is as good")] = False,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Learn a critic from rows, say why it is of its kind and how good it is, and keep it or the best baseline."""
    with _refusing():
        elsewhere(out, *rows)
        told = [row for file in rows for row in read_rows(file)]
        how: dict[str, Any] = {"objective": objective, "learner": learner, "anyway": anyway, "seed": seed}
        training = train_critic(told, features=feature or None, **how)
        if training.critic is not None:
            training.critic.save(out)
        _say(training, training.to_json(), as_json)


@learning.command("audit")
def audit_command(
    critic: Annotated[str, typer.Argument(help="a critic's file, or a critic as text: 'value(samples=3)'")],
    rows: Rows,
    page: Annotated[Path | None, typer.Option("--page", help="write the report as a page of HTML")] = None,
    seen: Annotated[list[Path] | None, typer.Option("--trained-on", help="rows that it was trained on")] = None,
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
    seed: Annotated[int, typer.Option("--seed")] = 0,
    store: options.Store = None,
    no_store: options.NoStore = False,
    as_json: options.Json = False,
) -> None:
    """Try a critic on rows of known outcome: its figures, and whether to use it. Status 1 for one to be rejected."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, None)
    how: dict[str, Any] = {**paying(model_for, price, attempts, cache, no_cache), "budget": budget, "seed": seed}
    with _refusing():
        kept = where_of(store, no_store)
        if page is not None:
            elsewhere(page, *rows, *(seen or ()), Path(critic), *([Path(kept)] if kept else []))
        found = audited(
            critic, rows, page=page, seen=seen or (), model=model, base_url=base_url, store=kept, **how
        )  # fmt: skip
        _say(found, found.to_json(), as_json)
    raise typer.Exit(1 if found.verdict == "reject" else 0)


@learning.command("export")
def export_command(
    rows: Rows,
    form: Annotated[str, typer.Option("--for", help=f"the trainer: one of {', '.join(FORMS)}")],
    out: Annotated[Path, typer.Option("--out", help="the file to write, JSONL")],
    good: Annotated[float, typer.Option("--good", help="the least value of a right response")] = 1.0,
    as_json: options.Json = False,
) -> None:
    """Write rows in the shape that a trainer of TRL's reads; say what was left out."""
    with _refusing():
        elsewhere(out, *rows)
        done = export([row for file in rows for row in read_rows(file)], out, cast("Form", form), good=good)
        _say(done, {"lines": done.lines, "left_out": dict(done.left_out), "path": str(done.path)}, as_json)


@learning.command("finetune")
def finetune_command(
    file: Annotated[Path, typer.Argument(help="a file that was exported")],
    form: Annotated[str, typer.Option("--for", help=f"what it was exported for: one of {', '.join(FORMS)}")],
    model: Annotated[Path, typer.Option("--model", help="the folder of the model to begin with")],
    out: Annotated[Path, typer.Option("--out", help="the folder of the model that is made")],
    reward: Annotated[Path | None, typer.Option("--reward", help="the folder of a reward model, for grpo")] = None,
    epochs: Annotated[float, typer.Option("--epochs")] = 1.0,
    rate: Annotated[float, typer.Option("--rate", help="the learning rate")] = 2e-5,
    batch: Annotated[int, typer.Option("--batch", help="lines a step")] = 8,
    longest: Annotated[int, typer.Option("--longest", help="tokens that a line may have")] = 1024,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Train a large model on an exported file, by TRL, on this machine."""
    with _refusing():
        how: dict[str, Any] = {"epochs": epochs, "rate": rate, "batch": batch, "longest": longest, "seed": seed}
        done = finetune(cast("Form", form), file, model=model, out=out, reward=reward, **how)
        _say(done, {"folder": str(done.folder), "lines": done.lines, "steps": done.steps, "loss": done.loss}, as_json)
