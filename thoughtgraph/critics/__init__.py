"""Rewards: a critic judges a set of thoughts, one score each. One critic a file."""

from thoughtgraph.critics.agreement import Agreement
from thoughtgraph.critics.expected import Expected
from thoughtgraph.critics.jury import Jury
from thoughtgraph.critics.pairwise import Pairwise
from thoughtgraph.critics.rubric import Criterion, Rubric
from thoughtgraph.critics.trust import Reliability, reliability
from thoughtgraph.critics.value import Value
from thoughtgraph.critics.vote import Vote

__all__ = [
    "Agreement", "Criterion", "Expected", "Jury", "Pairwise", "Reliability", "Rubric", "Value", "Vote", "reliability",
]  # fmt: skip
