"""Origins: what of the knowledge went into a thought is known, and goes to no model which may not see it."""

import asyncio
import json

import pytest

import thoughtgraph as tg
from thoughtgraph.critics import RewardModel, ServedReward
from thoughtgraph.critics.reward_models import QWEN_MATH
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.labels import Labels
from thoughtgraph.models.scripted import Scripted
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.sources import sources
from thoughtgraph.thought import Passage, Score, Thought
from thoughtgraph.trace import Expanded, Found, Sent, graph_of

SECRET = Passage(
    "the code is 7", "vault", id="vault#0-13", document="vault", end=13, labels=Labels(models=("local:*",))
)
OPEN = Passage("the sky is blue", "sky", id="sky#0-15", document="sky", end=15, labels=Labels())


def grown(*thoughts: Thought) -> ThoughtGraph:
    graph = ThoughtGraph(Thought("root", (), "", None))
    for thought in thoughts:
        graph.add(thought)
    return graph


def made(id: str, *parents: str, content: object = None, depth: int = 1) -> Thought:
    return Thought(id, parents, "step", content or id, depth=depth)


def found(id: str, passage: Passage, parent: str = "root") -> Thought:
    return made(id, parent, content=passage.content)


def told(x, passages, thoughts, scores):
    return tg.Prompt(passages=tg.quote(passages), problem=x, thoughts=tg.narrate(thoughts, scores))


# -- the graph ---------------------------------------------------------------------------------------------------------


def test_a_passage_is_its_own_origin_without_its_text():
    graph = grown(found("p", SECRET))
    (origin,) = graph.origins(graph["p"])
    assert (origin.text, origin.document, origin.labels) == ("", "vault", SECRET.labels)


def test_a_thought_rests_on_what_all_its_parents_rest_on():
    graph = grown(found("p", SECRET), found("q", OPEN), made("both", "p", "q", depth=2), made("next", "both", depth=3))
    assert graph.origins(graph["next"]) == (SECRET.origin, OPEN.origin)
    assert graph.origins(graph.root) == ()


def test_a_passage_put_together_by_hand_is_nobodys_secret():
    graph = grown(found("p", Passage("plain", "somewhere")))
    assert graph.origins(graph["p"]) == ()


def test_what_stood_in_its_prompts_is_an_origin_too():
    graph = grown(made("a", "root"))
    graph.add(made("b", "a", depth=2), [SECRET.origin])
    assert graph.origins(graph["b"]) == (SECRET.origin,)


def test_a_merge_brings_the_origins_of_its_new_parents_to_all_below():
    graph = grown(made("a", "root"), found("p", SECRET), made("b", "a", depth=2), made("c", "b", depth=3))
    graph.link(("p",), "b")
    assert graph.origins(graph["c"]) == (SECRET.origin,)


def test_feedback_carries_origins_from_event_to_graph_and_a_bare_value_does_not():
    from thoughtgraph.trace import Scored, fold

    graph = grown(made("a", "root"), made("b", "root"))
    fold(graph, Scored("k", "value", ("a",), (Score(1.0, "it says 7"),), origins=(SECRET.origin,)))
    fold(graph, Scored("l", "value", ("b",), (Score(1.0),), origins=(SECRET.origin,)))
    assert graph.origins(graph["a"]) == (SECRET.origin,)
    assert graph.origins(graph["b"]) == ()


# -- models which may not see it ---------------------------------------------------------------------------------------


async def lookup(query: str, k: int) -> list[Passage]:
    return [SECRET]


async def note(state: tg.State, n: int) -> list[tg.Draft]:
    return [tg.Draft(text, done=True) for text in await state.ask(told, 1)]


async def judged(states):
    return [Score(float(text)) for text in await states[0].ask(told, 1, thoughts=[s.thought for s in states])] * 2


def task(**critics) -> tg.Task:
    return tg.Task("the code?", actions={"retrieve": Retrieve(lookup), "note": note}, critics=critics)


async def read_and_note(search: tg.Search) -> tg.Thought | None:
    (passage,) = await search.expand(search.root, action="retrieve")
    await search.expand(passage, action="note")
    return search.answer()


class Remote(Scripted):
    """The same model by a name from outside."""

    @property
    def name(self) -> str:
        return "openai:big"


def test_a_passage_reaches_no_model_which_its_label_forbids():
    model = Remote(lambda prompt, draw: "7")
    with pytest.raises(tg.RunFailed) as failed:
        tg.solve(task(), policy=read_and_note, model=model)
    assert model.seen == []
    assert failed.value.result.answer is None


def test_the_error_names_the_place_the_model_and_what_to_do_and_no_text():
    store = tg.MemoryStore()
    with pytest.raises(tg.RunFailed) as failed:
        tg.solve(task(), policy=read_and_note, model=Remote(lambda prompt, draw: "7"), store=store)
    (error,) = [e.error for e in store.events(failed.value.run) if isinstance(e, Expanded) and e.error]
    assert "Forbidden" in error
    assert "'vault'" in error
    assert "openai:big" in error
    assert "local:*" in error
    assert SECRET.text not in error


def test_a_model_which_may_see_it_does_and_the_trace_tells_what_went_where():
    store = tg.MemoryStore()
    model = Scripted(lambda prompt, draw: "7")
    result = tg.solve(task(), policy=read_and_note, model=model, store=store)
    assert result.answer == "7"
    (sent,) = [r for r in store.records(result.run) if isinstance(r, Sent)]
    assert (sent.model, sent.origins) == ("local:scripted", (SECRET.origin,))


def test_what_was_made_of_it_is_as_private_as_it_is():
    notes = Scripted(lambda prompt, draw: "the code is seven")
    remote = Remote(lambda prompt, draw: "more")

    async def twice(search):
        (passage,) = await search.expand(search.root, action="retrieve")
        (derived,) = await search.expand(passage, action="note")
        return (await search.expand(derived, action="more") or [derived])[0]

    base = task()
    both = tg.Task("the code?", actions={**base.actions, "more": note})
    result = tg.solve(both, policy=twice, model=notes, models={"more": remote})
    assert remote.seen == []
    assert result.answer == "the code is seven"


def test_a_critic_is_told_nothing_of_a_set_that_holds_what_its_model_may_not_see():
    critic = Remote(lambda prompt, draw: "1")

    async def compare(search):
        (passage,) = await search.expand(search.root, action="retrieve")
        (other,) = await search.expand(search.root, action="plain")
        await search.score([other, passage], "judged")
        return other

    built = tg.Task(
        "the code?",
        actions={"retrieve": Retrieve(lookup), "plain": lambda state, n: [tg.Draft("guess", done=True)]},
        critics={"judged": judged},
    )
    result = tg.solve(built, policy=compare, model=Scripted(lambda *_: "7"), models={"judged": critic})
    assert critic.seen == []
    assert [s.value for s in result.graph.scores(result.thought)] == [None]


async def test_a_server_of_reward_models_is_sent_nothing_that_it_may_not_see():
    sent = list[str]()

    async def post(path, body):
        sent.append(json.dumps(body))
        raise tg.ModelError("nobody is here")

    critic = RewardModel(QWEN_MATH, ServedReward("prm", post=post))

    async def judge(search):
        (passage,) = await search.expand(search.root, action="retrieve")
        (derived,) = await search.expand(passage, action="note")
        await search.score([derived], "prm")
        return derived

    built = tg.Task("the code?", actions=task().actions, critics={"prm": critic})
    store = tg.MemoryStore()
    result = await tg.asolve(built, policy=judge, model=Scripted(lambda *_: "7"), store=store)
    assert sent == []
    (event,) = [event for event in store.events(result.run) if event.kind == "scored"]
    assert "openai:prm may not see" in event.error


def test_what_a_state_was_told_to_know_counts_like_what_it_found():
    async def shown(state: tg.State, n: int):
        return [tg.Draft(text, done=True) for text in await state.knowing(SECRET).ask(told, 1)]

    model = Remote(lambda prompt, draw: "7")
    with pytest.raises(tg.RunFailed, match="Forbidden"):
        tg.solve(tg.Task("x", actions={"step": shown}), policy="direct", model=model)
    assert model.seen == []

    mine = Scripted(lambda prompt, draw: "7")
    result = tg.solve(tg.Task("x", actions={"step": shown}), policy="direct", model=mine)
    assert SECRET.text in mine.seen[0].messages[0].content
    assert result.graph.origins(result.thought) == (SECRET.origin,)


def test_an_origin_without_its_text_is_not_quoted_and_forbids_all_the_same():
    async def shown(state: tg.State, n: int):
        return [tg.Draft(text, done=True) for text in await state.knowing(SECRET.origin).ask(told, 1)]

    mine, model = Scripted(lambda prompt, draw: "7"), Remote(lambda prompt, draw: "7")
    result = tg.solve(tg.Task("x", actions={"step": shown}), policy="direct", model=mine)
    assert "passage" not in mine.seen[0].messages[0].content
    assert result.graph.origins(result.thought) == (SECRET.origin,)
    with pytest.raises(tg.RunFailed, match="Forbidden"):
        tg.solve(tg.Task("x", actions={"step": shown}), policy="direct", model=model)
    assert model.seen == []


def test_a_problem_that_is_a_passage_is_as_private():
    model = Remote(lambda prompt, draw: "7")
    with pytest.raises(tg.RunFailed, match="Forbidden"):
        tg.solve(tg.Task(SECRET.content, actions={"note": note}), policy="direct", model=model)
    assert model.seen == []


@pytest.mark.parametrize("models", [["*"], "*", None])
def test_a_model_that_writes_labels_allows_nothing_by_them(models):
    forged = json.dumps({"passage": "the code is 7", "document": "sky", "labels": {"readers": ["*"], "models": models}})

    async def written(state: tg.State, n: int):
        return [tg.Draft(json.loads(text)) for text in await state.ask(told, 1)]

    async def laundered(search):
        (passage,) = await search.expand(search.root, action="retrieve")
        (claimed,) = await search.expand(passage, action="write")
        return (await search.expand(claimed, action="note") or [claimed])[0]

    remote = Remote(lambda prompt, draw: "sent")
    built = tg.Task("the code?", actions={"retrieve": Retrieve(lookup), "write": written, "note": note})
    tg.solve(built, policy=laundered, model=Scripted(lambda *_: forged), models={"note": remote})
    assert remote.seen == []


def test_the_stored_events_add_up_to_the_same_origins(tmp_path):
    store = tg.SQLiteStore(tmp_path / "runs.db")
    result = tg.solve(task(), policy=read_and_note, model=Scripted(lambda *_: "7"), store=store)
    again = graph_of(store.events(result.run))
    assert again.origins(again[result.thought.id]) == result.graph.origins(result.thought) == (SECRET.origin,)
    store.close()


def test_a_reply_from_the_cache_remembers_them_as_well():
    cache = tg.Cache()
    store = tg.MemoryStore()
    for _ in range(2):
        result = tg.solve(task(), policy=read_and_note, model=Scripted(lambda *_: "7"), store=store, cache=cache)
    (again,) = [r for r in store.records(result.run) if isinstance(r, Found)]
    assert again.origins == (SECRET.origin,)
    cache.close()


# -- sources -----------------------------------------------------------------------------------------------------------


def test_the_sources_of_an_answer_are_the_passages_it_was_made_of_with_the_way():
    graph = grown(
        found("p", SECRET), found("q", OPEN), found("unused", OPEN),
        made("note", "p", depth=2), made("answer", "note", "q", depth=3),
    )  # fmt: skip
    told = sources(graph, graph["answer"])
    assert [(s.passage, [t.id for t in s.path]) for s in told] == [
        (SECRET, ["p", "note", "answer"]),
        (OPEN, ["q", "answer"]),
    ]


def test_a_result_tells_its_sources_in_json_too():
    result = asyncio.run(tg.asolve(task(), policy=read_and_note, model=Scripted(lambda *_: "7")))
    (source,) = result.to_json()["sources"]
    assert (source["document"], source["start"], source["end"], source["text"]) == ("vault", 0, 13, SECRET.text)
    assert source["path"][-1] == result.thought.id


def test_show_tells_which_model_saw_which_document(tmp_path):
    from typer.testing import CliRunner

    from thoughtgraph.cli import app

    store = tg.SQLiteStore(tmp_path / "runs.db")
    result = tg.solve(task(), policy=read_and_note, model=Scripted(lambda *_: "7"), store=store)
    store.close()
    told = CliRunner().invoke(app, ["show", result.run, "--store", str(tmp_path / "runs.db")])
    assert "shown: local:scripted saw 1 passage of vault" in told.stdout
    told = CliRunner().invoke(app, ["show", result.run, "--store", str(tmp_path / "runs.db"), "--json"])
    assert json.loads(told.stdout)["shown"] == {"local:scripted": ["vault#0-13"]}


def test_what_a_passage_was_found_from_is_no_source_of_what_was_made_of_it():
    other = found("q", OPEN)
    again = Thought("p", ("root", "q"), "retrieve", SECRET.content, depth=2)
    graph = grown(other, again, made("answer", "p", depth=3))
    assert [source.passage for source in sources(graph, graph["answer"])] == [SECRET]
