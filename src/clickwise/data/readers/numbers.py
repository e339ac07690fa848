"""Text to numbers, with the places of the text that is none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"(?i)^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf|infinity)$"


def parse_floats(text: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """`text` [n] as float64, null where it is null or no number, and the positions of what is no number.

    >>> numbers, bad = parse_floats(pa.array(["+1", "2.5e3", "x", None]))
    >>> numbers.to_pylist(), bad.tolist()
    ([1.0, 2500.0, None, None], [2])
    """
    try:
        return pc.cast(text, pa.float64()), np.empty(0, np.int64)
    except pa.ArrowInvalid:
        trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(text), "+")
        good = pc.match_substring_regex(pc.utf8_trim_whitespace(text), _NUMBER)
        numbers = pc.cast(pc.if_else(good, trimmed, pa.scalar(None, pa.string())), pa.float64())
        bad = pc.fill_null(pc.invert(good), False).to_numpy(zero_copy_only=False)
        return numbers, np.flatnonzero(bad)
