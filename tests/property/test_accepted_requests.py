"""Requests of all kinds, as kernels read and encode them and as Python does: the same ids, numbers and errors.

Case by case at random; a case that fails is named by its number. CLICKWISE_REQUEST_CASES asks for more of them.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from clickwise.errors import RequestError
from clickwise.features import FeaturePipeline
from clickwise.features.schema_data import schema_from_data
from clickwise.native import requests
from clickwise.serving.engine.columns import kinds_of
from clickwise.serving.engine.compiled_reader import CompiledReader
from clickwise.serving.engine.encoder import EncodedRequest, Encoder
from clickwise.serving.engine.request import Request
from clickwise.serving.engine.row_reader import RowReader
from clickwise.serving.engine.slow_reader import SlowReader

pytestmark = pytest.mark.skipif(not requests.compiled(), reason="the compiled kernels were not built")

CASES = int(os.environ.get("CLICKWISE_REQUEST_CASES", "400"))
TOKENS = ["a", "b", "3", "0.5", "true", "1e+22", "€", "\U0001f600", "x|y", "-7", "long " * 20]
NUMBERS = [0.0, 1.0, -2.5, 0.1, 1e22, 1e-7, 3.75, 1e6, -1e6, 7.0, 123456.789]
FEATURES: dict[str, dict[str, Any]] = {
    "word": {"transform": "vocabulary"},
    "hashed": {"transform": "hashing", "num_buckets": 97, "seed": 5, "column": "word"},
    "code": {"transform": "hashing", "num_buckets": 11},
    "size": {"transform": "standard", "missing": -0.5},
    "size_log": {"transform": "log", "column": "size"},
    "size_rank": {"transform": "quantile", "num_quantiles": 7, "column": "size", "missing": 0.25},
    "size_cut": {"transform": "bucket", "num_buckets": 4, "column": "size"},
    "price": {"transform": "log", "missing": 2.0},
    "flat": {"transform": "standard"},
    "when_hour": {"transform": "datetime", "part": "hour", "column": "when"},
    "when_day": {"transform": "datetime", "part": "day", "column": "when"},
    "when_month": {"transform": "datetime", "part": "month", "column": "when"},
    "when_minute": {"transform": "datetime", "part": "minute", "column": "when"},
    "when_week": {"transform": "datetime", "part": "hour_of_week", "column": "when"},
    "stamp": {"transform": "datetime", "part": "weekday", "format": "%y%m%d%H"},
    "dated": {"transform": "datetime", "part": "month", "format": "%d/%m/%Y"},
    "past": {"transform": "sequence", "shares": "word", "max_length": 3},
    "path": {"transform": "sequence", "shares": "word", "max_length": 2, "separator": "||"},
    "tags": {"transform": "vocabulary", "max_length": 2},
    "kinds": {"transform": "hashing", "num_buckets": 13, "separator": "|"},
    "liked": {"transform": "vocabulary", "weights": "much"},
    "word_x_tags": {"transform": "cross", "of": ["word", "tags"], "num_buckets": 17},
    "code_x_size": {"transform": "cross", "of": ["code", "size_cut"], "min_count": 1},
}
STRANGE = (
    *(
        " 5",
        "5 ",
        "+5",
        ".5",
        "5.",
        "1e999",
        "nan",
        "NaN",
        "-inf",
        "null",
        "\\N",
        "0x10",
        "1_0",
        "\u0661",
        "- 5",
        "--5",
    ),
    *("2026-02-29", "2026-13-01", "2026-01-01T24:00:00", "2026-01-01T10:00", "2026-01-01 10", "0000-01-01", "-", "."),
    *("2026-01-01T10:00:00.1234567", "20260101", "2026-01-01t10:00:00z", " 2026-01-01", "99999999999", "1e9", "1e-9"),
    *("x" * 4096, "x" * 4097, "\u20ac" * 1366, "31/02/2026", "1/2/2026", "26023010", "260101", "+2026-01-01"),
)
"""What some can read, and some cannot."""


def fitted() -> FeaturePipeline:
    schema = schema_from_data({"label": "y", "features": FEATURES}, "schema")
    rows = len(TOKENS)
    data = pa.RecordBatch.from_pydict(
        {
            "word": TOKENS,
            "code": TOKENS,
            "size": NUMBERS,
            "price": NUMBERS,
            "flat": [4.0] * rows,
            "when": ["2026-01-01T10:00:00"] * rows,
            "stamp": ["26010110"] * rows,
            "dated": ["31/12/2025"] * rows,
            "past": [TOKENS[:5]] * rows,
            "path": ["a||b"] * rows,
            "tags": [TOKENS[:3]] * rows,
            "kinds": ["a|b|x"] * rows,
            "liked": [["a", "b"]] * rows,
            "much": [[1.0, 2.0]] * rows,
        }
    )
    fit = FeaturePipeline.fitting(schema, {field.name: field.type for field in data.schema})
    fit.update(data)
    crosses = fit.finish().crossing(schema)
    crosses.update(data)
    return crosses.finish()


PIPELINE = fitted()
KIND_OF = kinds_of(PIPELINE)


class Maker:
    """Valid requests at random, written in one of JSON's many ways. `odd` is how often a cell is none of the usual."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.odd = self.rng.choice([0.0, 0.0, 0.02, 0.3])

    def body(self) -> bytes:
        pick, names = self.rng, list(KIND_OF)
        given = pick.sample(names, pick.randint(1, len(names)))
        users = [name for name in given if pick.random() < 0.4]
        others = [name for name in given if name not in users]
        as_lists = {name for name in given if KIND_OF[name] == "list" and pick.random() < 0.7}
        rows = pick.choice([0, 1, 1, 2, 3, 70])
        of_user = self.object(users, as_lists)
        candidates = "[" + self.blank() + ",".join(self.object(others, as_lists) for _ in range(rows)) + "]"
        parts = [f'"candidates":{self.blank()}{candidates}', f'"user":{of_user}', f'"id":{self.ignored()}']
        pick.shuffle(parts)
        return ("{" + ",".join(parts) + "}" + self.blank()).encode()

    def object(self, names: list[str], as_lists: set[str]) -> str:
        given = [name for name in names if self.rng.random() < 0.9]
        if self.rng.random() < 0.3:
            self.rng.shuffle(given)
        cells = [f"{self.text(name)}{self.blank()}:{self.cell(name, name in as_lists)}" for name in given]
        if self.rng.random() < 0.1:
            cells.append(f'"nothing":{self.ignored()}')
        return "{" + self.blank() + ",".join(cells) + "}"

    def cell(self, name: str, as_list: bool) -> str:
        pick = self.rng
        if pick.random() < 0.1:
            return "null"
        if name == "much" and not as_list:
            return self.weight()
        if as_list:
            single = self.weight if name == "much" else self.word
            return "[" + ",".join(pick.choice([single, single, self.null])() for _ in range(pick.randint(0, 4))) + "]"
        if pick.random() < self.odd:
            return pick.choice([self.word, self.number, self.boolean, self.time, self.strange])()
        return {"number": self.number, "time": lambda: self.time(name)}.get(KIND_OF[name], self.word)()

    def word(self) -> str:
        pick = self.rng
        kind = pick.randrange(6)
        if kind < 3:
            return self.text(pick.choice([*TOKENS, "", "new", "|", "a|b", "a||b|", "||"]))
        if kind == 3:
            return self.number()
        if kind == 4:
            return self.boolean()
        return self.text(
            "".join(pick.choice('ab|€\u00e9\U0001f600\t\\/"\x7f\u2028') for _ in range(pick.randint(0, 6)))
        )

    def number(self) -> str:
        pick = self.rng
        kind = pick.randrange(9)
        if kind == 0:
            return str(pick.choice([0, 1, 7, -2, 2**53, 2**53 + 1, 2**63, -(2**63), 10**15, 10**16 + 1, 10**25]))
        if kind == 1:
            return pick.choice(["-0", "-0.0", "0e5", "1E3", "1e+3", "0.1e1", "5e-324", "1e308", "100e-2", "9.3e18"])
        if kind == 2:
            return repr(pick.choice(NUMBERS))
        if kind == 3:
            bits = struct.unpack("<d", pick.randbytes(8))[0]
            return repr(bits) if abs(bits) < 1e308 else "1.5"
        if kind == 4:
            digits = "".join(pick.choices("0123456789", k=pick.randint(1, 20)))
            return f"{pick.choice(['', '-'])}{pick.randrange(10**6)}.{digits}"
        if kind == 5:
            return f"{pick.uniform(-10, 10):.3e}"
        if kind == 6:
            return self.text(pick.choice(["5", "-2.5", "0012", "1e5", "", "0." + "3" * 30]))
        return str(round(pick.lognormvariate(2, 2), pick.randint(0, 6)))

    def weight(self) -> str:
        return self.rng.choice(["1", "0.25", "-2e0", '"3"', "1e-3"])

    def time(self, name: str = "") -> str:
        pick = self.rng
        moment = datetime(1950, 1, 1) + timedelta(seconds=pick.randrange(120 * 365 * 86400))
        if name == "stamp":
            return pick.choice([self.text(moment.strftime("%y%m%d%H")), str(1 + moment.month) + "1220" + "05"])
        if name == "dated":
            return self.text(moment.strftime("%d/%m/%Y"))
        seconds = int(moment.replace(tzinfo=UTC).timestamp())
        kind = pick.randrange(8)
        if kind == 0:
            return str(seconds * 10 ** pick.choice([0, 3, 6]) + pick.randrange(1000))
        if kind == 1:
            return f"{seconds}.{pick.randrange(10**6)}"
        if kind == 2:
            return self.text(str(seconds))
        if kind == 3:
            return self.text(moment.date().isoformat())
        if kind == 4:
            return self.text(moment.isoformat(pick.choice("T ")) + pick.choice(["Z", "+00:00", "-07:30", "+23:59"]))
        if kind == 5:
            return self.text(f"{moment.isoformat()}.{pick.randrange(10 ** pick.randint(1, 6))}")
        return self.text(moment.isoformat(pick.choice("T ")))

    def strange(self) -> str:
        return self.text(self.rng.choice(STRANGE))

    def boolean(self) -> str:
        return self.rng.choice(["true", "false"])

    def null(self) -> str:
        return "null"

    def text(self, text: str) -> str:
        """A JSON string, each character as it is or escaped."""
        pick, how = self.rng, self.rng.choice([0.0, 0.0, 0.2, 1.0])
        return '"' + "".join(self.escaped(c) if pick.random() < how or c in '"\\' or c < " " else c for c in text) + '"'

    def escaped(self, char: str) -> str:
        units = char.encode("utf-16-be")
        if char in '"\\/\b\f\n\r\t' and self.rng.random() < 0.5:
            return "\\" + {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}.get(char, char)
        digits = self.rng.choice([str.lower, str.upper])
        return "".join("\\u" + digits(units[i : i + 2].hex()) for i in range(0, len(units), 2))

    def blank(self) -> str:
        return self.rng.choice(["", "", "", " ", "\n\t", "\r\n  "])

    def ignored(self) -> str:
        return self.rng.choice(["1", '"x"', "[[1,{}],2]", '{"user":{"word":1}}', "null"])


def outcome(work: Callable[[], EncodedRequest]) -> Any:
    """Ids and numbers to the last bit, or what is wrong."""
    try:
        found = work()
    except RequestError as error:
        return str(error)
    return tuple(None if part is None else (part.shape, part.tobytes()) for part in found.encoded)


def test_kernels_and_python_say_the_same_of_json() -> None:
    slow, compiled, encoder = SlowReader(KIND_OF), CompiledReader(KIND_OF), Encoder(PIPELINE)
    assert encoder._planned >= set(FEATURES) - {"liked", "word_x_tags", "code_x_size"}, "all else is compiled"
    accepted = 0
    for case in range(CASES):
        body = Maker(case).body()
        try:
            expected = slow.read(body, 100)
        except RequestError:
            with pytest.raises(RequestError):
                compiled.read(body, 100)
            continue
        request = compiled.read(body, 100)
        assert dict(request.user) == dict(expected.user), case
        assert dict(request.candidates) == dict(expected.candidates), case
        wanted = outcome(lambda asked=expected: encoder.request(asked))
        assert outcome(lambda asked=request: encoder.request(asked)) == wanted, case
        accepted += isinstance(wanted, tuple)
    assert accepted > CASES // 3


def retyped(rng: random.Random, column: pa.Array) -> pa.Array:
    """The same cells in another of Arrow's types and places."""
    if pa.types.is_string(column.type) and rng.random() < 0.5:
        for kind in rng.sample([pa.int64(), pa.float64(), pa.int8(), pa.uint32(), pa.float32()], 5):
            try:
                return column.cast(kind)
            except pa.ArrowInvalid:
                pass
    if pa.types.is_string(column.type):
        kinds = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]
        column = column.cast(rng.choice(kinds))
        if rng.random() < 0.3 and not pa.types.is_string_view(column.type) and not pa.types.is_binary_view(column.type):
            column = column.dictionary_encode()
            column = pa.DictionaryArray.from_arrays(
                column.indices.cast(rng.choice([pa.int8(), pa.int32(), pa.uint64()])), column.dictionary
            )
    elif pa.types.is_list(column.type):
        kinds = [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.large_string()), pa.list_(pa.binary())]
        column = column.cast(rng.choice(kinds))
    if rng.random() < 0.5 and len(column):
        column = pa.concat_arrays([column.slice(0, 1), column, column.slice(0, 1)]).slice(1, len(column))
    return column


def test_kernels_and_python_say_the_same_of_arrow() -> None:
    slow, reader, encoder = SlowReader(KIND_OF), RowReader(KIND_OF), Encoder(PIPELINE)
    filled = 0
    for case in range(CASES):
        maker = Maker(case)
        try:
            asked = slow.read(maker.body(), 100)
        except RequestError:
            continue
        if not asked.num_candidates or not asked.candidates:
            continue
        columns = {name: retyped(maker.rng, column) for name, column in asked.candidates.items()}
        if maker.rng.random() < 0.5:
            columns["when"] = times(maker.rng, asked.num_candidates)
        request = reader.read(pa.RecordBatch.from_pydict(columns))
        wanted = outcome(lambda asked=request: encoder.request(asked._replace(read=None)))
        assert outcome(lambda asked=request: encoder.request(asked)) == wanted, case
        filled += plan_fills(encoder, request)
    assert filled > CASES // 4


def times(rng: random.Random, count: int) -> pa.Array:
    moments = [rng.choice([None, rng.randrange(-(2**40), 2**40), 0, -1]) for _ in range(count)]
    return pa.array(
        moments, rng.choice([pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")])
    )


def plan_fills(encoder: Encoder, request: Request) -> bool:
    into = PIPELINE.empty(request.num_candidates)
    assert encoder._plan is not None and request.read is not None
    return not encoder._plan.fill(request.read, *into, lambda x: x)
