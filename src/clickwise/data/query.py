"""Rows of a DuckDB query. The query runs once, as a stream, so that every later pass sees the same rows in order."""

from __future__ import annotations

import importlib
from typing import Any

import pyarrow as pa

from clickwise.data.frames import FrameSource, spilled_source
from clickwise.errors import DataError, MissingExtraError

PREFIX = "duckdb:"


def query_source(sql: str, batch_rows: int, spill_dir: str | None) -> FrameSource:
    """A source over the rows of `sql`, written to a temporary Arrow file as they come.

    Running it anew for every pass could give other rows (`random()`, a changed file) or another order (a `GROUP BY` on
    several threads), and row numbers would then mean nothing.

    Raises:
        MissingExtraError: DuckDB is not installed.
        DataError: what DuckDB says about the query, in one line.
    """
    try:
        duckdb: Any = importlib.import_module("duckdb")
    except ImportError:
        raise MissingExtraError("a duckdb: query", "duckdb") from None
    name = PREFIX + " ".join(sql.split())[:60]
    try:
        # Without replacements, `FROM df` can only mean a table or file, not a variable of this program.
        settings = {"preserve_insertion_order": True, "python_enable_replacements": False}
        with duckdb.connect(config=settings) as connection:
            relation = connection.sql(sql)
            if relation is None:
                raise DataError("gives no rows", file=name, fix="write a SELECT")
            stream = pa.RecordBatchReader.from_stream(relation)
            return spilled_source(name, stream, batch_rows, spill_dir)
    except (duckdb.Error, pa.ArrowException) as error:
        raise DataError(" ".join(str(error).split()), file=name, fix="mend the query") from None
