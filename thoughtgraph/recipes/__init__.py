"""Loops assembled from the rooms: the audit of a critic, the search that improves it, the tuning of a judge."""

from thoughtgraph.recipes.audit import aaudit, audit
from thoughtgraph.recipes.audit_report import Alarm, Report
from thoughtgraph.recipes.finetune import Finetuned, finetune
from thoughtgraph.recipes.improve import Improvement, Round, aimprove, improve
from thoughtgraph.recipes.judging import Tuned, atune_judge, tune_judge, variants

__all__ = [
    "Alarm", "Finetuned", "Improvement", "Report", "Round", "Tuned", "aaudit", "aimprove", "atune_judge", "audit",
    "finetune", "improve", "tune_judge", "variants",
]  # fmt: skip
