"""Knowledge: what can be looked up, and the action that does it."""

from thoughtgraph.retrieval.retrieve import Retrieve, Retriever

__all__ = ["Retrieve", "Retriever"]
