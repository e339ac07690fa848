"""`Ranker`: what every ranking model is, and how one is made."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.errors import ConfigError
from clickwise.layers import EmbeddingTable
from clickwise.registry import models
from clickwise.schema import InputSpec


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What is trained before a model, on the same rows: the `Config` of another model, for so many epochs."""

    config: Any
    epochs: int


class Ranker(nn.Module, ABC):
    """A model that gives logits. It knows no optimiser, loss, device, path or seed; it is abstract or final, depth one.

    Args:
        config: an instance of the class's nested frozen `Config`.
        inputs: the fields and dense features of the batches to come.
    """

    Config: ClassVar[type]
    objective: ClassVar[str] = "logistic"
    """What it is trained for unless told otherwise: a name that `TrainingConfig.objective` knows."""
    update_rules: ClassVar[Mapping[str, Any]] = {}
    """How its paper trains it: `optimizer`, `embedding_optimizer` and `groups` as in the `[training]` of a config file.
    They stand where a run names no rule of its own. Empty: the defaults of `TrainingConfig`."""

    def __init__(self, config: Any, inputs: InputSpec) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits [B]."""

    @property
    def output_bias(self) -> nn.Parameter | None:
        """The bias that is added last, of one element, so that training can start from the base rate; None: none."""
        return None

    def pretraining(self) -> Pretraining | None:
        """The model that is trained first, for `start_from`; None: none."""
        return None

    def start_from(self, other: Ranker) -> None:
        """Take initial weights from the trained model that `pretraining` asked for.

        Raises:
            ConfigError: it is not such a model.
        """
        raise ConfigError("model", f"{type(self).__name__} starts from no other model, got a {type(other).__name__}")

    def tables(self) -> dict[str, EmbeddingTable]:
        """The embedding tables by the names of their weights in `state_dict`."""
        found = ((name, module) for name, module in self.named_modules() if isinstance(module, EmbeddingTable))
        return {f"{name}.weight": table for name, table in found}

    def first_order_tables(self) -> dict[str, EmbeddingTable]:
        """Those of the tables that have one weight a row."""
        return {name: table for name, table in self.tables().items() if table.weight.shape[1] == 1}

    def slot_starts(self) -> tuple[int, ...]:
        """The groups of `Batch.distinct_of` that a step needs: no crosses where no table has rows for them."""
        base = self.inputs.base
        crossed = any(len(table.weight) > base.num_rows for table in self.tables().values())
        return (self.inputs if crossed else base).slot_starts()


def build_model(config: Any, inputs: InputSpec, seed: int, base_rate: float | None = None) -> Ranker:
    """The model whose `Config` this is. Same seed, same initial weights; torch's global state is left as it was.

    Args:
        base_rate: share of clicks, in (0, 1): the output bias starts at its log odds, so that no step is spent on
            learning that clicks are rare. None starts at zero.

    Raises:
        ConfigError: `config` belongs to no registered model.
    """
    model_class: type[Ranker] = models.get(models.name_of(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config, inputs)
    if base_rate is not None and model.output_bias is not None:
        nn.init.constant_(model.output_bias, math.log(base_rate / (1.0 - base_rate)))
    return model
