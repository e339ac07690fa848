"""Parts that models are composed of. Layers take plain keywords and know no optimiser, loss or file."""

from clickwise.layers.cross import CrossV1, CrossV2
from clickwise.layers.embedding import Embedding
from clickwise.layers.embedding_table import EmbeddingTable
from clickwise.layers.fm import FMInteraction
from clickwise.layers.linear import Linear
from clickwise.layers.mlp import MLP, flat_input

__all__ = ["MLP", "CrossV1", "CrossV2", "Embedding", "EmbeddingTable", "FMInteraction", "Linear", "flat_input"]
