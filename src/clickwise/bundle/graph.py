"""A model as an ONNX graph, recorded while the code that trains it runs.

The one place where ids become vectors is `EmbeddingTable.lookup`; for a graph without tables it gives the graph's
inputs instead. So does an `MLP` whose input is those vectors, flat: what it makes of them is an input of the graph, and
its layers are told apart, for kernels that are faster than any graph.
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
from clickwise.layers import MLP, EmbeddingTable
from clickwise.layers.pooling import Pooling
from clickwise.models import Ranker
from clickwise.native.dense import Layer
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


class TowerInput(NamedTuple):
    """An input of a graph: what a tower of linear layers makes of vectors, flat, with the dense features behind them.

    Args:
        name: of the input, [B, N of the last layer].
        vectors: name of the `Lookup`.
        dense: whether there are dense features behind.
        layers: from the first to the last.
    """

    name: str
    vectors: str
    dense: bool
    layers: list[Layer]


class Recorded(NamedTuple):
    """What a graph is given beside the dense features: those of its inputs that it reads, and what towers read."""

    lookups: list[Lookup]
    towers: list[TowerInput]


def write_graph(model: Ranker, path: Path) -> Recorded:
    """Write a model from the vectors that it looks up, what towers make of them, and dense features, to logits [B].

    Returns:
        What it is given; the vectors of a table that has rows of every slot or of none.

    Raises:
        BundleError: ONNX has no words for the model.
        MissingExtraError: the exporter is not installed.
    """
    batch = _batch(model.inputs)
    asked = _Asked(batch.dense)
    with _replaced(model, asked), torch.no_grad():
        model.eval()(batch)
        lookups = [Lookup(_vectors(place), each.weight, each.pooling) for place, each in enumerate(asked.calls)]
        names = [*(each.name for each in lookups), *(each.name for each in asked.towers)]
        given = ([*asked.vectors], [*asked.outputs])
        _record(_FromVectors(model, asked), batch, given, names, path)
    return Recorded(lookups, asked.towers)


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
    """What a model asks of its tables: kept, and answered at random, by which a tower's input is known again; or, once
    it is all known, what the model is told instead of asking.
    """

    def __init__(self, dense: Tensor) -> None:
        self.calls: list[_Call] = []
        self.vectors: list[Tensor] = []
        self.towers: list[TowerInput] = []
        self.outputs: list[Tensor] = []
        self._dense = dense
        self._random = torch.Generator().manual_seed(0)
        self._told: tuple[Iterator[Tensor], Iterator[Tensor | None]] | None = None
        self._of_mlp: list[int | None] = []  # of each call of an `MLP`, which tower it is

    def tell(self, vectors: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """From now on these are the answers, in the order in which the model asked."""
        self._told = iter(vectors), iter([None if which is None else outputs[which] for which in self._of_mlp])

    def look_up(self, call: _Call, rows: int) -> Tensor:
        if self._told is not None:
            return next(self._told[0])
        self.calls.append(call)
        self.vectors.append(torch.rand(rows, *call.shape, generator=self._random))
        return self.vectors[-1]

    def tower(self, mlp: MLP, x: Tensor) -> Tensor:
        if self._told is not None:
            told = next(self._told[1])
            return mlp(x) if told is None else told
        found, layers, y = self._known(x), mlp.to_score(), mlp(x)
        known = found is not None and layers is not None
        self._of_mlp.append(len(self.towers) if known else None)
        if found is not None and layers is not None:
            self.towers.append(TowerInput(f"tower_{len(self.towers)}", *found, layers))
            self.outputs.append(y)
        return y

    def _known(self, x: Tensor) -> tuple[str, bool] | None:
        """Which vectors x is, and whether dense features are behind them."""
        for place, vectors in enumerate(self.vectors):
            for dense in {False, self._dense.shape[1] > 0}:
                flat = torch.cat([vectors.flatten(1), self._dense], 1) if dense else vectors.flatten(1)
                if torch.equal(flat, x):
                    return _vectors(place), dense
        return None


def _vectors(place: int) -> str:
    return f"vectors_{place}"


class _Table(nn.Module):
    """Stands where a table was."""

    def __init__(self, weight: str, dim: int, asked: _Asked) -> None:
        super().__init__()
        self.name, self.dim, self.asked = weight, dim, asked

    def lookup(self, batch: Batch, pooling: Pooling | None = None) -> Tensor:
        how = pooling or Pooling.none(batch.sparse.shape[1])
        return self.asked.look_up(_Call(self.name, how, (how.num_vectors, self.dim)), batch.sparse.shape[0])


class _MLP(nn.Module):
    """Stands where an `MLP` was."""

    def __init__(self, mlp: MLP, asked: _Asked) -> None:
        super().__init__()
        self.mlp, self.asked = mlp, asked

    def forward(self, x: Tensor) -> Tensor:
        return self.asked.tower(self.mlp, x)


@contextmanager
def _replaced(model: Ranker, asked: _Asked) -> Iterator[None]:
    """The tables and MLPs of the model are not in it meanwhile."""
    stand_ins: dict[int, nn.Module] = {}
    places: list[tuple[nn.Module, str, nn.Module]] = []
    for prefix, module in model.named_modules():
        for name, child in module.named_children():
            if isinstance(child, EmbeddingTable):
                weight = f"{prefix}.{name}.weight" if prefix else f"{name}.weight"
                stand_ins.setdefault(id(child), _Table(weight, child.weight.shape[1], asked))
            elif isinstance(child, MLP):
                stand_ins.setdefault(id(child), _MLP(child, asked))
            else:
                continue
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

    def forward(
        self,
        sparse: Tensor,
        dense: Tensor,
        slot_weight: Tensor | None,
        vectors: Sequence[Tensor],
        towers: Sequence[Tensor],
    ) -> Tensor:
        self.asked.tell(vectors, towers)
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
    return Batch(sparse, torch.rand(_ROWS, inputs.num_dense, generator=torch.Generator().manual_seed(1)), weight)


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
        _vectors_to_columns(graph)
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


def _vectors_to_columns(graph: Any) -> None:
    """Let every product with a vector [K] be one with a matrix [K, 1], which is the same.

    ONNX Runtime (1.32 at least) makes one node of a transposition and the product behind it, and that node gives wrong
    numbers for a vector. Transpositions are in more than code that writes them: the exporter indexes by a list so.
    """
    from onnx_ir import convenience, node

    for old in [
        each for each in graph.all_nodes() if each.op_type == "MatMul" and len(each.inputs[1].shape or ()) == 1
    ]:
        axis = node("Constant", [], {"value_ints": [-1]})
        column = node("Unsqueeze", [old.inputs[1], axis.outputs[0]])
        product = node("MatMul", [old.inputs[0], column.outputs[0]])
        flat = node("Squeeze", [product.outputs[0], axis.outputs[0]])
        new = [axis, column, product, flat]
        convenience.replace_nodes_and_values(old.graph, old, [old], new, old.outputs, flat.outputs)


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
