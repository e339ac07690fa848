"""Search for the keys of a run that validate best. Needs Optuna: the extra `tune`."""

from clickwise.tuning.search import tune
from clickwise.tuning.space import SearchSpace, search_space
from clickwise.tuning.summary import TuningSummary

__all__ = ["SearchSpace", "TuningSummary", "search_space", "tune"]
