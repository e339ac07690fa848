"""Ranges of the hyper-parameters that several models share, each written once."""

from __future__ import annotations

from clickwise.config import require


def check_embedding(embedding_dim: int, embedding_dropout: float = 0.0) -> None:
    """Raise a `ConfigError` unless they can be the width and the dropout of an embedding."""
    require(embedding_dim >= 1, "embedding_dim", embedding_dim, "a whole number >= 1")
    require(0.0 <= embedding_dropout < 1.0, "embedding_dropout", embedding_dropout, "a number in [0, 1)")


def check_mlp(hidden_dims: tuple[int, ...], dropout: float) -> None:
    """Raise a `ConfigError` unless an MLP can be made of them."""
    require(
        len(hidden_dims) > 0 and min(hidden_dims) >= 1, "hidden_dims", list(hidden_dims), "a list of whole numbers >= 1"
    )
    require(0.0 <= dropout < 1.0, "dropout", dropout, "a number in [0, 1)")


def check_cross(num_cross_layers: int) -> None:
    """Raise a `ConfigError` unless it can be the depth of a cross network."""
    require(num_cross_layers >= 1, "num_cross_layers", num_cross_layers, "a whole number >= 1")
