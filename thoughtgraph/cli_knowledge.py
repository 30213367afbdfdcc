"""The commands about private knowledge: files into it, what is in it, a question to it, and a document out of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Column, Table
from rich.text import Text

from thoughtgraph import options
from thoughtgraph.api import Interrupted
from thoughtgraph.cache import REPLIES
from thoughtgraph.critics.grounded import unsupported as by_words
from thoughtgraph.errors import StoreError, TaskError, ThoughtgraphError
from thoughtgraph.labels import Labels
from thoughtgraph.render import Counted, Progress, answer_text, harmless, inert, report, whole
from thoughtgraph.result import Result, RunFailed
from thoughtgraph.retrieval.catalogue import Entry
from thoughtgraph.retrieval.embedders import Embedder
from thoughtgraph.retrieval.indexing import index
from thoughtgraph.retrieval.knowledge import Knowledge
from thoughtgraph.sources import Source
from thoughtgraph.terminal import aside, budget_of, line, own_store, paying, refuse, show, where_of, write
from thoughtgraph.thought import Json, as_text, clean

knowing = typer.Typer()

File = Annotated[Path, typer.Option("--knowledge", help="the SQLite file of documents and passages")]
As = Annotated[list[str] | None, typer.Option("--as", help="who asks: a name, and again for their groups")]
Embedding = Annotated[
    str | None, typer.Option("--embedder", help="openai:text-embedding-3-small, or a sentence-transformers model")
]
EmbeddingUrl = Annotated[str | None, typer.Option("--embedder-url", help="a server of your own that embeds")]


@knowing.command("index")
def index_command(
    paths: Annotated[list[Path], typer.Argument(help="files and folders")],
    knowledge: File,
    reader: Annotated[list[str] | None, typer.Option("--reader", help="who may read them; again for more")] = None,
    models: Annotated[list[str] | None, typer.Option("--models", help="which models may see them: 'local:*'")] = None,
    train: Annotated[bool | None, typer.Option("--train/--no-train", help="may they be trained on?")] = None,
    embedder: Embedding = None,
    embedder_url: EmbeddingUrl = None,
    size: Annotated[int, typer.Option("--size", help="tokens that a passage may have")] = 200,
    encoding: Annotated[str, typer.Option("--encoding", help="of files that do not say theirs (utf-8)")] = "",
    largest: Annotated[int, typer.Option("--largest", help="bytes that a file may have")] = 50_000_000,
    seconds: Annotated[float, typer.Option("--seconds", help="seconds that one file may take")] = 60.0,
    remove_missing: Annotated[bool, typer.Option("--remove-missing", help="take out what is gone from there")] = False,
    as_json: options.Json = False,
) -> None:
    """File documents, those that are new or changed. Labels that are not named stay, or are for the owner alone."""
    named = {"readers": tuple(reader or ()), "models": tuple(models or ()), "train": train}
    told = {what: value for what, value in named.items() if value not in ((), None)}
    with _refusing(), Counted(aside, "files") as counted:
        made = embedder_named(embedder, embedder_url)
        with Knowledge(knowledge, made, size=size) as known:
            found = index(
                known, paths, labels=partial(_relabelled, told) if told else None, encoding=encoding, largest=largest,
                seconds=seconds, remove_missing=remove_missing, progress=counted,
            )  # fmt: skip
    write(line(found.to_json()) if as_json else harmless(f"{found}\n"))
    raise typer.Exit(1 if found.failed else 0)


@knowing.command("documents")
def documents_command(knowledge: File, as_: As = None, as_json: options.Json = False) -> None:
    """Say which documents there are: all of them, or those that somebody may read."""
    with _refusing(), _opened(knowledge) as known:
        found = known.reader(as_).documents() if as_ else known.documents()
    if as_json:
        write(line([_entry(entry) for entry in found]))
        return
    names = ("document", "title", "kind", "passages", "readers", "models", "train")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)  # a name that is cut off is no name
    for e in found:
        words = (e.title, e.kind, str(e.passages), ", ".join(e.labels.readers), ", ".join(e.labels.models))
        table.add_row(Text(harmless(e.name)), *map(whole, words), "yes" if e.labels.train else "no")
    show(table)


@knowing.command("ask")
def ask_command(
    question: Annotated[str, typer.Argument(help="the question")],
    knowledge: File,
    as_: As = None,
    embedder: Embedding = None,
    embedder_url: EmbeddingUrl = None,
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
    resume: Annotated[str, typer.Option("--resume", metavar="RUN", help="go on with a run of this question")] = "",
    store: options.Store = None,
    no_store: options.NoStore = False,
    as_json: options.Json = False,
) -> None:
    """Answer a question from the knowledge, with its sources; what no source bears out is flagged."""
    budget = budget_of(budget_usd, budget_calls, budget_tokens, budget_seconds, budget_expansions)
    where, paid = where_of(store, no_store), paying(model_for, price, attempts, cache, no_cache)
    with _refusing(), _opened(knowledge, embedder_named(embedder, embedder_url)) as known:
        from thoughtgraph.recipes.asking import ask

        who = {"principal": tuple(as_)} if as_ else {}
        run = partial(
            ask, question, knowledge=known, policy=policy, model=model, base_url=base_url, budget=budget, seed=seed,
            store=where, run=resume, **who, **paid,
        )  # fmt: skip
        result, status, failure = _run(run)
    _answered(result, as_json)
    if not as_json or result.reason == "cancelled":
        named = {
            "--as": as_, "--embedder": embedder, "--embedder-url": embedder_url, "--policy": policy, "--model": model,
            "--model-for": model_for, "--base-url": base_url,
        }  # fmt: skip
        again = ["ask", question, "--knowledge", str(knowledge), *_words(named), "--resume", result.run]
        report(aside, result, where, again)
    if failure:
        aside.print(whole(failure), style="red", soft_wrap=True)
    raise typer.Exit(status or (1 if result.answer is None else 0))


@knowing.command("forget")
def forget_command(
    document: Annotated[str, typer.Argument(help="the document's name, as `thoughtgraph documents` says it")],
    knowledge: File,
    store: Annotated[
        list[Path] | None, typer.Option("--store", help="a file of runs; again for more (your own)")
    ] = None,
    cache: Annotated[
        list[Path] | None, typer.Option("--cache", help="a file of replies; again for more (by default TG_CACHE's)")
    ] = None,
    critic: Annotated[list[Path] | None, typer.Option("--critic", help="a learned critic; again for more")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask whether it is meant")] = False,
    as_json: options.Json = False,
) -> None:
    """Take a document out for good, and what rests on it out of runs and caches. Status 1 if there was nothing."""
    from thoughtgraph.recipes.forgetting import forget

    stores = store or [own for own in (own_store(),) if own.exists()]
    with _refusing(), _opened(knowledge) as known:
        caches = cache or own_caches()
        found = [e for e in known.documents() if e.name == clean(document)]
        if not yes:
            ran, paid = (f"the runs in {one}" for one in stores), (f"the replies in {one}" for one in caches)
            places = ", ".join([str(knowledge), *ran, *paid])
            _meant(document, places, "" if caches else "No cache was named. ", known=bool(found))
        files = [e.meta.get("path") for e in found]
        done = forget(document, knowledge=known, stores=stores, caches=caches, critics=critic or ())
    write(line(done.to_json()) if as_json else harmless(f"{done}\n"))
    for file in files:
        if isinstance(file, str) and os.path.lexists(file):
            aside.print(
                whole(f"{file} is still there: delete it too, or its folder's next index takes it in again"),
                soft_wrap=True,
            )
    raise typer.Exit(0 if done else 1)


# -- the commands' common parts --------------------------------------------------------------------------------------


def embedder_named(text: str | None, url: str | None = None) -> Embedder | None:
    """The embedder that is meant: a served one by "openai:" or its server, else one of sentence-transformers."""
    if text is None:
        if url is not None:
            raise TaskError("--embedder-url names a server: name the model there too, as in --embedder openai:MODEL")
        return None
    backend, _, name = text.rpartition(":")
    if backend == "openai" or url:
        from thoughtgraph.retrieval.served_embedder import ServedEmbedder

        return ServedEmbedder(name, base_url=url) if url else ServedEmbedder(name)
    from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder

    return SentenceEmbedder(text.removeprefix("local:"))


def own_caches() -> list[Path]:
    """The file of replies that the environment names, if it is there: none is made to forget something in it."""
    from platformdirs import user_cache_path

    said = os.environ.get("TG_CACHE", "")
    if said in ("", "0"):
        return []
    path = user_cache_path("thoughtgraph", appauthor=False) / "replies.db" if said == "1" else REPLIES.real(said)
    if path.exists():
        return [path]
    aside.print(whole(f"TG_CACHE means {path}, which is not there: no replies are looked for"), soft_wrap=True)
    return []


def _meant(document: str, places: str, note: str, *, known: bool) -> None:
    """Go on only where there is such a document and somebody says that it is meant; else status 1."""
    if not known:
        refuse(
            StoreError(
                f"there is no document {document!r}: thoughtgraph documents says the names there are. If it was there "
                f"before, --yes takes what is left of it out of {places}"
            ),
            1,
        )
    try:
        if typer.confirm(harmless(f"Forget {document!r} in {places}? {note}This cannot be undone."), err=True):
            return
    except typer.Abort:
        if not sys.stdin.isatty():
            aside.print(
                "\nnobody is there to ask, and nothing was forgotten: pass --yes if it is meant", soft_wrap=True
            )
    raise typer.Exit(1)


def _words(named: Mapping[str, str | Sequence[str] | None]) -> list[str]:
    """Options as they were given."""
    each = {name: [value] if isinstance(value, str) else value or () for name, value in named.items()}
    return [word for name, values in each.items() for value in values for word in (name, value)]


def _relabelled(told: Mapping[str, Any], labels: Labels) -> Labels:
    return replace(labels, **told)


@contextlib.contextmanager
def _refusing() -> Generator[None, None, None]:
    """What went wrong in one line, and no traceback; status 2, since 1 says that a file failed or nothing was found."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        aside.print(whole(str(stopped) or "stopped: what is filed stays, and the same command goes on"), soft_wrap=True)
        raise typer.Exit(130) from None
    except (ThoughtgraphError, ValueError, OSError) as error:
        refuse(error, 2)


@contextlib.contextmanager
def _opened(path: Path, embedder: Embedder | None = None) -> Generator[Knowledge, None, None]:
    """A file of knowledge that is there."""
    if not path.exists():
        raise StoreError(f"there is no file {path}: make it with thoughtgraph index PATH... --knowledge {path}")
    with Knowledge(path, embedder) as known:
        yield known


def _entry(e: Entry) -> Json:
    told = {"name": e.name, "title": e.title, "kind": e.kind, "version": e.version, "passages": e.passages}
    labels = {"readers": list(e.labels.readers), "models": list(e.labels.models), "train": e.labels.train}
    return {**told, **labels, "meta": dict(e.meta)}


def _run(run: Callable[..., Result]) -> tuple[Result, int, str]:
    """Run it with progress: the result, the status if it is told already, and what failed."""
    try:
        with Progress(aside) as progress:
            return run(on_event=progress), 0, ""
    except Interrupted as stopped:
        return stopped.result, 130, ""
    except RunFailed as failed:
        return failed.result, 0, str(failed)


def _answered(result: Result, as_json: bool) -> None:
    """The answer, what of it no source bears out, and its sources: first those that it names by their numbers."""
    loose, numbers = unsupported(result), numbered(result)
    if as_json:
        write(line({**result.to_json(), "unsupported": loose}))
    elif result.answer is not None:
        write(harmless(_said(result)) + "\n")
        others = [("-", source) for source in result.sources if source not in numbers.values()]
        show(*(Text("no source bears out: ", "yellow").append_text(inert(text, 300)) for text in loose))
        show(*(shown for number, source in (*numbers.items(), *others) for shown in _quoted(number, source)))


def _said(result: Result) -> str:
    """The sentences of an answer, and what it claims where they do not say it word for word."""
    claim, told = answer_text(result.answer), as_text(result.thought.content) if result.thought else ""
    return claim if not told else told if claim in told else f"{told}\n{claim}"


def _quoted(number: int | str, source: Source) -> tuple[Text, Text]:
    """Where a passage stands, and how it begins."""
    p = source.passage
    place = " > ".join(filter(None, (p.document, p.section))) or p.source
    where = f" ({p.start}-{p.end})" if p.end else ""
    return Text(f"[{number}] ", "dim").append_text(whole(f"{place}{where}")), Text("    ").append_text(
        inert(p.text, 200)
    )


def numbered(result: Result) -> dict[int, Source]:
    """The sources of an answer by the numbers that it has for them; in their order where it has none."""
    known = {source.path[0].id: source for source in result.sources}
    content: object = result.thought.content if result.thought else None
    named = cast("dict[str, Json]", content).get("sources") if isinstance(content, dict) else None
    ids = cast("list[Json]", named) if isinstance(named, list) else list(known)
    return {number: known[id] for number, id in enumerate(map(str, ids), 1) if id in known}


def unsupported(result: Result) -> list[str]:
    """The sentences of the answer that no passage bears out: as a critic said, else by their words."""
    if result.thought is None:
        return []
    for score in reversed(result.graph.scores(result.thought)):
        told: object = score.details
        details = cast("dict[str, Json]", told) if isinstance(told, dict) else {}
        if "unsupported" in details:
            return [sentence["text"] for sentence in details["unsupported"]]
    return [one.text for one in by_words(result.graph, result.thought, result.graph.root.text)]
