"""Deep & Cross Network, version 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, CrossMixture, CrossV2, Embedding, flat_input
from clickwise.models.checks import check_cross, check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("dcn_v2")
class DCNv2(Ranker):
    """x_0 = [v_1 .. v_F, dense], x_{l+1} = x_0 * (W_l x_l + b_l) + x_l; W_l = U_l V_l^T when a rank is given.

    With more than one expert the crosses are those of `CrossMixture`, each expert of that rank.
    Stacked: logit = b + <w, MLP(x_L)>. Parallel: logit = b + <w, [x_L, MLP(x_0)]>. No separate linear term.

    Reference: Wang et al. 2021, "DCN V2: Improved Deep & Cross Network", Eqs. 1-3, Section 3.4 and Figure 1.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the vectors, the crosses and the MLP.

        embedding_dim, embedding_dropout: of the vectors v. num_cross_layers: L; rank: of W, None: full; num_experts:
        more than one makes each cross a mixture, which needs a rank. The rest is as in `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        num_cross_layers: int = 3
        rank: int | None = None
        num_experts: int = 1
        structure: Literal["stacked", "parallel"] = "stacked"
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_cross(self.num_cross_layers)
            require(self.rank is None or self.rank >= 1, "rank", self.rank, "a whole number >= 1, or none")
            fits = self.num_experts == 1 or (self.num_experts > 1 and self.rank is not None)
            require(fits, "num_experts", self.num_experts, "a whole number >= 1; give rank too for more than one")
            require(self.structure in ("stacked", "parallel"), "structure", self.structure, "'stacked' or 'parallel'")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        dim = inputs.num_vectors * config.embedding_dim + inputs.num_dense
        self.cross: nn.Module = CrossV2(dim, config.num_cross_layers, config.rank)
        if config.rank is not None and config.num_experts > 1:
            self.cross = CrossMixture(dim, config.num_cross_layers, config.rank, config.num_experts)
        self.deep = MLP(dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm)
        self.stacked = config.structure == "stacked"
        self.out = MLP(config.hidden_dims[-1] + (0 if self.stacked else dim), (), out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.out.out_bias

    def forward(self, batch: Batch) -> Tensor:
        x0 = flat_input(self.embedding(batch), batch.dense)  # [B, d]
        crossed = self.cross(x0)  # [B, d]
        top = self.deep(crossed) if self.stacked else torch.cat([crossed, self.deep(x0)], 1)
        return self.out(top).squeeze(1)
