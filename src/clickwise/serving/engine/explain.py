"""What each column of a request does: the log-odds of its candidates beside those without that column."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.serving.engine.request import Request
from clickwise.serving.engine.scores import Scores


class Explained(NamedTuple):
    """Scores of a request, and why the best candidates have theirs.

    Args:
        scores: of all candidates.
        best: places of the K explained candidates in the request, best first [K].
        columns: that the request gives, C of them.
        effects: [K, C]; how much lower the log-odds get when the column is missing. They need not add up to anything:
            a column may do its work together with another one.
    """

    scores: Scores
    best: np.ndarray
    columns: tuple[str, ...]
    effects: np.ndarray


def best_of(logits: np.ndarray, num_columns: int, max_rows: int) -> np.ndarray:
    """Places of the best candidates, best first: as many as `max_rows` rows can explain, but at least one."""
    most = max(1, max_rows // max(num_columns, 1))
    return np.argsort(-logits, kind="stable")[:most]


def each_left_out(request: Request, best: np.ndarray) -> dict[str, pa.Array]:
    """Whole rows [C * K]: the candidates `best` [K], once for each of the request's columns, which is missing there."""
    names = (*request.user, *request.candidates)
    found = {}
    for place, name in enumerate(names):
        of_user = name in request.user
        cells = request.user[name] if of_user else request.candidates[name]
        at = np.tile(np.zeros(len(best), np.int64) if of_user else best, len(names))
        missing = np.repeat(np.arange(len(names)) == place, len(best))
        found[name] = cells.take(pa.array(at, mask=missing))
    return found
