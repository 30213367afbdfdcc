"""Rewards: a critic judges a set of thoughts, one score each. One critic a file."""

from thoughtgraph.critics.agreement import Agreement
from thoughtgraph.critics.expected import Expected
from thoughtgraph.critics.grounded import Grounded
from thoughtgraph.critics.jury import Jury
from thoughtgraph.critics.pairwise import Pairwise
from thoughtgraph.critics.reward import RewardModel, by_paragraph, by_thought
from thoughtgraph.critics.reward_local import LocalReward
from thoughtgraph.critics.reward_models import FAMILIES, Family, rewards, trl
from thoughtgraph.critics.reward_server import ServedReward
from thoughtgraph.critics.rubric import Criterion, Rubric
from thoughtgraph.critics.steps import aggregated
from thoughtgraph.critics.trust import Reliability, reliability
from thoughtgraph.critics.value import Value
from thoughtgraph.critics.vote import Vote

__all__ = [
    "FAMILIES", "Agreement", "Criterion", "Expected", "Family", "Grounded", "Jury", "LocalReward", "Pairwise",
    "Reliability", "RewardModel", "Rubric", "ServedReward", "Value", "Vote", "aggregated", "by_paragraph", "by_thought",
    "reliability", "rewards", "trl",
]  # fmt: skip
