"""From towers and a catalogue to lists: `build_recommender`, `update_items`, `recommend`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.bundle import Bundle, Towers
from clickwise.config import build, require, set_path, to_data
from clickwise.data.config import DataConfig
from clickwise.data.labels import read_targets
from clickwise.data.open import open_source
from clickwise.data.plain import check_known
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block, Source
from clickwise.data.write import table_writer
from clickwise.errors import ConfigError, DataError, nearest
from clickwise.features.transform import BadCells
from clickwise.pipeline.scoring import load, reading_config, scoring_source
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.retrieval.explanation import Explanation
from clickwise.retrieval.explanation import explain as why
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.item_index import ItemIndex
from clickwise.retrieval.ranking import RankStage
from clickwise.retrieval.recommender import Ranked, Recommender, RecommenderConfig
from clickwise.retrieval.seen import SeenItems
from clickwise.retrieval.stored import RECOMMENDER, load_recommender, save_recommender
from clickwise.retrieval_summaries import IndexSummary, ListSummary, RecommendationSummary

_REQUESTS_AT_ONCE = 256
_ITEMS_AT_ONCE = 65_536
_TUNING_QUERIES = 1000
_MOST_LOOKED_AT = 1_000_000
_SECTIONS = ("data", "index", "recommender")


def build_recommender(
    towers: Bundle | str | Path,
    items: Any,
    out: str | Path | None = None,
    *,
    ranker: Bundle | str | Path | None = None,
    queries: Any = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Recommender:
    """Make vectors of all items and an index of them; with a ranking bundle also what it needs to rank them.

    Args:
        towers: a bundle of `two_tower`.
        items: the catalogue: data as for `train`, with the item's columns. Where an id comes in several rows, as in a
            log, the last one counts, and only the columns that the towers read are kept.
        out: folder to save to; None saves nothing.
        ranker: a bundle that gives click probabilities; None: lists are in the order of retrieval.
        queries: a log whose rows have the columns of a request: a thousand of them tune the index to the recall that
            `index.recall` asks for. None: vectors of items stand in for them.
        settings: such as "index.recall=0.98", "recommender.candidates=300", 'recommender.caps.advertiser_id=2' or
            "data.format=csv".

    Raises:
        ConfigError: a key or value that is not allowed.
        DataError: data that is missing or cannot be used.
        BundleError: `towers` has none, `ranker` gives no probabilities, or `out` is there and is no recommender.
        MissingExtraError: an index that needs a library which is not installed.
    """
    progress = progress or default_progress()
    told = _told(settings)
    config = build(RecommenderConfig, told["recommender"], "recommender")
    index_config = build(IndexConfig, told["index"], "index")
    if out is not None:
        RECOMMENDER.check_out(Path(out))
    made = Towers(towers if isinstance(towers, Bundle) else load(towers))
    bundle = load(ranker) if isinstance(ranker, str | Path) else ranker
    read = [made.item_column, *made.item.columns]
    source = scoring_source(made.bundle, items, _reading(made.bundle, told["data"]), read, progress)
    table = _catalogue(source, made, progress)
    vectors = _vectors(made, table, progress)
    tuning = None if queries is None else _query_vectors(made, queries, told["data"], progress)
    index = ItemIndex.build(table, made.item_column, vectors, index_config, queries=tuning, progress=progress)
    stage = None if bundle is None else RankStage(bundle, table.column_names).followed_by(table)
    recommender = Recommender(made, index, config, stage)
    if out is not None:
        save_recommender(recommender, out)
    return recommender


def index_summary(folder: str | Path) -> IndexSummary:
    """What a saved recommender holds, and how its index was measured.

    Raises:
        BundleError: not a recommender, damaged, or of another format version.
    """
    return IndexSummary(load_recommender(folder), Path(folder))


def update_items(
    folder: str | Path,
    items: Any,
    *,
    remove: bool = False,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Recommender:
    """Add or change the items of a saved recommender, or remove those whose ids `items` has, and save it.

    Raises:
        DataError: data that is missing or cannot be used.
        BundleError: not a recommender, damaged, or of another format version.
    """
    progress = progress or default_progress()
    recommender = load_recommender(folder)
    told = _told(settings)
    require(not told["recommender"] and not told["index"], "--set", list(settings), "keys of [data]")
    source = open_source(items, _reading(recommender.towers.bundle, told["data"]), progress)
    column = recommender.towers.item_column
    if remove:
        ids = _read_all(source, [column], "read ids", progress).column(column)
        recommender = recommender.without_items(pc.cast(ids, pa.string()).to_pylist())
    else:
        recommender = recommender.with_items(
            _read_all(source, recommender.items.catalogue.columns, "read items", progress)
        )
    save_recommender(recommender, folder)
    return recommender


def recommend(
    recommender: Recommender | str | Path,
    requests: Any,
    out: str | Path,
    *,
    k: int = 10,
    seen: Any = None,
    where: Sequence[str] = (),
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> RecommendationSummary:
    """Lists for raw requests of any number, to a .parquet, .csv or .csv.gz file: a row for each place of each list.

    Columns: `request` (the number of the request, from 1), the schema's group where requests have it, `place`, the
    item's id under its own name, `probability` (null without a ranking model), `score` and `retrieved`.

    Args:
        requests: raw rows with the columns of a request.
        k: longest list.
        seen: a log: the items that it shows with label 1 (all, if there is no label) are not recommended again to the
            same group, which the towers' schema must name.
        where: rules such as "category=shoes".

    Raises:
        ConfigError: a rule that cannot be read; `seen`, and no group is known.
        DataError: data that is missing or cannot be used; too many unreadable rows. `out` is then not written.
    """
    progress = progress or default_progress()
    started, out = time.perf_counter(), Path(out)
    made, reading = opened(recommender, settings)
    few = replace(reading, batch_rows=min(reading.batch_rows, _REQUESTS_AT_ONCE))
    source = scoring_source(made.towers.bundle, requests, few, made.columns, progress)
    check_known(made.columns, list(source.columns()), source.name)
    group = _group(made, source)
    left_out = None if seen is None else _seen(made, seen, _required(group, "seen"), reading, progress)
    item = made.towers.item_column
    layout = pa.schema(
        [
            ("request", pa.int64()),
            *([(group, pa.string())] if group else []),
            ("place", pa.int64()),
            (item, pa.string()),
            ("probability", pa.float64()),
            ("score", pa.float32()),
            ("retrieved", pa.int64()),
        ]
    )
    read = rows = served = 0

    def ranked(part: Block) -> tuple[pa.Array | None, Ranked]:
        users = None if group is None else pc.cast(part.data.column(group), pa.string())
        exclude = None if left_out is None or users is None else left_out.of(users)
        return users, made.rank(made.batch(part.data), k, where=where, exclude=exclude)

    with (
        QuarantineFile(reading.quarantine or f"{out}.quarantine.jsonl") as quarantine,
        table_writer(out, layout) as write,
    ):
        sieve = Sieve(quarantine)
        columns = list(dict.fromkeys([*made.columns, *([group] if group else [])]))
        for block in sieve.blocks(source, columns, "recommend", progress):
            kept, _, (users, lists) = sieve.read(block, ranked)
            write(_as_rows(made, lists, read + kept + 1, users, layout))
            read, served = read + len(block), served + len(kept)
            rows += int((lists.rows >= 0).sum())
        sieve.check(reading.max_bad_fraction)
    return RecommendationSummary(
        out=out,
        requests=served,
        rows=rows,
        quarantined=quarantine.count,
        quarantine=str(quarantine.path) if quarantine.count else None,
        seconds=time.perf_counter() - started,
    )


def show_first(
    recommender: Recommender | str | Path,
    requests: Any,
    *,
    k: int = 10,
    seen: Any = None,
    where: Sequence[str] = (),
    explain: str | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> ListSummary | Explanation:
    """The list of the first request, with the attributes of its items; or why one item is where it is in that list.

    Args:
        explain: the item's id. The rest is as for `recommend`.
    """
    made, reading = opened(recommender, settings)
    progress = progress or default_progress()
    source = scoring_source(made.towers.bundle, requests, replace(reading, batch_rows=1), made.columns, progress)
    check_known(made.columns, list(source.columns()), source.name)
    with closing(source.blocks()) as stream:
        first = next(stream, None)
    if first is None:
        raise DataError("has no rows", file=source.name)
    data = pa.Table.from_batches([first.data])
    group = _group(made, source)
    exclude: list[str] = []
    if seen is not None:
        users = pc.cast(first.data.column(_required(group, "--seen")), pa.string())
        rows = _seen(made, seen, _required(group, "--seen"), reading, progress).of(users)[0]
        exclude = made.items.ids_of(rows)
    if explain is not None:
        return why(made, data, explain, k, where=where, exclude=exclude)
    found = made.recommend(data, k, where=where, exclude=[exclude])[0]
    return ListSummary(found, made.items.take(made.items.rows_of([one.item for one in found])))


def opened(recommender: Recommender | str | Path, settings: Sequence[str]) -> tuple[Recommender, DataConfig]:
    """The recommender with the rules that `settings` say, and how to read its requests."""
    made = recommender if isinstance(recommender, Recommender) else load_recommender(recommender)
    told = _told(settings)
    require(not told["index"], "--set", list(settings), "keys of [data] and [recommender]")
    merged = {**to_data(made.config), **told["recommender"]}
    made = replace(made, config=build(RecommenderConfig, merged, "recommender"))
    return made, _reading(made.towers.bundle, told["data"])


def _told(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by section."""
    told: dict[str, Any] = {name: {} for name in _SECTIONS}
    for setting in settings:
        set_path(told, setting)
    for name in told:
        if name not in _SECTIONS:
            raise ConfigError(name, f"unknown section{nearest(name, _SECTIONS)}; allowed are {', '.join(_SECTIONS)}")
    return told


def _reading(towers: Bundle, told: Mapping[str, Any]) -> DataConfig:
    """How to read items and requests: text as the towers' log was, any format."""
    known = reading_config(towers, ())
    return build(DataConfig, {**to_data(known), "format": "auto", **told}, "data")


def _group(recommender: Recommender, source: Source) -> str | None:
    """The column that names the user, where the towers' schema says so and the source has it."""
    group = recommender.towers.bundle.schema.group
    return group if group in source.columns() else None


def _required(group: str | None, key: str) -> str:
    if group is None:
        allowed = "towers whose schema names a group that requests have; train them with schema.group"
        raise ConfigError(key, f"needs to know whose items were seen: {allowed}")
    return group


def _catalogue(source: Source, towers: Towers, progress: Progress) -> pa.Table:
    """The items, each once."""
    there, id_column = list(source.columns()), towers.item_column
    needed = list(dict.fromkeys([id_column, *towers.item.columns]))
    check_known(needed, there, source.name)
    table = _read_all(source, there, "read items", progress)
    ids = table.column(id_column).combine_chunks()
    codes = pc.dictionary_encode(pc.cast(ids, pa.string()), null_encoding="encode").indices.to_numpy()
    last = np.full(int(codes.max()) + 1, -1)
    last[codes] = np.arange(len(codes))
    if len(last) == len(codes):
        return table
    progress.note(f"{len(codes):,} rows show {len(last):,} items: of each the last row counts")
    return table.select(needed).take(pa.array(np.sort(last)))


def _read_all(source: Source, columns: Sequence[str], stage: str, progress: Progress) -> pa.Table:
    """All rows, or an error: of a catalogue no item may be lost in silence."""
    with QuarantineFile(None) as quarantine:
        sieve = Sieve(quarantine)
        blocks = [block.data for block in sieve.blocks(source, list(columns), stage, progress)]
        sieve.check(0.0)
    table = pa.Table.from_batches(blocks) if blocks else None
    if table is None or not table.num_rows:
        raise DataError("has no rows", file=source.name)
    return table


def _vectors(towers: Towers, items: pa.Table, progress: Progress) -> np.ndarray:
    """[C, K] of all items."""
    progress.start("item vectors", items.num_rows)
    found, done = np.empty((items.num_rows, towers.dim), np.float32), 0
    for batch in items.select(list(towers.item.columns)).to_batches(_ITEMS_AT_ONCE):
        try:
            found[done : done + batch.num_rows] = towers.items(batch)
        except BadCells as bad:
            raise bad.of_rows("items") from None
        done += batch.num_rows
        progress.advance(batch.num_rows)
    progress.finish()
    return found


def _query_vectors(towers: Towers, queries: Any, told: Mapping[str, Any], progress: Progress) -> np.ndarray:
    """Vectors of about a thousand requests of a log, spread over its first million rows."""
    columns = list(towers.query.columns)
    source = scoring_source(towers.bundle, queries, _reading(towers.bundle, told), columns, progress)
    check_known(columns, list(source.columns()), source.name)
    rows = min(source.estimated_rows() or _MOST_LOOKED_AT, _MOST_LOOKED_AT)
    every, kept, seen = max(1, rows // _TUNING_QUERIES), [], 0
    with closing(source.blocks(columns)) as stream:
        for block in stream:
            kept.append(block.data.take(pa.array(np.arange(-seen % every, len(block), every))))
            seen += len(block)
            if seen >= _MOST_LOOKED_AT:
                break
    if not seen:
        raise DataError("has no rows", file=source.name)
    try:
        return np.concatenate([towers.queries(batch) for batch in kept])[:_TUNING_QUERIES]
    except BadCells as bad:
        raise bad.of_rows(source.name) from None


def _seen(recommender: Recommender, seen: Any, group: str, reading: DataConfig, progress: Progress) -> SeenItems:
    """What a log shows to each group with label 1."""
    schema = recommender.towers.bundle.schema
    source = open_source(seen, reading, progress)
    item, there = recommender.towers.item_column, source.columns()
    label = schema.label if schema.label in there else ""
    columns = check_known([group, item, *([label] if label else [])], list(there), source.name)

    def pairs() -> Iterator[tuple[pa.Array, np.ndarray]]:
        for block in Sieve(QuarantineFile(None)).blocks(source, columns, "read what was seen", progress):
            data = block.data
            if label:
                clicked = read_targets(data, replace(schema, label=label, weight=None, group=None)).label > 0.5
                data = data.filter(pa.array(clicked))
            users, items = (pc.cast(data.column(name), pa.string()) for name in (group, item))
            yield users, recommender.items.rows_of(items)

    return SeenItems(pairs())


def _as_rows(
    recommender: Recommender, lists: Ranked, numbers: np.ndarray, users: pa.Array | None, layout: pa.Schema
) -> pa.RecordBatch:
    """A row for each place of each list."""
    query, place = np.nonzero(lists.rows >= 0)
    ids = recommender.items.ids_of(lists.rows[query, place])
    value = pa.array(lists.value[query, place]) if recommender.ranker else pa.nulls(len(query), pa.float64())
    columns = [
        pa.array(numbers[query]),
        *([] if users is None else [users.take(pa.array(query))]),
        pa.array(place + 1),
        pa.array(ids, pa.string()),
        value,
        pa.array(lists.score[query, place]),
        pa.array(lists.retrieved[query, place] + 1),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=layout)
