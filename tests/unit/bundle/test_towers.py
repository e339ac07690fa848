"""Vectors of raw rows, against the model's own logits of whole rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.bundle import Bundle, Towers
from clickwise.data.frames import rows_to_batch
from clickwise.errors import BundleError

FEATURES = {
    "user_id": {"transform": "vocabulary"},
    "user_age": {"transform": "standard"},
    "interests": {"transform": "vocabulary", "separator": "|"},
    "ad_id": {"transform": "vocabulary"},
    "ad_category": {"transform": "vocabulary"},
}


@pytest.fixture(scope="module")
def bundle(small_log: Path) -> Bundle:
    schema = {"item": "ad_id", "item_features": ["ad_id", "ad_category"], "features": FEATURES}
    told = ["training.epochs=2", "model.embedding_dim=8", "training.batch_size=64", "model.hidden_dims=[16, 6]"]
    return cw.train(small_log, label="click", model="two_tower", schema=schema, settings=told)


def test_dot_products_are_the_logits_of_whole_rows(bundle: Bundle, small_log: Path) -> None:
    towers, model = Towers(bundle), bundle.model
    assert (towers.query.columns, towers.item.columns) == (
        ("user_id", "user_age", "interests"),
        ("ad_id", "ad_category"),
    )
    rows = pq.read_table(small_log).slice(0, 500)
    query = towers.queries(rows_to_batch(rows, towers.query.columns))
    item = towers.items(rows_to_batch(rows, towers.item.columns))
    assert query.shape == item.shape == (500, towers.dim) == (500, 6)
    np.testing.assert_allclose(np.linalg.norm(query, axis=1), 1.0, rtol=1e-5)
    logit = (query * item).sum(1) / model.config.temperature + model.bias.item()
    np.testing.assert_allclose(logit, bundle.logits(rows), rtol=1e-4, atol=1e-4)


def test_a_bundle_without_towers_or_items_is_refused(bundle: Bundle, small_log: Path) -> None:
    other = cw.train(small_log, label="click", model="lr", settings=["training.epochs=1"])
    with pytest.raises(BundleError, match="its model is lr, and retrieval needs two_tower"):
        Towers(other)


def test_scores_for_retrieval_are_no_probabilities(bundle: Bundle, small_log: Path, tmp_path: Path) -> None:
    bundle.save(tmp_path / "towers")
    with pytest.raises(BundleError, match=r"two_tower was trained for retrieval .* `clickwise index`"):
        cw.load(tmp_path / "towers").predict(pq.read_table(small_log).slice(0, 2))
    with pytest.raises(BundleError, match="no probabilities of a click"):
        cw.predict(tmp_path / "towers", small_log, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
