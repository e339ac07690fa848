"""`FileSource`: the rows of one or many files of one format."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.fingerprint import fingerprint_files
from clickwise.data.plain import check_known, slices
from clickwise.data.readers.reader import Reader, hand_over
from clickwise.data.source import Block, Quarantine, Source
from clickwise.errors import DataError


class FileSource(Source):
    """Files read one after the other. All must have the columns of the first, in any order.

    Where their types differ, the widest is taken. Partition values from folder names (`day=3/`) are columns of text.

    Args:
        name: what to call the whole in messages.
        files: paths, in the order of reading.
        reader: reads one file.
        batch_rows: most rows in a block.
        partitions: for each file, the partition columns it stands under; all have the same keys.
        cache_dir: where `fingerprint` may remember digests.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[str],
        reader: Reader,
        batch_rows: int,
        *,
        partitions: Sequence[Mapping[str, str | None]] = (),
        cache_dir: str | None = None,
    ) -> None:
        self.name = name
        self.files = tuple(files)
        self._reader = reader
        self._batch_rows = batch_rows
        self._partitions = tuple(partitions) or ({},) * len(self.files)
        self._cache_dir = cache_dir
        self._columns: dict[str, pa.DataType] = {}

    def columns(self) -> dict[str, pa.DataType]:
        """The columns of all files, then the partition columns."""
        if not self._columns:
            first = self._reader.columns(self.files[0])
            found = pa.schema(list(first.items()))
            for file in self.files[1:]:
                found = self._joined(found, file)
            self._columns = {f.name: f.type for f in found} | dict.fromkeys(self._partitions[0], pa.string())
        return dict(self._columns)

    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        """The rows. A row of text is bad only for the columns asked for, or for its number of cells."""
        types = self.columns()
        known = list(types)
        wanted = known if columns is None else check_known(columns, known, self.name)
        inside = [name for name in wanted if name not in self._partitions[0]]
        if not inside:
            inside = [name for name in known if name not in self._partitions[0]][:1]
        schema = pa.schema([(name, types[name]) for name in wanted])
        met = 0
        for index, file in enumerate(self.files):
            for piece in self._reader.pieces(file, inside):
                met += len(piece.bad) + piece.data.num_rows
                hand_over(piece.bad, file, quarantine)
                data = self._conformed(piece.data, schema, index)
                for part, row in slices(data, piece.row, self._batch_rows):
                    yield Block(part, file, index, row)
        if not met:
            raise DataError("there are no rows", file=self.name, fix="check the path, or the step that wrote it")

    def fingerprint(self) -> str | None:
        """The sha256 of the files' contents and partition values."""
        partitions = [f"{key}={value}" for values in self._partitions for key, value in values.items()]
        return fingerprint_files(self.files, partitions, self._cache_dir)

    def num_rows(self) -> int | None:
        """The sum over the files, where each can tell."""
        return self._sum(self._reader.num_rows)

    def estimated_rows(self) -> int | None:
        """The sum of the guesses; compressed text gives none."""
        return self._sum(self._reader.estimated_rows)

    def _sum(self, count: Callable[[str], int | None]) -> int | None:
        total = 0
        for file in self.files:
            rows = count(file)
            if rows is None:
                return None
            total += rows
        return total

    def _joined(self, found: pa.Schema, file: str) -> pa.Schema:
        """`found` widened by the types of `file`."""
        here = pa.schema(list(self._reader.columns(file).items()))
        fix = f"all files must have the columns of {self.files[0]}"
        for name in found.names:
            if name not in here.names:
                raise DataError("the column is missing", file=file, column=name, fix=fix)
        for name in here.names:
            if name not in found.names:
                raise DataError("the column is not in the first file", file=file, column=name, fix=fix)
        widened = []
        for field in found:
            try:
                pair = [pa.schema([field]), pa.schema([here.field(field.name)])]
                widened.append(pa.unify_schemas(pair, promote_options="permissive").field(0))
            except pa.ArrowException:
                theirs = here.field(field.name).type
                problem = f"has type {theirs}, but {field.type} in {self.files[0]}"
                raise DataError(problem, file=file, column=field.name, fix="write them alike") from None
        return pa.schema(widened)

    def _conformed(self, data: pa.RecordBatch, schema: pa.Schema, index: int) -> pa.RecordBatch:
        """`data` of file number `index` as `schema`, with its partition columns."""
        arrays = []
        for field in schema:
            if field.name in self._partitions[index]:
                value = pa.scalar(self._partitions[index][field.name], pa.string())
                arrays.append(pa.repeat(value, data.num_rows))
                continue
            array = data.column(field.name)
            try:
                arrays.append(array if array.type == field.type else pc.cast(array, field.type))
            except pa.ArrowInvalid as error:
                raise DataError(str(error), file=self.files[index], column=field.name) from None
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def hive_values(file: str, root: str) -> dict[str, str]:
    """The `key=value` folders between `root` and `file`.

    >>> hive_values("logs/day=3/part-0.parquet", "logs")
    {'day': '3'}
    """
    folders = os.path.relpath(os.path.dirname(file) or ".", root).split(os.sep)
    return {key: value for key, equals, value in (folder.partition("=") for folder in folders) if equals and key}
