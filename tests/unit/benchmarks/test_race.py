"""The race between systems: real processes on tiny data, and what becomes of one that fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def systems(script: Callable[[str], Any]) -> Any:
    return script("systems")


@pytest.fixture
def entry(systems: Any, tmp_path: Path) -> Any:
    from criteo_like import field_sizes, write_arrays

    data = write_arrays(tmp_path, field_sizes(1000, fields=5), rows=1200, test_rows=200)
    sizes = {"embedding_dim": 4, "hidden_dims": [8], "num_cross_layers": 1, "batch_size": 32, "threads": 1, "seed": 1}
    task = systems.Task(data=str(data), model="deepfm", rule="adagrad", precision="fp32", scratch="", **sizes)
    return systems.Entry("clickwise", task)


@pytest.mark.slow
def test_systems_take_turns(systems: Any, entry: Any, tmp_path: Path) -> None:
    plain = systems.Entry("torch_sparse", replace(entry.task, rule=""))
    unknown = systems.Entry("torch_sparse", replace(entry.task, rule="", model="nothing"))
    missing = systems.Entry("fuxictr", replace(entry.task, rule=""))
    rhythm = systems.Rhythm(turns=3, steps=4, seconds=60.0, warm=1)
    outcomes = systems.race([entry, plain, unknown, missing], rhythm, tmp_path, lambda text: None)
    assert [outcome.error for outcome in outcomes] == ["", "", "no such model", "not installed: make peers"]
    for outcome in outcomes[:2]:
        assert len(outcome.rates) == 3 and outcome.steps == 3 + 3 * (1 + 4)
        assert 0.0 < outcome.log_loss < 1.0 and 0.0 <= outcome.auc <= 1.0 and outcome.peak_bytes > 1e7
    assert outcomes[1].against == pytest.approx(outcomes[0].rate / outcomes[1].rate)
    assert math.isnan(outcomes[2].rate)


def test_what_does_not_fit_together_runs_in_heats_behind_the_first(systems: Any, entry: Any) -> None:
    others = [systems.Entry("fuxictr", replace(entry.task, rule="")) for _ in range(3)]
    assert [len(heat) for heat in systems.heats([entry, *others], memory=3.5e9)] == [3, 2]
    assert all(heat[0] is entry for heat in systems.heats([entry, *others], memory=0.0))
    assert sum(len(heat) - 1 for heat in systems.heats([entry, *others], memory=0.0)) == 3


def test_systems_by_name(systems: Any) -> None:
    assert systems.parse_system("clickwise:adam:bf16", "fp32") == ("clickwise", "adam", "bf16")
    assert systems.parse_system("fuxictr", "bf16") == ("fuxictr", "", "fp32")
    with pytest.raises(ValueError, match="is none of"):
        systems.parse_system("fuxictr:bf16", "fp32")
    with pytest.raises(ValueError, match="is none of"):
        systems.parse_system("nothing", "fp32")


def test_field_sizes_add_up(systems: Any) -> None:
    from criteo_like import field_sizes

    for fields in (10, 39, 78):
        sizes = field_sizes(1_000_000, fields)
        assert len(sizes) == fields and 0.98e6 < sum(sizes) <= 1e6


def test_text_has_the_format_of_the_log(systems: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import criteo_like

    monkeypatch.setattr(criteo_like, "CATEGORIES", [min(n, 500) for n in criteo_like.CATEGORIES])
    criteo_like.write_text(tmp_path / "train.txt", rows=300)
    cells = [line.split("\t") for line in (tmp_path / "train.txt").read_text().splitlines()]
    assert len(cells) == 300 and {len(row) for row in cells} == {40}
    assert {row[0] for row in cells} == {"0", "1"}
    assert all(int(cell) >= -1 for row in cells for cell in row[1:14] if cell)
    assert all(len(cell) == 8 and int(cell, 16) >= 0 for row in cells for cell in row[14:] if cell)
    assert 0.3 < np.mean([row[1] == "" for row in cells]) < 0.6


def test_the_plot_is_a_picture_of_every_system(systems: Any) -> None:
    import plot

    rows = [{"library": "a_b", "rule": "", "precision": "fp32", "model": "fm", "V": v, "rate": 5e4} for v in (1e5, 1e7)]
    lines = plot.lines_of({"rows": [*rows, {**rows[0], "library": "failed", "rate": None}]}, "fm")
    assert lines == {"a-b fp32": [(1e5, 5e4), (1e7, 5e4)]}
    picture = plot.draw(lines, "A & B", "here")
    assert picture.count("<circle") == 3 and "A &amp; B" in picture and "100 k" in picture and "10 M" in picture
