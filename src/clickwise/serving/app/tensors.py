"""Tensors of the Open Inference Protocol: columns in, scores out, as JSON or as bytes behind the JSON."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from clickwise.errors import RequestError, clipped

NUMBERS: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
TEXT = "BYTES"
BINARY_SIZE = "binary_data_size"


class TensorIn(msgspec.Struct):
    """A column of a request: its values in `data`, or so many bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class TensorOut(msgspec.Struct, omit_defaults=True):
    """Scores."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | None = None
    parameters: dict[str, Any] | None = None


def rows_of(tensors: list[TensorIn], binary: bytes, max_rows: int, kinds: Mapping[str, str]) -> pa.RecordBatch:
    """Tensors [n] or [n, 1] as columns; one of a single value, such as the user's, stands in every row.

    Args:
        binary: what follows the JSON.
        kinds: of columns; where text is for one of kind "list" and begins with `[`, it is a JSON list of texts.

    Raises:
        RequestError: a tensor that is not what it says, has too many rows, or others than the rest.
    """
    names, columns, start = [], [], 0
    for tensor in tensors:
        rows = _rows(tensor, max_rows)
        size = (tensor.parameters or {}).get(BINARY_SIZE)
        if size is None:
            columns.append(_from_json(tensor, rows))
        else:
            if type(size) is not int or not 0 <= size <= len(binary) - start:
                raise _wrong(tensor, f"{BINARY_SIZE} {clipped(size)}: there are {len(binary) - start:,} more bytes")
            columns.append(_from_bytes(tensor, rows, binary[start : start + size]))
            start += size
        if kinds.get(tensor.name) == "list" and tensor.datatype == TEXT:
            columns[-1] = _lists(tensor, columns[-1])
        names.append(tensor.name)
    if start != len(binary):
        raise RequestError(f"{len(binary) - start:,} bytes behind the last tensor belong to none")
    if len(set(names)) < len(names):
        raise RequestError("two tensors have the same name", fix="send each column once")
    longest = max((len(column) for column in columns), default=0)
    for tensor, column in zip(tensors, columns, strict=True):
        if len(column) not in (1, longest):
            raise _wrong(tensor, f"has {len(column)} rows, another one {longest}")
    whole = [column if len(column) == longest else pa.repeat(column[0], longest) for column in columns]
    return pa.RecordBatch.from_arrays(whole, names)


def scores_out(name: str, values: np.ndarray, as_bytes: bool) -> tuple[TensorOut, bytes]:
    """Scores [n] as a tensor, and what follows the JSON."""
    datatype = "FP64" if values.dtype == np.float64 else "FP32"
    if not as_bytes:
        return TensorOut(name, datatype, [len(values)], data=values.tolist()), b""
    raw = values.astype(NUMBERS[datatype]).tobytes()
    return TensorOut(name, datatype, [len(values)], parameters={BINARY_SIZE: len(raw)}), raw


def _rows(tensor: TensorIn, max_rows: int) -> int:
    if tensor.datatype != TEXT and tensor.datatype not in NUMBERS:
        raise _wrong(tensor, f"datatype {clipped(tensor.datatype)}, allowed are {TEXT}, {', '.join(NUMBERS)}")
    shape = tensor.shape
    if not 1 <= len(shape) <= 2 or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise _wrong(tensor, f"shape {clipped(shape)}, allowed are [n] and [n, 1]")
    if shape[0] > max_rows:
        raise _wrong(tensor, f"has {shape[0]:,} rows, allowed are {max_rows:,} (max_candidates)")
    return shape[0]


def _from_json(tensor: TensorIn, rows: int) -> pa.Array:
    values: list[Any] = tensor.data or []
    if len(tensor.shape) == 2:
        values = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values]
    if len(values) != rows:
        raise _wrong(tensor, f"data has {len(values):,} values, its shape says {rows:,}")
    kind = pa.string() if tensor.datatype == TEXT else pa.from_numpy_dtype(np.dtype(NUMBERS[tensor.datatype]))
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _wrong(tensor, f"data is not {tensor.datatype}: {str(error)[:200]}") from None


def _from_bytes(tensor: TensorIn, rows: int, raw: bytes) -> pa.Array:
    if tensor.datatype == TEXT:
        return _texts(tensor, rows, raw)
    kind = np.dtype(NUMBERS[tensor.datatype])
    if len(raw) != rows * kind.itemsize:
        raise _wrong(tensor, f"{len(raw):,} bytes, its shape says {rows * kind.itemsize:,}")
    return pa.array(np.frombuffer(raw, kind))


def _texts(tensor: TensorIn, rows: int, raw: bytes) -> pa.Array:
    """Each with its length, 4 bytes little-endian, before it."""
    texts, start = [], 0
    try:
        for _ in range(rows):
            end = start + 4 + int(struct.unpack_from("<I", raw, start)[0])
            texts.append(raw[start + 4 : end])
            start = end
        if start != len(raw):
            raise ValueError(f"{rows} texts need {start:,} bytes, there are {len(raw):,}")
        return pa.array(texts, pa.binary()).cast(pa.string())
    except (pa.ArrowException, struct.error, ValueError) as error:
        raise _wrong(tensor, f"is no list of {rows:,} texts: {str(error)[:200]}") from None


def _lists(tensor: TensorIn, texts: pa.Array) -> pa.Array:
    """Cells with JSON lists as lists, if there are any; a cell beside them is a list of itself."""
    cells = texts.to_pylist()
    if not any(cell and cell.startswith("[") for cell in cells):
        return texts
    read = msgspec.json.Decoder(list[str | None]).decode
    try:
        lists = [read(cell) if cell and cell.startswith("[") else cell and [cell] for cell in cells]
        return pa.array([one or None for one in lists], pa.list_(pa.string()))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(tensor, f"a cell that begins with [ is no JSON list of texts: {error}") from None


def _wrong(tensor: TensorIn, problem: str) -> RequestError:
    return RequestError(problem, column=tensor.name)
