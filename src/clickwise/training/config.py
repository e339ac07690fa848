"""`TrainingConfig`: how a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from clickwise.config import build, require, to_data
from clickwise.errors import ConfigError, clipped
from clickwise.optim import Adam, ParameterGroup
from clickwise.optim.groups import require_rule
from clickwise.registry import update_rules
from clickwise.training.schedule import SCHEDULES


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalConfig:
    """How queries and candidates meet in training for retrieval.

    Args:
        in_batch_negatives: the items of a batch are candidates for all its queries; else each is one for its own alone.
        uniform_negatives: items drawn from all items for each step, as candidates beside those of the batch.
        hard_negatives: items of each step, from the second pass on, that the model itself scores highest for some of
            the queries: candidates too (see `HardNegatives`).
        correct_sampling: correct the sampled softmax for how often an item is a candidate (see `sampled_softmax`).
        frequency_rate: of `FrequencyEstimator`, in (0, 1]; 0 takes how often an item is in a batch from its count in
            all training rows, which is exact and knows no drift.
        margin: of `cosine_contrastive`, in [-1, 1].
        negative_weight: of `cosine_contrastive`, > 0.
    """

    in_batch_negatives: bool = True
    uniform_negatives: int = 0
    hard_negatives: int = 0
    correct_sampling: bool = True
    frequency_rate: float = 0.05
    margin: float = 0.5
    negative_weight: float = 100.0

    def __post_init__(self) -> None:
        for key in ("uniform_negatives", "hard_negatives"):
            require(getattr(self, key) >= 0, key, getattr(self, key), "a whole number >= 0")
        some = self.in_batch_negatives or self.uniform_negatives > 0
        require(some, "uniform_negatives", self.uniform_negatives, "> 0 where in_batch_negatives is off")
        require(0.0 <= self.frequency_rate <= 1.0, "frequency_rate", self.frequency_rate, "a number in [0, 1]")
        require(-1.0 <= self.margin <= 1.0, "margin", self.margin, "a number in [-1, 1]")
        require(0.0 < self.negative_weight < float("inf"), "negative_weight", self.negative_weight, "a number > 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How a model is trained.

    Args:
        objective: what it is trained for: "logistic", to tell clicks from the rest; of two towers "sampled_softmax",
            "bpr" or "cosine_contrastive", to find what was clicked among all items. None: what the model is for.
        retrieval: of the objectives of two towers.
        epochs: most passes over the training rows; early stopping usually ends sooner.
        batch_size: rows a step; None chooses by the number of training rows (`default_batch_size`).
        seed: of the order of the rows and of dropout.
        optimizer: `Config` of a registered update rule, for dense parameters.
        embedding_optimizer: the same for embedding tables; None takes `optimizer`.
        embedding_l2: pulls the touched rows of the tables towards zero; not L2 on the whole table (see `Optimizer`).
        embedding_decay: share of every row, times the learning rate, that each step takes away; exact for the whole
            table at the cost of the rows touched (see `Optimizer`).
        groups: parameters and tables by name that are updated in a way of their own; of several the first that matches.
        schedule: the course of the learning rates over all planned steps: "constant", or from their full value
            "linear" or "cosine" down to `final_rate`.
        warmup_steps: steps in which the learning rates rise in proportion to their full value first.
        final_rate: share of the learning rates that a schedule ends with, in [0, 1].
        label_smoothing: s in [0, 1); labels y become (1 - s) y + s / 2 in training.
        negative_keep_rate: w in (0, 1]; train on all clicks and this share of the rest, drawn anew in each epoch. The
            loss is that of the logit minus ln w, so that the model itself stays calibrated (see `SampledRows`).
        validate_every: steps between validations; 0 validates at the end of each epoch only.
        monitor: the metric that decides what is best: "log_loss" or "roc_auc" of clicks, "recall_at_20" or "ndcg_at_20"
            of retrieval. None: the first of the two.
        patience: stop after this many validations without improvement; 0 never stops early.
        min_delta: an improvement is larger than this.
        average_weights: d in [0, 1). What is validated, kept and given back is not the weights but their exponential
            average over the validations, a = d a + (1 - d) w, with a smaller d at first; without validation rows over
            the ends of the epochs. Training itself goes on with the weights. 0 is off (see `AverageWeights`).
        reduce_on_plateau: factor in (0, 1] of the learning rates after a validation without improvement; 1 is off.
        clip_grad_norm: largest joint norm of all gradients; None is off.
        precision: of the operands of dense layers in training: "fp32", "bf16" (sums, tables, optimiser state and master
            weights stay fp32), or "auto", which is bf16 where the processor multiplies it natively. Scoring is fp32.
        threads: threads of torch and of the kernels; None leaves torch's choice.
    """

    objective: Literal["logistic", "sampled_softmax", "bpr", "cosine_contrastive"] | None = None
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    epochs: int = 10
    batch_size: int | None = None
    seed: int = 1
    optimizer: Any = field(default_factory=Adam.Config)
    embedding_optimizer: Any = None
    embedding_l2: float = 0.0
    embedding_decay: float = 0.0
    groups: tuple[ParameterGroup, ...] = ()
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    final_rate: float = 0.0
    label_smoothing: float = 0.0
    negative_keep_rate: float = 1.0
    validate_every: int = 0
    monitor: Literal["log_loss", "roc_auc", "recall_at_20", "ndcg_at_20"] | None = None
    patience: int = 2
    min_delta: float = 0.0
    average_weights: float = 0.0
    reduce_on_plateau: float = 1.0
    clip_grad_norm: float | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", self.epochs, "a whole number >= 1")
        size = self.batch_size
        require(size is None or size >= 1, "batch_size", size, "a whole number >= 1, or none")
        for key in ("validate_every", "patience", "seed", "warmup_steps"):
            require(getattr(self, key) >= 0, key, getattr(self, key), "a whole number >= 0")
        for key in ("embedding_l2", "embedding_decay", "min_delta"):
            require(0.0 <= getattr(self, key) < float("inf"), key, getattr(self, key), "a number >= 0")
        require(self.schedule in SCHEDULES, "schedule", self.schedule, ", ".join(SCHEDULES))
        require(0.0 <= self.final_rate <= 1.0, "final_rate", self.final_rate, "a number in [0, 1]")
        require(0.0 <= self.label_smoothing < 1.0, "label_smoothing", self.label_smoothing, "a number in [0, 1)")
        require(0.0 <= self.average_weights < 1.0, "average_weights", self.average_weights, "a number in [0, 1)")
        keep = self.negative_keep_rate
        require(0.0 < keep <= 1.0, "negative_keep_rate", keep, "a number in (0, 1]")
        require(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "'auto', 'fp32' or 'bf16'")
        allowed = ("log_loss", "roc_auc", "recall_at_20", "ndcg_at_20")
        require(self.monitor in (None, *allowed), "monitor", self.monitor, f"{', '.join(allowed)}, or none")
        objectives = ("logistic", "sampled_softmax", "bpr", "cosine_contrastive")
        require(self.objective in (None, *objectives), "objective", self.objective, f"{', '.join(objectives)}, or none")
        require(0.0 < self.reduce_on_plateau <= 1.0, "reduce_on_plateau", self.reduce_on_plateau, "a number in (0, 1]")
        clip = self.clip_grad_norm
        require(clip is None or 0.0 < clip < float("inf"), "clip_grad_norm", clip, "a number > 0, or none")
        require(self.threads is None or self.threads >= 1, "threads", self.threads, "a whole number >= 1, or none")
        require_rule("optimizer", self.optimizer)
        if self.embedding_optimizer is not None:
            require_rule("embedding_optimizer", self.embedding_optimizer)


def default_batch_size(rows: int) -> int:
    """Rows a step where nobody said: the power of two next below rows / 64, from 256 to 4096.

    On public logs of 9,000 to 36,000 rows (Criteo, Avazu, KDD Cup 2012, Adult) steps of 256 and 512 rows ended lower in
    validation loss than steps of 4096, which are too few; from 262,144 rows on, larger steps cost less a row.
    """
    return min(4096, max(256, 1 << max(rows // 64, 1).bit_length() - 1))


def training_config_from_data(data: Mapping[str, Any], path: str = "training") -> TrainingConfig:
    """The config that plain data describes; an optimizer is a table with a `name` ("adam" if none), or a name alone.

    >>> training_config_from_data({"epochs": 2, "optimizer": {"name": "sgd", "learning_rate": 0.5}}).optimizer
    SGD.Config(learning_rate=0.5)

    Raises:
        ConfigError: an unknown key or optimizer (with the nearest known one), a wrong type, a value out of range.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(path, f"got {clipped(data)}, allowed is a table")
    values = _with_rules(data, ("optimizer", "embedding_optimizer"), path)
    groups = data.get("groups", ())
    if isinstance(groups, list | tuple) and all(isinstance(group, Mapping) for group in groups):
        values["groups"] = [_with_rules(g, ("optimizer",), f"{path}.groups[{i}]") for i, g in enumerate(groups)]
    return build(TrainingConfig, values, path)


def training_config_to_data(config: TrainingConfig) -> dict[str, Any]:
    """The inverse of `training_config_from_data`."""
    groups = [{**to_data(group), **_rules_to_data(group, ("optimizer",))} for group in config.groups]
    return {**to_data(config), **_rules_to_data(config, ("optimizer", "embedding_optimizer")), "groups": groups}


def _rules_to_data(config: Any, keys: Sequence[str]) -> dict[str, Any]:
    rules = {key: getattr(config, key) for key in keys}
    return {key: {"name": update_rules.name_of(rule), **to_data(rule)} for key, rule in rules.items() if rule}


def _with_rules(data: Mapping[str, Any], keys: Sequence[str], path: str) -> dict[str, Any]:
    """The data with update rules made of their tables or names."""
    rules = {key: _rule_from_data(data[key], f"{path}.{key}" if path else key) for key in keys if key in data}
    return {**data, **rules}


def _rule_from_data(data: Any, path: str) -> Any:
    table = {"name": data} if isinstance(data, str) else data
    name = table.get("name", "adam") if isinstance(table, Mapping) else None
    if not isinstance(name, str):
        known = ", ".join(update_rules)
        raise ConfigError(path, f"got {clipped(data)}, allowed is a table with a name, one of {known}")
    rule = update_rules.get(name, f"{path}.name")
    return build(rule.Config, {k: v for k, v in table.items() if k != "name"}, path)
