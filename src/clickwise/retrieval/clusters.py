"""Vectors parted into lists of neighbours, by k-means."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from clickwise.retrieval.faiss_library import faiss_threads, scaled

_SAMPLE = 50
_ROUNDS = 8
_ROWS_AT_ONCE = 1 << 14
_SAME_LENGTH = 0.01


def clustered(
    faiss: Any, vectors: np.ndarray, exponent: int, count: int, seed: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centres [count, K] float32, and the centre [C] int64 that each of `vectors` [C, K] times 2^exponent belongs to.

    Vectors of one length go to the centre of the highest cosine, and centres have length 1. Others go to the nearest
    centre, and centres are means: the product of a query and a centre is the mean of its products with the list; else
    lists of long vectors would be looked at too late. The threads do not change what is found.

    Args:
        exponent: what makes their squares fit float32.
        count: at most C.
        seed: of the sample, 50 vectors a list, and of the first centres.
    """
    rng, sample = np.random.default_rng(seed), vectors
    if len(vectors) > _SAMPLE * count:
        sample = vectors[np.sort(rng.choice(len(vectors), _SAMPLE * count, replace=False))]
    sample = scaled(sample, exponent)
    length = np.linalg.norm(sample, axis=1)
    alike = bool(np.ptp(length) <= _SAME_LENGTH * length.max())
    centres = sample[rng.choice(len(sample), count, replace=False)]
    for _ in range(_ROUNDS):
        centres = _means(sample, _nearest(faiss, sample, 0, centres, alike, threads), count, alike, rng)
    return centres, _nearest(faiss, vectors, exponent, centres, alike, threads)


def _nearest(
    faiss: Any, vectors: np.ndarray, exponent: int, centres: np.ndarray, alike: bool, threads: int
) -> np.ndarray:
    """The centre of each vector.  [C] int64"""
    of = np.empty(len(vectors), np.int64)
    metric = faiss.METRIC_INNER_PRODUCT if alike else faiss.METRIC_L2

    def find(start: int) -> None:
        part = slice(start, start + _ROWS_AT_ONCE)
        with faiss_threads(faiss, 1):
            of[part] = faiss.knn(scaled(vectors[part], exponent), centres, 1, metric=metric)[1][:, 0]

    with ThreadPoolExecutor(threads) as pool:  # faiss's own threads wait for each other, which costs on a busy machine
        list(pool.map(find, range(0, len(vectors), _ROWS_AT_ONCE)))
    return of


def _means(sample: np.ndarray, of: np.ndarray, count: int, alike: bool, rng: np.random.Generator) -> np.ndarray:
    """The mean of the vectors of each centre, made to length 1 where all are; a centre without any moves to one."""
    sizes = np.bincount(of, minlength=count)
    there = np.flatnonzero(sizes)
    starts = (np.cumsum(sizes) - sizes)[there]
    centres = sample[rng.choice(len(sample), count, replace=False)]
    sums = np.add.reduceat(sample[np.argsort(of, kind="stable")], starts, axis=0)
    centres[there] = sums / sizes[there, None]
    if alike:
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return centres
