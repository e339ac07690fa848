"""What reading and encoding a request costs, by the kinds of its columns, in JSON and in Arrow.

    python benchmarks/serving_encoding.py          # 1, 10 and 200 candidates, milliseconds on one thread

Half of the categories and numbers, the time and the sequence are the user's; rows in Arrow are whole. Each way, that of
the features' own Python among them, gives the same ids and numbers, bit for bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

import report
from clickwise.features import FeaturePipeline
from clickwise.features.schema_data import schema_from_data
from clickwise.serving.engine.columns import kinds_of
from clickwise.serving.engine.encoder import Encoder
from clickwise.serving.engine.reader import reader_of
from clickwise.serving.engine.row_reader import RowReader

TOKENS = 20_000
NUMBERS = ("standard", "log", "quantile")
SCHEMAS = {
    "39 categorical": "c" * 39,
    "20 categorical": "c" * 20,
    "and 10 numbers": "c" * 20 + "n" * 10,
    "and a time": "c" * 20 + "t",
    "and a sequence of 50": "c" * 20 + "s",
    "and lists of 4": "c" * 20 + "l",
    "and all of them": "c" * 20 + "n" * 10 + "tsl",
}
"""Letters of kinds, a column each."""


def main() -> None:
    table = []
    for title, kinds in SCHEMAS.items():
        pipeline = fitted(kinds)
        for candidates in (1, 10, 200):
            table.append((title, str(candidates), *measured(pipeline, candidates)))
    header = ("columns", "candidates", "JSON read", "encoded", "by Python", "Arrow", "dictionaries")
    print(report.machine_line(), end="\n\n")
    print(report.table(header, table))
    report.write_results("serving-encoding", {"header": header, "table": table})


def fitted(kinds: str) -> FeaturePipeline:
    rng = np.random.default_rng(0)
    features: dict[str, dict[str, Any]] = {}
    columns: dict[str, Any] = {}
    for place, kind in enumerate(kinds):
        name = f"{kind}{place:02}"
        match kind:
            case "c":
                features[name], columns[name] = {"transform": "vocabulary"}, [token(i) for i in range(TOKENS)]
            case "n":
                features[name] = {"transform": NUMBERS[place % 3]}
                columns[name] = rng.lognormal(2, 2, TOKENS).round(3).tolist()
            case "t":
                features[name] = {"transform": "datetime", "part": "hour"}
                columns[name] = ["2026-01-01T10:00:00"] * TOKENS
            case "s":
                features[name] = {"transform": "sequence", "shares": "c19", "max_length": 50}
                columns[name] = [[token(0)] * (1 if i else 50) for i in range(TOKENS)]
            case _:
                features[name] = {"transform": "vocabulary"}
                columns[name] = [[token(i), token(i // 2), token(i // 3), token(i // 4)] for i in range(TOKENS)]
    data = pa.RecordBatch.from_pydict(columns)
    schema = schema_from_data({"label": "click", "features": features})
    fit = FeaturePipeline.fitting(schema, {field.name: field.type for field in data.schema})
    fit.update(data)
    return fit.finish()


def token(place: int) -> str:
    return f"{place * 2654435761 % 2**32:08x}"


def rows_of(pipeline: FeaturePipeline, candidates: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A user and candidates, of tokens that the model knows, but for some."""
    rng = np.random.default_rng(candidates)

    def cell(kind: str) -> Any:
        def known() -> str:
            return token(int(rng.integers(0, int(TOKENS * 1.02))))

        match kind:
            case "c":
                return known()
            case "n":
                return round(float(rng.lognormal(2, 2)), 3)
            case "t":
                return f"2026-03-01T{rng.integers(0, 24):02}:00:01"
            case _:
                return [known() for _ in range(50 if kind == "s" else 4)]

    of_user = [name for name in pipeline.columns if name[0] in "ts" or (name[0] in "cn" and int(name[1:]) % 2)]
    user = {name: cell(name[0]) for name in of_user}
    others = [name for name in pipeline.columns if name not in user]
    return user, [{name: cell(name[0]) for name in others} for _ in range(candidates)]


def measured(pipeline: FeaturePipeline, candidates: int) -> list[str]:
    user, items = rows_of(pipeline, candidates)
    body = json.dumps({"user": user, "candidates": items}, separators=(",", ":")).encode()
    rows = pa.RecordBatch.from_pylist([{**user, **item} for item in items])
    coded = [each.dictionary_encode() if pa.types.is_string(each.type) else each for each in rows.columns]
    as_codes = pa.RecordBatch.from_arrays(coded, rows.schema.names)
    kinds, encoder = kinds_of(pipeline), Encoder(pipeline)
    reader, row_reader = reader_of(kinds), RowReader(kinds)
    request = reader.read(body, candidates)
    plain = request._replace(read=None)
    works: list[Callable[[], Any]] = [
        lambda: encoder.request(request),
        lambda: encoder.request(plain),
        lambda: encoder.request(row_reader.read(rows)),
        lambda: encoder.request(row_reader.read(as_codes)),
    ]
    first = works[0]().encoded
    for work in works[1:]:
        for mine, theirs in zip(work().encoded, first, strict=True):
            assert (mine is None and theirs is None) or mine.tobytes() == theirs.tobytes()
    return [median_ms(work) for work in (lambda: reader.read(body, candidates), *works)]


def median_ms(work: Callable[[], Any], times: int = 200) -> str:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return f"{1e3 * np.median(took[times // 10 :]):.3f}"


if __name__ == "__main__":
    main()
