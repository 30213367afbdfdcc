"""Search policies: one idea a file. Pass the object, as in `tg.solve(task, policy=tg.search.MCTS(workers=8))`."""

from thoughtgraph.search.ab_mcts import ABMCTS
from thoughtgraph.search.ab_mcts_m import ABMCTSM
from thoughtgraph.search.auto import Auto
from thoughtgraph.search.beam import Beam
from thoughtgraph.search.best_first import BestFirst
from thoughtgraph.search.best_of_n import BestOfN
from thoughtgraph.search.commit import Commit
from thoughtgraph.search.cot import CoT
from thoughtgraph.search.dfs import DFS
from thoughtgraph.search.direct import Direct
from thoughtgraph.search.dvts import DVTS
from thoughtgraph.search.got import GoT
from thoughtgraph.search.halving import SequentialHalving
from thoughtgraph.search.ircot import IRCoT
from thoughtgraph.search.labelled import Labelled
from thoughtgraph.search.lats import LATS
from thoughtgraph.search.lookahead import Lookahead
from thoughtgraph.search.mcts import MCTS
from thoughtgraph.search.mctsr import MCTSr
from thoughtgraph.search.monte_carlo import MonteCarlo
from thoughtgraph.search.omega import Omega
from thoughtgraph.search.particle_filter import ParticleFilter
from thoughtgraph.search.particle_gibbs import ParticleGibbs
from thoughtgraph.search.rag import Rag
from thoughtgraph.search.ratp import RATP
from thoughtgraph.search.rstar import RStar
from thoughtgraph.search.self_consistency import SelfConsistency
from thoughtgraph.search.tot import ToT
from thoughtgraph.search.usc import USC

__all__ = [
    "ABMCTS", "ABMCTSM", "DFS", "DVTS", "LATS", "MCTS", "RATP", "USC", "Auto", "Beam", "BestFirst", "BestOfN", "CoT",
    "Commit", "Direct", "GoT", "IRCoT", "Labelled", "Lookahead", "MCTSr", "MonteCarlo", "Omega", "ParticleFilter",
    "ParticleGibbs", "RStar", "Rag", "SelfConsistency", "SequentialHalving", "ToT",
]  # fmt: skip
