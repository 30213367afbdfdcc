"""The critic of universal self-consistency (Chen et al., 2023): a model names the answer that most others share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thoughtgraph.critics.vote import Vote, compare
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.thought import Passage, Score, Thought


@dataclass(frozen=True)
class Agreement(Vote):
    """`Vote` with another question: not which candidate is best, but which one the others bear out.

    It needs no notion of equal answers, so it finds the consensus of texts, plans and code, and no notion of quality
    either: it is right where most of the candidates are. One draw decides, unless `votes` says otherwise. Choose
    `Vote` where a model can tell a good candidate from a bad one.
    """

    prompter: Prompter = field(default_factory=lambda: consistent)
    votes: int = 1


def consistent(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Read the numbered candidates and name the one that most of the others agree with."""
    return compare(x, passages, thoughts, scores).but(
        ask="Which of these candidates agrees best with the majority of them: whose answer, or whose main points, do "
        "most of the others bear out? Whether it is right, or written well, is not asked, and their order means "
        "nothing. Say in a few sentences where they agree and where they differ. Then end with this line, where N is "
        "the number of one of them:\nThe best choice is N"
    )
