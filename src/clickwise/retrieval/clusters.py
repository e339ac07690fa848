"""Vectors parted into lists of neighbours, by k-means."""

from __future__ import annotations

from typing import Any

import numpy as np

from clickwise.retrieval.faiss_library import scaled

_SAMPLE = 50
_ROUNDS = 8
_ROWS_AT_ONCE = 1 << 16
_SAME_LENGTH = 0.01


def clustered(faiss: Any, vectors: np.ndarray, exponent: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres [count, K] float32, and the centre [C] int64 that each of `vectors` [C, K] times 2^exponent belongs to.

    Vectors of one length go to the centre of the highest cosine, and centres have length 1. Others go to the nearest
    centre, and centres are means: the product of a query and a centre is the mean of its products with the list; else
    lists of long vectors would be looked at too late.

    Args:
        exponent: what makes their squares fit float32.
        count: at most C.
        seed: of the sample, 50 vectors a list, and of the first centres.
    """
    sample = vectors
    if len(vectors) > _SAMPLE * count:
        chosen = np.random.default_rng(seed).choice(len(vectors), _SAMPLE * count, replace=False)
        sample = vectors[np.sort(chosen)]
    sample = scaled(sample, exponent)
    length = np.linalg.norm(sample, axis=1)
    alike = bool(np.ptp(length) <= _SAME_LENGTH * length.max())
    means = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        seed=seed,
        spherical=alike,
        min_points_per_centroid=1,
        max_points_per_centroid=_SAMPLE + 1,
    )
    means.train(sample)
    metric = faiss.METRIC_INNER_PRODUCT if alike else faiss.METRIC_L2
    of = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        of[part] = faiss.knn(scaled(vectors[part], exponent), means.centroids, 1, metric=metric)[1][:, 0]
    return means.centroids, of
