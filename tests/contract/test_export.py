"""Every ranking model, recorded as a graph, gives the logits of torch for any number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from clickwise.batch import Batch
from clickwise.bundle.graph import Recorded, write_graph, write_whole
from clickwise.calibration import Platt
from clickwise.config import build
from clickwise.errors import BundleError
from clickwise.layers import Embedding
from clickwise.models import Ranker, build_model
from clickwise.registry import models
from clickwise.schema import PADDING_ROW, InputSpec
from model_inputs import SPECS, make_batch

SMALL = {
    "embedding_dim": 8,
    "hidden_dims": (16, 8),
    "mlp1_hidden_dims": (12,),
    "mlp2_hidden_dims": (8,),
    "attention_hidden_dims": (6,),
    "cin_layer_dims": (5, 4),
    "head_dim": 4,
    "batch_norm": True,
    "pretraining_epochs": 0,
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("dcn_v2", {"rank": 2}),
    ("dcn_v2", {"rank": 2, "num_experts": 2, "structure": "parallel"}),
    ("din", {"softmax": True, "activation": "dice"}),
    ("fibinet", {"bilinear": "each"}),
    ("masknet", {"structure": "parallel"}),
    ("pnn", {"products": "both"}),
    ("two_tower", {"attention": True, "learn_temperature": True}),
    ("two_tower", {"gamma": 0.8, "query_dropout": 0.2}),
    ("xdeepfm", {"cin_layer_dims": (3,)}),
]
CASES = [*((name, {}, "sequences") for name in models), *((name, more, "sequences") for name, more in VARIANTS)]
CASES += [
    ("wide_deep", {}, "crosses"),
    ("deepfm", {}, "weighted"),
    ("dnn", {}, "multi_valued"),
    ("lr", {}, "no_sparse"),
]
CASES += [("dcn", {}, "with_dense"), ("fm", {}, "plain")]
DEEP = ("dcn", "deepfm", "dnn", "wide_deep", "xdeepfm")
"""Models with one MLP that reads the flat vectors."""
OUT = ("deepfm", "dnn", "wide_deep")
"""Those whose MLP ends with a single number."""
WHOLE = [("din", {}, "sequences"), ("wide_deep", {}, "crosses"), ("deepfm", {}, "weighted"), ("lr", {}, "no_sparse")]
ids = [f"{name}-{spec}-{'-'.join(more)}".strip("-") for name, more, spec in CASES]
whole_ids = [f"{name}-{spec}-{'-'.join(more)}".strip("-") for name, more, spec in WHOLE]


def make(name: str, more: dict[str, Any], spec: InputSpec) -> Ranker:
    """With weights, and statistics of batches, that hide nothing."""
    config_class = models.get(name).Config
    known = {key: value for key, value in {**SMALL, **more}.items() if key in config_class.__dataclass_fields__}
    model = build_model(build(config_class, known), spec, 3).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        for table in model.tables().values():
            table.weight[PADDING_ROW] = 0.0
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.normal_(0.0, 0.2, generator=generator)
            if buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0, generator=generator)
    return model


def inputs_of(model: Ranker, batch: Batch, recorded: Recorded) -> dict[str, Tensor | None]:
    vectors = {each.name: model.tables()[each.weight].lookup(batch, each.pooling) for each in recorded.lookups}
    towers = {}
    for tower in recorded.towers:
        x = vectors[tower.vectors].flatten(1)
        x = torch.cat([x, batch.dense], 1) if tower.dense else x
        for layer in tower.layers:
            x = torch.nn.functional.linear(x, layer.weight, layer.bias)
            x = x.relu() if layer.relu else x
        towers[tower.name] = x
    return {"sparse": batch.sparse, "dense": batch.dense, "slot_weight": batch.slot_weight, **vectors, **towers}


def compare(model: Ranker, spec: InputSpec, path: Path, recorded: Recorded, calibrator: Platt | None = None) -> None:
    session = ort.InferenceSession(path.read_bytes())
    assert [output.name for output in session.get_outputs()] == ["logits"]
    for rows in (1, 7, 200):
        batch = make_batch(spec, rows, seed=rows)
        with torch.no_grad():
            expected = model(batch).numpy()
            given = inputs_of(model, batch, recorded)
        feeds = {each.name: given[each.name].numpy() for each in session.get_inputs()}
        (found,) = session.run(["logits"], feeds)
        assert found.shape == (rows,)
        np.testing.assert_allclose(found, calibrator(expected) if calibrator else expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more", "spec"), CASES, ids=ids)
def test_the_graph_is_the_model(name: str, more: dict[str, Any], spec: str, tmp_path: Path) -> None:
    model = make(name, more, SPECS[spec])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    recorded = write_graph(model, tmp_path / "graph.onnx")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    compare(model, SPECS[spec], tmp_path / "graph.onnx", recorded)
    assert name not in DEEP or [len(tower.layers) for tower in recorded.towers] == [3 if name in OUT else 2]
    rows = {dimension for table in model.tables().values() for dimension in table.weight.shape[:1]}
    graph = onnx.load(tmp_path / "graph.onnx").graph
    assert not [w.name for w in graph.initializer if len(w.dims) == 2 and w.dims[0] in rows]  # no table is in it


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more", "spec"), WHOLE, ids=whole_ids)
def test_the_whole_file_is_the_model(name: str, more: dict[str, Any], spec: str, tmp_path: Path) -> None:
    model, calibrator = make(name, more, SPECS[spec]), Platt(slope=0.5, intercept=-0.25)
    write_whole(model, calibrator, tmp_path / "model.onnx")
    compare(model, SPECS[spec], tmp_path / "model.onnx", Recorded([], []), calibrator)
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"))
    assert b"site-packages" not in (tmp_path / "model.onnx").read_bytes()  # nothing of the machine it was made on


class Weighed(Ranker):
    """Has a vector of weights behind a transposition, which is not always one that its code writes."""

    @dataclass(frozen=True)
    class Config:
        how: str

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, 4)
        self.weight = torch.nn.Parameter(torch.arange(1.0, 4.0))

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch)
        if self.config.how == "list":
            return (v[:, [0, 0, 1]] * v[:, [1, 2, 2]]).sum(2) @ self.weight
        return (v.transpose(1, 2) @ self.weight).sum(1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["list", "transposed"])
def test_a_vector_of_weights_is_multiplied_as_torch_does(how: str, tmp_path: Path) -> None:
    model = Weighed(Weighed.Config(how), SPECS["plain"]).eval()
    torch.nn.init.normal_(model.embedding.table.weight, generator=torch.Generator().manual_seed(5))
    with models.unchanged():
        models.register("weighed")(Weighed)
        recorded = write_graph(model, tmp_path / "graph.onnx")
        write_whole(model, None, tmp_path / "model.onnx")
    compare(model, SPECS["plain"], tmp_path / "graph.onnx", recorded)
    compare(model, SPECS["plain"], tmp_path / "model.onnx", Recorded([], []))


class Sorted(Ranker):
    """A model with an operation that ONNX does not have."""

    @dataclass(frozen=True)
    class Config:
        pass

    def forward(self, batch: Batch) -> Tensor:
        return torch.linalg.svdvals(batch.dense.unsqueeze(2) @ batch.dense.unsqueeze(1))[:, 0]


class Counted(Sorted):
    """A model that takes the number of rows for a constant."""

    def forward(self, batch: Batch) -> Tensor:
        return batch.dense.sum(1) * batch.dense.new_ones(len(batch.dense))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "says"), [(Sorted, "cannot be written as ONNX"), (Counted, "batches of one size")])
def test_what_onnx_cannot_say_is_refused(kind: type[Ranker], says: str, tmp_path: Path) -> None:
    with models.unchanged():
        models.register(kind.__name__)(kind)
        with pytest.raises(BundleError, match=says) as error:
            write_graph(kind(kind.Config(), SPECS["no_sparse"]), tmp_path / "graph.onnx")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "graph.onnx").exists()


def test_a_file_over_two_gigabytes_is_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = build_model(build(models.get("fm").Config, {"embedding_dim": 2**20}), SPECS["sequences"], 1)
        model.embedding.table.weight = torch.nn.Parameter(torch.empty(600, 2**20), requires_grad=False)
    with pytest.raises(BundleError, match=r"takes? 2\.5 GB, and a file of ONNX holds 2 GB"):
        write_whole(model, None, tmp_path / "model.onnx")
