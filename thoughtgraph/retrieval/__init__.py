"""Knowledge: private documents in one file, retrievers over what a principal may see, and retrieval as an action."""

from thoughtgraph.retrieval.bm25 import BM25
from thoughtgraph.retrieval.catalogue import Entry
from thoughtgraph.retrieval.cross_encoder import CrossEncoder
from thoughtgraph.retrieval.demonstrations import Demonstrations, demonstrate, demonstration
from thoughtgraph.retrieval.diverse import Diverse
from thoughtgraph.retrieval.documents import Document, Section
from thoughtgraph.retrieval.embedders import Embedder, embedder
from thoughtgraph.retrieval.hybrid import Hybrid
from thoughtgraph.retrieval.indexing import Summary
from thoughtgraph.retrieval.knowledge import Added, Knowledge
from thoughtgraph.retrieval.lance import Lance
from thoughtgraph.retrieval.neighbours import Neighbours
from thoughtgraph.retrieval.reader import Reader
from thoughtgraph.retrieval.reading import read
from thoughtgraph.retrieval.rerank import Reranked
from thoughtgraph.retrieval.retrieve import Retrieve, Retriever, Rewrite, missing, newest
from thoughtgraph.retrieval.routed import Routed
from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder
from thoughtgraph.retrieval.served_embedder import ServedEmbedder
from thoughtgraph.retrieval.vectors import Dense, Exact, Nearest

__all__ = [
    "BM25", "Added", "CrossEncoder", "Demonstrations", "Dense", "Diverse", "Document", "Embedder", "Entry", "Exact",
    "Hybrid", "Knowledge", "Lance", "Nearest", "Neighbours", "Reader", "Reranked", "Retrieve", "Retriever", "Rewrite",
    "Routed", "Section", "SentenceEmbedder", "ServedEmbedder", "Summary", "demonstrate", "demonstration", "embedder",
    "missing", "newest", "read",
]  # fmt: skip
