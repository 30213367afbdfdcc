"""Search policies: one idea a file. Pass the object, as in `tg.solve(task, policy=tg.search.MCTS(workers=8))`."""

from thoughtgraph.search.auto import Auto
from thoughtgraph.search.best_first import BestFirst
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.cot import CoT
from thoughtgraph.search.dfs import DFS
from thoughtgraph.search.direct import Direct
from thoughtgraph.search.mcts import MCTS
from thoughtgraph.search.self_consistency import SelfConsistency
from thoughtgraph.search.tot import ToT

__all__ = ["DFS", "MCTS", "Auto", "BestFirst", "BestOfN", "CoT", "Direct", "SelfConsistency", "ToT"]
