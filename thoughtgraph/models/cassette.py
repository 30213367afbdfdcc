"""Record a model once, replay it for nothing: tests and demonstrations with real replies and no key.

The file is JSON Lines: a first line that says which model it was, then one line a draw. It holds prompts and replies
as they were sent, and no key, header or address.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from thoughtgraph.errors import ModelError
from thoughtgraph.model import Capabilities, Completion, Logprobs, Model, Price, Reply, Request, capabilities
from thoughtgraph.prompt import Message


class _Label(BaseModel):
    """The first line: what a replay needs to be taken for the model that was recorded."""

    cassette: Literal[1] = 1
    model: str
    defaults: dict[str, float]
    price: Price | None = None
    can: Capabilities | None = None


class _Draw(BaseModel):
    """One recorded draw. Tokens are those of its request, shared out, so that they add up again."""

    mark: str
    draw: int
    prompt: str
    text: str
    finish: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    written_tokens: int = 0
    reasoning_tokens: int = 0
    logprobs: Logprobs = ()
    top: tuple[Logprobs, ...] = ()


@dataclass(frozen=True)
class Cassette:
    """Plays what `path` holds, and records what it does not.

    A prompt's draws are played in the order they were recorded, each once in the life of this object. Modes:
    `"auto"` plays and, with a model, records what is missing; `"replay"` never calls the model; `"record"` starts a
    new file and never plays.
    """

    path: str | Path
    model: Model | None = None
    mode: Literal["auto", "record", "replay"] = "auto"
    price: Price | None = None
    _label: _Label = field(init=False, repr=False, compare=False)
    _draws: dict[str, list[_Draw]] = field(
        default_factory=dict[str, list[_Draw]], init=False, repr=False, compare=False
    )
    _played: Counter[str] = field(default_factory=Counter[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = self._lines()
        if lines and self.mode == "record":
            raise ModelError(
                f"{self.path} is recorded already: delete it to record it anew, or use mode='auto'", cause="cassette"
            )
        label = _parse(_Label, lines[0], self.path, 1) if lines else self._fresh()
        if self.model and self.model.name != label.model:
            raise ModelError(
                f"{self.path} holds {label.model}, not {self.model.name}: use another file for it", cause="cassette"
            )
        object.__setattr__(self, "_label", label)
        if self.price is None:
            object.__setattr__(self, "price", label.price)
        for number, line in enumerate(lines[1:], 2):
            self._load(_parse(_Draw, line, self.path, number), number)

    @property
    def name(self) -> str:
        """The name of the model that was recorded."""
        return self._label.model

    @property
    def defaults(self) -> Mapping[str, float]:
        """The defaults of the model that was recorded."""
        return self._label.defaults

    @property
    def capabilities(self) -> Capabilities:
        """What the model that was recorded can do: the engine asks by it, and so must a replay."""
        return self._label.can or Capabilities()

    async def __call__(self, request: Request, n: int) -> Completion:
        """The next `n` recorded draws of this request, or fewer; without any, the model's, which are recorded."""
        mark = request.mark(self.name)
        if draws := self._draws.get(mark, [])[self._played[mark] :][:n]:
            self._played[mark] += len(draws)
            return _completion(draws)
        if self.model is None or self.mode == "replay":
            raise self._missing(request, mark)
        completion = await self.model(request, n)
        self._record(request, mark, completion)
        return completion

    async def close(self) -> None:
        """Close the model; the file is never held open."""
        if self.model:
            await self.model.close()

    def _lines(self) -> list[str]:
        try:
            *lines, rest = Path(self.path).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"cannot read the cassette {self.path}: {error}", cause="cassette") from error
        if rest:
            raise _damaged(self.path, len(lines) + 1, "it is cut off, without a newline at its end")
        return lines

    def _fresh(self) -> _Label:
        if self.model is None or self.mode == "replay":
            raise ModelError(
                f"no cassette at {self.path}: record one with Cassette({str(self.path)!r}, model)", cause="cassette"
            )
        label = _Label(
            model=self.model.name,
            defaults=dict(self.model.defaults),
            price=self.price or self.model.price,
            can=capabilities(self.model),
        )
        self._write(label)
        return label

    def _load(self, draw: _Draw, number: int) -> None:
        draws = self._draws.setdefault(draw.mark, [])
        if draw.draw != len(draws):
            found = f"it is draw {draw.draw} of its request where draw {len(draws)} was expected"
            raise _damaged(self.path, number, f"{found} (lines removed, or two processes recording at once)")
        draws.append(draw)

    def _record(self, request: Request, mark: str, completion: Completion) -> None:
        draws = self._draws.setdefault(mark, [])
        for reply, share in zip(completion.replies, _shares(completion), strict=True):
            draw = _Draw(
                mark=mark,
                draw=len(draws),
                prompt=_shown(request),
                text=reply.text,
                finish=reply.finish,
                logprobs=reply.logprobs,
                top=reply.top,
                **share,
            )
            self._write(draw)
            draws.append(draw)
        self._played[mark] += len(completion.replies)

    def _write(self, line: BaseModel) -> None:
        with Path(self.path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(json.dumps(line.model_dump(), ensure_ascii=False) + "\n")

    def _missing(self, request: Request, mark: str) -> ModelError:
        if held := len(self._draws.get(mark, [])):
            found = f"{self.path} holds {held} draw(s) of this request and one more is asked"
        else:
            found = f"{self.path} does not hold this request{self._difference(_shown(request))}"
        return ModelError(f"{found}\nrecord it with Cassette({str(self.path)!r}, model)", cause="not recorded")

    def _difference(self, wanted: str) -> str:
        """How `wanted` differs from the recorded request that is nearest to it."""
        held = {draws[0].prompt for draws in self._draws.values()}
        if not held:
            return ": it holds none"
        near = max(sorted(held), key=lambda text: difflib.SequenceMatcher(None, text, wanted).quick_ratio())
        rows = difflib.unified_diff(near.split("\n"), wanted.split("\n"), "recorded", "asked", lineterm="", n=1)
        shown = [row[:160] for row in rows]
        more = [f"... and {len(shown) - 40} lines more"] if len(shown) > 40 else []
        return "; the nearest that it holds differs so:\n" + "\n".join(shown[:40] + more)


_Line = TypeVar("_Line", bound=BaseModel)


def _parse(kind: type[_Line], line: str, path: str | Path, number: int) -> _Line:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise _damaged(path, number, f"{field}{': ' if field else ''}{first['msg']}") from None


def _damaged(path: str | Path, number: int, why: str) -> ModelError:
    return ModelError(f"{path}, line {number} is damaged: {why}; mend or delete the line", cause="cassette")


def _shown(request: Request) -> str:
    """A request in words: its settings, then its messages."""
    settings = f"max_tokens={request.max_tokens} temperature={request.temperature} stop={list(request.stop)}"
    rare = {
        "seed": request.seed,
        "schema": request.schema and request.schema.name,
        "logprobs": request.logprobs or None,
    }
    settings += "".join(f" {name}={value}" for name, value in rare.items() if value is not None)
    return "\n".join([settings, *(_told(message) for message in request.messages)])


def _told(message: Message) -> str:
    return "\n".join([f"[{message.role}]", message.content, *(f"[image] {image.url:.200}" for image in message.images)])


_AT_ONCE = ("prompt_tokens", "cached_tokens", "written_tokens")
_BY_DRAW = ("completion_tokens", "reasoning_tokens")


def _shares(completion: Completion) -> list[dict[str, Any]]:
    """A request's tokens over its draws: the prompt's with the first, the rest in equal parts, with the same sum."""
    n = len(completion.replies)
    whole = {name: getattr(completion, name) for name in (*_AT_ONCE, *_BY_DRAW)}
    known = {name: count for name, count in whole.items() if count is not None}
    return [
        {name: count * (i == 0) if name in _AT_ONCE else _part(count, i, n) for name, count in known.items()}
        for i in range(n)
    ]


def _part(count: int, i: int, n: int) -> int:
    return count * (i + 1) // n - count * i // n


def _completion(draws: list[_Draw]) -> Completion:
    replies = tuple(Reply(draw.text, draw.finish, draw.logprobs, draw.top) for draw in draws)
    return Completion(
        replies,
        _sum([draw.prompt_tokens for draw in draws]),
        _sum([draw.completion_tokens for draw in draws]),
        cached_tokens=sum(draw.cached_tokens for draw in draws),
        written_tokens=sum(draw.written_tokens for draw in draws),
        reasoning_tokens=sum(draw.reasoning_tokens for draw in draws),
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
