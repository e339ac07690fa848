"""`Found`: what a search gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """The best items of each query, highest score first.

    Args:
        rows: [Q, k] int64 row numbers; -1 where there is none.
        scores: [Q, k] float32; -inf where there is none.
    """

    rows: np.ndarray
    scores: np.ndarray
