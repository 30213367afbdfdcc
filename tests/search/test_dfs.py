"""DFS."""
from thoughtgraph.search import DFS
from thoughtgraph.testing import PolicyContract
class TestDFS(PolicyContract):
    policy = DFS()
