"""Cross networks: explicit feature crosses of a degree that grows by one a layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from clickwise.layers.dense import linear
from clickwise.native import Tier
from clickwise.native.cross import cross_v1, cross_v2
from clickwise.native.tensors import compiled


class CrossV1(nn.Module):
    """x_{l+1} = x_0 (x_l . w_l) + b_l + x_l: [B, d] -> [B, d].

    w starts as N(0, 2 / (d + 1)) (Xavier for a map from d to 1), b as zero.

    Args:
        dim: d.
        num_layers: cross layers.

    Reference: Wang et al. 2017, "Deep & Cross Network for Ad Click Predictions", Eq. 3.
    """

    def __init__(self, dim: int, num_layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_layers, dim) * math.sqrt(2 / (dim + 1)))
        self.bias = nn.Parameter(torch.zeros(num_layers, dim))

    def forward(self, x0: Tensor) -> Tensor:
        if compiled(Tier.DENSE, x0, self.weight):
            return cross_v1(x0, self.weight, self.bias)
        x = x0
        for w, b in zip(self.weight, self.bias, strict=True):
            x = x0 * (x @ w).unsqueeze(1) + b + x
        return x


class CrossV2(nn.Module):
    """x_{l+1} = x_0 * (W_l x_l + b_l) + x_l: [B, d] -> [B, d]; with a rank, W_l = U_l V_l^T.

    Weights start as Xavier normal, b as zero.

    Args:
        dim: d.
        num_layers: cross layers.
        rank: r of U, V in R^{d x r}; None for a full W.

    Reference: Wang et al. 2021, "DCN V2", Eqs. 1 and 2.
    """

    def __init__(self, dim: int, num_layers: int, rank: int | None = None) -> None:
        super().__init__()
        self.down = None if rank is None else nn.ModuleList(nn.Linear(dim, rank, bias=False) for _ in range(num_layers))
        self.up = nn.ModuleList(nn.Linear(dim if rank is None else rank, dim) for _ in range(num_layers))
        for name, parameter in self.named_parameters():
            (nn.init.xavier_normal_ if name.endswith("weight") else nn.init.zeros_)(parameter)

    def forward(self, x0: Tensor) -> Tensor:
        both = list(self.up.parameters())  # weight and bias of one layer after the other
        up, bias, down = both[::2], both[1::2], [] if self.down is None else list(self.down.parameters())
        if compiled(Tier.DENSE, x0, *up):
            return cross_v2(x0, up, bias, down)
        x = x0
        for i in range(len(self.up)):
            inner = x if self.down is None else linear(x, down[i])  # V^T x
            x = torch.addcmul(x, x0, linear(inner, up[i], bias[i]))
        return x


class CrossMixture(nn.Module):
    """x_{l+1} = sum_i G_i(x_l) E_i(x_l) + x_l, E_i(x_l) = x_0 * (U_i g(C_i g(V_i^T x_l)) + b_l): [B, d] -> [B, d].

    g is tanh and G the softmax over experts of linear scores of x_l. Gates add up to one, so that the sum over experts
    is one product with [U_1 .. U_K]. Weights start as Xavier normal, b as zero.

    Args:
        dim: d.
        num_layers: cross layers.
        rank: r of U, V in R^{d x r} and C in R^{r x r}.
        num_experts: K.

    Reference: Wang et al. 2021, "DCN V2", Section 3.4.
    """

    def __init__(self, dim: int, num_layers: int, rank: int, num_experts: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.empty(num_layers, num_experts, dim))
        self.down = nn.Parameter(torch.empty(num_layers, num_experts * rank, dim))  # V^T of all experts
        self.inner = nn.Parameter(torch.empty(num_layers, num_experts, rank, rank))  # C
        self.up = nn.Parameter(torch.empty(num_layers, dim, num_experts * rank))  # U of all experts
        self.bias = nn.Parameter(torch.zeros(num_layers, dim))
        for matrix in (*self.gate, *self.down, *self.inner.flatten(0, 1), *self.up):
            nn.init.xavier_normal_(matrix)

    def forward(self, x0: Tensor) -> Tensor:
        x = x0
        for gate, down, inner, up, bias in zip(self.gate, self.down, self.inner, self.up, self.bias, strict=True):
            shares = torch.softmax(linear(x, gate), 1)  # [B, K]
            h = torch.tanh(linear(x, down)).unflatten(1, (len(inner), -1))  # [B, K, r]
            h = torch.tanh(torch.einsum("bkr,ksr->bks", h, inner)) * shares.unsqueeze(2)
            x = torch.addcmul(x, x0, linear(h.flatten(1), up, bias))
        return x
