"""`Ranker`: what every ranking model is, and how one is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import EmbeddingTable
from clickwise.registry import models
from clickwise.schema import InputSpec


class Ranker(nn.Module, ABC):
    """A model that gives logits. It knows no optimiser, loss, device, path or seed; it is abstract or final, depth one.

    Args:
        config: an instance of the class's nested frozen `Config`.
        inputs: the fields and dense features of the batches to come.
    """

    Config: ClassVar[type]

    def __init__(self, config: Any, inputs: InputSpec) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits [B]."""

    def tables(self) -> dict[str, EmbeddingTable]:
        """The embedding tables by the names of their weights in `state_dict`."""
        found = ((name, module) for name, module in self.named_modules() if isinstance(module, EmbeddingTable))
        return {f"{name}.weight": table for name, table in found}


def build_model(config: Any, inputs: InputSpec, seed: int) -> Ranker:
    """The model whose `Config` this is. Same seed, same initial weights; torch's global state is left as it was.

    Raises:
        ConfigError: `config` belongs to no registered model.
    """
    model_class: type[Ranker] = models.get(models.name_of(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config, inputs)
