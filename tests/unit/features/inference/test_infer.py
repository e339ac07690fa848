from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from clickwise.errors import ConfigError
from clickwise.features import Bucket, Cross, DateTimePart, Sequence, Vocabulary
from clickwise.features.inference.infer import infer_schema

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data"
ROWS = 2000


def log(**columns):
    rng = np.random.default_rng(0)
    base = {"click": (rng.random(ROWS) < 0.2).astype(int), "ad": [f"ad{i}" for i in rng.integers(0, 30, ROWS)]}
    return pa.table(base | columns)


def decisions(inferred):
    return {c.name: c.decision for c in inferred.columns}


def features(inferred):
    return {f.name: f.config for f in inferred.schema.features}


def moments(span_days):
    return [datetime(2024, 1, 1) + timedelta(days=span_days * i / (ROWS - 1)) for i in range(ROWS)]


RNG = np.random.default_rng(1)


def test_each_kind_of_column_becomes_its_kind_of_feature():
    inferred = infer_schema(
        log(
            user_id=RNG.integers(0, 500, ROWS),
            age=RNG.integers(18, 80, ROWS),
            price=RNG.random(ROWS),
            genres=["a|b", "b", "c|a", "c"] * (ROWS // 4),
            tags=[["x"], ["x", "y"], [], ["z"]] * (ROWS // 4),
            seen=[True, False] * (ROWS // 2),
            ts=moments(5),
        )
    )
    assert features(inferred) == {
        "ad": Vocabulary.Config(),
        "user_id": Vocabulary.Config(),
        "age": Bucket.Config(),
        "price": Bucket.Config(),
        "genres": Vocabulary.Config(separator="|"),
        "tags": Vocabulary.Config(),
        "seen": Vocabulary.Config(),
        "ts_hour": DateTimePart.Config(part="hour"),
        "ts_weekday": DateTimePart.Config(part="weekday"),
    }
    assert (inferred.schema.label, inferred.schema.time) == ("click", "ts")
    assert inferred.warnings == ()
    assert decisions(inferred)["ts"] == "time + hour, weekday"


def test_text_gives_the_same_features_as_numbers():
    table = log(user_id=RNG.integers(0, 500, ROWS), price=RNG.random(ROWS), ts=moments(5))
    text = pa.table({name: table[name].cast(pa.string()) for name in table.column_names})
    assert infer_schema(text).schema == infer_schema(table).schema


@pytest.mark.parametrize(("rows", "min_count"), [(49_999, 1), (50_000, 2), (10**6, 3), (10**7, 5)])
def test_min_count_grows_with_the_rows_of_the_whole(rows, min_count):
    assert features(infer_schema(log(), rows=rows))["ad"].min_count == min_count


@pytest.mark.parametrize(
    ("days", "rows", "parts"),
    [(0.5, None, ["hour"]), (3, None, ["hour", "weekday"]), (0.5, 4 * ROWS, ["hour", "weekday"])],
)
def test_weekday_needs_two_days_of_the_whole_data(days, rows, parts):
    inferred = infer_schema(log(ts=moments(days)), rows=rows)
    assert [f.config.part for f in inferred.schema.features if f.column == "ts"] == parts


def test_useless_columns_are_dropped():
    inferred = infer_schema(
        log(
            same=["x"] * ROWS,
            empty=[None] * ROWS,
            id=np.arange(ROWS) + 10**6,
            hash=[f"{i:08x}" for i in range(ROWS)],
            essay=["words " * 300] * (ROWS - 1) + ["b"],
            nested=[{"a": 1}] * ROWS,
            noise=RNG.random(ROWS),
            balance=RNG.permutation(ROWS * 10)[:ROWS],
            rarely=["x"] * 10 + [None] * (ROWS - 10),
        )
    )
    found = decisions(inferred)
    assert [name for name, decision in found.items() if decision == "dropped"] == [
        "same", "empty", "id", "hash", "essay", "nested",
    ]  # fmt: skip
    assert (found["noise"], found["balance"]) == ("bucket", "bucket")
    assert found["rarely"] == "vocabulary(min_count=1)"


def test_small_samples_keep_unique_columns():
    table = log(id=np.arange(ROWS)).slice(0, 999)
    assert decisions(infer_schema(table))["id"] != "dropped"


def test_a_leaking_column_is_dropped_with_a_warning_that_says_how_to_keep_it():
    table = log()
    table = table.append_column(
        "bought at", pa.array([None if c == 0 else "2024-01-01" for c in table["click"].to_pylist()])
    )
    inferred = infer_schema(table)
    assert decisions(inferred)["bought at"] == "dropped"
    (warning,) = inferred.warnings
    assert "'bought at' is dropped: whether it is missing tells the label (AUC 1.000)" in warning
    assert 'declare [schema.features."bought at"] with schema.infer = true' in warning
    assert inferred.schema.time is None
    kept = infer_schema(table, declared={"infer": True, "features": {"bought at": {"transform": "vocabulary"}}})
    assert list(features(kept)) == ["ad", "bought at"]
    assert kept.warnings == ()


def test_true_probability_is_the_truth():
    inferred = infer_schema(log(true_probability=RNG.random(ROWS)))
    assert inferred.schema.truth == "true_probability"
    assert list(features(inferred)) == ["ad"]


def test_several_times_warn_and_the_best_name_wins():
    inferred = infer_schema(log(seen_on=moments(5), click_time=moments(6)))
    assert inferred.schema.time == "click_time"
    assert "'click_time' is taken as schema.time, not 'seen_on'" in inferred.warnings[0]
    assert infer_schema(log(a=moments(5), b=moments(6)), declared={"time": "b"}).warnings == ()
    assert infer_schema(log(a=moments(5)), declared={"time": ""}).schema.time is None


def test_the_label_by_name():
    table = log()
    assert infer_schema(table).schema.label == "click"
    with pytest.raises(ConfigError, match=r"schema\.label: say which column is the label; several columns could be it"):
        infer_schema(table.append_column("label", table["click"]))
    renamed = table.rename_columns(["outcome", "ad"])
    with pytest.raises(ConfigError, match="no column has the name of one; the columns are outcome, ad"):
        infer_schema(renamed)
    assert infer_schema(renamed, label="outcome").schema.label == "outcome"
    with pytest.raises(ConfigError, match=r"schema\.label: got 'outcom', .* \(did you mean 'outcome'\?\)"):
        infer_schema(renamed, label="outcom")


def test_a_label_that_is_not_binary_says_what_it_holds():
    with pytest.raises(ConfigError) as caught:
        infer_schema(log(y2=[">50K", "<=50K", "<=50K", "?"] * (ROWS // 4)), label="y2")
    message = str(caught.value)
    assert "it holds '<=50K', " in message
    assert "schema.positive = ['" in message
    assert "\n" not in message
    some_bad = log(y2=["0", "1", "1", "0", "x"] * (ROWS // 5))
    assert infer_schema(some_bad, label="y2").schema.label == "y2"


def test_declared_features_are_the_whole_list():
    table = log(other=RNG.random(ROWS), ts=moments(5))
    declared = {"features": {"ad": {"transform": "hashing", "num_buckets": 100}}}
    inferred = infer_schema(table, declared=declared)
    assert list(features(inferred)) == ["ad"]
    assert inferred.schema.time == "ts"
    assert decisions(inferred)["other"] == "not used"
    assert decisions(inferred)["ts"] == "time"


def test_declared_features_come_on_top_with_infer():
    table = log(price=RNG.random(ROWS), day=moments(5))
    declared = {"infer": True, "features": {"log_price": {"transform": "log", "column": "price"}}, "exclude": ["ad"]}
    inferred = infer_schema(table, declared=declared)
    assert list(features(inferred)) == ["day_hour", "day_weekday", "log_price"]
    assert decisions(inferred)["ad"] == "dropped"


def test_hints_fill_in_and_the_declared_wins():
    table = log(price=RNG.integers(0, 9, ROWS), size=RNG.integers(0, 9, ROWS), secret=RNG.random(ROWS))
    hints = {
        "label": "click",
        "threshold": 1.0,
        "exclude": ["secret"],
        "features": {
            "price": {"transform": "standard"},
            "size": {"transform": "standard"},
            "gone": {"transform": "vocabulary"},
        },
    }
    declared = {"infer": True, "features": {"size": {"transform": "bucket"}}}
    inferred = infer_schema(table, hints=hints, declared=declared)
    assert inferred.schema.threshold == 1.0
    assert [(n, type(c).__qualname__) for n, c in features(inferred).items()] == [
        ("ad", "Vocabulary.Config"),
        ("price", "Standardise.Config"),
        ("size", "Bucket.Config"),
    ]
    assert infer_schema(table, hints=hints, declared={"positive": ["1"]}).schema.threshold is None
    other = table.append_column("price2", table["click"])
    assert infer_schema(other, hints=hints, label="price2").schema.threshold is None


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"lable": "click"}, r"schema\.lable: unknown key \(did you mean 'label'\?\); allowed are"),
        (
            {"weight": "wieght"},
            r"schema\.weight: got 'wieght', which is no column of the data; its columns are click, ad",
        ),
        ({"infer": "yes"}, r"schema\.infer: got 'yes', allowed is true or false"),
        ({"exclude": "ad"}, r"schema\.exclude: got 'ad', allowed is a list"),
        ({"exclude": ["add"]}, r"schema\.exclude: got 'add', .*did you mean 'ad'"),
        (
            {"features": {"x": {"transform": "bucket", "column": "adx"}}},
            r"schema\.features\.x\.column: got 'adx'.*'ad'",
        ),
        ({"features": {"ad": {"transform": "buckets"}}}, r"schema\.features\.ad\.transform: unknown .*'bucket'"),
        ({"features": {"ad": {"transform": "bucket", "n": 3}}}, r"schema\.features\.ad\.n: unknown key"),
        ({"features": ["ad"]}, r"schema\.features: got \['ad'\], allowed is a table"),
        ({"threshold": "x"}, r"schema\.threshold: got 'x', allowed is a number"),
        (
            {"exclude": ["ad"]},
            r"schema\.features: no column can be a feature; the columns are click \(label: as said\)",
        ),
    ],
)
def test_mistakes_in_what_was_declared(declared, said):
    with pytest.raises(ConfigError, match=said):
        infer_schema(log(), declared=declared)


def test_the_table_is_plain_text_with_a_line_a_column():
    lines = infer_schema(log(price=RNG.random(ROWS))).table().splitlines()
    assert lines[0].split() == ["column", "type", "distinct", "missing", "becomes", "because"]
    assert lines[3].split() == ["price", "number", "2,000", "0.0%", "bucket", "numbers", "with", "a", "fraction"]
    assert len(lines) == 4


def shared(name):
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"the shared data file {name} is not on this machine")
    if path.suffix == ".parquet":
        return pq.read_table(path).slice(0, 100_000)
    table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(strings_can_be_null=False))
    return pa.table({n: table[n].cast(pa.string()) for n in table.column_names}).slice(0, 100_000)


def test_talkingdata():
    inferred = infer_schema(shared("talkingdata_100k/train.csv"))
    assert inferred.schema.label == "is_attributed"
    assert inferred.schema.time == "click_time"
    assert list(features(inferred)) == [
        "..ip", "app", "device", "os", "channel", "click_time_hour", "click_time_weekday",
    ]  # fmt: skip
    assert all(isinstance(features(inferred)[n], Vocabulary.Config) for n in ("..ip", "app", "device", "os", "channel"))
    assert decisions(inferred)["attributed_time"] == "dropped"
    assert len(inferred.warnings) == 1


def test_kdd12():
    inferred = infer_schema(shared("kdd12_40k/click.csv"), declared={"threshold": 1.0})
    found = features(inferred)
    assert isinstance(found.pop("impression"), Bucket.Config)
    assert len(found) == 10
    assert all(isinstance(config, Vocabulary.Config) for config in found.values())


def test_frappe():
    inferred = infer_schema(shared("frappe_x1/train.parquet"))
    assert inferred.schema.label == "label"
    assert len(features(inferred)) == 10
    assert all(isinstance(config, Vocabulary.Config) for config in features(inferred).values())


def test_avazu():
    found = decisions(infer_schema(shared("avazu_10k/train.csv")))
    assert [n for n, d in found.items() if d == "dropped"] == ["id", "hour"]
    assert {d for n, d in found.items() if n not in ("id", "hour", "click")} == {"vocabulary(min_count=1)"}


def test_adult_without_names():
    path = SHARED / "adult" / "adult.data"
    if not path.is_file():
        pytest.skip("the shared data file adult/adult.data is not on this machine")
    rows = [line.split(", ") for line in path.read_text().splitlines() if line]
    table = pa.table({f"f{i}": pa.array([row[i] for row in rows]) for i in range(15)})
    inferred = infer_schema(table, label="f14", declared={"positive": [">50K"]})
    amounts = [f.name for f in inferred.schema.features if isinstance(f.config, Bucket.Config)]
    assert amounts == ["f0", "f2", "f10", "f11", "f12"]


def test_crosses_alone_come_on_top_of_what_is_inferred():
    cross = {"transform": "cross", "of": ["ad", "user_id"]}
    columns = log(user_id=RNG.integers(0, 500, ROWS))
    inferred = infer_schema(columns, declared={"features": {"ad_x_user": cross}})
    assert features(inferred) == {
        "ad": Vocabulary.Config(),
        "user_id": Vocabulary.Config(),
        "ad_x_user": Cross.Config(of=("ad", "user_id")),
    }
    assert decisions(inferred) == decisions(infer_schema(columns))
    listed = infer_schema(columns, declared={"features": {"ad": {"transform": "vocabulary", "min_count": 3}}})
    assert list(features(listed)) == ["ad"]
    with pytest.raises(ConfigError, match=r"features.ad_x_user.of: got 'user_id'.*no cross: ad"):
        infer_schema(
            columns, declared={"features": {"ad": {"transform": "vocabulary", "min_count": 3}, "ad_x_user": cross}}
        )


def test_a_sequence_alone_comes_on_top_of_what_is_inferred():
    columns = log(seen=["a b", "b c d"] * (ROWS // 2), user_id=RNG.integers(0, 500, ROWS))
    seen = {"transform": "sequence", "shares": "ad", "separator": " "}
    inferred = infer_schema(columns, declared={"features": {"seen": seen}})
    assert features(inferred) == {
        "ad": Vocabulary.Config(),
        "user_id": Vocabulary.Config(),
        "seen": Sequence.Config(shares="ad", separator=" "),
    }
    assert decisions(inferred)["seen"] == "sequence(shares=ad, separator=' ')"
    with pytest.raises(ConfigError, match=r"schema.features.seen.shares: got 'adv'.*did you mean 'ad'"):
        infer_schema(columns, declared={"features": {"seen": {**seen, "shares": "adv"}}})
    with pytest.raises(ConfigError, match=r"schema.features.seen.column: got 'seem'"):
        infer_schema(columns, declared={"features": {"seen": {**seen, "column": "seem"}}})


def test_the_item_is_described_by_features_that_are_yet_to_be_found_or_stand_on_others():
    table = log(user=RNG.integers(0, 50, ROWS), fans=[["1", "2"]] * ROWS)
    sequence = {"transform": "sequence", "shares": "user"}
    asked = {"label": "click", "item_features": ["ad", "fans"], "infer": True, "features": {"fans": sequence}}
    assert infer_schema(table, declared=asked).schema.item_side == ("ad", "fans")
    with pytest.raises(
        ConfigError, match=r"item_features: got 'add', allowed is names of features \(did you mean 'ad'\?\)"
    ):
        infer_schema(table, declared={**asked, "item_features": ["add", "fans"]})
