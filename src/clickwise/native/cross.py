"""Cross networks, compiled: each one node of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.dense import product, product_gradients
from clickwise.native.precision import current
from clickwise.native.tensors import array


class CrossV1Network(torch.autograd.Function):
    """`clickwise.layers.CrossV1`: x0 [B, d], w [L, d], b [L, d] -> [B, d]."""

    @staticmethod
    def forward(ctx: Any, x0: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x0 = x0.contiguous()  # once for both passes
        out, p, e = torch.empty_like(x0), x0.new_empty(len(x0), len(weight)), x0.new_empty(len(weight))
        kernels().cross_v1_forward(array(x0), array(weight), array(bias), array(out), array(p), array(e))
        ctx.save_for_backward(x0, weight, bias, p, e)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        results = [t.new_empty(t.shape) for t in ctx.saved_tensors[:3]]
        kernels().cross_v1_backward(array(gradients[0]), *map(array, ctx.saved_tensors), *map(array, results))
        return tuple(results)


def cross_v1(x0: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x_{l+1} = x_0 (x_l . w_l) + b_l + x_l through all layers: [B, d] -> [B, d]."""
    out: Tensor = CrossV1Network.apply(x0, weight, bias)
    return out


@dataclass(frozen=True, slots=True)
class _Layer:
    """u = (x V) U^T + b; without a rank u = x U^T + b and `down` is None."""

    up: Tensor
    bias: Tensor
    down: Tensor | None


def _layers(parameters: Sequence[Tensor], num_layers: int) -> list[_Layer]:
    """Layers of the parameters in the order of `cross_v2`: all up, all biases, all down if any."""
    ups, biases = parameters[:num_layers], parameters[num_layers : 2 * num_layers]
    downs: Sequence[Tensor | None] = parameters[2 * num_layers :] or [None] * num_layers
    return [_Layer(*parts) for parts in zip(ups, biases, downs, strict=True)]


class CrossV2Network(torch.autograd.Function):
    """All layers as one node: the gradient of x_0 is summed in place, layer by layer, from the last to the first."""

    @staticmethod
    def forward(ctx: Any, num_layers: int, x0: Tensor, *parameters: Tensor) -> Tensor:
        x0 = x = x0.contiguous()
        precision = current()
        inputs, inners, outers = [], [], []
        for layer in _layers(parameters, num_layers):
            inner = x if layer.down is None else product(x, layer.down, None, precision)  # V^T x
            outer, out = product(inner, layer.up, layer.bias, precision), torch.empty_like(x0)
            kernels().cross_v2_forward(array(x), array(x0), array(outer), array(out))
            inputs.append(x)
            outers.append(outer)
            if layer.down is not None:
                inners.append(inner)
            x = out
        ctx.save_for_backward(*parameters, *inputs, *outers, *inners)  # inputs[0] is x0
        ctx.precision, ctx.num_layers, ctx.num_parameters = precision, num_layers, len(parameters)
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count, precision = ctx.num_layers, ctx.precision
        layers = _layers(ctx.saved_tensors[: ctx.num_parameters], count)
        saved = ctx.saved_tensors[ctx.num_parameters :]
        inputs, outers, inners = saved[:count], saved[count : 2 * count], saved[2 * count :]
        x0, grad = inputs[0], gradients[0]
        grad_x0, grad_outer = torch.empty_like(x0), torch.empty_like(x0)
        up, bias, down = [], [], []
        for i in reversed(range(count)):
            layer, first, last = layers[i], i == count - 1, i == 0
            bias.append(x0.new_empty(x0.shape[1]))
            kernels().cross_v2_backward(
                *map(array, (grad, x0, outers[i])), first, last, *map(array, (grad_outer, bias[-1], grad_x0))
            )
            inner = inners[i] if inners else inputs[i]
            below, grad_up = product_gradients(grad_outer, inner, layer.up, precision)
            up.append(grad_up)
            if layer.down is not None:
                below, grad_down = product_gradients(below, inputs[i], layer.down, precision)
                down.append(grad_down)
            grad = (grad_x0 if last else below).add_(below if last else grad)  # dL/dx_i
        return (None, grad_x0, *reversed(up), *reversed(bias), *reversed(down))


def cross_v2(x0: Tensor, up: Sequence[Tensor], bias: Sequence[Tensor], down: Sequence[Tensor] = ()) -> Tensor:
    """x_{l+1} = x_0 * (U_l V_l^T x_l + b_l) + x_l: [B, d] -> [B, d]; without `down`, U_l is the whole matrix.

    Products are made in the precision in use. up: L of [d, d] or [d, r]; bias: L of [d]; down: V^T, none or L of
    [r, d].
    """
    out: Tensor = CrossV2Network.apply(len(up), x0, *up, *bias, *down)
    return out
