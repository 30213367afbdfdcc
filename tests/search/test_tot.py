"""ToT."""
from thoughtgraph.search import ToT
from thoughtgraph.testing import PolicyContract
class TestToT(PolicyContract):
    policy = ToT()
