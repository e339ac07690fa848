"""A calibrated bundle: the same numbers after loading, honest metrics, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.bundle.files import MANIFEST, seal
from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.pipeline import training_summary

MODEL = {"model": {"name": "fm", "embedding_dim": 4}, "training": {"epochs": 2}}
PLATT: dict[str, Any] = {**MODEL, "calibration": {"method": "platt"}}


@pytest.fixture(scope="module")
def folder(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibrated") / "bundle"
    cw.train(small_log, label="click", config=PLATT, out=out)
    return out


def test_logits_are_the_models_own_moved_by_the_calibrator(folder: Path, small_log: Path) -> None:
    rows = pq.read_table(small_log)
    bundle, plain = cw.load(folder), cw.train(small_log, label="click", config=MODEL)
    found = json.loads((folder / MANIFEST).read_text())["calibrator"]
    assert found["method"] == "platt"
    assert (found["slope"], found["intercept"]) != (1.0, 0.0)
    own = plain.logits(rows).astype(np.float64)
    np.testing.assert_allclose(bundle.logits(rows), found["slope"] * own + found["intercept"], rtol=1e-6, atol=1e-6)
    assert "platt" in str(cw.inspect(folder))
    assert "platt" in str(training_summary(folder))


def test_the_validation_metrics_are_those_of_the_calibrated_model(folder: Path, small_log: Path) -> None:
    calibrated = cw.load(folder).provenance.metrics["valid"]
    plain = cw.train(small_log, label="click", config=MODEL).provenance.metrics["valid"]
    assert calibrated["roc_auc"] == pytest.approx(plain["roc_auc"], abs=1e-6)
    assert calibrated["log_loss"] < plain["log_loss"]
    assert calibrated["calibration"] == pytest.approx(1.0, abs=0.02)


def test_the_config_of_a_bundle_trains_the_same_again(folder: Path, small_log: Path) -> None:
    again = cw.train(small_log, config=folder / "config.toml")
    assert again.calibrator == cw.load(folder).calibrator


@pytest.mark.parametrize("entry", [{"method": "platt", "slope": -1.0}, {"method": "other"}, 3, {"slope": 1.0}])
def test_a_calibrator_that_is_none_is_refused(folder: Path, entry: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    kept = {k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")}
    seal(folder, {**kept, "calibrator": entry})
    try:
        with pytest.raises(BundleError, match="calibrator"):
            cw.load(folder)
    finally:
        seal(folder, kept)


def test_what_cannot_be_calibrated_is_said_before_training(small_log: Path) -> None:
    with pytest.raises(DataError, match="no validation rows to calibrate on"):
        cw.train(small_log, label="click", config={**PLATT, "data": {"valid_fraction": 0.0}})
    with pytest.raises(ConfigError, match=r"calibration.method: got 'isotonic'"):
        cw.train(small_log, label="click", config={**MODEL, "calibration": {"method": "isotonic"}})
