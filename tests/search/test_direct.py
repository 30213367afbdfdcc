"""Direct."""
from thoughtgraph.search import Direct
from thoughtgraph.testing import PolicyContract
class TestDirect(PolicyContract):
    policy = Direct()
