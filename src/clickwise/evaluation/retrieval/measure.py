"""From a search to what it is worth, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from clickwise.config import require
from clickwise.evaluation.retrieval.measured import Figure, Measured
from clickwise.evaluation.retrieval.slices import Slices
from clickwise.metrics.exposure import Coverage, mean_log_popularity, novelty_at_k, popularity_bias_at_k
from clickwise.metrics.retrieval import MEASURED
from clickwise.progress import Progress
from clickwise.registry import retrieval_metrics
from clickwise.retrieval.exact_search import query_blocks
from clickwise.retrieval.found import Found
from clickwise.retrieval.held_out import HeldOut

KS = (10, 20, 50)
"""Lengths of lists that are measured unless told otherwise."""

Search = Callable[[np.ndarray, int], Found]
"""Any system: numbers of queries [n] and k in, k items for each of them out, without those left out for it."""


def measure_search(
    search: Search,
    held_out: HeldOut,
    *,
    ks: Sequence[int] = KS,
    metrics: Sequence[str] = MEASURED,
    popularity: np.ndarray | None = None,
    slices: Slices | None = None,
    name: str = "",
    progress: Progress | None = None,
) -> Measured:
    """Search for every query once, at the greatest length. Memory: a block of queries, and some 100 bytes a query.

    Args:
        ks: lengths, rising.
        metrics: registered names, of `retrieval_metrics`.
        popularity: [C] training interactions of each item; None measures neither novelty nor popularity bias.
        slices: measure recall by these too.
        name: what to call the system to the progress.

    Raises:
        ConfigError: an unknown metric, or lengths that do not rise from 1.
    """
    progress = progress or Progress()
    require(len(ks) > 0 and all(a < b for a, b in pairwise((0, *ks))), "ks", list(ks), "whole numbers >= 1, rising")
    measures = {name: retrieval_metrics.get(name, "metrics") for name in metrics}
    tally = _Tally(held_out, tuple(ks), measures, popularity, slices)
    progress.start(f"search {name}".rstrip(), len(held_out))
    for at in query_blocks(len(held_out), held_out.num_items):
        tally.update(at, search(at, ks[-1]).rows)
        progress.advance(len(at))
    progress.finish()
    return tally.measured()


class _Tally:
    """Takes in the lists of the queries, block by block."""

    def __init__(
        self,
        held_out: HeldOut,
        ks: tuple[int, ...],
        measures: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]],
        popularity: np.ndarray | None,
        slices: Slices | None,
    ) -> None:
        self._held_out, self._ks, self._measures = held_out, ks, measures
        self._popularity, self._slices = popularity, slices
        self._wanted = None if popularity is None else _wanted(held_out, popularity)
        self._total = 0 if popularity is None else int(popularity.sum())
        names = (*measures, *(("novelty", "popularity_bias") if popularity is not None else ()))
        self._values = {name: np.full((len(held_out), len(ks)), np.nan, np.float32) for name in names}
        self._coverage = [Coverage(held_out.num_items) for _ in ks]
        parts = 0 if slices is None else len(slices)
        self._slice_recall = np.full((len(held_out), parts, len(ks)), np.nan, np.float32)
        self._shown = np.zeros((parts, len(ks)), np.int64)

    def update(self, at: np.ndarray, rows: np.ndarray) -> None:
        """The lists [n, k] of the queries `at` [n]."""
        hits, relevant = self._held_out.hits(at, rows), self._held_out.num_relevant[at]
        for column, k in enumerate(self._ks):
            for name, measure in self._measures.items():
                self._values[name][at, column] = measure(hits[:, :k], relevant)
            self._coverage[column].update(rows[:, :k])
            if self._popularity is not None and self._wanted is not None:
                novelty = novelty_at_k(rows[:, :k], self._popularity, self._total)
                bias = popularity_bias_at_k(rows[:, :k], self._popularity, self._wanted[at])
                self._values["novelty"][at, column], self._values["popularity_bias"][at, column] = novelty, bias
            if self._slices is not None:
                found, there = self._slices.hits(hits[:, :k], rows[:, :k]), self._slices.relevant[at]
                recall = np.divide(found, there, out=np.full(found.shape, np.nan), where=there > 0)
                self._slice_recall[at, :, column] = recall
                self._shown[:, column] += self._slices.shown(rows[:, :k])

    def measured(self) -> Measured:
        """All of it."""
        sliced = self._slices is not None
        return Measured(
            ks=self._ks,
            values=self._values,
            coverage=[Figure(coverage.value, coverage.stderr) for coverage in self._coverage],
            slice_recall=self._slice_recall if sliced else None,
            slice_share=self._shown / np.maximum(self._shown.sum(0), 1) if sliced else None,
        )


def _wanted(held_out: HeldOut, popularity: np.ndarray) -> np.ndarray:
    """[Q] mean ln popularity of what is relevant; what is no item of the corpus has no interactions, so ln 1."""
    relevant = held_out.relevant
    known = mean_log_popularity(relevant.query, popularity[relevant.rows], len(held_out))
    share = relevant.counts / np.maximum(held_out.num_relevant, 1)
    return np.where(share > 0, known, 0.0) * share
