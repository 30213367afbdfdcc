"""Particle Gibbs (Andrieu, Doucet & Holenstein, 2010): sweeps of a particle filter that hold on to a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thoughtgraph.errors import at_least
from thoughtgraph.search.particle_filter import ParticleFilter
from thoughtgraph.search.weights import Resampling, check_resampling, multinomial, weigh
from thoughtgraph.thought import Thought
from thoughtgraph.verbs import ALL, Search


@dataclass(frozen=True)
class ParticleGibbs:
    """`sweeps` particle filters, one after the other; each but the first holds one particle to a path of the last.

    The path is that of a finished particle, drawn by weight, and new for every sweep. The others start afresh, and
    compete with it: what a sweep missed is drawn again, and what it found is not lost. The other fields are those of
    `ParticleFilter`. Choose it over one filter of more particles where a fault of the first steps is fatal, since all
    particles of one sweep soon come from a few of them.

    Cost: `sweeps` times that of a particle filter; what was judged before is not judged again.
    """

    n: int = 16
    sweeps: int = 3
    steps: int = 40
    branch: int | None = ALL
    resampling: Resampling = "systematic"
    tempered: bool = True
    action: str = "step"
    critic: str = "value"

    absolute: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, sweeps=self.sweeps, steps=self.steps, branch=self.branch)
        at_least(2, n=self.n)
        check_resampling(self.resampling)

    async def __call__(self, search: Search) -> Thought | None:
        """Sweep, draw a path to hold on to, sweep again."""
        reference = list[Thought]()
        for _ in range(self.sweeps):
            particles = await self._filter.sweep(search, reference)
            if solved := next(filter(search.solved, particles), None):
                return solved
            if finished := [particle for particle in particles if particle.done]:
                weights = weigh([search.value(particle, self.critic) for particle in finished])
                (end,) = multinomial(finished, weights, 1, search.rng)
                path = search.graph.path(end)
                reference = path[len(path) - (end.depth - search.root.depth) :]
        return self.answer(search)

    def answer(self, search: Search) -> Thought | None:
        """The finished thought of the highest value, of whichever sweep."""
        return self._filter.answer(search)

    @property
    def _filter(self) -> ParticleFilter:
        return ParticleFilter(self.n, self.steps, self.branch, self.resampling, self.tempered, self.action, self.critic)
