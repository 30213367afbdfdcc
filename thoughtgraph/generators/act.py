"""Acting in an environment (ReAct, Yao et al., 2022): thoughts that call tools, and effects that wait to be chosen."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from thoughtgraph.cache import content_key
from thoughtgraph.environment import (
    Arguments,
    Tool,
    World,
    attempted,
    called,
    calls,
    described,
    done,
    held,
    named,
    opened,
    pending,
    quoted,
    settled,
    standing,
)
from thoughtgraph.errors import EffectError, TaskError, Unparsable, Unsure, at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, narrate, quote
from thoughtgraph.protocols import Generator
from thoughtgraph.replies import as_data, spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Json, Passage, Score, Thought, as_json
from thoughtgraph.verbs import ALL

FIRST = "(What the environment shows at first.)"
"""What an estimate takes for it."""

LATER = "(This is not done yet: it happens if this branch is chosen.)"


@dataclass(frozen=True)
class Act:
    """Perform the tool calls that `propose` drafts, each in an environment of its own, and observe.

    `propose` is any generator whose drafts hold {"tool", "arguments"} and, where it says why, "text"; a draft that is
    done and calls no tool (an answer) stays as it is. It is told what the environment shows at first. What a call
    came to is a thought: what the tool returned, what it raised, or that there is no such tool. An effect is never
    performed here: its thought is final, and pending. An environment that breaks counts as "failed" in the outcomes,
    and where all of them do the expansion fails.

    Each environment comes from `world()` and is brought to where the thought stands by the latest snapshot on the
    path, or else by doing its idempotent steps again: `result.outcomes["replayed"]` counts these, and "diverged" those
    that were answered otherwise. After a kill no call that ended is performed again. Observations are told to prompts
    up to `most` characters, and kept whole.
    """

    world: World
    propose: Generator
    most: int = 2000

    def __post_init__(self) -> None:
        at_least(20, most=self.most)

    @property
    def model(self) -> Model | None:
        """The model of `propose`, where it has one."""
        return cast("Any", self.propose).model

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        known = [held(thought)["opening"] for thought in state.path if "opening" in held(thought)]
        opening = known[0] if known else await state.act("reset", partial(self._reset, state.problem), imagined=FIRST)
        drafts = self.propose(self._shown(state, opening), n)
        drafts = await drafts if inspect.isawaitable(drafts) else drafts
        first = {} if known else {"opening": opening}
        made = await asyncio.gather(*(self._act(state, draft, first) for draft in drafts), return_exceptions=True)
        broken = [error for error in made if isinstance(error, BaseException)]
        if worst := [error for error in broken if isinstance(error, TaskError) or not isinstance(error, Exception)]:
            raise worst[0]
        if broken and len(broken) == len(made):
            raise broken[0]
        _count(state, failed=len(broken))
        return [draft for draft in made if not isinstance(draft, BaseException)]

    def _shown(self, state: State, opening: Json) -> State:
        """The state as a proposer sees it: its text tells what the environment shows at first, and so does the path."""
        if opening is None:
            return state
        here = state.thought
        if "opening" not in held(here):
            here = replace(here, content={"text": here.text, **held(here), "opening": opening})
        x = f"{state.x}\n\nAt first:\n{quoted(opening, self.most)}"
        return replace(state, x=x, thoughts=(here, *state.thoughts[1:]))

    async def _reset(self, problem: Json) -> Json:
        async with opened(self.world) as environment:
            return await settled(environment.reset(problem))

    async def _act(self, state: State, draft: Draft, first: Mapping[str, Json]) -> Draft:
        """One draft's call, performed if it may be."""
        content = named(as_json(draft.content, "a proposal"))
        if draft.done and "tool" not in content:
            return draft
        why, tool, arguments, fault = _call(draft, self.world().tools)
        came: dict[str, Json]
        if tool is None:
            came = {"observation": fault, "refused": True}
        elif tool.kind == "effect":
            came = {"pending": True}
        else:
            came = await self._done(state, tool, arguments)
        said = {"tool": content["tool"], "arguments": content.get("arguments", {})}
        text = _told(why, called(said["tool"], said["arguments"], self.most), came, self.most)
        whole = {"text": text, **said, **came, **first, "after": state.thought.id}
        return Draft(whole, draft.prior, done=came.get("done") is True or "pending" in came)

    async def _done(self, state: State, tool: Tool, arguments: Arguments) -> dict[str, Json]:
        """Perform a call, or find in the journal that it was, and count what it took to get there."""
        name = _name(tool.name, state.path, arguments)
        came: dict[str, Json] = await state.act(name, partial(self._step, state, tool, arguments))
        _count(state, **came["took"])
        return {name: value for name, value in came.items() if name != "took"}

    async def _step(self, state: State, tool: Tool, arguments: Arguments) -> Json:
        async with standing(self.world, state.problem, state.path) as here:
            came = {**await attempted(here.environment, tool.name, arguments), "kind": tool.kind}
            keep = getattr(here.environment, "snapshot", None) if tool.kind == "idempotent" else None
            if keep is not None and (kept := await settled(keep())) is not None:
                came["snapshot"] = kept
            return {**came, "took": {"replayed": here.replayed, "diverged": here.diverged}}


@dataclass(frozen=True)
class Enact:
    """Perform the pending effects on the path to a thought, in their order: what `commit` does with the chosen branch.

    Each is begun at most once in a run's life, whatever happens. One that fails is not tried again; where the run was
    killed between its beginning and its end, nobody knows whether it happened, and the observation says so. After
    either, the effects that follow are not begun. One final thought tells them all, in its text and as "enacted": for
    each {"thought", "tool", "arguments", "observation", "status"}, and its status is "done", "failed" or "unsure".
    Nothing comes of a path without pending effects. The environment is brought to where each of them was proposed.
    """

    world: World
    most: int = 2000

    def __post_init__(self) -> None:
        at_least(20, most=self.most)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """One draft, or none."""
        path, told, reward = state.path, list[dict[str, Json]](), None
        for place, thought in enumerate(path):
            if pending(thought) and (not told or told[-1]["status"] == "done"):
                came = await self._enact(state, path[:place], thought)
                reward = came.pop("reward", None)
                told.append({"thought": thought.id, **came})
        if not told:
            return []
        return [Draft({"text": self._text(told), "enacted": told, "reward": reward}, done=True)]

    async def _enact(self, state: State, before: Sequence[Thought], thought: Thought) -> dict[str, Json]:
        call = held(thought)
        said = {"tool": call["tool"], "arguments": call["arguments"]}
        name, came = _name(call["tool"], before, call["arguments"]), dict[str, Json]()
        try:
            async with standing(self.world, state.problem, before) as here:
                _count(state, replayed=here.replayed, diverged=here.diverged)
                came = await self._once(state, name, partial(done, here.environment, *said.values()))
        except Exception:  # what happened did, also where the environment cannot be closed after it
            if not came:
                raise
        return {**said, **came}

    async def _once(self, state: State, name: str, act: Callable[[], Awaitable[Json]]) -> dict[str, Json]:
        try:
            came = await state.act(name, act, once=True)
        except Unsure as error:
            return {"observation": str(error), "status": "unsure"}
        except EffectError as error:
            return {"observation": str(error), "status": "failed"}
        return {"observation": came["observation"], "reward": came["reward"], "status": "done"}

    def _text(self, told: Sequence[Mapping[str, Json]]) -> str:
        words = [_told(called(e["tool"], e["arguments"], self.most), f"({e['status']})", e, self.most) for e in told]
        return "\n".join(words)


def _name(tool: str, path: Sequence[Thought], arguments: Arguments) -> str:
    """What a call goes by in the journal: by what led to it, for a resume may find another thought in a place."""
    return f"{tool} {content_key([calls(path), arguments])[:16]}"


def _count(state: State, **times: int) -> None:
    """Count what happened, and nothing that did not."""
    for name, n in times.items():
        if n:
            state.count(name, n)


def _told(why: str, call: str, came: Mapping[str, Json], most: int) -> str:
    """A step in words: why, the call, and what came of it."""
    outcome = LATER if "pending" in came else quoted(came["observation"], most)
    return "\n".join(filter(None, (why, call, outcome)))


def _call(draft: Draft, tools: Mapping[str, Tool]) -> tuple[str, Tool | None, Arguments, str]:
    """Why, the tool and its arguments; in the place of a tool that cannot be called so, what is wrong."""
    said = named(draft.content)
    if "tool" not in said:
        raise TaskError(
            f"a proposal is {draft.content!r:.80}: expected a tool call, {CALL}, or a draft that is done, as an answer"
        )
    name, arguments, why = said["tool"], said.get("arguments", {}), said.get("text", "")
    why = why if isinstance(why, str) else ""
    tool = tools.get(name) if isinstance(name, str) else None
    if tool is None:
        return why, None, {}, f"there is no tool {name!r:.80}: expected one of {', '.join(tools)}"
    if not isinstance(arguments, dict):
        return why, None, {}, f"{name} was not done: its arguments are {arguments!r:.80}, expected them by name"
    fault = tool.lacks(cast("dict[str, Json]", arguments))
    return why, None if fault else tool, cast("dict[str, Json]", arguments), fault


# -- asking a model ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decide:
    """Ask a model what to do next: each reply is one tool call, or the answer, and one call of the budget.

    `width` is how many an expansion asks for that takes all there are. A reply must be one JSON object, alone or in
    its only fence; anything else is unparsable, and drawn once more. A call of a tool that there is not is a reply:
    the model is told, as an observation, when it goes on from there.
    """

    tools: Mapping[str, Tool]
    prompter: Prompter | None = None
    width: int = 3
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        at_least(1, width=self.width)
        if self.prompter is None:
            object.__setattr__(self, "prompter", deciding(self.tools))

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        assert self.prompter is not None
        replies = await state.ask(
            self.prompter, self.width if n >= ALL else n, decision,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature, stop=self.stop,
        )  # fmt: skip
        return [Draft(said, done="tool" not in said) for said in replies]


CALL = '{"text": why, "tool": its name, "arguments": {...}}'


def decision(reply: str) -> dict[str, Json]:
    r"""The tool call in a reply, or its answer; `Unparsable` for anything else.

    >>> decision('```json\n{"text": "Look first.", "tool": "read", "arguments": {"file": "a.py"}}\n```')
    {'text': 'Look first.', 'tool': 'read', 'arguments': {'file': 'a.py'}}
    """
    found = as_data(spoken(reply))
    if not isinstance(found, dict):
        raise Unparsable(f"the reply is no JSON object: expected {CALL}")
    try:
        said = cast("dict[str, Json]", as_json(found, "the reply"))
    except (TaskError, RecursionError):
        raise Unparsable("the reply holds a number that is not finite, or is too deep") from None
    why = said.get("text", "")
    if not isinstance(why, str) or ("tool" in said) == ("answer" in said):
        raise Unparsable(f"the reply holds {', '.join(said) or 'nothing'}: expected {CALL}, or an answer")
    if "answer" in said:
        told = said["answer"] if isinstance(said["answer"], str) else json.dumps(said["answer"], ensure_ascii=False)
        return {"text": "\n".join(filter(None, (why, f"Answer: {told}"))), "answer": said["answer"]}
    tool, arguments = said["tool"], said.get("arguments", {})
    if not isinstance(tool, str) or not isinstance(arguments, dict):
        raise Unparsable(f"the reply calls {tool!r:.80} with {arguments!r:.80}: expected {CALL}")
    return {"text": why, "tool": tool, "arguments": cast("dict[str, Json]", arguments)}


def deciding(tools: Mapping[str, Tool]) -> Prompter:
    """The prompter that tells the tools and what they said so far, and asks for the next call."""
    listed = described(tools)

    def decide(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        return Prompt(
            passages=quote(passages),
            problem=x,
            tools=listed,
            thoughts=narrate(thoughts, scores),
            ask="What is best done next? Reply with one JSON object and nothing else: to call a tool, "
            '{"text": "why, in a sentence", "tool": "its name", "arguments": {"name": value, ...}}; where nothing '
            'is left to do, {"text": "why", "answer": "the answer"}.',
        )

    return decide
