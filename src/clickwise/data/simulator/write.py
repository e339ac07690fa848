"""Simulated logs as files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from clickwise.atomic import whole_file
from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.traffic import SCHEMA, simulate
from clickwise.errors import ConfigError
from clickwise.progress import Progress

SEPARATOR = "|"
"""Between the values of a multi-valued cell in text."""

Write = Callable[[pa.RecordBatch], None]


def write_simulation(config: SimulatorConfig, path: str | Path, progress: Progress | None = None) -> None:
    """Write the log to a .parquet, .csv or .csv.gz file, whole or not at all.

    In text, interests are joined by `|`; no interests and an age that is not known are empty cells.

    Raises:
        ConfigError: another suffix.
        DataError: the file cannot be written, or the disk is full.
    """
    path, progress = Path(path), progress or Progress()
    opened = _format_of(path)
    progress.start("simulate", config.rows)
    with whole_file(path) as temporary, opened(temporary) as write:
        for batch in simulate(config):
            write(batch)
            progress.advance(batch.num_rows)
    progress.finish()


def _format_of(path: Path) -> Callable[[Path], AbstractContextManager[Write]]:
    for suffix, opened in ((".parquet", _parquet), (".csv", _csv), (".csv.gz", _csv_gz)):
        if path.name.lower().endswith(suffix):
            return opened
    raise ConfigError(str(path), f"has the suffix {path.suffix!r}; allowed are .parquet, .csv and .csv.gz")


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("wb") as file, _csv_into(file) as write:
        yield write


@contextmanager
def _csv_gz(path: Path) -> Iterator[Write]:
    # no name and no time in the header: equal simulations are equal files
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=3, mtime=0) as stream,
        _csv_into(stream) as write,
    ):
        yield write


@contextmanager
def _csv_into(stream: BinaryIO | gzip.GzipFile) -> Iterator[Write]:
    schema = SCHEMA.set(SCHEMA.get_field_index("interests"), pa.field("interests", pa.string()))
    stream.write((",".join(schema.names) + "\n").encode())
    options = pacsv.WriteOptions(include_header=False, quoting_style="none")  # no value holds a comma or a quote
    with pacsv.CSVWriter(stream, schema, write_options=options) as writer:
        yield lambda batch: writer.write_batch(_joined(batch, schema))


def _joined(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with each list of interests as one text."""
    columns = [
        pc.binary_join(column, SEPARATOR) if pa.types.is_list(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
