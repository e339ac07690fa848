"""Round trips and agreements that must hold for any input."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.features import Bucket, FeaturePipeline, Quantile, Vocabulary
from clickwise.features.numeric import to_numbers
from clickwise.features.token_lists import to_token_lists, without_missing
from clickwise.features.tokens import to_tokens
from clickwise.features.xxh64 import xxh64
from clickwise.schema import Feature, Schema

quick = settings(max_examples=40, deadline=None)
text = st.text(max_size=40)
cells = st.lists(st.none() | text, max_size=30)
numbers = st.lists(st.none() | st.floats(width=64), max_size=30)


@quick
@given(cells)
def test_text_survives(values: list[str | None]) -> None:
    assert to_tokens(pa.array(values, pa.string())).to_pylist() == [v or None for v in values]


@quick
@given(st.lists(st.binary(max_size=80), max_size=20), st.integers(0, 2**64 - 1))
def test_xxh64_is_that_of_the_xxhash_package(values: list[bytes], seed: int) -> None:
    assert xxh64(pa.array(values, pa.binary()), seed).tolist() == [xxhash.xxh64_intdigest(v, seed) for v in values]


@quick
@given(st.lists(st.none() | st.lists(text.filter(lambda t: t and "|" not in t), max_size=5), max_size=10))
def test_lists_and_joined_text_agree(lists: list[list[str] | None]) -> None:
    joined = pa.array([None if v is None else "|".join(v) for v in lists], pa.string())
    column = pa.array(lists, pa.list_(pa.string()))
    a, b = to_token_lists(column), to_token_lists(joined, "|")
    assert without_missing(a).to_pylist() == without_missing(b).to_pylist() == [v or [] for v in lists]


@quick
@given(st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=1, max_size=30))
def test_whole_numbers_have_one_token_in_every_type(values: list[int | None]) -> None:
    wanted = [None if v is None else str(v) for v in values]
    assert to_tokens(pa.array(values, pa.int64())).to_pylist() == wanted
    assert to_tokens(pa.array(values, pa.int64()).cast(pa.float64())).to_pylist() == wanted
    assert to_tokens(pa.array(wanted, pa.string())).to_pylist() == wanted


@quick
@given(numbers)
def test_the_token_of_a_number_reads_back_as_the_number(values: list[float | None]) -> None:
    finite = [v for v in values if v is not None and np.isfinite(v)]
    assert [float(t) for t in to_tokens(pa.array(finite, pa.float64())).to_pylist()] == finite


@quick
@given(numbers)
def test_numbers_and_their_csv_text_agree(values: list[float | None]) -> None:
    column = pa.array(values, pa.float64())
    file = io.BytesIO()
    pa.csv.write_csv(pa.table({"x": column, "y": column.is_null()}), file)  # two columns: a lone null makes no row
    as_text = pa.csv.ConvertOptions(column_types={"x": pa.string(), "y": pa.string()})
    back = pa.csv.read_csv(io.BytesIO(file.getvalue()), convert_options=as_text)["x"]
    assert to_numbers(back).to_pylist() == to_numbers(column).to_pylist()


@quick
@given(numbers, st.integers(2, 9))
def test_quantiles_and_buckets_rise_with_the_number(values: list[float | None], parts: int) -> None:
    column = to_numbers(pa.array(values, pa.float64()))
    ordered = np.sort(column.drop_null().to_numpy())
    for kind, config in ((Quantile, Quantile.Config(num_quantiles=parts)), (Bucket, Bucket.Config(num_buckets=parts))):
        fit = kind.fit("f", config)
        fit.update(column)
        transform: Any = fit.finish()
        out = transform.numbers(pa.array(ordered)) if kind is Quantile else transform.ids(pa.array(ordered))[:, 0]
        assert (np.diff(out) >= 0).all()
        if len(ordered):
            assert out[-1] == (1.0 if kind is Quantile else transform.field.num_ids - 1)
            assert out[0] >= (0 if kind is Quantile else 2)


@quick
@given(cells, cells, st.integers(0, 30))
def test_a_vocabulary_gives_known_tokens_their_own_ids(fit_to: list[Any], then: list[Any], cut: int) -> None:
    feature = Feature(name="f", column="x", config=Vocabulary.Config())
    column = pa.array(fit_to, pa.string())
    fit = FeaturePipeline.fitting(Schema(label="y", features=(feature,)), {"x": pa.string()})
    for chunk in (column[:cut], column[cut:]):
        fit.update(pa.RecordBatch.from_pydict({"x": chunk}))
    pipeline = fit.finish()
    with tempfile.TemporaryDirectory() as folder:
        pipeline.save(Path(folder))
        loaded = FeaturePipeline.load(Path(folder))
        words: list[str] = loaded.transforms["f"].tokens.to_pylist()  # type: ignore[attr-defined]
        assert sorted(words) == sorted({v for v in fit_to if v})
        rows = loaded.encode(pa.RecordBatch.from_pydict({"x": pa.array(then, pa.string())})).sparse[:, 0]
    assert rows.tolist() == [1 if not v else 3 + words.index(v) if v in words else 2 for v in then]
