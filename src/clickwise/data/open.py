"""`open_source`: anything a user may call their data, as a `Source`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clickwise.data.config import DataConfig
from clickwise.data.files import FileSource, hive_values
from clickwise.data.formats import format_of, make_reader
from clickwise.data.frames import frame_source
from clickwise.data.join import JoinedSource
from clickwise.data.paths import common_format, find_files
from clickwise.data.query import PREFIX, query_source
from clickwise.data.readers.delimited import DelimitedReader
from clickwise.data.source import Source
from clickwise.errors import DataError
from clickwise.progress import Progress

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def open_source(data: Any, config: DataConfig | None = None, progress: Progress | None = None) -> Source:
    """A source of rows.

    Args:
        data: a path, a pattern or a folder (with `key=value` partition folders or without); a list of these;
            `"duckdb:SELECT ..."`; anything with `__arrow_c_stream__` (polars, pandas, a pyarrow table or reader, a
            DuckDB relation); a list of dict rows; a dict of columns; another source.
        config: how to read, and the side tables to join.
        progress: is told what was decided.

    Raises:
        DataError: nothing is there, it cannot be read, or the files do not fit each other.
        MissingExtraError: a query, and DuckDB is not installed.
    """
    config = config or DataConfig()
    if isinstance(data, Source):
        return data
    log = _log_source(data, config, progress or Progress())
    if not config.tables:
        return log
    apart = replace(config, format="auto", header=None, names=(), delimiter=None, tables=())
    return JoinedSource(log, [(table, open_source(table.file, apart, progress)) for table in config.tables])


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
