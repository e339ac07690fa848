"""`evaluate_retrieval`: does a model of two towers find, among all items, what people went on to choose?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.bundle import Bundle, Towers
from clickwise.data.config import DataConfig
from clickwise.data.plain import check_known
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block, Source
from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.evaluation.retrieval import KS, Measured, RetrievalReport, Search, Slices, measure_search
from clickwise.models import TwoTower
from clickwise.pipeline.held_out_rows import HeldOutReader, HeldOutRows, Numbering, names_of_items, sieve_of_log
from clickwise.pipeline.scoring import load, reading_config, scoring_source
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.retrieval.exact_search import best_items, most_popular
from clickwise.retrieval.found import Found

POPULARITY = "popularity"
"""The baseline that shows everybody the same items, the most popular ones."""


def evaluate_retrieval(
    bundle: Bundle | str | Path,
    data: Any,
    *,
    seen: Any = None,
    items: Any = None,
    ks: Sequence[int] = KS,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> RetrievalReport:
    """Search all items for each query of `data`, and measure where those stand that it chose.

    A query is what the column `schema.group` says, where the logs have it, and else the columns of the query's tower;
    an item is what `schema.item` says.

    Args:
        data: as for `train`; rows with label 1 are what is to be found.
        seen: the training log. Its items are the corpus, how often they were chosen is their popularity, and what a
            query chose in it is left out for that query.
        items: a catalogue, rows with the columns of the item's tower: also these are to be found among, in front of
            those of `seen`. Its format is told by its name.
        ks: lengths of lists, rising.
        settings: such as `"data.format=csv"`, for `data` and `seen`.

    Raises:
        BundleError: the model has no towers, or does not say which column names the item.
        ConfigError: neither `seen` nor `items` says which items there are.
        DataError: data that is missing or cannot be used; nothing is to be found; too many unreadable rows.
    """
    progress, began = progress or default_progress(), time.perf_counter()
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle)
    if not isinstance(bundle.model, TwoTower):
        problem = f"the model is {bundle.model_name}, which gives click probabilities and finds no items"
        raise BundleError(f"{problem}; evaluate it without --seen and --items")
    towers = Towers(bundle)
    if seen is None and items is None:
        raise ConfigError("--seen", "is missing: give the training log, whose items are what there is to be found")
    config = reading_config(towers.bundle, settings)
    source = _log(towers, data, config, progress)
    corpus = _Items(towers)
    if items is not None:
        corpus.read(items, config, progress)
    found, quarantined = _held_out(source, seen, corpus, config, progress)
    if found.unnamed:
        progress.warn(f"{found.unnamed:,} rows name no item, or no query, and were left out")
    popularity = None if seen is None else found.popularity
    slices = None if popularity is None else Slices.of(found.held_out, popularity)

    def measured(search: Search, name: str) -> Measured:
        told = {"ks": ks, "popularity": popularity, "slices": slices, "progress": progress}
        return measure_search(search, found.held_out, name=name, **told)  # type: ignore[arg-type]

    name = towers.bundle.model_name
    systems = {name: measured(_exact(towers, found, corpus.vectors), name)}
    if popularity is not None:
        systems[POPULARITY] = measured(most_popular(popularity, found.held_out.excluded), POPULARITY)
    return RetrievalReport(
        systems=systems,
        held_out=found.held_out,
        slices=slices,
        source=source.name,
        quarantined=quarantined,
        seconds=time.perf_counter() - began,
    )


class _Items:
    """The items to find, with their vectors, in the order they come."""

    def __init__(self, towers: Towers) -> None:
        self.towers, self.numbering = towers, Numbering()
        self._vectors = [np.empty((0, towers.dim), np.float32)]

    def take(self, sieve: Sieve, block: Block) -> np.ndarray:
        """Take in rows of new items; positions of those that could be read."""
        kept, _, vectors = sieve.read(block, lambda b: self.towers.items(b.data))
        self._vectors.append(vectors)
        return kept

    def read(self, items: Any, config: DataConfig, progress: Progress) -> None:
        """Take in a catalogue; of rows with one id the first counts."""
        apart = replace(config, format="auto", header=None, names=(), delimiter=None)
        columns = list(dict.fromkeys([self.towers.item_column, *self.towers.item.columns]))
        source = scoring_source(self.towers.bundle, items, apart, columns, progress)
        check_known(columns, list(source.columns()), source.name)
        with (
            sieve_of_log(config, None) as sieve,
            closing(sieve.blocks(source, columns, "read items", progress)) as stream,
        ):
            for block in stream:
                names = names_of_items(block.data.column(self.towers.item_column))
                new = self.numbering.new(names)
                new = new[names[new] != 0]
                mask = np.zeros(len(block), bool)
                mask[new] = True
                self.numbering.add(names[new][self.take(sieve, block.keep(mask))])

    @property
    def vectors(self) -> np.ndarray:
        """[C, K] float32"""
        return np.concatenate(self._vectors)


def _log(towers: Towers, data: Any, config: DataConfig, progress: Progress) -> Source:
    """A log; what it lacks of queries and items comes from the side tables of training."""
    needed = [*towers.query.columns, *towers.item.columns]
    return scoring_source(towers.bundle, data, config, needed, progress)


def _held_out(
    source: Source, seen: Any, corpus: _Items, config: DataConfig, progress: Progress
) -> tuple[HeldOutRows, int]:
    """What is to be found, and how many rows of `source` could not be read."""
    towers, schema = corpus.towers, corpus.towers.bundle.schema
    log = None if seen is None else _log(towers, seen, config, progress)
    reader = HeldOutReader(
        schema,
        towers.query.columns,
        corpus.numbering,
        grouped=schema.group is not None and all(schema.group in s.columns() for s in (source, log) if s is not None),
        check=towers.query.encode,
        take=corpus.take,
    )
    with sieve_of_log(config, config.quarantine) as sieve:
        reader.find(source, sieve, progress)
    if not reader.num_queries:
        problem = f"no row{' has label 1 and' if schema.label else ''} names an item to find"
        raise DataError(problem, file=source.name, fix="check the file and its label")
    if log is not None:
        with sieve_of_log(config, None) as seen_sieve:
            reader.leave_out(log, towers.item.columns, seen_sieve, progress)
    return reader.finish(), sieve.quarantine.count


def _exact(towers: Towers, found: HeldOutRows, items: np.ndarray) -> Search:
    """All items by their dot products with the query."""

    def search(at: np.ndarray, k: int) -> Found:
        return best_items(towers.queries(found.queries.take(pa.array(at))), items, k, found.held_out.excluded.take(at))

    return search
