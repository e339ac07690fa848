"""The parity gate: bf16 only where it ranks as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

import clickwise as cw
from clickwise.bundle import Bundle
from clickwise.cli import main
from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.native import Tier, tier
from clickwise.native.precision import resolve
from clickwise.pipeline import export
from clickwise.serving.engine import Engine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(tier() is not Tier.DENSE, reason="the compiled kernels were not built"),
]

DNN: dict[str, Any] = {"model": {"name": "dnn", "embedding_dim": 4, "hidden_dims": [16, 8]}, "training": {"epochs": 1}}


@pytest.fixture(scope="module")
def bundle(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("parity") / "bundle"
    cw.train(small_log, label="click", config=DNN, out=out)
    return out


def test_a_version_that_ranks_as_well_may_use_bf16(bundle: Path, small_log: Path, tmp_path: Path) -> None:
    said = export(bundle, tmp_path / "v", bf16_data=small_log)
    measured = cw.evaluate(bundle, small_log).metrics["roc_auc"]
    assert said.auc_fp32 == pytest.approx(measured, abs=1e-6)
    assert said.auc_bf16 == pytest.approx(measured, abs=1e-4)
    engine, trained = Engine.open(tmp_path / "v"), cw.load(bundle)
    engine.check()
    assert engine.precision == resolve("auto")
    rows = pq.read_table(small_log).slice(0, 3000)
    encoded = trained.pipeline.encode(rows.select(trained.pipeline.columns).combine_chunks().to_batches()[0])
    fp32, bf16 = (engine.logits(encoded, precision=precision) for precision in ("fp32", "bf16"))
    np.testing.assert_allclose(fp32, trained.logits(rows), atol=1e-5)
    assert 0 < np.abs(fp32 - bf16).max() < 0.05
    export(bundle, tmp_path / "v")
    assert Engine.open(tmp_path / "v").precision == "fp32"


def test_one_that_does_not_is_refused(bundle: Path, small_log: Path, tmp_path: Path) -> None:
    """All that its layers know is less than a bf16 has digits for."""
    found = cw.load(bundle)
    mlp: Any = found.model.mlp
    with torch.no_grad():
        mlp.hidden[0].bias += 256
        mlp.hidden[1].bias -= 256 * mlp.hidden[1].weight.sum(1)
    Bundle(found.pipeline, found.model, found.provenance).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"in bf16 its AUC on .* and in fp32 .* apart; leave --bf16 out"):
        export(tmp_path / "bundle", tmp_path / "v", bf16_data=small_log)
    assert not (tmp_path / "v").exists()


def test_data_that_says_nothing_about_ranking_is_refused(bundle: Path, small_log: Path, tmp_path: Path) -> None:
    rows = pq.read_table(small_log)
    with pytest.raises(DataError, match="has not both clicks and others"):
        export(bundle, tmp_path / "v", bf16_data=rows.filter(pc.equal(rows["click"], 1)))
    with pytest.raises(ConfigError, match="--bf16"):
        export(bundle, tmp_path / "v.onnx", bf16_data=small_log, format="onnx")


def test_the_command_says_both_figures(
    bundle: Path, small_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(bundle), "--out", str(tmp_path / "v"), "--bf16", str(small_log)]
    monkeypatch.setattr("sys.argv", ["clickwise", *words])
    with pytest.raises(SystemExit):
        main()
    assert "bf16 where the processor multiplies it: AUC 0." in capsys.readouterr().out
