"""Raw columns to model inputs: one file a transform, and the fitted pipeline. Importing it registers them."""

from __future__ import annotations

from clickwise.features.bucket import Bucket
from clickwise.features.cross import Cross
from clickwise.features.datetime_part import DateTimePart
from clickwise.features.hashing import Hashing
from clickwise.features.log import LogScale
from clickwise.features.pipeline import Encoded, FeaturePipeline, PipelineFit
from clickwise.features.quantile import Quantile
from clickwise.features.sequence import Sequence
from clickwise.features.standard import Standardise
from clickwise.features.vocabulary import Vocabulary

__all__ = [
    "Bucket",
    "Cross",
    "DateTimePart",
    "Encoded",
    "FeaturePipeline",
    "Hashing",
    "LogScale",
    "PipelineFit",
    "Quantile",
    "Sequence",
    "Standardise",
    "Vocabulary",
]
