"""The raw columns that a request may have, and what kind of cell each holds."""

from __future__ import annotations

from typing import Any, Literal

from clickwise.features.bucket import Bucket
from clickwise.features.datetime_part import DateTimePart
from clickwise.features.pipeline import FeaturePipeline
from clickwise.features.sequence import Sequence
from clickwise.features.transform import DenseTransform, TokenTransform
from clickwise.schema import Feature

Kind = Literal["text", "number", "time", "list"]
_ORDER: tuple[Kind, ...] = ("text", "number", "time", "list")  # of several features' kinds, the last


def kinds_of(pipeline: FeaturePipeline) -> dict[str, Kind]:
    """The kind of each raw column that scoring reads, in the order of the schema.

    "text": categories; numbers and true or false are taken as training took them. "number"; "time": ISO text or Unix
    time, or as the feature's format says. "list": many values; one alone is allowed.
    """
    found: dict[str, Kind] = dict.fromkeys(pipeline.columns, "text")
    for feature in pipeline.schema.features:
        if feature.column:
            kind = _kind_of(pipeline, feature)
            found[feature.column] = max(found[feature.column], kind, key=_ORDER.index)
        weights = getattr(feature.config, "weights", None)
        if weights:
            found[weights] = "list"
    return found


def _kind_of(pipeline: FeaturePipeline, feature: Feature) -> Kind:
    transform: Any = pipeline.transforms[feature.name]
    if isinstance(transform, DenseTransform | Bucket):
        return "number"
    if isinstance(transform, DateTimePart):
        return "time"
    many = isinstance(transform, Sequence) or (isinstance(transform, TokenTransform) and transform.multi)
    return "list" if many else "text"
