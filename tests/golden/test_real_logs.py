"""The main job on real public logs, from the raw file to a measured bundle. Skipped where the logs are not beside."""

from __future__ import annotations

from pathlib import Path

import pytest

import clickwise as cw
from clickwise.errors import ClickwiseWarning

pytestmark = pytest.mark.slow

CASES = {  # name -> (file, settings, features at least, AUC at least on its validation part after two epochs)
    "criteo": ("criteo_10k/train.txt", ["data.format=criteo"], 39, 0.62),
    "avazu": ("avazu_10k/train.csv", ["data.format=avazu"], 20, 0.60),
    "kdd12": ("kdd12_40k/click.csv", ["data.format=kdd12"], 9, 0.58),
    "adult": ("adult/adult.data", ["data.format=adult"], 13, 0.86),
    "frappe": ("frappe_x1/train.parquet", [], 10, 0.87),
}
FAST = ["training.epochs=2", "training.batch_size=512", "model.hidden_dims=[32]"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::clickwise.errors.ClickwiseWarning")
def test_it_trains_and_ranks(name: str, shared_data: Path) -> None:
    file, settings, features, auc = CASES[name]
    bundle = cw.train(shared_data / file, settings=[*settings, *FAST])
    assert len(bundle.schema.features) >= features
    assert bundle.provenance.data["quarantined"] == 0
    assert bundle.provenance.metrics["valid"]["roc_auc"] > auc


def test_talkingdata_splits_by_time_and_drops_the_leak(shared_data: Path) -> None:
    with pytest.warns(ClickwiseWarning, match=r"attributed_time.*is dropped"):
        bundle = cw.train(shared_data / "talkingdata_100k" / "train.csv", label="is_attributed", settings=FAST)
    assert bundle.schema.time == "click_time"
    assert "by time (click_time)" in bundle.provenance.data["split"]
    assert "attributed_time" not in bundle.schema.columns()
    assert 0.8 < bundle.provenance.metrics["valid"]["roc_auc"] < 0.999


def test_a_bundle_reads_new_files_of_its_format(shared_data: Path) -> None:
    bundle = cw.train(shared_data / "adult" / "adult.data", settings=["data.format=adult", *FAST])
    assert cw.evaluate(bundle, shared_data / "adult" / "adult.test").metrics["roc_auc"] > 0.86
