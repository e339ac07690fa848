"""`Optimizer`: applies one update rule to dense parameters and one to the touched rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from clickwise.errors import ClickwiseError
from clickwise.native import Tier
from clickwise.native.tensors import compiled
from clickwise.native.updates import update
from clickwise.optim.coasting import TableCoasting
from clickwise.optim.decay import TableDecay, log_kept
from clickwise.optim.groups import ParameterGroup, group_of, require_matches
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


@dataclass(frozen=True, slots=True)
class _How:
    """How one parameter or table is updated."""

    rule: UpdateRule
    l2: float
    decay: float


class Optimizer:
    """Steps a model's dense parameters and the table rows that the last backward pass touched. Nothing costs O(V).

    **L2** adds lambda * w to the gradient. In a table only touched rows have one: a row is pulled towards zero in the
    steps that touch it, so this is not L2 on the whole table (which costs O(V)); frequent ids are pulled more often.
    **Decay** takes away the share lr_t * decay of *every* weight at every step, before the update, beside the rule and
    not through it. In a table this is done exactly, but only when a row is next looked up (see `TableDecay`), and so is
    what a rule does to rows that a step does not touch (see `TableCoasting`): call `catch_up` before the forward pass
    and `settle` before the whole table is read.

    Args:
        model: dense parameters and tables.
        rule_config: the `Config` of a registered update rule, for dense parameters.
        embedding_rule_config: the same for tables; None takes `rule_config`.
        embedding_l2: of tables that no group gives one; dense parameters have none but by a group.
        embedding_decay: the same of decay.
        groups: of parameters and tables by name, which win over the rest; of several that match the first.

    `learning_rate_multiplier` scales the learning rates of all rules and may be set between steps.

    Raises:
        ConfigError: a group without parameters, a number out of range.
    """

    def __init__(
        self,
        model: Model,
        rule_config: Any,
        embedding_rule_config: Any | None = None,
        *,
        embedding_l2: float = 0.0,
        embedding_decay: float = 0.0,
        groups: Sequence[ParameterGroup] = (),
    ) -> None:
        self.learning_rate_multiplier = 1.0
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._tables = dict(model.tables())
        require_matches(groups, [*self._parameters, *self._tables])
        rest = ParameterGroup(parameters="*", optimizer=rule_config, l2=0.0, decay=0.0)
        rest_of_tables = ParameterGroup(
            parameters="*", optimizer=embedding_rule_config or rule_config, l2=embedding_l2, decay=embedding_decay
        )
        self._how = {name: _how(group_of(name, groups), rest) for name in self._parameters}
        self._how |= {name: _how(group_of(name, groups), rest_of_tables) for name in self._tables}
        weights = {name: p.data for name, p in self._parameters.items()}
        weights |= {name: table.weight.data for name, table in self._tables.items()}
        self._states: dict[str, State] = {n: self._how[n].rule.init_state(w) for n, w in weights.items()}
        self._decays = {n: TableDecay(weights[n], self._how[n].decay) for n in self._tables if self._how[n].decay}
        self._coasting = {
            n: TableCoasting(self._how[n].rule, weights[n], self._states[n])
            for n in self._tables
            if self._how[n].rule.coasts
        }

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None
        for table in self._tables.values():
            table.drop_gradients()

    @property
    def defers(self) -> bool:
        """Whether `catch_up` and `settle` have anything to do."""
        return bool(self._decays or self._coasting)

    @torch.no_grad()
    def catch_up(self, rows: Tensor) -> None:
        """Bring these rows of the tables to where they should be by now: before they are looked up.

        Args:
            rows: [U] int32, all different.
        """
        for decay in self._decays.values():
            decay.catch_up(rows)
        for coasting in self._coasting.values():
            coasting.catch_up(rows, self.learning_rate_multiplier)

    @torch.no_grad()
    def settle(self) -> None:
        """Bring all rows to where they should be by now: before a whole table is read or scored with."""
        for decay in self._decays.values():
            decay.settle()
        for coasting in self._coasting.values():
            coasting.settle(self.learning_rate_multiplier)

    @torch.no_grad()
    def step(self, clip_norm: float | None = None) -> None:
        """Update every parameter that has a gradient, and the touched rows of every table, then forget the gradients.

        Args:
            clip_norm: scale all gradients down to this joint Euclidean norm if it is larger; before L2.
        """
        dense = {name: p.grad for name, p in self._parameters.items() if p.grad is not None}
        touched = {name: table.take_gradients() for name, table in self._tables.items()}
        if clip_norm is not None:
            _clip([*dense.values(), *(grad for _, grad in touched.values())], clip_norm)
        for name, grad in dense.items():
            weight, decay = self._parameters[name].data, self._how[name].decay
            if decay:
                weight *= math.exp(log_kept(self._learning_rate(name), decay))
            self._update(name, weight, None, grad)
        for name, (rows, grad) in touched.items():
            if name in self._decays:
                self._decays[name].advance(self._learning_rate(name))
                self._decays[name].catch_up(rows)
            if name in self._coasting:
                self._coasting[name].catch_up(rows, self.learning_rate_multiplier)
            self._update(name, self._tables[name].weight.data, rows, grad)
            if name in self._coasting:
                self._coasting[name].touched(rows)
        self.zero_grad()

    def _learning_rate(self, name: str) -> float:
        rate: float = self._how[name].rule.config.learning_rate
        return rate * self.learning_rate_multiplier

    def _update(self, name: str, weight: Tensor, rows: Tensor | None, grad: Tensor) -> None:
        """Of a dense parameter (no rows), or of the touched rows of a table. With `EmbeddingTable.lookup`, the place
        where compiled kernels replace torch.
        """
        how, state, scale = self._how[name], self._states[name], self.learning_rate_multiplier
        fast = compiled(Tier.EMBEDDINGS, weight, grad) and weight.is_contiguous()
        step = how.rule.compiled_step(state, scale) if fast else None
        if step is not None:
            update(step.kernel, step.scalars, weight, step.state, rows, grad.contiguous(), how.l2)
        elif rows is None:
            how.rule.update(weight, state, grad.add(weight, alpha=how.l2) if how.l2 else grad, scale)
        else:
            _update_rows(how.rule, weight, state, rows, grad, scale, how.l2)

    def state_dict(self) -> dict[str, Tensor]:
        """All state as a flat dict of tensors, `<parameter>.<state>`; the tensors are the live ones, not copies."""
        states = [*self._states.items(), *((name, decay.state) for name, decay in self._decays.items())]
        states += ((name, coasting.state) for name, coasting in self._coasting.items())
        flat = {f"{name}.{key}": tensor for name, state in states for key, tensor in state.items()}
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


def _how(group: ParameterGroup | None, rest: ParameterGroup) -> _How:
    """What the group says, and the rest where it says nothing."""
    own = group or rest
    config = own.optimizer or rest.optimizer
    l2, decay = (getattr(own if getattr(own, key) is not None else rest, key) for key in ("l2", "decay"))
    return _How(update_rules.get(update_rules.name_of(config))(config), l2, decay)


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
