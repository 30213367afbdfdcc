"""A question over knowledge (RATP, Pouplin et al., 2024): look up, note what helps, answer with the passages named.

>>> kept("She was born in Ely [2], in 1815 [1][7].", 3)
'She was born in Ely [2], in 1815 [1].'
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, TypeAlias, cast

from thoughtgraph.answers import best, candidates
from thoughtgraph.critics.grounded import Grounded, Sentence, bare, numbers, sentences
from thoughtgraph.critics.value import Value, judging
from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.prompt import Prompt, Prompter, narrate, quote
from thoughtgraph.protocols import Critic
from thoughtgraph.replies import lines, plain, spoken
from thoughtgraph.retrieval.retrieve import Query, Retrieve, Retriever, Rewrite, missing, newest
from thoughtgraph.state import State
from thoughtgraph.task import Task
from thoughtgraph.tasks.question import asking, claimed, same, solution
from thoughtgraph.thought import Draft, Ito, Json, Passage, Score, Thought, as_passage, as_text
from thoughtgraph.verbs import ALL

UNKNOWN = "Not in the knowledge."
"""The honest answer where the passages do not hold one: a claim like any other, which can be right."""

Wording: TypeAlias = Literal["missing", "newest", "rewrite"]
"""How a query is made: of the words that are still missing, of the newest thought, or by the model (one call)."""


def open_book(
    question: str,
    retriever: Retriever,
    *,
    k: int = 8,
    query: Wording | Query = "missing",
    value: Critic | None = None,
    grounded: Critic | None = None,
    recipe: Json = None,
) -> Task:
    """A question that is answered from what `retriever` finds, for any policy: rag, ircot, ratp.

    Actions: "retrieve" looks up to `k` passages up, each a thought; "combine" notes what one passage adds to the
    thoughts so far, or what two thoughts say together, and nothing where that is nothing new; "reason" writes the next
    sentence of a chain from several passages at once; "answer" answers from the passages and notes that it is given,
    and names those that it rests on; "closed" answers without any. Critics: "value" says how far a note leads to the
    answer (one call; a learned critic in its place makes none), "grounded" how much of an answer the passages bear out.

    A note is {"text", "sources", "after"}: what it says, the ids of the passage thoughts it rests on, and the thought
    that it goes on from. An answer is {"text", "answer", "sources", "dropped"}: its sentences with their numbers, what
    it claims, the ids that these numbers, from 1, stand for, and numbers that nothing shown had. `query` says how the
    search is worded from what is known: "missing" by the words of the question that no note holds, with what the
    newest note brought; "rewrite" by the model, for one call a search. Where nothing was found at all, the answer is
    `UNKNOWN` and no model is asked.
    """
    if not isinstance(question, str) or not question.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the question is {question!r:.80}: expected a text that asks something")
    return Task(
        question,
        actions={
            "retrieve": Retrieve(retriever, k, _worded(query)),
            "combine": Combine(),
            "reason": Reason(),
            "answer": Answer(),
            "closed": Answer(from_memory, shown=False),
        },
        critics={
            "value": value or Behind(Value(helpful, samples=1, scale=(0, 10))),
            "grounded": grounded or Grounded(),
        },
        claim=claim,
        same=known_or_not,
        key=key,
        rule=chosen,
        name="open_book",
        policy='ratp(accept="grounded")',
        recipe=recipe,
    )


def _worded(query: Wording | Query) -> Query:
    wordings: Mapping[str, Query] = {"missing": missing, "newest": newest, "rewrite": Rewrite(looked_for)}
    if isinstance(query, str) and query not in wordings:
        raise TaskError(f"query is {query!r:.80}: expected {', '.join(map(repr, wordings))}, or a function of a State")
    return wordings[query] if isinstance(query, str) else query


# -- notes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader said of the passages that it was shown, and which of them it named; `ready`: nothing is missing."""

    text: str
    numbers: tuple[int, ...] = ()
    ready: bool = False


@dataclass(frozen=True)
class Combine:
    """Note what one passage adds to the thoughts so far, or several shown together; or join two thoughts into one.

    None where they add nothing: such a passage is of no use here.
    """

    prompter: Prompter = field(default_factory=lambda: noted)
    joining: Prompter = field(default_factory=lambda: joined)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """One note, for one call; none where there is nothing to note."""
        held = numbered(state)
        said = await state.ask(self.prompter if held else self.joining, 1, sentence)
        named = held or dict(enumerate(dict.fromkeys(id for thought in state.thoughts for id in rests_on(thought)), 1))
        return [_draft(state, replace(note, ready=False), named) for note in said if note.text][:n]


@dataclass(frozen=True)
class Behind:
    """A critic of notes that is shown the passages which the notes so far name as what they rest on."""

    critic: Value

    ito: ClassVar[Ito] = "proxy"

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score for each state, in their order."""
        return await self.critic([state.knowing(*behind(state)) for state in states])


def behind(state: State) -> list[Passage]:
    """The passages that the notes on the way to a thought rest on."""
    graph = state._graph  # pyright: ignore[reportPrivateUsage]
    ids = dict.fromkeys(id for thought in state.path for id in rests_on(thought) if id in graph)
    return [passage for id in ids if (passage := as_passage(graph[id]))]


@dataclass(frozen=True)
class Reason:
    """Write the next sentence of a chain from all that is shown. One that lacks nothing any more is `done`."""

    prompter: Prompter = field(default_factory=lambda: reasoned)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """One sentence, for one call; none where the passages add nothing."""
        said = await state.ask(self.prompter, 1, sentence)
        return [_draft(state, note, numbered(state)) for note in said if note.text or note.ready][:n]


def _draft(state: State, note: Note, held: Mapping[int, str]) -> Draft:
    named = [held[number] for number in note.numbers if number in held] or list(held.values())
    rests = named if note.text else []
    return Draft({"text": note.text, "sources": rests, "after": state.thought.id}, done=note.ready)


def sentence(reply: str) -> Note:
    """The next sentence of a chain, and whether it says that nothing is missing; of no words for "Nothing new."."""
    said = [plain(line) for line in lines(spoken(reply))]
    told = " ".join(line for line in said if not _says(line, NOTHING) and not _says(line, READY))
    return Note(bare(told), numbers(told), ready=any(_says(line, READY) for line in said))


def _says(line: str, what: str) -> bool:
    """Whether a line is these words and no others."""
    return re.sub(r"\W+", " ", bare(line)).strip().casefold() == what.rstrip(".").casefold()


def numbered(state: State) -> dict[int, str]:
    """The ids of the passage thoughts that a prompt of this state shows, by the number that it gives them."""
    places = {passage: number for number, passage in enumerate(state.passages, 1)}
    found = ((as_passage(thought), thought.id) for thought in (*state.path[1:], *state.thoughts[1:]))
    return dict(sorted((places[passage], id) for passage, id in reversed(list(found)) if passage))


def rests_on(thought: Thought) -> list[str]:
    """The ids of the passage thoughts that a note or an answer names as what it rests on."""
    content: Json = thought.content
    told: Json = cast("dict[str, Json]", content).get("sources") if isinstance(content, dict) else None
    return [id for id in cast("list[Json]", told) if isinstance(id, str)] if isinstance(told, list) else []


# -- answers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """Answer from the passages and notes of a state, and say on which of them each sentence rests.

    A number that stands for nothing shown is dropped, and told in "dropped". Where nothing was found, nobody is asked:
    the answer is that the knowledge holds none. With `shown=False` the book is closed, and nothing is shown.
    """

    prompter: Prompter = field(default_factory=lambda: answered)
    shown: bool = True

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` answers, for one call each; one where all are wanted."""
        held = numbered(state) if self.shown else {}
        told = [_with_numbers(thought, held) for thought in state.phi if thought.text] if self.shown else []
        if self.shown and not (state.passages or told):
            return [
                Draft({"text": UNKNOWN, "answer": UNKNOWN, "sources": [], "dropped": [], "unknown": True}, done=True)
            ]
        said = await state.ask(self.prompter, 1 if n >= ALL else n, solution, thoughts=told)
        known = max(held, default=0) if self.shown else 0
        names = [held.get(number, "") for number in range(1, max(known, len(state.passages)) + 1)] if self.shown else []
        return [Draft(answer_of(text, names), done=True) for text in said]


def _with_numbers(note: Thought, held: Mapping[int, str]) -> Thought:
    """A note as a prompt tells it: with the numbers that its passages have there."""
    rests = set(rests_on(note))
    marks = "".join(f"[{number}]" for number, id in held.items() if id in rests)
    return replace(note, content=f"{note.text} {marks}".strip())


def answer_of(reply: str, names: Sequence[str]) -> dict[str, Json]:
    """The content of an answer: what it says and claims, what its numbers stand for, and numbers that were made up."""
    said, claim = claimed(bare(reply)) or "", claimed(reply) or ""
    head = re.split(r"^[ \t>#*_-]*(?:final )?answer\b", reply, flags=re.IGNORECASE | re.MULTILINE)[0].strip()
    if unknown(said):
        return {"text": UNKNOWN, "answer": UNKNOWN, "sources": list(names), "dropped": [], "unknown": True}
    text = head if bare(head) else claim
    dropped = [number for number in numbers(f"{text} {claim}") if not 1 <= number <= len(names)]
    return {"text": kept(text, len(names)), "answer": said, "sources": list(names), "dropped": dropped}


def kept(text: str, most: int) -> str:
    """A text with the numbers from 1 to `most` that it names, and without those that stand for nothing."""

    def left(found: re.Match[str]) -> str:
        good = [number for number in numbers(found[0]) if 1 <= number <= most]
        return f"{found[1]}[{', '.join(map(str, good))}]" if good else ""

    return re.sub(r"([ \t]*)\[\d{1,4}(?:\s*,\s*\d{1,4})*\]", left, text)


_UNKNOWN = re.compile(
    r"\W*(?:(?:it|this|that|the answer)(?: is|'s|\u2019s) )?(?:not|nowhere) (?:(?:stated|found|given|held|contained) )?"
    r"(?:in|by) the (?:knowledge|passages|notes|passages (?:and|or) notes)(?: base)?\W*",
    re.IGNORECASE,
)


def unknown(answer: str) -> bool:
    """Whether an answer says that the knowledge does not hold one."""
    return bool(_UNKNOWN.fullmatch(answer))


def claim(path: Sequence[Thought]) -> str | None:
    """What an answer claims; notes and passages claim nothing."""
    content: Json = path[-1].content
    said: Json = cast("dict[str, Json]", content).get("answer") if isinstance(content, dict) else None
    return said if isinstance(said, str) and said else None


def known_or_not(answer: Json) -> Hashable | None:
    """Answers are the same as those of a question are; all ways of saying that the knowledge holds none are one."""
    said = as_text(answer)
    return same(UNKNOWN if unknown(said) else bare(said))


def key(content: Json) -> Hashable | None:
    """Passages are one where they are the same piece of knowledge, notes where they say the same after one thought."""
    told = cast("dict[str, Json]", content) if isinstance(content, dict) else {}
    if "passage" in told:
        return ("passage", as_text(told.get("base")), as_text(told.get("id")), as_text(told["passage"]))
    return ("note", told["after"], as_text(content).casefold()) if told.get("after") else None


def chosen(task: Task, graph: ThoughtGraph) -> Thought | None:
    """The best answer that the knowledge holds; that it holds none, where nothing else was answered."""
    found = candidates(task, graph)
    return best(task, graph, [end for end in found if not unknown(as_text(task.answer(graph, end)))] or found)


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence of an answer with the passages that it names."""

    sentence: Sentence
    passages: tuple[Passage, ...]


def citations(graph: ThoughtGraph, answer: Thought) -> list[Cited]:
    """The sentences of an answer, each with the passages that its numbers stand for."""
    names = enumerate(rests_on(answer), 1)
    held = {number: passage for number, id in names if id in graph and (passage := as_passage(graph[id]))}
    said = sentences(answer.text)
    return [Cited(one, tuple(held[number] for number in one.numbers if number in held)) for one in said]


# -- prompts -----------------------------------------------------------------------------------------------------

NOTHING, READY = "Nothing new.", "Ready."
"""What a reader says that finds nothing to note, and one that has all it needs."""


def told(ask: str) -> Prompter:
    """The prompter that shows passages with their numbers, the question and the notes so far, and closes with `ask`."""

    def tell(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        shown = [replace(passage, source=f"[{n}] {passage.source}".strip()) for n, passage in enumerate(passages, 1)]
        return Prompt(passages=quote(shown), problem=x, thoughts=narrate(thoughts, scores), ask=ask)

    return tell


def from_notes(ask: str) -> Prompter:
    """The prompter that shows the question and the notes so far, and closes with `ask`."""
    tell = told(ask)

    def short(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        return tell(x, (), thoughts, scores)

    return short


noted = told(
    "Write the next sentence of the notes: one fact that the passages state and that brings the answer to the question "
    "nearer, with all names, numbers and dates in full, and at its end the number of its passage in brackets, as in "
    "[1]. Say nothing that the passages do not state. Where they contradict each other, the later one holds. If they "
    f'state nothing that helps beyond what was noted so far, write only "{NOTHING}"'
)
"""What passages add to the thoughts so far: the prompt is the same for one passage and for several."""

joined = told(
    "Join the notes above into one of at most three sentences: what they say together that brings the answer to the "
    "question nearer, with all names, numbers and dates in full. Say nothing that they do not say. Where they "
    "contradict each other, the later one holds. If together they say nothing more than each of them alone, write only "
    f'"{NOTHING}"'
)
"""What two thoughts say together."""

reasoned = told(
    "Write the next sentence of the reasoning: one fact that the passages state and that brings the answer to the "
    "question nearer, with all names, numbers and dates in full, and at its end the number of its passage in brackets, "
    "as in [1]. Where passages contradict each other, the later one holds. If they state no such fact beyond what was "
    f'said so far, write only "{NOTHING}" Where nothing is missing any more, add a line "{READY}"'
)
"""One sentence of a chain of thought, from all passages that were found so far (Trivedi et al., 2023)."""

answered = told(
    "Answer the question from the passages and notes above, and from nothing else. Write one to three short sentences, "
    "each with the numbers of the passages that it rests on in brackets, as in [1] or [1][3]. Where passages "
    'contradict each other, the later one holds. Then write a line "Answer: ..." that holds the answer alone, in as '
    f'few words as it needs. If the passages and notes do not hold the answer, write only "Answer: {UNKNOWN}"'
)
"""The answer, with the passages that its sentences rest on."""

from_memory = asking(
    'Answer the question from what you know. End with a line "Answer: ..." that holds the answer alone, in as few '
    f'words as it needs. If you do not know it, write only "Answer: {UNKNOWN}"'
)
"""The answer of a closed book."""

looked_for = from_notes(
    "What must be looked up next, so that the question can be answered? Write one search query for it: a few words, "
    "with the names that are known by now, alone on one line."
)
"""A search for what is still missing (Trivedi et al., 2023, use the newest sentence itself)."""

helpful = judging(
    "how far do these notes lead to the answer of the question? Say in one short sentence what is still missing, if "
    "anything is. Then write a number, alone on the last line, from 0 (they do not help at all) to 10 (they hold all "
    "that the answer needs)."
)
"""How far notes lead to the answer, and what is missing: the next search may go by it."""
