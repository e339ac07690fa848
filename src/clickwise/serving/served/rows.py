"""The rows of the files of served requests, one a candidate.

| column | what |
|---|---|
| the raw columns of the model | as they were sent: text, or lists of text; null where they were not sent |
| served.request, served.time, served.version | id of the request; when, UTC; number of the version |
| served.logit, served.probability | what was answered |
| served.ids, served.numbers | what the model was given: table rows [S], dense features [N] |

What was looked up is in `served.ids` and `served.numbers` alone: stores hold no raw cells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.features.tokens import to_tokens
from clickwise.serving.engine.scores import Scores

REQUEST, TIME, VERSION = "served.request", "served.time", "served.version"
LOGIT, PROBABILITY = "served.logit", "served.probability"
IDS, NUMBERS = "served.ids", "served.numbers"
ABOUT = b"clickwise"
"""Metadata of a file: JSON with the name of the `version`, and digits of its `features`."""


class Answered(NamedTuple):
    """A request that was scored.

    Args:
        request_id: of HTTP.
        time_us: Unix time.
        number: of the version in its store.
        kinds: of the model's columns, as `Engine.kinds`.
        version: the version's name.
        features: digits of its features.
        scores: what was answered, and to what.
    """

    request_id: str
    time_us: int
    number: int
    kinds: Mapping[str, str]
    version: str
    features: str
    scores: Scores


def rows_of(answered: Answered) -> pa.RecordBatch:
    """One row a candidate."""
    scores = answered.scores
    assert scores.served is not None
    request, encoded = scores.served
    count = request.num_candidates
    columns: dict[str, pa.Array] = {}
    for name, kind in answered.kinds.items():
        side = request.candidates if name in request.candidates else request.user
        cells = _as_sent(side[name], kind) if name in side else None
        columns[name] = pa.nulls(count, _TYPES[kind == "list"]) if cells is None else _each(cells, count)
    columns |= {
        REQUEST: pa.repeat(pa.scalar(answered.request_id), count),
        TIME: pa.repeat(pa.scalar(answered.time_us, pa.timestamp("us", "UTC")), count),
        VERSION: pa.repeat(pa.scalar(answered.number, pa.int32()), count),
        LOGIT: pa.array(scores.logits, pa.float32()),
        PROBABILITY: pa.array(scores.probabilities, pa.float64()),
        IDS: _lists(encoded.sparse),
        NUMBERS: _lists(encoded.dense),
    }
    about = json.dumps({"version": answered.version, "features": answered.features})
    return pa.RecordBatch.from_pydict(columns).replace_schema_metadata({ABOUT: about.encode()})


_TYPES = (pa.string(), pa.list_(pa.string()))


def _as_sent(cells: pa.Array, kind: str) -> pa.Array:
    """Text, or lists of text where the column is one of lists."""
    if pa.types.is_list(cells.type):
        return cells.cast(_TYPES[1])
    text = cells if pa.types.is_string(cells.type) else to_tokens(cells, None).dictionary_decode()
    if kind != "list":
        return text
    singles = pa.ListArray.from_arrays(pa.array(np.arange(len(text) + 1), pa.int32()), text)
    return pa.array([cell if cell != [None] else None for cell in singles.to_pylist()], _TYPES[1])


def _each(cells: pa.Array, count: int) -> pa.Array:
    """The user's cell for each candidate."""
    return cells if len(cells) == count else cells.take(pa.array(np.zeros(count, np.int64)))


def _lists(matrix: np.ndarray) -> pa.Array:
    starts = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array(matrix.ravel()))
