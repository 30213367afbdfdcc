"""MCTS."""
from thoughtgraph.search import MCTS
from thoughtgraph.testing import PolicyContract
class TestMCTS(PolicyContract):
    policy = MCTS(simulations=20)
class TestMCTSWorkers(PolicyContract):
    policy = MCTS(simulations=40, workers=8)
