"""Side tables from training to scoring: the same raw log gives the same features."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import clickwise as cw
from clickwise.errors import DataError

FAST = ["training.epochs=4", "training.batch_size=256", "training.optimizer.learning_rate=0.02"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log whose clicks depend on what only the tables know."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 40, 1500), rng.integers(0, 30, 1500)
    click = rng.random(1500) < np.where(user % 3 == item % 3, 0.6, 0.1)
    table = pa.table({"user": user, "item": item, "click": click.astype(int)})
    pa.csv.write_csv(table, tmp_path / "log.csv")
    lines = [f"{i},{'abc'[i % 3]},{20 + i}" for i in range(38)]  # two users are in no table
    (tmp_path / "users.csv").write_text("\n".join(["user,kind,age", *lines]))
    (tmp_path / "items.tsv").write_text("\n".join(["id\tgenre", *(f"{i}\t{'xyz'[i % 3]}" for i in range(30))]))
    return tmp_path / "log.csv"


def trained(log: Path, out: Path | None = None):
    tables = [{"file": "users.csv", "on": "user"}, {"file": "items.tsv", "on": "item", "key": "id"}]
    features = {name: {"transform": "vocabulary"} for name in ("kind", "genre")}
    config = {"data": {"tables": tables}, "schema": {"label": "click", "features": features}}
    return cw.train(log, config=config, model="fm", out=out, settings=FAST)


def whole(log: Path) -> pa.Table:
    """The log with the columns joined by hand."""
    table = pa.csv.read_csv(log)
    user, item = (table[name].to_numpy() for name in ("user", "item"))
    kind = pa.array([None if u >= 38 else "abc"[u % 3] for u in user])
    return table.append_column("kind", kind).append_column("genre", pa.array(["xyz"[i % 3] for i in item]))


def test_a_bundle_joins_raw_rows_as_training_did(log: Path, tmp_path: Path, monkeypatch) -> None:
    bundle = trained(log, tmp_path / "bundle")
    by_hand = whole(log)
    joined, given = cw.evaluate(bundle, log), cw.evaluate(bundle, by_hand)
    assert joined.metrics == given.metrics and joined.metrics["roc_auc"] > 0.6
    monkeypatch.chdir(os.sep)  # a bundle says in full where its tables are
    cw.predict(tmp_path / "bundle", log, tmp_path / "out.csv")
    out = pa.csv.read_csv(tmp_path / "out.csv")
    assert out.column_names == ["user", "item", "click", "probability"]
    np.testing.assert_allclose(out["probability"].to_numpy(), bundle.predict(by_hand), rtol=1e-6)


def test_rows_that_have_the_columns_need_no_tables(log: Path, tmp_path: Path) -> None:
    bundle = trained(log)
    by_hand = whole(log)
    expected = bundle.predict(by_hand)
    own = by_hand.set_column(3, "kind", pa.array(["a"] * len(by_hand)))
    cw.predict(bundle, own.drop_columns(["genre"]), tmp_path / "own.csv")  # what the rows say themselves wins
    np.testing.assert_allclose(
        pa.csv.read_csv(tmp_path / "own.csv")["probability"].to_numpy(), bundle.predict(own), rtol=1e-6
    )
    os.remove(log.parent / "users.csv")
    os.remove(log.parent / "items.tsv")
    cw.predict(bundle, by_hand.drop_columns(["user", "item"]), tmp_path / "given.csv")
    out = pa.csv.read_csv(tmp_path / "given.csv")
    assert out.column_names == ["click", "kind", "genre", "probability"]
    np.testing.assert_allclose(out["probability"].to_numpy(), expected, rtol=1e-6)
    with pytest.raises(DataError, match=r"users\.csv: no such file"):
        cw.evaluate(bundle, log)


def test_another_table_can_be_named(log: Path, tmp_path: Path) -> None:
    bundle = trained(log)
    before = cw.evaluate(bundle, log).metrics["roc_auc"]
    (tmp_path / "new.csv").write_text("\n".join(["user,kind", *(f"{i},{'bca'[i % 3]}" for i in range(40))]))
    tables = f'[{{file="{tmp_path}/new.csv", on="user"}}, {{file="items.tsv", on="item", key="id"}}]'
    after = cw.evaluate(bundle, log, settings=[f"data.tables={tables}"]).metrics["roc_auc"]
    assert before > 0.6 > 0.5 > after


def test_the_config_of_a_bundle_repeats_its_run(log: Path, tmp_path: Path) -> None:
    bundle = trained(log, tmp_path / "bundle")
    stored = tomllib.loads((tmp_path / "bundle" / "config.toml").read_text())
    assert [table["file"] for table in stored["data"]["tables"]] == [
        str(tmp_path / n) for n in ("users.csv", "items.tsv")
    ]
    again = cw.train(log, config=tmp_path / "bundle" / "config.toml")
    by_hand = whole(log)
    np.testing.assert_array_equal(again.logits(by_hand), bundle.logits(by_hand))
    assert again.provenance.data["fingerprint"] == bundle.provenance.data["fingerprint"] is not None


def test_a_table_that_changed_is_encoded_anew(log: Path) -> None:
    trained(log)
    path = log.parent / "users.csv"
    path.write_text(path.read_text().replace(",a,", ",q,"))
    bundle = trained(log)
    assert "q" in bundle.pipeline.transforms["kind"].tokens.to_pylist()
