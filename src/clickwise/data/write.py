"""Writes record batches to a .parquet, .csv or .csv.gz file, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from clickwise.atomic import whole_file
from clickwise.errors import ConfigError

LIST_SEPARATOR = "|"
"""Joins the values of a list in a CSV cell."""


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Give a function that appends a batch; the file appears at `path` when the block ends well, else nothing does.

    In CSV, lists are joined by `LIST_SEPARATOR`.

    Raises:
        ConfigError: the name ends in something else than .parquet, .csv or .csv.gz.
        DataError: the disk is full, or the folder cannot be written to.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        with whole_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer.write_batch
    elif name.endswith((".csv", ".csv.gz")):
        flat = pa.schema([pa.field(f.name, pa.string() if pa.types.is_list(f.type) else f.type) for f in schema])
        compression = "gzip" if name.endswith(".gz") else None
        with (
            whole_file(path) as temporary,
            pa.output_stream(temporary, compression=compression) as sink,
            pyarrow.csv.CSVWriter(sink, flat, write_options=pyarrow.csv.WriteOptions(quoting_style="needed")) as writer,
        ):
            yield lambda batch: writer.write_batch(_flattened(batch, flat))
    else:
        raise ConfigError("out", f"got {str(path)!r}, allowed are names that end in .parquet, .csv or .csv.gz")


def _flattened(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with its lists as text."""
    cells = [
        pc.binary_join(column.cast(pa.list_(pa.string())), LIST_SEPARATOR) if pa.types.is_list(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(cells, schema=schema)
