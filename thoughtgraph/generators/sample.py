"""Sampling: L independent draws of one prompt, each a thought (chain of thought, best-of-n, the rich steps of ToT)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from thoughtgraph.errors import at_least
from thoughtgraph.model import Model
from thoughtgraph.prompt import Prompt, Prompter, narrate, quote
from thoughtgraph.replies import spoken
from thoughtgraph.state import State
from thoughtgraph.thought import Draft, Passage, Score, Thought
from thoughtgraph.verbs import ALL


def whole(text: str) -> bool:
    """Every reply is a whole answer: nothing follows."""
    return True


@dataclass(frozen=True)
class Sample:
    """Draw as many replies as were asked for; each is one thought, and one call.

    `width` (the paper's L) is how many an expansion draws that asks for all there are. `parse` makes the thought of a
    reply, and raises `Unparsable` for one that holds nothing usable; `done` says of that text whether it is final: by
    default every reply is a whole answer. Draws differ only by the model's own randomness, so choose it where thoughts
    are rich (a paragraph, a solution), and `Propose` where they are short and would repeat each other.
    """

    prompter: Prompter = field(default_factory=lambda: attempt)
    width: int = 5
    parse: Callable[[str], str] = spoken
    done: Callable[[str], bool] = whole
    model: Model | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: Sequence[str] = ()

    def __post_init__(self) -> None:
        at_least(1, width=self.width)

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n` drafts."""
        texts = await state.ask(
            self.prompter, self.width if n >= ALL else n, self.parse,
            model=self.model, max_tokens=self.max_tokens, temperature=self.temperature, stop=self.stop,
        )  # fmt: skip
        return [Draft(text, done=self.done(text)) for text in texts]


def attempt(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Think, then answer; what was thought before is told with its rewards."""
    return Prompt(
        passages=quote(passages),
        problem=x,
        thoughts=narrate(thoughts, scores),
        ask="Think it through, making use of what was thought so far, if anything was. Then give your answer.",
    )
