"""Encoded parts of a data set, scored by a model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from clickwise import bundle as bundles
from clickwise.data.dataset import EncodedPart
from clickwise.evaluation import ScoredBlock, ScoredRows
from clickwise.models import Ranker

_BATCH_ROWS = 16_384
_MOST_ROWS = 1_000_000


def scored_rows(ranker: Ranker, part: EncodedPart, seed: int) -> ScoredRows:
    """The rows of a part with their logits; a random sample of a large part."""
    found = []
    batches = part.batches(_BATCH_ROWS, seed if len(part) > _MOST_ROWS else None)
    for batch in islice(batches, -(-_MOST_ROWS // _BATCH_ROWS)):
        assert batch.label is not None
        label = batch.label.numpy().astype(np.float64)
        weight = np.ones(len(batch)) if batch.weight is None else batch.weight.numpy().astype(np.float64)
        logit = bundles.batch_logits(ranker, batch).astype(np.float64)
        found.append((batch.sparse.numpy(), logit, label, weight))
    return ScoredRows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def scored_blocks(ranker: Ranker, part: EncodedPart) -> Iterator[ScoredBlock]:
    """All rows of a part with the logits of the model itself."""
    for batch, label, weight, group in part.scored_batches(_BATCH_ROWS):
        logit = bundles.batch_logits(ranker, batch)
        yield ScoredBlock(logit, label, weight if part.weighted else None, group, None)
