"""Wide & Deep."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import MLP, Embedding, Linear, flat_input
from clickwise.models.checks import check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("wide_deep")
class WideDeep(Ranker):
    """logit = wide + deep, wide = b + sum_f w_f + <w_dense, dense>, deep = MLP([v_1 .. v_F, dense]); trained jointly.

    The wide part is the first-order weights of all fields f, declared crosses (transform `cross`) included: it
    memorises single values, and the combinations of values that were declared. The deep part sees no crosses.

    Reference: Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems", Eqs. 1 and 3; section 3.2 for the
    update rules, FTRL with L1 for the wide part and AdaGrad for the deep one.
    """

    update_rules = MappingProxyType(
        {
            "optimizer": {"name": "adagrad", "learning_rate": 0.01},
            "groups": [{"parameters": "wide.*", "optimizer": {"name": "ftrl", "learning_rate": 0.05, "l1": 1e-4}}],
        }
    )

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim, embedding_dropout: width and dropout of the vectors v. The rest is as in `MLP`."""

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.wide = Linear(inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        in_dim = inputs.num_vectors * config.embedding_dim + inputs.num_dense
        self.deep = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.wide.bias

    def forward(self, batch: Batch) -> Tensor:
        deep = self.deep(flat_input(self.embedding(batch), batch.dense))  # [B, 1]
        return self.wide(batch) + deep.squeeze(1)
