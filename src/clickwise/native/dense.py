"""Linear layers, compiled: one alone, a tower of them, or a cross network of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.precision import Precision, current
from clickwise.native.tensors import array, dropout_seed, new_result


@dataclass(frozen=True)
class Layer:
    """relu and dropout(p) after W x + b: weight [N, K], bias [N]. Dropout is for training, and only after ReLU."""

    weight: Tensor
    bias: Tensor | None
    relu: bool = False
    dropout: float = 0.0


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b in the precision in use: [B, K], [N, K], [N] -> [B, N]."""
    return tower(x, [Layer(weight, bias)])


def tower(x: Tensor, layers: Sequence[Layer], links: int = 0) -> Tensor:
    """a_{l+1} = dropout(relu(W_l a_l + b_l)) in the precision in use: [B, K of the first] -> [B, N of the last].

    With `links`, 1 or 2, that many layers, one after the other, are u_i of a cross network instead:
    x_{i+1} = x_0 * u_i(x_i) + x_i, [B, d] -> [B, d]. The seed of dropout is drawn from torch's generator, so that a run
    resumed from a checkpoint drops the same.
    """
    parameters = [p for layer in layers for p in (layer.weight, layer.bias)]
    drops = any(layer.dropout for layer in layers)
    call = _Call(
        relu=[layer.relu for layer in layers],
        dropout=[layer.dropout for layer in layers],
        precision=current(),
        seed=dropout_seed() if drops else 0,
        keep=torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *parameters)),
        links=links,
    )
    return Tower.apply(call, x.contiguous(), *parameters)


@dataclass(frozen=True)
class _Call:
    """What `Tower` is told beside tensors; `keep`: a backward pass may follow."""

    relu: list[bool]
    dropout: list[float]
    precision: Precision
    seed: int
    keep: bool
    links: int

    def shape(self) -> Any:
        return kernels().DenseShape(self.relu, self.dropout, self.precision == "bf16", self.links)


class Tower(torch.autograd.Function):
    """`tower`, given a call and the weights and biases in turns."""

    @staticmethod
    def forward(ctx: Any, call: _Call, x: Tensor, *parameters: Tensor | None) -> Tensor:
        weights, biases, shape = *_arrays(parameters), call.shape()
        y = x.new_empty(len(x), weights[-1].shape[0])
        saved = None
        if call.keep:
            saved = torch.empty(kernels().dense_saved_bytes(weights, biases, shape, len(x)), dtype=torch.uint8)
            ctx.call = call
            ctx.save_for_backward(x, saved, y if call.relu[-1] else None, *parameters)
        kernels().dense_forward(weights, biases, shape, call.seed, array(x), _array(saved), array(y))
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, saved, y, *parameters = ctx.saved_tensors
        grad_y = gradients[0].contiguous()
        needs = list(ctx.needs_input_grad[1:])
        needs[0] |= ctx.call.links > 0  # a cross network adds up there
        wanted = [
            new_result(t, *t.shape) if needed else None for t, needed in zip((x, *parameters), needs, strict=True)
        ]
        grad_x, *grads = [_array(t) for t in wanted]
        kernels().dense_backward(
            *_arrays(parameters),
            ctx.call.shape(),
            array(x),
            array(saved),
            array(grad_y if y is None else y),
            array(grad_y),
            grad_x,
            grads[::2],
            grads[1::2],
        )
        return None, *wanted


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else array(tensor)


def _arrays(parameters: Sequence[Tensor | None]) -> tuple[list[Any], list[Any]]:
    """Weights and biases apart."""
    return [_array(p) for p in parameters[::2]], [_array(p) for p in parameters[1::2]]
