"""The account of one effect: what its states ask, and what came of it. The port between State and paid calls."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from thoughtgraph.acts import Act
from thoughtgraph.cache import content_key
from thoughtgraph.calls import ALONE, Calls, side_by_side
from thoughtgraph.contracts import check_price
from thoughtgraph.errand import AGAIN, Line, Question
from thoughtgraph.errors import BudgetExhausted, TaskError, Unparsable
from thoughtgraph.fit import fitted
from thoughtgraph.model import Model, Reply, Request
from thoughtgraph.outcomes import judge
from thoughtgraph.prompt import Message, Prompt
from thoughtgraph.replies import shortened
from thoughtgraph.state import permit
from thoughtgraph.structured import reader, repair, schema_of
from thoughtgraph.thought import Json, Passage
from thoughtgraph.verbs import BLOCK

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")

ANGLES = (
    "",
    "Start from another angle than the most obvious one.",
    "Work backwards from the end.",
    "Be sceptical: check what seems clear before you rely on it.",
    "Consider the simplest possibility first.",
    "Consider an unusual possibility first.",
    "Go through it slowly, one detail at a time.",
    "Do it as somebody with long practice in the field would.",
)
"""What sets the draws of one prompt apart, where a temperature was asked for and the model refuses one."""


@dataclass(eq=False)
class Account:
    """The calls of one effect, and what came of them: the port that its states ask through.

    `firsts` are the indices of the first draw, one for each part: effects that ask the same of the same thoughts again
    want new draws. `where` says in words which thought a part is about, `at` marks what led to the effect.
    """

    calls: Calls
    key: str
    role: str
    firsts: tuple[int, ...] = (0,)
    where: Callable[[int], str] = str
    at: Callable[[], str] = str
    counted: Counter[str] = field(default_factory=Counter[str])
    prompters: dict[str, None] = field(default_factory=dict[str, None])
    origins: dict[Passage, None] = field(default_factory=dict[Passage, None])
    _questions: list[Question] = field(default_factory=list[Question])
    _asked: Counter[str] = field(default_factory=Counter[str])
    _here: str = ""
    _cut: str = ""
    _acted: Counter[str] = field(default_factory=Counter[str])
    _asking: set[asyncio.Task[Any]] = field(default_factory=set["asyncio.Task[Any]"])
    _rngs: dict[int, random.Random] = field(default_factory=dict[int, random.Random])

    async def ask(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None,
        origins: tuple[Passage, ...], **say: Any,
    ) -> list[T]:  # fmt: skip
        """Up to `n` usable draws, parsed."""
        return [value for _, value in await self._drawn(part, prompt, psi, n, parse, model, None, origins, say)]

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
        """Up to `n` usable draws, as they came."""
        return [reply for reply, _ in await self._drawn(part, prompt, psi, n, str, model, None, origins, say)]

    async def fill(
        self, part: int, prompt: Prompt, psi: object, n: int, form: type[T], model: Model | None,
        origins: tuple[Passage, ...], **say: Any,
    ) -> list[T]:  # fmt: skip
        """Up to `n` instances of a pydantic model."""
        shape = cast("type[BaseModel]", form)
        drawn = await self._drawn(
            part, prompt, psi, n, reader(shape), model, shape, origins, {**say, "schema": schema_of(shape)}
        )
        return [cast("T", value) for _, value in drawn]

    async def act(self, part: int, name: str, do: Act, *, once: bool, imagined: Json, calls: int) -> Json:
        """An act outside of the run; the same name again in one part is another act."""
        if once:
            return await self.calls.acts.once(name, do)
        self._here = self._here or self.at()
        numbered = f"{part}.{name}.{self._here}"
        self._acted[numbered] += 1
        try:
            return await self.calls.acts.do(self.key, f"{numbered}.{self._acted[numbered]}", do, calls)
        except BudgetExhausted as exhausted:
            self._cut = exhausted.limit
            raise

    def count(self, name: str, times: int) -> None:
        """Add to what this effect came to."""
        if times:
            self.counted[name] += times

    def close(self) -> None:
        """The effect has ended: what it left asking in tasks of its own is cancelled, and nothing is spent after it."""
        for task in self._asking:
            task.cancel()

    def rng(self, part: int) -> random.Random:
        """The random numbers of one part of this effect."""
        if part not in self._rngs:
            self._rngs[part] = random.Random(f"{self.calls.seed}/{self.key}/{part}")
        return self._rngs[part]

    @property
    def short(self) -> str:
        """The limit that cut this effect short; "" if none did."""
        return next((question.short for question in self._questions if question.short), self._cut)

    @property
    def outcomes(self) -> Counter[str]:
        """What all draws came to."""
        failed = sum(question.failed for question in self._questions)
        return self.counted + Counter(failed=failed) if failed else self.counted

    # -- asking --------------------------------------------------------------------------------------------------

    async def _drawn(
        self, part: int, prompt: Prompt, psi: object, n: int, parse: Callable[[str], T], model: Model | None,
        form: type[BaseModel] | None, origins: tuple[Passage, ...], say: dict[str, Any],
    ) -> list[tuple[Reply, T]]:  # fmt: skip
        """Up to `n` usable draws: one that came to nothing is drawn once more, one that does not fit a form mended."""
        self.prompters[self.calls.known(psi)] = None
        line = self.calls.line(self.role, model)
        self._permitted(line.model.name, origins)
        wanted = self._request(line, prompt, say)
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            if not wanted.temperature or line.can.temperature or self._began_together(part, line, wanted):
                return await self._group(
                    self._question(part, line, wanted, n, 0, origins), n, parse, mend=form is not None
                )
            return await self._varied(part, line, wanted, n, parse, origins)
        finally:
            self._asking.discard(task)

    def _permitted(self, model: str, origins: tuple[Passage, ...]) -> None:
        """Nothing that rests on knowledge goes to a model which may not see it."""
        self.origins.update(dict.fromkeys(origins))
        permit(model, origins, f"a prompt of {self.role!r}")

    def _began_together(self, part: int, line: Line, wanted: Request) -> bool:
        """Whether draws of one question are in the journal: the server's refusal came after they were asked for."""
        prefix = f"{part}.{wanted.mark(line.model.name)}."
        return any(draw > 0 and name.startswith(prefix) for name, draw in self.calls.books.answered(self.key))

    async def _varied(
        self, part: int, line: Line, wanted: Request, n: int, parse: Callable[[str], T], origins: tuple[Passage, ...]
    ) -> list[tuple[Reply, T]]:
        """One question for each draw, each from an angle of its own, where no temperature sets the draws apart."""
        first = self._first(part) // BLOCK * n
        requests = [_angled(wanted, ANGLES[(first + i) % len(ANGLES)]) for i in range(n)]
        questions = [self._question(part, line, request, 1, i, origins) for i, request in enumerate(requests)]
        mend = wanted.schema is not None
        groups = await _gathered([self._group(question, 1, parse, mend=mend) for question in questions])
        return [pair for pairs in groups for pair in pairs]

    async def _group(
        self, question: Question, n: int, parse: Callable[[str], T], *, mend: bool
    ) -> list[tuple[Reply, T]]:
        """The usable ones of `n` draws of one question, with one more try for each that was not."""
        usable, bad = self._judged(await self.calls.draw(question, 0, n), parse)
        if bad and mend:
            again = await self._mended(question, bad, parse)
        else:
            again = await self.calls.draw(question, n, len(bad)) if bad else []
        return usable + self._judged(again, parse)[0]

    def _judged(self, replies: Sequence[Reply], parse: Callable[[str], T]) -> tuple[list[tuple[Reply, T]], list[Reply]]:
        """The usable draws with what was read from them, and those that came to nothing; all are counted."""
        usable, bad = list[tuple[Reply, T]](), list[Reply]()
        for reply in replies:
            outcome, value = judge(reply, parse)
            self.counted[outcome] += 1
            if outcome == "ok":
                usable.append((reply, cast("T", value)))
            else:
                bad.append(reply)
            if outcome == "unparsable":
                self._puzzled(reply, parse)
        return usable, bad

    def _puzzled(self, reply: Reply, parse: Callable[[str], object]) -> None:
        """Say once what a reply looked like that could not be used: to a person that says most."""
        about = f"unparsable {self.role}"
        if (about, "", "") not in self.calls.noted:
            why = shortened(_fault(reply, parse), 200)
            self.calls.note(about, "", f"{why}; the reply was: {shortened(reply.text, 200)}")

    async def _mended(self, question: Question, bad: Sequence[Reply], parse: Callable[[str], object]) -> list[Reply]:
        """One more draw for each that does not fit, which is told what was wrong with the one before."""
        part = int(question.part.partition(".")[0])
        requests = [repair(question.wanted, reply, _fault(reply, parse)) for reply in bad]
        questions = [self._question(part, question.line, request, 1, 0, question.origins) for request in requests]
        drawn = await _gathered([self.calls.draw(one, 0, 1) for one in questions])
        return [reply for replies in drawn for reply in replies]

    def _request(self, line: Line, prompt: Prompt, say: dict[str, Any]) -> Request:
        check_price(line.model, self.calls.purse.budget)
        said = {name: value for name, value in say.items() if value is not None and value != ()}
        options: dict[str, Any] = {**line.model.defaults, **said}
        return Request(prompt.messages, **options)

    def _question(
        self, part: int, line: Line, wanted: Request, n: int, at: int, origins: tuple[Passage, ...]
    ) -> Question:
        request, notes = fitted(wanted, line.can)
        if n > 1 and not line.can.n:
            notes.append(("n", ALONE))
        for about, text in notes:
            self.calls.note(about, line.model.name, text)
        name = f"{part}.{wanted.mark(line.model.name)}"
        self._asked[name] += 1
        first = self._first(part) + at + AGAIN * (self._asked[name] - 1)
        question = Question(
            self.key, self.role, f"{name}.{self._asked[name]}", line, wanted, request, n, first,
            self._cache_key(line, wanted, request), self.where, origins,
        )  # fmt: skip
        self._questions.append(question)
        return question

    def _first(self, part: int) -> int:
        return self.firsts[part] if part < len(self.firsts) else self.firsts[0]

    def _cache_key(self, line: Line, wanted: Request, request: Request) -> str:
        """What a reply depends on, and who asks: two critics with one prompt want two opinions.

        The run's seed is in it where there is something to sample, for whoever names another one wants other samples.
        """
        if self.calls.cache is None:
            return ""
        seed = None if request.temperature == 0 else self.calls.seed
        settings = getattr(line.model, "settings", None)
        try:
            return content_key([line.model.name, line.endpoint, settings, wanted.content, self.role, seed])
        except (TypeError, ValueError) as error:
            told = f"the settings of {line.model.name} are {settings!r:.80} ({error})"
            raise TaskError(f"{told}: expected JSON data, for they are part of the cache's key") from None


async def _gathered(parts: Sequence[Any]) -> list[Any]:
    """The results of coroutines side by side, in order."""
    found: dict[int, Any] = {}

    async def keep(place: int, part: Any) -> None:
        found[place] = await part

    await side_by_side(*(keep(place, part) for place, part in enumerate(parts)))
    return [found[place] for place in sorted(found)]


def _angled(request: Request, angle: str) -> Request:
    if not angle:
        return request
    *before, last = request.messages
    varied = Message(last.role, f"{last.content}\n\n{angle}", last.images, (*last.cuts, len(last.content) + 2))
    return replace(request, messages=(*before, varied))


def _fault(reply: Reply, parse: Callable[[str], object]) -> str:
    """Why a reply could not be used, in words for whoever wrote it."""
    try:
        parse(reply.text)
    except Unparsable as error:
        return str(error)
    return "the reply was cut off, or refused"
