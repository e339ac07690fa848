"""FinalMLP, AutoInt, DLRM, MaskNet, FiBiNET and DCN-v2's experts against their papers' formulas.

Naive loops in float64, one row at a time.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickwise.config import ConfigError
from clickwise.layers import CrossMixture, CrossV2
from clickwise.models import DLRM, AutoInt, DCNv2, FiBiNET, FinalMLP, MaskNet, build_model
from clickwise.schema import InputSpec
from model_inputs import SPECS
from oracle_rows import batch64, build, embedded, expected, linear, perceptron

D = 4
DEEP = {"embedding_dim": D, "hidden_dims": (5, 4)}
ONE_FIELD = InputSpec(fields=SPECS["plain"].fields[:1], dense=("x",))
EVERY_SPEC = {**SPECS, "one_field": ONE_FIELD}


def softmax(scores) -> np.ndarray:
    powers = np.array([np.exp(s) for s in scores])
    return powers / powers.sum()


def layer_norm(weights, prefix, x) -> np.ndarray:
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    normed = [(value - mean) / np.sqrt(variance + 1e-5) for value in x]
    return np.array(normed) * weights[f"{prefix}.weight"] + weights[f"{prefix}.bias"]


def final_mlp(heads, *contexts):
    """`contexts`: for each stream, which of the vectors are the context of its gate; none: a learnable vector."""

    def formula(weights, spec, *row):
        vectors, flat = embedded(weights, spec, *row)
        streams = []
        for s in (1, 2):
            x = flat
            if contexts:
                chosen = [vectors[i] for i in contexts[s - 1]]
                context = np.concatenate(chosen) if chosen else weights[f"gate{s}.context"][0]
                scores = perceptron(weights, f"gate{s}.mlp", context)
                x = np.array([x[i] * 2 / (1 + np.exp(-scores[i])) for i in range(len(x))])
            streams.append(perceptron(weights, f"mlp{s}", x))
        o1, o2 = streams
        first, bilinear = weights["fusion.first_order.out.weight"][0], weights["fusion.weight"]
        logit = weights["fusion.first_order.out.bias"][0]
        logit += sum(first[: len(o1)] * o1) + sum(first[len(o1) :] * o2)
        for k in range(heads):
            for i in range(len(o1) // heads):
                for j in range(len(o2) // heads):
                    logit += o1[k * (len(o1) // heads) + i] * bilinear[k, i, j] * o2[k * (len(o2) // heads) + j]
        return logit

    return formula


def attention(weight, e, heads) -> list[np.ndarray]:
    """One interacting layer: `weight` has W_q, W_k, W_v and W_res, each with the rows of all heads."""
    width = weight.shape[1] // heads
    new = []
    for e_m in e:
        parts = []
        for h in range(heads):
            w_q, w_k, w_v = (matrix[h * width : (h + 1) * width] for matrix in weight[:3])
            shares = softmax([(w_q @ e_m) @ (w_k @ e_l) for e_l in e])
            parts.append(sum(share * (w_v @ e_l) for share, e_l in zip(shares, e, strict=True)))
        new.append(np.maximum(0.0, np.concatenate(parts) + weight[3] @ e_m))
    return new


def autoint(heads):
    def formula(weights, spec, *row):
        vectors, _ = embedded(weights, spec, *row)
        e = vectors + [x * weights["dense_vectors"][i] for i, x in enumerate(row[1])]
        a, layer = e, 0
        while f"attention.{layer}.weight" in weights:
            a = attention(weights[f"attention.{layer}.weight"], a, heads)
            layer += 1
        top = np.concatenate(a)
        if "deep.hidden.0.weight" in weights:
            top = np.concatenate([top, perceptron(weights, "deep", np.concatenate(e))])
        return perceptron(weights, "out", top)

    return formula


def dlrm(weights, spec, *row):
    e, _ = embedded(weights, spec, *row)
    bottom = [perceptron(weights, "bottom", np.array(row[1]))] if spec.dense else []
    e = bottom + e
    dots = [sum(e[i] * e[j]) for i in range(len(e)) for j in range(i + 1, len(e))]
    return perceptron(weights, "top", np.concatenate([*bottom, dots]))


def mask_block(weights, prefix, x, h) -> np.ndarray:
    mask = perceptron(weights, f"{prefix}.mask", x)
    z = weights[f"{prefix}.hidden.weight"] @ np.array([mask[i] * h[i] for i in range(len(h))])
    return np.maximum(0.0, layer_norm(weights, f"{prefix}.norm", z))


def masknet(structure):
    def formula(weights, spec, *row):
        vectors, x = embedded(weights, spec, *row)
        start = np.concatenate([*(layer_norm(weights, "norm", v) for v in vectors), row[1]])
        outputs = []
        while f"blocks.{len(outputs)}.hidden.weight" in weights:
            h = outputs[-1] if outputs and structure == "serial" else start
            outputs.append(mask_block(weights, f"blocks.{len(outputs)}", x, h))
        return perceptron(weights, "mlp", outputs[-1] if structure == "serial" else np.concatenate(outputs))

    return formula


def bilinear(weight, vectors, kind) -> list[np.ndarray]:
    products = []
    for f in range(len(vectors)):
        for g in range(f + 1, len(vectors)):
            w = weight[{"all": 0, "each": f, "interaction": len(products)}[kind]]
            mapped = [sum(vectors[f][c] * w[c, d] for c in range(D)) for d in range(D)]
            products.append(np.array([mapped[d] * vectors[g][d] for d in range(D)]))
    return products


def fibinet(kind):
    def formula(weights, spec, *row):
        products = []
        if spec.num_vectors > 1:
            v, _ = embedded(weights, spec, *row)
            squeezed = np.array([sum(v_f) / D for v_f in v])
            reduced = np.maximum(0.0, weights["senet.squeeze.weight"] @ squeezed)
            shares = np.maximum(0.0, weights["senet.excite.weight"] @ reduced)
            u = [share * v_f for share, v_f in zip(shares, v, strict=True)]
            products = bilinear(weights["bilinear.weight"], v, kind) + bilinear(weights["bilinear.weight"], u, kind)
        return linear(weights, "linear", spec, *row) + perceptron(weights, "mlp", np.concatenate([*products, row[1]]))

    return formula


def cross_mixture(weights, x0) -> np.ndarray:
    x = x0
    for layer, bias in enumerate(weights["cross.bias"]):
        gate, inner = weights["cross.gate"][layer], weights["cross.inner"][layer]
        rank = inner.shape[1]
        shares = softmax([sum(gate[i] * x) for i in range(len(gate))])
        total = x
        for i in range(len(gate)):
            v_t = weights["cross.down"][layer][i * rank : (i + 1) * rank]
            u = weights["cross.up"][layer][:, i * rank : (i + 1) * rank]
            expert = x0 * (u @ np.tanh(inner[i] @ np.tanh(v_t @ x)) + bias)
            total = total + shares[i] * expert
        x = total
    return x


def dcn_v2_stacked(weights, spec, *row):
    x0 = embedded(weights, spec, *row)[1]
    return perceptron(weights, "out", perceptron(weights, "deep", cross_mixture(weights, x0)))


def dcn_v2_parallel(weights, spec, *row):
    x0 = embedded(weights, spec, *row)[1]
    return perceptron(weights, "out", np.concatenate([cross_mixture(weights, x0), perceptron(weights, "deep", x0)]))


STREAMS = {"embedding_dim": D, "mlp1_hidden_dims": (5, 4), "mlp2_hidden_dims": (6,), "gate_hidden_dims": (3,)}
HEADS = {"embedding_dim": D, "num_heads": 2, "head_dim": 3}
BLOCKS = {"embedding_dim": D, "block_dims": (5, 3), "reduction_ratio": 1.5}
PARALLEL = {**BLOCKS, "structure": "parallel", "hidden_dims": (4,)}
EXPERTS = {**DEEP, "num_cross_layers": 2, "rank": 2, "num_experts": 3}
ORACLES = {
    "final_mlp": (FinalMLP.Config(**STREAMS), final_mlp(1, (), ())),
    "final_mlp_2_heads": (FinalMLP.Config(**STREAMS, num_heads=2), final_mlp(2, (), ())),
    "final_mlp_without_gates": (FinalMLP.Config(**STREAMS, gates=False), final_mlp(1)),
    "autoint": (AutoInt.Config(**HEADS, num_attention_layers=2), autoint(2)),
    "autoint_plus": (AutoInt.Config(**HEADS, num_attention_layers=1, hidden_dims=(5, 3)), autoint(2)),
    "dlrm": (DLRM.Config(**DEEP, bottom_hidden_dims=(5,)), dlrm),
    "masknet_serial": (MaskNet.Config(**BLOCKS), masknet("serial")),
    "masknet_parallel": (MaskNet.Config(**PARALLEL), masknet("parallel")),
    "fibinet_all": (FiBiNET.Config(**DEEP, reduction_ratio=1, bilinear="all"), fibinet("all")),
    "fibinet_each": (FiBiNET.Config(**DEEP, reduction_ratio=2, bilinear="each"), fibinet("each")),
    "fibinet_interaction": (FiBiNET.Config(**DEEP, reduction_ratio=1, bilinear="interaction"), fibinet("interaction")),
    "dcn_v2_experts": (DCNv2.Config(**EXPERTS), dcn_v2_stacked),
    "dcn_v2_experts_parallel": (DCNv2.Config(**EXPERTS, structure="parallel"), dcn_v2_parallel),
}


def assert_equals_formula(config, formula, spec):
    model = build(config, spec)
    batch = batch64(spec)
    with torch.no_grad():
        logit = model(batch)
    assert logit.dtype == torch.float64
    torch.testing.assert_close(logit, expected(model, spec, batch, formula), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("spec", EVERY_SPEC.values(), ids=EVERY_SPEC.keys())
@pytest.mark.parametrize(("config", "formula"), ORACLES.values(), ids=ORACLES.keys())
def test_logits_equal_the_formula(config, formula, spec):
    assert_equals_formula(config, formula, spec)


def test_gates_of_final_mlp_read_the_fields_named():
    """The vectors are those of last, last, seen, b, tags and a."""
    spec = InputSpec(fields=SPECS["multi_valued"].fields[::-1], dense=("x",))
    config = FinalMLP.Config(**STREAMS, gate1_fields=("tags",), gate2_fields=("last", "a"))
    assert_equals_formula(config, final_mlp(1, (4,), (0, 1, 5)), spec)
    wrong = FinalMLP.Config(**STREAMS, gate2_fields=("tagz",))
    with pytest.raises(ConfigError, match=r"^gate2_fields: got 'tagz', allowed is .*tags"):
        build_model(wrong, SPECS["multi_valued"], 1)


@pytest.mark.parametrize("config", [DLRM.Config(), FiBiNET.Config()], ids=["dlrm", "fibinet"])
def test_models_of_pairs_alone_refuse_a_single_vector(config):
    with pytest.raises(ConfigError, match=r"^features: got 'one vector and no dense feature', .*dnn"):
        build_model(config, InputSpec(fields=SPECS["plain"].fields[:1]), 1)


def test_experts_of_small_values_are_one_low_rank_cross():
    """tanh(x) is x for small x, and at gates of 1/K the experts with the first one's C = 1, the others' 0, give 1/K."""
    torch.manual_seed(4)
    mixture, low_rank = CrossMixture(6, 1, 2, 3).double(), CrossV2(6, 1, 2).double()
    with torch.no_grad():
        mixture.gate.zero_()
        mixture.inner.zero_()
        mixture.inner[0, 0] = torch.eye(2)
        mixture.down[0] = low_rank.down[0].weight.repeat(3, 1)
        mixture.up[0] = 3 * low_rank.up[0].weight.repeat(1, 3)
    x = torch.randn(5, 6, dtype=torch.float64) * 1e-4
    torch.testing.assert_close(mixture(x) - x, low_rank(x) - x, rtol=1e-5, atol=0.0)


def test_experts_need_a_rank():
    with pytest.raises(ConfigError, match=r"^num_experts: got 2, .* rank"):
        DCNv2.Config(num_experts=2)
