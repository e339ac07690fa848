"""faiss: whether it is there, and how many threads it takes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from clickwise.errors import MissingExtraError
from clickwise.retrieval.found import Found
from clickwise.retrieval.merging import nothing, padded

_LARGEST_EXPONENT = 14
"""Of the largest number of the vectors that is stored: those 2^28 times smaller still keep 11 bits."""
_ONE_FACTOR = 120


def faiss_module() -> Any:
    """faiss.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise MissingExtraError("an index of kind faiss or hnsw", "retrieval") from None


@contextmanager
def faiss_threads(faiss: Any, threads: int) -> Iterator[None]:
    """Let faiss use so many threads, in what this thread calls.

    Where torch was imported before faiss, the two share one OpenMP runtime and this number; it is put back after.
    """
    before = faiss.omp_get_max_threads()
    if threads == before:
        yield
        return
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def exponent_of(vectors: np.ndarray) -> int:
    """e for which vectors * 2^e fit half precision well, however large or small they are."""
    largest = float(max(vectors.max(initial=0.0), -vectors.min(initial=0.0)))
    return _LARGEST_EXPONENT - int(np.frexp(largest)[1]) if largest else 0


def scaled(x: np.ndarray, exponent: int) -> np.ndarray:
    """x * 2^exponent in float32, exact where the result is in range."""
    if abs(exponent) > _ONE_FACTOR:  # 2^exponent itself may be out of range
        return scaled(scaled(x, exponent // 2), exponent - exponent // 2)
    return x * np.float32(2.0**exponent)


def halves(vectors: np.ndarray, exponent: int) -> np.ndarray:
    """vectors * 2^exponent in half precision.  [n, K] float16"""
    return scaled(vectors, exponent).astype(np.float16)


def whole(codes: np.ndarray, exponent: int) -> np.ndarray:
    """The inverse of `halves`.  [n, K] float32"""
    return scaled(codes.astype(np.float32), -exponent)


def found_by_faiss(scores: np.ndarray, rows: np.ndarray, exponent: int) -> Found:
    """What faiss found among vectors that were multiplied by 2^exponent."""
    none = rows < 0
    scores[none] = 0.0
    with np.errstate(over="ignore"):
        scores = scaled(scores, -exponent)
    scores[none] = -np.inf
    return Found(rows, scores)


def selector(faiss: Any, allowed: np.ndarray) -> Any:
    """What tells faiss which rows are `allowed` [C] bool."""
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


class Halves:
    """A few vectors in half precision, searched exactly.

    Args:
        codes: [n, K] float16, multiplied by 2^exponent.
    """

    def __init__(self, codes: np.ndarray, exponent: int) -> None:
        self._faiss, self._exponent, self._size = faiss_module(), exponent, len(codes)
        kind = self._faiss.ScalarQuantizer.QT_fp16
        self._index = self._faiss.IndexScalarQuantizer(codes.shape[1], kind, self._faiss.METRIC_INNER_PRODUCT)
        if len(codes):
            self._index.add_sa_codes(np.ascontiguousarray(codes).view(np.uint8).reshape(len(codes), -1))

    def search(self, queries: np.ndarray, k: int, *, threads: int = 1) -> Found:
        """The k best rows of each query [Q, K]; see `VectorIndex.search`."""
        if not self._size or not len(queries):
            return nothing(len(queries), k)
        with faiss_threads(self._faiss, threads):
            scores, rows = self._index.search(queries, min(k, self._size))
        return padded(found_by_faiss(scores, rows, self._exponent), k)
