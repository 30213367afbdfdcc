"""CoT."""
from thoughtgraph.search import CoT
from thoughtgraph.testing import PolicyContract
class TestCoT(PolicyContract):
    policy = CoT()
