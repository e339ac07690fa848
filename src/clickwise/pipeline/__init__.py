"""The Python API: a handful of functions that compose the rooms below. The command line calls nothing else."""

from clickwise.pipeline.cascade import evaluate_recommender
from clickwise.pipeline.crosses import suggest_crosses
from clickwise.pipeline.exporting import export
from clickwise.pipeline.lists import open_lists
from clickwise.pipeline.looking import first_rows, inspect, simulate, training_summary
from clickwise.pipeline.recommending import build_recommender, index_summary, recommend, show_first, update_items
from clickwise.pipeline.retrieval import evaluate_retrieval
from clickwise.pipeline.scoring import PROBABILITY, evaluate, load, predict
from clickwise.pipeline.training import resolve_schema, train
from clickwise.retrieval.stored import is_recommender, load_recommender

__all__ = [
    "PROBABILITY",
    "build_recommender",
    "evaluate",
    "evaluate_recommender",
    "evaluate_retrieval",
    "export",
    "first_rows",
    "index_summary",
    "inspect",
    "is_recommender",
    "load",
    "load_recommender",
    "open_lists",
    "predict",
    "recommend",
    "resolve_schema",
    "show_first",
    "simulate",
    "suggest_crosses",
    "train",
    "training_summary",
    "update_items",
]
