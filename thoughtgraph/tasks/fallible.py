"""Fallible thinking without a model: moves proposed by preference, with slips, and a judge who is often mistaken."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Generic, NamedTuple, Protocol, TypeVar

from thoughtgraph.errors import at_least
from thoughtgraph.protocols import Critic
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Score
from thoughtgraph.verbs import ALL

P = TypeVar("P")
"""A position: all that a game needs to know to go on."""

M = TypeVar("M")
"""A move."""


@dataclass(frozen=True)
class Fallible:
    """How well a stand-in for a model thinks: what it proposes, and how far its judgement can be trusted.

    A move is drawn with a chance in proportion to exp(`skill` * gain + `bias` * z): gain is how much nearer to the
    goal it seems to lead, in moves, and z a normal number that belongs to the position and the move, so that asking
    again does not help against it. With the chance `slip` a wrong one is proposed before it. One list of proposals
    holds at most `width` of them, right ones without repetition; a whole solution has at most `length` moves. A
    judgement is right with the chance `reliability` and else a guess; the part `shared` of the wrong ones belongs to
    the position, and comes back whenever it is judged. `seed` makes another thinker of the same kind.
    """

    skill: float = 1.5
    bias: float = 1.0
    slip: float = 0.1
    width: int = 3
    length: int = 16
    reliability: float = 0.8
    shared: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(0, bias=self.bias, slip=self.slip, reliability=self.reliability, shared=self.shared)
        at_least(1, width=self.width, length=self.length)
        for name in ("slip", "reliability", "shared"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected a chance, from 0 to 1")

    def luck(self, *what: str) -> random.Random:
        """Random numbers that belong to a thing: the same whenever they are asked for."""
        return random.Random("/".join((str(self.seed), *what)))


class Game(Protocol[P, M]):
    """What can be thought about a problem: its positions and moves, played by an exact simulator."""

    def position(self, state: State) -> P:
        """Where a state stands."""
        ...

    def name(self, position: P) -> str:
        """What positions have in common that are equal to whoever thinks."""
        ...

    def moves(self, position: P) -> Sequence[tuple[M, float]]:
        """Every right move, and how many moves nearer to the goal it seems to lead; none where nothing follows."""
        ...

    def slip(self, position: P, rng: random.Random) -> M | None:
        """A wrong move, drawn at random; None where there is none."""
        ...

    def play(self, position: P, move: M) -> P | None:
        """Where a move leads, right or wrong; None for one that cannot be made at all."""
        ...

    def draft(self, position: P, moves: Sequence[M], whole: bool) -> Draft:
        """The thought that `moves` lead to `position`: one move, or a whole solution, which is done, right or not."""
        ...


class Proposal(NamedTuple, Generic[M]):
    """A move and the chance with which the thinker would draw it; a slip has that of the move that it comes before."""

    move: M
    chance: float


def proposals(game: Game[P, M], noise: Fallible, position: P, rng: random.Random) -> list[Proposal[M]]:
    """One list of proposals, in the order drawn, right and wrong: without repetition by Gumbel's trick."""
    moves, luck = game.moves(position), noise.luck("prefer", game.name(position))
    liking = [noise.skill * gain + noise.bias * luck.gauss(0, 1) for _, gain in moves]
    order = sorted(range(len(moves)), key=lambda i: -(liking[i] - log(-log(rng.random() or 0.5))))
    chance = _softmax(liking)
    said = list[Proposal[M]]()
    while order and len(said) < noise.width:
        wrong = game.slip(position, rng) if rng.random() < noise.slip else None
        move = moves[order[0]][0] if wrong is None else wrong
        said.append(Proposal(move, chance[order[0]]))
        if wrong is None:
            order.pop(0)
    return said


def _softmax(logits: Sequence[float]) -> list[float]:
    odds = [exp(logit - max(logits)) for logit in logits]
    return [each / sum(odds) for each in odds]


@dataclass(frozen=True)
class Steps(Generic[P, M]):
    """Next moves. Each list of proposals is one thing asked of the thinker, as one reply of a model would be.

    Asked for all there is, it writes one list, and what can be played of it comes back. Asked for n, it writes n
    lists, and gives the first playable move of each: independent draws. What cannot be played is no thought.
    """

    game: Game[P, M]
    noise: Fallible

    def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        position, rng = self.game.position(state), state.rng
        if n == ALL:
            return list(self._playable(position, rng))
        firsts = (next(self._playable(position, rng), None) for _ in range(n))
        return [draft for draft in firsts if draft is not None]

    def _playable(self, position: P, rng: random.Random) -> Iterator[Draft]:
        for move, chance in proposals(self.game, self.noise, position, rng):
            then = self.game.play(position, move)
            if then is not None:
                made = self.game.draft(then, [move], False)
                yield Draft(made.content, chance, made.done)


@dataclass(frozen=True)
class Whole(Generic[P, M]):
    """Whole solutions, a move after the other, each the first of its list; one that cannot be played is the last.

    `width` of them come where nobody says how many.
    """

    game: Game[P, M]
    noise: Fallible

    def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts; none where nothing follows."""
        position, rng = self.game.position(state), state.rng
        drawn = (self._write(position, rng) for _ in range(self.noise.width if n == ALL else n))
        return [draft for draft in drawn if draft is not None]

    def _write(self, position: P, rng: random.Random) -> Draft | None:
        written = list[M]()
        while len(written) < self.noise.length:
            listed = proposals(self.game, self.noise, position, rng)
            then = self.game.play(position, listed[0].move) if listed else None
            written += [listed[0].move] if listed else []
            if then is None:
                break
            position = then
        return self.game.draft(position, written, True) if written else None


@dataclass(frozen=True)
class Doubtful(Generic[P, M]):
    """A critic of values 1 / (1 + moves to go) that is right no more often than `noise` says.

    Where it is wrong, it guesses from 1 to `most` moves to go.
    """

    right: Critic
    game: Game[P, M]
    noise: Fallible
    most: int

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each."""
        judged = self.right(states)
        assert isinstance(judged, Sequence)
        return [self._doubt(state, score) for state, score in zip(states, judged, strict=True)]

    def _doubt(self, state: State, right: Score) -> Score:
        wrong = 1 - self.noise.reliability
        common = wrong * self.noise.shared
        luck, rng = self.noise.luck("value", self.game.name(self.game.position(state))), state.rng
        if luck.random() < common:
            return self._guess(luck)
        return self._guess(rng) if rng.random() < (wrong - common) / (1 - common or 1) else right

    def _guess(self, rng: random.Random) -> Score:
        return Score(1 / (1 + rng.randint(1, self.most)))
