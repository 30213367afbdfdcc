"""SelfConsistency."""
from thoughtgraph.search import SelfConsistency
from thoughtgraph.testing import PolicyContract
class TestSelfConsistency(PolicyContract):
    policy = SelfConsistency(n=8)
