"""Pairs of embeddings, compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.tensors import array


class FMPairs(torch.autograd.Function):
    """`clickwise.layers.FMInteraction`: [B, F, D] -> [B]."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        out, total = vectors.new_empty(len(vectors)), vectors.new_empty(len(vectors), vectors.shape[2])
        kernels().fm_forward(array(vectors), array(out), array(total))
        ctx.save_for_backward(vectors, total)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        vectors, total = ctx.saved_tensors
        gradient = torch.empty_like(vectors, memory_format=torch.contiguous_format)
        kernels().fm_backward(array(gradients[0]), array(vectors), array(total), array(gradient))
        return gradient
