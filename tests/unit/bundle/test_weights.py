"""First-order weights that are mostly zero are stored as the rows that are not, and come back to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

import clickwise as cw
from clickwise.bundle.weights import load_weights, save_weights
from clickwise.errors import BundleError
from clickwise.models import FM, LR, Ranker, build_model
from clickwise.schema import Field, InputSpec

SPEC = InputSpec(fields=(Field(name="a", num_ids=60), Field(name="b", num_ids=39)))
NAME = "linear.ids.table.weight"
Tensors = dict[str, np.ndarray]


def model_with(not_zero: int, config: object = LR.Config()) -> Ranker:
    model = build_model(config, SPEC, 1)
    rows = torch.randperm(99, generator=torch.Generator().manual_seed(1))[:not_zero] + 1
    model.linear.ids.table.weight[rows] = torch.linspace(-1, 1, not_zero).unsqueeze(1) + 0.01
    return model


def loaded(path: Path, config: object = LR.Config()) -> Ranker:
    with torch.device("meta"):
        model = build_model(config, SPEC, 2)
    load_weights(path, model)
    return model


@pytest.mark.parametrize(("not_zero", "sparse"), [(0, True), (1, True), (48, True), (52, False), (99, False)])
def test_every_share_of_zeros_comes_back_to_the_bit(not_zero: int, sparse: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    config = FM.Config(embedding_dim=3)
    model = model_with(not_zero, config)
    model.linear.ids.table.weight[99] = -0.0
    save_weights(model, path)
    names = set(safetensors.numpy.load_file(path))
    assert (NAME in names) == (not sparse)
    assert ({f"{NAME}.rows", f"{NAME}.values"} <= names) == sparse
    again = loaded(path, config).state_dict()
    for name, tensor in model.state_dict().items():
        assert again[name].shape == tensor.shape
        assert again[name].numpy().tobytes() == tensor.numpy().tobytes(), name


def changed(**changes: np.ndarray | None) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for key, value in changes.items():
            tensors.pop(f"{NAME}.{key}") if value is None else tensors.update({f"{NAME}.{key}": value})

    return change


ROWS = np.array([3, 5, 99], np.int32)
VALUES = np.array([1, 2, 3], np.float32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(rows=ROWS.astype(np.int64)), "are torch.int64 and torch.float32, the model wants torch.int32"),
        (changed(values=VALUES.astype(np.float64)), "are torch.int32 and torch.float64"),
        (changed(values=VALUES[:2]), "have shapes \\(3,\\) and \\(2,\\)"),
        (changed(rows=ROWS[:, None], values=VALUES[:, None]), "have shapes"),
        (changed(rows=np.array([0, 5, 9], np.int32)), "do not rise from 1 to 99"),
        (changed(rows=np.array([-1, 5, 9], np.int32)), "do not rise from 1 to 99"),
        (changed(rows=np.array([1, 5, 100], np.int32)), "do not rise from 1 to 99"),
        (changed(rows=np.array([5, 3, 9], np.int32)), "do not rise from 1 to 99"),
        (changed(rows=np.array([5, 5, 9], np.int32)), "do not rise from 1 to 99"),
        (changed(values=None), "does not belong to this model or is missing"),
        (changed(rows=None), "does not belong to this model or is missing"),
        (lambda t: t.update({NAME: np.zeros((100, 1), np.float32)}), "does not belong to this model"),
    ],
)
def test_rows_and_values_are_not_trusted(change: Callable[[Tensors], None], words: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(model_with(3), path)
    tensors = safetensors.numpy.load_file(path)
    changed(rows=ROWS, values=VALUES)(tensors)
    safetensors.numpy.save_file(tensors, path)
    assert loaded(path).linear.ids.table.weight[99] == 3
    change(tensors)
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(BundleError, match=words):
        loaded(path)


def test_a_run_with_l1_tells_how_many_weights_are_left_and_stores_only_those(small_log: Path, tmp_path: Path) -> None:
    ftrl = [
        "training.optimizer.name=ftrl",
        "training.optimizer.l1=0.001",
        "training.epochs=1",
        "training.batch_size=4096",
    ]
    bundles = {name: tmp_path / name for name in ("sparse", "dense")}
    trained = cw.train(small_log, label="click", model="lr", out=bundles["sparse"], settings=ftrl)
    cw.train(small_log, label="click", model="lr", out=bundles["dense"], settings=ftrl[:1] + ftrl[2:])
    (table,) = trained.model.tables().values()
    counts = trained.provenance.training["first_order_weights"]
    assert counts == {"total": len(table.weight) - 1, "not_zero": int(table.weight.count_nonzero())}
    assert 0 < counts["not_zero"] < counts["total"] / 2
    said = f"{counts['not_zero']:,} of {counts['total']:,} weights of ids are not zero"
    assert said in str(cw.inspect(bundles["sparse"]))
    size = {name: (folder / "weights.safetensors").stat().st_size for name, folder in bundles.items()}
    assert size["sparse"] < size["dense"]
    loaded_table = cw.load(bundles["sparse"]).model.state_dict()[NAME]
    assert torch.equal(loaded_table, table.weight)
