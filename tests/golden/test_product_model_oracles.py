"""NFM, PNN, xDeepFM, FFM and FNN against their papers' formulas, as naive loops in float64, one row at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from clickwise.models import FFM, FM, FNN, NFM, PNN, XDeepFM, build_model
from clickwise.schema import InputSpec
from model_inputs import SPECS
from oracle_rows import batch64, build, embedded, expected, linear, perceptron, vectors_of

D = 3


def nfm(weights, spec, *row):
    vectors, _ = embedded(weights, spec, *row)
    pooled = np.zeros(D)
    for f in range(len(vectors)):
        for g in range(f + 1, len(vectors)):
            for d in range(D):
                pooled[d] += vectors[f][d] * vectors[g][d]
    deep = perceptron(weights, "mlp", np.concatenate([pooled, row[1]]))
    return linear(weights, "linear", spec, *row) + deep


def inner(vectors):
    return [sum(vectors[f] * vectors[g]) for f in range(len(vectors)) for g in range(f + 1, len(vectors))]


def outer(vectors):
    """The sum over f and g of the matrices v_f v_g^T, row after row."""
    total = np.zeros((D, D))
    for v in vectors:
        for u in vectors:
            for i in range(D):
                for j in range(D):
                    total[i, j] += v[i] * u[j]
    return total.flatten()


def pnn(*products):
    def formula(weights, spec, *row):
        """l_1 = relu(W_z z + W_p p + b), with the weights of the first layer cut in two; then the rest of the MLP."""
        vectors, z = embedded(weights, spec, *row)
        p = np.concatenate([np.array(product(vectors)) for product in products])
        weight, bias = weights["mlp.hidden.0.weight"], weights["mlp.hidden.0.bias"]
        w_z, w_p = weight[:, : len(z)], weight[:, len(z) :]
        l_1 = np.maximum(0.0, w_z @ z + w_p @ p + bias)
        l_2 = np.maximum(0.0, weights["mlp.hidden.1.weight"] @ l_1 + weights["mlp.hidden.1.bias"])
        return weights["mlp.out.weight"] @ l_2 + weights["mlp.out.bias"]

    return formula


def ffm(weights, spec, *row):
    logit = linear(weights, "linear", spec, *row)
    if spec.num_vectors < 2:
        return logit
    v = vectors_of(weights["embedding.table.weight"], spec.base, row[0], row[2])
    for f in range(len(v)):
        for g in range(f + 1, len(v)):
            for d in range(D):
                logit += v[f][g * D + d] * v[g][f * D + d]
    return logit


def cin(weights, vectors):
    """Every map of every layer, the last one too. The first layer's weight of (i, j) and (j, i) is one number."""
    if not vectors:
        return []
    x, pooled, k = vectors, [], 0
    while f"cin.weights.{k}" in weights:
        maps = []
        for w in weights[f"cin.weights.{k}"]:
            x_h, at = np.zeros(D), 0
            for i in range(len(x)):
                for j in range(i if k == 0 else 0, len(vectors)):
                    for d in range(D):
                        x_h[d] += w[at] * x[i][d] * vectors[j][d]
                    at += 1
            assert at == len(w)
            maps.append(x_h)
        pooled += [sum(x_h) for x_h in maps]
        x, k = maps, k + 1
    return pooled


def xdeepfm(weights, spec, *row):
    vectors, flat = embedded(weights, spec, *row)
    top = np.concatenate([cin(weights, vectors), perceptron(weights, "deep", flat)])
    return linear(weights, "linear", spec, *row) + perceptron(weights, "out", top)


def fnn(weights, spec, *row):
    _, flat = embedded(weights, spec, *row)
    return perceptron(weights, "mlp", np.concatenate([[weights["w0"]], flat]))


DEEP = {"embedding_dim": D, "hidden_dims": (5, 4)}
ORACLES = {
    "nfm": (NFM.Config(**DEEP), nfm),
    "pnn_inner": (PNN.Config(**DEEP), pnn(inner)),
    "pnn_outer": (PNN.Config(**DEEP, products="outer"), pnn(outer)),
    "pnn_both": (PNN.Config(**DEEP, products="both"), pnn(inner, outer)),
    "ffm": (FFM.Config(embedding_dim=D), ffm),
    "xdeepfm_1": (XDeepFM.Config(**DEEP, cin_layer_dims=(4,)), xdeepfm),
    "xdeepfm_2": (XDeepFM.Config(**DEEP, cin_layer_dims=(4, 2)), xdeepfm),
    "xdeepfm_3": (XDeepFM.Config(**DEEP, cin_layer_dims=(4, 5, 2)), xdeepfm),
    "fnn": (FNN.Config(**DEEP), fnn),
}
ONE_FIELD = InputSpec(fields=SPECS["plain"].fields[:1], dense=("x",))
EVERY_SPEC = {**SPECS, "one_field": ONE_FIELD}


@pytest.mark.parametrize("spec", EVERY_SPEC.values(), ids=EVERY_SPEC.keys())
@pytest.mark.parametrize(("config", "formula"), ORACLES.values(), ids=ORACLES.keys())
def test_logits_equal_the_formula(config, formula, spec):
    model = build(config, spec)
    batch = batch64(spec)
    with torch.no_grad():
        logit = model(batch)
    assert logit.dtype == torch.float64
    torch.testing.assert_close(logit, expected(model, spec, batch, formula), rtol=1e-10, atol=1e-10)


def test_fnn_starts_from_all_that_the_fm_knows_of_ids():
    """Its pooled rows are the FM's vectors and, added up, the FM's first-order part."""
    spec = SPECS["multi_valued"]
    fm = build(FM.Config(embedding_dim=D), spec)
    fnn_model = build_model(FNN.Config(embedding_dim=D, hidden_dims=(2,)), spec, 4).double().eval()
    fnn_model.start_from(fm)
    rows = batch64(spec)
    with torch.no_grad():
        both = fnn_model.embedding(rows)
        torch.testing.assert_close(both[..., 1:], fm.embedding(rows))
        first_order = fnn_model.w0 + both[..., 0].sum(1) + rows.dense @ fm.linear.dense
        torch.testing.assert_close(first_order, fm.linear(rows))


@pytest.mark.parametrize("dims", [(4,), (4, 2), (6, 5, 4)])
def test_cin_has_one_weight_a_product(dims):
    model = build(XDeepFM.Config(**DEEP, cin_layer_dims=dims), SPECS["plain"])
    shapes = [tuple(w.shape) for w in model.cin.weights]
    assert shapes == [(dims[0], 6), *((after, before * 3) for before, after in pairwise(dims))]
