"""Runs on a terminal: trees, books and live progress. Model text is shown inert: no markup, no control characters."""

from __future__ import annotations

import json
import shlex
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from thoughtgraph.api import Update
from thoughtgraph.budget import Usage
from thoughtgraph.forgetting import TOMBSTONE, forgotten
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.result import Result
from thoughtgraph.thought import Json, Passage, Thought, as_text
from thoughtgraph.trace import Ledger, Noted

LINES = 16
"""How many thoughts a tree shows while it grows."""


def inert(text: str, width: int = 100) -> Text:
    """One line of a text that may hold anything: control, format and direction characters are shown as dots."""
    return Text(_flat(text, width), overflow="ellipsis", no_wrap=True)


def whole(text: str) -> Text:
    """The same for what must be read to its end (an id, an error), on as many lines as that takes."""
    return Text(_flat(text, 2000))


def _flat(text: str, width: int) -> str:
    words = " ".join(text[:5000].split())
    flat = "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else "·" for c in words)
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def harmless(text: str) -> str:
    """A text as it stands, but for what could steer a terminal: control, format and direction characters are dots."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "·" for c in text)


def tree(graph: ThoughtGraph, answer: Thought | None = None, most: int = 200) -> Tree:
    """The thoughts under their first parents, the best first, the path of the answer marked; at most `most` of them."""
    path = {thought.id for thought in graph.path(answer)} if answer else set[str]()
    left = [most]

    def grow(branch: Tree, thought: Thought) -> None:
        own = [child for child in graph.children(thought) if child.parents[0] == thought.id]
        own.sort(key=lambda t: (t.id not in path, -_worth(graph, t)))
        for number, child in enumerate(own):
            if left[0] <= 0:
                branch.add(Text(f"… {len(own) - number} more", style="dim"))
                return
            left[0] -= 1
            grown = branch.add(_label(graph, child, child.id in path))
            if child.depth < 40:
                grow(grown, child)

    top = Tree(_label(graph, graph.root, bool(path)))
    grow(top, graph.root)
    return top


def _worth(graph: ThoughtGraph, thought: Thought) -> float:
    value = graph.value(thought)
    return float("-inf") if value is None else value


def _label(graph: ThoughtGraph, thought: Thought, chosen: bool) -> Text:
    value = graph.value(thought)
    label = Text("forgotten", "dim") if forgotten(thought) else inert(thought.text or "the problem", 72)
    label.append("" if value is None else f"  {value:.3g}", style="cyan")
    if chosen:
        label.stylize("bold green")
    return label


def spent(usage: Usage) -> str:
    """A usage in one line."""
    dollars = "price unknown" if usage.usd is None else f"${usage.usd:.4f}"
    return (
        f"{usage.calls} calls, {usage.requests} requests, {usage.tokens} tokens, {dollars}, "
        f"{usage.expansions} expansions, {usage.evaluations} evaluations, {usage.seconds:.2f} s"
    )


def books(ledger: Mapping[str, Ledger]) -> Table:
    """The ledger as a table: what each role asked, what became of it, what it cost, how long replies took."""
    table = Table(
        "role", "calls", "requests", "hedges", "hits", "retries", "tokens in", "cached", "tokens out", "reasoning",
        "dollars", "p50 s", "p90 s", box=None,
    )  # fmt: skip
    for role, book in ledger.items():
        retries = ", ".join(f"{cause}: {n}" for cause, n in book.retries.items()) or "none"
        dollars = "unknown" if book.usd is None else f"{book.usd:.4f}"
        counts = [role, book.calls, book.requests, book.hedges, book.hits, retries]
        tokens = [book.prompt_tokens, book.cached_tokens, book.completion_tokens, book.reasoning_tokens, dollars]
        times = ("" if (q := book.latency(at)) is None else f"{q:.2f}" for at in (0.5, 0.9))
        table.add_row(*(whole(str(cell)) for cell in (*counts, *tokens)), *times)
    return table


class Changing:
    """What changes on a terminal while something goes on: at most ten times a second, and only where somebody looks."""

    def __init__(self, console: Console) -> None:
        self.last = 0.0
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.__exit__(None, None, None)

    def show(self, made: Callable[[], RenderableType]) -> None:
        """Show what `made` makes, if it is time."""
        now = time.monotonic()
        if self.live is not None and now - self.last >= 0.1:
            self.last = now
            self.live.update(made(), refresh=True)


class Counted(Changing):
    """How many `things` are done, and the newest of them."""

    def __init__(self, console: Console, things: str) -> None:
        super().__init__(console)
        self.things = things

    def __call__(self, newest: object, done: int, of: int) -> None:
        """Say it."""
        self.show(lambda: Text(f"{done} of {of} {self.things}   ").append_text(inert(str(newest))))


class Progress(Changing):
    """The tree of a run while it grows, what it has paid, and its best answer so far."""

    def __call__(self, update: Update) -> None:
        """Show where the run stands."""
        self.show(lambda: _standing(update))


def _standing(update: Update) -> Group:
    engine, thought = update.engine, update.thought
    best = inert(answer_text(update.answer)) if thought else Text("none yet", style="dim")
    grown, paid = tree(engine.graph, thought, LINES), Text(spent(engine.usage), style="dim")
    return Group(grown, paid, Text("best so far: ") + best)


def shown(told: Mapping[str, Sequence[Passage]]) -> list[Text]:
    """Which documents of the knowledge each model was shown."""
    return [
        Text("shown: ", "magenta").append_text(whole(f"{model} saw {_counted(passages)} of {_documents(passages)}"))
        for model, passages in told.items()
    ]


def _counted(passages: Sequence[Passage]) -> str:
    return "1 passage" if len(passages) == 1 else f"{len(passages)} passages"


def _documents(passages: Sequence[Passage]) -> str:
    return ", ".join(dict.fromkeys(passage.document or passage.source for passage in passages))


def noted(note: Noted) -> Text:
    """One thing that was done in another way than asked."""
    return Text("note: ", "yellow").append_text(whole(f"{note.model or note.about}: {note.text}"))


def report(console: Console, result: Result, where: str | None, again: Sequence[str] = ()) -> None:
    """What a run came to, for a person. `again` are the words of the command that goes on with it: else `resume`."""
    console.print(Text.assemble(("reason: ", "dim"), result.reason, ("   run: ", "dim"), whole(result.run)))
    console.print(Text(spent(result.usage), style="dim"))
    bad = {name: n for name, n in result.outcomes.items() if name != "ok"}
    if bad:
        counted = ", ".join(f"{n} {name}" for name, n in bad.items())
        console.print(Text(f"draws that came to nothing: {counted}", "yellow"))
    for note in result.notes:
        console.print(noted(note))
    if result.ledger:
        console.print(books(result.ledger))
    if result.error:
        console.print(whole(result.error), style="red")
    if where and result.reason in ("budget", "cancelled", "failed"):
        more = " --budget-... MORE" if result.reason == "budget" else ""
        words = shlex.join([*(again or ("resume", result.run)), "--store", where])
        line = harmless(f"go on with: thoughtgraph {words}{more}")
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def answer_text(answer: Json) -> str:
    """An answer for standard output: its words, or its JSON."""
    if answer == TOMBSTONE:
        return "forgotten"
    return answer if isinstance(answer, str) else as_text(answer) or json.dumps(answer)
