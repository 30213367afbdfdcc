"""Critics from data: rows to learn from, features, trainers, calibration, and what is exported for larger models."""

from thoughtgraph.learning.calibration import Calibration, brier, calibrate, ece, reliability
from thoughtgraph.learning.demonstrations import Demonstrations
from thoughtgraph.learning.embeddings import embedding
from thoughtgraph.learning.equivalence import equivalent
from thoughtgraph.learning.export import Exported, export
from thoughtgraph.learning.features import Example, Feature
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.halving import Halved, halving, halving_async
from thoughtgraph.learning.labels import graded, rows_of
from thoughtgraph.learning.learned import Learned, Trained
from thoughtgraph.learning.outcomes import Outcomes
from thoughtgraph.learning.preferences import Preferences
from thoughtgraph.learning.processes import Processes, beta
from thoughtgraph.learning.prompt_choice import Choice, Predictions, mutual_information, tally
from thoughtgraph.learning.registry import AGREEMENT, ALONE, DEFAULT, REGISTRY, SURFACE
from thoughtgraph.learning.risk import Case, Rule
from thoughtgraph.learning.risk import fit as fit_rule
from thoughtgraph.learning.rows import (
    Demonstration,
    Outcome,
    Preference,
    Response,
    StepTrace,
    by_question,
    read_rows,
    write_rows,
)
from thoughtgraph.learning.signals import held, signal
from thoughtgraph.learning.splits import folds, leaks, split
from thoughtgraph.learning.training import Training, train_critic

__all__ = [
    "AGREEMENT",
    "ALONE",
    "DEFAULT",
    "REGISTRY",
    "SURFACE",
    "Calibration",
    "Case",
    "Choice",
    "Demonstration",
    "Demonstrations",
    "Example",
    "Exported",
    "Feature",
    "Halved",
    "Learned",
    "Outcome",
    "Outcomes",
    "Predictions",
    "Preference",
    "Preferences",
    "Processes",
    "Response",
    "Rule",
    "StepTrace",
    "Trained",
    "Training",
    "beta",
    "brier",
    "by_question",
    "calibrate",
    "ece",
    "embedding",
    "equivalent",
    "export",
    "fit_rule",
    "folds",
    "graded",
    "halving",
    "halving_async",
    "held",
    "leaks",
    "load_critic",
    "mutual_information",
    "read_rows",
    "reliability",
    "rows_of",
    "signal",
    "split",
    "tally",
    "train_critic",
    "write_rows",
]  # fmt: skip
