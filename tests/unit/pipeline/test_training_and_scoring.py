from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.batch import Batch
from clickwise.bundle import batch_logits
from clickwise.data.cache import checkpoint_folder
from clickwise.errors import BundleError, ClickwiseError, ConfigError, DataError
from clickwise.features import Quantile, Vocabulary
from clickwise.progress import Progress
from clickwise.schema import Feature, Schema

FAST = ["training.epochs=1", "training.batch_size=512"]


def test_any_frame_trains_the_same_model(small_log: Path) -> None:
    table = pq.read_table(small_log)
    frames = [table, pl.from_arrow(table), table.to_reader(), pd.read_parquet(small_log, dtype_backend="pyarrow")]
    logits = [cw.train(frame, label="click", model="fm", settings=FAST).logits(table) for frame in frames]
    for other in logits[1:]:
        np.testing.assert_array_equal(logits[0], other)


def test_a_file_and_its_frame_give_the_same_features(small_log: Path) -> None:
    settings = [*FAST, "data.valid_fraction=0.2"]
    table = pq.read_table(small_log)
    from_file = cw.train(small_log, label="click", model="lr", settings=settings)
    from_frame = cw.train(table, label="click", model="lr", settings=settings)
    np.testing.assert_array_equal(from_file.logits(table), from_frame.logits(table))


def test_raw_rows_score_as_encoded_rows_did_in_training(small_log: Path) -> None:
    """The bundle's path from a raw row to a logit is the one that training took."""
    bundle = cw.train(small_log, label="click", model="deepfm", settings=[*FAST, "model.hidden_dims=[8]"])
    table = pq.read_table(small_log)
    encoded = bundle.pipeline.encode(table.combine_chunks().to_batches()[0])
    direct = batch_logits(bundle.model, Batch.of(encoded.sparse, encoded.dense, encoded.slot_weight))
    np.testing.assert_allclose(bundle.logits(table), direct, atol=1e-6)


def test_same_seed_same_weights_another_seed_others(small_log: Path) -> None:
    table = pq.read_table(small_log)
    first, same, other = (
        cw.train(small_log, label="click", model="fm", settings=[*FAST, f"training.seed={seed}"]).logits(table)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-4


class _Twin(Progress):
    """Runs the same training whole, once, in the midst of the one that it listens to."""

    def __init__(self, call) -> None:  # type: ignore[no-untyped-def]
        self.call, self.notes, self.twin = call, [], None

    def validated(self, figures) -> None:  # type: ignore[no-untyped-def]
        if self.twin is None:
            listener = _Twin(None)
            listener.twin = "is one"
            self.twin, self.notes = self.call(listener), listener.notes

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_the_same_training_twice_at_a_time_does_no_harm(small_log: Path, tmp_path: Path) -> None:
    settings = ["training.epochs=3", "training.batch_size=512", f'data.cache_dir="{tmp_path}"']

    def call(progress: Progress):  # type: ignore[no-untyped-def]
        return cw.train(small_log, label="click", model="lr", settings=settings, progress=progress)

    listener = _Twin(call)
    first = call(listener)
    assert any("runs already" in note for note in listener.notes)
    assert listener.twin is not None
    table = pq.read_table(small_log)
    np.testing.assert_array_equal(first.logits(table), listener.twin.logits(table))
    assert not any(checkpoint_folder(tmp_path).iterdir())
    assert not any("runs already" in note for note in _notes_of(call))


def _notes_of(call) -> list[str]:  # type: ignore[no-untyped-def]
    listener = _Twin(None)
    listener.twin = "is one"
    call(listener)
    return listener.notes


def test_what_is_not_read_beside_declared_features_is_said(small_log: Path) -> None:
    def notes(*settings: str) -> list[str]:
        listener = _Twin(None)
        listener.twin = "is one"
        given = [*FAST, 'schema.features.user_id={transform="vocabulary"}', *settings]
        cw.train(small_log, label="click", model="lr", settings=given, progress=listener)
        return listener.notes

    (line,) = (note for note in notes() if "not read" in note)
    assert re.match(r"\d+ columns are not read, for features are declared: ", line)
    assert "ad_id" in line
    assert "user_id" not in line
    assert line.endswith("schema.infer = true adds what can be a feature")
    for told in (notes(), notes("schema.infer=true")):
        assert any("becomes" in note and "user_id" in note for note in told), "the table of the columns"
    assert not any("not read" in note for note in notes("schema.infer=true"))


def test_given_validation_data_is_used(small_log: Path, tmp_path: Path) -> None:
    table = pq.read_table(small_log)
    pq.write_table(table.slice(0, 700), tmp_path / "valid.parquet")
    bundle = cw.train(small_log, label="click", model="lr", valid=tmp_path / "valid.parquet", settings=FAST)
    assert bundle.provenance.data["parts"]["train"]["rows"] == 5000
    assert bundle.provenance.data["parts"]["valid"]["rows"] == 700


def test_weights_and_groups_reach_the_metrics(small_log: Path) -> None:
    table = pq.read_table(small_log)
    doubled = table.append_column("w", pa.array(np.where(np.arange(5000) % 2, 2.0, 0.0)))
    schema = {"label": "click", "weight": "w", "group": "site_id", "exclude": []}
    bundle = cw.train(doubled, schema=schema, model="lr", settings=FAST)
    report = cw.evaluate(bundle, doubled)
    half = cw.evaluate(bundle, doubled.filter(pa.array(np.arange(5000) % 2 == 1)))
    assert report.metrics["log_loss"] == pytest.approx(half.metrics["log_loss"], rel=1e-9)
    assert report.metrics["gauc"] == pytest.approx(half.metrics["gauc"], rel=1e-9)
    assert 0.3 < report.metrics["gauc"] < 1


def test_the_report_knows_the_best_possible(small_log: Path) -> None:
    bundle = cw.train(small_log, label="click", model="lr", settings=FAST)
    report = cw.evaluate(bundle, small_log)
    assert report.best_possible is not None
    assert report.best_possible["log_loss"] < report.metrics["log_loss"]
    assert "true_probability" not in bundle.schema.columns()


def test_unlabelled_rows_can_be_scored_but_not_evaluated(small_log: Path, tmp_path: Path) -> None:
    bundle = cw.train(small_log, label="click", model="lr", settings=FAST)
    table = pq.read_table(small_log).drop_columns(["click", "true_probability"])
    summary = cw.predict(bundle, table, tmp_path / "scored.parquet")
    assert summary.rows == 5000
    np.testing.assert_allclose(pq.read_table(tmp_path / "scored.parquet")["probability"], bundle.predict(table))
    with pytest.raises(DataError, match="click"):
        cw.evaluate(bundle, table)
    with pytest.raises(DataError, match="already has this column"):
        cw.predict(bundle, pq.read_table(tmp_path / "scored.parquet"), tmp_path / "twice.parquet")


def test_mistakes(small_log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="is not a clickwise bundle"):
        cw.train(small_log, label="click", out=tmp_path / "file")
    bundle = cw.train(small_log, label="click", model="lr", settings=FAST)
    with pytest.raises(ConfigError, match=r"keys of \[data\]"):
        cw.evaluate(bundle, small_log, settings=["training.epochs=1"])
    with pytest.raises(DataError, match="nothing to learn"):
        cw.train(pq.read_table(small_log).filter(pa.compute.field("click") == 0), label="click")


def test_a_cross_teaches_a_linear_model_what_single_values_cannot(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b, shop = rng.integers(0, 2, 6000), rng.integers(0, 2, 6000), rng.integers(0, 3, 6000)
    rows = {"click": (a ^ b) * (rng.random(6000) < 0.9), "a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b]}
    rows["shop"] = [f"s{i}" for i in shop]
    crossed = {"label": "click", "features": {"a_x_b": {"transform": "cross", "of": ["a", "b"]}}}
    settings = ["training.batch_size=100", "training.optimizer.name=adam", "training.optimizer.learning_rate=0.03"]
    losses = {}
    for name, schema in {"plain": {"label": "click"}, "crossed": crossed}.items():
        bundle = cw.train(rows, schema=schema, model="lr", settings=settings, out=tmp_path / name)
        losses[name] = bundle.provenance.metrics["valid"]["log_loss"]
        again = cw.load(tmp_path / name)
        assert again.predict(rows).tolist() == bundle.predict(rows).tolist()
    assert losses["plain"] > 0.65
    assert losses["crossed"] < 0.25
    assert "a x b   cross" in str(cw.inspect(tmp_path / "crossed"))


def test_attention_finds_the_target_in_a_history_and_a_pooled_history_does_not(tmp_path: Path) -> None:
    """A click is likely where the item was seen before; the bundle scores raw rows as training encoded them."""
    rng = np.random.default_rng(0)
    seen = [rng.choice(60, rng.integers(0, 9), replace=False) for _ in range(12_000)]
    item = [rng.choice(h) if len(h) and rng.random() < 0.5 else rng.integers(60) for h in seen]
    again = np.array([i in h for i, h in zip(item, seen, strict=True)])
    texts = [" ".join(map(str, h)) for h in seen]
    rows = pa.table(
        {"click": (rng.random(12_000) < np.where(again, 0.85, 0.15)).astype(int), "item": item, "seen": texts}
    )
    history = {"transform": "sequence", "shares": "item", "separator": " ", "max_length": 6}
    schema = {"label": "click", "features": {"seen": history, "item": {"transform": "vocabulary"}}}
    settings = ["training.epochs=4", "training.batch_size=256", "training.optimizer.name=adam", "training.threads=1"]
    settings += ["training.optimizer.learning_rate=0.01", "model.hidden_dims=[16]", "model.embedding_dim=8"]
    losses = {}
    for name in ("din", "deepfm"):
        bundle = cw.train(rows, schema=schema, model=name, settings=settings, out=tmp_path / name)
        losses[name] = bundle.provenance.metrics["valid"]["log_loss"]
        loaded = cw.load(tmp_path / name)
        some = rows.slice(0, 300)
        whole = bundle.logits(some)
        assert loaded.logits(some).tolist() == whole.tolist()
        one_by_one = np.concatenate([loaded.logits([row]) for row in some.to_pylist()])
        np.testing.assert_allclose(one_by_one, whole, rtol=0, atol=2e-6)
        lists = some.set_column(2, "seen", pa.array([h.tolist() for h in seen[:300]]))
        np.testing.assert_allclose(loaded.logits(lists), whole, rtol=0, atol=2e-6)
    assert losses["deepfm"] > 0.58
    assert losses["din"] < 0.5  # the log loss of the true probability is 0.423
    assert "sequence    those of item" in str(cw.inspect(tmp_path / "din"))


def test_a_schema_can_be_written_in_python(small_log: Path) -> None:
    features = (
        Feature(name="user", column="user_id", config=Vocabulary.Config(min_count=2)),
        Feature(name="floor", column="bid_floor", config=Quantile.Config(num_quantiles=10)),
    )
    schema = Schema(label="click", time="timestamp", features=features)
    bundle = cw.train(small_log, schema=schema, model=cw.LR, settings=FAST)
    assert bundle.schema.features == features
    assert bundle.pipeline.inputs.dense == ("floor",)
    assert "by time" in bundle.provenance.data["split"]


def test_training_that_explodes_says_what_to_do(small_log: Path) -> None:
    wild = [*FAST, "training.optimizer.learning_rate=1e30", "model.hidden_dims=[8]"]
    with pytest.raises(ClickwiseError, match=r"the training loss is .* lower the learning rate"):
        cw.train(small_log, label="click", settings=wild)


def test_new_data_may_lack_the_group_and_the_truth(small_log: Path) -> None:
    table = pq.read_table(small_log)
    grouped = table.append_column("g", table["site_id"])
    schema = {"label": "click", "group": "g", "infer": True, "exclude": ["g"]}
    bundle = cw.train(grouped, schema=schema, model="lr", settings=FAST)
    assert "gauc" in cw.evaluate(bundle, grouped).metrics
    report = cw.evaluate(bundle, table.drop_columns(["true_probability"]))
    assert "gauc" not in report.metrics
    assert report.best_possible is None
