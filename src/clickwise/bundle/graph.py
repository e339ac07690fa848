"""A model as an ONNX graph, recorded while the code that trains it runs.

The one place where ids become vectors is `EmbeddingTable.lookup`; for a graph without tables it gives the graph's
inputs instead.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.calibration import Platt
from clickwise.errors import BundleError, MissingExtraError
from clickwise.layers import EmbeddingTable
from clickwise.layers.pooling import Pooling
from clickwise.models import Ranker
from clickwise.registry import models
from clickwise.schema import InputSpec

SPARSE, DENSE, SLOT_WEIGHT, LOGITS = "sparse", "dense", "slot_weight", "logits"
"""Inputs and the output of a graph; an input that the model does not read is left out."""

_ROWS = 3  # of the batch that is recorded: any number that no graph could take for a constant of its own
_MOST_BYTES = 2**31 - 2**24  # a file of this format is one message of at most 2 GiB


class Lookup(NamedTuple):
    """An input of a graph: what a model looks up in a table.

    Args:
        name: of the input, [B, F, D].
        weight: name of the table's weights in the `state_dict`.
        pooling: of the rows of the slots.
    """

    name: str
    weight: str
    pooling: Pooling


def write_graph(model: Ranker, path: Path) -> list[Lookup]:
    """Write a model from the vectors that it looks up, and dense features, to logits [B].

    Returns:
        The vectors it is given, those of a table that has rows of every slot or of none.

    Raises:
        BundleError: ONNX has no words for the model.
        MissingExtraError: the exporter is not installed.
    """
    batch = _batch(model.inputs)
    asked = _Asked()
    with _tables_replaced(model, asked), torch.no_grad():
        model.eval()(batch)
        given = [torch.zeros(_ROWS, *each.shape) for each in asked.calls]
        lookups = [Lookup(f"vectors_{place}", each.weight, each.pooling) for place, each in enumerate(asked.calls)]
        _record(_FromVectors(model, asked), batch, (given,), [each.name for each in lookups], path)
    return lookups


def write_whole(model: Ranker, calibrator: Platt | None, path: Path) -> None:
    """Write a model with its tables, from table rows [B, S], dense features and slot weights to calibrated logits [B].

    Raises:
        BundleError: ONNX has no words for the model, or it is over 2 GB, which no such file can be.
        MissingExtraError: the exporter is not installed.
    """
    size_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size_bytes > _MOST_BYTES:
        raise BundleError(
            f"its weights take {size_bytes / 1e9:.1f} GB, and a file of ONNX holds 2 GB; "
            "leave --format onnx out: a version for `clickwise serve` has no limit"
        )
    with torch.no_grad():
        _record(_FromRows(model.eval(), calibrator), _batch(model.inputs), (), [], path)


class _Call(NamedTuple):
    weight: str
    pooling: Pooling
    shape: tuple[int, int]  # F, D


class _Asked:
    """What a model asks of its tables: kept, and answered by zeros, or by what is `given`, in order."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.given: Iterator[Tensor] | None = None

    def answer(self, call: _Call, rows: int) -> Tensor:
        if self.given is not None:
            return next(self.given)
        self.calls.append(call)
        return torch.zeros(rows, *call.shape)


class _Table(nn.Module):
    """Stands where a table was."""

    def __init__(self, weight: str, dim: int, asked: _Asked) -> None:
        super().__init__()
        self.name, self.dim, self.asked = weight, dim, asked

    def lookup(self, batch: Batch, pooling: Pooling | None = None) -> Tensor:
        how = pooling or Pooling.none(batch.sparse.shape[1])
        return self.asked.answer(_Call(self.name, how, (how.num_vectors, self.dim)), batch.sparse.shape[0])


@contextmanager
def _tables_replaced(model: Ranker, asked: _Asked) -> Iterator[None]:
    """The tables of the model are not in it meanwhile."""
    stand_ins: dict[int, _Table] = {}
    places: list[tuple[nn.Module, str, EmbeddingTable]] = []
    for prefix, module in model.named_modules():
        for name, child in module.named_children():
            if isinstance(child, EmbeddingTable):
                weight = f"{prefix}.{name}.weight" if prefix else f"{name}.weight"
                stand_ins.setdefault(id(child), _Table(weight, child.weight.shape[1], asked))
                places.append((module, name, child))
    try:
        for module, name, child in places:
            setattr(module, name, stand_ins[id(child)])
        yield
    finally:
        for module, name, child in places:
            setattr(module, name, child)


class _FromVectors(nn.Module):
    def __init__(self, model: Ranker, asked: _Asked) -> None:
        super().__init__()
        self.model, self.asked = model, asked

    def forward(self, sparse: Tensor, dense: Tensor, slot_weight: Tensor | None, vectors: Sequence[Tensor]) -> Tensor:
        self.asked.given = iter(vectors)
        return self.model(Batch(sparse, dense, slot_weight))


class _FromRows(nn.Module):
    def __init__(self, model: Ranker, calibrator: Platt | None) -> None:
        super().__init__()
        self.model, self.calibrator = model, calibrator or Platt()

    def forward(self, sparse: Tensor, dense: Tensor, slot_weight: Tensor | None) -> Tensor:
        return self.model(Batch(sparse, dense, slot_weight)) * self.calibrator.slope + self.calibrator.intercept


def _batch(inputs: InputSpec) -> Batch:
    sparse = torch.ones(_ROWS, inputs.num_slots, dtype=torch.int32)
    weight = torch.ones(_ROWS, inputs.num_slots) if inputs.weighted else None
    return Batch(sparse, torch.zeros(_ROWS, inputs.num_dense), weight)


def _record(module: nn.Module, batch: Batch, more: tuple[Any, ...], names: Sequence[str], path: Path) -> None:
    """Write what a module does with a batch, and with more tensors [B, ..] of these names, for any number of rows."""
    given = (batch.sparse, batch.dense, batch.slot_weight, *more)
    rows = {0: torch.export.Dim("rows", min=1)}
    shapes = torch.utils._pytree.tree_map(lambda tensor: None if tensor is None else rows, given)
    named = [SPARSE, DENSE, *([] if batch.slot_weight is None else [SLOT_WEIGHT]), *names]
    model: Any = module.model
    name = models.name_of(type(model))
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                given,
                dynamo=True,
                input_names=named,
                output_names=[LOGITS],
                dynamic_shapes=shapes,
                verbose=False,
            )
        assert program is not None
        graph: Any = program.model.graph
        for part in (*graph.all_nodes(), *graph.initializers.values(), *graph.inputs, *graph.outputs):
            part.metadata_props.clear()  # where each line of code was on this machine
        for value in [value for value in graph.inputs if not value.uses()]:
            graph.inputs.remove(value)
        if any(isinstance(value.shape[0], int) for value in graph.inputs):
            raise BundleError(
                f"its {name} can be written as ONNX only for batches of one size: it counts rows by len(tensor), say, "
                "where tensor.shape[0] would do, or loops over them"
            )
        program.save(path, external_data=False)
    except ImportError:
        raise MissingExtraError("export to ONNX", "export") from None
    except (BundleError, OSError):
        raise
    except Exception as error:
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        said = str(reason).strip().splitlines() or [type(reason).__name__]
        raise BundleError(f"its {name} cannot be written as ONNX: {said[0]}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says on its way: of packages that are not needed, and of its own parts to come."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(logging.ERROR)
            stack.callback(logger.setLevel, level)
        yield
