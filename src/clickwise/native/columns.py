"""Raw columns, compiled: text to fingerprints, ids and counts, and numbers from text and to buckets.

Every function lets other Python threads run, so that callers can work on several columns at once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from clickwise.native import Tier, kernels, tier
from clickwise.native.requests import InputPlan, Target

_NO_NULLS = np.zeros(0, np.uint8)
_MOST_BITS = 28  # of a fingerprint: 2^28 places of 4 bytes are the largest directory


def compiled() -> bool:
    """Whether these functions can be used."""
    return tier() > Tier.TORCH


def survey(text: pa.Array) -> tuple[int, bool]:
    """Bytes of the longest cell of a string or binary array, and whether all of its bytes are ASCII."""
    longest, ascii_only = kernels().survey_text(*_buffers(text))
    return longest, ascii_only


def xxh64(text: pa.Array, seed: int) -> np.ndarray:
    """XXH64 of each cell: [n] uint64. A null counts as empty text."""
    out = np.empty(len(text), np.uint64)
    kernels().hash_text(*_buffers(text), seed, out)
    return out


def buckets(text: pa.Array, seed: int, count: int, first: int, missing: int) -> np.ndarray:
    """first + xxh64(cell, seed) mod count: [n] int32; `missing` where a cell is null or empty."""
    out = np.empty(len(text), np.int32)
    kernels().bucket_text(*_buffers(text), seed, count, first, missing, out)
    return out


class Lookup:
    """Finds tokens in the sorted fingerprints of a vocabulary, which stay where they are (mapped from a file, say).

    A directory of the first bits leads to the one or two fingerprints that share them: 4 to 8 bytes a token.

    Args:
        seed: seed of the fingerprints.
        hashes: [V] uint64, rising.
        ids: [V] int32, the id that belongs to each.
    """

    def __init__(self, seed: int, hashes: np.ndarray, ids: np.ndarray) -> None:
        bits = min(max(len(hashes).bit_length(), 1), _MOST_BITS)
        self._first = np.empty((1 << bits) + 1, np.int32)
        self._seed, self._hashes, self._ids = seed, np.ascontiguousarray(hashes), np.ascontiguousarray(ids)
        kernels().fingerprint_directory(self._hashes, self._first)

    def compile_into(self, plan: InputPlan, target: Target) -> None:
        """Let a plan find the tokens of a column."""
        plan.add_vocabulary(target, self._seed, self._hashes, self._ids, self._first)

    def find(self, text: pa.Array, otherwise: int, missing: int) -> np.ndarray:
        """[n] int32 ids; `missing` where a cell is null or empty, `otherwise` where its token is not there."""
        out = np.empty(len(text), np.int32)
        parts = (self._seed, self._hashes, self._ids, self._first)
        kernels().find_tokens(*_buffers(text), *parts, otherwise, missing, out)
        return out


class Counter:
    """Counts tokens, exactly. Not for several threads at once."""

    def __init__(self) -> None:
        self._counter = kernels().TokenCounter()

    def __len__(self) -> int:
        """Different tokens counted so far."""
        return self._counter.size()

    def add(self, text: pa.Array, error: int) -> int:
        """Count one more chunk of tokens, as text or as a dictionary of text; null and empty are none.

        Gives how many different ones it has.

        Args:
            error: kept beside each token that is new.
        """
        text = text.dictionary_decode() if pa.types.is_dictionary(text.type) else text
        return self._counter.add(*_buffers(text), xxh64(text, 0), error)

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Count and error of each token, int64, in order of first appearance."""
        count, error = np.empty(len(self), np.int64), np.empty(len(self), np.int64)
        self._counter.counts(count, error)
        return count, error

    def tokens(self) -> pa.LargeStringArray:
        """The tokens in the same order."""
        offsets, data = np.empty(len(self) + 1, np.int64), np.empty(self._counter.bytes(), np.uint8)
        self._counter.tokens(offsets, data)
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(offsets), pa.py_buffer(data))

    def drop(self, floor: int) -> None:
        """Forget the tokens whose count + error is at most `floor`."""
        self._counter.drop(floor)


def numbers(text: pa.Array) -> pa.DoubleArray | None:
    """The cells as numbers [n], null where a cell is null or empty.

    None when there is a cell that is not plain digits (with a minus, with a point), or has more than 15 of them.
    """
    value, present = np.empty(len(text), np.float64), np.empty((len(text) + 7) // 8, np.uint8)
    missing = kernels().parse_numbers(*_buffers(text), value, present)
    if missing < 0:
        return None
    validity = pa.py_buffer(present) if missing else None
    return pa.DoubleArray.from_buffers(pa.float64(), len(text), [validity, pa.py_buffer(value)], missing)


def places(x: np.ndarray, cuts: np.ndarray, first: int, missing: int) -> np.ndarray:
    """first + #{c : cuts[c] <= x[i]} for rising `cuts` [C]: [n] int32; `missing` where x [n] float64 is NaN."""
    out = np.empty(len(x), np.int32)
    kernels().place_numbers(np.ascontiguousarray(x), cuts, first, missing, out)
    return out


def sample(x: np.ndarray, seen: int, seed: int, limit: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The numbers of x [n] that are not NaN, at positions `seen` onwards, whose hash is at most `limit`.

    Returns:
        splitmix64(position ^ seed) of those kept, uint64; the numbers, float64; how many of x are not NaN.
    """
    hashes, values = np.empty(len(x), np.uint64), np.empty(len(x), np.float64)
    kept, counted = kernels().sample_numbers(np.ascontiguousarray(x), seen, seed, limit, hashes, values)
    return hashes[:kept], values[:kept], counted


def _buffers(text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Bytes [size] uint8, offsets [n + 1] int32 or int64, validity bits (empty: no nulls), and the first of these."""
    kind = text.type
    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    assert large or pa.types.is_string(kind) or pa.types.is_binary(kind), f"{kind} is not text"
    width = np.int64 if large else np.int32
    validity, offsets, data = text.buffers()
    starts = np.zeros(1, width)
    if len(text):
        starts = np.frombuffer(offsets, width, len(text) + 1, text.offset * starts.itemsize)
    content = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    bits = _NO_NULLS if validity is None or not len(text) else np.frombuffer(validity, np.uint8)
    return content, starts, bits, text.offset if len(bits) else 0
