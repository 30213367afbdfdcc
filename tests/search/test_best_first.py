"""BestFirst."""
from thoughtgraph.search import BestFirst
from thoughtgraph.testing import PolicyContract
class TestBestFirst(PolicyContract):
    policy = BestFirst()
