"""Rewards: a critic judges a set of thoughts, one score each. One critic a file."""

from thoughtgraph.critics.agreement import Agreement
from thoughtgraph.critics.value import Value
from thoughtgraph.critics.vote import Vote

__all__ = ["Agreement", "Value", "Vote"]
