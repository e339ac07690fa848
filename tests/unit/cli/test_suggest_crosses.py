"""`clickwise suggest-crosses`: from raw rows to lines that, pasted, make the model better."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise import pipeline
from clickwise.cli import main
from clickwise.errors import ConfigError, DataError
from clickwise.metrics import probability
from clickwise.pipeline import crosses, parts

RATE = ["training.optimizer.name=adam", "training.optimizer.learning_rate=0.02", "training.batch_size=256"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 rows whose clicks depend on the pair of user and site, and on nothing else."""
    rng = np.random.default_rng(3)
    user, site, ad = (rng.integers(0, n, 12_000) for n in (12, 10, 15))
    effect = rng.normal(0, 1.5, (12, 10))
    click = rng.random(12_000) < probability(effect[user, site] - 1)
    names = {"user_id": user, "site": site, "ad": ad}
    columns = {name: [f"{name}{i}" for i in ids] for name, ids in names.items()}
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pq.write_table(pa.table({"click": click.astype(int), **columns}), path)
    return path


def test_the_lines_it_prints_make_the_model_better(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["clickwise", "suggest-crosses", str(log), "--label", "click", *(w for r in RATE for w in ("--set", r))]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "1 of these 3 (of 3 pairs measured) lower it" in printed
    lines = printed[printed.index("[schema") :]
    assert lines == '[schema.features.user_id_x_site]\ntransform = "cross"\nof = ["user_id", "site"]\n'
    (tmp_path / "crossed.toml").write_text(lines)
    said = pipeline.suggest_crosses(log, label="click", settings=RATE).gains[0]
    losses = [
        cw.train(log, label="click", model="lr", config=config, settings=RATE).provenance.metrics["valid"]["log_loss"]
        for config in (None, tmp_path / "crossed.toml")
    ]
    assert losses[0] - losses[1] == pytest.approx(said.gain, rel=0.25)
    again = pipeline.suggest_crosses(log, label="click", config=tmp_path / "crossed.toml", settings=RATE)
    assert len(again.gains) == 2 and not again.worthwhile


def test_a_test_part_is_not_looked_at(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a test part can be anything."""
    seen = []
    real = crosses.scored_rows
    monkeypatch.setattr(crosses, "scored_rows", lambda m, part, seed: seen.append(len(part)) or real(m, part, seed))
    pipeline.suggest_crosses(log, label="click", settings=[*RATE, "data.test_fraction=0.3"])
    assert seen == [pytest.approx(7200, rel=0.03), pytest.approx(1200, rel=0.15)]


def test_a_sample_of_many_rows_is_taken(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MOST_ROWS", 500)
    monkeypatch.setattr(parts, "_BATCH_ROWS", 250)
    gain = pipeline.suggest_crosses(log, label="click", settings=RATE).gains[0]
    assert gain.combinations < 60  # of 120, with 500 rows


def test_mistakes(log: Path) -> None:
    with pytest.raises(ConfigError, match="top: got 0, allowed is a whole number from 1"):
        pipeline.suggest_crosses(log, label="click", top=0)
    with pytest.raises(DataError, match="no validation rows"):
        pipeline.suggest_crosses(log, label="click", settings=["data.valid_fraction=0.0"])
