from __future__ import annotations

import csv
import gc
import json
import warnings
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickwise.data import encode as encode_module
from clickwise.data.config import DataConfig
from clickwise.data.encode import prepare
from clickwise.data.labels import read_group
from clickwise.data.open import open_source
from clickwise.data.split import HashSplit
from clickwise.errors import ClickwiseWarning, DataError
from clickwise.features.schema_data import schema_from_data
from clickwise.progress import Progress

FEATURES = {"ad": {"transform": "vocabulary"}, "price": {"transform": "bucket"}, "size": {"transform": "standard"}}


def schema_of(**roles):
    return schema_from_data({"label": "click", "features": FEATURES, **roles})


def columns_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "click": (rng.random(count) < 0.3).astype(int).tolist(),
        "ad": [f"ad{i}" for i in rng.integers(0, 50, count)],
        "price": np.round(rng.random(count), 3).tolist(),
        "size": rng.integers(0, 9, count).tolist(),
        "t": [1_600_000_000 + 60 * int(i) for i in rng.permutation(count)],
        "user": [f"u{i}" for i in rng.integers(0, 5, count)],
        "w": np.round(rng.random(count), 3).tolist(),
    }


def write_csv(path, columns):
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def config(tmp_path):
    return DataConfig(cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def log(tmp_path):
    return write_csv(tmp_path / "log.csv", columns_of(2000))


def run(path, schema, config, **options):
    return prepare(open_source(path, config), schema, config, **options)


def rows_in(part):
    return [] if part is None else np.concatenate([b.sparse.numpy() for b in part.batches(256, None)])


def test_fits_on_training_rows_only_and_encodes_every_row(log, config):
    prepared = run(log, schema_of(weight="w", group="user"), config)
    summary = prepared.summary
    assert summary.rows_read == 2000
    assert len(prepared.train) + len(prepared.valid) == 2000
    assert summary.parts["train"].rows == len(prepared.train)
    assert summary.parts["valid"].positives == prepared.valid.positives
    assert 0.07 < len(prepared.valid) / 2000 < 0.13
    assert prepared.test is None
    assert sum(prepared.pipeline.transforms["ad"].counts.to_pylist()) == len(prepared.train)
    assert summary.split == "by a hash of the row's place, seed 0 (no time column): 10 % validation"
    columns = columns_of(2000)
    trains = HashSplit(0.1, 0.0, 0, "").parts(None, 0, np.arange(1, 2001)) == 0
    expected = prepared.pipeline.encode(pa.RecordBatch.from_pydict(columns))
    (batch, label, weight, group), *_ = prepared.train.scored_batches(4096)
    assert (batch.sparse.numpy() == expected.sparse[trains]).all()
    assert (batch.dense.numpy() == expected.dense[trains]).all()
    assert (label == np.float32(columns["click"])[trains]).all()
    assert (weight == np.float32(columns["w"])[trains]).all()
    assert (group == read_group(pa.array(columns["user"]))[trains]).all()
    assert (batch.weight.numpy() == weight).all()
    assert len(rows_in(prepared.valid)) == np.count_nonzero(~trains)
    assert run(log, schema_of(group="user"), config).train.weighted is False


def test_split_by_time_holds_out_the_last_rows(log, config):
    config = DataConfig(cache_dir=config.cache_dir, valid_fraction=0.2, test_fraction=0.1)
    prepared = run(log, schema_of(time="t", weight="w"), config)
    assert [len(p) for p in (prepared.train, prepared.valid, prepared.test)] == [1400, 400, 200]
    columns = columns_of(2000)
    order = np.argsort(columns["t"])
    last = np.sort(np.float32(columns["w"])[order[1800:]])
    assert np.sort(next(iter(prepared.test.scored_batches(4096)))[2]).tolist() == last.tolist()
    assert prepared.summary.split.startswith("by time (t): validation from 2020-09-14 11:46:40, test from")


def test_one_single_time_falls_back_to_the_hash_and_says_so(tmp_path, config):
    columns = columns_of(500) | {"t": ["2014-10-21 00:00:00"] * 500}
    path = write_csv(tmp_path / "log.csv", columns)
    with pytest.warns(ClickwiseWarning, match="too few different times in 't'"):
        prepared = run(path, schema_of(time="t"), config)
    assert len(prepared.valid) > 20
    assert "hash" in prepared.summary.split
    with pytest.warns(ClickwiseWarning, match="too few different times"):
        assert run(path, schema_of(time="t"), config).summary.cache_hit


def test_coarse_times_warn(tmp_path, config):
    columns = columns_of(500) | {"t": ["2014-10-21", "2014-10-22"] * 250}
    with pytest.warns(ClickwiseWarning, match="too coarse"):
        prepared = run(write_csv(tmp_path / "log.csv", columns), schema_of(time="t"), config)
    assert len(prepared.valid) == 250


def test_crosses_are_counted_on_training_rows_only_and_encoded_everywhere(tmp_path, config):
    columns = columns_of(2000) | {"price": [*["cheap"] * 9, "dear"] * 200}
    columns["ad"] = [ad[:3] if p == "cheap" else "ad9" for ad, p in zip(columns["ad"], columns["price"], strict=True)]
    bad = write_csv(tmp_path / "log.csv", columns | {"size": ["", "no", *["1"] * 1998]})
    config = DataConfig(cache_dir=config.cache_dir, max_bad_fraction=0.1)
    cross = {"transform": "cross", "of": ["ad", "shop"], "min_count": 1}
    shop = {"transform": "vocabulary", "column": "price"}
    schema = schema_from_data(
        {
            "label": "click",
            "features": {
                "cross": cross,
                "ad": {"transform": "vocabulary"},
                "shop": shop,
                "size": {"transform": "standard"},
            },
        }
    )
    prepared = run(bad, schema, config)
    trains = HashSplit(0.1, 0.0, 0, "").parts(None, 0, np.arange(1, 2001)) == 0
    trains[1] = False
    seen = {pair for pair, t in zip(zip(columns["ad"], columns["price"], strict=True), trains, strict=True) if t}
    transform = prepared.pipeline.transforms["cross"]
    assert transform.field.num_ids == 2 + len(seen)
    assert prepared.summary.quarantined == 1
    rows = np.concatenate([rows_in(prepared.train), rows_in(prepared.valid)])
    assert len(rows) == 1999
    first = prepared.pipeline.inputs.offsets()[2]
    assert len(np.unique(rows, axis=0)) == len(np.unique(rows[:, 2])) and rows[:, 2].min() > first  # a row a pair
    kept = len(rows_in(prepared.train))
    assert set(rows[:kept, 2].tolist()) == set(range(first + 2, first + 2 + len(seen)))


def test_a_valid_source_overrides_the_split(tmp_path, log, config):
    path = write_csv(tmp_path / "valid.csv", columns_of(100, seed=5))
    prepared = run(log, schema_of(time="t"), config, valid=open_source(path, config))
    assert [len(prepared.train), len(prepared.valid)] == [2000, 100]
    assert prepared.summary.rows_read == 2100
    assert prepared.summary.split == f"no rows held out; validation rows from {path}"
    assert run(log, schema_of(time="t"), config, valid=open_source(path, config)).summary.cache_hit
    assert not run(log, schema_of(time="t"), config).summary.cache_hit


def test_a_second_run_reads_nothing_again(log, config, monkeypatch):
    first = run(log, schema_of(weight="w"), config)
    assert not first.summary.cache_hit
    monkeypatch.setattr(encode_module, "_build", lambda *_: pytest.fail("built again"))
    second = run(log, schema_of(weight="w"), config)
    assert second.summary.cache_hit
    assert second.summary.parts == first.summary.parts
    assert second.summary.fingerprint == first.summary.fingerprint is not None
    assert (rows_in(second.train) == rows_in(first.train)).all()
    assert second.pipeline.inputs == first.pipeline.inputs


def test_another_schema_or_other_bytes_build_another_entry(log, config):
    run(log, schema_of(), config)
    assert not run(log, schema_of(group="user"), config).summary.cache_hit
    write_csv(log, columns_of(2001))
    assert not run(log, schema_of(), config).summary.cache_hit


def test_a_damaged_entry_is_built_again(log, config):
    rows = rows_in(run(log, schema_of(), config).train)
    (entry,) = (p for p in Path(config.cache_dir).iterdir() if len(p.name) == 64)
    for file, size in (("train.rows", None), ("summary.json", None), ("summary.json", "same")):
        text = (entry / file).read_bytes()
        (entry / file).write_bytes(text[:-1] if size is None else b"x" * len(text))
        again = run(log, schema_of(), config)
        assert not again.summary.cache_hit
        assert (rows_in(again.train) == rows).all()
        del again


def test_blocks_of_any_size_give_the_same_rows(log, config):
    parts = []
    for rows in (37, 65_536):
        small = DataConfig(cache_dir=f"{config.cache_dir}-{rows}", batch_rows=rows)
        parts.append(run(log, schema_of(time="t"), small))
    assert (rows_in(parts[0].train) == rows_in(parts[1].train)).all()
    assert (rows_in(parts[0].valid) == rows_in(parts[1].valid)).all()


def test_frames_are_encoded_to_a_place_that_goes_with_them(config):
    prepared = run(pa.table(columns_of(300)), schema_of(), config)
    assert prepared.summary.fingerprint is None
    assert len(list(Path(config.cache_dir).iterdir())) == 1
    train = prepared.train
    del prepared
    assert len(rows_in(train)) == len(train)
    del train
    gc.collect()
    assert list(Path(config.cache_dir).iterdir()) == []


def with_bad_rows(tmp_path, count=1000):
    columns = columns_of(count)
    columns["click"][3] = "maybe"
    columns["price"][7] = "dear"
    columns["t"][8] = "never"
    path = write_csv(tmp_path / "log.csv", columns)
    text = path.read_text().splitlines()
    text[21] += ",extra"
    path.write_text("\n".join(text) + "\n")
    return path


def test_bad_rows_are_left_out_and_listed(tmp_path, config):
    path = with_bad_rows(tmp_path)
    wanted = tmp_path / "out" / "bad.jsonl"
    config = DataConfig(cache_dir=config.cache_dir, quarantine=str(wanted))
    for hit in (False, True):
        prepared = run(path, schema_of(time="t"), config)
        assert prepared.summary.cache_hit is hit
        assert (prepared.summary.rows_read, prepared.summary.quarantined) == (1000, 4)
        assert len(prepared.train) + len(prepared.valid) == 996
        assert prepared.summary.quarantine == str(wanted)
        listed = [json.loads(line) for line in wanted.read_text().splitlines()]
        assert sorted((r["row"], r["column"], r["value"]) for r in listed if r["column"]) == [
            (4, "click", "maybe"),
            (8, "price", "dear"),
            (9, "t", "never"),
        ]
        assert [r["row"] for r in listed if not r["column"]] == [21]
        wanted.unlink()
    kept = run(path, schema_of(time="t"), DataConfig(cache_dir=config.cache_dir)).summary.quarantine
    assert len(Path(kept).read_text().splitlines()) == 4


def test_what_is_left_of_a_block_keeps_its_own_label_weight_and_time(tmp_path, config):
    columns = columns_of(1000)
    columns["price"][7] = columns["price"][8] = "dear"
    path = write_csv(tmp_path / "log.csv", columns)
    prepared = run(path, schema_of(time="t", weight="w"), config)
    good = np.delete(np.arange(1000), [7, 8])
    late = np.array(columns["t"]) >= np.sort(columns["t"])[900]
    for part, chosen in ((prepared.train, good[~late[good]]), (prepared.valid, good[late[good]])):
        (_, label, weight, _), *_ = part.scored_batches(4096)
        assert weight.tolist() == np.float32(columns["w"])[chosen].tolist()
        assert label.tolist() == np.float32(columns["click"])[chosen].tolist()


def test_bad_rows_outside_the_training_part_count_and_the_message_points_to_nothing_that_goes(tmp_path, config):
    columns = columns_of(1000)
    for i in np.argsort(columns["t"])[-50:]:
        columns["price"][i] = "dear"
    path = write_csv(tmp_path / "log.csv", columns)
    with pytest.raises(DataError, match="the first of 50 unreadable rows in 1,000") as e:
        run(path, schema_of(time="t"), config)
    assert "; mend the data, or raise data.max_bad_fraction" in str(e.value)
    wanted = tmp_path / "bad.jsonl"
    with pytest.raises(DataError, match=r"see .*bad\.jsonl"):
        run(path, schema_of(time="t"), DataConfig(cache_dir=config.cache_dir, quarantine=str(wanted)))
    assert len(wanted.read_text().splitlines()) == 50
    assert [p for p in Path(config.cache_dir).iterdir() if p.is_dir()] == []


def test_too_many_bad_rows_fail_name_the_first_and_leave_nothing(tmp_path):
    path = with_bad_rows(tmp_path)
    config = DataConfig(cache_dir=str(tmp_path / "cache"), max_bad_fraction=0.002)
    with pytest.raises(DataError, match=r"log\.csv, row 21: has 8 cells, expected 7; this is the first") as e:
        run(path, schema_of(), config)
    assert "\n" not in str(e.value)
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []


def test_one_class_and_no_rows(tmp_path, config):
    path = write_csv(tmp_path / "zeros.csv", columns_of(50) | {"click": [0] * 50})
    with pytest.raises(DataError, match=r"zeros\.csv, column 'click': all \d+ training rows have the label 0"):
        run(path, schema_of(), config)
    path = write_csv(tmp_path / "words.csv", columns_of(50) | {"click": ["x"] * 50})
    with pytest.raises(DataError, match="no rows are left to train on: 50 rows were read and 50"):
        run(path, schema_of(), DataConfig(cache_dir=config.cache_dir, max_bad_fraction=1.0))
    assert [p for p in Path(config.cache_dir).iterdir() if p.is_dir()] == []


def test_a_missing_column_names_the_nearest(log, config):
    with pytest.raises(DataError, match=r"column 'usr': there is no such column \(did you mean 'user'\?\); there are"):
        run(log, schema_of(group="usr"), config)
    with pytest.raises(DataError, match="column 'tt'"):
        run(log, schema_of(time="tt"), config)


def test_a_full_disk_is_one_line_and_leaves_nothing(log, config, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encode_module, "_rows", full)
    with pytest.raises(DataError, match="the disk is full"):
        run(log, schema_of(), config)
    assert [p for p in Path(config.cache_dir).iterdir() if p.is_dir()] == []
    with pytest.raises(DataError, match="the disk is full"):
        run(pa.table(columns_of(300)), schema_of(), config)
    assert [p for p in Path(config.cache_dir).iterdir() if p.is_dir()] == []


class Told(Progress):
    def __init__(self):
        self.stages = {}

    def start(self, stage, total_rows=None):
        self.stage = stage
        self.stages[stage] = 0

    def advance(self, rows, **figures):
        self.stages[self.stage] += rows


def test_every_pass_tells_its_progress(tmp_path, log, config):
    told = Told()
    valid = open_source(write_csv(tmp_path / "v.csv", columns_of(100, seed=5)), config)
    config = DataConfig(cache_dir=config.cache_dir, test_fraction=0.1)
    run(log, schema_of(time="t"), config, valid=valid, progress=told)
    assert told.stages == {"read times": 2000, "fit features": 2000, "encode": 2000, "encode validation rows": 100}


def test_memory_does_not_grow_with_the_rows(tmp_path, config):
    path = tmp_path / "big.parquet"
    table = pa.table(columns_of(50_000))
    with pq.ParquetWriter(path, table.schema) as out:
        for _ in range(16):
            out.write_table(table)
    process = psutil.Process()
    config = DataConfig(cache_dir=config.cache_dir, batch_rows=16_384)
    run(write_csv(tmp_path / "warm.csv", columns_of(2000)), schema_of(time="t"), config)
    gc.collect()
    before = process.memory_info().rss
    peak = before

    class Watch(Progress):
        def advance(self, rows, **figures):
            nonlocal peak
            peak = max(peak, process.memory_info().rss)

        def warn(self, text):
            warnings.warn(text, ClickwiseWarning, stacklevel=2)

    prepared = run(path, schema_of(time="t", weight="w"), config, progress=Watch())
    encoded_bytes = (len(prepared.train) + len(prepared.valid)) * prepared.train.dtype.itemsize
    assert prepared.summary.rows_read == 800_000
    assert encoded_bytes > 20 << 20
    assert peak - before < 120 << 20
