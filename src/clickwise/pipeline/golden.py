"""Golden requests: rows made of what a pipeline was fitted to, of missing values and of values it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from clickwise.features.bucket import Bucket
from clickwise.features.datetime_part import DateTimePart
from clickwise.features.pipeline import FeaturePipeline
from clickwise.features.sequence import Sequence
from clickwise.features.transform import DenseTransform, TokenTransform
from clickwise.features.vocabulary import Vocabulary
from clickwise.schema import Feature

REQUESTS = 20
_MOST_CANDIDATES = 8
_SHARE_MISSING, _SHARE_UNSEEN = 0.15, 0.15
_KNOWN_TOKENS = 1000  # of a vocabulary, the most frequent
_LONGEST = 5

Draw = Callable[[np.random.Generator], Any]


def golden_requests(pipeline: FeaturePipeline) -> Iterator[tuple[dict[str, Any], dict[str, list[Any]]]]:
    """Requests as a client would send them, each with the same rows as columns for `Bundle.logits`.

    They are the same for the same pipeline. Which columns are the user's changes from request to request.
    """
    rng = np.random.default_rng(0)
    draws = _draws(pipeline)
    for number in range(REQUESTS):
        count = 1 + number % _MOST_CANDIDATES
        of_user = _user_columns(pipeline, number)
        user = {name: draw(rng) for name, draw in draws.items() if name in of_user}
        candidates = [{name: draw(rng) for name, draw in draws.items() if name not in of_user} for _ in range(count)]
        rows = {name: [({**user, **candidate})[name] for candidate in candidates] for name in draws}
        yield {"user": user, "candidates": candidates}, rows


def _user_columns(pipeline: FeaturePipeline, number: int) -> set[str]:
    """The columns that no feature of the item reads; of some requests none, or every second one."""
    items = {f.column for f in pipeline.schema.features if f.name in pipeline.schema.item_side}
    ways = [set(pipeline.columns) - items, set(pipeline.columns[::2]), set()]
    return ways[number % len(ways)]


def _draws(pipeline: FeaturePipeline) -> dict[str, Draw]:
    """What makes a cell of each column."""
    found: dict[str, Draw] = {}
    weights: dict[str, str] = {}
    for feature in sorted(pipeline.schema.features, key=lambda f: _is_number(pipeline, f)):
        if feature.column:
            found[feature.column] = _draw(pipeline, feature)  # text that a feature reads as numbers must be one
        if getattr(feature.config, "weights", None):
            weights[feature.config.weights] = feature.column
    found |= {name: lambda rng: None for name in weights}
    return {name: found[name] for name in pipeline.columns}


def _is_number(pipeline: FeaturePipeline, feature: Feature) -> bool:
    return isinstance(pipeline.transforms.get(feature.name), DenseTransform | Bucket | DateTimePart)


def _draw(pipeline: FeaturePipeline, feature: Feature) -> Draw:
    transform: Any = pipeline.transforms[feature.name]
    if isinstance(transform, DateTimePart):
        return _maybe(lambda rng: _time(rng, transform.config.format))
    if isinstance(transform, DenseTransform | Bucket):
        return _maybe(lambda rng: float(np.round(rng.normal() * 10.0 ** rng.integers(0, 4), 3)))
    owner = pipeline.transforms[feature.shares] if isinstance(transform, Sequence) else transform
    assert isinstance(owner, TokenTransform)
    token = _token(owner)
    if isinstance(transform, Sequence) or owner.multi:
        return _maybe(lambda rng: [token(rng) for _ in range(rng.integers(0, _LONGEST))])
    return _maybe(token)


def _maybe(draw: Draw) -> Draw:
    return lambda rng: None if rng.random() < _SHARE_MISSING else draw(rng)


def _token(owner: TokenTransform) -> Draw:
    known = owner.tokens[:_KNOWN_TOKENS].to_pylist() if isinstance(owner, Vocabulary) else []

    def draw(rng: np.random.Generator) -> str:
        if not known or rng.random() < _SHARE_UNSEEN:
            return f"unseen {rng.integers(1000)}"
        return str(known[rng.integers(len(known))])

    return draw


def _time(rng: np.random.Generator, format: str | None) -> str:
    moment = datetime.fromtimestamp(1.4e9 + int(rng.integers(10**8)), UTC)
    return moment.strftime(format) if format else moment.strftime("%Y-%m-%dT%H:%M:%S")
