"""`Optimizer`: applies one update rule to dense parameters and one to the touched rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from clickwise.config import require
from clickwise.errors import ClickwiseError
from clickwise.native import Tier
from clickwise.native.tensors import compiled
from clickwise.native.updates import update
from clickwise.optim.rule import State, UpdateRule
from clickwise.registry import update_rules

_SCALE = "learning_rate_multiplier"


class Table(Protocol):
    """A table [V, D] that gives its gradient as rows: `clickwise.layers.EmbeddingTable`."""

    weight: nn.Parameter

    def take_gradients(self) -> tuple[Tensor, Tensor]:
        """Distinct touched rows [U] and the gradients of each, summed [U, D]."""

    def drop_gradients(self) -> None:
        """Forget them."""


class Model(Protocol):
    """What has parameters and tables: `clickwise.models.Ranker`."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All parameters; those of tables do not require a gradient."""

    def tables(self) -> Mapping[str, Table]:
        """The tables, by the names of their weights."""


class Optimizer:
    """Steps a model's dense parameters and the table rows that the last backward pass touched. Nothing costs O(V).

    Args:
        model: dense parameters and tables.
        rule_config: the `Config` of a registered update rule, for dense parameters.
        embedding_rule_config: the same for tables; None takes `rule_config`.
        embedding_l2: lambda; lambda * w is added to the gradient of the touched rows of every table. A row is pulled
            towards zero only in the steps that touch it, so this is not L2 on the whole table (which costs O(V)):
            frequent ids are pulled more often than rare ones.

    `learning_rate_multiplier` scales the learning rates of both rules and may be set between steps.
    """

    def __init__(
        self, model: Model, rule_config: Any, embedding_rule_config: Any | None = None, embedding_l2: float = 0.0
    ) -> None:
        require(0.0 <= embedding_l2 < float("inf"), "embedding_l2", embedding_l2, "a number >= 0")
        self.learning_rate_multiplier = 1.0
        self.embedding_l2 = embedding_l2
        self._rule = _rule_of(rule_config)
        self._table_rule = self._rule if embedding_rule_config is None else _rule_of(embedding_rule_config)
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._tables = dict(model.tables())
        self._states: dict[str, State] = {n: self._rule.init_state(p.data) for n, p in self._parameters.items()}
        self._states |= {n: self._table_rule.init_state(t.weight.data) for n, t in self._tables.items()}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None
        for table in self._tables.values():
            table.drop_gradients()

    @torch.no_grad()
    def step(self, clip_norm: float | None = None) -> None:
        """Update every parameter that has a gradient, and the touched rows of every table, then forget the gradients.

        Args:
            clip_norm: scale all gradients down to this joint Euclidean norm if it is larger; before `embedding_l2`.
        """
        dense = {name: p.grad for name, p in self._parameters.items() if p.grad is not None}
        touched = {name: table.take_gradients() for name, table in self._tables.items()}
        if clip_norm is not None:
            _clip([*dense.values(), *(grad for _, grad in touched.values())], clip_norm)
        for name, grad in dense.items():
            self._update(self._rule, self._parameters[name].data, self._states[name], None, grad)
        for name, (rows, grad) in touched.items():
            self._update(self._table_rule, self._tables[name].weight.data, self._states[name], rows, grad)
        self.zero_grad()

    def _update(self, rule: UpdateRule, weight: Tensor, state: State, rows: Tensor | None, grad: Tensor) -> None:
        """Of a dense parameter (no rows), or of the touched rows of a table. With `EmbeddingTable.lookup`, the place
        where compiled kernels replace torch.
        """
        scale, l2 = self.learning_rate_multiplier, self.embedding_l2 if rows is not None else 0.0
        fast = compiled(Tier.EMBEDDINGS, weight, grad) and weight.is_contiguous()
        step = rule.compiled_step(state, scale) if fast else None
        if step is not None:
            update(step.kernel, step.scalars, weight, step.state, rows, grad.contiguous(), l2)
        elif rows is None:
            rule.update(weight, state, grad, scale)
        else:
            _update_rows(rule, weight, state, rows, grad, scale, l2)

    def state_dict(self) -> dict[str, Tensor]:
        """All state as a flat dict of tensors, `<parameter>.<state>`; the tensors are the live ones, not copies."""
        flat = {f"{name}.{key}": tensor for name, state in self._states.items() for key, tensor in state.items()}
        return {**flat, _SCALE: torch.tensor(self.learning_rate_multiplier, dtype=torch.float64)}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the state in from what `state_dict` gave.

        Raises:
            ClickwiseError: it belongs to another model or another update rule.
        """
        mine = self.state_dict()
        if {n: t.shape for n, t in mine.items()} != {n: t.shape for n, t in tensors.items()}:
            odd = sorted(mine.keys() ^ tensors.keys()) or [n for n in mine if mine[n].shape != tensors[n].shape]
            raise ClickwiseError(
                f"optimiser state does not fit: {odd[0]}; resume with the model and optimizer it was saved with"
            )
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])
        self.learning_rate_multiplier = float(tensors[_SCALE])


def _rule_of(config: Any) -> UpdateRule:
    return update_rules.get(update_rules.name_of(config))(config)


def _update_rows(
    rule: UpdateRule, weight: Tensor, state: State, rows: Tensor, grad: Tensor, scale: float, l2: float
) -> None:
    """Gather, apply the rule, scatter."""
    index = rows.long()  # index_copy_ takes no int32
    part = weight.index_select(0, index)
    state_part = {key: s.index_select(0, index) if s.dim() else s for key, s in state.items()}
    if l2:
        grad = grad.add(part, alpha=l2)
    rule.update(part, state_part, grad, scale)
    weight.index_copy_(0, index, part)
    for key, s in state.items():
        if s.dim():
            s.index_copy_(0, index, state_part[key])


def _clip(grads: list[Tensor], limit: float) -> None:
    norm = torch.stack([torch.linalg.vector_norm(g) for g in grads]).norm()
    if norm > limit:
        for grad in grads:
            grad.mul_(limit / norm)
