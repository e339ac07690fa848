"""Training: the loop, its configuration, early stopping, checkpoints."""

from clickwise.training.alone import alone_in
from clickwise.training.config import TrainingConfig, training_config_from_data, training_config_to_data
from clickwise.training.loop import train_model
from clickwise.training.objectives import monitor_of
from clickwise.training.state import Rows, TrainingResult

__all__ = [
    "Rows",
    "TrainingConfig",
    "TrainingResult",
    "alone_in",
    "monitor_of",
    "train_model",
    "training_config_from_data",
    "training_config_to_data",
]
