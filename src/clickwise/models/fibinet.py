"""FiBiNET."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, SENET, BilinearInteraction, BilinearKind, Embedding, Linear, flat_input
from clickwise.models.checks import check_embedding, check_mlp, check_pairs
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("fibinet")
class FiBiNET(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense> + MLP([p, q, dense]), p_fg = (v_f W) * v_g, q_fg = (u_f W) * u_g, f < g.

    u_f = a_f v_f with a = SENET(v) are the vectors weighed by how much each matters in the row; p and q share the
    matrices W, so that q_fg = a_f a_g p_fg and no product is made twice. The MLP reads 2 D numbers for each pair of
    vectors: with many fields its first layer is most of the work.

    Reference: Huang et al. 2019, "FiBiNET: Combining Feature Importance and Bilinear feature Interaction for
    Click-Through Rate Prediction", Sections 3.3-3.6.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the vectors, their products and the MLP.

        embedding_dim, embedding_dropout: of the vectors v. reduction_ratio: as in `SENET`. bilinear: which pairs share
        W: "all", "each" or "interaction", as in `BilinearInteraction`. The rest is as in `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        reduction_ratio: int = 3
        bilinear: BilinearKind = "interaction"
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            require(self.reduction_ratio >= 1, "reduction_ratio", self.reduction_ratio, "a whole number >= 1")
            kinds = ("all", "each", "interaction")
            require(self.bilinear in kinds, "bilinear", self.bilinear, "'all', 'each' or 'interaction'")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        check_pairs(inputs)
        self.linear = Linear(inputs)
        count, dim = inputs.num_vectors, config.embedding_dim
        self.paired = count > 1
        if self.paired:
            self.embedding = Embedding(inputs, dim, dropout=config.embedding_dropout)
            self.senet = SENET(count, config.reduction_ratio)
            self.bilinear = BilinearInteraction(count, dim, config.bilinear)
        in_dim = count * (count - 1) * dim + inputs.num_dense
        self.mlp = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        return self.linear(batch) + self.mlp(self._deep_input(batch)).squeeze(1)

    def _deep_input(self, batch: Batch) -> Tensor:
        """[p, q, dense]: [B, F (F - 1) D + N]."""
        if not self.paired:
            return batch.dense
        v = self.embedding(batch)  # [B, F, D]
        return flat_input(self.bilinear(v, self.senet(v)), batch.dense)
