"""The Python API: a handful of functions that compose the rooms below. The command line calls nothing else."""

from clickwise.pipeline.crosses import suggest_crosses
from clickwise.pipeline.looking import first_rows, inspect, simulate, training_summary
from clickwise.pipeline.retrieval import evaluate_retrieval
from clickwise.pipeline.scoring import PROBABILITY, evaluate, load, predict
from clickwise.pipeline.training import resolve_schema, train

__all__ = [
    "PROBABILITY",
    "evaluate",
    "evaluate_retrieval",
    "first_rows",
    "inspect",
    "load",
    "predict",
    "resolve_schema",
    "simulate",
    "suggest_crosses",
    "train",
    "training_summary",
]
