"""What is asked of a model: a question by one state of an effect, and the errands that fetch its draws."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from thoughtgraph.budget import Usage
from thoughtgraph.deadline import Latency, latency_of
from thoughtgraph.model import Capabilities, Completion, Model, Price, Request, capabilities, endpoint
from thoughtgraph.pace import Pace, pace_of
from thoughtgraph.thought import Passage
from thoughtgraph.trace import Sent

AGAIN = 1 << 20
"""How far apart the indices of draws lie for one effect that asks the same thing twice."""

REDRAW = AGAIN // 2
"""Where the indices of redraws begin: behind all that may be asked for at first."""


@dataclass(eq=False)
class Line:
    """The line to one model, as a run knows it: what it can do, whom it shares its pace with, how fast it answers."""

    model: Model
    can: Capabilities
    endpoint: str
    pace: Pace
    price: Price | None
    ask: Callable[[Request, int], Awaitable[Completion]]
    """The model's call; without a time-out of its own, where it has such a one."""
    alone: bool
    """It gives one draw a request, whatever is asked."""
    latencies: dict[str, Latency] = field(default_factory=dict[str, Latency])

    @classmethod
    def to(cls, model: Model) -> Line:
        """The line to `model`, from the running event loop."""
        can, where = capabilities(model), endpoint(model)
        return cls(model, can, where, pace_of(where), model.price, _asked(model), alone=not can.n)

    def latency(self, role: str) -> Latency:
        """How long the requests of one role take here."""
        if role not in self.latencies:
            self.latencies[role] = latency_of(f"{self.endpoint} {self.model.name} {role}")
        return self.latencies[role]

    def lacks(self, parameter: str) -> None:
        """The server has refused a setting: it is not sent again."""
        if getattr(self.can, parameter, None) is True:
            self.can = replace(self.can, **{parameter: False})
        self.alone = self.alone or not self.can.n


def _asked(model: Model) -> Callable[[Request, int], Awaitable[Completion]]:
    """The model's `untimed` call, if the class that says how it is called says that too: a wrapper may not."""
    own = next(vars(cls) for cls in type(model).__mro__ if "__call__" in vars(cls))
    return getattr(model, "untimed") if "untimed" in own else model  # noqa: B009  # no part of the protocol


@dataclass(eq=False, slots=True)
class Question:
    """What one state of an effect asks a model: however many draws, and however often a draw is tried.

    `part` names it within the effect `key`; `wanted` is the request as it was asked for, `request` as the model can
    take it. `first` is the index of its first draw among all draws of the same content: those beyond `n` are redraws.
    """

    key: str
    role: str
    part: str
    line: Line
    wanted: Request
    request: Request
    n: int
    first: int = 0
    cache_key: str = ""
    where: Callable[[int], str] = str
    """Which thought a part of the effect is about, in words."""
    origins: tuple[Passage, ...] = ()
    """The passages, without their text, that the prompt rests on."""
    short: str = ""
    """The limit that kept a draw from being asked for; "" if none did."""
    failed: int = 0
    """How many draws no attempt brought."""

    @property
    def mark(self) -> str:
        """The hash of what is asked."""
        return self.part.split(".")[1]

    @property
    def thought(self) -> str:
        """The thought that it is about, in words."""
        return self.where(int(self.part.partition(".")[0]))

    @property
    def text(self) -> str:
        """The prompt in words, for the store."""
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self.wanted.messages)

    def index(self, draw: int) -> int:
        """The index of a draw among all draws of the same content."""
        return self.first + draw if draw < self.n else REDRAW + self.first + draw - self.n


@dataclass(eq=False, slots=True)
class Errand:
    """One request for `n` consecutive draws of a question, through all its attempts."""

    question: Question
    draw: int
    n: int
    request: Request
    tried: int = 0
    limit: str = ""
    sent: Sent | None = None
    bound: int = -1

    def __post_init__(self) -> None:
        self.bound = self.request.bound

    @property
    def squeezed(self) -> bool:
        """Whether the budget has fewer tokens left than the question may have."""
        return self.request.max_tokens < self.question.request.max_tokens

    @property
    def worst(self) -> tuple[Usage, Usage]:
        """The worst case of the request, and of each of its draws."""
        price, most = self.question.line.price, self.request.max_tokens
        dear = None if price is None else price.dearest
        return (
            Usage(0, 1, self.bound, 0, None if dear is None else dear.usd(self.bound, 0)),
            Usage(1, 0, 0, most, None if dear is None else dear.usd(0, most)),
        )
