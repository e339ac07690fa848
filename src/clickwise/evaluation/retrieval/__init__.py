"""How well systems find what queries should find: whole corpora, lists of k, blocks of queries."""

from __future__ import annotations

from clickwise.evaluation.retrieval.comparison import Comparison
from clickwise.evaluation.retrieval.measure import KS, Search, measure_search
from clickwise.evaluation.retrieval.measured import Figure, Measured
from clickwise.evaluation.retrieval.report import RetrievalReport
from clickwise.evaluation.retrieval.slices import EDGES, Slices

__all__ = ["EDGES", "KS", "Comparison", "Figure", "Measured", "RetrievalReport", "Search", "Slices", "measure_search"]
