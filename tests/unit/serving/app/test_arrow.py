"""Arrow streams from strangers."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from asgi_client import ask
from clickwise.errors import RequestError
from clickwise.serving.app.app import App
from clickwise.serving.app.arrow import read_rows, write_rows

BATCH = pa.RecordBatch.from_pydict(
    {
        "price": [1.0, None, 3.0],
        "item": pa.array(["a", "b", None]).dictionary_encode(),
        "tags": [["x", "y"], None, []],
    }
)


def stream(*batches: pa.RecordBatch, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def test_rows_come_as_they_were_sent() -> None:
    assert read_rows(stream(BATCH), 3).equals(BATCH)
    assert read_rows(write_rows(BATCH), 3).equals(BATCH)
    assert read_rows(stream(BATCH, BATCH), 6).to_pylist() == BATCH.to_pylist() * 2
    assert read_rows(stream(BATCH.slice(0, 0)), 0).num_rows == 0


def test_too_many_rows() -> None:
    with pytest.raises(RequestError, match="has more than 5 rows"):
        read_rows(stream(BATCH, BATCH), 5)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_streams_are_refused(codec: str) -> None:
    """A few bytes of them can become gigabytes."""
    for batch in (BATCH, pa.RecordBatch.from_pydict({"x": np.zeros(10_000)})):
        with pytest.raises(RequestError, match="the Arrow stream is compressed"):
            read_rows(stream(batch, compression=codec), 10**6)


@pytest.mark.parametrize("body", [b"", b"{}", b"ARROW1", b"\xff" * 100])
def test_what_is_no_stream(body: bytes) -> None:
    with pytest.raises(RequestError, match="cannot be read as an Arrow IPC stream"):
        read_rows(body, 3)


def test_damaged_streams_are_refused_or_read() -> None:
    """Any byte changed, any end cut off: rows, or an error that says so, and nothing else."""
    good, chance, refused = stream(BATCH), random.Random(7), 0
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(chance.choice((1, 1, 4))):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        cut = bytes(bad[: chance.randrange(len(bad))]) if chance.random() < 0.2 else bytes(bad)
        try:
            rows = read_rows(cut, 3)
            assert rows.num_rows <= 3
        except RequestError:
            refused += 1
    assert refused > 500


def test_score(app: App) -> None:
    answer = ask(app, "POST", "/v1/score", stream(BATCH.select(["price"]).slice(0, 1)), headers=HEADERS)
    assert answer.status == 200 and answer.headers["clickwise-version"] == "1"
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    found = pa.ipc.open_stream(answer.body).read_all()
    assert found.to_pydict() == {"probability": [pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-9)], "logit": [2.0]}
    assert found.schema.metadata == {b"version": b"1", b"ignored": b"extra"}
    assert ask(app, "POST", "/v1/score", b"{}", headers=HEADERS).status == 400


HEADERS = {"content-type": "application/vnd.apache.arrow.stream"}
