"""Particle filtering of thoughts (Puri et al., 2025): steps are drawn, and resampled by the odds of their prefixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.steps import dead, grow, judge, leader
from thoughtgraph.search.weights import RESAMPLING, Resampling, check_resampling, systematic, temper, weigh
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class ParticleFilter:
    """`n` particles move by a step each, are weighed by the odds of its value, and are drawn anew by their weights.

    Values are chances in [0, 1]: a particle weighs v / (1 - v), so that a sure value outweighs all others, while
    equal values leave all as they were. With `tempered`, as long as in the first half of the `steps` fewer than half
    of the particles would be left in effect, the odds are taken to the power 1/2, 1/4 ...: a critic that is sure and
    wrong then does not end the other lines. What is finished keeps its weight and stays in the draw; the answer is
    the finished thought of the highest value.

    Particles on one thought share its children and their judgements. `branch` is how many children are asked for:
    all that the action has to offer, which is right for proposals, where each particle goes on to one of them by
    their priors; None asks for one draw a particle, and merges no equal ones: the paper's way, and right for actions
    that sample. Choose it over `Beam` where values are noisy chances: it keeps several lines as long as they are open,
    and one where they are not. `ParticleGibbs` repeats it.

    Cost: at most n thoughts are expanded and n judged a step, and only different ones, often a quarter of that.
    """

    n: int = 32
    steps: int = 40
    branch: int | None = ALL
    resampling: Resampling = "systematic"
    tempered: bool = True
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n, steps=self.steps, branch=self.branch)
        check_resampling(self.resampling)

    async def __call__(self, search: Search) -> Thought | None:
        """One sweep."""
        particles = await self.sweep(search)
        return next(filter(search.solved, particles), None) or self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The finished thought of the highest value."""
        return leader(search, self.critic, "last")

    async def sweep(self, search: Search, reference: Sequence[Thought] = ()) -> list[Thought]:
        """Where the particles stand at the end; a solved thought among them ends it early.

        The last particle is held to the path `reference`, where there is one: it takes part in the draws and never
        dies (Andrieu, Doucet & Holenstein, 2010).
        """
        free = self.n - bool(reference)
        particles = [search.root] * free
        for step in range(self.steps):
            particles = [*await self._move(search, particles), *reference[: step + 1][-1:]]
            if any(map(search.solved, particles)):
                break
            await judge(search, particles, self.critic)
            if all(particle.done for particle in particles):
                break
            values = [search.value(particle, self.critic) for particle in particles]
            weights = temper(values) if self.tempered and step < self.steps / 2 else weigh(values)
            particles = self._draw(search, particles, weights, free)
        return particles

    async def _move(self, search: Search, particles: Sequence[Thought]) -> list[Thought]:
        """Every particle on to a child of its thought; those with nowhere to go die."""

        async def after(thought: Thought, k: int) -> list[Thought]:
            n, merge = (k, False) if self.branch is None else (self.branch, True)
            return [thought] if thought.done else await grow(search, thought, self.action, n, merge=merge)

        places = Counter(particles)
        grown = await search.gather(*(after(thought, k) for thought, k in places.items()))
        if solved := next((child for children in grown for child in children if search.solved(child)), None):
            return [solved]
        alive = [[child for child in children if not dead(search, child)] for children in grown]
        moved = zip(alive, places.values(), strict=True)
        return [to for children, k in moved for to in self._step(search, children, k)]

    def _step(self, search: Search, children: Sequence[Thought], k: int) -> list[Thought]:
        """`k` particles on to these children: by their priors, or each to its own draw, in which priors are already."""
        if self.branch is None:
            return systematic(children, [1.0] * len(children), k, search.rng) if children else []
        return self._draw(search, children, [child.prior for child in children], k)

    def _draw(self, search: Search, thoughts: Sequence[Thought], weights: Sequence[float], n: int) -> list[Thought]:
        return RESAMPLING[self.resampling](thoughts, weights, n, search.rng) if thoughts else []
