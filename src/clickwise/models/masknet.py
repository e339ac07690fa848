"""MaskNet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, Embedding, MaskBlock, flat_input
from clickwise.models.checks import check_dropout, check_embedding, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("masknet")
class MaskNet(Ranker):
    """logit = MLP(top), of blocks h_k = MaskBlock(x, input_k), x = [v_1 .. v_F, dense].

    h_0 = [LN(v_1) .. LN(v_F), dense]; one gain and bias of LN serve all fields. Serial: block k reads h_{k-1}, top is
    the last block's output. Parallel: all blocks read h_0, top = [h_1 .. h_K]. The paper's serial model has no hidden
    layers above the blocks, its parallel one has.

    Reference: Wang et al. 2021, "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
    Instance-Guided Mask", Sections 3.2-3.4.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the blocks and of what is above them.

        embedding_dim, embedding_dropout: of the vectors v. block_dims: widths of the blocks' outputs;
        reduction_ratio: as in `MaskBlock`. hidden_dims: of the MLP above the blocks; may be empty. dropout: of both.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        structure: Literal["serial", "parallel"] = "serial"
        block_dims: tuple[int, ...] = (400, 400, 400)
        reduction_ratio: float = 1.0
        hidden_dims: tuple[int, ...] = ()
        dropout: float = 0.0

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            require(self.structure in ("serial", "parallel"), "structure", self.structure, "'serial' or 'parallel'")
            check_widths("block_dims", self.block_dims)
            require(self.reduction_ratio > 0.0, "reduction_ratio", self.reduction_ratio, "a number > 0")
            check_widths("hidden_dims", self.hidden_dims, at_least=0)
            check_dropout("dropout", self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        self.norm = nn.LayerNorm(config.embedding_dim) if inputs.num_vectors else None
        self.serial = config.structure == "serial"
        dim, dims = inputs.num_vectors * config.embedding_dim + inputs.num_dense, config.block_dims
        sizes = pairwise((dim, *dims)) if self.serial else ((dim, out_dim) for out_dim in dims)
        options = {"reduction_ratio": config.reduction_ratio, "dropout": config.dropout}
        self.blocks = nn.ModuleList(MaskBlock(dim, i, o, **options) for i, o in sizes)
        top_dim = dims[-1] if self.serial else sum(dims)
        self.mlp = MLP(top_dim, config.hidden_dims, dropout=config.dropout, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.mlp.out_bias

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch)  # [B, F, D]
        x = flat_input(v, batch.dense)  # [B, d]
        h = x if self.norm is None else flat_input(self.norm(v), batch.dense)
        if self.serial:
            for block in self.blocks:
                h = block(x, h)
        else:
            h = torch.cat([block(x, h) for block in self.blocks], 1)
        return self.mlp(h).squeeze(1)
