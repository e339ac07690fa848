"""FinalMLP."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.errors import nearest
from clickwise.layers import MLP, BilinearFusion, Embedding, FeatureGate, flat_input
from clickwise.models.checks import check_dropout, check_embedding, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("final_mlp")
class FinalMLP(Ranker):
    """logit = b + <w_1, o_1> + <w_2, o_2> + sum_k o_1k^T W_k o_2k, o_s = MLP_s(x * g_s), g_s = 2 sigmoid(MLP(c_s)).

    x = [v_1 .. v_F, dense]. The context c_s of a gate is the vectors v of the fields named, or one learnable vector.
    Without gates o_s = MLP_s(x).

    Reference: Mao et al. 2023, "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", Sections 3.1-3.3.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the two streams and of what joins them.

        embedding_dim, embedding_dropout: of the vectors v. mlp1_, mlp2_: each stream's `MLP`; batch_norm: of both.
        num_heads: pieces of o_1 and o_2. gates: weigh the inputs of each stream; gate_hidden_dims: of their MLPs;
        gate1_fields, gate2_fields: fields of the contexts, empty: a learnable vector.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        mlp1_hidden_dims: tuple[int, ...] = (400, 400, 400)
        mlp2_hidden_dims: tuple[int, ...] = (400, 400, 400)
        mlp1_dropout: float = 0.0
        mlp2_dropout: float = 0.0
        batch_norm: bool = False
        num_heads: int = 1
        gates: bool = True
        gate_hidden_dims: tuple[int, ...] = (64,)
        gate1_fields: tuple[str, ...] = ()
        gate2_fields: tuple[str, ...] = ()

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_widths("mlp1_hidden_dims", self.mlp1_hidden_dims)
            check_widths("mlp2_hidden_dims", self.mlp2_hidden_dims)
            check_dropout("mlp1_dropout", self.mlp1_dropout)
            check_dropout("mlp2_dropout", self.mlp2_dropout)
            check_widths("gate_hidden_dims", self.gate_hidden_dims, at_least=0)
            dims, heads = (self.mlp1_hidden_dims[-1], self.mlp2_hidden_dims[-1]), self.num_heads
            divides = heads >= 1 and all(dim % heads == 0 for dim in dims)
            require(divides, "num_heads", heads, f"a whole number >= 1 that divides {dims[0]} and {dims[1]}")

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        dim = inputs.num_vectors * config.embedding_dim + inputs.num_dense
        dims1, dims2 = config.mlp1_hidden_dims, config.mlp2_hidden_dims
        self.mlp1 = MLP(dim, dims1, dropout=config.mlp1_dropout, batch_norm=config.batch_norm)
        self.mlp2 = MLP(dim, dims2, dropout=config.mlp2_dropout, batch_norm=config.batch_norm)
        self.context1 = _vectors_of(inputs, config.gate1_fields, "gate1_fields")
        self.context2 = _vectors_of(inputs, config.gate2_fields, "gate2_fields")
        self.gate1 = _gate(config, dim, self.context1) if config.gates else None
        self.gate2 = _gate(config, dim, self.context2) if config.gates else None
        self.fusion = BilinearFusion(dims1[-1], dims2[-1], config.num_heads)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.fusion.first_order.out_bias

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch)  # [B, F, D]
        x = flat_input(v, batch.dense)  # [B, d]
        x1 = x if self.gate1 is None else self.gate1(x, v[:, self.context1].flatten(1))
        x2 = x if self.gate2 is None else self.gate2(x, v[:, self.context2].flatten(1))
        return self.fusion(self.mlp1(x1), self.mlp2(x2))


def _gate(config: FinalMLP.Config, dim: int, context: list[int]) -> FeatureGate:
    width = max(1, len(context)) * config.embedding_dim
    return FeatureGate(dim, width, config.gate_hidden_dims, learned_context=not context)


def _vectors_of(inputs: InputSpec, names: tuple[str, ...], key: str) -> list[int]:
    """Which of the F vectors are those of the fields named."""
    where = {field.name: range(vectors.start, vectors.stop) for field, vectors in inputs.vectors()}
    for name in names:
        require(name in where, key, name, f"the names of fields{nearest(name, where)}: {', '.join(where)}")
    return [vector for name in names for vector in where[name]]
