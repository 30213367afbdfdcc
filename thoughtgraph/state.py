"""State: all that a generator or a critic sees of one thought, and its one way to a model."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, overload

from thoughtgraph.errors import Forbidden, TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.labels import resting_on
from thoughtgraph.model import Model, Reply
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.thought import Json, Passage, Score, Thought, as_passage

T = TypeVar("T")
Form = TypeVar("Form")
"""A pydantic model, the form of a structured reply."""

MOST = 10_000
"""So many draws at once are a mistake."""


class Port(Protocol):
    """What the engine lends to the states of one effect: paid calls and random numbers."""

    async def ask(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None,
        origins: tuple[Passage, ...], **say: Any,
    ) -> list[T]:  # fmt: skip
        """Up to `n` usable draws, journalled under this effect and part."""
        ...

    async def fill(
        self, part: int, prompt: Prompt, psi: object, n: int, form: type[Form], model: Model | None,
        origins: tuple[Passage, ...], **say: Any,
    ) -> list[Form]:  # fmt: skip
        """Up to `n` instances of a pydantic model."""
        ...

    async def replies(
        self,
        part: int,
        prompt: Prompt,
        psi: object,
        n: int,
        model: Model | None,
        origins: tuple[Passage, ...],
        **say: Any,
    ) -> list[Reply]:
        """Up to `n` usable draws as they came."""
        ...

    async def act(
        self, part: int, name: str, do: Callable[[], Awaitable[Json] | Json], *, once: bool, imagined: Json, calls: int
    ) -> Json:
        """Do something outside of the run, and write down what came of it."""
        ...

    def count(self, name: str, times: int) -> None:
        """Add to the outcomes of this effect."""
        ...

    def rng(self, part: int) -> random.Random:
        """Random numbers seeded by the run's seed, the effect and the part."""
        ...


class _Judged(Sequence[Sequence[Score]]):
    """The scores of thoughts, looked up where a prompter tells them: many tell none."""

    def __init__(self, state: State, thoughts: Sequence[Thought]) -> None:
        self._state, self._thoughts = state, thoughts

    def __len__(self) -> int:
        return len(self._thoughts)

    @overload
    def __getitem__(self, place: int) -> list[Score]: ...
    @overload
    def __getitem__(self, place: slice) -> list[list[Score]]: ...
    def __getitem__(self, place: int | slice) -> list[Score] | list[list[Score]]:
        if isinstance(place, slice):
            return [self._state.scores(thought) for thought in self._thoughts[place]]
        return self._state.scores(self._thoughts[place])


def as_is(text: str) -> str:
    """The parser that takes every reply as it stands, without the white space around it."""
    return text.strip()


def permit(model: str, origins: Iterable[Passage], what: str) -> None:
    """Raise `Forbidden` where `what` rests on knowledge that the model of this name may not see."""
    for origin in origins:
        if origin.labels and not origin.labels.sendable(model):
            may, where = ", ".join(origin.labels.models) or "no model", origin.source or origin.document
            raise Forbidden(
                f"{what} rests on {where!r}, which {model} may not see (its label allows {may}): name a model that it "
                "allows, or look up as knowledge.reader(models=...)"
            )


@dataclass(frozen=True, slots=True)
class State:
    """A read-only view of where the search stands: the problem, the thoughts to go on from, what is known of them.

    `thoughts` are the ones to think on from: one, or several for an action that aggregates. Scores are seen as they
    stood when the effect was asked, so a resumed run prompts as the first one did.
    """

    problem: Json
    x: str
    thoughts: tuple[Thought, ...]
    _known: tuple[Passage, ...]
    _graph: ThoughtGraph
    _tick: int
    _port: Port
    _part: int = 0

    @property
    def thought(self) -> Thought:
        """The thought to go on from (the first of several)."""
        return self.thoughts[0]

    @property
    def content(self) -> Json:
        """The content of `thought`."""
        return self.thoughts[0].content

    @property
    def path(self) -> list[Thought]:
        """From the root to `thought`, both included."""
        return self._graph.path(self.thoughts[0])

    @property
    def phi(self) -> list[Thought]:
        """The earlier thoughts that a prompt tells: the path without the root, then the other parents.

        Passages that were found on the way are knowledge, and stand in `passages`.
        """
        return [thought for thought in self._earlier if as_passage(thought) is None]

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The knowledge K: the task's own passages, then those that are thoughts here, each once."""
        found = [passage for thought in self._earlier if (passage := as_passage(thought))]
        return tuple(dict.fromkeys(passage for passage in (*self._known, *found) if passage.text))

    def knowing(self, *passages: Passage) -> State:
        """The same state with more knowledge: its prompts quote `passages` too, and may go to no model they forbid.

        One without its text (`Passage.origin`) is not quoted, and forbids all the same.
        """
        return replace(self, _known=tuple(dict.fromkeys((*self._known, *passages))))

    def confiding(self) -> AbstractContextManager[None]:
        """Within the block, whatever is sent to a model outside of this state's own calls (a query that is embedded,
        say) counts as made of the knowledge here: `labels.allowed` tells whether a model may have it.
        """
        return resting_on([origin.labels for origin in self._origins(None) if origin.labels])

    def _origins(self, thoughts: Sequence[Thought] | None) -> tuple[Passage, ...]:
        """The passages, without their text, that a prompt of this state rests on."""
        asked = None if isinstance(self.problem, str) else as_passage(Thought("", (), "", self.problem))
        given = (*self._known, asked) if asked else self._known
        known = [origin for passage in given if (origin := passage.origin)]
        told = (origin for thought in (*self.thoughts, *(thoughts or ())) for origin in self._graph.origins(thought))
        return tuple(dict.fromkeys((*known, *told)))

    @property
    def _earlier(self) -> list[Thought]:
        return self.path[1:] + list(self.thoughts[1:])

    @property
    def rng(self) -> random.Random:
        """Random numbers of this effect alone: the same in every replay."""
        return self._port.rng(self._part)

    def scores(self, thought: Thought | None = None) -> list[Score]:
        """What the critics said of a thought (of `thought` if none is named): one Score a critic, samples pooled."""
        which = thought or self.thoughts[0]
        critics = dict.fromkeys(score.critic for score in self._graph.scores(which, at=self._tick))
        pooled = (self._graph.score(which, critic, at=self._tick) for critic in critics)
        return [score for score in pooled if score is not None]

    def prompt(self, prompter: Prompter, thoughts: Sequence[Thought] | None = None) -> Prompt:
        """What `prompter` makes of this state: x, K, phi (or `thoughts` in its place) and r."""
        phi = self.phi if thoughts is None else thoughts
        return prompter(self.x, self.passages, phi, _Judged(self, phi))

    async def ask(
        self,
        prompter: Prompter,
        n: int = 1,
        parse: Callable[[str], T] = as_is,
        *,
        thoughts: Sequence[Thought] | None = None,
        model: Model | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> list[T]:
        """Draw `n` replies from the model and return those that `parse` could use, at most `n`.

        A draw that is empty, refused, truncated, or that `parse` calls `Unparsable` is counted as what it was and
        drawn once more. Fewer than `n` come back where that did not help, or where the budget ends. `model` is the
        run's own unless named. Every draw is one call of the budget; finished ones are never paid again.
        """
        prompt = self._asked(prompter, n, thoughts)
        say = {"max_tokens": max_tokens, "temperature": temperature, "stop": tuple(stop)}
        return await self._port.ask(self._part, prompt, prompter, n, parse, model, self._origins(thoughts), **say)

    async def fill(
        self,
        prompter: Prompter,
        form: type[Form],
        n: int = 1,
        *,
        thoughts: Sequence[Thought] | None = None,
        model: Model | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> list[Form]:
        """Draw `n` replies as instances of a pydantic model, `form`; at most `n` come back, as with `ask`.

        The server is asked to hold replies to the schema where it can, else the prompt asks for it. A reply that does
        not fit is not drawn anew but mended, once: the model is told what is wrong with it.
        """
        prompt = self._asked(prompter, n, thoughts)
        say = {"max_tokens": max_tokens, "temperature": temperature}
        return await self._port.fill(self._part, prompt, prompter, n, form, model, self._origins(thoughts), **say)

    async def replies(
        self,
        prompter: Prompter,
        n: int = 1,
        *,
        thoughts: Sequence[Thought] | None = None,
        model: Model | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        logprobs: bool = False,
    ) -> list[Reply]:
        """Draw `n` replies as they came, with the log-probabilities of their tokens where wanted and offered."""
        prompt = self._asked(prompter, n, thoughts)
        say = {"max_tokens": max_tokens, "temperature": temperature, "stop": tuple(stop), "logprobs": logprobs}
        return await self._port.replies(self._part, prompt, prompter, n, model, self._origins(thoughts), **say)

    async def act(
        self,
        name: str,
        do: Callable[[], Awaitable[Json] | Json],
        *,
        once: bool = False,
        imagined: Json = None,
        calls: int = 0,
    ) -> Json:
        """Do something outside of the run, and write down the JSON that came of it: a tool, a simulator, a program.

        Where a kill cut this effect short it is performed again, and finds what it had done in the journal. With
        `once`, `name` stands for one act of the whole run, which is never begun twice, whatever happens: its failure
        is final (`EffectError`), and `Unsure` is raised where the run was killed between its beginning and its end.
        Ask for the same things in the same order: names that repeat within an effect are numbered. An estimate does
        nothing outside: it takes `imagined` for what came of it, or imagines the effect's thoughts if that is None.
        What is paid for elsewhere counts as so many `calls` of the budget, if it is not done `once`: `BudgetExhausted`
        is raised where they do not fit, and the effect is cut short.
        """
        return await self._port.act(self._part, name, do, once=once, imagined=imagined, calls=calls)

    def count(self, name: str, times: int = 1) -> None:
        """Count something that this effect did, for the run's `outcomes`: "replayed" steps of an environment, say."""
        self._port.count(name, times)

    def _asked(self, prompter: Prompter, n: int, thoughts: Sequence[Thought] | None) -> Prompt:
        if n > MOST:  # the ALL of a policy that leaves the width to the action, handed on to a model
            raise TaskError(
                f"{n} draws were asked for, and at most {MOST} make sense: a generator whose n may be ALL needs a "
                "width of its own, as in state.ask(prompter, min(n, 5))"
            )
        return self.prompt(prompter, thoughts)
