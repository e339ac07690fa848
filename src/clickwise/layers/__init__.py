"""Parts that models are composed of. Layers take plain keywords and know no optimiser, loss or file."""

from clickwise.layers.cin import CIN
from clickwise.layers.cross import CrossV1, CrossV2
from clickwise.layers.embedding import Embedding
from clickwise.layers.embedding_table import EmbeddingTable
from clickwise.layers.fm import FMInteraction, bi_interaction
from clickwise.layers.linear import Linear
from clickwise.layers.mlp import MLP, flat_input
from clickwise.layers.products import field_aware_pairs, inner_products, outer_product

__all__ = [
    "CIN",
    "MLP",
    "CrossV1",
    "CrossV2",
    "Embedding",
    "EmbeddingTable",
    "FMInteraction",
    "Linear",
    "bi_interaction",
    "field_aware_pairs",
    "flat_input",
    "inner_products",
    "outer_product",
]
