"""Crosses, against plain Python over the values themselves."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.features import Bucket, Cross, FeaturePipeline, Hashing, Standardise, Vocabulary, token_counts
from clickwise.features import cross as cross_module
from clickwise.features.combinations import KeyCounter, keys_of
from clickwise.features.schema_data import schema_from_data, schema_to_data
from clickwise.features.token_counts import TokenCounts
from clickwise.schema import Feature, Field, Schema

ROWS = 500


def data_of(rows: int = ROWS, seed: int = 0) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    tags = [[f"t{t}" for t in rng.integers(0, 6, n)] for n in rng.integers(0, 5, rows)]
    columns = {
        "user": pa.array([f"u{i}" for i in rng.integers(0, 9, rows)], mask=rng.random(rows) < 0.1),
        "site": pa.array([f"s{i}" for i in rng.zipf(1.5, rows) % 12], mask=rng.random(rows) < 0.1),
        "price": pa.array(rng.random(rows)),
        "tags": pa.array(tags),
    }
    return pa.RecordBatch.from_pydict(columns)


def schema_of(**crosses: Cross.Config) -> Schema:
    features = [
        Feature(name="user_x_site", config=Cross.Config(of=("user", "site"), min_count=3)),
        Feature(name="user", column="user", config=Vocabulary.Config(min_count=40)),
        Feature(name="cents", column="price", config=Standardise.Config()),
        Feature(name="site", column="site", config=Vocabulary.Config(min_count=5)),
        Feature(name="price", column="price", config=Bucket.Config(num_buckets=3)),
        Feature(name="tags", column="tags", config=Vocabulary.Config()),
    ]
    return Schema(label="y", features=(*features, *(Feature(name=n, config=c) for n, c in crosses.items())))


def fitted(schema: Schema, *chunks: pa.RecordBatch) -> FeaturePipeline:
    fit: Any = FeaturePipeline.fitting(schema, {f.name: f.type for f in chunks[0].schema})
    for chunk in chunks:
        fit.update(chunk)
    fit = fit.finish().crossing(schema)
    for chunk in chunks:
        fit.update(chunk)
    return fit.finish()


ALL = {
    "tags_x_site": Cross.Config(of=("tags", "site"), min_count=2, max_size=20),
    "three": Cross.Config(of=("price", "tags", "user"), min_count=1),
    "hashed": Cross.Config(of=("user", "tags"), num_buckets=7),
}


def combinations_by_hand(ids: dict[str, np.ndarray], of: tuple[str, ...], row: int) -> list[Any]:
    """ "missing", "unknown" or the tuple of ids, for each combination of a row."""
    lists = [[int(i) for i in ids[name][row] if i >= 0] for name in of]
    if [0] in lists:
        return ["missing"]
    return ["missing" if 0 in c else "unknown" if 1 in c else c for c in itertools.product(*lists)][:64]


@pytest.mark.parametrize("name", ["user_x_site", "tags_x_site", "three", "hashed"])
def test_ids_are_those_of_the_combinations_that_were_kept(name: str) -> None:
    data, schema = data_of(), schema_of(**ALL)
    pipeline = fitted(schema, data)
    config = next(f.config for f in schema.features if f.name == name)
    ids = pipeline.ids(data)
    rows = [combinations_by_hand(ids, config.of, row) for row in range(ROWS)]
    counts = Counter(c for row in rows for c in row if isinstance(c, tuple))
    kept = sorted(c for c in counts if counts[c] >= (config.min_count or 1))
    kept = sorted(sorted(kept, key=lambda c: (-counts[c], c))[: config.max_size])
    field = pipeline.transforms[name].field
    assert (field.pooling, field.cross, field.length) == ("sum", True, max(len(row) for row in rows))
    if config.num_buckets is None:
        assert field.num_ids == 2 + len(kept)
        number = {**{c: 2 + i for i, c in enumerate(kept)}, "missing": 0}
    else:
        assert field.num_ids == 2 + config.num_buckets
        number = {"missing": 0, "unknown": 1}
        seen = {c: int(i) for row, found in zip(rows, ids[name], strict=True) for c, i in zip(row, found, strict=False)}
        number |= {c: seen[c] for c in counts}
        assert {number[c] for c in counts} == set(range(2, 9))  # every bucket is used
    wanted = [[number.get(c, 1) for c in row] + [-1] * (field.length - len(row)) for row in rows]
    assert ids[name].tolist() == wanted
    assert ids[name].dtype == np.int32
    assert {0, 1, 2} <= set(ids[name].flatten().tolist())


def test_crosses_come_after_all_other_fields_wherever_they_are_declared() -> None:
    data, schema = data_of(), schema_of(**ALL)
    pipeline = fitted(schema, data)
    names = [f.name for f in pipeline.inputs.fields]
    assert names == ["user", "site", "price", "tags", "user_x_site", "tags_x_site", "three", "hashed"]
    assert pipeline.inputs.num_vectors == pipeline.inputs.base.num_vectors == 4
    assert pipeline.inputs.base == fitted(schema_of().without_crosses(), data).inputs
    assert list(pipeline.transforms) == [f.name for f in schema.features]
    encoded, ids = pipeline.encode(data), pipeline.ids(data)
    for (field, slots), offset in zip(pipeline.inputs.slots(), pipeline.inputs.offsets(), strict=True):
        filled = ids[field.name] >= 0
        assert (encoded.sparse[:, slots][filled] == ids[field.name][filled] + offset).all()
        assert (encoded.sparse[:, slots][~filled] == 0).all()


def test_fit_in_chunks_equals_fit_at_once_and_files_round_trip(tmp_path: Path) -> None:
    data, schema = data_of(), schema_of(**ALL)
    whole = fitted(schema, data)
    chunked = fitted(schema, data[:1], data[1:1], data[1:230], data[230:])
    assert sorted(whole.save(tmp_path)) == sorted(p.name for p in tmp_path.iterdir())
    loaded = FeaturePipeline.load(tmp_path)
    for other in (chunked, loaded):
        assert other.inputs == whole.inputs
        assert (other.encode(data).sparse == whole.encode(data).sparse).all()
        for name in ("user_x_site", *ALL):
            assert other.transforms[name].state() == whole.transforms[name].state()
    one = np.concatenate([loaded.encode(data[i : i + 1]).sparse for i in range(0, ROWS, 9)])
    assert (one == whole.encode(data).sparse[::9]).all()


def test_missing_rows_teach_nothing_and_are_one_missing_combination() -> None:
    empty = pa.RecordBatch.from_pydict({f.name: pa.nulls(4, f.type) for f in data_of().schema})
    pipeline = fitted(schema_of(**ALL), data_of(), empty)
    for name in ("user_x_site", *ALL):
        assert pipeline.transforms[name].state() == fitted(schema_of(**ALL), data_of()).transforms[name].state()
        ids = pipeline.ids(empty)[name]
        assert ids.tolist() == [[0] + [-1] * (ids.shape[1] - 1)] * 4
    nothing = fitted(schema_of(**ALL), empty)
    assert nothing.transforms["user_x_site"].field.num_ids == 2
    assert set(nothing.encode(data_of()).sparse[:, 4].tolist()) <= {*range(nothing.inputs.offsets()[4], 99)}


def test_slots_of_a_cross_are_weighted_one_beside_a_weighted_field() -> None:
    data = pa.RecordBatch.from_pydict({"a": pa.array([["p", "q"], ["q"]]), "w": pa.array([[0.5, 2.0], [3.0]])})
    features = (
        Feature(name="a", column="a", config=Vocabulary.Config(weights="w")),
        Feature(name="b", column="a", config=Vocabulary.Config()),
        Feature(name="c", config=Cross.Config(of=("a", "b"), min_count=1)),
    )
    encoded = fitted(Schema(label="y", features=features), data).encode(data)
    assert encoded.slot_weight is not None
    assert encoded.slot_weight.tolist() == [[0.5, 2, 1, 1, 1, 1, 1, 1], [3, 0, 1, 0, 1, 0, 0, 0]]


def test_a_row_keeps_its_first_64_combinations() -> None:
    wide = [np.arange(2, 22, dtype=np.int32)[None], np.arange(2, 12, dtype=np.int32)[None]]
    keys = keys_of(wide, [22, 12], 64)
    assert keys.tolist() == [[a * 12 + b for a in range(2, 22) for b in range(2, 12)][:64]]


def test_keys_are_exact_up_to_63_bits() -> None:
    sizes = [2**31 - 1, 2**30, 3]
    parts = [np.array([[s - 1]], np.int32) for s in sizes]
    assert keys_of(parts, sizes, 64).tolist() == [[sizes[0] * sizes[1] * 3 - 1]]
    fields = [Field(name="f", num_ids=n) for n in (*sizes, 2)]
    with pytest.raises(ConfigError, match=r"features.c.of: has 2,147,483,647 x .* x 2 combinations of ids; allowed"):
        Cross.fit("c", Cross.Config(of=("a", "b", "d", "e")), fields)


def test_counting_is_exact_up_to_the_bound_and_bounded_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "_PENDING_ROWS", 100)
    rng = np.random.default_rng(1)
    chunks = [rng.zipf(1.3, 3000).astype(np.int64) % 5000 for _ in range(200)]
    truth = Counter(np.concatenate(chunks).tolist())
    exact, bounded = TokenCounts(10**6, KeyCounter()), TokenCounts(400, KeyCounter())
    for chunk in chunks:
        exact.add(chunk)
        bounded.add(chunk)
    assert dict(zip(*exact.table().select(["token", "count"]).to_pydict().values(), strict=True)) == truth
    found = bounded.table().to_pydict()
    assert bounded.floor > 0
    assert 0 < len(found["token"]) <= 400
    for token, count, error in zip(*found.values(), strict=True):
        assert count <= truth[token] <= count + error
    missed = set(truth) - set(found["token"])
    assert missed and max(truth[t] for t in missed) <= bounded.floor


def test_fitting_tells_what_it_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_module, "MAX_COUNTED", 10)
    pipeline = fitted(schema_of(), data_of())
    assert pipeline.transforms["user_x_site"].pruned_floor > 0


def test_schema_data_round_trips_and_a_cross_has_no_column() -> None:
    schema = schema_of(**ALL)
    data = schema_to_data(schema)
    assert data["features"]["user_x_site"] == {"transform": "cross", "of": ["user", "site"], "min_count": 3}
    assert schema_from_data(data) == schema
    data["features"]["user_x_site"]["column"] = "user"
    with pytest.raises(ConfigError, match=r"schema.features.user_x_site.column: unknown key"):
        schema_from_data(data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": ["user"]}, r"features.c.of: got \['user'\], allowed is two or more features"),
        ({"of": ["user", "user"]}, "allowed is two or more features"),
        (
            {"of": ["user", "sit"]},
            r"features.c.of: got 'sit', allowed is .* that is no cross \(did you mean 'site'\?\)",
        ),
        ({"of": ["user", "user_x_site"]}, "allowed is the name of another feature that is no cross"),
        ({"of": ["user", "c"]}, "allowed is the name of another feature that is no cross"),
        ({"of": ["user", "site"], "min_count": 0}, "features.c.min_count: got 0"),
        ({"of": ["user", "site"], "max_size": 0}, "features.c.max_size: got 0"),
        ({"of": ["user", "site"], "num_buckets": 0}, "features.c.num_buckets: got 0"),
        (
            {"of": ["user", "site"], "num_buckets": 5, "min_count": 2},
            "num_buckets, or min_count and max_size, not both",
        ),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    data = schema_to_data(schema_of())
    data["features"]["c"] = {"transform": "cross", **settings}
    with pytest.raises(ConfigError, match=message):
        schema_from_data(data, "")


def test_numbers_cannot_be_crossed_and_columns_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"features.c.of: got 'cents', .* cut it into ids by the transform bucket"):
        fitted(schema_of(c=Cross.Config(of=("user", "cents"))), data_of())
    with pytest.raises(ConfigError, match=r"features.a.column: got ''"):
        Schema(label="y", features=(Feature(name="a", config=Hashing.Config(num_buckets=3)),))
    with pytest.raises(ConfigError, match=r"features.c.column: got 'x', allowed is no column"):
        Schema(label="y", features=(*schema_of().features, Feature(name="c", column="x", config=ALL["hashed"])))


@pytest.mark.parametrize(
    ("name", "values", "keys", "message"),
    [
        ("user_x_site", {"sizes": [4]}, None, "not one size for each"),
        ("user_x_site", {"sizes": [4, True]}, None, "sizes of the cross are out of range"),
        ("user_x_site", {"sizes": [2**40, 2**40]}, None, "sizes of the cross are out of range"),
        ("user_x_site", {"sizes": [5, 50]}, None, "does not belong to the features it combines"),
        ("user_x_site", {"length": 65}, None, "length is 65"),
        ("user_x_site", {}, [5, 4], "not in order"),
        ("user_x_site", {}, [4, 4], "not in order"),
        ("user_x_site", {}, [1, 9], "not in order"),
        ("user_x_site", {}, [9, None], "missing values"),
        ("hashed", {}, [9], "buckets and a table"),
    ],
)
def test_a_damaged_state_is_refused(
    name: str, values: dict[str, Any], keys: list[int | None] | None, message: str, tmp_path: Path
) -> None:
    pipeline = fitted(schema_of(**ALL), data_of())
    transform = pipeline.transforms[name]
    state = transform.state()
    table = state.table if keys is None else pa.table({"key": pa.array(keys, pa.int64())})
    bad = type(state)({**state.values, **values}, table)
    transform.state = lambda: bad  # type: ignore[method-assign]
    pipeline.save(tmp_path)
    with pytest.raises(BundleError, match=message):
        FeaturePipeline.load(tmp_path)
