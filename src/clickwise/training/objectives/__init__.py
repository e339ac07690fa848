"""What models are trained for."""

from clickwise.errors import ConfigError
from clickwise.models import Ranker, TwoTower
from clickwise.training.config import TrainingConfig
from clickwise.training.objectives.clicks import ClickObjective
from clickwise.training.objectives.objective import Objective
from clickwise.training.objectives.retrieval import RetrievalObjective
from clickwise.training.state import Rows

__all__ = ["ClickObjective", "Objective", "RetrievalObjective", "make_objective", "monitor_of"]


def monitor_of(config: TrainingConfig, model: Ranker | type[Ranker]) -> str:
    """The metric that decides what is best.

    Raises:
        ConfigError: the objective does not measure it.
    """
    name = config.objective or model.objective
    measured = ("log_loss", "roc_auc") if name == "logistic" else ("recall_at_20", "ndcg_at_20")
    monitor = config.monitor or measured[0]
    if monitor not in measured:
        raise ConfigError("training.monitor", f"got {monitor!r}, of which {name} measures only {', '.join(measured)}")
    return monitor


def make_objective(model: Ranker, train: Rows, valid: Rows | None, config: TrainingConfig) -> Objective:
    """What the config says the model is trained for, or what the model says where the config does not.

    Raises:
        ConfigError: retrieval, of a model that has no towers.
        DataError: the rows cannot teach it anything.
    """
    name = config.objective or model.objective
    if name == "logistic":
        return ClickObjective(model, train, valid, config)
    if not isinstance(model, TwoTower):
        raise ConfigError("training.objective", f"got {name!r}, which needs two towers; train two_tower, or 'logistic'")
    return RetrievalObjective(model, train, valid, config)
