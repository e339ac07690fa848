"""`evaluate_recommender`: what each stage of a cascade adds or loses, on what people went on to choose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.data.config import DataConfig
from clickwise.data.source import Source
from clickwise.errors import DataError
from clickwise.evaluation.retrieval import KS, Comparison, Measured, RetrievalReport, Search, Slices, measure_search
from clickwise.features.sampling import splitmix64
from clickwise.pipeline.held_out_rows import HeldOutReader, HeldOutRows, Numbering, names_of_items, sieve_of_log
from clickwise.pipeline.recommending import opened
from clickwise.pipeline.scoring import scoring_source
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.retrieval.exact_search import best_items, most_popular
from clickwise.retrieval.found import Found
from clickwise.retrieval.held_out import HeldOut
from clickwise.retrieval.merging import renumbered
from clickwise.retrieval.recommender import Recommender
from clickwise.retrieval_summaries import CascadeReport

EXACT, INDEX, CASCADE, POPULARITY = "exact", "index", "cascade", "popularity"
_MOST_SCORES = 2_000_000_000
_FEWEST_QUERIES = 1_000


def evaluate_recommender(
    recommender: Recommender | str | Path,
    data: Any,
    *,
    seen: Any = None,
    ks: Sequence[int] = KS,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> CascadeReport:
    """Measure the same queries by exact search, by the index, and after ranking, with the differences query by query.

    A query is what the column `schema.group` of the towers says, where the logs have it, and else the columns of a
    request; it looks as in its first row. Of many queries for many items, some are measured, chosen by a hash: as many
    as have two billion scores, and at least a thousand.

    Args:
        data: as for `train`; rows with label 1 are what is to be found.
        seen: the training log: how often its items were chosen is their popularity, and what a query chose in it is
            left out for that query.
        ks: lengths of lists, rising.
        settings: such as "data.format=csv" or "recommender.candidates=100".

    Raises:
        BundleError: no recommender, damaged, or of another format version.
        DataError: data that is missing or cannot be used; nothing is to be found; too many unreadable rows.
    """
    progress, began = progress or default_progress(), time.perf_counter()
    made, reading = opened(recommender, settings)
    source = scoring_source(made.towers.bundle, data, reading, made.columns, progress)
    there = np.arange(len(made.items.catalogue))
    there = there[made.items.rows_of(pa.array(made.items.ids_of(there), pa.string())) == there]
    found, quarantined = _read(made, there, source, seen, reading, progress)
    found = _some(found, progress)
    popularity = None if seen is None else found.popularity
    slices = None if popularity is None else Slices.of(found.held_out, popularity)

    def measured(search: Search, name: str) -> Measured:
        told = {"ks": ks, "popularity": popularity, "slices": slices, "progress": progress}
        return measure_search(search, found.held_out, name=name, **told)  # type: ignore[arg-type]

    searches = _searches(made, there, found)
    if popularity is not None:
        searches[POPULARITY] = most_popular(popularity, found.held_out.excluded)
    systems = {name: measured(search, name) for name, search in searches.items()}
    labels = slices.labels if slices else ()
    pairs = ((EXACT, INDEX), (INDEX, CASCADE))
    comparisons = tuple(Comparison((a, b), systems[a], systems[b], labels) for a, b in pairs)
    order = [CASCADE, INDEX, EXACT, *([POPULARITY] if popularity is not None else [])]
    report = RetrievalReport(
        systems={name: systems[name] for name in order},
        held_out=found.held_out,
        slices=slices,
        source=source.name,
        quarantined=quarantined,
        seconds=time.perf_counter() - began,
    )
    return CascadeReport(report, comparisons)


def _read(
    recommender: Recommender, there: np.ndarray, source: Source, seen: Any, config: DataConfig, progress: Progress
) -> tuple[HeldOutRows, int]:
    """What is to be found among the items `there`, and how many rows of `source` could not be read."""
    bundle = recommender.towers.bundle
    log = None if seen is None else scoring_source(bundle, seen, config, recommender.columns, progress)
    schema, items = bundle.schema, Numbering()
    items.add(names_of_items(pa.array(recommender.items.ids_of(there), pa.string())))
    reader = HeldOutReader(
        schema,
        recommender.columns,
        items,
        grouped=schema.group is not None and all(schema.group in s.columns() for s in (source, log) if s is not None),
        check=lambda data: recommender.check(recommender.batch(data)),
        take=None,
    )
    with sieve_of_log(config, config.quarantine) as sieve:
        reader.find(source, sieve, progress)
    if not reader.num_queries:
        raise DataError("no row names an item to find", file=source.name, fix="check the file and its label")
    if log is not None:
        with sieve_of_log(config, None) as seen_sieve:
            reader.leave_out(log, (), seen_sieve, progress)
    return reader.finish(), sieve.quarantine.count


def _some(found: HeldOutRows, progress: Progress) -> HeldOutRows:
    """All queries, or of too many for so many items some."""
    held_out = found.held_out
    most = max(_FEWEST_QUERIES, _MOST_SCORES // max(1, held_out.num_items))
    if len(held_out) <= most:
        return found
    progress.note(f"{most:,} of {len(held_out):,} queries are measured, chosen by a hash")
    chosen = np.sort(np.argsort(splitmix64(np.arange(len(held_out), dtype=np.uint64)))[:most])
    few = HeldOut(
        held_out.num_items,
        held_out.relevant.take(chosen),
        held_out.num_relevant[chosen],
        held_out.excluded.take(chosen),
    )
    return replace(found, queries=found.queries.take(pa.array(chosen)), held_out=few)


def _searches(recommender: Recommender, there: np.ndarray, found: HeldOutRows) -> dict[str, Search]:
    """The stages, one built on the other; items go by their place in `there`."""
    towers, items, excluded = recommender.towers, recommender.items, found.held_out.excluded
    vectors = items.vectors(there)
    number = np.full(len(items.catalogue), -1)
    number[there] = np.arange(len(there))

    def requests(at: np.ndarray) -> pa.RecordBatch:
        return recommender.batch(found.queries.take(pa.array(at)))

    def gone(at: np.ndarray) -> list[np.ndarray]:
        lists = excluded.take(at)
        return np.split(there[lists.rows], lists.start[1:-1])

    def exact(at: np.ndarray, k: int) -> Found:
        return best_items(towers.queries(requests(at)), vectors, k, excluded.take(at))

    def index(at: np.ndarray, k: int) -> Found:
        return renumbered(items.search(towers.queries(requests(at)), k, exclude=gone(at)), number)

    def cascade(at: np.ndarray, k: int) -> Found:
        return renumbered(recommender.rank(requests(at), k, exclude=gone(at)).found, number)

    return {EXACT: exact, INDEX: index, CASCADE: cascade}
