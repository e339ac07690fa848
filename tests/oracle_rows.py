"""What naive oracles of models share: random float64 models and batches, and the parts of equations as plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.models import build_model
from clickwise.schema import InputSpec
from model_inputs import make_batch


def build(config, spec: InputSpec):
    """A model in float64 with every weight random."""
    model = build_model(config, spec, 1).double().eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.4)
        for table in model.tables().values():
            table.weight[0] = 0.0
    return model


def batch64(spec: InputSpec, rows: int = 6) -> Batch:
    batch = make_batch(spec, rows, seed=8)
    weight = None if batch.slot_weight is None else batch.slot_weight.double()
    return replace(batch, dense=batch.dense.double(), slot_weight=weight)


def rows_of(batch: Batch):
    for i in range(len(batch)):
        weight = np.ones(batch.sparse.shape[1]) if batch.slot_weight is None else batch.slot_weight[i].numpy()
        yield batch.sparse[i].numpy(), batch.dense[i].numpy(), weight


def vectors_of(table: np.ndarray, spec: InputSpec, ids, weights) -> list[np.ndarray]:
    """Pooled vectors of one row, slot by slot."""
    vectors = []
    slot = 0
    for field in spec.fields:
        parts = []
        for _ in range(field.length):
            parts.append((int(ids[slot]), float(weights[slot]) * table[int(ids[slot])]))
            slot += 1
        if field.pooling == "none" or field.length == 1:
            vectors += [part for _, part in parts]
            continue
        total = np.zeros(table.shape[1])
        filled = 0
        for row, part in parts:
            if row != 0:
                total = total + part
                filled += 1
        vectors.append(total / max(filled, 1) if field.pooling == "mean" else total)
    return vectors


def linear(weights: dict, prefix: str, spec: InputSpec, ids, dense, slot_weights) -> float:
    z = float(weights[f"{prefix}.bias"])
    for w in vectors_of(weights[f"{prefix}.ids.table.weight"], spec, ids, slot_weights):
        z += float(w[0])
    for i, x in enumerate(dense):
        z += float(weights[f"{prefix}.dense"][i]) * float(x)
    return z


def pairs(vectors: list[np.ndarray]) -> float:
    total = 0.0
    for f in range(len(vectors)):
        for g in range(f + 1, len(vectors)):
            for d in range(len(vectors[f])):
                total += vectors[f][d] * vectors[g][d]
    return total


def perceptron(weights: dict, prefix: str, x: np.ndarray) -> np.ndarray:
    layer = 0
    while f"{prefix}.hidden.{layer}.weight" in weights:
        x = np.maximum(0.0, weights[f"{prefix}.hidden.{layer}.weight"] @ x + weights[f"{prefix}.hidden.{layer}.bias"])
        layer += 1
    if f"{prefix}.out.weight" in weights:
        x = weights[f"{prefix}.out.weight"] @ x + weights[f"{prefix}.out.bias"]
    return x


def expected(model, spec: InputSpec, batch: Batch, formula) -> torch.Tensor:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    logits = [float(np.squeeze(formula(weights, spec, *row))) for row in rows_of(batch)]
    return torch.tensor(logits, dtype=torch.float64)


def embedded(weights, spec, ids, dense, slot_weights) -> tuple[list[np.ndarray], np.ndarray]:
    if not spec.fields:
        return [], np.array(dense)
    vectors = vectors_of(weights["embedding.table.weight"], spec.base, ids, slot_weights)  # crosses have no vectors
    return vectors, np.concatenate([*vectors, dense])
