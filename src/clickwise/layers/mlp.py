"""The multi-layer perceptron, and the flat input that deep parts share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.batch_norm import BatchNormReLU
from clickwise.layers.dense import linear
from clickwise.layers.dice import Dice
from clickwise.native import Tier
from clickwise.native.dense import Layer, tower
from clickwise.native.tensors import compiled

Activation = Literal["relu", "dice"]


def flat_input(vectors: Tensor, dense: Tensor) -> Tensor:
    """[v_1 .. v_F, dense]: [B, F * D + N] from [B, F, D] and [B, N]; no copy when there are no dense features."""
    return torch.cat([vectors.flatten(1), dense], 1) if dense.shape[1] else vectors.flatten(1)


class MLP(nn.Module):
    """a_{l+1} = dropout(relu(norm(W_l a_l + b_l))), or dropout(dice(W_l a_l + b_l)): [B, in_dim] -> [B, out_dim].

    Weights start as Xavier normal, biases as zero. With batch normalisation the linear layers have no bias of their
    own; a training batch of one row has no variance and is normalised by the running statistics.

    Args:
        in_dim: width of the input.
        hidden_dims: widths of the hidden layers.
        dropout: share of activations set to zero in training, in [0, 1).
        batch_norm: normalise before each activation, which must be relu.
        activation: "dice" is `Dice`, which has a normalisation of its own.
        out_dim: width of a last layer without activation; None ends with the last hidden layer.
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dims: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        activation: Activation = "relu",
        out_dim: int | None = None,
    ) -> None:
        super().__init__()
        assert not (batch_norm and activation == "dice")
        widths = (in_dim, *hidden_dims)
        pairs = list(pairwise(widths))
        self.hidden = nn.ModuleList(_linear(i, o, bias=not batch_norm) for i, o in pairs)
        after = Dice if activation == "dice" else BatchNormReLU if batch_norm else None
        self.norms = nn.ModuleList(after(o) for _, o in pairs) if after else None
        self.out = None if out_dim is None else _linear(widths[-1], out_dim)
        self.dropout = dropout

    @property
    def out_bias(self) -> nn.Parameter:
        """The bias of the last layer; there must be one without activation."""
        assert self.out is not None
        return self.out.bias

    def forward(self, x: Tensor) -> Tensor:
        if self.norms is None and compiled(Tier.DENSE, x):
            return self._compiled(x)
        for i, layer in enumerate(self._linears()):
            x = linear(x, layer.weight, layer.bias)
            if self.norms is not None:
                x = self.norms[i](x, self.dropout)
                continue
            x = F.relu(x)
            if self.dropout:
                x = F.dropout(x, self.dropout, self.training)
        return x if self.out is None else linear(x, self.out.weight, self.out.bias)

    @torch.no_grad()
    def to_score(self) -> list[Layer] | None:
        """Linear layers that give what it gives outside of training, the normalisation in their weights; None where its
        activation is another one than relu, or there is no layer.
        """
        layers = []
        for place, layer in enumerate(self._linears()):
            if self.norms is None:
                layers.append(Layer(layer.weight, layer.bias, relu=True))
                continue
            norm = self.norms[place]
            if not isinstance(norm, BatchNormReLU):
                return None
            scale, shift = norm.scale_and_shift()
            layers.append(Layer((layer.weight.double() * scale[:, None]).float(), shift.float(), relu=True))
        if self.out is not None:
            layers.append(Layer(self.out.weight, self.out.bias))
        return layers or None

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.hidden if isinstance(layer, nn.Linear)]

    def _compiled(self, x: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        layers = [Layer(layer.weight, layer.bias, relu=True, dropout=dropout) for layer in self._linears()]
        if self.out is not None:
            layers.append(Layer(self.out.weight, self.out.bias))
        return tower(x, layers) if layers else x


def _linear(in_dim: int, out_dim: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(in_dim, out_dim, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
