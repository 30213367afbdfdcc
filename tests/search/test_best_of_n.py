"""BestOfN."""
from thoughtgraph.search import BestOfN
from thoughtgraph.testing import PolicyContract
class TestBestOfN(PolicyContract):
    policy = BestOfN(n=4)
