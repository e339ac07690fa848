"""Ranges of the hyper-parameters that several models share, each written once."""

from __future__ import annotations

from clickwise.config import require
from clickwise.schema import InputSpec


def check_embedding(embedding_dim: int, embedding_dropout: float = 0.0) -> None:
    """Raise a `ConfigError` unless they can be the width and the dropout of an embedding."""
    require(embedding_dim >= 1, "embedding_dim", embedding_dim, "a whole number >= 1")
    check_dropout("embedding_dropout", embedding_dropout)


def check_mlp(hidden_dims: tuple[int, ...], dropout: float) -> None:
    """Raise a `ConfigError` unless an MLP can be made of them."""
    check_widths("hidden_dims", hidden_dims)
    check_dropout("dropout", dropout)


def check_widths(key: str, widths: tuple[int, ...], at_least: int = 1) -> None:
    """Raise a `ConfigError` that names `key` unless they can be the widths of so many layers or more."""
    allowed = "a list of whole numbers >= 1" + (", or an empty one" if at_least == 0 else "")
    require(len(widths) >= at_least and all(width >= 1 for width in widths), key, list(widths), allowed)


def check_dropout(key: str, dropout: float) -> None:
    """Raise a `ConfigError` that names `key` unless it can be a share of activations to drop."""
    require(0.0 <= dropout < 1.0, key, dropout, "a number in [0, 1)")


def check_pairs(inputs: InputSpec) -> None:
    """Raise a `ConfigError` where a network on pairs of vectors and on dense features would have nothing to read."""
    require(
        inputs.num_vectors > 1 or inputs.num_dense > 0,
        "features",
        "one vector and no dense feature",
        "two or more vectors, or dense features; take a model without pairs, such as dnn",
    )


def check_cross(num_cross_layers: int) -> None:
    """Raise a `ConfigError` unless it can be the depth of a cross network."""
    require(num_cross_layers >= 1, "num_cross_layers", num_cross_layers, "a whole number >= 1")
