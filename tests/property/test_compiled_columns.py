"""Kernels and NumPy give the same bits: saved states, ids and numbers, for any text in any Arrow layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.features import Bucket, FeaturePipeline, Hashing, LogScale, Quantile, Standardise, Vocabulary
from clickwise.features import side_by_side as threads
from clickwise.features.arrays import nulls_but
from clickwise.features.transform import BadCells
from clickwise.native import Tier, columns, tier
from clickwise.schema import Feature, Schema

pytestmark = pytest.mark.skipif(tier() is Tier.TORCH, reason="the compiled kernels were not built")

CONFIGS = {
    "vocabulary": Vocabulary.Config(min_count=2),
    "hashing": Hashing.Config(num_buckets=1000, seed=5),
    "cut": Vocabulary.Config(separator="|", max_length=3),
    "cut and hashed": Hashing.Config(num_buckets=7, separator="|"),
}
NUMERIC = {
    "bucket": Bucket.Config(num_buckets=5),
    "quantile": Quantile.Config(num_quantiles=7, missing=0.5),
    "log": LogScale.Config(),
    "standard": Standardise.Config(missing=1.0),
}
tokens = st.one_of(
    st.none(),
    st.sampled_from(["", "a", "a|b", "|", "68fd1e64", "3", "3.0", "x" * 33, "é" * 2000, "\x00", "日本"]),
    st.text(max_size=40),
    st.integers(-(10**12), 10**12).map(str),
)
figures = st.one_of(
    st.none(),
    st.sampled_from(["", "0", "-0", "1e5", " 7", "NaN", "null", "+3", "1."]),
    st.integers(-(10**17), 10**17).map(str),
    st.decimals(-(10**6), 10**6, places=4).map(str),
)
LAYOUTS = ["string", "large_string", "binary", "dictionary", "sliced", "chunked"]


def _laid_out(cells: list[str | None], layout: str) -> pa.Array:
    plain = pa.array(cells, pa.string())
    if layout == "dictionary":
        return plain.dictionary_encode()
    if layout == "sliced":
        return pa.concat_arrays([pa.array(["é", None, "q"]), plain, pa.array([None, "r"])])[3 : 3 + len(cells)]
    if layout == "chunked":
        return pa.chunked_array([plain[: len(cells) // 2], plain[len(cells) // 2 :]], pa.string()).combine_chunks()
    return plain.cast({"string": pa.string(), "large_string": pa.large_string(), "binary": pa.binary()}[layout])


@contextmanager
def numpy_only() -> Iterator[None]:
    with mock.patch.object(columns, "compiled", return_value=False):
        yield


def _outcome(configs: dict[str, Any], chunks: list[pa.Array], seen: pa.Array) -> Any:
    """All that can be told of fitting to chunks and encoding `seen`, or the cells that are refused."""
    schema = Schema(label="y", features=tuple(Feature(name=n, column="x", config=c) for n, c in configs.items()))
    try:
        fit = FeaturePipeline.fitting(schema, {"x": chunks[0].type})
        for chunk in chunks:
            fit.update(pa.RecordBatch.from_pydict({"x": chunk}))
        pipeline = fit.finish()
        encoded = pipeline.encode(pa.RecordBatch.from_pydict({"x": seen}))
    except BadCells as error:
        return error.cells
    states = [transform.state() for transform in pipeline.transforms.values()]
    tables = [None if s.table is None else s.table.to_pydict() for s in states]
    return [s.values for s in states], tables, encoded.sparse.tobytes(), encoded.dense.tobytes(), pipeline.inputs


@given(st.lists(tokens, max_size=60), st.lists(tokens, max_size=60), st.sampled_from(LAYOUTS))
@settings(max_examples=150, deadline=None)
def test_tokens(cells: list[str | None], others: list[str | None], layout: str) -> None:
    first, second = _laid_out(cells, layout), _laid_out(others, layout)
    seen = _laid_out([*others, *cells[::2]], layout)
    compiled = _outcome(CONFIGS, [first, second], seen)
    with numpy_only():
        assert _outcome(CONFIGS, [first, second], seen) == compiled


@given(st.lists(figures, max_size=60), st.lists(figures, max_size=60), st.sampled_from(LAYOUTS))
@settings(max_examples=150, deadline=None)
def test_numbers(cells: list[str | None], others: list[str | None], layout: str) -> None:
    chunks = [_laid_out(cells, layout), _laid_out(others, layout)]
    compiled = _outcome(NUMERIC, chunks, chunks[1])
    with numpy_only():
        assert _outcome(NUMERIC, chunks, chunks[1]) == compiled


@given(st.lists(st.one_of(st.none(), st.binary(max_size=6)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_not_text_are_refused_alike(cells: list[bytes | None]) -> None:
    configs = {"vocabulary": CONFIGS["vocabulary"], "hashing": CONFIGS["hashing"]}
    column = pa.array(cells, pa.binary())
    compiled = _outcome(configs, [column], column)
    with numpy_only():
        assert _outcome(configs, [column], column) == compiled


def test_tokens_that_are_too_long_are_refused_alike() -> None:
    column = pa.array(["a", "x" * 4096, "y" * 4097, None])
    compiled = _outcome({"vocabulary": CONFIGS["vocabulary"]}, [column], column)
    assert [(cell.position, cell.column) for cell in compiled] == [(2, "x")]
    with numpy_only():
        assert _outcome({"vocabulary": CONFIGS["vocabulary"]}, [column], column) == compiled


@pytest.mark.parametrize("seed", range(3))
def test_rare_tokens_are_dropped_alike_above_the_bound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clickwise.features.token_counts.MAX_DISTINCT", 500)
    monkeypatch.setattr("clickwise.features.token_counts._PENDING_ROWS", 100)
    draws = np.random.default_rng(seed).zipf(1.2, 20_000) % 9000
    chunks = [pa.array([f"token {v}" if v % 3 else str(v) for v in part]) for part in np.array_split(draws, 70)]
    compiled = _outcome({"vocabulary": CONFIGS["vocabulary"]}, chunks, chunks[0])
    assert compiled[0][0]["pruned_floor"] > 0
    with numpy_only():
        assert _outcome({"vocabulary": CONFIGS["vocabulary"]}, chunks, chunks[0]) == compiled


def test_any_number_of_threads_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FEW_ROWS", 0)
    draws = np.random.default_rng(4).zipf(1.3, 9000)
    chunks = [pa.array(part).cast(pa.string()) for part in np.array_split(draws, 5)]
    outcomes = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        outcomes.append(_outcome(CONFIGS | NUMERIC, chunks, chunks[0]))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.lists(st.tuples(tokens, st.booleans()), max_size=40), st.sampled_from(LAYOUTS))
@settings(max_examples=150, deadline=None)
def test_blanked_rows_are_null_and_the_others_as_they_were(rows: list[tuple[str | None, bool]], layout: str) -> None:
    column, mask = _laid_out([cell for cell, _ in rows], layout), np.array([keep for _, keep in rows], bool)
    for array in (
        column,
        pa.array(range(len(rows)), pa.int16()),
        pa.array([[i] for i in range(len(rows))], pa.list_(pa.int8())),
    ):
        blanked = nulls_but(array, mask)
        blanked.validate(full=True)
        wanted = [value if keep else None for value, keep in zip(array.to_pylist(), mask, strict=True)]
        assert blanked.to_pylist() == wanted
