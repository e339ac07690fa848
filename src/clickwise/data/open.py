"""`open_source`: anything a user may call their data, as a `Source`."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from clickwise.data.config import DataConfig, SideTable
from clickwise.data.files import FileSource, hive_values
from clickwise.data.formats import format_of, make_reader
from clickwise.data.frames import frame_source
from clickwise.data.join import JoinedSource, Table
from clickwise.data.paths import common_format, find_files
from clickwise.data.query import PREFIX, query_source
from clickwise.data.readers.delimited import DelimitedReader
from clickwise.data.source import Source
from clickwise.errors import DataError
from clickwise.progress import Progress

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def open_source(
    data: Any,
    config: DataConfig | None = None,
    progress: Progress | None = None,
    *,
    needed: Sequence[str] | None = None,
) -> Source:
    """A source of rows.

    Args:
        data: a path, a pattern or a folder (with `key=value` partition folders or without); a list of these;
            `"duckdb:SELECT ..."`; anything with `__arrow_c_stream__` (polars, pandas, a pyarrow table or reader, a
            DuckDB relation); a list of dict rows; a dict of columns; another source.
        config: how to read, and the side tables to join.
        progress: is told what was decided.
        needed: what is read of rows that may come with the columns of the tables, or without: only those columns are
            joined that are needed and not there, and tables that have none of these are not opened. None: all tables
            are joined, and a column of one that is there already is an error.

    Raises:
        DataError: nothing is there, it cannot be read, or the files do not fit each other.
        MissingExtraError: a query, and DuckDB is not installed.
    """
    config, progress = config or DataConfig(), progress or Progress()
    if isinstance(data, Source):
        return data
    log = _log_source(data, config, progress)
    absent = None if needed is None else set(needed) - log.columns().keys()
    if not config.tables or absent == set():
        return log
    config = located(config, data)
    tables = [_table(side, config, progress) for side in config.tables]
    if absent is not None:
        tables = _filling(tables, absent, log)
    return JoinedSource(log, tables) if tables else log


def located(config: DataConfig, data: Any) -> DataConfig:
    """The config with full paths of its side tables: as they are from here, and else from where `data` lies.

    Raises:
        DataError: a table is in neither place.
    """
    tables = tuple(replace(table, file=_located(table.file, data)) for table in config.tables)
    return replace(config, tables=tables)


def _located(file: str, data: Any) -> str:
    path = os.path.expanduser(file)
    if os.path.isabs(path) or path.startswith(PREFIX):
        return path
    first = data[0] if isinstance(data, list | tuple) and data else data
    on_disk = isinstance(first, str | os.PathLike) and not str(first).startswith(PREFIX)
    beside = find_files(first)[1] if on_disk else None
    for folder in (".", *([beside] if beside else [])):
        with suppress(DataError):
            find_files(os.path.join(folder, path))
            return os.path.abspath(os.path.join(folder, path))
    places = f"in this folder nor in {beside}, where the log is" if beside else "in this folder"
    raise DataError(f"no such side table, {'neither ' if beside else ''}{places}", file=file)


def _table(side: SideTable, config: DataConfig, progress: Progress) -> Table:
    apart = replace(
        config, format=side.format, header=side.header, names=side.names, delimiter=side.delimiter, tables=()
    )
    return Table(side, _log_source(side.file, apart, progress), config.max_bad_fraction, progress)


def _filling(tables: Sequence[Table], absent: Collection[str], log: Source) -> list[Table]:
    """The tables that have columns which are absent, with only these columns."""
    wanted, found = set(absent), list[Table]()
    for table in reversed(tables):
        has = wanted & table.columns().keys()
        if has:
            found.insert(0, table.with_only(has))
            wanted |= {table.on} - log.columns().keys()
    return found


def _log_source(data: Any, config: DataConfig, progress: Progress) -> Source:
    if isinstance(data, str) and data.startswith(PREFIX):
        return query_source(data.removeprefix(PREFIX), config.batch_rows, config.cache_dir)
    if isinstance(data, str | os.PathLike):
        return _file_source([data], config, progress)
    if isinstance(data, list | tuple) and data and all(isinstance(item, str | os.PathLike) for item in data):
        return _file_source(data, config, progress)
    return frame_source(data, config.batch_rows, config.cache_dir)


def _file_source(data: Sequence[Any], config: DataConfig, progress: Progress) -> FileSource:
    found = [(file, root) for item in data for files, root in [find_files(item)] for file in files]
    files = [file for file, _ in found]
    name = os.fspath(data[0]) if len(data) == 1 else f"{os.fspath(data[0])} and {len(data) - 1} more"
    kind: str = config.format
    if kind == "auto":
        common_format(files, name)
        kind = format_of(files[0])
    reader = make_reader(kind, files[0], config)
    partitions = [hive_values(file, root) for file, root in found]
    for file, values in zip(files, partitions, strict=True):
        if values.keys() != partitions[0].keys():
            problem = f"stands under partitions {list(values)}, but {files[0]} under {list(partitions[0])}"
            raise DataError(problem, file=file)
    source = FileSource(
        name,
        files,
        reader,
        config.batch_rows,
        partitions=[{k: None if v == _NULL_PARTITION else v for k, v in values.items()} for values in partitions],
        cache_dir=config.cache_dir,
    )
    columns = list(source.columns())
    if isinstance(reader, DelimitedReader) and not reader.layout(files[0]).header and columns[0] == "f0":
        last = len(reader.layout(files[0]).names) - 1
        progress.note(
            f"{files[0]}: no header was found, so its columns are f0 to f{last}; give data.names to name them"
        )
    return source
