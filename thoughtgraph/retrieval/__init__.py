"""Knowledge: what can be looked up, and the action that does it."""

from thoughtgraph.retrieval.retrieve import Knowledge, Retrieve

__all__ = ["Knowledge", "Retrieve"]
