"""Parts that models are composed of. Layers take plain keywords and know no optimiser, loss or file."""

from clickwise.layers.attention_pooling import AttentionPooling
from clickwise.layers.bilinear import BilinearFusion, BilinearInteraction, BilinearKind
from clickwise.layers.cin import CIN
from clickwise.layers.cross import CrossMixture, CrossV1, CrossV2
from clickwise.layers.embedding import Embedding
from clickwise.layers.embedding_table import EmbeddingTable
from clickwise.layers.feature_gate import FeatureGate
from clickwise.layers.fm import FMInteraction, bi_interaction
from clickwise.layers.history_mix import HistoryMix
from clickwise.layers.linear import Linear
from clickwise.layers.mask_block import MaskBlock
from clickwise.layers.mlp import MLP, Activation, flat_input
from clickwise.layers.pooling import Pooling
from clickwise.layers.products import field_aware_pairs, inner_products, outer_product
from clickwise.layers.self_attention import SelfAttention
from clickwise.layers.senet import SENET
from clickwise.layers.target_attention import TargetAttention
from clickwise.layers.tower import Tower

__all__ = [
    "CIN",
    "MLP",
    "SENET",
    "Activation",
    "AttentionPooling",
    "BilinearFusion",
    "BilinearInteraction",
    "BilinearKind",
    "CrossMixture",
    "CrossV1",
    "CrossV2",
    "Embedding",
    "EmbeddingTable",
    "FMInteraction",
    "FeatureGate",
    "HistoryMix",
    "Linear",
    "MaskBlock",
    "Pooling",
    "SelfAttention",
    "TargetAttention",
    "Tower",
    "bi_interaction",
    "field_aware_pairs",
    "flat_input",
    "inner_products",
    "outer_product",
]
